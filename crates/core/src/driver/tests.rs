//! The driver on a backend that completes only what the test tells it to, held to a small model.

use std::collections::BTreeMap;
use std::io;

use proptest::prelude::*;

mod attacks;
mod deadline;
mod hostile;
mod left;
mod manual;
mod mended;
mod splice;
mod storms;

use super::{Driver, Next};
use crate::backend::{Attempted, Backend, OwnedDescriptor, Token, Until, Wake};
use crate::done::Done;
use crate::file::ReadAt;
use crate::operation::{Direction, Nop, Operation, Target, Timer};
use crate::outcome::Outcome;
use crate::socket::{Control, Family, Reply, SocketKind};
use crate::state::State;
use crate::stream::{Received, Recv, Send, Sent};
use crate::{Buffer, Cancel, Capabilities, Close, Config, Error, Handle, Key, Slot, Splice, Time};

use manual::Manual;

#[derive(Clone)]
struct NoWake;

impl Wake for NoWake {
    fn wake(&self) {}
}

/// One step of a program; numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    Open,
    Recv(usize),
    Send(usize),
    ReadAt(usize),
    /// From the one to the other.
    Splice(usize, usize),
    Nop,
    Timer(u64),
    /// One of the others with a deadline, so much later.
    Bounded(usize, u64),
    Turn,
    Complete(usize),
    Pop,
    Cancel(usize),
    CancelAll,
    Delete(usize),
    Close(usize),
    CloseOperation(usize),
    Reset(usize, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Open),
        6 => (0..4_usize).prop_map(Step::Recv),
        6 => (0..4_usize).prop_map(Step::Send),
        4 => (0..4_usize).prop_map(Step::ReadAt),
        4 => ((0..4_usize), (0..4_usize)).prop_map(|(from, to)| Step::Splice(from, to)),
        1 => Just(Step::Nop),
        2 => (0..50_u64).prop_map(Step::Timer),
        4 => ((0..6_usize), (0..50_u64)).prop_map(|(which, after)| Step::Bounded(which, after)),
        6 => Just(Step::Turn),
        6 => (0..8_usize).prop_map(Step::Complete),
        4 => Just(Step::Pop),
        3 => (0..64_usize).prop_map(Step::Cancel),
        1 => Just(Step::CancelAll),
        2 => (0..64_usize).prop_map(Step::Delete),
        1 => (0..4_usize).prop_map(Step::Close),
        1 => (0..4_usize).prop_map(Step::CloseOperation),
        1 => ((0..64_usize), (0..50_u64)).prop_map(|(which, after)| Step::Reset(which, after)),
    ]
}

/// What the model remembers of one submission.
struct Submitted {
    key: Key,
    /// The queues in which it must keep its place: where it reads, and where it writes.
    queues: [Option<Handle>; 2],
    deleted: bool,
    canceled_alone: bool,
    /// Where it reads, it is cancelled in its place; where it writes as well, it is not in its place there.
    canceled_from_afar: bool,
    /// The earliest moment at which it may end for want of time.
    deadline: Option<u64>,
    outcomes: u32,
}

struct Program {
    driver: Driver<Manual>,
    handles: Vec<Handle>,
    submitted: Vec<Submitted>,
    /// For each queue, the last submission that was delivered.
    last: BTreeMap<(u32, u8), usize>,
}

impl Program {
    fn new(answers_late: bool, chance: u64) -> Self {
        let driver = Driver::with_backend(Manual { answers_late, chance, ..Manual::default() });
        Self { driver, handles: Vec::new(), submitted: Vec::new(), last: BTreeMap::new() }
    }

    fn note(&mut self, key: Key, queues: [Option<Handle>; 2]) {
        self.submitted.push(Submitted {
            key,
            queues,
            deleted: false,
            canceled_alone: false,
            canceled_from_afar: false,
            deadline: None,
            outcomes: 0,
        });
    }

    /// What moves bytes to a handle that closes is cancelled then, whatever is in front of it. Of what has its turn on two
    /// handles, the other one knows nothing.
    fn note_closing(&mut self, handle: Handle) {
        for submitted in &mut self.submitted {
            let [from, to] = submitted.queues;
            submitted.canceled_alone |= from.is_some() && to == Some(handle);
            submitted.canceled_from_afar |= from == Some(handle);
        }
    }

