//! Layer 1: operations in, outcomes out.

use std::io;

use crate::backend::{Backend, Token};
use crate::cells::DEADLINE;
use crate::done::{Done, of_item};
use crate::handle::{Key, Name, Slot};
use crate::handles::{NONE, Queue};
use crate::notifier::{Inbox, Notifier, Waker};
use crate::operation::{Due, Kind, Submission, Target, Timer};
use crate::outcome::Outcome;
use crate::state::{Call, Effect, Phase, State, step};
use crate::thread_pool::Jobs;
use crate::timers::Timers;
use crate::{BufferPool, Config, Error, Metrics, Time, Times};

mod cancel;
mod completion;
mod deadline;
mod embed;
mod handles;
mod rearm;
mod turn;

#[cfg(test)]
mod tests;

pub use cancel::Cancel;
use completion::{Bound, Completions, Place, Veto};
pub use handles::AttachError;
use turn::expired;

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
    /// What the next turn starts, in the order in which it was submitted.
    starting: Vec<Token>,
    timers: Timers,
    /// By completion: its deadline, in nanoseconds, where it has one.
    deadlines: Vec<u64>,
    inbox: Inbox,
    /// What [`Next::Discarded`] was about, to be dropped last.
    pub(crate) discarded: Option<Outcome>,
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
    waits: u64,
    pub(crate) callbacks: u64,
    /// If they are measured.
    pub(crate) times: Option<Times>,
    faults: u64,
    /// A fault that `turn` has not reported yet.
    fault_unreported: bool,
    /// How many completions there may be: as many operations as are allowed, and those whose outcome is that they were
    /// too many, which take nobody's place.
    room: u32,
    /// Whether something was ever delayed for ever.
    delays_forever: bool,
    /// Whether the backend is a simulation.
    has_no_outside: bool,
    /// The completion whose callback runs.
    pub(crate) running: u32,
    /// The same, if it is a timer's that can be armed again: then its callback may reset it.
    resettable: u32,
    /// That reset.
    running_reset: Option<Timer>,
}

