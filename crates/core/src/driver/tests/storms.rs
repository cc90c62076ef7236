//! Loops whose callbacks do whatever comes to mind, on a backend that decides some operations as they are started.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use super::*;
use crate::event_loop::Loop;
use crate::recv_many::RecvManyEnded;
use crate::{Action, BufferPool, Context, Event, Flow, RecvMany, RunMode, SendFile, SentFile};

/// What callbacks choose by, and what they have seen.
struct Storm {
    seed: u64,
    handles: Vec<Handle>,
    keys: Vec<Key>,
    /// How many armings there were, and the number of the last one that has ended well, by queue.
    armed: u64,
    last: BTreeMap<(u32, u32, bool), u64>,
    ended: Vec<u64>,
    panics: bool,
    closing: bool,
    /// One of the loop, and one of nobody's.
    pools: [BufferPool; 2],
}

impl Storm {
    fn any(&mut self, most: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % most
    }

    fn numbered(&mut self) -> Buffer {
        self.armed += 1;
        Buffer::from(self.armed.to_le_bytes().to_vec())
    }

    fn ended(&mut self, handle: Handle, reads: bool, buffer: &Buffer, result: Result<usize, Error>) {
        let number = u64::from_le_bytes(buffer[..8].try_into().expect("its own buffer comes back"));
        self.ended_as(handle, reads, number, result);
    }

    fn ended_as(&mut self, handle: Handle, reads: bool, number: u64, result: Result<usize, Error>) {
        assert!(!self.ended.contains(&number), "one outcome for each arming");
        self.ended.push(number);
        assert_ne!(result, Err(Error::Backend));
        if result.is_ok() {
            let queue = (handle.name.index, handle.name.generation, reads);
            let last = self.last.entry(queue).or_default();
            assert!(*last < number, "first in, first out: {number} after {last}");
            *last = number;
        }
    }
}

type Cx<'a> = Context<'a, Manual, Storm>;

fn submit(storm: &mut Storm, cx: &mut Cx<'_>) {
    if storm.handles.is_empty() || storm.closing {
        return;
    }
    let which = storm.any(storm.handles.len() as u64);
    let handle = storm.handles[which as usize];
    let buffer = storm.numbered();
    let timeout = Duration::from_nanos(storm.any(20));
    let which = storm.any(storm.handles.len() as u64);
    let file = storm.handles[which as usize];
    let pool = storm.pools[usize::from(storm.any(4) == 0)].clone();
    let key = match storm.any(8) {
        2 => {
            let many = RecvMany { handle, pool };
            cx.submit_multishot(many, |storm, cx, event| {
                act(storm, cx);
                match event {
                    Event::More(_) if storm.any(4) == 0 => Flow::Stop,
                    Event::More(_) => Flow::Continue,
                    Event::Last(_) => Flow::Stop,
                }
            })
        }
        3 => {
            let offset = storm.armed;
            cx.submit(SendFile { handle, file, offset, len: 1 }, |storm, cx, sent| {
                let result = sent.result.map(|len| len as usize);
                storm.ended_as(sent.handle, false, sent.offset, result);
                act(storm, cx);
            })
        }
        4 => {
            let offset = storm.armed;
            let send = SendFile { handle, file, offset, len: 1 }.with_timeout(timeout);
            cx.submit(send, |storm, cx, sent: SentFile| {
                let result = sent.result.map(|len| len as usize);
                storm.ended_as(sent.handle, false, sent.offset, result);
                act(storm, cx);
            })
        }
        0 => cx.submit(Send { handle, buffer }, |storm, cx, sent: Sent| {
            storm.ended(sent.handle, false, &sent.buffer, sent.result);
            act(storm, cx);
        }),
        1 => cx.submit(Recv { handle, buffer }.with_timeout(timeout), |storm, cx, received: Received| {
            storm.ended(received.handle, true, &received.buffer, received.result);
            act(storm, cx);
        }),
        _ => cx.submit_rearm(Recv { handle, buffer }, |storm, cx, received| {
            storm.ended(received.handle, true, &received.buffer, received.result);
            act(storm, cx);
            let handle = received.handle;
            match storm.any(4) {
                0 if !storm.closing => {
                    let again = Recv { handle, buffer: storm.numbered() };
                    cx.rearm_after(Duration::from_nanos(storm.any(10)), again)
                }
                1 if !storm.closing => Action::Rearm(Recv { handle, buffer: storm.numbered() }),
                _ => Action::Disarm,
            }
        }),
    };
    storm.keys.push(key);
}

fn act(storm: &mut Storm, cx: &mut Cx<'_>) {
    for _ in 0..storm.any(3) {
        let which = storm.any(64) as usize;
        match storm.any(16) {
            0..=6 => submit(storm, cx),
            7 if which < 8 => cx.cancel_all(),
            8 if which < storm.handles.len() => {
                let handle = storm.handles.swap_remove(which);
                cx.close(handle);
            }
            9 if storm.handles.len() < 3 && !storm.closing => {
                let handle = cx.socket(Family::Ipv4).expect("opens");
                storm.handles.push(handle);
            }
            10 | 11 if !storm.keys.is_empty() => {
                let key = storm.keys[which % storm.keys.len()];
                cx.cancel(key);
            }
            12 if !storm.keys.is_empty() => {
                let key = storm.keys[which % storm.keys.len()];
                let _ = cx.delete(key);
            }
            13 if storm.panics => panic!("as it may"),
            14 if which < 4 => cx.stop(),
            15 if which < storm.handles.len() => {
                let handle = storm.handles.swap_remove(which);
                cx.submit(Close { handle }, |storm, cx, closed| {
                    if closed.result == Err(Error::Full) {
                        cx.close(closed.handle);
                    }
                    act(storm, cx);
                });
            }
            _ => {}
        }
    }
}

