//! The program's allocator: the system's, counting what passes through it.
//!
//! Counted over all threads, so that an allocation which moved to another thread is not an allocation saved.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts every allocation and reallocation of the process, and the bytes that are live.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static ALLOCATED_BYTES: AtomicU64 = AtomicU64::new(0);
static FREED_BYTES: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations and reallocations since the process began.
pub(crate) fn count() -> u64 {
    ALLOCATIONS.load(Relaxed)
}

/// Bytes that are allocated now.
pub(crate) fn live_bytes() -> u64 {
    ALLOCATED_BYTES.load(Relaxed).wrapping_sub(FREED_BYTES.load(Relaxed))
}

fn count_allocation(bytes: usize) {
    ALLOCATIONS.fetch_add(1, Relaxed);
    ALLOCATED_BYTES.fetch_add(bytes as u64, Relaxed);
}

// SAFETY: every call is passed to the system's allocator unchanged, which keeps the trait's promises; counting
// touches only statics and neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_allocation(layout.size());
        // SAFETY: the caller upholds `GlobalAlloc::alloc`, whose conditions are those of this call.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count_allocation(layout.size());
        // SAFETY: the caller upholds `GlobalAlloc::alloc_zeroed`, whose conditions are those of this call.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count_allocation(new_size);
        FREED_BYTES.fetch_add(layout.size() as u64, Relaxed);
        // SAFETY: the caller upholds `GlobalAlloc::realloc`; `block` came from `System` through this allocator.
        unsafe { System.realloc(block, layout, new_size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        FREED_BYTES.fetch_add(layout.size() as u64, Relaxed);
        // SAFETY: the caller upholds `GlobalAlloc::dealloc`; `block` came from `System` through this allocator.
        unsafe { System.dealloc(block, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Other tests of this binary allocate at the same time, so only lower bounds can be asserted.
    #[test]
    fn an_allocation_is_counted_with_its_bytes() {
        let (count_before, allocated_before) = (count(), ALLOCATED_BYTES.load(Relaxed));
        let block = std::hint::black_box(vec![0_u8; 1 << 20]);
        assert!(count() > count_before);
        assert!(ALLOCATED_BYTES.load(Relaxed) - allocated_before >= 1 << 20);
        let freed_before = FREED_BYTES.load(Relaxed);
        drop(block);
        assert!(FREED_BYTES.load(Relaxed) - freed_before >= 1 << 20);
    }
}
