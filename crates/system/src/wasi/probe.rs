//! What whoever runs the program has given it.

use proactor_core::Capabilities;

use super::descriptor::{has_directories, has_sockets};

/// Looks for it. What depends on the mechanism of a backend is left as it is.
pub fn probe(capabilities: &mut Capabilities) {
    capabilities.streams = has_sockets();
    capabilities.descriptors = true;
    capabilities.files = has_directories();
    capabilities.unwinding = cfg!(panic = "unwind");
}
