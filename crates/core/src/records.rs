//! Where a completion is from `submit` to the end of its callback: in one record, whose operation turns from what was asked
//! into what came of it.
//!
//! Operations and timers have tables of their own, since a timer is much smaller: it has no parts, and there may be a
//! million of them. A completion is an operation or a timer for life, so its index tells which: those of timers have the bit
//! [`TIMER`].

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::backend::Token;
use crate::callback::{Callback, Stored};
use crate::handle::{Key, Name, Slot};
use crate::handles::NONE;
use crate::operation::{Direction, Due, Kind};
use crate::outcome::{Expired, Outcome};
use crate::state::Phase;
use crate::{Error, Time};

mod places;

#[cfg(test)]
mod tests;

/// Marks the index of a timer's completion.
pub(crate) const TIMER: u32 = 1 << 31;

/// Marks an entry of a queue that is about something else than the operation or the timer at an index. There are fewer than
/// 2^30 of each.
pub(crate) const ASIDE: u32 = 1 << 30;

/// What every completion has, operation or timer. In this order, so that what is looked at or set together lies in one word.
#[derive(Debug)]
#[repr(C, align(8))]
pub(crate) struct Head {
    /// That of the keys which name it.
    generation: u32,
    /// Counts its armings by two: even from the arming until its outcome is decided, odd otherwise. With its index, the
    /// token of the present arming.
    arming: u32,
    /// The next of its handle's queue, or of the free places.
    pub(crate) next: u32,
    /// The one before it in its handle's queue.
    pub(crate) previous: u32,
    /// The handle that it uses.
    pub(crate) slot: Slot,
    background: bool,
    /// Of a timer that is to be armed, whether it is due so much after that; of an operation that a thread of the pool may do,
    /// whether one is to.
    is_relative_or_on_pool: bool,
    /// How a timer has ended.
    pub(crate) end: End,
    /// Whether its outcome is that it was one too many.
    pub(crate) is_refused: bool,
    pub(crate) veto: Veto,
    pub(crate) phase: Phase,
    /// How its deadline stands.
    pub(crate) bound: Bound,
    pub(crate) place: Place,
    /// Whether its handle has it in a list.
    pub(crate) link: Link,
    pub(crate) direction: Direction,
    pub(crate) kind: Kind,
    /// Room to the end of the word.
    rest: u8,
}

const _: () = assert!(size_of::<Head>() <= 32);

/// The record of one operation, or a free place for one.
#[derive(Debug)]
pub(crate) struct Record {
    head: Head,
    /// The parts of the operation, and its result once that is decided. None while the backend has them.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) callback: Stored,
}

const _: () = assert!(size_of::<Record>() <= 152);

/// The record of one timer, or a free place for one.
#[derive(Debug)]
pub(crate) struct TimerRecord {
    head: Head,
    pub(crate) callback: Stored,
}

/// One of the outcomes of a multishot operation that goes on, or a free place for one.
#[derive(Debug)]
struct Item {
    outcome: Option<Outcome>,
    /// The operation; in a free place, the index is that of the next one.
    owner: Token,
}

/// What a completion that has not ended waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Place {
    /// The list of what the next turn starts.
    Starting,
    /// The same, where it is core that starts it, or has to look at it first.
    StartingHere,
    /// The queue of its handle, where others go before it.
    Waiting,
    /// The timers, until its delay is over.
    Delayed,
    /// The timers, until its delay is over and it may be told that it has failed.
    HeldBack,
    /// A notifier.
    Notifier,
    /// The timers.
    Timers,
    /// The timers, or to be put there by the next turn: a timer that has a deadline.
    Bounded,
    /// The backend, or the pool that it has handed it to.
    Backend,
    /// The same, of an operation on two handles, the second of which it leaves when it is over.
    BackendOnTwo,
    /// The pool.
    Pool,
    /// The queue of its handle, on behalf of an operation that has a place of its own in that of another one.
    Ticket,
    /// The last use of its handle to end, so that it can be closed.
    Closer,
    /// A thread of the pool, which closes its descriptor.
    ClosingOnPool,
    /// Nothing: its outcome is queued.
    Nothing,
}

