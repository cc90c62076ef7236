//! Files: what is done at once, and what a thread of the pool does.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use proactor_core::{
    Backend, Buffer, Call, Close, Error, Fsync, Handle, Job, OpenAt, OpenOptions, Outcome, ReadAt,
    ReadAtDone, Slot, Token,
};

use super::{COUNTS, Rig};

/// A file of a test's own.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn new(len: usize) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        // Beside the program: a disk, on which a file can be read past the cache.
        let name = format!("proactor-poller-{}-{number}", std::process::id());
        let path = std::env::current_exe().unwrap().with_file_name(name);
        fs::write(&path, vec![b'.'; len]).unwrap();
        Self(path)
    }

    pub(super) fn open(&self) -> File {
        File::options().read(true).write(true).open(&self.0).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Rig {
    fn read_at(&mut self, handle: Handle, len: usize, offset: u64) -> Token {
        let buffer = Buffer::aligned(len, 4096).unwrap();
        self.start(handle, ReadAt { handle, buffer, offset })
    }

    /// The outcome of a read, which was decided at once.
    fn read_done(&mut self) -> ReadAtDone {
        match self.done.pop() {
            Some((_, Outcome::ReadAt(done))) => done,
            other => panic!("a read at once, not {other:?}"),
        }
    }

    /// Takes what a thread of the pool has done, which a queue without a loop does at once.
    pub(super) fn take_returned(&mut self, slot: Slot) -> Outcome {
        assert!(self.done.is_empty(), "not before it comes back");
        let (token, job) = self.done.take_returned().expect("it went to the pool");
        self.backend.returned(token, slot, job, &mut self.done);
        let (answered, outcome) = self.done.pop().unwrap();
        assert_eq!(answered, token);
        outcome
    }
}

#[test]
fn what_is_in_the_cache_is_read_at_once() {
    let scratch = Scratch::new(10_000);
    let mut rig = Rig::new();
    let handle = rig.attach(scratch.open());
    for (offset, expected) in [(0, 4096), (8000, 2000), (10_000, 0), (1 << 40, 0)] {
        rig.read_at(handle, 4096, offset);
        let done = rig.read_done();
        assert_eq!((done.result, done.offset), (Ok(expected), offset));
        assert!(done.buffer[..expected].iter().all(|&byte| byte == b'.'));
    }
    assert!(rig.done.take_returned().is_none());
    rig.close(handle);
}

// macOS and OpenBSD have no such flag.
#[cfg(not(any(target_vendor = "apple", target_os = "openbsd")))]
#[test]
fn what_goes_past_the_cache_is_for_the_pool() {
    use std::os::unix::fs::OpenOptionsExt;

    use proactor_core::WriteAt;

    let scratch = Scratch::new(8192);
    let direct = rustix::fs::OFlags::DIRECT.bits() as i32;
    let Ok(file) = File::options().read(true).write(true).custom_flags(direct).open(&scratch.0) else {
        // A file system without such a thing.
        return;
    };
    let mut rig = Rig::new();
    let handle = rig.attach(file);
    rig.read_at(handle, 4096, 0);
    let outcome = rig.take_returned(handle.slot());
    assert_eq!(outcome.error(), None);
    let buffer = Buffer::aligned(4096, 4096).unwrap();
    rig.start(handle, WriteAt { handle, buffer, offset: 0 });
    let outcome = rig.take_returned(handle.slot());
    assert_eq!(outcome.error(), None);
    rig.close(handle);
}

#[test]
fn a_descriptor_comes_back_from_those_who_shared_it() {
    let scratch = Scratch::new(100);
    let mut rig = Rig::new();
    let handle = rig.attach(scratch.open());
    rig.start(handle, Fsync { handle });
    // While a job has its share, the descriptor stays.
    let (token, job) = rig.done.take_returned().unwrap();
    rig.backend.returned(token, handle.slot(), job, &mut rig.done);
    let (_, outcome) = rig.done.pop().unwrap();
    assert_eq!(outcome.error(), None);
    let file = File::from(rig.backend.detach(handle.slot()).unwrap());
    assert_eq!(file.metadata().unwrap().len(), 100);
}

/// Has the pool open it for reading.
fn open(rig: &mut Rig, scratch: &Scratch) -> Handle {
    let nowhere = Slot(u32::MAX);
    let open = OpenAt { directory: None, path: scratch.0.clone().into(), options: OpenOptions::read() };
    let token = rig.done.submit(open.into());
    rig.backend.start(token, nowhere, &mut rig.done);
    let Outcome::OpenAt(opened) = rig.take_returned(nowhere) else { panic!("it is an open's") };
    opened.result.unwrap()
}

#[test]
fn a_file_that_is_opened_gets_a_handle() {
    let scratch = Scratch::new(7);
    let mut rig = Rig::new();
    let handle = open(&mut rig, &scratch);
    rig.read_at(handle, 64, 0);
    assert_eq!(rig.read_done().result, Ok(7));
    rig.close(handle);
}

/// Others may have what a name opens, as some systems' names of open descriptors do: it is watched until it is closed, not longer.
#[test]
fn what_a_name_opens_is_removed_before_it_is_closed() {
    let scratch = Scratch::new(0);
    fs::remove_file(&scratch.0).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&scratch.0).status().unwrap().success());
    let _both_ends = File::options().read(true).write(true).open(&scratch.0).unwrap();
    let mut rig = Rig::new();
    let handle = open(&mut rig, &scratch);
    let before = COUNTS.get();
    assert_eq!((before.added, before.removed), (1, 0));
    rig.close(handle);
    assert_eq!(COUNTS.get().removed, 1);
}

