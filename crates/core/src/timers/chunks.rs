//! Many queues of entries in one growing array, which is cut into chunks that the queues take and give back.

use super::{Entry, POSITIONS};

/// Entries per chunk: four cache lines.
const CHUNK: u32 = 16;
const NONE: u32 = u32::MAX;

/// Where a queue in [`Chunks`] begins and ends: the positions of its first entry and its last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    first: u32,
    last: u32,
}

impl Queue {
    pub(super) const EMPTY: Queue = Queue { first: NONE, last: NONE };

    pub(super) fn is_empty(&self) -> bool {
        self.first == NONE
    }

    /// Whether all of it is in one chunk.
    pub(super) fn is_short(&self) -> bool {
        self.first / CHUNK == self.last / CHUNK
    }
}

#[derive(Debug)]
pub(super) struct Chunks {
    entries: Vec<[Entry; CHUNK as usize]>,
    /// For each chunk, the one that follows it: in its queue, or among the free ones.
    following: Vec<u32>,
    free: u32,
}

impl Chunks {
    pub(super) fn new() -> Self {
        Self { entries: Vec::new(), following: Vec::new(), free: NONE }
    }

    /// Whether the next chunk that is needed has to be allocated.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.free == NONE
    }

    #[inline]
    pub(super) fn get(&self, position: u32) -> Entry {
        self.entries[(position / CHUNK) as usize][(position % CHUNK) as usize]
    }

    /// Appends `entry` and tells its position, where it stays.
    #[inline]
    pub(super) fn push(&mut self, queue: &mut Queue, entry: Entry) -> u32 {
        if is_end_of_chunk(queue.last) {
            let chunk = self.take();
            if queue.is_empty() {
                queue.first = chunk * CHUNK;
            } else {
                self.following[(queue.last / CHUNK) as usize] = chunk;
            }
            queue.last = chunk * CHUNK;
        } else {
            queue.last += 1;
        }
        self.entries[(queue.last / CHUNK) as usize][(queue.last % CHUNK) as usize] = entry;
        queue.last
    }

    /// Takes the first entry and tells its position, where it can be read until the next `push`.
    #[inline]
    pub(super) fn pop(&mut self, queue: &mut Queue) -> Option<u32> {
        if queue.is_empty() {
            return None;
        }
        let position = queue.first;
        let chunk = position / CHUNK;
        if position == queue.last {
            *queue = Queue::EMPTY;
            self.give_back(chunk);
        } else if is_end_of_chunk(position) {
            queue.first = self.following[chunk as usize] * CHUNK;
            self.give_back(chunk);
        } else {
            queue.first += 1;
        }
        Some(position)
    }

    fn take(&mut self) -> u32 {
        if self.free == NONE {
            let chunk = self.entries.len() as u32;
            assert!(chunk < POSITIONS / CHUNK, "too many timers");
            self.entries.push(Default::default());
            self.following.push(NONE);
            return chunk;
        }
        let chunk = self.free;
        self.free = self.following[chunk as usize];
        chunk
    }

    fn give_back(&mut self, chunk: u32) {
        self.following[chunk as usize] = self.free;
        self.free = chunk;
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// Whether the next entry of a queue goes to another chunk. True of an empty queue, too.
#[inline]
fn is_end_of_chunk(position: u32) -> bool {
    position % CHUNK == CHUNK - 1
}
