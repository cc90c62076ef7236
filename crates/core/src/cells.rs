//! Where an operation is from `submit` to its callback: in one place, which turns from what was asked into what came
//! of it.

use crate::backend::Token;
use crate::handles::NONE;
use crate::outcome::Outcome;

/// Marks the owner of an operation that has a deadline. There are fewer than 2^31 completions, so a marked one is found in
/// no table: what has a deadline is told apart where an owner is looked for, at no cost to what has none.
pub(crate) const DEADLINE: u32 = 1 << 31;

/// The cells of all operations that are under way.
#[derive(Debug)]
pub(crate) struct Cells {
    entries: Vec<Cell>,
    /// The first of the free cells: the one freed last, whose memory is in the cache.
    free: u32,
}

/// One operation, or a free place for one.
#[derive(Debug)]
pub(crate) struct Cell {
    /// The parts of the operation, and its result once that is decided. None while the backend has them.
    outcome: Option<Outcome>,
    /// Counts the operations that were here: with the cell's index, the token of the present one.
    arming: u32,
    /// The completion that it belongs to, with [`DEADLINE`] if that has one; of an item's, its operation's cell; of a free
    /// cell, the next free one.
    pub(crate) owner: u32,
    pub(crate) decided: bool,
}

impl Cell {
    #[inline(always)]
    pub(crate) const fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    #[inline(always)]
    pub(crate) const fn outcome_mut(&mut self) -> Option<&mut Outcome> {
        self.outcome.as_mut()
    }

    /// Takes what is in it.
    #[inline(always)]
    pub(crate) const fn take(&mut self) -> Option<Outcome> {
        self.outcome.take()
    }

    /// Puts something into it that had been taken out.
    #[inline(always)]
    pub(crate) fn put(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }
}

impl Cells {
    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new(), free: NONE }
    }

    /// Puts an operation of the completion `owner` into a free cell.
    #[inline(always)]
    pub(crate) fn insert(&mut self, owner: u32, outcome: Outcome) -> Token {
        if self.free == NONE {
            grow(self);
        }
        let index = self.free;
        let Some(cell) = self.entries.get_mut(index as usize) else { unreachable_cell() };
        self.free = cell.owner;
        (cell.owner, cell.decided) = (owner, false);
        // A free cell is empty, so there is nothing to drop, which an assignment would look for.
        std::mem::forget(cell.outcome.replace(outcome));
        Token { index, arming: cell.arming }
    }

    /// The cell of an operation, unless that has left it.
    #[inline(always)]
    pub(crate) fn get(&mut self, token: Token) -> Option<&mut Cell> {
        self.entries.get_mut(token.index as usize).filter(|cell| cell.arming == token.arming)
    }

    /// The token of what is in the cell at `index`.
    #[inline(always)]
    pub(crate) fn token(&self, index: u32) -> Token {
        let arming = self.entries.get(index as usize).map_or(0, |cell| cell.arming);
        Token { index, arming }
    }

    /// The owner of the cell at `index`, or nobody.
    #[inline(always)]
    pub(crate) fn owner(&self, index: u32) -> u32 {
        self.entries.get(index as usize).map_or(NONE, |cell| cell.owner)
    }

    /// Takes what is in a cell, and frees it.
    #[inline(always)]
    pub(crate) fn remove(&mut self, index: u32) -> Option<Outcome> {
        let cell = self.entries.get_mut(index as usize)?;
        cell.arming = cell.arming.wrapping_add(1);
        cell.owner = self.free;
        self.free = index;
        cell.outcome.take()
    }

    /// Whether no cell is used.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        let next = |index: &u32| self.entries.get(*index as usize).map(|cell| cell.owner);
        std::iter::successors(Some(self.free), next).count() == self.entries.len() + 1
    }
}

/// Adds a free cell. Cannot unwind: what is to go into it can stay in registers, since no unwinding has to find it.
#[cold]
extern "C" fn grow(cells: &mut Cells) {
    let index = cells.entries.len() as u32;
    assert!(index < 1 << 31, "fewer than 2^31 operations");
    cells.entries.push(Cell { outcome: None, arming: 0, owner: NONE, decided: false });
    cells.free = index;
}

/// The free list names cells that exist.
#[cold]
extern "C" fn unreachable_cell() -> ! {
    unreachable!("the free list names cells that exist")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::NopDone;

    fn nop() -> Outcome {
        Outcome::Nop(NopDone { result: Ok(()) })
    }

    #[test]
    fn a_token_is_stale_once_its_operation_has_left() {
        let mut cells = Cells::new();
        let first = cells.insert(7, nop());
        assert_eq!(cells.get(first).map(|cell| cell.owner), Some(7));
        assert!(cells.remove(first.index).is_some());
        assert!(cells.get(first).is_none() && cells.is_empty());
        let second = cells.insert(8, nop());
        assert_eq!(second.index, first.index, "the cell freed last is used first");
        assert!(cells.get(first).is_none());
        assert_eq!(cells.get(second).map(|cell| cell.owner), Some(8));
    }
}
