//! Signals that a handler counts, for systems whose pollers know nothing of them.
//!
//! One handler serves all loops of a process. It counts the signal, and writes to an eventfd, the *doorbell*, which every
//! loop that watches signals waits for, edge-triggered, and nobody reads. Who is woken compares the counts with those it
//! has seen. So the handler walks no list, and nothing of a loop's is ever touched by it.
#![allow(unsafe_code)]

use std::fmt;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use proactor_core::{Error, SignalSet};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::fcntl_dupfd_cloexec;

use super::{HeldSignals, LEN};
use crate::call::call;
use crate::clock::now;

/// How often the handler ran, by signal; wraps.
static COUNTS: [AtomicU32; LEN] = [const { AtomicU32::new(0) }; LEN];

/// The number of the doorbell, or -1. It stays open while a handler may have read it.
static DOORBELL: AtomicI32 = AtomicI32::new(-1);

/// How many handlers run now. Counted up before [`DOORBELL`] is read, while who closes that takes the number away before it looks
/// here: one of the two sees the other, which only `SeqCst` of all four promises. With the counts it is the same: the handler counts
/// before it rings, and who takes looks after the ring.
static HANDLERS: AtomicU32 = AtomicU32::new(0);

static REGISTRY: Mutex<Registry> = Mutex::new(Registry { watchers: 0, doorbell: None });

/// How long the doorbell is kept for a handler that was interrupted in its few instructions. A thread that has vanished in
/// one (by a fork) would have it kept for ever: then it is left open.
const PATIENCE: Duration = Duration::from_secs(1);

/// Who watches.
struct Registry {
    watchers: u32,
    doorbell: Option<OwnedFd>,
}

/// What the system calls. It does nothing but what is allowed there: atomics, and write(2).
pub(super) extern "C" fn arrived(signal: libc::c_int) {
    HANDLERS.fetch_add(1, Ordering::SeqCst);
    if let Some(count) = COUNTS.get(signal as usize) {
        count.fetch_add(1, Ordering::SeqCst);
    }
    let doorbell = DOORBELL.load(Ordering::SeqCst);
    if doorbell >= 0 {
        ring(doorbell);
    }
    HANDLERS.fetch_sub(1, Ordering::SeqCst);
}

fn ring(doorbell: libc::c_int) {
    let one = 1_u64;
    // SAFETY: asks where this thread's error number is; always a valid place.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: the place is this thread's own, and read here only.
    let errno = unsafe { place.read() };
    // SAFETY: `one` has these bytes. The number is the doorbell's: `close_doorbell` takes it out of `DOORBELL` and waits
    // for the handlers before it closes the descriptor, and this one has counted itself before it read the number. Nothing
    // comes of an error: an eventfd that is full was not looked at since, and rings already.
    unsafe { libc::write(doorbell, (&raw const one).cast(), size_of::<u64>()) };
    // SAFETY: as for reading it. What was interrupted finds its number again.
    unsafe { place.write(errno) };
}

impl Registry {
    /// One more watches: a duplicate of the doorbell, which is made for the first of them.
    fn begin(&mut self) -> Result<OwnedFd, Error> {
        let doorbell = match &mut self.doorbell {
            Some(doorbell) => doorbell,
            none => {
                let made = call(|| eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK))?;
                DOORBELL.store(made.as_raw_fd(), Ordering::SeqCst);
                none.insert(made)
            }
        };
        let duplicate = call(|| fcntl_dupfd_cloexec(&*doorbell, 0));
        match duplicate {
            Ok(_) => self.watchers += 1,
            Err(_) => self.close_doorbell(),
        }
        duplicate
    }

    /// One less watches.
    fn end(&mut self) {
        self.watchers -= 1;
        self.close_doorbell();
    }

    /// Closes it, if nobody watches anything.
    fn close_doorbell(&mut self) {
        if self.watchers > 0 {
            return;
        }
        let Some(doorbell) = self.doorbell.take() else { return };
        DOORBELL.store(-1, Ordering::SeqCst);
        let deadline = now() + PATIENCE;
        while HANDLERS.load(Ordering::SeqCst) > 0 {
            if now() >= deadline {
                return mem::forget(doorbell);
            }
            thread::yield_now();
        }
    }
}

