//! The suite on WASI: its program is built for `wasm32-wasip1` and run by a host of such programs, each case in an instance
//! of its own, since a panic there ends the program and nothing in it could watch the clock.
//!
//! The verdict comes out of the instance as elsewhere, in the file that it is told of. Where it leaves none, what it
//! wrote to standard error is the reason.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::conformance::{self, CaseReport, Verdict};
use crate::cross;
use crate::executables::{self, Executable, Programs};
use crate::mutate;
use crate::process::{End, Finished, Running};
use crate::side_by_side;
use crate::test_all::CONFORMANCE;
use crate::workspace::Workspace;

mod companion;
pub(crate) mod host;

use companion::Companion;
pub(crate) use host::Host;

/// The crate of the backend.
pub(crate) const FOLDER: &str = "crates/wasi";

const PACKAGE: &str = "proactor-wasi";

/// How long a case may take: longer than elsewhere, for an interpreter, and by the clock, as nothing here knows how much of
/// that an instance had a processor for.
const LIMIT: Duration = Duration::from_secs(240);

/// As many instances run at once: most wait.
const AT_ONCE: usize = 3;

/// The folder that an instance may use, by the variable that tells it.
const FOLDER_VARIABLE: &str = "PROACTOR_CONFORMANCE_FOLDER";

/// Builds the suite's program.
///
/// # Errors
/// What is missing to do so, or why it does not compile.
pub(crate) fn build(workspace: &Workspace) -> Result<Executable> {
    build_one(workspace, None, &["--test", CONFORMANCE])
}

/// The same of a copy of the tree, into `target` and without warnings.
///
/// # Errors
/// As for the checkout's.
pub(crate) fn build_quietly(copy: &Workspace, target: &Path) -> Result<Executable> {
    build_one(copy, Some(target), &["--test", CONFORMANCE])
}

/// Builds the unit tests of the backend's crate, of which most exist there alone.
///
/// # Errors
/// As for the suite's.
pub(crate) fn build_unit_tests(workspace: &Workspace) -> Result<Executable> {
    build_one(workspace, None, &["--lib"])
}

fn build_one(workspace: &Workspace, target: Option<&Path>, what: &[&str]) -> Result<Executable> {
    let host = Host::find()?;
    let mut command = cargo(workspace)?;
    command.args(["test", "--quiet", "--no-run", "--package", PACKAGE]).args(what);
    if let Some(target) = target {
        command
            .env("CARGO_TARGET_DIR", target)
            .env("RUSTFLAGS", mutate::UNUSED)
            .env("CARGO_INCREMENTAL", "1");
    }
    let programs = executables::build(workspace, &mut command, Programs::Tests)?;
    let program = programs.into_iter().next().context("cargo built no test program")?;
    program.run_by(host)
}

/// Builds the programs of a package, for `host` to run.
///
/// # Errors
/// That the toolchain is missing, or why they do not compile.
pub(crate) fn build_programs(workspace: &Workspace, host: &Host, what: &[&str]) -> Result<Vec<Executable>> {
    let mut command = cargo(workspace)?;
    command.args(["build", "--quiet"]).args(what);
    let programs = executables::build(workspace, &mut command, Programs::Ordinary)?;
    programs.into_iter().map(|program| program.run_by(host.clone())).collect()
}

/// The toolchain's cargo, about to build what a host is to run.
fn cargo(workspace: &Workspace) -> Result<Command> {
    let mut command = cross::Toolchain::find()?.cargo(workspace, cross::WASI);
    // For an interpreter a little is worth much; what debuggers would read is only to be skipped.
    command.env("CARGO_PROFILE_DEV_OPT_LEVEL", "1").env("CARGO_PROFILE_DEV_DEBUG", "0");
    Ok(command)
}

/// Runs all cases, their lines shown, each allowed `patience` times its usual time. What cannot run here one instance says
/// for all.
pub(crate) fn run_all(
    program: &Executable,
    report: &Path,
    patience: u32,
) -> Result<(Finished, Vec<CaseReport>)> {
    let session = Session::new(program, report, patience)?;
    let host = session.host.name();
    session.say(&format!("\n     Running {} of {}, under {host}", program.target, program.folder.display()));
    let mut cases = session.not_here()?;
    let listed = conformance::list(program)?;
    let missing: Vec<&str> = cases.iter().map(|case| case.case.as_str()).collect();
    let chosen: Vec<(&String, &Vec<String>)> =
        listed.iter().filter(|(name, _)| !missing.contains(&name.as_str())).collect();
    let started = Instant::now();
    let ran = session.run_each(&chosen);
    let failed = ran.iter().filter(|case| case.verdict == Verdict::Fail).count();
    let passed = ran.iter().filter(|case| case.verdict == Verdict::Pass).count();
    let seconds = started.elapsed().as_secs_f64();
    session.say(&format!(
        "\ntest result: {passed} passed; {failed} failed; {} not here; finished in {seconds:.2}s",
        cases.len()
    ));
    if program.is_beside_others() {
        println!("{}", session.said());
    }
    cases.extend(ran);
    // As a program of all cases would end.
    let end = End::Exited(exit_status(if failed == 0 { 0 } else { 1 }));
    Ok((Finished { end, lines: Vec::new() }, cases))
}

/// Runs one case for its verdict alone.
pub(crate) fn run_case(program: &Executable, case: &str, report: &Path) -> Result<CaseReport> {
    let listed = conformance::list(program)?;
    let rules = listed.get(case).with_context(|| format!("there is no case `{case}`"))?;
    Session::new(program, report, 1)?.run_one(case, rules)
}

