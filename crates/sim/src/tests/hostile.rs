use std::net::TcpListener;

use super::*;
use crate::{AcceptMany, Close, Envelope, Nop, Peer, RecvFrom, RecvMsg, SendMsg, SendTo, Slot, Timer};

#[test]
fn slots_that_hold_nothing() {
    let mut bed = Bed::new();
    let empty = bed.done.new_handle();
    for slot in [empty.slot(), Slot(u32::MAX)] {
        assert_eq!(bed.sim.close(slot), Err(Error::StaleHandle));
        assert_eq!(bed.sim.control(slot, Control::LocalAddress), Err(Error::StaleHandle));
        assert_eq!(bed.sim.detach(slot).unwrap_err(), Error::StaleHandle);
        assert!(!bed.sim.cancel(Token { index: 0, arming: 0 }, slot, &mut bed.done));
    }
    let operations: [Operation; 11] = [
        Accept { listener: empty }.into(),
        AcceptMany { listener: empty }.into(),
        Connect { handle: empty, address: "127.0.0.1:7".parse().unwrap() }.into(),
        Recv { handle: empty, buffer: Buffer::default() }.into(),
        Send { handle: empty, buffer: Buffer::default() }.into(),
        SendAll { handle: empty, buffer: Buffer::default() }.into(),
        Shutdown { handle: empty, how: ShutdownHow::Read }.into(),
        RecvFrom { handle: empty, buffer: Buffer::default(), peer: Peer::default() }.into(),
        SendTo { handle: empty, buffer: Buffer::default(), peer: Peer::default() }.into(),
        RecvMsg { handle: empty, buffer: Buffer::default(), envelope: Envelope::default() }.into(),
        SendMsg { handle: empty, buffer: Buffer::default(), envelope: Envelope::default() }.into(),
    ];
    for operation in operations {
        let expected = format!("{operation:?}");
        let token = bed.start(operation);
        let outcome = format!("{:?}", bed.outcome(token));
        assert!(outcome.contains("StaleHandle"), "{expected}: {outcome}");
    }
}

#[test]
fn slots_that_are_taken() {
    let mut bed = Bed::new();
    let handle = bed.socket(Family::Ipv4);
    assert_eq!(bed.sim.socket(handle.slot(), Family::Ipv6, SocketKind::Stream), Err(Error::Busy));
    let descriptor = || TcpListener::bind("127.0.0.1:0").unwrap().into();
    assert_eq!(bed.sim.attach(handle.slot(), descriptor()).unwrap_err().0, Error::Busy);
    assert_eq!(bed.sim.attach(Slot(77), descriptor()).unwrap_err().0, Error::Unsupported);
    assert_eq!(bed.sim.detach(handle.slot()).unwrap_err(), Error::Unsupported);
    assert_eq!(bed.local(handle).to_string(), "0.0.0.0:0");
}

#[test]
fn an_accept_into_a_slot_that_is_taken() {
    let mut bed = Bed::new();
    let (listener, address) = bed.listener("127.0.0.1:0", 5);
    let (client, token) = bed.connect(&address);
    assert_eq!(bed.connected(token), Ok(()));
    let next = bed.done.new_handle();
    bed.done.discard_handle(next);
    bed.sim.socket(next.slot(), Family::Ipv4, SocketKind::Stream).unwrap();
    let token = bed.start(Accept { listener });
    assert_eq!(bed.accepted(token), Err(Error::Busy));
    assert_eq!(bed.recv(client, 1), fault(Errno::CONNRESET));
    bed.sim.close(next.slot()).unwrap();
    let (again, _) = bed.connect(&address);
    let token = bed.start(Accept { listener });
    assert_eq!(bed.accepted(token).unwrap().1, bed.local(again));
}

#[test]
fn two_operations_in_one_direction() {
    let mut bed = Bed::new();
    let (client, server) = bed.pair();
    let first = bed.start_recv(server, 1);
    let second = bed.start_recv(server, 1);
    assert_eq!(bed.received(second), Err(Error::Busy));
    let other_direction = bed.start_send_all(server, pattern(1));
    assert_eq!(bed.sent_all(other_direction), (1, Ok(())));
    bed.send(client, b"x").unwrap();
    assert_eq!(bed.received(first), Ok(b"x".to_vec()));
}

