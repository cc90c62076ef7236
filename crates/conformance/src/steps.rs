//! Cases as a sequence of steps: start an operation, let the loop run until its outcome is there, look at it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use proactor_core::{
    Accept, Address, Backend, Cancel, Connect, Context, Error, Expired, Handle, Key, ListenOptions, Loop,
    OneShot, RunMode, SocketOption, State, Timer,
};

/// More turns than any case needs; one that needs more is going round in circles.
const TURNS_MAX: u32 = 2_000_000;

/// An operation under way, and its outcome once there is one.
pub(crate) struct Pending<T> {
    pub(crate) key: Key,
    outcome: Rc<RefCell<Option<T>>>,
    delivered: Rc<Cell<u32>>,
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("key", &self.key)
            .field("delivered", &self.delivered)
            .finish_non_exhaustive()
    }
}

impl<T> Pending<T> {
    /// Whether its callback has run.
    pub(crate) fn is_done(&self) -> bool {
        self.delivered.get() > 0
    }

    /// How often its callback has run.
    pub(crate) fn delivered(&self) -> u32 {
        self.delivered.get()
    }

    /// The outcome, which must be there, once.
    #[track_caller]
    pub(crate) fn take(&self) -> T {
        assert_eq!(self.delivered.get(), 1, "delivered exactly once");
        self.outcome.borrow_mut().take().expect("an outcome is taken once")
    }
}

