//! Programs whose steps race with each other and with the system: what must hold whatever comes first.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::time::Duration;

use proactor_core::{
    Address, Backend, Buffer, BufferPool, BytesRead, Cancel, Close, Config, Detach, Driver, Error, Handle,
    Interest, Key, Nop, Notifier, NotifierWait, Outcome, Poll, PollMany, Read, ReadExact, ReadVectored,
    ReadVectoredExact, Readiness, Received, Recv, RecvMany, Send, SendAll, SentAll, Shutdown, ShutdownHow,
    Timer, Until, Write, WriteAll, WriteVectored, WriteVectoredAll, WrittenAll,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::pieces::{in_one_piece, in_pieces};
use crate::steps::{assert_bytes, pattern};
use crate::turns::{Turns, pair_on};

/// Buffers of the pool, and how long they are: so few that they are soon all held.
const BUFFERS: (u32, usize) = (4, 5000);

/// Ends of connections: even ones are connected to the odd ones after them.
const ENDS: usize = 4;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Nop,
    Send {
        end: usize,
        len: usize,
    },
    SendAll {
        end: usize,
        len: usize,
    },
    Recv {
        end: usize,
        len: usize,
    },
    RecvMany {
        end: usize,
    },
    /// Asks whether there is something to receive, or to be told each time.
    Poll {
        end: usize,
        many: bool,
    },
    /// The pool gets back what was received into.
    GiveBack,
    ShutDown {
        end: usize,
    },
    Close {
        end: usize,
        how: How,
    },
    Timer {
        nanoseconds: u64,
    },
    Reset {
        operation: Index,
        nanoseconds: u64,
    },
    Wait,
    Notify,
    /// A deadline for the next operation that takes one.
    Timeout {
        nanoseconds: u64,
    },
    Cancel {
        operation: Index,
    },
    Delete {
        operation: Index,
    },
    CancelAll,
    Turn,
    Deliver {
        count: usize,
    },
}

/// How a handle is closed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    Silently,
    Told,
    /// Its descriptor comes out, where there is one, and is dropped.
    Detached,
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![Just(How::Silently), Just(How::Told), Just(How::Detached)]
}

pub(crate) fn program() -> impl Strategy<Value = Vec<Step>> {
    let end = || 0..ENDS;
    let operation = any::<Index>;
    let step = prop_oneof![
        1 => Just(Step::Nop),
        4 => (end(), 0_usize..100).prop_map(|(end, len)| Step::Send { end, len }),
        4 => (end(), 0_usize..400_000).prop_map(|(end, len)| Step::SendAll { end, len }),
        10 => (end(), 0_usize..100_000).prop_map(|(end, len)| Step::Recv { end, len }),
        4 => end().prop_map(|end| Step::RecvMany { end }),
        2 => (end(), any::<bool>()).prop_map(|(end, many)| Step::Poll { end, many }),
        3 => Just(Step::GiveBack),
        1 => end().prop_map(|end| Step::ShutDown { end }),
        1 => (end(), how()).prop_map(|(end, how)| Step::Close { end, how }),
        2 => (0_u64..2000).prop_map(|nanoseconds| Step::Timer { nanoseconds }),
        1 => (operation(), 0_u64..2000).prop_map(|(operation, nanoseconds)| Step::Reset { operation, nanoseconds }),
        1 => Just(Step::Wait),
        1 => Just(Step::Notify),
        4 => (0_u64..200_000).prop_map(|nanoseconds| Step::Timeout { nanoseconds }),
        4 => operation().prop_map(|operation| Step::Cancel { operation }),
        2 => operation().prop_map(|operation| Step::Delete { operation }),
        1 => Just(Step::CancelAll),
        8 => Just(Step::Turn),
        6 => (1_usize..6).prop_map(|count| Step::Deliver { count }),
    ];
    vec(step, 1..80)
}

