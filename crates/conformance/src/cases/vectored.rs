//! Reads and writes of several buffers on streams: whole or told how far, as if it were one buffer (contract H3, R1, R4, X1).

use std::sync::Arc;
use std::time::Duration;

use proactor_core::{
    Backend, Buffer, Cancel, Close, Connect, Context, Error, Handle, IOV_MAX, Loop, OpenAt, OpenOptions,
    Peer, ReadVectored, ReadVectoredExact, Recv, RecvFrom, Send, SendAll, Shutdown, ShutdownHow,
    VectoredExactRead, VectoredRead, WriteVectored, WriteVectoredAll, WriteVectoredAllAt, WriteVectoredAt,
};
use rustix::io::Errno;

use super::cancellation::MORE_THAN_FITS;
use super::steady::{Count, echoes_over_tcp};
use crate::Fixture;
#[cfg(unix)]
use crate::peers::failures_on_the_gone;
use crate::peers::receive_all;
use crate::steps::{Captures, IPV4, Steps, address, assert_bytes, pattern, system};

/// What one call of any system takes: 2 GiB less a page.
const MOST: usize = 0x7fff_f000;

/// These bytes in buffers of these lengths, again and again, the last one shorter. Each is a range within more.
pub(crate) fn cut(mut bytes: &[u8], lens: &[usize]) -> Vec<Buffer> {
    let mut buffers = Vec::new();
    for &len in lens.iter().cycle() {
        let piece;
        (piece, bytes) = bytes.split_at(len.min(bytes.len()));
        let whole = [b"<", piece, b">"].concat();
        buffers.push(Buffer::from(whole).slice(1..=piece.len()));
        if bytes.is_empty() {
            break;
        }
    }
    buffers
}

/// Buffers of these lengths.
pub(crate) fn zeroed(lens: &[usize]) -> Vec<Buffer> {
    lens.iter().map(|&len| Buffer::zeroed(len)).collect()
}

/// All bytes of these.
pub(crate) fn joined(buffers: &[Buffer]) -> Vec<u8> {
    buffers.iter().map(Buffer::as_slice).collect::<Vec<_>>().concat()
}

/// The first `count` bytes of buffers that were all zeros; the rest still is.
#[track_caller]
pub(crate) fn filled(buffers: &[Buffer], count: usize) -> Vec<u8> {
    let mut bytes = joined(buffers);
    assert!(count <= bytes.len(), "no more than there was room for");
    assert!(bytes[count..] == vec![0; bytes.len() - count], "the rest is as it was");
    bytes.truncate(count);
    bytes
}

#[track_caller]
fn brought(read: &VectoredRead) -> Vec<u8> {
    filled(&read.buffers, read.result.expect("something was read"))
}

#[track_caller]
fn exactly(read: &VectoredExactRead) -> (Result<(), Error>, Vec<u8>) {
    (read.result, filled(&read.buffers, read.transferred))
}

fn read(handle: Handle, lens: &[usize]) -> ReadVectored {
    ReadVectored { handle, buffers: zeroed(lens) }
}

fn read_exact(handle: Handle, lens: &[usize]) -> ReadVectoredExact {
    ReadVectoredExact { handle, buffers: zeroed(lens) }
}

