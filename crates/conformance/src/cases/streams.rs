//! Connections: order, wholeness, ends (contract H3, R1).

use std::cell::Cell;
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

use proactor_core::{
    Accept, Action, Backend, Buffer, Cancel, Connect, Context, Error, Family, Handle, Loop, Recv, RunMode,
    Send, SendAll, Shutdown, ShutdownHow, SocketOption,
};

use super::cancellation::MORE_THAN_FITS;
use crate::Fixture;
use crate::peers::receive_all;
use crate::steps::{
    IPV4, IPV6, Log, Steps, assert_bytes, join_at, listener, pair_on, pattern, run_until, start,
};

fn recv(handle: Handle, len: usize) -> Recv {
    Recv { handle, buffer: Buffer::zeroed(len) }
}

fn send_all(handle: Handle, bytes: &'static [u8]) -> SendAll {
    SendAll { handle, buffer: bytes.into() }
}

/// Connect queued before accept; ten bytes are sent and received into five: the prefix is equal, and the rest waits.
pub(crate) fn accept_connect_send_receive<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, address) = ev.listener();
    let client = ev.context().socket(address.family()).unwrap();
    let connected = ev.start(Connect { handle: client, address });
    let accepted = ev.start(Accept { listener });
    assert_eq!(ev.finish(&connected).result, Ok(()));
    let (server, _) = ev.finish(&accepted).result.unwrap();
    let sent = ev.start(Send { handle: client, buffer: b"0123456789".into() });
    let received = ev.complete(recv(server, 5));
    assert_eq!(ev.finish(&sent).result, Ok(10));
    assert_eq!((received.result, &received.buffer[..]), (Ok(5), &b"01234"[..]));
    let rest = ev.complete(recv(server, 64));
    assert_eq!((rest.result, &rest.buffer[..5]), (Ok(5), &b"56789"[..]));
}

/// The same over IPv6, both ways, to the end.
pub(crate) fn ipv6_works_the_same<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = pair_on(&mut ev, &mut (), IPV6);
    for (from, to) in [(client, server), (server, client)] {
        assert_eq!(ev.context().local_address(from), ev.context().peer_address(to));
        assert_eq!(ev.context().local_address(from).unwrap().family(), Family::Ipv6);
        assert_eq!(ev.complete(send_all(from, b"six")).result, Ok(()));
        let received = ev.complete(recv(to, 8));
        assert_eq!((received.result, &received.buffer[..3]), (Ok(3), &b"six"[..]));
        assert_eq!(ev.complete(Shutdown { handle: from, how: ShutdownHow::Write }).result, Ok(()));
        assert_eq!(ev.complete(recv(to, 8)).result, Ok(0));
    }
}

#[derive(Default)]
struct Rally {
    strokes: u32,
    bytes: u64,
}

/// Receives into `buffer` and sends back what came, until the ball was out often enough.
fn play<B: Backend>(cx: &mut Context<'_, B, Rally>, handle: Handle, buffer: Buffer, strokes: u32) {
    cx.submit(Recv { handle, buffer }, move |rally: &mut Rally, cx, received| {
        let count = received.result.unwrap();
        if count == 0 {
            return cx.close(handle);
        }
        rally.bytes += count as u64;
        rally.strokes += 1;
        if rally.strokes >= strokes {
            return cx.close(handle);
        }
        let buffer = received.buffer.slice(..count);
        cx.submit(SendAll { handle, buffer }, move |_, cx, sent| {
            assert_eq!((sent.result, sent.transferred), (Ok(()), sent.buffer.len()));
            play(cx, handle, sent.buffer.unslice(), strokes);
        });
    });
}

/// A ball of 64 bytes goes to and fro ten thousand times.
pub(crate) fn ping_pong<B: Backend>(fixture: &Fixture<B>) {
    const STROKES: u32 = 10_000;
    let mut ev = fixture.open_state::<Rally>();
    let mut rally = Rally::default();
    let (client, server) = pair_on(&mut ev, &mut rally, IPV4);
    for handle in [client, server] {
        crate::steps::no_delay(&mut ev.context(), handle);
        play(&mut ev.context(), handle, Buffer::zeroed(64), STROKES);
    }
    let ball = SendAll { handle: client, buffer: vec![b'o'; 64].into() };
    ev.context().submit(ball, |_, _, sent| assert_eq!(sent.result, Ok(())));
    ev.run(&mut rally, RunMode::UntilDone).unwrap();
    assert!(rally.strokes >= STROKES);
    // A stroke takes a piece of the ball if the system splits it.
    assert!(rally.bytes <= u64::from(rally.strokes) * 64 && rally.bytes >= u64::from(STROKES));
}

