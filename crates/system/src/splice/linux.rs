//! splice(2).

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice};

use crate::{MAX_TRANSFER, sigpipe};

/// Whether the system moves bytes like this: it says of a pipe and itself that they cannot be the two, and of a call that it does
/// not have, or allow, something else.
pub(crate) fn can_splice() -> bool {
    rustix::pipe::pipe().is_ok_and(|(reader, writer)| {
        splice(&reader, None, &writer, None, 1, SpliceFlags::NONBLOCK) == Err(Errno::INVAL)
    })
}

/// Moves up to `len` bytes, or what one call takes of them.
pub(super) fn transfer(from: BorrowedFd<'_>, to: BorrowedFd<'_>, len: u64) -> Result<u64, Errno> {
    let len = usize::try_from(len).unwrap_or(usize::MAX).min(MAX_TRANSFER);
    let moved = sigpipe::without(|| splice(from, None, to, None, len, SpliceFlags::NONBLOCK))?;
    Ok(moved as u64)
}
