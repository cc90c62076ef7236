//! The loop's timers: which indices are armed, until when, and which of them comes next.
//!
//! Cache misses decide what a million timers cost, so this is a handful of flat arrays: 16 bytes per timer for its [`Entry`], and
//! 4 for its [`Place`], which says where the entry is. An armed timer is in one of three places:
//!
//! - the [`Wheel`], when it expires in a later tick (2^18 ns, about a quarter of a millisecond). It is appended to the bucket of its
//!   tick, or to a coarser one farther away.
//! - [`Near`], when it expires in the wheel's current tick or earlier. Here it is kept in exact order. All of these come before
//!   everything in the wheel.
//! - nowhere, when it never expires (`u64::MAX`): it is only counted.
//!
//! ```text
//!  insert ──┬─► wheel ──── open, when the bucket's time has come ───► near ───► pop_expired
//!           │     ▲    └── to finer buckets of the wheel ──┘           ▲
//!           │     └─────────────────── rewind ─────────────────────────┤
//!           └────────────── due in this tick already ──────────────────┘
//! ```
//!
//! Four things are worth knowing:
//!
//! - **An entry counts only while its timer's place points back at it.** So a removal forgets the place and need not find the
//!   entry: most timers are cancelled long before they expire, and these are never sorted, unlinked or even looked at. What is stale
//!   is dropped when its bucket is opened, or all at once by a sweep, before the wheel would grow because of it.
//! - **Equal deadlines expire in the order of insertion.** They always meet in the same bucket; buckets are queues; near numbers what
//!   enters it.
//! - **The wheel's time may run ahead of the clock.** The earliest deadline is told exactly, and once it was removed, a long bucket
//!   has to be broken up to find the next one. What is inserted before the wheel's time then goes to near, which costs more, but is as
//!   right.
//! - **It is taken back** ([`Timers::rewind`]) when near has got too many by that.

mod chunks;
mod heap;
mod near;
#[cfg(test)]
mod tests;
mod wheel;

use near::Near;
use wheel::Wheel;

/// The deadline that is never reached.
const NEVER: u64 = u64::MAX;

/// So many timers may be late in near, and a sixteenth of all besides, before the wheel's time is taken back to have them in the
/// wheel. To run ahead again may cost one move of every timer, which is at most sixteen for each that was late.
const LATE_LIMIT: usize = 1024;

/// So many stale entries may be in the wheel, and as many besides as timers are armed, before it is swept rather than grow.
const STALE_LIMIT: usize = 1024;

/// The armed timers, by an index that the caller chose. Times are nanoseconds of one monotonic clock.
#[derive(Debug)]
pub(crate) struct Timers {
    places: Places,
    wheel: Wheel,
    near: Near,
    /// How many timers are armed, and how many of these never expire.
    armed: usize,
    never: usize,
}

impl Timers {
    pub(crate) fn new(now: u64) -> Self {
        Self { places: Places(Vec::new()), wheel: Wheel::new(now), near: Near::default(), armed: 0, never: 0 }
    }

    /// Arms `index`, which must not be armed: a small number (memory grows with the largest), such as a slot in a table. A deadline
    /// that has passed is fine; `u64::MAX` never comes.
    pub(crate) fn insert(&mut self, index: u32, deadline: u64) {
        self.places.reserve(index);
        assert!(self.places.get(index) == Place::Disarmed, "timer {index} is armed already");
        self.armed += 1;
        let entry = Entry::new(deadline, 0, index);
        if deadline == NEVER {
            self.places.set(index, Place::Never);
            self.never += 1;
        } else if self.wheel.is_due_later(deadline) {
            if self.wheel.is_full() && self.wheel.stale() > STALE_LIMIT + self.armed {
                self.wheel.sweep(&mut self.places);
            }
            self.wheel.push(entry, &mut self.places);
        } else {
            self.near.insert(entry, &mut self.places);
        }
    }

    /// Disarms `index`; false when it was not armed.
    pub(crate) fn remove(&mut self, index: u32) -> bool {
        match self.places.get(index) {
            Place::Disarmed => return false,
            Place::Never => self.never -= 1,
            Place::Wheel(_) => self.wheel.note_stale(),
            Place::Run(_) => {}
            Place::Late(position) => self.near.remove_late(position, &mut self.places),
        }
        self.disarm(index);
        true
    }

    /// When `index` expires, if it is armed.
    #[cfg(test)]
    pub(crate) fn deadline(&self, index: u32) -> Option<u64> {
        match self.places.get(index) {
            Place::Disarmed => None,
            Place::Never => Some(NEVER),
            Place::Wheel(position) => Some(self.wheel.deadline(position)),
            Place::Run(position) => Some(self.near.run_deadline(position)),
            Place::Late(position) => Some(self.near.late_deadline(position)),
        }
    }

    /// The earliest deadline, exactly: `u64::MAX` when all that are armed never expire, `None` when none is armed.
    #[inline]
    pub(crate) fn next_deadline(&mut self) -> Option<u64> {
        if self.len() == 0 { None } else { self.earliest() }
    }

