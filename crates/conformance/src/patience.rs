//! How long a case may take: on a machine that has other things to do, longer.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How many times its limit a case may take in all, however little of that it was let run.
const AT_MOST: u32 = 10;

/// Where the system tells how long a thread was ready to run while others did, if it does.
#[derive(Debug)]
pub(crate) struct Queued(Option<PathBuf>);

impl Queued {
    /// That of the calling thread, which is to be a new one.
    pub(crate) fn here() -> Self {
        let thread = fs::read_link("/proc/thread-self").ok();
        Self(thread.map(|thread| PathBuf::from("/proc").join(thread).join("schedstat")))
    }

    /// How long it was, so far.
    fn time(&self) -> Duration {
        let told = self.0.as_ref().and_then(|path| fs::read_to_string(path).ok());
        told.and_then(|told| second_number(&told)).map_or(Duration::ZERO, Duration::from_nanos)
    }
}

/// Time on a processor, time ready for one, and how often it got one.
fn second_number(told: &str) -> Option<u64> {
    told.split_whitespace().nth(1)?.parse().ok()
}

/// Waits for what `receiver` brings from a thread; None if that takes longer than `limit`, in which only the time counts that
/// the thread did not spend in the queue for a processor. One that sleeps, and one that runs round in circles, are found out
/// as soon as on an idle machine, or nearly.
pub(crate) fn wait_for<T>(receiver: &Receiver<T>, queued: &Queued, limit: Duration) -> Option<T> {
    let started = Instant::now();
    loop {
        let passed = started.elapsed();
        let left = limit.saturating_sub(passed.saturating_sub(queued.time()));
        let left = left.min((limit * AT_MOST).saturating_sub(passed));
        match receiver.recv_timeout(left) {
            Ok(value) => return Some(value),
            Err(RecvTimeoutError::Timeout) if left.is_zero() => return None,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => unreachable!("the thread sends before it ends"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(10);

    #[test]
    fn what_sleeps_has_its_limit_and_no_more() {
        let (_sender, receiver) = channel::<()>();
        let started = Instant::now();
        assert_eq!(wait_for(&receiver, &Queued(None), LIMIT), None);
        assert!(started.elapsed() >= LIMIT);
    }

    #[test]
    fn what_others_took_does_not_count() {
        let file = std::env::temp_dir().join(format!("proactor-patience-{}", std::process::id()));
        let (_sender, receiver) = channel::<()>();
        // As if it had been ready for three times its limit, and once more for ever.
        for (queued, at_least) in [(3 * LIMIT, 4), (1000 * LIMIT, AT_MOST)] {
            fs::write(&file, format!("17 {} 3\n", queued.as_nanos())).unwrap();
            let started = Instant::now();
            assert_eq!(wait_for(&receiver, &Queued(Some(file.clone())), LIMIT), None);
            assert!(started.elapsed() >= LIMIT * at_least);
        }
        fs::remove_file(&file).unwrap();
    }

    #[test]
    fn what_comes_is_taken() {
        let (sender, receiver) = channel();
        sender.send(5).unwrap();
        assert_eq!(wait_for(&receiver, &Queued::here(), LIMIT), Some(5));
        assert_eq!(second_number("1 2 3"), Some(2));
        assert_eq!(second_number("1"), None);
    }
}
