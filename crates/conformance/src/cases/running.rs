//! Running: modes, bounds, stopping, the order within a turn (contract L1 to L4).

use std::io;
use std::time::{Duration, Instant};

use proactor_core::{
    Accept, Action, Backend, Cancel, Context, Error, Nop, NotifierWait, Recv, RunMode, SendAll, State, Time,
    Timer,
};

use crate::Fixture;
use crate::steps::{IPV4, Log, Steps, pair_on};

const MS: Duration = Duration::from_millis(1);

/// Nothing to do: every mode is done at once.
pub(crate) fn an_empty_loop_is_done_at_once<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    for mode in [RunMode::NoWait, RunMode::Once, RunMode::UntilDone] {
        ev.run(&mut (), mode).unwrap();
    }
    assert_eq!(ev.context().active(), 0);
}

/// `NoWait` takes what was ready when it began, and what its callbacks submit is for the next.
pub(crate) fn no_wait_takes_what_was_ready_at_entry<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let log = Log::new();
    for _ in 0..5 {
        let seen = log.clone();
        ev.context().submit_rearm(Nop, move |(), _, _| {
            seen.push(());
            Action::Rearm(Nop)
        });
    }
    for _ in 0..10 {
        ev.no_wait();
        assert_eq!(log.take().len(), 5, "each once");
    }
    ev.context().cancel_all();
}

/// It never blocks, though what is under way will take for ever.
pub(crate) fn no_wait_never_blocks<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (_client, server) = ev.pair();
    let (listener, _) = ev.listener();
    let notifier = ev.context().notifier();
    let timer = ev.start(Timer::after(Duration::from_secs(1000)));
    let notified = ev.start(NotifierWait { notifier });
    let received = ev.start(Recv { handle: server, buffer: vec![0; 8].into() });
    let accepted = ev.start(Accept { listener });
    for _ in 0..100 {
        ev.no_wait();
    }
    assert!(!timer.is_done() && !notified.is_done() && !received.is_done() && !accepted.is_done());
    assert_eq!(ev.context().active(), 4);
}

/// `Once` returns after at least one callback, though several things take their time.
pub(crate) fn once_returns_after_a_callback<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<u32>();
    for delay in 1..=5 {
        ev.context().timer_after(delay * 2 * MS, |count: &mut u32, _| *count += 1);
    }
    let mut count = 0;
    let mut runs = 0;
    while ev.context().active() > 0 {
        let before = count;
        ev.run(&mut count, RunMode::Once).unwrap();
        assert!(count > before, "at least one callback a run");
        runs += 1;
    }
    assert!(count == 5 && runs <= 5);
}

/// Everything that `UntilDone` waits for: adding, active, deleting, and what callbacks submit.
pub(crate) fn until_done_waits_for_everything<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<Vec<&'static str>>();
    let mut order = Vec::new();
    let (_client, server) = pair_on(&mut ev, &mut order, IPV4);
    let recv = Recv { handle: server, buffer: vec![0; 8].into() };
    let key = ev.context().submit(recv, |order: &mut Vec<_>, _, received| {
        assert_eq!(received.result, Err(Error::Canceled));
        order.push("cancelled");
    });
    ev.run(&mut order, RunMode::NoWait).unwrap();
    assert_eq!(ev.context().cancel(key), Cancel::Requested);
    ev.context().timer_after(MS, |order: &mut Vec<_>, cx| {
        order.push("timer");
        cx.timer_after(MS, |order: &mut Vec<_>, _| order.push("its timer"));
    });
    ev.run(&mut order, RunMode::UntilDone).unwrap();
    assert_eq!(order, ["cancelled", "timer", "its timer"]);
    assert_eq!(ev.context().active(), 0);
}

/// `run_for` and `run_until` end when their time is up, though things are under way, and not before.
pub(crate) fn bounded_runs_end_in_time<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let timer = ev.start(Timer::after(Duration::from_secs(1_000_000)));
    let real = Instant::now();
    let begin = ev.context().update_now();
    ev.run_for(&mut (), 5 * MS).unwrap();
    assert!(ev.context().update_now().since(begin) >= 5 * MS);
    let until = ev.context().update_now() + 5 * MS;
    ev.run_until(&mut (), until).unwrap();
    assert!(ev.context().update_now() >= until);
    assert!(real.elapsed() < Duration::from_secs(10), "bounded: {:?}", real.elapsed());
    assert!(!timer.is_done());
    // Bounds that have passed, or are zero, still take what is ready.
    let nop = ev.start(Nop);
    ev.run_until(&mut (), Time::ZERO).unwrap();
    assert_eq!(nop.take().result, Ok(()));
    let nop = ev.start(Nop);
    ev.run_for(&mut (), Duration::ZERO).unwrap();
    assert_eq!(nop.take().result, Ok(()));
}

