//! What a descriptor is, on Unix: its status tells, and of a socket its options.

use std::os::fd::BorrowedFd;

use proactor_core::Error;
use rustix::fs::{FileType, fstat};
use rustix::net::{AddressFamily, SocketType, ipproto, sockopt};

use super::{DescriptorKind, Transport};
use crate::call::call;

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
    let is_stream = call(|| sockopt::socket_type(socket))? == SocketType::STREAM;
    let family = call(|| sockopt::socket_domain(socket))?;
    match (is_stream, family == AddressFamily::UNIX) {
        (true, true) => return Ok(Transport::LocalStream),
        (false, true) => return Ok(Transport::LocalMessages),
        (false, false) => return Ok(Transport::Messages),
        (true, false) => {}
    }
    let over_ip = family == AddressFamily::INET || family == AddressFamily::INET6;
    let is_tcp = over_ip && call(|| sockopt::socket_protocol(socket))? == Some(ipproto::TCP);
    Ok(if is_tcp { Transport::Tcp } else { Transport::OtherStream })
}
