//! Between pipes and other streams, two handles each, with a turn on both (contract B1, C1, C2, C5, E1, E2, E3, H1, H2, H3, H5,
//! R1, R2, R3, R4, X1, X2, X4, X5).

use std::cell::RefCell;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use proactor_core::{
    Action, Backend, Buffer, Cancel, Close, Context, Driver, Error, Family, Handle, Loop, Nop, OpenAt,
    OpenOptions, Outcome, Read, Recv, RunMode, SendAll, SendFileAll, Shutdown, ShutdownHow, Splice, WriteAll,
};
use rustix::io::Errno;
use rustix::pipe::pipe;

use super::files::file;
use super::steady_rest::allocates_the_same;
use crate::Fixture;
use crate::peers::failures_on_the_gone;
use crate::scratch::Scratch;
use crate::steps::{Captures, Log, Steps, assert_bytes, pattern, system};
use crate::turns::Turns;

/// More than all buffers between two ends of a connection hold.
const TOO_MUCH: usize = 16 << 20;

/// Both ends of a pipe in the loop: the one to read, the one to write.
fn pipe_in<B: Backend>(ev: &mut Loop<B, ()>) -> (Handle, Handle) {
    let (reader, writer) = pipe().unwrap();
    (ev.context().attach(reader).unwrap(), ev.context().attach(writer).unwrap())
}

/// Two ends of a connection within this machine.
fn local_pair<B: Backend>(ev: &mut Loop<B, ()>) -> (Handle, Handle) {
    let (one, other) = UnixStream::pair().unwrap();
    let [one, other] = [one, other].map(OwnedFd::from).map(|end| ev.context().attach(end).unwrap());
    (one, other)
}

/// A pipe whose end to read is in the loop, with these bytes in it.
fn filled<B: Backend>(ev: &mut Loop<B, ()>, bytes: &[u8]) -> (Handle, OwnedFd) {
    let (reader, writer) = pipe().unwrap();
    rustix::io::write(&writer, bytes).unwrap();
    (ev.context().attach(reader).unwrap(), writer)
}

fn write_all(handle: Handle, bytes: &[u8]) -> WriteAll {
    WriteAll { handle, buffer: bytes.to_vec().into() }
}

/// Receives all that comes on a handle until its end, beside whatever else goes on.
fn collect<B: Backend>(ev: &mut Loop<B, ()>, handle: Handle) -> Rc<RefCell<Vec<u8>>> {
    let arrived = Rc::new(RefCell::new(Vec::new()));
    let sink = Rc::clone(&arrived);
    let read = Read { handle, buffer: Buffer::zeroed(1 << 16) };
    ev.context().submit_rearm(read, move |(), _, read| match read.result {
        Ok(count @ 1..) => {
            sink.borrow_mut().extend_from_slice(&read.buffer[..count]);
            Action::Rearm(Read { handle: read.handle, buffer: read.buffer })
        }
        _ => Action::Disarm,
    });
    arrived
}

