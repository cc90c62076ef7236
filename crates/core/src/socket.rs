//! Sockets as the loop opens them: addresses, options, and the calls that never wait.

use std::fmt;
use std::io;
use std::net::{AddrParseError, IpAddr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;
use std::time::Duration;

use crate::unix::UnixAddress;

/// A socket address (contract R4). IPv6 keeps its scope and flow.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// IPv4 or IPv6.
    Inet(SocketAddr),
    /// A Unix socket's.
    Unix(UnixAddress),
}

impl Address {
    /// The IPv4 or IPv6 address, if it is one.
    #[must_use]
    pub const fn as_inet(&self) -> Option<SocketAddr> {
        match self {
            Self::Inet(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// The address of a Unix socket, if it is one.
    #[must_use]
    pub const fn as_unix(&self) -> Option<&UnixAddress> {
        match self {
            Self::Unix(address) => Some(address),
            Self::Inet(_) => None,
        }
    }

    /// The family of sockets that this address belongs to.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self {
            Self::Inet(SocketAddr::V4(_)) => Family::Ipv4,
            Self::Inet(SocketAddr::V6(_)) => Family::Ipv6,
            Self::Unix(_) => Family::Unix,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Inet(address)
    }
}

impl From<UnixAddress> for Address {
    fn from(address: UnixAddress) -> Self {
        Self::Unix(address)
    }
}

/// So that std's sockets connect to it and bind to it, which takes an IP address. No name is looked up.
impl ToSocketAddrs for Address {
    type Iter = std::option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        Ok(self.as_inet().into_iter())
    }
}

impl FromStr for Address {
    type Err = AddrParseError;

    /// Parses `127.0.0.1:7000` or `[::1]:7000`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::Inet)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Unix(address) => fmt::Display::fmt(address, f),
        }
    }
}

/// Which addresses a socket speaks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6 (and IPv4 mapped into it, unless [`SocketOption::V6Only`]).
    Ipv6,
    /// Sockets within this machine, by path or abstract name.
    Unix,
}

/// What a socket carries.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum SocketKind {
    /// Bytes in a row, between two sockets that are connected: TCP.
    Stream,
    /// Messages, each by itself: UDP.
    Datagram,
}

/// One option of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SocketOption {
    /// Bind to a port whose last connections still linger (SO_REUSEADDR).
    ReuseAddress(bool),
    /// Share the port with other sockets that ask for it too (SO_REUSEPORT).
    ReusePort(bool),
    /// Send small segments at once (TCP_NODELAY).
    NoDelay(bool),
    /// Speak IPv6 only (IPV6_V6ONLY); before binding.
    V6Only(bool),
    /// Bytes of the receive buffer (SO_RCVBUF); the system may round it.
    ReceiveBuffer(u32),
    /// Bytes of the send buffer (SO_SNDBUF); the system may round it.
    SendBuffer(u32),
    /// What closing does with unsent data (SO_LINGER): `None` leaves it to the system, `Some(zero)` resets the
    /// connection. Rounded up to seconds.
    Linger(Option<Duration>),
    /// Ask a silent peer now and then whether it is still there, and reset the connection if it is not (SO_KEEPALIVE).
    KeepAlive(bool),
    /// For how long a connection is silent before the peer is asked first (TCP_KEEPIDLE), a second to nine hours.
    /// Rounded up to seconds.
    KeepAliveIdle(Duration),
    /// How long a peer that did not answer is left alone before it is asked again (TCP_KEEPINTVL), a second to nine
    /// hours. Rounded up to seconds.
    KeepAliveInterval(Duration),
    /// How often a peer is asked without an answer until it counts as gone (TCP_KEEPCNT), 1 to 127.
    KeepAliveCount(u32),
    /// Over how many routers what is sent to one machine may go (IP_TTL, IPV6_UNICAST_HOPS), 1 to 255.
    HopLimit(u8),
    /// Send datagrams to broadcast addresses (SO_BROADCAST).
    Broadcast(bool),
    /// Receive the datagrams of a multicast group.
    JoinMulticast(Membership),
    /// Receive them no longer.
    LeaveMulticast(Membership),
    /// Over how many routers what is sent to a multicast group may go (IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS): 1 unless
    /// set, 0 for this machine alone.
    MulticastHops(u8),
    /// Whether what is sent to a multicast group comes to this machine too (IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP), on
    /// unless set.
    MulticastLoop(bool),
    /// Over which interface, by its number, datagrams leave for multicast groups (IP_MULTICAST_IF, IPV6_MULTICAST_IF);
    /// 0 lets the system choose.
    MulticastInterface(u32),
}

