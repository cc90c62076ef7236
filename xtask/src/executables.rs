//! The workspace's test programs: built once, all together, and then run one by one.
//!
//! Building all of them in one command gives every crate one set of dependency features, so nothing is compiled twice;
//! running them ourselves gives each a name, a deadline and its own environment.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::process::{self, Echo, Finished};
use crate::wasi::Host;
use crate::workspace::Workspace;

/// How long one test program may run. The suites take seconds; this is for what hangs.
const LIMIT: Duration = Duration::from_secs(600);

/// One test program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Executable {
    /// The folder of its package, relative to the workspace: `crates/epoll`.
    pub(crate) folder: PathBuf,
    /// Its target's name: `conformance`, or the crate's own for unit tests.
    pub(crate) target: String,
    pub(crate) path: PathBuf,
    package_folder: PathBuf,
    environment: Vec<(&'static str, OsString)>,
    /// What runs it, where the system does not.
    host: Option<Host>,
    /// Whether others run at the same time, so that its output is shown in one piece when it has ended.
    beside_others: bool,
}

impl Executable {
    /// The same, to be run with an environment variable set.
    pub(crate) fn with(mut self, variable: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((variable, value.into()));
        self
    }

    /// The same, a program of WASI that `host` runs.
    ///
    /// # Errors
    /// When the host cannot compile it.
    pub(crate) fn run_by(mut self, host: Host) -> Result<Self> {
        self.path = host.prepare(&self.path)?;
        self.host = Some(host);
        Ok(self)
    }

    /// What runs it, where the system does not.
    pub(crate) const fn host(&self) -> Option<&Host> {
        self.host.as_ref()
    }

    /// The same, to be run while others run too.
    pub(crate) fn beside_others(self) -> Self {
        Self { beside_others: true, ..self }
    }

    pub(crate) const fn is_beside_others(&self) -> bool {
        self.beside_others
    }

    /// A command that runs it as `cargo test` would.
    pub(crate) fn command(&self) -> Command {
        let mut command = match &self.host {
            None => Command::new(&self.path),
            Some(host) => {
                let mut command = host.run();
                command.arg("--").arg(&self.path);
                command
            }
        };
        command.current_dir(&self.package_folder).env("CARGO_MANIFEST_DIR", &self.package_folder);
        command.envs(self.environment.iter().map(|(variable, value)| (variable, value)));
        command
    }

    /// Runs it with its output shown.
    pub(crate) fn run(&self, command: &mut Command) -> Result<Finished> {
        let title = format!("\n     Running {} of {}", self.target, self.folder.display());
        if !self.beside_others {
            println!("{title}");
            return process::collect(command, LIMIT, Echo::Shown);
        }
        let finished = process::collect(command, LIMIT, Echo::Quiet)?;
        println!("{title}\n{}", finished.lines.join("\n"));
        Ok(finished)
    }

    #[cfg(test)]
    pub(crate) fn for_test(folder: &str, target: &str, path: PathBuf) -> Self {
        let package_folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Self {
            folder: folder.into(),
            target: target.into(),
            path,
            package_folder,
            environment: Vec::new(),
            host: None,
            beside_others: false,
        }
    }
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    profile: Option<Profile>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

/// Runs a cargo command that builds and gives the programs it made; its diagnostics go to standard error as usual.
/// With `Programs::Tests` only what was built as a test counts.
pub(crate) fn build(
    workspace: &Workspace,
    command: &mut Command,
    programs: Programs,
) -> Result<Vec<Executable>> {
    let built = build_what_can_be(workspace, command, programs)?;
    if let Some(failure) = built.failure {
        bail!(failure);
    }
    Ok(built.programs)
}

/// What a build made, and whether that is all of it.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) programs: Vec<Executable>,
    pub(crate) failure: Option<String>,
}

/// The same, where the programs of one crate are wanted even if another's do not compile.
pub(crate) fn build_what_can_be(
    workspace: &Workspace,
    command: &mut Command,
    programs: Programs,
) -> Result<Built> {
    command.args(["--message-format", "json-render-diagnostics"]).stderr(Stdio::inherit());
    let output = command.output().with_context(|| format!("cannot start {}", process::describe(command)))?;
    let failed = !output.status.success();
    let failure = failed.then(|| format!("{} ended with {}", process::describe(command), output.status));
    let programs = parse(workspace.root(), &String::from_utf8_lossy(&output.stdout), programs)?;
    Ok(Built { programs, failure })
}

/// Which of the programs that cargo built are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Programs {
    Tests,
    Ordinary,
}

fn parse(root: &Path, output: &str, programs: Programs) -> Result<Vec<Executable>> {
    let mut executables = Vec::new();
    for line in output.lines().filter(|line| line.starts_with('{')) {
        let message: Message =
            serde_json::from_str(line).with_context(|| format!("cargo said what we cannot read: {line}"))?;
        let Message { reason, manifest_path, target, profile, executable } = message;
        if reason != "compiler-artifact" {
            continue;
        }
        let (Some(manifest), Some(target), Some(profile), Some(path)) =
            (manifest_path, target, profile, executable)
        else {
            continue;
        };
        if profile.test != (programs == Programs::Tests) {
            continue;
        }
        let package_folder = manifest.parent().map(Path::to_path_buf).unwrap_or_default();
        let folder = package_folder.strip_prefix(root).unwrap_or(&package_folder).to_path_buf();
        let environment = Vec::new();
        executables.push(Executable {
            folder,
            target: target.name,
            path,
            package_folder,
            environment,
            host: None,
            beside_others: false,
        });
    }
    executables.sort_by(|a, b| (&a.folder, &a.target).cmp(&(&b.folder, &b.target)));
    Ok(executables)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = r#"
{"reason":"compiler-artifact","manifest_path":"/w/crates/sim/Cargo.toml","target":{"name":"conformance"},"profile":{"test":true},"executable":"/w/target/conformance-1"}
{"reason":"compiler-artifact","manifest_path":"/w/crates/core/Cargo.toml","target":{"name":"proactor_core"},"profile":{"test":true},"executable":"/w/target/core-1"}
{"reason":"compiler-artifact","manifest_path":"/w/crates/core/Cargo.toml","target":{"name":"proactor_core"},"profile":{"test":false},"executable":null}
{"reason":"compiler-artifact","manifest_path":"/w/crates/bench/Cargo.toml","target":{"name":"proactor-bench"},"profile":{"test":false},"executable":"/w/target/bench"}
{"reason":"build-finished","success":true}
"#;

    #[test]
    fn only_test_programs_are_found_and_in_order() {
        let executables = parse(Path::new("/w"), OUTPUT, Programs::Tests).unwrap();
        let names: Vec<_> =
            executables.iter().map(|each| (each.folder.to_str().unwrap(), each.target.as_str())).collect();
        assert_eq!(names, [("crates/core", "proactor_core"), ("crates/sim", "conformance")]);
    }

    #[test]
    fn ordinary_programs_are_found_too() {
        let executables = parse(Path::new("/w"), OUTPUT, Programs::Ordinary).unwrap();
        assert_eq!(executables.len(), 1);
        assert_eq!(executables[0].target, "proactor-bench");
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        assert!(parse(Path::new("/w"), "{broken", Programs::Tests).is_err());
    }
}
