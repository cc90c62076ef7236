use super::Timers;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::ops::Range;

const TICK: u64 = 1 << 18;
const SECOND: u64 = 1_000_000_000;
const YEAR: u64 = 365 * 24 * 3600 * SECOND;
const NEVER: u64 = u64::MAX;

/// Timers beside the obvious model of them; each call is made on both, and compared.
struct Checked {
    timers: Timers,
    /// Deadline, order of insertion, index.
    model: BTreeSet<(u64, u64, u32)>,
    /// Deadline and order of insertion of each index that is armed.
    armed: Vec<Option<(u64, u64)>>,
    inserted: u64,
    now: u64,
}

impl Checked {
    fn new(now: u64, indices: u32) -> Self {
        let armed = vec![None; indices as usize];
        Self { timers: Timers::new(now), model: BTreeSet::new(), armed, inserted: 0, now }
    }

    fn insert(&mut self, index: u32, deadline: u64) {
        self.remove(index);
        self.timers.insert(index, deadline);
        self.model.insert((deadline, self.inserted, index));
        self.armed[index as usize] = Some((deadline, self.inserted));
        self.inserted += 1;
    }

    fn remove(&mut self, index: u32) {
        let armed = self.armed[index as usize].take();
        if let Some((deadline, order)) = armed {
            self.model.remove(&(deadline, order, index));
        }
        assert_eq!(self.timers.deadline(index), armed.map(|(deadline, _)| deadline));
        assert_eq!(self.timers.remove(index), armed.is_some());
        assert_eq!(self.timers.deadline(index), None);
    }

    fn earliest(&self) -> Option<(u64, u64, u32)> {
        self.model.first().copied()
    }

    fn check_next_deadline(&mut self) {
        assert_eq!(self.timers.next_deadline(), self.earliest().map(|(deadline, ..)| deadline));
        assert_eq!(self.timers.len(), self.model.len());
    }

    /// Takes one expired timer; false when there is none.
    fn pop(&mut self) -> bool {
        let now = self.now;
        let expected = self.earliest().filter(|(deadline, ..)| *deadline <= now && *deadline != NEVER);
        assert_eq!(self.timers.pop_expired(now), expected.map(|(.., index)| index));
        if let Some(expired) = expected {
            self.model.remove(&expired);
            self.armed[expired.2 as usize] = None;
            assert_eq!(self.timers.deadline(expired.2), None);
        }
        expected.is_some()
    }

    fn advance(&mut self, now: u64) {
        self.now = self.now.max(now);
        while self.pop() {}
    }

    fn check_all(&mut self) {
        for (index, armed) in (0..).zip(&self.armed) {
            assert_eq!(self.timers.deadline(index), armed.map(|(deadline, _)| deadline));
        }
        self.check_next_deadline();
    }

    /// Drains it, and checks that nothing is left behind.
    fn finish(mut self) {
        self.check_all();
        self.advance(NEVER);
        self.check_all();
        assert!(self.model.iter().all(|(deadline, ..)| *deadline == NEVER));
        assert_eq!(self.timers.wheel.first(), None);
        assert_eq!(self.timers.wheel.stale(), 0);
    }
}

/// A time near which something may change: relative to now, at a power of two, or absolute.
#[derive(Clone, Copy, Debug)]
enum When {
    Past(u64),
    Ahead {
        bits: u32,
        times: u64,
        nudge: i64,
    },
    /// On a grid ahead, where deadlines meet though they are inserted at different times.
    Grid {
        bits: u32,
        lines: u64,
    },
    At(u64),
}

impl When {
    fn resolve(self, now: u64) -> u64 {
        match self {
            When::Past(by) => now.saturating_sub(by),
            When::Ahead { bits, times, nudge } => {
                now.saturating_add(times << bits).saturating_add_signed(nudge)
            }
            When::Grid { bits, lines } => (now >> bits).saturating_add(lines).saturating_mul(1 << bits),
            When::At(time) => time,
        }
    }
}

