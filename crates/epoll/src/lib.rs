//! **proactor** over Linux's epoll: the backend for every Linux.
//!
//! This crate is all of proactor's core with the loop of this backend; another backend's crate has the same names,
//! so that changing the backend is changing one `use`. The examples on their pages run on the simulator's crate,
//! `proactor-sim`, and here with this one's name. The project's README begins with an echo server.
//!
//! Sockets and other descriptors of std's go into the loop and come out again:
//!
//! ```
//! use std::io::Read;
//! use std::net::{TcpListener, TcpStream};
//!
//! use proactor_epoll::{Buffer, Config, Loop, RunMode, SendAll};
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
//! # How it works
//! Each descriptor is registered once, edge-triggered for everything, when it comes into the loop, and removed when
//! it goes: no call changes a registration in between. A socket that the loop has opened itself is not even removed where the
//! loop closes it, since the system does that as the last who has it closes it.
//!
//! Of files epoll says nothing. What is in the system's cache is read and written at once, on the loop's thread
//! (RWF_NOWAIT); what would have to wait for the disk, and every other operation on files and names, is done by a thread of
//! the loop's pool.
#![warn(missing_docs)]

#[cfg(not(any(target_os = "linux", target_os = "android")))]
compile_error!(
    "proactor-epoll is for Linux: on macOS and the BSDs it is proactor-kqueue, on WASI proactor-wasi"
);

#[cfg(test)]
mod own_tests;
mod poller;
#[cfg(test)]
#[path = "../../readiness/poller-tests/mod.rs"]
mod tests;

#[cfg(test)]
use poller::EpollPoller as TestedPoller;

pub use proactor_core::*;

/// The backend over epoll. Works on every kernel that Rust's standard library works on.
pub type Epoll = proactor_readiness::Readiness<poller::EpollPoller>;

/// The loop over epoll; what it does is on the page of [`proactor_core::Loop`].
pub type Loop<S> = proactor_core::Loop<Epoll, S>;

/// What callbacks of the loop over epoll get; what it does is on the page of [`proactor_core::Context`].
pub type Context<'a, S> = proactor_core::Context<'a, Epoll, S>;

/// Operations in, outcomes out, over epoll.
pub type Driver = proactor_core::Driver<Epoll>;

/// The programs in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
