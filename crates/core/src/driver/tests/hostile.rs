//! Backends that go wrong over what they are asked to decide at once.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::event_loop::Loop;
use crate::outcome::NopDone;
use crate::{RunMode, Work};

/// A panic over one that follows another.
#[test]
fn a_panic_over_a_follower() {
    let mut driver = Driver::with_backend(Manual { decides: true, ..Manual::default() });
    let [first, second] = [(); 2].map(|()| driver.socket(Family::Ipv4).unwrap());
    let recv = |handle| Recv { handle, buffer: Buffer::zeroed(1) };
    let a = driver.submit(recv(first));
    let x = driver.submit(recv(second));
    let b = driver.submit(recv(first));
    let c = driver.submit(recv(first));
    let y = driver.submit(recv(second));
    driver.backend.attempts_to_panic = Some(2);
    assert!(catch_unwind(AssertUnwindSafe(|| driver.turn(Until::Now))).is_err());
    assert_eq!(driver.metrics().starting, 1);
    assert_eq!(driver.prepare_wait(), Ok(Until::Now));
    let z = driver.submit(recv(second));
    driver.turn(Until::Forever).unwrap();
    let ended: Vec<Key> = std::iter::from_fn(|| driver.pop()).map(|(key, _)| key).collect();
    assert_eq!(ended, [a, x, y, z]);
    assert_eq!((driver.state(b), driver.state(c)), (State::Active, State::Adding));
    assert_eq!(driver.cancel(c), Cancel::Requested);
    let ended: Vec<Key> = std::iter::from_fn(|| driver.pop()).map(|(key, _)| key).collect();
    assert_eq!(ended, [c]);
}

/// What a backend has exchanged is a fault.
#[test]
fn exchanged_work_is_a_fault() {
    let mut ev = Loop::<Manual, u32>::with_backend(Manual::default());
    ev.context().submit(Work::new(|| 5_u32), |count, _cx, _| *count += 1);
    ev.context().submit(Work::new(String::new), |count, _cx, _| *count += 1);
    let driver = &mut ev.context().inner.driver;
    let tokens = [0, 1].map(|index| driver.done.records.token(index));
    let nop = || Outcome::Nop(NopDone { result: Ok(()) });
    let [first, second] = tokens.map(|token| std::mem::replace(driver.done.undecided(token).unwrap(), nop()));
    *driver.done.undecided(tokens[0]).unwrap() = second;
    *driver.done.undecided(tokens[1]).unwrap() = first;
    let mut called = 0;
    for _ in 0..100 {
        let _ = ev.run(&mut called, RunMode::NoWait);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(ev.context().active(), 0);
    assert!(ev.context().backend_faults() > 0, "called {called}");
}

/// What has left its queue names its own handle, also where its parts are lost and another has taken the slot since.
#[test]
fn lost_parts_after_another_took_the_slot() {
    let mut driver = Driver::with_backend(Manual { decides: true, swaps: true, ..Manual::default() });
    let handle = driver.socket(Family::Ipv4).unwrap();
    driver.submit(Recv { handle, buffer: Buffer::zeroed(1) });
    driver.submit(Recv { handle, buffer: Buffer::zeroed(1) }.with_deadline(Time::ZERO));
    driver.turn(Until::Now).unwrap();
    driver.close(handle);
    let other = driver.socket(Family::Ipv4).unwrap();
    let Some((_, Outcome::Recv(received))) = driver.pop() else { panic!("it ends") };
    assert_eq!(received.result, Err(Error::Backend));
    assert_ne!(received.handle, other, "it was never on that");
}

/// An outcome that came before the start, of what was deleted since, is nobody else's.
#[test]
fn a_stale_entry_is_nobodys() {
    let mut driver = Driver::with_backend(Manual::default());
    let handle = driver.socket(Family::Ipv4).unwrap();
    let key = driver.submit(Recv { handle, buffer: Buffer::zeroed(1) });
    let token = driver.done.records.token(key.name.index);
    driver.done.decided(token);
    driver.delete(key).unwrap();
    let next = driver.submit(Recv { handle, buffer: Buffer::zeroed(1) });
    assert_eq!(next.name.index, key.name.index);
    let _ = driver.turn(Until::Now);
    assert!(driver.pop().is_none(), "the backend has it");
    assert_eq!(driver.backend_faults(), 1);
}

/// A close that panics between what was decided at once and its callback: that is called later, once.
#[test]
fn a_panic_over_the_close_before_a_delivery() {
    for (count, vetoes) in [(1, false), (1, true), (3, false), (3, true)] {
        let backend = Manual { decides: true, ..Manual::default() };
        let mut ev = Loop::<Manual, Vec<Result<usize, Error>>>::with_backend(backend);
        let handle = ev.context().socket(Family::Ipv4).unwrap();
        let other = ev.context().socket(Family::Ipv4).unwrap();
        for _ in 0..count {
            ev.context().submit_rearm(
                Recv { handle, buffer: Buffer::zeroed(1) },
                move |results: &mut Vec<_>, _, received| {
                    results.push(received.result);
                    if received.result.is_err() {
                        return crate::Action::Disarm;
                    }
                    crate::Action::Rearm(Recv { handle: other, buffer: received.buffer })
                },
            );
        }
        ev.context().inner.driver.turn(Until::Now).unwrap();
        ev.context().close(handle);
        if vetoes {
            ev.context().cancel_all();
        }
        let driver = &mut ev.context().inner.driver;
        driver.backend.close_panics = true;
        driver.backend.decides = false;
        let mut results = Vec::new();
        let ran = catch_unwind(AssertUnwindSafe(|| ev.run(&mut results, RunMode::NoWait)));
        assert!(ran.is_err());
        ev.run(&mut results, RunMode::NoWait).unwrap();
        assert_eq!(results[..count], vec![Ok(1); count]);
        ev.run(&mut results, RunMode::NoWait).unwrap();
        let canceled = results.iter().filter(|result| **result == Err(Error::Canceled)).count();
        assert_eq!(canceled, if vetoes { count } else { 0 });
        ev.context().close(other);
        ev.run(&mut results, RunMode::UntilDone).unwrap();
        assert_eq!((ev.context().active(), results.len()), (0, 2 * count));
    }
}
