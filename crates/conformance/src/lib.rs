//! The contract as cases, generic over the backend, and the program that runs them on one.
//!
//! Each backend's crate has a test program `conformance`, without the standard harness, of a few lines:
//!
//! ```no_run
//! use proactor_sim::Sim;
//!
//! #[global_allocator]
//! static ALLOCATOR: proactor_conformance::CountingAllocator = proactor_conformance::CountingAllocator;
//!
//! fn main() -> std::process::ExitCode {
//!     proactor_conformance::main::<Sim>()
//! }
//! ```
//!
//! A [`Case`] is data: its name, the rules of the contract that it proves, the capabilities that it needs, and a
//! function, generic over the backend, that panics where the rule does not hold. The program runs each on a thread of
//! its own and asks afterwards whether descriptors, threads and memory are where they were. What is expected where is
//! checked in, in `expected.txt`; a deviation in either direction is a failure.

#![cfg_attr(
    not(unix),
    allow(unused_imports, dead_code, reason = "what only Unix has is left out, function by function")
)]

#[macro_use]
mod body;

mod allocator;
mod apart;
mod arguments;
mod baseline;
mod case;
mod cases;
pub mod doubles;
mod every;
mod expected;
mod fixture;
#[cfg(not(unix))]
mod given;
#[cfg(any(all(unix, not(target_os = "linux")), test))]
mod open_files;
mod outside;
mod patience;
mod peers;
mod random;
mod report;
mod runner;
mod scratch;
#[cfg(unix)]
mod signals;
mod steps;
mod table;
mod turns;
mod warm_up;

pub use allocator::CountingAllocator;
pub use case::Case;
pub use fixture::Fixture;
pub use random::check_that_both_do_the_same;
pub use runner::{Suite, main};
