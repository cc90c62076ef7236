//! How much our programs may count, as data: what the gate asserts.

use crate::counts::{ALLOCATIONS, BYTES, EPOLL_CTL, INSTRUCTIONS, RESIDENT, SYSTEM_CALLS};
use crate::report::{Row, floor_of};
use crate::workload::{Family, Kind, Mechanism, OURS, OURS_MANY};

/// The most that a count may be.
#[derive(Debug, Clone, Copy)]
enum Most {
    /// This many.
    Count(f64),
    /// This many times the floor of the same run, and a little that is rounding where the floor is near zero.
    Floor { times: f64, plus: f64 },
    /// This many times what the same program's count at a smaller parameter comes to if it grows as the floor's does. Nothing
    /// is said where that was not counted too.
    Growth { from: u32, times: f64 },
}

/// One limit, for each backend.
#[derive(Debug)]
struct Limit {
    family: Family,
    /// Every one of the family's if there is none.
    parameter: Option<u32>,
    /// Every one of ours if there is none.
    program: Option<&'static str>,
    unit: &'static str,
    most: Most,
    /// Where a program's count on a mechanism is over `most` today, and the issue that is to change that is open: what it is
    /// held to meanwhile. Once it is within `most`, the entry is an error.
    held: &'static [(&'static str, Mechanism, Most)],
}

const fn limit(family: Family, unit: &'static str, most: Most) -> Limit {
    Limit { family, parameter: None, program: None, unit, most, held: &[] }
}

const fn times_the_floor(times: f64) -> Most {
    Most::Floor { times, plus: 0.0 }
}

/// As many system calls as the floor makes, and one in a hundred.
const BATCHED_LIKE_THE_FLOOR: Most = Most::Floor { times: 1.01, plus: 0.001 };

/// From 64 connections on, and one in fifty is how exactly it can be told: the first turns, in which tables grow, are a part of
/// few round trips for each.
const GROWS_LIKE_THE_FLOOR: Most = Most::Growth { from: 64, times: 1.02 };

/// No operation allocates. But where threads do it, how far a table has to grow depends on how many come back at once: once
/// in some runs, in the longer one of two.
const A_TABLE_GROWS: Most = Most::Count(0.001);

