//! One outcome per operation, when callbacks run, and the states between (contract C1 to C4, C7).

use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use proactor_core::{
    Accept, Action, Backend, Buffer, Cancel, Close, Connect, Context, Error, Family, Loop, Nop, NotifierWait,
    Recv, RunMode, Send, SendAll, Shutdown, ShutdownHow, State, Time, Timer,
};

use crate::Fixture;
use crate::steps::{Captures, IPV4, Log, Steps, listener, start};

pub(crate) fn nop_completes_once<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let nop = ev.start(Nop);
    assert_eq!((ev.state(nop.key), ev.context().active()), (State::Adding, 1));
    assert!(!nop.is_done(), "nothing is delivered inside submit");
    ev.once();
    assert_eq!(nop.take().result, Ok(()));
    assert_eq!((ev.state(nop.key), ev.context().active()), (State::Dead, 0));
    ev.no_wait();
    assert_eq!(nop.delivered(), 1);
}

/// Ten immediate operations, each submitted by the one before, take a turn each: what a callback submits belongs to
/// the next turn.
pub(crate) fn a_chain_takes_a_turn_a_link<B: Backend>(fixture: &Fixture<B>) {
    fn link<B: Backend>(cx: &mut Context<'_, B, Vec<u64>>, left: u32) {
        cx.submit(Nop, move |turns: &mut Vec<u64>, cx, _| {
            turns.push(cx.turns());
            if left > 1 {
                link(cx, left - 1);
            }
        });
    }
    let mut ev = fixture.open_state::<Vec<u64>>();
    let before = ev.context().turns();
    link(&mut ev.context(), 10);
    let mut turns = Vec::new();
    ev.run(&mut turns, RunMode::UntilDone).unwrap();
    let expected: Vec<u64> = (1..=10).map(|turn| before + turn).collect();
    assert_eq!(turns, expected);
    assert_eq!(ev.context().turns(), before + 10);
}

#[derive(Default)]
struct Depth {
    links: u32,
    addresses: Vec<usize>,
}

/// However long the chain, each callback runs at the same depth of the stack.
pub(crate) fn a_deep_chain_runs_at_constant_depth<B: Backend>(fixture: &Fixture<B>) {
    const LINKS: u32 = 100_000;
    fn link<B: Backend>(cx: &mut Context<'_, B, Depth>) {
        cx.submit(Nop, |depth: &mut Depth, cx, _| {
            depth.links += 1;
            let here = Cell::new(depth.links);
            if depth.links == 1 || depth.links == LINKS {
                depth.addresses.push(std::ptr::from_ref(&here).addr());
            }
            if depth.links < LINKS {
                link(cx);
            }
        });
    }
    let mut ev = fixture.open_state::<Depth>();
    link(&mut ev.context());
    let mut depth = Depth::default();
    ev.run(&mut depth, RunMode::UntilDone).unwrap();
    assert_eq!(depth.links, LINKS);
    assert_eq!(depth.addresses[0], depth.addresses[1]);
}

pub(crate) fn a_long_rearming_runs_at_constant_depth<B: Backend>(fixture: &Fixture<B>) {
    const ARMINGS: u32 = 100_000;
    let mut ev = fixture.open_state::<Depth>();
    let key = ev.context().submit_rearm(Nop, |depth: &mut Depth, _, _| {
        depth.links += 1;
        let here = Cell::new(depth.links);
        if depth.links == 1 || depth.links == ARMINGS {
            depth.addresses.push(std::ptr::from_ref(&here).addr());
        }
        if depth.links < ARMINGS { Action::Rearm(Nop) } else { Action::Disarm }
    });
    let mut depth = Depth::default();
    ev.run(&mut depth, RunMode::UntilDone).unwrap();
    assert_eq!(depth.links, ARMINGS);
    assert_eq!(depth.addresses[0], depth.addresses[1]);
    assert_eq!(ev.context().state(key), State::Dead);
}

