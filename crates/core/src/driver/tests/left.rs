//! What has left its handle's queue before it is delivered, and the runs that deliver it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use super::*;
use crate::RunMode;
use crate::event_loop::Loop;

/// More are decided in one turn than can leave their queue before they are delivered: the rest waits, and nothing is out of order.
#[test]
fn more_are_decided_than_can_leave_their_queue() {
    let most = usize::from(u16::MAX);
    for closes in [false, true] {
        let mut driver = Driver::with_backend(Manual { decides: true, ..Manual::default() });
        let handle = driver.socket(Family::Ipv4).unwrap();
        let submit = |driver: &mut Driver<Manual>| driver.submit(Recv { handle, buffer: Buffer::zeroed(1) });
        let keys: Vec<Key> = (0..most + 3).map(|_| submit(&mut driver)).collect();
        driver.turn(Until::Now).unwrap();
        assert_eq!((driver.outcomes(), driver.state(keys[most + 1])), (most + 1, State::Adding));
        if closes {
            driver.close(handle);
        }
        let mut ended = Vec::new();
        for _ in 0..4 {
            assert_eq!(driver.backend.open.is_empty(), closes && ended.len() == keys.len());
            while let Some((key, outcome)) = driver.pop() {
                ended.push(key);
                let is_cut = closes && ended.len() > most + 1;
                assert_eq!(outcome.error(), is_cut.then_some(Error::Canceled));
            }
            driver.turn(Until::Now).unwrap();
        }
        assert!(ended == keys, "first in, first out");
        assert_eq!((driver.active(), driver.backend.open.is_empty()), (0, closes));
        assert_eq!(
            driver.detach(handle).err(),
            Some(if closes { Error::StaleHandle } else { Error::Unsupported })
        );
    }
}

/// Those that have left their queue keep the handle from closing until the last is delivered, or would have been, and no longer.
#[test]
fn what_has_left_postpones_a_close() {
    for (deletes, asks) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut driver = Driver::with_backend(Manual { decides: true, ..Manual::default() });
        let handle = driver.socket(Family::Ipv4).unwrap();
        let keys = [(); 4].map(|()| driver.submit(Recv { handle, buffer: Buffer::zeroed(1) }));
        driver.turn(Until::Now).unwrap();
        if asks {
            driver.submit(Close { handle });
        } else {
            driver.close(handle);
        }
        driver.turn(Until::Now).unwrap();
        assert_eq!(keys.map(|key| driver.cancel(key)), [Cancel::TooLate; 4]);
        let mut expected = Vec::new();
        for (which, &key) in keys.iter().enumerate() {
            if deletes && which != 1 {
                driver.delete(key).unwrap();
            } else {
                expected.push(key);
            }
        }
        for key in expected {
            assert!(!driver.backend.open.is_empty(), "one of them is still to be delivered");
            assert_eq!(driver.pop().map(|(key, _)| key), Some(key));
        }
        let mut rest: Vec<Outcome> = Vec::new();
        for _ in 0..2 {
            rest.extend(std::iter::from_fn(|| driver.pop()).map(|(_, outcome)| outcome));
            driver.turn(Until::Now).unwrap();
        }
        assert_eq!(rest.len(), usize::from(asks));
        assert!(
            rest.iter().all(|outcome| matches!(outcome, Outcome::Close(closed) if closed.result == Ok(())))
        );
        assert!(driver.backend.open.is_empty());
        assert_eq!((driver.active(), driver.backend_faults()), (0, 0));
    }
}

/// A callback that panics over one of several that have left their queue costs that one alone.
#[test]
fn a_panic_over_one_that_has_left() {
    for which in 0..3 {
        let backend = Manual { decides: true, ..Manual::default() };
        let mut ev = Loop::<Manual, Vec<usize>>::with_backend(backend);
        let handle = ev.context().socket(Family::Ipv4).unwrap();
        for number in 0..3 {
            ev.context().submit(
                Recv { handle, buffer: Buffer::zeroed(1) },
                move |ended: &mut Vec<usize>, cx, _| {
                    if number == 0 {
                        cx.close(handle);
                    }
                    assert_ne!(number, which, "it was told to");
                    ended.push(number);
                },
            );
        }
        let mut ended = Vec::new();
        assert!(catch_unwind(AssertUnwindSafe(|| ev.run(&mut ended, RunMode::UntilDone))).is_err());
        assert_eq!(ev.context().inner.driver.backend.open.is_empty(), which == 2);
        ev.run(&mut ended, RunMode::UntilDone).unwrap();
        assert!(ended.iter().copied().eq((0..3).filter(|&number| number != which)));
        assert!(ev.context().inner.driver.backend.open.is_empty());
        assert_eq!(ev.context().active(), 0);
    }
}

