//! Closing, stale handles, recycled ones (contract H1, H2, H3).

use std::io::ErrorKind;

use proactor_core::{
    Accept, AcceptMany, Action, Address, Backend, Close, Config, Connect, Context, Error, Event, Family,
    Flow, Handle, Loop, Nop, Recv, RunMode, Send, SendAll, Shutdown, ShutdownHow, SocketOption, State, Time,
    Timer,
};

use super::cancellation::MORE_THAN_FITS;
use crate::Fixture;
use crate::peers::receive_all;
use crate::steps::{IPV4, Log, Steps, address, idle, join_at, listener, pair_on, run_until, start};

fn recv(handle: Handle) -> Recv {
    Recv { handle, buffer: vec![0; 64].into() }
}

/// Closing ends each pending operation with its outcome, in both directions, heads and those behind them.
pub(crate) fn closing_ends_everything_pending<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let receives: Vec<_> = (0..3).map(|_| ev.start(recv(server))).collect();
    let sent = ev.start(SendAll { handle: server, buffer: vec![1; MORE_THAN_FITS].into() });
    let behind = ev.start(Send { handle: server, buffer: vec![2; 16].into() });
    ev.no_wait();
    let queued = ev.start(Shutdown { handle: server, how: ShutdownHow::Write });
    ev.context().close(server);
    ev.until_done();
    for received in receives {
        let received = received.take();
        assert_eq!((received.result, received.buffer.len()), (Err(Error::Canceled), 64));
    }
    let sent = sent.take();
    assert_eq!(sent.result, Err(Error::Canceled));
    assert!(sent.transferred > 0, "the system had some of it");
    assert_eq!(behind.take().result, Err(Error::Canceled));
    assert_eq!(queued.take().result, Err(Error::Canceled));
    // And then the descriptor is closed, as the peer sees: all that was sent, then the end.
    let mut total = 0;
    loop {
        let received = ev.complete(Recv { handle: client, buffer: vec![0; 1 << 20].into() });
        match received.result.unwrap() {
            0 => break,
            count => total += count,
        }
    }
    assert_eq!(total, sent.transferred);
}

/// It is stale from the call on, not only once it is closed.
pub(crate) fn closing_makes_stale_at_once<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, _server) = ev.pair();
    let pending = ev.start(recv(client));
    ev.no_wait();
    ev.context().close(client);
    let after = ev.start(recv(client));
    let mut cx = ev.context();
    assert_eq!(cx.set(client, SocketOption::NoDelay(true)), Err(Error::StaleHandle));
    assert_eq!(cx.local_address(client), Err(Error::StaleHandle));
    assert_eq!(cx.peer_address(client), Err(Error::StaleHandle));
    assert_eq!(cx.bind(client, address(IPV4)), Err(Error::StaleHandle));
    assert_eq!(cx.listen_on(client, 1), Err(Error::StaleHandle));
    assert_eq!(cx.detach(client).map(drop), Err(Error::StaleHandle));
    // Nothing to close, and nothing else is closed.
    cx.close(client);
    ev.until_done();
    assert_eq!(pending.take().result, Err(Error::Canceled));
    assert_eq!(after.take().result, Err(Error::StaleHandle));
}

/// `Close` as an operation: it ends after all that was pending, with the result; a second one finds a stale handle.
pub(crate) fn close_reports_its_result_last<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (_client, server) = ev.pair();
    let log = Log::new();
    for name in ["first", "second"] {
        let seen = log.clone();
        ev.context()
            .submit(recv(server), move |(), _, received| seen.push((name, received.result.map(drop))));
    }
    ev.no_wait();
    for name in ["close", "again"] {
        let seen = log.clone();
        ev.context().submit(Close { handle: server }, move |(), _, closed| {
            assert_eq!(closed.handle, server);
            seen.push((name, closed.result));
        });
    }
    ev.until_done();
    let ended = log.take();
    let place = |name| ended.iter().position(|(ended, _)| *ended == name).unwrap();
    assert_eq!(ended.len(), 4);
    assert_eq!(ended[place("first")].1, Err(Error::Canceled));
    assert_eq!(ended[place("second")].1, Err(Error::Canceled));
    assert_eq!(ended[place("close")].1, Ok(()));
    assert_eq!(ended[place("again")].1, Err(Error::StaleHandle));
    assert!(place("close") > place("first") && place("close") > place("second"), "{ended:?}");
}

