//! Receiving for as long as bytes come, into buffers of a pool (contract B2, C1, C5, X1).

use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use proactor_core::{
    Backend, Buffer, BufferPool, Cancel, Error, Event, Flow, Handle, Key, Loop, Nop, Recv, RecvMany, RunMode,
    SendAll, Shutdown, ShutdownHow, SocketOption, State, Time, Timer,
};
use rustix::io::Errno;

use crate::Fixture;
use crate::steps::{Captures, Log, Steps, assert_bytes, pattern, start, system};

/// How long a case waits for what is to come at once.
const PATIENCE: Duration = Duration::from_secs(8);

/// What a [`RecvMany`] delivers: its buffers, which its user keeps until they are taken from here, and its end.
struct Received {
    key: Key,
    buffers: Log<Buffer>,
    ends: Log<Result<(), Error>>,
}

impl Received {
    /// All bytes that have come, giving the buffers back.
    fn take(&self) -> Vec<u8> {
        self.buffers.take().iter().flat_map(|buffer| buffer.to_vec()).collect()
    }

    fn ended(&self) -> bool {
        self.ends.len() > 0
    }
}

/// Receives on `handle` until told otherwise.
fn receive<B: Backend>(ev: &mut Loop<B, ()>, handle: Handle, pool: &BufferPool) -> Received {
    let (buffers, ends) = (Log::new(), Log::new());
    let (kept, ended, its_pool) = (buffers.clone(), ends.clone(), pool.clone());
    let operation = RecvMany { handle, pool: pool.clone() };
    let key = ev.context().submit_multishot(operation, move |(), _, event| {
        match event {
            Event::More(buffer) => {
                assert!(!buffer.is_empty() && buffer.len() <= its_pool.buffer_size());
                kept.push(buffer);
            }
            Event::Last(last) => {
                assert!(last.output.handle == handle && last.output.pool == its_pool, "all comes back");
                ended.push(last.output.result);
            }
        }
        Flow::Continue
    });
    Received { key, buffers, ends }
}

fn send<B: Backend>(ev: &mut Loop<B, ()>, handle: Handle, bytes: &[u8]) {
    assert_eq!(ev.complete(SendAll { handle, buffer: bytes.to_vec().into() }).result, Ok(()));
}

fn end<B: Backend>(ev: &mut Loop<B, ()>, handle: Handle) {
    assert_eq!(ev.complete(Shutdown { handle, how: ShutdownHow::Write }).result, Ok(()));
}

/// Runs until that many bytes have come, giving back each buffer.
fn take_bytes<B: Backend>(ev: &mut Loop<B, ()>, received: &Received, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    ev.until(|| {
        bytes.extend(received.take());
        bytes.len() >= count
    });
    bytes
}

/// Each piece arrives as it is sent, and the end of the stream is the last event, which is no failure (R1).
pub(crate) fn it_receives_until_the_end<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let pool = ev.context().buffer_pool(8, 1024).unwrap();
    let (client, server) = ev.pair();
    let received = receive(&mut ev, client, &pool);
    for round in 0..20 {
        let bytes = pattern(round, 1 + 40 * round as usize);
        send(&mut ev, server, &bytes);
        assert_bytes(&take_bytes(&mut ev, &received, bytes.len()), &bytes);
        assert_eq!((received.ended(), ev.state(received.key)), (false, State::Active));
    }
    end(&mut ev, server);
    ev.until_done();
    assert_eq!((received.ends.take(), ev.state(received.key)), (vec![Ok(())], State::Dead));
    assert_eq!(received.buffers.len(), 0, "the end brings no buffer");
}

