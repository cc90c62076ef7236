//! The poller over kqueue.

use std::fmt;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use proactor_core::{ChildProcess, Config, Error, Until, Wake};
use proactor_readiness::{Batch, Event, Poller, Registration, Signs, Watch};
use proactor_system::{self as system, Mode};
use rustix::io::Errno;

use crate::signals::KqueueSignals;
use crate::sys::{
    ADD, CLEAR, DELETE, EOF, Filter, Kevent, Kqueue, NAME, NOTE_EXIT, NOTE_OOB, NOTE_TRIGGER, RECEIPT,
    TELLS_URGENT_DATA,
};

/// The bits of an event, made of what the system says of its filter.
const READABLE: u32 = 1;
const WRITABLE: u32 = 2;
const IRREGULAR: u32 = 4;

/// With what a descriptor is registered.
const FILTERS: [(Filter, u32); 3] = [(Filter::Read, 0), (Filter::Write, 0), (Filter::Except, NOTE_OOB)];

const FILTERS_LEN: usize = if TELLS_URGENT_DATA { 3 } else { 2 };

/// The longest time that one wait takes, a day: some systems refuse long ones. To return early is always allowed.
const LONGEST: Duration = Duration::from_secs(86_400);

/// What the waker's event is known by.
const WAKE: usize = 0;

// A registration is as long as what comes back with an event.
const _: () = assert!(usize::BITS == 64, "kqueue's user data is a pointer");

/// The poller over kqueue.
pub struct KqueuePoller {
    kqueue: Arc<Kqueue>,
    waker: KqueueWaker,
    events: Vec<Kevent>,
    /// The answers to changes.
    receipts: Vec<Kevent>,
    /// The children that are watched. The system has one registration for each, however many wait for it.
    children: Vec<Child>,
}

/// A child process that is watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Child {
    id: usize,
    registration: Registration,
}

impl Poller for KqueuePoller {
    const NAME: &'static str = NAME;

    const EVENTS_EACH: usize = FILTERS_LEN;

    const SIGNS: Signs = Signs { readable: READABLE, writable: WRITABLE, irregular: IRREGULAR };

    type Waker = KqueueWaker;

    type Child = Child;

    type Signals = KqueueSignals;

    fn open(config: &Config) -> io::Result<Self> {
        let kqueue = Arc::new(Kqueue::open()?);
        let mut receipts = Vec::with_capacity(FILTERS.len());
        let waker = KqueueWaker::new(&kqueue, &mut receipts)?;
        let events = Vec::with_capacity(config.entries as usize);
        Ok(Self { kqueue, waker, events, receipts, children: Vec::new() })
    }

    fn waker(&self) -> KqueueWaker {
        self.waker.clone()
    }

    fn can_watch_children(&self) -> bool {
        true
    }

    fn add(&mut self, descriptor: BorrowedFd<'_>, registration: Registration) -> Result<Watch, Error> {
        let changes = FILTERS.map(|(filter, fflags)| {
            let change = Kevent::new(filter, number(descriptor), ADD | CLEAR | RECEIPT);
            change.with_fflags(fflags).with_udata(registration.to_u64())
        });
        apply(&self.kqueue, &changes[..FILTERS_LEN], &mut self.receipts)?;
        let mut is_watched = false;
        for receipt in &self.receipts {
            match receipt.error() {
                None => is_watched |= receipt.filter() != Some(Filter::Except),
                Some(errno) if is_not_for(errno) => {}
                Some(errno) => {
                    self.remove(descriptor);
                    return Err(errno.into());
                }
            }
        }
        match is_watched {
            true => Ok(Watch::Edges),
            // Where nothing tells when it can be read, a terminal would hold up the loop.
            false if descriptor.is_terminal() => Err(Error::Unsupported),
            // Some character devices, whose calls do not wait (contract H4).
            false => Ok(Watch::AlwaysReady),
        }
    }

    fn remove(&mut self, descriptor: BorrowedFd<'_>) {
        let changes = FILTERS.map(|(filter, _)| Kevent::new(filter, number(descriptor), DELETE | RECEIPT));
        // What was refused, or has gone with its descriptor, is not there.
        let removed = apply(&self.kqueue, &changes[..FILTERS_LEN], &mut self.receipts);
        debug_assert_eq!(removed, Ok(()), "a change that is answered does not fail the call");
    }

