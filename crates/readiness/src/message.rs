//! Messages with descriptors: each is one call, which takes all of the descriptors or would block.

use std::task::Poll;

use proactor_core::{Done, Error, Message, Outcome, ReceivedMsg, SentMsg, Slot, Token};
use proactor_system as system;

use crate::Readiness;
use crate::poller::Poller;
use crate::source::Source;
use crate::table::{Table, Waiter};

impl Table {
    /// Receives a message, or waits to; whether it is decided.
    #[cold]
    pub(crate) fn recv_msg(&mut self, token: Token, slot: Slot, received: &mut ReceivedMsg) -> bool {
        let attempt = match self.reader(slot) {
            Ok(entry) => {
                let attempt = entry.source.receive_message_first(received);
                if attempt.is_pending() {
                    entry.reader = Waiter::new(token);
                }
                attempt
            }
            Err(error) => Poll::Ready(Err(error)),
        };
        attempt.map(|result| received.result = result).is_ready()
    }

    /// Sends a message, or waits to; whether it is decided.
    #[cold]
    pub(crate) fn send_msg(&mut self, token: Token, slot: Slot, sent: &mut SentMsg) -> bool {
        let attempt = match self.writer(slot) {
            Ok(entry) => {
                let attempt = entry.source.send_message_first(sent);
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

impl<P: Poller> Readiness<P> {
    /// Tries again what waits to receive a message, after an edge.
    #[cold]
    pub(crate) fn resume_recv_msg(&mut self, token: Token, slot: Slot, done: &mut Done) {
        let Ok(entry) = self.table.get(slot) else { return };
        let Some(Outcome::RecvMsg(received)) = done.undecided(token) else { return };
        if let Poll::Ready(result) = entry.source.receive_message(received) {
            received.result = result;
            entry.reader = Waiter::NOBODY;
            done.decided(token);
        }
    }
}

impl Source {
    fn receive_message(&mut self, received: &mut ReceivedMsg) -> Poll<Result<Message, Error>> {
        let ReceivedMsg { buffer, envelope, .. } = received;
        let received = system::receive_message(self.descriptor()?, buffer.as_mut_slice()?, envelope);
        self.read_drained = received.is_pending();
        received
    }

    /// Receives a message, if an answer can be expected.
    fn receive_message_first(&mut self, received: &mut ReceivedMsg) -> Poll<Result<Message, Error>> {
        if !received.buffer.is_writable() {
            return Poll::Ready(Err(Error::ReadOnlyBuffer));
        }
        if received.buffer.is_empty() && self.takes_bytes() {
            return Poll::Ready(Ok(Message::new(0)));
        }
        if self.read_drained {
            return Poll::Pending;
        }
        self.receive_message(received)
    }

    /// Sends a message, if an answer can be expected.
    pub(crate) fn send_message_first(&mut self, sent: &SentMsg) -> Poll<Result<usize, Error>> {
        let SentMsg { buffer, envelope, .. } = sent;
        system::check_to_send(self.kind(), buffer, envelope)?;
        if buffer.is_empty() && self.takes_bytes() {
            return Poll::Ready(Ok(0));
        }
        if self.write_drained {
            return Poll::Pending;
        }
        let sent = system::send_message(self.descriptor()?, buffer, envelope);
        if sent.is_pending() && envelope.address().is_some() && self.is_local() {
            return self.send_to_the_slow(|socket| system::send_message(socket, buffer, envelope));
        }
        self.write_drained = sent.is_pending();
        sent
    }
}
