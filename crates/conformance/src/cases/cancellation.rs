//! Cancelling one operation (contract X1, X2, X6).

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use proactor_core::{
    Accept, AcceptMany, Action, Backend, Cancel, Connect, Driver, Error, Event, Flow, Handle, Nop,
    NotifierWait, Outcome, Recv, Send, SendAll, Shutdown, ShutdownHow, State, Time, Timer,
};

use crate::Fixture;
use crate::steps::{Log, Pending, Steps, assert_bytes, join_at, pattern};
use crate::turns::{Turns, pair};

/// More than both ends of a connection buffer.
pub(crate) const MORE_THAN_FITS: usize = 32 << 20;

fn recv(handle: Handle) -> Recv {
    Recv { handle, buffer: vec![0; 64].into() }
}

/// Everything that waits can be cancelled, before it is started and after: it ends once, with `Canceled`.
pub(crate) fn every_kind_can_be_cancelled<B: Backend>(fixture: &Fixture<B>) {
    for started in [false, true] {
        let mut ev = fixture.open();
        let (_client, server) = ev.pair();
        let (listener, _) = ev.listener();
        let (many, _) = ev.listener();
        let notifier = ev.context().notifier();
        let log = Log::new();
        let seen = log.clone();
        let accept_many =
            ev.context().submit_multishot(AcceptMany { listener: many }, move |(), _, event| {
                let Event::Last(last) = event else { panic!("nobody connects") };
                seen.push(last.output.error);
                Flow::Stop
            });
        let timer = ev.start(Timer::at(Time::NEVER));
        let notified = ev.start(NotifierWait { notifier });
        let accepted = ev.start(Accept { listener });
        let received = ev.start(recv(server));
        let second = ev.start(recv(server));
        let sent = ev.start(SendAll { handle: server, buffer: vec![7; MORE_THAN_FITS].into() });
        let behind = ev.start(Send { handle: server, buffer: vec![7; 64].into() });
        let shut_down = ev.start(Shutdown { handle: server, how: ShutdownHow::Write });
        if started {
            ev.no_wait();
        }
        let keys = [timer.key, notified.key, accepted.key, received.key, second.key, sent.key, behind.key];
        for key in keys.into_iter().chain([shut_down.key, accept_many]) {
            assert_ne!(ev.state(key), State::Dead);
            assert_eq!(ev.cancel(key), Cancel::Requested);
            assert_eq!(ev.state(key), State::Deleting);
        }
        ev.until_done();
        let canceled = Some(Error::Canceled);
        assert_eq!(timer.take().result.err(), canceled);
        assert_eq!(notified.take().result.err(), canceled);
        assert_eq!(accepted.take().result.err(), canceled);
        assert_eq!(received.take().result.err(), canceled);
        assert_eq!(second.take().result.err(), canceled);
        assert_eq!(sent.take().result.err(), canceled);
        assert_eq!(behind.take().result.err(), canceled);
        assert_eq!(shut_down.take().result.err(), canceled);
        assert_eq!(log.take(), [Error::Canceled]);
    }
}

/// A connect that waits in the system, because the listener's backlog is full.
pub(crate) fn a_waiting_connect_can_be_cancelled<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, address) = {
        let mut cx = ev.context();
        let listener = cx.socket(proactor_core::Family::Ipv4).unwrap();
        cx.bind(listener, crate::steps::address(crate::steps::IPV4)).unwrap();
        cx.listen_on(listener, 1).unwrap();
        (listener, cx.local_address(listener).unwrap())
    };
    let connects: Vec<Pending<_>> = (0..16)
        .map(|_| {
            let handle = ev.context().socket(address.family()).unwrap();
            ev.start(Connect { handle, address: address.clone() })
        })
        .collect();
    ev.idle();
    let waiting: Vec<_> = connects.iter().filter(|connect| !connect.is_done()).collect();
    assert!(!waiting.is_empty(), "a backlog of 1 does not take 16");
    for connect in &waiting {
        assert_eq!(ev.cancel(connect.key), Cancel::Requested);
    }
    ev.until_done();
    for connect in waiting {
        let connect = connect.take();
        assert_eq!((connect.result, connect.address), (Err(Error::Canceled), address.clone()));
        ev.context().close(connect.handle);
    }
    assert!(ev.complete(Accept { listener }).result.is_ok());
}

