//! Operations on datagrams: what is asked, and what comes back.
//!
//! A connected datagram socket also takes [`Connect`](crate::Connect), [`Recv`](crate::Recv), [`Send`](crate::Send) and
//! [`SendAll`](crate::SendAll), a datagram each.

use std::fmt;
use std::net::SocketAddr;

use crate::operation::{Direction, OneShot, Target, UNDECIDED, submission};
use crate::outcome::error_of_result;
use crate::{Address, Buffer, Error, Handle};

/// The address at the other end of a datagram, in memory that is used again: it travels through [`RecvFrom`] and
/// [`SendTo`] like a buffer.
///
/// An empty one, [`Peer::default`], is memory to come, or nobody: of a socket that has no address, or, to send to, the
/// peer that the socket is connected to. The first address that comes into it allocates, later ones do not (contract
/// B1), so that whoever hands the same peer over again and again allocates once.
///
/// ```
/// use proactor_core::{Address, Peer};
///
/// let address: Address = "127.0.0.1:7000".parse()?;
/// let mut peer = Peer::from(address.clone());
/// assert_eq!(peer.address(), Some(&address));
/// peer.set(None);
/// assert_eq!(peer, Peer::default());
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Default)]
pub struct Peer(Option<Box<Option<Address>>>);

impl Peer {
    /// The address, if there is one.
    #[must_use]
    #[inline]
    pub fn address(&self) -> Option<&Address> {
        self.0.as_deref().and_then(Option::as_ref)
    }

    /// Puts another address into it, or none. Allocates if it never had one.
    #[inline]
    pub fn set(&mut self, address: Option<Address>) {
        match &mut self.0 {
            Some(place) => **place = address,
            None => self.0 = address.map(|address| Box::new(Some(address))),
        }
    }
}

impl PartialEq for Peer {
    fn eq(&self, other: &Self) -> bool {
        self.address() == other.address()
    }
}

impl Eq for Peer {}

impl From<Address> for Peer {
    fn from(address: Address) -> Self {
        Self(Some(Box::new(Some(address))))
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Address::from(address).into()
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address() {
            Some(address) => fmt::Display::fmt(address, f),
            None => f.write_str("nobody"),
        }
    }
}

/// Receives one datagram into the buffer's range, and the address that it came from. FIFO with the handle's other
/// receives.
///
/// It always reaches the system: an empty datagram is data, and an empty range takes a datagram too, of which nothing is
/// kept (contract R1). What does not fit into the range is lost, and [`Datagram::is_truncated`] tells.
///
/// On a stream socket it ends with the system's EOPNOTSUPP; on a connected datagram socket it also tells that an earlier
/// datagram was refused (ECONNREFUSED).
///
/// ```
/// use proactor_sim::{Buffer, Config, Family, Loop, Peer, RecvFrom, RunMode, SendTo};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut ev = Loop::<String>::open(Config::default())?;
/// let mut cx = ev.context();
/// let server = cx.datagram_socket(Family::Ipv4)?;
/// cx.bind(server, "127.0.0.1:0".parse()?)?;
/// let address = cx.local_address(server)?;
/// let client = cx.datagram_socket(Family::Ipv4)?;
///
/// let receive = RecvFrom { handle: server, buffer: Buffer::zeroed(2048), peer: Peer::default() };
/// cx.submit(receive, |_text, cx, received| match received.result {
///     // Buffer and peer go round: nothing is allocated for the next one.
///     Ok(datagram) => {
///         let buffer = received.buffer.slice(..datagram.len());
///         let answer = SendTo { handle: received.handle, buffer, peer: received.peer };
///         cx.submit(answer, |_text, _cx, sent| assert_eq!(sent.result, Ok(())));
///     }
///     Err(error) => cx.fail(error),
/// });
///
/// let ask = SendTo { handle: client, buffer: Buffer::from(b"hello"), peer: address.into() };
/// cx.submit(ask, |_text, cx, sent| {
///     assert_eq!(sent.result, Ok(()));
///     let receive = RecvFrom { handle: sent.handle, buffer: Buffer::zeroed(2048), peer: sent.peer };
///     cx.submit(receive, |text, _cx, received| match received.result {
///         Ok(datagram) => text.push_str(&String::from_utf8_lossy(&received.buffer[..datagram.len()])),
///         Err(error) => panic!("{error}"),
///     });
/// });
///
/// let mut text = String::new();
/// ev.run(&mut text, RunMode::UntilDone)?;
/// assert_eq!(text, "hello");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RecvFrom {
    /// A datagram socket, bound to an address.
    pub handle: Handle,
    /// Filled from its range's start.
    pub buffer: Buffer,
    /// Where the sender's address goes; what is in it does not matter.
    pub peer: Peer,
}

