//! Layer 2: callbacks.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::time::Duration;

use crate::backend::{Backend, Until};
use crate::callback::Callback;
use crate::context::Context;
use crate::driver::{Driver, Next};
use crate::handles::NONE;
use crate::mailbox::Rooms;
use crate::{Config, Time};

mod embed;

/// When [`Loop::run`] returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunMode {
    /// After one turn that takes what is ready and does not block.
    NoWait,
    /// After at least one callback, or when nothing is active. An explicit [`Waker::wake`](crate::Waker::wake) ends it
    /// early.
    Once,
    /// When nothing is adding, active or deleting, background completions not counted.
    UntilDone,
}

/// An event loop on the backend `B`, whose callbacks get the user's state `S`.
///
/// The loop owns its driver and runs on the thread that calls [`run`](Self::run); callbacks run there and nowhere else,
/// one at a time (contract C3). Everything but running is done through a [`Context`].
///
/// Dropping a loop runs no callback: it drops their captures, cancels what is under way and closes what it owns
/// (contract X5).
///
/// ```
/// use std::time::Duration;
///
/// use proactor_sim::{Config, Loop, RunMode, Timer};
///
/// # fn main() -> std::io::Result<()> {
/// let mut ev = Loop::<Vec<&str>>::open(Config::default())?;
/// let mut cx = ev.context();
/// cx.submit(Timer::after(Duration::from_millis(20)), |heard, _cx, _expired| heard.push("second"));
/// cx.submit(Timer::after(Duration::from_millis(10)), |heard, cx, _expired| {
///     heard.push("first");
///     cx.stop();
/// });
///
/// let mut heard = Vec::new();
/// ev.run(&mut heard, RunMode::UntilDone)?;
/// assert_eq!(heard, ["first"]);
///
/// // A stop lasts until it is taken back, and loses nothing.
/// ev.context().resume();
/// ev.run(&mut heard, RunMode::UntilDone)?;
/// assert_eq!(heard, ["first", "second"]);
/// assert_eq!(ev.context().active(), 0);
/// # Ok(())
/// # }
/// ```
pub struct Loop<B: Backend, S> {
    inner: Inner<B, S>,
    /// A loop belongs to its thread.
    not_send: PhantomData<*const ()>,
}

/// What a [`Context`] refers to.
pub(crate) struct Inner<B: Backend, S> {
    /// Who waits for room in the loop's mailboxes.
    pub(crate) rooms: Rooms,
    /// Its records have the callbacks.
    pub(crate) driver: Driver<B>,
    pub(crate) failure: Option<io::Error>,
    pub(crate) stopped: bool,
    /// How many deliveries have called nobody: looks into a mailbox that found it empty.
    pub(crate) silent: usize,
    /// Whether the present turn ends after the present callback: it has stopped or failed the loop.
    pub(crate) interrupted: bool,
    /// The callbacks' state, and that they may belong to the loop's thread.
    of_callbacks: PhantomData<*const S>,
}

impl<B: Backend, S> Loop<B, S> {
    /// Opens the backend and a loop on it.
    ///
    /// # Errors
    /// `InvalidInput` for a configuration out of range, otherwise why the system refuses and what to do about it
    /// (contract E1, E2).
    pub fn open(config: Config) -> io::Result<Self> {
        Driver::open(config).map(Self::with_driver)
    }

    /// A loop on a backend that is open already.
    #[must_use]
    pub fn with_backend(backend: B) -> Self {
        Self::with_driver(Driver::with_backend(backend))
    }

    fn with_driver(driver: Driver<B>) -> Self {
        let inner = Inner {
            rooms: Rooms::default(),
            driver,
            failure: None,
            stopped: false,
            silent: 0,
            interrupted: false,
            of_callbacks: PhantomData,
        };
        Self { inner, not_send: PhantomData }
    }

