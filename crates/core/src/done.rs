//! What a backend has completed, on its way to the loop.

use std::collections::VecDeque;

use crate::backend::{Token, Wake};
use crate::cells::Cells;
use crate::fifo::Fifo;
use crate::handles::{Handles, NONE};
use crate::operation::Operation;
use crate::{Buffer, BufferPool, Error, Handle, Outcome};

/// Marks a token in the queue as that of an item's cell. There are fewer than 2^31 cells.
const ITEM: u32 = 1 << 31;

/// The token of the cell that an item is in, whose owner is the cell of its operation, if an entry of the queue is of one.
#[inline(always)]
pub(crate) const fn of_item(token: Token) -> Option<Token> {
    if token.index & ITEM == 0 {
        return None;
    }
    Some(Token { index: token.index & !ITEM, arming: token.arming })
}

/// What a [`Backend`](crate::Backend) completes, in the order in which it is delivered, and the operations that it has
/// not taken out of their cells.
///
/// An operation and its outcome are one thing: its parts, with a result that is not decided yet. Where nothing outside
/// the process touches the parts while they wait (readiness), a backend leaves them where they are: it works on
/// [`undecided`](Self::undecided), and says [`decided`](Self::decided). Where the kernel does, it
/// [`take`](Self::take)s the operation, owns it, and [`push`](Self::push)es the outcome.
#[derive(Debug)]
pub struct Done {
    pub(crate) cells: Cells,
    /// Tokens of what is decided; with [`ITEM`], those of outcomes of multishot operations that go on. Those are in cells
    /// of their own, owned by their operations' cells, which they leave first.
    pub(crate) queue: Fifo<Token>,
    /// Outcomes of tokens that have no undecided operation.
    pub(crate) strays: VecDeque<(Token, Outcome)>,
    pub(crate) handles: Handles,
}

impl Done {
    /// An empty queue, as a [`Driver`](crate::Driver) makes one; for testing a backend by itself.
    #[must_use]
    pub fn new() -> Self {
        Self::with_tag(crate::handle::next_tag())
    }

    /// That of the loop with `tag`.
    pub(crate) fn with_tag(tag: u32) -> Self {
        let (queue, strays) = (Fifo::new(), VecDeque::new());
        Self { cells: Cells::new(), queue, strays, handles: Handles::new(tag) }
    }

    /// Pushes the outcome of what was started as `token`: final, unless it [`is_more`](Outcome::is_more).
    #[inline]
    pub fn push(&mut self, token: Token, outcome: Outcome) {
        let Some(cell) = self.cells.get(token).filter(|cell| !cell.decided) else {
            return self.strays.push_back((token, outcome));
        };
        if outcome.is_more() {
            return self.queue_item(token, outcome);
        }
        cell.put(outcome);
        self.decide(token);
    }

    /// Pushes a piece that the [`RecvMany`](crate::RecvMany) which was started as `token` has received: as
    /// [`push`](Self::push), but in few instructions.
    #[inline(always)]
    pub fn push_piece(&mut self, token: Token, buffer: Buffer) {
        if self.cells.get(token).is_some_and(|cell| !cell.decided) {
            self.queue_item(token, Outcome::RecvManyItem(buffer));
        } else {
            self.push_stray(token, buffer);
        }
    }

    #[cold]
    #[inline(never)]
    fn push_stray(&mut self, token: Token, buffer: Buffer) {
        self.strays.push_back((token, Outcome::RecvManyItem(buffer)));
    }

    #[inline(always)]
    fn queue_item(&mut self, token: Token, item: Outcome) {
        let Token { index, arming } = self.cells.insert(token.index, item);
        self.queue.push(Token { index: index | ITEM, arming });
    }

    /// Takes the operation that is to be started as `token` out of its cell. None if it was taken before.
    #[inline]
    pub fn take(&mut self, token: Token) -> Option<Operation> {
        let cell = self.cells.get(token).filter(|cell| !cell.decided)?;
        cell.take().and_then(Outcome::into_operation)
    }

    /// The parts of the operation that was started as `token`, where they are, for its result to be filled in. None if
    /// it was taken out, or is decided.
    #[inline(always)]
    pub fn undecided(&mut self, token: Token) -> Option<&mut Outcome> {
        self.cells.get(token).filter(|cell| !cell.decided)?.outcome_mut()
    }

    /// Says that the result of the operation that was started as `token` is filled in, where its parts are.
    #[inline(always)]
    pub fn decided(&mut self, token: Token) {
        if self.undecided(token).is_some() {
            self.decide(token);
        }
    }

    #[inline(always)]
    fn decide(&mut self, token: Token) {
        if let Some(cell) = self.cells.get(token) {
            cell.decided = true;
            self.queue.push(token);
        }
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

    /// A pool of buffers, as a driver makes one, for what `wake` wakes; for testing a backend by itself.
    ///
    /// # Errors
    /// As [`Driver::buffer_pool`](crate::Driver::buffer_pool).
    pub fn buffer_pool<W: Wake>(&self, count: u32, size: usize, wake: W) -> Result<BufferPool, Error> {
        BufferPool::new(count, size, self.handles.tag(), wake)
    }

    /// How many outcomes are queued.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.queue.len() + self.strays.len()
    }

    /// Whether none is queued.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.strays.is_empty()
    }

    /// An operation to be started, as a driver makes one; for testing a backend by itself.
    pub fn submit(&mut self, operation: Operation) -> Token {
        self.cells.insert(NONE, operation.undecided())
    }

    /// Takes the next outcome, as the driver does; for testing a backend by itself.
    pub fn pop(&mut self) -> Option<(Token, Outcome)> {
        let Some(token) = self.queue.pop() else { return self.strays.pop_front() };
        if let Some(item) = of_item(token) {
            let operation = self.cells.get(item)?.owner;
            let token = self.cells.token(operation);
            return self.cells.remove(item.index).map(|outcome| (token, outcome));
        }
        self.cells.remove(token.index).map(|outcome| (token, outcome))
    }
}

impl Default for Done {
    fn default() -> Self {
        Self::new()
    }
}
