//! Those of the examples that WASI has what it takes for, run by a host of such programs; and what a build for another system says.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use super::{EXAMPLES, Example};
use crate::cross::{Toolchain, WASI};
use crate::wasi::{self, Host};
use crate::workspace::Workspace;

const FOLDER: &str = "examples/wasi";

/// The package, and the feature that builds its programs.
const WHAT: [&str; 4] = ["--package", "proactor-examples-wasi", "--features", "wasi"];

const SUFFIX: &str = "-wasi";

/// The names of those that are built.
const NAMES: [&str; 2] = ["copy_file", "timer"];

/// Builds and plays them, for which there have to be a toolchain and a host.
pub(super) fn run(workspace: &Workspace) -> Result<()> {
    says_what_it_is_for(workspace)?;
    let host = Toolchain::find().and_then(|_| Host::find()).context(FOLDER)?;
    let programs = wasi::build_programs(workspace, &host, &WHAT)?;
    super::play(&programs, FOLDER, SUFFIX, of_wasi())
}

fn of_wasi() -> impl Iterator<Item = &'static Example> {
    EXAMPLES.iter().filter(|example| NAMES.contains(&example.name))
}

/// Who leaves out the target is to be told which one it takes.
fn says_what_it_is_for(workspace: &Workspace) -> Result<()> {
    let mut command = workspace.cargo();
    command.args(["build", "--quiet"]).args(WHAT).stdin(Stdio::null());
    let output = command.output().context("cannot start cargo")?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success(), "{FOLDER} was built for this system, where it has no loop");
    ensure!(
        tells_target(&complaints),
        "{FOLDER}, built for this system, does not say for which it is:\n{complaints}"
    );
    println!("{FOLDER}: ok, not built without its target");
    Ok(())
}

fn tells_target(complaints: &str) -> bool {
    let errors = || complaints.lines().filter(|line| line.starts_with("error"));
    let target = format!("`--target {WASI}`");
    errors().any(|line| line.contains(&target) && line.contains("README"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_that_is_built_is_an_example_and_has_its_program() {
        assert_eq!(of_wasi().count(), NAMES.len());
        let manifest = Workspace::here().read(format!("{FOLDER}/Cargo.toml")).unwrap();
        for name in NAMES {
            assert!(manifest.contains(&format!("name = \"{name}{SUFFIX}\"")), "{name}");
        }
        assert_eq!(manifest.matches("[[bin]]").count(), NAMES.len(), "one is built and not run");
    }

    #[test]
    fn the_target_has_to_be_told_in_an_error() {
        let told = "error[E0080]: evaluation panicked: build with `--target wasm32-wasip1`. See the README.";
        assert!(tells_target(told));
        assert!(!tells_target("") && !tells_target("error[E0107]: struct takes 2 generic arguments"));
        assert!(!tells_target("  | build with `--target wasm32-wasip1`. See the README."));
    }
}
