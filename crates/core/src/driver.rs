//! Layer 1: operations in, outcomes out.

use std::io;

use slab::Slab;

use crate::backend::{Backend, Token};
use crate::done::{Completed, Done};
use crate::handle::{Key, Name, Slot};
use crate::handles::{NONE, Queue};
use crate::notifier::{Inbox, Notifier, Waker};
use crate::operation::{Due, Operation, Submission, Target, Timer};
use crate::outcome::{Expired, Outcome};
use crate::state::{Call, Effect, Phase, State, step};
use crate::timers::Timers;
use crate::{Config, Error, Time};

mod cancel;
mod completion;
mod handles;
mod turn;

#[cfg(test)]
mod tests;

pub use cancel::Cancel;
use completion::{Completions, Place};
pub use handles::AttachError;

/// Drives operations on a backend, without callbacks: for runtimes, and for tests.
///
/// A driver belongs to the thread that opened it if its backend does. [`submit`](Self::submit) operations, let
/// [`turn`](Self::turn) start and complete them, and [`pop`](Self::pop) the outcomes.
///
/// ```
/// use proactor_sim::{Buffer, Config, Driver, Error, Family, Outcome, Recv, Until};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut driver = Driver::open(Config::default())?;
/// let socket = driver.socket(Family::Ipv4)?;
/// let key = driver.submit(Recv { handle: socket, buffer: Buffer::zeroed(64) });
/// driver.close(socket);
/// driver.turn(Until::Now)?;
/// let Some((completed, Outcome::Recv(received))) = driver.pop() else { panic!("closing ends what is pending") };
/// assert_eq!(completed, key);
/// assert_eq!(received.result, Err(Error::Canceled));
/// assert_eq!(received.buffer.len(), 64);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Driver<B: Backend> {
    backend: B,
    pub(crate) done: Done,
    completions: Completions,
    /// What the next turn hands over, in the order in which it was submitted.
    starting: Vec<Starting>,
    /// The same list's other half: emptied by the turn, and kept for its memory.
    started: Vec<Starting>,
    /// Operations that wait for their turn: behind others of their handle, for a notifier, or for a delay.
    waiting: Slab<Operation>,
    timers: Timers,
    inbox: Inbox,
    /// Handles that close in the next turn because a `Close` of an idle handle was submitted.
    closing: Vec<Slot>,
    /// The turn's clock, once it was read.
    now: Option<Time>,
    /// Completions that wait for a notifier.
    notifier_waits: u32,
    /// Turns since the backend was last asked for completions.
    turns_unpolled: u32,
    /// Whether a waker was used, and nobody was told yet.
    woken: bool,
    turns: u64,
    faults: u64,
    /// A fault that `turn` has not reported yet.
    fault_unreported: bool,
    max_operations: u32,
    /// Whether the backend is a simulation.
    has_no_outside: bool,
    /// The completion whose callback runs.
    pub(crate) running: u32,
    /// A reset of that completion's timer, from inside its callback.
    running_reset: Option<Timer>,
}

/// One operation of the list of what is to be started. Empty once it was taken back.
#[derive(Debug)]
struct Starting {
    index: u32,
    operation: Option<Operation>,
}

/// What is to become of the next entry of the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// It is the last outcome of the completion at this index, whose callback runs now: the common case.
    Last(u32),
    /// [`Driver::examine_next`] finds out.
    Slow,
    /// There is none.
    Empty,
}

/// What [`Driver::examine_next`] made of an entry of the queue.
#[derive(Debug)]
pub(crate) enum Taken {
    /// The last outcome of the completion at `index`, whose callback runs now.
    Last { index: u32, outcome: Outcome },
    /// An outcome with more to follow.
    More { index: u32, outcome: Outcome },
    /// The completion at `index` was deleted before, and has ended now.
    Discarded { index: u32 },
    /// Nothing that anyone waits for.
    Nothing,
}

impl<B: Backend> Driver<B> {
    /// Opens the backend and a driver on it.
    ///
    /// # Errors
    /// Those of [`Backend::open`]: a configuration out of range, or why the system refuses.
    pub fn open(config: Config) -> io::Result<Self> {
        config.check()?;
        let backend = B::open(&config)?;
        Ok(Self::with_backend_and(backend, &config))
    }