/// Of an idle handle too, also one that never did anything.
pub(crate) fn an_idle_handle_closes<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let socket = ev.context().socket(Family::Ipv4).unwrap();
    assert_eq!(ev.complete(Close { handle: socket }).result, Ok(()));
    let (client, server) = ev.pair();
    let closed = ev.start(Close { handle: server });
    let end = ev.start(recv(client));
    assert_eq!(ev.finish(&closed).result, Ok(()));
    assert_eq!(ev.finish(&end).result, Ok(0), "the peer hears of it");
    let unused = ev.context().socket(Family::Ipv4).unwrap();
    ev.context().close(unused);
    assert_eq!(ev.complete(recv(unused)).result, Err(Error::StaleHandle));
}

/// What was submitted just before the close, and not started, ends too; the system never saw it.
pub(crate) fn closing_ends_what_is_not_started<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let sent = ev.start(SendAll { handle: client, buffer: b"never".into() });
    let received = ev.start(recv(client));
    let closed = ev.start(Close { handle: client });
    ev.until_done();
    let sent = sent.take();
    assert_eq!((sent.result, sent.transferred), (Err(Error::Canceled), 0));
    assert_eq!(received.take().result, Err(Error::Canceled));
    assert_eq!(closed.take().result, Ok(()));
    assert_eq!(ev.complete(recv(server)).result, Ok(0), "the end, and nothing before it");
}

/// Every operation on a handle of another loop ends as stale, with all that it took; the handle's own loop does not
/// notice.
pub(crate) fn a_handle_of_another_loop_is_stale<B: Backend>(fixture: &Fixture<B>) {
    let (mut ev, mut other) = (fixture.open(), fixture.open());
    let (client, server) = other.pair();
    // The same place in this loop's table is taken too.
    let (_client, _server) = ev.pair();
    let stale = Err(Error::StaleHandle);
    let received = ev.complete(recv(server));
    assert_eq!((received.result, received.buffer.len()), (Err(Error::StaleHandle), 64));
    assert_eq!(ev.complete(Send { handle: client, buffer: b"x".into() }).result, Err(Error::StaleHandle));
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"x".into() }).result, stale);
    assert_eq!(ev.complete(Shutdown { handle: client, how: ShutdownHow::Both }).result, stale);
    assert_eq!(ev.complete(Connect { handle: client, address: address(IPV4) }).result, stale);
    assert_eq!(ev.complete(Accept { listener: client }).result.map(drop), stale);
    assert_eq!(ev.complete(Close { handle: client }).result, stale);
    let log = Log::new();
    let seen = log.clone();
    ev.context().submit_multishot(AcceptMany { listener: client }, move |(), _, event| {
        if let Event::Last(last) = event {
            seen.push((last.output.listener, last.output.error));
        }
        Flow::Continue
    });
    ev.until_done();
    assert_eq!(log.take(), [(client, Error::StaleHandle)]);
    let mut cx = ev.context();
    assert_eq!(cx.set(client, SocketOption::NoDelay(true)), stale);
    assert_eq!(cx.local_address(client), Err(Error::StaleHandle));
    assert_eq!(cx.detach(client).map(drop), stale);
    cx.close(client);
    assert_eq!(other.complete(SendAll { handle: client, buffer: b"intact".into() }).result, Ok(()));
    assert_eq!(other.complete(recv(server)).result, Ok(6));
}

