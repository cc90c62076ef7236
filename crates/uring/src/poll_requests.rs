//! What the kernel waits for without touching any memory of ours: polls, and what waits for a descriptor of its own.
//!
//! As in [`file_requests`](crate::file_requests) each has a place, used again and again, and a completion names the place and
//! its present round.

use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use io_uring::cqueue;
use proactor_core::{Done, Kind, Outcome, SignalSet, Slot, Token};
use proactor_system::{self as system, SignalWatch};
use rustix::io::Errno;

use crate::requests::CANCELED;
use crate::ring::Ring;

/// Where a request is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PollPlace(u32);

impl PollPlace {
    /// The two highest bits of what a completion names a place with, as no place of a slot or of a file has them.
    const TAG: u32 = 0b01 << 30;
    const TAG_BITS: u32 = 0b11 << 30;

    const fn named(user_data: u64) -> Option<Self> {
        let place = user_data as u32;
        if place & Self::TAG_BITS == Self::TAG { Some(Self(place & !Self::TAG_BITS)) } else { None }
    }

    const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What is waited for.
#[derive(Debug)]
pub(crate) enum Awaited {
    /// The handle in a slot.
    Slot(Slot),
    /// The same, through a poller that watches it alone.
    Through(Slot, OwnedFd),
    /// A child process to end, by its number, which is its own until its status is taken.
    Child(u32),
    /// The same by its descriptor, where the kernel only polls.
    ChildDescriptor(OwnedFd),
    Signals(Box<SignalWatch>),
}

impl Awaited {
    const fn slot(&self) -> Option<Slot> {
        match self {
            Self::Slot(slot) | Self::Through(slot, _) => Some(*slot),
            Self::Child(_) | Self::ChildDescriptor(_) | Self::Signals(_) => None,
        }
    }
}

#[derive(Debug)]
struct Task {
    token: Token,
    kind: Kind,
    awaited: Awaited,
    /// In the bits of poll(2).
    events: u32,
    is_canceled: bool,
}

/// One place.
#[derive(Debug, Default)]
struct PollRequest {
    /// None in a free place.
    task: Option<Task>,
    /// Goes up when the task is submitted, and when its last completion was popped: odd while the kernel has it.
    round: u32,
}

impl PollRequest {
    const fn is_in_kernel(&self) -> bool {
        self.round % 2 == 1
    }

    const fn user_data(&self, place: PollPlace) -> u64 {
        (self.round as u64) << 32 | (place.0 | PollPlace::TAG) as u64
    }
}

/// The kernel's answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PollReply {
    pub(crate) place: PollPlace,
    pub(crate) token: Token,
    pub(crate) kind: Kind,
    /// That of the handle that was polled.
    pub(crate) slot: Option<Slot>,
    /// Whether it was not the handle itself.
    pub(crate) is_through: bool,
    /// What is ready, in the bits of poll(2).
    pub(crate) result: Result<u32, Errno>,
    /// Whether the request is held again.
    pub(crate) is_last: bool,
    pub(crate) is_canceled: bool,
}

/// All of them, of one ring.
#[derive(Debug, Default)]
pub(crate) struct PollRequests {
    table: Vec<PollRequest>,
    free: Vec<u32>,
    /// The place of the operation in each of core's cells, as far as it was one of these; it may be gone since.
    by_cell: Vec<u32>,
    /// How many use each slot.
    uses: Vec<u32>,
    /// Whether the kernel waits for child processes (Linux 6.7).
    pub(crate) waits_for_children: bool,
}

impl PollRequests {
    /// Hands an operation to the kernel, to wait for these events of what is awaited; `descriptor` is that of the slot, if it
    /// is a slot's.
    pub(crate) fn begin(
        &mut self,
        ring: &mut Ring,
        (token, kind): (Token, Kind),
        awaited: Awaited,
        events: u32,
        descriptor: Option<BorrowedFd<'_>>,
    ) {
        let number = self.free.pop().unwrap_or_else(|| {
            self.table.push(PollRequest::default());
            // As many as operations in flight, of which core has fewer than 2^30 if each takes memory.
            self.table.len() as u32 - 1
        });
        let place = PollPlace(number);
        awaited.slot().into_iter().for_each(|slot| self.count(slot, 1));
        self.note(token, number);
        self.table[place.index()].task = Some(Task { token, kind, awaited, events, is_canceled: false });
        self.submit(ring, place, descriptor);
    }

    /// Hands what is held at `place` to the kernel; `descriptor` is that of its slot, if it has one.
    pub(crate) fn submit(&mut self, ring: &mut Ring, place: PollPlace, descriptor: Option<BorrowedFd<'_>>) {
        let request = self.table.get_mut(place.index()).filter(|request| !request.is_in_kernel());
        let Some(request) = request else { return };
        let Some(task) = &request.task else { return };
        let round = request.round.wrapping_add(1);
        let descriptor = match (&task.awaited, descriptor) {
            (&Awaited::Child(id), _) => {
                request.round = round;
                return ring.push_wait_child(id, request.user_data(place));
            }
            (Awaited::ChildDescriptor(own) | Awaited::Through(_, own), _) => own.as_fd(),
            (Awaited::Signals(watch), _) => watch.as_fd(),
            (Awaited::Slot(_), Some(descriptor)) => descriptor,
            (Awaited::Slot(_), None) => return,
        };
        request.round = round;
        let user_data = request.user_data(place);
        ring.push_poll(descriptor, task.events, goes_on(task.kind), user_data);
    }

