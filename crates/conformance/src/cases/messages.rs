//! Messages with an envelope: their addresses, on sockets of every kind (contract R1, R4, H3), and how they are refused,
//! cancelled, deleted and closed (E1, X1, X2, C2, C5, H1, X5).

use std::time::Duration;

use proactor_core::{
    Address, Backend, Buffer, Cancel, Connect, Datagram, Envelope, Error, Family, Handle, Loop, Message,
    Peer, ReceivedMsg, Recv, RecvFrom, RecvMsg, Send, SendAll, SendMsg, SendTo, Shutdown, ShutdownHow,
};
use rustix::io::Errno;

use crate::Fixture;
use crate::peers::inet;
use crate::steps::{Captures, IPV4, IPV6, Log, Steps, address, assert_bytes, pattern, system};

pub(super) fn recv_msg(handle: Handle, len: usize) -> RecvMsg {
    RecvMsg { handle, buffer: Buffer::zeroed(len), envelope: Envelope::default() }
}

pub(super) fn send_msg(handle: Handle, buffer: impl Into<Buffer>, envelope: impl Into<Envelope>) -> SendMsg {
    SendMsg { handle, buffer: buffer.into(), envelope: envelope.into() }
}

/// Whole, and with all that came with it.
pub(super) fn whole(len: usize) -> Result<Message, Error> {
    Ok(Message::new(len))
}

/// More than was asked for: so much of it came.
fn cut(len: usize) -> Result<Message, Error> {
    Ok(Message::new(len).truncated(true, false))
}

/// The bytes that came.
pub(super) fn bytes(received: &ReceivedMsg) -> &[u8] {
    &received.buffer[..received.result.map_or(0, Message::len)]
}

/// A datagram socket on a free port of `loopback`, and its address.
#[track_caller]
fn bound<B: Backend>(ev: &mut Loop<B, ()>, loopback: &str) -> (Handle, Address) {
    let loopback = address(loopback);
    let handle = ev.context().datagram_socket(loopback.family()).expect("a datagram socket");
    ev.context().bind(handle, loopback).expect("a free port");
    (handle, ev.context().local_address(handle).expect("it is bound"))
}

fn datagrams<B: Backend>(fixture: &Fixture<B>, loopback: &str) {
    let mut ev = fixture.open();
    let [(server, to), (client, from)] = [bound(&mut ev, loopback), bound(&mut ev, loopback)];
    let received = ev.start(recv_msg(server, 8));
    ev.no_wait();
    assert!(!received.is_done());
    let sent = ev.complete(send_msg(client, Buffer::from(b"--hello--").slice(2..7), to.clone()));
    assert_eq!((sent.result, &sent.buffer[..], sent.handle), (Ok(5), &b"hello"[..], client));
    assert_eq!(sent.envelope.address(), Some(&to));
    let received = ev.finish(&received);
    assert_eq!((received.result, bytes(&received), received.handle), (whole(5), &b"hello"[..], server));
    assert_eq!((received.envelope.address(), received.buffer.len()), (Some(&from), 8));
    // The envelope of what came is that of the answer.
    let answer = ev.complete(send_msg(server, b"too long for it", received.envelope));
    assert_eq!(answer.result, Ok(15));
    let received = ev.complete(recv_msg(client, 8));
    assert_eq!((received.result, bytes(&received)), (cut(8), &b"too long"[..]));
    assert_eq!(received.envelope.address(), Some(&to));
    // Empty ones are data, and an empty buffer takes one.
    let empty = ev.start(recv_msg(server, 8));
    let taken = ev.start(recv_msg(server, 0));
    ev.idle();
    assert!(!empty.is_done() && !taken.is_done());
    assert_eq!(ev.complete(send_msg(client, Buffer::default(), to.clone())).result, Ok(0));
    assert_eq!(ev.finish(&empty).result, whole(0));
    assert_eq!(ev.complete(send_msg(client, b"gone", to.clone())).result, Ok(4));
    assert_eq!(ev.finish(&taken).result, cut(0));
    // To nobody by name it goes to whom the socket is connected to.
    let unsent = ev.complete(send_msg(client, b"x", Envelope::default()));
    assert_eq!((unsent.result, &unsent.buffer[..]), (Err(system(Errno::DESTADDRREQ)), &b"x"[..]));
    assert_eq!(ev.complete(Connect { handle: client, address: to }).result, Ok(()));
    assert_eq!(ev.complete(send_msg(client, b"connected", Envelope::default())).result, Ok(9));
    assert_eq!(ev.complete(recv_msg(server, 16)).result, whole(9));
}

/// As datagrams, each with the address of its sender; what does not fit is told.
pub(crate) fn datagrams_there_and_back<B: Backend>(fixture: &Fixture<B>) {
    datagrams(fixture, IPV4);
}

pub(crate) fn datagrams_over_ipv6<B: Backend>(fixture: &Fixture<B>) {
    datagrams(fixture, IPV6);
}

