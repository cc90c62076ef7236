//! The code of the backends for other systems, tests included, read by the compiler and by clippy for those systems.

use anyhow::{Result, bail};

use crate::cross::{KQUEUE, Toolchain, WASI};
use crate::process;
use crate::workspace::Workspace;

/// What the backends of every system are made of.
const SHARED: [&str; 4] = ["proactor-core", "proactor-system", "proactor-readiness", "proactor-conformance"];

/// What else there is on a system with kqueue: `test-all` runs there, and builds it.
const BESIDE_KQUEUE: [&str; 4] =
    ["proactor-kqueue", "proactor-sim", "proactor-kqueue-emulation", "proactor-examples-kqueue"];

/// And `test-all` itself: apart, since the features that it needs of others would have the cases read once more.
const TASKS: [&str; 1] = ["xtask"];

/// What is read of which packages.
type Reading = (&'static [&'static str], &'static [&'static str]);

/// For systems with kqueue; the examples are built there alone, and asked for by a feature.
const FOR_KQUEUE: [Reading; 3] = [
    (&["--all-targets"], &SHARED),
    (&["--all-targets", "--features", "proactor-examples-kqueue/kqueue"], &BESIDE_KQUEUE),
    (&["--all-targets"], &TASKS),
];

/// For WASI: the tests of what is shared are for systems with threads and processes. The examples are asked for by a feature.
const FOR_WASI: [Reading; 4] = [
    (&["--lib"], &SHARED),
    (&["--all-targets"], &["proactor-wasi"]),
    (&["--bins", "--features", "proactor-examples-wasi/wasi"], &["proactor-examples-wasi"]),
    (&["--bin=proactor-bench-wasi"], &["proactor-bench"]),
];

/// The crate of a backend, and the systems that it is for.
const BACKENDS: [(&str, &[&str]); 2] = [("kqueue", &KQUEUE), ("wasi", &[WASI])];

pub(super) fn run(workspace: &Workspace) -> Result<()> {
    let toolchain = Toolchain::find()?;
    let mut failed = Vec::new();
    for (backend, targets) in backends(workspace) {
        let readings: &[Reading] = if targets == [WASI] { &FOR_WASI } else { &FOR_KQUEUE };
        for (what, packages) in readings {
            // One after the other the systems would each wait for their own longest crate.
            let mut command = toolchain.cargo(workspace, targets[0]);
            command.args(["clippy", "--keep-going"]).args(*what);
            for target in targets {
                command.args(["--target", target]);
            }
            for package in *packages {
                command.args(["--package", package]);
            }
            // Nothing of it is run, so nothing of it is debugged.
            command.args(["--", "--deny", "warnings"]).env("CARGO_PROFILE_DEV_DEBUG", "0");
            if let Err(error) = process::run(&mut command) {
                failed.push(format!("{backend}: {error:#}"));
            }
        }
    }
    if !failed.is_empty() {
        bail!("{}", failed.join("; "));
    }
    Ok(())
}

/// Those of which this checkout has the crate.
fn backends(workspace: &Workspace) -> Vec<(&'static str, &'static [&'static str])> {
    let exists = |backend: &str| workspace.path(format!("crates/{backend}/Cargo.toml")).exists();
    BACKENDS.into_iter().filter(|(backend, _)| exists(backend)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_backend_is_read_once_its_crate_exists() {
        let scratch = Scratch::new();
        let workspace = Workspace::at(scratch.path());
        assert_eq!(backends(&workspace), []);
        scratch.write("crates/wasi/Cargo.toml", "");
        assert_eq!(backends(&workspace), [("wasi", [WASI].as_slice())]);
    }
}
