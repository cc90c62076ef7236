//! Timers of later ticks, in buckets that are the coarser the farther away they are.
//!
//! Written in base 256, the tick of a timer agrees with the wheel's time down to some digit, where it is greater. The place of this
//! digit is the timer's level, and its value the bucket within the level: a bucket of level 0 is one tick, one of level 1 is 256
//! of them, and all of a level come before all of the next.

use super::chunks::{Chunks, Queue};
use super::{Entry, Place, Places};

/// A tick is 2^18 ns. A million timers in a second are 262 to a tick, which are sorted within the first-level cache.
const TICK_BITS: u32 = 18;
const DIGIT_BITS: u32 = 8;
const DIGITS: usize = 1 << DIGIT_BITS;
const LEVELS: usize = (u64::BITS - TICK_BITS).div_ceil(DIGIT_BITS) as usize;
const BUCKETS: usize = LEVELS * DIGITS;

#[inline]
fn tick(time: u64) -> u64 {
    time >> TICK_BITS
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    queue: Queue,
    /// The earliest deadline in the queue, and the position of the first entry that has it (which may be stale by now).
    earliest: u64,
    earliest_position: u32,
}

const EMPTY: Bucket = Bucket { queue: Queue::EMPTY, earliest: u64::MAX, earliest_position: 0 };

#[derive(Debug)]
pub(super) struct Wheel {
    /// The current tick: what expires with it, or before it, is not in the wheel.
    time: u64,
    buckets: Box<[Bucket]>,
    /// One bit per bucket, set where there are entries.
    occupied: [u64; BUCKETS / 64],
    chunks: Chunks,
    /// How many entries are stale, their timers being disarmed.
    stale: usize,
}

impl Wheel {
    pub(super) fn new(now: u64) -> Self {
        Self {
            time: tick(now),
            buckets: vec![EMPTY; BUCKETS].into(),
            occupied: [0; BUCKETS / 64],
            chunks: Chunks::new(),
            stale: 0,
        }
    }

    /// Whether `deadline` is in a later tick than the current one, so that it belongs here.
    #[inline]
    pub(super) fn is_due_later(&self, deadline: u64) -> bool {
        tick(deadline) > self.time
    }

    /// Adds a timer that is due later.
    #[inline]
    pub(super) fn push(&mut self, entry: Entry, places: &mut Places) {
        let number = self.bucket_of(tick(entry.deadline));
        let bucket = &mut self.buckets[number];
        if bucket.queue.is_empty() {
            self.occupied[number / 64] |= 1 << (number % 64);
        }
        let position = self.chunks.push(&mut bucket.queue, entry);
        places.set(entry.index(), Place::Wheel(position));
        if entry.deadline < bucket.earliest {
            bucket.earliest = entry.deadline;
            bucket.earliest_position = position;
        }
    }

    /// Empties a bucket; `pop` then gives what was in it.
    pub(super) fn take(&mut self, number: usize) -> Queue {
        self.occupied[number / 64] &= !(1 << (number % 64));
        std::mem::replace(&mut self.buckets[number], EMPTY).queue
    }

    /// The next entry of a bucket that was taken which is not stale.
    #[inline]
    pub(super) fn pop(&mut self, queue: &mut Queue, places: &Places) -> Option<Entry> {
        while let Some(position) = self.chunks.pop(queue) {
            let entry = self.chunks.get(position);
            if places.get(entry.index()) == Place::Wheel(position) {
                return Some(entry);
            }
            self.stale -= 1;
        }
        None
    }

    /// Puts everything in a bucket to where it belongs now (most often the same bucket), without what is stale.
    pub(super) fn refill(&mut self, number: usize, places: &mut Places) {
        let mut queue = self.take(number);
        while let Some(entry) = self.pop(&mut queue, places) {
            self.push(entry, places);
        }
    }

    /// The first bucket with entries (perhaps only stale ones).
    #[inline]
    pub(super) fn first(&self) -> Option<usize> {
        let word = self.occupied.iter().position(|word| *word != 0)?;
        Some(word * 64 + self.occupied[word].trailing_zeros() as usize)
    }

    /// The earliest deadline in a bucket with entries, unless that timer was disarmed.
    #[inline]
    pub(super) fn earliest(&self, number: usize, places: &Places) -> Option<u64> {
        let Bucket { earliest, earliest_position: position, .. } = self.buckets[number];
        let index = self.chunks.get(position).index();
        (places.get(index) == Place::Wheel(position)).then_some(earliest)
    }

    /// Whether a bucket has so few entries that they are cheaply looked through.
    pub(super) fn is_short(&self, number: usize) -> bool {
        self.buckets[number].queue.is_short()
    }

    /// Whether the clock has reached the first tick of a bucket.
    #[inline]
    pub(super) fn has_come(&self, number: usize, now: u64) -> bool {
        self.start_of(number) <= tick(now)
    }

    /// Moves the time on to the first tick of `number`, which was the first bucket and has been taken.
    pub(super) fn advance_to(&mut self, number: usize) {
        self.time = self.start_of(number);
    }

    /// Moves the time on to `now`, no bucket having come by then; or back to it, when there is no entry to mind.
    #[inline]
    pub(super) fn keep_up_with(&mut self, now: u64) {
        if tick(now) > self.time || (tick(now) < self.time && self.first().is_none()) {
            self.time = tick(now);
        }
    }

    #[inline]
    pub(super) fn is_ahead_of(&self, now: u64) -> bool {
        self.time > tick(now)
    }

    /// Moves the time, which is ahead, back to `now`.
    pub(super) fn rewind(&mut self, now: u64, places: &mut Places) {
        // All that agrees with the old time in the highest digit that changes is in lower levels, and now belongs to this one.
        let level = level_of(tick(now), self.time);
        self.time = tick(now);
        while let Some(number) = self.first().filter(|number| *number < level * DIGITS) {
            self.refill(number, places);
        }
    }

    /// Whether the wheel may have to grow for the next timer.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.chunks.is_full()
    }

    pub(super) fn stale(&self) -> usize {
        self.stale
    }

    /// Notes that a timer which is here was disarmed.
    #[inline]
    pub(super) fn note_stale(&mut self) {
        self.stale += 1;
    }

    /// Drops all that is stale.
    pub(super) fn sweep(&mut self, places: &mut Places) {
        for number in 0..BUCKETS {
            if !self.buckets[number].queue.is_empty() {
                self.refill(number, places);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn deadline(&self, position: u32) -> u64 {
        self.chunks.get(position).deadline
    }

    #[inline]
    fn bucket_of(&self, tick: u64) -> usize {
        let level = level_of(tick, self.time);
        level * DIGITS + (tick >> (level as u32 * DIGIT_BITS)) as usize % DIGITS
    }

    /// The first tick of a bucket: the digits of the time above the bucket's level, the bucket's own, zeros below.
    #[inline]
    fn start_of(&self, number: usize) -> u64 {
        let shift = (number / DIGITS) as u32 * DIGIT_BITS;
        let above = self.time >> shift >> DIGIT_BITS << DIGIT_BITS;
        (above | (number % DIGITS) as u64) << shift
    }

    #[cfg(test)]
    pub(super) fn chunks(&self) -> usize {
        self.chunks.len()
    }
}

/// The highest digit in which two ticks differ; they must.
#[inline]
fn level_of(tick: u64, other: u64) -> usize {
    ((tick ^ other).ilog2() / DIGIT_BITS) as usize
}
