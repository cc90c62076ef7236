//! Timers and the clock (contract T1 to T5).

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use proactor_core::{Action, Backend, Cancel, Error, Loop, Nop, Recv, RunMode, State, Time, Timer};

use crate::Fixture;
use crate::allocator;
use crate::steps::{Log, Steps};

const MS: Duration = Duration::from_millis(1);

/// Ten timers of 20 ms: ten firings, one more turn changes nothing, and they took at least that long.
pub(crate) fn ten_timers_fire_once_each<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (begin, real) = (ev.context().update_now(), Instant::now());
    let timers: Vec<_> = (0..10).map(|_| ev.start(Timer::after(20 * MS))).collect();
    ev.until_done();
    assert!(timers.iter().all(|timer| timer.take().result == Ok(())));
    ev.no_wait();
    assert!(timers.iter().all(|timer| timer.delivered() == 1));
    assert!(ev.context().update_now().since(begin) >= 20 * MS);
    if !fixture.capabilities().virtual_time {
        assert!(real.elapsed() >= 20 * MS, "{:?}", real.elapsed());
    }
}

/// One of a millisecond fires while one of 100 s does not; their states say so.
pub(crate) fn a_short_timer_fires_before_a_long_one<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let long = ev.start(Timer::after(Duration::from_secs(100)));
    let short = ev.start(Timer::after(MS));
    ev.once();
    assert_eq!(short.take().result, Ok(()));
    assert!(!long.is_done());
    assert_eq!((ev.state(short.key), ev.state(long.key)), (State::Dead, State::Active));
    assert_eq!(ev.cancel(long.key), Cancel::Requested);
    ev.until_done();
    assert_eq!(long.take().result, Err(Error::Canceled));
}

/// By deadline, however they were submitted.
pub(crate) fn timers_fire_by_deadline<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<Vec<u64>>();
    let begin = ev.context().update_now();
    let mut delays: Vec<u64> = (0..200).map(|index| (index * 7919) % 3001).collect();
    for &delay in &delays {
        let due = Timer::at(begin + Duration::from_micros(delay));
        ev.context().submit(due, move |order: &mut Vec<u64>, cx, expired| {
            assert_eq!(expired.result, Ok(()));
            assert!(cx.update_now() >= begin + Duration::from_micros(delay), "never early");
            order.push(delay);
        });
    }
    let mut order = Vec::new();
    ev.run(&mut order, RunMode::UntilDone).unwrap();
    delays.sort_unstable();
    assert_eq!(order, delays);
}

/// Equal deadlines in the order of submission, absolute ones among relative ones too.
pub(crate) fn equal_deadlines_fire_in_submission_order<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<Vec<u32>>();
    let due = Timer::at(ev.context().update_now() + MS);
    for number in 0..100 {
        ev.context().submit(due, move |order: &mut Vec<u32>, _, _| order.push(number));
    }
    let mut order = Vec::new();
    ev.run(&mut order, RunMode::UntilDone).unwrap();
    assert_eq!(order, (0..100).collect::<Vec<_>>());
}

/// Relative ones of one delay, submitted one after the other, too.
pub(crate) fn equal_delays_fire_in_submission_order<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<Vec<u32>>();
    for number in 0..100 {
        ev.context().timer_after(MS, move |order: &mut Vec<u32>, _| order.push(number));
    }
    let mut order = Vec::new();
    ev.run(&mut order, RunMode::UntilDone).unwrap();
    assert_eq!(order, (0..100).collect::<Vec<_>>());
}

/// 0, 1 and a moment that has passed fire at once; the largest values never do, and break nothing.
pub(crate) fn the_extremes_of_time_are_fine<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let huge = [
        Timer::after(Duration::MAX),
        Timer::after(Duration::from_nanos(u64::MAX)),
        Timer::after(Duration::from_millis(1_000_000_000)),
        Timer::at(Time::NEVER),
        Timer::at(Time::from_nanos(u64::MAX - 1)),
    ];
    let huge = huge.map(|timer| ev.start(timer));
    let passed = ev.context().update_now();
    let small = [
        Timer::after(Duration::ZERO),
        Timer::after(Duration::from_nanos(1)),
        Timer::at(Time::ZERO),
        Timer::at(passed),
    ];
    let small = small.map(|timer| ev.start(timer));
    ev.until(|| small.iter().all(|timer| timer.is_done()));
    assert!(small.iter().all(|timer| timer.take().result == Ok(())));
    ev.idle();
    assert!(huge.iter().all(|timer| !timer.is_done()));
    for timer in &huge {
        assert_eq!(ev.cancel(timer.key), Cancel::Requested);
    }
    ev.until_done();
    assert!(huge.iter().all(|timer| timer.take().result == Err(Error::Canceled)));
}