/// Bytes and the end of the stream that are there at once, before it begins: all bytes, then the end.
pub(crate) fn bytes_and_the_end_at_once<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let pool = ev.context().buffer_pool(64, 100).unwrap();
    for len in [1, 99, 100, 101, 3000] {
        let (client, server) = ev.pair();
        let bytes = pattern(len, len as usize);
        send(&mut ev, server, &bytes);
        end(&mut ev, server);
        ev.idle();
        let received = receive(&mut ev, client, &pool);
        ev.until_done();
        assert_bytes(&received.take(), &bytes);
        assert_eq!(received.ends.take(), [Ok(())]);
    }
    // The same while it waits: one edge for both.
    let (client, server) = ev.pair();
    let received = receive(&mut ev, client, &pool);
    ev.idle();
    let mut cx = ev.context();
    let sent = start(&mut cx, SendAll { handle: server, buffer: pattern(7, 3000).into() });
    let shut = start(&mut cx, Shutdown { handle: server, how: ShutdownHow::Write });
    ev.until_done();
    assert!(sent.take().result.is_ok() && shut.take().result.is_ok());
    assert_bytes(&received.take(), &pattern(7, 3000));
    assert_eq!(received.ends.take(), [Ok(())]);
}

/// What comes is sent back from where it lies, over many connections at once.
pub(crate) fn an_echo_over_many_connections<B: Backend>(fixture: &Fixture<B>) {
    const CONNECTIONS: u32 = 20;
    const BYTES: usize = 20_000;
    let mut ev = fixture.open();
    let pool = ev.context().buffer_pool(16, 700).unwrap();
    let mut ends = Vec::new();
    for seed in 0..CONNECTIONS {
        let (client, server) = ev.pair();
        ev.context().submit_multishot(
            RecvMany { handle: server, pool: pool.clone() },
            move |(), cx, event| {
                match event {
                    Event::More(buffer) => {
                        let handle = server;
                        cx.submit(SendAll { handle, buffer }, |(), _, sent| assert_eq!(sent.result, Ok(())));
                    }
                    Event::Last(last) => {
                        assert_eq!(last.output.result, Ok(()));
                        cx.submit(Shutdown { handle: server, how: ShutdownHow::Write }, |(), _, _| ());
                    }
                }
                Flow::Continue
            },
        );
        let bytes = Rc::new(Cell::new(Vec::new()));
        let back = Rc::clone(&bytes);
        ev.context().submit_multishot(
            RecvMany { handle: client, pool: pool.clone() },
            move |(), _, event| {
                if let Event::More(buffer) = event {
                    let mut bytes = back.take();
                    bytes.extend_from_slice(&buffer);
                    back.set(bytes);
                }
                Flow::Continue
            },
        );
        let buffer = pattern(seed, BYTES).into();
        let sent = start(&mut ev.context(), SendAll { handle: client, buffer });
        let shut = start(&mut ev.context(), Shutdown { handle: client, how: ShutdownHow::Write });
        ends.push((bytes, sent, shut));
    }
    ev.until_done();
    for (seed, (bytes, sent, shut)) in ends.into_iter().enumerate() {
        assert!(sent.take().result.is_ok() && shut.take().result.is_ok());
        assert_bytes(&bytes.take(), &pattern(seed as u32, BYTES));
    }
}

/// An idle connection holds no buffer: one is enough for any number of them.
pub(crate) fn one_buffer_serves_many_idle_connections<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let pool = ev.context().buffer_pool(1, 64).unwrap();
    let pairs: Vec<_> = (0..10).map(|_| ev.pair()).collect();
    let received: Vec<_> = pairs.iter().map(|&(client, _)| receive(&mut ev, client, &pool)).collect();
    ev.idle();
    for round in 0..3 {
        for (seed, (&(_, server), received)) in pairs.iter().zip(&received).enumerate() {
            let bytes = pattern(round * 100 + seed as u32, 64);
            send(&mut ev, server, &bytes);
            assert_bytes(&take_bytes(&mut ev, received, 64), &bytes);
        }
    }
    for received in &received {
        assert_eq!(ev.cancel(received.key), Cancel::Requested);
    }
    ev.until_done();
    assert!(received.iter().all(|received| received.ends.take() == [Err(Error::Canceled)]));
}

