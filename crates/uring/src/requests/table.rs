//! The table of requests: one for each slot and direction.

use std::ops::{Index, IndexMut};

use proactor_core::Slot;

use super::Request;

/// Where a request is kept: one for each slot and direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place(pub(super) u32);

impl Place {
    /// The largest number of slots, each of which has two places.
    pub(crate) const MAX_SLOTS: usize = 1 << 26;

    /// Marks what writes. The bits above it are zero: numbers that have some are of requests elsewhere.
    const WRITING: u32 = 1 << 29;

    #[inline(always)]
    pub(crate) const fn reading(slot: Slot) -> Self {
        Self(slot.0)
    }

    #[inline(always)]
    pub(crate) const fn writing(slot: Slot) -> Self {
        Self(slot.0 | Self::WRITING)
    }

    #[inline(always)]
    pub(crate) const fn slot(self) -> Slot {
        Slot(self.0 & !Self::WRITING)
    }

    pub(super) const fn is_reading(self) -> bool {
        self.0 & Self::WRITING == 0
    }

    /// Its index among those that read, or one beyond all of them.
    #[inline(always)]
    pub(super) const fn index_if_reading(self) -> usize {
        self.0 as usize
    }

    /// Its index among those that write, or one beyond all of them.
    #[inline(always)]
    pub(super) const fn index_if_writing(self) -> usize {
        (self.0 ^ Self::WRITING) as usize
    }
}

/// The requests that read, and those that write, by slot. What writes has no memory before it was used first: most
/// connections of many only wait to receive.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// As many as there are slots.
    reading: Vec<Request>,
    /// No more than that.
    writing: Vec<Request>,
}

impl Table {
    /// How many places have memory.
    pub(super) fn len(&self) -> usize {
        self.reading.len() + self.writing.len()
    }

    /// Makes places for this many slots.
    pub(super) fn grow(&mut self, slots: usize) {
        if self.reading.len() < slots {
            self.reading.resize_with(slots, || Request::IDLE);
        }
    }

    /// Makes sure that a place of a slot which there is has memory.
    #[cold]
    #[inline(never)]
    pub(super) fn make_room(&mut self, place: Place) {
        let index = place.index_if_writing();
        if (self.writing.len()..self.reading.len()).contains(&index) {
            self.writing.resize_with(index + 1, || Request::IDLE);
        }
    }

    #[inline(always)]
    pub(super) fn get(&self, place: Place) -> Option<&Request> {
        match self.reading.get(place.index_if_reading()) {
            Some(request) => Some(request),
            None => self.writing.get(place.index_if_writing()),
        }
    }

    /// Whether it reads is asked by whether there is such a place among those that read: a branch that goes as the next one
    /// does, on what kind of request it is.
    #[inline(always)]
    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut Request> {
        match self.reading.get_mut(place.index_if_reading()) {
            Some(request) => Some(request),
            None => self.writing.get_mut(place.index_if_writing()),
        }
    }

    /// The same, where it is known whether it reads.
    #[inline(always)]
    pub(super) fn get_mut_of(&mut self, place: Place, reads: bool) -> Option<&mut Request> {
        if reads {
            self.reading.get_mut(place.index_if_reading())
        } else {
            self.writing.get_mut(place.index_if_writing())
        }
    }

    /// All places that have memory.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> + use<> {
        let slots = |requests: &Vec<Request>| (0..requests.len() as u32).map(Slot);
        slots(&self.reading).map(Place::reading).chain(slots(&self.writing).map(Place::writing))
    }
}

impl Index<Place> for Table {
    type Output = Request;

    /// # Panics
    /// If the place has no memory.
    fn index(&self, place: Place) -> &Request {
        self.get(place).expect("the place has memory")
    }
}

impl IndexMut<Place> for Table {
    fn index_mut(&mut self, place: Place) -> &mut Request {
        self.get_mut(place).expect("the place has memory")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_writes_has_memory_once_it_is_used() {
        let mut table = Table::default();
        table.grow(100);
        let (reading, writing) = (Place::reading(Slot(99)), Place::writing(Slot(3)));
        assert!(table.get(reading).is_some() && table.get(writing).is_none());
        table.make_room(writing);
        assert!(table.get(writing).is_some() && table.get(Place::writing(Slot(4))).is_none());
        table.make_room(Place::writing(Slot(100)));
        table.make_room(reading);
        assert_eq!(table.places().count(), 100 + 4);
        assert!(table.places().all(|place| table.get(place).is_some()));
        assert!(table.get(Place::writing(Slot(100))).is_none(), "there is no such slot");
    }
}
