//! The backend over a ring.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::AsFd;

use proactor_core::{
    Accept, AcceptMany, Backend, Buffer, Capabilities, Config, Connect, Control, Done, Error, Family, Handle,
    Kind, NopDone, Operation, Outcome, OwnedDescriptor, Received, Recv, Reply, Send, SendAll, Sent, SentAll,
    Slot, Time, Token, Until,
};
use proactor_system::{self as system, DescriptorKind, EventWaker, Mode, Transport};
use rustix::io::Errno;

use crate::descriptors::{Descriptor, Descriptors};
use crate::open::{self, Setup};
use crate::requests::{self, Answer, Finished, Place, Requests, Unread};
use crate::ring::Ring;

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
    waker: EventWaker,
    /// Whether a wake came that has not ended a wait yet.
    woken: bool,
    capabilities: Capabilities,
    belongs_to_its_thread: PhantomData<*const ()>,
}

impl Uring {
    /// Opens it with the newest set-up that the kernel takes, `newest` at most.
    pub(crate) fn open_with(config: &Config, newest: Setup) -> io::Result<Self> {
        config.check()?;
        let mut capabilities = Capabilities::default();
        capabilities.ipv4 = system::has_family(Family::Ipv4);
        capabilities.ipv6 = system::has_family(Family::Ipv6);
        capabilities.descriptors = true;
        capabilities.threads = true;
        capabilities.kernel_completions = true;
        let (ring, setup) = open::open(config.entries, newest)?;
        let waker = EventWaker::new()?;
        // Kernels before 6.1 lose count of what a send has sent when they are asked to wait for all and then cancelled.
        let waits_for_all = setup >= Setup::DeferTaskrun;
        let requests = match Requests::new(Ring::new(ring), waits_for_all, waker.as_fd()) {
            Ok(requests) => requests,
            Err(Error::Unsupported) => return Err(open::too_old()),
            Err(error) => return Err(open::explained(&error.into(), config.entries)),
        };
        Ok(Self {
            requests,
            descriptors: Descriptors::default(),
            waker,
            woken: false,
            capabilities,
            belongs_to_its_thread: PhantomData,
        })
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
        if !is_idle(Place::reading(slot)) || !is_idle(Place::writing(slot)) {
            return Err(Error::Busy);
        }
        self.descriptors.remove(slot)
    }

    /// Starts a receive or a send.
    #[inline(always)]
    fn transfer(&mut self, place: Place, slot: Slot, token: Token, operation: Operation, done: &mut Done) {
        let is_empty = match &operation {
            Operation::Recv(recv) => recv.buffer.is_empty(),
            Operation::SendAll(send) => send.buffer.is_empty(),
            _ => true,
        };
        let Some(descriptor) = self.descriptors.get(slot).ok().filter(|_| !is_empty) else {
            return self.start_other(token, slot, operation, done);
        };
        match self.requests.begin_transfer(place, descriptor.as_fd(), token, operation) {
            Ok(()) => self.reap_if_crowded(done),
            Err(operation) => self.start_other(token, slot, operation, done),
        }
    }

