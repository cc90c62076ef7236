//! Datagrams over UDP, in fewer instructions than [`messages`](super::messages) of any kind take.
#![allow(unsafe_code)]

use std::mem;
use std::os::fd::BorrowedFd;

use proactor_core::{Address, Buffer, Datagram, Done, Error, Kind, Outcome, Token};

use super::{Place, Requests, Task, Unread, give_back};

impl Requests {
    /// Hands a `RecvFrom` or a `SendTo` on a UDP socket to the kernel, taking its buffer away. Returns whether it did: not if
    /// something is on its way at `place` already, if the place has no memory yet, or if the buffer is to be received into and
    /// cannot.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for an address that has no form in the kernel.
    #[inline]
    pub(crate) fn begin_datagram(
        &mut self,
        place: Place,
        socket: BorrowedFd<'_>,
        (token, kind): (Token, Kind),
        buffer: &mut Buffer,
        address: Option<&Address>,
    ) -> Result<bool, Error> {
        let Self { table, ring, manner, messages, sends_to, .. } = self;
        let Some(request) = table.get_mut(place).filter(|request| request.task.is_none()) else {
            return Ok(false);
        };
        if kind == Kind::RecvFrom && !buffer.is_writable() {
            return Ok(false);
        }
        let number = messages.take(address)?;
        let entry = match kind {
            Kind::RecvFrom => messages.receive(number, socket, buffer, manner.recv),
            _ if *sends_to => messages.send_bytes(number, socket, buffer, manner.send),
            _ => messages.send(number, socket, buffer, manner.send),
        };
        // An idle place has no buffer to drop.
        mem::forget(request.buffer.replace(mem::take(buffer)));
        request.task = Some(Task { is_socket: true, ..Task::new(token, kind, number) });
        let user_data = request.submitted(place);
        // SAFETY: the entry points to bytes of the buffer that is in the table now, and to the block of this task, which stay
        // there while the kernel has the task (see `requests`). A buffer that is received into has its bytes to itself, as was
        // checked.
        unsafe { ring.push(&entry.user_data(user_data)) };
        Ok(true)
    }

    /// Decides what the kernel has, if this is the completion of a `RecvFrom` or a `SendTo` that has gone as it should. Gives
    /// the completion back otherwise, and nothing has changed.
    #[inline]
    pub(crate) fn finish_datagram(&mut self, unread: Unread, done: &mut Done) -> Option<Unread> {
        let Self { table, messages, .. } = self;
        let entry = &unread.0;
        let (place, result) = (Place(entry.user_data() as u32), entry.result());
        let request = table.get_mut(place).filter(|request| request.is_named_by(entry) && result >= 0);
        let Some(request) = request else { return Some(unread) };
        let Some(task) = request.task.as_ref().filter(|task| !task.is_poll) else { return Some(unread) };
        let number = task.extra;
        let decided = done.decide(task.token, |outcome| match (outcome, task.kind) {
            (Outcome::RecvFrom(received), Kind::RecvFrom) => {
                give_back(request.buffer.take().ok_or(())?, &mut received.buffer);
                let is_truncated = messages.received_from(number, &mut received.peer);
                received.result = Ok(Datagram::new(result as usize, is_truncated));
                Ok(())
            }
            (Outcome::SendTo(sent), Kind::SendTo) => {
                give_back(request.buffer.take().ok_or(())?, &mut sent.buffer);
                sent.result = Ok(());
                Ok(())
            }
            _ => Err(()),
        });
        if decided != Some(Ok(())) {
            return Some(unread);
        }
        messages.give_back_plain(number);
        request.task = None;
        request.round = request.round.wrapping_add(1);
        None
    }
}
