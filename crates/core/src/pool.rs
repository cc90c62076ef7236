//! A pool of buffers that a receive takes from only when there is something to receive.
#![allow(unsafe_code)]

use std::alloc::{self, Layout};
use std::collections::VecDeque;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

use rustix::io::Errno;

use crate::buffer::Origin;
use crate::{Buffer, Error, Wake};

/// Where buffers of a pool come from.
static POOL: Origin = Origin { writable: true, align: 1, release };

/// The end of a list of slots.
const NONE: u16 = u16::MAX;
/// In [`Shared::head`]: somebody waits for a buffer, and is to be woken when one returns.
const WANTED: u64 = 1 << 16;
/// In [`Shared::head`]: nobody takes from the pool any more.
const CLOSED: u64 = 1 << 17;
/// In [`Shared::head`]: counts its changes, so that a list which looks the same is the same. (46 bits: to be mistaken, a
/// thread would have to be held up in one instruction pair for as long as others make 2^46 changes.)
const CHANGE: u64 = 1 << 18;

/// Fixed-size buffers in one block of memory, for [`RecvMany`](crate::RecvMany): a connection takes one when bytes have
/// arrived, not before, so that those that are idle hold none.
///
/// Made by [`Context::buffer_pool`](crate::Context::buffer_pool). What arrives comes as an ordinary [`Buffer`], whose
/// range is what was received; dropping that, on whichever thread and even after the loop is gone, gives it back. A
/// buffer of a pool can be sent, and received into. Cheap to clone: clones are the same pool. Its memory is freed when
/// the last clone, the last operation and the last buffer are gone.
///
/// When none is left, a `RecvMany` waits until one returns: nothing ends, nothing is lost, and the peer is pushed back as
/// it is by any receiver that does not receive (contract B2).
pub struct BufferPool {
    /// None of the pool without buffers.
    shared: Option<NonNull<Shared>>,
}

/// What is one for each pool.
struct Shared {
    /// The first free slot, with [`WANTED`], [`CLOSED`] and the number of changes.
    head: AtomicU64,
    /// Clones of the [`BufferPool`].
    handles: AtomicUsize,
    /// Slots that have not come back since it was closed, and all of them before.
    outstanding: AtomicU32,
    slots: NonNull<u8>,
    layout: Layout,
    /// From one slot to the next.
    stride: usize,
    count: u32,
    size: u32,
    /// The loop's that made it.
    tag: u32,
    bell: Arc<dyn Fn() + Send + Sync>,
}

/// What stands before the bytes of each slot.
#[repr(C, align(16))]
struct Prefix {
    pool: NonNull<Shared>,
    /// The next free slot, while this one is free.
    next: AtomicU16,
    index: u16,
}

const PREFIX: usize = size_of::<Prefix>();
const _: () = assert!(PREFIX == 16);

// SAFETY: everything that changes is atomic, and `take` gives each slot to one only, by a compare-and-swap.
unsafe impl Send for BufferPool {}
// SAFETY: as above; all methods may be called from several threads at once.
unsafe impl Sync for BufferPool {}

impl BufferPool {
    /// The largest number of buffers of one pool.
    pub const MAX_COUNT: u32 = 32_768;

    /// `count` buffers of `size` bytes for the loop with `tag`, which `wake` wakes.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for no buffers, more than [`MAX_COUNT`](Self::MAX_COUNT), or an empty or too long size; the
    /// system's ENOMEM where there is no memory for it.
    pub(crate) fn new<W: Wake>(count: u32, size: usize, tag: u32, wake: W) -> Result<Self, Error> {
        if !(1..=Self::MAX_COUNT).contains(&count) || !(1..=Buffer::MAX_LEN).contains(&size) {
            return Err(Error::InvalidInput);
        }
        let stride = (PREFIX + size).next_multiple_of(PREFIX);
        let bytes = stride.checked_mul(count as usize).ok_or(Error::InvalidInput)?;
        let layout = Layout::from_size_align(bytes, 64).map_err(|_| Error::InvalidInput)?;
        // SAFETY: the layout's size is not zero: there is a slot, and its prefix.
        let memory = unsafe { alloc::alloc_zeroed(layout) };
        let slots = NonNull::new(memory).ok_or(Error::from_errno(Errno::NOMEM))?;
        let shared = Box::new(Shared {
            head: AtomicU64::new(0),
            handles: AtomicUsize::new(1),
            outstanding: AtomicU32::new(count),
            slots,
            layout,
            stride,
            count,
            size: size as u32,
            tag,
            bell: Arc::new(move || wake.wake()),
        });
        let pool = NonNull::from(Box::leak(shared));
        for index in 0..count as u16 {
            let next = if u32::from(index) + 1 == count { NONE } else { index + 1 };
            // SAFETY: `count` strides were allocated, each a multiple of the prefix's size and alignment.
            let prefix = unsafe { slots.add(usize::from(index) * stride) }.cast::<Prefix>();
            // SAFETY: within the allocation and aligned, as just said; nobody else knows of it yet.
            unsafe { prefix.write(Prefix { pool, next: AtomicU16::new(next), index }) };
        }
        Ok(Self { shared: Some(pool) })
    }

