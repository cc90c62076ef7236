//! At steady state nothing allocates, over all threads (contract B1): 100,000 and 200,000 operations allocate the same.

use std::cell::Cell;
use std::fs::File;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use proactor_core::{
    Action, Backend, Buffer, Config, Context, Create, Delivery, DirEntries, Envelope, Error, Event, Flow,
    Handle, Interest, Loop, Nop, NotifierWait, OpenAt, OpenOptions, Peer, Poll, Pool, PoolConfig, ReadAt,
    ReadDir, ReadExact, Recv, RecvFrom, RecvMany, RecvMsg, RunMode, SendAll, SendFileAll, SendMsg, SendTo,
    Timer, Work, WriteAll, WriteAt,
};

use crate::Fixture;
use crate::allocator;
use crate::scratch::Scratch;
use crate::steps::{IPV4, address, pair_on};

/// Longer than any case: a thread of a pool that has gone idle, and comes again, allocates.
pub(crate) const LONG: Duration = Duration::from_secs(1000);

// Under an interpreter, and with a companion that carries the bytes, fewer have to do. So they have under the address
// sanitizer: what it looks for is in each operation, and that there are no allocations is counted without it as well.
pub(crate) const FEW: u64 = match (cfg!(unix), cfg!(sanitized)) {
    (true, false) => 100_000,
    (true, true) => 10_000,
    (false, _) => 3_000,
};
pub(crate) const MANY: u64 = 2 * FEW;
const ATTEMPTS: usize = 5;
/// More allocations than tables that grow are good for.
const A_FEW: u64 = 100;

#[derive(Default)]
pub(crate) struct Count {
    pub(crate) left: u64,
}

/// Runs `begin` for few operations and for many, on loops of their own, and compares what each allocated.
pub(crate) fn allocates_the_same<B: Backend>(
    fixture: &Fixture<B>,
    begin: impl Fn(&mut Loop<B, Count>, &mut Count) + Copy,
) {
    let allocations = |operations| {
        let mut count = Count::default();
        let mut ev = fixture.open_state::<Count>();
        let before = allocator::allocations();
        begin(&mut ev, &mut count);
        count.left = operations;
        ev.run(&mut count, RunMode::UntilDone).unwrap();
        assert_eq!(count.left, 0, "all of them ran");
        allocator::allocations() - before
    };
    // What is created once for the process is created here.
    allocations(1000);
    same(FEW, MANY, 0, allocations).unwrap();
}

/// Compares what few operations allocate and many, of which each is to allocate so often.
///
/// How far a table grows at first depends on how the clock falls, so a pair may differ by a few, and is tried again. What allocates
/// for an operation, however seldom, makes every pair differ; where that is one in a hundred, nothing is left to be tried.
///
/// # Errors
/// What each pair was, if none was as it is to be.
pub(crate) fn same(
    few: u64,
    many: u64,
    each: u64,
    mut allocations: impl FnMut(u64) -> u64,
) -> Result<(), String> {
    let mut pairs = Vec::new();
    for _ in 0..ATTEMPTS {
        let (less, more) = (allocations(few), allocations(many));
        pairs.push((less, more));
        let expected = less + (many - few) * each;
        if more == expected {
            return Ok(());
        }
        if more.abs_diff(expected) > A_FEW.max((many - few) / 100) {
            break;
        }
    }
    Err(format!("{each} for each of {few} and {many} operations: {pairs:?}"))
}

/// An echo over TCP, both ends on this loop: `echo` begins with what comes first to an end, 64 bytes.
pub(super) fn echoes_over_tcp<B: Backend>(
    fixture: &Fixture<B>,
    echo: fn(&mut Context<'_, B, Count>, Handle),
) {
    allocates_the_same(fixture, |ev, count| {
        let (client, server) = pair_on(ev, count, IPV4);
        let mut cx = ev.context();
        for handle in [client, server] {
            crate::steps::no_delay(&mut cx, handle);
            echo(&mut cx, handle);
        }
        cx.submit(SendAll { handle: client, buffer: vec![0; 64].into() }, |_, _, sent| {
            assert_eq!(sent.result, Ok(()));
        });
    });
}

/// Captures of up to four words are kept without a box, whichever way they are submitted.
pub(crate) fn immediate_operations_do_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    fn next<B: Backend>(cx: &mut Context<'_, B, Count>, words: [usize; 4]) {
        cx.submit(Nop, move |count: &mut Count, cx, done| {
            assert_eq!((done.result, words.len()), (Ok(()), 4));
            count.left -= 1;
            if count.left > 0 {
                next(cx, words);
            }
        });
    }
    allocates_the_same(fixture, |ev, _| next(&mut ev.context(), [1, 2, 3, 4]));
}