/// Whatever is ready already when it is submitted: it is delivered by `run`, not by `submit`.
pub(crate) fn no_callback_runs_inside_submit<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let (waiting, address) = ev.listener();
    let caller = ev.context().socket(address.family()).unwrap();
    assert_eq!(ev.complete(Connect { handle: caller, address }).result, Ok(()));
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"ready".into() }).result, Ok(()));
    let stale = ev.context().socket(Family::Ipv4).unwrap();
    assert_eq!(ev.complete(Close { handle: stale }).result, Ok(()));
    let notifier = ev.context().notifier();
    notifier.notify();
    ev.idle();

    let nop = ev.start(Nop);
    assert!(!nop.is_done());
    let timer = ev.start(Timer::at(Time::ZERO));
    assert!(!timer.is_done());
    let notified = ev.start(NotifierWait { notifier });
    assert!(!notified.is_done());
    let received = ev.start(Recv { handle: server, buffer: vec![0; 8].into() });
    assert!(!received.is_done());
    let accepted = ev.start(Accept { listener: waiting });
    assert!(!accepted.is_done());
    let failed = ev.start(Recv { handle: stale, buffer: vec![0; 8].into() });
    assert!(!failed.is_done());
    let closed = ev.start(Close { handle: caller });
    assert!(!closed.is_done());

    ev.until_done();
    assert_eq!(nop.take().result, Ok(()));
    assert_eq!(timer.take().result, Ok(()));
    assert_eq!(notified.take().result, Ok(()));
    assert_eq!(received.take().result, Ok(5));
    assert!(accepted.take().result.is_ok());
    assert_eq!(failed.take().result, Err(Error::StaleHandle));
    assert_eq!(closed.take().result, Ok(()));
}

/// Nor inside the other calls, nor in a drop.
pub(crate) fn no_callback_runs_inside_other_calls<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let notifier = ev.context().notifier();
    let canceled = ev.start(Timer::at(Time::NEVER));
    let deleted = ev.start(Timer::at(Time::NEVER));
    let reset = ev.start(Timer::at(Time::NEVER));
    let notified = ev.start(NotifierWait { notifier: notifier.clone() });
    let on_closed = ev.start(Recv { handle: client, buffer: vec![0; 8].into() });
    let waiting = ev.start(Recv { handle: server, buffer: vec![0; 8].into() });
    ev.no_wait();
    let log = Log::new();
    let done = |log: &Log<&'static str>, step| {
        let all = canceled.delivered() + deleted.delivered() + reset.delivered() + notified.delivered();
        if all + on_closed.delivered() + waiting.delivered() > 0 {
            log.push(step);
        }
    };
    assert_eq!(ev.cancel(canceled.key), Cancel::Requested);
    done(&log, "cancel");
    ev.context().delete(deleted.key).unwrap();
    done(&log, "delete");
    ev.context().timer_reset(reset.key, Timer::at(Time::ZERO)).unwrap();
    done(&log, "timer_reset");
    notifier.notify();
    done(&log, "notify");
    ev.context().close(client);
    done(&log, "close");
    ev.context().stop();
    ev.context().resume();
    done(&log, "stop and resume");
    ev.context().cancel_all();
    done(&log, "cancel_all");
    drop(ev);
    done(&log, "drop");
    assert_eq!(log.take(), [""; 0]);
}

