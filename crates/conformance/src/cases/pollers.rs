//! What a mechanism that is asked through lists of changes and batches of events has got wrong before (contract L1, W1, H1, H2,
//! C1, C2, X1).

use std::io;
#[cfg(unix)]
use std::io::Write as _;
#[cfg(not(unix))]
use std::os::fd::AsRawFd;
#[cfg(unix)]
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

#[cfg(not(unix))]
use proactor_core::SendAll;
use proactor_core::{Backend, Buffer, Config, Done, Handle, NotifierWait, Recv, RunMode, Timer, Until, Wake};
#[cfg(unix)]
use proactor_core::{Cancel, ChildProcess, Error, Flow, Interest, PollMany, WaitChild};

use crate::Fixture;
#[cfg(unix)]
use crate::peers::std_pair;
#[cfg(unix)]
use crate::steps::{Log, system};
use crate::steps::{Steps, deleted_timer};

/// Far more than a wake takes, and little enough to be waited for.
const LONG: Duration = Duration::from_secs(4);

fn recv(handle: Handle) -> Recv {
    Recv { handle, buffer: Buffer::zeroed(64) }
}

/// A wake, or a notification, by a callback of the loop itself ends the wait that follows; one by another thread ends a wait that
/// has begun.
pub(crate) fn a_wake_within_the_loop_is_kept<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    ev.start(Timer::after(Duration::from_secs(1000)));
    let waker = ev.context().waker();
    for _ in 0..3 {
        let waker = waker.clone();
        ev.context().submit(Timer::after(Duration::ZERO), move |(), _cx, _expired| waker.wake());
        let begin = Instant::now();
        ev.run_for(&mut (), LONG).unwrap();
        assert!(begin.elapsed() < LONG, "the wake was lost");
    }
    // Where time is virtual, the end of a wait does not wait for other threads.
    let capabilities = fixture.capabilities();
    let rounds = if capabilities.virtual_time || !capabilities.threads { 0 } else { 3 };
    for _ in 0..rounds {
        let waker = waker.clone();
        let other = thread::Builder::new().name("pollers: another".to_owned()).spawn(move || {
            // Most probably the wait has begun by then; if not, nothing is proved and nothing fails.
            thread::sleep(Duration::from_millis(20));
            waker.wake();
        });
        let begin = Instant::now();
        ev.run_for(&mut (), LONG).unwrap();
        assert!(begin.elapsed() < LONG, "the wake of another thread was lost");
        other.unwrap().join().unwrap();
    }
    let notifier = ev.context().notifier();
    let notified = ev.start(NotifierWait { notifier: notifier.clone() });
    ev.context().submit(Timer::after(Duration::ZERO), move |(), _cx, _expired| notifier.notify());
    ev.until(|| notified.is_done());
}

/// A backend's own waker ends the wait that follows, though nothing else could, and does not keep the later ones from waiting.
pub(crate) fn a_wake_ends_a_wait_of_the_backend<B: Backend>(_fixture: &Fixture<B>) {
    let mut backend = B::open(&Config::default()).unwrap();
    let mut done = Done::new();
    let waker = backend.waker();
    for round in 0..4 {
        let begin = backend.now();
        waker.clone().wake();
        waker.wake();
        let until = if round % 2 == 0 { Until::Forever } else { Until::Deadline(begin + LONG) };
        assert_eq!(backend.wait(until, &mut done), Ok(()));
        assert!(backend.now().since(begin) < LONG, "the wake was lost");
    }
    let end = backend.now() + Duration::from_millis(30);
    let mut waits = 0;
    while backend.now() < end {
        assert_eq!(backend.wait(Until::Deadline(end), &mut done), Ok(()));
        waits += 1;
    }
    assert!(waits < 10, "it was kept awake: {waits} waits");
    assert!(done.is_empty());
}

/// What only somebody else could wake is a deadlock where there is nobody else, though the program holds a notifier and a
/// waker; by its own hand it goes on.
pub(crate) fn alone_nobody_ends_a_wait<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (notifier, waker) = (ev.context().notifier(), ev.context().waker());
    let notified = ev.start(NotifierWait { notifier: notifier.clone() });
    for _ in 0..2 {
        let error = ev.run(&mut (), RunMode::UntilDone).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Deadlock);
    }
    waker.wake();
    ev.once();
    assert!(!notified.is_done());
    notifier.notify();
    ev.until_done();
    assert_eq!(notified.take().result, Ok(()));
}

