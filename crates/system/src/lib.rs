//! The synchronous system calls that proactor's backends share, over rustix: what they have in common stands here
//! once, so that a call means the same on every one of them.
//!
//! Everything takes a borrowed descriptor, answers with core's [`Error`](proactor_core::Error), repeats interrupted
//! calls in one place, and never blocks, but for [`close`], [`do_file`] and the jobs of [`close_job`], [`file_job`] and [`resolve`]; what would block says [`Poll::Pending`](std::task::Poll).
//!
//! This crate is part of the backends. Users of the library have no need of it.
#![warn(missing_docs)]

#[cfg(unix)]
mod bytes;
mod call;
#[cfg(unix)]
mod child;
#[cfg(unix)]
mod clock;
mod close;
#[cfg(unix)]
mod datagram;
mod descriptor;
mod directory;
mod ended;
mod file;
#[cfg(unix)]
mod message;
#[cfg(unix)]
mod options;
#[cfg(unix)]
mod poll;
#[cfg(unix)]
mod probe;
mod resolve;
mod send_file;
#[cfg(unix)]
mod signals;
#[cfg(target_os = "linux")]
mod sigpipe;
#[cfg(unix)]
mod socket;
mod splice;
#[cfg(target_os = "linux")]
mod udp;
#[cfg(unix)]
mod unix;
mod vectored;
#[cfg(target_os = "linux")]
mod waker;
#[cfg(target_os = "wasi")]
mod wasi;

#[cfg(unix)]
pub use bytes::{ASKS_FIRST, read, write};
#[cfg(unix)]
pub use child::try_wait;
#[cfg(target_os = "linux")]
pub use child::{has_process_descriptors, process_descriptor};
#[cfg(unix)]
pub use clock::now;
pub use close::{close, close_job};
#[cfg(all(unix, not(target_os = "linux")))]
pub use datagram::receive_udp;
#[cfg(unix)]
pub use datagram::{Message, has_room, receive_from, send_to};
#[cfg(unix)]
pub use descriptor::descriptor_kind;
pub use descriptor::{DescriptorKind, Mode, Transport, set_mode};
pub use ended::{has_ended, receive_nothing};
pub use file::{
    Now, check_positions, directory_mode, do_file, file_job, is_direct, open_flags, read_now, write_now,
};
#[cfg(target_os = "linux")]
pub use file::{STATX_MASK, fill_metadata, statx_flags};
#[cfg(unix)]
pub use message::{check_to_send, put_into, receive_message, send_message};
#[cfg(unix)]
pub use poll::poll_now;
#[cfg(target_os = "linux")]
pub use poll::{can_poll, poll_flags, readiness, take_change, watch_alone};
#[cfg(unix)]
pub use probe::probe;
pub use resolve::resolve;
pub use send_file::{FileSent, check_to_send_file, is_decided, send_file, send_file_job};
#[cfg(unix)]
pub use signals::HeldSignals;
#[cfg(target_os = "linux")]
pub use signals::SignalWatch;
#[cfg(unix)]
pub use socket::{
    SOCKETS_ARE, accept, address_from_system, address_to_system, connect, connect_result, control,
    has_family, open_socket, open_stream, peer_address, receive, send, shutdown,
};
pub use splice::{SpliceStep, check_to_splice, splice};
#[cfg(target_os = "linux")]
pub use udp::receive_udp;
pub use vectored::transfer_vectored_now;
#[cfg(unix)]
pub use vectored::{read_vectored, receive_vectored, send_vectored, write_vectored};
#[cfg(target_os = "linux")]
pub use waker::EventWaker;
#[cfg(target_os = "wasi")]
pub use wasi::*;

/// The largest number of bytes that one system call takes on every system (contract R4): 2 GiB less a page. Lengths
/// above are clamped to it.
pub const MAX_TRANSFER: usize = 0x7fff_f000;