/// What `cancel_all` has left to be said to a completion that arms again (contract X6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Veto {
    /// Nothing.
    None,
    /// That it is cancelled, once: it came too late for the outcome.
    Rearm,
    /// The same, unless the outcome says so: it was asked to end, and may still end with its real result.
    UnlessCanceled,
}

/// How the deadline of a completion stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Bound {
    /// There is none, or it has nothing to say any more.
    None,
    /// It is to be counted from the arming, which the next turn makes.
    After,
    /// It is a point in time, not looked at yet.
    At,
    /// It is in the timers.
    Armed,
    /// It has passed, and the operation was asked to end.
    Passed,
}

/// In which list of its handle a completion is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Link {
    /// In none.
    None,
    /// In the queue of its direction.
    Queue,
    /// In that of those which use the handle in no order.
    Unordered,
    /// In none any more: it was decided as it was started, and has made way for the one behind it. It uses the handle until it is
    /// delivered.
    Left,
}

/// How a timer has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum End {
    Expired,
    Canceled,
    TimedOut,
    Full,
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        match error {
            Error::Full => Self::Full,
            Error::TimedOut => Self::TimedOut,
            // Nothing else can be said against a timer.
            _ => Self::Canceled,
        }
    }
}

impl End {
    /// As the user hears it.
    #[inline(always)]
    pub(crate) const fn outcome(self) -> Outcome {
        let result = match self {
            Self::Expired => Ok(()),
            Self::Canceled => Err(Error::Canceled),
            Self::TimedOut => Err(Error::TimedOut),
            Self::Full => Err(Error::Full),
        };
        Outcome::Timer(Expired { due: Due::At(Time::NEVER), result })
    }
}

impl Head {
    const FREE: Self = Self {
        generation: 0,
        arming: 1,
        next: NONE,
        previous: NONE,
        slot: Slot(NONE),
        background: false,
        is_relative_or_on_pool: false,
        end: End::Expired,
        is_refused: false,
        veto: Veto::None,
        phase: Phase::Dead,
        bound: Bound::None,
        place: Place::Starting,
        link: Link::None,
        direction: Direction::Read,
        kind: Kind::Nop,
        rest: 0,
    };

    /// The generation of the keys that name it.
    #[inline(always)]
    pub(crate) const fn generation(&self) -> u32 {
        self.generation
    }

    /// The token of its present arming, of what is at `index`.
    #[inline(always)]
    pub(crate) const fn token(&self, index: u32) -> Token {
        Token { index, arming: self.arming }
    }

    /// If the backend is to start it, with nothing else to be done before, says that it has, and returns true.
    #[inline(always)]
    pub(crate) const fn start(&mut self) -> bool {
        const STARTING: u32 =
            word([Veto::None as u8, Phase::Adding as u8, Bound::None as u8, Place::Starting as u8]);
        let Self { veto, phase, bound, place, .. } = *self;
        let is_starting = word([veto as u8, phase as u8, bound as u8, place as u8]) == STARTING;
        if is_starting {
            (self.phase, self.place) = (Phase::Active, Place::Backend);
        }
        is_starting
    }

    /// If the backend has decided it, nothing else is to be looked at before its outcome is delivered, and no other is in the queue
    /// of its handle: says that it is delivered and in no queue, and returns true.
    ///
    /// A veto is for those who arm it again; one that depends on the outcome has no place in this phase.
    #[inline(always)]
    pub(crate) const fn deliver_alone(&mut self) -> bool {
        let is_common = self.stage() == STARTED_IN_QUEUE && self.is_alone() && !self.is_undecided();
        if is_common {
            (self.phase, self.link) = (Phase::Running, Link::None);
        }
        is_common
    }

    /// The same, whichever list it is in and stays in; and of what core itself has ended: a notification.
    #[inline(always)]
    pub(crate) const fn deliver(&mut self) -> bool {
        let is_common = match self.stage() {
            ENDED => !self.is_refused,
            STARTED | STARTED_IN_QUEUE | STARTED_IN_NO_ORDER | STARTED_AND_LEFT => true,
            _ => false,
        };
        let is_common = is_common && !self.is_undecided();
        if is_common {
            self.phase = Phase::Running;
        }
        is_common
    }

