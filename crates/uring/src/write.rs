//! Operations that write: connect, send and shut down.

use std::os::fd::AsFd;

use proactor_core::{Connect, Connected, Done, Error, Outcome, Sent, ShutDown, Shutdown, Slot, Token};
use rustix::io::Errno;

use crate::Uring;
use crate::requests::Place;

impl Uring {
    pub(crate) fn sent(&mut self, place: Place, result: i32, done: &mut Done) {
        if result < 0 {
            return self.refused(place, Errno::from_raw_os_error(-result), done);
        }
        if let Some(finished) = self.requests.take(place) {
            let (handle, buffer, result) = (finished.handle, finished.buffer, Ok(result as usize));
            done.push(finished.token, Outcome::Send(Sent { handle, buffer, result }));
        }
    }

    /// A send of everything that has not sent everything.
    pub(crate) fn sent_some(&mut self, place: Place, result: i32, done: &mut Done) {
        if result < 0 {
            return self.refused(place, Errno::from_raw_os_error(-result), done);
        }
        self.requests.add_transferred(place, result as u32);
        if self.requests.is_canceled(place) {
            self.fail(place, Error::Canceled, done);
        } else if result == 0 {
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

    pub(crate) fn connected(&mut self, place: Place, result: i32, done: &mut Done) {
        if result < 0 {
            return self.refused(place, Errno::from_raw_os_error(-result), done);
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
