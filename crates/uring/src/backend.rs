//! The backend over a ring.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};

use io_uring::opcode;
use proactor_core::{
    Attempted, Backend, Buffer, Capabilities, Config, Control, Done, Error, Family, Kind, NopDone, Offload,
    Outcome, OwnedDescriptor, ReadAtDone, Received, Reply, Returned, Sent, SentAll, ShutDown, Slot,
    SocketKind, Time, Token, Until, WriteAtDone,
};
use proactor_system::{self as system, DescriptorKind, EventWaker, Mode};
use rustix::io::Errno;

use crate::bytes;
use crate::descriptors::{Descriptor, Descriptors};
use crate::enclosed;
use crate::open::{self, Setup};
use crate::requests::{self, Answer, Place, Requests, Unread};
use crate::ring::Ring;
use crate::shown::Shown;
use crate::vectored;

/// How much the kernel works off in one call, of what it holds back for the thread. What one request that goes on brings at once
/// may be far more, and counts as no more than this, so that others who are complete are not left behind it.
const WORKED_OFF: usize = 20;

/// How much a look goes on for, however few requests there are: a single one may have many connections or messages to take.
const LOOKED_FOR: usize = 1024;

/// The backend over io_uring.
///
/// A ring belongs to the thread that opened it: the kernel takes no other's submissions, and works off completions on
/// that thread only. So this is neither `Send` nor `Sync`.
///
/// Dropping it cancels what is under way and waits until the kernel has let go of all memory, for a second at most;
/// what it were to keep beyond that is leaked, never freed.
pub struct Uring {
    // Dropped first: nothing is in the kernel's hands when the descriptors are closed.
    pub(crate) requests: Requests,
    pub(crate) descriptors: Descriptors,
    pub(crate) waker: EventWaker,
    /// Shows another loop that there is something, once that was asked for.
    pub(crate) shown: Option<Shown>,
    /// Whether a wake came that has not ended a wait yet.
    woken: bool,
    /// Whether something that goes on has ended, as where the queue was full, and is to be submitted again.
    pub(crate) has_stopped: bool,
    capabilities: Capabilities,
    belongs_to_its_thread: PhantomData<*const ()>,
}

impl Uring {
    /// Opens it with the newest set-up that the kernel takes, `newest` at most, and with such of its operations only as
    /// `usable` has a bit for.
    pub(crate) fn open_with(config: &Config, newest: Setup, usable: u64) -> io::Result<Self> {
        config.check()?;
        let mut capabilities = Capabilities::default();
        // Of files, what the kernel lacks, the pool does.
        system::probe(&mut capabilities);
        capabilities.kernel_completions = true;
        capabilities.child_processes = system::has_process_descriptors();
        let (ring, setup) = open::open(config.entries, newest)?;
        let known = open::known(&ring) & usable;
        let waker = EventWaker::new()?;
        let mut requests = match Requests::new(Ring::new(ring), setup, waker.as_fd()) {
            Ok(requests) => requests,
            Err(Error::Unsupported) => return Err(open::too_old()),
            Err(error) => return Err(open::explained(&error.into(), config.entries)),
        };
        requests.files.known = known;
        // Kernels older than that operation look at no address, and answer the probe as if they did.
        requests.sends_to &= known & 1 << opcode::SendMsgZc::CODE != 0;
        requests.polls.waits_for_children = known & 1 << opcode::WaitId::CODE != 0;
        capabilities.child_processes |= requests.polls.waits_for_children;
        Ok(Self {
            requests,
            descriptors: Descriptors::default(),
            waker,
            shown: None,
            woken: false,
            has_stopped: false,
            capabilities,
            belongs_to_its_thread: PhantomData,
        })
    }

    pub(crate) const fn can_wait_for_children(&self) -> bool {
        self.capabilities.child_processes
    }

    pub(crate) const fn can_splice(&self) -> bool {
        self.capabilities.splicing
    }

