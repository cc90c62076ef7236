//! The hosts of WASI programs that the tests know: wasmi, and where that cannot be built, wasmtime. No case goes another way
//! under the one than under the other.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cross;
use crate::process;

/// One that `setup` can install, from the crates registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An interpreter, which is built in two minutes.
    Wasmi,
    /// A compiler, which is built in ten.
    Wasmtime,
}

/// The second for where the first cannot be built.
pub(crate) const KINDS: [Kind; 2] = [Kind::Wasmi, Kind::Wasmtime];

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Wasmi => "wasmi",
            Self::Wasmtime => "wasmtime",
        }
    }

    /// The version that the tests know. Wasmtime's later ones pass no sockets in.
    const fn version(self) -> &'static str {
        match self {
            Self::Wasmi => "2.0.0",
            Self::Wasmtime => "46.0.3",
        }
    }

    const fn package(self) -> &'static str {
        match self {
            Self::Wasmi => "wasmi_cli",
            Self::Wasmtime => "wasmtime-cli",
        }
    }

    /// What installs it into ours in the user's cache. Optimised, as the package's own profile has it: wasmi jumps from one
    /// instruction to the next by tail calls, which only optimised code has; without them it is ten times slower, or runs
    /// out of stack.
    pub(crate) fn install(self, cache: &Path) -> Command {
        let mut command = Command::new("cargo");
        command.args(["install", "--quiet", "--locked", self.package(), "--version", self.version()]);
        if self == Self::Wasmtime {
            // Of its many parts those that run and compile programs; and what it takes to optimise across hundreds of
            // crates is never earned back.
            command.args(["--no-default-features", "--features", "run,compile,parallel-compilation"]);
            command.env("CARGO_PROFILE_RELEASE_LTO", "off");
        }
        command.arg("--force").arg("--root").arg(cache.join(self.name()));
        command.env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS");
        command
    }

    /// The one that is installed, if it runs and is of this version.
    pub(crate) fn installed(self, cache: &Path) -> Option<Host> {
        let program = cache.join(self.name()).join("bin").join(self.name());
        let output = Command::new(&program).arg("--version").stdin(Stdio::null()).output().ok()?;
        let said = String::from_utf8_lossy(&output.stdout);
        said.split_whitespace().any(|word| word == self.version()).then_some(Host { kind: self, program })
    }
}

/// Names the one that is to be taken where both are installed.
fn choice(cache: &Path) -> PathBuf {
    cache.join("wasi-host")
}

/// Has `kind` be the one that is taken, as long as it is installed.
///
/// # Errors
/// When the cache cannot be written to.
pub(crate) fn choose(kind: Kind, cache: &Path) -> Result<()> {
    std::fs::write(choice(cache), kind.name()).context("cannot write into the cache")
}

/// Its name and the version that the tests know.
pub(crate) fn versioned(kind: Kind) -> String {
    format!("{kind} {}", kind.version())
}

/// Where `setup` leaves the reason why it could install none.
pub(crate) fn failure_file(cache: &Path) -> PathBuf {
    cache.join("wasi-host-failure")
}

/// One that is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    kind: Kind,
    program: PathBuf,
}

impl Host {
    /// The one that was chosen if it is there, or else the first that is.
    ///
    /// # Errors
    /// That none is there.
    pub(crate) fn find() -> Result<Self> {
        Self::find_in(&cross::cache()?)
    }

    /// The same in this cache.
    pub(crate) fn find_in(cache: &Path) -> Result<Self> {
        let chosen = std::fs::read_to_string(choice(cache)).unwrap_or_default();
        let mut kinds = KINDS;
        // The rest stays in its order.
        kinds.sort_by_key(|kind| kind.name() != chosen);
        if let Some(host) = kinds.into_iter().find_map(|kind| kind.installed(cache)) {
            return Ok(host);
        }
        let known = KINDS.map(versioned).join(" or ");
        let reason = std::fs::read_to_string(failure_file(cache)).unwrap_or_default();
        let reason = if reason.is_empty() { reason } else { format!(" ({})", reason.trim()) };
        bail!("what runs WASI programs, {known}, is missing; `cargo xtask setup` installs it{reason}")
    }

