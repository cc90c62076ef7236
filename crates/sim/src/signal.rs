//! Wakes the waiting simulation from other threads.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use proactor_core::{Error, Wake};

/// What the simulation and its wakers share.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    woken: bool,
    /// How many wakers exist. Without one, nothing outside can end a wait.
    wakers: usize,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // No code under the lock can panic half way, so a poisoned state is a good one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The simulation's end.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    shared: Arc<Shared>,
}

impl Signal {
    pub(crate) fn waker(&self) -> Waker {
        Waker::new(Arc::clone(&self.shared))
    }

    /// Takes the wake-up that is due, if one is.
    pub(crate) fn take(&self) -> bool {
        std::mem::take(&mut self.shared.state().woken)
    }

    /// Blocks until a waker wakes.
    ///
    /// # Errors
    /// [`Error::Deadlock`] once no waker is left.
    pub(crate) fn wait(&self) -> Result<(), Error> {
        let state = self.shared.state();
        let silent = |state: &mut State| !state.woken && state.wakers > 0;
        let woken = self.shared.changed.wait_while(state, silent);
        let mut state = woken.unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.woken) { Ok(()) } else { Err(Error::Deadlock) }
    }
}

/// Ends a wait of a [`Sim`](crate::Sim).
#[derive(Debug)]
pub struct Waker {
    shared: Arc<Shared>,
}

impl Waker {
    fn new(shared: Arc<Shared>) -> Self {
        shared.state().wakers += 1;
        Self { shared }
    }
}

impl Wake for Waker {
    fn wake(&self) {
        self.shared.state().woken = true;
        self.shared.changed.notify_one();
    }
}

impl Clone for Waker {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shared))
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        self.shared.state().wakers -= 1;
        self.shared.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_wake_before_the_wait_ends_it_once() {
        let signal = Signal::default();
        let waker = signal.waker();
        waker.wake();
        waker.wake();
        assert_eq!(signal.wait(), Ok(()));
        assert!(!signal.take());
        waker.wake();
        assert!(signal.take());
        drop(waker);
        assert_eq!(signal.wait(), Err(Error::Deadlock));
    }

    #[test]
    fn another_thread_ends_the_wait_by_waking_or_by_leaving() {
        let signal = Signal::default();
        let waker = signal.waker();
        let thread = thread::spawn(move || waker.wake());
        assert_eq!(signal.wait(), Ok(()));
        thread.join().unwrap();
        let waker = signal.waker();
        let thread = thread::spawn(move || drop(waker));
        assert_eq!(signal.wait(), Err(Error::Deadlock));
        thread.join().unwrap();
    }

    #[test]
    fn a_waker_outlives_the_simulation() {
        let signal = Signal::default();
        let waker = signal.waker();
        drop(signal);
        waker.clone().wake();
    }
}
