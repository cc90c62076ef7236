//! Datagrams between sockets.
//!
//! A datagram arrives as it is sent, or not at all: where nobody is bound, and where a receive buffer is full. The first
//! is told to a connected sender (ICMP), the second to nobody.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::task::Poll;

use proactor_core::{Address, Datagram, Direction, Membership, ShutdownHow};
use rustix::io::Errno;

use crate::address::{self, Hears};
use crate::choices::Choices;
use crate::network::{Network, reachable};
use crate::socket::{BoundBy, Id, Local, Socket, State};

/// The state of a datagram socket.
#[derive(Debug, Default)]
pub(crate) struct Datagrams {
    /// Whom it is connected to.
    pub(crate) remote: Option<SocketAddr>,
    /// The bytes of what arrived and was not received, one datagram behind the other.
    bytes: VecDeque<u8>,
    headers: VecDeque<Header>,
    /// The multicast groups that it has joined.
    groups: Vec<IpAddr>,
    read_shut: bool,
    write_shut: bool,
}

/// What is known of a datagram apart from its bytes.
#[derive(Clone, Copy, Debug)]
struct Header {
    len: usize,
    from: SocketAddr,
}

impl Datagrams {
    /// What each datagram takes of a receive buffer besides its bytes, as on a system: empty ones fill it too.
    const OVERHEAD: usize = 256;
    /// The longest over each protocol.
    const LONGEST_V4: usize = 65_507;
    const LONGEST_V6: usize = 65_527;

    /// Takes a datagram, unless there is more than `limit` already.
    fn push(&mut self, bytes: &[u8], from: SocketAddr, limit: usize) -> bool {
        let taken = self.bytes.len() + self.headers.len() * Self::OVERHEAD;
        if taken > limit {
            return false;
        }
        self.bytes.extend(bytes);
        self.headers.push_back(Header { len: bytes.len(), from });
        true
    }

    /// Takes out the oldest, as much of it as there is room for.
    fn pop(&mut self, bytes: &mut [u8]) -> Option<(Datagram, SocketAddr)> {
        let Header { len, from } = self.headers.pop_front()?;
        let kept = len.min(bytes.len());
        for (to, from) in bytes.iter_mut().zip(self.bytes.drain(..len)) {
            *to = from;
        }
        Some((Datagram::new(kept, len > kept), from))
    }
}

impl Network {
    /// Whether it is a datagram socket.
    pub(crate) fn is_datagram(&self, id: Id) -> bool {
        self.sockets[id].is_datagram()
    }

    /// What is known to be a datagram socket.
    ///
    /// # Errors
    /// EOPNOTSUPP for another one.
    fn datagrams(&mut self, id: Id) -> Result<&mut Datagrams, Errno> {
        match &mut self.sockets[id].state {
            State::Datagram(datagrams) => Ok(datagrams),
            _ => Err(Errno::OPNOTSUPP),
        }
    }

    /// Connects, which takes no time.
    pub(crate) fn connect_datagrams(&mut self, id: Id, address: &Address) -> Result<(), Errno> {
        let remote = destination(&self.sockets[id], address)?;
        self.bind_for(id, remote.ip())?;
        self.datagrams(id)?.remote = Some(remote);
        Ok(())
    }

    /// Sends `bytes` as one datagram to `address`, or to whom the socket is connected to.
    pub(crate) fn send_to(
        &mut self,
        id: Id,
        bytes: &[u8],
        address: Option<&Address>,
        choices: &mut Choices,
    ) -> Result<(), Errno> {
        let (remote, write_shut) = {
            let datagrams = self.datagrams(id)?;
            (datagrams.remote, datagrams.write_shut)
        };
        let socket = &mut self.sockets[id];
        let to = match (address, remote) {
            (Some(address), _) => destination(socket, address)?,
            (None, Some(remote)) => remote,
            (None, None) => return Err(Errno::DESTADDRREQ),
        };
        if to.port() == 0 {
            return Err(Errno::INVAL);
        }
        let longest = if to.is_ipv4() { Datagrams::LONGEST_V4 } else { Datagrams::LONGEST_V6 };
        if bytes.len() > longest {
            return Err(Errno::MSGSIZE);
        }
        if write_shut {
            return Err(Errno::PIPE);
        }
        if let Some(error) = socket.error.take() {
            return Err(error);
        }
        let from = self.source(id, to.ip())?;
        if to.ip().is_multicast() {
            self.deliver_to_group(id, bytes, from, to);
        } else if let Some(receiver) = self.receiver(from, to, choices) {
            self.deliver(receiver, bytes, from);
        } else if remote == Some(to) {
            // Nobody is there, and the system there says so (ICMP): the next call hears it.
            self.sockets[id].error = Some(Errno::CONNREFUSED);
            self.touch(id, Direction::Read);
        }
        Ok(())
    }

    /// Where a datagram to `remote` comes from; binds the socket if it is not.
    fn source(&mut self, id: Id, remote: IpAddr) -> Result<SocketAddr, Errno> {
        let local = match self.sockets[id].local {
            Some(local) => local.address,
            None => {
                let port = self.free_port(id).ok_or(Errno::AGAIN)?;
                let address = SocketAddr::new(address::unspecified(self.sockets[id].family), port);
                self.bind_to(id, Local { address, by: BoundBy::User });
                address
            }
        };
        let ip = if local.ip().is_unspecified() { address::loopback(remote) } else { local.ip() };
        Ok(SocketAddr::new(ip, local.port()))
    }

