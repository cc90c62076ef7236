//! Pairs of threads that wake each other strictly in turn, each asleep until it was woken.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, OnceLock};
use std::thread;

use super::wake::{Sleep, WakeWord};
use crate::cores::Cores;
use crate::measurement::{Figures, Meter, Result};
use crate::turns::{Side, Turns};

/// One end of a pair, as the other sees it.
struct End<S: Sleep> {
    word: WakeWord,
    address: OnceLock<S::Address>,
    /// What the other end says was played.
    played: AtomicU64,
}

impl<S: Sleep> Default for End<S> {
    fn default() -> Self {
        End { word: WakeWord::default(), address: OnceLock::new(), played: AtomicU64::new(0) }
    }
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
            threads.push(thread::spawn(move || play(Turns::new(side, count), &ends, &ready, &cores)));
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

fn play<S: Sleep>(mut turns: Turns, ends: &[End<S>; 2], ready: &Barrier, cores: &Cores) -> Result<()> {
    let prepared = prepare(turns.side(), ends, cores);
    // Everyone passes both barriers, also who could not open, so that nobody is waited for.
    ready.wait();
    ready.wait();
    let mut sleeper = prepared?;
    let (own, peer) = (&ends[turns.side() as usize], &ends[turns.side().other() as usize]);
    let address = peer.address.get().ok_or("the other end of the pair could not open")?;
    if let Some(turn) = turns.opening() {
        pass(&mut sleeper, peer, address, turn)?;
    }
    while !turns.are_over() {
        own.word.sleep(&mut sleeper)?;
        if let Some(turn) = turns.take(own.played.load(Ordering::Relaxed))? {
            pass(&mut sleeper, peer, address, turn)?;
        }
    }
    // A wake that goes out with the next wait has to go out now.
    sleeper.look()
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
fn pass<S: Sleep>(sleeper: &mut S, peer: &End<S>, address: &S::Address, turn: u64) -> Result<()> {
    peer.played.store(turn, Ordering::Relaxed);
    if peer.word.notify() { sleeper.wake(address) } else { Ok(()) }
}
