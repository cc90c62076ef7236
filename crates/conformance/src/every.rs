//! One operation of each kind at once, for what has to hold of all of them: a kind without one here is found out.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use proactor_core::{
    Accept, AcceptMany, Address, Allocate, Backend, Buffer, Capabilities, ChildProcess, Close, Config,
    Connect, Create, Detach, DirEntries, Driver, Envelope, Error, Fdatasync, Fsync, Handle, Interest, Key,
    Kind, Link, MakeDir, NotifierWait, OpenAt, OpenOptions, Operation, Outcome, Peer, Poll, PollMany, Read,
    ReadAt, ReadDir, ReadExact, ReadVectored, ReadVectoredAt, ReadVectoredExact, ReadVectoredExactAt, Recv,
    RecvFrom, RecvMany, RecvMsg, RemoveDir, Rename, Resolve, Send, SendAll, SendFile, SendFileAll, SendMsg,
    SendTo, Shutdown, ShutdownHow, Signal, Signals, Splice, Statx, Submission, Symlink, Time, Timer,
    Truncate, Unlink, Until, WaitChild, Work, Write, WriteAll, WriteAt, WriteVectored, WriteVectoredAll,
    WriteVectoredAllAt, WriteVectoredAt,
};

use crate::Fixture;
use crate::scratch::Scratch;
use crate::steps::{IPV4, address};
use crate::turns::{Turns, pair};

/// More than both ends of a connection buffer.
static MORE_THAN_FITS: [u8; 32 << 20] = [0; 32 << 20];

/// How long the last of them may take to end, in waits of [`PATIENCE`].
const RUNNING_OUT: u32 = 150;
const PATIENCE: Duration = Duration::from_millis(100);

/// How one is to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    /// As it is.
    Plain,
    /// With a deadline that has passed.
    TooLate,
    /// Not at all: only what it would hand back, with this error.
    Told(Error),
}

/// What a handle can be of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    Stream,
    /// A socket that is neither connected nor listening.
    Fresh,
    Listener,
    Datagrams,
    File,
    Directory,
}

impl What {
    pub(crate) const ALL: [Self; 6] =
        [Self::Stream, Self::Fresh, Self::Listener, Self::Datagrams, Self::File, Self::Directory];
}

/// What has become of it.
#[derive(Debug)]
enum Made {
    Submitted(Key),
    Told(String),
}

/// What an operation works on, ready before it is submitted.
#[derive(Debug)]
struct Ground {
    handle: Handle,
    /// A second one.
    file: Handle,
    address: Address,
}

/// One of each kind, on a driver of their own.
pub(crate) struct Every<B: Backend> {
    pub(crate) driver: Driver<B>,
    capabilities: Capabilities,
    scratch: Scratch,
    grounds: HashMap<Kind, Ground>,
    /// One that lives until it is killed.
    child: Option<Child>,
    /// The other ends of pipes.
    readers: Vec<OwnedFd>,
    kinds: HashMap<Key, Kind>,
    /// What fills the sockets of those that are to wait behind it.
    blockers: Vec<Key>,
    /// What was popped, by kind: as text, which tells everything that was handed back, and what it ended with.
    ended: HashMap<Kind, String>,
}

impl<B: Backend> Drop for Every<B> {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it was not waited for");
            child.wait().expect("it is ours");
        }
    }
}

/// Whether it waits, however long, until it is asked to end; the others may be done at once.
pub(crate) fn waits(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Timer
            | Kind::NotifierWait
            | Kind::Accept
            | Kind::AcceptMany
            | Kind::RecvFrom
            | Kind::Poll
            | Kind::PollMany
            | Kind::WaitChild
            | Kind::Signals
    ) || reads_a_stream(kind)
        || writes_a_stream(kind)
}

fn reads_a_stream(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Recv
            | Kind::RecvMany
            | Kind::RecvMsg
            | Kind::Read
            | Kind::ReadExact
            | Kind::ReadVectored
            | Kind::ReadVectoredExact
            | Kind::Splice
    )
}

fn writes_a_stream(kind: Kind) -> bool {
    sends_more_than_fits(kind) || waits_behind_others(kind)
}

fn sends_more_than_fits(kind: Kind) -> bool {
    matches!(kind, Kind::SendAll | Kind::WriteAll | Kind::WriteVectoredAll)
}

