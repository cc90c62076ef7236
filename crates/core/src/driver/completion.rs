//! The table of completions.

use crate::handle::{Key, Name, Slot};
use crate::handles::NONE;
use crate::operation::{Direction, Due, Kind};
use crate::state::Phase;
use crate::{Time, backend::Token};
use std::time::Duration;

/// Marks an entry in the list of what is to be started as a timer's completion. The others are tokens, of cells.
pub(super) const TIMER: u32 = 1 << 31;

/// One submitted operation and its state, or a free place for one. Aligned so that finding one is a shift.
#[derive(Debug)]
#[repr(align(32))]
pub(super) struct Completion {
    /// That of the keys which name it.
    generation: u32,
    /// The cell that its operation is in. A timer has one only once its outcome is queued.
    pub(super) cell: u32,
    /// The next of its handle's queue, or of the free places.
    pub(super) next: u32,
    /// The one before it in its handle's queue.
    pub(super) previous: u32,
    /// The handle that it uses.
    pub(super) slot: Slot,
    pub(super) phase: Phase,
    pub(super) place: Place,
    pub(super) kind: Kind,
    pub(super) direction: Direction,
    /// Whether it is in its handle's queue.
    pub(super) linked: bool,
    /// Whether that is no queue, but the list of those that use the handle in no order.
    pub(super) unordered: bool,
    pub(super) veto: Veto,
    /// Whether its outcome is that it was one too many.
    pub(super) is_refused: bool,
    background: bool,
    /// Of a timer that is to be armed, whether it is due so much after that.
    is_relative: bool,
    /// How its deadline stands. Means something only where its cell's owner is marked, or its place is one of `Bounded` and
    /// `Delayed`.
    pub(super) bound: Bound,
}

const _: () = assert!(size_of::<Completion>() <= 32);

/// What a completion that has not ended waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// The list of what the next turn starts.
    Starting,
    /// The queue of its handle, where others go before it.
    Waiting,
    /// The timers, until its delay is over.
    Delayed,
    /// The timers, until its delay is over and it may be told that it has failed.
    HeldBack,
    /// A notifier.
    Notifier,
    /// The timers.
    Timers,
    /// The timers, or to be put there by the next turn: a timer that has a deadline.
    Bounded,
    /// The backend, or the pool that it has handed it to.
    Backend,
    /// The pool.
    Pool,
    /// The last use of its handle to end, so that it can be closed.
    Closer,
    /// Nothing: its outcome is queued.
    Nothing,
}

/// What `cancel_all` has left to be said to a completion that arms again (contract X6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Veto {
    /// Nothing.
    None,
    /// That it is cancelled, once: it came too late for the outcome.
    Rearm,
    /// The same, unless the outcome says so: it was asked to end, and may still end with its real result.
    UnlessCanceled,
}

/// How the deadline of a completion stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Bound {
    /// There is none, or it has nothing to say any more.
    None,
    /// It is to be counted from the arming, which the next turn makes.
    After,
    /// It is a point in time, not looked at yet.
    At,
    /// It is in the timers.
    Armed,
    /// It has passed, and the operation was asked to end.
    Passed,
}

impl Completion {
    const fn free(next: u32) -> Self {
        Self {
            generation: 0,
            cell: NONE,
            next,
            previous: NONE,
            slot: Slot(NONE),
            phase: Phase::Dead,
            place: Place::Starting,
            kind: Kind::Nop,
            direction: Direction::Read,
            linked: false,
            unordered: false,
            veto: Veto::None,
            is_refused: false,
            background: false,
            is_relative: false,
            bound: Bound::None,
        }
    }

    /// The generation of the keys that name it.
    #[inline(always)]
    pub(super) const fn generation(&self) -> u32 {
        self.generation
    }

    /// Whether others of its handle and direction go before it.
    pub(super) const fn is_behind(&self) -> bool {
        self.linked && !self.unordered && self.previous != NONE
    }

    /// Begins another arming: of an operation of `kind`, in `cell`.
    #[inline(always)]
    pub(super) fn arm(&mut self, kind: Kind, cell: u32) {
        self.cell = cell;
        (self.next, self.previous) = (NONE, NONE);
        (self.phase, self.place, self.kind) = (Phase::Adding, Place::Starting, kind);
    }
}

impl Completion {
    /// When a timer that is to be armed is due. It is in no queue, so the links have room for that: a cell for each of a
    /// million timers would be most of what they take.
    pub(super) fn due(&self) -> Due {
        let nanoseconds = u64::from(self.next) << 32 | u64::from(self.previous);
        if self.is_relative {
            Due::After(Duration::from_nanos(nanoseconds))
        } else {
            Due::At(Time::from_nanos(nanoseconds))
        }
    }

    /// Sets it.
    #[inline]
    pub(super) fn set_due(&mut self, due: Due) {
        let (is_relative, nanoseconds) = match due {
            Due::After(duration) => (true, (Time::ZERO + duration).as_nanos()),
            Due::At(time) => (false, time.as_nanos()),
        };
        self.is_relative = is_relative;
        (self.next, self.previous) = ((nanoseconds >> 32) as u32, nanoseconds as u32);
    }
}

