//! How operations on files end before they are complete: cancelled, deleted, their handle closed, the loop gone
//! (contract C4, C5, X1, X3, X5, H1, H2).

use std::thread;
use std::time::Duration;

use proactor_core::{
    Allocate, Backend, Buffer, Cancel, Close, Create, Error, Fdatasync, FilePath, Fsync, Handle, Link, Loop,
    MakeDir, Nop, OneShot, OpenAt, OpenOptions, ReadAt, RemoveDir, Rename, Statx, Symlink, Truncate, Unlink,
    WriteAt,
};

use super::files::{contents, file, made, open, read};
use crate::Fixture;
use crate::scratch::Scratch;
use crate::steps::{Captures, Steps, pattern, system};

/// Submits one of each kind and has `each` do something with it, whose answer is what it ended with, if it did.
macro_rules! one_of_each {
    ($ev:ident, $scratch:ident, $handle:ident, $each:ident) => {{
        let path = |name: &str| $scratch.path(name);
        let (directory, handle) = (None, $handle);
        $each(&mut $ev, open(&$scratch, "opened", made()), |done| done.result.map(drop));
        $each(&mut $ev, read(handle, 16, 0), |done| done.result.map(drop));
        let buffer = Buffer::from(b"overwritten");
        $each(&mut $ev, WriteAt { handle, buffer, offset: 0 }, |done| done.result.map(drop));
        $each(&mut $ev, Fsync { handle }, |done| done.result);
        $each(&mut $ev, Fdatasync { handle }, |done| done.result);
        $each(&mut $ev, Truncate { handle, len: 1 }, |done| done.result);
        $each(&mut $ev, Allocate { handle, offset: 0, len: 10_000 }, |done| done.result);
        $each(&mut $ev, Statx::of(handle), |done| done.result);
        $each(&mut $ev, Rename { directory, from: path("before"), to: path("renamed") }, |done| done.result);
        $each(&mut $ev, Link { directory, from: path("file"), to: path("linked") }, |done| done.result);
        let symlink = Symlink { directory, target: "file".into(), path: path("symlinked") };
        $each(&mut $ev, symlink, |done| done.result);
        $each(&mut $ev, Unlink { directory, path: path("gone") }, |done| done.result);
        $each(&mut $ev, MakeDir { directory, path: path("made"), mode: 0o755 }, |done| done.result);
        $each(&mut $ev, RemoveDir { directory, path: path("removed") }, |done| done.result);
    }};
}

/// The files that [`one_of_each`] needs; one of them open.
#[track_caller]
fn files_for_each<B: Backend>(ev: &mut Loop<B, ()>, scratch: &Scratch) -> Handle {
    file(ev, scratch, "gone", b"");
    file(ev, scratch, "before", b"");
    let made = ev.complete(MakeDir { directory: None, path: scratch.path("removed"), mode: 0o755 });
    assert_eq!(made.result, Ok(()));
    file(ev, scratch, "file", b"bytes")
}

/// Whether there is such a name.
#[track_caller]
pub(crate) fn exists<B: Backend>(ev: &mut Loop<B, ()>, path: FilePath) -> bool {
    match ev.complete(Statx { path, ..Statx::path("") }).result {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error, system(rustix::io::Errno::NOENT));
            false
        }
    }
}

/// Cancelled before its turn, each kind ends as cancelled, and nothing has happened to any file.
pub(crate) fn cancelled_while_queued_no_file_is_touched<B: Backend>(fixture: &Fixture<B>) {
    fn cancel<B: Backend, O: OneShot>(
        ev: &mut Loop<B, ()>,
        operation: O,
        result: impl FnOnce(O::Output) -> Result<(), Error>,
    ) where
        O::Output: 'static,
    {
        let pending = ev.start(operation);
        assert_eq!(ev.cancel(pending.key), Cancel::Requested);
        assert_eq!(result(ev.finish(&pending)), Err(Error::Canceled));
    }
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let handle = files_for_each(&mut ev, &scratch);
    one_of_each!(ev, scratch, handle, cancel);
    assert_eq!(contents(&mut ev, handle, 64, 0), b"bytes");
    for (name, is_there) in [
        ("opened", false),
        ("renamed", false),
        ("linked", false),
        ("symlinked", false),
        ("made", false),
        ("file", true),
        ("gone", true),
        ("removed", true),
    ] {
        assert_eq!(exists(&mut ev, scratch.path(name)), is_there, "{name}");
    }
}

