//! Names for what the loop owns: handles of descriptors and keys of completions.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

/// Names a descriptor that the loop owns.
///
/// `Copy`; dropping it closes nothing. It goes stale when the descriptor is closed or detached, and never names
/// another one, whatever numbers the system reuses (contract H1, H2).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Handle {
    pub(crate) name: Name,
}

impl Handle {
    /// Where the backend keeps the descriptor.
    #[must_use]
    pub const fn slot(self) -> Slot {
        Slot(self.name.index)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.write("Handle", f)
    }
}

/// Names a completion: one submitted operation, through all its armings.
///
/// `Copy`; stale once the completion is dead. A stale key, or one of another loop, is
/// [`Error::NotFound`](crate::Error::NotFound) (contract C7).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    pub(crate) name: Name,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.write("Key", f)
    }
}

/// What [`Handle`] and [`Key`] are made of.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Name {
    pub(crate) index: u32,
    pub(crate) generation: u32,
    pub(crate) tag: u32,
}

impl Name {
    fn write(self, kind: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{kind}({}.{}@{})", self.index, self.generation, self.tag)
    }
}

/// The place of a descriptor in the backend's own table: small numbers, reused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Slot(pub u32);

impl Slot {
    /// As an index.
    #[must_use]
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A tag for a new loop. Wraps after four billion loops, when a name of the first could fit the last.
pub(crate) fn next_tag() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
