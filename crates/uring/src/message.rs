//! Messages in the kernel's form: a header, which names a buffer, an address, and room for descriptors.
#![allow(unsafe_code)]

use std::mem::{self, MaybeUninit};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};
use std::slice;

use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use proactor_core::{Address, Buffer, Envelope, Error, OwnedDescriptor, Peer};
use proactor_system::{MAX_TRANSFER, address_to_system, put_into};
use rustix::net::addr::{SocketAddrLen, SocketAddrStorage};
use rustix::net::{AncillaryDrain, RecvAncillaryMessage, SocketAddrAny};

use crate::address::address;

/// Of an address of IPv4.
const INET_LEN: SocketAddrLen = size_of::<libc::sockaddr_in>() as SocketAddrLen;

const STORAGE_LEN: SocketAddrLen = size_of::<SocketAddrStorage>() as SocketAddrLen;

/// What the kernel reads and writes for one message, apart from its bytes.
#[repr(C)]
struct Block {
    header: libc::msghdr,
    /// The buffer, which the header points to.
    bytes: libc::iovec,
    /// The address, which the header points to. Initialised, with zeros before the first use.
    storage: MaybeUninit<SocketAddrStorage>,
    /// For the numbers of descriptors, which the header points to while some are passed; null before the first time.
    control: *mut Control,
}

/// Room for a control message with as many descriptors as there may be. Initialised, with zeros before the first use.
#[repr(C)]
struct Control {
    /// The beginning of the message, which gives it its alignment.
    header: libc::cmsghdr,
    numbers: [i32; Envelope::MAX_DESCRIPTORS],
}

/// Rooms for messages, at places that never change, and used again and again.
///
/// They are reached through pointers only, never a reference that would claim to be alone with what the kernel writes.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    all: Vec<NonNull<Block>>,
    free: Vec<u32>,
    /// What is enclosed with the message of each block: the descriptors that the kernel is to pass, or room for those that it
    /// brings.
    enclosed: Vec<Envelope>,
}

impl Messages {
    /// Takes a block for a message to an address, or to nobody by name, and tells its number.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the address has no form in the kernel.
    pub(crate) fn take(&mut self, address: Option<&Address>) -> Result<u32, Error> {
        if let Some(Address::Inet(SocketAddr::V4(address))) = address {
            return Ok(self.take_for(*address));
        }
        let address = address.map(address_to_system).transpose()?;
        let number = self.take_block();
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
        // SAFETY: as above.
        unsafe { (*block).header.msg_controllen = 0 };
        Ok(number)
    }

