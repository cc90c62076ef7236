//! What the kernel is doing for us, and the memory that it does it on.
//!
//! The kernel works on the bytes of an operation's buffer, and on the block of an accept's or connect's address, from
//! the moment when an entry is queued until the entry's last completion was popped. That memory is safe from everyone
//! else because of what this file does, whatever its callers do:
//!
//! - A request is submitted from its place in the table, and [`take`](Requests::take) is the only way out of there, shut
//!   while the kernel has it. Nothing else gives access to a buffer or a block.
//! - A place that is not idle takes no other request, and a request is queued once at a time.
//! - Only a completion that names a place and its present generation, and says that it is the last, makes the request's
//!   memory ours again.
//! - What the kernel still has when all this is dropped is forgotten, not freed.
//!
//! A buffer's bytes are on the heap and do not move with it, so the table may grow. Address blocks do not move at all.
#![allow(unsafe_code)]

use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use io_uring::types::Fd;
use io_uring::{cqueue, opcode};
use proactor_core::{Address, Buffer, Error, Handle, Kind, Slot, Token, Until};
use proactor_system::{MAX_TRANSFER, now};

use crate::address::Blocks;
use crate::ring::Ring;

/// How long a drop waits for what it has cancelled, and opening for its probe. None of the operations here can be held
/// up; should the kernel have reasons of its own, memory is lost to this process, and the loop's thread is not.
const PATIENCE: Duration = Duration::from_secs(1);

/// The completions that are of no request.
const WATCHED: u64 = u64::MAX;
const CANCELED: u64 = u64::MAX - 1;
const PROBED: u64 = u64::MAX - 2;

/// Where a request is kept: one for each slot and direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place(u32);

impl Place {
    /// The largest number of slots, each of which has two places.
    pub(crate) const MAX_SLOTS: usize = 1 << 26;

    #[inline(always)]
    pub(crate) const fn reading(slot: Slot) -> Self {
        Self(slot.0.wrapping_mul(2))
    }

    #[inline(always)]
    pub(crate) const fn writing(slot: Slot) -> Self {
        Self(slot.0.wrapping_mul(2).wrapping_add(1))
    }

    #[inline(always)]
    pub(crate) const fn slot(self) -> Slot {
        Slot(self.0 / 2)
    }

    const fn is_reading(self) -> bool {
        self.0.is_multiple_of(2)
    }

    #[inline(always)]
    const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Who has what a task works on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// We have: it is not submitted yet, or done by the kernel.
    Held,
    /// The kernel has.
    Submitted,
    /// We have, and the kernel waits until the descriptor is ready.
    Polled,
}

/// What is asked of the kernel, apart from the memory.
#[derive(Debug)]
struct Task {
    token: Token,
    handle: Handle,
    /// The number of the address block of an accept or a connect; the bytes that a `SendAll` has sent so far; whether an
    /// `AcceptMany` ends because its connections cannot be named.
    extra: u32,
    kind: Kind,
    stage: Stage,
    canceled: bool,
}

/// One place of the table, and one line of the cache.
#[derive(Debug)]
#[repr(align(64))]
struct Request {
    /// None in an idle place.
    task: Option<Task>,
    /// Counts the tasks that were here.
    generation: u16,
    /// That of a receive or a send.
    buffer: Option<Buffer>,
}

const _: () = assert!(size_of::<Request>() == 64);

impl Request {
    const IDLE: Self = Self { task: None, generation: 0, buffer: None };

    #[inline(always)]
    const fn user_data(&self, place: Place) -> u64 {
        (self.generation as u64) << 32 | place.0 as u64
    }

    /// The task, if the kernel is to answer it.
    #[inline(always)]
    fn in_kernel(&mut self) -> Option<&mut Task> {
        self.task.as_mut().filter(|task| task.stage != Stage::Held)
    }
}

/// What comes out of the table when the kernel is done.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) token: Token,
    pub(crate) handle: Handle,
    pub(crate) kind: Kind,
    /// That of a receive or a send.
    pub(crate) buffer: Buffer,
    /// How many bytes a `SendAll` has sent.
    pub(crate) transferred: usize,
    /// Whether an `AcceptMany` was ended because its connections cannot be named.
    pub(crate) is_unsupported: bool,
}

