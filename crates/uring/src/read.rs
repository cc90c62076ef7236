//! Operations that read: accept. A receive needs nothing of its own.

use std::os::fd::{AsFd, OwnedFd};

use proactor_core::{Connection, Done, Error, Handle, Kind, Outcome, Slot, Token};

use crate::Uring;
use crate::address;
use crate::backend::Started;
use crate::descriptors::Descriptor;
use crate::requests::{Place, Reply, Requests};

impl Uring {
    /// Starts to accept one connection, or many.
    pub(crate) fn accept(&mut self, token: Token, slot: Slot, kind: Kind) -> Result<Started, Error> {
        let listener = self.descriptors.get(slot)?;
        if listener.is_local() {
            // Better than to accept a connection and then to have no name for its peer.
            return Err(Error::Unsupported);
        }
        self.requests.begin_accept(Place::reading(slot), listener.as_fd(), (token, kind))?;
        Ok(Started::Submitted)
    }

    pub(crate) fn accepted(&mut self, reply: Reply, done: &mut Done) {
        let place = reply.place;
        let socket = match Requests::accepted(reply) {
            Ok(socket) => socket,
            Err(errno) => return self.refused(place, errno, done),
        };
        let result = self.requests.address(place).and_then(|address| {
            let handle = self.adopt_accepted(place, socket, done)?;
            Ok((handle, address))
        });
        self.requests.end(place, done, |outcome| {
            if let Outcome::Accept(accepted) = outcome {
                accepted.result = result;
            }
        });
    }

    pub(crate) fn accepted_many(&mut self, reply: Reply, done: &mut Done) {
        let (place, is_last) = (reply.place, reply.is_last);
        let socket = match Requests::accepted(reply) {
            Ok(socket) => socket,
            Err(errno) => return self.refused(place, errno, done),
        };
        let connection = address::peer(socket.as_fd()).and_then(|address| {
            let handle = self.adopt_accepted(place, socket, done)?;
            Ok(Connection { handle, address })
        });
        match (connection, self.requests.token(place)) {
            (Ok(connection), Some(token)) => done.push(token, Outcome::AcceptManyItem(connection)),
            _ => self.requests.end_unsupported(place),
        }
        if is_last {
            // Because it was cancelled, for want of memory, or because this kernel accepts one at a time.
            if self.requests.is_canceled(place) {
                self.fail(place, Error::Canceled, done);
            } else {
                self.resubmit(place, done);
            }
        }
    }

    /// Takes a socket into the loop that was accepted by the listener of `place`.
    fn adopt_accepted(&mut self, place: Place, socket: OwnedFd, done: &mut Done) -> Result<Handle, Error> {
        let kind = self.descriptors.get(place.slot())?.kind;
        let handle = done.new_handle();
        self.adopt(handle.slot(), Descriptor::new(socket, kind)).map_err(|(error, _)| {
            done.discard_handle(handle);
            error
        })?;
        Ok(handle)
    }
}
