//! One pass of the loop.

use super::completion::{Place, TIMER};
use super::{Driver, deadline};
use crate::backend::{Backend, Token, Until};
use crate::cells::DEADLINE;
use crate::notifier::{Calls, Registration};
use crate::operation::Due;
use crate::outcome::{Expired, Outcome};
use crate::state::{Call, Effect, Phase, step};
use crate::work::AnyWork;
use crate::{Error, Time};

/// How many turns in a row may leave the system unasked because there is local work to do.
const TURNS_UNPOLLED_MAX: u32 = 64;

impl<B: Backend> Driver<B> {
    /// Makes one turn: starts what was submitted, ends expired timers, takes notifications, waits once, at most until
    /// `until`, and takes what is complete (contract L3). Does not block while outcomes are queued.
    ///
    /// # Errors
    /// [`Error::Deadlock`] where nothing could ever end the wait, [`Error::Backend`] after the backend broke a rule that
    /// no operation's outcome could report, or the system's own, from waiting.
    pub fn turn(&mut self, until: Until) -> Result<(), Error> {
        self.turns += 1;
        self.now = None;
        self.woken = false;
        self.close_idle();
        self.start_submitted();
        self.expire_timers();
        self.take_mail();
        self.wait(until)?;
        if !self.done.strays.is_empty() {
            self.take_strays();
        }
        if std::mem::take(&mut self.fault_unreported) {
            return Err(Error::Backend);
        }
        Ok(())
    }

    fn start_submitted(&mut self) {
        if self.starting.is_empty() {
            return;
        }
        let list = std::mem::take(&mut self.starting);
        let mut rest = Rest { driver: self, list, position: 0 };
        // One reading for all that is armed here, and after all of it was submitted: never early.
        let mut clock = None;
        while let Some(&token) = rest.list.get(rest.position) {
            rest.position += 1;
            rest.driver.start(token, &mut clock);
        }
    }

    #[inline(always)]
    fn start(&mut self, token: Token, clock: &mut Option<Time>) {
        if token.index & TIMER != 0 {
            return self.start_timer(token, clock);
        }
        // What was taken back since has left its cell, or is no longer to be added.
        let Some(cell) = self.done.cells.get(token) else { return };
        let index = cell.owner;
        let Some(completion) = self.completions.owner(index) else {
            return self.start_marked(token, index, clock);
        };
        if completion.phase == Phase::Adding {
            self.hand_over(token, index);
        }
    }

    /// Starts what core does itself, or has to look at first.
    #[inline(never)]
    pub(super) fn start_local(&mut self, token: Token, index: u32) {
        match self.done.undecided(token) {
            Some(Outcome::NotifierWait(_)) => self.start_notifier_wait(token, index),
            Some(Outcome::Nop(done)) => {
                done.result = Ok(());
                self.end(index);
            }
            Some(Outcome::Work(_)) => {
                self.completions.get(index).place = Place::Pool;
                self.done.offload(token, AnyWork::job());
            }
            Some(Outcome::RecvManyEnded(many)) => {
                if !many.pool.is_of(self.completions.tag()) {
                    // Nobody would wake this loop when it waits for a buffer.
                    return self.fail(index, Error::InvalidInput);
                }
                let completion = self.completions.get(index);
                completion.place = Place::Backend;
                let slot = completion.slot;
                self.backend.start(token, slot, &mut self.done);
            }
            _ => unreachable!("these are all that core starts itself"),
        }
    }

    /// Arms a timer, unless it was taken back.
    fn start_timer(&mut self, token: Token, clock: &mut Option<Time>) {
        let Some((index, completion)) = self.completions.timer(token) else {
            return self.start_deadline(token, clock);
        };
        debug_assert_eq!(step(completion.phase, Call::Start), (Phase::Active, Effect::HandOver));
        (completion.phase, completion.place) = (Phase::Active, Place::Timers);
        let backend = &self.backend;
        let deadline = deadline(completion.due(), || *clock.get_or_insert_with(|| backend.now()));
        self.timers.insert(index, deadline.as_nanos());
    }

    fn start_notifier_wait(&mut self, token: Token, index: u32) {
        let Some(Outcome::NotifierWait(wait)) = self.done.undecided(token) else { return };
        let error = match self.inbox.register(&wait.notifier, index) {
            Registration::Waiting => {
                self.completions.get(index).place = Place::Notifier;
                self.notifier_waits += 1;
                return;
            }
            Registration::Busy => Error::Busy,
            Registration::Foreign => Error::InvalidInput,
        };
        self.fail(index, error);
    }

    fn expire_timers(&mut self) {
        if self.timers.len() == 0 {
            return;
        }
        let now = self.update_now().as_nanos();
        while let Some(index) = self.timers.pop_expired(now) {
            if self.completions.get(index).place == Place::Timers {
                self.end_with(index, expired(Ok(())));
            } else {
                self.expire(index);
            }
        }
    }

