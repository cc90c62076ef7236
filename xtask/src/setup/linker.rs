//! The linker for other systems, which is Zig's: PyPI has it, with the libraries of those systems, and what has cargo use it.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::packages::quiet;
use super::{Remover, install_packages};
use crate::cross::{self, LINKER_PACKAGES, Linker};

/// Debian's package of pip, where Python has none.
const PIP_PACKAGE: &str = "python3-pip";

/// Installs it, in the place of an older one.
pub(super) fn install() -> Result<()> {
    let cache = cross::cache()?;
    std::fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    if !has_pip() {
        install_packages(&[PIP_PACKAGE]);
    }
    // Of this process: two checkouts may be set up at once.
    let work = Remover(cache.join(format!("linker-{}", std::process::id())));
    quiet(&mut pip(&work.0))?;
    put(&work.0, &cache.join("linker"))?;
    println!("setup: the linker for other systems is installed, in {}", cache.join("linker").display());
    Ok(())
}

fn has_pip() -> bool {
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "--version"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Neither depends on anything that is used here.
fn pip(folder: &Path) -> Command {
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]);
    command.arg("--target").arg(folder).args(LINKER_PACKAGES);
    command
}

/// Stamps what is whole, and puts it in its place.
fn put(folder: &Path, place: &Path) -> Result<()> {
    std::fs::write(Linker::at(folder).stamp(), Linker::made_of()).context("cannot write its stamp")?;
    if place.exists() {
        std::fs::remove_dir_all(place).context("cannot remove the older one")?;
    }
    std::fs::rename(folder, place).context("cannot put it in its place")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn one_that_is_whole_takes_the_place_of_an_older_one() {
        let scratch = Scratch::new();
        scratch.write("linker/bin/older", "");
        scratch.write("new/bin/newer", "");
        let place = scratch.path().join("linker");
        put(&scratch.path().join("new"), &place).unwrap();
        assert!(place.join("bin/newer").exists() && !place.join("bin/older").exists());
        assert_eq!(std::fs::read_to_string(Linker::at(&place).stamp()).unwrap(), Linker::made_of());
        assert!(put(&scratch.path().join("new"), &place).is_err(), "there is nothing to put");
    }

    #[test]
    fn exact_versions_are_asked_for() {
        let command = pip(Path::new("/there"));
        let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
        assert!(LINKER_PACKAGES.iter().all(|package| arguments.contains(&(*package).into())));
        assert!(LINKER_PACKAGES.iter().all(|package| package.contains("==")));
    }
}
