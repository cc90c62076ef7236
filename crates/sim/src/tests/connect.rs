use super::*;
use crate::{AcceptMany, AcceptManyEnded, Connection};

#[test]
fn over_both_families_and_from_one_to_the_other() {
    for (listens, connects, peer) in [
        ("127.0.0.1:0", "127.0.0.1", "127.0.0.1"),
        ("127.0.0.9:0", "127.0.0.9", "127.0.0.1"),
        ("0.0.0.0:0", "127.0.0.1", "127.0.0.1"),
        ("0.0.0.0:0", "0.0.0.0", "127.0.0.1"),
        ("0.0.0.0:0", "[::ffff:127.0.0.1]", "127.0.0.1"),
        ("[::1]:0", "[::1]", "[::1]"),
        ("[::]:0", "[::]", "[::1]"),
        ("[::]:0", "127.0.0.1", "[::ffff:127.0.0.1]"),
    ] {
        let mut bed = Bed::new();
        let (listener, address) = bed.listener(listens, 1);
        let to: Address = format!("{connects}:{}", address.as_inet().unwrap().port()).parse().unwrap();
        let token = bed.start(Accept { listener });
        let (client, connect) = bed.connect(&to);
        assert_eq!(bed.connected(connect), Ok(()), "{listens} {connects}");
        let (server, from) = bed.accepted(token).unwrap();
        assert_eq!(from.to_string(), format!("{peer}:{}", bed.port(client)));
        assert_eq!(bed.send(client, b"over"), Ok(4));
        assert_eq!(bed.recv(server, 10), Ok(b"over".to_vec()));
        assert_eq!(bed.send(server, b"back"), Ok(4));
        assert_eq!(bed.recv(client, 10), Ok(b"back".to_vec()));
    }
}

#[test]
fn nobody_there() {
    let mut bed = Bed::new();
    let refused = |bed: &mut Bed, address: &str| {
        let (handle, token) = bed.connect(&address.parse().unwrap());
        (handle, bed.connected(token))
    };
    let (handle, result) = refused(&mut bed, "127.0.0.1:7");
    assert_eq!(result, fault(Errno::CONNREFUSED));
    assert_eq!(bed.port(handle), 0);
    assert_eq!(refused(&mut bed, "127.0.0.1:0").1, fault(Errno::CONNREFUSED));
    assert_eq!(refused(&mut bed, "[::1]:7").1, fault(Errno::CONNREFUSED));
    assert_eq!(refused(&mut bed, "192.0.2.1:7").1, fault(Errno::NETUNREACH));
    assert_eq!(refused(&mut bed, "[2001:db8::1]:7").1, fault(Errno::NETUNREACH));
    // A refused socket can try again.
    bed.listener("127.0.0.1:7", 1);
    let token = bed.start(Connect { handle, address: "127.0.0.1:7".parse().unwrap() });
    assert_eq!(bed.connected(token), Ok(()));
}

#[test]
fn to_an_address_that_the_socket_cannot_name() {
    let mut bed = Bed::new();
    let mut connect = |family, set: Option<SocketOption>, bound: Option<&str>, to: &str| {
        let handle = bed.socket(family);
        if let Some(option) = set {
            bed.set(handle, option);
        }
        if let Some(bound) = bound {
            bed.bind(handle, bound).unwrap();
        }
        let token = bed.start(Connect { handle, address: to.parse().unwrap() });
        bed.connected(token)
    };
    let v6_only = Some(SocketOption::V6Only(true));
    assert_eq!(connect(Family::Ipv4, None, None, "[::1]:7"), fault(Errno::AFNOSUPPORT));
    assert_eq!(connect(Family::Ipv6, None, None, "127.0.0.1:7"), fault(Errno::INVAL));
    assert_eq!(connect(Family::Ipv6, v6_only, None, "[::ffff:127.0.0.1]:7"), fault(Errno::NETUNREACH));
    assert_eq!(
        connect(Family::Ipv6, None, Some("[::1]:0"), "[::ffff:127.0.0.1]:7"),
        fault(Errno::NETUNREACH)
    );
}

