//! Signals of the process as events (contract C1, C5, E1, W1, X1, X2, X5).

use std::thread;

use proactor_core::{Backend, Cancel, Error, Event, Flow, Key, Loop, RunMode, Signal, SignalSet, Signals};
use rustix::process::{getpid, kill_process};

use crate::Fixture;
use crate::signals::{blocked_and_ignored, disposition, restore, send_to_this_thread, set_ignored};
use crate::steps::{Log, Steps};

/// Ignored unless somebody watches it, so that a loop which does nothing leaves the process alone.
const WINCH: Signal = Signal::WINCH;

/// Another such one.
fn urgent() -> Signal {
    Signal::from_raw(rustix::process::Signal::URG.as_raw()).unwrap()
}

/// What a [`Signals`] delivered.
type Seen = Result<Signal, Error>;

/// Watches until it is told otherwise, writing down each event.
fn watch<B: Backend>(ev: &mut Loop<B, ()>, set: impl Into<SignalSet>) -> (Key, Log<Seen>) {
    let (log, set) = (Log::new(), set.into());
    let seen = log.clone();
    let key = ev.context().submit_multishot(Signals { set }, move |(), _, event| {
        match event {
            Event::More(signal) => seen.push(Ok(signal)),
            Event::Last(last) => {
                assert_eq!(last.output.set, set);
                seen.push(Err(last.output.error));
            }
        }
        Flow::Continue
    });
    ev.no_wait();
    (key, log)
}

/// To the process, any thread of which may take it.
fn send(signal: Signal) {
    let signal = rustix::process::Signal::from_named_raw(signal.as_raw()).unwrap();
    kill_process(getpid(), signal).unwrap();
}

/// Each signal of the set is an event, also while the loop sleeps; those of no set are none.
pub(crate) fn signals_are_events<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (key, log) = watch(&mut ev, [WINCH, urgent()]);
    for signal in [WINCH, urgent(), WINCH] {
        send(signal);
        ev.until(|| log.len() > 0);
        assert_eq!(log.take(), [Ok(signal)]);
    }
    let sender = thread::spawn(|| {
        thread::sleep(std::time::Duration::from_millis(20));
        send(WINCH);
    });
    ev.once();
    sender.join().unwrap();
    assert_eq!(log.take(), [Ok(WINCH)]);
    // Those that come together are told by their numbers.
    send_to_this_thread(WINCH);
    send_to_this_thread(urgent());
    ev.until(|| log.len() == 2);
    assert_eq!(log.take(), [Ok(urgent()), Ok(WINCH)]);
    send_to_this_thread(Signal::CONT);
    ev.idle();
    assert_eq!((ev.cancel(key), log.len()), (Cancel::Requested, 0));
    ev.until_done();
    assert_eq!(log.take(), [Err(Error::Canceled)]);
}

/// A thousand of them lose none: there is an event after the last.
pub(crate) fn a_storm_loses_nothing<B: Backend>(fixture: &Fixture<B>) {
    const SIGNALS: usize = 1000;
    let mut ev = fixture.open();
    let (key, log) = watch(&mut ev, [WINCH, urgent()]);
    let sender = thread::spawn(|| {
        for _ in 0..SIGNALS {
            send_to_this_thread(WINCH);
        }
        send_to_this_thread(urgent());
    });
    let mut seen = Vec::new();
    while !seen.contains(&Ok(urgent())) {
        ev.once();
        seen.extend(log.take());
    }
    sender.join().unwrap();
    ev.no_wait();
    seen.extend(log.take());
    let windows = seen.iter().filter(|seen| **seen == Ok(WINCH)).count();
    assert!((1..=SIGNALS).contains(&windows) && seen.iter().filter(|seen| seen.is_err()).count() == 0);
    // After the last there was one, so there is none left.
    ev.idle();
    assert_eq!((log.len(), ev.cancel(key)), (0, Cancel::Requested));
    ev.until_done();
}

/// Several loops, and several on one loop, each get what they watch.
pub(crate) fn each_watcher_gets_its_own<B: Backend>(fixture: &Fixture<B>) {
    let mut loops = vec![fixture.open(), fixture.open()];
    let mut logs = Vec::new();
    for ev in &mut loops {
        logs.push(watch(ev, WINCH).1);
        logs.push(watch(ev, [WINCH, urgent()]).1);
    }
    let others = thread::spawn({
        let fixture = fixture.clone();
        move || {
            let mut ev = fixture.open();
            let (_, log) = watch(&mut ev, WINCH);
            send_to_this_thread(WINCH);
            ev.until(|| log.len() > 0);
            log.take()
        }
    });
    assert_eq!(others.join().unwrap(), [Ok(WINCH)]);
    for (ev, logs) in loops.iter_mut().zip(logs.chunks(2)) {
        ev.until(|| logs.iter().all(|log| log.len() > 0));
        assert!(logs.iter().all(|log| log.take() == [Ok(WINCH)]));
    }
    // One of them has gone; the others go on, also for what it alone has in common with them.
    drop(loops.remove(0));
    send_to_this_thread(urgent());
    let [ev] = &mut loops[..] else { unreachable!() };
    ev.until(|| logs[3].len() > 0);
    assert_eq!((logs[2].len(), logs[3].take()), (0, vec![Ok(urgent())]));
}