/// Sends the buffer's range as one datagram, an empty one too. FIFO with the handle's other sends.
///
/// It is sent whole or not at all: what is too long for the protocol fails with the system's EMSGSIZE. That it was sent
/// does not say that it arrives.
///
/// On a stream socket it ends with the system's EOPNOTSUPP; on a connected datagram socket it also tells that an earlier
/// datagram was refused (ECONNREFUSED), and then this one was not sent.
///
/// Over Unix sockets nothing is lost: where the receiver's queue is full, a sender that is
/// [connected](crate::Connect) to it waits. One that only names it cannot, because no system tells when there is room:
/// it is ENOBUFS then, which [`is_transient`](crate::Error::is_transient).
#[derive(Debug)]
pub struct SendTo {
    /// A datagram socket. Where it is not bound, the system chooses a port for it; a Unix socket stays without a name.
    pub handle: Handle,
    /// Its range is sent.
    pub buffer: Buffer,
    /// Where to. If it is empty, to the peer that the socket is connected to; without one, the outcome is the system's
    /// error (EDESTADDRREQ; of a Unix socket ENOTCONN).
    pub peer: Peer,
}

/// What one datagram brought into a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Datagram {
    len: u32,
    is_truncated: bool,
}

impl Datagram {
    /// One of which `len` bytes are in the buffer; `is_truncated` if there were more. A buffer is never longer than
    /// [`Buffer::MAX_LEN`].
    #[must_use]
    pub const fn new(len: usize, is_truncated: bool) -> Self {
        Self { len: if Buffer::is_too_long(len) { u32::MAX } else { len as u32 }, is_truncated }
    }

    /// How many bytes were written from the range's start on; zero if it was empty, or if the range is.
    #[must_use]
    #[inline]
    pub const fn len(self) -> usize {
        self.len as usize
    }

    /// Whether no byte was written.
    #[must_use]
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Whether it was longer than the range; the rest is lost.
    #[must_use]
    #[inline]
    pub const fn is_truncated(self) -> bool {
        self.is_truncated
    }
}

/// How a [`RecvFrom`] went.
#[derive(Debug)]
pub struct ReceivedFrom {
    /// The socket.
    pub handle: Handle,
    /// The buffer, its range as it was given.
    pub buffer: Buffer,
    /// The sender's address; empty where it has none, as an unbound Unix socket, or one that core has no name for. As it
    /// was given, if nothing was received.
    pub peer: Peer,
    /// What was received.
    pub result: Result<Datagram, Error>,
}

/// How a [`SendTo`] went.
#[derive(Debug)]
pub struct SentTo {
    /// The socket.
    pub handle: Handle,
    /// The buffer, its range as it was given.
    pub buffer: Buffer,
    /// Where to, as it was given.
    pub peer: Peer,
    /// Sent, or not.
    pub result: Result<(), Error>,
}

submission!(RecvFrom => ReceivedFrom, RecvFrom, |this| Target::Stream(this.handle, Direction::Read), |this| {
    ReceivedFrom { handle: this.handle, buffer: this.buffer, peer: this.peer, result: Err(UNDECIDED) }
});
submission!(SendTo => SentTo, SendTo, |this| Target::Stream(this.handle, Direction::Write), |this| {
    SentTo { handle: this.handle, buffer: this.buffer, peer: this.peer, result: Err(UNDECIDED) }
});

impl OneShot for RecvFrom {}
impl OneShot for SendTo {}

error_of_result!(ReceivedFrom, SentTo);

// As large as what a receive on a stream brings: no outcome grows for datagrams.
const _: () = assert!(size_of::<ReceivedFrom>() <= 64 && size_of::<SentTo>() <= 64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_keeps_its_memory() {
        let first: Address = "127.0.0.1:7".parse().unwrap();
        let mut peer = Peer::default();
        peer.set(None);
        assert_eq!((peer.address(), format!("{peer:?}")), (None, "nobody".to_owned()));
        peer.set(Some(first.clone()));
        let place = std::ptr::from_ref(peer.address().unwrap());
        peer.set(None);
        assert_eq!((peer.address(), &peer), (None, &Peer::default()));
        peer.set(Some(first.clone()));
        assert_eq!(std::ptr::from_ref(peer.address().unwrap()), place);
        assert_eq!((peer, format!("{first:?}")), (Peer::from(first), "127.0.0.1:7".to_owned()));
    }

    #[test]
    fn a_datagram_tells_what_it_was_made_of() {
        let datagram = Datagram::new(7, true);
        assert_eq!((datagram.len(), datagram.is_empty(), datagram.is_truncated()), (7, false, true));
        assert!(Datagram::new(0, false).is_empty());
    }
}