/// What is done at once, unless there is something in front of it that is not.
fn waits_behind_others(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Send
            | Kind::SendMsg
            | Kind::Shutdown
            | Kind::SendFile
            | Kind::SendFileAll
            | Kind::Write
            | Kind::WriteVectored
    )
}

fn is_of_a_file(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::ReadAt
            | Kind::WriteAt
            | Kind::Fsync
            | Kind::Fdatasync
            | Kind::Truncate
            | Kind::Allocate
            | Kind::Statx
            | Kind::ReadVectoredAt
            | Kind::ReadVectoredExactAt
            | Kind::WriteVectoredAt
            | Kind::WriteVectoredAllAt
    )
}

/// Submits it, or tells of it.
macro_rules! made {
    ($every:ident, $how:ident, $operation:expr) => {{
        let operation = $operation;
        match $how {
            How::Plain => $every.submit(operation),
            How::TooLate => $every.submit(operation.with_deadline(Time::ZERO)),
            How::Told(error) => {
                let operation: Operation = operation.into();
                Made::Told(format!("{:?}", operation.fail(error)))
            }
        }
    }};
}

impl<B: Backend> Every<B> {
    /// Prepares a driver, opened with `config`, for one of each kind; nothing is under way.
    pub(crate) fn new(fixture: &Fixture<B>, config: Config) -> Self {
        let capabilities = *fixture.capabilities();
        let child = capabilities.child_processes.then(|| {
            Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("a child")
        });
        let mut every = Self {
            driver: Driver::open(config).expect("the backend opens"),
            capabilities,
            scratch: Scratch::new(fixture),
            grounds: HashMap::new(),
            child,
            readers: Vec::new(),
            kinds: HashMap::new(),
            blockers: Vec::new(),
            ended: HashMap::new(),
        };
        for name in ["file", "before", "gone"] {
            let file = every.open(name);
            every.driver.close(file);
        }
        let removed = MakeDir { directory: None, path: every.scratch.path("removed"), mode: 0o755 };
        let key = every.driver.submit(removed);
        assert!(matches!(every.driver.outcome_of(key), Outcome::MakeDir(made) if made.result == Ok(())));
        for &kind in Kind::ALL {
            let ground = every.ground(kind);
            every.grounds.insert(kind, ground);
        }
        every
    }

    /// Whether the backend can do such a thing here.
    pub(crate) fn can(&self, kind: Kind) -> bool {
        match kind {
            Kind::Poll | Kind::PollMany => self.capabilities.polling,
            Kind::WaitChild => self.capabilities.child_processes,
            Kind::Signals => self.capabilities.signals,
            Kind::Detach => self.capabilities.descriptors,
            Kind::Splice => self.capabilities.splicing,
            _ => true,
        }
    }

    fn open(&mut self, name: &str) -> Handle {
        let options = OpenOptions::read_write().create(Create::IfMissing);
        let options = if name == "." { OpenOptions::read().directory() } else { options };
        let path = if name == "." { self.scratch.directory() } else { self.scratch.path(name) };
        let key = self.driver.submit(OpenAt { directory: None, path, options });
        let Outcome::OpenAt(opened) = self.driver.outcome_of(key) else { panic!("an open ends as one") };
        opened.result.expect("it is there, or made")
    }

    /// Handles that nobody else uses, of what the kind is for.
    fn ground(&mut self, kind: Kind) -> Ground {
        let what = match kind {
            Kind::Accept | Kind::AcceptMany => What::Listener,
            Kind::Connect => What::Fresh,
            Kind::RecvFrom | Kind::SendTo => What::Datagrams,
            Kind::ReadDir => What::Directory,
            kind if is_of_a_file(kind) => What::File,
            _ => What::Stream,
        };
        self.ground_of(kind, what)
    }

    fn ground_of(&mut self, kind: Kind, what: What) -> Ground {
        let (listener, address_of_it) = self.driver.listener();
        let mut ground = Ground { handle: listener, file: listener, address: address_of_it };
        match what {
            What::Stream => ground.handle = pair(&mut self.driver).0,
            What::Fresh => ground.handle = self.driver.socket(ground.address.family()).expect("a socket"),
            What::Listener => {}
            What::Datagrams => {
                ground.handle = self.driver.datagram_socket(ground.address.family()).expect("a socket");
                self.driver.bind(ground.handle, address(IPV4)).expect("a free port");
                ground.address = self.driver.local_address(ground.handle).expect("it is bound");
            }
            What::File => ground.handle = self.open("file"),
            What::Directory => ground.handle = self.open("."),
        }
        if matches!(kind, Kind::SendFile | Kind::SendFileAll) {
            ground.file = self.open("file");
        }
        if kind == Kind::Splice && self.capabilities.splicing {
            ground.file = self.pipe();
        }
        ground
    }

