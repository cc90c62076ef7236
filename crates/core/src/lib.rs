//! The operating-system independent part of **proactor**, a completion-based event loop: you hand the loop an operation
//! that owns what it needs, and it calls you back once, when the operation is complete, and hands everything back.
//!
//! This crate makes no system call. It is written for those who use a loop, for those who write for several backends, and for
//! those who implement one.
//!
//! # If you use a loop
//! Depend on the crate of a backend, `proactor-epoll` or `proactor-uring`, not on this one: it is all of this crate, and
//! the [`Loop`] and [`Context`] over that backend, so that `Loop<B, S>` is written `Loop<S>`. The examples on these pages
//! run on `proactor-sim`, a simulator whose clock takes no time; with another crate's name in their `use` they run there.
//!
//! ```
//! use std::time::Duration;
//!
//! use proactor_sim::{Config, Context, Loop, RunMode, Timer};
//!
//! /// The program's own state, which every callback gets.
//! #[derive(Default)]
//! struct Program {
//!     rang: u32,
//! }
//!
//! fn alarm(cx: &mut Context<Program>) {
//!     cx.submit(Timer::after(Duration::from_secs(60)), |program, cx, expired| {
//!         assert_eq!(expired.result, Ok(()));
//!         program.rang += 1;
//!         if program.rang < 3 {
//!             alarm(cx);
//!         }
//!     });
//! }
//!
//! # fn main() -> std::io::Result<()> {
//! let mut ev = Loop::<Program>::open(Config::default())?;
//! alarm(&mut ev.context());
//! let mut program = Program::default();
//! ev.run(&mut program, RunMode::UntilDone)?;
//! assert_eq!(program.rang, 3);
//! # Ok(())
//! # }
//! ```
//!
//! - **[`Loop`]** runs; **[`Context`]** does everything else, in callbacks and before a run: submit, cancel, close, open
//!   sockets, stop.
//! - **Operations** are structs that own what they need: [`Nop`], [`Timer`], [`NotifierWait`], [`Accept`],
//!   [`AcceptMany`], [`Connect`], [`Recv`], [`RecvMany`], [`Send`], [`SendAll`], [`SendFile`], [`SendFileAll`], [`Splice`], [`Shutdown`],
//!   [`RecvFrom`], [`SendTo`], [`RecvMsg`], [`SendMsg`], [`Close`], [`Detach`], [`Work`], [`Resolve`]; on descriptors of any kind [`Read`], [`ReadExact`], [`Write`], [`WriteAll`], with several
//!   buffers [`ReadVectored`], [`ReadVectoredExact`], [`WriteVectored`], [`WriteVectoredAll`], and for
//!   other libraries [`Poll`], [`PollMany`]; of processes [`WaitChild`], [`Signals`]; on files
//!   [`OpenAt`], [`ReadAt`], [`WriteAt`], [`ReadVectoredAt`], [`ReadVectoredExactAt`], [`WriteVectoredAt`],
//!   [`WriteVectoredAllAt`], [`Fsync`], [`Fdatasync`], [`Truncate`], [`Allocate`], [`Statx`], and on their names
//!   [`Rename`], [`Link`], [`Symlink`], [`Unlink`], [`MakeDir`], [`RemoveDir`], [`ReadDir`]. The callback gets the matching outcome,
//!   for [`Recv`] a [`Received`], with all of it and the result.
//! - **Deadlines**: `with_timeout` and `with_deadline` of each operation make a [`WithDeadline`] of it, which ends with
//!   [`Error::TimedOut`].
//! - **What the pool does**: as much as has to be, or what [`Config::offload`](field@Config::offload) and an operation's `on_pool` say;
//!   [`Offload`], [`WithOffload`].
//! - **Names** are imported one by one: [`Send`], [`Read`], [`Write`] and others are called as std's are, and a `use` of all
//!   would hide the `Send` of a bound.
//! - **[`Handle`]** names a descriptor that the loop owns, **[`Key`]** a submitted operation. Both are `Copy`, and go
//!   stale rather than name something else; [`State`] says what a completion goes through.
//! - **[`Buffer`]** is the one type of owned bytes, **[`BufferPool`]** where a [`RecvMany`] takes its own from, **[`Error`]** the one type of errors.
//! - **[`Mailbox`]** takes messages from any thread to a callback; its [`MailboxSender`]s,
//!   **[`Notifier`]** and **[`Waker`]** are what other threads may hold of a loop; everything else stays on its thread.
//! - **[`Pool`]** is where what would block goes: a user's [`Work`], and what a backend cannot do otherwise.
//!
//! What all backends promise alike stands, numbered, in the project's `CONTRACT.md`; "contract C4" refers to it.
//!
//! # If you write for several backends
//! A library, or a program that chooses when it runs, depends on this crate. Its [`Loop`] and [`Context`] have the backend as a
//! parameter, of which [`Backend`] is the one bound; whatever else a backend's crate has is this one's, by the same name. Only who
//! opens a loop names a backend: `Epoll`, `Uring`, `Kqueue`, `Wasi` or `Sim`, the one type that its crate adds.
//!
//! ```
//! use std::io;
//! use std::time::Duration;
//!
//! use proactor_core::{Action, Backend, Config, Context, Expired, Loop, RunMode, Timer};
//! use proactor_sim::Sim;
//!
//! #[derive(Default)]
//! struct Program {
//!     ticks: u32,
//!     done: bool,
//! }
//!
//! const PERIOD: Duration = Duration::from_secs(1);
//!
//! /// The whole program, whichever the backend is.
//! fn run<B: Backend>(mut ev: Loop<B, Program>) -> io::Result<Program> {
//!     let mut program = Program::default();
//!     ev.context().submit_rearm(Timer::after(PERIOD), tick);
//!     ev.run(&mut program, RunMode::UntilDone)?;
//!     Ok(program)
//! }
//!
//! /// A callback: a function of its own, or, as below, a closure, which says nothing of the backend.
//! fn tick<B: Backend>(program: &mut Program, cx: &mut Context<'_, B, Program>, expired: Expired) -> Action<Timer> {
//!     program.ticks += 1;
//!     if expired.result.is_err() || program.ticks == 3 {
//!         cx.timer_after(PERIOD, |program, _cx| program.done = true);
//!         return Action::Disarm;
//!     }
//!     Action::Rearm(Timer::after(PERIOD))
//! }
//!
//! # fn main() -> io::Result<()> {
//! let program = run(Loop::<Sim, _>::open(Config::default())?)?;
//! assert_eq!((program.ticks, program.done), (3, true));
//! # Ok(())
//! # }
//! ```
//!
//! - Where one backend cannot be had, [`Loop::open`] says why, and the next one may be tried: `either`, of the project's example
//!   programs, takes io_uring where that opens, and epoll where not.
//! - [`Backend::NAME`] tells which one it is, [`Context::capabilities`] what it can do here. What it cannot is
//!   [`Error::Unsupported`], with everything handed back; a bound for it there is none.
//! - `Loop<B, S>` costs at run time what the backend's own `Loop<S>` does, which is the same type. What is compiled is
//!   compiled for each backend.
//!
//! # If you implement a backend
//! A mechanism that completes operations implements [`Backend`]: start an operation, cancel it, wait. The trait's page is
//! the numbered list of what an implementer **must** and **must not** do. It needs no unsafe code to implement or to
//! call, because a backend takes what the kernel may write to out of core's reach, by value, until it pushes the
//! [`Outcome`] into [`Done`]. What can only be done by blocking it hands to the loop's
//! pool of threads ([`Done::offload`]). A system that only says "ready" is served by `proactor-readiness`, which makes a `Backend` of it.
//!
//! [`Driver`] is the layer between: operations in, outcomes out, no callbacks. It has the completions, their order on
//! each handle, the timers and the notifiers, so that no backend has any of them. Runtimes may build on it.
//!
//! # Observing
//! [`Context::metrics`] counts what a loop does, at no cost worth a switch. With the feature `tracing`, of this crate or of a
//! backend's, each step is an event of the target `proactor` besides: at the level TRACE what is submitted, cancelled and
//! delivered (`kind`, `key`, `error`) and each turn (`turn`, `queued`), at DEBUG that a driver was opened (`backend`), at WARN what a
//! backend did against the rules of its trait (`kind`, `key`).
//!
//! # What is not here
//! No futures and no tasks: a proactor is not an async runtime. No readiness, but for what other libraries transfer:
//! [`Poll`] says that a descriptor could be read.
//! No system call and no `cfg(target_os)`: only what is no Unix (WASI) is told apart, which has no threads and no signals.
#![warn(missing_docs)]

