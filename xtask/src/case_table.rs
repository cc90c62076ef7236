//! The table of cases as text: which there are, with their rules, and the same table with few of them.
//!
//! Every line between its first and its last is a row, or empty, or this is an error; so none is overlooked.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};

/// Where it is.
pub(crate) const FILE: &str = "crates/conformance/src/table.rs";

/// The lines before its first row and after its last.
const BEGINNING: &str = "    cases! {";
const END: &str = "    }";

/// The cases with the rules that each proves.
pub(crate) type Cases = BTreeMap<String, Vec<String>>;

/// What the table has.
///
/// # Errors
/// If a line of it is not understood, or a case is there twice.
pub(crate) fn cases(table: &str) -> Result<Cases> {
    let mut cases = Cases::new();
    for (_, row) in rows(table)? {
        let rules = row.rules.iter().map(|rule| (*rule).to_owned()).collect();
        ensure!(cases.insert(row.case.to_owned(), rules).is_none(), "{FILE} has {} twice", row.case);
    }
    ensure!(!cases.is_empty(), "{FILE} has no cases");
    Ok(cases)
}

/// The table without the rows of all other cases than these. It is for copies of the tree to be broken: every case is generic
/// over the backend, so a program of all is compiled anew, all of it, whenever something below is changed, though one is run.
///
/// # Errors
/// If a line of it is not understood, or one of these has no row.
pub(crate) fn of_these(table: &str, cases: &BTreeSet<&str>) -> Result<String> {
    let mut missing = cases.clone();
    let mut others = BTreeSet::new();
    for (line, row) in rows(table)? {
        if !missing.remove(row.case) {
            others.insert(line);
        }
    }
    ensure!(missing.is_empty(), "{FILE} has no row of {missing:?}");
    let kept = table.lines().enumerate().filter(|(number, _)| !others.contains(number));
    Ok(kept.flat_map(|(_, line)| [line, "\n"]).collect())
}

struct Row<'a> {
    case: &'a str,
    rules: Vec<&'a str>,
}

/// The rows, by the numbers of their lines, which begin at 0.
fn rows(table: &str) -> Result<Vec<(usize, Row<'_>)>> {
    let lines = table.lines().enumerate().skip_while(|(_, line)| *line != BEGINNING).skip(1);
    let mut rows = Vec::new();
    let mut is_ended = false;
    for (number, line) in lines.take_while(|(_, line)| {
        is_ended = *line == END;
        !is_ended
    }) {
        if !line.trim().is_empty() {
            let row = row(line).with_context(|| format!("{FILE}:{}: this is no row: {line}", number + 1))?;
            rows.push((number, row));
        }
    }
    ensure!(is_ended, "{FILE} has no rows between `{BEGINNING}` and `{END}`");
    Ok(rows)
}

/// Reads `theme::case: ["C1", "C2"] needs ["threads"];`.
fn row(line: &str) -> Option<Row<'_>> {
    let (case, rest) = line.trim().split_once(": [")?;
    let (rules, rest) = rest.split_once("] needs [")?;
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|each| each == '_' || each.is_alphanumeric());
    let (theme, name) = case.split_once("::")?;
    let rules: Option<Vec<&str>> =
        rules.split(", ").map(|rule| rule.strip_prefix('"')?.strip_suffix('"')).collect();
    let is_whole = is_name(theme) && is_name(name) && rest.find(';') == Some(rest.len() - 1);
    is_whole.then_some(Row { case, rules: rules? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    const TABLE: &str = "\
fn cases() {
    cases! {
        time::zero: [\"T1\"] needs [];
        time::zero_again: [\"T1\", \"T2\"] needs [\"!threads\"] patience 4;

        other::zero: [\"C1\"] needs [];
    }
}
";

    #[test]
    fn the_cases_have_their_rules() {
        let cases = cases(TABLE).unwrap();
        assert_eq!(cases.keys().collect::<Vec<_>>(), ["other::zero", "time::zero", "time::zero_again"]);
        assert_eq!(cases["time::zero_again"], ["T1", "T2"]);
    }

    #[test]
    fn only_the_rows_of_others_are_left_out() {
        let kept = of_these(TABLE, &BTreeSet::from(["time::zero_again"])).unwrap();
        let expected: Vec<&str> = TABLE.lines().filter(|line| !line.contains("zero:")).collect();
        assert_eq!(kept.lines().collect::<Vec<_>>(), expected);
        let all = BTreeSet::from(["time::zero_again", "time::zero", "other::zero"]);
        assert_eq!(of_these(TABLE, &all).unwrap(), TABLE);
    }

    #[test]
    fn what_is_missing_doubled_or_not_understood_is_an_error() {
        let missing = of_these(TABLE, &BTreeSet::from(["time::zero", "time::one"])).unwrap_err().to_string();
        assert!(missing.contains("time::one") && !missing.contains("time::zero"), "{missing}");
        let doubled = cases(&TABLE.replace("other", "time")).unwrap_err().to_string();
        assert!(doubled.contains("time::zero twice"), "{doubled}");
        for (from, to) in
            [("[\"C1\"]", "C1"), ("needs [];\n    }", "needs []; x();\n    }"), ("needs []", "\n")]
        {
            let error = cases(&TABLE.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains("this is no row"), "{error}");
        }
        assert!(cases(&TABLE.replace("    }\n", "")).is_err());
        assert!(cases("    cases! {\n    }\n").is_err());
    }

    #[test]
    fn the_table_that_there_is_is_understood() {
        let table = Workspace::here().read(FILE).unwrap();
        assert!(cases(&table).unwrap().len() > 100);
    }
}
