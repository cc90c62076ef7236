//! A loop inside another one.

use std::io;
use std::os::fd::BorrowedFd;

use super::Loop;
use crate::backend::{Backend, Until};
use crate::{Context, Time};

impl<B: Backend, S> Loop<B, S> {
    /// A descriptor by which another loop (a GUI's, another library's) can wait for this one, if the backend has one: epoll's
    /// own; under io_uring one that is made when this is first called, and costs each completion a little from then on (the
    /// ring's own descriptor does not show what the kernel holds ready for the thread). A simulator has none.
    ///
    /// It polls as readable (`POLLIN`, level-triggered) once a turn would find something, until the next
    /// [`prepare_wait`](Self::prepare_wait): something is complete or ready, a
    /// notifier was notified, a waker used, a mailbox sent to. Only polling it is allowed; nothing is to be read from it. Timers
    /// do not show on it: [`prepare_wait`](Self::prepare_wait) says when the wait has to end. The steps, on the loop's own
    /// thread:
    ///
    /// 1. [`run`](Self::run) with [`RunMode::NoWait`](crate::RunMode::NoWait): one turn, and its callbacks.
    /// 2. [`prepare_wait`](Self::prepare_wait). On [`Until::Now`] there is more to do: go to 1, at once or after a round of
    ///    the other loop.
    /// 3. Wait in the other loop until the descriptor is readable, until the deadline has come, or until that loop has something
    ///    of its own. Whatever of its callbacks submits to this loop, or cancels, goes to 1.
    /// 4. Go to 1.
    ///
    /// A wait that begins without step 2 sleeps over notifications, and over what was submitted and not started. One that ends too
    /// early costs a turn, and nothing else. With io_uring the kernel works off what is complete when the loop enters it, and not
    /// before, so only the loop's own thread may go on; but that there is something shows on the descriptor in any thread.
    ///
    /// ```no_run
    /// use proactor_sim::{Config, Loop, RunMode, Until};
    ///
    /// # fn poll(_descriptor: std::os::fd::BorrowedFd<'_>, _timeout: Option<std::time::Duration>) {}
    /// # fn main() -> std::io::Result<()> {
    /// let mut ev = Loop::<()>::open(Config::default())?;
    /// loop {
    ///     ev.run(&mut (), RunMode::NoWait)?;
    ///     let timeout = match ev.prepare_wait()? {
    ///         Until::Now => continue,
    ///         Until::Deadline(deadline) => Some(deadline.since(ev.context().update_now())),
    ///         Until::Forever => None,
    ///     };
    ///     let Some(descriptor) = ev.as_fd()? else { return Ok(()) };
    ///     poll(descriptor, timeout);
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// The system's, where the descriptor has to be made.
    pub fn as_fd(&mut self) -> io::Result<Option<BorrowedFd<'_>>> {
        Ok(self.inner.driver.as_fd()?)
    }

    /// Gets ready to be waited for by another loop, and says until when: step 2 of [`as_fd`](Self::as_fd). Hands over to the
    /// system what was queued for it, and from now on notifications show on the descriptor. Calls nothing back and does not
    /// block.
    ///
    /// Where nothing could ever end the wait it is [`Until::Forever`] all the same: the other loop has reasons of its own to go
    /// on.
    ///
    /// # Errors
    /// The system's, from handing over what was queued.
    pub fn prepare_wait(&mut self) -> io::Result<Until> {
        Ok(self.inner.driver.prepare_wait()?)
    }
}

impl<B: Backend, S> Context<'_, B, S> {
    /// What the loop has done so far, and how it stands.
    #[must_use]
    pub fn metrics(&self) -> crate::Metrics {
        self.inner.driver.metrics()
    }

    /// When the next timer or deadline is due, [`Time::NEVER`] included; none if nothing has one. What was submitted and not
    /// started by a turn does not count yet.
    pub fn next_deadline(&mut self) -> Option<Time> {
        self.inner.driver.next_deadline()
    }
}
