//! Operations on datagrams.

use std::os::fd::AsFd;

use proactor_core::{Datagram, Done, Error, Kind, Outcome, ReceivedFrom, SentTo, Slot, Token};
use proactor_system::{self as system, DescriptorKind, Transport};
use rustix::io::Errno;

use crate::Uring;
use crate::backend::Started;
use crate::descriptors::Descriptor;
use crate::requests::Place;

impl Uring {
    /// Starts to receive a datagram.
    pub(crate) fn recv_from(
        &mut self,
        token: Token,
        slot: Slot,
        received: &mut ReceivedFrom,
    ) -> Result<Started, Error> {
        if !received.buffer.is_writable() {
            return Err(Error::ReadOnlyBuffer);
        }
        let socket = self.descriptors.get(slot)?;
        let (place, task) = (Place::reading(slot), (token, Kind::RecvFrom));
        if is_udp(socket)
            && self.requests.begin_datagram(place, socket.as_fd(), task, &mut received.buffer, None)?
        {
            return Ok(Started::Submitted);
        }
        check_carries_messages(socket)?;
        let on = (socket.as_fd(), socket.kind);
        self.requests.begin_message(place, on, task, (&mut received.buffer, None), None)?;
        Ok(Started::Submitted)
    }

    /// Starts to send a datagram.
    pub(crate) fn send_to(&mut self, token: Token, slot: Slot, sent: &mut SentTo) -> Result<Started, Error> {
        let socket = self.descriptors.get(slot)?;
        let (place, task) = (Place::writing(slot), (token, Kind::SendTo));
        let address = sent.peer.address();
        if is_udp(socket)
            && self.requests.begin_datagram(place, socket.as_fd(), task, &mut sent.buffer, address)?
        {
            return Ok(Started::Submitted);
        }
        check_carries_messages(socket)?;
        let on = (socket.as_fd(), socket.kind);
        self.requests.begin_message(place, on, task, (&mut sent.buffer, None), address)?;
        Ok(Started::Submitted)
    }

    pub(crate) fn received_from(&mut self, place: Place, result: Result<u32, Errno>, done: &mut Done) {
        let bytes = match result {
            Ok(bytes) => bytes as usize,
            Err(errno) => return self.refused(place, errno, done),
        };
        let Some(message) = self.requests.message(place) else { return };
        self.requests.end(place, done, |outcome| {
            if let Outcome::RecvFrom(received) = outcome {
                received.peer.set(message.address);
                received.result = Ok(Datagram::new(bytes, message.is_truncated));
            }
        });
    }

    pub(crate) fn sent_to(&mut self, place: Place, result: Result<u32, Errno>, done: &mut Done) {
        match result {
            Ok(_) => self.requests.end(place, done, |outcome| {
                if let Outcome::SendTo(sent) = outcome {
                    sent.result = Ok(());
                }
            }),
            Err(errno) => self.message_refused(place, errno, done),
        }
    }

    /// Goes on after the kernel has refused to send the message that is held at `place`.
    #[cold]
    pub(crate) fn message_refused(&mut self, place: Place, errno: Errno, done: &mut Done) {
        let has_room = |socket: &Descriptor| system::has_room(socket.as_fd()).unwrap_or(false);
        if errno == Errno::AGAIN
            && !self.requests.is_canceled(place)
            && self.requests.has_no_room_again(place)
            && self.descriptors.get(place.slot()).is_ok_and(has_room)
        {
            return self.fail(place, Errno::NOBUFS.into(), done);
        }
        self.refused(place, errno, done);
    }
}

fn is_udp(descriptor: &Descriptor) -> bool {
    descriptor.kind == DescriptorKind::Socket(Transport::Udp)
}

/// Before a call that on a stream would mean something else.
fn check_carries_messages(descriptor: &Descriptor) -> Result<(), Error> {
    match descriptor.kind {
        DescriptorKind::Socket(transport) if transport.is_stream() => Err(Errno::OPNOTSUPP.into()),
        _ => Ok(()),
    }
}
