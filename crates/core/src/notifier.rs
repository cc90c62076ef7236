//! Waking the loop from other threads: [`Notifier`], [`Waker`], and the [`Inbox`] that the loop reads.
//!
//! # Shape
//! A notifier is one bit of a word that it shares with others; the bit *is* its pending flag, and the word is also
//! what the loop reads, so that a notification moves a single cache line from one core to the other and back. (A flag
//! per notifier and a list of the flagged ones move two.) There is nothing to link, so there is nothing to own, to
//! free or to leak when the loop or the last notifier goes first, and no unsafe code.
//!
//! A word has room for [`LEAVES`] notifiers and for [`FANOUT`] words below it. The words form a heap: the children of
//! word `w` are `w * FANOUT + 1` and those after it. Places are given out from the root on, so that a program with few
//! notifiers has one word; a million notifiers are four levels. A notifier sets its own bit, then its word's bit in the
//! word above, up to the root; the loop reads the root and follows the bits down.
//!
//! The root also holds whether the loop is asleep, and whether a [`Waker`] was used. A notification and
//! [`Inbox::fall_asleep`] are thereby changes of one word, one of which is first: either the loop sees the bit and stays
//! awake, or the notifier sees that it sleeps and wakes it.
//!
//! A bit without a waiter stays set and is passed over until one is registered: that is the notification kept.
//!
//! # Orderings
//! *O1, the notification's own data.* A notifier writes its data, then a fence, then its bit; the loop takes the bit,
//! then a fence, then reads the data. Release and acquire fences would do for this. Changes of a word are all
//! read-modify-write, so a later one does not hide an earlier one: taking the word acquires from everyone who set a bit
//! in it.
//!
//! *O2, the redundant notification's data.* Who finds the bit set leaves without writing, so O1 does not cover it. It
//! wrote its data, then read the bit; the loop wrote the bit (cleared it), then reads the data. That neither sees the
//! other's write is what a store buffer does and `Release`/`Acquire` allow. A `SeqCst` fence in between on both sides
//! forbids it: either the notifier sees the bit cleared, and sets it again, or the callback sees the data. These are the
//! fences of O1.
//!
//! *O3, sleeping.* One word, see above; needs no order beyond its own.
//!
//! *O4, the words below the root.* A notifier sets its bit before it announces it in the word above (`Release`); the
//! loop takes the announcement, and O1's fence follows, before it reads the word below. So an announcement taken never hides the bit
//! that it announced. A bit that was passed over for want of a waiter is announced again by `register`.
//!
//! *O5, the last one outside.* Dropping a notifier or waker writes the count, then reads whether the loop sleeps; the
//! loop writes that it sleeps, then reads the count: O2's pattern, and a `SeqCst` fence on both sides again.

use std::fmt;
use std::sync::{PoisonError, Weak};

use crate::Wake;
use crate::sync::{Arc, AtomicU64, AtomicUsize, Mutex, Ordering, fence};

mod look;
#[cfg(all(test, loom))]
pub(crate) mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;

use look::Look;

/// Notifiers per word: its low bits.
const LEAVES: usize = 32;
/// Words below a word: the bits above those.
const FANOUT: usize = 28;
const LEAF_BITS: u64 = (1 << LEAVES) - 1;
const CHILD_BITS: u64 = ((1 << FANOUT) - 1) << LEAVES;
/// In the root: jobs have come back from the pool, or may be handed to it.
const JOBS: u64 = 1 << 61;
/// In the root: a waker was used.
const WAKE: u64 = 1 << 62;
/// In the root: the loop sleeps, or is about to. Whoever else clears it owes the loop a wake-up.
const ASLEEP: u64 = 1 << 63;

const _: () = assert!(LEAF_BITS & CHILD_BITS == 0 && (LEAF_BITS | CHILD_BITS) & (JOBS | WAKE | ASLEEP) == 0);

/// A word of the heap. On cache lines of its own: two, because processors fetch them in pairs.
#[repr(align(128))]
struct Word {
    bits: AtomicU64,
    above: Option<Above>,
}

/// A word's place in the word above it.
struct Above {
    word: Arc<Word>,
    bit: u64,
}

impl Word {
    /// Clears what is set of `wanted`, and returns it.
    fn take(&self, wanted: u64) -> u64 {
        // Only a hint: that nothing is changed where nothing is to be taken keeps the line with the other cores.
        let taken = self.bits.load(Ordering::Relaxed) & wanted;
        if taken != 0 {
            self.bits.fetch_and(!taken, Ordering::Relaxed);
            fence(Ordering::SeqCst); // O1, O2, O4
        }
        taken
    }
}