    /// A driver on a backend that is open already.
    #[must_use]
    pub fn with_backend(backend: B) -> Self {
        Self::with_backend_and(backend, &Config::default())
    }

    fn with_backend_and(backend: B, config: &Config) -> Self {
        let tag = crate::handle::next_tag();
        let inbox = Inbox::new(backend.waker());
        let timers = Timers::new(backend.now().as_nanos());
        let has_no_outside = backend.capabilities().virtual_time;
        Self {
            backend,
            done: Done::with_tag(tag),
            completions: Completions::new(tag),
            starting: Vec::new(),
            started: Vec::new(),
            waiting: Slab::new(),
            timers,
            inbox,
            closing: Vec::new(),
            now: None,
            notifier_waits: 0,
            turns_unpolled: 0,
            woken: false,
            turns: 0,
            faults: 0,
            fault_unreported: false,
            max_operations: config.max_operations.unwrap_or(u32::MAX),
            has_no_outside,
            running: NONE,
            running_reset: None,
        }
    }

    /// Queues an operation; the next [`turn`](Self::turn) starts what was queued, in order (contract C4). What is wrong
    /// with it arrives as its outcome.
    #[inline(always)]
    pub fn submit<O: Submission>(&mut self, operation: O) -> Key {
        let tag = self.completions.tag();
        let (index, completion) = self.completions.allocate();
        let key = Key { name: Name { index, generation: completion.generation(), tag } };
        self.enqueue(index, operation);
        key
    }

    /// Queues `operation` as the next arming of the completion at `index`, whose place is allocated.
    #[inline(always)]
    fn enqueue<O: Submission>(&mut self, index: u32, operation: O) {
        let full = self.completions.active() > self.max_operations;
        let completion = self.completions.get(index);
        completion.arm(O::KIND);
        if full {
            return self.fail(index, operation.into_operation(), Error::Full);
        }
        match operation.target() {
            Target::Stream(handle, direction) => {
                let Some(entry) = self.done.handles.get(handle) else {
                    return self.fail(index, operation.into_operation(), Error::StaleHandle);
                };
                completion.slot = handle.slot();
                completion.direction = direction;
                let queue = entry.queue(direction);
                if queue.tail != NONE {
                    return self.queue_behind(index, operation.into_operation());
                }
                *queue = Queue { head: index, tail: index };
                completion.linked = true;
            }
            Target::Close(handle) => return self.enqueue_close(index, handle, operation.into_operation()),
            Target::None | Target::Timer | Target::Notifier => {}
        }
        completion.place = Place::Starting;
        completion.position = self.starting.len() as u32;
        if self.starting.len() == self.starting.capacity() {
            grow_starting(&mut self.starting);
        }
        self.starting.push(Starting { index, operation: Some(operation.into_operation()) });
    }

    /// Has what waited until now started by the next turn.
    fn start_next_turn(&mut self, index: u32, operation: Operation) {
        let completion = self.completions.get(index);
        completion.place = Place::Starting;
        completion.position = self.starting.len() as u32;
        self.starting.push(Starting { index, operation: Some(operation) });
    }

    /// Ends a completion, of whose operation the backend knows nothing, with `error`.
    #[cold]
    fn fail(&mut self, index: u32, operation: Operation, error: Error) {
        self.end(index, operation.fail(error));
    }

    /// Queues the last outcome of a completion that is core's alone.
    fn end(&mut self, index: u32, outcome: Outcome) {
        let completion = self.completions.get(index);
        (completion.phase, _) = step(completion.phase, Call::Queue);
        let token = Token { index, arming: completion.arming };
        self.done.push(token, outcome);
    }

    /// Takes the next outcome, in the order in which they were completed.
    ///
    /// A multishot operation's outcomes come with the same key, the last being the one that is not
    /// [`is_more`](Outcome::is_more).
    pub fn pop(&mut self) -> Option<(Key, Outcome)> {
        loop {
            let taken = match self.admit_next() {
                Verdict::Last(index) => Taken::Last { index, outcome: self.done.take_next()? },
                Verdict::Slow => self.examine_next(),
                Verdict::Empty => return None,
            };
            match taken {
                Taken::Last { index, outcome } => {
                    let key = self.completions.key(index);
                    self.finish(index);
                    return Some((key, outcome));
                }
                Taken::More { index, outcome } => return Some((self.completions.key(index), outcome)),
                Taken::Discarded { .. } | Taken::Nothing => {}
            }
        }
    }

