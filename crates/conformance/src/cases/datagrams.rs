//! Datagrams: messages with addresses, empty ones, truncated ones, lost ones (contract R1, H3, R4), and how they are
//! cancelled and closed (X1, X2, X5, C2, H1).

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use proactor_core::{
    Accept, Address, Backend, Buffer, Cancel, Close, Connect, Datagram, Error, Family, Handle, ListenOptions,
    Loop, Membership, OneShot, Peer, ReceivedFrom, Recv, RecvFrom, Send, SendAll, SendTo, SentTo,
    SocketOption,
};
use rustix::io::Errno;

use super::unix::assert_fault;
use crate::Fixture;
use crate::peers::inet;
use crate::steps::{Captures, IPV4, IPV6, Log, Pending, Steps, address, assert_bytes, pattern, system};

/// Whole and not cut.
pub(super) fn whole(len: usize) -> Result<Datagram, Error> {
    Ok(Datagram::new(len, false))
}

/// More than was asked for: so much of it came.
pub(super) fn cut(len: usize) -> Result<Datagram, Error> {
    Ok(Datagram::new(len, true))
}

pub(super) fn recv_from(handle: Handle, len: usize) -> RecvFrom {
    RecvFrom { handle, buffer: Buffer::zeroed(len), peer: Peer::default() }
}

pub(super) fn send_to(handle: Handle, buffer: impl Into<Buffer>, address: &Address) -> SendTo {
    SendTo { handle, buffer: buffer.into(), peer: address.clone().into() }
}

/// What was received, and from whom.
pub(super) fn message(received: &ReceivedFrom) -> (&[u8], Option<&Address>) {
    let len = received.result.map_or(0, Datagram::len);
    (&received.buffer[..len], received.peer.address())
}

/// A datagram socket on a free port of `loopback`, and its address.
#[track_caller]
fn bound<B: Backend, S>(ev: &mut Loop<B, S>, loopback: &str) -> (Handle, Address) {
    let loopback = address(loopback);
    let mut cx = ev.context();
    let handle = cx.datagram_socket(loopback.family()).expect("a datagram socket");
    cx.bind(handle, loopback).expect("a free port");
    let address = cx.local_address(handle).expect("it is bound");
    (handle, address)
}

/// Two datagram sockets, bound to addresses of `loopback`.
fn two<B: Backend>(ev: &mut Loop<B, ()>, loopback: &str) -> [(Handle, Address); 2] {
    [bound(ev, loopback), bound(ev, loopback)]
}

/// An address of the loopback where nobody is.
fn nowhere<B: Backend>(ev: &mut Loop<B, ()>) -> Address {
    let (handle, address) = bound(ev, IPV4);
    assert_eq!(ev.complete(Close { handle }).result, Ok(()));
    address
}

/// Messages there and back, each with the address of its sender; buffers and peers come back whole.
fn there_and_back<B: Backend>(fixture: &Fixture<B>, loopback: &str) {
    let mut ev = fixture.open();
    let (server, server_address) = bound(&mut ev, loopback);
    let client = ev.context().datagram_socket(server_address.family()).unwrap();
    let received = ev.start(recv_from(server, 64));
    ev.no_wait();
    assert!(!received.is_done());
    let buffer = Buffer::from(b"--hello--").slice(2..7);
    let sent = ev.complete(send_to(client, buffer, &server_address));
    assert_eq!((sent.result, &sent.buffer[..], sent.handle), (Ok(()), &b"hello"[..], client));
    assert_eq!(sent.peer.address(), Some(&server_address));
    let received = ev.finish(&received);
    assert_eq!((received.result, received.buffer.len(), received.handle), (whole(5), 64, server));
    let (bytes, from) = message(&received);
    // Not bound before: sending has chosen a port.
    let port = inet(&ev.context().local_address(client).unwrap()).port();
    let client_address = SocketAddr::new(inet(&server_address).ip(), port).into();
    assert_eq!((bytes, from), (&b"hello"[..], Some(&client_address)));

    let answer = SendTo { handle: server, buffer: received.buffer.slice(1..4), peer: received.peer };
    assert_eq!(ev.complete(answer).result, Ok(()));
    let answer = ev.complete(recv_from(client, 64));
    assert_eq!(message(&answer), (&b"ell"[..], Some(&server_address)));
}

