//! **proactor** over kqueue: the backend for macOS, FreeBSD, NetBSD, OpenBSD and DragonFly BSD, 64-bit.
//!
//! This crate is all of proactor's core with the loop of this backend; another backend's crate has the same names,
//! so that changing the backend is changing one `use`. The examples on their pages run on the simulator's crate,
//! `proactor-sim`, and here with this one's name. The project's README begins with an echo server over epoll.
//!
//! On Linux, which has no kqueue, programs over it can be checked and not built: the error names the systems that have it, where
//! the program opens its loop. The tests of this crate run there against an emulation.
//!
//! Sockets and other descriptors of std's go into the loop and come out again:
//!
#![cfg_attr(target_os = "linux", doc = "```text")]
#![cfg_attr(not(target_os = "linux"), doc = "```")]
//! use std::io::Read;
//! use std::net::{TcpListener, TcpStream};
//!
//! use proactor_kqueue::{Buffer, Config, Loop, RunMode, SendAll};
//!
//! # fn main() -> std::io::Result<()> {
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let socket = TcpStream::connect(listener.local_addr()?)?;
//! let (mut peer, _address) = listener.accept()?;
//!
//! let mut ev = Loop::<usize>::open(Config::default())?;
//! let handle = ev.context().attach(socket)?;
//! ev.context().submit(SendAll { handle, buffer: Buffer::from(b"hello") }, |bytes, _cx, sent| {
//!     assert_eq!(sent.result, Ok(()));
//!     *bytes = sent.transferred;
//! });
//! let mut bytes = 0;
//! ev.run(&mut bytes, RunMode::UntilDone)?;
//! assert_eq!(bytes, 5);
//!
//! let socket = TcpStream::from(ev.context().detach(handle)?);
//! drop(socket);
//! let mut text = String::new();
//! peer.read_to_string(&mut text)?;
//! assert_eq!(text, "hello");
//! # Ok(())
//! # }
//! ```
//!
//! # What is not there
//! [`Splice`]: none of these systems moves bytes between a pipe and another stream. It ends with [`Error::Unsupported`],
//! everything handed back, as [`Capabilities::splicing`] foretells. Nor are abstract names of Unix sockets, which are Linux's alone.
//!
//! Nor does a Unix datagram wait for a receiver that is full: as the pages of these systems have it, the sender is told at once
//! (ENOBUFS), and may try again later. It has not been run on their kernels.
//!
//! # How it works
//! Each descriptor is registered once, with each filter that is of use, edge-triggered (EV_CLEAR), when it comes into the
//! loop, and removed when it goes: no call changes a registration in between. Each change is answered (EV_RECEIPT), so that
//! what is wrong with a descriptor is told to whoever brings it.
//!
//! Regular files are not registered: of those kqueue says that they can be read until their end, and then nothing. What is
//! done on files and names is done by a thread of the loop's pool.
//!
//! On macOS, as other projects report, the kernel tells nobody who waits on a pipe *by name* (mkfifo(1)) that its other end
//! has gone. Give such a wait a deadline.
#![warn(missing_docs)]

#[cfg(test)]
mod own_tests;
#[cfg(any(test, not(target_os = "linux")))]
#[cfg_attr(target_os = "linux", allow(unreachable_pub, reason = "the aliases that show it are not there"))]
mod poller;
#[cfg(all(test, target_os = "linux"))]
mod refusal_tests;
#[cfg(any(test, not(target_os = "linux")))]
#[cfg_attr(target_os = "linux", allow(unreachable_pub, reason = "the aliases that show it are not there"))]
mod signals;
#[cfg(not(target_os = "linux"))]
mod sys;
#[cfg(test)]
#[path = "../../readiness/poller-tests/mod.rs"]
mod tests;

#[cfg(test)]
use poller::KqueuePoller as TestedPoller;
#[cfg(all(test, target_os = "linux"))]
use proactor_kqueue_emulation as sys;

pub use proactor_core::*;

/// The backend over kqueue.
#[cfg(not(target_os = "linux"))]
pub type Kqueue = proactor_readiness::Readiness<poller::KqueuePoller>;

/// The backend over kqueue. Here, where there is none, it is a type without values: what opens one is checked, and not built.
///
/// ```compile_fail
/// let ev = proactor_kqueue::Loop::<()>::open(proactor_kqueue::Config::default());
/// ```
///
/// ```no_run
/// let ev = proactor_kqueue::Loop::<()>::open(proactor_kqueue::Config::default());
/// ```
#[cfg(target_os = "linux")]
pub type Kqueue = proactor_core::Elsewhere<OnKqueue>;

/// The loop over kqueue.
pub type Loop<S> = proactor_core::Loop<Kqueue, S>;

/// What callbacks of the loop over kqueue get.
pub type Context<'a, S> = proactor_core::Context<'a, Kqueue, S>;

/// Operations in, outcomes out, over kqueue.
pub type Driver = proactor_core::Driver<Kqueue>;

/// What a program is told that opens a loop elsewhere.
#[cfg(target_os = "linux")]
#[doc(hidden)]
#[derive(Debug)]
pub struct OnKqueue;

#[cfg(target_os = "linux")]
impl proactor_core::Home for OnKqueue {
    const NAME: &'static str = "kqueue";

    const TOLD_ELSEWHERE: &'static str = "proactor-kqueue has a loop on macOS, FreeBSD, NetBSD, OpenBSD and DragonFly BSD alone: on Linux it is \
         proactor-epoll or proactor-uring.";
}
