//! Messages: what they need of the table, and of the blocks that the kernel reads and writes.

use std::mem;
use std::os::fd::BorrowedFd;

use proactor_core::{Address, Buffer, Error, Kind, Token};
use proactor_system::DescriptorKind;

use super::{Place, Requests, Task, is_message};

impl Requests {
    /// Hands a message of `kind` to the kernel, taking its buffer away: to `address`, or to nobody by name.
    ///
    /// # Errors
    /// [`Error::Busy`] if something is on its way at `place` already, [`Error::Unsupported`] for an address that has no
    /// form in the kernel, [`Error::ReadOnlyBuffer`].
    pub(crate) fn begin_message(
        &mut self,
        place: Place,
        (descriptor, on): (BorrowedFd<'_>, DescriptorKind),
        (token, kind): (Token, Kind),
        buffer: &mut Buffer,
        address: Option<&Address>,
    ) -> Result<(), Error> {
        self.idle(place).ok_or(Error::Busy)?;
        // A buffer that is received into has its bytes to itself.
        if kind == Kind::RecvFrom && !buffer.is_writable() {
            return Err(Error::ReadOnlyBuffer);
        }
        let block = self.messages.take(address)?;
        let request = &mut self.table[place.index()];
        request.buffer = Some(mem::take(buffer));
        request.task = Some(Task::new(token, kind, block).on(on));
        self.submit(place, descriptor);
        Ok(())
    }

    /// Notes that the message that is held at `place` found no room. Returns whether that is for the second time, and it
    /// names its receiver: then it may be the receiver that has none, of which nothing tells when that is over.
    pub(crate) fn has_no_room_again(&mut self, place: Place) -> bool {
        let Some(request) = self.table.get_mut(place.index()) else { return false };
        let Some(task) = request.held().filter(|task| task.is_local_message && is_message(task.kind)) else {
            return false;
        };
        let names_receiver = self.messages.has_address(task.extra);
        mem::replace(&mut task.had_no_room, true) && names_receiver
    }

    /// Where the message came from that is held at `place`, if that has a name, and whether it was cut. None if the
    /// kernel has it, or if it is no received message.
    pub(crate) fn message(&self, place: Place) -> Option<(Option<Address>, bool)> {
        let request = self.table.get(place.index()).filter(|request| !request.is_in_kernel())?;
        let task = request.task.as_ref().filter(|task| task.kind == Kind::RecvFrom)?;
        Some(self.messages.received(task.extra))
    }
}
