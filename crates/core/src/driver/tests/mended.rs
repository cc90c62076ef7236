//! Defects that once were.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::event_loop::Loop;
use crate::{Closed, RunMode};

/// A delay holds for a close too: the handle is open until it is over.
#[test]
fn a_delayed_close_waits_for_its_delay() {
    let mut driver = Driver::with_backend(Manual::default());
    let [first, second] = [(); 2].map(|()| driver.socket(Family::Ipv4).unwrap());
    let key = driver.submit(Close { handle: first });
    driver.turn(Until::Now).unwrap();
    let Next::Last { index, .. } = driver.next() else { panic!("it has closed") };
    drop(driver.done.records.take_back(index));
    let due = Time::from_nanos(1000);
    assert!(driver.rearm_at(index, Close { handle: second }, due));
    driver.backend.clock = 900;
    driver.turn(Until::Now).unwrap();
    assert!(driver.pop().is_none());
    let received = driver.submit(Recv { handle: second, buffer: Buffer::zeroed(1) });
    driver.turn(Until::Now).unwrap();
    assert_eq!(driver.state(received), State::Active, "the handle is open");
    driver.backend.clock = 1000;
    driver.turn(Until::Now).unwrap();
    driver.turn(Until::Now).unwrap();
    let Some((ended, Outcome::Recv(Received { result: Err(Error::Canceled), .. }))) = driver.pop() else {
        panic!("what is pending ends first")
    };
    assert_eq!(ended, received);
    driver.turn(Until::Now).unwrap();
    let Some((closed, Outcome::Close(Closed { result: Ok(()), .. }))) = driver.pop() else {
        panic!("it closes")
    };
    assert_eq!(closed, key);
    assert_eq!((driver.active(), driver.backend.open.len()), (0, 0));
}

/// One that is cancelled in its delay leaves the handle open; one whose handle has gone meanwhile says so.
#[test]
fn a_delayed_close_can_be_cancelled() {
    for closes in [false, true] {
        let mut driver = Driver::with_backend(Manual::default());
        let [first, second] = [(); 2].map(|()| driver.socket(Family::Ipv4).unwrap());
        let key = driver.submit(Close { handle: first });
        driver.turn(Until::Now).unwrap();
        let Next::Last { index, .. } = driver.next() else { panic!("it has closed") };
        drop(driver.done.records.take_back(index));
        assert!(driver.rearm_at(index, Close { handle: second }, Time::from_nanos(1000)));
        if closes {
            driver.close(second);
            driver.backend.clock = 1000;
            driver.turn(Until::Now).unwrap();
        } else {
            assert_eq!(driver.cancel(key), Cancel::Requested);
            assert_eq!(driver.timers.len(), 0);
        }
        let Some((_, Outcome::Close(Closed { result, .. }))) = driver.pop() else { panic!("it ends") };
        assert_eq!(result, Err(if closes { Error::StaleHandle } else { Error::Canceled }));
        assert_eq!(driver.backend.open.len(), usize::from(!closes));
        assert_eq!(driver.active(), 0);
    }
}

/// Contract L1: what waits behind one that is delayed for ever has nothing to wait for either.
#[test]
fn what_waits_behind_a_delay_for_ever_is_a_deadlock() {
    let mut driver = receiving();
    receive_a_byte(&mut driver);
    let Next::Last { index, .. } = driver.next() else { panic!("an outcome is queued") };
    let Some(Outcome::Recv(Received { handle, buffer, .. })) = driver.done.records.take_back(index) else {
        panic!("it is a receive's")
    };
    assert!(driver.rearm_at(index, Recv { handle, buffer }, Time::NEVER));
    let second = driver.submit(Recv { handle, buffer: Buffer::zeroed(1) });
    assert_eq!(driver.turn(Until::Forever), Err(Error::Deadlock));
    // With something that is the system's it is none.
    let other = driver.socket(Family::Ipv4).unwrap();
    let outside = driver.submit(Recv { handle: other, buffer: Buffer::zeroed(1) });
    driver.turn(Until::Forever).unwrap();
    driver.delete(outside).unwrap();
    while driver.pop().is_some() {}
    assert_eq!(driver.turn(Until::Forever), Err(Error::Deadlock));
    assert_eq!(driver.cancel(second), Cancel::Requested);
    assert!(driver.pop().is_some());
}