/// Moves all that comes from the one to the other, up to `len` bytes at a time, until its end, which `end` hears of.
fn pump<B: Backend>(
    ev: &mut Loop<B, ()>,
    (from, to): (Handle, Handle),
    len: u64,
    end: impl FnOnce(&mut Context<'_, B, ()>) + 'static,
) {
    let mut end = Some(end);
    ev.context().submit_rearm(Splice { from, to, len }, move |(), cx, spliced| {
        let count = spliced.result.unwrap();
        assert_eq!((spliced.from, spliced.to, spliced.len), (from, to, len));
        assert!(count <= len);
        if count > 0 {
            return Action::Rearm(Splice { from, to, len });
        }
        if let Some(end) = end.take() {
            end(cx);
        }
        Action::Disarm
    });
}

/// What makes a proxy: all that comes on one connection goes out on another through a pipe, unseen, and its end as well.
pub(crate) fn one_connection_goes_on_as_another<B: Backend>(fixture: &Fixture<B>) {
    for (len, total) in [(1 << 16, TOO_MUCH), (u64::MAX, TOO_MUCH / 2), (777, 200_000)] {
        let mut ev = fixture.open();
        let ((client, near), (far, server), (reader, writer)) = (ev.pair(), ev.pair(), pipe_in(&mut ev));
        let bytes = pattern(4, total);
        let sent = ev.start(SendAll { handle: client, buffer: bytes.clone().into() });
        let ended = ev.start(Shutdown { handle: client, how: ShutdownHow::Write });
        pump(&mut ev, (near, writer), len, move |cx| cx.close(writer));
        pump(&mut ev, (reader, far), len, move |cx| {
            cx.submit(Shutdown { handle: far, how: ShutdownHow::Write }, |(), _, shut_down| {
                assert_eq!(shut_down.result, Ok(()));
            });
        });
        let arrived = collect(&mut ev, server);
        ev.until_done();
        assert_eq!((sent.take().result, ended.take().result), (Ok(()), Ok(())));
        assert_bytes(&arrived.borrow(), &bytes);
    }
}

/// Whatever streams there are at its ends, it waits for what there is to come, moves it, and tells of the end.
pub(crate) fn any_two_streams_of_which_one_is_a_pipe<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (reader, writer) = pipe_in(&mut ev);
    let (near, mut far) = UnixStream::pair().unwrap();
    let near = ev.context().attach(near).unwrap();
    let (second, last) = pipe_in(&mut ev);
    let (client, server) = ev.pair();
    let hops = [(near, writer), (reader, last), (second, client)];
    for bytes in [&b"first"[..], b"second"] {
        let waiting = hops.map(|(from, to)| ev.start(Splice { from, to, len: 100 }));
        for _ in 0..3 {
            ev.idle();
        }
        assert!(waiting.iter().all(|hop| !hop.is_done()));
        far.write_all(bytes).unwrap();
        for hop in &waiting {
            assert_eq!(ev.finish(hop).result, Ok(bytes.len() as u64));
        }
        let received = ev.complete(Recv { handle: server, buffer: Buffer::zeroed(64) });
        assert_eq!(&received.buffer[..received.result.unwrap()], bytes);
    }
    // As many as it was to take at most; of none, nothing is asked for.
    far.write_all(b"0123456789").unwrap();
    assert_eq!(ev.complete(Splice { from: near, to: writer, len: 4 }).result, Ok(4));
    assert_eq!(ev.complete(Splice { from: near, to: writer, len: 0 }).result, Ok(0));
    assert_eq!(ev.complete(Splice { from: near, to: writer, len: u64::MAX }).result, Ok(6));
    assert_eq!(ev.complete(Splice { from: near, to: writer, len: 0 }).result, Ok(0));
    let waiting = ev.start(Splice { from: near, to: writer, len: 1 });
    ev.idle();
    assert!(!waiting.is_done());
    drop(far);
    assert_eq!(ev.finish(&waiting).result, Ok(0));
    ev.context().close(writer);
    assert_eq!(ev.complete(Splice { from: reader, to: client, len: 100 }).result, Ok(10));
    assert_eq!(ev.complete(Splice { from: reader, to: client, len: 100 }).result, Ok(0));
}