/// A handle's place is used again, and the system's number too: what was meant for the old one never reaches the new.
pub(crate) fn a_recycled_place_receives_nothing_of_its_predecessor<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, address) = ev.listener();
    let mut old = Vec::new();
    for round in 0..50_u8 {
        let (client, server) = join_at(&mut ev, &mut (), listener, &address);
        // Pending on both when they are closed, in the turn in which data arrives for one.
        let received = ev.start(recv(server));
        ev.no_wait();
        let sent = ev.start(SendAll { handle: client, buffer: vec![round; 8].into() });
        if round % 2 == 0 {
            ev.no_wait();
        }
        ev.context().close(server);
        ev.context().close(client);
        let (next_client, next_server) = join_at(&mut ev, &mut (), listener, &address);
        let fresh = ev.start(recv(next_server));
        ev.no_wait();
        assert!(!fresh.is_done(), "nothing was sent to it yet");
        for &stale in &old {
            assert_eq!(
                ev.complete(Send { handle: stale, buffer: b"stray".into() }).result,
                Err(Error::StaleHandle)
            );
        }
        let data = SendAll { handle: next_client, buffer: b"own".into() };
        assert_eq!(ev.complete(data).result, Ok(()));
        let fresh = ev.finish(&fresh);
        assert_eq!(&fresh.buffer[..fresh.result.unwrap()], b"own");
        let first = ev.finish(&received);
        match first.result {
            Ok(count) => assert_eq!(first.buffer[..count], vec![round; 8]),
            Err(error) => assert_eq!(error, Error::Canceled),
        }
        assert!(matches!(ev.finish(&sent).result, Ok(()) | Err(Error::Canceled)));
        ev.context().close(next_client);
        ev.context().close(next_server);
        old = vec![client, server, next_client, next_server];
    }
}

/// What [`recycled_within_one_batch`] keeps.
#[derive(Default)]
struct Recycling {
    servers: Vec<Handle>,
    fresh: Vec<Handle>,
    ended: Vec<Result<usize, Error>>,
    strays: usize,
}

/// Ten sockets have data in one batch; the first callback closes the other nine, and each opens another, whose
/// number may be one just freed. Events of the batch are not for them.
pub(crate) fn recycled_within_one_batch<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<Recycling>();
    let mut state = Recycling::default();
    let pairs: Vec<_> = (0..10).map(|_| pair_on(&mut ev, &mut state, IPV4)).collect();
    state.servers = pairs.iter().map(|&(_, server)| server).collect();
    for &(_, server) in &pairs {
        ev.context().submit(recv(server), move |state: &mut Recycling, cx, received| {
            state.ended.push(received.result);
            for other in std::mem::take(&mut state.servers) {
                if other != server {
                    cx.close(other);
                }
            }
            replace(state, cx);
        });
    }
    ev.run(&mut state, RunMode::NoWait).unwrap();
    let sends: Vec<_> = pairs
        .iter()
        .map(|&(client, _)| start(&mut ev.context(), SendAll { handle: client, buffer: b"data".into() }))
        .collect();
    run_until(&mut ev, &mut state, || sends.iter().all(|sent| sent.is_done()));
    idle(&mut ev, &mut state);
    assert_eq!(state.ended.len(), 10);
    assert!(state.ended.contains(&Ok(4)));
    assert!(state.ended.iter().all(|end| matches!(end, Ok(4) | Err(Error::Canceled))), "{:?}", state.ended);
    assert_eq!((state.fresh.len(), state.strays), (10, 0));
    let (listening, bound) = listener(&mut ev.context(), IPV4);
    for handle in std::mem::take(&mut state.fresh) {
        let connected = start(&mut ev.context(), Connect { handle, address: bound.clone() });
        let accepted = start(&mut ev.context(), Accept { listener: listening });
        run_until(&mut ev, &mut state, || connected.is_done() && accepted.is_done());
        assert_eq!(connected.take().result, Ok(()), "it is as new");
    }
}

/// Opens a socket and receives from it: not connected, it must end with an error, and never with bytes.
fn replace<B: Backend>(state: &mut Recycling, cx: &mut Context<'_, B, Recycling>) {
    let handle = cx.socket(Family::Ipv4).unwrap();
    state.fresh.push(handle);
    cx.submit(recv(handle), |state: &mut Recycling, _, received| match received.result {
        Err(error) if error.kind() == ErrorKind::NotConnected => {}
        _ => state.strays += 1,
    });
}

#[derive(Default)]
struct Storm {
    handles: Vec<Handle>,
    ended: usize,
    closed: usize,
}

