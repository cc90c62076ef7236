//! `test-all`: every test of every backend that can run here, and the table.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use lexopt::ValueExt;

use crate::Colour;
use crate::case_table;
use crate::conformance::{self, Backend, Column};
use crate::executables::{self, Built, Executable, Programs};
use crate::libkqueue;
use crate::matrix::Matrix;
use crate::process::TestCounts;
use crate::setup;
use crate::side_by_side;
use crate::wasi;
use crate::workspace::Workspace;

/// What is made of the backends that Linux has: its packages are left out of the build elsewhere, as those backends' are.
const OF_LINUX: [&str; 4] =
    ["proactor-bench", "proactor-examples-either", "proactor-examples-epoll", "proactor-examples-uring"];

/// The target that holds a backend's conformance program.
pub(crate) const CONFORMANCE: &str = "conformance";

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    backends: Vec<String>,
    without: Vec<String>,
    setup: bool,
    json: Option<PathBuf>,
}

pub(crate) fn main(workspace: &Workspace, arguments: impl Iterator<Item = OsString>) -> Result<Colour> {
    let options = parse(arguments)?;
    let expected = conformance::expected(workspace.root());
    let chosen = choose(&expected, &options)?;
    if options.setup {
        setup::install_missing()?;
    }
    for missing in setup::missing() {
        println!("missing on this machine, though not for these tests: {missing}; `--setup` installs it");
    }
    let started = Instant::now();
    let mut build = workspace.cargo();
    build.args(["build", "--workspace", "--tests", "--keep-going"]);
    for package in left_out(std::env::consts::OS) {
        build.args(["--exclude", &package]);
    }
    let Built { programs, failure } = executables::build_what_can_be(workspace, &mut build, Programs::Tests)?;
    // What the build has written goes to the disk now: a case that has its file written there would wait for all of it.
    let _ = Command::new("sync").status();
    let programs: Vec<_> = programs.into_iter().map(Executable::beside_others).collect();
    let mut outcome = Outcome { failed: failure.into_iter().collect(), ..Outcome::default() };
    let table = case_table::cases(&workspace.read(case_table::FILE)?)?;
    let mut columns = Vec::new();
    let work = work(&programs, &expected, &chosen, &options);
    for done in side_by_side::each(side_by_side::PROGRAMS, &work, |work| work.run(workspace)) {
        let (column, tests) = done?;
        outcome += tests;
        if let Some((backend, mut column)) = column {
            column.compare(&table);
            columns.push((backend, column));
        }
    }
    columns.sort_by_key(|(name, _)| chosen.iter().position(|backend| backend.name == *name));
    let matrix = Matrix::new(&columns);
    println!("\n{}", matrix.render());
    if let Some(file) = &options.json {
        std::fs::write(file, matrix.json()).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let red = matrix.red() || outcome.red();
    println!("unit and property tests: {}", outcome.counts);
    for name in &options.without {
        println!("left out by name: {name}{}", not_here_anyway(&expected, name));
    }
    for program in &outcome.failed {
        println!("failed: {program}");
    }
    let verdict = if red { "RED" } else { "green" };
    let seconds = started.elapsed().as_secs_f64();
    println!("test-all: {} cases on {} backends, {verdict}, {seconds:.1} s", matrix.cases(), columns.len());
    Ok(Colour::red_if(red))
}

fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Options> {
    let mut options = Options::default();
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            lexopt::Arg::Long("backend") => options.backends.push(parser.value()?.string()?),
            lexopt::Arg::Long("without") => options.without.push(parser.value()?.string()?),
            lexopt::Arg::Long("setup") => options.setup = true,
            lexopt::Arg::Long("json") => options.json = Some(parser.value()?.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(options)
}

/// The packages that cannot be built for `system`. What is left is built as a whole whichever backends are named, so that each
/// crate has one set of dependency features.
fn left_out(system: &str) -> Vec<String> {
    let package = |folder: &str| folder.replace("crates/", "proactor-");
    let of_linux = OF_LINUX.iter().filter(|_| system != "linux").map(|&package| package.to_owned());
    conformance::elsewhere(system).into_iter().map(package).chain(of_linux).collect()
}

/// The names that `--backend` and `--without` take.
pub(crate) fn values(workspace: &Workspace) -> Result<String> {
    let expected = conformance::expected(workspace.root());
    let mut text = format!("backends here: {}\n", known(&expected));
    for name in conformance::names().filter(|name| !is_among(&expected, name)) {
        let why = conformance::why_not_here(name).unwrap_or_default();
        text.push_str(&format!("not here: {name} ({why})\n"));
    }
    Ok(text)
}

fn known(expected: &[Backend]) -> String {
    expected.iter().map(|backend| backend.name).collect::<Vec<_>>().join(", ")
}

fn is_among(expected: &[Backend], name: &str) -> bool {
    expected.iter().any(|backend| backend.name == name)
}

/// What is to be said of a backend that was left out by name and would not have been here.
fn not_here_anyway(expected: &[Backend], name: &str) -> String {
    let why = (!is_among(expected, name)).then(|| conformance::why_not_here(name)).flatten();
    why.map_or_else(String::new, |why| format!(", not here anyway: {why}"))
}

/// The backends named, or all that are expected here; without those that are left out by name. To leave out what is not here
/// changes nothing, so that one command is for every system.
fn choose(expected: &[Backend], options: &Options) -> Result<Vec<Backend>> {
    if expected.is_empty() {
        bail!("no backend can run on {}", std::env::consts::OS);
    }
    if let Some(name) = options.backends.iter().find(|name| !is_among(expected, name)) {
        let why = conformance::why_not_here(name).unwrap_or_else(|| "no backend has that name".to_owned());
        bail!("there is no backend `{name}` here: {why}; there are {}", known(expected));
    }
    for name in options.without.iter().filter(|name| !is_among(expected, name)) {
        let all = || conformance::names().collect::<Vec<_>>().join(", ");
        ensure!(
            conformance::why_not_here(name).is_some(),
            "there is no backend `{name}`, here or elsewhere; there are {}",
            all()
        );
    }
    let names = |names: &[String], backend: &Backend| names.iter().any(|name| name == backend.name);
    let chosen = |backend: &&Backend| {
        let is_wanted = options.backends.is_empty() || names(&options.backends, backend);
        is_wanted && !names(&options.without, backend)
    };
    let chosen: Vec<Backend> = expected.iter().filter(chosen).copied().collect();
    ensure!(!chosen.is_empty(), "no backend is left");
    Ok(chosen)
}

fn belongs(program: &Executable, backend: &Backend) -> bool {
    program.folder == *backend.folder
}

/// The program of a backend that the workspace's build does not make: one that this system does not run itself, or one over
/// what only some have.
fn built_apart(workspace: &Workspace, backend: &Backend) -> Option<Result<Executable>> {
    if backend.variable == Some(libkqueue::VARIABLE) {
        return Some(libkqueue::build(workspace));
    }
    (backend.folder == wasi::FOLDER).then(|| wasi::build(workspace))
}

/// A part of the tests that runs beside others.
#[derive(Debug)]
enum Work<'a> {
    /// The suite of a backend, of these programs.
    Suite(&'a Backend, &'a [Executable]),
    /// Tests beside the suites.
    Tests(&'a Executable),
}

/// All that is to be done. Suites come first, as they take long, and among them those of slow systems.
fn work<'a>(
    programs: &'a [Executable],
    expected: &[Backend],
    chosen: &'a [Backend],
    options: &Options,
) -> Vec<Work<'a>> {
    let suites = chosen.iter().rev().map(|backend| Work::Suite(backend, programs));
    let is_wanted = |program: &&Executable| {
        let is_shared = expected.iter().all(|backend| !belongs(program, backend));
        // What runs on demand is another column of its crate.
        let is_chosen = |backend: &Backend| belongs(program, backend) && backend.variable.is_none();
        if is_shared { options.backends.is_empty() } else { chosen.iter().any(is_chosen) }
    };
    // It runs as a column, or not at all.
    let is_suite = |program: &&Executable| {
        program.target == CONFORMANCE && expected.iter().any(|each| belongs(program, each))
    };
    let tests = programs.iter().filter(|program| is_wanted(program) && !is_suite(program));
    suites.chain(tests.map(Work::Tests)).collect()
}

