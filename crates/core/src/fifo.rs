//! A queue of small things that is filled and emptied in batches.

/// First in, first out. Cheaper than a ring where it is emptied often, as the loop's queues are: it starts again at the
/// front each time it is empty.
#[derive(Debug)]
pub(crate) struct Fifo<T> {
    items: Vec<T>,
    /// How many of them were taken already.
    taken: usize,
}

impl<T: Copy> Fifo<T> {
    pub(crate) const fn new() -> Self {
        Self { items: Vec::new(), taken: 0 }
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, item: T) {
        if self.items.len() == self.items.capacity() {
            make_room(self);
        }
        self.items.push(item);
    }

    /// Takes the next one. Whoever has taken the last is to [`settle`](Self::settle).
    #[inline(always)]
    pub(crate) fn take(&mut self) -> Option<T> {
        let item = *self.items.get(self.taken)?;
        self.taken += 1;
        Some(item)
    }

    /// The one that was taken last, if nothing has [`settle`](Self::settle)d since.
    pub(crate) fn last_taken(&self) -> Option<T> {
        self.items.get(self.taken.checked_sub(1)?).copied()
    }

    /// Puts that back in front.
    pub(crate) fn give_back(&mut self) {
        self.taken = self.taken.saturating_sub(1);
    }

    /// Starts again at the front, if it is empty.
    #[inline(always)]
    pub(crate) fn settle(&mut self) {
        if self.taken == self.items.len() {
            self.items.clear();
            self.taken = 0;
        }
    }

    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<T> {
        let item = self.take();
        self.settle();
        item
    }

    #[inline(always)]
    pub(crate) const fn len(&self) -> usize {
        self.items.len() - self.taken
    }

    #[inline(always)]
    pub(crate) const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Makes room: what was taken but for the last, where that is half of it or more, otherwise more. Cannot unwind, so that what
/// is pushed can stay in registers.
#[cold]
extern "C" fn make_room<T: Copy>(fifo: &mut Fifo<T>) {
    if fifo.taken > 1 && fifo.taken >= fifo.items.len() / 2 {
        fifo.items.drain(..fifo.taken - 1);
        fifo.taken = 1;
    } else {
        fifo.items.reserve(fifo.items.capacity().max(16));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        #[test]
        fn is_a_queue(steps in prop::collection::vec(any::<Option<u8>>(), 0..300)) {
            let (mut fifo, mut model) = (Fifo::new(), VecDeque::new());
            for step in steps {
                match step {
                    Some(item) => {
                        fifo.push(item);
                        model.push_back(item);
                    }
                    None => prop_assert_eq!(fifo.pop(), model.pop_front()),
                }
                prop_assert_eq!((fifo.len(), fifo.is_empty()), (model.len(), model.is_empty()));
            }
        }
    }

    #[test]
    fn what_was_taken_last_can_be_put_back() {
        let mut fifo = Fifo::new();
        assert_eq!(fifo.last_taken(), None);
        for item in 0..16 {
            fifo.push(item);
        }
        for item in 0..12 {
            assert_eq!(fifo.take(), Some(item));
        }
        // Room is made meanwhile.
        for item in 16..40 {
            fifo.push(item);
        }
        assert_eq!(fifo.last_taken(), Some(11));
        fifo.give_back();
        let rest: Vec<_> = std::iter::from_fn(|| fifo.pop()).collect();
        assert_eq!(rest, (11..40).collect::<Vec<_>>());
    }

    #[test]
    fn what_was_taken_is_room_again() {
        let mut fifo = Fifo::new();
        fifo.push(0);
        for item in 1..100_000 {
            fifo.push(item);
            assert_eq!(fifo.pop(), Some(item - 1));
        }
        assert!(fifo.items.capacity() <= 64, "it never holds more than two");
    }
}
