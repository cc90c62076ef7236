//! **proactor** over Linux's epoll: the backend for every Linux.
//!
//! This crate is all of proactor's core with the loop of this backend; another backend's crate has the same names,
//! so that changing the backend is changing one `use`.
//!
//! Each descriptor is registered once, edge-triggered for everything, when it comes into the loop, and removed when
//! it goes: no call changes a registration in between.
#![warn(missing_docs)]

mod poller;
#[cfg(test)]
mod tests;

pub use proactor_core::*;

/// The backend over epoll. Works on every kernel that Rust's standard library works on.
pub type Epoll = proactor_readiness::Readiness<poller::EpollPoller>;

/// The loop over epoll.
pub type Loop<S> = proactor_core::Loop<Epoll, S>;

/// What callbacks of the loop over epoll get.
pub type Context<'a, S> = proactor_core::Context<'a, Epoll, S>;

/// Operations in, outcomes out, over epoll.
pub type Driver = proactor_core::Driver<Epoll>;

/// The programs in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
