//! A user's own work on the pool.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::Error;
use crate::operation::{Kind, OneShot, Submission, Target, UNDECIDED, sealed};
use crate::outcome::Outcome;
use crate::thread_pool::{Call, Job};

mod small;

use small::{Small, Task};

/// Calls a closure on a thread of the loop's pool, for what would block the loop or keep it busy; its callback gets what
/// the closure returned.
///
/// While no thread has begun it, it can be cancelled, and the closure comes back uncalled. One that runs ends when it
/// ends: a cancel is [`Cancel::Requested`](crate::Cancel::Requested) then, and the result comes all the same (contract X2).
/// A closure that panics ends with [`Error::Panicked`] and its payload, and the thread lives on.
///
/// A closure that captures up to four words, and returns no more, allocates nothing at steady state; a larger one is boxed
/// (contract B1). Without a pool ([`Config::pool`](field@crate::Config::pool)) it is called
/// on the loop's own thread; where the backend has no threads, and that was not chosen, it comes back uncalled, with
/// [`Error::Unsupported`].
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
pub struct AnyWork {
    work: Small,
    error: Option<Error>,
}

/// What has become of a closure.
enum Stage<F, T> {
    /// It was not called.
    Waiting(F),
    /// It has returned.
    Returned(T),
    /// It has panicked.
    Panicked(Box<dyn Any + Send>),
    /// It was taken away.
    Gone,
}

impl<F, T> Task for Stage<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    fn run(&mut self) -> Result<(), Error> {
        let Self::Waiting(call) = std::mem::replace(self, Self::Gone) else { return Err(UNDECIDED) };
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(value) => {
                *self = Self::Returned(value);
                Ok(())
            }
            Err(payload) => {
                *self = Self::Panicked(payload);
                Err(Error::Panicked)
            }
        }
    }

    fn take_value(&mut self, into: &mut dyn Any) -> bool {
        let Some(into) = into.downcast_mut::<Option<T>>() else { return false };
        if let Self::Returned(value) = std::mem::replace(self, Self::Gone) {
            *into = Some(value);
        }
        true
    }
}

impl AnyWork {
    /// What does one.
    pub(crate) const fn job() -> Job {
        Job::new(|call: &mut Call<'_>| {
            if let Outcome::Work(work) = call.outcome {
                work.error = work.work.task().run().err();
            }
        })
    }

    pub(crate) const fn set_error(&mut self, error: Error) {
        self.error = Some(error);
    }

    /// Why it failed, if it did.
    #[must_use]
    pub const fn error(&self) -> Option<Error> {
        self.error
    }

    /// What a closure that returns a `T` has returned; None if it returns something else.
    #[must_use]
    pub fn into_result<T: 'static>(mut self) -> Option<Result<T, Error>> {
        let mut value: Option<T> = None;
        let fits = self.work.task().take_value(&mut value);
        fits.then(|| match (self.error, value) {
            (Some(error), _) => Err(error),
            (None, value) => value.ok_or(UNDECIDED),
        })
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

    fn error(output: &Worked<F, T>) -> Option<Error> {
        output.error()
    }

    fn undecided(self) -> Outcome {
        let work = Small::new(Stage::<F, T>::Waiting(self.call));
        Outcome::Work(AnyWork { work, error: Some(UNDECIDED) })
    }

    fn output(outcome: Outcome) -> Option<Worked<F, T>> {
        let Outcome::Work(AnyWork { mut work, error }) = outcome else { return None };
        let task: &mut dyn Any = work.task();
        let stage = std::mem::replace(task.downcast_mut::<Stage<F, T>>()?, Stage::Gone);
        let (call, value, panic) = match stage {
            Stage::Waiting(call) => (Some(call), None, None),
            Stage::Returned(value) => (None, Some(value), None),
            Stage::Panicked(payload) => (None, None, Some(payload)),
            Stage::Gone => (None, None, None),
        };
        let result = match (error, value) {
            (Some(error), _) => Err(error),
            (None, value) => value.ok_or(UNDECIDED),
        };
        Some(Worked { call, result, panic })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn pending<F, T>(call: F) -> AnyWork
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match Work::new(call).undecided() {
            Outcome::Work(work) => work,
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn a_result_is_that_of_its_type_and_no_other() {
        let run = |mut work: AnyWork| {
            work.error = work.work.task().run().err();
            work
        };
        assert_eq!(pending(|| 5_u32).into_result::<u32>(), Some(Err(UNDECIDED)));
        assert_eq!(run(pending(|| 5_u32)).into_result::<u32>(), Some(Ok(5)));
        assert_eq!(run(pending(|| 5_u32)).into_result::<u64>(), None);
        assert_eq!(
            run(pending(|| -> u32 { panic!("as it may") })).into_result::<u32>(),
            Some(Err(Error::Panicked))
        );
        let mut refused = run(pending(|| String::from("dropped")));
        refused.set_error(Error::Canceled);
        assert_eq!(refused.into_result::<String>(), Some(Err(Error::Canceled)));
        let twice = run(run(pending(|| 5_u32)));
        assert_eq!(twice.error(), Some(UNDECIDED), "it is called once");
    }
}
