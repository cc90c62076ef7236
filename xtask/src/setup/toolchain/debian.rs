//! The second recipe: the compiler that Debian has for building browsers, which is newer than its release. Compiler, linter
//! and source are one upload, so always of one version; cargo and the linker are those of the toolchain that runs us.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{RELEASE, build, link, start_files_of};
use crate::cross::Toolchain;
use crate::setup::packages::{Packages, quiet};

/// What it is made of. What those need, and this machine lacks, comes with them.
const PACKAGES: [&str; 4] = ["rustc-web", "libstd-rust-web-dev", "rust-web-clippy", "rust-web-src"];

/// The file that the compiler is in: a shared library.
const COMPILER: &str = "librustc_driver";

pub(super) fn make(work: &Path) -> Result<Toolchain> {
    let archives = work.join("archives");
    std::fs::create_dir_all(archives.join("partial")).context("cannot make a folder for packages")?;
    // The lists of a fresh machine are often empty; where they cannot be had, the ones that are there may do.
    let _ = quiet(Command::new("apt-get").arg("update"));
    quiet(&mut download(&archives))?;
    let root = work.join("root");
    for archive in with_extension(&archives, "deb")? {
        quiet(Command::new("dpkg-deb").arg("--extract").arg(archive).arg(&root))?;
    }
    let toolchain = Toolchain::at(root.join("usr"));
    std::fs::write(toolchain.debians(), libraries(toolchain.folder())?)
        .context("cannot write into the toolchain")?;
    add_cargo_and_linker(&toolchain)?;
    let packages = Packages::of(RELEASE, &work.join("apt"))?;
    link(&start_files_of(&packages, &work.join("packages"))?, &toolchain.start_files())?;
    build(&toolchain, &toolchain.source(), &work.join("build"))?;
    println!("setup: the compiler for other systems and its library's source are Debian's");
    Ok(toolchain)
}

/// Fetches the packages, and installs nothing.
fn download(archives: &Path) -> Command {
    let mut command = Command::new("apt-get");
    command.args(["install", "--yes", "--no-install-recommends", "--download-only", "--reinstall"]);
    let mut folder = std::ffi::OsString::from("Dir::Cache::archives=");
    folder.push(archives);
    command.arg("--option").arg(folder).args(PACKAGES);
    command
}

fn with_extension(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths.filter(|path| path.extension() == Some(OsStr::new(extension))).collect())
}

/// Where in the toolchain the compiler's shared libraries lie: in a folder named after this machine's architecture.
fn libraries(toolchain: &Path) -> Result<String> {
    let has_compiler = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        entries.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().starts_with(COMPILER))
    };
    let lib = toolchain.join("lib");
    let entries = std::fs::read_dir(&lib).with_context(|| format!("cannot list {}", lib.display()))?;
    let mut folders = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let folder = folders.find(|folder| has_compiler(folder)).context("the packages have no compiler")?;
    let name = folder.file_name().context("an entry of a folder has a name")?;
    Ok(format!("lib/{}", name.to_string_lossy()))
}

/// Those of the toolchain that runs us: nothing of them is of one version with a compiler.
fn add_cargo_and_linker(toolchain: &Toolchain) -> Result<()> {
    let cargo = PathBuf::from(std::env::var_os("CARGO").context("xtask is not run by cargo")?);
    let ours = cargo.parent().and_then(Path::parent).context("cargo is in no toolchain")?;
    std::fs::copy(&cargo, toolchain.folder().join("bin/cargo")).context("cannot copy cargo")?;
    let hosts = ours.join("lib/rustlib");
    let entries = std::fs::read_dir(&hosts).with_context(|| format!("cannot list {}", hosts.display()))?;
    let mut linkers = entries
        .filter_map(|entry| Some(entry.ok()?.path().join("bin/rust-lld")))
        .filter(|linker| linker.exists());
    let linker = linkers.next().context("the toolchain that runs us has no rust-lld")?;
    let place = toolchain.folder().join(linker.strip_prefix(ours).context("it lies in there")?);
    std::fs::create_dir_all(place.parent().context("a file lies in a folder")?)
        .context("cannot make a folder for the linker")?;
    // A link: it finds its own libraries beside where it really lies.
    std::os::unix::fs::symlink(&linker, &place).context("cannot link to the linker")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn the_compilers_libraries_are_found_by_the_compiler() {
        let scratch = Scratch::new();
        scratch.write("lib/rustlib/etc/other", "");
        assert!(libraries(scratch.path()).is_err());
        scratch.write("lib/aarch64-linux-gnu/librustc_driver-12.so", "");
        assert_eq!(libraries(scratch.path()).unwrap(), "lib/aarch64-linux-gnu");
    }

    #[test]
    fn packages_are_fetched_and_not_installed() {
        let command = download(Path::new("/there"));
        let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
        assert!(arguments.contains(&"--download-only".into()), "{arguments:?}");
        assert!(arguments.contains(&"Dir::Cache::archives=/there".into()), "{arguments:?}");
    }
}
