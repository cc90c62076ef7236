//! Notifiers and wakers (contract W1, L1, L2).

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use proactor_core::{
    Action, Backend, Cancel, Context, Error, Nop, Notifier, NotifierWait, Recv, RunMode, SendAll, State,
    Timer,
};

use crate::Fixture;
use crate::steps::{Captures, Log, Steps, deleted_timer};

const MS: Duration = Duration::from_millis(1);

fn wait(notifier: &Notifier) -> NotifierWait {
    NotifierWait { notifier: notifier.clone() }
}

/// One notification, one callback; no second one comes by itself.
pub(crate) fn one_notification_wakes_once<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let notifier = ev.context().notifier();
    let waiting = ev.start(wait(&notifier));
    ev.no_wait();
    assert!(!waiting.is_done());
    notifier.notify();
    assert!(!waiting.is_done(), "not inside notify");
    assert_eq!(ev.finish(&waiting).result, Ok(()));
    let again = ev.start(wait(&notifier));
    ev.no_wait();
    ev.no_wait();
    assert!(!again.is_done());
    notifier.notify();
    assert_eq!(ev.finish(&again).result, Ok(()));
}

/// What was notified before anyone waits is kept.
pub(crate) fn a_notification_before_the_wait_is_kept<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let notifier = ev.context().notifier();
    notifier.notify();
    ev.no_wait();
    let waiting = ev.start(wait(&notifier));
    ev.once();
    assert_eq!(waiting.take().result, Ok(()));
}

/// A burst of six gives one or more callbacks, and then silence.
pub(crate) fn a_burst_gives_some_and_then_silence<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let notifier = ev.context().notifier();
    let log = Log::new();
    let seen = log.clone();
    let key = ev.context().submit_rearm(wait(&notifier), move |(), _, notified| {
        assert_eq!(notified.result, Ok(()));
        seen.push(());
        Action::Rearm(NotifierWait { notifier: notified.notifier })
    });
    ev.no_wait();
    for _ in 0..6 {
        notifier.notify();
    }
    ev.once();
    for _ in 0..10 {
        ev.no_wait();
    }
    assert!((1..=6).contains(&log.take().len()));
    ev.idle();
    assert_eq!(log.len(), 0, "silence");
    ev.context().delete(key).unwrap();
}

/// From its own callback: it comes again, later, and not recursively.
pub(crate) fn notified_in_its_own_callback_it_comes_again<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let notifier = ev.context().notifier();
    let log = Log::new();
    let (seen, inside) = (log.clone(), Rc::new(Cell::new(false)));
    ev.context().submit_rearm(wait(&notifier), move |(), cx, notified| {
        assert!(!inside.replace(true), "not inside itself");
        seen.push(cx.turns());
        notified.notifier.notify();
        inside.set(false);
        if seen.len() < 5 {
            Action::Rearm(NotifierWait { notifier: notified.notifier })
        } else {
            Action::Disarm
        }
    });
    notifier.notify();
    ev.until_done();
    let turns = log.take();
    assert_eq!(turns.len(), 5);
    assert!(turns.windows(2).all(|pair| pair[0] < pair[1]), "{turns:?}");
}

/// Another thread wakes a loop that blocks, with no timer, over and over; what it wrote before is seen.
pub(crate) fn another_thread_wakes_a_blocking_loop<B: Backend>(fixture: &Fixture<B>) {
    const ROUNDS: u64 = 2000;
    let mut ev = fixture.open();
    let notifier = ev.context().notifier();
    let (number, text) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(0)));
    let (go, went) = std::sync::mpsc::sync_channel::<()>(1);
    let sender = {
        let (notifier, number, text) = (notifier.clone(), Arc::clone(&number), Arc::clone(&text));
        thread::spawn(move || {
            for round in 1..=ROUNDS {
                number.store(round, Ordering::Relaxed);
                *text.lock().unwrap() = round;
                notifier.notify();
                went.recv().unwrap();
            }
        })
    };
    let thread = thread::current().id();
    let log = Log::new();
    let seen = log.clone();
    ev.context().submit_rearm(NotifierWait { notifier }, move |(), _, notified| {
        assert_eq!((notified.result, thread::current().id()), (Ok(()), thread));
        let round = number.load(Ordering::Relaxed);
        assert_eq!(*text.lock().unwrap(), round);
        seen.push(round);
        go.send(()).unwrap();
        if round == ROUNDS {
            Action::Disarm
        } else {
            Action::Rearm(NotifierWait { notifier: notified.notifier })
        }
    });
    ev.until_done();
    sender.join().unwrap();
    assert_eq!(log.take(), (1..=ROUNDS).collect::<Vec<_>>());
}

