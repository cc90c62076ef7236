//! Checks of the contract: each rule has its case, each operation has one, each case can fail.

use std::collections::BTreeSet;

use anyhow::Result;
use proc_macro2::{Delimiter, TokenTree};

use super::exceptions::RuleEntry;
use super::source::{Source, is_word};
use crate::case_table::{self, Cases};
use crate::mutate::Mutation;
use crate::workspace::Workspace;

pub(crate) const DOCUMENT: &str = "CONTRACT.md";

/// Where `Operation` is defined, and where the cases are.
const OPERATIONS: &str = "crates/core/src/operation.rs";
const CASES: &str = "crates/conformance/src/";

/// Reads the table: to build a program that could be asked takes half a minute. What the programs list, `test-all` compares.
pub(crate) fn cases(workspace: &Workspace) -> Result<Cases> {
    case_table::cases(&workspace.read(case_table::FILE)?)
}

/// The rules that the document lists: items that begin with a bold letter and number.
pub(crate) fn rules(document: &str) -> BTreeSet<String> {
    document.lines().filter_map(rule_of).collect()
}

/// The rule whose item begins with this line.
pub(crate) fn rule_of(line: &str) -> Option<String> {
    let name = line.trim_start().strip_prefix("- **")?.split_once("**")?.0.to_owned();
    is_rule(&name).then_some(name)
}

fn is_rule(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first.is_ascii_uppercase())
        && !characters.as_str().is_empty()
        && characters.all(|rest| rest.is_ascii_digit())
}

/// Rules that no case proves, cases of rules that do not exist, and entries that are no longer true.
pub(crate) fn rules_without_case(
    rules: &BTreeSet<String>,
    cases: &Cases,
    allowed: &[RuleEntry],
) -> Vec<String> {
    let proved: BTreeSet<&String> = cases.values().flatten().collect();
    let mut findings = Vec::new();
    for rule in rules {
        let allowed = allowed.iter().any(|entry| entry.rule == *rule);
        match (proved.contains(rule), allowed) {
            (false, false) => findings.push(format!("{DOCUMENT}: no case proves {rule}")),
            (true, true) => findings.push(stale("rules_without_case", rule, "has a case")),
            _ => {}
        }
    }
    for (case, proves) in cases {
        if proves.is_empty() {
            findings.push(format!("{case}: proves no rule"));
        }
        for rule in proves.iter().filter(|rule| !rules.contains(*rule)) {
            findings.push(format!("{case}: proves {rule}, which {DOCUMENT} does not have"));
        }
    }
    for entry in allowed.iter().filter(|entry| !rules.contains(&entry.rule)) {
        findings.push(stale("rules_without_case", &entry.rule, "is no rule"));
    }
    findings
}

/// Rules whose cases nobody has seen fail.
pub(crate) fn rules_without_mutation(
    cases: &Cases,
    mutations: &[Mutation],
    allowed: &[RuleEntry],
) -> Vec<String> {
    let proved: BTreeSet<&String> = cases.values().flatten().collect();
    let mut findings = Vec::new();
    for rule in &proved {
        let mutated = mutations.iter().any(|mutation| mutation.rule == **rule);
        let allowed = allowed.iter().any(|entry| entry.rule == **rule);
        match (mutated, allowed) {
            (false, false) => findings.push(format!("{rule}: no mutation turns one of its cases red")),
            (true, true) => findings.push(stale("rules_without_mutation", rule, "has a mutation")),
            _ => {}
        }
    }
    for entry in allowed.iter().filter(|entry| !proved.contains(&entry.rule)) {
        findings.push(stale("rules_without_mutation", &entry.rule, "has no case"));
    }
    findings
}

fn stale(list: &str, rule: &str, why: &str) -> String {
    format!("{}: {list}: {rule} {why}", super::EXCEPTIONS)
}