/// Over a stream they are pieces of it: short where there is little, zero at its end.
pub(crate) fn pieces_of_a_stream<B: Backend>(fixture: &Fixture<B>) {
    const LEN: usize = 1 << 20;
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let empty = ev.start(recv_msg(server, 0));
    let received = ev.start(recv_msg(server, 8));
    ev.idle();
    assert_eq!(ev.finish(&empty).result, whole(0));
    assert!(!received.is_done());
    assert_eq!(ev.complete(send_msg(client, Buffer::default(), Envelope::default())).result, Ok(0));
    ev.idle();
    assert!(!received.is_done(), "no byte came");
    assert_eq!(ev.complete(send_msg(client, b"hello", Envelope::default())).result, Ok(5));
    let received = ev.finish(&received);
    assert_eq!((received.result, bytes(&received)), (whole(5), &b"hello"[..]));
    assert_eq!(received.envelope.address(), None);

    // All of a long one, in as many pieces as it takes.
    let expected = pattern(7, LEN);
    let came = Log::new();
    let mut rest = Buffer::from(expected.clone());
    let mut sent = None;
    let mut envelope = Envelope::default();
    while came.len() < LEN {
        if sent.is_none() && !rest.is_empty() {
            sent = Some(ev.start(send_msg(client, std::mem::take(&mut rest), Envelope::default())));
        }
        let received = ev.complete(RecvMsg { envelope, ..recv_msg(server, 50_000) });
        came.extend_from_slice(bytes(&received));
        envelope = received.envelope;
        if let Some(done) = sent.take_if(|sent| sent.is_done()) {
            let done = done.take();
            let count = done.result.unwrap();
            assert!(count > 0);
            rest = done.buffer.slice(count..);
        }
    }
    assert_bytes(&came.take(), &expected);
    let end = ev.start(Shutdown { handle: client, how: ShutdownHow::Write });
    assert_eq!(ev.complete(recv_msg(server, 8)).result, whole(0));
    assert_eq!(ev.finish(&end).result, Ok(()));
    let late = ev.complete(send_msg(client, b"late", Envelope::default()));
    assert_eq!((late.result, &late.buffer[..]), (Err(system(Errno::PIPE)), &b"late"[..]));
}

/// They have their place among the other receives and sends of their socket.
pub(crate) fn they_keep_order_with_others<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    for started in [false, true] {
        let [(server, to), (client, from)] = [bound(&mut ev, IPV4), bound(&mut ev, IPV4)];
        let log = Log::new();
        let receive = |ev: &mut Loop<B, ()>| {
            let mut cx = ev.context();
            let (first, second, third, fourth) = (log.clone(), log.clone(), log.clone(), log.clone());
            cx.submit(recv_msg(server, 8), move |(), _, done| first.push(bytes(&done).to_vec()));
            let from = RecvFrom { handle: server, buffer: Buffer::zeroed(8), peer: Peer::default() };
            cx.submit(from, move |(), _, done| {
                second.push(done.buffer[..done.result.map_or(0, Datagram::len)].to_vec());
            });
            cx.submit(Recv { handle: server, buffer: Buffer::zeroed(8) }, move |(), _, done| {
                third.push(done.buffer[..done.result.unwrap_or(0)].to_vec());
            });
            cx.submit(recv_msg(server, 8), move |(), _, done| fourth.push(bytes(&done).to_vec()));
        };
        if started {
            receive(&mut ev);
            ev.idle();
        }
        ev.context().submit(Connect { handle: client, address: to.clone() }, |(), _, _| {});
        let mut cx = ev.context();
        cx.submit(send_msg(client, b"one", to.clone()), |(), _, done| assert_eq!(done.result, Ok(3)));
        let two = SendTo { handle: client, buffer: b"two".into(), peer: to.into() };
        cx.submit(two, |(), _, done| assert_eq!(done.result, Ok(())));
        cx.submit(Send { handle: client, buffer: b"three".into() }, |(), _, done| {
            assert_eq!(done.result, Ok(5));
        });
        cx.submit(send_msg(client, b"four", Envelope::default()), |(), _, done| {
            assert_eq!(done.result, Ok(4))
        });
        if !started {
            ev.until_done();
            receive(&mut ev);
        }
        ev.until_done();
        let texts = [&b"one"[..], b"two", b"three", b"four"].map(<[u8]>::to_vec);
        assert_eq!(log.take(), texts);
        assert_ne!(inet(&from).port(), 0);
    }
}

