//! Operations on bytes in a row, of descriptors of any kind: read and write, once and to the end.

use std::os::fd::AsFd;

use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use proactor_core::{
    Buffer, BytesRead, Done, Error, ExactRead, Kind, Outcome, Slot, Token, Written, WrittenAll,
};
use rustix::io::Errno;

use crate::Uring;
use crate::backend::Started;
use crate::requests::{Place, give_back};
use crate::transfer::Manner;

/// At the descriptor's own position, where it has one.
pub(crate) const OWN_POSITION: u64 = u64::MAX;

/// Whether it writes to its buffer.
#[inline(always)]
pub(crate) const fn fills_buffer(kind: Kind) -> bool {
    matches!(kind, Kind::Recv | Kind::Read | Kind::ReadExact)
}

/// Whether it goes on until its whole buffer is transferred.
pub(crate) const fn transfers_all(kind: Kind) -> bool {
    matches!(kind, Kind::SendAll | Kind::ReadExact | Kind::WriteAll)
}

/// The entry that reads or writes `len` bytes at `first`. Of a socket, it is the one of a receive or a send, because a
/// write would raise a signal where the peer is gone.
pub(crate) fn entry(
    kind: Kind,
    is_socket: bool,
    fd: Fd,
    (first, len): (*mut u8, u32),
    manner: &Manner,
) -> squeue::Entry {
    match kind {
        Kind::Read | Kind::ReadExact if is_socket => {
            opcode::Recv::new(fd, first, len).flags(manner.recv).build()
        }
        Kind::Read | Kind::ReadExact => opcode::Read::new(fd, first, len).offset(OWN_POSITION).build(),
        Kind::WriteAll if is_socket => opcode::Send::new(fd, first, len).flags(manner.send_all).build(),
        Kind::Write if is_socket => opcode::Send::new(fd, first, len).flags(manner.send).build(),
        _ => opcode::Write::new(fd, first, len).offset(OWN_POSITION).build(),
    }
}

/// Puts the buffer back into an operation on bytes, which has `transferred` so many of them so far.
pub(crate) fn give_back_to(outcome: &mut Outcome, returned: Buffer, so_far: u32) {
    match outcome {
        Outcome::Read(BytesRead { buffer, .. }) | Outcome::Write(Written { buffer, .. }) => {
            give_back(returned, buffer);
        }
        Outcome::ReadExact(ExactRead { buffer, transferred, .. })
        | Outcome::WriteAll(WrittenAll { buffer, transferred, .. }) => {
            give_back(returned, buffer);
            *transferred = so_far as usize;
        }
        _ => {}
    }
}

/// Fills in that it went well, having moved `bytes` in its last step.
pub(crate) fn set_done(outcome: &mut Outcome, bytes: usize) {
    match outcome {
        Outcome::Read(BytesRead { result, .. }) | Outcome::Write(Written { result, .. }) => {
            *result = Ok(bytes);
        }
        Outcome::ReadExact(ExactRead { result, .. }) | Outcome::WriteAll(WrittenAll { result, .. }) => {
            *result = Ok(());
        }
        _ => {}
    }
}

impl Uring {
    /// Starts an operation on bytes.
    pub(crate) fn transfer_bytes(
        &mut self,
        slot: Slot,
        token: Token,
        outcome: &mut Outcome,
    ) -> Result<Started, Error> {
        let kind = outcome.kind();
        let (buffer, place) = match outcome {
            Outcome::Read(BytesRead { buffer, .. }) | Outcome::ReadExact(ExactRead { buffer, .. }) => {
                (buffer, Place::reading(slot))
            }
            Outcome::Write(Written { buffer, .. }) | Outcome::WriteAll(WrittenAll { buffer, .. }) => {
                (buffer, Place::writing(slot))
            }
            _ => return Err(Error::Unsupported),
        };
        let descriptor = self.descriptors.get(slot)?;
        if !self.requests.is_idle(place) {
            return Err(Error::Busy);
        }
        if fills_buffer(kind) && !buffer.is_writable() {
            return Err(Error::ReadOnlyBuffer);
        }
        if buffer.is_empty() && !descriptor.takes_messages() {
            return Ok(Started::Done);
        }
        descriptor.keep_nonblocking()?;
        self.requests.begin_bytes(place, descriptor.as_fd(), (token, kind), buffer, descriptor.kind)?;
        Ok(Started::Submitted)
    }

    /// A read or a write has moved some bytes, or failed.
    pub(crate) fn moved(&mut self, place: Place, result: Result<u32, Errno>, done: &mut Done) {
        match result {
            Ok(bytes) => self.requests.end(place, done, |outcome| set_done(outcome, bytes as usize)),
            Err(errno) => self.refused(place, errno, done),
        }
    }

    /// The same of what is to move all, of which more may be left; a step that moves nothing ends it as `none`.
    pub(crate) fn moved_some(
        &mut self,
        place: Place,
        result: Result<u32, Errno>,
        none: Error,
        done: &mut Done,
    ) {
        let bytes = match result {
            Ok(bytes) => bytes,
            Err(errno) => return self.refused(place, errno, done),
        };
        if !self.requests.has_rest(place, bytes) {
            self.requests.end(place, done, |outcome| set_done(outcome, 0));
        } else if bytes == 0 {
            self.fail(place, none, done);
        } else if self.requests.is_canceled(place) {
            self.fail(place, Error::Canceled, done);
        } else {
            self.resubmit(place, done);
        }
    }
}
