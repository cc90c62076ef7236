//! Messages in the kernel's form: a header, which names a buffer and an address.
#![allow(unsafe_code)]

use std::mem::{self, MaybeUninit};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};

use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use proactor_core::{Address, Buffer, Error};
use proactor_system::{MAX_TRANSFER, address_to_system};
use rustix::net::SocketAddrAny;
use rustix::net::addr::{SocketAddrLen, SocketAddrStorage};

use crate::address::address;

const STORAGE_LEN: SocketAddrLen = size_of::<SocketAddrStorage>() as SocketAddrLen;

/// What the kernel reads and writes for one message, apart from its bytes.
#[repr(C)]
struct Block {
    header: libc::msghdr,
    /// The buffer, which the header points to.
    bytes: libc::iovec,
    /// The address, which the header points to. Initialised, with zeros before the first use.
    storage: MaybeUninit<SocketAddrStorage>,
}

/// Rooms for messages, at places that never change, and used again and again.
///
/// They are reached through pointers only, never a reference that would claim to be alone with what the kernel writes.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    all: Vec<NonNull<Block>>,
    free: Vec<u32>,
}

impl Messages {
    /// Takes a block for a message to an address, or to nobody by name, and tells its number.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the address has no form in the kernel.
    pub(crate) fn take(&mut self, address: Option<&Address>) -> Result<u32, Error> {
        let address = address.map(address_to_system).transpose()?;
        let number = self.free.pop().unwrap_or_else(|| self.grow());
        let block = self.all[number as usize].as_ptr();
        let len = address.as_ref().map_or(0, SocketAddrAny::addr_len);
        if let Some(address) = address {
            // SAFETY: the block lives as long as `self`, and it was free, so the kernel does not use it.
            let storage = unsafe { &raw mut (*block).storage }.cast::<u8>();
            // SAFETY: the first `addr_len` bytes of an address are initialised, and no more than the storage has room for.
            unsafe { storage.copy_from(address.as_ptr().cast(), len as usize) };
        }
        // SAFETY: as above.
        unsafe { (*block).header.msg_namelen = len };
        Ok(number)
    }

    #[cold]
    fn grow(&mut self) -> u32 {
        // SAFETY: a header is numbers and pointers, for which zeros are values.
        let mut header: libc::msghdr = unsafe { mem::zeroed() };
        let bytes = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        let block = Box::into_raw(Box::new(Block { header, bytes, storage: MaybeUninit::zeroed() }));
        // SAFETY: a field's address within a live block, which nobody else knows yet.
        header.msg_name = unsafe { &raw mut (*block).storage }.cast();
        // SAFETY: as above.
        header.msg_iov = unsafe { &raw mut (*block).bytes };
        header.msg_iovlen = 1;
        // SAFETY: as above. The fields do not move, so what the header points to stays right.
        unsafe { (*block).header = header };
        // SAFETY: a box's pointer is not null.
        self.all.push(unsafe { NonNull::new_unchecked(block) });
        // As many as operations in flight, which core numbers with 32 bits.
        self.all.len() as u32 - 1
    }

    /// How many there are, used and free.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Gives back a block that [`take`](Self::take) gave, and that the kernel does not use any more.
    pub(crate) fn give_back(&mut self, number: u32) {
        self.free.push(number);
    }

    /// The entry that receives a message into the buffer's range, and the sender's address into the block. Both must
    /// stay as they are until it has completed.
    ///
    /// # Panics
    /// If there is no such block.
    pub(crate) fn receive(
        &self,
        number: u32,
        socket: BorrowedFd<'_>,
        buffer: &mut Buffer,
        flags: i32,
    ) -> squeue::Entry {
        let header = self.point_at(number, buffer);
        // SAFETY: the block lives as long as `self`, and only the owner of its number uses it, who is about to hand it
        // to the kernel. Writing a number drops nothing.
        unsafe { (*header).msg_namelen = STORAGE_LEN };
        // SAFETY: as above.
        unsafe { (*header).msg_flags = 0 };
        opcode::RecvMsg::new(Fd(socket.as_raw_fd()), header).flags(flags as u32).build()
    }

    /// The entry that sends the buffer's range to the address in the block. Both must stay as they are until it has
    /// completed.
    ///
    /// # Panics
    /// If there is no such block.
    pub(crate) fn send(
        &self,
        number: u32,
        socket: BorrowedFd<'_>,
        buffer: &mut Buffer,
        flags: i32,
    ) -> squeue::Entry {
        let header = self.point_at(number, buffer);
        opcode::SendMsg::new(Fd(socket.as_raw_fd()), header).flags(flags as u32).build()
    }

    /// Has a block's header name the buffer's range, of which it takes as much as one call does.
    fn point_at(&self, number: u32, buffer: &mut Buffer) -> *mut libc::msghdr {
        let block = self.all[number as usize].as_ptr();
        let bytes =
            libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len().min(MAX_TRANSFER) };
        // SAFETY: the block lives as long as `self`, and only the owner of its number uses it, who is about to hand it
        // to the kernel.
        unsafe { (*block).bytes = bytes };
        // SAFETY: a field's address within a live block.
        unsafe { &raw mut (*block).header }
    }

    /// Whether the block, which the kernel does not use, has an address.
    ///
    /// # Panics
    /// If there is no such block.
    pub(crate) fn has_address(&self, number: u32) -> bool {
        let block = self.all[number as usize].as_ptr();
        // SAFETY: the block lives as long as `self`, and its owner, who asks, has it.
        unsafe { (*block).header.msg_namelen > 0 }
    }

    /// Where the message in a block came from, if that has a name, and whether it was cut; the kernel is done with it.
    ///
    /// # Panics
    /// If there is no such block.
    pub(crate) fn received(&self, number: u32) -> (Option<Address>, bool) {
        let block = self.all[number as usize].as_ptr();
        // SAFETY: the block lives as long as `self`, and its owner, who asks, has it back from the kernel.
        let header = unsafe { (*block).header };
        // SAFETY: as above; the storage is initialised from the beginning.
        let storage = unsafe { (*block).storage };
        (address(storage, header.msg_namelen).ok(), header.msg_flags & libc::MSG_TRUNC != 0)
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        for block in self.all.drain(..) {
            // SAFETY: it came from a box, in `grow`, and is given up once. That the kernel is done with it is upheld by
            // the owner of these blocks, who forgets them otherwise.
            drop(unsafe { Box::from_raw(block.as_ptr()) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_stay_where_they_are_and_are_used_again() {
        let mut messages = Messages::default();
        let mut buffer = Buffer::zeroed(8);
        let first = messages.take(None).unwrap();
        let place = messages.point_at(first, &mut buffer);
        let others: Vec<u32> = (0..100).map(|_| messages.take(None).unwrap()).collect();
        assert_eq!(messages.point_at(first, &mut buffer), place);
        messages.give_back(others[7]);
        assert_eq!(messages.take(None), Ok(others[7]));
        assert_eq!(messages.len(), 101);
    }

    #[test]
    fn an_address_is_read_back_as_it_was_written() {
        let mut messages = Messages::default();
        for text in ["1.2.3.4:5", "[fe80::9%3]:70"] {
            let expected: Address = text.parse().unwrap();
            let number = messages.take(Some(&expected)).unwrap();
            assert_eq!(messages.received(number), (Some(expected), false));
            messages.give_back(number);
        }
        let number = messages.take(None).unwrap();
        assert_eq!((messages.received(number), messages.len()), ((None, false), 1));
    }
}
