//! The contract between core and the mechanism of an operating system.

use std::io;
use std::os::fd::BorrowedFd;

use crate::done::Done;
use crate::socket::{Control, Family, Reply, SocketKind};
use crate::thread_pool::Returned;
use crate::{Capabilities, Config, Error, Outcome, Slot, Time};

/// The system's descriptor, owned. An alias of core's, so that a system with another type stays possible.
pub type OwnedDescriptor = std::os::fd::OwnedFd;

/// Names one *arming* of an operation to the backend: fresh for each, never the user's key.
///
/// `index` is small and dense (core's place for the operation), so that a backend can keep a table by it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Token {
    /// The operation's place in core's table.
    pub index: u32,
    /// Counts the operations of that place.
    pub arming: u32,
}

/// What has come of a [`Backend::attempt`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attempted {
    /// The operation is decided, its result filled in.
    Decided,
    /// It is started, and decided by a later call.
    Begun,
    /// Nothing was done.
    Declined,
}

/// How long a wait may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// Take what is ready, do not block.
    Now,
    /// Block until something is ready, a wake-up, or this point in time, whichever is first.
    Deadline(Time),
    /// Block until something is ready or a wake-up.
    Forever,
}

/// Ends a backend's wait, from any thread. Cheap to clone; sticky: a wake before the wait ends that wait.
pub trait Wake: Clone + Send + Sync + 'static {
    /// Ends the present wait, or the next one. Does nothing once the backend is gone.
    ///
    /// It is called with locks held: it must use no notifier, waker or mailbox itself, and not panic.
    fn wake(&self);
}

