//! Layer 1: operations in, outcomes out.

use std::io;

use crate::backend::{Backend, Token};
use crate::callback::{Callback, Stored};
use crate::done::OwnDone;
use crate::handle::{Key, Name, Slot};
use crate::handles::{NONE, Queue};
use crate::notifier::{Inbox, Notifier, Waker};
use crate::operation::{Direction, Due, Kind, Submission, Target, Timer};
use crate::outcome::Outcome;
use crate::records::{Bound, End, Find, Link, Place, Spot, TIMER};
use crate::state::{Call, State, step};
use crate::thread_pool::Jobs;
use crate::timers::Timers;
use crate::trace::{debug, trace};
use crate::{BufferPool, Config, Error, Metrics, Offload, Time, Times};

mod cancel;
mod deadline;
mod deliver;
mod embed;
mod faults;
mod handles;
mod rearm;
mod second;
mod tickets;
mod turn;

#[cfg(test)]
mod tests;

pub use cancel::Cancel;
use faults::Taking;
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
    pub(crate) done: OwnDone,
    /// What the next turn starts, in the order in which it was submitted.
    starting: Vec<Token>,
    /// What the present turn starts; empty between turns, unless the backend has panicked over one.
    batch: Vec<Token>,
    /// How many of these were begun.
    started: usize,
    timers: Timers,
    /// Whose deadline has passed in the present turn and has not taken effect yet.
    overdue: Vec<u32>,
    inbox: Inbox,
    /// What [`Next::Discarded`] was about, to be dropped last.
    pub(crate) discarded: Option<Outcome>,
    /// Handles that close in the next turn because a `Close` or a `Detach` of an idle handle was submitted.
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
    pub(crate) completions: crate::Completions,
    /// Of operations on two handles, who uses which as the second.
    seconds: second::Seconds,
    /// Of those among them that have their turn on both, what stands for them in the queue of the second.
    tickets: tickets::Tickets,
    /// What goes to the pool where an operation does not say so.
    offload: Offload,
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
    /// The last outcome of the completion at `index`, whose callback is to run now.
    Last { index: u32, callback: Callback },
    /// An outcome with more to follow.
    More { index: u32, item: u32, callback: Callback },
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
        debug!(backend = B::NAME, "opened");
        let jobs = Jobs::new(config.pool.clone(), capabilities, inbox.bell());
        Self {
            backend,
            done: OwnDone::with(tag, jobs),
            starting: Vec::new(),
            batch: Vec::new(),
            started: 0,
            timers,
            overdue: Vec::new(),
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
            completions: crate::Completions::default(),
            seconds: second::Seconds::default(),
            tickets: tickets::Tickets::default(),
            offload: config.offload,
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
        self.submit_with(operation, |_| {})
    }

    /// The same, where `store` stores the callback.
    #[inline(always)]
    pub(crate) fn submit_with<O: Submission>(
        &mut self,
        operation: O,
        store: impl FnOnce(&mut Stored),
    ) -> Key {
        let tag = self.done.records.tag();
        let (index, generation) = if is_timer::<O>() {
            let (index, timer) = self.done.records.allocate_timer();
            store(&mut timer.callback);
            let generation = timer.generation();
            self.enqueue(index, operation);
            (index, generation)
        } else {
            self.enqueue_at(operation, |records| {
                let spot = records.allocate();
                store(&mut spot.record.callback);
                Some(spot)
            })
        };
        let key = Key { name: Name { index, generation, tag } };
        trace!(kind = ?O::KIND, ?key, "submitted");
        key
    }

    /// Queues `operation` as the next arming of the completion at `index`, whose place is allocated.
    #[inline(always)]
    fn enqueue<O: Submission>(&mut self, index: u32, operation: O) {
        if let Target::Timer(due) = operation.target() {
            let deadline = operation.deadline();
            self.enqueue_timer(index, due.into());
            if let Some(deadline) = deadline {
                self.bound(index, deadline);
            }
        } else {
            self.enqueue_at(operation, |records| records.allocated(index));
        }
    }

    /// Queues `operation`, which is no timer, as the next arming of the completion whose place `find` finds. Returns its index and
    /// its generation.
    #[inline(always)]
    fn enqueue_at<O: Submission>(&mut self, operation: O, find: impl Find) -> (u32, u32) {
        let (deadline, offload) = (operation.deadline(), operation.offload());
        let (index, generation) = match operation.second() {
            None => self.enqueue_operation(operation, find),
            Some(second) => self.enqueue_on_two(operation, second, find),
        };
        if O::KIND.can_offload() {
            self.choose_place(index, offload);
        }
        if let Some(deadline) = deadline {
            self.bound(index, deadline);
        }
        (index, generation)
    }

    /// Notes whether the operation at `index`, which was just queued, is for the pool.
    #[inline]
    fn choose_place(&mut self, index: u32, offload: Option<Offload>) {
        let is_on_pool = offload.unwrap_or(self.offload) == Offload::Always;
        let head = self.done.records.get(index);
        head.set_on_pool(is_on_pool);
        if head.place == Place::Starting || head.place == Place::StartingHere {
            head.place = head.place_to_start();
        }
    }

    #[inline(always)]
    fn enqueue_operation<O: Submission>(&mut self, operation: O, find: impl Find) -> (u32, u32) {
        let (target, objection) = (operation.target(), operation.objection());
        let Some(Spot { index, record, active }) = find(&mut self.done.records) else { return (NONE, 0) };
        let generation = record.generation();
        let arming = match target {
            Target::Stream(handle, direction) => {
                record.slot = handle.slot();
                record.arm(O::KIND, direction, Link::Queue)
            }
            _ => record.arm(O::KIND, Direction::Read, Link::None),
        };
        record.put(operation.undecided());
        if active > self.room || objection.is_some() {
            self.reject(index, objection);
            return (index, generation);
        }
        match target {
            Target::Stream(handle, direction) => {
                let Some(entry) = self.done.handles.get(handle) else {
                    self.reject(index, Some(Error::StaleHandle));
                    return (index, generation);
                };
                let queue = entry.queue(direction);
                if queue.tail != NONE {
                    (record.place, record.previous) = (Place::Waiting, queue.tail);
                    let last = std::mem::replace(&mut queue.tail, index);
                    self.link_behind(last, index);
                    return (index, generation);
                }
                *queue = Queue { head: index, tail: index };
            }
            Target::Unordered(handle) => {
                let Some(entry) = self.done.handles.get(handle) else {
                    self.reject(index, Some(Error::StaleHandle));
                    return (index, generation);
                };
                let next = std::mem::replace(&mut entry.unordered, index);
                (record.slot, record.link) = (handle.slot(), Link::Unordered);
                record.next = next;
                if let Some(after) = self.done.records.operation(next) {
                    after.previous = index;
                }
            }
            Target::Close(handle) => {
                self.enqueue_close(index, handle);
                return (index, generation);
            }
            // Of a backend's, which is not to be told of a slot that another operation has used.
            Target::None if !matches!(O::KIND, Kind::Nop) => record.slot = Slot(NONE),
            Target::None | Target::Timer(_) | Target::Notifier => {}
        }
        self.start_later(Token { index, arming });
        (index, generation)
    }

    /// Ends a completion that was to be queued: as one too many, or for what is wrong with it.
    #[cold]
    #[inline(never)]
    fn reject(&mut self, index: u32, objection: Option<Error>) {
        self.done.records.get(index).link = Link::None;
        if self.is_full() {
            return self.refuse(index);
        }
        self.fail(index, objection.unwrap_or(Error::Full));
    }

    #[inline]
    fn enqueue_timer(&mut self, index: u32, due: Due) {
        let full = self.is_full();
        let Some(timer) = self.done.records.timer(index) else { return };
        let arming = timer.arm(Kind::Timer, Direction::Read, Link::None);
        timer.set_due(due);
        if full {
            return self.refuse(index);
        }
        self.start_later(Token { index, arming });
    }

    /// Whether the completion that was allocated last is one too many.
    #[inline(always)]
    fn is_full(&self) -> bool {
        self.done.records.active() > self.room
    }

    #[inline(always)]
    fn start_later(&mut self, token: Token) {
        if self.starting.len() == self.starting.capacity() {
            grow_starting(&mut self.starting);
        }
        self.starting.push(token);
    }

    /// Has what waited until now started by the next turn.
    fn start_next_turn(&mut self, index: u32) {
        let completion = self.done.records.get(index);
        let is_bounded_timer = index & TIMER != 0 && completion.bound != Bound::None;
        completion.place = if is_bounded_timer { Place::Bounded } else { completion.place_to_start() };
        let token = self.done.records.token(index);
        self.start_later(token);
    }

    /// Ends a completion that was not started, with `error`.
    #[cold]
    fn fail(&mut self, index: u32, error: Error) {
        if index & TIMER != 0 {
            return self.end_timer(index, error.into());
        }
        let token = self.done.records.token(index);
        if let Some(outcome) = self.done.undecided(token) {
            outcome.set_error(error);
        }
        self.end(index);
    }

    /// Ends a completion that is one too many.
    #[cold]
    fn refuse(&mut self, index: u32) {
        self.done.records.get(index).is_refused = true;
        self.room += 1;
        self.fail(index, Error::Full);
    }

    /// A completion that may have been refused has ended, or has come to its callback.
    fn forget_refusal(&mut self, index: u32) {
        if std::mem::take(&mut self.done.records.get(index).is_refused) {
            self.room -= 1;
        }
    }

    /// Queues the last outcome, which its record has, of an operation that is core's alone.
    fn end(&mut self, index: u32) {
        let completion = self.done.records.get(index);
        (completion.phase, _) = step(completion.phase, Call::Queue);
        completion.place = Place::Nothing;
        let token = self.done.records.token(index);
        self.done.decided(token);
    }

    /// The same of a timer.
    fn end_timer(&mut self, index: u32, end: End) {
        let Some(timer) = self.done.records.timer(index) else { return };
        (timer.phase, _) = step(timer.phase, Call::Queue);
        (timer.place, timer.end) = (Place::Nothing, end);
        self.done.queue.push(index);
    }

    /// Where `key`'s completion stands.
    #[must_use]
    pub fn state(&self, key: Key) -> State {
        self.done.records.lookup(key).map_or(State::Dead, |index| self.done.records.phase(index).state())
    }

    /// How many completions are adding, active or deleting, the one whose callback runs and background ones
    /// included.
    #[must_use]
    pub fn active(&self) -> usize {
        self.done.records.active() as usize
    }

    /// The same, background ones left out.
    pub(crate) fn foreground(&self) -> usize {
        self.active() - self.done.records.background() as usize
    }

    /// Marks `key`'s completion as one that does not keep `UntilDone` running (contract L4).
    ///
    /// # Errors
    /// [`Error::NotFound`] for a stale key.
    pub fn background(&mut self, key: Key) -> Result<(), Error> {
        let index = self.done.records.lookup(key).ok_or(Error::NotFound)?;
        self.done.records.set_background(index);
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
            completions: self.completions,
            backend_faults: self.faults,
            active: self.active(),
            starting: self.starting.len() + self.batch.len().saturating_sub(self.started),
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
    #[cfg(all(test, not(loom)))]
    pub(crate) fn backend(&self) -> &B {
        &self.backend
    }

    /// Whether the next turn takes something from the pool.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn has_calls(&self) -> bool {
        self.inbox.has_calls()
    }

    /// How many outcomes are queued.
    pub(crate) fn outcomes(&self) -> usize {
        self.done.queue.len()
    }
}

/// Whether an `O` is a timer, with a deadline or without.
pub(crate) const fn is_timer<O: Submission>() -> bool {
    matches!(O::KIND, Kind::Timer)
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
