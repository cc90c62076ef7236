//! The list that goes to the system with each wait, without gaps, whose entries come and go.

/// Entries in a row, each found by its key whatever becomes of the others.
#[derive(Debug)]
pub(crate) struct Batch<T> {
    /// What the system reads.
    entries: Vec<T>,
    /// The key of each entry.
    keys: Vec<Key>,
    /// By key: where its entry is, or, of a free one, the next free one.
    places: Vec<u32>,
    /// The first free key.
    free: u32,
}

/// Names an entry until it is put back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key(u32);

/// The end of the list of free keys.
const NONE: u32 = u32::MAX;

impl<T> Batch<T> {
    /// One with room for `capacity` entries; it grows as needed.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self {
            entries: Vec::with_capacity(capacity),
            keys: Vec::with_capacity(capacity),
            places: Vec::with_capacity(capacity),
            free: NONE,
        }
    }

    /// Gets a place for an entry.
    pub(crate) fn get(&mut self, entry: T) -> Key {
        let place = self.entries.len() as u32;
        let key = if self.free == NONE {
            self.places.push(place);
            Key(self.places.len() as u32 - 1)
        } else {
            let key = Key(self.free);
            self.free = std::mem::replace(&mut self.places[key.0 as usize], place);
            key
        };
        self.entries.push(entry);
        self.keys.push(key);
        key
    }

    /// Puts the place of `key` back, which names nothing from then on. The last entry moves into the gap.
    pub(crate) fn put(&mut self, key: Key) -> T {
        let place = std::mem::replace(&mut self.places[key.0 as usize], self.free) as usize;
        self.free = key.0;
        self.keys.swap_remove(place);
        if let Some(moved) = self.keys.get(place) {
            self.places[moved.0 as usize] = place as u32;
        }
        self.entries.swap_remove(place)
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Calls with all entries, and `last` behind them if there is one.
    pub(crate) fn with<R>(&mut self, last: Option<T>, call: impl FnOnce(&[T]) -> R) -> R {
        let len = self.entries.len();
        self.entries.extend(last);
        let result = call(&self.entries);
        self.entries.truncate(len);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(batch: &mut Batch<u32>) -> Vec<u32> {
        batch.with(None, <[u32]>::to_vec)
    }

    #[test]
    fn what_is_got_is_in_the_list_until_it_is_put() {
        let mut batch = Batch::with_capacity(4);
        assert!(batch.is_empty());
        let keys = [10, 11, 12].map(|entry| batch.get(entry));
        assert_eq!((batch.len(), entries(&mut batch)), (3, vec![10, 11, 12]));
        assert_eq!(batch.put(keys[0]), 10);
        assert_eq!(entries(&mut batch), [12, 11], "no gap");
        assert_eq!((batch.put(keys[2]), batch.put(keys[1])), (12, 11));
        assert!(batch.is_empty());
    }

    #[test]
    fn a_full_one_grows_and_keys_stay() {
        let mut batch = Batch::with_capacity(1);
        let keys: Vec<Key> = (0..1000).map(|entry| batch.get(entry)).collect();
        assert_eq!(batch.len(), 1000);
        // Each second one, from both ends, so that most have moved.
        for index in (0..500).flat_map(|index| [2 * index, 998 - 2 * index]).filter(|index| index % 4 == 0) {
            if entries(&mut batch).contains(&index) {
                assert_eq!(batch.put(keys[index as usize]), index);
            }
        }
        for index in (0..1000).filter(|index| index % 4 != 0) {
            assert_eq!(batch.put(keys[index as usize]), index);
        }
        assert!(batch.is_empty());
    }

    #[test]
    fn places_are_used_again() {
        let mut batch = Batch::with_capacity(2);
        let first = [1, 2].map(|entry| batch.get(entry));
        for round in 0..100 {
            assert_eq!(batch.put(first[1]), 2 + round);
            assert_eq!(batch.get(3 + round), first[1]);
        }
        assert_eq!((batch.places.len(), batch.entries.capacity()), (2, 2), "nothing has grown");
        assert_eq!(batch.put(first[0]), 1);
        assert_eq!(batch.put(first[1]), 102);
        assert_eq!(batch.get(7), first[1], "the last one that was put back");
        assert_eq!(batch.get(8), first[0]);
    }

    #[test]
    fn the_last_is_there_for_the_call_alone() {
        let mut batch = Batch::with_capacity(1);
        let key = batch.get(1);
        assert_eq!(batch.with(Some(9), <[u32]>::to_vec), [1, 9]);
        assert_eq!(entries(&mut batch), [1]);
        let next = batch.get(2);
        assert_eq!((batch.put(key), batch.put(next)), (1, 2));
        assert_eq!(batch.with(Some(9), <[u32]>::to_vec), [9], "never an empty list");
    }
}