fn write(handle: Handle, pieces: &[&'static [u8]]) -> WriteVectored {
    WriteVectored { handle, buffers: pieces.iter().map(|&piece| piece.into()).collect() }
}

fn write_all(handle: Handle, pieces: &[&'static [u8]]) -> WriteVectoredAll {
    WriteVectoredAll { handle, buffers: pieces.iter().map(|&piece| piece.into()).collect() }
}

/// More than fits, in odd pieces.
fn too_much(handle: Handle, seed: u32) -> WriteVectoredAll {
    WriteVectoredAll { handle, buffers: cut(&pattern(seed, MORE_THAN_FITS), &[100_003, 0, 777]) }
}

/// Each of the four on a connection, in pieces that do not match, and the end of the stream.
pub(crate) fn sockets_are_read_and_written<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let waiting = ev.start(read(server, &[2, 0, 64]));
    ev.no_wait();
    assert!(!waiting.is_done());
    let written = ev.complete(write(client, &[b"ab", b"", b"cd"]));
    assert_eq!((written.result, written.handle), (Ok(4), client));
    assert_eq!(written.buffers.iter().map(Buffer::len).collect::<Vec<_>>(), [2, 0, 2]);
    let waiting = ev.finish(&waiting);
    assert_eq!((brought(&waiting), waiting.buffers.len()), (b"abcd".to_vec(), 3));
    assert_eq!(&waiting.buffers[0][..], b"ab");
    let written = ev.complete(WriteVectoredAll { handle: client, buffers: cut(b"efghijkl", &[3]) });
    assert_eq!((written.result, written.transferred, written.buffers.len()), (Ok(()), 8, 3));
    let exact = ev.complete(read_exact(server, &[1, 4]));
    assert_eq!(exactly(&exact), (Ok(()), b"efghi".to_vec()));
    assert_eq!(brought(&ev.complete(read(server, &[1, 64]))), b"jkl");
    let cut_short = ev.start(read_exact(server, &[3, 3]));
    ev.no_wait();
    assert_eq!(ev.complete(write_all(client, &[b"m", b"nop"])).result, Ok(()));
    assert_eq!(ev.complete(Shutdown { handle: client, how: ShutdownHow::Write }).result, Ok(()));
    assert_eq!(exactly(&ev.finish(&cut_short)), (Err(Error::EndOfStream), b"mnop".to_vec()));
    assert_eq!(ev.complete(read(server, &[4, 4])).result, Ok(0));
    assert_eq!(exactly(&ev.complete(read_exact(server, &[1]))), (Err(Error::EndOfStream), Vec::new()));
}

/// They wait in one queue with reads, receives, writes and sends, whose bytes do not mix.
pub(crate) fn they_share_the_queues<B: Backend>(fixture: &Fixture<B>) {
    const LEN: usize = 2 << 20;
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let first = ev.start(read_exact(server, &[1, 2, 3]));
    let second = ev.start(Recv { handle: server, buffer: Buffer::zeroed(2) });
    let third = ev.start(read(server, &[1, 1]));
    let fourth = ev.start(read_exact(server, &[2]));
    for piece in [&b"ab"[..], b"cde", b"fghijkl"] {
        assert!(!second.is_done());
        assert_eq!(ev.complete(write_all(client, &[piece])).result, Ok(()));
        ev.idle();
    }
    assert_eq!(exactly(&ev.finish(&first)), (Ok(()), b"abcdef".to_vec()));
    assert_eq!(&ev.finish(&second).buffer[..], b"gh");
    assert_eq!(brought(&ev.finish(&third)), b"ij");
    assert_eq!(exactly(&ev.finish(&fourth)), (Ok(()), b"kl".to_vec()));

    let (one, three) = (pattern(1, LEN), pattern(3, LEN));
    let all = [&one[..], b"two", &three, b"four"].concat();
    let written = (
        ev.start(WriteVectoredAll { handle: client, buffers: cut(&one, &[4099, 1, 65_536]) }),
        ev.start(SendAll { handle: client, buffer: b"two".into() }),
        ev.start(WriteVectoredAll { handle: client, buffers: cut(&three, &[LEN]) }),
        ev.start(write(client, &[b"fo", b"ur"])),
    );
    let end = ev.start(Shutdown { handle: client, how: ShutdownHow::Write });
    let (bytes, ended) = receive_all(&mut ev, server, 100_000);
    assert_bytes(&bytes, &all);
    assert_eq!(ended, Ok(()));
    assert_eq!((ev.finish(&written.0).transferred, ev.finish(&written.2).transferred), (LEN, LEN));
    assert_eq!((ev.finish(&written.1).result, ev.finish(&written.3).result), (Ok(()), Ok(4)));
    assert_eq!(ev.finish(&end).result, Ok(()));
}

/// More buffers than one call takes: what moves all goes on, and a single one has used the first.
pub(crate) fn more_buffers_than_one_call_takes<B: Backend>(fixture: &Fixture<B>) {
    const LEN: usize = 5 * IOV_MAX + 3;
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let bytes = pattern(2, LEN);
    let written = ev.complete(WriteVectored { handle: client, buffers: cut(&bytes, &[1]) });
    assert_eq!((written.result, written.buffers.len()), (Ok(IOV_MAX), LEN));
    assert_bytes(&joined(&written.buffers), &bytes);
    // Empty ones do not count.
    let written = ev.complete(WriteVectored { handle: client, buffers: cut(&bytes[IOV_MAX..], &[0, 1, 0]) });
    assert_eq!(written.result, Ok(IOV_MAX));
    let rest = cut(&bytes[2 * IOV_MAX..], &[1]);
    let written = ev.complete(WriteVectoredAll { handle: client, buffers: rest });
    assert_eq!((written.result, written.transferred), (Ok(()), LEN - 2 * IOV_MAX));

    let mut received = Vec::new();
    let exact = ev.complete(read_exact(server, &[1; 2 * IOV_MAX + 1]));
    assert_eq!(exact.result, Ok(()));
    received.extend_from_slice(&exactly(&exact).1);
    let once = ev.complete(read(server, &[1; 2 * IOV_MAX]));
    assert_eq!((once.result, once.buffers.len()), (Ok(IOV_MAX), 2 * IOV_MAX));
    received.extend_from_slice(&brought(&once));
    let exact = ev.complete(read_exact(server, &vec![1; LEN - received.len()]));
    received.extend_from_slice(&exactly(&exact).1);
    assert_bytes(&received, &bytes);
}

/// Much more than fits, both sides in odd pieces: no step ends where a buffer does, and no byte is lost or doubled.
pub(crate) fn transfers_go_on_from_within_a_buffer<B: Backend>(fixture: &Fixture<B>) {
    const LEN: usize = 6 << 20;
    for (to, from) in [(&[100_003, 0, 777][..], &[65_537, 13][..]), (&[LEN][..], &[1999][..])] {
        let mut ev = fixture.open();
        let (client, server) = ev.pair();
        let bytes = pattern(4, LEN);
        let written = ev.start(WriteVectoredAll { handle: client, buffers: cut(&bytes, to) });
        let buffers = cut(&vec![0; LEN - 100_000], from);
        let exact = ev.start(ReadVectoredExact { handle: server, buffers });
        let mut received = exactly(&ev.finish(&exact)).1;
        assert_eq!(received.len(), LEN - 100_000);
        while received.len() < LEN {
            received.extend_from_slice(&brought(&ev.complete(read(server, &[1, 2, 3000, 4]))));
        }
        assert_bytes(&received, &bytes);
        let written = ev.finish(&written);
        assert_eq!((written.result, written.transferred), (Ok(()), LEN));
        assert_bytes(&joined(&written.buffers), &bytes);
    }
}

/// Cancelled half way, what is to move all tells how far it came, and nothing of the stream is lost or doubled.
pub(crate) fn cancelled_they_tell_what_was_transferred<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let exact = ev.start(read_exact(server, &[3, 7]));
    assert_eq!(ev.complete(write_all(client, &[b"fo", b"ur"])).result, Ok(()));
    ev.idle();
    assert_eq!(ev.cancel(exact.key), Cancel::Requested);
    let exact = ev.finish(&exact);
    assert_eq!((exactly(&exact), exact.buffers.len()), ((Err(Error::Canceled), b"four".to_vec()), 2));

    let written = ev.start(too_much(client, 7));
    ev.idle();
    assert_eq!(ev.cancel(written.key), Cancel::Requested);
    let written = ev.finish(&written);
    assert_eq!(written.result, Err(Error::Canceled));
    assert!(written.transferred > 0 && written.transferred < MORE_THAN_FITS);
    let sent = joined(&written.buffers);
    assert_eq!(sent.len(), MORE_THAN_FITS);
    let behind = ev.start(write_all(client, &[b"be", b"hind"]));
    let end = ev.start(Shutdown { handle: client, how: ShutdownHow::Write });
    let (bytes, _) = receive_all(&mut ev, server, 1 << 20);
    assert_bytes(&bytes, &[&sent[..written.transferred], b"behind"].concat());
    assert_eq!((ev.finish(&behind).result, ev.finish(&end).result), (Ok(()), Ok(())));
}

