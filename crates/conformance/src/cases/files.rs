//! Files: opened, read and written at positions, measured, cut, stored (contract H3, H4, R1, C2, E1).

use proactor_core::{
    Access, Allocate, Backend, Buffer, Close, Config, Create, Error, Fdatasync, FileType, Fsync, Handle,
    Loop, OpenAt, OpenOptions, ReadAt, Recv, RunMode, SendAll, Statx, Truncate, WriteAt,
};
use rustix::io::Errno;

use crate::Fixture;
use crate::scratch::Scratch;
use crate::steps::{Log, Steps, assert_bytes, pattern, system};

/// Opens `name`.
pub(crate) fn open(scratch: &Scratch, name: &str, options: OpenOptions) -> OpenAt {
    OpenAt { directory: None, path: scratch.path(name), options }
}

/// To be read and written, and made if it is not there.
pub(crate) const fn made() -> OpenOptions {
    OpenOptions::read_write().create(Create::IfMissing)
}

/// A new file with these bytes, open for both.
#[track_caller]
pub(crate) fn file<B: Backend>(ev: &mut Loop<B, ()>, scratch: &Scratch, name: &str, bytes: &[u8]) -> Handle {
    let options = OpenOptions::read_write().create(Create::New);
    let handle = ev.complete(open(scratch, name, options)).result.expect("a new file");
    let written = ev.complete(WriteAt { handle, buffer: bytes.to_vec().into(), offset: 0 });
    assert_eq!(written.result, Ok(bytes.len()));
    handle
}

pub(crate) fn read(handle: Handle, len: usize, offset: u64) -> ReadAt {
    ReadAt { handle, buffer: Buffer::zeroed(len), offset }
}

/// What is in a file, from `offset` on, up to `len` bytes of it.
#[track_caller]
pub(crate) fn contents<B: Backend>(ev: &mut Loop<B, ()>, handle: Handle, len: usize, offset: u64) -> Vec<u8> {
    let done = ev.complete(read(handle, len, offset));
    let count = done.result.expect("it can be read");
    done.buffer.slice(..count).into_vec()
}

#[track_caller]
fn len<B: Backend>(ev: &mut Loop<B, ()>, handle: Handle) -> u64 {
    let done = ev.complete(Statx::of(handle));
    assert_eq!((done.result, done.metadata.file_type), (Ok(()), FileType::File));
    done.metadata.len
}

/// Open, write 20 bytes at 10, read them back, close, ask how long it is: each from the callback before.
pub(crate) fn open_write_read_close_statx<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let (path, bytes) = (scratch.path("chain"), pattern(1, 20));
    let mut ev: Loop<B, Vec<&str>> = fixture.open_state();
    let mut steps = Vec::new();
    ev.context().submit(open(&scratch, "chain", made()), move |steps: &mut Vec<&str>, cx, opened| {
        steps.push("opened");
        let handle = opened.result.unwrap();
        let buffer = Buffer::from(bytes.clone());
        cx.submit(WriteAt { handle, buffer, offset: 10 }, move |steps, cx, written| {
            steps.push("written");
            assert_eq!((written.result, written.offset, written.buffer.len()), (Ok(20), 10, 20));
            let operation = read(written.handle, 64, 10);
            cx.submit(operation, move |steps, cx, read| {
                steps.push("read");
                assert_eq!(read.result, Ok(20));
                assert_bytes(&read.buffer[..20], &bytes);
                cx.submit(Close { handle: read.handle }, move |steps, cx, closed| {
                    steps.push("closed");
                    assert_eq!(closed.result, Ok(()));
                    let about = Statx { path, ..Statx::path("") };
                    cx.submit(about, |steps, _, told| {
                        steps.push("told");
                        assert_eq!((told.result, told.metadata.len), (Ok(()), 30));
                        assert_eq!((told.metadata.file_type, told.metadata.links), (FileType::File, 1));
                    });
                });
            });
        });
    });
    ev.run(&mut steps, RunMode::UntilDone).unwrap();
    assert_eq!(steps, ["opened", "written", "read", "closed", "told"]);
}

