//! An installed libkqueue in place of the emulation: the same names, and what it makes of them.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::io::Errno;

use crate::kevent::{Filter, Kevent};

/// What a backend over it is called.
pub const NAME: &str = "kqueue-libkqueue";

/// That it lacks user events cannot be had.
pub fn lack_user_events() -> bool {
    false
}

/// That it refuses a change for no reason cannot be had.
pub fn refuse_next(_filter: Filter, _flags: u32, _errno: Errno) -> bool {
    false
}

/// That a call is interrupted cannot be had.
pub fn interrupt_next(_count: u32) -> bool {
    false
}

/// None are to come.
pub fn interruptions_left() -> u32 {
    0
}

#[repr(C)]
struct Time {
    seconds: i64,
    nanoseconds: i64,
}

unsafe extern "C" {
    fn kqueue() -> i32;
    fn kevent(
        queue: i32,
        changes: *const Kevent,
        changes_len: i32,
        events: *mut Kevent,
        events_len: i32,
        timeout: *const Time,
    ) -> i32;
}

#[cfg(libkqueue_drains)]
unsafe extern "C" {
    fn libkqueue_drain_pending_close();
}

/// A queue of events.
#[derive(Debug)]
pub struct Kqueue(Option<OwnedFd>);

impl Kqueue {
    /// A new one.
    ///
    /// # Errors
    /// What the library said.
    pub fn open() -> Result<Self, Errno> {
        // With the first queue the library starts a thread and opens descriptors, which end some time after the last one.
        static FIRST: OnceLock<Option<Kqueue>> = OnceLock::new();
        FIRST.get_or_init(|| Self::new().ok());
        Self::new()
    }

    fn new() -> Result<Self, Errno> {
        // SAFETY: makes a descriptor, and touches no memory of ours.
        let number = unsafe { kqueue() };
        if number < 0 {
            return Err(last_error());
        }
        // SAFETY: the descriptor was made by this call, and nobody else has its number.
        Ok(Self(Some(unsafe { OwnedFd::from_raw_fd(number) })))
    }

    /// kevent(2): makes changes, and then takes events, as many as `events` has capacity for, whose elements they replace.
    ///
    /// # Errors
    /// What the library said.
    pub fn kevent(
        &self,
        changes: &[Kevent],
        events: &mut Vec<Kevent>,
        timeout: Option<Duration>,
    ) -> Result<usize, Errno> {
        events.clear();
        let timeout = timeout.map(|timeout| Time {
            seconds: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: timeout.subsec_nanos().into(),
        });
        let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
        let (given, given_len) = (changes.as_ptr(), len(changes.len()));
        // With more room than answers it goes on to events, and where there are none it answers nothing at all.
        let room = if changes.is_empty() { events.capacity() } else { events.capacity().min(changes.len()) };
        let (places, places_len) = (events.as_mut_ptr(), len(room));
        // SAFETY: both lists have as many elements, or places, as is said, and live until the call returns; so does the timeout.
        // The layout of an element is libkqueue's `struct kevent`.
        let count =
            unsafe { kevent(self.as_fd().as_raw_fd(), given, given_len, places, places_len, timeout) };
        let Ok(count) = usize::try_from(count) else { return Err(last_error()) };
        // SAFETY: the call has written this many, of which there are not more than places.
        unsafe { events.set_len(count) };
        Ok(count)
    }
}

fn len(len: usize) -> i32 {
    i32::try_from(len).unwrap_or(i32::MAX)
}

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

impl AsFd for Kqueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Some(queue) => queue.as_fd(),
            None => unreachable!("it is taken when the queue is dropped"),
        }
    }
}

impl Drop for Kqueue {
    fn drop(&mut self) {
        self.0 = None;
        // A thread of the library's sees that it was closed, and lets go of what belongs to it: that is not left for later.
        #[cfg(libkqueue_drains)]
        // SAFETY: waits for that thread, and touches no memory of ours.
        unsafe {
            libkqueue_drain_pending_close();
        }
    }
}