    #[inline(always)]
    fn take_block(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| self.grow())
    }

    /// The same as [`take`](Self::take), for an address of the family that most have.
    #[inline(always)]
    fn take_for(&mut self, address: SocketAddrV4) -> u32 {
        let number = self.take_block();
        let block = self.all[number as usize].as_ptr();
        let address = libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: address.port().to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
            sin_zero: [0; 8],
        };
        // SAFETY: the block lives as long as `self`, and it was free, so the kernel does not use it.
        let storage = unsafe { &raw mut (*block).storage };
        // SAFETY: as above; the storage has room for any address, and is aligned for it.
        unsafe { storage.cast::<libc::sockaddr_in>().write(address) };
        // SAFETY: as above.
        unsafe { (*block).header.msg_namelen = INET_LEN };
        // SAFETY: as above.
        unsafe { (*block).header.msg_controllen = 0 };
        number
    }

    /// Keeps an envelope with the message in a block, which the kernel does not use: what is to be sent with it, or room for
    /// what comes.
    ///
    /// # Panics
    /// If there is no such block.
    pub(crate) fn enclose(&mut self, number: u32, envelope: Envelope) {
        if !envelope.descriptors().is_empty() {
            self.write_numbers(number, envelope.descriptors());
        } else if envelope.room() > 0 {
            self.point_at_control(number);
        }
        self.enclosed[number as usize] = envelope;
    }

    /// Writes the control message that passes these descriptors, of which core has seen that they are not too many.
    #[cold]
    fn write_numbers(&mut self, number: u32, descriptors: &[OwnedDescriptor]) {
        let (block, control) = self.point_at_control(number);
        let passed = descriptors.len().min(Envelope::MAX_DESCRIPTORS);
        let len = control_len(passed);
        // SAFETY: numbers, for which zeros are values.
        let mut header: libc::cmsghdr = unsafe { mem::zeroed() };
        header.cmsg_len = len as _;
        header.cmsg_level = libc::SOL_SOCKET;
        header.cmsg_type = libc::SCM_RIGHTS;
        let mut numbers = [-1; Envelope::MAX_DESCRIPTORS];
        for (number, descriptor) in numbers.iter_mut().zip(descriptors) {
            *number = descriptor.as_raw_fd();
        }
        // SAFETY: live memory of this block, which the kernel does not use.
        unsafe { control.write(Control { header, numbers }) };
        // SAFETY: the block lives as long as `self`, and it is not in use by the kernel.
        unsafe { (*block).header.msg_controllen = len as _ };
    }

    /// Has the header of a block, which the kernel does not use, name its room for descriptors.
    fn point_at_control(&mut self, number: u32) -> (*mut Block, *mut Control) {
        let block = self.all[number as usize].as_ptr();
        // SAFETY: the block lives as long as `self`, and it is not in use by the kernel.
        let mut control = unsafe { (*block).control };
        if control.is_null() {
            // SAFETY: numbers, for which zeros are values.
            control = Box::into_raw(Box::new(unsafe { mem::zeroed::<Control>() }));
            // SAFETY: as above.
            unsafe { (*block).control = control };
            // SAFETY: as above.
            unsafe { (*block).header.msg_control = control.cast() };
        }
        (block, control)
    }

    #[cold]
    fn grow(&mut self) -> u32 {
        // SAFETY: a header is numbers and pointers, for which zeros are values.
        let mut header: libc::msghdr = unsafe { mem::zeroed() };
        let bytes = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        let storage = MaybeUninit::zeroed();
        let block = Box::into_raw(Box::new(Block { header, bytes, storage, control: ptr::null_mut() }));
        // SAFETY: a field's address within a live block, which nobody else knows yet.
        header.msg_name = unsafe { &raw mut (*block).storage }.cast();
        // SAFETY: as above.
        header.msg_iov = unsafe { &raw mut (*block).bytes };
        header.msg_iovlen = 1;
        // SAFETY: as above. The fields do not move, so what the header points to stays right.
        unsafe { (*block).header = header };
        // SAFETY: a box's pointer is not null.
        self.all.push(unsafe { NonNull::new_unchecked(block) });
        self.enclosed.push(Envelope::default());
        // As many as operations in flight, which core numbers with 32 bits.
        self.all.len() as u32 - 1
    }

    /// How many there are, used and free.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Gives back a block that [`take`](Self::take) gave, and that the kernel does not use any more, for what was enclosed.
    pub(crate) fn give_back(&mut self, number: u32) -> Envelope {
        self.free.push(number);
        mem::take(&mut self.enclosed[number as usize])
    }

    /// The same where nothing was enclosed.
    #[inline(always)]
    pub(crate) fn give_back_plain(&mut self, number: u32) {
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
        let room = self.enclosed[number as usize].room();
        let len = if room == 0 { 0 } else { control_len(room) };
        // SAFETY: as above. Where there is room, `enclose` has had the header point to that much.
        unsafe { (*header).msg_controllen = len as _ };
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

    /// The same for a kernel that can be told the address without the header. To be sent again otherwise, the header names all
    /// that it has to when [`send`](Self::send) is called.
    ///
    /// # Panics
    /// If there is no such block.
    #[inline(always)]
    pub(crate) fn send_bytes(
        &self,
        number: u32,
        socket: BorrowedFd<'_>,
        buffer: &mut Buffer,
        flags: i32,
    ) -> squeue::Entry {
        let block = self.all[number as usize].as_ptr();
        // SAFETY: the block lives as long as `self`, and only the owner of its number uses it, who is about to hand it
        // to the kernel.
        let len = unsafe { (*block).header.msg_namelen };
        // SAFETY: a field's address within a live block.
        let storage = unsafe { &raw const (*block).storage };
        let storage = if len == 0 { ptr::null() } else { storage.cast() };
        let bytes = buffer.len().min(MAX_TRANSFER) as u32;
        let entry = opcode::Send::new(Fd(socket.as_raw_fd()), buffer.as_mut_ptr(), bytes).flags(flags);
        entry.dest_addr(storage).dest_addr_len(len).build()
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

    /// Takes the descriptors that the kernel has opened for the message in a block into what is enclosed. To be called when
    /// a receive has ended well, so that its block is ours again.
    ///
    /// # Panics
    /// If there is no such block.
    #[cold]
    pub(crate) fn open_enclosed(&mut self, number: u32) {
        let block = self.all[number as usize].as_ptr();
        // SAFETY: the block lives as long as `self`, and its owner, who asks, has it back from the kernel.
        let header = unsafe { &mut (*block).header };
        // Once: what was taken is nobody else's.
        let len = mem::take(&mut header.msg_controllen) as usize;
        if len == 0 || header.msg_control.is_null() {
            return;
        }
        let len = len.min(size_of::<Control>());
        // SAFETY: where the header points to is the room of this block, initialised from the beginning, of which the kernel
        // has written the first `len` bytes, and which nobody else refers to.
        let bytes = unsafe { slice::from_raw_parts_mut(header.msg_control.cast::<u8>(), len) };
        // SAFETY: it is what the kernel has written, with descriptors that it has opened for this message; the length is
        // zero from now on, so they are taken out once.
        let told = unsafe { AncillaryDrain::parse(bytes) };
        for told in told {
            if let RecvAncillaryMessage::ScmRights(descriptors) = told
                && !put_into(&mut self.enclosed[number as usize], descriptors)
            {
                header.msg_flags |= libc::MSG_CTRUNC;
            }
        }
    }

    /// Tells `peer` where the datagram in a block came from, and the caller whether it was cut; the kernel is done with it.
    ///
    /// # Panics
    /// If there is no such block.
    #[inline(always)]
    pub(crate) fn received_from(&self, number: u32, peer: &mut Peer) -> bool {
        let block = self.all[number as usize].as_ptr();
        // SAFETY: the block lives as long as `self`, and its owner, who asks, has it back from the kernel.
        let len = unsafe { (*block).header.msg_namelen };
        // SAFETY: as above.
        let flags = unsafe { (*block).header.msg_flags };
        // SAFETY: a field's address within a live block.
        let storage = unsafe { &raw const (*block).storage };
        // SAFETY: as above; the storage is initialised, aligned for any address, and has room for one of this family.
        let inet = unsafe { storage.cast::<libc::sockaddr_in>().read() };
        if len == INET_LEN && inet.sin_family == libc::AF_INET as libc::sa_family_t {
            let ip = Ipv4Addr::from(inet.sin_addr.s_addr.to_ne_bytes());
            let address = SocketAddrV4::new(ip, u16::from_be(inet.sin_port));
            peer.set(Some(Address::Inet(address.into())));
            return flags & libc::MSG_TRUNC != 0;
        }
        let received = self.received(number);
        peer.set(received.address);
        received.is_truncated
    }

    /// Where the message in a block came from, if that has a name, and whether it was cut; the kernel is done with it.
    ///
    /// # Panics
    /// If there is no such block.
    pub(crate) fn received(&self, number: u32) -> Received {
        let block = self.all[number as usize].as_ptr();
        // SAFETY: the block lives as long as `self`, and its owner, who asks, has it back from the kernel.
        let header = unsafe { (*block).header };
        // SAFETY: as above; the storage is initialised from the beginning.
        let storage = unsafe { (*block).storage };
        Received {
            address: address(storage, header.msg_namelen).ok(),
            is_truncated: header.msg_flags & libc::MSG_TRUNC != 0,
            is_control_truncated: header.msg_flags & libc::MSG_CTRUNC != 0,
        }
    }
}

/// What is known of a message that was received, apart from its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Received {
    pub(crate) address: Option<Address>,
    pub(crate) is_truncated: bool,
    pub(crate) is_control_truncated: bool,
}

