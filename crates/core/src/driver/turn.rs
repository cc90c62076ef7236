//! One pass of the loop.

use super::{Driver, deadline};
use crate::backend::{Attempted, Backend, Token, Until};
use crate::handles::NONE;
use crate::notifier::{Calls, Registration};
use crate::outcome::Outcome;
use crate::records::{ASIDE, End, Place};
use crate::state::{Call, Effect, Phase, step};
use crate::trace::trace;
use crate::work::AnyWork;
use crate::{Error, Time};

/// How many turns in a row may leave the system unasked because there is local work to do.
const TURNS_UNPOLLED_MAX: u32 = 64;

impl<B: Backend> Driver<B> {
    /// Makes one turn: starts what was submitted, ends expired timers, takes notifications, waits once, at most until
    /// `until`, and takes what is complete (contract L3). Does not block while outcomes are queued. Where the deadline of an
    /// operation has passed, what is there by now is taken before it takes effect, without waiting.
    ///
    /// # Errors
    /// [`Error::Deadlock`] where nothing could ever end the wait, [`Error::Backend`] after the backend broke a rule that
    /// no operation's outcome could report, or the system's own, from waiting.
    pub fn turn(&mut self, until: Until) -> Result<(), Error> {
        self.pass(until)
    }

    /// A turn, as part of what makes one after the other.
    #[inline(always)]
    pub(crate) fn pass(&mut self, until: Until) -> Result<(), Error> {
        self.turns += 1;
        self.now = None;
        self.woken = false;
        if !self.closing.is_empty() {
            self.close_idle();
        }
        self.start_submitted();
        if self.timers.len() > 0 {
            self.expire_timers()?;
        }
        self.take_mail();
        self.wait(until)?;
        trace!(turn = self.turns, queued = self.done.queue.len(), "turn");
        if !self.done.strays.is_empty() {
            self.take_strays();
        }
        if self.fault_unreported {
            self.fault_unreported = false;
            return Err(Error::Backend);
        }
        Ok(())
    }

    /// Starts what was submitted before this turn. What comes up meanwhile is left to the next one; and so is, going first, what a
    /// backend that panics has kept from being started.
    #[inline(always)]
    fn start_submitted(&mut self) {
        if self.starting.is_empty() && self.batch.is_empty() {
            return;
        }
        if self.batch.is_empty() {
            std::mem::swap(&mut self.starting, &mut self.batch);
        } else {
            self.take_up_batch();
        }
        // One reading for all that is armed here, and after all of it was submitted: never early.
        let mut clock = None;
        let mut started = 0;
        while let Some(&token) = self.batch.get(started) {
            started += 1;
            self.started = started;
            if self.start(token, &mut clock) {
                self.append_follower(token.index);
            }
        }
        self.batch.clear();
    }

    /// The backend has panicked over one that an earlier turn was to start: what was behind it comes first.
    #[cold]
    fn take_up_batch(&mut self) {
        self.batch.drain(..self.started);
        self.batch.append(&mut self.starting);
    }

    /// Starts a completion. Returns whether that has decided it, and there is one behind it in its queue.
    #[inline(always)]
    fn start(&mut self, token: Token, clock: &mut Option<Time>) -> bool {
        // What was taken back since is not undecided.
        let Some(record) = self.done.records.undecided(token) else {
            self.start_other(token, clock);
            return false;
        };
        if !record.start() {
            self.start_rare(token, clock);
            return false;
        }
        let slot = record.slot;
        if let Some(operation) = &mut record.outcome {
            match self.backend.attempt(token, slot, operation) {
                Attempted::Decided => {
                    record.decide();
                    let has_follower = record.next != NONE;
                    self.done.queue.push(token.index);
                    return has_follower;
                }
                Attempted::Begun => return false,
                Attempted::Declined => {}
            }
        }
        self.backend.start(token, slot, &mut self.done);
        false
    }

