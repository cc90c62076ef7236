//! Where what is asked meets what the system has: addresses that cannot be reached, datagrams that do not fit, disks that
//! want aligned buffers, a pool that several loops send files to (contract E1, R1, R2, C2, X3, H4, L5).

use std::fs;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use proactor_core::{
    Backend, Buffer, BufferPool, Config, Connect, Error, Event, Flow, Handle, Loop, Nop, OpenOptions, Peer,
    Pool, PoolConfig, ReadAt, Recv, RecvMany, SendAll, SendTo, SocketOption, WriteAt,
};
use rustix::io::Errno;

use super::files::{contents, file, open, read};
use crate::Fixture;
use crate::scratch::Scratch;
use crate::steps::{IPV4, Log, Steps, address, assert_bytes, pattern, system};

/// The loopback's own broadcast address: no stream leads there, and none leaves the machine.
const BROADCAST: &str = "127.255.255.255:9";

/// Nobody can be connected to at such an address, at once: the error says so, and what is queued behind fails with its
/// buffer. The socket can be connected elsewhere afterwards.
pub(crate) fn an_unreachable_address_is_told<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let handle = ev.context().socket(address(BROADCAST).family()).unwrap();
    let connected = ev.start(Connect { handle, address: address(BROADCAST) });
    let sent = ev.start(SendAll { handle, buffer: b"unsent".into() });
    ev.until_done();
    let connected = connected.take();
    assert_eq!(connected.result, Err(system(Errno::NETUNREACH)));
    assert_eq!(connected.result.map_err(Error::kind), Err(std::io::ErrorKind::NetworkUnreachable));
    assert_eq!((connected.handle, connected.address), (handle, address(BROADCAST)));
    let sent = sent.take();
    assert!(sent.result.is_err());
    assert_eq!((sent.transferred, &sent.buffer[..]), (0, &b"unsent"[..]));
    let (_listener, bound) = ev.listener();
    assert_eq!(ev.complete(Connect { handle, address: bound }).result, Ok(()));
}

/// A broadcast needs leave, whose lack is that send's own error; the next one goes.
pub(crate) fn a_broadcast_without_leave_is_refused<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (handle, bound) = datagram_socket(&mut ev);
    let broadcast = SendTo { handle, buffer: b"to all".into(), peer: address(BROADCAST).into() };
    let refused = ev.complete(broadcast);
    assert_eq!((refused.result, &refused.buffer[..]), (Err(system(Errno::ACCESS)), &b"to all"[..]));
    assert_eq!(refused.peer.address(), Some(&address(BROADCAST)));
    let itself = SendTo { handle, buffer: b"to itself".into(), peer: bound.into() };
    assert_eq!(ev.complete(itself).result, Ok(()));
    assert_eq!(ev.complete(Recv { handle, buffer: Buffer::zeroed(16) }).result, Ok(9));
    ev.context().set(handle, SocketOption::Broadcast(true)).unwrap();
    let allowed = SendTo { handle, buffer: refused.buffer, peer: refused.peer };
    assert_eq!(ev.complete(allowed).result, Ok(()));
}

#[track_caller]
fn datagram_socket<B: Backend>(ev: &mut Loop<B, ()>) -> (Handle, proactor_core::Address) {
    let mut cx = ev.context();
    let handle = cx.datagram_socket(address(IPV4).family()).expect("a datagram socket");
    cx.bind(handle, address(IPV4)).expect("a free port");
    (handle, cx.local_address(handle).expect("it is bound"))
}

/// A plain receive takes one datagram and as much of it as fits; the rest is lost without a word, and only with it: the
/// next one is whole. `RecvFrom` is there for who wants to be told.
pub(crate) fn a_plain_receive_cuts_without_a_word<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (receiver, to) = datagram_socket(&mut ev);
    let (sender, _) = datagram_socket(&mut ev);
    for waits in [true, false] {
        let waiting = waits.then(|| ev.start(Recv { handle: receiver, buffer: b"________".to_vec().into() }));
        ev.no_wait();
        for text in [&b"longer than that"[..], b"next"] {
            let sent = SendTo { handle: sender, buffer: text.into(), peer: to.clone().into() };
            assert_eq!(ev.complete(sent).result, Ok(()));
        }
        let waiting = waiting
            .unwrap_or_else(|| ev.start(Recv { handle: receiver, buffer: b"________".to_vec().into() }));
        let received = ev.finish(&waiting);
        assert_eq!((received.result, &received.buffer[..]), (Ok(8), &b"longer t"[..]));
        let received = ev.complete(Recv { handle: receiver, buffer: b"________".to_vec().into() });
        assert_eq!((received.result, &received.buffer[..]), (Ok(4), &b"next____"[..]));
    }
}

