//! Signals, told by a kqueue of their own: what is still to be taken when watching ends can be taken from that, and from it alone.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use proactor_core::{Error, Signal, SignalSet};
use proactor_readiness::WatchSignals;
use proactor_system::HeldSignals;
use rustix::io::Errno;

use crate::sys::{ADD, CLEAR, Filter, Kevent, Kqueue};

/// There are no more than this.
const SIGNALS: usize = 64;

/// A set of signals that is watched.
pub struct KqueueSignals {
    kqueue: Kqueue,
    events: Vec<Kevent>,
    /// They come to a handler that does nothing, and not to what was set for them: the system tells of them all the same.
    held: Option<HeldSignals>,
}

impl WatchSignals for KqueueSignals {
    fn begin(set: SignalSet) -> Result<Self, Error> {
        let kqueue = Kqueue::open()?;
        // Before they are taken from whoever had them: what comes in between is told to both, and not lost.
        for signal in set.iter() {
            let change = Kevent::new(Filter::Signal, signal.as_raw() as usize, ADD | CLEAR);
            kqueue.kevent(&[change], &mut Vec::new(), Some(Duration::ZERO)).map_err(|errno| match errno {
                Errno::INVAL => Error::InvalidInput,
                errno => errno.into(),
            })?;
        }
        let held = Some(HeldSignals::begin(set)?);
        Ok(Self { kqueue, events: Vec::with_capacity(SIGNALS), held })
    }

    fn take(&mut self) -> SignalSet {
        loop {
            match self.kqueue.kevent(&[], &mut self.events, Some(Duration::ZERO)) {
                Err(Errno::INTR) => {}
                // It has no reason to fail, and there is room for all.
                _ => {
                    let told = self.events.iter().filter_map(|event| Signal::from_raw(event.ident() as i32));
                    return told.collect();
                }
            }
        }
    }

    fn end(&mut self) {
        self.held = None;
    }
}

impl AsFd for KqueueSignals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.kqueue.as_fd()
    }
}

impl fmt::Debug for KqueueSignals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KqueueSignals").field("held", &self.held).finish_non_exhaustive()
    }
}