/// A pool that has run dry ends nothing and loses nothing; who waits goes on when a buffer returns, and meanwhile no core
/// is burnt.
pub(crate) fn a_dry_pool_ends_nothing<B: Backend>(fixture: &Fixture<B>) {
    const BUFFERS: usize = 3;
    const SIZE: usize = 16;
    let mut ev = fixture.open();
    let pool = ev.context().buffer_pool(BUFFERS as u32, SIZE).unwrap();
    let (client, server) = ev.pair();
    let received = receive(&mut ev, client, &pool);
    let bytes = pattern(1, 10 * SIZE);
    send(&mut ev, server, &bytes);
    let mut all = Vec::new();
    while all.len() < bytes.len() {
        let expected = BUFFERS.min((bytes.len() - all.len()).div_ceil(SIZE));
        // Not for ever: that nothing comes is one of the things to be seen here.
        let deadline = Instant::now() + PATIENCE;
        while received.buffers.len() < expected && Instant::now() < deadline {
            ev.idle();
        }
        let turns = ev.context().turns();
        ev.idle();
        assert_eq!(received.buffers.len(), expected, "each buffer is used, and there are no more");
        assert!(ev.context().turns() - turns < 20, "a dry pool is waited for");
        all.extend(received.take());
        assert!(!received.ended());
    }
    assert_bytes(&all, &bytes);
    end(&mut ev, server);
    ev.until_done();
    assert_eq!(received.ends.take(), [Ok(())]);
}

/// One buffer returns to a pool for which many wait, again and again: each gets its turn, and all bytes.
pub(crate) fn many_wait_for_a_dry_pool<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let pool = ev.context().buffer_pool(2, 32).unwrap();
    let pairs: Vec<_> = (0..12).map(|_| ev.pair()).collect();
    let received: Vec<_> = pairs.iter().map(|&(client, _)| receive(&mut ev, client, &pool)).collect();
    for (seed, &(_, server)) in pairs.iter().enumerate() {
        send(&mut ev, server, &pattern(seed as u32, 200));
        end(&mut ev, server);
    }
    let mut all = vec![Vec::new(); received.len()];
    ev.until(|| {
        for (bytes, received) in all.iter_mut().zip(&received) {
            bytes.extend(received.take());
        }
        received.iter().all(Received::ended)
    });
    ev.until_done();
    for (seed, (bytes, received)) in all.iter().zip(&received).enumerate() {
        assert_bytes(bytes, &pattern(seed as u32, 200));
        assert_eq!(received.ends.take(), [Ok(())]);
    }
}

/// A pool that is dry because of one connection holds up another that has nothing to receive yet, not longer.
pub(crate) fn what_begins_while_the_pool_is_dry_goes_on<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let pool = ev.context().buffer_pool(1, 8).unwrap();
    let (first, first_peer) = ev.pair();
    let (second, second_peer) = ev.pair();
    let (third, third_peer) = ev.pair();
    let holder = receive(&mut ev, first, &pool);
    send(&mut ev, first_peer, b"12345678");
    ev.until(|| holder.buffers.len() == 1);
    // Nothing has come for the second; the third has something.
    let idle = receive(&mut ev, second, &pool);
    let late = receive(&mut ev, third, &pool);
    send(&mut ev, third_peer, b"abcdefgh");
    ev.idle();
    assert_eq!((idle.buffers.len(), late.buffers.len()), (0, 0));
    assert_eq!(holder.take(), b"12345678");
    assert_eq!(take_bytes(&mut ev, &late, 8), b"abcdefgh", "not behind one that needs no buffer");
    send(&mut ev, second_peer, b"ABCDEFGH");
    assert_eq!(take_bytes(&mut ev, &idle, 8), b"ABCDEFGH");
    ev.context().cancel_all();
    ev.until_done();
}

