//! What only waits: that it goes to the ring, how often, and what becomes of its place.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use proactor_core::{
    Backend, Error, Handle, Interest, Outcome, Poll, PollMany, Signal, Signals, Slot, Token, WaitChild,
};

use super::{CANCEL, POLL, Rig, error};

const READABLE: Interest = Interest::READABLE;

/// No handle: what an operation without one is started with.
const NOWHERE: Slot = Slot(u32::MAX);

impl Rig {
    fn poll(&mut self, handle: Handle) -> Token {
        self.start(handle, Poll { handle, interest: READABLE })
    }

    /// The next outcome, of a poll that has something to tell.
    fn ready(&mut self) -> Token {
        match self.next() {
            (token, Outcome::Poll(polled)) => {
                assert_eq!(polled.result, Ok(READABLE.into()));
                token
            }
            (token, Outcome::PollManyItem(ready)) => {
                assert_eq!(ready, READABLE.into());
                token
            }
            other => panic!("expected a poll, got {other:?}"),
        }
    }
}

#[test]
fn one_entry_tells_again_and_again() {
    let mut rig = Rig::new();
    let (near, mut far) = rig.pair();
    let before = rig.pushed(POLL);
    let many = rig.start(near, PollMany { handle: near, interest: READABLE });
    for _ in 0..5 {
        far.write_all(b"more").unwrap();
        assert_eq!(rig.ready(), many);
    }
    assert_eq!((rig.pushed(POLL) - before, rig.pushed(CANCEL)), (1, 0));
    assert!(rig.cancel(many, near));
    assert_eq!(error(&rig.next().1), Some(Error::Canceled));
    assert!(!rig.cancel(many, near));
    rig.close(near);
}

#[test]
fn places_are_used_again() {
    let mut rig = Rig::new();
    let (near, mut far) = rig.pair();
    far.write_all(b"bytes").unwrap();
    for _ in 0..3 {
        let polls = HashSet::from([rig.poll(near), rig.poll(near)]);
        assert_eq!(HashSet::from([rig.ready(), rig.ready()]), polls);
    }
    assert_eq!(rig.backend.requests.polls.places(), 2);
}

#[test]
fn what_is_polled_does_not_go_and_others_cancel_nothing() {
    let mut rig = Rig::new();
    let (near, _far) = rig.pair();
    let (other, _other_far) = rig.pair();
    let waiting = rig.poll(near);
    assert_eq!(rig.backend.close(near.slot()), Err(Error::Busy));
    assert_eq!(rig.backend.detach(near.slot()).map(drop), Err(Error::Busy));
    assert!(!rig.cancel(Token { arming: waiting.arming + 1, ..waiting }, near));
    rig.close(other);
    assert!(rig.cancel(waiting, near));
    assert_eq!(error(&rig.next().1), Some(Error::Canceled));
    rig.close(near);
}

#[test]
fn children_and_signals_wait_in_the_ring() {
    let mut rig = Rig::new();
    let child = Command::new("cat").stdin(Stdio::piped()).spawn();
    let mut child = child.unwrap();
    let input = child.stdin.take().unwrap();
    let before = rig.pushed(POLL);
    let signals = rig.start_at(NOWHERE, Signals { set: Signal::WINCH.into() });
    let waiting = rig.start_at(NOWHERE, WaitChild { child: child.into() });
    rig.look();
    assert_eq!((rig.pushed(POLL) - before, rig.done.len()), (2, 0));
    drop(input);
    let (token, outcome) = rig.next();
    assert_eq!((token, error(&outcome)), (waiting, None));
    assert!(rig.backend.cancel(signals, NOWHERE, &mut rig.done));
    assert_eq!(error(&rig.next().1), Some(Error::Canceled));
}

#[test]
fn a_drop_lets_go_of_what_is_polled() {
    let mut rig = Rig::new();
    let (near, mut far) = rig.pair();
    rig.poll(near);
    rig.start(near, PollMany { handle: near, interest: Interest::PRIORITY });
    rig.start_at(NOWHERE, Signals { set: Signal::WINCH.into() });
    rig.look();
    drop(rig);
    assert_eq!(far.read(&mut [0; 8]).unwrap(), 0);
}
