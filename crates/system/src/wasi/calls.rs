//! The calls that neither std nor rustix has, with safe arguments.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;
use wasip1::{Ciovec, Fd, Fdflags, Fdstat, Iovec, Sdflags};

use super::{Happened, Subscription};

fn number(descriptor: BorrowedFd<'_>) -> Fd {
    // A descriptor that is borrowed is none of the negative numbers.
    descriptor.as_raw_fd().cast_unsigned()
}

/// The numbers are the C library's too.
fn errno(error: wasip1::Errno) -> Errno {
    Errno::from_raw_os_error(error.raw().into())
}

/// What a descriptor is, and its flags.
pub(super) fn status(descriptor: BorrowedFd<'_>) -> Result<Fdstat, Errno> {
    // SAFETY: no memory of ours is named; any number is answered, and this one is open.
    unsafe { wasip1::fd_fdstat_get(number(descriptor)) }.map_err(errno)
}

/// What the descriptor `raw` is, if there is one.
pub(super) fn status_of_number(raw: u32) -> Result<Fdstat, Errno> {
    // SAFETY: no memory of ours is named; any number is answered, and nothing is changed.
    unsafe { wasip1::fd_fdstat_get(raw) }.map_err(errno)
}

/// Makes the directory `raw`, which was opened for the program, known to the C library. It looks for them itself, but stops
/// at the first descriptor that is none, and some hosts have sockets come first.
pub(super) fn make_known(raw: u32) -> Option<()> {
    // SAFETY: no memory of ours is named; any number is answered.
    let found = unsafe { wasip1::fd_prestat_get(raw) }.ok()?;
    if found.tag != wasip1::PREOPENTYPE_DIR.raw() {
        return None;
    }
    // SAFETY: the tag says that it is this one.
    let len = unsafe { found.u.dir.pr_name_len };
    let mut name = vec![0; len];
    // SAFETY: the host writes `len` bytes, which `name` has.
    unsafe { wasip1::fd_prestat_dir_name(raw, name.as_mut_ptr(), len) }.ok()?;
    let name = CString::new(name).ok()?;
    // SAFETY: `name` ends with a NUL and is copied.
    let result = unsafe { libc::__wasilibc_register_preopened_fd(raw.cast_signed(), name.as_ptr()) };
    (result == 0).then_some(())
}

pub(super) fn accept(listener: BorrowedFd<'_>, flags: Fdflags) -> Result<OwnedFd, Errno> {
    // SAFETY: no memory of ours is named, and the listener is open.
    let accepted = unsafe { wasip1::sock_accept(number(listener), flags) }.map_err(errno)?;
    // SAFETY: the number is new, so nobody owns it yet.
    Ok(unsafe { OwnedFd::from_raw_fd(accepted.cast_signed()) })
}

pub(super) fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> Result<usize, Errno> {
    let pieces = [Iovec { buf: bytes.as_mut_ptr(), buf_len: bytes.len() }];
    // SAFETY: the host writes to the piece alone, which is all of `bytes`.
    unsafe { wasip1::sock_recv(number(socket), &pieces, 0) }.map(|(count, _)| count).map_err(errno)
}

pub(super) fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    let pieces = [Ciovec { buf: bytes.as_ptr(), buf_len: bytes.len() }];
    // SAFETY: the host reads the piece alone, which is all of `bytes`.
    unsafe { wasip1::sock_send(number(socket), &pieces, 0) }.map_err(errno)
}

pub(super) fn shutdown(socket: BorrowedFd<'_>, how: Sdflags) -> Result<(), Errno> {
    // SAFETY: no memory of ours is named, and the socket is open.
    unsafe { wasip1::sock_shutdown(number(socket), how) }.map_err(errno)
}

/// The monotonic clock, in nanoseconds.
pub(super) fn monotonic() -> Result<u64, Errno> {
    // SAFETY: no memory of ours is named.
    unsafe { wasip1::clock_time_get(wasip1::CLOCKID_MONOTONIC, 0) }.map_err(errno)
}

/// Entries of a directory from `cookie` on, one behind the other, the last one perhaps cut off; how many bytes.
pub(crate) fn read_directory(
    directory: BorrowedFd<'_>,
    bytes: &mut [u8],
    cookie: u64,
) -> Result<usize, Errno> {
    let len = bytes.len();
    // SAFETY: the host writes `len` bytes at most, which `bytes` has.
    unsafe { wasip1::fd_readdir(number(directory), bytes.as_mut_ptr(), len, cookie) }.map_err(errno)
}

/// Waits for one of `subscriptions`, of which there is one at least, and writes what happened to `events`, which has room
/// for as many. How many did.
pub(super) fn poll(subscriptions: &[Subscription], events: &mut [Happened]) -> Result<usize, Errno> {
    assert!(events.len() >= subscriptions.len());
    let (list, len) = (subscriptions.as_ptr().cast(), subscriptions.len());
    // SAFETY: both types are the host's, in a transparent struct. It reads all of `subscriptions`, and writes no more events
    // than there are of these. What descriptors are named is no matter of memory: those that are none are told as such.
    unsafe { wasip1::poll_oneoff(list, events.as_mut_ptr().cast(), len) }.map_err(errno)
}
