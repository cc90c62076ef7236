//! Operations that write: connect, send and shut down.

use std::os::fd::AsFd;

use proactor_core::{Connected, Done, Error, Outcome, ShutDown, Slot, Token};
use rustix::io::Errno;

use crate::Uring;
use crate::backend::Started;
use crate::requests::Place;

impl Uring {
    pub(crate) fn sent(&mut self, place: Place, result: Result<u32, Errno>, done: &mut Done) {
        match result {
            Ok(bytes) => self.requests.end(place, done, |outcome| {
                if let Outcome::Send(sent) = outcome {
                    sent.result = Ok(bytes as usize);
                }
            }),
            Err(errno) => self.refused(place, errno, done),
        }
    }

    /// A send of everything, of which more may be left.
    pub(crate) fn sent_some(&mut self, place: Place, result: Result<u32, Errno>, done: &mut Done) {
        let bytes = match result {
            Ok(bytes) => bytes,
            Err(errno) => return self.refused(place, errno, done),
        };
        if !self.requests.has_rest(place, bytes) {
            self.requests.end(place, done, |outcome| {
                if let Outcome::SendAll(sent) = outcome {
                    sent.result = Ok(());
                }
            });
        } else if self.requests.is_canceled(place) {
            self.fail(place, Error::Canceled, done);
        } else if bytes == 0 {
            // A system that takes none of some bytes, without a reason, will not take them the next time.
            self.fail(place, Errno::IO.into(), done);
        } else {
            self.resubmit(place, done);
        }
    }

    pub(crate) fn connect(
        &mut self,
        token: Token,
        slot: Slot,
        connect: &Connected,
    ) -> Result<Started, Error> {
        let descriptor = self.descriptors.get(slot)?.as_fd();
        self.requests.begin_connect(Place::writing(slot), descriptor, token, &connect.address)?;
        Ok(Started::Submitted)
    }

    pub(crate) fn connected(&mut self, place: Place, result: Result<u32, Errno>, done: &mut Done) {
        match result {
            Ok(_) => self.requests.end(place, done, |outcome| {
                if let Outcome::Connect(connected) = outcome {
                    connected.result = Ok(());
                }
            }),
            // It goes on. Asked for again before it is decided it would be refused; after that, the kernel answers about
            // the one under way.
            Err(Errno::INTR | Errno::AGAIN | Errno::INPROGRESS) if !self.requests.is_canceled(place) => {
                self.poll(place, done);
            }
            Err(errno) => self.refused(place, errno, done),
        }
    }

    /// Synchronous: it never waits, and as an entry of the ring it would take the detour over a kernel thread.
    pub(crate) fn shutdown(&mut self, slot: Slot, shutdown: &ShutDown) -> Result<Started, Error> {
        let descriptor = self.descriptors.get(slot)?.as_fd();
        if !self.requests.is_idle(Place::writing(slot)) {
            return Err(Error::Busy);
        }
        proactor_system::shutdown(descriptor, shutdown.how)?;
        Ok(Started::Done)
    }
}
