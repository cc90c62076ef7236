//! What the tasks need beside cargo, what of it this machine lacks, and how to get it.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

mod linker;
mod packages;
mod toolchain;

use crate::Colour;
use crate::cross;
use crate::process;

/// The toolchain of the address sanitizer: a flag that only nightly has.
pub(crate) const NIGHTLY: &str = "nightly";

/// One thing that a task needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    needed_by: &'static str,
    probe: Probe,
    source: Source,
}

/// How one sees whether a tool is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    /// A command succeeds.
    Runs(&'static [&'static str]),
    /// The toolchain for other systems is found.
    Toolchain,
    /// The host of WASI programs is found.
    Runner,
    /// The linker for other systems is found.
    Linker,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// A package of Debian's and its relatives'.
    Package(&'static str),
    /// Arguments of rustup.
    Rustup(&'static [&'static str]),
    /// Made here, from nightly.
    Toolchain,
    /// Built here, by cargo.
    Runner,
    /// Packages of PyPI's.
    Linker,
}

pub(crate) const VALGRIND: Tool = Tool {
    name: "valgrind",
    needed_by: "counts",
    probe: Probe::Runs(&["valgrind", "--version"]),
    source: Source::Package("valgrind"),
};
pub(crate) const STRACE: Tool = Tool {
    name: "strace",
    needed_by: "counts",
    probe: Probe::Runs(&["strace", "--version"]),
    source: Source::Package("strace"),
};
pub(crate) const CURL: Tool = Tool {
    name: "curl",
    needed_by: "examples",
    probe: Probe::Runs(&["curl", "--version"]),
    source: Source::Package("curl"),
};
/// Answers to a question for its version with its usage, and status 1.
pub(crate) const WRK: Tool = Tool {
    name: "wrk",
    needed_by: "examples",
    probe: Probe::Runs(&["sh", "-c", "command -v wrk"]),
    source: Source::Package("wrk"),
};
pub(crate) const RUSTFMT: Tool = Tool {
    name: "rustfmt",
    needed_by: "fmt",
    probe: Probe::Runs(&["cargo", "fmt", "--version"]),
    source: Source::Rustup(&["component", "add", "rustfmt"]),
};
pub(crate) const CLIPPY: Tool = Tool {
    name: "clippy",
    needed_by: "clippy",
    probe: Probe::Runs(&["cargo", "clippy", "--version"]),
    source: Source::Rustup(&["component", "add", "clippy"]),
};
pub(crate) const NIGHTLY_TOOLCHAIN: Tool = Tool {
    name: "the nightly toolchain",
    needed_by: "address-sanitizer",
    probe: Probe::Runs(&["rustup", "run", NIGHTLY, "rustc", "--version"]),
    source: Source::Rustup(&["toolchain", "install", NIGHTLY, "--profile", "minimal"]),
};

pub(crate) const CROSS_TOOLCHAIN: Tool = Tool {
    name: "the toolchain for other systems",
    needed_by: "cross, the backend wasi",
    probe: Probe::Toolchain,
    source: Source::Toolchain,
};
pub(crate) const WASI_RUNNER: Tool =
    Tool { name: "wasmi", needed_by: "the backend wasi", probe: Probe::Runner, source: Source::Runner };

pub(crate) const LINKER: Tool = Tool {
    name: "the linker for other systems",
    needed_by: "link-check",
    probe: Probe::Linker,
    source: Source::Linker,
};

/// What is installed on demand alone: the task that the rest of the machine's tools are not for.
pub(crate) const FOR_LINKING: [Tool; 3] = [NIGHTLY_TOOLCHAIN, CROSS_TOOLCHAIN, LINKER];

/// What is made from another comes after it.
const TOOLS: [Tool; 9] =
    [RUSTFMT, CLIPPY, NIGHTLY_TOOLCHAIN, VALGRIND, STRACE, CURL, WRK, CROSS_TOOLCHAIN, WASI_RUNNER];

impl fmt::Display for Tool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (needed by {})", self.name, self.needed_by)
    }
}

