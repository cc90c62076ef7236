//! Deleting: an end that nobody hears of (contract C4, C5), also by siblings in one batch (C6).

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use proactor_core::{
    Accept, Action, Backend, Cancel, Connect, Context, Driver, Error, Loop, Nop, NotifierWait, Outcome, Recv,
    RunMode, SendAll, State, Time, Timer,
};

use crate::Fixture;
use crate::steps::{Captures, IPV4, Log, Steps, assert_bytes, listener, pair_on, pattern, start};
use crate::turns::{Turns, pair};

/// What was deleted before it was started never reached the system.
pub(crate) fn deleting_what_is_queued_leaves_no_trace<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let captures = Captures::default();
    let held = captures.capture();
    let buffer = b"never".into();
    let key = ev.context().submit(SendAll { handle: client, buffer }, move |(), _, _| drop(held));
    assert_eq!(ev.context().delete(key), Ok(()));
    assert_eq!((ev.state(key), ev.context().active()), (State::Dead, 0));
    assert_eq!(ev.context().delete(key), Err(Error::NotFound));
    let received = ev.start(Recv { handle: server, buffer: vec![0; 16].into() });
    ev.idle();
    assert!(!received.is_done(), "nothing was sent");
    assert_eq!(captures.held(), 0);
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"next".into() }).result, Ok(()));
    assert_eq!(ev.finish(&received).result, Ok(4));
}

/// Deleting what waits in the kernel: its callback never runs and its captures go once it has ended; what arrives
/// later is the next one's.
pub(crate) fn deleting_what_waits_suppresses_its_delivery<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let notifier = ev.context().notifier();
    let captures = Captures::default();
    let mut cx = ev.context();
    let (listening, _) = listener(&mut cx, IPV4);
    let held = || {
        let held = captures.capture();
        move || panic!("delivered, with {} captures held", held.held())
    };
    let (one, two, three, four) = (held(), held(), held(), held());
    let keys = [
        cx.submit(Recv { handle: server, buffer: vec![0; 16].into() }, move |(), _, _| one()),
        cx.submit(Timer::at(Time::NEVER), move |(), _, _| two()),
        cx.submit(Accept { listener: listening }, move |(), _, _| three()),
        cx.submit(NotifierWait { notifier: notifier.clone() }, move |(), _, _| four()),
    ];
    ev.no_wait();
    assert_eq!((captures.held(), ev.context().active()), (4, 4));
    for key in keys {
        assert_eq!(ev.context().delete(key), Ok(()));
        assert!(matches!(ev.state(key), State::Deleting | State::Dead));
    }
    ev.until_done();
    assert_eq!(captures.held(), 0);
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"next".into() }).result, Ok(()));
    assert_eq!(ev.complete(Recv { handle: server, buffer: vec![0; 16].into() }).result, Ok(4));
    notifier.notify();
    assert_eq!(ev.complete(NotifierWait { notifier }).result, Ok(()));
}

/// The outcome is queued already: the buffer in it is dropped, and nothing is delivered.
pub(crate) fn deleting_a_queued_outcome_suppresses_it<B: Backend>(fixture: &Fixture<B>) {
    let mut driver = Driver::<B>::open(Default::default()).unwrap();
    let (client, server) = pair(&mut driver);
    let recv = driver.submit(Recv { handle: server, buffer: vec![0; 16].into() });
    driver.turn_now();
    driver.send(client, b"data");
    driver.settle();
    assert_eq!(driver.cancel(recv), Cancel::TooLate, "its outcome is queued");
    assert_eq!(driver.delete(recv), Ok(()));
    assert_eq!(driver.cancel(recv), Cancel::TooLate);
    assert!(driver.pop().is_none());
    assert_eq!((driver.state(recv), driver.active()), (State::Dead, 0));
    assert_eq!(driver.cancel(recv), Cancel::NotFound);
    driver.send(client, b"more");
    let received = driver.receive(server);
    assert_eq!(received, b"more", "what the deleted one had received went with it");
    let _ = fixture;
}

/// Of a connection that was accepted, and whose outcome is queued: its descriptor is closed, the peer hears of it.
pub(crate) fn deleting_a_queued_accept_closes_its_connection<B: Backend>(_fixture: &Fixture<B>) {
    let mut driver = Driver::<B>::open(Default::default()).unwrap();
    let (listener, address) = driver.listener();
    let accept = driver.submit(Accept { listener });
    driver.turn_now();
    let client = driver.socket(address.family()).unwrap();
    let connect = driver.submit(Connect { handle: client, address });
    driver.settle();
    assert_eq!(driver.cancel(accept), Cancel::TooLate, "its outcome is queued");
    assert_eq!(driver.delete(accept), Ok(()));
    assert!(matches!(driver.outcome_of(connect), Outcome::Connect(connected) if connected.result == Ok(())));
    assert!(driver.pop().is_none());
    assert_eq!(driver.state(accept), State::Dead);
    let end = driver.receive_result(client);
    assert_eq!(end, Ok(Vec::new()), "the peer sees the end of the stream");
}

