//! What a backend has completed, on its way to the loop.

use std::collections::VecDeque;

use crate::backend::{Token, Wake};
use crate::fifo::Fifo;
use crate::handles::Handles;
use crate::operation::{Direction, Operation};
use crate::records::{ASIDE, Link, Records, Spot};
use crate::thread_pool::{Job, Jobs, Returned, Task, Withdrawal};
use crate::{Buffer, BufferPool, Error, Handle, Outcome};

/// What a [`Backend`](crate::Backend) completes, in the order in which it is delivered, and the operations that it has
/// not taken out.
///
/// An operation and its outcome are one thing: its parts, with a result that is not decided yet. Where nothing outside
/// the process touches the parts while they wait (readiness), a backend leaves them where they are: it works on
/// [`undecided`](Self::undecided), and says [`decided`](Self::decided). Where the kernel does, it
/// [`take`](Self::take)s the operation, owns it, and [`push`](Self::push)es the outcome. Where only a call that blocks
/// decides it, it hands the operation to the pool ([`offload`](Self::offload)).
///
/// A backend is lent it for a call, and cannot keep it or put another one in its place: a loop's has the callbacks, which are of
/// that loop's types and of its thread. So it is of no size that is known, and what has none cannot be moved by safe code.
///
/// ```compile_fail,E0277
/// fn start(done: &mut proactor_sim::Done) {
///     drop(std::mem::take(done));
/// }
/// ```
#[derive(Debug)]
pub struct Done<Size: ?Sized = [()]> {
    pub(crate) records: Records,
    /// The indices of completions whose outcomes are decided; with [`ASIDE`], those of items.
    pub(crate) queue: Fifo<u32>,
    /// Outcomes of tokens that have no undecided operation.
    pub(crate) strays: VecDeque<(Token, Outcome)>,
    pub(crate) handles: Handles,
    /// What was handed to the pool.
    pub(crate) jobs: Jobs,
    /// Nothing, of which nobody knows how much but who made it.
    _size: Size,
}

/// A driver's own.
pub(crate) type OwnDone = Done<[(); 0]>;

impl Done {
    /// An empty queue, as a [`Driver`](crate::Driver) makes one; for testing a backend by itself.
    #[must_use]
    #[allow(clippy::new_ret_no_self, reason = "it has no size")]
    pub fn new() -> Box<Self> {
        Box::new(OwnDone::with(crate::handle::next_tag(), Jobs::default()))
    }
}

impl OwnDone {
    /// That of the loop with `tag`.
    pub(crate) fn with(tag: u32, jobs: Jobs) -> Self {
        let (queue, strays) = (Fifo::new(), VecDeque::new());
        Self { records: Records::new(tag), queue, strays, handles: Handles::new(tag), jobs, _size: [] }
    }
}

impl<Size: ?Sized> Done<Size> {
    /// Pushes the outcome of what was started as `token`: final, unless it [`is_more`](Outcome::is_more).
    #[inline]
    pub fn push(&mut self, token: Token, outcome: Outcome) {
        let Some(record) = self.records.undecided(token) else {
            return self.strays.push_back((token, outcome));
        };
        if outcome.is_more() {
            return self.queue_item(token, outcome);
        }
        record.outcome = Some(outcome);
        self.decided(token);
    }

    /// Pushes a piece that the [`RecvMany`](crate::RecvMany) which was started as `token` has received: as
    /// [`push`](Self::push), but in few instructions.
    #[inline(always)]
    pub fn push_piece(&mut self, token: Token, buffer: Buffer) {
        if self.records.undecided(token).is_some() {
            self.queue_item(token, Outcome::RecvManyItem(buffer));
        } else {
            self.push_stray(token, buffer);
        }
    }

    #[cold]
    #[inline(never)]
    fn push_stray(&mut self, token: Token, buffer: Buffer) {
        self.strays.push_back((token, Outcome::RecvManyItem(buffer)));
    }

