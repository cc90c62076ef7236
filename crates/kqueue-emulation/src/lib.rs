//! kqueue(2) on Linux, so that proactor's backend over it can be tested where there is no BSD.
//!
//! Written from what the manual pages of FreeBSD, macOS, NetBSD and OpenBSD say that all of them do, over epoll, descriptors
//! of processes and a handler of signals. It is an emulation: what passes here has not been run by a BSD.
//!
//! - A knote is named by its filter and identifier, and there is one of each. Those of descriptors go when their *number* is closed,
//!   also where a duplicate stays open.
//! - Knotes are level-triggered; `CLEAR`, `ONESHOT` and `DISPATCH` are what they are. What is told was true when it was told: a
//!   condition that has passed meanwhile is not.
//! - Changes are applied in order. One that fails, or asks for a `RECEIPT`, is answered in the list of events where there is
//!   room, and then nothing is waited for; where there is none, the call fails and the rest of the changes is not applied.
//! - Filters: `Read`, `Write` and `Except` of descriptors, `User`, `Process` (its end), `Signal`.
//!
//! # What is different
//! - The number of a socket's error cannot be had without taking it from the socket: `fflags` says `EIO` for each.
//! - How many connections wait at a listener is known of TCP alone; of others, `data` says one.
//! - A number that is closed, and then the duplicate of the same open file, is taken to have been open all the time.
//! - A signal is told only from a handler, which is set for as long as its knote exists; what the process has set meanwhile is
//!   not called, unless it is by `proactor-system`, which knows of the two.
//! - Of a process that has ended already, knotes are refused with ESRCH, as on macOS, NetBSD and OpenBSD.
//! - Regular files and directories are ready to be read when they are not at their end, and nothing tells that they become so.
#![cfg(target_os = "linux")]
#![warn(missing_docs)]

mod kevent;
#[cfg(libkqueue)]
mod libkqueue;
#[cfg(not(libkqueue))]
mod queue;
#[cfg(not(libkqueue))]
mod source;
#[cfg(not(libkqueue))]
mod state;

pub use kevent::{
    ADD, CLEAR, DELETE, DISABLE, DISPATCH, ENABLE, EOF, ERROR, Filter, Kevent, NOTE_EXIT, NOTE_FFCOPY,
    NOTE_FFOR, NOTE_OOB, NOTE_TRIGGER, ONESHOT, RECEIPT, TELLS_URGENT_DATA,
};
#[cfg(libkqueue)]
pub use libkqueue::{Kqueue, NAME, interrupt_next, interruptions_left, lack_user_events, refuse_next};
#[cfg(not(libkqueue))]
pub use queue::{Kqueue, NAME, interrupt_next, interruptions_left, lack_user_events, refuse_next};
