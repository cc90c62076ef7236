//! Timers on a hashed wheel, with one mechanism or another to sleep until the next tick that has any.

use std::time::{Duration, Instant};

use super::wake::Sleep;
use super::wheel::Wheel;
use crate::allocations;
use crate::measurement::{BYTES_PER_TIMER, Figures, Meter, Result};
use crate::timer_load::{Tally, deadline};

/// Arms `count` timers and runs until each has fired.
///
/// # Errors
/// What the system answers, or a timer that fired early, twice or not at all.
pub(crate) fn insert_and_fire<S: Sleep>(count: u64) -> Result<Figures> {
    let mut sleeper = S::open()?;
    let live_before = allocations::live_bytes();
    let meter = Meter::start();
    let begin = Instant::now();
    let mut wheel = filled(count)?;
    let bytes = allocations::live_bytes() - live_before;
    let mut tally = Tally::default();
    loop {
        let now = nanoseconds(begin.elapsed());
        wheel.advance(now, |timer| tally.fired(timer, now));
        let Some(next) = wheel.next_deadline() else { break };
        sleeper.wait_for(Duration::from_nanos(next.saturating_sub(nanoseconds(begin.elapsed()))))?;
    }
    let figures = meter.stop(tally.count()).with(BYTES_PER_TIMER, bytes as f64 / count as f64);
    tally.check(count)?;
    Ok(figures)
}

/// Arms `count` timers and cancels each.
///
/// # Errors
/// When a timer was left.
pub(crate) fn insert_and_cancel(count: u64) -> Result<Figures> {
    let live_before = allocations::live_bytes();
    let meter = Meter::start();
    let mut wheel = filled(count)?;
    let bytes = allocations::live_bytes() - live_before;
    let mut tally = Tally::default();
    for timer in 0..count {
        wheel.cancel(timer);
        tally.ended(timer);
    }
    let figures = meter.stop(tally.count()).with(BYTES_PER_TIMER, bytes as f64 / count as f64);
    if wheel.next_deadline().is_some() {
        return Err("a cancelled timer is still armed".into());
    }
    tally.check(count)?;
    Ok(figures)
}

fn filled(count: u64) -> Result<Wheel> {
    let mut wheel = Wheel::new(usize::try_from(count)?);
    for timer in 0..count {
        wheel.insert(timer, deadline(timer));
    }
    Ok(wheel)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