/// Buffers that another thread gives back wake the loop, which nothing else would.
pub(crate) fn another_thread_gives_buffers_back<B: Backend>(fixture: &Fixture<B>) {
    const BYTES: usize = 50_000;
    let mut ev = fixture.open();
    let pool = ev.context().buffer_pool(4, 100).unwrap();
    let (client, server) = ev.pair();
    let (sender, receiver) = mpsc::channel::<Buffer>();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        for buffer in receiver {
            bytes.extend_from_slice(&buffer);
        }
        bytes
    });
    let operation = RecvMany { handle: client, pool };
    ev.context().submit_multishot(operation, move |(), _, event| {
        match event {
            Event::More(buffer) => sender.send(buffer).unwrap(),
            Event::Last(last) => assert_eq!(last.output.result, Ok(())),
        }
        Flow::Continue
    });
    let sent = ev.start(SendAll { handle: server, buffer: pattern(5, BYTES).into() });
    let shut = ev.start(Shutdown { handle: server, how: ShutdownHow::Write });
    if ev.context().capabilities().virtual_time {
        ev.until_done();
    }
    // One run, and not for ever: only a buffer that returns can end its waits.
    ev.run_for(&mut (), PATIENCE).unwrap();
    assert_eq!(ev.context().active(), 0, "each buffer that returned was noticed");
    assert!(sent.take().result.is_ok() && shut.take().result.is_ok());
    assert_bytes(&reader.join().unwrap(), &pattern(5, BYTES));
}

/// Cancelled while it waits, for bytes or for a buffer: it ends once, and what comes later is not lost.
pub(crate) fn it_can_be_cancelled_while_it_waits<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let pool = ev.context().buffer_pool(1, 4).unwrap();
    let (client, server) = ev.pair();
    for is_dry in [false, true] {
        let received = receive(&mut ev, client, &pool);
        ev.idle();
        if is_dry {
            send(&mut ev, server, b"abcdefgh");
            ev.until(|| received.buffers.len() == 1);
            ev.idle();
        }
        assert_eq!(ev.cancel(received.key), Cancel::Requested);
        ev.until_done();
        assert_eq!((received.ends.take(), ev.state(received.key)), (vec![Err(Error::Canceled)], State::Dead));
    }
    let rest = ev.complete(Recv { handle: client, buffer: vec![0; 8].into() });
    assert_eq!(&rest.buffer[..rest.result.unwrap()], b"efgh");
    let queued = receive(&mut ev, client, &pool);
    assert_eq!(ev.cancel(queued.key), Cancel::Requested);
    ev.until_done();
    assert_eq!(queued.ends.take(), [Err(Error::Canceled)]);
}

/// `Stop` asks for the end: no byte is lost between the last event and the next receive.
pub(crate) fn stop_loses_nothing<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let pool = ev.context().buffer_pool(16, 100).unwrap();
    let (client, server) = ev.pair();
    let bytes = pattern(3, 1000);
    send(&mut ev, server, &bytes);
    let log = Log::new();
    let seen = log.clone();
    let key =
        ev.context().submit_multishot(RecvMany { handle: client, pool }, move |(), _, event| match event {
            Event::More(buffer) => {
                seen.extend_from_slice(&buffer);
                Flow::Stop
            }
            Event::Last(last) => {
                assert_eq!(last.output.result, Err(Error::Canceled));
                Flow::Stop
            }
        });
    ev.until_done();
    assert_eq!(ev.state(key), State::Dead);
    let mut all = log.take();
    assert!(!all.is_empty());
    while all.len() < bytes.len() {
        let rest = ev.complete(Recv { handle: client, buffer: vec![0; 1000].into() });
        all.extend_from_slice(&rest.buffer[..rest.result.unwrap()]);
    }
    assert_bytes(&all, &bytes);
}

/// From its last event it can be armed again, with the pool that it hands back.
pub(crate) fn the_last_event_can_rearm<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let pool = ev.context().buffer_pool(4, 100).unwrap();
    let (client, server) = ev.pair();
    let log = Log::new();
    let (seen, ends) = (log.clone(), Cell::new(0));
    let key =
        ev.context().submit_multishot(RecvMany { handle: client, pool }, move |(), _, event| match event {
            Event::More(buffer) => {
                seen.extend_from_slice(&buffer);
                Flow::Stop
            }
            Event::Last(last) => {
                ends.set(ends.get() + 1);
                let (handle, pool) = (last.output.handle, last.output.pool.clone());
                if ends.get() < 3 { last.rearm(RecvMany { handle, pool }) } else { Flow::Stop }
            }
        });
    for _ in 0..3 {
        assert_ne!(ev.state(key), State::Dead);
        send(&mut ev, server, b"again");
        ev.until(|| log.len() == 5);
        assert_eq!(log.take(), b"again");
        ev.idle();
    }
    ev.until_done();
    assert_eq!(ev.state(key), State::Dead);
}