/// Another thread notifies five times, 5 ms apart; the callback runs on the loop's thread each time.
pub(crate) fn spaced_notifications_come_one_by_one<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let notifier = ev.context().notifier();
    let other = notifier.clone();
    let begin = Instant::now();
    let (go, went) = std::sync::mpsc::sync_channel::<()>(1);
    let sender = thread::spawn(move || {
        for _ in 0..5 {
            thread::sleep(5 * MS);
            other.notify();
            // The next one must not fall together with this one.
            went.recv().unwrap();
        }
    });
    for round in 1..=5 {
        let waiting = ev.start(wait(&notifier));
        assert_eq!(ev.finish(&waiting).result, Ok(()));
        assert!(begin.elapsed() >= round * 5 * MS);
        go.send(()).unwrap();
    }
    sender.join().unwrap();
}

/// Four threads notify one loop as fast as they can: 1 to N callbacks, at least one after the last notification, and
/// each sees what was written before.
pub(crate) fn many_threads_notify_without_loss<B: Backend>(fixture: &Fixture<B>) {
    const THREADS: u64 = 4;
    const EACH: u64 = 50_000;
    let mut ev = fixture.open();
    let notifier = ev.context().notifier();
    let written = Arc::new(AtomicU64::new(0));
    let begin = Arc::new(Barrier::new(THREADS as usize + 1));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (notifier, written, begin) = (notifier.clone(), Arc::clone(&written), Arc::clone(&begin));
            thread::spawn(move || {
                begin.wait();
                for _ in 0..EACH {
                    written.fetch_add(1, Ordering::Relaxed);
                    notifier.notify();
                }
            })
        })
        .collect();
    let log = Log::new();
    let seen = log.clone();
    ev.context().submit_rearm(NotifierWait { notifier }, move |(), _, notified| {
        assert_eq!(notified.result, Ok(()));
        let count = written.load(Ordering::Relaxed);
        seen.push(count);
        if count == THREADS * EACH {
            Action::Disarm
        } else {
            Action::Rearm(NotifierWait { notifier: notified.notifier })
        }
    });
    begin.wait();
    ev.until_done();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let counts = log.take();
    assert!(!counts.is_empty() && counts.len() as u64 <= THREADS * EACH);
    assert!(counts.is_sorted());
}

/// A hundred notifiers, notified from another thread in some order: each wakes its own wait.
pub(crate) fn each_notifier_wakes_its_own_wait<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let notifiers: Vec<_> = (0..100).map(|_| ev.context().notifier()).collect();
    let waits: Vec<_> = notifiers.iter().map(|notifier| ev.start(wait(notifier))).collect();
    ev.no_wait();
    let odd: Vec<_> = notifiers.iter().skip(1).step_by(2).cloned().collect();
    let sender = thread::spawn(move || odd.iter().rev().for_each(Notifier::notify));
    ev.until(|| waits.iter().filter(|wait| wait.is_done()).count() == 50);
    sender.join().unwrap();
    for (index, wait) in waits.iter().enumerate() {
        assert_eq!(wait.is_done(), index % 2 == 1, "{index}");
    }
    notifiers.iter().step_by(2).for_each(Notifier::notify);
    ev.until_done();
    assert!(waits.iter().all(|wait| wait.take().result == Ok(())));
}