/// Within its time a bounded run goes on after the first callback.
pub(crate) fn a_bounded_run_takes_all_that_comes<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<u32>();
    for delay in 0..5 {
        ev.context().timer_after(delay * MS, |count: &mut u32, _| *count += 1);
    }
    ev.context().timer_after(Duration::from_secs(1_000_000), |count: &mut u32, _| *count += 100);
    let mut count = 0;
    ev.run_for(&mut count, 50 * MS).unwrap();
    assert_eq!(count, 5);
}

/// Its bounds may be the extremes.
pub(crate) fn bounds_may_be_extreme<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<u32>();
    ev.context().timer_after(MS, |count: &mut u32, _| *count += 1);
    let mut count = 0;
    ev.run_for(&mut count, Duration::MAX).unwrap();
    assert_eq!(count, 1);
    ev.context().timer_after(MS, |count: &mut u32, _| *count += 1);
    ev.run_until(&mut count, Time::NEVER).unwrap();
    assert_eq!(count, 2);
}

/// Stopped inside a callback: what else is ready stays queued, for as long as it is stopped.
pub(crate) fn stop_keeps_what_is_ready<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<Vec<u32>>();
    for number in 0..10 {
        ev.context().submit(Nop, move |order: &mut Vec<u32>, cx, _| {
            order.push(number);
            if number == 3 {
                cx.stop();
            }
        });
    }
    let mut order = Vec::new();
    ev.run(&mut order, RunMode::UntilDone).unwrap();
    assert_eq!(order, [0, 1, 2, 3]);
    for mode in [RunMode::NoWait, RunMode::Once, RunMode::UntilDone] {
        ev.run(&mut order, mode).unwrap();
        ev.run_for(&mut order, Duration::from_secs(1000)).unwrap();
    }
    assert_eq!((order.len(), ev.context().active()), (4, 6), "it lasts until resume");
    ev.context().resume();
    ev.run(&mut order, RunMode::UntilDone).unwrap();
    assert_eq!(order, (0..10).collect::<Vec<_>>());
}

/// Stopped before it runs, with a timer that would take a thousand seconds.
pub(crate) fn stop_before_run_lasts<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let timer = ev.start(Timer::after(Duration::from_secs(1000)));
    ev.context().stop();
    for mode in [RunMode::UntilDone, RunMode::Once, RunMode::NoWait] {
        ev.run(&mut (), mode).unwrap();
    }
    assert_eq!((timer.is_done(), ev.context().active()), (false, 1));
    ev.context().resume();
    ev.no_wait();
    assert_eq!(ev.state(timer.key), State::Active);
}

/// Stopped in the middle of a run by a timer, with a longer one under way.
pub(crate) fn stop_during_run_leaves_the_rest_under_way<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let long = ev.start(Timer::after(Duration::from_secs(1_000_000)));
    ev.context().timer_after(MS, |(), cx| cx.stop());
    ev.run(&mut (), RunMode::UntilDone).unwrap();
    assert_eq!((long.is_done(), ev.state(long.key)), (false, State::Active));
    ev.context().resume();
    assert_eq!(ev.cancel(long.key), Cancel::Requested);
    ev.until_done();
}

/// An error that a callback reports comes out of `run`, once, and the loop can go on.
pub(crate) fn fail_leaves_through_run<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<u32>();
    ev.context().submit(Nop, |count: &mut u32, cx, _| {
        *count += 1;
        cx.fail(io::Error::new(io::ErrorKind::InvalidData, "bad message"));
    });
    ev.context().submit(Nop, |count: &mut u32, _, _| *count += 1);
    let mut count = 0;
    let error = ev.run(&mut count, RunMode::UntilDone).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str(), count),
        (io::ErrorKind::InvalidData, "bad message", 1)
    );
    ev.run(&mut count, RunMode::UntilDone).unwrap();
    assert_eq!((count, ev.context().active()), (2, 0));
    ev.context().submit(Nop, |_, cx, _| cx.fail(Error::TimedOut));
    let error = ev.run(&mut count, RunMode::Once).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

