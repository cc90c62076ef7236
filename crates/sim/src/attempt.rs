//! How each kind of operation begins, and one attempt at it.

use std::task::Poll;

use proactor_core::{
    Accept, AcceptMany, Accepted, Address, Connect, Connected, Connection, Done, Error, Handle, Operation,
    Outcome, Received, ReceivedFrom, Recv, RecvFrom, Send, SendAll, SendTo, Sent, SentAll, SentTo, ShutDown,
    Shutdown, Token,
};

use rustix::io::Errno;

use crate::Sim;
use crate::bytes;
use crate::message;
use crate::parked::Work;
use crate::socket::Id;

/// What an attempt came to.
pub(crate) enum Attempt {
    /// The operation is complete.
    Complete(Outcome),
    /// It cannot go on before something changes.
    Blocked(Work),
    /// It can go on at once, but others have their turn first.
    Unfinished(Work),
}

impl Sim {
    /// Begins `operation`: does what has its effect in the order of starting, whatever the seed says of completing.
    ///
    /// # Errors
    /// The outcome, where that was all.
    pub(crate) fn begin(&mut self, socket: Id, operation: Operation) -> Result<Work, Outcome> {
        match operation {
            Operation::Accept(operation) => Ok(Work::Accept(operation)),
            Operation::AcceptMany(operation) => Ok(Work::AcceptMany(operation)),
            Operation::Connect(operation) => self.begin_connect(socket, operation),
            Operation::Recv(operation) => begin_recv(operation, !self.network.is_datagram(socket)),
            // Streams only: a datagram has its length and its sender, which this would not tell.
            Operation::RecvMany(operation) if !self.network.is_datagram(socket) => {
                Ok(Work::RecvMany(operation))
            }
            Operation::Send(operation) => begin_send(operation, !self.network.is_datagram(socket)),
            Operation::SendAll(operation) => begin_send_all(operation, !self.network.is_datagram(socket)),
            Operation::RecvFrom(operation) => begin_recv_from(operation),
            Operation::SendTo(operation) => Ok(Work::SendTo(operation)),
            Operation::RecvMsg(operation) => {
                message::begin_recv_msg(operation, !self.network.is_datagram(socket))
            }
            Operation::SendMsg(operation) => {
                message::begin_send_msg(operation, !self.network.is_datagram(socket))
            }
            Operation::Shutdown(operation) => Err(self.shutdown(socket, operation)),
            Operation::Read(operation) => bytes::begin_read(operation),
            Operation::ReadExact(operation) => bytes::begin_read_exact(operation),
            Operation::Write(operation) => bytes::begin_write(operation),
            Operation::WriteAll(operation) => bytes::begin_write_all(operation),
            Operation::SendFile(_) | Operation::SendFileAll(_) => self.begin_send_file(socket, operation),
            Operation::ReadDir(_) => Err(operation.fail(rustix::io::Errno::NOTDIR.into())),
            operation @ (Operation::ReadVectored(_)
            | Operation::ReadVectoredExact(_)
            | Operation::WriteVectored(_)
            | Operation::WriteVectoredAll(_)) => self.begin_vectored(socket, operation),
            other => Err(other.fail(Error::Unsupported)),
        }
    }

    fn begin_connect(&mut self, socket: Id, operation: Connect) -> Result<Work, Outcome> {
        let begun = if self.network.is_local(socket) {
            self.connect_local(socket, &operation.address)
        } else {
            self.network.begin_connect(socket, &operation.address, &mut self.choices)
        };
        match begun {
            Ok(()) => Ok(Work::Connect(operation)),
            Err(error) => Err(Operation::Connect(operation).fail(error.into())),
        }
    }

    fn shutdown(&mut self, socket: Id, operation: Shutdown) -> Outcome {
        let Shutdown { handle, how } = operation;
        let result = self.network.shutdown(socket, how).map_err(Error::from);
        Outcome::Shutdown(ShutDown { handle, how, result })
    }

