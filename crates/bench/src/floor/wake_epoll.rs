//! Sleeping in `epoll_wait`, woken by an eventfd that is edge-triggered and never read.

use std::sync::Arc;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::fd::OwnedFd;
use rustix::io::{Errno, write};

use super::wake::Sleep;
use crate::measurement::Result;

pub(crate) struct EpollSleep {
    epoll: OwnedFd,
    eventfd: Arc<OwnedFd>,
    events: Vec<epoll::Event>,
}

impl EpollSleep {
    fn wait_until(&mut self, limit: Option<&Timespec>) -> Result<()> {
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), limit) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Sleep for EpollSleep {
    type Address = Arc<OwnedFd>;

    fn open() -> Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let eventfd = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        epoll::add(&epoll, &eventfd, EventData::new_u64(0), EventFlags::IN | EventFlags::ET)?;
        Ok(EpollSleep { epoll, eventfd, events: Vec::with_capacity(4) })
    }

    fn address(&self) -> Self::Address {
        Arc::clone(&self.eventfd)
    }

    #[inline]
    fn wake(&mut self, address: &Self::Address) -> Result<()> {
        ring(address)
    }

    #[inline]
    fn wait(&mut self) -> Result<()> {
        self.wait_until(None)
    }

    #[inline]
    fn wait_for(&mut self, limit: Duration) -> Result<()> {
        self.wait_until(Some(&Timespec::try_from(limit)?))
    }

    #[inline]
    fn look(&mut self) -> Result<()> {
        self.wait_for(Duration::ZERO)
    }
}

/// Adds to an eventfd. Nobody reads it: each write is an edge, and the count does not overflow in this universe.
///
/// # Errors
/// What the system answers.
#[inline]
pub(crate) fn ring(eventfd: &OwnedFd) -> Result<()> {
    write(eventfd, &1_u64.to_ne_bytes())?;
    Ok(())
}