pub(crate) fn messages_and_addresses_go_there_and_back<B: Backend>(fixture: &Fixture<B>) {
    there_and_back(fixture, IPV4);
}

pub(crate) fn ipv6_works_the_same<B: Backend>(fixture: &Fixture<B>) {
    there_and_back(fixture, IPV6);
}

/// An empty datagram is data, and an empty buffer takes a datagram: both reach the system, neither ends anything.
pub(crate) fn empty_datagrams_are_data<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let [(server, to), (client, from)] = two(&mut ev, IPV4);
    let waiting = ev.start(recv_from(server, 8));
    let empty_buffer = ev.start(recv_from(server, 0));
    ev.idle();
    assert!(!waiting.is_done() && !empty_buffer.is_done(), "nothing has come");
    assert_eq!(ev.complete(send_to(client, Buffer::default(), &to)).result, Ok(()));
    let received = ev.finish(&waiting);
    assert_eq!((received.result, message(&received).1), (whole(0), Some(&from)));
    ev.idle();
    assert!(!empty_buffer.is_done(), "it takes a datagram of its own");
    assert_eq!(ev.complete(send_to(client, b"gone", &to)).result, Ok(()));
    let received = ev.finish(&empty_buffer);
    assert_eq!((received.result, message(&received).1), (cut(0), Some(&from)));

    // On connected sockets the operations of streams do the same.
    assert_eq!(ev.complete(Connect { handle: client, address: to.clone() }).result, Ok(()));
    assert_eq!(ev.complete(Connect { handle: server, address: from }).result, Ok(()));
    let received = ev.start(Recv { handle: server, buffer: Buffer::zeroed(8) });
    let taken = ev.start(Recv { handle: server, buffer: Buffer::zeroed(0) });
    let next = ev.start(Recv { handle: server, buffer: Buffer::zeroed(8) });
    ev.idle();
    assert!(!received.is_done() && !taken.is_done());
    assert_eq!(ev.complete(Send { handle: client, buffer: Buffer::default() }).result, Ok(0));
    assert_eq!(ev.finish(&received).result, Ok(0));
    let all = ev.complete(SendAll { handle: client, buffer: Buffer::default() });
    assert_eq!((all.result, all.transferred), (Ok(()), 0));
    assert_eq!(ev.finish(&taken).result, Ok(0));
    assert!(!next.is_done());
    assert_eq!(ev.complete(Send { handle: client, buffer: b"next".into() }).result, Ok(4));
    assert_eq!(ev.finish(&next).result, Ok(4));
}

/// What does not fit is lost, and that is told; the next one is whole.
pub(crate) fn truncation_is_told<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let [(server, to), (client, from)] = two(&mut ev, IPV4);
    let waiting = ev.start(recv_from(server, 4));
    ev.no_wait();
    for text in [&b"too long"[..], b"fits", b"also too long", b"end"] {
        assert_eq!(ev.complete(send_to(client, text, &to)).result, Ok(()));
    }
    let received = ev.finish(&waiting);
    assert_eq!((received.result, message(&received)), (cut(4), (&b"too "[..], Some(&from))));
    let received = ev.complete(recv_from(server, 4));
    assert_eq!((received.result, message(&received).0), (whole(4), &b"fits"[..]));
    // Only the range is written to.
    let buffer = Buffer::from(b"________".to_vec()).slice(2..6);
    let received = ev.complete(RecvFrom { handle: server, buffer, peer: received.peer });
    assert_eq!((received.result, received.buffer.unslice().into_vec()), (cut(4), b"__also__".to_vec()));
    let received = ev.complete(recv_from(server, 4));
    assert_eq!((received.result, message(&received).0), (whole(3), &b"end"[..]));
}

