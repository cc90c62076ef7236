//! From a file to a socket.

use std::task::Poll;

use proactor_core::{Error, Operation, Outcome, Slot};
use rustix::io::Errno;

use crate::Sim;
use crate::attempt::Attempt;
use crate::parked::Work;
use crate::socket::Id;

impl Sim {
    pub(crate) fn begin_send_file(&self, socket: Id, operation: Operation) -> Result<Work, Outcome> {
        // Undecided as yet, and then not the reason.
        let mut outcome = operation.fail(Error::Unsupported);
        match outcome.file_part() {
            Some(_) if self.network.is_datagram(socket) => Err(outcome),
            Some(part) if part.left == 0 => {
                outcome.file_part_ended();
                Err(outcome)
            }
            _ => Ok(Work::SendFile(outcome)),
        }
    }

    pub(crate) fn send_file(&mut self, socket: Id, mut outcome: Outcome) -> Attempt {
        let Some(part) = outcome.file_part() else { return Attempt::Complete(outcome) };
        let len = usize::try_from(part.left).unwrap_or(usize::MAX);
        let sent = match self.files.part(part.file.slot(), part.offset, len) {
            Ok([]) => {
                outcome.file_part_ended();
                return Attempt::Complete(outcome);
            }
            Ok(bytes) => self.network.send(socket, bytes, &mut self.choices),
            Err(errno) => Poll::Ready(Err(errno)),
        };
        match sent {
            Poll::Pending => Attempt::Blocked(Work::SendFile(outcome)),
            Poll::Ready(Ok(count)) if !outcome.file_part_sent(count as u64) => {
                Attempt::Unfinished(Work::SendFile(outcome))
            }
            Poll::Ready(Ok(_)) => Attempt::Complete(outcome),
            Poll::Ready(Err(errno)) => {
                outcome.set_error(errno.into());
                Attempt::Complete(outcome)
            }
        }
    }
}

impl crate::files::Files {
    /// What is in a file from `offset` on, up to `len` bytes of it.
    fn part(&self, slot: Slot, offset: u64, len: usize) -> Result<&[u8], Errno> {
        let bytes = self.readable(self.opened(slot).ok_or(Errno::SPIPE)?)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let len = len.min(bytes.len() - start);
        Ok(&bytes[start..start + len])
    }
}
