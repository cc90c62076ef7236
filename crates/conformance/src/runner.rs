//! Runs the cases of one backend, each on a thread of its own, and judges them.

use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::process::ExitCode;
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use proactor_core::{Backend, Capabilities};

use crate::arguments::{Arguments, Task};
use crate::baseline::Baseline;
use crate::case::{Case, LIMIT, Verdict};
use crate::expected::{self, Matrix};
use crate::fixture::Fixture;
use crate::patience::{Queued, wait_for};
use crate::report::{CaseReport, Report};
use crate::{allocator, apart, table, warm_up};

/// Multiplies the time that a case may take, for slow ways of running it: sanitizers, emulators.
const PATIENCE_VARIABLE: &str = "PROACTOR_CONFORMANCE_PATIENCE";

/// The panics since they were last taken: what a failure says of itself.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The `main` of a backend's conformance program: [`Suite::main`] of all that the contract asks.
#[must_use]
pub fn main<B: Backend>() -> ExitCode {
    Suite::<B>::contract().main()
}

/// Cases, and what is expected of them.
#[derive(Debug)]
pub struct Suite<B: Backend> {
    /// The cases, in the order in which they run.
    pub cases: Vec<Case<B>>,
    /// The expected matrix, in the form of `expected.txt`.
    pub expected: &'static str,
    /// How long a case may take before it counts as hung; what its thread waits for a processor is not its own.
    pub limit: Duration,
}

impl<B: Backend> Suite<B> {
    /// All that the contract asks.
    #[must_use]
    pub fn contract() -> Self {
        Self { cases: table::cases(), expected: expected::CHECKED_IN, limit: LIMIT }
    }

    /// Does what the program's arguments say, which are those of the standard test harness: names choose cases, and
    /// `--exact`, `--skip` and `--list` mean the same.
    ///
    /// `--list-cases` prints a line `NAME<TAB>RULES` per case. Where the environment's `PROACTOR_CONFORMANCE_JSON` names
    /// a file, the verdicts are written there; `PROACTOR_CONFORMANCE_PATIENCE` multiplies the time that a case may take.
    /// A case that takes longer ends the program, as failed.
    ///
    /// Where there are no threads, cases run on the only one, whoever runs the program watches the clock, and a panic ends
    /// it: each case wants a program of its own there. With `--not-here` it says which of them need what is missing, and
    /// runs none.
    ///
    /// # Panics
    /// If the program's allocator is not [`CountingAllocator`](crate::CountingAllocator).
    #[must_use]
    pub fn main(self) -> ExitCode {
        let arguments = Arguments::parse(std::env::args().skip(1));
        match &arguments.task {
            Task::ListCases => {
                self.cases.iter().for_each(|case| println!("{}\t{}", case.name, case.rules.join(",")));
                ExitCode::SUCCESS
            }
            Task::List => {
                let chosen = self.cases.iter().filter(|case| arguments.choose(case.name));
                chosen.for_each(|case| println!("{}: test", case.name));
                ExitCode::SUCCESS
            }
            Task::Child(name) => play_child::<B>(name, self.limit),
            Task::Run => self.run(&arguments),
        }
    }

    fn run(mut self, arguments: &Arguments) -> ExitCode {
        assert!(
            allocator::is_installed(),
            "a conformance program's #[global_allocator] is CountingAllocator"
        );
        let started = Instant::now();
        let probed = Fixture::<B>::probe();
        if let (true, Ok(fixture)) = (arguments.only_not_here, &probed) {
            self.cases.retain(|case| case.missing(fixture.capabilities()).is_some());
        }
        let (chosen, others): (Vec<_>, Vec<_>) =
            self.cases.into_iter().partition(|case| arguments.choose(case.name));
        println!("\nrunning {} tests on {}", chosen.len(), B::NAME);
        let mut session = Session {
            report: Report {
                backend: B::NAME,
                capabilities: Capabilities::default(),
                cases: Vec::with_capacity(chosen.len()),
                filtered_out: others.len(),
            },
            limit: limit(self.limit),
            started,
        };
        match probed {
            Ok(fixture) => session.run_all(&chosen, &fixture, &Matrix::parse(self.expected)),
            Err(error) => {
                for case in chosen {
                    session.add(&case, Verdict::Fail(format!("the backend does not open: {error}")));
                }
            }
        }
        session.end()
    }
}

fn limit(limit: Duration) -> Duration {
    let patience = std::env::var(PATIENCE_VARIABLE).ok().and_then(|factor| factor.parse().ok());
    limit * patience.unwrap_or(1_u32)
}

/// One run of the program.
struct Session {
    report: Report,
    limit: Duration,
    started: Instant,
}