/// A turn starts what was submitted, then come expired timers, then notifications, then what the one wait brings.
pub(crate) fn a_turn_has_its_order<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let log = Log::new();
    let write = |name: &'static str| {
        let seen = log.clone();
        move |cx: &Context<'_, B, ()>| seen.push((name, cx.turns()))
    };
    // They wait in the order opposite to that in which they are to come.
    let mut cx = ev.context();
    let notifier = cx.notifier();
    let received = write("received");
    cx.submit(Recv { handle: server, buffer: vec![0; 8].into() }, move |(), cx, _| received(cx));
    let notified = write("notified");
    cx.submit(NotifierWait { notifier: notifier.clone() }, move |(), cx, _| notified(cx));
    let expired = write("expired");
    let timer = cx.submit(Timer::at(Time::NEVER), move |(), cx, _| expired(cx));
    ev.no_wait();
    assert_eq!(log.len(), 0);
    // All of it is ready by the next turn.
    let mut cx = ev.context();
    cx.submit(SendAll { handle: client, buffer: b"data".into() }, |(), _, sent| {
        assert_eq!(sent.result, Ok(()))
    });
    notifier.notify();
    cx.timer_reset(timer, Timer::at(Time::ZERO)).unwrap();
    let submitted = write("submitted");
    cx.submit(Nop, move |(), cx, _| submitted(cx));
    ev.until(|| log.len() == 4);
    let (names, turns): (Vec<_>, Vec<_>) = log.take().into_iter().unzip();
    assert_eq!(names, ["submitted", "expired", "notified", "received"]);
    assert_eq!((turns[0], turns[0]), (turns[1], turns[2]), "in one turn");
    ev.until_done();
}

/// A background completion does not keep `UntilDone` running, but is served as long as something else does.
pub(crate) fn background_ones_keep_nothing_running<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let log = Log::new();
    let seen = log.clone();
    let background = ev.context().submit_rearm(Timer::after(MS), move |(), _, expired| {
        assert_eq!(expired.result, Ok(()));
        seen.push(());
        Action::Rearm(Timer::after(MS))
    });
    assert_eq!(ev.context().background(background), Ok(()));
    assert_eq!(ev.context().background(background), Ok(()), "twice is as good as once");
    ev.run(&mut (), RunMode::UntilDone).unwrap();
    assert_eq!(ev.context().active(), 1);
    let foreground = ev.start(Timer::after(10 * MS));
    ev.run(&mut (), RunMode::UntilDone).unwrap();
    assert_eq!(foreground.take().result, Ok(()));
    assert!(log.len() > 0, "served meanwhile");
    assert_eq!((ev.context().active(), ev.state(background) == State::Dead), (1, false));
    ev.context().delete(background).unwrap();
    while ev.context().active() > 0 {
        ev.once();
    }
}

/// With only background ones left, `Once` and the bounded runs still serve them.
pub(crate) fn background_ones_are_served_by_bounded_runs<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let timer = ev.start(Timer::after(MS));
    ev.context().background(timer.key).unwrap();
    ev.run(&mut (), RunMode::UntilDone).unwrap();
    assert!(!timer.is_done());
    ev.run(&mut (), RunMode::Once).unwrap();
    assert_eq!(timer.take().result, Ok(()));
}

/// Nothing could ever end the wait: a notifier is waited for that nobody is left to notify.
pub(crate) fn a_wait_that_nothing_can_end_is_a_deadlock<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let notifier = ev.context().notifier();
    let waiting = ev.start(NotifierWait { notifier });
    let error = ev.run(&mut (), RunMode::UntilDone).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Deadlock);
    let error = ev.run(&mut (), RunMode::Once).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Deadlock);
    assert!(!waiting.is_done());
    ev.no_wait();
    assert_eq!(ev.cancel(waiting.key), Cancel::Requested);
    ev.until_done();
    assert_eq!(waiting.take().result, Err(Error::Canceled));
}

/// Work that is always ready does not starve the system: data arrives though a chain of immediate operations never
/// ends.
pub(crate) fn endless_local_work_starves_nobody<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let chain = ev.context().submit_rearm(Nop, |(), _, _| Action::Rearm(Nop));
    let notifier = ev.context().notifier();
    let notified = ev.start(NotifierWait { notifier: notifier.clone() });
    let received = ev.start(Recv { handle: server, buffer: vec![0; 8].into() });
    let sent = ev.start(SendAll { handle: client, buffer: b"data".into() });
    notifier.notify();
    for _ in 0..1_000_000 {
        if received.is_done() && sent.is_done() && notified.is_done() {
            break;
        }
        ev.once();
    }
    assert_eq!((received.take().result, sent.take().result), (Ok(4), Ok(())));
    assert_eq!(notified.take().result, Ok(()));
    ev.context().delete(chain).unwrap();
}

/// How many are under way is told from inside callbacks too.
pub(crate) fn active_counts_what_is_under_way<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<Vec<usize>>();
    for _ in 0..3 {
        ev.context().submit(Nop, |counts: &mut Vec<usize>, cx, _| counts.push(cx.active()));
    }
    let far = ev.context().submit(Timer::at(Time::NEVER), |_, _, _| ());
    assert_eq!(ev.context().active(), 4);
    let mut counts = Vec::new();
    ev.run(&mut counts, RunMode::NoWait).unwrap();
    assert_eq!(counts, [4, 3, 2], "the one whose callback runs included");
    assert_eq!(ev.context().active(), 1);
    ev.context().delete(far).unwrap();
    ev.run(&mut counts, RunMode::UntilDone).unwrap();
    assert_eq!(ev.context().active(), 0);
}