/// Deleted with events queued, it is heard of no more, and its buffers are back in the pool.
pub(crate) fn deleting_it_returns_its_buffers<B: Backend>(fixture: &Fixture<B>) {
    const BUFFERS: usize = 4;
    let mut ev = fixture.open();
    let pool = ev.context().buffer_pool(BUFFERS as u32, 8).unwrap();
    for _ in 0..3 {
        let (client, server) = ev.pair();
        let captures = Captures::default();
        let (held, heard) = (captures.capture(), Rc::new(Cell::new(0)));
        let count = Rc::clone(&heard);
        let operation = RecvMany { handle: client, pool: pool.clone() };
        send(&mut ev, server, &pattern(9, 8 * BUFFERS));
        let key = ev.context().submit_multishot(operation, move |(), cx, _| {
            assert_eq!(held.held(), 1);
            count.set(count.get() + 1);
            cx.stop();
            Flow::Continue
        });
        while heard.get() == 0 {
            ev.run(&mut (), RunMode::Once).unwrap();
        }
        assert_eq!(ev.context().delete(key), Ok(()));
        ev.context().resume();
        ev.until_done();
        assert_eq!((heard.get(), captures.held(), ev.state(key)), (1, 0, State::Dead));
        // All of them can be had at once, by another.
        let (client, server) = ev.pair();
        let received = receive(&mut ev, client, &pool);
        send(&mut ev, server, &pattern(10, 8 * BUFFERS));
        ev.until(|| received.buffers.len() == BUFFERS);
        assert_bytes(&received.take(), &pattern(10, 8 * BUFFERS));
        assert_eq!(ev.context().delete(received.key), Ok(()));
        ev.until_done();
        assert!(!received.ended());
    }
}

/// Closing the handle ends it, waiting for bytes or for a buffer.
pub(crate) fn closing_the_handle_ends_it<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let pool = ev.context().buffer_pool(1, 4).unwrap();
    for is_dry in [false, true] {
        let (client, server) = ev.pair();
        let received = receive(&mut ev, client, &pool);
        if is_dry {
            send(&mut ev, server, b"abcdefgh");
            ev.until(|| received.buffers.len() == 1);
        }
        ev.idle();
        ev.context().close(client);
        ev.until_done();
        assert_eq!(received.ends.take(), [Err(Error::Canceled)]);
        assert_eq!(received.take(), if is_dry { &b"abcd"[..] } else { b"" });
    }
}

/// A loop that is dropped with everything in flight lets go of the captures; buffers outlive it.
pub(crate) fn buffers_outlive_the_loop<B: Backend>(fixture: &Fixture<B>) {
    let captures = Captures::default();
    let kept = Log::new();
    let mut ev = fixture.open();
    let pool = ev.context().buffer_pool(2, 16).unwrap();
    let pairs: Vec<_> = (0..4).map(|_| ev.pair()).collect();
    for &(client, server) in &pairs {
        let (capture, kept) = (captures.capture(), kept.clone());
        let operation = RecvMany { handle: client, pool: pool.clone() };
        ev.context().submit_multishot(operation, move |(), _, event| {
            assert!(capture.held() > 0);
            if let Event::More(buffer) = event {
                kept.push(buffer);
            }
            Flow::Continue
        });
        ev.start(SendAll { handle: server, buffer: pattern(4, 64).into() });
    }
    ev.until(|| kept.len() == 2);
    drop(ev);
    assert_eq!(captures.held(), 0);
    drop(pool);
    let buffers = kept.take();
    assert_eq!(buffers.len(), 2);
    for buffer in buffers {
        assert!(pattern(4, 64).starts_with(&buffer) || pattern(4, 64)[16..].starts_with(&buffer));
        thread::spawn(move || drop(buffer)).join().unwrap();
    }
}

