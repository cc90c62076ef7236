//! Programs of what only waits: polls of descriptors that others use, child processes, signals. Each step takes effect before
//! the next, and a model knows each outcome.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use proactor_core::{
    Backend, Cancel, ChildProcess, Close, Config, Driver, Error, Handle, Interest, Key, Outcome, Poll,
    PollMany, Readiness, Signal, SignalSet, Signals, State, Until, WaitChild,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use rustix::io::Errno;
use rustix::process::{Pid, kill_process};

use super::Trace;
use crate::signals::{let_end, send_to_this_thread};
use crate::steps::system;

/// How long an outcome that must come may take, in waits of [`PATIENCE`].
const WAITS: u32 = 30;
const PATIENCE: Duration = Duration::from_millis(100);

/// Pairs of sockets of a program.
const PAIRS: usize = 2;
/// Child processes of one, at most: each takes a while to make.
const CHILDREN: usize = 3;

const READABLE: Interest = Interest::READABLE;
const INTERESTS: [Interest; 3] = [READABLE, Interest::WRITABLE, Interest::HANG_UP];

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Polls for those of [`INTERESTS`] whose bit is set.
    Poll {
        pair: usize,
        interests: u8,
    },
    PollMany {
        pair: usize,
        interests: u8,
    },
    /// The peer writes.
    Write {
        pair: usize,
        len: usize,
    },
    /// Whoever the descriptor is of reads all there is.
    Drain {
        pair: usize,
    },
    /// The peer writes no more.
    ShutDown {
        pair: usize,
    },
    Close {
        pair: usize,
    },
    Spawn {
        code: u8,
    },
    WaitChild {
        child: Index,
    },
    /// A child's input ends, and then so does it.
    EndChild {
        child: Index,
    },
    Kill {
        child: Index,
    },
    /// Watches the first signal, the second, or both.
    Signals {
        set: u8,
    },
    Raise {
        signal: usize,
    },
    Cancel {
        operation: Index,
    },
    Delete {
        operation: Index,
    },
    CancelAll,
}

pub(crate) fn program() -> impl Strategy<Value = Vec<Step>> {
    let (pair, any_of_them) = (|| 0..PAIRS, any::<Index>);
    let step = prop_oneof![
        6 => (pair(), 1_u8..8).prop_map(|(pair, interests)| Step::Poll { pair, interests }),
        3 => (pair(), 1_u8..8).prop_map(|(pair, interests)| Step::PollMany { pair, interests }),
        5 => (pair(), 1_usize..2000).prop_map(|(pair, len)| Step::Write { pair, len }),
        5 => pair().prop_map(|pair| Step::Drain { pair }),
        1 => pair().prop_map(|pair| Step::ShutDown { pair }),
        1 => pair().prop_map(|pair| Step::Close { pair }),
        1 => (0_u8..100).prop_map(|code| Step::Spawn { code }),
        3 => any_of_them().prop_map(|child| Step::WaitChild { child }),
        1 => any_of_them().prop_map(|child| Step::EndChild { child }),
        1 => any_of_them().prop_map(|child| Step::Kill { child }),
        2 => (1_u8..4).prop_map(|set| Step::Signals { set }),
        4 => (0_usize..2).prop_map(|signal| Step::Raise { signal }),
        4 => any_of_them().prop_map(|operation| Step::Cancel { operation }),
        2 => any_of_them().prop_map(|operation| Step::Delete { operation }),
        1 => Just(Step::CancelAll),
    ];
    vec(step, 1..50)
}

/// Two signals that are ignored unless somebody watches them.
fn signal(number: usize) -> Signal {
    let urgent = Signal::from_raw(rustix::process::Signal::URG.as_raw()).expect("there is one");
    [Signal::WINCH, urgent][number]
}

/// What an operation that is under way waits for.
#[derive(Clone, Debug)]
enum Waiting {
    Poll {
        pair: usize,
        interest: Interest,
    },
    PollMany {
        pair: usize,
        interest: Interest,
        /// An event must come.
        is_owed: bool,
    },
    Child(usize),
    Signals {
        set: SignalSet,
        /// Those that came and were not told.
        owed: SignalSet,
    },
}

/// A descriptor of somebody else's, in the loop by a duplicate, and its peer.
#[derive(Debug)]
struct Pair {
    handle: Handle,
    ours: UnixStream,
    peer: UnixStream,
    is_open: bool,
    unread: usize,
    is_shut: bool,
}

