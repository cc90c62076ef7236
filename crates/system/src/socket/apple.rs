//! Making sockets where the calls take no flags: what they would say is said afterwards.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketAddrAny, SocketType, acceptfrom, socket, sockopt,
};

use crate::Mode;

/// No waiting. That the peer is gone raises no signal is an option of the socket.
pub(crate) const SEND_FLAGS: SendFlags = SendFlags::DONTWAIT;

/// No waiting.
pub(crate) const RECEIVE_MESSAGE_FLAGS: RecvFlags = RecvFlags::DONTWAIT;

/// Has a descriptor that has come not be inherited. A program that another thread starts in between has it.
pub(crate) fn keep_to_ourselves(descriptor: &OwnedFd) {
    // Nothing that is open refuses.
    let _ = fcntl_setfd(descriptor, FdFlags::CLOEXEC);
}

/// Opens a socket that is not inherited.
pub(super) fn open(
    domain: AddressFamily,
    kind: SocketType,
    protocol: Option<Protocol>,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let opened = socket(domain, kind, protocol)?;
    prepare(&opened, mode)?;
    Ok(opened)
}

/// Accepts a connection: a blocking socket, not inherited.
pub(super) fn accept(listener: BorrowedFd<'_>) -> Result<(OwnedFd, Option<SocketAddrAny>), Errno> {
    let (accepted, address) = acceptfrom(listener)?;
    match prepare(&accepted, Mode::Blocking) {
        // Its peer is gone by now.
        Err(Errno::INVAL) => Err(Errno::CONNABORTED),
        prepared => prepared.map(|()| (accepted, address)),
    }
}

/// It has the mode of the listener that it comes from.
fn prepare(socket: &OwnedFd, mode: Mode) -> Result<(), Errno> {
    fcntl_setfd(socket, FdFlags::CLOEXEC)?;
    let flags = fcntl_getfl(socket)?;
    let wanted = match mode {
        Mode::Blocking => flags - OFlags::NONBLOCK,
        Mode::Nonblocking => flags | OFlags::NONBLOCK,
    };
    if wanted != flags {
        fcntl_setfl(socket, wanted)?;
    }
    silence(socket.as_fd())
}

/// Has it raise no signal where the peer is gone.
pub(crate) fn silence(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    sockopt::set_socket_nosigpipe(socket, true)
}
