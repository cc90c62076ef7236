//! Operations with a deadline (contract X4).

use std::io::Write as _;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use proactor_core::{
    Accept, AcceptMany, Action, Backend, Buffer, Cancel, Close, Connect, Context, Error, Event, Flow, Handle,
    Interest, Loop, Nop, NotifierWait, Poll, Recv, RunMode, Send, SendAll, Shutdown, ShutdownHow, State,
    Time, Timer, WaitChild, Work,
};

use crate::Fixture;
use crate::peers::{receive_all, with_std};
use crate::steps::{Captures, Log, Pending, Steps, assert_bytes, pattern};

const MS: Duration = Duration::from_millis(1);
/// A deadline that no case lives to see.
const FAR: Duration = Duration::from_secs(1000);
/// More than sockets take while nobody receives.
const MORE_THAN_FITS: usize = 32 << 20;

fn recv(handle: Handle) -> Recv {
    Recv { handle, buffer: Buffer::zeroed(64) }
}

/// The buffer comes back as it was, never early, and what arrives later is the next receive's.
pub(crate) fn a_receive_times_out_with_its_buffer<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    for timeout in [MS, 5 * MS] {
        let (begin, real) = (ev.context().update_now(), Instant::now());
        let received = ev.complete(Recv { handle: server, buffer: vec![7; 64].into() }.with_timeout(timeout));
        assert_eq!((received.result, received.handle), (Err(Error::TimedOut), server));
        assert_eq!(received.buffer.into_vec(), [7; 64]);
        assert!(ev.context().update_now().since(begin) >= timeout, "never early");
        assert!(fixture.capabilities().virtual_time || real.elapsed() >= timeout);
    }
    let due = ev.context().update_now() + 3 * MS;
    assert_eq!(ev.complete(recv(server).with_deadline(due)).result, Err(Error::TimedOut));
    assert!(ev.context().update_now() >= due);
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"later".into() }).result, Ok(()));
    assert_eq!(ev.complete(recv(server).with_timeout(FAR)).result, Ok(5));
}

/// With its real result, and the deadline keeps nobody waiting.
pub(crate) fn a_result_in_time_wins<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let begin = ev.context().update_now();
    let notifier = ev.context().notifier();
    let received = ev.start(recv(server).with_timeout(FAR));
    let notified = ev.start(NotifierWait { notifier: notifier.clone() }.with_timeout(FAR));
    let sent = ev.start(SendAll { handle: client, buffer: b"in time".into() }.with_timeout(FAR));
    let timer = ev.start(Timer::after(MS).with_timeout(2 * MS));
    let equal = ev.start(Timer::at(begin + MS).with_deadline(begin + MS));
    let nop = ev.start(Nop.with_timeout(FAR));
    notifier.notify();
    ev.until_done();
    assert_eq!((received.take().result, sent.take().result), (Ok(7), Ok(())));
    assert_eq!((notified.take().result, nop.take().result), (Ok(()), Ok(())));
    assert_eq!((timer.take().result, equal.take().result), (Ok(()), Ok(())));
    assert!(ev.context().update_now().since(begin) < FAR);
}

/// One whose outcome is queued when the deadline passes keeps it.
pub(crate) fn a_queued_result_outlives_its_deadline<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let notifier = ev.context().notifier();
    notifier.notify();
    // Both are complete in one turn, and the first stops the loop.
    ev.context().submit(Nop, |(), cx, _| cx.stop());
    let notified = ev.start(NotifierWait { notifier }.with_timeout(50 * MS));
    ev.no_wait();
    assert!(!notified.is_done());
    let passed = ev.start(Timer::after(2 * FAR).with_timeout(2 * MS));
    if !fixture.capabilities().virtual_time {
        std::thread::sleep(60 * MS);
    }
    ev.context().resume();
    ev.until_done();
    assert_eq!((notified.take().result, passed.take().result), (Ok(()), Err(Error::TimedOut)));
}

/// A deadline that passes while the loop is kept busy, for longer than it takes until what was written to a peer is there, and than a
/// thread is held up before its first turn.
const SHORT: Duration = Duration::from_millis(100);

/// As a callback that takes its time.
fn keep_busy<B: Backend>(ev: &mut Loop<B, ()>, begin: Time) {
    std::thread::sleep(SHORT);
    assert!(ev.context().update_now() >= begin + SHORT, "the deadlines have passed");
}

