//! Threads that notify one receiver in a tight loop, until it was called back often enough.

use std::sync::Arc;
use std::thread;

use rustix::fd::OwnedFd;

use super::wake::{Look, Sleep, WakeWord};
use super::wake_epoll::ring;
use crate::cores::Cores;
use crate::measurement::{Figures, Meter, NOTIFIES, Result};
use crate::pummel::{self, Phase};

/// Callbacks without a look at the system, after which a loop that also serves other things has to take one.
const LOCAL_TURNS: u64 = 64;

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
    let word = Arc::new(WakeWord::default());
    let phase = Arc::new(Phase::default());
    let meter = Meter::start();
    let threads: Vec<_> = (0..threads)
        .map(|index| {
            let (word, phase, cores) = (Arc::clone(&word), Arc::clone(&phase), cores.clone());
            let bell = sleeper.address();
            thread::spawn(move || {
                pummel::notify(index, &phase, &cores, || if word.notify() { ring(&bell) } else { Ok(()) })
            })
        })
        .collect();
    cores.stay_on(0)?;
    receive(&mut sleeper, &word, count)?;
    let notifies = pummel::finish(&phase, threads)?;
    Ok(meter.stop(count).with(NOTIFIES, notifies as f64))
}

fn receive(sleeper: &mut impl Sleep, word: &WakeWord, count: u64) -> Result<()> {
    let mut look = Look::default();
    let mut local_turns = 0;
    for _ in 0..count {
        if look.until(|| word.take()) {
            local_turns += 1;
            if local_turns == LOCAL_TURNS {
                sleeper.look()?;
                local_turns = 0;
            }
        } else {
            word.sleep(sleeper)?;
            local_turns = 0;
        }
    }
    Ok(())
}
