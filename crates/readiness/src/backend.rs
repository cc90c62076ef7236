//! The backend over a poller.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use proactor_core::{
    Attempted, Backend, Capabilities, Config, Control, Done, Dry, Error, Family, Outcome, OwnedDescriptor,
    Reply, Returned, Slot, SocketKind, Time, Token, Until,
};
use proactor_system::{self as system, DescriptorKind, Mode};

use crate::elsewhere::Elsewhere;
use crate::poller::{Event, Poller, Registration, Watch};
use crate::polls::Polls;
use crate::read::fail;
use crate::source::{Origin, Restore, Traits};
use crate::table::{Table, Waiter};

/// The backend over the poller `P`.
pub struct Readiness<P: Poller> {
    pub(crate) poller: P,
    pub(crate) table: Table,
    /// What has had its turn though it could go on, for which no edge will come.
    pub(crate) unfinished: Vec<Registration>,
    /// What waits for a buffer of a pool that has run dry.
    pub(crate) dry: Dry<(Slot, Token)>,
    pub(crate) polls: Polls,
    pub(crate) elsewhere: Elsewhere<P>,
    capabilities: Capabilities,
}

/// What is left to be done about an event.
#[derive(Clone, Copy)]
enum Rest {
    Nothing,
    /// It is about none of the slots.
    Elsewhere,
    /// The operation that waits to write is tried again, and then the one that waits to read.
    Writer(Token),
    /// The operation that waits to read is tried again, which is no receive.
    Reader(Token),
}

impl<P: Poller> Readiness<P> {
    pub(crate) const fn can_wait_for_children(&self) -> bool {
        self.capabilities.child_processes
    }

    pub(crate) const fn can_splice(&self) -> bool {
        self.capabilities.splicing
    }

    /// Takes a descriptor into a free slot.
    pub(crate) fn adopt(
        &mut self,
        slot: Slot,
        descriptor: OwnedFd,
        kind: DescriptorKind,
        origin: Origin,
    ) -> Result<(), (Error, OwnedFd)> {
        let (mode, restore) = Restore::of(origin);
        let (mode, restore) = match system::SOCKETS_ARE {
            Some(needed) if needed != mode && matches!(kind, DescriptorKind::Socket(_)) => {
                match system::set_mode(descriptor.as_fd(), needed) {
                    Ok(before) if before != needed => (needed, restore.changed()),
                    Ok(_) => (needed, restore),
                    Err(error) => return Err((error, descriptor)),
                }
            }
            _ => (mode, restore),
        };
        let registration = match self.table.prepare(slot) {
            Ok(registration) => registration,
            Err(error) => return Err((error, descriptor)),
        };
        let watched = match kind {
            // Their calls never wait for others, and no poller has anything to say of them (contract H4).
            DescriptorKind::File | DescriptorKind::Directory => Ok(Watch::AlwaysReady),
            _ => self.poller.add(descriptor.as_fd(), registration),
        };
        match watched {
            Ok(watch) => {
                self.table.insert(registration, descriptor, Traits { kind, watch, mode, restore });
                Ok(())
            }
            Err(error) => Err((error, descriptor)),
        }
    }

    /// Takes a descriptor out of its slot. It is watched no longer, unless it is `to_be_closed` and the poller forgets it then.
    fn release(&mut self, slot: Slot, to_be_closed: bool) -> Result<(OwnedFd, Restore), Error> {
        if self.polls.uses(slot) {
            return Err(Error::Busy);
        }
        let (descriptor, traits) = self.table.remove(slot)?;
        let is_forgotten = P::FORGETS_WHAT_IS_CLOSED && to_be_closed && traits.restore.is_own();
        if traits.watch == Watch::Edges && !is_forgotten {
            self.poller.remove(descriptor.as_fd());
        }
        Ok((descriptor, traits.restore))
    }

    /// The same, as others who share what it refers to are to find that.
    fn take_to_close(&mut self, slot: Slot) -> Result<OwnedFd, Error> {
        let (descriptor, restore) = self.release(slot, true)?;
        if restore == Restore::Always {
            // Nothing to be done where that fails: the descriptor goes.
            let _ = system::set_mode(descriptor.as_fd(), Mode::Blocking);
        }
        Ok(descriptor)
    }

    /// Has a slot tried again in the next wait, which does not block then.
    pub(crate) fn leave_unfinished(&mut self, slot: Slot) {
        if let Ok(entry) = self.table.get(slot) {
            let generation = entry.source.generation();
            if !std::mem::replace(&mut entry.source.is_unfinished, true) {
                self.unfinished.push(Registration { slot: slot.0, generation });
            }
        }
    }

