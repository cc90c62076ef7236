//! The bodies of the cases, by theme: ordinary functions, generic over the backend.
//!
//! What is about things that only Unix has is not compiled elsewhere; its place in the table is kept by [`not_here`].

pub(crate) mod bad_input;
pub(crate) mod bytes;
pub(crate) mod cancel_all;
pub(crate) mod cancellation;
#[cfg(unix)]
pub(crate) mod children;
pub(crate) mod completions;
#[cfg(unix)]
pub(crate) mod datagrams;
pub(crate) mod deadlines;
pub(crate) mod deletion;
pub(crate) mod descriptors;
#[cfg(unix)]
pub(crate) mod detaching;
pub(crate) mod directories;
pub(crate) mod edges;
pub(crate) mod embedding;
#[cfg(unix)]
pub(crate) mod ended_datagrams;
pub(crate) mod every_kind;
pub(crate) mod file_descriptors;
pub(crate) mod file_ends;
pub(crate) mod files;
pub(crate) mod handles;
pub(crate) mod mailboxes;
#[cfg(unix)]
pub(crate) mod messages;
pub(crate) mod metrics;
pub(crate) mod multishot;
pub(crate) mod names;
pub(crate) mod offloading;
pub(crate) mod overflow;
pub(crate) mod panics;
pub(crate) mod passed_in;
#[cfg(unix)]
pub(crate) mod passing;
#[cfg(unix)]
pub(crate) mod pipes;
pub(crate) mod pollers;
#[cfg(unix)]
pub(crate) mod polls;
pub(crate) mod random;
pub(crate) mod recv_many;
pub(crate) mod resolve;
pub(crate) mod results;
pub(crate) mod running;
pub(crate) mod send_file;
#[cfg(unix)]
pub(crate) mod signals;
pub(crate) mod sockets;
#[cfg(unix)]
pub(crate) mod splice;
pub(crate) mod steady;
pub(crate) mod steady_rest;
#[cfg(unix)]
pub(crate) mod steady_unix;
pub(crate) mod streams;
pub(crate) mod time;
#[cfg(unix)]
pub(crate) mod unix;
#[cfg(unix)]
pub(crate) mod unix_datagrams;
#[cfg(unix)]
pub(crate) mod unix_paths;
pub(crate) mod vectored;
pub(crate) mod vectored_files;
pub(crate) mod waking;
pub(crate) mod work;

/// In place of a case whose program does not even compile here: what it needs is missing, so it never runs.
pub(crate) fn not_here<B: proactor_core::Backend>(_fixture: &crate::Fixture<B>) {
    panic!("a backend says that it has what this target has not");
}
