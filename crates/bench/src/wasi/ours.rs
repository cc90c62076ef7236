//! The workloads on this library, as on the other systems.

#[path = "../ours/files.rs"]
mod files;
#[path = "../ours/tcp_ping_pong.rs"]
mod tcp_ping_pong;
#[path = "../ours/timers.rs"]
mod timers;

use proactor_wasi::Wasi;

use crate::measurement::{Figures, Result};
use crate::workload::{Family, Workload};

/// Runs a workload for `count` operations.
///
/// # Errors
/// What the system or the loop answers, or what the program's check of itself found.
pub(crate) fn run(workload: Workload, count: u64) -> Result<Figures> {
    match workload.family {
        Family::TcpPingPong => tcp_ping_pong::run::<Wasi>(workload.parameter as usize, count),
        Family::FileRead => files::read::<Wasi>(count, false),
        Family::FileWrite => files::write::<Wasi>(count, false),
        Family::TimersInsertFire => timers::insert_and_fire::<Wasi>(count),
        Family::TimersInsertCancel => timers::insert_and_cancel::<Wasi>(count),
        _ => Err(format!("{workload} is nothing for WASI").into()),
    }
}