impl<'a> Work<'a> {
    /// The column, of a suite, and how the tests beside it ended.
    fn run(&self, workspace: &Workspace) -> Result<(Option<(&'a str, Column)>, Outcome)> {
        let mut outcome = Outcome::default();
        match *self {
            Self::Tests(program) => {
                outcome.run_tests(program)?;
                Ok((None, outcome))
            }
            Self::Suite(backend, programs) => {
                let started = Instant::now();
                let column = run_suite(workspace, backend, programs, &mut outcome)?;
                println!("\n== {}: {:.1} s", backend.name, started.elapsed().as_secs_f64());
                Ok((Some((backend.name, column)), outcome))
            }
        }
    }
}

/// Runs the suite of a backend; where its program is built apart, so are the crate's other tests, and they run too.
fn run_suite(
    workspace: &Workspace,
    backend: &Backend,
    programs: &[Executable],
    outcome: &mut Outcome,
) -> Result<Column> {
    Ok(match built_apart(workspace, backend) {
        None => run_conformance(workspace, programs, backend),
        Some(Ok(program)) => {
            outcome.run_tests_apart(workspace, backend)?;
            run_conformance(workspace, &[program.beside_others()], backend)
        }
        Some(Err(error)) => {
            Column { problems: vec![format!("it cannot be built here: {error:#}")], ..Column::default() }
        }
    })
}

fn run_conformance(workspace: &Workspace, programs: &[Executable], backend: &Backend) -> Column {
    let program = programs.iter().find(|each| belongs(each, backend) && each.target == CONFORMANCE);
    let Some(program) = program else {
        let problem = format!("{} has no test program `{CONFORMANCE}`", backend.folder);
        return Column { problems: vec![problem], ..Column::default() };
    };
    let report = workspace.target(&format!("conformance/{}.json", backend.name));
    conformance::run(backend, program, &report)
}

/// How the tests beside the conformance suite ended.
#[derive(Debug, Default)]
struct Outcome {
    counts: TestCounts,
    failed: Vec<String>,
}

impl std::ops::AddAssign for Outcome {
    fn add_assign(&mut self, other: Self) {
        self.counts += other.counts;
        self.failed.extend(other.failed);
    }
}

impl Outcome {
    fn run_tests(&mut self, program: &Executable) -> Result<()> {
        let mut command = program.command();
        if program.host().is_some() {
            // There a panic ends the program, and with it what was kept of its output.
            command.arg("--nocapture");
        }
        let finished = program.run(&mut command)?;
        let counts = TestCounts::from_lines(&finished.lines);
        self.counts += counts;
        let name = format!("{} of {}", program.target, program.folder.display());
        if !finished.end.success() {
            self.failed.push(format!("{name} ended with {}", finished.end));
        } else if counts.failed > 0 {
            self.failed.push(format!("{name} reports {} failures, and success", counts.failed));
        } else if counts.ignored > 0 {
            self.failed.push(format!("{name} ignores {} tests", counts.ignored));
        } else if program.host().is_some() && counts.passed == 0 {
            // That its host ended well says nothing.
            self.failed.push(format!("{name} has run no test"));
        }
        Ok(())
    }

