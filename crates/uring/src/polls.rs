//! Operations that only wait: how they begin, and what is made of the kernel's answers.

use std::os::fd::AsFd;
use std::task::Poll;

use proactor_core::{ChildExited, Done, Error, Interest, Kind, Outcome, Readiness, SignalSet, Slot, Token};
use proactor_system::{self as system, SignalWatch};
use rustix::event::PollFlags;
use rustix::io::Errno;

use crate::Uring;
use crate::backend::Started;
use crate::poll_requests::{Awaited, PollReply};

impl Uring {
    /// Starts to poll, or to wait for a child or for signals.
    ///
    /// # Errors
    /// Why it cannot be started; [`Error::Unsupported`] if it is something else.
    #[cold]
    pub(crate) fn begin_poll(
        &mut self,
        token: Token,
        slot: Slot,
        outcome: &mut Outcome,
    ) -> Result<Started, Error> {
        let (interest, awaited) = match outcome {
            Outcome::Poll(poll) => (poll.interest, Awaited::Slot(slot)),
            Outcome::PollManyEnded(poll) => (poll.interest, Awaited::Slot(slot)),
            Outcome::WaitChild(exited) => match self.child(exited)? {
                Some(awaited) => (Interest::READABLE, awaited),
                None => return Ok(Started::Done),
            },
            Outcome::SignalsEnded(ended) => {
                let watch = SignalWatch::begin(ended.set)?;
                (Interest::READABLE, Awaited::Signals(Box::new(watch)))
            }
            _ => return Err(Error::Unsupported),
        };
        let (awaited, descriptor) = match awaited {
            Awaited::Slot(slot) => {
                let descriptor = self.descriptors.get(slot)?;
                if !descriptor.can_poll()? {
                    return Err(Error::Unsupported);
                }
                let descriptor = descriptor.as_fd();
                if interest.contains(Interest::PRIORITY) {
                    // When the kernel looks whom a wake-up concerns, it leaves urgent data out: who asks for nothing else
                    // is never told. Its other poller does not.
                    (Awaited::Through(slot, system::watch_alone(descriptor, interest)?), None)
                } else {
                    (awaited, Some(descriptor))
                }
            }
            own => (own, None),
        };
        let is_of_slot = descriptor.is_some();
        let events = system::poll_flags(if is_of_slot { interest } else { Interest::READABLE });
        let events = u32::from(events.bits());
        let task = (token, outcome.kind());
        let requests = &mut self.requests;
        requests.polls.begin(&mut requests.ring, task, awaited, events, descriptor);
        Ok(Started::Submitted)
    }

    /// What to wait for until a child ends; nothing if it has ended.
    fn child(&self, exited: &mut ChildExited) -> Result<Option<Awaited>, Error> {
        if !self.can_wait_for_children() {
            return Err(Error::Unsupported);
        }
        if let Poll::Ready(result) = system::try_wait(&mut exited.child) {
            exited.result = result;
            return result.map(|_| None);
        }
        // What ends from here on is told either way, and what has ended since as well.
        if self.requests.polls.waits_for_children {
            return Ok(Some(Awaited::Child(exited.child.id())));
        }
        system::process_descriptor(&exited.child).map(|descriptor| Some(Awaited::ChildDescriptor(descriptor)))
    }

    /// Asks the kernel to end one of these. Returns whether it was under way.
    pub(crate) fn cancel_poll(&mut self, token: Token) -> bool {
        let requests = &mut self.requests;
        requests.polls.cancel(&mut requests.ring, token)
    }

