//! What was attacked: loops on backends that break the rules, and rules that meet.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::*;
use crate::event_loop::Loop;
use crate::outcome::NopDone;
use crate::records::End;
use crate::stream::{AcceptMany, Accepted, Connection};
use crate::{Accept, Action, Event, Flow, RunMode};

/// What is refused is told so, however late: a timer that is armed again while the loop is full, too.
#[test]
fn a_refused_timer_that_is_held_back_ends() {
    for is_timer in [false, true] {
        let mut driver =
            Driver::<Manual>::open(Config { max_operations: Some(1), ..Config::default() }).unwrap();
        let handle = driver.socket(Family::Ipv4).unwrap();
        let kept = driver.submit(Recv { handle, buffer: Buffer::zeroed(1) });
        if is_timer {
            driver.submit(Timer::at(Time::ZERO));
        } else {
            driver.submit(Nop);
        }
        driver.turn(Until::Now).unwrap();
        let Next::Last { index, .. } = driver.next() else { panic!("it was refused") };
        driver.done.records.take_back(index);
        let due = Time::from_nanos(1000);
        let armed = if is_timer {
            driver.rearm_at(index, Timer::at(Time::ZERO), due)
        } else {
            driver.rearm_at(index, Nop, due)
        };
        assert!(armed);
        driver.turn(Until::Now).unwrap();
        assert!(driver.pop().is_none());
        driver.backend.clock = 1000;
        driver.turn(Until::Now).unwrap();
        let Some((_, outcome)) = driver.pop() else { panic!("it ends: {is_timer}") };
        assert_eq!(outcome.error(), Some(Error::Full));
        driver.delete(kept).unwrap();
        while driver.pop().is_some() {}
        assert_eq!(driver.active(), 0);
        driver.submit(Nop);
        driver.turn(Until::Now).unwrap();
        assert!(
            matches!(driver.pop(), Some((_, Outcome::Nop(NopDone { result: Ok(()) })))),
            "there is room for one"
        );
    }
}

/// The tokens of what the backend holds.
fn held(driver: &Driver<Manual>) -> Token {
    let &(index, arming) = driver.backend.held.keys().next().expect("something is held");
    Token { index, arming }
}

/// An outcome of the wrong kind, whose handle nobody will get, is closed and counted, in a loop as in a driver.
#[test]
fn a_wrong_outcome_in_a_loop_is_given_up() {
    let address = || "127.0.0.1:9".parse::<crate::Address>().unwrap();
    for as_item in [false, true] {
        let mut ev = Loop::<Manual, u32>::with_backend(Manual::default());
        let handle = ev.context().socket(Family::Ipv4).unwrap();
        let brought = ev.context().socket(Family::Ipv4).unwrap();
        if as_item {
            ev.context().submit_multishot(AcceptMany { listener: handle }, |errors, _cx, event| {
                let Event::Last(last) = event else { panic!("it was the last") };
                *errors += u32::from(last.output.error == Error::Backend);
                Flow::Continue
            });
        } else {
            ev.context().submit(Recv { handle, buffer: Buffer::zeroed(1) }, |errors, _cx, received| {
                *errors += u32::from(received.result == Err(Error::Backend));
            });
        }
        let driver = &mut ev.context().inner.driver;
        driver.turn(Until::Now).unwrap();
        let token = held(driver);
        driver.backend.held.clear();
        let parts = Outcome::Nop(NopDone { result: Ok(()) });
        driver.done.records.undecided(token).unwrap().outcome = Some(parts);
        *driver.done.undecided(token).unwrap() = if as_item {
            Outcome::AcceptManyItem(Connection { handle: brought, address: address() })
        } else {
            Outcome::Accept(Accepted { listener: handle, result: Ok((brought, address())) })
        };
        driver.done.decided(token);
        let mut errors = 0;
        ev.run(&mut errors, RunMode::NoWait).unwrap();
        assert_eq!(errors, 1);
        assert_eq!(ev.context().backend_faults(), 1);
        assert_eq!(ev.context().active(), 0);
        assert_eq!(ev.context().inner.driver.backend.open, [handle.slot().0], "what it brought is closed");
    }
}

