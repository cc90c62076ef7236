//! Ending everything: `cancel_all` and dropping the loop (contract X3, X5, X6).

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use proactor_core::{
    Accept, AcceptMany, Action, Backend, Close, Connect, Context, Error, Event, Flow, Key, Loop, Nop,
    NotifierWait, OneShot, Recv, RunMode, Send, SendAll, Shutdown, ShutdownHow, Time, Timer,
};

use super::cancellation::MORE_THAN_FITS;
use crate::Fixture;
use crate::steps::{Captures, Log, Steps};

/// What the callbacks of [`everything`] keep and write.
#[derive(Clone)]
struct Witness {
    captures: Captures,
    log: Log<&'static str>,
}

impl Witness {
    fn new() -> Self {
        Self { captures: Captures::default(), log: Log::new() }
    }

    /// Submits `operation`; its callback writes down `name`, and keeps a capture.
    fn submit<B: Backend, O: OneShot>(
        &self,
        cx: &mut Context<'_, B, ()>,
        name: &'static str,
        operation: O,
    ) -> Key {
        let (held, log) = (self.captures.capture(), self.log.clone());
        cx.submit(operation, move |(), _, _| {
            drop(held);
            log.push(name);
        })
    }
}

/// One of everything: under way, waiting, queued behind others and not started yet.
fn everything<B: Backend>(ev: &mut Loop<B, ()>, witness: &Witness) {
    let (_client, server) = ev.pair();
    let (listener, address) = ev.listener();
    let (many, _) = ev.listener();
    let recv = || Recv { handle: server, buffer: vec![0; 64].into() };
    let mut cx = ev.context();
    let notifier = cx.notifier();
    witness.submit(&mut cx, "timer", Timer::at(Time::NEVER));
    witness.submit(&mut cx, "notifier wait", NotifierWait { notifier: notifier.clone() });
    witness.submit(&mut cx, "second wait", NotifierWait { notifier: notifier.clone() });
    witness.submit(&mut cx, "accept", Accept { listener });
    witness.submit(&mut cx, "second accept", Accept { listener });
    witness.submit(&mut cx, "receive", recv());
    witness.submit(&mut cx, "second receive", recv());
    witness.submit(&mut cx, "send all", SendAll { handle: server, buffer: vec![1; MORE_THAN_FITS].into() });
    witness.submit(&mut cx, "send", Send { handle: server, buffer: vec![1; 64].into() });
    witness.submit(&mut cx, "shut down", Shutdown { handle: server, how: ShutdownHow::Write });
    let key = witness.submit(&mut cx, "background", Timer::at(Time::NEVER));
    cx.background(key).unwrap();
    let (held, log) = (witness.captures.capture(), witness.log.clone());
    cx.submit_multishot(AcceptMany { listener: many }, move |(), _, event| {
        let _kept = &held;
        if let Event::Last(_) = event {
            log.push("accept many");
        }
        Flow::Continue
    });
    ev.no_wait();
    let mut cx = ev.context();
    let caller = cx.socket(address.family()).unwrap();
    witness.submit(&mut cx, "nop", Nop);
    witness.submit(&mut cx, "connect", Connect { handle: caller, address });
    witness.submit(&mut cx, "late timer", Timer::after(Duration::from_secs(1)));
    witness.submit(&mut cx, "close", Close { handle: listener });
}

/// How many completions [`everything`] has. One, the second wait of one notifier, ends at once.
const EVERYTHING: usize = 16;

/// All kinds, started or not, background too: each ends once, and nothing is under way.
pub(crate) fn it_covers_everything<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let witness = Witness::new();
    everything(&mut ev, &witness);
    ev.context().cancel_all();
    ev.until_done();
    let mut ended = witness.log.take();
    ended.sort_unstable();
    assert_eq!(ended.len(), EVERYTHING, "{ended:?}");
    ended.dedup();
    assert_eq!(ended.len(), EVERYTHING, "each once: {ended:?}");
    assert_eq!(witness.captures.held(), 0);
}