impl Tool {
    /// Whether the tool is there and runs.
    pub(crate) fn present(&self) -> bool {
        let [program, arguments @ ..] = (match self.probe {
            Probe::Runs(command) => command,
            Probe::Toolchain => return cross::Toolchain::find().is_ok(),
            Probe::Runner => return cross::wasm_runner().is_ok(),
            Probe::Linker => return cross::Linker::find().is_ok(),
        }) else {
            return false;
        };
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// An error that says what is missing and how to get it.
    pub(crate) fn require(&self) -> Result<()> {
        if !self.present() {
            bail!("{} is missing; `cargo xtask setup` installs it", self.name);
        }
        Ok(())
    }
}

pub(crate) fn main(mut arguments: impl Iterator<Item = OsString>) -> Result<Colour> {
    if let Some(argument) = arguments.next() {
        bail!("setup takes no arguments, not `{}`", argument.to_string_lossy());
    }
    install_missing()?;
    let missing = missing();
    for tool in &missing {
        println!("setup: still missing: {tool}");
    }
    Ok(Colour::red_if(!missing.is_empty()))
}

/// What this machine lacks.
pub(crate) fn missing() -> Vec<Tool> {
    TOOLS.into_iter().filter(|tool| !tool.present()).collect()
}

/// Installs what is missing, as far as that is possible here, and says what it did. What cannot be installed is no
/// error yet: whoever needs it says so.
pub(crate) fn install_missing() -> Result<()> {
    install(&TOOLS)
}

/// The same of these.
pub(crate) fn install(tools: &[Tool]) -> Result<()> {
    let missing: Vec<Tool> = tools.iter().copied().filter(|tool| !tool.present()).collect();
    if missing.is_empty() {
        println!("setup: nothing is missing");
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(Tool::to_string).collect();
    println!("setup: missing: {}", names.join(", "));
    let packages: Vec<&str> = missing
        .iter()
        .filter_map(|tool| match tool.source {
            Source::Package(package) => Some(package),
            _ => None,
        })
        .collect();
    if !packages.is_empty() {
        install_packages(&packages);
    }
    for tool in &missing {
        match tool.source {
            Source::Package(_) => {}
            Source::Rustup(arguments) => attempt(Command::new("rustup").args(arguments)),
            Source::Toolchain => {
                if let Err(error) = toolchain::make() {
                    println!("setup: no toolchain for other systems: {error:#}");
                }
            }
            Source::Runner => attempt(&mut install_runner()?),
            Source::Linker => {
                if let Err(error) = linker::install() {
                    println!("setup: no linker for other systems: {error:#}");
                }
            }
        }
    }
    Ok(())
}

/// With the runner's own profile: its interpreter jumps from one instruction to the next by tail calls, which only optimised
/// code has. Without them it is ten times slower, or runs out of stack.
fn install_runner() -> Result<Command> {
    let mut command = Command::new("cargo");
    command.args([
        "install",
        "--quiet",
        "--locked",
        "wasmi_cli",
        "--version",
        cross::RUNNER_VERSION,
        "--force",
    ]);
    let cache = cross::cache()?;
    command.arg("--root").arg(cache.join("wasmi"));
    command.env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS");
    Ok(command)
}

/// A folder that is gone when this is.
struct Remover(PathBuf);

impl Drop for Remover {
    fn drop(&mut self) {
        // What stays behind costs space alone.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn install_packages(packages: &[&str]) {
    if !Path::new("/usr/bin/apt-get").exists() {
        println!("setup: no apt-get here; install {} with this system's own means", packages.join(", "));
        return;
    }
    // The lists of a fresh machine are often empty; where they cannot be had, the ones that are there may do.
    attempt(Command::new("apt-get").arg("update"));
    let mut install = Command::new("apt-get");
    install.args(["install", "--yes", "--no-install-recommends"]).args(packages);
    attempt(install.env("DEBIAN_FRONTEND", "noninteractive"));
}

fn attempt(command: &mut Command) {
    println!("setup: {}", process::describe(command));
    if let Err(error) = process::run(command) {
        println!("setup: {error:#}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABSENT: Tool = Tool {
        name: "absent",
        needed_by: "nothing",
        probe: Probe::Runs(&["xtask-has-no-such-program"]),
        source: Source::Package("absent"),
    };
    const BROKEN: Tool = Tool { probe: Probe::Runs(&["sh", "-c", "exit 1"]), ..ABSENT };
    const THERE: Tool = Tool { probe: Probe::Runs(&["sh", "-c", "exit 0"]), ..ABSENT };

    #[test]
    fn a_tool_is_there_when_its_probe_succeeds() {
        assert!(!ABSENT.present());
        assert!(!BROKEN.present());
        assert!(THERE.present());
    }

    #[test]
    fn a_missing_tool_is_named() {
        assert!(ABSENT.require().unwrap_err().to_string().contains("absent"));
        assert!(THERE.require().is_ok());
    }
}