/// An immediate completion and a timer of a nanosecond are both done by one run of a turn or two.
pub(crate) fn timers_fire_though_other_work_is_ready<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let due = ev.context().update_now();
    let nop = ev.start(Nop);
    let timer = ev.start(Timer::at(due + Duration::from_nanos(1)));
    if fixture.capabilities().virtual_time {
        ev.until_done();
    } else {
        // A nanosecond has passed by now.
        ev.no_wait();
    }
    assert_eq!((nop.take().result, timer.take().result), (Ok(()), Ok(())));
}

/// A callback that takes long does not make a timer that it arms early: the delay counts from the arming.
pub(crate) fn a_late_callback_arms_no_early_timer<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<Vec<Duration>>();
    let busy = if fixture.capabilities().virtual_time { Duration::ZERO } else { 50 * MS };
    ev.context().submit(Nop, move |_, cx, _| {
        let begin = Instant::now();
        while begin.elapsed() < busy {
            std::hint::spin_loop();
        }
        let (armed, real) = (cx.update_now(), Instant::now());
        cx.timer_after(10 * MS, move |delays: &mut Vec<Duration>, cx| {
            delays.push(cx.update_now().since(armed));
            if !busy.is_zero() {
                delays.push(real.elapsed());
            }
        });
    });
    ev.context().submit_rearm(Timer::after(MS), |delays: &mut Vec<Duration>, _, _| {
        if delays.is_empty() { Action::Rearm(Timer::after(MS)) } else { Action::Disarm }
    });
    let mut delays = Vec::new();
    ev.run(&mut delays, RunMode::UntilDone).unwrap();
    assert!(!delays.is_empty() && delays.iter().all(|&delay| delay >= 10 * MS), "{delays:?}");
}

/// The same from outside a callback: the loop has not run for long, and its cached time is old.
pub(crate) fn an_idle_loop_arms_no_early_timer<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    ev.once();
    std::thread::sleep(20 * MS);
    let real = Instant::now();
    let timer = ev.start(Timer::after(15 * MS));
    ev.finish(&timer);
    assert!(real.elapsed() >= 15 * MS, "{:?}", real.elapsed());
}

/// Time is read once a turn; `update_now` reads it again. It never goes back, and grows over turns that wait.
pub(crate) fn now_is_the_turns_and_grows<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<Vec<Time>>();
    for _ in 0..2 {
        ev.context().submit(Nop, |times: &mut Vec<Time>, cx, _| {
            times.push(cx.now());
            std::thread::sleep(Duration::from_micros(50));
        });
    }
    let mut times = Vec::new();
    ev.run(&mut times, RunMode::NoWait).unwrap();
    assert_eq!(times[0], times[1], "one turn, one time");
    let cached = ev.context().now();
    let fresh = ev.context().update_now();
    assert!(fresh >= cached);
    assert_eq!(ev.context().now(), fresh);
    if !fixture.capabilities().virtual_time {
        assert!(fresh > cached, "the callbacks took 100 us");
    }
    ev.context().timer_after(MS, |times: &mut Vec<Time>, cx| times.push(cx.now()));
    ev.run(&mut times, RunMode::UntilDone).unwrap();
    assert!(times[2] >= fresh + MS);
}

/// A timer that is to come again after longer than time goes does not, however it is asked: it waits, for ever, disturbs no
/// other, and can be cancelled or reset.
pub(crate) fn a_huge_repeat_waits_for_ever<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    for huge in [Duration::MAX, Duration::from_nanos(u64::MAX), Duration::from_nanos(u64::MAX - 1)] {
        let log = Log::new();
        let seen = log.clone();
        let key = ev.context().submit_rearm(Timer::after(MS), move |(), _, expired| {
            seen.push(expired.result);
            if expired.result.is_ok() { Action::Rearm(Timer::after(huge)) } else { Action::Disarm }
        });
        for _ in 0..3 {
            assert_eq!(ev.complete(Timer::after(MS)).result, Ok(()));
        }
        assert_eq!((log.take(), ev.state(key)), (vec![Ok(())], State::Active), "once, and it waits");
        ev.context().timer_reset(key, Timer::after(MS)).unwrap();
        ev.until(|| log.len() == 1);
        assert_eq!(
            (log.take(), ev.cancel(key)),
            (vec![Ok(())], Cancel::Requested),
            "reset, it comes once more"
        );
        ev.until_done();
        assert_eq!(log.take(), [Err(Error::Canceled)]);
    }
}

