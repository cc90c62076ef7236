//! Datagrams: what becomes of them between one socket and another.

use super::*;
use crate::{Datagram, Membership, Peer, RecvFrom, SendTo};

type Received = (Result<Datagram, Error>, Vec<u8>, Option<Address>);

impl Bed {
    fn open_datagrams(&mut self, family: Family) -> Handle {
        let handle = self.done.new_handle();
        self.sim.socket(handle.slot(), family, SocketKind::Datagram).unwrap();
        handle
    }

    /// A socket that is bound to `address`, and where it is bound.
    fn datagrams_at(&mut self, address: &str) -> (Handle, Address) {
        let address: Address = address.parse().unwrap();
        let handle = self.open_datagrams(address.family());
        self.control(handle, Control::Bind(address)).unwrap();
        (handle, self.local(handle))
    }

    fn send_to(&mut self, handle: Handle, bytes: &[u8], peer: impl Into<Peer>) -> Result<(), Error> {
        let token = self.start(SendTo { handle, buffer: bytes.to_vec().into(), peer: peer.into() });
        match self.outcome(token) {
            Outcome::SendTo(sent) => sent.result,
            other => panic!("expected a send, got {other:?}"),
        }
    }

    fn recv_from(&mut self, handle: Handle, len: usize) -> Received {
        let token = self.start(RecvFrom { handle, buffer: Buffer::zeroed(len), peer: Peer::default() });
        match self.outcome(token) {
            Outcome::RecvFrom(received) => {
                let kept = received.result.map_or(0, Datagram::len);
                let bytes = received.buffer[..kept].to_vec();
                (received.result, bytes, received.peer.address().cloned())
            }
            other => panic!("expected a receive, got {other:?}"),
        }
    }

    /// Which of the sockets had something to receive, one datagram each.
    fn heard(&mut self, handles: &[Handle]) -> Vec<bool> {
        let mut heard = Vec::new();
        for &handle in handles {
            let token = self.start(RecvFrom { handle, buffer: Buffer::zeroed(8), peer: Peer::default() });
            let came = self.poll(token).is_some();
            assert_eq!(self.cancel(token, handle), !came);
            heard.push(came);
        }
        heard
    }

    fn connect_to(&mut self, handle: Handle, address: &Address) -> Result<(), Error> {
        let token = self.start(Connect { handle, address: address.clone() });
        self.connected(token)
    }
}

#[test]
fn a_full_receive_buffer_loses_what_comes() {
    let mut bed = Bed::new();
    let (server, address) = bed.datagrams_at("127.0.0.1:0");
    bed.set(server, SocketOption::ReceiveBuffer(2048));
    let client = bed.open_datagrams(Family::Ipv4);
    // Each takes more of the buffer than its bytes, also an empty one.
    for number in 0..20_u8 {
        assert_eq!(bed.send_to(client, &[number; 44], address.clone()), Ok(()));
    }
    for number in 0..7_u8 {
        assert_eq!(bed.recv_from(server, 64).1, [number; 44]);
    }
    assert_eq!(bed.heard(&[server]), [false]);
    assert_eq!(bed.send_to(client, b"room again", address), Ok(()));
    assert_eq!(bed.recv_from(server, 64).1, b"room again");
}

#[test]
fn the_closest_socket_is_meant() {
    let mut bed = Bed::new();
    let (named, address) = bed.datagrams_at("127.0.0.1:0");
    let port = address.as_inet().unwrap().port();
    let any = bed.open_datagrams(Family::Ipv4);
    for handle in [named, any] {
        bed.set(handle, SocketOption::ReuseAddress(true));
    }
    let unspecified: Address = format!("0.0.0.0:{port}").parse().unwrap();
    bed.control(any, Control::Bind(unspecified)).unwrap();
    let (client, from) = bed.datagrams_at("127.0.0.1:0");
    assert_eq!(bed.send_to(client, b"x", address.clone()), Ok(()));
    assert_eq!(bed.heard(&[named, any]), [true, false]);
    let other: Address = format!("127.0.0.7:{port}").parse().unwrap();
    assert_eq!(bed.send_to(client, b"x", other), Ok(()));
    assert_eq!(bed.heard(&[named, any]), [false, true]);
    // A socket that is connected to the sender comes before all others.
    assert_eq!(bed.connect_to(any, &from), Ok(()));
    assert_eq!(bed.send_to(client, b"x", address.clone()), Ok(()));
    assert_eq!(bed.heard(&[named, any]), [false, true]);
    // One that is connected to somebody else hears nothing.
    assert_eq!(bed.connect_to(any, &"127.0.0.1:9".parse().unwrap()), Ok(()));
    assert_eq!(bed.send_to(client, b"x", address), Ok(()));
    assert_eq!(bed.heard(&[named, any]), [true, false]);
}