/// What the next entry of the queue is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// The last outcome, in `cell`, of the completion at `index`, whose callback is to run now.
    Last { index: u32, cell: u32 },
    /// An outcome with more to follow.
    More { index: u32, cell: u32 },
    /// The end of the completion at `index`, which was deleted before.
    Discarded { index: u32 },
    /// Nothing that anyone waits for.
    Nothing,
    /// There is none.
    Empty,
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
        let capabilities = backend.capabilities();
        let jobs = Jobs::new(config.pool.clone(), capabilities, inbox.bell());
        Self {
            backend,
            done: Done::with(tag, jobs),
            completions: Completions::new(tag),
            starting: Vec::new(),
            timers,
            deadlines: Vec::new(),
            inbox,
            discarded: None,
            closing: Vec::new(),
            now: None,
            notifier_waits: 0,
            turns_unpolled: 0,
            woken: false,
            turns: 0,
            waits: 0,
            callbacks: 0,
            times: config.measure.then(Times::default),
            faults: 0,
            fault_unreported: false,
            room: config.max_operations.unwrap_or(u32::MAX),
            delays_forever: false,
            has_no_outside: capabilities.virtual_time,
            running: NONE,
            resettable: NONE,
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
        let deadline = operation.deadline();
        self.enqueue_unbounded(index, operation);
        if let Some(deadline) = deadline {
            self.bound(index, deadline);
        }
    }

    #[inline(always)]
    fn enqueue_unbounded<O: Submission>(&mut self, index: u32, operation: O) {
        let target = operation.target();
        if let Target::Timer(due) = target {
            return self.enqueue_timer(index, due.into());
        }
        let objection = operation.objection();
        let token = self.done.cells.insert(index, operation.undecided());
        let full = self.completions.active() > self.room;
        let completion = self.completions.get(index);
        completion.arm(O::KIND, token.index);
        if full {
            return self.refuse(index);
        }
        if let Some(error) = objection {
            return self.fail(index, error);
        }
        match target {
            Target::Stream(handle, direction) => {
                let Some(entry) = self.done.handles.get(handle) else {
                    return self.fail(index, Error::StaleHandle);
                };
                (completion.slot, completion.direction, completion.linked) = (handle.slot(), direction, true);
                let queue = entry.queue(direction);
                if queue.tail != NONE {
                    return self.queue_behind(index);
                }
                *queue = Queue { head: index, tail: index };
            }
            Target::Unordered(handle) => {
                if !self.enlist(index, handle) {
                    return self.fail(index, Error::StaleHandle);
                }
            }
            Target::Close(handle) => return self.enqueue_close(index, handle),
            // Of a backend's, which is not to be told of a slot that another operation has used.
            Target::None if !matches!(O::KIND, Kind::Nop) => completion.slot = Slot(NONE),
            Target::None | Target::Timer(_) | Target::Notifier => {}
        }
        if self.starting.len() == self.starting.capacity() {
            grow_starting(&mut self.starting);
        }
        self.starting.push(token);
    }

    /// A timer needs no cell before it has expired.
    #[inline]
    fn enqueue_timer(&mut self, index: u32, due: Due) {
        let full = self.completions.active() > self.room;
        let completion = self.completions.get(index);
        completion.arm(Kind::Timer, NONE);
        completion.set_due(due);
        if full {
            return self.refuse(index);
        }
        let token = self.completions.timer_token(index);
        if self.starting.len() == self.starting.capacity() {
            grow_starting(&mut self.starting);
        }
        self.starting.push(token);
    }

    /// Has what waited until now started by the next turn.
    fn start_next_turn(&mut self, index: u32) {
        let completion = self.completions.get(index);
        completion.place = Place::Starting;
        let cell = completion.cell;
        let is_timer = completion.kind == Kind::Timer;
        if is_timer && completion.bound != Bound::None {
            completion.place = Place::Bounded;
        }
        let token = if is_timer { self.completions.timer_token(index) } else { self.done.cells.token(cell) };
        self.starting.push(token);
    }

    /// Ends a completion that was not started, with `error`.
    #[cold]
    fn fail(&mut self, index: u32, error: Error) {
        let cell = self.completions.get(index).cell;
        if cell == NONE {
            return self.end_with(index, expired(Err(error)));
        }
        let token = self.done.cells.token(cell);
        if let Some(outcome) = self.done.undecided(token) {
            outcome.set_error(error);
        }
        self.end(index);
    }

    /// Ends a completion that is one too many.
    #[cold]
    fn refuse(&mut self, index: u32) {
        self.completions.get(index).is_refused = true;
        self.room += 1;
        self.fail(index, Error::Full);
    }

    /// A completion that may have been refused has ended, or has come to its callback.
    fn forget_refusal(&mut self, index: u32) {
        if std::mem::take(&mut self.completions.get(index).is_refused) {
            self.room -= 1;
        }
    }

    /// Queues the last outcome, which is in its cell, of a completion that is core's alone.
    fn end(&mut self, index: u32) {
        let completion = self.completions.get(index);
        (completion.phase, _) = step(completion.phase, Call::Queue);
        completion.place = Place::Nothing;
        let token = self.done.cells.token(completion.cell);
        self.done.decided(token);
    }

    /// The same for a completion whose cell is free already.
    fn end_with(&mut self, index: u32, outcome: Outcome) {
        let token = self.done.cells.insert(index, outcome);
        self.completions.get(index).cell = token.index;
        self.end(index);
    }

    /// Takes the next outcome, in the order in which they were completed.
    ///
    /// A multishot operation's outcomes come with the same key, the last being the one that is not
    /// [`is_more`](Outcome::is_more).
    pub fn pop(&mut self) -> Option<(Key, Outcome)> {
        loop {
            match self.next() {
                Next::Last { index, cell } => {
                    let key = self.completions.key(index);
                    let outcome = self.done.cells.remove(cell);
                    self.finish(index);
                    return outcome.map(|outcome| (key, outcome));
                }
                Next::More { index, cell } => {
                    let outcome = self.done.cells.remove(cell);
                    return outcome.map(|outcome| (self.completions.key(index), outcome));
                }
                Next::Discarded { .. } => drop(self.discarded.take()),
                Next::Nothing => {}
                Next::Empty => return None,
            }
        }
    }

    /// Takes the next entry of the queue; its outcome remains in its cell.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Next {
        let Some(token) = self.done.queue.pop() else { return Next::Empty };
        let Some(cell) = self.done.cells.get(token) else { return self.next_item(token) };
        let (index, outcome) = (cell.owner, cell.outcome());
        let Some(completion) = self.completions.owner(index) else { return self.next_marked(token, index) };
        // The common case in few instructions; everything else is found out by the table of states.
        let is_expected =
            outcome.is_some_and(|outcome| outcome.kind() == completion.kind && !outcome.is_more());
        let is_common = match completion.phase {
            Phase::Active => true,
            // What core itself has ended: a timer that has expired, a notification.
            Phase::Ended => completion.veto == Veto::None && !completion.is_refused,
            _ => false,
        };
        if !is_common || !is_expected {
            return self.next_rare(token, index);
        }
        completion.phase = Phase::Running;
        if completion.linked {
            completion.linked = false;
            let (slot, direction) = (completion.slot, completion.direction);
            self.leave_queue(index, slot, direction);
        }
        Next::Last { index, cell: token.index }
    }

    /// An item of a multishot operation that goes on.
    #[inline(always)]
    fn next_item(&mut self, token: Token) -> Next {
        let Some(token) = of_item(token) else { return Next::Nothing };
        let Some(cell) = self.done.cells.get(token) else { return Next::Nothing };
        let (operation, kind) = (cell.owner, cell.outcome().map(Outcome::kind));
        let index = self.done.cells.owner(operation) & !DEADLINE;
        if let Some(completion) = self.completions.owner(index)
            && matches!(completion.phase, Phase::Active | Phase::Canceling)
            && completion.cell == operation
            && kind == Some(completion.kind)
        {
            return Next::More { index, cell: token.index };
        }
        self.discard_item(token.index, index)
    }

    /// Throws an item away: its operation was deleted, or is none that it could be of.
    #[cold]
    fn discard_item(&mut self, cell: u32, index: u32) -> Next {
        let Some(item) = self.done.cells.remove(cell) else { return Next::Nothing };
        let is_expected = self.completions.owner(index).is_some_and(|completion| {
            let (_, effect) = step(completion.phase, Call::More);
            effect != Effect::NotFound && completion.kind == item.kind()
        });
        if !is_expected {
            self.faults += 1;
            self.fault_unreported = true;
        }
        self.dispose(item);
        Next::Nothing
    }

    /// What an entry of the queue is that is not the common case.
    #[cold]
    fn next_rare(&mut self, token: Token, index: u32) -> Next {
        let kind = self.completions.get(index).kind;
        let outcome = self.done.cells.get(token).and_then(|cell| cell.outcome());
        let veto = &mut self.completions.get(index).veto;
        if *veto == Veto::UnlessCanceled
            && outcome.is_some_and(|outcome| outcome.error() == Some(Error::Canceled))
        {
            *veto = Veto::None;
        }
        if outcome.is_none_or(|outcome| outcome.kind() != kind || outcome.is_more()) {
            self.replace_mismatch(token, index);
        }
        self.forget_refusal(index);
        let completion = self.completions.get(index);
        let (phase, effect) = step(completion.phase, Call::Last);
        let linked = completion.linked;
        completion.phase = phase;
        let cell = token.index;
        if effect == Effect::NotFound {
            self.faults += 1;
            self.fault_unreported = true;
        } else if linked {
            self.unlink(index);
        }
        if effect == Effect::Deliver {
            return Next::Last { index, cell };
        }
        let outcome = self.done.cells.remove(cell);
        if let Some(handle) = outcome.as_ref().and_then(Outcome::new_handle) {
            self.close(handle);
        }
        if effect == Effect::Discard {
            self.completions.free(index);
            // Its drop may be the user's, and panic.
            self.discarded = outcome;
            return Next::Discarded { index };
        }
        Next::Nothing
    }

    /// A backend has put the outcome of another kind of operation into a cell, or has lost the one that was there: it
    /// ends with [`Error::Backend`], its parts lost.
    fn replace_mismatch(&mut self, token: Token, index: u32) {
        self.faults += 1;
        let completion = self.completions.get(index);
        let handle = self.done.handles.name(completion.slot);
        let lost = Outcome::lost(completion.kind, handle);
        let Some(cell) = self.done.cells.get(token) else { return };
        let wrong = cell.take();
        if let Some(lost) = lost {
            cell.put(lost);
        }
        if let Some(wrong) = wrong {
            self.dispose(wrong);
        }
    }

    /// Outcomes that nothing was started for.
    #[cold]
    fn take_strays(&mut self) {
        while let Some((_, outcome)) = self.done.strays.pop_front() {
            self.faults += 1;
            self.fault_unreported = true;
            self.dispose(outcome);
        }
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

    /// A pool of `count` buffers of `size` bytes, 1 to [`BufferPool::MAX_COUNT`] and 1 to [`Buffer::MAX_LEN`](crate::Buffer::MAX_LEN), for the
    /// [`RecvMany`](crate::RecvMany)s of this loop.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for numbers out of these ranges, the system's ENOMEM where there is no memory for it.
    pub fn buffer_pool(&mut self, count: u32, size: usize) -> Result<BufferPool, Error> {
        BufferPool::new(count, size, self.done.handles.tag(), self.backend.waker())
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

    /// What was done so far, and how it stands. Callbacks are a loop's.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        Metrics {
            turns: self.turns,
            waits: self.waits,
            callbacks: self.callbacks,
            backend_faults: self.faults,
            active: self.active(),
            starting: self.starting.len(),
            queued: self.done.queue.len(),
            timers: self.timers.len(),
            times: self.times,
        }
    }

    /// How often the backend broke a rule of its trait.
    #[must_use]
    pub fn backend_faults(&self) -> u64 {
        self.faults
    }

    /// Whether a [`Waker`] asked for the last turn's wait to end; false when asked again.
    pub fn take_wake(&mut self) -> bool {
        std::mem::take(&mut self.woken)
    }

    /// The backend, for tests of it.
    #[cfg(test)]
    pub(crate) fn backend(&self) -> &B {
        &self.backend
    }

    /// Whether the next turn takes something from the pool.
    #[cfg(test)]
    pub(crate) fn has_calls(&self) -> bool {
        self.inbox.has_calls()
    }

    /// How many outcomes are queued.
    pub(crate) fn outcomes(&self) -> usize {
        self.done.queue.len()
    }
}

/// Makes room. Cannot unwind, so that what is pushed can stay in registers.
#[cold]
extern "C" fn grow_starting(starting: &mut Vec<Token>) {
    starting.reserve(starting.capacity().max(16));
}

/// The point in time of a timer that is armed at `now`.
fn deadline(due: Due, now: impl FnOnce() -> Time) -> Time {
    match due {
        Due::At(time) => time,
        Due::After(duration) => now() + duration,
    }
}
