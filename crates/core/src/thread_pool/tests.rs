//! What a backend has of the pool: one that hands everything over, held to the rules by a driver.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::{Call, Job, Pool, PoolConfig, Returned};
use crate::backend::{Backend, OwnedDescriptor, Token, Until, Wake};
use crate::driver::Driver;
use crate::outcome::Outcome;
use crate::socket::{Control, Family, Reply, SocketKind};
use crate::stream::{Accepted, Received, Recv};
use crate::{Accept, Address, Buffer, Cancel, Capabilities, Config, Done, Error, Handle, Slot, Time, Work};

/// Ends a wait; sticky.
#[derive(Clone, Default)]
struct Bell(Arc<(Mutex<bool>, Condvar)>);

impl Wake for Bell {
    fn wake(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_one();
    }
}

/// Does everything on the pool.
#[derive(Default)]
struct Offloading {
    bell: Bell,
    descriptors: Vec<(Slot, Arc<OwnedDescriptor>)>,
    /// How many shares of its descriptor there were when a slot was closed.
    shares_at_close: Vec<usize>,
    cancels: u32,
}

impl Offloading {
    fn descriptor(&self, slot: Slot) -> Option<Arc<OwnedDescriptor>> {
        let entry = self.descriptors.iter().find(|(taken, _)| *taken == slot);
        entry.map(|(_, descriptor)| Arc::clone(descriptor))
    }

    fn adopt(&mut self, slot: Slot, descriptor: OwnedDescriptor) {
        assert!(self.descriptor(slot).is_none());
        self.descriptors.push((slot, Arc::new(descriptor)));
    }
}

impl Backend for Offloading {
    const NAME: &'static str = "offloading";
    type Waker = Bell;

    fn open(_: &Config) -> io::Result<Self> {
        Ok(Self::default())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { threads: true, ..Capabilities::default() }
    }

    fn waker(&self) -> Bell {
        self.bell.clone()
    }

    fn now(&self) -> Time {
        Time::ZERO
    }

    fn attach(&mut self, slot: Slot, descriptor: OwnedDescriptor) -> Result<(), (Error, OwnedDescriptor)> {
        self.adopt(slot, descriptor);
        Ok(())
    }

    fn detach(&mut self, slot: Slot) -> Result<OwnedDescriptor, Error> {
        let position =
            self.descriptors.iter().position(|(taken, _)| *taken == slot).ok_or(Error::StaleHandle)?;
        let (_, descriptor) = self.descriptors.swap_remove(position);
        Ok(Arc::into_inner(descriptor).expect("a job's share is gone when its operation has come back"))
    }

    fn socket(&mut self, _: Slot, _: Family, _: SocketKind) -> Result<(), Error> {
        Err(Error::Unsupported)
    }

    fn control(&mut self, _: Slot, _: Control) -> Result<Reply, Error> {
        Err(Error::Unsupported)
    }

    fn start(&mut self, token: Token, slot: Slot, done: &mut Done) {
        let call = match done.undecided(token) {
            Some(Outcome::Recv(_)) => read,
            Some(Outcome::Accept(_)) => duplicate,
            _ => return done.decided(token),
        };
        let descriptor = self.descriptor(slot).expect("started on an open slot");
        done.offload(token, Job::new(call).on(descriptor));
    }

    fn cancel(&mut self, _: Token, _: Slot, _: &mut Done) -> bool {
        self.cancels += 1;
        false
    }

    fn returned(&mut self, token: Token, slot: Slot, job: Returned, done: &mut Done) {
        assert!(self.descriptor(slot).is_some(), "it is not closed before");
        let mut outcome = job.outcome;
        if let (Outcome::Accept(accepted), Some(descriptor)) = (&mut outcome, job.opened) {
            let handle = done.new_handle();
            self.adopt(handle.slot(), descriptor);
            accepted.result = Ok((handle, address()));
        }
        done.push(token, outcome);
    }

    fn wait(&mut self, until: Until, _: &mut Done) -> Result<(), Error> {
        let mut rung = self.bell.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        while until != Until::Now && !*rung {
            rung = self.bell.0.1.wait(rung).unwrap_or_else(PoisonError::into_inner);
        }
        *rung = false;
        Ok(())
    }

    fn close(&mut self, slot: Slot) -> Result<(), Error> {
        let position =
            self.descriptors.iter().position(|(taken, _)| *taken == slot).ok_or(Error::StaleHandle)?;
        let (_, descriptor) = self.descriptors.swap_remove(position);
        self.shares_at_close.push(Arc::strong_count(&descriptor));
        Ok(())
    }
}

