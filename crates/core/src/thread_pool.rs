//! The pool of threads for what would block the loop.

use std::fmt;
use std::time::{Duration, Instant};

use crate::Error;
use crate::sync::Arc;

#[cfg(not(unix))]
mod absent;
#[cfg(unix)]
mod client;
mod job;
mod jobs;
#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(unix)]
mod slot;
#[cfg(all(test, not(loom), unix))]
mod tests;
#[cfg(unix)]
mod threads;

#[cfg(not(unix))]
use absent::{Client, Shared};
#[cfg(unix)]
use client::Client;
pub(crate) use job::Task;
pub use job::{Call, Job, Returned};
pub(crate) use jobs::{Jobs, Withdrawal};
#[cfg(unix)]
use threads::Shared;

/// How long the drop of a loop or of a pool waits for what threads are doing. What has not returned by then is left to
/// its thread, with all that it touches.
const GRACE: Duration = Duration::from_secs(1);

/// Threads for what would block a loop, shared by all loops that are opened with it ([`Config::pool`](crate::Config::pool)).
///
/// A thread is started when there is a job and no thread that could take it, up to [`PoolConfig::threads`], and ends
/// after [`PoolConfig::idle`] without a job. What is submitted beyond that waits: in the pool's queue, and where that is
/// full, in its own loop, in order and without end. A job that panics ends its own operation and nothing else.
///
/// The pool ends with its last clone, the loops' included. That waits for what threads are doing, a second at most; a
/// call that does not return keeps its thread, and what it works on, until it does (contract X5).
///
/// ```
/// use std::thread;
///
/// use proactor_sim::{Config, Loop, Pool, PoolConfig, RunMode, Work};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::new(PoolConfig::default().threads(2))?;
/// let loops = [1, 2, 3].map(|number| {
///     let pool = pool.clone();
///     thread::spawn(move || {
///         let mut ev = Loop::<u32>::open(Config::default().pool(pool)).expect("a simulation opens");
///         ev.context().submit(Work::new(move || number * 10), |sum, _cx, worked| *sum += worked.result.unwrap_or(0));
///         let mut sum = 0;
///         ev.run(&mut sum, RunMode::UntilDone).expect("the work ends the wait");
///         sum
///     })
/// });
/// let sums = loops.map(|thread| thread.join().expect("it does not panic"));
/// assert_eq!(sums, [10, 20, 30]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Pool(std::sync::Arc<Owner>);

/// What the last clone of a pool drops.
struct Owner(Arc<Shared>);

impl Pool {
    /// A pool. No thread is started before there is a job.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a configuration out of range.
    pub fn new(config: PoolConfig) -> Result<Self, Error> {
        config.check()?;
        Ok(Self::unchecked(config))
    }

    fn unchecked(config: PoolConfig) -> Self {
        Self(std::sync::Arc::new(Owner(Arc::new(Shared::new(config)))))
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close(Instant::now() + GRACE);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("threads", &self.shared().threads()).finish_non_exhaustive()
    }
}

/// How a [`Pool`] is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PoolConfig {
    /// How many threads there may be, 1 to 1,024; 4 unless set.
    pub threads: u32,
    /// How many jobs its queue holds that no thread has taken, 1 to 65,536; 256 unless set. More than that wait in their
    /// loops, which costs nothing but fairness between them.
    pub queue: u32,
    /// The size of a thread's stack in bytes, 1 to 2^62 and rounded up to what the system allows; what std chooses unless
    /// set.
    pub stack_size: Option<usize>,
    /// After how much time without a job a thread ends; 10 seconds unless set.
    pub idle: Duration,
}

impl PoolConfig {
    /// The largest value of [`PoolConfig::threads`].
    pub const MAX_THREADS: u32 = 1024;

    /// The largest value of [`PoolConfig::queue`].
    pub const MAX_QUEUE: u32 = 65_536;

    /// Sets [`PoolConfig::threads`].
    #[must_use]
    pub const fn threads(mut self, threads: u32) -> Self {
        self.threads = threads;
        self
    }

    /// Sets [`PoolConfig::queue`].
    #[must_use]
    pub const fn queue(mut self, jobs: u32) -> Self {
        self.queue = jobs;
        self
    }

    /// Sets [`PoolConfig::stack_size`].
    #[must_use]
    pub const fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Sets [`PoolConfig::idle`].
    #[must_use]
    pub const fn idle(mut self, time: Duration) -> Self {
        self.idle = time;
        self
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for `threads` outside 1 to 1,024, `queue` outside 1 to 65,536, or a stack without a size or
    /// beyond all memory.
    pub const fn check(&self) -> Result<(), Error> {
        let threads_fit = self.threads >= 1 && self.threads <= Self::MAX_THREADS;
        let queue_fits = self.queue >= 1 && self.queue <= Self::MAX_QUEUE;
        let stack_fits = match self.stack_size {
            Some(bytes) => bytes >= 1 && bytes <= usize::MAX / 4,
            None => true,
        };
        if threads_fit && queue_fits && stack_fits { Ok(()) } else { Err(Error::InvalidInput) }
    }
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { threads: 4, queue: 256, stack_size: None, idle: Duration::from_secs(10) }
    }
}

/// Where a loop has done what would block it: [`Config::pool`](field@crate::Config::pool).
#[derive(Clone, Debug)]
pub enum PoolChoice {
    /// On a pool of the loop's own, made when it is first needed, and dropped with the loop. On a simulation, which could
    /// not be repeated otherwise: as [`PoolChoice::None`]. Where the backend has no threads the same, but for
    /// [`Work`](crate::Work) and [`Resolve`](crate::Resolve), which are nothing but a wait for others: they end with
    /// [`Error::Unsupported`].
    Own(PoolConfig),
    /// On this one. Where the backend has no threads: as with [`PoolChoice::Own`].
    Shared(Pool),
    /// On the loop's own thread, when the operation is started: no thread is ever started, and the loop stands still
    /// meanwhile.
    None,
}

impl PoolChoice {
    pub(crate) const fn check(&self) -> Result<(), Error> {
        match self {
            Self::Own(config) => config.check(),
            Self::Shared(_) | Self::None => Ok(()),
        }
    }
}

impl Default for PoolChoice {
    fn default() -> Self {
        Self::Own(PoolConfig::default())
    }
}