    #[inline(always)]
    fn shared(&self) -> Option<&Shared> {
        // SAFETY: it is freed only once the last handle has counted itself out, and this one has not: only `drop` does that,
        // and looks at it no more once it has found that others may free it.
        self.shared.map(|shared| unsafe { shared.as_ref() })
    }

    /// How many buffers it has, those in use included.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.shared().map_or(0, |shared| shared.count)
    }

    /// Bytes in each of its buffers.
    #[must_use]
    pub fn buffer_size(&self) -> usize {
        self.shared().map_or(0, |shared| shared.size as usize)
    }

    /// Whether the loop with `tag` made it.
    pub(crate) fn is_of(&self, tag: u32) -> bool {
        self.shared().is_some_and(|shared| shared.tag == tag)
    }

    /// Takes a free buffer out, whole. For backends.
    #[doc(hidden)]
    #[inline(always)]
    #[must_use]
    pub fn take(&self) -> Option<Buffer> {
        let shared = self.shared()?;
        // Acquire: what was done to the slot before it returned is over.
        let mut head = shared.head.load(Ordering::Acquire);
        loop {
            let slot = shared.slot(head as u16)?;
            let next = slot.next();
            let rest = u64::from(next) | (head & WANTED) | change(head);
            match shared.head.compare_exchange_weak(head, rest, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Some(slot.buffer(shared)),
                Err(changed) => head = changed,
            }
        }
    }

    /// Takes all free slots out, and hands each to `give`: its number, which is below [`count`](Self::count), and the
    /// address of its first byte. Each is the caller's, as memory, until it has [`made`](Self::buffer) a buffer of it
    /// again; one that is forgotten never returns. For backends whose kernel keeps them.
    #[doc(hidden)]
    #[inline]
    pub fn take_all(&self, mut give: impl FnMut(u16, NonNull<u8>)) {
        let Some(shared) = self.shared() else { return };
        let mut head = shared.head.load(Ordering::Acquire);
        loop {
            if head as u16 == NONE {
                return;
            }
            let rest = u64::from(NONE) | (head & WANTED) | change(head);
            match shared.head.compare_exchange_weak(head, rest, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => break,
                Err(changed) => head = changed,
            }
        }
        let mut index = head as u16;
        while let Some(slot) = shared.slot(index) {
            let next = slot.next();
            give(index, slot.bytes());
            index = next;
        }
    }

    /// Makes a buffer of a slot of [`take_all`](Self::take_all), with `len` bytes, or all if these are more.
    ///
    /// # Safety
    /// The slot must have come out of `take_all`, no buffer been made of it since, and nothing else use its bytes any more.
    #[doc(hidden)]
    #[inline(always)]
    #[must_use]
    pub unsafe fn buffer(&self, number: u16, len: usize) -> Option<Buffer> {
        let shared = self.shared()?;
        let bytes = shared.slot(number)?.bytes();
        Some(Buffer::new(bytes, &POOL, shared.size as usize, len.min(shared.size as usize)))
    }

    /// Whether a buffer is free. For backends.
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn has_free(&self) -> bool {
        self.shared().is_some_and(|shared| shared.head.load(Ordering::Relaxed) as u16 != NONE)
    }

    /// If no buffer is free, has the next that returns wake the loop, once. Returns whether it will; if not, one is free.
    /// For backends, before a wait.
    #[doc(hidden)]
    #[must_use]
    pub fn want(&self) -> bool {
        let Some(shared) = self.shared() else { return true };
        let mut head = shared.head.load(Ordering::Acquire);
        loop {
            if head as u16 != NONE {
                return false;
            }
            match shared.head.compare_exchange_weak(head, head | WANTED, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return true,
                Err(changed) => head = changed,
            }
        }
    }

    /// Whether this is the only clone, so that nothing but buffers is left of it. For backends.
    #[doc(hidden)]
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.shared().is_some_and(|shared| shared.handles.load(Ordering::Acquire) == 1)
    }
}

