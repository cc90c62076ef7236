//! The lists of cases in the contract: which prove a rule, where they are, and how they end on each backend. They are written
//! by `tidy --write`, from the table of cases and the expected matrix, and checked to be what it would write.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::contract::{DOCUMENT, rule_of};
use super::exceptions::UnitTest;
use super::source::Source;
use crate::case_table::Cases;
use crate::workspace::Workspace;

/// The matrix, and where the bodies of the cases are.
const EXPECTED: &str = "crates/conformance/src/expected.txt";
const BODIES: &str = "crates/conformance/src/cases";

/// Where the lists begin. All from here on is written.
const HEADING: &str = "## Cases";

/// How the line begins that is written below each rule.
const SUMMARY: &str = "  *Cases: ";

/// What the lists are made of.
pub(crate) struct Lists<'a> {
    cases: &'a Cases,
    unit_tests: &'a [UnitTest],
    matrix: Matrix,
}

/// The expected matrix, as far as it says where a case runs.
#[derive(Debug, Default)]
struct Matrix {
    /// In their order: a backend, what its probes find and what they do not.
    columns: Vec<(String, BTreeSet<String>, BTreeSet<String>)>,
    /// By case: what it needs.
    needs: BTreeMap<String, Vec<String>>,
}

/// How many cases of a rule end how on one backend.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Count {
    pass: usize,
    not_here: usize,
    /// Where only the machine's probes tell.
    open: usize,
}

impl<'a> Lists<'a> {
    pub(crate) fn new(workspace: &Workspace, cases: &'a Cases, unit_tests: &'a [UnitTest]) -> Result<Self> {
        Ok(Self { cases, unit_tests, matrix: Matrix::parse(&workspace.read(EXPECTED)?) })
    }

    /// What is wrong with the lists in the document, and with what they name.
    pub(crate) fn findings(&self, sources: &[Source], document: &str) -> Vec<String> {
        let mut findings = Vec::new();
        for case in self.cases.keys() {
            let (path, name) = place(case);
            if !sources.iter().any(|source| source.path == path && source.defines(name)) {
                findings.push(format!("{case}: no such function in {path}"));
            }
        }
        for test in self.unit_tests {
            let UnitTest { file, test: name, .. } = test;
            if !sources.iter().any(|source| source.path == *file && source.defines(name)) {
                findings.push(format!("{}: unit_tests: no {name} in {file}", super::EXCEPTIONS));
            }
        }
        let wanted = self.written(document);
        if wanted != document {
            let line = wanted.lines().zip(document.lines()).take_while(|(wanted, found)| wanted == found);
            let line = line.count() + 1;
            findings.push(format!(
                "{DOCUMENT}:{line}: the lists of cases are not what the table of cases says; `cargo xtask tidy --write` writes \
                 them"
            ));
        }
        findings
    }

    /// The document with its lists written afresh.
    pub(crate) fn written(&self, document: &str) -> String {
        let kept = document.lines().take_while(|line| *line != HEADING);
        let kept: Vec<&str> = kept.filter(|line| !line.starts_with(SUMMARY)).collect();
        let mut written = String::new();
        let mut rules = Vec::new();
        let mut open: Option<String> = None;
        for line in kept {
            if !line.starts_with("  ")
                && let Some(rule) = open.take()
            {
                written.push_str(&self.summary(&rule));
            }
            if let Some(rule) = rule_of(line) {
                rules.push(rule.clone());
                open = Some(rule);
            }
            written.push_str(line);
            written.push('\n');
        }
        if let Some(rule) = open {
            written.push_str(&self.summary(&rule));
        }
        let text = written.trim_end().len();
        written.truncate(text);
        written.push_str(&format!(
            "\n\n{HEADING}\nBy rule, and by the file that they are in. How they end is what `{EXPECTED}` expects; \"not here\" is a \
             capability that the backend lacks. `cargo xtask tidy --write` writes this, and `cargo xtask tidy` checks it.\n"
        ));
        for rule in rules {
            written.push_str(&self.list(&rule));
        }
        written
    }

