//! Messages with what is enclosed: an address and descriptors.

use std::os::fd::AsFd;

use proactor_core::{Done, Error, Kind, Message, Outcome, ReceivedMsg, SentMsg, Slot, Token};
use proactor_system as system;
use rustix::io::Errno;

use crate::Uring;
use crate::backend::Started;
use crate::requests::Place;

impl Uring {
    /// Starts to receive a message.
    #[cold]
    pub(crate) fn recv_msg(
        &mut self,
        token: Token,
        slot: Slot,
        received: &mut ReceivedMsg,
    ) -> Result<Started, Error> {
        let ReceivedMsg { buffer, envelope, .. } = received;
        let socket = self.descriptors.get(slot)?;
        let (place, task) = (Place::reading(slot), (token, Kind::RecvMsg));
        if buffer.is_empty() && socket.takes_bytes() && buffer.is_writable() {
            // The kernel would wait for bytes that there is no room for.
            return self.nothing_to_move(place);
        }
        let on = (socket.as_fd(), socket.kind);
        self.requests.begin_message(place, on, task, (buffer, Some(envelope)), None)?;
        Ok(Started::Submitted)
    }

    /// Starts to send a message.
    #[cold]
    pub(crate) fn send_msg(
        &mut self,
        token: Token,
        slot: Slot,
        sent: &mut SentMsg,
    ) -> Result<Started, Error> {
        let SentMsg { buffer, envelope, .. } = sent;
        let socket = self.descriptors.get(slot)?;
        let (place, task) = (Place::writing(slot), (token, Kind::SendMsg));
        system::check_to_send(socket.kind, buffer, envelope)?;
        if buffer.is_empty() && socket.takes_bytes() {
            return self.nothing_to_move(place);
        }
        let on = (socket.as_fd(), socket.kind);
        self.requests.begin_message(place, on, task, (buffer, Some(envelope)), None)?;
        Ok(Started::Submitted)
    }

    fn nothing_to_move(&self, place: Place) -> Result<Started, Error> {
        if self.requests.is_idle(place) { Ok(Started::Done) } else { Err(Error::Busy) }
    }

    pub(crate) fn received_msg(&mut self, place: Place, result: Result<u32, Errno>, done: &mut Done) {
        let bytes = match result {
            Ok(bytes) => bytes as usize,
            Err(errno) => return self.refused(place, errno, done),
        };
        let Some(message) = self.requests.message(place) else { return };
        self.requests.end(place, done, |outcome| {
            if let Outcome::RecvMsg(ReceivedMsg { envelope, result, .. }) = outcome {
                envelope.set_address(message.address);
                let received = Message::new(bytes);
                *result = Ok(received.truncated(message.is_truncated, message.is_control_truncated));
            }
        });
    }

    pub(crate) fn sent_msg(&mut self, place: Place, result: Result<u32, Errno>, done: &mut Done) {
        match result {
            Ok(bytes) => self.requests.end(place, done, |outcome| {
                if let Outcome::SendMsg(sent) = outcome {
                    sent.result = Ok(bytes as usize);
                }
            }),
            Err(errno) => self.message_refused(place, errno, done),
        }
    }
}

/// Fills in that it went well, having moved nothing.
pub(crate) fn set_done(outcome: &mut Outcome) {
    match outcome {
        Outcome::RecvMsg(ReceivedMsg { result, .. }) => *result = Ok(Message::new(0)),
        Outcome::SendMsg(SentMsg { result, .. }) => *result = Ok(0),
        _ => {}
    }
}
