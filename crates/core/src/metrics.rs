//! What a loop has done.

use std::fmt;
use std::ops::Index;
use std::time::Duration;

use crate::Kind;

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
    /// Outcomes that were delivered, by the kind of their operations.
    pub completions: Completions,
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

/// How many outcomes were delivered, to callbacks or by [`Driver::pop`](crate::Driver::pop), by the kind of their operations:
/// `completions[Kind::Recv]`. What was deleted is not delivered; each item of a multishot operation counts by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Completions([u64; Kind::COUNT]);

impl Completions {
    #[inline(always)]
    pub(crate) const fn count(&mut self, kind: Kind) {
        self.0[kind as usize] += 1;
    }

    /// Of every kind.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl Default for Completions {
    fn default() -> Self {
        Self([0; Kind::COUNT])
    }
}

impl Index<Kind> for Completions {
    type Output = u64;

    fn index(&self, kind: Kind) -> &u64 {
        &self.0[kind as usize]
    }
}

impl fmt::Debug for Completions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completions").field("total", &self.total()).finish_non_exhaustive()
    }
}

impl Times {
    /// A callback has run for so long.
    pub(crate) fn callback(&mut self, took: Duration) {
        self.callbacks += took;
        self.longest_callback = self.longest_callback.max(took);
    }
}
