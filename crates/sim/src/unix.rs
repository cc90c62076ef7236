//! Unix sockets: their names, of which paths are files, and streams between them.

use std::os::unix::ffi::OsStrExt;
use std::task::Poll;

use proactor_core::{Address, Direction, Family, Links, UnixAddress};
use rustix::io::Errno;

use crate::Sim;
use crate::files;
use crate::network::Network;
use crate::socket::{Id, Listener, State, Stream};

/// What a socket is found by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Name {
    /// Streams and datagrams have names of their own.
    Abstract { is_datagram: bool, name: UnixAddress },
    /// A file, whatever it is called.
    File(files::Id),
}

/// What a Unix socket is bound to.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    /// As it was named when it was bound.
    pub(crate) address: UnixAddress,
    /// What it is found by; nothing, of an accepted one, which has its listener's address.
    pub(crate) name: Option<Name>,
}

impl Sim {
    /// Binds a Unix socket. A path makes a file.
    pub(crate) fn bind_local(&mut self, socket: Id, address: &Address) -> Result<(), Errno> {
        let address = address.as_unix().ok_or(Errno::INVAL)?;
        if self.network.sockets[socket].bound.is_some() {
            // One that the system has named before is content with it.
            return if address.is_unnamed() { Ok(()) } else { Err(Errno::INVAL) };
        }
        let is_datagram = self.network.is_datagram(socket);
        let (address, name) = if let Some(path) = address.as_path() {
            let now = self.clock.now();
            let node = self.files.make_socket(path.as_os_str().as_bytes(), now)?;
            (address.clone(), Name::File(node))
        } else if address.as_abstract_name().is_some() {
            (address.clone(), Name::Abstract { is_datagram, name: address.clone() })
        } else {
            self.network.free_name(is_datagram).ok_or(Errno::NOSPC)?
        };
        self.network.bind_to_name(socket, Bound { address, name: Some(name) })
    }

    /// What the socket is found by that a Unix socket names.
    pub(crate) fn find_by(&self, socket: Id, address: &Address) -> Result<Name, Errno> {
        let address = address.as_unix().ok_or(Errno::INVAL)?;
        if let Some(path) = address.as_path() {
            let path = path.as_os_str().as_bytes();
            let node = self.files.lookup(self.files.start(None), path, Links::Follow)?;
            return Ok(Name::File(node));
        }
        if address.is_unnamed() {
            return Err(Errno::INVAL);
        }
        Ok(Name::Abstract { is_datagram: self.network.is_datagram(socket), name: address.clone() })
    }

    /// Begins to connect a Unix socket.
    pub(crate) fn connect_local(&mut self, socket: Id, address: &Address) -> Result<(), Errno> {
        let name = self.find_by(socket, address)?;
        let other = self.network.named(socket, &name)?;
        if self.network.is_datagram(socket) {
            return self.network.connect_local_datagrams(socket, other);
        }
        self.network.connect_local_stream(socket, other)
    }

    /// Lets go of the file that is a socket's name, which stays until it is unlinked.
    pub(crate) fn release_name(&mut self, bound: Option<Bound>) {
        if let Some(Bound { name: Some(Name::File(node)), .. }) = bound {
            self.files.release(node);
        }
    }
}

impl Network {
    /// Whether it is a Unix socket.
    pub(crate) fn is_local(&self, id: Id) -> bool {
        self.sockets[id].is_local()
    }

    /// An abstract name that is not taken, as a system makes them up: a number that comes round after long.
    fn free_name(&mut self, is_datagram: bool) -> Option<(UnixAddress, Name)> {
        /// As many as five digits tell apart.
        const NUMBERS: u32 = 0x10_0000;
        for _ in 0..NUMBERS {
            let address = UnixAddress::abstract_name(format!("{:05x}", self.next_name).as_bytes()).ok()?;
            self.next_name = (self.next_name + 1) % NUMBERS;
            let name = Name::Abstract { is_datagram, name: address.clone() };
            if !self.names.contains_key(&name) {
                return Some((address, name));
            }
        }
        None
    }

    fn bind_to_name(&mut self, id: Id, bound: Bound) -> Result<(), Errno> {
        if let Some(name) = &bound.name {
            if self.names.contains_key(name) {
                return Err(Errno::ADDRINUSE);
            }
            self.names.insert(name.clone(), id);
        }
        self.sockets[id].bound = Some(bound);
        Ok(())
    }

