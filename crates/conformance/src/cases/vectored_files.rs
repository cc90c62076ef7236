//! Several buffers at positions of a file: read and written as if they were one, in no order (contract H3, R1, R4, X3).

use std::fs::File;
use std::thread;
use std::time::Duration;

use proactor_core::{
    Backend, Buffer, Cancel, Close, Config, Context, Create, Error, Fsync, Handle, IOV_MAX, Loop, Nop,
    OpenAt, OpenOptions, Pool, PoolConfig, ReadVectored, ReadVectoredAt, ReadVectoredExact,
    ReadVectoredExactAt, RunMode, WriteAt, WriteVectored, WriteVectoredAll, WriteVectoredAllAt,
    WriteVectoredAt,
};
use rustix::io::Errno;

use super::files::{contents, file, made, open};
use super::steady::{Count, FEW, LONG, MANY, same};
use super::vectored::{cut, filled, joined, zeroed};
use crate::scratch::Scratch;
use crate::steps::{Captures, Steps, assert_bytes, pattern, system};
use crate::{Fixture, allocator};

fn read(handle: Handle, lens: &[usize], offset: u64) -> ReadVectoredAt {
    ReadVectoredAt { handle, buffers: zeroed(lens), offset }
}

fn read_exact(handle: Handle, lens: &[usize], offset: u64) -> ReadVectoredExactAt {
    ReadVectoredExactAt { handle, buffers: zeroed(lens), offset }
}

/// Each of the four on a file, in pieces that do not match, and where it ends.
pub(crate) fn files_are_read_and_written<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let handle = file(&mut ev, &scratch, "file", b"0123456789");
    let written = ev.complete(WriteVectoredAt { handle, buffers: cut(b"abcdefgh", &[3, 0, 4]), offset: 5 });
    assert_eq!((written.result, written.offset, written.buffers.len()), (Ok(8), 5, 4));
    assert_eq!(joined(&written.buffers), b"abcdefgh");
    let done = ev.complete(read(handle, &[1, 0, 6], 3));
    assert_eq!((done.result, done.offset, filled(&done.buffers, 7)), (Ok(7), 3, b"34abcde".to_vec()));
    let all = ev.complete(WriteVectoredAllAt { handle, buffers: cut(b"ABCDEFGHIJ", &[1, 2]), offset: 11 });
    assert_eq!((all.result, all.transferred, all.offset, all.buffers.len()), (Ok(()), 10, 11, 7));
    let exact = ev.complete(read_exact(handle, &[2, 3, 0, 10], 6));
    assert_eq!((exact.result, exact.transferred, exact.offset), (Ok(()), 15, 6));
    assert_eq!(filled(&exact.buffers, 15), b"bcdefABCDEFGHIJ");
    let short = ev.complete(read(handle, &[4, 60], 15));
    assert_eq!((short.result, filled(&short.buffers, 6)), (Ok(6), b"EFGHIJ".to_vec()));
    let short = ev.complete(read_exact(handle, &[4, 60], 15));
    assert_eq!((short.result, short.transferred), (Err(Error::EndOfStream), 6));
    assert_eq!(filled(&short.buffers, 6), b"EFGHIJ");
    assert_eq!(ev.complete(read(handle, &[4, 4], 21)).result, Ok(0));
    let none = ev.complete(read_exact(handle, &[4, 4], 1 << 40));
    assert_eq!((none.result, none.transferred), (Err(Error::EndOfStream), 0));
    let appended = ev.complete(open(&scratch, "file", OpenOptions::write().append())).result.unwrap();
    let buffers = cut(b"!?", &[1]);
    assert_eq!(ev.complete(WriteVectoredAllAt { handle: appended, buffers, offset: 0 }).result, Ok(()));
    assert_eq!(contents(&mut ev, handle, 64, 19), b"IJ!?");
}