/// It has its turn among what reads where it reads and among what writes where it writes, whichever of these is the later.
pub(crate) fn it_keeps_its_turn_on_both_sides<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let (reader, writer) = pipe_in(&mut ev);
    let order = Log::new();
    let said = |name: &'static str| {
        let order = order.clone();
        move || order.push(name)
    };
    let much = pattern(6, TOO_MUCH);
    let mut cx = ev.context();
    // The socket takes its time; the pipe has something to read at once.
    let say = said("much");
    cx.submit(SendAll { handle: client, buffer: much.clone().into() }, move |(), _, _| say());
    let say = said("read");
    cx.submit(Read { handle: reader, buffer: Buffer::zeroed(4) }, move |(), _, read| {
        assert_eq!((read.result, &read.buffer[..]), (Ok(4), &b"0123"[..]));
        say();
    });
    let say = said("splice");
    cx.submit(Splice { from: reader, to: client, len: 3 }, move |(), _, spliced| {
        assert_eq!(spliced.result, Ok(3));
        say();
    });
    let say = said("later read");
    cx.submit(Read { handle: reader, buffer: Buffer::zeroed(2) }, move |(), _, read| {
        assert_eq!((read.result, &read.buffer[..]), (Ok(2), &b"78"[..]));
        say();
    });
    let say = said("later send");
    cx.submit(SendAll { handle: client, buffer: b"tail".into() }, move |(), _, _| say());
    assert_eq!(ev.complete(write_all(writer, b"0123456789")).result, Ok(()));
    for _ in 0..3 {
        ev.idle();
    }
    // What is written elsewhere, and read elsewhere, goes on meanwhile.
    assert_eq!(ev.complete(SendAll { handle: server, buffer: b"aside".into() }).result, Ok(()));
    let aside = ev.complete(Recv { handle: client, buffer: Buffer::zeroed(8) });
    assert_eq!(&aside.buffer[..aside.result.unwrap()], b"aside");
    assert_eq!(order.take(), ["read"], "the socket is full");
    let arrived = collect(&mut ev, server);
    ev.until(|| order.len() == 4);
    let told = order.take();
    assert_eq!(told[..2], ["much", "splice"]);
    assert!(told[2..].contains(&"later read") && told[2..].contains(&"later send"));
    ev.context().close(client);
    ev.until_done();
    assert_bytes(&arrived.borrow(), &[&much[..], b"456tail"].concat());
    // The other way round: what it is to read from has others in front, and what is to be written waits behind it.
    let (client, server) = ev.pair();
    let in_front = ev.start(Recv { handle: server, buffer: Buffer::zeroed(4) });
    let spliced = ev.start(Splice { from: server, to: writer, len: 4 });
    let behind = ev.start(write_all(writer, b"."));
    ev.idle();
    assert!(!in_front.is_done() && !spliced.is_done() && !behind.is_done());
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"onetwo".into() }).result, Ok(()));
    assert_eq!(ev.finish(&in_front).result, Ok(4));
    assert_eq!(ev.finish(&spliced).result, Ok(2));
    assert_eq!(ev.finish(&behind).result, Ok(()));
    let read = ev.complete(Read { handle: reader, buffer: Buffer::zeroed(16) });
    assert_eq!(&read.buffer[..read.result.unwrap()], b"9wo.");
}

/// What cannot be, or is not there, says why, and hands back all that it took; nothing is moved.
pub(crate) fn failures_say_why<B: Backend>(fixture: &Fixture<B>) {
    #[track_caller]
    fn fails<B: Backend>(ev: &mut Loop<B, ()>, from: Handle, to: Handle, error: Error) {
        let spliced = ev.complete(Splice { from, to, len: 4 });
        assert_eq!((spliced.result, spliced.from, spliced.to, spliced.len), (Err(error), from, to, 4));
    }
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let (reader, writer) = pipe_in(&mut ev);
    let good = file(&mut ev, &scratch, "file", b"bytes");
    let options = OpenOptions::read().directory();
    let directory = ev.complete(OpenAt { directory: None, path: scratch.directory(), options });
    let directory = directory.result.unwrap();
    let datagrams = ev.context().datagram_socket(Family::Ipv4).unwrap();
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"there".into() }).result, Ok(()));
    assert_eq!(ev.complete(write_all(writer, b"here")).result, Ok(()));
    fails(&mut ev, server, client, system(Errno::INVAL));
    for odd in [good, directory] {
        fails(&mut ev, odd, writer, system(Errno::INVAL));
        fails(&mut ev, reader, odd, system(Errno::INVAL));
    }
    fails(&mut ev, datagrams, writer, Error::Unsupported);
    fails(&mut ev, reader, datagrams, Error::Unsupported);
    fails(&mut ev, reader, writer, system(Errno::INVAL));
    fails(&mut ev, writer, client, system(Errno::BADF));
    fails(&mut ev, server, reader, system(Errno::BADF));
    let fresh = ev.context().socket(Family::Ipv4).unwrap();
    for (from, to) in [(reader, fresh), (fresh, writer)] {
        let spliced = ev.complete(Splice { from, to, len: 4 });
        let error = spliced.result.unwrap_err();
        assert!([Errno::NOTCONN, Errno::PIPE].map(system).contains(&error), "{error:?}");
    }
    let listener = ev.listener().0;
    fails(&mut ev, listener, writer, system(Errno::NOTCONN));
    let (stale, other) = pipe_in(&mut ev);
    ev.context().close(stale);
    ev.context().close(other);
    fails(&mut ev, stale, writer, Error::StaleHandle);
    fails(&mut ev, reader, other, Error::StaleHandle);
    fails(&mut ev, stale, other, Error::StaleHandle);
    // None of that was moved.
    let received = ev.complete(Recv { handle: server, buffer: Buffer::zeroed(64) });
    assert_eq!(&received.buffer[..received.result.unwrap()], b"there");
    let read = ev.complete(Read { handle: reader, buffer: Buffer::zeroed(64) });
    assert_eq!(&read.buffer[..read.result.unwrap()], b"here");
}

