//! Reads and writes on sockets: the same queues as receives and sends, whole or told how far (contract H3, R1, X1).

use std::time::Duration;

use proactor_core::{
    Backend, BytesRead, Cancel, Close, Create, Error, ExactRead, Handle, OpenOptions, Read, ReadAt,
    ReadExact, Recv, SendAll, Shutdown, ShutdownHow, SocketOption, Write, WriteAll,
};
use rustix::io::Errno;

use super::cancellation::MORE_THAN_FITS;
use super::files::open;
use crate::Fixture;
#[cfg(unix)]
use crate::peers::failures_on_the_gone;
use crate::peers::receive_all;
use crate::scratch::Scratch;
use crate::steps::{Captures, Steps, assert_bytes, pattern, system};

fn read(handle: Handle, len: usize) -> Read {
    Read { handle, buffer: vec![0; len].into() }
}

fn read_exact(handle: Handle, len: usize) -> ReadExact {
    ReadExact { handle, buffer: vec![0; len].into() }
}

fn write_all(handle: Handle, bytes: &'static [u8]) -> WriteAll {
    WriteAll { handle, buffer: bytes.into() }
}

/// What a read has brought.
#[track_caller]
fn brought(read: &BytesRead) -> &[u8] {
    &read.buffer[..read.result.expect("something was read")]
}

/// How an exact read went, and the bytes that it has.
fn exactly(read: &ExactRead) -> (Result<(), Error>, &[u8]) {
    (read.result, &read.buffer[..read.transferred])
}

/// Each of the four on a connection, and the end of the stream.
pub(crate) fn sockets_are_read_and_written<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let waiting = ev.start(read(server, 64));
    ev.no_wait();
    assert!(!waiting.is_done());
    let written = ev.complete(Write { handle: client, buffer: b"abc".into() });
    assert_eq!((written.result, &written.buffer[..]), (Ok(3), &b"abc"[..]));
    assert_eq!(brought(&ev.finish(&waiting)), b"abc");
    let written = ev.complete(write_all(client, b"defghi"));
    assert_eq!((written.result, written.transferred, written.buffer.len()), (Ok(()), 6, 6));
    let exact = ev.complete(read_exact(server, 4));
    assert_eq!(exactly(&exact), (Ok(()), &b"defg"[..]));
    assert_eq!(brought(&ev.complete(read(server, 64))), b"hi");
    assert_eq!(ev.complete(Shutdown { handle: client, how: ShutdownHow::Write }).result, Ok(()));
    assert_eq!(ev.complete(read(server, 64)).result, Ok(0));
}

/// An exact read gets its bytes however they come, and the receive and the read behind it get theirs after.
pub(crate) fn reads_and_receives_share_a_queue<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let first = ev.start(read_exact(server, 8));
    let second = ev.start(Recv { handle: server, buffer: vec![0; 2].into() });
    let third = ev.start(read_exact(server, 3));
    let fourth = ev.start(read(server, 1));
    for piece in [&b"abc"[..], b"def", b"ghijkl"] {
        assert!(!second.is_done());
        assert_eq!(ev.complete(write_all(client, piece)).result, Ok(()));
        ev.idle();
    }
    assert_eq!(exactly(&ev.finish(&first)), (Ok(()), &b"abcdefgh"[..]));
    assert_eq!(&ev.finish(&second).buffer[..], b"ij");
    assert_eq!(ev.complete(write_all(client, b"mno")).result, Ok(()));
    assert_eq!(exactly(&ev.finish(&third)), (Ok(()), &b"klm"[..]));
    assert_eq!(brought(&ev.finish(&fourth)), b"n");
    assert_eq!(brought(&ev.complete(read(server, 8))), b"o");
}

/// Writes and sends of several sizes leave in the order in which they were queued, none within another.
pub(crate) fn writes_and_sends_share_a_queue<B: Backend>(fixture: &Fixture<B>) {
    const LEN: usize = 3 << 20;
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let (first, third) = (pattern(1, LEN), pattern(3, LEN));
    let expected = [&first[..], b"second", &third[..], b"fourth"].concat();
    let one = ev.start(WriteAll { handle: client, buffer: first.into() });
    let two = ev.start(SendAll { handle: client, buffer: b"second".into() });
    let three = ev.start(WriteAll { handle: client, buffer: third.into() });
    let four = ev.start(write_all(client, b"fourth"));
    let end = ev.start(Shutdown { handle: client, how: ShutdownHow::Write });
    let (bytes, ended) = receive_all(&mut ev, server, 100_000);
    assert_bytes(&bytes, &expected);
    assert_eq!(ended, Ok(()));
    for (result, transferred) in [&one, &three].map(|written| {
        let written = ev.finish(written);
        (written.result, written.transferred)
    }) {
        assert_eq!((result, transferred), (Ok(()), LEN));
    }
    assert_eq!(ev.finish(&two).result, Ok(()));
    assert_eq!(ev.finish(&four).transferred, 6);
    assert_eq!(ev.finish(&end).result, Ok(()));
}