/// Adding until the next turn, active while it waits, deleting once cancelled, dead at the end; also as seen from
/// inside callbacks.
pub(crate) fn states_follow_the_table<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (_client, server) = ev.pair();
    let recv = ev.start(Recv { handle: server, buffer: vec![0; 8].into() });
    assert_eq!(ev.state(recv.key), State::Adding);
    ev.no_wait();
    assert_eq!(ev.state(recv.key), State::Active);
    assert_eq!(ev.cancel(recv.key), Cancel::Requested);
    assert_eq!(ev.state(recv.key), State::Deleting);
    ev.until_done();
    assert_eq!(recv.take().result, Err(Error::Canceled));
    assert_eq!(ev.state(recv.key), State::Dead);

    let adding = ev.start(Timer::at(Time::NEVER));
    assert_eq!(ev.cancel(adding.key), Cancel::Requested);
    assert_eq!(ev.state(adding.key), State::Deleting);
    ev.until_done();
    assert_eq!((adding.take().result, ev.state(adding.key)), (Err(Error::Canceled), State::Dead));

    let log = Log::new();
    let seen = log.clone();
    let own = Rc::new(Cell::new(None));
    let key_of = Rc::clone(&own);
    let key = ev.context().submit_rearm(Nop, move |(), cx, _| {
        let key = key_of.get().expect("set before the first turn");
        seen.push(cx.state(key));
        if seen.len() < 2 { Action::Rearm(Nop) } else { Action::Disarm }
    });
    own.set(Some(key));
    ev.once();
    assert_eq!(ev.state(key), State::Adding, "re-armed, and not started yet");
    ev.once();
    assert_eq!(log.take(), [State::Dead, State::Dead]);
    assert_eq!(ev.state(key), State::Dead);
}

/// What is submitted first is started first, and what core completes by itself is delivered in that order.
pub(crate) fn what_is_submitted_is_started_in_order<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<Vec<u32>>();
    for number in 0..500 {
        ev.context().submit(Nop, move |order: &mut Vec<u32>, _, done| {
            assert_eq!(done.result, Ok(()));
            order.push(number);
        });
    }
    let mut order = Vec::new();
    ev.run(&mut order, RunMode::UntilDone).unwrap();
    assert_eq!(order, (0..500).collect::<Vec<_>>());
}

/// Kept, cancelled and deleted ones, some before they start and some after: each ends as it must, once.
pub(crate) fn each_ends_exactly_once_whatever_becomes_of_it<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let due =
        |index| if index % 3 == 0 { Timer::after(Duration::from_millis(1)) } else { Timer::at(Time::NEVER) };
    let timers: Vec<_> = (0..300).map(|index| ev.start(due(index))).collect();
    let end = |ev: &mut Loop<B, ()>, range: Range<usize>| {
        for index in range {
            match index % 3 {
                0 => {}
                1 => assert_eq!(ev.cancel(timers[index].key), Cancel::Requested),
                _ => assert_eq!(ev.context().delete(timers[index].key), Ok(())),
            }
        }
    };
    end(&mut ev, 0..150);
    ev.no_wait();
    for timer in timers[150..].iter().skip(1).step_by(3) {
        assert_eq!(ev.state(timer.key), State::Active);
    }
    end(&mut ev, 150..300);
    ev.until_done();
    for (index, timer) in timers.iter().enumerate() {
        match index % 3 {
            0 => assert_eq!(timer.take().result, Ok(())),
            1 => assert_eq!(timer.take().result, Err(Error::Canceled)),
            _ => assert_eq!(timer.delivered(), 0, "deleted"),
        }
        assert_eq!(ev.cancel(timer.key), Cancel::NotFound);
    }
}