/// What notifiers, wakers and the loop share.
struct Hub {
    root: Arc<Word>,
    /// Ends the backend's wait. The loop owns it, so that a notifier that outlives the loop keeps no descriptor open.
    bell: Weak<dyn Fn() + Send + Sync>,
    /// Notifiers and wakers in existence.
    handles: AtomicUsize,
    /// How many of them the loop itself held when it last asked: from there down, nobody is left to wake it.
    held: AtomicUsize,
    /// Places of notifiers that are gone.
    vacant: Mutex<Vec<usize>>,
}

impl Hub {
    /// Sets `bit` in the root, and wakes the loop if it sleeps.
    fn raise(&self, bit: u64) {
        // Release: O4.
        if self.root.bits.fetch_or(bit, Ordering::Release) & ASLEEP != 0 {
            self.rouse();
        }
    }

    /// Wakes the loop if it sleeps. Only one of several callers goes to the system for it.
    #[cold]
    fn rouse(&self) {
        if self.root.bits.fetch_and(!ASLEEP, Ordering::Relaxed) & ASLEEP != 0
            && let Some(bell) = self.bell.upgrade()
        {
            bell();
        }
    }

    fn enter(&self) {
        // The one who calls has a handle or is the loop, so the count cannot pass zero meanwhile.
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    fn leave(&self) {
        // Release: what this handle did to the words is seen by who sees it gone.
        let left = self.handles.fetch_sub(1, Ordering::Release) - 1;
        fence(Ordering::SeqCst); // O5
        if self.root.bits.load(Ordering::Relaxed) & ASLEEP != 0 && left <= self.held.load(Ordering::Relaxed) {
            self.rouse();
        }
    }
}

/// A notifier's place, shared by its clones.
struct Node {
    hub: Arc<Hub>,
    word: Arc<Word>,
    bit: u64,
    place: usize,
}

impl Node {
    /// Sets the bit and announces it up to the root.
    fn raise(&self) {
        let (mut word, mut bit) = (&self.word, self.bit);
        while let Some(above) = &word.above {
            word.bits.fetch_or(bit, Ordering::Release); // O4
            (word, bit) = (&above.word, above.bit);
        }
        self.hub.raise(bit);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.hub.vacant.lock().unwrap_or_else(PoisonError::into_inner).push(self.place);
    }
}

/// Wakes one waiting completion from any thread: what a [`NotifierWait`](crate::NotifierWait) waits for.
///
/// Clones notify the same wait. It may outlive its loop, and then does nothing.
///
/// ```
/// use std::sync::mpsc;
/// use std::thread;
///
/// use proactor_sim::{Action, Config, Loop, NotifierWait, RunMode};
///
/// # fn main() -> std::io::Result<()> {
/// let mut ev = Loop::<u64>::open(Config::default())?;
/// let mut cx = ev.context();
/// let notifier = cx.notifier();
/// let (results, received) = mpsc::channel();
/// let worker = thread::spawn({
///     let notifier = notifier.clone();
///     move || {
///         for number in 1..=100 {
///             results.send(number).expect("the loop waits for it");
///             notifier.notify();
///         }
///     }
/// });
/// cx.submit_rearm(NotifierWait { notifier }, move |sum, _cx, notified| {
///     // Many notifications may come as one, so all that is there is taken; one always comes after the last.
///     for number in received.try_iter() {
///         *sum += number;
///     }
///     if *sum == 5050 { Action::Disarm } else { Action::Rearm(NotifierWait { notifier: notified.notifier }) }
/// });
///
/// let mut sum = 0;
/// ev.run(&mut sum, RunMode::UntilDone)?;
/// assert_eq!(sum, 5050);
/// worker.join().expect("it does not panic");
/// # Ok(())
/// # }
/// ```
pub struct Notifier(Arc<Node>);

impl Notifier {
    /// Completes the wait, or the next one if none is registered (contract W1).
    ///
    /// `n` calls complete between one and `n` waits, at least one of them after the last call; what was written before
    /// the call is seen by that wait's callback. Runs no callback itself, never blocks and never allocates. Where the
    /// last call has not been seen by the loop yet, it costs a few nanoseconds; where the loop sleeps, a system call.
    #[inline]
    pub fn notify(&self) {
        let node = &*self.0;
        fence(Ordering::SeqCst); // O2
        if node.word.bits.load(Ordering::Relaxed) & node.bit == 0 {
            node.raise();
        }
    }
}

impl Notifier {
    /// Whether its loop is there.
    pub(crate) fn has_loop(&self) -> bool {
        self.0.hub.bell.strong_count() > 0
    }

