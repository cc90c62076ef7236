//! The states of a completion, as a pure function: [`step`]. Its table is on [`State`]'s page, where users see it, and a
//! test holds it to the function.

/// Where a completion stands, as [`Context::state`](crate::Context::state) tells it (contract C4).
///
/// ```
/// use std::time::Duration;
///
/// use proactor_sim::{Cancel, Config, Error, Loop, RunMode, State, Timer};
///
/// # fn main() -> std::io::Result<()> {
/// let mut ev = Loop::<u32>::open(Config::default())?;
/// let mut cx = ev.context();
/// let key = cx.submit(Timer::after(Duration::from_secs(1)), |ended, _cx, expired| {
///     assert_eq!(expired.result, Err(Error::Canceled));
///     *ended += 1;
/// });
/// assert_eq!(cx.state(key), State::Adding);
/// assert_eq!(cx.cancel(key), Cancel::Requested);
/// assert_eq!(cx.state(key), State::Deleting);
/// // Its outcome is queued already.
/// assert_eq!(cx.cancel(key), Cancel::TooLate);
///
/// let mut ended = 0;
/// ev.run(&mut ended, RunMode::UntilDone)?;
/// assert_eq!(ended, 1);
/// assert_eq!(ev.context().state(key), State::Dead);
/// assert_eq!(ev.context().cancel(key), Cancel::NotFound);
/// # Ok(())
/// # }
/// ```
///
/// # The table
/// What each call does in each phase: the phase that follows, if another, and what is done. A phase shows as the state in
/// parentheses. *Cancel* and *delete* are the user's, also from inside the completion's own callback, which is the phase
/// Running; *rearm* and *disarm* are what that callback answers. The others happen: its turn to *start* comes, whoever
/// *held* it will end it as cancelled, core itself *queues* an outcome (an expired timer, a notification, a bad
/// argument), and an outcome is taken from the queue, with *more* to follow or the *last*.
///
/// To a cancel, "take back", "ask" and "requested" mean [`Cancel::Requested`](crate::Cancel::Requested); what was taken
/// back never reached the system, and who is asked may answer that it has ended already, which is "too late". "Discard"
/// drops an outcome with all that it carries. Where a cell is empty, nothing changes: "not found" to a user, a counted
/// fault of the backend's.
///
/// | phase (state) | start | cancel | held | delete | queue | more | last | rearm | disarm |
/// | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
/// | Dead (dead) | | | | | | | | | |
/// | Adding (adding) | Active, hand over | Withdrawn, take back | Canceling | Dead, take back | Ended | | | | |
/// | Active (active) | | ask | Canceling | Discarding, ask | Ended | deliver | Running, deliver | | |
/// | Canceling (deleting) | | requested | | Discarding | Withdrawn | deliver | Running, deliver | | |
/// | Ended (active) | | too late | | Discarding | | | Running, deliver | | |
/// | Withdrawn (deleting) | | too late | | Discarding | | | Running, deliver | | |
/// | Discarding (deleting) | | too late | | done | Discarding | discard | Dead, discard | | |
/// | Running (dead) | | too late | | Leaving | | | | Adding, queue | Dead, free |
/// | Leaving (dead) | | too late | | done | | | | Dead, free | Dead, free |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Not under way: never submitted, finished, or being delivered for the last time.
    Dead,
    /// Queued: the system has not seen it.
    Adding,
    /// Under way, or complete with its outcome queued.
    Active,
    /// Cancelled or deleted, and not ended yet.
    Deleting,
}

/// Where a completion stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(test, derive(Hash))]
#[repr(u8)]
pub(crate) enum Phase {
    /// Its place is free.
    Dead,
    /// Submitted; not started yet.
    Adding,
    /// Started.
    Active,
    /// Started, and asked to end.
    Canceling,
    /// Its last outcome is queued by core itself: a timer, a notification, a bad argument.
    Ended,
    /// Taken back before it was started; that outcome is queued.
    Withdrawn,
    /// Deleted: will end, and nobody will hear.
    Discarding,
    /// Its callback runs, for the last time unless it re-arms.
    Running,
    /// Deleted by its own callback.
    Leaving,
}

/// What happens to a completion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Call {
    /// Its turn to be started has come.
    Start,
    /// Its user cancels it, or something that it depends on ends.
    Cancel,
    /// It will end as cancelled, though not at once: the backend, asked to cancel it, still held it, or it waits behind
    /// others that end first.
    Held,
    /// Its user deletes it.
    Delete,
    /// Core queues its last outcome.
    Queue,
    /// An outcome is taken from the queue, and more follow.
    More,
    /// Its last outcome is taken from the queue.
    Last,
    /// Its callback asks to be armed again.
    Rearm,
    /// Its callback is finished with it.
    Disarm,
}

