//! Threads that notify one receiver in a tight loop, until it was called back often enough.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

use rustix::fd::OwnedFd;

use super::wake::{Look, Sleep, WakeWord};
use super::wake_epoll::ring;
use crate::cores::Cores;
use crate::measurement::{Figures, Meter, NOTIFIES, Result};

const RUNNING: u8 = 0;
const STOP: u8 = 1;
const STOPPED: u8 = 2;

/// Callbacks without a look at the system, after which a loop that also serves other things has to take one.
const LOCAL_TURNS: u64 = 64;

/// What the receiver and the notifiers share.
#[derive(Default)]
struct Shared {
    word: WakeWord,
    state: AtomicU8,
}

/// Runs until `count` callbacks have been made while `threads` threads notified.
///
/// # Errors
/// What the system answers.
pub(crate) fn run<S: Sleep<Address = Arc<OwnedFd>>>(
    threads: usize,
    count: u64,
    cores: &Cores,
) -> Result<Figures> {
    let mut sleeper = S::open()?;
    let shared = Arc::new(Shared::default());
    let meter = Meter::start();
    let notifiers: Vec<_> = (0..threads)
        .map(|index| {
            let (shared, bell, cores) = (Arc::clone(&shared), sleeper.address(), cores.clone());
            thread::spawn(move || notify(index, &shared, &bell, &cores))
        })
        .collect();
    cores.stay_on(0)?;
    receive(&mut sleeper, &shared, count)?;
    shared.state.store(STOP, Ordering::Release);
    while shared.state.load(Ordering::Acquire) != STOPPED {
        thread::yield_now();
    }
    let mut notifies = 0;
    for notifier in notifiers {
        notifies += notifier.join().map_err(|_| "a notifier panicked")??;
    }
    Ok(meter.stop(count).with(NOTIFIES, notifies as f64))
}

fn receive(sleeper: &mut impl Sleep, shared: &Shared, count: u64) -> Result<()> {
    let mut look = Look::default();
    let mut local_turns = 0;
    for _ in 0..count {
        if look.until(|| shared.word.take()) {
            local_turns += 1;
            if local_turns == LOCAL_TURNS {
                sleeper.look()?;
                local_turns = 0;
            }
        } else {
            shared.word.sleep(sleeper)?;
            local_turns = 0;
        }
    }
    Ok(())
}

fn notify(index: usize, shared: &Shared, bell: &OwnedFd, cores: &Cores) -> Result<u64> {
    // The first has a core to itself where there are two; the rest take what the scheduler gives them.
    if index == 0 {
        cores.stay_on(1)?;
    } else {
        cores.spread()?;
    }
    let mut notifies = 0;
    while shared.state.load(Ordering::Acquire) == RUNNING {
        if shared.word.notify() {
            ring(bell)?;
        }
        notifies += 1;
    }
    shared.state.store(STOPPED, Ordering::Release);
    Ok(notifies)
}