    /// How it stands, in one comparison: phase, deadline, place and list.
    #[inline(always)]
    const fn stage(&self) -> u32 {
        word([self.phase as u8, self.bound as u8, self.place as u8, self.link as u8])
    }

    /// Notes that its arming is decided.
    #[inline(always)]
    pub(crate) const fn decide(&mut self) {
        self.arming |= 1;
    }

    /// Whether its outcome is not decided yet.
    #[inline(always)]
    pub(crate) const fn is_undecided(&self) -> bool {
        self.arming.is_multiple_of(2)
    }

    /// Whether its arming is that of `token`, decided or not.
    #[inline(always)]
    pub(crate) const fn is_armed_as(&self, token: Token) -> bool {
        self.arming | 1 == token.arming | 1
    }

    /// Whether others of its handle and direction go before it.
    pub(crate) const fn is_behind(&self) -> bool {
        matches!(self.link, Link::Queue) && self.previous != NONE
    }

    /// Of the one at `index`, behind the head of a queue that leaves it: if it only waits for that, it is the head now and to be
    /// started, and its token is returned.
    #[inline(always)]
    pub(crate) fn take_the_lead(&mut self, index: u32) -> Option<Token> {
        if self.phase != Phase::Adding || self.place != Place::Waiting {
            return None;
        }
        (self.previous, self.place) = (NONE, self.place_to_start());
        Some(self.token(index))
    }

    /// Of one in a queue, whether there is no other.
    #[inline(always)]
    pub(crate) const fn is_alone(&self) -> bool {
        self.next & self.previous == NONE
    }

    /// Begins another arming: of an operation of `kind`. Returns its number.
    #[inline(always)]
    pub(crate) fn arm(&mut self, kind: Kind, direction: Direction, link: Link) -> u32 {
        (self.next, self.previous) = (NONE, NONE);
        self.kind = kind;
        (self.direction, self.link, self.rest) = (direction, link, 0);
        (self.phase, self.bound, self.veto) = (Phase::Adding, Bound::None, Veto::None);
        self.place = self.place_to_start();
        self.arming = (self.arming | 1).wrapping_add(1);
        self.arming
    }

    /// Whether a thread of the pool is to do it. Of kinds that can go there, nothing of others.
    #[inline(always)]
    pub(crate) const fn is_on_pool(&self) -> bool {
        self.is_relative_or_on_pool
    }

    /// Sets it.
    #[inline(always)]
    pub(crate) const fn set_on_pool(&mut self, is_on_pool: bool) {
        self.is_relative_or_on_pool = is_on_pool;
    }

    /// When a timer that is to be armed is due. It is in no queue, so the links have room for that.
    pub(crate) fn due(&self) -> Due {
        let nanoseconds = u64::from(self.next) << 32 | u64::from(self.previous);
        if self.is_relative_or_on_pool {
            Due::After(Duration::from_nanos(nanoseconds))
        } else {
            Due::At(Time::from_nanos(nanoseconds))
        }
    }

    /// Sets it.
    #[inline]
    pub(crate) fn set_due(&mut self, due: Due) {
        let (is_relative, nanoseconds) = match due {
            Due::After(duration) => (true, (Time::ZERO + duration).as_nanos()),
            Due::At(time) => (false, time.as_nanos()),
        };
        self.is_relative_or_on_pool = is_relative;
        (self.next, self.previous) = ((nanoseconds >> 32) as u32, nanoseconds as u32);
    }
}

const STARTED: u32 = stage(Phase::Active, Place::Backend, Link::None);
const STARTED_IN_QUEUE: u32 = stage(Phase::Active, Place::Backend, Link::Queue);
const STARTED_IN_NO_ORDER: u32 = stage(Phase::Active, Place::Backend, Link::Unordered);
const STARTED_AND_LEFT: u32 = stage(Phase::Active, Place::Backend, Link::Left);
const ENDED: u32 = stage(Phase::Ended, Place::Nothing, Link::None);

/// The stage of what has no deadline, or none any more.
const fn stage(phase: Phase, place: Place, link: Link) -> u32 {
    word([phase as u8, Bound::None as u8, place as u8, link as u8])
}

