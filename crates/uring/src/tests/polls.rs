//! What only waits: that it goes to the ring, how often, and what becomes of its place.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

use proactor_core::{
    Backend, ChildProcess, Error, Handle, Interest, Outcome, Poll, PollMany, Signal, Signals, Slot, Token,
    WaitChild,
};

use super::{CANCEL, POLL, Rig, WAIT};

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
    assert_eq!(rig.next().1.error(), Some(Error::Canceled));
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
    assert_eq!(rig.next().1.error(), Some(Error::Canceled));
    rig.close(near);
}

/// One that ends with its input.
fn child() -> (Child, ChildStdin) {
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let input = child.stdin.take().unwrap();
    (child, input)
}

#[test]
fn signals_wait_in_the_ring() {
    let mut rig = Rig::new();
    let before = rig.pushed(POLL);
    let signals = rig.start_at(NOWHERE, Signals { set: Signal::WINCH.into() });
    rig.look();
    assert_eq!((rig.pushed(POLL) - before, rig.done.len()), (1, 0));
    assert!(rig.backend.cancel(signals, NOWHERE, &mut rig.done));
    assert_eq!(rig.next().1.error(), Some(Error::Canceled));
}

/// As the newest kernels do it, without a descriptor, and as older ones do.
#[test]
fn children_wait_in_the_ring() {
    for is_old in [false, true] {
        let mut rig = Rig::new();
        rig.backend.requests.polls.waits_for_children &= !is_old;
        let in_ring = rig.backend.requests.polls.waits_for_children;
        let before = rig.pushed(POLL);
        let (first, input) = child();
        let (second, second_input) = child();
        let mut waiting = [first, second].map(|child| {
            let id = child.id();
            (rig.start_at(NOWHERE, WaitChild { child: child.into() }), id)
        });
        rig.look();
        assert_eq!(rig.done.len(), 0);
        let expected = if in_ring { (2, 0) } else { (0, 2) };
        assert_eq!((rig.pushed(WAIT), rig.pushed(POLL) - before), expected);
        drop(input);
        let (token, outcome) = rig.next();
        assert_eq!((token, outcome.error()), (waiting[0].0, None));
        // What is given up is still to be waited for, once it has ended.
        assert!(rig.backend.cancel(waiting[1].0, NOWHERE, &mut rig.done));
        let (token, outcome) = rig.next();
        assert_eq!((token, outcome.error()), (waiting[1].0, Some(Error::Canceled)));
        let Outcome::WaitChild(exited) = outcome else { panic!("a wait ends as one") };
        waiting[1].0 = rig.start_at(NOWHERE, WaitChild { child: exited.child });
        rig.look();
        drop(second_input);
        let (token, outcome) = rig.next();
        assert_eq!((token, outcome.error()), (waiting[1].0, None));
        let Outcome::WaitChild(exited) = outcome else { panic!("a wait ends as one") };
        assert_eq!((exited.child.id(), exited.result.unwrap().code()), (waiting[1].1, Some(0)));
        assert_eq!(rig.pushed(CANCEL), 1);
    }
}

/// It is nobody's child any more when the kernel looks.
#[test]
fn a_status_that_somebody_else_has_taken_is_an_error() {
    let mut rig = Rig::new();
    let (mut child, input) = child();
    rig.start_at(NOWHERE, WaitChild { child: ChildProcess::Id(child.id()) });
    // Not yet the kernel's.
    drop(input);
    child.wait().unwrap();
    let (_, outcome) = rig.next();
    assert_eq!(outcome.error().and_then(Error::raw_os_error), Some(libc::ECHILD));
}

#[test]
fn a_drop_lets_go_of_what_is_polled() {
    let mut rig = Rig::new();
    let (near, mut far) = rig.pair();
    rig.poll(near);
    rig.start(near, PollMany { handle: near, interest: Interest::PRIORITY });
    rig.start_at(NOWHERE, Signals { set: Signal::WINCH.into() });
    let (mut child, input) = child();
    rig.start_at(NOWHERE, WaitChild { child: ChildProcess::Id(child.id()) });
    rig.look();
    drop(rig);
    assert_eq!(far.read(&mut [0; 8]).unwrap(), 0);
    drop(input);
    assert!(child.wait().unwrap().success(), "nobody has taken its status");
}