/// What was submitted.
#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Send { end: usize, bytes: Vec<u8> },
    Recv { end: usize, len: usize },
    RecvMany { end: usize },
    Poll { end: usize },
    ShutDown { end: usize },
    Close { end: usize },
    Other,
}

#[derive(Debug)]
struct Submitted {
    kind: Kind,
    /// Its handle was stale already.
    stale: bool,
    /// Somebody has asked that it ends: a cancel, a close of its handle.
    asked_to_end: bool,
    /// It has a deadline.
    bounded: bool,
}

/// What is known of one end.
#[derive(Default, Debug)]
struct Side {
    /// What its sends took, in the order in which they were delivered.
    sent: Vec<u8>,
    /// What its receives got.
    received: Vec<u8>,
    /// A send was deleted: what it took is not known.
    sent_unknown: bool,
    /// A receive was deleted: what it got is lost.
    received_unknown: bool,
    closed: bool,
    shut: bool,
    /// The number of the last operation that had its real outcome, by direction.
    last: [Option<usize>; 2],
}

struct World<B: Backend> {
    driver: Driver<B>,
    handles: [Handle; ENDS],
    notifier: Notifier,
    sides: [Side; ENDS],
    live: HashMap<Key, (usize, Submitted)>,
    keys: Vec<Key>,
    /// Of the next operation that takes one.
    timeout: Option<Duration>,
    pool: BufferPool,
    /// What came from the pool, and was not given back.
    held: Vec<Buffer>,
}

/// Submits an operation, with the timeout that is set, if one is.
macro_rules! bounded {
    ($world:expr, $operation:expr) => {
        match $world.timeout {
            Some(timeout) => $world.driver.submit($operation.with_timeout(timeout)),
            None => $world.driver.submit($operation),
        }
    };
}

/// Runs `program`, and panics where something came that the contract does not allow.
/// Its connections are at free places of `wanted`.
pub(crate) fn run<B: Backend>(program: &[Step], config: &Config, wanted: impl Fn() -> Address) {
    let mut driver = Driver::<B>::open(config.clone()).expect("the backend opens");
    let [first, second] = [(); 2].map(|()| pair_on(&mut driver, wanted()));
    let notifier = driver.notifier();
    let pool = driver.buffer_pool(BUFFERS.0, BUFFERS.1).expect("a small pool");
    let mut world = World {
        driver,
        handles: [first.0, first.1, second.0, second.1],
        notifier,
        sides: Default::default(),
        live: HashMap::new(),
        keys: Vec::new(),
        timeout: None,
        pool,
        held: Vec::new(),
    };
    for step in program {
        world.take(step);
    }
    world.finish();
    world.compare_streams();
}

impl<B: Backend> World<B> {
    fn take(&mut self, step: &Step) {
        match *step {
            Step::Nop => {
                let key = self.driver.submit(Nop);
                self.submitted(key, Kind::Other);
            }
            Step::Send { end, len } => self.send(end, len),
            Step::SendAll { end, len } => self.send_all(end, len),
            Step::Recv { end, len } => self.receive(end, len),
            Step::RecvMany { end } => {
                let (handle, pool) = (self.handles[end], self.pool.clone());
                let key = bounded!(self, RecvMany { handle, pool });
                self.submitted(key, Kind::RecvMany { end });
                self.bounded(key);
            }
            Step::Poll { end, many } => self.poll(end, many),
            Step::GiveBack => self.held.clear(),
            Step::ShutDown { end } => {
                let how = ShutdownHow::Write;
                let key = self.driver.submit(Shutdown { handle: self.handles[end], how });
                self.submitted(key, Kind::ShutDown { end });
                self.sides[end].shut = true;
            }
            Step::Close { end, how } => self.close(end, how),
            Step::Timer { nanoseconds } => {
                let timer = Timer::after(Duration::from_nanos(nanoseconds));
                let key = match self.timeout {
                    Some(timeout) => self.driver.submit(timer.with_timeout(timeout)),
                    None => self.driver.submit(timer),
                };
                self.submitted(key, Kind::Other);
                self.bounded(key);
            }
            Step::Timeout { nanoseconds } => self.timeout = Some(Duration::from_nanos(nanoseconds)),
            Step::Reset { ref operation, nanoseconds } => {
                if let Some(key) = self.key(operation) {
                    let answer =
                        self.driver.timer_reset(key, Timer::after(Duration::from_nanos(nanoseconds)));
                    assert!(answer != Err(Error::NotFound) || !self.live.contains_key(&key));
                }
            }
            Step::Wait => {
                let key = self.driver.submit(NotifierWait { notifier: self.notifier.clone() });
                self.submitted(key, Kind::Other);
            }
            Step::Notify => self.notifier.notify(),
            Step::Cancel { ref operation } => self.cancel(operation),
            Step::Delete { ref operation } => self.delete(operation),
            Step::CancelAll => self.cancel_all(),
            Step::Turn => self.driver.turn_now(),
            Step::Deliver { count } => {
                for _ in 0..count {
                    self.deliver();
                }
            }
        }
    }