/// Receives that go on are for streams: a datagram socket's ends at once, its pool handed back, and takes nothing.
pub(crate) fn datagrams_are_not_received_from_a_pool<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (handle, to) = datagram_socket(&mut ev);
    let sent = SendTo { handle, buffer: b"kept".into(), peer: Peer::from(to) };
    assert_eq!(ev.complete(sent).result, Ok(()));
    let pool: BufferPool = ev.context().buffer_pool(2, 64).unwrap();
    let ends = Log::new();
    let seen = ends.clone();
    ev.context().submit_multishot(RecvMany { handle, pool }, move |(), _, event| {
        match event {
            Event::More(buffer) => panic!("{buffer:?} was received"),
            Event::Last(last) => seen.push((last.output.handle, last.output.result)),
        }
        Flow::Continue
    });
    ev.until_done();
    assert_eq!(ends.take(), [(handle, Err(Error::Unsupported))]);
    assert_eq!(ev.complete(Recv { handle, buffer: Buffer::zeroed(16) }).result, Ok(4));
}

/// A buffer of the disk's own kind of memory.
fn aligned(len: usize) -> Buffer {
    Buffer::aligned(len, 4096).expect("a power of two")
}

/// A file on the disk and a handle of it that goes past the cache; none where the file system has no such thing, and says so
/// when opening.
fn past_the_cache<B: Backend>(ev: &mut Loop<B, ()>, scratch: &Scratch, bytes: &[u8]) -> Option<Handle> {
    let path = scratch.real("direct");
    fs::write(&path, bytes).unwrap();
    fs::File::open(&path).unwrap().sync_all().unwrap();
    let opened = ev.complete(open(scratch, "direct", OpenOptions::read_write().direct()));
    if opened.result.is_err() {
        assert_eq!(opened.result.map(drop), Err(system(Errno::INVAL)));
        return None;
    }
    opened.result.ok()
}

/// Past the cache, the disk judges each transfer alone: one whose offset, length or memory it does not take fails as
/// invalid (or goes all the same, where the system copies), with its buffer; those beside it go. Where the file ends, there is
/// less.
pub(crate) fn what_is_not_aligned_fails_alone<B: Backend>(fixture: &Fixture<B>) {
    const LEN: usize = 8 * 4096;
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let bytes = pattern(5, LEN + 100);
    let Some(handle) = past_the_cache(&mut ev, &scratch, &bytes) else { return };
    let ranges = [(0, 0, 4096), (0, 1, 4096), (0, 4096, 100), (3, 0, 4096), (0, 4096, 8192)];
    let reads: Vec<_> = ranges
        .iter()
        .map(|&(start, offset, len)| {
            let buffer = aligned(3 * 4096).slice(start..start + len);
            ev.start(ReadAt { handle, buffer, offset: offset as u64 })
        })
        .collect();
    for (&(start, offset, len), read) in ranges.iter().zip(&reads) {
        let done = ev.finish(read);
        assert_eq!((done.buffer.len(), done.offset), (len, offset as u64));
        let is_aligned = [start, offset, len].iter().all(|number| number.is_multiple_of(4096));
        match done.result {
            Ok(count) => {
                assert!(count == len || !is_aligned);
                assert_bytes(&done.buffer[..count], &bytes[offset..offset + count]);
            }
            Err(error) => assert_eq!((error, is_aligned), (system(Errno::INVAL), false)),
        }
    }
    let tail = ev.complete(ReadAt { handle, buffer: aligned(4096), offset: LEN as u64 });
    assert_eq!(tail.result, Ok(100));
    assert_bytes(&tail.buffer[..100], &bytes[LEN..]);

    let mut buffer = aligned(4096);
    buffer.as_mut_slice().unwrap().copy_from_slice(&pattern(6, 4096));
    let odd = ev.start(WriteAt { handle, buffer: pattern(7, 100).into(), offset: 1 });
    let even = ev.start(WriteAt { handle, buffer, offset: 4096 });
    let (odd, even) = (ev.finish(&odd), ev.finish(&even));
    assert_eq!(even.result, Ok(4096));
    assert_bytes(&odd.buffer, &pattern(7, 100));
    let mut expected = bytes;
    expected[4096..8192].copy_from_slice(&pattern(6, 4096));
    match odd.result {
        Ok(count) => expected[1..=count].copy_from_slice(&odd.buffer[..count]),
        Err(error) => assert_eq!(error, system(Errno::INVAL)),
    }
    assert_bytes(&fs::read(scratch.real("direct")).unwrap(), &expected);
}

