//! kqueue(2) of the system: the call, its structure and its numbers, which differ in width and value.
#![allow(unsafe_code)]
// Of the widths of these numbers and fields no two systems agree: some of the conversions are none on some of them.
#![allow(clippy::unnecessary_cast)]

use std::fmt;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use rustix::io::Errno;

/// What a backend over it is called.
pub(crate) const NAME: &str = "kqueue";

pub(crate) const ADD: u32 = libc::EV_ADD as u32;
pub(crate) const DELETE: u32 = libc::EV_DELETE as u32;
pub(crate) const CLEAR: u32 = libc::EV_CLEAR as u32;
pub(crate) const RECEIPT: u32 = libc::EV_RECEIPT as u32;
pub(crate) const EOF: u32 = libc::EV_EOF as u32;
pub(crate) const NOTE_EXIT: u32 = libc::NOTE_EXIT;

const ERROR: u32 = libc::EV_ERROR as u32;

/// The same number wherever there are user events.
pub(crate) const NOTE_TRIGGER: u32 = 0x0100_0000;

/// Where there is no EVFILT_EXCEPT, nobody uses it.
pub(crate) const NOTE_OOB: u32 = if cfg!(target_os = "openbsd") { 4 } else { 2 };

/// Whether there is EVFILT_EXCEPT, which tells of urgent data.
pub(crate) const TELLS_URGENT_DATA: bool =
    cfg!(any(target_vendor = "apple", target_os = "openbsd", target_os = "dragonfly"));

/// What events are of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Filter {
    Read,
    Write,
    Except,
    Process,
    Signal,
    User,
}

#[cfg(any(target_vendor = "apple", target_os = "openbsd", target_os = "dragonfly"))]
const EXCEPT: i64 = libc::EVFILT_EXCEPT as i64;

/// No filter has this number.
#[cfg(not(any(target_vendor = "apple", target_os = "openbsd", target_os = "dragonfly")))]
const EXCEPT: i64 = i64::MAX;

/// Their numbers, which are negative on most systems, and not on all.
const FILTERS: [(Filter, i64); 6] = [
    (Filter::Read, libc::EVFILT_READ as i64),
    (Filter::Write, libc::EVFILT_WRITE as i64),
    (Filter::Process, libc::EVFILT_PROC as i64),
    (Filter::Signal, libc::EVFILT_SIGNAL as i64),
    (Filter::User, libc::EVFILT_USER as i64),
    (Filter::Except, EXCEPT),
];

/// A change that is to be made, or an event.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Kevent(libc::kevent);

impl Kevent {
    /// A change of the registration with this filter and identifier.
    pub(crate) fn new(filter: Filter, ident: usize, flags: u32) -> Self {
        let number = FILTERS.iter().find(|(other, _)| *other == filter).map_or(EXCEPT, |(_, number)| *number);
        // SAFETY: all zero is a valid `kevent`, whose fields are numbers and a pointer that nobody follows.
        let mut inner: libc::kevent = unsafe { mem::zeroed() };
        inner.ident = ident as _;
        inner.filter = number as _;
        inner.flags = flags as _;
        Self(inner)
    }

    pub(crate) fn with_fflags(mut self, fflags: u32) -> Self {
        self.0.fflags = fflags as _;
        self
    }

    pub(crate) fn with_udata(mut self, udata: u64) -> Self {
        self.0.udata = udata as usize as _;
        self
    }

    /// Its filter; none if it is not one of these.
    #[inline]
    pub(crate) fn filter(&self) -> Option<Filter> {
        let number = self.0.filter as i64;
        FILTERS.iter().find(|(_, other)| *other == number).map(|(filter, _)| *filter)
    }

    pub(crate) fn ident(&self) -> usize {
        self.0.ident as usize
    }

    #[inline]
    pub(crate) fn flags(&self) -> u32 {
        self.0.flags as u32
    }

    #[inline]
    pub(crate) fn udata(&self) -> u64 {
        self.0.udata as usize as u64
    }

    /// Of an answer to a change: why it failed, if it did.
    pub(crate) fn error(&self) -> Option<Errno> {
        let number = self.0.data as i32;
        (self.flags() & ERROR != 0 && number != 0).then(|| Errno::from_raw_os_error(number))
    }
}

impl fmt::Debug for Kevent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} {}, flags {:#x}, udata {:#x}",
            self.filter(),
            self.ident(),
            self.flags(),
            self.udata()
        )
    }
}

// SAFETY: the pointer in it is a number of ours, which nobody follows.
unsafe impl Send for Kevent {}
// SAFETY: as above.
unsafe impl Sync for Kevent {}

/// A queue of events.
#[derive(Debug)]
pub(crate) struct Kqueue(OwnedFd);

impl Kqueue {
    /// A new one, that is not inherited.
    pub(crate) fn open() -> Result<Self, Errno> {
        // SAFETY: makes a descriptor, and touches no memory of ours.
        let number = unsafe { libc::kqueue() };
        if number < 0 {
            return Err(last_error());
        }
        // SAFETY: the descriptor was made by this call, and nobody else has its number.
        let kqueue = unsafe { OwnedFd::from_raw_fd(number) };
        rustix::io::fcntl_setfd(&kqueue, rustix::io::FdFlags::CLOEXEC)?;
        Ok(Self(kqueue))
    }

    /// kevent(2): makes changes, and then takes events, as many as `events` has capacity for, whose elements they replace. It
    /// waits for the first of them: for ever without a timeout. Changes are answered in the same list; then nothing is taken.
    #[inline]
    pub(crate) fn kevent(
        &self,
        changes: &[Kevent],
        events: &mut Vec<Kevent>,
        timeout: Option<Duration>,
    ) -> Result<usize, Errno> {
        events.clear();
        let timeout = timeout.map(|timeout| libc::timespec {
            tv_sec: timeout.as_secs() as _,
            tv_nsec: timeout.subsec_nanos() as _,
        });
        let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
        let (changes, changes_len) = (changes.as_ptr().cast(), changes.len() as _);
        let (places, places_len) = (events.as_mut_ptr().cast(), events.capacity() as _);
        // SAFETY: both lists have as many elements, or places, as is said, and live until the call returns; so does the timeout.
        // A `Kevent` is laid out as the system's.
        let count =
            unsafe { libc::kevent(self.0.as_raw_fd(), changes, changes_len, places, places_len, timeout) };
        let Ok(count) = usize::try_from(count) else { return Err(last_error()) };
        // SAFETY: the call has written this many, of which there are not more than places.
        unsafe { events.set_len(count) };
        Ok(count)
    }
}

impl AsFd for Kqueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