/// A program on a backend of the test's own.
struct Weather {
    seed: u64,
    chance: u64,
    late: bool,
    panics: bool,
    hostile: bool,
    most: Option<u32>,
}

fn weather(weather: &Weather) {
    let config = Config { max_operations: weather.most, ..Config::default() };
    let mut ev = Loop::<Manual, Storm>::open(config).unwrap();
    let backend = &mut ev.context().inner.driver.backend;
    (backend.chance, backend.answers_late) = (weather.chance, weather.late);
    let mut storm = Storm {
        seed: weather.seed,
        handles: (0..3).map(|_| ev.context().socket(Family::Ipv4).unwrap()).collect(),
        keys: Vec::new(),
        armed: 0,
        last: BTreeMap::new(),
        ended: Vec::new(),
        panics: weather.panics,
        closing: false,
        pools: [ev.context().buffer_pool(2, 8).unwrap(), BufferPool::default()],
    };
    for _ in 0..150 {
        for _ in 0..storm.any(6) {
            submit(&mut storm, &mut ev.context());
        }
        ev.context().resume();
        if weather.hostile && storm.any(6) == 0 {
            ev.context().inner.driver.backend.attempts_to_panic = Some(storm.any(4) as u32);
        }
        let ran = catch_unwind(AssertUnwindSafe(|| {
            act(&mut storm, &mut ev.context());
            ev.run(&mut storm, RunMode::NoWait).unwrap();
        }));
        if let Err(payload) = ran
            && payload.downcast_ref() != Some(&"as it may")
            && payload.downcast_ref() != Some(&"it was told to")
        {
            resume_unwind(payload);
        }
        complete_some(&mut storm, &mut ev.context().inner.driver);
    }
    calm(&mut ev, &mut storm, weather.hostile);
}

/// Some of what the backend holds is complete.
fn complete_some(storm: &mut Storm, driver: &mut Driver<Manual>) {
    for _ in 0..storm.any(4) {
        let len = driver.backend.held.len() as u64;
        if len == 0 {
            return;
        }
        let which = storm.any(len) as usize;
        let Some((&(index, arming), (_, operation))) = driver.backend.held.iter().nth(which) else { return };
        let token = Token { index, arming };
        if matches!(operation, Operation::RecvMany(_)) && arming % 3 == 0 {
            driver.done.push_piece(token, Buffer::zeroed(1));
        } else {
            driver.backend.end(token, &mut driver.done, succeeded);
        }
    }
}

fn succeeded(operation: Operation) -> Outcome {
    match operation {
        Operation::Recv(Recv { handle, buffer }) => Outcome::Recv(Received { handle, buffer, result: Ok(1) }),
        Operation::Send(Send { handle, buffer }) => Outcome::Send(Sent { handle, buffer, result: Ok(1) }),
        Operation::SendFile(SendFile { handle, file, offset, len }) => {
            Outcome::SendFile(SentFile { handle, file, offset, len, result: Ok(1) })
        }
        Operation::RecvMany(RecvMany { handle, pool }) => {
            Outcome::RecvManyEnded(RecvManyEnded { handle, pool, result: Ok(()) })
        }
        other => unreachable!("{other:?}"),
    }
}

/// Everything is cancelled and closed: nothing is left.
fn calm(ev: &mut Loop<Manual, Storm>, storm: &mut Storm, is_hostile: bool) {
    ev.context().inner.driver.backend.attempts_to_panic = None;
    (storm.closing, storm.panics) = (true, false);
    for handle in std::mem::take(&mut storm.handles) {
        ev.context().close(handle);
    }
    ev.context().cancel_all();
    for _ in 0..8 {
        ev.context().resume();
        ev.run(storm, RunMode::NoWait).unwrap();
        for handle in std::mem::take(&mut storm.handles) {
            ev.context().close(handle);
        }
    }
    let driver = &mut ev.context().inner.driver;
    assert_eq!((driver.backend_faults(), driver.metrics().starting), (0, 0));
    assert!(driver.backend.held.is_empty());
    if is_hostile {
        // What it has panicked over never ends.
        return;
    }
    assert_eq!((driver.active(), driver.timers.len()), (0, 0));
    assert!(driver.backend.open.is_empty());
    assert!(driver.done.records.is_empty() && driver.done.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn any_weather(
        seed in any::<u64>(), chance in prop_oneof![Just(0), any::<u64>()], late in any::<bool>(), panics in any::<bool>(),
        hostile in any::<bool>(),
        most in prop_oneof![Just(None), (1..12_u32).prop_map(Some)]
    ) {
        weather(&Weather { seed, chance, late, panics, hostile, most });
    }
}