/// A reader, or a peer, that is gone is an error, and no signal, whatever becomes of that by default.
pub(crate) fn who_is_gone_raises_no_signal<B: Backend>(fixture: &Fixture<B>) {
    assert_eq!(fixture.child("splice_to_the_gone"), "40 transfers failed\n");
}

/// The child of [`who_is_gone_raises_no_signal`]: SIGPIPE would end it.
pub(crate) fn splice_to_the_gone<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let failed = failures_on_the_gone(&mut ev, 20, |ev, handle| {
        let (reader, _writer) = filled(ev, b"for nobody");
        let (end, writer) = pipe().unwrap();
        drop(end);
        let writer = ev.context().attach(writer).unwrap();
        let to_a_socket = ev.complete(Splice { from: reader, to: handle, len: 5 });
        let to_a_pipe = ev.complete(Splice { from: reader, to: writer, len: 5 });
        [to_a_socket.result.map(drop), to_a_pipe.result.map(drop)]
    });
    println!("{failed} transfers failed");
}

/// It waits for room as well as for something to come, and its handles with it; cancelled while it waits for either, or behind
/// others, it has moved nothing, and nothing is lost.
pub(crate) fn it_waits_and_can_be_cancelled<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let (reader, writer) = pipe_in(&mut ev);
    for _ in 0..3 {
        let waiting = ev.start(Splice { from: server, to: writer, len: 100 });
        let behind = ev.start(Splice { from: server, to: writer, len: 7 });
        ev.idle();
        for busy in [server, writer] {
            assert_eq!(ev.context().detach(busy).map(drop), Err(Error::Busy));
        }
        for pending in [&behind, &waiting] {
            assert_eq!(ev.cancel(pending.key), Cancel::Requested);
        }
        let ended = (ev.finish(&behind), ev.finish(&waiting));
        assert_eq!((ended.0.result, ended.0.len), (Err(Error::Canceled), 7));
        assert_eq!((ended.1.result, ended.1.len), (Err(Error::Canceled), 100));
    }
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"kept".into() }).result, Ok(()));
    let received = ev.complete(Recv { handle: server, buffer: Buffer::zeroed(64) });
    assert_eq!(&received.buffer[..received.result.unwrap()], b"kept");
    // A pipe that nobody reads.
    let bytes = pattern(9, 1 << 20);
    let sent = ev.start(SendAll { handle: client, buffer: bytes.clone().into() });
    let mut moved = 0;
    let stuck = loop {
        let step = ev.start(Splice { from: server, to: writer, len: u64::MAX });
        for _ in 0..5 {
            ev.idle();
        }
        if !step.is_done() {
            break step;
        }
        moved += step.take().result.unwrap() as usize;
    };
    assert!(moved > 0 && moved < bytes.len());
    let behind = [ev.start(Recv { handle: server, buffer: Buffer::zeroed(1 << 20) })];
    ev.idle();
    assert!(!behind[0].is_done(), "it is not its turn");
    assert_eq!(ev.cancel(stuck.key), Cancel::Requested);
    assert_eq!(ev.finish(&stuck).result, Err(Error::Canceled));
    let received = ev.finish(&behind[0]);
    let mut rest = received.buffer[..received.result.unwrap()].to_vec();
    while moved + rest.len() < bytes.len() {
        let received = ev.complete(Recv { handle: server, buffer: Buffer::zeroed(1 << 16) });
        rest.extend_from_slice(&received.buffer[..received.result.unwrap()]);
    }
    assert_eq!(ev.finish(&sent).result, Ok(()));
    let arrived = collect(&mut ev, reader);
    ev.context().close(writer);
    ev.until_done();
    assert_bytes(&[arrived.take(), rest].concat(), &bytes);
}

