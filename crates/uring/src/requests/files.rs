//! Operations on files and names, on this ring.

use std::os::fd::BorrowedFd;

use proactor_core::{Buffer, Done, Error, Kind, Outcome, Slot, Token};

use super::{Requests, Unread};
use crate::file_requests::FilePlace;

impl Requests {
    /// As [`FileRequests::begin`].
    ///
    /// # Errors
    /// As there.
    pub(crate) fn begin_file(
        &mut self,
        token: Token,
        on: Option<(Slot, BorrowedFd<'_>)>,
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        self.files.begin(&mut self.ring, token, on, outcome)
    }

    /// As [`FileRequests::begin_transfer`].
    #[inline]
    pub(crate) fn begin_file_transfer(
        &mut self,
        task: (Token, Kind),
        on: (Slot, BorrowedFd<'_>),
        what: (&mut Buffer, u64),
    ) -> bool {
        self.files.begin_transfer(&mut self.ring, task, on, what)
    }

    /// Decides what the kernel has, if this is the completion of a `ReadAt` or a `WriteAt` that has gone as it should. Gives the
    /// completion back otherwise, and nothing has changed.
    #[inline]
    pub(crate) fn finish_file_transfer(&mut self, unread: Unread, done: &mut Done) -> Option<Unread> {
        let Some(place) = FilePlace::named(unread.0.user_data()) else { return Some(unread) };
        if self.files.finish_transfer(place, &unread.0, done) { None } else { Some(unread) }
    }

    /// As [`FileRequests::submit`]; [`Error::Backend`] as well if there is no outcome.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn submit_file(
        &mut self,
        place: FilePlace,
        descriptor: Option<BorrowedFd<'_>>,
        outcome: Option<&mut Outcome>,
    ) -> Result<(), Error> {
        self.files.submit(&mut self.ring, place, descriptor, outcome.ok_or(Error::Backend)?)
    }

    /// As [`FileRequests::poll`].
    pub(crate) fn poll_file(&mut self, place: FilePlace, descriptor: BorrowedFd<'_>) {
        self.files.poll(&mut self.ring, place, descriptor);
    }

    /// As [`FileRequests::cancel`].
    pub(crate) fn cancel_file(&mut self, token: Token) -> bool {
        self.files.cancel(&mut self.ring, token)
    }
}
