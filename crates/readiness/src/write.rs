//! Operations that write: connect, send and shut down.

use std::task::Poll;

use proactor_core::{Connected, Done, Error, Outcome, Sent, SentAll, Slot, Token};

use crate::Readiness;
use crate::poller::Poller;
use crate::read::fail;
use crate::table::{Table, Waiter};

impl Table {
    /// Sends the whole of the buffer, if one call takes it; whether it is decided.
    #[inline(always)]
    pub(crate) fn send_all(&mut self, slot: Slot, sent: &mut SentAll) -> bool {
        let attempt = match self.writer(slot) {
            Ok(entry) => entry.source.send_first(&sent.buffer),
            Err(error) => Poll::Ready(Err(error)),
        };
        match attempt {
            Poll::Ready(Ok(len)) => {
                sent.transferred = len;
                sent.result = Ok(());
                len == sent.buffer.len()
            }
            // Told now: the call has taken it from the socket.
            Poll::Ready(Err(error)) => {
                sent.result = Err(error);
                true
            }
            Poll::Pending => false,
        }
    }

    /// Sends once, or waits to; whether it is decided.
    #[inline(always)]
    pub(crate) fn send(&mut self, token: Token, slot: Slot, sent: &mut Sent) -> bool {
        sent.result = match self.writer(slot) {
            Ok(entry) => match entry.source.send_first(&sent.buffer) {
                Poll::Ready(result) => result,
                Poll::Pending => {
                    entry.writer = Waiter::new(token);
                    return false;
                }
            },
            Err(error) => Err(error),
        };
        true
    }
}

impl<P: Poller> Readiness<P> {
    /// Goes on with a `SendAll` of which the first call did not take everything; whether it is decided.
    #[cold]
    #[inline(never)]
    pub(crate) fn send_the_rest(&mut self, token: Token, slot: Slot, sent: &mut SentAll) -> bool {
        let attempt = match self.table.writer(slot) {
            Ok(entry) => {
                let attempt = entry.source.send_rest(&sent.buffer, &mut sent.transferred);
                if attempt.is_pending() {
                    entry.writer = Waiter::new(token);
                    if !entry.source.write_drained {
                        self.leave_unfinished(slot);
                    }
                }
                attempt
            }
            Err(error) => Poll::Ready(Err(error)),
        };
        attempt.map(|result| sent.result = result.map(drop)).is_ready()
    }

    /// Starts to write.
    #[cold]
    pub(crate) fn write(&mut self, token: Token, slot: Slot, done: &mut Done) {
        match self.table.writer(slot) {
            Ok(entry) => entry.writer = Waiter::new(token),
            Err(error) => return fail(token, error, done),
        }
        self.resume_writer(slot, token, done);
    }

    #[cold]
    pub(crate) fn connect(&mut self, token: Token, slot: Slot, done: &mut Done) {
        let Some(Outcome::Connect(Connected { address, result, .. })) = done.undecided(token) else { return };
        let attempt = match self.table.writer(slot) {
            Ok(entry) => {
                let attempt = entry.source.connect(address);
                if attempt.is_pending() {
                    entry.writer = Waiter::new(token);
                }
                attempt
            }
            Err(error) => Poll::Ready(Err(error)),
        };
        if let Poll::Ready(decided) = attempt {
            *result = decided;
            done.decided(token);
        }
    }

    #[cold]
    pub(crate) fn shutdown(&mut self, token: Token, slot: Slot, done: &mut Done) {
        let Some(Outcome::Shutdown(shut_down)) = done.undecided(token) else { return };
        let entry = self.table.writer(slot);
        shut_down.result =
            entry.and_then(|entry| proactor_system::shutdown(entry.source.descriptor()?, shut_down.how));
        done.decided(token);
    }

    /// Tries again what waits to write, after an edge. Returns whether the socket is still being connected.
    pub(crate) fn resume_writer(&mut self, slot: Slot, token: Token, done: &mut Done) -> bool {
        let Ok(entry) = self.table.get(slot) else { return false };
        let source = &mut entry.source;
        let attempt = match done.undecided(token) {
            Some(Outcome::Connect(connected)) => match source.connect_result(&connected.address) {
                Poll::Ready(result) => {
                    connected.result = result;
                    Poll::Ready(())
                }
                Poll::Pending => return true,
            },
            Some(Outcome::SendAll(sent)) => source
                .send_rest(&sent.buffer, &mut sent.transferred)
                .map(|result| sent.result = result.map(drop)),
            Some(Outcome::Send(sent)) => source.send_first(&sent.buffer).map(|result| sent.result = result),
            Some(Outcome::Write(written)) => source.write(written),
            Some(Outcome::WriteAll(written)) => source.write_all(written),
            Some(Outcome::SendTo(sent)) => {
                source.send_to_first(&sent.buffer, &sent.peer).map(|result| sent.result = result)
            }
            Some(Outcome::SendFile(_) | Outcome::SendFileAll(_)) => {
                self.resume_send_file(token, slot, done);
                return false;
            }
            Some(Outcome::Splice(_)) => {
                self.resume_splice(token, done);
                return false;
            }
            Some(outcome @ (Outcome::WriteVectored(_) | Outcome::WriteVectoredAll(_))) => {
                source.transfer_vectored(outcome)
            }
            Some(Outcome::SendMsg(sent)) => {
                source.send_message_first(sent).map(|result| sent.result = result)
            }
            // Its operation was taken away from it.
            _ => Poll::Ready(()),
        };
        if attempt.is_ready() {
            entry.writer = Waiter::NOBODY;
            done.decided(token);
        } else if !source.write_drained {
            self.leave_unfinished(slot);
        }
        false
    }

    /// Ends what waits to write: as cancelled, or with how it went where that is decided.
    pub(crate) fn cancel_writer(&mut self, slot: Slot, token: Token, done: &mut Done) {
        let Ok(entry) = self.table.get(slot) else { return };
        entry.writer = Waiter::NOBODY;
        if let Some(Outcome::Connect(connected)) = done.undecided(token) {
            match entry.source.connect_result(&connected.address) {
                Poll::Ready(result) => {
                    connected.result = result;
                    return done.decided(token);
                }
                Poll::Pending => entry.source.connect_is_canceled(),
            }
        }
        fail(token, Error::Canceled, done);
    }
}
