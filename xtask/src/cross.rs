//! Builds for the systems of the other backends: the toolchain that `setup` makes for them, and the linker.
//!
//! Both lie in the user's cache, outside the checkout, so that all checkouts share them and `cargo clean` leaves them.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::libkqueue;
use crate::setup::NIGHTLY;
use crate::workspace::Workspace;

/// What WASI programs are built for.
pub(crate) const WASI: &str = "wasm32-wasip1";

/// The systems with kqueue. Their code is checked here, not linked: the toolchain has no more than the metadata of their
/// standard libraries.
pub(crate) const KQUEUE: [&str; 4] =
    ["aarch64-apple-darwin", "x86_64-unknown-freebsd", "x86_64-unknown-netbsd", "x86_64-unknown-openbsd"];

/// The linker that has other systems' libraries, and what has cargo use it: packages of PyPI's, with the versions that were
/// seen to fit each other.
pub(crate) const LINKER_PACKAGES: [&str; 2] = ["ziglang==0.17.1", "cargo-zigbuild==0.24.1"];

/// What the cargo that runs us has set for its own toolchain, and what would change a standard library.
const INHERITED: [&str; 9] = [
    libkqueue::VARIABLE,
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
        if stamp.is_empty() || stamp != made_of() {
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

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the source of the standard library lies: cargo builds it for systems of which nothing is there to link with.
    pub(crate) fn source(&self) -> PathBuf {
        self.folder.join("lib/rustlib/src/rust/library")
    }

    /// Where WASI's own libc and start files lie.
    pub(crate) fn start_files(&self) -> PathBuf {
        self.libraries(WASI).join("self-contained")
    }

    /// Says that its compiler is Debian's, and where in the toolchain that has its shared libraries.
    pub(crate) fn debians(&self) -> PathBuf {
        self.folder.join("debians")
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
        if let Ok(libraries) = std::fs::read_to_string(self.debians()) {
            // Of its library it knows what nightly knows, once it is told to.
            command.env("RUSTC_BOOTSTRAP", "1").env("LD_LIBRARY_PATH", self.folder.join(libraries));
        }
        command.env("PATH", path_with(&programs, std::env::var_os("PATH").as_deref()));
        command
    }
}

/// The linker for other systems, as `setup` has installed it: for `link-check` alone.
#[derive(Debug)]
pub(crate) struct Linker {
    folder: PathBuf,
}

impl Linker {
    /// # Errors
    /// That it is missing, or of other versions.
    pub(crate) fn find() -> Result<Self> {
        let linker = Self::at(cache()?.join("linker"));
        ensure!(
            linker.is_whole(),
            "the linker for other systems is missing; `cargo xtask link-check --setup` installs it"
        );
        Ok(linker)
    }

    pub(crate) fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Says what it is made of, once it is whole.
    pub(crate) fn stamp(&self) -> PathBuf {
        self.folder.join("made-of")
    }

    /// What the stamp is to say.
    pub(crate) fn made_of() -> String {
        LINKER_PACKAGES.join("\n")
    }

    fn is_whole(&self) -> bool {
        std::fs::read_to_string(self.stamp()).is_ok_and(|stamp| stamp == Self::made_of())
    }

    /// The toolchain's cargo, about to build with this linker, into a folder of its own: the standard library too, of which
    /// the toolchain has no more than the metadata. What is to be built for what is to be added.
    pub(crate) fn build(&self, toolchain: &Toolchain, workspace: &Workspace) -> Command {
        let mut command = toolchain.bare_cargo();
        // Found as cargo finds its subcommands.
        let programs = self.folder.join("bin");
        let path = command.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, path)| path);
        let path = path_with(&programs, path);
        command.env("PATH", path).env("CARGO_ZIGBUILD_ZIG_PATH", self.folder.join("ziglang/zig"));
        command.args(["zigbuild", "--quiet", "-Zbuild-std=std,panic_abort"]).current_dir(workspace.root());
        command.env("CARGO_TARGET_DIR", workspace.target("link-check"));
        // Nothing of it is run, so nothing of it is debugged.
        command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_INCREMENTAL", "0");
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

/// What the toolchain's stamp is to say: which nightly there was, to the commit, also where it was not made of that.
pub(crate) fn made_of() -> String {
    nightly(&["--version", "--verbose"]).unwrap_or_else(|_| format!("there is no toolchain `{NIGHTLY}`"))
}

/// What nightly's compiler answers.
pub(crate) fn nightly(arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("rustup");
    command.args(["run", NIGHTLY, "rustc"]).args(arguments).stdin(Stdio::null());
    let output = command.output().context("cannot start rustup")?;
    ensure!(output.status.success(), "there is no toolchain `{NIGHTLY}`");
    String::from_utf8(output.stdout).context("the compiler's answer is no text")
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
    fn debians_compiler_finds_its_libraries_and_may_do_what_nightly_may() {
        let scratch = crate::scratch::Scratch::new();
        let toolchain = Toolchain::at(scratch.path());
        let bootstrap = |command: Command| command.get_envs().any(|(name, _)| name == "RUSTC_BOOTSTRAP");
        assert!(!bootstrap(toolchain.bare_cargo()));
        scratch.write("debians", "lib/somewhere");
        let command = toolchain.bare_cargo();
        let searched = command.get_envs().find(|(name, _)| *name == "LD_LIBRARY_PATH");
        assert_eq!(searched.unwrap().1.unwrap(), scratch.path().join("lib/somewhere").as_os_str());
        assert!(bootstrap(command));
    }

    #[test]
    fn a_linker_is_whole_once_it_is_stamped_with_these_versions() {
        let scratch = crate::scratch::Scratch::new();
        let linker = Linker::at(scratch.path());
        assert!(!linker.is_whole());
        scratch.write("made-of", "ziglang==0.1");
        assert!(!linker.is_whole());
        scratch.write("made-of", &Linker::made_of());
        assert!(linker.is_whole());
    }

    #[test]
    fn what_is_linked_is_built_by_the_toolchain_with_the_linkers_programs_first() {
        let (toolchain, linker) = (Toolchain::at("/toolchain"), Linker::at("/linker"));
        let command = linker.build(&toolchain, &Workspace::at("/checkout"));
        let variable =
            |name: &str| command.get_envs().find(|(each, _)| *each == name).and_then(|(_, value)| value);
        assert_eq!(command.get_program(), "/toolchain/bin/cargo");
        assert!(
            variable("PATH").unwrap().to_string_lossy().starts_with("/linker/bin:/toolchain/bin"),
            "{:?}",
            variable("PATH")
        );
        assert!(variable("CARGO_TARGET_DIR").unwrap().to_string_lossy().ends_with("/link-check"));
        assert_eq!(variable("CARGO_ZIGBUILD_ZIG_PATH").unwrap(), "/linker/ziglang/zig");
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
