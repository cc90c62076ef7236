//! The bodies of the cases, by theme: ordinary functions, generic over the backend.

pub(crate) mod bad_input;
pub(crate) mod bytes;
pub(crate) mod cancel_all;
pub(crate) mod cancellation;
pub(crate) mod completions;
pub(crate) mod deadlines;
pub(crate) mod deletion;
pub(crate) mod descriptors;
pub(crate) mod file_descriptors;
pub(crate) mod file_ends;
pub(crate) mod files;
pub(crate) mod handles;
pub(crate) mod multishot;
pub(crate) mod names;
pub(crate) mod overflow;
pub(crate) mod panics;
pub(crate) mod pipes;
pub(crate) mod random;
pub(crate) mod recv_many;
pub(crate) mod results;
pub(crate) mod running;
pub(crate) mod sockets;
pub(crate) mod steady;
pub(crate) mod streams;
pub(crate) mod time;
pub(crate) mod waking;