/// What the kernel says, taken from the completion queue.
#[derive(Debug)]
pub(crate) enum Answer {
    /// To a request.
    Request(Reply),
    /// The watched descriptor was written to, or is watched no longer.
    Watched {
        /// Whether it still is.
        goes_on: bool,
    },
    /// To nobody: a cancel, or a completion that names no request.
    Nobody,
}

/// The kernel's answer to a request.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) place: Place,
    pub(crate) kind: Kind,
    /// A negated error number, or what the operation gives.
    pub(crate) result: i32,
    /// Whether it is the last, so that the request is held again.
    pub(crate) is_last: bool,
    /// Whether it only tells that the descriptor may be ready.
    pub(crate) is_poll: bool,
}

/// All requests of one ring.
#[derive(Debug)]
pub(crate) struct Requests {
    pub(crate) ring: Ring,
    table: Vec<Request>,
    blocks: Blocks,
    /// What MSG flags a `SendAll` has.
    send_all_flags: i32,
    /// Whether one accept can go on for ever.
    accepts_many: bool,
    /// Completions that named no request.
    strays: u64,
}

impl Requests {
    /// `waits_for_all` tells whether the kernel can be asked to send all of some bytes.
    ///
    /// # Errors
    /// The system's, from the first calls on the ring; [`Error::Unsupported`] if this kernel cannot watch a descriptor
    /// for as long as the ring lives.
    pub(crate) fn new(ring: Ring, waits_for_all: bool, watched: BorrowedFd<'_>) -> Result<Self, Error> {
        let wait_all = if waits_for_all { libc::MSG_WAITALL } else { 0 };
        let mut requests = Self {
            ring,
            table: Vec::new(),
            blocks: Blocks::default(),
            send_all_flags: libc::MSG_NOSIGNAL | wait_all,
            accepts_many: false,
            strays: 0,
        };
        requests.probe(watched)?;
        Ok(requests)
    }

    /// Begins to watch a descriptor, and asks whether accepts can go on for ever: on a descriptor that cannot accept, of
    /// which only a kernel speaks that has understood the question.
    fn probe(&mut self, watched: BorrowedFd<'_>) -> Result<(), Error> {
        self.watch(watched);
        let entry = opcode::AcceptMulti::new(Fd(watched.as_raw_fd())).build().user_data(PROBED);
        // SAFETY: the entry points to nothing.
        unsafe { self.ring.push(&entry) };
        let deadline = now() + PATIENCE;
        while now() < deadline {
            self.ring.enter(Until::Deadline(deadline))?;
            while let Some(entry) = self.ring.pop() {
                if entry.user_data() != PROBED {
                    return Err(Error::Unsupported);
                }
                self.accepts_many = entry.result() == -libc::ENOTSOCK;
                return Ok(());
            }
        }
        Err(Error::Unsupported)
    }

    /// Watches a descriptor: each write to it is answered with [`Answer::Watched`], until that says otherwise.
    pub(crate) fn watch(&mut self, watched: BorrowedFd<'_>) {
        let entry = opcode::PollAdd::new(Fd(watched.as_raw_fd()), libc::POLLIN as u32).multi(true).build();
        // SAFETY: the entry points to nothing.
        unsafe { self.ring.push(&entry.user_data(WATCHED)) };
    }

    /// Makes places for this many slots.
    pub(crate) fn grow(&mut self, slots: usize) {
        let places = slots * 2;
        if self.table.len() < places {
            self.table.resize_with(places, || Request::IDLE);
        }
    }

    /// Whether nothing is on its way at a place.
    pub(crate) fn is_idle(&self, place: Place) -> bool {
        self.task(place).is_none()
    }

    #[inline(always)]
    fn task(&self, place: Place) -> Option<&Task> {
        self.table.get(place.index())?.task.as_ref()
    }

    /// Hands a receive, or a send of `kind`, to the kernel.
    ///
    /// # Errors
    /// Gives the buffer back, with [`Error::Busy`] if something is on its way at `place` already, or with
    /// [`Error::ReadOnlyBuffer`].
    #[inline(always)]
    pub(crate) fn begin_transfer(
        &mut self,
        place: Place,
        descriptor: BorrowedFd<'_>,
        task: (Token, Handle, Kind),
        buffer: Buffer,
    ) -> Result<(), (Error, Buffer)> {
        let (token, handle, kind) = task;
        if kind == Kind::Recv && !buffer.is_writable() {
            return Err((Error::ReadOnlyBuffer, buffer));
        }
        let idle = self.table.get_mut(place.index()).filter(|request| request.task.is_none());
        let Some(request) = idle else { return Err((Error::Busy, buffer)) };
        request.buffer = Some(buffer);
        request.task = Some(Task { token, handle, extra: 0, kind, stage: Stage::Held, canceled: false });
        self.submit(place, descriptor);
        Ok(())
    }