/// 64 connections, each with its own bytes, all at once.
pub(crate) fn many_connections_keep_their_bytes_apart<B: Backend>(fixture: &Fixture<B>) {
    const LEN: usize = 10_000;
    let mut ev = fixture.open();
    let (listener, address) = ev.listener();
    let mut ends = Vec::new();
    for seed in 0..64 {
        let (client, server) = join_at(&mut ev, &mut (), listener, &address);
        let log = Log::new();
        let seen = log.clone();
        ev.context().submit_rearm(recv(server, 777), move |(), _, received| {
            let count = received.result.unwrap();
            seen.extend_from_slice(&received.buffer[..count]);
            if count == 0 {
                Action::Disarm
            } else {
                Action::Rearm(Recv { handle: server, buffer: received.buffer })
            }
        });
        ends.push((seed, client, log));
    }
    for &(seed, handle, _) in &ends {
        let sent = SendAll { handle, buffer: pattern(seed, LEN).into() };
        ev.context().submit(sent, |(), _, sent| assert_eq!(sent.result, Ok(())));
        let end = Shutdown { handle, how: ShutdownHow::Write };
        ev.context().submit(end, |(), _, shut_down| assert_eq!(shut_down.result, Ok(())));
    }
    ev.until_done();
    for (seed, _, log) in ends {
        assert_bytes(&log.take(), &pattern(seed, LEN));
    }
}

/// Half-closed: the peer reads to the end, and can still answer.
pub(crate) fn half_close_ends_one_direction<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    assert_eq!(ev.complete(send_all(client, b"question")).result, Ok(()));
    let shut_down = ev.complete(Shutdown { handle: client, how: ShutdownHow::Write });
    assert_eq!((shut_down.result, shut_down.how, shut_down.handle), (Ok(()), ShutdownHow::Write, client));
    assert_eq!(receive_all(&mut ev, server, 64), (b"question".to_vec(), Ok(())));
    assert_eq!(ev.complete(recv(server, 8)).result, Ok(0), "the end stays the end");
    assert_eq!(ev.complete(send_all(server, b"answer")).result, Ok(()));
    let answer = ev.complete(recv(client, 8));
    assert_eq!((answer.result, &answer.buffer[..6]), (Ok(6), &b"answer"[..]));
    let failed = ev.complete(Send { handle: client, buffer: b"more".into() });
    assert_eq!(failed.result.map_err(Error::kind), Err(ErrorKind::BrokenPipe));
}

/// Bytes and the end right behind them, before the peer has looked and while it waits, with buffers that are filled,
/// and ones that are not.
pub(crate) fn the_end_right_behind_the_data_is_seen<B: Backend>(fixture: &Fixture<B>) {
    for (waiting, len) in [(false, 4), (true, 4), (false, 64), (true, 64), (true, 3)] {
        let mut ev = fixture.open();
        let (client, server) = ev.pair();
        let first = ev.start(recv(server, len));
        if waiting {
            ev.no_wait();
        }
        let sent = ev.start(send_all(client, b"last"));
        let closed = ev.start(Shutdown { handle: client, how: ShutdownHow::Write });
        let first = ev.finish(&first);
        let mut bytes = first.buffer[..first.result.unwrap()].to_vec();
        let (rest, end) = receive_all(&mut ev, server, len);
        bytes.extend(rest);
        assert_eq!((&bytes[..], end), (&b"last"[..], Ok(())), "waiting: {waiting}, buffers of {len}");
        assert_eq!(ev.finish(&sent).result, Ok(()));
        assert_eq!(ev.finish(&closed).result, Ok(()));
    }
}

