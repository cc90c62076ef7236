//! Bytes that were read ahead of a descriptor that cannot be made non-blocking: standard input, most often.
//!
//! Some hosts have a buffer of their own for it, from which a short read takes only a part, and say nothing of what is left
//! there. So no read from such a descriptor is shorter than that buffer, and what it brings beyond what is wanted is kept here.

use std::cell::RefCell;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::task::Poll;

use proactor_core::Error;

thread_local! {
    /// What is left of what was read ahead, and from which descriptor.
    static LEFT: RefCell<Vec<(RawFd, Vec<u8>)>> = const { RefCell::new(Vec::new()) };
}

/// The length of a host's buffer.
const LEN: usize = 8 << 10;

/// The standard streams, whose numbers mean the same for as long as a program runs.
const STANDARD: std::ops::Range<RawFd> = 0..3;

/// The descriptor may refer to something new: nothing was read ahead of that.
pub(super) fn forget(descriptor: BorrowedFd<'_>) {
    let number = descriptor.as_raw_fd();
    if !STANDARD.contains(&number) {
        LEFT.with_borrow_mut(|left| left.retain(|(known, _)| *known != number));
    }
}

/// Moves what was read ahead into `bytes`; how much that was.
pub(super) fn take(descriptor: BorrowedFd<'_>, bytes: &mut [u8]) -> usize {
    let number = descriptor.as_raw_fd();
    LEFT.with_borrow_mut(|left| {
        let Some(place) = left.iter().position(|(known, _)| *known == number) else { return 0 };
        let ahead = &mut left[place].1;
        let count = ahead.len().min(bytes.len());
        bytes[..count].copy_from_slice(&ahead[..count]);
        ahead.drain(..count);
        if ahead.is_empty() {
            left.swap_remove(place);
        }
        count
    })
}

/// Reads into `bytes` by `read`, which is given no less than a host's buffer, and keeps what is too much. Nothing was kept
/// before.
pub(super) fn read(
    descriptor: BorrowedFd<'_>,
    bytes: &mut [u8],
    read: impl FnOnce(&mut [u8]) -> Poll<Result<usize, Error>>,
) -> Poll<Result<usize, Error>> {
    if bytes.len() >= LEN {
        return read(bytes);
    }
    let mut ahead = vec![0; LEN];
    read(&mut ahead).map_ok(|count| {
        let wanted = count.min(bytes.len());
        bytes[..wanted].copy_from_slice(&ahead[..wanted]);
        if count > wanted {
            ahead.truncate(count);
            ahead.drain(..wanted);
            LEFT.with_borrow_mut(|left| left.push((descriptor.as_raw_fd(), ahead)));
        }
        wanted
    })
}