    /// What callbacks get, for setting up and for looking afterwards.
    pub fn context(&mut self) -> Context<'_, B, S> {
        Context::new(&mut self.inner)
    }

    /// Runs turns, and callbacks with `state`, until `mode` says so, until a callback calls
    /// [`stop`](Context::stop), or until one calls [`fail`](Context::fail).
    ///
    /// A turn starts what was submitted, in order; ends expired timers; takes notifications; waits once; and then runs the
    /// callbacks of all that is complete, in the order in which that came about (contract L3). What callbacks submit
    /// belongs to the next turn. Deadlines of operations that have passed take effect after expired timers, notifications and
    /// what is complete by then, which is looked for without waiting (contract X4).
    ///
    /// A callback that panics unwinds through `run`. Its completion is dead then, other outcomes stay queued, and the loop
    /// can be run again (contract C6).
    ///
    /// # Errors
    /// What `fail` was given; [`Error::Deadlock`](crate::Error::Deadlock) where nothing could ever end a wait;
    /// [`Error::Backend`](crate::Error::Backend) where the backend broke a rule; or the system's own, from waiting.
    pub fn run(&mut self, state: &mut S, mode: RunMode) -> io::Result<()> {
        if mode == RunMode::NoWait {
            self.inner.driver.awake();
        }
        self.run_turns(state, Ends::By(mode))
    }

    /// Runs as [`RunMode::UntilDone`], but for at most `duration`; an explicit wake ends it early.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_for(&mut self, state: &mut S, duration: Duration) -> io::Result<()> {
        let end = self.inner.driver.update_now() + duration;
        self.run_until(state, end)
    }

    /// Runs as [`RunMode::UntilDone`], but until `end` at the latest; an explicit wake ends it early.
    ///
    /// It makes one turn at least where something is pending, also if `end` has passed. What is ready by `end`, but more than one
    /// wait takes, is left to the next run: to take all of it, follow up with [`RunMode::NoWait`].
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_until(&mut self, state: &mut S, end: Time) -> io::Result<()> {
        self.run_turns(state, Ends::At(end))
    }

    /// Makes turns, until it is told to end. What was done before the run counts too. An error that was kept for `run` comes
    /// out here.
    fn run_turns(&mut self, state: &mut S, ends: Ends) -> io::Result<()> {
        self.inner.take_failure()?;
        let until = ends.until();
        while !self.inner.interrupted && self.has_more(ends) {
            let silent = self.inner.silent;
            let called = self.turn(state, until)?;
            let driver = &mut self.inner.driver;
            let is_over = match ends {
                Ends::By(RunMode::UntilDone) => {
                    // Not what ends it, and left pending it would keep the next turn from waiting.
                    driver.take_wake();
                    false
                }
                Ends::By(RunMode::Once) => called > self.inner.silent - silent || driver.take_wake(),
                Ends::By(RunMode::NoWait) => true,
                Ends::At(end) => driver.take_wake() || driver.now() >= end,
            };
            if is_over {
                break;
            }
        }
        self.inner.take_failure()
    }

    /// Whether there is anything left to be waited for.
    #[inline(always)]
    fn has_more(&self, ends: Ends) -> bool {
        let driver = &self.inner.driver;
        match ends {
            Ends::By(RunMode::UntilDone) | Ends::At(_) => driver.foreground() > 0,
            Ends::By(RunMode::Once) => driver.active() > 0,
            Ends::By(RunMode::NoWait) => true,
        }
    }

    /// One turn and its callbacks; how many ran. All of it is in the one loop that calls it, since there are turns in which little
    /// happens: a round trip on one connection makes four.
    #[inline(always)]
    fn turn(&mut self, state: &mut S, until: Until) -> io::Result<usize> {
        self.inner.driver.pass(until)?;
        let measures = self.inner.driver.times.is_some();
        let mut guard = Guard { inner: &mut self.inner };
        let called = if measures {
            guard.run_callbacks_measured(state)
        } else {
            guard.run_callbacks(state, usize::MAX)
        };
        guard.inner.driver.callbacks += called as u64;
        // It has nothing to tidy up.
        std::mem::forget(guard);
        Ok(called)
    }
}

