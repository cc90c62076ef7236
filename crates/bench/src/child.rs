//! One run of one program, in a process of its own: how it is done, and how it is started.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::cores::Cores;
use crate::figures::{ChildRun, from_json};
use crate::floor;
use crate::measurement::{Figures, Result};
use crate::ours;
use crate::runtime::Runtime;
use crate::workload::{Family, Kind, Mechanism};

/// Runs the program in this process and prints its figures as one line of JSON.
///
/// # Errors
/// What the program answers.
pub(crate) fn run(run: &ChildRun) -> Result<()> {
    let cores = Cores::confine(run.cores)?;
    let figures = match run.program.kind {
        Kind::Ours => match run.program.mechanism {
            Mechanism::Epoll => {
                ours::run::<proactor_epoll::Epoll>(&run.program, run.workload, run.count, &cores)?
            }
            Mechanism::Uring => {
                ours::run::<proactor_uring::Uring>(&run.program, run.workload, run.count, &cores)?
            }
            Mechanism::Wasi => return Err("programs of WASI run under their runtime".into()),
        },
        Kind::Floor => floor::run(&run.program, run.workload, run.count, &cores)?,
    };
    println!("{}", run.to_json(&figures));
    Ok(())
}

/// How long a tool that was asked to end has for it.
const GRACE: Duration = Duration::from_secs(3);

/// How often a run is tried of which the system loses a datagram.
const TRIES: usize = 3;

/// The longest that a run of datagrams may take. One that is lost is never answered.
const DATAGRAMS_LIMIT: Duration = Duration::from_secs(120);

/// Runs the program in a process of its own, directly or as an argument of `under`: a tool and its options. What is over time with
/// datagrams while the system has dropped some is tried again: it has a thousand places for all that is on its way over the
/// loopback, whoever sends it, and these programs, as the peers', ask for nothing twice. Any other failure is one.
///
/// # Errors
/// When it cannot be started, fails, or takes longer than `limit`; in the last case it is killed.
pub(crate) fn start(run: &ChildRun, under: &[&str], limit: Duration) -> Result<Figures> {
    let has_datagrams = matches!(run.workload.family, Family::UdpPingPong | Family::UdpPummel);
    let (tries, limit) = if has_datagrams { (TRIES, limit.min(DATAGRAMS_LIMIT)) } else { (1, limit) };
    for tries_left in (0..tries).rev() {
        let before = dropped_packets();
        if let Some(figures) = start_once(run, under, limit)? {
            return Ok(figures);
        }
        let lost = dropped_packets().saturating_sub(before);
        if tries_left == 0 || lost == 0 {
            break;
        }
        eprintln!("{}: over time, and {lost} packets were dropped: again", run.workload);
    }
    Err(format!("{}: not done after {} s", run.arguments().join(" "), limit.as_secs()).into())
}

/// The packets that the system has dropped, since it began, before they came to a socket; zero where it does not tell.
fn dropped_packets() -> u64 {
    let statistics = std::fs::read_to_string("/proc/net/softnet_stat").unwrap_or_default();
    dropped_of(&statistics)
}

/// The sum of the second column, which is hexadecimal.
fn dropped_of(statistics: &str) -> u64 {
    let column = statistics.lines().filter_map(|line| line.split_whitespace().nth(1));
    column.filter_map(|dropped| u64::from_str_radix(dropped, 16).ok()).sum()
}

/// None if it is over time.
fn start_once(run: &ChildRun, under: &[&str], limit: Duration) -> Result<Option<Figures>> {
    let arguments = run.arguments();
    let named = |error| format!("{}: {error}", arguments.join(" "));
    if run.program.mechanism == Mechanism::Wasi {
        let runtime = Runtime::find().ok_or("no runtime for WASI is named")?;
        let (command, companion) = runtime.command(&arguments, run.workload.family == Family::TcpPingPong)?;
        let hear = move |line: &str| companion.hear(line);
        let text = wait(command, Some(run.cores), limit, hear).map_err(named)?;
        return text.map(|text| from_json(&text)).transpose();
    }
    let executable = std::env::current_exe()?;
    let mut command = match under {
        [] => Command::new(&executable),
        [tool, options @ ..] => {
            let mut command = Command::new(tool);
            command.args(options).arg(&executable);
            command
        }
    };
    command.args(&arguments);
    let text = wait(command, None, limit, |_| Ok(false)).map_err(named)?;
    text.map(|text| from_json(&text)).transpose()
}

