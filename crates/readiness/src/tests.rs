//! What needs a poller that says what the test wants.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use proactor_core::{
    Accept, AcceptMany, Address, Backend, Buffer, ChildProcess, Config, Connect, Control, Done, Error,
    Family, Handle, Operation, Outcome, Recv, Reply, SignalSet, Slot, SocketKind, Time, Token, Until,
    WaitChild, Wake,
};
use rustix::io::Errno;
use rustix::net::sockopt;

use crate::{Batch, Event, Poller, Readiness, Registration, Signs, Watch, WatchSignals};

/// What the tests and their poller share.
#[derive(Debug, Default)]
struct Script {
    /// What each wait brings; nothing once it is empty.
    batches: VecDeque<(Vec<Event>, bool)>,
    /// How each wait was asked for.
    waits: Vec<Until>,
    added: Vec<Registration>,
    removed: usize,
    refuse: Option<Error>,
    /// What is said of children that are to be watched, the last again and again: that they are, if there is none.
    children: VecDeque<Option<()>>,
}

/// A poller that knows nothing but its script.
#[derive(Debug, Default)]
struct Scripted {
    script: Rc<RefCell<Script>>,
    batch: Vec<Event>,
}

#[derive(Clone, Debug)]
struct NoWaker;

impl Wake for NoWaker {
    fn wake(&self) {}
}

#[derive(Debug)]
struct NoSignals;

impl AsFd for NoSignals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        unreachable!("none is ever made")
    }
}

impl WatchSignals for NoSignals {
    fn begin(_set: SignalSet) -> Result<Self, Error> {
        Err(Error::Unsupported)
    }

    fn take(&mut self) -> SignalSet {
        SignalSet::NONE
    }

    fn end(&mut self) {}
}

const R: u32 = 1;
const W: u32 = 2;
const I: u32 = 4;

impl Poller for Scripted {
    const NAME: &'static str = "scripted";
    const SIGNS: Signs = Signs { readable: R | I, writable: W, irregular: I };
    type Waker = NoWaker;
    type Child = ();
    type Signals = NoSignals;

    fn open(_config: &Config) -> io::Result<Self> {
        Ok(Self::default())
    }

    fn waker(&self) -> NoWaker {
        NoWaker
    }

    fn can_watch_children(&self) -> bool {
        true
    }

    fn add_child(&mut self, _: &ChildProcess, registration: Registration) -> Result<Option<()>, Error> {
        let mut script = self.script.borrow_mut();
        script.added.push(registration);
        let told = script.children.front().copied().unwrap_or(Some(()));
        if script.children.len() > 1 {
            script.children.pop_front();
        }
        Ok(told)
    }

    fn remove_child(&mut self, (): ()) {
        self.script.borrow_mut().removed += 1;
    }

    fn add(&mut self, _descriptor: BorrowedFd<'_>, registration: Registration) -> Result<Watch, Error> {
        let mut script = self.script.borrow_mut();
        if let Some(error) = script.refuse {
            return Err(error);
        }
        script.added.push(registration);
        Ok(Watch::Edges)
    }

    fn remove(&mut self, _descriptor: BorrowedFd<'_>) {
        self.script.borrow_mut().removed += 1;
    }

    fn wait(&mut self, until: Until) -> Result<Batch, Error> {
        let mut script = self.script.borrow_mut();
        script.waits.push(until);
        let (batch, is_full) = script.batches.pop_front().unwrap_or_default();
        self.batch = batch;
        Ok(Batch { len: self.batch.len(), is_full })
    }

    fn event(&self, index: usize) -> Event {
        self.batch[index]
    }
}

/// An edge that tells `signs`, letters of `r`eadable, `w`ritable and `i`rregular.
fn event(registration: Registration, signs: &str) -> Event {
    let bits = [('r', R), ('w', W), ('i', I)];
    let bits = bits.iter().filter(|(letter, _)| signs.contains(*letter)).map(|(_, bit)| bit).sum();
    Event { registration, bits }
}

struct Rig {
    backend: Readiness<Scripted>,
    script: Rc<RefCell<Script>>,
    done: Box<Done>,
}

impl Rig {
    fn new() -> Self {
        let backend = Readiness::<Scripted>::open(&Config::default()).unwrap();
        let script = Rc::clone(&backend.poller.script);
        Self { backend, script, done: Done::new() }
    }