/// The largest datagram goes through whole; a larger one fails alone, with everything handed back.
pub(crate) fn too_big_fails_alone<B: Backend>(fixture: &Fixture<B>) {
    const LARGEST: usize = 65_507;
    const ROOM: u32 = 1 << 18;
    let mut ev = fixture.open();
    let [(server, to), (client, _)] = two(&mut ev, IPV4);
    // Some systems have less room than that unless they are told.
    assert_eq!(ev.context().set(client, SocketOption::SendBuffer(ROOM)), Ok(()));
    assert_eq!(ev.context().set(server, SocketOption::ReceiveBuffer(ROOM)), Ok(()));
    let unsent = ev.complete(send_to(client, vec![1; LARGEST + 1], &to));
    assert_eq!((unsent.result, unsent.buffer.len()), (Err(system(Errno::MSGSIZE)), LARGEST + 1));
    assert_eq!(unsent.peer.address(), Some(&to));
    let bytes = pattern(3, LARGEST);
    let sent = ev.complete(SendTo { buffer: bytes.clone().into(), handle: client, peer: unsent.peer });
    assert_eq!(sent.result, Ok(()));
    let received = ev.complete(recv_from(server, 70_000));
    assert_eq!(received.result, whole(LARGEST));
    assert_bytes(message(&received).0, &bytes);
}

/// A connected socket speaks with its peer alone, and can be connected to another.
pub(crate) fn a_connected_socket_speaks_with_its_peer<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let [(client, from), (server, to)] = two(&mut ev, IPV4);
    let (other, other_address) = bound(&mut ev, IPV4);
    assert_eq!(ev.context().peer_address(client), Err(system(Errno::NOTCONN)));
    let unsent = ev.complete(SendTo { handle: client, buffer: b"x".into(), peer: Peer::default() });
    assert_eq!(unsent.result, Err(system(Errno::DESTADDRREQ)));
    // Sends queue behind their connect, as on a stream.
    let connected = ev.start(Connect { handle: client, address: to.clone() });
    let sent = ev.start(Send { handle: client, buffer: b"by send".into() });
    let sent_all = ev.start(SendAll { handle: client, buffer: b"by send all".into() });
    let sent_to = ev.start(SendTo { handle: client, buffer: b"to nobody".into(), peer: Peer::default() });
    ev.until(|| sent_to.is_done());
    assert_eq!((connected.take().result, sent.take().result), (Ok(()), Ok(7)));
    let sent_all = sent_all.take();
    assert_eq!((sent_all.result, sent_all.transferred, sent_to.take().result), (Ok(()), 11, Ok(())));
    assert_eq!(ev.context().peer_address(client), Ok(to.clone()));
    for text in [&b"by send"[..], b"by send all", b"to nobody"] {
        let received = ev.complete(recv_from(server, 64));
        assert_eq!(message(&received), (text, Some(&from)));
    }

    let received = ev.start(Recv { handle: client, buffer: Buffer::zeroed(16) });
    assert_eq!(ev.complete(send_to(other, b"stranger", &from)).result, Ok(()));
    ev.idle();
    assert!(!received.is_done(), "it hears nobody else");
    assert_eq!(ev.complete(send_to(server, b"friend", &from)).result, Ok(()));
    let received = ev.finish(&received);
    assert_eq!((received.result, &received.buffer[..6]), (Ok(6), &b"friend"[..]));

    assert_eq!(ev.complete(Connect { handle: client, address: other_address.clone() }).result, Ok(()));
    assert_eq!(ev.complete(send_to(other, b"hello", &from)).result, Ok(()));
    let received = ev.complete(recv_from(client, 16));
    assert_eq!(message(&received), (&b"hello"[..], Some(&other_address)));
}

/// Where nobody is, a connected socket hears it, once for each datagram; others do not, and both go on.
pub(crate) fn a_refusal_is_told_to_a_connected_socket<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, from) = bound(&mut ev, IPV4);
    let closed = nowhere(&mut ev);
    assert_eq!(ev.complete(send_to(client, b"lost", &closed)).result, Ok(()));
    assert_eq!(ev.complete(Connect { handle: client, address: closed }).result, Ok(()));
    // The one that waits hears it.
    let waiting = ev.start(recv_from(client, 16));
    ev.no_wait();
    assert!(!waiting.is_done());
    assert_eq!(ev.complete(Send { handle: client, buffer: b"lost".into() }).result, Ok(4));
    let refused = ev.finish(&waiting);
    assert_eq!((refused.result, refused.buffer.len()), (Err(system(Errno::CONNREFUSED)), 16));
    // Or the next one that is sent, which was not sent then.
    assert_eq!(ev.complete(Send { handle: client, buffer: b"lost".into() }).result, Ok(4));
    let refused = ev.complete(SendTo { handle: client, buffer: b"unsent".into(), peer: Peer::default() });
    assert_eq!((refused.result, &refused.buffer[..]), (Err(system(Errno::CONNREFUSED)), &b"unsent"[..]));
    let (server, to) = bound(&mut ev, IPV4);
    assert_eq!(ev.complete(Connect { handle: client, address: to }).result, Ok(()));
    assert_eq!(ev.complete(send_to(server, b"fine", &from)).result, Ok(()));
    assert_eq!(ev.complete(recv_from(client, 16)).result, whole(4));
}

