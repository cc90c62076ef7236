//! The project's tasks. `cargo xtask` without a task lists them.
//!
//! Whoever wants to run what the gate runs needs nothing else: the gate is `test-all --setup` and `ci`.

mod bench;
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

use std::process::ExitCode;

use workspace::Workspace;

const USAGE: &str = "\
cargo xtask TASK [ARGUMENT]...

  test-all [--backend NAME]... [--setup] [--json FILE]
                       unit, property and conformance tests of every backend that can run here, and the
                       table of cases by backend; with --backend only what those backends' crates hold;
                       with --setup what is missing on this machine is installed first
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

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let task = arguments.next().map(|task| task.to_string_lossy().into_owned()).unwrap_or_default();
    let workspace = Workspace::here();
    let colour = match task.as_str() {
        "test-all" => test_all::main(&workspace, arguments),
        "bench" => bench::main(&workspace, arguments),
        "ci" => ci::main(&workspace, arguments),
        "tidy" => tidy::main(&workspace, arguments),
        "mutate" => mutate::main(&workspace, arguments),
        "link-check" => link_check::main(&workspace, arguments),
        "setup" => setup::main(arguments),
        "" | "help" | "--help" | "-h" => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
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
