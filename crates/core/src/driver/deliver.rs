//! Outcomes on their way out: from the queue to whoever waits for them.

use super::{Driver, Next, Taking, is_timer};
use crate::Error;
use crate::backend::{Backend, Token};
use crate::callback::{Callback, Stored};
use crate::handle::Key;
use crate::operation::{Kind, Submission};
use crate::outcome::Outcome;
use crate::records::{ASIDE, Bound, End, Link, Place, TIMER, Veto};
use crate::state::{Call, Effect, Phase, step};
use crate::trace::trace;

impl<B: Backend> Driver<B> {
    /// Takes the next outcome, in the order in which they were completed.
    ///
    /// A multishot operation's outcomes come with the same key, the last being the one that is not
    /// [`is_more`](Outcome::is_more).
    pub fn pop(&mut self) -> Option<(Key, Outcome)> {
        loop {
            let taking = Taking(self);
            let next = taking.0.next();
            std::mem::forget(taking);
            self.done.queue.settle();
            match next {
                Next::Last { index, .. } => {
                    let key = self.done.records.key(index);
                    let outcome = self.take_outcome(index);
                    self.done.records.free(index);
                    return outcome.map(|outcome| self.popped(key, outcome));
                }
                Next::More { index, item, .. } => {
                    let key = self.done.records.key(index);
                    let outcome = self.done.records.remove_item(item);
                    return outcome.map(|outcome| self.popped(key, outcome));
                }
                Next::Discarded { .. } => drop(self.discarded.take()),
                Next::Nothing => {}
                Next::Empty => return None,
            }
        }
    }

    fn popped(&mut self, key: Key, outcome: Outcome) -> (Key, Outcome) {
        self.completions.count(outcome.kind());
        trace!(kind = ?outcome.kind(), ?key, error = ?outcome.error(), "completed");
        (key, outcome)
    }

    /// The last outcome of the completion at `index`.
    fn take_outcome(&mut self, index: u32) -> Option<Outcome> {
        if let Some(timer) = self.done.records.timer(index) {
            return Some(timer.end.outcome());
        }
        let record = self.done.records.operation(index)?;
        let fits = |outcome: &Outcome| outcome.kind() == record.kind && !outcome.is_more();
        if record.outcome.as_ref().is_some_and(fits) {
            return record.outcome.take();
        }
        self.replace_mismatch(index)?.outcome.take()
    }

    /// The last outcome of the completion at `index`, which is one of an `O`, for its callback.
    #[inline(always)]
    pub(crate) fn take_output<O: Submission>(&mut self, index: u32) -> Option<O::Output> {
        self.completions.count(O::KIND);
        if is_timer::<O>() {
            let outcome = self.done.records.timer(index)?.end.outcome();
            trace!(kind = ?O::KIND, key = ?self.done.records.key(index), error = ?outcome.error(), "completed");
            return O::output(outcome);
        }
        // What is not its own is found out before anything is moved, and replaced where it is: so there is one way only out of
        // the record, straight into the output.
        loop {
            let record = self.done.records.operation(index)?;
            if let Some(outcome) = record.outcome.take_if(|outcome| O::is_output(outcome)) {
                trace!(kind = ?O::KIND, key = ?self.done.records.key(index), error = ?outcome.error(), "completed");
                let output = O::output(outcome);
                if output.is_none() {
                    self.exchanged();
                }
                return output;
            }
            if !self.replace_mismatch(index)?.outcome.as_ref().is_some_and(O::is_output) {
                return None;
            }
        }
    }

