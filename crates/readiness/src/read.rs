//! Operations that read: accept and receive.

use std::task::{Poll, ready};

use proactor_core::{Connection, Done, Error, Outcome, Received, Slot, Token};
use proactor_system::Mode;

use crate::Readiness;
use crate::poller::Poller;
use crate::source::Origin;
use crate::table::{Entry, Table, Waiter};

/// How many connections one listener takes before others get their turn.
const ACCEPTS_PER_TURN: usize = 64;

impl Table {
    /// Receives, or waits to; whether it is decided.
    #[inline(always)]
    pub(crate) fn recv(&mut self, token: Token, slot: Slot, received: &mut Received) -> bool {
        received.result = match self.reader(slot) {
            Ok(entry) => match entry.source.receive_first(&mut received.buffer) {
                Poll::Ready(result) => result,
                Poll::Pending => {
                    entry.reader = Waiter::new(token);
                    return false;
                }
            },
            Err(error) => Err(error),
        };
        true
    }
}

impl Entry {
    /// Tries again what waits to receive, after an edge. False if it waits for something else.
    #[inline(always)]
    pub(crate) fn resume_recv(&mut self, token: Token, done: &mut Done) -> bool {
        let resumed = done.decide(token, |outcome| {
            let Outcome::Recv(received) = outcome else { return Err(false) };
            match self.source.receive(&mut received.buffer) {
                Poll::Ready(result) => received.result = result,
                Poll::Pending => return Err(true),
            }
            self.reader = Waiter::NOBODY;
            Ok(())
        });
        matches!(resumed, Some(Ok(()) | Err(true)))
    }
}

impl<P: Poller> Readiness<P> {
    /// Starts to accept one connection, or many.
    #[cold]
    pub(crate) fn accept(&mut self, token: Token, slot: Slot, done: &mut Done) {
        let prepared = self.table.reader(slot).and_then(|entry| {
            entry.source.prepare_to_accept()?;
            entry.reader = Waiter::new(token);
            Ok(())
        });
        match prepared {
            Ok(()) => self.resume_reader(slot, token, done),
            Err(error) => fail(token, error, done),
        }
    }

    /// Tries again what waits to read and is no receive, after an edge.
    #[inline(never)]
    pub(crate) fn resume_reader(&mut self, slot: Slot, token: Token, done: &mut Done) {
        if self.table.get(slot).is_ok_and(|entry| entry.resume_recv_from(token, done)) {
            return;
        }
        match done.undecided(token) {
            Some(Outcome::Accept(_)) => self.resume_accept(token, slot, done),
            Some(Outcome::AcceptManyEnded(_)) => self.resume_accept_many(token, slot, done),
            Some(Outcome::RecvManyEnded(_)) => self.resume_recv_many(token, slot, done),
            Some(Outcome::Read(_) | Outcome::ReadExact(_)) => self.resume_read(token, slot, done),
            Some(Outcome::RecvMsg(_)) => self.resume_recv_msg(token, slot, done),
            Some(Outcome::ReadVectored(_) | Outcome::ReadVectoredExact(_)) => {
                self.resume_read(token, slot, done);
            }
            Some(Outcome::Splice(_)) => self.resume_splice(token, done),
            // Its operation was taken away from it.
            _ => self.forget_reader(slot),
        }
    }

    fn resume_accept(&mut self, token: Token, slot: Slot, done: &mut Done) {
        let Poll::Ready(result) = self.take_connection(slot, done) else { return };
        self.forget_reader(slot);
        if let Some(Outcome::Accept(accepted)) = done.undecided(token) {
            accepted.result = result.map(|Connection { handle, address }| (handle, address));
        }
        done.decided(token);
    }

    fn resume_accept_many(&mut self, token: Token, slot: Slot, done: &mut Done) {
        for _ in 0..ACCEPTS_PER_TURN {
            match self.take_connection(slot, done) {
                Poll::Pending => return,
                Poll::Ready(Ok(connection)) => done.push(token, Outcome::AcceptManyItem(connection)),
                Poll::Ready(Err(error)) => {
                    self.forget_reader(slot);
                    return fail(token, error, done);
                }
            }
        }
        self.leave_unfinished(slot);
    }

    /// Takes a connection from a listener into the loop.
    fn take_connection(&mut self, listener: Slot, done: &mut Done) -> Poll<Result<Connection, Error>> {
        let source = &mut self.table.get(listener)?.source;
        let kind = source.kind();
        let (socket, address) = ready!(source.accept())?;
        let handle = done.new_handle();
        // What is accepted blocks, as what `std` accepts does: only accept and connect need it otherwise.
        let origin = Origin::Opened(Mode::Blocking);
        if let Err((error, socket)) = self.adopt(handle.slot(), socket, kind, origin) {
            drop(socket);
            done.discard_handle(handle);
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(Connection { handle, address }))
    }

    pub(crate) fn forget_reader(&mut self, slot: Slot) {
        if let Ok(entry) = self.table.get(slot) {
            entry.reader = Waiter::NOBODY;
        }
    }
}

/// Ends an operation with an error.
#[cold]
pub(crate) fn fail(token: Token, error: Error, done: &mut Done) {
    if let Some(outcome) = done.undecided(token) {
        outcome.set_error(error);
    }
    done.decided(token);
}
