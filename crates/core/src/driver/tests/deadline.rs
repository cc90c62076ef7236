//! Deadlines on a backend that completes only what the test tells it to (contract X4).

use std::time::Duration;

use super::*;
use crate::{AcceptMany, AcceptManyEnded, NotifierWait, SendAll, SentAll};

const fn ns(nanoseconds: u64) -> Duration {
    Duration::from_nanos(nanoseconds)
}

fn recv(handle: Handle) -> Recv {
    Recv { handle, buffer: Buffer::zeroed(1) }
}

/// A driver with a handle.
fn opened() -> (Driver<Manual>, Handle) {
    let mut driver = Driver::with_backend(Manual::default());
    let handle = driver.socket(Family::Ipv4).unwrap();
    (driver, handle)
}

fn turn_at(driver: &mut Driver<Manual>, clock: u64) {
    driver.backend.clock = clock;
    driver.turn(Until::Now).unwrap();
}

fn error(driver: &mut Driver<Manual>) -> (Key, Option<Error>) {
    let (key, outcome) = driver.pop().expect("an outcome is queued");
    (key, outcome.error())
}

fn is_clean(driver: &Driver<Manual>) -> bool {
    driver.timers.len() == 0 && driver.active() == 0 && driver.done.records.is_empty()
}

/// The buffer comes back, and not a nanosecond early.
#[test]
fn what_waits_with_the_backend_times_out() {
    for answers_late in [false, true] {
        let (mut driver, handle) = opened();
        driver.backend.answers_late = answers_late;
        let key = driver.submit(recv(handle).with_timeout(ns(100)));
        turn_at(&mut driver, 10);
        turn_at(&mut driver, 109);
        assert!(driver.pop().is_none(), "it was armed at 10");
        turn_at(&mut driver, 110);
        assert_eq!(error(&mut driver), (key, Some(Error::TimedOut)));
        assert!(is_clean(&driver));
    }
}

#[test]
fn a_result_in_time_wins() {
    let (mut driver, handle) = opened();
    driver.submit(recv(handle).with_timeout(ns(100)));
    turn_at(&mut driver, 10);
    receive_a_byte(&mut driver);
    // The deadline passes while the outcome is queued.
    turn_at(&mut driver, 1000);
    assert_eq!(error(&mut driver).1, None);
    assert!(is_clean(&driver));
}

/// What the backend has complete when it is asked wins, in a turn that begins after the deadline: it is asked once.
#[test]
fn a_result_that_is_there_wins() {
    let (mut driver, handle) = opened();
    let silent = driver.socket(Family::Ipv4).unwrap();
    let notifier = driver.notifier();
    let first = driver.submit(recv(handle).with_timeout(ns(100)));
    let second = driver.submit(recv(silent).with_timeout(ns(90)));
    let notified = driver.submit(NotifierWait { notifier: notifier.clone() }.with_timeout(ns(80)));
    let timer = driver.submit(Timer::after(ns(95)));
    turn_at(&mut driver, 10);
    driver.backend.arrived.push(handle.slot());
    driver.backend.waits.clear();
    notifier.notify();
    turn_at(&mut driver, 1000);
    let ended: Vec<_> = std::iter::from_fn(|| driver.pop()).map(|(key, end)| (key, end.error())).collect();
    let expected = [(timer, None), (notified, None), (first, None), (second, Some(Error::TimedOut))];
    assert_eq!(ended, expected);
    assert_eq!(driver.backend.waits, [Until::Now, Until::Now], "once, and the turn's own");
    assert!(is_clean(&driver));
}

/// Deadlines that have passed take effect in their order, and those of what waits as of what is under way.
#[test]
fn deadlines_take_effect_in_their_order() {
    let (mut driver, handle) = opened();
    let keys = [30, 10, 20].map(|timeout| driver.submit(recv(handle).with_timeout(ns(timeout))));
    turn_at(&mut driver, 10);
    turn_at(&mut driver, 100);
    let ended: Vec<_> = std::iter::from_fn(|| driver.pop()).map(|(key, _)| key).collect();
    assert_eq!(ended, [keys[1], keys[2], keys[0]]);
    assert!(is_clean(&driver));
}

