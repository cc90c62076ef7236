//! The knotes of a queue.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;

use crate::kevent::{ADD, CLEAR, DELETE, DISABLE, DISPATCH, ENABLE, Filter, Kevent, ONESHOT};
use crate::source::{Found, Source, borrow};

/// What the queue's bell is known by among the descriptors that it watches.
pub(crate) const BELL: u64 = 0;

/// And what is made of those whose edges are about writing.
const WRITERS: u64 = 1;

/// How many edges are taken at once.
const BATCH: usize = 64;

/// A knote's name.
type Key = (Filter, usize);

/// Everything but the descriptors that belong to the queue for good.
#[derive(Default)]
pub(crate) struct State {
    knotes: HashMap<Key, Knote>,
    /// Those that are to be told, in order.
    active: VecDeque<Key>,
    /// By what the kernel tells them: whose edges.
    watched: HashMap<u64, Watched>,
    /// By its number, and its side.
    registrations: HashMap<(Side, usize), u64>,
    /// Edges that are about writing have a poller of their own, or one direction would be told of the other's.
    writers: Option<OwnedFd>,
    last: u64,
    rings: bool,
    /// Used again and again, so that nothing is allocated for a call.
    edges: Vec<Watched>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Side {
    Reading,
    Writing,
}

/// Who is concerned by an edge.
#[derive(Clone, Copy, Debug)]
enum Watched {
    Descriptor(Side, usize),
    Other(Key),
}

#[derive(Debug)]
struct Knote {
    flags: u32,
    udata: u64,
    source: Source,
    /// Its condition was true when it was last looked at.
    is_active: bool,
    is_queued: bool,
    is_disabled: bool,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("knotes", &self.knotes)
            .field("active", &self.active)
            .finish_non_exhaustive()
    }
}

impl State {
    /// Makes one change.
    pub(crate) fn change(&mut self, epoll: &OwnedFd, change: &Kevent) -> Result<(), Errno> {
        let filter = change.filter().ok_or(Errno::INVAL)?;
        let key = (filter, change.ident());
        if side(filter).is_some() {
            let number = i32::try_from(change.ident()).map_err(|_| Errno::BADF)?;
            rustix::io::fcntl_getfd(borrow(number))?;
            self.drop_if_closed(epoll, key);
        }
        if change.flags() & DELETE != 0 {
            return if self.delete(epoll, key) { Ok(()) } else { Err(Errno::NOENT) };
        }
        match self.knotes.get_mut(&key) {
            Some(knote) => {
                // As on FreeBSD, where every change brings its own.
                knote.udata = change.udata();
                knote.source.change(change.fflags());
            }
            None if change.flags() & ADD != 0 => self.attach(epoll, key, change)?,
            None => return Err(Errno::NOENT),
        }
        if let Some(knote) = self.knotes.get_mut(&key) {
            if change.flags() & DISABLE != 0 {
                knote.is_disabled = true;
            }
            if change.flags() & ENABLE != 0 {
                knote.is_disabled = false;
            }
        }
        self.look(epoll, key);
        Ok(())
    }

    fn attach(&mut self, epoll: &OwnedFd, key: Key, change: &Kevent) -> Result<(), Errno> {
        let (filter, ident) = key;
        let source = Source::new(filter, ident, change.fflags())?;
        // These are so by nature.
        let by_nature = if matches!(filter, Filter::Process | Filter::Signal) { CLEAR } else { 0 };
        match (&source, side(filter)) {
            (Source::File { .. }, _) | (_, None) => {}
            (_, Some(side)) => self.register(epoll, side, ident)?,
        }
        if let Some(descriptor) = source.descriptor() {
            self.last = self.last.max(WRITERS) + 1;
            let data = EventData::new_u64(self.last);
            epoll::add(epoll, descriptor, data, EventFlags::IN | EventFlags::ET)?;
            self.watched.insert(self.last, Watched::Other(key));
        }
        let flags = change.flags() & (CLEAR | ONESHOT | DISPATCH) | by_nature;
        let knote = Knote {
            flags,
            udata: change.udata(),
            source,
            is_active: false,
            is_queued: false,
            is_disabled: change.flags() & DISABLE != 0,
        };
        self.knotes.insert(key, knote);
        Ok(())
    }

