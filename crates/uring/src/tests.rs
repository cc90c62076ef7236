//! The backend by itself, without a driver: what the kernel and it make of each other.

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::Duration;

use io_uring::opcode;
use proactor_core::{
    AcceptMany, Backend, Buffer, Config, Done, Error, Handle, Operation, Outcome, Recv, SendAll, SentAll,
    Slot, Token, Until,
};

use crate::Uring;
use crate::open::Setup;
use crate::requests::{Answer, Place};

mod accept;
mod bytes;
mod cancel;
mod connect;
mod datagram;
mod ending;
mod files;
mod forbidden;
mod hostile;
mod message;
mod polls;
mod queues;
mod recv_many;
mod shown;
mod transfer;
mod vectored;
mod wait;

/// The set-ups of older kernels that differ in what this backend does.
const SETUPS: [Setup; 3] = [Setup::NoIndexArray, Setup::SingleIssuer, Setup::Plain];

/// A backend with its queue.
struct Rig {
    backend: Uring,
    done: Box<Done>,
}

impl Rig {
    fn new() -> Self {
        Self::with(&Config::default(), Setup::NoIndexArray)
    }

    fn with(config: &Config, newest: Setup) -> Self {
        let backend = Uring::open_with(config, newest, u64::MAX).unwrap();
        Self { backend, done: Done::new() }
    }

    /// As on a kernel that does not know the operation of this code.
    fn without(operation: u8) -> Self {
        let backend = Uring::open_with(&Config::default(), Setup::NoIndexArray, !(1 << operation)).unwrap();
        Self { backend, done: Done::new() }
    }

    /// With this many entries in the submission queue, and four times as many in the completion queue.
    fn with_entries(entries: u32) -> Self {
        Self::with(&Config::default().entries(entries), Setup::NoIndexArray)
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
        self.start_at(handle.slot(), operation)
    }

    fn start_at(&mut self, slot: Slot, operation: impl Into<Operation>) -> Token {
        let token = self.done.submit(operation.into());
        self.backend.start(token, slot, &mut self.done);
        token
    }

    fn recv(&mut self, handle: Handle) -> Token {
        self.start(handle, Recv { handle, buffer: Buffer::zeroed(16) })
    }

    fn send_all(&mut self, handle: Handle, buffer: impl Into<Buffer>) -> Token {
        self.start(handle, SendAll { handle, buffer: buffer.into() })
    }

    fn accept_many(&mut self, listener: Handle) -> Token {
        self.start(listener, AcceptMany { listener })
    }

    fn cancel(&mut self, token: Token, handle: Handle) -> bool {
        self.backend.cancel(token, handle.slot(), &mut self.done)
    }

    /// Submits what is queued and takes what is complete, without waiting.
    fn look(&mut self) {
        self.backend.wait(Until::Now, &mut self.done).unwrap();
    }

    /// Waits until this many outcomes are there.
    fn wait_for(&mut self, outcomes: usize) {
        let deadline = self.backend.now() + Duration::from_secs(20);
        while self.done.len() < outcomes {
            assert!(self.backend.now() < deadline, "only {} of {outcomes} have completed", self.done.len());
            self.backend.wait(Until::Deadline(deadline), &mut self.done).unwrap();
        }
    }

    /// The next outcome, waited for.
    fn next(&mut self) -> (Token, Outcome) {
        self.wait_for(1);
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

    /// The next outcome, a send of everything.
    fn sent_all(&mut self) -> SentAll {
        match self.next() {
            (_, Outcome::SendAll(sent)) => sent,
            other => panic!("expected a send, got {other:?}"),
        }
    }

    /// Two ends of a connection, the near one in the loop.
    fn pair(&mut self) -> (Handle, TcpStream) {
        let (near, far) = tcp_pair();
        (self.attach(near), far)
    }

    /// Takes back what the kernel does at a place, without anyone hearing of it, so that a test can say how it went.
    fn take_back(&mut self, place: Place) {
        self.backend.requests.end_in_kernel(place);
        self.backend.requests.ring.enter(Until::Now).unwrap();
        loop {
            let mut left = 1;
            let unread = self.backend.requests.reap_transfers(&mut left, &mut self.done).unwrap();
            if matches!(self.backend.requests.read(unread), Answer::Request(reply) if reply.place == place) {
                return;
            }
        }
    }

    /// Has transfers not wait in the kernel, so that they would block after all, as they do on some kernels.
    fn never_wait(&mut self) {
        let requests = &mut self.backend.requests;
        for manner in [&mut requests.manner, &mut requests.impatient] {
            manner.recv |= libc::MSG_DONTWAIT;
            manner.send |= libc::MSG_DONTWAIT;
            manner.send_all |= libc::MSG_DONTWAIT;
        }
    }

    /// How many entries with this opcode went to the ring.
    fn pushed(&self, opcode: u8) -> usize {
        self.backend.requests.ring.pushed.get(&u32::from(opcode)).copied().unwrap_or(0)
    }

    fn system_calls(&self) -> usize {
        self.backend.requests.ring.enters.get()
    }
}

const RECV: u8 = opcode::Recv::CODE;
const SEND: u8 = opcode::Send::CODE;
const ACCEPT: u8 = opcode::Accept::CODE;
const CONNECT: u8 = opcode::Connect::CODE;
const POLL: u8 = opcode::PollAdd::CODE;
const WAIT: u8 = opcode::WaitId::CODE;
const CANCEL: u8 = opcode::AsyncCancel::CODE;

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// Whether this process is the child of [`in_a_child`].
fn is_child(test: &str) -> bool {
    std::env::var_os("PROACTOR_URING_TEST_CHILD").is_some_and(|child| child == *test)
}

/// Runs the test of this name, and no other, in a process of its own, which it may change as it likes.
fn in_a_child(test: &str) {
    in_a_child_with(test, &[]);
}

/// The same, in a changed environment.
fn in_a_child_with(test: &str, environment: &[(&str, &str)]) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "--test-threads", "1", test])
        .env("PROACTOR_URING_TEST_CHILD", test)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "{text}\n{errors}");
}