    fn send(&mut self, end: usize, len: usize) {
        let number = self.keys.len();
        let bytes = pattern(number as u32, len);
        let (handle, buffer) = (self.handles[end], bytes.clone().into());
        let key = match number % 3 {
            0 => self.driver.submit(Send { handle, buffer }),
            1 => self.driver.submit(WriteVectored { handle, buffers: in_pieces(&bytes, number) }),
            _ => self.driver.submit(Write { handle, buffer }),
        };
        self.submitted(key, Kind::Send { end, bytes });
    }

    fn receive(&mut self, end: usize, len: usize) {
        let (handle, buffer) = (self.handles[end], Buffer::zeroed(len));
        let number = self.keys.len();
        let buffers = in_pieces(&buffer, number);
        let key = match number % 6 {
            0 => bounded!(self, Read { handle, buffer }),
            1 => bounded!(self, ReadExact { handle, buffer }),
            2 => bounded!(self, ReadVectored { handle, buffers }),
            3 => bounded!(self, ReadVectoredExact { handle, buffers }),
            _ => bounded!(self, Recv { handle, buffer }),
        };
        self.submitted(key, Kind::Recv { end, len });
        self.bounded(key);
    }

    fn poll(&mut self, end: usize, many: bool) {
        let (handle, interest) = (self.handles[end], Interest::READABLE);
        let key = if many {
            bounded!(self, PollMany { handle, interest })
        } else {
            bounded!(self, Poll { handle, interest })
        };
        self.submitted(key, Kind::Poll { end });
        self.bounded(key);
    }

    fn send_all(&mut self, end: usize, len: usize) {
        let bytes = pattern(self.keys.len() as u32, len);
        let (handle, buffer) = (self.handles[end], bytes.clone().into());
        let buffers = in_pieces(&bytes, self.keys.len());
        let key = match self.keys.len() % 3 {
            0 => bounded!(self, SendAll { handle, buffer }),
            1 => bounded!(self, WriteVectoredAll { handle, buffers }),
            _ => bounded!(self, WriteAll { handle, buffer }),
        };
        self.submitted(key, Kind::Send { end, bytes });
        self.bounded(key);
    }

    fn submitted(&mut self, key: Key, kind: Kind) {
        let end = match kind {
            Kind::Send { end, .. }
            | Kind::Recv { end, .. }
            | Kind::RecvMany { end }
            | Kind::Poll { end }
            | Kind::ShutDown { end }
            | Kind::Close { end } => Some(end),
            Kind::Other => None,
        };
        let stale = end.is_some_and(|end| self.sides[end].closed);
        let number = self.keys.len();
        self.keys.push(key);
        let earlier =
            self.live.insert(key, (number, Submitted { kind, stale, asked_to_end: false, bounded: false }));
        assert!(earlier.is_none(), "a key names one operation");
    }