pub(crate) fn rearmed_operations_do_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    allocates_the_same(fixture, |ev, _| {
        ev.context().submit_rearm(Nop, |count: &mut Count, _, _| {
            count.left -= 1;
            if count.left > 0 { Action::Rearm(Nop) } else { Action::Disarm }
        });
    });
}

/// Several polls of one handle at once, armed again and again.
#[cfg(unix)]
pub(crate) fn polls_do_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    allocates_the_same(fixture, |ev, _| {
        let (near, _far) = std::os::unix::net::UnixStream::pair().unwrap();
        let handle = ev.context().attach(near).unwrap();
        for _ in 0..5 {
            ev.context().submit_rearm(Poll { handle, interest: Interest::WRITABLE }, |count, cx, polled| {
                if count.left == 0 {
                    cx.close(polled.handle);
                    return Action::Disarm;
                }
                count.left -= 1;
                Action::Rearm(Poll { handle: polled.handle, interest: polled.interest })
            });
        }
    });
}

/// A hundred timers at once, each a fresh submission when it has fired.
pub(crate) fn timers_do_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    fn next<B: Backend>(cx: &mut Context<'_, B, Count>, nanoseconds: u64) {
        cx.submit(Timer::after(Duration::from_nanos(nanoseconds)), move |count: &mut Count, cx, expired| {
            assert_eq!(expired.result, Ok(()));
            count.left -= 1;
            if count.left >= 100 {
                next(cx, nanoseconds * 7 % 10_007);
            }
        });
    }
    allocates_the_same(fixture, |ev, _| (1..=100).for_each(|start| next(&mut ev.context(), start * 97)));
}

/// Cancelled ones do not either.
pub(crate) fn cancelled_timers_do_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    allocates_the_same(fixture, |ev, _| {
        ev.context().submit_rearm(Nop, |count: &mut Count, cx, _| {
            let key = cx.submit(Timer::after(Duration::from_secs(1)), |_, _, _| ());
            cx.cancel(key);
            count.left -= 1;
            if count.left > 0 { Action::Rearm(Nop) } else { Action::Disarm }
        });
    });
}

/// Receives and sends back what came, as often as there is left.
pub(super) fn echo<B: Backend>(cx: &mut Context<'_, B, Count>, handle: Handle, buffer: Buffer) {
    cx.submit(Recv { handle, buffer }, move |count: &mut Count, cx, received| {
        let len = received.result.unwrap();
        if count.left == 0 || len == 0 {
            return cx.close(handle);
        }
        count.left -= 1;
        cx.submit(SendAll { handle, buffer: received.buffer.slice(..len) }, move |_, cx, sent| {
            assert_eq!(sent.result, Ok(()));
            echo(cx, handle, sent.buffer.unslice());
        });
    });
}

/// The same with a deadline on each, most of which are taken back.
pub(crate) fn deadlines_do_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    fn echo<B: Backend>(cx: &mut Context<'_, B, Count>, handle: Handle, buffer: Buffer) {
        let recv = Recv { handle, buffer }.with_timeout(Duration::from_secs(1000));
        cx.submit(recv, move |count: &mut Count, cx, received| {
            let len = received.result.unwrap();
            if count.left == 0 || len == 0 {
                return cx.close(handle);
            }
            count.left -= 1;
            let send = SendAll { handle, buffer: received.buffer.slice(..len) };
            cx.submit(send.with_timeout(Duration::from_secs(1000)), move |_, cx, sent| {
                assert_eq!(sent.result, Ok(()));
                echo(cx, handle, sent.buffer.unslice());
            });
        });
    }
    echoes_over_tcp(fixture, |cx, handle| echo(cx, handle, Buffer::zeroed(64)));
}

/// An echo over TCP, both ends on this loop.
pub(crate) fn an_echo_does_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    echoes_over_tcp(fixture, |cx, handle| echo(cx, handle, Buffer::zeroed(64)));
}