/// Those without a position use the file's own, which those with one leave alone.
pub(crate) fn they_have_a_position_of_their_own<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let handle = ev.complete(open(&scratch, "file", made())).result.unwrap();
    assert_eq!(ev.complete(WriteVectored { handle, buffers: cut(b"first ", &[4]) }).result, Ok(6));
    let all = ev.complete(WriteVectoredAll { handle, buffers: cut(b"second", &[1, 0]) });
    assert_eq!((all.result, all.transferred), (Ok(()), 6));
    let again = ev.complete(open(&scratch, "file", OpenOptions::read())).result.unwrap();
    let done = ev.complete(ReadVectored { handle: again, buffers: zeroed(&[1, 3]) });
    assert_eq!((done.result, filled(&done.buffers, 4)), (Ok(4), b"firs".to_vec()));
    assert_eq!(ev.complete(read(again, &[3, 3], 0)).result, Ok(6));
    let exact = ev.complete(ReadVectoredExact { handle: again, buffers: zeroed(&[4, 1]) });
    assert_eq!((exact.result, filled(&exact.buffers, 5)), (Ok(()), b"t sec".to_vec()));
    let short = ev.complete(ReadVectoredExact { handle: again, buffers: zeroed(&[2, 9]) });
    assert_eq!((short.result, short.transferred), (Err(Error::EndOfStream), 3));
    assert_eq!(filled(&short.buffers, 3), b"ond");
    assert_eq!(ev.complete(ReadVectored { handle: again, buffers: zeroed(&[4]) }).result, Ok(0));
    let refused = ev.complete(WriteVectoredAll { handle: again, buffers: cut(b"x", &[1]) });
    assert_eq!((refused.result, refused.transferred), (Err(system(Errno::BADF)), 0));
}

/// More buffers than one call takes: what moves all goes on, and a single one has used the first.
pub(crate) fn more_buffers_than_one_call_takes<B: Backend>(fixture: &Fixture<B>) {
    const LEN: usize = 3 * (3 * IOV_MAX + 5);
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let handle = file(&mut ev, &scratch, "file", b"");
    let bytes = pattern(1, LEN);
    let once = ev.complete(WriteVectoredAt { handle, buffers: cut(&bytes, &[3, 0]), offset: 7 });
    assert_eq!(once.result, Ok(3 * IOV_MAX));
    assert_eq!(contents(&mut ev, handle, LEN, 7), bytes[..3 * IOV_MAX]);
    let all = ev.complete(WriteVectoredAllAt { handle, buffers: cut(&bytes, &[3]), offset: 7 });
    assert_eq!((all.result, all.transferred), (Ok(()), LEN));
    let once = ev.complete(read(handle, &[2; LEN / 2], 7));
    assert_eq!((once.result, once.buffers.len()), (Ok(2 * IOV_MAX), LEN / 2));
    assert_bytes(&filled(&once.buffers, 2 * IOV_MAX), &bytes[..2 * IOV_MAX]);
    let exact = ev.complete(read_exact(handle, &[1; LEN], 7));
    assert_eq!((exact.result, exact.transferred), (Ok(()), LEN));
    assert_bytes(&joined(&exact.buffers), &bytes);
    // Of the rest there is too little.
    let exact = ev.complete(read_exact(handle, &[1; LEN], 17));
    assert_eq!((exact.result, exact.transferred), (Err(Error::EndOfStream), LEN - 10));
    assert_bytes(&filled(&exact.buffers, LEN - 10), &bytes[10..]);
}