    /// The unit tests of a backend that this system does not run itself.
    fn run_tests_apart(&mut self, workspace: &Workspace, backend: &Backend) -> Result<()> {
        if backend.folder != wasi::FOLDER {
            return Ok(());
        }
        match wasi::build_unit_tests(workspace) {
            Ok(program) => self.run_tests(&program.beside_others())?,
            Err(error) => self.failed.push(format!("the unit tests of {}: {error:#}", backend.folder)),
        }
        Ok(())
    }

    fn red(&self) -> bool {
        !self.failed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn parse_words(words: &[&str]) -> Result<Options> {
        parse(words.iter().map(OsString::from))
    }

    #[test]
    fn options_are_understood_and_others_refused() {
        let options =
            parse_words(&["--backend", "sim", "--setup", "--json", "x.json", "--backend=epoll"]).unwrap();
        let backends = vec!["sim".to_owned(), "epoll".to_owned()];
        let json = Some("x.json".into());
        assert_eq!(options, Options { backends, setup: true, json, ..Options::default() });
        let without = parse_words(&["--without", "wasi", "--without=sim"]).unwrap().without;
        assert_eq!(without, ["wasi", "sim"]);
        assert!(parse_words(&["--without"]).is_err());
        assert!(parse_words(&["--fast"]).is_err());
        assert!(parse_words(&["sim"]).is_err());
    }

    #[test]
    fn an_unknown_backend_is_refused_with_the_known_ones() {
        let scratch = Scratch::new();
        scratch.write("crates/sim/Cargo.toml", "");
        let expected = conformance::expected(scratch.path());
        let choose = |words: &[&str]| choose(&expected, &parse_words(words).unwrap());
        assert_eq!(choose(&[]).unwrap(), expected);
        assert_eq!(choose(&["--backend", "sim"]).unwrap(), expected);
        for option in ["--backend", "--without"] {
            let error = choose(&[option, "iocp"]).unwrap_err().to_string();
            assert!(error.contains("iocp") && error.contains("there are sim"), "{error}");
        }
        assert!(super::choose(&[], &Options::default()).is_err());
    }

    #[test]
    fn what_is_not_here_may_be_left_out_and_not_asked_for() {
        let scratch = Scratch::new();
        scratch.write("crates/sim/Cargo.toml", "");
        let expected = conformance::expected(scratch.path());
        for other in conformance::names().filter(|name| *name != "sim") {
            let without = parse_words(&["--without", other]).unwrap();
            assert_eq!(choose(&expected, &without).unwrap(), expected, "{other}");
            let said = not_here_anyway(&expected, other);
            let why = conformance::why_not_here(other).unwrap();
            assert_eq!(said, format!(", not here anyway: {why}"));
            let error =
                choose(&expected, &parse_words(&["--backend", other]).unwrap()).unwrap_err().to_string();
            assert!(error.contains(&why) && error.ends_with("there are sim"), "{error}");
        }
        assert_eq!(not_here_anyway(&expected, "sim"), "");
        assert_eq!(conformance::why_not_here("iocp"), None);
        // One for other systems, one that is asked for by a variable, and one whose crate is not there.
        let elsewhere = if cfg!(target_os = "linux") { "kqueue" } else { "epoll" };
        assert!(conformance::why_not_here(elsewhere).unwrap().starts_with("it is for "));
        if cfg!(target_os = "linux") {
            let variable = conformance::why_not_here("kqueue-libkqueue").unwrap();
            assert_eq!(variable, format!("{} is not set", libkqueue::VARIABLE));
            assert_eq!(conformance::why_not_here("epoll").unwrap(), "there is no crates/epoll");
        }
    }

    #[test]
    fn the_help_names_every_backend() {
        let values = values(&Workspace::here()).unwrap();
        assert!(values.starts_with("backends here: sim, "), "{values}");
        for name in conformance::names() {
            assert!(values.contains(name), "{name} in {values}");
        }
    }

    #[test]
    fn what_is_left_out_by_name_has_no_column_and_the_others_have() {
        let scratch = Scratch::new();
        for folder in ["sim", "wasi", "kqueue"] {
            scratch.write(&format!("crates/{folder}/Cargo.toml"), "");
        }
        let expected = conformance::expected(scratch.path());
        let names = |words: &[&str]| {
            let chosen = choose(&expected, &parse_words(words).unwrap())?;
            Ok::<_, anyhow::Error>(chosen.iter().map(|backend| backend.name).collect::<Vec<_>>())
        };
        let mut others = names(&[]).unwrap();
        assert!(others.len() > 1, "{others:?}");
        others.retain(|name| *name != "sim");
        assert_eq!(names(&["--without", "sim"]).unwrap(), others);
        assert_eq!(
            names(&["--backend", "sim", "--backend", others[0], "--without", others[0]]).unwrap(),
            ["sim"]
        );
        let error = names(&["--backend", "sim", "--without", "sim"]).unwrap_err().to_string();
        assert!(error.contains("no backend is left"), "{error}");
    }

    #[test]
    fn every_program_that_is_wanted_runs_once_and_suites_run_first() {
        let scratch = Scratch::new();
        let program = |folder: &str, target: &str| {
            scratch.write(&format!("{folder}/Cargo.toml"), "");
            Executable::for_test(folder, target, "/nowhere/program".into())
        };
        let programs = [
            program("crates/core", "proactor_core"),
            program("crates/sim", "proactor_sim"),
            program("crates/sim", CONFORMANCE),
            program("crates/wasi", "proactor_wasi"),
            program("crates/wasi", CONFORMANCE),
        ];
        let expected = conformance::expected(scratch.path());
        let names = |words: &[&str]| {
            let options = parse_words(words).unwrap();
            let chosen = choose(&expected, &options).unwrap();
            let work = work(&programs, &expected, &chosen, &options);
            let name = |work: &Work<'_>| match work {
                Work::Suite(backend, _) => backend.name.to_owned(),
                Work::Tests(program) => program.target.clone(),
            };
            work.iter().map(name).collect::<Vec<_>>()
        };
        let suites: Vec<_> = expected.iter().rev().map(|backend| backend.name.to_owned()).collect();
        let mut all = suites.clone();
        all.extend(["proactor_core", "proactor_sim"].map(str::to_owned));
        // Elsewhere WASI has no column, and its programs are not built.
        if suites.iter().any(|name| name == "wasi") {
            all.push("proactor_wasi".to_owned());
            assert_eq!(names(&[]), all);
        }
        assert_eq!(names(&["--backend", "sim"]), ["sim", "proactor_sim"]);
    }