/// Four bytes as one number.
#[inline(always)]
const fn word(bytes: [u8; 4]) -> u32 {
    u32::from_ne_bytes(bytes)
}

impl Deref for Record {
    type Target = Head;

    #[inline(always)]
    fn deref(&self) -> &Head {
        &self.head
    }
}

impl DerefMut for Record {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Head {
        &mut self.head
    }
}

impl TimerRecord {
    const FREE: Self = Self { head: Head::FREE, callback: Stored::NONE };

    /// The generation of the keys that name it.
    #[inline(always)]
    pub(crate) const fn generation(&self) -> u32 {
        self.head.generation
    }
}

impl Record {
    const FREE: Self = Self { head: Head::FREE, outcome: None, callback: Stored::NONE };

    /// Puts an operation into a record that has none.
    #[inline(always)]
    pub(crate) fn put(&mut self, operation: Outcome) {
        // There is nothing to drop, which an assignment would look for.
        std::mem::forget(self.outcome.replace(operation));
    }
}

/// A place that an operation has.
pub(crate) struct Spot<'a> {
    pub(crate) index: u32,
    pub(crate) record: &'a mut Record,
    /// How many completions there are.
    pub(crate) active: u32,
}

/// Finds one.
pub(crate) trait Find: for<'a> FnOnce(&'a mut Records) -> Option<Spot<'a>> {}

impl<F: for<'a> FnOnce(&'a mut Records) -> Option<Spot<'a>>> Find for F {}

/// All completions of one loop.
#[derive(Debug)]
pub(crate) struct Records {
    operations: Vec<Record>,
    timers: Vec<TimerRecord>,
    /// The first of the free places of each: the one freed last, whose memory is in the cache.
    free_operation: u32,
    free_timer: u32,
    items: Vec<Item>,
    free_item: u32,
    active: u32,
    background: u32,
    tag: u32,
    /// The deadlines of operations, and of timers besides what they are due at: as far as there was one that had one.
    deadlines: [Vec<u64>; 2],
}

impl Records {
    pub(crate) const fn new(tag: u32) -> Self {
        Self {
            operations: Vec::new(),
            timers: Vec::new(),
            free_operation: NONE,
            free_timer: NONE,
            items: Vec::new(),
            free_item: NONE,
            active: 0,
            background: 0,
            tag,
            deadlines: [const { Vec::new() }; 2],
        }
    }