    fn of<'b>(&'b self, rule: &'b str) -> impl Iterator<Item = &'b str> {
        let proves = move |(_, rules): &(&String, &Vec<String>)| rules.iter().any(|each| each == rule);
        self.cases.iter().filter(proves).map(|(case, _)| case.as_str())
    }

    /// The line below a rule.
    fn summary(&self, rule: &str) -> String {
        let mut line = format!("{SUMMARY}[{}](#{})", self.of(rule).count(), rule.to_lowercase());
        for (backend, count) in self.counts(rule) {
            let _ = write!(line, "; {backend} {count}");
        }
        line + ".*\n"
    }

    /// By backend.
    fn counts<'b>(&'b self, rule: &'b str) -> impl Iterator<Item = (&'b str, Count)> {
        self.matrix.columns.iter().map(move |(backend, has, lacks)| {
            let mut count = Count::default();
            for case in self.of(rule) {
                let needs = self.matrix.needs.get(case).map_or(&[][..], Vec::as_slice);
                match ends(needs, has, lacks) {
                    Some(true) => count.pass += 1,
                    Some(false) => count.not_here += 1,
                    None => count.open += 1,
                }
            }
            (backend.as_str(), count)
        })
    }

    /// The list of a rule.
    fn list(&self, rule: &str) -> String {
        let mut by_theme: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for case in self.of(rule) {
            let (theme, name) = case.split_once("::").unwrap_or(("", case));
            by_theme.entry(theme).or_default().push(name);
        }
        let mut list =
            format!("\n### {rule}\n<details><summary>{} cases</summary>\n\n", self.of(rule).count());
        for (theme, names) in by_theme {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            let _ = writeln!(list, "- [{theme}]({BODIES}/{theme}.rs): {}", names.join(", "));
        }
        for test in self.unit_tests.iter().filter(|test| test.rule == rule) {
            let UnitTest { file, test, .. } = test;
            let _ = writeln!(list, "- a unit test, [{file}]({file}): `{test}`");
        }
        list + "\n</details>\n"
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} pass", self.pass)?;
        for (count, how) in [(self.not_here, "not here"), (self.open, "as the machine has it")] {
            if count > 0 {
                write!(f, ", {count} {how}")?;
            }
        }
        Ok(())
    }
}

/// Whether a case with these needs runs, if that is known.
fn ends(needs: &[String], has: &BTreeSet<String>, lacks: &BTreeSet<String>) -> Option<bool> {
    let holds = |need: &String| {
        let (name, wanted) = need.strip_prefix('!').map_or((need.as_str(), true), |name| (name, false));
        let known = (has.contains(name), lacks.contains(name));
        match known {
            (true, _) => Some(wanted),
            (_, true) => Some(!wanted),
            _ => None,
        }
    };
    let held: Vec<Option<bool>> = needs.iter().map(holds).collect();
    if held.contains(&Some(false)) {
        return Some(false);
    }
    (!held.contains(&None)).then_some(true)
}

/// The file and the function of a case.
fn place(case: &str) -> (String, &str) {
    let (theme, name) = case.split_once("::").unwrap_or(("", case));
    (format!("{BODIES}/{theme}.rs"), name)
}

impl Matrix {
    fn parse(text: &str) -> Self {
        let mut matrix = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let mut words = line.split_whitespace().map(str::to_owned);
            match words.next() {
                Some(word) if word == "column" => {
                    let backend = words.next().unwrap_or_default();
                    let (mut has, mut lacks, mut lacking) = (BTreeSet::new(), BTreeSet::new(), false);
                    for word in words {
                        match word.as_str() {
                            "has" => lacking = false,
                            "lacks" => lacking = true,
                            _ if lacking => drop(lacks.insert(word)),
                            _ => drop(has.insert(word)),
                        }
                    }
                    matrix.columns.push((backend, has, lacks));
                }
                // What runs on demand alone is in no list, nor what fails there.
                Some(word) if word == "on-demand" || word == "fails" => {}
                Some(case) => {
                    let needs = words.skip_while(|word| word == "where").take_while(|word| word != "fails");
                    matrix.needs.insert(case, needs.collect());
                }
                None => {}
            }
        }
        matrix
    }
}