    /// Takes a descriptor into a free slot.
    pub(crate) fn adopt(&mut self, slot: Slot, descriptor: Descriptor) -> Result<(), (Error, Descriptor)> {
        // A slot whose descriptor is gone is idle, since neither `close` nor `detach` lets one go before that.
        if let Err(error) = self.descriptors.check_free(slot) {
            return Err((error, descriptor));
        }
        let slots = self.descriptors.insert(slot, descriptor);
        self.requests.grow(slots);
        Ok(())
    }

    /// Takes a descriptor that nothing uses out of its slot.
    fn release(&mut self, slot: Slot) -> Result<OwnedDescriptor, Error> {
        self.descriptors.get(slot)?;
        let is_idle = |place| self.requests.is_idle(place);
        let is_unused = is_idle(Place::reading(slot)) && is_idle(Place::writing(slot));
        if !is_unused || self.requests.files.uses(slot) || self.requests.polls.uses(slot) {
            return Err(Error::Busy);
        }
        self.descriptors.remove(slot)
    }

    /// Hands a receive or a send with a buffer that is not empty to the kernel. Returns whether it did.
    #[inline(always)]
    fn transfer(&mut self, slot: Slot, place: Place, task: (Token, Kind), buffer: &mut Buffer) -> bool {
        match self.descriptors.find(slot) {
            Some(descriptor) if !buffer.is_empty() && (task.1 != Kind::SendAll || !descriptor.is_local()) => {
                self.requests.begin_transfer(place, descriptor.as_fd(), task, buffer)
            }
            _ => false,
        }
    }

    /// Hands a read or a write of a regular file to the kernel. Returns whether it did.
    #[inline(never)]
    fn transfer_at(&mut self, token: Token, slot: Slot, operation: &mut Outcome) -> bool {
        let (kind, what) = match operation {
            Outcome::ReadAt(ReadAtDone { buffer, offset, .. }) => (Kind::ReadAt, (buffer, *offset)),
            Outcome::WriteAt(WriteAtDone { buffer, offset, .. }) => (Kind::WriteAt, (buffer, *offset)),
            _ => return false,
        };
        match self.descriptors.find(slot) {
            Some(descriptor) if descriptor.kind == DescriptorKind::File => {
                self.requests.begin_file_transfer((token, kind), (slot, descriptor.as_fd()), what)
            }
            _ => false,
        }
    }

