//! What outcomes say: counts, ranges, errors, addresses (contract R1 to R4, C2), whatever signals arrive meanwhile.

use std::io;
use std::net::{SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

use proactor_core::{
    Accept, Action, Address, Backend, Buffer, Cancel, Close, Connect, Error, Family, Handle, ListenOptions,
    Loop, NotifierWait, Recv, RunMode, Send, SendAll, Shutdown, ShutdownHow, Timer,
};
use rustix::io::Errno;

use super::cancellation::MORE_THAN_FITS;
use crate::Fixture;
#[cfg(unix)]
use crate::peers::failures_on_the_gone;
#[cfg(unix)]
use crate::signals;
use crate::steps::{IPV4, IPV6, Log, Steps, address, assert_bytes, pair_on, pattern, system};

fn recv(handle: Handle, len: usize) -> Recv {
    Recv { handle, buffer: Buffer::zeroed(len) }
}

/// An empty buffer completes with zero, in its place in the queue and not before; the bytes go to the next.
pub(crate) fn an_empty_receive_completes_in_its_place<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let log = Log::new();
    for (name, len) in [("full", 4), ("empty", 0), ("next", 4)] {
        let seen = log.clone();
        ev.context().submit(recv(server, len), move |(), _, received| seen.push((name, received.result)));
    }
    ev.idle();
    assert_eq!(log.len(), 0, "the one before it waits");
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"fourmore".into() }).result, Ok(()));
    ev.until_done();
    assert_eq!(log.take(), [("full", Ok(4)), ("empty", Ok(0)), ("next", Ok(4))]);
    // At the head it completes though nothing has arrived.
    assert_eq!(ev.complete(recv(server, 0)).result, Ok(0));
    for empty in [Buffer::from(Vec::with_capacity(64)), Buffer::default()] {
        let received = ev.complete(Recv { handle: server, buffer: empty });
        assert_eq!((received.result, received.buffer.len()), (Ok(0), 0));
    }
}

pub(crate) fn an_empty_send_completes_in_its_place<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let log = Log::new();
    let seen = log.clone();
    let first = SendAll { handle: client, buffer: vec![1; MORE_THAN_FITS].into() };
    ev.context()
        .submit(first, move |(), _, sent| seen.push(("first", sent.result.map(|()| sent.transferred))));
    let seen = log.clone();
    let empty = Send { handle: client, buffer: Buffer::default() };
    ev.context().submit(empty, move |(), _, sent| seen.push(("empty", sent.result)));
    let seen = log.clone();
    let all = SendAll { handle: client, buffer: Buffer::default() };
    ev.context()
        .submit(all, move |(), _, sent| seen.push(("empty all", sent.result.map(|()| sent.transferred))));
    ev.idle();
    assert_eq!(log.len(), 0, "the one before them waits");
    let mut left = MORE_THAN_FITS;
    while left > 0 {
        left -= ev.complete(recv(server, 1 << 20)).result.unwrap();
    }
    ev.until_done();
    assert_eq!(log.take(), [("first", Ok(MORE_THAN_FITS)), ("empty", Ok(0)), ("empty all", Ok(0))]);
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"x".into() }).result, Ok(()));
    assert_eq!(ev.complete(recv(server, 8)).result, Ok(1), "empty sends sent nothing");
}

/// Only the buffer's range is sent, and only the range is filled; the rest of its bytes are left alone, and the range
/// comes back as it was given.
pub(crate) fn only_the_range_is_used<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let buffer = Buffer::from(b"0123456789".to_vec()).slice(3..7);
    let sent = ev.complete(SendAll { handle: client, buffer });
    assert_eq!((sent.result, sent.transferred, &sent.buffer[..]), (Ok(()), 4, &b"3456"[..]));
    assert_eq!(&sent.buffer.unslice()[..], b"0123456789");
    let buffer = Buffer::from(vec![b'.'; 12]).slice(2..8);
    let received = ev.complete(Recv { handle: server, buffer });
    assert_eq!((received.result, received.buffer.len()), (Ok(4), 6));
    assert_eq!(&received.buffer.unslice()[..], b"..3456......");
    // A range shorter than what is there takes as much as it is long.
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"abcdef".into() }).result, Ok(()));
    let received = ev.complete(Recv { handle: server, buffer: Buffer::from(vec![b'.'; 8]).slice(1..=2) });
    assert_eq!((received.result, &received.buffer.unslice()[..]), (Ok(2), &b".ab....."[..]));
    assert_eq!(ev.complete(recv(server, 8)).result, Ok(4));
}