/// Writes the lists into the document. Whether there was something to change.
pub(crate) fn write(workspace: &Workspace, lists: &Lists<'_>) -> Result<bool> {
    let document = workspace.read(DOCUMENT)?;
    let written = lists.written(&document);
    if written == document {
        return Ok(false);
    }
    std::fs::write(workspace.path(DOCUMENT), written).with_context(|| format!("cannot write {DOCUMENT}"))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::super::exceptions::tests::unit_test;
    use super::*;

    const MATRIX: &str = "# comment\ncolumn sim has ipv4 lacks threads\ncolumn other has ipv4 threads lacks\n\
                          a::one\na::two where threads\nb::three where ipv4 ipv6\nb::four where !threads fails where ipv4: why\n";
    const BEFORE: &str = "# Contract\n\n- **C1** Once,\n  and no more.\n- **C2** Back.\n\n## Next\nText.\n";

    fn cases() -> Cases {
        let owned = |rules: &[&str]| rules.iter().map(|rule| (*rule).to_owned()).collect();
        [("a::one", &["C1"][..]), ("a::two", &["C1"]), ("b::three", &["C1", "C2"]), ("b::four", &["C2"])]
            .into_iter()
            .map(|(case, rules)| (case.to_owned(), owned(rules)))
            .collect()
    }

    fn lists<'a>(cases: &'a Cases, unit_tests: &'a [UnitTest]) -> Lists<'a> {
        Lists { cases, unit_tests, matrix: Matrix::parse(MATRIX) }
    }

    #[test]
    fn each_rule_has_its_line_and_its_list() {
        let (cases, tests) = (cases(), [unit_test("C2", "x.rs", "four_more")]);
        let written = lists(&cases, &tests).written(BEFORE);
        let line = "  and no more.\n  *Cases: [3](#c1); sim 1 pass, 1 not here, 1 as the machine has it; other 2 pass, \
                    1 as the machine has it.*\n- **C2** Back.\n  *Cases: [2](#c2); sim 1 pass";
        assert!(written.contains(line), "{written}");
        let list = "### C1\n<details><summary>3 cases</summary>\n\n- [a](crates/conformance/src/cases/a.rs): `one`, `two`\n\
                    - [b](crates/conformance/src/cases/b.rs): `three`\n\n</details>\n";
        assert!(written.contains(list), "{written}");
        assert!(written.contains("- a unit test, [x.rs](x.rs): `four_more`\n"), "{written}");
        assert!(written.contains("\n\n## Next\nText.\n\n## Cases\n"), "{written}");
    }

    #[test]
    fn what_is_written_stays_and_what_is_stale_goes() {
        let cases = cases();
        let written = lists(&cases, &[]).written(BEFORE);
        assert_eq!(lists(&cases, &[]).written(&written), written);
        let stale = written.replace("`one`, ", "`gone`, ").replace("*Cases: [3]", "*Cases: [4]");
        assert_eq!(lists(&cases, &[]).written(&stale), written);
    }

    #[test]
    fn a_list_that_is_not_true_is_found() {
        let cases: Cases = [("a::one".to_owned(), vec!["C1".to_owned()])].into();
        let source = |path: &str, text: &str| Source::new(path, text).unwrap();
        let sources =
            [source("crates/conformance/src/cases/a.rs", "fn one() {}"), source("x.rs", "fn four() {}")];
        let document = "- **C1** Once.\n";
        let found = |document: &str, tests: &[UnitTest], sources: &[Source]| {
            lists(&cases, tests).findings(sources, document).len()
        };
        let written = lists(&cases, &[]).written(document);
        assert_eq!(found(&written, &[], &sources), 0);
        assert_eq!(found(document, &[], &sources), 1);
        assert_eq!(found(&written, &[], &sources[1..]), 1, "no such function");
        let tests = [unit_test("C1", "x.rs", "four")];
        let with = lists(&cases, &tests).written(document);
        assert_eq!((found(&with, &tests, &sources), found(&written, &tests, &sources)), (0, 1));
        assert_eq!(found(&with, &tests, &sources[..1]), 1, "no such test");
    }
}
