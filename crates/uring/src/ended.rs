//! Sockets that carry messages, are shut down for reading, and do not block. On one that does, the kernel has a thread of its own
//! make the call, which brings nothing at once; of this one it says that the call would wait, and of the wait that it is over.

use std::os::fd::AsFd;

use proactor_core::Done;
use proactor_system as system;

use crate::Uring;
use crate::requests::Place;

impl Uring {
    /// Whether what is held at `place` would wait there for ever.
    #[cold]
    pub(crate) fn has_ended(&self, place: Place) -> bool {
        let reads = place == Place::reading(place.slot());
        let socket = self.descriptors.get(place.slot());
        reads && socket.is_ok_and(|socket| socket.takes_messages() && system::has_ended(socket.as_fd()))
    }

    /// Ends it with what the call would bring.
    #[cold]
    pub(crate) fn receive_nothing(&mut self, place: Place, done: &mut Done) {
        self.requests.end(place, done, |outcome| {
            system::receive_nothing(outcome);
        });
    }
}
