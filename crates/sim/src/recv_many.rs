//! Receiving for as long as bytes come.

use std::task::Poll;

use proactor_core::{Direction, Done, Error, Outcome, RecvMany, RecvManyEnded, Token};

use crate::Sim;
use crate::attempt::Attempt;
use crate::parked::Work;
use crate::socket::Id;

impl Sim {
    /// Receives one piece into a buffer of the pool, and lets others have their turn before the next.
    pub(crate) fn recv_many(
        &mut self,
        socket: Id,
        token: Token,
        operation: RecvMany,
        done: &mut Done,
    ) -> Attempt {
        let waiter = (operation.handle.slot(), token);
        let Some(mut buffer) = operation.pool.take() else {
            // It is tried again when bytes arrive, too.
            if !self.dry.contains(&waiter) {
                self.dry.push(&operation.pool, waiter);
            }
            return Attempt::Blocked(Work::RecvMany(operation));
        };
        if !self.dry.is_empty() {
            self.dry.remove(&waiter);
        }
        let received = match buffer.as_mut_slice() {
            Ok(bytes) => self.network.recv(socket, bytes, &mut self.choices).map_err(Error::from),
            Err(error) => Poll::Ready(Err(error)),
        };
        let result = match received {
            Poll::Pending => return Attempt::Blocked(Work::RecvMany(operation)),
            Poll::Ready(Ok(len @ 1..)) => {
                done.push(token, Outcome::RecvManyItem(buffer.filled(len)));
                return Attempt::Unfinished(Work::RecvMany(operation));
            }
            Poll::Ready(result) => result.map(drop),
        };
        let RecvMany { handle, pool } = operation;
        Attempt::Complete(Outcome::RecvManyEnded(RecvManyEnded { handle, pool, result }))
    }

    /// Has what waited for buffers tried again, as far as there are any now. Returns whether there are for others.
    #[cold]
    pub(crate) fn take_dry(&mut self) -> bool {
        for _ in 0..self.dry.len() {
            let Some((slot, _)) = self.dry.pop() else { break };
            self.table.make_ready(slot, Direction::Read);
        }
        self.dry.can_go_on()
    }
}
