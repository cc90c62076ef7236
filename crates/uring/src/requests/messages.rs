//! Messages: what they need of the table, and of the blocks that the kernel reads and writes.

use std::mem;
use std::os::fd::BorrowedFd;

use proactor_core::{Address, Buffer, Envelope, Error, Kind, Outcome, ReceivedMsg, SentMsg, Token};
use proactor_system::DescriptorKind;

use super::{Place, Requests, Task, give_back, is_message};
use crate::message::Received;

impl Requests {
    /// Hands a message of `kind` to the kernel, taking its buffer away, and its envelope if it has one: to `address`, or to
    /// nobody by name.
    ///
    /// # Errors
    /// [`Error::Busy`] if something is on its way at `place` already, [`Error::Unsupported`] for an address that has no
    /// form in the kernel, [`Error::ReadOnlyBuffer`].
    pub(crate) fn begin_message(
        &mut self,
        place: Place,
        (descriptor, on): (BorrowedFd<'_>, DescriptorKind),
        (token, kind): (Token, Kind),
        (buffer, envelope): (&mut Buffer, Option<&mut Envelope>),
        address: Option<&Address>,
    ) -> Result<(), Error> {
        self.idle(place).ok_or(Error::Busy)?;
        // A buffer that is received into has its bytes to itself.
        if matches!(kind, Kind::RecvFrom | Kind::RecvMsg) && !buffer.is_writable() {
            return Err(Error::ReadOnlyBuffer);
        }
        let mut task = Task::new(token, kind, 0).on(on);
        match envelope {
            None => task.extra = self.messages.take(address)?,
            Some(envelope) => {
                let address = if kind == Kind::SendMsg { envelope.address() } else { None };
                task.extra = self.messages.take(address)?;
                // Kernels before 6.5 forget where the numbers of the descriptors are when they have waited.
                task.is_impatient |= !envelope.descriptors().is_empty();
                self.messages.enclose(task.extra, mem::take(envelope));
            }
        }
        let request = &mut self.table[place];
        request.buffer = Some(mem::take(buffer));
        request.task = Some(task);
        self.submit(place, descriptor);
        Ok(())
    }

    /// Puts the buffer and the envelope back into an operation on a message.
    pub(super) fn give_back_to(outcome: &mut Outcome, returned: Buffer, enclosed: Envelope) {
        match outcome {
            Outcome::RecvMsg(ReceivedMsg { buffer, envelope, .. })
            | Outcome::SendMsg(SentMsg { buffer, envelope, .. }) => {
                give_back(returned, buffer);
                *envelope = enclosed;
            }
            _ => {}
        }
    }

    /// Notes that the message that is held at `place` found no room. Returns whether that is for the second time, and it
    /// names its receiver: then it may be the receiver that has none, of which nothing tells when that is over.
    pub(crate) fn has_no_room_again(&mut self, place: Place) -> bool {
        let Some(request) = self.table.get_mut(place) else { return false };
        let Some(task) = request.held().filter(|task| task.is_impatient && is_message(task.kind)) else {
            return false;
        };
        let names_receiver = self.messages.has_address(task.extra);
        mem::replace(&mut task.had_no_room, true) && names_receiver
    }

    /// What is known of the message that is held at `place`. None if the kernel has it, or if it is no received message.
    pub(crate) fn message(&self, place: Place) -> Option<Received> {
        let request = self.table.get(place).filter(|request| !request.is_in_kernel())?;
        let is_received = |task: &&Task| matches!(task.kind, Kind::RecvFrom | Kind::RecvMsg);
        let task = request.task.as_ref().filter(is_received)?;
        Some(self.messages.received(task.extra))
    }
}
