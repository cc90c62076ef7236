//! The loop over the simulator, in corners where one completion could disturb another.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use proactor_sim::{Action, Config, Context, Error, Key, Loop, Nop, RunMode, Timer};

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
