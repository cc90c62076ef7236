//! What callbacks may do.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::time::Duration;

use crate::backend::{Backend, OwnedDescriptor};
use crate::callback::Deliver;
use crate::driver::{AttachError, Cancel, is_timer};
use crate::event_loop::Inner;
use crate::handle::{Handle, Key};
use crate::handles::NONE;
use crate::notifier::{Notifier, Waker};
use crate::operation::{Multishot, OneShot, Timer};
use crate::socket::{Address, Family, ListenOptions, SocketOption};
use crate::state::State;
use crate::trace::trace;
use crate::{BufferPool, Capabilities, Error, Time};

/// How long a rearm after a transient error is held back, so that a program which re-arms at once burns no core
/// (contract E3).
const TRANSIENT_DELAY: Duration = Duration::from_millis(5);

/// Everything that can be done with a loop but running it. Callbacks get one; [`Loop::context`](crate::Loop::context)
/// gives one for setting up.
pub struct Context<'a, B: Backend, S> {
    pub(crate) inner: &'a mut Inner<B, S>,
}

/// What a callback of [`Context::submit_rearm`] answers.
#[derive(Debug)]
pub enum Action<O> {
    /// It is finished.
    Disarm,
    /// Arm it again, with this operation: a fresh deadline or buffer, the same callback and key.
    Rearm(O),
    /// The same, but not before this time. Made by [`Context::rearm_after`].
    RearmAt(Time, O),
}

/// What comes to a callback of [`Context::submit_multishot`].
pub enum Event<O: Multishot> {
    /// One of any number; more follow.
    More(O::Item),
    /// It has ended.
    Last(Last<O>),
}

/// The end of a multishot operation, which hands its parts back.
pub struct Last<O: Multishot> {
    /// The parts, and why it ended.
    pub output: O::Output,
}

impl<O: Multishot> fmt::Debug for Event<O>
where
    O::Item: fmt::Debug,
    O::Output: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::More(item) => f.debug_tuple("More").field(item).finish(),
            Self::Last(last) => last.fmt(f),
        }
    }
}

impl<O: Multishot> fmt::Debug for Last<O>
where
    O::Output: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Last").field(&self.output).finish()
    }
}

impl<O: Multishot> Last<O> {
    /// Arms it again: the answer to give.
    #[must_use]
    pub fn rearm(self, operation: O) -> Flow<O> {
        Flow::Rearm(Again { operation, delay: None })
    }

    /// Arms it again after `delay`: the answer to give.
    #[must_use]
    pub fn rearm_after(self, delay: Duration, operation: O) -> Flow<O> {
        Flow::Rearm(Again { operation, delay: Some(delay) })
    }
}

/// An operation to be armed again, which only [`Last`] can ask for.
#[derive(Debug)]
pub struct Again<O> {
    operation: O,
    delay: Option<Duration>,
}

/// What a callback of [`Context::submit_multishot`] answers.
#[derive(Debug)]
pub enum Flow<O> {
    /// Go on; after the last event, it is finished.
    Continue,
    /// End it: events that are queued already still arrive, and a last one.
    Stop,
    /// Arm it again, after the last event: made by [`Last::rearm`].
    Rearm(Again<O>),
}

impl<'a, B: Backend, S> Context<'a, B, S> {
    pub(crate) fn new(inner: &'a mut Inner<B, S>) -> Self {
        Self { inner }
    }

