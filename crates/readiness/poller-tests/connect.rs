//! Connections that go out.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};

use proactor_core::{
    Backend, Buffer, Connect, Control, Error, Family, Handle, Outcome, Reply, SendAll, SocketKind,
    SocketOption,
};
use rustix::io::Errno;

use super::Rig;

impl Rig {
    fn socket(&mut self, family: Family) -> Handle {
        let handle = self.done.new_handle();
        self.backend.socket(handle.slot(), family, SocketKind::Stream).unwrap();
        handle
    }

    fn connect(&mut self, handle: Handle, address: SocketAddr) -> Result<(), Error> {
        self.start(handle, Connect { handle, address: address.into() });
        match self.next() {
            (_, Outcome::Connect(connected)) => {
                assert_eq!(connected.address, address.into());
                connected.result
            }
            other => panic!("expected a connect, got {other:?}"),
        }
    }
}

#[test]
fn a_socket_connects_and_is_used() {
    for (family, bound) in [(Family::Ipv4, "127.0.0.1:0"), (Family::Ipv6, "[::1]:0")] {
        let Ok(listener) = TcpListener::bind(bound) else { continue };
        let mut rig = Rig::new();
        let handle = rig.socket(family);
        // A look at the unconnected socket shows a hang-up, which must not count against the connection.
        rig.look();
        rig.connect(handle, listener.local_addr().unwrap()).unwrap();
        let (mut far, peer) = listener.accept().unwrap();
        let local = rig.backend.control(handle.slot(), Control::LocalAddress);
        assert_eq!(local, Ok(Reply::Address(peer.into())));
        rig.backend.control(handle.slot(), Control::Set(SocketOption::NoDelay(true))).unwrap();
        rig.start(handle, SendAll { handle, buffer: Buffer::from(b"ping") });
        rig.next();
        far.write_all(b"pong").unwrap();
        assert_eq!(rig.receive(handle).unwrap(), b"pong");
        // Drained: a call would bring this, and there is none before the edge was told.
        far.write_all(b"more").unwrap();
        rig.recv(handle);
        assert!(rig.done.is_empty());
        assert_eq!(rig.received().unwrap(), b"more");
    }
}

#[test]
fn a_refused_connect_tells_why_and_the_receive_behind_it_does_not_take_that() {
    let mut rig = Rig::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let handle = rig.socket(Family::Ipv4);
    let connect = rig.start(handle, Connect { handle, address: closed.into() });
    let recv = rig.recv(handle);
    let (token, Outcome::Connect(connected)) = rig.next() else { panic!("the connect is decided first") };
    assert_eq!((token, connected.result), (connect, Err(Errno::CONNREFUSED.into())));
    let (token, Outcome::Recv(received)) = rig.next() else { panic!("a receive is left") };
    assert_eq!(token, recv);
    // No connection: the system says so, or shows its end.
    assert!(matches!(received.result, Ok(0) | Err(Error::System(_))), "{:?}", received.result);
}

#[test]
fn a_socket_that_was_refused_tries_anew_and_a_connected_one_does_not() {
    let mut rig = Rig::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let handle = rig.socket(Family::Ipv4);
    for _ in 0..2 {
        assert_eq!(rig.connect(handle, closed), Err(Errno::CONNREFUSED.into()));
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    assert_eq!(rig.connect(handle, listener.local_addr().unwrap()), Ok(()));
    assert_eq!(rig.connect(handle, closed), Err(Errno::ISCONN.into()));
    assert!(listener.accept().is_ok());
}

#[test]
fn data_that_comes_with_the_connection_is_received() {
    let mut rig = Rig::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let handle = rig.socket(Family::Ipv4);
    let address = listener.local_addr().unwrap().into();
    rig.start(handle, Connect { handle, address });
    rig.recv(handle);
    let (mut far, _) = listener.accept().unwrap();
    far.write_all(b"hello").unwrap();
    drop(far);
    let (_, Outcome::Connect(connected)) = rig.next() else { panic!("the connect is decided first") };
    assert_eq!(connected.result, Ok(()));
    assert_eq!(rig.received().unwrap(), b"hello");
    assert_eq!(rig.receive(handle).unwrap(), b"");
}

#[test]
fn what_cannot_connect_says_so() {
    let mut rig = Rig::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (connected, _far) = rig.pair();
    assert_eq!(rig.connect(connected, address), Err(Errno::ISCONN.into()));
    let (_reader, writer) = rustix::pipe::pipe().unwrap();
    let writer = rig.attach(writer);
    assert_eq!(rig.connect(writer, address), Err(Errno::NOTSOCK.into()));
    let handle = rig.socket(Family::Ipv4);
    let v6 = "[::1]:9".parse().unwrap();
    assert_eq!(rig.connect(handle, v6), Err(Errno::AFNOSUPPORT.into()));
    // Nothing else is disturbed.
    assert_eq!(rig.connect(handle, address), Ok(()));
    let _server: TcpStream = listener.accept().unwrap().0;
}
