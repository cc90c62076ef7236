//! What the kernel is doing for us, and the memory that it does it on.
//!
//! The kernel works on the bytes of an operation's buffers, and on the block of an accept's or connect's address, of a
//! message or of several buffers, from the moment when an entry is queued until the entry's last completion was popped. That memory is safe
//! from everyone else because of what this file does, whatever its callers do:
//!
//! - A request is submitted from its place in the table, into which its buffer was taken out of core's reach, and
//!   [`end`](Requests::end) is the only way out of there, shut while the kernel has it. Nothing else gives access to a
//!   buffer or a block.
//! - A place that is not idle takes no other request, and a request is queued once at a time.
//! - Only a completion that names a place and its present round, and says that it is the last, makes the request's memory
//!   ours again.
//! - What the kernel still has when all this is dropped is forgotten, not freed.
//! - Buffers that the kernel takes by itself, as bytes arrive, are owned by [`Pools`], which says more of them.
//!
//! A buffer's bytes are on the heap and do not move with it, so the table may grow. Blocks do not move at all.
#![allow(unsafe_code)]

use std::mem;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use io_uring::{cqueue, opcode};
use proactor_core::{Address, Buffer, Done, Envelope, Error, Kind, Outcome, Slot, Token};
use proactor_system::DescriptorKind;
use rustix::io::Errno;

use crate::address::Blocks;
use crate::bytes;
use crate::file_requests::{FileReply, FileRequests};
use crate::message::Messages;
use crate::poll_requests::{PollReply, PollRequests};
use crate::pools::Pools;
use crate::ring::Ring;
use crate::transfer::{Manner, Rest, transfer};
use crate::vectored;
use crate::vectors::Vectors;

pub(crate) use table::Place;
use table::Table;

mod datagrams;
mod end;
mod files;
mod messages;
mod opening;
mod recv_many;
mod send_file;
mod submitting;
mod table;
mod vectored_buffers;

/// How long a drop waits for what it has cancelled, and opening for its probe. None of the operations here can be held
/// up; should the kernel have reasons of its own, memory is lost to this process, and the loop's thread is not.
const PATIENCE: Duration = Duration::from_secs(1);

/// The completions that are of no request.
const WATCHED: u64 = u64::MAX;
pub(crate) const CANCELED: u64 = u64::MAX - 1;
const PROBED: u64 = u64::MAX - 2;

/// What is asked of the kernel, apart from the memory.
#[derive(Debug)]
struct Task {
    token: Token,
    /// The number of the block of an accept, a connect, a message or several buffers; the bytes that a `SendAll`, a
    /// `ReadExact` or a `WriteAll` has moved so far; the group of a `RecvMany`'s buffers; whether an `AcceptMany` ends because its
    /// connections cannot be named.
    extra: u32,
    kind: Kind,
    /// Whether the kernel was only asked to wait until the descriptor is ready.
    is_poll: bool,
    is_canceled: bool,
    /// Whether what reads or writes does it on a socket.
    is_socket: bool,
    /// Whether what sends is not to wait in the kernel: what stays within this machine, and descriptors.
    is_impatient: bool,
    /// Whether it had no room once, though its socket had.
    had_no_room: bool,
}

impl Task {
    const fn new(token: Token, kind: Kind, extra: u32) -> Self {
        Self {
            token,
            extra,
            kind,
            is_poll: false,
            is_canceled: false,
            is_socket: false,
            is_impatient: false,
            had_no_room: false,
        }
    }

    /// What is done on a descriptor of this kind.
    fn on(mut self, kind: DescriptorKind) -> Self {
        self.is_socket = matches!(kind, DescriptorKind::Socket(_));
        self.is_impatient = matches!(kind, DescriptorKind::Socket(transport) if transport.is_local());
        self
    }
}

/// One place of the table. Not aligned to a line of the cache: memory that is aligned to more than an allocator's own
/// alignment is copied each time the table grows, and what was copied stays with the process.
#[derive(Debug)]
pub(crate) struct Request {
    /// That of a receive or a send, in whose record an empty one is meanwhile.
    buffer: Option<Buffer>,
    /// None in an idle place.
    task: Option<Task>,
    /// Goes up when the task is submitted, and when its last completion was popped: odd while the kernel has it.
    round: u32,
    /// Whether the last receive left nothing, so that another one would most likely find nothing.
    is_drained: bool,
}

