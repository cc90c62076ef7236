//! Where the project lies and what files it has.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::libkqueue;

/// The checkout that a task works on.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The checkout that this program was built from; `cargo run` says where that is, also after the folder moved.
    pub(crate) fn here() -> Self {
        let manifest_folder = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest_folder.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
        Self::at(root)
    }

    pub(crate) fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// Cargo's folder for what it builds, or one of ours inside it.
    pub(crate) fn target(&self, relative: &str) -> PathBuf {
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| self.root.join("target"), |folder| self.root.join(folder));
        target.join(relative)
    }

    /// The cargo that runs us, so that every step uses one toolchain.
    pub(crate) fn cargo(&self) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        // What it would change is built where that is asked for, and nowhere else.
        command.current_dir(&self.root).env_remove(libkqueue::VARIABLE);
        command
    }

    pub(crate) fn read(&self, relative: impl AsRef<Path>) -> Result<String> {
        let path = self.path(relative.as_ref());
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Every file of the project, relative to its root and sorted; what is built and what git keeps is left out.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            let path = self.root.join(&folder);
            let entries =
                std::fs::read_dir(&path).with_context(|| format!("cannot list {}", path.display()))?;
            for entry in entries {
                let entry = entry.with_context(|| format!("cannot list {}", path.display()))?;
                let name = entry.file_name();
                let relative = folder.join(&name);
                let kind =
                    entry.file_type().with_context(|| format!("cannot inspect {}", relative.display()))?;
                if !kind.is_dir() {
                    if name != ".git" {
                        files.push(relative);
                    }
                } else if name != "target" && name != ".git" {
                    folders.push(relative);
                }
            }
        }
        files.sort();
        Ok(files)
    }

    pub(crate) fn files_with_extension(&self, extension: &str) -> Result<Vec<PathBuf>> {
        let mut files = self.files()?;
        files.retain(|file| file.extension() == Some(OsStr::new(extension)));
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn files_leave_out_what_is_built_and_what_git_keeps() {
        let scratch = Scratch::new();
        for file in ["src/lib.rs", "target/debug/x.rs", "crates/a/target/x.rs", ".git/config", ".ci/run"] {
            scratch.write(file, "");
        }
        let workspace = Workspace::at(scratch.path());
        let expected: Vec<PathBuf> = [".ci/run", "src/lib.rs"].map(PathBuf::from).to_vec();
        assert_eq!(workspace.files().unwrap(), expected);
        assert_eq!(workspace.files_with_extension("rs").unwrap(), expected[1..]);
    }
}
