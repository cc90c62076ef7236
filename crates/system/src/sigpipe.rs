//! Calls that raise SIGPIPE where a peer is gone, and have no flag that says otherwise.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr;

use rustix::io::Errno;

/// Makes a call with SIGPIPE held back from this thread. One that it has raised, which it says with EPIPE, is taken away
/// again; one that was held back before stays (contract R3).
pub(crate) fn without<T>(call: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    let only = only_sigpipe();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both sets are of the type that the call reads and writes, and live until it returns.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const only, before.as_mut_ptr()) };
    // SAFETY: the call cannot fail, its first argument being one that there is; so it has written the set.
    let before = unsafe { before.assume_init() };
    let was_there = has_sigpipe(&before) && is_pending();
    let result = call();
    if matches!(result, Err(Errno::PIPE)) && !was_there {
        take_pending(&only);
    }
    // SAFETY: the set was written by the call that gave it, and lives until this one returns.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, ptr::null_mut()) };
    result
}

/// The set of SIGPIPE alone.
fn only_sigpipe() -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the place is one for a set, which the call makes an empty one.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: an empty set is there by now.
    unsafe { libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE) };
    // SAFETY: the first of the two calls has written it.
    unsafe { set.assume_init() }
}

fn has_sigpipe(set: &libc::sigset_t) -> bool {
    // SAFETY: the set is borrowed, and only read.
    unsafe { libc::sigismember(set, libc::SIGPIPE) == 1 }
}

/// Whether a SIGPIPE waits that this thread is kept from.
fn is_pending() -> bool {
    // Of a call that could not be made, nothing is pending.
    let mut set = only_sigpipe();
    // SAFETY: the place is one for a set, and lives until the call returns.
    let told = unsafe { libc::sigpending(&raw mut set) };
    told == 0 && has_sigpipe(&set)
}

/// Takes one away that waits.
fn take_pending(only: &libc::sigset_t) {
    let no_time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    loop {
        // SAFETY: the set and the time are borrowed and only read, and nothing is to be written.
        let taken = unsafe { libc::sigtimedwait(only, ptr::null_mut(), &raw const no_time) };
        // Another signal may have come in between; none may be there, where nobody would have got it.
        if taken >= 0 || std::io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends SIGPIPE to this thread, as a call of its own would.
    fn raise() {
        // SAFETY: sends a signal to this thread, which memory has no part in.
        unsafe { libc::raise(libc::SIGPIPE) };
    }

    #[test]
    fn what_the_call_raises_is_taken_away_and_what_was_there_stays() {
        let result = without(|| {
            raise();
            assert!(is_pending(), "it is held back");
            Err::<(), _>(Errno::PIPE)
        });
        assert_eq!((result, is_pending()), (Err(Errno::PIPE), false));
        let only = only_sigpipe();
        // SAFETY: the set lives until the call returns, and nothing is to be written.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const only, ptr::null_mut()) };
        raise();
        let result = without(|| Err::<(), _>(Errno::PIPE));
        assert_eq!((result, is_pending()), (Err(Errno::PIPE), true));
        take_pending(&only);
        assert!(!is_pending());
        assert_eq!((without(|| Ok(5)), is_pending()), (Ok(5), false));
    }
}
