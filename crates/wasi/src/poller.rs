//! The poller over `poll_oneoff`.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proactor_core::{ChildProcess, Config, Error, Time, Until, Wake};
use proactor_readiness::{Batch as Events, Event, Poller, Registration, Signs, Wanted, Watch};
use proactor_system::{self as system, Happened, SignalWatch, Subscription, poll_oneoff};

use crate::batch::{Batch, Key};

const READ: u32 = 1;
const WRITE: u32 = 2;
/// The peer is gone, or the descriptor cannot be waited for: the call will tell.
const GONE: u32 = 4;

/// In the number of a subscription, which is that of its registration: it is for writing. No slot is that large.
const FOR_WRITING: u64 = 1 << 31;

/// The number of the clock's subscription.
const CLOCK: u64 = Registration::NOBODY.to_u64();

/// The longest time that one wait takes. To return early is always allowed, and some hosts count in few bits.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The poller over `poll_oneoff`.
pub struct WasiPoller {
    waker: FlagWaker,
    batch: Batch<Subscription>,
    /// By number of the descriptor: what is in the list for it.
    watched: Vec<Watched>,
    happened: Vec<Happened>,
    events: Vec<Event>,
}

/// What is in the list for a descriptor.
#[derive(Clone, Copy, Default)]
struct Watched {
    read: Option<Key>,
    write: Option<Key>,
}

/// Wakes the loop of the same instance, which does not wait while others run.
#[derive(Clone, Debug, Default)]
pub struct FlagWaker(Arc<AtomicBool>);

