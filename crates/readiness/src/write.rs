//! Operations that write: connect, send and shut down.

use std::task::Poll;

use proactor_core::{
    Connect, Connected, Done, Error, Outcome, Send, SendAll, Sent, SentAll, ShutDown, Shutdown, Slot, Token,
};

use crate::Readiness;
use crate::poller::Poller;
use crate::table::Writing;

impl<P: Poller> Readiness<P> {
    #[inline(always)]
    pub(crate) fn send(&mut self, token: Token, slot: Slot, operation: Send, done: &mut Done) {
        let Send { handle, buffer } = operation;
        let result = match self.table.writer(slot) {
            Ok(entry) => match entry.source.send_first(&buffer) {
                Poll::Ready(result) => result,
                Poll::Pending => {
                    return self.table.park_writing(slot, Writing::Send { token, handle, buffer });
                }
            },
            Err(error) => Err(error),
        };
        done.push(token, Outcome::Send(Sent { handle, buffer, result }));
    }

    #[inline(always)]
    pub(crate) fn send_all(&mut self, token: Token, slot: Slot, operation: SendAll, done: &mut Done) {
        let SendAll { handle, buffer } = operation;
        let mut transferred = 0;
        let result = match self.table.writer(slot) {
            Ok(entry) => match entry.source.send_rest(&buffer, &mut transferred) {
                Poll::Ready(result) => result.map(drop),
                Poll::Pending => {
                    let drained = entry.source.write_drained;
                    self.table.park_writing(slot, Writing::SendAll { token, handle, buffer, transferred });
                    if !drained {
                        self.leave_unfinished(slot);
                    }
                    return;
                }
            },
            Err(error) => Err(error),
        };
        let transferred = transferred as usize;
        done.push(token, Outcome::SendAll(SentAll { handle, buffer, transferred, result }));
    }

    pub(crate) fn connect(&mut self, token: Token, slot: Slot, operation: Connect, done: &mut Done) {
        let Connect { handle, address } = operation;
        let result = match self.table.writer(slot) {
            Ok(entry) => match entry.source.connect(&address) {
                Poll::Ready(result) => result,
                Poll::Pending => {
                    return self.table.park_writing(slot, Writing::Connect { token, handle, address });
                }
            },
            Err(error) => Err(error),
        };
        done.push(token, Outcome::Connect(Connected { handle, address, result }));
    }

    pub(crate) fn shutdown(&mut self, token: Token, slot: Slot, operation: Shutdown, done: &mut Done) {
        let Shutdown { handle, how } = operation;
        let entry = self.table.writer(slot);
        let result = entry.and_then(|entry| proactor_system::shutdown(entry.source.descriptor()?, how));
        done.push(token, Outcome::Shutdown(ShutDown { handle, how, result }));
    }

    /// Tries again what waits to write, after an edge. Returns whether the socket is still being connected.
    pub(crate) fn resume_writing(&mut self, slot: Slot, closed: bool, done: &mut Done) -> bool {
        let Some((source, writing)) = self.table.waiting_writer(slot) else { return false };
        source.write_drained = false;
        let token = writing.token();
        let attempt = match writing {
            Writing::Connect { .. } => match source.connect_result(closed) {
                Poll::Ready(result) => Poll::Ready(result.map(|()| 0)),
                Poll::Pending => return true,
            },
            Writing::Send { buffer, .. } => source.send(buffer),
            Writing::SendAll { buffer, transferred, .. } => source.send_rest(buffer, transferred),
        };
        let drained = source.write_drained;
        match attempt {
            Poll::Ready(result) => self.finish_writing(slot, token, result, done),
            Poll::Pending if drained => {}
            Poll::Pending => self.leave_unfinished(slot),
        }
        false
    }

    /// Ends what waits to write: cancelled, or with how it went where that is decided.
    pub(crate) fn cancel_writing(&mut self, slot: Slot, token: Token, done: &mut Done) {
        let mut result = Err(Error::Canceled);
        if let Some((source, Writing::Connect { .. })) = self.table.waiting_writer(slot) {
            match source.connect_result(false) {
                Poll::Ready(decided) => result = decided.map(|()| 0),
                Poll::Pending => source.connect_is_canceled(),
            }
        }
        self.finish_writing(slot, token, result, done);
    }

    fn finish_writing(&mut self, slot: Slot, token: Token, result: Result<usize, Error>, done: &mut Done) {
        if let Some(writing) = self.table.unpark_writing(slot) {
            done.push(token, writing.finish(result));
        }
    }
}