    #[inline(always)]
    fn queue_item(&mut self, token: Token, item: Outcome) {
        let index = self.records.insert_item(token, item);
        self.queue.push(index | ASIDE);
    }

    /// Takes the operation that is to be started as `token` out. None if it was taken before.
    #[inline]
    pub fn take(&mut self, token: Token) -> Option<Operation> {
        self.records.undecided(token)?.outcome.take().and_then(Outcome::into_operation)
    }

    /// The parts of the operation that was started as `token`, where they are, for its result to be filled in. None if
    /// it was taken out, or is decided.
    #[inline(always)]
    pub fn undecided(&mut self, token: Token) -> Option<&mut Outcome> {
        self.records.undecided(token)?.outcome.as_mut()
    }

    /// Says that the result of the operation that was started as `token` is filled in, where its parts are.
    #[inline(always)]
    pub fn decided(&mut self, token: Token) {
        if self.records.decide(token) {
            self.queue.push(token.index);
        }
    }

    /// Has `fill` fill in the result of the operation that was started as `token`, where its parts are, and says that it is
    /// decided unless that returns an error: as [`undecided`](Self::undecided) and [`decided`](Self::decided), but found once.
    /// None, and `fill` is not called, if the operation was taken out or is decided.
    ///
    /// ```
    /// use proactor_sim::{Done, Nop, Outcome};
    ///
    /// let mut done = Done::new();
    /// let token = done.submit(Nop.into());
    /// assert_eq!(done.decide(token, |_| Err("not yet")), Some(Err("not yet")));
    /// let decided = done.decide(token, |outcome| match outcome {
    ///     Outcome::Nop(nop) => Ok(nop.result = Ok(())),
    ///     _ => Err("another"),
    /// });
    /// assert_eq!((decided, done.len()), (Some(Ok(())), 1));
    /// assert_eq!(done.decide(token, |_| Ok::<_, ()>(())), None);
    /// ```
    #[inline(always)]
    pub fn decide<E>(
        &mut self,
        token: Token,
        fill: impl FnOnce(&mut Outcome) -> Result<(), E>,
    ) -> Option<Result<(), E>> {
        let record = self.records.undecided(token)?;
        let filled = fill(record.outcome.as_mut()?);
        if filled.is_ok() {
            record.decide();
            self.queue.push(token.index);
        }
        Some(filled)
    }

    /// Hands the operation that was started as `token` to the loop's pool, whose thread makes the blocking call that
    /// decides it. What comes of it goes to [`Backend::returned`](crate::Backend::returned), in a later turn.
    ///
    /// From here on the operation is core's, and the backend holds nothing of it: core cancels it (at once while no thread
    /// has begun it; one that runs ends when it ends), and never calls [`Backend::cancel`](crate::Backend::cancel) for it.
    /// Of the backend's own the job takes along what [`Job::on`] was given, and **must not** refer to anything else.
    /// `close` and `detach` come when it has ended, as always.
    ///
    /// It never fails: where the queue of the pool is full, core keeps the job until there is room, in order. Nothing is
    /// done if the operation was taken out or is decided.
    ///
    /// ```
    /// use proactor_sim::{Call, Done, Job, NopDone, Outcome, Token};
    ///
    /// /// In a backend's `start`, for an operation that can only be done by blocking.
    /// fn start_slow(token: Token, done: &mut Done) {
    ///     done.offload(token, Job::new(slow));
    /// }
    ///
    /// /// On a thread of the pool: fills in the result.
    /// fn slow(call: &mut Call<'_>) {
    ///     if let Outcome::Nop(NopDone { result }) = call.outcome {
    ///         *result = Ok(());
    ///     }
    /// }
    ///
    /// let mut done = Done::new();
    /// let token = done.submit(proactor_sim::Nop.into());
    /// start_slow(token, &mut done);
    /// let (returned, job) = done.take_returned().expect("without a loop it is done at once");
    /// assert!(returned == token && matches!(job.outcome, Outcome::Nop(NopDone { result: Ok(()) })));
    /// ```
    #[cold]
    pub fn offload(&mut self, token: Token, job: Job) {
        if let Some(outcome) = self.records.undecided(token).and_then(|record| record.outcome.take()) {
            self.jobs.submit(token, Task { job, outcome });
        }
    }

