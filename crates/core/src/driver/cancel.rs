//! Cancel, delete, and what they need to know of who has the operation.

use super::Driver;
use crate::Error;
use crate::backend::Backend;
use crate::handle::Key;
use crate::handles::NONE;
use crate::operation::Timer;
use crate::outcome::Outcome;
use crate::records::{End, Place, TIMER, Veto};
use crate::state::{Call, Effect, Phase, step};
use crate::trace::trace;

/// The answer to a cancel (contract X1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cancel {
    /// It was asked to end, and may still end with its real result.
    Requested,
    /// The key is stale, or of another loop.
    NotFound,
    /// Its outcome is queued or being delivered.
    TooLate,
}

impl<B: Backend> Driver<B> {
    /// Asks that `key`'s completion ends. It ends once: with its real result, or with [`Error::Canceled`].
    pub fn cancel(&mut self, key: Key) -> Cancel {
        let answer = match self.done.records.lookup(key) {
            Some(index) => self.cancel_at(index),
            None => Cancel::NotFound,
        };
        trace!(?key, ?answer, "cancelled");
        answer
    }

    pub(crate) fn cancel_at(&mut self, index: u32) -> Cancel {
        let completion = self.done.records.get(index);
        let closes = matches!(completion.place, Place::Closer | Place::ClosingOnPool);
        if closes && matches!(completion.phase, Phase::Adding | Phase::Active) {
            // The handle is stale already: what has begun to close cannot stay open.
            return Cancel::TooLate;
        }
        let (phase, effect) = step(completion.phase, Call::Cancel);
        completion.phase = phase;
        match effect {
            Effect::TakeBack => {
                self.withdraw(index);
                Cancel::Requested
            }
            Effect::Ask => self.ask_for_the_end(index),
            Effect::None => Cancel::Requested,
            _ => Cancel::TooLate,
        }
    }

    /// Ends an operation that was not started as cancelled.
    fn withdraw(&mut self, index: u32) {
        self.decide_canceled(index);
        self.unlink(index);
        self.leave_second(index);
    }

    /// Queues an operation that was not started, whose phase says so already, as cancelled. Its entry in the list of what
    /// is to be started means nothing from now on.
    pub(super) fn decide_canceled(&mut self, index: u32) {
        self.forget_delay(index);
        if let Some(timer) = self.done.records.timer(index) {
            timer.end = End::Canceled;
            return self.done.queue.push(index);
        }
        let token = self.done.records.token(index);
        if let Some(outcome) = self.done.undecided(token) {
            outcome.set_error(Error::Canceled);
        }
        self.done.decided(token);
    }

    pub(super) fn forget_delay(&mut self, index: u32) {
        let completion = self.done.records.get(index);
        if matches!(completion.place, Place::Delayed | Place::HeldBack) {
            self.disarm_timer(index);
        }
        self.done.records.get(index).place = Place::Nothing;
    }

    /// Asks whoever has the operation to end it.
    fn ask_for_the_end(&mut self, index: u32) -> Cancel {
        let completion = self.done.records.get(index);
        let is_discarding = completion.phase == Phase::Discarding;
        let (place, slot) = (completion.place, completion.slot);
        let token = self.done.records.token(index);
        match place {
            Place::Backend | Place::BackendOnTwo => {
                let held = match self.done.cancel_job(token) {
                    Some(held) => held,
                    None => self.backend.cancel(token, slot, &mut self.done),
                };
                if !held {
                    return Cancel::TooLate;
                }
                if !is_discarding {
                    self.held(index);
                }
            }
            Place::Pool => {
                if self.done.cancel_job(token) != Some(true) {
                    return Cancel::TooLate;
                }
                if !is_discarding {
                    self.held(index);
                }
            }
            Place::Timers | Place::Bounded => {
                self.disarm_timer(index);
                self.held_by_core(index);
                self.end_timer(index, End::Canceled);
            }
            Place::Notifier => {
                self.notifier_waits -= 1;
                if let Some(Outcome::NotifierWait(wait)) = self.done.undecided(token) {
                    self.inbox.unregister(&wait.notifier);
                }
                self.held_by_core(index);
                self.fail(index, Error::Canceled);
            }
            Place::Closer
            | Place::ClosingOnPool
            | Place::Ticket
            | Place::Nothing
            | Place::Starting
            | Place::StartingHere
            | Place::Waiting
            | Place::Delayed
            | Place::HeldBack => {}
        }
        Cancel::Requested
    }

    fn held(&mut self, index: u32) {
        let completion = self.done.records.get(index);
        (completion.phase, _) = step(completion.phase, Call::Held);
    }

    fn held_by_core(&mut self, index: u32) {
        if self.done.records.get(index).phase == Phase::Active {
            self.held(index);
        }
    }