fn when(bits: u32) -> impl Strategy<Value = When> {
    prop_oneof![
        1 => (0..2 * TICK).prop_map(When::Past),
        6 => (0..bits, 0..4u64, -2..3i64).prop_map(|(bits, times, nudge)| When::Ahead { bits, times, nudge }),
        4 => (10..bits, 1..4u64).prop_map(|(bits, lines)| When::Grid { bits, lines }),
        1 => prop_oneof![Just(0), Just(1), Just(NEVER - 1), Just(NEVER), any::<u64>()].prop_map(When::At),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Insert {
        index: u32,
        when: When,
    },
    /// Arms as many timers that are not armed, some of them equal, none in order.
    Burst {
        count: usize,
        when: When,
        stride: u64,
    },
    Remove {
        index: u32,
    },
    /// As when requests are answered in the order in which they were sent, long before they time out.
    RemoveEarliest {
        count: usize,
    },
    NextDeadline,
    Advance(When),
    /// As when the loop is stopped while timers are expired.
    Pop {
        count: usize,
    },
}

const INDICES: u32 = 4096;

fn step() -> impl Strategy<Value = Step> {
    let burst = |count: Range<usize>| {
        let stride = prop_oneof![Just(0), Just(1), (0..36u32).prop_map(|bits| 1 << bits)];
        (count, when(58), stride).prop_map(|(count, when, stride)| Step::Burst { count, when, stride })
    };
    prop_oneof![
        8 => (0..32u32, when(62)).prop_map(|(index, when)| Step::Insert { index, when }),
        4 => burst(1..60),
        1 => burst(1100..1500),
        4 => (0..64u32).prop_map(|index| Step::Remove { index }),
        3 => (1..80usize).prop_map(|count| Step::RemoveEarliest { count }),
        6 => Just(Step::NextDeadline),
        6 => when(40).prop_map(Step::Advance),
        2 => (1..40usize).prop_map(|count| Step::Pop { count }),
    ]
}

fn take(checked: &mut Checked, step: &Step) {
    let now = checked.now;
    match *step {
        Step::Insert { index, when } => checked.insert(index, when.resolve(now)),
        Step::Burst { count, when, stride } => {
            let first = when.resolve(now);
            let unarmed = (0..INDICES).filter(|index| checked.armed[*index as usize].is_none());
            for index in unarmed.take(count).collect::<Vec<_>>() {
                let lines = u64::from(index) * 37 % 251;
                checked.insert(index, first.saturating_add(lines.saturating_mul(stride)));
            }
        }
        Step::Remove { index } => checked.remove(index),
        Step::RemoveEarliest { count } => {
            for _ in 0..count {
                let Some((.., index)) = checked.earliest() else { break };
                checked.remove(index);
                checked.check_next_deadline();
            }
        }
        Step::NextDeadline => checked.check_next_deadline(),
        Step::Advance(When::At(NEVER)) => {}
        Step::Advance(when) => checked.advance(when.resolve(now)),
        Step::Pop { count } => (0..count).for_each(|_| _ = checked.pop()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn behaves_like_a_sorted_set(now in prop_oneof![Just(0), any::<u64>(), 0..YEAR], steps in vec(step(), 1..80)) {
        let mut checked = Checked::new(now, INDICES);
        for step in &steps {
            take(&mut checked, step);
        }
        checked.finish();
    }
}

/// A small generator, so that long tests need no source of randomness.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((u128::from(self.0) * u128::from(bound)) >> 64) as u64
    }
}

#[test]
fn empty() {
    let mut timers = Timers::new(5);
    assert_eq!(timers.next_deadline(), None);
    assert_eq!(timers.pop_expired(5), None);
    assert_eq!(timers.deadline(7), None);
    assert!(!timers.remove(7));
    assert_eq!(timers.len(), 0);
}

#[test]
fn never_early_and_never_late() {
    for deadline in [1, 2, TICK - 1, TICK, TICK + 1, 256 * TICK, 256 * TICK + 1, YEAR, NEVER - 1] {
        let mut timers = Timers::new(0);
        timers.insert(0, deadline);
        assert_eq!(timers.next_deadline(), Some(deadline));
        assert_eq!(timers.pop_expired(deadline - 1), None);
        assert_eq!(timers.next_deadline(), Some(deadline));
        assert_eq!(timers.pop_expired(deadline), Some(0));
        assert_eq!(timers.next_deadline(), None);
    }
}

#[test]
fn the_past_comes_first() {
    let now = 1000 * SECOND;
    let mut checked = Checked::new(now, 8);
    for (index, deadline) in (0..).zip([now + 1, now, 0, now - SECOND, 1, now - 1, 0]) {
        checked.insert(index, deadline);
    }
    checked.check_next_deadline();
    checked.advance(now);
    assert_eq!(checked.timers.len(), 1);
    checked.finish();
}

#[test]
fn the_maximum_never_comes() {
    let mut timers = Timers::new(0);
    timers.insert(3, NEVER);
    timers.insert(4, NEVER - 1);
    assert_eq!(timers.next_deadline(), Some(NEVER - 1));
    assert_eq!(timers.pop_expired(NEVER), Some(4));
    assert_eq!(timers.pop_expired(NEVER), None);
    assert_eq!((timers.next_deadline(), timers.len()), (Some(NEVER), 1));
    assert!(timers.remove(3));
    assert_eq!((timers.next_deadline(), timers.len()), (None, 0));
}

#[test]
#[should_panic(expected = "armed already")]
fn arming_twice_is_a_bug() {
    let mut timers = Timers::new(0);
    timers.insert(1, 5);
    timers.insert(1, 6);
}

/// Inserted far ahead, a level nearer, a tick before, in the very tick, and when it is due: all at the same deadline.
#[test]
fn equal_deadlines_expire_in_order_of_insertion_from_wherever_they_come() {
    let deadline = 3 * YEAR + 12345;
    let mut checked = Checked::new(0, 64);
    let mut index = 0;
    for before in [3 * YEAR, YEAR, 90 * SECOND, SECOND, 40_000_000, 3 * TICK, TICK, TICK / 2, 100, 1, 0] {
        checked.advance(deadline - before - 1);
        for _ in 0..3 {
            checked.insert(index, deadline);
            index += 1;
        }
    }
    checked.check_next_deadline();
    checked.advance(deadline);
    assert_eq!(checked.timers.len(), 0);
}

#[test]
fn a_jump_of_years_is_one_step() {
    let mut checked = Checked::new(0, 128);
    for bits in 0..64 {
        checked.insert(bits, 1 << bits);
        checked.insert(64 + bits, (1 << bits) - 1);
    }
    checked.advance(500 * YEAR);
    checked.insert(0, 500 * YEAR + 1);
    checked.finish();
}

#[test]
fn a_million_expire_in_order() {
    const MILLION: u32 = 1_000_000;
    let mut random = Random(7);
    let mut timers = Timers::new(SECOND);
    // Microseconds, so that many are equal.
    let deadlines: Vec<u64> = (0..MILLION).map(|_| SECOND + random.below(1_000_000) * 1000).collect();
    for (index, deadline) in (0..).zip(&deadlines) {
        timers.insert(index, *deadline);
    }
    let (mut now, mut previous, mut expired) = (SECOND, (0, 0), 0);
    while timers.len() > 0 {
        now += 1 + random.below(2_000_000);
        while let Some(index) = timers.pop_expired(now) {
            let deadline = deadlines[index as usize];
            assert!(deadline <= now && (deadline, index) > previous);
            previous = (deadline, index);
            expired += 1;
        }
        assert!(timers.next_deadline().is_none_or(|deadline| deadline > now));
    }
    assert_eq!(expired, MILLION);
}

#[test]
fn a_million_armed_and_cancelled_leave_no_growth() {
    const COUNT: u32 = 1_000_000;
    let mut random = Random(11);
    let mut timers = Timers::new(0);
    let mut order: Vec<u32> = (0..COUNT).collect();
    let mut chunks = 0;
    for round in 0..3 {
        for index in 0..COUNT {
            timers.insert(index, random.below(100 * SECOND));
        }
        for index in (1..order.len()).rev() {
            order.swap(index, random.below(index as u64 + 1) as usize);
        }
        assert!(order.iter().all(|index| timers.remove(*index)));
        assert_eq!((timers.len(), timers.next_deadline()), (0, None));
        if round == 0 {
            chunks = timers.wheel.chunks();
        }
    }
    // A bucket may have a chunk that is not full, and which buckets are in use differs by round.
    assert!(timers.wheel.chunks() < chunks + chunks / 10, "{chunks} chunks became {}", timers.wheel.chunks());
}

/// Nothing but insert and remove, so that no time passes and nothing is looked at.
#[test]
fn a_timer_that_is_reset_for_ever_leaves_no_growth() {
    for ahead in [0, TICK, SECOND, YEAR] {
        let mut timers = Timers::new(SECOND);
        timers.insert(1, SECOND);
        for time in 0..300_000 {
            timers.insert(0, SECOND + ahead + time * 1000);
            assert!(timers.remove(0));
        }
        assert!(timers.wheel.chunks() < 1000, "{} chunks", timers.wheel.chunks());
        assert!(timers.near.late_len() <= 1);
    }
}

#[test]
fn timers_armed_again_when_they_expire_leave_no_growth() {
    const COUNT: u32 = 50;
    let mut random = Random(13);
    let mut timers = Timers::new(0);
    (0..COUNT).for_each(|index| timers.insert(index, u64::from(index)));
    for _ in 0..50_000 {
        let now = timers.next_deadline().unwrap();
        while let Some(index) = timers.pop_expired(now) {
            timers.insert(index, now + 1 + random.below(SECOND));
        }
    }
    assert!(timers.wheel.chunks() <= COUNT as usize, "{} chunks", timers.wheel.chunks());
}

/// Where there are only a few, the next one is looked for without moving the wheel ahead.
#[test]
fn cancelling_one_of_a_few_far_timers_leaves_the_wheel_where_it_is() {
    let mut timers = Timers::new(0);
    (0..10).for_each(|index| timers.insert(index, YEAR + u64::from(index)));
    assert!(timers.remove(0));
    assert_eq!(timers.next_deadline(), Some(YEAR + 1));
    assert!(!timers.wheel.is_ahead_of(0));
}

/// Long time-outs that are cancelled in order make the wheel run ahead; short timers must not stay in the heap because of that.
#[test]
fn the_wheel_is_taken_back_when_many_are_late() {
    const LONG: u32 = 1000;
    let mut checked = Checked::new(0, 10_000);
    for index in 0..LONG {
        checked.insert(index, YEAR + u64::from(index));
    }
    checked.remove(0);
    checked.check_next_deadline();
    assert!(checked.timers.wheel.is_ahead_of(SECOND));
    for index in LONG..10_000 {
        // Every tenth of them as far as the long ones, and no shorter.
        let deadline = if index % 10 == 0 { YEAR + 5 } else { SECOND + u64::from(index % 777) * 100_000 };
        checked.insert(index, deadline);
    }
    assert!(checked.timers.near.late_len() > 2000);
    checked.advance(TICK);
    assert!(!checked.timers.wheel.is_ahead_of(TICK));
    assert_eq!(checked.timers.near.late_len(), 0);
    checked.check_all();
    checked.advance(SECOND + 3_000_000);
    for index in 0..100 {
        checked.insert(index, YEAR + 5);
    }
    checked.finish();
}

/// The wheel's time does not stay where cancelled timers took it.
#[test]
fn an_empty_wheel_follows_the_clock_back() {
    let mut timers = Timers::new(0);
    for index in 0..100 {
        timers.insert(index, YEAR);
    }
    assert!(timers.remove(0));
    assert_eq!(timers.next_deadline(), Some(YEAR));
    for index in 1..100 {
        assert!(timers.remove(index));
    }
    assert!(timers.wheel.is_ahead_of(SECOND));
    assert_eq!(timers.pop_expired(SECOND), None);
    assert!(!timers.wheel.is_ahead_of(SECOND));
}