    /// The deadline was this one's.
    fn bounded(&mut self, key: Key) {
        let bounded = self.timeout.take().is_some();
        if let Some((_, submitted)) = self.live.get_mut(&key) {
            submitted.bounded = bounded;
        }
    }

    fn close(&mut self, end: usize, how: How) {
        let handle = self.handles[end];
        if matches!(how, How::Silently) {
            self.driver.close(handle);
        } else {
            let detaches = matches!(how, How::Detached) && self.driver.capabilities().descriptors;
            let key = if detaches {
                self.driver.submit(Detach { handle })
            } else {
                self.driver.submit(Close { handle })
            };
            self.submitted(key, Kind::Close { end });
        }
        for (_, submitted) in self.live.values_mut() {
            let pending = match submitted.kind {
                Kind::Send { end: other, .. }
                | Kind::Recv { end: other, .. }
                | Kind::RecvMany { end: other }
                | Kind::Poll { end: other }
                | Kind::ShutDown { end: other } => other == end,
                Kind::Close { .. } | Kind::Other => false,
            };
            submitted.asked_to_end |= pending;
        }
        self.sides[end].closed = true;
    }

    fn key(&self, which: &Index) -> Option<Key> {
        (!self.keys.is_empty()).then(|| *which.get(&self.keys))
    }

    fn cancel(&mut self, which: &Index) {
        let Some(key) = self.key(which) else { return };
        match (self.driver.cancel(key), self.live.get_mut(&key)) {
            (Cancel::NotFound, None) | (Cancel::TooLate, Some(_)) => {}
            (Cancel::Requested, Some((_, submitted))) => submitted.asked_to_end = true,
            // Deleted, and not ended yet.
            (Cancel::TooLate, None) => {}
            (answer, submitted) => panic!("{answer:?} for {submitted:?}"),
        }
    }

    fn delete(&mut self, which: &Index) {
        let Some(key) = self.key(which) else { return };
        let answer = self.driver.delete(key);
        let Some((_, submitted)) = self.live.remove(&key) else { return };
        assert_eq!(answer, Ok(()));
        match submitted.kind {
            Kind::Send { end, .. } => self.sides[end].sent_unknown = true,
            Kind::Recv { end, .. } | Kind::RecvMany { end } => self.sides[end].received_unknown = true,
            Kind::Poll { .. } | Kind::ShutDown { .. } | Kind::Close { .. } | Kind::Other => {}
        }
    }

    fn cancel_all(&mut self) {
        self.driver.cancel_all();
        self.live.values_mut().for_each(|(_, submitted)| submitted.asked_to_end = true);
    }

    /// Everything is asked to end, and must.
    fn finish(&mut self) {
        self.held.clear();
        self.cancel_all();
        for _ in 0..10_000 {
            while self.deliver() {}
            if self.driver.active() == 0 {
                break;
            }
            let end = self.driver.update_now() + Duration::from_millis(100);
            self.driver.turn(Until::Deadline(end)).expect("a turn");
        }
        assert_eq!((self.driver.active(), self.driver.backend_faults()), (0, 0));
        assert!(self.live.is_empty(), "never delivered: {:?}", self.live.values());
    }

