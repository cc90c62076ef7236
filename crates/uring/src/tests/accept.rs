//! Accepting.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use proactor_core::{
    Accept, Address, Backend, Config, Connection, Control, Error, Handle, Outcome, Reply, SocketOption,
    UnixAddress,
};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{ACCEPT, Rig, SETUPS, in_a_child, is_child};

impl Rig {
    fn listener(&mut self, address: &str) -> (Handle, SocketAddr) {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        (self.attach(listener), address)
    }

    /// Has the kernel accept one connection at a time, as older ones do.
    pub(super) fn accept_singly(&mut self) {
        self.backend.requests.accepts_many = false;
    }

    /// The next outcome, a connection of an `AcceptMany`.
    fn connection(&mut self) -> Connection {
        match self.next() {
            (_, Outcome::AcceptManyItem(connection)) => connection,
            other => panic!("expected a connection, got {other:?}"),
        }
    }

    /// The next outcome, the end of an `AcceptMany`.
    fn ended(&mut self) -> Error {
        match self.next() {
            (_, Outcome::AcceptManyEnded(ended)) => ended.error,
            other => panic!("expected an end, got {other:?}"),
        }
    }
}

#[test]
fn an_accept_brings_a_socket_and_its_peers_address() {
    for listener in ["127.0.0.1:0", "[::1]:0"] {
        let mut rig = Rig::new();
        let (listener, address) = rig.listener(listener);
        for _ in 0..2 {
            let token = rig.start(listener, Accept { listener });
            rig.look();
            let mut client = TcpStream::connect(address).unwrap();
            let (ended, outcome) = rig.next();
            let Outcome::Accept(accepted) = outcome else { panic!("{outcome:?}") };
            assert_eq!((ended, accepted.listener), (token, listener));
            let (handle, peer) = accepted.result.unwrap();
            assert_eq!(peer, Address::from(client.local_addr().unwrap()));
            client.write_all(b"bytes").unwrap();
            rig.recv(handle);
            assert_eq!(rig.received().unwrap(), b"bytes");
            let socket = rig.backend.detach(handle.slot()).unwrap();
            assert!(rustix::io::fcntl_getfd(&socket).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        }
        assert_eq!(rig.pushed(ACCEPT), 3, "two, and the probe at opening");
        assert_eq!(rig.backend.requests.address_blocks(), 1);
    }
}

#[test]
fn one_entry_accepts_many_where_the_kernel_can() {
    for setup in SETUPS {
        for singly in [false, true] {
            let mut rig = Rig::with(&Config::default(), setup);
            if singly {
                rig.accept_singly();
            }
            let can = rig.backend.requests.accepts_many;
            let (listener, address) = rig.listener("127.0.0.1:0");
            let token = rig.accept_many(listener);
            rig.look();
            let clients: Vec<_> = (0..20).map(|_| TcpStream::connect(address).unwrap()).collect();
            let mut peers: Vec<_> = clients.iter().map(|client| client.local_addr().unwrap()).collect();
            for _ in &clients {
                let Connection { handle, address } = rig.connection();
                let SocketAddr::V4(_) = address.as_inet().unwrap() else { panic!("{address}") };
                peers.retain(|peer| Address::from(*peer) != address);
                let local = rig.backend.control(handle.slot(), Control::PeerAddress);
                assert_eq!(local, Ok(Reply::Address(address)));
                let socket = rig.backend.detach(handle.slot()).unwrap();
                let flags = rustix::io::fcntl_getfd(&socket).unwrap();
                assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
                rig.done.discard_handle(handle);
            }
            assert_eq!(peers, []);
            assert_eq!(rig.pushed(ACCEPT), if can { 2 } else { 22 });
            assert!(rig.cancel(token, listener));
            assert_eq!(rig.ended(), Error::Canceled);
        }
    }
}

#[test]
fn what_was_accepted_before_a_cancel_comes_before_the_end() {
    for singly in [false, true] {
        let mut rig = Rig::new();
        if singly {
            rig.accept_singly();
        }
        let (listener, address) = rig.listener("127.0.0.1:0");
        let token = rig.accept_many(listener);
        rig.look();
        let clients: Vec<_> = (0..5).map(|_| TcpStream::connect(address).unwrap()).collect();
        assert!(rig.cancel(token, listener));
        let mut accepted = 0;
        let end = loop {
            match rig.next().1 {
                Outcome::AcceptManyItem(_) => accepted += 1,
                Outcome::AcceptManyEnded(ended) => break ended.error,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(end, Error::Canceled);
        // The others wait for the next accept.
        let token = rig.accept_many(listener);
        for _ in accepted..clients.len() {
            rig.connection();
        }
        assert!(rig.cancel(token, listener));
        assert_eq!(rig.ended(), Error::Canceled);
        rig.look();
        assert!(rig.done.is_empty());
    }
}

#[test]
fn a_connection_that_came_first_is_the_last_before_the_end() {
    let mut rig = Rig::new();
    rig.accept_singly();
    let (listener, address) = rig.listener("127.0.0.1:0");
    let token = rig.accept_many(listener);
    rig.look();
    let _client = TcpStream::connect(address).unwrap();
    // The kernel has accepted it, and nobody has looked yet.
    rig.backend.requests.ring.enter(proactor_core::Until::Now).unwrap();
    assert!(rig.cancel(token, listener));
    rig.connection();
    assert_eq!(rig.ended(), Error::Canceled);
    assert_eq!(rig.pushed(ACCEPT), 2);
}

#[test]
fn what_the_kernel_ends_for_want_of_room_goes_on() {
    let mut rig = Rig::with_entries(1);
    let (listener, address) = rig.listener("127.0.0.1:0");
    rig.accept_many(listener);
    rig.look();
    let mut handles = Vec::new();
    for _ in 0..3 {
        // More than the completion queue, of four entries, has room for.
        let _clients: Vec<_> = (0..25).map(|_| TcpStream::connect(address).unwrap()).collect();
        handles.extend((0..25).map(|_| rig.connection().handle));
    }
    handles.sort_by_key(|handle| handle.slot());
    handles.dedup();
    assert_eq!(handles.len(), 75);
    assert!(rig.pushed(ACCEPT) > 2, "the kernel has never ended it");
}

#[test]
fn a_peer_that_has_reset_already_still_has_its_address() {
    for singly in [false, true] {
        let mut rig = Rig::new();
        if singly {
            rig.accept_singly();
        }
        let (listener, address) = rig.listener("127.0.0.1:0");
        let client = TcpStream::connect(address).unwrap();
        let peer = Address::from(client.local_addr().unwrap());
        let client = rig.attach(client);
        let reset = Control::Set(SocketOption::Linger(Some(Duration::ZERO)));
        rig.backend.control(client.slot(), reset).unwrap();
        rig.close(client);
        rig.accept_many(listener);
        let connection = rig.connection();
        assert_eq!(connection.address, peer);
        rig.recv(connection.handle);
        assert_eq!(rig.received(), Err(Errno::CONNRESET.into()));
    }
}

#[test]
fn what_does_not_listen_is_an_error() {
    let mut rig = Rig::new();
    let (stream, _far) = rig.pair();
    rig.start(stream, Accept { listener: stream });
    assert_eq!(rig.next().1.error(), Some(Errno::INVAL.into()));
    rig.accept_many(stream);
    assert_eq!(rig.ended(), Errno::INVAL.into());
}

#[test]
fn of_a_unix_listener_all_peers_are_known_however_they_are_accepted() {
    for singly in [false, true] {
        let mut rig = Rig::new();
        if singly {
            rig.accept_singly();
        }
        let path = std::env::temp_dir().join(format!("proactor-uring-{}", std::process::id()));
        let local = UnixListener::bind(&path).unwrap();
        let clients = [0, 1, 2].map(|_| UnixStream::connect(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        let unnamed = Address::from(UnixAddress::unnamed());
        let listener = rig.attach(local);
        // Those that are gone already, too.
        drop(clients);
        rig.start(listener, Accept { listener });
        let (_, Outcome::Accept(accepted)) = rig.next() else { panic!("it was accepted") };
        assert_eq!(accepted.result.map(|(_, address)| address), Ok(unnamed.clone()));
        rig.accept_many(listener);
        assert_eq!(rig.connection().address, unnamed);
        assert_eq!(rig.connection().address, unnamed);
    }
}

#[test]
fn a_nonblocking_listener_waits_all_the_same() {
    let mut rig = Rig::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let listener = rig.attach(listener);
    rig.start(listener, Accept { listener });
    rig.look();
    assert!(rig.done.is_empty());
    let _client = TcpStream::connect(address).unwrap();
    assert_eq!(rig.next().1.error(), None);
}

#[test]
fn without_descriptors_an_accept_fails_for_a_while_and_nothing_is_lost() {
    const TEST: &str = "tests::accept::without_descriptors_an_accept_fails_for_a_while_and_nothing_is_lost";
    if !is_child(TEST) {
        return in_a_child(TEST);
    }
    let mut rig = Rig::new();
    let (listener, address) = rig.listener("127.0.0.1:0");
    let client = TcpStream::connect(address).unwrap();
    let limits = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..limits }).unwrap();
    rig.start(listener, Accept { listener });
    let failure = rig.next().1.error().unwrap();
    assert_eq!(failure, Errno::MFILE.into());
    assert!(failure.is_transient());
    rig.accept_many(listener);
    assert_eq!(rig.ended(), failure);
    setrlimit(Resource::Nofile, limits).unwrap();
    rig.accept_many(listener);
    assert_eq!(rig.connection().address, Address::from(client.local_addr().unwrap()));
}
