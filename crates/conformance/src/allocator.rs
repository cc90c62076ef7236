//! The global allocator of a conformance program: the system's, counted.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, AtomicU64, Ordering};

/// Counts what all threads of the program allocate.
///
/// Each conformance program names it as its `#[global_allocator]`; [`main`](crate::main) refuses to run without.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountingAllocator;

static LIVE: AtomicIsize = AtomicIsize::new(0);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// Bytes allocated and not freed.
pub(crate) fn live_bytes() -> isize {
    LIVE.load(Ordering::SeqCst)
}

/// How often memory was asked for, reallocations included.
pub(crate) fn allocations() -> u64 {
    ALLOCATIONS.load(Ordering::SeqCst)
}

/// Whether the program uses it.
pub(crate) fn is_installed() -> bool {
    let before = allocations();
    drop(std::hint::black_box(Box::new(0_u64)));
    allocations() != before
}

/// Counts that memory was asked for, and `bytes` more of it if there was any.
fn counted(pointer: *mut u8, bytes: isize) -> *mut u8 {
    if !pointer.is_null() {
        LIVE.fetch_add(bytes, Ordering::Relaxed);
    }
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    pointer
}

// SAFETY: every call is passed on to the system's allocator as it is; counting touches no memory of the caller's, does
// not allocate and does not unwind.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the rules of `alloc`, which are those of the system's.
        counted(unsafe { System.alloc(layout) }, layout.size() as isize)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the rules of `alloc_zeroed`, which are those of the system's.
        counted(unsafe { System.alloc_zeroed(layout) }, layout.size() as isize)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller got `pointer` from this allocator, and so from the system's, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let bytes = new_size as isize - layout.size() as isize;
        // SAFETY: the caller got `pointer` from this allocator, and so from the system's, with this layout.
        counted(unsafe { System.realloc(pointer, layout, new_size) }, bytes)
    }
}
