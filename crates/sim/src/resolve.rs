//! The names that the simulation knows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proactor_core::{Address, Error, Resolve, Resolved};

/// Knows what is written out, and its own loopback interface.
pub(crate) fn resolve(Resolve { host, port }: Resolve) -> Resolved {
    let of = |ip| Address::from(SocketAddr::new(ip, port));
    let result = match host.parse() {
        Ok(ip) => Ok(vec![of(ip)]),
        Err(_) if host.eq_ignore_ascii_case("localhost") => {
            Ok(vec![of(IpAddr::V6(Ipv6Addr::LOCALHOST)), of(IpAddr::V4(Ipv4Addr::LOCALHOST))])
        }
        Err(_) if host.is_empty() || host.contains('\0') => Err(Error::InvalidInput),
        Err(_) => Err(Error::NotResolved),
    };
    Resolved { host, port, result }
}