/// What ends a run, beside a callback that stops it or has it fail.
#[derive(Clone, Copy)]
enum Ends {
    By(RunMode),
    /// As `UntilDone`, and a point in time or an explicit wake.
    At(Time),
}

impl Ends {
    /// How long each of its turns may wait.
    const fn until(self) -> Until {
        match self {
            Self::By(RunMode::NoWait) => Until::Now,
            Self::By(RunMode::Once | RunMode::UntilDone) => Until::Forever,
            Self::At(end) => Until::Deadline(end),
        }
    }
}

/// Runs callbacks, and tidies up after one that panics, or after a backend that does so between them.
struct Guard<'a, B: Backend, S> {
    inner: &'a mut Inner<B, S>,
}

impl<B: Backend, S> Guard<'_, B, S> {
    /// Delivers what is queued now; what callbacks queue is left for the next turn.
    #[inline(always)]
    fn run_callbacks(&mut self, state: &mut S, most: usize) -> usize {
        let mut called = 0;
        let mut left = self.inner.driver.outcomes().min(most);
        while left > 0 {
            left -= 1;
            let Some(entry) = self.inner.driver.done.queue.take() else { break };
            if let Some(callback) = self.inner.driver.next_common(entry) {
                self.call(state, entry, NONE, callback);
            } else {
                match self.inner.driver.next_uncommon(entry) {
                    Next::Last { index, callback } => self.call(state, index, NONE, callback),
                    Next::More { index, item, callback } => self.call(state, index, item, callback),
                    Next::Discarded { index } => {
                        let _last = self.inner.driver.discarded.take();
                        self.inner.driver.done.records.clear_callback(index);
                        continue;
                    }
                    Next::Nothing | Next::Empty => continue,
                }
            }
            called += 1;
            if self.inner.interrupted {
                break;
            }
        }
        self.inner.driver.done.queue.settle();
        called
    }

    #[inline(always)]
    fn call(&mut self, state: &mut S, index: u32, item: u32, callback: Callback) {
        self.inner.driver.running = index;
        self.inner.call(state, index, item, callback);
        self.inner.driver.running = NONE;
    }
}

impl<B: Backend, S> Guard<'_, B, S> {
    /// The same, one at a time, with a look at the clock after each.
    #[cold]
    #[inline(never)]
    fn run_callbacks_measured(&mut self, state: &mut S) -> usize {
        let (mut called, mut begin) = (0, self.inner.driver.read_clock());
        let mut left = self.inner.driver.outcomes();
        while left > 0 && !self.inner.interrupted {
            left -= 1;
            let ran = self.run_callbacks(state, 1);
            let end = self.inner.driver.read_clock();
            if let Some(times) = self.inner.driver.times.as_mut().filter(|_| ran > 0) {
                times.callback(end.since(begin));
            }
            (called, begin) = (called + ran, end);
        }
        called
    }
}

impl<B: Backend, S> Drop for Guard<'_, B, S> {
    fn drop(&mut self) {
        let running = std::mem::replace(&mut self.inner.driver.running, NONE);
        if running == NONE {
            self.inner.driver.put_back_next();
        } else {
            self.inner.driver.abandon(running);
        }
    }
}

impl<B: Backend, S> Inner<B, S> {
    fn take_failure(&mut self) -> io::Result<()> {
        self.interrupted = self.stopped;
        self.failure.take().map_or(Ok(()), Err)
    }
}

impl<B: Backend, S> Drop for Inner<B, S> {
    /// Captures go before the driver: they may hold notifiers, not operations. They may also wait for a thread that waits for room,
    /// so that is over first.
    fn drop(&mut self) {
        drop(std::mem::take(&mut self.rooms));
        self.driver.done.records.clear_callbacks();
    }
}

impl<B: Backend, S> fmt::Debug for Loop<B, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.inner, f)
    }
}

impl<B: Backend, S> fmt::Debug for Inner<B, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loop")
            .field("backend", &B::NAME)
            .field("active", &self.driver.active())
            .field("stopped", &self.stopped)
            .finish_non_exhaustive()
    }
}
