//! An io_uring for the floors: what is unsafe about it, in one place and without cost.
//!
//! Memory that the kernel reads and writes is a [`Block`]: leaked, so that it outlives any operation, and moved into
//! the ring by the call that queues an operation on it, so that nobody else can look at it until its completion hands
//! it back.
#![allow(unsafe_code)]

use std::io;
use std::ptr::NonNull;
use std::time::Duration;

use io_uring::types::{Fd, SubmitArgs};
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::fd::{AsRawFd, BorrowedFd, RawFd};

use crate::measurement::Result;
use crate::sockets::{MESSAGE_BYTES, Message};

/// Low bits of a block's address, free to carry what its operation is.
const TAG_BITS: u64 = 63;

#[repr(C, align(64))]
struct Memory<M> {
    message: M,
    index: usize,
}

/// Memory for one message, of 64 bytes unless it says otherwise, and the index of the end it belongs to; owned by whoever
/// holds it.
pub(crate) struct Block<M = Message>(NonNull<Memory<M>>);

impl<const BYTES: usize> Block<[u8; BYTES]> {
    /// Leaks a block for the end with this index.
    pub(crate) fn leak(index: usize) -> Self {
        Block(NonNull::from(Box::leak(Box::new(Memory { message: [0; BYTES], index }))))
    }

    #[inline]
    pub(crate) fn index(&self) -> usize {
        // SAFETY: the memory is leaked, hence valid, and no operation has it while this block exists (module docs).
        unsafe { self.0.as_ref() }.index
    }

    #[inline]
    pub(crate) fn message(&self) -> &[u8; BYTES] {
        // SAFETY: the memory is leaked, hence valid, and no operation has it while this block exists (module docs).
        &unsafe { self.0.as_ref() }.message
    }

    #[inline]
    pub(crate) fn message_mut(&mut self) -> &mut [u8; BYTES] {
        // SAFETY: the memory is leaked, hence valid; no operation has it while this block exists (module docs), and
        // the exclusive borrow of the only block that names it keeps other references out.
        &mut unsafe { self.0.as_mut() }.message
    }

    /// Gives the block up to an entry, with a mark in bits that its address has free.
    #[inline]
    pub(crate) fn into_user_data(self, mark: u64) -> u64 {
        self.0.as_ptr().expose_provenance() as u64 | mark
    }

    /// The block, and its mark, of an entry that is complete; none if there is no address.
    ///
    /// # Safety
    /// The number is that of [`Block::into_user_data`] for a block of this size, and each is taken back once.
    #[inline]
    pub(crate) unsafe fn from_user_data(data: u64) -> Option<(Self, u64)> {
        let address = (data & !TAG_BITS) as usize;
        let memory = NonNull::new(std::ptr::with_exposed_provenance_mut(address))?;
        Some((Block(memory), data & TAG_BITS))
    }
}

/// What an operation on a block is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    Receive = 0,
    Send = 1,
}

/// A ring with the set-up that suits one thread best, for blocks of `BYTES`.
pub(crate) struct Ring<const BYTES: usize = MESSAGE_BYTES>(IoUring);