#[test]
fn a_bound_socket_keeps_its_address() {
    let mut bed = Bed::new();
    let (_, address) = bed.listener("127.0.0.1:0", 1);
    let handle = bed.socket(Family::Ipv4);
    bed.bind(handle, "127.0.0.2:9").unwrap();
    let token = bed.start(Connect { handle, address });
    assert_eq!(bed.connected(token), Ok(()));
    assert_eq!(bed.local(handle).to_string(), "127.0.0.2:9");
    let refused = bed.socket(Family::Ipv4);
    bed.bind(refused, "0.0.0.0:10").unwrap();
    let token = bed.start(Connect { handle: refused, address: "127.0.0.1:7".parse().unwrap() });
    assert_eq!(bed.connected(token), fault(Errno::CONNREFUSED));
    assert_eq!(bed.port(refused), 10);
}

#[test]
fn connecting_what_is_connected_or_listens() {
    let mut bed = Bed::new();
    let (listener, address) = bed.listener("127.0.0.1:0", 1);
    let (client, server) = bed.pair();
    for handle in [listener, client, server] {
        let token = bed.start(Connect { handle, address: address.clone() });
        assert_eq!(bed.connected(token), fault(Errno::ISCONN));
    }
}

#[test]
fn a_full_backlog_holds_connects_up() {
    let mut bed = Bed::new();
    let (listener, address) = bed.listener("127.0.0.1:0", 1);
    let connects: Vec<_> = (0..5).map(|_| bed.connect(&address)).collect();
    let count = |bed: &mut Bed| {
        bed.settle();
        connects.iter().filter(|(_, token)| bed.outcomes.contains_key(token)).count()
    };
    assert_eq!(count(&mut bed), 2);
    let waiting = *connects.iter().find(|(_, token)| !bed.outcomes.contains_key(token)).unwrap();
    assert_eq!(bed.control(waiting.0, Control::PeerAddress), fault(Errno::NOTCONN));
    assert_eq!(bed.control(waiting.0, Control::Listen(1)), fault(Errno::INVAL));
    let token = bed.start(Accept { listener });
    bed.accepted(token).unwrap();
    assert_eq!(count(&mut bed), 3);
    assert_eq!(bed.control(listener, Control::Listen(2)), Ok(Reply::Done));
    assert_eq!(count(&mut bed), 4);
    // The last one is refused when the listener goes; those in the queue are reset.
    let last = *connects.iter().find(|(_, token)| !bed.outcomes.contains_key(token)).unwrap();
    bed.close(listener);
    assert_eq!(bed.connected(last.1), fault(Errno::CONNREFUSED));
    let results: Vec<_> =
        connects.iter().filter(|connect| connect.0 != last.0).map(|&(handle, _)| handle).collect();
    let mut reset = 0;
    for handle in results {
        let token = bed.start_recv(handle, 1);
        match bed.poll(token) {
            Some(Outcome::Recv(received)) => {
                assert_eq!(received.result, fault(Errno::CONNRESET));
                reset += 1;
            }
            Some(other) => panic!("{other:?}"),
            None => assert!(bed.cancel(token, handle)),
        }
    }
    assert_eq!(reset, 3);
}

#[test]
fn a_waiting_client_that_closes_leaves_its_place() {
    let mut bed = Bed::new();
    let (listener, address) = bed.listener("127.0.0.1:0", 0);
    let (_, first) = bed.connect(&address);
    assert_eq!(bed.connected(first), Ok(()));
    let (second, _) = bed.connect(&address);
    bed.settle();
    let (third, token) = bed.connect(&address);
    bed.settle();
    bed.close(second);
    let accept = bed.start(Accept { listener });
    bed.accepted(accept).unwrap();
    assert_eq!(bed.connected(token), Ok(()));
    let accept = bed.start(Accept { listener });
    let (_, from) = bed.accepted(accept).unwrap();
    assert_eq!(from, bed.local(third));
}

#[test]
fn a_shut_down_listener_ends_its_accepts() {
    let mut bed = Bed::new();
    let (listener, address) = bed.listener("127.0.0.1:0", 1);
    assert_eq!(bed.shutdown(listener, ShutdownHow::Write), Ok(()));
    let token = bed.start(Accept { listener });
    assert!(bed.poll(token).is_none());
    assert_eq!(bed.shutdown(listener, ShutdownHow::Both), Ok(()));
    assert_eq!(bed.accepted(token), fault(Errno::INVAL));
    assert_eq!(bed.local(listener), address);
    let (_, token) = bed.connect(&address);
    assert_eq!(bed.connected(token), fault(Errno::CONNREFUSED));
    assert_eq!(bed.control(listener, Control::Listen(1)), Ok(Reply::Done));
    let (_, token) = bed.connect(&address);
    assert_eq!(bed.connected(token), Ok(()));
}

