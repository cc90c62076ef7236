//! More at once than rings and batches hold: nothing is lost (contract L5).

use std::time::Duration;

use proactor_core::{
    Action, Backend, Config, Context, Error, Handle, Loop, Nop, Recv, RunMode, SendAll, Time, Timer,
};

use crate::Fixture;
use crate::steps::{IPV4, Steps, assert_bytes, join_at, listener, pair_on, pattern, start};

/// The smallest rings: ten timers, and ten operations of a kind that needs the queue.
pub(crate) fn one_entry_is_enough<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_with::<()>(Config::default().entries(1));
    let timers: Vec<_> = (0..10).map(|_| ev.start(Timer::after(Duration::from_millis(20)))).collect();
    let (listener, address) = ev.listener();
    let ends: Vec<_> = (0..10).map(|_| join_at(&mut ev, &mut (), listener, &address)).collect();
    let receives: Vec<_> =
        ends.iter().map(|&(_, handle)| ev.start(Recv { handle, buffer: vec![0; 64].into() })).collect();
    let sends: Vec<_> =
        ends.iter().map(|&(handle, _)| ev.start(SendAll { handle, buffer: b"all at once".into() })).collect();
    ev.until_done();
    for received in receives {
        let received = received.take();
        assert_eq!((received.result, &received.buffer[..11]), (Ok(11), &b"all at once"[..]));
    }
    assert!(sends.iter().all(|sent| sent.take().result == Ok(())));
    assert!(timers.iter().all(|timer| timer.take().result == Ok(())));
}

/// Exactly full, one more, twice as many and one more: each completes once.
pub(crate) fn around_the_size_of_the_rings<B: Backend>(fixture: &Fixture<B>) {
    for entries in [2, 8, 32] {
        for count in [entries, entries + 1, 2 * entries + 1] {
            let mut ev = fixture.open_with::<()>(Config::default().entries(entries));
            let (listener, address) = ev.listener();
            let ends: Vec<_> = (0..count).map(|_| join_at(&mut ev, &mut (), listener, &address)).collect();
            let receives: Vec<_> = ends
                .iter()
                .map(|&(_, handle)| ev.start(Recv { handle, buffer: vec![0; 8].into() }))
                .collect();
            ev.no_wait();
            for &(handle, _) in &ends {
                ev.start(SendAll { handle, buffer: b"x".into() });
            }
            ev.until_done();
            assert!(
                receives.iter().all(|received| received.take().result == Ok(1)),
                "{count} with {entries}"
            );
        }
    }
}

/// A thousand submissions in one callback, of timers, immediate ones and a receive each.
pub(crate) fn a_thousand_submissions_in_one_callback<B: Backend>(fixture: &Fixture<B>) {
    #[derive(Default)]
    struct Counts {
        nops: u32,
        timers: u32,
        bytes: usize,
    }
    let mut ev = fixture.open_with::<Counts>(Config::default().entries(4));
    let mut counts = Counts::default();
    let (client, server) = pair_on(&mut ev, &mut counts, IPV4);
    ev.context().submit(Nop, move |_, cx, _| {
        for index in 0..1000_u64 {
            cx.submit(Nop, |counts: &mut Counts, _, done| {
                assert_eq!(done.result, Ok(()));
                counts.nops += 1;
            });
            cx.submit(Timer::after(Duration::from_micros(index % 10)), |counts: &mut Counts, _, expired| {
                assert_eq!(expired.result, Ok(()));
                counts.timers += 1;
            });
            cx.submit(SendAll { handle: client, buffer: b"?!".into() }, |_, _, sent| {
                assert_eq!((sent.result, sent.transferred), (Ok(()), 2));
            });
            cx.submit(
                Recv { handle: server, buffer: vec![0; 2].into() },
                |counts: &mut Counts, _, received| {
                    counts.bytes += received.result.unwrap();
                },
            );
        }
    });
    ev.run(&mut counts, RunMode::UntilDone).unwrap();
    assert_eq!((counts.nops, counts.timers, counts.bytes), (1000, 1000, 2000));
}