    /// Hands an accept of `kind` to the kernel.
    ///
    /// # Errors
    /// [`Error::Busy`] if something is on its way at `place` already.
    pub(crate) fn begin_accept(
        &mut self,
        place: Place,
        descriptor: BorrowedFd<'_>,
        task: (Token, Handle, Kind),
    ) -> Result<(), Error> {
        let (token, handle, kind) = task;
        let idle = self.table.get_mut(place.index()).filter(|request| request.task.is_none());
        let request = idle.ok_or(Error::Busy)?;
        let extra = if has_block(kind) { self.blocks.take() } else { 0 };
        request.task = Some(Task { token, handle, extra, kind, stage: Stage::Held, canceled: false });
        self.submit(place, descriptor);
        Ok(())
    }

    /// Hands a connect to the kernel.
    ///
    /// # Errors
    /// [`Error::Busy`] if something is on its way at `place` already, [`Error::Unsupported`] for an address that has no
    /// form in the kernel.
    pub(crate) fn begin_connect(
        &mut self,
        place: Place,
        descriptor: BorrowedFd<'_>,
        task: (Token, Handle),
        address: &Address,
    ) -> Result<(), Error> {
        let (token, handle) = task;
        let idle = self.table.get_mut(place.index()).filter(|request| request.task.is_none());
        let request = idle.ok_or(Error::Busy)?;
        let extra = self.blocks.take_with(address)?;
        let (kind, stage) = (Kind::Connect, Stage::Held);
        request.task = Some(Task { token, handle, extra, kind, stage, canceled: false });
        self.submit(place, descriptor);
        Ok(())
    }

    /// Hands what is held at `place` to the kernel, to be done on `descriptor`. Does nothing if nothing is.
    #[inline(always)]
    pub(crate) fn submit(&mut self, place: Place, descriptor: BorrowedFd<'_>) {
        let Some(request) = self.table.get_mut(place.index()) else { return };
        let user_data = request.user_data(place);
        let Request { task: Some(task), buffer, .. } = request else { return };
        if task.stage != Stage::Held {
            return;
        }
        let descriptor = Fd(descriptor.as_raw_fd());
        let entry = match (task.kind, buffer) {
            (Kind::Recv, Some(buffer)) => {
                let len = buffer.len().min(MAX_TRANSFER) as u32;
                opcode::Recv::new(descriptor, buffer.as_mut_ptr(), len).build()
            }
            (Kind::SendAll, Some(buffer)) => {
                let rest = buffer.get(task.extra as usize..).unwrap_or_default();
                let len = rest.len().min(MAX_TRANSFER) as u32;
                opcode::Send::new(descriptor, rest.as_ptr(), len).flags(self.send_all_flags).build()
            }
            (Kind::Send, Some(buffer)) => {
                let len = buffer.len().min(MAX_TRANSFER) as u32;
                opcode::Send::new(descriptor, buffer.as_ptr(), len).flags(libc::MSG_NOSIGNAL).build()
            }
            _ => return self.submit_for_connection(place, descriptor),
        };
        task.stage = Stage::Submitted;
        // SAFETY: the entry points to bytes of the buffer that is in the table, and stays there while the stage is what
        // it is now (see above). A buffer that is received into has its bytes to itself, as `begin_transfer` checked.
        unsafe { self.ring.push(&entry.user_data(user_data)) };
    }