    /// Looks at the next entry of the queue. Of the common case, it only remains to take the outcome and to deliver it.
    #[inline(always)]
    pub(crate) fn admit_next(&mut self) -> Verdict {
        let Some(Completed { token, outcome }) = self.done.queue.front() else { return Verdict::Empty };
        let (token, kind, more) = (*token, outcome.kind(), outcome.is_more());
        let Some(completion) = self.completions.find(token) else { return Verdict::Slow };
        // In few instructions; everything else is found out by the table of states.
        let is_common = completion.phase == Phase::Active && completion.kind == kind && !more;
        if !is_common {
            return Verdict::Slow;
        }
        completion.phase = Phase::Running;
        completion.arming = completion.arming.wrapping_add(1);
        if completion.linked {
            let (slot, direction) = (completion.slot, completion.direction);
            completion.linked = false;
            self.leave_queue(token.index, slot, direction);
        }
        Verdict::Last(token.index)
    }

    /// Takes the next entry of the queue, one that is not the common case, and finds out what is to become of it.
    #[cold]
    pub(crate) fn examine_next(&mut self) -> Taken {
        match self.done.queue.pop_front() {
            Some(completed) => self.examine(completed),
            None => Taken::Nothing,
        }
    }

    /// Puts back what was found out to be for the callback of the completion at `index`, to be delivered next.
    pub(crate) fn put_back(&mut self, index: u32, outcome: Outcome) {
        let arming = self.completions.get(index).arming;
        self.done.queue.push_front(Completed { token: Token { index, arming }, outcome });
    }

    fn examine(&mut self, completed: Completed) -> Taken {
        let Completed { token, outcome } = completed;
        let Some(completion) = self.completions.find(token) else { return self.fault(outcome) };
        if completion.kind != outcome.kind() {
            return self.mismatch(token.index, outcome);
        }
        let more = outcome.is_more();
        let call = if more { Call::More } else { Call::Last };
        let (phase, effect) = step(completion.phase, call);
        if effect == Effect::NotFound {
            return self.fault(outcome);
        }
        completion.phase = phase;
        let index = token.index;
        if more {
            if effect == Effect::Deliver {
                return Taken::More { index, outcome };
            }
            self.dispose(outcome);
            return Taken::Nothing;
        }
        completion.arming = completion.arming.wrapping_add(1);
        if completion.linked {
            self.unlink(index);
        }
        if effect == Effect::Deliver {
            return Taken::Last { index, outcome };
        }
        self.dispose(outcome);
        self.completions.free(index);
        Taken::Discarded { index }
    }

    /// Gives up an outcome that nobody will get: its buffer is dropped, a handle that it brings is closed.
    fn dispose(&mut self, outcome: Outcome) {
        if let Some(handle) = outcome.new_handle() {
            self.close(handle);
        }
    }

    /// The callback of the completion at `index` is finished with it: its place is free.
    #[inline(always)]
    pub(crate) fn finish(&mut self, index: u32) {
        debug_assert_eq!(step(self.completions.phase(index), Call::Disarm), (Phase::Dead, Effect::Free));
        self.completions.free(index);
    }

    /// Arms the completion at `index` again, from its own callback. False, and its place is free, if that callback
    /// deleted it.
    #[inline]
    pub(crate) fn rearm<O: Submission>(&mut self, index: u32, operation: O) -> bool {
        let completion = self.completions.get(index);
        let (phase, effect) = step(completion.phase, Call::Rearm);
        completion.phase = phase;
        if effect != Effect::Queue {
            self.completions.free(index);
            return false;
        }
        if std::mem::take(&mut completion.veto) {
            completion.arm(O::KIND);
            self.fail(index, operation.into_operation(), Error::Canceled);
            return true;
        }
        self.enqueue(index, operation);
        true
    }

    /// Arms the completion at `index` again, not before `due`. It keeps its place in its handle's queue meanwhile.
    pub(crate) fn rearm_at<O: Submission>(&mut self, index: u32, operation: O, due: Time) -> bool {
        let vetoed = self.completions.get(index).veto;
        if !self.rearm(index, operation) || vetoed {
            return self.completions.get(index).phase != Phase::Dead;
        }
        let completion = self.completions.get(index);
        // Anywhere else it has failed already, or waits behind others; then the delay is theirs.
        if completion.phase == Phase::Adding
            && completion.place == Place::Starting
            && let Some(operation) = self.take_back_starting(index)
        {
            let position = self.waiting.insert(operation) as u32;
            let completion = self.completions.get(index);
            (completion.place, completion.position) = (Place::Delayed, position);
            self.timers.insert(index, due.as_nanos());
        }
        true
    }