    /// Something was decided as it was started: has the one behind it started too, after all others. So a socket that has many
    /// datagrams takes as many receives as there are in one turn.
    #[inline(never)]
    fn append_follower(&mut self, decided: u32) {
        if let Some(follower) = self.follower(decided) {
            self.batch.push(follower);
        }
    }

    /// Starts what core does itself, or has to look at first.
    #[inline(never)]
    pub(super) fn start_local(&mut self, token: Token) {
        let index = token.index;
        let tag = self.done.records.tag();
        match self.done.undecided(token) {
            Some(Outcome::NotifierWait(_)) => self.start_notifier_wait(token, index),
            Some(Outcome::Nop(done)) => {
                done.result = Ok(());
                self.end(index);
            }
            Some(Outcome::Work(_)) => {
                self.done.records.get(index).place = Place::Pool;
                self.done.offload(token, AnyWork::job());
            }
            Some(Outcome::RecvManyEnded(many)) => {
                if !many.pool.is_of(tag) {
                    // Nobody would wake this loop when it waits for a buffer.
                    return self.fail(index, Error::InvalidInput);
                }
                let completion = self.done.records.get(index);
                completion.place = Place::Backend;
                let slot = completion.slot;
                self.backend.start(token, slot, &mut self.done);
            }
            Some(Outcome::SendFile(_) | Outcome::SendFileAll(_)) => {
                let completion = self.done.records.get(index);
                completion.place = Place::BackendOnTwo;
                let (slot, is_on_pool) = (completion.slot, completion.is_on_pool());
                if is_on_pool {
                    self.backend.start_on_pool(token, slot, &mut self.done);
                } else {
                    self.backend.start(token, slot, &mut self.done);
                }
            }
            Some(Outcome::Splice(_)) => self.start_on_two_queues(token),
            // On a file or a name, and for the pool.
            _ => {
                let Some(completion) = self.done.records.operation(index) else { return };
                if completion.outcome.as_ref().is_none_or(|outcome| outcome.kind() != completion.kind) {
                    // A backend has taken it, or put something else there.
                    return self.end(index);
                }
                completion.place = Place::Backend;
                let slot = completion.slot;
                self.backend.start_on_pool(token, slot, &mut self.done);
            }
        }
    }

    /// Arms a timer, or the deadline of what waits behind others, unless it was taken back.
    #[inline]
    fn start_other(&mut self, token: Token, clock: &mut Option<Time>) {
        if token.index & ASIDE != 0 {
            return self.start_deadline(Token { index: token.index & !ASIDE, ..token }, clock);
        }
        let Some(timer) = self.done.records.timer(token.index) else { return };
        if timer.phase != Phase::Adding || !timer.is_armed_as(token) {
            return;
        }
        match timer.place {
            Place::Starting => {}
            Place::Bounded => return self.arm_bounded(token.index, clock),
            _ => return,
        }
        debug_assert_eq!(step(timer.phase, Call::Start), (Phase::Active, Effect::HandOver));
        (timer.phase, timer.place) = (Phase::Active, Place::Timers);
        let backend = &self.backend;
        let deadline = deadline(timer.due(), || *clock.get_or_insert_with(|| backend.now()));
        self.arm_timer(token.index, deadline.as_nanos());
    }

    /// Has something happen to the completion at `index` at a point in time. The timers are dense by their indices.
    #[inline]
    pub(super) fn arm_timer(&mut self, index: u32, nanoseconds: u64) {
        self.timers.insert(index.rotate_left(1), nanoseconds);
    }

    /// Takes that back; false if there is nothing.
    #[inline]
    pub(super) fn disarm_timer(&mut self, index: u32) -> bool {
        self.timers.remove(index.rotate_left(1))
    }

    fn start_notifier_wait(&mut self, token: Token, index: u32) {
        let Some(Outcome::NotifierWait(wait)) = self.done.undecided(token) else { return };
        let error = match self.inbox.register(&wait.notifier, index) {
            Registration::Waiting => {
                self.done.records.get(index).place = Place::Notifier;
                self.notifier_waits += 1;
                return;
            }
            Registration::Busy => Error::Busy,
            Registration::Foreign => Error::InvalidInput,
        };
        self.fail(index, error);
    }

