//! Bytes in a row, of descriptors of any kind.

use std::os::fd::BorrowedFd;
use std::task::Poll;

use proactor_core::{Buffer, Cut, Error, Interest};
use wasip1::{FDFLAGS_NONBLOCK, FILETYPE_DIRECTORY, FILETYPE_REGULAR_FILE};

use super::{calls, poll_now};
use crate::MAX_TRANSFER;
use crate::call::{attempt, call};
use crate::vectored::{with_pieces, with_pieces_mut};

/// Whether a call on `descriptor` would wait: what is no file, and could not be made non-blocking (standard input on most
/// hosts), is asked first.
fn would_wait(descriptor: BorrowedFd<'_>, interest: Interest) -> Result<bool, Error> {
    let status = call(|| calls::status(descriptor))?;
    let is_file = [FILETYPE_REGULAR_FILE, FILETYPE_DIRECTORY].contains(&status.fs_filetype);
    if is_file || status.fs_flags & FDFLAGS_NONBLOCK != 0 {
        return Ok(false);
    }
    Ok(poll_now(descriptor, interest)?.is_none())
}

/// Reads what there is into `bytes`, of which at most [`MAX_TRANSFER`] are used, at the descriptor's own position, without
/// waiting.
///
/// # Errors
/// What the system said.
pub fn read(descriptor: BorrowedFd<'_>, bytes: &mut [u8]) -> Poll<Result<usize, Error>> {
    if would_wait(descriptor, Interest::READABLE)? {
        return Poll::Pending;
    }
    super::receive(descriptor, bytes)
}

/// Writes what is taken of the first [`MAX_TRANSFER`] of `bytes`, at the descriptor's own position, without waiting.
///
/// # Errors
/// What the system said.
pub fn write(descriptor: BorrowedFd<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
    if would_wait(descriptor, Interest::WRITABLE)? {
        return Poll::Pending;
    }
    super::send(descriptor, bytes)
}

/// As [`read`], into several buffers, behind their first `from` bytes.
///
/// # Errors
/// [`Error::ReadOnlyBuffer`], or what the system said.
pub fn read_vectored(
    descriptor: BorrowedFd<'_>,
    buffers: &mut [Buffer],
    from: usize,
) -> Poll<Result<usize, Error>> {
    if would_wait(descriptor, Interest::READABLE)? {
        return Poll::Pending;
    }
    receive_vectored(descriptor, buffers, from)
}

/// As [`write`], from several buffers, behind their first `from` bytes.
///
/// # Errors
/// What the system said.
pub fn write_vectored(
    descriptor: BorrowedFd<'_>,
    buffers: &[Buffer],
    from: usize,
) -> Poll<Result<usize, Error>> {
    if would_wait(descriptor, Interest::WRITABLE)? {
        return Poll::Pending;
    }
    send_vectored(descriptor, buffers, from)
}

/// As [`receive`](crate::receive), into several buffers.
///
/// # Errors
/// [`Error::ReadOnlyBuffer`], or what the system said.
pub fn receive_vectored(
    socket: BorrowedFd<'_>,
    buffers: &mut [Buffer],
    from: usize,
) -> Poll<Result<usize, Error>> {
    with_pieces_mut(buffers, Cut::behind(from), |pieces| attempt(|| rustix::io::readv(socket, &mut *pieces)))?
}

/// As [`send`](crate::send), from several buffers.
///
/// # Errors
/// What the system said.
pub fn send_vectored(socket: BorrowedFd<'_>, buffers: &[Buffer], from: usize) -> Poll<Result<usize, Error>> {
    with_pieces(buffers, Cut::behind(from), |pieces| attempt(|| rustix::io::writev(socket, pieces)))
}

const _: () = assert!(MAX_TRANSFER == Cut::MAX_LEN);