/// The end comes before an exact read has all: that is an error of its own, with what there was.
pub(crate) fn the_end_inside_an_exact_read_is_told<B: Backend>(fixture: &Fixture<B>) {
    for waiting in [false, true] {
        let mut ev = fixture.open();
        let (client, server) = ev.pair();
        let cut = ev.start(read_exact(server, 10));
        let after = ev.start(read_exact(server, 10));
        if waiting {
            ev.no_wait();
        }
        ev.complete(write_all(client, b"four"));
        ev.complete(Shutdown { handle: client, how: ShutdownHow::Write });
        let cut = ev.finish(&cut);
        assert_eq!(exactly(&cut), (Err(Error::EndOfStream), &b"four"[..]), "waiting: {waiting}");
        assert_eq!(cut.buffer.len(), 10);
        assert_eq!(Error::EndOfStream.kind(), std::io::ErrorKind::UnexpectedEof);
        assert_eq!(exactly(&ev.finish(&after)), (Err(Error::EndOfStream), &b""[..]));
        assert_eq!(ev.complete(read(server, 10)).result, Ok(0));
    }
}

/// Cancelled half way, what is to move all tells how far it came, and nothing of the stream is lost or doubled.
pub(crate) fn cancelled_they_tell_what_was_transferred<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let exact = ev.start(read_exact(server, 10));
    assert_eq!(ev.complete(write_all(client, b"four")).result, Ok(()));
    ev.idle();
    assert_eq!(ev.cancel(exact.key), Cancel::Requested);
    let exact = ev.finish(&exact);
    assert_eq!(exactly(&exact), (Err(Error::Canceled), &b"four"[..]));

    let sent = pattern(7, MORE_THAN_FITS);
    let written = ev.start(WriteAll { handle: client, buffer: sent.clone().into() });
    ev.idle();
    assert_eq!(ev.cancel(written.key), Cancel::Requested);
    let written = ev.finish(&written);
    assert_eq!((written.result, written.buffer.len()), (Err(Error::Canceled), MORE_THAN_FITS));
    assert!(written.transferred > 0 && written.transferred < MORE_THAN_FITS);
    let behind = ev.start(write_all(client, b"behind"));
    let end = ev.start(Shutdown { handle: client, how: ShutdownHow::Write });
    let (bytes, _) = receive_all(&mut ev, server, 1 << 20);
    assert_bytes(&bytes, &[&sent[..written.transferred], b"behind"].concat());
    assert_eq!((ev.finish(&behind).result, ev.finish(&end).result), (Ok(()), Ok(())));
}

/// Each of the four ends when it is cancelled while it waits, its buffer handed back.
pub(crate) fn each_can_be_cancelled_while_it_waits<B: Backend>(fixture: &Fixture<B>) {
    for started in [false, true] {
        let mut ev = fixture.open();
        let (client, _server) = ev.pair();
        let read = ev.start(read(client, 64));
        let exact = ev.start(read_exact(client, 64));
        let all = ev.start(WriteAll { handle: client, buffer: vec![1; MORE_THAN_FITS].into() });
        let one = ev.start(Write { handle: client, buffer: vec![2; 64].into() });
        if started {
            ev.idle();
        }
        // The heads of both queues first, then what was behind them.
        for key in [read.key, all.key, exact.key, one.key] {
            assert_eq!(ev.cancel(key), Cancel::Requested);
        }
        ev.until_done();
        let (read, exact, all, one) = (read.take(), exact.take(), all.take(), one.take());
        assert_eq!((read.result, read.buffer.len()), (Err(Error::Canceled), 64));
        assert_eq!((exact.result, exact.transferred, exact.buffer.len()), (Err(Error::Canceled), 0, 64));
        assert_eq!((all.result, all.buffer.len()), (Err(Error::Canceled), MORE_THAN_FITS));
        assert_eq!(all.transferred > 0, started);
        assert_eq!((one.result, one.buffer.len()), (Err(Error::Canceled), 64));
    }
}

