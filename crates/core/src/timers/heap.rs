//! A heap of entries, earliest first, which keeps the places of its timers, so that any of them can be removed.

use super::{Entry, Place, Places};

/// Children per entry: four of them share a cache line.
const ARITY: usize = 4;

#[derive(Default, Debug)]
pub(super) struct Heap(Vec<Entry>);

impl Heap {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    pub(super) fn first(&self) -> Option<&Entry> {
        self.0.first()
    }

    #[cfg(test)]
    pub(super) fn get(&self, position: u32) -> &Entry {
        &self.0[position as usize]
    }

    pub(super) fn push(&mut self, entry: Entry, places: &mut Places) {
        self.0.push(entry);
        self.rise(self.0.len() - 1, entry, places);
    }

    /// Removes the entry at `position`.
    pub(super) fn remove(&mut self, position: u32, places: &mut Places) {
        let Some(last) = self.0.pop() else { return };
        let hole = position as usize;
        if hole < self.0.len() {
            let hole = self.sink(hole, last, places);
            self.rise(hole, last, places);
        }
    }

    /// Moves everything to the end of `entries`, in no particular order.
    pub(super) fn drain_into(&mut self, entries: &mut Vec<Entry>) {
        entries.append(&mut self.0);
    }

    /// Moves children up into `hole` while they come before `entry`; returns where the hole is then.
    fn sink(&mut self, mut hole: usize, entry: Entry, places: &mut Places) -> usize {
        loop {
            let first_child = hole * ARITY + 1;
            let children = first_child..(first_child + ARITY).min(self.0.len());
            match children.min_by_key(|child| self.0[*child].order()) {
                Some(child) if self.0[child].order() < entry.order() => {
                    self.put(hole, self.0[child], places);
                    hole = child;
                }
                _ => return hole,
            }
        }
    }

    /// Moves parents down into `hole` while they come after `entry`, and puts it there.
    fn rise(&mut self, mut hole: usize, entry: Entry, places: &mut Places) {
        while hole > 0 {
            let parent = (hole - 1) / ARITY;
            if self.0[parent].order() < entry.order() {
                break;
            }
            self.put(hole, self.0[parent], places);
            hole = parent;
        }
        self.put(hole, entry, places);
    }

    fn put(&mut self, position: usize, entry: Entry, places: &mut Places) {
        self.0[position] = entry;
        places.set(entry.index(), Place::Late(position as u32));
    }
}