impl Pair {
    /// What it is ready for, of what was asked.
    fn ready(&self, interest: Interest) -> Readiness {
        let told = [self.unread > 0 || self.is_shut, true, self.is_shut];
        let asked =
            INTERESTS.into_iter().zip(told).filter(|&(asked, is_so)| is_so && interest.contains(asked));
        asked.fold(Interest::default(), |all, (one, _)| all | one).into()
    }
}

#[derive(Debug)]
struct Process {
    child: Child,
    input: Option<ChildStdin>,
    /// How it has ended: its code, or none where a signal ended it.
    ended: Option<Option<i32>>,
    /// Its status was taken.
    is_gone: bool,
}

impl Process {
    /// Waits until it has ended, and leaves its status where it is.
    fn has_ended(&mut self, code: Option<i32>) {
        let_end(self.child.id());
        self.ended = Some(code);
    }
}

impl Drop for Process {
    /// Nothing of it stays, whoever has waited for it.
    fn drop(&mut self) {
        drop(self.input.take());
        if !self.is_gone {
            let _ = self.child.wait();
        }
    }
}

/// The driver, and the model beside it.
struct World<B: Backend> {
    driver: Driver<B>,
    pairs: Vec<Pair>,
    processes: Vec<Process>,
    codes: Vec<u8>,
    waiting: HashMap<Key, Waiting>,
    /// Operations in the order of their submission, ended ones too.
    keys: Vec<Key>,
    ending: HashMap<Key, Result<(), Error>>,
    trace: Trace,
}

