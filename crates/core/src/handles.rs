//! The table of handles, and the queue of each handle and direction.

use crate::Handle;
use crate::handle::{Name, Slot};
use crate::operation::Direction;

/// No completion.
pub(crate) const NONE: u32 = u32::MAX;

/// All handles of one loop.
#[derive(Debug)]
pub(crate) struct Handles {
    entries: Vec<Entry>,
    free: Vec<u32>,
    tag: u32,
}

/// One handle, or a free place for one. Aligned so that finding one is a shift.
#[derive(Debug)]
#[repr(align(32))]
pub(crate) struct Entry {
    /// That of the handle which is open here, or will be next; no handle has the last one, and a place that has come to
    /// it is never used again.
    generation: u32,
    pub(crate) state: HandleState,
    /// The completions that use it, first in first out by direction; only the heads are the backend's.
    pub(crate) queues: [Queue; 2],
    /// Where closing was asked for by a completion: that one, which gets the result.
    pub(crate) closer: u32,
    /// The first of the completions that use it beside those in the queues, in no order, linked both ways.
    pub(crate) unordered: u32,
    /// Whether operations on two handles use it as their second.
    pub(crate) has_seconds: bool,
    /// How many have left a queue and are still to be delivered.
    pub(crate) left: u16,
}

const _: () = assert!(size_of::<Entry>() == 32);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HandleState {
    Free,
    Open,
    /// Stale to its user, but something still uses the descriptor.
    Closing,
    /// The backend closes the descriptor: nobody asks it to do so again, should it panic.
    Leaving,
}

/// A list of completions, linked through their table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Queue {
    pub(crate) head: u32,
    pub(crate) tail: u32,
}

impl Queue {
    pub(crate) const EMPTY: Self = Self { head: NONE, tail: NONE };
}

impl Entry {
    #[inline(always)]
    pub(crate) fn queue(&mut self, direction: Direction) -> &mut Queue {
        &mut self.queues[direction as usize]
    }

    /// Whether no completion uses it.
    pub(crate) fn is_idle(&self) -> bool {
        self.queues == [Queue::EMPTY; 2] && self.unordered == NONE && !self.has_seconds && self.left == 0
    }
}

impl Handles {
    pub(crate) const fn new(tag: u32) -> Self {
        Self { entries: Vec::new(), free: Vec::new(), tag }
    }

    /// The loop's.
    pub(crate) const fn tag(&self) -> u32 {
        self.tag
    }

    /// A new handle.
    pub(crate) fn open(&mut self) -> Handle {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry {
                generation: 0,
                state: HandleState::Free,
                queues: [Queue::EMPTY; 2],
                closer: NONE,
                unordered: NONE,
                has_seconds: false,
                left: 0,
            });
            u32::try_from(self.entries.len() - 1).expect("fewer than 2^32 handles")
        });
        let entry = &mut self.entries[index as usize];
        entry.state = HandleState::Open;
        Handle { name: Name { index, generation: entry.generation, tag: self.tag } }
    }

    /// The entry of a handle that is open in this loop.
    #[inline(always)]
    pub(crate) fn get(&mut self, handle: Handle) -> Option<&mut Entry> {
        let name = handle.name;
        let entry = self.entries.get_mut(name.index as usize)?;
        (entry.generation == name.generation && self.tag == name.tag).then_some(entry)
    }

    /// Makes a handle that is open stale, while its place is still used.
    pub(crate) fn begin_to_close(&mut self, handle: Handle) -> Option<&mut Entry> {
        let entry = self.get(handle)?;
        entry.state = HandleState::Closing;
        entry.generation += 1;
        Some(entry)
    }

    /// The entry in a slot, whatever its state.
    #[inline(always)]
    pub(crate) fn slot(&mut self, slot: Slot) -> Option<&mut Entry> {
        self.entries.get_mut(slot.index())
    }

    /// The handle that is, or was last, in a slot.
    pub(crate) fn name(&self, slot: Slot) -> Handle {
        let generation = self.entries.get(slot.index()).map_or(0, |entry| {
            // A place that is closing has the generation of the next handle already.
            entry.generation - u32::from(matches!(entry.state, HandleState::Closing | HandleState::Leaving))
        });
        Handle { name: Name { index: slot.0, generation, tag: self.tag } }
    }

    /// Frees a place. One whose generations are spent retires (contract C7).
    pub(crate) fn release(&mut self, slot: Slot) {
        let Some(entry) = self.entries.get_mut(slot.index()) else { return };
        match std::mem::replace(&mut entry.state, HandleState::Free) {
            HandleState::Free => return,
            HandleState::Open => entry.generation += 1,
            HandleState::Closing | HandleState::Leaving => {}
        }
        entry.queues = [Queue::EMPTY; 2];
        (entry.closer, entry.unordered, entry.has_seconds, entry.left) = (NONE, NONE, false, 0);
        if entry.generation < u32::MAX {
            self.free.push(slot.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spent_generation_retires_its_place() {
        for closes in [false, true] {
            let mut handles = Handles::new(1);
            let first = handles.open();
            handles.entries[first.slot().index()].generation = u32::MAX - 1;
            let last = handles.name(first.slot());
            assert!(handles.get(last).is_some() && handles.get(first).is_none());
            if closes {
                assert!(handles.begin_to_close(last).is_some());
                assert_eq!(handles.name(last.slot()), last);
            }
            handles.release(last.slot());
            assert!(handles.get(last).is_none());
            assert_ne!(handles.open().slot(), last.slot(), "it is never used again");
        }
    }
}
