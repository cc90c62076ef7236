//! Turns a readiness poller, whose system says "ready" where a proactor wants "done", into a
//! [`Backend`](proactor_core::Backend): try the call, wait until the descriptor is ready, try again.
//!
//! A [`Poller`] is all that a mechanism has to bring; what stands here is the same for all of them.
//!
//! - A descriptor is registered once, when it comes, with everything edge-triggered, and removed when it goes.
//! - An operation is tried when it starts, unless its direction is known to be *drained*: the last call would have
//!   blocked, and no edge came since. A short read says the same without a second call, but only on TCP, and only
//!   while nothing but bytes has ever come: with a hang-up, an error or urgent data in the same edge there may be
//!   more to read and no further edge to say so.
//! - What cannot be done yet stays where core keeps it, and its token waits here, at most one per direction, to be
//!   tried again after each edge.
//! - What only asks (polls) waits in any number beside those two, and what waits for no descriptor of the user's (child
//!   processes, signals) has a registration of its own.
//!
//! This crate is part of the backends. Users of the library have no need of it.
#![warn(missing_docs)]

mod backend;
mod bytes;
mod datagram;
mod elsewhere;
mod ended;
mod files;
mod held;
mod message;
mod poller;
mod polls;
mod read;
mod recv_many;
mod send_file;
mod source;
mod splice;
mod table;
#[cfg(test)]
mod tests;
mod vectored;
mod write;

pub use backend::Readiness;
pub use poller::{Batch, Event, Poller, Registration, Signs, Wanted, Watch, WatchSignals};