    /// Whether the user of the operation that was started as `token` wants it done by the pool's threads. Of those that may
    /// go there; false of others.
    #[cold]
    pub fn is_for_pool(&mut self, token: Token) -> bool {
        self.records.undecided(token).is_some_and(|record| record.kind.can_offload() && record.is_on_pool())
    }

    /// Puts back what has come back from the pool without being decided, for the backend to go on with. Nothing is done if
    /// the token is of nothing that was taken out.
    pub fn put_back(&mut self, token: Token, outcome: Outcome) {
        if let Some(record) = self.records.undecided(token).filter(|record| record.outcome.is_none()) {
            record.put(outcome);
        }
    }

    /// Asks that the job of `token` ends. None if it is none, otherwise whether that was in time.
    #[cold]
    pub(crate) fn cancel_job(&mut self, token: Token) -> Option<bool> {
        match self.jobs.withdraw(token)? {
            Withdrawal::TakenBack(mut outcome) => {
                outcome.set_error(Error::Canceled);
                self.push(token, outcome);
                Some(true)
            }
            Withdrawal::Running => Some(true),
            Withdrawal::TooLate => Some(false),
        }
    }

    /// The next job that has come back from the pool, as the driver takes it to give it to
    /// [`Backend::returned`](crate::Backend::returned); for testing a backend by itself.
    pub fn take_returned(&mut self) -> Option<(Token, Returned)> {
        self.jobs.next_returned()
    }

    /// A handle for a descriptor that an outcome brings into the loop (accept). The backend keeps the descriptor in
    /// [`Handle::slot`] from now on, as if it had been attached, and names the handle in the outcome.
    pub fn new_handle(&mut self) -> Handle {
        self.handles.open()
    }

    /// Takes back a handle of [`new_handle`](Self::new_handle) that no outcome will name after all.
    pub fn discard_handle(&mut self, handle: Handle) {
        self.handles.release(handle.slot());
    }

    /// A pool of buffers, as a driver makes one, for what `wake` wakes; for testing a backend by itself.
    ///
    /// # Errors
    /// As [`Driver::buffer_pool`](crate::Driver::buffer_pool).
    pub fn buffer_pool<W: Wake>(&self, count: u32, size: usize, wake: W) -> Result<BufferPool, Error> {
        BufferPool::new(count, size, self.handles.tag(), wake)
    }

    /// How many outcomes are queued.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.queue.len() + self.strays.len()
    }

    /// Whether none is queued.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.strays.is_empty()
    }

    /// An operation to be started, as a driver makes one; for testing a backend by itself.
    pub fn submit(&mut self, operation: Operation) -> Token {
        let Spot { index, record, .. } = self.records.allocate();
        let outcome = operation.undecided();
        let arming = record.arm(outcome.kind(), Direction::Read, Link::None);
        record.put(outcome);
        Token { index, arming }
    }

    /// Takes the next outcome, as the driver does; for testing a backend by itself.
    pub fn pop(&mut self) -> Option<(Token, Outcome)> {
        let Some(entry) = self.queue.pop() else { return self.strays.pop_front() };
        if entry & ASIDE != 0 {
            let (owner, _) = self.records.item(entry & !ASIDE)?;
            return self.records.remove_item(entry & !ASIDE).map(|outcome| (owner, outcome));
        }
        let Token { index, arming } = self.records.token(entry);
        let outcome = self.records.take_back(index)?;
        self.records.free(index);
        Some((Token { index, arming: arming - 1 }, outcome))
    }
}

impl Default for Box<Done> {
    fn default() -> Self {
        Done::new()
    }
}
