//! What a backend's conformance program says, and how it is asked.
//!
//! Each backend's crate has a test program `conformance` that runs the whole table of cases in its own process:
//! `--list-cases` prints a line `NAME<TAB>RULES` per case, `--exact NAME` chooses one, and where
//! `PROACTOR_CONFORMANCE_JSON` names a file, the verdicts are written there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::case_table::{self, Cases};
use crate::executables::Executable;
use crate::libkqueue;
use crate::process::{self, Echo, End, Finished};
use crate::wasi;

/// The environment variable that names the file for the verdicts.
pub(crate) const REPORT_VARIABLE: &str = "PROACTOR_CONFORMANCE_JSON";

/// The environment variable that multiplies the time that a case may take.
const PATIENCE_VARIABLE: &str = "PROACTOR_CONFORMANCE_PATIENCE";

const LIST_LIMIT: Duration = Duration::from_secs(30);
const CASE_LIMIT: Duration = Duration::from_secs(60);

/// One backend of the table, and where it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backend {
    /// Its name in the table.
    pub(crate) name: &'static str,
    /// Its crate, from which on it is expected in every table made on a system of `systems`.
    pub(crate) folder: &'static str,
    /// The systems, in the words of `std::env::consts::OS`, where it can run; none means everywhere.
    systems: &'static [&'static str],
    /// The environment variable without which it is not expected: what it needs is for the user to name.
    pub(crate) variable: Option<&'static str>,
}

impl Backend {
    const fn new(name: &'static str, folder: &'static str, systems: &'static [&'static str]) -> Self {
        Self { name, folder, systems, variable: None }
    }

    /// Whether a case that hangs is to hide no other one's verdict: over what is not ours, and on kernels that few have.
    fn may_hang(&self) -> bool {
        self.variable.is_some() || self.name == "kqueue"
    }
}

/// Every backend there is or will be. One whose crate does not exist yet is not expected.
const BACKENDS: [Backend; 7] = [
    Backend::new("sim", "crates/sim", &[]),
    Backend::new("epoll", "crates/epoll", &["linux"]),
    Backend::new("uring", "crates/uring", &["linux"]),
    Backend::new("kqueue", "crates/kqueue", &["macos", "freebsd", "netbsd", "openbsd", "dragonfly"]),
    Backend::new("kqueue-emulated", "crates/kqueue", &["linux"]),
    Backend {
        variable: Some(libkqueue::VARIABLE),
        ..Backend::new("kqueue-libkqueue", "crates/kqueue", &["linux"])
    },
    Backend::new("wasi", "crates/wasi", &["linux"]),
];

/// The backends expected of this checkout on this system.
pub(crate) fn expected(root: &Path) -> Vec<Backend> {
    expected_with(root, |variable| std::env::var_os(variable).is_some_and(|value| !value.is_empty()))
}

fn expected_with(root: &Path, is_set: impl Fn(&str) -> bool) -> Vec<Backend> {
    let system = std::env::consts::OS;
    let here = |backend: &Backend| backend.systems.is_empty() || backend.systems.contains(&system);
    let exists = |backend: &Backend| root.join(backend.folder).join("Cargo.toml").exists();
    let wanted = |backend: &Backend| backend.variable.is_none_or(&is_set);
    BACKENDS.into_iter().filter(|backend| here(backend) && exists(backend) && wanted(backend)).collect()
}

/// What each backend is called, also those that are not here.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    BACKENDS.iter().map(|backend| backend.name)
}

/// Why the backend of that name is not among those expected here; none where no backend has the name.
pub(crate) fn why_not_here(name: &str) -> Option<String> {
    let backend = BACKENDS.iter().find(|backend| backend.name == name)?;
    let runs_here = backend.systems.is_empty() || backend.systems.contains(&std::env::consts::OS);
    Some(match backend.variable {
        _ if !runs_here => format!("it is for {}", backend.systems.join(", ")),
        Some(variable) => format!("{variable} is not set"),
        None => format!("there is no {}", backend.folder),
    })
}

