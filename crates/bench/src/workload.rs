//! What can be run: the workloads with their parameters, and the programs that each has.

use std::fmt;
use std::str::FromStr;

use crate::blocks::Transfer;

/// Bytes in one block in bulk, and in one operation: what a proxy or a file server moves at a time.
pub(crate) const BLOCK_BYTES: usize = 64 * 1024;

/// What a program is made to do; [`Workload`] adds the parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// The parameter's number of threads notify one waiting completion in a tight loop.
    AsyncPummel,
    /// The parameter's number of pairs of loops, each on a thread of its own, wake each other strictly in turn.
    Async,
    /// Both ends of the parameter's number of connections on one loop, 64 bytes there and back.
    TcpPingPong,
    /// Both ends of the parameter's number of pairs of datagram sockets on one loop, 64 bytes there and back.
    UdpPingPong,
    /// Datagrams of 64 bytes in one direction, 16 at a time on their way in each of the parameter's number of pairs.
    UdpPummel,
    /// Blocks of 64 KiB over one connection, both ends on one loop.
    TcpThroughput,
    /// Connections are made, carry one byte and are closed, the parameter's number at a time.
    AcceptChurn,
    /// Blocks of 4 KiB of a file are read, 32 at a time, from the system's cache.
    FileRead,
    /// As [`FileRead`](Self::FileRead), past the cache.
    FileReadDirect,
    /// Blocks of 4 KiB of a file are written, 32 at a time, to the system's cache.
    FileWrite,
    /// As [`FileWrite`](Self::FileWrite), past the cache.
    FileWriteDirect,
    /// Connections on which nothing happens, each with a receive that waits: what one takes of memory.
    Idle,
    /// Timers spread over one second are armed, and all of them fire.
    TimersInsertFire,
    /// Timers spread over one second are armed, and all of them are cancelled.
    TimersInsertCancel,
}

impl Family {
    /// Every family, in the order in which reports list them.
    pub(crate) const ALL: [Family; 14] = [
        Family::TcpPingPong,
        Family::UdpPingPong,
        Family::UdpPummel,
        Family::TcpThroughput,
        Family::AcceptChurn,
        Family::FileRead,
        Family::FileReadDirect,
        Family::FileWrite,
        Family::FileWriteDirect,
        Family::Idle,
        Family::AsyncPummel,
        Family::Async,
        Family::TimersInsertFire,
        Family::TimersInsertCancel,
    ];

    /// The family's name on the command line and, with a parameter, in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Family::AsyncPummel => "async-pummel",
            Family::Async => "async",
            Family::TcpPingPong => "tcp-ping-pong",
            Family::UdpPingPong => "udp-ping-pong",
            Family::UdpPummel => "udp-pummel",
            Family::TcpThroughput => "tcp-throughput",
            Family::AcceptChurn => "accept-churn",
            Family::FileRead => "file-read",
            Family::FileReadDirect => "file-read-direct",
            Family::FileWrite => "file-write",
            Family::FileWriteDirect => "file-write-direct",
            Family::Idle => "idle",
            Family::TimersInsertFire => "timers-insert-fire",
            Family::TimersInsertCancel => "timers-insert-cancel",
        }
    }

    /// The parameters that are run; empty for a family that takes none.
    pub(crate) const fn parameters(self) -> &'static [u32] {
        match self {
            Family::AsyncPummel | Family::Async => &[1, 2, 4, 8],
            Family::TcpPingPong => &[1, 64, 1000, 9000],
            Family::AcceptChurn | Family::UdpPingPong | Family::UdpPummel => &[1, 64],
            Family::TcpThroughput
            | Family::FileRead
            | Family::FileReadDirect
            | Family::FileWrite
            | Family::FileWriteDirect
            | Family::Idle
            | Family::TimersInsertFire
            | Family::TimersInsertCancel => &[],
        }
    }

    /// What the family's throughput is counted in.
    pub(crate) const fn unit(self) -> &'static str {
        match self {
            Family::AsyncPummel => "callbacks/s",
            Family::Async | Family::TcpPingPong | Family::UdpPingPong => "round trips/s",
            Family::UdpPummel => "packets/s",
            Family::TcpThroughput => "MiB/s",
            Family::AcceptChurn | Family::Idle => "connections/s",
            Family::FileRead | Family::FileReadDirect | Family::FileWrite | Family::FileWriteDirect => {
                "blocks/s"
            }
            Family::TimersInsertFire | Family::TimersInsertCancel => "timers/s",
        }
    }

    /// How many of the unit one operation is.
    pub(crate) const fn units_per_operation(self) -> f64 {
        match self {
            Family::TcpThroughput => BLOCK_BYTES as f64 / (1 << 20) as f64,
            _ => 1.0,
        }
    }

    /// Numbers of cores on which the family says something: what has one thread gains nothing from a second core.
    pub(crate) const fn cores(self) -> &'static [u32] {
        match self {
            Family::AsyncPummel | Family::Async => &[1, 2],
            Family::TcpPingPong
            | Family::UdpPingPong
            | Family::UdpPummel
            | Family::TcpThroughput
            | Family::AcceptChurn
            | Family::FileRead
            | Family::FileReadDirect
            | Family::FileWrite
            | Family::FileWriteDirect
            | Family::Idle
            | Family::TimersInsertFire
            | Family::TimersInsertCancel => &[1],
        }
    }

    /// Whether the figure of interest is the processor time per operation instead of operations per second.
    pub(crate) const fn is_measured_in_processor_time(self) -> bool {
        matches!(self, Family::TimersInsertFire | Family::TimersInsertCancel)
    }

    /// Whether the number of operations may be chosen so that they take a certain time. A number of timers or of idle
    /// connections may not: how many there are is what decides what one costs.
    pub(crate) const fn is_calibrated(self) -> bool {
        !self.is_measured_in_processor_time() && !matches!(self, Family::Idle)
    }

    /// How many operations a run has that is not calibrated, and a full one at most.
    pub(crate) const fn nominal(self) -> u64 {
        match self {
            Family::Idle => 9_000,
            _ => 1_000_000,
        }
    }

    /// What the family does with a file, if anything.
    pub(crate) const fn transfer(self) -> Option<Transfer> {
        let (is_write, is_direct) = match self {
            Family::FileRead => (false, false),
            Family::FileReadDirect => (false, true),
            Family::FileWrite => (true, false),
            Family::FileWriteDirect => (true, true),
            _ => return None,
        };
        Some(Transfer { is_write, is_direct })
    }

    /// Every workload of the family.
    pub(crate) fn workloads(self) -> Vec<Workload> {
        if self.parameters().is_empty() {
            return vec![Workload { family: self, parameter: 1 }];
        }
        self.parameters().iter().map(|&parameter| Workload { family: self, parameter }).collect()
    }
}

