//! What waits for descriptors of its own, which no slot has: the end of a child process, signals.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::Poll;

use proactor_core::{Done, Error, Outcome, SignalSet, Token};
use proactor_system::{self as system, SignalWatch};
use slab::Slab;

use crate::Readiness;
use crate::poller::{Poller, Registration};
use crate::read::fail;

/// Marks a registration as one of these. No table of slots is that large.
const TAG: u32 = 1 << 31;

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Elsewhere {
    entries: Slab<Entry>,
    /// Counts them, so that a late event of one is not its successor's.
    generation: u32,
}

#[derive(Debug)]
struct Entry {
    token: Token,
    generation: u32,
    awaited: Awaited,
}

/// What an operation waits for.
#[derive(Debug)]
enum Awaited {
    /// The process behind the descriptor to end.
    Child(OwnedFd),
    Signals(Box<SignalWatch>),
}

impl AsFd for Awaited {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Child(descriptor) => descriptor.as_fd(),
            Self::Signals(watch) => watch.as_fd(),
        }
    }
}

impl<P: Poller> Readiness<P> {
    /// Starts to wait for a child.
    #[cold]
    pub(crate) fn wait_child(&mut self, token: Token, done: &mut Done) {
        if self.end_child(token, done) {
            return;
        }
        let Some(Outcome::WaitChild(exited)) = done.undecided(token) else { return };
        let begun = if self.can_wait_for_children() {
            // What ends from here on shows on the descriptor, and what has ended since as well.
            system::process_descriptor(&exited.child)
        } else {
            Err(Error::Unsupported)
        };
        self.await_elsewhere(token, begun.map(Awaited::Child), done);
    }

    /// Takes a child's exit status. Returns whether there is nothing to wait for any more.
    fn end_child(&self, token: Token, done: &mut Done) -> bool {
        let Some(Outcome::WaitChild(exited)) = done.undecided(token) else { return true };
        if !self.can_wait_for_children() {
            exited.result = Err(Error::Unsupported);
        } else if let Poll::Ready(result) = system::try_wait(&mut exited.child) {
            exited.result = result;
        } else {
            return false;
        }
        done.decided(token);
        true
    }

    /// Starts to watch signals.
    #[cold]
    pub(crate) fn watch_signals(&mut self, token: Token, done: &mut Done) {
        let Some(Outcome::SignalsEnded(ended)) = done.undecided(token) else { return };
        let begun = SignalWatch::begin(ended.set);
        self.await_elsewhere(token, begun.map(|watch| Awaited::Signals(Box::new(watch))), done);
    }

    fn await_elsewhere(&mut self, token: Token, begun: Result<Awaited, Error>, done: &mut Done) {
        let awaited = match begun {
            Ok(awaited) => awaited,
            Err(error) => return fail(token, error, done),
        };
        let Self { elsewhere, poller, .. } = self;
        elsewhere.generation = elsewhere.generation.wrapping_add(1);
        let generation = elsewhere.generation;
        let vacant = elsewhere.entries.vacant_entry();
        // As many as operations, of which core has fewer than 2^31.
        let registration = Registration { slot: vacant.key() as u32 | TAG, generation };
        match poller.add(awaited.as_fd(), registration) {
            Ok(_) => {
                vacant.insert(Entry { token, generation, awaited });
            }
            Err(error) => fail(token, error, done),
        }
    }

    /// An event of no slot.
    #[cold]
    #[inline(never)]
    pub(crate) fn dispatch_elsewhere(&mut self, registration: Registration, done: &mut Done) {
        let index = (registration.slot & !TAG) as usize;
        if registration.slot & TAG == 0 {
            return;
        }
        let entry = self.elsewhere.entries.get_mut(index);
        let Some(entry) = entry.filter(|entry| entry.generation == registration.generation) else { return };
        let token = entry.token;
        match &mut entry.awaited {
            Awaited::Signals(watch) => tell(watch.take(), token, done),
            Awaited::Child(_) => {
                if self.end_child(token, done) {
                    self.forget_elsewhere(index);
                }
            }
        }
    }

    fn forget_elsewhere(&mut self, index: usize) {
        if let Some(entry) = self.elsewhere.entries.try_remove(index) {
            self.poller.remove(entry.awaited.as_fd());
        }
    }

    /// Ends what waits elsewhere as cancelled; signals that were delivered before are told first. Returns whether it waited.
    #[cold]
    pub(crate) fn cancel_elsewhere(&mut self, token: Token, done: &mut Done) -> bool {
        let mut entries = self.elsewhere.entries.iter_mut();
        let Some((index, entry)) = entries.find(|(_, entry)| entry.token == token) else { return false };
        let is_undecided = done.undecided(token).is_some();
        if let Awaited::Signals(watch) = &mut entry.awaited {
            watch.end();
            tell(watch.take(), token, done);
        }
        self.forget_elsewhere(index);
        fail(token, Error::Canceled, done);
        is_undecided
    }
}

/// Tells of signals that were delivered.
fn tell(signals: SignalSet, token: Token, done: &mut Done) {
    for signal in signals.iter() {
        done.push(token, Outcome::SignalsItem(signal));
    }
}