/// Closing instead of shutting down: the peer has all that was sent, and then the end.
pub(crate) fn closing_behind_the_data_loses_none<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    assert_eq!(ev.complete(send_all(client, b"the last words")).result, Ok(()));
    ev.context().close(client);
    assert_eq!(receive_all(&mut ev, server, 5), (b"the last words".to_vec(), Ok(())));
}

/// Four receives queued at once fill up in the order in which they were submitted.
pub(crate) fn four_receives_queued_at_once_keep_order<B: Backend>(fixture: &Fixture<B>) {
    for ahead in [false, true] {
        let mut ev = fixture.open();
        let (client, server) = ev.pair();
        let data = pattern(9, 4 * 1000);
        let send = SendAll { handle: client, buffer: data.clone().into() };
        if ahead {
            assert_eq!(ev.complete(send).result, Ok(()));
            ev.idle();
            four_receives(&mut ev, server, &data);
        } else {
            let sent = ev.start(send);
            four_receives(&mut ev, server, &data);
            assert_eq!(ev.finish(&sent).result, Ok(()));
        }
    }
}

fn four_receives<B: Backend>(ev: &mut Loop<B, ()>, server: Handle, data: &[u8]) {
    let log = Log::new();
    for number in 0..4 {
        let seen = log.clone();
        ev.context().submit(recv(server, 1000), move |(), _, received| {
            seen.push((number, received.buffer[..received.result.unwrap()].to_vec()));
        });
    }
    ev.until(|| log.len() == 4);
    let (mut bytes, mut order) = (Vec::new(), Vec::new());
    for (number, some) in log.take() {
        bytes.extend(some);
        order.push(number);
    }
    assert_eq!(order, [0, 1, 2, 3]);
    assert_bytes(&bytes, &data[..bytes.len()]);
}

#[derive(Default)]
struct Transfer {
    bytes: Vec<u8>,
    order: Vec<u32>,
    ended: bool,
}

/// Receives into buffers of `len` until the end.
fn drain<B: Backend>(cx: &mut Context<'_, B, Transfer>, handle: Handle, len: usize) {
    cx.submit_rearm(recv(handle, len), move |transfer: &mut Transfer, _, received| {
        let count = received.result.unwrap();
        transfer.bytes.extend_from_slice(&received.buffer[..count]);
        if count > 0 {
            return Action::Rearm(Recv { handle, buffer: received.buffer });
        }
        transfer.ended = true;
        Action::Disarm
    });
}

/// Four sends of 6 MB queued at once, with a shutdown right behind: all bytes, in order, unmixed, then the end.
pub(crate) fn four_large_sends_queued_at_once_do_not_mix<B: Backend>(fixture: &Fixture<B>) {
    const LEN: usize = 6_000_000;
    let mut ev = fixture.open_state::<Transfer>();
    let mut transfer = Transfer::default();
    let (client, server) = pair_on(&mut ev, &mut transfer, IPV4);
    let mut cx = ev.context();
    let mut expected = Vec::with_capacity(4 * LEN);
    for number in 0..4 {
        let data = pattern(number + 1, LEN);
        expected.extend_from_slice(&data);
        cx.submit(
            SendAll { handle: client, buffer: data.into() },
            move |transfer: &mut Transfer, _, sent| {
                assert_eq!((sent.result, sent.transferred, sent.buffer.len()), (Ok(()), LEN, LEN));
                transfer.order.push(number);
            },
        );
    }
    cx.submit(
        Shutdown { handle: client, how: ShutdownHow::Write },
        |transfer: &mut Transfer, _, shut_down| {
            assert_eq!(shut_down.result, Ok(()));
            transfer.order.push(4);
        },
    );
    drain(&mut cx, server, 1 << 20);
    ev.run(&mut transfer, RunMode::UntilDone).unwrap();
    assert_eq!(transfer.order, [0, 1, 2, 3, 4]);
    assert!(transfer.ended);
    assert_bytes(&transfer.bytes, &expected);
}

