//! Deadlines of operations (contract X4).
//!
//! A deadline is a timer of the same index as the completion: what waits in a queue, with the backend or for a notifier needs
//! none of its own, and a timer takes the earlier of its two.

use std::time::Duration;

use super::{Cancel, Driver, deadline};
use crate::backend::{Backend, Token};
use crate::operation::Due;
use crate::records::{ASIDE, Bound, End, Place, TIMER};
use crate::state::{Call, Effect, Phase, step};
use crate::{Error, Time};

impl<B: Backend> Driver<B> {
    /// Gives the completion at `index`, which was just queued, a deadline. What has ended already needs none, and what closes
    /// cannot be undone.
    #[cold]
    pub(super) fn bound(&mut self, index: u32, deadline: Result<Time, Duration>) {
        let completion = self.done.records.get(index);
        let is_queued = completion.phase == Phase::Adding && completion.place != Place::Closer;
        let nanoseconds = match deadline {
            Ok(time) => time.as_nanos(),
            Err(duration) => (Time::ZERO + duration).as_nanos(),
        };
        if !is_queued || nanoseconds == Time::NEVER.as_nanos() {
            return;
        }
        completion.bound = if deadline.is_ok() { Bound::At } else { Bound::After };
        let place = completion.place;
        if place == Place::Starting && index & TIMER != 0 {
            completion.place = Place::Bounded;
        }
        *self.done.records.deadline(index) = nanoseconds;
        if place == Place::Waiting {
            self.count_from_next_turn(index);
        }
    }

    /// Has the deadline of what waits behind others counted from the next turn on.
    pub(super) fn count_from_next_turn(&mut self, index: u32) {
        let Token { index, arming } = self.done.records.token(index);
        self.starting.push(Token { index: index | ASIDE, arming });
    }

    /// Starts an operation that has a deadline, or is core's own, unless the deadline has passed, or it is not to be started any
    /// more.
    #[inline(never)]
    pub(super) fn start_rare(&mut self, token: Token, clock: &mut Option<Time>) {
        let index = token.index;
        let head = self.done.records.get(index);
        if head.phase != Phase::Adding || head.bound != Bound::None && !self.arm_deadline(index, clock) {
            return;
        }
        let head = self.done.records.get(index);
        debug_assert_eq!(step(head.phase, Call::Start), (Phase::Active, Effect::HandOver));
        head.phase = Phase::Active;
        if head.place == Place::StartingHere {
            return self.start_local(token);
        }
        head.place = Place::Backend;
        let slot = head.slot;
        self.backend.start(token, slot, &mut self.done);
    }

    /// Arms the deadline of what waits behind others, whose turn may have come meanwhile, unless it was taken back.
    #[cold]
    pub(super) fn start_deadline(&mut self, token: Token, clock: &mut Option<Time>) {
        let index = token.index;
        let waits = self.done.records.undecided(token).is_some_and(|record| {
            let waits = matches!(record.place, Place::Waiting | Place::Starting | Place::StartingHere);
            waits && record.phase == Phase::Adding && record.bound != Bound::None
        });
        if waits {
            self.arm_deadline(index, clock);
        }
    }

    /// Arms a timer with a deadline: until the earlier of the two.
    pub(super) fn arm_bounded(&mut self, index: u32, clock: &mut Option<Time>) {
        let end = self.deadline_of(index, clock);
        let backend = &self.backend;
        let completion = self.done.records.get(index);
        let due = deadline(completion.due(), || *clock.get_or_insert_with(|| backend.now()));
        completion.set_due(Due::At(due));
        completion.phase = Phase::Active;
        self.arm_timer(index, end.min(due).as_nanos());
    }

    /// Arms the deadline of an operation, unless it is armed. False if it has passed, and the operation ends.
    fn arm_deadline(&mut self, index: u32, clock: &mut Option<Time>) -> bool {
        let is_armed = self.done.records.get(index).bound == Bound::Armed;
        let end = self.deadline_of(index, clock);
        if end == Time::NEVER {
            // As far away as that it is none, and none is not counted among the timers.
            self.done.records.get(index).bound = Bound::None;
            return true;
        }
        let backend = &self.backend;
        if end <= *clock.get_or_insert_with(|| backend.now()) {
            if is_armed {
                self.disarm_timer(index);
            }
            self.time_out(index);
            return false;
        }
        if !is_armed {
            self.arm_timer(index, end.as_nanos());
        }
        true
    }

