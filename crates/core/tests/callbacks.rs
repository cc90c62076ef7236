//! The loop over the simulator, in corners where one completion could disturb another.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use proactor_sim::{
    Action, Cancel, Config, Context, Error, Family, Key, Loop, Nop, RunMode, Shutdown, ShutdownHow, State,
    Time, Timer,
};

const MS: Duration = Duration::from_millis(1);

/// A key that a callback gets to know after it was submitted.
type Own = Rc<Cell<Option<Key>>>;

fn reset(cx: &mut Context<'_, u32>, key: &Own) -> Result<(), Error> {
    cx.timer_reset(key.get().expect("it was set after the submit"), Timer::after(MS))
}

/// A second timer that disarms, and so must not take a reset that the first one has left behind.
fn expires_once(cx: &mut Context<'_, u32>) {
    cx.submit_rearm(Timer::after(9 * MS), |expired, _, _| {
        *expired += 1;
        Action::Disarm
    });
}

#[test]
fn a_callback_that_cannot_be_called_again_cannot_reset_its_timer() {
    let mut ev = Loop::<u32>::open(Config::default()).unwrap();
    let own = Own::default();
    let mut cx = ev.context();
    let submitted = cx.submit(Timer::after(MS), {
        let own = Rc::clone(&own);
        move |_, cx, _| assert_eq!(reset(cx, &own), Err(Error::Busy))
    });
    own.set(Some(submitted));
    expires_once(&mut cx);
    let mut expired = 0;
    ev.run(&mut expired, RunMode::UntilDone).unwrap();
    assert_eq!(expired, 1);
}

#[test]
fn a_rearm_takes_the_place_of_a_reset() {
    let mut ev = Loop::<u32>::open(Config::default()).unwrap();
    let own = Own::default();
    let mut cx = ev.context();
    let submitted = cx.submit_rearm(Timer::after(MS), {
        let (own, mut is_first) = (Rc::clone(&own), true);
        move |expired: &mut u32, cx, _| {
            *expired += 1;
            if !std::mem::take(&mut is_first) {
                return Action::Disarm;
            }
            assert_eq!(reset(cx, &own), Ok(()));
            Action::Rearm(Timer::after(2 * MS))
        }
    });
    own.set(Some(submitted));
    let mut expired = 0;
    ev.run(&mut expired, RunMode::UntilDone).unwrap();
    assert_eq!(expired, 2);
}

#[test]
fn a_reset_is_gone_with_the_callback_that_panicked() {
    let mut ev = Loop::<u32>::open(Config::default()).unwrap();
    let own = Own::default();
    let mut cx = ev.context();
    let submitted = cx.submit_rearm(Timer::after(MS), {
        let own = Rc::clone(&own);
        move |_, cx, _| {
            assert_eq!(reset(cx, &own), Ok(()));
            panic!("after its reset")
        }
    });
    own.set(Some(submitted));
    expires_once(&mut cx);
    let mut expired = 0;
    assert!(catch_unwind(AssertUnwindSafe(|| ev.run(&mut expired, RunMode::UntilDone))).is_err());
    ev.run(&mut expired, RunMode::UntilDone).unwrap();
    assert_eq!((expired, ev.context().active()), (1, 0));
}

/// Panics when it is dropped, and counts how often that is.
struct Explosive(Rc<RefCell<u32>>);

impl Drop for Explosive {
    fn drop(&mut self) {
        *self.0.borrow_mut() += 1;
        assert!(std::thread::panicking(), "a capture's drop");
    }
}

/// Captures that panic when dropped are dropped once, wherever that is: after the last callback, by a delete of what was
/// not started, and when a deleted one has ended.
#[test]
fn captures_that_panic_in_their_drop_leave_the_loop_usable() {
    let drops = Rc::new(RefCell::new(0));
    let mut ev = Loop::<u32>::open(Config::default()).unwrap();
    let submit = |cx: &mut Context<'_, u32>| {
        let explosive = Explosive(Rc::clone(&drops));
        cx.submit_rearm(Timer::after(MS), move |expired, _, _| {
            let _ = &explosive;
            *expired += 1;
            Action::Disarm
        })
    };
    let started = submit(&mut ev.context());
    ev.run(&mut 0, RunMode::NoWait).unwrap();
    ev.context().delete(started).unwrap();
    let queued = submit(&mut ev.context());
    assert!(catch_unwind(AssertUnwindSafe(|| ev.context().delete(queued))).is_err());
    submit(&mut ev.context());

    let mut expired = 0;
    while ev.context().active() > 0 {
        let run = catch_unwind(AssertUnwindSafe(|| ev.run(&mut expired, RunMode::UntilDone)));
        assert!(run.is_err(), "each run ends with a capture that is dropped");
    }
    assert_eq!((expired, *drops.borrow()), (1, 3));
    ev.context().submit(Nop, |expired, _, _| *expired += 1);
    ev.run(&mut expired, RunMode::UntilDone).unwrap();
    assert_eq!(expired, 2);
}

