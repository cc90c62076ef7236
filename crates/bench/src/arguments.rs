//! The command line.

use std::path::PathBuf;

use crate::blocks;
use crate::figures::{ChildRun, number};
use crate::workload::{self, Family, Kind, Mechanism, Program, Workload};

/// What the program was asked to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Help,
    /// Measure times, ours and floors interleaved.
    Times(Selection),
    /// Count instructions, system calls and allocations.
    Counts {
        selection: Selection,
        /// Whether a limit that is broken makes the program fail.
        assert: bool,
    },
    /// Run one program once and print its figures: what the others start, under a tool if need be.
    Child(ChildRun),
}

/// What is to be run, and what is done with the result.
#[derive(Debug, PartialEq)]
pub(crate) struct Selection {
    /// Empty for the default.
    pub(crate) workloads: Vec<Workload>,
    /// Every one that is left out when it is empty.
    pub(crate) mechanisms: Vec<Mechanism>,
    /// One or two; where none is given, each number on which the workload says something.
    pub(crate) cores: Option<u32>,
    pub(crate) runs: u32,
    /// Nominal counts instead of those that fit a time.
    pub(crate) full: bool,
    pub(crate) json: Option<PathBuf>,
}

/// How many rounds there are unless it is said: enough for a median that one disturbance does not move.
const RUNS: u32 = 5;

/// What `--help` prints.
pub(crate) fn help() -> String {
    format!(
        "\
Measures proactor beside floors: loops written by hand for one workload, straight on the system calls.

usage: proactor-bench [WORKLOAD]... [--backend NAME]... [--cores 1|2] [--runs N] [--full] [--json FILE]
       proactor-bench counts [--assert] [WORKLOAD]... [--backend NAME]... [--json FILE]
       proactor-bench child PROGRAM BACKEND WORKLOAD CORES COUNT

Without a workload, measures ping throughput and waking in less than a minute: with fewer rounds where time runs short.
`counts` tells instructions (valgrind), system calls (strace) and allocations per operation.
`child` runs one program once, pinned, and prints its figures as one line of JSON.

  WORKLOAD        {workloads}
  --backend NAME  {backends}; each one unless given
  --cores 1|2     pin to one core or to two; what the workload is made for unless given
  --runs N        rounds, in which the programs take turns; {RUNS} unless given
  --full          a million operations instead of as many as fit a fraction of a second
  --json FILE     write the figures to FILE too
  --assert        fail if a count is over its limit

Programs of WASI run under the runtime that `cargo xtask bench` names; those of them that carry bytes over TCP have a
companion in this program, which connects for them and carries each byte on.

Workloads on files make one of 64 MiB beside the program, or where {directory} says; those past the
cache fail where there is no disk. What an idle connection takes is the slope between 1,000 and 9,000: bytes of the
heap by a counting allocator, and of resident memory as the system tells.
",
        directory = blocks::DIRECTORY_VARIABLE,
        workloads = workload::known_names(),
        backends = Mechanism::ALL.map(Mechanism::name).join(", "),
    )
}

/// Reads the arguments that follow the program's name.
///
/// # Errors
/// Says which argument is wrong, and what would be right.
pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Command, String> {
    let mut arguments = arguments.into_iter().peekable();
    match arguments.peek().map(String::as_str) {
        Some("child") => ChildRun::parse(&arguments.skip(1).collect::<Vec<_>>()).map(Command::Child),
        Some("counts") => parse_selection(arguments.skip(1), Form::Counts),
        _ => parse_selection(arguments, Form::Times),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Times,
    Counts,
}

fn parse_selection(mut arguments: impl Iterator<Item = String>, form: Form) -> Result<Command, String> {
    let mut selection = Selection {
        workloads: Vec::new(),
        mechanisms: Vec::new(),
        cores: None,
        runs: RUNS,
        full: false,
        json: None,
    };
    let mut assert = false;
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("`{argument}` needs a value"));
        match (argument.as_str(), form) {
            ("-h" | "--help", _) => return Ok(Command::Help),
            ("--backend", _) => selection.mechanisms.push(value()?.parse()?),
            ("--json", _) => selection.json = Some(value()?.into()),
            ("--cores", Form::Times) => selection.cores = Some(number(&argument, &value()?, 1, 2)?),
            ("--runs", Form::Times) => selection.runs = number(&argument, &value()?, 1, 1000)?,
            ("--full", Form::Times) => selection.full = true,
            ("--assert", Form::Counts) => assert = true,
            (option, _) if option.starts_with('-') => {
                return Err(format!("unknown option `{option}`; `--help` lists them"));
            }
            (name, _) => selection.workloads.extend(workload::select(name)?),
        }
    }
    Ok(match form {
        Form::Times => Command::Times(selection),
        Form::Counts => Command::Counts { selection, assert },
    })
}