/// A read gives what there is: less than was asked for where the file ends, nothing behind its end, zeros in a gap.
pub(crate) fn reads_end_where_the_file_does<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let empty = file(&mut ev, &scratch, "empty", b"");
    assert_eq!(contents(&mut ev, empty, 64, 0), b"");
    let handle = file(&mut ev, &scratch, "some", b"0123456789");
    assert_eq!(contents(&mut ev, handle, 4, 0), b"0123");
    assert_eq!(contents(&mut ev, handle, 64, 7), b"789");
    for offset in [10, 11, 1 << 40, i64::MAX as u64 - 64] {
        assert_eq!(contents(&mut ev, handle, 64, offset), b"", "{offset}");
    }
    let far = ev.complete(WriteAt { handle, buffer: b"x".into(), offset: 5000 });
    assert_eq!(far.result, Ok(1));
    assert_bytes(&contents(&mut ev, handle, 8192, 8), &[b"89", &[0; 4990][..], b"x"].concat());
    assert_eq!(len(&mut ev, handle), 5001);
    // Only the buffer's range takes part.
    let buffer = Buffer::from(b"abcdef".to_vec()).slice(2..4);
    assert_eq!(ev.complete(WriteAt { handle, buffer, offset: 1 }).result, Ok(2));
    let done = ev.complete(ReadAt { handle, buffer: Buffer::zeroed(8).slice(3..6), offset: 0 });
    assert_eq!((done.result, &done.buffer.unslice()[..]), (Ok(3), &b"\0\0\x000cd\0\0"[..]));
}

/// An empty buffer is nothing to be read or written, and needs no system; on a handle all the same.
pub(crate) fn an_empty_buffer_completes_with_zero<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let handle = file(&mut ev, &scratch, "file", b"bytes");
    assert_eq!(ev.complete(read(handle, 0, 0)).result, Ok(0));
    let nothing = WriteAt { handle, buffer: Buffer::default(), offset: 1000 };
    assert_eq!(ev.complete(nothing).result, Ok(0));
    assert_eq!(len(&mut ev, handle), 5);
    ev.context().close(handle);
    assert_eq!(ev.complete(read(handle, 0, 0)).result, Err(Error::StaleHandle));
}

/// Any number on one handle at once, each at its own position, none behind another.
pub(crate) fn many_are_under_way_on_one_handle<B: Backend>(fixture: &Fixture<B>) {
    const PIECES: usize = 100;
    const PIECE: usize = 1000;
    let scratch = Scratch::new(fixture);
    let mut ev: Loop<B, ()> = fixture.open_with(Config::default().entries(4));
    let handle = file(&mut ev, &scratch, "file", b"");
    let bytes = pattern(7, PIECES * PIECE);
    let at = |piece: usize| (piece * PIECE) as u64;
    let writes: Vec<_> = (0..PIECES)
        .map(|piece| {
            let buffer = bytes[piece * PIECE..][..PIECE].to_vec().into();
            ev.start(WriteAt { handle, buffer, offset: at(piece) })
        })
        .collect();
    assert_eq!(ev.context().detach(handle).map(drop), Err(Error::Busy));
    for write in &writes {
        assert_eq!(ev.finish(write).result, Ok(PIECE));
    }
    let reads: Vec<_> =
        (0..PIECES).rev().map(|piece| (piece, ev.start(read(handle, PIECE, at(piece))))).collect();
    for (piece, read) in reads {
        let read = ev.finish(&read);
        assert_eq!((read.result, read.offset), (Ok(PIECE), at(piece)));
        assert_bytes(&read.buffer, &bytes[piece * PIECE..][..PIECE]);
    }
    ev.until_done();
}

/// One whose outcome waits, or that ends early, keeps no other from ending.
pub(crate) fn none_waits_for_another<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let handle = file(&mut ev, &scratch, "file", &pattern(3, 4096));
    let ended: Log<usize> = Log::new();
    let keys: Vec<_> = (0..5)
        .map(|number| {
            let log = ended.clone();
            ev.context().submit(read(handle, 100, number as u64), move |(), _, _| log.push(number))
        })
        .collect();
    // First, middle and last of those on the handle.
    for taken in [0, 2, 4] {
        ev.context().delete(keys[taken]).unwrap();
    }
    ev.until_done();
    let mut left = ended.take();
    left.sort_unstable();
    assert_eq!(left, [1, 3]);
    assert!(ev.context().detach(handle).map(drop) != Err(Error::Busy), "nothing is left on it");
}

/// What fails says why, and hands back all that it took.
pub(crate) fn failures_hand_everything_back<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let missing = ev.complete(open(&scratch, "missing", OpenOptions::read()));
    assert_eq!(missing.result, Err(system(Errno::NOENT)));
    assert_eq!(
        (missing.path, missing.options, missing.directory),
        (scratch.path("missing"), OpenOptions::read(), None)
    );
    let told = ev.complete(Statx { path: scratch.path("missing"), ..Statx::path("") });
    assert_eq!((told.result, told.path), (Err(system(Errno::NOENT)), scratch.path("missing")));

    let both = file(&mut ev, &scratch, "file", b"bytes");
    let reading = ev.complete(open(&scratch, "file", OpenOptions::read())).result.unwrap();
    let writing = ev.complete(open(&scratch, "file", OpenOptions::write())).result.unwrap();
    let written = ev.complete(WriteAt { handle: reading, buffer: b"kept".into(), offset: 3 });
    assert_eq!(
        (written.result, &written.buffer[..], written.offset),
        (Err(system(Errno::BADF)), &b"kept"[..], 3)
    );
    let done = ev.complete(read(writing, 16, 2));
    assert_eq!((done.result, done.buffer.len(), done.offset), (Err(system(Errno::BADF)), 16, 2));
    let shared = ev.complete(ReadAt { handle: both, buffer: b"shared".into(), offset: 0 });
    assert_eq!((shared.result, &shared.buffer[..]), (Err(Error::ReadOnlyBuffer), &b"shared"[..]));
    assert_eq!(ev.complete(Truncate { handle: reading, len: 1 }).result, Err(system(Errno::INVAL)));
    assert_eq!(contents(&mut ev, both, 64, 0), b"bytes");
}

