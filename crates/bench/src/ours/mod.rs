//! The workloads on this library, each as a program of its user would be written, over any backend.

mod accept_churn;
mod async_pummel;
mod async_turns;
mod files;
mod idle;
mod tcp_ping_pong;
mod tcp_ping_pong_many;
mod tcp_throughput;
mod timers;
mod udp_ping_pong;
mod udp_pummel;

use proactor_core::Backend;

use crate::cores::Cores;
use crate::measurement::{Figures, Result};
use crate::workload::{self, Family, Program, Workload};

/// Runs a workload on the backend `B` for `count` operations, as `program` does it.
///
/// # Errors
/// What the system or the loop answers, or what the program's check of itself found.
pub(crate) fn run<B: Backend>(
    program: &Program,
    workload: Workload,
    count: u64,
    cores: &Cores,
) -> Result<Figures> {
    let parameter = workload.parameter as usize;
    match workload.family {
        Family::TcpPingPong if program.name == workload::OURS_MANY => {
            tcp_ping_pong_many::run::<B>(parameter, count)
        }
        Family::TcpPingPong => tcp_ping_pong::run::<B>(parameter, count),
        Family::UdpPingPong => udp_ping_pong::run::<B>(parameter, count),
        Family::UdpPummel => udp_pummel::run::<B>(parameter, count),
        Family::TcpThroughput => tcp_throughput::run::<B>(count),
        Family::AcceptChurn => accept_churn::run::<B>(parameter, count),
        Family::FileRead => files::read::<B>(count, false),
        Family::FileReadDirect => files::read::<B>(count, true),
        Family::FileWrite => files::write::<B>(count, false),
        Family::FileWriteDirect => files::write::<B>(count, true),
        Family::Idle => idle::run::<B>(program.name == workload::OURS_MANY, count),
        Family::AsyncPummel => async_pummel::run::<B>(parameter, count, cores),
        Family::Async => async_turns::run::<B>(parameter, count, cores),
        Family::TimersInsertFire => timers::insert_and_fire::<B>(count),
        Family::TimersInsertCancel => timers::insert_and_cancel::<B>(count),
    }
}
