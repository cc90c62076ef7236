//! Making sockets where the calls take flags.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketAddrAny, SocketFlags, SocketType, acceptfrom_with,
    socket_with,
};

use crate::Mode;

/// No waiting, and no signal where the peer is gone.
pub(crate) const SEND_FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// No waiting, and descriptors that come along are not inherited.
pub(crate) const RECEIVE_MESSAGE_FLAGS: RecvFlags = RecvFlags::DONTWAIT.union(RecvFlags::CMSG_CLOEXEC);

/// Descriptors that have come need nothing done to them.
pub(crate) const fn keep_to_ourselves(_descriptor: &OwnedFd) {}

/// Opens a socket that is not inherited.
pub(super) fn open(
    domain: AddressFamily,
    kind: SocketType,
    protocol: Option<Protocol>,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let flags = match mode {
        Mode::Blocking => SocketFlags::CLOEXEC,
        Mode::Nonblocking => SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
    };
    socket_with(domain, kind, flags, protocol)
}

/// Accepts a connection: a blocking socket, not inherited.
#[inline]
pub(super) fn accept(listener: BorrowedFd<'_>) -> Result<(OwnedFd, Option<SocketAddrAny>), Errno> {
    acceptfrom_with(listener, SocketFlags::CLOEXEC)
}

/// Sockets that come from elsewhere need nothing done to them.
pub(crate) const fn silence(_socket: BorrowedFd<'_>) -> Result<(), Errno> {
    Ok(())
}
