//! The expected matrix, as it is checked in: what each case does where.
//!
//! `expected.txt` has a line per case, `NAME [where CAPABILITY...] [fails where CAPABILITY...: REASON]`, and one per
//! backend, `column BACKEND has CAPABILITY... lacks CAPABILITY...`; it begins with `on-demand` where the backend runs for
//! those alone who have what it needs, so that no list of what runs has it. What fails for a reason of one backend's alone is in
//! lines `fails BACKEND CASE...: REASON`. It repeats on purpose what the table of cases and the probes say: a deviation in
//! either direction is a failure, so that nothing goes quiet unseen.

use proactor_core::Capabilities;

use crate::case::{Verdict, holds};

/// The matrix that is checked in.
pub(crate) const CHECKED_IN: &str = include_str!("expected.txt");

/// What is expected of one case.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Expectation<'a> {
    name: &'a str,
    runs_where: Vec<&'a str>,
    fails_where: Option<(Vec<&'a str>, &'a str)>,
}

/// What is expected of one backend's probes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Column<'a> {
    backend: &'a str,
    has: Vec<&'a str>,
    lacks: Vec<&'a str>,
}

/// What fails on one backend alone, and why.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Failures<'a> {
    backend: &'a str,
    cases: Vec<&'a str>,
    reason: &'a str,
}

/// The whole of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Matrix<'a> {
    cases: Vec<Expectation<'a>>,
    columns: Vec<Column<'a>>,
    failures: Vec<Failures<'a>>,
}

impl<'a> Matrix<'a> {
    pub(crate) fn parse(text: &'a str) -> Self {
        let mut matrix = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.split_once(' ') {
                Some(("column" | "on-demand", column)) => matrix.columns.push(parse_column(column)),
                Some(("fails", failures)) => matrix.failures.push(parse_failures(failures)),
                _ => matrix.cases.push(parse_case(line)),
            }
        }
        let mut failing = matrix.failures.iter().flat_map(|failures| &failures.cases);
        let unnamed = failing.find(|name| matrix.cases.iter().all(|case| case.name != **name));
        assert_eq!(unnamed, None, "the expected matrix has no case of this name");
        matrix
    }

    /// The cases that it names.
    #[cfg(test)]
    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.cases.iter().map(|case| case.name)
    }

    /// How `found` is to be judged, if that is how `name` went on `backend`, where `capabilities` were probed.
    pub(crate) fn judge(
        &self,
        backend: &str,
        name: &str,
        capabilities: &Capabilities,
        found: Verdict,
    ) -> Verdict {
        let Some(expected) = self.cases.iter().find(|case| case.name == name) else {
            return Verdict::Fail("the expected matrix does not name it".to_owned());
        };
        let runs = expected.runs_where.iter().all(|condition| holds(condition, capabilities));
        let fails_here =
            self.failures.iter().find(|each| each.backend == backend && each.cases.contains(&name));
        let fails_where = expected
            .fails_where
            .as_ref()
            .filter(|(conditions, _)| conditions.iter().all(|condition| holds(condition, capabilities)));
        let fails = fails_here.map(|each| each.reason).or(fails_where.map(|(_, reason)| *reason));
        match (found, runs, fails) {
            (Verdict::NotHere(need), true, _) => {
                Verdict::Fail(format!("not here ({need}), though the expected matrix has it run"))
            }
            (Verdict::Pass, false, _) => {
                Verdict::Fail("ran, though the expected matrix has it not here".to_owned())
            }
            (Verdict::Pass, true, Some(reason)) => {
                Verdict::Fail(format!("passes, though it is expected to fail: {reason}"))
            }
            (Verdict::Fail(_), true, Some(reason)) => Verdict::ExpectedFailure(reason.to_owned()),
            (found, _, _) => found,
        }
    }

    /// What the probes of `backend` found against expectation; empty if nothing.
    pub(crate) fn column_deviations(&self, backend: &str, capabilities: &Capabilities) -> Vec<String> {
        let Some(column) = self.columns.iter().find(|column| column.backend == backend) else {
            return vec![format!("the expected matrix has no column {backend}")];
        };
        let missing = column.has.iter().filter(|name| !holds(name, capabilities));
        let missing = missing.map(|name| format!("{backend} should have {name}"));
        let unexpected = column.lacks.iter().filter(|name| holds(name, capabilities));
        missing.chain(unexpected.map(|name| format!("{backend} should lack {name}"))).collect()
    }
}

fn parse_case(line: &str) -> Expectation<'_> {
    let (rest, fails_where) = match line.split_once(" fails where ") {
        None => (line, None),
        Some((rest, failure)) => {
            let (conditions, reason) = failure
                .split_once(": ")
                .unwrap_or_else(|| panic!("an expected failure needs a reason: {line}"));
            (rest, Some((conditions.split_whitespace().collect(), reason)))
        }
    };
    let (name, conditions) = rest.split_once(" where ").unwrap_or((rest, ""));
    let name = name.trim();
    assert!(!name.contains(' '), "not a line of the expected matrix: {line}");
    Expectation { name, runs_where: conditions.split_whitespace().collect(), fails_where }
}