/// Bytes of every origin are sent without a copy and given back; those that are shared cannot be received into.
pub(crate) fn buffers_of_every_origin<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let shared: Arc<[u8]> = Arc::from(&b"shared"[..]);
    let boxed: Box<[u8]> = Box::from(&b"boxed!"[..]);
    let mut aligned = Buffer::aligned(6, 4096).unwrap();
    aligned.as_mut_slice().unwrap().copy_from_slice(b"aligns");
    let buffers: [Buffer; 5] =
        [Arc::clone(&shared).into(), b"static".into(), b"vector".to_vec().into(), boxed.into(), aligned];
    for buffer in buffers {
        let expected = buffer.to_vec();
        let sent = ev.complete(SendAll { handle: client, buffer });
        assert_eq!((sent.result, &sent.buffer[..]), (Ok(()), &expected[..]));
        let received = ev.complete(Recv { handle: server, buffer: Buffer::aligned(6, 512).unwrap() });
        assert_eq!((received.result, &received.buffer[..]), (Ok(6), &expected[..]));
    }
    assert_eq!(Arc::strong_count(&shared), 1, "given back, and dropped here");
    for buffer in [Buffer::from(Arc::clone(&shared)), b"static".into()] {
        let expected = buffer.to_vec();
        let failed = ev.complete(Recv { handle: server, buffer });
        assert_eq!((failed.result, &failed.buffer[..]), (Err(Error::ReadOnlyBuffer), &expected[..]));
    }
    assert_eq!(&*shared, b"shared");
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"next".into() }).result, Ok(()));
    assert_eq!(ev.complete(recv(server, 8)).result, Ok(4), "the failed ones took nothing");
}

/// A read-only buffer fails in its place in the queue, and holds up nobody.
pub(crate) fn a_read_only_buffer_fails_alone<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let before = ev.start(recv(server, 4));
    let failed = ev.start(Recv { handle: server, buffer: b"static".into() });
    let after = ev.start(recv(server, 4));
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"fourmore".into() }).result, Ok(()));
    ev.until_done();
    assert_eq!(failed.take().result, Err(Error::ReadOnlyBuffer));
    assert_eq!((before.take().result, after.take().result), (Ok(4), Ok(4)));
}

