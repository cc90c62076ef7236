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
mod side_by_side;
mod test_all;
mod tidy;
mod wasi;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use workspace::Workspace;

/// One task.
struct Task {
    name: &'static str,
    /// What it takes, as a usage has it.
    takes: &'static str,
    /// What it does, in lines.
    what: &'static str,
    run: fn(&Workspace, std::vec::IntoIter<OsString>) -> Result<Colour>,
    help: Help,
}

/// Where the help of a task comes from.
enum Help {
    /// From here: what it takes and does, and then this, the values that it knows.
    Values(fn(&Workspace) -> Result<String>),
    /// From the program that does it, which has many arguments.
    Its,
}

const TASKS: [Task; 7] = [
    Task {
        name: "test-all",
        takes: "[--backend NAME]... [--without NAME]... [--setup] [--json FILE]",
        what: "unit, property and conformance tests of every backend that can run here, and the
table of cases by backend; with --backend only what those backends' crates hold;
with --without all but what those backends' crates hold, and nothing changes where
one is not here anyway; with --setup what is missing on this machine is installed
first; with --json the table is written to FILE too",
        run: |workspace, arguments| test_all::main(workspace, arguments),
        help: Help::Values(test_all::values),
    },
    Task {
        name: "bench",
        takes: "[ARGUMENT]...",
        what: "the benchmarks, ours beside the floors",
        run: |workspace, arguments| bench::main(workspace, arguments),
        help: Help::Its,
    },
    Task {
        name: "ci",
        takes: "[STEP]...",
        what: "everything that the gate runs beside test-all, or the steps named",
        run: |workspace, arguments| ci::main(workspace, arguments),
        help: Help::Values(ci::values),
    },
    Task {
        name: "tidy",
        takes: "[--write]",
        what: "the project's written rules, checked; with --write the lists of cases in
CONTRACT.md are written before",
        run: |workspace, arguments| tidy::main(workspace, arguments),
        help: Help::Values(|_| Ok(String::new())),
    },
    Task {
        name: "mutate",
        takes: "[RULE]...",
        what: "break the code on purpose, rule by rule, and see that its case notices",
        run: |workspace, arguments| mutate::main(workspace, arguments),
        help: Help::Values(mutate::values),
    },
    Task {
        name: "link-check",
        takes: "[--setup]",
        what: "link the suite and the examples for FreeBSD and macOS, and look at what comes of it;
with --setup the linker for that is installed first",
        run: |workspace, arguments| link_check::main(workspace, arguments),
        help: Help::Values(link_check::values),
    },
    Task {
        name: "setup",
        takes: "[--toolchain RECIPE] [--runtime NAME]",
        what: "install what the tasks need and this machine lacks; with --toolchain the one for other
systems is made anew, by that recipe alone: `nightly` (a copy of it) or `debian` (the
compiler that Debian has for building browsers); with --runtime programs of WASI run
under that one, `wasmi` or `wasmtime`, from now on",
        run: |_, arguments| setup::main(arguments),
        help: Help::Values(|_| Ok(setup::values())),
    },
];

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

/// All tasks.
fn usage() -> String {
    let mut text = "cargo xtask TASK [ARGUMENT]...\n\n".to_owned();
    for Task { name, takes, what, .. } in &TASKS {
        text.push_str(&format!("  {name} {takes}\n      {}\n", what.replace('\n', "\n      ")));
    }
    text.push_str(
        "\nWith --help each task tells what it takes, with the values that there are, and does nothing.\n",
    );
    text.push_str("With LIBKQUEUE_DIR=FOLDER, where a libkqueue is installed, test-all has a column kqueue-libkqueue too.\n");
    text
}

impl Task {
    /// This one alone, if that is all that is wanted and it has no help of its own.
    fn help(&self, workspace: &Workspace, arguments: &[OsString]) -> Option<Result<String>> {
        let Help::Values(values) = self.help else { return None };
        arguments.iter().any(is_help).then(|| {
            let Self { name, takes, what, .. } = self;
            Ok(format!("cargo xtask {name} {takes}\n\n{what}\n\n{}", values(workspace)?)
                .trim_end()
                .to_owned())
        })
    }
}

fn is_help(word: &OsString) -> bool {
    word == "--help" || word == "-h"
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let name = arguments.next().unwrap_or_default();
    let arguments: Vec<OsString> = arguments.collect();
    if name.is_empty() || name == "help" || is_help(&name) {
        print!("{}", usage());
        return ExitCode::SUCCESS;
    }
    let Some(task) = TASKS.iter().find(|task| name == task.name) else {
        eprint!("xtask: there is no task `{}`\n\n{}", name.to_string_lossy(), usage());
        return ExitCode::from(2);
    };
    let workspace = Workspace::here();
    let colour = match task.help(&workspace, &arguments) {
        Some(help) => help.map(|help| {
            println!("{help}");
            Colour::Green
        }),
        None => (task.run)(&workspace, arguments.into_iter()),
    };
    match colour {
        Ok(Colour::Green) => ExitCode::SUCCESS,
        Ok(Colour::Red) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask {}: {error:#}", task.name);
            if error.is::<lexopt::Error>() {
                eprintln!("`cargo xtask {} --help` tells what it takes", task.name);
            }
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help(name: &str, words: &[&str]) -> Option<String> {
        let task = TASKS.iter().find(|task| task.name == name).unwrap();
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        task.help(&Workspace::here(), &words).map(Result::unwrap)
    }

    #[test]
    fn every_task_tells_its_usage_and_its_values_instead_of_being_done() {
        let values = [
            ("test-all", "kqueue-emulated"),
            ("ci", "address-sanitizer"),
            ("tidy", "--write"),
            ("mutate", " C1 "),
            ("link-check", "x86_64-unknown-freebsd"),
            ("setup", "runtimes: wasmi, wasmtime"),
        ];
        for (name, value) in values {
            for words in [["--help"].as_slice(), &["-h"], &["--setup", "--help"]] {
                let text = help(name, words).unwrap();
                assert!(text.starts_with(&format!("cargo xtask {name} [")), "{text}");
                assert!(text.contains(value), "{value} in {text}");
                // Its own alone.
                assert_eq!(text.matches("cargo xtask").count(), 1, "{text}");
            }
            assert!(help(name, &[]).is_none() && help(name, &["x", "--helpful"]).is_none());
        }
        assert_eq!(values.len() + 1, TASKS.len());
        assert!(help("bench", &["--help"]).is_none(), "its program tells");
    }

    #[test]
    fn the_usage_names_every_task() {
        for task in &TASKS {
            assert!(usage().contains(&format!("\n  {} {}\n      ", task.name, task.takes)), "{}", task.name);
        }
    }
}