const _: () = assert!(size_of::<Request>() <= 64);

impl Request {
    const IDLE: Self = Self { buffer: None, task: None, round: 0, is_drained: false };

    #[inline(always)]
    const fn is_in_kernel(&self) -> bool {
        self.round % 2 == 1
    }

    /// The task, if we have its memory.
    #[inline(always)]
    fn held(&mut self) -> Option<&mut Task> {
        if self.is_in_kernel() { None } else { self.task.as_mut() }
    }

    /// Whether a completion is of the task that the kernel has now. Each submission has a number of its own.
    #[inline(always)]
    fn is_named_by(&self, entry: &cqueue::Entry) -> bool {
        self.round == (entry.user_data() >> 32) as u32
    }

    /// Decides what the kernel has, if this is the completion of a receive, or of a send of everything, that has gone as
    /// it should; nothing changes otherwise. Returns whether it was.
    #[inline(always)]
    fn finish_transfer(&mut self, entry: &cqueue::Entry, pools: &mut Pools, done: &mut Done) -> bool {
        let Some(task) = self.task.as_ref().filter(|task| !task.is_poll) else { return false };
        let (token, result) = (task.token, entry.result());
        if cqueue::more(entry.flags()) {
            return receive_one(task, entry, pools, done);
        }
        if result < 0 {
            return false;
        }
        let decided = done.decide(token, |outcome| match (outcome, task.kind) {
            (Outcome::Recv(received), Kind::Recv) => {
                let buffer = self.buffer.take().ok_or(())?;
                give_back(buffer, &mut received.buffer);
                received.result = Ok(result as usize);
                self.is_drained = !cqueue::sock_nonempty(entry.flags());
                Ok(())
            }
            (Outcome::SendAll(sent), Kind::SendAll) => {
                let transferred = task.extra as usize + result as usize;
                let buffer = self.buffer.take_if(|buffer| buffer.len() == transferred).ok_or(())?;
                give_back(buffer, &mut sent.buffer);
                sent.transferred = transferred;
                sent.result = Ok(());
                Ok(())
            }
            _ => Err(()),
        });
        let is_decided = decided == Some(Ok(()));
        if is_decided {
            self.task = None;
            self.round = self.round.wrapping_add(1);
        }
        is_decided
    }

    /// Gives the task to the kernel. Returns what its completions will name, which no other's ever did.
    #[inline(always)]
    fn submitted(&mut self, place: Place) -> u64 {
        self.round = self.round.wrapping_add(1);
        self.user_data(place)
    }

    #[inline(always)]
    const fn user_data(&self, place: Place) -> u64 {
        (self.round as u64) << 32 | place.0 as u64
    }
}

/// A completion, taken from the queue. There is one of each, so what it ends is ended once.
#[derive(Debug)]
pub(crate) struct Unread(cqueue::Entry);

/// What the kernel says with a completion.
#[derive(Debug)]
pub(crate) enum Answer {
    /// To a request.
    Request(Reply),
    /// To a request on a file or a name.
    File(FileReply),
    /// To a request that only waits.
    Poll(PollReply),
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
    /// What the operation gives.
    pub(crate) result: Result<u32, Errno>,
    /// Whether it is the last, so that the request is held again.
    pub(crate) is_last: bool,
    /// Whether it only tells that the descriptor may be ready.
    pub(crate) is_poll: bool,
    /// What a receive has put bytes into that takes buffers from a ring.
    pub(crate) buffer: Option<Buffer>,
    _only_made_here: (),
}

/// All requests of one ring.
#[derive(Debug)]
pub(crate) struct Requests {
    pub(crate) ring: Ring,
    table: Table,
    blocks: Blocks,
    pools: Pools,
    messages: Messages,
    vectors: Vectors,
    /// Those on files and names.
    pub(crate) files: FileRequests,
    /// Those that only wait.
    pub(crate) polls: PollRequests,
    pub(crate) manner: Manner,
    /// How what stays within this machine is sent.
    pub(crate) impatient: Manner,
    /// Whether one accept can go on for ever.
    pub(crate) accepts_many: bool,
    /// Whether one receive can go on for ever.
    pub(crate) receives_many: bool,
    /// Whether bytes can be sent to an address without the header of a message.
    pub(crate) sends_to: bool,
    /// Completions that named no request.
    strays: u64,
    /// How many receives were to wait before they try.
    #[cfg(test)]
    pub(crate) waited_first: usize,
}

