//! Operations on several buffers at a descriptor's own position: what they need of the table.

use std::os::fd::BorrowedFd;

use io_uring::squeue;
use proactor_core::{Done, Error, Kind, Outcome, Token, Vectored};
use proactor_system::DescriptorKind;

use super::{Place, Requests, Task};
use crate::transfer::Manner;
use crate::vectored;
use crate::vectors::Vectors;

impl Requests {
    /// Hands a read or a write of `kind` to the kernel, taking its buffers away.
    ///
    /// # Errors
    /// [`Error::Busy`] if something is on its way at `place` already, [`Error::ReadOnlyBuffer`] if a buffer is to be read
    /// into and cannot.
    pub(crate) fn begin_vectored(
        &mut self,
        place: Place,
        (descriptor, on): (BorrowedFd<'_>, DescriptorKind),
        (token, kind): (Token, Kind),
        vectored: &mut Vectored<'_>,
    ) -> Result<(), Error> {
        self.idle(place).ok_or(Error::Busy)?;
        vectored.check_writable()?;
        let block = self.vectors.take(vectored);
        self.table[place].task = Some(Task::new(token, kind, block).on(on));
        self.submit(place, descriptor);
        Ok(())
    }

    /// Whether more is left of what is held at `place`, and is to move all, after it has moved `count` bytes more.
    pub(crate) fn has_vectored_rest(&mut self, place: Place, count: u32) -> bool {
        let Some(request) = self.table.get_mut(place) else { return false };
        let Some(task) = request.held().filter(|task| vectored::is_all(task.kind)) else { return false };
        self.vectors.goes_on_after(task.extra, count)
    }

    /// Ends a task whose memory is ours: as [`end`](Self::end), of which it is a part.
    #[cold]
    pub(super) fn end_vectored(&mut self, task: &Task, done: &mut Done, decide: impl FnOnce(&mut Outcome)) {
        let outcome = done.undecided(task.token).filter(|outcome| outcome.kind() == task.kind);
        let Some(outcome) = outcome else { return self.vectors.give_back(task.extra, None) };
        self.vectors.give_back(task.extra, outcome.vectored());
        decide(outcome);
        done.decided(task.token);
    }

    /// How many blocks of several buffers there are, used and free.
    #[cfg(test)]
    pub(crate) fn vectored_blocks(&self) -> usize {
        self.vectors.len() + self.files.vectored_blocks()
    }
}

impl Task {
    /// The entry for the next call of what is on several buffers.
    #[cold]
    pub(super) fn vectored_entry(
        &self,
        vectors: &mut Vectors,
        descriptor: BorrowedFd<'_>,
        manner: &Manner,
    ) -> squeue::Entry {
        if self.is_socket {
            let flags = if vectored::reads(self.kind) { manner.recv } else { manner.send };
            vectors.message(self.extra, descriptor, flags)
        } else {
            vectors.transfer(self.extra, descriptor, None)
        }
    }
}
