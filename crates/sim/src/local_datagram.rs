//! Datagrams between Unix sockets. None is lost: a full receiver is waited for by who is connected to it.

use std::collections::VecDeque;
use std::task::Poll;

use proactor_core::{Address, Datagram, Direction, ShutdownHow, UnixAddress};
use rustix::io::Errno;

use crate::network::Network;
use crate::socket::{Id, State};

/// The state of a Unix socket of datagrams.
#[derive(Debug, Default)]
pub(crate) struct LocalDatagrams {
    peer: Peer,
    /// The bytes of what arrived and was not received, one datagram behind the other.
    bytes: VecDeque<u8>,
    /// How long each of these is, with the names of the senders that have one.
    queue: VecDeque<(usize, Option<UnixAddress>)>,
    /// Who waits for room in it.
    waiting: Vec<Id>,
    read_shut: bool,
    write_shut: bool,
}

/// Whom such a socket is connected to.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Peer {
    #[default]
    Nobody,
    Somebody(Id),
    /// It was closed, which is told to the next who sends.
    Gone,
}

/// As many as may wait to be received before a sender has to; one more does, as on Linux.
const LONGEST_QUEUE: usize = 10;

/// What of a send buffer a datagram cannot fill.
const OVERHEAD: usize = 32;

impl Network {
    fn local_datagrams(&mut self, id: Id) -> Result<&mut LocalDatagrams, Errno> {
        match &mut self.sockets[id].state {
            State::LocalDatagram(datagrams) => Ok(datagrams),
            _ => Err(Errno::OPNOTSUPP),
        }
    }

    /// Whom it is connected to, if to somebody who is there.
    pub(crate) fn local_peer(&self, id: Id) -> Option<Id> {
        match &self.sockets[id].state {
            State::LocalDatagram(LocalDatagrams { peer: Peer::Somebody(peer), .. }) => Some(*peer),
            _ => None,
        }
    }

    /// Whether `to` hears `from`: everybody, unless it is connected.
    fn may_send(&self, from: Id, to: Id) -> bool {
        match &self.sockets[to].state {
            State::LocalDatagram(LocalDatagrams { peer: Peer::Somebody(peer), .. }) => *peer == from,
            _ => true,
        }
    }

    /// Connects, which takes no time. What came from elsewhere is lost, and who was connected before hears of it.
    pub(crate) fn connect_local_datagrams(&mut self, id: Id, other: Id) -> Result<(), Errno> {
        if !self.may_send(id, other) {
            return Err(Errno::PERM);
        }
        let before = std::mem::replace(&mut self.local_datagrams(id)?.peer, Peer::Somebody(other));
        if let Peer::Somebody(before) = before
            && before != other
        {
            let datagrams = self.local_datagrams(id)?;
            datagrams.bytes.clear();
            datagrams.queue.clear();
            self.wake_waiting(id);
            if self.local_peer(before) == Some(id) {
                self.sockets[before].error = Some(Errno::CONNRESET);
                self.touch(before, Direction::Read);
            }
        }
        Ok(())
    }

    /// Sends `bytes` as one datagram to the socket `to`, or to whom this one is connected to.
    pub(crate) fn send_local(&mut self, id: Id, bytes: &[u8], to: Option<Id>) -> Poll<Result<(), Errno>> {
        let peer = self.local_datagrams(id)?.peer;
        let receiver = match (to, peer) {
            (Some(to), _) => to,
            (None, Peer::Somebody(peer)) => peer,
            (None, Peer::Gone) => {
                self.local_datagrams(id)?.peer = Peer::Nobody;
                return Poll::Ready(Err(Errno::CONNREFUSED));
            }
            (None, Peer::Nobody) => return Poll::Ready(Err(Errno::NOTCONN)),
        };
        if bytes.len() > self.sockets[id].options.send_buffer - OVERHEAD {
            return Poll::Ready(Err(Errno::MSGSIZE));
        }
        if !self.may_send(id, receiver) {
            return Poll::Ready(Err(Errno::PERM));
        }
        if self.local_datagrams(id)?.write_shut || self.local_datagrams(receiver)?.read_shut {
            return Poll::Ready(Err(Errno::PIPE));
        }
        let from = self.sockets[id].bound.as_ref().map(|bound| bound.address.clone());
        let queue = self.local_datagrams(receiver)?;
        if queue.queue.len() > LONGEST_QUEUE {
            if peer != Peer::Somebody(receiver) {
                // Nobody would tell it when there is room.
                return Poll::Ready(Err(Errno::NOBUFS));
            }
            if !queue.waiting.contains(&id) {
                queue.waiting.push(id);
            }
            return Poll::Pending;
        }
        queue.bytes.extend(bytes);
        queue.queue.push_back((bytes.len(), from));
        self.touch(receiver, Direction::Read);
        Poll::Ready(Ok(()))
    }

    /// Receives the oldest datagram into `bytes`, and tells where it came from, if that has a name.
    pub(crate) fn recv_local(
        &mut self,
        id: Id,
        bytes: &mut [u8],
    ) -> Poll<Result<(Datagram, Option<Address>), Errno>> {
        let datagrams = self.local_datagrams(id)?;
        if let Some((len, from)) = datagrams.queue.pop_front() {
            let kept = len.min(bytes.len());
            for (to, from) in bytes.iter_mut().zip(datagrams.bytes.drain(..len)) {
                *to = from;
            }
            self.wake_waiting(id);
            let received = Datagram::new(kept, len > kept);
            return Poll::Ready(Ok((received, from.map(Address::from))));
        }
        match self.sockets[id].error.take() {
            Some(error) => Poll::Ready(Err(error)),
            // Shut down for reading: an empty one, from nobody.
            None if self.local_datagrams(id)?.read_shut => Poll::Ready(Ok((Datagram::new(0, false), None))),
            None => Poll::Pending,
        }
    }

    /// Has those try again who wait for room.
    fn wake_waiting(&mut self, id: Id) {
        let waiting = self.local_datagrams(id).map(|it| std::mem::take(&mut it.waiting)).unwrap_or_default();
        for sender in waiting {
            if self.sockets.contains(sender) {
                self.touch(sender, Direction::Write);
            }
        }
    }

    pub(crate) fn shutdown_local_datagrams(&mut self, id: Id, how: ShutdownHow) -> Result<(), Errno> {
        let datagrams = self.local_datagrams(id)?;
        datagrams.read_shut |= how != ShutdownHow::Write;
        datagrams.write_shut |= how != ShutdownHow::Read;
        self.wake_waiting(id);
        self.touch(id, Direction::Write);
        self.touch(id, Direction::Read);
        Ok(())
    }

    /// Tells those who are connected to it that it is gone.
    pub(crate) fn leave_local_datagrams(&mut self, id: Id) {
        self.wake_waiting(id);
        for (_, socket) in &mut self.sockets {
            if let State::LocalDatagram(datagrams) = &mut socket.state
                && datagrams.peer == Peer::Somebody(id)
            {
                datagrams.peer = Peer::Gone;
            }
        }
    }
}
