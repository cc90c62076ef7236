//! From a file to a socket.
//!
//! The ring has an operation for a part of that, `IORING_OP_SPLICE`, which moves what is in a pipe or comes out of one. Each
//! is done by a thread of the kernel's, whether or not it would have to wait; a file takes two for each 64 KiB, with a pipe
//! of its own for as long as it is sent, and a peer that takes its time keeps one of the kernel's threads. So the ring only
//! tells when the socket takes more, and what is in the cache is sent by sendfile(2) on the loop's thread; what is not, by
//! one of the pool's.
//!
//! No flag of that call keeps it from waiting for the peer, only the socket's own. Whoever calls it sets that and takes it
//! back: the loop for as long as it has the operation, a thread for its part. While the operation is queued for the pool, the
//! socket is as it came, whatever becomes of the operation there.

use std::os::fd::AsFd;

use proactor_core::{Done, Error, Outcome, Returned, Slot, Token};
use proactor_system::{self as system, FileSent, Mode};

use crate::Uring;
use crate::requests::Place;

impl Uring {
    /// Starts to send from a file.
    #[cold]
    pub(crate) fn send_file(&mut self, token: Token, slot: Slot, done: &mut Done) {
        match self.can_send_file(slot) {
            Ok(()) => self.begin_send_file(token, slot, done),
            Err(error) => fail(token, error, done),
        }
    }

    fn can_send_file(&self, slot: Slot) -> Result<(), Error> {
        let socket = self.descriptors.get(slot)?;
        system::check_to_send_file(socket.as_fd(), socket.kind)?;
        if !self.requests.is_idle(Place::writing(slot)) {
            return Err(Error::Busy);
        }
        Ok(())
    }

    /// Starts, or goes on: whoever shares the socket may have set it back meanwhile.
    fn begin_send_file(&mut self, token: Token, slot: Slot, done: &mut Done) {
        if done.is_for_pool(token) && is_something(token, done) {
            return self.offload_send_file(token, slot, done);
        }
        match self.descriptors.get(slot).and_then(|socket| socket.make_nonblocking()) {
            Ok(()) => self.resume_send_file(token, slot, done),
            Err(error) => fail(token, error, done),
        }
    }

    /// With a socket, or a pipe, that does not block.
    fn resume_send_file(&mut self, token: Token, slot: Slot, done: &mut Done) {
        let Some(outcome) = done.undecided(token) else { return };
        match self.send_file_part(slot, outcome) {
            // Room for the rest is there already where others have their turn only.
            Ok(FileSent::Full | FileSent::Unfinished) => self.wait_for_the_peer(token, slot, done),
            Ok(FileSent::OnDisk) => {
                self.send_file_ended(slot);
                self.offload_send_file(token, slot, done);
            }
            Ok(FileSent::Decided) => {
                done.decided(token);
                self.send_file_ended(slot);
            }
            Err(error) => {
                fail(token, error, done);
                self.send_file_ended(slot);
            }
        }
    }

    /// Has the ring tell when the socket takes more.
    fn wait_for_the_peer(&mut self, token: Token, slot: Slot, done: &mut Done) {
        let Some(kind) = done.undecided(token).map(|outcome| outcome.kind()) else { return };
        match self.descriptors.get(slot) {
            Ok(socket) => self.requests.begin_wait(Place::writing(slot), socket.as_fd(), (token, kind)),
            Err(error) => fail(token, error, done),
        }
    }

    fn send_file_part(&self, slot: Slot, outcome: &mut Outcome) -> Result<FileSent, Error> {
        let part = outcome.file_part().ok_or(Error::Unsupported)?;
        let (socket, file) = (self.descriptors.get(slot)?, self.descriptors.get(part.file.slot())?);
        Ok(system::send_file(outcome, socket.as_fd(), file.as_fd()))
    }

    /// Has a thread of the pool read and send a part.
    fn offload_send_file(&mut self, token: Token, slot: Slot, done: &mut Done) {
        let file = done.undecided(token).and_then(|outcome| outcome.file_part()).map(|part| part.file.slot());
        let mut share = |slot| self.descriptors.share(slot);
        let shares = file.ok_or(Error::Backend).and_then(|file| Ok((share(slot)?, share(file)?)));
        match shares {
            Ok((socket, file)) => {
                done.offload(token, system::send_file_job(Mode::Blocking).on(socket).on(file));
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
        if done.is_for_pool(token) {
            // A thread has filled the socket, or others have their turn.
            return self.wait_for_the_peer(token, slot, done);
        }
        self.begin_send_file(token, slot, done);
    }

    /// The socket that is waited for at `place` may take more, unless that was cancelled.
    #[cold]
    pub(crate) fn send_file_polled(&mut self, place: Place, is_canceled: bool, done: &mut Done) {
        let Some(token) = self.requests.end_wait(place) else { return };
        if is_canceled {
            fail(token, Error::Canceled, done);
            return self.send_file_ended(place.slot());
        }
        self.begin_send_file(token, place.slot(), done);
    }

    /// The socket is as it came. What the ring does on one that does not block takes a detour.
    fn send_file_ended(&self, slot: Slot) {
        if let Ok(socket) = self.descriptors.get(slot) {
            socket.make_blocking_again();
        }
    }
}

fn fail(token: Token, error: Error, done: &mut Done) {
    done.undecided(token).into_iter().for_each(|outcome| outcome.set_error(error));
    done.decided(token);
}

/// Whether there is something to be sent.
fn is_something(token: Token, done: &mut Done) -> bool {
    done.undecided(token).and_then(|outcome| outcome.file_part()).is_some_and(|part| part.left > 0)
}