/// What the system has by the time the loop looks wins over a deadline that has passed meanwhile, without a wait between;
/// what is not there has timed out.
pub(crate) fn a_result_that_is_there_wins<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (handle, mut peer) = with_std(&mut ev);
    let (silent, _peer) = with_std(&mut ev);
    for _ in 0..3 {
        let received = ev.start(recv(handle).with_timeout(SHORT));
        let second = ev.start(recv(handle).with_timeout(SHORT));
        let nothing = ev.start(recv(silent).with_timeout(SHORT));
        ev.no_wait();
        assert!(!received.is_done() && !nothing.is_done());
        let begin = ev.context().update_now();
        peer.write_all(b"there").unwrap();
        keep_busy(&mut ev, begin);
        ev.until_done();
        assert_eq!(received.take().result, Ok(5));
        assert_eq!(second.take().result, Err(Error::TimedOut), "it was not its turn");
        assert_eq!(nothing.take().result, Err(Error::TimedOut));
    }
}

/// The same of what a descriptor is ready for.
pub(crate) fn a_readiness_that_is_there_wins<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (handle, mut peer) = with_std(&mut ev);
    let (silent, _peer) = with_std(&mut ev);
    let poll = |handle| Poll { handle, interest: Interest::READABLE }.with_timeout(SHORT);
    let (polled, nothing) = (ev.start(poll(handle)), ev.start(poll(silent)));
    ev.no_wait();
    let begin = ev.context().update_now();
    peer.write_all(b"there").unwrap();
    keep_busy(&mut ev, begin);
    ev.until_done();
    assert!(polled.take().result.is_ok_and(|readiness| readiness.is_readable()));
    assert_eq!(nothing.take().result.err(), Some(Error::TimedOut));
}

/// The same of a child that has exited.
pub(crate) fn an_exit_that_is_there_wins<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let mut child = Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
    let stdin = child.stdin.take();
    #[cfg(unix)]
    let id = child.id();
    let exited = ev.start(WaitChild { child: child.into() }.with_timeout(4 * SHORT));
    ev.no_wait();
    let begin = ev.context().update_now();
    {
        let _ends_here = stdin;
    }
    // However long it takes.
    #[cfg(unix)]
    crate::signals::let_end(id);
    for _ in 0..4 {
        keep_busy(&mut ev, begin);
    }
    ev.until_done();
    assert!(exited.take().result.is_ok_and(|status| status.success()));
}

/// The same of what other threads have done: a job that has ended, a notification.
pub(crate) fn what_threads_have_done_in_time_wins<B: Backend>(fixture: &Fixture<B>) {
    // The longer ones are for a machine on which a thread that has said so needs long to end its job.
    const LONG: Duration = Duration::from_millis(750);
    for timeout in [SHORT, 3 * SHORT, LONG] {
        let mut ev = fixture.open();
        let ((go_on, told), (says, ended)) = (mpsc::channel::<()>(), mpsc::channel());
        let notifier = ev.context().notifier();
        let worked =
            ev.start(Work::new(move || told.recv().is_ok() && says.send(()).is_ok()).with_timeout(timeout));
        let notified = ev.start(NotifierWait { notifier: notifier.clone() }.with_timeout(timeout));
        let silent = ev.context().notifier();
        let nothing = ev.start(NotifierWait { notifier: silent }.with_timeout(timeout));
        ev.no_wait();
        let begin = ev.context().update_now();
        go_on.send(()).unwrap();
        notifier.notify();
        // However long it takes until there is a thread.
        ended.recv().unwrap();
        let is_late = ev.context().update_now().since(begin) > timeout / 2;
        while ev.context().update_now().since(begin) < timeout {
            keep_busy(&mut ev, begin);
        }
        ev.until_done();
        let worked = worked.take().result;
        if is_late || timeout < LONG && matches!(worked, Err(Error::TimedOut)) {
            continue;
        }
        assert!(matches!(worked, Ok(true)));
        assert_eq!(notified.take().result, Ok(()));
        assert_eq!(nothing.take().result, Err(Error::TimedOut));
        return;
    }
    panic!("a job was to end in time");
}