#[test]
fn one_token_started_twice() {
    let mut bed = Bed::new();
    let (client, server) = bed.pair();
    let token = bed.start_recv(client, 1);
    bed.sim.start(token, server.slot(), &mut bed.done);
    assert!(bed.poll(token).is_none());
    assert!(!bed.cancel(token, server), "nothing was started there");
    assert!(bed.cancel(token, client));
    assert!(!bed.cancel(token, client));
    assert_eq!(bed.received(token), Err(Error::Canceled));
    bed.sim.start(token, server.slot(), &mut bed.done);
    bed.send(client, b"x").unwrap();
    assert!(bed.poll(token).is_none());
}

#[test]
fn cancels_of_what_never_was() {
    let mut bed = Bed::new();
    let (client, server) = bed.pair();
    let token = bed.start_recv(server, 1);
    assert!(!bed.cancel(token, client), "in another slot");
    assert!(!bed.cancel(Token { arming: token.arming + 1, ..token }, server), "another arming");
    assert!(!bed.cancel(Token { index: token.index + 1, ..token }, server), "another completion");
    assert!(bed.poll(token).is_none());
    assert!(bed.cancel(token, server));
}

#[test]
fn operations_that_are_not_a_backends() {
    let mut bed = Bed::new();
    let handle = bed.socket(Family::Ipv4);
    let token = bed.start(Nop);
    assert!(matches!(bed.outcome(token), Outcome::Nop(done) if done.result == Ok(())));
    let token = bed.start(Timer::at(crate::Time::ZERO));
    assert!(
        matches!(bed.outcome(token), Outcome::Timer(expired) if expired.result == Err(Error::Unsupported))
    );
    let token = bed.start(Close { handle });
    assert!(matches!(bed.outcome(token), Outcome::Close(closed) if closed.result == Err(Error::Unsupported)));
    assert_eq!(bed.sim.close(handle.slot()), Ok(()));
}

#[test]
fn a_close_with_operations_pending_ends_each_once() {
    let mut bed = Bed::new();
    let (client, server) = bed.pair();
    let recv = bed.start_recv(client, 1);
    let send = bed.start_send_all(client, pattern(1 << 20));
    bed.settle();
    bed.sim.close(client.slot()).unwrap();
    assert!(!bed.cancel(recv, client));
    assert!(bed.done.is_empty());
    bed.sim.flush(&mut bed.done).unwrap();
    assert_eq!(bed.done.len(), 2);
    bed.collect();
    assert_eq!(bed.received(recv), Err(Error::Canceled));
    assert_eq!(bed.sent_all(send), (128 << 10, Err(Error::Canceled)));
    assert!(bed.poll(recv).is_none() && bed.poll(send).is_none());
    // A new socket in the slot hears nothing of the old one.
    bed.sim.socket(client.slot(), Family::Ipv4, SocketKind::Stream).unwrap();
    assert_eq!(bed.recv(client, 1), fault(Errno::NOTCONN));
    assert_eq!(bed.recv(server, 1 << 20).map(|bytes| bytes.is_empty()), Ok(false));
}

#[test]
fn dropped_with_everything_in_flight() {
    let bytes: std::sync::Arc<[u8]> = pattern(1 << 20).into();
    let mut bed = Bed::new();
    let (client, server) = bed.pair();
    bed.start_recv(client, 1);
    bed.start(SendAll { handle: client, buffer: std::sync::Arc::clone(&bytes).into() });
    bed.start(Shutdown { handle: server, how: ShutdownHow::Write });
    bed.sim.wait(Until::Now, &mut bed.done).unwrap();
    assert_eq!(std::sync::Arc::strong_count(&bytes), 2);
    drop(bed);
    assert_eq!(std::sync::Arc::strong_count(&bytes), 1);
}