/// What the driver has to do about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Effect {
    /// Nothing.
    None,
    /// Nothing: the call came too late to change the outcome.
    TooLate,
    /// Nothing: there is no such completion.
    NotFound,
    /// Start it.
    HandOver,
    /// Take the operation out of the queue of what is to be started.
    TakeBack,
    /// Ask whoever has the operation to end it.
    Ask,
    /// Deliver the outcome.
    Deliver,
    /// Dispose of the outcome.
    Discard,
    /// Queue the new operation.
    Queue,
    /// Free its place.
    Free,
}

/// The phase that follows `phase` after `call`, and what is to be done.
#[inline(always)]
pub(crate) const fn step(phase: Phase, call: Call) -> (Phase, Effect) {
    match (phase, call) {
        (Phase::Adding, Call::Start) => (Phase::Active, Effect::HandOver),
        (Phase::Adding, Call::Cancel) => (Phase::Withdrawn, Effect::TakeBack),
        (Phase::Adding, Call::Delete) => (Phase::Dead, Effect::TakeBack),
        (Phase::Adding | Phase::Active, Call::Queue) => (Phase::Ended, Effect::None),
        (Phase::Canceling, Call::Queue) => (Phase::Withdrawn, Effect::None),

        (Phase::Active, Call::Cancel) => (Phase::Active, Effect::Ask),
        (Phase::Adding | Phase::Active, Call::Held) => (Phase::Canceling, Effect::None),
        (Phase::Active, Call::Delete) => (Phase::Discarding, Effect::Ask),
        (Phase::Active | Phase::Canceling, Call::More) => (phase, Effect::Deliver),
        (Phase::Active | Phase::Canceling | Phase::Ended | Phase::Withdrawn, Call::Last) => {
            (Phase::Running, Effect::Deliver)
        }

        (Phase::Canceling, Call::Cancel) => (Phase::Canceling, Effect::None),
        (Phase::Canceling | Phase::Ended | Phase::Withdrawn, Call::Delete) => {
            (Phase::Discarding, Effect::None)
        }
        (
            Phase::Ended | Phase::Withdrawn | Phase::Discarding | Phase::Running | Phase::Leaving,
            Call::Cancel,
        ) => (phase, Effect::TooLate),

        (Phase::Discarding | Phase::Leaving, Call::Delete) | (Phase::Discarding, Call::Queue) => {
            (phase, Effect::None)
        }
        (Phase::Discarding, Call::More) => (Phase::Discarding, Effect::Discard),
        (Phase::Discarding, Call::Last) => (Phase::Dead, Effect::Discard),

        (Phase::Running, Call::Delete) => (Phase::Leaving, Effect::None),
        (Phase::Running, Call::Rearm) => (Phase::Adding, Effect::Queue),
        (Phase::Running | Phase::Leaving, Call::Disarm) | (Phase::Leaving, Call::Rearm) => {
            (Phase::Dead, Effect::Free)
        }

        (
            Phase::Dead
            | Phase::Adding
            | Phase::Active
            | Phase::Canceling
            | Phase::Ended
            | Phase::Withdrawn
            | Phase::Discarding
            | Phase::Running
            | Phase::Leaving,
            _,
        ) => (phase, Effect::NotFound),
    }
}

