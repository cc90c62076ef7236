//! What a case must leave as it found it: descriptors, threads, memory (contract X5).
//!
//! Threads are counted on Linux alone: elsewhere it is not proved that none is left.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::allocator;

/// Bytes that the process may keep after a case: what the standard library and the C library create lazily, once.
const MEMORY_ALLOWANCE: isize = 512;

/// How long the system may take to finish what it does behind a join or a close.
const SETTLING_TIME: Duration = Duration::from_secs(2);

/// What the process had at one moment.
#[derive(Debug)]
pub(crate) struct Baseline {
    descriptors: BTreeMap<i32, String>,
    threads: usize,
    live_bytes: isize,
}

impl Baseline {
    pub(crate) fn take() -> Self {
        let descriptors = descriptors();
        let threads = threads();
        // Last, so that this baseline's own memory is in it, as it is in `difference`.
        Self { descriptors, threads, live_bytes: allocator::live_bytes() }
    }

    /// What is different now; empty if nothing is. What the system does a little later gets the time for it.
    pub(crate) fn difference(&self) -> String {
        let deadline = Instant::now() + SETTLING_TIME;
        loop {
            let difference = self.difference_now();
            if difference.is_empty() || Instant::now() >= deadline {
                return difference;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn difference_now(&self) -> String {
        let grown = allocator::live_bytes() - self.live_bytes;
        let mut text = String::new();
        if grown > MEMORY_ALLOWANCE {
            let _ = write!(text, "memory: {grown} bytes more than before; ");
        }
        let (descriptors, threads) = (descriptors(), threads());
        for (number, target) in &descriptors {
            if self.descriptors.get(number) != Some(target) {
                let _ = write!(text, "descriptor {number} ({target}) was left; ");
            }
        }
        for (number, target) in &self.descriptors {
            if !descriptors.contains_key(number) {
                let _ = write!(text, "descriptor {number} ({target}) was closed; ");
            }
        }
        if threads != self.threads {
            let _ = write!(text, "threads: {threads}, before {}; ", self.threads);
        }
        text
    }
}

/// The process's descriptors and what they refer to.
#[cfg(all(unix, not(target_os = "linux")))]
fn descriptors() -> BTreeMap<i32, String> {
    crate::open_files::asked_one_by_one()
}

/// The process's descriptors and what they refer to; none where the system does not list them.
#[cfg(not(all(unix, not(target_os = "linux"))))]
fn descriptors() -> BTreeMap<i32, String> {
    let Ok(entries) = Path::new("/proc/self/fd").read_dir() else { return BTreeMap::new() };
    let entry = |entry: std::fs::DirEntry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        // The descriptor of this very listing is gone by then, or names this directory.
        let target = entry.path().read_link().ok()?;
        let is_listing = target.starts_with("/proc") && target.ends_with("fd");
        (!is_listing).then(|| (number, target.to_string_lossy().into_owned()))
    };
    entries.flatten().filter_map(entry).collect()
}

/// How many threads the process has; none where the system does not list them, as Linux alone does.
fn threads() -> usize {
    Path::new("/proc/self/task").read_dir().map_or(0, Iterator::count)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_os = "linux")]
    use std::sync::{Arc, Barrier};

    #[test]
    fn a_descriptor_left_open_is_named() {
        let before = Baseline::take();
        let file = std::fs::File::open("/dev/null").unwrap();
        let what = if cfg!(target_os = "linux") { "/dev/null" } else { "descriptor" };
        assert!(before.difference_now().contains(what), "{}", before.difference_now());
        drop(file);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_left_running_is_told() {
        // More than other tests of this process can end meanwhile.
        let gate = Arc::new(Barrier::new(101));
        let before = Baseline::take();
        let start = |_| {
            std::thread::spawn({
                let gate = Arc::clone(&gate);
                move || gate.wait().is_leader()
            })
        };
        let threads: Vec<_> = (0..100).map(start).collect();
        assert!(before.difference_now().contains("threads"));
        gate.wait();
        assert_eq!(threads.into_iter().map(|thread| thread.join().is_ok()).filter(|ok| *ok).count(), 100);
    }
}
