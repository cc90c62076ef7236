//! **proactor** over WASI's `poll_oneoff`: the backend for `wasm32-wasip1`.
//!
//! This crate is all of proactor's core with the loop of this backend; another backend's crate has the same names,
//! so that changing the backend is changing one `use`. The examples on their pages run on the simulator's crate,
//! `proactor-sim`, and here with this one's name.
//!
//! Build with `--target wasm32-wasip1`. Where that is left out, a program passes `cargo check`; `cargo build` ends with an error
//! that says which target it takes, where the program opens a loop.
//!
//! # What there is
//! Timers; notifiers, wakers and mailboxes within the instance; files and directories below those that whoever runs the program
//! has opened for it; the standard streams; and the sockets that were passed in: accepted from, received from, sent to, files
//! too ([`SendFile`]), shut down. A listener of std's goes into the loop like any descriptor:
//!
//! ```no_run
//! # fn serve(listener: std::net::TcpListener) -> std::io::Result<()> {
//! use proactor_wasi::{AcceptMany, Config, Event, Flow, Loop, RunMode};
//!
//! let mut ev = Loop::<usize>::open(Config::default())?;
//! let listener = ev.context().attach(listener)?;
//! ev.context().submit_multishot(AcceptMany { listener }, |connections, _cx, event| {
//!     *connections += usize::from(matches!(event, Event::More(_)));
//!     Flow::Continue
//! });
//! let mut connections = 0;
//! ev.run(&mut connections, RunMode::UntilDone)?;
//! # Ok(())
//! # }
//! ```
//!
//! What WASI does not have is [`Error::Unsupported`], with everything handed back, and
//! [`Capabilities`] tells before: opening sockets, and so connecting, and their options; datagrams, and messages with descriptors
//! ([`RecvMsg`], [`SendMsg`]); Unix sockets; pipes, terminals and other devices, beside the standard streams; asking what a
//! descriptor is ready for ([`Poll`], [`PollMany`]); child processes; signals; moving bytes between descriptors ([`Splice`]);
//! threads, and with them the pool. Operations on files are done at once, on the only thread there is; [`Work`] and [`Resolve`]
//! come back, unless the loop was opened [without a pool](Config::no_pool): then that thread does the work, and of hosts it
//! knows what is written out. A panic ends the program. Since nobody else could wake it, a loop that waits for a notifier alone
//! ends with [`Error::Deadlock`], whoever holds the notifier or a waker.
//!
//! # How it works
//! A list of what somebody waits for goes to the system with each wait, with the clock in it where the wait has an end. A
//! descriptor is in the list only while an operation waits on it, since the system would tell again and again what nobody
//! takes. What it tells is a hint, as everywhere: the call is tried, and waits again where there was nothing.
#![warn(missing_docs)]

#[cfg(any(test, target_os = "wasi"))]
mod batch;
#[cfg(target_os = "wasi")]
mod poller;

pub use proactor_core::*;

/// The backend over `poll_oneoff`.
#[cfg(target_os = "wasi")]
pub type Wasi = proactor_readiness::Readiness<poller::WasiPoller>;

/// The backend over `poll_oneoff`. Here, on another target, it is a type without values: what opens one is checked, and not built.
///
/// ```compile_fail
/// let ev = proactor_wasi::Loop::<()>::open(proactor_wasi::Config::default());
/// ```
///
/// ```no_run
/// let ev = proactor_wasi::Loop::<()>::open(proactor_wasi::Config::default());
/// ```
#[cfg(not(target_os = "wasi"))]
pub type Wasi = proactor_core::Elsewhere<OnWasi>;

/// What a program is told that opens a loop elsewhere.
#[cfg(not(target_os = "wasi"))]
#[doc(hidden)]
#[derive(Debug)]
pub struct OnWasi;

#[cfg(not(target_os = "wasi"))]
impl proactor_core::Home for OnWasi {
    const NAME: &'static str = "wasi";

    const TOLD_ELSEWHERE: &'static str = "proactor-wasi has a loop on WASI alone: build with `--target wasm32-wasip1`. The section \"WASI\" of \
         proactor's README says what that takes and how such a program is run.";
}

/// The loop over `poll_oneoff`; what it does is on the page of [`proactor_core::Loop`].
pub type Loop<S> = proactor_core::Loop<Wasi, S>;

/// What callbacks of the loop over `poll_oneoff` get; what it does is on the page of [`proactor_core::Context`].
pub type Context<'a, S> = proactor_core::Context<'a, Wasi, S>;

/// Operations in, outcomes out, over `poll_oneoff`.
pub type Driver = proactor_core::Driver<Wasi>;
