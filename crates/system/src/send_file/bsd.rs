//! From a file to a socket on macOS and the BSDs, whose sendfile(2) differs and is missing on two of them: read and written,
//! piece by piece, by a thread of the pool. What the socket does not take is read once more.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;

use crate::socket::SEND_FLAGS;

/// As much goes through the stack.
const LEN: usize = 16 << 10;

/// Nothing tells what is in the cache.
pub(super) const fn is_cached(_file: BorrowedFd<'_>, _offset: u64, _lens: (u64, u64)) -> bool {
    false
}

/// Sends `len` bytes of a file at `at`, or what one call takes of them.
pub(super) fn transfer(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    at: &mut u64,
    len: usize,
) -> Result<usize, Errno> {
    let mut bytes = [0; LEN];
    let read = rustix::io::pread(file, &mut bytes[..len.min(LEN)], *at)?;
    if read == 0 {
        return Ok(0);
    }
    rustix::net::send(socket, &bytes[..read], SEND_FLAGS)
}

/// Whether what is no socket takes a file: it is copied by the call of a socket.
pub(super) const fn takes_files(_descriptor: BorrowedFd<'_>) -> bool {
    false
}
