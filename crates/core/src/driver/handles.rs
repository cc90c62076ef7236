//! Handles: opening and closing them, and the queue of each direction.

use super::Driver;
use crate::Error;
use crate::backend::{Backend, OwnedDescriptor, Token};
use crate::done::Done;
use crate::handle::{Handle, Slot};
use crate::handles::{HandleState, NONE, Queue};
use crate::operation::{Direction, Kind};
use crate::outcome::Outcome;
use crate::records::{Link, Place};
use crate::socket::{Address, Control, Family, ListenOptions, Reply, SocketKind, SocketOption};
use crate::state::{Call, Phase, step};

/// A descriptor that could not be attached, and why.
#[derive(Debug)]
pub struct AttachError {
    /// Why.
    pub error: Error,
    /// The descriptor, unharmed.
    pub descriptor: OwnedDescriptor,
}

impl std::fmt::Display for AttachError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for AttachError {}

impl From<AttachError> for std::io::Error {
    fn from(rejected: AttachError) -> Self {
        rejected.error.into()
    }
}

impl<B: Backend> Driver<B> {
    /// Gives the loop a descriptor: one of std's sockets or files, for example.
    ///
    /// # Errors
    /// The system's reason, or [`Error::Unsupported`]; the descriptor comes back with it.
    pub fn attach(&mut self, descriptor: impl Into<OwnedDescriptor>) -> Result<Handle, AttachError> {
        let handle = self.done.handles.open();
        match self.backend.attach(handle.slot(), descriptor.into()) {
            Ok(()) => Ok(handle),
            Err((error, descriptor)) => {
                self.done.handles.release(handle.slot());
                Err(AttachError { error, descriptor })
            }
        }
    }

    /// Takes a descriptor out of the loop, its status flags as they were when it was attached (contract H5). The operation
    /// [`Detach`](crate::Detach) ends what is pending before.
    ///
    /// # Errors
    /// [`Error::StaleHandle`]; [`Error::Busy`] while something is pending on it; [`Error::Unsupported`] where there is no
    /// descriptor behind it.
    pub fn detach(&mut self, handle: Handle) -> Result<OwnedDescriptor, Error> {
        let entry = self.done.handles.get(handle).ok_or(Error::StaleHandle)?;
        if !entry.is_idle() {
            return Err(Error::Busy);
        }
        let descriptor = self.backend.detach(handle.slot())?;
        self.done.handles.release(handle.slot());
        Ok(descriptor)
    }

    /// Opens a stream socket (TCP).
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the family is, or the system's reason.
    pub fn socket(&mut self, family: Family) -> Result<Handle, Error> {
        self.open_socket(family, SocketKind::Stream)
    }

    /// Opens a datagram socket (UDP), bound to nothing yet: [`bind`](Self::bind) does that, or sending.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the family is, or the system's reason.
    pub fn datagram_socket(&mut self, family: Family) -> Result<Handle, Error> {
        self.open_socket(family, SocketKind::Datagram)
    }

    fn open_socket(&mut self, family: Family, kind: SocketKind) -> Result<Handle, Error> {
        let handle = self.done.handles.open();
        match self.backend.socket(handle.slot(), family, kind) {
            Ok(()) => Ok(handle),
            Err(error) => {
                self.done.handles.release(handle.slot());
                Err(error)
            }
        }
    }

    /// Opens a socket that listens at `address`; port 0 lets the system choose.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a backlog of zero, or the system's reason; nothing stays open.
    pub fn listen(&mut self, address: Address, options: ListenOptions) -> Result<Handle, Error> {
        let handle = self.socket(address.family())?;
        let listening = self.set_up_listener(handle, address, &options);
        if listening.is_err() {
            self.close(handle);
        }
        listening.map(|()| handle)
    }

    fn set_up_listener(
        &mut self,
        handle: Handle,
        address: Address,
        options: &ListenOptions,
    ) -> Result<(), Error> {
        self.set(handle, SocketOption::ReuseAddress(options.reuse_address))?;
        let v6_only = options.v6_only.filter(|_| address.family() == Family::Ipv6);
        let asked = [
            options.reuse_port.then_some(SocketOption::ReusePort(true)),
            v6_only.map(SocketOption::V6Only),
            options.receive_buffer.map(SocketOption::ReceiveBuffer),
            options.send_buffer.map(SocketOption::SendBuffer),
        ];
        for option in asked.into_iter().flatten() {
            self.set(handle, option)?;
        }
        self.bind(handle, address)?;
        self.listen_on(handle, options.backlog)
    }

    /// Sets an option of a socket.
    ///
    /// # Errors
    /// [`Error::StaleHandle`], or the system's reason.
    pub fn set(&mut self, handle: Handle, option: SocketOption) -> Result<(), Error> {
        self.control(handle, Control::Set(option)).map(drop)
    }

