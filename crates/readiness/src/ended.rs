//! Sockets that carry messages and are shut down for reading. What receives there gets nothing, at once; the system says only that
//! it would wait, and no edge comes any more. So they stay among what is unfinished, for as long as they are open, and each
//! wait looks whether somebody receives.

use proactor_core::{Done, Slot};
use proactor_system as system;

use crate::Readiness;
use crate::elsewhere::is_elsewhere;
use crate::poller::{Event, Poller, Registration};
use crate::table::Waiter;

impl<P: Poller> Readiness<P> {
    /// Something out of the ordinary has happened to a socket that carries messages: looks whether it is that, and tries again what
    /// waits to receive.
    #[cold]
    #[inline(never)]
    pub(crate) fn dispatch_to_ended(&mut self, event: Event, done: &mut Done) {
        let Some(entry) = self.table.registered(event.registration) else { return };
        let slot = Slot(event.registration.slot);
        entry.source.is_ended |= entry.source.descriptor().is_ok_and(system::has_ended);
        let is_ended = entry.source.is_ended;
        if event.bits & P::SIGNS.readable != 0 {
            entry.source.read_drained = false;
            if let Some(token) = entry.reader.token()
                && !entry.resume_recv(token, done)
            {
                self.resume_reader(slot, token, done);
            }
        }
        if is_ended {
            self.leave_unfinished(slot);
        }
    }

    /// What waits to receive on one that has ended, and has found nothing, gets that.
    #[cold]
    pub(crate) fn receive_nothing(&mut self, registration: Registration, done: &mut Done) {
        let Some(entry) = self.table.registered(registration) else { return };
        if let Some(token) = entry.reader.token()
            && done.undecided(token).is_some_and(system::receive_nothing)
        {
            entry.reader = Waiter::NOBODY;
            done.decided(token);
        }
        self.leave_unfinished(Slot(registration.slot));
    }

    /// Whether anything of what is unfinished can go on without an edge.
    pub(crate) fn goes_on(&mut self) -> bool {
        self.goes_on_here() || self.unfinished.iter().any(is_elsewhere)
    }

    /// The same of what waits on a descriptor.
    pub(crate) fn goes_on_here(&mut self) -> bool {
        let Self { unfinished, table, .. } = self;
        unfinished.iter().filter(|registration| !is_elsewhere(registration)).any(|&registration| {
            let entry = table.registered(registration);
            entry.is_none_or(|entry| !entry.source.is_ended || entry.reader.token().is_some())
        })
    }
}
