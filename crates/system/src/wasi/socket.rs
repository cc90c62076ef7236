//! Sockets, which the host has passed in.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::task::Poll;

use proactor_core::{Address, Error, ShutdownHow, UnixAddress};
use rustix::io::Errno;
use wasip1::{SDFLAGS_RD, SDFLAGS_WR};

use super::calls;
use crate::call::{attempt, call};
use crate::{MAX_TRANSFER, Mode};

/// How a socket has to be before its calls do not wait: none of them has a flag for that.
pub const SOCKETS_ARE: Option<Mode> = Some(Mode::Nonblocking);

/// Accepts a connection from a *nonblocking* listener: a blocking socket, and no address, of which the system says
/// nothing.
///
/// # Errors
/// What the system said.
pub fn accept(listener: BorrowedFd<'_>) -> Poll<Result<(OwnedFd, Address), Error>> {
    let accepted = attempt(|| calls::accept(listener, 0).map_err(not_a_socket));
    accepted.map_ok(|socket| (socket, UnixAddress::unnamed().into()))
}

/// Receives what has arrived into `bytes`, of which at most [`MAX_TRANSFER`] are used, without waiting if the socket is
/// [nonblocking](crate::Mode::Nonblocking).
///
/// # Errors
/// What the system said.
pub fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> Poll<Result<usize, Error>> {
    let len = bytes.len().min(MAX_TRANSFER);
    let bytes = &mut bytes[..len];
    attempt(|| calls::receive(socket, bytes).map_err(not_a_socket))
}

/// Sends what is taken of the first [`MAX_TRANSFER`] of `bytes`, without waiting if the socket is
/// [nonblocking](crate::Mode::Nonblocking). There are no signals.
///
/// # Errors
/// What the system said.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
    let bytes = &bytes[..bytes.len().min(MAX_TRANSFER)];
    attempt(|| calls::send(socket, bytes).map_err(not_a_socket))
}

/// A descriptor that is borrowed is open, so "bad" says that it is another one.
const fn not_a_socket(errno: Errno) -> Errno {
    match errno {
        Errno::BADF => Errno::NOTSOCK,
        errno => errno,
    }
}

/// Ends one or both directions of a connected socket.
///
/// # Errors
/// What the system said.
pub fn shutdown(socket: BorrowedFd<'_>, how: ShutdownHow) -> Result<(), Error> {
    let how = match how {
        ShutdownHow::Read => SDFLAGS_RD,
        ShutdownHow::Write => SDFLAGS_WR,
        ShutdownHow::Both => SDFLAGS_RD | SDFLAGS_WR,
    };
    call(|| calls::shutdown(socket, how).map_err(not_a_socket))
}
