//! `tidy`: the project's written rules as code. Each check is a function that gives its findings.

mod case_lists;
mod code;
mod contract;
mod documents;
mod exceptions;
mod manifests;
mod source;

use std::ffi::OsString;

use anyhow::{Context, Result, bail, ensure};

use crate::Colour;
use crate::mutate;
use crate::workspace::Workspace;
use case_lists::Lists;
use exceptions::Exceptions;
use source::Source;

/// Where what is allowed all the same is written down, with the reasons.
const EXCEPTIONS: &str = "xtask/tidy.toml";

pub(crate) fn main(workspace: &Workspace, mut arguments: impl Iterator<Item = OsString>) -> Result<Colour> {
    match (arguments.next(), arguments.next()) {
        (None, _) => {}
        (Some(argument), None) if argument == "--write" => write(workspace)?,
        (Some(argument), _) => bail!("tidy takes `--write` or nothing, not `{}`", argument.to_string_lossy()),
    }
    let findings = findings(workspace)?;
    for finding in &findings {
        println!("{finding}");
    }
    println!("tidy: {} findings", findings.len());
    Ok(Colour::red_if(!findings.is_empty()))
}

/// The same, as a step of the gate.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let findings = findings(workspace)?;
    ensure!(findings.is_empty(), "{} findings\n  {}", findings.len(), findings.join("\n  "));
    Ok(())
}

/// Writes what is written, not checked: the lists of cases in the contract.
fn write(workspace: &Workspace) -> Result<()> {
    let (cases, exceptions) = (contract::cases(workspace)?, exceptions(workspace)?);
    let lists = Lists::new(workspace, &cases, &exceptions.unit_tests)?;
    if case_lists::write(workspace, &lists)? {
        println!("{}: the lists of cases are written", contract::DOCUMENT);
    }
    Ok(())
}

fn exceptions(workspace: &Workspace) -> Result<Exceptions> {
    toml::from_str(&workspace.read(EXCEPTIONS)?).with_context(|| format!("{EXCEPTIONS} cannot be read"))
}

fn findings(workspace: &Workspace) -> Result<Vec<String>> {
    let exceptions = exceptions(workspace)?;
    let mut sources = Vec::new();
    for file in workspace.files_with_extension("rs")? {
        sources.push(Source::new(&file.to_string_lossy(), &workspace.read(&file)?)?);
    }
    let mut findings = exceptions.without_reason();
    findings.extend(code::long_files(&sources, &exceptions.long_files));
    findings.extend(code::long_functions(&sources, &exceptions.long_functions));
    findings.extend(code::unsafe_files(&sources, &exceptions.unsafe_files));
    findings.extend(code::unsafe_without_argument(&sources));
    findings.extend(code::unfinished(&sources));
    findings.extend(code::core_reaches_out(&sources));
    findings.extend(manifests::findings(workspace)?);
    findings.extend(documents::findings(workspace)?);
    findings.extend(contract_findings(workspace, &sources, &exceptions)?);
    Ok(findings)
}

fn contract_findings(
    workspace: &Workspace,
    sources: &[Source],
    exceptions: &Exceptions,
) -> Result<Vec<String>> {
    let mut findings = contract::operations_without_case(sources);
    // One that is missing is a finding of the documents' check.
    let Ok(document) = workspace.read(contract::DOCUMENT) else { return Ok(findings) };
    let rules = contract::rules(&document);
    if rules.is_empty() {
        findings.push(format!("{}: no rules", contract::DOCUMENT));
    }
    let cases = match contract::cases(workspace) {
        Ok(cases) => cases,
        Err(error) => {
            findings.push(format!("the cases cannot be listed: {error:#}"));
            return Ok(findings);
        }
    };
    findings.extend(Lists::new(workspace, &cases, &exceptions.unit_tests)?.findings(sources, &document));
    let mutations = mutate::load(workspace)?;
    findings.extend(contract::rules_without_case(&rules, &cases, &exceptions.rules_without_case));
    let allowed = &exceptions.rules_without_mutation;
    findings.extend(contract::rules_without_mutation(&cases, &mutations, allowed));
    findings.extend(contract::broken_mutations(workspace, &cases, &mutations));
    Ok(findings)
}
