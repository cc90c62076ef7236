//! Operations that read: accept and receive.

use std::mem;
use std::task::{Poll, ready};

use proactor_core::{
    Accept, AcceptMany, AcceptManyEnded, Accepted, Connection, Done, Error, Outcome, Received, Recv, Slot,
    Token,
};
use proactor_system::Mode;

use crate::Readiness;
use crate::poller::Poller;
use crate::source::{Restore, Source};
use crate::table::{Entry, Reading};

/// How many connections one listener takes before others get their turn.
const ACCEPTS_PER_TURN: usize = 64;

impl<P: Poller> Readiness<P> {
    #[inline(always)]
    pub(crate) fn recv(&mut self, token: Token, slot: Slot, operation: Recv, done: &mut Done) {
        let Recv { handle, mut buffer } = operation;
        let result = match self.table.reader(slot) {
            Ok(entry) => match entry.source.receive_first(&mut buffer) {
                Poll::Ready(result) => result,
                Poll::Pending => {
                    entry.reading = Reading::Recv { token, handle, buffer };
                    return;
                }
            },
            Err(error) => Err(error),
        };
        done.push(token, Outcome::Recv(Received { handle, buffer, result }));
    }

    pub(crate) fn accept(&mut self, token: Token, slot: Slot, operation: Accept, done: &mut Done) {
        let Accept { listener } = operation;
        let prepared = self.table.reader(slot).and_then(|entry| {
            entry.source.prepare_to_accept()?;
            entry.reading = Reading::Accept { token, listener };
            Ok(())
        });
        match prepared {
            Ok(()) => self.resume_accept(slot, token, done),
            Err(error) => done.push(token, Outcome::Accept(Accepted { listener, result: Err(error) })),
        }
    }

    pub(crate) fn accept_many(&mut self, token: Token, slot: Slot, operation: AcceptMany, done: &mut Done) {
        let AcceptMany { listener } = operation;
        let prepared = self.table.reader(slot).and_then(|entry| {
            entry.source.prepare_to_accept()?;
            entry.reading = Reading::AcceptMany { token, listener };
            Ok(())
        });
        match prepared {
            Ok(()) => self.resume_accept_many(slot, token, done),
            Err(error) => done.push(token, Outcome::AcceptManyEnded(AcceptManyEnded { listener, error })),
        }
    }

    /// Tries again what waits to accept, after an edge.
    #[inline(never)]
    pub(crate) fn resume_accepting(&mut self, slot: Slot, done: &mut Done) {
        match self.table.get(slot).map(|entry| &entry.reading) {
            Ok(&Reading::Accept { token, .. }) => self.resume_accept(slot, token, done),
            Ok(&Reading::AcceptMany { token, .. }) => self.resume_accept_many(slot, token, done),
            _ => {}
        }
    }

    fn resume_accept(&mut self, slot: Slot, token: Token, done: &mut Done) {
        let Poll::Ready(result) = self.take_connection(slot, done) else { return };
        if let Some(Reading::Accept { listener, .. }) = self.unpark_reading(slot) {
            let result = result.map(|Connection { handle, address }| (handle, address));
            done.push(token, Outcome::Accept(Accepted { listener, result }));
        }
    }

    fn resume_accept_many(&mut self, slot: Slot, token: Token, done: &mut Done) {
        for _ in 0..ACCEPTS_PER_TURN {
            match self.take_connection(slot, done) {
                Poll::Pending => return,
                Poll::Ready(Ok(connection)) => done.push(token, Outcome::AcceptManyItem(connection)),
                Poll::Ready(Err(error)) => {
                    let ended = self.unpark_reading(slot).and_then(|reading| reading.fail(error));
                    return ended.into_iter().for_each(|outcome| done.push(token, outcome));
                }
            }
        }
        self.leave_unfinished(slot);
    }

    /// Takes a connection from a listener into the loop.
    fn take_connection(&mut self, listener: Slot, done: &mut Done) -> Poll<Result<Connection, Error>> {
        let source: &mut Source = &mut self.table.get(listener)?.source;
        let kind = source.kind();
        let (socket, address) = ready!(source.accept())?;
        let handle = done.new_handle();
        // What is accepted is not made nonblocking, and has not to be.
        if let Err((error, socket)) = self.adopt(handle.slot(), socket, kind, Mode::Blocking, Restore::Never)
        {
            drop(socket);
            done.discard_handle(handle);
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(Connection { handle, address }))
    }

    /// Takes what waits to read out of its slot.
    pub(crate) fn unpark_reading(&mut self, slot: Slot) -> Option<Reading> {
        let entry = self.table.get(slot).ok()?;
        Some(mem::replace(&mut entry.reading, Reading::Nothing))
    }
}

impl Entry {
    /// Tries again what waits to receive, after an edge.
    #[inline(always)]
    pub(crate) fn resume_recv(&mut self, done: &mut Done) {
        let Self { source, reading, .. } = self;
        let Reading::Recv { buffer, .. } = reading else { return };
        let Poll::Ready(result) = source.receive(buffer) else { return };
        if let Reading::Recv { token, handle, buffer } = mem::replace(reading, Reading::Nothing) {
            done.push(token, Outcome::Recv(Received { handle, buffer, result }));
        }
    }
}
