//! A user's own work on the pool.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::Error;
use crate::operation::{Kind, OneShot, Submission, Target, UNDECIDED, sealed};
use crate::outcome::Outcome;
use crate::thread_pool::{Call, Job};

/// Calls a closure on a thread of the loop's pool, for what would block the loop or keep it busy; its callback gets what
/// the closure returned.
///
/// While no thread has begun it, it can be cancelled, and the closure comes back uncalled. One that runs ends when it
/// ends: a cancel is [`Cancel::Requested`](crate::Cancel::Requested) then, and the result comes all the same (contract X2).
/// A closure that panics ends with [`Error::Panicked`] and its payload, and the thread lives on.
///
/// The closure is boxed: one allocation for each. Without a pool ([`Config::pool`](field@crate::Config::pool)) it is called
/// on the loop's own thread.
///
/// ```
/// use proactor_sim::{Config, Loop, RunMode, Work};
///
/// # fn main() -> std::io::Result<()> {
/// let mut ev = Loop::<u64>::open(Config::default())?;
/// let numbers = vec![3, 4, 5];
/// ev.context().submit(Work::new(move || numbers.iter().product()), |product, _cx, worked| {
///     *product = worked.result.expect("it multiplies small numbers");
/// });
/// let mut product = 0;
/// ev.run(&mut product, RunMode::UntilDone)?;
/// assert_eq!(product, 60);
/// # Ok(())
/// # }
/// ```
pub struct Work<F> {
    /// What is called. What it captures goes to the thread, and comes back where it was not called.
    pub call: F,
}

/// How a [`Work`] went.
pub struct Worked<F, T> {
    /// The closure, if it was not called.
    pub call: Option<F>,
    /// What it returned; [`Error::Canceled`] if it was not called, [`Error::Panicked`] if it has panicked, and where no
    /// thread could be started, the system's reason.
    pub result: Result<T, Error>,
    /// What it has panicked with: for `std::panic::resume_unwind`.
    pub panic: Option<Box<dyn Any + Send>>,
}

impl<F> Work<F> {
    /// Calls `call`.
    #[must_use]
    pub const fn new(call: F) -> Self {
        Self { call }
    }
}

impl<F, T> Work<F>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    /// With a deadline `timeout` after it is armed: what is still queued then ends with [`Error::TimedOut`], and its
    /// closure comes back uncalled; what has begun ends with its result (contract X4, X2).
    #[must_use]
    pub fn with_timeout(self, timeout: std::time::Duration) -> crate::WithDeadline<Self> {
        crate::WithDeadline::new(self, Err(timeout))
    }

    /// The same with a deadline at `deadline` on the loop's clock.
    #[must_use]
    pub fn with_deadline(self, deadline: crate::Time) -> crate::WithDeadline<Self> {
        crate::WithDeadline::new(self, Ok(deadline))
    }
}

impl<F, T> Worked<F, T> {
    /// Why it failed, if it did.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        self.result.as_ref().err().copied()
    }
}

impl<F> fmt::Debug for Work<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").finish_non_exhaustive()
    }
}

impl<F, T: fmt::Debug> fmt::Debug for Worked<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worked").field("result", &self.result).finish_non_exhaustive()
    }
}

/// A [`Work`], or what came of it, without the type of its closure: what [`Driver::pop`](crate::Driver::pop) brings.
pub struct AnyWork(Box<dyn Task>);

/// A `Worked<F, T>` whose types are forgotten.
trait Task: Send {
    fn run(&mut self);
    fn set_error(&mut self, error: Error);
    fn error(&self) -> Option<Error>;
    /// Its `Result<T, Error>`.
    fn result(&mut self) -> &mut dyn Any;
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

impl<F, T> Task for Worked<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    fn run(&mut self) {
        let Some(call) = self.call.take() else { return };
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(value) => self.result = Ok(value),
            Err(payload) => (self.result, self.panic) = (Err(Error::Panicked), Some(payload)),
        }
    }

    fn set_error(&mut self, error: Error) {
        self.result = Err(error);
    }

    fn error(&self) -> Option<Error> {
        self.error()
    }

    fn result(&mut self) -> &mut dyn Any {
        &mut self.result
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

impl AnyWork {
    /// What does one.
    pub(crate) const fn job() -> Job {
        Job::new(|call: &mut Call<'_>| {
            if let Outcome::Work(work) = call.outcome {
                work.0.run();
            }
        })
    }

    pub(crate) fn set_error(&mut self, error: Error) {
        self.0.set_error(error);
    }

    /// Why it failed, if it did.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        self.0.error()
    }

    /// What a closure that returns a `T` has returned; None if it returns something else.
    #[must_use]
    pub fn into_result<T: 'static>(mut self) -> Option<Result<T, Error>> {
        let result = self.0.result().downcast_mut::<Result<T, Error>>()?;
        Some(std::mem::replace(result, Err(UNDECIDED)))
    }
}

impl fmt::Debug for AnyWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyWork").field("error", &self.error()).finish_non_exhaustive()
    }
}

impl<F> sealed::Sealed for Work<F> {}

impl<F, T> Submission for Work<F>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    type Output = Worked<F, T>;
    const KIND: Kind = Kind::Work;

    fn target(&self) -> Target {
        Target::None
    }

    fn is_transient(output: &Worked<F, T>) -> bool {
        output.error().is_some_and(Error::is_transient)
    }

    fn undecided(self) -> Outcome {
        let worked = Worked { call: Some(self.call), result: Err::<T, _>(UNDECIDED), panic: None };
        Outcome::Work(AnyWork(Box::new(worked)))
    }

    fn output(outcome: Outcome) -> Option<Worked<F, T>> {
        let Outcome::Work(AnyWork(work)) = outcome else { return None };
        work.into_any().downcast().ok().map(|worked| *worked)
    }
}

impl<F, T> OneShot for Work<F>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
}

impl<F, T> From<Work<F>> for crate::Operation
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    fn from(work: Work<F>) -> Self {
        match work.undecided() {
            Outcome::Work(work) => Self::Work(work),
            _ => unreachable!("it makes no other"),
        }
    }
}
