//! Arming a completion again, from its own callback.

use super::Driver;
use crate::backend::Backend;
use crate::operation::{Direction, Kind, Submission, Target};
use crate::outcome::Outcome;
use crate::records::{Bound, Link, Place, Veto};
use crate::state::{Call, Effect, Phase, step};
use crate::{Error, Handle, Offload, Time};

impl<B: Backend> Driver<B> {
    /// Arms the completion at `index` again, from its own callback. False, and its place is free, if that callback
    /// deleted it.
    #[inline]
    pub(crate) fn rearm<O: Submission>(&mut self, index: u32, operation: O) -> bool {
        let completion = self.done.records.get(index);
        let (phase, effect) = step(completion.phase, Call::Rearm);
        completion.phase = phase;
        if effect != Effect::Queue {
            self.done.records.free(index);
            return false;
        }
        let veto = std::mem::replace(&mut completion.veto, Veto::None);
        if veto != Veto::None {
            self.arm_idle(index, O::KIND, operation.undecided());
            self.fail(index, Error::Canceled);
        } else {
            self.enqueue(index, operation);
        }
        true
    }

    /// Arms the completion at `index` again, not before `due`. It keeps its place in its handle's queue meanwhile; a handle
    /// that it closes stays open.
    pub(crate) fn rearm_at<O: Submission>(&mut self, index: u32, operation: O, due: Time) -> bool {
        let completion = self.done.records.get(index);
        if completion.phase == Phase::Running && completion.veto == Veto::None {
            let target = operation.target();
            let objection = operation.objection().or_else(|| self.objection(target));
            if let Some(error) = objection.or_else(|| self.objection_to_second(operation.second())) {
                self.hold_back(index, (O::KIND, operation.undecided()), error, due);
                return true;
            }
            if let Target::Close(handle) = target {
                let offload = operation.offload().unwrap_or(self.offload);
                self.done.records.get(index).set_on_pool(offload == Offload::Always);
                self.delay_close(index, (O::KIND, handle, operation.undecided()), due);
                return true;
            }
        }
        let queued = self.starting.len();
        if !self.rearm(index, operation) {
            return false;
        }
        let completion = self.done.records.get(index);
        // Anywhere else it has ended already.
        let waits = matches!(
            completion.place,
            Place::Starting | Place::StartingHere | Place::Waiting | Place::Bounded
        );
        if completion.phase == Phase::Adding && waits {
            completion.place = Place::Delayed;
            // What was put there is its own.
            self.starting.truncate(queued);
            self.insert_delay(index, due);
        }
        true
    }

    /// Begins an arming of the completion at `index` that nobody is to start.
    pub(super) fn arm_idle(&mut self, index: u32, kind: Kind, outcome: Outcome) {
        self.done.records.get(index).arm(kind, Direction::Read, Link::None);
        if let Some(record) = self.done.records.operation(index) {
            record.put(outcome);
        }
    }

    fn insert_delay(&mut self, index: u32, due: Time) {
        self.delays_forever |= due == Time::NEVER;
        self.arm_timer(index, due.as_nanos());
    }

    /// Why what is to be armed now would fail at once.
    fn objection(&mut self, target: Target) -> Option<Error> {
        if self.done.records.active() > self.room {
            return Some(Error::Full);
        }
        match target {
            Target::Stream(handle, _) | Target::Unordered(handle) | Target::Close(handle)
                if self.done.handles.get(handle).is_none() =>
            {
                Some(Error::StaleHandle)
            }
            _ => None,
        }
    }

    /// The same of the second handle.
    fn objection_to_second(&mut self, second: Option<Handle>) -> Option<Error> {
        let is_stale = second.is_some_and(|second| self.done.handles.get(second).is_none());
        is_stale.then_some(Error::StaleHandle)
    }

    /// Arms the completion at `index` again with what fails with `error`, which it is not told before `due`: a delay
    /// that failures got round would keep no program from burning a core (contract E3).
    #[cold]
    fn hold_back(&mut self, index: u32, (kind, mut outcome): (Kind, Outcome), error: Error, due: Time) {
        outcome.set_error(error);
        self.arm_idle(index, kind, outcome);
        let is_refused = error == Error::Full;
        self.room += u32::from(is_refused);
        let completion = self.done.records.get(index);
        (completion.place, completion.is_refused) = (Place::HeldBack, is_refused);
        // Of a timer, which has no parts, this is all that is kept of it.
        completion.end = error.into();
        self.insert_delay(index, due);
    }

    /// Arms the completion at `index` again with a close, or a detach, that begins at `due`.
    #[cold]
    fn delay_close(&mut self, index: u32, (kind, handle, outcome): (Kind, Handle, Outcome), due: Time) {
        self.arm_idle(index, kind, outcome);
        let completion = self.done.records.get(index);
        (completion.place, completion.slot) = (Place::Delayed, handle.slot());
        self.insert_delay(index, due);
    }

    /// The delay of a rearm is over: it is started by the next turn, unless others of its handle go before it.
    pub(super) fn delay_over(&mut self, index: u32) {
        let completion = self.done.records.get(index);
        if matches!(completion.kind, Kind::Close | Kind::Detach) {
            return self.begin_delayed_close(index);
        }
        if completion.is_behind() {
            completion.place = Place::Waiting;
            if completion.bound != Bound::None {
                self.count_from_next_turn(index);
            }
            return;
        }
        self.start_next_turn(index);
    }

    fn begin_delayed_close(&mut self, index: u32) {
        let token = self.done.records.token(index);
        let handle = match self.done.undecided(token) {
            Some(Outcome::Close(closed)) => closed.handle,
            Some(Outcome::Detach(detached)) => detached.handle,
            _ => return,
        };
        self.enqueue_close(index, handle);
    }
}