    /// The kernel has answered.
    #[cold]
    pub(crate) fn poll_replied(&mut self, reply: &PollReply, done: &mut Done) {
        let bits = match reply.result {
            Ok(bits) => bits,
            Err(Errno::INTR) if !reply.is_canceled => return self.poll_again(reply, done),
            Err(Errno::CANCELED | Errno::INTR) => return self.fail_poll(reply, Error::Canceled, done),
            Err(errno) => return self.fail_poll(reply, errno.into(), done),
        };
        match reply.kind {
            Kind::Poll | Kind::PollMany => self.polled_slot(reply, bits, done),
            Kind::WaitChild => self.may_have_exited(reply, done),
            Kind::Splice => self.splice_polled(reply, done),
            _ => {
                let signals = self.requests.polls.take_signals(reply.place, true);
                tell(signals, reply.token, done);
                self.poll_on(reply, done);
            }
        }
    }

    /// What the handle in a slot is ready for has changed.
    fn polled_slot(&mut self, reply: &PollReply, bits: u32, done: &mut Done) {
        let interest = match done.undecided(reply.token) {
            Some(Outcome::Poll(poll)) => poll.interest,
            Some(Outcome::PollManyEnded(poll)) => poll.interest,
            _ => return self.fail_poll(reply, Error::Backend, done),
        };
        match self.ready(reply, interest, bits) {
            Ok(ready) if ready.is_none() => self.poll_on(reply, done),
            Ok(ready) if reply.kind == Kind::PollMany => {
                done.push(reply.token, Outcome::PollManyItem(ready));
                self.poll_on(reply, done);
            }
            Ok(ready) => self.requests.polls.end(reply.place, done, |outcome| {
                if let Outcome::Poll(poll) = outcome {
                    poll.result = Ok(ready);
                }
            }),
            Err(error) => self.fail_poll(reply, error, done),
        }
    }

    /// What the handle is ready for, that the answer is about.
    fn ready(&self, reply: &PollReply, interest: Interest, bits: u32) -> Result<Readiness, Error> {
        match reply.slot {
            Some(slot) if reply.is_through => {
                self.requests.polls.take_change(reply.place);
                system::poll_now(self.descriptors.get(slot)?.as_fd(), interest)
            }
            _ => Ok(system::readiness(interest, PollFlags::from_bits_retain(bits as u16))),
        }
    }

    fn may_have_exited(&mut self, reply: &PollReply, done: &mut Done) {
        let ended = match done.undecided(reply.token) {
            Some(Outcome::WaitChild(exited)) => system::try_wait(&mut exited.child),
            _ => Poll::Ready(Err(Error::Backend)),
        };
        match ended {
            Poll::Ready(result) => self.requests.polls.end(reply.place, done, |outcome| {
                if let Outcome::WaitChild(exited) = outcome {
                    exited.result = result;
                }
            }),
            Poll::Pending => self.poll_on(reply, done),
        }
    }

    /// Goes on, where the kernel does not by itself.
    fn poll_on(&mut self, reply: &PollReply, done: &mut Done) {
        if !reply.is_last {
            return;
        }
        if reply.is_canceled {
            self.fail_poll(reply, Error::Canceled, done);
        } else {
            self.poll_again(reply, done);
        }
    }

    fn poll_again(&mut self, reply: &PollReply, done: &mut Done) {
        let descriptor = match reply.slot.map(|slot| self.descriptors.get(slot)).transpose() {
            Ok(descriptor) => descriptor.map(AsFd::as_fd),
            Err(error) => return self.fail_poll(reply, error, done),
        };
        let requests = &mut self.requests;
        requests.polls.submit(&mut requests.ring, reply.place, descriptor);
    }

    /// Ends it with `error`; signals that were delivered before are told first.
    fn fail_poll(&mut self, reply: &PollReply, error: Error, done: &mut Done) {
        let signals = self.requests.polls.take_signals(reply.place, false);
        tell(signals, reply.token, done);
        self.requests.polls.end(reply.place, done, |outcome| outcome.set_error(error));
    }
}

/// Tells of signals that were delivered.
fn tell(signals: SignalSet, token: Token, done: &mut Done) {
    for signal in signals.iter() {
        done.push(token, Outcome::SignalsItem(signal));
    }
}