    /// Submits an operation, whose outcome `callback` gets, once.
    ///
    /// Cannot fail, calls nothing back and only queues: the next turn starts what was submitted, in order (contract C3,
    /// C4). What is wrong with the operation arrives as its outcome. Captures of up to four words are kept without
    /// allocating.
    ///
    /// ```
    /// use proactor_sim::{Accept, Buffer, Config, Connect, ListenOptions, Loop, Recv, RunMode, SendAll};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut ev = Loop::<Vec<u8>>::open(Config::default())?;
    /// let mut cx = ev.context();
    /// let listener = cx.listen("127.0.0.1:0".parse()?, ListenOptions::default())?;
    /// let address = cx.local_address(listener)?;
    ///
    /// cx.submit(Accept { listener }, |_text, cx, accepted| match accepted.result {
    ///     Ok((handle, _peer)) => {
    ///         cx.submit(Recv { handle, buffer: Buffer::zeroed(64) }, |text, _cx, received| match received.result {
    ///             Ok(n) => text.extend_from_slice(&received.buffer[..n]),
    ///             Err(error) => panic!("{error}"),
    ///         });
    ///     }
    ///     Err(error) => cx.fail(error),
    /// });
    ///
    /// let handle = cx.socket(address.family())?;
    /// cx.submit(Connect { handle, address }, |_text, _cx, connected| assert_eq!(connected.result, Ok(())));
    /// // Queues behind the connect.
    /// cx.submit(SendAll { handle, buffer: Buffer::from(b"hello") }, |_text, _cx, sent| {
    ///     assert_eq!((sent.transferred, sent.result), (5, Ok(())));
    /// });
    ///
    /// let mut text = Vec::new();
    /// ev.run(&mut text, RunMode::UntilDone)?;
    /// assert_eq!(text, b"hello");
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn submit<O, F>(&mut self, operation: O, callback: F) -> Key
    where
        O: OneShot,
        F: FnOnce(&mut S, &mut Context<'_, B, S>, O::Output) + 'static,
    {
        self.inner.submit::<Once<O, F>>(operation, callback)
    }

    /// Submits an operation that its callback may arm again, with a fresh operation each time.
    ///
    /// After a transient error ([`Error::is_transient`]) a rearm is held back for some milliseconds, unless the callback
    /// says itself for how long ([`rearm_after`](Self::rearm_after)) (contract E3).
    ///
    /// Nothing else holds it back, and nothing but the answer ends it: a callback that arms again whatever comes goes on
    /// after a cancel, and on a handle that was closed it is called in each turn, with [`Error::StaleHandle`].
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use proactor_sim::{Action, Config, Loop, RunMode, Timer};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let period = Duration::from_millis(10);
    /// let mut ev = Loop::<u32>::open(Config::default())?;
    /// let started = ev.context().now();
    /// ev.context().submit_rearm(Timer::after(period), move |ticks, _cx, _expired| {
    ///     *ticks += 1;
    ///     if *ticks < 100 { Action::Rearm(Timer::after(period)) } else { Action::Disarm }
    /// });
    ///
    /// let mut ticks = 0;
    /// ev.run(&mut ticks, RunMode::UntilDone)?;
    /// assert_eq!(ticks, 100);
    /// assert!(ev.context().now().since(started) >= 100 * period);
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn submit_rearm<O, F>(&mut self, operation: O, callback: F) -> Key
    where
        O: OneShot,
        F: FnMut(&mut S, &mut Context<'_, B, S>, O::Output) -> Action<O> + 'static,
    {
        self.inner.submit::<Repeated<O, F>>(operation, callback)
    }

    /// Submits an operation with many outcomes: any number of [`Event::More`], then one [`Event::Last`], which hands the
    /// operation's parts back and says why it ended. Only from that one can it be armed again.
    ///
    /// ```
    /// use proactor_sim::{AcceptMany, Config, Connect, Error, Event, Flow, ListenOptions, Loop, RunMode};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut ev = Loop::<u32>::open(Config::default())?;
    /// let mut cx = ev.context();
    /// let listener = cx.listen("127.0.0.1:0".parse()?, ListenOptions::default())?;
    /// let address = cx.local_address(listener)?;
    /// cx.submit_multishot(AcceptMany { listener }, |accepted, cx, event| match event {
    ///     Event::More(connection) => {
    ///         cx.close(connection.handle);
    ///         *accepted += 1;
    ///         if *accepted == 3 { Flow::Stop } else { Flow::Continue }
    ///     }
    ///     Event::Last(last) => {
    ///         assert_eq!(last.output.error, Error::Canceled);
    ///         cx.close(last.output.listener);
    ///         Flow::Continue
    ///     }
    /// });
    /// for _ in 0..3 {
    ///     let handle = cx.socket(address.family())?;
    ///     cx.submit(Connect { handle, address: address.clone() }, |_accepted, cx, connected| {
    ///         assert_eq!(connected.result, Ok(()));
    ///         cx.close(connected.handle);
    ///     });
    /// }
    ///
    /// let mut accepted = 0;
    /// ev.run(&mut accepted, RunMode::UntilDone)?;
    /// assert_eq!(accepted, 3);
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn submit_multishot<O, F>(&mut self, operation: O, callback: F) -> Key
    where
        O: Multishot,
        F: FnMut(&mut S, &mut Context<'_, B, S>, Event<O>) -> Flow<O> + 'static,
    {
        self.inner.submit::<Many<O, F>>(operation, callback)
    }

    /// Calls `callback` after `duration`, not at all if it is cancelled.
    pub fn timer_after<F>(&mut self, duration: Duration, callback: F) -> Key
    where
        F: FnOnce(&mut S, &mut Context<'_, B, S>) + 'static,
    {
        self.submit(Timer::after(duration), |state, cx, expired| {
            if expired.result.is_ok() {
                callback(state, cx);
            }
        })
    }

    /// The answer that arms `operation` again after `delay`.
    pub fn rearm_after<O>(&mut self, delay: Duration, operation: O) -> Action<O> {
        Action::RearmAt(self.update_now() + delay, operation)
    }

    /// Asks that a completion ends; its callback still hears how (contract X1).
    pub fn cancel(&mut self, key: Key) -> Cancel {
        self.inner.driver.cancel(key)
    }

    /// Cancels everything, background completions too. What a callback re-arms whose outcome is being delivered, or is
    /// queued already, ends as cancelled once; what is submitted later is new (contract X3, X6).
    pub fn cancel_all(&mut self) {
        self.inner.driver.cancel_all();
    }

    /// Ends a completion without its callback hearing anything more. The captures are dropped when the operation has ended, and
    /// with its buffer goes what it had received by then, from the middle of a stream too (contract C5). To lose nothing,
    /// [`cancel`](Self::cancel) it and hear how it ended.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a stale key.
    pub fn delete(&mut self, key: Key) -> Result<(), Error> {
        // The parts are dropped last: that may be the user's code, and panic.
        if let Some(_parts) = self.inner.driver.delete_now(key)? {
            self.inner.driver.done.records.clear_callback(key.name.index);
        }
        Ok(())
    }

    /// Where a completion stands; dead for a stale key (contract C4).
    #[must_use]
    pub fn state(&self, key: Key) -> State {
        self.inner.driver.state(key)
    }

    /// Arms a timer again with another deadline, in whatever state it is (contract T3).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use proactor_sim::{Config, Loop, RunMode, Timer};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut ev = Loop::<()>::open(Config::default())?;
    /// let mut cx = ev.context();
    /// let started = cx.now();
    /// let timeout = cx.timer_after(Duration::from_secs(1), move |(), cx| {
    ///     assert!(cx.now().since(started) >= Duration::from_secs(5), "it was put off");
    /// });
    /// cx.timer_reset(timeout, Timer::after(Duration::from_secs(5)))?;
    /// ev.run(&mut (), RunMode::UntilDone)
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::NotFound`] for a stale key, [`Error::InvalidInput`] if it is no timer, [`Error::Busy`] if its outcome is
    /// queued already, if it was cancelled, or in its own callback where that is one of [`submit`](Self::submit).
    pub fn timer_reset(&mut self, key: Key, timer: Timer) -> Result<(), Error> {
        self.inner.driver.timer_reset(key, timer)
    }

    /// Marks a completion as one that does not keep [`RunMode::UntilDone`](crate::RunMode::UntilDone) running
    /// (contract L4).
    ///
    /// # Errors
    /// [`Error::NotFound`] for a stale key.
    pub fn background(&mut self, key: Key) -> Result<(), Error> {
        self.inner.driver.background(key)
    }

    /// How many completions are adding, active or deleting: background ones, and the one whose callback runs, included.
    #[must_use]
    pub fn active(&self) -> usize {
        self.inner.driver.active()
    }

    /// Gives the loop a descriptor, one of std's sockets for example. Where std does not give one away, a duplicate serves:
    /// `stdin().as_fd().try_clone_to_owned()`; for what that means on a terminal, see [`Read`](crate::Read).
    ///
    /// # Errors
    /// The system's reason, or [`Error::Unsupported`]; the descriptor comes back with it.
    pub fn attach(&mut self, descriptor: impl Into<OwnedDescriptor>) -> Result<Handle, AttachError> {
        self.inner.driver.attach(descriptor)
    }

    /// Takes a descriptor out of the loop, its status flags as they were when it was attached (contract H5). The operation
    /// [`Detach`](crate::Detach) ends what is pending before.
    ///
    /// # Errors
    /// [`Error::StaleHandle`]; [`Error::Busy`] while something is pending on it; [`Error::Unsupported`] where there is no
    /// descriptor behind it.
    pub fn detach(&mut self, handle: Handle) -> Result<OwnedDescriptor, Error> {
        self.inner.driver.detach(handle)
    }

    /// Closes a handle: it is stale at once, what is pending on it ends as cancelled, and then the descriptor is closed.
    /// Does nothing to a stale handle. Cannot fail (contract H1).
    pub fn close(&mut self, handle: Handle) {
        self.inner.driver.close(handle);
    }

    /// Opens a stream socket: TCP, or a Unix stream.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the family is, or the system's reason.
    pub fn socket(&mut self, family: Family) -> Result<Handle, Error> {
        self.inner.driver.socket(family)
    }

    /// Opens a datagram socket (UDP, or a Unix socket of datagrams), bound to nothing yet: [`bind`](Self::bind) does that,
    /// or, on IPv4 and IPv6, sending.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the family is, or the system's reason.
    pub fn datagram_socket(&mut self, family: Family) -> Result<Handle, Error> {
        self.inner.driver.datagram_socket(family)
    }

    /// Opens a socket that listens at `address`; port 0 lets the system choose.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a backlog of zero, or the system's reason; nothing stays open.
    pub fn listen(&mut self, address: Address, options: ListenOptions) -> Result<Handle, Error> {
        self.inner.driver.listen(address, options)
    }

    /// Sets an option of a socket.
    ///
    /// # Errors
    /// [`Error::StaleHandle`], or the system's reason.
    pub fn set(&mut self, handle: Handle, option: SocketOption) -> Result<(), Error> {
        self.inner.driver.set(handle, option)
    }

    /// Binds a socket; port 0 lets the system choose.
    ///
    /// # Errors
    /// [`Error::StaleHandle`], or the system's reason.
    pub fn bind(&mut self, handle: Handle, address: Address) -> Result<(), Error> {
        self.inner.driver.bind(handle, address)
    }

    /// Makes a bound socket listen, for up to `backlog` connections that wait to be accepted.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a backlog of zero, [`Error::StaleHandle`], or the system's reason.
    pub fn listen_on(&mut self, handle: Handle, backlog: u32) -> Result<(), Error> {
        self.inner.driver.listen_on(handle, backlog)
    }

    /// The address that a socket is bound to.
    ///
    /// # Errors
    /// [`Error::StaleHandle`], or the system's reason.
    pub fn local_address(&mut self, handle: Handle) -> Result<Address, Error> {
        self.inner.driver.local_address(handle)
    }

    /// The address of a socket's peer.
    ///
    /// # Errors
    /// [`Error::StaleHandle`], or the system's reason: not connected.
    pub fn peer_address(&mut self, handle: Handle) -> Result<Address, Error> {
        self.inner.driver.peer_address(handle)
    }

    /// A pool of `count` buffers of `size` bytes, 1 to [`BufferPool::MAX_COUNT`] and 1 to
    /// [`Buffer::MAX_LEN`](crate::Buffer::MAX_LEN), for the [`RecvMany`](crate::RecvMany)s of this loop.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for numbers out of these ranges, the system's ENOMEM where there is no memory for it.
    pub fn buffer_pool(&mut self, count: u32, size: usize) -> Result<BufferPool, Error> {
        self.inner.driver.buffer_pool(count, size)
    }

    /// A new notifier of this loop.
    #[must_use]
    pub fn notifier(&mut self) -> Notifier {
        self.inner.driver.notifier()
    }

    /// A waker of this loop.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.inner.driver.waker()
    }

    /// The turn's time, read once a turn (contract T2).
    pub fn now(&mut self) -> Time {
        self.inner.driver.now()
    }

    /// Reads the clock afresh.
    pub fn update_now(&mut self) -> Time {
        self.inner.driver.update_now()
    }

    /// Ends the run after the present callback, keeping what is ready; before a run, that run does nothing. Lasts until
    /// [`resume`](Self::resume) (contract L2).
    pub fn stop(&mut self) {
        self.inner.stopped = true;
        self.inner.interrupted = true;
    }

    /// Takes back a [`stop`](Self::stop).
    pub fn resume(&mut self) {
        self.inner.stopped = false;
        self.inner.interrupted = self.inner.failure.is_some();
    }

    /// Ends the run after the present callback, keeping what is ready; `run` returns the error. The first one counts.
    ///
    /// An [`Error`] comes out as an [`io::Error`] around it, and is found again by its `downcast`; but [`Error::System`] is the
    /// system's own there, with its `raw_os_error`.
    pub fn fail(&mut self, error: impl Into<io::Error>) {
        self.inner.failure.get_or_insert(error.into());
        self.inner.interrupted = true;
    }

    /// What the backend can do on this machine.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.inner.driver.capabilities()
    }

    /// How many turns the loop has made.
    #[must_use]
    pub fn turns(&self) -> u64 {
        self.inner.driver.turns()
    }

    /// How often the backend broke a rule of its trait; always zero for one that is worth using.
    #[must_use]
    pub fn backend_faults(&self) -> u64 {
        self.inner.driver.backend_faults()
    }
}

impl<B: Backend, S> fmt::Debug for Context<'_, B, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.inner, f)
    }
}

/// Callbacks of `submit`.
struct Once<O, F>(PhantomData<(O, F)>);

impl<B, S, O, F> Deliver<B, S> for Once<O, F>
where
    B: Backend,
    O: OneShot,
    F: FnOnce(&mut S, &mut Context<'_, B, S>, O::Output),
{
    type Callback = F;

    type Operation = O;

    #[inline(always)]
    fn deliver(inner: &mut Inner<B, S>, state: &mut S, (index, _item): (u32, u32), callback: F) {
        if let Some(output) = inner.driver.take_output::<O>(index) {
            callback(state, &mut Context::new(inner), output);
        }
        inner.driver.finish::<O>(index);
    }
}

/// Callbacks of `submit_rearm`.
struct Repeated<O, F>(PhantomData<(O, F)>);

impl<B, S, O, F> Deliver<B, S> for Repeated<O, F>
where
    B: Backend,
    O: OneShot,
    F: FnMut(&mut S, &mut Context<'_, B, S>, O::Output) -> Action<O>,
{
    type Callback = F;

    type Operation = O;

    #[inline(always)]
    fn deliver(inner: &mut Inner<B, S>, state: &mut S, (index, _item): (u32, u32), mut callback: F) {
        let Some(output) = inner.driver.take_output::<O>(index) else {
            return inner.driver.finish::<O>(index);
        };
        let transient = O::error(&output).is_some_and(Error::is_transient);
        let is_timer = is_timer::<O>();
        if is_timer {
            inner.driver.allow_running_reset(index);
        }
        let action = callback(state, &mut Context::new(inner), output);
        let reset = if is_timer { inner.driver.take_running_reset() } else { None };
        let armed = match action {
            Action::Rearm(operation) if transient => {
                let due = inner.driver.update_now() + TRANSIENT_DELAY;
                inner.driver.rearm_at(index, operation, due)
            }
            Action::Rearm(operation) => inner.driver.rearm(index, operation),
            Action::RearmAt(due, operation) => inner.driver.rearm_at(index, operation, due),
            Action::Disarm => match reset {
                Some(timer) => inner.driver.rearm(index, timer),
                None => return inner.driver.finish::<O>(index),
            },
        };
        if armed {
            inner.put::<Self>(index, callback);
        }
    }
}

/// Callbacks of `submit_multishot`.
struct Many<O, F>(PhantomData<(O, F)>);

impl<B, S, O, F> Deliver<B, S> for Many<O, F>
where
    B: Backend,
    O: Multishot,
    F: FnMut(&mut S, &mut Context<'_, B, S>, Event<O>) -> Flow<O>,
{
    type Callback = F;

    type Operation = O;

    #[inline(always)]
    fn deliver(inner: &mut Inner<B, S>, state: &mut S, (index, item): (u32, u32), mut callback: F) {
        if item != NONE {
            if let Some(item) = inner.driver.done.records.remove_item(item).and_then(O::item) {
                inner.driver.completions.count(O::KIND);
                trace!(kind = ?O::KIND, key = ?inner.driver.done.records.key(index), "item");
                let flow = callback(state, &mut Context::new(inner), Event::More(item));
                if !matches!(flow, Flow::Continue) {
                    inner.driver.cancel_at(index);
                }
            }
            inner.put::<Self>(index, callback);
            return;
        }
        let Some(output) = inner.driver.take_output::<O>(index) else {
            return inner.driver.finish::<O>(index);
        };
        let transient = O::error(&output).is_some_and(Error::is_transient);
        let flow = callback(state, &mut Context::new(inner), Event::Last(Last { output }));
        let Flow::Rearm(Again { operation, delay }) = flow else {
            return inner.driver.finish::<O>(index);
        };
        let armed = match delay.or(transient.then_some(TRANSIENT_DELAY)) {
            Some(delay) => {
                let due = inner.driver.update_now() + delay;
                inner.driver.rearm_at(index, operation, due)
            }
            None => inner.driver.rearm(index, operation),
        };
        if armed {
            inner.put::<Self>(index, callback);
        }
    }
}