/// What a wrong outcome owns is dropped.
#[test]
fn a_wrong_outcome_in_a_loop_leaks_nothing() {
    struct Noted(Rc<Cell<u32>>);
    impl Drop for Noted {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let mut ev = Loop::<Manual, u32>::with_backend(Manual::default());
    let handle = ev.context().socket(Family::Ipv4).unwrap();
    let dropped = Rc::new(Cell::new(0));
    let noted = Noted(Rc::clone(&dropped));
    ev.context().submit(Accept { listener: handle }, move |_, _cx, accepted| {
        let _noted = &noted;
        assert_eq!(accepted.result.err(), Some(Error::Backend));
    });
    let pool = ev.context().buffer_pool(1, 8).unwrap();
    let driver = &mut ev.context().inner.driver;
    driver.turn(Until::Now).unwrap();
    let token = held(driver);
    let buffer = pool.take().expect("there is one");
    driver.done.push(token, Outcome::Recv(Received { handle, buffer, result: Ok(0) }));
    driver.backend.held.clear();
    ev.run(&mut 0, RunMode::NoWait).unwrap();
    assert_eq!((ev.context().active(), dropped.get()), (0, 1));
    assert!(pool.take().is_some(), "the buffer has come back");
}

/// A token that core has not given out names nothing: neither what has ended, nor a free place.
#[test]
fn an_odd_token_is_none() {
    let mut driver = receiving();
    let token = held(&driver);
    let odd = Token { arming: token.arming + 1, ..token };
    receive_a_byte(&mut driver);
    let nop = || Outcome::Nop(NopDone { result: Ok(()) });
    driver.done.push(odd, nop());
    driver.done.decided(odd);
    assert!(driver.done.undecided(odd).is_none());
    assert!(driver.done.take(odd).is_none());
    let Some((_, Outcome::Recv(Received { result: Ok(1), .. }))) = driver.pop() else {
        panic!("it is what was received")
    };
    driver.done.push(odd, nop());
    assert!(driver.pop().is_none());
    assert_eq!(driver.turn(Until::Now), Err(Error::Backend));
    assert_eq!(driver.backend_faults(), 2);
    assert_eq!(driver.active(), 0);
}

/// An outcome for what was not started yet, whose token is easily guessed: it is a fault, and the operation ends, once.
#[test]
fn an_outcome_before_the_start() {
    for (closes, turns, pops) in
        [(false, 0, false), (false, 0, true), (false, 1, true), (true, 0, false), (true, 0, true)]
    {
        let mut driver = Driver::with_backend(Manual::default());
        let handle = driver.socket(Family::Ipv4).unwrap();
        let waits = driver.submit(Recv { handle, buffer: Buffer::zeroed(1) });
        let key = if closes {
            driver.submit(Close { handle })
        } else {
            driver.submit(Recv { handle, buffer: Buffer::zeroed(1) }.with_timeout(Duration::from_secs(1)))
        };
        for _ in 0..turns {
            driver.turn(Until::Now).unwrap();
        }
        let token = driver.done.records.token(key.name.index);
        driver.done.push(token, Outcome::Nop(NopDone { result: Ok(()) }));
        let mut ended = Vec::new();
        if pops {
            ended.extend(std::iter::from_fn(|| driver.pop()));
        }
        for _ in 0..4 {
            let _ = driver.turn(Until::Now);
            ended.extend(std::iter::from_fn(|| driver.pop()));
        }
        assert!(driver.backend_faults() > 0);
        driver.close(handle);
        driver.turn(Until::Now).unwrap();
        ended.extend(std::iter::from_fn(|| driver.pop()));
        let keys: Vec<Key> = ended.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, if closes { [waits, key] } else { [key, waits] });
        let result = ended.iter().find(|(ended, _)| *ended == key).and_then(|(_, outcome)| outcome.error());
        assert_eq!(result, if closes && pops { None } else { Some(Error::Backend) });
        assert_eq!((driver.active(), driver.backend.open.len(), driver.timers.len()), (0, 0, 0));
    }
}

/// Operations of core's that a backend has laid hands on before they were started.
#[test]
fn what_core_starts_itself_taken_away_before() {
    for takes in [false, true] {
        let mut driver = Driver::with_backend(Manual::default());
        let key = driver.submit(Nop);
        let token = driver.done.records.token(key.name.index);
        if takes {
            drop(driver.done.take(token));
        } else if let Some(outcome) = driver.done.undecided(token) {
            *outcome = End::Full.outcome();
        }
        let _ = driver.turn(Until::Now);
        let _ = driver.pop();
        assert!(driver.backend_faults() > 0);
        assert_eq!(driver.active(), 0);
    }
}

