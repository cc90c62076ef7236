//! What the kernel is doing for us on files and names, and the memory that it does it on.
//!
//! Any number of these may be under way on one descriptor, so each has a place of its own, used again and again. The kernel
//! works on the bytes of a buffer, on a path, or on the block of a `statx`, from the moment when an entry is queued until
//! the entry's completion was popped. What keeps that memory safe from everyone else is what
//! [`requests`](crate::requests) does:
//!
//! - A buffer or a path is taken out of core's reach into the place, and [`end`](FileRequests::end) is the only way out of
//!   there, shut while the kernel has it.
//! - A place that is not free takes no other request, and a request is queued once at a time.
//! - Only a completion that names a place and its present round makes the request's memory ours again.
//! - What the kernel still has when all this is dropped is forgotten, not freed.
//!
//! The bytes of buffers and paths are on the heap and do not move with them, so the table may grow.
#![allow(unsafe_code)]

use std::ffi::c_char;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use io_uring::types::{Fd, FsyncFlags};
use io_uring::{cqueue, opcode, squeue};
use proactor_core::{Buffer, Done, Error, FilePath, Kind, Outcome, Slot, StatxDone, Token};
use proactor_system::{self as system, MAX_TRANSFER};
use rustix::fs::{AtFlags, CWD};
use rustix::io::Errno;

use crate::ring::Ring;
use crate::statx::StatxBlocks;
use crate::vectored;
use crate::vectors::Vectors;

mod transfers;

/// Where a request is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FilePlace(u32);

impl FilePlace {
    /// The two highest bits of what a completion names a place with: no place of a slot has the first, and no completion
    /// that is of no request lacks the second.
    const TAG: u32 = 0b10 << 30;
    const TAG_BITS: u32 = 0b11 << 30;

    /// The place that a completion names, if it names one of these.
    pub(crate) const fn named(user_data: u64) -> Option<Self> {
        let place = user_data as u32;
        if place & Self::TAG_BITS == Self::TAG { Some(Self(place & !Self::TAG_BITS)) } else { None }
    }

    const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What is asked of the kernel, apart from the memory. What is to be done on it (an offset, a mode) stands in the
/// operation's own record.
#[derive(Debug)]
struct Task {
    token: Token,
    kind: Kind,
    /// That of the handle which it uses.
    slot: Option<Slot>,
    /// The number of a `statx`'s block, or of that of several buffers.
    block: Option<u32>,
    /// Whether the kernel was only asked to wait until the descriptor is ready.
    is_poll: bool,
    is_canceled: bool,
}

/// One place.
#[derive(Debug)]
struct FileRequest {
    buffer: Buffer,
    paths: [FilePath; 2],
    /// None in a free place.
    task: Option<Task>,
    /// Goes up when the task is submitted, and when its completion was popped: odd while the kernel has it.
    round: u32,
}

impl FileRequest {
    fn free() -> Self {
        Self { buffer: Buffer::default(), paths: Default::default(), task: None, round: 0 }
    }

    const fn is_in_kernel(&self) -> bool {
        self.round % 2 == 1
    }

    /// Gives the task to the kernel. Returns what its completion will name, which no other's ever did.
    #[inline]
    fn submitted(&mut self, place: FilePlace) -> u64 {
        self.round = self.round.wrapping_add(1);
        self.user_data(place)
    }

    const fn user_data(&self, place: FilePlace) -> u64 {
        (self.round as u64) << 32 | (place.0 | FilePlace::TAG) as u64
    }

    /// The block of an operation on several buffers.
    fn vectored(&self) -> Option<(u32, Kind)> {
        let task = self.task.as_ref().filter(|task| vectored::is_vectored(task.kind))?;
        task.block.map(|block| (block, task.kind))
    }

    /// The first path, or the second. The bytes stay where they are while it is in the place.
    fn path(&self, number: usize) -> Result<*const c_char, Error> {
        self.paths[number].as_c_str().map(|path| path.as_ptr())
    }

    /// Takes the memory of an operation out of its record.
    fn take_memory(&mut self, outcome: &mut Outcome) {
        self.exchange_memory(outcome);
    }

    /// Puts it back.
    fn give_memory_back(&mut self, outcome: &mut Outcome) {
        self.exchange_memory(outcome);
    }

