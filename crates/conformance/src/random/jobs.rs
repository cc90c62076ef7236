//! Programs on one file, of jobs and of hosts, whose steps race with each other, with the pool's threads and with the
//! system: each ends once, and no byte of the file is but what somebody wrote there.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proactor_core::{
    Backend, Buffer, Cancel, Config, Create, Driver, Error, Handle, Key, OpenAt, OpenOptions, Outcome,
    ReadAt, Resolve, Statx, Until, Work, WriteAt,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::Fixture;
use crate::scratch::Scratch;
use crate::turns::Turns;

/// Places in the file, each of so many bytes that are all the same.
const PLACES: usize = 8;
const PLACE: usize = 700;

/// Handles of the file.
const HANDLES: usize = 3;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Write {
        handle: usize,
        place: usize,
    },
    Read {
        handle: usize,
        place: usize,
    },
    About {
        handle: usize,
    },
    Open,
    Work,
    Resolve {
        is_known: bool,
    },
    /// A deadline for the next operation.
    Timeout {
        nanoseconds: u64,
    },
    Close {
        handle: usize,
    },
    Cancel {
        operation: Index,
    },
    Delete {
        operation: Index,
    },
    CancelAll,
    Turn,
    Wait {
        microseconds: u64,
    },
    Deliver {
        count: usize,
    },
}

pub(crate) fn program() -> impl Strategy<Value = Vec<Step>> {
    let handle = || 0..HANDLES;
    let place = || 0..PLACES;
    let operation = any::<Index>;
    let step = prop_oneof![
        10 => (handle(), place()).prop_map(|(handle, place)| Step::Write { handle, place }),
        10 => (handle(), place()).prop_map(|(handle, place)| Step::Read { handle, place }),
        2 => handle().prop_map(|handle| Step::About { handle }),
        2 => Just(Step::Open),
        5 => Just(Step::Work),
        3 => any::<bool>().prop_map(|is_known| Step::Resolve { is_known }),
        3 => (0_u64..100_000).prop_map(|nanoseconds| Step::Timeout { nanoseconds }),
        1 => handle().prop_map(|handle| Step::Close { handle }),
        5 => operation().prop_map(|operation| Step::Cancel { operation }),
        3 => operation().prop_map(|operation| Step::Delete { operation }),
        1 => Just(Step::CancelAll),
        6 => Just(Step::Turn),
        2 => (0_u64..300).prop_map(|microseconds| Step::Wait { microseconds }),
        6 => (1_usize..6).prop_map(|count| Step::Deliver { count }),
    ];
    vec(step, 1..100)
}

/// What was submitted.
#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Write { place: usize, mark: u8 },
    Read { place: usize },
    About,
    Open,
    Work { number: u64 },
    Resolve { is_known: bool },
}

#[derive(Debug)]
struct Submitted {
    kind: Kind,
    handle: Option<usize>,
    is_stale: bool,
    asked_to_end: bool,
    is_bounded: bool,
}

/// What is known of a place in the file.
#[derive(Clone, Default, Debug)]
struct Place {
    /// What its bytes may be: what the last write that has ended wrote, and what others may have.
    possible: Vec<u8>,
    /// Somebody writes there, and there is an outcome to come. Only one does, so that nobody sees half of a write.
    is_written: bool,
    /// A write was deleted: whether it came, and when, is not known any more.
    is_unknown: bool,
    /// How many read there.
    readers: usize,
}

