//! Between a pipe and another stream.
//!
//! `IORING_OP_SPLICE` would be done by a thread of the kernel's each time, waiting or not, and where the descriptors do not block
//! it answers "would block" without saying for which of the two. So the ring only waits, for the one that is not ready, and
//! the call is made on the loop's thread, where it never waits.
//!
//! No flag of that call keeps it from waiting for a socket, only the socket's own. It stays set until the socket is detached or
//! closed, for what else is under way on it may count on it; what the ring does on such a socket takes a detour where it
//! would wait. Whoever shares the socket, and a transfer of a file that ends, may take it back: so it is set before each call.

use std::os::fd::AsFd;

use proactor_core::{Done, Error, Interest, Kind, Outcome, Slot, Token};
use proactor_system::{self as system, DescriptorKind, SpliceStep};

use crate::Uring;
use crate::descriptors::Descriptor;
use crate::poll_requests::{Awaited, PollReply};
use crate::requests::Place;

impl Uring {
    /// Starts to move what there is.
    #[cold]
    pub(crate) fn splice(&mut self, token: Token, done: &mut Done) {
        let Some(Outcome::Splice(spliced)) = done.undecided(token) else { return };
        match self.check_splice(spliced.from.slot(), spliced.to.slot()) {
            // Of nothing, nothing is asked of either.
            Ok(()) if spliced.len == 0 => {
                spliced.result = Ok(0);
                done.decided(token);
            }
            Ok(()) => self.resume_splice(token, done),
            Err(error) => fail(token, error, done),
        }
    }

    fn check_splice(&self, from: Slot, to: Slot) -> Result<(), Error> {
        if !self.can_splice() {
            return Err(Error::Unsupported);
        }
        for slot in [from, to] {
            system::check_to_splice(self.descriptors.get(slot)?.kind)?;
        }
        let is_idle = |place| self.requests.is_idle(place);
        if is_idle(Place::reading(from)) && is_idle(Place::writing(to)) { Ok(()) } else { Err(Error::Busy) }
    }

    /// Goes on, or starts.
    fn resume_splice(&mut self, token: Token, done: &mut Done) {
        let Some(outcome @ Outcome::Splice(_)) = done.undecided(token) else { return };
        let Outcome::Splice(spliced) = &*outcome else { return };
        let (from, to) = (spliced.from.slot(), spliced.to.slot());
        let waiting = match self.try_splice(from, to, outcome) {
            Ok(SpliceStep::Decided) => return done.decided(token),
            Ok(SpliceStep::Waits { reads: false, .. }) => self.await_slot(token, to, Interest::WRITABLE),
            // What is ready already ends the wait at once, when others have had their turn.
            Ok(SpliceStep::Waits { .. } | SpliceStep::Unsettled) => {
                self.await_slot(token, from, Interest::READABLE)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = waiting {
            fail(token, error, done);
        }
    }

    fn try_splice(&self, from: Slot, to: Slot, outcome: &mut Outcome) -> Result<SpliceStep, Error> {
        let (from, to) = (self.descriptors.get(from)?, self.descriptors.get(to)?);
        keep_nonblocking(from)?;
        keep_nonblocking(to)?;
        Ok(system::splice(outcome, from.as_fd(), to.as_fd()))
    }

    /// Has the ring tell when a handle is ready.
    fn await_slot(&mut self, token: Token, slot: Slot, interest: Interest) -> Result<(), Error> {
        let descriptor = self.descriptors.get(slot)?;
        if !descriptor.can_poll()? {
            return Err(Error::Unsupported);
        }
        let events = u32::from(system::poll_flags(interest).bits());
        let (requests, descriptor) = (&mut self.requests, Some(descriptor.as_fd()));
        let (ring, task) = (&mut requests.ring, (token, Kind::Splice));
        requests.polls.begin(ring, task, Awaited::Slot(slot), events, descriptor);
        Ok(())
    }

    /// What it waits for may be there.
    #[cold]
    pub(crate) fn splice_polled(&mut self, reply: &PollReply, done: &mut Done) {
        let Some(token) = self.requests.polls.release(reply.place) else { return };
        if reply.is_canceled {
            return fail(token, Error::Canceled, done);
        }
        self.resume_splice(token, done);
    }
}

fn keep_nonblocking(descriptor: &Descriptor) -> Result<(), Error> {
    match descriptor.kind {
        DescriptorKind::Socket(_) => descriptor.make_nonblocking(),
        _ => descriptor.keep_nonblocking(),
    }
}

fn fail(token: Token, error: Error, done: &mut Done) {
    done.undecided(token).into_iter().for_each(|outcome| outcome.set_error(error));
    done.decided(token);
}