impl Requests {
    /// Makes places for this many slots.
    pub(crate) fn grow(&mut self, slots: usize) {
        self.table.grow(slots);
    }

    /// Whether nothing is on its way at a place.
    pub(crate) fn is_idle(&self, place: Place) -> bool {
        self.task(place).is_none()
    }

    /// The same, and if so, makes sure that the place has memory.
    pub(crate) fn make_idle(&mut self, place: Place) -> bool {
        self.idle(place).is_some()
    }

    #[inline(always)]
    fn task(&self, place: Place) -> Option<&Task> {
        self.table.get(place)?.task.as_ref()
    }

    /// An idle place of the table, with memory from now on.
    #[inline(always)]
    fn idle(&mut self, place: Place) -> Option<&mut Request> {
        if self.table.get(place).is_none() {
            self.table.make_room(place);
        }
        self.table.get_mut(place).filter(|request| request.task.is_none())
    }

    /// Hands a receive, or a send of `kind`, to the kernel, taking its buffer away. Returns whether it did: not if
    /// something is on its way at `place` already, if the place has no memory yet, or if the buffer is to be received into
    /// and cannot.
    #[inline(always)]
    pub(crate) fn begin_transfer(
        &mut self,
        place: Place,
        descriptor: BorrowedFd<'_>,
        (token, kind): (Token, Kind),
        buffer: &mut Buffer,
    ) -> bool {
        let Self { table, ring, manner, .. } = self;
        let found = table.get_mut_of(place, bytes::fills_buffer(kind));
        let Some(request) = found.filter(|request| request.task.is_none()) else {
            return false;
        };
        if bytes::fills_buffer(kind) && !buffer.is_writable() {
            return false;
        }
        // Where there is most likely nothing, a first try would be for nothing.
        let options = if kind == Kind::Recv && request.is_drained { manner.wait_first } else { 0 };
        #[cfg(test)]
        {
            self.waited_first += usize::from(options != 0);
        }
        let rest = Rest { kind, transferred: 0, options, is_socket: true };
        let entry = transfer(buffer, descriptor, manner, rest);
        // An idle place has no buffer to drop.
        mem::forget(request.buffer.replace(mem::take(buffer)));
        request.task = Some(Task::new(token, kind, 0));
        let user_data = request.submitted(place);
        // SAFETY: the entry points to bytes of the buffer that is in the table now, and stays there while the kernel has
        // the task (see above). A buffer that is received into has its bytes to itself, as was checked.
        unsafe { ring.push(&entry.user_data(user_data)) };
        true
    }

    /// Asks the kernel to end what it does at `place`. The entry is behind the request's in the queue, so it never comes
    /// before it.
    pub(crate) fn cancel(&mut self, place: Place) {
        let Some(request) = self.table.get_mut(place) else { return };
        let (user_data, in_kernel) = (request.user_data(place), request.is_in_kernel());
        let Some(task) = request.task.as_mut().filter(|task| in_kernel && !task.is_canceled) else { return };
        task.is_canceled = true;
        self.cancel_user_data(user_data);
    }

    fn cancel_user_data(&mut self, user_data: u64) {
        let entry = opcode::AsyncCancel::new(user_data).build().user_data(CANCELED);
        // SAFETY: the entry points to nothing.
        unsafe { self.ring.push(&entry) };
    }