/// Cancelled while they wait, also by a deadline, they hand everything back; what comes later is not lost.
pub(crate) fn what_waits_can_be_cancelled<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let [(server, to), (client, _)] = [bound(&mut ev, IPV4), bound(&mut ev, IPV4)];
    for started in [false, true] {
        let receive = || RecvMsg { envelope: to.clone().into(), ..recv_msg(server, 16) };
        let receives = [ev.start(receive()), ev.start(receive()), ev.start(receive())];
        if started {
            ev.idle();
        }
        for index in [0, 1] {
            assert_eq!(ev.cancel(receives[index].key), Cancel::Requested);
            let canceled = ev.finish(&receives[index]);
            assert_eq!((canceled.result, canceled.buffer.len()), (Err(Error::Canceled), 16));
            assert_eq!(canceled.envelope.address(), Some(&to));
        }
        let never = ev.start(send_msg(client, b"never", to.clone()));
        assert_eq!(ev.cancel(never.key), Cancel::Requested);
        let never = ev.finish(&never);
        assert_eq!((never.result, &never.buffer[..]), (Err(Error::Canceled), &b"never"[..]));
        assert_eq!(never.envelope.address(), Some(&to));
        assert_eq!(ev.complete(send_msg(client, b"one", to.clone())).result, Ok(3));
        assert_eq!(bytes(&ev.finish(&receives[2])), b"one");
    }
    let bounded = ev.complete(recv_msg(server, 16).with_timeout(Duration::from_millis(1)));
    assert_eq!((bounded.result, bounded.buffer.len()), (Err(Error::TimedOut), 16));
    // A stream whose peer does not receive takes no more.
    let (client, _server) = ev.pair();
    ev.start(SendAll { handle: client, buffer: vec![0; super::cancellation::MORE_THAN_FITS].into() });
    let waiting =
        ev.start(send_msg(client, b"behind", Envelope::default()).with_timeout(Duration::from_millis(1)));
    let waiting = ev.finish(&waiting);
    assert_eq!((waiting.result, &waiting.buffer[..]), (Err(Error::TimedOut), &b"behind"[..]));
}

/// Deleted, closed or dropped with the loop, they let go of everything.
pub(crate) fn what_waits_can_be_ended<B: Backend>(fixture: &Fixture<B>) {
    let captures = Captures::default();
    let mut ev = fixture.open();
    for started in [false, true] {
        let [(server, to), (client, _)] = [bound(&mut ev, IPV4), bound(&mut ev, IPV4)];
        let held = captures.capture();
        let deleted = ev.context().submit(recv_msg(server, 16), move |(), _, _| panic!("{}", held.held()));
        let receives = [ev.start(recv_msg(server, 16)), ev.start(recv_msg(server, 16))];
        if started {
            ev.idle();
        }
        assert_eq!(ev.context().delete(deleted), Ok(()));
        assert_eq!(ev.complete(send_msg(client, b"next", to.clone())).result, Ok(4));
        assert_eq!(bytes(&ev.finish(&receives[0])), b"next");
        let sent = ev.start(send_msg(server, b"never", to.clone()));
        ev.context().close(server);
        ev.until_done();
        let closed = receives[1].take();
        assert_eq!((closed.result, closed.buffer.len()), (Err(Error::Canceled), 16));
        let sent = sent.take();
        assert_eq!((sent.result, sent.envelope.address()), (Err(Error::Canceled), Some(&to)));
        let stale = ev.complete(send_msg(server, b"stale", to.clone()));
        assert_eq!((stale.result, &stale.buffer[..]), (Err(Error::StaleHandle), &b"stale"[..]));
        assert_eq!(ev.complete(recv_msg(server, 16)).result, Err(Error::StaleHandle));
    }
    assert_eq!(captures.held(), 0);
    let (server, to) = bound(&mut ev, IPV4);
    for _ in 0..2 {
        let held = captures.capture();
        ev.context().submit(recv_msg(server, 16), move |(), _, _| panic!("{}", held.held()));
    }
    ev.idle();
    let held = captures.capture();
    ev.context().submit(send_msg(server, b"dropped", to), move |(), _, _| panic!("{}", held.held()));
    drop(ev);
    assert_eq!(captures.held(), 0);
}

/// What is wrong with one is its own outcome, with everything handed back; nothing else is disturbed.
pub(crate) fn what_is_wrong_fails_alone<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let [(server, to), (client, _)] = [bound(&mut ev, IPV4), bound(&mut ev, IPV4)];
    let waiting = ev.start(recv_msg(server, 16));
    ev.no_wait();
    let read_only = RecvMsg { handle: client, buffer: b"static".into(), envelope: to.clone().into() };
    let refused = ev.complete(read_only);
    assert_eq!((refused.result, &refused.buffer[..]), (Err(Error::ReadOnlyBuffer), &b"static"[..]));
    assert_eq!(refused.envelope.address(), Some(&to));
    let other = ev.complete(send_msg(client, b"x", address("[::1]:7"))).result;
    assert_eq!(other, Err(system(Errno::AFNOSUPPORT)));
    let long = ev.complete(send_msg(client, vec![0; 70_000], to.clone()));
    assert_eq!((long.result, long.buffer.len()), (Err(system(Errno::MSGSIZE)), 70_000));
    let (stream, _accepted) = ev.pair();
    let named = ev.complete(send_msg(stream, b"bytes", to.clone()));
    assert_eq!((named.result, &named.buffer[..]), (Err(system(Errno::OPNOTSUPP)), &b"bytes"[..]));
    assert_eq!(named.envelope.address(), Some(&to));
    let unconnected = ev.context().socket(Family::Ipv4).unwrap();
    assert_eq!(ev.complete(recv_msg(unconnected, 8)).result, Err(system(Errno::NOTCONN)));
    assert!(!waiting.is_done());
    assert_eq!(ev.complete(send_msg(client, b"fine", to)).result, Ok(4));
    assert_eq!(ev.finish(&waiting).result, whole(4));
}