struct World<B: Backend> {
    driver: Driver<B>,
    handles: [Handle; HANDLES],
    is_closed: [bool; HANDLES],
    path: proactor_core::FilePath,
    places: Vec<Place>,
    live: HashMap<Key, Submitted>,
    keys: Vec<Key>,
    timeout: Option<Duration>,
    /// How many jobs have run, and how many have told of it.
    ran: Arc<AtomicU64>,
    jobs_told: u64,
    jobs_deleted: u64,
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
pub(crate) fn run<B: Backend>(program: &[Step], config: &Config, fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut driver = Driver::<B>::open(config.clone()).expect("the backend opens");
    let path = scratch.path("file");
    let options = OpenOptions::read_write().create(Create::IfMissing);
    let handles = [(); HANDLES].map(|()| {
        let key = driver.submit(OpenAt { directory: None, path: path.clone(), options });
        let Outcome::OpenAt(opened) = driver.outcome_of(key) else { panic!("an open ends as one") };
        opened.result.expect("a file")
    });
    let zeros = WriteAt { handle: handles[0], buffer: Buffer::zeroed(PLACES * PLACE), offset: 0 };
    let key = driver.submit(zeros);
    let Outcome::WriteAt(written) = driver.outcome_of(key) else { panic!("a write ends as one") };
    assert_eq!(written.result, Ok(PLACES * PLACE));
    let place = Place { possible: vec![0], ..Place::default() };
    let mut world = World {
        driver,
        handles,
        is_closed: [false; HANDLES],
        path,
        places: vec![place; PLACES],
        live: HashMap::new(),
        keys: Vec::new(),
        timeout: None,
        ran: Arc::default(),
        jobs_told: 0,
        jobs_deleted: 0,
    };
    for step in program {
        world.take(step);
    }
    world.finish();
}

impl<B: Backend> World<B> {
    fn take(&mut self, step: &Step) {
        match *step {
            Step::Write { handle, place } => self.write(handle, place),
            Step::Read { handle, place } => self.read(handle, place),
            Step::About { handle } => {
                let key = bounded!(self, Statx::of(self.handles[handle]));
                self.submitted(key, Kind::About, Some(handle));
            }
            Step::Open => {
                let (path, options) = (self.path.clone(), OpenOptions::read());
                let key = bounded!(self, OpenAt { directory: None, path, options });
                self.submitted(key, Kind::Open, None);
            }
            Step::Work => {
                let (number, ran) = (self.keys.len() as u64, Arc::clone(&self.ran));
                let work = Work::new(move || {
                    ran.fetch_add(1, Ordering::SeqCst);
                    number
                });
                let key = bounded!(self, work);
                self.submitted(key, Kind::Work { number }, None);
            }
            Step::Resolve { is_known } => {
                let host = if is_known { "127.0.0.1" } else { "" };
                let key = bounded!(self, Resolve { host: host.to_owned(), port: 7 });
                self.submitted(key, Kind::Resolve { is_known }, None);
            }
            Step::Timeout { nanoseconds } => self.timeout = Some(Duration::from_nanos(nanoseconds)),
            Step::Close { handle } => self.close(handle),
            Step::Cancel { ref operation } => self.cancel(operation),
            Step::Delete { ref operation } => self.delete(operation),
            Step::CancelAll => self.cancel_all(),
            Step::Turn => self.driver.turn_now(),
            Step::Wait { microseconds } => {
                let end = self.driver.update_now() + Duration::from_micros(microseconds);
                self.driver.turn(Until::Deadline(end)).expect("a turn");
            }
            Step::Deliver { count } => {
                for _ in 0..count {
                    self.deliver();
                }
            }
        }
    }

    fn write(&mut self, handle: usize, place: usize) {
        let mark = (self.keys.len() % 251 + 1) as u8;
        let known = &mut self.places[place];
        if known.is_written || known.is_unknown || known.readers > 0 {
            return;
        }
        known.is_written = true;
        known.possible.push(mark);
        let (buffer, offset) = (Buffer::from(vec![mark; PLACE]), (place * PLACE) as u64);
        let key = bounded!(self, WriteAt { handle: self.handles[handle], buffer, offset });
        self.submitted(key, Kind::Write { place, mark }, Some(handle));
    }

    fn read(&mut self, handle: usize, place: usize) {
        if self.places[place].is_written || self.places[place].is_unknown {
            return;
        }
        self.places[place].readers += 1;
        let (buffer, offset) = (Buffer::zeroed(PLACE), (place * PLACE) as u64);
        let key = bounded!(self, ReadAt { handle: self.handles[handle], buffer, offset });
        self.submitted(key, Kind::Read { place }, Some(handle));
    }

    fn submitted(&mut self, key: Key, kind: Kind, handle: Option<usize>) {
        let is_stale = handle.is_some_and(|handle| self.is_closed[handle]);
        let is_bounded = self.timeout.take().is_some();
        self.keys.push(key);
        let submitted = Submitted { kind, handle, is_stale, asked_to_end: false, is_bounded };
        assert!(self.live.insert(key, submitted).is_none(), "a key names one operation");
    }

    fn close(&mut self, handle: usize) {
        self.driver.close(self.handles[handle]);
        self.is_closed[handle] = true;
        let on_it = self.live.values_mut().filter(|submitted| submitted.handle == Some(handle));
        on_it.for_each(|submitted| submitted.asked_to_end = true);
    }

    fn cancel(&mut self, which: &Index) {
        if self.keys.is_empty() {
            return;
        }
        let key = *which.get(&self.keys);
        match (self.driver.cancel(key), self.live.get_mut(&key)) {
            (Cancel::Requested, Some(submitted)) => submitted.asked_to_end = true,
            // Deleted, and not ended yet.
            (Cancel::NotFound | Cancel::TooLate, None) | (Cancel::TooLate, Some(_)) => {}
            (answer, submitted) => panic!("{answer:?} for {submitted:?}"),
        }
    }

    fn delete(&mut self, which: &Index) {
        if self.keys.is_empty() {
            return;
        }
        let key = *which.get(&self.keys);
        let answer = self.driver.delete(key);
        let Some(submitted) = self.live.remove(&key) else { return };
        assert_eq!(answer, Ok(()));
        match submitted.kind {
            Kind::Write { place, .. } => {
                self.places[place].is_written = false;
                self.places[place].is_unknown = true;
            }
            // It may go on reading, which disturbs nobody.
            Kind::Read { place } => self.places[place].readers -= 1,
            Kind::Work { .. } => self.jobs_deleted += 1,
            Kind::About | Kind::Open | Kind::Resolve { .. } => {}
        }
    }

    fn cancel_all(&mut self) {
        self.driver.cancel_all();
        self.live.values_mut().for_each(|submitted| submitted.asked_to_end = true);
    }

