//! Operations on datagrams: each is one call, which takes a whole datagram or would block.

use std::os::fd::BorrowedFd;
use std::task::Poll;

use proactor_core::{Buffer, Datagram, Done, Error, Outcome, Peer, ReceivedFrom, SentTo, Slot, Token};
use proactor_system::{self as system, DescriptorKind, Transport};
use rustix::io::Errno;

use crate::source::Source;
use crate::table::{Entry, Table, Waiter};

impl Table {
    /// Receives a datagram, or waits to; whether it is decided.
    #[inline(always)]
    pub(crate) fn recv_from(&mut self, token: Token, slot: Slot, received: &mut ReceivedFrom) -> bool {
        let attempt = match self.reader(slot) {
            Ok(entry) => {
                let attempt = entry.source.receive_from_first(&mut received.buffer, &mut received.peer);
                if attempt.is_pending() {
                    entry.reader = Waiter::new(token);
                }
                attempt
            }
            Err(error) => Poll::Ready(Err(error)),
        };
        attempt.map(|result| received.result = result).is_ready()
    }

    /// Sends a datagram, or waits to; whether it is decided.
    #[inline(always)]
    pub(crate) fn send_to(&mut self, token: Token, slot: Slot, sent: &mut SentTo) -> bool {
        let attempt = match self.writer(slot) {
            Ok(entry) => {
                let attempt = entry.source.send_to_first(&sent.buffer, &sent.peer);
                if attempt.is_pending() {
                    entry.writer = Waiter::new(token);
                }
                attempt
            }
            Err(error) => Poll::Ready(Err(error)),
        };
        attempt.map(|result| sent.result = result).is_ready()
    }
}

impl Entry {
    /// Tries again what waits to receive a datagram, after an edge. False if it waits for something else.
    pub(crate) fn resume_recv_from(&mut self, token: Token, done: &mut Done) -> bool {
        let resumed = done.decide(token, |outcome| {
            let Outcome::RecvFrom(received) = outcome else { return Err(false) };
            match self.source.receive_from(&mut received.buffer, &mut received.peer) {
                Poll::Ready(result) => received.result = result,
                Poll::Pending => return Err(true),
            }
            self.reader = Waiter::NOBODY;
            Ok(())
        });
        matches!(resumed, Some(Ok(()) | Err(true)))
    }
}

impl Source {
    /// Before a call that on a stream would mean something else.
    fn check_carries_messages(&self) -> Result<(), Error> {
        match self.kind() {
            DescriptorKind::Socket(transport) if transport.is_stream() => Err(Errno::OPNOTSUPP.into()),
            _ => Ok(()),
        }
    }

    #[inline(always)]
    fn is_udp(&self) -> bool {
        self.kind() == DescriptorKind::Socket(Transport::Udp)
    }

    /// Receives a datagram, and where it came from.
    #[inline(always)]
    fn receive_from(&mut self, buffer: &mut Buffer, peer: &mut Peer) -> Poll<Result<Datagram, Error>> {
        if !self.is_udp() {
            return self.receive_from_another(buffer, peer);
        }
        let received = system::receive_udp(self.descriptor()?, buffer.as_mut_slice()?, peer);
        self.read_drained = received.is_pending();
        received
    }

    #[inline(never)]
    fn receive_from_another(
        &mut self,
        buffer: &mut Buffer,
        peer: &mut Peer,
    ) -> Poll<Result<Datagram, Error>> {
        let received = system::receive_from(self.descriptor()?, buffer.as_mut_slice()?);
        self.read_drained = received.is_pending();
        received.map_ok(|message| {
            peer.set(message.address);
            message.datagram
        })
    }

    /// Receives a datagram, if an answer can be expected.
    #[inline(always)]
    fn receive_from_first(&mut self, buffer: &mut Buffer, peer: &mut Peer) -> Poll<Result<Datagram, Error>> {
        if !buffer.is_writable() {
            return Poll::Ready(Err(Error::ReadOnlyBuffer));
        }
        if !self.is_udp() {
            self.check_carries_messages()?;
        }
        if self.read_drained {
            return Poll::Pending;
        }
        self.receive_from(buffer, peer)
    }

    /// Sends a datagram, if an answer can be expected.
    #[inline(always)]
    pub(crate) fn send_to_first(&mut self, bytes: &[u8], peer: &Peer) -> Poll<Result<(), Error>> {
        if !self.is_udp() {
            self.check_carries_messages()?;
        }
        if self.write_drained {
            return Poll::Pending;
        }
        let sent = system::send_to(self.descriptor()?, bytes, peer.address());
        if sent.is_pending() && peer.address().is_some() && self.is_local() {
            return self.send_to_the_slow(|socket| system::send_to(socket, bytes, peer.address()));
        }
        self.write_drained = sent.is_pending();
        sent
    }

    /// Whether it is a Unix socket.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.kind(), DescriptorKind::Socket(transport) if transport.is_local())
    }

    /// Goes on after a Unix socket would block in sending to somebody by name.
    #[cold]
    pub(crate) fn send_to_the_slow<T>(
        &mut self,
        send: impl FnMut(BorrowedFd<'_>) -> Poll<Result<T, Error>>,
    ) -> Poll<Result<T, Error>> {
        let sent = send_to_the_slow(self.descriptor()?, send);
        self.write_drained = sent.is_pending();
        sent
    }
}

/// An edge comes only where the socket itself says that it has no room: for want of its own, or since it is connected to
/// just that receiver. Otherwise it is the queue of the receiver that is full, and nothing will tell when it is not.
fn send_to_the_slow<T>(
    socket: BorrowedFd<'_>,
    mut send: impl FnMut(BorrowedFd<'_>) -> Poll<Result<T, Error>>,
) -> Poll<Result<T, Error>> {
    if !system::has_room(socket)? {
        return Poll::Pending;
    }
    // There may be since the first try.
    match send(socket) {
        Poll::Pending if system::has_room(socket)? => Poll::Ready(Err(Errno::NOBUFS.into())),
        sent => sent,
    }
}