    /// Has the kernel tell edges of a descriptor.
    fn register(&mut self, epoll: &OwnedFd, side: Side, ident: usize) -> Result<(), Errno> {
        if self.registrations.contains_key(&(side, ident)) {
            return Ok(());
        }
        if side == Side::Writing && self.writers.is_none() {
            let writers = epoll::create(CreateFlags::CLOEXEC)?;
            epoll::add(epoll, &writers, EventData::new_u64(WRITERS), EventFlags::IN)?;
            self.writers = Some(writers);
        }
        let edges = match side {
            Side::Reading => EventFlags::IN | EventFlags::RDHUP | EventFlags::PRI | EventFlags::ET,
            Side::Writing => EventFlags::OUT | EventFlags::ET,
        };
        self.last = self.last.max(WRITERS) + 1;
        let data = EventData::new_u64(self.last);
        let poller = self.poller(epoll, side).ok_or(Errno::BADF)?;
        let descriptor = borrow(ident as i32);
        match epoll::add(poller, descriptor, data, edges) {
            // A number that was closed while a duplicate stayed open, and is that file's again.
            Err(Errno::EXIST) => epoll::modify(poller, descriptor, data, edges)?,
            // Of some devices nothing can be told.
            Err(Errno::PERM) => return Err(Errno::NODEV),
            added => added?,
        }
        self.registrations.insert((side, ident), self.last);
        self.watched.insert(self.last, Watched::Descriptor(side, ident));
        Ok(())
    }

    fn poller<'a>(&'a self, epoll: &'a OwnedFd, side: Side) -> Option<&'a OwnedFd> {
        match side {
            Side::Reading => Some(epoll),
            Side::Writing => self.writers.as_ref(),
        }
    }

    /// Deletes a knote. Returns whether it was there.
    fn delete(&mut self, epoll: &OwnedFd, key: Key) -> bool {
        let Some(knote) = self.knotes.remove(&key) else { return false };
        self.active.retain(|other| *other != key);
        if let Some(descriptor) = knote.source.descriptor() {
            let _ = epoll::delete(epoll, descriptor);
            self.watched.retain(|_, watched| !matches!(watched, Watched::Other(other) if *other == key));
        }
        let (filter, ident) = key;
        let Some(side) = side(filter) else { return true };
        let is_used =
            self.knotes.keys().any(|(filter, other)| *other == ident && self::side(*filter) == Some(side));
        if !is_used && let Some(token) = self.registrations.remove(&(side, ident)) {
            self.watched.remove(&token);
            // Where the number was closed, that was the end of it, or the kernel goes on for a duplicate and is not heard.
            if let Some(poller) = self.poller(epoll, side) {
                let _ = epoll::delete(poller, borrow(ident as i32));
            }
        }
        true
    }

    /// Drops the knote of a number that was closed, or is another file's by now. Returns whether it is gone.
    fn drop_if_closed(&mut self, epoll: &OwnedFd, key: Key) -> bool {
        let (filter, ident) = key;
        let (Some(knote), Some(side)) = (self.knotes.get(&key), side(filter)) else { return false };
        let is_same = match &knote.source {
            Source::File { identity } => crate::source::identity(borrow(ident as i32)) == Some(*identity),
            _ => self.poller(epoll, side).is_some_and(|poller| is_registered(poller, ident)),
        };
        if !is_same {
            self.delete(epoll, key);
        }
        !is_same
    }

    /// Looks whether a knote's condition is true, and queues it if so.
    fn look(&mut self, epoll: &OwnedFd, key: Key) {
        if self.drop_if_closed(epoll, key) {
            return;
        }
        let Some(knote) = self.knotes.get_mut(&key) else { return };
        knote.is_active |= knote.source.look(key.1).is_some();
        if knote.is_active && !knote.is_disabled && !mem::replace(&mut knote.is_queued, true) {
            self.active.push_back(key);
        }
    }