/// The backend is asked only where a deadline has something to say.
#[test]
fn nobody_looks_without_a_deadline_that_has_passed() {
    let (mut driver, handle) = opened();
    driver.submit(recv(handle).with_timeout(ns(1000)));
    driver.submit(Timer::after(ns(50)).with_timeout(ns(40)));
    driver.submit(Timer::after(ns(50)));
    turn_at(&mut driver, 10);
    driver.backend.waits.clear();
    turn_at(&mut driver, 100);
    assert_eq!(driver.backend.waits.len(), 1, "the turn's own");
    assert_eq!(std::iter::from_fn(|| driver.pop()).count(), 2);
    receive_a_byte(&mut driver);
    driver.backend.waits.clear();
    turn_at(&mut driver, 2000);
    assert_eq!(driver.backend.waits.len(), 1, "its outcome is queued");
    assert_eq!(error(&mut driver).1, None);
    assert!(is_clean(&driver));
}

/// A look that fails or panics loses no deadline.
#[test]
fn a_failing_look_loses_no_deadline() {
    for panics in [false, true] {
        let (mut driver, handle) = opened();
        let keys = [(); 3].map(|()| driver.submit(recv(handle).with_timeout(ns(100))));
        turn_at(&mut driver, 10);
        driver.backend.trouble = Some(panics);
        driver.backend.clock = 200;
        let turned = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| driver.turn(Until::Now)));
        assert_eq!(turned.ok(), (!panics).then_some(Err(Error::Unsupported)));
        assert_eq!(driver.timers.len(), if panics { 3 } else { 0 });
        turn_at(&mut driver, 201);
        let ended: Vec<_> =
            std::iter::from_fn(|| driver.pop()).map(|(key, end)| (key, end.error())).collect();
        assert_eq!(ended, keys.map(|key| (key, Some(Error::TimedOut))));
        assert!(is_clean(&driver));
    }
}

/// A turn in which the backend panics.
fn turn_with_a_panic(driver: &mut Driver<Manual>, clock: u64) {
    driver.backend.clock = clock;
    let turned = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| driver.turn(Until::Now)));
    assert!(turned.is_err(), "it was told to");
}

/// A backend that panics when the first of them is to end: none is lost, that one's neither.
#[test]
fn a_failing_cancel_loses_no_deadline() {
    let (mut driver, handle) = opened();
    let keys = [(); 3].map(|()| driver.submit(recv(handle).with_timeout(ns(100))));
    turn_at(&mut driver, 10);
    driver.backend.cancel_panics = true;
    turn_with_a_panic(&mut driver, 200);
    turn_at(&mut driver, 201);
    let ended: Vec<_> = std::iter::from_fn(|| driver.pop()).map(|(key, end)| (key, end.error())).collect();
    assert_eq!(ended, keys.map(|key| (key, Some(Error::TimedOut))));
    assert!(is_clean(&driver));
}

/// One that panics over a close whose delay is over, while a deadline that has passed before it has yet to take effect. It does,
/// and not on whatever is in the place of its operation by then.
#[test]
fn a_failing_close_loses_no_deadline_and_gives_it_to_nobody_else() {
    for ends_meanwhile in [false, true] {
        let (mut driver, handle) = opened();
        let [first, second] = [(); 2].map(|()| driver.socket(Family::Ipv4).unwrap());
        driver.submit(Close { handle: first });
        turn_at(&mut driver, 1);
        let Next::Last { index, .. } = driver.next() else { panic!("it has closed") };
        drop(driver.done.records.take_back(index));
        let bounded = driver.submit(recv(handle).with_timeout(ns(100)));
        let closed = driver.submit(recv(second));
        turn_at(&mut driver, 10);
        assert!(driver.rearm_at(index, Close { handle: second }, Time::from_nanos(150)));
        driver.backend.cancel_panics = true;
        turn_with_a_panic(&mut driver, 200);
        if ends_meanwhile {
            receive_a_byte(&mut driver);
            assert_eq!(error(&mut driver), (bounded, None));
            // It has the place of the first.
            driver.submit(recv(handle).with_timeout(ns(1000)));
        }
        let later = driver.submit(Timer::after(ns(5)).with_timeout(ns(3)));
        for clock in [201, 300] {
            turn_at(&mut driver, clock);
        }
        let ended: Vec<_> =
            std::iter::from_fn(|| driver.pop()).map(|(key, end)| (key, end.error())).collect();
        let of = |wanted| ended.iter().find(|(key, _)| *key == wanted).map(|(_, error)| *error);
        assert_eq!(of(later), Some(Some(Error::TimedOut)), "{ended:?}");
        assert_eq!(of(bounded), (!ends_meanwhile).then_some(Some(Error::TimedOut)), "{ended:?}");
        let others = ended.iter().filter(|(key, _)| ![later, bounded, closed].contains(key));
        assert!(others.clone().all(|(_, error)| *error != Some(Error::TimedOut)), "{ended:?}");
    }
}