/// All completions of one loop.
#[derive(Debug)]
pub(super) struct Completions {
    entries: Vec<Completion>,
    /// The first of the free places: the one freed last, whose memory is in the cache.
    free: u32,
    active: u32,
    background: u32,
    tag: u32,
}

impl Completions {
    pub(super) const fn new(tag: u32) -> Self {
        Self { entries: Vec::new(), free: NONE, active: 0, background: 0, tag }
    }

    /// Takes a place.
    #[inline(always)]
    pub(super) fn allocate(&mut self) -> (u32, &mut Completion) {
        if self.free == NONE {
            self.grow();
        }
        let index = self.free;
        let entry = &mut self.entries[index as usize];
        self.free = entry.next;
        self.active += 1;
        (index, entry)
    }

    #[cold]
    fn grow(&mut self) {
        let index = u32::try_from(self.entries.len()).expect("fewer than 2^32 completions");
        assert!(index < TIMER, "fewer than 2^31 completions");
        self.entries.push(Completion::free(NONE));
        self.free = index;
    }

    /// Frees a place. One whose generations are spent retires (contract C7).
    #[inline(always)]
    pub(super) fn free(&mut self, index: u32) {
        let entry = &mut self.entries[index as usize];
        entry.phase = Phase::Dead;
        if entry.veto != Veto::None || entry.background {
            entry.veto = Veto::None;
            self.background -= u32::from(std::mem::take(&mut entry.background));
        }
        self.active -= 1;
        if entry.generation < u32::MAX {
            entry.generation += 1;
            entry.next = self.free;
            self.free = index;
        }
    }

    /// The completion at `index`, a place that was allocated.
    #[inline(always)]
    pub(super) fn get(&mut self, index: u32) -> &mut Completion {
        &mut self.entries[index as usize]
    }

    /// The same, where the index comes from a cell, which a test of a backend may have made.
    #[inline(always)]
    pub(super) fn owner(&mut self, index: u32) -> Option<&mut Completion> {
        self.entries.get_mut(index as usize)
    }

    pub(super) fn phase(&self, index: u32) -> Phase {
        self.entries[index as usize].phase
    }

    /// The place of the completion that `key` names, unless it is stale.
    pub(super) fn lookup(&self, key: Key) -> Option<u32> {
        let Name { index, generation, tag } = key.name;
        let entry = self.entries.get(index as usize)?;
        let fits = tag == self.tag && entry.generation == generation && entry.phase != Phase::Dead;
        fits.then_some(index)
    }

    #[inline(always)]
    pub(super) fn key(&self, index: u32) -> Key {
        let generation = self.entries[index as usize].generation;
        Key { name: Name { index, generation, tag: self.tag } }
    }

    #[inline(always)]
    pub(super) const fn tag(&self) -> u32 {
        self.tag
    }

    /// The completion of a timer that is to be armed, by its entry in the list of those, unless it was taken back.
    pub(super) fn timer(&mut self, token: Token) -> Option<(u32, &mut Completion)> {
        let index = token.index & !TIMER;
        let entry = self.entries.get_mut(index as usize).filter(|entry| entry.generation == token.arming)?;
        let waits =
            entry.phase == Phase::Adding && entry.place == Place::Starting && entry.kind == Kind::Timer;
        waits.then_some((index, entry))
    }

    /// Its entry in that list.
    pub(super) fn timer_token(&self, index: u32) -> Token {
        Token { index: index | TIMER, arming: self.entries[index as usize].generation }
    }

    /// Places in the table, free ones included.
    pub(super) fn len(&self) -> u32 {
        self.entries.len() as u32
    }

    pub(super) const fn active(&self) -> u32 {
        self.active
    }

    pub(super) const fn background(&self) -> u32 {
        self.background
    }

    pub(super) fn set_background(&mut self, index: u32) {
        let entry = self.get(index);
        if !std::mem::replace(&mut entry.background, true) {
            self.background += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_spent_generation_retires_its_place() {
        let mut completions = Completions::new(1);
        let (index, _) = completions.allocate();
        completions.get(index).phase = Phase::Adding;
        completions.get(index).generation = u32::MAX;
        let key = completions.key(index);
        completions.free(index);
        assert_eq!(completions.lookup(key), None);
        assert_ne!(completions.allocate().0, index);
    }

    proptest! {
        /// Keys name what they were made for, until it is freed and never after.
        #[test]
        fn keys_never_name_another(steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..200)) {
            let mut completions = Completions::new(7);
            let (mut live, mut stale): (Vec<Key>, Vec<Key>) = (Vec::new(), Vec::new());
            for (allocate, which) in steps {
                if allocate || live.is_empty() {
                    let (index, _) = completions.allocate();
                    completions.get(index).phase = Phase::Adding;
                    live.push(completions.key(index));
                } else {
                    let key = live.swap_remove(which.index(live.len()));
                    completions.free(completions.lookup(key).unwrap());
                    stale.push(key);
                }
                prop_assert_eq!(completions.active() as usize, live.len());
                prop_assert!(live.iter().all(|key| completions.lookup(*key) == Some(key.name.index)));
                prop_assert!(stale.iter().all(|key| completions.lookup(*key).is_none()));
            }
        }
    }
}