    /// Takes the edges that there were.
    pub(crate) fn gather(&mut self, epoll: &OwnedFd) -> Result<(), Errno> {
        let mut batch = [const { MaybeUninit::uninit() }; BATCH];
        for poller in [Some(epoll), self.writers.as_ref()].into_iter().flatten() {
            loop {
                let (told, _) = epoll::wait(poller, &mut batch, Some(&Timespec::default()))?;
                self.edges.extend(told.iter().filter_map(|edge| self.watched.get(&edge.data.u64())));
                if told.len() < BATCH {
                    break;
                }
            }
        }
        let mut edges = mem::take(&mut self.edges);
        for edge in edges.drain(..) {
            match edge {
                Watched::Other(key) => self.look(epoll, key),
                Watched::Descriptor(Side::Reading, ident) => {
                    self.look(epoll, (Filter::Read, ident));
                    self.look(epoll, (Filter::Except, ident));
                }
                Watched::Descriptor(Side::Writing, ident) => self.look(epoll, (Filter::Write, ident)),
            }
        }
        self.edges = edges;
        Ok(())
    }

    /// Tells what is to be told.
    pub(crate) fn collect(&mut self, epoll: &OwnedFd, events: &mut Vec<Kevent>, room: usize) {
        // Those that stay go to the end, and are told once.
        for _ in 0..self.active.len() {
            if events.len() == room {
                return;
            }
            let Some(key) = self.active.pop_front() else { return };
            if let Some(event) = self.tell(epoll, key) {
                events.push(event);
            }
        }
    }

    fn tell(&mut self, epoll: &OwnedFd, key: Key) -> Option<Kevent> {
        if self.drop_if_closed(epoll, key) {
            return None;
        }
        let (filter, ident) = key;
        let knote = self.knotes.get_mut(&key)?;
        if !mem::replace(&mut knote.is_queued, false) || knote.is_disabled {
            return None;
        }
        let Some(Found { flags, fflags, data }) = knote.source.look(ident) else {
            knote.is_active = false;
            return None;
        };
        let told = knote.flags | flags;
        let event =
            Kevent::new(filter, ident, told).with_fflags(fflags).with_data(data).with_udata(knote.udata);
        if told & ONESHOT != 0 {
            self.delete(epoll, key);
            return Some(event);
        }
        if told & DISPATCH != 0 {
            knote.is_disabled = true;
        }
        if told & (CLEAR | DISPATCH) != 0 {
            knote.is_active = false;
            knote.source.clear();
        } else {
            knote.is_queued = true;
            self.active.push_back(key);
        }
        Some(event)
    }

    /// Makes the queue's descriptor readable exactly while something is to be told.
    pub(crate) fn ring(&mut self, bell: &OwnedFd) -> Result<(), Errno> {
        let rings = !self.active.is_empty();
        if rings != self.rings {
            if rings {
                rustix::io::write(bell, &1_u64.to_ne_bytes())?;
            } else {
                rustix::io::read(bell, &mut [0; 8])?;
            }
            self.rings = rings;
        }
        Ok(())
    }
}

/// Which edges a filter is about, if it is one of descriptors.
fn side(filter: Filter) -> Option<Side> {
    match filter {
        Filter::Read | Filter::Except => Some(Side::Reading),
        Filter::Write => Some(Side::Writing),
        Filter::Process | Filter::Signal | Filter::User => None,
    }
}

/// Whether a number is still what is registered by it. The kernel names that by number *and* open file, so whether there is one
/// tells whether both are the same; asking changes nothing.
fn is_registered(poller: &OwnedFd, ident: usize) -> bool {
    let descriptor = borrow(ident as i32);
    match epoll::add(poller.as_fd(), descriptor, EventData::new_u64(BELL), EventFlags::empty()) {
        Err(errno) => errno == Errno::EXIST,
        Ok(()) => {
            let _ = epoll::delete(poller.as_fd(), descriptor);
            false
        }
    }
}
