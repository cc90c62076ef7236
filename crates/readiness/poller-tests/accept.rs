//! Connections that come.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use proactor_core::{
    Accept, AcceptMany, Address, Backend, Connection, Control, Error, Family, Handle, Outcome, Reply,
    SocketKind, Until,
};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{Rig, is_child};

impl Rig {
    fn listener(&mut self) -> (Handle, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (self.attach(listener), address)
    }

    fn accepted(&mut self) -> Result<(Handle, Address), Error> {
        match self.next() {
            (_, Outcome::Accept(accepted)) => accepted.result,
            other => panic!("expected an accept, got {other:?}"),
        }
    }

    fn item(&mut self) -> Connection {
        match self.next() {
            (_, Outcome::AcceptManyItem(connection)) => connection,
            other => panic!("expected a connection, got {other:?}"),
        }
    }
}

fn is_nonblocking(descriptor: &impl std::os::fd::AsFd) -> bool {
    rustix::fs::fcntl_getfl(descriptor).unwrap().contains(OFlags::NONBLOCK)
}

#[test]
fn a_connection_comes_at_once_or_later() {
    let mut rig = Rig::new();
    let (listener, address) = rig.listener();
    let mut client = TcpStream::connect(address).unwrap();
    rig.start(listener, Accept { listener });
    assert_eq!(rig.done.len(), 1);
    let (handle, peer) = rig.accepted().unwrap();
    assert_eq!(peer, client.local_addr().unwrap().into());
    // It is registered already.
    rig.recv(handle);
    client.write_all(b"bytes").unwrap();
    assert_eq!(rig.received().unwrap(), b"bytes");

    rig.start(listener, Accept { listener });
    rig.look();
    assert!(rig.done.is_empty());
    let client = TcpStream::connect(address).unwrap();
    let (_, peer) = rig.accepted().unwrap();
    assert_eq!(peer, client.local_addr().unwrap().into());
}

#[test]
fn two_connections_in_one_edge() {
    let mut rig = Rig::new();
    let (listener, address) = rig.listener();
    rig.start(listener, Accept { listener });
    let _clients = [TcpStream::connect(address).unwrap(), TcpStream::connect(address).unwrap()];
    rig.accepted().unwrap();
    rig.start(listener, Accept { listener });
    rig.accepted().unwrap();
}

#[test]
fn a_cancelled_accept_leaves_the_connection_to_the_next() {
    let mut rig = Rig::new();
    let (listener, address) = rig.listener();
    let token = rig.start(listener, Accept { listener });
    let client = TcpStream::connect(address).unwrap();
    assert!(rig.cancel(token, listener));
    assert_eq!(rig.accepted(), Err(Error::Canceled));
    rig.start(listener, Accept { listener });
    assert_eq!(rig.accepted().unwrap().1, client.local_addr().unwrap().into());
}

#[test]
fn connections_come_one_by_one_until_it_is_cancelled() {
    let mut rig = Rig::new();
    let (listener, address) = rig.listener();
    let early = TcpStream::connect(address).unwrap();
    let token = rig.start(listener, AcceptMany { listener });
    assert_eq!(rig.item().address, early.local_addr().unwrap().into());
    let mut late = [TcpStream::connect(address).unwrap(), TcpStream::connect(address).unwrap()];
    let connections = [rig.item(), rig.item()];
    for (client, connection) in late.iter_mut().zip(connections) {
        assert_eq!(connection.address, client.local_addr().unwrap().into());
        client.write_all(b"bytes").unwrap();
        assert_eq!(rig.receive(connection.handle).unwrap(), b"bytes");
    }
    rig.look();
    assert!(rig.done.is_empty());
    assert!(rig.cancel(token, listener));
    let (last, Outcome::AcceptManyEnded(ended)) = rig.next() else { panic!("it was cancelled") };
    assert_eq!((last, ended.listener, ended.error), (token, listener, Error::Canceled));
    assert!(!rig.cancel(token, listener));
}

