//! Pairs of datagram sockets for the ping-pong; setting up is not what it measures.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use crate::measurement::Result;

/// The sockets of one pair, which are not connected: each datagram names where it goes.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) client: UdpSocket,
    pub(crate) server: UdpSocket,
    /// Where the server is.
    pub(crate) address: SocketAddrV4,
}

/// Pairs of sockets on loopback, blocking.
///
/// # Errors
/// Whatever the system answers, running out of descriptors above all.
pub(crate) fn pairs(count: usize) -> Result<Vec<Pair>> {
    (0..count)
        .map(|_| {
            let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, server.local_addr()?.port());
            Ok(Pair { client, server, address })
        })
        .collect()
}