/// Many queued at once on either side complete in order, each with its own message.
pub(crate) fn many_in_a_row_keep_order<B: Backend>(fixture: &Fixture<B>) {
    const MANY: usize = 64;
    let mut ev = fixture.open();
    let [(server, to), (client, from)] = two(&mut ev, IPV4);
    let log = Log::new();
    for round in 0..3 {
        // Receives first, then sends first, then receives in front of one turn of both.
        let receive = |ev: &mut Loop<B, ()>| {
            for number in 0..MANY {
                let (seen, from) = (log.clone(), from.clone());
                ev.context().submit(recv_from(server, 200), move |(), _, received| {
                    let (bytes, address) = message(&received);
                    assert_eq!((received.result, address), (whole(number + 1), Some(&from)));
                    assert_bytes(bytes, &pattern(number as u32, number + 1));
                    seen.push(number);
                });
            }
        };
        let send = |ev: &mut Loop<B, ()>| {
            for number in 0..MANY {
                let bytes = pattern(number as u32, number + 1);
                ev.context().submit(send_to(client, bytes, &to), |(), _, sent| {
                    assert_eq!(sent.result, Ok(()));
                });
            }
        };
        match round {
            0 => {
                receive(&mut ev);
                ev.no_wait();
                send(&mut ev);
            }
            1 => {
                send(&mut ev);
                ev.until_done();
                receive(&mut ev);
            }
            _ => {
                receive(&mut ev);
                send(&mut ev);
            }
        }
        ev.until_done();
        assert_eq!(log.take(), (0..MANY).collect::<Vec<_>>());
    }
}

/// Cancelled while it waits, it hands everything back; what comes later is not lost, and cancelling within the queue
/// keeps the others in order.
pub(crate) fn a_waiting_receive_can_be_cancelled<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let [(server, to), (client, _)] = two(&mut ev, IPV4);
    for started in [false, true] {
        let receives: Vec<Pending<ReceivedFrom>> = (0..4)
            .map(|_| {
                let peer = Peer::from(address("127.0.0.1:7"));
                ev.start(RecvFrom { handle: server, buffer: Buffer::zeroed(16), peer })
            })
            .collect();
        if started {
            ev.idle();
        }
        for index in [0, 2] {
            assert_eq!(ev.cancel(receives[index].key), Cancel::Requested);
            let canceled = ev.finish(&receives[index]);
            assert_eq!((canceled.result, canceled.buffer.len()), (Err(Error::Canceled), 16));
            assert_eq!(canceled.peer.address(), Some(&address("127.0.0.1:7")));
        }
        for text in ["one", "two"] {
            assert_eq!(ev.complete(send_to(client, text.as_bytes(), &to)).result, Ok(()));
        }
        assert_eq!(message(&ev.finish(&receives[1])).0, b"one");
        assert_eq!(message(&ev.finish(&receives[3])).0, b"two");
    }
    // A datagram that has arrived is delivered or stays for the next.
    let received = ev.start(recv_from(server, 16));
    ev.no_wait();
    let sent = ev.start(send_to(client, b"late", &to));
    ev.until(|| sent.is_done());
    let outcome = match ev.cancel(received.key) {
        Cancel::NotFound => received.take(),
        _ => ev.finish(&received),
    };
    let outcome =
        if outcome.result == Err(Error::Canceled) { ev.complete(recv_from(server, 16)) } else { outcome };
    assert_eq!(message(&outcome).0, b"late");
    // Nor does a deadline that has passed lose one that is there.
    assert_eq!(ev.complete(send_to(client, b"in time", &to)).result, Ok(()));
    let bounded = ev.complete(recv_from(server, 16).with_timeout(Duration::ZERO));
    let late = bounded.result == Err(Error::TimedOut);
    let outcome = if late { ev.complete(recv_from(server, 16)) } else { bounded };
    assert_eq!(message(&outcome).0, b"in time");
    let bounded = ev.complete(recv_from(server, 16).with_timeout(Duration::from_millis(1)));
    assert_eq!((bounded.result, bounded.buffer.len()), (Err(Error::TimedOut), 16));
}