    /// Whether there are clones of it, or a wait for it.
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Whether both notify the same waits.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Clone for Notifier {
    fn clone(&self) -> Self {
        self.0.hub.enter();
        Self(Arc::clone(&self.0))
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.0.hub.leave();
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").field("place", &self.0.place).finish_non_exhaustive()
    }
}

/// Ends the loop's wait from any thread, and runs no callback (contract L1).
///
/// It may outlive its loop, and then does nothing.
///
/// ```
/// use std::thread;
/// use std::time::Duration;
///
/// use proactor_sim::{Config, Loop, Timer};
///
/// # fn main() -> std::io::Result<()> {
/// let mut ev = Loop::<()>::open(Config::default())?;
/// let waker = ev.context().waker();
/// thread::spawn(move || waker.wake()).join().expect("it does not panic");
///
/// ev.context().submit(Timer::after(Duration::from_secs(1)), |(), _cx, _expired| unreachable!("the wait ends first"));
/// ev.run_for(&mut (), Duration::from_secs(3600))?;
/// assert_eq!(ev.context().active(), 1);
/// # Ok(())
/// # }
/// ```
pub struct Waker(Arc<Hub>);

impl Waker {
    /// Ends the present wait, or the next one if the loop does not wait.
    ///
    /// A blocking `Once` or `run_for` returns early. Never blocks and never allocates.
    pub fn wake(&self) {
        fence(Ordering::SeqCst); // O2
        if self.0.root.bits.load(Ordering::Relaxed) & WAKE == 0 {
            self.0.raise(WAKE);
        }
    }
}

impl Clone for Waker {
    fn clone(&self) -> Self {
        self.0.enter();
        Self(Arc::clone(&self.0))
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waker").finish_non_exhaustive()
    }
}

/// What the threads of a pool ring when they have something for the loop.
///
/// The loop counts as one that can be woken from [`enter`](Self::enter) to [`leave`](Self::leave): while jobs are out.
#[derive(Clone)]
pub(crate) struct Bell(Arc<Hub>);

#[cfg_attr(not(unix), allow(dead_code, reason = "no thread ever has a job"))]
impl Bell {
    /// Has the loop look at its port.
    pub(crate) fn ring(&self) {
        self.0.raise(JOBS);
    }

    /// The loop's: the first job goes out.
    pub(crate) fn enter(&self) {
        self.0.enter();
    }

    /// The loop's: the last one has come back.
    pub(crate) fn leave(&self) {
        self.0.leave();
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell").finish_non_exhaustive()
    }
}

/// What other threads have asked the loop for.
#[derive(Clone, Copy)]
pub(crate) struct Calls(u64);

impl Calls {
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a [`Waker`] was used.
    pub(crate) const fn woken(self) -> bool {
        self.0 & WAKE != 0
    }

    /// Whether a [`Bell`] was rung.
    pub(crate) const fn jobs(self) -> bool {
        self.0 & JOBS != 0
    }
}

/// What [`Inbox::register`] answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Registration {
    /// It waits; if it was notified before, the next [`Inbox::drain`] completes it.
    Waiting,
    /// Another completion waits for it.
    Busy,
    /// It is another loop's.
    Foreign,
}

/// A word as the loop knows it.
struct Branch {
    word: Arc<Word>,
    /// The leaves that somebody waits for.
    armed: u64,
}

/// The loop's side of all its notifiers and wakers.
///
/// The order of a turn that may block: `drain`; if nothing came, `look`; then `fall_asleep`, and if that is true,
/// `can_be_woken` (false: it is a deadlock), the backend's wait, `awake`, `take_calls`.
pub(crate) struct Inbox {
    hub: Arc<Hub>,
    /// The heap; never empty.
    branches: Vec<Branch>,
    /// By place; means something where `armed`.
    waiters: Vec<u32>,
    look: Look,
    /// Keeps `Hub::bell` alive.
    _bell: std::sync::Arc<dyn Fn() + Send + Sync>,
}

impl Inbox {
    /// An inbox whose loop is woken with `wake`.
    pub(crate) fn new<W: Wake>(wake: W) -> Self {
        let bell: std::sync::Arc<dyn Fn() + Send + Sync> = std::sync::Arc::new(move || wake.wake());
        let root = Arc::new(Word { bits: AtomicU64::new(0), above: None });
        let hub = Arc::new(Hub {
            root: Arc::clone(&root),
            bell: std::sync::Arc::downgrade(&bell),
            handles: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            vacant: Mutex::new(Vec::new()),
        });
        let branches = vec![Branch { word: root, armed: 0 }];
        Self { hub, branches, waiters: Vec::new(), look: Look::default(), _bell: bell }
    }