/// Mutations that cannot be applied, or whose case does not prove their rule.
pub(crate) fn broken_mutations(workspace: &Workspace, cases: &Cases, mutations: &[Mutation]) -> Vec<String> {
    let mut findings = Vec::new();
    for mutation in mutations {
        let applied = workspace.read(&mutation.file).and_then(|text| mutation.apply(&text));
        if let Err(error) = applied {
            findings.push(format!("mutation {mutation}: {error:#}"));
        }
        if !cases.get(&mutation.case).is_some_and(|rules| rules.contains(&mutation.rule)) {
            findings.push(format!("mutation {mutation}: no such case proves that rule"));
        }
    }
    findings
}

/// Variants of `Operation` that no case names.
pub(crate) fn operations_without_case(sources: &[Source]) -> Vec<String> {
    let operations: Vec<String> = sources
        .iter()
        .filter(|source| source.path == OPERATIONS)
        .flat_map(|source| variants(source, "Operation"))
        .collect();
    if operations.is_empty() {
        return vec![format!("{OPERATIONS}: no variant of `Operation` can be found")];
    }
    let mut named = BTreeSet::new();
    for source in sources.iter().filter(|source| source.path.starts_with(CASES)) {
        collect_used_words(source.top_level().iter().cloned(), &mut named);
    }
    operations
        .iter()
        .filter(|operation| !named.contains(*operation))
        .map(|operation| format!("{OPERATIONS}: no case submits `{operation}`"))
        .collect()
}

/// Collects words outside `use` declarations: what is only imported is not used.
fn collect_used_words(tokens: impl IntoIterator<Item = TokenTree>, words: &mut BTreeSet<String>) {
    let mut importing = false;
    for token in tokens {
        match token {
            TokenTree::Ident(word) if word == "use" => importing = true,
            TokenTree::Punct(mark) if mark.as_char() == ';' => importing = false,
            TokenTree::Ident(word) if !importing => {
                words.insert(word.to_string());
            }
            TokenTree::Group(group) if !importing => collect_used_words(group.stream(), words),
            _ => {}
        }
    }
}

/// The variants of an enum: in its body, the first word after the beginning and after each comma.
fn variants(source: &Source, name: &str) -> Vec<String> {
    let body = source.sequences().find_map(|sequence| {
        sequence.windows(3).find_map(|tokens| match tokens {
            [keyword, this, TokenTree::Group(body)]
                if is_word(keyword, "enum")
                    && is_word(this, name)
                    && body.delimiter() == Delimiter::Brace =>
            {
                Some(body.stream())
            }
            _ => None,
        })
    });
    let mut variants = Vec::new();
    let mut expected = true;
    for token in body.into_iter().flatten() {
        match token {
            TokenTree::Ident(variant) if expected => {
                variants.push(variant.to_string());
                expected = false;
            }
            TokenTree::Punct(mark) if mark.as_char() == ',' => expected = true,
            _ => {}
        }
    }
    variants
}

#[cfg(test)]
mod tests {
    use super::super::exceptions::tests::rule;
    use super::*;
    use crate::scratch::Scratch;

    const CONTRACT: &str =
        "# Contract\n- **C1** Once.\n- **X10** Cancel, see **C2**.\n- **Note** not a rule\n";

    fn cases_of(cases: &[(&str, &[&str])]) -> Cases {
        let owned = |rules: &[&str]| rules.iter().map(|rule| (*rule).to_owned()).collect();
        cases.iter().map(|(case, rules)| ((*case).to_owned(), owned(rules))).collect()
    }

    #[test]
    fn rules_are_the_bold_beginnings_of_items() {
        assert_eq!(rules(CONTRACT).into_iter().collect::<Vec<_>>(), ["C1", "X10"]);
    }

    #[test]
    fn a_rule_without_a_case_is_found_unless_listed() {
        let rules = rules(CONTRACT);
        let both = cases_of(&[("once", &["C1"]), ("cancel", &["X10", "C1"])]);
        assert_eq!(rules_without_case(&rules, &both, &[]), [""; 0]);
        let one = cases_of(&[("once", &["C1"])]);
        assert_eq!(rules_without_case(&rules, &one, &[]), ["CONTRACT.md: no case proves X10"]);
        assert_eq!(rules_without_case(&rules, &one, &[rule("X10")]), [""; 0]);
    }

