//! `ci`: everything that the gate runs beside `test-all`, as named steps.

mod calls;
mod cross;
mod examples;
mod sanitizer;

use std::ffi::OsString;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::Colour;
use crate::mutate;
use crate::process::{self, Echo, TestCounts};
use crate::setup;
use crate::tidy;
use crate::workspace::Workspace;

/// One step: it is green when it ends without an error.
struct Step {
    name: &'static str,
    what: &'static str,
    run: fn(&Workspace) -> Result<()>,
}

/// Quick ones first, so that a slip shows soon; of the long ones those that a change most often turns red.
const STEPS: [Step; 13] = [
    Step { name: "fmt", what: "the code is formatted", run: fmt },
    Step { name: "tidy", what: "the project's written rules hold", run: tidy::check },
    Step { name: "clippy", what: "no warnings from compiler and clippy", run: clippy },
    Step { name: "cross", what: "no warnings either for the systems of the other backends", run: cross::run },
    Step { name: "docs", what: "the documentation builds without warnings", run: docs },
    Step { name: "doc-tests", what: "the examples in the documentation run", run: doc_tests },
    Step { name: "features", what: "what only a feature brings is built and tested", run: features },
    Step {
        name: "standalone",
        what: "each crate builds with only the features that it names",
        run: standalone,
    },
    Step {
        name: "examples",
        what: "the example programs do what they say, seen from outside",
        run: examples::run,
    },
    Step { name: "counts", what: "instructions, system calls and allocations per operation", run: counts },
    Step { name: "loom", what: "notifier and wake-up under every interleaving", run: loom },
    Step {
        name: "address-sanitizer",
        what: "all tests, and the suites of sim, epoll and io_uring, under it",
        run: sanitizer::run,
    },
    Step { name: "mutations", what: "every rule's case notices when its rule is broken", run: mutate::all },
];

const LOOM_LIMIT: Duration = Duration::from_secs(1200);

pub(crate) fn main(workspace: &Workspace, arguments: impl Iterator<Item = OsString>) -> Result<Colour> {
    let names: Vec<String> = arguments.map(|name| name.to_string_lossy().into_owned()).collect();
    let steps = choose(&names)?;
    let mut results = Vec::new();
    for step in steps {
        println!("\n== {}: {}", step.name, step.what);
        let started = Instant::now();
        let result = (step.run)(workspace);
        let seconds = started.elapsed().as_secs_f64();
        match &result {
            Ok(()) => println!("-- {}: green, {seconds:.1} s", step.name),
            Err(error) => println!("-- {}: RED, {seconds:.1} s: {error:#}", step.name),
        }
        results.push((step.name, seconds, result));
    }
    println!("\n== summary");
    for (name, seconds, result) in &results {
        println!("{name:18} {seconds:7.1} s  {}", if result.is_ok() { "green" } else { "RED" });
    }
    let failed: Vec<_> = results.iter().filter(|(_, _, result)| result.is_err()).collect();
    for (name, _, result) in &failed {
        if let Err(error) = result {
            println!("failed: {name}: {error:#}");
        }
    }
    println!("ci: {} of {} steps green", results.len() - failed.len(), results.len());
    Ok(Colour::red_if(!failed.is_empty()))
}

/// The steps by name, in the order in which they run.
pub(crate) fn values(_workspace: &Workspace) -> Result<String> {
    Ok(format!("steps, in this order:\n  {}\n", listed()))
}

fn listed() -> String {
    let lines: Vec<_> = STEPS.iter().map(|step| format!("{:18} {}", step.name, step.what)).collect();
    lines.join("\n  ")
}

/// The steps named, or all; in their own order.
fn choose(names: &[String]) -> Result<Vec<&'static Step>> {
    for name in names {
        if STEPS.iter().all(|step| step.name != name) {
            bail!("there is no step `{name}`; there are\n  {}", listed());
        }
    }
    Ok(STEPS.iter().filter(|step| names.is_empty() || names.iter().any(|name| name == step.name)).collect())
}

