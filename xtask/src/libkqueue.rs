//! The suite of kqueue over an installed libkqueue, which somebody else wrote, in place of the emulation: on demand, where an
//! environment variable names the folder that it lies in.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::executables::{self, Executable, Programs};
use crate::test_all::CONFORMANCE;
use crate::workspace::Workspace;

/// The environment variable that names the folder. Builds that are not for this column do not get to see it.
pub(crate) const VARIABLE: &str = "LIBKQUEUE_DIR";

/// What is linked.
const LIBRARY: &str = "libkqueue.so";

/// Where the system looks for libraries first.
const SEARCHED: &str = "LD_LIBRARY_PATH";

/// Builds the suite's program over the library that is named, apart from all that is built over the emulation.
///
/// # Errors
/// That there is no such library, or that it cannot be linked.
pub(crate) fn build(workspace: &Workspace) -> Result<Executable> {
    let folder = folder(std::env::var_os(VARIABLE).unwrap_or_default())?;
    let mut command = workspace.cargo();
    command.args(["test", "--quiet", "--no-run", "--package", "proactor-kqueue", "--test", CONFORMANCE]);
    command.env(VARIABLE, &folder).env("CARGO_TARGET_DIR", workspace.target("libkqueue"));
    let programs = executables::build(workspace, &mut command, Programs::Tests)?;
    let program = programs.into_iter().next().context("cargo built no conformance program")?;
    let others = std::env::var_os(SEARCHED);
    Ok(program.with(SEARCHED, searched(&folder, others)))
}

/// The folder that is named, once it is seen to have a library.
fn folder(named: OsString) -> Result<PathBuf> {
    let folder = Path::new(&named);
    let folder = folder
        .canonicalize()
        .with_context(|| format!("{VARIABLE} names {}, which is not there", folder.display()))?;
    ensure!(folder.join(LIBRARY).exists(), "{VARIABLE} names {}, which has no {LIBRARY}", folder.display());
    Ok(folder)
}

fn searched(folder: &Path, others: Option<OsString>) -> OsString {
    let mut searched = OsString::from(folder);
    if let Some(others) = others.filter(|others| !others.is_empty()) {
        searched.push(":");
        searched.push(others);
    }
    searched
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_folder_without_the_library_is_told_by_name() {
        let scratch = Scratch::new();
        let absent = folder(scratch.path().join("absent").into()).unwrap_err().to_string();
        assert!(absent.contains(VARIABLE) && absent.contains("not there"), "{absent}");
        let empty = folder(scratch.path().into()).unwrap_err().to_string();
        assert!(empty.contains(VARIABLE) && empty.contains(LIBRARY), "{empty}");
        scratch.write(LIBRARY, "");
        assert_eq!(folder(scratch.path().into()).unwrap(), scratch.path().canonicalize().unwrap());
    }

    #[test]
    fn the_library_that_is_named_is_found_before_others() {
        assert_eq!(searched(Path::new("/mine"), None), "/mine");
        assert_eq!(searched(Path::new("/mine"), Some("".into())), "/mine");
        assert_eq!(searched(Path::new("/mine"), Some("/others:/more".into())), "/mine:/others:/more");
    }
}