/// Deadlines that have passed come last of what a turn finds: after expired timers, notifications, and what is complete.
pub(crate) fn a_deadline_comes_after_what_is_there<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (handle, mut peer) = with_std(&mut ev);
    let (silent, _peer) = with_std(&mut ev);
    let log = Log::new();
    let write = |name: &'static str| {
        let seen = log.clone();
        move |cx: &Context<'_, B, ()>| seen.push((name, cx.turns()))
    };
    let mut cx = ev.context();
    let notifier = cx.notifier();
    let timed_out = write("timed out");
    cx.submit(recv(silent).with_timeout(SHORT / 2), move |(), cx, _| timed_out(cx));
    let received = write("received");
    cx.submit(recv(handle), move |(), cx, _| received(cx));
    let notified = write("notified");
    cx.submit(NotifierWait { notifier: notifier.clone() }, move |(), cx, _| notified(cx));
    let expired = write("expired");
    cx.submit(Timer::after(SHORT), move |(), cx, _| expired(cx));
    ev.no_wait();
    let begin = ev.context().update_now();
    peer.write_all(b"there").unwrap();
    notifier.notify();
    keep_busy(&mut ev, begin);
    let submitted = write("submitted");
    ev.context().submit(Nop, move |(), cx, _| submitted(cx));
    ev.until(|| log.len() == 5);
    let (names, turns): (Vec<_>, Vec<_>) = log.take().into_iter().unzip();
    assert_eq!(names, ["submitted", "expired", "notified", "received", "timed out"]);
    assert_eq!(turns[0], turns[3], "in one turn");
    ev.until_done();
}

/// A user's cancel is heard as one, whenever it is delivered; one that comes after the deadline changes nothing.
pub(crate) fn a_cancel_before_the_deadline_is_canceled<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (_client, server) = ev.pair();
    for started in [false, true] {
        let received = ev.start(recv(server).with_timeout(FAR));
        let behind = ev.start(recv(server).with_timeout(FAR));
        let timer = ev.start(Timer::after(2 * FAR).with_timeout(FAR));
        if started {
            ev.no_wait();
        }
        for key in [received.key, behind.key, timer.key] {
            assert_eq!(ev.cancel(key), Cancel::Requested);
        }
        ev.until_done();
        assert_eq!(received.take().result, Err(Error::Canceled));
        assert_eq!(behind.take().result, Err(Error::Canceled));
        assert_eq!(timer.take().result, Err(Error::Canceled));
    }
    let received = ev.start(recv(server).with_timeout(MS));
    assert_eq!(ev.finish(&received).result, Err(Error::TimedOut));
    assert_eq!(ev.cancel(received.key), Cancel::NotFound);
}

/// Each kind of operation that waits, at the head of its queue and behind others.
pub(crate) fn every_kind_times_out<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (_client, server) = ev.pair();
    let [(listener, _), (many, _)] = [ev.listener(), ev.listener()];
    let notifier = ev.context().notifier();
    let log = Log::new();
    let seen = log.clone();
    let all = AcceptMany { listener: many }.with_timeout(3 * MS);
    ev.context().submit_multishot(all, move |(), _, event| {
        let Event::Last(last) = event else { panic!("nobody connects") };
        seen.push(last.output.error);
        Flow::Stop
    });
    let timer = ev.start(Timer::at(Time::NEVER).with_timeout(3 * MS));
    let notified = ev.start(NotifierWait { notifier }.with_timeout(3 * MS));
    let accepted = ev.start(Accept { listener }.with_timeout(3 * MS));
    let received = ev.start(recv(server).with_timeout(3 * MS));
    let second = ev.start(recv(server).with_timeout(2 * MS));
    let sent =
        ev.start(SendAll { handle: server, buffer: vec![7; MORE_THAN_FITS].into() }.with_timeout(9 * MS));
    let behind = ev.start(Send { handle: server, buffer: vec![7; 64].into() }.with_timeout(3 * MS));
    let shut_down = ev.start(Shutdown { handle: server, how: ShutdownHow::Write }.with_timeout(3 * MS));
    ev.until_done();
    let timed_out = Some(Error::TimedOut);
    assert_eq!(timer.take().result.err(), timed_out);
    assert_eq!(notified.take().result.err(), timed_out);
    assert_eq!(accepted.take().result.err(), timed_out);
    assert_eq!(received.take().result.err(), timed_out);
    assert_eq!(second.take().result.err(), timed_out);
    assert_eq!(sent.take().result.err(), timed_out);
    assert_eq!(behind.take().result.err(), timed_out);
    assert_eq!(shut_down.take().result.err(), timed_out);
    assert_eq!(log.take(), [Error::TimedOut]);
}