fn parse_failures(line: &str) -> Failures<'_> {
    let (names, reason) =
        line.split_once(": ").unwrap_or_else(|| panic!("an expected failure needs a reason: {line}"));
    let mut names = names.split_whitespace();
    Failures { backend: names.next().unwrap_or_default(), cases: names.collect(), reason }
}

fn parse_column(line: &str) -> Column<'_> {
    let mut words = line.split_whitespace();
    let mut column = Column { backend: words.next().unwrap_or_default(), ..Column::default() };
    let mut list = None;
    for word in words {
        match (word, &mut list) {
            ("has" | "lacks", _) => list = Some(word),
            (_, Some("has")) => column.has.push(word),
            (_, Some(_)) => column.lacks.push(word),
            (_, None) => panic!("not a column of the expected matrix: {line}"),
        }
    }
    column
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: &str = "
        # a comment
        column odd has ipv4 lacks threads
        plain::case
        needy::case where ipv6 !virtual_time
        known::case where ipv4 fails where kernel_completions: a known defect: see there
        fails odd plain::case known::case: it is odd: in two ways
    ";

    fn capabilities(change: impl FnOnce(&mut Capabilities)) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.ipv4 = true;
        change(&mut capabilities);
        capabilities
    }

    #[test]
    fn a_plain_case_must_pass() {
        let (matrix, here) = (Matrix::parse(SOME), capabilities(|_| {}));
        assert_eq!(matrix.judge("any", "plain::case", &here, Verdict::Pass), Verdict::Pass);
        let failed = Verdict::Fail("it does not".to_owned());
        assert_eq!(matrix.judge("any", "plain::case", &here, failed.clone()), failed);
        let absent = Verdict::NotHere("ipv4".to_owned());
        assert_eq!(matrix.judge("any", "plain::case", &here, absent).name(), "fail");
    }

    #[test]
    fn a_needy_case_is_not_here_only_where_the_matrix_says_so() {
        let matrix = Matrix::parse(SOME);
        let absent = Verdict::NotHere("ipv6".to_owned());
        let (without, with) = (capabilities(|_| {}), capabilities(|found| found.ipv6 = true));
        assert_eq!(matrix.judge("any", "needy::case", &without, absent.clone()), absent);
        assert_eq!(matrix.judge("any", "needy::case", &with, absent).name(), "fail");
        assert_eq!(matrix.judge("any", "needy::case", &without, Verdict::Pass).name(), "fail");
        assert_eq!(matrix.judge("any", "needy::case", &with, Verdict::Pass), Verdict::Pass);
    }

    #[test]
    fn an_expected_failure_keeps_its_reason_and_must_not_pass() {
        let matrix = Matrix::parse(SOME);
        let there = capabilities(|found| found.kernel_completions = true);
        let failed = Verdict::Fail("as ever".to_owned());
        let expected = Verdict::ExpectedFailure("a known defect: see there".to_owned());
        assert_eq!(matrix.judge("any", "known::case", &there, failed.clone()), expected);
        assert_eq!(matrix.judge("any", "known::case", &there, Verdict::Pass).name(), "fail");
        let elsewhere = capabilities(|_| {});
        assert_eq!(matrix.judge("any", "known::case", &elsewhere, failed.clone()), failed);
        assert_eq!(matrix.judge("any", "known::case", &elsewhere, Verdict::Pass), Verdict::Pass);
    }

    #[test]
    fn what_fails_on_one_backend_must_not_pass_there_and_must_pass_elsewhere() {
        let (matrix, here) = (Matrix::parse(SOME), capabilities(|_| {}));
        let failed = Verdict::Fail("as ever".to_owned());
        let expected = Verdict::ExpectedFailure("it is odd: in two ways".to_owned());
        for case in ["plain::case", "known::case"] {
            assert_eq!(matrix.judge("odd", case, &here, failed.clone()), expected);
            assert_eq!(matrix.judge("odd", case, &here, Verdict::Pass).name(), "fail");
            assert_eq!(matrix.judge("even", case, &here, failed.clone()), failed);
            assert_eq!(matrix.judge("even", case, &here, Verdict::Pass), Verdict::Pass);
        }
    }

    #[test]
    #[should_panic(expected = "no case of this name")]
    fn what_fails_is_a_case() {
        Matrix::parse("a::case\nfails odd a::cake: there is none");
    }

    #[test]
    fn an_unnamed_case_fails() {
        let here = capabilities(|_| {});
        assert_eq!(Matrix::parse(SOME).judge("any", "unnamed::case", &here, Verdict::Pass).name(), "fail");
    }

    #[test]
    fn columns_are_held_to_what_they_have_and_lack() {
        let matrix = Matrix::parse(SOME);
        assert!(matrix.column_deviations("odd", &capabilities(|_| {})).is_empty());
        let worse = capabilities(|found| (found.ipv4, found.threads) = (false, true));
        assert_eq!(
            matrix.column_deviations("odd", &worse),
            ["odd should have ipv4", "odd should lack threads"]
        );
        assert_eq!(matrix.column_deviations("new", &worse).len(), 1);
    }
}