/// Each of the four ends when it is cancelled while it waits, its buffers handed back.
pub(crate) fn each_can_be_cancelled_while_it_waits<B: Backend>(fixture: &Fixture<B>) {
    for started in [false, true] {
        let mut ev = fixture.open();
        let (client, _server) = ev.pair();
        let one = ev.start(read(client, &[64, 3]));
        let exact = ev.start(read_exact(client, &[64, 3]));
        let all = ev.start(too_much(client, 1));
        let once = ev.start(write(client, &[b"one", b"two"]));
        if started {
            ev.idle();
        }
        // The heads of both queues first, then what was behind them.
        for key in [one.key, all.key, exact.key, once.key] {
            assert_eq!(ev.cancel(key), Cancel::Requested);
        }
        ev.until_done();
        let (one, exact, all, once) = (one.take(), exact.take(), all.take(), once.take());
        assert_eq!((one.result, filled(&one.buffers, 0).len()), (Err(Error::Canceled), 0));
        assert_eq!(exactly(&exact), (Err(Error::Canceled), Vec::new()));
        assert_eq!((one.buffers.len(), exact.buffers.len()), (2, 2));
        assert_eq!((all.result, all.transferred > 0), (Err(Error::Canceled), started));
        assert_bytes(&joined(&all.buffers), &pattern(1, MORE_THAN_FITS));
        assert_eq!((once.result, joined(&once.buffers)), (Err(Error::Canceled), b"onetwo".to_vec()));
    }
}

