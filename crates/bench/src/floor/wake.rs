//! What the floors of waking share: the word by which notifier and sleeper agree, and the ways to sleep.

use std::hint;
use std::sync::atomic::{AtomicU32, Ordering, fence};
use std::time::Duration;

use crate::measurement::Result;

const IDLE: u32 = 0;
const PENDING: u32 = 1;
const ASLEEP: u32 = 2;

/// One notification and its receiver's sleep, in one word on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct WakeWord(AtomicU32);

impl WakeWord {
    /// Makes a notification pending; says whether the receiver sleeps and the caller has to wake it.
    ///
    /// Everything that the caller wrote before is seen by whoever takes the notification, also when it was pending
    /// already: the fence orders those writes before the load, as the swap in [`WakeWord::take`] is ordered before
    /// what its caller reads.
    #[inline]
    pub(crate) fn notify(&self) -> bool {
        fence(Ordering::SeqCst);
        self.0.load(Ordering::Relaxed) != PENDING && self.0.swap(PENDING, Ordering::SeqCst) == ASLEEP
    }

    /// Takes the notification if one is pending.
    #[inline]
    pub(crate) fn take(&self) -> bool {
        self.0.load(Ordering::Relaxed) == PENDING && {
            self.0.swap(IDLE, Ordering::SeqCst);
            true
        }
    }

    /// Says that the receiver sleeps from now on, unless a notification is pending.
    #[inline]
    fn fall_asleep(&self) -> bool {
        self.0.compare_exchange(IDLE, ASLEEP, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Waits for a notification, asleep, and takes it.
    ///
    /// # Errors
    /// What the system answers.
    #[inline]
    pub(crate) fn sleep(&self, sleeper: &mut impl Sleep) -> Result<()> {
        if self.fall_asleep() {
            // The system may end the wait without a notification: for a wake that came when it was not needed any
            // more, or for a signal.
            while self.0.load(Ordering::Acquire) == ASLEEP {
                sleeper.wait()?;
            }
        }
        self.0.swap(IDLE, Ordering::SeqCst);
        Ok(())
    }
}

/// How a thread sleeps on one mechanism.
pub(crate) trait Sleep: Sized {
    /// What another thread needs to wake this one.
    type Address: Send + Sync;

    /// Opens it for the calling thread, which alone may use it.
    ///
    /// # Errors
    /// What the system answers.
    fn open() -> Result<Self>;

    /// Where to wake this one.
    fn address(&self) -> Self::Address;

    /// Wakes the thread at `address`, at the latest when the caller itself waits.
    ///
    /// # Errors
    /// What the system answers.
    fn wake(&mut self, address: &Self::Address) -> Result<()>;

    /// Waits for a wake, and may return without one.
    ///
    /// # Errors
    /// What the system answers.
    fn wait(&mut self) -> Result<()>;

    /// Waits for a wake, but for no longer than `limit`.
    ///
    /// # Errors
    /// What the system answers.
    fn wait_for(&mut self, limit: Duration) -> Result<()>;

    /// Looks for wakes without waiting, as a loop does that serves other things too.
    ///
    /// # Errors
    /// What the system answers.
    fn look(&mut self) -> Result<()>;
}

/// Looks at memory for a moment before sleeping, as long as that has paid lately.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// Sleeps to come without a look.
    skip: u32,
    /// What `skip` becomes when the next look fails.
    penalty: u32,
}

impl Look {
    /// Iterations of one look: about a microsecond.
    const SPINS: u32 = 64;
    /// The rarest that looks get.
    const MOST: u32 = 4096;

    /// Looks until `found` answers true or it does not pay any more; says which.
    #[inline]
    pub(crate) fn until(&mut self, mut found: impl FnMut() -> bool) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return found();
        }
        for _ in 0..Self::SPINS {
            if found() {
                self.penalty = 0;
                return true;
            }
            hint::spin_loop();
        }
        self.penalty = (2 * self.penalty + 1).min(Self::MOST);
        self.skip = self.penalty;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_notification_of_a_sleeper_has_to_wake() {
        let word = WakeWord::default();
        assert!(word.fall_asleep());
        assert!(word.notify());
        assert!(!word.notify());
        assert!(word.take());
        assert!(!word.take());
        assert!(!word.notify());
        assert!(!word.fall_asleep(), "a pending notification keeps it awake");
    }

    #[test]
    fn looks_that_fail_become_rare_and_one_that_pays_restores_them() {
        let mut look = Look::default();
        let mut questions = 0;
        for _ in 0..100_000 {
            look.until(|| {
                questions += 1;
                false
            });
        }
        assert!(questions < 104_000, "{questions} questions for 100000 fruitless looks");
        while !look.until(|| true) {}
        look.skip = 0;
        assert!(look.until(|| true));
        assert_eq!(look.penalty, 0);
    }
}
