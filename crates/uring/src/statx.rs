//! Rooms for what the kernel tells of a file.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr::NonNull;

use rustix::fs::Statx;

/// Rooms at places that never change, used again and again.
///
/// They are reached through pointers only, never a reference that would claim to be alone with what the kernel writes.
#[derive(Debug, Default)]
pub(crate) struct StatxBlocks {
    all: Vec<NonNull<Statx>>,
    free: Vec<u32>,
}

impl StatxBlocks {
    /// Takes a block and tells its number.
    pub(crate) fn take(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            let block = Box::into_raw(Box::new(MaybeUninit::<Statx>::zeroed())).cast::<Statx>();
            // SAFETY: a box's pointer is not null.
            self.all.push(unsafe { NonNull::new_unchecked(block) });
            // As many as operations in flight, which core numbers with 32 bits.
            self.all.len() as u32 - 1
        })
    }

    /// How many there are, used and free.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Gives back a block that [`take`](Self::take) gave, and that the kernel does not use any more.
    pub(crate) fn give_back(&mut self, number: u32) {
        self.free.push(number);
    }

    /// Where the kernel writes.
    ///
    /// # Panics
    /// If there is no such block.
    pub(crate) fn for_writing(&self, number: u32) -> *mut Statx {
        self.all[number as usize].as_ptr()
    }

    /// What is in a block which the kernel is done with.
    ///
    /// # Panics
    /// If there is no such block.
    pub(crate) fn read(&self, number: u32) -> Statx {
        let block = self.all[number as usize];
        // SAFETY: the block lives as long as `self`, and its owner, who asks, has it back from the kernel. It is made of
        // integers, zeroed from the beginning.
        unsafe { block.read() }
    }
}

impl Drop for StatxBlocks {
    fn drop(&mut self) {
        for block in self.all.drain(..) {
            // SAFETY: it came from a box of this type, in `take`, and is given up once. That the kernel is done with it
            // is upheld by the owner of these blocks, who forgets them otherwise.
            drop(unsafe { Box::from_raw(block.as_ptr().cast::<MaybeUninit<Statx>>()) });
        }
    }
}

const _: () = assert!(size_of::<Statx>() == 256);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_stay_where_they_are_and_are_used_again() {
        let mut blocks = StatxBlocks::default();
        let first = blocks.take();
        let place = blocks.for_writing(first);
        let others: Vec<u32> = (0..100).map(|_| blocks.take()).collect();
        assert_eq!((blocks.for_writing(first), blocks.read(first).stx_size), (place, 0));
        blocks.give_back(others[7]);
        assert_eq!(blocks.take(), others[7]);
        assert_eq!(blocks.all.len(), 101);
    }
}
