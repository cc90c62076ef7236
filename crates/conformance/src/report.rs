//! What a conformance program tells: lines like those of the standard test harness, and a file for `xtask`.

use std::fs;
use std::io;
use std::time::Duration;

use proactor_core::Capabilities;
use serde_json::{Map, Value, json};

use crate::case::Verdict;

/// The environment variable that names the file for the verdicts.
const FILE_VARIABLE: &str = "PROACTOR_CONFORMANCE_JSON";

/// How one case went.
#[derive(Clone, Debug)]
pub(crate) struct CaseReport {
    pub(crate) name: &'static str,
    pub(crate) rules: &'static [&'static str],
    pub(crate) verdict: Verdict,
}

/// How all went.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) backend: &'static str,
    pub(crate) capabilities: Capabilities,
    pub(crate) cases: Vec<CaseReport>,
    pub(crate) filtered_out: usize,
}

impl Report {
    /// Adds a case and prints its line.
    pub(crate) fn add(&mut self, case: CaseReport) {
        let (name, verdict) = (case.name, &case.verdict);
        match verdict {
            Verdict::Pass => println!("test {name} ... ok"),
            Verdict::NotHere(need) => println!("test {name} ... not here ({need})"),
            Verdict::ExpectedFailure(reason) => println!("test {name} ... expected failure ({reason})"),
            Verdict::Fail(detail) => println!("test {name} ... FAILED\n    {detail}"),
        }
        self.cases.push(case);
    }

    pub(crate) fn failed(&self) -> bool {
        self.count("fail") > 0
    }

    fn count(&self, verdict: &str) -> usize {
        self.cases.iter().filter(|case| case.verdict.name() == verdict).count()
    }

    /// Prints the closing lines and writes the file, if one is named.
    pub(crate) fn finish(&self, took: Duration) -> io::Result<()> {
        if self.failed() {
            println!("\nfailures:");
            for case in self.cases.iter().filter(|case| case.verdict.name() == "fail") {
                println!("    {}: {}", case.name, case.verdict.detail().unwrap_or_default());
            }
        }
        let result = if self.failed() { "FAILED" } else { "ok" };
        let ignored = self.count("not_here") + self.count("expected_failure");
        println!(
            "\ntest result: {result}. {} passed; {} failed; {ignored} ignored; 0 measured; {} filtered out; \
             finished in {:.2}s\n",
            self.count("pass"),
            self.count("fail"),
            self.filtered_out,
            took.as_secs_f64(),
        );
        match std::env::var_os(FILE_VARIABLE) {
            Some(file) => fs::write(file, self.json().to_string()),
            None => Ok(()),
        }
    }

    fn json(&self) -> Value {
        let capabilities: Map<String, Value> = self
            .capabilities
            .list()
            .map(|(name, present)| (name.to_owned(), json!(present)))
            .into_iter()
            .collect();
        let case = |case: &CaseReport| {
            let verdict = &case.verdict;
            json!({
                "case": case.name, "verdict": verdict.name(), "rules": case.rules, "detail": verdict.detail(),
            })
        };
        let cases: Vec<Value> = self.cases.iter().map(case).collect();
        json!({ "backend": self.backend, "capabilities": capabilities, "cases": cases })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_the_promised_shape() {
        let case = |name, verdict| CaseReport { name, rules: &["C1", "L3"], verdict };
        let report = Report {
            backend: "odd",
            capabilities: Capabilities::default(),
            cases: vec![
                case("a::b", Verdict::Pass),
                case("c::d", Verdict::Fail("a \"quoted\" line\n".to_owned())),
            ],
            filtered_out: 3,
        };
        let json = report.json();
        assert_eq!(json["backend"], "odd");
        assert_eq!(json["capabilities"]["ipv4"], false);
        assert_eq!(
            json["cases"][0],
            json!({"case": "a::b", "verdict": "pass", "rules": ["C1", "L3"], "detail": null})
        );
        assert_eq!(json["cases"][1]["detail"], "a \"quoted\" line\n");
        assert!(report.failed());
    }
}
