//! The benchmark programs that run on WASI: this library and floors by hand, one of them in each run, as the benchmark program
//! asks for it. Elsewhere this is an empty program.
#![cfg_attr(
    target_os = "wasi",
    allow(dead_code, reason = "what is shared with the other systems is more than this needs")
)]

#[cfg(target_os = "wasi")]
#[path = "../allocations.rs"]
mod allocations;
#[cfg(target_os = "wasi")]
#[path = "../blocks.rs"]
mod blocks;
#[cfg(target_os = "wasi")]
#[path = "../figures.rs"]
mod figures;
#[cfg(target_os = "wasi")]
mod floor;
#[cfg(target_os = "wasi")]
mod given;
#[cfg(target_os = "wasi")]
#[path = "../measurement.rs"]
mod measurement;
#[cfg(target_os = "wasi")]
mod ours;
#[cfg(target_os = "wasi")]
#[path = "../sockets.rs"]
mod sockets;
#[cfg(target_os = "wasi")]
#[path = "../timer_load.rs"]
mod timer_load;
#[cfg(target_os = "wasi")]
#[path = "../workload.rs"]
mod workload;

/// Runs one program, named as in a child's arguments, and prints its figures as one line of JSON.
#[cfg(target_os = "wasi")]
fn main() -> std::process::ExitCode {
    use std::process::ExitCode;

    match run(&std::env::args().collect::<Vec<_>>()) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("proactor-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(target_os = "wasi")]
fn run(arguments: &[String]) -> measurement::Result<String> {
    // Before it, runtimes pass their own.
    let begin = arguments.iter().position(|argument| argument == "child").map_or(0, |place| place + 1);
    let run = figures::ChildRun::parse(&arguments[begin..])?;
    let figures = match run.program.kind {
        workload::Kind::Ours => ours::run(run.workload, run.count)?,
        workload::Kind::Floor => floor::run(run.workload, run.count)?,
    };
    Ok(run.to_json(&figures).to_string())
}

#[cfg(not(target_os = "wasi"))]
fn main() {}