fn address() -> Address {
    Address::from(std::net::SocketAddr::from(([127, 0, 0, 1], 1)))
}

/// Reads what there is to be read. Of an empty buffer: panics.
fn read(call: &mut Call<'_>) {
    let Outcome::Recv(received) = &mut *call.outcome else { panic!("it is a receive") };
    assert!(!received.buffer.is_empty(), "nothing can be read");
    let [Some(descriptor), None] = call.descriptors else { panic!("it has one descriptor") };
    let bytes = received.buffer.as_mut_slice().expect("it can be written to");
    received.result = rustix::io::read(descriptor, bytes).map_err(Error::from);
}

/// Opens another descriptor of the same file.
fn duplicate(call: &mut Call<'_>) {
    let [Some(descriptor), None] = call.descriptors else { panic!("it has one descriptor") };
    *call.opened = descriptor.as_fd().try_clone_to_owned().ok();
}

/// A driver, a handle of it, and what has been written to that one's other end can be read.
fn reading(config: Config) -> (Driver<Offloading>, Handle, io::PipeWriter) {
    let (reader, writer) = io::pipe().unwrap();
    let mut driver = Driver::open(config).unwrap();
    let handle = driver.attach(reader).unwrap();
    (driver, handle, writer)
}

fn next(driver: &mut Driver<Offloading>) -> Outcome {
    loop {
        if let Some((_, outcome)) = driver.pop() {
            return outcome;
        }
        driver.turn(Until::Forever).unwrap();
    }
}

fn received(driver: &mut Driver<Offloading>) -> Received {
    match next(driver) {
        Outcome::Recv(received) => received,
        other => panic!("expected a receive, got {other:?}"),
    }
}

/// Lets a work begin and end: `begun`, `open`, and what it calls.
fn gate() -> (Receiver<()>, Sender<()>, impl FnOnce() + Send + 'static) {
    let ((begin, begun), (open, opened)) = (channel(), channel());
    let pass = move || {
        let _ = begin.send(());
        let _ = opened.recv();
    };
    (begun, open, pass)
}

#[test]
fn a_blocking_read_is_done_on_a_thread() {
    let (mut driver, handle, writer) = reading(Config::default());
    driver.submit(Recv { handle, buffer: Buffer::zeroed(8) });
    driver.submit(Recv { handle, buffer: Buffer::zeroed(8) });
    driver.turn(Until::Now).unwrap();
    assert_eq!(driver.active(), 2, "nothing was written");
    rustix::io::write(&writer, b"bytes").unwrap();
    let first = received(&mut driver);
    assert_eq!((first.result, &first.buffer[..5]), (Ok(5), &b"bytes"[..]));
    drop(writer);
    assert_eq!(received(&mut driver).result, Ok(0), "one behind the other");
    let reader = driver.detach(handle).unwrap();
    drop(reader);
}

/// Contract H1, H2: the descriptor stays until the thread has let go of it.
#[test]
fn a_handle_is_closed_when_its_job_has_ended() {
    let (mut driver, handle, writer) = reading(Config::default());
    driver.submit(Recv { handle, buffer: Buffer::zeroed(8) });
    driver.turn(Until::Now).unwrap();
    while driver.backend().descriptor(handle.slot()).map_or(0, |shared| Arc::strong_count(&shared)) < 3 {
        // Until the job has its share: that, the table's, and the one just counted.
        std::thread::yield_now();
    }
    // Whether the thread has begun the call does not matter to what follows, but for the result.
    driver.close(handle);
    driver.turn(Until::Now).unwrap();
    rustix::io::write(&writer, b"late").unwrap();
    let outcome = received(&mut driver);
    assert!(matches!(outcome.result, Ok(4) | Err(Error::Canceled)), "{:?}", outcome.result);
    assert_eq!((outcome.buffer.len(), driver.active()), (8, 0));
    assert_eq!((driver.backend().shares_at_close.as_slice(), driver.backend().cancels), (&[1][..], 0));
}

