//! What the system refuses, and what it has done though the call was interrupted: the emulation can be asked for it.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, Stdio};

use proactor_core::{ChildExited, ChildProcess, Config, Error, Loop, Recv, RunMode, Until, WaitChild};
use proactor_readiness::{Poller, Readiness, Registration, Watch};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::poller::KqueuePoller;
use crate::sys::{ADD, Filter, TELLS_URGENT_DATA, interrupt_next, interruptions_left, refuse_next};

const REFUSED: Errno = Errno::NOMEM;

fn registration(slot: u32) -> Registration {
    Registration { slot, generation: 5 }
}

fn open() -> KqueuePoller {
    KqueuePoller::open(&Config::default()).unwrap()
}

fn open_loop<S>() -> Loop<Readiness<KqueuePoller>, S> {
    Loop::open(Config::default()).unwrap()
}

/// A connection with bytes on their way to the first end.
fn pair_with_bytes() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut far, _) = listener.accept().unwrap();
    far.write_all(b"bytes").unwrap();
    assert_eq!(near.peek(&mut [0; 8]).unwrap(), 5);
    (near, far)
}

/// The bits of all events that there are now, which are those of `registration`.
fn bits(poller: &mut KqueuePoller, registration: Registration) -> u32 {
    let mut bits = 0;
    for index in 0..poller.wait(Until::Now).unwrap().len {
        assert_eq!(poller.event(index).registration, registration);
        bits |= poller.event(index).bits;
    }
    bits
}

/// One that lives until it is killed, or until its input ends: with what keeps that open, so also with a test that fails.
fn child() -> (Child, ChildStdin) {
    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let input = child.stdin.take().unwrap();
    (child, input)
}

fn kill(child: &ChildProcess) {
    kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), Signal::KILL).unwrap();
}

/// Waits until a child has ended, and leaves its status where it is.
fn let_end(child: &ChildProcess) {
    let id = Pid::from_raw(child.id().cast_signed()).unwrap();
    waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
}

#[test]
fn a_descriptor_refused_by_one_filter_is_left_with_none() {
    let mut poller = open();
    let signs = KqueuePoller::SIGNS;
    let (near, _far) = pair_with_bytes();
    let filters = [Filter::Read, Filter::Write, Filter::Except];
    for filter in filters.into_iter().filter(|filter| TELLS_URGENT_DATA || *filter != Filter::Except) {
        if !refuse_next(filter, ADD, REFUSED) {
            return;
        }
        assert_eq!(poller.add(near.as_fd(), registration(1)), Err(REFUSED.into()), "{filter:?}");
        assert_eq!(bits(&mut poller, registration(1)), 0, "{filter:?}: something is registered");
    }
    assert_eq!(poller.add(near.as_fd(), registration(2)), Ok(Watch::Edges));
    let both = signs.readable | signs.writable;
    assert_eq!(bits(&mut poller, registration(2)) & both, both);
}

#[test]
fn what_cannot_be_attached_comes_back_with_the_reason() {
    let (near, _far) = pair_with_bytes();
    let mut ev = open_loop::<usize>();
    if !refuse_next(Filter::Write, ADD, REFUSED) {
        return;
    }
    let refused = ev.context().attach(near).unwrap_err();
    assert_eq!(refused.error, Error::from(REFUSED));
    let handle = ev.context().attach(refused.descriptor).unwrap();
    ev.context().submit(Recv { handle, buffer: vec![0; 8].into() }, |len, _, received| {
        *len = received.result.unwrap();
    });
    let mut len = 0;
    ev.run(&mut len, RunMode::UntilDone).unwrap();
    assert_eq!(len, 5);
}

#[test]
fn a_wait_for_a_child_that_is_refused_ends_with_the_reason() {
    let mut ev = open_loop::<Vec<ChildExited>>();
    let mut ended = Vec::new();
    if !refuse_next(Filter::Process, ADD, REFUSED) {
        return;
    }
    let (child, _input) = child();
    ev.context().submit(WaitChild { child: child.into() }, |ended, _, exited| ended.push(exited));
    ev.run(&mut ended, RunMode::UntilDone).unwrap();
    let refused = ended.pop().unwrap();
    assert_eq!(refused.result, Err(REFUSED.into()));
    // Nothing is left of it, and its end is told to the next wait.
    let id = ChildProcess::Id(refused.child.id());
    ev.context().submit(WaitChild { child: refused.child }, |ended, _, exited| ended.push(exited));
    ev.run(&mut ended, RunMode::NoWait).unwrap();
    assert_eq!((ended.len(), ev.context().active()), (0, 1));
    kill(&id);
    ev.run(&mut ended, RunMode::UntilDone).unwrap();
    assert_eq!(ended.pop().unwrap().result.unwrap().signal(), Some(9));
    assert!(ended.is_empty());
}

#[test]
fn a_child_that_ends_right_then_is_not_watched_and_not_lost() {
    let mut poller = open();
    let (process, _input) = child();
    let process = ChildProcess::from(process);
    if !refuse_next(Filter::Process, ADD, Errno::SRCH) {
        return;
    }
    assert_eq!(poller.add_child(&process, registration(1)), Ok(None));
    kill(&process);
    let_end(&process);
    assert_eq!(bits(&mut poller, registration(1)), 0, "nothing is registered");
    // As the system says it itself.
    assert_eq!(poller.add_child(&process, registration(1)), Ok(None));
    drop(process.into_std().unwrap().wait());
    // The loop asks for it until it has ended.
    let mut ev = open_loop::<Option<i32>>();
    let (process, _input) = child();
    let id = ChildProcess::Id(process.id());
    assert!(refuse_next(Filter::Process, ADD, Errno::SRCH));
    ev.context().submit(WaitChild { child: process.into() }, |signal, _, exited| {
        *signal = exited.result.unwrap().signal();
    });
    let mut signal = None;
    ev.run(&mut signal, RunMode::NoWait).unwrap();
    assert_eq!(signal, None);
    kill(&id);
    ev.run(&mut signal, RunMode::UntilDone).unwrap();
    assert_eq!(signal, Some(9));
}

#[test]
fn interrupted_changes_are_made_again() {
    let mut poller = open();
    let (near, _far) = pair_with_bytes();
    let signs = KqueuePoller::SIGNS;
    if !interrupt_next(2) {
        return;
    }
    assert_eq!(poller.add(near.as_fd(), registration(1)), Ok(Watch::Edges));
    assert_eq!(interruptions_left(), 0);
    let both = signs.readable | signs.writable;
    assert_eq!(bits(&mut poller, registration(1)) & both, both);
    interrupt_next(1);
    poller.remove(near.as_fd());
    assert_eq!((interruptions_left(), bits(&mut poller, registration(1))), (0, 0));
    let (process, _input) = child();
    let process = ChildProcess::from(process);
    interrupt_next(1);
    let watched = poller.add_child(&process, registration(3)).unwrap().expect("it lives");
    assert_eq!(interruptions_left(), 0);
    kill(&process);
    let_end(&process);
    assert_eq!(poller.wait(Until::Forever).unwrap().len, 1);
    assert_eq!(poller.event(0).registration, registration(3));
    poller.remove_child(watched);
    drop(process.into_std().unwrap().wait());
}