/// 2,500 sockets are closed by the callback of the first of them that has something, in the middle of a batch.
pub(crate) fn thousands_are_closed_in_mid_dispatch<B: Backend>(fixture: &Fixture<B>) {
    const PAIRS: usize = 1250;
    let mut ev = fixture.open_state::<Storm>();
    let mut storm = Storm::default();
    let (listening, bound) = listener(&mut ev.context(), IPV4);
    let mut clients = Vec::new();
    for _ in 0..PAIRS {
        let (client, server) = join_at(&mut ev, &mut storm, listening, &bound);
        storm.handles.extend([client, server]);
        clients.push(client);
        for handle in [client, server] {
            ev.context().submit(recv(handle), |storm: &mut Storm, cx, received| {
                assert!(matches!(received.result, Ok(1) | Err(Error::Canceled)), "{:?}", received.result);
                storm.ended += 1;
                for handle in std::mem::take(&mut storm.handles) {
                    cx.submit(Close { handle }, |storm: &mut Storm, _, closed| {
                        assert_eq!(closed.result, Ok(()));
                        storm.closed += 1;
                    });
                }
            });
        }
    }
    for &handle in &clients {
        let buffer = b"!".into();
        ev.context().submit(Send { handle, buffer }, |_, _, sent| {
            assert!(matches!(sent.result, Ok(1) | Err(Error::Canceled)), "{:?}", sent.result);
        });
    }
    ev.context().close(listening);
    ev.run(&mut storm, RunMode::UntilDone).unwrap();
    assert_eq!((storm.ended, storm.closed), (2 * PAIRS, 2 * PAIRS));
}

/// Closed while it connects, in the turn of the connect and in the next: the connect ends, the descriptor goes.
pub(crate) fn closing_while_connecting<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, address) = ev.listener();
    for turns in 0..3 {
        let handle = ev.context().socket(address.family()).unwrap();
        let connected = ev.start(Connect { handle, address: address.clone() });
        let sent = ev.start(SendAll { handle, buffer: b"behind it".into() });
        for _ in 0..turns {
            ev.no_wait();
        }
        let closed = ev.start(Close { handle });
        ev.until_done();
        let (connected, sent) = (connected.take(), sent.take());
        assert!(matches!(connected.result, Ok(()) | Err(Error::Canceled)), "{:?}", connected.result);
        assert!(turns > 0 || connected.result == Err(Error::Canceled), "the system never saw it");
        assert_eq!(connected.address, address);
        assert!(matches!(sent.result, Ok(()) | Err(Error::Canceled)), "{:?}", sent.result);
        assert!(sent.result.is_err() || connected.result.is_ok());
        assert_eq!(closed.take().result, Ok(()));
        if connected.result.is_ok() {
            let (server, _) = ev.complete(Accept { listener }).result.unwrap();
            assert_eq!(receive_all(&mut ev, server, 64).0.len(), sent.transferred);
            ev.context().close(server);
        }
    }
}

/// Dropping or copying a handle closes nothing; the loop's end does.
pub(crate) fn handles_are_names_only<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = {
        let (client, server) = ev.pair();
        let _copies = [client, server];
        (client, server)
    };
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"open".into() }).result, Ok(()));
    assert_eq!(ev.complete(recv(server)).result, Ok(4));
}

/// A callback that re-arms after its handle was closed ends as stale, once.
pub(crate) fn a_rearm_after_a_close_is_stale<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let log = Log::new();
    let seen = log.clone();
    let key = ev.context().submit_rearm(recv(server), move |(), cx, received| {
        seen.push(received.result);
        match received.result {
            Ok(_) => {
                cx.close(server);
                Action::Rearm(Recv { handle: server, buffer: received.buffer })
            }
            Err(_) => Action::Disarm,
        }
    });
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"data".into() }).result, Ok(()));
    ev.until_done();
    assert_eq!(log.take(), [Ok(4), Err(Error::StaleHandle)]);
    assert_eq!(ev.state(key), State::Dead);
}

