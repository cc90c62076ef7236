//! The addresses of the simulated machine, which has a loopback interface and nothing else.
//!
//! Inside the network an address is *canonical*: IPv4 mapped into IPv6 is IPv4.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proactor_core::{Address, Family};
use rustix::io::Errno;

/// The canonical form of `address`, as a socket of `family` may name it.
///
/// # Errors
/// Those of `bind` and `connect` for an address of another family.
pub(crate) fn canonical(family: Family, address: &Address) -> Result<SocketAddr, Errno> {
    let address = address.as_inet().ok_or(Errno::AFNOSUPPORT)?;
    match (family, address) {
        (Family::Ipv4, SocketAddr::V6(_)) => Err(Errno::AFNOSUPPORT),
        // Shorter than the address of IPv6 that the call wants.
        (Family::Ipv6, SocketAddr::V4(_)) => Err(Errno::INVAL),
        _ => Ok(SocketAddr::new(address.ip().to_canonical(), address.port())),
    }
}

/// A canonical address as a socket of `family` shows it.
pub(crate) fn shown(family: Family, address: SocketAddr) -> Address {
    let ip = match (family, address.ip()) {
        (Family::Ipv6, IpAddr::V4(ip)) => IpAddr::V6(ip.to_ipv6_mapped()),
        (_, ip) => ip,
    };
    SocketAddr::new(ip, address.port()).into()
}

/// What a socket of `family` is bound to while it is not bound.
pub(crate) fn unspecified(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => Ipv4Addr::UNSPECIFIED.into(),
        _ => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Whether the machine has the address: it can be bound, and can be reached.
pub(crate) fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified()
}

/// The loopback address of the family of `ip`.
pub(crate) fn loopback(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}

/// The addresses that a bound socket hears; unspecified means every one of its family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reach {
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
}

impl Reach {
    /// That of a socket bound to the canonical `ip`.
    pub(crate) fn new(ip: IpAddr, v6_only: bool) -> Self {
        match ip {
            IpAddr::V4(ip) => Self { v4: Some(ip), v6: None },
            IpAddr::V6(ip) if ip.is_unspecified() && !v6_only => {
                Self { v4: Some(Ipv4Addr::UNSPECIFIED), v6: Some(ip) }
            }
            IpAddr::V6(ip) => Self { v4: None, v6: Some(ip) },
        }
    }

    /// Whether one address could be meant for both.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        let v4 = self
            .v4
            .zip(other.v4)
            .is_some_and(|(one, other)| one == other || one.is_unspecified() || other.is_unspecified());
        let v6 = self
            .v6
            .zip(other.v6)
            .is_some_and(|(one, other)| one == other || one.is_unspecified() || other.is_unspecified());
        v4 || v6
    }

    /// Whether it can speak to `ip` at all.
    pub(crate) fn speaks(self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(_) => self.v4.is_some(),
            IpAddr::V6(_) => self.v6.is_some(),
        }
    }

    /// How closely it names the one address `ip`.
    pub(crate) fn hears(self, ip: IpAddr) -> Hears {
        let own = match ip {
            IpAddr::V4(_) => self.v4.map(IpAddr::from),
            IpAddr::V6(_) => self.v6.map(IpAddr::from),
        };
        match own {
            Some(own) if own == ip => Hears::Itself,
            Some(own) if own.is_unspecified() => Hears::All,
            _ => Hears::Nothing,
        }
    }
}

/// See [`Reach::hears`]; the closest is the largest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Hears {
    /// Another address.
    Nothing,
    /// Every address, and so this one.
    All,
    /// This address by name.
    Itself,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(ip: &str) -> Reach {
        Reach::new(ip.parse().unwrap(), false)
    }

    #[test]
    fn addresses_are_canonical_inside_and_shown_in_their_family() {
        let mapped: Address = "[::ffff:127.0.0.1]:7".parse().unwrap();
        let plain: Address = "127.0.0.1:7".parse().unwrap();
        let inside = canonical(Family::Ipv6, &mapped).unwrap();
        assert_eq!(Address::from(inside), plain);
        assert_eq!(shown(Family::Ipv6, inside), mapped);
        assert_eq!(shown(Family::Ipv4, inside), plain);
        assert_eq!(canonical(Family::Ipv4, &mapped), Err(Errno::AFNOSUPPORT));
        assert_eq!(canonical(Family::Ipv6, &plain), Err(Errno::INVAL));
    }

    #[test]
    fn reaches_overlap_where_one_address_fits_both() {
        assert!(reach("127.0.0.1").overlaps(reach("0.0.0.0")));
        assert!(!reach("127.0.0.1").overlaps(reach("127.0.0.2")));
        assert!(reach("::").overlaps(reach("127.0.0.1")));
        assert!(reach("::").overlaps(reach("::1")));
        assert!(!reach("::1").overlaps(reach("0.0.0.0")));
        assert!(!Reach::new(Ipv6Addr::UNSPECIFIED.into(), true).overlaps(reach("0.0.0.0")));
    }

    #[test]
    fn an_address_by_name_is_closer_than_all_addresses() {
        let ip = "127.0.0.1".parse().unwrap();
        assert_eq!(reach("127.0.0.1").hears(ip), Hears::Itself);
        assert_eq!(reach("::").hears(ip), Hears::All);
        assert_eq!(reach("127.0.0.2").hears(ip), Hears::Nothing);
        assert_eq!(reach("::1").hears(ip), Hears::Nothing);
        assert!(Hears::Itself > Hears::All && Hears::All > Hears::Nothing);
    }
}
