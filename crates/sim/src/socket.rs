//! One socket of the network, and what is set on it.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use proactor_core::{Address, Family, Slot, SocketOption};
use rustix::io::Errno;

use crate::address::{self, Reach};
use crate::datagram::Datagrams;
use crate::local_datagram::LocalDatagrams;
use crate::unix::Bound;

/// Names a socket of the network, also one that nobody has accepted yet.
pub(crate) type Id = usize;

/// One socket.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) family: Family,
    pub(crate) options: Options,
    pub(crate) local: Option<Local>,
    /// What a Unix socket is bound to.
    pub(crate) bound: Option<Bound>,
    pub(crate) state: State,
    /// A fault that is still to be told: the next call that fails for it takes it (SO_ERROR).
    pub(crate) error: Option<Errno>,
    /// A connect was begun, and how it ended is still to be told.
    pub(crate) connecting: bool,
    /// Where the loop keeps it; nowhere before it is accepted.
    pub(crate) owner: Option<Slot>,
}

/// What a socket is bound to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local {
    pub(crate) address: SocketAddr,
    pub(crate) by: BoundBy,
}

/// Who bound a socket. A connect that fails takes back only what it bound itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BoundBy {
    User,
    Connect,
}

/// What a socket is doing.
#[derive(Debug)]
pub(crate) enum State {
    /// Nothing yet, or nothing any more.
    Idle,
    /// See [`Listener`].
    Listening(Listener),
    /// Waits for a place in the queue of `listener`.
    Connecting {
        listener: Id,
        /// Its address, where that is an IP address.
        remote: Option<SocketAddr>,
    },
    /// See [`Stream`].
    Connected(Stream),
    /// See [`Datagrams`].
    Datagram(Datagrams),
    /// See [`LocalDatagrams`].
    LocalDatagram(LocalDatagrams),
}

/// The state of a listening socket.
#[derive(Debug)]
pub(crate) struct Listener {
    /// How many connections may wait in `queue`.
    pub(crate) limit: usize,
    /// Connections to accept, oldest first.
    pub(crate) queue: VecDeque<Id>,
    /// Connecting sockets for which there was no place.
    pub(crate) waiting: VecDeque<Id>,
}

impl Listener {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, queue: VecDeque::new(), waiting: VecDeque::new() }
    }
}

/// One end of a connection.
///
/// Its bytes on the way are one queue, at the end that receives them: what the sender's buffer holds and what the
/// receiver's does cannot be told apart from outside, so the room in it is that of both.
#[derive(Debug)]
pub(crate) struct Stream {
    /// The address of the other end, as this one shows it.
    pub(crate) remote: Address,
    /// The other end, until it is closed or the connection is reset.
    pub(crate) peer: Option<Id>,
    /// What arrived and was not received.
    pub(crate) incoming: VecDeque<u8>,
    /// The other end will send no more (FIN).
    pub(crate) ended: bool,
    /// Receiving was shut down at this end.
    pub(crate) read_shut: bool,
    /// Sending was shut down at this end.
    pub(crate) write_shut: bool,
    /// The connection was reset (RST).
    pub(crate) reset: bool,
}

impl Stream {
    pub(crate) fn new(remote: Address, peer: Id) -> Self {
        Self {
            remote,
            peer: Some(peer),
            incoming: VecDeque::new(),
            ended: false,
            read_shut: false,
            write_shut: false,
            reset: false,
        }
    }

    /// Whether nothing can be sent in either direction any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.reset || (self.ended && self.write_shut)
    }
}

impl Socket {
    pub(crate) fn new(family: Family) -> Self {
        Self {
            family,
            options: Options::default(),
            local: None,
            bound: None,
            state: State::Idle,
            error: None,
            connecting: false,
            owner: None,
        }
    }

    /// The addresses that it hears, or would once it is bound to `ip`.
    pub(crate) fn reach(&self, ip: IpAddr) -> Reach {
        Reach::new(ip, self.options.v6_only)
    }

    /// What it is bound to, all addresses of its family if nothing.
    pub(crate) fn local_ip(&self) -> IpAddr {
        self.local.map_or(address::unspecified(self.family), |local| local.address.ip())
    }

    /// Whether it can speak to the canonical `ip` at all.
    pub(crate) fn speaks(&self, ip: IpAddr) -> bool {
        self.reach(self.local_ip()).speaks(ip)
    }

    pub(crate) fn is_datagram(&self) -> bool {
        matches!(self.state, State::Datagram(_) | State::LocalDatagram(_))
    }

    pub(crate) fn is_listening(&self) -> bool {
        matches!(self.state, State::Listening(_))
    }
}