/// A set of signals that is watched, as long as this lives or until it is [ended](Self::end).
pub struct SignalWatch {
    set: SignalSet,
    doorbell: OwnedFd,
    seen: [u32; LEN],
    held: Option<HeldSignals>,
}

impl SignalWatch {
    /// Begins to watch `set`. Each signal that is delivered from now on is told by [`take`](Self::take), once at least after
    /// the last of them.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] where a signal of the set has to stay as it is, or what the system said; nothing has changed
    /// then.
    pub fn begin(set: SignalSet) -> Result<Self, Error> {
        let doorbell = registry().begin()?;
        // What comes after the handler is set is more than was seen before.
        let seen = COUNTS.each_ref().map(|count| count.load(Ordering::SeqCst));
        match HeldSignals::begin(set) {
            Ok(held) => Ok(Self { set, doorbell, seen, held: Some(held) }),
            Err(error) => {
                registry().end();
                Err(error)
            }
        }
    }

    /// The signals that were delivered since the last call. To be asked whenever the descriptor has an edge; that may come
    /// for others.
    pub fn take(&mut self) -> SignalSet {
        let mut came = SignalSet::NONE;
        for signal in self.set.iter() {
            let index = signal.as_raw() as usize;
            let count = COUNTS[index].load(Ordering::SeqCst);
            if mem::replace(&mut self.seen[index], count) != count {
                came = came.with(signal);
            }
        }
        came
    }

    /// Watches no longer: where nobody else does, what was there before is set again. What was delivered until now is
    /// still to be taken.
    pub fn end(&mut self) {
        if self.held.take().is_some() {
            registry().end();
        }
    }
}

fn registry() -> std::sync::MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for SignalWatch {
    fn drop(&mut self) {
        self.end();
    }
}

impl AsFd for SignalWatch {
    /// Becomes readable whenever a signal is delivered that anybody watches, and stays so: only its edges say something.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.doorbell.as_fd()
    }
}

impl fmt::Debug for SignalWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignalWatch").field("set", &self.set).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{Signal as System, getpid, kill_process};

    use proactor_core::Signal;

    use super::super::exchange;
    use super::*;

    /// One test, since the process has one of everything here.
    #[test]
    fn signals_are_counted_for_each_watcher_and_what_was_set_comes_back() {
        let (first, second) = (Signal::USR1, Signal::USR2);
        let set_now = |signal| exchange(signal, None).unwrap().sa_sigaction;
        let before = [set_now(first), set_now(second)];

        let mut both = SignalWatch::begin([first, second].into()).unwrap();
        let mut one = SignalWatch::begin(first.into()).unwrap();
        assert_ne!(set_now(first), before[0]);
        assert!(both.take().is_empty());
        for _ in 0..3 {
            kill_process(getpid(), System::USR1).unwrap();
        }
        kill_process(getpid(), System::USR2).unwrap();
        // Another thread may get them, a little later.
        let deadline = now() + Duration::from_secs(10);
        let mut came = SignalSet::NONE;
        while came != SignalSet::from([first, second]) {
            came = both.take().iter().chain(came.iter()).collect();
            assert!(now() < deadline);
        }
        assert_eq!(one.take(), first.into());
        let wait = Timespec { tv_sec: 10, tv_nsec: 0 };
        assert_eq!(poll(&mut [PollFd::new(&one, PollFlags::IN)], Some(&wait)), Ok(1));

        both.end();
        assert_eq!(set_now(second), before[1]);
        assert_ne!(set_now(first), before[0]);
        // A refusal in the middle changes nothing.
        let kept = Signal::from_raw(33).unwrap();
        assert_eq!(SignalWatch::begin([second, kept].into()).map(drop), Err(Error::InvalidInput));
        assert_eq!(set_now(second), before[1]);
        // What somebody else has set stays.
        // SAFETY: all zero is a valid `sigaction`.
        let mut ignored: libc::sigaction = unsafe { mem::zeroed() };
        ignored.sa_sigaction = libc::SIG_IGN;
        exchange(first, Some(&ignored)).unwrap();
        drop(one);
        assert_eq!(set_now(first), libc::SIG_IGN);
        assert_eq!(DOORBELL.load(Ordering::SeqCst), -1);
        ignored.sa_sigaction = before[0];
        exchange(first, Some(&ignored)).unwrap();
    }
}
