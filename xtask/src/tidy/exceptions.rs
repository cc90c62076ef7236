//! What is allowed all the same: `xtask/tidy.toml`, every entry with its reason. An entry that nothing needs any more is
//! a finding, so the lists stay true.

use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exceptions {
    /// The files that may hold unsafe code: these and no others.
    #[serde(default)]
    pub(crate) unsafe_files: Vec<FileEntry>,
    #[serde(default)]
    pub(crate) long_files: Vec<FileEntry>,
    #[serde(default)]
    pub(crate) long_functions: Vec<FunctionEntry>,
    /// Rules of the contract whose operations do not exist yet.
    #[serde(default)]
    pub(crate) rules_without_case: Vec<RuleEntry>,
    /// Rules that have a case, and no mutation that turns it red yet.
    #[serde(default)]
    pub(crate) rules_without_mutation: Vec<RuleEntry>,
    /// Unit tests that the contract lists beside the cases of a rule, for what no case can reach.
    #[serde(default)]
    pub(crate) unit_tests: Vec<UnitTest>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileEntry {
    pub(crate) file: String,
    reason: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FunctionEntry {
    pub(crate) file: String,
    pub(crate) function: String,
    reason: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleEntry {
    pub(crate) rule: String,
    reason: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnitTest {
    pub(crate) rule: String,
    pub(crate) file: String,
    pub(crate) test: String,
    reason: String,
}

impl Exceptions {
    /// An entry whose reason is empty explains nothing.
    pub(crate) fn without_reason(&self) -> Vec<String> {
        let files =
            self.unsafe_files.iter().chain(&self.long_files).map(|entry| (&entry.file, &entry.reason));
        let functions = self.long_functions.iter().map(|entry| (&entry.function, &entry.reason));
        let rules = self.rules_without_case.iter().chain(&self.rules_without_mutation);
        let rules = rules.map(|entry| (&entry.rule, &entry.reason));
        let tests = self.unit_tests.iter().map(|entry| (&entry.test, &entry.reason));
        files
            .chain(functions)
            .chain(rules)
            .chain(tests)
            .filter(|(_, reason)| reason.trim().is_empty())
            .map(|(name, _)| format!("{}: the entry for {name} has no reason", super::EXCEPTIONS))
            .collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn file(file: &str) -> FileEntry {
        FileEntry { file: file.to_owned(), reason: "because".to_owned() }
    }

    pub(crate) fn function(file: &str, function: &str) -> FunctionEntry {
        FunctionEntry { file: file.to_owned(), function: function.to_owned(), reason: "because".to_owned() }
    }

    pub(crate) fn rule(rule: &str) -> RuleEntry {
        RuleEntry { rule: rule.to_owned(), reason: "because".to_owned() }
    }

    pub(crate) fn unit_test(rule: &str, file: &str, test: &str) -> UnitTest {
        let [rule, file, test, reason] = [rule, file, test, "because"].map(str::to_owned);
        UnitTest { rule, file, test, reason }
    }

    #[test]
    fn every_entry_needs_a_reason() {
        let mut exceptions = Exceptions { long_files: vec![file("a.rs")], ..Exceptions::default() };
        assert_eq!(exceptions.without_reason(), [""; 0]);
        exceptions.rules_without_case.push(RuleEntry { rule: "C1".to_owned(), reason: " ".to_owned() });
        assert_eq!(exceptions.without_reason().len(), 1);
    }
}
