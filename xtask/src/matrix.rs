//! The table of cases by backend: what it shows, what it counts, what it writes, and when it is red.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::conformance::{Column, Verdict};

/// One cell: a verdict, or nothing where the case did not run.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cell {
    verdict: Option<Verdict>,
    rules: Vec<String>,
    detail: Option<String>,
}

/// All columns side by side. A case that any of them lists is expected in each.
#[derive(Debug)]
pub(crate) struct Matrix {
    backends: Vec<String>,
    rows: BTreeMap<String, Vec<Cell>>,
    problems: Vec<String>,
}

/// How often each verdict occurs in a column. A case that did not run counts as failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pass: usize,
    not_here: usize,
    expected_failure: usize,
    fail: usize,
}

#[derive(Serialize)]
struct JsonCase<'a> {
    case: &'a str,
    backend: &'a str,
    verdict: Verdict,
    rules: &'a [String],
}

#[derive(Serialize)]
struct Json<'a> {
    summary: BTreeMap<&'a str, Counts>,
    cases: Vec<JsonCase<'a>>,
}

impl Matrix {
    pub(crate) fn new(columns: &[(&str, Column)]) -> Self {
        let mut rules: BTreeMap<&str, &[String]> = BTreeMap::new();
        let mut problems = Vec::new();
        for (backend, column) in columns {
            problems.extend(column.problems.iter().map(|problem| format!("{backend}: {problem}")));
            for (case, listed) in &column.listed {
                let known = rules.entry(case).or_insert(listed);
                if known != listed {
                    problems.push(format!("{backend}: {case} proves other rules than on another backend"));
                }
            }
            for (case, reported) in &column.reported {
                rules.entry(case).or_insert(&reported.rules);
            }
        }
        let mut rows = BTreeMap::new();
        for (case, rules) in rules {
            let cells = columns.iter().map(|(_, column)| cell(column, case, rules)).collect();
            rows.insert(case.to_owned(), cells);
        }
        let backends: Vec<String> = columns.iter().map(|(backend, _)| (*backend).to_owned()).collect();
        let mut matrix = Self { backends, rows, problems };
        matrix.name_what_did_not_run();
        matrix
    }

    fn name_what_did_not_run(&mut self) {
        for (index, backend) in self.backends.iter().enumerate() {
            let missing: Vec<&str> = self
                .rows
                .iter()
                .filter(|(_, cells)| cells[index].verdict.is_none())
                .map(|(case, _)| case.as_str())
                .collect();
            match missing.as_slice() {
                [] => {}
                all if all.len() == self.rows.len() => {
                    self.problems.push(format!("{backend}: none of the {} cases ran", all.len()));
                }
                some => self.problems.push(format!("{backend}: did not run: {}", some.join(", "))),
            }
        }
        if self.rows.is_empty() {
            self.problems.push("there are no cases".to_owned());
        }
    }

    /// Whether anything failed, did not run or does not fit.
    pub(crate) fn red(&self) -> bool {
        !self.problems.is_empty() || self.counts().iter().any(|(_, counts)| counts.fail > 0)
    }

    /// The counts of each backend, in the table's order.
    pub(crate) fn counts(&self) -> Vec<(&str, Counts)> {
        let count = |index: usize| {
            let mut counts = Counts::default();
            for cells in self.rows.values() {
                match cells[index].verdict {
                    Some(Verdict::Pass) => counts.pass += 1,
                    Some(Verdict::NotHere) => counts.not_here += 1,
                    Some(Verdict::ExpectedFailure) => counts.expected_failure += 1,
                    Some(Verdict::Fail) | None => counts.fail += 1,
                }
            }
            counts
        };
        self.backends.iter().enumerate().map(|(index, backend)| (backend.as_str(), count(index))).collect()
    }

    /// The table, then what is to be said of single cells, then the counts, then what is wrong.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        self.render_cells(&mut text);
        self.render_details(&mut text);
        self.render_counts(&mut text);
        for problem in &self.problems {
            let _ = writeln!(text, "problem: {problem}");
        }
        text
    }

    fn render_cells(&self, text: &mut String) {
        let first = self.rows.keys().map(String::len).max().unwrap_or(0).max("case".len());
        let width = |backend: &String| backend.len().max(label(Some(Verdict::ExpectedFailure)).len());
        let _ = write!(text, "{:first$}", "case");
        for backend in &self.backends {
            let _ = write!(text, "  {backend:width$}", width = width(backend));
        }
        text.push_str("  rules\n");
        for (case, cells) in &self.rows {
            let _ = write!(text, "{case:first$}");
            for (backend, cell) in self.backends.iter().zip(cells) {
                let _ = write!(text, "  {:width$}", label(cell.verdict), width = width(backend));
            }
            let rules = cells.first().map_or(String::new(), |cell| cell.rules.join(" "));
            let _ = writeln!(text, "  {rules}");
        }
    }

    fn render_details(&self, text: &mut String) {
        for wanted in [Verdict::NotHere, Verdict::ExpectedFailure, Verdict::Fail] {
            for (case, cells) in &self.rows {
                for (backend, cell) in self.backends.iter().zip(cells) {
                    if cell.verdict == Some(wanted) {
                        let detail = cell.detail.as_deref().unwrap_or("(no detail)");
                        let _ = writeln!(text, "{}: {backend}: {case}: {detail}", label(Some(wanted)));
                    }
                }
            }
        }
    }

    fn render_counts(&self, text: &mut String) {
        let first = self.backends.iter().map(String::len).max().unwrap_or(0).max("backend".len());
        let _ = writeln!(text, "\n{:first$}  pass  not here  expected failure  fail", "backend");
        for (backend, counts) in self.counts() {
            let Counts { pass, not_here, expected_failure, fail } = counts;
            let _ =
                writeln!(text, "{backend:first$}  {pass:4}  {not_here:8}  {expected_failure:16}  {fail:4}");
        }
    }

    pub(crate) fn json(&self) -> String {
        let mut cases = Vec::new();
        for (case, cells) in &self.rows {
            for (backend, cell) in self.backends.iter().zip(cells) {
                let verdict = cell.verdict.unwrap_or(Verdict::Fail);
                cases.push(JsonCase { case, backend, verdict, rules: &cell.rules });
            }
        }
        let json = Json { summary: self.counts().into_iter().collect(), cases };
        serde_json::to_string_pretty(&json).expect("names, numbers and lists have a form in JSON") + "\n"
    }

    /// How many cases the table has.
    pub(crate) fn cases(&self) -> usize {
        self.rows.len()
    }
}

