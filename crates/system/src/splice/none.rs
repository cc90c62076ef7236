//! Where the system does not move bytes between descriptors. A copy would not do: what was read from the one and not taken by the
//! other would be lost with an operation that is cancelled, or would have to be kept for whoever reads next (contract X1).

use std::os::fd::BorrowedFd;

use rustix::io::Errno;

/// It does not.
#[cfg(unix)]
pub(crate) const fn can_splice() -> bool {
    false
}

/// Moves nothing.
pub(super) const fn transfer(_from: BorrowedFd<'_>, _to: BorrowedFd<'_>, _len: u64) -> Result<u64, Errno> {
    Err(Errno::OPNOTSUPP)
}