    /// Cancels everything, background too. What a running callback, or one whose outcome is queued already or comes with
    /// its real result all the same, re-arms ends as cancelled once (contract X3, X6).
    pub fn cancel_all(&mut self) {
        // Those behind others first, by marking them: they end in their order, after the one in front.
        for index in self.done.records.indices() {
            let completion = self.done.records.get(index);
            completion.veto = Veto::None;
            if completion.place == Place::Ticket {
                // It goes with what it is for.
                continue;
            }
            if completion.phase == Phase::Adding && completion.is_behind() {
                completion.veto = Veto::UnlessCanceled;
                self.held(index);
            }
        }
        for index in self.done.records.indices() {
            let phase = self.done.records.phase(index);
            if phase == Phase::Dead || phase == Phase::Discarding {
                continue;
            }
            if self.done.records.get(index).place == Place::Ticket {
                continue;
            }
            if phase == Phase::Withdrawn && self.done.records.get(index).veto == Veto::UnlessCanceled {
                // Ended by this, when the one in front was.
                continue;
            }
            let was_queued = phase == Phase::Canceling && self.is_queued(index);
            let too_late = self.cancel_at(index) == Cancel::TooLate;
            let veto = if was_queued || too_late { Veto::Rearm } else { Veto::UnlessCanceled };
            self.done.records.get(index).veto = veto;
        }
    }

    /// Whether the outcome of an operation is queued.
    fn is_queued(&mut self, index: u32) -> bool {
        !self.done.records.get(index).is_undecided()
    }

    /// Ends `key`'s completion without delivering anything more, an outcome that is queued already included. What it
    /// took is dropped once the system is done with it, a connection that it brings is closed (contract C5).
    ///
    /// # Errors
    /// [`Error::NotFound`] for a stale key.
    pub fn delete(&mut self, key: Key) -> Result<(), Error> {
        self.delete_now(key).map(drop)
    }

    /// Deletes, and tells whether that has ended it at once.
    pub(crate) fn delete_now(&mut self, key: Key) -> Result<Option<Option<Outcome>>, Error> {
        let index = self.done.records.lookup(key).ok_or(Error::NotFound)?;
        Ok(self.delete_at(index))
    }

    /// Deletes the completion at `index`, and tells whether that has ended it at once.
    fn delete_at(&mut self, index: u32) -> Option<Option<Outcome>> {
        let completion = self.done.records.get(index);
        if completion.place == Place::Closer && completion.phase == Phase::Adding {
            completion.phase = Phase::Discarding;
            return None;
        }
        let (phase, effect) = step(completion.phase, Call::Delete);
        if effect == Effect::TakeBack {
            self.forget_delay(index);
            self.forget_refusal(index);
            self.forget_deadline(index);
            let taken_back = self.done.records.take_back(index);
            self.unlink(index);
            self.leave_second(index);
            self.done.records.free(index);
            return Some(taken_back);
        }
        completion.phase = phase;
        if effect == Effect::Ask {
            self.ask_for_the_end(index);
        }
        None
    }

    /// The callback of the completion at `index` was left by a panic: it is dead, or will end unheard.
    pub(crate) fn abandon(&mut self, index: u32) {
        self.take_running_reset();
        if self.is_running(index) {
            self.done.records.free(index);
        } else {
            self.delete_at(index);
        }
    }

    /// Arms a timer again with another deadline, in whatever state it is: queued, running, or in its own callback, where
    /// it takes the place of disarming (contract T3).
    ///
    /// # Errors
    /// [`Error::NotFound`] for a stale key, [`Error::InvalidInput`] if it is no timer, [`Error::Busy`] if its outcome is
    /// queued already, if it was cancelled, or in its own callback where that cannot be called again.
    pub fn timer_reset(&mut self, key: Key, timer: Timer) -> Result<(), Error> {
        let index = self.done.records.lookup(key).ok_or(Error::NotFound)?;
        if index & TIMER == 0 {
            return Err(Error::InvalidInput);
        }
        let backend = &self.backend;
        let deadline = super::deadline(timer.due, || backend.now());
        let completion = self.done.records.get(index);
        match (completion.phase, completion.place) {
            (Phase::Running, _) if self.resettable == index => {
                self.running_reset = Some(Timer::at(deadline));
            }
            (Phase::Adding, place @ (Place::Starting | Place::Delayed | Place::Bounded)) => {
                completion.set_due(timer.due);
                if place == Place::Delayed {
                    self.disarm_timer(index);
                    self.start_next_turn(index);
                }
            }
            (Phase::Active, Place::Timers) if self.disarm_timer(index) => {
                self.arm_timer(index, deadline.as_nanos());
            }
            (Phase::Active, Place::Bounded) if self.disarm_timer(index) => {
                self.reset_bounded(index, deadline)
            }
            _ => return Err(Error::Busy),
        }
        Ok(())
    }

    /// Lets the callback of the timer at `index`, which runs next, reset it.
    pub(crate) fn allow_running_reset(&mut self, index: u32) {
        self.resettable = index;
    }

    /// The reset that this callback has asked for. It is over, so what it does not use is nobody's.
    pub(crate) fn take_running_reset(&mut self) -> Option<Timer> {
        self.resettable = NONE;
        self.running_reset.take()
    }
}