/// What was cancelled before its turn came never reached the system.
pub(crate) fn cancelled_while_queued_the_system_never_saw_it<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let sent = ev.start(SendAll { handle: client, buffer: b"never".into() });
    assert_eq!(ev.cancel(sent.key), Cancel::Requested);
    let unsent = ev.finish(&sent);
    assert_eq!((unsent.result, unsent.transferred), (Err(Error::Canceled), 0));
    let received = ev.start(recv(server));
    ev.idle();
    assert!(!received.is_done());
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"next".into() }).result, Ok(()));
    assert_eq!(&ev.finish(&received).buffer[..4], b"next");
}

/// Behind others in a handle's queue, and in the middle of it: the others keep their order and their bytes.
pub(crate) fn cancelling_within_a_queue_keeps_the_others_in_order<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let receives: Vec<_> =
        (0..4).map(|_| ev.start(Recv { handle: server, buffer: vec![0; 3].into() })).collect();
    ev.no_wait();
    assert_eq!(ev.cancel(receives[1].key), Cancel::Requested);
    assert_eq!(ev.finish(&receives[1]).result, Err(Error::Canceled));
    assert_eq!(ev.cancel(receives[3].key), Cancel::Requested);
    assert_eq!(ev.finish(&receives[3]).result, Err(Error::Canceled));
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"onetwo".into() }).result, Ok(()));
    assert_eq!(&ev.finish(&receives[0]).buffer[..], b"one");
    assert_eq!(&ev.finish(&receives[2]).buffer[..], b"two");
    assert_eq!(ev.context().active(), 0);
}

/// The head of a queue is cancelled: the next one goes on, in the same run.
pub(crate) fn cancelling_the_head_lets_the_next_on<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let head = ev.start(SendAll { handle: client, buffer: vec![1; MORE_THAN_FITS].into() });
    let next = ev.start(SendAll { handle: client, buffer: b"next".into() });
    ev.no_wait();
    assert_eq!(ev.cancel(head.key), Cancel::Requested);
    let head = ev.finish(&head);
    assert_eq!(head.result, Err(Error::Canceled));
    let mut expected = vec![1; head.transferred];
    expected.extend_from_slice(b"next");
    let mut bytes = Vec::new();
    while bytes.len() < expected.len() {
        let received = ev.complete(Recv { handle: server, buffer: vec![0; 1 << 20].into() });
        bytes.extend_from_slice(&received.buffer[..received.result.unwrap()]);
    }
    assert_bytes(&bytes, &expected);
    assert_eq!(ev.finish(&next).result, Ok(()));
}

/// A cancelled `SendAll` tells how many bytes the system took, exactly.
pub(crate) fn a_cancelled_send_tells_what_was_transferred<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let data = pattern(3, MORE_THAN_FITS);
    let sent = ev.start(SendAll { handle: client, buffer: data.clone().into() });
    ev.idle();
    assert!(!sent.is_done(), "that much does not fit");
    assert_eq!(ev.cancel(sent.key), Cancel::Requested);
    let sent = ev.finish(&sent);
    assert_eq!(sent.result, Err(Error::Canceled));
    assert!(sent.transferred > 0 && sent.transferred < data.len());
    assert_bytes(&sent.buffer, &data);
    assert_eq!(ev.complete(Shutdown { handle: client, how: ShutdownHow::Write }).result, Ok(()));
    let mut bytes = Vec::new();
    loop {
        let received = ev.complete(Recv { handle: server, buffer: vec![0; 1 << 20].into() });
        match received.result.unwrap() {
            0 => break,
            count => bytes.extend_from_slice(&received.buffer[..count]),
        }
    }
    assert_bytes(&bytes, &data[..sent.transferred]);
}

pub(crate) fn cancelling_twice_ends_it_once<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (_client, server) = ev.pair();
    let received = ev.start(recv(server));
    ev.no_wait();
    assert_eq!(ev.cancel(received.key), Cancel::Requested);
    assert_ne!(ev.cancel(received.key), Cancel::NotFound);
    ev.until_done();
    assert_eq!(received.take().result, Err(Error::Canceled));
    assert_eq!((received.delivered(), ev.cancel(received.key)), (1, Cancel::NotFound));
}

