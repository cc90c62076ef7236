//! The operating-system independent part of **proactor**, a completion-based event loop.
#![warn(missing_docs)]

mod backend;
mod buffer;
mod config;
mod done;
mod error;
mod handle;
mod handles;
mod notifier;
mod operation;
mod outcome;
mod socket;
mod sync;
mod time;

pub use backend::{Backend, OwnedDescriptor, Token, Until, Wake};
pub use buffer::Buffer;
pub use config::{Capabilities, Config};
pub use done::Done;
pub use error::Error;
pub use handle::{Handle, Key, Slot};
pub use notifier::{Notifier, Waker};
pub use operation::{
    Accept, AcceptMany, Close, Connect, Direction, Multishot, Nop, NotifierWait, OneShot, Operation, Recv,
    Send, SendAll, Shutdown, ShutdownHow, Submission, Target, Timer,
};
pub use outcome::{
    AcceptManyEnded, Accepted, Closed, Connected, Connection, Expired, NopDone, Notified, Outcome, Received,
    Sent, SentAll, ShutDown,
};
pub use socket::{Address, Control, Family, ListenOptions, Reply, SocketOption};
pub use time::Time;