/// A send that is not started yet can be cancelled like others, and the system never saw it.
pub(crate) fn a_queued_send_can_be_cancelled<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let [(server, to), (client, _)] = two(&mut ev, IPV4);
    let sent = ev.start(send_to(client, b"never", &to));
    assert_eq!(ev.cancel(sent.key), Cancel::Requested);
    let unsent = ev.finish(&sent);
    assert_eq!((unsent.result, &unsent.buffer[..]), (Err(Error::Canceled), &b"never"[..]));
    assert_eq!(unsent.peer.address(), Some(&to));
    assert_eq!(ev.complete(send_to(client, b"next", &to)).result, Ok(()));
    assert_eq!(message(&ev.complete(recv_from(server, 16))).0, b"next");
}

/// Deleted, they are silent, before they are started and after; what comes goes to the next.
pub(crate) fn deleted_they_are_silent<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let [(server, to), (client, _)] = two(&mut ev, IPV4);
    for started in [false, true] {
        let captures = Captures::default();
        let held = captures.capture();
        let receive = ev.context().submit(recv_from(server, 16), move |(), _, _| panic!("{}", held.held()));
        let held = captures.capture();
        let send =
            ev.context().submit(send_to(client, b"never", &to), move |(), _, _| panic!("{}", held.held()));
        assert_eq!(ev.context().delete(send), Ok(()));
        if started {
            ev.no_wait();
        }
        assert_eq!(ev.context().delete(receive), Ok(()));
        ev.until_done();
        assert_eq!(captures.held(), 0);
        assert_eq!(ev.complete(send_to(client, b"next", &to)).result, Ok(()));
        assert_eq!(message(&ev.complete(recv_from(server, 16))).0, b"next");
    }
}

/// Its handle closed under it, each ends as cancelled, with everything handed back; later ones are stale.
pub(crate) fn closing_the_socket_ends_them<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    for started in [false, true] {
        let [(server, to), (client, _)] = two(&mut ev, IPV4);
        let receives = [ev.start(recv_from(server, 16)), ev.start(recv_from(server, 16))];
        if started {
            ev.idle();
        }
        let sent = ev.start(send_to(server, b"never", &to));
        ev.context().close(server);
        ev.until_done();
        for received in receives {
            let received = received.take();
            assert_eq!((received.result, received.buffer.len()), (Err(Error::Canceled), 16));
        }
        let sent: SentTo = sent.take();
        assert_eq!((sent.result, sent.peer.address()), (Err(Error::Canceled), Some(&to)));
        let stale = ev.complete(recv_from(server, 16));
        assert_eq!((stale.result, stale.buffer.len()), (Err(Error::StaleHandle), 16));
        let stale = ev.complete(send_to(server, b"stale", &to));
        assert_eq!((stale.result, &stale.buffer[..]), (Err(Error::StaleHandle), &b"stale"[..]));
        assert_eq!(stale.peer.address(), Some(&to));
        // The port is free at once.
        let again = ev.context().datagram_socket(Family::Ipv4).unwrap();
        assert_eq!(ev.context().bind(again, to), Ok(()));
        ev.context().close(client);
    }
}

/// Dropping the loop with some under way lets go of everything, which the harness sees.
pub(crate) fn dropping_the_loop_lets_go_of_them<B: Backend>(fixture: &Fixture<B>) {
    let captures = Captures::default();
    let mut ev = fixture.open();
    for started in [true, false] {
        let [(server, to), (client, _)] = two(&mut ev, IPV4);
        for _ in 0..3 {
            let held = captures.capture();
            ev.context().submit(recv_from(server, 1 << 16), move |(), _, _| panic!("{}", held.held()));
        }
        if started {
            ev.idle();
        } else {
            let held = captures.capture();
            let send = send_to(client, vec![7; 1 << 15], &to);
            ev.context().submit(send, move |(), _, _| panic!("{}", held.held()));
        }
    }
    assert_eq!(captures.held(), 7);
    drop(ev);
    assert_eq!(captures.held(), 0);
}

