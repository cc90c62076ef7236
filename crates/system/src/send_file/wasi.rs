//! From a file to a socket on WASI: read and written, piece by piece. What the socket does not take is read once more.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;

/// As much goes through the stack.
const LEN: usize = 16 << 10;

/// Nothing tells what is not in a cache, and no thread is there to wait.
pub(super) const fn is_cached(_file: BorrowedFd<'_>, _offset: u64, _lens: (u64, u64)) -> bool {
    true
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
    rustix::io::write(socket, &bytes[..read])
}

/// Whether what is no socket takes a file: it is copied by the call of a socket.
pub(super) const fn takes_files(_descriptor: BorrowedFd<'_>) -> bool {
    false
}
