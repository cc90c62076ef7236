//! System calls that a rule bounds: counted from outside, since a process does not know how many it makes.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::cargo;
use crate::executables::{self, Programs};
use crate::process::{self, Echo};
use crate::test_all::CONFORMANCE;
use crate::workspace::Workspace;

/// The child of the case that re-arms a failing accept at once, for 100 ms (contract E3).
const FAILING_ACCEPT: &str = "rearm_a_failing_accept";

/// The crates of the backends that make system calls for it.
const FOLDERS: [&str; 2] = ["crates/epoll", "crates/uring"];

/// What it may make, of which its beginning and its end are up to 350. Put off each time, it tries again some twenty times;
/// at once, it would try many thousands of times.
const CALLS_MAX: u64 = 1000;

const LIMIT: Duration = Duration::from_secs(60);

/// Counts what a failing accept costs.
pub(super) fn of_a_failing_accept(workspace: &Workspace) -> Result<()> {
    // Of the whole workspace, as `test-all` builds them: alone, they would be built again with other features.
    let arguments = ["test", "--no-run", "--workspace", "--test", CONFORMANCE];
    let programs = executables::build(workspace, &mut cargo(workspace, &arguments), Programs::Tests)?;
    for folder in FOLDERS {
        let program = programs.iter().find(|program| program.folder == *folder);
        let program = program.with_context(|| format!("{folder} has no program of cases"))?;
        let summary = workspace.target("failing-accept.calls");
        let mut command = Command::new("strace");
        command.args(["-c", "-f", "-o"]).arg(&summary).arg(&program.path).args(["--child", FAILING_ACCEPT]);
        let finished = process::collect(&mut command, LIMIT, Echo::Quiet)?;
        if !finished.end.success() || !finished.lines.iter().any(|line| line == "accepted") {
            bail!("{FAILING_ACCEPT} of {folder}: {}", finished.end);
        }
        let summary = fs::read_to_string(&summary)?;
        let calls = total(&summary).with_context(|| format!("strace wrote no total:\n{summary}"))?;
        println!("{folder}: {calls} system calls while an accept fails for 100 ms, of {CALLS_MAX} at most");
        if calls > CALLS_MAX {
            bail!("{folder}: {calls} system calls while an accept fails for 100 ms");
        }
    }
    Ok(())
}

/// The last line of strace's table, whose columns are share, seconds, microseconds per call, calls, errors if any, and name.
fn total(summary: &str) -> Option<u64> {
    let line = summary.lines().find(|line| line.ends_with(" total"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_fourth_cell_of_its_line() {
        let table = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
100.00    0.000010           0        20        19 accept4
------ ----------- ----------- --------- --------- ----------------
100.00    0.003989          18       218        20 total
";
        assert_eq!(total(table), Some(218));
        assert_eq!(total(&table.replace(" total", " sum")), None);
    }
}