/// Far more completions at once than the smallest completion queue has room for.
pub(crate) fn a_flood_of_completions_loses_none<B: Backend>(fixture: &Fixture<B>) {
    const PAIRS: usize = 500;
    let mut ev = fixture.open_with::<u32>(Config::default().entries(1));
    let mut received = 0;
    let (listening, address) = listener(&mut ev.context(), IPV4);
    let mut clients = Vec::new();
    for _ in 0..PAIRS {
        let (client, handle) = join_at(&mut ev, &mut received, listening, &address);
        clients.push(client);
        ev.context().submit(Recv { handle, buffer: vec![0; 8].into() }, |count: &mut u32, _, outcome| {
            assert_eq!(outcome.result, Ok(3));
            *count += 1;
        });
    }
    ev.run(&mut received, RunMode::NoWait).unwrap();
    assert_eq!(received, 0);
    for handle in clients {
        let sent = SendAll { handle, buffer: b"now".into() };
        ev.context().submit(sent, |_, _, sent| assert_eq!(sent.result, Ok(())));
    }
    ev.run(&mut received, RunMode::UntilDone).unwrap();
    assert_eq!(received, PAIRS as u32);
}

/// With the smallest rings everything is cancelled at once, far beyond what they hold.
pub(crate) fn cancelling_more_than_the_rings_hold<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_with::<()>(Config::default().entries(1));
    let (listener, address) = ev.listener();
    let receives: Vec<_> = (0..100)
        .map(|_| {
            let (_client, handle) = join_at(&mut ev, &mut (), listener, &address);
            ev.start(Recv { handle, buffer: vec![0; 8].into() })
        })
        .collect();
    ev.no_wait();
    let timers: Vec<_> = (0..100).map(|_| ev.start(Timer::at(Time::NEVER))).collect();
    ev.context().cancel_all();
    ev.until_done();
    assert!(receives.iter().all(|received| received.take().result == Err(Error::Canceled)));
    assert!(timers.iter().all(|timer| timer.take().result == Err(Error::Canceled)));
}

/// Ten thousand operations on one handle: all of its queue, none of them at the same time in the system.
pub(crate) fn a_long_queue_on_one_handle<B: Backend>(fixture: &Fixture<B>) {
    const SENDS: usize = 10_000;
    #[derive(Default)]
    struct State {
        bytes: Vec<u8>,
        sent: usize,
    }
    fn receive<B: Backend>(cx: &mut Context<'_, B, State>, handle: Handle) {
        cx.submit_rearm(
            Recv { handle, buffer: vec![0; 4096].into() },
            move |state: &mut State, _, received| {
                state.bytes.extend_from_slice(&received.buffer[..received.result.unwrap()]);
                if state.bytes.len() == 7 * SENDS {
                    return Action::Disarm;
                }
                Action::Rearm(Recv { handle, buffer: received.buffer })
            },
        );
    }
    let mut ev: Loop<B, State> = fixture.open_state();
    let mut state = State::default();
    let (client, server) = pair_on(&mut ev, &mut state, IPV4);
    let expected = pattern(21, 7 * SENDS);
    for (index, chunk) in expected.chunks(7).enumerate() {
        ev.context().submit(
            SendAll { handle: client, buffer: chunk.to_vec().into() },
            move |state: &mut State, _, sent| {
                assert_eq!((sent.result, state.sent), (Ok(()), index));
                state.sent += 1;
            },
        );
    }
    receive(&mut ev.context(), server);
    ev.run(&mut state, RunMode::UntilDone).unwrap();
    assert_eq!(state.sent, SENDS);
    assert_bytes(&state.bytes, &expected);
}

/// Connections by the hundred, accepted as they come, with rings of one entry.
pub(crate) fn a_crowd_connects_at_once<B: Backend>(fixture: &Fixture<B>) {
    const CROWD: usize = 300;
    let mut ev = fixture.open_with::<u32>(Config::default().entries(1));
    let (listening, address) = listener(&mut ev.context(), IPV4);
    let mut accepted = 0;
    ev.context().submit_rearm(
        proactor_core::Accept { listener: listening },
        move |count: &mut u32, _, outcome| {
            let (_, peer) = outcome.result.unwrap();
            assert!(peer.as_inet().is_some_and(|peer| peer.ip().is_loopback()));
            *count += 1;
            if *count == CROWD as u32 {
                return Action::Disarm;
            }
            Action::Rearm(proactor_core::Accept { listener: listening })
        },
    );
    let connects: Vec<_> = (0..CROWD)
        .map(|_| {
            let handle = ev.context().socket(address.family()).unwrap();
            start(&mut ev.context(), proactor_core::Connect { handle, address: address.clone() })
        })
        .collect();
    ev.run(&mut accepted, RunMode::UntilDone).unwrap();
    assert_eq!(accepted, CROWD as u32);
    assert!(connects.iter().all(|connect| connect.take().result == Ok(())));
}