/// What is wrong with one is its own outcome, with everything handed back; nothing else is disturbed.
pub(crate) fn what_is_wrong_fails_alone<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let [(server, to), (client, _)] = two(&mut ev, IPV4);
    let waiting = ev.start(recv_from(server, 16));
    ev.no_wait();
    let read_only = RecvFrom { handle: client, buffer: b"static".into(), peer: to.clone().into() };
    let refused = ev.complete(read_only);
    assert_eq!((refused.result, &refused.buffer[..]), (Err(Error::ReadOnlyBuffer), &b"static"[..]));
    assert_eq!(refused.peer.address(), Some(&to));
    let other_family = ev.complete(send_to(client, b"x", &address("[::1]:7")));
    assert_eq!(other_family.result, Err(system(Errno::AFNOSUPPORT)));
    let no_port = ev.complete(send_to(client, b"x", &address("127.0.0.1:0")));
    assert_fault(fixture.capabilities(), no_port.result, Errno::INVAL);
    let broadcast = Address::from(SocketAddr::from((Ipv4Addr::BROADCAST, 7)));
    let forbidden = ev.complete(send_to(client, b"x", &broadcast)).result;
    assert_eq!(forbidden, Err(system(Errno::ACCESS)));
    // A stream carries no messages, and a socket of messages no connections.
    let (stream, _accepted) = ev.pair();
    let unsupported = Errno::OPNOTSUPP;
    let unsent = ev.complete(send_to(stream, b"bytes", &to));
    assert_eq!((unsent.result, &unsent.buffer[..]), (Err(system(unsupported)), &b"bytes"[..]));
    let received = ev.complete(recv_from(stream, 16));
    assert_eq!((received.result, received.buffer.len()), (Err(system(unsupported)), 16));
    assert_eq!(ev.context().listen_on(client, 1), Err(system(unsupported)));
    assert_eq!(ev.complete(Accept { listener: client }).result.map(drop), Err(system(unsupported)));
    assert_eq!(ev.context().bind(client, to.clone()), Err(system(Errno::INVAL)));
    assert!(!waiting.is_done());
    assert_eq!(ev.complete(send_to(client, b"fine", &to)).result, Ok(()));
    assert_eq!(ev.finish(&waiting).result, whole(4));
}

/// Ports of datagrams are others than those of streams, and are shared only by those who ask.
pub(crate) fn their_ports_are_their_own<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    // A port that the system chose for datagrams may be somebody's for streams; each of many is not.
    let taken = (0..50).find_map(|_| {
        let (_, taken) = bound(&mut ev, IPV4);
        ev.context().listen(taken.clone(), ListenOptions::default()).is_ok().then_some(taken)
    });
    let taken = taken.expect("a port of datagrams is free for streams");
    let mut cx = ev.context();
    let other = cx.datagram_socket(Family::Ipv4).unwrap();
    assert_eq!(cx.bind(other, taken), Err(system(Errno::ADDRINUSE)));
    let shared = [(); 2].map(|()| cx.datagram_socket(Family::Ipv4).unwrap());
    for handle in shared {
        cx.set(handle, SocketOption::ReuseAddress(true)).unwrap();
    }
    cx.bind(shared[0], address(IPV4)).unwrap();
    let address = cx.local_address(shared[0]).unwrap();
    assert_eq!(cx.bind(shared[1], address), Ok(()));
}