    #[test]
    fn what_a_system_cannot_have_is_left_out_there_and_nothing_else() {
        assert_eq!(left_out("linux"), Vec::<String>::new());
        for system in ["macos", "freebsd", "netbsd", "openbsd", "dragonfly"] {
            let backends = ["proactor-epoll", "proactor-uring", "proactor-wasi"];
            assert_eq!(left_out(system), [backends.as_slice(), &OF_LINUX].concat(), "{system}");
        }
        // A package that has been renamed would be left out no more.
        let workspace = Workspace::here();
        let manifests = ["crates/bench", "examples/either", "examples/epoll", "examples/uring"];
        for (folder, package) in manifests.into_iter().zip(OF_LINUX) {
            let manifest = workspace.read(format!("{folder}/Cargo.toml")).unwrap();
            assert!(manifest.contains(&format!("name = \"{package}\"")), "{folder}");
        }
    }

    #[test]
    fn a_crate_without_a_conformance_program_is_red() {
        let scratch = Scratch::new();
        scratch.write("crates/sim/Cargo.toml", "");
        let workspace = Workspace::at(scratch.path());
        let backend = conformance::expected(scratch.path())[0];
        let column = run_conformance(&workspace, &[], &backend);
        assert!(Matrix::new(&[("sim", column)]).red());
    }

