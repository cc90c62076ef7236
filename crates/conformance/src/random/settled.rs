//! Programs whose every step takes effect before the next: a model knows each outcome.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use proactor_core::{
    Accept, AcceptMany, Accepted, Address, Backend, Buffer, BufferPool, Cancel, Close, Config, Connect,
    Driver, Error, Family, Handle, Key, Nop, Notifier, NotifierWait, Outcome, ReadVectored, Received, Recv,
    RecvMany, Send, SendAll, Shutdown, ShutdownHow, SocketOption, State, Time, Timer, Until, WriteVectored,
    WriteVectoredAll,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use rustix::io::Errno;

use super::Trace;
use super::pieces::{in_one_piece, in_pieces};
use crate::steps::{assert_bytes, pattern, system};
use crate::turns::Turns;

/// Notifiers of a program.
const NOTIFIERS: usize = 2;

/// How long an outcome that must come may take, in waits of [`PATIENCE`].
const WAITS: u32 = 30;
const PATIENCE: Duration = Duration::from_millis(100);

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Nop,
    Connect,
    Accept,
    AcceptMany,
    Send { end: Index, len: usize },
    SendAll { end: Index, len: usize },
    Recv { end: Index, len: usize, deadline: Deadline },
    RecvMany { end: Index },
    ShutDown { end: Index },
    Close { end: Index },
    Timer { now: bool },
    Reset { operation: Index },
    Wait { notifier: usize },
    Notify { notifier: usize },
    Cancel { operation: Index },
    Delete { operation: Index },
    CancelAll,
}

/// When a receive is to have ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deadline {
    None,
    /// A time that does not come.
    Far,
    /// A time that has passed: what has arrived stays.
    Passed,
}

fn deadline() -> impl Strategy<Value = Deadline> {
    prop_oneof![4 => Just(Deadline::None), 2 => Just(Deadline::Far), 1 => Just(Deadline::Passed)]
}

pub(crate) fn program() -> impl Strategy<Value = Vec<Step>> {
    let end = any::<Index>;
    let operation = any::<Index>;
    let step = prop_oneof![
        1 => Just(Step::Nop),
        4 => Just(Step::Connect),
        4 => Just(Step::Accept),
        1 => Just(Step::AcceptMany),
        3 => (end(), 0_usize..200).prop_map(|(end, len)| Step::Send { end, len }),
        6 => (end(), 0_usize..2000).prop_map(|(end, len)| Step::SendAll { end, len }),
        10 => (end(), 0_usize..1000, deadline()).prop_map(|(end, len, deadline)| Step::Recv { end, len, deadline }),
        3 => end().prop_map(|end| Step::RecvMany { end }),
        1 => end().prop_map(|end| Step::ShutDown { end }),
        1 => end().prop_map(|end| Step::Close { end }),
        1 => any::<bool>().prop_map(|now| Step::Timer { now }),
        1 => operation().prop_map(|operation| Step::Reset { operation }),
        2 => (0..NOTIFIERS).prop_map(|notifier| Step::Wait { notifier }),
        2 => (0..NOTIFIERS).prop_map(|notifier| Step::Notify { notifier }),
        3 => operation().prop_map(|operation| Step::Cancel { operation }),
        2 => operation().prop_map(|operation| Step::Delete { operation }),
        1 => Just(Step::CancelAll),
    ];
    vec(step, 1..60)
}

/// What an operation that is under way waits for.
#[derive(Clone, Debug, PartialEq)]
enum Waiting {
    /// A connection.
    Accept,
    AcceptMany,
    /// Bytes, into a buffer of this length that holds this byte.
    Recv {
        end: usize,
        len: usize,
        mark: u8,
    },
    /// Bytes, into buffers of the pool, until the end.
    RecvMany {
        end: usize,
    },
    /// A reset.
    Timer,
    Notifier(usize),
}

/// How an operation must end now.
#[derive(Clone, Debug, PartialEq)]
enum End {
    /// With this result, whatever it hands back.
    Exactly(Result<(), Error>),
    /// Somehow: the system may have noticed already that the peer is gone, or not.
    Somehow,
}