/// The next number of changes, alone.
#[inline(always)]
const fn change(head: u64) -> u64 {
    head.wrapping_add(CHANGE) & !(CHANGE - 1)
}

/// A slot that exists.
#[derive(Clone, Copy)]
struct Slot(NonNull<Prefix>);

impl Shared {
    /// The slot at `index`, if there is one.
    #[inline(always)]
    fn slot(&self, index: u16) -> Option<Slot> {
        if u32::from(index) >= self.count {
            return None;
        }
        // SAFETY: `count` strides were allocated.
        Some(Slot(unsafe { self.slots.add(usize::from(index) * self.stride) }.cast()))
    }

    /// Counts slots that have come back after it was closed; the last one's return frees everything.
    ///
    /// # Safety
    /// `this` must have been closed, and each of these slots be counted once, at least one of them.
    #[cold]
    unsafe fn count_back(this: NonNull<Self>, slots: u32) {
        // SAFETY: it is not freed before all slots are counted, and the caller counts some only now.
        let left = unsafe { this.as_ref() }.outstanding.fetch_sub(slots, Ordering::Release) - slots;
        if left > 0 {
            return;
        }
        fence(Ordering::Acquire);
        // SAFETY: made by `Box::leak`, and all slots and handles are gone: nobody else knows of it.
        let shared = unsafe { Box::from_raw(this.as_ptr()) };
        // SAFETY: allocated with this layout.
        unsafe { alloc::dealloc(shared.slots.as_ptr(), shared.layout) };
    }
}

impl Slot {
    #[inline(always)]
    fn next(self) -> u16 {
        // SAFETY: the prefix of a slot is initialised and lives as long as the pool. Only its atomic ever changes.
        unsafe { self.0.as_ref() }.next.load(Ordering::Relaxed)
    }

    /// Its first byte.
    #[inline(always)]
    fn bytes(self) -> NonNull<u8> {
        // SAFETY: the bytes follow the prefix, within the slot's stride.
        unsafe { self.0.cast::<u8>().add(PREFIX) }
    }

    /// The buffer of a slot that was taken.
    #[inline(always)]
    fn buffer(self, shared: &Shared) -> Buffer {
        Buffer::new(self.bytes(), &POOL, shared.size as usize, shared.size as usize)
    }
}

/// Gives the slot of these bytes back.
///
/// # Safety
/// As [`Origin::release`]: `pointer` is the first byte of a slot that was taken, once.
unsafe fn release(pointer: NonNull<u8>, _capacity: usize, _align: usize) {
    // SAFETY: the prefix stands before the bytes, in the same allocation.
    let prefix = unsafe { pointer.sub(PREFIX) }.cast::<Prefix>();
    // SAFETY: initialised, and alive while the slot is out; only its atomic ever changes.
    let Prefix { pool, next, index } = unsafe { prefix.as_ref() };
    // SAFETY: a pool is not freed while a slot is out.
    let shared = unsafe { pool.as_ref() };
    let mut head = shared.head.load(Ordering::Relaxed);
    loop {
        if head & (CLOSED | WANTED) != 0 {
            // SAFETY: as for this function.
            return unsafe { release_rarely(*pool, prefix) };
        }
        next.store(head as u16, Ordering::Relaxed);
        let with_it = u64::from(*index) | change(head);
        // Release: what was done to the bytes, and the link. Once it is done the pool may be gone.
        match shared.head.compare_exchange_weak(head, with_it, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return,
            Err(changed) => head = changed,
        }
    }
}

/// Gives a slot back of a pool that is closed, or that somebody waits for.
///
/// # Safety
/// `prefix` must be that of a slot of `pool` that was taken, once.
#[cold]
#[inline(never)]
unsafe fn release_rarely(pool: NonNull<Shared>, prefix: NonNull<Prefix>) {
    // SAFETY: a pool is not freed while a slot is out.
    let shared = unsafe { pool.as_ref() };
    // SAFETY: as above.
    let Prefix { next, index, .. } = unsafe { prefix.as_ref() };
    // The pool may be gone once the slot is back.
    let bell = Arc::clone(&shared.bell);
    let mut head = shared.head.load(Ordering::Acquire);
    loop {
        if head & CLOSED != 0 {
            // SAFETY: closed, and this slot is out, hence not counted yet.
            return unsafe { Shared::count_back(pool, 1) };
        }
        next.store(head as u16, Ordering::Relaxed);
        let with_it = u64::from(*index) | change(head);
        match shared.head.compare_exchange_weak(head, with_it, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => break,
            Err(changed) => head = changed,
        }
    }
    if head & WANTED != 0 {
        bell();
    }
}