    /// What is in the place for what is in the record, one of which is nothing.
    fn exchange_memory(&mut self, outcome: &mut Outcome) {
        let [first, second] = &mut self.paths;
        match outcome {
            Outcome::ReadAt(done) => mem::swap(&mut self.buffer, &mut done.buffer),
            Outcome::WriteAt(done) => mem::swap(&mut self.buffer, &mut done.buffer),
            Outcome::OpenAt(done) => mem::swap(first, &mut done.path),
            Outcome::Statx(done) => mem::swap(first, &mut done.path),
            Outcome::Unlink(done) => mem::swap(first, &mut done.path),
            Outcome::MakeDir(done) => mem::swap(first, &mut done.path),
            Outcome::RemoveDir(done) => mem::swap(first, &mut done.path),
            Outcome::Rename(done) => {
                mem::swap(first, &mut done.from);
                mem::swap(second, &mut done.to);
            }
            Outcome::Link(done) => {
                mem::swap(first, &mut done.from);
                mem::swap(second, &mut done.to);
            }
            Outcome::Symlink(done) => {
                mem::swap(first, &mut done.target);
                mem::swap(second, &mut done.path);
            }
            _ => {}
        }
    }

    /// The entry for what is in the place, whose parameters are those of `outcome`.
    fn entry(&mut self, at: Fd, outcome: &Outcome, blocks: &StatxBlocks) -> Result<squeue::Entry, Error> {
        let Some(task) = self.task.as_ref().filter(|task| task.kind == outcome.kind()) else {
            // Not the operation whose memory is here.
            return Err(Error::Backend);
        };
        let block = task.block;
        let len = self.buffer.len().min(MAX_TRANSFER) as u32;
        Ok(match outcome {
            Outcome::ReadAt(_) if !self.buffer.is_writable() => return Err(Error::ReadOnlyBuffer),
            Outcome::ReadAt(done) => {
                opcode::Read::new(at, self.buffer.as_mut_ptr(), len).offset(done.offset).build()
            }
            Outcome::WriteAt(done) => {
                opcode::Write::new(at, self.buffer.as_ptr(), len).offset(done.offset).build()
            }
            Outcome::Fsync(_) => opcode::Fsync::new(at).build(),
            Outcome::Fdatasync(_) => opcode::Fsync::new(at).flags(FsyncFlags::DATASYNC).build(),
            Outcome::Truncate(done) => opcode::Ftruncate::new(at, done.len).build(),
            Outcome::Allocate(done) => opcode::Fallocate::new(at, done.len).offset(done.offset).build(),
            Outcome::OpenAt(done) => {
                let (flags, mode) = system::open_flags(done.options);
                let open = opcode::OpenAt::new(at, self.path(0)?);
                let entry = open.flags(flags.bits() as i32).mode(mode.as_raw_mode()).build();
                // On a thread of the kernel's at once. It would first be tried as if it were to be non-blocking, and a
                // pipe that nobody writes to be open at once, or an error where nobody reads.
                entry.flags(squeue::Flags::ASYNC)
            }
            Outcome::Statx(done) => self.statx(at, done, block.map(|block| blocks.for_writing(block)))?,
            other => self.entry_on_names(at, other)?,
        })
    }

    fn statx(
        &self,
        at: Fd,
        done: &StatxDone,
        block: Option<*mut rustix::fs::Statx>,
    ) -> Result<squeue::Entry, Error> {
        // The path is in the place, so an empty one in the record says nothing.
        let mut flags = system::statx_flags(done) - AtFlags::EMPTY_PATH;
        flags.set(AtFlags::EMPTY_PATH, done.handle.is_some() && self.paths[0].is_empty());
        let statx = opcode::Statx::new(at, self.path(0)?, block.ok_or(Error::Backend)?.cast());
        Ok(statx.flags(flags.bits() as i32).mask(system::STATX_MASK.bits()).build())
    }

