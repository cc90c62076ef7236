//! Programs that once went wrong, each over the public interface alone.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use proactor_epoll::{
    Action, Buffer, Cancel, Config, Driver, Envelope, Error, Event, Flow, Handle, Interest, Key, Loop, Nop,
    Outcome, Peer, Poll, ReceivedFrom, Recv, RecvFrom, RecvMany, RunMode, Send, SendAll, SendMsg, SentAll,
    Shutdown, ShutdownHow, State, Time, Until, Work,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Panics when it is dropped, but not while another panic unwinds.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(thread::panicking(), "dropped");
    }
}

#[test]
fn a_result_that_panics_when_it_is_dropped_ends_its_operation() {
    let mut ev = Loop::<u32>::open(Config::default()).unwrap();
    let (go, wait) = mpsc::channel::<()>();
    let (began, begins) = mpsc::channel::<()>();
    let captured = Rc::new(());
    let capture = Rc::clone(&captured);
    let work = Work::new(move || {
        began.send(()).unwrap();
        wait.recv().unwrap();
        Bomb
    });
    let key = ev.context().submit(work, move |_, _, worked| {
        let _capture = capture;
        std::mem::forget(worked);
    });
    ev.run(&mut 0, RunMode::NoWait).unwrap();
    begins.recv().unwrap();
    ev.context().delete(key).unwrap();
    go.send(()).unwrap();
    let run = catch_unwind(AssertUnwindSafe(|| ev.run_for(&mut 0, Duration::from_secs(20))));
    assert!(run.is_err(), "the panic comes out of run");
    assert_eq!((ev.context().active(), Rc::strong_count(&captured)), (0, 1));
}

#[test]
fn a_closure_that_panics_when_it_is_deleted_leaves_its_place_free() {
    let mut ev = Loop::<u32>::open(Config::default()).unwrap();
    let (bomb, captured) = (Bomb, Rc::new(()));
    let capture = Rc::clone(&captured);
    let work = Work::new(move || std::mem::forget(bomb));
    let key = ev.context().submit(work, move |_, _, _| drop(capture));
    assert!(catch_unwind(AssertUnwindSafe(|| ev.context().delete(key))).is_err());
    ev.context().submit(Nop, |called, _, _| *called += 1);
    let mut called = 0;
    ev.run(&mut called, RunMode::UntilDone).unwrap();
    assert_eq!((called, Rc::strong_count(&captured)), (1, 1));
}

#[test]
fn a_waker_made_while_another_loop_waits_wakes_it() {
    let mut ev = Loop::<u32>::open(Config::default()).unwrap();
    while ev.prepare_wait().unwrap() == Until::Now {
        ev.run(&mut 0, RunMode::NoWait).unwrap();
    }
    let waker = ev.context().waker();
    thread::spawn(move || waker.wake()).join().unwrap();
    let shown = ev.as_fd().unwrap().unwrap();
    let time = Timespec { tv_sec: 20, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::new(&shown, PollFlags::IN)], Some(&time)), Ok(1));
}

#[test]
fn a_timeout_of_centuries_is_no_deadlock() {
    let mut ev = Loop::<usize>::open(Config::default()).unwrap();
    let (near, mut far) = UnixStream::pair().unwrap();
    let handle = ev.context().attach(near).unwrap();
    let recv = Recv { handle, buffer: Buffer::zeroed(8) }.with_timeout(Duration::from_nanos(u64::MAX - 1));
    ev.context().submit(recv, |bytes, _, received| *bytes = received.result.unwrap());
    let mut bytes = 0;
    ev.run_for(&mut bytes, Duration::ZERO).unwrap();
    let sending = thread::spawn(move || {
        far.write_all(b"abc").unwrap();
        far
    });
    ev.run(&mut bytes, RunMode::UntilDone).unwrap();
    assert_eq!(bytes, 3);
    sending.join().unwrap();
}

