//! Who waits until a bounded mailbox has room: threads that send, and notifiers of loops that do.
//!
//! *No wait is lost.* Who waits counts itself, then looks whether there is room, or nobody to send to; who makes room takes a
//! message, and who closes says so, then looks whether somebody is counted. With a `SeqCst` fence in between on both sides one of
//! them sees the other. A thread looks without the lock, since sending runs code of others; so it remembers how often
//! room was told of before it looked, and sleeps only while that is so still. Who is notified is notified under the lock, so that no
//! list has to be made for it: a [`Wake`](crate::Wake) calls nothing of ours.
//!
//! *One thread for each message taken.* Whoever is woken tries to send, also if its time has run out, so where room is left
//! for another one, another was woken for it, or comes to it by itself.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Instant;

use crate::notifier::Notifier;
use crate::sync::{AtomicBool, AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, ThreadId, current, fence};

/// Of one bounded mailbox.
pub(crate) struct Room {
    /// Threads and notifiers. It goes up before whoever it counts looks.
    waiting: AtomicUsize,
    told: Mutex<Told>,
    changed: Condvar,
    /// The loop's, which makes room as it runs, so it does not wait for it.
    thread: ThreadId,
    /// Whether the loop is gone, or about to be.
    is_closed: AtomicBool,
}

struct Told {
    /// How often, so far.
    times: usize,
    /// To be told once each.
    notifiers: Vec<Notifier>,
}

impl Room {
    /// Of a mailbox of this thread's loop.
    pub(super) fn new() -> Self {
        Self {
            waiting: AtomicUsize::new(0),
            told: Mutex::new(Told { times: 0, notifiers: Vec::new() }),
            changed: Condvar::new(),
            thread: current().id(),
            is_closed: AtomicBool::new(false),
        }
    }

    /// Whether its loop is gone.
    pub(super) fn is_closed(&self) -> bool {
        // Nothing is handed over with it; that no wait is lost is the fences' work.
        self.is_closed.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message was taken: one of the threads, and who is to be notified.
    #[inline]
    pub(super) fn is_made(&self) {
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) != 0 {
            self.tell(Condvar::notify_one);
        }
    }

    /// Nobody can receive any more: all of them.
    pub(super) fn is_gone(&self) {
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) != 0 {
            self.tell(Condvar::notify_all);
        }
    }

    #[cold]
    fn tell(&self, wake: impl FnOnce(&Condvar)) {
        let mut told = self.lock();
        told.times = told.times.wrapping_add(1);
        while let Some(notifier) = told.notifiers.pop() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            notifier.notify();
        }
        wake(&self.changed);
    }

    /// Has `notifier` told once, which may be at once.
    pub(super) fn notify(&self, notifier: &Notifier, is_there: impl FnOnce() -> bool) {
        {
            let mut told = self.lock();
            // Those that nobody else has can complete no wait any more.
            told.notifiers.retain(|other| {
                let is_wanted = other.is_shared();
                self.waiting.fetch_sub(usize::from(!is_wanted), Ordering::Relaxed);
                is_wanted
            });
            if !told.notifiers.iter().any(|other| other.is_same(notifier)) {
                told.notifiers.push(notifier.clone());
                self.waiting.fetch_add(1, Ordering::Relaxed);
            }
        }
        fence(Ordering::SeqCst);
        if is_there() {
            self.tell(Condvar::notify_one);
        }
    }

    /// Calls `attempt` until it returns something else than what it was given, with a wait before each call but the first, until
    /// `end`; on the loop's thread never.
    pub(super) fn wait<T, R>(
        &self,
        mut given: T,
        end: Option<Instant>,
        mut attempt: impl FnMut(T) -> Result<R, T>,
    ) -> Result<R, T> {
        if current().id() == self.thread {
            return Err(given);
        }
        loop {
            let waiting = self.enter();
            match attempt(given) {
                Ok(done) => return Ok(done),
                Err(again) => given = again,
            }
            if waiting.sleep(end) {
                return attempt(given);
            }
        }
    }

    /// Counts this thread among those that wait.
    fn enter(&self) -> Waiting<'_> {
        let times = {
            let told = self.lock();
            self.waiting.fetch_add(1, Ordering::Relaxed);
            told.times
        };
        fence(Ordering::SeqCst);
        Waiting { room: self, times }
    }

    #[cfg(all(test, loom))]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// A thread that waits.
struct Waiting<'a> {
    room: &'a Room,
    /// How often room had been told of before it looked.
    times: usize,
}

impl Waiting<'_> {
    /// Sleeps until room is told of once more; whether `end` came first.
    fn sleep(&self, end: Option<Instant>) -> bool {
        let changed = &self.room.changed;
        let mut told = self.room.lock();
        while told.times == self.times {
            told = match end.map(|end| end.saturating_duration_since(Instant::now())) {
                None => changed.wait(told).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => return true,
                Some(left) => changed.wait_timeout(told, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        false
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.room.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Of all bounded mailboxes of a loop, which closes them when it is dropped, however long their ends live on. It does so first, since
/// what it drops then may wait for a thread that waits for room.
#[derive(Default)]
pub(crate) struct Rooms {
    rooms: Vec<Weak<Room>>,
    /// How many there may be before those of mailboxes that are gone are taken out.
    limit: usize,
}

impl Rooms {
    pub(super) fn push(&mut self, room: &Arc<Room>) {
        if self.rooms.len() >= self.limit {
            self.rooms.retain(|room| room.strong_count() > 0);
            self.limit = (2 * self.rooms.len()).max(8);
        }
        self.rooms.push(Arc::downgrade(room));
    }
}

impl Drop for Rooms {
    fn drop(&mut self) {
        for room in self.rooms.iter().filter_map(Weak::upgrade) {
            room.is_closed.store(true, Ordering::Relaxed);
            room.is_gone();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::notifier::Inbox;

    #[derive(Clone)]
    struct Silent;

    impl crate::Wake for Silent {
        fn wake(&self) {}
    }

    /// Whoever asks and gives up is forgotten, so that a mailbox that stands still does not grow.
    #[test]
    fn who_has_given_up_is_forgotten() {
        let mut inbox = Inbox::new(Silent);
        let room = Room::new();
        let waits = inbox.notifier();
        room.notify(&waits, || false);
        for _ in 0..100 {
            room.notify(&inbox.notifier(), || false);
        }
        assert_eq!(room.waiting.load(Ordering::Relaxed), 2, "the one that waits, and the last one");
        room.notify(&waits, || false);
        assert_eq!(room.lock().notifiers.len(), 1);
        room.is_made();
        assert_eq!((room.waiting.load(Ordering::Relaxed), room.lock().notifiers.len()), (0, 0));
    }
}