/// A backend that panics in `start` loses nothing but what it panicked over.
#[test]
fn a_panic_of_the_backend_loses_nothing_else() {
    let mut driver = Driver::with_backend(Manual::default());
    let handles = [(); 3].map(|()| driver.socket(Family::Ipv4).unwrap());
    let keys = handles.map(|handle| driver.submit(Recv { handle, buffer: Buffer::zeroed(1) }));
    let timer = driver.submit(Timer::at(Time::ZERO));
    driver.backend.open.retain(|slot| *slot != handles[1].slot().0);
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| driver.turn(Until::Now)));
    assert!(unwound.is_err(), "it is no slot of the backend's");
    assert_eq!(driver.state(keys[2]), State::Adding);
    let later = driver.submit(Nop);
    driver.turn(Until::Now).unwrap();
    assert_eq!(driver.state(keys[0]), State::Active);
    assert_eq!(driver.state(keys[2]), State::Active);
    let ended: Vec<Key> = std::iter::from_fn(|| driver.pop()).map(|(key, _)| key).collect();
    assert_eq!(ended, [later, timer]);
}

/// A backend that panics in `close`, which the delivery of the last outcome makes it do, loses that outcome as little.
#[test]
fn a_panic_in_close_loses_no_outcome() {
    for (told, deleted) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut driver = Driver::with_backend(Manual::default());
        let handle = driver.socket(Family::Ipv4).unwrap();
        let received = driver.submit(Recv { handle, buffer: Buffer::zeroed(1) });
        driver.turn(Until::Now).unwrap();
        driver.backend.answers_late = true;
        let closed = told.then(|| driver.submit(Close { handle }));
        if !told {
            driver.close(handle);
        }
        if deleted {
            driver.delete(received).unwrap();
        }
        driver.turn(Until::Now).unwrap();
        driver.turn(Until::Now).unwrap();
        // It knows nothing of the slot, which it says by a panic.
        driver.backend.open.clear();
        assert!(catch_unwind(AssertUnwindSafe(|| driver.pop())).is_err());
        let ended: Vec<_> =
            std::iter::from_fn(|| driver.pop()).map(|(key, end)| (key, end.error())).collect();
        let expected = [
            (!deleted).then_some((received, Some(Error::Canceled))),
            closed.map(|key| (key, Some(Error::Backend))),
        ];
        assert_eq!(ended, expected.into_iter().flatten().collect::<Vec<_>>());
        assert_eq!(driver.active(), 0);
        let next = driver.socket(Family::Ipv4).unwrap();
        assert_ne!(next.slot(), handle.slot(), "nobody knows what is there");
    }
}

/// The same of a close on the pool, whose outcome would come from there.
#[test]
fn a_panic_in_a_close_on_the_pool_loses_no_outcome() {
    let mut driver = Driver::with_backend(Manual::default());
    let handle = driver.socket(Family::Ipv4).unwrap();
    driver.backend.open.clear();
    let closed = driver.submit(Close { handle }.on_pool());
    assert!(catch_unwind(AssertUnwindSafe(|| driver.turn(Until::Now))).is_err());
    driver.turn(Until::Now).unwrap();
    let (key, outcome) = driver.pop().expect("it ends all the same");
    assert_eq!((key, outcome.error()), (closed, Some(Error::Backend)));
    assert_eq!(driver.active(), 0);
    let next = driver.socket(Family::Ipv4).unwrap();
    assert_ne!(next.slot(), handle.slot(), "nobody knows what is there");
}

/// The same in a loop, whose callback is called by the next run.
#[test]
fn a_panic_in_close_loses_no_callback() {
    let mut ev = Loop::<Manual, u32>::with_backend(Manual::default());
    let mut cx = ev.context();
    let handle = cx.socket(Family::Ipv4).unwrap();
    for _ in 0..2 {
        cx.submit(Recv { handle, buffer: Buffer::zeroed(1) }, |ended, _cx, received| {
            assert_eq!(received.result, Err(Error::Canceled));
            *ended += 1;
        });
    }
    let mut ended = 0;
    ev.run(&mut ended, RunMode::NoWait).unwrap();
    ev.context().close(handle);
    ev.context().inner.driver.backend.open.clear();
    assert!(catch_unwind(AssertUnwindSafe(|| ev.run(&mut ended, RunMode::NoWait))).is_err());
    ev.run(&mut ended, RunMode::NoWait).unwrap();
    assert_eq!((ended, ev.context().active()), (2, 0));
}
