//! Programs whose result does not depend on what runs beside them: several at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many test programs run at once: much of a suite is waiting for the clock, or for its own other thread.
pub(crate) const PROGRAMS: usize = 2;

/// What `work` makes of each of `items`, in their order, of so many `at_once`. They are begun in that order too, so what takes
/// longest comes first, and what is short fills what is left.
///
/// # Panics
/// If `work` does.
pub(crate) fn each<T: Sync, R: Send>(at_once: usize, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let run = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return };
            let result = work(item);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
        }
    };
    std::thread::scope(|scope| (0..at_once).for_each(|_| drop(scope.spawn(run))));
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn each_is_done_once_and_told_in_order() {
        let items: Vec<usize> = (0..50).collect();
        assert_eq!(each(3, &items, |item| item * 2), (0..100).step_by(2).collect::<Vec<_>>());
        assert!(each(3, &[], |item: &usize| item * 2).is_empty());
    }

    #[test]
    fn they_run_at_once() {
        // One alone would wait for ever.
        let both = Barrier::new(3);
        each(3, &[(); 3], |()| both.wait().is_leader());
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_is_not_kept() {
        each(2, &[1, 2, 3], |item| assert_ne!(*item, 2, "on purpose"));
    }
}