    fn entry_on_names(&self, at: Fd, outcome: &Outcome) -> Result<squeue::Entry, Error> {
        let first = self.path(0)?;
        Ok(match outcome {
            Outcome::Unlink(_) => opcode::UnlinkAt::new(at, first).build(),
            Outcome::RemoveDir(_) => {
                opcode::UnlinkAt::new(at, first).flags(AtFlags::REMOVEDIR.bits() as i32).build()
            }
            Outcome::MakeDir(done) => {
                let mode = system::directory_mode(done.mode);
                opcode::MkDirAt::new(at, first).mode(mode.as_raw_mode()).build()
            }
            Outcome::Rename(_) => opcode::RenameAt::new(at, first, at, self.path(1)?).build(),
            Outcome::Link(_) => opcode::LinkAt::new(at, first, at, self.path(1)?).build(),
            Outcome::Symlink(_) => opcode::SymlinkAt::new(at, first, self.path(1)?).build(),
            _ => return Err(Error::Unsupported),
        })
    }
}

/// The kernel's answer to a request.
#[derive(Debug)]
pub(crate) struct FileReply {
    pub(crate) place: FilePlace,
    pub(crate) kind: Kind,
    /// That of the handle which the operation uses.
    pub(crate) slot: Option<Slot>,
    /// What the operation gives.
    pub(crate) result: Result<u32, Errno>,
    /// Whether it only tells that the descriptor may be ready.
    pub(crate) is_poll: bool,
    _only_made_here: (),
}

/// All requests on files and names of one ring.
#[derive(Debug, Default)]
pub(crate) struct FileRequests {
    table: Vec<FileRequest>,
    free: Vec<u32>,
    /// The place of the operation in each of core's records, as far as it was one of these; it may be gone since.
    by_index: Vec<u32>,
    /// How many use each slot.
    uses: Vec<u32>,
    blocks: StatxBlocks,
    vectors: Vectors,
    /// The operations of the ring that this kernel knows: a bit each, by its code.
    pub(crate) known: u64,
}

impl FileRequests {
    /// Whether the kernel knows how to do operations of this kind.
    pub(crate) fn knows(&self, kind: Kind) -> bool {
        opcode_of(kind).is_some_and(|code| self.known & 1 << code != 0)
    }

    /// Hands an operation to the kernel, to be done on the descriptor, which is that in `slot`, or on none.
    ///
    /// # Errors
    /// Why it cannot be; everything is in its record then.
    pub(crate) fn begin(
        &mut self,
        ring: &mut Ring,
        token: Token,
        on: Option<(Slot, BorrowedFd<'_>)>,
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        let number = self.take_number();
        let place = FilePlace(number);
        let block = match outcome {
            Outcome::Statx(_) => Some(self.blocks.take()),
            _ => outcome.vectored().map(|mut vectored| self.vectors.take(&mut vectored)),
        };
        let slot = on.map(|(slot, _)| slot);
        let request = &mut self.table[place.index()];
        request.take_memory(outcome);
        let kind = outcome.kind();
        request.task = Some(Task { token, kind, slot, block, is_poll: false, is_canceled: false });
        self.count(slot, 1);
        self.note(token, number);
        let submitted = self.submit(ring, place, on.map(|(_, descriptor)| descriptor), outcome);
        if submitted.is_err() {
            self.release(place, Some(outcome));
        }
        submitted
    }

    /// The number of a free place.
    #[inline]
    fn take_number(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.table.push(FileRequest::free());
            // As many as operations in flight, of which core has fewer than 2^30 if each takes memory.
            self.table.len() as u32 - 1
        })
    }

    /// Hands what is held at `place` to the kernel, its parameters being those of `outcome`.
    ///
    /// # Errors
    /// Why that cannot be. [`Error::Backend`] if `outcome` is another operation's.
    pub(crate) fn submit(
        &mut self,
        ring: &mut Ring,
        place: FilePlace,
        descriptor: Option<BorrowedFd<'_>>,
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        let Self { table, blocks, vectors, .. } = self;
        let request = table.get_mut(place.index()).filter(|request| !request.is_in_kernel());
        let request = request.ok_or(Error::Backend)?;
        let at = descriptor.unwrap_or(CWD);
        let entry = match request.vectored() {
            Some((number, kind)) => vectors.transfer(number, at, Some(vectored::offset(outcome, kind)?)),
            None => request.entry(Fd(at.as_raw_fd()), outcome, blocks)?,
        };
        if let Some(task) = &mut request.task {
            task.is_poll = false;
        }
        let user_data = request.submitted(place);
        // SAFETY: the entry points to the buffer, the paths or the block of this task, which stay in the table while the
        // kernel has the task (see above). A buffer that is read into has its bytes to itself, as was checked.
        unsafe { ring.push(&entry.user_data(user_data)) };
        Ok(())
    }

    /// Waits until `descriptor` may be ready for what is held at `place`, which is answered by a reply that
    /// [`is_poll`](FileReply::is_poll).
    pub(crate) fn poll(&mut self, ring: &mut Ring, place: FilePlace, descriptor: BorrowedFd<'_>) {
        let request = self.table.get_mut(place.index()).filter(|request| !request.is_in_kernel());
        let Some(request) = request else { return };
        let Some(task) = &mut request.task else { return };
        task.is_poll = true;
        let reads = task.kind == Kind::ReadAt || vectored::reads(task.kind);
        let events = if reads { libc::POLLIN } else { libc::POLLOUT };
        let user_data = request.submitted(place);
        let entry = opcode::PollAdd::new(Fd(descriptor.as_raw_fd()), events as u32).build();
        // SAFETY: the entry points to nothing.
        unsafe { ring.push(&entry.user_data(user_data)) };
    }