fn cargo(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut command = workspace.cargo();
    command.args(arguments);
    command
}

fn fmt(workspace: &Workspace) -> Result<()> {
    setup::RUSTFMT.require()?;
    process::run(&mut cargo(workspace, &["fmt", "--all", "--check"]))
}

fn clippy(workspace: &Workspace) -> Result<()> {
    setup::CLIPPY.require()?;
    process::run(&mut cargo(
        workspace,
        &["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"],
    ))
}

fn docs(workspace: &Workspace) -> Result<()> {
    let mut command = cargo(workspace, &["doc", "--no-deps", "--workspace"]);
    process::run(command.env("RUSTDOCFLAGS", "--deny warnings"))
}

fn doc_tests(workspace: &Workspace) -> Result<()> {
    process::run(&mut cargo(workspace, &["test", "--doc", "--workspace"]))
}

/// The features that no default has.
fn features(workspace: &Workspace) -> Result<()> {
    process::run(&mut cargo(
        workspace,
        &[
            "clippy",
            "--package",
            "proactor-core",
            "--features",
            "tracing",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ],
    ))?;
    for package in ["proactor-epoll", "proactor-uring"] {
        process::run(&mut cargo(
            workspace,
            &["check", "--quiet", "--package", package, "--features", "tracing"],
        ))?;
    }
    let arguments = ["test", "--package", "proactor-core", "--features", "tracing", "--test", "tracing"];
    process::run(&mut cargo(workspace, &arguments))
}

/// Built together, crates lend each other the features of their dependencies; a user builds one alone.
fn standalone(workspace: &Workspace) -> Result<()> {
    for manifest in crates(workspace)? {
        process::run(cargo(workspace, &["check", "--quiet", "--manifest-path"]).arg(manifest))?;
    }
    Ok(())
}

fn crates(workspace: &Workspace) -> Result<Vec<std::path::PathBuf>> {
    let mut manifests = workspace.files_with_extension("toml")?;
    manifests.retain(|file| {
        file.starts_with("crates") && file.ends_with("Cargo.toml") && file.components().count() == 3
    });
    Ok(manifests)
}

fn loom(workspace: &Workspace) -> Result<()> {
    // All models are beside what they are of.
    let mut command = cargo(workspace, &["test", "--package", "proactor-core", "--release", "--lib", "loom"]);
    command.env("RUSTFLAGS", "--cfg loom");
    // The models are many and their crate is small: what optimising across crates would cost is never earned back.
    command.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    command.env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    command.env("CARGO_TARGET_DIR", workspace.target("loom"));
    let finished = process::collect(&mut command, LOOM_LIMIT, Echo::Shown)?;
    let counts = TestCounts::from_lines(&finished.lines);
    if !finished.end.success() {
        bail!("{}", finished.end);
    }
    if counts.passed == 0 || counts.ignored > 0 {
        bail!("no model ran ({counts})");
    }
    Ok(())
}

fn counts(workspace: &Workspace) -> Result<()> {
    setup::VALGRIND.require()?;
    setup::STRACE.require()?;
    process::run(&mut cargo(
        workspace,
        &["run", "--release", "--package", "proactor-bench", "--", "counts", "--assert"],
    ))?;
    calls::of_a_failing_accept(workspace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_chosen_by_name_and_kept_in_order() {
        let names = |steps: Vec<&'static Step>| steps.into_iter().map(|step| step.name).collect::<Vec<_>>();
        assert_eq!(names(choose(&[]).unwrap()).len(), STEPS.len());
        assert_eq!(names(choose(&["docs".to_owned(), "fmt".to_owned()]).unwrap()), ["fmt", "docs"]);
    }

    #[test]
    fn an_unknown_step_is_refused_with_the_known_ones() {
        let error = choose(&["speed".to_owned()]).err().unwrap().to_string();
        assert!(error.contains("speed") && error.contains("address-sanitizer"), "{error}");
    }
}