    fn earliest(&mut self) -> Option<u64> {
        loop {
            if let Some(entry) = self.near.first(&self.places) {
                return Some(entry.deadline);
            }
            let Some(bucket) = self.wheel.first() else { return (self.never > 0).then_some(NEVER) };
            if let Some(deadline) = self.wheel.earliest(bucket, &self.places) {
                return Some(deadline);
            }
            // That timer was removed, and the next one has to be looked for.
            if self.wheel.is_short(bucket) {
                self.wheel.refill(bucket, &mut self.places);
            } else {
                self.open(bucket);
            }
        }
    }

    /// Disarms the next timer whose deadline is not after `now`: the earliest, and of equal ones the first inserted. `now` must not be
    /// less than it ever was.
    pub(crate) fn pop_expired(&mut self, now: u64) -> Option<u32> {
        if self.near.late_len() > LATE_LIMIT + self.armed / 16 && self.wheel.is_ahead_of(now) {
            self.rewind(now);
        }
        loop {
            if let Some(entry) = self.near.first(&self.places) {
                if entry.deadline > now {
                    return None;
                }
                self.near.remove_first(&mut self.places);
                self.disarm(entry.index());
                return Some(entry.index());
            }
            match self.wheel.first() {
                Some(bucket) if self.wheel.has_come(bucket, now) => self.open(bucket),
                _ => {
                    if self.armed == self.never && self.wheel.is_ahead_of(now) {
                        self.wheel.sweep(&mut self.places);
                    }
                    self.wheel.keep_up_with(now);
                    return None;
                }
            }
        }
    }

    /// How many timers are armed.
    pub(crate) fn len(&self) -> usize {
        self.armed
    }

    fn disarm(&mut self, index: u32) {
        self.places.set(index, Place::Disarmed);
        self.armed -= 1;
    }

    /// Moves the wheel's time on to `bucket`, the first of the wheel, and its timers to finer buckets or to near, which is empty.
    fn open(&mut self, bucket: usize) {
        let mut queue = self.wheel.take(bucket);
        self.wheel.advance_to(bucket);
        while let Some(entry) = self.wheel.pop(&mut queue, &self.places) {
            if self.wheel.is_due_later(entry.deadline) {
                self.wheel.push(entry, &mut self.places);
            } else {
                self.near.append(entry);
            }
        }
        self.near.sort(&mut self.places);
    }

    /// Moves the wheel's time back to `now`, and what near has of later ticks back into the wheel.
    fn rewind(&mut self, now: u64) {
        self.wheel.rewind(now, &mut self.places);
        self.near.give_back(&mut self.wheel, &mut self.places);
    }
}

/// One armed timer. Two words, so that it travels in registers.
#[derive(Clone, Copy, Default, Debug)]
struct Entry {
    deadline: u64,
    /// The sequence number in the upper half, the index in the lower.
    identity: u64,
}

impl Entry {
    fn new(deadline: u64, sequence: u32, index: u32) -> Self {
        Self { deadline, identity: u64::from(sequence) << 32 | u64::from(index) }
    }

    #[inline]
    fn index(&self) -> u32 {
        self.identity as u32
    }

    /// The same timer as the `sequence`th in near, where this tells equal deadlines apart.
    #[inline]
    fn numbered(self, sequence: u32) -> Self {
        Self::new(self.deadline, sequence, self.index())
    }

    /// By deadline, then by sequence, as one number: that compares faster than a pair.
    #[inline]
    fn order(&self) -> u128 {
        u128::from(self.deadline) << 64 | u128::from(self.identity)
    }
}

/// Where the entry of an index is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Disarmed,
    /// Without entry, as it never expires.
    Never,
    /// At this position of the wheel's chunks.
    Wheel(u32),
    /// At this position of near's sorted run.
    Run(u32),
    /// At this position of near's heap.
    Late(u32),
}

/// The place of each index, packed: two bits for the kind, the rest for the position.
#[derive(Debug)]
struct Places(Vec<u32>);

const POSITION_BITS: u32 = 30;
/// How many positions, and indices, there can be.
const POSITIONS: u32 = 1 << POSITION_BITS;
const DISARMED: u32 = u32::MAX;
const NEVER_EXPIRES: u32 = u32::MAX - 1;

impl Places {
    /// Makes room for `index`.
    #[inline]
    fn reserve(&mut self, index: u32) {
        if index as usize >= self.0.len() {
            assert!(index < POSITIONS, "timer index {index} is out of range");
            self.0.resize(index as usize + 1, DISARMED);
        }
    }

    #[inline]
    fn get(&self, index: u32) -> Place {
        let packed = self.0.get(index as usize).copied().unwrap_or(DISARMED);
        let position = packed % POSITIONS;
        match packed >> POSITION_BITS {
            0 => Place::Wheel(position),
            1 => Place::Run(position),
            2 => Place::Late(position),
            _ if packed == NEVER_EXPIRES => Place::Never,
            _ => Place::Disarmed,
        }
    }

    #[inline]
    fn set(&mut self, index: u32, place: Place) {
        self.0[index as usize] = match place {
            Place::Wheel(position) => position,
            Place::Run(position) => 1 << POSITION_BITS | position,
            Place::Late(position) => 2 << POSITION_BITS | position,
            Place::Never => NEVER_EXPIRES,
            Place::Disarmed => DISARMED,
        };
    }
}