/// An echo over TCP with receives that go on, both ends on this loop, from where the bytes lie.
pub(crate) fn an_echo_from_a_pool_does_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    allocates_the_same(fixture, |ev, count| {
        let (client, server) = pair_on(ev, count, IPV4);
        let mut cx = ev.context();
        let pool = cx.buffer_pool(8, 64).unwrap();
        for handle in [client, server] {
            crate::steps::no_delay(&mut cx, handle);
            let pool = pool.clone();
            cx.submit_multishot(RecvMany { handle, pool }, move |count: &mut Count, cx, event| {
                let Event::More(buffer) = event else { return Flow::Continue };
                if count.left == 0 {
                    cx.close(handle);
                    return Flow::Stop;
                }
                count.left -= 1;
                cx.submit(SendAll { handle, buffer }, |_, _, sent| assert_eq!(sent.result, Ok(())));
                Flow::Continue
            });
        }
        cx.submit(SendAll { handle: client, buffer: vec![0; 64].into() }, |_, _, sent| {
            assert_eq!(sent.result, Ok(()));
        });
    });
}

/// A pool that runs dry at each byte, and goes on when its buffer comes back.
pub(crate) fn a_dry_pool_does_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    const BYTES: &[u8] = &[0; 64];
    fn send<B: Backend>(cx: &mut Context<'_, B, Count>, handle: Handle) {
        cx.submit(SendAll { handle, buffer: BYTES.into() }, |_, _, sent| assert_eq!(sent.result, Ok(())));
    }
    allocates_the_same(fixture, |ev, count| {
        let (client, server) = pair_on(ev, count, IPV4);
        let mut cx = ev.context();
        let pool = cx.buffer_pool(1, 1).unwrap();
        let mut left_of_these = BYTES.len();
        cx.submit_multishot(RecvMany { handle: client, pool }, move |count: &mut Count, cx, event| {
            let Event::More(_) = event else { return Flow::Continue };
            count.left = count.left.saturating_sub(1);
            left_of_these -= 1;
            if count.left == 0 {
                return Flow::Stop;
            }
            if left_of_these == 0 {
                left_of_these = BYTES.len();
                send(cx, server);
            }
            Flow::Continue
        });
        send(&mut cx, server);
    });
}

/// Receives a datagram and sends it back to where it came from, as often as there is left.
pub(super) fn echo_datagrams<B: Backend>(
    cx: &mut Context<'_, B, Count>,
    handle: Handle,
    buffer: Buffer,
    peer: Peer,
) {
    cx.submit(RecvFrom { handle, buffer, peer }, move |count: &mut Count, cx, received| {
        let len = received.result.unwrap().len();
        if count.left == 0 || len == 0 {
            return cx.close(handle);
        }
        count.left -= 1;
        // The last one tells the other end.
        let buffer = received.buffer.slice(..if count.left == 0 { 0 } else { len });
        cx.submit(SendTo { handle, buffer, peer: received.peer }, move |count: &mut Count, cx, sent| {
            assert_eq!(sent.result, Ok(()));
            if count.left == 0 {
                return cx.close(handle);
            }
            echo_datagrams(cx, handle, sent.buffer.unslice(), sent.peer);
        });
    });
}

/// An echo over UDP, both ends on this loop; the addresses go round like the buffers.
pub(crate) fn an_echo_of_datagrams_does_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    allocates_the_same(fixture, |ev, _| {
        let mut cx = ev.context();
        let ends = [(); 2].map(|()| {
            let handle = cx.datagram_socket(address(IPV4).family()).unwrap();
            cx.bind(handle, address(IPV4)).unwrap();
            echo_datagrams(&mut cx, handle, Buffer::zeroed(64), Peer::default());
            handle
        });
        let peer = cx.local_address(ends[1]).unwrap().into();
        let first = SendTo { handle: ends[0], buffer: vec![0; 64].into(), peer };
        cx.submit(first, |_, _, sent| assert_eq!(sent.result, Ok(())));
    });
}

/// Receives a message and sends it back with the descriptor that came with it, as often as there is left.
#[cfg(unix)]
fn echo_envelopes<B: Backend>(
    cx: &mut Context<'_, B, Count>,
    handle: Handle,
    buffer: Buffer,
    envelope: Envelope,
) {
    cx.submit(RecvMsg { handle, buffer, envelope }, move |count: &mut Count, cx, received| {
        let len = received.result.unwrap().len();
        if count.left == 0 || len == 0 {
            return cx.close(handle);
        }
        count.left -= 1;
        assert_eq!(received.envelope.descriptors().len(), 1);
        let (buffer, envelope) = (received.buffer.slice(..len), received.envelope);
        cx.submit(SendMsg { handle, buffer, envelope }, move |_, cx, mut sent| {
            assert_eq!(sent.result, Ok(1));
            // Ours is closed, its duplicate is the receiver's.
            sent.envelope.descriptors_mut().clear();
            echo_envelopes(cx, handle, sent.buffer.unslice(), sent.envelope);
        });
    });
}

