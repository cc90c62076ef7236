//! The network inside a simulation: who is bound where, who listens, who is connected to whom.
//!
//! Faults have the numbers that Linux gives for them. There is no TIME_WAIT: a port is free once its last socket is
//! closed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;

use proactor_core::{Address, Control, Direction, Error, Family, Reply, Slot, SocketKind, SocketOption};
use rustix::io::Errno;
use slab::Slab;

use crate::address::{self, Hears};
use crate::choices::Choices;
use crate::datagram::Datagrams;
use crate::local_datagram::LocalDatagrams;
use crate::socket::{BoundBy, Id, Listener, Local, Socket, State, Stream};
use crate::unix::{Bound, Name};

/// All sockets of one simulation.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) sockets: Slab<Socket>,
    /// Every bound stream socket, by port.
    bound: BTreeSet<(u16, Id)>,
    /// Every bound datagram socket, whose ports are others.
    bound_datagrams: BTreeSet<(u16, Id)>,
    /// Those of them that listen.
    listening: BTreeSet<(u16, Id)>,
    /// Every bound Unix socket.
    pub(crate) names: BTreeMap<Name, Id>,
    /// Where the search for a free name goes on.
    pub(crate) next_name: u32,
    /// Where the search for a free port goes on.
    next_port: u16,
    /// What may have become possible, for the loop to try again.
    pub(crate) touched: Vec<(Slot, Direction)>,
}

impl Network {
    /// The ports that are chosen where none is asked for.
    const FIRST_PORT: u16 = 32_768;
    const LAST_PORT: u16 = 60_999;
    /// The longest queue of a listener, as a system has one.
    const LONGEST_BACKLOG: u32 = 4096;

    pub(crate) fn new() -> Self {
        Self {
            sockets: Slab::new(),
            bound: BTreeSet::new(),
            bound_datagrams: BTreeSet::new(),
            listening: BTreeSet::new(),
            names: BTreeMap::new(),
            next_name: 0,
            next_port: Self::FIRST_PORT,
            touched: Vec::new(),
        }
    }

    /// Opens a socket for the loop's `owner`.
    pub(crate) fn open(&mut self, family: Family, kind: SocketKind, owner: Slot) -> Id {
        let state = match kind {
            SocketKind::Datagram if family == Family::Unix => State::LocalDatagram(LocalDatagrams::default()),
            SocketKind::Datagram => State::Datagram(Datagrams::default()),
            _ => State::Idle,
        };
        self.sockets.insert(Socket { owner: Some(owner), state, ..Socket::new(family) })
    }

    /// The bound sockets whose ports are of the same kind as those of `id`.
    fn bound(&self, id: Id) -> &BTreeSet<(u16, Id)> {
        if self.is_datagram(id) { &self.bound_datagrams } else { &self.bound }
    }

    fn bound_mut(&mut self, id: Id) -> &mut BTreeSet<(u16, Id)> {
        if self.is_datagram(id) { &mut self.bound_datagrams } else { &mut self.bound }
    }