/// The length of a control message with this many descriptors, without what pads it.
const fn control_len(descriptors: usize) -> usize {
    mem::offset_of!(Control, numbers) + descriptors * size_of::<i32>()
}

// As the kernel has it: the numbers follow the header at once.
const _: () = assert!(mem::offset_of!(Control, numbers) == size_of::<libc::cmsghdr>());

impl Drop for Messages {
    fn drop(&mut self) {
        for block in self.all.drain(..) {
            // SAFETY: the block lives until the next statement, and the kernel is done with it.
            let control = unsafe { (*block.as_ptr()).control };
            if !control.is_null() {
                // SAFETY: it came from a box, in `point_at_control`, and is given up once.
                drop(unsafe { Box::from_raw(control) });
            }
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
            assert_eq!(messages.received(number), received(Some(expected)));
            messages.give_back(number);
        }
        let number = messages.take(None).unwrap();
        assert_eq!((messages.received(number), messages.len()), (received(None), 1));
    }

    fn received(address: Option<Address>) -> Received {
        Received { address, is_truncated: false, is_control_truncated: false }
    }

    #[test]
    fn what_is_enclosed_stays_with_its_block_and_is_given_back() {
        let mut messages = Messages::default();
        let descriptor = std::fs::File::open("/dev/null").unwrap().into();
        let (with, without) = (messages.take(None).unwrap(), messages.take(None).unwrap());
        messages.enclose(with, Envelope::from(vec![descriptor]));
        messages.enclose(without, Envelope::default());
        let len = |messages: &Messages, number: u32| {
            // SAFETY: a live block, which nobody else uses.
            unsafe { (*messages.all[number as usize].as_ptr()).header.msg_controllen }
        };
        assert_eq!((len(&messages, with), len(&messages, without)), (control_len(1), 0));
        assert_eq!(messages.give_back(with).descriptors().len(), 1);
        assert_eq!(messages.take(None), Ok(with));
        assert_eq!(len(&messages, with), 0, "nothing of it is left");
        assert!(messages.give_back(with).descriptors().is_empty());
    }
}
