//! What waits for no descriptor of the user's: the end of a child process, signals.

use std::fmt;
use std::os::fd::AsFd;
use std::task::Poll;
use std::time::Duration;

use proactor_core::{Done, Error, Outcome, SignalSet, Token, Until};
use proactor_system as system;
use slab::Slab;

use crate::Readiness;
use crate::poller::{Poller, Registration, WatchSignals};
use crate::read::fail;

/// Marks a registration as one of these. No table of slots is that large.
const TAG: u32 = 1 << 31;

/// How long children that are ending are left alone before they are asked for again: the second time, and at most. The
/// first time it is at once; each pause is twice as long as the one before.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(64);

/// All of them.
pub(crate) struct Elsewhere<P: Poller> {
    entries: Slab<Entry<P>>,
    /// Counts them, so that a late event of one is not its successor's.
    generation: u32,
    /// Before children that are ending are asked for the next time.
    pause: Duration,
}

struct Entry<P: Poller> {
    token: Token,
    generation: u32,
    awaited: Awaited<P>,
}

/// What an operation waits for.
enum Awaited<P: Poller> {
    /// A process to end; none while it is doing so.
    Child(Option<P::Child>),
    Signals(Box<P::Signals>),
}

impl<P: Poller> Default for Elsewhere<P> {
    fn default() -> Self {
        Self { entries: Slab::new(), generation: 0, pause: Duration::ZERO }
    }
}

impl<P: Poller> fmt::Debug for Elsewhere<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Elsewhere").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}

impl<P: Poller> Readiness<P> {
    /// Starts to wait for a child.
    #[cold]
    pub(crate) fn wait_child(&mut self, token: Token, done: &mut Done) {
        if self.end_child(token, done) {
            return;
        }
        let index = self.await_elsewhere(token, Awaited::Child(None));
        self.elsewhere.pause = Duration::ZERO;
        self.watch_child(index, done);
    }

    /// Has the poller watch the child of an entry, or comes back to it after a pause where it is just ending.
    fn watch_child(&mut self, index: usize, done: &mut Done) {
        let Self { elsewhere, poller, unfinished, .. } = self;
        let Some(entry) = elsewhere.entries.get_mut(index) else { return };
        let Some(Outcome::WaitChild(exited)) = done.undecided(entry.token) else { return };
        let registration = registration(index, entry.generation);
        match poller.add_child(&exited.child, registration) {
            Ok(child) => {
                if child.is_none() {
                    unfinished.push(registration);
                }
                entry.awaited = Awaited::Child(child);
            }
            Err(error) => {
                let token = entry.token;
                elsewhere.entries.remove(index);
                fail(token, error, done);
            }
        }
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
        let watch = match P::Signals::begin(ended.set) {
            Ok(watch) => Box::new(watch),
            Err(error) => return fail(token, error, done),
        };
        let index = self.await_elsewhere(token, Awaited::Signals(watch));
        let Self { elsewhere, poller, .. } = self;
        let Entry { generation, awaited: Awaited::Signals(watch), .. } = &elsewhere.entries[index] else {
            return;
        };
        if let Err(error) = poller.add(watch.as_fd(), registration(index, *generation)) {
            elsewhere.entries.remove(index);
            fail(token, error, done);
        }
    }

    /// Makes an entry, and returns where.
    fn await_elsewhere(&mut self, token: Token, awaited: Awaited<P>) -> usize {
        let Elsewhere { entries, generation, .. } = &mut self.elsewhere;
        *generation = generation.wrapping_add(1);
        entries.insert(Entry { token, generation: *generation, awaited })
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
            Awaited::Child(watch) => {
                // An event is all that there is to come: where the child has not quite ended all the same, it is watched anew.
                // Not at once, since some systems would tell of it again and again, until it has.
                let watched = watch.take();
                let is_told = watched.is_some();
                if let Some(child) = watched {
                    self.poller.remove_child(child);
                }
                if self.end_child(token, done) {
                    self.elsewhere.entries.remove(index);
                    self.elsewhere.pause = Duration::ZERO;
                } else if is_told {
                    self.unfinished.push(registration);
                } else {
                    self.watch_child(index, done);
                }
            }
        }
    }

    /// Until when to wait, at most, with what is unfinished: not at all, unless it is nothing but children that are ending.
    #[cold]
    pub(crate) fn until_unfinished(&mut self, until: Until) -> Until {
        let pause = self.elsewhere.pause;
        if until == Until::Now || self.goes_on_here() {
            return Until::Now;
        }
        if !self.unfinished.iter().any(is_elsewhere) {
            return until;
        }
        self.elsewhere.pause = (pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
        if pause.is_zero() {
            return Until::Now;
        }
        let next = system::now() + pause;
        match until {
            Until::Deadline(deadline) => Until::Deadline(deadline.min(next)),
            _ => Until::Deadline(next),
        }
    }

    fn forget_elsewhere(&mut self, index: usize) {
        match self.elsewhere.entries.try_remove(index).map(|entry| entry.awaited) {
            Some(Awaited::Signals(watch)) => self.poller.remove(watch.as_fd()),
            Some(Awaited::Child(Some(child))) => self.poller.remove_child(child),
            Some(Awaited::Child(None)) | None => {}
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

/// Whether it is of what waits on no handle.
pub(crate) const fn is_elsewhere(registration: &Registration) -> bool {
    registration.slot & TAG != 0
}

/// The name that the poller tells the events of an entry by. There are as many entries as operations, of which core has
/// fewer than 2^31.
fn registration(index: usize, generation: u32) -> Registration {
    Registration { slot: index as u32 | TAG, generation }
}

/// Tells of signals that were delivered.
fn tell(signals: SignalSet, token: Token, done: &mut Done) {
    for signal in signals.iter() {
        done.push(token, Outcome::SignalsItem(signal));
    }
}