/// Ten timers of one moment expire in one batch; the first one's callback deletes, cancels, resets and submits.
pub(crate) fn a_callback_changes_its_siblings_in_one_batch<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<Vec<usize>>();
    let keys: Rc<Cell<Vec<_>>> = Rc::default();
    let of_first = Rc::clone(&keys);
    let due = Timer::at(ev.context().update_now() + Duration::from_millis(1));
    let first = ev.context().submit(due, move |order: &mut Vec<usize>, cx: &mut Context<'_, B, _>, _| {
        let keys = of_first.take();
        order.push(0);
        assert_eq!(cx.state(keys[0]), State::Dead, "the one that runs");
        assert_eq!(cx.delete(keys[2]), Ok(()));
        assert_eq!(cx.cancel(keys[3]), Cancel::TooLate);
        assert_eq!(cx.delete(keys[5]), Ok(()));
        assert_eq!(cx.cancel(keys[5]), Cancel::TooLate);
        assert_eq!(cx.background(keys[6]), Ok(()));
        cx.submit(Nop, |order: &mut Vec<usize>, _, _| order.push(100));
    });
    let mut all = vec![first];
    for number in 1..10 {
        all.push(ev.context().submit(due, move |order: &mut Vec<usize>, _, expired| {
            assert_eq!(expired.result, Ok(()));
            order.push(number);
        }));
    }
    keys.set(all.clone());
    let mut order = Vec::new();
    ev.run(&mut order, RunMode::UntilDone).unwrap();
    assert_eq!(order, [0, 1, 3, 4, 6, 7, 8, 9, 100]);
    assert!(all.into_iter().all(|key| ev.context().state(key) == State::Dead));
    assert_eq!(ev.context().active(), 0);
}

/// A callback that deletes itself is not armed again, whatever it returns.
pub(crate) fn a_callback_that_deletes_itself_is_not_rearmed<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let captures = Captures::default();
    let (log, held) = (Log::new(), captures.capture());
    let (seen, own) = (log.clone(), Rc::new(Cell::new(None)));
    let key_of = Rc::clone(&own);
    let key = ev.context().submit_rearm(Nop, move |(), cx, _| {
        seen.push(cx.delete(key_of.get().unwrap()));
        assert_eq!(held.held(), 1, "its captures live while it runs");
        Action::Rearm(Nop)
    });
    own.set(Some(key));
    ev.until_done();
    assert_eq!(log.take(), [Ok(())]);
    assert_eq!((ev.state(key), captures.held()), (State::Dead, 0));
}

/// Deleting the first of a queue of receives lets the next one on, and the last one off.
pub(crate) fn deleting_within_a_queue_keeps_the_others_in_order<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let recv = |ev: &mut Loop<B, ()>| ev.start(Recv { handle: server, buffer: vec![0; 4].into() });
    let receives: Vec<_> = (0..5).map(|_| recv(&mut ev)).collect();
    ev.no_wait();
    for index in [0, 2, 4] {
        assert_eq!(ev.context().delete(receives[index].key), Ok(()));
    }
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"aaaabbbb".into() }).result, Ok(()));
    ev.until_done();
    let (second, fourth) = (receives[1].take(), receives[3].take());
    assert_eq!((second.result, &second.buffer[..]), (Ok(4), &b"aaaa"[..]));
    assert_eq!((fourth.result, &fourth.buffer[..]), (Ok(4), &b"bbbb"[..]));
    assert_eq!([0, 2, 4].map(|index| receives[index].delivered()), [0; 3]);
}

/// A send that the system has taken half of ends when it is deleted; the peer has what was sent, and nothing else is
/// disturbed.
pub(crate) fn deleting_a_send_half_way_keeps_the_stream_whole<B: Backend>(fixture: &Fixture<B>) {
    const LEN: usize = 16 << 20;
    let mut ev = fixture.open_state::<Vec<u8>>();
    let mut bytes = Vec::new();
    let (client, server) = pair_on(&mut ev, &mut bytes, IPV4);
    let data = pattern(1, LEN);
    let key = ev.context().submit(SendAll { handle: client, buffer: data.clone().into() }, |_, _, _| {
        panic!("it was deleted");
    });
    ev.run(&mut bytes, RunMode::NoWait).unwrap();
    assert_eq!(ev.context().delete(key), Ok(()));
    start(&mut ev.context(), SendAll { handle: client, buffer: b"end".into() });
    start(
        &mut ev.context(),
        proactor_core::Shutdown { handle: client, how: proactor_core::ShutdownHow::Write },
    );
    let buffer = vec![0; 1 << 16].into();
    ev.context().submit_rearm(Recv { handle: server, buffer }, move |bytes: &mut Vec<u8>, _, received| {
        let count = received.result.unwrap();
        bytes.extend_from_slice(&received.buffer[..count]);
        if count > 0 {
            Action::Rearm(Recv { handle: server, buffer: received.buffer })
        } else {
            Action::Disarm
        }
    });
    ev.run(&mut bytes, RunMode::UntilDone).unwrap();
    let taken = bytes.len() - 3;
    assert!(taken < LEN, "it was deleted before all of it was taken");
    assert_bytes(&bytes[..taken], &data[..taken]);
    assert_eq!(&bytes[taken..], b"end");
}