/// Notified against the loop being dropped, from another thread: nothing happens, and nothing is leaked or touched.
pub(crate) fn notifying_against_a_dropped_loop<B: Backend>(fixture: &Fixture<B>) {
    for _ in 0..50 {
        let mut ev = fixture.open();
        let notifier = ev.context().notifier();
        let waker = ev.context().waker();
        let captures = Captures::default();
        let held = captures.capture();
        ev.context().submit(wait(&notifier), move |(), _, _| drop(held));
        ev.no_wait();
        let (stop, begin) = (Arc::new(AtomicBool::new(false)), Arc::new(Barrier::new(2)));
        let sender = {
            let (stop, begin) = (Arc::clone(&stop), Arc::clone(&begin));
            thread::spawn(move || {
                begin.wait();
                while !stop.load(Ordering::Acquire) {
                    notifier.notify();
                    waker.wake();
                }
                notifier.notify();
                waker.wake();
            })
        };
        begin.wait();
        drop(ev);
        stop.store(true, Ordering::Release);
        sender.join().unwrap();
        assert_eq!(captures.held(), 0);
    }
}

/// The last notifier is dropped while its notification is pending, waited for or not.
pub(crate) fn the_last_notifier_may_go_while_pending<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let notifier = ev.context().notifier();
    notifier.notify();
    drop(notifier);
    ev.no_wait();
    let notifier = ev.context().notifier();
    let waiting = ev.start(wait(&notifier));
    ev.no_wait();
    notifier.notify();
    drop(notifier);
    let notified = ev.finish(&waiting);
    assert_eq!(notified.result, Ok(()));
    notified.notifier.notify();
    drop(notified);
    drop(ev);
}

/// Notifiers outlive their loop as names of nothing.
pub(crate) fn a_notifier_outlives_its_loop<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (notifier, waker) = (ev.context().notifier(), ev.context().waker());
    drop(ev);
    notifier.notify();
    waker.wake();
    let mut other = fixture.open();
    assert_eq!(other.complete(NotifierWait { notifier }).result, Err(Error::InvalidInput));
}

/// A pending notification survives a wait that is deleted.
pub(crate) fn a_deleted_wait_leaves_the_notifier_usable<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let notifier = ev.context().notifier();
    for started in [false, true] {
        let waiting = ev.start(wait(&notifier));
        if started {
            ev.no_wait();
        }
        assert_eq!(ev.context().delete(waiting.key), Ok(()));
        ev.until_done();
        assert_eq!((waiting.delivered(), ev.state(waiting.key)), (0, State::Dead));
        notifier.notify();
        assert_eq!(ev.complete(wait(&notifier)).result, Ok(()));
    }
}

/// A wake ends a blocking `Once` early and runs no callback; it is kept until there is something to end.
pub(crate) fn a_wake_ends_a_run_and_runs_no_callback<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let timer = ev.start(Timer::after(Duration::from_secs(1000)));
    let waker = ev.context().waker();
    waker.wake();
    ev.run(&mut (), RunMode::Once).unwrap();
    assert!(!timer.is_done());
    let other = waker.clone();
    let sender = thread::spawn(move || {
        thread::sleep(5 * MS);
        other.wake();
    });
    let begin = Instant::now();
    ev.run(&mut (), RunMode::Once).unwrap();
    sender.join().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(15));
    assert!(!timer.is_done());
    let other = waker.clone();
    let sender = thread::spawn(move || {
        thread::sleep(5 * MS);
        other.wake();
    });
    ev.run_for(&mut (), Duration::from_secs(1000)).unwrap();
    sender.join().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(15));
    assert!(!timer.is_done());
    assert_eq!(ev.cancel(timer.key), Cancel::Requested);
}

