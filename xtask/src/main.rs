//! The project's tasks. `cargo xtask` without a task lists them.
//!
//! Whoever wants to run what the gate runs needs nothing else: the gate is `test-all --setup` and `ci`.

mod bench;
mod case_table;
mod ci;
mod conformance;
mod cross;
mod executables;
mod libkqueue;
mod link_check;
mod matrix;
mod mutate;
mod process;
mod scratch;
mod setup;
mod test_all;
mod tidy;
mod wasi;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use workspace::Workspace;

const USAGE: &str = "\
cargo xtask TASK [ARGUMENT]...

  test-all [--backend NAME]... [--without NAME]... [--setup] [--json FILE]
                       unit, property and conformance tests of every backend that can run here, and the
                       table of cases by backend; with --backend only what those backends' crates hold;
                       with --without all but what those backends' crates hold; with --setup what is missing
                       on this machine is installed first
  bench [ARGUMENT]...  the benchmarks, ours beside the floors (`cargo xtask bench --help` has their arguments)
  ci [STEP]...         everything that the gate runs beside test-all, or the steps named
  tidy [--write]       the project's written rules, checked; with --write the lists of cases in
                       CONTRACT.md are written before
  mutate [RULE]...     break the code on purpose, rule by rule, and see that its case notices
  link-check [--setup] link the suite and the examples for FreeBSD and macOS, and look at what comes of it;
                       with --setup the linker for that is installed first
  setup [--toolchain RECIPE] [--runtime NAME]
                       install what the tasks need and this machine lacks; with --toolchain the one for other
                       systems is made anew, by that recipe alone: `nightly` (a copy of it) or `debian` (the
                       compiler that Debian has for building browsers); with --runtime programs of WASI run
                       under that one, `wasmi` or `wasmtime`, from now on

With --help each task but bench prints this and does nothing.
With LIBKQUEUE_DIR=FOLDER, where a libkqueue is installed, test-all has a column kqueue-libkqueue too.
";

/// What a task says about the tree: red is a finding, an error is a task that could not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Colour {
    Green,
    Red,
}

impl Colour {
    fn red_if(condition: bool) -> Self {
        if condition { Self::Red } else { Self::Green }
    }
}

/// The tasks that take no `--help` of their own.
const TASKS: [&str; 6] = ["test-all", "ci", "tidy", "mutate", "link-check", "setup"];

/// Whether the usage is all that is wanted.
fn asks_for_usage(task: &str, arguments: &[OsString]) -> bool {
    let is_help = |argument: &OsString| argument == "--help" || argument == "-h";
    matches!(task, "" | "help" | "--help" | "-h") || TASKS.contains(&task) && arguments.iter().any(is_help)
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let task = arguments.next().map(|task| task.to_string_lossy().into_owned()).unwrap_or_default();
    let arguments: Vec<OsString> = arguments.collect();
    if asks_for_usage(&task, &arguments) {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let arguments = arguments.into_iter();
    let workspace = Workspace::here();
    let colour = match task.as_str() {
        "test-all" => test_all::main(&workspace, arguments),
        "bench" => bench::main(&workspace, arguments),
        "ci" => ci::main(&workspace, arguments),
        "tidy" => tidy::main(&workspace, arguments),
        "mutate" => mutate::main(&workspace, arguments),
        "link-check" => link_check::main(&workspace, arguments),
        "setup" => setup::main(arguments),
        unknown => {
            eprint!("xtask: there is no task `{unknown}`\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match colour {
        Ok(Colour::Green) => ExitCode::SUCCESS,
        Ok(Colour::Red) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask {task}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_tells_its_usage_instead_of_being_done() {
        let asks = |task: &str, words: &[&str]| {
            asks_for_usage(task, &words.iter().map(OsString::from).collect::<Vec<_>>())
        };
        for help in ["--help", "-h"] {
            assert!(asks(help, &[]));
            for task in TASKS {
                assert!(asks(task, &[help]) && asks(task, &["--setup", help]), "{task} {help}");
                assert!(USAGE.contains(&format!("\n  {task} ")), "{task}");
            }
            // It has many of its own.
            assert!(!asks("bench", &[help]));
            assert!(!asks("nothing", &[help]));
        }
        assert!(asks("", &[]) && asks("help", &[]));
        assert!(!asks("setup", &["--runtime", "wasmi"]) && !asks("ci", &["fmt"]) && !asks("tidy", &[]));
    }
}