    /// The end of a pipe to write to, of which nobody reads the other.
    #[cfg(unix)]
    fn pipe(&mut self) -> Handle {
        let (reader, writer) = rustix::pipe::pipe().expect("a pipe");
        self.readers.push(reader);
        self.driver.attach(writer).expect("what can be moved to can be attached")
    }

    #[cfg(not(unix))]
    fn pipe(&mut self) -> Handle {
        panic!("{:?} has no pipes", self.readers)
    }

    /// Has each work on something of this kind, whatever it is for.
    pub(crate) fn set_on(&mut self, what: What) {
        for &kind in Kind::ALL {
            self.handles(kind).into_iter().for_each(|handle| self.driver.close(handle));
            let ground = self.ground_of(kind, what);
            self.grounds.insert(kind, ground);
        }
    }

    /// Some turns, of which nothing is taken; what is done at once is done then.
    pub(crate) fn turns(&mut self, count: u32) {
        for _ in 0..count {
            self.driver.turn_now();
        }
    }

    /// All that were submitted and have not ended, those in front of them aside.
    pub(crate) fn keys(&self) -> Vec<(Kind, Key)> {
        self.kinds.iter().map(|(&key, &kind)| (kind, key)).collect()
    }

    /// Nobody is to hear of it any more.
    pub(crate) fn forget(&mut self, key: Key) {
        self.kinds.remove(&key);
    }

    /// The handles that one works on.
    pub(crate) fn handles(&self, kind: Kind) -> [Handle; 2] {
        let ground = &self.grounds[&kind];
        [ground.handle, ground.file]
    }

    /// Ends what others were to wait behind.
    pub(crate) fn unblock(&mut self) {
        for key in std::mem::take(&mut self.blockers) {
            self.driver.delete(key).expect("more than fits is never done");
        }
    }

    /// Takes outcomes until nothing is under way, and tells what each has ended with.
    #[track_caller]
    pub(crate) fn run_out(&mut self) -> HashMap<Kind, String> {
        for _ in 0..RUNNING_OUT {
            while self.take() {}
            if self.driver.active() == 0 {
                break;
            }
            let end = self.driver.update_now() + PATIENCE;
            self.driver.turn(Until::Deadline(end)).expect("a turn");
        }
        assert!(self.kinds.is_empty(), "never ended: {:?}", self.keys());
        assert_eq!((self.driver.active(), self.driver.backend_faults()), (0, 0));
        std::mem::take(&mut self.ended)
    }

    /// Takes one outcome, if there is one.
    fn take(&mut self) -> bool {
        let Some((key, outcome)) = self.driver.pop() else { return false };
        if self.blockers.contains(&key) || matches!(outcome, Outcome::PollManyItem(_)) {
            return true;
        }
        let Some(kind) = self.kinds.remove(&key) else { panic!("nobody waits for {outcome:?}") };
        assert!(outcome.kind() == kind && !outcome.is_more(), "{outcome:?} of {kind:?}");
        if let Some(handle) = outcome.new_handle() {
            self.driver.close(handle);
        }
        self.ended.insert(kind, format!("{outcome:?}"));
        true
    }

    fn submit<O: Submission>(&mut self, operation: O) -> Made {
        Made::Submitted(self.driver.submit(operation))
    }

    /// Submits one of each kind; those that would not wait by themselves, but can, are behind others.
    pub(crate) fn submit_all(&mut self, how: How) {
        for &kind in Kind::ALL {
            if waits_behind_others(kind) && matches!(how, How::Plain) {
                let handle = self.grounds[&kind].handle;
                let blocker = SendAll { handle, buffer: Buffer::from(&MORE_THAN_FITS[..]) };
                self.blockers.push(self.driver.submit(blocker));
            }
            let Made::Submitted(key) = self.make(kind, how) else { panic!("{kind:?} is submitted") };
            assert!(self.kinds.insert(key, kind).is_none(), "a key names one operation");
        }
    }

