//! The entries of what moves bytes.

use std::os::fd::{AsRawFd, BorrowedFd};

use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use proactor_core::{Buffer, Kind};
use proactor_system::MAX_TRANSFER;

use crate::bytes;
use crate::open::Setup;

/// How transfers are done.
#[derive(Debug)]
pub(crate) struct Manner {
    /// MSG flags.
    pub(crate) recv: i32,
    pub(crate) send: i32,
    pub(crate) send_all: i32,
    /// What has a receive wait before it tries, where the kernel knows that.
    pub(crate) wait_first: u16,
}

impl Manner {
    /// The same for what stays within this machine. The kernel, told to wait with a datagram whose receiver has no room, sends
    /// an empty one in its place when there is: it has taken the bytes before it looked, and does not take them again. A stream
    /// whose receiver has none has one of the kernel's threads wait, and there a cancelled one was seen never to end (Linux
    /// 6.18). So it is told not to wait, and asked again when the socket has room.
    pub(crate) const fn impatient(&self) -> Self {
        let (send, send_all) = (self.send | libc::MSG_DONTWAIT, self.send | libc::MSG_DONTWAIT);
        Self { send, send_all, ..*self }
    }

    /// With a ring that was set up like this.
    pub(crate) fn with(setup: Setup) -> Self {
        /// IORING_RECVSEND_POLL_FIRST, which came together with cooperative task work.
        const POLL_FIRST: u16 = 1;
        // Kernels before 6.1 lose count of what a send has sent when they are asked to wait for all and then cancelled.
        let wait_all = if setup >= Setup::DeferTaskrun { libc::MSG_WAITALL } else { 0 };
        Self {
            recv: 0,
            send: libc::MSG_NOSIGNAL,
            send_all: libc::MSG_NOSIGNAL | wait_all,
            wait_first: if setup >= Setup::CooperativeTaskrun { POLL_FIRST } else { 0 },
        }
    }
}

/// What is left of a transfer.
pub(crate) struct Rest {
    pub(crate) kind: Kind,
    pub(crate) transferred: u32,
    /// Of a receive.
    pub(crate) options: u16,
    /// Of a read or a write.
    pub(crate) is_socket: bool,
}

/// The entry for the rest of a transfer. The buffer's bytes must be left alone until it has completed.
#[inline(always)]
pub(crate) fn transfer(
    buffer: &mut Buffer,
    descriptor: BorrowedFd<'_>,
    manner: &Manner,
    Rest { kind, transferred, options, is_socket }: Rest,
) -> squeue::Entry {
    let descriptor = Fd(descriptor.as_raw_fd());
    let left = buffer.len().saturating_sub(transferred as usize).min(MAX_TRANSFER) as u32;
    let first = buffer.as_mut_ptr().wrapping_add(transferred as usize);
    match kind {
        Kind::Recv => opcode::Recv::new(descriptor, first, left).ioprio(options).flags(manner.recv).build(),
        Kind::SendAll => opcode::Send::new(descriptor, first, left).flags(manner.send_all).build(),
        Kind::Send => opcode::Send::new(descriptor, first, left).flags(manner.send).build(),
        kind => bytes::entry(kind, is_socket, descriptor, (first, left), manner),
    }
}