/// One end of a connection, as the model knows it.
#[derive(Debug)]
struct Side {
    /// Once it is accepted, or at once where it connects.
    handle: Option<Handle>,
    /// Where it connected from, once that is known.
    address: Option<Address>,
    peer: usize,
    open: bool,
    /// Sent to it, and not received.
    inbound: VecDeque<u8>,
    /// Nothing more will be sent to it.
    at_end: bool,
    /// It sends nothing more.
    shut: bool,
    /// The peer has reset the connection, or will when it hears from this side.
    broken: bool,
    receives: VecDeque<Key>,
}

impl Side {
    fn new(peer: usize, handle: Option<Handle>) -> Self {
        let (inbound, receives) = (VecDeque::new(), VecDeque::new());
        Self {
            handle,
            address: None,
            peer,
            open: true,
            inbound,
            at_end: false,
            shut: false,
            broken: false,
            receives,
        }
    }
}

/// The driver, and the model beside it.
struct World<B: Backend> {
    driver: Driver<B>,
    listener: Handle,
    address: Address,
    notifiers: Vec<Notifier>,
    notified: [bool; NOTIFIERS],
    waits: [Option<Key>; NOTIFIERS],
    sides: Vec<Side>,
    /// Sides that wait to be accepted.
    backlog: VecDeque<usize>,
    accepts: VecDeque<Key>,
    waiting: HashMap<Key, Waiting>,
    /// Operations in the order of their submission, ended ones too.
    keys: Vec<Key>,
    ending: HashMap<Key, End>,
    sends: u32,
    pool: BufferPool,
    trace: Trace,
}

/// Buffers of the pool, and how long they are: few and short, so that it runs dry and much takes several.
const BUFFERS: (u32, usize) = (2, 100);

/// Runs `program`, and panics where an outcome is not the model's.
pub(crate) fn run<B: Backend>(program: &[Step], config: &Config) -> Trace {
    let mut driver = Driver::<B>::open(config.clone()).expect("the backend opens");
    let (listener, address) = driver.listener();
    let notifiers = (0..NOTIFIERS).map(|_| driver.notifier()).collect();
    let pool = driver.buffer_pool(BUFFERS.0, BUFFERS.1).expect("a small pool");
    let mut world = World {
        driver,
        listener,
        address,
        notifiers,
        notified: [false; NOTIFIERS],
        waits: [None; NOTIFIERS],
        sides: Vec::new(),
        backlog: VecDeque::new(),
        accepts: VecDeque::new(),
        waiting: HashMap::new(),
        keys: Vec::new(),
        ending: HashMap::new(),
        sends: 0,
        pool,
        trace: Trace::default(),
    };
    for step in program {
        world.take(step);
        world.settle();
    }
    world.cancel_all();
    world.settle();
    assert_eq!((world.driver.active(), world.driver.backend_faults()), (0, 0));
    world.trace
}