    /// Takes one outcome, if there is one.
    fn deliver(&mut self) -> bool {
        let Some((key, outcome)) = self.driver.pop() else { return false };
        let Some((number, submitted)) = self.live.remove(&key) else {
            panic!("delivered twice, or deleted before: {outcome:?}");
        };
        let Some(outcome) = self.go_on(number, &submitted, outcome) else {
            self.live.insert(key, (number, submitted));
            return true;
        };
        match (submitted.kind.clone(), in_one_piece(outcome)) {
            (Kind::Send { end, bytes }, Outcome::Send(sent)) => {
                assert_bytes(&sent.buffer, &bytes);
                self.sent(end, number, &submitted, sent.result, &bytes);
            }
            (Kind::Send { end, bytes }, Outcome::Write(written)) => {
                assert_bytes(&written.buffer, &bytes);
                self.sent(end, number, &submitted, written.result, &bytes);
            }
            (Kind::Send { end, bytes }, Outcome::SendAll(SentAll { buffer, transferred, result, .. }))
            | (
                Kind::Send { end, bytes },
                Outcome::WriteAll(WrittenAll { buffer, transferred, result, .. }),
            ) => {
                assert_bytes(&buffer, &bytes);
                assert!(transferred <= bytes.len());
                assert!(result.is_err() || transferred == bytes.len());
                let result = result.map(|()| transferred);
                self.sent(end, number, &submitted, result, &bytes);
                if result.is_err() {
                    self.sides[end].sent.extend_from_slice(&bytes[..transferred]);
                }
            }
            (Kind::Recv { end, len }, Outcome::Recv(Received { buffer, result, .. }))
            | (Kind::Recv { end, len }, Outcome::Read(BytesRead { buffer, result, .. })) => {
                assert_eq!(buffer.len(), len);
                self.check(end, 0, number, &submitted, result);
                self.received(end, &buffer, result.unwrap_or(0));
            }
            (Kind::Recv { end, len }, Outcome::ReadExact(read)) => {
                assert_eq!(read.buffer.len(), len);
                assert!(if read.result.is_ok() {
                    read.transferred == len
                } else {
                    read.transferred < len.max(1)
                });
                self.check(end, 0, number, &submitted, read.result.map(|()| len));
                self.received(end, &read.buffer, read.transferred);
            }
            (Kind::RecvMany { end }, Outcome::RecvManyEnded(ended)) => {
                self.check(end, 0, number, &submitted, ended.result.map(|()| 0));
            }
            (Kind::Poll { .. }, Outcome::Poll(polled)) => self.polled(&submitted, polled.result),
            (Kind::Poll { .. }, Outcome::PollManyEnded(ended)) => self.polled(&submitted, Err(ended.error)),
            (Kind::ShutDown { end }, Outcome::Shutdown(outcome)) => {
                self.check(end, 1, number, &submitted, outcome.result.map(|()| 0));
            }
            (Kind::Close { .. }, Outcome::Close(closed)) => check_closed(&submitted, closed.result),
            (Kind::Close { .. }, Outcome::Detach(detached)) => {
                check_closed(&submitted, detached.result.map(drop));
            }
            (Kind::Other, Outcome::Nop(done)) => check_local(&submitted, done.result),
            (Kind::Other, Outcome::Timer(expired)) => check_local(&submitted, expired.result),
            (Kind::Other, Outcome::NotifierWait(notified)) => check_local(&submitted, notified.result),
            (kind, outcome) => panic!("{outcome:?} is no end of {kind:?}"),
        }
        true
    }

    /// Takes an outcome with more to follow; one that has none comes back.
    fn go_on(&mut self, number: usize, submitted: &Submitted, outcome: Outcome) -> Option<Outcome> {
        match (&submitted.kind, outcome) {
            (&Kind::RecvMany { end }, Outcome::RecvManyItem(buffer)) => {
                assert!((1..=BUFFERS.1).contains(&buffer.len()));
                self.check(end, 0, number, submitted, Ok(buffer.len()));
                self.sides[end].received.extend_from_slice(&buffer);
                self.held.push(buffer);
                None
            }
            (Kind::Poll { .. }, Outcome::PollManyItem(ready)) => {
                self.polled(submitted, Ok(ready));
                None
            }
            (_, last) => Some(last),
        }
    }

