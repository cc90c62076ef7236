//! One run of one program, in a process of its own: how it is done, started, and how its figures travel.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::arguments::ChildRun;
use crate::cores::Cores;
use crate::floor;
use crate::measurement::{EXTRAS, Figures, Result};
use crate::ours;
use crate::workload::{Kind, Mechanism};

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
        },
        Kind::Floor => floor::run(&run.program, run.workload, run.count, &cores)?,
    };
    println!("{}", to_json(run, &figures));
    Ok(())
}

/// The arguments by which this program runs `run`.
pub(crate) fn arguments(run: &ChildRun) -> [String; 6] {
    [
        "child".to_owned(),
        run.program.name.to_owned(),
        run.program.mechanism.name().to_owned(),
        run.workload.to_string(),
        run.cores.to_string(),
        run.count.to_string(),
    ]
}

/// Runs the program in a process of its own, directly or as an argument of `under`: a tool and its options.
///
/// # Errors
/// When it cannot be started, fails, or takes longer than `limit`; in the last case it is killed.
pub(crate) fn start(run: &ChildRun, under: &[&str], limit: Duration) -> Result<Figures> {
    let executable = std::env::current_exe()?;
    let mut command = match under {
        [] => Command::new(&executable),
        [tool, options @ ..] => {
            let mut command = Command::new(tool);
            command.args(options).arg(&executable);
            command
        }
    };
    command.args(arguments(run));
    let output = wait(command, limit).map_err(|error| format!("{}: {error}", arguments(run).join(" ")))?;
    from_json(&output)
}

/// Runs `command`, which must end within `limit`; what it printed.
fn wait(mut command: Command, limit: Duration) -> Result<String> {
    let tool = Path::new(command.get_program()).to_path_buf();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = child.spawn().map_err(|error| format!("cannot start {}: {error}", tool.display()))?;
    let process = rustix::process::Pid::from_child(&child);
    let (sender, receiver) = mpsc::channel();
    let reader = thread::spawn(move || {
        // Nobody waits for the answer any more only after the time has run out.
        let _ = sender.send(child.wait_with_output());
    });
    let output = match receiver.recv_timeout(limit) {
        Ok(output) => output?,
        Err(_) => {
            rustix::process::kill_process(process, rustix::process::Signal::KILL)?;
            reader.join().map_err(|_| "reading the output panicked")?;
            return Err(format!("not done after {} s", limit.as_secs()).into());
        }
    };
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}\n{}", output.status, message.trim_end()).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn to_json(run: &ChildRun, figures: &Figures) -> Value {
    let mut line = json!({
        "workload": run.workload.to_string(),
        "program": run.program.name,
        "backend": run.program.mechanism.name(),
        "kind": run.program.kind.name(),
        "cores": run.cores,
        "operations": figures.operations,
        "elapsed_ns": nanoseconds(figures.elapsed),
        "processor_ns": nanoseconds(figures.processor_time),
        "allocations": figures.allocations,
    });
    for (name, value) in &figures.extras {
        line[*name] = json!(value);
    }
    line
}

fn from_json(line: &str) -> Result<Figures> {
    let line: Value = serde_json::from_str(line.trim())?;
    let field = |name: &str| line[name].as_u64().ok_or_else(|| format!("a child's figures lack `{name}`"));
    let extra = |name: &'static str| line[name].as_f64().map(|value| (name, value));
    Ok(Figures {
        operations: field("operations")?,
        elapsed: Duration::from_nanos(field("elapsed_ns")?),
        processor_time: Duration::from_nanos(field("processor_ns")?),
        allocations: field("allocations")?,
        extras: EXTRAS.into_iter().filter_map(extra).collect(),
    })
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurement::NOTIFIES;
    use crate::workload::{Family, Workload, programs};

    #[test]
    fn figures_survive_the_way_from_child_to_parent() {
        let workload = Workload { family: Family::AsyncPummel, parameter: 2 };
        let run = ChildRun { program: programs(workload.family)[0], workload, cores: 2, count: 7 };
        let figures = Figures {
            operations: 7,
            elapsed: Duration::from_nanos(123_456_789),
            processor_time: Duration::from_nanos(98_765),
            allocations: 3,
            extras: vec![(NOTIFIES, 99.0)],
        };
        assert_eq!(from_json(&to_json(&run, &figures).to_string()).expect("it is whole"), figures);
    }

    #[test]
    fn a_line_without_its_figures_is_an_error() {
        assert!(from_json("{}").is_err());
        assert!(from_json("").is_err());
    }

    #[test]
    fn a_process_that_does_not_end_is_killed() {
        let mut command = Command::new("sleep");
        command.arg("1000");
        let message = wait(command, Duration::from_millis(10)).expect_err("it sleeps").to_string();
        assert_eq!(message, "not done after 0 s");
    }

    #[test]
    fn what_a_failing_process_says_comes_out() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no luck >&2; exit 3"]);
        let message = wait(command, Duration::from_secs(60)).expect_err("it fails").to_string();
        assert!(message.contains("no luck") && message.contains('3'), "{message}");
    }
}
