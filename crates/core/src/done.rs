//! What a backend has completed, on its way to the loop.

use std::collections::VecDeque;

use crate::backend::Token;
use crate::handles::Handles;
use crate::{Handle, Outcome};

/// The queue into which a [`Backend`](crate::Backend) pushes outcomes, in the order in which they are delivered.
#[derive(Debug)]
pub struct Done {
    pub(crate) queue: VecDeque<Completed>,
    pub(crate) handles: Handles,
}

/// One entry of the queue.
#[derive(Debug)]
pub(crate) struct Completed {
    pub(crate) token: Token,
    pub(crate) outcome: Outcome,
}

const _: () = assert!(size_of::<Completed>() <= 80);

impl Done {
    /// An empty queue, as a [`Driver`](crate::Driver) makes one; for testing a backend by itself.
    #[must_use]
    pub fn new() -> Self {
        Self::with_tag(crate::handle::next_tag())
    }

    /// The queue of the loop with `tag`.
    pub(crate) fn with_tag(tag: u32) -> Self {
        Self { queue: VecDeque::new(), handles: Handles::new(tag) }
    }

    /// Pushes the outcome of what was started as `token`: final, unless it [`is_more`](Outcome::is_more).
    #[inline(always)]
    pub fn push(&mut self, token: Token, outcome: Outcome) {
        if self.queue.len() == self.queue.capacity() {
            grow_queue(&mut self.queue);
        }
        self.queue.push_back(Completed { token, outcome });
    }

    /// Takes the outcome that is next, which its reader has looked at already.
    #[inline(always)]
    pub(crate) fn take_next(&mut self) -> Option<Outcome> {
        self.queue.pop_front().map(|completed| completed.outcome)
    }

    /// A handle for a descriptor that an outcome brings into the loop (accept). The backend keeps the descriptor in
    /// [`Handle::slot`] from now on, as if it had been attached, and names the handle in the outcome.
    pub fn new_handle(&mut self) -> Handle {
        self.handles.open()
    }

    /// Takes back a handle of [`new_handle`](Self::new_handle) that no outcome will name after all.
    pub fn discard_handle(&mut self, handle: Handle) {
        self.handles.release(handle.slot());
    }

    /// How many outcomes are queued.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none is queued.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Takes the next outcome, as the driver does; for testing a backend by itself.
    pub fn pop(&mut self) -> Option<(Token, Outcome)> {
        self.queue.pop_front().map(|completed| (completed.token, completed.outcome))
    }
}

/// Makes room. It cannot unwind, which would be no use (there is no memory) and would cost: what is pushed could not be
/// kept in registers, since unwinding has to find it to drop it.
#[cold]
extern "C" fn grow_queue(queue: &mut VecDeque<Completed>) {
    queue.reserve(queue.capacity().max(16));
}

impl Default for Done {
    fn default() -> Self {
        Self::new()
    }
}
