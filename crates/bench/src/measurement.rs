//! What a program measures about its own run.

use std::error::Error;
use std::time::{Duration, Instant};

use proactor_core::{Backend, Config, Loop};
#[cfg(not(target_os = "wasi"))]
use rustix::time::{ClockId, clock_gettime};

use crate::allocations;

/// Any failure of a program, of the system under it, or of its check of itself.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// One run's figures. All but the extras cover what lies between [`Meter::start`] and [`Meter::stop`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figures {
    /// Operations that completed and were checked.
    pub(crate) operations: u64,
    pub(crate) elapsed: Duration,
    /// Processor time of all threads, in user and kernel mode.
    pub(crate) processor_time: Duration,
    /// Heap allocations and reallocations of all threads.
    pub(crate) allocations: u64,
    /// What only some workloads have: a name and a total for the run.
    pub(crate) extras: Vec<(&'static str, f64)>,
}

/// The extra that says how many notifies were made, redundant ones too.
pub(crate) const NOTIFIES: &str = "notifies";
/// The extra that says how many heap bytes an armed timer takes.
pub(crate) const BYTES_PER_TIMER: &str = "bytes_per_timer";

/// The extra that says how many heap bytes an idle connection takes.
pub(crate) const HEAP_PER_CONNECTION: &str = "heap_bytes_per_connection";
/// The extra that says how many bytes of the process's resident memory an idle connection takes.
pub(crate) const RSS_PER_CONNECTION: &str = "rss_bytes_per_connection";

/// Every extra's name.
pub(crate) const EXTRAS: [&str; 4] = [NOTIFIES, BYTES_PER_TIMER, HEAP_PER_CONNECTION, RSS_PER_CONNECTION];

impl Figures {
    /// Adds a figure that only some workloads have.
    pub(crate) fn with(mut self, name: &'static str, value: f64) -> Self {
        self.extras.push((name, value));
        self
    }

    /// A figure that only some workloads have.
    pub(crate) fn extra(&self, name: &str) -> Option<f64> {
        self.extras.iter().find(|(known, _)| *known == name).map(|&(_, value)| value)
    }
}

/// Takes the time, processor time and allocations of a section.
#[derive(Debug)]
pub(crate) struct Meter {
    allocations: u64,
    processor_time: Duration,
    started: Instant,
}

impl Meter {
    pub(crate) fn start() -> Self {
        Meter { allocations: allocations::count(), processor_time: processor_time(), started: Instant::now() }
    }

    /// Ends the section in which `operations` operations completed.
    pub(crate) fn stop(self, operations: u64) -> Figures {
        let elapsed = self.started.elapsed();
        Figures {
            operations,
            elapsed,
            processor_time: processor_time().saturating_sub(self.processor_time),
            allocations: allocations::count() - self.allocations,
            extras: Vec::new(),
        }
    }
}

/// The time that a loop has slept, on WASI, where the processor time of a program is not known: it is all the other time.
#[cfg(target_os = "wasi")]
static SLEPT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// Notes that a loop has slept.
#[cfg(target_os = "wasi")]
pub(crate) fn slept(time: Duration) {
    let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    SLEPT.fetch_add(nanoseconds, std::sync::atomic::Ordering::Relaxed);
}

/// Notes how long a loop has slept, where nobody else knows.
pub(crate) fn note_idle<B: Backend, S>(ev: &mut Loop<B, S>) {
    #[cfg(target_os = "wasi")]
    if let Some(times) = ev.context().metrics().times {
        slept(times.idle);
    }
    #[cfg(not(target_os = "wasi"))]
    let _ = ev;
}

/// The configuration of a loop whose processor time is of interest.
pub(crate) fn config() -> Config {
    if cfg!(target_os = "wasi") { Config::default().measure() } else { Config::default() }
}

#[cfg(target_os = "wasi")]
fn processor_time() -> Duration {
    static BEGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let slept = Duration::from_nanos(SLEPT.load(std::sync::atomic::Ordering::Relaxed));
    // The first call is before anything has slept.
    BEGIN.get_or_init(Instant::now).elapsed().saturating_sub(slept)
}

#[cfg(not(target_os = "wasi"))]
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    // A process's own time is never negative and its nanoseconds are below one second.
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
