//! What the connection-churn floor asks of io_uring: entries linked to each other, so that a connection takes as few
//! rounds as the kernel allows. What is unsafe about it, in one place and without cost.
//!
//! As in `ring.rs`, memory is leaked [`Block`]s, moved away while the kernel has them. A descriptor that is to be closed
//! by the ring is given up when that is queued.
#![allow(unsafe_code)]

use std::net::SocketAddrV4;

use io_uring::types::Fd;
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use rustix::io::Errno;

use super::ring::{Block, Ring};
use crate::measurement::Result;

/// An IPv4 address in the kernel's form: family, port, address, padding.
type SocketAddress = [u8; 16];

/// A connection's one byte, leaked.
pub(crate) type ByteBlock = Block<[u8; 1]>;

/// What an entry is, in its user data; what is not in a block's has no memory.
const RECEIVE: u64 = 0;
const SEND: u64 = 1;
const ACCEPT: u64 = 2;
const LINK: u64 = 3;

/// What has completed.
pub(crate) enum Event {
    Accepted(OwnedFd),
    /// A connection's byte, or why there is none.
    Received(ByteBlock, i32),
    Sent(ByteBlock, i32),
    /// No more connections are accepted until that is asked for again.
    AcceptEnded,
}

/// A ring for connections to one address.
pub(crate) struct ChurnRing {
    ring: IoUring,
    address: &'static SocketAddress,
}

impl ChurnRing {
    /// # Errors
    /// What the kernel answers.
    pub(crate) fn open(entries: u32, address: SocketAddrV4) -> Result<Self> {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&(rustix::net::AddressFamily::INET.as_raw()).to_ne_bytes());
        bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
        bytes[4..8].copy_from_slice(&address.ip().octets());
        let ring = <Ring>::open(entries)?.into_inner();
        Ok(Self { ring, address: Box::leak(Box::new(bytes)) })
    }

    /// Accepts connections for as long as the kernel likes.
    pub(crate) fn accept(&mut self, listener: BorrowedFd<'_>) -> Result<()> {
        self.push(opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).build().user_data(ACCEPT))
    }

    /// Connects, sends the byte, closes: one after the other, without another word from here.
    pub(crate) fn connect_send_close(&mut self, socket: OwnedFd, block: ByteBlock) -> Result<()> {
        let descriptor = Fd(socket.into_raw_fd());
        let address = self.address.as_ptr().cast();
        let connect = opcode::Connect::new(descriptor, address, self.address.len() as u32).build();
        self.push(connect.flags(squeue::Flags::IO_LINK | squeue::Flags::SKIP_SUCCESS).user_data(LINK))?;
        let send = opcode::Send::new(descriptor, block.message().as_ptr(), 1).build();
        let send = send.flags(squeue::Flags::IO_HARDLINK).user_data(block.into_user_data(SEND));
        self.push(send)?;
        self.push_close(descriptor)
    }

    /// Receives the byte, closes.
    pub(crate) fn receive_close(&mut self, socket: OwnedFd, mut block: ByteBlock) -> Result<()> {
        let descriptor = Fd(socket.into_raw_fd());
        let receive = opcode::Recv::new(descriptor, block.message_mut().as_mut_ptr(), 1).build();
        let receive = receive.flags(squeue::Flags::IO_HARDLINK).user_data(block.into_user_data(RECEIVE));
        self.push(receive)?;
        self.push_close(descriptor)
    }

    fn push_close(&mut self, descriptor: Fd) -> Result<()> {
        let close = opcode::Close::new(descriptor).build();
        self.push(close.flags(squeue::Flags::SKIP_SUCCESS).user_data(LINK))
    }

    fn push(&mut self, entry: squeue::Entry) -> Result<()> {
        // SAFETY: what an entry names is the leaked address, which is only read, or a block that was moved into it, which
        // stays valid and unshared until its completion (module docs).
        let pushed = unsafe { self.ring.submission().push(&entry) };
        pushed.map_err(|_| "the ring was opened with room for all that a turn queues".into())
    }

    /// Submits what was queued and waits until something has completed; a signal only ends it early.
    ///
    /// # Errors
    /// What the kernel answers.
    pub(crate) fn enter(&mut self) -> Result<()> {
        match self.ring.submit_and_wait(1) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The next completion.
    ///
    /// # Errors
    /// That of a connect, a close or an accept that has failed.
    pub(crate) fn next(&mut self) -> Result<Option<Event>> {
        let Some(entry) = self.ring.completion().next() else { return Ok(None) };
        let result = entry.result();
        let event = match entry.user_data() {
            ACCEPT if result >= 0 => {
                // SAFETY: the kernel has opened it for this completion, which is taken once.
                Event::Accepted(unsafe { OwnedFd::from_raw_fd(result) })
            }
            ACCEPT if !cqueue::more(entry.flags()) && result == -Errno::AGAIN.raw_os_error() => {
                Event::AcceptEnded
            }
            ACCEPT | LINK => return Err(std::io::Error::from_raw_os_error(-result).into()),
            data => {
                // SAFETY: all other entries carry a block's address and one of two marks, and have one completion.
                let (block, mark) =
                    unsafe { ByteBlock::from_user_data(data) }.ok_or("a completion of nothing")?;
                if mark == SEND { Event::Sent(block, result) } else { Event::Received(block, result) }
            }
        };
        Ok(Some(event))
    }
}