#[test]
fn accepted_sockets_block_and_are_not_inherited() {
    let mut rig = Rig::new();
    let (listener, address) = rig.listener();
    let _client = TcpStream::connect(address).unwrap();
    rig.start(listener, Accept { listener });
    let (handle, _) = rig.accepted().unwrap();
    let socket = rig.backend.detach(handle.slot()).unwrap();
    assert!(!is_nonblocking(&socket));
    assert!(rustix::io::fcntl_getfd(&socket).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
}

/// What becomes of the mode of a listener that somebody else has too.
fn mode_after(nonblocking: bool, end: impl FnOnce(Rig, Handle)) -> bool {
    let mut rig = Rig::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(nonblocking).unwrap();
    let copy = listener.try_clone().unwrap();
    let listener = rig.attach(listener);
    assert_eq!(is_nonblocking(&copy), nonblocking);
    let token = rig.start(listener, Accept { listener });
    assert!(is_nonblocking(&copy));
    rig.cancel(token, listener);
    end(rig, listener);
    is_nonblocking(&copy)
}

#[test]
fn a_listener_goes_as_it_came() {
    for nonblocking in [false, true] {
        let detach = |mut rig: Rig, listener: Handle| drop(rig.backend.detach(listener.slot()).unwrap());
        assert_eq!(mode_after(nonblocking, detach), nonblocking);
        let close = |mut rig: Rig, listener: Handle| rig.backend.close(listener.slot()).unwrap();
        assert_eq!(mode_after(nonblocking, close), nonblocking);
        assert_eq!(mode_after(nonblocking, |rig, _| drop(rig)), nonblocking);
    }
}

#[test]
fn a_socket_opened_here_listens_and_is_detached_blocking() {
    let mut rig = Rig::new();
    let listener = rig.done.new_handle();
    rig.backend.socket(listener.slot(), Family::Ipv4, SocketKind::Stream).unwrap();
    let mut control = |control| rig.backend.control(listener.slot(), control);
    control(Control::Bind("127.0.0.1:0".parse().unwrap())).unwrap();
    control(Control::Listen(16)).unwrap();
    let Ok(Reply::Address(address)) = control(Control::LocalAddress) else { panic!("it is bound") };
    rig.start(listener, Accept { listener });
    let mut client = TcpStream::connect(address.as_inet().unwrap()).unwrap();
    let (handle, _) = rig.accepted().unwrap();
    rig.close(handle);
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
    let socket = rig.backend.detach(listener.slot()).unwrap();
    assert!(!is_nonblocking(&socket));
}

#[test]
fn what_cannot_accept_says_so() {
    let mut rig = Rig::new();
    let (connected, _far) = rig.pair();
    let (reader, _writer) = rustix::pipe::pipe().unwrap();
    let reader = rig.attach(reader);
    let expected = [(connected, Error::from(Errno::INVAL)), (reader, Errno::NOTSOCK.into())];
    for (listener, error) in expected {
        rig.start(listener, Accept { listener });
        assert_eq!(rig.accepted(), Err(error));
        rig.start(listener, AcceptMany { listener });
        let (_, Outcome::AcceptManyEnded(ended)) = rig.next() else { panic!("it cannot accept") };
        assert_eq!(ended.error, error);
    }
}

#[test]
fn no_descriptor_left_loses_no_connection() {
    if !is_child("tests::accept::no_descriptor_left_loses_no_connection") {
        return;
    }
    let mut rig = Rig::new();
    let (listener, address) = rig.listener();
    let many = rig.start(listener, AcceptMany { listener });
    let _client = TcpStream::connect(address).unwrap();
    // Every number is taken from here on.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(256), ..limit }).unwrap();
    let mut taken: Vec<OwnedFd> = Vec::new();
    while let Ok(descriptor) = rustix::io::dup(std::io::stdin()) {
        taken.push(descriptor);
    }
    let (token, Outcome::AcceptManyEnded(ended)) = rig.next() else { panic!("there is no descriptor left") };
    assert_eq!((token, ended.error), (many, Errno::MFILE.into()));
    assert!(ended.error.is_transient());
    // Tried again it is told again, at once: no edge will come for the one that waits.
    rig.start(listener, Accept { listener });
    assert_eq!(rig.accepted(), Err(Errno::MFILE.into()));
    rig.look();
    assert!(rig.done.is_empty());
    taken.clear();
    rig.start(listener, AcceptMany { listener });
    let waits = super::COUNTS.get().waits;
    rig.item();
    assert_eq!(super::COUNTS.get().waits, waits);
    rig.backend.wait(Until::Now, &mut rig.done).unwrap();
    assert!(rig.done.is_empty());
}