/// Many small sends in a row, by `Send` and `SendAll` in turn: outcomes and bytes in order.
pub(crate) fn a_queue_of_writes_keeps_order<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<Transfer>();
    let mut transfer = Transfer::default();
    let (client, server) = pair_on(&mut ev, &mut transfer, IPV4);
    let mut cx = ev.context();
    let mut expected = Vec::new();
    for number in 0..500 {
        let data = pattern(number, 1 + number as usize % 97);
        expected.extend_from_slice(&data);
        let len = data.len();
        let buffer = data.into();
        if number % 2 == 0 {
            cx.submit(SendAll { handle: client, buffer }, move |transfer: &mut Transfer, _, sent| {
                assert_eq!(sent.result, Ok(()));
                transfer.order.push(number);
            });
        } else {
            cx.submit(Send { handle: client, buffer }, move |transfer: &mut Transfer, _, sent| {
                assert_eq!(sent.result, Ok(len), "that little fits");
                transfer.order.push(number);
            });
        }
    }
    cx.submit(Shutdown { handle: client, how: ShutdownHow::Write }, |_, _, end| {
        assert_eq!(end.result, Ok(()))
    });
    drain(&mut cx, server, 333);
    ev.run(&mut transfer, RunMode::UntilDone).unwrap();
    assert_eq!(transfer.order, (0..500).collect::<Vec<_>>());
    assert_bytes(&transfer.bytes, &expected);
}

/// A mebibyte through a send buffer of 8 KiB, both ends on this loop; a turn in 61 is a `run_for` of odd length.
pub(crate) fn a_mebibyte_through_a_small_send_buffer<B: Backend>(fixture: &Fixture<B>) {
    const LEN: usize = 1 << 20;
    let mut ev = fixture.open_state::<Transfer>();
    let mut transfer = Transfer::default();
    let (client, server) = pair_on(&mut ev, &mut transfer, IPV4);
    let mut cx = ev.context();
    cx.set(client, SocketOption::SendBuffer(8 << 10)).unwrap();
    let data = pattern(11, LEN);
    let sent = start(&mut cx, SendAll { handle: client, buffer: data.clone().into() });
    let end = start(&mut cx, Shutdown { handle: client, how: ShutdownHow::Write });
    drain(&mut cx, server, 5000);
    let mut turns = 0;
    while !transfer.ended {
        turns += 1;
        if turns % 61 == 0 {
            ev.run_for(&mut transfer, Duration::from_nanos(12_347)).unwrap();
        } else {
            ev.run(&mut transfer, RunMode::Once).unwrap();
        }
    }
    assert_bytes(&transfer.bytes, &data);
    assert_eq!((sent.take().result, end.take().result), (Ok(()), Ok(())));
}

/// Sends and a shutdown queued before their connect has completed, even before it has started.
pub(crate) fn sends_queue_behind_their_connect<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, address) = ev.listener();
    let client = ev.context().socket(address.family()).unwrap();
    let connected = ev.start(Connect { handle: client, address });
    let first = ev.start(Send { handle: client, buffer: b"one ".into() });
    let second = ev.start(send_all(client, b"two"));
    let end = ev.start(Shutdown { handle: client, how: ShutdownHow::Write });
    let (server, _) = ev.complete(Accept { listener }).result.unwrap();
    assert_eq!(receive_all(&mut ev, server, 64), (b"one two".to_vec(), Ok(())));
    assert_eq!(connected.take().result, Ok(()));
    assert_eq!((first.take().result, second.take().result, end.take().result), (Ok(4), Ok(()), Ok(())));
}

/// Behind a connect that fails, what is queued fails too, each with its buffer.
pub(crate) fn sends_behind_a_refused_connect_fail<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, address) = ev.listener();
    assert_eq!(ev.complete(proactor_core::Close { handle: listener }).result, Ok(()));
    let client = ev.context().socket(address.family()).unwrap();
    let connected = ev.start(Connect { handle: client, address: address.clone() });
    let sent = ev.start(send_all(client, b"unsent"));
    ev.until_done();
    let connected = connected.take();
    assert_eq!(connected.result.map_err(Error::kind), Err(ErrorKind::ConnectionRefused));
    assert_eq!((connected.handle, connected.address), (client, address));
    let sent = sent.take();
    assert!(sent.result.is_err());
    assert_eq!((sent.transferred, &sent.buffer[..]), (0, &b"unsent"[..]));
}

