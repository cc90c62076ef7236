//! What holds of every kind of operation, in every state: one of each at once (contract C1, C2, C4, C5, H1, H2, L5, X1, X2,
//! X3, X4, X5).

use std::collections::HashMap;

use proactor_core::{Backend, Cancel, Config, Error, Kind, State, Time, Timer};

use crate::Fixture;
use crate::every::{Every, How, What, waits};

/// What uses no handle: paths are relative to one only where they say so.
const NO_HANDLE: [Kind; 14] = [
    Kind::Nop,
    Kind::Timer,
    Kind::NotifierWait,
    Kind::Work,
    Kind::Resolve,
    Kind::WaitChild,
    Kind::Signals,
    Kind::OpenAt,
    Kind::Rename,
    Kind::Link,
    Kind::Symlink,
    Kind::Unlink,
    Kind::MakeDir,
    Kind::RemoveDir,
];

/// What makes its handle stale at once, and cannot be undone.
const CLOSES: [Kind; 2] = [Kind::Close, Kind::Detach];

/// One of each, not submitted yet.
fn ready<B: Backend>(fixture: &Fixture<B>) -> Every<B> {
    Every::new(fixture, Config::default())
}

/// One of each, after so many turns.
fn under_way<B: Backend>(fixture: &Fixture<B>, turns: u32) -> Every<B> {
    let mut every = ready(fixture);
    every.submit_all(How::Plain);
    every.turns(turns);
    every
}

/// Each has handed back what it took, untouched, with this error; of some it is not said.
#[track_caller]
fn assert_handed_back<B: Backend>(
    every: &mut Every<B>,
    ended: &HashMap<Kind, String>,
    error: Error,
    excepted: &[Kind],
) {
    for &kind in Kind::ALL {
        if !excepted.contains(&kind) {
            assert_eq!(ended[&kind], every.handed_back(kind, error), "{kind:?}");
        }
    }
}

/// Each that waits has ended with this error; the others with it, or as they do.
#[track_caller]
fn assert_ended<B: Backend>(every: &Every<B>, ended: &HashMap<Kind, String>, error: Error) {
    for &kind in Kind::ALL {
        let told = &ended[&kind];
        if waits(kind) && every.can(kind) {
            assert!(told.contains(&format!("{error:?}")), "{kind:?}: {told}");
        }
        assert!(!told.contains("Backend"), "{kind:?}: {told}");
    }
}

/// What closes a handle has done so, whatever it was asked meanwhile.
#[track_caller]
fn assert_closed<B: Backend>(every: &Every<B>, ended: &HashMap<Kind, String>) {
    assert!(ended[&Kind::Close].contains("Ok(())"));
    let expected = if every.can(Kind::Detach) { "Ok(OwnedFd" } else { "Err(Unsupported)" };
    assert!(ended[&Kind::Detach].contains(expected), "{}", ended[&Kind::Detach]);
}

/// Cancelled before its turn, each ends as cancelled, with all it took, and the system has not seen it. What closes a
/// handle has made it stale, and closes it.
pub(crate) fn each_can_be_taken_back<B: Backend>(fixture: &Fixture<B>) {
    let mut every = ready(fixture);
    every.submit_all(How::Plain);
    for (kind, key) in every.keys() {
        // What cannot be done here may be refused at once.
        let closes = CLOSES.contains(&kind);
        assert!(every.driver.state(key) == State::Adding || closes && !every.can(kind));
        let expected = if closes { Cancel::TooLate } else { Cancel::Requested };
        assert_eq!(every.driver.cancel(key), expected, "{kind:?}");
    }
    every.unblock();
    let ended = every.run_out();
    assert_handed_back(&mut every, &ended, Error::Canceled, &CLOSES);
    assert_closed(&every, &ended);
    every.assert_no_name_was_touched();
}

/// Cancelled while it waits, each ends as cancelled; what does not wait ends once all the same.
pub(crate) fn each_can_be_cancelled_while_it_waits<B: Backend>(fixture: &Fixture<B>) {
    for turns in 1..4 {
        let mut every = under_way(fixture, turns);
        for (kind, key) in every.keys() {
            let answer = every.driver.cancel(key);
            assert_ne!(answer, Cancel::NotFound, "{kind:?}");
            if waits(kind) && every.can(kind) {
                assert_eq!(answer, Cancel::Requested, "{kind:?}");
            }
        }
        every.unblock();
        let ended = every.run_out();
        assert_ended(&every, &ended, Error::Canceled);
    }
}

/// So does `cancel_all`, whatever has been started.
pub(crate) fn each_is_covered_by_cancel_all<B: Backend>(fixture: &Fixture<B>) {
    for turns in 0..3 {
        let mut every = under_way(fixture, turns);
        every.driver.cancel_all();
        let ended = every.run_out();
        assert_ended(&every, &ended, Error::Canceled);
    }
}

/// With an outcome that is queued, each is found too late; once that was delivered, it is not found.
pub(crate) fn each_ends_once_with_what_is_queued<B: Backend>(fixture: &Fixture<B>) {
    let mut every = ready(fixture);
    every.submit_all(How::TooLate);
    every.turns(20);
    let keys = every.keys();
    for &(kind, key) in &keys {
        assert_eq!(every.driver.cancel(key), Cancel::TooLate, "{kind:?}");
    }
    let ended = every.run_out();
    for (kind, key) in keys {
        assert_eq!(every.driver.cancel(key), Cancel::NotFound, "{kind:?}");
        assert_eq!(every.driver.delete(key), Err(Error::NotFound), "{kind:?}");
        assert_eq!(every.driver.state(key), State::Dead, "{kind:?}");
    }
    // A timeout that is over before it begins hands everything back; what closes has no deadline.
    assert_handed_back(&mut every, &ended, Error::TimedOut, &CLOSES);
    assert_closed(&every, &ended);
    every.assert_no_name_was_touched();
}

