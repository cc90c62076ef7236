//! Sleeping in an io_uring: woken by an eventfd that is polled multishot and never read, or by messages from other
//! rings.

use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, OwnedFd, RawFd};

use super::ring::Ring;
use super::wake::Sleep;
use super::wake_epoll;
use crate::measurement::Result;

/// Room for what one turn queues: a poll, or a message.
const ENTRIES: u32 = 8;

pub(crate) struct UringSleep {
    ring: Ring,
    eventfd: Arc<OwnedFd>,
}

impl UringSleep {
    /// Takes the completions that are there, and watches the eventfd again should the kernel have ended that.
    #[inline]
    fn consume(&mut self) -> Result<()> {
        while let Some((result, more)) = self.ring.next_event() {
            check(result)?;
            if !more {
                self.ring.watch(self.eventfd.as_fd());
            }
        }
        Ok(())
    }
}

impl Sleep for UringSleep {
    type Address = Arc<OwnedFd>;

    fn open() -> Result<Self> {
        let mut ring = Ring::open(ENTRIES)?;
        let eventfd = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        ring.watch(eventfd.as_fd());
        ring.poll()?;
        Ok(UringSleep { ring, eventfd })
    }

    fn address(&self) -> Self::Address {
        Arc::clone(&self.eventfd)
    }

    #[inline]
    fn wake(&mut self, address: &Self::Address) -> Result<()> {
        wake_epoll::ring(address)
    }

    #[inline]
    fn wait(&mut self) -> Result<()> {
        self.ring.enter()?;
        self.consume()
    }

    #[inline]
    fn wait_for(&mut self, limit: Duration) -> Result<()> {
        self.ring.enter_for(limit)?;
        self.consume()
    }

    #[inline]
    fn look(&mut self) -> Result<()> {
        self.ring.poll()?;
        self.consume()
    }
}

/// As [`UringSleep`], but woken by a message into its ring, which the waker sends with the system call by which it
/// goes to sleep itself: one system call for both.
pub(crate) struct MessageSleep(Ring);

impl MessageSleep {
    #[inline]
    fn consume(&mut self) -> Result<()> {
        while let Some((result, _)) = self.0.next_event() {
            check(result)?;
        }
        Ok(())
    }
}

impl Sleep for MessageSleep {
    type Address = RawFd;

    fn open() -> Result<Self> {
        Ok(MessageSleep(Ring::open(ENTRIES)?))
    }

    fn address(&self) -> Self::Address {
        self.0.descriptor()
    }

    #[inline]
    fn wake(&mut self, address: &Self::Address) -> Result<()> {
        self.0.notify(*address);
        Ok(())
    }

    #[inline]
    fn wait(&mut self) -> Result<()> {
        self.0.enter()?;
        self.consume()
    }

    fn wait_for(&mut self, limit: Duration) -> Result<()> {
        self.0.enter_for(limit)?;
        self.consume()
    }

    #[inline]
    fn look(&mut self) -> Result<()> {
        self.0.poll()?;
        self.consume()
    }
}

#[inline]
fn check(result: i32) -> Result<()> {
    if result >= 0 { Ok(()) } else { Err(std::io::Error::from_raw_os_error(-result).into()) }
}
