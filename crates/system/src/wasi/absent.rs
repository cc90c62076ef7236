//! What WASI does not have: each is [`Error::Unsupported`]. Nothing of it is ever asked for by a backend whose capabilities
//! are true; where that is so, what cannot be has no value.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitStatus;
use std::task::Poll;

use proactor_core::{
    Address, Buffer, ChildProcess, Control, Datagram, Envelope, Error, Family, Message as Received, Peer,
    Reply, SignalSet, SocketKind,
};

use crate::{DescriptorKind, Mode, Transport};

/// A datagram as [`receive_from`] would bring it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// What is in the buffer.
    pub datagram: Datagram,
    /// The sender's address.
    pub address: Option<Address>,
}

/// Whether sockets of `family` can be opened: none can.
#[must_use]
pub const fn has_family(_family: Family) -> bool {
    false
}

/// Opens no socket.
///
/// # Errors
/// [`Error::Unsupported`].
pub const fn open_socket(
    _family: Family,
    _kind: SocketKind,
    _mode: Mode,
) -> Result<(OwnedFd, Transport), Error> {
    Err(Error::Unsupported)
}

/// Sets and asks nothing.
///
/// # Errors
/// [`Error::Unsupported`].
pub const fn control(_socket: BorrowedFd<'_>, _control: &Control) -> Result<Reply, Error> {
    Err(Error::Unsupported)
}

/// Connects nothing.
///
/// # Errors
/// [`Error::Unsupported`].
pub const fn connect(_socket: BorrowedFd<'_>, _address: &Address) -> Poll<Result<(), Error>> {
    Poll::Ready(Err(Error::Unsupported))
}

/// How the connect went that there was not.
///
/// # Errors
/// [`Error::Unsupported`].
pub const fn connect_result(_socket: BorrowedFd<'_>, _address: &Address) -> Poll<Result<(), Error>> {
    Poll::Ready(Err(Error::Unsupported))
}

/// Receives no datagram.
///
/// # Errors
/// [`Error::Unsupported`].
pub const fn receive_from(_socket: BorrowedFd<'_>, _bytes: &mut [u8]) -> Poll<Result<Message, Error>> {
    Poll::Ready(Err(Error::Unsupported))
}

/// Receives no datagram.
///
/// # Errors
/// [`Error::Unsupported`].
pub const fn receive_udp(
    _socket: BorrowedFd<'_>,
    _bytes: &mut [u8],
    _peer: &mut Peer,
) -> Poll<Result<Datagram, Error>> {
    Poll::Ready(Err(Error::Unsupported))
}

/// Sends no datagram.
///
/// # Errors
/// [`Error::Unsupported`].
pub const fn send_to(
    _socket: BorrowedFd<'_>,
    _bytes: &[u8],
    _address: Option<&Address>,
) -> Poll<Result<(), Error>> {
    Poll::Ready(Err(Error::Unsupported))
}

/// Nobody asks whether a socket has room.
///
/// # Errors
/// [`Error::Unsupported`].
pub const fn has_room(_socket: BorrowedFd<'_>) -> Result<bool, Error> {
    Err(Error::Unsupported)
}

/// Before a message that nothing can carry.
///
/// # Errors
/// [`Error::Unsupported`].
pub const fn check_to_send(
    _kind: DescriptorKind,
    _buffer: &Buffer,
    _envelope: &Envelope,
) -> Result<(), Error> {
    Err(Error::Unsupported)
}

/// Receives no message.
///
/// # Errors
/// [`Error::Unsupported`].
pub const fn receive_message(
    _socket: BorrowedFd<'_>,
    _bytes: &mut [u8],
    _envelope: &mut Envelope,
) -> Poll<Result<Received, Error>> {
    Poll::Ready(Err(Error::Unsupported))
}

/// Sends no message.
///
/// # Errors
/// [`Error::Unsupported`].
pub const fn send_message(
    _socket: BorrowedFd<'_>,
    _bytes: &[u8],
    _envelope: &Envelope,
) -> Poll<Result<usize, Error>> {
    Poll::Ready(Err(Error::Unsupported))
}

/// Takes no exit status: there are no children.
pub const fn try_wait(_child: &mut ChildProcess) -> Poll<Result<ExitStatus, Error>> {
    Poll::Ready(Err(Error::Unsupported))
}

/// What would watch signals. There is none.
#[derive(Debug)]
pub enum SignalWatch {}

impl SignalWatch {
    /// Begins nothing.
    ///
    /// # Errors
    /// [`Error::Unsupported`].
    pub const fn begin(_set: SignalSet) -> Result<Self, Error> {
        Err(Error::Unsupported)
    }

    /// The signals that were delivered.
    pub const fn take(&mut self) -> SignalSet {
        match *self {}
    }

    /// Watches no longer.
    pub const fn end(&mut self) {
        match *self {}
    }
}

impl AsFd for SignalWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match *self {}
    }
}
