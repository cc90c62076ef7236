//! Operations with many outcomes and one last (contract C1, C5, X1, X6).

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use proactor_core::{
    Accept, AcceptMany, Address, Backend, Cancel, Close, Connect, Error, Event, Family, Flow, Handle, Key,
    Loop, Recv, RunMode, State,
};

use crate::Fixture;
use crate::steps::{Log, Steps, start};

/// What an [`AcceptMany`] delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Seen {
    More(Handle),
    Last(Error),
}

/// Accepts until it is told otherwise, writing down each event; `answer` says how to go on after so many connections.
fn accept_many<B: Backend>(
    ev: &mut Loop<B, ()>,
    listener: Handle,
    answer: impl Fn(usize) -> Flow<AcceptMany> + 'static,
) -> (Key, Log<Seen>) {
    let log = Log::new();
    let (seen, connections) = (log.clone(), Cell::new(0));
    let key = ev.context().submit_multishot(AcceptMany { listener }, move |(), _, event| match event {
        Event::More(connection) => {
            seen.push(Seen::More(connection.handle));
            connections.set(connections.get() + 1);
            answer(connections.get())
        }
        Event::Last(last) => {
            assert_eq!(last.output.listener, listener);
            seen.push(Seen::Last(last.output.error));
            Flow::Stop
        }
    });
    (key, log)
}

/// Connects `count` sockets, and lets the loop run until all are.
fn connect<B: Backend>(ev: &mut Loop<B, ()>, address: &Address, count: usize) -> Vec<Handle> {
    let mut sockets = Vec::new();
    for _ in 0..count {
        let handle = ev.context().socket(address.family()).unwrap();
        assert_eq!(ev.complete(Connect { handle, address: address.clone() }).result, Ok(()));
        sockets.push(handle);
    }
    sockets
}

fn connections(seen: &[Seen]) -> usize {
    seen.iter().filter(|seen| matches!(seen, Seen::More(_))).count()
}

pub(crate) fn accepts_many_and_ends_once<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, address) = ev.listener();
    let (key, log) = accept_many(&mut ev, listener, |_| Flow::Continue);
    connect(&mut ev, &address, 5);
    ev.until(|| log.len() == 5);
    assert_eq!(ev.state(key), State::Active);
    let seen = log.take();
    assert_eq!(connections(&seen), 5);
    let mut handles: Vec<_> = seen.iter().map(|seen| format!("{seen:?}")).collect();
    handles.sort();
    handles.dedup();
    assert_eq!(handles.len(), 5, "each connection has a handle of its own");
    assert_eq!(ev.cancel(key), Cancel::Requested);
    assert_eq!(ev.state(key), State::Deleting);
    ev.until_done();
    assert_eq!(log.take(), [Seen::Last(Error::Canceled)]);
    assert_eq!((ev.state(key), ev.cancel(key)), (State::Dead, Cancel::NotFound));
}

/// Connections carry data, and tell their peer's address.
pub(crate) fn its_connections_are_real<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, address) = ev.listener();
    let log = Log::new();
    let seen = log.clone();
    let key = ev.context().submit_multishot(AcceptMany { listener }, move |(), _, event| {
        if let Event::More(connection) = event {
            seen.push((connection.handle, connection.address));
        }
        Flow::Continue
    });
    for _ in 0..3 {
        let client = connect(&mut ev, &address, 1)[0];
        ev.until(|| log.len() == 1);
        let (server, peer) = log.take().remove(0);
        assert_eq!(Ok(&peer), ev.context().local_address(client).as_ref());
        assert_eq!(
            ev.complete(proactor_core::SendAll { handle: server, buffer: b"hello".into() }).result,
            Ok(())
        );
        assert_eq!(ev.complete(Recv { handle: client, buffer: vec![0; 8].into() }).result, Ok(5));
    }
    assert_eq!(ev.cancel(key), Cancel::Requested);
    ev.until_done();
}

