//! What a backend does against the rules of its trait: outcomes that nobody has asked for, parts that are lost, panics. Each is
//! counted, and none harms what else is under way.

use super::{Driver, Next};
use crate::Error;
use crate::backend::Backend;
use crate::operation::Kind;
use crate::outcome::{Notified, Outcome};
use crate::records::{Place, Record};
use crate::state::{Call, Phase, step};
use crate::trace::warning;

impl<B: Backend> Driver<B> {
    /// The backend has panicked over what the next entry of the queue made it do: that is delivered later.
    #[cold]
    pub(crate) fn put_back_next(&mut self) {
        let Some(index) = self.done.queue.last_taken() else { return };
        let Some(record) = self.done.records.operation(index) else { return };
        match record.phase {
            Phase::Dead | Phase::Adding | Phase::Leaving => return,
            Phase::Running => (record.phase, record.place) = (Phase::Ended, Place::Nothing),
            _ => {}
        }
        self.done.queue.give_back();
    }

    /// A backend has decided what core itself has under way: a fault. What closes a handle goes on, which is told by its next;
    /// what waits for a notifier ends, as broken.
    #[cold]
    pub(super) fn decided_by_the_backend(&mut self, index: u32) -> Option<Next> {
        let completion = self.done.records.get(index);
        let (phase, place) = (completion.phase, completion.place);
        self.faults += 1;
        self.fault_unreported = true;
        if place == Place::Closer {
            self.restore_closer(index, phase);
            return Some(Next::Nothing);
        }
        if place == Place::Notifier {
            self.notifier_waits -= 1;
            self.inbox.forget(index);
        }
        let record = self.done.records.operation(index);
        if let Some(outcome) = record.and_then(|record| record.outcome.as_mut()) {
            outcome.set_error(Error::Backend);
        }
        None
    }

    /// What closes a handle has lost its parts: they are made again, and it goes on as it was.
    pub(super) fn restore_closer(&mut self, index: u32, phase: Phase) {
        let completion = self.done.records.get(index);
        let (kind, slot, veto) = (completion.kind, completion.slot, completion.veto);
        let wrong = self.done.records.take_back(index);
        if let Some(outcome) = Outcome::lost(kind, self.done.handles.name(slot)) {
            self.arm_idle(index, kind, outcome);
        }
        let completion = self.done.records.get(index);
        (completion.phase, completion.place, completion.veto) = (phase, Place::Closer, veto);
        if let Some(wrong) = wrong {
            self.dispose(wrong);
        }
    }

    /// A backend has decided what it was not given, as its start is still to come. A handle that is to close does so all the
    /// same; anything else ends, its parts lost.
    #[cold]
    pub(super) fn decided_before_the_start(&mut self, index: u32) -> Next {
        let completion = self.done.records.get(index);
        if completion.place == Place::Closer {
            self.restore_closer(index, Phase::Adding);
            return Next::Nothing;
        }
        (completion.phase, _) = step(completion.phase, Call::Queue);
        self.forget_delay(index);
        self.unlink(index);
        self.leave_second(index);
        self.done.queue.push(index);
        if let Some(wrong) = self.done.records.take_back(index) {
            self.dispose(wrong);
        }
        Next::Nothing
    }

    /// The backend has put the outcome of another kind of operation into the record at `index`, or has lost the one that was
    /// there: the operation ends with [`Error::Backend`], its parts lost. Puts that there.
    #[cold]
    pub(super) fn replace_mismatch(&mut self, index: u32) -> Option<&mut Record> {
        let record = self.done.records.operation(index)?;
        let wrong = record.outcome.take();
        let (kind, slot) = (record.kind, record.slot);
        warning!(?kind, key = ?self.done.records.key(index), "the backend has lost an operation's parts");
        self.faults += 1;
        if let Some(wrong) = wrong {
            self.dispose(wrong);
        }
        let lost = if kind == Kind::NotifierWait {
            let notifier = self.inbox.notifier();
            Some(Outcome::NotifierWait(Notified { notifier, result: Err(Error::Backend) }))
        } else {
            Outcome::lost(kind, self.done.handles.name(slot))
        };
        let record = self.done.records.operation(index)?;
        record.outcome = lost;
        Some(record)
    }

    /// The backend has exchanged the parts of two operations of one kind, which are of different types: those of one are lost.
    #[cold]
    pub(super) fn exchanged(&mut self) {
        warning!("the backend has exchanged an operation's parts");
        self.faults += 1;
    }

    /// Outcomes that nothing was started for.
    #[cold]
    pub(super) fn take_strays(&mut self) {
        while let Some((_, outcome)) = self.done.strays.pop_front() {
            warning!(kind = ?outcome.kind(), "the backend has pushed what nothing was started for");
            self.faults += 1;
            self.fault_unreported = true;
            self.dispose(outcome);
        }
    }
}

impl Place {
    /// Whether what is there is core's own, so that no backend decides it.
    pub(crate) const fn is_of_core(self) -> bool {
        match self {
            Self::Backend | Self::BackendOnTwo | Self::Pool | Self::ClosingOnPool | Self::Nothing => false,
            Self::Starting
            | Self::StartingHere
            | Self::Waiting
            | Self::Delayed
            | Self::HeldBack
            | Self::Notifier
            | Self::Timers
            | Self::Bounded
            | Self::Ticket
            | Self::Closer => true,
        }
    }
}

/// A look at the next entry of the queue, which makes the backend close what nothing uses any more. Where it panics over that, the
/// entry is not lost.
pub(super) struct Taking<'a, B: Backend>(pub(super) &'a mut Driver<B>);

impl<B: Backend> Drop for Taking<'_, B> {
    fn drop(&mut self) {
        self.0.put_back_next();
    }
}
