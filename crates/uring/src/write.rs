//! Operations that write: connect, send and shut down.

use std::os::fd::AsFd;

use proactor_core::{Connect, Connected, Done, Error, Outcome, Sent, ShutDown, Shutdown, Slot, Token};
use rustix::io::Errno;

use crate::Uring;
use crate::requests::Place;

impl Uring {
    pub(crate) fn sent(&mut self, place: Place, result: Result<u32, Errno>, done: &mut Done) {
        let sent = match result {
            Ok(sent) => sent as usize,
            Err(errno) => return self.refused(place, errno, done),
        };
        if let Some(finished) = self.requests.take(place) {
            let (handle, buffer) = (finished.handle, finished.buffer);
            done.push(finished.token, Outcome::Send(Sent { handle, buffer, result: Ok(sent) }));
        }
    }

    /// A send of everything that has not sent everything.
    pub(crate) fn sent_some(&mut self, place: Place, result: Result<u32, Errno>, done: &mut Done) {
        let sent = match result {
            Ok(sent) => sent,
            Err(errno) => return self.refused(place, errno, done),
        };
        self.requests.add_transferred(place, sent);
        if self.requests.is_canceled(place) {
            self.fail(place, Error::Canceled, done);
        } else if sent == 0 {
            // A system that takes none of some bytes, without a reason, will not take them the next time.
            self.fail(place, Errno::IO.into(), done);
        } else {
            self.resubmit(place, done);
        }
    }

    pub(crate) fn connect(&mut self, token: Token, slot: Slot, operation: Connect, done: &mut Done) {
        let Connect { handle, address } = operation;
        let begun = self.descriptors.get(slot).and_then(|descriptor| {
            let place = Place::writing(slot);
            self.requests.begin_connect(place, descriptor.as_fd(), (token, handle), &address)
        });
        if let Err(error) = begun {
            done.push(token, Outcome::Connect(Connected { handle, address, result: Err(error) }));
        }
    }

    pub(crate) fn connected(&mut self, place: Place, result: Result<u32, Errno>, done: &mut Done) {
        match result {
            Ok(_) => {}
            // It goes on. Asked for again before it is decided it would be refused; after that, the kernel answers about
            // the one under way.
            Err(Errno::INTR | Errno::AGAIN | Errno::INPROGRESS) if !self.requests.is_canceled(place) => {
                return self.poll(place, done);
            }
            Err(errno) => return self.refused(place, errno, done),
        }
        let Ok(address) = self.requests.address(place) else { return };
        if let Some(finished) = self.requests.take(place) {
            let handle = finished.handle;
            done.push(finished.token, Outcome::Connect(Connected { handle, address, result: Ok(()) }));
        }
    }

    /// Synchronous: it never waits, and as an entry of the ring it would take the detour over a kernel thread.
    pub(crate) fn shutdown(&mut self, token: Token, slot: Slot, operation: Shutdown, done: &mut Done) {
        let Shutdown { handle, how } = operation;
        let result = self.descriptors.get(slot).and_then(|descriptor| {
            if self.requests.is_idle(Place::writing(slot)) {
                proactor_system::shutdown(descriptor.as_fd(), how)
            } else {
                Err(Error::Busy)
            }
        });
        done.push(token, Outcome::Shutdown(ShutDown { handle, how, result }));
    }
}