/// What is disarmed in a turn that does not wait hears nothing of what comes afterwards, and keeps nobody awake.
#[cfg(unix)]
pub(crate) fn disarmed_under_a_turn_that_does_not_wait<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (near, mut far) = std_pair();
    let handle = ev.context().attach(near).unwrap();
    let log = Log::new();
    let heard = log.clone();
    let many = PollMany { handle, interest: Interest::READABLE };
    let poll = ev.context().submit_multishot(many, move |(), _cx, event| {
        heard.push(event);
        Flow::Continue
    });
    let received = ev.start(recv(handle));
    ev.no_wait();
    assert_eq!(ev.context().cancel(received.key), Cancel::Requested);
    ev.context().delete(poll).unwrap();
    ev.no_wait();
    assert_eq!(received.take().result, Err(Error::Canceled));
    far.write_all(b"later").unwrap();
    // A run in which nothing at all is under way would not wait.
    ev.start(Timer::after(Duration::from_secs(1000)));
    let before = ev.context().turns();
    ev.run_for(&mut (), Duration::from_millis(30)).unwrap();
    assert!(ev.context().turns() - before < 10, "{} turns", ev.context().turns() - before);
    assert_eq!(log.len(), 0);
    assert_eq!(ev.complete(recv(handle)).result, Ok(5), "and nothing is lost");
}

/// What is deleted and closed is so after turns that do not wait.
pub(crate) fn a_deletion_is_done_without_a_wait<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (handle, far) = ev.pair();
    let received = ev.start(recv(handle));
    ev.no_wait();
    ev.context().delete(received.key).unwrap();
    ev.context().close(handle);
    let begin = Instant::now();
    while ev.context().active() > 0 {
        assert!(begin.elapsed() < Duration::from_secs(10), "it is still under way");
        ev.no_wait();
    }
    assert_eq!(ev.complete(recv(far)).result, Ok(0), "the descriptor is closed");
    assert!(!received.is_done());
}

/// Who wait for one child are all told of its end: the first with its status, the others that there is no such child any more.
#[cfg(unix)]
#[allow(clippy::zombie_processes, reason = "the loop waits for it")]
pub(crate) fn two_wait_for_one_child<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let mut child =
        Command::new("sh").args(["-c", "read line; exit 6"]).stdin(Stdio::piped()).spawn().unwrap();
    let input = child.stdin.take();
    let number = || WaitChild { child: ChildProcess::Id(child.id()) };
    let waiting = [ev.start(number()), ev.start(number()), ev.start(number())];
    ev.no_wait();
    // One that gives up takes nothing away from the others.
    assert_eq!(ev.context().cancel(waiting[0].key), Cancel::Requested);
    ev.until(|| waiting[0].is_done());
    assert_eq!(waiting[0].take().result, Err(Error::Canceled));
    ev.no_wait();
    assert!(!waiting[1].is_done() && !waiting[2].is_done());
    drop(input);
    let begin = Instant::now();
    while !(waiting[1].is_done() && waiting[2].is_done()) {
        assert!(begin.elapsed() < LONG, "somebody was not told");
        ev.run_for(&mut (), Duration::from_millis(100)).unwrap();
    }
    let mut results = [waiting[1].take().result, waiting[2].take().result];
    results.sort_by_key(Result::is_err);
    assert_eq!(results[0].map(|status| status.code()), Ok(Some(6)));
    assert_eq!(results[1], Err(system(rustix::io::Errno::CHILD)));
}

/// A wait that its clock ends is over without a callback, not early, and is no end of `Once`.
pub(crate) fn the_clock_is_no_progress<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (handle, _far) = ev.pair();
    let received = ev.start(recv(handle));
    for _ in 0..3 {
        let (begin, before) = (ev.context().update_now(), ev.context().turns());
        ev.run_for(&mut (), Duration::from_millis(10)).unwrap();
        assert!(ev.context().update_now().since(begin) >= Duration::from_millis(10), "it ended early");
        assert!(ev.context().turns() - before < 10, "{} turns", ev.context().turns() - before);
    }
    assert!(!received.is_done());
    // The clock of one that is not there any more.
    let deleted = deleted_timer(&mut ev, Duration::from_millis(1));
    let timer = ev.start(Timer::after(Duration::from_millis(20)));
    ev.once();
    assert_eq!((timer.delivered(), deleted.delivered()), (1, 0));
}

/// A descriptor that is none any more fails its own operation; what waits beside it goes on.
#[cfg(not(unix))]
pub(crate) fn a_bad_descriptor_fails_alone<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (near, _far) = crate::given::connection();
    let number = near.as_raw_fd();
    let bad = ev.context().attach(near).unwrap();
    let (handle, far) = ev.pair();
    let doomed = ev.start(recv(bad));
    let received = ev.start(recv(handle));
    ev.no_wait();
    assert!(!doomed.is_done() && !received.is_done());
    crate::given::close_behind(number);
    assert_eq!(ev.complete(SendAll { handle: far, buffer: b"heard".into() }).result, Ok(()));
    assert_eq!(ev.finish(&received).result, Ok(5));
    assert!(ev.finish(&doomed).result.is_err(), "it is told");
}
