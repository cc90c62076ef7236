//! Builds for the systems of the other backends: the toolchain that `setup` makes for them, and the host of WASI programs.
//!
//! Both lie in the user's cache, outside the checkout, so that all checkouts share them and `cargo clean` leaves them.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::setup::NIGHTLY;
use crate::workspace::Workspace;

/// What WASI programs are built for.
pub(crate) const WASI: &str = "wasm32-wasip1";

/// The systems with kqueue. Their code is checked here, not linked: the toolchain has no more than the metadata of their
/// standard libraries.
pub(crate) const KQUEUE: [&str; 4] =
    ["aarch64-apple-darwin", "x86_64-unknown-freebsd", "x86_64-unknown-netbsd", "x86_64-unknown-openbsd"];

/// The version of the runner that the tests know.
pub(crate) const RUNNER_VERSION: &str = "2.0.0";

/// What the cargo that runs us has set for its own toolchain, and what would change a standard library.
const INHERITED: [&str; 8] = [
    "CARGO",
    "RUSTC",
    "RUSTDOC",
    "RUSTUP_TOOLCHAIN",
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
];

/// Ours in the user's cache.
pub(crate) fn cache() -> Result<PathBuf> {
    cache_of(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"))
        .context("there is neither XDG_CACHE_HOME nor HOME, so no cache")
}

fn cache_of(xdg: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let xdg = xdg.map(PathBuf::from).filter(|folder| folder.is_absolute());
    let home = home.map(PathBuf::from).filter(|folder| folder.is_absolute());
    Some(xdg.or_else(|| home.map(|home| home.join(".cache")))?.join("proactor"))
}

/// A toolchain whose standard libraries for the other systems are there.
#[derive(Clone, Debug)]
pub(crate) struct Toolchain {
    folder: PathBuf,
}

impl Toolchain {
    /// The one that `setup` has made, if it is of today's nightly.
    pub(crate) fn find() -> Result<Self> {
        let cache = cache()?;
        let toolchain = Self::at(cache.join("toolchain"));
        let stamp = std::fs::read_to_string(toolchain.stamp()).unwrap_or_default();
        if stamp.is_empty() || stamp != nightly_version()? {
            let state = if stamp.is_empty() { "missing" } else { "of another nightly" };
            let reason = std::fs::read_to_string(failure_file(&cache)).unwrap_or_default();
            let reason = if reason.is_empty() { reason } else { format!(" ({})", reason.trim()) };
            bail!("the toolchain for other systems is {state}; `cargo xtask setup` makes it{reason}");
        }
        Ok(toolchain)
    }

    pub(crate) fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Says what it was made of, once it is whole.
    pub(crate) fn stamp(&self) -> PathBuf {
        self.folder.join("made-of")
    }

    /// Where the standard library for a target lies.
    pub(crate) fn libraries(&self, target: &str) -> PathBuf {
        self.folder.join("lib/rustlib").join(target).join("lib")
    }

    /// Its cargo, to which a subcommand is to be added. It builds for `target`, into the folder that all other targets
    /// share, so no `--target` is needed.
    pub(crate) fn cargo(&self, workspace: &Workspace, target: &str) -> Command {
        let mut command = self.bare_cargo();
        command.current_dir(workspace.root());
        command.env("CARGO_BUILD_TARGET", target).env("CARGO_TARGET_DIR", workspace.target("cross"));
        command
    }

    /// Its cargo, for whatever and wherever.
    pub(crate) fn bare_cargo(&self) -> Command {
        let programs = self.folder.join("bin");
        let mut command = Command::new(programs.join("cargo"));
        for variable in INHERITED {
            command.env_remove(variable);
        }
        command.env("RUSTC", programs.join("rustc")).env("RUSTDOC", programs.join("rustdoc"));
        command.env("PATH", path_with(&programs, std::env::var_os("PATH").as_deref()));
        command
    }
}

fn path_with(first: &Path, rest: Option<&OsStr>) -> OsString {
    let mut path = OsString::from(first);
    if let Some(rest) = rest {
        path.push(":");
        path.push(rest);
    }
    path
}

/// Where `setup` leaves the reason why it could not make the toolchain.
pub(crate) fn failure_file(cache: &Path) -> PathBuf {
    cache.join("toolchain-failure")
}

/// Which nightly there is, to the commit.
pub(crate) fn nightly_version() -> Result<String> {
    nightly(&["--version", "--verbose"])
}

/// What nightly's compiler answers.
pub(crate) fn nightly(arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("rustup");
    command.args(["run", NIGHTLY, "rustc"]).args(arguments).stdin(Stdio::null());
    let output = command.output().context("cannot start rustup")?;
    ensure!(output.status.success(), "there is no toolchain `{NIGHTLY}`");
    String::from_utf8(output.stdout).context("the compiler's answer is no text")
}

/// The program that runs WASI programs: `wasmi run --dir DIR [--tcplisten 127.0.0.1:PORT] PROGRAM`.
pub(crate) fn wasm_runner() -> Result<PathBuf> {
    let program = cache()?.join("wasmi/bin/wasmi");
    let output = Command::new(&program).arg("--version").stdin(Stdio::null()).output();
    let version = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    ensure!(
        version.is_ok_and(|version| version.split_whitespace().any(|word| word == RUNNER_VERSION)),
        "wasmi {RUNNER_VERSION}, which runs WASI programs, is missing; `cargo xtask setup` installs it"
    );
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_where_the_user_wants_it() {
        let xdg = || Some(OsString::from("/xdg"));
        let home = || Some(OsString::from("/home/user"));
        assert_eq!(cache_of(xdg(), home()).unwrap(), Path::new("/xdg/proactor"));
        assert_eq!(cache_of(None, home()).unwrap(), Path::new("/home/user/.cache/proactor"));
        // Neither a relative nor an empty one counts.
        assert_eq!(cache_of(Some("".into()), home()).unwrap(), Path::new("/home/user/.cache/proactor"));
        assert_eq!(cache_of(Some("xdg".into()), home()).unwrap(), Path::new("/home/user/.cache/proactor"));
        assert_eq!(cache_of(None, None), None);
    }

    #[test]
    fn a_build_for_another_system_uses_the_toolchains_own_programs_and_folder() {
        let toolchain = Toolchain::at("/toolchain");
        let command = toolchain.cargo(&Workspace::at("/checkout"), WASI);
        let variable =
            |name: &str| command.get_envs().find(|(each, _)| *each == name).and_then(|(_, value)| value);
        assert_eq!(command.get_program(), "/toolchain/bin/cargo");
        assert_eq!(command.get_current_dir(), Some(Path::new("/checkout")));
        assert_eq!(variable("RUSTC").unwrap(), "/toolchain/bin/rustc");
        assert_eq!(variable("CARGO_BUILD_TARGET").unwrap(), WASI);
        assert!(variable("CARGO_TARGET_DIR").unwrap().to_string_lossy().ends_with("/cross"));
        assert!(variable("PATH").unwrap().to_string_lossy().starts_with("/toolchain/bin"));
        assert_eq!(variable("RUSTFLAGS"), None);
    }
}