    /// [`submit`](Self::submit) for what comes once in a connection's life.
    #[inline(never)]
    fn submit_for_connection(&mut self, place: Place, descriptor: Fd) {
        let request = &mut self.table[place.index()];
        let user_data = request.user_data(place);
        let Some(task) = &mut request.task else { return };
        let entry = match task.kind {
            Kind::Accept => {
                let (address, len) = self.blocks.for_writing(task.extra);
                opcode::Accept::new(descriptor, address, len).flags(libc::SOCK_CLOEXEC).build()
            }
            Kind::AcceptMany if self.accepts_many => {
                opcode::AcceptMulti::new(descriptor).flags(libc::SOCK_CLOEXEC).build()
            }
            Kind::AcceptMany => {
                let accept = opcode::Accept::new(descriptor, ptr::null_mut(), ptr::null_mut());
                accept.flags(libc::SOCK_CLOEXEC).build()
            }
            Kind::Connect => {
                let (address, len) = self.blocks.for_reading(task.extra);
                opcode::Connect::new(descriptor, address, len).build()
            }
            _ => return,
        };
        task.stage = Stage::Submitted;
        // SAFETY: the entry points to nothing, or to the block of this task: blocks stay where they are and live as long
        // as the table, and this one is given back by `take` only, which is shut while the stage is what it is now.
        unsafe { self.ring.push(&entry.user_data(user_data)) };
    }

    /// Waits until `descriptor` may be ready for what is held at `place`, which is answered by a reply that
    /// [`is_poll`](Reply::is_poll).
    pub(crate) fn poll(&mut self, place: Place, descriptor: BorrowedFd<'_>) {
        let Some(request) = self.table.get_mut(place.index()) else { return };
        let user_data = request.user_data(place);
        let Some(task) = request.task.as_mut().filter(|task| task.stage == Stage::Held) else { return };
        task.stage = Stage::Polled;
        let events = if place.is_reading() { libc::POLLIN } else { libc::POLLOUT };
        let entry = opcode::PollAdd::new(Fd(descriptor.as_raw_fd()), events as u32).build();
        // SAFETY: the entry points to nothing.
        unsafe { self.ring.push(&entry.user_data(user_data)) };
    }

    /// Asks the kernel to end what it does at `place`. The entry is behind the request's in the queue, so it never comes
    /// before it.
    pub(crate) fn cancel(&mut self, place: Place) {
        let Some(request) = self.table.get_mut(place.index()) else { return };
        let user_data = request.user_data(place);
        let Some(task) = request.in_kernel().filter(|task| !task.canceled) else { return };
        task.canceled = true;
        let entry = opcode::AsyncCancel::new(user_data).build().user_data(CANCELED);
        // SAFETY: the entry points to nothing.
        unsafe { self.ring.push(&entry) };
    }

    /// Ends the `AcceptMany` at `place`: what it accepts has no name in core.
    #[cold]
    pub(crate) fn end_unsupported(&mut self, place: Place) {
        let task = self.table.get_mut(place.index()).and_then(|request| request.task.as_mut());
        if let Some(task) = task.filter(|task| task.kind == Kind::AcceptMany) {
            task.extra = 1;
            self.cancel(place);
        }
    }

    /// The place where `token` is on its way, if it is at this slot.
    pub(crate) fn find(&self, slot: Slot, token: Token) -> Option<Place> {
        if slot.index() >= Place::MAX_SLOTS {
            return None;
        }
        let mut places = [Place::reading(slot), Place::writing(slot)].into_iter();
        places.find(|&place| self.token(place) == Some(token))
    }

    /// What is on its way at `place` was started as, if something is.
    pub(crate) fn token(&self, place: Place) -> Option<Token> {
        self.task(place).map(|task| task.token)
    }

    /// Whether what is on its way at `place` was asked to end.
    pub(crate) fn is_canceled(&self, place: Place) -> bool {
        self.task(place).is_some_and(|task| task.canceled)
    }

    /// How many answers are there.
    #[inline(always)]
    pub(crate) fn answers(&mut self) -> usize {
        self.ring.completed()
    }

    /// What the kernel says next.
    #[inline(always)]
    pub(crate) fn next_answer(&mut self) -> Option<Answer> {
        let entry = self.ring.pop()?;
        let user_data = entry.user_data();
        let place = Place(user_data as u32);
        let request = self.table.get_mut(place.index());
        let named = request.filter(|request| u64::from(request.generation) == user_data >> 32);
        let Some(task) = named.and_then(Request::in_kernel) else {
            return Some(self.answer_to_none(&entry));
        };
        let is_poll = task.stage == Stage::Polled;
        let is_last = !cqueue::more(entry.flags());
        if is_last {
            task.stage = Stage::Held;
        }
        Some(Answer::Request(Reply { place, kind: task.kind, result: entry.result(), is_last, is_poll }))
    }