/// A callback that re-arms with each outcome ends when its handle is closed from outside, too: cancelled, then stale.
pub(crate) fn closing_ends_a_rearming_operation<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (_client, server) = ev.pair();
    let log = Log::new();
    let seen = log.clone();
    ev.context().submit_rearm(recv(server), move |(), _, received| {
        seen.push(received.result);
        if received.result == Err(Error::StaleHandle) {
            return Action::Disarm;
        }
        Action::Rearm(Recv { handle: server, buffer: received.buffer })
    });
    ev.no_wait();
    ev.context().close(server);
    ev.until_done();
    assert_eq!(log.take(), [Err(Error::Canceled), Err(Error::StaleHandle)]);
}

/// Closing in the turn in which a connection is accepted, and from inside that accept's callback.
pub(crate) fn a_listener_closes_while_it_accepts<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, address) = ev.listener();
    let log = Log::new();
    for _ in 0..3 {
        let seen = log.clone();
        ev.context().submit(Accept { listener }, move |(), cx, accepted| {
            seen.push(accepted.result.map(drop));
            cx.close(listener);
        });
    }
    let fresh = connect_some(&mut ev, &address, 2);
    ev.until(|| log.len() == 3);
    let ended = log.take();
    let accepted = ended.iter().filter(|end| end.is_ok()).count();
    assert!((1..=2).contains(&accepted), "{ended:?}");
    assert!(ended.iter().all(|end| matches!(end, Ok(()) | Err(Error::Canceled))), "{ended:?}");
    let refused = ev.complete(Connect { handle: fresh, address });
    assert_eq!(refused.result.map_err(Error::kind), Err(ErrorKind::ConnectionRefused));
}

/// Connects `count` sockets without waiting for it, and returns one more that is not connected.
fn connect_some<B: Backend>(ev: &mut Loop<B, ()>, address: &Address, count: usize) -> Handle {
    for _ in 0..count {
        let handle = ev.context().socket(address.family()).unwrap();
        ev.start(Connect { handle, address: address.clone() });
    }
    ev.start(Nop);
    ev.context().socket(address.family()).unwrap()
}

/// What closes ends in the order in which it was asked for, none of it inside the callback that asks, and each after what was
/// pending on its handle.
pub(crate) fn closes_end_in_their_order<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let idle: Vec<_> = (0..6).map(|_| ev.context().socket(Family::Ipv4).unwrap()).collect();
    let (client, server) = ev.pair();
    let log = Log::new();
    let seen = log.clone();
    ev.context().submit(recv(server), move |(), _, received| {
        assert_eq!(received.result, Err(Error::Canceled));
        seen.push("pending");
    });
    ev.no_wait();
    let seen = log.clone();
    ev.context().submit(Nop, move |(), cx, _| {
        let names = ["0", "1", "2", "3", "4", "5"];
        for (handle, name) in idle.iter().copied().zip(names).chain([(server, "server")]) {
            let closed = seen.clone();
            cx.submit(Close { handle }, move |(), _, done| {
                assert_eq!((done.result, done.handle), (Ok(()), handle));
                closed.push(name);
            });
        }
        seen.push("asked");
    });
    ev.until_done();
    let mut ended = log.take();
    let place = |name| ended.iter().position(|ended| *ended == name).expect("it has ended");
    assert!(place("pending") < place("server"), "{ended:?}");
    ended.retain(|name| !["pending", "server"].contains(name));
    assert_eq!(ended, ["asked", "0", "1", "2", "3", "4", "5"]);
    assert_eq!(ev.complete(recv(client)).result, Ok(0));
}

/// Where there is no place for another operation, a handle closes all the same; the operation that would tell of it is refused,
/// and the handle stays as it is.
pub(crate) fn closing_needs_no_place<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_with::<()>(Config::default().max_operations(2));
    let (client, server) = ev.pair();
    let received = ev.start(recv(server));
    let timer = ev.start(Timer::at(Time::NEVER));
    ev.no_wait();
    let refused = ev.start(Close { handle: server });
    assert_eq!(ev.finish(&refused).result, Err(Error::Full));
    assert!(!received.is_done() && ev.context().local_address(server).is_ok(), "it is open");
    ev.context().close(server);
    assert_eq!(ev.finish(&received).result, Err(Error::Canceled));
    assert_eq!(ev.context().local_address(server), Err(Error::StaleHandle));
    assert_eq!(ev.complete(recv(client)).result, Ok(0), "it is closed");
    assert!(!timer.is_done());
}
