//! Sockets: opening, the calls of [`Control`], and the calls that would block.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::task::Poll;
use std::time::Duration;

use proactor_core::{
    Address, Control, Error, Family, Reply, ShutdownHow, SocketKind, SocketOption, UnixAddress,
};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, Shutdown, SocketAddrAny, SocketType, ipproto, sockopt,
};

use crate::call::{attempt, call};
use crate::{MAX_TRANSFER, Mode, Transport};

#[cfg_attr(target_vendor = "apple", path = "socket/apple.rs")]
#[cfg_attr(not(target_vendor = "apple"), path = "socket/with_flags.rs")]
mod calls;
#[cfg_attr(target_os = "linux", path = "socket/linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "socket/bsd.rs")]
mod connecting;

pub(crate) use calls::{RECEIVE_MESSAGE_FLAGS, SEND_FLAGS, keep_to_ourselves, silence};
pub use connecting::connect_result;
/// How a socket has to be before its calls do not wait: most have a flag for that.
pub const SOCKETS_ARE: Option<Mode> = None;

/// The address as system calls take it.
///
/// # Errors
/// [`Error::Unsupported`] for families that this crate does not know.
pub fn address_to_system(address: &Address) -> Result<SocketAddrAny, Error> {
    match address {
        Address::Inet(address) => Ok(SocketAddrAny::from(*address)),
        Address::Unix(address) => crate::unix::to_system(address),
        _ => Err(Error::Unsupported),
    }
}

/// The address that a system call gave.
///
/// # Errors
/// [`Error::Unsupported`] for families that [`Address`] does not have.
#[inline]
pub fn address_from_system(address: SocketAddrAny) -> Result<Address, Error> {
    if address.address_family() == AddressFamily::UNIX {
        return crate::unix::from_system(&address);
    }
    SocketAddr::try_from(address).map(Address::from).map_err(|_| Error::Unsupported)
}

/// Opens a TCP socket, or a Unix stream socket, that is not inherited by programs that this one starts.
///
/// # Errors
/// [`Error::Unsupported`] where the system has no such family; otherwise what it said.
pub fn open_stream(family: Family, mode: Mode) -> Result<OwnedFd, Error> {
    open_socket(family, SocketKind::Stream, mode).map(|(socket, _)| socket)
}

/// Opens a socket of `family` and `kind`, TCP, UDP or a Unix socket, that is not inherited by programs that this one
/// starts.
///
/// # Errors
/// [`Error::Unsupported`] where the system has no such family, or this crate no such kind; otherwise what it said.
pub fn open_socket(family: Family, kind: SocketKind, mode: Mode) -> Result<(OwnedFd, Transport), Error> {
    let domain = match family {
        Family::Ipv4 => AddressFamily::INET,
        Family::Ipv6 => AddressFamily::INET6,
        Family::Unix => AddressFamily::UNIX,
        _ => return Err(Error::Unsupported),
    };
    let (how, transport) = match (kind, family) {
        (SocketKind::Stream, Family::Unix) => ((SocketType::STREAM, None), Transport::LocalStream),
        (SocketKind::Stream, _) => ((SocketType::STREAM, Some(ipproto::TCP)), Transport::Tcp),
        (SocketKind::Datagram, Family::Unix) => ((SocketType::DGRAM, None), Transport::LocalMessages),
        (SocketKind::Datagram, _) => ((SocketType::DGRAM, Some(ipproto::UDP)), Transport::Udp),
        _ => return Err(Error::Unsupported),
    };
    Ok((open(domain, how, mode)?, transport))
}

/// Opens a socket that is not inherited.
fn open(
    domain: AddressFamily,
    (kind, protocol): (SocketType, Option<Protocol>),
    mode: Mode,
) -> Result<OwnedFd, Error> {
    let opened = call(|| calls::open(domain, kind, protocol, mode));
    opened.map_err(|error| match error {
        error if error == Errno::AFNOSUPPORT.into() => Error::Unsupported,
        error => error,
    })
}

/// Whether stream sockets of `family` can be opened and bound to this machine's own address.
#[must_use]
pub fn has_family(family: Family) -> bool {
    let loopback: SocketAddr = match family {
        Family::Ipv4 => (Ipv4Addr::LOCALHOST, 0).into(),
        Family::Ipv6 => (Ipv6Addr::LOCALHOST, 0).into(),
        // Bound to a name, it would leave one behind where names are paths.
        Family::Unix => return open_stream(family, Mode::Blocking).is_ok(),
        _ => return false,
    };
    open_stream(family, Mode::Blocking)
        .is_ok_and(|socket| call(|| rustix::net::bind(&socket, &loopback)).is_ok())
}

