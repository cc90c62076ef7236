//! What ours and the floors of async-pummel share: the threads that notify, and how they end.

use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, JoinHandle};

use crate::cores::Cores;
use crate::measurement::Result;

const RUNNING: u8 = 0;
const STOP: u8 = 1;
const STOPPED: u8 = 2;

/// Where a run stands: running, told to stop, stopped. On cache lines of its own, so that the threads reading it do
/// not slow down what is measured.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Phase(AtomicU8);

/// Calls `notify` in a tight loop until told to stop; how often.
///
/// # Errors
/// The first that `notify` or the choice of a core answers.
pub(crate) fn notify(
    index: usize,
    phase: &Phase,
    cores: &Cores,
    mut notify: impl FnMut() -> Result<()>,
) -> Result<u64> {
    // The first has a core to itself where there are two; the rest take what the scheduler gives them.
    if index == 0 {
        cores.stay_on(1)?;
    } else {
        cores.spread()?;
    }
    let mut notifies = 0;
    while phase.0.load(Ordering::Acquire) == RUNNING {
        notify()?;
        notifies += 1;
    }
    phase.0.store(STOPPED, Ordering::Release);
    Ok(notifies)
}

/// Tells the threads to stop, and waits for the first to say so and for each to end; how often they notified.
///
/// # Errors
/// The first of the threads' own.
pub(crate) fn finish(phase: &Phase, threads: Vec<JoinHandle<Result<u64>>>) -> Result<u64> {
    // One that ended by an error has not said so; the others, or joining, end the wait.
    let _ = phase.0.compare_exchange(RUNNING, STOP, Ordering::AcqRel, Ordering::Acquire);
    while phase.0.load(Ordering::Acquire) != STOPPED && !threads.iter().all(JoinHandle::is_finished) {
        thread::yield_now();
    }
    let mut notifies = 0;
    for thread in threads {
        notifies += thread.join().map_err(|_| "a notifying thread panicked")??;
    }
    Ok(notifies)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn threads_notify_until_told_to_stop_and_an_error_comes_out() {
        let phase = Arc::new(Phase::default());
        let (sender, receiver) = std::sync::mpsc::channel();
        let started = |fail: bool| {
            let (phase, sender) = (Arc::clone(&phase), sender.clone());
            let mut told = false;
            thread::spawn(move || {
                let cores = Cores::confine(1)?;
                notify(1, &phase, &cores, || {
                    if !told {
                        told = true;
                        sender.send(())?;
                    }
                    if fail { Err("refused".into()) } else { Ok(()) }
                })
            })
        };
        let good = started(false);
        receiver.recv().expect("it notifies");
        assert!(finish(&phase, vec![good]).expect("nothing failed") > 0);

        let phase_again = Phase::default();
        let bad =
            thread::spawn(move || notify(1, &phase_again, &Cores::confine(1)?, || Err("refused".into())));
        let message = finish(&Phase::default(), vec![bad]).expect_err("it failed").to_string();
        assert_eq!(message, "refused");
    }
}
