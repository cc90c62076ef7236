//! What a loop has done.

use std::time::Duration;

/// What a loop has done since it was opened, and how it stands: [`Context::metrics`](crate::Context::metrics).
///
/// Counters are kept in any case; times only with [`Config::measure`](crate::Config::measure), since they need clock readings.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// Turns.
    pub turns: u64,
    /// Waits that may have blocked.
    pub waits: u64,
    /// Callbacks that have run.
    pub callbacks: u64,
    /// How often the backend broke a rule of its trait.
    pub backend_faults: u64,
    /// Completions that are adding, active or deleting now.
    pub active: usize,
    /// Of these, operations that the next turn starts.
    pub starting: usize,
    /// Outcomes that are queued now, for callbacks.
    pub queued: usize,
    /// Timers and deadlines that are armed now.
    pub timers: usize,
    /// The times, if they are measured.
    pub times: Option<Times>,
}

/// How long a loop took for what.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Times {
    /// In waits: idle, but for what the kernel works off in them.
    pub idle: Duration,
    /// In callbacks.
    pub callbacks: Duration,
    /// The longest callback.
    pub longest_callback: Duration,
}

impl Times {
    /// A callback has run for so long.
    pub(crate) fn callback(&mut self, took: Duration) {
        self.callbacks += took;
        self.longest_callback = self.longest_callback.max(took);
    }
}