/// The outcome is queued already: too late, and the real result is delivered.
pub(crate) fn cancelling_a_queued_outcome_is_too_late<B: Backend>(_fixture: &Fixture<B>) {
    let mut driver = Driver::<B>::open(Default::default()).unwrap();
    let (client, server) = pair(&mut driver);
    let received = driver.submit(recv(server));
    let timer = driver.submit(Timer::at(Time::ZERO));
    driver.turn_now();
    let Outcome::Timer(expired) = driver.outcome_of(timer) else { panic!("a timer ends as one") };
    assert_eq!(expired.result, Ok(()));
    driver.send(client, b"data");
    driver.settle();
    assert_eq!(driver.cancel(received), Cancel::TooLate);
    assert_eq!(driver.state(received), State::Active);
    let Outcome::Recv(outcome) = driver.outcome_of(received) else { panic!("a receive ends as one") };
    assert_eq!((outcome.result, &outcome.buffer[..4]), (Ok(4), &b"data"[..]));
    assert_eq!(driver.cancel(received), Cancel::NotFound);
}

/// In its own callback a cancel is too late, and the re-arm that follows is honoured.
pub(crate) fn a_cancel_in_its_own_callback_is_too_late<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let log = Log::new();
    let (seen, own) = (log.clone(), Rc::new(Cell::new(None)));
    let key_of = Rc::clone(&own);
    let key = ev.context().submit_rearm(Timer::at(Time::ZERO), move |(), cx, expired| {
        seen.push((expired.result, cx.cancel(key_of.get().unwrap())));
        if seen.len() < 3 { Action::Rearm(Timer::at(Time::ZERO)) } else { Action::Disarm }
    });
    own.set(Some(key));
    ev.until_done();
    assert_eq!(log.take(), [(Ok(()), Cancel::TooLate); 3]);
    assert_eq!(ev.cancel(key), Cancel::NotFound);
}

/// Cancels race with data, over and over, on a receive that re-arms whatever comes: nothing that arrived is lost, each
/// request ends at most one arming, and none reaches a later one.
pub(crate) fn a_late_cancel_never_reaches_a_later_arming<B: Backend>(fixture: &Fixture<B>) {
    const ROUNDS: usize = 300;
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let (bytes, cancels) = (Log::new(), Rc::new(Cell::new(0)));
    let (received, canceled) = (bytes.clone(), Rc::clone(&cancels));
    let key = ev.context().submit_rearm(recv(server), move |(), _, outcome| {
        match outcome.result {
            Ok(count) => received.extend_from_slice(&outcome.buffer[..count]),
            Err(error) => {
                assert_eq!(error, Error::Canceled);
                canceled.set(canceled.get() + 1);
            }
        }
        Action::Rearm(Recv { handle: server, buffer: outcome.buffer })
    });
    let data = pattern(5, ROUNDS);
    let mut requested = 0;
    for (round, &byte) in data.iter().enumerate() {
        let sent = ev.start(SendAll { handle: client, buffer: vec![byte].into() });
        for _ in 0..round % 4 {
            ev.no_wait();
        }
        requested += usize::from(ev.cancel(key) == Cancel::Requested);
        assert_eq!(ev.finish(&sent).result, Ok(()));
    }
    ev.until(|| bytes.len() == ROUNDS);
    assert_bytes(&bytes.take(), &data);
    ev.idle();
    assert!(cancels.get() <= requested, "{} ended by {requested} requests", cancels.get());
    assert!(requested > 0, "some cancels came in time");
    assert_eq!(ev.state(key), State::Active, "the last arming is still there");
    let before = cancels.get();
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"!".into() }).result, Ok(()));
    ev.until(|| bytes.len() == 1);
    assert_eq!(cancels.get(), before);
    assert_eq!(ev.context().delete(key), Ok(()));
    ev.until_done();
}

