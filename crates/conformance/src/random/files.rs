//! Programs on files and names, each step of which is over before the next: a model knows each outcome. Work for the pool and
//! hosts to resolve are among the steps, since files and they share its threads.

use std::collections::BTreeMap;
use std::time::Duration;

use proactor_core::{
    Access, Address, Allocate, Backend, Buffer, Cancel, Close, Config, Create, Driver, Error, Fdatasync,
    FilePath, FileType, Fsync, Handle, Key, Link, MakeDir, OpenAt, OpenOptions, Outcome, ReadAt, RemoveDir,
    Rename, Resolve, State, Statx, Truncate, Unlink, Until, Work, WriteAt,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use rustix::io::Errno;

use super::Trace;
use crate::Fixture;
use crate::scratch::Scratch;
use crate::steps::{assert_bytes, pattern};
use crate::turns::Turns;

mod model;
use model::{Model, Told};

/// Names in the directory of a program.
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// What is looked up, and what comes of it; none is an error.
const HOSTS: [(&str, Option<&str>); 4] =
    [("127.0.0.1", Some("127.0.0.1:7")), ("::1", Some("[::1]:7")), ("", None), ("with\0nul", None)];

/// How long an outcome may take: a file is written to the disk, and so may be much else before it.
const PATIENCE: Duration = Duration::from_secs(60);

/// One step: what is submitted, and what becomes of it before the next turn.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    what: What,
    fate: Fate,
}

/// What becomes of what was submitted, before the system sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Run,
    Cancel,
    Delete,
}

/// What is submitted; a file is one of those that were opened, closed ones too.
#[derive(Clone, Debug)]
enum What {
    Open { name: usize, options: OpenOptions },
    Read { file: Index, len: usize, offset: u64 },
    Write { file: Index, len: usize, offset: u64 },
    Truncate { file: Index, len: u64 },
    Allocate { file: Index, offset: u64, len: u64 },
    Sync { file: Index, only_bytes: bool },
    About { file: Index },
    AboutName { name: usize },
    Rename { from: usize, to: usize },
    Link { from: usize, to: usize },
    Unlink { name: usize },
    MakeDir { name: usize },
    RemoveDir { name: usize },
    Close { file: Index },
    Work { number: u64 },
    Resolve { host: usize },
}

fn options() -> impl Strategy<Value = OpenOptions> {
    let access = prop_oneof![1 => Just(Access::Read), 1 => Just(Access::Write), 3 => Just(Access::ReadWrite)];
    let create = prop_oneof![1 => Just(Create::Never), 3 => Just(Create::IfMissing), 1 => Just(Create::New)];
    (access, create, any::<[bool; 3]>()).prop_map(|(access, create, [truncate, append, directory])| {
        let options = OpenOptions::new(access).create(create);
        let writes = access != Access::Read;
        match (truncate && writes, append && writes, directory && create == Create::Never) {
            (_, _, true) => options.directory(),
            (true, false, _) => options.truncate(),
            (false, true, _) => options.append(),
            _ => options,
        }
    })
}