/// Data may be sent before the connection is accepted, and waits there.
pub(crate) fn a_late_accept_finds_the_data<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, address) = ev.listener();
    let client = ev.context().socket(address.family()).unwrap();
    assert_eq!(ev.complete(Connect { handle: client, address }).result, Ok(()));
    assert_eq!(ev.complete(send_all(client, b"early")).result, Ok(()));
    assert_eq!(ev.complete(Shutdown { handle: client, how: ShutdownHow::Write }).result, Ok(()));
    ev.idle();
    let (server, peer) = ev.complete(Accept { listener }).result.unwrap();
    assert_eq!(ev.context().local_address(client), Ok(peer));
    assert_eq!(receive_all(&mut ev, server, 64), (b"early".to_vec(), Ok(())));
}

/// Accepts are served in order, connections too.
pub(crate) fn accepts_are_served_in_order<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, address) = ev.listener();
    let accepts: Vec<_> = (0..4).map(|_| ev.start(Accept { listener })).collect();
    ev.no_wait();
    for (number, accept) in accepts.iter().enumerate() {
        let client = ev.context().socket(address.family()).unwrap();
        assert_eq!(ev.complete(Connect { handle: client, address: address.clone() }).result, Ok(()));
        let (_, peer) = ev.finish(accept).result.unwrap();
        assert_eq!(ev.context().local_address(client), Ok(peer));
        assert!(accepts[number + 1..].iter().all(|later| !later.is_done()), "one connection, one accept");
    }
}

/// The two directions of a connection do not wait for each other: one is stuck, the other one flows.
pub(crate) fn directions_are_independent<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let stuck = ev.start(SendAll { handle: client, buffer: vec![0; MORE_THAN_FITS].into() });
    ev.idle();
    assert!(!stuck.is_done());
    for round in 0..10_u8 {
        let received = ev.start(recv(client, 8));
        assert_eq!(ev.complete(SendAll { handle: server, buffer: vec![round; 8].into() }).result, Ok(()));
        let received = ev.finish(&received);
        assert_eq!((received.result, &received.buffer[..]), (Ok(8), &[round; 8][..]));
    }
    assert!(!stuck.is_done());
    // And a receive that waits does not hold up a send.
    let waiting = ev.start(recv(server, 1));
    assert_eq!(ev.finish(&waiting).result, Ok(1));
    let idle = ev.start(recv(client, 8));
    ev.no_wait();
    assert_eq!(ev.complete(send_all(server, b"more")).result, Ok(()));
    assert_eq!(ev.finish(&idle).result, Ok(4));
}

/// Shutting down twice, both sides at once, and reading from what was shut down for reading.
pub(crate) fn shutdowns_from_both_sides<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let ends = [client, server].map(|handle| ev.start(Shutdown { handle, how: ShutdownHow::Write }));
    for end in &ends {
        assert_eq!(ev.finish(end).result, Ok(()));
    }
    for handle in [client, server] {
        assert_eq!(ev.complete(recv(handle, 8)).result, Ok(0));
        let again = ev.complete(Shutdown { handle, how: ShutdownHow::Write }).result;
        assert!(
            again.is_ok() || again.is_err_and(|error| error.kind() == ErrorKind::NotConnected),
            "{again:?}"
        );
    }
    let (client, server) = ev.pair();
    let waiting = ev.start(recv(client, 8));
    ev.no_wait();
    assert_eq!(ev.complete(Shutdown { handle: client, how: ShutdownHow::Read }).result, Ok(()));
    assert_eq!(ev.finish(&waiting).result, Ok(0), "shutting down for reading ends a receive that waits");
    assert_eq!(ev.complete(Shutdown { handle: client, how: ShutdownHow::Both }).result, Ok(()));
    assert_eq!(ev.complete(recv(server, 8)).result, Ok(0));
}

