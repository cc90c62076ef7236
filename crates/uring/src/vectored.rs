//! Operations on several buffers: how they begin, and what is made of the kernel's answers.

use std::os::fd::AsFd;

use proactor_core::{Done, Error, Kind, Outcome, Slot, Token};
use rustix::io::Errno;

use crate::Uring;
use crate::backend::Started;
use crate::file_requests::FileReply;
use crate::requests::Place;

/// Whether it is one of these.
pub(crate) const fn is_vectored(kind: Kind) -> bool {
    reads(kind)
        || matches!(
            kind,
            Kind::WriteVectored | Kind::WriteVectoredAll | Kind::WriteVectoredAt | Kind::WriteVectoredAllAt
        )
}

/// Whether it is one of these that reads.
pub(crate) const fn reads(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::ReadVectored | Kind::ReadVectoredExact | Kind::ReadVectoredAt | Kind::ReadVectoredExactAt
    )
}

/// Whether it is one of these that goes on until all is transferred.
pub(crate) const fn is_all(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::ReadVectoredExact
            | Kind::WriteVectoredAll
            | Kind::ReadVectoredExactAt
            | Kind::WriteVectoredAllAt
    )
}

/// Where an operation of `kind` on several buffers begins, which has a position.
///
/// # Errors
/// [`Error::Backend`] if it is no such operation.
pub(crate) fn offset(outcome: &mut Outcome, kind: Kind) -> Result<u64, Error> {
    let outcome = Some(outcome).filter(|outcome| outcome.kind() == kind);
    outcome.and_then(Outcome::vectored).and_then(|vectored| vectored.offset).ok_or(Error::Backend)
}

/// Fills in that it went well, having moved `count` bytes in its last step.
pub(crate) fn set_done(outcome: &mut Outcome, count: usize) {
    if let Some(mut vectored) = outcome.vectored() {
        vectored.moved(count);
    }
}

impl Uring {
    /// Starts an operation on several buffers at a descriptor's own position.
    #[cold]
    pub(crate) fn transfer_vectored(
        &mut self,
        slot: Slot,
        token: Token,
        outcome: &mut Outcome,
    ) -> Result<Started, Error> {
        let kind = outcome.kind();
        let mut vectored = outcome.vectored().ok_or(Error::Unsupported)?;
        let place = if vectored.reads { Place::reading(slot) } else { Place::writing(slot) };
        let descriptor = self.descriptors.get(slot)?;
        if !self.requests.is_idle(place) {
            return Err(Error::Busy);
        }
        vectored.check_writable()?;
        if vectored.total() == 0 && !descriptor.takes_messages() {
            return Ok(Started::Done);
        }
        descriptor.keep_nonblocking()?;
        let on = (descriptor.as_fd(), descriptor.kind);
        self.requests.begin_vectored(place, on, (token, kind), &mut vectored)?;
        Ok(Started::Submitted)
    }

    /// A call has moved some bytes, or failed.
    #[cold]
    pub(crate) fn moved_vectored(&mut self, place: Place, result: Result<u32, Errno>, done: &mut Done) {
        let count = match result {
            Ok(count) => count,
            Err(errno) => return self.refused(place, errno, done),
        };
        if !self.requests.has_vectored_rest(place, count) {
            self.requests.end(place, done, |outcome| set_done(outcome, count as usize));
        } else if self.requests.is_canceled(place) {
            self.fail(place, Error::Canceled, done);
        } else {
            self.resubmit(place, done);
        }
    }

    /// The same at a position.
    #[cold]
    pub(crate) fn moved_vectored_at(&mut self, reply: &FileReply, count: u32, done: &mut Done) {
        let place = reply.place;
        if !self.requests.files.has_vectored_rest(place, count) {
            self.requests.files.end(place, done, |outcome, _| set_done(outcome, count as usize));
        } else if self.requests.files.is_canceled(place) {
            self.fail_file(place, Error::Canceled, done);
        } else {
            self.resubmit_file(reply, done);
        }
    }
}