/// Nothing needs no system, but a handle with positions; a read-only buffer is not read into, nor any beside it.
pub(crate) fn no_buffers_empty_ones_and_read_only_ones<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let handle = file(&mut ev, &scratch, "file", b"bytes");
    for lens in [&[][..], &[0], &[0, 0]] {
        let (one, exact) = (ev.complete(read(handle, lens, 1)), ev.complete(read_exact(handle, lens, 1)));
        assert_eq!((one.result, one.buffers.len()), (Ok(0), lens.len()));
        assert_eq!((exact.result, exact.transferred, exact.buffers.len()), (Ok(()), 0, lens.len()));
        let buffers = || zeroed(lens);
        let (one, all) = (
            ev.complete(WriteVectoredAt { handle, buffers: buffers(), offset: 1000 }),
            ev.complete(WriteVectoredAllAt { handle, buffers: buffers(), offset: 1000 }),
        );
        assert_eq!((one.result, all.result, all.transferred), (Ok(0), Ok(()), 0));
    }
    let fixed = || vec![Buffer::zeroed(2), b"fixed".into(), Buffer::zeroed(2)];
    let one = ev.complete(ReadVectoredAt { handle, buffers: fixed(), offset: 0 });
    assert_eq!((one.result, joined(&one.buffers)), (Err(Error::ReadOnlyBuffer), b"\0\0fixed\0\0".to_vec()));
    let exact = ev.complete(ReadVectoredExactAt { handle, buffers: fixed(), offset: 0 });
    assert_eq!((exact.result, exact.transferred), (Err(Error::ReadOnlyBuffer), 0));
    assert_eq!(joined(&exact.buffers), b"\0\0fixed\0\0");
    assert_eq!(contents(&mut ev, handle, 64, 0), b"bytes");
    ev.context().close(handle);
    assert_eq!(ev.complete(read(handle, &[], 0)).result, Err(Error::StaleHandle));
    assert_eq!(ev.complete(read_exact(handle, &[1], 0)).result, Err(Error::StaleHandle));
}

/// What fails says why, and hands back all that it took.
pub(crate) fn failures_hand_everything_back<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    file(&mut ev, &scratch, "file", b"bytes");
    let reading = ev.complete(open(&scratch, "file", OpenOptions::read())).result.unwrap();
    let writing = ev.complete(open(&scratch, "file", OpenOptions::write())).result.unwrap();
    let refused = ev.complete(WriteVectoredAt { handle: reading, buffers: cut(b"kept", &[1]), offset: 3 });
    assert_eq!(
        (refused.result, refused.offset, joined(&refused.buffers)),
        (Err(system(Errno::BADF)), 3, b"kept".to_vec())
    );
    let refused = ev.complete(WriteVectoredAllAt { handle: reading, buffers: cut(b"kept", &[1]), offset: 3 });
    assert_eq!((refused.result, refused.transferred), (Err(system(Errno::BADF)), 0));
    assert_eq!(joined(&refused.buffers), b"kept");
    let refused = ev.complete(read(writing, &[4, 4], 2));
    assert_eq!((refused.result, refused.buffers.len(), refused.offset), (Err(system(Errno::BADF)), 2, 2));
    let refused = ev.complete(read_exact(writing, &[4, 4], 2));
    assert_eq!((refused.result, refused.transferred), (Err(system(Errno::BADF)), 0));
    for offset in [i64::MAX as u64 - 7, i64::MAX as u64 + 1, u64::MAX] {
        let refused = ev.complete(read(reading, &[4, 4], offset));
        assert_eq!((refused.result, refused.buffers.len()), (Err(Error::InvalidInput), 2));
        assert_eq!(ev.complete(read_exact(reading, &[4, 4], offset)).result, Err(Error::InvalidInput));
        let all = ev.complete(WriteVectoredAllAt { handle: writing, buffers: zeroed(&[4, 4]), offset });
        assert_eq!((all.result, all.buffers.len(), all.transferred), (Err(Error::InvalidInput), 2, 0));
    }
    assert_eq!(contents(&mut ev, reading, 64, 0), b"bytes");
}

/// What has no positions says so, and loses nothing.
pub(crate) fn a_socket_has_no_positions<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let sent = ev.complete(WriteVectored { handle: client, buffers: cut(b"sent", &[1]) });
    assert_eq!(sent.result, Ok(4));
    for lens in [&[4, 4][..], &[]] {
        assert_eq!(ev.complete(read(server, lens, 0)).result, Err(system(Errno::SPIPE)));
        assert_eq!(ev.complete(read_exact(server, lens, 0)).result, Err(system(Errno::SPIPE)));
    }
    let refused = ev.complete(WriteVectoredAt { handle: client, buffers: cut(b"not", &[1]), offset: 0 });
    assert_eq!((refused.result, joined(&refused.buffers)), (Err(system(Errno::SPIPE)), b"not".to_vec()));
    let refused = ev.complete(WriteVectoredAllAt { handle: client, buffers: cut(b"not", &[1]), offset: 0 });
    assert_eq!((refused.result, refused.transferred), (Err(system(Errno::SPIPE)), 0));
    let received = ev.complete(ReadVectored { handle: server, buffers: zeroed(&[3, 3]) });
    assert_eq!((received.result, filled(&received.buffers, 4)), (Ok(4), b"sent".to_vec()));
}

