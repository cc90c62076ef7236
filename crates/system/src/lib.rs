//! The synchronous system calls that proactor's backends share, over rustix: what they have in common stands here
//! once, so that a call means the same on every one of them.
//!
//! Everything takes a borrowed descriptor, answers with core's [`Error`](proactor_core::Error), repeats interrupted
//! calls in one place, and never blocks, but for [`close`], [`do_file`] and the jobs of [`close_job`], [`file_job`] and [`resolve`]; what would block says [`Poll::Pending`](std::task::Poll).
//!
//! This crate is part of the backends. Users of the library have no need of it.
#![warn(missing_docs)]

mod bytes;
mod call;
#[cfg(target_os = "linux")]
mod child;
mod clock;
mod close;
mod datagram;
mod descriptor;
#[cfg(target_os = "linux")]
mod directory;
#[cfg(target_os = "linux")]
mod file;
mod message;
mod options;
#[cfg(target_os = "linux")]
mod poll;
mod resolve;
#[cfg(target_os = "linux")]
mod send_file;
mod signals;
#[cfg(target_os = "linux")]
mod sigpipe;
mod socket;
mod unix;
#[cfg(target_os = "linux")]
mod vectored;
#[cfg(target_os = "linux")]
mod waker;

pub use bytes::{read, write};
#[cfg(target_os = "linux")]
pub use child::{has_process_descriptors, process_descriptor, try_wait};
pub use clock::now;
pub use close::{close, close_job};
pub use datagram::{Message, has_room, receive_from, send_to};
pub use descriptor::{DescriptorKind, Mode, Transport, descriptor_kind, set_mode};
#[cfg(target_os = "linux")]
pub use file::{
    Now, STATX_MASK, check_positions, directory_mode, do_file, file_job, fill_metadata, is_direct,
    open_flags, read_now, statx_flags, write_now,
};
pub use message::{check_to_send, put_into, receive_message, send_message};
#[cfg(target_os = "linux")]
pub use poll::{can_poll, poll_flags, poll_now, readiness, take_change, watch_alone};
pub use resolve::resolve;
#[cfg(target_os = "linux")]
pub use send_file::{FileSent, is_decided, send_file, send_file_job};
pub use signals::HeldSignals;
#[cfg(target_os = "linux")]
pub use signals::SignalWatch;
pub use socket::{
    MAX_TRANSFER, accept, address_from_system, address_to_system, connect, connect_result, control,
    has_family, open_socket, open_stream, peer_address, receive, send, shutdown,
};
#[cfg(target_os = "linux")]
pub use vectored::{read_vectored, receive_vectored, send_vectored, transfer_vectored_now, write_vectored};
#[cfg(target_os = "linux")]
pub use waker::EventWaker;