pub(crate) fn program() -> impl Strategy<Value = Vec<Step>> {
    let name = || 0..NAMES.len();
    let file = any::<Index>;
    let offset = || 0_u64..3000;
    let what = prop_oneof![
        8 => (name(), options()).prop_map(|(name, options)| What::Open { name, options }),
        8 => (file(), 0_usize..600, offset()).prop_map(|(file, len, offset)| What::Read { file, len, offset }),
        8 => (file(), 0_usize..600, offset()).prop_map(|(file, len, offset)| What::Write { file, len, offset }),
        2 => (file(), offset()).prop_map(|(file, len)| What::Truncate { file, len }),
        1 => (file(), offset(), 1_u64..3000).prop_map(|(file, offset, len)| What::Allocate { file, offset, len }),
        1 => (file(), any::<bool>()).prop_map(|(file, only_bytes)| What::Sync { file, only_bytes }),
        2 => file().prop_map(|file| What::About { file }),
        2 => name().prop_map(|name| What::AboutName { name }),
        2 => (name(), name()).prop_map(|(from, to)| What::Rename { from, to }),
        2 => (name(), name()).prop_map(|(from, to)| What::Link { from, to }),
        2 => name().prop_map(|name| What::Unlink { name }),
        2 => name().prop_map(|name| What::MakeDir { name }),
        1 => name().prop_map(|name| What::RemoveDir { name }),
        2 => file().prop_map(|file| What::Close { file }),
        1 => any::<u64>().prop_map(|number| What::Work { number }),
        1 => (0..HOSTS.len()).prop_map(|host| What::Resolve { host }),
    ];
    let fate = prop_oneof![10 => Just(Fate::Run), 1 => Just(Fate::Cancel), 1 => Just(Fate::Delete)];
    vec((what, fate).prop_map(|(what, fate)| Step { what, fate }), 1..60)
}

struct World<B: Backend> {
    driver: Driver<B>,
    directory: Handle,
    model: Model,
    /// What was opened, in that order.
    handles: Vec<Handle>,
    writes: u32,
    /// Whether work for the pool is done.
    has_threads: bool,
    trace: Trace,
}

/// Runs `program`, and panics where an outcome is not the model's.
pub(crate) fn run<B: Backend>(program: &[Step], config: &Config, fixture: &Fixture<B>) -> Trace {
    let scratch = Scratch::new(fixture);
    let mut driver = Driver::<B>::open(config.clone()).expect("the backend opens");
    let (path, options) = (scratch.directory(), OpenOptions::read().directory());
    let key = driver.submit(OpenAt { directory: None, path, options });
    let Outcome::OpenAt(opened) = driver.outcome_of(key) else { panic!("an open ends as one") };
    let mut world = World {
        driver,
        directory: opened.result.expect("the directory is there"),
        model: Model::default(),
        handles: Vec::new(),
        writes: 0,
        has_threads: fixture.capabilities().threads,
        trace: Trace::default(),
    };
    for (number, step) in program.iter().enumerate() {
        world.take(number, step);
    }
    world.compare_contents();
    if fixture.capabilities().descriptors {
        world.compare_names(&scratch);
    }
    assert_eq!((world.driver.active(), world.driver.backend_faults()), (0, 0));
    world.trace
}

impl<B: Backend> World<B> {
    fn take(&mut self, number: usize, step: &Step) {
        let Some((key, expected)) = self.submit(&step.what, step.fate == Fate::Run) else { return };
        let expected = match step.fate {
            Fate::Run => Some(expected),
            // What has failed before it was started has its outcome.
            Fate::Cancel if self.driver.cancel(key) == Cancel::TooLate => Some(expected),
            Fate::Cancel => Some(Err(Error::Canceled)),
            Fate::Delete => {
                assert_eq!(self.driver.delete(key), Ok(()));
                None
            }
        };
        if let Some(expected) = expected {
            let outcome = self.wait_for(key);
            let told = self.told(outcome);
            self.trace.end(number, &told);
            assert_eq!(told, expected, "{:?}", step.what);
        }
        for _ in 0..2 {
            self.driver.turn_now();
            assert!(self.driver.pop().is_none(), "it came by itself");
        }
        assert_eq!(self.driver.state(key), State::Dead);
    }

