//! Checks of the manifests: shared lints, which way the arrows go, and the one version of Rust that is promised.

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// What each crate may depend on, of our own. What is not named here may depend on everything.
const ARROWS: [(&str, &[&str]); 9] = [
    ("core", &[]),
    ("system", &["core"]),
    ("readiness", &["core", "system"]),
    ("epoll", &["core", "system", "readiness"]),
    ("kqueue", &["core", "system", "readiness"]),
    ("wasi", &["core", "system", "readiness"]),
    ("uring", &["core", "system"]),
    ("sim", &["core"]),
    ("conformance", &["core", "system"]),
];

pub(crate) fn findings(workspace: &Workspace) -> Result<Vec<String>> {
    let root = parse(workspace, "Cargo.toml")?;
    let mut findings = Vec::new();
    for file in workspace.files_with_extension("toml")? {
        let name = file.to_string_lossy();
        if !name.ends_with("/Cargo.toml") {
            continue;
        }
        let manifest = parse(workspace, &name)?;
        findings.extend(without_lints(&name, &manifest));
        findings.extend(wrong_arrows(&name, &manifest));
    }
    // One that is missing is a finding of the documents' check.
    if let Ok(readme) = workspace.read("README.md") {
        findings.extend(rust_version(&root, &readme));
    }
    Ok(findings)
}

fn parse(workspace: &Workspace, file: &str) -> Result<toml::Table> {
    workspace.read(file)?.parse().with_context(|| format!("{file} cannot be read"))
}

fn without_lints(name: &str, manifest: &toml::Table) -> Option<String> {
    let inherited = manifest.get("lints").and_then(|lints| lints.get("workspace")?.as_bool());
    (inherited != Some(true)).then(|| format!("{name}: does not take the workspace's lints"))
}

/// Dependencies of the library itself; tests may use what they like.
fn wrong_arrows(name: &str, manifest: &toml::Table) -> Vec<String> {
    let folder = name.strip_prefix("crates/").and_then(|name| name.strip_suffix("/Cargo.toml"));
    let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| Some(*from) == folder) else {
        return Vec::new();
    };
    let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
    dependencies
        .into_iter()
        .flat_map(toml::Table::keys)
        .filter_map(|dependency| dependency.strip_prefix("proactor-"))
        .filter(|dependency| !allowed.contains(dependency))
        .map(|dependency| format!("{name}: must not depend on {dependency}"))
        .collect()
}

/// The README names the manifest's version of Rust, and no other.
fn rust_version(root: &toml::Table, readme: &str) -> Vec<String> {
    let version = root.get("workspace").and_then(|table| table.get("package")?.get("rust-version")?.as_str());
    let Some(version) = version else {
        return vec!["Cargo.toml: no rust-version".to_owned()];
    };
    let named: Vec<&str> = readme.split("Rust ").skip(1).filter_map(leading_version).collect();
    if named.is_empty() {
        return vec![format!("README.md: does not say `Rust {version}`, the version that it needs")];
    }
    let other = named.into_iter().filter(|named| *named != version);
    other.map(|named| format!("README.md: says Rust {named}, the manifest {version}")).collect()
}

/// The version at the start of a text: digits and single points between them.
fn leading_version(text: &str) -> Option<&str> {
    let end = text.find(|character: char| !character.is_ascii_digit() && character != '.');
    let version = text[..end.unwrap_or(text.len())].trim_end_matches('.');
    version.contains('.').then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> toml::Table {
        text.parse().unwrap()
    }

    #[test]
    fn a_crate_without_the_shared_lints_is_found() {
        assert!(without_lints("a/Cargo.toml", &table("[lints]\nworkspace = true")).is_none());
        assert!(without_lints("a/Cargo.toml", &table("[lints]\nworkspace = false")).is_some());
        assert!(without_lints("a/Cargo.toml", &table("[package]")).is_some());
    }

    #[test]
    fn arrows_go_one_way() {
        let manifest =
            table("[dependencies]\nproactor-core.workspace = true\nproactor-epoll.workspace = true\n");
        assert_eq!(wrong_arrows("crates/bench/Cargo.toml", &manifest), [""; 0]);
        let wrong = wrong_arrows("crates/uring/Cargo.toml", &manifest);
        assert_eq!(wrong, ["crates/uring/Cargo.toml: must not depend on epoll"]);
        assert_eq!(wrong_arrows("crates/core/Cargo.toml", &manifest).len(), 2);
        let tests = table("[dev-dependencies]\nproactor-epoll.workspace = true\n");
        assert_eq!(wrong_arrows("crates/uring/Cargo.toml", &tests), [""; 0]);
    }

    #[test]
    fn the_readme_says_the_manifests_version() {
        let root = table("[workspace.package]\nrust-version = \"1.95\"");
        assert_eq!(rust_version(&root, "It needs Rust 1.95. Rust is a language."), [""; 0]);
        assert_eq!(rust_version(&root, "It needs Rust 1.94 or later.").len(), 1);
        assert_eq!(rust_version(&root, "Rust 1.95 and Rust 1.90").len(), 1);
        assert_eq!(rust_version(&root, "It is written in Rust.").len(), 1);
        assert_eq!(rust_version(&table(""), "Rust 1.95").len(), 1);
    }
}
