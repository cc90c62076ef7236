//! Polls: operations that only ask what a descriptor is ready for.
//!
//! A descriptor is registered for everything already, so a poll asks the system once when it starts (what became ready
//! before has no edge to come), and again after each edge. It waits beside the operations of the two directions, and
//! what these do goes on at the same edge.

use std::os::fd::BorrowedFd;

use proactor_core::{Done, Error, Outcome, Slot, Token};
use proactor_system as system;

use crate::Readiness;
use crate::poller::{Poller, Registration, Watch};
use crate::read::fail;

/// The end of a list.
const NONE: u32 = u32::MAX;

/// The polls that wait, by slot.
#[derive(Debug, Default)]
pub(crate) struct Polls {
    entries: Vec<Waiting>,
    /// The first free entry comes first.
    free: Vec<u32>,
    /// The first of each slot, as far as slots ever had one.
    heads: Vec<u32>,
    len: usize,
}

#[derive(Debug)]
struct Waiting {
    token: Token,
    next: u32,
}

impl Polls {
    #[inline(always)]
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn head(&self, slot: Slot) -> u32 {
        self.heads.get(slot.index()).copied().unwrap_or(NONE)
    }

    /// Whether any waits at a slot.
    pub(crate) fn uses(&self, slot: Slot) -> bool {
        self.head(slot) != NONE
    }

    fn add(&mut self, slot: Slot, token: Token) {
        if self.heads.len() <= slot.index() {
            self.heads.resize(slot.index() + 1, NONE);
        }
        let waiting = Waiting { token, next: self.heads[slot.index()] };
        let index = match self.free.pop() {
            Some(index) => {
                self.entries[index as usize] = waiting;
                index
            }
            None => {
                self.entries.push(waiting);
                self.entries.len() as u32 - 1
            }
        };
        self.heads[slot.index()] = index;
        self.len += 1;
    }

    /// Asks `stays` of each that waits at a slot, and takes out those that do not.
    fn retain(&mut self, slot: Slot, mut stays: impl FnMut(Token) -> bool) {
        let mut index = self.head(slot);
        let mut previous = NONE;
        while index != NONE {
            let Waiting { token, next } = self.entries[index as usize];
            if stays(token) {
                previous = index;
            } else {
                match previous {
                    NONE => self.heads[slot.index()] = next,
                    previous => self.entries[previous as usize].next = next,
                }
                self.free.push(index);
                self.len -= 1;
            }
            index = next;
        }
    }

    /// Takes out what was started as `token`. Returns whether it waited.
    fn remove(&mut self, slot: Slot, token: Token) -> bool {
        let before = self.len;
        self.retain(slot, |other| other != token);
        self.len < before
    }
}

/// Tells a poll what there is, if that is of interest to it. Returns whether it goes on waiting.
fn ask(descriptor: BorrowedFd<'_>, token: Token, done: &mut Done) -> bool {
    let (interest, goes_on) = match done.undecided(token) {
        Some(Outcome::Poll(poll)) => (poll.interest, false),
        Some(Outcome::PollManyEnded(poll)) => (poll.interest, true),
        // Its operation was taken away from it.
        _ => return false,
    };
    match system::poll_now(descriptor, interest) {
        Ok(ready) if ready.is_none() => true,
        Ok(ready) if goes_on => {
            done.push(token, Outcome::PollManyItem(ready));
            true
        }
        Ok(ready) => {
            if let Some(Outcome::Poll(poll)) = done.undecided(token) {
                poll.result = Ok(ready);
            }
            done.decided(token);
            false
        }
        Err(error) => {
            fail(token, error, done);
            false
        }
    }
}

impl<P: Poller> Readiness<P> {
    /// Starts to poll.
    #[cold]
    pub(crate) fn poll(&mut self, token: Token, slot: Slot, done: &mut Done) {
        let source = self.table.get(slot).map(|entry| &entry.source);
        let descriptor = source.and_then(|source| match source.watch() {
            Watch::Edges if !P::IS_TOLD => source.descriptor(),
            // Always ready, and so nothing to wait for; or nobody tells when it has become so.
            Watch::Edges | Watch::AlwaysReady => Err(Error::Unsupported),
        });
        match descriptor {
            Ok(descriptor) if ask(descriptor, token, done) => self.polls.add(slot, token),
            Ok(_) => {}
            Err(error) => fail(token, error, done),
        }
    }

    /// Tells the polls of a slot that something has changed there.
    #[cold]
    pub(crate) fn resume_polls(&mut self, registration: Registration, done: &mut Done) {
        let slot = Slot(registration.slot);
        if !self.polls.uses(slot) {
            return;
        }
        let Some(entry) = self.table.registered(registration) else { return };
        let Ok(descriptor) = entry.source.descriptor() else { return };
        self.polls.retain(slot, |token| ask(descriptor, token, done));
    }

    /// Ends a poll as cancelled. Returns whether it waited.
    #[cold]
    pub(crate) fn cancel_poll(&mut self, token: Token, slot: Slot, done: &mut Done) -> bool {
        let waited = self.polls.remove(slot, token);
        let is_undecided = done.undecided(token).is_some();
        if waited {
            fail(token, Error::Canceled, done);
        }
        waited && is_undecided
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_a_slot_are_found_and_taken_out() {
        let token = |index| Token { index, arming: 1 };
        let mut polls = Polls::default();
        for index in 0..6 {
            polls.add(Slot(index % 2), token(index));
        }
        assert!(!polls.remove(Slot(0), token(1)), "it is at another slot");
        assert!(polls.remove(Slot(0), token(2)) && !polls.remove(Slot(0), token(2)));
        let mut seen = Vec::new();
        polls.retain(Slot(0), |token| {
            seen.push(token.index);
            token.index != 4
        });
        assert_eq!(seen, [4, 0]);
        assert!(polls.remove(Slot(0), token(0)) && !polls.uses(Slot(0)) && polls.uses(Slot(1)));
        polls.add(Slot(7), token(9));
        assert_eq!(polls.entries.len(), 6, "places are used again");
        polls.retain(Slot(1), |_| false);
        polls.retain(Slot(7), |_| false);
        assert!(polls.is_empty());
    }
}