    /// Asks the kernel to end what was started as `token`. Returns whether it was held here.
    pub(crate) fn cancel(&mut self, ring: &mut Ring, token: Token) -> bool {
        let Some(place) = self.find(token) else { return false };
        if let Some(user_data) = self.cancel_at(place) {
            push_cancel(ring, user_data);
        }
        true
    }

    /// Notes that what is at `place` is to end. Returns what names it to the kernel, if that is to be told.
    fn cancel_at(&mut self, place: FilePlace) -> Option<u64> {
        let request = &mut self.table[place.index()];
        let (user_data, in_kernel) = (request.user_data(place), request.is_in_kernel());
        let task = request.task.as_mut()?;
        let first = !mem::replace(&mut task.is_canceled, true);
        (first && in_kernel).then_some(user_data)
    }

    fn find(&self, token: Token) -> Option<FilePlace> {
        let number = *self.by_index.get(token.index as usize)?;
        let task = self.table.get(number as usize)?.task.as_ref()?;
        (task.token == token).then_some(FilePlace(number))
    }

    /// Whether what is at `place` was asked to end.
    pub(crate) fn is_canceled(&self, place: FilePlace) -> bool {
        let request = self.table.get(place.index());
        request.and_then(|request| request.task.as_ref()).is_some_and(|task| task.is_canceled)
    }

    /// What is at `place` was started as.
    pub(crate) fn token(&self, place: FilePlace) -> Option<Token> {
        self.table.get(place.index())?.task.as_ref().map(|task| task.token)
    }

    /// Whether anything uses a slot.
    pub(crate) fn uses(&self, slot: Slot) -> bool {
        self.uses.get(slot.index()).is_some_and(|&uses| uses > 0)
    }

    /// What a completion says, if it is of one of these.
    pub(crate) fn read(&mut self, entry: &cqueue::Entry) -> Option<FileReply> {
        let place = FilePlace::named(entry.user_data())?;
        let round = (entry.user_data() >> 32) as u32;
        let request = self.table.get_mut(place.index())?;
        if request.round != round || !request.is_in_kernel() || cqueue::more(entry.flags()) {
            return None;
        }
        request.round = round.wrapping_add(1);
        let Task { kind, slot, is_poll, .. } = *request.task.as_ref()?;
        let result = match entry.result() {
            result @ 0.. => Ok(result as u32),
            negated => Err(crate::requests::errno(negated)),
        };
        Some(FileReply { place, kind, slot, result, is_poll, _only_made_here: () })
    }

    /// The file that a reply to an open brings.
    ///
    /// # Errors
    /// Why it brings none; [`Errno::INVAL`] if it is a reply to something else.
    pub(crate) fn opened(reply: FileReply) -> Result<OwnedFd, Errno> {
        let is_open = reply.kind == Kind::OpenAt && !reply.is_poll;
        let file = if is_open { reply.result? } else { return Err(Errno::INVAL) };
        // SAFETY: the kernel has opened it for this completion of an open. Replies are made in `read` only, one of each
        // completion, and this one is consumed.
        Ok(unsafe { OwnedFd::from_raw_fd(file as i32) })
    }

    /// Ends what is held at `place`, which is free then: its operation gets its memory back, and `decide` tells it how
    /// it went, with what the kernel has written for a `statx`. Does nothing if the kernel has it.
    pub(crate) fn end(
        &mut self,
        place: FilePlace,
        done: &mut Done,
        decide: impl FnOnce(&mut Outcome, Option<rustix::fs::Statx>),
    ) {
        let request = self.table.get(place.index()).filter(|request| !request.is_in_kernel());
        let Some(Task { token, kind, block, .. }) = request.and_then(|request| request.task.as_ref()) else {
            return;
        };
        let (token, kind, block) = (*token, *kind, block.filter(|_| *kind == Kind::Statx));
        let known = block.map(|block| self.blocks.read(block));
        let outcome = done.undecided(token).filter(|outcome| outcome.kind() == kind);
        let Some(outcome) = outcome else { return self.release(place, None) };
        self.release(place, Some(outcome));
        decide(outcome, known);
        done.decided(token);
    }

