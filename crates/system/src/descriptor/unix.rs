//! What a descriptor is, on Unix: its status tells, and of a socket its options.

use std::os::fd::BorrowedFd;

use proactor_core::Error;
use rustix::fs::{FileType, fstat};
use rustix::net::{AddressFamily, SocketType, sockopt};

use super::{DescriptorKind, Transport};
use crate::call::call;
use crate::socket::silence;

/// Finds out what `descriptor` is.
///
/// # Errors
/// What the system said.
pub fn descriptor_kind(descriptor: BorrowedFd<'_>) -> Result<DescriptorKind, Error> {
    let status = call(|| fstat(descriptor))?;
    Ok(match FileType::from_raw_mode(status.st_mode) {
        FileType::Socket => DescriptorKind::Socket(transport(descriptor)?),
        FileType::Fifo | FileType::CharacterDevice => DescriptorKind::Character,
        FileType::RegularFile | FileType::BlockDevice => DescriptorKind::File,
        FileType::Directory => DescriptorKind::Directory,
        _ => DescriptorKind::Other,
    })
}

fn transport(socket: BorrowedFd<'_>) -> Result<Transport, Error> {
    match call(|| silence(socket)) {
        // macOS: both directions are over, so that no option can be set; what has arrived can still be read.
        Err(error) if error == rustix::io::Errno::INVAL.into() => {}
        silenced => silenced?,
    }
    let kind = call(|| sockopt::socket_type(socket))?;
    let is_stream = kind == SocketType::STREAM;
    let family = call(|| socket_family(socket))?;
    if family == AddressFamily::UNIX {
        return Ok(if is_stream { Transport::LocalStream } else { Transport::LocalMessages });
    }
    let over_ip = family == AddressFamily::INET || family == AddressFamily::INET6;
    Ok(match is_stream {
        true if over_ip && is_tcp(socket)? => Transport::Tcp,
        true => Transport::OtherStream,
        false if over_ip && kind == SocketType::DGRAM && is_udp(socket)? => Transport::Udp,
        false => Transport::Messages,
    })
}

/// The family of a socket.
#[cfg(target_os = "linux")]
pub(crate) fn socket_family(socket: BorrowedFd<'_>) -> rustix::io::Result<AddressFamily> {
    sockopt::socket_domain(socket)
}

#[cfg(target_os = "linux")]
fn is_tcp(socket: BorrowedFd<'_>) -> Result<bool, Error> {
    Ok(call(|| sockopt::socket_protocol(socket))? == Some(rustix::net::ipproto::TCP))
}

#[cfg(target_os = "linux")]
fn is_udp(socket: BorrowedFd<'_>) -> Result<bool, Error> {
    Ok(call(|| sockopt::socket_protocol(socket))? == Some(rustix::net::ipproto::UDP))
}

/// The family of a socket, which its address tells: not all systems have an option for that.
#[cfg(not(target_os = "linux"))]
pub(crate) fn socket_family(socket: BorrowedFd<'_>) -> rustix::io::Result<AddressFamily> {
    Ok(rustix::net::getsockname(socket)?.address_family())
}

/// What else there may be on some of these systems (SCTP) has the end of a stream, too.
#[cfg(not(target_os = "linux"))]
const fn is_tcp(_socket: BorrowedFd<'_>) -> Result<bool, Error> {
    Ok(true)
}

/// Nobody tells.
#[cfg(not(target_os = "linux"))]
const fn is_udp(_socket: BorrowedFd<'_>) -> Result<bool, Error> {
    Ok(false)
}