    #[cold]
    #[inline(never)]
    fn answer_to_none(&mut self, entry: &cqueue::Entry) -> Answer {
        match entry.user_data() {
            WATCHED => return Answer::Watched { goes_on: cqueue::more(entry.flags()) },
            CANCELED => {}
            _ => self.strays += 1,
        }
        Answer::Nobody
    }

    /// Counts what the `SendAll` that is held at `place` has sent, and tells whether more is left.
    #[inline(always)]
    pub(crate) fn has_rest(&mut self, place: Place, sent: u32) -> bool {
        let Some(Request { task: Some(task), buffer: Some(buffer), .. }) = self.table.get_mut(place.index())
        else {
            return false;
        };
        if task.kind != Kind::SendAll || task.stage != Stage::Held {
            return false;
        }
        task.extra = task.extra.saturating_add(sent);
        (task.extra as usize) < buffer.len()
    }

    /// The socket that a reply to an accept brings, if it brings one.
    ///
    /// # Errors
    /// The reply, which is of something else, or of one that failed.
    pub(crate) fn accepted(reply: Reply) -> Result<OwnedFd, Reply> {
        let is_accept = matches!(reply.kind, Kind::Accept | Kind::AcceptMany);
        if !is_accept || reply.is_poll || reply.result < 0 {
            return Err(reply);
        }
        // SAFETY: the kernel has opened it for this completion of an accept. Replies are made of completions only, one of
        // each, and this one is consumed.
        Ok(unsafe { OwnedFd::from_raw_fd(reply.result) })
    }

    /// The address that belongs to the accept or connect that is held at `place`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if it has no name in core.
    pub(crate) fn address(&self, place: Place) -> Result<Address, Error> {
        match self.task(place) {
            Some(task) if has_block(task.kind) && task.stage == Stage::Held => self.blocks.address(task.extra),
            _ => Err(Error::Unsupported),
        }
    }

    /// Takes what is held at `place` out of the table, which is idle there then. Nothing if the kernel has it.
    #[inline(always)]
    pub(crate) fn take(&mut self, place: Place) -> Option<Finished> {
        let request = self.table.get_mut(place.index())?;
        if request.task.as_ref()?.stage != Stage::Held {
            return None;
        }
        let task = request.task.take()?;
        request.generation = request.generation.wrapping_add(1);
        let buffer = request.buffer.take().unwrap_or_default();
        if has_block(task.kind) {
            self.blocks.give_back(task.extra);
        }
        Some(Finished {
            token: task.token,
            handle: task.handle,
            kind: task.kind,
            buffer,
            transferred: task.extra as usize,
            is_unsupported: task.kind == Kind::AcceptMany && task.extra != 0,
        })
    }

    /// Cancels everything and waits, for at most this long, until the kernel has let go of it. Returns how many requests
    /// it has kept. What completes meanwhile is dropped, sockets that come are closed.
    fn end_all(&mut self, patience: Duration) -> usize {
        let mut in_kernel = 0;
        for index in 0..self.table.len() {
            if self.table[index].in_kernel().is_some() {
                in_kernel += 1;
                self.cancel(Place(index as u32));
            }
        }
        let deadline = now() + patience;
        while in_kernel > 0 && now() < deadline {
            if self.ring.enter(Until::Deadline(deadline)).is_err() {
                break;
            }
            while let Some(answer) = self.next_answer() {
                let Answer::Request(reply) = answer else { continue };
                in_kernel -= usize::from(reply.is_last);
                let place = reply.place;
                drop(Self::accepted(reply));
                drop(self.take(place));
            }
        }
        in_kernel
    }

    /// Completions that named no request.
    pub(crate) const fn strays(&self) -> u64 {
        self.strays
    }
}

/// Whether the kernel reads or writes an address for it.
#[inline(always)]
const fn has_block(kind: Kind) -> bool {
    matches!(kind, Kind::Accept | Kind::Connect)
}

impl Drop for Requests {
    fn drop(&mut self) {
        if self.end_all(PATIENCE) > 0 {
            // The kernel may still write to buffers and blocks of these. The ring itself can go: the kernel counts its
            // own references to that memory, and closing is one more reason for it to end what is left.
            mem::forget(mem::take(&mut self.table));
            mem::forget(mem::take(&mut self.blocks));
        }
    }
}
