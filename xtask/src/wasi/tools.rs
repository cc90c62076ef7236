//! What builds and runs programs of WASI.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;

const TARGET: &str = "wasm32-wasip1";

fn cache() -> Result<PathBuf> {
    let home = std::env::var_os("HOME").context("there is no HOME, so no cache")?;
    Ok(PathBuf::from(home).join(".cache/proactor"))
}

/// A cargo that builds for WASI, to which a subcommand is to be added.
pub(super) fn cargo(workspace: &Workspace) -> Result<Command> {
    let programs = cache()?.join("toolchain/bin");
    ensure!(
        programs.join("cargo").exists(),
        "the toolchain for WASI is missing; `cargo xtask setup` makes it"
    );
    let mut command = Command::new(programs.join("cargo"));
    for variable in ["CARGO", "RUSTDOC", "RUSTUP_TOOLCHAIN", "RUSTFLAGS"] {
        command.env_remove(variable);
    }
    command.current_dir(workspace.root());
    command.env("RUSTC", programs.join("rustc")).env("CARGO_TARGET_DIR", workspace.target("cross"));
    command.env("CARGO_BUILD_TARGET", TARGET);
    Ok(command)
}

/// What runs its programs.
pub(super) fn runner() -> Result<PathBuf> {
    let program = cache()?.join("wasmi/bin/wasmi");
    ensure!(
        program.exists(),
        "wasmi, which runs programs of WASI, is missing; `cargo xtask setup` installs it"
    );
    Ok(program)
}
