//! Waiting until a socket takes what is sent to it by other means than the ring.

use std::os::fd::BorrowedFd;

use proactor_core::{Kind, Token};

use super::{Place, Requests, Task};

impl Requests {
    /// Waits at `place`, which is idle, until `descriptor` may take more of an operation of `kind`; answered by a reply that
    /// [`is_poll`](super::Reply::is_poll). Does nothing if something is on its way there.
    pub(crate) fn begin_wait(
        &mut self,
        place: Place,
        descriptor: BorrowedFd<'_>,
        (token, kind): (Token, Kind),
    ) {
        if let Some(request) = self.idle(place) {
            request.task = Some(Task::new(token, kind, 0));
            self.poll(place, descriptor);
        }
    }

    /// The wait at `place` is over: what it was for. Nothing, if the kernel has it.
    pub(crate) fn end_wait(&mut self, place: Place) -> Option<Token> {
        let request = self.table.get_mut(place).filter(|request| !request.is_in_kernel())?;
        request.task.take().map(|task| task.token)
    }
}