#[test]
fn what_waits_behind_another_is_cancelled_once_by_cancel_all() {
    let mut ev = Loop::<Vec<u32>>::open(Config::default()).unwrap();
    let (near, mut far) = UnixStream::pair().unwrap();
    let handle = ev.context().attach(near).unwrap();
    let mut cx = ev.context();
    for who in 0..2 {
        cx.submit_rearm(
            Recv { handle, buffer: Buffer::zeroed(1) },
            move |heard: &mut Vec<u32>, _, received| {
                if received.result != Err(Error::Canceled) {
                    return Action::Disarm;
                }
                heard.push(who);
                Action::Rearm(Recv { handle, buffer: received.buffer })
            },
        );
    }
    cx.cancel_all();
    far.write_all(b"bytes").unwrap();
    let mut heard = Vec::new();
    ev.run(&mut heard, RunMode::UntilDone).unwrap();
    assert_eq!(heard, [0, 1]);
}

#[test]
fn work_may_have_a_deadline() {
    let mut ev = Loop::<u32>::open(Config::default()).unwrap();
    let work = Work::new(|| unreachable!("its deadline has passed")).with_timeout(Duration::ZERO);
    ev.context().submit(work, |ended, _, worked| {
        assert_eq!(worked.error(), Some(Error::TimedOut));
        assert!(worked.call.is_some(), "what was not called comes back");
        *ended += 1;
    });
    let mut ended = 0;
    ev.run(&mut ended, RunMode::UntilDone).unwrap();
    assert_eq!(ended, 1);
}