/// Cancelled once the system has it, each kind ends once: with its real result, or as cancelled.
pub(crate) fn cancelled_under_way_each_ends_once<B: Backend>(fixture: &Fixture<B>) {
    fn cancel<B: Backend, O: OneShot>(
        ev: &mut Loop<B, ()>,
        operation: O,
        result: impl FnOnce(O::Output) -> Result<(), Error>,
    ) where
        O::Output: 'static,
    {
        let pending = ev.start(operation);
        // One turn, which does not wait for it.
        ev.no_wait();
        let answer = ev.cancel(pending.key);
        assert_eq!(pending.is_done(), answer == Cancel::NotFound, "{answer:?}");
        let result = result(ev.finish(&pending));
        assert!(matches!(result, Ok(()) | Err(Error::Canceled)), "{result:?}");
    }
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let handle = files_for_each(&mut ev, &scratch);
    one_of_each!(ev, scratch, handle, cancel);
    ev.until_done();
}

/// A turn that starts and completes, but delivers nothing of what comes after what is done at once.
fn stopped_turn<B: Backend>(ev: &mut Loop<B, ()>) {
    ev.context().submit(Nop, |(), cx, _| cx.stop());
    ev.no_wait();
    ev.context().resume();
}

/// Deleted in any state, each kind ends unheard; a file that was opened for nobody is closed, buffers are dropped.
pub(crate) fn deleted_each_ends_unheard<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    for turns in 0..4 {
        let mut ev = fixture.open();
        let handle = ev.complete(open(&scratch, "file", made())).result.unwrap();
        ev.complete(WriteAt { handle, buffer: pattern(1, 64).into(), offset: 0 }).result.unwrap();
        let captures = Captures::default();
        let mut keys = Vec::new();
        for _ in 0..3 {
            let mut cx = ev.context();
            let (held, operation) = (captures.capture(), open(&scratch, "file", OpenOptions::read()));
            keys.push(cx.submit(operation, move |(), _, _| drop(held)));
            let held = captures.capture();
            keys.push(cx.submit(read(handle, 4096, 0), move |(), _, _| drop(held)));
            let held = captures.capture();
            keys.push(cx.submit(Statx::of(handle), move |(), _, _| drop(held)));
        }
        for _ in 0..turns {
            stopped_turn(&mut ev);
        }
        for key in keys {
            let deleted = ev.context().delete(key);
            assert!(matches!(deleted, Ok(()) | Err(Error::NotFound)));
        }
        ev.until_done();
        assert_eq!(captures.held(), 0);
        let closed = ev.complete(Close { handle });
        assert_eq!(closed.result, Ok(()));
    }
}

/// Closing a handle ends all that is under way on it, then closes the descriptor; and it is stale at once.
pub(crate) fn closing_ends_what_is_under_way<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    for turns in 0..3 {
        let mut ev = fixture.open();
        let name = format!("file{turns}");
        let handle = file(&mut ev, &scratch, &name, &pattern(9, 4096));
        let reads: Vec<_> = (0..50).map(|offset| ev.start(read(handle, 4096, offset))).collect();
        let asked = ev.start(Statx::of(handle));
        for _ in 0..turns {
            ev.context().submit(Nop, |(), _, _| ());
            ev.no_wait();
        }
        let closed = ev.start(Close { handle });
        let late = ev.start(read(handle, 16, 0));
        assert_eq!(ev.finish(&late).result, Err(Error::StaleHandle));
        assert_eq!(ev.finish(&closed).result, Ok(()));
        let mut canceled = 0;
        for (offset, read) in reads.iter().enumerate() {
            assert!(read.is_done(), "before its handle was closed");
            let done = read.take();
            match done.result {
                Err(Error::Canceled) => canceled += 1,
                result => assert_eq!(result, Ok(4096 - offset)),
            }
            assert_eq!(done.buffer.len(), 4096);
        }
        assert!(turns > 0 || canceled == 50, "none of them was started");
        assert!(asked.is_done());
        ev.until_done();
    }
}