/// A descriptor goes to and fro between two ends on this loop; the envelopes go round like the buffers.
#[cfg(unix)]
pub(crate) fn passing_descriptors_does_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    allocates_the_same(fixture, |ev, _| {
        let (one, other) = UnixStream::pair().unwrap();
        let mut cx = ev.context();
        let [one, other] = [cx.attach(one).unwrap(), cx.attach(other).unwrap()];
        for handle in [one, other] {
            echo_envelopes(&mut cx, handle, Buffer::zeroed(8), Envelope::with_room(1));
        }
        let envelope = Envelope::from(vec![File::open("/dev/null").unwrap().into()]);
        let first = SendMsg { handle: one, buffer: b"1".into(), envelope };
        cx.submit(first, |_, _, sent| assert_eq!(sent.result, Ok(1)));
    });
}

/// Has another thread do this again and again until what is returned is called. It has begun by then: what a thread allocates as it
/// begins is not counted.
fn on_another_thread(mut step: impl FnMut() + Send + 'static) -> impl FnOnce() {
    let [begun, end] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
    let (begins, ends) = (Arc::clone(&begun), Arc::clone(&end));
    let thread = thread::spawn(move || {
        begins.store(true, Ordering::Release);
        while !ends.load(Ordering::Acquire) {
            step();
            thread::yield_now();
        }
    });
    while !begun.load(Ordering::Acquire) {
        thread::yield_now();
    }
    move || {
        end.store(true, Ordering::Release);
        thread.join().unwrap();
    }
}

/// Messages from this thread and another, through a bounded mailbox; both wait for room.
pub(crate) fn messages_do_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<Count>();
    let (sender, mailbox) = ev.context().mailbox::<u64>(64).unwrap();
    let end = {
        let sender = sender.clone();
        on_another_thread(move || {
            // It ends though nothing is received any more.
            let _ = sender.send_timeout(1, Duration::from_millis(1));
        })
    };
    let room = ev.context().notifier();
    ev.context().submit_rearm(NotifierWait { notifier: room.clone() }, |_, _, notified| {
        Action::Rearm(NotifierWait { notifier: notified.notifier })
    });
    ev.context().receive(&mailbox, move |count: &mut Count, cx, delivery| {
        let Delivery::Message(_) = delivery else { return };
        while sender.try_send(2).is_ok() {}
        sender.notify_when_room(&room);
        count.left = count.left.saturating_sub(1);
        if count.left == 0 {
            cx.stop();
        }
    });
    let mut run = |operations| {
        let mut count = Count { left: operations };
        let before = allocator::allocations();
        ev.context().resume();
        ev.run(&mut count, RunMode::UntilDone).unwrap();
        assert_eq!(count.left, 0);
        allocator::allocations() - before
    };
    run(1000);
    let compared = same(FEW, MANY, 0, run);
    end();
    compared.unwrap();
}

/// Reads exactly a buffer and writes it back, as often as there is left.
fn echo_exactly<B: Backend>(cx: &mut Context<'_, B, Count>, handle: Handle, buffer: Buffer) {
    cx.submit(ReadExact { handle, buffer }, move |count: &mut Count, cx, read| {
        if count.left == 0 || read.result == Err(Error::EndOfStream) {
            return cx.close(handle);
        }
        assert_eq!(read.result, Ok(()));
        count.left -= 1;
        cx.submit(WriteAll { handle, buffer: read.buffer }, move |_, cx, written| {
            assert_eq!(written.result, Ok(()));
            echo_exactly(cx, handle, written.buffer);
        });
    });
}

/// The same by exact reads and writes.
pub(crate) fn exact_reads_and_writes_do_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    echoes_over_tcp(fixture, |cx, handle| echo_exactly(cx, handle, Buffer::zeroed(64)));
}

/// Notifications from this thread and another; what that thread would allocate is counted too.
pub(crate) fn notifications_do_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    let mut other = fixture.open_state::<Count>();
    let notifier = other.context().notifier();
    let end = {
        let notifier = notifier.clone();
        on_another_thread(move || notifier.notify())
    };
    let mut run = |operations| {
        let mut count = Count { left: operations };
        let wait = NotifierWait { notifier: notifier.clone() };
        let before = allocator::allocations();
        other.context().submit_rearm(wait, |count: &mut Count, _, notified| {
            count.left -= 1;
            notified.notifier.notify();
            if count.left > 0 {
                Action::Rearm(NotifierWait { notifier: notified.notifier })
            } else {
                Action::Disarm
            }
        });
        other.run(&mut count, RunMode::UntilDone).unwrap();
        assert_eq!(count.left, 0);
        allocator::allocations() - before
    };
    run(1000);
    let compared = same(FEW, MANY, 0, run);
    end();
    compared.unwrap();
}