/// Does a [`Control`] on `socket`. Numbers above what the system takes are clamped.
///
/// # Errors
/// [`Error::InvalidInput`] for a backlog of zero, [`Error::Unsupported`] for an address that core has no name for;
/// otherwise what the system said.
pub fn control(socket: BorrowedFd<'_>, control: &Control) -> Result<Reply, Error> {
    match control {
        Control::Bind(address) => {
            let address = address_to_system(address)?;
            call(|| rustix::net::bind(socket, &address))?;
        }
        Control::Listen(0) => return Err(Error::InvalidInput),
        Control::Listen(backlog) => call(|| rustix::net::listen(socket, clamp(*backlog)))?,
        Control::Set(option) => set_option(socket, *option)?,
        Control::LocalAddress => {
            return address_from_system(call(|| rustix::net::getsockname(socket))?).map(Reply::Address);
        }
        Control::PeerAddress => {
            return peer_address(socket).map(Reply::Address);
        }
        _ => return Err(Error::Unsupported),
    }
    Ok(Reply::Done)
}

/// The address of a connected socket's peer.
///
/// # Errors
/// What the system said; [`Error::Unsupported`] for a family that core has no name for.
pub fn peer_address(socket: BorrowedFd<'_>) -> Result<Address, Error> {
    let peer = call(|| rustix::net::getpeername(socket))?;
    peer.map_or_else(|| Ok(UnixAddress::unnamed().into()), address_from_system)
}

fn set_option(socket: BorrowedFd<'_>, option: SocketOption) -> Result<(), Error> {
    call(|| match option {
        SocketOption::ReuseAddress(on) => sockopt::set_socket_reuseaddr(socket, on),
        SocketOption::ReusePort(on) => sockopt::set_socket_reuseport(socket, on),
        SocketOption::NoDelay(on) => sockopt::set_tcp_nodelay(socket, on),
        SocketOption::V6Only(on) => sockopt::set_ipv6_v6only(socket, on),
        SocketOption::ReceiveBuffer(bytes) => {
            sockopt::set_socket_recv_buffer_size(socket, clamp(bytes) as usize)
        }
        SocketOption::SendBuffer(bytes) => {
            sockopt::set_socket_send_buffer_size(socket, clamp(bytes) as usize)
        }
        SocketOption::Linger(time) => {
            let longest = Duration::from_secs(i32::MAX as u64);
            sockopt::set_socket_linger(socket, time.map(|time| time.min(longest)))
        }
        option => crate::options::set(socket, option),
    })
}

/// The system's integer nearest to `number`.
pub(crate) fn clamp(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Accepts a connection from a *nonblocking* listener: a blocking socket, not inherited, and the peer's address.
///
/// # Errors
/// What the system said; [`Error::Unsupported`] if the peer's address has no name in core, its connection closed.
#[inline]
pub fn accept(listener: BorrowedFd<'_>) -> Poll<Result<(OwnedFd, Address), Error>> {
    attempt(|| calls::accept(listener)).map(|accepted| {
        let (socket, address) = accepted?;
        // Some systems say nothing about a peer without a name.
        let address = address.map_or_else(|| Ok(UnixAddress::unnamed().into()), address_from_system)?;
        Ok((socket, address))
    })
}

/// Starts to connect a *nonblocking* socket. While pending, it becomes writable when that is decided, and then
/// [`connect_result`] tells how.
///
/// # Errors
/// What the system said.
pub fn connect(socket: BorrowedFd<'_>, address: &Address) -> Poll<Result<(), Error>> {
    match rustix::net::connect(socket, &address_to_system(address)?) {
        Ok(()) => Poll::Ready(Ok(())),
        // An interrupted connect goes on, and to start it again would be refused.
        Err(Errno::INPROGRESS | Errno::INTR) => Poll::Pending,
        // The queue of a Unix listener is full. Nothing tells when there is room; other systems refuse in the first place.
        Err(Errno::AGAIN) if address.as_unix().is_some() => Poll::Ready(Err(Errno::CONNREFUSED.into())),
        Err(errno) => Poll::Ready(Err(Error::from_errno(errno))),
    }
}

/// Receives what has arrived into `bytes`, of which at most [`MAX_TRANSFER`] are used, without waiting whatever the
/// socket's mode.
///
/// # Errors
/// What the system said.
#[inline(always)]
pub fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> Poll<Result<usize, Error>> {
    let len = bytes.len().min(MAX_TRANSFER);
    let bytes = &mut bytes[..len];
    attempt(|| rustix::net::recv(socket, &mut *bytes, RecvFlags::DONTWAIT).map(|(received, _)| received))
}

/// Sends what is taken of the first [`MAX_TRANSFER`] of `bytes`, without waiting whatever the socket's mode, and
/// without a signal where the peer is gone.
///
/// # Errors
/// What the system said.
#[inline(always)]
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
    let bytes = &bytes[..bytes.len().min(MAX_TRANSFER)];
    attempt(|| rustix::net::send(socket, bytes, SEND_FLAGS))
}

