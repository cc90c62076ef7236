//! Bytes in a row, of descriptors of any kind.

use std::io::IoSlice;
use std::os::fd::BorrowedFd;
use std::task::Poll;

use proactor_core::{Buffer, Cut, Error, Interest};
use wasip1::{FDFLAGS_NONBLOCK, FILETYPE_DIRECTORY, FILETYPE_REGULAR_FILE};

use super::{ahead, calls, poll_now};
use crate::MAX_TRANSFER;
use crate::call::{attempt, call};
use crate::vectored::{with_pieces, with_pieces_mut};

/// Whether [`read`] and [`write`] ask before they would wait, where a descriptor is blocking: some hosts refuse to make it
/// anything else.
pub const ASKS_FIRST: bool = true;

/// So much fits where a pipe says that there is room: what its system promises, a page.
const ROOM: usize = 4096;

/// Whether calls on `descriptor` may wait: it is no file, and could not be made non-blocking (standard input on most hosts).
/// Before each such call it is asked.
fn may_wait(descriptor: BorrowedFd<'_>) -> Result<bool, Error> {
    let status = call(|| calls::status(descriptor))?;
    let is_file = [FILETYPE_REGULAR_FILE, FILETYPE_DIRECTORY].contains(&status.fs_filetype);
    Ok(!is_file && status.fs_flags & FDFLAGS_NONBLOCK == 0)
}

/// Reads what there is into `bytes`, of which at most [`MAX_TRANSFER`] are used, at the descriptor's own position, without
/// waiting.
///
/// # Errors
/// What the system said.
pub fn read(descriptor: BorrowedFd<'_>, bytes: &mut [u8]) -> Poll<Result<usize, Error>> {
    if may_wait(descriptor)? { read_if_there(descriptor, bytes) } else { read_piece(descriptor, bytes) }
}

/// Reads what was read ahead, or what there is, from a descriptor whose calls may wait.
fn read_if_there(descriptor: BorrowedFd<'_>, bytes: &mut [u8]) -> Poll<Result<usize, Error>> {
    let count = ahead::take(descriptor, bytes);
    if count > 0 || bytes.is_empty() {
        return Poll::Ready(Ok(count));
    }
    if poll_now(descriptor, Interest::READABLE)?.is_none() {
        return Poll::Pending;
    }
    ahead::read(descriptor, bytes, |bytes| read_piece(descriptor, bytes))
}

fn read_piece(descriptor: BorrowedFd<'_>, bytes: &mut [u8]) -> Poll<Result<usize, Error>> {
    let len = bytes.len().min(MAX_TRANSFER);
    let bytes = &mut bytes[..len];
    attempt(|| rustix::io::read(descriptor, &mut *bytes))
}

/// Writes what is taken of the first [`MAX_TRANSFER`] of `bytes`, at the descriptor's own position, without waiting.
///
/// # Errors
/// What the system said.
pub fn write(descriptor: BorrowedFd<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
    if may_wait(descriptor)? {
        if poll_now(descriptor, Interest::WRITABLE)?.is_none() {
            return Poll::Pending;
        }
        return write_piece(descriptor, &bytes[..bytes.len().min(ROOM)]);
    }
    write_piece(descriptor, bytes)
}

fn write_piece(descriptor: BorrowedFd<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
    let bytes = &bytes[..bytes.len().min(MAX_TRANSFER)];
    attempt(|| rustix::io::write(descriptor, bytes))
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
    let may_wait = may_wait(descriptor)?;
    let read = |piece: &mut [u8]| {
        // What filled the piece before may have been all that there was.
        if may_wait { read_if_there(descriptor, piece) } else { read_piece(descriptor, piece) }
    };
    with_pieces_mut(buffers, Cut::behind(from), |pieces| {
        until_one_waits(pieces.iter_mut().map(|piece| (piece.len(), read(piece))))
    })?
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
    with_pieces(buffers, Cut::behind(from), |pieces| match pieces {
        [first, ..] if first.len() >= GATHERED => write(descriptor, first),
        pieces => gathered(pieces, |bytes| write(descriptor, bytes)),
    })
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
    with_pieces_mut(buffers, Cut::behind(from), |pieces| {
        until_one_waits(pieces.iter_mut().map(|piece| (piece.len(), super::receive(socket, piece))))
    })?
}

/// As [`send`](crate::send), from several buffers.
///
/// # Errors
/// What the system said.
pub fn send_vectored(socket: BorrowedFd<'_>, buffers: &[Buffer], from: usize) -> Poll<Result<usize, Error>> {
    with_pieces(buffers, Cut::behind(from), |pieces| match pieces {
        [first, ..] if first.len() >= GATHERED => super::send(socket, first),
        pieces => gathered(pieces, |bytes| super::send(socket, bytes)),
    })
}

/// So much of several pieces goes in one call.
const GATHERED: usize = 16 << 10;

/// Makes one call with the pieces in a row, as far as there is room: some hosts take no more than the first of several, and
/// each on its own would wait for the network to confirm the one before.
fn gathered<T>(pieces: &[IoSlice<'_>], call: impl FnOnce(&[u8]) -> T) -> T {
    let mut bytes = [0; GATHERED];
    let mut len = 0;
    for piece in pieces {
        let count = piece.len().min(GATHERED - len);
        bytes[len..len + count].copy_from_slice(&piece[..count]);
        len += count;
        if count < piece.len() {
            break;
        }
    }
    call(&bytes[..len])
}

/// Adds up calls of one piece each, since some hosts take no more than the first of several: to the first that moves less
/// than it could. What that one says is told only if nothing was moved before.
pub(crate) fn one_by_one<E>(calls: impl Iterator<Item = (usize, Result<usize, E>)>) -> Result<usize, E> {
    let mut moved = 0;
    for (len, answer) in calls {
        match answer {
            Ok(count) => moved += count,
            Err(_) if moved > 0 => break,
            Err(error) => return Err(error),
        }
        if !matches!(answer, Ok(count) if count == len) {
            break;
        }
    }
    Ok(moved)
}

/// The same of calls that may have to wait.
fn until_one_waits(
    calls: impl Iterator<Item = (usize, Poll<Result<usize, Error>>)>,
) -> Poll<Result<usize, Error>> {
    let answers = calls.map(|(len, answer)| match answer {
        Poll::Ready(result) => (len, result.map_err(Some)),
        Poll::Pending => (len, Err(None)),
    });
    match one_by_one(answers) {
        Ok(moved) => Poll::Ready(Ok(moved)),
        Err(Some(error)) => Poll::Ready(Err(error)),
        Err(None) => Poll::Pending,
    }
}

const _: () = assert!(MAX_TRANSFER == Cut::MAX_LEN);
