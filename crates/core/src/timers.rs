//! The armed timers of one loop, ordered by deadline and then by the order in which they were armed.

use std::collections::{BTreeMap, HashMap};

/// Timers by the index of their completion.
#[derive(Debug)]
pub(crate) struct Timers {
    armed: BTreeMap<(u64, u64), u32>,
    places: HashMap<u32, (u64, u64)>,
    sequence: u64,
}

impl Timers {
    pub(crate) fn new(_now: u64) -> Self {
        Self { armed: BTreeMap::new(), places: HashMap::new(), sequence: 0 }
    }

    /// Arms `index`, which is not armed.
    pub(crate) fn insert(&mut self, index: u32, deadline: u64) {
        self.sequence += 1;
        self.armed.insert((deadline, self.sequence), index);
        self.places.insert(index, (deadline, self.sequence));
    }

    /// Disarms `index`; whether it was armed.
    pub(crate) fn remove(&mut self, index: u32) -> bool {
        let Some(place) = self.places.remove(&index) else { return false };
        self.armed.remove(&place).is_some()
    }

    /// The earliest deadline.
    pub(crate) fn next_deadline(&mut self) -> Option<u64> {
        self.armed.first_key_value().map(|(&(deadline, _), _)| deadline)
    }

    /// Takes the first timer whose deadline has passed.
    pub(crate) fn pop_expired(&mut self, now: u64) -> Option<u32> {
        let first = self.armed.first_entry()?;
        if first.key().0 > now {
            return None;
        }
        let index = first.remove();
        self.places.remove(&index);
        Some(index)
    }

    pub(crate) fn len(&self) -> usize {
        self.armed.len()
    }
}