/// Room that comes while it waits for that lets it go on.
pub(crate) fn it_goes_on_when_there_is_room<B: Backend>(fixture: &Fixture<B>) {
    for is_socket in [false, true] {
        let mut ev = fixture.open();
        let (source, writer) = pipe_in(&mut ev);
        // Once full, it takes nothing before somebody reads: what TCP takes may grow with time.
        let (sink, to) = if is_socket { local_pair(&mut ev) } else { pipe_in(&mut ev) };
        let mut put = 0;
        let full = loop {
            let write = ev.start(write_all(to, &[0; 4096]));
            for _ in 0..3 {
                ev.idle();
            }
            if !write.is_done() {
                break write;
            }
            put += 4096;
        };
        assert_eq!(ev.cancel(full.key), Cancel::Requested);
        put += ev.finish(&full).transferred;
        assert_eq!(ev.complete(write_all(writer, b"last")).result, Ok(()));
        let waiting = ev.start(Splice { from: source, to, len: 100 });
        for _ in 0..3 {
            ev.idle();
        }
        assert!(!waiting.is_done());
        let arrived = collect(&mut ev, sink);
        assert_eq!(ev.finish(&waiting).result, Ok(4));
        ev.context().close(to);
        ev.until_done();
        let arrived = arrived.take();
        assert_eq!((arrived.len(), &arrived[put..]), (put + 4, &b"last"[..]));
    }
}

/// Its deadline ends it, while it waits for either side and behind others; a result in time wins.
pub(crate) fn a_deadline_ends_it<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let (reader, writer) = pipe_in(&mut ev);
    let soon = Duration::from_millis(20);
    let splice = |len| Splice { from: server, to: writer, len };
    assert_eq!(ev.complete(splice(3).with_timeout(soon)).result, Err(Error::TimedOut));
    let in_front = ev.start(Recv { handle: server, buffer: Buffer::zeroed(2) });
    assert_eq!(ev.complete(splice(3).with_timeout(soon)).result, Err(Error::TimedOut));
    assert!(!in_front.is_done());
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"abcdef".into() }).result, Ok(()));
    assert_eq!(ev.finish(&in_front).result, Ok(2));
    assert_eq!(ev.complete(splice(3).with_timeout(Duration::from_secs(3600))).result, Ok(3));
    assert_eq!(ev.complete(splice(3).with_timeout(Duration::ZERO)).result, Err(Error::TimedOut));
    let received = ev.complete(Recv { handle: server, buffer: Buffer::zeroed(2) });
    assert_eq!(&received.buffer[..received.result.unwrap()], b"f");
    let read = ev.complete(Read { handle: reader, buffer: Buffer::zeroed(8) });
    assert_eq!(&read.buffer[..read.result.unwrap()], b"cde");
}

/// Closing either handle ends all that use it, wherever they stand, before it is closed; the other one goes on.
pub(crate) fn closing_either_ends_it<B: Backend>(fixture: &Fixture<B>) {
    for turns in 0..4 {
        for closes_source in [false, true] {
            let mut ev = fixture.open();
            let ((client, server), (other_client, other)) = (ev.pair(), ev.pair());
            let (reader, writer) = pipe_in(&mut ev);
            let (second_reader, second) = pipe_in(&mut ev);
            let (closed, kept) = if closes_source { (server, writer) } else { (writer, server) };
            let concerned =
                [(server, writer), (server, writer)].map(|(from, to)| Splice { from, to, len: 9 });
            let [first, second_one] = concerned.map(|splice| ev.start(splice));
            // Each shares one of the two with those.
            let from_same = ev.start(Splice { from: server, to: second, len: 9 });
            let to_same = ev.start(Splice { from: other, to: writer, len: 9 });
            for _ in 0..turns {
                ev.context().submit(Nop, |(), _, _| ());
                ev.no_wait();
            }
            let close = ev.start(Close { handle: closed });
            let late = ev.complete(Splice { from: server, to: writer, len: 1 });
            assert_eq!(late.result, Err(Error::StaleHandle));
            assert_eq!(ev.finish(&close).result, Ok(()));
            let (gone, going_on) =
                if closes_source { (&from_same, &to_same) } else { (&to_same, &from_same) };
            for ended in [&first, &second_one, gone] {
                assert!(ended.is_done(), "before its handle was closed");
                let ended = ended.take();
                assert_eq!((ended.result, ended.len), (Err(Error::Canceled), 9));
            }
            ev.idle();
            assert!(!going_on.is_done());
            let (source, sink) = if closes_source { (other_client, reader) } else { (client, second_reader) };
            assert_eq!(ev.complete(SendAll { handle: source, buffer: b"on".into() }).result, Ok(()));
            assert_eq!(ev.finish(going_on).result, Ok(2));
            let read = ev.complete(Read { handle: sink, buffer: Buffer::zeroed(8) });
            assert_eq!(&read.buffer[..read.result.unwrap()], b"on");
            assert_ne!(ev.context().detach(kept).map(drop), Err(Error::Busy), "nothing is left on it");
        }
    }
}