    /// The socket with this name, of the same kind as `id`.
    pub(crate) fn named(&self, id: Id, name: &Name) -> Result<Id, Errno> {
        let other = *self.names.get(name).ok_or(Errno::CONNREFUSED)?;
        if self.is_datagram(other) == self.is_datagram(id) { Ok(other) } else { Err(Errno::PROTOTYPE) }
    }

    /// What others see as the address of a Unix socket.
    pub(crate) fn local_name(&self, id: Id) -> UnixAddress {
        let bound = self.sockets[id].bound.as_ref();
        bound.map_or_else(UnixAddress::unnamed, |bound| bound.address.clone())
    }

    pub(crate) fn listen_local(&mut self, id: Id, limit: usize) -> Result<(), Errno> {
        let socket = &mut self.sockets[id];
        match &mut socket.state {
            State::Listening(listener) => {
                listener.limit = limit;
                self.admit(id);
                Ok(())
            }
            State::Idle if !socket.connecting && socket.bound.is_some() => {
                socket.state = State::Listening(Listener::new(limit));
                Ok(())
            }
            State::LocalDatagram(_) => Err(Errno::OPNOTSUPP),
            _ => Err(Errno::INVAL),
        }
    }

    fn connect_local_stream(&mut self, id: Id, other: Id) -> Result<(), Errno> {
        match self.sockets[id].state {
            State::Connecting { .. } => return Err(Errno::ALREADY),
            // An earlier connect has succeeded, and nobody was told yet: this one is.
            State::Connected(_) if self.sockets[id].connecting => return Ok(()),
            State::Connected(_) => return Err(Errno::ISCONN),
            State::Idle => {}
            _ => return Err(Errno::INVAL),
        }
        if !self.sockets[other].is_listening() {
            return Err(Errno::CONNREFUSED);
        }
        let socket = &mut self.sockets[id];
        socket.connecting = true;
        socket.error = None;
        socket.state = State::Connecting { listener: other, remote: None };
        self.listener(other).waiting.push_back(id);
        self.admit(other);
        Ok(())
    }

    /// Connects `client` to a new socket in the queue of a Unix listener.
    pub(crate) fn establish_local(&mut self, client: Id, listener: Id) {
        let (own, remote) = (self.local_name(client), self.local_name(listener));
        let server = self.open_accepted(listener, Stream::new(own.into(), client));
        self.sockets[server].bound = Some(Bound { address: remote.clone(), name: None });
        self.sockets[client].state = State::Connected(Stream::new(remote.into(), server));
        self.listener(listener).queue.push_back(server);
        self.touch(listener, Direction::Read);
        self.touch(client, Direction::Write);
    }

    /// Takes back a connect that was cancelled while it waits: it would have been interrupted.
    pub(crate) fn withdraw_connect(&mut self, id: Id) {
        if self.is_local(id) && matches!(self.sockets[id].state, State::Connecting { .. }) {
            self.give_up_connect(id);
            self.sockets[id].error = None;
        }
    }

    /// How a Unix socket that is not to be sent from says so, if it is such a one.
    pub(crate) fn check_local_sending(&self, id: Id) -> Poll<Result<(), Errno>> {
        match &self.sockets[id].state {
            State::Connecting { .. } => Poll::Pending,
            State::Connected(stream) => {
                let hears = |peer: Id| match &self.sockets[peer].state {
                    State::Connected(peer) => !peer.read_shut,
                    _ => false,
                };
                let is_heard = !stream.write_shut && !stream.reset && stream.peer.is_some_and(hears);
                Poll::Ready(if is_heard { Ok(()) } else { Err(Errno::PIPE) })
            }
            _ => Poll::Ready(Err(Errno::NOTCONN)),
        }
    }

    /// A name is free once its socket is closed.
    pub(crate) fn remove_name(&mut self, id: Id) {
        if let Some(Bound { name: Some(name), .. }) = &self.sockets[id].bound {
            self.names.remove(name);
        }
    }
}

impl crate::socket::Socket {
    pub(crate) fn is_local(&self) -> bool {
        self.family == Family::Unix
    }
}
