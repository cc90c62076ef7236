//! Where the callbacks of completions live: in their records, captures of up to four words without a box.
//!
//! Records are core's and know no types of the user's, so a callback is stored with its type forgotten. Only a [`Loop`] stores any,
//! only in records of its own driver, and only callbacks of its own type: what [`Inner::submit`] and [`Inner::put`] store,
//! [`Inner::call`] may call. Nobody else gets at these records: a backend is lent the [`Done`] that they are in, but has no way
//! to move it out, or another one in, as it has no size.
//!
//! [`Loop`]: crate::Loop
//! [`Done`]: crate::Done
#![allow(unsafe_code)]

use std::fmt;
use std::marker::PhantomData;
use std::mem::{self, MaybeUninit};
use std::ptr;

use crate::driver::is_timer;
use crate::event_loop::Inner;
use crate::{Backend, Key, Submission};

/// How many words of captures need no box: of 64 bits on every target, as handles and keys have them.
const INLINE_WORDS: usize = 4;

type Storage = MaybeUninit<[u64; INLINE_WORDS]>;

/// A kind of callback: how an outcome is delivered to it.
pub(crate) trait Deliver<B: Backend, S>: Sized {
    /// What is stored.
    type Callback;

    /// What was submitted with it.
    type Operation: Submission;

    /// Calls `callback`, which was taken out of the loop, with an outcome of the completion at `index`: with `item`, if that is
    /// one, or with the last.
    fn deliver(inner: &mut Inner<B, S>, state: &mut S, at: (u32, u32), callback: Self::Callback);
}

/// How a callback of a loop with these types is called.
///
/// # Safety
/// The record at the index must hold the callback that this was stored with.
type DeliverStored<B, S> = unsafe fn(&mut Inner<B, S>, &mut S, u32, u32);

/// What is known of a stored callback once its type is forgotten.
#[derive(Debug)]
struct Table {
    /// A [`DeliverStored`], of the types of the loop that has stored the callback.
    deliver: unsafe fn(),
    /// # Safety
    /// The storage must hold the value that this table was stored with, and not be used again.
    drop: unsafe fn(*mut Storage),
}

/// One callback, or none.
pub(crate) struct Stored {
    /// The table that belongs to what `storage` holds; null exactly when it holds nothing.
    table: *const Table,
    storage: Storage,
}

// SAFETY: a driver that was never part of a loop has no callbacks, and can go to another thread; a loop, which stores what may
// belong to its thread, is neither Send nor Sync, and keeps its driver and all of its records for life. What a backend may call
// on a `Done` that it was lent, in whatever thread, neither calls nor drops a callback.
unsafe impl Send for Stored {}
// SAFETY: through a shared reference a callback is neither called nor dropped, nor is what it holds looked at.
unsafe impl Sync for Stored {}

/// Names the callback of a completion that is to be called, in its record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Callback(*const Table);

/// Makes the table of one type of callback, at compile time.
struct TableOf<B, S, D>(PhantomData<(B, S, D)>);

impl<B: Backend, S, D: Deliver<B, S>> TableOf<B, S, D> {
    const TABLE: *const Table = &Table {
        // SAFETY: one pointer to a function for another; `Inner::call` turns it back before it is called.
        deliver: unsafe { mem::transmute::<DeliverStored<B, S>, unsafe fn()>(deliver_stored::<B, S, D>) },
        drop: drop_stored::<D::Callback>,
    };
}

/// Whether a `T` is stored without a box.
const fn is_inline<T>() -> bool {
    size_of::<T>() <= size_of::<Storage>() && align_of::<T>() <= align_of::<Storage>()
}

/// # Safety
/// The record at `index` must hold a callback that was stored as one of `D`'s.
unsafe fn deliver_stored<B: Backend, S, D: Deliver<B, S>>(
    inner: &mut Inner<B, S>,
    state: &mut S,
    index: u32,
    item: u32,
) {
    let records = &mut inner.driver.done.records;
    let Some(stored) = records.callback(index, is_timer::<D::Operation>()) else { return };
    stored.table = ptr::null();
    // SAFETY: the caller vouches for the type, and the null table gives the value up.
    let callback = unsafe { read::<D::Callback>(&raw const stored.storage) };
    D::deliver(inner, state, (index, item), callback);
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

impl Stored {
    pub(crate) const NONE: Self = Self { table: ptr::null(), storage: MaybeUninit::uninit() };

    /// Names it.
    #[inline(always)]
    pub(crate) const fn name(&self) -> Callback {
        Callback(self.table)
    }

    /// Stores a callback where none is, in a record of a loop with these types.
    #[inline(always)]
    fn put<B: Backend, S, D: Deliver<B, S>>(&mut self, callback: D::Callback) {
        debug_assert!(self.table.is_null(), "a completion has one callback");
        write(&mut self.storage, callback);
        self.table = TableOf::<B, S, D>::TABLE;
    }

    /// Drops it.
    pub(crate) fn clear(&mut self) {
        let table = mem::take(&mut self.table);
        // SAFETY: null, or the address of a constant.
        if let Some(table) = unsafe { table.as_ref() } {
            // SAFETY: the storage holds what it was stored with, and the null table gives it up.
            unsafe { (table.drop)(&raw mut self.storage) };
        }
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.clear();
    }
}

impl<B: Backend, S> Inner<B, S> {
    /// Submits an operation with its callback.
    #[inline(always)]
    pub(crate) fn submit<D: Deliver<B, S>>(&mut self, operation: D::Operation, callback: D::Callback) -> Key {
        self.driver.submit_with(operation, |stored| stored.put::<B, S, D>(callback))
    }

    /// Stores the callback of the completion at `index`, which has none, again.
    #[inline(always)]
    pub(crate) fn put<D: Deliver<B, S>>(&mut self, index: u32, callback: D::Callback) {
        if let Some(stored) = self.driver.done.records.callback(index, is_timer::<D::Operation>()) {
            stored.put::<B, S, D>(callback);
        }
    }

    /// Calls the callback of the completion at `index`, whose name is `callback`, if it has one.
    #[inline(always)]
    pub(crate) fn call(&mut self, state: &mut S, index: u32, item: u32, callback: Callback) {
        // SAFETY: null, or the address of a constant.
        let Some(table) = (unsafe { callback.0.as_ref() }) else { return };
        // SAFETY: all that is stored in this loop's records came through `submit` and `put`, so it was made of this type; and the
        // records are this loop's, since no backend can put others in their place.
        let deliver = unsafe { mem::transmute::<unsafe fn(), DeliverStored<B, S>>(table.deliver) };
        // SAFETY: the driver has read `callback`, as it took the next outcome, from the record at `index`, and nothing has stored or
        // taken a callback there since: the driver does neither, and a backend that closes a descriptor meanwhile, lent the records,
        // cannot. The table in a record is that which its storage was written with; `put` sees to that.
        unsafe { deliver(self, state, index, item) };
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.table.is_null() { "none" } else { "a callback" })
    }
}