/// A multicast group, as an interface of this machine is a member of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Membership {
    /// The group's address.
    pub group: IpAddr,
    /// The interface by its number; 0 lets the system choose.
    pub interface: u32,
}

/// How a listening socket is opened. Made by [`default`](Self::default), and changed by what is named after each field:
///
/// ```
/// use proactor_core::ListenOptions;
/// let options = ListenOptions::default().backlog(16).reuse_port(true).v6_only(true);
/// assert_eq!((options.backlog, options.reuse_port, options.v6_only), (16, true, Some(true)));
/// let options = options.reuse_address(false).receive_buffer(1 << 16).send_buffer(1 << 17);
/// assert_eq!((options.reuse_address, options.backlog), (false, 16));
/// assert_eq!((options.receive_buffer, options.send_buffer), (Some(1 << 16), Some(1 << 17)));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListenOptions {
    /// How many connections may wait to be accepted, 1 and up; 1024 unless set, and what the system allows.
    pub backlog: u32,
    /// [`SocketOption::ReuseAddress`], on unless set.
    pub reuse_address: bool,
    /// [`SocketOption::ReusePort`], off unless set.
    pub reuse_port: bool,
    /// [`SocketOption::V6Only`], the system's default unless set; ignored on IPv4.
    pub v6_only: Option<bool>,
    /// [`SocketOption::ReceiveBuffer`], which accepted sockets inherit; the system's default unless set.
    pub receive_buffer: Option<u32>,
    /// [`SocketOption::SendBuffer`], which accepted sockets inherit; the system's default unless set.
    pub send_buffer: Option<u32>,
}

impl ListenOptions {
    /// Sets [`backlog`](field@Self::backlog).
    #[must_use]
    pub const fn backlog(mut self, backlog: u32) -> Self {
        self.backlog = backlog;
        self
    }

    /// Sets [`reuse_address`](field@Self::reuse_address).
    #[must_use]
    pub const fn reuse_address(mut self, reuse_address: bool) -> Self {
        self.reuse_address = reuse_address;
        self
    }

    /// Sets [`reuse_port`](field@Self::reuse_port).
    #[must_use]
    pub const fn reuse_port(mut self, reuse_port: bool) -> Self {
        self.reuse_port = reuse_port;
        self
    }

    /// Sets [`v6_only`](field@Self::v6_only), away from the system's default.
    #[must_use]
    pub const fn v6_only(mut self, v6_only: bool) -> Self {
        self.v6_only = Some(v6_only);
        self
    }

    /// Sets [`receive_buffer`](field@Self::receive_buffer), in bytes.
    #[must_use]
    pub const fn receive_buffer(mut self, bytes: u32) -> Self {
        self.receive_buffer = Some(bytes);
        self
    }

    /// Sets [`send_buffer`](field@Self::send_buffer), in bytes.
    #[must_use]
    pub const fn send_buffer(mut self, bytes: u32) -> Self {
        self.send_buffer = Some(bytes);
        self
    }
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            backlog: 1024,
            reuse_address: true,
            reuse_port: false,
            v6_only: None,
            receive_buffer: None,
            send_buffer: None,
        }
    }
}

/// A call on a handle that never waits: what `Context`'s socket methods ask of the backend.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Control {
    /// Bind to an address; port 0, or no name of a Unix socket, lets the system choose.
    Bind(Address),
    /// Listen, with this backlog.
    Listen(u32),
    /// Set an option.
    Set(SocketOption),
    /// Tell the bound address.
    LocalAddress,
    /// Tell the peer's address.
    PeerAddress,
}

/// The answer to a [`Control`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Reply {
    /// Done.
    Done,
    /// The address that was asked for.
    Address(Address),
}
