//! What threads share, in one place: std's, or loom's when interleavings are searched (`--cfg loom`).

#[cfg(loom)]
pub(crate) use loom::hint::spin_loop;
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
#[cfg(loom)]
pub(crate) use loom::sync::{Arc, Condvar, Mutex, MutexGuard};
#[cfg(loom)]
pub(crate) use loom::thread::{ThreadId, current};

#[cfg(not(loom))]
pub(crate) use std::hint::spin_loop;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
#[cfg(not(loom))]
pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use std::thread::{ThreadId, current};

/// What the pool's threads share with the loops: locks that cannot be poisoned and a bounded queue.
#[cfg(all(unix, not(loom)))]
pub(crate) mod shared {
    pub(crate) use crossbeam_queue::ArrayQueue;
    pub(crate) use parking_lot::{Condvar, Mutex};
}

/// The same, on loom's.
#[cfg(loom)]
pub(crate) mod shared;