    /// The deadline as a point in time, and noted as one that is armed.
    fn deadline_of(&mut self, index: u32, clock: &mut Option<Time>) -> Time {
        let completion = self.done.records.get(index);
        let is_relative = completion.bound == Bound::After;
        completion.bound = Bound::Armed;
        let nanoseconds = self.done.records.deadline(index);
        if is_relative {
            let backend = &self.backend;
            let now = *clock.get_or_insert_with(|| backend.now());
            *nanoseconds = (now + Duration::from_nanos(*nanoseconds)).as_nanos();
        }
        Time::from_nanos(*nanoseconds)
    }

    /// The timer of the completion at `index` has expired, which is the first that is not just what its completion waits for:
    /// ends or goes on with all that is due by `now`. Before a deadline takes effect, what is there by now is taken, so that a
    /// result in time wins however late the loop looks.
    #[cold]
    pub(super) fn expire_others(&mut self, index: u32, now: u64) -> Result<(), Error> {
        let guard = Overdue { driver: self };
        let mut expired = Some(index);
        while let Some(index) = expired {
            if guard.driver.done.records.get(index).place == Place::Timers {
                guard.driver.end_timer(index, End::Expired);
            } else if guard.driver.is_overdue(index) {
                guard.driver.overdue.push(index);
            }
            expired = guard.driver.timers.pop_expired(now).map(|timer| timer.rotate_right(1));
        }
        if guard.driver.overdue.is_empty() {
            return Ok(());
        }
        // In order from the back, and until it has taken effect, each can be put back.
        guard.driver.overdue.reverse();
        let looked = guard.driver.look_once();
        while let Some(&index) = guard.driver.overdue.last() {
            guard.driver.time_out(index);
            guard.driver.overdue.pop();
        }
        looked
    }

    /// A timer of the completion at `index` has expired that is not just what it waits for. Whether it is the deadline of what
    /// goes on, which has yet to take effect.
    fn is_overdue(&mut self, index: u32) -> bool {
        let completion = self.done.records.get(index);
        match completion.place {
            Place::Delayed => self.delay_over(index),
            Place::HeldBack if index & TIMER != 0 => {
                let end = completion.end;
                self.end_timer(index, end);
            }
            Place::HeldBack => self.end(index),
            Place::Bounded => {
                let Due::At(due) = completion.due() else { unreachable!("it was armed") };
                let is_late = *self.done.records.deadline(index) < due.as_nanos();
                self.end_timer(index, if is_late { End::TimedOut } else { End::Expired });
            }
            _ => {
                let goes_on = matches!(completion.phase, Phase::Adding | Phase::Active);
                if goes_on && completion.is_undecided() {
                    return true;
                }
                completion.bound = Bound::None;
            }
        }
        false
    }

    /// The deadline of the completion at `index` has passed: it is asked to end, unless it has ended or was asked before.
    fn time_out(&mut self, index: u32) {
        let completion = self.done.records.get(index);
        completion.bound = Bound::None;
        let goes_on = matches!(completion.phase, Phase::Adding | Phase::Active);
        if goes_on && self.cancel_at(index) == Cancel::Requested {
            self.done.records.get(index).bound = Bound::Passed;
        }
    }

    /// An operation with a deadline is over: what has ended in time needs it no more.
    #[cold]
    pub(super) fn settle_deadline(&mut self, index: u32) {
        let Some(record) = self.done.records.operation(index) else { return };
        match std::mem::replace(&mut record.bound, Bound::None) {
            Bound::Passed => {
                if let Some(outcome) = &mut record.outcome
                    && outcome.error() == Some(Error::Canceled)
                {
                    outcome.set_error(Error::TimedOut);
                }
            }
            Bound::Armed => {
                self.disarm_timer(index);
            }
            Bound::None | Bound::After | Bound::At => {}
        }
    }

    /// The deadline of what is taken back and forgotten.
    pub(super) fn forget_deadline(&mut self, index: u32) {
        // That of a timer which is not armed is not either.
        if index & TIMER == 0 && self.done.records.get(index).bound == Bound::Armed {
            self.disarm_timer(index);
        }
    }

    /// Arms the timer with a deadline at `index`, which is armed, until `due`, or until that.
    pub(super) fn reset_bounded(&mut self, index: u32, due: Time) {
        self.done.records.get(index).set_due(Due::At(due));
        let end = *self.done.records.deadline(index);
        self.arm_timer(index, due.as_nanos().min(end));
    }
}

/// Deadlines that have passed and not taken effect yet. A backend that panics over them finds them again, in a later turn.
struct Overdue<'a, B: Backend> {
    driver: &'a mut Driver<B>,
}

impl<B: Backend> Drop for Overdue<'_, B> {
    fn drop(&mut self) {
        while let Some(index) = self.driver.overdue.pop() {
            let deadline = *self.driver.done.records.deadline(index);
            self.driver.done.records.get(index).bound = Bound::Armed;
            self.driver.arm_timer(index, deadline);
        }
    }
}