#[test]
fn ports_of_datagrams_and_of_streams_are_apart() {
    let mut bed = Bed::new();
    let (datagrams, address) = bed.datagrams_at("127.0.0.1:0");
    let stream = bed.socket(Family::Ipv4);
    assert_eq!(bed.control(stream, Control::Bind(address.clone())), Ok(Reply::Done));
    let other = bed.open_datagrams(Family::Ipv4);
    let taken = Err(Errno::ADDRINUSE.into());
    assert_eq!(bed.control(other, Control::Bind(address.clone())), taken);
    assert_eq!(bed.control(datagrams, Control::Listen(1)), Err(Errno::OPNOTSUPP.into()));
    bed.sim.close(datagrams.slot()).unwrap();
    assert_eq!(bed.control(other, Control::Bind(address)), Ok(Reply::Done));
}

#[test]
fn a_group_hears_what_is_sent_to_it() {
    let mut bed = Bed::new();
    let group: Address = "239.1.2.3:7000".parse().unwrap();
    let membership = Membership { group: group.as_inet().unwrap().ip(), interface: 0 };
    let members: Vec<Handle> = (0..3)
        .map(|_| {
            let handle = bed.open_datagrams(Family::Ipv4);
            bed.set(handle, SocketOption::ReuseAddress(true));
            bed.control(handle, Control::Bind("0.0.0.0:7000".parse().unwrap())).unwrap();
            handle
        })
        .collect();
    let mut set = |handle: Handle, option| bed.control(handle, Control::Set(option));
    for &handle in &members[..2] {
        assert_eq!(set(handle, SocketOption::JoinMulticast(membership)), Ok(Reply::Done));
    }
    assert_eq!(set(members[0], SocketOption::JoinMulticast(membership)), Err(Errno::ADDRINUSE.into()));
    let sender = bed.open_datagrams(Family::Ipv4);
    assert_eq!(bed.send_to(sender, b"all", group.clone()), Ok(()));
    assert_eq!(bed.heard(&members), [true, true, false]);
    let leave = Control::Set(SocketOption::LeaveMulticast(membership));
    assert_eq!(bed.control(members[0], leave.clone()), Ok(Reply::Done));
    assert_eq!(bed.control(members[0], leave), Err(Errno::ADDRNOTAVAIL.into()));
    assert_eq!(bed.send_to(sender, b"one", group.clone()), Ok(()));
    assert_eq!(bed.heard(&members), [false, true, false]);
    bed.set(sender, SocketOption::MulticastLoop(false));
    assert_eq!(bed.send_to(sender, b"none", group), Ok(()));
    assert_eq!(bed.heard(&members), [false, false, false]);
}

#[test]
fn faults_have_their_numbers() {
    let mut bed = Bed::new();
    let (six, address) = bed.datagrams_at("[::1]:0");
    let four = bed.open_datagrams(Family::Ipv4);
    let to = |text: &str| text.parse::<Address>().unwrap();
    assert_eq!(bed.send_to(four, b"x", address.clone()), Err(Errno::AFNOSUPPORT.into()));
    assert_eq!(bed.send_to(four, b"x", Peer::default()), Err(Errno::DESTADDRREQ.into()));
    assert_eq!(bed.send_to(four, b"x", to("127.0.0.1:0")), Err(Errno::INVAL.into()));
    assert_eq!(bed.send_to(four, b"x", to("192.0.2.1:7")), Err(Errno::NETUNREACH.into()));
    assert_eq!(bed.send_to(four, b"x", to("255.255.255.255:7")), Err(Errno::ACCESS.into()));
    assert_eq!(bed.send_to(four, &[0; 65_508], to("127.0.0.1:7")), Err(Errno::MSGSIZE.into()));
    assert_eq!(bed.send_to(four, &[0; 65_507], to("127.0.0.1:7")), Ok(()), "to nobody, who does not say so");
    assert_eq!(bed.send_to(six, &[0; 65_528], address.clone()), Err(Errno::MSGSIZE.into()));
    assert_eq!(bed.send_to(six, &[7; 65_527], address.clone()), Ok(()));
    let (received, bytes, from) = bed.recv_from(six, 70_000);
    assert_eq!((received, from), (Ok(Datagram::new(65_527, false)), Some(address)));
    assert_eq!(bytes, [7; 65_527]);
}

#[test]
fn a_shut_socket_sends_no_more() {
    let mut bed = Bed::new();
    let (server, address) = bed.datagrams_at("127.0.0.1:0");
    let client = bed.open_datagrams(Family::Ipv4);
    assert_eq!(bed.shutdown(client, ShutdownHow::Write), Err(Errno::NOTCONN.into()));
    assert_eq!(bed.connect_to(client, &address), Ok(()));
    assert_eq!(bed.send_to(client, b"before", Peer::default()), Ok(()));
    assert_eq!(bed.shutdown(client, ShutdownHow::Write), Ok(()));
    assert_eq!(bed.send_to(client, b"after", Peer::default()), Err(Errno::PIPE.into()));
    assert_eq!(bed.recv_from(server, 8).1, b"before");
    assert_eq!(bed.heard(&[server]), [false]);
}
