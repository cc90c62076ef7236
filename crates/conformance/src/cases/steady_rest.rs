//! At steady state nothing allocates (contract B1), where an operation is too slow to be done a hundred thousand times: all
//! others on files and names, and connections that come and go.

use proactor_core::{
    Accept, Address, Allocate, Backend, Buffer, Close, Config, Connect, Create, Driver, Fdatasync, FilePath,
    Fsync, Handle, Link, MakeDir, OpenAt, OpenOptions, Outcome, Pool, PoolConfig, ReadAt, Recv, RemoveDir,
    Rename, SendAll, Shutdown, ShutdownHow, Statx, Symlink, Truncate, Unlink, WriteAt,
};

use super::steady::LONG;
use crate::Fixture;
use crate::allocator;
use crate::scratch::Scratch;
use crate::turns::Turns;

const FEW: u32 = 50;
const MANY: u32 = 100;
const ATTEMPTS: usize = 5;

/// Submits an operation, waits for its outcome, and takes it apart.
macro_rules! end {
    ($driver:ident, $kind:ident { $($field:tt)* }) => {{
        let key = $driver.submit($kind { $($field)* });
        let Outcome::$kind(done) = $driver.outcome_of(key) else { panic!("it ends as what it is") };
        done
    }};
}

/// Compares what few rounds allocate and what many do. How far a table grows at first may depend on how the clock falls; what
/// allocates for an operation makes every pair differ.
pub(super) fn allocates_the_same(mut run: impl FnMut(u32)) {
    let mut allocations = |rounds| {
        let before = allocator::allocations();
        run(rounds);
        allocator::allocations() - before
    };
    allocations(FEW);
    let mut pairs = Vec::with_capacity(ATTEMPTS);
    let same = (0..ATTEMPTS).any(|_| {
        let (few, many) = (allocations(FEW), allocations(MANY));
        pairs.push((few, many));
        few == many
    });
    assert!(same, "{FEW} and {MANY} rounds: {pairs:?}");
}

/// What goes round in the operations on a file.
struct Round {
    paths: [FilePath; 4],
    buffer: Buffer,
    about: Option<Statx>,
}

impl Round {
    fn path(&mut self, which: usize) -> FilePath {
        std::mem::take(&mut self.paths[which])
    }

    /// Works on a file that is open. (The first of it that goes to a thread has the descriptor shared, once for the file.)
    fn work<B: Backend>(&mut self, driver: &mut Driver<B>, handle: Handle) {
        let buffer = std::mem::take(&mut self.buffer);
        let written = end!(driver, WriteAt { handle, buffer, offset: 4 });
        assert_eq!(written.result, Ok(64));
        let read = end!(driver, ReadAt { handle, buffer: written.buffer, offset: 4 });
        assert_eq!(read.result, Ok(64));
        self.buffer = read.buffer;
        assert_eq!(end!(driver, Fsync { handle }).result, Ok(()));
        assert_eq!(end!(driver, Fdatasync { handle }).result, Ok(()));
        assert_eq!(end!(driver, Truncate { handle, len: 10 }).result, Ok(()));
        assert_eq!(end!(driver, Allocate { handle, offset: 0, len: 4096 }).result, Ok(()));
        let Some(Statx { path, links, metadata, .. }) = self.about.take() else { panic!("it goes round") };
        let told = end!(driver, Statx { handle: Some(handle), path, links, metadata });
        assert_eq!((told.result, told.metadata.len), (Ok(()), 4096));
        let (path, links, metadata) = (told.path, told.links, told.metadata);
        self.about = Some(Statx { handle: None, path, links, metadata });
    }