/// What has left its queue goes with the loop, and nothing is called back.
#[test]
fn a_loop_goes_with_what_has_left() {
    let captured = Rc::new(());
    let mut ev = Loop::<Manual, ()>::with_backend(Manual { decides: true, ..Manual::default() });
    let handle = ev.context().socket(Family::Ipv4).unwrap();
    for _ in 0..3 {
        let captured = Rc::clone(&captured);
        ev.context().submit(Recv { handle, buffer: Buffer::zeroed(1) }, move |(), cx, _| {
            assert!(Rc::strong_count(&captured) > 0);
            cx.stop();
        });
    }
    ev.run(&mut (), RunMode::UntilDone).unwrap();
    assert_eq!((Rc::strong_count(&captured), ev.context().active()), (3, 2));
    drop(ev);
    assert_eq!(Rc::strong_count(&captured), 1);
}

/// What a callback says about the run, and what becomes of that, in each mode.
#[test]
fn a_callback_ends_each_kind_of_run() {
    type Says = fn(&mut crate::Context<'_, Manual, u32>);
    let says: [(Says, u32, bool, bool); 6] = [
        (|cx| cx.stop(), 1, false, true),
        (|cx| (cx.stop(), cx.resume()).1, 2, false, false),
        (|cx| cx.fail(Error::Busy), 1, true, false),
        (|cx| (cx.fail(Error::Busy), cx.resume()).1, 1, true, false),
        (|cx| (cx.fail(Error::Busy), cx.stop()).1, 1, true, true),
        (|cx| (cx.stop(), cx.fail(Error::Busy), cx.resume(), cx.fail(Error::Full)).3, 1, true, false),
    ];
    type Run = fn(&mut Loop<Manual, u32>, &mut u32) -> io::Result<()>;
    let runs: [Run; 5] = [
        |ev, count| ev.run(count, RunMode::NoWait),
        |ev, count| ev.run(count, RunMode::Once),
        |ev, count| ev.run(count, RunMode::UntilDone),
        |ev, count| ev.run_until(count, Time::NEVER),
        |ev, count| ev.run_for(count, std::time::Duration::from_secs(1)),
    ];
    for (say, called, fails, stops) in says {
        for measures in [false, true] {
            for run in runs {
                let config = if measures { Config::default().measure() } else { Config::default() };
                let mut ev = Loop::<Manual, u32>::open(config).unwrap();
                ev.context().submit(Nop, move |count: &mut u32, cx, _| {
                    *count += 1;
                    say(cx);
                });
                ev.context().submit(Nop, |count: &mut u32, _, _| *count += 1);
                let mut count = 0;
                let error = run(&mut ev, &mut count).err();
                let error = error.and_then(|error| error.downcast::<Error>().ok());
                assert_eq!((count, error), (called, fails.then_some(Error::Busy)));
                // A stop lasts, a failure does not.
                run(&mut ev, &mut count).unwrap();
                assert_eq!(count, if stops { 1 } else { 2 });
                ev.context().resume();
                run(&mut ev, &mut count).unwrap();
                assert_eq!((count, ev.context().active()), (2, 0));
                // Before a run, both count as well, and the failure comes out first.
                ev.context().submit(Nop, |count: &mut u32, _, _| *count += 1);
                ev.context().stop();
                ev.context().fail(Error::Full);
                assert!(run(&mut ev, &mut count).is_err());
                run(&mut ev, &mut count).unwrap();
                assert_eq!((count, ev.context().active()), (2, 1));
                ev.context().resume();
                run(&mut ev, &mut count).unwrap();
                assert_eq!((count, ev.context().active()), (3, 0));
            }
        }
    }
}