impl Clone for BufferPool {
    fn clone(&self) -> Self {
        if let Some(shared) = self.shared() {
            let before = shared.handles.fetch_add(1, Ordering::Relaxed);
            assert!(before < usize::MAX / 2, "fewer than 2^63 clones");
        }
        Self { shared: self.shared }
    }
}

impl Drop for BufferPool {
    fn drop(&mut self) {
        let Some(shared) = self.shared() else { return };
        if shared.handles.fetch_sub(1, Ordering::Release) > 1 {
            return;
        }
        fence(Ordering::Acquire);
        // Nobody takes any more. Whoever returns a slot from now on counts it.
        let head = shared.head.swap(CLOSED | u64::from(NONE), Ordering::AcqRel);
        if head as u16 == NONE {
            // All are out, and whoever returns the last one frees it, perhaps already.
            return;
        }
        let (mut index, mut returned) = (head as u16, 0);
        while let Some(slot) = shared.slot(index) {
            index = slot.next();
            returned += 1;
        }
        if let (Some(pool), 1..) = (self.shared, returned) {
            // SAFETY: just closed, and these slots had returned before, so that nobody else counts them.
            unsafe { Shared::count_back(pool, returned) };
        }
    }
}

/// The pool without buffers, which nothing can receive into; allocates nothing.
impl Default for BufferPool {
    fn default() -> Self {
        Self { shared: None }
    }
}

/// Clones of one pool are equal, others are not.
impl PartialEq for BufferPool {
    fn eq(&self, other: &Self) -> bool {
        self.shared == other.shared
    }
}

impl Eq for BufferPool {}

impl fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferPool")
            .field("count", &self.count())
            .field("buffer_size", &self.buffer_size())
            .finish()
    }
}

/// Who waits for a buffer of a pool that has run dry: first come, first served. For backends.
#[doc(hidden)]
#[derive(Debug)]
pub struct Dry<T> {
    pools: Vec<(BufferPool, VecDeque<T>)>,
    /// Of pools that nobody waits for now, kept for their memory.
    spare: Vec<VecDeque<T>>,
}

impl<T> Default for Dry<T> {
    fn default() -> Self {
        Self { pools: Vec::new(), spare: Vec::new() }
    }
}

impl<T: PartialEq> Dry<T> {
    /// Whether nobody waits.
    #[must_use]
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.pools.is_empty()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pools.iter().map(|(_, waiters)| waiters.len()).sum()
    }

    /// Has `waiter` wait for a buffer of `pool`.
    #[cold]
    pub fn push(&mut self, pool: &BufferPool, waiter: T) {
        if let Some((_, waiters)) = self.pools.iter_mut().find(|(dry, _)| dry == pool) {
            return waiters.push_back(waiter);
        }
        let mut waiters = self.spare.pop().unwrap_or_default();
        waiters.push_back(waiter);
        self.pools.push((pool.clone(), waiters));
    }

    /// The next one whose pool has a free buffer.
    #[cold]
    pub fn pop(&mut self) -> Option<T> {
        let index = self.pools.iter().position(|(pool, _)| pool.has_free())?;
        let waiter = self.pools[index].1.pop_front();
        self.tidy(index);
        waiter
    }

    /// Whether `waiter` waits.
    #[must_use]
    #[cold]
    pub fn contains(&self, waiter: &T) -> bool {
        self.pools.iter().any(|(_, waiters)| waiters.contains(waiter))
    }

    /// Has `waiter` wait no longer.
    #[cold]
    pub fn remove(&mut self, waiter: &T) {
        for index in (0..self.pools.len()).rev() {
            self.pools[index].1.retain(|other| other != waiter);
            self.tidy(index);
        }
    }

    /// Before a wait: whether there is a free buffer for somebody. If not, one that returns wakes the loop.
    #[must_use]
    #[cold]
    pub fn can_go_on(&self) -> bool {
        // Every pool has to be asked.
        self.pools.iter().filter(|(pool, _)| !pool.want()).count() > 0
    }

    fn tidy(&mut self, index: usize) {
        if self.pools[index].1.is_empty() {
            let (_, waiters) = self.pools.swap_remove(index);
            self.spare.push(waiters);
        }
    }
}

#[cfg(test)]
mod tests;
