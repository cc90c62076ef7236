//! Programs that move bytes along a chain of pipes and a connection: whatever ends a [`Splice`], and whenever, no byte is lost, none
//! comes twice, and none overtakes another.

use std::collections::HashMap;
use std::time::Duration;

use proactor_core::{
    Backend, Buffer, Config, Driver, Error, Handle, Key, Outcome, Read, Splice, Spliced, Until, Write,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use rustix::pipe::pipe;

use crate::steps::{IPV4, address, assert_bytes, pattern};
use crate::turns::{Turns, pair_on};

/// What carries on to the next: from pipe to pipe, from a pipe to a socket, from its peer to a pipe.
const HOPS: usize = 3;

/// More turns than any program needs to come to its end.
const TURNS_MAX: u32 = 100_000;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// More goes in at one end.
    Write {
        len: usize,
    },
    /// What is there comes out at the other end.
    Read {
        len: usize,
    },
    Splice {
        hop: usize,
        len: u64,
        /// In nanoseconds, if it has one.
        timeout: Option<u64>,
    },
    Cancel {
        operation: Index,
    },
    /// Of a splice: of anything else it would not be known what it has moved.
    Delete {
        operation: Index,
    },
    CancelAll,
    Turn,
    Deliver,
}

pub(crate) fn program() -> impl Strategy<Value = Vec<Step>> {
    let timeout = || prop::option::weighted(0.2, 0_u64..200_000);
    let step = prop_oneof![
        5 => (0_usize..30_000).prop_map(|len| Step::Write { len }),
        4 => (1_usize..50_000).prop_map(|len| Step::Read { len }),
        16 => (0..HOPS, 0_u64..100_000, timeout()).prop_map(|(hop, len, timeout)| Step::Splice { hop, len, timeout }),
        5 => any::<Index>().prop_map(|operation| Step::Cancel { operation }),
        2 => any::<Index>().prop_map(|operation| Step::Delete { operation }),
        1 => Just(Step::CancelAll),
        8 => Just(Step::Turn),
        6 => Just(Step::Deliver),
    ];
    vec(step, 1..100)
}

/// What was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    Write,
    Read,
    Splice { hop: usize, len: u64 },
}

struct World<B: Backend> {
    driver: Driver<B>,
    /// Where the hops go from and to.
    hops: [(Handle, Handle); HOPS],
    first: Handle,
    last: Handle,
    keys: Vec<Key>,
    live: HashMap<Key, Asked>,
    /// What the first pipe has taken.
    written: Vec<u8>,
    read: Vec<u8>,
    /// What each hop has told that it has moved; of those deleted, nobody knows.
    told: [u64; HOPS],
    is_all_told: bool,
}

/// Runs `program`, and panics where something is not as it went in.
pub(crate) fn run<B: Backend>(program: &[Step], config: &Config) {
    let mut driver = Driver::<B>::open(config.clone()).expect("the backend opens");
    let ends = || pipe().map(|(reader, writer)| [reader, writer]).expect("a pipe");
    let pipes =
        [ends(), ends(), ends()].map(|ends| ends.map(|end| driver.attach(end).expect("a pipe's end")));
    let (near, far) = pair_on(&mut driver, address(IPV4));
    let [[second, first], [third, into], [last, out]] = pipes;
    let hops = [(second, into), (third, near), (far, out)];
    let (keys, live, written, read) = Default::default();
    let (told, is_all_told) = ([0; HOPS], true);
    let mut world = World { driver, hops, first, last, keys, live, written, read, told, is_all_told };
    for step in program {
        world.take(step);
    }
    world.finish();
}