    /// Starts a receive or a send that cannot be handed to the kernel as it is.
    #[cold]
    #[inline(never)]
    fn transfer_specially(
        &mut self,
        place: Place,
        slot: Slot,
        token: Token,
        operation: Operation,
        done: &mut Done,
    ) {
        let (kind, handle, buffer) = match operation {
            Operation::Recv(Recv { handle, buffer }) => (Kind::Recv, handle, buffer),
            Operation::Send(Send { handle, buffer }) => (Kind::Send, handle, buffer),
            Operation::SendAll(SendAll { handle, buffer }) => (Kind::SendAll, handle, buffer),
            operation => return done.push(token, operation.fail(Error::Unsupported)),
        };
        let result = match self.descriptors.get(slot) {
            Err(error) => Err(error),
            Ok(_) if !self.requests.is_idle(place) => Err(Error::Busy),
            Ok(_) if kind == Kind::Recv && !buffer.is_writable() => Err(Error::ReadOnlyBuffer),
            // The kernel would wait for bytes that there is no room for.
            Ok(descriptor) if buffer.is_empty() && descriptor.takes_bytes() => Ok(0),
            Ok(descriptor) => {
                let operation = match kind {
                    Kind::Recv => Operation::Recv(Recv { handle, buffer }),
                    Kind::Send => Operation::Send(Send { handle, buffer }),
                    _ => Operation::SendAll(SendAll { handle, buffer }),
                };
                if let Err(operation) =
                    self.requests.begin_transfer(place, descriptor.as_fd(), token, operation)
                {
                    done.push(token, operation.fail(Error::Busy));
                }
                return;
            }
        };
        done.push(token, transferred(kind, handle, buffer, result));
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
        let address = self.requests.address(place);
        let Some(finished) = self.requests.take(place) else { return };
        let Finished { token, handle, buffer, transferred, .. } = finished;
        let outcome = match finished.kind {
            Kind::Recv => Operation::Recv(Recv { handle, buffer }).fail(error),
            Kind::Send => Operation::Send(Send { handle, buffer }).fail(error),
            Kind::SendAll => Outcome::SendAll(SentAll { handle, buffer, transferred, result: Err(error) }),
            Kind::Accept => Operation::Accept(Accept { listener: handle }).fail(error),
            Kind::AcceptMany => {
                let error = if finished.is_unsupported { Error::Unsupported } else { error };
                Operation::AcceptMany(AcceptMany { listener: handle }).fail(error)
            }
            Kind::Connect => {
                let Ok(address) = address else { return };
                Operation::Connect(Connect { handle, address }).fail(error)
            }
            // Nothing else is ever begun.
            _ => return,
        };
        done.push(token, outcome);
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
            Errno::AGAIN => self.poll(place, done),
            errno => self.fail(place, Error::from_errno(errno), done),
        }
    }

    /// The descriptor of what is held may be ready now.
    #[cold]
    #[inline(never)]
    fn polled(&mut self, reply: &requests::Reply, done: &mut Done) {
        let place = reply.place;
        if reply.result == Err(Errno::CANCELED) || self.requests.is_canceled(place) {
            self.fail(place, Error::Canceled, done);
        } else {
            // A poll that has failed makes the operation fail as well, and that says better why.
            self.resubmit(place, done);
        }
    }

    /// Takes what has completed: all that is there now, and not without end.
    #[inline(always)]
    fn reap(&mut self, done: &mut Done) {
        let mut left = self.requests.answers();
        while let Some(unread) = self.requests.reap_transfers(&mut left, done) {
            self.complete(unread, done);
        }
    }

    #[inline(never)]
    fn complete(&mut self, unread: Unread, done: &mut Done) {
        match self.requests.read(unread) {
            Answer::Request(reply) if reply.is_poll => self.polled(&reply, done),
            Answer::Request(reply) => self.replied(reply, done),
            Answer::Watched { goes_on } => {
                self.woken = true;
                if !goes_on {
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
            (Kind::SendAll, result) => self.sent_some(place, result, done),
            (Kind::Send, result) => self.sent(place, result, done),
            (Kind::Connect, result) => self.connected(place, result, done),
            (Kind::Accept, _) => self.accepted(reply, done),
            (Kind::AcceptMany, _) => self.accepted_many(reply, done),
            // A receive that received was pushed already, and nothing else is ever begun.
            _ => {}
        }
    }

    #[inline(never)]
    fn start_other(&mut self, token: Token, slot: Slot, operation: Operation, done: &mut Done) {
        match operation {
            Operation::Recv(_) => self.transfer_specially(Place::reading(slot), slot, token, operation, done),
            Operation::SendAll(_) | Operation::Send(_) => {
                self.transfer_specially(Place::writing(slot), slot, token, operation, done);
            }
            Operation::Accept(operation) => self.accept(token, slot, operation, done),
            Operation::AcceptMany(operation) => self.accept_many(token, slot, operation, done),
            Operation::Connect(operation) => self.connect(token, slot, operation, done),
            Operation::Shutdown(operation) => self.shutdown(token, slot, operation, done),
            Operation::Nop(_) => done.push(token, Outcome::Nop(NopDone { result: Ok(()) })),
            // Core's own, and what this backend does not know yet.
            operation => done.push(token, operation.fail(Error::Unsupported)),
        }
        self.reap_if_crowded(done);
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
        Self::open_with(config, Setup::NoIndexArray)
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

    fn socket(&mut self, slot: Slot, family: Family) -> Result<(), Error> {
        let socket = system::open_stream(family, Mode::Blocking)?;
        let kind = DescriptorKind::Socket(Transport::Tcp);
        self.adopt(slot, Descriptor::new(socket, kind)).map_err(|(error, _)| error)
    }

    fn control(&mut self, slot: Slot, control: Control) -> Result<Reply, Error> {
        system::control(self.descriptors.get(slot)?.as_fd(), &control)
    }

    #[inline]
    fn start(&mut self, token: Token, slot: Slot, done: &mut Done) {
        // Out of core's reach from here on: the kernel may write to its buffer.
        let Some(operation) = done.take(token) else { return };
        match &operation {
            Operation::Recv(_) => self.transfer(Place::reading(slot), slot, token, operation, done),
            Operation::SendAll(_) => self.transfer(Place::writing(slot), slot, token, operation, done),
            _ => self.start_other(token, slot, operation, done),
        }
    }

    fn cancel(&mut self, token: Token, slot: Slot, done: &mut Done) -> bool {
        let Some(place) = self.requests.find(slot, token) else { return false };
        self.requests.cancel(place);
        self.reap_if_crowded(done);
        true
    }

    #[inline]
    fn wait(&mut self, until: Until, done: &mut Done) -> Result<(), Error> {
        // A wake that came while something else was done ends this wait.
        let until = if self.woken { Until::Now } else { until };
        let entered = self.requests.ring.enter(until);
        self.reap(done);
        self.woken = false;
        entered
    }

    #[inline]
    fn flush(&mut self, done: &mut Done) -> Result<(), Error> {
        let flushed = self.requests.ring.flush();
        self.reap(done);
        flushed
    }

    /// Also [`Error::Busy`] while something is pending, and then it stays.
    fn close(&mut self, slot: Slot) -> Result<(), Error> {
        self.release(slot).and_then(system::close)
    }
}

/// The outcome of a transfer that was not handed to the kernel.
fn transferred(kind: Kind, handle: Handle, buffer: Buffer, result: Result<usize, Error>) -> Outcome {
    match kind {
        Kind::Recv => Outcome::Recv(Received { handle, buffer, result }),
        Kind::Send => Outcome::Send(Sent { handle, buffer, result }),
        _ => Outcome::SendAll(SentAll { handle, buffer, transferred: 0, result: result.map(drop) }),
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