/// Any number on one handle at once, each at its own position, whatever the size of the rings.
pub(crate) fn many_are_under_way_on_one_handle<B: Backend>(fixture: &Fixture<B>) {
    const PIECES: usize = 60;
    const PIECE: usize = 5000;
    let scratch = Scratch::new(fixture);
    let mut ev: Loop<B, ()> = fixture.open_with(Config::default().entries(4));
    let handle = file(&mut ev, &scratch, "file", b"");
    let bytes = pattern(7, PIECES * PIECE);
    let at = |piece: usize| (piece * PIECE) as u64;
    let writes: Vec<_> = (0..PIECES)
        .map(|piece| {
            let buffers = cut(&bytes[piece * PIECE..][..PIECE], &[1 + piece, 0, 800]);
            ev.start(WriteVectoredAllAt { handle, buffers, offset: at(piece) })
        })
        .collect();
    assert_eq!(ev.context().detach(handle).map(drop), Err(Error::Busy));
    for write in &writes {
        assert_eq!(ev.finish(write).transferred, PIECE);
    }
    let reads: Vec<_> = (0..PIECES)
        .rev()
        .map(|piece| (piece, ev.start(read_exact(handle, &[piece, PIECE - piece], at(piece)))))
        .collect();
    for (piece, read) in reads {
        let read = ev.finish(&read);
        assert_eq!((read.result, read.offset), (Ok(()), at(piece)));
        assert_bytes(&joined(&read.buffers), &bytes[piece * PIECE..][..PIECE]);
    }
    ev.until_done();
}

/// Cancelled before they are started, no file is touched; later, each ends once, with its real result or as cancelled.
pub(crate) fn cancelled_each_ends_once<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let bytes = pattern(3, 4000);
    let handle = file(&mut ev, &scratch, "file", &bytes);
    for turns in 0..3 {
        let offset = if turns == 0 { 0 } else { 10_000 };
        let buffers = || zeroed(&[1000, 1000]);
        let pending = (
            ev.start(read(handle, &[1000, 3000], 0)),
            ev.start(read_exact(handle, &[1000, 3000], 0)),
            ev.start(WriteVectoredAt { handle, buffers: buffers(), offset }),
            ev.start(WriteVectoredAllAt { handle, buffers: buffers(), offset }),
        );
        for _ in 0..turns {
            ev.no_wait();
        }
        for key in [pending.0.key, pending.1.key, pending.2.key, pending.3.key] {
            let answer = ev.cancel(key);
            assert!(turns > 0 || answer == Cancel::Requested, "{answer:?}");
        }
        ev.until_done();
        let (one, exact) = (pending.0.take(), pending.1.take());
        let (written, all) = (pending.2.take(), pending.3.take());
        match one.result {
            Err(error) => assert_eq!((error, joined(&one.buffers)), (Error::Canceled, vec![0; 4000])),
            result => assert_eq!((result, joined(&one.buffers) == bytes, turns > 0), (Ok(4000), true, true)),
        }
        assert!(matches!(exact.result, Ok(()) | Err(Error::Canceled)));
        assert_bytes(&filled(&exact.buffers, exact.transferred), &bytes[..exact.transferred]);
        assert!(matches!(written.result, Ok(2000) | Err(Error::Canceled)));
        assert_eq!((written.buffers.len(), all.buffers.len()), (2, 2));
        assert!(all.result == Ok(()) && all.transferred == 2000 || all.result == Err(Error::Canceled));
        assert_bytes(&contents(&mut ev, handle, 4000, 0), &bytes);
    }
}

