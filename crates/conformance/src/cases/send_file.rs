//! From files to sockets, two handles each (contract C2, C5, H1, H2, H3, R1, R3, X1, X2, X4, X5, E1).

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use proactor_core::{
    Action, Backend, Buffer, Cancel, Close, Config, Context, Error, Handle, Loop, Nop, Offload, OpenAt,
    OpenOptions, Recv, SendAll, SendFile, SendFileAll, Shutdown, ShutdownHow,
};
use rustix::io::Errno;

use super::files::{contents, file, open};
use super::work::{Gate, on, pool};
use crate::Fixture;
#[cfg(unix)]
use crate::peers::failures_on_the_gone;
use crate::scratch::Scratch;
use crate::steps::{Captures, Log, Steps, assert_bytes, pattern, system};

/// More than all buffers between two ends of a connection hold.
const TOO_MUCH: usize = 193 * PERIOD;
const PERIOD: usize = 65_521;

/// So many bytes, whose period is of no length that a system works with.
fn too_much() -> Vec<u8> {
    pattern(7, PERIOD).repeat(TOO_MUCH / PERIOD)
}

/// Receives all that comes on a handle until its end, beside whatever else goes on.
fn collect<B: Backend>(ev: &mut Loop<B, ()>, handle: Handle) -> Rc<RefCell<Vec<u8>>> {
    let arrived = Rc::new(RefCell::new(Vec::new()));
    let sink = Rc::clone(&arrived);
    let recv = Recv { handle, buffer: Buffer::zeroed(1 << 16) };
    ev.context().submit_rearm(recv, move |(), _, received| match received.result {
        Ok(count @ 1..) => {
            sink.borrow_mut().extend_from_slice(&received.buffer[..count]);
            Action::Rearm(Recv { handle: received.handle, buffer: received.buffer })
        }
        _ => Action::Disarm,
    });
    arrived
}

fn all(handle: Handle, file: Handle, offset: u64, len: u64) -> SendFileAll {
    SendFileAll { handle, file, offset, len }
}

/// A part of a file arrives as it is, however long, and the file's position is not touched.
pub(crate) fn a_part_arrives_whole<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let bytes = pattern(3, 3 << 20);
    let handle = file(&mut ev, &scratch, "file", &bytes);
    let (client, server) = ev.pair();
    let arrived = collect(&mut ev, server);
    let sent = ev.complete(all(client, handle, 123, 3_000_000));
    assert_eq!((sent.result, sent.transferred), (Ok(()), 3_000_000));
    assert_eq!((sent.handle, sent.file, sent.offset, sent.len), (client, handle, 123, 3_000_000));
    // One that sends as much as goes at once, again and again, sends the same.
    let (mut offset, end) = (100, 1_000_100);
    while offset < end {
        let sent = ev.complete(SendFile { handle: client, file: handle, offset, len: end - offset });
        let count = sent.result.unwrap();
        assert!(count > 0 && count <= sent.len);
        assert_eq!((sent.handle, sent.file, sent.offset), (client, handle, offset));
        offset += count;
    }
    assert_eq!(ev.complete(Shutdown { handle: client, how: ShutdownHow::Write }).result, Ok(()));
    ev.until_done();
    assert_bytes(&arrived.borrow(), &[&bytes[123..3_000_123], &bytes[100..1_000_100]].concat());
    let read = ev.complete(proactor_core::Read { handle, buffer: Buffer::zeroed(8) });
    assert_eq!((read.result, &read.buffer[..]), (Ok(8), &bytes[..8]));
}

/// Behind the file's end there is nothing: zero for one step, and too little where all was to be sent. Of nothing, nothing
/// is sent.
pub(crate) fn the_file_may_end_before<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let handle = file(&mut ev, &scratch, "file", b"0123456789");
    let (client, server) = ev.pair();
    let arrived = collect(&mut ev, server);
    for offset in [10, 11, 1 << 40, i64::MAX as u64 - 10] {
        let sent = ev.complete(SendFile { handle: client, file: handle, offset, len: 10 });
        assert_eq!((sent.result, sent.offset), (Ok(0), offset));
        let sent = ev.complete(all(client, handle, offset, 10));
        assert_eq!((sent.result, sent.transferred), (Err(Error::EndOfStream), 0));
        let sent = ev.complete(all(client, handle, offset, 0));
        assert_eq!((sent.result, sent.transferred), (Ok(()), 0));
    }
    assert_eq!(ev.complete(SendFile { handle: client, file: handle, offset: 0, len: 0 }).result, Ok(0));
    let sent = ev.complete(all(client, handle, 7, 100));
    assert_eq!((sent.result, sent.transferred), (Err(Error::EndOfStream), 3));
    let sent = ev.complete(SendFile { handle: client, file: handle, offset: 4, len: 2 });
    assert_eq!(sent.result, Ok(2));
    ev.context().close(client);
    ev.until_done();
    assert_eq!(&**arrived.borrow(), b"78945");
}

