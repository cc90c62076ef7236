//! What only waits: that a poll changes no registration, and that what has a registration of its own takes it along.

use std::io::Write;
use std::process::{Command, Stdio};

use proactor_core::{Backend, Error, Interest, Outcome, Poll, PollMany, Signal, Signals, Slot, WaitChild};

use super::{COUNTS, Rig};

const READABLE: Interest = Interest::READABLE;

/// No handle: what an operation without one is started with.
const NOWHERE: Slot = Slot(u32::MAX);

#[test]
fn polls_change_no_registration() {
    let mut rig = Rig::new();
    let (near, mut far) = rig.pair();
    let before = COUNTS.get();
    let many = rig.start(near, PollMany { handle: near, interest: READABLE });
    for _ in 0..5 {
        let once = rig.start(near, Poll { handle: near, interest: READABLE });
        far.write_all(b"more").unwrap();
        let mut seen = Vec::new();
        while !seen.contains(&once) {
            seen.push(rig.next().0);
        }
        while let Some((token, outcome)) = rig.done.pop() {
            assert!(matches!(outcome, Outcome::PollManyItem(_) | Outcome::Poll(_)), "{outcome:?}");
            seen.push(token);
        }
        assert!(seen.iter().all(|token| [once, many].contains(token)));
    }
    assert_eq!((COUNTS.get().added, COUNTS.get().removed), (before.added, before.removed));
    assert_eq!(rig.backend.close(near.slot()), Err(Error::Busy), "it is polled");
    assert!(rig.cancel(many, near) && !rig.cancel(many, near));
    while !matches!(rig.next().1, Outcome::PollManyEnded(_)) {}
    rig.close(near);
}

#[test]
fn children_and_signals_have_registrations_that_go_with_them() {
    let mut rig = Rig::new();
    let before = COUNTS.get();
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let input = child.stdin.take().unwrap();
    let start = |rig: &mut Rig, operation: proactor_core::Operation| {
        let token = rig.done.submit(operation);
        rig.backend.start(token, NOWHERE, &mut rig.done);
        token
    };
    let signals = start(&mut rig, Signals { set: Signal::WINCH.into() }.into());
    let waiting = start(&mut rig, WaitChild { child: child.into() }.into());
    rig.look();
    assert_eq!((COUNTS.get().added - before.added, rig.done.is_empty()), (2, true));
    drop(input);
    let (token, outcome) = rig.next();
    assert_eq!((token, outcome.error()), (waiting, None));
    assert!(!rig.backend.cancel(waiting, NOWHERE, &mut rig.done), "it has ended");
    assert!(rig.backend.cancel(signals, NOWHERE, &mut rig.done));
    assert_eq!(rig.next().1.error(), Some(Error::Canceled));
    assert_eq!(COUNTS.get().removed - before.removed, 2);
}
