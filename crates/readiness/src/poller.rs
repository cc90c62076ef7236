//! What a mechanism has to bring.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use proactor_core::{ChildProcess, Config, Error, SignalSet, Until, Wake};
#[cfg(any(target_os = "linux", target_os = "wasi"))]
use proactor_system::SignalWatch;

/// Names one registration of a descriptor: its slot, and which of the slot's registrations it is.
///
/// An event of an earlier one, still in a batch when the slot is used anew, names nobody (contract H2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Registration {
    /// The slot.
    pub slot: u32,
    /// Counts the slot's registrations; wraps.
    pub generation: u32,
}

impl Registration {
    /// The registration of nobody, for the poller's own descriptors: its events are passed over.
    pub const NOBODY: Self = Self { slot: u32::MAX, generation: u32::MAX };

    /// As one number, which systems carry along with a descriptor.
    #[must_use]
    #[inline(always)]
    pub const fn to_u64(self) -> u64 {
        (self.generation as u64) << 32 | self.slot as u64
    }

    /// Out of that number.
    #[must_use]
    #[inline(always)]
    pub const fn from_u64(number: u64) -> Self {
        Self { slot: number as u32, generation: (number >> 32) as u32 }
    }
}

/// Something has changed on a descriptor. A hint that a call may succeed, never a promise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// Whose.
    pub registration: Registration,
    /// What: the system's own bits, to be read with the poller's [`SIGNS`](Poller::SIGNS).
    pub bits: u32,
}

/// Which of the system's bits say what. Each is told if any of its bits is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signs {
    /// A call that reads may have an answer: bytes, a connection, the end, an error, urgent data.
    pub readable: u32,
    /// A call that writes may have an answer: room, a decided connect, an error.
    pub writable: u32,
    /// Something else than bytes and room came: an end of the stream, an error, urgent data. A short read proves
    /// nothing from now on.
    pub irregular: u32,
}

/// What one wait brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Batch {
    /// How many events.
    pub len: usize,
    /// Whether the batch is full, so that there may be more.
    pub is_full: bool,
}

/// Whether a descriptor can be watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Watch {
    /// It is: edges come as events.
    Edges,
    /// It is not and needs not be, because its calls never wait: a regular file, a directory.
    AlwaysReady,
}

/// What watches signals for an operation: a descriptor whose edges say that some may have come.
pub trait WatchSignals: AsFd + fmt::Debug + Sized {
    /// Begins to watch `set`. Each signal that is delivered from now on is told by [`take`](Self::take), once at least after
    /// the last of them.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] where a signal of the set has to stay as it is, or what the system said; nothing has changed
    /// then.
    fn begin(set: SignalSet) -> Result<Self, Error>;

    /// The signals that were delivered since the last call.
    fn take(&mut self) -> SignalSet;

    /// Watches no longer: where nobody else does, what was there before is set again. What was delivered until now is
    /// still to be taken.
    fn end(&mut self);
}

/// By a handler, where the system's pollers know nothing of signals.
#[cfg(any(target_os = "linux", target_os = "wasi"))]
impl WatchSignals for SignalWatch {
    fn begin(set: SignalSet) -> Result<Self, Error> {
        Self::begin(set)
    }

    fn take(&mut self) -> SignalSet {
        self.take()
    }

    fn end(&mut self) {
        self.end();
    }
}

/// What somebody waits for on a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wanted {
    /// That a call that reads may have an answer.
    pub read: bool,
    /// That a call that writes may have one.
    pub write: bool,
}

/// A mechanism that tells what is ready.
pub trait Poller: Sized + 'static {
    /// The backend's name in tables: lower case.
    const NAME: &'static str;

    /// How many events of one descriptor a batch may have.
    const EVENTS_EACH: usize = 1;

    /// How to read the bits of its events.
    const SIGNS: Signs;

    /// Whether it is [told](Self::want) before each wait what somebody waits for: one that has no edges, and would say again
    /// and again what nobody takes.
    const IS_TOLD: bool = false;

    /// Whether it forgets a descriptor that is closed, if nobody else has what that refers to: then a socket that the loop has
    /// opened itself is closed without being [removed](Self::remove). Where somebody has it all the same (a process that was forked and
    /// runs no other program), events of a registration that is no more may come, and are passed over.
    const FORGETS_WHAT_IS_CLOSED: bool = false;

    /// Ends a wait from another thread.
    type Waker: Wake;

    /// What it keeps of a child process that it watches.
    type Child: fmt::Debug;

    /// What watches signals.
    type Signals: WatchSignals;

    /// Opens it.
    ///
    /// # Errors
    /// Why the system refuses.
    fn open(config: &Config) -> io::Result<Self>;

    /// A waker; they all do the same.
    fn waker(&self) -> Self::Waker;

    /// Whether the end of a child process can be waited for here, as a probe has found.
    fn can_watch_children(&self) -> bool;

    /// Watches `descriptor` until it is removed, edge-triggered, for everything that [`Event`] tells. What is ready
    /// already counts as an edge.
    ///
    /// # Errors
    /// What the system said; the descriptor is not watched then.
    fn add(&mut self, descriptor: BorrowedFd<'_>, registration: Registration) -> Result<Watch, Error>;

    /// Watches it no longer. Called before the descriptor is closed, since a duplicate elsewhere would keep the
    /// registration alive; not where it is [forgotten](Self::FORGETS_WHAT_IS_CLOSED) then.
    fn remove(&mut self, descriptor: BorrowedFd<'_>);

    /// Somebody waits on a descriptor that it watches, until it says otherwise or removes it: of others there are to be no
    /// events. Comes for each descriptor before each wait where it [is told](Self::IS_TOLD).
    fn want(&mut self, _descriptor: BorrowedFd<'_>, _registration: Registration, _wanted: Wanted) {}

    /// Has the end of a child, which was not waited for yet, told by an event. None if it is ending right now, so that no
    /// event can tell: then it has to be asked for until it has ended.
    ///
    /// # Errors
    /// What the system said.
    fn add_child(
        &mut self,
        child: &ChildProcess,
        registration: Registration,
    ) -> Result<Option<Self::Child>, Error>;

    /// Watches it no longer.
    fn remove_child(&mut self, child: Self::Child);

    /// Waits for events, which replace those of the wait before. An interrupted wait brings none.
    ///
    /// # Errors
    /// What the system said.
    fn wait(&mut self, until: Until) -> Result<Batch, Error>;

    /// A descriptor that polls as readable while there are events, wake-ups included, if there is one.
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// An event of the last wait.
    ///
    /// # Panics
    /// If there were not that many.
    fn event(&self, index: usize) -> Event;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registrations_survive_as_numbers() {
        for registration in
            [Registration { slot: 7, generation: 0xdead_beef }, Registration { slot: 0, generation: 1 }]
        {
            assert_eq!(Registration::from_u64(registration.to_u64()), registration);
        }
        assert_eq!(Registration::NOBODY.to_u64(), u64::MAX);
    }
}