/// It has its turn among what is written to the socket, and nothing comes between its bytes.
pub(crate) fn it_keeps_its_turn_among_the_writes<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let bytes = pattern(5, 2 << 20);
    let handle = file(&mut ev, &scratch, "file", &bytes);
    let (client, server) = ev.pair();
    let order = Log::new();
    let said = |name: &'static str| {
        let order = order.clone();
        move || order.push(name)
    };
    let mut cx = ev.context();
    let say = said("head");
    cx.submit(SendAll { handle: client, buffer: b"head".into() }, move |(), _, _| say());
    let say = said("file");
    cx.submit(all(client, handle, 0, 2 << 20), move |(), _, sent| {
        assert_eq!(sent.result, Ok(()));
        say();
    });
    let say = said("middle");
    cx.submit(SendAll { handle: client, buffer: b"middle".into() }, move |(), _, _| say());
    let say = said("part");
    cx.submit(all(client, handle, 10, 1_500_000), move |(), _, sent| {
        assert_eq!(sent.result, Ok(()));
        say();
    });
    let say = said("end");
    cx.submit(Shutdown { handle: client, how: ShutdownHow::Write }, move |(), _, _| say());
    let arrived = collect(&mut ev, server);
    // Meanwhile the file is read, and written, by others.
    assert_eq!(contents(&mut ev, handle, 8, 0), bytes[..8]);
    ev.until_done();
    assert_eq!(order.take(), ["head", "file", "middle", "part", "end"]);
    assert_bytes(&arrived.borrow(), &[b"head", &bytes[..], b"middle", &bytes[10..1_500_010]].concat());
}

/// What cannot be sent, or not there, says why, and hands back all that it took.
pub(crate) fn failures_say_why<B: Backend>(fixture: &Fixture<B>) {
    #[track_caller]
    fn fails<B: Backend>(ev: &mut Loop<B, ()>, handle: Handle, file: Handle, error: Error) {
        let sent = ev.complete(SendFile { handle, file, offset: 1, len: 4 });
        assert_eq!((sent.result, sent.handle, sent.file), (Err(error), handle, file));
        assert_eq!((sent.offset, sent.len), (1, 4));
        let sent = ev.complete(all(handle, file, 1, 4));
        assert_eq!((sent.result, sent.handle, sent.file), (Err(error), handle, file));
        assert_eq!((sent.offset, sent.len, sent.transferred), (1, 4, 0));
    }
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let good = file(&mut ev, &scratch, "file", b"bytes");
    let (client, server) = ev.pair();
    let writing = ev.complete(open(&scratch, "file", OpenOptions::write())).result.unwrap();
    fails(&mut ev, client, writing, system(Errno::BADF));
    let options = OpenOptions::read().directory();
    let directory = ev.complete(OpenAt { directory: None, path: scratch.directory(), options });
    fails(&mut ev, client, directory.result.unwrap(), system(Errno::INVAL));
    fails(&mut ev, client, server, system(Errno::SPIPE));
    fails(&mut ev, client, client, system(Errno::SPIPE));
    fails(&mut ev, good, good, system(Errno::NOTSOCK));
    let datagrams = ev.context().datagram_socket(proactor_core::Family::Ipv4).unwrap();
    fails(&mut ev, datagrams, good, Error::Unsupported);
    for (offset, len) in [(u64::MAX, 1), (1, u64::MAX), (i64::MAX as u64, 1)] {
        let sent = ev.complete(all(client, good, offset, len));
        assert_eq!((sent.result, sent.offset, sent.len), (Err(Error::InvalidInput), offset, len));
    }
    ev.context().close(writing);
    fails(&mut ev, client, writing, Error::StaleHandle);
    ev.context().close(datagrams);
    fails(&mut ev, datagrams, good, Error::StaleHandle);
    // None of that was written.
    let arrived = collect(&mut ev, server);
    assert_eq!(ev.complete(all(client, good, 0, 5)).result, Ok(()));
    ev.context().close(client);
    ev.until_done();
    assert_eq!(&**arrived.borrow(), b"bytes");
}

