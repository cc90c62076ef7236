//! A waker made of an eventfd.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use proactor_core::Wake;
use rustix::event::{EventfdFlags, eventfd};

/// Wakes a backend that watches its descriptor for becoming readable, *edge-triggered* (or polled multishot).
///
/// It is never read, which saves a system call a wake: each write is an edge, and the counter takes 2^64 - 2 of them,
/// five centuries of one every nanosecond.
#[derive(Clone, Debug)]
pub struct EventWaker {
    descriptor: Arc<OwnedFd>,
}

impl EventWaker {
    /// A new one. Its clones wake the same backend and share its descriptor, which is closed with the last of them.
    ///
    /// # Errors
    /// What the system said: too many descriptors, no memory.
    pub fn new() -> io::Result<Self> {
        let descriptor = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { descriptor: Arc::new(descriptor) })
    }
}

impl AsFd for EventWaker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Wake for EventWaker {
    fn wake(&self) {
        let written = crate::call::call(|| rustix::io::write(&*self.descriptor, &1_u64.to_ne_bytes()));
        debug_assert_eq!(written, Ok(8), "an eventfd takes a count of one");
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    #[test]
    fn a_wake_through_a_clone_makes_it_readable() {
        let waker = EventWaker::new().unwrap();
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        assert_eq!(poll(&mut [PollFd::new(&waker, PollFlags::IN)], Some(&now)), Ok(0));
        waker.clone().wake();
        assert_eq!(poll(&mut [PollFd::new(&waker, PollFlags::IN)], Some(&now)), Ok(1));
    }
}