    /// Submits one of each of these, and nothing in front of them.
    pub(crate) fn submit_only(&mut self, kinds: &[Kind]) {
        for &kind in kinds {
            let Made::Submitted(key) = self.make(kind, How::Plain) else { panic!("{kind:?} is submitted") };
            assert!(self.kinds.insert(key, kind).is_none(), "a key names one operation");
        }
    }

    /// Nothing has happened to any name.
    #[track_caller]
    pub(crate) fn assert_no_name_was_touched(&mut self) {
        let made = ["opened", "renamed", "linked", "symlinked", "made"].map(|name| (name, false));
        for (name, is_there) in made.into_iter().chain([("before", true), ("gone", true), ("removed", true)])
        {
            let key = self.driver.submit(Statx::path(self.scratch.path(name)));
            let Outcome::Statx(told) = self.driver.outcome_of(key) else { panic!("a look ends as one") };
            assert_eq!(told.result.is_ok(), is_there, "{name}: {:?}", told.result);
        }
    }

    /// What an operation of a kind hands back with an error, untouched.
    pub(crate) fn handed_back(&mut self, kind: Kind, error: Error) -> String {
        let Made::Told(told) = self.make(kind, How::Told(error)) else { panic!("{kind:?} was submitted") };
        told
    }

    fn make(&mut self, kind: Kind, how: How) -> Made {
        let every = self;
        let made = every.make_on_a_stream(kind, how).or_else(|| every.make_on_a_file(kind, how));
        let made = made.or_else(|| every.make_of_names(kind, how));
        made.or_else(|| every.make_other(kind, how)).unwrap_or_else(|| panic!("{kind:?} has none here"))
    }

    fn make_on_a_stream(&mut self, kind: Kind, how: How) -> Option<Made> {
        let every = self;
        let Ground { handle, file, ref address } = every.grounds[&kind];
        let (listener, address) = (handle, address.clone());
        let buffer = || Buffer::zeroed(64);
        let buffers = || vec![buffer(), buffer()];
        let bytes = || Buffer::from(&b"bytes"[..]);
        let much = || Buffer::from(&MORE_THAN_FITS[..]);
        let (offset, len) = (0, 16);
        Some(match kind {
            Kind::Accept => made!(every, how, Accept { listener }),
            Kind::AcceptMany => made!(every, how, AcceptMany { listener }),
            Kind::Connect => made!(every, how, Connect { handle, address }),
            Kind::Recv => made!(every, how, Recv { handle, buffer: buffer() }),
            Kind::RecvMany => {
                let pool = every.driver.buffer_pool(2, 64).expect("a small pool");
                made!(every, how, RecvMany { handle, pool })
            }
            Kind::Send => made!(every, how, Send { handle, buffer: bytes() }),
            Kind::SendAll => made!(every, how, SendAll { handle, buffer: much() }),
            Kind::Shutdown => made!(every, how, Shutdown { handle, how: ShutdownHow::Write }),
            Kind::SendFile => made!(every, how, SendFile { handle, file, offset, len }),
            Kind::SendFileAll => made!(every, how, SendFileAll { handle, file, offset, len }),
            Kind::Splice => made!(every, how, Splice { from: handle, to: file, len }),
            Kind::RecvFrom => made!(every, how, RecvFrom { handle, buffer: buffer(), peer: Peer::default() }),
            Kind::SendTo => made!(every, how, SendTo { handle, buffer: bytes(), peer: address.into() }),
            Kind::RecvMsg => {
                made!(every, how, RecvMsg { handle, buffer: buffer(), envelope: Envelope::default() })
            }
            Kind::SendMsg => {
                made!(every, how, SendMsg { handle, buffer: bytes(), envelope: Envelope::default() })
            }
            Kind::Read => made!(every, how, Read { handle, buffer: buffer() }),
            Kind::ReadExact => made!(every, how, ReadExact { handle, buffer: buffer() }),
            Kind::Write => made!(every, how, Write { handle, buffer: bytes() }),
            Kind::WriteAll => made!(every, how, WriteAll { handle, buffer: much() }),
            Kind::ReadVectored => made!(every, how, ReadVectored { handle, buffers: buffers() }),
            Kind::ReadVectoredExact => made!(every, how, ReadVectoredExact { handle, buffers: buffers() }),
            Kind::WriteVectored => made!(every, how, WriteVectored { handle, buffers: vec![bytes()] }),
            Kind::WriteVectoredAll => {
                made!(every, how, WriteVectoredAll { handle, buffers: vec![bytes(), much()] })
            }
            Kind::Poll => made!(every, how, Poll { handle, interest: Interest::READABLE }),
            Kind::PollMany => made!(every, how, PollMany { handle, interest: Interest::READABLE }),
            _ => return None,
        })
    }