/// A peer that is gone is an error, and no signal, whatever becomes of that by default.
#[cfg(unix)]
pub(crate) fn a_peer_that_is_gone_raises_no_signal<B: Backend>(fixture: &Fixture<B>) {
    assert_eq!(fixture.child("send_file_to_the_gone"), "40 transfers failed\n");
}

/// The child of [`a_peer_that_is_gone_raises_no_signal`]: SIGPIPE would end it.
#[cfg(unix)]
pub(crate) fn send_file_to_the_gone<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let file = file(&mut ev, &scratch, "file", &pattern(1, 1 << 20));
    let failed = failures_on_the_gone(&mut ev, 20, |ev, handle| {
        let whole = ev.complete(all(handle, file, 0, 1 << 20));
        let one = ev.complete(SendFile { handle, file, offset: 0, len: 10 });
        [whole.result, one.result.map(drop)]
    });
    println!("{failed} transfers failed");
}

/// While the peer takes nothing it waits, and its handles with it; cancelled, it tells what it has sent, which is what
/// arrives, and no byte of the next is lost.
pub(crate) fn it_waits_for_the_peer_and_can_be_cancelled<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let bytes = too_much();
    let handle = file(&mut ev, &scratch, "file", &bytes);
    let (client, server) = ev.pair();
    let stuck = ev.start(all(client, handle, 0, TOO_MUCH as u64));
    for _ in 0..5 {
        ev.idle();
    }
    assert!(!stuck.is_done(), "nobody takes it");
    for busy in [client, handle] {
        assert_eq!(ev.context().detach(busy).map(drop), Err(Error::Busy));
    }
    let behind = ev.start(SendAll { handle: client, buffer: b"behind".into() });
    let queued = ev.start(all(client, handle, 0, 4));
    assert_eq!(ev.cancel(queued.key), Cancel::Requested);
    assert_eq!(ev.finish(&queued).result, Err(Error::Canceled));
    assert_eq!(ev.cancel(stuck.key), Cancel::Requested);
    let sent = ev.finish(&stuck);
    assert_eq!((sent.result, sent.file, sent.len), (Err(Error::Canceled), handle, TOO_MUCH as u64));
    let transferred = sent.transferred as usize;
    assert!(transferred > 0 && transferred < TOO_MUCH);
    let arrived = collect(&mut ev, server);
    assert_eq!(ev.finish(&behind).result, Ok(()));
    let timed = ev.complete(all(client, handle, 5, 5).with_timeout(Duration::from_secs(3600)));
    assert_eq!((timed.result, timed.transferred), (Ok(()), 5));
    let late = ev.complete(all(client, handle, 5, 5).with_timeout(Duration::ZERO));
    assert_eq!((late.result, late.transferred), (Err(Error::TimedOut), 0));
    ev.context().close(client);
    ev.until_done();
    assert_bytes(&arrived.borrow(), &[&bytes[..transferred], b"behind", &bytes[5..10]].concat());
    assert_eq!(ev.complete(Close { handle }).result, Ok(()));
}

/// Its deadline ends it with what it has sent.
pub(crate) fn a_deadline_ends_it<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let handle = file(&mut ev, &scratch, "file", &too_much());
    let (client, server) = ev.pair();
    let sent = ev.complete(all(client, handle, 0, TOO_MUCH as u64).with_timeout(Duration::from_millis(30)));
    assert_eq!(sent.result, Err(Error::TimedOut));
    let arrived = collect(&mut ev, server);
    ev.context().close(client);
    ev.until_done();
    assert_eq!(arrived.borrow().len() as u64, sent.transferred);
}

