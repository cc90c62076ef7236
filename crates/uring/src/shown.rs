//! What another loop waits for in place of the ring.
//!
//! The ring's own descriptor would not do: what the kernel has ready for the thread to work off wakes nobody who polls
//! that. It counts up an eventfd, though. Wake-ups go past the ring then, since the kernel tells of them late, or not at all,
//! where one eventfd is written to on behalf of another: the waker's own eventfd is waited for beside it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use proactor_core::{Done, Error, Until};
use proactor_system::{EventWaker, now};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::Uring;

/// The longest time that one wait takes; to return early is always allowed.
const LONGEST: Duration = Duration::from_secs(3600);

/// How long the kernel is left alone where it does not take what is submitted.
const PAUSE: Duration = Duration::from_millis(1);

/// An epoll descriptor over the waker's eventfd and one that the ring counts up. Neither is read: each write is an edge.
#[derive(Debug)]
pub(crate) struct Shown {
    epoll: OwnedFd,
    /// Kept for the ring.
    _counted: EventWaker,
}

impl Shown {
    /// Polls as readable until this is called, once there was something.
    fn clear(&self) {
        let mut space = [const { std::mem::MaybeUninit::uninit() }; 2];
        // What there was does not matter, and there is no other reason to fail.
        let _ = epoll::wait(&self.epoll, &mut space, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    }

    fn wait(&self, until: Until) -> Result<(), Error> {
        let time = match until {
            Until::Now => return Ok(()),
            Until::Deadline(deadline) => deadline.since(now()).min(LONGEST),
            Until::Forever => LONGEST,
        };
        let time = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&self.epoll, PollFlags::IN)], Some(&time)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Uring {
    /// The descriptor, which is made when it is first asked for.
    pub(crate) fn show(&mut self) -> Result<BorrowedFd<'_>, Error> {
        if self.shown.is_none() {
            let counted =
                EventWaker::new().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
            let epoll = epoll::create(CreateFlags::CLOEXEC)?;
            for watched in [counted.as_fd(), self.waker.as_fd()] {
                epoll::add(&epoll, watched, EventData::new_u64(0), EventFlags::IN | EventFlags::ET)?;
            }
            self.requests.ring.show_on(counted.as_fd())?;
            // What came before was not counted.
            proactor_core::Wake::wake(&counted);
            self.requests.end_watch();
            self.shown = Some(Shown { epoll, _counted: counted });
        }
        self.shown.as_ref().map(|shown| shown.epoll.as_fd()).ok_or(Error::Unsupported)
    }

    /// As a wait that does not block, before another loop's.
    pub(crate) fn prepare_shown_wait(&mut self, done: &mut Done) -> Result<bool, Error> {
        // First, so that what comes from now on shows.
        if let Some(shown) = &self.shown {
            shown.clear();
        }
        self.look(done)?;
        // What was found may have more to submit, or wait for a buffer that nobody was asked for yet.
        Ok(!self.requests.ring.is_behind() && !self.requests.has_buffers())
    }

    /// A wait of its own, though another loop may wait as well.
    #[cold]
    pub(crate) fn shown_wait(&mut self, until: Until, done: &mut Done) -> Result<(), Error> {
        self.look(done)?;
        if !done.is_empty() || self.requests.has_buffers() {
            return Ok(());
        }
        let until = if self.requests.ring.is_behind() { Until::Deadline(now() + PAUSE) } else { until };
        if let Some(shown) = &self.shown {
            shown.wait(until)?;
            shown.clear();
        }
        self.look(done)
    }
}
