//! **proactor** over Linux's io_uring: the backend whose operations the kernel itself completes.
//!
//! This crate is all of proactor's core with the loop of this backend; another backend's crate has the same names,
//! so that changing the backend is changing one `use`.
//!
//! It needs Linux 5.13 or later, and permission: [`Loop::open`] fails with what is in the way, and what can be done
//! about it, where containers or administrators forbid io_uring. Later kernels do the same with less work; what they
//! can do is probed when a ring is opened.
#![warn(missing_docs)]

mod address;
mod backend;
mod bytes;
mod datagram;
mod descriptors;
mod enclosed;
mod ended;
mod file_requests;
mod files;
mod message;
mod open;
mod poll_requests;
mod polls;
mod pools;
mod read;
mod recv_many;
mod requests;
mod ring;
mod send_file;
mod shown;
mod splice;
mod statx;
#[cfg(test)]
mod tests;
mod transfer;
mod vectored;
mod vectors;
mod write;

pub use backend::Uring;
pub use proactor_core::*;

/// The loop over io_uring; what it does is on the page of [`proactor_core::Loop`].
pub type Loop<S> = proactor_core::Loop<Uring, S>;

/// What callbacks of the loop over io_uring get; what it does is on the page of [`proactor_core::Context`].
pub type Context<'a, S> = proactor_core::Context<'a, Uring, S>;

/// Operations in, outcomes out, over io_uring.
pub type Driver = proactor_core::Driver<Uring>;