/// Closing the file ends all that sends from it, on whatever socket and wherever they stand, and then it is closed; what
/// uses the sockets otherwise goes on.
pub(crate) fn closing_the_file_ends_it<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    for turns in 0..4 {
        let mut ev = fixture.open();
        let name = format!("file{turns}");
        let (handle, other) = (
            file(&mut ev, &scratch, &name, &too_much()),
            file(&mut ev, &scratch, &format!("other{turns}"), b"from the other"),
        );
        let pairs = [ev.pair(), ev.pair()];
        let mut ended = Vec::new();
        let mut kept = Vec::new();
        for (client, _) in pairs {
            ended.push(ev.start(all(client, handle, 0, TOO_MUCH as u64)));
            kept.push(ev.start(all(client, other, 0, 14)));
            ended.push(ev.start(all(client, handle, 5, TOO_MUCH as u64 - 5)));
        }
        for _ in 0..turns {
            ev.context().submit(Nop, |(), _, _| ());
            ev.no_wait();
        }
        let closed = ev.start(Close { handle });
        let late = ev.complete(all(pairs[0].0, handle, 0, 1));
        assert_eq!(late.result, Err(Error::StaleHandle));
        assert_eq!(ev.finish(&closed).result, Ok(()));
        let mut transferred = Vec::new();
        for sent in &ended {
            assert!(sent.is_done(), "before its file was closed");
            let sent = sent.take();
            assert_eq!((sent.result, sent.file), (Err(Error::Canceled), handle));
            transferred.push(sent.transferred as usize);
        }
        let arrived: Vec<_> = pairs.iter().map(|(_, server)| collect(&mut ev, *server)).collect();
        for sent in &kept {
            assert_eq!(ev.finish(sent).result, Ok(()));
        }
        for (client, _) in pairs {
            ev.context().close(client);
        }
        ev.until_done();
        for (arrived, sent) in arrived.iter().zip(transferred.chunks(2)) {
            assert_eq!(sent[1], 0, "the first was in its way");
            assert_bytes(&arrived.borrow(), &[&too_much()[..sent[0]], b"from the other"].concat());
        }
    }
}

/// Closing the socket ends it as well, and leaves the file alone.
pub(crate) fn closing_the_socket_ends_it<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    for turns in 0..4 {
        let mut ev = fixture.open();
        let name = format!("file{turns}");
        let handle = file(&mut ev, &scratch, &name, &too_much());
        let (client, _server) = ev.pair();
        let sends: Vec<_> = (0..3).map(|offset| ev.start(all(client, handle, offset, 10_000_000))).collect();
        for _ in 0..turns {
            ev.context().submit(Nop, |(), _, _| ());
            ev.no_wait();
        }
        assert_eq!(ev.complete(Close { handle: client }).result, Ok(()));
        for (offset, sent) in (0..).zip(&sends) {
            let sent = sent.take();
            assert_eq!((sent.result, sent.offset), (Err(Error::Canceled), offset));
        }
        assert_eq!(contents(&mut ev, handle, 10, 0), too_much()[..10]);
        assert_ne!(ev.context().detach(handle).map(drop), Err(Error::Busy), "nothing is left on it");
    }
}

/// Deleted, it ends unheard, and both handles are free; dropped with its loop, nothing is left of it.
pub(crate) fn deleted_or_dropped_it_is_gone<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    for turns in 0..4 {
        for dropped in [false, true] {
            let mut ev = fixture.open();
            let name = format!("file{turns}{dropped}");
            let handle = file(&mut ev, &scratch, &name, &too_much());
            let (client, _server) = ev.pair();
            let captures = Captures::default();
            let keys: Vec<_> = (0..3)
                .map(|offset| {
                    let held = captures.capture();
                    let operation = all(client, handle, offset, 10_000_000);
                    ev.context().submit(operation, move |(), _, _| drop(held))
                })
                .collect();
            for _ in 0..turns {
                ev.context().submit(Nop, |(), _, _| ());
                ev.no_wait();
            }
            if dropped {
                drop(ev);
                assert_eq!(captures.held(), 0);
                continue;
            }
            for key in keys {
                assert_eq!(ev.context().delete(key), Ok(()));
            }
            ev.until_done();
            assert_eq!(captures.held(), 0);
            for free in [client, handle] {
                assert_ne!(ev.context().detach(free).map(drop), Err(Error::Busy));
            }
        }
    }
}