    /// A new notifier.
    pub(crate) fn notifier(&mut self) -> Notifier {
        let place = self.vacancy();
        let (at, bit) = (place / LEAVES, 1 << (place % LEAVES));
        let branch = &mut self.branches[at];
        // What was left to the place's predecessor is not this one's. Nobody else has the place: relaxed will do.
        branch.armed &= !bit;
        branch.word.bits.fetch_and(!bit, Ordering::Relaxed);
        let word = Arc::clone(&branch.word);
        self.hub.enter();
        Notifier(Arc::new(Node { hub: Arc::clone(&self.hub), word, bit, place }))
    }

    /// A free place, the lowest one if none was given back.
    fn vacancy(&mut self) -> usize {
        let mut vacant = self.hub.vacant.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = vacant.pop() {
            return place;
        }
        let place = self.waiters.len();
        // All of them may come back, and dropping one should not allocate.
        vacant.reserve(place + 1);
        drop(vacant);
        self.waiters.push(0);
        let at = place / LEAVES;
        if at == self.branches.len() {
            let (parent, child) = ((at - 1) / FANOUT, (at - 1) % FANOUT);
            let above = Above { word: Arc::clone(&self.branches[parent].word), bit: 1 << (LEAVES + child) };
            let word = Arc::new(Word { bits: AtomicU64::new(0), above: Some(above) });
            self.branches.push(Branch { word, armed: 0 });
        }
        place
    }

    /// A waker; they all do the same.
    pub(crate) fn waker(&self) -> Waker {
        self.hub.enter();
        Waker(Arc::clone(&self.hub))
    }

    /// What a pool rings.
    pub(crate) fn bell(&self) -> Bell {
        Bell(Arc::clone(&self.hub))
    }

    /// Lets completion `waiter` wait for `notifier`, which must live until that has ended.
    pub(crate) fn register(&mut self, notifier: &Notifier, waiter: u32) -> Registration {
        let node = &*notifier.0;
        if !Arc::ptr_eq(&node.hub, &self.hub) {
            return Registration::Foreign;
        }
        let branch = &mut self.branches[node.place / LEAVES];
        if branch.armed & node.bit != 0 {
            return Registration::Busy;
        }
        branch.armed |= node.bit;
        self.waiters[node.place] = waiter;
        // Below the root, `drain` looks only at what was announced, and may have passed this one over (O4). The root
        // itself is not read here: the line is on its way between the cores, and `drain` comes soon enough.
        if node.word.above.is_some() && node.word.bits.load(Ordering::Relaxed) & node.bit != 0 {
            node.raise();
        }
        Registration::Waiting
    }

    /// Ends the registration; a notification that came in between is kept for the next one.
    pub(crate) fn unregister(&mut self, notifier: &Notifier) {
        let node = &*notifier.0;
        if Arc::ptr_eq(&node.hub, &self.hub) {
            self.branches[node.place / LEAVES].armed &= !node.bit;
        }
    }

    /// Ends whatever registration `waiter` has.
    #[cold]
    pub(crate) fn forget(&mut self, waiter: u32) {
        for (place, _) in self.waiters.iter().enumerate().filter(|(_, registered)| **registered == waiter) {
            self.branches[place / LEAVES].armed &= !(1 << (place % LEAVES));
        }
    }

    /// Whether `drain` would find something: one relaxed load.
    #[inline]
    pub(crate) fn has_mail(&self) -> bool {
        let branch = &self.branches[0];
        branch.word.bits.load(Ordering::Relaxed) & (branch.armed | CHILD_BITS) != 0
    }

    /// Whether nobody has sent anything: no notification, and no wake-up. One look at what others write to.
    #[inline(always)]
    pub(crate) fn is_quiet(&self) -> bool {
        let branch = &self.branches[0];
        branch.word.bits.load(Ordering::Relaxed) & (branch.armed | CHILD_BITS | WAKE | JOBS) == 0
    }

