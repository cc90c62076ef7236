//! Timers, each with a callback of its own.

use std::time::Duration;

use proactor_core::{Backend, Error, Key, Loop, RunMode, Time, Timer};

use crate::allocations;
use crate::measurement::{self, BYTES_PER_TIMER, Figures, Meter, Result};
use crate::timer_load::{Tally, deadline};

/// How far the deadlines of timers that are to be cancelled are put off, so that none fires before.
const OUT_OF_REACH: Duration = Duration::from_secs(60);

struct State {
    begin: Time,
    tally: Tally,
}

/// Arms `count` timers and runs until each has fired.
///
/// # Errors
/// What the loop answers, or a timer that fired early, twice or not at all.
pub(crate) fn insert_and_fire<B: Backend>(count: u64) -> Result<Figures> {
    let live_before = allocations::live_bytes();
    let mut ev = Loop::<B, State>::open(measurement::config())?;
    let meter = Meter::start();
    let mut cx = ev.context();
    let mut state = State { begin: cx.update_now(), tally: Tally::default() };
    for timer in 0..count {
        let due = state.begin + Duration::from_nanos(deadline(timer));
        cx.submit(Timer::at(due), move |state: &mut State, cx, expired| match expired.result {
            Ok(()) => {
                let now = cx.now().as_nanos() - state.begin.as_nanos();
                state.tally.fired(timer, now);
            }
            Err(error) => cx.fail(error),
        });
    }
    ev.run(&mut state, RunMode::NoWait)?;
    let bytes = allocations::live_bytes() - live_before;
    ev.run(&mut state, RunMode::UntilDone)?;
    measurement::note_idle(&mut ev);
    let figures = meter.stop(state.tally.count()).with(BYTES_PER_TIMER, bytes as f64 / count as f64);
    state.tally.check(count)?;
    Ok(figures)
}

/// Arms `count` timers, cancels each, and runs until each was called back.
///
/// # Errors
/// What the loop answers, or a timer that was not cancelled, or twice.
pub(crate) fn insert_and_cancel<B: Backend>(count: u64) -> Result<Figures> {
    let mut keys: Vec<Key> = Vec::with_capacity(usize::try_from(count)?);
    let live_before = allocations::live_bytes();
    let mut ev = Loop::<B, State>::open(measurement::config())?;
    let meter = Meter::start();
    let mut cx = ev.context();
    let mut state = State { begin: cx.update_now() + OUT_OF_REACH, tally: Tally::default() };
    for timer in 0..count {
        let due = state.begin + Duration::from_nanos(deadline(timer));
        keys.push(cx.submit(Timer::at(due), move |state: &mut State, cx, expired| match expired.result {
            Err(Error::Canceled) => state.tally.ended(timer),
            Ok(()) => cx.fail(std::io::Error::other("a timer fired before it was cancelled")),
            Err(error) => cx.fail(error),
        }));
    }
    ev.run(&mut state, RunMode::NoWait)?;
    let bytes = allocations::live_bytes() - live_before;
    let mut cx = ev.context();
    for key in keys {
        cx.cancel(key);
    }
    ev.run(&mut state, RunMode::UntilDone)?;
    measurement::note_idle(&mut ev);
    let figures = meter.stop(state.tally.count()).with(BYTES_PER_TIMER, bytes as f64 / count as f64);
    state.tally.check(count)?;
    Ok(figures)
}