/// `Stop` asks for the end: what is queued already still arrives, the last event comes once, and no connection is lost
/// on the way.
pub(crate) fn stop_asks_for_the_end<B: Backend>(fixture: &Fixture<B>) {
    const CLIENTS: usize = 8;
    let mut ev = fixture.open();
    let (listener, address) = ev.listener();
    connect(&mut ev, &address, CLIENTS);
    let (key, log) =
        accept_many(&mut ev, listener, |count| if count < 3 { Flow::Continue } else { Flow::Stop });
    ev.until_done();
    let seen = log.take();
    let accepted = connections(&seen);
    assert!((3..=CLIENTS).contains(&accepted), "{seen:?}");
    assert_eq!(seen.iter().position(|seen| *seen == Seen::Last(Error::Canceled)), Some(accepted), "{seen:?}");
    assert_eq!((seen.len(), ev.state(key)), (accepted + 1, State::Dead));
    for _ in accepted..CLIENTS {
        assert!(ev.complete(Accept { listener }).result.is_ok(), "it waited to be accepted");
    }
    let none_left = ev.start(Accept { listener });
    ev.idle();
    assert!(!none_left.is_done());
}

/// From its last event it can be armed again, keeping its key.
pub(crate) fn the_last_event_can_rearm<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, address) = ev.listener();
    let log = Log::new();
    let (seen, ends) = (log.clone(), Cell::new(0));
    let key = ev.context().submit_multishot(AcceptMany { listener }, move |(), _, event| match event {
        Event::More(_) => {
            seen.push("more");
            Flow::Stop
        }
        Event::Last(last) => {
            seen.push("last");
            ends.set(ends.get() + 1);
            let listener = last.output.listener;
            if ends.get() < 3 { last.rearm(AcceptMany { listener }) } else { Flow::Stop }
        }
    });
    for _ in 0..3 {
        assert_ne!(ev.state(key), State::Dead);
        connect(&mut ev, &address, 1);
        ev.until(|| log.len() == 2);
        assert_eq!(log.take(), ["more", "last"]);
    }
    ev.until_done();
    assert_eq!(ev.state(key), State::Dead);
}

/// Armed again after a delay, it is not armed before; what cannot work fails again, and burns no core.
pub(crate) fn the_last_event_can_rearm_later<B: Backend>(fixture: &Fixture<B>) {
    const DELAY: Duration = Duration::from_millis(3);
    let mut ev = fixture.open();
    let unbound = ev.context().socket(Family::Ipv4).unwrap();
    let log = Log::new();
    let seen = log.clone();
    ev.context().submit_multishot(AcceptMany { listener: unbound }, move |(), cx, event| {
        let Event::Last(last) = event else { panic!("nobody can connect") };
        seen.push((cx.update_now(), last.output.error));
        let listener = last.output.listener;
        if seen.len() < 4 { last.rearm_after(DELAY, AcceptMany { listener }) } else { Flow::Stop }
    });
    ev.until_done();
    let ended = log.take();
    assert_eq!(ended.len(), 4);
    assert!(ended.iter().all(|(_, error)| *error == ended[0].1 && *error != Error::Canceled), "{ended:?}");
    assert!(ended.windows(2).all(|pair| pair[1].0.since(pair[0].0) >= DELAY), "{ended:?}");
}