/// A full direction: a single write waits until there is room, and is cancelled there.
pub(crate) fn a_single_write_waits_for_room<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let all = ev.start(WriteAll { handle: client, buffer: vec![1; MORE_THAN_FITS].into() });
    ev.idle();
    assert_eq!(ev.cancel(all.key), Cancel::Requested);
    let before = ev.finish(&all).transferred;
    // What was on its way within the system may make room for one more.
    let mut more = 0;
    let waiting = loop {
        let write = ev.start(Write { handle: client, buffer: vec![2; 1 << 20].into() });
        ev.idle();
        if !write.is_done() {
            break write;
        }
        more += write.take().result.unwrap();
    };
    assert_eq!(ev.cancel(waiting.key), Cancel::Requested);
    assert_eq!(ev.finish(&waiting).result, Err(Error::Canceled));
    let last = ev.start(Write { handle: client, buffer: b"!".into() });
    let end = ev.start(Shutdown { handle: client, how: ShutdownHow::Write });
    let (bytes, _) = receive_all(&mut ev, server, 1 << 20);
    assert_eq!(bytes.len(), before + more + 1);
    assert_eq!((ev.finish(&last).result, ev.finish(&end).result), (Ok(1), Ok(())));
}

/// Deleted, closed under them, or dropped with the loop: what waits ends as it should, and lets go of everything.
pub(crate) fn they_end_with_their_handle_and_with_the_loop<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let captures = Captures::default();
    let (client, server) = ev.pair();
    let held = captures.capture();
    let key = ev.context().submit(read_exact(server, 8), move |(), _, _| drop(held));
    ev.complete(write_all(client, b"four"));
    ev.idle();
    ev.context().delete(key).unwrap();
    ev.until_done();
    assert_eq!(captures.held(), 0);

    let pending = (
        ev.start(read(server, 64)),
        ev.start(read_exact(server, 64)),
        ev.start(WriteAll { handle: server, buffer: vec![1; MORE_THAN_FITS].into() }),
        ev.start(Write { handle: server, buffer: vec![1; 64].into() }),
    );
    ev.no_wait();
    let closed = ev.start(Close { handle: server });
    ev.until(|| closed.is_done());
    assert_eq!(pending.0.take().result, Err(Error::Canceled));
    assert_eq!(pending.1.take().result, Err(Error::Canceled));
    assert!(pending.2.take().result.is_err());
    assert_eq!(pending.3.take().result, Err(Error::Canceled));
    assert_eq!(ev.complete(read(server, 64)).result, Err(Error::StaleHandle));
    assert_eq!(ev.complete(write_all(server, b"x")).transferred, 0);

    let (client, _server) = ev.pair();
    for _ in 0..2 {
        let (one, two) = (captures.capture(), captures.capture());
        ev.context().submit(read_exact(client, 64), move |(), _, _| drop(one));
        let all = WriteAll { handle: client, buffer: vec![1; MORE_THAN_FITS].into() };
        ev.context().submit(all, move |(), _, _| drop(two));
        ev.no_wait();
    }
    assert_eq!(captures.held(), 4);
    drop(ev);
    assert_eq!(captures.held(), 0);
}

/// An empty range completes in its place in the queue; a read-only buffer fails alone.
pub(crate) fn empty_and_read_only_buffers<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let first = ev.start(read_exact(server, 3));
    let empty = (ev.start(read(server, 0)), ev.start(read_exact(server, 0)));
    let fixed = (
        ev.start(Read { handle: server, buffer: b"fixed".into() }),
        ev.start(ReadExact { handle: server, buffer: b"fixed".into() }),
    );
    ev.idle();
    assert!(!empty.0.is_done() && !empty.1.is_done() && !fixed.0.is_done());
    assert_eq!(ev.complete(write_all(client, b"")).result, Ok(()));
    assert_eq!(ev.complete(Write { handle: client, buffer: b"".into() }).result, Ok(0));
    assert_eq!(ev.complete(write_all(client, b"abcd")).result, Ok(()));
    assert_eq!(exactly(&ev.finish(&first)), (Ok(()), &b"abc"[..]));
    assert_eq!(ev.finish(&empty.0).result, Ok(0));
    assert_eq!(ev.finish(&empty.1).result, Ok(()));
    assert_eq!(ev.finish(&fixed.0).result, Err(Error::ReadOnlyBuffer));
    assert_eq!(exactly(&ev.finish(&fixed.1)), (Err(Error::ReadOnlyBuffer), &b""[..]));
    assert_eq!(brought(&ev.complete(read(server, 8))), b"d");
}

