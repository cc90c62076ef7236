//! What whoever runs the program has given it.

use proactor_core::Capabilities;

use super::descriptor::given;

/// Looks for it. What depends on the mechanism of a backend is left as it is.
pub fn probe(capabilities: &mut Capabilities) {
    let given = given();
    capabilities.streams = given.sockets;
    capabilities.descriptors = true;
    capabilities.files = given.directories;
    capabilities.unwinding = cfg!(panic = "unwind");
}