/// A single write waits until there is room, and gets it.
pub(crate) fn a_single_write_waits_for_room<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let all = ev.start(too_much(client, 3));
    ev.idle();
    let waiting = ev.start(write(client, &[b"wait", b"ing"]));
    let end = ev.start(Shutdown { handle: client, how: ShutdownHow::Write });
    ev.idle();
    assert!(!all.is_done() && !waiting.is_done());
    let (bytes, _) = receive_all(&mut ev, server, 1 << 20);
    assert_bytes(&bytes, &[&pattern(3, MORE_THAN_FITS)[..], b"waiting"].concat());
    assert_eq!((ev.finish(&all).result, ev.finish(&waiting).result), (Ok(()), Ok(7)));
    assert_eq!(ev.finish(&end).result, Ok(()));
}

/// A deadline ends them with all that they have moved until then.
pub(crate) fn a_deadline_tells_what_was_transferred<B: Backend>(fixture: &Fixture<B>) {
    let soon = Duration::from_millis(30);
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    assert_eq!(ev.complete(write_all(client, &[b"fo", b"ur"])).result, Ok(()));
    let exact = ev.complete(read_exact(server, &[3, 3]).with_timeout(soon));
    assert_eq!(exactly(&exact), (Err(Error::TimedOut), b"four".to_vec()));
    let once = ev.complete(read(server, &[3, 3]).with_timeout(soon));
    assert_eq!((once.result, filled(&once.buffers, 0).len()), (Err(Error::TimedOut), 0));
    assert_eq!(once.buffers.len(), 2);
    let all = ev.complete(too_much(client, 5).with_timeout(soon));
    assert_eq!(all.result, Err(Error::TimedOut));
    assert!(all.transferred > 0 && all.transferred < MORE_THAN_FITS);
    let exact = ev.complete(read_exact(server, &[100, all.transferred - 100]));
    assert_bytes(&exactly(&exact).1, &pattern(5, all.transferred));
    let later = Duration::from_secs(1000);
    assert_eq!(ev.complete(write(client, &[b"in", b"time"]).with_timeout(later)).result, Ok(6));
    let exact = ev.complete(read_exact(server, &[3, 3]).with_timeout(later));
    assert_eq!(exactly(&exact), (Ok(()), b"intime".to_vec()));
}

