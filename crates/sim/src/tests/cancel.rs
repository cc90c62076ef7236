use super::*;
use crate::{AcceptMany, AcceptManyEnded};

/// Cancels what must be under way, and gives its outcome.
fn cancelled(bed: &mut Bed, token: Token, handle: Handle) -> Outcome {
    assert!(bed.poll(token).is_none(), "it did not wait");
    assert!(bed.cancel(token, handle));
    let outcome = bed.outcome(token);
    assert!(!bed.cancel(token, handle), "it is over");
    outcome
}

#[test]
fn an_idle_receive() {
    let mut bed = Bed::new();
    let (client, server) = bed.pair();
    let token = bed.start_recv(server, 9);
    match cancelled(&mut bed, token, server) {
        Outcome::Recv(Received { handle, buffer, result }) => {
            assert_eq!((handle, buffer.len(), result), (server, 9, Err(Error::Canceled)));
        }
        other => panic!("{other:?}"),
    }
    bed.send(client, b"kept").unwrap();
    assert_eq!(bed.recv(server, 9), Ok(b"kept".to_vec()));
}

#[test]
fn a_receive_for_which_data_has_come() {
    let mut bed = Bed::new();
    let (client, server) = bed.pair();
    bed.send(client, b"kept").unwrap();
    let token = bed.start_recv(server, 9);
    assert!(bed.cancel(token, server));
    assert_eq!(bed.received(token), Err(Error::Canceled));
    assert_eq!(bed.recv(server, 9), Ok(b"kept".to_vec()));
}

#[test]
fn an_accept_leaves_the_connection_to_the_next() {
    let mut bed = Bed::new();
    let (listener, address) = bed.listener("127.0.0.1:0", 1);
    let token = bed.start(Accept { listener });
    match cancelled(&mut bed, token, listener) {
        Outcome::Accept(accepted) => {
            assert_eq!((accepted.listener, accepted.result), (listener, Err(Error::Canceled)));
        }
        other => panic!("{other:?}"),
    }
    let (client, connect) = bed.connect(&address);
    assert_eq!(bed.connected(connect), Ok(()));
    let token = bed.start(Accept { listener });
    assert_eq!(bed.accepted(token).unwrap().1, bed.local(client));
}

#[test]
fn an_accept_of_many() {
    let mut bed = Bed::new();
    let (listener, address) = bed.listener("127.0.0.1:0", 1);
    bed.connect(&address);
    let token = bed.start(AcceptMany { listener });
    assert!(matches!(bed.outcome(token), Outcome::AcceptManyItem(_)));
    match cancelled(&mut bed, token, listener) {
        Outcome::AcceptManyEnded(AcceptManyEnded { listener: ended, error }) => {
            assert_eq!((ended, error), (listener, Error::Canceled));
        }
        other => panic!("{other:?}"),
    }
    bed.connect(&address);
    assert!(bed.poll(token).is_none(), "nothing comes after the last");
}

#[test]
fn a_send_that_waits_for_room() {
    let mut bed = Bed::new();
    let (client, server) = bed.pair();
    let all = bed.start_send_all(client, pattern(1 << 20));
    match cancelled(&mut bed, all, client) {
        Outcome::SendAll(SentAll { buffer, transferred, result, .. }) => {
            assert_eq!((buffer.len(), transferred, result), (1 << 20, 128 << 10, Err(Error::Canceled)));
        }
        other => panic!("{other:?}"),
    }
    let one = bed.start(Send { handle: client, buffer: Buffer::zeroed(1) });
    match cancelled(&mut bed, one, client) {
        Outcome::Send(Sent { buffer, result, .. }) => {
            assert_eq!((buffer.len(), result), (1, Err(Error::Canceled)));
        }
        other => panic!("{other:?}"),
    }
    let mut received = Vec::new();
    while received.len() < 128 << 10 {
        received.extend(bed.recv(server, 1 << 20).unwrap());
    }
    assert!(received == pattern(128 << 10), "what was sent is what arrives");
}