    /// Tries `work` on `socket`.
    pub(crate) fn attempt(&mut self, socket: Id, token: Token, work: Work, done: &mut Done) -> Attempt {
        match work {
            Work::Accept(operation) => self.accept(socket, operation, done),
            Work::AcceptMany(operation) => self.accept_many(socket, token, operation, done),
            Work::Connect(operation) => self.connect(socket, operation),
            Work::Recv(operation) => self.recv(socket, operation),
            Work::RecvMany(operation) => self.recv_many(socket, token, operation, done),
            Work::Send(operation) => self.send(socket, operation),
            Work::RecvFrom(operation) => self.recv_from(socket, operation),
            Work::SendTo(operation) => self.send_to(socket, operation),
            Work::RecvMsg(operation) => self.recv_msg(socket, operation),
            Work::SendMsg(operation) => self.send_msg(socket, operation),
            Work::SendAll { operation, transferred } => self.send_all(socket, operation, transferred),
            Work::Read(operation) => self.read(socket, operation),
            Work::ReadExact { operation, transferred } => self.read_exact(socket, operation, transferred),
            Work::SendFile(outcome) => self.send_file(socket, outcome),
            Work::Write(operation) => self.write(socket, operation),
            Work::WriteAll { operation, transferred } => self.write_all(socket, operation, transferred),
            Work::Vectored { outcome, direction } => self.try_vectored(socket, outcome, direction),
        }
    }

    fn accept(&mut self, socket: Id, operation: Accept, done: &mut Done) -> Attempt {
        match self.accept_one(socket, done) {
            Poll::Pending => Attempt::Blocked(Work::Accept(operation)),
            Poll::Ready(result) => {
                Attempt::Complete(Outcome::Accept(Accepted { listener: operation.listener, result }))
            }
        }
    }

    fn accept_many(&mut self, socket: Id, token: Token, operation: AcceptMany, done: &mut Done) -> Attempt {
        loop {
            match self.accept_one(socket, done) {
                Poll::Pending => return Attempt::Blocked(Work::AcceptMany(operation)),
                Poll::Ready(Ok((handle, address))) => {
                    done.push(token, Outcome::AcceptManyItem(Connection { handle, address }));
                }
                Poll::Ready(Err(error)) => {
                    return Attempt::Complete(Work::AcceptMany(operation).fail(error));
                }
            }
        }
    }

