//! Signals of the process that its loops take instead of what was set for them: the dispositions, which the process has one of.
#![allow(unsafe_code)]

use std::fmt;
use std::mem;
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use proactor_core::{Error, Signal, SignalSet};
use rustix::io::Errno;

#[cfg(target_os = "linux")]
mod doorbell;

#[cfg(target_os = "linux")]
pub use doorbell::SignalWatch;

/// Signals are 1 to 64.
const LEN: usize = 65;

static REGISTRY: Mutex<[Watched; LEN]> = Mutex::new([const { Watched::BY_NOBODY }; LEN]);

/// One signal.
struct Watched {
    watchers: u32,
    /// What was set before the first of them.
    before: Option<libc::sigaction>,
}

impl Watched {
    const BY_NOBODY: Self = Self { watchers: 0, before: None };

    /// Makes `signal`, which this is, watched once more, by one who has seen the counts already.
    fn add(&mut self, signal: Signal) -> Result<(), Error> {
        if self.watchers == 0 {
            self.before = Some(exchange(signal, Some(&handler()))?);
        }
        self.watchers += 1;
        Ok(())
    }

    /// Makes it watched once less.
    fn remove(&mut self, signal: Signal) {
        self.watchers -= 1;
        if self.watchers > 0 {
            return;
        }
        let Some(before) = self.before.take() else { return };
        // What somebody else has set since is theirs.
        let is_ours = exchange(signal, None).is_ok_and(|set| set.sa_sigaction == handler().sa_sigaction);
        if is_ours {
            // What was set can be set again.
            let _ = exchange(signal, Some(&before));
        }
    }
}

/// What the system calls.
#[cfg(target_os = "linux")]
use doorbell::arrived;

/// What the system calls where its poller tells of signals by itself: only not what was set before.
#[cfg(not(target_os = "linux"))]
extern "C" fn arrived(_signal: libc::c_int) {}

/// Our handler, as the system takes it: all signals blocked meanwhile, on the stack that a thread has set apart for signals
/// if it has one, interrupted calls restarted.
fn handler() -> libc::sigaction {
    // SAFETY: all zero is a valid `sigaction`.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = arrived as *const () as libc::sighandler_t;
    action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: the mask is this `sigaction`'s own.
    unsafe { libc::sigfillset(&raw mut action.sa_mask) };
    action
}

/// Sets what is done on `signal`, if anything, and returns what was set before.
fn exchange(signal: Signal, action: Option<&libc::sigaction>) -> Result<libc::sigaction, Error> {
    // SAFETY: all zero is a valid `sigaction`.
    let mut before: libc::sigaction = unsafe { mem::zeroed() };
    let action = action.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: `before` is a whole `sigaction`, and so is `action` if it is not null. What is set is `arrived`, which only does
    // what a handler may, or what was set before it.
    let done = unsafe { libc::sigaction(signal.as_raw(), action, &raw mut before) };
    match done {
        0 => Ok(before),
        _ => Err(match Errno::from_io_error(&std::io::Error::last_os_error()) {
            // Those that the C library, or the system, keeps to itself.
            Some(Errno::INVAL) | None => Error::InvalidInput,
            Some(errno) => errno.into(),
        }),
    }
}

/// Signals that come to a handler of ours, as long as this lives, and not to what was set before. As many as like may hold one.
///
/// Programs that this one starts do not inherit it, as they would if the signals were ignored.
pub struct HeldSignals {
    set: SignalSet,
}

impl HeldSignals {
    /// Sets the handler for each signal of `set`.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] where a signal of the set has to stay as it is, or what the system said; nothing has changed
    /// then.
    pub fn begin(set: SignalSet) -> Result<Self, Error> {
        let mut registry = registry();
        let mut installed = SignalSet::NONE;
        for signal in set.iter() {
            if let Err(error) = registry[signal.as_raw() as usize].add(signal) {
                release(&mut registry, installed);
                return Err(error);
            }
            installed = installed.with(signal);
        }
        Ok(Self { set })
    }
}

impl Drop for HeldSignals {
    /// Where nobody else holds them, what was there before is set again.
    fn drop(&mut self) {
        release(&mut registry(), self.set);
    }
}

impl fmt::Debug for HeldSignals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldSignals").field("set", &self.set).finish()
    }
}

fn registry() -> MutexGuard<'static, [Watched; LEN]> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

fn release(registry: &mut [Watched; LEN], set: SignalSet) {
    set.iter().for_each(|signal| registry[signal.as_raw() as usize].remove(signal));
}