    fn make_on_a_file(&mut self, kind: Kind, how: How) -> Option<Made> {
        let every = self;
        let handle = every.grounds[&kind].handle;
        let buffer = || Buffer::zeroed(64);
        let buffers = || vec![buffer(), buffer()];
        let bytes = || Buffer::from(&b"bytes"[..]);
        let (offset, len) = (0, 5);
        Some(match kind {
            Kind::ReadAt => made!(every, how, ReadAt { handle, buffer: buffer(), offset }),
            Kind::WriteAt => made!(every, how, WriteAt { handle, buffer: bytes(), offset }),
            Kind::Fsync => made!(every, how, Fsync { handle }),
            Kind::Fdatasync => made!(every, how, Fdatasync { handle }),
            Kind::Truncate => made!(every, how, Truncate { handle, len }),
            Kind::Allocate => made!(every, how, Allocate { handle, offset, len }),
            Kind::Statx => made!(every, how, Statx::of(handle)),
            Kind::ReadDir => {
                made!(every, how, ReadDir { handle, entries: DirEntries::with_room(0), rewind: false })
            }
            Kind::ReadVectoredAt => made!(every, how, ReadVectoredAt { handle, buffers: buffers(), offset }),
            Kind::ReadVectoredExactAt => {
                made!(every, how, ReadVectoredExactAt { handle, buffers: buffers(), offset })
            }
            Kind::WriteVectoredAt => {
                made!(every, how, WriteVectoredAt { handle, buffers: vec![bytes()], offset })
            }
            Kind::WriteVectoredAllAt => {
                made!(every, how, WriteVectoredAllAt { handle, buffers: vec![bytes()], offset })
            }
            _ => return None,
        })
    }

    fn make_of_names(&mut self, kind: Kind, how: How) -> Option<Made> {
        let every = self;
        let path = |every: &Self, name: &str| every.scratch.path(name);
        let directory = None;
        Some(match kind {
            Kind::OpenAt => {
                let options = OpenOptions::write().create(Create::IfMissing);
                made!(every, how, OpenAt { directory, path: path(every, "opened"), options })
            }
            Kind::Rename => {
                let (from, to) = (path(every, "before"), path(every, "renamed"));
                made!(every, how, Rename { directory, from, to })
            }
            Kind::Link => {
                let (from, to) = (path(every, "file"), path(every, "linked"));
                made!(every, how, Link { directory, from, to })
            }
            Kind::Symlink => {
                let path = path(every, "symlinked");
                made!(every, how, Symlink { directory, target: "file".into(), path })
            }
            Kind::Unlink => made!(every, how, Unlink { directory, path: path(every, "gone") }),
            Kind::MakeDir => {
                made!(every, how, MakeDir { directory, path: path(every, "made"), mode: 0o755 })
            }
            Kind::RemoveDir => made!(every, how, RemoveDir { directory, path: path(every, "removed") }),
            _ => return None,
        })
    }

    fn make_other(&mut self, kind: Kind, how: How) -> Option<Made> {
        let every = self;
        Some(match kind {
            Kind::Nop => made!(every, how, proactor_core::Nop),
            Kind::Timer => made!(every, how, Timer::at(Time::NEVER)),
            Kind::NotifierWait => {
                let notifier = every.driver.notifier();
                made!(every, how, NotifierWait { notifier })
            }
            Kind::Close => made!(every, how, Close { handle: every.grounds[&kind].handle }),
            Kind::Detach => made!(every, how, Detach { handle: every.grounds[&kind].handle }),
            Kind::Work => made!(every, how, Work::new(|| 5)),
            Kind::Resolve => made!(every, how, Resolve { host: "127.0.0.1".to_owned(), port: 7 }),
            Kind::WaitChild => {
                let child = ChildProcess::Id(every.child.as_ref().map_or(77, Child::id));
                made!(every, how, WaitChild { child })
            }
            Kind::Signals => made!(every, how, Signals { set: Signal::WINCH.into() }),
            _ => return None,
        })
    }
}