/// Armed again from its callback it goes through a file piece by piece, at once or after a while; a file that was closed
/// meanwhile is stale, and told no earlier than it was to be armed.
pub(crate) fn it_can_be_rearmed<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let bytes = pattern(2, 100_000);
    let handle = file(&mut ev, &scratch, "file", &bytes);
    let (client, server) = ev.pair();
    let arrived = collect(&mut ev, server);
    let ends = Log::new();
    let said = ends.clone();
    let piece = move |offset| SendFile { handle: client, file: handle, offset, len: 9000 };
    ev.context().submit_rearm(piece(0), move |(), cx: &mut Context<'_, B, ()>, sent| match sent.result {
        Ok(0) => {
            cx.close(handle);
            cx.rearm_after(Duration::from_millis(1), piece(0))
        }
        Ok(count) if sent.offset % 2 == 0 => Action::Rearm(piece(sent.offset + count)),
        Ok(count) => cx.rearm_after(Duration::from_micros(1), piece(sent.offset + count)),
        Err(error) => {
            said.push(error);
            Action::Disarm
        }
    });
    ev.until(|| ends.len() == 1);
    assert_eq!(ends.take(), [Error::StaleHandle]);
    ev.context().close(client);
    ev.until_done();
    assert_bytes(&arrived.borrow(), &bytes);
}

/// What is not in the system's cache is read by a thread of the pool: it waits for one, ends at once when it is cancelled
/// before that, and goes on once there is one.
#[cfg(unix)]
pub(crate) fn what_is_on_disk_waits_for_a_thread<B: Backend>(fixture: &Fixture<B>) {
    const LEN: usize = 4 << 20;
    let scratch = Scratch::new(fixture);
    let mut ev = on(fixture, &pool(1));
    let bytes = pattern(8, LEN);
    let handle = file(&mut ev, &scratch, "file", &bytes);
    let (client, server) = ev.pair();
    let (gate, pass) = Gate::new();
    let running = ev.start(proactor_core::Work::new(pass));
    ev.no_wait();
    gate.wait_until_begun();
    if !leaves_the_cache(&scratch.real("file")) {
        // A file system that is all cache shows the rest of it.
        gate.open();
        ev.finish(&running).result.unwrap();
        return assert_eq!(ev.complete(all(client, handle, 0, 100)).result, Ok(()));
    }
    let canceled = ev.start(all(client, handle, 0, LEN as u64));
    let closed_under = ev.start(all(client, handle, 0, LEN as u64));
    for _ in 0..3 {
        ev.idle();
    }
    assert!(!canceled.is_done(), "no thread has read it");
    assert_eq!(ev.cancel(canceled.key), Cancel::Requested);
    let sent = ev.finish(&canceled);
    assert_eq!((sent.result, sent.transferred), (Err(Error::Canceled), 0));
    ev.idle();
    assert!(!closed_under.is_done());
    gate.open();
    let arrived = collect(&mut ev, server);
    let sent = ev.finish(&closed_under);
    assert_eq!((sent.result, sent.transferred), (Ok(()), LEN as u64));
    ev.context().close(client);
    ev.until_done();
    assert_bytes(&arrived.borrow(), &bytes);
}