/// A write and a read at the same position, again and again, eight of them at once.
pub(crate) fn reads_and_writes_of_a_file_do_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    fn next<B: Backend>(cx: &mut Context<'_, B, Count>, handle: Handle, buffer: Buffer, offset: u64) {
        cx.submit(WriteAt { handle, buffer, offset }, move |_: &mut Count, cx, written| {
            assert_eq!(written.result, Ok(512));
            let (handle, buffer) = (written.handle, written.buffer);
            cx.submit(ReadAt { handle, buffer, offset }, move |count: &mut Count, cx, read| {
                assert_eq!(read.result, Ok(512));
                count.left = count.left.saturating_sub(2);
                if count.left > 0 {
                    next(cx, read.handle, read.buffer, offset);
                }
            });
        });
    }
    let scratch = Scratch::new(fixture);
    // Where there is a pool: one with a single thread, since the first that each does of a file allocates.
    let pool = Pool::new(PoolConfig::default().threads(1).idle(LONG)).unwrap();
    let mut ev: Loop<B, Count> = fixture.open_with(Config::default().pool(pool));
    let mut run = |operations, begin: fn(&mut Context<'_, B, Count>, OpenAt)| {
        let options = OpenOptions::read_write().create(Create::IfMissing);
        let mut count = Count { left: operations };
        let before = allocator::allocations();
        begin(&mut ev.context(), OpenAt { directory: None, path: scratch.path("file"), options });
        ev.run(&mut count, RunMode::UntilDone).unwrap();
        assert_eq!(count.left, 0, "all of them ran");
        allocator::allocations() - before
    };
    let mut transfer = |operations| {
        run(operations, |cx, open| {
            cx.submit(open, |_, cx, opened| {
                let handle = opened.result.unwrap();
                // The first that a thread does of a file allocates; so that it is the same each time, one goes there in any case.
                let first = WriteAt { handle, buffer: vec![0; 512].into(), offset: 0 };
                cx.submit(first.on_pool(), move |_, cx, written| {
                    assert_eq!(written.result, Ok(512));
                    for place in 0..8 {
                        next(cx, handle, vec![place; 512].into(), u64::from(place) * 512);
                    }
                });
            });
        })
    };
    // Threads are started, and tables grow, as the first come.
    transfer(10_000);
    same(FEW, MANY, 0, transfer).unwrap();
}

/// Parts of a file from one end of a connection to the other, in large pieces and small ones.
pub(crate) fn sending_files_does_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    const LEN: u64 = 10_000;
    let scratch = Scratch::new(fixture);
    let pool = Pool::new(PoolConfig::default().threads(1).idle(LONG)).unwrap();
    let mut ev: Loop<B, Count> = fixture.open_with(Config::default().pool(pool));
    let (client, server) = pair_on(&mut ev, &mut Count::default(), IPV4);
    let options = OpenOptions::read_write().create(Create::IfMissing);
    let open = OpenAt { directory: None, path: scratch.path("file"), options };
    let file = Rc::new(Cell::new(None));
    let opened = Rc::clone(&file);
    ev.context().submit(open, move |_, cx, done| {
        let handle = done.result.unwrap();
        opened.set(Some(handle));
        let buffer = vec![7; LEN as usize].into();
        cx.submit(WriteAt { handle, buffer, offset: 0 }, |_, _, written| {
            assert_eq!(written.result, Ok(LEN as usize));
        });
    });
    ev.run(&mut Count::default(), RunMode::UntilDone).unwrap();
    let file = file.get().unwrap();
    let mut send = |operations: u64, buffer: Buffer| {
        let mut count = Count { left: operations };
        let mut expected = operations * LEN;
        let mut cx = ev.context();
        let all = SendFileAll { handle: client, file, offset: 0, len: LEN };
        let before = allocator::allocations();
        cx.submit_rearm(all, move |count: &mut Count, _, sent| {
            assert_eq!((sent.result, sent.transferred), (Ok(()), LEN));
            count.left -= 1;
            if count.left == 0 {
                return Action::Disarm;
            }
            Action::Rearm(SendFileAll { handle: client, file, offset: 0, len: LEN })
        });
        let recv = Recv { handle: server, buffer };
        cx.submit_rearm(recv, move |_: &mut Count, _, received| {
            expected -= received.result.unwrap() as u64;
            let (handle, buffer) = (received.handle, received.buffer);
            if expected == 0 { Action::Disarm } else { Action::Rearm(Recv { handle, buffer }) }
        });
        ev.run(&mut count, RunMode::UntilDone).unwrap();
        assert_eq!(count.left, 0, "all of them ran");
        allocator::allocations() - before
    };
    send(1000, Buffer::zeroed(1 << 16));
    same(FEW / 20, MANY / 20, 0, |transfers| send(transfers, Buffer::zeroed(1 << 16))).unwrap();
}

