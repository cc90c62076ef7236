//! `link-check`: the suite's program and the examples, linked for systems with kqueue, from which the compiler alone is not
//! enough: every name that they use has to be in a library of the system's. On demand, since it takes minutes and fetches a
//! linker that has those systems' libraries.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::Colour;
use crate::cross::{Linker, Toolchain};
use crate::executables::{self, Executable, Programs};
use crate::setup;
use crate::test_all::CONFORMANCE;
use crate::workspace::Workspace;

/// What is linked for, and what comes of it.
const TARGETS: [(&str, Format); 3] = [
    ("x86_64-unknown-freebsd", Format::FreeBsd),
    ("x86_64-apple-darwin", Format::MachO(X86_64)),
    ("aarch64-apple-darwin", Format::MachO(ARM64)),
];

/// The package of the examples, and the feature that builds them.
const EXAMPLES: [&str; 4] = ["--package", "proactor-examples-kqueue", "--features", "kqueue"];
const EXAMPLES_FOLDER: &str = "examples/kqueue";

/// The package of the suite's program.
const SUITE: &str = "proactor-kqueue";

/// What a program file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// ELF, 64 bits, for x86-64, marked as FreeBSD's in its header or by a note.
    FreeBsd,
    /// A Mach-O program, 64 bits, for this architecture.
    MachO(u32),
}

/// Architectures, as Mach-O numbers them.
const X86_64: u32 = 0x0100_0007;
const ARM64: u32 = 0x0100_000c;

pub(crate) fn main(workspace: &Workspace, mut arguments: impl Iterator<Item = OsString>) -> Result<Colour> {
    match (arguments.next(), arguments.next()) {
        (None, _) => {}
        (Some(argument), None) if argument == "--setup" => setup::install(&setup::FOR_LINKING)?,
        _ => bail!("link-check takes `--setup` or nothing"),
    }
    let toolchain = Toolchain::find()?;
    ensure!(
        toolchain.source().exists(),
        "the toolchain for other systems has no source of its standard library; `cargo xtask setup` brings it once {} is removed",
        toolchain.folder().display()
    );
    let linker = Linker::find()?;
    let wanted = wanted(workspace)?;
    let mut failed = Vec::new();
    for (target, format) in TARGETS {
        let checked = link(workspace, &toolchain, &linker, target)
            .and_then(|programs| check(&programs, &wanted, format, target));
        if let Err(error) = checked {
            println!("{target}: {error:#}");
            failed.push(target);
        }
    }
    let verdict = if failed.is_empty() { "green" } else { "RED" };
    println!("link-check: {} of {} systems, {verdict}", TARGETS.len() - failed.len(), TARGETS.len());
    Ok(Colour::red_if(!failed.is_empty()))
}

/// The systems that are linked for.
pub(crate) fn values(_workspace: &Workspace) -> Result<String> {
    Ok(format!("linked for: {}\n", TARGETS.map(|(target, _)| target).join(", ")))
}

/// The programs that there have to be: the suite's, and each example's.
fn wanted(workspace: &Workspace) -> Result<Vec<String>> {
    let manifest = workspace.read(format!("{EXAMPLES_FOLDER}/Cargo.toml"))?;
    let manifest: toml::Table = manifest.parse().context("the examples' manifest cannot be read")?;
    let programs = manifest.get("bin").and_then(toml::Value::as_array).into_iter().flatten();
    let names = programs.filter_map(|program| Some(program.get("name")?.as_str()?.to_owned()));
    Ok(std::iter::once(CONFORMANCE.to_owned()).chain(names).collect())
}

/// Builds and links for one system.
fn link(
    workspace: &Workspace,
    toolchain: &Toolchain,
    linker: &Linker,
    target: &str,
) -> Result<Vec<Executable>> {
    let suite = ["--package", SUITE, "--test", CONFORMANCE];
    let mut programs = Vec::new();
    for (what, kind) in [(suite, Programs::Tests), (EXAMPLES, Programs::Ordinary)] {
        let mut command = linker.build(toolchain, workspace);
        command.args(["--target", target]).args(what);
        programs.extend(executables::build(workspace, &mut command, kind)?);
    }
    Ok(programs)
}

/// Whether all of them are there, and what they are to be. Says so of each.
fn check(programs: &[Executable], wanted: &[String], format: Format, target: &str) -> Result<()> {
    for program in programs {
        let found = inspect(&program.path);
        let told = match &found {
            Ok((found, len)) => format!("{found:?}, {} KiB", len / 1024),
            Err(error) => format!("{error:#}"),
        };
        println!("{target}: {}: {told}", program.target);
        let (found, _) = found.with_context(|| program.target.clone())?;
        ensure!(found == format, "{} is {found:?} and no {format:?}", program.target);
    }
    let is_there = |name: &&String| programs.iter().any(|program| program.target == **name);
    let missing: Vec<&str> = wanted.iter().filter(|name| !is_there(name)).map(String::as_str).collect();
    ensure!(missing.is_empty(), "not linked: {}", missing.join(", "));
    Ok(())
}