/// What is set on a socket; an accepted one begins with what its listener has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) reuse_address: bool,
    pub(crate) reuse_port: bool,
    pub(crate) v6_only: bool,
    /// Bytes.
    pub(crate) receive_buffer: usize,
    /// Bytes.
    pub(crate) send_buffer: usize,
    /// Closing resets the connection (SO_LINGER of zero).
    pub(crate) reset_on_close: bool,
    pub(crate) broadcast: bool,
    /// What is sent to a multicast group comes to this machine too.
    pub(crate) multicast_loop: bool,
}

impl Options {
    /// Bytes of each buffer unless set: together two of them hold far less than a mebibyte.
    pub(crate) const BUFFER: usize = 64 << 10;
    /// The smallest buffer, in bytes.
    const SMALLEST_BUFFER: u32 = 2 << 10;
    /// The largest buffer, in bytes.
    const LARGEST_BUFFER: u32 = 4 << 20;

    fn buffer(bytes: u32) -> usize {
        bytes.clamp(Self::SMALLEST_BUFFER, Self::LARGEST_BUFFER) as usize
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            reuse_address: false,
            reuse_port: false,
            v6_only: false,
            receive_buffer: Self::BUFFER,
            send_buffer: Self::BUFFER,
            reset_on_close: false,
            broadcast: false,
            multicast_loop: true,
        }
    }
}

impl Socket {
    /// Sets an option.
    ///
    /// # Errors
    /// Those of `setsockopt`.
    pub(crate) fn set(&mut self, option: SocketOption) -> Result<(), Errno> {
        let is_general = matches!(
            option,
            SocketOption::ReuseAddress(_)
                | SocketOption::ReusePort(_)
                | SocketOption::ReceiveBuffer(_)
                | SocketOption::SendBuffer(_)
                | SocketOption::Linger(_)
                | SocketOption::KeepAlive(_)
                | SocketOption::Broadcast(_)
        );
        if self.is_local() && !is_general {
            return Err(Errno::OPNOTSUPP);
        }
        match option {
            SocketOption::ReuseAddress(on) => self.options.reuse_address = on,
            SocketOption::ReusePort(on) => self.options.reuse_port = on,
            SocketOption::NoDelay(_) if self.is_datagram() => return Err(Errno::NOPROTOOPT),
            // Nothing here ever holds a small segment back.
            SocketOption::NoDelay(_) => {}
            SocketOption::V6Only(_) if self.family == Family::Ipv4 => return Err(Errno::NOPROTOOPT),
            SocketOption::V6Only(_) if self.local.is_some() => return Err(Errno::INVAL),
            SocketOption::V6Only(on) => self.options.v6_only = on,
            SocketOption::ReceiveBuffer(bytes) => self.options.receive_buffer = Options::buffer(bytes),
            SocketOption::SendBuffer(bytes) => self.options.send_buffer = Options::buffer(bytes),
            // What was sent is never lost by closing, so lingering for longer than zero changes nothing.
            SocketOption::Linger(time) => {
                self.options.reset_on_close = time.is_some_and(|time| time.is_zero());
            }
            option => return self.set_rest(option),
        }
        Ok(())
    }

    /// Sets an option of datagrams, or one that changes nothing here.
    fn set_rest(&mut self, option: SocketOption) -> Result<(), Errno> {
        match option {
            SocketOption::Broadcast(on) => self.options.broadcast = on,
            SocketOption::MulticastLoop(on) => self.options.multicast_loop = on,
            // Nothing here goes over more than one hop, and there is one interface.
            SocketOption::HopLimit(0) => return Err(Errno::INVAL),
            SocketOption::HopLimit(_) | SocketOption::MulticastHops(_) => {}
            SocketOption::MulticastInterface(0 | 1) => {}
            SocketOption::MulticastInterface(_) => return Err(Errno::ADDRNOTAVAIL),
            // No peer is ever lost.
            SocketOption::KeepAlive(_) => {}
            SocketOption::KeepAliveIdle(_)
            | SocketOption::KeepAliveInterval(_)
            | SocketOption::KeepAliveCount(_)
                if self.is_datagram() =>
            {
                return Err(Errno::NOPROTOOPT);
            }
            SocketOption::KeepAliveIdle(time) | SocketOption::KeepAliveInterval(time) => {
                if time.is_zero() {
                    return Err(Errno::INVAL);
                }
            }
            SocketOption::KeepAliveCount(0) => return Err(Errno::INVAL),
            SocketOption::KeepAliveCount(_) => {}
            _ => return Err(Errno::NOPROTOOPT),
        }
        Ok(())
    }
}
