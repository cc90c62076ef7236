//! Several buffers in the kernel's form: a list of pieces, and for sockets a header that names the list.
#![allow(unsafe_code)]

use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;

use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use proactor_core::{Buffer, Cut, Vectored};

use crate::bytes::OWN_POSITION;

/// What the kernel works on for one operation.
#[repr(C)]
struct Block {
    /// Written to by the kernel too.
    header: libc::msghdr,
    state: State,
}

/// What is ours of a block; of this, the kernel has only what it points to.
#[derive(Default)]
struct State {
    /// What the present call takes. Its memory stays where it is until the next call is made.
    pieces: Vec<libc::iovec>,
    /// Whose bytes these are; empty in a free block.
    buffers: Vec<Buffer>,
    /// How many of them earlier calls have moved.
    transferred: usize,
    /// Whether the kernel writes to them.
    reads: bool,
}

impl State {
    /// Makes the list of what the next call takes. The kernel must not have the one before any more.
    fn cut(&mut self) -> (*const libc::iovec, u32) {
        self.pieces.clear();
        let mut cut = Cut::behind(self.transferred);
        for buffer in &mut self.buffers {
            let Some(range) = cut.next(buffer.len()) else { break };
            // What cannot be written to was refused; should it be here, the kernel does not get to see it.
            if !range.is_empty() && (!self.reads || buffer.is_writable()) {
                let first = buffer.as_mut_ptr().wrapping_add(range.start);
                self.pieces.push(libc::iovec { iov_base: first.cast(), iov_len: range.len() });
            }
        }
        // At most IOV_MAX.
        (self.pieces.as_ptr(), self.pieces.len() as u32)
    }
}

/// Rooms for such operations, at places that never change, and used again and again, their lists too.
///
/// They are reached through pointers only, never a reference that would claim to be alone with what the kernel writes.
#[derive(Debug, Default)]
pub(crate) struct Vectors {
    all: Vec<NonNull<Block>>,
    free: Vec<u32>,
}

impl Vectors {
    /// Takes a block and the buffers of an operation into it, and tells its number. Buffers to be read into must have
    /// their bytes to themselves: none is read into otherwise.
    pub(crate) fn take(&mut self, vectored: &mut Vectored<'_>) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| self.grow());
        let state = self.state(number);
        mem::swap(&mut state.buffers, vectored.buffers);
        (state.transferred, state.reads) = (vectored.transferred(), vectored.reads);
        number
    }

    #[cold]
    fn grow(&mut self) -> u32 {
        let block = Box::into_raw(Box::new(Block { header: header(), state: State::default() }));
        // SAFETY: a box's pointer is not null.
        self.all.push(unsafe { NonNull::new_unchecked(block) });
        // As many as operations in flight, which core numbers with 32 bits.
        self.all.len() as u32 - 1
    }

    fn state(&mut self, number: u32) -> &mut State {
        let block = self.all[number as usize].as_ptr();
        // SAFETY: the block lives as long as `self`, which is the only way to it. The kernel touches nothing of this.
        unsafe { &mut (*block).state }
    }

    /// How many there are, used and free.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Gives back a block that [`take`](Self::take) gave, and that the kernel does not use any more. Its buffers go to
    /// their operation, with how many of their bytes were moved, or are dropped.
    ///
    /// # Panics
    /// If there is no such block.
    pub(crate) fn give_back(&mut self, number: u32, vectored: Option<Vectored<'_>>) {
        let state = self.state(number);
        let buffers = mem::take(&mut state.buffers);
        if let Some(mut vectored) = vectored {
            vectored.set_transferred(state.transferred);
            *vectored.buffers = buffers;
        }
        self.free.push(number);
    }

    /// Whether more is left after one more call, which has moved `count` bytes: then those are counted.
    ///
    /// # Panics
    /// If there is no such block.
    pub(crate) fn goes_on_after(&mut self, number: u32, count: u32) -> bool {
        let state = self.state(number);
        let moved = state.transferred.saturating_add(count as usize);
        let total = state.buffers.iter().map(Buffer::len).fold(0, usize::saturating_add);
        let goes_on = count != 0 && moved < total;
        if goes_on {
            state.transferred = moved;
        }
        goes_on
    }

    /// The entry for the next call on a descriptor that is no socket, or at a position. The block, and the bytes of its
    /// buffers, must stay as they are until it has completed.
    ///
    /// # Panics
    /// If there is no such block.
    pub(crate) fn transfer(
        &mut self,
        number: u32,
        descriptor: BorrowedFd<'_>,
        offset: Option<u64>,
    ) -> squeue::Entry {
        let state = self.state(number);
        let (pieces, count) = state.cut();
        let fd = Fd(descriptor.as_raw_fd());
        let offset = offset.map_or(OWN_POSITION, |offset| offset + state.transferred as u64);
        if state.reads {
            opcode::Readv::new(fd, pieces, count).offset(offset).build()
        } else {
            opcode::Writev::new(fd, pieces, count).offset(offset).build()
        }
    }