fn inspect(path: &Path) -> Result<(Format, usize)> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok((format_of(&bytes)?, bytes.len()))
}

/// What the first bytes of a program say.
fn format_of(bytes: &[u8]) -> Result<Format> {
    /// ELF's identification: 64 bits, little-endian, of version 1; and FreeBSD's number.
    const ELF: [u8; 7] = [0x7f, b'E', b'L', b'F', 2, 1, 1];
    const FREEBSD: u8 = 9;
    /// The lengths of its name and of its value, its kind, and its name.
    const NOTE: &[u8] = b"\x08\0\0\0\x04\0\0\0\x01\0\0\0FreeBSD\0";
    const MACHINE_X86_64: u16 = 62;
    /// Mach-O's, of 64 bits; and the kind of file that is a program.
    const MACH_O: u32 = 0xfeed_facf;
    const PROGRAM: u32 = 2;
    let half = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    if bytes.starts_with(&ELF) {
        let is_freebsds = match bytes.get(7) {
            Some(&FREEBSD) => true,
            // Of none: then a note of its start files says so to the kernel.
            Some(0) => bytes.windows(NOTE.len()).any(|window| window == NOTE),
            _ => false,
        };
        ensure!(is_freebsds, "ELF of another system than FreeBSD ({:?})", bytes.get(7));
        ensure!(half(18) == Some(MACHINE_X86_64), "ELF for another processor ({:?})", half(18));
        return Ok(Format::FreeBsd);
    }
    ensure!(word(0) == Some(MACH_O), "neither ELF nor Mach-O of 64 bits");
    ensure!(word(12) == Some(PROGRAM), "Mach-O, and no program");
    Ok(Format::MachO(word(4).context("a Mach-O file that is cut")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn elf(system: u8, machine: u8) -> Vec<u8> {
        let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, system];
        bytes.resize(18, 0);
        bytes.extend([machine, 0]);
        bytes
    }

    fn mach_o(architecture: u32, kind: u32) -> Vec<u8> {
        [0xfeed_facf, architecture, 0, kind].iter().flat_map(|word: &u32| word.to_le_bytes()).collect()
    }

    #[test]
    fn programs_are_told_by_their_first_bytes() {
        assert_eq!(format_of(&elf(9, 62)).unwrap(), Format::FreeBsd);
        let noted = [elf(0, 62), b"\x08\0\0\0\x04\0\0\0\x01\0\0\0FreeBSD\0".to_vec()].concat();
        assert_eq!(format_of(&noted).unwrap(), Format::FreeBsd);
        assert_eq!(format_of(&mach_o(X86_64, 2)).unwrap(), Format::MachO(X86_64));
        assert_eq!(format_of(&mach_o(ARM64, 2)).unwrap(), Format::MachO(ARM64));
        for (other, why) in [
            (elf(0, 62), "another system"),
            (elf(9, 183), "another processor"),
            (mach_o(ARM64, 1), "no program"),
            (b"#!/bin/sh".to_vec(), "neither"),
            (Vec::new(), "neither"),
        ] {
            let error = format_of(&other).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn each_program_has_to_be_there_and_of_the_systems_format() {
        let scratch = Scratch::new();
        let path = scratch.path().join("program");
        let wanted = ["conformance".to_owned(), "echo".to_owned()];
        let program = |name: &str, bytes: Vec<u8>| {
            std::fs::write(&path, bytes).unwrap();
            Executable::for_test("examples/kqueue", name, path.clone())
        };
        let mut programs = vec![program("conformance", elf(9, 62))];
        let error = check(&programs, &wanted, Format::FreeBsd, "x").unwrap_err().to_string();
        assert_eq!(error, "not linked: echo");
        programs.push(program("echo", elf(9, 62)));
        check(&programs, &wanted, Format::FreeBsd, "x").unwrap();
        let error = check(&programs, &wanted, Format::MachO(ARM64), "x").unwrap_err().to_string();
        assert!(error.contains("conformance is FreeBsd"), "{error}");
        std::fs::remove_file(&path).unwrap();
        assert!(check(&programs, &wanted, Format::FreeBsd, "x").is_err());
    }

    #[test]
    fn the_suite_and_every_example_are_wanted() {
        let wanted = wanted(&Workspace::here()).unwrap();
        assert_eq!(wanted[0], CONFORMANCE);
        assert!(wanted.contains(&"echo-kqueue".to_owned()) && wanted.len() > 5, "{wanted:?}");
    }
}