impl<B: Backend> World<B> {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Nop => {
                let key = self.driver.submit(Nop);
                self.ends(key, End::Exactly(Ok(())));
            }
            Step::Connect => self.connect(),
            Step::Accept => {
                let key = self.driver.submit(Accept { listener: self.listener });
                self.waits(key, Waiting::Accept);
                self.accepts.push_back(key);
            }
            Step::AcceptMany => {
                let key = self.driver.submit(AcceptMany { listener: self.listener });
                self.waits(key, Waiting::AcceptMany);
                self.accepts.push_back(key);
            }
            Step::Send { end, len } => self.send(end, *len, false),
            Step::SendAll { end, len } => self.send(end, *len, true),
            Step::Recv { end, len, deadline } => self.receive(end, *len, *deadline),
            Step::RecvMany { end } => self.receive_many(end),
            Step::ShutDown { end } => self.shut_down(end),
            Step::Close { end } => self.close(end),
            Step::Timer { now } => self.timer(*now),
            Step::Reset { operation } => self.reset(operation),
            Step::Wait { notifier } => self.wait(*notifier),
            Step::Notify { notifier } => {
                self.notifiers[*notifier].notify();
                self.notified[*notifier] = true;
            }
            Step::Cancel { operation } => self.cancel(operation),
            Step::Delete { operation } => self.delete(operation),
            Step::CancelAll => self.cancel_all(),
        }
    }

    fn ends(&mut self, key: Key, end: End) {
        self.keys.push(key);
        self.ending.insert(key, end);
    }

    fn waits(&mut self, key: Key, waiting: Waiting) {
        self.keys.push(key);
        self.waiting.insert(key, waiting);
    }

    fn connect(&mut self) {
        let handle = self.driver.socket(Family::Ipv4).expect("a socket");
        let key = self.driver.submit(Connect { handle, address: self.address.clone() });
        self.ends(key, End::Exactly(Ok(())));
        let client = self.sides.len();
        self.sides.push(Side::new(client + 1, Some(handle)));
        self.sides.push(Side::new(client, None));
        self.backlog.push_back(client + 1);
        self.settle();
        self.send_at_once(handle);
        let from = self.driver.local_address(handle).expect("a connected socket has an address");
        self.sides[client].address = Some(from);
    }

    /// One of the sides that have a handle, open or closed.
    fn side(&self, which: &Index) -> Option<(usize, Handle)> {
        let known: Vec<_> =
            self.sides.iter().enumerate().filter_map(|(side, end)| Some((side, end.handle?))).collect();
        (!known.is_empty()).then(|| *which.get(&known))
    }

    fn send(&mut self, which: &Index, len: usize, all: bool) {
        let Some((from, handle)) = self.side(which) else { return };
        self.sends += 1;
        let bytes = pattern(self.sends, len);
        let buffer: Buffer = bytes.clone().into();
        let (number, in_pieces) = (self.keys.len(), |number| in_pieces(&bytes, number));
        let key = match (number % 3, all) {
            (0, true) => self.driver.submit(WriteVectoredAll { handle, buffers: in_pieces(number) }),
            (0, false) => self.driver.submit(WriteVectored { handle, buffers: in_pieces(number) }),
            (_, true) => self.driver.submit(SendAll { handle, buffer }),
            (_, false) => self.driver.submit(Send { handle, buffer }),
        };
        let side = &self.sides[from];
        let end = match side {
            Side { open: false, .. } => End::Exactly(Err(Error::StaleHandle)),
            _ if len == 0 => End::Exactly(Ok(())),
            Side { shut: true, broken: false, .. } => End::Exactly(Err(system(Errno::PIPE))),
            Side { broken: true, .. } => End::Somehow,
            _ if !self.sides[side.peer].open => {
                self.sides[from].broken = true;
                End::Somehow
            }
            Side { peer, .. } => {
                let peer = *peer;
                self.sides[peer].inbound.extend(bytes);
                End::Exactly(Ok(()))
            }
        };
        self.ends(key, end);
    }

    fn receive(&mut self, which: &Index, len: usize, deadline: Deadline) {
        let Some((end, handle)) = self.side(which) else { return };
        let mark = (self.keys.len() % 251) as u8;
        let recv = Recv { handle, buffer: vec![mark; len].into() };
        let key = match deadline {
            Deadline::None if self.keys.len().is_multiple_of(3) => {
                let buffers = in_pieces(&recv.buffer, self.keys.len());
                self.driver.submit(ReadVectored { handle, buffers })
            }
            Deadline::None => self.driver.submit(recv),
            Deadline::Far => self.driver.submit(recv.with_timeout(Duration::from_secs(1_000_000))),
            Deadline::Passed => self.driver.submit(recv.with_deadline(Time::ZERO)),
        };
        if !self.sides[end].open {
            return self.ends(key, End::Exactly(Err(Error::StaleHandle)));
        }
        if matches!(deadline, Deadline::Passed) {
            return self.ends(key, End::Exactly(Err(Error::TimedOut)));
        }
        self.waits(key, Waiting::Recv { end, len, mark });
        self.sides[end].receives.push_back(key);
    }

    fn receive_many(&mut self, which: &Index) {
        let Some((end, handle)) = self.side(which) else { return };
        let key = self.driver.submit(RecvMany { handle, pool: self.pool.clone() });
        if !self.sides[end].open {
            return self.ends(key, End::Exactly(Err(Error::StaleHandle)));
        }
        self.waits(key, Waiting::RecvMany { end });
        self.sides[end].receives.push_back(key);
    }

    fn shut_down(&mut self, which: &Index) {
        let Some((from, handle)) = self.side(which) else { return };
        let key = self.driver.submit(Shutdown { handle, how: ShutdownHow::Write });
        let side = &mut self.sides[from];
        let end = match side {
            Side { open: false, .. } => End::Exactly(Err(Error::StaleHandle)),
            Side { shut: true, .. } | Side { broken: true, .. } => End::Somehow,
            _ => End::Exactly(Ok(())),
        };
        if side.open {
            side.shut = true;
            let peer = side.peer;
            self.sides[peer].at_end = true;
        }
        self.ends(key, end);
    }

    fn close(&mut self, which: &Index) {
        let Some((side, handle)) = self.side(which) else { return };
        let key = self.driver.submit(Close { handle });
        if !self.sides[side].open {
            return self.ends(key, End::Exactly(Err(Error::StaleHandle)));
        }
        self.ends(key, End::Exactly(Ok(())));
        let receives = std::mem::take(&mut self.sides[side].receives);
        receives.into_iter().for_each(|key| self.canceled(key));
        let closed = &mut self.sides[side];
        closed.open = false;
        let (peer, unread) = (closed.peer, !closed.inbound.is_empty());
        self.sides[peer].at_end = true;
        self.sides[peer].broken |= unread;
    }

    fn timer(&mut self, now: bool) {
        let key = self.driver.submit(Timer::at(if now { Time::ZERO } else { Time::NEVER }));
        if now { self.ends(key, End::Exactly(Ok(()))) } else { self.waits(key, Waiting::Timer) }
    }

    fn reset(&mut self, which: &Index) {
        let Some(key) = self.key(which) else { return };
        let answer = self.driver.timer_reset(key, Timer::at(Time::ZERO));
        match self.waiting.get(&key) {
            None => assert_eq!(answer, Err(Error::NotFound)),
            Some(Waiting::Timer) => {
                assert_eq!(answer, Ok(()));
                self.waiting.remove(&key);
                self.ending.insert(key, End::Exactly(Ok(())));
            }
            Some(_) => assert_eq!(answer, Err(Error::InvalidInput)),
        }
    }

    fn wait(&mut self, which: usize) {
        let key = self.driver.submit(NotifierWait { notifier: self.notifiers[which].clone() });
        if self.waits[which].is_some() {
            return self.ends(key, End::Exactly(Err(Error::Busy)));
        }
        self.waits[which] = Some(key);
        self.waits(key, Waiting::Notifier(which));
    }

    fn key(&self, which: &Index) -> Option<Key> {
        (!self.keys.is_empty()).then(|| *which.get(&self.keys))
    }

    fn cancel(&mut self, which: &Index) {
        let Some(key) = self.key(which) else { return };
        let answer = self.driver.cancel(key);
        if self.waiting.contains_key(&key) {
            assert_eq!((answer, self.driver.state(key)), (Cancel::Requested, State::Deleting));
            self.canceled(key);
        } else {
            assert_eq!((answer, self.driver.state(key)), (Cancel::NotFound, State::Dead));
        }
    }

    fn delete(&mut self, which: &Index) {
        let Some(key) = self.key(which) else { return };
        let answer = self.driver.delete(key);
        let known = self.waiting.contains_key(&key);
        assert_eq!(answer, if known { Ok(()) } else { Err(Error::NotFound) });
        self.forget(key);
    }

    fn cancel_all(&mut self) {
        self.driver.cancel_all();
        let all: Vec<_> = self.waiting.keys().copied().collect();
        all.into_iter().for_each(|key| self.canceled(key));
    }

    /// What waits as `key` ends as cancelled.
    fn canceled(&mut self, key: Key) {
        self.forget(key);
        self.ending.insert(key, End::Exactly(Err(Error::Canceled)));
    }

    fn forget(&mut self, key: Key) {
        self.waiting.remove(&key);
        self.accepts.retain(|&other| other != key);
        self.waits.iter_mut().filter(|wait| **wait == Some(key)).for_each(|wait| *wait = None);
        self.sides.iter_mut().for_each(|side| side.receives.retain(|&other| other != key));
    }

    /// Lets the driver go on until all has come that must, and sees that nothing else does.
    fn settle(&mut self) {
        let mut waits = 0;
        loop {
            while let Some((key, outcome)) = self.driver.pop() {
                self.judge(key, outcome);
                waits = 0;
            }
            if self.is_settled() {
                break;
            }
            waits += 1;
            assert!(waits < WAITS, "still waiting for {:?} of {:?}", self.ending, self.waiting);
            let end = self.driver.update_now() + PATIENCE;
            self.driver.turn(Until::Deadline(end)).expect("a turn");
        }
        self.driver.turn_now();
        if let Some((key, outcome)) = self.driver.pop() {
            // It came by itself: the model would have asked for it.
            panic!("{outcome:?} of {:?} came by itself", self.waiting.get(&key));
        }
    }

    fn is_settled(&self) -> bool {
        let accepted = self.backlog.is_empty() || self.accepts.is_empty();
        let notified = (0..NOTIFIERS).all(|which| !self.notified[which] || self.waits[which].is_none());
        let received = self.sides.iter().all(|side| match side.receives.front() {
            Some(key) => !self.can_receive(side, *key),
            None => true,
        });
        self.ending.is_empty() && accepted && notified && received
    }

    /// Whether the receive at the head of a side's queue must end.
    fn can_receive(&self, side: &Side, key: Key) -> bool {
        let empty = matches!(self.waiting.get(&key), Some(Waiting::Recv { len: 0, .. }));
        empty || !side.inbound.is_empty() || side.at_end || side.broken
    }

    /// Compares an outcome with the model, and takes it into the model.
    fn judge(&mut self, key: Key, outcome: Outcome) {
        let outcome = in_one_piece(outcome);
        if let Some(end) = self.ending.remove(&key) {
            let result = result_of(&outcome);
            if let End::Exactly(expected) = end {
                assert_eq!(result, expected, "{outcome:?}");
                self.tell(key, result);
            }
            return;
        }
        let Some(waiting) = self.waiting.get(&key).cloned() else { panic!("nobody waits for {outcome:?}") };
        match (waiting, outcome) {
            (Waiting::Notifier(which), Outcome::NotifierWait(notified)) => {
                assert_eq!((notified.result, self.notified[which]), (Ok(()), true));
                self.notified[which] = false;
                self.tell(key, Ok(()));
                self.forget(key);
            }
            (Waiting::Accept, Outcome::Accept(Accepted { result: Ok((handle, from)), .. })) => {
                self.accepted(key, handle, &from);
                self.forget(key);
            }
            (Waiting::AcceptMany, Outcome::AcceptManyItem(connection)) => {
                self.accepted(key, connection.handle, &connection.address);
            }
            (Waiting::Recv { end, len, mark }, Outcome::Recv(received)) => {
                self.received(key, end, len, mark, &received);
                self.forget(key);
            }
            (Waiting::RecvMany { end }, Outcome::RecvManyItem(buffer)) => {
                assert!((1..=BUFFERS.1).contains(&buffer.len()));
                self.bytes_came(key, end, &buffer);
            }
            (Waiting::RecvMany { end }, Outcome::RecvManyEnded(ended)) => {
                let side = &self.sides[end];
                assert_eq!(side.receives.front(), Some(&key), "receives are served in order");
                match ended.result {
                    Ok(()) => assert!((side.inbound.is_empty() && side.at_end) || side.broken),
                    Err(error) => assert!(side.broken, "{error:?}"),
                }
                if side.broken {
                    self.sides[end].inbound.clear();
                } else {
                    self.tell(key, Ok(()));
                }
                self.forget(key);
            }
            (waiting, outcome) => panic!("{outcome:?} is no end of {waiting:?}"),
        }
    }

    fn accepted(&mut self, key: Key, handle: Handle, from: &Address) {
        assert_eq!(self.accepts.front(), Some(&key), "accepts are served in order");
        let side = self.backlog.pop_front().expect("somebody has connected");
        let client = &self.sides[self.sides[side].peer];
        let (known, socket) = (client.address.clone(), client.handle.expect("it connected"));
        let expected = known.map_or_else(|| self.driver.local_address(socket), Ok);
        assert_eq!(expected.as_ref(), Ok(from), "connections are accepted in order");
        self.sides[side].handle = Some(handle);
        self.send_at_once(handle);
    }

    /// What is sent is there at once, not when something else was acknowledged: so a receive gets all of it.
    fn send_at_once(&mut self, handle: Handle) {
        self.driver.set(handle, SocketOption::NoDelay(true)).expect("an option of every stream socket");
    }

    fn received(&mut self, key: Key, end: usize, len: usize, mark: u8, received: &Received) {
        let side = &mut self.sides[end];
        assert_eq!(side.receives.front(), Some(&key), "receives are served in order");
        assert_eq!(received.buffer.len(), len);
        match received.result {
            Ok(0) => assert!(len == 0 || (side.inbound.is_empty() && side.at_end) || side.broken),
            Ok(count) => {
                assert!(count <= len);
                assert!(received.buffer[count..].iter().all(|&byte| byte == mark), "the rest is as it was");
                self.bytes_came(key, end, &received.buffer[..count]);
            }
            Err(error) => {
                assert!(side.broken, "{error:?}");
                side.inbound.clear();
            }
        }
    }
}