impl<const BYTES: usize> Ring<BYTES> {
    /// Opens a ring that only the calling thread may use.
    ///
    /// # Errors
    /// What the kernel answers: too old, forbidden, or out of memory.
    pub(crate) fn open(entries: u32) -> Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_submit_all()
            .build(entries)?;
        Ok(Ring(ring))
    }

    /// The ring itself, for other kinds of memory than blocks.
    pub(crate) fn into_inner(self) -> IoUring {
        self.0
    }

    pub(crate) fn descriptor(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Queues receiving into `block`, as much as there is and fits.
    #[inline]
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>, mut block: Block<[u8; BYTES]>) {
        let address = block.message_mut().as_mut_ptr();
        let entry = opcode::Recv::new(Fd(socket.as_raw_fd()), address, BYTES as u32).build();
        self.push(&entry.user_data(block.into_user_data(Tag::Receive as u64)));
    }

    /// Queues sending the message of `block`, all of it.
    #[inline]
    pub(crate) fn send(&mut self, socket: BorrowedFd<'_>, block: Block<[u8; BYTES]>) {
        /// MSG_WAITALL: what did not fit into the socket's buffer is sent when there is room, in one operation.
        const ALL: i32 = 0x100;
        let flags = if BYTES > MESSAGE_BYTES { ALL } else { 0 };
        let address = block.message().as_ptr();
        let entry = opcode::Send::new(Fd(socket.as_raw_fd()), address, BYTES as u32).flags(flags).build();
        self.push(&entry.user_data(block.into_user_data(Tag::Send as u64)));
    }

    /// Queues watching `eventfd` for as long as the ring lives: one completion for each time it is written to.
    pub(crate) fn watch(&mut self, eventfd: BorrowedFd<'_>) {
        const READABLE: u32 = 1;
        self.push(&opcode::PollAdd::new(Fd(eventfd.as_raw_fd()), READABLE).multi(true).build());
    }

    /// Queues a message to another ring, which gets a completion; this ring gets one only if that failed.
    #[inline]
    pub(crate) fn notify(&mut self, ring: RawFd) {
        let entry = opcode::MsgRingData::new(Fd(ring), 0, 0, None).build();
        self.push(&entry.flags(squeue::Flags::SKIP_SUCCESS));
    }

    #[inline]
    fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: an entry either names no memory, or that of a block which was moved into it and is leaked, so it
        // stays valid and unshared until its completion (module docs).
        let pushed = unsafe { self.0.submission().push(entry) };
        assert!(pushed.is_ok(), "a floor opens its ring with room for all that it queues in a turn");
    }

    /// Submits what was queued, and lets what is ready become completions, without waiting. (Waiting for no time at all
    /// is no substitute: it sets up a timer and sleeps until it fires.)
    ///
    /// # Errors
    /// What the kernel answers.
    pub(crate) fn poll(&mut self) -> Result<()> {
        const GET_EVENTS: u32 = 1;
        let queued = u32::try_from(self.0.submission().len())?;
        // SAFETY: there is no argument whose memory could be wrong, and what is queued is safe to submit (see `push`).
        match unsafe { self.0.submitter().enter::<()>(queued, 0, GET_EVENTS, None) } {
            Ok(_) => Ok(()),
            Err(error) => early(error),
        }
    }

    /// Submits what was queued and waits until something has completed; a signal only ends it early.
    ///
    /// # Errors
    /// What the kernel answers.
    #[inline]
    pub(crate) fn enter(&mut self) -> Result<()> {
        match self.0.submit_and_wait(1) {
            Ok(_) => Ok(()),
            Err(error) => early(error),
        }
    }

    /// Like [`Ring::enter`], but for no longer than `limit`.
    ///
    /// # Errors
    /// What the kernel answers.
    #[inline]
    pub(crate) fn enter_for(&mut self, limit: Duration) -> Result<()> {
        let limit = limit.into();
        match self.0.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&limit)) {
            Ok(_) => Ok(()),
            Err(error) => early(error),
        }
    }

    /// The next completion of an operation on a block, what that was, and its result.
    ///
    /// Only for rings on which nothing but [`Ring::receive`] and [`Ring::send`] is used.
    #[inline]
    pub(crate) fn next_block(&mut self) -> Option<(Block<[u8; BYTES]>, Tag, i32)> {
        let entry = self.0.completion().next()?;
        // SAFETY: all entries of such a ring carry a block of `BYTES`, and each has one completion.
        let (block, mark) = unsafe { Block::from_user_data(entry.user_data()) }?;
        let tag = if mark == Tag::Send as u64 { Tag::Send } else { Tag::Receive };
        Some((block, tag, entry.result()))
    }

    /// The next completion of any other kind: its result, and whether more are to come from the same operation.
    #[inline]
    pub(crate) fn next_event(&mut self) -> Option<(i32, bool)> {
        self.0.completion().next().map(|entry| (entry.result(), cqueue::more(entry.flags())))
    }
}

/// Whether a wait that ended with `error` only ended early.
#[cold]
fn early(error: io::Error) -> Result<()> {
    let timed_out = error.raw_os_error() == Some(rustix::io::Errno::TIME.raw_os_error());
    if timed_out || error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error.into()) }
}