    /// The datagram sockets on `port`.
    pub(crate) fn datagram_sockets(&self, port: u16) -> impl Iterator<Item = Id> + '_ {
        on_port(&self.bound_datagrams, port)
    }

    /// Notes that an operation of the socket may go on.
    pub(crate) fn touch(&mut self, id: Id, direction: Direction) {
        if let Some(owner) = self.sockets[id].owner {
            self.touched.push((owner, direction));
        }
    }

    /// Does a call that never waits.
    pub(crate) fn control(&mut self, id: Id, control: Control) -> Result<Reply, Error> {
        match control {
            Control::Bind(address) => self.bind(id, &address)?,
            Control::Listen(backlog) => self.listen(id, backlog)?,
            Control::Set(option) => self.set(id, option)?,
            Control::LocalAddress => return Ok(Reply::Address(self.local_address(id))),
            Control::PeerAddress => return Ok(Reply::Address(self.peer_address(id)?)),
            _ => return Err(Error::Unsupported),
        }
        Ok(Reply::Done)
    }

    fn set(&mut self, id: Id, option: SocketOption) -> Result<(), Errno> {
        match option {
            SocketOption::JoinMulticast(membership) => return self.set_membership(id, membership, true),
            SocketOption::LeaveMulticast(membership) => return self.set_membership(id, membership, false),
            option => self.sockets[id].set(option)?,
        }
        // A larger buffer may be what a send at either end waits for.
        self.touch(id, Direction::Write);
        if let State::Connected(Stream { peer: Some(peer), .. }) = self.sockets[id].state {
            self.touch(peer, Direction::Write);
        }
        Ok(())
    }

    fn bind(&mut self, id: Id, address: &Address) -> Result<(), Errno> {
        let socket = &self.sockets[id];
        let address = address::canonical(socket.family, address)?;
        let unbound = socket.local.is_none() && matches!(socket.state, State::Idle | State::Datagram(_));
        if !unbound || !socket.speaks(address.ip()) {
            return Err(Errno::INVAL);
        }
        if !address::is_local(address.ip()) {
            return Err(Errno::ADDRNOTAVAIL);
        }
        let port = match address.port() {
            0 => self.free_port(id).ok_or(Errno::ADDRINUSE)?,
            port => port,
        };
        let address = SocketAddr::new(address.ip(), port);
        if self.conflicts(id, address) {
            return Err(Errno::ADDRINUSE);
        }
        self.bind_to(id, Local { address, by: BoundBy::User });
        Ok(())
    }

    pub(crate) fn bind_to(&mut self, id: Id, local: Local) {
        self.bound_mut(id).insert((local.address.port(), id));
        self.sockets[id].local = Some(local);
    }

    /// Whether `address` is taken as far as the socket is concerned.
    fn conflicts(&self, id: Id, address: SocketAddr) -> bool {
        let socket = &self.sockets[id];
        let reach = socket.reach(address.ip());
        on_port(self.bound(id), address.port()).filter(|&other| other != id).any(|other| {
            let other = &self.sockets[other];
            let (ours, theirs) = (socket.options, other.options);
            let reused = ours.reuse_address && theirs.reuse_address && !other.is_listening();
            let shared = ours.reuse_port && theirs.reuse_port;
            !reused && !shared && reach.overlaps(other.reach(other.local_ip()))
        })
    }

    /// A port to which nothing of the socket's kind is bound, if there is one.
    pub(crate) fn free_port(&mut self, id: Id) -> Option<u16> {
        for _ in Self::FIRST_PORT..=Self::LAST_PORT {
            let port = self.next_port;
            self.next_port = if port == Self::LAST_PORT { Self::FIRST_PORT } else { port + 1 };
            if on_port(self.bound(id), port).next().is_none() {
                return Some(port);
            }
        }
        None
    }

    fn listen(&mut self, id: Id, backlog: u32) -> Result<(), Errno> {
        // One more than the backlog may wait, as on Linux.
        let limit = backlog.min(Self::LONGEST_BACKLOG) as usize + 1;
        if self.is_local(id) {
            return self.listen_local(id, limit);
        }
        let socket = &mut self.sockets[id];
        match &mut socket.state {
            State::Listening(listener) => {
                listener.limit = limit;
                self.admit(id);
                return Ok(());
            }
            State::Idle if !socket.connecting => {}
            State::Datagram(_) => return Err(Errno::OPNOTSUPP),
            _ => return Err(Errno::INVAL),
        }
        let address = match socket.local {
            Some(local) => local.address,
            None => {
                let ip = socket.local_ip();
                SocketAddr::new(ip, self.free_port(id).ok_or(Errno::ADDRINUSE)?)
            }
        };
        self.sockets[id].state = State::Listening(Listener::new(limit));
        if self.conflicts(id, address) {
            self.sockets[id].state = State::Idle;
            return Err(Errno::ADDRINUSE);
        }
        if self.sockets[id].local.is_none() {
            self.bind_to(id, Local { address, by: BoundBy::User });
        }
        self.listening.insert((address.port(), id));
        Ok(())
    }

    fn local_address(&self, id: Id) -> Address {
        let socket = &self.sockets[id];
        if socket.is_local() {
            return self.local_name(id).into();
        }
        let port = socket.local.map_or(0, |local| local.address.port());
        address::shown(socket.family, SocketAddr::new(socket.local_ip(), port))
    }

    fn peer_address(&self, id: Id) -> Result<Address, Errno> {
        let socket = &self.sockets[id];
        match &socket.state {
            State::Connected(stream) if socket.is_local() || !stream.is_closed() => Ok(stream.remote.clone()),
            State::LocalDatagram(_) => {
                let peer = self.local_peer(id).ok_or(Errno::NOTCONN)?;
                Ok(self.local_name(peer).into())
            }
            State::Datagram(Datagrams { remote: Some(remote), .. }) => {
                Ok(address::shown(socket.family, *remote))
            }
            _ => Err(Errno::NOTCONN),
        }
    }

    /// Begins to connect; [`finish_connect`](Self::finish_connect) tells how it ends.
    pub(crate) fn begin_connect(
        &mut self,
        id: Id,
        address: &Address,
        choices: &mut Choices,
    ) -> Result<(), Errno> {
        if self.is_datagram(id) {
            return self.connect_datagrams(id, address);
        }
        let socket = &self.sockets[id];
        let remote = address::canonical(socket.family, address)?;
        match socket.state {
            State::Connecting { .. } => return Err(Errno::ALREADY),
            // An earlier connect has ended, and nobody was told yet: this one is.
            State::Idle | State::Connected(_) if socket.connecting => return Ok(()),
            State::Listening(_) | State::Connected(_) => return Err(Errno::ISCONN),
            State::Idle | State::Datagram(_) | State::LocalDatagram(_) => {}
        }
        let remote = reachable(socket, remote)?;
        self.bind_for(id, remote.ip())?;
        let socket = &mut self.sockets[id];
        socket.connecting = true;
        socket.error = None;
        match self.listener_at(remote, choices) {
            None => {
                self.sockets[id].error = Some(Errno::CONNREFUSED);
                self.unbind_connect(id);
            }
            Some(listener) => {
                self.sockets[id].state = State::Connecting { listener, remote: Some(remote) };
                self.listener(listener).waiting.push_back(id);
                self.admit(listener);
            }
        }
        Ok(())
    }

    /// Gives a socket that connects to `remote` an address of its own.
    pub(crate) fn bind_for(&mut self, id: Id, remote: IpAddr) -> Result<(), Errno> {
        let (port, by) = match self.sockets[id].local {
            Some(local) => (local.address.port(), local.by),
            None => (self.free_port(id).ok_or(Errno::ADDRNOTAVAIL)?, BoundBy::Connect),
        };
        let ip = self.sockets[id].local_ip();
        let ip = if ip.is_unspecified() { address::loopback(remote) } else { ip };
        self.bind_to(id, Local { address: SocketAddr::new(ip, port), by });
        Ok(())
    }

    /// Takes back what [`bind_for`](Self::bind_for) bound.
    fn unbind_connect(&mut self, id: Id) {
        if let Some(Local { address, by: BoundBy::Connect }) = self.sockets[id].local {
            self.sockets[id].local = None;
            self.bound_mut(id).remove(&(address.port(), id));
        }
    }

    /// The listener that `remote` means: the one closest by its address, any one of those that share it.
    fn listener_at(&self, remote: SocketAddr, choices: &mut Choices) -> Option<Id> {
        let mut best = Hears::Nothing;
        let mut group = Vec::new();
        for id in on_port(&self.listening, remote.port()) {
            let listener = &self.sockets[id];
            let hears = listener.reach(listener.local_ip()).hears(remote.ip());
            if hears > best {
                best = hears;
                group.clear();
            }
            if hears == best && best > Hears::Nothing {
                group.push(id);
            }
        }
        (!group.is_empty()).then(|| group[choices.pick(group.len())])
    }

    /// How a connect that was begun ends.
    pub(crate) fn finish_connect(&mut self, id: Id) -> Poll<Result<(), Errno>> {
        let socket = &mut self.sockets[id];
        match &socket.state {
            State::Connecting { .. } => return Poll::Pending,
            State::Connected(stream) if socket.family == Family::Unix || !stream.is_closed() => {
                socket.connecting = false;
                return Poll::Ready(Ok(()));
            }
            State::Datagram(_) | State::LocalDatagram(_) => return Poll::Ready(Ok(())),
            _ => {}
        }
        // Refused, or reset before anyone looked: it can be connected anew.
        socket.connecting = false;
        socket.state = State::Idle;
        let error = socket.error.take().unwrap_or(Errno::CONNABORTED);
        self.unbind_connect(id);
        Poll::Ready(Err(error))
    }

    /// What is known to be a listener.
    pub(crate) fn listener(&mut self, id: Id) -> &mut Listener {
        match &mut self.sockets[id].state {
            State::Listening(listener) => listener,
            state => unreachable!("connecting to a socket that is {state:?}"),
        }
    }

    /// Lets connecting sockets into the listener's queue while it has room.
    pub(crate) fn admit(&mut self, id: Id) {
        loop {
            let listener = self.listener(id);
            if listener.queue.len() >= listener.limit {
                return;
            }
            let Some(client) = listener.waiting.pop_front() else { return };
            self.establish(client, id);
        }
    }

    /// Connects `client` to a new socket in the listener's queue.
    fn establish(&mut self, client: Id, listener: Id) {
        let State::Connecting { remote, .. } = self.sockets[client].state else {
            unreachable!("a socket waits for a listener without connecting")
        };
        let Some(remote) = remote else { return self.establish_local(client, listener) };
        let local = self.sockets[client].local.expect("a connecting socket is bound").address;
        let families = [client, listener].map(|id| self.sockets[id].family);
        let stream = Stream::new(address::shown(families[1], local), client);
        let server = self.open_accepted(listener, stream);
        self.bind_to(server, Local { address: remote, by: BoundBy::User });
        let remote = address::shown(families[0], remote);
        self.sockets[client].state = State::Connected(Stream::new(remote, server));
        self.listener(listener).queue.push_back(server);
        self.touch(listener, Direction::Read);
        self.touch(client, Direction::Write);
    }

    /// Opens a socket that is connected already, as its listener's options say.
    pub(crate) fn open_accepted(&mut self, listener: Id, stream: Stream) -> Id {
        let Socket { family, options, .. } = self.sockets[listener];
        self.sockets.insert(Socket { options, state: State::Connected(stream), ..Socket::new(family) })
    }

    /// Takes the oldest connection of a listener's queue, and tells its peer's address.
    pub(crate) fn accept(&mut self, id: Id) -> Poll<Result<(Id, Address), Errno>> {
        let listener = match &mut self.sockets[id].state {
            State::Listening(listener) => listener,
            State::Datagram(_) | State::LocalDatagram(_) => return Poll::Ready(Err(Errno::OPNOTSUPP)),
            _ => return Poll::Ready(Err(Errno::INVAL)),
        };
        let Some(accepted) = listener.queue.pop_front() else { return Poll::Pending };
        self.admit(id);
        let socket = &self.sockets[accepted];
        let State::Connected(stream) = &socket.state else {
            unreachable!("a socket was accepted without being connected")
        };
        Poll::Ready(Ok((accepted, stream.remote.clone())))
    }

    /// Ends listening: connections that were not accepted are reset, connecting sockets are refused.
    pub(crate) fn stop_listening(&mut self, id: Id) {
        let state = std::mem::replace(&mut self.sockets[id].state, State::Idle);
        let State::Listening(listener) = state else { unreachable!("only a listener stops listening") };
        if let Some(local) = self.sockets[id].local {
            self.listening.remove(&(local.address.port(), id));
        }
        for connection in listener.queue {
            self.abort(connection);
        }
        for client in listener.waiting {
            self.fail_connect(client, Errno::CONNREFUSED);
        }
        self.touch(id, Direction::Read);
    }

    /// Ends a connecting that waits.
    fn fail_connect(&mut self, id: Id, error: Errno) {
        self.sockets[id].state = State::Idle;
        self.sockets[id].error = Some(error);
        self.unbind_connect(id);
        self.touch(id, Direction::Read);
        self.touch(id, Direction::Write);
    }

    /// Gives up connecting, while it waits for a place in the listener's queue.
    pub(crate) fn give_up_connect(&mut self, id: Id) {
        let State::Connecting { listener, .. } = self.sockets[id].state else { return };
        self.listener(listener).waiting.retain(|&client| client != id);
        self.sockets[id].connecting = false;
        self.fail_connect(id, Errno::CONNRESET);
    }

    /// Closes a socket, as `close` does: with data unread or lingering for zero, the connection is reset. Returns what a Unix
    /// socket was bound to.
    pub(crate) fn close(&mut self, id: Id) -> Option<Bound> {
        match &self.sockets[id].state {
            State::Idle | State::Datagram(_) => {}
            State::LocalDatagram(_) => self.leave_local_datagrams(id),
            State::Listening(_) => self.stop_listening(id),
            State::Connecting { .. } => self.give_up_connect(id),
            State::Connected(stream) if !stream.incoming.is_empty() => self.reset_peer(id),
            State::Connected(_) if self.sockets[id].options.reset_on_close && !self.is_local(id) => {
                self.reset_peer(id)
            }
            State::Connected(_) => self.leave_peer(id),
        }
        self.remove(id)
    }

    /// Resets a connection and closes this end of it.
    pub(crate) fn abort(&mut self, id: Id) {
        self.reset_peer(id);
        self.remove(id);
    }

    fn remove(&mut self, id: Id) -> Option<Bound> {
        self.remove_name(id);
        if let Some(local) = self.sockets[id].local {
            self.bound_mut(id).remove(&(local.address.port(), id));
        }
        self.sockets.remove(id).bound
    }
}

/// The members of `ports` on `port`.
fn on_port(ports: &BTreeSet<(u16, Id)>, port: u16) -> impl Iterator<Item = Id> + '_ {
    ports.range((port, Id::MIN)..=(port, Id::MAX)).map(|&(_, id)| id)
}

/// Where `socket` gets when it connects to the canonical `remote`.
pub(crate) fn reachable(socket: &Socket, remote: SocketAddr) -> Result<SocketAddr, Errno> {
    let ip = remote.ip();
    if !address::is_local(ip) || !socket.speaks(ip) {
        return Err(Errno::NETUNREACH);
    }
    let ip = if ip.is_unspecified() { address::loopback(ip) } else { ip };
    Ok(SocketAddr::new(ip, remote.port()))
}
