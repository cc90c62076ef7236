//! One pass of the loop.

use super::completion::Place;
use super::{Driver, Starting, deadline, expired};
use crate::backend::{Backend, Token, Until};
use crate::notifier::Registration;
use crate::operation::{NotifierWait, Operation, Timer};
use crate::outcome::{NopDone, Notified, Outcome};
use crate::state::{Call, Effect, Phase, step};
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
        self.close_idle();
        self.start_submitted();
        self.expire_timers();
        self.take_mail();
        self.wait(until)?;
        if std::mem::take(&mut self.fault_unreported) {
            return Err(Error::Backend);
        }
        Ok(())
    }

    fn start_submitted(&mut self) {
        if self.starting.is_empty() {
            return;
        }
        std::mem::swap(&mut self.starting, &mut self.started);
        let mut started = std::mem::take(&mut self.started);
        // One reading for all that is armed here, and after all of it was submitted: never early.
        let mut clock = None;
        for Starting { index, operation } in started.drain(..) {
            match operation {
                None => {}
                Some(operation @ (Operation::Nop(_) | Operation::Timer(_) | Operation::NotifierWait(_))) => {
                    self.start_local(index, operation, &mut clock);
                }
                Some(operation) => self.hand_over(index, operation),
            }
        }
        self.started = started;
    }

    #[inline(always)]
    fn hand_over(&mut self, index: u32, operation: Operation) {
        let completion = self.completions.get(index);
        debug_assert_eq!(step(completion.phase, Call::Start), (Phase::Active, Effect::HandOver));
        (completion.phase, completion.place) = (Phase::Active, Place::Backend);
        let token = Token { index, arming: completion.arming };
        self.backend.start(token, completion.slot, operation, &mut self.done);
    }

    /// Starts what core does itself.
    #[inline(never)]
    fn start_local(&mut self, index: u32, operation: Operation, clock: &mut Option<Time>) {
        let completion = self.completions.get(index);
        debug_assert_eq!(step(completion.phase, Call::Start), (Phase::Active, Effect::HandOver));
        completion.phase = Phase::Active;
        match operation {
            Operation::Timer(timer) => self.start_timer(index, timer, clock),
            Operation::NotifierWait(wait) => self.start_notifier_wait(index, wait),
            _ => self.end(index, Outcome::Nop(NopDone { result: Ok(()) })),
        }
    }

    fn start_timer(&mut self, index: u32, timer: Timer, clock: &mut Option<Time>) {
        let backend = &self.backend;
        let deadline = deadline(timer.due, || *clock.get_or_insert_with(|| backend.now()));
        self.completions.get(index).place = Place::Timers;
        self.timers.insert(index, deadline.as_nanos());
    }

    fn start_notifier_wait(&mut self, index: u32, wait: NotifierWait) {
        let NotifierWait { notifier } = wait;
        let error = match self.inbox.register(&notifier, index) {
            Registration::Waiting => {
                let position = self.waiting.insert(Operation::NotifierWait(NotifierWait { notifier })) as u32;
                let completion = self.completions.get(index);
                (completion.place, completion.position) = (Place::Notifier, position);
                self.notifier_waits += 1;
                return;
            }
            Registration::Busy => Error::Busy,
            Registration::Foreign => Error::InvalidInput,
        };
        self.end(index, Outcome::NotifierWait(Notified { notifier, result: Err(error) }));
    }

    fn expire_timers(&mut self) {
        if self.timers.len() == 0 {
            return;
        }
        let now = self.update_now().as_nanos();
        while let Some(index) = self.timers.pop_expired(now) {
            let completion = self.completions.get(index);
            if completion.place == Place::Delayed {
                self.delay_over(index);
            } else {
                self.end(index, expired(Ok(())));
            }
        }
    }

    /// The delay of a rearm is over: it is started by the next turn, unless others of its handle go before it.
    fn delay_over(&mut self, index: u32) {
        let completion = self.completions.get(index);
        if completion.linked && completion.previous != crate::handles::NONE {
            completion.place = Place::Waiting;
            return;
        }
        let operation = self.waiting.remove(completion.position as usize);
        self.start_next_turn(index, operation);
    }

    fn take_notifications(&mut self) {
        if !self.inbox.has_mail() {
            return;
        }
        let Self { inbox, completions, waiting, done, notifier_waits, .. } = self;
        inbox.drain(|index| {
            let completion = completions.get(index);
            let Operation::NotifierWait(wait) = waiting.remove(completion.position as usize) else {
                unreachable!("what waits for a notifier is a NotifierWait")
            };
            *notifier_waits -= 1;
            (completion.phase, _) = step(completion.phase, Call::Queue);
            completion.place = Place::Nobody;
            let token = Token { index, arming: completion.arming };
            done.push(token, Outcome::NotifierWait(Notified { notifier: wait.notifier, result: Ok(()) }));
        });
    }

    /// The turn's one wait.
    fn wait(&mut self, until: Until) -> Result<(), Error> {
        if self.has_local_work() {
            let must_poll = until == Until::Now || self.turns_unpolled >= TURNS_UNPOLLED_MAX;
            if must_poll {
                self.turns_unpolled = 0;
                return self.backend.wait(Until::Now, &mut self.done);
            }
            self.turns_unpolled += 1;
            return self.backend.flush(&mut self.done);
        }
        self.turns_unpolled = 0;
        // A wake-up that was taken with the turn's notifications is one that this wait must not sleep through.
        let until = if self.woken { Until::Now } else { self.earliest(until) };
        if until == Until::Now {
            return self.backend.wait(Until::Now, &mut self.done);
        }
        // Looking for a moment before sleeping saves the notifier a system call, and the loop a sleep.
        if (self.notifier_waits > 0 && self.inbox.look()) || !self.inbox.fall_asleep() {
            self.take_mail();
            return self.backend.flush(&mut self.done);
        }
        if until == Until::Forever && self.nobody_can_end_it() {
            self.inbox.awake();
            return self.last_look();
        }
        let waited = self.backend.wait(until, &mut self.done);
        self.inbox.awake();
        // What was read before the wait is old now.
        self.now = None;
        self.take_mail();
        waited
    }

    /// Takes what other threads have sent.
    fn take_mail(&mut self) {
        self.woken |= self.inbox.take_wake();
        self.take_notifications();
    }

    /// Whether there is something to do before anything else could complete.
    fn has_local_work(&self) -> bool {
        !self.done.is_empty() || !self.starting.is_empty() || !self.closing.is_empty()
    }

    /// `until`, or the first timer's deadline where that is earlier.
    fn earliest(&mut self, until: Until) -> Until {
        let Some(deadline) = self.timers.next_deadline().map(Time::from_nanos) else { return until };
        match until {
            Until::Now => Until::Now,
            Until::Deadline(end) => Until::Deadline(end.min(deadline)),
            Until::Forever if deadline == Time::NEVER => Until::Forever,
            Until::Forever => Until::Deadline(deadline),
        }
    }

    /// Whether nobody outside the loop is left who could end a wait: nothing that is under way is the system's, or the
    /// system is a simulation, which has no outside.
    fn nobody_can_end_it(&self) -> bool {
        let waits = self.notifier_waits;
        let is_closed = self.completions.active() == waits || self.has_no_outside;
        is_closed && !self.inbox.can_be_woken(waits as usize)
    }

    /// Takes what is ready; if nothing is, nothing ever will be.
    #[cold]
    fn last_look(&mut self) -> Result<(), Error> {
        self.backend.wait(Until::Now, &mut self.done)?;
        if self.done.is_empty() { Err(Error::Deadlock) } else { Ok(()) }
    }

    /// Whether the callback of the completion at `index` runs for the last time, unless it re-arms.
    pub(crate) fn is_running(&self, index: u32) -> bool {
        matches!(self.completions.phase(index), Phase::Running | Phase::Leaving)
    }
}