/// Deleted, closed under them, or dropped with the loop: each ends, and lets go of everything.
pub(crate) fn they_end_with_their_handle_and_with_the_loop<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    for turns in 0..3 {
        let captures = Captures::default();
        let mut ev = fixture.open();
        let name = format!("file{turns}");
        let handle = file(&mut ev, &scratch, &name, &pattern(9, 4096));
        let submit = |ev: &mut Loop<B, ()>| {
            let mut keys = Vec::new();
            for _ in 0..10 {
                let held = captures.capture();
                let operation = read_exact(handle, &[96, 0, 4000], 0);
                keys.push(ev.context().submit(operation, move |(), _, _| drop(held)));
                let held = captures.capture();
                let buffers = cut(&pattern(9, 4096), &[1000]);
                let operation = WriteVectoredAllAt { handle, buffers, offset: 0 };
                keys.push(ev.context().submit(operation, move |(), _, _| drop(held)));
            }
            for _ in 0..turns {
                // Starts and completes, but delivers nothing of what comes after.
                ev.context().submit(Nop, |(), cx, _| cx.stop());
                ev.no_wait();
                ev.context().resume();
            }
            keys
        };
        for key in submit(&mut ev) {
            assert!(matches!(ev.context().delete(key), Ok(()) | Err(Error::NotFound)));
        }
        ev.until_done();
        assert_eq!(captures.held(), 0);

        let reads: Vec<_> = (0..20).map(|offset| ev.start(read(handle, &[96, 4000], offset))).collect();
        for _ in 0..turns {
            ev.no_wait();
        }
        let closed = ev.start(Close { handle });
        assert_eq!(ev.finish(&closed).result, Ok(()));
        for (offset, read) in reads.iter().enumerate() {
            assert!(read.is_done(), "before its handle was closed");
            let done = read.take();
            assert!(done.result == Ok(4096 - offset) || done.result == Err(Error::Canceled));
            assert_eq!(done.buffers.len(), 2);
        }
        let handle = ev.complete(open(&scratch, &name, made())).result.unwrap();
        assert_bytes(&contents(&mut ev, handle, 5000, 0), &pattern(9, 4096));
        submit(&mut ev);
        drop(ev);
        assert_eq!(captures.held(), 0);
    }
}

/// What is no regular file is read at positions as well, by a thread where the system cannot do it at once.
pub(crate) fn devices_are_read_and_written<B: Backend>(fixture: &Fixture<B>) {
    let mut ev: Loop<B, ()> = fixture.open();
    let device = |path| File::options().read(true).write(true).open(path).unwrap();
    let zero = ev.context().attach(device("/dev/zero")).unwrap();
    let ones = || cut(&[1; 5000], &[1, 3]);
    let once = ev.complete(ReadVectoredAt { handle: zero, buffers: ones(), offset: 12 });
    let count = once.result.unwrap();
    assert_eq!(count, 2 * IOV_MAX, "half of them are of one byte, half of three");
    assert!(joined(&once.buffers)[..count].iter().all(|&byte| byte == 0));
    assert!(joined(&once.buffers)[count..].iter().all(|&byte| byte == 1));
    let exact = ev.complete(ReadVectoredExactAt { handle: zero, buffers: ones(), offset: 12 });
    assert_eq!((exact.result, exact.transferred), (Ok(()), 5000));
    assert!(joined(&exact.buffers).iter().all(|&byte| byte == 0));
    let null = ev.context().attach(device("/dev/null")).unwrap();
    assert_eq!(ev.complete(read(null, &[4, 4], 3)).result, Ok(0));
    let exact = ev.complete(read_exact(null, &[4, 4], 3));
    assert_eq!((exact.result, exact.transferred), (Err(Error::EndOfStream), 0));
    let all = ev.complete(WriteVectoredAllAt { handle: null, buffers: ones(), offset: 3 });
    assert_eq!((all.result, all.transferred), (Ok(()), 5000));
}