    fn take_back_starting(&mut self, index: u32) -> Option<Operation> {
        let position = self.completions.get(index).position as usize;
        self.starting.get_mut(position).filter(|entry| entry.index == index)?.operation.take()
    }

    /// An outcome that nothing was started for.
    #[cold]
    fn fault(&mut self, outcome: Outcome) -> Taken {
        self.faults += 1;
        self.fault_unreported = true;
        self.dispose(outcome);
        Taken::Nothing
    }

    /// An outcome of another kind than what was started: the completion ends with [`Error::Backend`], its parts lost.
    #[cold]
    fn mismatch(&mut self, index: u32, outcome: Outcome) -> Taken {
        let completion = self.completions.get(index);
        let backend_has_it = matches!(completion.phase, Phase::Active | Phase::Canceling | Phase::Discarding)
            && completion.place == Place::Backend;
        let (kind, slot, arming) = (completion.kind, completion.slot, completion.arming);
        let taken = self.fault(outcome);
        if !backend_has_it {
            return taken;
        }
        self.fault_unreported = false;
        let handle = self.done.handles.name(slot);
        let Some(outcome) = Outcome::lost(kind, handle) else { return taken };
        self.examine(Completed { token: Token { index, arming }, outcome })
    }

    /// Where `key`'s completion stands.
    #[must_use]
    pub fn state(&self, key: Key) -> State {
        self.completions.lookup(key).map_or(State::Dead, |index| self.completions.phase(index).state())
    }

    /// How many completions are adding, active or deleting, the one whose callback runs and background ones
    /// included.
    #[must_use]
    pub fn active(&self) -> usize {
        self.completions.active() as usize
    }

    /// The same, background ones left out.
    pub(crate) fn foreground(&self) -> usize {
        self.active() - self.completions.background() as usize
    }

    /// Marks `key`'s completion as one that does not keep `UntilDone` running (contract L4).
    ///
    /// # Errors
    /// [`Error::NotFound`] for a stale key.
    pub fn background(&mut self, key: Key) -> Result<(), Error> {
        let index = self.completions.lookup(key).ok_or(Error::NotFound)?;
        self.completions.set_background(index);
        Ok(())
    }

    /// A new notifier of this loop.
    #[must_use]
    pub fn notifier(&mut self) -> Notifier {
        self.inbox.notifier()
    }

    /// A waker of this loop.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.inbox.waker()
    }

    /// The turn's time: the clock is read once a turn, when it is first asked for (contract T2).
    pub fn now(&mut self) -> Time {
        let backend = &self.backend;
        *self.now.get_or_insert_with(|| backend.now())
    }

    /// Reads the clock afresh.
    pub fn update_now(&mut self) -> Time {
        let now = self.backend.now();
        self.now = Some(now);
        now
    }

    /// What the backend can do.
    #[must_use]
    pub fn capabilities(&self) -> crate::Capabilities {
        self.backend.capabilities()
    }

    /// How many turns were made.
    #[must_use]
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// How often the backend broke a rule of its trait.
    #[must_use]
    pub fn backend_faults(&self) -> u64 {
        self.faults
    }

    /// Whether a [`Waker`] asked for the wait to end since this was last asked.
    pub fn take_wake(&mut self) -> bool {
        std::mem::take(&mut self.woken)
    }

    /// How many outcomes are queued.
    pub(crate) fn outcomes(&self) -> usize {
        self.done.len()
    }
}

/// Makes room; cannot unwind, for the same reason as that of [`Done`].
#[cold]
extern "C" fn grow_starting(starting: &mut Vec<Starting>) {
    starting.reserve(starting.capacity().max(16));
}

/// The last outcome of a timer.
fn expired(result: Result<(), Error>) -> Outcome {
    Outcome::Timer(Expired { result })
}

/// The point in time of a timer that is armed at `now`.
fn deadline(due: Due, now: impl FnOnce() -> Time) -> Time {
    match due {
        Due::At(time) => time,
        Due::After(duration) => now() + duration,
    }
}
