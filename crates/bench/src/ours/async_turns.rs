//! Pairs of loops on a thread each that wake each other strictly in turn.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, OnceLock};
use std::{io, thread};

use proactor_core::{Action, Backend, Config, Loop, Notifier, NotifierWait, RunMode};

use crate::cores::Cores;
use crate::measurement::{Figures, Meter, Result};
use crate::turns::{Side, Turns};

/// One end of a pair, as the other sees it.
#[derive(Default)]
struct End {
    notifier: OnceLock<Notifier>,
    /// What the other end says was played.
    played: AtomicU64,
}

/// What the callback of one end works with.
struct State {
    turns: Turns,
    ends: Arc<[End; 2]>,
    peer: Notifier,
}

impl State {
    fn pass(&mut self, turn: u64) {
        self.ends[self.turns.side().other() as usize].played.store(turn, Ordering::Relaxed);
        self.peer.notify();
    }
}

/// Runs `pairs` pairs at once, `count` round trips each; the figures are those of one pair.
///
/// # Errors
/// What a loop answers, or a turn played out of order.
pub(crate) fn run<B: Backend>(pairs: usize, count: u64, cores: &Cores) -> Result<Figures> {
    let ready = Arc::new(Barrier::new(2 * pairs + 1));
    let mut threads = Vec::with_capacity(2 * pairs);
    for _ in 0..pairs {
        let ends: Arc<[End; 2]> = Arc::default();
        for side in [Side::First, Side::Second] {
            let (ends, ready, cores) = (Arc::clone(&ends), Arc::clone(&ready), cores.clone());
            threads.push(thread::spawn(move || play::<B>(Turns::new(side, count), &ends, &ready, &cores)));
        }
    }
    ready.wait();
    let meter = Meter::start();
    ready.wait();
    for thread in threads {
        thread.join().map_err(|_| "a thread of a pair panicked")??;
    }
    Ok(meter.stop(count))
}

fn play<B: Backend>(turns: Turns, ends: &Arc<[End; 2]>, ready: &Barrier, cores: &Cores) -> Result<()> {
    let prepared = prepare::<B>(turns.side(), ends, cores);
    // Everyone passes both barriers, also who could not open, so that nobody is waited for.
    ready.wait();
    ready.wait();
    let (mut ev, notifier) = prepared?;
    let peer = &ends[turns.side().other() as usize].notifier;
    let peer = peer.get().ok_or("the other end of the pair could not open")?.clone();
    let mut state = State { turns, ends: Arc::clone(ends), peer };
    ev.context().submit_rearm(NotifierWait { notifier }, |state: &mut State, cx, notified| {
        if let Err(error) = notified.result {
            cx.fail(error);
            return Action::Disarm;
        }
        let played = state.ends[state.turns.side() as usize].played.load(Ordering::Relaxed);
        match state.turns.take(played) {
            Ok(Some(turn)) => state.pass(turn),
            Ok(None) => {}
            Err(error) => cx.fail(io::Error::other(error)),
        }
        if state.turns.are_over() {
            Action::Disarm
        } else {
            Action::Rearm(NotifierWait { notifier: notified.notifier })
        }
    });
    if let Some(turn) = state.turns.opening() {
        state.pass(turn);
    }
    ev.run(&mut state, RunMode::UntilDone)?;
    if state.turns.are_over() { Ok(()) } else { Err("the loop ended before the turns did".into()) }
}

fn prepare<B: Backend>(side: Side, ends: &[End; 2], cores: &Cores) -> Result<(Loop<B, State>, Notifier)> {
    cores.stay_on(side as usize)?;
    let mut ev = Loop::open(Config::default())?;
    let notifier = ev.context().notifier();
    if ends[side as usize].notifier.set(notifier.clone()).is_err() {
        return Err("two threads play the same side".into());
    }
    Ok((ev, notifier))
}
