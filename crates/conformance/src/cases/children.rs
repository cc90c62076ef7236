//! Waiting for child processes (contract C1, C2, C5, R2, X1, X2, X5).

use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use proactor_core::{Backend, Cancel, ChildProcess, Error, WaitChild};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, test_kill_process, waitpid};

use crate::Fixture;
use crate::signals::let_end;
use crate::steps::{Log, Steps, system};

fn wait(child: Child) -> WaitChild {
    WaitChild { child: child.into() }
}

/// A child that does what a shell is told.
fn shell(script: &str) -> Child {
    Command::new("sh").args(["-c", script]).stdin(Stdio::null()).spawn().unwrap()
}

/// One that exits with `code` once its input has ended.
fn obedient(code: i32) -> (Child, ChildStdin) {
    let script = format!("read line; exit {code}");
    let mut child = Command::new("sh").args(["-c", &script]).stdin(Stdio::piped()).spawn().unwrap();
    let input = child.stdin.take().unwrap();
    (child, input)
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// Whether a process is still there, having ended or not.
fn exists(pid: u32) -> bool {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a process's number is positive");
    test_kill_process(pid) != Err(Errno::SRCH)
}

#[track_caller]
fn code(result: Result<ExitStatus, Error>) -> Option<i32> {
    result.expect("it was waited for").code()
}

/// Exit statuses arrive as they are, and `std`'s child comes back knowing its own.
pub(crate) fn exit_statuses_arrive<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    for expected in [0, 42, 255] {
        let exited = ev.complete(wait(shell(&format!("exit {expected}"))));
        assert_eq!(code(exited.result), Some(expected));
        let mut child = exited.child.into_std().expect("it was std's");
        assert_eq!(child.try_wait().unwrap(), exited.result.ok().map(Some).unwrap());
        assert!(!exists(child.id()));
    }
}

/// What it does before it ends is its own time; the loop goes on meanwhile.
pub(crate) fn it_waits_until_the_child_ends<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (child, input) = obedient(7);
    let waiting = ev.start(wait(child));
    ev.idle();
    assert!(!waiting.is_done());
    drop(input);
    assert_eq!(code(ev.finish(&waiting).result), Some(7));
}

/// The signal that has killed it is told.
pub(crate) fn a_killing_signal_is_told<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    for signal in [Signal::KILL, Signal::TERM] {
        let (child, _input) = obedient(0);
        let pid = pid(&child);
        let waiting = ev.start(wait(child));
        ev.no_wait();
        kill_process(pid, signal).unwrap();
        let status = ev.finish(&waiting).result.unwrap();
        assert_eq!((status.code(), status.signal()), (None, Some(signal.as_raw())));
    }
}

/// One that has ended before completes at once, whether `std`'s or known by its number.
pub(crate) fn what_has_ended_completes_at_once<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (first, second) = (shell("exit 3"), shell("exit 4"));
    let_end(first.id());
    let_end(second.id());
    assert_eq!(code(ev.complete(wait(first)).result), Some(3));
    let id = second.id();
    let exited = ev.complete(WaitChild { child: ChildProcess::Id(id) });
    assert_eq!((code(exited.result), exited.child.id()), (Some(4), id));
    assert!(exited.child.into_std().is_none() && !exists(id));
}

/// By its number it is waited for just the same.
pub(crate) fn a_number_is_enough<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (child, input) = obedient(42);
    let waiting = ev.start(WaitChild { child: ChildProcess::Id(child.id()) });
    ev.idle();
    assert!(!waiting.is_done());
    drop(input);
    assert_eq!(code(ev.finish(&waiting).result), Some(42));
}

/// What is no child of this process, or no longer one, is the system's error, and nothing else is taken for it.
pub(crate) fn what_is_no_child_is_an_error<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    // A child that must not be taken for an answer.
    let bystander = shell("exit 1");
    let_end(bystander.id());
    let gone = {
        let mut child = shell("exit 5");
        child.wait().unwrap();
        child.id()
    };
    for id in [0, std::process::id(), gone, u32::MAX] {
        let exited = ev.complete(WaitChild { child: ChildProcess::Id(id) });
        assert_eq!((exited.result, exited.child.id()), (Err(system(Errno::CHILD)), id));
    }
    assert_eq!(code(ev.complete(wait(bystander)).result), Some(1));
}

/// A wait that is cancelled, or takes too long, hands the child back, which is still to be waited for.
pub(crate) fn a_cancelled_wait_hands_the_child_back<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (child, input) = obedient(9);
    let id = child.id();
    let waiting = ev.start(wait(child));
    ev.no_wait();
    assert_eq!(ev.cancel(waiting.key), Cancel::Requested);
    let ended = ev.finish(&waiting);
    assert_eq!((ended.result, ended.child.id()), (Err(Error::Canceled), id));
    let child = ended.child.into_std().unwrap();
    let late = ev.complete(wait(child).with_timeout(Duration::from_millis(5)));
    assert_eq!((late.result, late.child.id()), (Err(Error::TimedOut), id));
    drop(input);
    assert_eq!(code(ev.complete(WaitChild { child: late.child }).result), Some(9));
}

/// A wait that is deleted, or dropped with its loop, leaves the process alone.
pub(crate) fn a_dropped_wait_leaves_the_child_alone<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let children = [obedient(10), obedient(11)];
    let [(first, first_input), (second, second_input)] = children;
    let pids = [pid(&first), pid(&second)];
    let (deleted, dropped) = (ev.start(wait(first)), ev.start(wait(second)));
    ev.no_wait();
    ev.context().delete(deleted.key).unwrap();
    ev.idle();
    drop(first_input);
    drop(ev);
    drop(second_input);
    for (pid, expected) in pids.into_iter().zip([10, 11]) {
        let (_, status) = waitpid(Some(pid), WaitOptions::empty()).unwrap().expect("it is still our child");
        assert_eq!(status.exit_status(), Some(expected));
    }
    assert!(!deleted.is_done() && !dropped.is_done());
}

/// Each of many gets its own status, and their pipes stay with them.
pub(crate) fn many_end_each_with_its_own<B: Backend>(fixture: &Fixture<B>) {
    const CHILDREN: i32 = 40;
    let mut ev = fixture.open();
    let log = Log::new();
    let mut inputs = Vec::new();
    for number in 0..CHILDREN {
        let mut child = Command::new("sh")
            .args(["-c", &format!("read line; echo $line; exit {number}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        inputs.push(child.stdin.take().unwrap());
        let seen = log.clone();
        ev.context().submit(wait(child), move |(), _, exited| {
            let mut text = String::new();
            let output = exited.child.into_std().unwrap().stdout;
            output.unwrap().read_to_string(&mut text).unwrap();
            seen.push((number, text, code(exited.result)));
        });
    }
    ev.no_wait();
    for mut input in inputs.into_iter().rev() {
        writeln!(input, "bye").unwrap();
    }
    ev.until_done();
    let mut seen = log.take();
    seen.sort();
    let expected: Vec<_> = (0..CHILDREN).map(|number| (number, "bye\n".to_owned(), Some(number))).collect();
    assert_eq!(seen, expected);
}

/// Where there is no such thing, the child comes back.
pub(crate) fn without_it_the_child_comes_back<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let exited = ev.complete(WaitChild { child: ChildProcess::Id(77) });
    assert_eq!((exited.result, exited.child.id()), (Err(Error::Unsupported), 77));
}
