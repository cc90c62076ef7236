//! Callbacks that panic, where panics unwind (contract C6).

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use proactor_core::{
    Action, Backend, Event, Flow, Loop, Nop, NotifierWait, RunMode, SendAll, State, Time, Timer,
};

use crate::Fixture;
use crate::steps::{Captures, IPV4, Steps, join_at, listener, run_until};

/// Runs, and says whether it panicked.
fn panics<B: Backend, S>(ev: &mut Loop<B, S>, state: &mut S, mode: RunMode) -> bool {
    catch_unwind(AssertUnwindSafe(|| ev.run(state, mode).unwrap())).is_err()
}

/// The first of ten outcomes of one batch panics: the other nine stay queued and are delivered by the next run.
pub(crate) fn a_panic_in_the_first_of_ten_loses_no_other<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<Vec<u32>>();
    let captures = Captures::default();
    let held = captures.capture();
    let first = ev.context().submit(Nop, move |order: &mut Vec<u32>, _, _| {
        order.push(0);
        let _held = held;
        panic!("expected: the first of ten");
    });
    for number in 1..10 {
        ev.context().submit(Nop, move |order: &mut Vec<u32>, _, done| {
            assert_eq!(done.result, Ok(()));
            order.push(number);
        });
    }
    let mut order = Vec::new();
    assert!(panics(&mut ev, &mut order, RunMode::UntilDone));
    assert_eq!(order, [0]);
    assert_eq!((ev.context().state(first), captures.held()), (State::Dead, 0));
    assert_eq!(ev.context().active(), 9);
    assert!(!panics(&mut ev, &mut order, RunMode::UntilDone));
    assert_eq!(order, (0..10).collect::<Vec<_>>());
    assert_eq!(ev.context().active(), 0);
}

fn count_and_panic(count: &mut u32) -> ! {
    *count += 1;
    panic!("expected: every form");
}

/// Every callback panics, of every form: each run ends with one of them, and the loop goes on.
pub(crate) fn the_loop_outlives_a_panic_in_every_form_of_callback<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<u32>();
    let (listener, address) = listener(&mut ev.context(), IPV4);
    let notifier = ev.context().notifier();
    let mut cx = ev.context();
    cx.submit(Nop, move |count: &mut u32, _, _| count_and_panic(count));
    cx.submit_rearm(Nop, move |count: &mut u32, _, _| -> Action<Nop> { count_and_panic(count) });
    cx.timer_after(Duration::ZERO, move |count: &mut u32, _| count_and_panic(count));
    cx.submit(NotifierWait { notifier: notifier.clone() }, move |count: &mut u32, _, _| {
        count_and_panic(count)
    });
    notifier.notify();
    let mut count = 0;
    let mut runs = 0;
    while ev.context().active() > 0 {
        runs += u32::from(panics(&mut ev, &mut count, RunMode::UntilDone));
    }
    assert_eq!((count, runs), (4, 4));

    let many = proactor_core::AcceptMany { listener };
    let key = ev.context().submit_multishot(many, move |count: &mut u32, _, event| match event {
        Event::More(_) => count_and_panic(count),
        Event::Last(_) => Flow::Stop,
    });
    let client = ev.context().socket(address.family()).unwrap();
    ev.context().submit(
        proactor_core::Connect { handle: client, address: address.clone() },
        |_, _, connected| {
            assert_eq!(connected.result, Ok(()));
        },
    );
    while count == 4 {
        panics(&mut ev, &mut count, RunMode::Once);
    }
    // It was armed, and asked to end by its panic.
    assert!(!panics(&mut ev, &mut count, RunMode::UntilDone));
    assert_eq!((count, ev.context().state(key), ev.context().active()), (5, State::Dead, 0));
    let (one, _other) = join_at(&mut ev, &mut count, listener, &address);
    let sent = crate::steps::start(&mut ev.context(), SendAll { handle: one, buffer: b"alive".into() });
    run_until(&mut ev, &mut count, || sent.is_done());
    assert_eq!(sent.take().result, Ok(()));
}

/// Panics when it is dropped, and counts that.
struct Bomb(Rc<Cell<u32>>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
        if !std::thread::panicking() {
            panic!("expected: dropped captures");
        }
    }
}

/// A panic when the captures of a deleted callback are dropped: it comes out once, wherever that is, and nothing else
/// is lost.
pub(crate) fn a_panic_in_the_drop_of_captures_loses_nothing_else<B: Backend>(fixture: &Fixture<B>) {
    let drops = Rc::new(Cell::new(0));
    let mut ev = fixture.open_state::<u32>();
    let mut keys = Vec::new();
    for _ in 0..2 {
        let bomb = Bomb(Rc::clone(&drops));
        keys.push(ev.context().submit(Timer::at(Time::NEVER), move |_, _, _| drop(bomb)));
    }
    let mut seen = 0;
    for _ in 0..2 {
        ev.context().timer_after(Duration::from_millis(1), |seen: &mut u32, _| *seen += 1);
    }
    // One is deleted while it is queued, the other once it waits.
    let deletes = |ev: &mut Loop<B, u32>, key| {
        let delete = || ev.context().delete(key).unwrap();
        u32::from(catch_unwind(AssertUnwindSafe(delete)).is_err())
    };
    let mut panicked = deletes(&mut ev, keys[0]);
    panicked += u32::from(panics(&mut ev, &mut seen, RunMode::NoWait));
    panicked += deletes(&mut ev, keys[1]);
    while ev.context().active() > 0 {
        panicked += u32::from(panics(&mut ev, &mut seen, RunMode::UntilDone));
    }
    assert_eq!((drops.get(), panicked, seen), (2, 2, 2));
    assert!(keys.into_iter().all(|key| ev.context().state(key) == State::Dead));
    let nop = crate::steps::start(&mut ev.context(), Nop);
    ev.run(&mut seen, RunMode::Once).unwrap();
    assert_eq!(nop.take().result, Ok(()));
}

/// A panic leaves the panicking completion dead, its captures dropped, also where it would have re-armed; a loop that
/// is dropped right after lets go of everything (the harness looks).
pub(crate) fn a_loop_can_be_dropped_after_a_panic<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let captures = Captures::default();
    let held = captures.capture();
    let key = ev.context().submit_rearm(Timer::at(Time::ZERO), move |(), _, _| {
        assert_eq!(held.held(), 0, "expected: still held");
        Action::Disarm
    });
    let others = captures.capture();
    let recv = proactor_core::Recv { handle: server, buffer: vec![0; 64].into() };
    ev.context().submit(recv, move |(), _, _| drop(others));
    ev.context().submit(SendAll { handle: client, buffer: vec![1; 1 << 20].into() }, |(), _, _| ());
    assert!(panics(&mut ev, &mut (), RunMode::Once));
    assert_eq!((ev.state(key), captures.held()), (State::Dead, 1));
    drop(ev);
    assert_eq!(captures.held(), 0);
}