    fn add_child(
        &mut self,
        child: &ChildProcess,
        registration: Registration,
    ) -> Result<Option<Child>, Error> {
        let id = child.id() as usize;
        let change = Kevent::new(Filter::Process, id, ADD | RECEIPT).with_fflags(NOTE_EXIT);
        apply(&self.kqueue, &[change], &mut self.receipts)?;
        match self.receipts.first().and_then(Kevent::error) {
            None => {
                let child = Child { id, registration };
                self.children.push(child);
                Ok(Some(child))
            }
            // It was not waited for, so it is there; but it has ended, or is just about to.
            Some(Errno::SRCH) => Ok(None),
            Some(errno) => Err(errno.into()),
        }
    }

    fn remove_child(&mut self, child: Child) {
        self.children.retain(|other| *other != child);
        if self.children.iter().all(|other| other.id != child.id) {
            let change = Kevent::new(Filter::Process, child.id, DELETE | RECEIPT);
            // It goes by itself when it has told.
            let _ = apply(&self.kqueue, &[change], &mut self.receipts);
        }
    }

    #[inline]
    fn wait(&mut self, until: Until) -> Result<Batch, Error> {
        let time = match until {
            Until::Now => Some(Duration::ZERO),
            Until::Forever => None,
            Until::Deadline(deadline) => Some(deadline.since(system::now()).min(LONGEST)),
        };
        let len = match self.kqueue.kevent(&[], &mut self.events, time) {
            Ok(len) => len,
            Err(Errno::INTR) => 0,
            Err(errno) => return Err(errno.into()),
        };
        let is_full = len == self.events.capacity();
        if !self.children.is_empty() {
            self.name_children();
        }
        self.waker.take(&self.events);
        Ok(Batch { len: self.events.len(), is_full })
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.kqueue.as_fd())
    }

    #[inline(always)]
    fn event(&self, index: usize) -> Event {
        let event = &self.events[index];
        Event { registration: Registration::from_u64(event.udata()), bits: bits(event) }
    }
}

/// How an event says what [`Poller::SIGNS`] names.
#[inline(always)]
fn bits(event: &Kevent) -> u32 {
    let is_over = event.flags() & EOF != 0;
    match event.filter() {
        // There may be bytes before the end. With it an error may have come, of which the writer has to hear first.
        Some(Filter::Read) if is_over => READABLE | WRITABLE | IRREGULAR,
        // Urgent data that nobody tells of would stop a read short of what there is.
        Some(Filter::Read) if !TELLS_URGENT_DATA => READABLE | IRREGULAR,
        Some(Filter::Write) => WRITABLE,
        Some(Filter::Except) => READABLE | IRREGULAR,
        _ => READABLE,
    }
}

impl KqueuePoller {
    /// Has the end of a child told to each who waits for it, by events of their own.
    #[cold]
    fn name_children(&mut self) {
        for index in 0..self.events.len() {
            let event = self.events[index];
            if event.filter() != Some(Filter::Process) {
                continue;
            }
            let mut waiting = self.children.iter().filter(|child| child.id == event.ident());
            if let Some(first) = waiting.next() {
                self.events[index] = event.with_udata(first.registration.to_u64());
            }
            self.events.extend(waiting.map(|child| event.with_udata(child.registration.to_u64())));
        }
    }
}