/// Where the operation or the loop wants it, a thread does all of it, also what is in the cache: it waits for one before each
/// piece, while others go on, and for no peer. It ends at once while none has begun it.
pub(crate) fn on_the_pool_it_waits_for_a_thread<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let bytes = too_much();
    for by_the_loop in [false, true] {
        let config = Config::default().pool(pool(1));
        let config = if by_the_loop { config.offload(Offload::Always) } else { config };
        let mut ev: Loop<B, ()> = fixture.open_with(config);
        let name = if by_the_loop { "file of the loop" } else { "file" };
        let handle = file(&mut ev, &scratch, name, &bytes);
        let [(client, server), (second, _), (third, _)] = [(); 3].map(|()| ev.pair());
        let (gate, pass) = Gate::new();
        ev.start(proactor_core::Work::new(pass));
        ev.no_wait();
        gate.wait_until_begun();
        let send = all(client, handle, 0, TOO_MUCH as u64);
        let sent = if by_the_loop { ev.start(send) } else { ev.start(send.on_pool()) };
        let canceled = ev.start(SendFile { handle: second, file: handle, offset: 0, len: 100 }.on_pool());
        let timed_out = ev.start(all(third, handle, 0, 100).on_pool().with_timeout(Duration::from_millis(5)));
        let direct = all(third, handle, 0, 100).offload(Offload::WhereNeeded);
        ev.idle();
        assert_eq!(ev.finish(&timed_out).result, Err(Error::TimedOut));
        assert_eq!(ev.complete(direct).result, Ok(()), "it is in the cache");
        ev.idle();
        assert!(!sent.is_done() && !canceled.is_done());
        assert_eq!(ev.cancel(canceled.key), Cancel::Requested);
        assert_eq!(ev.finish(&canceled).result, Err(Error::Canceled));
        gate.open();
        // The peer takes its time, and no thread waits for it.
        for _ in 0..3 {
            ev.idle();
            assert!(!sent.is_done());
            assert!(matches!(ev.complete(proactor_core::Work::new(|| 7)).result, Ok(7)));
        }
        let arrived = collect(&mut ev, server);
        let sent = ev.finish(&sent);
        assert_eq!((sent.result, sent.transferred), (Ok(()), TOO_MUCH as u64));
        let step = SendFile { handle: second, file: handle, offset: 7, len: 100 };
        assert_eq!(ev.complete(step.on_pool()).result, Ok(100));
        assert_eq!(ev.complete(all(second, handle, 7, 0).on_pool()).result, Ok(()), "of nothing");
        let end = ev.complete(all(second, handle, TOO_MUCH as u64 - 4, 8).on_pool());
        assert_eq!((end.result, end.transferred), (Err(Error::EndOfStream), 4));
        // Waiting for its peer again, it ends with its file.
        let closed_under = ev.start(all(second, handle, 0, TOO_MUCH as u64).on_pool());
        ev.idle();
        ev.context().close(handle);
        let ended = ev.finish(&closed_under);
        assert!(ended.result == Err(Error::Canceled) && ended.transferred < TOO_MUCH as u64);
        assert_eq!(ev.complete(all(second, handle, 0, 1).on_pool()).result, Err(Error::StaleHandle));
        ev.context().close(client);
        ev.until_done();
        assert_bytes(&arrived.borrow(), &bytes);
    }
}

/// Whether a file can be had out of the system's cache. To ask for a page brings it back, and, to a reader that is not said to be a
/// random one, as much beside it as the device is read ahead: so some are asked for where no loop looks.
#[cfg(target_os = "linux")]
pub(super) fn leaves_the_cache(path: &std::path::Path) -> bool {
    use rustix::fs::{Advice, fadvise};
    let file = std::fs::File::open(path).unwrap();
    file.sync_all().unwrap();
    fadvise(&file, 0, None, Advice::DontNeed).unwrap();
    fadvise(&file, 0, None, Advice::Random).unwrap();
    let len = file.metadata().unwrap().len();
    assert!(len > 32 << 10, "of a smaller one, nothing would be asked");
    let is_gone = |offset| {
        let byte = &mut [0];
        let buffers = &mut [std::io::IoSliceMut::new(byte)];
        let read = rustix::io::preadv2(&file, buffers, offset, rustix::io::ReadWriteFlags::NOWAIT);
        read == Err(Errno::AGAIN)
    };
    (32 << 10..len).step_by(64 << 10).all(is_gone)
}

/// Elsewhere nothing tells.
#[cfg(not(target_os = "linux"))]
pub(super) const fn leaves_the_cache(_path: &std::path::Path) -> bool {
    false
}

/// A socket of the standard library's comes out as it went in, and what receives on it meanwhile goes on.
pub(crate) fn the_socket_comes_out_as_it_was<B: Backend>(fixture: &Fixture<B>) {
    use std::io::{Read, Write};
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let bytes = too_much();
    let handle = file(&mut ev, &scratch, "file", &bytes);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let near = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let flags = |socket: &std::net::TcpStream| rustix::fs::fcntl_getfl(socket).unwrap();
    let before = flags(&near);
    let (mut far, _) = listener.accept().unwrap();
    let socket = ev.context().attach(near).unwrap();
    let armed = ev.start(Recv { handle: socket, buffer: Buffer::zeroed(8) });
    let sent = ev.start(all(socket, handle, 0, TOO_MUCH as u64));
    for _ in 0..5 {
        ev.idle();
    }
    assert!(!sent.is_done());
    far.write_all(b"first").unwrap();
    assert_eq!(ev.finish(&armed).result, Ok(5));
    let armed = ev.start(Recv { handle: socket, buffer: Buffer::zeroed(8) });
    ev.idle();
    assert!(!armed.is_done());
    far.write_all(b"second").unwrap();
    assert_eq!(ev.finish(&armed).result, Ok(6));
    let reader = std::thread::spawn(move || {
        let mut arrived = vec![0; TOO_MUCH];
        far.read_exact(&mut arrived).unwrap();
        arrived
    });
    assert_eq!(ev.finish(&sent).result, Ok(()));
    assert_bytes(&reader.join().unwrap(), &bytes);
    let near = std::net::TcpStream::from(ev.context().detach(socket).unwrap());
    assert_eq!(flags(&near), before);
}