    /// Ends the wait of each notifier that was notified, and tells who waited. In the order of their places, not of
    /// the notifications: all that were notified are in the one batch.
    ///
    /// `each` must not panic: the notifications of the batch are taken already.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(u32)) {
        self.drain_branch(0, &mut each);
    }

    fn drain_branch(&mut self, at: usize, each: &mut impl FnMut(u32)) {
        let branch = &mut self.branches[at];
        let taken = branch.word.take(branch.armed | CHILD_BITS);
        if taken & LEAF_BITS != 0 {
            self.look.feed();
        }
        branch.armed &= !taken;
        for leaf in ones(taken & LEAF_BITS) {
            each(self.waiters[at * LEAVES + leaf]);
        }
        for child in ones((taken & CHILD_BITS) >> LEAVES) {
            self.drain_branch(at * FANOUT + 1 + child, each);
        }
    }

    /// Looks for mail for a microsecond or two, where that has paid lately; whether there is some, or a wake-up.
    pub(crate) fn look(&mut self) -> bool {
        let branch = &self.branches[0];
        let wanted = branch.armed | CHILD_BITS | WAKE | JOBS;
        self.look.until(|| branch.word.bits.load(Ordering::Relaxed) & wanted != 0)
    }

    /// Says that the loop is about to sleep. False if there is mail or a wake-up: then it is awake, and must not block.
    pub(crate) fn fall_asleep(&self) -> bool {
        let branch = &self.branches[0];
        let bits = &branch.word.bits;
        let before = if self.hub.handles.load(Ordering::Acquire) == 0 {
            // Nobody is there to be told, and nobody can come while the loop sleeps. Acquire: see `can_be_woken`.
            bits.load(Ordering::Relaxed)
        } else {
            // O3. Relaxed: what the bits stand for is acquired where they are taken.
            bits.fetch_or(ASLEEP, Ordering::Relaxed)
        };
        let stay = before & (branch.armed | CHILD_BITS | WAKE | JOBS) != 0;
        if stay {
            self.awake();
        }
        !stay
    }

    /// As [`fall_asleep`](Self::fall_asleep), where another loop waits: on this thread somebody may come meanwhile who is to
    /// be told how to wake it.
    pub(crate) fn fall_asleep_elsewhere(&self) -> bool {
        let branch = &self.branches[0];
        // O3. Relaxed: what the bits stand for is acquired where they are taken.
        let before = branch.word.bits.fetch_or(ASLEEP, Ordering::Relaxed);
        let stay = before & (branch.armed | CHILD_BITS | WAKE | JOBS) != 0;
        if stay {
            self.awake();
        }
        !stay
    }

    /// Says that the loop is awake, which it may have been told already.
    pub(crate) fn awake(&self) {
        let bits = &self.hub.root.bits;
        if bits.load(Ordering::Relaxed) & ASLEEP != 0 {
            bits.fetch_and(!ASLEEP, Ordering::Relaxed);
        }
    }

    /// Whether a [`Waker`] was used, or a [`Bell`] rung, since this was last asked. To be asked after each wait: until it
    /// is, the loop cannot fall asleep.
    #[inline]
    pub(crate) fn take_calls(&self) -> Calls {
        Calls(self.hub.root.take(WAKE | JOBS))
    }

    /// Whether [`take_calls`](Self::take_calls) would find something.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn has_calls(&self) -> bool {
        self.hub.root.bits.load(Ordering::Relaxed) & (WAKE | JOBS) != 0
    }

    /// Whether somebody outside could still end a wait, or just has: whether there are more notifiers and wakers than
    /// the `held` ones that the loop itself holds.
    ///
    /// To be asked between `fall_asleep` and a wait without other end. If true, dropping the last one outside ends
    /// that wait as well, so that it can be asked again.
    pub(crate) fn can_be_woken(&self, held: usize) -> bool {
        self.hub.held.store(held, Ordering::Relaxed);
        fence(Ordering::SeqCst); // O5
        // Acquire: what those who are gone have sent is seen now.
        if self.hub.handles.load(Ordering::Acquire) > held {
            return true;
        }
        let branch = &self.branches[0];
        branch.word.bits.load(Ordering::Relaxed) & (branch.armed | CHILD_BITS | WAKE | JOBS) != 0
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("places", &self.waiters.len()).finish_non_exhaustive()
    }
}

/// The positions of the bits that are set, lowest first.
fn ones(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = bits.trailing_zeros();
        bits &= bits.checked_sub(1)?;
        Some(lowest as usize)
    })
}