/// The folders of the backends none of which can run on `system`, named as [`Backend::folder`] is.
pub(crate) fn elsewhere(system: &str) -> BTreeSet<&'static str> {
    let runs = |backend: &&Backend| backend.systems.is_empty() || backend.systems.contains(&system);
    let here: BTreeSet<_> = BACKENDS.iter().filter(runs).map(|backend| backend.folder).collect();
    BACKENDS.iter().map(|backend| backend.folder).filter(|folder| !here.contains(folder)).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Pass,
    NotHere,
    ExpectedFailure,
    Fail,
}

/// One case as the program reports it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct CaseReport {
    pub(crate) case: String,
    pub(crate) verdict: Verdict,
    pub(crate) rules: Vec<String>,
    pub(crate) detail: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Report {
    backend: String,
    pub(crate) cases: Vec<CaseReport>,
}

/// One backend's column: what its program listed, what it reported, and what is wrong with the column as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) listed: BTreeMap<String, Vec<String>>,
    pub(crate) reported: BTreeMap<String, CaseReport>,
    pub(crate) problems: Vec<String>,
}

/// Runs all cases of one backend. Whatever goes wrong is a problem of the column, so that the other columns still run.
pub(crate) fn run(backend: &Backend, program: &Executable, report: &Path) -> Column {
    let mut column = Column::default();
    match list(program) {
        Ok(listed) => column.listed = listed,
        Err(error) => column.problems.push(format!("its cases cannot be listed: {error:#}")),
    }
    let ran = if backend.may_hang() {
        run_all_that_end(program, report, &column.listed)
    } else {
        run_all(program, report, 1)
    };
    match ran {
        Ok((finished, cases)) => {
            let failed = cases.iter().any(|case| case.verdict == Verdict::Fail);
            if finished.end.success() == failed || finished.end == End::TimedOut {
                column.problems.push(format!("its verdicts do not fit its end ({})", finished.end));
            }
            column.add(cases);
        }
        Err(error) => column.problems.push(format!("{error:#}")),
    }
    if column.listed.is_empty() && column.problems.is_empty() {
        column.problems.push(format!("no case at all ran on {}", backend.name));
    }
    column
}

impl Column {
    /// What its program lists is the whole table, and nothing else.
    pub(crate) fn compare(&mut self, table: &Cases) {
        // Of one that lists nothing it has been said already.
        if self.listed.is_empty() || self.listed == *table {
            return;
        }
        let differs = |(case, rules): &(&String, &Vec<String>)| {
            self.listed.get(*case) != Some(*rules) || table.get(*case) != Some(*rules)
        };
        let others: BTreeSet<&String> =
            table.iter().chain(&self.listed).filter(differs).map(|(case, _)| case).collect();
        self.problems
            .push(format!("its program lists other cases or rules than {}: {others:?}", case_table::FILE));
    }

    fn add(&mut self, cases: Vec<CaseReport>) {
        for case in cases {
            match self.listed.get(&case.case) {
                Some(rules) if *rules == case.rules => {}
                Some(_) => {
                    self.problems.push(format!("{}: listed with other rules than reported", case.case))
                }
                None => self.problems.push(format!("{}: reported but not listed", case.case)),
            }
            if let Some(earlier) = self.reported.insert(case.case.clone(), case) {
                self.problems.push(format!("{}: reported twice", earlier.case));
            }
        }
    }
}

/// The cases of a program with the rules that each proves.
pub(crate) fn list(program: &Executable) -> Result<BTreeMap<String, Vec<String>>> {
    let mut command = program.command();
    command.arg("--list-cases");
    let finished = process::collect(&mut command, LIST_LIMIT, Echo::Quiet)?;
    if !finished.end.success() {
        bail!("--list-cases: {}", finished.end);
    }
    parse_list(&finished.lines)
}

