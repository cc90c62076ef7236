//! Something that can be run, whatever its type: in place where it is small, in a box otherwise.
#![allow(unsafe_code)]

use std::any::Any;
use std::fmt;
use std::mem::MaybeUninit;

use crate::Error;

/// How many words need no box: four of a closure or of what it returns, and one that tells which of the two it is.
const INLINE_WORDS: usize = 5;

type Storage = MaybeUninit<[u64; INLINE_WORDS]>;

/// What is kept.
pub(super) trait Task: Any + Send {
    /// Does it.
    ///
    /// # Errors
    /// [`Error::Panicked`]
    fn run(&mut self) -> Result<(), Error>;

    /// Puts what came of it into an `Option` of its type. Returns whether it is one of that.
    fn take_value(&mut self, into: &mut dyn Any) -> bool;
}

/// What is known of a task once its type is forgotten.
struct Table {
    /// Where the task is.
    ///
    /// # Safety
    /// The storage must hold the task that this table was made for.
    find: unsafe fn(*mut Storage) -> *mut dyn Task,
    /// # Safety
    /// The storage must hold the task that this table was made for, and not be used again.
    drop: unsafe fn(*mut Storage),
}

/// One task. It goes to other threads, as every [`Task`] may; through a shared reference, nothing can be done with it.
pub(super) struct Small {
    /// That of what `storage` holds.
    table: &'static Table,
    storage: Storage,
}

/// Makes the table of one type of task, at compile time.
struct TableOf<T>(std::marker::PhantomData<T>);

impl<T: Task> TableOf<T> {
    const TABLE: &'static Table = &Table { find: find::<T>, drop: drop_stored::<T> };
}

/// Whether a `T` is kept without a box.
const fn is_inline<T>() -> bool {
    size_of::<T>() <= size_of::<Storage>() && align_of::<T>() <= align_of::<Storage>()
}

/// # Safety
/// `storage` must hold a `T` that was put there by [`Small::new`].
unsafe fn find<T: Task>(storage: *mut Storage) -> *mut dyn Task {
    if is_inline::<T>() {
        storage.cast::<T>()
    } else {
        // SAFETY: `new` put a box of a `T` here.
        let boxed: &mut Box<T> = unsafe { &mut *storage.cast::<Box<T>>() };
        &raw mut **boxed
    }
}

/// # Safety
/// `storage` must hold a `T` that was put there by [`Small::new`], and not be used again.
unsafe fn drop_stored<T>(storage: *mut Storage) {
    if is_inline::<T>() {
        // SAFETY: `new` put a `T` here, which the caller gives up.
        unsafe { storage.cast::<T>().drop_in_place() };
    } else {
        // SAFETY: `new` put a box of a `T` here, which the caller gives up.
        unsafe { storage.cast::<Box<T>>().drop_in_place() };
    }
}

impl Small {
    pub(super) fn new<T: Task>(task: T) -> Self {
        let mut storage = Storage::uninit();
        let place = &raw mut storage;
        if is_inline::<T>() {
            // SAFETY: a `T` fits and is aligned there, as just checked.
            unsafe { place.cast::<T>().write(task) };
        } else {
            // SAFETY: a box is one word.
            unsafe { place.cast::<Box<T>>().write(Box::new(task)) };
        }
        Self { table: TableOf::<T>::TABLE, storage }
    }

    pub(super) fn task(&mut self) -> &mut dyn Task {
        // SAFETY: the table is that of what `new` has put here, and stays with it.
        let task = unsafe { (self.table.find)(&raw mut self.storage) };
        // SAFETY: it points into the storage, or the box that is there, which is borrowed mutably for as long.
        unsafe { &mut *task }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // SAFETY: as above; and it is not used again.
        unsafe { (self.table.drop)(&raw mut self.storage) };
    }
}

impl fmt::Debug for Small {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Small")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Counts its runs, and carries `N` words and something to be dropped.
    struct Counts<const N: usize> {
        runs: usize,
        rest: [usize; N],
        shared: Arc<()>,
    }

    impl<const N: usize> Task for Counts<N> {
        fn run(&mut self) -> Result<(), Error> {
            assert!(self.rest.iter().copied().eq(0..N), "what was put there");
            self.runs += 1;
            Ok(())
        }

        fn take_value(&mut self, into: &mut dyn Any) -> bool {
            into.downcast_mut().map(|into| *into = Some(self.runs)).is_some()
        }
    }

    fn is_kept_and_dropped_once<const N: usize>(inline: bool) {
        assert_eq!(is_inline::<Counts<N>>(), inline);
        let shared = Arc::new(());
        let rest = std::array::from_fn(|number| number);
        let mut small = Small::new(Counts::<N> { runs: 0, rest, shared: Arc::clone(&shared) });
        assert_eq!(small.task().run(), Ok(()));
        // Wherever it goes.
        let mut moved = Box::new(std::thread::spawn(move || small).join().unwrap());
        assert_eq!(moved.task().run(), Ok(()));
        let mut runs: Option<usize> = None;
        assert!(!moved.task().take_value(&mut Some("another type")));
        assert!(moved.task().take_value(&mut runs));
        assert_eq!((runs, Arc::strong_count(&shared)), (Some(2), 2));
        let task: &mut dyn Any = moved.task();
        assert!(task.downcast_ref::<Counts<N>>().is_some_and(|counts| Arc::ptr_eq(&counts.shared, &shared)));
        drop(moved);
        assert_eq!(Arc::strong_count(&shared), 1);
    }

    #[test]
    fn small_ones_are_in_place_and_large_ones_in_a_box() {
        is_kept_and_dropped_once::<0>(true);
        is_kept_and_dropped_once::<3>(true);
        is_kept_and_dropped_once::<4>(false);
        is_kept_and_dropped_once::<100>(false);
    }
}
