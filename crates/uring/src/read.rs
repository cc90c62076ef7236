//! Operations that read: accept. A receive needs nothing of its own.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use proactor_core::{Address, Connection, Done, Error, Handle, Kind, Outcome, Slot, Token};
use proactor_system::{DescriptorKind, Transport};

use crate::Uring;
use crate::address;
use crate::backend::Started;
use crate::descriptors::Descriptor;
use crate::requests::{Place, Reply, Requests};

impl Uring {
    /// Starts to accept one connection, or many.
    pub(crate) fn accept(&mut self, token: Token, slot: Slot, kind: Kind) -> Result<Started, Error> {
        let listener = self.descriptors.get(slot)?;
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
        let connection = self.peer(place, socket.as_fd()).and_then(|address| {
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
                self.has_stopped = true;
                self.resubmit(place, done);
            }
        }
    }

    /// The address of the peer of a socket that was accepted by the listener of `place`.
    fn peer(&self, place: Place, socket: BorrowedFd<'_>) -> Result<Address, Error> {
        match self.descriptors.get(place.slot())?.kind {
            // Of those, it is known also where the peer has closed since.
            DescriptorKind::Socket(Transport::LocalStream) => proactor_system::peer_address(socket),
            _ => address::peer(socket),
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