    /// Tries again what an event may have made possible.
    #[inline(always)]
    fn dispatch(&mut self, event: Event, done: &mut Done) -> Rest {
        let Some(entry) = self.table.registered(event.registration) else { return Rest::Elsewhere };
        if event.bits & P::SIGNS.writable != 0 {
            entry.source.write_drained = false;
            if let Some(token) = entry.writer.token() {
                return Rest::Writer(token);
            }
        }
        self.dispatch_to_reader(event, done)
    }

    #[inline(always)]
    fn dispatch_to_reader(&mut self, event: Event, done: &mut Done) -> Rest {
        let Some(entry) = self.table.registered(event.registration) else { return Rest::Nothing };
        if event.bits & P::SIGNS.irregular != 0 {
            entry.source.short_read_drains = false;
            if entry.source.takes_messages() {
                self.dispatch_to_ended(event, done);
                return Rest::Nothing;
            }
        }
        if event.bits & P::SIGNS.readable == 0 {
            return Rest::Nothing;
        }
        entry.source.read_drained = false;
        match entry.reader.token() {
            Some(token) if !entry.resume_recv(token, done) => Rest::Reader(token),
            _ => Rest::Nothing,
        }
    }

    /// What is left of an event.
    #[inline(never)]
    fn dispatch_rest(&mut self, event: Event, rest: Rest, done: &mut Done) {
        let slot = Slot(event.registration.slot);
        let rest = match rest {
            Rest::Elsewhere if event.registration != Registration::NOBODY => {
                return self.dispatch_elsewhere(event.registration, done);
            }
            // The writer goes first, since how a connect went is an error that a receive would take away from it.
            Rest::Writer(token) if !self.resume_writer(slot, token, done) => {
                self.dispatch_to_reader(event, done)
            }
            rest => rest,
        };
        if let Rest::Reader(token) = rest {
            self.resume_reader(slot, token, done);
        }
    }

    /// Waits while something else could go on as well.
    #[inline(never)]
    fn wait_beside_others(&mut self, until: Until, done: &mut Done) -> Result<(), Error> {
        let goes_on = !self.dry.is_empty() && (self.take_dry(done) || !done.is_empty());
        let until = if goes_on { Until::Now } else { until };
        let unfinished = self.unfinished.len();
        let until = if unfinished == 0 { until } else { self.until_unfinished(until) };
        self.take_events(until, done)?;
        self.take_unfinished(unfinished, done);
        Ok(())
    }

    /// Takes what events there are: all that were ready at entry, and not without end, if it is not to wait; otherwise a batch,
    /// whose operations go on before the next one is asked for.
    #[inline(always)]
    fn take_events(&mut self, until: Until, done: &mut Done) -> Result<(), Error> {
        if P::IS_TOLD {
            self.tell_the_poller();
        }
        let mut batch = self.poller.wait(until)?;
        let mut left = self.table.len() * P::EVENTS_EACH;
        loop {
            if !self.polls.is_empty() {
                self.tell_polls(batch.len, done);
            }
            for index in 0..batch.len {
                match self.dispatch(self.poller.event(index), done) {
                    Rest::Nothing => {}
                    // The event is read again, so that it needs not be kept while a call is made.
                    Rest::Reader(token) => {
                        let slot = Slot(self.poller.event(index).registration.slot);
                        self.resume_reader(slot, token, done);
                    }
                    rest => self.dispatch_rest(self.poller.event(index), rest, done),
                }
            }
            left = left.saturating_sub(batch.len);
            if !batch.is_full || left == 0 || until != Until::Now {
                return Ok(());
            }
            batch = self.poller.wait(Until::Now)?;
        }
    }

    /// Tells the poller what is waited for, where it has to be told.
    fn tell_the_poller(&mut self) {
        let Self { table, poller, .. } = self;
        for (registration, entry) in table.watched() {
            if let Ok(descriptor) = entry.source.descriptor() {
                poller.want(descriptor, registration, entry.wanted());
            }
        }
    }

    /// Tells the polls of a batch of events, before what they ask about is taken by others.
    #[cold]
    #[inline(never)]
    fn tell_polls(&mut self, len: usize, done: &mut Done) {
        for index in 0..len {
            self.resume_polls(self.poller.event(index).registration, done);
        }
    }