/// Arming again from the callback of one that was refused.
#[test]
fn refused_again_and_again() {
    let mut ev = Loop::<Manual, u32>::open(Config { max_operations: Some(1), ..Config::default() }).unwrap();
    let delay = Duration::from_nanos(10);
    ev.context().submit_rearm(Timer::after(delay), move |count, _cx, _| {
        *count += 1;
        if *count > 20 { Action::Disarm } else { Action::Rearm(Timer::after(delay)) }
    });
    ev.context().submit_rearm(Timer::after(delay), move |count, cx, _| {
        *count += 1;
        if *count > 20 { Action::Disarm } else { cx.rearm_after(delay, Timer::after(delay)) }
    });
    let mut count = 0;
    ev.run(&mut count, RunMode::UntilDone).unwrap();
    assert_eq!(ev.context().active(), 0);
}

/// An outcome for a close that core has itself is a fault; the handle closes all the same, and the close ends once, with what
/// closing says.
#[test]
fn an_outcome_for_a_close_under_way() {
    for (deleted, fits) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut driver = receiving();
        driver.backend.answers_late = true;
        let handle =
            Handle { name: crate::handle::Name { index: 0, generation: 0, tag: driver.done.records.tag() } };
        let key = driver.submit(Close { handle });
        // Whatever it was asked, it takes its time.
        driver.backend.asked.clear();
        driver.turn(Until::Now).unwrap();
        if deleted {
            driver.delete(key).unwrap();
        }
        let token = driver.done.records.token(key.name.index);
        let nop = Outcome::Nop(NopDone { result: Ok(()) });
        let closed = Outcome::Close(crate::Closed { handle, result: Err(Error::Full) });
        driver.done.push(token, if fits { closed } else { nop });
        assert!(driver.pop().is_none(), "something still uses it");
        assert_eq!((driver.backend_faults(), driver.turn(Until::Now)), (1, Err(Error::Backend)));
        receive_a_byte(&mut driver);
        let ended: Vec<_> = std::iter::from_fn(|| driver.pop()).collect();
        assert!(matches!(ended[0].1, Outcome::Recv(_)));
        assert_eq!(ended.len(), if deleted { 1 } else { 2 });
        if let Some((ended, outcome)) = ended.get(1) {
            assert_eq!((*ended, outcome.error()), (key, None));
        }
        assert_eq!((driver.active(), driver.backend.open.len(), driver.backend_faults()), (0, 0, 1));
    }
}

/// The same for a wait for a notifier, which ends as broken; what is notified later is nobody else's.
#[test]
fn an_outcome_for_a_wait_under_way() {
    for fits in [false, true] {
        let mut driver = Driver::with_backend(Manual::default());
        let handle = driver.socket(Family::Ipv4).unwrap();
        let [notifier, other] = [(); 2].map(|()| driver.notifier());
        let key = driver.submit(crate::NotifierWait { notifier: notifier.clone() });
        driver.turn(Until::Now).unwrap();
        let token = driver.done.records.token(key.name.index);
        let nop = Outcome::Nop(NopDone { result: Ok(()) });
        let notified = Outcome::NotifierWait(crate::Notified { notifier: other, result: Ok(()) });
        driver.done.push(token, if fits { notified } else { nop });
        let Some((ended, Outcome::NotifierWait(wait))) = driver.pop() else { panic!("it ends") };
        assert_eq!((ended, wait.result), (key, Err(Error::Backend)));
        assert_eq!((driver.turn(Until::Now), driver.notifier_waits), (Err(Error::Backend), 0));
        // In its place.
        let next = driver.submit(Recv { handle, buffer: Buffer::zeroed(1) });
        assert_eq!(next.name.index, key.name.index);
        driver.turn(Until::Now).unwrap();
        notifier.notify();
        driver.turn(Until::Now).unwrap();
        assert!(driver.pop().is_none());
        let wait = driver.submit(crate::NotifierWait { notifier });
        driver.turn(Until::Now).unwrap();
        assert!(driver.pop().is_some_and(|(ended, outcome)| ended == wait && outcome.error().is_none()));
        receive_a_byte(&mut driver);
        assert!(driver.pop().is_some());
        assert_eq!(driver.active(), 0);
    }
}