    /// The same on a socket, where a write would raise a signal if the peer is gone.
    ///
    /// # Panics
    /// If there is no such block.
    pub(crate) fn message(&mut self, number: u32, socket: BorrowedFd<'_>, flags: i32) -> squeue::Entry {
        let state = self.state(number);
        let (pieces, count) = state.cut();
        let reads = state.reads;
        // No address, and no descriptors.
        let mut header = header();
        header.msg_iov = pieces.cast_mut();
        // Its type is not the same on every system.
        header.msg_iovlen = count as _;
        let block = self.all[number as usize].as_ptr();
        // SAFETY: the block lives as long as `self`, and its owner, who is about to hand it to the kernel, has it.
        unsafe { (*block).header = header };
        // SAFETY: a field's address within a live block.
        let header = unsafe { &raw mut (*block).header };
        let fd = Fd(socket.as_raw_fd());
        if reads {
            opcode::RecvMsg::new(fd, header).flags(flags as u32).build()
        } else {
            opcode::SendMsg::new(fd, header).flags(flags as u32).build()
        }
    }
}

fn header() -> libc::msghdr {
    // SAFETY: a header is numbers and pointers, for which zeros are values.
    unsafe { mem::zeroed() }
}

impl Drop for Vectors {
    fn drop(&mut self) {
        for block in self.all.drain(..) {
            // SAFETY: it came from a box, in `grow`, and is given up once. That the kernel is done with it is upheld by
            // the owner of these blocks, who forgets them otherwise.
            drop(unsafe { Box::from_raw(block.as_ptr()) });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proactor_core::{Error, IOV_MAX, Operation, Outcome, ReadVectored, WriteVectoredAll};

    use super::*;

    fn write(count: usize) -> Outcome {
        let handle = proactor_core::Done::new().new_handle();
        let buffers = (0..count).map(|_| Buffer::from(b"four")).collect();
        Operation::from(WriteVectoredAll { handle, buffers }).fail(Error::Canceled)
    }

    /// The list, read as the kernel reads it.
    fn lens(vectors: &mut Vectors, number: u32) -> Vec<usize> {
        let (pieces, count) = vectors.state(number).cut();
        // SAFETY: the list was just made, of that many pieces.
        unsafe { std::slice::from_raw_parts(pieces, count as usize) }.iter().map(|it| it.iov_len).collect()
    }

    #[test]
    fn blocks_and_lists_stay_where_they_are_and_are_used_again() {
        let mut vectors = Vectors::default();
        let mut outcome = write(IOV_MAX + 3);
        let first = vectors.take(&mut outcome.vectored().unwrap());
        assert!(outcome.vectored().unwrap().buffers.is_empty());
        let (list, count) = vectors.state(first).cut();
        assert_eq!(count as usize, IOV_MAX);
        let others: Vec<u32> = (0..100).map(|_| vectors.take(&mut write(1).vectored().unwrap())).collect();
        assert_eq!(lens(&mut vectors, others[3]), [4]);
        assert!(vectors.goes_on_after(first, 4 * IOV_MAX as u32 - 1));
        assert_eq!(lens(&mut vectors, first), [1, 4, 4, 4]);
        assert_eq!(vectors.state(first).cut().0, list);
        assert!(!vectors.goes_on_after(first, 0) && !vectors.goes_on_after(first, 13));
        vectors.give_back(first, outcome.vectored());
        let vectored = outcome.vectored().unwrap();
        assert_eq!((vectored.buffers.len(), vectored.transferred()), (IOV_MAX + 3, 4 * IOV_MAX - 1));
        assert_eq!(vectors.take(&mut write(2).vectored().unwrap()), first);
        assert_eq!((lens(&mut vectors, first), vectors.len()), (vec![4, 4], 101));
    }

    #[test]
    fn what_is_shared_is_never_read_into_and_is_let_go() {
        let shared: Arc<[u8]> = Arc::from(&b"shared"[..]);
        let mut vectors = Vectors::default();
        let handle = proactor_core::Done::new().new_handle();
        let buffers = vec![Buffer::zeroed(3), Arc::clone(&shared).into()];
        let mut outcome = Operation::from(ReadVectored { handle, buffers }).fail(Error::Canceled);
        let number = vectors.take(&mut outcome.vectored().unwrap());
        assert_eq!(lens(&mut vectors, number), [3]);
        vectors.give_back(number, None);
        assert_eq!(Arc::strong_count(&shared), 1);
        let buffers = vec![Buffer::from(Arc::clone(&shared))];
        let mut outcome = Operation::from(WriteVectoredAll { handle, buffers }).fail(Error::Canceled);
        vectors.take(&mut outcome.vectored().unwrap());
        assert_eq!(Arc::strong_count(&shared), 2);
        drop(vectors);
        assert_eq!(Arc::strong_count(&shared), 1);
    }
}
