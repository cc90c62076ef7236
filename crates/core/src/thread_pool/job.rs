//! What is done on a thread of the pool: an operation by value, and the call that decides it.

use std::any::Any;
use std::fmt;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::backend::OwnedDescriptor;
use crate::{Error, Outcome};

/// A blocking call that decides an operation, for [`Done::offload`](crate::Done::offload).
///
/// It is a function and not a closure: all that it works on is the operation itself, which goes to the pool by value,
/// and up to two descriptors. So nothing is allocated for a job, and it takes nothing of the loop's with it.
pub struct Job {
    call: fn(&mut Call<'_>),
    descriptors: [Option<Shared>; 2],
    given: Option<OwnedDescriptor>,
}

/// A descriptor that a job owns together with others.
type Shared = Arc<dyn AsFd + Send + Sync>;

/// What the call of a [`Job`] works on.
#[non_exhaustive]
pub struct Call<'a> {
    /// The operation's parts, for its result to be filled in.
    pub outcome: &'a mut Outcome,
    /// What [`Job::on`] was called with, in that order.
    pub descriptors: [Option<&'a (dyn AsFd + Send + Sync)>; 2],
    /// Where a descriptor goes that the call has opened: on to [`Backend::returned`](crate::Backend::returned), which
    /// takes it into the loop. It is closed if the loop is gone by then. At first it is what [`Job::with`] was given.
    pub opened: &'a mut Option<OwnedDescriptor>,
}

/// An operation that comes back from the pool, to [`Backend::returned`](crate::Backend::returned).
#[derive(Debug)]
#[non_exhaustive]
pub struct Returned {
    /// Its outcome, as the call has left it. After a panic it is [`Error::Panicked`].
    pub outcome: Outcome,
    /// What the call has opened.
    pub opened: Option<OwnedDescriptor>,
    /// Whether it was asked to end meanwhile: what the call has left undecided ends as cancelled then, and is not gone on
    /// with.
    pub is_canceled: bool,
}

impl Job {
    /// A job that `call` does. A panic in it ends the operation with [`Error::Panicked`], and nothing else.
    #[must_use]
    pub const fn new(call: fn(&mut Call<'_>)) -> Self {
        Self { call, descriptors: [None, None], given: None }
    }

    /// A descriptor that the call gets for itself, as [`Call::opened`]: to close it, for one. It is closed if the job is
    /// never done.
    #[must_use]
    pub fn with(mut self, descriptor: OwnedDescriptor) -> Self {
        self.given = Some(descriptor);
        self
    }

    /// A descriptor that the call uses, two at most. The job owns it together with the backend, so whatever becomes of
    /// the loop, the number is not given to another file while the call uses it (contract H2). The job's share is gone
    /// when the operation comes back.
    ///
    /// # Panics
    /// If it has two already.
    #[must_use]
    pub fn on(mut self, descriptor: Arc<dyn AsFd + Send + Sync>) -> Self {
        let place = self.descriptors.iter_mut().find(|place| place.is_none());
        *place.expect("a job uses two descriptors at most") = Some(descriptor);
        self
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let descriptors = self.descriptors.iter().flatten().count();
        f.debug_struct("Job").field("descriptors", &descriptors).finish_non_exhaustive()
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

/// A job with its operation.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) job: Job,
    pub(crate) outcome: Outcome,
}

/// It goes to another thread.
const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<Task>();
    is_send::<Returned>();
};

impl Task {
    /// Does it, on this thread.
    pub(crate) fn run(self) -> Returned {
        let Self { job, mut outcome } = self;
        let mut opened = job.given;
        let descriptors = job.descriptors.each_ref().map(Option::as_deref);
        let call = &mut Call { outcome: &mut outcome, descriptors, opened: &mut opened };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| (job.call)(call))) {
            forget_panic(payload);
            outcome.set_error(Error::Panicked);
            opened = None;
        }
        Returned { outcome, opened, is_canceled: false }
    }
}

/// Drops what a panic has left. It may be anything, so that may panic as well.
pub(crate) fn forget_panic(payload: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(another);
    }
}
