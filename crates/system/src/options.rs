//! Options of datagram sockets, and those that keep a connection alive.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use proactor_core::{Membership, SocketOption};
use rustix::io::{Errno, Result};
use rustix::net::{AddressFamily, sockopt};

use crate::descriptor::socket_family;

/// Sets one of these options.
pub(crate) fn set(socket: BorrowedFd<'_>, option: SocketOption) -> Result<()> {
    match option {
        SocketOption::KeepAlive(on) => sockopt::set_socket_keepalive(socket, on),
        #[cfg(not(target_os = "openbsd"))]
        SocketOption::KeepAliveIdle(time) => sockopt::set_tcp_keepidle(socket, whole_seconds(time)),
        #[cfg(not(target_os = "openbsd"))]
        SocketOption::KeepAliveInterval(time) => sockopt::set_tcp_keepintvl(socket, whole_seconds(time)),
        #[cfg(not(target_os = "openbsd"))]
        SocketOption::KeepAliveCount(count) => sockopt::set_tcp_keepcnt(socket, count),
        SocketOption::Broadcast(on) => sockopt::set_socket_broadcast(socket, on),
        SocketOption::HopLimit(hops) if is_ipv6(socket)? => {
            // Zero would be a hop limit, of what leaves this machine never; IPv4 refuses it too.
            let hops = Some(hops).filter(|&hops| hops > 0).ok_or(Errno::INVAL)?;
            sockopt::set_ipv6_unicast_hops(socket, Some(hops))
        }
        SocketOption::HopLimit(hops) => sockopt::set_ip_ttl(socket, hops.into()),
        SocketOption::MulticastHops(hops) if is_ipv6(socket)? => {
            sockopt::set_ipv6_multicast_hops(socket, hops.into())
        }
        SocketOption::MulticastHops(hops) => sockopt::set_ip_multicast_ttl(socket, hops.into()),
        SocketOption::MulticastLoop(on) if is_ipv6(socket)? => sockopt::set_ipv6_multicast_loop(socket, on),
        SocketOption::MulticastLoop(on) => sockopt::set_ip_multicast_loop(socket, on),
        SocketOption::MulticastInterface(interface) if is_ipv6(socket)? => {
            sockopt::set_ipv6_multicast_if(socket, interface)
        }
        SocketOption::MulticastInterface(interface) => by_interface::send_on(socket, interface),
        SocketOption::JoinMulticast(membership) => join(socket, membership),
        SocketOption::LeaveMulticast(membership) => leave(socket, membership),
        _ => Err(Errno::NOPROTOOPT),
    }
}

const UNSPECIFIED: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

fn is_ipv6(socket: BorrowedFd<'_>) -> Result<bool> {
    Ok(socket_family(socket)? == AddressFamily::INET6)
}

fn join(socket: BorrowedFd<'_>, Membership { group, interface }: Membership) -> Result<()> {
    match group {
        IpAddr::V4(group) => by_interface::join(socket, &group, interface),
        IpAddr::V6(group) => sockopt::set_ipv6_add_membership(socket, &group, interface),
    }
}

fn leave(socket: BorrowedFd<'_>, Membership { group, interface }: Membership) -> Result<()> {
    match group {
        IpAddr::V4(group) => by_interface::leave(socket, &group, interface),
        IpAddr::V6(group) => sockopt::set_ipv6_drop_membership(socket, &group, interface),
    }
}

#[cfg_attr(target_os = "openbsd", allow(dead_code, reason = "it has none of these options"))]
/// Rounded up to seconds; as much as fits into the system's integers.
fn whole_seconds(time: Duration) -> Duration {
    let seconds = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
    Duration::from_secs(seconds.min(i32::MAX as u64))
}

/// Groups of IPv4, by the number of an interface.
#[cfg(not(target_os = "netbsd"))]
mod by_interface {
    use std::net::Ipv4Addr;
    use std::os::fd::BorrowedFd;

    use rustix::io::Result;
    use rustix::net::sockopt;

    use super::UNSPECIFIED;

    pub(super) fn send_on(socket: BorrowedFd<'_>, interface: u32) -> Result<()> {
        sockopt::set_ip_multicast_if_with_ifindex(socket, &UNSPECIFIED, &UNSPECIFIED, interface)
    }

    pub(super) fn join(socket: BorrowedFd<'_>, group: &Ipv4Addr, interface: u32) -> Result<()> {
        sockopt::set_ip_add_membership_with_ifindex(socket, group, &UNSPECIFIED, interface)
    }

    pub(super) fn leave(socket: BorrowedFd<'_>, group: &Ipv4Addr, interface: u32) -> Result<()> {
        sockopt::set_ip_drop_membership_with_ifindex(socket, group, &UNSPECIFIED, interface)
    }
}

/// NetBSD names interfaces by an address of theirs: of numbers, only that of the system's own choice means something.
#[cfg(target_os = "netbsd")]
mod by_interface {
    use std::net::Ipv4Addr;
    use std::os::fd::BorrowedFd;

    use rustix::io::{Errno, Result};
    use rustix::net::sockopt;

    use super::UNSPECIFIED;

    const fn chosen(interface: u32) -> Result<()> {
        if interface == 0 { Ok(()) } else { Err(Errno::OPNOTSUPP) }
    }

    pub(super) fn send_on(socket: BorrowedFd<'_>, interface: u32) -> Result<()> {
        chosen(interface)?;
        sockopt::set_ip_multicast_if(socket, &UNSPECIFIED)
    }

    pub(super) fn join(socket: BorrowedFd<'_>, group: &Ipv4Addr, interface: u32) -> Result<()> {
        chosen(interface)?;
        sockopt::set_ip_add_membership(socket, group, &UNSPECIFIED)
    }