    /// Its name and version.
    pub(crate) fn name(&self) -> String {
        versioned(self.kind)
    }

    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// What it begins a run with. Of wasmtime's two WASIs the older one passes sockets in; and it is given what it has
    /// compiled.
    pub(crate) const fn options(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Wasmi => &["run"],
            Kind::Wasmtime => &["run", "-Spreview2=n", "--allow-precompiled"],
        }
    }

    /// The option before the address of a listener that is passed in.
    pub(crate) const fn listener(&self) -> &'static str {
        match self.kind {
            Kind::Wasmi => "--tcplisten=",
            Kind::Wasmtime => "-Stcplisten=",
        }
    }

    /// Runs a program, once its options are complete: `--dir FOLDER` and `--env NAME=VALUE` are the same everywhere.
    pub(crate) fn run(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(self.options());
        command
    }

    /// What of `program` is to be run: itself, or what it is compiled to, once for all its runs.
    ///
    /// # Errors
    /// When it cannot be compiled.
    pub(crate) fn prepare(&self, program: &Path) -> Result<PathBuf> {
        if self.kind == Kind::Wasmi {
            return Ok(program.to_path_buf());
        }
        let compiled = program.with_extension("cwasm");
        let mut command = Command::new(&self.program);
        command.arg("compile").arg(program).arg("--output").arg(&compiled);
        process::run(&mut command)?;
        Ok(compiled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn install(scratch: &Scratch, kind: Kind, version: &str) {
        let name = kind.name();
        let script = format!("#!/bin/sh\n[ \"$1\" = --version ] && echo {name} {version} of today\n");
        scratch.program(&format!("{name}/bin/{name}"), &script);
    }

    #[test]
    fn the_first_that_is_there_is_taken_unless_another_was_chosen() {
        let scratch = Scratch::new();
        let found = || Host::find_in(scratch.path()).map(|host| host.kind);
        let error = found().unwrap_err().to_string();
        assert!(error.contains("wasmi 2") && error.contains("or wasmtime 46"), "{error}");
        install(&scratch, Kind::Wasmtime, "50.0.1");
        assert!(found().is_err(), "of another version");
        install(&scratch, Kind::Wasmtime, Kind::Wasmtime.version());
        assert_eq!(found().unwrap(), Kind::Wasmtime);
        choose(Kind::Wasmi, scratch.path()).unwrap();
        assert_eq!(found().unwrap(), Kind::Wasmtime);
        install(&scratch, Kind::Wasmi, Kind::Wasmi.version());
        assert_eq!(found().unwrap(), Kind::Wasmi);
        choose(Kind::Wasmtime, scratch.path()).unwrap();
        assert_eq!(found().unwrap(), Kind::Wasmtime);
        std::fs::remove_file(choice(scratch.path())).unwrap();
        assert_eq!(found().unwrap(), Kind::Wasmi);
    }

    #[test]
    fn each_is_installed_by_its_package_in_the_version_that_is_known() {
        for kind in KINDS {
            let command = kind.install(Path::new("/there"));
            let arguments: Vec<_> = command.get_args().map(|each| each.to_string_lossy()).collect();
            let line = arguments.join(" ");
            assert!(line.contains(&format!("{} --version {}", kind.package(), kind.version())), "{line}");
            assert!(line.ends_with(&format!("--force --root /there/{kind}")), "{line}");
            assert!(line.contains("--locked"), "{line}");
        }
    }

    #[test]
    fn what_is_compiled_before_lies_beside_the_program() {
        let scratch = Scratch::new();
        let script = "#!/bin/sh\n[ \"$1\" = compile ] && cp \"$2\" \"$4\" 2>/dev/null\n";
        let host = |kind| Host { kind, program: scratch.program("host", script) };
        let program = scratch.write("x.wasm", "a program");
        assert_eq!(host(Kind::Wasmi).prepare(&program).unwrap(), program);
        let compiled = host(Kind::Wasmtime).prepare(&program).unwrap();
        assert_eq!(compiled, scratch.path().join("x.cwasm"));
        assert_eq!(std::fs::read_to_string(compiled).unwrap(), "a program");
        assert!(host(Kind::Wasmtime).prepare(&scratch.path().join("none.wasm")).is_err());
    }
}
