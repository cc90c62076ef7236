//! Receiving for as long as bytes come.

use std::task::Poll;

use proactor_core::{Done, Error, Outcome, RecvManyEnded, Slot, Token};

use crate::Readiness;
use crate::poller::Poller;
use crate::read::fail;
use crate::table::{Entry, Waiter};

/// How many pieces one connection receives before others get their turn. Most often the first takes all there is.
const RECEIVES_PER_TURN: usize = 16;

/// What an attempt to receive came to.
enum Received {
    /// It waits for an edge.
    Drained,
    /// It has had its turn, and would go on.
    Unfinished,
    /// It waits for a buffer.
    Dry,
    /// The end of the stream, or an error.
    Over(Result<(), Error>),
}

impl<P: Poller> Readiness<P> {
    /// Starts to receive.
    pub(crate) fn recv_many(&mut self, token: Token, slot: Slot, done: &mut Done) {
        let prepared = self.table.reader(slot).and_then(|entry| {
            entry.reader = Waiter::new(token);
            entry.source.prepare_to_recv_many()
        });
        match prepared {
            Ok(()) => self.resume_recv_many(token, slot, done),
            Err(error) => {
                self.forget_reader(slot);
                fail(token, error, done);
            }
        }
    }

    /// Receives what there is, after an edge.
    #[inline(always)]
    pub(crate) fn resume_recv_many(&mut self, token: Token, slot: Slot, done: &mut Done) {
        let Ok(entry) = self.table.get(slot) else { return };
        match entry.receive_many(token, done) {
            Received::Drained => {}
            Received::Unfinished => self.leave_unfinished(slot),
            Received::Dry => self.wait_for_buffer(token, slot, done),
            Received::Over(result) => {
                entry.reader = Waiter::NOBODY;
                if let Some(Outcome::RecvManyEnded(ended)) = done.undecided(token) {
                    ended.result = result;
                }
                done.decided(token);
            }
        }
    }

    #[cold]
    fn wait_for_buffer(&mut self, token: Token, slot: Slot, done: &mut Done) {
        let Ok(entry) = self.table.get(slot) else { return };
        if let Some(Outcome::RecvManyEnded(RecvManyEnded { pool, .. })) = done.undecided(token)
            && !std::mem::replace(&mut entry.source.is_dry, true)
        {
            self.dry.push(pool, (slot, token));
        }
    }

    /// What waits to read at `slot` is not to get a buffer any more.
    pub(crate) fn needs_no_buffer(&mut self, slot: Slot, token: Token) {
        if let Ok(entry) = self.table.get(slot)
            && std::mem::take(&mut entry.source.is_dry)
        {
            self.dry.remove(&(slot, token));
        }
    }

    /// Goes on with what waited for buffers, as far as there are any now. Returns whether there are for others.
    #[cold]
    pub(crate) fn take_dry(&mut self, done: &mut Done) -> bool {
        for _ in 0..self.dry.len() {
            let Some((slot, token)) = self.dry.pop() else { break };
            if let Ok(entry) = self.table.get(slot)
                && entry.reader == Waiter::new(token)
            {
                entry.source.is_dry = false;
                self.resume_recv_many(token, slot, done);
            }
        }
        self.dry.can_go_on()
    }
}

impl Entry {
    /// Receives into buffers of the pool, of which one is taken only where something can be expected.
    #[inline(always)]
    fn receive_many(&mut self, token: Token, done: &mut Done) -> Received {
        if self.source.is_dry {
            return Received::Dry;
        }
        for _ in 0..RECEIVES_PER_TURN {
            if self.source.read_drained {
                return Received::Drained;
            }
            // Its operation is taken away from it by nobody but a hostile caller.
            let Some(Outcome::RecvManyEnded(RecvManyEnded { pool, .. })) = done.undecided(token) else {
                return Received::Over(Err(Error::Backend));
            };
            let Some(mut buffer) = pool.take() else { return Received::Dry };
            match self.source.receive(&mut buffer) {
                Poll::Pending => return Received::Drained,
                Poll::Ready(Ok(0)) => return Received::Over(Ok(())),
                Poll::Ready(Ok(len)) => done.push_piece(token, buffer.filled(len)),
                Poll::Ready(Err(error)) => return Received::Over(Err(error)),
            }
        }
        Received::Unfinished
    }
}