#[cfg(unix)]
fn exit_status(code: i32) -> ExitStatus {
    std::os::unix::process::ExitStatusExt::from_raw(code << 8)
}

/// One run of the suite, or of a part of it.
struct Session<'a> {
    program: &'a Executable,
    host: &'a Host,
    /// Where instances have their folders.
    folder: PathBuf,
    limit: Duration,
    /// What is to be shown once all is over.
    said: Mutex<String>,
}

impl<'a> Session<'a> {
    fn new(program: &'a Executable, report: &Path, patience: u32) -> Result<Self> {
        let host = program.host().context("it is no program of WASI")?;
        let folder = report.with_extension("instances");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self { program, host, folder, limit: LIMIT * patience, said: Mutex::default() })
    }

    /// Shows lines: at once, or in one piece with all others if other programs run at the same time.
    fn say(&self, lines: &str) {
        if self.program.is_beside_others() {
            let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            *said += lines;
            said.push('\n');
        } else {
            println!("{lines}");
        }
    }

    fn said(self) -> String {
        self.said.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cases that need what is missing, as judged by the program.
    fn not_here(&self) -> Result<Vec<CaseReport>> {
        let mut instance = Instance::start(self, "not-here", &["--not-here"])?;
        let end = instance.end(self.limit)?;
        instance.report().with_context(|| format!("it ended with {end}: {}", instance.complaint()))
    }

    fn run_each(&self, chosen: &[(&String, &Vec<String>)]) -> Vec<CaseReport> {
        side_by_side::each(AT_ONCE, chosen, |(name, rules)| {
            let report = self.run_one(name, rules).unwrap_or_else(|error| CaseReport {
                case: (*name).clone(),
                verdict: Verdict::Fail,
                rules: (*rules).clone(),
                detail: Some(format!("it could not be run: {error:#}")),
            });
            let verdict = match report.verdict {
                Verdict::Pass => "ok",
                Verdict::NotHere => "not here",
                Verdict::ExpectedFailure => "expected failure",
                Verdict::Fail => "FAILED",
            };
            let detail = (report.verdict == Verdict::Fail)
                .then(|| format!("\n    {}", report.detail.as_deref().unwrap_or_default()));
            self.say(&format!("test {name} ... {verdict}{}", detail.unwrap_or_default()));
            report
        })
    }

    /// Runs one case in an instance of its own.
    fn run_one(&self, name: &str, rules: &[String]) -> Result<CaseReport> {
        let folder = name.replace(':', "-");
        let mut instance = Instance::start(self, &folder, &["--exact", name])?;
        // Where nobody listens for the companion, the program's own words say why.
        let end = instance.end(self.limit).with_context(|| instance.complaint())?;
        let fail = |detail: String| CaseReport {
            case: name.to_owned(),
            verdict: Verdict::Fail,
            rules: rules.to_vec(),
            detail: Some(detail),
        };
        if end == End::TimedOut {
            return Ok(fail(format!("did not end within {:?}", self.limit)));
        }
        match instance.report() {
            Ok(cases) => cases
                .into_iter()
                .find(|each| each.case == name)
                .with_context(|| format!("{name} did not run")),
            Err(_) => Ok(fail(format!("{} ({end})", instance.complaint()))),
        }
    }
}

/// One run of the program, with a folder, a listener and a companion of its own.
struct Instance {
    running: Running,
    folder: PathBuf,
    companion: Companion,
}

impl Instance {
    fn start(session: &Session<'_>, name: &str, arguments: &[&str]) -> Result<Self> {
        let folder = session.folder.join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let address = Companion::free_address()?;
        let mut command = session.host.run();
        command.arg("--dir").arg(&folder);
        command.arg(format!("{}{address}", session.host.listener()));
        for (variable, value) in
            [(FOLDER_VARIABLE, folder.clone()), (conformance::REPORT_VARIABLE, report_in(&folder))]
        {
            command.arg("--env").arg(format!("{variable}={}", value.display()));
        }
        command.arg("--").arg(&session.program.path).args(arguments);
        command.stderr(File::create(folder.join("errors")).context("no file for what it complains of")?);
        // A pipe as standard input: some hosts wait for nothing else.
        let (running, input) = Running::start_with_input(&mut command)?;
        Ok(Self { running, folder, companion: Companion::new(address, input) })
    }

    /// Waits for the end, doing what it asks for meanwhile.
    fn end(&mut self, limit: Duration) -> Result<End> {
        let deadline = Instant::now() + limit;
        while let Some(line) = self.running.line(deadline) {
            self.companion.hear(&line)?;
        }
        self.running.end(deadline)
    }

    fn report(&self) -> Result<Vec<CaseReport>> {
        conformance::read_report(&report_in(&self.folder)).map(|report| report.cases)
    }

    /// What it wrote to standard error: most often a panic and where.
    fn complaint(&self) -> String {
        let text = std::fs::read_to_string(self.folder.join("errors")).unwrap_or_default();
        // Wasmtime warns of the option by which it passes sockets in.
        let said = ["note:", "Error:", "WARNING:"];
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !said.iter().any(|beginning| line.starts_with(beginning)))
            .take(6)
            .collect();
        if lines.is_empty() { "it left no word".to_owned() } else { lines.join(" ") }
    }
}

fn report_in(folder: &Path) -> PathBuf {
    folder.join("report.json")
}