    fn expire_timers(&mut self) -> Result<(), Error> {
        let now = self.update_now().as_nanos();
        while let Some(timer) = self.timers.pop_expired(now) {
            let index = timer.rotate_right(1);
            if self.done.records.get(index).place == Place::Timers {
                self.end_timer(index, End::Expired);
            } else {
                return self.expire_others(index, now);
            }
        }
        Ok(())
    }

    /// Only that of a turn; for tests.
    #[cfg(test)]
    pub(super) fn expire_timers_now(&mut self) -> Result<(), Error> {
        self.expire_timers()
    }

    fn take_notifications(&mut self) {
        if !self.inbox.has_mail() {
            return;
        }
        let Self { inbox, done, notifier_waits, .. } = self;
        inbox.drain(|index| {
            *notifier_waits -= 1;
            let completion = done.records.get(index);
            (completion.phase, _) = step(completion.phase, Call::Queue);
            completion.place = Place::Nothing;
            let token = done.records.token(index);
            if let Some(Outcome::NotifierWait(notified)) = done.undecided(token) {
                notified.result = Ok(());
            }
            done.decided(token);
        });
    }

    /// The turn's one wait.
    #[inline(always)]
    fn wait(&mut self, until: Until) -> Result<(), Error> {
        if self.has_local_work() || self.woken {
            return self.do_not_wait(until);
        }
        let until = self.earliest(until);
        if until == Until::Now {
            return self.do_not_wait(until);
        }
        // Looking for a moment before sleeping saves the notifier a system call, and the loop a sleep.
        if (self.notifier_waits > 0 && self.inbox.look()) || !self.inbox.fall_asleep() {
            self.take_mail();
            return self.do_not_wait(until);
        }
        self.turns_unpolled = 0;
        if until == Until::Forever && self.nobody_can_end_it() {
            self.inbox.awake();
            return self.last_look();
        }
        self.waits += 1;
        let waited = if self.times.is_some() {
            self.wait_measured(until)
        } else {
            // The only one that is in line.
            self.backend.wait(until, &mut self.done)
        };
        self.inbox.awake();
        // What was read before the wait is old now.
        self.now = None;
        self.take_mail();
        waited
    }

    #[cold]
    fn wait_measured(&mut self, until: Until) -> Result<(), Error> {
        let begin = self.backend.now();
        let waited = self.ask_the_backend(until);
        let idle = self.backend.now().since(begin);
        if let Some(times) = &mut self.times {
            times.idle += idle;
        }
        waited
    }

    /// Asks the system if that is due, which it is after some turns even if each had something else to do.
    #[inline(always)]
    fn do_not_wait(&mut self, until: Until) -> Result<(), Error> {
        if until == Until::Now || self.turns_unpolled >= TURNS_UNPOLLED_MAX {
            self.turns_unpolled = 0;
            return self.ask_the_backend(Until::Now);
        }
        self.turns_unpolled += 1;
        self.backend.flush(&mut self.done)
    }

    /// Takes what there is by now, whoever has it, without waiting.
    #[cold]
    pub(super) fn look_once(&mut self) -> Result<(), Error> {
        self.take_mail();
        self.turns_unpolled = 0;
        self.ask_the_backend(Until::Now)
    }

    #[inline(never)]
    fn ask_the_backend(&mut self, until: Until) -> Result<(), Error> {
        self.backend.wait(until, &mut self.done)
    }

    /// Takes what other threads have sent.
    #[inline(always)]
    fn take_mail(&mut self) {
        if !self.inbox.is_quiet() {
            let calls = self.inbox.take_calls();
            if !calls.is_empty() {
                self.answer(calls);
            }
            self.take_notifications();
        }
    }

