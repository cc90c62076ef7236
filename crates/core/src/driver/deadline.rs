//! Deadlines of operations (contract X4).
//!
//! A deadline is a timer of the same index as the completion: what waits in a queue, with the backend or for a notifier needs
//! none of its own, and a timer takes the earlier of its two. What has no deadline pays nothing: one that has is told by the owner
//! that is marked in its cell, which no table knows, or by its place among the timers.

use std::time::Duration;

use super::completion::{Bound, Place, TIMER};
use super::turn::expired;
use super::{Cancel, Driver, Next, deadline};
use crate::backend::{Backend, Token};
use crate::cells::DEADLINE;
use crate::handles::NONE;
use crate::operation::{Due, Kind};
use crate::state::{Call, Effect, Phase, step};
use crate::{Error, Time};

impl<B: Backend> Driver<B> {
    /// Gives the completion at `index`, which was just queued, a deadline. What has ended already needs none, and what closes
    /// cannot be undone.
    #[cold]
    pub(super) fn bound(&mut self, index: u32, deadline: Result<Time, Duration>) {
        let completion = self.completions.get(index);
        let is_queued = completion.phase == Phase::Adding && completion.place != Place::Closer;
        let nanoseconds = match deadline {
            Ok(time) => time.as_nanos(),
            Err(duration) => (Time::ZERO + duration).as_nanos(),
        };
        if !is_queued || nanoseconds == Time::NEVER.as_nanos() {
            return;
        }
        completion.bound = if deadline.is_ok() { Bound::At } else { Bound::After };
        let (cell, place, kind) = (completion.cell, completion.place, completion.kind);
        if place == Place::Starting && kind == Kind::Timer {
            completion.place = Place::Bounded;
        }
        if index as usize >= self.deadlines.len() {
            self.deadlines.resize(index as usize + 1, 0);
        }
        self.deadlines[index as usize] = nanoseconds;
        if cell != NONE {
            let token = self.done.cells.token(cell);
            if let Some(cell) = self.done.cells.get(token) {
                cell.owner = index | DEADLINE;
            }
        }
        if place == Place::Waiting {
            self.count_from_next_turn(index);
        }
    }

    /// Has the deadline of what waits behind others counted from the next turn on.
    pub(super) fn count_from_next_turn(&mut self, index: u32) {
        let token = self.completions.timer_token(index);
        self.starting.push(token);
    }

    /// Starts an operation with a deadline, unless that has passed.
    #[cold]
    pub(super) fn start_marked(&mut self, token: Token, owner: u32, clock: &mut Option<Time>) {
        let index = owner & !DEADLINE;
        // Unless it was taken back.
        if self.completions.phase(index) == Phase::Adding && self.arm_deadline(index, clock) {
            self.hand_over(token, index);
        }
    }

    /// Something else than a timer that is to be armed: a timer with a deadline, or the deadline of what waits behind others.
    /// Nothing, if it was taken back.
    #[cold]
    pub(super) fn start_deadline(&mut self, token: Token, clock: &mut Option<Time>) {
        let index = token.index & !TIMER;
        if self.completions.timer_token(index) != token {
            return;
        }
        let completion = self.completions.get(index);
        if completion.phase != Phase::Adding {
            return;
        }
        match completion.place {
            Place::Bounded => self.arm_bounded(index, clock),
            // Its turn may have come meanwhile.
            Place::Waiting | Place::Starting => {
                let cell = completion.cell;
                if self.is_marked(cell) {
                    self.arm_deadline(index, clock);
                }
            }
            _ => {}
        }
    }

    /// Whether the operation in `cell` has a deadline.
    fn is_marked(&mut self, cell: u32) -> bool {
        let token = self.done.cells.token(cell);
        self.done.cells.get(token).is_some_and(|cell| cell.owner & DEADLINE != 0)
    }

    /// Arms a timer with a deadline: until the earlier of the two.
    fn arm_bounded(&mut self, index: u32, clock: &mut Option<Time>) {
        let end = self.deadline_of(index, clock);
        let backend = &self.backend;
        let completion = self.completions.get(index);
        let due = deadline(completion.due(), || *clock.get_or_insert_with(|| backend.now()));
        completion.set_due(Due::At(due));
        completion.phase = Phase::Active;
        self.timers.insert(index, end.min(due).as_nanos());
    }

