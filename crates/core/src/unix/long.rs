//! Names that have no room in an address, in boxes that are used again.

use std::cell::RefCell;

use super::UnixAddress;

/// The bytes of a long name, in a box that its thread keeps when the name is dropped.
///
/// No operation could carry it as it carries a buffer: the address of an accepted connection belongs to whoever accepts
/// it, and does not come back.
pub(super) struct LongName {
    /// There is one until it is dropped.
    name: Option<Box<Bytes>>,
}

/// All boxes are of one size, so that each has room for each name.
struct Bytes {
    len: u8,
    bytes: [u8; UnixAddress::MAX_LEN],
}

/// As many boxes are kept by a thread: 7 KiB at most.
const KEPT: usize = 64;

thread_local! {
    /// What the names were in that this thread has dropped.
    #[expect(clippy::vec_box, reason = "a box goes from a name to here and back")]
    static SPARE: RefCell<Vec<Box<Bytes>>> = const { RefCell::new(Vec::new()) };
}

impl LongName {
    /// Both parts, one behind the other: no more than [`UnixAddress::MAX_LEN`] bytes together.
    pub(super) fn of(first: &[u8], rest: &[u8]) -> Self {
        let mut name =
            spare().unwrap_or_else(|| Box::new(Bytes { len: 0, bytes: [0; UnixAddress::MAX_LEN] }));
        let len = first.len() + rest.len();
        name.bytes[..first.len()].copy_from_slice(first);
        name.bytes[first.len()..len].copy_from_slice(rest);
        name.len = len as u8;
        Self { name: Some(name) }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.name.as_ref().map_or(&[], |name| &name.bytes[..usize::from(name.len)])
    }
}

/// A box that was kept. None where there is none, or the thread is about to end.
fn spare() -> Option<Box<Bytes>> {
    SPARE.try_with(|spare| spare.borrow_mut().pop()).ok().flatten()
}

impl Clone for LongName {
    fn clone(&self) -> Self {
        Self::of(self.bytes(), &[])
    }
}

impl Drop for LongName {
    fn drop(&mut self) {
        let Some(name) = self.name.take() else { return };
        // Where the thread is about to end, the box goes with the closure.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < KEPT {
                spare.push(name);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_keeps_so_many_and_no_more() {
        let names: Vec<_> = (0..2 * KEPT as u8).map(|byte| LongName::of(&[byte; 30], b"end")).collect();
        assert!(names.iter().enumerate().all(|(at, name)| name.bytes()[..30] == [at as u8; 30]));
        drop(names);
        assert_eq!(SPARE.with_borrow(Vec::len), KEPT);
        let _one = LongName::of(&[1; 50], &[]);
        assert_eq!(SPARE.with_borrow(Vec::len), KEPT - 1);
    }
}