#[test]
fn accept_many_takes_all_and_ends_once() {
    let mut bed = Bed::new();
    let (listener, address) = bed.listener("127.0.0.1:0", 10);
    let clients: Vec<_> = (0..3).map(|_| bed.connect(&address).0).collect();
    bed.settle();
    let token = bed.start(AcceptMany { listener });
    bed.settle();
    let (late, _) = bed.connect(&address);
    bed.settle();
    let mut ports: Vec<_> = clients.iter().chain([&late]).map(|&client| bed.port(client)).collect();
    assert_eq!(bed.shutdown(listener, ShutdownHow::Read), Ok(()));
    bed.settle();
    let mut outcomes = bed.outcomes.remove(&token).unwrap();
    let Some(Outcome::AcceptManyEnded(AcceptManyEnded { listener: ended, error })) = outcomes.pop() else {
        panic!("no last outcome")
    };
    assert_eq!((ended, error), (listener, Errno::INVAL.into()));
    let mut accepted: Vec<_> = outcomes
        .into_iter()
        .map(|outcome| match outcome {
            Outcome::AcceptManyItem(Connection { address, .. }) => address.as_inet().unwrap().port(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(accepted[3], bed.port(late));
    ports.sort_unstable();
    accepted.sort_unstable();
    assert_eq!(accepted, ports);
}

#[test]
fn the_closest_listener_gets_the_connection_and_shared_ones_any() {
    let mut bed = Bed::new();
    let (all, _) = bed.listener("0.0.0.0:0", 5);
    let port = bed.port(all);
    let other = bed.socket(Family::Ipv4);
    assert_eq!(bed.bind(other, format!("127.0.0.1:{port}")), fault(Errno::ADDRINUSE));
    let mut counts = [0, 0, 0];
    let group = ["127.0.0.1:7", "127.0.0.1:7", "0.0.0.0:7"].map(|address| {
        let handle = bed.socket(Family::Ipv4);
        bed.set(handle, SocketOption::ReusePort(true));
        bed.bind(handle, address).unwrap();
        bed.control(handle, Control::Listen(100)).unwrap();
        bed.start(AcceptMany { listener: handle })
    });
    for _ in 0..50 {
        let (_, token) = bed.connect(&"127.0.0.1:7".parse().unwrap());
        assert_eq!(bed.connected(token), Ok(()));
    }
    bed.settle();
    for (count, token) in counts.iter_mut().zip(group) {
        *count = bed.outcomes.get(&token).map_or(0, Vec::len);
    }
    assert_eq!(counts[0] + counts[1], 50);
    assert!(counts[0] > 5 && counts[1] > 5, "{counts:?}");
}

#[test]
fn an_accepted_socket_has_the_options_of_its_listener() {
    let mut bed = Bed::new();
    let (listener, address) = bed.listener("127.0.0.1:0", 5);
    bed.set(listener, SocketOption::SendBuffer(2048));
    let (client, _) = bed.connect(&address);
    bed.set(client, SocketOption::ReceiveBuffer(2048));
    let token = bed.start(Accept { listener });
    let (server, _) = bed.accepted(token).unwrap();
    let token = bed.start_send_all(server, pattern(4097));
    assert!(bed.poll(token).is_none());
    assert_eq!(bed.recv(client, 1), Ok(vec![0]));
    assert_eq!(bed.sent_all(token), (4097, Ok(())));
}

#[test]
fn what_is_started_behind_a_connect_waits_for_it() {
    for seed in 0..20 {
        let mut bed = Bed::with_seed(seed);
        let (listener, address) = bed.listener("127.0.0.1:0", 1);
        let (client, connect) = bed.connect(&address);
        let recv = bed.start_recv(client, 1);
        assert_eq!(bed.connected(connect), Ok(()));
        let accept = bed.start(Accept { listener });
        let (server, _) = bed.accepted(accept).unwrap();
        bed.send(server, b"x").unwrap();
        assert_eq!(bed.received(recv), Ok(b"x".to_vec()));
    }
}
