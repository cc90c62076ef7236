//! What poll(2) has no word for.

use std::os::fd::BorrowedFd;

use rustix::event::PollFlags;
use rustix::net::{RecvFlags, recv};

/// Nothing: only that both directions are over is told, and that in any case.
pub(super) const HANG_UP: PollFlags = PollFlags::empty();

/// Whether the other end of a stream writes no more, and all that it wrote was read. As long as there is something to be read
/// nobody but kqueue could tell.
pub(super) fn has_ended(descriptor: BorrowedFd<'_>) -> bool {
    let is_stream = rustix::net::sockopt::socket_type(descriptor) == Ok(rustix::net::SocketType::STREAM);
    let mut byte = [0];
    is_stream && matches!(recv(descriptor, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT), Ok((0, _)))
}