/// Ends one or both directions of a connected socket.
///
/// # Errors
/// What the system said.
pub fn shutdown(socket: BorrowedFd<'_>, how: ShutdownHow) -> Result<(), Error> {
    let how = match how {
        ShutdownHow::Read => Shutdown::Read,
        ShutdownHow::Write => Shutdown::Write,
        ShutdownHow::Both => Shutdown::Both,
    };
    call(|| rustix::net::shutdown(socket, how))
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddrV6, TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use super::*;

    fn listener(mode: Mode) -> (OwnedFd, Address) {
        let socket = open_stream(Family::Ipv4, mode).unwrap();
        let any = Control::Bind("127.0.0.1:0".parse().unwrap());
        assert_eq!(control(socket.as_fd(), &any), Ok(Reply::Done));
        assert_eq!(control(socket.as_fd(), &Control::Listen(u32::MAX)), Ok(Reply::Done));
        let Ok(Reply::Address(address)) = control(socket.as_fd(), &Control::LocalAddress) else {
            panic!("a bound socket has an address");
        };
        (socket, address)
    }

    #[test]
    fn addresses_survive_the_way_to_the_system_and_back() {
        let v6 = SocketAddrV6::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9), 70, 0x000a_bcde, 3);
        for address in [Address::from(SocketAddr::V6(v6)), "1.2.3.4:5".parse().unwrap()] {
            assert_eq!(address_to_system(&address).and_then(address_from_system), Ok(address));
        }
    }

    #[test]
    fn sockets_have_the_mode_that_was_asked_for_and_are_not_inherited() {
        for (mode, other) in [(Mode::Blocking, Mode::Nonblocking), (Mode::Nonblocking, Mode::Blocking)] {
            let socket = open_stream(Family::Ipv4, mode).unwrap();
            assert_eq!(crate::set_mode(socket.as_fd(), other), Ok(mode));
            let flags = rustix::io::fcntl_getfd(&socket).unwrap();
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        }
    }

    #[test]
    fn families_are_probed_like_they_are_used() {
        assert!(has_family(Family::Ipv4));
        assert_eq!(has_family(Family::Ipv6), TcpListener::bind("[::1]:0").is_ok());
    }

    #[test]
    fn a_connection_is_made_used_and_ended() {
        let (listener, address) = listener(Mode::Nonblocking);
        assert!(accept(listener.as_fd()).is_pending());
        let client = open_stream(Family::Ipv4, Mode::Blocking).unwrap();
        let peer = || control(client.as_fd(), &Control::PeerAddress);
        assert_eq!(peer(), Err(Errno::NOTCONN.into()));
        assert_eq!(connect(client.as_fd(), &address), Poll::Ready(Ok(())));
        let Poll::Ready(Ok((server, came_from))) = accept(listener.as_fd()) else {
            panic!("one has connected")
        };
        assert_eq!(control(client.as_fd(), &Control::LocalAddress), Ok(Reply::Address(came_from)));
        assert_eq!(peer(), Ok(Reply::Address(address)));

        let mut bytes = [0; 8];
        assert!(receive(server.as_fd(), &mut bytes).is_pending());
        assert_eq!(send(client.as_fd(), b"hello"), Poll::Ready(Ok(5)));
        assert_eq!(receive(server.as_fd(), &mut bytes), Poll::Ready(Ok(5)));
        assert_eq!(&bytes[..5], b"hello");
        assert_eq!(shutdown(client.as_fd(), ShutdownHow::Write), Ok(()));
        assert_eq!(receive(server.as_fd(), &mut bytes), Poll::Ready(Ok(0)));
        assert_eq!(send(client.as_fd(), b"late"), Poll::Ready(Err(Errno::PIPE.into())));
    }

    #[test]
    fn a_refused_connection_tells_why() {
        let (listener, address) = listener(Mode::Blocking);
        drop(listener);
        let client = open_stream(Family::Ipv4, Mode::Blocking).unwrap();
        assert_eq!(connect(client.as_fd(), &address), Poll::Ready(Err(Errno::CONNREFUSED.into())));
    }

    #[test]
    fn a_pending_connect_is_decided_once_and_the_next_is_a_new_one() {
        let (listener, address) = listener(Mode::Blocking);
        let client = open_stream(Family::Ipv4, Mode::Nonblocking).unwrap();
        assert!(connect(client.as_fd(), &address).is_pending());
        let other: Address = "127.0.0.1:1".parse().unwrap();
        assert_eq!(connect_result(client.as_fd(), &address), Poll::Ready(Ok(())));
        assert_eq!(connect(client.as_fd(), &other), Poll::Ready(Err(Errno::ISCONN.into())));

        drop(listener);
        let client = open_stream(Family::Ipv4, Mode::Nonblocking).unwrap();
        for _ in 0..2 {
            assert!(connect(client.as_fd(), &address).is_pending());
            let refused = Poll::Ready(Err(Errno::CONNREFUSED.into()));
            assert_eq!(connect_result(client.as_fd(), &address), refused);
        }
    }

    #[test]
    fn options_reach_the_system() {
        let socket = open_stream(Family::Ipv4, Mode::Blocking).unwrap();
        let socket = socket.as_fd();
        let set = |option| control(socket, &Control::Set(option));
        assert_eq!(set(SocketOption::ReuseAddress(true)), Ok(Reply::Done));
        assert_eq!(sockopt::socket_reuseaddr(socket), Ok(true));
        assert_eq!(set(SocketOption::ReusePort(true)), Ok(Reply::Done));
        assert_eq!(sockopt::socket_reuseport(socket), Ok(true));
        assert_eq!(set(SocketOption::NoDelay(true)), Ok(Reply::Done));
        assert_eq!(sockopt::tcp_nodelay(socket), Ok(true));
        assert_eq!(set(SocketOption::Linger(Some(Duration::from_millis(1500)))), Ok(Reply::Done));
        assert_eq!(sockopt::socket_linger(socket), Ok(Some(Duration::from_secs(2))));
        assert_eq!(set(SocketOption::Linger(Some(Duration::MAX))), Ok(Reply::Done));
        assert_eq!(set(SocketOption::Linger(None)), Ok(Reply::Done));
        assert_eq!(sockopt::socket_linger(socket), Ok(None));
        assert_eq!(set(SocketOption::SendBuffer(20_000)), Ok(Reply::Done));
        assert_eq!(sockopt::socket_send_buffer_size(socket), Ok(40_000));
        assert_eq!(set(SocketOption::ReceiveBuffer(u32::MAX)), Ok(Reply::Done));
        assert_eq!(set(SocketOption::V6Only(true)), Err(Errno::NOPROTOOPT.into()));
        assert_eq!(control(socket, &Control::Listen(0)), Err(Error::InvalidInput));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_has_no_name_in_core_is_unsupported() {
        let flags = rustix::net::SocketFlags::CLOEXEC;
        let netlink = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None).unwrap();
        assert_eq!(control(netlink.as_fd(), &Control::LocalAddress), Err(Error::Unsupported));
    }

    #[test]
    fn other_descriptors_are_refused_by_the_system() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let errno = Error::from_errno(Errno::NOTSOCK);
        assert_eq!(receive(reader.as_fd(), &mut [0; 4]), Poll::Ready(Err(errno)));
        assert_eq!(send(writer.as_fd(), b"text"), Poll::Ready(Err(errno)));
        assert_eq!(control(reader.as_fd(), &Control::Listen(1)), Err(errno));
    }

    #[test]
    fn a_reset_peer_is_an_error_without_a_signal() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        control(server.as_fd(), &Control::Set(SocketOption::Linger(Some(Duration::ZERO)))).unwrap();
        drop(server);
        let mut bytes = [0; 4];
        assert_eq!(receive(client.as_fd(), &mut bytes), Poll::Ready(Err(Errno::CONNRESET.into())));
        assert_eq!(send(client.as_fd(), b"text"), Poll::Ready(Err(Errno::PIPE.into())));
    }
}