    #[cold]
    fn answer(&mut self, calls: Calls) {
        self.woken |= calls.woken();
        if calls.jobs() {
            self.take_jobs();
        }
    }

    /// Takes what has come back from the pool.
    fn take_jobs(&mut self) {
        while let Some((token, mut job)) = self.done.take_returned() {
            let Some(record) = self.done.records.undecided(token) else { continue };
            job.is_canceled = matches!(record.phase, Phase::Canceling | Phase::Discarding);
            match record.place {
                Place::Pool => self.done.push(token, job.outcome),
                _ => {
                    let slot = record.slot;
                    self.backend.returned(token, slot, job, &mut self.done);
                }
            }
        }
    }

    /// Whether there is something to do before anything else could complete.
    pub(super) fn has_local_work(&self) -> bool {
        !self.done.is_empty()
            || !self.starting.is_empty()
            || !self.batch.is_empty()
            || !self.closing.is_empty()
    }

    /// `until`, or the first timer's deadline where that is earlier.
    pub(super) fn earliest(&mut self, until: Until) -> Until {
        let Some(deadline) = self.timers.next_deadline().map(Time::from_nanos) else { return until };
        match until {
            Until::Now => Until::Now,
            Until::Deadline(end) => Until::Deadline(end.min(deadline)),
            Until::Forever if deadline == Time::NEVER => Until::Forever,
            Until::Forever => Until::Deadline(deadline),
        }
    }

    /// Whether nobody outside the loop is left who could end a wait that has no deadline, so that all timers are those
    /// which never expire: nothing that is under way is the system's, or the system is a simulation, which has no outside.
    /// What waits for a buffer of a pool may always get one, since another thread may hold it.
    #[inline(always)]
    fn nobody_can_end_it(&mut self) -> bool {
        let local = self.notifier_waits as usize + self.timers.len();
        let is_local = self.done.records.active() as usize == local;
        (is_local || self.delays_forever || self.has_no_outside) && self.really_nobody_can_end_it(is_local)
    }

    #[cold]
    fn really_nobody_can_end_it(&mut self, is_local: bool) -> bool {
        let waits = self.notifier_waits;
        // Those that wait behind what is delayed for ever are not counted by that.
        let is_local =
            is_local || (self.delays_forever && self.timers.len() > 0 && self.nothing_is_outside());
        let is_closed = is_local || self.has_no_outside;
        is_closed && !self.backend.awaits_buffers() && !self.inbox.can_be_woken(waits as usize)
    }

    /// Whether nothing that is under way is the system's.
    #[cold]
    fn nothing_is_outside(&mut self) -> bool {
        let records = &mut self.done.records;
        records.indices().all(|index| {
            let completion = records.get(index);
            let is_local = match completion.place {
                Place::Backend | Place::BackendOnTwo | Place::Pool | Place::ClosingOnPool => false,
                Place::Starting
                | Place::StartingHere
                | Place::Waiting
                | Place::Delayed
                | Place::HeldBack
                | Place::Notifier
                | Place::Timers
                | Place::Bounded
                | Place::Ticket
                | Place::Closer
                | Place::Nothing => true,
            };
            is_local || completion.phase == Phase::Dead
        })
    }

    /// Takes what is ready; if nothing is, nothing ever will be.
    #[cold]
    fn last_look(&mut self) -> Result<(), Error> {
        self.ask_the_backend(Until::Now)?;
        let is_over = self.done.is_empty() && !self.backend.awaits_buffers();
        if is_over { Err(Error::Deadlock) } else { Ok(()) }
    }

    /// Whether the callback of the completion at `index` has deleted it.
    pub(crate) fn is_leaving(&self, index: u32) -> bool {
        self.done.records.phase(index) == Phase::Leaving
    }

    /// Whether the callback of the completion at `index` runs for the last time, unless it re-arms.
    pub(crate) fn is_running(&self, index: u32) -> bool {
        matches!(self.done.records.phase(index), Phase::Running | Phase::Leaving)
    }
}