    /// The socket that a datagram is meant for: one that is connected to the sender before others, then the one closest
    /// by its address, any one of those that share it.
    fn receiver(&self, from: SocketAddr, to: SocketAddr, choices: &mut Choices) -> Option<Id> {
        let rank = |id: Id| {
            let socket = &self.sockets[id];
            let State::Datagram(datagrams) = &socket.state else { return None };
            let hears = socket.reach(socket.local_ip()).hears(to.ip());
            let is_heard = hears > Hears::Nothing && datagrams.remote.is_none_or(|remote| remote == from);
            is_heard.then_some((datagrams.remote.is_some(), hears))
        };
        let best = self.datagram_sockets(to.port()).filter_map(rank).max()?;
        let equals = || self.datagram_sockets(to.port()).filter(|&id| rank(id) == Some(best));
        let chosen = choices.pick(equals().count());
        equals().nth(chosen)
    }

    /// Gives a datagram to every socket that has joined the group, once each.
    fn deliver_to_group(&mut self, sender: Id, bytes: &[u8], from: SocketAddr, to: SocketAddr) {
        if !self.sockets[sender].options.multicast_loop {
            return;
        }
        let mut next = 0;
        loop {
            let Some(id) = self.datagram_sockets(to.port()).find(|&id| id >= next) else { return };
            next = id + 1;
            let is_member = |datagrams: &mut Datagrams| {
                datagrams.groups.contains(&to.ip()) && datagrams.remote.is_none_or(|remote| remote == from)
            };
            if self.datagrams(id).is_ok_and(is_member) {
                self.deliver(id, bytes, from);
            }
        }
    }

    fn deliver(&mut self, receiver: Id, bytes: &[u8], from: SocketAddr) {
        let limit = self.sockets[receiver].options.receive_buffer;
        if self.datagrams(receiver).is_ok_and(|datagrams| datagrams.push(bytes, from, limit)) {
            self.touch(receiver, Direction::Read);
        }
    }

    /// Receives the oldest datagram into `bytes`, and tells where it came from, if that has a name.
    pub(crate) fn recv_from(
        &mut self,
        id: Id,
        bytes: &mut [u8],
    ) -> Poll<Result<(Datagram, Option<Address>), Errno>> {
        if self.is_local(id) {
            return self.recv_local(id, bytes);
        }
        self.datagrams(id)?;
        let socket = &mut self.sockets[id];
        if let Some(error) = socket.error.take() {
            return Poll::Ready(Err(error));
        }
        let family = socket.family;
        match self.datagrams(id)?.pop(bytes) {
            Some((datagram, from)) => Poll::Ready(Ok((datagram, Some(address::shown(family, from))))),
            // Shut down for reading: an empty one, from nobody.
            None if self.datagrams(id)?.read_shut => Poll::Ready(Ok((Datagram::new(0, false), None))),
            None => Poll::Pending,
        }
    }

    /// Ends sending, or receiving.
    pub(crate) fn shutdown_datagrams(&mut self, id: Id, how: ShutdownHow) -> Result<(), Errno> {
        let datagrams = self.datagrams(id)?;
        datagrams.remote.ok_or(Errno::NOTCONN)?;
        datagrams.read_shut |= how != ShutdownHow::Write;
        datagrams.write_shut |= how != ShutdownHow::Read;
        self.touch(id, Direction::Read);
        Ok(())
    }

    /// Joins a multicast group, or leaves it.
    pub(crate) fn set_membership(&mut self, id: Id, membership: Membership, join: bool) -> Result<(), Errno> {
        /// The number of the one interface that there is.
        const LOOPBACK: u32 = 1;
        let Membership { group, interface } = membership;
        if group.is_ipv6() && address::unspecified(self.sockets[id].family).is_ipv4() {
            return Err(Errno::NOPROTOOPT);
        }
        if !group.is_multicast() {
            return Err(Errno::INVAL);
        }
        if interface > LOOPBACK {
            return Err(Errno::NODEV);
        }
        let groups = &mut self.datagrams(id)?.groups;
        match (groups.iter().position(|&joined| joined == group), join) {
            (None, true) => groups.push(group),
            (Some(position), false) => _ = groups.swap_remove(position),
            (Some(_), true) => return Err(Errno::ADDRINUSE),
            (None, false) => return Err(Errno::ADDRNOTAVAIL),
        }
        Ok(())
    }
}

/// Where `socket` gets when it sends to `address`. Unlike a stream socket, one of IPv6 takes addresses of IPv4 too.
fn destination(socket: &Socket, address: &Address) -> Result<SocketAddr, Errno> {
    let address = address.as_inet().ok_or(Errno::AFNOSUPPORT)?;
    if address.is_ipv6() && address::unspecified(socket.family).is_ipv4() {
        return Err(Errno::AFNOSUPPORT);
    }
    let remote = SocketAddr::new(address.ip().to_canonical(), address.port());
    if remote.ip() == Ipv4Addr::BROADCAST && !socket.options.broadcast {
        return Err(Errno::ACCESS);
    }
    if remote.ip().is_multicast() && socket.speaks(remote.ip()) {
        Ok(remote)
    } else {
        reachable(socket, remote)
    }
}