/// Deleted in any state, nobody hears of it, and nothing of it stays.
pub(crate) fn each_is_silent_once_deleted<B: Backend>(fixture: &Fixture<B>) {
    for (turns, how) in [(0, How::Plain), (1, How::Plain), (3, How::Plain), (1, How::TooLate)] {
        let mut every = ready(fixture);
        every.submit_all(how);
        every.turns(turns);
        for (kind, key) in every.keys() {
            assert_eq!(every.driver.delete(key), Ok(()), "{kind:?} after {turns} turns, {how:?}");
            every.forget(key);
        }
        every.unblock();
        assert!(every.run_out().is_empty());
    }
}

/// Its handle closed under it, each ends; what has none does not mind.
pub(crate) fn each_ends_with_its_handles<B: Backend>(fixture: &Fixture<B>) {
    for turns in 0..3 {
        let mut every = under_way(fixture, turns);
        for &kind in Kind::ALL {
            every.handles(kind).into_iter().for_each(|handle| every.driver.close(handle));
        }
        every.turns(20);
        let rest = [Kind::Timer, Kind::NotifierWait, Kind::WaitChild, Kind::Signals];
        let waiting = every.keys().into_iter().filter(|(kind, _)| rest.contains(kind) && every.can(*kind));
        for (kind, key) in waiting.collect::<Vec<_>>() {
            assert_ne!(every.driver.state(key), State::Dead);
            assert_eq!(every.driver.cancel(key), Cancel::Requested, "{kind:?} has no handle");
        }
        let ended = every.run_out();
        assert_ended(&every, &ended, Error::Canceled);
    }
}

/// On a handle that is stale each is refused, with all it took.
pub(crate) fn each_is_refused_by_a_stale_handle<B: Backend>(fixture: &Fixture<B>) {
    let mut every = ready(fixture);
    let has_handle: Vec<_> = Kind::ALL.iter().copied().filter(|kind| !NO_HANDLE.contains(kind)).collect();
    for &kind in &has_handle {
        every.handles(kind).into_iter().for_each(|handle| every.driver.close(handle));
    }
    every.turns(3);
    every.submit_only(&has_handle);
    let ended = every.run_out();
    for kind in has_handle {
        assert_eq!(ended[&kind], every.handed_back(kind, Error::StaleHandle));
    }
}

/// Beyond the bound of what may be under way, each is refused, with all it took; and within it again, each is taken.
pub(crate) fn each_is_handed_back_where_there_is_no_room<B: Backend>(fixture: &Fixture<B>) {
    const ROOM: u32 = 200;
    let mut every = Every::new(fixture, Config::default().max_operations(ROOM));
    let full: Vec<_> = (0..ROOM).map(|_| every.driver.submit(Timer::at(Time::NEVER))).collect();
    every.submit_only(Kind::ALL);
    every.turns(2);
    for key in full {
        assert_eq!(every.driver.state(key), State::Active);
        assert_eq!(every.driver.delete(key), Ok(()));
    }
    let ended = every.run_out();
    assert_handed_back(&mut every, &ended, Error::Full, &[]);
    every.assert_no_name_was_touched();
    every.submit_all(How::Plain);
    every.turns(2);
    every.driver.cancel_all();
    let ended = every.run_out();
    assert_ended(&every, &ended, Error::Canceled);
}

/// The loop can be dropped with each of them in any state. That nothing survives, the harness sees.
pub(crate) fn each_is_let_go_of_by_a_drop<B: Backend>(fixture: &Fixture<B>) {
    for (turns, how) in [(0, How::Plain), (1, How::Plain), (3, How::Plain), (1, How::TooLate)] {
        let mut every = ready(fixture);
        every.submit_all(how);
        every.turns(turns);
        drop(every);
    }
}

/// On a handle of whatever kind, each works or says why not, and ends once; the others are not disturbed, and the loop goes on.
pub(crate) fn each_meets_every_descriptor<B: Backend>(fixture: &Fixture<B>) {
    for what in What::ALL {
        let mut every = ready(fixture);
        every.set_on(what);
        every.submit_only(Kind::ALL);
        every.turns(10);
        // What neither waits nor has a handle has nothing to do with this, and ends as ever.
        let concerned = |kind| waits(kind) || !NO_HANDLE.contains(&kind);
        for (kind, key) in every.keys().into_iter().filter(|&(kind, _)| concerned(kind)) {
            assert_ne!(every.driver.cancel(key), Cancel::NotFound, "{kind:?}");
        }
        let ended = every.run_out();
        for (kind, told) in &ended {
            assert!(!told.contains("Backend"), "{kind:?} on {what:?}: {told}");
        }
        assert_eq!(ended.len(), Kind::ALL.len());
        for kind in NO_HANDLE.into_iter().filter(|&kind| !concerned(kind)) {
            let told = &ended[&kind];
            assert!(told.contains("Ok(") || told.contains("error: None"), "{kind:?}: {told}");
        }
    }
}
