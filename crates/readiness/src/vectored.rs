//! Operations on several buffers: one call takes as many as it can, and those that move all go on until they have.

use std::task::{Poll, ready};

use proactor_core::{Cut, Error, Outcome, Vectored};
use proactor_system as system;

use crate::bytes::CALLS_PER_TURN;
use crate::files::AtOnce;
use crate::source::Source;

impl Source {
    /// Reads or writes at the descriptor's own position, if an answer can be expected. Pending without being drained, it
    /// has had its turn.
    #[cold]
    pub(crate) fn transfer_vectored(&mut self, outcome: &mut Outcome) -> Poll<()> {
        let Some(mut vectored) = outcome.vectored() else { return Poll::Ready(()) };
        let attempt = self.try_vectored(&mut vectored);
        attempt.map(|result| result.unwrap_or_else(|error| vectored.set_error(error)))
    }

    fn try_vectored(&mut self, vectored: &mut Vectored<'_>) -> Poll<Result<(), Error>> {
        vectored.check_writable()?;
        let needs_no_call = vectored.total() == 0 && !self.takes_messages();
        for _ in 0..CALLS_PER_TURN {
            let count = if needs_no_call { 0 } else { ready!(self.transfer_some(vectored))? };
            if vectored.moved(count) {
                return Poll::Ready(Ok(()));
            }
        }
        Poll::Pending
    }

    /// Makes one call.
    fn transfer_some(&mut self, vectored: &mut Vectored<'_>) -> Poll<Result<usize, Error>> {
        let is_drained = if vectored.reads { self.read_drained } else { self.write_drained };
        if is_drained {
            return Poll::Pending;
        }
        if !self.is_socket() {
            self.keep_nonblocking()?;
        }
        let from = vectored.transferred();
        let (descriptor, is_socket) = (self.descriptor()?, self.is_socket());
        let answer = match (vectored.reads, is_socket) {
            (true, true) => system::receive_vectored(descriptor, vectored.buffers, from),
            (true, false) => system::read_vectored(descriptor, vectored.buffers, from),
            (false, true) => system::send_vectored(descriptor, vectored.buffers, from),
            (false, false) => system::write_vectored(descriptor, vectored.buffers, from),
        };
        if !vectored.reads {
            self.write_drained = answer.is_pending();
        } else {
            self.read_drained = match answer {
                Poll::Pending => true,
                // As of a read into one buffer.
                Poll::Ready(Ok(len)) => {
                    self.short_read_drains && len != 0 && len < Cut::behind(from).len_of(vectored.buffers)
                }
                Poll::Ready(Err(_)) => false,
            };
        }
        if is_socket { answer } else { self.can_wait(answer) }
    }

    /// Reads what is in the system's cache, or writes to it, at the operation's position. What is left then, it says.
    pub(crate) fn transfer_vectored_now(&mut self, outcome: &mut Outcome) -> Result<Poll<()>, Error> {
        let Some(mut vectored) = outcome.vectored() else { return Err(Error::Unsupported) };
        vectored.check_writable()?;
        if vectored.total() == 0 {
            self.check_positions()?;
            vectored.moved(0);
            return Ok(Poll::Ready(()));
        }
        let is_possible = self.can_transfer_vectored_at_once(vectored.reads)?;
        for _ in 0..if is_possible { CALLS_PER_TURN } else { 0 } {
            match system::transfer_vectored_now(self.descriptor()?, &mut vectored) {
                system::Now::Done(count) => {
                    if vectored.moved(count?) {
                        return Ok(Poll::Ready(()));
                    }
                }
                system::Now::WouldWait => break,
                system::Now::Unable => {
                    *self.known_at_once(vectored.reads) = AtOnce::Never;
                    break;
                }
            }
        }
        Ok(Poll::Pending)
    }

    /// Whether the system can transfer without waiting, as far as that is known; asks where nothing is.
    fn can_transfer_vectored_at_once(&mut self, reads: bool) -> Result<bool, Error> {
        let known = *self.known_at_once(reads);
        let can = self.can_transfer_at_once(known)?;
        *self.known_at_once(reads) = can;
        Ok(can == AtOnce::Possible)
    }

    const fn known_at_once(&mut self, reads: bool) -> &mut AtOnce {
        if reads { &mut self.reads_at_once } else { &mut self.writes_at_once }
    }
}
