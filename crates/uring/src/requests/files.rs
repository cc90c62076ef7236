//! Operations on files and names, on this ring.

use std::os::fd::BorrowedFd;

use proactor_core::{Error, Outcome, Slot, Token};

use super::Requests;
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
