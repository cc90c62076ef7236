//! Programs of datagrams whose steps race with each other and with the system: each datagram that was sent is received
//! once, in its order, as long as it was and as far as it fits, whatever is cancelled meanwhile.

use std::collections::HashMap;
use std::time::Duration;

use proactor_core::{
    Address, Backend, Buffer, Cancel, Config, Datagram, Driver, Envelope, Error, Handle, Key, Outcome, Peer,
    ReceivedFrom, ReceivedMsg, RecvFrom, RecvMsg, SendMsg, SendTo, SentMsg, SentTo, Until,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use rustix::io::Errno;

use crate::steps::{assert_bytes, pattern};
use crate::turns::Turns;

/// Sockets; all of their datagrams together fit into one receive buffer.
const ENDS: usize = 3;

/// Bytes that tell which datagram it is.
const NUMBER_BYTES: usize = size_of::<u16>();

/// As much as any datagram has.
const LONGEST: usize = 200;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// As SendTo or as SendMsg.
    Send {
        from: usize,
        to: usize,
        len: usize,
        enveloped: bool,
    },
    /// As RecvFrom or as RecvMsg.
    Receive {
        end: usize,
        room: usize,
        timeout: Option<u64>,
        enveloped: bool,
    },
    Close {
        end: usize,
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

pub(crate) fn program() -> impl Strategy<Value = Vec<Step>> {
    let end = || 0..ENDS;
    let room = prop_oneof![1 => Just(0), 8 => NUMBER_BYTES..LONGEST + 100];
    let timeout = proptest::option::weighted(0.4, prop_oneof![Just(0), 0_u64..200_000]);
    let step = prop_oneof![
        12 => (end(), end(), NUMBER_BYTES..LONGEST, any::<bool>())
            .prop_map(|(from, to, len, enveloped)| Step::Send { from, to, len, enveloped }),
        12 => (end(), room, timeout, any::<bool>())
            .prop_map(|(end, room, timeout, enveloped)| Step::Receive { end, room, timeout, enveloped }),
        1 => end().prop_map(|end| Step::Close { end }),
        4 => any::<Index>().prop_map(|operation| Step::Cancel { operation }),
        1 => any::<Index>().prop_map(|operation| Step::Delete { operation }),
        1 => Just(Step::CancelAll),
        8 => Just(Step::Turn),
        6 => (1_usize..6).prop_map(|count| Step::Deliver { count }),
    ];
    vec(step, 1..80)
}

/// A datagram, and what became of it.
#[derive(Debug)]
struct Message {
    from: usize,
    to: usize,
    bytes: Vec<u8>,
    fate: Fate,
    is_received: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// Nothing is known of it yet; or never will be, since its send was deleted.
    Unknown,
    Sent,
    Unsent,
}

/// What was submitted.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Send { message: usize },
    Receive { end: usize, room: usize, is_bounded: bool },
}

#[derive(Debug)]
struct Submitted {
    kind: Kind,
    /// Counts the operations, to see their order.
    number: usize,
    is_stale: bool,
    asked_to_end: bool,
}

/// What is known of one socket.
#[derive(Default, Debug)]
struct Side {
    is_closed: bool,
    /// A receive was deleted: what it got is lost.
    has_deleted: bool,
    received: usize,
    /// The number of the last receive and of the last send that had a real outcome.
    last: [Option<usize>; 2],
    /// The last datagram from each other side.
    last_from: [Option<usize>; ENDS],
}

struct World<B: Backend> {
    driver: Driver<B>,
    handles: [Handle; ENDS],
    addresses: [Address; ENDS],
    sides: [Side; ENDS],
    messages: Vec<Message>,
    live: HashMap<Key, Submitted>,
    keys: Vec<Key>,
}

/// Runs `program`, and panics where something came that the contract does not allow.
/// Its sockets are at free places of `wanted`.
pub(crate) fn run<B: Backend>(program: &[Step], config: &Config, wanted: impl Fn() -> Address) {
    let mut driver = Driver::<B>::open(config.clone()).expect("the backend opens");
    let handles = [(); ENDS].map(|()| {
        let wanted = wanted();
        let handle = driver.datagram_socket(wanted.family()).expect("a datagram socket");
        driver.bind(handle, wanted).expect("a free port");
        handle
    });
    let addresses = handles.map(|handle| driver.local_address(handle).expect("it is bound"));
    let mut world = World {
        driver,
        handles,
        addresses,
        sides: Default::default(),
        messages: Vec::new(),
        live: HashMap::new(),
        keys: Vec::new(),
    };
    for step in program {
        world.take(step);
    }
    world.driver.cancel_all();
    world.live.values_mut().for_each(|submitted| submitted.asked_to_end = true);
    world.finish();
    (0..ENDS).for_each(|end| world.drain(end));
}

impl<B: Backend> World<B> {
    fn take(&mut self, step: &Step) {
        match *step {
            Step::Send { from, to, len, enveloped } => self.send(from, to, len, enveloped),
            Step::Receive { end, room, timeout, enveloped } => {
                self.receive((end, room), timeout.map(Duration::from_nanos), enveloped)
            }
            Step::Close { end } => {
                self.driver.close(self.handles[end]);
                self.sides[end].is_closed = true;
                for submitted in self.live.values_mut() {
                    submitted.asked_to_end |= match submitted.kind {
                        Kind::Send { message } => self.messages[message].from == end,
                        Kind::Receive { end: other, .. } => other == end,
                    };
                }
            }
            Step::Cancel { ref operation } => self.cancel(operation),
            Step::Delete { ref operation } => self.delete(operation),
            Step::CancelAll => {
                self.driver.cancel_all();
                self.live.values_mut().for_each(|submitted| submitted.asked_to_end = true);
            }
            Step::Turn => self.driver.turn_now(),
            Step::Deliver { count } => {
                for _ in 0..count {
                    self.deliver();
                }
            }
        }
    }

    fn send(&mut self, from: usize, to: usize, len: usize, enveloped: bool) {
        let message = self.messages.len();
        // Fewer than there are steps.
        let mut bytes = (message as u16).to_ne_bytes().to_vec();
        bytes.extend(pattern(message as u32, len - NUMBER_BYTES));
        let (handle, buffer, address) =
            (self.handles[from], bytes.clone().into(), self.addresses[to].clone());
        let key = if enveloped {
            self.driver.submit(SendMsg { handle, buffer, envelope: address.into() })
        } else {
            self.driver.submit(SendTo { handle, buffer, peer: address.into() })
        };
        self.messages.push(Message { from, to, bytes, fate: Fate::Unknown, is_received: false });
        self.submitted(key, Kind::Send { message }, from);
    }

    fn receive(&mut self, (end, room): (usize, usize), timeout: Option<Duration>, enveloped: bool) {
        let (handle, buffer) = (self.handles[end], Buffer::zeroed(room));
        let as_message = |buffer| RecvMsg { handle, buffer, envelope: Envelope::with_room(1) };
        let as_datagram = |buffer| RecvFrom { handle, buffer, peer: Peer::default() };
        let key = match (enveloped, timeout) {
            (true, Some(timeout)) => self.driver.submit(as_message(buffer).with_timeout(timeout)),
            (true, None) => self.driver.submit(as_message(buffer)),
            (false, Some(timeout)) => self.driver.submit(as_datagram(buffer).with_timeout(timeout)),
            (false, None) => self.driver.submit(as_datagram(buffer)),
        };
        self.submitted(key, Kind::Receive { end, room, is_bounded: timeout.is_some() }, end);
    }

    fn submitted(&mut self, key: Key, kind: Kind, end: usize) {
        let (number, is_stale) = (self.keys.len(), self.sides[end].is_closed);
        self.keys.push(key);
        let earlier = self.live.insert(key, Submitted { kind, number, is_stale, asked_to_end: false });
        assert!(earlier.is_none(), "a key names one operation");
    }

    fn key(&self, which: &Index) -> Option<Key> {
        (!self.keys.is_empty()).then(|| *which.get(&self.keys))
    }

    fn cancel(&mut self, which: &Index) {
        let Some(key) = self.key(which) else { return };
        match (self.driver.cancel(key), self.live.get_mut(&key)) {
            (Cancel::NotFound, None) | (Cancel::TooLate, _) => {}
            (Cancel::Requested, Some(submitted)) => submitted.asked_to_end = true,
            (answer, submitted) => panic!("{answer:?} for {submitted:?}"),
        }
    }

    fn delete(&mut self, which: &Index) {
        let Some(key) = self.key(which) else { return };
        let answer = self.driver.delete(key);
        let Some(submitted) = self.live.remove(&key) else { return };
        assert_eq!(answer, Ok(()));
        if let Kind::Receive { end, .. } = submitted.kind {
            self.sides[end].has_deleted = true;
        }
    }

    /// Everything has been asked to end, and must.
    fn finish(&mut self) {
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

    /// Receives what is left, and sees that nothing is missing.
    fn drain(&mut self, end: usize) {
        if self.sides[end].is_closed {
            return;
        }
        let mut before = usize::MAX;
        while self.sides[end].received != before {
            before = self.sides[end].received;
            self.receive((end, LONGEST), Some(Duration::from_micros(200)), before % 2 == 0);
            self.finish();
        }
        let of =
            |fate| self.messages.iter().filter(|message| message.to == end && message.fate == fate).count();
        let (sent, unknown, received) = (of(Fate::Sent), of(Fate::Unknown), self.sides[end].received);
        assert!(received <= sent + unknown, "{received} were received of {sent}");
        assert!(received >= sent || self.sides[end].has_deleted, "{received} were received of {sent}");
    }

    /// Takes one outcome, if there is one.
    fn deliver(&mut self) -> bool {
        let Some((key, outcome)) = self.driver.pop() else { return false };
        let Some(submitted) = self.live.remove(&key) else {
            panic!("delivered twice, or deleted before: {outcome:?}");
        };
        match (submitted.kind, outcome) {
            (Kind::Send { message }, Outcome::SendTo(sent)) => self.sent(message, &submitted, &sent),
            (Kind::Send { message }, Outcome::SendMsg(SentMsg { handle, buffer, envelope, result })) => {
                let peer = envelope.address().cloned().map_or_else(Peer::default, Peer::from);
                let len = buffer.len();
                let result = result.map(|count| assert_eq!(count, len));
                self.sent(message, &submitted, &SentTo { handle, buffer, peer, result });
            }
            (Kind::Receive { .. }, Outcome::RecvFrom(received)) => self.end_of_receive(&submitted, &received),
            (Kind::Receive { .. }, Outcome::RecvMsg(ReceivedMsg { handle, buffer, envelope, result })) => {
                assert_eq!((envelope.room(), envelope.descriptors().len()), (1, 0));
                let peer = envelope.address().cloned().map_or_else(Peer::default, Peer::from);
                let result = result.map(|message| {
                    assert!(!message.is_control_truncated());
                    Datagram::new(message.len(), message.is_truncated())
                });
                self.end_of_receive(&submitted, &ReceivedFrom { handle, buffer, peer, result });
            }
            (kind, outcome) => panic!("{outcome:?} is no end of {kind:?}"),
        }
        true
    }

    fn end_of_receive(&mut self, submitted: &Submitted, received: &ReceivedFrom) {
        let Kind::Receive { end, room, is_bounded } = submitted.kind else { unreachable!("a receive") };
        assert_eq!(received.buffer.len(), room);
        if received.result == Err(Error::TimedOut) {
            assert!(is_bounded && !submitted.is_stale);
        } else if self.is_real(end, 0, submitted, received.result.err()) {
            self.received(end, room, received);
        }
    }

    /// Whether an outcome is a real one, which comes in its turn.
    fn is_real(&mut self, end: usize, direction: usize, submitted: &Submitted, error: Option<Error>) -> bool {
        match error {
            Some(Error::StaleHandle) => assert!(submitted.is_stale),
            Some(Error::Canceled) => assert!(submitted.asked_to_end && !submitted.is_stale),
            Some(error) => panic!("{error:?} of {submitted:?}"),
            None => {
                assert!(!submitted.is_stale);
                let last = &mut self.sides[end].last[direction];
                assert!(last.is_none_or(|last| last < submitted.number), "first in, first out");
                *last = Some(submitted.number);
            }
        }
        error.is_none()
    }

    fn sent(&mut self, message: usize, submitted: &Submitted, sent: &SentTo) {
        let Message { from, to, ref bytes, .. } = self.messages[message];
        assert_bytes(&sent.buffer, bytes);
        assert_eq!(sent.peer.address(), Some(&self.addresses[to]));
        // Over Unix sockets, who is full or gone is told.
        let is_local = self.addresses[to].as_unix().is_some();
        let is_refused = match sent.result {
            Err(error) if error == Errno::NOBUFS.into() => is_local,
            Err(error) if error == Errno::CONNREFUSED.into() => is_local && self.sides[to].is_closed,
            _ => false,
        };
        let is_sent = !is_refused && self.is_real(from, 1, submitted, sent.result.err());
        let message = &mut self.messages[message];
        assert!(is_sent || !message.is_received, "received, and not sent");
        message.fate = if is_sent { Fate::Sent } else { Fate::Unsent };
    }

    fn received(&mut self, end: usize, room: usize, received: &ReceivedFrom) {
        let datagram = received.result.expect("it was received");
        let (kept, rest) = received.buffer.split_at(datagram.len());
        assert!(rest.iter().all(|&byte| byte == 0), "the rest is as it was");
        self.sides[end].received += 1;
        let Some(number) = kept.first_chunk() else {
            return assert!(room == 0 && datagram.is_truncated(), "{datagram:?} into {room}");
        };
        let number = usize::from(u16::from_ne_bytes(*number));
        let message = &mut self.messages[number];
        assert_eq!((message.to, message.is_received), (end, false), "{message:?}");
        assert!(message.fate != Fate::Unsent, "{message:?}");
        message.is_received = true;
        assert_bytes(kept, &message.bytes[..room.min(message.bytes.len())]);
        assert_eq!(datagram.is_truncated(), message.bytes.len() > room);
        assert_eq!(received.peer.address(), Some(&self.addresses[message.from]));
        let last = &mut self.sides[end].last_from[message.from];
        assert!(last.is_none_or(|last| last < number), "out of order");
        *last = Some(number);
    }
}