/// The buffer that an operation took comes back in its outcome: on success, on error, when cancelled, when its handle
/// is stale or closed, and when too many are under way.
pub(crate) fn buffers_come_back_however_it_ends<B: Backend>(fixture: &Fixture<B>) {
    fn marked(mark: u8) -> Buffer {
        vec![mark; 16].into()
    }
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let sent = ev.complete(Send { handle: client, buffer: marked(1) });
    assert_eq!((sent.result, &sent.buffer[..]), (Ok(16), &[1; 16][..]));
    let received = ev.complete(Recv { handle: server, buffer: marked(2) });
    assert_eq!((received.result, &received.buffer[..]), (Ok(16), &[1; 16][..]));

    let canceled = ev.start(Recv { handle: server, buffer: marked(3) });
    ev.no_wait();
    assert_eq!(ev.cancel(canceled.key), Cancel::Requested);
    let canceled = ev.finish(&canceled);
    assert_eq!((canceled.result, &canceled.buffer[..]), (Err(Error::Canceled), &[3; 16][..]));

    let unsent = ev.start(SendAll { handle: client, buffer: marked(4) });
    assert_eq!(ev.cancel(unsent.key), Cancel::Requested);
    let unsent = ev.finish(&unsent);
    assert_eq!((unsent.result, unsent.transferred), (Err(Error::Canceled), 0));
    assert_eq!(&unsent.buffer[..], &[4; 16]);

    let closed = ev.start(Recv { handle: server, buffer: marked(5) });
    ev.no_wait();
    ev.context().close(server);
    let closed = ev.finish(&closed);
    assert_eq!((closed.result, &closed.buffer[..]), (Err(Error::Canceled), &[5; 16][..]));
    let stale = ev.complete(Send { handle: server, buffer: marked(6) });
    assert_eq!((stale.result, &stale.buffer[..]), (Err(Error::StaleHandle), &[6; 16][..]));

    let unconnected = ev.context().socket(Family::Ipv4).unwrap();
    let failed = ev.complete(Recv { handle: unconnected, buffer: marked(7) });
    assert_eq!(failed.result.map_err(Error::kind), Err(std::io::ErrorKind::NotConnected));
    assert_eq!(&failed.buffer[..], &[7; 16]);
}

pub(crate) fn a_stale_key_is_not_found<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let first = ev.start(Timer::at(Time::ZERO));
    ev.once();
    first.take();
    // Its place in the table is free, and so the next timer's most likely.
    let second = ev.start(Timer::after(Duration::from_millis(1)));
    assert_ne!(first.key, second.key);
    let mut cx = ev.context();
    assert_eq!(cx.cancel(first.key), Cancel::NotFound);
    assert_eq!(cx.delete(first.key), Err(Error::NotFound));
    assert_eq!(cx.background(first.key), Err(Error::NotFound));
    assert_eq!(cx.timer_reset(first.key, Timer::at(Time::ZERO)), Err(Error::NotFound));
    assert_eq!(cx.state(first.key), State::Dead);
    ev.until_done();
    assert_eq!(second.take().result, Ok(()), "what was asked of the dead one did not reach the next");
}

pub(crate) fn a_key_of_another_loop_is_not_found<B: Backend>(fixture: &Fixture<B>) {
    let (mut ev, mut other) = (fixture.open(), fixture.open());
    let (timer, foreign) =
        (ev.start(Timer::after(Duration::from_millis(1))), other.start(Timer::at(Time::NEVER)));
    let mut cx = ev.context();
    assert_eq!(cx.cancel(foreign.key), Cancel::NotFound);
    assert_eq!(cx.delete(foreign.key), Err(Error::NotFound));
    assert_eq!(cx.background(foreign.key), Err(Error::NotFound));
    assert_eq!(cx.timer_reset(foreign.key, Timer::at(Time::ZERO)), Err(Error::NotFound));
    assert_eq!(cx.state(foreign.key), State::Dead);
    ev.until_done();
    assert_eq!(timer.take().result, Ok(()));
    assert_eq!(other.state(foreign.key), State::Adding);
}