/// One workload: a family and its parameter (1 where the family takes none).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Workload {
    pub(crate) family: Family,
    pub(crate) parameter: u32,
}

impl fmt::Display for Workload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.family.name())?;
        if self.family.parameters().is_empty() { Ok(()) } else { write!(formatter, "-{}", self.parameter) }
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Family::ALL
            .into_iter()
            .flat_map(Family::workloads)
            .find(|workload| workload.to_string() == name)
            .ok_or_else(|| format!("unknown workload `{name}`; known are {}", known_names()))
    }
}

/// The workloads that `name` selects: one, a family, `timers` for both of its kind, `files` for all of theirs, or `all`.
///
/// # Errors
/// Says which names are known when `name` is none of them.
pub(crate) fn select(name: &str) -> Result<Vec<Workload>, String> {
    let families: Vec<Family> = match name {
        "all" => Family::ALL.to_vec(),
        "timers" => vec![Family::TimersInsertFire, Family::TimersInsertCancel],
        "files" => Family::ALL.into_iter().filter(|family| family.transfer().is_some()).collect(),
        _ => Family::ALL.into_iter().filter(|family| family.name() == name).collect(),
    };
    if families.is_empty() {
        return Ok(vec![name.parse()?]);
    }
    Ok(families.into_iter().flat_map(Family::workloads).collect())
}

/// Every name that [`select`] takes, for messages.
pub(crate) fn known_names() -> String {
    let mut names = ["all", "files", "timers"].map(str::to_owned).to_vec();
    for family in Family::ALL {
        let parameters: Vec<String> = family.parameters().iter().map(u32::to_string).collect();
        if parameters.is_empty() {
            names.push(family.name().to_owned());
        } else {
            names.push(format!("{}[-{}]", family.name(), parameters.join("|")));
        }
    }
    names.join(", ")
}

/// A mechanism of the operating system on which programs run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mechanism {
    Epoll,
    Uring,
    /// `poll_oneoff`, under a runtime.
    Wasi,
}

impl Mechanism {
    pub(crate) const ALL: [Mechanism; 3] = [Mechanism::Epoll, Mechanism::Uring, Mechanism::Wasi];

    /// The backend's name, as its crate gives it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Mechanism::Epoll => "epoll",
            Mechanism::Uring => "uring",
            Mechanism::Wasi => "wasi",
        }
    }
}

impl FromStr for Mechanism {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Mechanism::ALL.into_iter().find(|mechanism| mechanism.name() == name).ok_or_else(|| {
            let known: Vec<&str> = Mechanism::ALL.into_iter().map(Mechanism::name).collect();
            format!("unknown backend `{name}`; known are {}", known.join(", "))
        })
    }
}