/// A shutdown right behind a large `SendAll` comes after all of its bytes; a callback's too.
pub(crate) fn a_shutdown_waits_for_the_send_before_it<B: Backend>(fixture: &Fixture<B>) {
    const LEN: usize = 4 << 20;
    let mut ev = fixture.open_state::<Transfer>();
    let mut transfer = Transfer::default();
    let (client, server) = pair_on(&mut ev, &mut transfer, IPV4);
    let data = pattern(13, LEN);
    let mut cx = ev.context();
    let sent = start(&mut cx, SendAll { handle: client, buffer: data.clone().into() });
    let end = start(&mut cx, Shutdown { handle: client, how: ShutdownHow::Write });
    let late = start(&mut cx, SendAll { handle: client, buffer: b"too late".into() });
    ev.run(&mut transfer, RunMode::NoWait).unwrap();
    // Nobody reads yet, unless somebody carries the bytes on.
    assert!(!end.is_done() || sent.is_done(), "it comes after them");
    drain(&mut ev.context(), server, 1 << 16);
    run_until(&mut ev, &mut transfer, || late.is_done());
    assert_eq!((sent.take().result, end.take().result), (Ok(()), Ok(())));
    let late = late.take();
    assert_eq!((late.result.map_err(Error::kind), late.transferred), (Err(ErrorKind::BrokenPipe), 0));
    ev.run(&mut transfer, RunMode::UntilDone).unwrap();
    assert_bytes(&transfer.bytes, &data);
}

/// Who hears that only a part was sent can still take back the shutdown behind it, send what is left, and shut down then.
pub(crate) fn what_is_behind_a_part_can_be_taken_back<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let data = pattern(17, MORE_THAN_FITS);
    let (behind, part) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(0)));
    let shutdown = move || Shutdown { handle: client, how: ShutdownHow::Write };
    let (key, len) = (Rc::clone(&behind), Rc::clone(&part));
    ev.context().submit(Send { handle: client, buffer: data.clone().into() }, move |(), cx, sent| {
        len.set(sent.result.unwrap());
        assert_eq!(key.get().map(|key| cx.cancel(key)), Some(Cancel::Requested));
        cx.submit(send_all(client, b"the rest"), |(), _, sent| assert_eq!(sent.result, Ok(())));
        cx.submit(shutdown(), |(), _, shut_down| assert_eq!(shut_down.result, Ok(())));
    });
    let end = ev.start(shutdown());
    behind.set(Some(end.key));
    let (bytes, ended) = receive_all(&mut ev, server, 1 << 16);
    assert_eq!((end.take().result, ended), (Err(Error::Canceled), Ok(())));
    assert!(0 < part.get() && part.get() < data.len());
    assert_bytes(&bytes, &[&data[..part.get()], b"the rest"].concat());
}

/// Closing with unread data resets the connection: what the peer sends and receives fails, or ends, and never hangs.
pub(crate) fn closing_with_unread_data_ends_the_peer<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    assert_eq!(ev.complete(send_all(client, b"unread")).result, Ok(()));
    ev.idle();
    let stuck = ev.start(SendAll { handle: client, buffer: vec![0; MORE_THAN_FITS].into() });
    let received = ev.start(recv(client, 8));
    ev.no_wait();
    ev.context().close(server);
    ev.until_done();
    let end = received.take().result;
    assert!(end == Ok(0) || end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset), "{end:?}");
    let stuck = stuck.take();
    let kind = stuck.result.map_err(Error::kind);
    assert!(matches!(kind, Err(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)), "{kind:?}");
    assert!(stuck.transferred < stuck.buffer.len());
    let (one, _) = ev.pair();
    assert_eq!(ev.complete(send_all(one, b"others live")).result, Ok(()));
}

/// A linger of zero resets the connection, as the peer hears.
pub(crate) fn a_linger_of_zero_resets<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listening, bound) = listener(&mut ev.context(), IPV4);
    for waiting in [false, true] {
        let (client, server) = join_at(&mut ev, &mut (), listening, &bound);
        ev.context().set(client, SocketOption::Linger(Some(Duration::ZERO))).unwrap();
        let received = waiting.then(|| {
            let received = ev.start(recv(server, 8));
            ev.no_wait();
            received
        });
        assert_eq!(ev.complete(proactor_core::Close { handle: client }).result, Ok(()));
        let received = received.unwrap_or_else(|| ev.start(recv(server, 8)));
        assert_eq!(ev.finish(&received).result.map_err(Error::kind), Err(ErrorKind::ConnectionReset));
    }
}