/// One handle is registered once and taken out once, so steady use changes nothing; nor does it allocate. A wake costs
/// its notifier a write and its receiver a wait, never more. What an armed timer takes includes its callback.
static LIMITS: &[Limit] = &[
    Limit {
        family: Family::TcpPingPong,
        parameter: Some(64),
        program: None,
        unit: INSTRUCTIONS,
        most: times_the_floor(3.0),
        held: &[
            (OURS, Mechanism::Epoll, times_the_floor(14.75)),
            (OURS, Mechanism::Uring, times_the_floor(6.8)),
            (OURS_MANY, Mechanism::Epoll, times_the_floor(17.75)),
            (OURS_MANY, Mechanism::Uring, times_the_floor(6.6)),
        ],
    },
    // What one costs may not grow with how many there are.
    Limit { parameter: Some(1000), ..limit(Family::TcpPingPong, INSTRUCTIONS, GROWS_LIKE_THE_FLOOR) },
    Limit { parameter: Some(9000), ..limit(Family::TcpPingPong, INSTRUCTIONS, GROWS_LIKE_THE_FLOOR) },
    limit(Family::TcpPingPong, SYSTEM_CALLS, BATCHED_LIKE_THE_FLOOR),
    limit(Family::TcpPingPong, EPOLL_CTL, Most::Count(0.0)),
    limit(Family::TcpPingPong, ALLOCATIONS, Most::Count(0.0)),
    // On epoll each receive asks whether more has come, of which neither an edge nor a datagram says anything; the floor
    // knows that nothing has.
    limit(Family::UdpPingPong, SYSTEM_CALLS, Most::Floor { times: 1.5, plus: 0.001 }),
    limit(Family::UdpPingPong, EPOLL_CTL, Most::Count(0.0)),
    limit(Family::UdpPingPong, ALLOCATIONS, Most::Count(0.0)),
    limit(Family::UdpPummel, INSTRUCTIONS, times_the_floor(11.3)),
    // With io_uring one receive of a socket is the kernel's at a time, whatever is queued behind it: what the order of
    // outcomes costs, which the floor does not keep. So a turn brings one datagram a pair. On epoll a receive finds nothing
    // once for as many datagrams as are in flight, 16 of each pair.
    Limit {
        parameter: Some(64),
        ..limit(Family::UdpPummel, SYSTEM_CALLS, Most::Floor { times: 1.01, plus: 1.0 / 14.0 })
    },
    limit(Family::UdpPummel, EPOLL_CTL, Most::Count(0.0)),
    limit(Family::UdpPummel, ALLOCATIONS, Most::Count(0.0)),
    limit(Family::TcpThroughput, EPOLL_CTL, Most::Count(0.0)),
    limit(Family::TcpThroughput, ALLOCATIONS, Most::Count(0.0)),
    // Each of its two ends is registered once.
    limit(Family::AcceptChurn, EPOLL_CTL, Most::Count(2.0)),
    limit(Family::AcceptChurn, ALLOCATIONS, Most::Count(0.0)),
    // What a cached block costs. What goes to a thread or to the disk costs what their pace makes of it: the transfer itself,
    // and at the worst a call to a thread and one back.
    limit(Family::FileRead, INSTRUCTIONS, times_the_floor(14.0)),
    limit(Family::FileRead, SYSTEM_CALLS, BATCHED_LIKE_THE_FLOOR),
    limit(Family::FileRead, EPOLL_CTL, Most::Count(0.0)),
    limit(Family::FileRead, ALLOCATIONS, Most::Count(0.0)),
    limit(Family::FileReadDirect, SYSTEM_CALLS, Most::Count(4.0)),
    limit(Family::FileReadDirect, EPOLL_CTL, Most::Count(0.0)),
    limit(Family::FileReadDirect, ALLOCATIONS, A_TABLE_GROWS),
    limit(Family::FileWrite, SYSTEM_CALLS, Most::Count(4.0)),
    limit(Family::FileWrite, EPOLL_CTL, Most::Count(0.0)),
    limit(Family::FileWrite, ALLOCATIONS, A_TABLE_GROWS),
    limit(Family::FileWriteDirect, SYSTEM_CALLS, Most::Count(4.0)),
    limit(Family::FileWriteDirect, EPOLL_CTL, Most::Count(0.0)),
    limit(Family::FileWriteDirect, ALLOCATIONS, A_TABLE_GROWS),
    // Resident memory, since a table that has doubled is half unused, and touched by nobody. A plain receive's buffer of 64
    // bytes takes 80.
    limit(Family::Idle, EPOLL_CTL, Most::Count(1.0)),
    Limit { program: Some(OURS_MANY), ..limit(Family::Idle, RESIDENT, Most::Count(300.0)) },
    Limit { program: Some(OURS), ..limit(Family::Idle, RESIDENT, Most::Count(380.0)) },
    limit(Family::AsyncPummel, SYSTEM_CALLS, Most::Count(2.02)),
    limit(Family::AsyncPummel, EPOLL_CTL, Most::Count(0.0)),
    limit(Family::AsyncPummel, ALLOCATIONS, Most::Count(0.0)),
    limit(Family::Async, SYSTEM_CALLS, Most::Count(4.04)),
    limit(Family::Async, EPOLL_CTL, Most::Count(0.0)),
    limit(Family::Async, ALLOCATIONS, Most::Count(0.0)),
    limit(Family::TimersInsertFire, EPOLL_CTL, Most::Count(0.0)),
    limit(Family::TimersInsertFire, BYTES, Most::Count(128.0)),
    limit(Family::TimersInsertCancel, EPOLL_CTL, Most::Count(0.0)),
    limit(Family::TimersInsertCancel, BYTES, Most::Count(128.0)),
];

/// How a count compares with its limit, where there is something to be said of that.
#[derive(Debug, PartialEq)]
pub(crate) enum Finding {
    /// It is over the limit, and nobody has said that it may be; or may be no more.
    Broken(String),
    /// It is over the limit, and where it is held meanwhile.
    Held(String),
}

/// What there is to say of these counts.
pub(crate) fn findings(rows: &[Row]) -> Vec<Finding> {
    let ours = rows.iter().filter(|row| row.program.kind == Kind::Ours);
    ours.flat_map(|row| {
        let limits = LIMITS.iter().filter(|limit| limit.applies_to(row));
        limits.filter_map(|limit| limit.judge(row, rows))
    })
    .collect()
}

impl Most {
    /// As a number, beside the floor of the same run; none if that is missing.
    fn number(self, row: &Row, rows: &[Row]) -> Option<f64> {
        match self {
            Self::Count(most) => Some(most),
            Self::Floor { times, plus } => floor_of(row, rows).map(|floor| times * floor.median + plus),
            Self::Growth { from, times } => {
                let of = |other: &&Row| {
                    let is_smaller =
                        other.workload.family == row.workload.family && other.workload.parameter == from;
                    is_smaller && other.program == row.program && other.unit == row.unit
                };
                let Some(smaller) = rows.iter().find(of) else { return Some(f64::INFINITY) };
                let (floor, smaller_floor) = (floor_of(row, rows)?, floor_of(smaller, rows)?);
                Some(times * smaller.median * floor.median / smaller_floor.median)
            }
        }
    }
}

impl Limit {
    fn applies_to(&self, row: &Row) -> bool {
        row.workload.family == self.family
            && self.parameter.is_none_or(|parameter| parameter == row.workload.parameter)
            && self.program.is_none_or(|program| program == row.program.name)
            && row.unit == self.unit
    }

