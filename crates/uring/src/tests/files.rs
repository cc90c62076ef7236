//! Files and names: that the kernel does them, and what becomes of memory and descriptors.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use io_uring::opcode;
use proactor_core::{
    Allocate, Backend, Buffer, Close, Config, Create, Done, Error, Fdatasync, FilePath, Fsync, Handle, Link,
    MakeDir, OpenAt, OpenOptions, Outcome, ReadAt, RemoveDir, Rename, SendFileAll, Slot, Statx, Symlink,
    Truncate, Unlink, Until, WriteAt,
};
use rustix::fs::{CWD, FileType, Mode};

use super::{CANCEL, POLL, Rig, SETUPS};

/// A directory of a test's own.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("proactor-uring-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> FilePath {
        self.0.join(name).into()
    }

    fn pipe(&self, name: &str) {
        rustix::fs::mknodat(CWD, self.0.join(name), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Rig {
    /// A file of this length, open for both.
    fn file(&mut self, directory: &Directory, len: usize) -> Handle {
        let path = directory.0.join("file");
        fs::write(&path, vec![b'.'; len]).unwrap();
        self.attach(File::options().read(true).write(true).open(path).unwrap())
    }

    fn read_at(&mut self, handle: Handle, len: usize) -> proactor_core::Token {
        self.start(handle, ReadAt { handle, buffer: Buffer::zeroed(len), offset: 0 })
    }
}

/// No handle: what an operation without one is started with.
const NOWHERE: Slot = Slot(u32::MAX);

#[test]
fn each_goes_to_the_ring_once() {
    for setup in SETUPS {
        let directory = Directory::new();
        let path = |name: &str| directory.path(name);
        let mut rig = Rig::with(&Config::default(), setup);
        let handle = rig.file(&directory, 100);
        let (none, buffer) = (None, || Buffer::from(vec![1; 10]));
        let options = OpenOptions::write().create(Create::New);
        let with_handle: [(u8, proactor_core::Operation); 7] = [
            (opcode::Read::CODE, ReadAt { handle, buffer: buffer(), offset: 5 }.into()),
            (opcode::Write::CODE, WriteAt { handle, buffer: buffer(), offset: 5 }.into()),
            (opcode::Fsync::CODE, Fsync { handle }.into()),
            (opcode::Fsync::CODE, Fdatasync { handle }.into()),
            (opcode::Ftruncate::CODE, Truncate { handle, len: 50 }.into()),
            (opcode::Fallocate::CODE, Allocate { handle, offset: 0, len: 80 }.into()),
            (opcode::Statx::CODE, Statx::of(handle).into()),
        ];
        let without: [(u8, proactor_core::Operation); 7] = [
            (opcode::OpenAt::CODE, OpenAt { directory: none, path: path("opened"), options }.into()),
            (opcode::MkDirAt::CODE, MakeDir { directory: none, path: path("made"), mode: 0o700 }.into()),
            (opcode::LinkAt::CODE, Link { directory: none, from: path("file"), to: path("linked") }.into()),
            (
                opcode::RenameAt::CODE,
                Rename { directory: none, from: path("linked"), to: path("moved") }.into(),
            ),
            (
                opcode::SymlinkAt::CODE,
                Symlink { directory: none, target: path("x"), path: path("symlinked") }.into(),
            ),
            (opcode::UnlinkAt::CODE, Unlink { directory: none, path: path("moved") }.into()),
            (opcode::UnlinkAt::CODE, RemoveDir { directory: none, path: path("made") }.into()),
        ];
        let with_handle = with_handle.map(|(code, operation)| (code, handle.slot(), operation));
        let without = without.map(|(code, operation)| (code, NOWHERE, operation));
        for (code, slot, operation) in with_handle.into_iter().chain(without) {
            let (text, before) = (format!("{operation:?}"), rig.pushed(code));
            let token = rig.start_at(slot, operation);
            assert!(rig.done.is_empty(), "{text} is the kernel's");
            let (answered, outcome) = rig.next();
            assert_eq!((answered, outcome.error()), (token, None), "{text}");
            assert_eq!(rig.pushed(code), before + 1, "{text}");
        }
    }
}

#[test]
fn places_and_blocks_are_used_again() {
    let directory = Directory::new();
    let mut rig = Rig::new();
    let handle = rig.file(&directory, 100);
    for _ in 0..100 {
        rig.read_at(handle, 100);
        rig.start(handle, Statx::of(handle));
        rig.wait_for(2);
        while let Some((_, outcome)) = rig.done.pop() {
            assert_eq!(outcome.error(), None);
        }
    }
    let files = &rig.backend.requests.files;
    assert_eq!((files.places(), files.blocks()), (2, 1));
    for _ in 0..50 {
        rig.read_at(handle, 100);
    }
    rig.wait_for(50);
    let files = &rig.backend.requests.files;
    assert_eq!((files.places(), files.blocks()), (50, 1));
}

#[test]
fn a_descriptor_in_use_cannot_be_taken_away() {
    let directory = Directory::new();
    directory.pipe("pipe");
    let mut rig = Rig::new();
    let within = rig.attach(File::open(&directory.0).unwrap());
    let open = OpenAt { directory: Some(within), path: "pipe".into(), options: OpenOptions::read() };
    let token = rig.start(within, open);
    rig.look();
    assert_eq!(rig.backend.close(within.slot()), Err(Error::Busy));
    assert_eq!(rig.backend.detach(within.slot()).map(drop), Err(Error::Busy));
    assert!(rig.cancel(token, within) && rig.cancel(token, within));
    assert_eq!(rig.pushed(CANCEL), 1, "it is asked once");
    let (_, outcome) = rig.next();
    assert_eq!(outcome.error(), Some(Error::Canceled));
    let Outcome::OpenAt(opened) = outcome else { panic!("{outcome:?}") };
    assert_eq!((opened.path, opened.directory), ("pipe".into(), Some(within)));
    assert!(!rig.cancel(token, within));
    rig.close(within);
}

#[test]
fn a_token_started_twice_ends_once() {
    let directory = Directory::new();
    let mut rig = Rig::new();
    let handle = rig.file(&directory, 100);
    let token = rig.start(handle, Fsync { handle });
    rig.backend.start(token, handle.slot(), &mut rig.done);
    let (answered, outcome) = rig.next();
    assert_eq!((answered, outcome.error()), (token, None));
    let deadline = Instant::now() + Duration::from_secs(10);
    while rig.backend.requests.files.uses(handle.slot()) {
        assert!(Instant::now() < deadline);
        rig.look();
    }
    assert!(rig.done.is_empty());
    rig.close(handle);
}

#[test]
fn slots_that_hold_nothing() {
    let mut rig = Rig::new();
    let empty = rig.done.new_handle();
    for slot in [empty.slot(), Slot(u32::MAX)] {
        let token = rig.start_at(slot, ReadAt { handle: empty, buffer: Buffer::zeroed(8), offset: 0 });
        let (answered, outcome) = rig.next();
        assert_eq!((answered, outcome.error()), (token, Some(Error::StaleHandle)));
        let Outcome::ReadAt(done) = outcome else { panic!("{outcome:?}") };
        assert_eq!(done.buffer.len(), 8);
    }
}

/// What the kernel does goes on in its own memory, whatever the caller has done with its queue meanwhile.
#[test]
fn another_queue_than_it_was_started_with() {
    let directory = Directory::new();
    let mut rig = Rig::new();
    let handle = rig.file(&directory, 4096);
    let first = rig.read_at(handle, 4096);
    let mut other = Done::new();
    let second = other.submit(Fsync { handle }.into());
    assert_eq!(first, second, "the same token, of another operation");
    let deadline = Instant::now() + Duration::from_secs(10);
    while rig.backend.requests.files.uses(handle.slot()) {
        assert!(Instant::now() < deadline);
        rig.backend.wait(Until::Now, &mut other).unwrap();
    }
    assert!(other.is_empty() && rig.done.is_empty());
    rig.close(handle);
}

/// What stops by itself so that others have their turn is not taken up again by the same look, though it could go on.
#[test]
fn a_look_leaves_others_their_turn() {
    const LEN: usize = 64 << 20;
    let (mut rig, directory) = (Rig::new(), Directory::new());
    let (near, mut far) = super::tcp_pair();
    // As much room as the system gives, and somebody who makes more.
    rustix::net::sockopt::set_socket_send_buffer_size(&near, 4 << 20).unwrap();
    rustix::net::sockopt::set_socket_recv_buffer_size(&far, 4 << 20).unwrap();
    let reader = std::thread::spawn(move || std::io::copy(&mut far, &mut std::io::sink()).unwrap());
    let (socket, file) = (rig.attach(near), rig.file(&directory, LEN));
    rig.start(socket, SendFileAll { handle: socket, file, offset: 0, len: LEN as u64 });
    let deadline = Instant::now() + Duration::from_secs(20);
    while rig.done.is_empty() {
        assert!(Instant::now() < deadline);
        let before = rig.pushed(POLL);
        rig.look();
        assert!(rig.pushed(POLL) <= before + 1, "one part in each look, and one wait for the next");
        std::thread::yield_now();
    }
    let (_, Outcome::SendFileAll(sent)) = rig.next() else { panic!("it is the only one") };
    assert_eq!((sent.result, sent.transferred), (Ok(()), LEN as u64));
    rig.close(socket);
    assert_eq!(reader.join().unwrap(), LEN as u64);
}

#[test]
fn everything_in_flight_is_ended_and_freed() {
    let directory = Directory::new();
    directory.pipe("pipe");
    for submitted in [false, true] {
        let shared: Arc<[u8]> = Arc::from(vec![0; 1 << 20]);
        let mut rig = Rig::new();
        rig.file(&directory, 1);
        // In memory: a thread of the kernel's that writes for the disk may be held up longer than a drop waits.
        let handle = rig.nameless(1 << 20);
        for offset in 0..20 {
            rig.read_at(handle, 1 << 20);
            rig.start(handle, WriteAt { handle, buffer: Arc::clone(&shared).into(), offset });
            rig.start(handle, Statx::of(handle));
            let options = OpenOptions::read();
            rig.start_at(NOWHERE, OpenAt { directory: None, path: directory.path("file"), options });
        }
        rig.start_at(
            NOWHERE,
            OpenAt { directory: None, path: directory.path("pipe"), options: OpenOptions::read() },
        );
        if submitted {
            rig.look();
        }
        let before = Instant::now();
        drop(rig);
        assert!(before.elapsed() < Duration::from_secs(5));
        assert_eq!(Arc::strong_count(&shared), 1);
    }
    // Nobody waits for a writer any more: the pipe has no reader, which is what opening it to write says.
    let write = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NONBLOCK;
    let opened = rustix::fs::open(directory.0.join("pipe"), write, Mode::empty());
    assert_eq!(opened.map(drop), Err(rustix::io::Errno::NXIO));
}

/// What a kernel does not know, the pool does, operation by operation; the rest goes to the ring.
#[test]
fn what_a_kernel_lacks_is_done_on_the_pool() {
    let directory = Directory::new();
    let mut rig = Rig::new();
    assert!(rig.backend.capabilities().files);
    let handle = rig.file(&directory, 100);
    let lacked = [opcode::Ftruncate::CODE, opcode::OpenAt::CODE];
    for code in lacked {
        rig.backend.requests.files.known &= !(1 << code);
    }
    rig.start(handle, Truncate { handle, len: 50 });
    let options = OpenOptions::read();
    let opened = rig.start_at(NOWHERE, OpenAt { directory: None, path: directory.path("file"), options });
    let synced = rig.start(handle, Fsync { handle });
    assert_eq!(lacked.map(|code| rig.pushed(code)), [0, 0]);
    assert_eq!(rig.pushed(opcode::Fsync::CODE), 1);
    let (answered, outcome) = rig.next();
    assert_eq!((answered, outcome.error()), (synced, None), "the jobs are not back yet");
    while let Some((token, job)) = rig.done.take_returned() {
        rig.backend.returned(token, NOWHERE, job, &mut rig.done);
    }
    assert_eq!(fs::metadata(directory.0.join("file")).unwrap().len(), 50);
    let (_, truncated) = rig.next();
    assert!(matches!(truncated, Outcome::Truncate(done) if (done.result, done.len) == (Ok(()), 50)));
    let (answered, outcome) = rig.next();
    assert_eq!(answered, opened);
    let Outcome::OpenAt(done) = outcome else { panic!("{outcome:?}") };
    // What the pool has opened is the loop's, and the ring's to read; shared or not, it can be closed.
    let inside = done.result.unwrap();
    rig.read_at(inside, 100);
    let (_, outcome) = rig.next();
    assert!(matches!(outcome, Outcome::ReadAt(done) if done.result == Ok(50)));
    rig.close(inside);
    rig.close(handle);
}

/// What its user wants on the pool goes there, and the ring is not asked.
#[test]
fn what_is_to_go_to_the_pool_does() {
    let directory = Directory::new();
    let mut rig = Rig::new();
    let handle = rig.file(&directory, 100);
    let none = None;
    let path = |name: &str| directory.path(name);
    let operations: [proactor_core::Operation; 5] = [
        ReadAt { handle, buffer: Buffer::zeroed(64), offset: 0 }.into(),
        WriteAt { handle, buffer: Buffer::zeroed(64), offset: 0 }.into(),
        Fsync { handle }.into(),
        Statx::of(handle).into(),
        Rename { directory: none, from: path("file"), to: path("moved") }.into(),
    ];
    let before = rig.backend.requests.ring.pushed.clone();
    for operation in operations {
        let text = format!("{operation:?}");
        let token = rig.done.submit(operation);
        rig.backend.start_on_pool(token, handle.slot(), &mut rig.done);
        assert!(rig.done.is_empty(), "{text} is the pool's");
        let (returned, job) = rig.done.take_returned().unwrap();
        rig.backend.returned(returned, handle.slot(), job, &mut rig.done);
        let (answered, outcome) = rig.next();
        assert_eq!((answered, outcome.error()), (token, None), "{text}");
    }
    // What is refused, or is nothing, needs no thread.
    let nothing = ReadAt { handle, buffer: Buffer::zeroed(0), offset: 0 };
    let token = rig.done.submit(nothing.into());
    rig.backend.start_on_pool(token, handle.slot(), &mut rig.done);
    assert!(matches!(rig.next(), (_, Outcome::ReadAt(done)) if done.result == Ok(0)));
    let token = rig.done.submit(Close { handle }.into());
    rig.backend.close_on_pool(token, handle.slot(), &mut rig.done);
    assert_eq!(rig.backend.close(handle.slot()), Err(Error::StaleHandle), "its slot is free");
    let (returned, job) = rig.done.take_returned().unwrap();
    rig.backend.returned(returned, handle.slot(), job, &mut rig.done);
    assert!(matches!(rig.next(), (_, Outcome::Close(closed)) if closed.result == Ok(())));
    assert_eq!(rig.backend.requests.ring.pushed, before, "the ring was not asked");
}