impl Selection {
    /// Whether it is what is measured when nothing is named: it is to be done in a minute.
    pub(crate) const fn is_default(&self) -> bool {
        self.workloads.is_empty() && !self.full && self.runs <= RUNS
    }

    /// The workloads to run, `default` if none was named.
    pub(crate) fn workloads_or(&self, default: &[Workload]) -> Vec<Workload> {
        let named = if self.workloads.is_empty() { default } else { &self.workloads };
        let mut workloads: Vec<Workload> = Vec::new();
        for workload in named {
            if !workloads.contains(workload) {
                workloads.push(*workload);
            }
        }
        workloads
    }

    /// The programs that run `family` on the selected backends, those of a backend next to each other.
    pub(crate) fn programs(&self, family: Family) -> Vec<Program> {
        let selected =
            |program: &&Program| self.mechanisms.is_empty() || self.mechanisms.contains(&program.mechanism);
        workload::programs(family).iter().filter(selected).copied().collect()
    }

    /// As [`Selection::programs`], of those that are counted: ours, and the floor that it is held against.
    pub(crate) fn counted_programs(&self, family: Family) -> Vec<Program> {
        let mut programs = self.programs(family);
        // The tools that count would count the runtime of WASI's.
        programs.retain(|program| {
            program.mechanism != Mechanism::Wasi
                && (program.kind == Kind::Ours || program.name == workload::FLOOR)
        });
        programs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_and_workloads_are_taken_in_any_order() {
        let line = "--runs 7 tcp-ping-pong-64 --backend uring --cores 1 async-1 --full --json out.json";
        let Ok(Command::Times(selection)) = parsed(line) else { panic!("`{line}` was refused") };
        let names: Vec<String> = selection.workloads.iter().map(Workload::to_string).collect();
        assert_eq!(names, ["tcp-ping-pong-64", "async-1"]);
        assert_eq!(selection.mechanisms, [Mechanism::Uring]);
        assert_eq!((selection.cores, selection.runs, selection.full), (Some(1), 7, true));
        assert_eq!(selection.json, Some("out.json".into()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, part) in [
            ("tcp", "unknown workload `tcp`"),
            ("--cores 3", "`--cores` takes a number from 1 to 2, not `3`"),
            ("--cores", "`--cores` needs a value"),
            ("--runs 0", "`--runs` takes a number"),
            ("--backend kqueue", "unknown backend `kqueue`; known are epoll, uring, wasi"),
            ("--fast", "unknown option `--fast`"),
            ("--assert", "unknown option `--assert`"),
            ("counts --full", "unknown option `--full`"),
            ("child floor epoll", "usage: child"),
            ("child roof epoll async-1 1 5", "no program `roof` on epoll for async-1"),
            ("child floor epoll async-1 1 0", "`COUNT` takes a number"),
        ] {
            let message = parsed(line).expect_err(line);
            assert!(message.contains(part), "`{line}`: {message}");
        }
    }

    #[test]
    fn what_is_to_be_done_in_a_minute_is_what_nobody_asked_more_of() {
        let is_default = |line: &str| match parsed(line) {
            Ok(Command::Times(selection)) => selection.is_default(),
            other => panic!("`{line}` became {other:?}"),
        };
        assert!(is_default("") && is_default("--backend epoll") && is_default("--runs 2"));
        assert!(!is_default("async-1") && !is_default("--full") && !is_default("--runs 7"));
    }

    #[test]
    fn counts_take_the_limits_option() {
        let parsed = parsed("counts --assert timers");
        assert!(matches!(parsed, Ok(Command::Counts { assert: true, .. })), "{parsed:?}");
    }

    #[test]
    fn a_workload_named_twice_runs_once() {
        let Ok(Command::Times(selection)) = parsed("async-1 async") else { panic!("it was refused") };
        assert_eq!(selection.workloads_or(&[]).len(), 4);
    }
}