    fn judge(&self, row: &Row, rows: &[Row]) -> Option<Finding> {
        let mechanism = row.program.mechanism;
        let program = row.program.name;
        let what =
            format!("{program}, {} on {}: {:.3} {}", row.workload, mechanism.name(), row.median, self.unit);
        let Some(most) = self.most.number(row, rows) else {
            return Some(Finding::Broken(format!("{what}, and no floor was counted beside it")));
        };
        let held = self.held.iter().find(|(held, on, _)| *held == program && *on == mechanism);
        let Some((_, _, held)) = held else {
            let over = row.median > most;
            return over.then(|| Finding::Broken(format!("{what}, at most {most:.3} ({:?})", self.most)));
        };
        let held = held.number(row, rows).unwrap_or(most);
        Some(if row.median <= most {
            Finding::Broken(format!(
                "{what}, within the limit of {most:.3}: to be held to less is no more needed"
            ))
        } else if row.median <= held {
            Finding::Held(format!("{what}, must be {most:.3}, held to {held:.3}"))
        } else {
            Finding::Broken(format!("{what}, held to {held:.3}, must be {most:.3}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{FLOOR, Program, Workload};

    fn row(kind: Kind, parameter: u32, unit: &'static str, count: f64) -> Row {
        let workload = Workload { family: Family::TcpPingPong, parameter };
        let name = if kind == Kind::Floor { FLOOR } else { "proactor" };
        let program = Program { name, mechanism: Mechanism::Epoll, kind };
        Row::of(workload, program, 1, unit, &[count])
    }

    /// Only what makes the gate red.
    fn broken(rows: &[Row]) -> Vec<String> {
        let broken = |finding| match finding {
            Finding::Broken(broken) => Some(broken),
            Finding::Held(_) => None,
        };
        findings(rows).into_iter().filter_map(broken).collect()
    }

    #[test]
    fn a_ratio_is_taken_to_the_floor_of_the_same_workload() {
        let floors = [row(Kind::Floor, 64, SYSTEM_CALLS, 4.0), row(Kind::Floor, 1, SYSTEM_CALLS, 900.0)];
        let with = |ours: Row| [&floors[..], &[ours]].concat();
        assert!(broken(&with(row(Kind::Ours, 64, SYSTEM_CALLS, 4.04))).is_empty());
        let over = broken(&with(row(Kind::Ours, 64, SYSTEM_CALLS, 4.05)));
        assert_eq!(over.len(), 1);
        assert!(over[0].contains("tcp-ping-pong-64 on epoll: 4.050"), "{over:?}");
    }

    #[test]
    fn what_is_held_may_neither_grow_nor_stay_when_it_is_not_needed() {
        let floor = row(Kind::Floor, 64, INSTRUCTIONS, 100.0);
        let with = |count: f64| findings(&[floor.clone(), row(Kind::Ours, 64, INSTRUCTIONS, count)]);
        let held = LIMITS[0].held.iter().find(|(program, on, _)| (*program, *on) == (OURS, Mechanism::Epoll));
        let Some((_, _, Most::Floor { times, .. })) = held else { panic!("it is held to a ratio") };
        assert!(matches!(&with(301.0)[..], [Finding::Held(_)]));
        assert!(matches!(&with(100.0 * times)[..], [Finding::Held(_)]));
        assert!(matches!(&with(100.0 * times + 1.0)[..], [Finding::Broken(_)]));
        assert!(matches!(&with(300.0)[..], [Finding::Broken(_)]));
    }

    #[test]
    fn a_single_allocation_or_registration_is_over_the_limit() {
        for unit in [ALLOCATIONS, EPOLL_CTL] {
            assert!(broken(&[row(Kind::Ours, 1, unit, 0.0)]).is_empty());
            assert_eq!(broken(&[row(Kind::Ours, 1, unit, 0.000_01)]).len(), 1);
        }
    }

    #[test]
    fn growth_is_held_against_that_of_the_floor() {
        let few = [row(Kind::Floor, 64, INSTRUCTIONS, 100.0), row(Kind::Ours, 64, INSTRUCTIONS, 250.0)];
        let with = |floor: f64, ours: f64| {
            let many =
                [row(Kind::Floor, 9000, INSTRUCTIONS, floor), row(Kind::Ours, 9000, INSTRUCTIONS, ours)];
            broken(&[&few[..], &many[..]].concat()).iter().filter(|broken| broken.contains("9000")).count()
        };
        assert_eq!((with(100.0, 254.0), with(100.0, 256.0)), (0, 1));
        assert_eq!((with(120.0, 305.0), with(120.0, 307.0)), (0, 1));
        assert!(broken(&[row(Kind::Ours, 9000, INSTRUCTIONS, 900.0)]).is_empty(), "of 64 nothing is known");
    }

    #[test]
    fn a_ratio_without_its_floor_is_no_success() {
        assert_eq!(broken(&[row(Kind::Ours, 64, SYSTEM_CALLS, 0.0)]).len(), 1);
    }

    #[test]
    fn floors_are_not_judged() {
        assert!(broken(&[row(Kind::Floor, 64, ALLOCATIONS, 5.0)]).is_empty());
    }
}
