//! Debian's packages, fetched and unpacked without installing them: a root of apt's own, so that the system's lists, sources
//! and packages stay as they are. The mirror is the one that the system uses.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::process;

/// Where Debian keeps the keys of its archive.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Apt for one release of Debian.
#[derive(Debug)]
pub(crate) struct Packages {
    root: PathBuf,
}

impl Packages {
    /// Fetches the lists of `release`, from the first of the system's mirrors that has it.
    pub(crate) fn of(release: &str, root: &Path) -> Result<Self> {
        let packages = Self { root: root.to_path_buf() };
        packages.prepare()?;
        let mirrors = mirrors()?;
        ensure!(!mirrors.is_empty(), "apt has no sources");
        for mirror in &mirrors {
            let line = format!("deb [signed-by={KEYS}] {mirror} {release} main\n");
            packages.write("sources.list", &line)?;
            let mut update = packages.apt_get(&["update", "--error-on=any"]);
            if quiet(&mut update).is_ok() {
                return Ok(packages);
            }
        }
        bail!("none of {} mirrors of apt has Debian's {release}", mirrors.len());
    }

    fn prepare(&self) -> Result<()> {
        for folder in ["state/lists/partial", "cache/archives/partial"] {
            let path = self.root.join(folder);
            std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        }
        self.write("status", "")?;
        let own = |key: &str, file: &str| format!("{key} \"{}\";\n", self.root.join(file).display());
        let mut text: String = [
            own("Dir::State", "state"),
            own("Dir::State::status", "status"),
            own("Dir::Cache", "cache"),
            own("Dir::Etc::SourceList", "sources.list"),
        ]
        .concat();
        for key in ["Dir::Etc::SourceParts", "Dir::Etc::Preferences", "Dir::Etc::PreferencesParts"] {
            text += &format!("{key} \"/dev/null\";\n");
        }
        // Its own user could not write here.
        text += "APT::Sandbox::User \"root\";\n";
        self.write("apt.conf", &text)
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.root.join(file);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    fn apt_get(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("apt-get");
        command.arg("--quiet").args(arguments).current_dir(&self.root);
        command.env("APT_CONFIG", self.root.join("apt.conf"));
        command
    }

    /// Fetches a package and unpacks those of its files that match into `to`.
    pub(crate) fn unpack(&self, package: &str, pattern: &str, to: &Path) -> Result<()> {
        quiet(&mut self.apt_get(&["download", package]))?;
        let archive = self.archive(package)?;
        std::fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
        let mut reader = Command::new("dpkg-deb")
            .arg("--fsys-tarfile")
            .arg(&archive)
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start dpkg-deb")?;
        let stream = reader.stdout.take().context("dpkg-deb has no output")?;
        let mut tar = Command::new("tar");
        // Where to comes first: it applies to the patterns after it.
        tar.arg("--extract").arg("--directory").arg(to).args(["--wildcards", pattern]).stdin(stream);
        let unpacked = process::run(&mut tar);
        let read = reader.wait().context("cannot wait for dpkg-deb")?;
        unpacked?;
        ensure!(read.success(), "{} cannot be read", archive.display());
        std::fs::remove_file(&archive).with_context(|| format!("cannot remove {}", archive.display()))
    }

    fn archive(&self, package: &str) -> Result<PathBuf> {
        let entries = std::fs::read_dir(&self.root).context("cannot list what apt fetched")?;
        let prefix = format!("{package}_");
        let mut names =
            entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()));
        let name = names.find(|name| name.starts_with(&prefix) && name.ends_with(".deb"));
        Ok(self.root.join(name.with_context(|| format!("apt fetched no {package}"))?))
    }
}

/// The addresses that the system's own apt uses.
fn mirrors() -> Result<BTreeSet<String>> {
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]);
    let output = command.output().context("cannot start apt-get")?;
    ensure!(output.status.success(), "apt does not say which sources it has");
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

/// Runs a command whose output is of interest only when it fails.
pub(crate) fn quiet(command: &mut Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", process::describe(command)))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let first = text.lines().find(|line| line.starts_with("error") || line.starts_with("E: "));
    let first = first.or_else(|| text.lines().next()).unwrap_or_default();
    bail!("{} ended with {}: {first}", process::describe(command), output.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failing_command_says_first_is_told() {
        let shell = |script: &str| quiet(Command::new("sh").args(["-c", script]));
        assert!(shell("echo fine").is_ok());
        let error = shell("echo warning >&2; echo error: no network >&2; echo more >&2; exit 3").unwrap_err();
        assert!(error.to_string().ends_with("error: no network"), "{error}");
        assert!(shell("echo alone >&2; exit 3").unwrap_err().to_string().ends_with("alone"));
    }
}