    fn attach(&mut self, descriptor: impl Into<OwnedFd>) -> (Handle, Registration) {
        let handle = self.done.new_handle();
        self.backend.attach(handle.slot(), descriptor.into()).map_err(|(error, _)| error).unwrap();
        (handle, *self.script.borrow().added.last().unwrap())
    }

    fn start(&mut self, handle: Handle, operation: impl Into<Operation>) -> Token {
        let token = self.done.submit(operation.into());
        self.backend.start(token, handle.slot(), &mut self.done);
        token
    }

    fn recv(&mut self, handle: Handle) -> Token {
        self.start(handle, Recv { handle, buffer: Buffer::zeroed(8) })
    }

    /// One wait that brings these events.
    fn wait(&mut self, events: &[Event]) {
        self.script.borrow_mut().batches.push_back((events.to_vec(), false));
        self.backend.wait(Until::Forever, &mut self.done).unwrap();
    }

    /// The bytes that the next outcome, which must be there, has received.
    fn received(&mut self) -> Result<Vec<u8>, Error> {
        match self.done.pop() {
            Some((_, Outcome::Recv(received))) => {
                let len = received.result?;
                Ok(received.buffer[..len].to_vec())
            }
            other => panic!("expected a receive, got {other:?}"),
        }
    }
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// The peer has closed its end, or does so within a time that only a lost descriptor exceeds.
fn assert_ended(mut stream: &TcpStream) {
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_drained_direction_waits_for_an_edge_and_makes_no_call() {
    let mut rig = Rig::new();
    let (near, mut far) = tcp_pair();
    let (handle, registration) = rig.attach(near);
    rig.recv(handle);
    assert!(rig.done.is_empty());
    // Had it been tried, these would have been received: nobody told that they came.
    far.write_all(b"bytes").unwrap();
    rig.wait(&[event(registration, "w")]);
    assert!(rig.done.is_empty());
    rig.wait(&[event(registration, "r")]);
    assert_eq!(rig.received().unwrap(), b"bytes");
    // A short read on TCP: drained again.
    far.write_all(b"more").unwrap();
    rig.recv(handle);
    assert!(rig.done.is_empty());
    rig.wait(&[event(registration, "r")]);
    assert_eq!(rig.received().unwrap(), b"more");
}

#[test]
fn a_full_read_leaves_the_direction_to_be_tried() {
    let mut rig = Rig::new();
    let (near, mut far) = tcp_pair();
    let (handle, _) = rig.attach(near);
    far.write_all(b"0123456789").unwrap();
    rig.recv(handle);
    assert_eq!(rig.received().unwrap(), b"01234567");
    rig.recv(handle);
    assert_eq!(rig.received().unwrap(), b"89");
}

#[test]
fn after_anything_irregular_a_short_read_proves_nothing() {
    let mut rig = Rig::new();
    let (near, mut far) = tcp_pair();
    let (handle, registration) = rig.attach(near);
    rig.recv(handle);
    far.write_all(b"last").unwrap();
    drop(far);
    rig.wait(&[event(registration, "ri")]);
    assert_eq!(rig.received().unwrap(), b"last");
    // No further edge will come.
    rig.recv(handle);
    assert_eq!(rig.received().unwrap(), b"");
}

#[test]
fn short_reads_prove_nothing_on_other_streams() {
    let mut rig = Rig::new();
    let (near, mut far) = std::os::unix::net::UnixStream::pair().unwrap();
    let (handle, _) = rig.attach(near);
    far.write_all(b"one").unwrap();
    rig.recv(handle);
    assert_eq!(rig.received().unwrap(), b"one");
    far.write_all(b"two").unwrap();
    rig.recv(handle);
    assert_eq!(rig.received().unwrap(), b"two");
}

#[test]
fn an_event_of_an_earlier_registration_hits_nothing() {
    let mut rig = Rig::new();
    let (near, _far) = tcp_pair();
    let (old, stale) = rig.attach(near);
    rig.backend.close(old.slot()).unwrap();
    rig.done.discard_handle(old);

    let (near, mut far) = tcp_pair();
    let (new, fresh) = rig.attach(near);
    assert_eq!(new.slot(), old.slot());
    assert_ne!(fresh, stale);
    rig.recv(new);
    far.write_all(b"bytes").unwrap();
    rig.wait(&[event(stale, "rwi"), event(Registration::NOBODY, "r")]);
    assert!(rig.done.is_empty());
    rig.wait(&[event(fresh, "r")]);
    assert_eq!(rig.received().unwrap(), b"bytes");
    // The stale hang-up has not been counted against the new one either.
    far.write_all(b"more").unwrap();
    rig.recv(new);
    assert!(rig.done.is_empty());
}

#[test]
fn a_wait_takes_one_batch_and_a_look_all_there_are() {
    for (until, waits) in [(Until::Forever, 1), (Until::Deadline(Time::NEVER), 1), (Until::Now, 2)] {
        let mut rig = Rig::new();
        let (near, mut far) = tcp_pair();
        let (handle, registration) = rig.attach(near);
        let (other, _far) = tcp_pair();
        let (_, idle) = rig.attach(other);
        rig.recv(handle);
        far.write_all(b"bytes").unwrap();
        let batches = [(vec![event(idle, "w")], true), (vec![event(registration, "r")], false)];
        rig.script.borrow_mut().batches.extend(batches);
        rig.backend.wait(until, &mut rig.done).unwrap();
        assert_eq!((rig.script.borrow().waits.len(), rig.done.len()), (waits, waits - 1), "{until:?}");
        // What is left comes with the next one.
        rig.backend.wait(Until::Now, &mut rig.done).unwrap();
        assert_eq!(rig.received().unwrap(), b"bytes");
    }
}

#[test]
fn full_batches_without_end_do_not_hold_up_the_loop() {
    let mut rig = Rig::new();
    let (near, _far) = tcp_pair();
    let (_, registration) = rig.attach(near);
    for _ in 0..100 {
        rig.script.borrow_mut().batches.push_back((vec![event(registration, "w")], true));
    }
    rig.backend.wait(Until::Now, &mut rig.done).unwrap();
    assert!(rig.script.borrow().waits.len() <= 2);
}

/// A listener whose queue is full, so that a connect to it stays undecided.
fn full_listener() -> (TcpListener, SocketAddr, Vec<OwnedFd>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    proactor_system::control(listener.as_fd(), &Control::Listen(1)).unwrap();
    let address = listener.local_addr().unwrap();
    let connect = || {
        let socket = proactor_system::open_stream(Family::Ipv4, proactor_system::Mode::Nonblocking).unwrap();
        let _ = proactor_system::connect(socket.as_fd(), &address.into());
        socket
    };
    // The first ones connect at once; when one has not, the queue is full.
    let mut sockets = Vec::new();
    let is_connected =
        |socket: &OwnedFd| proactor_system::control(socket.as_fd(), &Control::PeerAddress).is_ok();
    while sockets.last().is_none_or(is_connected) {
        sockets.push(connect());
        assert!(sockets.len() < 100, "a queue of one is full some time");
    }
    (listener, address, sockets)
}

#[test]
fn a_connect_outlasts_spurious_wakes_and_receives_wait_for_it() {
    let mut rig = Rig::new();
    let (_listener, address, _sockets) = full_listener();
    let handle = rig.done.new_handle();
    rig.backend.socket(handle.slot(), Family::Ipv4, SocketKind::Stream).unwrap();
    let registration = *rig.script.borrow().added.last().unwrap();
    let connect = rig.start(handle, Connect { handle, address: address.into() });
    let recv = rig.recv(handle);
    for _ in 0..3 {
        rig.wait(&[event(registration, "rw")]);
    }
    assert!(rig.done.is_empty());
    assert!(rig.backend.cancel(connect, handle.slot(), &mut rig.done));
    assert!(rig.backend.cancel(recv, handle.slot(), &mut rig.done));
    let Some((token, Outcome::Connect(connected))) = rig.done.pop() else { panic!("it was cancelled") };
    assert_eq!((token, connected.result), (connect, Err(Error::Canceled)));
    assert_eq!(connected.address, Address::from(address));
    assert_eq!(rig.received(), Err(Error::Canceled));
}

#[test]
fn a_connect_whose_error_somebody_else_took_ends_all_the_same() {
    let mut rig = Rig::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let socket = proactor_system::open_stream(Family::Ipv4, proactor_system::Mode::Nonblocking).unwrap();
    let other = socket.try_clone().unwrap();
    let (handle, registration) = rig.attach(socket);
    rig.start(handle, Connect { handle, address: closed.into() });
    assert!(rig.done.is_empty(), "the system does not wait for the answer");
    assert_eq!(sockopt::socket_error(&other), Ok(Err(Errno::CONNREFUSED)));
    rig.wait(&[event(registration, "rwi")]);
    let Some((_, Outcome::Connect(connected))) = rig.done.pop() else { panic!("nothing else waits") };
    assert_eq!(connected.result, Err(Errno::CONNABORTED.into()));
}

#[test]
fn a_cancelled_connect_that_is_decided_tells_its_real_result() {
    let mut rig = Rig::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let handle = rig.done.new_handle();
    rig.backend.socket(handle.slot(), Family::Ipv4, SocketKind::Stream).unwrap();
    let address = listener.local_addr().unwrap().into();
    let connect = rig.start(handle, Connect { handle, address });
    let _accepted = listener.accept().unwrap();
    rig.backend.cancel(connect, handle.slot(), &mut rig.done);
    let Some((_, Outcome::Connect(connected))) = rig.done.pop() else { panic!("it has one outcome") };
    assert_eq!(connected.result, Ok(()));
}

#[test]
fn a_connection_that_cannot_be_registered_is_closed_and_told() {
    let mut rig = Rig::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (handle, _) = rig.attach(listener);
    let client = TcpStream::connect(address).unwrap();
    rig.script.borrow_mut().refuse = Some(Errno::NOSPC.into());
    rig.start(handle, Accept { listener: handle });
    let Some((_, Outcome::Accept(accepted))) = rig.done.pop() else { panic!("it is decided") };
    assert_eq!(accepted.result.map(drop), Err(Errno::NOSPC.into()));
    assert_ended(&client);
    // The handle that was meant for it was given back.
    assert_eq!(rig.done.new_handle().slot().index(), handle.slot().index() + 1);
    // And so ends a series of them.
    let _client = TcpStream::connect(address).unwrap();
    rig.start(handle, AcceptMany { listener: handle });
    let Some((_, Outcome::AcceptManyEnded(ended))) = rig.done.pop() else { panic!("it is decided") };
    assert_eq!(ended.error, Errno::NOSPC.into());
}

#[test]
fn a_slot_that_core_gives_out_twice_loses_no_descriptor() {
    let mut rig = Rig::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (handle, _) = rig.attach(listener);
    let (near, _far) = tcp_pair();
    let taken = Slot(handle.slot().0 + 1);
    rig.backend.attach(taken, near.into()).unwrap();
    let client = TcpStream::connect(address).unwrap();
    rig.start(handle, Accept { listener: handle });
    let Some((_, Outcome::Accept(accepted))) = rig.done.pop() else { panic!("it is decided") };
    assert_eq!(accepted.result.map(drop), Err(Error::Busy));
    assert_ended(&client);
}

#[test]
fn many_connections_come_in_turns_without_further_edges() {
    let mut rig = Rig::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    proactor_system::control(listener.as_fd(), &Control::Listen(200)).unwrap();
    let address = listener.local_addr().unwrap();
    let (handle, registration) = rig.attach(listener);
    rig.start(handle, AcceptMany { listener: handle });
    let clients: Vec<_> = (0..150).map(|_| TcpStream::connect(address).unwrap()).collect();
    rig.wait(&[event(registration, "r")]);
    assert_eq!(rig.done.len(), 64);
    rig.wait(&[]);
    assert_eq!(rig.done.len(), 128);
    rig.wait(&[]);
    assert_eq!(rig.done.len(), clients.len());
    rig.wait(&[]);
    // Waits did not block while there was something left, and did afterwards.
    let waits = [Until::Forever, Until::Now, Until::Now, Until::Forever];
    assert_eq!(rig.script.borrow().waits, waits);
}

#[test]
fn endless_edges_do_not_multiply_the_turns_of_one_listener() {
    let mut rig = Rig::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    proactor_system::control(listener.as_fd(), &Control::Listen(1000)).unwrap();
    let address = listener.local_addr().unwrap();
    let (handle, registration) = rig.attach(listener);
    let _clients: Vec<_> = (0..600).map(|_| TcpStream::connect(address).unwrap()).collect();
    rig.start(handle, AcceptMany { listener: handle });
    for _ in 0..3 {
        let before = rig.done.len();
        rig.wait(&[event(registration, "r")]);
        assert_eq!(rig.done.len() - before, 128);
    }
}

#[test]
fn a_descriptor_that_is_refused_comes_back() {
    let mut rig = Rig::new();
    let (near, _far) = tcp_pair();
    rig.script.borrow_mut().refuse = Some(Errno::NOMEM.into());
    let (error, descriptor) = rig.backend.attach(Slot(0), near.into()).unwrap_err();
    assert_eq!(error, Errno::NOMEM.into());
    assert!(TcpStream::from(descriptor).peer_addr().is_ok());
    assert_eq!(rig.backend.socket(Slot(0), Family::Ipv4, SocketKind::Stream), Err(Errno::NOMEM.into()));
    assert_eq!(rig.backend.control(Slot(0), Control::LocalAddress), Err(Error::StaleHandle));
    // A slot far beyond all others is no reason to fill the memory.
    rig.script.borrow_mut().refuse = None;
    assert_eq!(
        rig.backend.socket(Slot(u32::MAX), Family::Ipv4, SocketKind::Stream),
        Err(Error::InvalidInput)
    );
    assert_eq!(rig.backend.socket(Slot(10), Family::Ipv4, SocketKind::Stream), Ok(()));
    assert_eq!(rig.backend.socket(Slot(10), Family::Ipv4, SocketKind::Stream), Err(Error::Busy));
    let bound = Control::Bind("127.0.0.1:0".parse().unwrap());
    assert_eq!(rig.backend.control(Slot(10), bound), Ok(Reply::Done));
    assert_eq!(rig.backend.close(Slot(10)), Ok(()));
    assert_eq!(rig.script.borrow().removed, 1);
}

#[test]
fn a_child_that_is_ending_is_asked_for_until_it_has() {
    let mut rig = Rig::new();
    let (reader, writer) = io::pipe().unwrap();
    let child = Command::new("sh").args(["-c", "read line; exit 3"]).stdin(reader).spawn().unwrap();
    rig.script.borrow_mut().children = [Some(()), None].into();
    let token = rig.done.submit(WaitChild { child: child.into() }.into());
    rig.backend.start(token, Slot(0), &mut rig.done);
    let registration = *rig.script.borrow().added.last().unwrap();
    rig.wait(&[]);
    assert_eq!(rig.script.borrow().waits.last(), Some(&Until::Forever), "an event is to come");
    // That event comes a little early, and no other one will.
    rig.wait(&[event(registration, "r")]);
    rig.wait(&[]);
    assert_eq!(rig.script.borrow().waits.last(), Some(&Until::Now), "it is asked for once more at once");
    // Then after pauses, each longer than the one before.
    let mut shortest = Duration::ZERO;
    for _ in 0..6 {
        let before = proactor_system::now();
        rig.wait(&[]);
        let Some(&Until::Deadline(next)) = rig.script.borrow().waits.last() else { panic!("it spins") };
        assert!(next.since(before) > shortest && next.since(before) < Duration::from_secs(10));
        shortest = (shortest * 2).max(Duration::from_micros(999));
    }
    // Nobody is kept waiting for that.
    rig.script.borrow_mut().batches.push_back((Vec::new(), false));
    rig.backend.wait(Until::Now, &mut rig.done).unwrap();
    assert_eq!(rig.script.borrow().waits.last(), Some(&Until::Now));
    let soon = proactor_system::now();
    rig.backend.wait(Until::Deadline(soon), &mut rig.done).unwrap();
    assert_eq!(rig.script.borrow().waits.last(), Some(&Until::Deadline(soon)));
    drop(writer);
    let deadline = Instant::now() + Duration::from_secs(20);
    while rig.done.is_empty() {
        assert!(Instant::now() < deadline, "nobody has asked");
        rig.wait(&[]);
    }
    let Some((_, Outcome::WaitChild(exited))) = rig.done.pop() else { panic!("it has ended") };
    assert_eq!(exited.result.unwrap().code(), Some(3));
    assert_eq!(rig.script.borrow().removed, 1);
    rig.wait(&[]);
    assert_eq!(rig.script.borrow().waits.last(), Some(&Until::Forever));
}