    /// Takes the next entry of the queue; its outcome remains in its record.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Next {
        let Some(entry) = self.done.queue.take() else { return Next::Empty };
        match self.next_common(entry) {
            Some(callback) => Next::Last { index: entry, callback },
            None => self.next_uncommon(entry),
        }
    }

    /// The callback of what an entry of the queue is about, where that is an operation on a handle whose outcome is to be
    /// delivered, with nothing else to be looked at before: the common case in few instructions.
    #[inline(always)]
    pub(crate) fn next_common(&mut self, entry: u32) -> Option<Callback> {
        let record = self.done.records.operation(entry)?;
        if !record.deliver_alone() {
            return None;
        }
        let callback = record.callback.name();
        let (slot, direction) = (record.slot, record.direction);
        self.leave_queue_empty(slot, direction);
        Some(callback)
    }

    /// What an entry of the queue is that is not the common case.
    #[inline(always)]
    pub(crate) fn next_uncommon(&mut self, entry: u32) -> Next {
        let Some(record) = self.done.records.operation(entry) else { return self.next_other(entry) };
        // Everything else is found out by the table of states.
        if !record.deliver() {
            return self.next_rare(entry);
        }
        let callback = record.callback.name();
        match record.link {
            Link::None => {}
            Link::Unordered => {
                record.link = Link::None;
                self.delist(entry);
            }
            Link::Queue => {
                record.link = Link::None;
                let (slot, direction) = (record.slot, record.direction);
                self.unlink_among_others(entry, slot, direction);
            }
            Link::Left => {
                record.link = Link::None;
                let slot = record.slot;
                self.is_delivered(slot);
            }
        }
        Next::Last { index: entry, callback }
    }

    /// A timer, or an item.
    #[inline]
    fn next_other(&mut self, entry: u32) -> Next {
        let Some(timer) = self.done.records.timer(entry) else { return self.next_item(entry) };
        if timer.phase != Phase::Ended || timer.veto != Veto::None || timer.is_refused {
            return self.next_rare(entry);
        }
        timer.phase = Phase::Running;
        Next::Last { index: entry, callback: self.done.records.timer_callback_name(entry) }
    }

    /// An item of a multishot operation that goes on.
    #[inline(always)]
    fn next_item(&mut self, entry: u32) -> Next {
        let item = entry & !ASIDE;
        let Some((owner, outcome)) = self.done.records.item(item) else { return Next::Nothing };
        let kind = outcome.kind();
        match self.done.records.operation(owner.index) {
            Some(record)
                if matches!(record.phase, Phase::Active | Phase::Canceling)
                    && record.is_armed_as(owner)
                    && record.kind == kind =>
            {
                Next::More { index: owner.index, item, callback: record.callback.name() }
            }
            _ => self.discard_item(item, owner),
        }
    }

    /// Throws an item away: its operation was deleted, or is none that it could be of.
    #[cold]
    fn discard_item(&mut self, item: u32, owner: Token) -> Next {
        let Some(outcome) = self.done.records.remove_item(item) else { return Next::Nothing };
        let is_expected = self.done.records.operation(owner.index).is_some_and(|record| {
            let (_, effect) = step(record.phase, Call::More);
            effect != Effect::NotFound && record.kind == outcome.kind()
        });
        if !is_expected {
            self.faults += 1;
            self.fault_unreported = true;
        }
        self.dispose(outcome);
        Next::Nothing
    }

    /// What an entry of the queue is that is not the common case.
    #[cold]
    fn next_rare(&mut self, index: u32) -> Next {
        let is_timer = index & TIMER != 0;
        let completion = self.done.records.get(index);
        if !is_timer && completion.is_undecided() {
            // It was about what is no longer there.
            self.faults += 1;
            self.fault_unreported = true;
            return Next::Nothing;
        }
        if !is_timer
            && completion.phase != Phase::Adding
            && completion.place.is_of_core()
            && let Some(next) = self.decided_by_the_backend(index)
        {
            return next;
        }
        if !is_timer && self.done.records.get(index).bound != Bound::None {
            self.settle_deadline(index);
        }
        let completion = self.done.records.get(index);
        if completion.place == Place::BackendOnTwo || completion.kind == Kind::Splice {
            self.leave_second(index);
        }
        let error = match self.done.records.timer(index) {
            Some(timer) => (timer.end == End::Canceled).then_some(Error::Canceled),
            None => {
                let outcome = self.done.records.operation(index).and_then(|record| record.outcome.as_ref());
                outcome.and_then(Outcome::error)
            }
        };
        let completion = self.done.records.get(index);
        if completion.veto == Veto::UnlessCanceled && error == Some(Error::Canceled) {
            completion.veto = Veto::None;
        }
        self.forget_refusal(index);
        let completion = self.done.records.get(index);
        let (phase, effect) = step(completion.phase, Call::Last);
        if effect == Effect::NotFound {
            self.faults += 1;
            self.fault_unreported = true;
            if phase == Phase::Adding && !is_timer {
                return self.decided_before_the_start(index);
            }
        } else {
            self.unlink(index);
        }
        self.done.records.get(index).phase = phase;
        if effect == Effect::Deliver {
            let stored = self.done.records.callback(index, is_timer);
            return Next::Last {
                index,
                callback: stored.map_or(Stored::NONE.name(), |stored| stored.name()),
            };
        }
        let kind = self.done.records.peek(index).map(|head| head.kind);
        let outcome = self.done.records.take_back(index);
        self.faults += u64::from(!is_timer && outcome.as_ref().map(Outcome::kind) != kind);
        if effect == Effect::Discard {
            self.done.records.free(index);
        }
        if let Some(handle) = outcome.as_ref().and_then(Outcome::new_handle) {
            self.close(handle);
        }
        if effect == Effect::Discard {
            // Its drop may be the user's, and panic.
            self.discarded = outcome;
            return Next::Discarded { index };
        }
        Next::Nothing
    }

    /// Gives up an outcome that nobody will get: its buffer is dropped, a handle that it brings is closed.
    pub(super) fn dispose(&mut self, outcome: Outcome) {
        if let Some(handle) = outcome.new_handle() {
            self.close(handle);
        }
    }

    /// The callback of the completion at `index` is finished with it: its place is free.
    #[inline(always)]
    pub(crate) fn finish<O: Submission>(&mut self, index: u32) {
        debug_assert_eq!(step(self.done.records.phase(index), Call::Disarm), (Phase::Dead, Effect::Free));
        if is_timer::<O>() {
            self.done.records.free_timer(index);
        } else {
            self.done.records.free_operation(index);
        }
    }
}