impl Wake for FlagWaker {
    fn wake(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Poller for WasiPoller {
    const NAME: &'static str = "wasi";

    const SIGNS: Signs = Signs { readable: READ | GONE, writable: WRITE | GONE, irregular: GONE };

    const IS_TOLD: bool = true;

    type Waker = FlagWaker;

    type Child = ();

    type Signals = SignalWatch;

    fn open(config: &Config) -> io::Result<Self> {
        Ok(Self {
            waker: FlagWaker::default(),
            batch: Batch::with_capacity(config.entries as usize),
            watched: Vec::new(),
            happened: Vec::new(),
            events: Vec::new(),
        })
    }

    fn waker(&self) -> FlagWaker {
        self.waker.clone()
    }

    fn can_watch_children(&self) -> bool {
        false
    }

    fn add(&mut self, descriptor: BorrowedFd<'_>, registration: Registration) -> Result<Watch, Error> {
        let number = registration.to_u64();
        let ways = [Subscription::read(number, descriptor), Subscription::write(number, descriptor)];
        // Some devices are refused, and how is each host's own.
        let can_wait = ways.into_iter().any(|way| !matches!(look(way), Look::Refused));
        Ok(if can_wait { Watch::Edges } else { Watch::AlwaysReady })
    }

    fn remove(&mut self, descriptor: BorrowedFd<'_>) {
        self.set(descriptor, Registration::NOBODY, Wanted::default());
    }

    fn want(&mut self, descriptor: BorrowedFd<'_>, registration: Registration, wanted: Wanted) {
        self.set(descriptor, registration, wanted);
    }

    fn add_child(
        &mut self,
        _child: &ChildProcess,
        _registration: Registration,
    ) -> Result<Option<Self::Child>, Error> {
        Err(Error::Unsupported)
    }

    fn remove_child(&mut self, (): Self::Child) {}

    fn wait(&mut self, until: Until) -> Result<Events, Error> {
        self.events.clear();
        let was_woken = self.waker.0.swap(false, Ordering::Acquire);
        let end = match until {
            _ if was_woken => Some(Subscription::now(CLOCK)),
            Until::Now => Some(Subscription::now(CLOCK)),
            Until::Deadline(deadline) => Some(after_now(deadline)),
            // The system takes no empty list, and there is nobody else.
            Until::Forever if self.batch.is_empty() => return Err(Error::Deadlock),
            Until::Forever => None,
        };
        self.take(end)?;
        Ok(Events { len: self.events.len(), is_full: false })
    }

    fn event(&self, index: usize) -> Event {
        self.events[index]
    }
}

impl WasiPoller {
    /// Has in the list what is wanted of a descriptor, and nothing else.
    fn set(&mut self, descriptor: BorrowedFd<'_>, registration: Registration, wanted: Wanted) {
        let index = descriptor.as_raw_fd() as usize;
        if index >= self.watched.len() {
            if wanted == Wanted::default() {
                return;
            }
            self.watched.resize(index + 1, Watched::default());
        }
        let number = registration.to_u64();
        let (watched, batch) = (&mut self.watched[index], &mut self.batch);
        keep(&mut watched.read, batch, wanted.read, || Subscription::read(number, descriptor));
        keep(&mut watched.write, batch, wanted.write, || {
            Subscription::write(number | FOR_WRITING, descriptor)
        });
    }

    /// Waits, and takes what has happened.
    fn take(&mut self, end: Option<Subscription>) -> Result<(), Error> {
        let Self { batch, happened, events, .. } = self;
        happened.resize(batch.len() + 1, Happened::NOTHING);
        match batch.with(end, |list| poll_oneoff(list, happened)) {
            Ok(count) => events.extend(happened[..count].iter().filter_map(event_of)),
            // Of one bad descriptor some hosts say it of the whole list: it is found, and the others go on.
            Err(error) => {
                batch.with(None, |list| events.extend(list.iter().filter_map(|one| event_of_one(*one))));
                if events.is_empty() {
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

/// Puts a subscription into the list, or takes it out.
fn keep(
    key: &mut Option<Key>,
    batch: &mut Batch<Subscription>,
    is_wanted: bool,
    make: impl FnOnce() -> Subscription,
) {
    match *key {
        None if is_wanted => *key = Some(batch.get(make())),
        Some(present) if !is_wanted => {
            batch.put(present);
            *key = None;
        }
        _ => {}
    }
}

/// The end of a wait, from now on: some hosts understand no points in time.
fn after_now(deadline: Time) -> Subscription {
    Subscription::after(CLOCK, deadline.since(system::now()).min(LONGEST))
}

/// What has happened, but for the clock, which is no progress.
fn event_of(happened: &Happened) -> Option<Event> {
    if happened.is_clock() {
        return None;
    }
    let number = happened.number();
    let bits = match (happened.is_refusal(), number & FOR_WRITING != 0) {
        (true, _) => GONE,
        (false, true) => WRITE,
        (false, false) if happened.is_hang_up() => READ | GONE,
        (false, false) => READ,
    };
    Some(Event { registration: Registration::from_u64(number & !FOR_WRITING), bits })
}

/// What the system says of one descriptor alone.
enum Look {
    Nothing,
    Happened(Happened),
    Refused,
}

fn look(subscription: Subscription) -> Look {
    let mut happened = [Happened::NOTHING; 2];
    let count = match poll_oneoff(&[subscription, Subscription::now(CLOCK)], &mut happened) {
        Ok(count) => count,
        Err(_) => return Look::Refused,
    };
    match happened[..count].iter().find(|each| !each.is_clock()) {
        Some(each) if each.is_refusal() => Look::Refused,
        Some(each) => Look::Happened(*each),
        None => Look::Nothing,
    }
}

/// The event of one subscription, if there is one: of a bad descriptor, that its calls will tell.
fn event_of_one(subscription: Subscription) -> Option<Event> {
    match look(subscription) {
        Look::Nothing => None,
        Look::Happened(happened) => event_of(&happened),
        Look::Refused => {
            let number = subscription.number() & !FOR_WRITING;
            Some(Event { registration: Registration::from_u64(number), bits: GONE })
        }
    }
}

impl fmt::Debug for WasiPoller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasiPoller").field("subscriptions", &self.batch.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> WasiPoller {
        WasiPoller::open(&Config::default()).unwrap()
    }

    #[test]
    fn a_wake_ends_the_wait_that_follows_and_no_other() {
        let mut poller = open();
        let waker = poller.waker();
        waker.clone().wake();
        waker.wake();
        assert_eq!(poller.wait(Until::Forever).map(|events| events.len), Ok(0));
        assert!(matches!(poller.wait(Until::Forever), Err(Error::Deadlock)));
    }

    #[test]
    fn a_wait_for_nothing_is_a_deadlock_unless_it_has_an_end() {
        let mut poller = open();
        assert!(matches!(poller.wait(Until::Forever), Err(Error::Deadlock)));
        assert!(poller.wait(Until::Now).is_ok());
        let end = system::now() + Duration::from_millis(2);
        assert!(poller.wait(Until::Deadline(end)).is_ok());
        assert!(system::now() >= end, "it ended early");
    }

    #[test]
    fn the_clock_is_no_event() {
        let mut poller = open();
        for until in [Until::Now, Until::Deadline(Time::ZERO), Until::Deadline(system::now())] {
            assert_eq!(poller.wait(until).map(|events| events.len), Ok(0));
        }
        let mut happened = [Happened::NOTHING];
        assert_eq!(poll_oneoff(&[Subscription::now(CLOCK)], &mut happened), Ok(1));
        assert!(happened[0].is_clock() && event_of(&happened[0]).is_none());
    }
}