#[test]
fn what_a_job_opens_comes_into_the_loop() {
    let (mut driver, handle, writer) = reading(Config::default());
    driver.submit(Accept { listener: handle });
    let Outcome::Accept(Accepted { result: Ok((opened, _)), .. }) = next(&mut driver) else {
        panic!("it opens a duplicate")
    };
    rustix::io::write(&writer, b"both").unwrap();
    driver.submit(Recv { handle: opened, buffer: Buffer::zeroed(8) });
    assert_eq!(received(&mut driver).result, Ok(4));
    driver.close(opened);
    assert_eq!(driver.backend().descriptors.len(), 1);
    // One that nobody gets is closed.
    let key = driver.submit(Accept { listener: handle });
    driver.turn(Until::Now).unwrap();
    driver.delete(key).unwrap();
    while driver.active() > 0 {
        assert!(driver.pop().is_none());
        driver.turn(Until::Now).unwrap();
    }
    assert_eq!(driver.backend().descriptors.len(), 1);
}

#[test]
fn a_job_that_panics_hands_everything_back() {
    let (mut driver, handle, _writer) = reading(Config::default());
    driver.submit(Recv { handle, buffer: Buffer::from(Vec::with_capacity(16)) });
    let outcome = received(&mut driver);
    assert_eq!((outcome.result, outcome.handle), (Err(Error::Panicked), handle));
    assert_eq!(outcome.buffer.into_vec().capacity(), 16);
}

/// Contract X2: what no thread has begun ends at once, and the backend, which does not have it, is not asked.
#[test]
fn a_queued_job_is_cancelled_without_the_backend() {
    let pool = Pool::new(PoolConfig::default().threads(1)).unwrap();
    let (mut driver, handle, writer) = reading(Config::default().pool(pool));
    let (begun, open, pass) = gate();
    driver.submit(Work::new(pass));
    driver.turn(Until::Now).unwrap();
    begun.recv().unwrap();
    let queued = driver.submit(Recv { handle, buffer: Buffer::zeroed(8) });
    driver.turn(Until::Now).unwrap();
    assert_eq!(driver.cancel(queued), Cancel::Requested);
    assert_eq!(driver.cancel(queued), Cancel::Requested);
    assert_eq!(received(&mut driver).result, Err(Error::Canceled));
    assert_eq!((driver.backend().cancels, driver.active()), (0, 1));
    assert_eq!(driver.cancel(queued), Cancel::NotFound);
    open.send(()).unwrap();
    let Outcome::Work(work) = next(&mut driver) else { panic!("only that is left") };
    assert_eq!(work.into_result::<()>(), Some(Ok(())));
    drop(writer);
}

/// What is done already, though the loop has not looked, cannot be cancelled any more.
#[test]
fn a_job_that_has_come_back_is_too_late_to_cancel() {
    let (mut driver, handle, writer) = reading(Config::default());
    rustix::io::write(&writer, b"now").unwrap();
    let key = driver.submit(Recv { handle, buffer: Buffer::zeroed(8) });
    driver.turn(Until::Now).unwrap();
    while !driver.has_calls() && driver.outcomes() == 0 {
        std::thread::yield_now();
    }
    // Either the turn has brought it already, or the cancel finds it done.
    assert_eq!(driver.cancel(key), Cancel::TooLate);
    assert_eq!(received(&mut driver).result, Ok(3));
}

/// Where the system gives no thread, the operation says so; and there is one, nothing is lost.
#[test]
fn without_a_thread_it_fails() {
    let config = PoolConfig::default().stack_size(1 << 47).idle(Duration::ZERO);
    let (mut driver, handle, writer) = reading(Config::default().own_pool(config));
    for _ in 0..3 {
        driver.submit(Recv { handle, buffer: Buffer::zeroed(8) });
        let outcome = received(&mut driver);
        assert!(matches!(outcome.result, Err(Error::System(_))), "{:?}", outcome.result);
        assert_eq!(outcome.buffer.len(), 8);
    }
    drop(writer);
}

/// Without a loop, as tests of backends use it, a job is done at once.
#[test]
fn a_queue_without_a_loop_does_its_jobs() {
    let (reader, writer) = io::pipe().unwrap();
    rustix::io::write(&writer, b"12345").unwrap();
    let (mut backend, mut done) = (Offloading::default(), Done::new());
    let handle = done.new_handle();
    backend.attach(handle.slot(), reader.into()).map_err(|(error, _)| error).unwrap();
    let token = done.submit(Recv { handle, buffer: Buffer::zeroed(8) }.into());
    backend.start(token, handle.slot(), &mut done);
    let (returned, job) = done.take_returned().unwrap();
    backend.returned(returned, handle.slot(), job, &mut done);
    let Some((popped, Outcome::Recv(received))) = done.pop() else { panic!("it is decided") };
    assert_eq!((popped, received.result), (token, Ok(5)));
    assert!(done.take_returned().is_none());
}