/// What is refused for want of room must not take the room of who has it.
#[test]
fn what_is_refused_as_full_is_in_nobodys_way() {
    let mut ev = Loop::<Vec<Result<(), Error>>>::open(Config::default().max_operations(1)).unwrap();
    let mut left = 3;
    ev.context().submit_rearm(Nop, move |results, cx, done| {
        results.push(done.result);
        for _ in 0..2 {
            cx.submit(Nop, |_, _, refused| assert_eq!(refused.result, Err(Error::Full)));
        }
        left -= 1;
        if left > 0 { Action::Rearm(Nop) } else { Action::Disarm }
    });
    let mut results = Vec::new();
    ev.run(&mut results, RunMode::UntilDone).unwrap();
    assert_eq!(results, [Ok(()); 3]);
}

/// Contract E3: a program that re-arms at once what is refused is held back, like after each transient error.
#[test]
fn what_is_armed_again_and_refused_burns_no_core() {
    let mut ev = Loop::<u32>::open(Config::default().max_operations(1)).unwrap();
    let mut cx = ev.context();
    cx.submit(Timer::after(1000 * MS), |_, _, expired| assert_eq!(expired.result, Ok(())));
    cx.submit_rearm(Nop, |refused, cx, done| {
        if done.result.is_ok() {
            return Action::Disarm;
        }
        *refused += 1;
        if *refused > 1000 {
            cx.fail(Error::Busy);
        }
        Action::Rearm(Nop)
    });
    let mut refused = 0;
    ev.run(&mut refused, RunMode::UntilDone).unwrap();
    assert!((2..=201).contains(&refused), "{refused} times in a second");
}

/// The delay that a callback asks for is kept, whatever becomes of the operation.
#[test]
fn what_fails_when_it_is_armed_again_is_not_told_before_its_time() {
    let mut ev = Loop::<Vec<Time>>::open(Config::default()).unwrap();
    let mut cx = ev.context();
    let handle = cx.socket(Family::Ipv4).unwrap();
    cx.close(handle);
    let key = cx.submit_rearm(Shutdown { handle, how: ShutdownHow::Both }, move |heard, cx, shut_down| {
        heard.push(cx.update_now());
        match shut_down.result {
            Err(Error::StaleHandle) => cx.rearm_after(100 * MS, Shutdown { handle, how: ShutdownHow::Both }),
            result => {
                assert_eq!(result, Err(Error::Canceled));
                Action::Disarm
            }
        }
    });
    let mut heard = Vec::new();
    ev.run(&mut heard, RunMode::Once).unwrap();
    ev.run(&mut heard, RunMode::Once).unwrap();
    assert!(heard[1].since(heard[0]) >= 100 * MS);
    assert_eq!(ev.context().state(key), State::Adding);
    assert_eq!(ev.context().cancel(key), Cancel::Requested);
    ev.run(&mut heard, RunMode::UntilDone).unwrap();
    assert_eq!(heard.len(), 3);
    assert!(heard[2].since(heard[1]) < 100 * MS, "a cancel waits for no delay");
}

/// A refused one that waits for its delay to be over can be deleted, and has taken no room away.
#[test]
fn what_was_refused_and_is_held_back_can_be_deleted() {
    let mut ev = Loop::<u32>::open(Config::default().max_operations(1)).unwrap();
    let mut cx = ev.context();
    let timer = cx.submit(Timer::after(1000 * MS), |_, _, _| {});
    let refused = cx.submit_rearm(Timer::after(MS), |refused, cx, expired| {
        assert_eq!(expired.result, Err(Error::Full));
        *refused += 1;
        cx.rearm_after(100 * MS, Timer::after(MS))
    });
    let mut outcomes = 0;
    ev.run(&mut outcomes, RunMode::Once).unwrap();
    assert_eq!(ev.context().timer_reset(refused, Timer::after(MS)), Err(Error::Busy));
    ev.context().delete(refused).unwrap();
    ev.context().submit(Nop, |outcomes, _, done| {
        assert_eq!(done.result, Err(Error::Full), "the timer has the only place");
        *outcomes += 1;
    });
    ev.context().cancel(timer);
    ev.run(&mut outcomes, RunMode::UntilDone).unwrap();
    ev.context().submit(Nop, |outcomes, _, done| {
        assert_eq!(done.result, Ok(()));
        *outcomes += 1;
    });
    ev.run(&mut outcomes, RunMode::UntilDone).unwrap();
    assert_eq!((outcomes, ev.context().active()), (3, 0));
}