/// Runs `command`, on so many cores if it does not choose them itself; what it printed, but for lines that `hear` takes, or None if
/// it did not end within `limit`.
fn wait(
    mut command: Command,
    cores: Option<u32>,
    limit: Duration,
    mut hear: impl FnMut(&str) -> Result<bool> + Send + 'static,
) -> Result<Option<String>> {
    let tool = Path::new(command.get_program()).to_path_buf();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        spawn_on(command, cores).map_err(|error| format!("cannot start {}: {error}", tool.display()))?;
    let process = rustix::process::Pid::from_child(&child);
    let (sender, receiver) = mpsc::channel();
    let reader = thread::spawn(move || {
        let read = move || -> Result<(String, Output)> {
            let output = child.stdout.take().ok_or("its output is not piped")?;
            let mut text = String::new();
            for line in BufReader::new(output).lines() {
                let line = line?;
                match hear(&line) {
                    Ok(true) => {}
                    Ok(false) => {
                        text += &line;
                        text.push('\n');
                    }
                    // One that has ended has its own reason.
                    Err(error) if child.try_wait()?.is_none_or(|status| status.success()) => {
                        return Err(error);
                    }
                    Err(_) => break,
                }
            }
            Ok((text, child.wait_with_output()?))
        };
        // Nobody waits for the answer any more only after the time has run out.
        let _ = sender.send(read());
    });
    let (text, output) = match receiver.recv_timeout(limit) {
        Ok(read) => read?,
        Err(RecvTimeoutError::Disconnected) => return Err("reading the output panicked".into()),
        Err(RecvTimeoutError::Timeout) => {
            // Asked to end, a tool ends what it runs as well. Killed, it leaves that behind, with the output open.
            for signal in [rustix::process::Signal::TERM, rustix::process::Signal::KILL] {
                rustix::process::kill_process(process, signal)?;
                if receiver.recv_timeout(GRACE).is_ok() {
                    reader.join().map_err(|_| "reading the output panicked")?;
                    break;
                }
            }
            return Ok(None);
        }
    };
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}\n{}", output.status, message.trim_end()).into());
    }
    Ok(Some(text))
}

/// Starts `command`, which inherits the cores of the thread that does so.
fn spawn_on(mut command: Command, cores: Option<u32>) -> Result<Child> {
    let Some(cores) = cores else { return Ok(command.spawn()?) };
    let spawn = move || -> Result<Child> {
        Cores::confine(cores)?;
        Ok(command.spawn()?)
    };
    thread::spawn(spawn).join().map_err(|_| "starting it panicked")?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_does_not_end_is_killed() {
        let mut command = Command::new("sleep");
        command.arg("1000");
        let told = wait(command, None, Duration::from_millis(10), |_| Ok(false));
        assert_eq!(told.expect("it sleeps"), None);
    }

    #[test]
    fn one_that_does_not_listen_is_killed_and_what_it_leaves_is_not_waited_for() {
        let mut command = Command::new("sh");
        // The shell listens to nobody, and neither does what it leaves behind, for as long as this takes.
        command.args(["-c", "trap '' TERM; sleep 30 & wait; sleep 30"]);
        let begun = std::time::Instant::now();
        let told = wait(command, None, Duration::from_millis(500), |_| Ok(false));
        assert_eq!(told.expect("it sleeps"), None);
        assert!(begun.elapsed() < Duration::from_secs(29), "it was not waited for");
    }

    /// A tool that ends what it runs when it is asked to end, as strace does.
    #[test]
    fn what_a_tool_runs_ends_with_it() {
        // A time that no other run of this has.
        let time = format!("3600.{}", std::process::id());
        let mut command = Command::new("sh");
        command.args(["-c", "trap 'kill $!; exit 1' TERM; sleep $0 & wait", &time]);
        let told = wait(command, None, Duration::from_millis(500), |_| Ok(false));
        assert_eq!(told.expect("it sleeps"), None);
        let is_left = |process: std::io::Result<std::fs::DirEntry>| {
            let line = process.and_then(|process| std::fs::read(process.path().join("cmdline")));
            line.is_ok_and(|line| line == format!("sleep\0{time}\0").into_bytes())
        };
        assert!(!std::fs::read_dir("/proc").expect("Linux has it").any(is_left));
    }

    #[test]
    fn dropped_packets_are_summed_over_the_processors() {
        assert_eq!(dropped_of("2d82a3bf 00010a4b 00000025\n49c43231 0000000b 0000000b\n"), 0x10a4b + 0xb);
        assert_eq!(dropped_of(""), 0);
    }

    #[test]
    fn what_a_failing_process_says_comes_out() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no luck >&2; exit 3"]);
        let message =
            wait(command, None, Duration::from_secs(60), |_| Ok(false)).expect_err("it fails").to_string();
        assert!(message.contains("no luck") && message.contains('3'), "{message}");
    }
}
