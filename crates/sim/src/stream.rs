//! Bytes between connected sockets.

use std::collections::VecDeque;
use std::task::{Poll, ready};

use proactor_core::{Direction, Family, ShutdownHow};
use rustix::io::Errno;

use crate::choices::Choices;
use crate::network::Network;
use crate::socket::{Id, State, Stream};

impl Network {
    /// Sends as much of `bytes` as there is room for, or less if the seed says so.
    pub(crate) fn send(&mut self, id: Id, bytes: &[u8], choices: &mut Choices) -> Poll<Result<usize, Errno>> {
        if self.is_local(id) {
            if self.is_datagram(id) {
                return self.send_local(id, bytes, None).map_ok(|()| bytes.len());
            }
            ready!(self.check_local_sending(id))?;
        }
        if self.is_datagram(id) {
            return Poll::Ready(self.send_to(id, bytes, None, choices).map(|()| bytes.len()));
        }
        let socket = &mut self.sockets[id];
        let stream = match &mut socket.state {
            State::Connecting { .. } => return Poll::Pending,
            State::Connected(stream) if !stream.is_closed() && !stream.write_shut => stream,
            _ => return Poll::Ready(Err(socket.error.take().unwrap_or(Errno::PIPE))),
        };
        let Some(peer) = stream.peer else {
            // The other end is closed. This end learns it from the answer to what it sends.
            stream.reset = true;
            return Poll::Ready(Ok(bytes.len()));
        };
        let send_buffer = socket.options.send_buffer;
        let receive_buffer = self.sockets[peer].options.receive_buffer;
        let queue = &mut self.stream(peer).incoming;
        let room = (send_buffer + receive_buffer).saturating_sub(queue.len());
        if room == 0 {
            return Poll::Pending;
        }
        let sent = choices.transfer(room.min(bytes.len()));
        queue.extend(&bytes[..sent]);
        self.touch(peer, Direction::Read);
        Poll::Ready(Ok(sent))
    }

    /// Receives what has arrived into `bytes`, or less if the seed says so.
    pub(crate) fn recv(
        &mut self,
        id: Id,
        bytes: &mut [u8],
        choices: &mut Choices,
    ) -> Poll<Result<usize, Errno>> {
        if self.is_datagram(id) {
            return self.recv_from(id, bytes).map_ok(|(datagram, _)| datagram.len());
        }
        let socket = &mut self.sockets[id];
        let unconnected = if socket.is_local() { Errno::INVAL } else { Errno::NOTCONN };
        let stream = match &mut socket.state {
            State::Connecting { .. } => return Poll::Pending,
            State::Connected(stream) => stream,
            State::Idle | State::Listening(_) | State::Datagram(_) | State::LocalDatagram(_) => {
                return Poll::Ready(Err(socket.error.take().unwrap_or(unconnected)));
            }
        };
        if !stream.incoming.is_empty() {
            let received = choices.transfer(stream.incoming.len().min(bytes.len()));
            take(&mut stream.incoming, &mut bytes[..received]);
            if let Some(peer) = stream.peer {
                self.touch(peer, Direction::Write);
            }
            return Poll::Ready(Ok(received));
        }
        // A Unix socket tells a reset first, TCP the end that came before.
        let is_at_end = stream.ended && (socket.family != Family::Unix || socket.error.is_none());
        if is_at_end {
            return Poll::Ready(Ok(0));
        }
        if let Some(error) = socket.error.take() {
            return Poll::Ready(Err(error));
        }
        if stream.read_shut || stream.reset { Poll::Ready(Ok(0)) } else { Poll::Pending }
    }

    /// Ends one or both directions.
    pub(crate) fn shutdown(&mut self, id: Id, how: ShutdownHow) -> Result<(), Errno> {
        let (read, write) = match how {
            ShutdownHow::Read => (true, false),
            ShutdownHow::Write => (false, true),
            ShutdownHow::Both => (true, true),
        };
        let is_local = self.is_local(id);
        match &mut self.sockets[id].state {
            State::Idle if is_local => Ok(()),
            State::Idle => Err(Errno::NOTCONN),
            State::Datagram(_) => self.shutdown_datagrams(id, how),
            State::LocalDatagram(_) => self.shutdown_local_datagrams(id, how),
            State::Listening(_) => {
                if read {
                    self.stop_listening(id);
                }
                Ok(())
            }
            State::Connecting { .. } => {
                self.give_up_connect(id);
                Ok(())
            }
            State::Connected(stream) if stream.is_closed() && !is_local => Err(Errno::NOTCONN),
            State::Connected(stream) => {
                stream.read_shut |= read;
                let peer = stream.peer;
                self.touch(id, Direction::Read);
                if let Some(peer) = peer
                    && is_local
                    && read
                {
                    // What it waits to send, nobody will hear.
                    self.touch(peer, Direction::Write);
                }
                if write {
                    self.end_writing(id);
                }
                Ok(())
            }
        }
    }

    /// Tells the other end that no more will come (FIN).
    fn end_writing(&mut self, id: Id) {
        let stream = self.stream(id);
        stream.write_shut = true;
        let peer = stream.peer;
        self.touch(id, Direction::Write);
        if let Some(peer) = peer {
            self.stream(peer).ended = true;
            self.touch(peer, Direction::Read);
            self.touch(peer, Direction::Write);
        }
    }

    /// Ends the connection as closing does where nothing is lost: the other end may still receive what was sent.
    pub(crate) fn leave_peer(&mut self, id: Id) {
        self.end_writing(id);
        if let Some(peer) = self.stream(id).peer.take() {
            self.stream(peer).peer = None;
        }
    }

    /// Ends the connection at once, as a reset does (RST). What had arrived at the other end can still be received.
    pub(crate) fn reset_peer(&mut self, id: Id) {
        let Some(peer) = self.stream(id).peer.take() else { return };
        let stream = self.stream(peer);
        stream.peer = None;
        stream.reset = true;
        // An end that has seen the end of the stream misses nothing but its own sending.
        let has_ended = stream.ended;
        let error = if has_ended && !self.is_local(peer) { Errno::PIPE } else { Errno::CONNRESET };
        self.sockets[peer].error = Some(error);
        self.touch(peer, Direction::Read);
        self.touch(peer, Direction::Write);
    }

    /// What is known to be connected.
    fn stream(&mut self, id: Id) -> &mut Stream {
        match &mut self.sockets[id].state {
            State::Connected(stream) => stream,
            state => unreachable!("one end of a connection is {state:?}"),
        }
    }
}

/// Moves the first bytes of `queue` into `bytes`, which must not be longer.
fn take(queue: &mut VecDeque<u8>, bytes: &mut [u8]) {
    let (first, second) = queue.as_slices();
    let split = first.len().min(bytes.len());
    let (head, tail) = bytes.split_at_mut(split);
    head.copy_from_slice(&first[..split]);
    tail.copy_from_slice(&second[..tail.len()]);
    queue.drain(..bytes.len());
}
