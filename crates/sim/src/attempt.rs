//! One attempt at each kind of operation.

use std::task::Poll;

use proactor_core::{
    Accept, AcceptMany, Accepted, Address, Connect, Connected, Connection, Done, Error, Handle, Outcome,
    Received, Recv, Send, SendAll, Sent, SentAll, ShutDown, Shutdown, Token,
};

use crate::Sim;
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
    /// Tries `work` on `socket`.
    pub(crate) fn attempt(&mut self, socket: Id, token: Token, work: Work, done: &mut Done) -> Attempt {
        match work {
            Work::Accept(operation) => self.accept(socket, operation, done),
            Work::AcceptMany(operation) => self.accept_many(socket, token, operation, done),
            Work::Connect(operation) => self.connect(socket, operation),
            Work::Connecting(operation) => self.finish_connect(socket, operation),
            Work::Recv(operation) => self.recv(socket, operation),
            Work::Send(operation) => self.send(socket, operation),
            Work::SendAll { operation, transferred } => self.send_all(socket, operation, transferred),
            Work::Shutdown(operation) => self.shutdown(socket, operation),
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
        if self.table.is_taken(handle.slot()) {
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
        match self.network.begin_connect(socket, &operation.address, &mut self.choices) {
            Ok(()) => self.finish_connect(socket, operation),
            Err(error) => Attempt::Complete(Work::Connect(operation).fail(error.into())),
        }
    }

    fn finish_connect(&mut self, socket: Id, operation: Connect) -> Attempt {
        match self.network.finish_connect(socket) {
            Poll::Pending => Attempt::Blocked(Work::Connecting(operation)),
            Poll::Ready(result) => {
                let Connect { handle, address } = operation;
                let result = result.map_err(Error::from);
                Attempt::Complete(Outcome::Connect(Connected { handle, address, result }))
            }
        }
    }

    /// The real outcome of a connect that is cancelled, where it is decided already.
    pub(crate) fn decided(&mut self, socket: Id, work: Work) -> Result<Outcome, Work> {
        let Work::Connecting(operation) = work else { return Err(work) };
        match self.finish_connect(socket, operation) {
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

    fn shutdown(&mut self, socket: Id, operation: Shutdown) -> Attempt {
        let Shutdown { handle, how } = operation;
        let result = self.network.shutdown(socket, how).map_err(Error::from);
        Attempt::Complete(Outcome::Shutdown(ShutDown { handle, how, result }))
    }
}

/// The outcome of work that has nothing to do with its socket's state: it moves no byte, or could not.
///
/// # Errors
/// All other work comes back.
pub(crate) fn without_socket(work: Work) -> Result<Outcome, Work> {
    match work {
        Work::Recv(Recv { handle, buffer }) if !buffer.is_writable() => {
            Ok(Outcome::Recv(Received { handle, buffer, result: Err(Error::ReadOnlyBuffer) }))
        }
        Work::Recv(Recv { handle, buffer }) if buffer.is_empty() => {
            Ok(Outcome::Recv(Received { handle, buffer, result: Ok(0) }))
        }
        Work::Send(Send { handle, buffer }) if buffer.is_empty() => {
            Ok(Outcome::Send(Sent { handle, buffer, result: Ok(0) }))
        }
        Work::SendAll { operation: SendAll { handle, buffer }, .. } if buffer.is_empty() => {
            Ok(Outcome::SendAll(SentAll { handle, buffer, transferred: 0, result: Ok(()) }))
        }
        work => Err(work),
    }
}
