//! From a file to a socket: at once what is in the system's cache, by a thread of the pool what is not.

use proactor_core::{Done, Error, Outcome, Returned, Slot, Token};
use proactor_system::{self as system, FileSent, Mode};

use crate::Readiness;
use crate::poller::Poller;
use crate::read::fail;
use crate::table::Waiter;

impl<P: Poller> Readiness<P> {
    /// Starts to send from a file.
    #[cold]
    pub(crate) fn send_file(&mut self, token: Token, slot: Slot, done: &mut Done) {
        // Of nothing, nothing is asked of the socket either, but that it be one.
        let prepared = self.table.writer(slot).and_then(|entry| {
            entry.source.prepare_to_send_file()?;
            entry.writer = Waiter::new(token);
            Ok(entry.source.write_drained)
        });
        match prepared {
            // Parked behind what is in the socket's buffer, until an edge says that there is room.
            Ok(true) if !is_nothing(token, done) => {}
            Ok(_) => self.resume_send_file(token, slot, done),
            Err(error) => fail(token, error, done),
        }
    }

    /// Goes on with what waits to send from a file.
    pub(crate) fn resume_send_file(&mut self, token: Token, slot: Slot, done: &mut Done) {
        let is_for_pool = done.is_for_pool(token) && !is_nothing(token, done);
        let sent = match done.undecided(token) {
            Some(_) if is_for_pool => Ok(FileSent::OnDisk),
            Some(outcome) => self.table.send_file(slot, outcome),
            // Its operation was taken away from it.
            None => Ok(FileSent::Decided),
        };
        match sent {
            Ok(FileSent::Full) => {}
            Ok(FileSent::Unfinished) => self.leave_unfinished(slot),
            Ok(FileSent::Decided) => {
                self.forget_writer(slot);
                done.decided(token);
            }
            Ok(FileSent::OnDisk) => self.offload_send_file(token, slot, done),
            Err(error) => {
                self.forget_writer(slot);
                fail(token, error, done);
            }
        }
    }

    /// Has a thread of the pool read and send a part, while nobody waits for the socket.
    fn offload_send_file(&mut self, token: Token, slot: Slot, done: &mut Done) {
        self.forget_writer(slot);
        let file = done.undecided(token).and_then(|outcome| outcome.file_part()).map(|part| part.file.slot());
        let mut share = |slot| self.table.get(slot)?.source.share();
        let shares = file.ok_or(Error::Backend).and_then(|file| Ok((share(slot)?, share(file)?)));
        match shares {
            Ok((socket, file)) => {
                done.offload(token, system::send_file_job(Mode::Nonblocking).on(socket).on(file));
            }
            Err(error) => fail(token, error, done),
        }
    }

    /// A thread of the pool has sent a part: what is left goes on.
    #[cold]
    pub(crate) fn send_file_returned(&mut self, token: Token, slot: Slot, job: Returned, done: &mut Done) {
        let Returned { outcome, is_canceled, .. } = job;
        if system::is_decided(&outcome) {
            return done.push(token, outcome);
        }
        done.put_back(token, outcome);
        if is_canceled {
            return fail(token, Error::Canceled, done);
        }
        let entry = match self.table.writer(slot) {
            Ok(entry) => entry,
            Err(error) => return fail(token, error, done),
        };
        entry.writer = Waiter::new(token);
        // Edges that came meanwhile were nobody's, so the socket is asked: another job for what is full would only come back.
        match entry.source.descriptor().and_then(system::has_room) {
            Ok(true) => self.resume_send_file(token, slot, done),
            Ok(false) => entry.source.write_drained = true,
            Err(error) => {
                self.forget_writer(slot);
                fail(token, error, done);
            }
        }
    }

    fn forget_writer(&mut self, slot: Slot) {
        if let Ok(entry) = self.table.get(slot) {
            entry.writer = Waiter::NOBODY;
        }
    }
}

impl crate::table::Table {
    /// Sends a part, on the socket in `slot`.
    fn send_file(&mut self, slot: Slot, outcome: &mut Outcome) -> Result<FileSent, Error> {
        let part = outcome.file_part().ok_or(Error::Unsupported)?;
        self.get(slot)?.source.keep_nonblocking_within()?;
        let [socket, file] = self.pair(slot, part.file.slot())?;
        let sent = system::send_file(outcome, socket, file);
        self.get(slot)?.source.write_drained = sent == FileSent::Full;
        Ok(sent)
    }
}

/// Whether nothing is to be sent.
fn is_nothing(token: Token, done: &mut Done) -> bool {
    done.undecided(token).and_then(|outcome| outcome.file_part()).is_some_and(|part| part.left == 0)
}