    /// Takes one outcome, if there is one.
    fn deliver(&mut self) -> bool {
        let Some((key, outcome)) = self.driver.pop() else { return false };
        let Some(submitted) = self.live.remove(&key) else {
            panic!("delivered twice, or deleted before: {outcome:?}");
        };
        match (&submitted.kind, outcome) {
            (&Kind::Write { place, mark }, Outcome::WriteAt(written)) => {
                assert!(written.buffer.len() == PLACE && written.buffer.iter().all(|&byte| byte == mark));
                assert_eq!(written.offset, (place * PLACE) as u64);
                self.places[place].is_written = false;
                if self.check(&submitted, written.result.map(|count| assert_eq!(count, PLACE))) {
                    self.places[place].possible = vec![mark];
                }
            }
            (&Kind::Read { place }, Outcome::ReadAt(read)) => {
                assert_eq!((read.buffer.len(), read.offset), (PLACE, (place * PLACE) as u64));
                self.places[place].readers -= 1;
                if self.check(&submitted, read.result.map(|count| assert_eq!(count, PLACE))) {
                    self.compare(place, &read.buffer);
                }
            }
            (Kind::About, Outcome::Statx(told)) => {
                if self.check(&submitted, told.result) {
                    assert_eq!(told.metadata.len, (PLACES * PLACE) as u64);
                }
            }
            (Kind::Open, Outcome::OpenAt(opened)) => {
                assert_eq!(opened.path, self.path);
                if let Ok(handle) = opened.result {
                    self.driver.close(handle);
                }
                self.check(&submitted, opened.result.map(drop));
            }
            (&Kind::Work { number }, Outcome::Work(work)) => {
                let result = work.into_result::<u64>().expect("a number");
                self.jobs_told += u64::from(result.is_ok());
                self.check(&submitted, result.map(|told| assert_eq!(told, number)));
            }
            (&Kind::Resolve { is_known }, Outcome::Resolve(resolved)) => {
                assert_eq!((&*resolved.host, resolved.port), (if is_known { "127.0.0.1" } else { "" }, 7));
                match resolved.result.map(|found| assert_eq!((found.len(), is_known), (1, true))) {
                    Err(Error::InvalidInput) => assert!(!is_known),
                    result => drop(self.check(&submitted, result)),
                }
            }
            (kind, outcome) => panic!("{outcome:?} is no end of {kind:?}"),
        }
        true
    }

    /// Whether it went well; if not, that it may have ended so.
    fn check(&self, submitted: &Submitted, result: Result<(), Error>) -> bool {
        match result {
            Ok(()) => assert!(!submitted.is_stale),
            Err(Error::StaleHandle) => assert!(submitted.is_stale),
            Err(Error::Canceled) => assert!(submitted.asked_to_end && !submitted.is_stale),
            Err(Error::TimedOut) => assert!(submitted.is_bounded && !submitted.is_stale),
            Err(error) => panic!("{error:?} of {:?}", submitted.kind),
        }
        result.is_ok()
    }

    /// The bytes of a place are all the same, and one of those that were written there.
    fn compare(&self, place: usize, bytes: &[u8]) {
        let known = &self.places[place];
        if known.is_unknown {
            // A write that was deleted may come at any time, and be half there.
            return assert!(bytes.iter().all(|byte| known.possible.contains(byte)), "nobody wrote that");
        }
        assert!(bytes.iter().all(|&byte| byte == bytes[0]), "half of a write");
        assert!(known.possible.contains(&bytes[0]), "{} of {:?}", bytes[0], known.possible);
    }

    /// Everything is asked to end, and must; then the file is looked at.
    fn finish(&mut self) {
        self.cancel_all();
        self.drain();
        assert!(self.live.is_empty(), "never delivered: {:?}", self.live.values());
        let ran = self.ran.load(Ordering::SeqCst);
        assert!((self.jobs_told..=self.jobs_told + self.jobs_deleted).contains(&ran), "{ran} jobs ran");
        let (path, options) = (self.path.clone(), OpenOptions::read());
        let key = self.driver.submit(OpenAt { directory: None, path, options });
        let Outcome::OpenAt(opened) = self.driver.outcome_of(key) else { panic!("an open ends as one") };
        let handle = opened.result.expect("the file is there");
        let key = self.driver.submit(ReadAt { handle, buffer: Buffer::zeroed(PLACES * PLACE), offset: 0 });
        let Outcome::ReadAt(read) = self.driver.outcome_of(key) else { panic!("a read ends as one") };
        assert_eq!(read.result, Ok(PLACES * PLACE));
        // Nothing is under way any more, deleted or not.
        for (place, bytes) in read.buffer.chunks_exact(PLACE).enumerate() {
            self.places[place].is_unknown = false;
            self.compare(place, bytes);
        }
    }

    fn drain(&mut self) {
        for _ in 0..10_000 {
            while self.deliver() {}
            if self.driver.active() == 0 {
                break;
            }
            let end = self.driver.update_now() + Duration::from_millis(100);
            self.driver.turn(Until::Deadline(end)).expect("a turn");
        }
        assert_eq!((self.driver.active(), self.driver.backend_faults()), (0, 0));
    }
}
