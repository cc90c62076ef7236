//! The operating-system independent part of **proactor**, a completion-based event loop.
#![warn(missing_docs)]

mod backend;
mod buffer;
mod callback;
mod cells;
mod config;
mod context;
mod done;
mod driver;
mod error;
mod event_loop;
mod handle;
mod handles;
mod notifier;
mod operation;
mod outcome;
mod socket;
mod state;
mod sync;
mod time;
mod timers;

pub use backend::{Backend, OwnedDescriptor, Token, Until, Wake};
pub use buffer::Buffer;
pub use config::{Capabilities, Config};
pub use context::{Action, Again, Context, Event, Flow, Last};
pub use done::Done;
pub use driver::{AttachError, Cancel, Driver};
pub use error::Error;
pub use event_loop::{Loop, RunMode};
pub use handle::{Handle, Key, Slot};
pub use notifier::{Notifier, Waker};
pub use operation::{
    Accept, AcceptMany, Close, Connect, Direction, Kind, Multishot, Nop, NotifierWait, OneShot, Operation,
    Recv, Send, SendAll, Shutdown, ShutdownHow, Submission, Target, Timer,
};
pub use outcome::{
    AcceptManyEnded, Accepted, Closed, Connected, Connection, Expired, NopDone, Notified, Outcome, Received,
    Sent, SentAll, ShutDown,
};
pub use socket::{Address, Control, Family, ListenOptions, Reply, SocketOption};
pub use state::State;
pub use time::Time;
