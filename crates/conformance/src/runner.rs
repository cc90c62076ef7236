//! Runs the cases of one backend, each on a thread of its own, and judges them.

use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use proactor_core::{Backend, Capabilities};

use crate::allocator;
use crate::arguments::{Arguments, Task};
use crate::baseline::Baseline;
use crate::case::{Case, LIMIT, Verdict};
use crate::expected::Matrix;
use crate::fixture::Fixture;
use crate::report::{CaseReport, Report};
use crate::{table, warm_up};

/// Multiplies the time that a case may take, for slow ways of running it: sanitizers, emulators.
const PATIENCE_VARIABLE: &str = "PROACTOR_CONFORMANCE_PATIENCE";

/// The panics since they were last taken: what a failure says of itself.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The `main` of a backend's conformance program.
///
/// Arguments are those of the standard test harness: names choose cases, and `--exact`, `--skip` and `--list` mean the
/// same. `--list-cases` prints a line `NAME<TAB>RULES` per case. Where `PROACTOR_CONFORMANCE_JSON` names a file, the
/// verdicts are written there.
#[must_use]
pub fn main<B: Backend + 'static>() -> ExitCode {
    let arguments = Arguments::parse(std::env::args().skip(1));
    let cases = table::cases::<B>();
    match &arguments.task {
        Task::ListCases => {
            for case in cases {
                println!("{}\t{}", case.name, case.rules.join(","));
            }
            ExitCode::SUCCESS
        }
        Task::List => {
            for case in cases.iter().filter(|case| arguments.choose(case.name)) {
                println!("{}: test", case.name);
            }
            ExitCode::SUCCESS
        }
        Task::Child(name) => play_child::<B>(name),
        Task::Run => run_cases(cases, &arguments),
    }
}

fn run_cases<B: Backend + 'static>(cases: Vec<Case<B>>, arguments: &Arguments) -> ExitCode {
    assert!(
        allocator::is_installed(),
        "a conformance program names CountingAllocator its #[global_allocator]"
    );
    let started = Instant::now();
    let (chosen, others): (Vec<_>, Vec<_>) = cases.into_iter().partition(|case| arguments.choose(case.name));
    println!("\nrunning {} tests on {}", chosen.len(), B::NAME);
    let mut report = Report {
        backend: B::NAME,
        capabilities: Capabilities::default(),
        cases: Vec::with_capacity(chosen.len()),
        filtered_out: others.len(),
    };
    let matrix = Matrix::checked_in();
    match Fixture::<B>::probe() {
        Ok(fixture) => {
            report.capabilities = *fixture.capabilities();
            panic::set_hook(Box::new(remember));
            warm_up::run::<B>();
            for case in chosen {
                let found = run_one(&case, &fixture, &mut report, started);
                let verdict = matrix.judge(case.name, fixture.capabilities(), found);
                report.add(CaseReport { name: case.name, rules: case.rules, verdict });
            }
        }
        Err(error) => {
            for case in chosen {
                let verdict = Verdict::Fail(format!("the backend does not open: {error}"));
                report.add(CaseReport { name: case.name, rules: case.rules, verdict });
            }
        }
    }
    end(&report, started)
}

fn end(report: &Report, started: Instant) -> ExitCode {
    if let Err(error) = report.finish(started.elapsed()) {
        eprintln!("the report cannot be written: {error}");
        return ExitCode::FAILURE;
    }
    if report.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Runs a case between two looks at what the process has. One that hangs ends the program, its report written.
fn run_one<B: Backend + 'static>(
    case: &Case<B>,
    fixture: &Fixture<B>,
    report: &mut Report,
    started: Instant,
) -> Verdict {
    if let Some(need) = case.missing(fixture.capabilities()) {
        return Verdict::NotHere(need.to_owned());
    }
    let baseline = Baseline::take();
    let end = run_on_a_thread(case.name, fixture, case.run);
    let told = what_panics_said();
    match end {
        End::Hung(limit) => {
            let verdict = Verdict::Fail(format!("did not end within {} s {told}", limit.as_secs()));
            report.add(CaseReport { name: case.name, rules: case.rules, verdict });
            end_now(report, started)
        }
        End::Panicked => Verdict::Fail(told),
        End::Returned => {
            drop(told);
            let difference = baseline.difference();
            if difference.is_empty() {
                Verdict::Pass
            } else {
                Verdict::Fail(format!("left behind: {difference}"))
            }
        }
    }
}

/// What the panics since the last call said. Of many, as shrinking a random program makes them, only the last counts.
fn what_panics_said() -> String {
    let panics = std::mem::take(&mut *PANICS.lock().unwrap_or_else(PoisonError::into_inner));
    match panics.as_slice() {
        few if few.len() < 5 => few.join("; "),
        [.., last] => last.clone(),
        [] => String::new(),
    }
}

/// Ends the program with a hung thread in it.
fn end_now(report: &Report, started: Instant) -> ! {
    let _ = end(report, started);
    std::process::exit(101)
}

/// How a thread's work ended.
enum End {
    Returned,
    Panicked,
    Hung(Duration),
}

/// Runs `body` on a new thread, so that nothing thread-local survives it and the kernel's helpers of that thread end
/// with it, while this one watches the clock.
fn run_on_a_thread<B: Backend + 'static>(name: &str, fixture: &Fixture<B>, body: fn(&Fixture<B>)) -> End {
    let (sender, receiver) = sync_channel(1);
    let fixture = fixture.clone();
    let work = move || {
        let work = AssertUnwindSafe(|| body(&fixture));
        let end = panic::catch_unwind(work).is_ok();
        // Nobody listens any more only if this took too long.
        let _ = sender.send(end);
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(work).expect("a thread can be started");
    let patience = std::env::var(PATIENCE_VARIABLE).ok().and_then(|factor| factor.parse().ok());
    let limit = LIMIT * patience.unwrap_or(1_u32);
    let end = match receiver.recv_timeout(limit) {
        Ok(true) => End::Returned,
        Ok(false) => End::Panicked,
        Err(RecvTimeoutError::Timeout) => return End::Hung(limit),
        Err(RecvTimeoutError::Disconnected) => unreachable!("the thread sends before it ends"),
    };
    thread.join().expect("its panics were caught");
    end
}

/// Keeps what a panic says for the verdict. Most panics here are expected, so nothing is printed.
fn remember(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("a panic without a message");
    let place = info.location().map_or_else(String::new, |at| format!(" ({}:{})", at.file(), at.line()));
    PANICS.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{message}{place}"));
}

/// Plays the child of a case; the exit status says how it went.
fn play_child<B: Backend + 'static>(name: &str) -> ExitCode {
    let child = table::children::<B>().into_iter().find(|(child, _)| *child == name);
    let Some((name, body)) = child else {
        eprintln!("there is no child `{name}`");
        return ExitCode::FAILURE;
    };
    let fixture = Fixture::probe().expect("the backend opened in the parent");
    match run_on_a_thread(name, &fixture, body) {
        End::Returned => ExitCode::SUCCESS,
        End::Panicked => ExitCode::FAILURE,
        End::Hung(limit) => {
            eprintln!("child {name} did not end within {} s", limit.as_secs());
            std::process::exit(101)
        }
    }
}