/// Deleted, it ends unheard, and both handles are free; dropped with its loop, nothing is left of it.
pub(crate) fn deleted_or_dropped_it_is_gone<B: Backend>(fixture: &Fixture<B>) {
    for turns in 0..4 {
        for dropped in [false, true] {
            let mut ev = fixture.open();
            let (_client, server) = ev.pair();
            let (_reader, writer) = pipe_in(&mut ev);
            let captures = Captures::default();
            let keys: Vec<_> = (1..4)
                .map(|len| {
                    let held = captures.capture();
                    let splice = Splice { from: server, to: writer, len };
                    ev.context().submit(splice, move |(), _, _| drop(held))
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
            for free in [server, writer] {
                assert_ne!(ev.context().detach(free).map(drop), Err(Error::Busy));
            }
        }
    }
}

/// Armed again after a while it keeps its places meanwhile; a handle that was closed is stale, and told no earlier.
pub(crate) fn it_can_be_rearmed_later<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (from, source) = filled(&mut ev, b"0123456789");
    let (client, server) = ev.pair();
    let arrived = collect(&mut ev, server);
    let ends = Log::new();
    let said = ends.clone();
    let piece = move || Splice { from, to: client, len: 3 };
    drop(source);
    ev.context().submit_rearm(piece(), move |(), cx: &mut Context<'_, B, ()>, spliced| {
        match spliced.result {
            Ok(0) => {
                cx.close(from);
                cx.rearm_after(Duration::from_millis(1), piece())
            }
            Ok(count) => {
                if count == 3 {
                    cx.submit(SendAll { handle: client, buffer: b".".into() }, |(), _, _| ());
                }
                cx.rearm_after(Duration::from_micros(100), piece())
            }
            Err(error) => {
                said.push(error);
                Action::Disarm
            }
        }
    });
    ev.until(|| ends.len() == 1);
    assert_eq!(ends.take(), [Error::StaleHandle]);
    ev.context().close(client);
    ev.until_done();
    assert_bytes(&arrived.borrow(), b"012.345.678.9");
}

/// Descriptors of the standard library's come out as they went in, and what else is under way on the socket goes on, a transfer
/// from a file the other way included.
pub(crate) fn descriptors_come_out_as_they_were<B: Backend>(fixture: &Fixture<B>) {
    fn flags(descriptor: &impl AsFd) -> rustix::fs::OFlags {
        rustix::fs::fcntl_getfl(descriptor).unwrap()
    }
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let bytes = pattern(5, TOO_MUCH);
    let source = file(&mut ev, &scratch, "file", &bytes);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let near = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut far, _) = listener.accept().unwrap();
    let (reader, writer) = pipe().unwrap();
    let before = [flags(&near), flags(&writer)];
    let socket = ev.context().attach(near).unwrap();
    let writer = ev.context().attach(writer).unwrap();
    let mut reader = File::from(reader);
    let mut sent = ev.start(SendFileAll { handle: socket, file: source, offset: 0, len: TOO_MUCH as u64 });
    for round in 0..3 {
        let spliced = ev.start(Splice { from: socket, to: writer, len: 100 });
        for _ in 0..3 {
            ev.idle();
        }
        assert!(!spliced.is_done() && !sent.is_done());
        far.write_all(b"through").unwrap();
        assert_eq!(ev.finish(&spliced).result, Ok(7));
        let mut arrived = [0; 7];
        reader.read_exact(&mut arrived).unwrap();
        assert_eq!(&arrived, b"through");
        if round == 1 {
            // The one that ends leaves the socket to the other.
            assert_eq!(ev.cancel(sent.key), Cancel::Requested);
            assert_eq!(ev.finish(&sent).result, Err(Error::Canceled));
            let spliced = ev.start(Splice { from: socket, to: writer, len: 100 });
            ev.idle();
            assert_eq!(ev.cancel(spliced.key), Cancel::Requested);
            ev.until_done();
            sent = ev.start(SendFileAll { handle: socket, file: source, offset: 0, len: TOO_MUCH as u64 });
        }
    }
    assert_eq!(ev.cancel(sent.key), Cancel::Requested);
    assert_eq!(ev.finish(&sent).result, Err(Error::Canceled));
    let armed = ev.start(Recv { handle: socket, buffer: Buffer::zeroed(8) });
    ev.idle();
    assert!(!armed.is_done());
    far.write_all(b"still").unwrap();
    assert_eq!(ev.finish(&armed).result, Ok(5));
    let after = [socket, writer].map(|handle| flags(&ev.context().detach(handle).unwrap()));
    assert_eq!(after, before);
}