    /// Takes a place for an operation.
    #[inline(always)]
    pub(crate) fn allocate(&mut self) -> Spot<'_> {
        if self.free_operation == NONE {
            grow(self);
        }
        let index = self.free_operation;
        let Some(record) = self.operations.get_mut(index as usize) else { unreachable_place() };
        self.free_operation = record.head.next;
        self.active += 1;
        Spot { index, record, active: self.active }
    }

    /// The place at `index`, of an operation that was allocated.
    #[inline(always)]
    pub(crate) fn allocated(&mut self, index: u32) -> Option<Spot<'_>> {
        let record = self.operations.get_mut(index as usize)?;
        Some(Spot { index, record, active: self.active })
    }

    /// Takes a place for a timer.
    #[inline(always)]
    pub(crate) fn allocate_timer(&mut self) -> (u32, &mut TimerRecord) {
        if self.free_timer == NONE {
            grow_timers(self);
        }
        let index = self.free_timer;
        let Some(record) = self.timers.get_mut(index as usize) else { unreachable_place() };
        self.free_timer = record.head.next;
        self.active += 1;
        (index | TIMER, record)
    }

    /// Frees the place of an operation.
    #[inline(always)]
    pub(crate) fn free_operation(&mut self, index: u32) {
        let Some(record) = self.operations.get_mut(index as usize) else { return };
        self.active -= 1;
        if retire(&mut record.head, &mut self.background) {
            record.head.next = self.free_operation;
            self.free_operation = index;
        }
    }

    /// Frees the place of a timer.
    #[inline(always)]
    pub(crate) fn free_timer(&mut self, index: u32) {
        let place = index & !TIMER;
        let Some(record) = self.timers.get_mut(place as usize) else { return };
        self.active -= 1;
        if retire(&mut record.head, &mut self.background) {
            record.head.next = self.free_timer;
            self.free_timer = place;
        }
    }

    /// Frees a place.
    pub(crate) fn free(&mut self, index: u32) {
        if index & TIMER == 0 { self.free_operation(index) } else { self.free_timer(index) }
    }

    /// The completion at `index`, a place that was allocated.
    #[inline]
    pub(crate) fn get(&mut self, index: u32) -> &mut Head {
        if index & TIMER == 0 {
            &mut self.operations[index as usize].head
        } else {
            &mut self.timers[(index & !TIMER) as usize].head
        }
    }

    pub(crate) fn peek(&self, index: u32) -> Option<&Head> {
        if index & TIMER == 0 {
            self.operations.get(index as usize).map(|record| &record.head)
        } else {
            self.timers.get((index & !TIMER) as usize).map(|record| &record.head)
        }
    }

    /// The operation at `index`; none at that of a timer, or of something else.
    #[inline(always)]
    pub(crate) fn operation(&mut self, index: u32) -> Option<&mut Record> {
        self.operations.get_mut(index as usize)
    }

    /// The timer at `index`; none at that of something else.
    #[inline(always)]
    pub(crate) fn timer(&mut self, index: u32) -> Option<&mut Head> {
        if index & TIMER == 0 {
            return None;
        }
        self.timers.get_mut((index & !TIMER) as usize).map(|record| &mut record.head)
    }

    /// The callback of the operation or the timer at `index`, or the place for it.
    #[inline(always)]
    pub(crate) fn callback(&mut self, index: u32, is_timer: bool) -> Option<&mut Stored> {
        if is_timer {
            self.timers.get_mut((index & !TIMER) as usize).map(|record| &mut record.callback)
        } else {
            self.operations.get_mut(index as usize).map(|record| &mut record.callback)
        }
    }

    /// Drops the callback of the completion at `index`, if it has one.
    pub(crate) fn clear_callback(&mut self, index: u32) {
        if let Some(callback) = self.callback(index, index & TIMER != 0) {
            callback.clear();
        }
    }

    /// The name of a timer's callback.
    #[inline(always)]
    pub(crate) fn timer_callback_name(&self, index: u32) -> Callback {
        self.timers
            .get((index & !TIMER) as usize)
            .map_or(Stored::NONE.name(), |record| record.callback.name())
    }

    /// Drops all callbacks.
    pub(crate) fn clear_callbacks(&mut self) {
        self.operations.iter_mut().for_each(|record| record.callback.clear());
        self.timers.iter_mut().for_each(|record| record.callback.clear());
    }

    /// The operation of an arming that is not decided yet. Nothing that is decided, and no free place, has an even number, and
    /// no token names an odd one, whoever made it up.
    #[inline(always)]
    pub(crate) fn undecided(&mut self, token: Token) -> Option<&mut Record> {
        let record = self.operations.get_mut(token.index as usize)?;
        if record.head.arming == token.arming & !1 { Some(record) } else { None }
    }

    /// Notes that the arming of `token` is decided, unless it was before. Returns whether it was not.
    #[inline(always)]
    pub(crate) fn decide(&mut self, token: Token) -> bool {
        let Some(record) = self.undecided(token) else { return false };
        record.decide();
        true
    }

    /// The operation, which is not decided yet, has been taken back: its token is stale.
    pub(crate) fn take_back(&mut self, index: u32) -> Option<Outcome> {
        let record = self.operations.get_mut(index as usize)?;
        record.head.arming |= 1;
        record.outcome.take()
    }

    /// The token of the present arming of the completion at `index`.
    #[inline]
    pub(crate) fn token(&self, index: u32) -> Token {
        Token { index, arming: self.peek(index).map_or(1, |head| head.arming) }
    }

    pub(crate) fn phase(&self, index: u32) -> Phase {
        self.peek(index).map_or(Phase::Dead, |head| head.phase)
    }

    /// The index of the completion that `key` names, unless it is stale.
    pub(crate) fn lookup(&self, key: Key) -> Option<u32> {
        let Name { index, generation, tag } = key.name;
        let head = self.peek(index)?;
        let fits = tag == self.tag && head.generation == generation && head.phase != Phase::Dead;
        fits.then_some(index)
    }

    #[inline(always)]
    pub(crate) fn key(&self, index: u32) -> Key {
        let generation = self.peek(index).map_or(0, Head::generation);
        Key { name: Name { index, generation, tag: self.tag } }
    }

    #[inline(always)]
    pub(crate) const fn tag(&self) -> u32 {
        self.tag
    }

    /// The indices of all places, free ones included: operations, then timers.
    pub(crate) fn indices(&self) -> impl Iterator<Item = u32> + use<> {
        let timers = TIMER..TIMER + self.timers.len() as u32;
        (0..self.operations.len() as u32).chain(timers)
    }

    /// The deadline of the completion at `index`, which is at one of those places.
    pub(crate) fn deadline(&mut self, index: u32) -> &mut u64 {
        let deadlines = &mut self.deadlines[usize::from(index & TIMER != 0)];
        let place = (index & !TIMER) as usize;
        if place >= deadlines.len() {
            deadlines.resize(place + 1, 0);
        }
        &mut deadlines[place]
    }

    pub(crate) const fn active(&self) -> u32 {
        self.active
    }

    pub(crate) const fn background(&self) -> u32 {
        self.background
    }

    pub(crate) fn set_background(&mut self, index: u32) {
        if !std::mem::replace(&mut self.get(index).background, true) {
            self.background += 1;
        }
    }

    /// Keeps an item of the operation of `owner`. Returns its index.
    #[inline(always)]
    pub(crate) fn insert_item(&mut self, owner: Token, outcome: Outcome) -> u32 {
        if self.free_item == NONE {
            grow_items(self);
        }
        let index = self.free_item;
        let Some(item) = self.items.get_mut(index as usize) else { unreachable_place() };
        self.free_item = item.owner.index;
        item.owner = owner;
        std::mem::forget(item.outcome.replace(outcome));
        index
    }

    /// The item at `index`, and whose it is.
    #[inline(always)]
    pub(crate) fn item(&self, index: u32) -> Option<(Token, &Outcome)> {
        let item = self.items.get(index as usize)?;
        item.outcome.as_ref().map(|outcome| (item.owner, outcome))
    }

    /// Takes an item out.
    #[inline(always)]
    pub(crate) fn remove_item(&mut self, index: u32) -> Option<Outcome> {
        let item = self.items.get_mut(index as usize)?;
        let outcome = item.outcome.take()?;
        item.owner.index = self.free_item;
        self.free_item = index;
        Some(outcome)
    }

    /// Whether nothing is kept: no operation, and no item.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        let is_vacant = self.operations.iter().all(|record| record.outcome.is_none());
        is_vacant && self.items.iter().all(|item| item.outcome.is_none())
    }
}