/// 1 MiB from each end to the other, the loop led in odd steps between turns that do not wait (as TigerBeetle's test).
pub(crate) fn pipe_data_over_a_socket<B: Backend>(fixture: &Fixture<B>) {
    const LEN: usize = 1 << 20;
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    for handle in [client, server] {
        ev.context().set(handle, SocketOption::SendBuffer(8 << 10)).unwrap();
    }
    let (there, back) = (pattern(11, LEN), pattern(12, LEN));
    let writes = [
        ev.start(WriteAll { handle: client, buffer: there.clone().into() }),
        ev.start(WriteAll { handle: server, buffer: back.clone().into() }),
    ];
    let reads = [ev.start(read_exact(server, LEN)), ev.start(read_exact(client, LEN))];
    let mut turns = 0_u32;
    while !reads.iter().all(|read| read.is_done()) {
        turns += 1;
        assert!(turns < 2_000_000, "it does not end");
        if turns.is_multiple_of(61) {
            ev.run_for(&mut (), Duration::from_nanos(61_061)).unwrap();
        } else {
            ev.no_wait();
        }
    }
    for (read, expected) in reads.iter().zip([there, back]) {
        let read = read.take();
        assert_eq!((read.result, read.transferred), (Ok(()), LEN));
        assert_bytes(&read.buffer, &expected);
    }
    assert!(writes.iter().all(|written| ev.finish(written).result.is_ok()));
}

/// Writing to a socket whose peer is gone is an error, never a signal, with the signal's default action restored.
#[cfg(unix)]
pub(crate) fn a_closed_peer_raises_no_signal<B: Backend>(fixture: &Fixture<B>) {
    assert_eq!(fixture.child("write_to_the_gone"), "40 writes failed\n");
}

/// The child of [`a_closed_peer_raises_no_signal`]: SIGPIPE would end it.
#[cfg(unix)]
pub(crate) fn write_to_the_gone<B: Backend>(fixture: &Fixture<B>) {
    let failed = failures_on_the_gone(&mut fixture.open(), 20, |ev, handle| {
        let all = ev.complete(WriteAll { handle, buffer: vec![0; 1 << 20].into() });
        let one = ev.complete(Write { handle, buffer: b"?".into() });
        [all.result, one.result.map(drop)]
    });
    println!("{failed} writes failed");
}

/// A file that the loop has opened is read and written at its own position, which reads at an offset leave alone.
pub(crate) fn opened_files_have_a_position<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let options = OpenOptions::read_write().create(Create::New);
    let handle = ev.complete(open(&scratch, "position", options)).result.unwrap();
    assert_eq!(ev.complete(write_all(handle, b"first ")).transferred, 6);
    assert_eq!(ev.complete(Write { handle, buffer: b"second".into() }).result, Ok(6));
    assert_eq!(ev.complete(read(handle, 8)).result, Ok(0));
    assert_eq!(exactly(&ev.complete(read_exact(handle, 1))), (Err(Error::EndOfStream), &b""[..]));
    let again = ev.complete(open(&scratch, "position", OpenOptions::read())).result.unwrap();
    assert_eq!(exactly(&ev.complete(read_exact(again, 6))), (Ok(()), &b"first "[..]));
    let aside = ev.complete(ReadAt { handle: again, buffer: vec![0; 64].into(), offset: 2 });
    assert_eq!(aside.result, Ok(10));
    assert_eq!(brought(&ev.complete(read(again, 3))), b"sec");
    assert_eq!(exactly(&ev.complete(read_exact(again, 8))), (Err(Error::EndOfStream), &b"ond"[..]));
    assert_eq!(ev.complete(write_all(again, b"x")).result, Err(system(Errno::BADF)));
    assert_eq!(ev.complete(write_all(again, b"")).result, Ok(()));
    let appended = OpenOptions::write().append();
    let handle = ev.complete(open(&scratch, "position", appended)).result.unwrap();
    assert_eq!(ev.complete(write_all(handle, b" third")).result, Ok(()));
    assert_eq!(ev.complete(read(handle, 8)).result, Err(system(Errno::BADF)));
    assert_eq!(brought(&ev.complete(read(again, 64))), b" third");
}

/// About what only Unix has.
#[cfg(not(unix))]
pub(crate) use super::not_here as a_closed_peer_raises_no_signal;