/// A mechanism of an operating system that completes operations.
///
/// *If you use a loop*, you need nothing of this trait: name a backend's crate and use its `Loop`. Code for several backends
/// has it as its one bound: `fn run<B: Backend, S>(ev: Loop<B, S>)`, as on [this crate's first page](crate#if-you-write-for-several-backends).
///
/// *If you implement one*: the trait is safe to implement and safe to call, because a backend takes what the kernel may
/// write to out of core's reach, by value, from [`start`](Self::start) until it pushes the outcome. These rules make
/// that true; the conformance suite and the tests of each backend hold it to them.
///
/// 1. Memory safety under any sequence of calls, also hostile ones: duplicate tokens, unknown ones, slots that were
///    never attached. Kernel-visible memory **must** be found by the backend's own slot and generation, **never** by
///    what the caller passed.
/// 2. Core passes a fresh token for each arming, so a late cancel can only hit what it was meant for.
/// 3. Each started token **must** be pushed exactly once as final; a multishot one any number of times before, with an
///    outcome that [`is_more`](crate::Outcome::is_more).
/// 4. Nothing **may** be touched after it was pushed. Nothing that the kernel may write to **may** move, be freed or be
///    aliased before: kernel-visible structs live in address-stable recycled blocks.
/// 5. Dropping a backend **must** cancel and reap, on the thread that opened it; where the kernel does not let go within
///    a bound, what it may still touch is leaked together.
/// 6. No call back into core, no blocking outside [`wait`](Self::wait), no sleeping past its `until`. What can only be
///    done by blocking goes to the loop's pool of threads: [`Done::offload`].
/// 7. Core never trusts a backend with its own invariants: a wrong variant, a duplicate or an unknown token is counted
///    and reported as [`Error::Backend`].
///
/// A backend owns all that it needs, so it is `'static`: callbacks, which are, may name it.
///
/// A backend holds no timer, no callback, no cancellation policy and no queueing policy: core starts at most one
/// operation per handle and direction (a [`Splice`](crate::Splice) counts on two), and beside these any number of those that are
/// [unordered](crate::Target::Unordered); [`close`](Self::close) only comes when none is left.
pub trait Backend: Sized + 'static {
    /// The column's name in tables: lower case.
    const NAME: &'static str;

    /// Ends a wait from another thread.
    type Waker: Wake;

    /// Opens it, probing what this machine can do.
    ///
    /// # Errors
    /// `InvalidInput` for a configuration out of range; otherwise why the system refuses, with what can be done about it
    /// (contract E1, E2).
    fn open(config: &Config) -> io::Result<Self>;

    /// What was found when it was opened.
    fn capabilities(&self) -> Capabilities;

    /// A waker of this backend; they all do the same.
    fn waker(&self) -> Self::Waker;

    /// The monotonic clock, read afresh.
    fn now(&self) -> Time;

    /// Takes a descriptor into `slot`, finding out itself what it is.
    ///
    /// # Errors
    /// Why not, with the descriptor. [`Error::Busy`] if the slot is taken.
    fn attach(&mut self, slot: Slot, descriptor: OwnedDescriptor) -> Result<(), (Error, OwnedDescriptor)>;

    /// Gives the descriptor back, its status flags as they were (contract H5). Core calls it when nothing is pending.
    ///
    /// # Errors
    /// [`Error::StaleHandle`] if the slot is empty; [`Error::Unsupported`] if there is no descriptor behind it.
    fn detach(&mut self, slot: Slot) -> Result<OwnedDescriptor, Error>;

    /// Opens a socket of `family` and `kind` into `slot`.
    ///
    /// # Errors
    /// Why not: [`Error::Unsupported`] where the capability is missing, [`Error::Busy`] if the slot is taken.
    fn socket(&mut self, slot: Slot, family: Family, kind: SocketKind) -> Result<(), Error>;

    /// Does a call that never waits.
    ///
    /// # Errors
    /// Why not; [`Error::StaleHandle`] if the slot is empty.
    fn control(&mut self, slot: Slot, control: Control) -> Result<Reply, Error>;

    /// Starts the operation that `done` keeps as `token`, on the descriptor in `slot` (for one without a descriptor, the
    /// slot means nothing). It is decided at once, or by a later call. Of an operation on two handles, the other one is
    /// among its parts ([`Outcome::file_part`], [`Spliced`](crate::Spliced)); neither is closed or detached before it has ended.
    ///
    /// Where nothing outside the process touches an operation while it waits, it can stay where it is: the backend fills
    /// in its result ([`Done::undecided`], [`Done::decided`]). Where the kernel may write to its buffer, the backend
    /// **must** take the operation out ([`Done::take`]), own it, and push its outcome ([`Done::push`]), or take out the
    /// buffer alone and put it back before it says that the rest is decided.
    fn start(&mut self, token: Token, slot: Slot, done: &mut Done);

    /// As [`start`](Self::start), where nothing is needed for that but the parts of the operation, which are at hand: so the common
    /// ones are started in few instructions. Core asks for it first; `start` follows where it is declined, which is to have done
    /// nothing then, and **must** be able to start everything by itself.
    #[inline(always)]
    fn attempt(&mut self, _token: Token, _slot: Slot, _operation: &mut Outcome) -> Attempted {
        Attempted::Declined
    }

    /// As [`start`](Self::start), of an operation on a file or a name, or one that sends from a file, that its user wants done by the
    /// pool's threads: the backend hands it over ([`Done::offload`]), whatever else it could do, a part at a time where it has to
    /// wait in between ([`Done::is_for_pool`]). One that has no descriptors to hand over, as
    /// a simulation, starts it as ever.
    fn start_on_pool(&mut self, token: Token, slot: Slot, done: &mut Done) {
        self.start(token, slot, done);
    }

    /// Asks that what was started as `token` ends, pushing its outcome now or later: its real one where that is
    /// decided, [`Error::Canceled`] otherwise. `slot` is what it was started with.
    ///
    /// Returns whether the backend still held it; false, and nothing done, if it was pushed before or never started.
    fn cancel(&mut self, token: Token, slot: Slot, done: &mut Done) -> bool;

    /// An operation that the backend has handed to the pool ([`Done::offload`]) comes back, on the loop's thread: its
    /// outcome is to be pushed, or what it still lacks done first. A descriptor that the call has opened
    /// ([`Returned::opened`]) goes into the slot of a [`Done::new_handle`], or is dropped.
    ///
    /// `slot` is what it was started with; no backend that offloads nothing needs this.
    fn returned(&mut self, token: Token, _slot: Slot, job: Returned, done: &mut Done) {
        done.push(token, job.outcome);
    }

    /// Waits, and pushes what is complete. Interrupted calls are repeated or count as a return with nothing.
    ///
    /// # Errors
    /// [`Error::Deadlock`] where it can tell that nothing could ever end the wait. Anything else is the system's, and
    /// ends `run`; "busy" and "again" are not errors (contract L5).
    fn wait(&mut self, until: Until, done: &mut Done) -> Result<(), Error>;

    /// Called in place of [`wait`](Self::wait) in a turn that has local work to do first: hand over to the system what
    /// was only queued for it. A backend that queues nothing has nothing to do.
    ///
    /// # Errors
    /// As `wait`.
    fn flush(&mut self, _done: &mut Done) -> Result<(), Error> {
        Ok(())
    }

    /// Whether something waits for a buffer of a [`BufferPool`](crate::BufferPool) to return, which may happen on another
    /// thread. Only a simulation has to say so, whose waits would otherwise be deadlocks.
    fn awaits_buffers(&self) -> bool {
        false
    }

    /// A descriptor that polls as readable once there is something for a [`wait`](Self::wait), wake-ups included, so that
    /// another loop can wait for this one; none where there is no such thing.
    ///
    /// # Errors
    /// The system's, where it has to be made.
    fn as_fd(&mut self) -> Result<Option<BorrowedFd<'_>>, Error> {
        Ok(None)
    }

    /// Hands over what is queued for the system and takes what is ready, as a [`wait`](Self::wait) that does not block; then
    /// tells whether whatever is still to come will show on [`as_fd`](Self::as_fd).
    ///
    /// # Errors
    /// As `wait`.
    fn prepare_wait(&mut self, done: &mut Done) -> Result<bool, Error> {
        self.wait(Until::Now, done).map(|()| true)
    }

    /// Closes the descriptor in `slot`, which is free then. Core calls it when nothing is pending on it.
    ///
    /// # Errors
    /// What the system said; the descriptor is gone then. [`Error::StaleHandle`] if the slot is empty; [`Error::Busy`] if
    /// something is pending all the same, and then the descriptor stays.
    fn close(&mut self, slot: Slot) -> Result<(), Error>;

    /// The same, by a thread of the pool: the descriptor is taken out of its slot, which is free then, and what the system
    /// says becomes the result of the [`Close`](crate::Close) that `done` keeps as `token`. A backend that has no
    /// descriptors to hand over closes it at once.
    fn close_on_pool(&mut self, token: Token, slot: Slot, done: &mut Done) {
        let result = self.close(slot);
        if let Some(Outcome::Close(closed)) = done.undecided(token) {
            closed.result = result;
        }
        done.decided(token);
    }
}