impl Session {
    fn run_all<B: Backend>(&mut self, cases: &[Case<B>], fixture: &Fixture<B>, matrix: &Matrix<'_>) {
        self.report.capabilities = *fixture.capabilities();
        if cfg!(panic = "unwind") {
            panic::set_hook(Box::new(remember));
            warm_up::run::<B>();
            drop(what_panics_said());
        }
        for case in cases {
            let found = self.run_one(case, fixture);
            let is_hung = matches!(found, Found::Hung(_));
            let (Found::Hung(verdict) | Found::Ended(verdict)) = found;
            self.add(case, matrix.judge(B::NAME, case.name, fixture.capabilities(), verdict));
            if is_hung {
                self.end_now();
            }
        }
    }

    /// Runs a case between two looks at what the process has.
    fn run_one<B: Backend>(&mut self, case: &Case<B>, fixture: &Fixture<B>) -> Found {
        if let Some(need) = case.missing(fixture.capabilities()) {
            return Found::Ended(Verdict::NotHere(need.to_owned()));
        }
        let limit = self.limit * case.patience;
        let baseline = Baseline::take();
        let end = run_on_a_thread(case.name, fixture, limit, case.run);
        let told = what_panics_said();
        match end {
            End::Hung => {
                return Found::Hung(Verdict::Fail(format!("did not end within {limit:?} {told}")));
            }
            End::Panicked => return Found::Ended(Verdict::Fail(told)),
            End::Returned => drop(told),
        }
        let difference = baseline.difference();
        Found::Ended(if difference.is_empty() {
            Verdict::Pass
        } else {
            Verdict::Fail(format!("left behind: {difference}"))
        })
    }

    fn add<B: Backend>(&mut self, case: &Case<B>, verdict: Verdict) {
        self.report.add(CaseReport { name: case.name, rules: case.rules, verdict });
    }

    fn end(&self) -> ExitCode {
        if let Err(error) = self.report.finish(self.started.elapsed()) {
            eprintln!("the report cannot be written: {error}");
            return ExitCode::FAILURE;
        }
        if self.report.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    /// Ends the program with a hung thread in it. The thread cannot be ended alone, and what it holds is in the way of
    /// the cases after it.
    fn end_now(&self) -> ! {
        let _ = self.end();
        std::process::exit(101)
    }
}

/// How a case went, before it is judged.
enum Found {
    Ended(Verdict),
    /// Its thread is still there.
    Hung(Verdict),
}

/// How a thread's work ended.
enum End {
    Returned,
    Panicked,
    Hung,
}

/// Runs `body` on a new thread, so that nothing thread-local survives it and the kernel's helpers of that thread end
/// with it, while this one watches the clock. Where there are no threads, on this one.
fn run_on_a_thread<B: Backend>(
    name: &str,
    fixture: &Fixture<B>,
    limit: Duration,
    body: fn(&Fixture<B>),
) -> End {
    if !cfg!(unix) {
        body(fixture);
        return End::Returned;
    }
    let (sender, receiver) = sync_channel(1);
    let (tell, told) = sync_channel(1);
    let fixture = fixture.clone();
    let work = move || {
        tell.send(Queued::here()).expect("somebody waits for it");
        let end = panic::catch_unwind(AssertUnwindSafe(|| body(&fixture))).is_ok();
        // Nobody listens any more only if this took too long.
        let _ = sender.send(end);
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(work).expect("a thread can be started");
    let queued = told.recv().expect("it tells before all else");
    let end = match wait_for(&receiver, &queued, limit) {
        Some(true) => End::Returned,
        Some(false) => End::Panicked,
        None => return End::Hung,
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

/// What the panics since the last call said. Of many, as shrinking a random program makes them, only the last counts.
fn what_panics_said() -> String {
    let panics = std::mem::take(&mut *PANICS.lock().unwrap_or_else(PoisonError::into_inner));
    match panics.as_slice() {
        few if few.len() < 5 => few.join("; "),
        [.., last] => last.clone(),
        [] => String::new(),
    }
}

/// Plays the child of a case; the exit status says how it went.
fn play_child<B: Backend>(name: &str, longest: Duration) -> ExitCode {
    let child = apart::children::<B>().into_iter().find(|(child, _)| *child == name);
    let Some((name, body)) = child else {
        eprintln!("there is no child `{name}`");
        return ExitCode::FAILURE;
    };
    let fixture = Fixture::probe().expect("the backend opened in the parent");
    match run_on_a_thread(name, &fixture, limit(longest), body) {
        End::Returned => ExitCode::SUCCESS,
        End::Panicked => ExitCode::FAILURE,
        End::Hung => {
            eprintln!("child {name} did not end within {longest:?}");
            std::process::exit(101)
        }
    }
}