/// Deleted, closed under them, or dropped with the loop: what waits ends as it should, and lets go of everything.
pub(crate) fn they_end_with_their_handle_and_with_the_loop<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let captures = Captures::default();
    let shared: Arc<[u8]> = Arc::from(vec![7; MORE_THAN_FITS / 4]);
    let all_of = |handle| {
        let buffers = (0..8).map(|_| Arc::clone(&shared).into()).collect();
        WriteVectoredAll { handle, buffers }
    };
    let (client, server) = ev.pair();
    let (one, two) = (captures.capture(), captures.capture());
    let keys = [
        ev.context().submit(read_exact(server, &[4, 4]), move |(), _, _| drop(one)),
        ev.context().submit(all_of(server), move |(), _, _| drop(two)),
    ];
    ev.complete(write_all(client, &[b"four"]));
    ev.idle();
    keys.into_iter().for_each(|key| ev.context().delete(key).unwrap());
    ev.until_done();
    assert_eq!((captures.held(), Arc::strong_count(&shared)), (0, 1));

    let (client, server) = ev.pair();
    let pending = (
        ev.start(read(server, &[64])),
        ev.start(read_exact(server, &[64])),
        ev.start(all_of(server)),
        ev.start(write(server, &[b"behind"])),
    );
    ev.no_wait();
    let closed = ev.start(Close { handle: server });
    ev.until(|| closed.is_done());
    assert_eq!(
        (pending.0.take().result, pending.1.take().result),
        (Err(Error::Canceled), Err(Error::Canceled))
    );
    let all = pending.2.take();
    assert_eq!((all.result, all.buffers.len()), (Err(Error::Canceled), 8));
    drop(all);
    assert_eq!(pending.3.take().result, Err(Error::Canceled));
    let stale = ev.complete(read(server, &[1, 2]));
    assert_eq!((stale.result, stale.buffers.len()), (Err(Error::StaleHandle), 2));
    assert_eq!(ev.complete(write_all(server, &[b"x"])).result, Err(Error::StaleHandle));
    assert_eq!(Arc::strong_count(&shared), 1);
    ev.context().close(client);

    let (client, _server) = ev.pair();
    for _ in 0..2 {
        let (one, two) = (captures.capture(), captures.capture());
        ev.context().submit(read_exact(client, &[8, 8]), move |(), _, _| drop(one));
        ev.context().submit(all_of(client), move |(), _, _| drop(two));
        ev.no_wait();
    }
    assert_eq!((captures.held(), Arc::strong_count(&shared)), (4, 17));
    drop(ev);
    assert_eq!((captures.held(), Arc::strong_count(&shared)), (0, 1));
}

/// Nothing at all completes in its place in the queue, whether there are no buffers or empty ones; a read-only buffer
/// among those to read into fails alone, and nothing is read.
pub(crate) fn no_buffers_empty_ones_and_read_only_ones<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let first = ev.start(read_exact(server, &[3]));
    let empty = [&[][..], &[0], &[0, 0, 0]]
        .map(|lens| (ev.start(read(server, lens)), ev.start(read_exact(server, lens))));
    let fixed = || vec![Buffer::zeroed(2), b"fixed".into(), Buffer::zeroed(2)];
    let refused = (
        ev.start(ReadVectored { handle: server, buffers: fixed() }),
        ev.start(ReadVectoredExact { handle: server, buffers: fixed() }),
        ev.start(ReadVectored { handle: server, buffers: vec![Buffer::zeroed(1), b"".into()] }),
    );
    ev.idle();
    assert!(!empty.iter().any(|(one, exact)| one.is_done() || exact.is_done()) && !refused.0.is_done());
    for pieces in [&[][..], &[&b""[..]], &[b"", b""]] {
        let (one, all) = (ev.complete(write(client, pieces)), ev.complete(write_all(client, pieces)));
        assert_eq!((one.result, one.buffers.len()), (Ok(0), pieces.len()));
        assert_eq!((all.result, all.transferred, all.buffers.len()), (Ok(()), 0, pieces.len()));
    }
    assert_eq!(ev.complete(write_all(client, &[b"ab", b"cd"])).result, Ok(()));
    assert_eq!(exactly(&ev.finish(&first)), (Ok(()), b"abc".to_vec()));
    for (one, exact) in &empty {
        assert_eq!(ev.finish(one).result, Ok(0));
        assert_eq!(exactly(&ev.finish(exact)), (Ok(()), Vec::new()));
    }
    let one = ev.finish(&refused.0);
    assert_eq!((one.result, joined(&one.buffers)), (Err(Error::ReadOnlyBuffer), b"\0\0fixed\0\0".to_vec()));
    let exact = ev.finish(&refused.1);
    assert_eq!((exact.result, exact.transferred), (Err(Error::ReadOnlyBuffer), 0));
    assert_eq!(joined(&exact.buffers), b"\0\0fixed\0\0");
    assert_eq!(ev.finish(&refused.2).result, Err(Error::ReadOnlyBuffer));
    assert_eq!(brought(&ev.complete(read(server, &[8]))), b"d");
}