    /// Starts what is no transfer, or one that [`transfer`](Self::transfer) did not take.
    #[inline(never)]
    fn start_other(&mut self, token: Token, slot: Slot, done: &mut Done) {
        let started = match done.undecided(token) {
            Some(operation @ (Outcome::ReadAt(_) | Outcome::WriteAt(_))) => {
                if self.transfer_at(token, slot, operation) {
                    return;
                }
                return self.start_file(token, slot, Offload::WhereNeeded, done);
            }
            Some(Outcome::Recv(received)) => {
                let task = (token, Kind::Recv);
                self.transfer_specially(slot, Place::reading(slot), task, &mut received.buffer)
            }
            Some(Outcome::Send(sent)) => {
                let task = (token, Kind::Send);
                self.transfer_specially(slot, Place::writing(slot), task, &mut sent.buffer)
            }
            Some(Outcome::SendAll(sent)) => {
                let task = (token, Kind::SendAll);
                self.transfer_specially(slot, Place::writing(slot), task, &mut sent.buffer)
            }
            Some(Outcome::Accept(_)) => self.accept(token, slot, Kind::Accept),
            Some(Outcome::AcceptManyEnded(_)) => self.accept(token, slot, Kind::AcceptMany),
            Some(Outcome::RecvManyEnded(ended)) => self.recv_many(token, slot, ended),
            Some(Outcome::Connect(connected)) => self.connect(token, slot, connected),
            Some(Outcome::Shutdown(shut_down)) => self.shutdown(slot, shut_down),
            Some(Outcome::RecvFrom(received)) => self.recv_from(token, slot, received),
            Some(Outcome::SendTo(sent)) => self.send_to(token, slot, sent),
            Some(Outcome::SendFile(_) | Outcome::SendFileAll(_)) => return self.send_file(token, slot, done),
            Some(Outcome::Splice(_)) => return self.splice(token, done),
            Some(Outcome::RecvMsg(received)) => self.recv_msg(token, slot, received),
            Some(Outcome::SendMsg(sent)) => self.send_msg(token, slot, sent),
            Some(Outcome::Resolve(_)) => return done.offload(token, system::resolve()),
            Some(Outcome::Nop(_)) => Ok(Started::Done),
            Some(
                outcome @ (Outcome::Read(_)
                | Outcome::ReadExact(_)
                | Outcome::Write(_)
                | Outcome::WriteAll(_)),
            ) => self.transfer_bytes(slot, token, outcome),
            Some(
                outcome @ (Outcome::Poll(_)
                | Outcome::PollManyEnded(_)
                | Outcome::WaitChild(_)
                | Outcome::SignalsEnded(_)),
            ) => self.begin_poll(token, slot, outcome),
            Some(
                outcome @ (Outcome::ReadVectored(_)
                | Outcome::ReadVectoredExact(_)
                | Outcome::WriteVectored(_)
                | Outcome::WriteVectoredAll(_)),
            ) => self.transfer_vectored(slot, token, outcome),
            // Core's own, and what this backend does not know yet, end there too.
            Some(_) => return self.start_file(token, slot, Offload::WhereNeeded, done),
            None => return,
        };
        match started {
            Ok(Started::Submitted) => {}
            Ok(Started::Done) => {
                done.undecided(token).into_iter().for_each(set_done);
                done.decided(token);
            }
            Err(error) => {
                done.undecided(token).into_iter().for_each(|outcome| outcome.set_error(error));
                done.decided(token);
            }
        }
    }

    fn transfer_specially(
        &mut self,
        slot: Slot,
        place: Place,
        (token, kind): (Token, Kind),
        buffer: &mut Buffer,
    ) -> Result<Started, Error> {
        let descriptor = self.descriptors.get(slot)?;
        if !self.requests.make_idle(place) {
            return Err(Error::Busy);
        }
        if kind == Kind::Recv && !buffer.is_writable() {
            return Err(Error::ReadOnlyBuffer);
        }
        if buffer.is_empty() && descriptor.takes_bytes() {
            // The kernel would wait for bytes that there is no room for.
            return Ok(Started::Done);
        }
        if kind != Kind::Recv && descriptor.is_local() {
            let begun =
                self.requests.begin_bytes(place, descriptor.as_fd(), (token, kind), buffer, descriptor.kind);
            return begun.map(|()| Started::Submitted);
        }
        let begun = self.requests.begin_transfer(place, descriptor.as_fd(), (token, kind), buffer);
        if begun { Ok(Started::Submitted) } else { Err(Error::Busy) }
    }

    /// Submits again what is held at `place`.
    pub(crate) fn resubmit(&mut self, place: Place, done: &mut Done) {
        match self.descriptors.get(place.slot()) {
            Ok(descriptor) => self.requests.submit(place, descriptor.as_fd()),
            Err(error) => self.fail(place, error, done),
        }
    }

    /// What is held at `place` would block, though the kernel was to wait with it: submits it again when the descriptor
    /// is ready.
    pub(crate) fn poll(&mut self, place: Place, done: &mut Done) {
        match self.descriptors.get(place.slot()) {
            Ok(descriptor) => self.requests.poll(place, descriptor.as_fd()),
            Err(error) => self.fail(place, error, done),
        }
    }

    /// Ends what is held at `place` with `error`.
    #[cold]
    #[inline(never)]
    pub(crate) fn fail(&mut self, place: Place, error: Error, done: &mut Done) {
        self.requests.end(place, done, |outcome| outcome.set_error(error));
    }

