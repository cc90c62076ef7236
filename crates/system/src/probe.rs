//! What this system can do, as far as its backends have it alike.

use proactor_core::{Capabilities, Family};

use crate::has_family;

/// Asks the system. What depends on the mechanism of a backend is left as it is.
pub fn probe(capabilities: &mut Capabilities) {
    capabilities.ipv4 = has_family(Family::Ipv4);
    capabilities.ipv6 = has_family(Family::Ipv6);
    capabilities.unix_sockets = has_family(Family::Unix);
    capabilities.streams = capabilities.ipv4 || capabilities.ipv6 || capabilities.unix_sockets;
    capabilities.descriptors = true;
    capabilities.files = true;
    capabilities.threads = true;
    capabilities.signals = true;
    capabilities.devices = std::io::pipe().is_ok();
    capabilities.polling = true;
    capabilities.splicing = crate::splice::can_splice();
    capabilities.unwinding = cfg!(panic = "unwind");
}