    #[test]
    fn an_entry_for_a_rule_that_has_a_case_or_does_not_exist_is_found() {
        let rules = rules(CONTRACT);
        let both = cases_of(&[("once", &["C1"]), ("cancel", &["X10"])]);
        assert_eq!(rules_without_case(&rules, &both, &[rule("X10")]).len(), 1);
        assert_eq!(rules_without_case(&rules, &both, &[rule("Z1")]).len(), 1);
    }

    #[test]
    fn a_case_of_no_rule_or_an_unknown_one_is_found() {
        let rules = rules(CONTRACT);
        let odd = cases_of(&[("once", &["C1"]), ("cancel", &["X10"]), ("odd", &[]), ("lost", &["C9"])]);
        assert_eq!(rules_without_case(&rules, &odd, &[]).len(), 2);
    }

    fn mutation(rule: &str, case: &str) -> Mutation {
        Mutation {
            rule: rule.to_owned(),
            file: "a.rs".into(),
            find: "one".to_owned(),
            replace: "two".to_owned(),
            backend: "sim".to_owned(),
            case: case.to_owned(),
        }
    }

    #[test]
    fn a_rule_without_a_mutation_is_found_unless_listed() {
        let cases = cases_of(&[("once", &["C1"]), ("cancel", &["X10"])]);
        let (one, both) = ([mutation("C1", "once")], [mutation("C1", "once"), mutation("X10", "cancel")]);
        assert_eq!(rules_without_mutation(&cases, &both, &[]), [""; 0]);
        assert_eq!(rules_without_mutation(&cases, &one, &[]).len(), 1);
        assert_eq!(rules_without_mutation(&cases, &one, &[rule("X10")]), [""; 0]);
        assert_eq!(rules_without_mutation(&cases, &both, &[rule("X10")]).len(), 1);
        assert_eq!(rules_without_mutation(&cases, &both, &[rule("Z1")]).len(), 1);
    }

    #[test]
    fn a_mutation_that_does_not_fit_is_found() {
        let scratch = Scratch::new();
        scratch.write("a.rs", "one");
        let workspace = Workspace::at(scratch.path());
        let cases = cases_of(&[("once", &["C1"])]);
        assert_eq!(broken_mutations(&workspace, &cases, &[mutation("C1", "once")]), [""; 0]);
        assert_eq!(broken_mutations(&workspace, &cases, &[mutation("C2", "once")]).len(), 1);
        assert_eq!(broken_mutations(&workspace, &cases, &[mutation("C1", "twice")]).len(), 1);
        scratch.write("a.rs", "three");
        assert_eq!(broken_mutations(&workspace, &cases, &[mutation("C1", "once")]).len(), 1);
        let elsewhere = Mutation { file: "b.rs".into(), ..mutation("C1", "once") };
        assert_eq!(broken_mutations(&workspace, &cases, &[elsewhere]).len(), 1);
    }

    fn operations(definition: &str, cases: &str) -> Vec<String> {
        let sources =
            [Source::new(OPERATIONS, definition), Source::new("crates/conformance/src/cases/a.rs", cases)];
        operations_without_case(&sources.map(Result::unwrap))
    }

    const DEFINITION: &str = "/// All.\n#[derive(Debug)]\npub enum Operation {\n    /// None.\n    Nop(Nop),\n    \
        Recv(Recv),\n    #[doc(hidden)]\n    Send { handle: Handle, buffer: Buffer },\n}";

    #[test]
    fn an_operation_that_no_case_submits_is_found() {
        let all = "fn a() { submit(Nop); submit(Recv { handle }); submit(Send { handle, buffer }); }";
        assert_eq!(operations(DEFINITION, all), [""; 0]);
        let missing = operations(DEFINITION, "use x::{Nop, Recv, Send};\nfn a() { submit(Nop); } // Recv");
        assert_eq!(missing.len(), 2, "{missing:?}");
        assert_eq!(operations("enum Other {}", all).len(), 1);
    }
}
