//! What was attacked: loops on backends that break the rules, and rules that meet.

use std::time::Duration;

use super::*;
use crate::event_loop::Loop;
use crate::outcome::NopDone;
use crate::{Action, RunMode};

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