    /// Makes a file, gives it other names, and takes them all away again.
    fn name<B: Backend>(&mut self, driver: &mut Driver<B>) {
        let directory = None;
        let options = OpenOptions::read_write().create(Create::New);
        let opened = end!(driver, OpenAt { directory, path: self.path(0), options });
        self.paths[0] = opened.path;
        let handle = opened.result.unwrap();
        assert_eq!(end!(driver, Close { handle }).result, Ok(()));
        let done = end!(driver, Rename { directory, from: self.path(0), to: self.path(1) });
        assert_eq!(done.result, Ok(()));
        let done = end!(driver, Link { directory, from: done.to, to: done.from });
        assert_eq!(done.result, Ok(()));
        (self.paths[1], self.paths[0]) = (done.from, done.to);
        let done = end!(driver, Symlink { directory, target: self.path(0), path: self.path(2) });
        // Hosts of WASI let nothing lead out of the directories that they have opened.
        let was_linked = done.result.is_ok();
        assert!(was_linked || cfg!(not(unix)), "{done:?}");
        (self.paths[0], self.paths[2]) = (done.target, done.path);
        let done = end!(driver, MakeDir { directory, path: self.path(3), mode: 0o700 });
        assert_eq!(done.result, Ok(()));
        let done = end!(driver, RemoveDir { directory, path: done.path });
        assert_eq!(done.result, Ok(()));
        self.paths[3] = done.path;
        for which in 0..3 {
            let done = end!(driver, Unlink { directory, path: self.path(which) });
            assert!(done.result.is_ok() || which == 2 && !was_linked, "{done:?}");
            self.paths[which] = done.path;
        }
    }
}

/// Paths, buffers and what is told of a file come back and are used again: nothing is allocated for any operation on files.
pub(crate) fn operations_on_files_do_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let pool = Pool::new(PoolConfig::default().threads(1).idle(LONG)).unwrap();
    let mut driver = Driver::<B>::open(Config::default().pool(pool)).unwrap();
    let paths = ["first", "second", "third", "directory"].map(|name| scratch.path(name));
    let mut round = Round { paths, buffer: Buffer::zeroed(64), about: Some(Statx::path("")) };
    let options = OpenOptions::read_write().create(Create::New);
    let path = scratch.path("file");
    let handle = end!(driver, OpenAt { directory: None, path, options }).result.unwrap();
    allocates_the_same(|rounds| {
        for _ in 0..rounds {
            round.work(&mut driver, handle);
            round.name(&mut driver);
        }
    });
}

/// A connection that is made, carries a few bytes, is half-closed and closed; the address and the buffer go round, and where
/// it was accepted from is told.
pub(super) fn connection<B: Backend>(
    driver: &mut Driver<B>,
    (listener, handle): (Handle, Handle),
    to: Address,
    buffer: Buffer,
) -> (Address, Buffer, Address) {
    let connected = end!(driver, Connect { handle, address: to });
    assert_eq!(connected.result, Ok(()));
    let (server, from) = end!(driver, Accept { listener }).result.unwrap();
    let sent = end!(driver, SendAll { handle, buffer });
    assert_eq!(sent.result, Ok(()));
    let received = end!(driver, Recv { handle: server, buffer: sent.buffer });
    assert_eq!(received.result, Ok(64));
    assert_eq!(end!(driver, Shutdown { handle, how: ShutdownHow::Write }).result, Ok(()));
    let received = end!(driver, Recv { handle: server, buffer: received.buffer });
    assert_eq!(received.result, Ok(0));
    for handle in [server, handle] {
        assert_eq!(end!(driver, Close { handle }).result, Ok(()));
    }
    (connected.address, received.buffer, from)
}

pub(crate) fn connections_that_come_and_go_do_not_allocate<B: Backend>(_fixture: &Fixture<B>) {
    let mut driver = Driver::<B>::open(Config::default()).unwrap();
    let (listener, address) = driver.listener();
    let mut goes_round = Some((address, Buffer::zeroed(64)));
    allocates_the_same(|connections| {
        for _ in 0..connections {
            let (address, buffer) = goes_round.take().expect("it comes back");
            let client = driver.socket(address.family()).unwrap();
            let (address, buffer, _) = connection(&mut driver, (listener, client), address, buffer);
            goes_round = Some((address, buffer));
        }
    });
}