    /// Arms the deadline of an operation, unless it is armed. False if it has passed, and the operation ends.
    fn arm_deadline(&mut self, index: u32, clock: &mut Option<Time>) -> bool {
        let is_armed = self.completions.get(index).bound == Bound::Armed;
        let end = self.deadline_of(index, clock);
        if end == Time::NEVER {
            // As far away as that it is none, and none is not counted among the timers.
            self.completions.get(index).bound = Bound::None;
            return true;
        }
        let backend = &self.backend;
        if end <= *clock.get_or_insert_with(|| backend.now()) {
            if is_armed {
                self.timers.remove(index);
            }
            self.time_out(index);
            return false;
        }
        if !is_armed {
            self.timers.insert(index, end.as_nanos());
        }
        true
    }

    /// The deadline as a point in time, and noted as one that is armed.
    fn deadline_of(&mut self, index: u32, clock: &mut Option<Time>) -> Time {
        let completion = self.completions.get(index);
        let is_relative = completion.bound == Bound::After;
        completion.bound = Bound::Armed;
        let nanoseconds = &mut self.deadlines[index as usize];
        if is_relative {
            let backend = &self.backend;
            let now = *clock.get_or_insert_with(|| backend.now());
            *nanoseconds = (now + Duration::from_nanos(*nanoseconds)).as_nanos();
        }
        Time::from_nanos(*nanoseconds)
    }

    /// A timer of the completion at `index` has expired that is not just what it waits for.
    #[cold]
    pub(super) fn expire(&mut self, index: u32) {
        let completion = self.completions.get(index);
        match completion.place {
            Place::Delayed => self.delay_over(index),
            Place::HeldBack => self.end(index),
            Place::Bounded => {
                let Due::At(due) = completion.due() else { unreachable!("it was armed") };
                let is_late = self.deadlines[index as usize] < due.as_nanos();
                self.end_with(index, expired(if is_late { Err(Error::TimedOut) } else { Ok(()) }));
            }
            _ => self.time_out(index),
        }
    }

    /// The deadline of the completion at `index` has passed: it is asked to end, unless it has ended or was asked before.
    fn time_out(&mut self, index: u32) {
        let completion = self.completions.get(index);
        completion.bound = Bound::None;
        let goes_on = matches!(completion.phase, Phase::Adding | Phase::Active);
        if goes_on && self.cancel_at(index) == Cancel::Requested {
            self.completions.get(index).bound = Bound::Passed;
        }
    }

    /// The outcome of an operation with a deadline, which is over.
    #[cold]
    pub(super) fn next_marked(&mut self, token: Token, owner: u32) -> Next {
        let index = owner & !DEADLINE;
        let Some(completion) = self.completions.owner(index) else { return Next::Nothing };
        let bound = std::mem::replace(&mut completion.bound, Bound::None);
        if bound == Bound::Armed {
            self.timers.remove(index);
        }
        if let Some(cell) = self.done.cells.get(token) {
            cell.owner = index;
            if bound == Bound::Passed
                && let Some(outcome) = cell.outcome_mut()
                && outcome.error() == Some(Error::Canceled)
            {
                outcome.set_error(Error::TimedOut);
            }
        }
        self.next_rare(token, index)
    }

    /// The deadline of what is taken back and forgotten, in `cell`.
    pub(super) fn forget_deadline(&mut self, index: u32, cell: u32) {
        if self.is_marked(cell) && self.completions.get(index).bound == Bound::Armed {
            self.timers.remove(index);
        }
    }

    /// Arms the timer with a deadline at `index`, which is armed, until `due`, or until that.
    pub(super) fn reset_bounded(&mut self, index: u32, due: Time) {
        self.completions.get(index).set_due(Due::At(due));
        self.timers.insert(index, due.as_nanos().min(self.deadlines[index as usize]));
    }

    /// Gives the started operation in the cell of `token` to whom it belongs.
    #[inline(always)]
    pub(super) fn hand_over(&mut self, token: Token, index: u32) {
        let completion = self.completions.get(index);
        debug_assert_eq!(step(completion.phase, Call::Start), (Phase::Active, Effect::HandOver));
        completion.phase = Phase::Active;
        if matches!(completion.kind, Kind::Nop | Kind::NotifierWait | Kind::RecvMany | Kind::Work) {
            self.start_local(token, index);
            return;
        }
        completion.place = Place::Backend;
        let slot = completion.slot;
        self.backend.start(token, slot, &mut self.done);
    }
}