#[test]
fn a_result_wins_against_the_request_to_end() {
    let (mut driver, handle) = opened();
    driver.backend.answers_late = true;
    let key = driver.submit(recv(handle).with_timeout(ns(100)));
    turn_at(&mut driver, 10);
    driver.backend.clock = 110;
    driver.expire_timers_now().unwrap();
    assert_eq!(driver.state(key), State::Deleting);
    receive_a_byte(&mut driver);
    assert_eq!(error(&mut driver), (key, None));
    assert!(is_clean(&driver));
}

#[test]
fn a_cancel_before_the_deadline_is_a_cancel_and_one_after_it_is_not() {
    for (cancel_at, expected) in [(109, Error::Canceled), (110, Error::TimedOut)] {
        let (mut driver, handle) = opened();
        driver.backend.answers_late = true;
        let key = driver.submit(recv(handle).with_timeout(ns(100)));
        turn_at(&mut driver, 10);
        driver.backend.clock = cancel_at;
        driver.expire_timers_now().unwrap();
        assert_eq!(driver.cancel(key), Cancel::Requested);
        // The deadline passes before the backend answers.
        driver.backend.clock = 1000;
        driver.turn(Until::Now).unwrap();
        assert_eq!(error(&mut driver), (key, Some(expected)));
        assert!(is_clean(&driver));
    }
}

/// One behind another counts from its own arming, leaves its place, and the order of the others stands.
#[test]
fn what_waits_behind_others_times_out() {
    let (mut driver, handle) = opened();
    let first = driver.submit(recv(handle));
    let second = driver.submit(recv(handle).with_timeout(ns(100)));
    let third = driver.submit(recv(handle));
    turn_at(&mut driver, 10);
    turn_at(&mut driver, 110);
    assert_eq!(error(&mut driver), (second, Some(Error::TimedOut)));
    receive_a_byte(&mut driver);
    assert_eq!(error(&mut driver), (first, None));
    turn_at(&mut driver, 111);
    receive_a_byte(&mut driver);
    assert_eq!(error(&mut driver), (third, None));
    assert!(is_clean(&driver));
}

/// One whose turn comes counts on from where it was.
#[test]
fn a_deadline_goes_on_when_the_turn_of_its_operation_has_come() {
    let (mut driver, handle) = opened();
    driver.submit(recv(handle));
    let second = driver.submit(recv(handle).with_timeout(ns(100)));
    turn_at(&mut driver, 10);
    receive_a_byte(&mut driver);
    assert_eq!(error(&mut driver).1, None);
    turn_at(&mut driver, 60);
    assert_eq!(driver.backend.held.len(), 1);
    turn_at(&mut driver, 110);
    assert_eq!(error(&mut driver), (second, Some(Error::TimedOut)));
    assert!(is_clean(&driver));
}

/// Those in one queue that end in one batch.
#[test]
fn a_whole_queue_times_out_at_once() {
    let (mut driver, handle) = opened();
    let keys: Vec<_> = (0..5).map(|_| driver.submit(recv(handle).with_timeout(ns(100)))).collect();
    turn_at(&mut driver, 10);
    turn_at(&mut driver, 500);
    let ended: Vec<_> =
        std::iter::from_fn(|| driver.pop()).map(|(key, outcome)| (key, outcome.error())).collect();
    assert_eq!(ended.len(), 5);
    assert!(keys.iter().all(|key| ended.contains(&(*key, Some(Error::TimedOut)))));
    assert!(is_clean(&driver));
}

/// Whatever is there, the system does not see it: on every backend the same.
#[test]
fn a_deadline_that_has_passed_starts_nothing() {
    let (mut driver, handle) = opened();
    driver.backend.clock = 50;
    let keys = [
        driver.submit(recv(handle).with_timeout(Duration::ZERO)),
        driver.submit(recv(handle).with_deadline(Time::ZERO)),
        driver.submit(Nop.with_deadline(Time::from_nanos(50))),
    ];
    turn_at(&mut driver, 50);
    assert!(driver.backend.held.is_empty());
    for key in keys {
        assert_eq!(error(&mut driver), (key, Some(Error::TimedOut)));
    }
    assert!(is_clean(&driver));
}

#[test]
fn never_is_no_deadline() {
    let (mut driver, handle) = opened();
    driver.submit(recv(handle).with_deadline(Time::NEVER));
    driver.submit(Timer::after(ns(10)).with_timeout(Duration::MAX));
    turn_at(&mut driver, 1000);
    turn_at(&mut driver, 2000);
    assert_eq!(error(&mut driver).1, None);
    receive_a_byte(&mut driver);
    assert_eq!(error(&mut driver).1, None);
    assert!(is_clean(&driver));
}