    /// Frees a place that the kernel does not have; its memory goes to its operation, or is dropped.
    fn release(&mut self, place: FilePlace, outcome: Option<&mut Outcome>) {
        let request = &mut self.table[place.index()];
        let Some(task) = request.task.take() else { return };
        let vectored = match outcome {
            Some(outcome) => {
                request.give_memory_back(outcome);
                outcome.vectored()
            }
            None => {
                (request.buffer, request.paths) = Default::default();
                None
            }
        };
        match task.block {
            Some(block) if task.kind == Kind::Statx => self.blocks.give_back(block),
            Some(block) => self.vectors.give_back(block, vectored),
            None => {}
        }
        self.count(task.slot, -1);
        self.free.push(place.0);
    }

    #[inline]
    fn count(&mut self, slot: Option<Slot>, change: i32) {
        let Some(slot) = slot else { return };
        if self.uses.len() <= slot.index() {
            self.uses.resize(slot.index() + 1, 0);
        }
        let uses = &mut self.uses[slot.index()];
        *uses = uses.saturating_add_signed(change);
    }

    /// Tokens' indices are as dense as core's records.
    #[inline]
    fn note(&mut self, token: Token, number: u32) {
        let index = token.index as usize;
        if self.by_index.len() <= index {
            self.by_index.resize(index + 1, u32::MAX);
        }
        self.by_index[index] = number;
    }

    /// Cancels everything. Returns how many requests the kernel has.
    pub(crate) fn cancel_all(&mut self, ring: &mut Ring) -> usize {
        let mut in_kernel = 0;
        for number in 0..self.table.len() {
            let place = FilePlace(number as u32);
            in_kernel += usize::from(self.table[number].is_in_kernel());
            if let Some(user_data) = self.cancel_at(place) {
                push_cancel(ring, user_data);
            }
        }
        in_kernel
    }

    /// Whether more is left of what is held at `place`, and is to move all, after it has moved `count` bytes more.
    pub(crate) fn has_vectored_rest(&mut self, place: FilePlace, count: u32) -> bool {
        let request = self.table.get(place.index()).filter(|request| !request.is_in_kernel());
        let task = request.and_then(|request| request.task.as_ref());
        let task = task.filter(|task| vectored::is_all(task.kind));
        task.and_then(|task| task.block).is_some_and(|block| self.vectors.goes_on_after(block, count))
    }

    /// How many blocks of several buffers there are, used and free.
    #[cfg(test)]
    pub(crate) fn vectored_blocks(&self) -> usize {
        self.vectors.len()
    }

    /// How many places there are, used and free.
    pub(crate) fn places(&self) -> usize {
        self.table.len()
    }

    /// How many blocks there are, used and free.
    #[cfg(test)]
    pub(crate) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Leaves all memory to the kernel, which may still write to it.
    pub(crate) fn forget(&mut self) {
        mem::forget(mem::take(self));
    }
}

/// The code of the ring's operation that does operations of this kind, if one does.
pub(crate) const fn opcode_of(kind: Kind) -> Option<u8> {
    Some(match kind {
        Kind::OpenAt => opcode::OpenAt::CODE,
        Kind::ReadAt => opcode::Read::CODE,
        Kind::WriteAt => opcode::Write::CODE,
        Kind::ReadVectoredAt | Kind::ReadVectoredExactAt => opcode::Readv::CODE,
        Kind::WriteVectoredAt | Kind::WriteVectoredAllAt => opcode::Writev::CODE,
        Kind::Fsync | Kind::Fdatasync => opcode::Fsync::CODE,
        Kind::Truncate => opcode::Ftruncate::CODE,
        Kind::Allocate => opcode::Fallocate::CODE,
        Kind::Statx => opcode::Statx::CODE,
        Kind::Rename => opcode::RenameAt::CODE,
        Kind::Link => opcode::LinkAt::CODE,
        Kind::Symlink => opcode::SymlinkAt::CODE,
        Kind::Unlink | Kind::RemoveDir => opcode::UnlinkAt::CODE,
        Kind::MakeDir => opcode::MkDirAt::CODE,
        _ => return None,
    })
}

fn push_cancel(ring: &mut Ring, user_data: u64) {
    let entry = opcode::AsyncCancel::new(user_data).build().user_data(crate::requests::CANCELED);
    // SAFETY: the entry points to nothing.
    unsafe { ring.push(&entry) };
}