mod backend;
mod buffer;
mod bytes;
mod callback;
mod child;
mod config;
mod context;
mod datagram;
mod deadline;
mod detach;
mod directory;
mod done;
mod driver;
mod elsewhere;
mod error;
mod event_loop;
mod fifo;
mod file;
mod handle;
mod handles;
mod mailbox;
mod message;
mod metrics;
mod names;
mod notifier;
mod offload;
mod operation;
mod os_str;
mod outcome;
mod path;
mod poll;
mod pool;
mod records;
mod recv_many;
mod resolve;
mod send_file;
mod signals;
mod socket;
mod splice;
mod state;
mod stream;
mod sync;
mod thread_pool;
mod time;
mod timers;
mod trace;
mod unix;
mod vectored;
mod work;

pub use backend::{Attempted, Backend, OwnedDescriptor, Token, Until, Wake};
pub use buffer::Buffer;
pub use bytes::{BytesRead, ExactRead, Read, ReadExact, Write, WriteAll, Written, WrittenAll};
pub use child::{ChildExited, ChildProcess, WaitChild};
pub use config::{Capabilities, Config};
pub use context::{Action, Again, Context, Event, Flow, Last};
pub use datagram::{Datagram, Peer, ReceivedFrom, RecvFrom, SendTo, SentTo};
pub use deadline::WithDeadline;
pub use detach::{Detach, Detached};
pub use directory::{DirEntries, DirEntry, DirRead, ReadDir};
pub use done::Done;
pub use driver::{AttachError, Cancel, Driver};
#[doc(hidden)]
pub use elsewhere::{Elsewhere, Home};
pub use error::Error;
pub use event_loop::{Loop, RunMode};
pub use file::{
    Access, Allocate, Allocated, Create, Fdatasync, Fdatasynced, Fsync, Fsynced, OpenAt, OpenOptions, Opened,
    ReadAt, ReadAtDone, Truncate, Truncated, WriteAt, WriteAtDone,
};
pub use handle::{Handle, Key, Slot};
pub use mailbox::{Delivery, Mailbox, MailboxSender, TrySendError};
pub use message::{Envelope, Message, ReceivedMsg, RecvMsg, SendMsg, SentMsg};
pub use metrics::{Completions, Metrics, Times};
pub use names::{
    DirMade, DirRemoved, FileType, Link, Linked, Links, MakeDir, Metadata, RemoveDir, Rename, Renamed, Statx,
    StatxDone, Symlink, Symlinked, Unlink, Unlinked,
};
pub use notifier::{Notifier, Waker};
pub use offload::{Offload, WithOffload};
pub use operation::{
    Close, Direction, Kind, Multishot, Nop, NotifierWait, OneShot, Operation, Submission, Target, Timer,
};
pub use outcome::{Closed, Expired, NopDone, Notified, Outcome};
pub use path::FilePath;
pub use poll::{Interest, Poll, PollMany, PollManyEnded, Polled, Readiness};
pub use pool::BufferPool;
#[doc(hidden)]
pub use pool::Dry;
pub use recv_many::{RecvMany, RecvManyEnded};
pub use resolve::{Resolve, Resolved};
pub use send_file::{FilePart, SendFile, SendFileAll, SentFile, SentFileAll};
pub use signals::{Signal, SignalSet, Signals, SignalsEnded};
pub use socket::{Address, Control, Family, ListenOptions, Membership, Reply, SocketKind, SocketOption};
pub use splice::{Splice, Spliced};
pub use state::State;
pub use stream::{
    Accept, AcceptMany, AcceptManyEnded, Accepted, Connect, Connected, Connection, Received, Recv, Send,
    SendAll, Sent, SentAll, ShutDown, Shutdown, ShutdownHow,
};
pub use thread_pool::{Call, Job, Pool, PoolChoice, PoolConfig, Returned};
pub use time::Time;
pub use unix::UnixAddress;
#[doc(hidden)]
pub use vectored::{Cut, Vectored};
pub use vectored::{
    IOV_MAX, ReadVectored, ReadVectoredAt, ReadVectoredAtDone, ReadVectoredExact, ReadVectoredExactAt,
    ReadVectoredExactAtDone, VectoredExactRead, VectoredRead, VectoredWritten, VectoredWrittenAll,
    WriteVectored, WriteVectoredAll, WriteVectoredAllAt, WriteVectoredAllAtDone, WriteVectoredAt,
    WriteVectoredAtDone,
};
pub use work::{AnyWork, Work, Worked};
