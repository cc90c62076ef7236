//! WASI, preview 1: what it has of sockets and of waiting, and what it lacks.
//!
//! A program gets its sockets from whoever runs it, so there is nothing to open one with, and no flag keeps a single call
//! from waiting: a socket is made non-blocking for good. Reading and writing are those of files.

mod absent;
mod ahead;
mod bytes;
mod calls;
mod clock;
mod descriptor;
mod oneoff;
mod poll;
mod probe;
mod socket;

pub use absent::{
    Message, SignalWatch, check_to_send, connect, connect_result, control, has_family, has_room, open_socket,
    receive_from, receive_message, receive_udp, send_message, send_to, try_wait,
};
pub(crate) use bytes::one_by_one;
pub use bytes::{ASKS_FIRST, read, read_vectored, receive_vectored, send_vectored, write, write_vectored};
pub(crate) use calls::read_directory;
pub use clock::now;
pub use descriptor::descriptor_kind;
pub use oneoff::{Happened, Subscription, poll_oneoff};
pub use poll::poll_now;
pub use probe::probe;
pub use socket::{SOCKETS_ARE, accept, receive, send, shutdown};
