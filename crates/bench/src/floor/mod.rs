//! The floors: loops by hand, each for exactly one workload on one mechanism, straight on the system calls. They
//! check what they move and obey the rules that the library obeys, and have nothing in between.

mod accept_churn_epoll;
mod accept_churn_uring;
mod async_pummel;
mod async_turns;
mod buffer_ring;
mod churn_ring;
mod file_ring;
mod files_epoll;
mod files_uring;
mod idle_epoll;
mod idle_uring;
mod packet_ring;
mod ring;

mod tcp_ping_pong_epoll;
mod tcp_ping_pong_multishot;
mod tcp_ping_pong_uring;
mod tcp_throughput_epoll;
mod tcp_throughput_uring;
mod timers;
mod udp_ping_pong_epoll;
mod udp_ping_pong_uring;
mod udp_pummel_epoll;
mod udp_pummel_uring;
mod wake;
mod wake_epoll;
mod wake_uring;
mod wheel;

use self::wake_epoll::EpollSleep;
use self::wake_uring::{MessageSleep, UringSleep};
use crate::cores::Cores;
use crate::measurement::{Figures, Result};
use crate::workload::{FLOOR_MESSAGE, FLOOR_MULTISHOT, Family, Mechanism, Program, Workload};

/// Runs a floor for `count` operations.
///
/// # Errors
/// What the system answers, or what the floor's check of itself found.
pub(crate) fn run(program: &Program, workload: Workload, count: u64, cores: &Cores) -> Result<Figures> {
    let parameter = workload.parameter as usize;
    match (workload.family, program.mechanism, program.name) {
        (_, Mechanism::Wasi, _) => Err("programs of WASI run under their runtime".into()),
        (Family::TcpPingPong, Mechanism::Epoll, _) => tcp_ping_pong_epoll::run(parameter, count),
        (Family::TcpPingPong, Mechanism::Uring, FLOOR_MULTISHOT) => {
            tcp_ping_pong_multishot::run(parameter, count)
        }
        (Family::TcpPingPong, Mechanism::Uring, _) => tcp_ping_pong_uring::run(parameter, count),
        (Family::UdpPingPong, Mechanism::Epoll, _) => udp_ping_pong_epoll::run(parameter, count),
        (Family::UdpPingPong, Mechanism::Uring, _) => udp_ping_pong_uring::run(parameter, count),
        (Family::UdpPummel, Mechanism::Epoll, _) => udp_pummel_epoll::run(parameter, count),
        (Family::UdpPummel, Mechanism::Uring, _) => udp_pummel_uring::run(parameter, count),
        (Family::TcpThroughput, Mechanism::Epoll, _) => tcp_throughput_epoll::run(count),
        (Family::TcpThroughput, Mechanism::Uring, _) => tcp_throughput_uring::run(count),
        (Family::AcceptChurn, Mechanism::Epoll, _) => accept_churn_epoll::run(parameter, count),
        (Family::AcceptChurn, Mechanism::Uring, _) => accept_churn_uring::run(parameter, count),
        (Family::Idle, Mechanism::Epoll, _) => idle_epoll::run(count),
        (Family::Idle, Mechanism::Uring, _) => idle_uring::run(count),
        (
            family
            @ (Family::FileRead | Family::FileReadDirect | Family::FileWrite | Family::FileWriteDirect),
            mechanism,
            _,
        ) => {
            let transfer = family.transfer().ok_or("a family of files")?;
            match mechanism {
                Mechanism::Uring => files_uring::run(transfer, count),
                _ => files_epoll::run(transfer, count),
            }
        }
        (Family::AsyncPummel, Mechanism::Epoll, _) => {
            async_pummel::run::<EpollSleep>(parameter, count, cores)
        }
        (Family::AsyncPummel, Mechanism::Uring, _) => {
            async_pummel::run::<UringSleep>(parameter, count, cores)
        }
        (Family::Async, Mechanism::Epoll, _) => async_turns::run::<EpollSleep>(parameter, count, cores),
        (Family::Async, Mechanism::Uring, FLOOR_MESSAGE) => {
            async_turns::run::<MessageSleep>(parameter, count, cores)
        }
        (Family::Async, Mechanism::Uring, _) => async_turns::run::<UringSleep>(parameter, count, cores),
        (Family::TimersInsertFire, Mechanism::Epoll, _) => timers::insert_and_fire::<EpollSleep>(count),
        (Family::TimersInsertFire, Mechanism::Uring, _) => timers::insert_and_fire::<UringSleep>(count),
        // Nothing waits, so there is nothing that the mechanism could change.
        (Family::TimersInsertCancel, _, _) => timers::insert_and_cancel(count),
    }
}