/// Receives of other kinds wait behind it; and it behind them.
pub(crate) fn receives_are_in_order_with_it<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let pool = ev.context().buffer_pool(4, 16).unwrap();
    let (client, server) = ev.pair();
    let before = ev.start(Recv { handle: client, buffer: vec![0; 3].into() });
    let received = receive(&mut ev, client, &pool);
    let behind = ev.start(Recv { handle: client, buffer: vec![0; 3].into() });
    send(&mut ev, server, b"onetwo");
    assert_eq!(ev.finish(&before).result, Ok(3));
    assert_eq!(take_bytes(&mut ev, &received, 3), b"two");
    ev.idle();
    assert!(!behind.is_done());
    assert_eq!(ev.cancel(received.key), Cancel::Requested);
    ev.until(|| received.ended());
    send(&mut ev, server, b"six");
    assert_eq!(&ev.finish(&behind).buffer[..], b"six");
}

/// A connection that is reset, and a socket that is none.
pub(crate) fn failures_are_its_last_event<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let pool = ev.context().buffer_pool(4, 16).unwrap();
    let (client, server) = ev.pair();
    let received = receive(&mut ev, client, &pool);
    ev.idle();
    ev.context().set(server, SocketOption::Linger(Some(Duration::ZERO))).unwrap();
    ev.context().close(server);
    ev.until_done();
    assert_eq!(received.ends.take(), [Err(system(Errno::CONNRESET))]);
    let unconnected = ev.context().socket(proactor_core::Family::Ipv4).unwrap();
    let received = receive(&mut ev, unconnected, &pool);
    ev.until_done();
    assert_eq!(received.ends.take(), [Err(system(Errno::NOTCONN))]);
    ev.context().close(unconnected);
    let received = receive(&mut ev, unconnected, &pool);
    ev.until_done();
    assert_eq!(received.ends.take(), [Err(Error::StaleHandle)]);
}

/// Numbers out of range make no pool, and one of another loop is refused.
pub(crate) fn pools_are_checked<B: Backend>(fixture: &Fixture<B>) {
    let (mut ev, mut other) = (fixture.open(), fixture.open());
    let mut cx = ev.context();
    for (count, size) in [(0, 1), (BufferPool::MAX_COUNT + 1, 1), (1, 0)] {
        assert_eq!(cx.buffer_pool(count, size).map(drop), Err(Error::InvalidInput));
    }
    let pool = other.context().buffer_pool(1, 1).unwrap();
    let (client, _server) = ev.pair();
    for pool in [pool, BufferPool::default()] {
        let received = receive(&mut ev, client, &pool);
        ev.until_done();
        assert_eq!(received.ends.take(), [Err(Error::InvalidInput)]);
    }
    let largest = ev.context().buffer_pool(BufferPool::MAX_COUNT, 1).unwrap();
    let received = receive(&mut ev, client, &largest);
    ev.idle();
    assert_eq!(ev.cancel(received.key), Cancel::Requested);
    ev.until_done();
}

/// A peer that sends without end does not hold up the rest of the loop.
pub(crate) fn a_flood_holds_up_nobody<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let pool = ev.context().buffer_pool(64, 512).unwrap();
    let (client, server) = ev.pair();
    let received = receive(&mut ev, client, &pool);
    let flood = ev.start(SendAll { handle: server, buffer: vec![1; 4 << 20].into() });
    let (mut bytes, mut nops) = (0, 0);
    while bytes < 1 << 20 {
        let nop = ev.start(Nop);
        let timer = ev.start(Timer::at(Time::ZERO));
        for _ in 0..10 {
            bytes += received.take().len();
            ev.once();
        }
        assert!(nop.is_done() && timer.is_done());
        nops += 1;
    }
    assert!(nops > 1);
    ev.context().cancel_all();
    ev.until_done();
    assert!(flood.is_done() && received.ended());
}