/// Submits `operation`, keeping its outcome.
pub(crate) fn start<B, S, O>(cx: &mut Context<'_, B, S>, operation: O) -> Pending<O::Output>
where
    B: Backend,
    O: OneShot,
    O::Output: 'static,
{
    let outcome = Rc::new(RefCell::new(None));
    let delivered = Rc::new(Cell::new(0));
    let (slot, count) = (Rc::clone(&outcome), Rc::clone(&delivered));
    let key = cx.submit(operation, move |_, _, output| {
        count.set(count.get() + 1);
        *slot.borrow_mut() = Some(output);
    });
    Pending { key, outcome, delivered }
}

/// Something that callbacks write down and the case reads.
pub(crate) struct Log<T>(Rc<RefCell<Vec<T>>>);

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> Log<T> {
    pub(crate) fn new() -> Self {
        Self(Rc::new(RefCell::new(Vec::new())))
    }

    pub(crate) fn push(&self, entry: T) {
        self.0.borrow_mut().push(entry);
    }

    pub(crate) fn extend_from_slice(&self, entries: &[T])
    where
        T: Clone,
    {
        self.0.borrow_mut().extend_from_slice(entries);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// What was written since the last look.
    pub(crate) fn take(&self) -> Vec<T> {
        self.0.take()
    }
}

/// Counts how many of its clones are gone: what callbacks capture, to see when it is dropped.
#[derive(Clone, Default)]
pub(crate) struct Captures(Rc<()>);

impl Captures {
    /// One that a callback keeps.
    pub(crate) fn capture(&self) -> Self {
        self.clone()
    }

    /// How many callbacks still have one.
    pub(crate) fn held(&self) -> usize {
        Rc::strong_count(&self.0) - 1
    }
}

/// Where a loop without a state is led step by step.
pub(crate) trait Steps<B: Backend> {
    /// Submits `operation`, keeping its outcome.
    fn start<O: OneShot>(&mut self, operation: O) -> Pending<O::Output>
    where
        O::Output: 'static;

    /// Submits `operation` and runs until its outcome is there.
    fn complete<O: OneShot>(&mut self, operation: O) -> O::Output
    where
        O::Output: 'static;

    /// Runs until the outcome is there.
    fn finish<T>(&mut self, pending: &Pending<T>) -> T;

    /// Runs, turn by turn, until `condition` holds.
    fn until(&mut self, condition: impl FnMut() -> bool);

    /// One turn that does not wait.
    fn no_wait(&mut self);

    /// Runs until at least one callback has run.
    fn once(&mut self);

    /// Runs until nothing is under way.
    fn until_done(&mut self);

    /// Runs for a while in which nothing is expected to happen, and for some turns, however long that takes: a thread that is kept
    /// waiting makes one in the while.
    fn idle(&mut self);

    fn cancel(&mut self, key: Key) -> Cancel;

    fn state(&mut self, key: Key) -> State;

    /// A listener on a free port of the loopback, and its address.
    fn listener(&mut self) -> (Handle, Address);

    /// Two ends of a connection, both in this loop: the one that connected and the one that was accepted.
    fn pair(&mut self) -> (Handle, Handle);
}

/// As [`Steps::idle`], of a loop with a state.
#[track_caller]
pub(crate) fn idle<B: Backend, S>(ev: &mut Loop<B, S>, state: &mut S) {
    ev.run_for(state, Duration::from_millis(10)).expect("a run in which nothing happens");
    for _ in 0..5 {
        ev.run(state, RunMode::NoWait).expect("a turn in which nothing happens");
    }
}

impl<B: Backend> Steps<B> for Loop<B, ()> {
    fn start<O: OneShot>(&mut self, operation: O) -> Pending<O::Output>
    where
        O::Output: 'static,
    {
        start(&mut self.context(), operation)
    }

    #[track_caller]
    fn complete<O: OneShot>(&mut self, operation: O) -> O::Output
    where
        O::Output: 'static,
    {
        let pending = self.start(operation);
        self.finish(&pending)
    }

    #[track_caller]
    fn finish<T>(&mut self, pending: &Pending<T>) -> T {
        self.until(|| pending.is_done());
        pending.take()
    }

    #[track_caller]
    fn until(&mut self, condition: impl FnMut() -> bool) {
        run_until(self, &mut (), condition);
    }

    #[track_caller]
    fn no_wait(&mut self) {
        self.run(&mut (), RunMode::NoWait).expect("a turn that does not wait");
    }

    #[track_caller]
    fn once(&mut self) {
        self.run(&mut (), RunMode::Once).expect("a run until something happens");
    }

    #[track_caller]
    fn until_done(&mut self) {
        self.run(&mut (), RunMode::UntilDone).expect("a run until nothing is under way");
        let cx = self.context();
        assert_eq!(
            (cx.active(), cx.backend_faults()),
            (0, 0),
            "nothing is under way, and no rule was broken"
        );
    }

    #[track_caller]
    fn idle(&mut self) {
        idle(self, &mut ());
    }

    fn cancel(&mut self, key: Key) -> Cancel {
        self.context().cancel(key)
    }

    fn state(&mut self, key: Key) -> State {
        self.context().state(key)
    }

    #[track_caller]
    fn listener(&mut self) -> (Handle, Address) {
        listener(&mut self.context(), IPV4)
    }

    #[track_caller]
    fn pair(&mut self) -> (Handle, Handle) {
        pair_on(self, &mut (), IPV4)
    }
}

/// Any free port of the IPv4 loopback.
pub(crate) const IPV4: &str = "127.0.0.1:0";
/// Any free port of the IPv6 loopback.
pub(crate) const IPV6: &str = "[::1]:0";

pub(crate) fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

/// Runs, turn by turn, until `condition` holds.
#[track_caller]
pub(crate) fn run_until<B: Backend, S>(
    ev: &mut Loop<B, S>,
    state: &mut S,
    mut condition: impl FnMut() -> bool,
) {
    for _ in 0..TURNS_MAX {
        if condition() {
            return;
        }
        assert!(ev.context().active() > 0, "nothing is under way that could make it so");
        ev.run(state, RunMode::Once).expect("a run until something happens");
    }
    panic!("not so after {TURNS_MAX} turns");
}

/// A timer that was started, and deleted before it has expired.
#[track_caller]
pub(crate) fn deleted_timer<B: Backend>(ev: &mut Loop<B, ()>, after: Duration) -> Pending<Expired> {
    loop {
        let timer = ev.start(Timer::after(after));
        ev.no_wait();
        // Unless this thread was kept waiting for so long.
        if !timer.is_done() {
            assert_eq!(ev.context().delete(timer.key), Ok(()));
            return timer;
        }
    }
}

/// A listener on a free port of `loopback`, and its address.
#[track_caller]
pub(crate) fn listener<B: Backend, S>(cx: &mut Context<'_, B, S>, loopback: &str) -> (Handle, Address) {
    let listener = cx.listen(address(loopback), ListenOptions::default()).expect("a free port to listen on");
    let bound = cx.local_address(listener).expect("a listener has an address");
    (listener, bound)
}

/// A socket, connected to `listener` at `address` by the time of the next few turns, and the accepted one.
#[track_caller]
pub(crate) fn join_at<B: Backend, S>(
    ev: &mut Loop<B, S>,
    state: &mut S,
    listener: Handle,
    address: &Address,
) -> (Handle, Handle) {
    let mut cx = ev.context();
    let client = cx.socket(address.family()).expect("a socket");
    let connected = start(&mut cx, Connect { handle: client, address: address.clone() });
    let accepted = start(&mut cx, Accept { listener });
    run_until(ev, state, || connected.is_done() && accepted.is_done());
    assert_eq!(connected.take().result, Ok(()));
    let (server, _) = accepted.take().result.expect("a connection is accepted");
    (client, server)
}

/// Two ends of a connection, where nothing can connect.
#[cfg(not(unix))]
#[track_caller]
pub(crate) fn pair_on<B: Backend, S>(
    ev: &mut Loop<B, S>,
    _state: &mut S,
    _loopback: &str,
) -> (Handle, Handle) {
    crate::given::pair(&mut ev.context())
}

/// Two ends of a connection over `loopback`, the listener closed again.
#[cfg(unix)]
#[track_caller]
pub(crate) fn pair_on<B: Backend, S>(ev: &mut Loop<B, S>, state: &mut S, loopback: &str) -> (Handle, Handle) {
    let (listener, address) = listener(&mut ev.context(), loopback);
    let ends = join_at(ev, state, listener, &address);
    ev.context().close(listener);
    ends
}

/// Has small pieces sent at once, where there is such an option.
pub(crate) fn no_delay<B: Backend, S>(cx: &mut Context<'_, B, S>, handle: Handle) {
    let set = cx.set(handle, SocketOption::NoDelay(true));
    assert!(matches!(set, Ok(()) | Err(Error::Unsupported)), "{set:?}");
}

/// `len` bytes that differ by place and by `seed`, so that what is lost, doubled or mixed shows.
pub(crate) fn pattern(seed: u32, len: usize) -> Vec<u8> {
    let mut state = u64::from(seed.wrapping_mul(0x9e37_79b9) | 1);
    let mut bytes = Vec::with_capacity(len.next_multiple_of(8));
    // Eight at a time: some of these are long, and some backends are interpreted.
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Whether two byte strings are equal; says where they part, not what all of them is.
#[track_caller]
pub(crate) fn assert_bytes(found: &[u8], expected: &[u8]) {
    if found != expected {
        let same = found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
        panic!("{} bytes of {} expected, different from byte {same} on", found.len(), expected.len());
    }
}

/// An error by the system's number; backends that make no system calls use the same numbers.
pub(crate) fn system(errno: rustix::io::Errno) -> Error {
    Error::from_errno(errno)
}
