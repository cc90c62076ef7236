//! Where the callbacks of completions live: captures of up to four words without a box.
#![allow(unsafe_code)]

use std::fmt;
use std::marker::PhantomData;
use std::mem::{self, MaybeUninit};

use crate::Backend;
use crate::event_loop::Inner;

/// How many words of captures need no box.
const INLINE_WORDS: usize = 4;

type Storage = MaybeUninit<[usize; INLINE_WORDS]>;

/// A kind of callback: how an outcome is delivered to it.
pub(crate) trait Deliver<B: Backend, S>: Sized {
    /// What is stored.
    type Callback;

    /// Calls `callback`, which was taken out of the loop, with the outcome in `cell` of the completion at `index`.
    fn deliver(inner: &mut Inner<B, S>, state: &mut S, index: u32, cell: u32, callback: Self::Callback);
}

/// What is known of a stored callback once its type is forgotten.
struct Table<B: Backend, S> {
    /// # Safety
    /// The slot at the index must hold the value that this table was stored with.
    deliver: unsafe fn(&mut Inner<B, S>, &mut S, u32, u32),
    /// # Safety
    /// The storage must hold the value that this table was stored with, and not be used again.
    drop: unsafe fn(*mut Storage),
}

/// The callbacks of all completions, by their index.
pub(crate) struct Callbacks<B: Backend, S> {
    slots: Vec<Slot<B, S>>,
}

/// One callback, or none.
struct Slot<B: Backend, S> {
    /// The table that belongs to what `storage` holds; null exactly when it holds nothing.
    table: *const Table<B, S>,
    storage: Storage,
    /// Callbacks stay on the loop's thread, and may own what must.
    not_send: PhantomData<*const ()>,
}

/// Makes the table of one type of callback, at compile time.
struct TableOf<B, S, D>(PhantomData<(B, S, D)>);

impl<B: Backend, S, D: Deliver<B, S>> TableOf<B, S, D> {
    const TABLE: *const Table<B, S> =
        &Table { deliver: deliver_stored::<B, S, D>, drop: drop_stored::<D::Callback> };
}

/// Whether a `T` is stored without a box.
const fn is_inline<T>() -> bool {
    size_of::<T>() <= size_of::<Storage>() && align_of::<T>() <= align_of::<Storage>()
}

/// Calls the callback of the completion at `index`; false if it has none.
#[inline(always)]
pub(crate) fn deliver<B: Backend, S>(inner: &mut Inner<B, S>, state: &mut S, index: u32, cell: u32) -> bool {
    let Some(slot) = inner.callbacks.slots.get(index as usize) else { return false };
    // SAFETY: null, or the address of a constant.
    let Some(table) = (unsafe { slot.table.as_ref() }) else { return false };
    let deliver = table.deliver;
    // SAFETY: a slot's table is that which its storage was written with, kept by `put`.
    unsafe { deliver(inner, state, index, cell) };
    true
}

/// # Safety
/// The slot at `index` must hold a callback that was stored as one of `D`'s.
unsafe fn deliver_stored<B: Backend, S, D: Deliver<B, S>>(
    inner: &mut Inner<B, S>,
    state: &mut S,
    index: u32,
    cell: u32,
) {
    let slot = &mut inner.callbacks.slots[index as usize];
    slot.table = std::ptr::null();
    // SAFETY: the caller vouches for the type, and the null table gives the value up.
    let callback = unsafe { read::<D::Callback>(&raw const slot.storage) };
    D::deliver(inner, state, index, cell, callback);
}

/// # Safety
/// `storage` must hold a `T` that was written by [`write`], and not be used again.
unsafe fn drop_stored<T>(storage: *mut Storage) {
    // SAFETY: as this function's own contract.
    drop(unsafe { read::<T>(storage) });
}

/// # Safety
/// `storage` must hold a `T` that was written by [`write`], and not be used again.
#[inline(always)]
unsafe fn read<T>(storage: *const Storage) -> T {
    if is_inline::<T>() {
        // SAFETY: `write` put a `T` here, which fits and is aligned, and the caller gives it up.
        unsafe { storage.cast::<T>().read() }
    } else {
        // SAFETY: `write` put a box of a `T` here, and the caller gives it up.
        *unsafe { storage.cast::<Box<T>>().read() }
    }
}

#[inline(always)]
fn write<T>(storage: &mut Storage, value: T) {
    let place: *mut Storage = storage;
    if is_inline::<T>() {
        // SAFETY: a `T` fits and is aligned there, as just checked, and `storage` is borrowed mutably.
        unsafe { place.cast::<T>().write(value) };
    } else {
        // SAFETY: a box is one word.
        unsafe { place.cast::<Box<T>>().write(Box::new(value)) };
    }
}

impl<B: Backend, S> Callbacks<B, S> {
    pub(crate) const fn new() -> Self {
        Self { slots: Vec::new() }
    }

    /// Stores the callback of the completion at `index`, which has none.
    #[inline(always)]
    pub(crate) fn put<D: Deliver<B, S>>(&mut self, index: u32, callback: D::Callback) {
        let index = index as usize;
        if index >= self.slots.len() {
            self.grow(index + 1);
        }
        let Some(slot) = self.slots.get_mut(index) else { return };
        debug_assert!(slot.table.is_null(), "a completion has one callback");
        write(&mut slot.storage, callback);
        slot.table = TableOf::<B, S, D>::TABLE;
    }

    #[cold]
    fn grow(&mut self, len: usize) {
        self.slots.resize_with(len, || Slot {
            table: std::ptr::null(),
            storage: MaybeUninit::uninit(),
            not_send: PhantomData,
        });
    }

    /// Drops the callback of the completion at `index`, if it has one.
    pub(crate) fn clear(&mut self, index: u32) {
        if let Some(slot) = self.slots.get_mut(index as usize) {
            slot.clear();
        }
    }
}

impl<B: Backend, S> Slot<B, S> {
    fn clear(&mut self) {
        let table = mem::replace(&mut self.table, std::ptr::null());
        // SAFETY: null, or the address of a constant.
        if let Some(table) = unsafe { table.as_ref() } {
            // SAFETY: the storage holds what it was stored with, and the null table gives it up.
            unsafe { (table.drop)(&raw mut self.storage) };
        }
    }
}

impl<B: Backend, S> Drop for Slot<B, S> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl<B: Backend, S> fmt::Debug for Callbacks<B, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stored = self.slots.iter().filter(|slot| !slot.table.is_null()).count();
        write!(f, "Callbacks({stored})")
    }
}