/// Eight reads past the cache are under way when everything is cancelled. Once nothing is, no buffer changes any more.
pub(crate) fn buffers_rest_after_cancel_all<B: Backend>(fixture: &Fixture<B>) {
    const LEN: usize = 16 << 10;
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let whole = pattern(11, 8 * LEN);
    let handle = file(&mut ev, &scratch, "file", &whole);
    assert_eq!(ev.complete(Fsync { handle }).result, Ok(()));
    // A disk that can only be read through the cache is one that this says less about.
    let direct = ev.complete(open(&scratch, "file", OpenOptions::read().direct())).result;
    let direct = direct.or_else(|_| ev.complete(open(&scratch, "file", OpenOptions::read())).result).unwrap();
    let buffers = || (0..4).map(|_| Buffer::aligned(LEN / 4, 4096).unwrap()).collect();
    let read = ReadVectoredExactAt { handle: direct, buffers: buffers(), offset: LEN as u64 };
    let read = ev.complete(read);
    assert_eq!((read.result, read.transferred), (Ok(()), LEN));
    assert_bytes(&joined(&read.buffers), &whole[LEN..2 * LEN]);
    let reads: Vec<_> = (0..8)
        .map(|number| {
            ev.start(ReadVectoredAt { handle: direct, buffers: buffers(), offset: (number * LEN) as u64 })
        })
        .collect();
    ev.context().submit(Nop, |(), _, _| ());
    ev.no_wait();
    ev.context().cancel_all();
    ev.until_done();
    let ended: Vec<_> = reads.iter().map(|read| read.take()).collect();
    for (number, done) in ended.iter().enumerate() {
        match done.result {
            Ok(LEN) => assert_bytes(&joined(&done.buffers), &whole[number * LEN..][..LEN]),
            result => assert_eq!(result, Err(Error::Canceled)),
        }
    }
    let bytes = || ended.iter().map(|done| joined(&done.buffers)).collect::<Vec<_>>();
    let before = bytes();
    thread::sleep(Duration::from_millis(50));
    assert!(bytes() == before);
}

/// A write and a read of the same pieces, again and again, eight of them at once.
pub(crate) fn reads_and_writes_do_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    fn next<B: Backend>(cx: &mut Context<'_, B, Count>, handle: Handle, buffers: Vec<Buffer>, offset: u64) {
        let write = WriteVectoredAllAt { handle, buffers, offset };
        cx.submit(write, move |_: &mut Count, cx, written| {
            assert_eq!((written.result, written.transferred), (Ok(()), 512));
            let (handle, buffers) = (written.handle, written.buffers);
            let read = ReadVectoredAt { handle, buffers, offset };
            cx.submit(read, move |count: &mut Count, cx, read| {
                assert_eq!(read.result, Ok(512));
                count.left = count.left.saturating_sub(2);
                if count.left > 0 {
                    next(cx, read.handle, read.buffers, offset);
                }
            });
        });
    }
    let scratch = Scratch::new(fixture);
    // Where there is a pool: one with a single thread, since the first that each does of a file allocates.
    let pool = Pool::new(PoolConfig::default().threads(1).idle(LONG)).unwrap();
    let mut ev: Loop<B, Count> = fixture.open_with(Config::default().pool(pool));
    let mut transfer = |operations| {
        let options = OpenOptions::read_write().create(Create::IfMissing);
        let mut count = Count { left: operations };
        let before = allocator::allocations();
        let open = OpenAt { directory: None, path: scratch.path("file"), options };
        ev.context().submit(open, |_, cx, opened| {
            let handle = opened.result.unwrap();
            // One goes to the pool in any case: what a thread's first allocates is the same each time then.
            let first = WriteAt { handle, buffer: vec![0; 512].into(), offset: 0 };
            cx.submit(first.on_pool(), move |_, cx, written| {
                assert_eq!(written.result, Ok(512));
                for place in 0..8 {
                    next(cx, handle, cut(&[place; 512], &[100, 0, 30]), u64::from(place) * 512);
                }
            });
        });
        ev.run(&mut count, RunMode::UntilDone).unwrap();
        assert_eq!(count.left, 0, "all of them ran");
        allocator::allocations() - before
    };
    // Threads are started, and tables grow, as the first come.
    transfer(10_000);
    same(FEW, MANY, 0, transfer).unwrap();
}
