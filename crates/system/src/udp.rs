//! UDP on Linux: in few instructions, since the call that they go into is a short one.
#![allow(unsafe_code)]

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::task::Poll;

use proactor_core::{Address, Datagram, Error, Peer};
use rustix::io::Errno;

use crate::MAX_TRANSFER;
use crate::call::attempt;

/// With the second flag Linux answers with the length that the datagram had. The header of a message, which tells that too, is
/// one more thing for the system to read and to write.
const FLAGS: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_TRUNC;

/// As [`receive_from`](crate::receive_from), of a UDP socket, whose datagrams bring nothing but bytes: the sender goes to `peer`,
/// unless it fails. Of other sockets it may not tell what was cut, nor who has sent it.
///
/// # Errors
/// What the system said.
#[inline]
pub fn receive_udp(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
    peer: &mut Peer,
) -> Poll<Result<Datagram, Error>> {
    let len = bytes.len().min(MAX_TRANSFER);
    let bytes = &mut bytes[..len];
    // rustix has room for every family's addresses, which it copies to and fro.
    let mut from = libc::sockaddr_in6 {
        sin6_family: libc::AF_UNSPEC as libc::sa_family_t,
        sin6_port: 0,
        sin6_flowinfo: 0,
        sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
        sin6_scope_id: 0,
    };
    let received = attempt(|| {
        let mut from_len = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
        // SAFETY: the system writes to no more than the bytes of `bytes`, of `from` and of `from_len`, which are borrowed mutably
        // for the call and may hold anything; the descriptor is open as long as it is borrowed.
        let received = unsafe {
            libc::recvfrom(
                socket.as_raw_fd(),
                bytes.as_mut_ptr().cast(),
                len,
                FLAGS,
                (&raw mut from).cast(),
                &raw mut from_len,
            )
        };
        usize::try_from(received)
            .map_err(|_| Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO))
    });
    received.map_ok(|whole| {
        peer.set(address(&from));
        Datagram::new(whole.min(len), whole > len)
    })
}

/// What the system has written.
#[inline]
fn address(from: &libc::sockaddr_in6) -> Option<Address> {
    let port = u16::from_be(from.sin6_port);
    let address = match libc::c_int::from(from.sin6_family) {
        // Where the one has its flow, the other has its address.
        libc::AF_INET => {
            SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::from(from.sin6_flowinfo.to_ne_bytes()), port))
        }
        libc::AF_INET6 => {
            let ip = Ipv6Addr::from(from.sin6_addr.s6_addr);
            SocketAddr::V6(SocketAddrV6::new(ip, port, u32::from_be(from.sin6_flowinfo), from.sin6_scope_id))
        }
        _ => return None,
    };
    Some(address.into())
}

const _: () = assert!(
    std::mem::offset_of!(libc::sockaddr_in6, sin6_flowinfo)
        == std::mem::offset_of!(libc::sockaddr_in, sin_addr)
        && std::mem::offset_of!(libc::sockaddr_in6, sin6_port)
            == std::mem::offset_of!(libc::sockaddr_in, sin_port)
);