impl Phase {
    /// As the user sees it.
    pub(crate) const fn state(self) -> State {
        match self {
            Self::Dead | Self::Running | Self::Leaving => State::Dead,
            Self::Adding => State::Adding,
            Self::Active | Self::Ended => State::Active,
            Self::Canceling | Self::Withdrawn | Self::Discarding => State::Deleting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CALLS: [Call; 9] = [
        Call::Start,
        Call::Cancel,
        Call::Held,
        Call::Delete,
        Call::Queue,
        Call::More,
        Call::Last,
        Call::Rearm,
        Call::Disarm,
    ];

    const PHASES: [Phase; 9] = [
        Phase::Dead,
        Phase::Adding,
        Phase::Active,
        Phase::Canceling,
        Phase::Ended,
        Phase::Withdrawn,
        Phase::Discarding,
        Phase::Running,
        Phase::Leaving,
    ];

    /// The obvious model: what is remembered of one completion, in words of the contract instead of phases.
    #[derive(Default, Debug)]
    struct Model {
        /// The system has the operation, or core has queued its outcome.
        started: bool,
        canceling: bool,
        outcome_queued: bool,
        deleted: bool,
        delivering: bool,
        gone: bool,
        deliveries: u32,
    }

    impl Model {
        fn allowed(&self, call: Call) -> bool {
            match call {
                Call::Start => !self.started && !self.outcome_queued && !self.delivering,
                Call::Cancel | Call::Delete => true,
                Call::Held => {
                    let asked_already = self.canceling || self.deleted;
                    self.started && !self.outcome_queued && !self.delivering && !asked_already
                }
                Call::Queue => !self.outcome_queued && !self.delivering,
                Call::More => self.started && !self.outcome_queued && !self.delivering,
                Call::Last => (self.started || self.outcome_queued) && !self.delivering,
                Call::Rearm | Call::Disarm => self.delivering,
            }
        }

        fn apply(&mut self, call: Call) {
            match call {
                Call::Start => self.started = true,
                Call::Cancel if !self.started && !self.outcome_queued && !self.delivering => {
                    self.outcome_queued = true;
                }
                Call::Delete if !self.started && !self.outcome_queued && !self.delivering => self.gone = true,
                Call::Delete => self.deleted = true,
                Call::Queue => self.outcome_queued = true,
                Call::More if !self.deleted => self.deliveries += 1,
                Call::Last if self.deleted => self.gone = true,
                Call::Last => {
                    self.deliveries += 1;
                    (self.delivering, self.started) = (true, false);
                    (self.canceling, self.outcome_queued) = (false, false);
                }
                Call::Rearm if !self.deleted => self.delivering = false,
                Call::Rearm | Call::Disarm => self.gone = true,
                Call::Held => self.canceling = true,
                Call::Cancel | Call::More => {}
            }
        }
    }

    proptest! {
        /// Any sequence of calls that driver and backend may make agrees with the model: dead exactly when it is
        /// gone, delivered exactly as often, never after a delete.
        #[test]
        fn agrees_with_the_model(calls in prop::collection::vec(0..CALLS.len(), 1..60)) {
            let (mut phase, mut model, mut deliveries) = (Phase::Adding, Model::default(), 0);
            for call in calls.into_iter().map(|index| CALLS[index]) {
                if model.gone {
                    break;
                }
                // A queued outcome of core's is not handed over again, whatever became of it.
                if !model.allowed(call) || (call == Call::Queue && model.deleted) {
                    continue;
                }
                let (next, effect) = step(phase, call);
                prop_assert_ne!(effect, Effect::NotFound, "{:?} in {:?}", call, phase);
                deliveries += u32::from(effect == Effect::Deliver);
                model.apply(call);
                prop_assert_eq!(next == Phase::Dead, model.gone, "{:?} in {:?}", call, phase);
                prop_assert_eq!(deliveries, model.deliveries);
                phase = next;
            }
        }
    }

    #[test]
    fn dead_answers_not_found_to_everything() {
        for call in CALLS {
            assert_eq!(step(Phase::Dead, call), (Phase::Dead, Effect::NotFound));
        }
    }

    /// The table on [`State`]'s page is what the function does.
    #[test]
    fn the_table_in_the_docs_is_true() {
        let source = include_str!("state.rs");
        let rows = source.lines().filter_map(|line| line.strip_prefix("/// | "));
        let rows: Vec<Vec<&str>> =
            rows.map(|row| row.trim_end_matches('|').split('|').map(str::trim).collect()).collect();
        // Header, rule, then one row a phase.
        assert_eq!(rows.len(), PHASES.len() + 2);
        for (phase, row) in PHASES.into_iter().zip(&rows[2..]) {
            let state = format!("{:?}", phase.state()).to_lowercase();
            assert_eq!(row[0], format!("{phase:?} ({state})"));
            for (call, cell) in CALLS.into_iter().zip(&row[1..]) {
                let (next, effect) = step(phase, call);
                assert_eq!(*cell, describe(phase, call, next, effect), "{phase:?}, {call:?}");
            }
        }
    }

    fn describe(phase: Phase, call: Call, next: Phase, effect: Effect) -> String {
        let action = match effect {
            Effect::NotFound => return String::new(),
            Effect::None if call == Call::Cancel => "requested",
            Effect::None if call == Call::Delete && next == phase => "done",
            Effect::None => return format!("{next:?}"),
            Effect::TooLate => "too late",
            Effect::HandOver => "hand over",
            Effect::TakeBack => "take back",
            Effect::Ask => "ask",
            Effect::Deliver => "deliver",
            Effect::Discard => "discard",
            Effect::Queue => "queue",
            Effect::Free => "free",
        };
        if next == phase { action.to_owned() } else { format!("{next:?}, {action}") }
    }
}
