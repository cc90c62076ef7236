//! An io_uring for the floor of datagrams: what is unsafe about it, in one place and without cost.
//!
//! Memory that the kernel reads and writes is a [`Packet`]: leaked, so that it outlives any operation, and moved into
//! the ring by the call that queues an operation on it, so that nobody else can look at it until its completion hands
//! it back. It is reached through pointers, since it points to itself.
#![allow(unsafe_code)]

use std::net::SocketAddrV4;
use std::ptr::{self, NonNull};

use io_uring::types::Fd;
use io_uring::{IoUring, opcode, squeue};
use rustix::fd::{AsRawFd, BorrowedFd};

use super::ring::{Ring, Tag};
use crate::measurement::Result;
use crate::sockets::{MESSAGE_BYTES, Message};

/// Low bits of a packet's address, free to carry what its operation is.
const TAG_BITS: u64 = 63;

const ADDRESS_BYTES: libc::socklen_t = size_of::<libc::sockaddr_in>() as libc::socklen_t;

#[repr(C, align(64))]
struct Memory {
    header: libc::msghdr,
    bytes: libc::iovec,
    address: libc::sockaddr_in,
    message: Message,
    index: usize,
}

/// A message with the address of its other end, and the index of the end that it belongs to; owned by whoever holds it.
pub(crate) struct Packet(NonNull<Memory>);

impl Packet {
    /// Leaks a packet for the end with this index, whose first message goes to `address`.
    pub(crate) fn leak(index: usize, address: SocketAddrV4) -> Self {
        let address = libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: address.port().to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
            sin_zero: [0; 8],
        };
        let bytes = libc::iovec { iov_base: ptr::null_mut(), iov_len: MESSAGE_BYTES };
        // SAFETY: a header is numbers and pointers, for which zeros are values.
        let header = unsafe { std::mem::zeroed() };
        let memory = Memory { header, bytes, address, message: [0; MESSAGE_BYTES], index };
        let packet = Packet(NonNull::from(Box::leak(Box::new(memory))));
        let memory = packet.0.as_ptr();
        // SAFETY: a field's address within leaked memory (module docs).
        let message = unsafe { &raw mut (*memory).message };
        // SAFETY: as above.
        let address = unsafe { &raw mut (*memory).address };
        // SAFETY: as above.
        let bytes = unsafe { &raw mut (*memory).bytes };
        // SAFETY: nobody else knows the memory yet.
        unsafe { (*bytes).iov_base = message.cast() };
        // SAFETY: as above.
        let header = unsafe { &raw mut (*memory).header };
        // SAFETY: as above.
        unsafe { (*header).msg_name = address.cast() };
        // SAFETY: as above.
        unsafe { (*header).msg_iov = bytes };
        // SAFETY: as above.
        unsafe { (*header).msg_iovlen = 1 };
        packet
    }

    #[inline]
    pub(crate) fn index(&self) -> usize {
        // SAFETY: the memory is leaked, hence valid, and no operation has it while this packet exists (module docs).
        unsafe { (*self.0.as_ptr()).index }
    }

    #[inline]
    pub(crate) fn message(&self) -> &Message {
        // SAFETY: as above, and it is borrowed as long as the packet is.
        unsafe { &(*self.0.as_ptr()).message }
    }

    #[inline]
    pub(crate) fn message_mut(&mut self) -> &mut Message {
        // SAFETY: as above, and the packet is borrowed exclusively.
        unsafe { &mut (*self.0.as_ptr()).message }
    }

    /// Whether the message that was received into it was longer than the room for it.
    #[inline]
    pub(crate) fn is_cut(&self) -> bool {
        // SAFETY: as above.
        let flags = unsafe { (*self.0.as_ptr()).header.msg_flags };
        flags & libc::MSG_TRUNC != 0
    }

    /// The header, with room for an address, or with one.
    #[inline]
    fn header(&mut self) -> *mut libc::msghdr {
        // SAFETY: a field's address within leaked memory, which no operation has while this packet exists.
        let header = unsafe { &raw mut (*self.0.as_ptr()).header };
        // SAFETY: as above.
        unsafe { (*header).msg_namelen = ADDRESS_BYTES };
        header
    }
}

/// A ring on which nothing but packets is used.
pub(crate) struct PacketRing(IoUring);

impl PacketRing {
    /// Opens a ring that only the calling thread may use.
    ///
    /// # Errors
    /// What the kernel answers: too old, forbidden, or out of memory.
    pub(crate) fn open(entries: u32) -> Result<Self> {
        Ok(PacketRing(Ring::<MESSAGE_BYTES>::open(entries)?.into_inner()))
    }

    /// Queues receiving a datagram into `packet`, and the address that it comes from.
    #[inline]
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>, mut packet: Packet) {
        let entry = opcode::RecvMsg::new(Fd(socket.as_raw_fd()), packet.header()).build();
        self.push(entry, packet, Tag::Receive);
    }

    /// Queues sending the message of `packet` to the address that is in it.
    #[inline]
    pub(crate) fn send(&mut self, socket: BorrowedFd<'_>, mut packet: Packet) {
        let entry = opcode::SendMsg::new(Fd(socket.as_raw_fd()), packet.header()).build();
        self.push(entry, packet, Tag::Send);
    }

    #[inline]
    fn push(&mut self, entry: squeue::Entry, packet: Packet, tag: Tag) {
        let data = packet.0.as_ptr().expose_provenance() as u64 | tag as u64;
        // SAFETY: the entry names the memory of a packet that was moved here and is leaked, so it stays valid and
        // unshared until its completion (module docs).
        let pushed = unsafe { self.0.submission().push(&entry.user_data(data)) };
        assert!(pushed.is_ok(), "a floor opens its ring with room for all that it queues in a turn");
    }

    /// Submits what was queued and waits until something has completed; a signal only ends it early.
    ///
    /// # Errors
    /// What the kernel answers.
    #[inline]
    pub(crate) fn enter(&mut self) -> Result<()> {
        match self.0.submit_and_wait(1) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The next completion: the packet, what was done with it, and the result.
    #[inline]
    pub(crate) fn next_packet(&mut self) -> Option<(Packet, Tag, i32)> {
        let entry = self.0.completion().next()?;
        let address = (entry.user_data() & !TAG_BITS) as usize;
        // Each entry carries a packet, and has one completion.
        let packet = Packet(NonNull::new(ptr::with_exposed_provenance_mut(address))?);
        let tag = if entry.user_data() & TAG_BITS == Tag::Send as u64 { Tag::Send } else { Tag::Receive };
        Some((packet, tag, entry.result()))
    }
}
