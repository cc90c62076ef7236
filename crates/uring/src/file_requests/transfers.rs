//! Reads and writes of regular files at positions, of which there may be many: what [`begin`](FileRequests::begin),
//! [`read`](FileRequests::read) and [`end`](FileRequests::end) do of them, in few instructions.
#![allow(unsafe_code)]

use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};

use io_uring::types::Fd;
use io_uring::{cqueue, opcode};
use proactor_core::{Buffer, Done, Kind, Outcome, Slot, Token};
use proactor_system::MAX_TRANSFER;

use super::{FilePlace, FileRequests, Task};
use crate::ring::Ring;

impl FileRequests {
    /// Hands a `ReadAt` or a `WriteAt`, as `kind` says, of bytes of the file in a slot to the kernel, taking its buffer away. Returns
    /// whether it did: not if the kernel does not know how, or if the buffer has no bytes, or none that can be read into.
    #[inline]
    pub(crate) fn begin_transfer(
        &mut self,
        ring: &mut Ring,
        (token, kind): (Token, Kind),
        (slot, descriptor): (Slot, BorrowedFd<'_>),
        (buffer, offset): (&mut Buffer, u64),
    ) -> bool {
        let reads = kind == Kind::ReadAt;
        let code = if reads { opcode::Read::CODE } else { opcode::Write::CODE };
        if buffer.is_empty() || self.known & 1 << code == 0 || (reads && !buffer.is_writable()) {
            return false;
        }
        let number = self.take_number();
        let place = FilePlace(number);
        let Some(request) = self.table.get_mut(place.index()) else { return false };
        mem::swap(&mut request.buffer, buffer);
        let (at, len) = (Fd(descriptor.as_raw_fd()), request.buffer.len().min(MAX_TRANSFER) as u32);
        let entry = if reads {
            opcode::Read::new(at, request.buffer.as_mut_ptr(), len).offset(offset).build()
        } else {
            opcode::Write::new(at, request.buffer.as_ptr(), len).offset(offset).build()
        };
        let task = Task { token, kind, slot: Some(slot), block: None, is_poll: false, is_canceled: false };
        request.task = Some(task);
        let user_data = request.submitted(place);
        self.count(Some(slot), 1);
        self.note(token, number);
        // SAFETY: the entry points to bytes of the buffer that is in the table now, and stays there while the kernel has the task
        // (see `file_requests`). One that is read into has its bytes to itself, as was checked.
        unsafe { ring.push(&entry.user_data(user_data)) };
        true
    }

    /// Decides what the kernel has, if this is the completion of a `ReadAt` or a `WriteAt` that has gone as it should, at the place that
    /// it names. Returns whether it is; nothing has changed otherwise.
    #[inline(never)]
    pub(crate) fn finish_transfer(
        &mut self,
        place: FilePlace,
        entry: &cqueue::Entry,
        done: &mut Done,
    ) -> bool {
        let Some(request) = self.table.get_mut(place.index()) else { return false };
        let (result, flags) = (entry.result(), entry.flags());
        let is_named = request.user_data(place) == entry.user_data() && request.is_in_kernel();
        if !is_named || result < 0 || cqueue::more(flags) {
            return false;
        }
        let Some(task) = request.task.as_ref().filter(|task| !task.is_poll) else { return false };
        let slot = task.slot;
        let decided = done.decide(task.token, |outcome| match (outcome, task.kind) {
            (Outcome::ReadAt(done), Kind::ReadAt) => {
                mem::swap(&mut request.buffer, &mut done.buffer);
                done.result = Ok(result as usize);
                Ok(())
            }
            (Outcome::WriteAt(done), Kind::WriteAt) => {
                mem::swap(&mut request.buffer, &mut done.buffer);
                done.result = Ok(result as usize);
                Ok(())
            }
            _ => Err(()),
        });
        if decided != Some(Ok(())) {
            return false;
        }
        request.task = None;
        request.round = request.round.wrapping_add(1);
        self.count(slot, -1);
        self.free.push(place.0);
        true
    }
}