/// What has arrived, and nobody waits for any more, stays where it is and wakes nobody.
pub(crate) fn what_nobody_waits_for_wakes_nobody<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let recv = || Recv { handle: server, buffer: vec![0; 64].into() };
    let waited = ev.start(recv());
    ev.no_wait();
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"waited for".into() }).result, Ok(()));
    assert_eq!(ev.finish(&waited).result, Ok(10));
    let canceled = ev.start(recv());
    ev.no_wait();
    ev.cancel(canceled.key);
    assert_eq!(ev.finish(&canceled).result, Err(Error::Canceled));
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"left".into() }).result, Ok(()));
    // A run in which nothing at all is under way would not wait.
    ev.start(Timer::after(Duration::from_secs(1000)));
    let before = ev.context().turns();
    ev.run_for(&mut (), Duration::from_millis(50)).unwrap();
    let turns = ev.context().turns() - before;
    assert!(turns < 10, "{turns} turns in which nothing happened");
    assert_eq!(ev.complete(recv()).result, Ok(4));
}

/// It does not end `UntilDone`, whose end is another one.
pub(crate) fn a_wake_does_not_end_until_done<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let waker = ev.context().waker();
    for _ in 0..3 {
        let inner = waker.clone();
        ev.context().timer_after(MS, move |(), _| inner.wake());
    }
    let last = ev.start(Timer::after(5 * MS));
    waker.wake();
    ev.until_done();
    assert_eq!(last.take().result, Ok(()));
}

/// Waking up by itself, for its own ends, does not count as progress: `Once` goes on until there is a callback.
pub(crate) fn internal_wake_ups_are_no_progress<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let deleted = deleted_timer(&mut ev, MS);
    let silent = ev.context().notifier();
    let other = silent.clone();
    let sender = thread::spawn(move || {
        for _ in 0..5 {
            thread::sleep(MS);
            other.notify();
        }
    });
    let timer = ev.start(Timer::after(10 * MS));
    ev.run(&mut (), RunMode::Once).unwrap();
    assert_eq!((timer.take().result, deleted.delivered()), (Ok(()), 0));
    sender.join().unwrap();
    let _ = (client, server);
}

/// Stopped from another thread, through a notifier.
pub(crate) fn another_thread_stops_the_loop<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let endless = ev.context().submit_rearm(Nop, |(), _, _| Action::Rearm(Nop));
    let notifier = ev.context().notifier();
    let other = notifier.clone();
    let stop = |(): &mut (), cx: &mut Context<'_, B, ()>, _| cx.stop();
    ev.context().submit(NotifierWait { notifier }, stop);
    let sender = thread::spawn(move || {
        thread::sleep(2 * MS);
        other.notify();
    });
    ev.run(&mut (), RunMode::UntilDone).unwrap();
    sender.join().unwrap();
    assert_ne!(ev.state(endless), State::Dead);
    ev.context().resume();
    ev.no_wait();
    assert_eq!(ev.context().active(), 1);
}

/// Two loops on two threads wake each other in turn, strictly.
pub(crate) fn two_loops_take_turns<B: Backend>(fixture: &Fixture<B>) {
    const ROUNDS: u64 = 5000;
    fn rally<B: Backend>(ev: &mut proactor_core::Loop<B, ()>, own: Notifier, peer: Notifier) -> u64 {
        let log = Log::new();
        let seen = log.clone();
        ev.context().submit_rearm(NotifierWait { notifier: own }, move |(), _, notified| {
            seen.push(());
            peer.notify();
            if seen.len() as u64 == ROUNDS {
                return Action::Disarm;
            }
            Action::Rearm(NotifierWait { notifier: notified.notifier })
        });
        ev.run(&mut (), RunMode::UntilDone).unwrap();
        log.len() as u64
    }
    let mut ev = fixture.open();
    let own = ev.context().notifier();
    let first = own.clone();
    let (sender, receiver) = std::sync::mpsc::channel();
    let fixture = fixture.clone();
    let other = thread::spawn(move || {
        let mut ev = fixture.open();
        let notifier = ev.context().notifier();
        sender.send(notifier.clone()).unwrap();
        rally(&mut ev, notifier, first)
    });
    let peer = receiver.recv().unwrap();
    own.notify();
    assert_eq!(rally(&mut ev, own, peer), ROUNDS);
    assert_eq!(other.join().unwrap(), ROUNDS);
}
