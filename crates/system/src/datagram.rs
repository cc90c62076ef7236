//! Datagrams: the calls that would block.

use std::io::IoSliceMut;
use std::os::fd::BorrowedFd;
use std::task::Poll;

#[cfg(not(target_os = "linux"))]
use proactor_core::Peer;
use proactor_core::{Address, Datagram, Error};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{RecvAncillaryBuffer, RecvFlags, ReturnFlags};

use crate::MAX_TRANSFER;
use crate::call::{attempt, call};
use crate::socket::{SEND_FLAGS, address_from_system, address_to_system};

/// A datagram as [`receive_from`] brings it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// What is in the buffer.
    pub datagram: Datagram,
    /// The sender's address; none where it has none, or one that core has no name for.
    pub address: Option<Address>,
}

/// Receives one datagram into `bytes`, of which at most [`MAX_TRANSFER`] are used, without waiting whatever the socket's
/// mode. Descriptors that come with it are closed.
///
/// # Errors
/// What the system said.
pub fn receive_from(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> Poll<Result<Message, Error>> {
    let len = bytes.len().min(MAX_TRANSFER);
    let bytes = &mut bytes[..len];
    let received = attempt(|| {
        let mut ancillary = RecvAncillaryBuffer::default();
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut ancillary, RecvFlags::DONTWAIT)
    });
    received.map(|received| {
        let message = received?;
        Ok(Message {
            datagram: Datagram::new(message.bytes, message.flags.contains(ReturnFlags::TRUNC)),
            address: message.address.and_then(|address| address_from_system(address).ok()),
        })
    })
}

/// As [`receive_from`], of a UDP socket, where the sender goes to `peer`, unless it fails: other systems than Linux tell what was cut in the header
/// of a message only.
///
/// # Errors
/// What the system said.
#[cfg(not(target_os = "linux"))]
pub fn receive_udp(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
    peer: &mut Peer,
) -> Poll<Result<Datagram, Error>> {
    receive_from(socket, bytes).map_ok(|message| {
        peer.set(message.address);
        message.datagram
    })
}

/// Whether `socket` says that it has room for what is to be sent.
///
/// # Errors
/// What the system said.
#[cold]
pub fn has_room(socket: BorrowedFd<'_>) -> Result<bool, Error> {
    let mut polled = [PollFd::from_borrowed_fd(socket, PollFlags::OUT)];
    call(|| rustix::event::poll(&mut polled, Some(&Timespec::default())))?;
    Ok(polled[0].revents().contains(PollFlags::OUT))
}

/// Sends `bytes` as one datagram to `address`, or to the peer that the socket is connected to, without waiting whatever
/// the socket's mode, and without a signal where the peer is gone.
///
/// # Errors
/// [`Error::Unsupported`] for an address that this crate does not know; otherwise what the system said.
#[inline]
pub fn send_to(socket: BorrowedFd<'_>, bytes: &[u8], address: Option<&Address>) -> Poll<Result<(), Error>> {
    let Some(Address::Inet(address)) = address else { return send_to_another(socket, bytes, address) };
    attempt(|| rustix::net::sendto(socket, bytes, SEND_FLAGS, address)).map_ok(drop)
}

/// The same where it is not an address of the internet.
#[inline(never)]
fn send_to_another(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    address: Option<&Address>,
) -> Poll<Result<(), Error>> {
    let sent = match address {
        Some(address) => {
            let address = address_to_system(address)?;
            attempt(|| rustix::net::sendto(socket, bytes, SEND_FLAGS, &address))
        }
        None => attempt(|| rustix::net::send(socket, bytes, SEND_FLAGS)),
    };
    sent.map_ok(drop)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixDatagram;

    use proactor_core::{Control, Family, Peer, Reply, SocketKind};
    use rustix::io::Errno;

    use super::*;
    use crate::{Mode, Transport, control, open_socket, receive_udp};

    fn bound() -> (UdpSocket, Address) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap().into();
        (socket, address)
    }

    #[test]
    fn a_datagram_comes_with_its_address_and_tells_what_is_missing() {
        let (server, address) = bound();
        let (client, transport) = open_socket(Family::Ipv4, SocketKind::Datagram, Mode::Blocking).unwrap();
        assert_eq!(transport, Transport::Udp);
        let mut bytes = [0; 4];
        assert_eq!(receive_from(server.as_fd(), &mut bytes), Poll::Pending);
        for sent in [&b"four"[..], b"five!", b""] {
            assert_eq!(send_to(client.as_fd(), sent, Some(&address)), Poll::Ready(Ok(())));
        }
        let Reply::Address(mut from) = control(client.as_fd(), &Control::LocalAddress).unwrap() else {
            panic!("it has an address")
        };
        let port = from.as_inet().unwrap().port();
        from = std::net::SocketAddr::from(([127, 0, 0, 1], port)).into();
        for (len, is_truncated) in [(4, false), (4, true), (0, false)] {
            let expected =
                Message { datagram: Datagram::new(len, is_truncated), address: Some(from.clone()) };
            assert_eq!(receive_from(server.as_fd(), &mut bytes), Poll::Ready(Ok(expected)));
        }
        assert_eq!(&bytes, b"five");

        let mut peer = Peer::default();
        assert_eq!(receive_udp(server.as_fd(), &mut bytes, &mut peer), Poll::Pending);
        assert_eq!(peer, Peer::default());
        for sent in [&b"more"[..], b"longer", b""] {
            assert_eq!(send_to(client.as_fd(), sent, Some(&address)), Poll::Ready(Ok(())));
        }
        for (len, is_truncated) in [(4, false), (4, true), (0, false)] {
            let expected = Datagram::new(len, is_truncated);
            assert_eq!(receive_udp(server.as_fd(), &mut bytes, &mut peer), Poll::Ready(Ok(expected)));
            assert_eq!(peer.address(), Some(&from));
        }
        assert_eq!(&bytes, b"long");
    }

    #[test]
    fn what_is_too_long_or_has_no_destination_is_refused() {
        let (server, address) = bound();
        let sent = send_to(server.as_fd(), &[0; 70_000], Some(&address));
        assert_eq!(sent, Poll::Ready(Err(Errno::MSGSIZE.into())));
        assert_eq!(send_to(server.as_fd(), b"x", None), Poll::Ready(Err(Errno::DESTADDRREQ.into())));
    }

    #[test]
    fn a_sender_without_an_address_has_none() {
        let (one, other) = UnixDatagram::pair().unwrap();
        assert_eq!(send_to(one.as_fd(), b"text", None), Poll::Ready(Ok(())));
        let expected = Message { datagram: Datagram::new(4, false), address: None };
        assert_eq!(receive_from(other.as_fd(), &mut [0; 8]), Poll::Ready(Ok(expected)));
        assert_eq!(has_room(one.as_fd()), Ok(true));
        while send_to(one.as_fd(), b"more", None) == Poll::Ready(Ok(())) {}
        assert_eq!(has_room(one.as_fd()), Ok(false));
        assert_eq!(send_to(one.as_fd(), b"full", None), Poll::Pending);
    }
}