    /// Binds a socket; port 0 lets the system choose.
    ///
    /// # Errors
    /// [`Error::StaleHandle`], or the system's reason.
    pub fn bind(&mut self, handle: Handle, address: Address) -> Result<(), Error> {
        self.control(handle, Control::Bind(address)).map(drop)
    }

    /// Makes a bound socket listen, for up to `backlog` connections that wait to be accepted.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a backlog of zero, [`Error::StaleHandle`], or the system's reason.
    pub fn listen_on(&mut self, handle: Handle, backlog: u32) -> Result<(), Error> {
        if backlog == 0 {
            return Err(Error::InvalidInput);
        }
        self.control(handle, Control::Listen(backlog)).map(drop)
    }

    /// The address that a socket is bound to.
    ///
    /// # Errors
    /// [`Error::StaleHandle`], or the system's reason.
    pub fn local_address(&mut self, handle: Handle) -> Result<Address, Error> {
        self.control(handle, Control::LocalAddress).and_then(address_of)
    }

    /// The address of a socket's peer.
    ///
    /// # Errors
    /// [`Error::StaleHandle`], or the system's reason: not connected.
    pub fn peer_address(&mut self, handle: Handle) -> Result<Address, Error> {
        self.control(handle, Control::PeerAddress).and_then(address_of)
    }

    fn control(&mut self, handle: Handle, control: Control) -> Result<Reply, Error> {
        self.done.handles.get(handle).ok_or(Error::StaleHandle)?;
        self.backend.control(handle.slot(), control)
    }

    /// Closes a handle: it is stale at once, what is pending on it ends as cancelled, and then the descriptor is closed.
    /// Does nothing to a stale handle. Cannot fail (contract H1); the operation [`Close`](crate::Close) tells the result.
    pub fn close(&mut self, handle: Handle) {
        if self.done.handles.begin_to_close(handle).is_none() {
            return;
        }
        self.end_pending(handle.slot());
        self.close_if_idle(handle.slot());
    }

    /// As [`close`](Self::close), but the completion at `index` gets the result, or the descriptor, by the next turn at the
    /// earliest.
    #[cold]
    pub(super) fn enqueue_close(&mut self, index: u32, handle: Handle) {
        let detaches = self.done.records.get(index).kind == Kind::Detach;
        if detaches && self.done.handles.get(handle).is_some() && !self.backend.capabilities().descriptors {
            return self.fail(index, Error::Unsupported);
        }
        let Some(entry) = self.done.handles.begin_to_close(handle) else {
            return self.fail(index, Error::StaleHandle);
        };
        entry.closer = index;
        let completion = self.done.records.get(index);
        completion.place = Place::Closer;
        completion.slot = handle.slot();
        self.closing.push(handle.slot());
        self.end_pending(handle.slot());
    }

    /// Starts the closes that were submitted.
    pub(super) fn close_idle(&mut self) {
        for position in 0..self.closing.len() {
            let slot = self.closing[position];
            let closer = self.done.handles.slot(slot).map_or(NONE, |entry| entry.closer);
            if closer != NONE {
                let completion = self.done.records.get(closer);
                if completion.phase == Phase::Adding {
                    (completion.phase, _) = step(completion.phase, Call::Start);
                }
            }
            self.close_if_idle(slot);
        }
        self.closing.clear();
    }

    /// Asks everything that is pending on a handle which closes to end, each queue in its order.
    fn end_pending(&mut self, slot: Slot) {
        for direction in [Direction::Read, Direction::Write] {
            let Some(entry) = self.done.handles.slot(slot) else { return };
            let head = entry.queue(direction).head;
            if head == NONE {
                continue;
            }
            let mut follower = self.done.records.get(head).next;
            while follower != NONE {
                let completion = self.done.records.get(follower);
                if completion.phase == Phase::Adding && completion.place != Place::Ticket {
                    (completion.phase, _) = step(completion.phase, Call::Held);
                }
                follower = completion.next;
            }
            // What a ticket is for uses the handle as its second, and is asked below.
            if self.done.records.get(head).place != Place::Ticket {
                self.cancel_at(head);
            }
        }
        if self.done.handles.slot(slot).is_some_and(|entry| entry.has_seconds) {
            self.end_seconds(slot);
        }
        let mut member = self.done.handles.slot(slot).map_or(NONE, |entry| entry.unordered);
        while member != NONE {
            // Being asked, it may leave the list; no other does.
            let next = self.done.records.get(member).next;
            self.cancel_at(member);
            member = next;
        }
    }