/// The earlier of the two, the timer where they are equal, whatever of them is relative.
#[test]
fn a_timer_ends_at_the_earlier_of_its_two() {
    let at = |time| Timer::at(Time::from_nanos(time));
    let deadline = |timer: Timer, time| timer.with_deadline(Time::from_nanos(time));
    let programs = [
        (Timer::after(ns(100)).with_timeout(ns(99)), 109, Some(Error::TimedOut)),
        (Timer::after(ns(100)).with_timeout(ns(100)), 110, None),
        (at(100).with_timeout(ns(89)), 99, Some(Error::TimedOut)),
        (at(100).with_timeout(ns(90)), 100, None),
        (deadline(at(100), 99), 99, Some(Error::TimedOut)),
        (deadline(at(100), 100), 100, None),
        (deadline(Timer::after(ns(100)), 109), 109, Some(Error::TimedOut)),
        (Timer::after(Duration::MAX).with_timeout(ns(1)), 11, Some(Error::TimedOut)),
    ];
    for (number, (timer, end, expected)) in programs.into_iter().enumerate() {
        let mut driver = Driver::with_backend(Manual::default());
        let key = driver.submit(timer);
        turn_at(&mut driver, 10);
        turn_at(&mut driver, end - 1);
        assert!(driver.pop().is_none(), "{number} is early");
        turn_at(&mut driver, end);
        assert_eq!(error(&mut driver), (key, expected), "{number}");
        assert!(is_clean(&driver));
    }
}

/// A reset moves the timer, not its deadline.
#[test]
fn a_reset_timer_keeps_its_deadline() {
    let mut driver = Driver::with_backend(Manual::default());
    let key = driver.submit(Timer::after(ns(10)).with_timeout(ns(100)));
    driver.timer_reset(key, Timer::after(ns(20))).unwrap();
    turn_at(&mut driver, 0);
    turn_at(&mut driver, 19);
    assert!(driver.pop().is_none());
    driver.timer_reset(key, Timer::after(ns(1000))).unwrap();
    turn_at(&mut driver, 99);
    assert!(driver.pop().is_none());
    turn_at(&mut driver, 100);
    assert_eq!(error(&mut driver), (key, Some(Error::TimedOut)));
    assert!(is_clean(&driver));
}

#[test]
fn a_wait_for_a_notifier_times_out_and_keeps_what_comes_later() {
    let mut driver = Driver::with_backend(Manual::default());
    let notifier = driver.notifier();
    let wait = NotifierWait { notifier: notifier.clone() };
    let key = driver.submit(wait.with_timeout(ns(100)));
    turn_at(&mut driver, 10);
    turn_at(&mut driver, 110);
    assert_eq!(error(&mut driver), (key, Some(Error::TimedOut)));
    notifier.notify();
    driver.submit(NotifierWait { notifier }.with_timeout(ns(100)));
    turn_at(&mut driver, 111);
    assert_eq!(error(&mut driver).1, None);
    assert_eq!(driver.notifier_waits, 0);
    assert!(is_clean(&driver));
}

/// Its items do not put it off.
#[test]
fn a_multishot_operation_times_out_as_a_whole() {
    let (mut driver, listener) = opened();
    let key = driver.submit(AcceptMany { listener }.with_timeout(ns(100)));
    turn_at(&mut driver, 10);
    turn_at(&mut driver, 110);
    let Some((ended, Outcome::AcceptManyEnded(AcceptManyEnded { error, .. }))) = driver.pop() else {
        panic!("it ends")
    };
    assert_eq!((ended, error), (key, Error::TimedOut));
    assert!(is_clean(&driver));
}

#[test]
fn what_was_transferred_is_told() {
    let (mut driver, handle) = opened();
    driver.backend.answers_late = true;
    driver.submit(SendAll { handle, buffer: Buffer::zeroed(10) }.with_timeout(ns(100)));
    turn_at(&mut driver, 10);
    driver.backend.clock = 110;
    driver.expire_timers_now().unwrap();
    let (&(index, arming), _) = driver.backend.held.first_key_value().expect("it is under way");
    driver.backend.end(Token { index, arming }, &mut driver.done, |operation| {
        let Operation::SendAll(SendAll { handle, buffer }) = operation else { panic!("it is a send") };
        Outcome::SendAll(SentAll { handle, buffer, transferred: 7, result: Err(Error::Canceled) })
    });
    let Some((_, Outcome::SendAll(sent))) = driver.pop() else { panic!("it ends") };
    assert_eq!((sent.transferred, sent.result), (7, Err(Error::TimedOut)));
}