/// Ends the life of a completion. Returns whether its place can be used again: one whose generations are spent retires
/// (contract C7).
#[inline(always)]
fn retire(head: &mut Head, background: &mut u32) -> bool {
    (head.veto, head.phase, head.bound, head.place) = (Veto::None, Phase::Dead, Bound::None, Place::Nothing);
    if head.background {
        head.background = false;
        *background -= 1;
    }
    // A place that has come to the last one is never used again.
    head.generation = head.generation.wrapping_add(1);
    head.generation != 0
}

/// Adds a free place. Cannot unwind, as those below: what is to go into it can stay in registers, since no unwinding has to
/// find it.
#[cold]
extern "C" fn grow(records: &mut Records) {
    records.free_operation = next_index(records.operations.len());
    records.operations.push(Record::FREE);
}

#[cold]
extern "C" fn grow_timers(records: &mut Records) {
    records.free_timer = next_index(records.timers.len());
    records.timers.push(TimerRecord::FREE);
}

#[cold]
extern "C" fn grow_items(records: &mut Records) {
    records.free_item = next_index(records.items.len());
    records.items.push(Item { outcome: None, owner: Token { index: NONE, arming: 0 } });
}

fn next_index(len: usize) -> u32 {
    assert!(len < ASIDE as usize, "fewer than 2^30 places");
    len as u32
}

/// The free lists name places that exist.
#[cold]
extern "C" fn unreachable_place() -> ! {
    unreachable!("the free list names places that exist")
}
