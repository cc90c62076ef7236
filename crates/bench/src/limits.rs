//! How much our programs may count, as data: what the gate asserts.

use crate::counts::{ALLOCATIONS, BYTES, EPOLL_CTL, INSTRUCTIONS, SYSTEM_CALLS};
use crate::report::{Row, floor_of};
use crate::workload::{Family, Kind};

/// The most that a count may be.
#[derive(Debug, Clone, Copy)]
enum Most {
    /// This many.
    Count(f64),
    /// This many times the floor of the same run, and a little that is rounding where the floor is near zero.
    Floor { times: f64, plus: f64 },
}

/// One limit, for each backend.
#[derive(Debug)]
struct Limit {
    family: Family,
    /// Every one of the family's if there is none.
    parameter: Option<u32>,
    unit: &'static str,
    most: Most,
}

const fn limit(family: Family, unit: &'static str, most: Most) -> Limit {
    Limit { family, parameter: None, unit, most }
}

/// As many system calls as the floor makes, and one in a hundred.
const BATCHED_LIKE_THE_FLOOR: Most = Most::Floor { times: 1.01, plus: 0.001 };

/// One handle is registered once and taken out once, so steady use changes nothing; nor does it allocate. A wake costs
/// its notifier a write and its receiver a wait, never more. What an armed timer takes includes its callback.
static LIMITS: &[Limit] = &[
    Limit {
        family: Family::TcpPingPong,
        parameter: Some(64),
        unit: INSTRUCTIONS,
        most: Most::Floor { times: 3.0, plus: 0.0 },
    },
    limit(Family::TcpPingPong, SYSTEM_CALLS, BATCHED_LIKE_THE_FLOOR),
    limit(Family::TcpPingPong, EPOLL_CTL, Most::Count(0.0)),
    limit(Family::TcpPingPong, ALLOCATIONS, Most::Count(0.0)),
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

/// What is over its limit, in words.
pub(crate) fn broken(rows: &[Row]) -> Vec<String> {
    let ours = rows.iter().filter(|row| row.program.kind == Kind::Ours);
    ours.flat_map(|row| {
        let limits = LIMITS.iter().filter(|limit| limit.applies_to(row));
        limits.filter_map(|limit| limit.judge(row, rows))
    })
    .collect()
}

impl Limit {
    fn applies_to(&self, row: &Row) -> bool {
        row.workload.family == self.family
            && self.parameter.is_none_or(|parameter| parameter == row.workload.parameter)
            && row.unit == self.unit
    }

    /// What is to be said of a row that is over the limit.
    fn judge(&self, row: &Row, rows: &[Row]) -> Option<String> {
        let what =
            format!("{} on {}: {:.3} {}", row.workload, row.program.mechanism.name(), row.median, self.unit);
        let most = match self.most {
            Most::Count(most) => most,
            Most::Floor { times, plus } => match floor_of(row, rows) {
                Some(floor) => times * floor.median + plus,
                None => return Some(format!("{what}, and no floor was counted beside it")),
            },
        };
        (row.median > most).then(|| format!("{what}, at most {most:.3} ({:?})", self.most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{FLOOR, Mechanism, Program, Workload};

    fn row(kind: Kind, parameter: u32, unit: &'static str, count: f64) -> Row {
        let workload = Workload { family: Family::TcpPingPong, parameter };
        let name = if kind == Kind::Floor { FLOOR } else { "proactor" };
        let program = Program { name, mechanism: Mechanism::Epoll, kind };
        Row::of(workload, program, 1, unit, &[count])
    }

    #[test]
    fn a_ratio_is_taken_to_the_floor_of_the_same_workload() {
        let floors = [row(Kind::Floor, 64, INSTRUCTIONS, 90.0), row(Kind::Floor, 1, INSTRUCTIONS, 900.0)];
        let with = |ours: Row| [&floors[..], &[ours]].concat();
        assert!(broken(&with(row(Kind::Ours, 64, INSTRUCTIONS, 270.0))).is_empty());
        let over = broken(&with(row(Kind::Ours, 64, INSTRUCTIONS, 271.0)));
        assert_eq!(over.len(), 1);
        assert!(over[0].contains("tcp-ping-pong-64 on epoll: 271.000"), "{over:?}");
    }

    #[test]
    fn a_single_allocation_or_registration_is_over_the_limit() {
        for unit in [ALLOCATIONS, EPOLL_CTL] {
            assert!(broken(&[row(Kind::Ours, 1, unit, 0.0)]).is_empty());
            assert_eq!(broken(&[row(Kind::Ours, 1, unit, 0.000_01)]).len(), 1);
        }
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