    /// Takes a completion off the list of those which use its handle in no order.
    pub(super) fn delist(&mut self, index: u32) {
        let Some(record) = self.done.records.operation(index) else { return };
        let (slot, previous, next) = (record.slot, record.previous, record.next);
        (record.previous, record.next) = (NONE, NONE);
        if let Some(after) = self.done.records.operation(next) {
            after.previous = previous;
        }
        if let Some(before) = self.done.records.operation(previous) {
            before.next = next;
        } else if let Some(entry) = self.done.handles.slot(slot) {
            entry.unordered = next;
            if next == NONE {
                self.close_if_idle(slot);
            }
        }
    }

    /// Closes the descriptor of a closing handle once nothing uses it, or hands it over.
    #[cold]
    pub(super) fn close_if_idle(&mut self, slot: Slot) {
        let Some(entry) = self.done.handles.slot(slot) else { return };
        if entry.state != HandleState::Closing || !entry.is_idle() {
            return;
        }
        let closer = entry.closer;
        if closer != NONE && self.done.records.phase(closer) == Phase::Adding {
            return;
        }
        entry.state = HandleState::Leaving;
        let closing = Closing { driver: self, closer };
        closing.driver.close_now(closer, slot);
        closing.driver.done.handles.release(slot);
    }

    /// Has the backend close the descriptor in `slot`, or hand it over, and fills in what came of it, where somebody asks.
    fn close_now(&mut self, closer: u32, slot: Slot) {
        if closer == NONE {
            // Nobody asks how it went.
            let _ = self.backend.close(slot);
            return;
        }
        let token = self.done.records.token(closer);
        let completion = self.done.records.get(closer);
        match completion.kind {
            Kind::Detach => self.hand_over(token, slot),
            _ if completion.is_on_pool() => {
                // Its outcome comes as those of operations do.
                self.backend.close_on_pool(token, slot, &mut self.done);
                self.done.records.get(closer).place = Place::ClosingOnPool;
            }
            _ => {
                let result = self.backend.close(slot);
                if let Some(Outcome::Close(closed)) = self.done.undecided(token) {
                    closed.result = result;
                }
            }
        }
    }

    /// Takes the descriptor in `slot` out of the backend, for the operation of `token`.
    fn hand_over(&mut self, token: Token, slot: Slot) {
        let result = self.backend.detach(slot);
        if result.is_err() {
            // Its handle is stale, so nobody else will.
            let _ = self.backend.close(slot);
        }
        if let Some(Outcome::Detach(detached)) = self.done.undecided(token) {
            detached.result = result;
        }
    }

    /// Links a completion, which knows it already, behind the last one of its handle and direction.
    #[inline(always)]
    pub(super) fn link_behind(&mut self, last: u32, index: u32) {
        if let Some(before) = self.done.records.operation(last) {
            before.next = index;
        }
    }

    /// Takes a completion out of its handle's queue; the next one's turn may have come.
    pub(super) fn unlink(&mut self, index: u32) {
        let completion = self.done.records.get(index);
        match std::mem::replace(&mut completion.link, Link::None) {
            Link::None => {}
            Link::Unordered => self.delist(index),
            Link::Queue => {
                let (slot, direction) = (completion.slot, completion.direction);
                if completion.is_alone() {
                    self.leave_queue_empty(slot, direction);
                } else {
                    self.unlink_among_others(index, slot, direction);
                }
            }
            Link::Left => {
                let slot = completion.slot;
                self.is_delivered(slot);
            }
        }
    }

    /// One that has left its queue before is delivered now.
    #[inline]
    pub(super) fn is_delivered(&mut self, slot: Slot) {
        let Some(entry) = self.done.handles.slot(slot) else { return };
        entry.left -= 1;
        if entry.left == 0 {
            self.close_if_idle(slot);
        }
    }

    /// The only one of a queue leaves it.
    #[inline(always)]
    pub(super) fn leave_queue_empty(&mut self, slot: Slot, direction: Direction) {
        let Some(entry) = self.done.handles.slot(slot) else { return };
        *entry.queue(direction) = Queue::EMPTY;
        if entry.state == HandleState::Closing {
            self.close_if_idle(slot);
        }
    }

    #[inline(never)]
    pub(super) fn unlink_among_others(&mut self, index: u32, slot: Slot, direction: Direction) {
        match self.pass_on(index, slot, direction) {
            Some(follower) => self.start_later(follower),
            None => self.unlink_anywhere(index, slot, direction),
        }
    }