/// A timer of zero that re-arms itself runs once per turn, and holds up neither others nor the system.
pub(crate) fn a_zero_timer_rearmed_runs_once_per_turn<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let log = Log::new();
    let seen = log.clone();
    let zero = ev.context().submit_rearm(Timer::after(Duration::ZERO), move |(), cx, _| {
        seen.push(cx.turns());
        Action::Rearm(Timer::after(Duration::ZERO))
    });
    let received = ev.start(Recv { handle: server, buffer: vec![0; 8].into() });
    let later = ev.start(Timer::after(MS));
    let sent = ev.start(proactor_core::SendAll { handle: client, buffer: b"through".into() });
    let mut turns = 0;
    while !(received.is_done() && sent.is_done()) {
        ev.no_wait();
        turns += 1;
        assert!(turns < 10_000, "the timer holds up the system");
    }
    assert_eq!(received.take().result, Ok(7));
    if !fixture.capabilities().virtual_time {
        ev.finish(&later);
    }
    let fired = log.take();
    assert!(fired.windows(2).all(|pair| pair[0] < pair[1]), "once per turn at most");
    ev.no_wait();
    ev.no_wait();
    ev.no_wait();
    assert!((2..=3).contains(&log.len()), "and in each turn, once it is armed: {}", log.len());
    assert_eq!(ev.context().delete(zero), Ok(()));
    ev.cancel(later.key);
    ev.until_done();
}

/// In each state: queued, waiting, dead, and from its own callback; one expiry per arming.
pub(crate) fn reset_works_in_each_state<B: Backend>(fixture: &Fixture<B>) {
    const FAR: Duration = Duration::from_secs(100);
    let mut ev = fixture.open();
    let adding = ev.start(Timer::after(FAR));
    assert_eq!(ev.context().timer_reset(adding.key, Timer::after(MS)), Ok(()));
    assert_eq!(ev.finish(&adding).result, Ok(()));
    assert_eq!(ev.context().timer_reset(adding.key, Timer::after(MS)), Err(Error::NotFound), "it is dead");

    let active = ev.start(Timer::after(FAR));
    ev.no_wait();
    assert_eq!(ev.state(active.key), State::Active);
    assert_eq!(ev.context().timer_reset(active.key, Timer::after(MS)), Ok(()));
    assert_eq!(ev.state(active.key), State::Active);
    assert_eq!(ev.finish(&active).result, Ok(()));

    let later = loop {
        let later = ev.start(Timer::after(MS));
        ev.no_wait();
        // Unless this thread was kept waiting for so long.
        if !later.is_done() {
            break later;
        }
    };
    assert_eq!(ev.context().timer_reset(later.key, Timer::after(FAR)), Ok(()));
    let other = ev.start(Timer::after(2 * MS));
    ev.finish(&other);
    assert!(!later.is_done(), "its first deadline does not count any more");
    assert_eq!(ev.context().timer_reset(later.key, Timer::at(Time::ZERO)), Ok(()));
    assert_eq!(ev.finish(&later).result, Ok(()));
    ev.until_done();
    assert_eq!([adding.delivered(), active.delivered(), later.delivered()], [1; 3]);
}

/// From its own callback a reset arms it again.
pub(crate) fn reset_in_its_own_callback_arms_again<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let log = Log::new();
    let (seen, own) = (log.clone(), Rc::new(Cell::new(None)));
    let key_of = Rc::clone(&own);
    let key = ev.context().submit_rearm(Timer::after(MS), move |(), cx, expired| {
        assert_eq!(expired.result, Ok(()));
        seen.push(cx.update_now());
        if seen.len() < 3 {
            assert_eq!(cx.timer_reset(key_of.get().unwrap(), Timer::after(2 * MS)), Ok(()));
        }
        Action::Disarm
    });
    own.set(Some(key));
    ev.until_done();
    let times = log.take();
    assert_eq!(times.len(), 3);
    assert!(times.windows(2).all(|pair| pair[1].since(pair[0]) >= 2 * MS));
    assert_eq!(ev.state(key), State::Dead);
}

