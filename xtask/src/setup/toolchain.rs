//! The toolchain for other systems: a copy of nightly, by links, with standard libraries that nightly does not bring.
//!
//! The library's source comes from rustup, and where its servers have or give none, from Debian, whose compiler is of nearly
//! the same version. Where that does not fit any more, or there is no nightly, Debian's compiler takes its place (`debian`).
//! WASI gets a whole library; of the systems that are only checked, the metadata is enough, which takes half the time. Once
//! built they lie in the toolchain, and plain `cargo --target` finds them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::packages::{Packages, quiet};
use super::{NIGHTLY, Remover, by_the_first_that_works};
use crate::cross::{self, KQUEUE, Toolchain, WASI};

mod debian;

/// The release of Debian whose compiler is closest to nightly.
const RELEASE: &str = "forky";

/// Makes it, in the place of an older one, and says how: by `recipe` alone, or by the first that works.
pub(super) fn make(recipe: Option<Recipe>) -> Result<()> {
    let cache = cross::cache()?;
    std::fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let failure = cross::failure_file(&cache);
    let result = make_in(&cache, recipe);
    match &result {
        Ok(()) => drop(std::fs::remove_file(&failure)),
        // For those who find no toolchain later; without the file they know less, no more.
        Err(error) => drop(std::fs::write(&failure, format!("{error:#}"))),
    }
    result
}

/// A way to make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recipe {
    /// A copy of nightly.
    Nightly,
    /// Debian's compiler, with its own source.
    Debian,
}

/// The second for where the first no longer fits.
pub(super) const RECIPES: [Recipe; 2] = [Recipe::Nightly, Recipe::Debian];

impl fmt::Display for Recipe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Nightly => "nightly",
            Self::Debian => "debian",
        })
    }
}

impl Recipe {
    /// Makes it in a folder of this recipe's own.
    fn make(self, work: &Path) -> Result<Toolchain> {
        match self {
            Self::Nightly => of_nightly(&work.join("nightly")),
            Self::Debian => debian::make(&work.join("debian")),
        }
    }
}

fn make_in(cache: &Path, recipe: Option<Recipe>) -> Result<()> {
    let made_of = cross::made_of();
    // Of this process: two checkouts may be set up at once.
    let work = Remover(cache.join(format!("making-{}", std::process::id())));
    let recipes = recipe.as_ref().map_or(RECIPES.as_slice(), std::slice::from_ref);
    let toolchain =
        by_the_first_that_works("toolchain for other systems", recipes, |recipe| recipe.make(&work.0))?;
    std::fs::write(toolchain.stamp(), made_of).context("cannot write into the toolchain")?;
    let place = cache.join("toolchain");
    if place.exists() {
        std::fs::remove_dir_all(&place).context("cannot remove the older toolchain")?;
    }
    std::fs::rename(toolchain.folder(), &place).context("cannot put the toolchain in its place")?;
    println!("setup: the toolchain for other systems is made, in {}", place.display());
    Ok(())
}

fn of_nightly(work: &Path) -> Result<Toolchain> {
    let nightly = nightly_folder()?;
    let toolchain = Toolchain::at(work.join("toolchain"));
    let source = Source::get(work)?;
    for part in ["bin", "lib"] {
        link(&nightly.join(part), &toolchain.folder().join(part))?;
    }
    if let Some(start_files) = &source.start_files {
        link(start_files, &toolchain.start_files())?;
    }
    build(&toolchain, &source.library, &work.join("build"))?;
    if !toolchain.source().exists() {
        // For those who build more of it: `link-check`.
        link(&source.library, &toolchain.source())?;
    }
    Ok(toolchain)
}

fn nightly_folder() -> Result<PathBuf> {
    Ok(PathBuf::from(cross::nightly(&["--print", "sysroot"])?.trim()))
}

/// What the standard libraries are made of.
struct Source {
    library: PathBuf,
    /// WASI's own libc and start files, where nightly lacks them.
    start_files: Option<PathBuf>,
}

impl Source {
    /// Each half from rustup if it has that, and from Debian if not.
    fn get(work: &Path) -> Result<Self> {
        let nightly = nightly_folder()?;
        let library = nightly.join("lib/rustlib/src/rust/library");
        let has_start_files = || Toolchain::at(&nightly).start_files().exists();
        let rustup = |arguments: &[&str]| {
            let said = quiet(Command::new("rustup").args(arguments).args(["--toolchain", NIGHTLY]));
            if let Err(error) = said {
                println!("setup: {error:#}");
            }
        };
        if !library.exists() {
            rustup(&["component", "add", "rust-src"]);
        }
        if !has_start_files() {
            rustup(&["target", "add", WASI]);
        }
        let mut source = Self { library, start_files: None };
        let (has_library, has_start_files) = (source.library.exists(), has_start_files());
        if !has_library || !has_start_files {
            let packages = Packages::of(RELEASE, &work.join("apt"))?;
            let to = work.join("packages");
            if !has_library {
                source.library = library_of(&packages, &to)?;
            }
            if !has_start_files {
                source.start_files = Some(start_files_of(&packages, &to)?);
            }
        }
        let whose = |there: bool| if there { "rustup's" } else { "Debian's" };
        println!(
            "setup: the standard library's source is {}, WASI's start files are {}",
            whose(has_library),
            whose(has_start_files)
        );
        Ok(source)
    }
}