/// A pipe takes a file as a socket does: in its turn among what is written, waiting for whoever reads, and cancelled with what it
/// tells to have moved; who reads no more is an error.
#[cfg(unix)]
pub(crate) fn a_pipe_takes_a_file<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let bytes = pattern(11, 1 << 20);
    let source = file(&mut ev, &scratch, "file", &bytes);
    let write = |handle, bytes: &[u8]| proactor_core::WriteAll { handle, buffer: bytes.to_vec().into() };
    for on_pool in [false, true] {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let before = rustix::fs::fcntl_getfl(&writer).unwrap();
        let reader = ev.context().attach(reader).unwrap();
        let writer = ev.context().attach(writer).unwrap();
        let send = |offset, len| {
            let operation = all(writer, source, offset, len);
            if on_pool { operation.on_pool() } else { operation.offload(Offload::WhereNeeded) }
        };
        let canceled = ev.start(send(5, 1_000_000));
        for _ in 0..5 {
            ev.idle();
        }
        assert!(!canceled.is_done(), "nobody takes it");
        assert_eq!(ev.cancel(canceled.key), Cancel::Requested);
        let canceled = ev.finish(&canceled);
        let moved = canceled.transferred as usize;
        assert_eq!(canceled.result, Err(Error::Canceled));
        assert!(moved > 0 && moved < 1_000_000);
        let written = ev.start(write(writer, b"between"));
        let sent = ev.start(send(100, 900_000));
        let last = ev.start(write(writer, b"last"));
        let mut expected = bytes[5..][..moved].to_vec();
        expected.extend_from_slice(&[b"between", &bytes[100..900_100], b"last"].concat());
        let mut arrived = Vec::new();
        while arrived.len() < expected.len() {
            let read = ev.complete(proactor_core::Read { handle: reader, buffer: Buffer::zeroed(1 << 16) });
            arrived.extend_from_slice(&read.buffer[..read.result.unwrap()]);
        }
        assert_bytes(&arrived, &expected);
        let sent = ev.finish(&sent);
        assert_eq!((sent.result, sent.transferred), (Ok(()), 900_000));
        assert_eq!((ev.finish(&written).result, ev.finish(&last).result), (Ok(()), Ok(())));
        ev.context().close(reader);
        let failed = ev.complete(send(0, 10));
        assert_eq!((failed.result, failed.transferred), (Err(system(Errno::PIPE)), 0));
        let out = ev.context().detach(writer).unwrap();
        assert_eq!(rustix::fs::fcntl_getfl(&out).unwrap(), before);
    }
}

/// A loop that has no pool reads from the disk itself.
pub(crate) fn without_a_pool_the_loop_reads<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev: Loop<B, ()> = fixture.open_with(Config::default().no_pool());
    let bytes = pattern(8, 1 << 20);
    let handle = file(&mut ev, &scratch, "file", &bytes);
    if fixture.capabilities().descriptors {
        leaves_the_cache(&scratch.real("file"));
    }
    let (client, server) = ev.pair();
    let arrived = collect(&mut ev, server);
    let sent = ev.complete(all(client, handle, 0, 1 << 20));
    assert_eq!(sent.result, Ok(()));
    ev.context().close(client);
    ev.until_done();
    assert_bytes(&arrived.borrow(), &bytes);
}

/// About what only Unix has.
#[cfg(not(unix))]
pub(crate) use super::{
    not_here as a_pipe_takes_a_file, not_here as what_is_on_disk_waits_for_a_thread,
    not_here as a_peer_that_is_gone_raises_no_signal,
};