/// Deleted, it is heard of no more; connections whose events were queued are closed, as their peers see.
pub(crate) fn deleted_it_is_silent<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, address) = ev.listener();
    let (key, log) = accept_many(&mut ev, listener, |_| Flow::Continue);
    ev.no_wait();
    let clients = connect(&mut ev, &address, 4);
    let heard = connections(&log.take());
    let more: Vec<_> = (0..4).map(|_| ev.context().socket(address.family()).unwrap()).collect();
    let connects: Vec<_> = more
        .iter()
        .map(|&handle| start(&mut ev.context(), Connect { handle, address: address.clone() }))
        .collect();
    let mut cx = ev.context();
    assert_eq!(cx.delete(key), Ok(()));
    ev.until_done();
    assert!(connects.iter().all(|connect| connect.take().result == Ok(())));
    assert_eq!((log.take(), ev.state(key)), (Vec::new(), State::Dead));
    ev.context().close(listener);
    // Whoever was not heard of before is closed by now: accepted and thrown away, or never accepted.
    let mut ended = 0;
    let ends: Vec<_> = clients
        .iter()
        .chain(&more)
        .map(|&handle| ev.start(Recv { handle, buffer: vec![0; 8].into() }))
        .collect();
    ev.until(|| ends.iter().filter(|end| end.is_done()).count() == 8 - heard);
    ev.idle();
    for end in &ends {
        ended += usize::from(end.is_done());
    }
    assert_eq!(ended, 8 - heard, "only those that were delivered live on");
}

/// Closing the listener ends it once.
pub(crate) fn closing_the_listener_ends_it<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, address) = ev.listener();
    let (key, log) = accept_many(&mut ev, listener, |_| Flow::Continue);
    connect(&mut ev, &address, 2);
    ev.until(|| log.len() == 2);
    let closed = ev.start(Close { handle: listener });
    ev.until_done();
    assert_eq!(closed.take().result, Ok(()));
    let seen = log.take();
    assert_eq!(seen[2..], [Seen::Last(Error::Canceled)]);
    assert_eq!(ev.state(key), State::Dead);
    let refused = ev.context().socket(address.family()).unwrap();
    let refused = ev.complete(Connect { handle: refused, address });
    assert_eq!(refused.result.map_err(Error::kind), Err(std::io::ErrorKind::ConnectionRefused));
}

/// Cancelled before it was started: one last event, and no connection taken.
pub(crate) fn cancelled_while_queued_it_accepts_nothing<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, address) = ev.listener();
    connect(&mut ev, &address, 1);
    let (key, log) = accept_many(&mut ev, listener, |_| Flow::Continue);
    assert_eq!(ev.cancel(key), Cancel::Requested);
    ev.until_done();
    assert_eq!(log.take(), [Seen::Last(Error::Canceled)]);
    assert!(ev.complete(Accept { listener }).result.is_ok(), "the connection is still there");
}

/// A one-shot accept behind it waits until it has ended.
pub(crate) fn an_accept_behind_it_waits_its_turn<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, address) = ev.listener();
    let (key, log) = accept_many(&mut ev, listener, |_| Flow::Continue);
    let behind = ev.start(Accept { listener });
    connect(&mut ev, &address, 3);
    ev.until(|| log.len() == 3);
    assert!(!behind.is_done());
    assert_eq!(ev.cancel(key), Cancel::Requested);
    connect(&mut ev, &address, 2);
    ev.until(|| behind.is_done() || log.len() == 6);
    let seen = log.take();
    assert_eq!(seen.iter().filter(|seen| **seen == Seen::Last(Error::Canceled)).count(), 1, "{seen:?}");
    assert!(ev.finish(&behind).result.is_ok());
}

/// Stopping the loop between events keeps those that are queued.
pub(crate) fn stop_between_events_keeps_them<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, address) = ev.listener();
    connect(&mut ev, &address, 4);
    let log = Log::new();
    let (seen, key_of) = (log.clone(), Rc::new(Cell::new(None)));
    let own = Rc::clone(&key_of);
    let key = ev.context().submit_multishot(AcceptMany { listener }, move |(), cx, event| {
        if let Event::More(_) = event {
            seen.push(cx.state(own.get().unwrap()));
            cx.stop();
        }
        Flow::Continue
    });
    key_of.set(Some(key));
    for round in 1..=4 {
        while log.len() < round {
            ev.run(&mut (), RunMode::Once).unwrap();
            assert!(log.len() <= round, "stop ends the turn after the callback that called it");
            ev.context().resume();
        }
    }
    assert_eq!(log.take(), [State::Active; 4]);
    assert_eq!(ev.cancel(key), Cancel::Requested);
    ev.until_done();
}
