//! Receiving for as long as bytes come.

use std::os::fd::AsFd;

use proactor_core::{Done, Error, Outcome, RecvManyEnded, Slot, Token};
use rustix::io::Errno;

use crate::Uring;
use crate::backend::Started;
use crate::requests::{Place, Reply};

impl Uring {
    pub(crate) fn recv_many(
        &mut self,
        token: Token,
        slot: Slot,
        ended: &RecvManyEnded,
    ) -> Result<Started, Error> {
        let descriptor = self.descriptors.get(slot)?;
        if !descriptor.takes_bytes() {
            // Of datagrams, an empty one is not the end.
            return Err(Error::Unsupported);
        }
        self.requests.begin_recv_many(Place::reading(slot), descriptor.as_fd(), token, &ended.pool)?;
        Ok(Started::Submitted)
    }

    /// What a receive that goes on has brought, and whether it does.
    pub(crate) fn received_many(&mut self, reply: Reply, done: &mut Done) {
        let Reply { place, result, is_last, buffer, .. } = reply;
        let buffer = buffer.or_else(|| self.requests.received_alone(place, result));
        if let (Ok(1..), Some(buffer), Some(token)) = (result, buffer, self.requests.token(place)) {
            done.push(token, Outcome::RecvManyItem(buffer));
        }
        if !is_last {
            return;
        }
        match result {
            Ok(0) => self.requests.end(place, done, |outcome| {
                if let Outcome::RecvManyEnded(ended) = outcome {
                    ended.result = Ok(());
                }
            }),
            Ok(_) | Err(Errno::NOBUFS) if self.requests.is_canceled(place) => {
                self.fail(place, Error::Canceled, done);
            }
            // The kernel has ended it for reasons of its own, or takes one buffer at a time.
            Ok(_) => self.begin_again(place, done),
            Err(Errno::NOBUFS) => self.requests.wait_for_buffer(place),
            Err(errno) => self.refused(place, errno, done),
        }
    }

    fn begin_again(&mut self, place: Place, done: &mut Done) {
        if self.requests.is_provided_for(place) {
            self.has_stopped = true;
            self.resubmit(place, done);
        } else {
            self.poll(place, done);
        }
    }

    /// Before a wait, where there are pools: gives the kernel what has returned, and goes on with what waited for that.
    /// Returns whether there is something for others.
    #[inline(always)]
    pub(crate) fn restock(&mut self, done: &mut Done) -> bool {
        self.requests.refill() && self.take_dry(done)
    }

    #[cold]
    #[inline(never)]
    fn take_dry(&mut self, done: &mut Done) -> bool {
        while let Some(place) = self.requests.next_dry() {
            self.resubmit(place, done);
        }
        self.requests.has_buffers() || !done.is_empty()
    }

    /// Ends what waits for a buffer at `place`, as cancelled. Returns whether it did.
    #[cold]
    pub(crate) fn cancel_dry(&mut self, place: Place, done: &mut Done) -> bool {
        let was_dry = self.requests.wait_no_longer(place);
        if was_dry {
            self.fail(place, Error::Canceled, done);
        }
        was_dry
    }
}
