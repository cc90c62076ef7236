//! The queue: the call, and the waiting.

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use crate::kevent::{ERROR, Filter, Kevent, RECEIPT};
use crate::state::{BELL, State};

/// What a backend over it is called.
pub const NAME: &str = "kqueue-emulated";

thread_local! {
    static LACKS_USER_EVENTS: Cell<bool> = const { Cell::new(false) };
    static REFUSAL: Cell<Option<(Filter, u32, Errno)>> = const { Cell::new(None) };
    static INTERRUPTIONS: Cell<u32> = const { Cell::new(0) };
}

/// Has the queues that this thread makes from now on refuse user events, as some older systems do. Returns whether that can
/// be had.
pub fn lack_user_events() -> bool {
    LACKS_USER_EVENTS.set(true);
    true
}

/// Has the next change by this thread that is of this filter, and has one of these flags, refused with this error. Returns
/// whether that can be had.
pub fn refuse_next(filter: Filter, flags: u32, errno: Errno) -> bool {
    REFUSAL.set(Some((filter, flags, errno)));
    true
}

/// Has the next `count` calls by this thread that make changes interrupted when those are made, so that nobody hears the answers.
/// Returns whether that can be had.
pub fn interrupt_next(count: u32) -> bool {
    INTERRUPTIONS.set(count);
    true
}

/// How many of the interruptions asked for by this thread are yet to come.
pub fn interruptions_left() -> u32 {
    INTERRUPTIONS.get()
}

/// A queue of events.
#[derive(Debug)]
pub struct Kqueue {
    /// What becomes readable on a descriptor, edge-triggered, what ends or is delivered, and the bell. It is the queue's own
    /// descriptor, which polls as readable while there are events.
    epoll: OwnedFd,
    /// Rings, level-triggered, while knotes are to be told.
    bell: OwnedFd,
    state: Mutex<State>,
    lacks_user_events: bool,
}

impl Kqueue {
    /// A new one.
    ///
    /// # Errors
    /// What the system said.
    pub fn open() -> Result<Self, Errno> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &bell, EventData::new_u64(BELL), EventFlags::IN)?;
        let state = Mutex::new(State::default());
        Ok(Self { epoll, bell, state, lacks_user_events: LACKS_USER_EVENTS.get() })
    }

    /// kevent(2): makes changes, and then takes events, as many as `events` has capacity for, whose elements they replace. It
    /// waits for the first of them: for ever without a timeout. Changes are answered in the same list; then nothing is taken.
    ///
    /// # Errors
    /// Of a change that there is no room to answer; EINTR, the changes being made.
    pub fn kevent(
        &self,
        changes: &[Kevent],
        events: &mut Vec<Kevent>,
        timeout: Option<Duration>,
    ) -> Result<usize, Errno> {
        events.clear();
        let room = events.capacity();
        self.change(changes, events, room)?;
        if !changes.is_empty() && INTERRUPTIONS.get() > 0 {
            INTERRUPTIONS.set(INTERRUPTIONS.get() - 1);
            events.clear();
            return Err(Errno::INTR);
        }
        if !events.is_empty() || room == 0 {
            return Ok(events.len());
        }
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let mut state = self.state();
            state.gather(&self.epoll)?;
            state.collect(&self.epoll, events, room);
            state.ring(&self.bell)?;
            drop(state);
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if !events.is_empty() || left.is_some_and(|left| left.is_zero()) {
                return Ok(events.len());
            }
            let left = left.map(|left| Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            });
            poll(&mut [PollFd::new(&self.epoll, PollFlags::IN)], left.as_ref())?;
        }
    }

    fn change(&self, changes: &[Kevent], answers: &mut Vec<Kevent>, room: usize) -> Result<(), Errno> {
        let mut state = self.state();
        for change in changes {
            let changed = match self.refusal(change) {
                Some(errno) => Err(errno),
                None => state.change(&self.epoll, change),
            };
            if changed.is_ok() && change.flags() & RECEIPT == 0 {
                continue;
            }
            let number = changed.map_or_else(Errno::raw_os_error, |()| 0);
            if answers.len() < room {
                answers.push(change.with_flags(ERROR).with_data(number.into()));
            } else {
                state.ring(&self.bell)?;
                return changed;
            }
        }
        state.ring(&self.bell)
    }

    /// Why a change is refused before it is looked at, if it is.
    fn refusal(&self, change: &Kevent) -> Option<Errno> {
        if self.lacks_user_events && change.filter() == Some(Filter::User) {
            return Some(Errno::INVAL);
        }
        let (filter, flags, errno) = REFUSAL.get()?;
        let is_meant = change.filter() == Some(filter) && change.flags() & flags != 0;
        is_meant.then(|| {
            REFUSAL.set(None);
            errno
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Kqueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}