/// A re-arming completion keeps its key and its callback, and is given a fresh outcome each time.
pub(crate) fn rearming_keeps_key_and_callback<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let captures = Captures::default();
    let (log, held) = (Log::new(), captures.capture());
    let seen = log.clone();
    let buffer = vec![0; 4].into();
    let key = ev.context().submit_rearm(Recv { handle: server, buffer }, move |(), _, received| {
        let _kept = &held;
        match received.result {
            Ok(0) | Err(_) => {
                seen.push(b"end".to_vec());
                Action::Disarm
            }
            Ok(count) => {
                seen.push(received.buffer[..count].to_vec());
                Action::Rearm(Recv { handle: server, buffer: received.buffer })
            }
        }
    });
    for round in 0..20_u8 {
        assert_eq!(ev.complete(SendAll { handle: client, buffer: vec![round; 4].into() }).result, Ok(()));
        ev.until(|| log.len() == 1);
        assert_eq!(log.take(), [vec![round; 4]]);
        assert_ne!(ev.state(key), State::Dead);
        assert_eq!(captures.held(), 1);
    }
    assert_eq!(ev.complete(Shutdown { handle: client, how: ShutdownHow::Write }).result, Ok(()));
    ev.until_done();
    assert_eq!(log.take(), [b"end".to_vec()]);
    assert_eq!((ev.state(key), captures.held()), (State::Dead, 0));
}

/// Callbacks of any size work, not only those that fit beside the completion.
pub(crate) fn large_captures_are_carried<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<u64>();
    let words: [u64; 64] = std::array::from_fn(|index| index as u64);
    let aligned = Aligned([3; 16]);
    ev.context().submit(Nop, move |sum: &mut u64, _, _| *sum += words.iter().sum::<u64>());
    ev.context().submit_rearm(Nop, move |sum: &mut u64, _, _| {
        assert_eq!(std::ptr::from_ref(&aligned).addr() % 64, 0);
        *sum += aligned.0.iter().map(|&byte| u64::from(byte)).sum::<u64>();
        Action::Disarm
    });
    ev.context().submit(Nop, |sum: &mut u64, _, _| *sum += 1);
    let mut sum = 0;
    ev.run(&mut sum, RunMode::UntilDone).unwrap();
    assert_eq!(sum, 2016 + 48 + 1);
}

#[repr(align(64))]
struct Aligned([u8; 16]);

/// Captures go when the completion ends, not before and not later.
pub(crate) fn captures_are_dropped_at_the_end<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (_client, server) = ev.pair();
    let captures = Captures::default();
    let mut submit = |delay: u64| {
        let held = captures.capture();
        ev.context().timer_after(Duration::from_millis(delay), move |(), _| drop(held));
    };
    submit(0);
    submit(1);
    let held = captures.capture();
    let recv =
        ev.context().submit(Recv { handle: server, buffer: vec![0; 4].into() }, move |(), _, received| {
            assert_eq!(received.result.map_err(|error| (error, held.held())), Err((Error::Canceled, 1)));
        });
    assert_eq!(captures.held(), 3);
    ev.until(|| captures.held() == 1);
    assert_eq!(ev.cancel(recv), Cancel::Requested);
    assert_eq!(captures.held(), 1);
    ev.until_done();
    assert_eq!(captures.held(), 0);
}

/// Everything can be submitted from anywhere: a callback builds a listener, a connection and an exchange of bytes.
pub(crate) fn a_callback_can_start_everything<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<Vec<u8>>();
    ev.context().submit(Nop, |_, cx: &mut Context<'_, B, Vec<u8>>, _| {
        let (listening, address) = listener(cx, IPV4);
        let client = cx.socket(address.family()).unwrap();
        cx.submit(Accept { listener: listening }, move |_, cx, accepted| {
            let (server, _) = accepted.result.unwrap();
            cx.close(listening);
            cx.submit(
                Recv { handle: server, buffer: vec![0; 64].into() },
                move |bytes: &mut Vec<u8>, cx, received| {
                    bytes.extend_from_slice(&received.buffer[..received.result.unwrap()]);
                    cx.close(server);
                    cx.close(client);
                },
            );
        });
        start(cx, Connect { handle: client, address });
        start(cx, SendAll { handle: client, buffer: b"from inside".into() });
    });
    let mut bytes = Vec::new();
    ev.run(&mut bytes, RunMode::UntilDone).unwrap();
    assert_eq!(bytes, b"from inside");
}
