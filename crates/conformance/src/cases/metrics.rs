//! What a loop tells of itself: counters, idle time, the longest callback.

use std::time::{Duration, Instant};

use proactor_core::{Action, Backend, Cancel, Config, Kind, Loop, Nop, RunMode, Timer};

use crate::Fixture;

const MS: Duration = Duration::from_millis(1);

/// Time in waits is idle time; time in callbacks is not.
pub(crate) fn idle_time_is_measured<B: Backend>(fixture: &Fixture<B>) {
    // A thread that is held up on its way to a wait idles less, and one that is held up in a look more: then once more.
    let mut failures = Vec::new();
    while let Err(failure) = idle_time_of_a_run(fixture) {
        failures.push(failure);
        assert!(failures.len() < 10, "{failures:?}");
    }
}

fn idle_time_of_a_run<B: Backend>(fixture: &Fixture<B>) -> Result<(), String> {
    let mut ev: Loop<B, u32> = fixture.open_with(Config::default().measure());
    let begin = ev.context().update_now();
    let before = ev.context().metrics().times.expect("they are measured");
    assert_eq!((before.idle, before.callbacks), (Duration::ZERO, Duration::ZERO));
    ev.context().submit(Timer::after(40 * MS), |count: &mut u32, _, _| *count += 1);
    let mut count = 0;
    ev.run(&mut count, RunMode::UntilDone).unwrap();
    let elapsed = ev.context().update_now().since(begin);
    let times = ev.context().metrics().times.expect("they are measured");
    assert!(times.idle <= elapsed, "{times:?} of {elapsed:?}");
    // What is not idle of it: the way to the wait and back, which takes no such time.
    if times.idle < 20 * MS {
        return Err(format!("{times:?} of {elapsed:?}"));
    }
    assert!(ev.context().metrics().waits > 0);

    let busy = if fixture.capabilities().virtual_time { Duration::ZERO } else { 30 * MS };
    ev.context().submit(Nop, move |_, _, _| {
        let begin = Instant::now();
        while begin.elapsed() < busy {
            std::hint::spin_loop();
        }
    });
    ev.run(&mut count, RunMode::UntilDone).unwrap();
    let after = ev.context().metrics().times.expect("they are measured");
    assert!(after.longest_callback >= busy && after.callbacks >= after.longest_callback, "{after:?}");
    if after.idle >= times.idle + 20 * MS {
        return Err(format!("{after:?} after {times:?}"));
    }
    Ok(())
}

/// Counters are there in any case, times only where they were asked for.
pub(crate) fn what_is_done_is_counted<B: Backend>(fixture: &Fixture<B>) {
    let mut ev: Loop<B, u32> = fixture.open_state();
    ev.context().submit_rearm(Nop, |count: &mut u32, _, _| {
        *count += 1;
        if *count < 100 { Action::Rearm(Nop) } else { Action::Disarm }
    });
    let far = ev.context().submit(Timer::after(Duration::from_secs(1000)), |_, _, _| ());
    ev.context().background(far).unwrap();
    let metrics = ev.context().metrics();
    assert_eq!((metrics.turns, metrics.callbacks, metrics.starting, metrics.active), (0, 0, 2, 2));
    let mut count = 0;
    ev.run(&mut count, RunMode::UntilDone).unwrap();
    let metrics = ev.context().metrics();
    assert_eq!((metrics.callbacks, metrics.turns), (100, 100));
    assert_eq!((metrics.active, metrics.timers, metrics.starting, metrics.queued), (1, 1, 0, 0));
    assert_eq!((metrics.backend_faults, metrics.times), (0, None));
    let completions = metrics.completions;
    assert_eq!((completions[Kind::Nop], completions[Kind::Timer], completions.total()), (100, 0, 100));
    let mut cx = ev.context();
    assert_eq!(cx.cancel(far), Cancel::Requested);
    let deleted = cx.submit(Nop, |_, _, _| unreachable!("it is deleted"));
    cx.delete(deleted).unwrap();
    ev.run(&mut count, RunMode::NoWait).unwrap();
    let completions = ev.context().metrics().completions;
    assert_eq!((completions[Kind::Nop], completions[Kind::Timer], completions.total()), (100, 1, 101));
}