    /// Starts what is neither a `Recv` nor a `SendAll`, where its parts alone are needed for that.
    #[inline(never)]
    fn attempt_another(&mut self, token: Token, slot: Slot, operation: &mut Outcome) -> Attempted {
        let is_decided = match operation {
            Outcome::RecvFrom(received) => self.table.recv_from(token, slot, received),
            Outcome::SendTo(sent) => self.table.send_to(token, slot, sent),
            Outcome::Send(sent) => self.table.send(token, slot, sent),
            Outcome::RecvMsg(received) => self.table.recv_msg(token, slot, received),
            Outcome::SendMsg(sent) => self.table.send_msg(token, slot, sent),
            Outcome::Nop(nop) => {
                nop.result = Ok(());
                true
            }
            _ => return Attempted::Declined,
        };
        if is_decided { Attempted::Decided } else { Attempted::Begun }
    }

    /// Starts all the rest.
    #[inline(never)]
    fn start_other(&mut self, token: Token, slot: Slot, done: &mut Done) {
        match done.undecided(token) {
            Some(Outcome::Accept(_) | Outcome::AcceptManyEnded(_)) => self.accept(token, slot, done),
            Some(Outcome::RecvManyEnded(_)) => self.recv_many(token, slot, done),
            Some(Outcome::Connect(_)) => self.connect(token, slot, done),
            Some(Outcome::Shutdown(_)) => self.shutdown(token, slot, done),
            Some(Outcome::Read(_) | Outcome::ReadExact(_)) => self.read(token, slot, done),
            Some(Outcome::Write(_) | Outcome::WriteAll(_)) => self.write(token, slot, done),
            Some(Outcome::SendFile(_) | Outcome::SendFileAll(_)) => self.send_file(token, slot, done),
            Some(Outcome::Splice(_)) => self.splice(token, done),
            Some(Outcome::ReadVectored(_) | Outcome::ReadVectoredExact(_)) => self.read(token, slot, done),
            Some(Outcome::WriteVectored(_) | Outcome::WriteVectoredAll(_)) => self.write(token, slot, done),
            Some(Outcome::Resolve(_)) => done.offload(token, system::resolve()),
            Some(Outcome::Poll(_) | Outcome::PollManyEnded(_)) => self.poll(token, slot, done),
            Some(Outcome::WaitChild(_)) => self.wait_child(token, done),
            Some(Outcome::SignalsEnded(_)) => self.watch_signals(token, done),
            Some(_) => self.start_file(token, slot, done),
            None => {}
        }
    }

    /// Goes on with the first `len` of what was left unfinished, as if after an edge.
    #[cold]
    fn take_unfinished(&mut self, len: usize, done: &mut Done) {
        for index in 0..len {
            let registration = self.unfinished[index];
            let entry = self.table.registered(registration);
            let is_ended = entry.is_some_and(|entry| {
                entry.source.is_unfinished = false;
                entry.source.is_ended
            });
            let bits = P::SIGNS.readable & !P::SIGNS.irregular | P::SIGNS.writable & !P::SIGNS.irregular;
            let event = Event { registration, bits };
            let rest = self.dispatch(event, done);
            self.dispatch_rest(event, rest, done);
            if is_ended {
                self.receive_nothing(registration, done);
            }
        }
        self.unfinished.drain(..len);
    }
}

impl<P: Poller> Backend for Readiness<P> {
    const NAME: &'static str = P::NAME;

    type Waker = P::Waker;