fn parse_list(lines: &[String]) -> Result<BTreeMap<String, Vec<String>>> {
    let mut cases = BTreeMap::new();
    for line in lines {
        let (name, rules) = line.split_once('\t').with_context(|| format!("no tab in `{line}`"))?;
        let rules = rules.split([',', ' ']).filter(|rule| !rule.is_empty()).map(str::to_owned).collect();
        if cases.insert(name.to_owned(), rules).is_some() {
            bail!("{name} is listed twice");
        }
    }
    Ok(cases)
}

/// Runs all cases with their output shown, each allowed `patience` times its usual time, and reads what the program
/// reported.
pub(crate) fn run_all(
    program: &Executable,
    report: &Path,
    patience: u32,
) -> Result<(Finished, Vec<CaseReport>)> {
    if program.host().is_some() {
        return wasi::run_all(program, report, patience);
    }
    run_some(program, report, patience, &[])
}

/// The same of the cases named, or of all.
fn run_some(
    program: &Executable,
    report: &Path,
    patience: u32,
    names: &[&str],
) -> Result<(Finished, Vec<CaseReport>)> {
    let mut command = program.command();
    command.env(PATIENCE_VARIABLE, patience.to_string());
    prepare(&mut command, report)?;
    if !names.is_empty() {
        command.arg("--exact").args(names);
    }
    let finished = program.run(&mut command)?;
    let cases = read(program, &finished, report)?;
    Ok((finished, cases))
}

/// Runs all cases of a program some of which may hang: each of those ends it, and the rest begins anew.
fn run_all_that_end(
    program: &Executable,
    report: &Path,
    listed: &BTreeMap<String, Vec<String>>,
) -> Result<(Finished, Vec<CaseReport>)> {
    let (mut finished, mut cases) = run_some(program, report, 1, &[])?;
    loop {
        let done: BTreeSet<&str> = cases.iter().map(|case| case.case.as_str()).collect();
        let left: Vec<&str> = listed.keys().map(String::as_str).filter(|name| !done.contains(name)).collect();
        if left.is_empty() || finished.end.success() || finished.end == End::TimedOut {
            break;
        }
        let (end, more) = run_some(program, report, 1, &left)?;
        if more.is_empty() {
            break;
        }
        finished = end;
        cases.extend(more);
    }
    // A program that a case has ended says no more than the verdict of that.
    if finished.end != End::TimedOut {
        let failed = cases.iter().any(|case| case.verdict == Verdict::Fail);
        finished.end = End::of(i32::from(failed));
    }
    Ok((finished, cases))
}

/// Runs one case for its verdict alone: what it prints is nobody's concern.
pub(crate) fn run_case(program: &Executable, case: &str, report: &Path) -> Result<CaseReport> {
    if program.host().is_some() {
        return wasi::run_case(program, case, report);
    }
    let mut command = program.command();
    prepare(&mut command, report)?;
    command.args(["--exact", case]).stderr(Stdio::null());
    let finished = process::collect(&mut command, CASE_LIMIT, Echo::Quiet)?;
    let cases = read(program, &finished, report)?;
    cases.into_iter().find(|each| each.case == case).with_context(|| format!("{case} did not run"))
}

/// Names the file for the verdicts; what an earlier run left there must not pass for this one's.
fn prepare(command: &mut Command, report: &Path) -> Result<()> {
    if let Some(folder) = report.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    if let Err(error) = std::fs::remove_file(report)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error).with_context(|| format!("cannot remove {}", report.display()));
    }
    command.env(REPORT_VARIABLE, report);
    Ok(())
}

/// What a program has reported.
pub(crate) fn read_report(file: &Path) -> Result<Report> {
    let text = std::fs::read_to_string(file).context("no report of its cases")?;
    serde_json::from_str(&text).context("its report cannot be read")
}