/// A loop can be dropped with anything of this kind under way: what it took is gone, and so is each file that was opened.
pub(crate) fn dropping_the_loop_lets_go_of_files<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    for turns in 0..3 {
        let captures = Captures::default();
        let mut ev = fixture.open();
        let handle = ev.complete(open(&scratch, "file", made())).result.unwrap();
        for number in 0..20 {
            let held = captures.capture();
            ev.context().submit(open(&scratch, "file", OpenOptions::read()), move |(), _, _| drop(held));
            let held = captures.capture();
            let write = WriteAt { handle, buffer: pattern(number, 8192).into(), offset: u64::from(number) };
            ev.context().submit(write, move |(), _, _| drop(held));
            let held = captures.capture();
            ev.context().submit(read(handle, 8192, 0), move |(), _, _| drop(held));
            ev.context().submit(Statx::of(handle), |(), _, _| ());
        }
        for _ in 0..turns {
            stopped_turn(&mut ev);
        }
        drop(ev);
        assert_eq!(captures.held(), 0);
    }
}

/// Eight reads past the cache are under way when everything is cancelled. Once nothing is, no buffer changes any more.
pub(crate) fn buffers_rest_after_cancel_all<B: Backend>(fixture: &Fixture<B>) {
    const LEN: usize = 16 << 10;
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let handle = file(&mut ev, &scratch, "file", &pattern(11, 8 * LEN));
    assert_eq!(ev.complete(Fsync { handle }).result, Ok(()));
    // A disk that can only be read through the cache is one that this says less about.
    let direct = ev.complete(open(&scratch, "file", OpenOptions::read().direct())).result;
    let direct = direct.or_else(|_| ev.complete(open(&scratch, "file", OpenOptions::read())).result).unwrap();
    let reads: Vec<_> = (0..8)
        .map(|number| {
            let buffer = Buffer::aligned(LEN, 4096).unwrap();
            ev.start(ReadAt { handle: direct, buffer, offset: (number * LEN) as u64 })
        })
        .collect();
    ev.context().submit(Nop, |(), _, _| ());
    ev.no_wait();
    ev.context().cancel_all();
    ev.until_done();
    let whole = pattern(11, 8 * LEN);
    let buffers: Vec<Buffer> = reads
        .iter()
        .enumerate()
        .map(|(number, read)| {
            let done = read.take();
            match done.result {
                Ok(LEN) => assert!(done.buffer[..] == whole[number * LEN..][..LEN], "the file's bytes"),
                result => assert_eq!(result, Err(Error::Canceled)),
            }
            done.buffer
        })
        .collect();
    let checksum = || buffers.iter().map(|buffer| checksum(buffer)).collect::<Vec<_>>();
    let before = checksum();
    thread::sleep(Duration::from_millis(50));
    assert_eq!(checksum(), before);
}

/// FNV-1a.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// A path with a NUL in it is refused by every operation that takes one, and comes back.
pub(crate) fn a_path_with_a_nul_is_refused<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let (directory, bad) = (None, || FilePath::from("with\0nul"));
    let good = || scratch.path("good");
    let refused = Err(Error::InvalidInput);
    let options = OpenOptions::write().create(Create::IfMissing);
    let opened = ev.complete(OpenAt { directory, path: bad(), options });
    assert_eq!((opened.result.map(drop), opened.path), (refused, bad()));
    assert_eq!(ev.complete(Statx::path(bad())).result, refused);
    for (from, to) in [(good(), bad()), (bad(), good())] {
        let done = ev.complete(Rename { directory, from: from.clone(), to: to.clone() });
        assert_eq!((done.result, &done.from, &done.to), (refused, &from, &to));
        let done = ev.complete(Link { directory, from: from.clone(), to: to.clone() });
        assert_eq!((done.result, &done.from, &done.to), (refused, &from, &to));
        let done = ev.complete(Symlink { directory, target: from.clone(), path: to.clone() });
        assert_eq!((done.result, &done.target, &done.path), (refused, &from, &to));
    }
    let done = ev.complete(Unlink { directory, path: bad() });
    assert_eq!((done.result, done.path), (refused, bad()));
    let done = ev.complete(MakeDir { directory, path: bad(), mode: 0o700 });
    assert_eq!((done.result, done.path, done.mode), (refused, bad(), 0o700));
    let done = ev.complete(RemoveDir { directory, path: bad() });
    assert_eq!((done.result, done.path), (refused, bad()));
    assert!(!exists(&mut ev, scratch.path("with")));
}
