//! Operations on bytes in a row, of descriptors of any kind: read and write, once and to the end.

use std::task::{Poll, ready};

use proactor_core::{Buffer, BytesRead, Done, Error, ExactRead, Outcome, Slot, Token, Written, WrittenAll};
use proactor_system::{self as system, MAX_TRANSFER};
use rustix::io::Errno;

use crate::Readiness;
use crate::poller::Poller;
use crate::read::fail;
use crate::source::Source;
use crate::table::Waiter;

/// In how many calls one operation moves its bytes before others get their turn.
pub(crate) const CALLS_PER_TURN: usize = 16;

impl<P: Poller> Readiness<P> {
    /// Starts to read, once or until the buffer is full.
    #[cold]
    pub(crate) fn read(&mut self, token: Token, slot: Slot, done: &mut Done) {
        match self.table.reader(slot) {
            Ok(entry) => entry.reader = Waiter::new(token),
            Err(error) => return fail(token, error, done),
        }
        self.resume_read(token, slot, done);
    }

    /// Tries again what waits to read.
    pub(crate) fn resume_read(&mut self, token: Token, slot: Slot, done: &mut Done) {
        let Ok(entry) = self.table.get(slot) else { return };
        let source = &mut entry.source;
        let attempt = match done.undecided(token) {
            Some(Outcome::Read(read)) => source.read(read),
            Some(Outcome::ReadExact(read)) => source.read_exact(read),
            Some(outcome @ (Outcome::ReadVectored(_) | Outcome::ReadVectoredExact(_))) => {
                source.transfer_vectored(outcome)
            }
            // Its operation was taken away from it.
            _ => Poll::Ready(()),
        };
        if attempt.is_ready() {
            entry.reader = Waiter::NOBODY;
            done.decided(token);
        } else if !source.read_drained {
            self.leave_unfinished(slot);
        }
    }
}

impl Source {
    fn read(&mut self, read: &mut BytesRead) -> Poll<()> {
        self.read_some(&mut read.buffer, 0).map(|result| read.result = result)
    }

    /// Pending without being drained, it has had its turn.
    fn read_exact(&mut self, read: &mut ExactRead) -> Poll<()> {
        let ExactRead { buffer, transferred, result, .. } = read;
        let len = buffer.len();
        let filled = in_calls(len, transferred, Error::EndOfStream, |from| self.read_some(buffer, from));
        filled.map(|filled| *result = filled)
    }

    pub(crate) fn write(&mut self, written: &mut Written) -> Poll<()> {
        self.write_some(&written.buffer).map(|result| written.result = result)
    }

    /// Pending without being drained, it has had its turn.
    pub(crate) fn write_all(&mut self, written: &mut WrittenAll) -> Poll<()> {
        let WrittenAll { buffer, transferred, result, .. } = written;
        // A system that takes none of some bytes, without a reason, will not take them the next time.
        let none = Errno::IO.into();
        let taken = in_calls(buffer.len(), transferred, none, |from| self.write_some(&buffer[from..]));
        taken.map(|taken| *result = taken)
    }

    /// Reads into the buffer's range behind its first `from` bytes, if an answer can be expected.
    fn read_some(&mut self, buffer: &mut Buffer, from: usize) -> Poll<Result<usize, Error>> {
        let bytes = &mut buffer.as_mut_slice()?[from..];
        if bytes.is_empty() && !self.takes_messages() {
            return Poll::Ready(Ok(0));
        }
        if self.read_drained {
            return Poll::Pending;
        }
        let asked = bytes.len().min(MAX_TRANSFER);
        let read = if self.is_socket() {
            system::receive(self.descriptor()?, bytes)
        } else {
            self.keep_nonblocking()?;
            system::read(self.descriptor()?, bytes)
        };
        self.read_drained = match read {
            Poll::Pending => true,
            // Of a pipe or a terminal, a short read proves nothing.
            Poll::Ready(Ok(len)) => self.short_read_drains && len != 0 && len < asked,
            Poll::Ready(Err(_)) => false,
        };
        self.can_wait(read)
    }

    /// Writes from `bytes`, if an answer can be expected.
    fn write_some(&mut self, bytes: &[u8]) -> Poll<Result<usize, Error>> {
        if bytes.is_empty() && !self.takes_messages() {
            return Poll::Ready(Ok(0));
        }
        if self.write_drained {
            return Poll::Pending;
        }
        if self.is_socket() {
            return self.send(bytes);
        }
        self.keep_nonblocking()?;
        let written = system::write(self.descriptor()?, bytes);
        self.write_drained = written.is_pending();
        self.can_wait(written)
    }
}

/// Makes calls until `len` bytes are transferred, in one turn a limited number; one that moves nothing ends it as `none`.
fn in_calls(
    len: usize,
    transferred: &mut usize,
    none: Error,
    mut transfer_from: impl FnMut(usize) -> Poll<Result<usize, Error>>,
) -> Poll<Result<(), Error>> {
    for _ in 0..CALLS_PER_TURN {
        let count = ready!(transfer_from(*transferred))?;
        *transferred += count;
        if *transferred == len {
            return Poll::Ready(Ok(()));
        }
        if count == 0 {
            return Poll::Ready(Err(none));
        }
    }
    Poll::Pending
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_always_goes_on_has_its_turn_and_no_more() {
        let mut transferred = 0;
        let mut ten = |_| Poll::Ready(Ok(10));
        assert_eq!(in_calls(200, &mut transferred, Error::EndOfStream, &mut ten), Poll::Pending);
        assert_eq!(transferred, 160);
        assert_eq!(in_calls(200, &mut transferred, Error::EndOfStream, &mut ten), Poll::Ready(Ok(())));
        assert_eq!(transferred, 200);
    }

    #[test]
    fn nothing_is_the_end_but_for_an_empty_range() {
        let mut transferred = 0;
        let mut answers = [Ok(0), Ok(7)].to_vec();
        let result =
            in_calls(20, &mut transferred, Error::EndOfStream, |_| Poll::Ready(answers.pop().unwrap()));
        assert_eq!((result, transferred), (Poll::Ready(Err(Error::EndOfStream)), 7));
        let empty = in_calls(0, &mut 0, Error::EndOfStream, |_| Poll::Ready(Ok(0)));
        assert_eq!(empty, Poll::Ready(Ok(())));
    }
}
