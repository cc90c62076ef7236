//! Work whose result does not depend on how long it takes: several pieces at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::cores::Cores;
use crate::measurement::Result;

/// What `work` makes of each of `items`, in their order: one at a time on each of the processors, to which everything is confined
/// that `work` starts. It is told the number of the processor, counted from zero.
///
/// # Errors
/// When a worker cannot be confined, or panics.
pub(crate) fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(usize, &T) -> R + Sync) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let done: Vec<Mutex<Option<R>>> = items.iter().map(|_| Mutex::new(None)).collect();
    let run = |worker: usize| -> Result<()> {
        Cores::all()?.stay_on(worker)?;
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let (Some(item), Some(place)) = (items.get(index), done.get(index)) else { return Ok(()) };
            let result = work(worker, item);
            *place.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(result);
        }
    };
    let run = &run;
    let workers = Cores::available()?.clamp(1, items.len().max(1));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|worker| scope.spawn(move || run(worker))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a worker panicked")?)
    })?;
    let results = done.into_iter().map(|place| {
        let result = place.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        result.ok_or_else(|| "a piece of work was left out".into())
    });
    results.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_done_once_on_one_processor_and_told_in_order() {
        let items: Vec<usize> = (0..50).collect();
        let results = each(&items, |worker, item| (worker, item * 2, Cores::available().ok()));
        let results = results.expect("there are processors");
        assert_eq!(
            results.iter().map(|result| result.1).collect::<Vec<_>>(),
            (0..100).step_by(2).collect::<Vec<_>>()
        );
        let processors = Cores::available().expect("the system tells");
        assert!(results.iter().all(|(worker, _, cores)| *worker < processors && *cores == Some(1)));
    }

    #[test]
    fn nothing_to_do_is_done() {
        let nothing: [u8; 0] = [];
        assert_eq!(each(&nothing, |_, item| *item).expect("there are processors"), nothing);
    }

    #[test]
    fn a_panic_is_an_error() {
        let result = each(&[1, 2], |_, item| assert_ne!(*item, 2, "on purpose"));
        assert!(result.is_err());
    }
}