/// Options of datagram sockets are taken by those that have them, and refused by others.
pub(crate) fn options_are_taken<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (socket, _) = bound(&mut ev, IPV4);
    let (stream, _) = ev.listener();
    let mut cx = ev.context();
    let idle = Duration::from_secs(60);
    for option in [
        SocketOption::Broadcast(true),
        SocketOption::HopLimit(1),
        SocketOption::HopLimit(255),
        SocketOption::MulticastHops(0),
        SocketOption::MulticastHops(255),
        SocketOption::MulticastLoop(false),
        SocketOption::MulticastInterface(0),
    ] {
        assert_eq!(cx.set(socket, option), Ok(()), "{option:?}");
    }
    for option in [
        SocketOption::KeepAlive(true),
        SocketOption::KeepAliveIdle(idle),
        SocketOption::KeepAliveInterval(Duration::from_millis(1)),
        SocketOption::KeepAliveCount(3),
        SocketOption::HopLimit(7),
    ] {
        assert_eq!(cx.set(stream, option), Ok(()), "{option:?}");
    }
    let invalid = Err(system(Errno::INVAL));
    assert_eq!(cx.set(socket, SocketOption::HopLimit(0)), invalid);
    assert_eq!(cx.set(stream, SocketOption::KeepAliveIdle(Duration::ZERO)), invalid);
    assert_eq!(cx.set(stream, SocketOption::KeepAliveInterval(Duration::ZERO)), invalid);
    assert_eq!(cx.set(stream, SocketOption::KeepAliveCount(0)), invalid);
    let unknown = Err(system(Errno::NOPROTOOPT));
    assert_eq!(cx.set(socket, SocketOption::KeepAliveIdle(idle)), unknown);
    assert_eq!(cx.set(socket, SocketOption::NoDelay(true)), unknown);
}

/// What is sent to a multicast group comes to its members, and to them only while they are.
pub(crate) fn a_multicast_group_hears_its_messages<B: Backend>(fixture: &Fixture<B>) {
    /// The number of the loopback interface.
    const LOOPBACK: u32 = 1;
    let mut ev = fixture.open();
    let (sender, _) = bound(&mut ev, IPV4);
    let member = ev.context().datagram_socket(Family::Ipv4).unwrap();
    ev.context().bind(member, address("0.0.0.0:0")).unwrap();
    let port = inet(&ev.context().local_address(member).unwrap()).port();
    let group = Ipv4Addr::new(239, 255, 77, 7);
    let to = Address::from(SocketAddr::from((group, port)));
    let membership = Membership { group: group.into(), interface: LOOPBACK };
    let mut cx = ev.context();
    cx.set(sender, SocketOption::MulticastInterface(LOOPBACK)).unwrap();
    assert_eq!(cx.set(member, SocketOption::LeaveMulticast(membership)), Err(system(Errno::ADDRNOTAVAIL)));
    cx.set(member, SocketOption::JoinMulticast(membership)).unwrap();
    assert_eq!(cx.set(member, SocketOption::JoinMulticast(membership)), Err(system(Errno::ADDRINUSE)));
    let no_group = Membership { group: Ipv4Addr::LOCALHOST.into(), ..membership };
    assert_eq!(cx.set(member, SocketOption::JoinMulticast(no_group)), Err(system(Errno::INVAL)));

    let received = ev.start(recv_from(member, 16));
    ev.no_wait();
    assert_eq!(ev.complete(send_to(sender, b"to all", &to)).result, Ok(()));
    assert_eq!(message(&ev.finish(&received)).0, b"to all");
    let received = ev.start(recv_from(member, 16));
    ev.context().set(member, SocketOption::LeaveMulticast(membership)).unwrap();
    assert_eq!(ev.complete(send_to(sender, b"not to it", &to)).result, Ok(()));
    ev.idle();
    assert!(!received.is_done());
}

/// Sockets of the standard library go in, speak with others, and come out as they were.
pub(crate) fn std_sockets_are_spoken_to<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    for nonblocking in [false, true] {
        let (socket, peer) = (UdpSocket::bind(IPV4).unwrap(), UdpSocket::bind(IPV4).unwrap());
        peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket.set_nonblocking(nonblocking).unwrap();
        let flags = crate::peers::status_flags(&socket);
        let to = socket.local_addr().unwrap();
        let peer_address = Address::from(peer.local_addr().unwrap());
        let handle = ev.context().attach(socket).unwrap();
        let received = ev.start(recv_from(handle, 16));
        ev.no_wait();
        assert!(!received.is_done());
        peer.send_to(b"from std", to).unwrap();
        let received = ev.finish(&received);
        assert_eq!(message(&received), (&b"from std"[..], Some(&peer_address)));
        assert_eq!(ev.complete(send_to(handle, b"to std", &peer_address)).result, Ok(()));
        let mut bytes = [0; 16];
        assert_eq!(peer.recv_from(&mut bytes).unwrap(), (6, to));
        let back = UdpSocket::from(ev.context().detach(handle).unwrap());
        assert_eq!(crate::peers::status_flags(&back), flags);
    }
}

