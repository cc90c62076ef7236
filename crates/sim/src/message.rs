//! Messages with what is enclosed: an address. There are no descriptors here.

use std::task::Poll;

use proactor_core::{Error, Message, Operation, Outcome, ReceivedMsg, RecvMsg, SendMsg, SentMsg};
use rustix::io::Errno;

use crate::Sim;
use crate::attempt::Attempt;
use crate::parked::Work;
use crate::socket::Id;

impl Sim {
    pub(crate) fn recv_msg(&mut self, socket: Id, operation: RecvMsg) -> Attempt {
        let RecvMsg { handle, mut buffer, mut envelope } = operation;
        let received = match buffer.as_mut_slice() {
            Ok(bytes) if self.network.is_datagram(socket) => {
                let received = self.network.recv_from(socket, bytes);
                received.map_ok(|(datagram, address)| {
                    let message = Message::new(datagram.len()).truncated(datagram.is_truncated(), false);
                    (message, address)
                })
            }
            Ok(bytes) => {
                let received = self.network.recv(socket, bytes, &mut self.choices);
                received.map_ok(|len| (Message::new(len), None))
            }
            // It was refused when it began.
            Err(_) => Poll::Ready(Err(Errno::FAULT)),
        };
        let result = match received {
            Poll::Pending => return Attempt::Blocked(Work::RecvMsg(RecvMsg { handle, buffer, envelope })),
            Poll::Ready(Ok((message, address))) => {
                envelope.set_address(address);
                Ok(message)
            }
            Poll::Ready(Err(error)) => Err(error.into()),
        };
        Attempt::Complete(Outcome::RecvMsg(ReceivedMsg { handle, buffer, envelope, result }))
    }

    pub(crate) fn send_msg(&mut self, socket: Id, operation: SendMsg) -> Attempt {
        let SendMsg { handle, buffer, envelope } = operation;
        let sent = if self.network.is_datagram(socket) {
            self.send_datagram(socket, &buffer, envelope.address()).map_ok(|()| buffer.len())
        } else {
            self.network.send(socket, &buffer, &mut self.choices)
        };
        match sent {
            Poll::Pending => Attempt::Blocked(Work::SendMsg(SendMsg { handle, buffer, envelope })),
            Poll::Ready(result) => {
                let result = result.map_err(Error::from);
                Attempt::Complete(Outcome::SendMsg(SentMsg { handle, buffer, envelope, result }))
            }
        }
    }
}

pub(crate) fn begin_recv_msg(operation: RecvMsg, is_stream: bool) -> Result<Work, Outcome> {
    if !operation.buffer.is_writable() {
        return Err(Operation::RecvMsg(operation).fail(Error::ReadOnlyBuffer));
    }
    if operation.buffer.is_empty() && is_stream {
        let RecvMsg { handle, buffer, envelope } = operation;
        let result = Ok(Message::new(0));
        return Err(Outcome::RecvMsg(ReceivedMsg { handle, buffer, envelope, result }));
    }
    Ok(Work::RecvMsg(operation))
}

pub(crate) fn begin_send_msg(operation: SendMsg, is_stream: bool) -> Result<Work, Outcome> {
    let refused = |operation, error| Err(Operation::SendMsg(operation).fail(error));
    if is_stream && operation.envelope.address().is_some() {
        return refused(operation, Errno::OPNOTSUPP.into());
    }
    if !operation.envelope.descriptors().is_empty() {
        return refused(operation, Error::Unsupported);
    }
    if operation.buffer.is_empty() && is_stream {
        let SendMsg { handle, buffer, envelope } = operation;
        return Err(Outcome::SendMsg(SentMsg { handle, buffer, envelope, result: Ok(0) }));
    }
    Ok(Work::SendMsg(operation))
}