    /// Asks the kernel to end what was started as `token`. Returns whether it was held here.
    pub(crate) fn cancel(&mut self, ring: &mut Ring, token: Token) -> bool {
        let Some(place) = self.find(token) else { return false };
        self.cancel_at(ring, place);
        true
    }

    fn cancel_at(&mut self, ring: &mut Ring, place: PollPlace) {
        let request = &mut self.table[place.index()];
        let (user_data, in_kernel) = (request.user_data(place), request.is_in_kernel());
        let Some(task) = &mut request.task else { return };
        if !mem::replace(&mut task.is_canceled, true) && in_kernel {
            ring.push_cancel(user_data, CANCELED);
        }
    }

    fn find(&self, token: Token) -> Option<PollPlace> {
        let number = *self.by_cell.get(token.index as usize)?;
        let task = self.table.get(number as usize)?.task.as_ref()?;
        (task.token == token).then_some(PollPlace(number))
    }

    /// Whether anything uses a slot.
    pub(crate) fn uses(&self, slot: Slot) -> bool {
        self.uses.get(slot.index()).is_some_and(|&uses| uses > 0)
    }

    /// What a completion says, if it is of one of these.
    pub(crate) fn read(&mut self, entry: &cqueue::Entry) -> Option<PollReply> {
        let place = PollPlace::named(entry.user_data())?;
        let round = (entry.user_data() >> 32) as u32;
        let request = self.table.get_mut(place.index())?;
        if request.round != round || !request.is_in_kernel() {
            return None;
        }
        let Task { token, kind, ref awaited, is_canceled, .. } = *request.task.as_ref()?;
        let slot = awaited.slot();
        let is_through = matches!(awaited, Awaited::Through(..));
        let is_last = !cqueue::more(entry.flags());
        if is_last {
            request.round = round.wrapping_add(1);
        }
        let result = match entry.result() {
            result @ 0.. => Ok(result as u32),
            negated => Err(crate::requests::errno(negated)),
        };
        Some(PollReply { place, token, kind, slot, is_through, result, is_last, is_canceled })
    }

    /// Takes the change that the poller of what is at `place` tells of.
    pub(crate) fn take_change(&self, place: PollPlace) {
        let task = self.table.get(place.index()).and_then(|request| request.task.as_ref());
        if let Some(Task { awaited: Awaited::Through(_, poller), .. }) = task {
            system::take_change(poller);
        }
    }

    /// The signals that the operation at `place` has to tell, after which it may watch no longer.
    pub(crate) fn take_signals(&mut self, place: PollPlace, watches_on: bool) -> SignalSet {
        let task = self.table.get_mut(place.index()).and_then(|request| request.task.as_mut());
        let Some(Task { awaited: Awaited::Signals(watch), .. }) = task else { return SignalSet::NONE };
        if !watches_on {
            watch.end();
        }
        watch.take()
    }

    /// Lets go of what is held at `place`, which is free then, and tells what it was for. Nothing, if the kernel has it.
    pub(crate) fn release(&mut self, place: PollPlace) -> Option<Token> {
        let request = self.table.get_mut(place.index()).filter(|request| !request.is_in_kernel());
        let Task { token, awaited, .. } = request.and_then(|request| request.task.take())?;
        awaited.slot().into_iter().for_each(|slot| self.count(slot, -1));
        self.free.push(place.0);
        Some(token)
    }

    /// Ends what is held at `place`, which is free then; `decide` tells its operation how it went. Does nothing if the kernel
    /// has it.
    pub(crate) fn end(&mut self, place: PollPlace, done: &mut Done, decide: impl FnOnce(&mut Outcome)) {
        let Some(token) = self.release(place) else { return };
        if let Some(outcome) = done.undecided(token) {
            decide(outcome);
            done.decided(token);
        }
    }

    fn count(&mut self, slot: Slot, change: i32) {
        if self.uses.len() <= slot.index() {
            self.uses.resize(slot.index() + 1, 0);
        }
        let uses = &mut self.uses[slot.index()];
        *uses = uses.saturating_add_signed(change);
    }

    /// Cells are as dense as core's table of them.
    fn note(&mut self, token: Token, number: u32) {
        let index = token.index as usize;
        if self.by_cell.len() <= index {
            self.by_cell.resize(index + 1, u32::MAX);
        }
        self.by_cell[index] = number;
    }

    /// Cancels everything. Returns how many requests the kernel has.
    pub(crate) fn cancel_all(&mut self, ring: &mut Ring) -> usize {
        for number in 0..self.table.len() {
            self.cancel_at(ring, PollPlace(number as u32));
        }
        self.table.iter().filter(|request| request.is_in_kernel()).count()
    }

    /// How many places there are, used and free.
    pub(crate) fn places(&self) -> usize {
        self.table.len()
    }
}

/// Whether one request tells again and again.
const fn goes_on(kind: Kind) -> bool {
    matches!(kind, Kind::PollMany | Kind::Signals)
}