impl<B: Backend> World<B> {
    fn take(&mut self, step: &Step) {
        match *step {
            Step::Write { len } => {
                // One goes on from where the one before it has ended.
                if !self.live.values().any(|asked| *asked == Asked::Write) {
                    let bytes = pattern(7, self.written.len() + len).split_off(self.written.len());
                    let key = self.driver.submit(Write { handle: self.first, buffer: bytes.into() });
                    self.note(key, Asked::Write);
                }
            }
            Step::Read { len } => self.read(len),
            Step::Splice { hop, len, timeout } => self.splice(hop, len, timeout),
            Step::Cancel { ref operation } => {
                if let Some(&key) = self.key(operation) {
                    self.driver.cancel(key);
                }
            }
            Step::Delete { ref operation } => {
                let key = self.key(operation).copied();
                let splice = key.filter(|key| matches!(self.live.get(key), Some(Asked::Splice { .. })));
                if let Some(key) = splice {
                    self.driver.delete(key).expect("it was not delivered");
                    self.live.remove(&key);
                    self.is_all_told = false;
                }
            }
            Step::CancelAll => self.driver.cancel_all(),
            Step::Turn => self.driver.turn_now(),
            Step::Deliver => while self.deliver() {},
        }
    }

    fn key(&self, operation: &Index) -> Option<&Key> {
        (!self.keys.is_empty()).then(|| operation.get(&self.keys))
    }

    fn note(&mut self, key: Key, asked: Asked) {
        self.live.insert(key, asked);
        self.keys.push(key);
    }

    fn read(&mut self, len: usize) {
        let key = self.driver.submit(Read { handle: self.last, buffer: Buffer::zeroed(len) });
        self.note(key, Asked::Read);
    }

    fn splice(&mut self, hop: usize, len: u64, timeout: Option<u64>) {
        let (from, to) = self.hops[hop];
        let splice = Splice { from, to, len };
        let key = match timeout {
            Some(timeout) => self.driver.submit(splice.with_timeout(Duration::from_nanos(timeout))),
            None => self.driver.submit(splice),
        };
        self.note(key, Asked::Splice { hop, len });
    }

    /// Takes one outcome, if there is one.
    fn deliver(&mut self) -> bool {
        let Some((key, outcome)) = self.driver.pop() else { return false };
        let asked = self.live.remove(&key).expect("an outcome has a submission, and comes once");
        match outcome {
            Outcome::Splice(Spliced { from, to, len, result }) => {
                let Asked::Splice { hop, len: asked } = asked else { panic!("{asked:?} ends as what it is") };
                assert_eq!(((from, to), len), (self.hops[hop], asked));
                match result {
                    Ok(count) => {
                        assert!(count <= len && (count > 0 || len == 0), "the pipes are open");
                        self.told[hop] += count;
                    }
                    Err(error) => assert!([Error::Canceled, Error::TimedOut].contains(&error), "{error:?}"),
                }
            }
            Outcome::Write(written) => match written.result {
                Ok(count) => self.written.extend_from_slice(&written.buffer[..count]),
                Err(error) => assert_eq!(error, Error::Canceled),
            },
            Outcome::Read(read) => match read.result {
                Ok(count) => self.read.extend_from_slice(&read.buffer[..count]),
                Err(error) => assert_eq!(error, Error::Canceled),
            },
            other => panic!("nobody has asked for {other:?}"),
        }
        true
    }

    /// Ends everything, and has what is on its way come out.
    fn finish(mut self) {
        self.driver.cancel_all();
        self.turn_until(|world| world.live.is_empty() && world.driver.active() == 0);
        let written = self.written.len();
        for _ in 0..TURNS_MAX {
            if self.read.len() == written {
                break;
            }
            for hop in 0..HOPS {
                let asked = Asked::Splice { hop, len: 1 << 16 };
                if !self.live.values().any(|live| *live == asked) {
                    self.splice(hop, 1 << 16, None);
                }
            }
            if !self.live.values().any(|asked| *asked == Asked::Read) {
                self.read(1 << 16);
            }
            self.driver.turn(Until::Forever).expect("something is on its way");
            while self.deliver() {}
        }
        assert_bytes(&self.read, &self.written);
        if self.is_all_told {
            assert_eq!(self.told, [written as u64; HOPS], "each hop has told of each byte");
        }
        self.driver.cancel_all();
        self.turn_until(|world| world.live.is_empty());
        assert_eq!((self.driver.active(), self.driver.backend_faults()), (0, 0));
    }

    fn turn_until(&mut self, is_over: impl Fn(&Self) -> bool) {
        for _ in 0..TURNS_MAX {
            while self.deliver() {}
            if is_over(self) {
                return;
            }
            self.driver.turn_now();
        }
        panic!("it has not come to its end");
    }
}
