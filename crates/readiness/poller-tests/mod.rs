//! The backend by itself, without a driver: what the system and it make of each other. The same for each poller, whose crate
//! takes this file into its tests and names it `TestedPoller`.

use std::cell::Cell;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use proactor_core::{
    Backend, Buffer, ChildProcess, Config, Done, Error, Handle, Operation, Outcome, Recv, Token, Until,
};
use proactor_readiness::{Batch, Event, Poller, Readiness, Registration, Signs, Watch};

use crate::TestedPoller;

mod accept;
mod connect;
mod files;
mod hostile;
mod polls;
mod streams;
mod vectored;
mod wait;

/// What the pollers of one thread, which is one test's, were asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Counts {
    added: usize,
    removed: usize,
    waits: usize,
}

thread_local! {
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { added: 0, removed: 0, waits: 0 }) };
}

fn count(change: impl FnOnce(&mut Counts)) {
    let mut counts = COUNTS.get();
    change(&mut counts);
    COUNTS.set(counts);
}

/// The real poller, its calls counted.
#[derive(Debug)]
struct Counting(TestedPoller);

impl Poller for Counting {
    const NAME: &'static str = TestedPoller::NAME;
    const EVENTS_EACH: usize = TestedPoller::EVENTS_EACH;
    const SIGNS: Signs = TestedPoller::SIGNS;
    const FORGETS_WHAT_IS_CLOSED: bool = TestedPoller::FORGETS_WHAT_IS_CLOSED;
    type Waker = <TestedPoller as Poller>::Waker;
    type Child = <TestedPoller as Poller>::Child;
    type Signals = <TestedPoller as Poller>::Signals;

    fn open(config: &Config) -> io::Result<Self> {
        TestedPoller::open(config).map(Self)
    }

    fn waker(&self) -> Self::Waker {
        self.0.waker()
    }

    fn can_watch_children(&self) -> bool {
        self.0.can_watch_children()
    }

    fn add_child(
        &mut self,
        child: &ChildProcess,
        registration: Registration,
    ) -> Result<Option<Self::Child>, Error> {
        count(|counts| counts.added += 1);
        self.0.add_child(child, registration)
    }

    fn remove_child(&mut self, child: Self::Child) {
        count(|counts| counts.removed += 1);
        self.0.remove_child(child);
    }

    fn add(&mut self, descriptor: BorrowedFd<'_>, registration: Registration) -> Result<Watch, Error> {
        count(|counts| counts.added += 1);
        self.0.add(descriptor, registration)
    }

    fn remove(&mut self, descriptor: BorrowedFd<'_>) {
        count(|counts| counts.removed += 1);
        self.0.remove(descriptor);
    }

    fn wait(&mut self, until: Until) -> Result<Batch, Error> {
        count(|counts| counts.waits += 1);
        self.0.wait(until)
    }

    fn event(&self, index: usize) -> Event {
        self.0.event(index)
    }
}

/// A backend with its queue.
struct Rig {
    backend: Readiness<Counting>,
    done: Box<Done>,
}

impl Rig {
    fn new() -> Self {
        Self::with(&Config::default())
    }

    fn with(config: &Config) -> Self {
        Self { backend: Readiness::open(config).unwrap(), done: Done::new() }
    }

    fn attach(&mut self, descriptor: impl Into<OwnedFd>) -> Handle {
        let handle = self.done.new_handle();
        self.backend.attach(handle.slot(), descriptor.into()).map_err(|(error, _)| error).unwrap();
        handle
    }

    /// Closes a handle as core does: the backend first, then the name is free.
    fn close(&mut self, handle: Handle) {
        self.backend.close(handle.slot()).unwrap();
        self.done.discard_handle(handle);
    }

    fn start(&mut self, handle: Handle, operation: impl Into<Operation>) -> Token {
        let token = self.done.submit(operation.into());
        self.backend.start(token, handle.slot(), &mut self.done);
        token
    }

    fn recv(&mut self, handle: Handle) -> Token {
        self.start(handle, Recv { handle, buffer: Buffer::zeroed(16) })
    }

    fn cancel(&mut self, token: Token, handle: Handle) -> bool {
        self.backend.cancel(token, handle.slot(), &mut self.done)
    }

    fn look(&mut self) {
        self.backend.wait(Until::Now, &mut self.done).unwrap();
    }

    /// The next outcome, waited for.
    fn next(&mut self) -> (Token, Outcome) {
        let deadline = self.backend.now() + Duration::from_secs(20);
        while self.done.is_empty() {
            assert!(self.backend.now() < deadline, "nothing has completed");
            self.backend.wait(Until::Deadline(deadline), &mut self.done).unwrap();
        }
        self.done.pop().unwrap()
    }

    /// What the next outcome, a receive, has received.
    fn received(&mut self) -> Result<Vec<u8>, Error> {
        match self.next() {
            (_, Outcome::Recv(received)) => {
                let len = received.result?;
                Ok(received.buffer[..len].to_vec())
            }
            other => panic!("expected a receive, got {other:?}"),
        }
    }

    /// Receives once.
    fn receive(&mut self, handle: Handle) -> Result<Vec<u8>, Error> {
        self.recv(handle);
        self.received()
    }

    /// Two ends of a connection, the near one in the loop.
    fn pair(&mut self) -> (Handle, TcpStream) {
        let (near, far) = tcp_pair();
        (self.attach(near), far)
    }
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// Runs the test `name` in a process of its own, for what would disturb the others. Returns whether this is it.
fn is_child(name: &str) -> bool {
    const MARK: &str = "PROACTOR_POLLER_CHILD";
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let output = child.args(["--exact", name, "--nocapture"]).env(MARK, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    false
}
