//! The runtime under which programs of WASI run.

use std::path::Path;

use anyhow::{Context, Result};

use super::by_the_first_that_works;
use crate::cross;
use crate::process;
use crate::wasi::{Host, host};

/// Installs `kind` and has it be the one that is taken, or the first that can be built.
pub(super) fn install(kind: Option<host::Kind>) -> Result<()> {
    let cache = cross::cache()?;
    install_into(&cache, kind, |kind| {
        let mut command = kind.install(&cache);
        println!("setup: {}", process::describe(&command));
        process::run_and_tell(&mut command)
    })
}

fn install_into(
    cache: &Path,
    kind: Option<host::Kind>,
    build: impl FnMut(host::Kind) -> Result<()>,
) -> Result<()> {
    std::fs::create_dir_all(cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let failure = host::failure_file(cache);
    let result = build_and_choose(cache, kind, build);
    match &result {
        Ok(()) => drop(std::fs::remove_file(&failure)),
        // For those who find no runtime later; without the file they know less, no more.
        Err(error) => drop(std::fs::write(&failure, format!("{error:#}"))),
    }
    result
}

fn build_and_choose(
    cache: &Path,
    kind: Option<host::Kind>,
    mut build: impl FnMut(host::Kind) -> Result<()>,
) -> Result<()> {
    let kinds = kind.as_ref().map_or(host::KINDS.as_slice(), std::slice::from_ref);
    by_the_first_that_works("runtime for WASI", kinds, |kind| {
        if kind.installed(cache).is_some() {
            return Ok(());
        }
        build(kind)?;
        kind.installed(cache).map(drop).context("it was built, and does not run")
    })?;
    if let Some(kind) = kind {
        host::choose(kind, cache)?;
    }
    println!("setup: programs of WASI run under {}", Host::find_in(cache)?.name());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use crate::wasi::host::Kind;

    #[test]
    fn why_none_could_be_built_is_told_until_one_is() {
        let scratch = Scratch::new();
        let cache = scratch.path();
        let found = || Host::find_in(cache).map(|host| host.name()).map_err(|error| error.to_string());
        assert!(!found().unwrap_err().contains("there is no network"));
        let error = install_into(cache, None, |_| anyhow::bail!("there is no network")).unwrap_err();
        let reasons = "wasmi: there is no network; wasmtime: there is no network";
        assert_eq!(error.to_string(), reasons);
        let missing = found().unwrap_err();
        assert!(missing.contains("`cargo xtask setup`") && missing.contains(reasons), "{missing}");
        let build = |kind: Kind| {
            scratch.program(
                &format!("{kind}/bin/{kind}"),
                &format!("#!/bin/sh\necho {}\n", host::versioned(kind)),
            );
            Ok(())
        };
        install_into(cache, Some(Kind::Wasmtime), build).unwrap();
        assert!(found().unwrap().starts_with("wasmtime"));
        // What was asked for and failed is an error, and what was there is taken as before.
        let error = install_into(cache, Some(Kind::Wasmi), |_| anyhow::bail!("34 errors")).unwrap_err();
        assert_eq!(error.to_string(), "wasmi: 34 errors");
        assert!(found().unwrap().starts_with("wasmtime"));
        install_into(cache, Some(Kind::Wasmi), build).unwrap();
        assert!(found().unwrap().starts_with("wasmi "));
        assert!(!host::failure_file(cache).exists());
    }

    #[test]
    fn what_is_built_and_does_not_run_is_an_error() {
        let scratch = Scratch::new();
        let error = install_into(scratch.path(), Some(Kind::Wasmi), |_| Ok(())).unwrap_err().to_string();
        assert!(error.contains("does not run"), "{error}");
    }
}