    /// A buffer that carries the number of the submission which takes it.
    fn numbered(&self) -> Buffer {
        Buffer::from((self.submitted.len() as u64).to_le_bytes().to_vec())
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Open if self.handles.len() < 4 => {
                self.handles.push(self.driver.socket(Family::Ipv4).expect("opens"));
            }
            Step::Recv(which) | Step::Send(which) => self.submit_stream(step, which),
            Step::ReadAt(which) => {
                let Some(&handle) = self.handles.get(which) else { return };
                let buffer = self.numbered();
                let key = self.driver.submit(ReadAt { handle, buffer, offset: 0 });
                assert_eq!(self.driver.detach(handle).map(drop), Err(Error::Busy));
                self.note(key, [None; 2]);
            }
            Step::Splice(from, to) => {
                let [Some(&from), Some(&to)] = [from, to].map(|which| self.handles.get(which)) else {
                    return;
                };
                let key = self.driver.submit(Splice { from, to, len: self.submitted.len() as u64 });
                assert_eq!(self.driver.detach(to).map(drop), Err(Error::Busy));
                self.note(key, [Some(from), Some(to)]);
            }
            Step::Nop => {
                let key = self.driver.submit(Nop);
                self.note(key, [None; 2]);
            }
            Step::Timer(after) => {
                let key = self.driver.submit(Timer::after(std::time::Duration::from_nanos(after)));
                self.note(key, [None; 2]);
            }
            Step::Bounded(which, after) => self.submit_bounded(which, after),
            Step::Turn => self.driver.turn(Until::Now).expect("turns"),
            Step::Complete(which) => self.complete(which),
            Step::Pop => self.pop_all(),
            Step::Cancel(which) => self.cancel(which),
            Step::CancelAll => self.cancel_all(),
            Step::Delete(which) => self.delete(which),
            Step::Close(which) if which < self.handles.len() => {
                let handle = self.handles.swap_remove(which);
                self.note_closing(handle);
                self.driver.close(handle);
            }
            Step::CloseOperation(which) if which < self.handles.len() => {
                let handle = self.handles.swap_remove(which);
                self.note_closing(handle);
                let key = self.driver.submit(Close { handle });
                self.note(key, [None; 2]);
                assert_eq!(self.driver.detach(handle).map(drop), Err(Error::StaleHandle));
            }
            Step::Reset(which, after) => {
                if let Some(submitted) = self.submitted.get(which) {
                    let timer = Timer::after(std::time::Duration::from_nanos(after));
                    let _ = self.driver.timer_reset(submitted.key, timer);
                }
            }
            Step::Open | Step::Close(_) | Step::CloseOperation(_) => {}
        }
    }

    fn submit_stream(&mut self, step: &Step, which: usize) {
        let Some(&handle) = self.handles.get(which) else { return };
        let buffer = self.numbered();
        let (key, queues) = match step {
            Step::Recv(_) => (self.driver.submit(Recv { handle, buffer }), [Some(handle), None]),
            _ => (self.driver.submit(Send { handle, buffer }), [None, Some(handle)]),
        };
        assert_eq!(self.driver.state(key), State::Adding);
        self.note(key, queues);
    }

    fn submit_bounded(&mut self, which: usize, after: u64) {
        let timeout = std::time::Duration::from_nanos(after);
        let nowhere = [None; 2];
        let (key, queues) = match (which, self.handles.get(which)) {
            (0 | 1, Some(&to)) => {
                let from = *self.handles.last().expect("there is one");
                let splice = Splice { from, to, len: self.submitted.len() as u64 };
                (self.driver.submit(splice.with_timeout(timeout)), [Some(from), Some(to)])
            }
            (_, Some(&handle)) => {
                let recv = Recv { handle, buffer: self.numbered() };
                (self.driver.submit(recv.with_timeout(timeout)), [Some(handle), None])
            }
            (4, None) => (self.driver.submit(Nop.with_timeout(timeout)), nowhere),
            (5, None) => {
                let timer = Timer::after(std::time::Duration::from_nanos(25));
                (self.driver.submit(timer.with_timeout(timeout)), nowhere)
            }
            _ => return,
        };
        self.note(key, queues);
        if let Some(submitted) = self.submitted.last_mut() {
            submitted.deadline = Some(self.driver.backend.clock + after);
        }
    }

    fn complete(&mut self, which: usize) {
        let token = self.driver.backend.held.keys().nth(which).copied();
        let Some((index, arming)) = token else { return };
        self.driver.backend.end(
            Token { index, arming },
            &mut self.driver.done,
            |operation| match operation {
                Operation::Recv(Recv { handle, buffer }) => {
                    Outcome::Recv(crate::Received { handle, buffer, result: Ok(1) })
                }
                Operation::Send(Send { handle, buffer }) => {
                    Outcome::Send(crate::Sent { handle, buffer, result: Ok(1) })
                }
                Operation::ReadAt(ReadAt { handle, buffer, offset }) => {
                    Outcome::ReadAt(crate::ReadAtDone { handle, buffer, offset, result: Ok(1) })
                }
                Operation::Splice(Splice { from, to, len }) => {
                    Outcome::Splice(crate::Spliced { from, to, len, result: Ok(1) })
                }
                other => unreachable!("{other:?} is not handed to a backend here"),
            },
        );
    }

    fn cancel(&mut self, which: usize) {
        let Some(submitted) = self.submitted.get_mut(which) else { return };
        let stale = submitted.outcomes > 0;
        let answer = self.driver.cancel(submitted.key);
        assert!(!stale || answer == Cancel::NotFound, "a finished one is not found");
        submitted.canceled_alone |= answer == Cancel::Requested;
    }

    fn cancel_all(&mut self) {
        self.submitted.iter_mut().for_each(|submitted| submitted.canceled_from_afar = true);
        self.driver.cancel_all();
    }

    fn delete(&mut self, which: usize) {
        let Some(submitted) = self.submitted.get_mut(which) else { return };
        let deleted = self.driver.delete(submitted.key);
        assert!(submitted.outcomes == 0 || deleted == Err(Error::NotFound));
        submitted.deleted |= deleted.is_ok();
    }

    fn pop_all(&mut self) {
        while let Some((key, outcome)) = self.driver.pop() {
            let timed_out = outcome.error() == Some(Error::TimedOut);
            let position = self.submitted.iter().position(|submitted| submitted.key == key);
            let number = position.expect("an outcome has a submission");
            match outcome {
                Outcome::Recv(crate::Received { buffer, .. })
                | Outcome::Send(crate::Sent { buffer, .. })
                | Outcome::ReadAt(crate::ReadAtDone { buffer, .. }) => {
                    assert_eq!(&buffer[..], (number as u64).to_le_bytes(), "its own buffer comes back");
                }
                Outcome::Splice(crate::Spliced { len, .. }) => assert_eq!(len, number as u64),
                _ => {}
            }
            let submitted = &mut self.submitted[number];
            assert!(!submitted.deleted, "nothing is delivered after a delete");
            submitted.outcomes += 1;
            assert_eq!(submitted.outcomes, 1, "one outcome each");
            assert_eq!(self.driver.state(key), State::Dead);
            if timed_out {
                let deadline = submitted.deadline.expect("what times out has a deadline");
                assert!(self.driver.backend.clock >= deadline, "never early");
                continue;
            }
            if submitted.canceled_alone {
                continue;
            }
            for (direction, handle) in submitted.queues.into_iter().enumerate() {
                let Some(handle) = handle else { continue };
                let is_second = direction == 1 && submitted.queues[0].is_some();
                if is_second && submitted.canceled_from_afar {
                    continue;
                }
                let last =
                    self.last.entry((handle.name.generation << 8 | handle.name.index, direction as u8));
                let last = last.or_insert(number);
                assert!(*last <= number, "first in, first out");
                *last = number;
            }
        }
    }

    /// Everything ends, and nothing is left.
    fn end(mut self) {
        for handle in std::mem::take(&mut self.handles) {
            self.note_closing(handle);
            self.driver.close(handle);
        }
        self.cancel_all();
        for _ in 0..3 {
            self.driver.turn(Until::Now).expect("turns");
            self.pop_all();
        }
        assert_eq!(self.driver.active(), 0);
        assert_eq!(self.driver.metrics().starting, 0);
        assert_eq!(self.driver.backend_faults(), 0);
        assert!(self.driver.backend.open.is_empty(), "every descriptor is closed");
        assert!(self.driver.backend.held.is_empty());
        assert!(self.driver.done.records.is_empty());
        assert_eq!(self.driver.timers.len(), 0);
        for submitted in &self.submitted {
            assert_eq!(submitted.outcomes, u32::from(!submitted.deleted));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any program keeps what the contract says of completions and handles: C1, C2, C5, X1, H1, H3.
    #[test]
    fn any_program_keeps_the_contract(
        late in any::<bool>(),
        chance in prop_oneof![Just(0), any::<u64>()],
        steps in prop::collection::vec(step(), 0..120)
    ) {
        let mut program = Program::new(late, chance);
        for step in &steps {
            program.run(step);
        }
        program.end();
    }
}

/// A driver with a receive under way, so that it has something to wait for.
fn receiving() -> Driver<Manual> {
    let mut driver = Driver::with_backend(Manual::default());
    let handle = driver.socket(Family::Ipv4).unwrap();
    driver.submit(Recv { handle, buffer: Buffer::zeroed(1) });
    driver.turn(Until::Now).unwrap();
    driver.backend.waits.clear();
    driver
}

/// Contract L1: a wake-up before the wait ends that wait, and only that one.
#[test]
fn a_wake_up_before_the_wait_ends_it() {
    let mut driver = receiving();
    driver.waker().wake();
    driver.turn(Until::Forever).unwrap();
    assert!(!driver.backend.waits.contains(&Until::Forever), "it would have slept");
    assert!(driver.take_wake());
    driver.turn(Until::Forever).unwrap();
    assert_eq!(driver.backend.waits, [Until::Forever]);
    assert!(!driver.take_wake());
}

/// Nobody has to ask for the wake-up: it ends one turn's wait.
#[test]
fn a_wake_up_that_nobody_asks_for_is_over_with_its_turn() {
    let mut driver = receiving();
    driver.waker().wake();
    driver.turn(Until::Forever).unwrap();
    driver.turn(Until::Forever).unwrap();
    assert_eq!(driver.backend.waits, [Until::Forever]);
    assert!(!driver.take_wake());
}

/// However much comes from other threads, the system is asked as well.
#[test]
fn notifications_do_not_hold_up_the_system() {
    let mut driver = receiving();
    for _ in 0..200 {
        driver.waker().wake();
        driver.turn(Until::Forever).unwrap();
    }
    assert!(driver.backend.waits.contains(&Until::Now));
}

/// Contract C4: what was queued is started in order, closes too.
#[test]
fn closes_are_started_in_the_order_of_their_submission() {
    let mut driver = Driver::with_backend(Manual::default());
    let handles: Vec<Handle> = (0..3).map(|_| driver.socket(Family::Ipv4).unwrap()).collect();
    let keys: Vec<Key> = handles.into_iter().map(|handle| driver.submit(Close { handle })).collect();
    driver.turn(Until::Now).unwrap();
    let closed: Vec<Key> = std::iter::from_fn(|| driver.pop()).map(|(key, _)| key).collect();
    assert_eq!(closed, keys);
}

/// Contract L1: a wait for a timer that never expires is one that nothing could ever end.
#[test]
fn a_timer_that_never_expires_ends_no_wait() {
    let mut driver = Driver::with_backend(Manual::default());
    driver.submit(Timer::at(Time::NEVER));
    assert_eq!(driver.turn(Until::Forever), Err(Error::Deadlock));
    let waker = driver.waker();
    driver.turn(Until::Forever).unwrap();
    drop(waker);
    assert_eq!(driver.turn(Until::Forever), Err(Error::Deadlock));
    let handle = driver.socket(Family::Ipv4).unwrap();
    driver.submit(Recv { handle, buffer: Buffer::zeroed(1) });
    driver.turn(Until::Forever).unwrap();
}

/// Delivers the next outcome, of a receive, whose callback arms it again.
fn deliver_and_rearm(driver: &mut Driver<Manual>) -> Result<usize, Error> {
    let Next::Last { index, .. } = driver.next() else { panic!("an outcome is queued") };
    let Some(Outcome::Recv(Received { handle, buffer, result })) = driver.done.records.take_back(index)
    else {
        panic!("it is a receive's")
    };
    assert!(driver.rearm(index, Recv { handle, buffer }));
    result
}

/// Completes the receive that the backend holds, which was asked to end too late.
fn receive_a_byte(driver: &mut Driver<Manual>) {
    let (&(index, arming), _) = driver.backend.held.first_key_value().expect("it is under way");
    assert!(driver.backend.end(Token { index, arming }, &mut driver.done, received_a_byte));
}

fn received_a_byte(operation: Operation) -> Outcome {
    let Operation::Recv(Recv { handle, buffer }) = operation else { panic!("it is a receive") };
    Outcome::Recv(Received { handle, buffer, result: Ok(1) })
}

/// Contract X3, X6: where `cancel_all` asks in time and the real result comes all the same, as it does under io_uring, the
/// callback that knows of nothing and arms again hears of it then, once.
#[test]
fn a_result_that_wins_against_cancel_all_does_not_hide_it() {
    let mut driver = receiving();
    driver.backend.answers_late = true;
    driver.cancel_all();
    receive_a_byte(&mut driver);
    assert_eq!(deliver_and_rearm(&mut driver), Ok(1));
    assert_eq!(deliver_and_rearm(&mut driver), Err(Error::Canceled));
    driver.turn(Until::Now).unwrap();
    receive_a_byte(&mut driver);
    assert_eq!(deliver_and_rearm(&mut driver), Ok(1));
}

/// It is heard of once, where it was heard of.
#[test]
fn what_ended_as_cancelled_by_cancel_all_is_new_when_it_is_armed_again() {
    for answers_late in [false, true] {
        let mut driver = receiving();
        driver.backend.answers_late = answers_late;
        driver.cancel_all();
        driver.turn(Until::Now).unwrap();
        assert_eq!(deliver_and_rearm(&mut driver), Err(Error::Canceled));
        driver.turn(Until::Now).unwrap();
        receive_a_byte(&mut driver);
        assert_eq!(deliver_and_rearm(&mut driver), Ok(1));
    }
}

/// Contract X6, of one that a cancel has ended before: its outcome was queued already.
#[test]
fn cancel_all_covers_a_queued_outcome_of_one_that_was_cancelled() {
    let mut driver = Driver::with_backend(Manual::default());
    let handle = driver.socket(Family::Ipv4).unwrap();
    let key = driver.submit(Recv { handle, buffer: Buffer::zeroed(1) });
    driver.turn(Until::Now).unwrap();
    assert_eq!(driver.cancel(key), Cancel::Requested);
    driver.cancel_all();
    assert_eq!(deliver_and_rearm(&mut driver), Err(Error::Canceled));
    assert_eq!(deliver_and_rearm(&mut driver), Err(Error::Canceled));
    driver.turn(Until::Now).unwrap();
    receive_a_byte(&mut driver);
    assert_eq!(deliver_and_rearm(&mut driver), Ok(1));
}

/// Contract E3, with several receives of one handle: each that fails is held back, though others were in front of it when
/// it was armed again.
#[test]
fn a_delay_is_kept_behind_others() {
    let mut driver = receiving();
    let (_, (slot, _)) = driver.backend.held.first_key_value().expect("it is under way");
    let handle = driver.done.handles.name(*slot);
    driver.submit(Recv { handle, buffer: Buffer::zeroed(1) });
    let delay = std::time::Duration::from_nanos(1000);
    let mut failures = 0;
    for _ in 0..100 {
        driver.turn(Until::Now).unwrap();
        if let Some((&(index, arming), _)) = driver.backend.held.first_key_value() {
            let token = Token { index, arming };
            driver.backend.end(token, &mut driver.done, |operation| operation.fail(Error::NoBuffers));
        }
        while let Next::Last { index, .. } = driver.next() {
            let Some(Outcome::Recv(Received { handle, buffer, result })) =
                driver.done.records.take_back(index)
            else {
                panic!("it is a receive's")
            };
            failures += u32::from(result == Err(Error::NoBuffers));
            let due = driver.update_now() + delay;
            assert!(driver.rearm_at(index, Recv { handle, buffer }, due));
        }
    }
    assert_eq!(failures, 2, "after {} ns", driver.backend.clock);
    driver.backend.clock += 2000;
    for _ in 0..2 {
        driver.turn(Until::Now).unwrap();
    }
    assert_eq!(driver.backend.held.len(), 1);
    driver.cancel_all();
    let ended = std::iter::from_fn(|| driver.pop()).count();
    assert_eq!((ended, driver.active()), (2, 0));
}
