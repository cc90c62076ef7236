//! Pairs of threads that wake each other strictly in turn, each asleep until it was woken.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, OnceLock};
use std::thread;

use super::wake::{Sleep, WakeWord};
use crate::cores::Cores;
use crate::measurement::{Figures, Meter, Result};

/// One end of a pair, as the other sees it.
struct End<S: Sleep> {
    word: WakeWord,
    address: OnceLock<S::Address>,
    /// The number of turns that the other end says were played.
    turns: AtomicU64,
}

impl<S: Sleep> Default for End<S> {
    fn default() -> Self {
        End { word: WakeWord::default(), address: OnceLock::new(), turns: AtomicU64::new(0) }
    }
}

/// Which end of a pair a thread plays, and on which of the run's cores.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    First = 0,
    Second = 1,
}

/// Runs `pairs` pairs at once, `count` round trips each; the figures are those of one pair.
///
/// # Errors
/// What the system answers, or a turn played out of order.
pub(crate) fn run<S: Sleep + 'static>(pairs: usize, count: u64, cores: &Cores) -> Result<Figures> {
    let ready = Arc::new(Barrier::new(2 * pairs + 1));
    let mut threads = Vec::with_capacity(2 * pairs);
    for _ in 0..pairs {
        let ends: Arc<[End<S>; 2]> = Arc::default();
        for side in [Side::First, Side::Second] {
            let (ends, ready, cores) = (Arc::clone(&ends), Arc::clone(&ready), cores.clone());
            threads.push(thread::spawn(move || play(side, &ends, &ready, count, &cores)));
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

fn play<S: Sleep>(side: Side, ends: &[End<S>; 2], ready: &Barrier, count: u64, cores: &Cores) -> Result<()> {
    let prepared = prepare(side, ends, cores);
    // Everyone passes both barriers, also who could not open, so that nobody is waited for.
    ready.wait();
    ready.wait();
    let mut sleeper = prepared?;
    let (own, peer) = match side {
        Side::First => (&ends[0], &ends[1]),
        Side::Second => (&ends[1], &ends[0]),
    };
    let address = peer.address.get().ok_or("the other end of the pair could not open")?;
    if side == Side::First {
        pass(&mut sleeper, peer, address, 1)?;
    }
    for trip in 0..count {
        own.word.sleep(&mut sleeper)?;
        let turns = 2 * trip + 1 + side_offset(side);
        if own.turns.load(Ordering::Relaxed) != turns {
            return Err("a turn was played out of order".into());
        }
        if side == Side::Second || trip + 1 < count {
            pass(&mut sleeper, peer, address, turns + 1)?;
        }
    }
    // A wake that goes out with the next wait has to go out now.
    sleeper.look()
}

/// Turns that a trip has taken, beside the first, when it comes to this side.
const fn side_offset(side: Side) -> u64 {
    match side {
        Side::First => 1,
        Side::Second => 0,
    }
}

fn prepare<S: Sleep>(side: Side, ends: &[End<S>; 2], cores: &Cores) -> Result<S> {
    cores.stay_on(side as usize)?;
    let sleeper = S::open()?;
    if ends[side as usize].address.set(sleeper.address()).is_err() {
        return Err("two threads play the same side".into());
    }
    Ok(sleeper)
}

#[inline]
fn pass<S: Sleep>(sleeper: &mut S, peer: &End<S>, address: &S::Address, turns: u64) -> Result<()> {
    peer.turns.store(turns, Ordering::Relaxed);
    if peer.word.notify() { sleeper.wake(address) } else { Ok(()) }
}