    /// Goes on after the kernel has refused what is held at `place`: tries again what only has to be, ends the rest.
    #[cold]
    #[inline(never)]
    pub(crate) fn refused(&mut self, place: Place, errno: Errno, done: &mut Done) {
        match errno {
            Errno::CANCELED => self.fail(place, Error::Canceled, done),
            Errno::INTR | Errno::AGAIN if self.requests.is_canceled(place) => {
                self.fail(place, Error::Canceled, done);
            }
            Errno::INTR => self.resubmit(place, done),
            Errno::AGAIN if self.has_ended(place) => self.receive_nothing(place, done),
            Errno::AGAIN => self.poll(place, done),
            errno => self.fail(place, Error::from_errno(errno), done),
        }
    }

    /// The descriptor of what is held may be ready now.
    #[cold]
    #[inline(never)]
    fn polled(&mut self, reply: &requests::Reply, done: &mut Done) {
        let place = reply.place;
        let is_canceled = reply.result == Err(Errno::CANCELED) || self.requests.is_canceled(place);
        if matches!(reply.kind, Kind::SendFile | Kind::SendFileAll) {
            self.send_file_polled(place, is_canceled, done);
        } else if is_canceled {
            self.fail(place, Error::Canceled, done);
        } else {
            // A poll that has failed makes the operation fail as well, and that says better why.
            self.resubmit(place, done);
        }
    }

    /// A wait that does not block: takes all that is complete by now, and not without end. However much that is: in one call the
    /// kernel works off some twenty of what it holds back for the thread, and hands over no more than the queue has room for; and
    /// what goes on, but stopped where the queue was full, has to be submitted again to bring the rest.
    #[cold]
    #[inline(never)]
    pub(crate) fn look(&mut self, done: &mut Done) -> Result<(), Error> {
        if self.requests.has_pools() {
            self.restock(done);
        }
        // A request that was cancelled is complete, and so is its cancel.
        let mut left = (2 * self.requests.places()).max(LOOKED_FOR);
        let mut entered = self.requests.ring.enter(Until::Now);
        loop {
            self.has_stopped = false;
            let taken = self.reap(done);
            let goes_on = self.requests.ring.holds_back() || self.has_stopped;
            if entered.is_err() || left == 0 || !goes_on {
                self.woken = false;
                return entered;
            }
            left = left.saturating_sub(taken.clamp(1, WORKED_OFF));
            // Whatever else is to be submitted by now has let others have their turn, or waits for its descriptor.
            let ring = &mut self.requests.ring;
            entered = if self.has_stopped { ring.enter(Until::Now) } else { ring.work_off() };
        }
    }

    /// Takes what has completed: all that is there now, and not without end. Returns how much it was.
    #[inline(always)]
    fn reap(&mut self, done: &mut Done) -> usize {
        let count = self.requests.answers();
        let mut left = count;
        while let Some(unread) = self.requests.reap_transfers(&mut left, done) {
            self.complete(unread, done);
        }
        count
    }

    #[inline(never)]
    fn complete(&mut self, unread: Unread, done: &mut Done) {
        let Some(unread) = self.requests.finish_file_transfer(unread, done) else { return };
        let Some(unread) = self.requests.finish_datagram(unread, done) else { return };
        match self.requests.read(unread) {
            Answer::Request(reply) if reply.is_poll => self.polled(&reply, done),
            Answer::Request(reply) => self.replied(reply, done),
            Answer::File(reply) => self.file_replied(reply, done),
            Answer::Poll(reply) => self.poll_replied(&reply, done),
            Answer::Watched { goes_on } => {
                self.woken = true;
                // Another loop waits for it in the ring's place, once there is one.
                if !goes_on && self.shown.is_none() {
                    self.requests.watch(self.waker.as_fd());
                }
            }
            Answer::Nobody => {}
        }
    }