/// A connect that nobody answers, as libuv's; the socket is good for nothing but closing, and the others go on.
pub(crate) fn a_connect_times_out<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, address) = {
        let mut cx = ev.context();
        let listener = cx.socket(proactor_core::Family::Ipv4).unwrap();
        cx.bind(listener, crate::steps::address(crate::steps::IPV4)).unwrap();
        cx.listen_on(listener, 1).unwrap();
        (listener, cx.local_address(listener).unwrap())
    };
    let begin = ev.context().update_now();
    let connects: Vec<Pending<_>> = (0..16)
        .map(|_| {
            let handle = ev.context().socket(address.family()).unwrap();
            ev.start(Connect { handle, address: address.clone() }.with_timeout(50 * MS))
        })
        .collect();
    ev.until_done();
    assert!(ev.context().update_now().since(begin) >= 50 * MS);
    let mut timed_out = 0;
    for connect in connects {
        let connect = connect.take();
        assert!(matches!(connect.result, Ok(()) | Err(Error::TimedOut)), "{connect:?}");
        assert_eq!(connect.address, address);
        timed_out += usize::from(connect.result.is_err());
        assert_eq!(ev.complete(Close { handle: connect.handle }).result, Ok(()));
    }
    assert!(timed_out > 0, "a backlog of 1 does not take 16");
    assert!(ev.complete(Accept { listener }).result.is_ok());
}

/// What the system took of a send is told, and is what arrives.
pub(crate) fn a_send_that_times_out_tells_what_was_transferred<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let data = pattern(5, MORE_THAN_FITS);
    let sent = ev.complete(SendAll { handle: client, buffer: data.clone().into() }.with_timeout(50 * MS));
    assert_eq!(sent.result, Err(Error::TimedOut));
    assert!(sent.transferred > 0 && sent.transferred < data.len(), "{}", sent.transferred);
    assert_bytes(&sent.buffer, &data);
    ev.context().close(client);
    let (bytes, end) = receive_all(&mut ev, server, 1 << 20);
    assert_eq!(end, Ok(()));
    assert_bytes(&bytes, &data[..sent.transferred]);
}

/// One in the middle of a queue leaves it; the others keep their order.
pub(crate) fn one_behind_others_times_out_alone<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let first = ev.start(recv(server));
    let second = ev.start(recv(server).with_timeout(2 * MS));
    let third = ev.start(Recv { handle: server, buffer: Buffer::zeroed(3) }.with_timeout(FAR));
    assert_eq!(ev.finish(&second).result, Err(Error::TimedOut));
    assert!(!first.is_done() && !third.is_done());
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"one".into() }).result, Ok(()));
    assert_eq!(ev.finish(&first).result, Ok(3));
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"two".into() }).result, Ok(()));
    let third = ev.finish(&third);
    assert_eq!((third.result, &third.buffer[..]), (Ok(3), &b"two"[..]));
}

/// Each arming has its own, counted from when it is armed; without one it waits.
pub(crate) fn each_arming_has_a_fresh_deadline<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let log = Log::new();
    let seen = log.clone();
    ev.context().submit_rearm(recv(server).with_timeout(3 * MS), move |(), cx, received| {
        seen.push((cx.update_now(), received.result));
        match seen.len() {
            1..3 => Action::Rearm(Recv { handle: server, buffer: received.buffer }.with_timeout(3 * MS)),
            3 => {
                cx.timer_after(9 * MS, move |(), cx| {
                    cx.submit(SendAll { handle: client, buffer: b"data".into() }, |(), _, _| ());
                });
                Action::Rearm(Recv { handle: server, buffer: received.buffer }.with_deadline(Time::NEVER))
            }
            _ => Action::Disarm,
        }
    });
    ev.until_done();
    let seen = log.take();
    let results: Vec<_> = seen.iter().map(|(_, result)| *result).collect();
    let timed_out = Err(Error::TimedOut);
    assert_eq!(results, [timed_out, timed_out, timed_out, Ok(4)]);
    assert!(seen[..3].windows(2).all(|pair| pair[1].0.since(pair[0].0) >= 3 * MS), "{seen:?}");
}

/// A deadline of an arming that has ended never reaches a later one, of the same operation or of one in its place.
pub(crate) fn a_deadline_never_reaches_a_later_arming<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    for round in 0..200_u64 {
        let timeout = Duration::from_micros(round * 3);
        let bounded = ev.start(recv(server).with_timeout(timeout));
        let sent = ev.start(SendAll { handle: client, buffer: b"x".into() });
        let first = ev.finish(&bounded).result;
        let next = ev.start(recv(server));
        if first == Ok(1) {
            ev.no_wait();
            assert!(!next.is_done());
            assert_eq!(ev.finish(&sent).result, Ok(()));
            assert_eq!(ev.complete(SendAll { handle: client, buffer: b"y".into() }).result, Ok(()));
        } else {
            assert_eq!(first, Err(Error::TimedOut));
        }
        assert_eq!(ev.finish(&next).result, Ok(1), "it has no deadline");
    }
    ev.until_done();
}