    pub(super) fn leave(socket: BorrowedFd<'_>, group: &Ipv4Addr, interface: u32) -> Result<()> {
        chosen(interface)?;
        sockopt::set_ip_drop_membership(socket, group, &UNSPECIFIED)
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use super::*;

    /// The number of the loopback interface, which is the first that every Linux has.
    const LOOPBACK: u32 = 1;

    #[test]
    fn options_of_datagrams_reach_the_system() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let set = |option| set(socket.as_fd(), option);
        assert_eq!(set(SocketOption::Broadcast(true)), Ok(()));
        assert!(socket.broadcast().unwrap());
        assert_eq!(set(SocketOption::HopLimit(7)), Ok(()));
        assert_eq!(socket.ttl().unwrap(), 7);
        assert_eq!(set(SocketOption::HopLimit(0)), Err(Errno::INVAL));
        assert_eq!(set(SocketOption::MulticastHops(3)), Ok(()));
        assert_eq!(socket.multicast_ttl_v4().unwrap(), 3);
        assert_eq!(set(SocketOption::MulticastLoop(false)), Ok(()));
        assert!(!socket.multicast_loop_v4().unwrap());
        assert_eq!(set(SocketOption::MulticastInterface(LOOPBACK)), Ok(()));
        assert_eq!(set(SocketOption::MulticastInterface(u32::MAX)), Err(Errno::ADDRNOTAVAIL));
        assert_eq!(set(SocketOption::KeepAliveCount(3)), Err(Errno::NOPROTOOPT));
    }

    #[test]
    fn the_options_of_ipv6_are_its_own() {
        let Ok(socket) = UdpSocket::bind("[::1]:0") else { return };
        let set = |option| set(socket.as_fd(), option);
        assert_eq!(set(SocketOption::HopLimit(7)), Ok(()));
        assert_eq!(sockopt::ipv6_unicast_hops(&socket), Ok(7));
        assert_eq!(set(SocketOption::HopLimit(0)), Err(Errno::INVAL));
        assert_eq!(set(SocketOption::MulticastHops(3)), Ok(()));
        assert_eq!(sockopt::ipv6_multicast_hops(&socket), Ok(3));
        assert_eq!(set(SocketOption::MulticastLoop(false)), Ok(()));
        assert_eq!(sockopt::ipv6_multicast_loop(&socket), Ok(false));
        assert_eq!(set(SocketOption::MulticastInterface(LOOPBACK)), Ok(()));
        let membership = Membership { group: "ff02::4242".parse().unwrap(), interface: LOOPBACK };
        assert_eq!(set(SocketOption::LeaveMulticast(membership)), Err(Errno::ADDRNOTAVAIL));
        assert_eq!(set(SocketOption::JoinMulticast(membership)), Ok(()));
        assert_eq!(set(SocketOption::LeaveMulticast(membership)), Ok(()));
    }

    #[test]
    fn a_group_is_joined_once_and_left_once() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let set = |option| set(socket.as_fd(), option);
        let membership = Membership { group: "239.255.42.42".parse().unwrap(), interface: LOOPBACK };
        assert_eq!(set(SocketOption::LeaveMulticast(membership)), Err(Errno::ADDRNOTAVAIL));
        assert_eq!(set(SocketOption::JoinMulticast(membership)), Ok(()));
        assert_eq!(set(SocketOption::JoinMulticast(membership)), Err(Errno::ADDRINUSE));
        assert_eq!(set(SocketOption::LeaveMulticast(membership)), Ok(()));
        let no_group = Membership { group: "127.0.0.1".parse().unwrap(), ..membership };
        assert_eq!(set(SocketOption::JoinMulticast(no_group)), Err(Errno::INVAL));
        let no_interface = Membership { interface: 1 << 30, ..membership };
        assert_eq!(set(SocketOption::JoinMulticast(no_interface)), Err(Errno::NODEV));
        let other_family = Membership { group: "ff02::1".parse().unwrap(), ..membership };
        assert_eq!(set(SocketOption::JoinMulticast(other_family)), Err(Errno::NOPROTOOPT));
    }

    // OpenBSD has these times for all of its sockets together.
    #[cfg(not(target_os = "openbsd"))]
    #[test]
    fn a_connection_is_kept_alive_as_it_was_asked_for() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let set = |option| set(socket.as_fd(), option);
        assert_eq!(set(SocketOption::KeepAlive(true)), Ok(()));
        assert_eq!(sockopt::socket_keepalive(&socket), Ok(true));
        assert_eq!(set(SocketOption::KeepAliveIdle(Duration::from_millis(1500))), Ok(()));
        assert_eq!(sockopt::tcp_keepidle(&socket), Ok(Duration::from_secs(2)));
        assert_eq!(set(SocketOption::KeepAliveInterval(Duration::from_nanos(1))), Ok(()));
        assert_eq!(sockopt::tcp_keepintvl(&socket), Ok(Duration::from_secs(1)));
        assert_eq!(set(SocketOption::KeepAliveCount(5)), Ok(()));
        assert_eq!(sockopt::tcp_keepcnt(&socket), Ok(5));
        for time in [Duration::ZERO, Duration::from_secs(40_000), Duration::MAX] {
            assert_eq!(set(SocketOption::KeepAliveIdle(time)), Err(Errno::INVAL));
            assert_eq!(set(SocketOption::KeepAliveInterval(time)), Err(Errno::INVAL));
        }
        assert_eq!(set(SocketOption::KeepAliveCount(128)), Err(Errno::INVAL));
    }
}