/// Batches of a directory, each into the memory of the one before; rewound at its end.
pub(crate) fn reading_a_directory_does_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let pool = Pool::new(PoolConfig::default().threads(1).idle(LONG)).unwrap();
    let mut ev: Loop<B, Count> = fixture.open_with(Config::default().pool(pool));
    let mut count = Count::default();
    for number in 0..50 {
        let options = OpenOptions::write().create(Create::IfMissing);
        let path = scratch.path(&format!("{number}-of-a-length-that-has-them-come-in-batches"));
        ev.context().submit(OpenAt { directory: None, path, options }, |_, cx, opened| {
            cx.close(opened.result.unwrap());
        });
    }
    ev.run(&mut count, RunMode::UntilDone).unwrap();
    let mut read = |operations| {
        let options = OpenOptions::read().directory();
        let open = OpenAt { directory: None, path: scratch.directory(), options };
        let entries = DirEntries::with_room(DirEntries::MIN_ROOM);
        let mut count = Count { left: operations };
        let before = allocator::allocations();
        ev.context().submit(open, move |_, cx, opened| {
            let handle = opened.result.unwrap();
            cx.submit_rearm(ReadDir { handle, entries, rewind: false }, |count: &mut Count, cx, read| {
                count.left -= 1;
                let (handle, entries, rewind) = (read.handle, read.entries, read.result == Ok(0));
                if count.left == 0 {
                    cx.close(handle);
                    return Action::Disarm;
                }
                Action::Rearm(ReadDir { handle, entries, rewind })
            });
        });
        ev.run(&mut count, RunMode::UntilDone).unwrap();
        assert_eq!(count.left, 0, "all of them ran");
        allocator::allocations() - before
    };
    read(1000);
    same(FEW / 10, MANY / 10, 0, read).unwrap();
}

/// Closures go to threads of a pool and back, eight at a time, and their results with them: without an allocation for what
/// captures and returns up to four words. A larger one is in a box, which is the one allocation for each.
pub(crate) fn jobs_do_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    fn next<B: Backend>(cx: &mut Context<'_, B, Count>, words: [u64; 4]) {
        let work = Work::new(move || words.map(|word| word + 1));
        cx.submit(work, |count: &mut Count, cx, worked| {
            count.left -= 1;
            if count.left >= 8 {
                next(cx, worked.result.unwrap());
            }
        });
    }
    fn next_large<B: Backend>(cx: &mut Context<'_, B, Count>, words: [u64; 4]) {
        let large = [words; 3];
        cx.submit(Work::new(move || large[2]), |count: &mut Count, cx, worked| {
            count.left -= 1;
            if count.left >= 8 {
                next_large(cx, worked.result.unwrap());
            }
        });
    }
    type Next<B> = fn(&mut Context<'_, B, Count>, [u64; 4]);
    let pool = Pool::new(PoolConfig::default().threads(2).idle(LONG).queue(4)).unwrap();
    for (next, each) in [(next as Next<B>, 0), (next_large as Next<B>, 1)] {
        let allocations = |operations| {
            let mut count = Count { left: operations };
            let mut ev: Loop<B, Count> = fixture.open_with(Config::default().pool(pool.clone()));
            let before = allocator::allocations();
            (0..8).for_each(|number| next(&mut ev.context(), [number; 4]));
            ev.run(&mut count, RunMode::UntilDone).unwrap();
            assert_eq!(count.left, 0, "all of them ran");
            allocator::allocations() - before
        };
        allocations(1000);
        same(FEW / 10, MANY / 10, each, allocations).unwrap();
    }
}

/// About what only Unix has.
#[cfg(not(unix))]
pub(crate) use super::{
    not_here as polls_do_not_allocate, not_here as passing_descriptors_does_not_allocate,
};