/// Dropping the loop runs no callback and drops what they captured; that nothing else survives, the harness sees.
pub(crate) fn dropping_the_loop_lets_go_of_everything<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let witness = Witness::new();
    everything(&mut ev, &witness);
    assert_eq!(witness.log.take(), ["second wait"]);
    assert_eq!(witness.captures.held(), EVERYTHING - 1);
    drop(ev);
    assert_eq!((witness.log.take(), witness.captures.held()), (Vec::new(), 0));
}

/// So does dropping it with outcomes queued that no callback has had: accepted connections, received bytes.
pub(crate) fn dropping_the_loop_with_outcomes_queued_lets_go_too<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, address) = ev.listener();
    let (client, server) = ev.pair();
    let witness = Witness::new();
    let mut cx = ev.context();
    let due = Timer::at(cx.update_now());
    cx.submit(due, |(), cx, _| cx.stop());
    for _ in 0..50 {
        witness.submit(&mut cx, "timer", due);
    }
    witness.submit(&mut cx, "accept", Accept { listener });
    witness.submit(&mut cx, "receive", Recv { handle: server, buffer: vec![0; 4096].into() });
    let caller = cx.socket(address.family()).unwrap();
    cx.submit(Connect { handle: caller, address }, |(), _, _| ());
    cx.submit(SendAll { handle: client, buffer: b"unheard".into() }, |(), _, _| ());
    ev.run(&mut (), RunMode::UntilDone).unwrap();
    assert_eq!(witness.captures.held(), 52, "stopped by the first");
    drop(ev);
    assert_eq!((witness.log.take(), witness.captures.held()), (Vec::new(), 0));
}

/// Dropped before its first turn, with everything still queued.
pub(crate) fn dropping_the_loop_before_its_first_turn<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let captures = Captures::default();
    let (listener, address) = ev.listener();
    let client = ev.context().socket(address.family()).unwrap();
    let mut cx = ev.context();
    let held = captures.capture();
    cx.submit(Accept { listener }, move |(), _, _| panic!("{}", held.held()));
    let held = captures.capture();
    cx.submit(Connect { handle: client, address }, move |(), _, _| panic!("{}", held.held()));
    let held = captures.capture();
    let buffer = vec![0; 1 << 20].into();
    cx.submit(SendAll { handle: client, buffer }, move |(), _, _| panic!("{}", held.held()));
    cx.submit(Close { handle: listener }, |(), _, _| panic!("no callback runs in a drop"));
    assert_eq!(cx.active(), 4);
    drop(ev);
    assert_eq!(captures.held(), 0);
}

/// After it, nothing writes to a buffer any more, though the peer sends.
pub(crate) fn buffers_rest_once_nothing_is_under_way<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (mut pairs, mut receives) = (Vec::new(), Vec::new());
    for index in 0..8_u8 {
        let (client, server) = ev.pair();
        receives.push(ev.start(Recv { handle: server, buffer: vec![index; 16 << 10].into() }));
        pairs.push((client, server));
    }
    ev.no_wait();
    ev.context().cancel_all();
    ev.until_done();
    let buffers: Vec<_> = receives
        .iter()
        .map(|received| {
            let received = received.take();
            assert_eq!(received.result, Err(Error::Canceled));
            received.buffer
        })
        .collect();
    for &(client, _) in &pairs {
        assert_eq!(ev.complete(SendAll { handle: client, buffer: vec![0xff; 1024].into() }).result, Ok(()));
    }
    ev.idle();
    for (index, buffer) in buffers.iter().enumerate() {
        assert!(buffer.iter().all(|&byte| usize::from(byte) == index), "buffer {index} was written to");
    }
    for &(_, server) in &pairs {
        let received = ev.complete(Recv { handle: server, buffer: vec![0; 2048].into() });
        assert_eq!((received.result, received.buffer[0]), (Ok(1024), 0xff));
    }
}

