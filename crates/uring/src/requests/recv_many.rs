//! Receives that go on: what they need of the table, and of the pools.

use std::os::fd::BorrowedFd;

use proactor_core::{Buffer, BufferPool, Error, Kind, Token};
use rustix::io::Errno;

use super::{Place, Requests, Task};

impl Requests {
    /// Hands a receive that goes on to the kernel.
    ///
    /// # Errors
    /// [`Error::Busy`] if something is on its way at `place` already.
    pub(crate) fn begin_recv_many(
        &mut self,
        place: Place,
        descriptor: BorrowedFd<'_>,
        token: Token,
        pool: &BufferPool,
    ) -> Result<(), Error> {
        self.idle(place).ok_or(Error::Busy)?;
        let group = self.pools.join(pool, &self.ring, self.receives_many);
        self.table[place].task = Some(Task::new(token, Kind::RecvMany, group));
        if self.pools.is_provided(group) {
            self.submit(place, descriptor);
        } else {
            self.poll(place, descriptor);
        }
        Ok(())
    }

    /// What a receive that goes on, held at `place`, has put bytes into where the kernel takes no buffers by itself.
    pub(crate) fn received_alone(&mut self, place: Place, result: Result<u32, Errno>) -> Option<Buffer> {
        let request = self.table.get_mut(place)?;
        request.held().filter(|task| task.kind == Kind::RecvMany)?;
        let buffer = request.buffer.take()?;
        Some(buffer.filled(result.unwrap_or(0) as usize))
    }

    /// The group of the buffers of a receive that goes on, held at `place`.
    fn group(&mut self, place: Place) -> Option<u32> {
        let task = self.table.get_mut(place)?.held().filter(|task| task.kind == Kind::RecvMany)?;
        Some(task.extra)
    }

    /// Whether the kernel takes buffers by itself for the receive that is held at `place`.
    pub(crate) fn is_provided_for(&mut self, place: Place) -> bool {
        self.group(place).is_some_and(|group| self.pools.is_provided(group))
    }

    /// Has the receive that is held at `place` wait for a buffer.
    pub(crate) fn wait_for_buffer(&mut self, place: Place) {
        if let Some(group) = self.group(place) {
            self.pools.wait(group, place);
        }
    }

    /// Has the receive that is held at `place` wait for no buffer any more. Returns whether one is held there: all that are
    /// wait for one.
    pub(crate) fn wait_no_longer(&mut self, place: Place) -> bool {
        let group = self.group(place);
        group.into_iter().for_each(|group| self.pools.wait_no_longer(group, place));
        group.is_some()
    }

    /// Whether there are pools.
    #[inline(always)]
    pub(crate) const fn has_pools(&self) -> bool {
        !self.pools.is_empty()
    }

    /// The next receive that waits for a buffer and can have one.
    pub(crate) fn next_dry(&mut self) -> Option<Place> {
        self.pools.next()
    }

    /// Before a wait: whether there are buffers for somebody who waits. If not, one that returns wakes the loop.
    pub(crate) fn has_buffers(&self) -> bool {
        self.pools.can_go_on()
    }

    /// Gives the kernel the buffers that have returned. Returns whether somebody waits for some.
    #[inline(always)]
    pub(crate) fn refill(&mut self) -> bool {
        self.pools.refill(&self.ring)
    }
}