/// Reads past the cache are under way when all is cancelled, after as many turns as may be. Once nothing is, the file gets
/// other bytes: none of them comes into any of the buffers.
pub(crate) fn direct_reads_rest_once_nothing_is_under_way<B: Backend>(fixture: &Fixture<B>) {
    const READS: usize = 8;
    const LEN: usize = 16 << 10;
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let bytes = pattern(11, READS * LEN);
    let Some(handle) = past_the_cache(&mut ev, &scratch, &bytes) else { return };
    let mut kept = Vec::new();
    for round in 0..12 {
        let reads: Vec<_> = (0..READS)
            .map(|number| {
                let offset = (number * LEN) as u64;
                (number, ev.start(ReadAt { handle, buffer: aligned(LEN), offset }))
            })
            .collect();
        for _ in 0..round % 4 {
            ev.context().submit(Nop, |(), _, _| ());
            ev.no_wait();
        }
        ev.context().cancel_all();
        ev.until_done();
        for (number, read) in reads {
            let done = read.take();
            match done.result {
                Ok(count) => assert_bytes(&done.buffer[..count], &bytes[number * LEN..][..count]),
                Err(error) => assert_eq!(error, Error::Canceled),
            }
            let seen = done.buffer.to_vec();
            kept.push((seen, done.buffer));
        }
    }
    fs::write(scratch.real("direct"), vec![0xee; READS * LEN]).unwrap();
    thread::sleep(Duration::from_millis(50));
    for (seen, buffer) in &kept {
        assert_bytes(buffer, seen);
    }
    assert_eq!(ev.complete(ReadAt { handle, buffer: aligned(LEN), offset: 0 }).result, Ok(LEN));
}

/// Loops on several threads send their files to one pool whose queue is smaller than what any of them asks for: each gets
/// its own bytes.
pub(crate) fn several_loops_have_files_on_one_pool<B: Backend>(fixture: &Fixture<B>) {
    const LOOPS: u32 = 4;
    const PIECES: usize = 40;
    let pool = Pool::new(PoolConfig::default().threads(2).queue(3)).unwrap();
    let begin = Barrier::new(LOOPS as usize);
    let serve = |which: u32| {
        let (fixture, pool, begin) = (fixture.clone(), pool.clone(), &begin);
        move || {
            let scratch = Scratch::new(&fixture);
            let mut ev: Loop<B, ()> = fixture.open_with(Config::default().pool(pool));
            let handle = file(&mut ev, &scratch, "own", b"");
            begin.wait();
            let bytes = pattern(which, PIECES * 512);
            let pieces: Vec<_> = bytes.chunks_exact(512).map(<[u8]>::to_vec).collect();
            let writes: Vec<_> = (0..)
                .zip(pieces)
                .map(|(piece, bytes)| ev.start(WriteAt { handle, buffer: bytes.into(), offset: piece * 512 }))
                .collect();
            // What no cache answers, whatever the backend does by itself.
            let opens: Vec<_> =
                (0..PIECES).map(|_| ev.start(open(&scratch, "own", OpenOptions::read()))).collect();
            ev.until_done();
            assert!(writes.iter().all(|write| write.take().result == Ok(512)));
            for opened in opens {
                let handle = opened.take().result.unwrap();
                assert_bytes(&contents(&mut ev, handle, PIECES * 512 + 1, 0), &bytes);
                ev.context().close(handle);
            }
            assert_eq!(ev.complete(read(handle, 512, 512)).result, Ok(512));
        }
    };
    thread::scope(|scope| {
        for which in 0..LOOPS {
            scope.spawn(serve(which));
        }
    });
}