    fn open(config: &Config) -> io::Result<Self> {
        config.check()?;
        let mut capabilities = Capabilities::default();
        system::probe(&mut capabilities);
        let poller = P::open(config)?;
        capabilities.child_processes = poller.can_watch_children();
        Ok(Self {
            poller,
            table: Table::default(),
            unfinished: Vec::new(),
            dry: Dry::default(),
            polls: Polls::default(),
            elsewhere: Elsewhere::default(),
            capabilities,
        })
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn waker(&self) -> Self::Waker {
        self.poller.waker()
    }

    #[inline]
    fn now(&self) -> Time {
        system::now()
    }

    fn attach(&mut self, slot: Slot, descriptor: OwnedDescriptor) -> Result<(), (Error, OwnedDescriptor)> {
        match system::descriptor_kind(descriptor.as_fd()) {
            Ok(kind) => self.adopt(slot, descriptor, kind, Origin::Given),
            Err(error) => Err((error, descriptor)),
        }
    }

    fn detach(&mut self, slot: Slot) -> Result<OwnedDescriptor, Error> {
        let (descriptor, restore) = self.release(slot, false)?;
        if restore.is_due_on_detach() {
            // The system has no reason to refuse, and a descriptor that does not block is better than none.
            let _ = system::set_mode(descriptor.as_fd(), Mode::Blocking);
        }
        Ok(descriptor)
    }

    fn socket(&mut self, slot: Slot, family: Family, kind: SocketKind) -> Result<(), Error> {
        let (socket, transport) = system::open_socket(family, kind, Mode::Nonblocking)?;
        let kind = DescriptorKind::Socket(transport);
        self.adopt(slot, socket, kind, Origin::Opened(Mode::Nonblocking)).map_err(|(error, _)| error)
    }

    fn control(&mut self, slot: Slot, control: Control) -> Result<Reply, Error> {
        system::control(self.table.get(slot)?.source.descriptor()?, &control)
    }

    fn start(&mut self, token: Token, slot: Slot, done: &mut Done) {
        let attempt = match done.undecided(token) {
            Some(operation) => self.attempt(token, slot, operation),
            None => Attempted::Declined,
        };
        match attempt {
            Attempted::Decided => done.decided(token),
            Attempted::Begun => {}
            Attempted::Declined => self.start_other(token, slot, done),
        }
    }

    #[inline(always)]
    fn attempt(&mut self, token: Token, slot: Slot, operation: &mut Outcome) -> Attempted {
        let is_decided = match operation {
            Outcome::Recv(received) => self.table.recv(token, slot, received),
            Outcome::SendAll(sent) => {
                self.table.send_all(slot, sent) || self.send_the_rest(token, slot, sent)
            }
            // The rest stays out of line, so that these two are in the loop that starts them.
            _ => return self.attempt_another(token, slot, operation),
        };
        if is_decided { Attempted::Decided } else { Attempted::Begun }
    }

    fn start_on_pool(&mut self, token: Token, slot: Slot, done: &mut Done) {
        self.start_file_on_pool(token, slot, done);
    }

    fn cancel(&mut self, token: Token, slot: Slot, done: &mut Done) -> bool {
        let Ok(entry) = self.table.get(slot) else { return self.cancel_elsewhere(token, done) };
        let is_undecided = done.undecided(token).is_some();
        if entry.reader == Waiter::new(token) {
            entry.reader = Waiter::NOBODY;
            self.needs_no_buffer(slot, token);
            self.forget_splice(token, done);
            fail(token, Error::Canceled, done);
        } else if entry.writer == Waiter::new(token) {
            self.cancel_writer(slot, token, done);
        } else {
            return self.cancel_poll(token, slot, done);
        }
        is_undecided
    }

    fn returned(&mut self, token: Token, slot: Slot, job: Returned, done: &mut Done) {
        match job.outcome {
            Outcome::SendFile(_) | Outcome::SendFileAll(_) => self.send_file_returned(token, slot, job, done),
            _ => self.file_returned(token, job, done),
        }
    }

    #[inline(always)]
    fn wait(&mut self, until: Until, done: &mut Done) -> Result<(), Error> {
        if !self.dry.is_empty() || !self.unfinished.is_empty() {
            return self.wait_beside_others(until, done);
        }
        self.take_events(until, done)
    }

    fn as_fd(&mut self) -> Result<Option<BorrowedFd<'_>>, Error> {
        Ok(self.poller.as_fd())
    }

    fn prepare_wait(&mut self, done: &mut Done) -> Result<bool, Error> {
        self.wait(Until::Now, done)?;
        // What the events have found may wait for a buffer, which nobody was asked for yet.
        Ok(!self.goes_on() && !self.dry.can_go_on())
    }

    fn close(&mut self, slot: Slot) -> Result<(), Error> {
        self.take_to_close(slot).and_then(system::close)
    }

    fn close_on_pool(&mut self, token: Token, slot: Slot, done: &mut Done) {
        match self.take_to_close(slot) {
            Ok(descriptor) => done.offload(token, system::close_job(descriptor)),
            Err(error) => fail(token, error, done),
        }
    }
}

impl<P: Poller> Drop for Readiness<P> {
    /// Descriptors and parked operations drop by themselves; what others may share is left as it was found.
    fn drop(&mut self) {
        for descriptor in self.table.to_restore() {
            let _ = system::set_mode(descriptor, Mode::Blocking);
        }
    }
}

impl<P: Poller> fmt::Debug for Readiness<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(P::NAME).field("slots", &self.table.len()).finish_non_exhaustive()
    }
}