#[test]
fn a_buffer_that_returns_wakes_another_loop_that_waits() {
    let mut ev = Loop::<Vec<Buffer>>::open(Config::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let near = listener.accept().unwrap().0;
    let mut cx = ev.context();
    let handle = cx.attach(near).unwrap();
    let pool = cx.buffer_pool(1, 8).unwrap();
    cx.submit_multishot(RecvMany { handle, pool }, |kept: &mut Vec<Buffer>, _, event| {
        if let Event::More(buffer) = event {
            kept.push(buffer);
        }
        Flow::Continue
    });
    let mut kept = Vec::new();
    // Less than a buffer holds: nothing is left then, and the receive waits for bytes, not for a buffer.
    far.write_all(b"1234").unwrap();
    while kept.is_empty() {
        ev.run(&mut kept, RunMode::NoWait).unwrap();
    }
    for _ in 0..3 {
        ev.run(&mut kept, RunMode::NoWait).unwrap();
    }
    far.write_all(b"5678").unwrap();
    let until = ev.prepare_wait().unwrap();
    thread::spawn(move || drop(kept)).join().unwrap();
    let shown = ev.as_fd().unwrap().unwrap();
    let time = Timespec { tv_sec: 20, tv_nsec: 0 };
    let is_shown =
        until == Until::Now || poll(&mut [PollFd::new(&shown, PollFlags::IN)], Some(&time)) == Ok(1);
    assert!(is_shown, "the other loop would sleep for ever");
}

/// A datagram socket with a peer that has sent these to it, and receives of four bytes queued on it.
fn datagrams(sent: &[&[u8]], receives: usize) -> (Driver, UnixDatagram, Handle, Vec<Key>) {
    let mut driver = Driver::open(Config::default()).unwrap();
    let (ours, peer) = UnixDatagram::pair().unwrap();
    for bytes in sent {
        peer.send(bytes).unwrap();
    }
    let handle = driver.attach(ours).unwrap();
    let submit = |driver: &mut Driver| {
        driver.submit(RecvFrom { handle, buffer: Buffer::zeroed(4), peer: Peer::default() })
    };
    let keys = (0..receives).map(|_| submit(&mut driver)).collect();
    (driver, peer, handle, keys)
}

/// What the next outcome says, which is of a `RecvFrom`.
fn received(driver: &mut Driver) -> Option<(Key, Result<Vec<u8>, Error>)> {
    let (key, outcome) = driver.pop()?;
    let Outcome::RecvFrom(ReceivedFrom { buffer, result, .. }) = outcome else { panic!("{outcome:?}") };
    Some((key, result.map(|datagram| buffer[..datagram.len()].to_vec())))
}

#[test]
fn one_turn_takes_as_many_datagrams_as_there_are() {
    let (mut driver, peer, _, keys) = datagrams(&[b"a", b"bb", b"ccc"], 5);
    driver.turn(Until::Now).unwrap();
    for (&key, bytes) in keys.iter().zip([&b"a"[..], b"bb", b"ccc"]) {
        assert_eq!(received(&mut driver), Some((key, Ok(bytes.to_vec()))));
    }
    assert_eq!(received(&mut driver), None);
    peer.send(b"dddd").unwrap();
    peer.send(b"e").unwrap();
    driver.turn(Until::Forever).unwrap();
    driver.turn(Until::Now).unwrap();
    assert_eq!(received(&mut driver), Some((keys[3], Ok(b"dddd".to_vec()))));
    driver.turn(Until::Now).unwrap();
    assert_eq!(received(&mut driver), Some((keys[4], Ok(b"e".to_vec()))));
    assert_eq!((received(&mut driver), driver.active()), (None, 0));
}

#[test]
fn what_left_its_queue_before_it_was_delivered_is_delivered_when_the_handle_closes() {
    let (mut driver, peer, handle, keys) = datagrams(&[b"a"], 3);
    driver.turn(Until::Now).unwrap();
    // The first has ended, the second waits for a datagram, the third for the second.
    assert_eq!(driver.cancel(keys[0]), Cancel::TooLate);
    assert_eq!(driver.state(keys[1]), State::Active);
    assert_eq!(driver.state(keys[2]), State::Adding);
    driver.close(handle);
    driver.turn(Until::Now).unwrap();
    assert_eq!(received(&mut driver), Some((keys[0], Ok(b"a".to_vec()))));
    for &key in &keys[1..] {
        assert_eq!(received(&mut driver), Some((key, Err(Error::Canceled))));
    }
    driver.turn(Until::Now).unwrap();
    assert_eq!((received(&mut driver), driver.active()), (None, 0));
    assert!(peer.send(b"x").is_err(), "the descriptor is closed");
}

#[test]
fn what_left_its_queue_before_it_was_delivered_can_be_deleted() {
    let (mut driver, peer, handle, keys) = datagrams(&[b"a"], 3);
    driver.turn(Until::Now).unwrap();
    driver.delete(keys[0]).unwrap();
    driver.delete(keys[1]).unwrap();
    peer.send(b"b").unwrap();
    let got = loop {
        driver.turn(Until::Now).unwrap();
        if let Some(got) = received(&mut driver) {
            break got;
        }
    };
    assert_eq!(got, (keys[2], Ok(b"b".to_vec())));
    assert_eq!(driver.active(), 0);
    assert!(driver.detach(handle).is_ok(), "nothing uses it any more");
}

#[test]
fn what_follows_a_part_of_a_message_is_not_started_before_that_is_heard() {
    let mut driver = Driver::open(Config::default()).unwrap();
    let (ours, _peer) = UnixStream::pair().unwrap();
    let handle = driver.attach(ours).unwrap();
    let buffer = Buffer::from(vec![1; 1 << 22]);
    driver.submit(SendMsg { handle, buffer, envelope: Envelope::default() });
    let shutdown = driver.submit(Shutdown { handle, how: ShutdownHow::Write });
    driver.turn(Until::Now).unwrap();
    assert_eq!(driver.state(shutdown), State::Adding);
    let Some((_, Outcome::SendMsg(sent))) = driver.pop() else {
        panic!("it has sent what there was room for")
    };
    assert!(sent.result.is_ok_and(|len| len < 1 << 22));
}

/// Who hears that only a part was sent can still send the rest before what is behind it.
#[test]
fn what_follows_a_part_that_was_sent_is_not_started_before_that_is_heard() {
    let mut driver = Driver::open(Config::default()).unwrap();
    let (ours, mut peer) = UnixStream::pair().unwrap();
    let handle = driver.attach(ours).unwrap();
    driver.submit(Send { handle, buffer: Buffer::from(vec![1; 1 << 20]) });
    let shutdown = driver.submit(Shutdown { handle, how: ShutdownHow::Write });
    driver.turn(Until::Now).unwrap();
    assert_eq!(driver.state(shutdown), State::Adding);
    let Some((_, Outcome::Send(sent))) = driver.pop() else { panic!("it has sent what there was room for") };
    let len = sent.result.unwrap();
    assert!(0 < len && len < 1 << 20, "{len}");
    assert_eq!(driver.cancel(shutdown), Cancel::Requested);
    driver.submit(SendAll { handle, buffer: Buffer::from(vec![2; (1 << 20) - len]) });
    driver.submit(Shutdown { handle, how: ShutdownHow::Write });
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        peer.read_to_end(&mut bytes).map(|len| (len, bytes.iter().position(|&byte| byte == 2)))
    });
    while driver.active() > 0 {
        driver.turn(Until::Forever).unwrap();
        while let Some((_, outcome)) = driver.pop() {
            match outcome {
                Outcome::SendAll(SentAll { result, .. }) => assert_eq!(result, Ok(())),
                Outcome::Shutdown(done) => assert!(matches!(done.result, Ok(()) | Err(Error::Canceled))),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(reader.join().unwrap().unwrap(), (1 << 20, Some(len)));
}

#[test]
fn what_was_queued_in_between_is_started_in_its_order() {
    let mut driver = Driver::open(Config::default()).unwrap();
    let (ours, peer) = UnixDatagram::pair().unwrap();
    for bytes in [b"a", b"b"] {
        peer.send(bytes).unwrap();
    }
    let handle = driver.attach(ours).unwrap();
    let receive = || RecvFrom { handle, buffer: Buffer::zeroed(4), peer: Peer::default() };
    driver.submit(receive());
    let poll = driver.submit(Poll { handle, interest: Interest::READABLE });
    driver.submit(receive());
    let mut ended = Vec::new();
    for _ in 0..3 {
        driver.turn(Until::Now).unwrap();
        ended.extend(std::iter::from_fn(|| driver.pop()).map(|(key, _)| key));
    }
    assert!(ended.contains(&poll), "when its turn came, there was a datagram");
}

#[test]
fn what_is_behind_one_that_fails_can_be_cancelled_by_its_callback() {
    let mut ev = Loop::<Vec<Result<usize, Error>>>::open(Config::default()).unwrap();
    let (ours, peer) = UnixDatagram::pair().unwrap();
    peer.set_nonblocking(true).unwrap();
    let mut cx = ev.context();
    let handle = cx.attach(ours).unwrap();
    let behind = std::rc::Rc::new(std::cell::Cell::new(None));
    let its_key = Rc::clone(&behind);
    // Far beyond what a datagram has.
    cx.submit(Send { handle, buffer: Buffer::zeroed(16 << 20) }, move |results: &mut Vec<_>, cx, sent| {
        results.push(sent.result);
        cx.cancel(its_key.get().unwrap());
    });
    let second = Send { handle, buffer: Buffer::from(b"without the first".to_vec()) };
    behind.set(Some(cx.submit(second, |results, _cx, sent| results.push(sent.result))));
    let mut results = Vec::new();
    ev.run(&mut results, RunMode::UntilDone).unwrap();
    assert!(results[0].is_err());
    assert_eq!(results[1], Err(Error::Canceled));
    assert!(peer.recv(&mut [0; 32]).is_err(), "it was never sent");
}

#[test]
fn a_descriptor_stays_until_what_it_has_brought_is_delivered() {
    let (mut driver, _peer, handle, _) = datagrams(&[b"a"], 1);
    let behind = RecvFrom { handle, buffer: Buffer::zeroed(4), peer: Peer::default() };
    driver.submit(behind.with_deadline(Time::ZERO));
    driver.turn(Until::Now).unwrap();
    assert_eq!(driver.detach(handle).map(drop), Err(Error::Busy), "two outcomes are queued");
}
