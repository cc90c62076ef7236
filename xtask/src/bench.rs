//! `bench`: builds the benchmark programs with full optimisation and hands all arguments to the one that runs here, which is
//! told of the runtime under which the one of WASI runs.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::Colour;
use crate::cross::{Toolchain, WASI};
use crate::executables::{self, Programs};
use crate::wasi::Host;
use crate::workspace::Workspace;

const PACKAGE: &str = "proactor-bench";

/// The program that runs under a runtime of WASI.
const OF_WASI: &str = "proactor-bench-wasi";

/// What the benchmark program is told by: the runtime, the arguments that a run of it begins with, its option for a listener, what
/// it is called, and the program for it.
const RUNNER_VARIABLE: &str = "PROACTOR_BENCH_WASI_RUNNER";
const OPTIONS_VARIABLE: &str = "PROACTOR_BENCH_WASI_OPTIONS";
const LISTENER_VARIABLE: &str = "PROACTOR_BENCH_WASI_LISTENER";
const NAME_VARIABLE: &str = "PROACTOR_BENCH_WASI_RUNTIME";
const PROGRAM_VARIABLE: &str = "PROACTOR_BENCH_WASI_PROGRAM";

pub(crate) fn main(workspace: &Workspace, arguments: impl Iterator<Item = OsString>) -> Result<Colour> {
    let arguments: Vec<OsString> = arguments.collect();
    let mut command = workspace.cargo();
    command.args(["run", "--release", "--package", PACKAGE, "--manifest-path"]);
    command.arg(workspace.path("Cargo.toml")).arg("--").args(&arguments);
    if wants_wasi(&arguments) {
        match build(workspace) {
            Ok((host, program)) => {
                command.env(RUNNER_VARIABLE, host.program()).env(PROGRAM_VARIABLE, program);
                command.env(OPTIONS_VARIABLE, host.options().join(" "));
                command.env(LISTENER_VARIABLE, host.listener());
                command.env(NAME_VARIABLE, host.name());
            }
            Err(error) => eprintln!("wasi is left out: {error:#}"),
        }
    }
    // Paths among the arguments are the user's, seen from where the user stands.
    command.current_dir(std::env::current_dir().context("the current folder cannot be named")?);
    let status = command.status().context("cannot start cargo")?;
    Ok(Colour::red_if(!status.success()))
}

/// Whether what is asked for may have programs of WASI.
fn wants_wasi(arguments: &[OsString]) -> bool {
    let is = |text: &'static str| move |argument: &&OsString| *argument == OsStr::new(text);
    let others = ["counts", "child", "--help", "-h"];
    if others.into_iter().any(|other| arguments.iter().any(|argument| is(other)(&argument))) {
        return false;
    }
    !arguments.iter().any(|argument| is("--backend")(&argument))
        || arguments.iter().any(|argument| is("wasi")(&argument))
}

/// Builds the program, and finds the runtime.
fn build(workspace: &Workspace) -> Result<(Host, PathBuf)> {
    let host = Host::find()?;
    let mut command = Toolchain::find()?.cargo(workspace, WASI);
    command.args(["build", "--quiet", "--release", "--package", PACKAGE, "--bin", OF_WASI]);
    // The toolchain's standard library has nothing that could be optimised at link time.
    command.env("CARGO_PROFILE_RELEASE_LTO", "false");
    let programs = executables::build(workspace, &mut command, Programs::Ordinary)?;
    let program = programs.into_iter().next().context("cargo built no program")?;
    let program = host.prepare(&program.path)?;
    Ok((host, program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wasi_is_built_where_its_rows_are_wanted() {
        let wanted =
            |line: &str| wants_wasi(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>());
        assert!(wanted("") && wanted("timers --runs 3") && wanted("--backend wasi"));
        assert!(wanted("--backend epoll --backend wasi"));
        assert!(!wanted("--backend epoll") && !wanted("counts --assert") && !wanted("--help"));
    }
}
