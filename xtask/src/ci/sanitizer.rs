//! The tests of all crates and the suites of sim, epoll and io_uring, built with the address sanitizer: it ends a program at
//! the first wrong access, and at its end for what leaked.

use std::process::Command;

use anyhow::{Result, bail, ensure};

use crate::conformance::{self, Backend};
use crate::executables::{self, Executable, Programs};
use crate::libkqueue;
use crate::setup;
use crate::side_by_side;
use crate::test_all::CONFORMANCE;
use crate::wasi;
use crate::workspace::Workspace;

/// How many times slower a case may be under the sanitizer.
const PATIENCE: u32 = 5;
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Each access is checked by a call. To write the check out at each takes the compiler a quarter longer, and makes what is so
/// little optimised no faster.
const FLAGS: &str =
    "-Zsanitizer=address -Cllvm-args=-asan-instrumentation-with-call-threshold=0 --cfg sanitized";

/// What is not built: the tasks have nothing unsafe, and the floors of the benchmarks leak what the kernel may write to, on
/// purpose.
const UNCONCERNED: [&str; 2] = ["xtask", "proactor-bench"];

/// Whose suite is not run: WASI's is for other programs than those of this system, and kqueue's would take longest and show
/// nothing, as all that is its own here is the emulation, whose memory is safe code's. What it shares, epoll's suite runs. Its
/// program is empty then (`cfg(sanitized)`).
const WITHOUT_SUITE: [&str; 2] = [wasi::FOLDER, "crates/kqueue"];

pub(super) fn run(workspace: &Workspace) -> Result<()> {
    let mut programs = build(workspace)?;
    let has_suite = |program: &Executable| !WITHOUT_SUITE.iter().any(|folder| program.folder == **folder);
    programs.retain(|program| program.target != CONFORMANCE || has_suite(program));
    // The suites take longest, so what is short comes last and fills what is left.
    programs.sort_by_key(|program| program.target != CONFORMANCE);
    let backends = conformance::expected(workspace.root());
    let failed = failures(&programs, |program| run_one(workspace, program, &backends));
    ensure!(failed.is_empty(), "{}", failed.join("; "));
    Ok(())
}

fn build(workspace: &Workspace) -> Result<Vec<Executable>> {
    setup::NIGHTLY_TOOLCHAIN.require()?;
    let mut command = Command::new("rustup");
    command.args(["run", setup::NIGHTLY, "cargo", "test", "--workspace", "--tests", "--no-run"]);
    for package in UNCONCERNED {
        command.args(["--exclude", package]);
    }
    command.args(["--target", TARGET]).current_dir(workspace.root());
    command.env("RUSTFLAGS", FLAGS).env("CARGO_TARGET_DIR", workspace.target("sanitizer"));
    // The gate builds it once, on a new machine: what a second build would be spared is not worth writing down.
    command.env("CARGO_INCREMENTAL", "0");
    // Set by the cargo that runs us, for its own toolchain; and what is tested is the emulation.
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN", libkqueue::VARIABLE] {
        command.env_remove(variable);
    }
    let programs = executables::build(workspace, &mut command, Programs::Tests)?;
    // Frames on a stack of the sanitizer's own would look like depth to the cases that measure depth. And what no memory is
    // there for is to be refused, as the system's allocator refuses it.
    let options = "detect_stack_use_after_return=0:allocator_may_return_null=1";
    Ok(programs.into_iter().map(|program| program.with("ASAN_OPTIONS", options).beside_others()).collect())
}

/// Runs each program; gives those that failed, and why.
fn failures(programs: &[Executable], run: impl Fn(&Executable) -> Result<()> + Sync) -> Vec<String> {
    let failure = |program: &Executable| {
        let error = run(program).err()?;
        Some(format!("{} of {}: {error:#}", program.target, program.folder.display()))
    };
    side_by_side::each(side_by_side::PROGRAMS, programs, failure).into_iter().flatten().collect()
}

fn run_one(workspace: &Workspace, program: &Executable, backends: &[Backend]) -> Result<()> {
    let backend = backends.iter().find(|backend| program.folder == *backend.folder);
    if let (Some(backend), CONFORMANCE) = (backend, program.target.as_str()) {
        let report = workspace.target(&format!("sanitizer/conformance/{}.json", backend.name));
        let (finished, cases) = conformance::run_all(program, &report, PATIENCE)?;
        if cases.is_empty() || !finished.end.success() {
            bail!("{} cases, {}", cases.len(), finished.end);
        }
        return Ok(());
    }
    let finished = program.run(&mut program.command())?;
    ensure!(finished.end.success(), "{}", finished.end);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_is_told() {
        let program = |name: &str| Executable::for_test("crates/x", name, format!("/nowhere/{name}").into());
        let programs = ["one", "two", "three", "four", "five"].map(program);
        let failed = failures(&programs, |program| {
            ensure!(!program.target.starts_with('t'), "leaks");
            Ok(())
        });
        assert_eq!(failed, ["two of crates/x: leaks", "three of crates/x: leaks"]);
    }
}