/// What a program stands for in a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// This library.
    Ours,
    /// A loop by hand for exactly one workload, straight on the system calls.
    Floor,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Kind::Ours => "ours",
            Kind::Floor => "floor",
        }
    }
}

/// One implementation of the workloads of some families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// Unique together with the mechanism.
    pub(crate) name: &'static str,
    pub(crate) mechanism: Mechanism,
    pub(crate) kind: Kind,
}

impl Program {
    const fn ours(name: &'static str, mechanism: Mechanism) -> Self {
        Program { name, mechanism, kind: Kind::Ours }
    }

    const fn floor(name: &'static str, mechanism: Mechanism) -> Self {
        Program { name, mechanism, kind: Kind::Floor }
    }
}

/// This library, as a program would be written first.
pub(crate) const OURS: &str = "proactor";
/// This library with receives that go on, from a pool of buffers.
pub(crate) const OURS_MANY: &str = "proactor-many";
/// The plain floor of a mechanism, the one that ratios are taken to.
pub(crate) const FLOOR: &str = "floor";
/// The floor that receives by multishot into a ring of provided buffers.
pub(crate) const FLOOR_MULTISHOT: &str = "floor-multishot";
/// The floor that wakes by messages from ring to ring instead of by eventfd.
pub(crate) const FLOOR_MESSAGE: &str = "floor-msg-ring";

const EPOLL_FLOOR: Program = Program::floor(FLOOR, Mechanism::Epoll);
const URING_FLOOR: Program = Program::floor(FLOOR, Mechanism::Uring);
const URING_FLOOR_MULTISHOT: Program = Program::floor(FLOOR_MULTISHOT, Mechanism::Uring);
const URING_FLOOR_MESSAGE: Program = Program::floor(FLOOR_MESSAGE, Mechanism::Uring);

/// This library.
const EPOLL: Program = Program::ours(OURS, Mechanism::Epoll);
const URING: Program = Program::ours(OURS, Mechanism::Uring);
const EPOLL_MANY: Program = Program::ours(OURS_MANY, Mechanism::Epoll);
const URING_MANY: Program = Program::ours(OURS_MANY, Mechanism::Uring);
const WASI: Program = Program::ours(OURS, Mechanism::Wasi);
const WASI_FLOOR: Program = Program::floor(FLOOR, Mechanism::Wasi);

/// The programs that run `family`, those of one mechanism next to each other.
pub(crate) fn programs(family: Family) -> &'static [Program] {
    match family {
        Family::TcpPingPong => &[
            EPOLL,
            EPOLL_MANY,
            EPOLL_FLOOR,
            URING,
            URING_MANY,
            URING_FLOOR,
            URING_FLOOR_MULTISHOT,
            WASI,
            WASI_FLOOR,
        ],
        Family::FileRead | Family::FileWrite | Family::TimersInsertFire | Family::TimersInsertCancel => {
            &[EPOLL, EPOLL_FLOOR, URING, URING_FLOOR, WASI, WASI_FLOOR]
        }
        Family::Async => &[EPOLL, EPOLL_FLOOR, URING, URING_FLOOR, URING_FLOOR_MESSAGE],
        Family::Idle => &[EPOLL, EPOLL_MANY, EPOLL_FLOOR, URING, URING_MANY, URING_FLOOR],
        _ => &[EPOLL, EPOLL_FLOOR, URING, URING_FLOOR],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_is_found_by_its_name() {
        for workload in Family::ALL.into_iter().flat_map(Family::workloads) {
            assert_eq!(workload.to_string().parse(), Ok(workload));
            assert_eq!(select(&workload.to_string()), Ok(vec![workload]));
        }
    }

    #[test]
    fn a_family_selects_each_of_its_parameters() {
        assert_eq!(select("tcp-ping-pong").map(|selected| selected.len()), Ok(4));
        assert_eq!(select("timers").map(|selected| selected.len()), Ok(2));
        assert_eq!(select("files").map(|selected| selected.len()), Ok(4));
        assert_eq!(select("all").map(|selected| selected.len()), Ok(26));
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        for name in ["", "tcp", "tcp-ping-pong-65", "async-3", "timers-1"] {
            let Err(message) = select(name) else { panic!("`{name}` was taken") };
            assert!(message.contains("tcp-ping-pong[-1|64|1000|9000]"), "{message}");
        }
    }

    #[test]
    fn programs_of_a_mechanism_have_names_of_their_own() {
        for family in Family::ALL {
            let programs = programs(family);
            for (index, program) in programs.iter().enumerate() {
                assert!(!programs[..index].contains(program), "{program:?} is listed twice");
            }
        }
    }
}