    /// Ends the `AcceptMany` at `place`: what it accepts has no name in core.
    #[cold]
    pub(crate) fn end_unsupported(&mut self, place: Place) {
        let Some(request) = self.table.get_mut(place) else { return };
        let goes_on = request.is_in_kernel();
        if let Some(task) = request.task.as_mut().filter(|task| task.kind == Kind::AcceptMany) {
            task.extra = 1;
            if goes_on {
                self.cancel(place);
            } else {
                task.is_canceled = true;
            }
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
        self.task(place).is_some_and(|task| task.is_canceled)
    }

    /// How many answers are there.
    #[inline(always)]
    pub(crate) fn answers(&mut self) -> usize {
        self.ring.completions().len()
    }

    /// Decides the transfers that went as they should, which is most of what comes, and returns the first
    /// completion of something else; `left` counts down the completions that are looked at.
    #[inline(always)]
    pub(crate) fn reap_transfers(&mut self, left: &mut usize, done: &mut Done) -> Option<Unread> {
        let Self { ring, table, pools, .. } = self;
        let mut completions = ring.completions();
        while *left > 0 {
            *left -= 1;
            let entry = completions.next()?;
            let place = Place(entry.user_data() as u32);
            let request = table.get_mut(place).filter(|request| request.is_named_by(&entry));
            if !request.is_some_and(|request| request.finish_transfer(&entry, pools, done)) {
                return Some(Unread(entry));
            }
        }
        None
    }

    /// No more requests than this are under way.
    pub(crate) fn places(&self) -> usize {
        self.table.len() + self.files.places() + self.polls.places()
    }

    /// What a completion says.
    pub(crate) fn read(&mut self, Unread(entry): Unread) -> Answer {
        let place = Place(entry.user_data() as u32);
        let is_last = !cqueue::more(entry.flags());
        let request = self.table.get_mut(place).filter(|request| request.is_named_by(&entry));
        if let Some(Request { task: Some(task), round, .. }) = request {
            if is_last {
                *round = round.wrapping_add(1);
            }
            let (kind, is_poll) = (task.kind, task.is_poll);
            let result = match entry.result() {
                result @ 0.. => Ok(result as u32),
                negated => Err(errno(negated)),
            };
            if kind == Kind::RecvMsg && is_last && !is_poll && result.is_ok() {
                self.messages.open_enclosed(task.extra);
            }
            let buffer = if kind == Kind::RecvMany { self.pools.received(task.extra, &entry) } else { None };
            return Answer::Request(Reply {
                place,
                kind,
                result,
                is_last,
                is_poll,
                buffer,
                _only_made_here: (),
            });
        }
        if let Some(reply) = self.files.read(&entry) {
            return Answer::File(reply);
        }
        if let Some(reply) = self.polls.read(&entry) {
            return Answer::Poll(reply);
        }
        match entry.user_data() {
            WATCHED => return Answer::Watched { goes_on: !is_last },
            CANCELED => {}
            _ => self.strays += 1,
        }
        Answer::Nobody
    }

    /// Counts what is held at `place`, and is to move all, has moved, and tells whether more is left.
    pub(crate) fn has_rest(&mut self, place: Place, sent: u32) -> bool {
        let Some(request) = self.table.get_mut(place) else { return false };
        let len = request.buffer.as_ref().map_or(0, Buffer::len);
        let Some(task) = request.held().filter(|task| bytes::transfers_all(task.kind)) else { return false };
        task.extra = task.extra.saturating_add(sent);
        (task.extra as usize) < len
    }

    /// The socket that a reply to an accept brings.
    ///
    /// # Errors
    /// Why it brings none; [`Errno::INVAL`] if it is a reply to something else.
    pub(crate) fn accepted(reply: Reply) -> Result<OwnedFd, Errno> {
        let is_accept = matches!(reply.kind, Kind::Accept | Kind::AcceptMany);
        let socket = if is_accept && !reply.is_poll { reply.result? } else { return Err(Errno::INVAL) };
        // SAFETY: the kernel has opened it for this completion of an accept. Replies are made in `read` only, one of each
        // completion, and this one is consumed.
        Ok(unsafe { OwnedFd::from_raw_fd(socket as i32) })
    }

    /// The address that the kernel has written for the accept that is held at `place`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if it has no name in core.
    pub(crate) fn address(&self, place: Place) -> Result<Address, Error> {
        match self.table.get(place) {
            Some(request) if request.is_in_kernel() => Err(Error::Unsupported),
            Some(Request { task: Some(task), .. }) if has_block(task.kind) => self.blocks.address(task.extra),
            _ => Err(Error::Unsupported),
        }
    }

    /// Ends what is held at `place`, which is idle then: its operation gets its buffer back, and `decide` tells it how it
    /// went. Does nothing if the kernel has it.
    pub(crate) fn end(&mut self, place: Place, done: &mut Done, decide: impl FnOnce(&mut Outcome)) {
        let Some(request) = self.table.get_mut(place) else { return };
        if request.is_in_kernel() {
            return;
        }
        let Some(task) = request.task.take() else { return };
        let mut enclosed = Envelope::default();
        if has_block(task.kind) {
            self.blocks.give_back(task.extra);
        } else if is_message(task.kind) {
            enclosed = self.messages.give_back(task.extra);
        }
        if task.kind == Kind::RecvMany {
            self.pools.leave(task.extra);
        }
        if vectored::is_vectored(task.kind) {
            return self.end_vectored(&task, done, decide);
        }
        let buffer = request.buffer.take().unwrap_or_default();
        let Some(outcome) = done.undecided(task.token) else { return };
        match outcome {
            Outcome::Recv(received) => give_back(buffer, &mut received.buffer),
            Outcome::Send(sent) => give_back(buffer, &mut sent.buffer),
            Outcome::RecvFrom(received) => give_back(buffer, &mut received.buffer),
            Outcome::SendTo(sent) => give_back(buffer, &mut sent.buffer),
            Outcome::SendAll(sent) => {
                give_back(buffer, &mut sent.buffer);
                sent.transferred = task.extra as usize;
            }
            Outcome::RecvMsg(_) | Outcome::SendMsg(_) => Self::give_back_to(outcome, buffer, enclosed),
            _ => bytes::give_back_to(outcome, buffer, task.extra),
        }
        decide(outcome);
        if task.kind == Kind::AcceptMany && task.extra != 0 {
            outcome.set_error(Error::Unsupported);
        }
        done.decided(task.token);
    }

    /// How many blocks of messages there are, used and free.
    #[cfg(test)]
    pub(crate) fn message_blocks(&self) -> usize {
        self.messages.len()
    }

    /// How many address blocks there are, used and free.
    #[cfg(test)]
    pub(crate) fn address_blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Has the kernel watch no longer.
    pub(crate) fn end_watch(&mut self) {
        self.cancel_user_data(WATCHED);
    }

    /// Has the kernel end what it does at `place`, without a word to anyone.
    #[cfg(test)]
    pub(crate) fn end_in_kernel(&mut self, place: Place) {
        self.cancel_user_data(self.table[place].user_data(place));
    }

    /// Has the kernel's answer to what is submitted at `place` name nobody.
    #[cfg(test)]
    pub(crate) fn pretend_to_be_stuck(&mut self, place: Place) {
        self.table[place].round += 2;
    }

    /// Completions that named no request.
    pub(crate) const fn strays(&self) -> u64 {
        self.strays
    }
}

/// Hands on what a receive that goes on has brought, if `entry` is a completion of such a one. Returns whether it was.
#[inline(always)]
fn receive_one(task: &Task, entry: &cqueue::Entry, pools: &mut Pools, done: &mut Done) -> bool {
    if task.kind != Kind::RecvMany || entry.result() <= 0 {
        return false;
    }
    let Some(buffer) = pools.received(task.extra, entry) else { return false };
    done.push_piece(task.token, buffer);
    true
}

/// Puts a buffer back into its operation, where an empty one is, of which nothing has to be dropped.
#[inline(always)]
pub(crate) fn give_back(buffer: Buffer, emptied: &mut Buffer) {
    mem::forget(mem::replace(emptied, buffer));
}

/// The error of a completion. An operation of the kernel's own threads that is interrupted, by its cancel for one, answers
/// with the numbers by which the kernel tells itself to restart a system call (512 to 516); no system call ever returns them.
#[inline]
pub(crate) fn errno(negated: i32) -> Errno {
    match -negated {
        512..=516 => Errno::INTR,
        number => Errno::from_raw_os_error(number),
    }
}

/// Whether the kernel reads or writes an address for it.
#[inline(always)]
const fn has_block(kind: Kind) -> bool {
    matches!(kind, Kind::Accept | Kind::Connect)
}

/// Whether the kernel reads or writes the header of a message for it.
#[inline(always)]
const fn is_message(kind: Kind) -> bool {
    matches!(kind, Kind::RecvFrom | Kind::SendTo | Kind::RecvMsg | Kind::SendMsg)
}