    /// Where the head of a queue leaves, and the one behind it only waits for that: has that one in front, to be started. Nothing
    /// has changed otherwise.
    #[inline(always)]
    fn pass_on(&mut self, head: u32, slot: Slot, direction: Direction) -> Option<Token> {
        let queue = self.done.handles.slot(slot)?.queue(direction);
        let records = &mut self.done.records;
        let next = records.operation(head).filter(|_| queue.head == head)?.next;
        let token = records.operation(next)?.take_the_lead(next)?;
        queue.head = next;
        records.operation(head)?.next = NONE;
        Some(token)
    }

    /// The head of a queue, which was decided as it was started, leaves it now, before it is delivered, if the one behind it only
    /// waits for that: its turn to be started has come. Behind one that has failed, or has sent a part only, it has not, as long as
    /// nobody has heard of that: who hears of it may still take back what is behind, a shutdown above all.
    #[inline(always)]
    pub(super) fn follower(&mut self, head: u32) -> Option<Token> {
        let Done { records, handles, .. } = &mut self.done;
        let record = records.operation(head)?;
        let falls_short = match &record.outcome {
            // Those of which there may be many.
            Some(Outcome::RecvFrom(received)) => received.result.is_err(),
            Some(Outcome::SendTo(sent)) => sent.result.is_err(),
            Some(Outcome::Send(sent)) => sent.result != Ok(sent.buffer.len()),
            Some(Outcome::SendMsg(sent)) => sent.result != Ok(sent.buffer.len()),
            outcome => outcome.as_ref().is_none_or(|outcome| outcome.error().is_some()),
        };
        if record.link != Link::Queue || falls_short {
            return None;
        }
        let (slot, direction, next) = (record.slot, record.direction, record.next);
        let entry = handles.slot(slot)?;
        let left = entry.left.checked_add(1)?;
        let queue = entry.queue(direction);
        let follower = records.operation(next).filter(|_| queue.head == head)?;
        let token = follower.take_the_lead(next)?;
        queue.head = next;
        entry.left = left;
        let record = records.operation(head)?;
        (record.next, record.link) = (NONE, Link::Left);
        Some(token)
    }

    #[cold]
    fn unlink_anywhere(&mut self, index: u32, slot: Slot, direction: Direction) {
        let completion = self.done.records.get(index);
        let (previous, next) = (completion.previous, completion.next);
        (completion.previous, completion.next) = (NONE, NONE);
        if next != NONE {
            self.done.records.get(next).previous = previous;
        }
        if previous != NONE {
            self.done.records.get(previous).next = next;
        }
        let Some(entry) = self.done.handles.slot(slot) else { return };
        let queue = entry.queue(direction);
        if queue.tail == index {
            queue.tail = previous;
        }
        if queue.head == index {
            queue.head = next;
            self.advance(slot, direction);
        }
    }

    /// The head of a queue has changed: starts it by the next turn, or ends it and those behind it where they are to end.
    fn advance(&mut self, slot: Slot, direction: Direction) {
        loop {
            let Some(entry) = self.done.handles.slot(slot) else { return };
            let head = entry.queue(direction).head;
            if head == NONE {
                return self.close_if_idle(slot);
            }
            let completion = self.done.records.get(head);
            if completion.phase == Phase::Adding {
                match completion.place {
                    Place::Waiting => self.start_next_turn(head),
                    Place::Ticket => self.ticket_is_first(head),
                    _ => {}
                }
                return;
            }
            self.end_head(slot, direction, head);
        }
    }

    /// Ends the head of a queue, which was asked to end before its turn came.
    fn end_head(&mut self, slot: Slot, direction: Direction, head: u32) {
        let completion = self.done.records.get(head);
        let next = completion.next;
        (completion.previous, completion.next, completion.link) = (NONE, NONE, Link::None);
        (completion.phase, _) = step(completion.phase, Call::Queue);
        if next != NONE {
            self.done.records.get(next).previous = NONE;
        }
        if let Some(entry) = self.done.handles.slot(slot) {
            let queue = entry.queue(direction);
            queue.head = next;
            if next == NONE {
                queue.tail = NONE;
            }
        }
        self.decide_canceled(head);
        self.leave_second(head);
    }
}

fn address_of(reply: Reply) -> Result<Address, Error> {
    match reply {
        Reply::Address(address) => Ok(address),
        Reply::Done => Err(Error::Backend),
    }
}

/// A handle that the backend closes. What asks how it went hears of it also where the backend panics over it: then the result is
/// that it has not decided anything, and the handle's place is not used again.
struct Closing<'a, B: Backend> {
    driver: &'a mut Driver<B>,
    closer: u32,
}

impl<B: Backend> Drop for Closing<'_, B> {
    fn drop(&mut self) {
        let closer = self.closer;
        if closer != NONE && self.driver.done.records.get(closer).place == Place::Closer {
            self.driver.end(closer);
        }
    }
}