#[test]
fn what_comes_back_of_something_else_is_passed_on() {
    fn nothing(_: &mut Call<'_>) {}
    let mut rig = Rig::new();
    let (handle, _far) = rig.pair();
    let token = rig.done.submit(Fsync { handle }.into());
    rig.done.offload(token, Job::new(nothing));
    let outcome = rig.take_returned(Slot(77));
    assert_eq!(outcome.error(), Some(Error::Backend), "nobody has decided it");
}

#[test]
fn a_slot_that_holds_nothing_is_stale() {
    let mut rig = Rig::new();
    let empty = rig.done.new_handle();
    rig.read_at(empty, 16, 0);
    let done = rig.read_done();
    assert_eq!((done.result, done.buffer.len()), (Err(Error::StaleHandle), 16));
    rig.start(empty, Fsync { handle: empty });
    let (_, outcome) = rig.done.pop().unwrap();
    assert_eq!(outcome.error(), Some(Error::StaleHandle));
    assert!(rig.done.take_returned().is_none());
}

/// What its user wants on the pool goes there, though it is in the cache.
#[test]
fn what_is_to_go_to_the_pool_does() {
    let scratch = Scratch::new(10_000);
    let mut rig = Rig::new();
    let handle = rig.attach(scratch.open());
    let read = ReadAt { handle, buffer: Buffer::zeroed(64), offset: 0 };
    let token = rig.done.submit(read.into());
    rig.backend.start_on_pool(token, handle.slot(), &mut rig.done);
    let Outcome::ReadAt(done) = rig.take_returned(handle.slot()) else { panic!("it is a read's") };
    assert_eq!(done.result, Ok(64));
    let token = rig.done.submit(Close { handle }.into());
    rig.backend.close_on_pool(token, handle.slot(), &mut rig.done);
    assert_eq!(rig.backend.close(handle.slot()), Err(Error::StaleHandle), "its slot is free");
    let outcome = rig.take_returned(handle.slot());
    assert!(matches!(outcome, Outcome::Close(closed) if closed.result == Ok(())));
    let token = rig.done.submit(Close { handle }.into());
    rig.backend.close_on_pool(token, handle.slot(), &mut rig.done);
    let (_, outcome) = rig.done.pop().unwrap();
    assert_eq!(outcome.error(), Some(Error::StaleHandle));
}