/// A datagram is made of all buffers, and fills one after the other; what does not fit is lost, and no datagram is none.
pub(crate) fn datagrams_are_gathered_and_scattered<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let mut cx = ev.context();
    let [client, server] = [(); 2].map(|()| {
        let handle = cx.datagram_socket(address(IPV4).family()).unwrap();
        cx.bind(handle, address(IPV4)).unwrap();
        handle
    });
    for (handle, other) in [(client, server), (server, client)] {
        let address = ev.context().local_address(other).unwrap();
        assert_eq!(ev.complete(Connect { handle, address }).result, Ok(()));
    }
    assert_eq!(ev.complete(write(client, &[b"one ", b"", b"datagram"])).result, Ok(12));
    let (buffer, peer) = (Buffer::zeroed(64), Peer::default());
    let received = ev.complete(RecvFrom { handle: server, buffer, peer });
    assert_eq!((received.result.unwrap().len(), &received.buffer[..12]), (12, &b"one datagram"[..]));
    let waiting = ev.start(read(server, &[4, 0, 3]));
    ev.no_wait();
    assert!(!waiting.is_done());
    assert_eq!(ev.complete(Send { handle: client, buffer: b"another".into() }).result, Ok(7));
    assert_eq!(brought(&ev.finish(&waiting)), b"another");
    for sent in [&[&b"too long"[..]][..], &[], &[b"", b""], &[b"last"]] {
        let len = sent.iter().map(|piece| piece.len()).sum();
        assert_eq!(ev.complete(write(client, sent)).result, Ok(len));
    }
    for expected in [&b"too l"[..], b"", b"", b"last"] {
        assert_eq!(brought(&ev.complete(read(server, &[2, 3]))), expected);
    }
    let (waiting, all) = (ev.start(read(server, &[1])), ev.start(write_all(client, &[b"", b""])));
    assert_eq!(ev.finish(&all).result, Ok(()));
    assert_eq!(ev.finish(&waiting).result, Ok(0));
}

/// More bytes than a call takes of any system: clamped, and what is to move all goes on.
pub(crate) fn totals_beyond_one_call_are_clamped<B: Backend>(fixture: &Fixture<B>) {
    const COUNT: usize = 700;
    const LEN: usize = 4 << 20;
    let shared: Arc<[u8]> = Arc::from(vec![0; LEN]);
    let buffers = || (0..COUNT).map(|_| Arc::clone(&shared).into()).collect::<Vec<Buffer>>();
    let mut ev = fixture.open();
    let null = OpenAt { directory: None, path: "/dev/null".into(), options: OpenOptions::write() };
    let handle = ev.complete(null).result.unwrap();
    let once = ev.complete(WriteVectored { handle, buffers: buffers() });
    let once_at = ev.complete(WriteVectoredAt { handle, buffers: buffers(), offset: 5 });
    assert_eq!((once.result, once_at.result), (Ok(MOST), Ok(MOST)));
    let all = ev.complete(WriteVectoredAll { handle, buffers: buffers() });
    assert_eq!((all.result, all.transferred), (Ok(()), COUNT * LEN));
    let all_at = ev.complete(WriteVectoredAllAt { handle, buffers: buffers(), offset: 5 });
    assert_eq!((all_at.result, all_at.transferred), (Ok(()), COUNT * LEN));
    let offset = i64::MAX as u64 - (COUNT * LEN) as u64 + 1;
    let beyond = ev.complete(WriteVectoredAt { handle, buffers: buffers(), offset });
    assert_eq!(beyond.result, Err(Error::InvalidInput));
    assert_eq!(Arc::strong_count(&shared), 1 + 5 * COUNT);
    drop((once, once_at, all, all_at, beyond));
    assert_eq!(Arc::strong_count(&shared), 1);
}

/// Writing to a socket whose peer is gone is an error, never a signal, with the signal's default action restored.
#[cfg(unix)]
pub(crate) fn a_closed_peer_raises_no_signal<B: Backend>(fixture: &Fixture<B>) {
    assert_eq!(fixture.child("write_vectored_to_the_gone"), "40 writes failed\n");
}