    fn outcome_of(output: &str, status: i32) -> Outcome {
        let scratch = Scratch::new();
        let script = format!("#!/bin/sh\necho '{output}'\nexit {status}\n");
        let program = Executable::for_test("crates/sim", "tests", scratch.program("tests", &script));
        let mut outcome = Outcome::default();
        outcome.run_tests(&program).unwrap();
        outcome
    }

    #[test]
    fn a_host_that_ends_well_and_has_run_nothing_is_red() {
        let line = |passed: u32| format!("test result: ok. {passed} passed; 0 failed; 0 ignored; 0 measured");
        for (output, is_red) in [(line(3), false), (line(0), true), (String::new(), true)] {
            let scratch = Scratch::new();
            let version = wasi::host::versioned(wasi::host::Kind::Wasmi);
            let script = format!("#!/bin/sh\n[ \"$1\" = run ] && echo '{output}' || echo {version}\n");
            scratch.program("wasmi/bin/wasmi", &script);
            let program = Executable::for_test("crates/wasi", "tests", scratch.write("tests.wasm", ""));
            let program = program.run_by(wasi::Host::find_in(scratch.path()).unwrap()).unwrap();
            let mut outcome = Outcome::default();
            outcome.run_tests(&program).unwrap();
            assert_eq!(outcome.red(), is_red, "{output}");
        }
    }

    #[test]
    fn failed_and_ignored_tests_are_red() {
        let line = |passed: u32, failed: u32, ignored: u32| {
            format!("test result: ok. {passed} passed; {failed} failed; {ignored} ignored; 0 measured")
        };
        let green = outcome_of(&line(3, 0, 0), 0);
        assert!(!green.red());
        assert_eq!(green.counts.passed, 3);
        assert!(outcome_of(&line(3, 0, 0), 1).red());
        assert!(outcome_of(&line(3, 1, 0), 0).red());
        assert!(outcome_of(&line(3, 0, 1), 0).red());
    }
}