/// The same faults have the same kind everywhere, and the system's number where there is one.
pub(crate) fn the_same_fault_has_the_same_kind<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, bound) = ev.listener();
    let socket = |ev: &mut Loop<B, ()>| ev.context().socket(Family::Ipv4).unwrap();

    let taken = socket(&mut ev);
    assert_eq!(ev.context().bind(taken, bound.clone()), Err(system(Errno::ADDRINUSE)));
    let twice = ev.context().listen(bound.clone(), ListenOptions::default()).map(drop);
    assert_eq!(twice.map_err(Error::kind), Err(io::ErrorKind::AddrInUse));

    assert_eq!(ev.complete(Close { handle: listener }).result, Ok(()));
    let refused = socket(&mut ev);
    let refused = ev.complete(Connect { handle: refused, address: bound }).result.unwrap_err();
    assert_eq!((refused, refused.kind()), (system(Errno::CONNREFUSED), io::ErrorKind::ConnectionRefused));
    assert_eq!(refused.raw_os_error(), Some(Errno::CONNREFUSED.raw_os_error()));
    let converted = io::Error::from(refused);
    assert_eq!((converted.kind(), converted.raw_os_error()), (refused.kind(), refused.raw_os_error()));
    assert!(!refused.is_transient());

    let unconnected = socket(&mut ev);
    assert_eq!(ev.complete(recv(unconnected, 8)).result, Err(system(Errno::NOTCONN)));
    let shut_down = ev.complete(Shutdown { handle: unconnected, how: ShutdownHow::Write });
    assert_eq!(shut_down.result, Err(system(Errno::NOTCONN)));
    assert_eq!(ev.context().peer_address(unconnected), Err(system(Errno::NOTCONN)));
    let unsent = ev.complete(SendAll { handle: unconnected, buffer: b"x".into() });
    let kind = unsent.result.map_err(Error::kind);
    assert!(matches!(kind, Err(io::ErrorKind::BrokenPipe | io::ErrorKind::NotConnected)), "{kind:?}");

    let (client, server) = ev.pair();
    assert_eq!(ev.complete(Shutdown { handle: server, how: ShutdownHow::Write }).result, Ok(()));
    let broken = ev.complete(Send { handle: server, buffer: b"x".into() });
    assert_eq!(broken.result, Err(system(Errno::PIPE)));
    let again = ev.complete(Connect { handle: client, address: address("127.0.0.1:1") });
    assert_eq!(again.result, Err(system(Errno::ISCONN)));
    assert_eq!(ev.complete(Accept { listener: client }).result.map(drop), Err(system(Errno::INVAL)));
}

/// Sending to a peer that is gone is an error, never a signal, with the signal's default action restored.
#[cfg(unix)]
pub(crate) fn a_closed_peer_raises_no_signal<B: Backend>(fixture: &Fixture<B>) {
    assert_eq!(fixture.child("send_to_the_gone"), "100 sends failed\n");
}

/// The child of [`a_closed_peer_raises_no_signal`]: SIGPIPE would end it.
#[cfg(unix)]
pub(crate) fn send_to_the_gone<B: Backend>(fixture: &Fixture<B>) {
    let failed = failures_on_the_gone(&mut fixture.open(), 50, |ev, handle| {
        let all = ev.complete(SendAll { handle, buffer: vec![0; 1 << 20].into() });
        let one = ev.complete(Send { handle, buffer: b"?".into() });
        [all.result, one.result.map(drop)]
    });
    println!("{failed} sends failed");
}

#[derive(Default)]
struct Weather {
    bytes: Vec<u8>,
    ticks: u32,
    notified: u32,
    ended: bool,
}

/// A thousand signals a second interrupt system calls: nothing is lost, and no outcome says "interrupted".
#[cfg(unix)]
pub(crate) fn a_signal_storm_loses_nothing<B: Backend>(fixture: &Fixture<B>) {
    const LEN: usize = 4 << 20;
    const TICKS: u32 = 100;
    let storm = signals::Storm::begin();
    let mut ev = fixture.open_state::<Weather>();
    let mut weather = Weather::default();
    for _ in 0..20 {
        // Connecting and accepting, too.
        pair_on(&mut ev, &mut weather, IPV4);
    }
    let (client, server) = pair_on(&mut ev, &mut weather, IPV4);
    let data = pattern(17, LEN);
    let mut cx = ev.context();
    let notifier = cx.notifier();
    let other = notifier.clone();
    cx.submit_rearm(NotifierWait { notifier }, |weather: &mut Weather, _, notified| {
        assert_eq!(notified.result, Ok(()));
        weather.notified += 1;
        if weather.notified < TICKS {
            Action::Rearm(NotifierWait { notifier: notified.notifier })
        } else {
            Action::Disarm
        }
    });
    cx.submit_rearm(Timer::after(Duration::from_millis(2)), move |weather: &mut Weather, _, expired| {
        assert_eq!(expired.result, Ok(()));
        weather.ticks += 1;
        other.notify();
        if weather.ticks < TICKS {
            Action::Rearm(Timer::after(Duration::from_millis(2)))
        } else {
            Action::Disarm
        }
    });
    cx.submit(SendAll { handle: client, buffer: data.clone().into() }, |_, _, sent| {
        assert_eq!(sent.result, Ok(()))
    });
    cx.submit(Shutdown { handle: client, how: ShutdownHow::Write }, |_, _, end| {
        assert_eq!(end.result, Ok(()))
    });
    cx.submit_rearm(recv(server, 999), move |weather: &mut Weather, _, received| {
        let count = received.result.unwrap();
        weather.bytes.extend_from_slice(&received.buffer[..count]);
        weather.ended = count == 0;
        if count == 0 {
            Action::Disarm
        } else {
            Action::Rearm(Recv { handle: server, buffer: received.buffer })
        }
    });
    ev.run(&mut weather, RunMode::UntilDone).unwrap();
    assert_eq!((weather.ticks, weather.notified, weather.ended), (TICKS, TICKS, true));
    assert_bytes(&weather.bytes, &data);
    if !fixture.capabilities().virtual_time {
        assert!(storm.delivered() >= 20, "{} signals in 200 ms", storm.delivered());
    }
}