/// What has none to wait for: the system never sees it, and what has arrived stays.
pub(crate) fn a_deadline_that_has_passed_starts_nothing<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"data".into() }).result, Ok(()));
    ev.idle();
    let received = ev.start(recv(server).with_timeout(Duration::ZERO));
    let sent = ev.start(SendAll { handle: client, buffer: b"more".into() }.with_deadline(Time::ZERO));
    let nop = ev.start(Nop.with_timeout(Duration::ZERO));
    let timer = ev.start(Timer::after(Duration::ZERO).with_timeout(Duration::ZERO));
    ev.until_done();
    let sent = sent.take();
    assert_eq!((sent.result, sent.transferred), (Err(Error::TimedOut), 0));
    assert_eq!((received.take().result, nop.take().result), (Err(Error::TimedOut), Err(Error::TimedOut)));
    assert_eq!(timer.take().result, Ok(()), "it is due in time");
    let received = ev.complete(recv(server));
    assert_eq!((received.result, &received.buffer[..4]), (Ok(4), &b"data"[..]));
}

/// The largest durations are no deadlines, and break nothing.
pub(crate) fn the_extremes_of_timeouts_are_fine<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (_client, server) = ev.pair();
    let waiting = [
        ev.start(recv(server).with_timeout(Duration::MAX)),
        ev.start(recv(server).with_deadline(Time::NEVER)),
        ev.start(recv(server).with_timeout(Duration::from_nanos(u64::MAX - 1))),
    ];
    let timer = ev.start(Timer::after(Duration::from_nanos(1)).with_timeout(Duration::MAX));
    assert_eq!(ev.finish(&timer).result, Ok(()));
    ev.idle();
    assert!(waiting.iter().all(|receive| !receive.is_done()));
    ev.context().cancel_all();
    ev.until_done();
    assert!(waiting.iter().all(|receive| receive.take().result == Err(Error::Canceled)));
}

/// The delay of a rearm goes before its timeout.
pub(crate) fn a_timeout_counts_after_the_delay<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (_client, server) = ev.pair();
    let log = Log::new();
    let seen = log.clone();
    ev.context().submit_rearm(recv(server).with_timeout(MS), move |(), cx, received| {
        assert_eq!(received.result, Err(Error::TimedOut));
        seen.push(cx.update_now());
        if seen.len() == 3 {
            return Action::Disarm;
        }
        cx.rearm_after(4 * MS, Recv { handle: server, buffer: received.buffer }.with_timeout(3 * MS))
    });
    ev.until_done();
    let times = log.take();
    assert!(times.windows(2).all(|pair| pair[1].since(pair[0]) >= 7 * MS), "{times:?}");
}

/// A reset moves what a timer waits for, and leaves its deadline.
pub(crate) fn a_reset_timer_keeps_its_deadline<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let begin = ev.context().update_now();
    let timer = ev.start(Timer::after(FAR).with_deadline(begin + 5 * MS));
    assert_eq!(ev.context().timer_reset(timer.key, Timer::after(2 * FAR)), Ok(()));
    ev.no_wait();
    if !timer.is_done() {
        assert_eq!(ev.context().timer_reset(timer.key, Timer::after(3 * FAR)), Ok(()));
    }
    assert_eq!(ev.finish(&timer).result, Err(Error::TimedOut));
    assert!(ev.context().update_now() >= begin + 5 * MS);
    let timer = ev.start(Timer::after(FAR).with_timeout(FAR));
    ev.no_wait();
    assert_eq!(ev.context().timer_reset(timer.key, Timer::after(MS)), Ok(()));
    assert_eq!(ev.finish(&timer).result, Ok(()));
}

/// A wait that has timed out leaves its notifier free, and no notification is lost.
pub(crate) fn a_timed_out_wait_keeps_the_notification<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let notifier = ev.context().notifier();
    let wait = ev.start(NotifierWait { notifier: notifier.clone() }.with_timeout(MS));
    assert_eq!(ev.finish(&wait).result, Err(Error::TimedOut));
    notifier.notify();
    let wait = ev.start(NotifierWait { notifier: notifier.clone() }.with_timeout(Duration::ZERO));
    assert_eq!(ev.finish(&wait).result, Err(Error::TimedOut));
    assert_eq!(ev.complete(NotifierWait { notifier }.with_timeout(FAR)).result, Ok(()));
}