/// The callback that called it answers Rearm: that arming ends as cancelled, once, and the one after it is new.
pub(crate) fn a_rearm_of_the_caller_ends_cancelled_once<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let log = Log::new();
    let seen = log.clone();
    ev.context().submit_rearm(Timer::at(Time::ZERO), move |(), cx, expired| {
        seen.push(expired.result);
        if seen.len() == 1 {
            cx.cancel_all();
        }
        if seen.len() < 4 { Action::Rearm(Timer::at(Time::ZERO)) } else { Action::Disarm }
    });
    ev.until_done();
    assert_eq!(log.take(), [Ok(()), Err(Error::Canceled), Ok(()), Ok(())]);
}

/// So does the Rearm of a callback whose outcome was queued already; the outcome itself is the real one.
pub(crate) fn a_rearm_of_a_queued_outcome_ends_cancelled_once<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let due = Timer::at(ev.context().update_now());
    ev.context().submit(due, |(), cx, _| cx.cancel_all());
    let log = Log::new();
    let seen = log.clone();
    ev.context().submit_rearm(due, move |(), _, expired| {
        seen.push(expired.result);
        if seen.len() < 3 { Action::Rearm(Timer::at(Time::ZERO)) } else { Action::Disarm }
    });
    ev.until_done();
    assert_eq!(log.take(), [Ok(()), Err(Error::Canceled), Ok(())]);
}

/// What is submitted after it, by the same callback too, is not meant.
pub(crate) fn what_is_submitted_later_is_new<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let log = Log::new();
    let seen = log.clone();
    let old = ev.start(Recv { handle: server, buffer: vec![0; 8].into() });
    ev.context().submit(Nop, move |(), cx, _| {
        cx.cancel_all();
        let (timer, received) = (seen.clone(), seen.clone());
        cx.timer_after(Duration::from_millis(1), move |(), _| timer.push(Ok(0)));
        cx.submit(Recv { handle: server, buffer: vec![0; 8].into() }, move |(), _, outcome| {
            received.push(outcome.result);
        });
        cx.submit(SendAll { handle: client, buffer: b"new".into() }, |(), _, sent| {
            assert_eq!(sent.result, Ok(()))
        });
    });
    ev.until_done();
    assert_eq!(old.take().result, Err(Error::Canceled));
    let mut ended = log.take();
    ended.sort_unstable_by_key(|result| result.unwrap_or(usize::MAX));
    assert_eq!(ended, [Ok(0), Ok(3)]);
}

/// Handles stay open: it ends operations, nothing else. Of nothing it does nothing; twice is as good as once.
pub(crate) fn handles_outlive_it<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    ev.context().cancel_all();
    let (client, server) = ev.pair();
    let received = ev.start(Recv { handle: server, buffer: vec![0; 8].into() });
    ev.no_wait();
    ev.context().cancel_all();
    ev.context().cancel_all();
    ev.until_done();
    assert_eq!(received.take().result, Err(Error::Canceled));
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"still".into() }).result, Ok(()));
    assert_eq!(ev.complete(Recv { handle: server, buffer: vec![0; 8].into() }).result, Ok(5));
}

/// Callbacks that submit as they are cancelled do not keep it from getting there: what they submit is new, and ends by
/// itself.
pub(crate) fn callbacks_of_cancelled_operations_may_submit<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let count = Rc::new(Cell::new(0));
    for _ in 0..20 {
        let seen = Rc::clone(&count);
        ev.context().submit(Timer::at(Time::NEVER), move |(), cx, expired| {
            assert_eq!(expired.result, Err(Error::Canceled));
            cx.submit(Nop, move |(), _, done| {
                assert_eq!(done.result, Ok(()));
                seen.set(seen.get() + 1);
            });
        });
    }
    ev.no_wait();
    ev.context().cancel_all();
    ev.until_done();
    assert_eq!(count.get(), 20);
}
