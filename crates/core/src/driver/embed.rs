//! Being driven by another loop.

use std::os::fd::BorrowedFd;

use super::Driver;
use crate::backend::{Backend, Until};
use crate::{Error, Time};

impl<B: Backend> Driver<B> {
    /// A descriptor that polls as readable once a turn would find something; see [`Loop::as_fd`](crate::Loop::as_fd).
    ///
    /// # Errors
    /// The system's, where the descriptor has to be made.
    pub fn as_fd(&mut self) -> Result<Option<BorrowedFd<'_>>, Error> {
        self.backend.as_fd()
    }

    /// When the next timer or deadline is due, [`Time::NEVER`] included; none if nothing has one. What was submitted and not
    /// started by a turn does not count yet.
    pub fn next_deadline(&mut self) -> Option<Time> {
        self.timers.next_deadline().map(Time::from_nanos)
    }

    /// Gets ready to be waited for by somebody else, and says for how long; see
    /// [`Loop::prepare_wait`](crate::Loop::prepare_wait).
    ///
    /// # Errors
    /// The system's own, from handing over what was queued for it.
    pub fn prepare_wait(&mut self) -> Result<Until, Error> {
        if self.has_local_work() || self.woken {
            return Ok(Until::Now);
        }
        let will_show = self.backend.prepare_wait(&mut self.done)?;
        self.now = None;
        // From here on whoever notifies rings the bell, which the descriptor shows.
        if !will_show || !self.done.is_empty() || !self.inbox.fall_asleep_elsewhere() {
            return Ok(Until::Now);
        }
        Ok(self.earliest(Until::Forever))
    }

    /// The clock, without a change to the turn's time.
    pub(crate) fn read_clock(&self) -> Time {
        self.backend.now()
    }

    /// Somebody else's wait is over.
    pub(crate) fn awake(&self) {
        self.inbox.awake();
    }
}