/// A deadline that is left behind reaches neither the next arming nor the next operation in its place.
#[test]
fn an_ended_operation_leaves_no_deadline() {
    let (mut driver, handle) = opened();
    driver.submit(recv(handle).with_timeout(ns(100)));
    turn_at(&mut driver, 10);
    receive_a_byte(&mut driver);
    let Next::Last { index, .. } = driver.next() else { panic!("an outcome is queued") };
    drop(driver.done.records.take_back(index));
    assert!(driver.rearm(index, recv(handle)));
    turn_at(&mut driver, 20);
    turn_at(&mut driver, 500);
    assert!(driver.pop().is_none(), "this arming has none");
    receive_a_byte(&mut driver);
    let Next::Last { index, .. } = driver.next() else { panic!("an outcome is queued") };
    drop(driver.done.records.take_back(index));
    assert!(driver.rearm(index, recv(handle).with_timeout(ns(100))));
    turn_at(&mut driver, 600);
    turn_at(&mut driver, 699);
    assert!(driver.pop().is_none(), "this one has a fresh one");
    turn_at(&mut driver, 700);
    assert_eq!(error(&mut driver).1, Some(Error::TimedOut));
    assert!(is_clean(&driver));
}

/// The delay comes first, then the deadline counts; alone, and behind others.
#[test]
fn a_deadline_counts_after_a_delay() {
    for others in [0, 1] {
        let (mut driver, handle) = opened();
        driver.submit(recv(handle));
        turn_at(&mut driver, 0);
        receive_a_byte(&mut driver);
        let Next::Last { index, .. } = driver.next() else { panic!("an outcome is queued") };
        drop(driver.done.records.take_back(index));
        for _ in 0..others {
            driver.submit(recv(handle));
        }
        assert!(driver.rearm_at(index, recv(handle).with_timeout(ns(100)), Time::from_nanos(1000)));
        turn_at(&mut driver, 999);
        assert!(driver.pop().is_none());
        // The delay is over; the next turn arms it.
        turn_at(&mut driver, 1000);
        turn_at(&mut driver, 1000);
        turn_at(&mut driver, 1099);
        assert!(driver.pop().is_none());
        turn_at(&mut driver, 1100);
        assert_eq!(error(&mut driver).1, Some(Error::TimedOut));
        assert_eq!(driver.active(), others);
        assert_eq!(driver.timers.len(), 0);
    }
}

/// A delayed timer too, and one that is reset out of its delay.
#[test]
fn a_delayed_timer_keeps_its_deadline() {
    for reset in [false, true] {
        let mut driver = Driver::with_backend(Manual::default());
        let key = driver.submit(Timer::at(Time::ZERO));
        turn_at(&mut driver, 0);
        let Next::Last { index, .. } = driver.next() else { panic!("an outcome is queued") };
        drop(driver.done.records.take_back(index));
        let timer = Timer::after(ns(500)).with_timeout(ns(100));
        assert!(driver.rearm_at(index, timer, Time::from_nanos(1000)));
        turn_at(&mut driver, 10);
        let mut armed = 1000;
        if reset {
            driver.timer_reset(key, Timer::after(ns(700))).unwrap();
            armed = 20;
        }
        turn_at(&mut driver, armed);
        turn_at(&mut driver, armed);
        turn_at(&mut driver, armed + 99);
        assert!(driver.pop().is_none());
        turn_at(&mut driver, armed + 100);
        assert_eq!(error(&mut driver), (key, Some(Error::TimedOut)));
        assert!(is_clean(&driver));
    }
}

/// Deleted in each state, no deadline stays behind.
#[test]
fn a_deleted_operation_leaves_no_deadline() {
    let (mut driver, handle) = opened();
    let keys = [
        driver.submit(recv(handle).with_timeout(ns(100))),
        driver.submit(recv(handle).with_timeout(ns(100))),
        driver.submit(Timer::after(ns(200)).with_timeout(ns(100))),
    ];
    let queued = driver.submit(recv(handle).with_timeout(ns(100)));
    driver.delete(queued).unwrap();
    turn_at(&mut driver, 10);
    // The second waits behind the first.
    for key in [keys[1], keys[0], keys[2]] {
        driver.delete(key).unwrap();
    }
    assert!(driver.pop().is_none());
    assert!(is_clean(&driver));
}

/// A close cannot be undone.
#[test]
fn a_close_has_no_deadline() {
    let (mut driver, handle) = opened();
    let key = driver.submit(Close { handle }.with_timeout(Duration::ZERO));
    turn_at(&mut driver, 10);
    assert_eq!(error(&mut driver), (key, None));
    assert!(is_clean(&driver));
}