/// Data arrives while the receive is cancelled, at every distance: it is in the outcome, or in the next receive's.
pub(crate) fn data_that_arrived_is_not_lost<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    for round in 0..100_u8 {
        let received = ev.start(recv(server));
        for _ in 0..round % 3 {
            ev.no_wait();
        }
        let sent = ev.start(SendAll { handle: client, buffer: vec![round; 4].into() });
        for _ in 0..(round / 3) % 3 {
            ev.no_wait();
        }
        let answer = ev.cancel(received.key);
        let mut outcome = ev.finish(&received);
        if outcome.result == Err(Error::Canceled) {
            assert_eq!(answer, Cancel::Requested);
            outcome = ev.complete(recv(server));
        }
        assert_eq!((outcome.result, &outcome.buffer[..4]), (Ok(4), &[round; 4][..]));
        assert_eq!(ev.finish(&sent).result, Ok(()));
    }
}

/// A connection arrives while the accept is cancelled: it is delivered, or waits for the next accept.
pub(crate) fn a_connection_that_arrived_is_not_lost<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, address) = ev.listener();
    for round in 0..40_u32 {
        let accepted = ev.start(Accept { listener });
        for _ in 0..round % 3 {
            ev.no_wait();
        }
        let client = ev.context().socket(address.family()).unwrap();
        let connected = ev.start(Connect { handle: client, address: address.clone() });
        for _ in 0..(round / 3) % 3 {
            ev.no_wait();
        }
        ev.cancel(accepted.key);
        let mut outcome = ev.finish(&accepted);
        if outcome.result == Err(Error::Canceled) {
            outcome = ev.complete(Accept { listener });
        }
        let (server, peer) = outcome.result.unwrap();
        assert_eq!(ev.finish(&connected).result, Ok(()));
        assert_eq!(ev.context().local_address(client), Ok(peer), "this round's connection, not another");
        ev.context().close(client);
        ev.context().close(server);
    }
    ev.until_done();
}

/// A cancelled accept takes the count of what is under way back to nothing, and the listener stays as it was.
pub(crate) fn a_cancelled_accept_leaves_the_listener_alone<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, address) = ev.listener();
    let accepted = ev.start(Accept { listener });
    ev.no_wait();
    assert_eq!(ev.context().active(), 1);
    assert_eq!(ev.cancel(accepted.key), Cancel::Requested);
    ev.until_done();
    let accepted = accepted.take();
    assert_eq!((accepted.result.map(drop), accepted.listener), (Err(Error::Canceled), listener));
    join_at(&mut ev, &mut (), listener, &address);
}

/// A notification that comes as the wait is cancelled is kept for the next wait.
pub(crate) fn a_cancelled_wait_keeps_the_notification<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let notifier = ev.context().notifier();
    let waiting = ev.start(NotifierWait { notifier: notifier.clone() });
    ev.no_wait();
    assert_eq!(ev.cancel(waiting.key), Cancel::Requested);
    notifier.notify();
    let canceled = ev.finish(&waiting);
    if canceled.result == Err(Error::Canceled) {
        assert_eq!(ev.complete(NotifierWait { notifier }).result, Ok(()));
    } else {
        assert_eq!(canceled.result, Ok(()));
    }
}

/// An operation that ended before is not found; the one that took its place in the table is left alone.
pub(crate) fn cancelling_what_has_ended_is_not_found<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let nop = ev.start(Nop);
    let timer = ev.start(Timer::after(Duration::from_micros(1)));
    ev.until_done();
    let next = ev.start(Timer::after(Duration::from_micros(1)));
    assert_eq!((ev.cancel(nop.key), ev.cancel(timer.key)), (Cancel::NotFound, Cancel::NotFound));
    ev.until_done();
    assert_eq!(next.take().result, Ok(()));
}

/// Cancelled from another operation's callback, in mid-batch.
pub(crate) fn callbacks_can_cancel_each_other<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let received = ev.start(recv(server));
    let sent = ev.start(SendAll { handle: client, buffer: vec![0; MORE_THAN_FITS].into() });
    ev.until(|| received.is_done());
    let waiting = ev.start(Timer::at(Time::NEVER));
    let log = Log::new();
    let (seen, keys) = (log.clone(), [sent.key, waiting.key]);
    ev.context().timer_after(Duration::ZERO, move |(), cx| {
        for key in keys {
            seen.push((cx.cancel(key), cx.state(key)));
        }
    });
    ev.until_done();
    assert_eq!(log.take(), [(Cancel::Requested, State::Deleting); 2]);
    assert_eq!(sent.take().result, Err(Error::Canceled));
    assert_eq!(waiting.take().result, Err(Error::Canceled));
}