/// A buffer longer than what one system call takes: the length is clamped, not wrapped.
pub(crate) fn lengths_beyond_one_call_are_clamped<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let received = ev.start(recv(server, 3 << 30));
    ev.no_wait();
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"little".into() }).result, Ok(()));
    let received = ev.finish(&received);
    assert_eq!((received.result, received.buffer.len()), (Ok(6), 3 << 30));
    assert_eq!(received.buffer[..8], *b"little\0\0");
    let sent = ev.start(Send { handle: server, buffer: received.buffer });
    ev.no_wait();
    let count = ev.finish(&sent).result.unwrap();
    assert!(count > 0 && count <= i32::MAX as usize, "{count}");
    let first = ev.complete(recv(client, 6));
    assert_eq!(&first.buffer[..first.result.unwrap()], &b"little"[..first.result.unwrap()]);
}

/// Addresses come back whole: port, scope and flow.
pub(crate) fn addresses_are_kept_whole<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, bound) = ev.listener();
    let SocketAddr::V4(bound_v4) = bound.as_inet().unwrap() else { panic!("{bound} is not an IPv4 address") };
    assert!(bound_v4.ip().is_loopback() && bound_v4.port() != 0);
    let client = ev.context().socket(Family::Ipv4).unwrap();
    let connected = ev.complete(Connect { handle: client, address: bound.clone() });
    assert_eq!((connected.result, &connected.address), (Ok(()), &bound));
    let (server, peer) = ev.complete(Accept { listener }).result.unwrap();
    let mut cx = ev.context();
    assert_eq!((cx.peer_address(client), cx.local_address(server)), (Ok(bound.clone()), Ok(bound)));
    assert_eq!((cx.local_address(client), cx.peer_address(server)), (Ok(peer.clone()), Ok(peer)));
}

pub(crate) fn scope_and_flow_are_kept<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let listening = crate::steps::listener(&mut ev.context(), IPV6);
    let SocketAddr::V6(bound) = listening.1.as_inet().unwrap() else { panic!("not an IPv6 address") };
    let marked = Address::from(SocketAddr::V6(SocketAddrV6::new(*bound.ip(), bound.port(), 0, 1)));
    assert_ne!(marked, listening.1);
    let client = ev.context().socket(Family::Ipv6).unwrap();
    let connect = ev.start(Connect { handle: client, address: marked.clone() });
    assert_eq!(ev.cancel(connect.key), Cancel::Requested);
    assert_eq!(ev.finish(&connect).address, marked, "as it was given");
    let connected = ev.complete(Connect { handle: client, address: listening.1.clone() });
    assert_eq!(connected.result, Ok(()));
    let (_, peer) = ev.complete(Accept { listener: listening.0 }).result.unwrap();
    assert_eq!(ev.context().local_address(client), Ok(peer));
}

/// About what only Unix has.
#[cfg(not(unix))]
pub(crate) use super::{
    not_here as a_closed_peer_raises_no_signal, not_here as a_signal_storm_loses_nothing,
};