    /// Takes one connection into the loop.
    fn accept_one(&mut self, socket: Id, done: &mut Done) -> Poll<Result<(Handle, Address), Error>> {
        let (accepted, address) = match self.network.accept(socket) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
            Poll::Ready(Ok(accepted)) => accepted,
        };
        let handle = done.new_handle();
        if self.is_taken(handle.slot()) {
            // Only a caller that fills slots it has no handle for gets here.
            self.network.abort(accepted);
            done.discard_handle(handle);
            return Poll::Ready(Err(Error::Busy));
        }
        self.network.sockets[accepted].owner = Some(handle.slot());
        self.table.insert(handle.slot(), accepted);
        Poll::Ready(Ok((handle, address)))
    }

    fn connect(&mut self, socket: Id, operation: Connect) -> Attempt {
        match self.network.finish_connect(socket) {
            Poll::Pending => Attempt::Blocked(Work::Connect(operation)),
            Poll::Ready(result) => {
                let Connect { handle, address } = operation;
                let result = result.map_err(Error::from);
                Attempt::Complete(Outcome::Connect(Connected { handle, address, result }))
            }
        }
    }

    /// The real outcome of a connect that is cancelled, where it is decided already.
    pub(crate) fn decided(&mut self, socket: Id, work: Work) -> Result<Outcome, Work> {
        let Work::Connect(operation) = work else { return Err(work) };
        match self.connect(socket, operation) {
            Attempt::Complete(outcome) => Ok(outcome),
            Attempt::Blocked(work) | Attempt::Unfinished(work) => Err(work),
        }
    }

    fn recv(&mut self, socket: Id, operation: Recv) -> Attempt {
        let Recv { handle, mut buffer } = operation;
        let received = match buffer.as_mut_slice() {
            Ok(bytes) => self.network.recv(socket, bytes, &mut self.choices).map_err(Error::from),
            Err(error) => Poll::Ready(Err(error)),
        };
        match received {
            Poll::Pending => Attempt::Blocked(Work::Recv(Recv { handle, buffer })),
            Poll::Ready(result) => Attempt::Complete(Outcome::Recv(Received { handle, buffer, result })),
        }
    }

    fn recv_from(&mut self, socket: Id, operation: RecvFrom) -> Attempt {
        let RecvFrom { handle, mut buffer, mut peer } = operation;
        let received = match buffer.as_mut_slice() {
            Ok(bytes) => self.network.recv_from(socket, bytes).map_err(Error::from),
            Err(error) => Poll::Ready(Err(error)),
        };
        let result = match received {
            Poll::Pending => return Attempt::Blocked(Work::RecvFrom(RecvFrom { handle, buffer, peer })),
            Poll::Ready(Ok((datagram, address))) => {
                peer.set(address);
                Ok(datagram)
            }
            Poll::Ready(Err(error)) => Err(error),
        };
        Attempt::Complete(Outcome::RecvFrom(ReceivedFrom { handle, buffer, peer, result }))
    }

    fn send_to(&mut self, socket: Id, operation: SendTo) -> Attempt {
        let SendTo { handle, buffer, peer } = operation;
        match self.send_datagram(socket, &buffer, peer.address()) {
            Poll::Pending => Attempt::Blocked(Work::SendTo(SendTo { handle, buffer, peer })),
            Poll::Ready(sent) => {
                let result = sent.map_err(Error::from);
                Attempt::Complete(Outcome::SendTo(SentTo { handle, buffer, peer, result }))
            }
        }
    }

    /// Sends a datagram to `address`, or to whom the socket is connected to.
    pub(crate) fn send_datagram(
        &mut self,
        socket: Id,
        bytes: &[u8],
        address: Option<&Address>,
    ) -> Poll<Result<(), Errno>> {
        if !self.network.is_local(socket) {
            return Poll::Ready(self.network.send_to(socket, bytes, address, &mut self.choices));
        }
        if !self.network.is_datagram(socket) {
            return Poll::Ready(Err(Errno::OPNOTSUPP));
        }
        let to = match address {
            Some(address) => Some(self.network.named(socket, &self.find_by(socket, address)?)?),
            None => None,
        };
        self.network.send_local(socket, bytes, to)
    }

    fn send(&mut self, socket: Id, operation: Send) -> Attempt {
        match self.network.send(socket, &operation.buffer, &mut self.choices) {
            Poll::Pending => Attempt::Blocked(Work::Send(operation)),
            Poll::Ready(result) => {
                let Send { handle, buffer } = operation;
                let result = result.map_err(Error::from);
                Attempt::Complete(Outcome::Send(Sent { handle, buffer, result }))
            }
        }
    }

    fn send_all(&mut self, socket: Id, operation: SendAll, transferred: usize) -> Attempt {
        let sent = self.network.send(socket, &operation.buffer[transferred..], &mut self.choices);
        let (transferred, result) = match sent {
            Poll::Pending => return Attempt::Blocked(Work::SendAll { operation, transferred }),
            Poll::Ready(Err(error)) => (transferred, Err(Error::from(error))),
            Poll::Ready(Ok(sent)) => (transferred + sent, Ok(())),
        };
        if result.is_ok() && transferred < operation.buffer.len() {
            return Attempt::Unfinished(Work::SendAll { operation, transferred });
        }
        let SendAll { handle, buffer } = operation;
        Attempt::Complete(Outcome::SendAll(SentAll { handle, buffer, transferred, result }))
    }
}

fn begin_recv_from(operation: RecvFrom) -> Result<Work, Outcome> {
    if operation.buffer.is_writable() {
        return Ok(Work::RecvFrom(operation));
    }
    Err(Operation::RecvFrom(operation).fail(Error::ReadOnlyBuffer))
}

/// Of a stream, nothing is at once; of datagrams, there is an empty one to wait for.
fn begin_recv(operation: Recv, is_stream: bool) -> Result<Work, Outcome> {
    let Recv { handle, buffer } = operation;
    let result = match buffer.len() {
        _ if !buffer.is_writable() => Err(Error::ReadOnlyBuffer),
        0 if is_stream => Ok(0),
        _ => return Ok(Work::Recv(Recv { handle, buffer })),
    };
    Err(Outcome::Recv(Received { handle, buffer, result }))
}

fn begin_send(operation: Send, is_stream: bool) -> Result<Work, Outcome> {
    let Send { handle, buffer } = operation;
    if buffer.is_empty() && is_stream {
        return Err(Outcome::Send(Sent { handle, buffer, result: Ok(0) }));
    }
    Ok(Work::Send(Send { handle, buffer }))
}

fn begin_send_all(operation: SendAll, is_stream: bool) -> Result<Work, Outcome> {
    let SendAll { handle, buffer } = operation;
    if buffer.is_empty() && is_stream {
        return Err(Outcome::SendAll(SentAll { handle, buffer, transferred: 0, result: Ok(()) }));
    }
    Ok(Work::SendAll { operation: SendAll { handle, buffer }, transferred: 0 })
}