fn cell(column: &Column, case: &str, rules: &[String]) -> Cell {
    let reported = column.reported.get(case);
    Cell {
        verdict: reported.map(|report| report.verdict),
        rules: rules.to_vec(),
        detail: reported.and_then(|report| report.detail.clone()),
    }
}

fn label(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        Some(Verdict::Pass) => "pass",
        Some(Verdict::NotHere) => "not here",
        Some(Verdict::ExpectedFailure) => "expected failure",
        Some(Verdict::Fail) => "FAIL",
        None => "DID NOT RUN",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::CaseReport;

    fn column(cases: &[(&str, Verdict)]) -> Column {
        let mut column = Column::default();
        for &(case, verdict) in cases {
            let rules = vec!["C1".to_owned()];
            column.listed.insert(case.to_owned(), rules.clone());
            let detail = (verdict != Verdict::Pass).then(|| "because".to_owned());
            let report = CaseReport { case: case.to_owned(), verdict, rules, detail };
            column.reported.insert(case.to_owned(), report);
        }
        column
    }

    #[test]
    fn equal_columns_are_green() {
        let cases = [("nop", Verdict::Pass), ("udp", Verdict::NotHere), ("odd", Verdict::ExpectedFailure)];
        let matrix = Matrix::new(&[("sim", column(&cases)), ("epoll", column(&cases))]);
        assert!(!matrix.red(), "{:?}", matrix.problems);
        assert_eq!(matrix.cases(), 3);
        let each = Counts { pass: 1, not_here: 1, expected_failure: 1, fail: 0 };
        assert_eq!(matrix.counts(), [("sim", each), ("epoll", each)]);
    }

    #[test]
    fn a_failure_is_red() {
        assert!(Matrix::new(&[("sim", column(&[("nop", Verdict::Fail)]))]).red());
    }

    #[test]
    fn a_case_that_did_not_run_in_one_column_is_red_and_named() {
        let both = column(&[("nop", Verdict::Pass), ("timer", Verdict::Pass)]);
        let one = column(&[("nop", Verdict::Pass)]);
        let matrix = Matrix::new(&[("sim", both), ("epoll", one)]);
        assert!(matrix.red());
        assert_eq!(matrix.problems, ["epoll: did not run: timer"]);
        assert_eq!(matrix.counts()[1].1, Counts { pass: 1, fail: 1, ..Counts::default() });
        assert!(matrix.render().contains("DID NOT RUN"));
    }

    #[test]
    fn a_column_without_a_report_and_a_table_without_cases_are_red() {
        let matrix = Matrix::new(&[("sim", column(&[("nop", Verdict::Pass)])), ("uring", Column::default())]);
        assert_eq!(matrix.problems, ["uring: none of the 1 cases ran"]);
        assert!(matrix.red());
        assert!(Matrix::new(&[("sim", Column::default())]).red());
        assert!(Matrix::new(&[]).red());
    }

    #[test]
    fn columns_that_disagree_about_rules_are_red() {
        let mut other = column(&[("nop", Verdict::Pass)]);
        other.listed.insert("nop".to_owned(), vec!["C2".to_owned()]);
        assert!(Matrix::new(&[("sim", column(&[("nop", Verdict::Pass)])), ("epoll", other)]).red());
    }

    #[test]
    fn a_problem_of_a_column_is_red() {
        let mut odd = column(&[("nop", Verdict::Pass)]);
        odd.problems.push("odd".to_owned());
        assert!(Matrix::new(&[("sim", odd)]).red());
    }

    #[test]
    fn the_json_has_the_promised_shape() {
        let matrix = Matrix::new(&[
            ("sim", column(&[("nop", Verdict::Pass), ("timer", Verdict::NotHere)])),
            ("epoll", column(&[("nop", Verdict::Pass)])),
        ]);
        let json: serde_json::Value = serde_json::from_str(&matrix.json()).unwrap();
        let expected = serde_json::json!({
            "summary": {
                "sim": {"pass": 1, "not_here": 1, "expected_failure": 0, "fail": 0},
                "epoll": {"pass": 1, "not_here": 0, "expected_failure": 0, "fail": 1},
            },
            "cases": [
                {"case": "nop", "backend": "sim", "verdict": "pass", "rules": ["C1"]},
                {"case": "nop", "backend": "epoll", "verdict": "pass", "rules": ["C1"]},
                {"case": "timer", "backend": "sim", "verdict": "not_here", "rules": ["C1"]},
                {"case": "timer", "backend": "epoll", "verdict": "fail", "rules": ["C1"]},
            ],
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn the_table_names_every_cell_and_every_reason() {
        let matrix = Matrix::new(&[("sim", column(&[("nop", Verdict::Pass), ("udp", Verdict::NotHere)]))]);
        let text = matrix.render();
        assert!(text.contains("nop") && text.contains("pass"), "{text}");
        assert!(text.contains("not here: sim: udp: because"), "{text}");
    }
}
