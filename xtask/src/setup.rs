//! What the tasks need beside cargo, what of it this machine lacks, and how to get it.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use lexopt::ValueExt;

mod linker;
mod packages;
mod runtime;
mod toolchain;

use crate::Colour;
use crate::cross;
use crate::process;
use crate::wasi::{Host, host};

/// The toolchain of the address sanitizer: a flag that only nightly has.
pub(crate) const NIGHTLY: &str = "nightly";

/// One thing that a task needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    needed_by: &'static str,
    probe: Probe,
    source: Source,
}

/// How one sees whether a tool is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    /// A command succeeds.
    Runs(&'static [&'static str]),
    /// The toolchain for other systems is found.
    Toolchain,
    /// The host of WASI programs is found.
    Runner,
    /// The linker for other systems is found.
    Linker,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// A package of Debian's and its relatives'.
    Package(&'static str),
    /// Arguments of rustup.
    Rustup(&'static [&'static str]),
    /// Made here, from nightly.
    Toolchain,
    /// Built here, by cargo.
    Runner,
    /// Packages of PyPI's.
    Linker,
}

pub(crate) const VALGRIND: Tool = Tool {
    name: "valgrind",
    needed_by: "counts",
    probe: Probe::Runs(&["valgrind", "--version"]),
    source: Source::Package("valgrind"),
};
pub(crate) const STRACE: Tool = Tool {
    name: "strace",
    needed_by: "counts, examples",
    probe: Probe::Runs(&["strace", "--version"]),
    source: Source::Package("strace"),
};
pub(crate) const CURL: Tool = Tool {
    name: "curl",
    needed_by: "examples",
    probe: Probe::Runs(&["curl", "--version"]),
    source: Source::Package("curl"),
};
/// Answers to a question for its version with its usage, and status 1.
pub(crate) const WRK: Tool = Tool {
    name: "wrk",
    needed_by: "examples",
    probe: Probe::Runs(&["sh", "-c", "command -v wrk"]),
    source: Source::Package("wrk"),
};
pub(crate) const RUSTFMT: Tool = Tool {
    name: "rustfmt",
    needed_by: "fmt",
    probe: Probe::Runs(&["cargo", "fmt", "--version"]),
    source: Source::Rustup(&["component", "add", "rustfmt"]),
};
pub(crate) const CLIPPY: Tool = Tool {
    name: "clippy",
    needed_by: "clippy",
    probe: Probe::Runs(&["cargo", "clippy", "--version"]),
    source: Source::Rustup(&["component", "add", "clippy"]),
};
pub(crate) const NIGHTLY_TOOLCHAIN: Tool = Tool {
    name: "the nightly toolchain",
    needed_by: "address-sanitizer",
    probe: Probe::Runs(&["rustup", "run", NIGHTLY, "rustc", "--version"]),
    source: Source::Rustup(&["toolchain", "install", NIGHTLY, "--profile", "minimal"]),
};

pub(crate) const CROSS_TOOLCHAIN: Tool = Tool {
    name: "the toolchain for other systems",
    needed_by: "cross, examples, the backend wasi",
    probe: Probe::Toolchain,
    source: Source::Toolchain,
};
pub(crate) const WASI_RUNNER: Tool = Tool {
    name: "a runtime for WASI",
    needed_by: "examples, the backend wasi",
    probe: Probe::Runner,
    source: Source::Runner,
};

pub(crate) const LINKER: Tool = Tool {
    name: "the linker for other systems",
    needed_by: "link-check",
    probe: Probe::Linker,
    source: Source::Linker,
};

/// What is installed on demand alone: the task that the rest of the machine's tools are not for.
pub(crate) const FOR_LINKING: [Tool; 3] = [NIGHTLY_TOOLCHAIN, CROSS_TOOLCHAIN, LINKER];

/// What is made from another comes after it.
const TOOLS: [Tool; 9] =
    [RUSTFMT, CLIPPY, NIGHTLY_TOOLCHAIN, VALGRIND, STRACE, CURL, WRK, CROSS_TOOLCHAIN, WASI_RUNNER];

impl fmt::Display for Tool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (needed by {})", self.name, self.needed_by)
    }
}

impl Tool {
    /// Whether the tool is there and runs.
    pub(crate) fn present(&self) -> bool {
        let [program, arguments @ ..] = (match self.probe {
            Probe::Runs(command) => command,
            Probe::Toolchain => return cross::Toolchain::find().is_ok(),
            Probe::Runner => return Host::find().is_ok(),
            Probe::Linker => return cross::Linker::find().is_ok(),
        }) else {
            return false;
        };
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// An error that says what is missing and how to get it.
    pub(crate) fn require(&self) -> Result<()> {
        if !self.present() {
            bail!("{} is missing; `cargo xtask setup` installs it", self.name);
        }
        Ok(())
    }
}

/// By which of several recipes something is to be made: by that one alone, also where another's is there already. None means
/// by the first that works, where it is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Recipes {
    toolchain: Option<toolchain::Recipe>,
    runtime: Option<host::Kind>,
}

