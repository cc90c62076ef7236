//! An io_uring for the floor of files: what is unsafe about it, in one place and without cost.
//!
//! Memory that the kernel reads and writes is a [`FileBlock`]: leaked, so that it outlives any operation, and moved into
//! the ring by the call that queues an operation on it, so that nobody else can look at it until its completion hands it
//! back.
#![allow(unsafe_code)]

use std::ptr::{self, NonNull};

use io_uring::types::Fd;
use io_uring::{IoUring, opcode, squeue};
use rustix::fd::{AsRawFd, BorrowedFd};

use super::ring::Ring;
use crate::blocks::{BLOCK_BYTES, Block};
use crate::measurement::Result;

#[repr(C)]
struct Memory {
    block: Block,
    offset: u64,
}

/// Memory for one block of a file, and where that is; owned by whoever holds it.
pub(crate) struct FileBlock(NonNull<Memory>);

impl FileBlock {
    /// Leaks one.
    pub(crate) fn leak() -> Self {
        let memory = Memory { block: Block([0; BLOCK_BYTES]), offset: 0 };
        FileBlock(NonNull::from(Box::leak(Box::new(memory))))
    }

    #[inline]
    pub(crate) fn offset(&self) -> u64 {
        // SAFETY: the memory is leaked, hence valid, and no operation has it while this block exists (module docs).
        unsafe { self.0.as_ref() }.offset
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8; BLOCK_BYTES] {
        // SAFETY: the memory is leaked, hence valid, and no operation has it while this block exists (module docs).
        &unsafe { self.0.as_ref() }.block.0
    }

    #[inline]
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8; BLOCK_BYTES] {
        &mut self.memory().block.0
    }

    #[inline]
    fn memory(&mut self) -> &mut Memory {
        // SAFETY: the memory is leaked, hence valid; no operation has it while this block exists (module docs), and the
        // exclusive borrow of the only block that names it keeps other references out.
        unsafe { self.0.as_mut() }
    }
}

/// A ring on which nothing but blocks of files is used.
pub(crate) struct FileRing(IoUring);

impl FileRing {
    /// Opens a ring that only the calling thread may use.
    ///
    /// # Errors
    /// What the kernel answers: too old, forbidden, or out of memory.
    pub(crate) fn open(entries: u32) -> Result<Self> {
        Ok(FileRing(<Ring>::open(entries)?.into_inner()))
    }

    /// Queues reading a block from `offset`.
    #[inline]
    pub(crate) fn read(&mut self, file: BorrowedFd<'_>, mut block: FileBlock, offset: u64) {
        let memory = block.memory();
        memory.offset = offset;
        let entry = opcode::Read::new(Fd(file.as_raw_fd()), memory.block.0.as_mut_ptr(), BLOCK_BYTES as u32);
        self.push(entry.offset(offset).build(), block);
    }

    /// Queues writing a block at `offset`.
    #[inline]
    pub(crate) fn write(&mut self, file: BorrowedFd<'_>, mut block: FileBlock, offset: u64) {
        let memory = block.memory();
        memory.offset = offset;
        let entry = opcode::Write::new(Fd(file.as_raw_fd()), memory.block.0.as_ptr(), BLOCK_BYTES as u32);
        self.push(entry.offset(offset).build(), block);
    }

    #[inline]
    fn push(&mut self, entry: squeue::Entry, block: FileBlock) {
        let data = block.0.as_ptr().expose_provenance() as u64;
        // SAFETY: the entry names the memory of a block that was moved here and is leaked, so it stays valid and unshared
        // until its completion (module docs).
        let pushed = unsafe { self.0.submission().push(&entry.user_data(data)) };
        assert!(pushed.is_ok(), "a floor opens its ring with room for all that it queues in a turn");
    }

    /// Submits what was queued and waits until something has completed; a signal only ends it early.
    ///
    /// # Errors
    /// What the kernel answers.
    #[inline]
    pub(crate) fn enter(&mut self) -> Result<()> {
        match self.0.submit_and_wait(1) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The next completion: the block, and the result.
    #[inline]
    pub(crate) fn next_block(&mut self) -> Option<(FileBlock, i32)> {
        let entry = self.0.completion().next()?;
        // Each entry carries a block, and has one completion.
        let block = FileBlock(NonNull::new(ptr::with_exposed_provenance_mut(entry.user_data() as usize))?);
        Some((block, entry.result()))
    }
}
