use std::time::Duration;

use super::*;

#[test]
fn bytes_arrive_in_order_however_they_are_cut() {
    let mut bed = Bed::new();
    let (client, server) = bed.pair();
    let sent = pattern(1 << 20);
    let token = bed.start_send_all(client, sent.clone());
    assert!(bed.poll(token).is_none(), "a mebibyte needs the peer to receive");
    let mut received = Vec::new();
    let mut lengths = std::collections::BTreeSet::new();
    while received.len() < sent.len() {
        let bytes = bed.recv(server, 50_000).unwrap();
        lengths.insert(bytes.len());
        received.extend(bytes);
    }
    assert!(received == sent);
    assert!(lengths.len() > 5, "receives are cut: {lengths:?}");
    assert_eq!(bed.sent_all(token), (sent.len(), Ok(())));
}

#[test]
fn a_send_takes_what_there_is_room_for() {
    let mut bed = Bed::new();
    let (client, server) = bed.pair();
    let mut total = 0;
    let blocked = loop {
        let token = bed.start(Send { handle: client, buffer: Buffer::zeroed(100_000) });
        match bed.poll(token) {
            Some(Outcome::Send(sent)) => total += sent.result.unwrap(),
            Some(other) => panic!("{other:?}"),
            None => break token,
        }
    };
    assert_eq!(total, 128 << 10);
    assert_eq!(bed.recv(server, 10).unwrap().len(), 10);
    match bed.outcome(blocked) {
        Outcome::Send(Sent { buffer, result, .. }) => assert_eq!((buffer.len(), result), (100_000, Ok(10))),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_larger_buffer_lets_a_send_go_on() {
    for grows_at_receiver in [true, false] {
        let mut bed = Bed::new();
        let (client, server) = bed.pair();
        let token = bed.start_send_all(client, pattern(150_000));
        assert!(bed.poll(token).is_none());
        if grows_at_receiver {
            bed.set(server, SocketOption::ReceiveBuffer(100_000));
        } else {
            bed.set(client, SocketOption::SendBuffer(100_000));
        }
        assert_eq!(bed.sent_all(token), (150_000, Ok(())));
    }
}

#[test]
fn small_transfers_are_never_cut() {
    for seed in 0..50 {
        let mut bed = Bed::with_seed(seed);
        let (client, server) = bed.pair();
        assert_eq!(bed.send(client, b"0123456789"), Ok(10));
        assert_eq!(bed.recv(server, 5), Ok(b"01234".to_vec()));
        assert_eq!(bed.recv(server, 50), Ok(b"56789".to_vec()));
    }
}

#[test]
fn empty_and_read_only_buffers() {
    let mut bed = Bed::new();
    let (client, server) = bed.pair();
    assert_eq!(bed.recv(server, 0), Ok(vec![]));
    assert_eq!(bed.send(client, b""), Ok(0));
    let token = bed.start_send_all(client, vec![]);
    assert_eq!(bed.sent_all(token), (0, Ok(())));
    for buffer in [Buffer::from(b"static"), Buffer::from(b"")] {
        let token = bed.start(Recv { handle: server, buffer });
        assert_eq!(bed.received(token), Err(Error::ReadOnlyBuffer));
    }
    let token = bed.start_recv(server, 1);
    assert!(bed.poll(token).is_none(), "nothing of all that was sent");
}

#[test]
fn half_closed_in_each_direction() {
    let mut bed = Bed::new();
    let (client, server) = bed.pair();
    bed.send(client, b"last").unwrap();
    assert_eq!(bed.shutdown(client, ShutdownHow::Write), Ok(()));
    assert_eq!(bed.send(client, b"x"), fault(Errno::PIPE));
    assert_eq!(bed.shutdown(client, ShutdownHow::Write), Ok(()));
    assert_eq!(bed.recv(server, 10), Ok(b"last".to_vec()));
    assert_eq!(bed.recv(server, 10), Ok(vec![]));
    assert_eq!(bed.recv(server, 10), Ok(vec![]));
    assert_eq!(bed.send(server, b"answer"), Ok(6));
    assert_eq!(bed.recv(client, 10), Ok(b"answer".to_vec()));
    let token = bed.start_recv(client, 10);
    assert!(bed.poll(token).is_none());
    assert_eq!(bed.shutdown(server, ShutdownHow::Both), Ok(()));
    assert_eq!(bed.received(token), Ok(vec![]));
    for end in [client, server] {
        assert_eq!(bed.shutdown(end, ShutdownHow::Both), fault(Errno::NOTCONN));
        assert_eq!(bed.control(end, Control::PeerAddress), fault(Errno::NOTCONN));
        assert_eq!(bed.recv(end, 1), Ok(vec![]));
        assert_eq!(bed.send(end, b"x"), fault(Errno::PIPE));
    }
}

#[test]
fn receiving_shut_down_ends_a_receive_and_still_takes_data() {
    let mut bed = Bed::new();
    let (client, server) = bed.pair();
    let token = bed.start_recv(client, 1);
    assert!(bed.poll(token).is_none());
    assert_eq!(bed.shutdown(client, ShutdownHow::Read), Ok(()));
    assert_eq!(bed.received(token), Ok(vec![]));
    assert_eq!(bed.send(server, b"x"), Ok(1));
    assert_eq!(bed.recv(client, 10), Ok(b"x".to_vec()));
    assert_eq!(bed.recv(client, 10), Ok(vec![]));
    assert_eq!(bed.send(client, b"y"), Ok(1));
    assert_eq!(bed.recv(server, 10), Ok(b"y".to_vec()));
}

#[test]
fn a_shutdown_ends_the_send_that_waits() {
    let mut bed = Bed::new();
    let (client, _server) = bed.pair();
    let token = bed.start_send_all(client, pattern(1 << 20));
    assert!(bed.poll(token).is_none());
    // Core queues a shutdown behind the sends; the system does not.
    bed.sim.network.shutdown(bed.sim.table.socket(client.slot()).unwrap(), ShutdownHow::Write).unwrap();
    assert_eq!(bed.sent_all(token), (128 << 10, fault(Errno::PIPE)));
}

#[test]
fn a_closed_peer_ends_the_stream_then_breaks_it() {
    let mut bed = Bed::new();
    let (client, server) = bed.pair();
    bed.send(client, b"left").unwrap();
    bed.close(client);
    assert_eq!(bed.recv(server, 10), Ok(b"left".to_vec()));
    assert_eq!(bed.recv(server, 10), Ok(vec![]));
    assert_eq!(bed.send(server, b"nobody hears"), Ok(12));
    assert_eq!(bed.send(server, b"x"), fault(Errno::PIPE));
    assert_eq!(bed.recv(server, 10), Ok(vec![]));
    assert_eq!(bed.shutdown(server, ShutdownHow::Write), fault(Errno::NOTCONN));
    assert_eq!(bed.control(server, Control::PeerAddress), fault(Errno::NOTCONN));
}

#[test]
fn a_reset_is_told_once_after_the_data() {
    let mut bed = Bed::new();
    let (client, server) = bed.pair();
    bed.send(client, b"0123456789").unwrap();
    bed.set(client, SocketOption::Linger(Some(Duration::ZERO)));
    bed.close(client);
    assert_eq!(bed.recv(server, 5), Ok(b"01234".to_vec()));
    assert_eq!(bed.recv(server, 5), Ok(b"56789".to_vec()));
    assert_eq!(bed.recv(server, 5), fault(Errno::CONNRESET));
    assert_eq!(bed.recv(server, 5), Ok(vec![]));
    assert_eq!(bed.send(server, b"x"), fault(Errno::PIPE));
}

#[test]
fn closing_with_data_unread_resets() {
    let mut bed = Bed::new();
    let (client, server) = bed.pair();
    let token = bed.start_recv(server, 1);
    bed.send(server, b"unread").unwrap();
    bed.close(client);
    assert_eq!(bed.received(token), fault(Errno::CONNRESET));
    assert_eq!(bed.send(server, b"x"), fault(Errno::PIPE));

    let (client, server) = bed.pair();
    bed.send(server, b"unread").unwrap();
    bed.close(client);
    assert_eq!(bed.send(server, b"x"), fault(Errno::CONNRESET));
    assert_eq!(bed.send(server, b"x"), fault(Errno::PIPE));
    assert_eq!(bed.recv(server, 5), Ok(vec![]));
    assert_eq!(bed.shutdown(server, ShutdownHow::Write), fault(Errno::NOTCONN));

    // After the end of the stream, a reset is a broken pipe.
    let (client, server) = bed.pair();
    bed.send(server, b"unread").unwrap();
    bed.shutdown(client, ShutdownHow::Write).unwrap();
    bed.close(client);
    assert_eq!(bed.recv(server, 5), Ok(vec![]));
    assert_eq!(bed.send(server, b"x"), fault(Errno::PIPE));
}

#[test]
fn a_reset_ends_the_send_that_waits() {
    let mut bed = Bed::new();
    let (client, server) = bed.pair();
    let token = bed.start_send_all(client, pattern(1 << 20));
    assert!(bed.poll(token).is_none());
    bed.close(server);
    assert_eq!(bed.sent_all(token), (128 << 10, fault(Errno::CONNRESET)));
}

#[test]
fn streams_that_are_none() {
    let mut bed = Bed::new();
    let idle = bed.socket(Family::Ipv4);
    let (listener, _) = bed.listener("127.0.0.1:0", 1);
    for handle in [idle, listener] {
        assert_eq!(bed.recv(handle, 1), fault(Errno::NOTCONN));
        assert_eq!(bed.send(handle, b"x"), fault(Errno::PIPE));
        let token = bed.start_send_all(handle, vec![0]);
        assert_eq!(bed.sent_all(token), (0, fault(Errno::PIPE)));
    }
    assert_eq!(bed.shutdown(idle, ShutdownHow::Both), fault(Errno::NOTCONN));
    let (client, _) = bed.pair();
    let token = bed.start(Accept { listener: client });
    assert_eq!(bed.accepted(token), fault(Errno::INVAL));
}

#[test]
fn buffers_come_back_with_their_range() {
    let mut bed = Bed::new();
    let (client, server) = bed.pair();
    let token = bed.start(Send { handle: client, buffer: Buffer::from(b"0123456789".to_vec()).slice(2..5) });
    match bed.outcome(token) {
        Outcome::Send(Sent { handle, buffer, result }) => {
            assert_eq!((handle, &buffer[..], result), (client, &b"234"[..], Ok(3)));
        }
        other => panic!("{other:?}"),
    }
    let token = bed.start(Recv { handle: server, buffer: Buffer::from(vec![b'.'; 8]).slice(2..7) });
    match bed.outcome(token) {
        Outcome::Recv(Received { handle, buffer, result }) => {
            assert_eq!((handle, buffer.len(), result), (server, 5, Ok(3)));
            assert_eq!(buffer.unslice().into_vec(), b"..234...");
        }
        other => panic!("{other:?}"),
    }
}
