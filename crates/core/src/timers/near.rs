//! Timers of the wheel's current tick and of earlier ones, in exact order.
//!
//! What comes out of the wheel is a tick at a time: it is sorted once, into the run. What is inserted after that goes to a heap.

use super::heap::Heap;
use super::wheel::Wheel;
use super::{Entry, Place, Places};
use std::cmp::Reverse;

#[derive(Default, Debug)]
pub(super) struct Near {
    /// The latest first, so that the next one is taken from the end. Where it is stale, it is skipped when its turn comes.
    run: Vec<Entry>,
    late: Heap,
    /// Numbers what comes in, from 0 when there was nothing.
    sequence: u32,
}

impl Near {
    /// Adds a timer in its order.
    pub(super) fn insert(&mut self, entry: Entry, places: &mut Places) {
        if self.run.is_empty() && self.late.len() == 0 {
            self.sequence = 0;
        } else if self.sequence == u32::MAX {
            self.merge(places);
        }
        self.late.push(entry.numbered(self.sequence), places);
        self.sequence += 1;
    }

    /// Adds a timer to the run, out of order: `sort` is needed after that. Only while nothing is late.
    pub(super) fn append(&mut self, entry: Entry) {
        self.sequence = self.run.len() as u32;
        self.run.push(entry.numbered(self.sequence));
        self.sequence += 1;
    }

    /// Sorts the run, none of which may be stale.
    pub(super) fn sort(&mut self, places: &mut Places) {
        self.run.sort_unstable_by_key(|entry| Reverse(entry.order()));
        for (position, entry) in (0..).zip(&self.run) {
            places.set(entry.index(), Place::Run(position));
        }
    }

    /// The next timer to expire.
    #[inline]
    pub(super) fn first(&mut self, places: &Places) -> Option<Entry> {
        while let Some(entry) = self.run.last()
            && !is_live(entry, self.run.len() - 1, places)
        {
            self.run.pop();
        }
        if self.run_is_next() { self.run.last() } else { self.late.first() }.copied()
    }

    /// Removes what `first` has just told.
    #[inline]
    pub(super) fn remove_first(&mut self, places: &mut Places) {
        if self.run_is_next() {
            self.run.pop();
        } else {
            self.late.remove(0, places);
        }
    }

    #[inline]
    fn run_is_next(&self) -> bool {
        match (self.run.last(), self.late.first()) {
            (Some(run), Some(late)) => run.order() < late.order(),
            (run, _) => run.is_some(),
        }
    }

    /// Removes the timer whose place is `Late(position)`.
    pub(super) fn remove_late(&mut self, position: u32, places: &mut Places) {
        self.late.remove(position, places);
    }

    /// Moves all that is late into the run, drops what is stale, and begins to number anew.
    fn merge(&mut self, places: &mut Places) {
        let mut positions = 0..;
        self.run.retain(|entry| positions.next().is_some_and(|position| is_live(entry, position, places)));
        self.late.drain_into(&mut self.run);
        self.sort(places);
        for (sequence, entry) in (0..).zip(self.run.iter_mut().rev()) {
            *entry = entry.numbered(sequence);
        }
        self.sequence = self.run.len() as u32;
    }

    /// Moves to the wheel what is due later by its time, after this was taken back.
    pub(super) fn give_back(&mut self, wheel: &mut Wheel, places: &mut Places) {
        self.merge(places);
        let later = self.run.partition_point(|entry| wheel.is_due_later(entry.deadline));
        for entry in self.run.drain(..later).rev() {
            wheel.push(entry, places);
        }
        self.sort(places);
    }

    /// How many were added by `insert` and are still there.
    #[inline]
    pub(super) fn late_len(&self) -> usize {
        self.late.len()
    }

    #[cfg(test)]
    pub(super) fn run_deadline(&self, position: u32) -> u64 {
        self.run[position as usize].deadline
    }

    #[cfg(test)]
    pub(super) fn late_deadline(&self, position: u32) -> u64 {
        self.late.get(position).deadline
    }
}

#[inline]
fn is_live(entry: &Entry, position: usize, places: &Places) -> bool {
    places.get(entry.index()) == Place::Run(position as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbering_begins_anew_before_it_overflows() {
        let mut near = Near::default();
        let mut places = Places(Vec::new());
        places.reserve(9);
        near.append(Entry::new(20, 0, 0));
        near.append(Entry::new(10, 0, 1));
        near.append(Entry::new(20, 0, 2));
        near.sort(&mut places);
        near.insert(Entry::new(20, 0, 3), &mut places);
        places.set(2, Place::Disarmed);
        near.sequence = u32::MAX - 1;
        for index in 4..9 {
            near.insert(Entry::new(10 + u64::from(index % 2) * 10, 0, index), &mut places);
        }
        assert_eq!(near.sequence, 8);
        let mut order = Vec::new();
        while let Some(entry) = near.first(&places) {
            near.remove_first(&mut places);
            order.push(entry.index());
        }
        assert_eq!(order, [1, 4, 6, 8, 0, 3, 5, 7]);
    }
}