/// WASI's libc and start files out of Debian's package.
fn start_files_of(packages: &Packages, to: &Path) -> Result<PathBuf> {
    let files = Toolchain::at("./usr").start_files();
    packages.unpack("libstd-rust-dev-wasm32", &files.to_string_lossy(), to)?;
    Ok(to.join(files))
}

fn library_of(packages: &Packages, to: &Path) -> Result<PathBuf> {
    packages.unpack("rust-src", "./usr/src/rustc-*/library", to)?;
    let sources = std::fs::read_dir(to.join("usr/src")).context("cannot list the source")?;
    let source = sources.filter_map(Result::ok).next().context("the package of the source has none")?;
    Ok(source.path().join("library"))
}

/// The same files in another folder: linked, or copied where the file system cannot.
fn link(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    let entries = std::fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", from.display()))?;
        let (old, new) = (entry.path(), to.join(entry.file_name()));
        if old.is_dir() {
            link(&old, &new)?;
        } else if std::fs::hard_link(&old, &new).is_err() {
            std::fs::copy(&old, &new).with_context(|| format!("cannot copy {}", old.display()))?;
        }
    }
    Ok(())
}

/// Builds the libraries that the toolchain lacks into it.
fn build(toolchain: &Toolchain, library: &Path, folder: &Path) -> Result<()> {
    let lacks = |target: &&str| !has_library(&toolchain.libraries(target));
    let wasi: Vec<&str> = [WASI].into_iter().filter(lacks).collect();
    if !wasi.is_empty() {
        let mut cargo = standard_library(toolchain, "build", library, folder, &wasi);
        cargo.envs([
            ("CARGO_PROFILE_DEV_PANIC", "abort"),
            ("CARGO_PROFILE_DEV_DEBUG", "0"),
            ("CARGO_PROFILE_DEV_DEBUG_ASSERTIONS", "false"),
            ("CARGO_PROFILE_DEV_OVERFLOW_CHECKS", "false"),
            ("CARGO_INCREMENTAL", "0"),
        ]);
        quiet(&mut cargo)?;
        install(toolchain, folder, "debug", "rlib", &wasi)?;
    }
    let kqueue: Vec<&str> = KQUEUE.into_iter().filter(lacks).collect();
    if !kqueue.is_empty() {
        // Optimised code is not made either way; its metadata is smaller and sooner there.
        quiet(standard_library(toolchain, "check", library, folder, &kqueue).arg("--release"))?;
        install(toolchain, folder, "release", "rmeta", &kqueue)?;
    }
    Ok(())
}

fn standard_library(
    toolchain: &Toolchain,
    subcommand: &str,
    library: &Path,
    folder: &Path,
    targets: &[&str],
) -> Command {
    println!("setup: the standard library for {}", targets.join(", "));
    let mut command = toolchain.bare_cargo();
    command.args([subcommand, "--locked", "--manifest-path"]).arg(library.join("sysroot/Cargo.toml"));
    command.arg("--target-dir").arg(folder).current_dir(library);
    for target in targets {
        command.args(["--target", target]);
    }
    // As the compiler's own build does: whatever is not marked stable must not be used through another crate.
    command.env("RUSTFLAGS", "-Zforce-unstable-if-unmarked -Awarnings");
    command
}

/// Copies what was built to where the compiler looks for it.
fn install(
    toolchain: &Toolchain,
    folder: &Path,
    profile: &str,
    extension: &str,
    targets: &[&str],
) -> Result<()> {
    for target in targets {
        let built = folder.join(target).join(profile).join("deps");
        let to = toolchain.libraries(target);
        std::fs::create_dir_all(&to).with_context(|| format!("cannot make {}", to.display()))?;
        let entries =
            std::fs::read_dir(&built).with_context(|| format!("cannot list {}", built.display()))?;
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.extension().is_some_and(|each| each == extension) {
                let file = path.file_name().context("an entry of a folder has a name")?;
                std::fs::copy(&path, to.join(file))
                    .with_context(|| format!("cannot copy {}", path.display()))?;
            }
        }
        ensure!(has_library(&to), "no standard library was built for {target}");
    }
    Ok(())
}

fn has_library(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().starts_with("libstd"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_folder_is_linked_with_all_that_is_in_it() {
        let scratch = Scratch::new();
        scratch.write("from/one", "1");
        scratch.write("from/deep/er/two", "2");
        let to = scratch.path().join("to");
        link(&scratch.path().join("from"), &to).unwrap();
        assert_eq!(std::fs::read_to_string(to.join("one")).unwrap(), "1");
        assert_eq!(std::fs::read_to_string(to.join("deep/er/two")).unwrap(), "2");
        assert!(link(&scratch.path().join("nothing"), &to).is_err());
    }

    #[test]
    fn what_was_built_is_installed_and_what_was_not_is_an_error() {
        let scratch = Scratch::new();
        let toolchain = Toolchain::at(scratch.path().join("toolchain"));
        scratch.write("build/x/debug/deps/libcore-1.rlib", "");
        scratch.write("build/x/debug/deps/libcore-1.rmeta", "");
        let build = scratch.path().join("build");
        let error = install(&toolchain, &build, "debug", "rlib", &["x"]).unwrap_err().to_string();
        assert!(error.contains("for x"), "{error}");
        scratch.write("build/x/debug/deps/libstd.rlib", "");
        install(&toolchain, &build, "debug", "rlib", &["x"]).unwrap();
        let libraries = toolchain.libraries("x");
        assert!(libraries.join("libcore-1.rlib").exists() && !libraries.join("libcore-1.rmeta").exists());
    }
}