/// Positions and lengths that no file has are refused before anyone is asked.
pub(crate) fn positions_beyond_all_files_are_refused<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let handle = file(&mut ev, &scratch, "file", b"bytes");
    for offset in [i64::MAX as u64 + 1, u64::MAX] {
        let done = ev.complete(read(handle, 8, offset));
        assert_eq!((done.result, done.buffer.len()), (Err(Error::InvalidInput), 8));
        let done = ev.complete(WriteAt { handle, buffer: b"x".into(), offset });
        assert_eq!((done.result, done.buffer.len()), (Err(Error::InvalidInput), 1));
        assert_eq!(ev.complete(Truncate { handle, len: offset }).result, Err(Error::InvalidInput));
        assert_eq!(ev.complete(Allocate { handle, offset, len: 1 }).result, Err(Error::InvalidInput));
    }
    assert_eq!(ev.complete(Allocate { handle, offset: 0, len: 0 }).result, Err(Error::InvalidInput));
    assert_eq!(contents(&mut ev, handle, 64, 0), b"bytes");
}

/// How a file is opened decides what becomes of it.
pub(crate) fn options_decide_what_opening_does<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let first = file(&mut ev, &scratch, "file", b"0123456789");
    let again = ev.complete(open(&scratch, "file", OpenOptions::write().create(Create::New)));
    assert_eq!(again.result.map(drop), Err(system(Errno::EXIST)));
    assert_eq!(
        ev.complete(open(&scratch, "file", OpenOptions::read().directory())).result.map(drop),
        Err(system(Errno::NOTDIR))
    );
    let kept = ev.complete(open(&scratch, "file", made())).result.unwrap();
    assert_eq!(contents(&mut ev, kept, 64, 0), b"0123456789");
    let added = ev.complete(open(&scratch, "file", OpenOptions::write().append())).result.unwrap();
    assert_eq!(ev.complete(WriteAt { handle: added, buffer: b"ab".into(), offset: 3 }).result, Ok(2));
    assert_eq!(contents(&mut ev, first, 64, 0), b"0123456789ab");
    let cut = ev.complete(open(&scratch, "file", OpenOptions::new(Access::Write).truncate())).result.unwrap();
    assert_eq!(len(&mut ev, cut), 0);
    let options = OpenOptions::write().create(Create::New).mode(0o600);
    let private = ev.complete(open(&scratch, "private", options)).result.unwrap();
    // WASI has no permissions.
    let mode = if cfg!(unix) { 0o600 } else { 0 };
    assert_eq!(ev.complete(Statx::of(private)).metadata.mode, mode);
}

/// A path is relative to a directory that is a handle; which, closed, is as stale as any.
pub(crate) fn a_directory_is_where_paths_begin<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let options = OpenOptions::read().directory();
    let path = scratch.directory();
    let directory = ev.complete(OpenAt { directory: None, path, options }).result.unwrap();
    let open = |path: &str, options| OpenAt { directory: Some(directory), path: path.into(), options };
    let opened = ev.complete(open("inside", made()));
    assert_eq!((opened.directory, opened.path), (Some(directory), "inside".into()));
    let inside = opened.result.unwrap();
    assert_eq!(ev.complete(WriteAt { handle: inside, buffer: b"in".into(), offset: 0 }).result, Ok(2));
    let told = ev.complete(Statx { path: scratch.path("inside"), ..Statx::path("") });
    assert_eq!((told.result, told.metadata.len), (Ok(()), 2));
    let told = ev.complete(Statx { path: "inside".into(), ..Statx::of(directory) });
    assert_eq!((told.result, told.metadata.len, told.handle), (Ok(()), 2, Some(directory)));
    let told = ev.complete(Statx::of(directory));
    assert_eq!((told.result, told.metadata.file_type), (Ok(()), FileType::Directory));
    let beside =
        ev.complete(OpenAt { directory: Some(inside), path: "x".into(), options: OpenOptions::read() });
    assert_eq!(beside.result.map(drop), Err(system(Errno::NOTDIR)));
    ev.context().close(directory);
    let stale = ev.complete(open("inside", OpenOptions::read()));
    assert_eq!((stale.result.map(drop), stale.path), (Err(Error::StaleHandle), "inside".into()));
}