impl Recipes {
    fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Self> {
        let mut recipes = Self::default();
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            match argument {
                lexopt::Arg::Long("toolchain") => {
                    recipes.toolchain =
                        Some(named("recipe", &toolchain::RECIPES, &parser.value()?.string()?)?);
                }
                lexopt::Arg::Long("runtime") => {
                    recipes.runtime = Some(named("runtime", &host::KINDS, &parser.value()?.string()?)?);
                }
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(recipes)
    }

    /// Whether a tool is to be made anew.
    fn ask_for(&self, tool: &Tool) -> bool {
        match tool.source {
            Source::Toolchain => self.toolchain.is_some(),
            Source::Runner => self.runtime.is_some(),
            _ => false,
        }
    }
}

/// The one of that name; `what` they are, an error says.
fn named<R: Copy + fmt::Display>(what: &str, known: &[R], name: &str) -> Result<R> {
    let found = known.iter().find(|each| each.to_string() == name);
    found.copied().with_context(|| format!("there is no {what} `{name}`; there are {}", names(known)))
}

fn names<R: fmt::Display>(known: &[R]) -> String {
    known.iter().map(R::to_string).collect::<Vec<_>>().join(", ")
}

/// The recipes and the runtimes by name, and what is installed.
pub(crate) fn values() -> String {
    let tools = TOOLS.iter().map(|tool| format!("  {tool}\n"));
    let chosen = [
        format!("recipes: {}\n", names(&toolchain::RECIPES)),
        format!("runtimes: {}\n", names(&host::KINDS)),
        "what is installed where it is missing:\n".to_owned(),
    ];
    chosen.into_iter().chain(tools).collect()
}

/// What the first recipe makes that does not fail. That one failed before another is tried is said; that all did is the error,
/// with their reasons.
fn by_the_first_that_works<R: Copy + fmt::Display, T>(
    what: &str,
    recipes: &[R],
    mut make: impl FnMut(R) -> Result<T>,
) -> Result<T> {
    let mut reasons = Vec::new();
    for recipe in recipes {
        match make(*recipe) {
            Ok(made) => return Ok(made),
            Err(error) => {
                if reasons.len() + 1 < recipes.len() {
                    println!("setup: no {what} by the recipe {recipe}: {error:#}");
                }
                reasons.push(format!("{recipe}: {error:#}"));
            }
        }
    }
    bail!("{}", reasons.join("; "))
}

pub(crate) fn main(arguments: impl Iterator<Item = OsString>) -> Result<Colour> {
    let installed = install_by(&TOOLS, Recipes::parse(arguments)?);
    let missing = missing();
    for tool in &missing {
        println!("setup: still missing: {tool}");
    }
    installed?;
    Ok(Colour::red_if(!missing.is_empty()))
}

/// What this machine lacks.
pub(crate) fn missing() -> Vec<Tool> {
    TOOLS.into_iter().filter(|tool| !tool.present()).collect()
}

/// Installs what is missing, as far as that is possible here, and says what it did. What cannot be installed is no
/// error yet: whoever needs it says so.
pub(crate) fn install_missing() -> Result<()> {
    install(&TOOLS)
}

/// The same of these.
pub(crate) fn install(tools: &[Tool]) -> Result<()> {
    install_by(tools, Recipes::default())
}

/// The same, by the recipes that were asked for.
///
/// # Errors
/// What was asked for by name and could not be made; what was there before is still there then.
fn install_by(tools: &[Tool], recipes: Recipes) -> Result<()> {
    let wanted = |tool: &Tool| recipes.ask_for(tool) || !tool.present();
    let missing: Vec<Tool> = tools.iter().copied().filter(wanted).collect();
    if missing.is_empty() {
        println!("setup: nothing is missing");
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(Tool::to_string).collect();
    println!("setup: to be installed: {}", names.join(", "));
    let packages: Vec<&str> = missing
        .iter()
        .filter_map(|tool| match tool.source {
            Source::Package(package) => Some(package),
            _ => None,
        })
        .collect();
    if !packages.is_empty() {
        install_packages(&packages);
    }
    let mut refused = Vec::new();
    for tool in &missing {
        let (what, made) = match tool.source {
            Source::Package(_) => continue,
            Source::Rustup(arguments) => {
                attempt(Command::new("rustup").args(arguments));
                continue;
            }
            Source::Toolchain => ("toolchain for other systems", toolchain::make(recipes.toolchain)),
            Source::Runner => ("runtime for WASI", runtime::install(recipes.runtime)),
            Source::Linker => ("linker for other systems", linker::install()),
        };
        refused.extend(refusal(what, made, recipes.ask_for(tool)));
    }
    ensure!(refused.is_empty(), "{}", refused.join("; "));
    Ok(())
}

/// That something could not be made: an error where it was asked for by name, said at once where not.
fn refusal(what: &str, made: Result<()>, is_asked_for: bool) -> Option<String> {
    let error = format!("no {what}: {:#}", made.err()?);
    if !is_asked_for {
        println!("setup: {error}");
        return None;
    }
    Some(error)
}

/// A folder that is gone when this is.
struct Remover(PathBuf);

impl Drop for Remover {
    fn drop(&mut self) {
        // What stays behind costs space alone.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn install_packages(packages: &[&str]) {
    if !Path::new("/usr/bin/apt-get").exists() {
        println!("setup: no apt-get here; install {} with this system's own means", packages.join(", "));
        return;
    }
    // The lists of a fresh machine are often empty; where they cannot be had, the ones that are there may do.
    attempt(Command::new("apt-get").arg("update"));
    let mut install = Command::new("apt-get");
    install.args(["install", "--yes", "--no-install-recommends"]).args(packages);
    attempt(install.env("DEBIAN_FRONTEND", "noninteractive"));
}

fn attempt(command: &mut Command) {
    println!("setup: {}", process::describe(command));
    if let Err(error) = process::run(command) {
        println!("setup: {error:#}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABSENT: Tool = Tool {
        name: "absent",
        needed_by: "nothing",
        probe: Probe::Runs(&["xtask-has-no-such-program"]),
        source: Source::Package("absent"),
    };
    const BROKEN: Tool = Tool { probe: Probe::Runs(&["sh", "-c", "exit 1"]), ..ABSENT };
    const THERE: Tool = Tool { probe: Probe::Runs(&["sh", "-c", "exit 0"]), ..ABSENT };

    #[test]
    fn a_tool_is_there_when_its_probe_succeeds() {
        assert!(!ABSENT.present());
        assert!(!BROKEN.present());
        assert!(THERE.present());
    }

    #[test]
    fn a_recipe_is_chosen_by_its_name() {
        let parse = |words: &[&str]| Recipes::parse(words.iter().map(OsString::from));
        assert_eq!(parse(&[]).unwrap(), Recipes::default());
        assert!(!Recipes::default().ask_for(&CROSS_TOOLCHAIN));
        let debians = parse(&["--toolchain", "debian"]).unwrap();
        assert_eq!(debians.toolchain, Some(toolchain::Recipe::Debian));
        assert!(debians.ask_for(&CROSS_TOOLCHAIN) && !debians.ask_for(&VALGRIND));
        let error = parse(&["--toolchain", "stable"]).unwrap_err().to_string();
        assert!(error.contains("stable") && error.contains("nightly, debian"), "{error}");
        let wasmtimes = parse(&["--runtime=wasmtime"]).unwrap();
        assert_eq!(wasmtimes.runtime, Some(host::Kind::Wasmtime));
        assert!(wasmtimes.ask_for(&WASI_RUNNER) && !wasmtimes.ask_for(&CROSS_TOOLCHAIN));
        let error = parse(&["--runtime", "node"]).unwrap_err().to_string();
        assert_eq!(error, "there is no runtime `node`; there are wasmi, wasmtime");
        let values = values();
        for name in ["nightly, debian", "wasmi, wasmtime", "valgrind (needed by counts)"] {
            assert!(values.contains(name), "{name} in {values}");
        }
        assert!(parse(&["--toolchain"]).is_err() && parse(&["debian"]).is_err());
    }

    #[test]
    fn the_second_recipe_is_tried_where_the_first_does_not_fit_and_only_there() {
        let made = |fits: &[&'static str]| {
            let mut tried = Vec::new();
            let made = by_the_first_that_works("bread", &["rye", "wheat"], |recipe| {
                tried.push(recipe);
                if !fits.contains(&recipe) {
                    bail!("34 errors");
                }
                Ok(recipe)
            });
            (made.map_err(|error| error.to_string()), tried)
        };
        assert_eq!(made(&["rye", "wheat"]), (Ok("rye"), vec!["rye"]));
        assert_eq!(made(&["wheat"]), (Ok("wheat"), vec!["rye", "wheat"]));
        let reasons = "rye: 34 errors; wheat: 34 errors".to_owned();
        assert_eq!(made(&[]), (Err(reasons), vec!["rye", "wheat"]));
    }

    #[test]
    fn only_what_was_asked_for_by_name_has_to_be_made() {
        let failed = || Err(anyhow::anyhow!("rye: 34 errors"));
        assert_eq!(refusal("bread", failed(), true).unwrap(), "no bread: rye: 34 errors");
        assert_eq!(refusal("bread", failed(), false), None);
        assert_eq!(refusal("bread", Ok(()), true), None);
    }

    #[test]
    fn a_missing_tool_is_named() {
        assert!(ABSENT.require().unwrap_err().to_string().contains("absent"));
        assert!(THERE.require().is_ok());
    }
}