/// What is not a timer cannot be reset, and is left as it is.
pub(crate) fn only_timers_can_be_reset<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let received = ev.start(Recv { handle: server, buffer: vec![0; 8].into() });
    assert_eq!(ev.context().timer_reset(received.key, Timer::at(Time::ZERO)), Err(Error::InvalidInput));
    ev.no_wait();
    assert_eq!(ev.context().timer_reset(received.key, Timer::at(Time::ZERO)), Err(Error::InvalidInput));
    assert_eq!(ev.complete(proactor_core::SendAll { handle: client, buffer: b"data".into() }).result, Ok(()));
    assert_eq!(ev.finish(&received).result, Ok(4));
}

/// Each of many resets replaces the deadline before it.
pub(crate) fn many_resets_make_one_expiry<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let timer = ev.start(Timer::after(Duration::from_secs(100)));
    ev.no_wait();
    for round in 0..1000_u64 {
        let far = ev.context().update_now() + Duration::from_secs(100 - round % 7);
        assert_eq!(ev.context().timer_reset(timer.key, Timer::at(far)), Ok(()));
        if round % 100 == 0 {
            ev.no_wait();
        }
    }
    assert!(!timer.is_done(), "none of them has come");
    let due = ev.context().update_now() + 3 * MS;
    assert_eq!(ev.context().timer_reset(timer.key, Timer::at(due)), Ok(()));
    assert_eq!(ev.finish(&timer).result, Ok(()));
    assert!(ev.context().update_now() >= due);
    ev.idle();
    assert_eq!(timer.delivered(), 1);
}

/// Cancelled: the timer gets its outcome; the others keep their order.
pub(crate) fn cancelled_timers_leave_the_others_in_order<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let begin = ev.context().update_now();
    let log = Log::new();
    let keys: Vec<_> = (0..60_u64)
        .map(|number| {
            let (due, seen) = (begin + Duration::from_micros(100_000 + (number * 37) % 60), log.clone());
            ev.context().submit(Timer::at(due), move |(), _, expired| {
                seen.push((due, expired.result));
            })
        })
        .collect();
    ev.no_wait();
    for key in keys.iter().step_by(3) {
        assert_eq!(ev.cancel(*key), Cancel::Requested);
    }
    ev.until_done();
    let ended = log.take();
    let fired: Vec<_> = ended.iter().filter(|(_, result)| result.is_ok()).map(|(due, _)| *due).collect();
    assert_eq!((ended.len(), fired.len()), (60, 40));
    assert!(fired.is_sorted(), "{fired:?}");
}

/// A million are armed and cancelled, and memory stays where it was.
pub(crate) fn a_million_armed_and_cancelled_leave_no_growth<B: Backend>(fixture: &Fixture<B>) {
    const BATCH: usize = 1000;
    let mut ev = fixture.open_state::<u64>();
    let mut ended = 0;
    let mut keys = Vec::with_capacity(BATCH);
    let mut batch = |ev: &mut Loop<B, u64>, ended: &mut u64, round: u64| {
        for index in 0..BATCH as u64 {
            let delay = Duration::from_micros(1_000_000 + (round * 7919 + index * 104_729) % 60_000_000);
            keys.push(ev.context().submit(Timer::after(delay), |ended: &mut u64, _, expired| {
                assert_eq!(expired.result, Err(Error::Canceled));
                *ended += 1;
            }));
        }
        ev.run(ended, RunMode::NoWait).unwrap();
        for key in keys.drain(..) {
            assert_eq!(ev.context().cancel(key), Cancel::Requested);
        }
        ev.run(ended, RunMode::UntilDone).unwrap();
    };
    for round in 0..20 {
        batch(&mut ev, &mut ended, round);
    }
    let before = allocator::live_bytes();
    for round in 20..1020 {
        batch(&mut ev, &mut ended, round);
    }
    let grown = allocator::live_bytes() - before;
    assert_eq!(ended, 1_020_000);
    // A table may still find its size, as the clock falls; a byte left behind by each timer would be a million.
    assert!(grown < 256 << 10, "{grown} bytes more");
}

/// No timer fires twice because the loop is run in small steps.
pub(crate) fn no_double_call_in_small_steps<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let timers: Vec<_> = (0..20_u32).map(|number| ev.start(Timer::after(number * MS / 10))).collect();
    for step in 0..100_000_u32 {
        if timers.iter().all(|timer| timer.is_done()) {
            break;
        }
        match step % 3 {
            0 => ev.no_wait(),
            1 => ev.run_for(&mut (), Duration::from_micros(100)).unwrap(),
            _ => ev.once(),
        }
    }
    ev.idle();
    assert!(timers.iter().all(|timer| timer.take().result == Ok(())));
}