/// The child of [`a_closed_peer_raises_no_signal`]: SIGPIPE would end it.
#[cfg(unix)]
pub(crate) fn write_vectored_to_the_gone<B: Backend>(fixture: &Fixture<B>) {
    let failed = failures_on_the_gone(&mut fixture.open(), 20, |ev, handle| {
        let buffers = (0..16).map(|_| Buffer::zeroed(1 << 16)).collect();
        let all = ev.complete(WriteVectoredAll { handle, buffers });
        let one = ev.complete(write(handle, &[b"?"]));
        [all.result, one.result.map(drop)]
    });
    println!("{failed} writes failed");
}

/// A pipe carries them too, more than it holds and more pieces than a call takes, to its end; and is broken without readers.
#[cfg(unix)]
pub(crate) fn pipes_carry_them<B: Backend>(fixture: &Fixture<B>) {
    const LEN: usize = 1 << 20;
    let mut ev: Loop<B, ()> = fixture.open();
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let (reader, writer) = (ev.context().attach(reader).unwrap(), ev.context().attach(writer).unwrap());
    let waiting = ev.start(read(reader, &[2, 64]));
    ev.no_wait();
    assert!(!waiting.is_done());
    assert_eq!(ev.complete(write(writer, &[b"abc", b"d"])).result, Ok(4));
    assert_eq!(brought(&ev.finish(&waiting)), b"abcd");
    let bytes = pattern(8, LEN);
    let written = ev.start(WriteVectoredAll { handle: writer, buffers: cut(&bytes, &[97, 301]) });
    let exact = ReadVectoredExact { handle: reader, buffers: cut(&vec![0; LEN], &[211, 0, 1009]) };
    assert_bytes(&exactly(&ev.complete(exact)).1, &bytes);
    assert_eq!(ev.finish(&written).transferred, LEN);
    let behind = ev.start(read_exact(reader, &[3, 3]));
    assert_eq!(ev.complete(write_all(writer, &[b"en", b"d."])).result, Ok(()));
    ev.idle();
    ev.context().close(writer);
    assert_eq!(exactly(&ev.finish(&behind)), (Err(Error::EndOfStream), b"end.".to_vec()));
    assert_eq!(ev.complete(read(reader, &[1, 1])).result, Ok(0));

    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let (reader, writer) = (ev.context().attach(reader).unwrap(), ev.context().attach(writer).unwrap());
    let waiting = ev.start(too_much(writer, 2));
    ev.idle();
    assert!(!waiting.is_done());
    ev.context().close(reader);
    let waiting = ev.finish(&waiting);
    assert_eq!(waiting.result, Err(system(Errno::PIPE)));
    assert!(waiting.transferred > 0 && waiting.transferred < MORE_THAN_FITS);
    assert_eq!(ev.complete(write(writer, &[b"x"])).result, Err(system(Errno::PIPE)));
    assert_eq!(ev.complete(write(writer, &[])).result, Ok(0));
}

/// Reads exactly its buffers and writes them back, as often as there is left.
fn echo<B: Backend>(cx: &mut Context<'_, B, Count>, handle: Handle, buffers: Vec<Buffer>) {
    cx.submit(ReadVectoredExact { handle, buffers }, move |count: &mut Count, cx, read| {
        if count.left == 0 || read.result == Err(Error::EndOfStream) {
            return cx.close(handle);
        }
        assert_eq!(read.result, Ok(()));
        count.left -= 1;
        cx.submit(WriteVectoredAll { handle, buffers: read.buffers }, move |_, cx, written| {
            assert_eq!(written.result, Ok(()));
            echo(cx, handle, written.buffers);
        });
    });
}

/// An echo over TCP in three pieces, both ends on this loop: lists of buffers go round like buffers.
pub(crate) fn an_echo_does_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    echoes_over_tcp(fixture, |cx, handle| echo(cx, handle, zeroed(&[1, 31, 32])));
}

/// About what only Unix has.
#[cfg(not(unix))]
pub(crate) use super::{not_here as a_closed_peer_raises_no_signal, not_here as pipes_carry_them};
