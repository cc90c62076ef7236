//! Connecting.

use std::net::{TcpListener, TcpStream};

use proactor_core::{
    Address, Backend, Connect, Connected, Control, Error, Family, Handle, Outcome, Reply, SocketKind, Token,
};
use rustix::io::Errno;

use super::{CONNECT, POLL, Rig};
use crate::requests::Place;

impl Rig {
    fn socket(&mut self, family: Family) -> Handle {
        let handle = self.done.new_handle();
        self.backend.socket(handle.slot(), family, SocketKind::Stream).unwrap();
        handle
    }

    fn connect(&mut self, handle: Handle, address: impl Into<Address>) -> Token {
        self.start(handle, Connect { handle, address: address.into() })
    }

    /// The next outcome, a connect.
    fn connected(&mut self) -> Connected {
        match self.next() {
            (_, Outcome::Connect(connected)) => connected,
            other => panic!("expected a connect, got {other:?}"),
        }
    }
}

/// A listener on which nobody gets through any more: its queue is full, and the kernel drops what else knocks.
fn full_listener() -> (TcpListener, Vec<TcpStream>, Address) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let address = listener.local_addr().unwrap();
    let client = TcpStream::connect(address).unwrap();
    (listener, vec![client], address.into())
}

#[test]
fn a_connect_reaches_its_listener_and_hands_the_address_back() {
    for (family, at) in [(Family::Ipv4, "127.0.0.1:0"), (Family::Ipv6, "[::1]:0")] {
        let mut rig = Rig::new();
        let listener = TcpListener::bind(at).unwrap();
        let address = Address::from(listener.local_addr().unwrap());
        let handle = rig.socket(family);
        rig.connect(handle, address.clone());
        let connected = rig.connected();
        assert_eq!((connected.handle, connected.result), (handle, Ok(())));
        assert_eq!(connected.address, address);
        let (_, peer) = listener.accept().unwrap();
        let local = rig.backend.control(handle.slot(), Control::LocalAddress);
        assert_eq!(local, Ok(Reply::Address(peer.into())));
        assert_eq!(rig.pushed(CONNECT), 1);
    }
}

#[test]
fn a_refused_connect_and_one_of_another_family_tell_why() {
    let mut rig = Rig::new();
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let handle = rig.socket(Family::Ipv4);
    rig.connect(handle, unused);
    let connected = rig.connected();
    assert_eq!(connected.result, Err(Errno::CONNREFUSED.into()));
    assert_eq!(connected.address, unused.into());
    let handle = rig.socket(Family::Ipv6);
    rig.connect(handle, unused);
    assert!(matches!(rig.connected().result, Err(Error::System(_))));
}

#[test]
fn a_connect_that_waits_can_be_cancelled() {
    let mut rig = Rig::new();
    let (_listener, _clients, address) = full_listener();
    let handle = rig.socket(Family::Ipv4);
    let token = rig.connect(handle, address.clone());
    rig.look();
    assert!(rig.done.is_empty() && rig.cancel(token, handle));
    let connected = rig.connected();
    assert_eq!((connected.result, connected.address), (Err(Error::Canceled), address));
    rig.close(handle);
}

#[test]
fn a_connect_that_was_interrupted_goes_on_and_is_not_begun_again() {
    for listens in [true, false] {
        let mut rig = Rig::new();
        let polls = rig.pushed(POLL);
        let (listener, _clients, address) = full_listener();
        let handle = rig.socket(Family::Ipv4);
        rig.connect(handle, address.clone());
        rig.look();
        // The kernel leaves the connect to itself, and is taken to have said why: interrupted.
        let place = Place::writing(handle.slot());
        rig.take_back(place);
        rig.backend.connected(place, Err(Errno::INTR), &mut rig.done);
        rig.look();
        assert!(rig.done.is_empty());
        // The next knock, a second after the first, is heard, or meets nobody.
        let listener = if listens {
            drop(listener.accept().unwrap());
            Some(listener)
        } else {
            drop(listener);
            None
        };
        let connected = rig.connected();
        let expected = if listens { Ok(()) } else { Err(Errno::CONNREFUSED.into()) };
        assert_eq!((connected.result, connected.address), (expected, address));
        assert_eq!((rig.pushed(CONNECT), rig.pushed(POLL)), (2, polls + 1));
        drop(listener);
    }
}
