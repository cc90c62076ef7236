//! The poller over epoll and an eventfd.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use proactor_core::{ChildProcess, Config, Error, Time, Until};
use proactor_readiness::{Batch, Event, Poller, Registration, Signs, Watch};
use proactor_system::{self as system, EventWaker, SignalWatch};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

/// Everything, once for each change.
const ALL: EventFlags = EventFlags::IN
    .union(EventFlags::OUT)
    .union(EventFlags::PRI)
    .union(EventFlags::RDHUP)
    .union(EventFlags::ET);

/// Both directions are over. epoll reports these in any case.
const CLOSED: EventFlags = EventFlags::HUP.union(EventFlags::ERR);

const IRREGULAR: EventFlags = CLOSED.union(EventFlags::RDHUP).union(EventFlags::PRI);

/// How many events are taken at once, at most: of so many sockets the receive, the callback and what that sends follow one another
/// while the system still has them in its caches. A turn that does not wait takes several batches.
const BATCH_MAX: u32 = 128;

const NO_TIME: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

const MILLISECOND: Duration = Duration::from_millis(1);

/// The longest time that one wait takes, 24 days: milliseconds in an `i32`. To return early is always allowed.
const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

/// The poller over epoll.
pub struct EpollPoller {
    epoll: OwnedFd,
    waker: EventWaker,
    events: Vec<epoll::Event>,
}

impl Poller for EpollPoller {
    const NAME: &'static str = "epoll";

    const SIGNS: Signs = Signs {
        readable: IRREGULAR.union(EventFlags::IN).bits(),
        writable: CLOSED.union(EventFlags::OUT).bits(),
        irregular: IRREGULAR.bits(),
    };

    const FORGETS_WHAT_IS_CLOSED: bool = true;

    type Waker = EventWaker;

    /// A process as a descriptor.
    type Child = OwnedFd;

    type Signals = SignalWatch;

    fn open(config: &Config) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let waker = EventWaker::new()?;
        let data = EventData::new_u64(Registration::NOBODY.to_u64());
        epoll::add(&epoll, &waker, data, EventFlags::IN | EventFlags::ET)?;
        Ok(Self { epoll, waker, events: Vec::with_capacity(config.entries.min(BATCH_MAX) as usize) })
    }

    fn waker(&self) -> EventWaker {
        self.waker.clone()
    }

    fn can_watch_children(&self) -> bool {
        system::has_process_descriptors()
    }

    fn add(&mut self, descriptor: BorrowedFd<'_>, registration: Registration) -> Result<Watch, Error> {
        let data = EventData::new_u64(registration.to_u64());
        match epoll::add(&self.epoll, descriptor, data, ALL) {
            Ok(()) => Ok(Watch::Edges),
            // It was closed here, lived on in another process, and has come back from there with its number.
            Err(Errno::EXIST) => {
                epoll::modify(&self.epoll, descriptor, data, ALL)?;
                Ok(Watch::Edges)
            }
            // Some character devices, /dev/null for one (contract H4).
            Err(Errno::PERM) => Ok(Watch::AlwaysReady),
            Err(errno) => Err(errno.into()),
        }
    }

    fn remove(&mut self, descriptor: BorrowedFd<'_>) {
        let removed = epoll::delete(&self.epoll, descriptor);
        debug_assert_eq!(removed, Ok(()), "what was added can be removed");
    }

    fn add_child(
        &mut self,
        child: &ChildProcess,
        registration: Registration,
    ) -> Result<Option<OwnedFd>, Error> {
        // It shows there also if it has ended meanwhile.
        let process = system::process_descriptor(child)?;
        self.add(process.as_fd(), registration)?;
        Ok(Some(process))
    }

    fn remove_child(&mut self, process: OwnedFd) {
        self.remove(process.as_fd());
    }

    #[inline]
    fn wait(&mut self, until: Until) -> Result<Batch, Error> {
        match until {
            Until::Now => self.look(Some(&NO_TIME)),
            Until::Forever => self.look(None),
            Until::Deadline(deadline) => self.wait_until(deadline),
        }
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.epoll.as_fd())
    }

    #[inline(always)]
    fn event(&self, index: usize) -> Event {
        let epoll::Event { flags, data, .. } = self.events[index];
        Event { registration: Registration::from_u64(data.u64()), bits: flags.bits() }
    }
}

impl EpollPoller {
    /// Waits for `time`, or for ever, and takes a batch.
    #[inline]
    fn look(&mut self, time: Option<&Timespec>) -> Result<Batch, Error> {
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), time) {
            Ok(len) => Ok(Batch { len, is_full: len == self.events.capacity() }),
            Err(Errno::INTR) => Ok(Batch { len: 0, is_full: false }),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Waits until `deadline`, to the nanosecond on every kernel: whole milliseconds as `epoll_wait` counts them, and
    /// what is left over by polling the epoll descriptor itself. (`epoll_pwait2` came with Linux 5.11, and where it
    /// is forbidden some sandboxes end the process.) A second call is made only where nothing came before.
    fn wait_until(&mut self, deadline: Time) -> Result<Batch, Error> {
        let mut left = deadline.since(system::now());
        if left >= MILLISECOND {
            let whole = Duration::from_millis(left.min(LONGEST).as_millis() as u64);
            let batch = self.look(Some(&timespec(whole)))?;
            if batch.len > 0 || left > LONGEST {
                return Ok(batch);
            }
            left = deadline.since(system::now());
        }
        if left.is_zero() {
            return self.look(Some(&NO_TIME));
        }
        // What is left is below a millisecond, but for a wait that was interrupted: that counts as over.
        let mut epoll = [PollFd::from_borrowed_fd(self.epoll.as_fd(), PollFlags::IN)];
        match rustix::event::poll(&mut epoll, Some(&timespec(left.min(MILLISECOND)))) {
            Ok(0) | Err(Errno::INTR) => {
                self.events.clear();
                Ok(Batch { len: 0, is_full: false })
            }
            Ok(_) => self.look(Some(&NO_TIME)),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// A time of at most [`LONGEST`], as the system takes it.
fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() }
}

impl fmt::Debug for EpollPoller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EpollPoller").field("epoll", &self.epoll).finish_non_exhaustive()
    }
}
