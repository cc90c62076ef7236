//! Operations with a deadline.

use std::time::Duration;

use crate::operation::sealed::Sealed;
use crate::{Error, Handle, Kind, Multishot, Offload, OneShot, Outcome, Submission, Target, Time};

/// An operation with a deadline, made by `with_timeout` and `with_deadline`, which every operation has. It is submitted,
/// armed again and completed like the operation itself, with the same outcome (contract X4).
///
/// - Once the deadline has passed, the operation is asked to end, and ends with
///   [`Error::TimedOut`], everything handed back: what a
///   [`SendAll`](crate::SendAll) has `transferred` is told, a multishot operation ends with its last event.
/// - A result in time wins, and so does one that is there when the loop comes to look at the deadline, which a callback may have
///   held up, and one that comes while the operation is asked to end. What a user's cancel has ended
///   before is [`Error::Canceled`].
/// - A timeout counts from a clock read made when the operation is armed, never early (contract T2): after `submit`, after
///   the callback that arms it again, after the delay of [`rearm_after`](crate::Context::rearm_after); not from when others of its
///   handle let it go on. Each arming has its own.
/// - An operation whose deadline has passed when it is to be started ends without the system having seen it: a timeout of
///   zero always. A [`Timer`](crate::Timer) that is due no later than its deadline expires as if it had none.
/// - What a thread of the pool has begun ends when it ends, and with its real result: a [`Work`](crate::Work), a
///   [`Resolve`](crate::Resolve), and on a backend whose kernel does not do it, an operation on a file or a name
///   (contract X2). There a deadline bounds the wait for a thread alone. Who cannot wait for the rest uses a
///   [`Timer`](crate::Timer) beside it, and lets the operation end unheard.
/// - A multishot operation has it for all of its events, not from one to the next.
/// - [`Time::NEVER`] is no deadline. A [`Close`](crate::Close) and a [`Detach`](crate::Detach) have none either: they cannot be
///   undone, and end with their results.
///
/// A deadline allocates nothing at steady state, and costs about what a [`Timer`](crate::Timer) does.
///
/// ```
/// use std::time::Duration;
///
/// use proactor_sim::{Action, Buffer, Config, Connect, Error, ListenOptions, Loop, Recv, RunMode};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut ev = Loop::<u32>::open(Config::default())?;
/// let mut cx = ev.context();
/// let listener = cx.listen("127.0.0.1:0".parse()?, ListenOptions::default())?;
/// let address = cx.local_address(listener)?;
/// let handle = cx.socket(address.family())?;
/// cx.submit(Connect { handle, address }.with_timeout(Duration::from_secs(5)), |_silences, _cx, connected| {
///     assert_eq!(connected.result, Ok(()));
/// });
/// let idle = Duration::from_secs(30);
/// cx.submit_rearm(Recv { handle, buffer: Buffer::zeroed(64) }.with_timeout(idle), move |silences, _cx, received| {
///     assert_eq!(received.result, Err(Error::TimedOut));
///     *silences += 1;
///     if *silences == 3 {
///         return Action::Disarm;
///     }
///     // With a fresh deadline.
///     Action::Rearm(Recv { handle, buffer: received.buffer }.with_timeout(idle))
/// });
///
/// let mut silences = 0;
/// ev.run(&mut silences, RunMode::UntilDone)?;
/// assert_eq!(silences, 3);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct WithDeadline<O> {
    operation: O,
    /// A point in time, or how long after it is armed.
    deadline: Result<Time, Duration>,
}

impl<O: Submission> WithDeadline<O> {
    /// What `with_timeout` and `with_deadline` of each operation make.
    pub(crate) const fn new(operation: O, deadline: Result<Time, Duration>) -> Self {
        Self { operation, deadline }
    }
}

impl<O: Submission> Sealed for WithDeadline<O> {}

impl<O: Submission> Submission for WithDeadline<O> {
    type Output = O::Output;
    const KIND: Kind = O::KIND;

    #[inline(always)]
    fn target(&self) -> Target {
        self.operation.target()
    }

    #[inline(always)]
    fn deadline(&self) -> Option<Result<Time, Duration>> {
        Some(self.deadline)
    }

    #[inline(always)]
    fn second(&self) -> Option<Handle> {
        self.operation.second()
    }

    #[inline(always)]
    fn offload(&self) -> Option<Offload> {
        self.operation.offload()
    }

    #[inline(always)]
    fn objection(&self) -> Option<Error> {
        self.operation.objection()
    }

    #[inline(always)]
    fn error(output: &O::Output) -> Option<Error> {
        O::error(output)
    }

    #[inline(always)]
    fn undecided(self) -> Outcome {
        self.operation.undecided()
    }

    #[inline(always)]
    fn is_output(outcome: &Outcome) -> bool {
        O::is_output(outcome)
    }

    #[inline(always)]
    fn output(outcome: Outcome) -> Option<O::Output> {
        O::output(outcome)
    }
}

impl<O: OneShot> OneShot for WithDeadline<O> {}

impl<O: Multishot> Multishot for WithDeadline<O> {
    type Item = O::Item;

    #[inline(always)]
    fn item(outcome: Outcome) -> Option<O::Item> {
        O::item(outcome)
    }
}