/// Runs `program`, and panics where an outcome is not the model's.
pub(crate) fn run<B: Backend>(program: &[Step], config: &Config) -> Trace {
    let mut driver = Driver::<B>::open(config.clone()).expect("the backend opens");
    let pairs = (0..PAIRS).map(|_| pair(&mut driver)).collect();
    let mut world = World {
        driver,
        pairs,
        processes: Vec::new(),
        codes: Vec::new(),
        waiting: HashMap::new(),
        keys: Vec::new(),
        ending: HashMap::new(),
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

fn pair<B: Backend>(driver: &mut Driver<B>) -> Pair {
    let (ours, peer) = UnixStream::pair().expect("a pair");
    ours.set_nonblocking(true).expect("a flag of every descriptor");
    peer.set_nonblocking(true).expect("a flag of every descriptor");
    let handle = driver.attach(ours.try_clone().expect("a duplicate")).expect("a free place");
    Pair { handle, ours, peer, is_open: true, unread: 0, is_shut: false }
}

impl<B: Backend> World<B> {
    fn take(&mut self, step: &Step) {
        match *step {
            Step::Poll { pair, interests } => self.poll(pair, chosen(interests), false),
            Step::PollMany { pair, interests } => self.poll(pair, chosen(interests), true),
            Step::Write { pair, len } => self.write(pair, len),
            Step::Drain { pair } => self.drain(pair),
            Step::ShutDown { pair } => {
                // Twice is no change.
                let is_new = !std::mem::replace(&mut self.pairs[pair].is_shut, true);
                if is_new {
                    self.pairs[pair].peer.shutdown(Shutdown::Write).expect("it is connected");
                    self.changed(pair);
                }
            }
            Step::Close { pair } => self.close(pair),
            Step::Spawn { code } => self.spawn(code),
            Step::WaitChild { ref child } => self.wait_child(child),
            Step::EndChild { ref child } => self.end_child(child, false),
            Step::Kill { ref child } => self.end_child(child, true),
            Step::Signals { set } => {
                let chosen = (0..2).filter(|number| set & 1 << number != 0).map(signal);
                let set: SignalSet = chosen.collect();
                let key = self.driver.submit(Signals { set });
                self.waits(key, Waiting::Signals { set, owed: SignalSet::NONE });
            }
            Step::Raise { signal: number } => self.raise(signal(number)),
            Step::Cancel { ref operation } => self.cancel(operation),
            Step::Delete { ref operation } => self.delete(operation),
            Step::CancelAll => self.cancel_all(),
        }
    }

    fn waits(&mut self, key: Key, waiting: Waiting) {
        self.keys.push(key);
        self.waiting.insert(key, waiting);
    }

    fn ends(&mut self, key: Key, result: Result<(), Error>) {
        self.keys.push(key);
        self.ending.insert(key, result);
    }

    fn poll(&mut self, pair: usize, interest: Interest, many: bool) {
        let handle = self.pairs[pair].handle;
        let key = if many {
            self.driver.submit(PollMany { handle, interest })
        } else {
            self.driver.submit(Poll { handle, interest })
        };
        if !self.pairs[pair].is_open {
            return self.ends(key, Err(Error::StaleHandle));
        }
        let is_owed = !self.pairs[pair].ready(interest).is_none();
        let one = Waiting::Poll { pair, interest };
        self.waits(key, if many { Waiting::PollMany { pair, interest, is_owed } } else { one });
    }

    fn write(&mut self, pair: usize, len: usize) {
        let written =
            if self.pairs[pair].is_shut { Ok(0) } else { self.pairs[pair].peer.write(&vec![7; len]) };
        match written {
            Ok(0) => {}
            Ok(count) => {
                self.pairs[pair].unread += count;
                self.changed(pair);
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }

    /// Something came for who polls the pair.
    fn changed(&mut self, changed: usize) {
        for waiting in self.waiting.values_mut() {
            if let Waiting::PollMany { pair, interest, is_owed } = waiting
                && *pair == changed
            {
                let ready = self.pairs[changed].ready(*interest);
                *is_owed |= ready.is_readable() || ready.is_hang_up();
            }
        }
    }

    fn drain(&mut self, pair: usize) {
        let pair = &mut self.pairs[pair];
        while pair.unread > 0 {
            pair.unread -= pair.ours.read(&mut [0; 4096]).expect("it was sent");
        }
    }

    fn close(&mut self, closed: usize) {
        let key = self.driver.submit(Close { handle: self.pairs[closed].handle });
        let was_open = std::mem::replace(&mut self.pairs[closed].is_open, false);
        self.ends(key, if was_open { Ok(()) } else { Err(Error::StaleHandle) });
        let on_it = |waiting: &Waiting| match waiting {
            Waiting::Poll { pair, .. } | Waiting::PollMany { pair, .. } => *pair == closed,
            Waiting::Child(_) | Waiting::Signals { .. } => false,
        };
        let keys: Vec<_> =
            self.waiting.iter().filter(|(_, waiting)| on_it(waiting)).map(|(&key, _)| key).collect();
        keys.into_iter().for_each(|key| self.canceled(key));
    }

    fn spawn(&mut self, code: u8) {
        if self.processes.len() == CHILDREN {
            return;
        }
        let script = format!("read line; exit {code}");
        let mut child =
            Command::new("sh").args(["-c", &script]).stdin(Stdio::piped()).spawn().expect("a child");
        let input = child.stdin.take();
        self.processes.push(Process { child, input, ended: None, is_gone: false });
        self.codes.push(code);
    }

    fn process(&self, which: &Index) -> Option<usize> {
        (!self.processes.is_empty()).then(|| which.index(self.processes.len()))
    }

    /// One at a time, so that it is known who gets the status; by number, so that the next one can.
    fn wait_child(&mut self, which: &Index) {
        let Some(number) = self.process(which) else { return };
        if self.waiting.values().any(|waiting| matches!(waiting, Waiting::Child(other) if *other == number)) {
            return;
        }
        let child = ChildProcess::Id(self.processes[number].child.id());
        let key = self.driver.submit(WaitChild { child });
        if self.processes[number].is_gone {
            return self.ends(key, Err(system(Errno::CHILD)));
        }
        self.waits(key, Waiting::Child(number));
    }

    fn end_child(&mut self, which: &Index, by_force: bool) {
        let Some(number) = self.process(which) else { return };
        let (process, code) = (&mut self.processes[number], self.codes[number]);
        if process.ended.is_some() {
            return;
        }
        if by_force {
            let killed = kill_process(Pid::from_child(&process.child), rustix::process::Signal::KILL);
            assert_eq!(killed, Ok(()));
        }
        drop(process.input.take());
        process.has_ended(if by_force { None } else { Some(code.into()) });
    }

    fn raise(&mut self, signal: Signal) {
        for waiting in self.waiting.values_mut() {
            if let Waiting::Signals { set, owed } = waiting
                && set.contains(signal)
            {
                *owed = owed.with(signal);
            }
        }
        send_to_this_thread(signal);
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
        let known = self.waiting.remove(&key).is_some();
        assert_eq!(answer, if known { Ok(()) } else { Err(Error::NotFound) });
    }

    fn cancel_all(&mut self) {
        self.driver.cancel_all();
        let all: Vec<_> = self.waiting.keys().copied().collect();
        all.into_iter().for_each(|key| self.canceled(key));
    }

    fn canceled(&mut self, key: Key) {
        self.waiting.remove(&key);
        self.ending.insert(key, Err(Error::Canceled));
    }

    /// Lets the driver go on until all has come that must, and sees that nothing else does.
    fn settle(&mut self) {
        let mut waits = 0;
        loop {
            while let Some((key, outcome)) = self.driver.pop() {
                self.judge(key, outcome);
                waits = 0;
            }
            if self.ending.is_empty() && !self.waiting.values().any(|waiting| self.has_to_come(waiting)) {
                break;
            }
            waits += 1;
            assert!(waits < WAITS, "still waiting for {:?} of {:?}", self.ending, self.waiting);
            let end = self.driver.update_now() + PATIENCE;
            self.driver.turn(Until::Deadline(end)).expect("a turn");
        }
        self.driver.turn(Until::Now).expect("a turn that does not wait");
        while let Some((key, outcome)) = self.driver.pop() {
            // Another event of the same change may come; nothing else does by itself.
            assert!(matches!(outcome, Outcome::PollManyItem(_)), "{outcome:?} came by itself");
            self.judge(key, outcome);
        }
    }

    /// Whether something has to come of it.
    fn has_to_come(&self, waiting: &Waiting) -> bool {
        match *waiting {
            Waiting::Poll { pair, interest } => !self.pairs[pair].ready(interest).is_none(),
            Waiting::PollMany { is_owed, .. } => is_owed,
            Waiting::Child(number) => self.processes[number].ended.is_some(),
            Waiting::Signals { owed, .. } => !owed.is_empty(),
        }
    }

    /// Compares an outcome with the model, and takes it into the model.
    fn judge(&mut self, key: Key, outcome: Outcome) {
        if let Some(&expected) = self.ending.get(&key) {
            // What a poll had to tell before is told before its end.
            if !matches!(outcome, Outcome::PollManyItem(_)) {
                self.ending.remove(&key);
                assert_eq!(result_of(&outcome), expected, "{outcome:?}");
                self.tell(key, expected);
            }
            return;
        }
        let Some(waiting) = self.waiting.get_mut(&key) else { panic!("nobody waits for {outcome:?}") };
        match (waiting, outcome) {
            (&mut Waiting::Poll { pair, interest }, Outcome::Poll(polled)) => {
                assert_eq!(polled.result, Ok(self.pairs[pair].ready(interest)), "{interest:?}");
                assert!(!self.pairs[pair].ready(interest).is_none());
                self.over(key);
            }
            (Waiting::PollMany { pair, interest, is_owed }, Outcome::PollManyItem(ready)) => {
                *is_owed = false;
                let now = self.pairs[*pair].ready(*interest);
                assert!(!ready.is_none() && !now.is_none(), "{ready:?} of {interest:?}, now {now:?}");
            }
            (&mut Waiting::Child(number), Outcome::WaitChild(exited)) => {
                let process = &mut self.processes[number];
                let code = exited.result.map(|status| status.code());
                assert_eq!((code.map(Some), exited.child.id()), (Ok(process.ended), process.child.id()));
                process.is_gone = true;
                self.over(key);
            }
            (Waiting::Signals { owed, .. }, Outcome::SignalsItem(signal)) => {
                assert!(owed.contains(signal), "{signal:?} once");
                *owed = owed.without(signal);
            }
            (waiting, outcome) => panic!("{outcome:?} is no end of {waiting:?}"),
        }
    }

    fn over(&mut self, key: Key) {
        self.waiting.remove(&key);
        self.tell(key, Ok(()));
    }

    fn tell(&mut self, key: Key, result: Result<(), Error>) {
        let number = self.keys.iter().rposition(|&known| known == key).expect("it was submitted");
        self.trace.end(number, &result);
    }
}

/// Those of [`INTERESTS`] whose bit is set.
fn chosen(bits: u8) -> Interest {
    let chosen = INTERESTS.into_iter().enumerate().filter(|(number, _)| bits & 1 << number != 0);
    chosen.fold(Interest::default(), |all, (_, one)| all | one)
}

fn result_of(outcome: &Outcome) -> Result<(), Error> {
    match outcome {
        Outcome::Poll(polled) => polled.result.map(drop),
        Outcome::PollManyEnded(ended) => Err(ended.error),
        Outcome::WaitChild(exited) => exited.result.map(drop),
        Outcome::SignalsEnded(ended) => Err(ended.error),
        Outcome::Close(closed) => closed.result,
        other => panic!("nothing of the kind was submitted: {other:?}"),
    }
}