    /// Whether a poll may have told so. It takes nothing, and has no turn: others receive what it tells of.
    fn polled(&self, submitted: &Submitted, result: Result<Readiness, Error>) {
        match result {
            Ok(ready) => {
                assert!(ready.is_readable() || ready.is_hang_up() || ready.is_error(), "{ready:?}");
                assert!(!submitted.stale && !ready.is_writable() && !ready.is_priority(), "{ready:?}");
            }
            Err(Error::Unsupported) => assert!(!self.driver.capabilities().polling),
            Err(Error::StaleHandle) => assert!(submitted.stale),
            Err(Error::Busy) => panic!("any number poll one handle"),
            result => check_local(submitted, result.map(drop)),
        }
    }

    /// What the first `count` bytes of a buffer are, which was all zeros.
    fn received(&mut self, end: usize, buffer: &[u8], count: usize) {
        assert!(buffer[count..].iter().all(|&byte| byte == 0), "the rest is as it was");
        self.sides[end].received.extend_from_slice(&buffer[..count]);
    }

    fn sent(
        &mut self,
        end: usize,
        number: usize,
        submitted: &Submitted,
        result: Result<usize, Error>,
        bytes: &[u8],
    ) {
        self.check(end, 1, number, submitted, result);
        if let Ok(count) = result {
            assert!(count <= bytes.len() && (count > 0 || bytes.is_empty()));
            self.sides[end].sent.extend_from_slice(&bytes[..count]);
        }
    }

    /// Whether the operation may have ended so, and in its turn.
    fn check(
        &mut self,
        end: usize,
        direction: usize,
        number: usize,
        submitted: &Submitted,
        result: Result<usize, Error>,
    ) {
        let peer = end ^ 1;
        let disturbed = [end, peer].iter().any(|&end| self.sides[end].closed || self.sides[end].shut);
        match result {
            Err(Error::StaleHandle) => return assert!(submitted.stale),
            Err(Error::Canceled) => return assert!(submitted.asked_to_end && !submitted.stale),
            Err(Error::TimedOut) => return assert!(submitted.bounded && !submitted.stale),
            Err(error) => {
                let kind = error.kind();
                let fits = matches!(
                    kind,
                    ErrorKind::BrokenPipe
                        | ErrorKind::ConnectionReset
                        | ErrorKind::NotConnected
                        | ErrorKind::UnexpectedEof
                );
                assert!(fits && disturbed, "{error:?} of {:?}", submitted.kind);
            }
            Ok(0) if matches!(submitted.kind, Kind::Recv { len: 1.., .. } | Kind::RecvMany { .. }) => {
                assert!(disturbed, "no end so far")
            }
            Ok(_) => {}
        }
        assert!(!submitted.stale);
        let last = &mut self.sides[end].last[direction];
        // One that goes on has several.
        assert!(last.is_none_or(|last| last <= number), "first in, first out");
        *last = Some(number);
    }

    /// What each end received is what its peer's sends took, from the beginning on.
    fn compare_streams(&self) {
        for (end, side) in self.sides.iter().enumerate() {
            let peer = &self.sides[end ^ 1];
            if side.received_unknown || peer.sent_unknown {
                continue;
            }
            assert!(side.received.len() <= peer.sent.len(), "more was received than sent");
            assert_bytes(&side.received, &peer.sent[..side.received.len()]);
        }
    }
}

/// Closing fails only where it was done before.
fn check_closed(submitted: &Submitted, result: Result<(), Error>) {
    match result {
        Err(Error::StaleHandle) => assert!(submitted.stale),
        result => assert_eq!((result, submitted.stale), (Ok(()), false)),
    }
}

/// Of what core does by itself.
fn check_local(submitted: &Submitted, result: Result<(), Error>) {
    match result {
        Ok(()) | Err(Error::Busy) => {}
        Err(Error::Canceled) => assert!(submitted.asked_to_end),
        Err(Error::TimedOut) => assert!(submitted.bounded),
        Err(error) => panic!("{error:?}"),
    }
}
