//! The second handle of operations that use two: the first gives them their order, the second they use beside whatever else
//! does (contract H1), unless they [have their turn](super::tickets) there as well.
//!
//! A completion has links for one list, that of its first handle. Of those few that use a second one, a list by slot is
//! kept here; a handle knows whether it is in one, and is not closed before that is empty. Such an operation has a place of
//! its own while the backend has it, so that it is told apart where an outcome is looked at more closely in any case.

use super::Driver;
use crate::Error;
use crate::backend::Backend;
use crate::handle::{Handle, Slot};
use crate::handles::NONE;
use crate::operation::Submission;
use crate::records::{self, Find, Spot};
use crate::state::Phase;

/// Which completions use which handle as their second.
#[derive(Default, Debug)]
pub(super) struct Seconds {
    /// By completion.
    links: Vec<Link>,
    /// The first of each slot's list.
    heads: Vec<u32>,
}

/// A completion's place in the list of its second handle.
#[derive(Clone, Copy, Debug)]
struct Link {
    /// No slot where it is in none.
    slot: Slot,
    previous: u32,
    next: u32,
}

impl Link {
    const NONE: Self = Self { slot: Slot(NONE), previous: NONE, next: NONE };
}

impl Seconds {
    fn insert(&mut self, index: u32, slot: Slot) {
        let (place, index_of_slot) = (index as usize, slot.index());
        if self.links.len() <= place {
            self.links.resize(place + 1, Link::NONE);
        }
        if self.heads.len() <= index_of_slot {
            self.heads.resize(index_of_slot + 1, NONE);
        }
        let next = std::mem::replace(&mut self.heads[index_of_slot], index);
        self.links[place] = Link { slot, previous: NONE, next };
        if next != NONE {
            self.links[next as usize].previous = index;
        }
    }

    /// Takes a completion out of the list that it is in, if it is in one: of which slot, and whether that is empty then.
    fn remove(&mut self, index: u32) -> Option<(Slot, bool)> {
        let link = self.links.get_mut(index as usize).filter(|link| link.slot.0 != NONE)?;
        let Link { slot, previous, next } = std::mem::replace(link, Link::NONE);
        if next != NONE {
            self.links[next as usize].previous = previous;
        }
        if previous != NONE {
            self.links[previous as usize].next = next;
        } else {
            self.heads[slot.index()] = next;
        }
        Some((slot, self.heads[slot.index()] == NONE))
    }

    /// Those in the list of a slot.
    fn list(&self, slot: Slot) -> Vec<u32> {
        let head = self.heads.get(slot.index()).copied().filter(|&head| head != NONE);
        let next = |&index: &u32| Some(self.links[index as usize].next).filter(|&next| next != NONE);
        std::iter::successors(head, next).collect()
    }

    fn uses(&self, index: u32, slot: Slot) -> bool {
        self.links.get(index as usize).is_some_and(|link| link.slot == slot)
    }
}

impl<B: Backend> Driver<B> {
    /// Queues an operation on two handles: that of its target, and a second one. Returns its index and its generation.
    #[cold]
    pub(super) fn enqueue_on_two<O: Submission>(
        &mut self,
        operation: O,
        second: Handle,
        find: impl Find,
    ) -> (u32, u32) {
        let Some(Spot { index, record, .. }) = find(&mut self.done.records) else { return (NONE, 0) };
        let name = (index, record.generation());
        if !self.is_full() && self.done.handles.get(second).is_none() {
            self.arm_idle(index, O::KIND, operation.undecided());
            self.fail(index, Error::StaleHandle);
            return name;
        }
        self.enqueue_operation(operation, |records| records.allocated(index));
        let completion = self.done.records.get(index);
        if completion.phase != Phase::Adding || completion.link == records::Link::None {
            // It has failed.
            return name;
        }
        if let Some(entry) = self.done.handles.get(second) {
            entry.has_seconds = true;
            self.seconds.insert(index, second.slot());
            if let Some(direction) = O::KIND.direction_on_second() {
                self.take_ticket(index, second.slot(), direction);
            }
        }
        name
    }

    /// The completion at `index` uses its second handle no longer, if it has one, which may be closed then.
    #[cold]
    pub(super) fn leave_second(&mut self, index: u32) {
        self.give_up_ticket(index);
        let Some((slot, is_last)) = self.seconds.remove(index) else { return };
        if is_last && let Some(entry) = self.done.handles.slot(slot) {
            entry.has_seconds = false;
            self.close_if_idle(slot);
        }
    }

    /// Asks everything to end that uses a handle which closes as its second.
    #[cold]
    pub(super) fn end_seconds(&mut self, slot: Slot) {
        // One that ends may take others with it, so each is looked at when it has its turn.
        for index in self.seconds.list(slot) {
            if self.seconds.uses(index, slot) {
                self.cancel_at(index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_has_a_list_of_its_own() {
        let mut seconds = Seconds::default();
        for (index, slot) in [(0, 5), (3, 5), (1, 0), (7, 5)] {
            seconds.insert(index, Slot(slot));
        }
        assert_eq!(
            (seconds.list(Slot(5)), seconds.list(Slot(0)), seconds.list(Slot(9))),
            (vec![7, 3, 0], vec![1], vec![])
        );
        assert_eq!(seconds.remove(3), Some((Slot(5), false)));
        assert_eq!((seconds.remove(3), seconds.remove(100)), (None, None));
        assert!(seconds.uses(7, Slot(5)) && !seconds.uses(3, Slot(5)) && !seconds.uses(7, Slot(0)));
        assert_eq!(seconds.remove(7), Some((Slot(5), false)));
        assert_eq!(seconds.list(Slot(5)), [0]);
        assert_eq!((seconds.remove(0), seconds.remove(1)), (Some((Slot(5), true)), Some((Slot(0), true))));
        seconds.insert(3, Slot(5));
        assert_eq!(seconds.list(Slot(5)), [3]);
    }
}