/// What was set for a signal is set again when the last who watches it has ended, however that comes.
pub(crate) fn what_was_set_comes_back<B: Backend>(fixture: &Fixture<B>) {
    let before = disposition(WINCH);
    for is_ignored in [false, true] {
        if is_ignored {
            set_ignored(WINCH);
        }
        let expected = disposition(WINCH);
        let mut ev = fixture.open();
        let (first, _) = watch(&mut ev, WINCH);
        let (second, log) = watch(&mut ev, WINCH);
        assert_ne!(disposition(WINCH), expected, "somebody watches");
        assert_eq!(ev.cancel(first), Cancel::Requested);
        ev.idle();
        assert_ne!(disposition(WINCH), expected, "one still does");
        send_to_this_thread(WINCH);
        ev.until(|| log.len() > 0);
        ev.context().delete(second).unwrap();
        ev.idle();
        assert_eq!(disposition(WINCH), expected, "nobody does any more");
        watch(&mut ev, WINCH);
        drop(ev);
        assert_eq!(disposition(WINCH), expected, "its loop has gone");
        restore(WINCH, before);
    }
}

/// What nobody may watch is an error, and changes nothing.
pub(crate) fn forbidden_signals_are_refused<B: Backend>(fixture: &Fixture<B>) {
    use rustix::process::Signal as System;
    let mut ev = fixture.open();
    let before = disposition(WINCH);
    let kept_by_the_library = 33;
    let forbidden = [System::KILL, System::STOP, System::SEGV, System::BUS, System::FPE, System::ILL];
    let numbers = forbidden.into_iter().map(System::as_raw).chain([kept_by_the_library]);
    for signal in numbers.filter_map(Signal::from_raw) {
        let (_, log) = watch(&mut ev, [WINCH, signal]);
        ev.until_done();
        assert_eq!(log.take(), [Err(Error::InvalidInput)], "{signal:?}");
        assert_eq!(disposition(WINCH), before);
    }
    let (_, log) = watch(&mut ev, SignalSet::NONE);
    ev.until_done();
    assert_eq!(log.take(), [Err(Error::InvalidInput)]);
}

/// What was delivered before it ends is told before it ends; by `Stop`, by a cancel, and again after a rearm.
pub(crate) fn what_came_before_the_end_is_told<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (key, log) = watch(&mut ev, WINCH);
    send_to_this_thread(WINCH);
    assert_eq!(ev.cancel(key), Cancel::Requested);
    ev.until_done();
    assert_eq!(log.take(), [Ok(WINCH), Err(Error::Canceled)]);

    let seen = log.clone();
    let mut rounds = 0;
    ev.context().submit_multishot(Signals { set: WINCH.into() }, move |(), cx, event| match event {
        Event::More(signal) => {
            seen.push(Ok(signal));
            Flow::Stop
        }
        Event::Last(last) => {
            seen.push(Err(last.output.error));
            rounds += 1;
            if rounds == 2 {
                cx.stop();
                return Flow::Continue;
            }
            last.rearm(Signals { set: WINCH.into() })
        }
    });
    ev.no_wait();
    send_to_this_thread(WINCH);
    ev.until(|| log.len() == 2);
    ev.no_wait();
    send_to_this_thread(WINCH);
    ev.run(&mut (), RunMode::UntilDone).unwrap();
    let round = [Ok(WINCH), Err(Error::Canceled)];
    assert_eq!(log.take(), [round, round].concat());
}

/// Child processes have no signal blocked or ignored because somebody watches it.
pub(crate) fn child_processes_inherit_nothing<B: Backend>(fixture: &Fixture<B>) {
    let inherited = || fixture.child("tell_what_is_inherited");
    let before = inherited();
    let mut ev = fixture.open();
    // Not one that may be ignored from the start, as the end of a terminal is: a handler in its place is no part of a program.
    watch(&mut ev, [WINCH, Signal::TERM, Signal::USR2]);
    assert_eq!(inherited(), before);
    // What is there to be inherited is told.
    let usual = disposition(Signal::USR1);
    set_ignored(Signal::USR1);
    assert_ne!(inherited(), before);
    restore(Signal::USR1, usual);
    assert_eq!(inherited(), before);
    drop(ev);
}

/// Prints what a program has of its parent's signals.
pub(crate) fn tell_what_is_inherited<B: Backend>(_fixture: &Fixture<B>) {
    let [blocked, ignored] = blocked_and_ignored();
    println!("blocked {blocked:?}, ignored {ignored:?}");
}

/// Deleted it is silent.
pub(crate) fn deleted_it_is_silent<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let before = disposition(WINCH);
    let (key, log) = watch(&mut ev, WINCH);
    send_to_this_thread(WINCH);
    ev.context().delete(key).unwrap();
    ev.idle();
    assert_eq!((log.len(), ev.context().active()), (0, 0));
    assert_eq!(disposition(WINCH), before);
}

/// Where there are no signals, the set comes back.
pub(crate) fn without_them_the_set_comes_back<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (_, log) = watch(&mut ev, WINCH);
    ev.until_done();
    assert_eq!(log.take(), [Err(Error::Unsupported)]);
}
