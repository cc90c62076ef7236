//! `bench`: builds the benchmark program with full optimisation and hands it all arguments.

use std::ffi::OsString;

use anyhow::{Context, Result};

use crate::Colour;
use crate::workspace::Workspace;

pub(crate) fn main(workspace: &Workspace, arguments: impl Iterator<Item = OsString>) -> Result<Colour> {
    let mut command = workspace.cargo();
    command.args(["run", "--release", "--package", "proactor-bench", "--manifest-path"]);
    command.arg(workspace.path("Cargo.toml")).arg("--").args(arguments);
    // Paths among the arguments are the user's, seen from where the user stands.
    command.current_dir(std::env::current_dir().context("the current folder cannot be named")?);
    let status = command.status().context("cannot start cargo")?;
    Ok(Colour::red_if(!status.success()))
}