    /// Submits it, and asks the model how it ends; if it is to run, the model changes.
    fn submit(&mut self, what: &What, runs: bool) -> Option<(Key, Result<Told, Error>)> {
        let directory = Some(self.directory);
        let (driver, model) = (&mut self.driver, &mut self.model);
        let path = |name: usize| FilePath::from(NAMES[name]);
        let of = |file: &Index| (!self.handles.is_empty()).then(|| file.index(self.handles.len()));
        Some(match *what {
            What::Open { name, options } => (
                driver.submit(OpenAt { directory, path: path(name), options }),
                model.open(name, options, runs),
            ),
            What::Read { ref file, len, offset } => {
                let (file, buffer) = (of(file)?, Buffer::from(vec![0xa5; len]));
                let key = driver.submit(ReadAt { handle: self.handles[file], buffer, offset });
                (key, model.read(file, len, offset))
            }
            What::Write { ref file, len, offset } => {
                let file = of(file)?;
                self.writes += 1;
                let bytes = pattern(self.writes, len);
                let (handle, buffer) = (self.handles[file], Buffer::from(bytes.clone()));
                (driver.submit(WriteAt { handle, buffer, offset }), model.write(file, &bytes, offset, runs))
            }
            What::Truncate { ref file, len } => {
                let file = of(file)?;
                let key = driver.submit(Truncate { handle: self.handles[file], len });
                (key, model.set_len(file, |_| len, Errno::INVAL, runs))
            }
            What::Allocate { ref file, offset, len } => {
                let file = of(file)?;
                let key = driver.submit(Allocate { handle: self.handles[file], offset, len });
                (key, model.set_len(file, |before| before.max(offset + len), Errno::BADF, runs))
            }
            What::Sync { ref file, only_bytes } => {
                let file = of(file)?;
                let handle = self.handles[file];
                let key = match only_bytes {
                    true => driver.submit(Fdatasync { handle }),
                    false => driver.submit(Fsync { handle }),
                };
                (key, model.sync(file))
            }
            What::About { ref file } => {
                let file = of(file)?;
                (driver.submit(Statx::of(self.handles[file])), model.about(file))
            }
            What::AboutName { name } => {
                let asked = Statx { path: path(name), ..Statx::of(self.directory) };
                (driver.submit(asked), model.about_name(name))
            }
            _ => return self.submit_name(what, runs).or_else(|| self.submit_other(what, runs)),
        })
    }

    /// What changes names.
    fn submit_name(&mut self, what: &What, runs: bool) -> Option<(Key, Result<Told, Error>)> {
        let directory = Some(self.directory);
        let path = |name: usize| FilePath::from(NAMES[name]);
        Some(match *what {
            What::Rename { from, to } => {
                let key = self.driver.submit(Rename { directory, from: path(from), to: path(to) });
                (key, self.model.rename(from, to, runs))
            }
            What::Link { from, to } => {
                let key = self.driver.submit(Link { directory, from: path(from), to: path(to) });
                (key, self.model.link(from, to, runs))
            }
            What::Unlink { name } => {
                (self.driver.submit(Unlink { directory, path: path(name) }), self.model.unlink(name, runs))
            }
            What::MakeDir { name } => {
                let key = self.driver.submit(MakeDir { directory, path: path(name), mode: 0o700 });
                (key, self.model.make_directory(name, runs))
            }
            What::RemoveDir { name } => (
                self.driver.submit(RemoveDir { directory, path: path(name) }),
                self.model.remove_directory(name, runs),
            ),
            _ => return None,
        })
    }

    /// What is neither on a file nor on a name; nothing where there is no file for it.
    fn submit_other(&mut self, what: &What, runs: bool) -> Option<(Key, Result<Told, Error>)> {
        Some(match *what {
            What::Close { ref file } => {
                if self.handles.is_empty() || !runs {
                    // A close makes stale at once, so there is no taking it back.
                    return None;
                }
                let file = file.index(self.handles.len());
                let key = self.driver.submit(Close { handle: self.handles[file] });
                (key, self.model.close(file).map(|()| Told::Done))
            }
            What::Work { .. } | What::Resolve { .. } if !self.has_threads => return None,
            What::Work { number } => {
                let work = Work::new(move || number.wrapping_mul(3));
                (self.driver.submit(work), Ok(Told::Number(number.wrapping_mul(3))))
            }
            What::Resolve { host } => {
                let (host, found) = HOSTS[host];
                let key = self.driver.submit(Resolve { host: host.to_owned(), port: 7 });
                let found = found.map(|text| text.parse().expect("an address"));
                (key, found.map(Told::Address).ok_or(Error::InvalidInput))
            }
            _ => return None,
        })
    }