    fn replied(&mut self, reply: requests::Reply, done: &mut Done) {
        let (place, result) = (reply.place, reply.result);
        match (reply.kind, result) {
            (Kind::Recv, Err(errno)) => self.refused(place, errno, done),
            (Kind::Recv, Ok(bytes)) => self.requests.end(place, done, |outcome| {
                if let Outcome::Recv(received) = outcome {
                    received.result = Ok(bytes as usize);
                }
            }),
            (Kind::SendAll, result) => self.sent_some(place, result, done),
            (Kind::Send, result) => self.sent(place, result, done),
            (Kind::Connect, result) => self.connected(place, result, done),
            (Kind::Accept, _) => self.accepted(reply, done),
            (Kind::AcceptMany, _) => self.accepted_many(reply, done),
            (Kind::RecvMany, _) => self.received_many(reply, done),
            (Kind::Read | Kind::Write, result) => self.moved(place, result, done),
            (Kind::ReadExact, result) => self.moved_some(place, result, Error::EndOfStream, done),
            // A system that takes none of some bytes, without a reason, will not take them the next time.
            (Kind::WriteAll, result) => self.moved_some(place, result, Errno::IO.into(), done),
            (Kind::RecvFrom, result) => self.received_from(place, result, done),
            (kind, result) if vectored::is_vectored(kind) => self.moved_vectored(place, result, done),
            (Kind::SendTo, result) => self.sent_to(place, result, done),
            (Kind::RecvMsg, result) => self.received_msg(place, result, done),
            (Kind::SendMsg, result) => self.sent_msg(place, result, done),
            // Nothing else is ever begun.
            _ => {}
        }
    }

    /// After something was queued: if the queue was full, completions may have piled up.
    #[inline(always)]
    fn reap_if_crowded(&mut self, done: &mut Done) {
        if self.requests.ring.is_crowded {
            self.reap_crowd(done);
        }
    }

    #[cold]
    #[inline(never)]
    fn reap_crowd(&mut self, done: &mut Done) {
        self.requests.ring.is_crowded = false;
        self.reap(done);
    }
}

impl Backend for Uring {
    const NAME: &'static str = "uring";

    type Waker = EventWaker;