fn read(program: &Executable, finished: &Finished, report: &Path) -> Result<Vec<CaseReport>> {
    let parsed = read_report(report).with_context(|| format!("it ended with {}", finished.end))?;
    let own = program.folder.file_name().unwrap_or_default().to_string_lossy();
    if !parsed.backend.starts_with(&*own) {
        bail!("its report speaks of `{}`", parsed.backend);
    }
    Ok(parsed.cases)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    /// A conformance program that lists and reports what a test wants.
    fn fake(scratch: &Scratch, list: &str, report: Option<&str>, status: i32) -> Executable {
        let list = scratch.write("sim/list", list);
        let mut script =
            format!("#!/bin/sh\nif [ \"$1\" = --list-cases ]; then exec cat {}; fi\n", list.display());
        if let Some(report) = report {
            let report = scratch.write("sim/report", report);
            script += &format!("cp {} \"${REPORT_VARIABLE}\"\n", report.display());
        }
        script += &format!("exit {status}\n");
        Executable::for_test("crates/sim", "conformance", scratch.program("sim/program", &script))
    }

    const LIST: &str = "nop\tC1,L3\ntimer\tT1\n";

    fn report(timer: &str) -> String {
        format!(
            r#"{{"backend":"sim","capabilities":{{}},"cases":[
                {{"case":"nop","verdict":"pass","rules":["C1","L3"],"detail":null}}{timer}]}}"#
        )
    }

    fn run_fake(list: &str, report: Option<&str>, status: i32) -> Column {
        let scratch = Scratch::new();
        let program = fake(&scratch, list, report, status);
        run(&BACKENDS[0], &program, &scratch.path().join("out/report.json"))
    }

    const TIMER: &str = r#",{"case":"timer","verdict":"not_here","rules":["T1"],"detail":"clock"}"#;

    #[test]
    fn a_green_column_has_no_problems() {
        let column = run_fake(LIST, Some(&report(TIMER)), 0);
        assert_eq!(column.problems, [""; 0]);
        assert_eq!(column.reported["nop"].verdict, Verdict::Pass);
        assert_eq!(column.reported["timer"].verdict, Verdict::NotHere);
        assert_eq!(column.listed["nop"], ["C1", "L3"]);
    }

    #[test]
    fn a_program_of_a_part_of_the_table_is_a_problem() {
        let cases = |list: &str| parse_list(&list.lines().map(str::to_owned).collect::<Vec<_>>()).unwrap();
        let problems = |table: &str| {
            let mut column = Column { listed: cases(LIST), ..Column::default() };
            column.compare(&cases(table));
            column.problems
        };
        assert_eq!(problems(LIST), [""; 0]);
        for (table, named) in [
            ("nop\tC1,L3\ntimer\tT1\nthird\tT1\n", "third"),
            ("nop\tC1,L3\n", "timer"),
            ("nop\tC1\ntimer\tT1\n", "nop"),
        ] {
            let problems = problems(table);
            assert!(problems.len() == 1 && problems[0].contains(&format!("{{\"{named}\"}}")), "{problems:?}");
        }
    }

    #[test]
    fn no_report_is_a_problem_even_when_the_program_succeeds() {
        let column = run_fake(LIST, None, 0);
        assert!(column.problems[0].contains("no report"), "{:?}", column.problems);
        assert!(column.reported.is_empty());
    }

    #[test]
    fn an_earlier_report_does_not_count() {
        let scratch = Scratch::new();
        let program = fake(&scratch, LIST, None, 0);
        let stale = scratch.write("out/report.json", &report(TIMER));
        assert!(!run(&BACKENDS[0], &program, &stale).problems.is_empty());
    }

    #[test]
    fn a_report_that_does_not_fit_the_exit_status_is_a_problem() {
        assert_eq!(run_fake(LIST, Some(&report(TIMER)), 1).problems.len(), 1);
        let failing = TIMER.replace("not_here", "fail");
        assert_eq!(run_fake(LIST, Some(&report(&failing)), 0).problems.len(), 1);
        assert_eq!(run_fake(LIST, Some(&report(&failing)), 1).problems, [""; 0]);
    }

    #[test]
    fn another_backends_report_is_a_problem() {
        let other = report(TIMER).replace("\"sim\"", "\"epoll\"");
        assert!(run_fake(LIST, Some(&other), 0).problems[0].contains("epoll"));
    }

    #[test]
    fn cases_that_are_unlisted_doubled_or_under_other_rules_are_problems() {
        let unlisted = run_fake("nop\tC1,L3\n", Some(&report(TIMER)), 0);
        assert!(unlisted.problems[0].contains("not listed"), "{:?}", unlisted.problems);
        let doubled = run_fake(LIST, Some(&report(&format!("{TIMER}{TIMER}"))), 0);
        assert!(doubled.problems[0].contains("twice"), "{:?}", doubled.problems);
        let other_rules = run_fake("nop\tC1\ntimer\tT1\n", Some(&report(TIMER)), 0);
        assert!(other_rules.problems[0].contains("other rules"), "{:?}", other_rules.problems);
    }

    #[test]
    fn one_case_is_found_among_those_reported() {
        let scratch = Scratch::new();
        let program = fake(&scratch, LIST, Some(&report(TIMER)), 0);
        let file = scratch.path().join("out/report.json");
        assert_eq!(run_case(&program, "timer", &file).unwrap().verdict, Verdict::NotHere);
        assert!(run_case(&program, "time", &file).is_err());
    }

    /// A program whose every case ends it, while there are others to run.
    fn hanging(scratch: &Scratch, verdict: &str) -> Executable {
        scratch.write("sim/list", LIST);
        let script = format!(
            r#"#!/bin/sh
[ "$1" = --list-cases ] && exec cat list
name=nop; rules='"C1","L3"'
[ "$1" = --exact ] && {{ name=$2; rules='"T1"'; }}
echo '{{"backend":"sim","cases":[{{"case":"'$name'","verdict":"{verdict}","rules":['$rules'],"detail":null}}]}}' \
    > "${REPORT_VARIABLE}"
exit 101
"#
        );
        Executable::for_test("crates/sim", "conformance", scratch.program("sim/program", &script))
    }

    #[test]
    fn where_cases_are_expected_to_hang_the_others_run_all_the_same() {
        let on_demand = Backend { variable: Some("SOME"), ..BACKENDS[0] };
        for (verdict, expected) in [("expected_failure", Verdict::ExpectedFailure), ("fail", Verdict::Fail)] {
            let scratch = Scratch::new();
            let program = hanging(&scratch, verdict);
            let column = run(&on_demand, &program, &scratch.path().join("out/report.json"));
            assert_eq!(column.problems, [""; 0]);
            let verdicts: Vec<Verdict> = column.reported.values().map(|case| case.verdict).collect();
            assert_eq!(verdicts, [expected; 2]);
        }
        // Elsewhere none is.
        let scratch = Scratch::new();
        let column = run(&BACKENDS[0], &hanging(&scratch, "pass"), &scratch.path().join("out/report.json"));
        assert_eq!((column.problems.len(), column.reported.len()), (1, 1));
    }

    #[test]
    fn what_runs_on_demand_is_expected_of_those_who_name_what_it_needs() {
        let scratch = Scratch::new();
        scratch.write("crates/kqueue/Cargo.toml", "");
        let on_demand = |backends: Vec<Backend>| backends.into_iter().any(|each| each.variable.is_some());
        assert!(!on_demand(expected_with(scratch.path(), |_| false)));
        let is_set = |variable: &str| variable == libkqueue::VARIABLE;
        assert_eq!(on_demand(expected_with(scratch.path(), is_set)), cfg!(target_os = "linux"));
    }

    #[test]
    fn a_program_without_cases_is_a_problem() {
        let empty = r#"{"backend":"sim","capabilities":{},"cases":[]}"#;
        assert!(run_fake("", Some(empty), 0).problems[0].contains("no case"));
    }

    #[test]
    fn a_backend_is_expected_once_its_crate_exists() {
        let scratch = Scratch::new();
        assert_eq!(expected(scratch.path()), []);
        scratch.write("crates/sim/Cargo.toml", "");
        assert_eq!(expected(scratch.path()), [BACKENDS[0]]);
    }
}
