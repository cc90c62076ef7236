//! The benchmark program: this library beside floors, loops by hand for exactly one workload each. `--help` tells how
//! to use it.

mod allocations;
mod arguments;
mod blocks;
mod budget;
mod bulk;
mod child;
mod churn;
mod cores;
mod counts;
mod datagrams;
mod figures;
mod floor;
mod idle;
mod limits;
mod machine;
mod measurement;
mod ours;
mod packets;
mod pummel;
mod report;
mod runtime;
mod side_by_side;
mod sockets;
mod timer_load;
mod times;
mod turns;
mod workload;

use std::process::ExitCode;

use arguments::Command;

/// What the arguments were wrong with.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let command = match arguments::parse(std::env::args().skip(1)) {
        Ok(command) => command,
        Err(message) => {
            eprintln!("proactor-bench: {message}");
            return ExitCode::from(USAGE);
        }
    };
    let done = match &command {
        Command::Help => {
            print!("{}", arguments::help());
            Ok(())
        }
        Command::Times(selection) => times::run(selection),
        Command::Counts { selection, assert } => counts::run(selection, *assert),
        Command::Child(run) => child::run(run),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("proactor-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