    fn open(config: &Config) -> io::Result<Self> {
        Self::open_with(config, Setup::NoIndexArray, u64::MAX)
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn waker(&self) -> Self::Waker {
        self.waker.clone()
    }

    #[inline]
    fn now(&self) -> Time {
        system::now()
    }

    fn attach(&mut self, slot: Slot, descriptor: OwnedDescriptor) -> Result<(), (Error, OwnedDescriptor)> {
        let kind = match system::descriptor_kind(descriptor.as_fd()) {
            Ok(kind) => kind,
            Err(error) => return Err((error, descriptor)),
        };
        let adopted = self.adopt(slot, Descriptor::new(descriptor, kind));
        adopted.map_err(|(error, descriptor)| (error, descriptor.into_inner()))
    }

    /// Also [`Error::Busy`] while something is pending.
    fn detach(&mut self, slot: Slot) -> Result<OwnedDescriptor, Error> {
        self.release(slot)
    }

    fn socket(&mut self, slot: Slot, family: Family, kind: SocketKind) -> Result<(), Error> {
        let (socket, transport) = system::open_socket(family, kind, Mode::Blocking)?;
        let kind = DescriptorKind::Socket(transport);
        self.adopt(slot, Descriptor::new(socket, kind)).map_err(|(error, _)| error)
    }

    fn control(&mut self, slot: Slot, control: Control) -> Result<Reply, Error> {
        system::control(self.descriptors.get(slot)?.as_fd(), &control)
    }

    fn start(&mut self, token: Token, slot: Slot, done: &mut Done) {
        self.start_other(token, slot, done);
        self.reap_if_crowded(done);
    }

    #[inline(always)]
    fn attempt(&mut self, token: Token, slot: Slot, operation: &mut Outcome) -> Attempted {
        if self.requests.ring.is_crowded {
            // To be reaped as soon as something is at hand for that.
            return Attempted::Declined;
        }
        let begun = match operation {
            Outcome::Recv(received) => {
                self.transfer(slot, Place::reading(slot), (token, Kind::Recv), &mut received.buffer)
            }
            Outcome::SendAll(sent) => {
                self.transfer(slot, Place::writing(slot), (token, Kind::SendAll), &mut sent.buffer)
            }
            _ => false,
        };
        if begun { Attempted::Begun } else { Attempted::Declined }
    }

    fn start_on_pool(&mut self, token: Token, slot: Slot, done: &mut Done) {
        match done.undecided(token) {
            Some(Outcome::SendFile(_) | Outcome::SendFileAll(_)) => self.send_file(token, slot, done),
            _ => self.start_file(token, slot, Offload::Always, done),
        }
    }

    fn cancel(&mut self, token: Token, slot: Slot, done: &mut Done) -> bool {
        match self.requests.find(slot, token) {
            Some(place) if self.requests.has_pools() && self.cancel_dry(place, done) => return true,
            Some(place) => self.requests.cancel(place),
            None if self.requests.cancel_file(token) => {}
            None if self.cancel_poll(token) => {}
            None => return false,
        }
        self.reap_if_crowded(done);
        true
    }

    fn returned(&mut self, token: Token, slot: Slot, job: Returned, done: &mut Done) {
        match job.outcome {
            Outcome::SendFile(_) | Outcome::SendFileAll(_) => self.send_file_returned(token, slot, job, done),
            _ => self.file_returned(token, job, done),
        }
    }

    #[inline]
    fn wait(&mut self, until: Until, done: &mut Done) -> Result<(), Error> {
        if until == Until::Now {
            return self.look(done);
        }
        // A wake that came while something else was done ends this wait.
        let goes_on = self.requests.has_pools() && self.restock(done);
        let until = if self.woken || goes_on { Until::Now } else { until };
        if self.shown.is_some() && until != Until::Now {
            return self.shown_wait(until, done);
        }
        let entered = self.requests.ring.enter(until);
        self.reap(done);
        self.woken = false;
        entered
    }

    #[inline]
    fn flush(&mut self, done: &mut Done) -> Result<(), Error> {
        if self.requests.has_pools() {
            self.restock(done);
        }
        let flushed = self.requests.ring.flush();
        self.reap(done);
        flushed
    }

    fn as_fd(&mut self) -> Result<Option<BorrowedFd<'_>>, Error> {
        self.show().map(Some)
    }

    fn prepare_wait(&mut self, done: &mut Done) -> Result<bool, Error> {
        self.prepare_shown_wait(done)
    }

    /// Also [`Error::Busy`] while something is pending, and then it stays.
    fn close(&mut self, slot: Slot) -> Result<(), Error> {
        self.release(slot).and_then(system::close)
    }

    fn close_on_pool(&mut self, token: Token, slot: Slot, done: &mut Done) {
        match self.release(slot) {
            Ok(descriptor) => done.offload(token, system::close_job(descriptor)),
            Err(error) => {
                done.undecided(token).into_iter().for_each(|outcome| outcome.set_error(error));
                done.decided(token);
            }
        }
    }
}

/// What became of an operation that was to be started.
pub(crate) enum Started {
    /// The kernel has it.
    Submitted,
    /// It is done, without a reason to fail.
    Done,
}

/// Fills in that it went well, for what was done at once.
fn set_done(outcome: &mut Outcome) {
    match outcome {
        Outcome::Recv(Received { result, .. }) | Outcome::Send(Sent { result, .. }) => *result = Ok(0),
        Outcome::SendAll(SentAll { result, .. })
        | Outcome::Shutdown(ShutDown { result, .. })
        | Outcome::Nop(NopDone { result }) => *result = Ok(()),
        other @ (Outcome::RecvMsg(_) | Outcome::SendMsg(_)) => enclosed::set_done(other),
        other if vectored::is_vectored(other.kind()) => vectored::set_done(other, 0),
        other => bytes::set_done(other, 0),
    }
}

impl fmt::Debug for Uring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uring")
            .field("ring", &self.requests.ring)
            .field("strays", &self.requests.strays())
            .finish_non_exhaustive()
    }
}