/// `cancel_all` ends each, first on one of its handles, on both, or on none.
pub(crate) fn cancel_all_covers_it<B: Backend>(fixture: &Fixture<B>) {
    for turns in 0..4 {
        let mut ev = fixture.open();
        let pairs = [ev.pair(), ev.pair()];
        let pipes = [pipe_in(&mut ev), pipe_in(&mut ev)];
        let ends = [(0, 0), (0, 1), (1, 1), (1, 0)];
        let keys: Vec<_> = (0..40)
            .map(|number| {
                let (pair, pipe) = ends[number % 4];
                ev.start(Splice { from: pairs[pair].1, to: pipes[pipe].1, len: number as u64 + 1 })
            })
            .collect();
        for _ in 0..turns {
            ev.context().submit(Nop, |(), _, _| ());
            ev.no_wait();
        }
        ev.context().cancel_all();
        ev.run(&mut (), RunMode::UntilDone).unwrap();
        assert_eq!(ev.context().active(), 0);
        for (len, ended) in (1..).zip(&keys) {
            let ended = ended.take();
            assert_eq!((ended.result, ended.len), (Err(Error::Canceled), len));
        }
    }
}

/// At steady state nothing allocates, whether it waits for something to come, for its turn, or not at all.
pub(crate) fn splicing_does_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    let mut driver = Driver::<B>::open(proactor_core::Config::default()).unwrap();
    let (from, mut source) = UnixStream::pair().unwrap();
    let (mut sink, to) = UnixStream::pair().unwrap();
    let (reader, writer) = pipe().unwrap();
    let [from, to, reader, writer] =
        [from.into(), to.into(), reader, writer].map(|end: OwnedFd| driver.attach(end).unwrap());
    let _ = fixture;
    allocates_the_same(|rounds| {
        for _ in 0..rounds {
            let into = driver.submit(Splice { from, to: writer, len: 100 });
            let out = driver.submit(Splice { from: reader, to, len: 100 });
            driver.turn_now();
            source.write_all(b"bytes").unwrap();
            for key in [into, out] {
                let Outcome::Splice(spliced) = driver.outcome_of(key) else { panic!("it ends as one") };
                assert_eq!(spliced.result, Ok(5));
            }
            let mut arrived = [0; 5];
            sink.read_exact(&mut arrived).unwrap();
            assert_eq!(&arrived, b"bytes");
        }
    });
}

/// Where the system moves nothing, everything comes back.
pub(crate) fn without_it_everything_comes_back<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (from, to) = ev.pair();
    let spliced = ev.complete(Splice { from, to, len: 7 });
    assert_eq!((spliced.from, spliced.to, spliced.len), (from, to, 7));
    assert_eq!(spliced.result, Err(Error::Unsupported));
    // In its place, behind what was submitted before.
    let order = Log::new();
    let [first, second, third] = [1, 2, 3].map(|number| {
        let order = order.clone();
        move || order.push(number)
    });
    let mut cx = ev.context();
    cx.submit(SendAll { handle: to, buffer: b"bytes".into() }, move |(), _, _| first());
    cx.submit(Splice { from, to, len: 7 }, move |(), _, _| second());
    cx.submit(SendAll { handle: to, buffer: b"more".into() }, move |(), _, _| third());
    ev.until_done();
    assert_eq!(order.take(), [1, 2, 3]);
}
