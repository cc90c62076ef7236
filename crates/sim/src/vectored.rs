//! Operations on several buffers: of sockets, and of files at their own position and at others.

use std::task::Poll;

use proactor_core::{Buffer, Cut, Direction, Error, Operation, Outcome, Slot, Target, Vectored};
use rustix::io::Errno;

use crate::Sim;
use crate::attempt::Attempt;
use crate::files::Open;
use crate::parked::Work;
use crate::socket::Id;

/// More than any socket takes or has at once, in bytes.
const MOST: usize = 16 << 20;

impl Sim {
    /// Takes an operation on several buffers that is to be done on a socket.
    pub(crate) fn begin_vectored(&mut self, socket: Id, operation: Operation) -> Result<Work, Outcome> {
        let Target::Stream(_, direction) = operation.target() else {
            return Err(operation.fail(Error::Unsupported));
        };
        let mut outcome = operation.fail(Error::Unsupported);
        let Some(mut vectored) = outcome.vectored() else { return Err(outcome) };
        if let Err(error) = vectored.check_writable() {
            vectored.set_error(error);
        } else if vectored.total() == 0 && !self.network.is_datagram(socket) {
            vectored.moved(0);
        } else {
            return Ok(Work::Vectored { outcome, direction });
        }
        Err(outcome)
    }

    /// Makes one call.
    pub(crate) fn try_vectored(&mut self, socket: Id, mut outcome: Outcome, direction: Direction) -> Attempt {
        let Some(mut vectored) = outcome.vectored() else { return Attempt::Complete(outcome) };
        let from = vectored.transferred();
        let answer = match direction {
            Direction::Read => self.receive_vectored(socket, vectored.buffers, from),
            Direction::Write => self.send_vectored(socket, vectored.buffers, from),
        };
        match answer {
            Poll::Pending => return Attempt::Blocked(Work::Vectored { outcome, direction }),
            Poll::Ready(Ok(count)) if !vectored.moved(count) => {
                return Attempt::Unfinished(Work::Vectored { outcome, direction });
            }
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => vectored.set_error(error),
        }
        Attempt::Complete(outcome)
    }

    fn receive_vectored(
        &mut self,
        socket: Id,
        buffers: &mut [Buffer],
        from: usize,
    ) -> Poll<Result<usize, Error>> {
        let mut cut = Cut::behind(from).within(MOST);
        let bytes = &mut self.gathered;
        // All that was there before is overwritten, or not looked at.
        bytes.resize(cut.len_of(buffers), 0);
        let received = self.network.recv(socket, bytes, &mut self.choices);
        let Poll::Ready(Ok(count)) = received else { return received.map_err(Error::from) };
        let mut left = &bytes[..count];
        for buffer in buffers {
            let Some(range) = cut.next(buffer.len()) else { break };
            let (piece, rest) = left.split_at(range.len().min(left.len()));
            if !piece.is_empty() {
                buffer.as_mut_slice()?[range][..piece.len()].copy_from_slice(piece);
            }
            left = rest;
        }
        Poll::Ready(Ok(count))
    }

    fn send_vectored(&mut self, socket: Id, buffers: &[Buffer], from: usize) -> Poll<Result<usize, Error>> {
        let mut cut = Cut::behind(from).within(MOST);
        let bytes = &mut self.gathered;
        bytes.clear();
        for buffer in buffers {
            let Some(range) = cut.next(buffer.len()) else { break };
            bytes.extend_from_slice(&buffer[range]);
        }
        self.network.send(socket, bytes, &mut self.choices).map_err(Error::from)
    }

    /// Does an operation on several buffers of a file at once: at its position, or at the file's own.
    pub(crate) fn vectored_of_file(&mut self, slot: Option<Slot>, operation: Operation) -> Outcome {
        let mut outcome = operation.fail(Error::Unsupported);
        let Some(mut vectored) = outcome.vectored() else { return outcome };
        let open = slot.and_then(|slot| self.files.opened(slot)).ok_or(Errno::SPIPE);
        let done = open.map_err(Error::from).and_then(|mut open| {
            vectored.check_writable()?;
            open.position = vectored.offset.unwrap_or(open.position);
            loop {
                let count = self.vectored_call(open, &mut vectored)?;
                if let (Some(slot), None) = (slot, vectored.offset) {
                    let direction = if vectored.reads { Direction::Read } else { Direction::Write };
                    self.files.move_on(slot, count, direction);
                }
                if vectored.moved(count) {
                    return Ok(());
                }
            }
        });
        if let Err(error) = done {
            vectored.set_error(error);
        }
        outcome
    }

    /// Makes one call at a position, behind what was transferred before; a fault in a later buffer is the next call's.
    fn vectored_call(&mut self, open: Open, vectored: &mut Vectored<'_>) -> Result<usize, Error> {
        let (from, now) = (vectored.transferred(), self.clock.now());
        let mut cut = Cut::behind(from);
        let mut count = 0;
        for buffer in vectored.buffers.iter_mut() {
            let Some(range) = cut.next(buffer.len()) else { break };
            if range.is_empty() {
                continue;
            }
            let (at, len) = (open.position + (from + count) as u64, range.len());
            let moved = if vectored.reads {
                self.files.read(open, &mut buffer.as_mut_slice()?[range], at, now)
            } else {
                self.files.write(open, &buffer[range], at, now)
            };
            match moved {
                Ok(moved) => count += moved,
                Err(errno) if count == 0 => return Err(errno.into()),
                Err(_) => break,
            }
            if moved != Ok(len) {
                break;
            }
        }
        Ok(count)
    }
}