/// A handle is closed after a receive on it has timed out, and under one whose deadline is still to come.
pub(crate) fn closing_after_a_timeout_and_before_one<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let log = Log::new();
    let seen = log.clone();
    ev.context().submit(recv(server).with_timeout(2 * MS), move |(), cx, received| {
        seen.push(received.result);
        cx.close(received.handle);
    });
    ev.until_done();
    assert_eq!(log.take(), [Err(Error::TimedOut)]);
    assert_eq!(ev.complete(recv(client).with_timeout(FAR)).result, Ok(0), "the peer sees the end");

    let [first, second] = [(); 2].map(|()| ev.start(recv(client).with_timeout(FAR)));
    // Both see the end of the stream; another connection is silent.
    ev.until_done();
    assert_eq!((first.take().result, second.take().result), (Ok(0), Ok(0)));
    let (_silent, end) = ev.pair();
    let waiting = [(); 3].map(|()| ev.start(recv(end).with_timeout(FAR)));
    ev.no_wait();
    let closed = ev.start(Close { handle: end }.with_timeout(Duration::ZERO));
    ev.until_done();
    assert!(waiting.iter().all(|receive| receive.take().result == Err(Error::Canceled)));
    assert_eq!(closed.take().result, Ok(()), "a close cannot be undone");
}

/// Deleted, queued or started, at the head or behind: silent, and no deadline is left.
pub(crate) fn deleting_takes_the_deadline_along<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    for started in [false, true] {
        let head = ev.start(recv(server).with_timeout(2 * MS));
        let behind = ev.start(recv(server).with_timeout(2 * MS));
        let timer = ev.start(Timer::after(FAR).with_timeout(2 * MS));
        if started {
            ev.no_wait();
        }
        let keys = [behind.key, head.key, timer.key];
        if keys.into_iter().any(|key| ev.state(key) == State::Dead) {
            // This thread was kept waiting for so long.
            ev.until_done();
            continue;
        }
        for key in keys {
            assert_eq!(ev.context().delete(key), Ok(()));
        }
        let next = ev.start(recv(server));
        ev.context().timer_after(4 * MS, move |(), cx| {
            cx.submit(SendAll { handle: client, buffer: b"data".into() }, |(), _, _| ());
        });
        ev.until_done();
        assert_eq!(next.take().result, Ok(4), "the next one is nobody's heir");
        assert_eq!((head.delivered(), behind.delivered(), timer.delivered()), (0, 0, 0));
    }
}

/// A loop can be dropped with deadlines armed; what callbacks have captured goes with it.
pub(crate) fn dropping_the_loop_with_deadlines_armed<B: Backend>(fixture: &Fixture<B>) {
    let captures = Captures::default();
    let mut ev = fixture.open();
    let (_client, server) = ev.pair();
    for timeout in [MS, FAR] {
        let (first, second) = (captures.capture(), captures.capture());
        ev.context().submit(recv(server).with_timeout(timeout), move |(), _, _| drop(first));
        ev.context().submit(Timer::after(FAR).with_timeout(timeout), move |(), _, _| drop(second));
    }
    ev.run(&mut (), RunMode::NoWait).unwrap();
    assert!(captures.held() > 0);
    drop(ev);
    assert_eq!(captures.held(), 0);
}

/// Its items do not put off the end of a multishot operation, and it can be armed again with another deadline.
pub(crate) fn a_multishot_operation_times_out_as_a_whole<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, address) = ev.listener();
    let log = Log::new();
    let seen = log.clone();
    let accept = AcceptMany { listener }.with_timeout(20 * MS);
    ev.context().submit_multishot(accept, move |(), cx, event| match event {
        Event::More(connection) => {
            cx.close(connection.handle);
            seen.push(None);
            Flow::Continue
        }
        Event::Last(last) => {
            seen.push(Some(last.output.error));
            if seen.len() < 4 { last.rearm(AcceptMany { listener }.with_timeout(5 * MS)) } else { Flow::Stop }
        }
    });
    for _ in 0..2 {
        let handle = ev.context().socket(address.family()).unwrap();
        ev.context().submit(Connect { handle, address: address.clone() }, |(), cx, connected| {
            assert_eq!(connected.result, Ok(()));
            cx.close(connected.handle);
        });
    }
    ev.until_done();
    let timed_out = Some(Error::TimedOut);
    assert_eq!(log.take(), [None, None, timed_out, timed_out]);
}