    fn wait_for(&mut self, key: Key) -> Outcome {
        let end = self.driver.update_now() + PATIENCE;
        while self.driver.update_now() < end {
            if let Some((found, outcome)) = self.driver.pop() {
                assert_eq!(found, key, "{outcome:?}");
                return outcome;
            }
            self.driver.turn(Until::Deadline(end)).expect("a turn");
        }
        panic!("no outcome within {PATIENCE:?}");
    }

    /// What an outcome tells, having handed back what it took.
    fn told(&mut self, outcome: Outcome) -> Result<Told, Error> {
        let done = |()| Told::Done;
        match outcome {
            Outcome::OpenAt(opened) => {
                assert_eq!(opened.directory, Some(self.directory));
                opened.result.map(|handle| {
                    self.handles.push(handle);
                    Told::Done
                })
            }
            Outcome::ReadAt(read) => {
                let count = read.result.unwrap_or(0);
                assert!(read.buffer[count..].iter().all(|&byte| byte == 0xa5), "the rest is as it was");
                read.result.map(|count| Told::Bytes(read.buffer[..count].to_vec()))
            }
            Outcome::WriteAt(written) => {
                assert_bytes(&written.buffer, &pattern(self.writes, written.buffer.len()));
                written.result.map(|count| Told::Number(count as u64))
            }
            Outcome::Statx(asked) => asked.result.map(|()| match asked.metadata.file_type {
                FileType::File => {
                    Told::File { len: asked.metadata.len, links: u64::from(asked.metadata.links) }
                }
                FileType::Directory => Told::Directory,
                other => panic!("nobody made a {other:?}"),
            }),
            Outcome::Truncate(outcome) => outcome.result.map(done),
            Outcome::Allocate(outcome) => outcome.result.map(done),
            Outcome::Fsync(outcome) => outcome.result.map(done),
            Outcome::Fdatasync(outcome) => outcome.result.map(done),
            Outcome::Rename(outcome) => outcome.result.map(done),
            Outcome::Link(outcome) => outcome.result.map(done),
            Outcome::Unlink(outcome) => outcome.result.map(done),
            Outcome::MakeDir(outcome) => outcome.result.map(done),
            Outcome::RemoveDir(outcome) => outcome.result.map(done),
            Outcome::Close(outcome) => outcome.result.map(done),
            Outcome::Work(work) => work.into_result::<u64>().expect("a number").map(Told::Number),
            Outcome::Resolve(resolved) => resolved.result.map(|mut found: Vec<Address>| {
                assert_eq!(found.len(), 1, "an address is itself");
                Told::Address(found.remove(0))
            }),
            other => panic!("nothing of the kind was submitted: {other:?}"),
        }
    }

    /// Whatever can still be read holds what the model says.
    fn compare_contents(&mut self) {
        for file in 0..self.handles.len() {
            let (len, handle) = (10_000, self.handles[file]);
            let key = self.driver.submit(ReadAt { handle, buffer: vec![0xa5; len].into(), offset: 0 });
            let outcome = self.wait_for(key);
            assert_eq!(self.told(outcome), self.model.read(file, len, 0));
        }
    }

    /// What others find in the directory is what the model says.
    fn compare_names(&self, scratch: &Scratch) {
        let mut found = BTreeMap::new();
        let entries = std::fs::read_dir(scratch.directory().as_path()).expect("the directory is there");
        for entry in entries {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name of ours").to_owned();
            found.insert(name, std::fs::read(&path).ok());
        }
        let expected: BTreeMap<_, _> =
            self.model.names().map(|(name, bytes)| (NAMES[name].to_owned(), bytes)).collect();
        assert_eq!(found, expected);
    }
}
