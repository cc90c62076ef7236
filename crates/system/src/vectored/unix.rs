//! Of descriptors without positions: those that block are told not to.

use std::os::fd::BorrowedFd;
use std::task::Poll;

use proactor_core::{Buffer, Cut, Error};
use rustix::net::{RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer};

use super::{with_pieces, with_pieces_mut};
use crate::call::attempt;
use crate::socket::SEND_FLAGS;

/// As [`read`](crate::read), into several buffers.
///
/// # Errors
/// [`Error::ReadOnlyBuffer`], or what the system said.
pub fn read_vectored(
    descriptor: BorrowedFd<'_>,
    buffers: &mut [Buffer],
    from: usize,
) -> Poll<Result<usize, Error>> {
    with_pieces_mut(buffers, Cut::behind(from), |pieces| {
        attempt(|| rustix::io::readv(descriptor, &mut *pieces))
    })?
}

/// As [`write`](crate::write), from several buffers.
///
/// # Errors
/// What the system said.
pub fn write_vectored(
    descriptor: BorrowedFd<'_>,
    buffers: &[Buffer],
    from: usize,
) -> Poll<Result<usize, Error>> {
    with_pieces(buffers, Cut::behind(from), |pieces| attempt(|| rustix::io::writev(descriptor, pieces)))
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
    let received = with_pieces_mut(buffers, Cut::behind(from), |pieces| {
        attempt(|| {
            let mut ancillary = RecvAncillaryBuffer::default();
            rustix::net::recvmsg(socket, &mut *pieces, &mut ancillary, RecvFlags::DONTWAIT)
        })
    })?;
    received.map_ok(|message| message.bytes)
}

/// As [`send`](crate::send), from several buffers: no signal where the peer is gone.
///
/// # Errors
/// What the system said.
pub fn send_vectored(socket: BorrowedFd<'_>, buffers: &[Buffer], from: usize) -> Poll<Result<usize, Error>> {
    with_pieces(buffers, Cut::behind(from), |pieces| {
        attempt(|| rustix::net::sendmsg(socket, pieces, &mut SendAncillaryBuffer::default(), SEND_FLAGS))
    })
}