impl<B: Backend> World<B> {
    /// Bytes that came are the next that were sent.
    fn bytes_came(&mut self, key: Key, end: usize, bytes: &[u8]) {
        let side = &mut self.sides[end];
        assert_eq!(side.receives.front(), Some(&key), "receives are served in order");
        assert!(bytes.len() <= side.inbound.len(), "more came than was sent");
        let expected: Vec<_> = side.inbound.drain(..bytes.len()).collect();
        assert_bytes(bytes, &expected);
        if !side.broken {
            self.trace.bytes(self.number(key), bytes);
        }
    }

    /// Where in the program's order an operation stands.
    fn number(&self, key: Key) -> usize {
        self.keys.iter().rposition(|&known| known == key).expect("it was submitted")
    }

    fn tell(&mut self, key: Key, result: Result<(), Error>) {
        self.trace.end(self.number(key), &result);
    }
}

fn result_of(outcome: &Outcome) -> Result<(), Error> {
    match outcome {
        Outcome::Nop(done) => done.result,
        Outcome::Timer(expired) => expired.result,
        Outcome::NotifierWait(notified) => notified.result,
        Outcome::Accept(accepted) => accepted.result.as_ref().map(drop).map_err(|error| *error),
        Outcome::AcceptManyEnded(ended) => Err(ended.error),
        Outcome::Connect(connected) => connected.result,
        Outcome::Recv(received) => received.result.map(drop),
        Outcome::RecvManyEnded(ended) => ended.result,
        Outcome::Send(sent) => sent.result.map(|count| assert_eq!(count, sent.buffer.len())),
        Outcome::SendAll(sent) => sent.result.inspect(|()| assert_eq!(sent.transferred, sent.buffer.len())),
        Outcome::Shutdown(shut_down) => shut_down.result,
        Outcome::Close(closed) => closed.result,
        other => panic!("nothing of the kind was submitted: {other:?}"),
    }
}
