//! The queue of a mailbox: crossbeam's, or a model of one where interleavings are searched.

#[cfg(not(loom))]
mod implementation {
    use crossbeam_queue::{ArrayQueue, SegQueue};

    pub(crate) enum Queue<T> {
        Bounded(ArrayQueue<T>),
        Unbounded(SegQueue<T>),
    }

    impl<T> Queue<T> {
        pub(crate) fn new(capacity: Option<usize>) -> Self {
            capacity.map_or_else(
                || Self::Unbounded(SegQueue::new()),
                |capacity| Self::Bounded(ArrayQueue::new(capacity)),
            )
        }

        /// Puts a message behind the others, or gives it back where there is no room.
        pub(crate) fn push(&self, message: T) -> Result<(), T> {
            match self {
                Self::Bounded(queue) => queue.push(message),
                Self::Unbounded(queue) => {
                    queue.push(message);
                    Ok(())
                }
            }
        }

        pub(crate) fn pop(&self) -> Option<T> {
            match self {
                Self::Bounded(queue) => queue.pop(),
                Self::Unbounded(queue) => queue.pop(),
            }
        }

        pub(crate) fn len(&self) -> usize {
            match self {
                Self::Bounded(queue) => queue.len(),
                Self::Unbounded(queue) => queue.len(),
            }
        }

        pub(crate) fn is_full(&self) -> bool {
            matches!(self, Self::Bounded(queue) if queue.is_full())
        }
    }
}

/// What is known of such a queue and no more: a message that was taken synchronizes with whoever put it in, and nothing else
/// does.
#[cfg(loom)]
mod implementation {
    use loom::sync::Mutex;
    use loom::sync::atomic::{AtomicUsize, Ordering};

    /// More messages than any model sends.
    const PLACES: usize = 4;

    pub(crate) struct Queue<T> {
        capacity: usize,
        /// How many were put in, and how many taken.
        tail: AtomicUsize,
        head: AtomicUsize,
        places: Vec<(AtomicUsize, Mutex<Option<T>>)>,
    }

    impl<T> Queue<T> {
        pub(crate) fn new(capacity: Option<usize>) -> Self {
            let places = (0..PLACES).map(|_| (AtomicUsize::new(0), Mutex::new(None))).collect();
            let (tail, head) = (AtomicUsize::new(0), AtomicUsize::new(0));
            Self { capacity: capacity.unwrap_or(PLACES), tail, head, places }
        }

        pub(crate) fn push(&self, message: T) -> Result<(), T> {
            let place = self.tail.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tail| {
                // What was read of either may be old; then the change fails, and is tried again.
                (tail.saturating_sub(self.head.load(Ordering::Relaxed)) < self.capacity).then_some(tail + 1)
            });
            let Ok(place) = place else { return Err(message) };
            let (ready, slot) = &self.places[place];
            *slot.lock().unwrap() = Some(message);
            ready.store(1, Ordering::Release);
            Ok(())
        }

        pub(crate) fn pop(&self) -> Option<T> {
            loop {
                let head = self.head.load(Ordering::Relaxed);
                let (ready, slot) = self.places.get(head)?;
                if ready.load(Ordering::Acquire) == 0 {
                    return None;
                }
                let taken =
                    self.head.compare_exchange(head, head + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok();
                if taken {
                    return slot.lock().unwrap().take();
                }
            }
        }

        /// So many can be taken. One that another thread is about to put in front of others holds those up, and has a
        /// notification still to come.
        pub(crate) fn len(&self) -> usize {
            let head = self.head.load(Ordering::Relaxed);
            let ready = |place: &&(AtomicUsize, Mutex<Option<T>>)| place.0.load(Ordering::Acquire) == 1;
            self.places[head.min(PLACES)..].iter().take_while(ready).count()
        }

        pub(crate) fn is_full(&self) -> bool {
            let head = self.head.load(Ordering::Relaxed);
            self.tail.load(Ordering::Relaxed).saturating_sub(head) >= self.capacity
        }
    }
}

pub(super) use implementation::Queue;