#[test]
fn work_that_was_not_tried_yet_leaves_no_trace() {
    let mut bed = Bed::new();
    let (client, server) = bed.pair();
    let send = bed.start_send_all(client, pattern(10));
    assert!(bed.cancel(send, client));
    assert_eq!(bed.sent_all(send), (0, Err(Error::Canceled)));
    let shutdown = bed.start(Shutdown { handle: server, how: ShutdownHow::Write });
    assert!(!bed.cancel(shutdown, server), "it never waits");
    assert_eq!(bed.send(client, b"alive"), Ok(5));
    assert_eq!(bed.recv(server, 10), Ok(b"alive".to_vec()));
}

/// A listener whose queue is full, and a socket that waits to get in.
fn held_up(bed: &mut Bed) -> (Handle, Address, Handle, Token) {
    let (listener, address) = bed.listener("127.0.0.1:0", 0);
    let (_, first) = bed.connect(&address);
    assert_eq!(bed.connected(first), Ok(()));
    let (client, token) = bed.connect(&address);
    bed.settle();
    (listener, address, client, token)
}

#[test]
fn a_connect_in_progress_goes_on_without_its_operation() {
    let mut bed = Bed::new();
    let (listener, address, client, token) = held_up(&mut bed);
    match cancelled(&mut bed, token, client) {
        Outcome::Connect(Connected { address: to, result, .. }) => {
            assert_eq!((to, result), (address.clone(), Err(Error::Canceled)));
        }
        other => panic!("{other:?}"),
    }
    let again = bed.start(Connect { handle: client, address: address.clone() });
    assert_eq!(bed.connected(again), fault(Errno::ALREADY));
    let send = bed.start(Send { handle: client, buffer: b"early".into() });
    let recv = bed.start_recv(client, 5);
    assert!(bed.poll(send).is_none() && bed.poll(recv).is_none());
    for _ in 0..2 {
        let accept = bed.start(Accept { listener });
        bed.accepted(accept).unwrap();
    }
    assert!(matches!(bed.outcome(send), Outcome::Send(Sent { result: Ok(5), .. })));
    // The end of the first connect is still to be told.
    for result in [Ok(()), fault(Errno::ISCONN)] {
        let again = bed.start(Connect { handle: client, address: address.clone() });
        assert_eq!(bed.connected(again), result);
    }
}

#[test]
fn a_connect_that_is_decided_has_its_real_outcome() {
    let mut bed = Bed::new();
    let (listener, _, client, token) = held_up(&mut bed);
    bed.close(listener);
    assert!(bed.cancel(token, client));
    assert_eq!(bed.connected(token), fault(Errno::CONNREFUSED));

    let (_, address) = bed.listener("127.0.0.1:0", 1);
    let (client, token) = bed.connect(&address);
    assert!(bed.cancel(token, client));
    assert_eq!(bed.connected(token), Ok(()));
}

#[test]
fn a_connect_refused_after_its_cancel_is_told_to_the_next_call() {
    let mut bed = Bed::new();
    let (listener, _, client, token) = held_up(&mut bed);
    cancelled(&mut bed, token, client);
    bed.close(listener);
    assert_eq!(bed.recv(client, 1), fault(Errno::CONNREFUSED));
    assert_eq!(bed.recv(client, 1), fault(Errno::NOTCONN));
}

#[test]
fn a_connect_given_up_by_shutdown() {
    let mut bed = Bed::new();
    let (listener, address, client, token) = held_up(&mut bed);
    cancelled(&mut bed, token, client);
    let recv = bed.start_recv(client, 1);
    assert!(bed.poll(recv).is_none());
    assert_eq!(bed.shutdown(client, ShutdownHow::Both), Ok(()));
    assert_eq!(bed.received(recv), fault(Errno::CONNRESET));
    assert_eq!(bed.recv(client, 1), fault(Errno::NOTCONN));
    let again = bed.start(Connect { handle: client, address: address.clone() });
    cancelled(&mut bed, again, client);
    // A fault that nobody asked for is gone with the next connect.
    assert_eq!(bed.shutdown(client, ShutdownHow::Both), Ok(()));
    let again = bed.start(Connect { handle: client, address });
    assert!(bed.poll(again).is_none(), "it waits for its place anew");
    let accept = bed.start(Accept { listener });
    bed.accepted(accept).unwrap();
    assert_eq!(bed.connected(again), Ok(()));
    let recv = bed.start_recv(client, 1);
    assert!(bed.poll(recv).is_none());
}