/// A file is cut, lengthened, given room, and stored.
pub(crate) fn files_are_cut_lengthened_and_stored<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let handle = file(&mut ev, &scratch, "file", &pattern(5, 10_000));
    let cut = ev.complete(Truncate { handle, len: 5000 });
    assert_eq!((cut.result, cut.handle, cut.len), (Ok(()), handle, 5000));
    assert_eq!(len(&mut ev, handle), 5000);
    assert_eq!(ev.complete(Truncate { handle, len: 6000 }).result, Ok(()));
    assert_bytes(&contents(&mut ev, handle, 10_000, 4999), &[&pattern(5, 5000)[4999..], &[0; 1000]].concat());
    let room = ev.complete(Allocate { handle, offset: 4000, len: 4000 });
    assert_eq!((room.result, room.handle, room.offset, room.len), (Ok(()), handle, 4000, 4000));
    assert_eq!(len(&mut ev, handle), 8000);
    assert_bytes(&contents(&mut ev, handle, 10, 0), &pattern(5, 10));
    let stored = ev.complete(Fsync { handle });
    assert_eq!((stored.result, stored.handle), (Ok(()), handle));
    assert_eq!(ev.complete(Fdatasync { handle }).result, Ok(()));
}

/// What has no positions, or is no file, fails clearly; what is no regular file works as far as it can.
pub(crate) fn what_is_no_regular_file_works_or_says_so<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let null = OpenAt { directory: None, path: "/dev/null".into(), options: OpenOptions::read_write() };
    let null = ev.complete(null).result.unwrap();
    assert_eq!(contents(&mut ev, null, 64, 5), b"");
    assert_eq!(
        ev.complete(WriteAt { handle: null, buffer: vec![1; 1000].into(), offset: 77 }).result,
        Ok(1000)
    );
    assert_eq!(ev.complete(Statx::of(null)).metadata.file_type, FileType::CharacterDevice);
    let path = scratch.directory();
    let directory = OpenAt { directory: None, path, options: OpenOptions::read() };
    let directory = ev.complete(directory).result.unwrap();
    let done = ev.complete(read(directory, 64, 0));
    assert_eq!((done.result, done.buffer.len()), (Err(system(Errno::ISDIR)), 64));
    assert_eq!(ev.complete(Fsync { handle: directory }).result, Ok(()));
}

/// A socket is no file.
pub(crate) fn a_socket_is_no_file<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let done = ev.complete(read(client, 8, 0));
    assert_eq!((done.result, done.buffer.len()), (Err(system(Errno::SPIPE)), 8));
    let done = ev.complete(WriteAt { handle: client, buffer: b"not sent".into(), offset: 0 });
    assert_eq!((done.result, &done.buffer[..]), (Err(system(Errno::SPIPE)), &b"not sent"[..]));
    assert_eq!(ev.complete(Fsync { handle: client }).result, Err(system(Errno::INVAL)));
    let cut = ev.complete(Truncate { handle: client, len: 0 });
    // Hosts of WASI have each its own word for it.
    assert!(cut.result.is_err_and(|error| error == system(Errno::INVAL) || cfg!(not(unix))), "{cut:?}");
    assert_eq!(ev.complete(Statx::of(client)).metadata.file_type, FileType::Socket);
    let within = OpenAt { directory: Some(client), path: "x".into(), options: OpenOptions::read() };
    assert_eq!(ev.complete(within).result.map(drop), Err(system(Errno::NOTDIR)));
    // And the stream is as it was.
    let received = ev.start(Recv { handle: server, buffer: Buffer::zeroed(8) });
    let sent = ev.complete(SendAll { handle: client, buffer: b"sent".into() });
    assert_eq!((sent.result, ev.finish(&received).result), (Ok(()), Ok(4)));
}

/// A file is no socket.
pub(crate) fn a_file_is_no_socket<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let handle = file(&mut ev, &scratch, "file", b"bytes");
    let received = ev.complete(Recv { handle, buffer: Buffer::zeroed(8) });
    assert_eq!((received.result, received.buffer.len()), (Err(system(Errno::NOTSOCK)), 8));
    let listened = ev.context().listen_on(handle, 1);
    let can_listen = fixture.capabilities().ipv4;
    assert_eq!(listened, Err(if can_listen { system(Errno::NOTSOCK) } else { Error::Unsupported }));
    assert_eq!(contents(&mut ev, handle, 8, 0), b"bytes");
}