    /// Only that of a turn; for tests.
    #[cfg(test)]
    pub(super) fn expire_timers_now(&mut self) {
        self.expire_timers();
    }

    fn take_notifications(&mut self) {
        if !self.inbox.has_mail() {
            return;
        }
        let Self { inbox, completions, done, notifier_waits, .. } = self;
        inbox.drain(|index| {
            *notifier_waits -= 1;
            let completion = completions.get(index);
            (completion.phase, _) = step(completion.phase, Call::Queue);
            completion.place = Place::Nothing;
            let token = done.cells.token(completion.cell);
            if let Some(Outcome::NotifierWait(notified)) = done.undecided(token) {
                notified.result = Ok(());
            }
            done.decided(token);
        });
    }

    /// The turn's one wait.
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
        let waited = self.backend.wait(until, &mut self.done);
        let idle = self.backend.now().since(begin);
        if let Some(times) = &mut self.times {
            times.idle += idle;
        }
        waited
    }

    /// Asks the system if that is due, which it is after some turns even if each had something else to do.
    fn do_not_wait(&mut self, until: Until) -> Result<(), Error> {
        if until == Until::Now || self.turns_unpolled >= TURNS_UNPOLLED_MAX {
            self.turns_unpolled = 0;
            return self.backend.wait(Until::Now, &mut self.done);
        }
        self.turns_unpolled += 1;
        self.backend.flush(&mut self.done)
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
        while let Some((token, job)) = self.done.take_returned() {
            let Some(owner) = self.done.cells.get(token).map(|cell| cell.owner) else { continue };
            let completion = self.completions.get(owner & !DEADLINE);
            match completion.place {
                Place::Pool => self.done.push(token, job.outcome),
                _ => self.backend.returned(token, completion.slot, job, &mut self.done),
            }
        }
    }

    /// Whether there is something to do before anything else could complete.
    pub(super) fn has_local_work(&self) -> bool {
        !self.done.is_empty() || !self.starting.is_empty() || !self.closing.is_empty()
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
    fn nobody_can_end_it(&mut self) -> bool {
        let waits = self.notifier_waits;
        let is_local = self.completions.active() as usize == waits as usize + self.timers.len();
        // Those that wait behind what is delayed for ever are not counted by that.
        let is_local =
            is_local || (self.delays_forever && self.timers.len() > 0 && self.nothing_is_outside());
        let is_closed = is_local || self.has_no_outside;
        is_closed && !self.backend.awaits_buffers() && !self.inbox.can_be_woken(waits as usize)
    }

    /// Whether nothing that is under way is the system's.
    #[cold]
    fn nothing_is_outside(&mut self) -> bool {
        (0..self.completions.len()).all(|index| {
            let completion = self.completions.get(index);
            let is_local = match completion.place {
                Place::Backend | Place::Pool => false,
                Place::Starting
                | Place::Waiting
                | Place::Delayed
                | Place::HeldBack
                | Place::Notifier
                | Place::Timers
                | Place::Bounded
                | Place::Closer
                | Place::Nothing => true,
            };
            is_local || completion.phase == Phase::Dead
        })
    }

    /// Takes what is ready; if nothing is, nothing ever will be.
    #[cold]
    fn last_look(&mut self) -> Result<(), Error> {
        self.backend.wait(Until::Now, &mut self.done)?;
        let is_over = self.done.is_empty() && !self.backend.awaits_buffers();
        if is_over { Err(Error::Deadlock) } else { Ok(()) }
    }

    /// Whether the callback of the completion at `index` has deleted it.
    pub(crate) fn is_leaving(&self, index: u32) -> bool {
        self.completions.phase(index) == Phase::Leaving
    }

    /// Whether the callback of the completion at `index` runs for the last time, unless it re-arms.
    pub(crate) fn is_running(&self, index: u32) -> bool {
        matches!(self.completions.phase(index), Phase::Running | Phase::Leaving)
    }
}

/// The list of what a turn starts, of which nothing is lost when a backend panics: the rest goes first in the next turn.
struct Rest<'a, B: Backend> {
    driver: &'a mut Driver<B>,
    list: Vec<Token>,
    /// So many were started.
    position: usize,
}

impl<B: Backend> Rest<'_, B> {
    /// Puts what is left before what was submitted since.
    #[cold]
    fn keep(&mut self) {
        self.list.drain(..self.position);
        self.list.append(&mut self.driver.starting);
        std::mem::swap(&mut self.list, &mut self.driver.starting);
    }
}

impl<B: Backend> Drop for Rest<'_, B> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.position < self.list.len() {
            return self.keep();
        }
        self.list.clear();
        if self.driver.starting.is_empty() {
            // All of it was started, and it is only kept for its memory.
            std::mem::swap(&mut self.list, &mut self.driver.starting);
        }
    }
}

/// The last outcome of a timer that ran.
pub(super) fn expired(result: Result<(), Error>) -> Outcome {
    Outcome::Timer(Expired { due: Due::At(Time::NEVER), result })
}
