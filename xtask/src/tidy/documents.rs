//! Checks of the documents: they are there, and their links lead somewhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::workspace::Workspace;

/// What a reader of the project expects to find.
const EXPECTED: [&str; 7] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRACT.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
];

pub(crate) fn findings(workspace: &Workspace) -> Result<Vec<String>> {
    let mut findings: Vec<String> = EXPECTED
        .into_iter()
        .filter(|file| !workspace.path(file).exists())
        .map(|file| format!("{file}: missing"))
        .collect();
    for file in workspace.files_with_extension("md")? {
        findings.extend(broken_links(workspace, &file, &workspace.read(&file)?));
    }
    Ok(findings)
}

/// Relative links to files that are not there, and to headings that are not in them.
fn broken_links(workspace: &Workspace, file: &Path, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (line, target) in links(text) {
        if target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
        let folder = file.parent().unwrap_or(Path::new(""));
        let linked: PathBuf = if path.is_empty() { file.to_path_buf() } else { folder.join(path) };
        let place = format!("{}:{line}", file.display());
        if !workspace.path(&linked).exists() {
            findings.push(format!("{place}: `{target}` leads nowhere"));
        } else if !anchor.is_empty() && linked.extension().is_some_and(|extension| extension == "md") {
            let there = workspace.read(&linked).is_ok_and(|text| headings(&text).contains(anchor));
            if !there {
                findings.push(format!("{place}: `{target}`: no such heading"));
            }
        }
    }
    findings
}

/// The targets of inline links and of link definitions, with their lines. What stands in code is no link.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (number, line) in prose(text) {
        let line = without_code(line);
        if let Some((label, target)) = line.trim_start().split_once("]: ")
            && label.starts_with('[')
        {
            links.push((number, first_word(target)));
        }
        for (start, _) in line.match_indices("](") {
            let target = &line[start + 2..];
            if let Some(end) = target.find(')') {
                links.push((number, first_word(&target[..end])));
            }
        }
    }
    links
}

/// A target without the title that may follow it.
fn first_word(target: &str) -> String {
    target.split_whitespace().next().unwrap_or_default().trim_matches(['<', '>']).to_owned()
}

/// The lines outside fenced code, numbered from one.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((index + 1, line))
    })
}

fn without_code(line: &str) -> String {
    // Outside, inside, outside, ...: an unpaired mark at the end of a line begins no code.
    let parts: Vec<&str> = line.split('`').collect();
    let outside = |(index, part): (usize, &&str)| (index % 2 == 0).then(|| (*part).to_owned());
    parts.iter().enumerate().filter_map(outside).collect::<Vec<_>>().join("`")
}

/// The anchors of a document's headings, made as the usual hosts make them.
fn headings(text: &str) -> BTreeSet<String> {
    let titles = prose(text).filter_map(|(_, line)| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len()).then(|| title.strip_prefix(' '))?
    });
    titles.map(anchor).collect()
}

fn anchor(title: &str) -> String {
    let kept = title.trim().chars().filter_map(|character| match character {
        ' ' => Some('-'),
        '-' | '_' => Some(character),
        _ if character.is_alphanumeric() => Some(character.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn broken(text: &str) -> Vec<String> {
        let scratch = Scratch::new();
        scratch.write("docs/other.md", "# Two words, and `code`\n\n```\n# no heading\n```\n");
        scratch.write("README.md", "");
        scratch.write("docs/page.md", text);
        broken_links(&Workspace::at(scratch.path()), Path::new("docs/page.md"), text)
    }

    #[test]
    fn links_that_lead_somewhere_are_fine() {
        for text in [
            "[a](other.md), [b](../README.md) and [c](https://example.org/x)",
            "[a](other.md#two-words-and-code \"title\")",
            "# Here\n[a](#here)",
            "[a]: ../README.md",
            "`[a](nowhere.md)`\n```\n[b](nowhere.md)\n```",
            "[folder](../docs)",
        ] {
            assert_eq!(broken(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        for text in [
            "[a](nowhere.md)",
            "[a](README.md)",
            "text `code` [a](nowhere.md)",
            "[a](other.md#three-words)",
            "[a](other.md#no-heading)",
            "[a](#here)",
            "[a]: nowhere.md",
        ] {
            assert_eq!(broken(text).len(), 1, "{text}");
        }
    }

    #[test]
    fn a_missing_document_is_found() {
        let scratch = Scratch::new();
        let workspace = Workspace::at(scratch.path());
        assert_eq!(findings(&workspace).unwrap().len(), EXPECTED.len());
        for file in EXPECTED {
            scratch.write(file, "");
        }
        assert_eq!(findings(&workspace).unwrap(), [""; 0]);
    }
}