/// Makes changes that ask to be answered.
fn apply(kqueue: &Kqueue, changes: &[Kevent], receipts: &mut Vec<Kevent>) -> Result<(), Error> {
    // Each is answered, so there has to be room for at least the answers: a change without room for its own fails the call.
    // More room does no harm: with an answer in the list the system takes no events.
    debug_assert!(changes.len() <= receipts.capacity());
    loop {
        match kqueue.kevent(changes, receipts, Some(Duration::ZERO)) {
            Ok(_) => return Ok(()),
            // They are made, but who knows with what answers. To make them again does no harm.
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// What systems say to a filter that has nothing to tell of a descriptor.
fn is_not_for(errno: Errno) -> bool {
    // EPIPE is for a pipe whose other end is gone: writing fails then, and does not wait.
    const REFUSALS: [Errno; 6] =
        [Errno::INVAL, Errno::NODEV, Errno::PERM, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::PIPE];
    REFUSALS.contains(&errno)
}

fn number(descriptor: BorrowedFd<'_>) -> usize {
    // Never negative.
    descriptor.as_raw_fd() as usize
}

/// Wakes the poller, from any thread.
#[derive(Clone)]
pub struct KqueueWaker(Way);

#[derive(Clone)]
enum Way {
    /// An event of the user's.
    User(Arc<Kqueue>),
    /// A pipe, where the system has no such thing: what is read, and what is written. Both stay open as long as anybody has one,
    /// or a late wake would raise SIGPIPE.
    Pipe(Arc<[OwnedFd; 2]>),
}

impl KqueueWaker {
    fn new(kqueue: &Arc<Kqueue>, receipts: &mut Vec<Kevent>) -> io::Result<Self> {
        let nobody = Registration::NOBODY.to_u64();
        let change = Kevent::new(Filter::User, WAKE, ADD | CLEAR | RECEIPT).with_udata(nobody);
        apply(kqueue, &[change], receipts)?;
        if receipts.is_empty() {
            return Err(unanswered());
        }
        if receipts[0].error().is_none() {
            return Ok(Self(Way::User(Arc::clone(kqueue))));
        }
        let (reader, writer) = io::pipe()?;
        let ends: [OwnedFd; 2] = [reader.into(), writer.into()];
        for end in &ends {
            system::set_mode(end.as_fd(), Mode::Nonblocking)?;
        }
        let change =
            Kevent::new(Filter::Read, number(ends[0].as_fd()), ADD | CLEAR | RECEIPT).with_udata(nobody);
        apply(kqueue, &[change], receipts)?;
        match receipts.first() {
            // What was refused before is answered by systems without receipts, too.
            None => Err(unanswered()),
            Some(receipt) => match receipt.error() {
                None => Ok(Self(Way::Pipe(Arc::new(ends)))),
                Some(errno) => Err(errno.into()),
            },
        }
    }

    /// Makes room in a pipe that was written to, or it would be full one day and bring no event any more.
    #[inline]
    fn take(&self, events: &[Kevent]) {
        if let Way::Pipe(ends) = &self.0 {
            empty(&ends[0], events);
        }
    }
}

fn unanswered() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "this system's kqueue does not answer changes (EV_RECEIPT)")
}

#[cold]
fn empty(reader: &OwnedFd, events: &[Kevent]) {
    if events.iter().any(|event| event.udata() == Registration::NOBODY.to_u64()) {
        let mut bytes = [0; 256];
        while rustix::io::read(reader, &mut bytes).is_ok_and(|len| len == bytes.len()) {}
    }
}

impl Wake for KqueueWaker {
    fn wake(&self) {
        match &self.0 {
            Way::User(kqueue) => {
                // Some systems take the user data of every change.
                let nobody = Registration::NOBODY.to_u64();
                let trigger = Kevent::new(Filter::User, WAKE, 0).with_fflags(NOTE_TRIGGER).with_udata(nobody);
                // With no room for events nothing is taken. An interrupted call has triggered it.
                let triggered = kqueue.kevent(&[trigger], &mut Vec::new(), Some(Duration::ZERO));
                debug_assert!(matches!(triggered, Ok(0) | Err(Errno::INTR)), "{triggered:?}");
            }
            // Nothing comes of an error: a full pipe has been written to.
            Way::Pipe(ends) => drop(rustix::io::retry_on_intr(|| rustix::io::write(&ends[1], &[1]))),
        }
    }
}

impl fmt::Debug for KqueueWaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match self.0 {
            Way::User(_) => "a user event",
            Way::Pipe(_) => "a pipe",
        };
        f.debug_tuple("KqueueWaker").field(&way).finish()
    }
}

impl fmt::Debug for KqueuePoller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KqueuePoller").field("waker", &self.waker).finish_non_exhaustive()
    }
}
