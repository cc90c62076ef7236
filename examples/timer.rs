//! Timers: one after another, one that is put off, one that is cancelled, and one that ticks.

use std::io;
use std::time::{Duration, Instant};

use proactor::{Action, Config, Loop, RunMode, Timer};

struct State {
    started: Instant,
    ticks: u32,
}

fn main() -> io::Result<()> {
    let mut ev = Loop::<State>::open(Config::default())?;
    let mut cx = ev.context();

    cx.timer_after(Duration::from_millis(20), |_state, _cx| println!("second"));
    cx.timer_after(Duration::from_millis(10), |_state, _cx| println!("first"));

    let put_off = cx.timer_after(Duration::from_millis(1), |state: &mut State, _cx| {
        assert!(state.started.elapsed() >= Duration::from_millis(30), "a timer is never early");
        println!("third, put off");
    });
    cx.timer_reset(put_off, Timer::after(Duration::from_millis(30)))?;

    let canceled = cx.submit(Timer::after(Duration::from_secs(3600)), |_state, _cx, expired| {
        println!("canceled: {:?}", expired.result);
    });
    cx.cancel(canceled);

    // Rearming takes the operation anew, so the next deadline is a fresh one.
    let period = Duration::from_millis(50);
    cx.submit_rearm(Timer::after(period), move |state, _cx, _expired| {
        state.ticks += 1;
        println!("tick {}", state.ticks);
        if state.ticks < 3 { Action::Rearm(Timer::after(period)) } else { Action::Disarm }
    });

    let mut state = State { started: Instant::now(), ticks: 0 };
    ev.run(&mut state, RunMode::UntilDone)?;
    assert!(state.started.elapsed() >= 3 * period, "a timer is never early");
    println!("done");
    Ok(())
}