/// Where the receiver is slow, a send of a Unix datagram waits for it: it completes when there is room, and can be
/// cancelled. Its sender has no address.
pub(crate) fn a_send_waits_for_room<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (socket, peer) = UnixDatagram::pair().unwrap();
    let receiver = ev.context().attach(peer.try_clone().unwrap()).unwrap();
    let handle = ev.context().attach(socket).unwrap();
    let send = || SendTo { handle, buffer: b"message".into(), peer: Peer::default() };
    let mut sends = Vec::new();
    loop {
        let sent = ev.start(send());
        ev.idle();
        if !sent.is_done() {
            sends.push(sent);
            break;
        }
        assert_eq!(sent.take().result, Ok(()));
        sends.push(sent);
    }
    let waiting = sends.pop().unwrap();
    assert_eq!(ev.cancel(waiting.key), Cancel::Requested);
    let canceled = ev.finish(&waiting);
    assert_eq!((canceled.result, &canceled.buffer[..]), (Err(Error::Canceled), &b"message"[..]));
    let waiting = ev.start(send());
    ev.idle();
    assert!(!waiting.is_done());
    for _ in 0..sends.len() {
        let received = ev.complete(recv_from(receiver, 16));
        assert_eq!((received.result, message(&received)), (whole(7), (&b"message"[..], None)));
    }
    assert_eq!(ev.finish(&waiting).result, Ok(()));
    assert_eq!(ev.complete(recv_from(receiver, 16)).result, whole(7));
    // Where nobody is left to receive, that is an error, not a signal.
    drop(peer);
    ev.context().close(receiver);
    assert_eq!(ev.complete(send()).result, Err(system(Errno::CONNREFUSED)));
}

/// Lets far more sockets wait for a datagram than one look at the system tells of, has another loop send one to each, and returns
/// once it is there.
fn ready_at_once<B: Backend, O: OneShot>(
    [ev, others]: &mut [Loop<B, ()>; 2],
    receive: impl Fn(Handle) -> O,
) -> Vec<Pending<O::Output>>
where
    O::Output: 'static,
{
    const SOCKETS: usize = 300;
    let receivers: Vec<_> = (0..SOCKETS).map(|_| bound(ev, IPV4)).collect();
    let received = receivers.iter().map(|(handle, _)| ev.start(receive(*handle))).collect();
    for _ in 0..3 {
        ev.no_wait();
    }
    let (sender, _) = bound(others, IPV4);
    for (_, address) in &receivers {
        assert_eq!(others.complete(send_to(sender, b"a", address)).result, Ok(()));
    }
    // Where the loopback is not done with it when the sender is.
    others.idle();
    received
}

/// A turn that does not wait takes all that was ready at entry, however much it is.
pub(crate) fn no_wait_takes_all_that_was_ready<B: Backend>(fixture: &Fixture<B>) {
    let mut loops = [fixture.open(), fixture.open()];
    let received = ready_at_once(&mut loops, |handle| recv_from(handle, 8));
    loops[0].no_wait();
    assert!(received.iter().all(|received| received.take().result == whole(1)), "all of them at once");
}

/// What came in time wins over the deadline, however much it is and however late the loop looks.
pub(crate) fn results_in_time_win_however_many<B: Backend>(fixture: &Fixture<B>) {
    // The longer ones are for a machine that is slow to send them.
    for timeout in [1, 5, 25].map(|times| times * Duration::from_millis(200)) {
        let mut loops = [fixture.open(), fixture.open()];
        let begun = Instant::now();
        let received = ready_at_once(&mut loops, |handle| recv_from(handle, 8).with_timeout(timeout));
        if begun.elapsed() < timeout {
            std::thread::sleep(timeout);
            loops[0].until_done();
            assert!(received.iter().all(|received| received.take().result == whole(1)), "all of them");
            return;
        }
    }
    panic!("300 messages were to be sent in time");
}
