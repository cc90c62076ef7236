//! Owned bytes that an operation takes and its outcome hands back.
#![allow(unsafe_code)]

use std::alloc::{self, Layout};
use std::fmt;
use std::ops::{Bound, Deref, RangeBounds};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;

use crate::Error;

/// Owned bytes, in one concrete type whatever they come from.
///
/// A buffer shows a *range* of its bytes: that is what a send sends, and what a receive fills, its length being
/// what is asked for. [`slice`](Self::slice) narrows the range by value, [`unslice`](Self::unslice) widens it to
/// all initialised bytes again. So a `Vec` with capacity but no length is an empty buffer.
///
/// Conversions from `Vec<u8>`, `Box<[u8]>`, `Arc<[u8]>` and `&'static [u8]` copy nothing. The last two are shared
/// with others: they can be sent, not received into ([`Error::ReadOnlyBuffer`]).
///
/// The bytes never move: not when the buffer does, not while the kernel writes to them. Two buffers never alias
/// mutable bytes.
///
/// ```
/// use proactor_core::Buffer;
/// let buffer = Buffer::from(b"hello world".to_vec()).slice(6..);
/// assert_eq!(&buffer[..], b"world");
/// assert_eq!(&buffer.unslice()[..], b"hello world");
/// ```
pub struct Buffer {
    /// The first byte of the memory, not of the range. Valid for reads of `initialised` bytes, and, where the
    /// origin is writable, for writes that nothing else aliases.
    pointer: NonNull<u8>,
    origin: &'static Origin,
    capacity: u32,
    initialised: u32,
    start: u32,
    end: u32,
}

/// Where the memory of a buffer comes from, and so how it is given back.
pub(crate) struct Origin {
    pub(crate) writable: bool,
    pub(crate) align: usize,
    /// # Safety
    /// `pointer` and `capacity` must be those that a buffer of this origin was made with, and nothing may use the
    /// memory afterwards.
    pub(crate) release: unsafe fn(pointer: NonNull<u8>, capacity: usize, align: usize),
}

static GLOBAL: Origin = Origin { writable: true, align: 1, release: release_global };
static SHARED: Origin = Origin { writable: false, align: 1, release: release_shared };
static STATIC: Origin = Origin { writable: false, align: 1, release: release_nothing };

/// One origin per power of two that [`Buffer::aligned`] takes.
static ALIGNED: [Origin; 22] = {
    let mut origins = [const { Origin { writable: true, align: 1, release: release_global } }; 22];
    let mut power = 0;
    while power < origins.len() {
        origins[power].align = 1 << power;
        power += 1;
    }
    origins
};

// SAFETY: a buffer owns its bytes, or shares them read-only with an `Arc` or a `'static` slice of bytes, each of
// which may be sent to another thread; it has no thread-bound state.
unsafe impl Send for Buffer {}
// SAFETY: through a shared reference the bytes can only be read.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// The largest size of one buffer in bytes: 4 GiB less one.
    pub const MAX_LEN: usize = u32::MAX as usize;

    /// `len` zeroed bytes.
    ///
    /// # Panics
    /// If `len` is over [`MAX_LEN`](Self::MAX_LEN).
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        Self::from(vec![0; len])
    }

    /// Whether `len` is over [`MAX_LEN`](Self::MAX_LEN), which on systems of 32 bits nothing is.
    #[allow(clippy::absurd_extreme_comparisons, reason = "absurd on some systems only")]
    pub(crate) const fn is_too_long(len: usize) -> bool {
        len > Self::MAX_LEN
    }

    /// `len` zeroed bytes whose address is a multiple of `align`, as O_DIRECT wants them.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] unless `align` is a power of two up to 2 MiB, or if `len` is over
    /// [`MAX_LEN`](Self::MAX_LEN).
    pub fn aligned(len: usize, align: usize) -> Result<Self, Error> {
        if !align.is_power_of_two() || Self::is_too_long(len) {
            return Err(Error::InvalidInput);
        }
        let origin = ALIGNED.get(align.trailing_zeros() as usize).ok_or(Error::InvalidInput)?;
        if len == 0 {
            return Ok(Self::from(Vec::new()));
        }
        let layout = Layout::from_size_align(len, align).map_err(|_| Error::InvalidInput)?;
        // SAFETY: the layout's size is not zero, as just checked.
        let memory = unsafe { alloc::alloc_zeroed(layout) };
        let Some(pointer) = NonNull::new(memory) else { alloc::handle_alloc_error(layout) };
        Ok(Self::new(pointer, origin, len, len))
    }

    #[inline]
    pub(crate) fn new(
        pointer: NonNull<u8>,
        origin: &'static Origin,
        capacity: usize,
        initialised: usize,
    ) -> Self {
        let capacity = u32::try_from(capacity).expect("a buffer holds at most Buffer::MAX_LEN bytes");
        // Not over `capacity`, so the conversion is exact.
        let initialised = initialised as u32;
        Self { pointer, origin, capacity, initialised, start: 0, end: initialised }
    }

    /// The bytes of the range.
    #[must_use]
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `start <= end <= initialised`, kept by `new` and `slice`, so it is within the memory.
        let first = unsafe { self.pointer.add(self.start as usize) };
        // SAFETY: those bytes are initialised and live as long as the buffer; writing needs `&mut self`.
        unsafe { slice::from_raw_parts(first.as_ptr(), (self.end - self.start) as usize) }
    }

    /// The bytes of the range, to be changed.
    ///
    /// # Errors
    /// [`Error::ReadOnlyBuffer`] if they are shared or static.
    pub fn as_mut_slice(&mut self) -> Result<&mut [u8], Error> {
        if !self.origin.writable {
            return Err(Error::ReadOnlyBuffer);
        }
        let len = (self.end - self.start) as usize;
        // SAFETY: initialised, and a writable origin means that nothing else aliases the bytes.
        Ok(unsafe { slice::from_raw_parts_mut(self.as_mut_ptr(), len) })
    }

    /// The address of the range's first byte, for system calls. Valid until the buffer is dropped, however often it
    /// moves. Only [`is_writable`](Self::is_writable) buffers may be written through it.
    #[inline]
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        // SAFETY: `start <= initialised <= capacity`, kept by `new` and `slice`.
        let first = unsafe { self.pointer.add(self.start as usize) };
        first.as_ptr()
    }

    /// Bytes in the range.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether the range is empty.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether it can be received into.
    #[must_use]
    #[inline]
    pub const fn is_writable(&self) -> bool {
        self.origin.writable
    }

    /// Narrows the range; `range` counts from the present range's start.
    ///
    /// # Panics
    /// If `range` reaches beyond the present range, like slicing does.
    #[must_use]
    #[inline]
    pub fn slice(mut self, range: impl RangeBounds<usize>) -> Self {
        let len = self.len();
        let from = match range.start_bound() {
            Bound::Included(&from) => from,
            Bound::Excluded(&before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(&last) => last.saturating_add(1),
            Bound::Excluded(&to) => to,
            Bound::Unbounded => len,
        };
        assert!(from <= to && to <= len, "range {from}..{to} is outside a buffer of {len} bytes");
        // Both are at most `len`, which is a u32.
        self.end = self.start + to as u32;
        self.start += from as u32;
        self
    }

    /// Says that only the first `len` of all bytes are its own from now on, and makes them the range: what a receive has
    /// written, so that nobody gets to see what others had received into the same memory before. For backends; `len` is
    /// taken for what was initialised, where it is more.
    #[doc(hidden)]
    #[must_use]
    #[inline]
    pub fn filled(mut self, len: usize) -> Self {
        self.initialised = (len as u64).min(self.initialised.into()) as u32;
        (self.start, self.end) = (0, self.initialised);
        self
    }

    /// Widens the range to all initialised bytes. Of what a [`RecvMany`](crate::RecvMany) has received, these are the bytes that
    /// it has received, not all of the pool's buffer.
    #[must_use]
    #[inline]
    pub const fn unslice(mut self) -> Self {
        self.start = 0;
        self.end = self.initialised;
        self
    }

    /// The bytes of the range as a `Vec`. Copies nothing if the buffer came from a `Vec` or a box and the range starts
    /// at its first byte; moves the bytes to the front where it starts later; copies shared, static and aligned ones.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        if !ptr::eq(self.origin, &raw const GLOBAL) {
            return self.as_slice().to_vec();
        }
        let (start, end) = (self.start as usize, self.end as usize);
        let this = std::mem::ManuallyDrop::new(self);
        let (initialised, capacity) = (this.initialised as usize, this.capacity as usize);
        // SAFETY: a GLOBAL buffer was made from a Vec<u8> (or a box, which is one with its length as capacity) of
        // this pointer and capacity, whose first `initialised` bytes are initialised, and `this` is never dropped.
        let mut bytes = unsafe { Vec::from_raw_parts(this.pointer.as_ptr(), initialised, capacity) };
        bytes.truncate(end);
        bytes.drain(..start);
        bytes
    }
}

/// Releases memory of the global allocator: that of a `Vec`, of a box, or allocated with an alignment.
///
/// # Safety
/// As [`Origin::release`].
unsafe fn release_global(pointer: NonNull<u8>, capacity: usize, align: usize) {
    if capacity == 0 {
        return;
    }
    // SAFETY: size and alignment were valid when the memory was allocated with them.
    let layout = unsafe { Layout::from_size_align_unchecked(capacity, align) };
    // SAFETY: the caller vouches that it was allocated with this layout and is not used any more.
    unsafe { alloc::dealloc(pointer.as_ptr(), layout) };
}

/// # Safety
/// As [`Origin::release`].
unsafe fn release_shared(pointer: NonNull<u8>, capacity: usize, _align: usize) {
    let bytes = ptr::slice_from_raw_parts(pointer.as_ptr(), capacity);
    // SAFETY: a SHARED buffer was made by `Arc::into_raw` of exactly this slice, and the caller releases it once.
    drop(unsafe { Arc::from_raw(bytes) });
}

/// # Safety
/// None: static bytes are nobody's to give back.
unsafe fn release_nothing(_pointer: NonNull<u8>, _capacity: usize, _align: usize) {}

impl Drop for Buffer {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: pointer and capacity are those that `new` got together with this origin, and a buffer drops once.
        unsafe { (self.origin.release)(self.pointer, self.capacity as usize, self.origin.align) }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

/// An empty buffer, as of an empty `Vec`; allocates nothing. To receive into it is to receive nothing, in its place (contract R1).
impl Default for Buffer {
    fn default() -> Self {
        Self::new(NonNull::dangling(), &GLOBAL, 0, 0)
    }
}

/// Takes the `Vec`'s memory; panics if its capacity is over [`Buffer::MAX_LEN`].
impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Self {
        assert!(!Self::is_too_long(bytes.capacity()), "a buffer holds at most Buffer::MAX_LEN bytes");
        let mut bytes = std::mem::ManuallyDrop::new(bytes);
        let (len, capacity) = (bytes.len(), bytes.capacity());
        // SAFETY: a Vec's pointer is never null.
        let pointer = unsafe { NonNull::new_unchecked(bytes.as_mut_ptr()) };
        Self::new(pointer, &GLOBAL, capacity, len)
    }
}

/// Takes the box's memory; panics if it is over [`Buffer::MAX_LEN`].
impl From<Box<[u8]>> for Buffer {
    fn from(bytes: Box<[u8]>) -> Self {
        Self::from(Vec::from(bytes))
    }
}

/// Shares the bytes, to be sent only; panics if they are over [`Buffer::MAX_LEN`].
impl From<Arc<[u8]>> for Buffer {
    fn from(bytes: Arc<[u8]>) -> Self {
        assert!(!Self::is_too_long(bytes.len()), "a buffer holds at most Buffer::MAX_LEN bytes");
        let len = bytes.len();
        let first = Arc::into_raw(bytes).cast::<u8>().cast_mut();
        // SAFETY: an Arc's pointer is never null.
        let pointer = unsafe { NonNull::new_unchecked(first) };
        Self::new(pointer, &SHARED, len, len)
    }
}

/// Refers to the bytes, to be sent only; panics if they are over [`Buffer::MAX_LEN`].
impl From<&'static [u8]> for Buffer {
    fn from(bytes: &'static [u8]) -> Self {
        let pointer = NonNull::from(bytes).cast::<u8>();
        Self::new(pointer, &STATIC, bytes.len(), bytes.len())
    }
}

/// Refers to the bytes, to be sent only.
impl<const N: usize> From<&'static [u8; N]> for Buffer {
    fn from(bytes: &'static [u8; N]) -> Self {
        Self::from(bytes.as_slice())
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("range", &(self.start..self.end))
            .field("initialised", &self.initialised)
            .field("writable", &self.origin.writable)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vec_round_trip_keeps_memory() {
        let mut bytes = Vec::with_capacity(100);
        bytes.extend_from_slice(b"0123456789");
        let address = bytes.as_ptr();
        let buffer = Buffer::from(bytes);
        assert_eq!(buffer.len(), 10);
        let bytes = buffer.slice(..4).into_vec();
        assert_eq!((bytes.as_ptr(), bytes.capacity()), (address, 100));
        assert_eq!(bytes, b"0123");
    }

    #[test]
    fn ranges_narrow_and_widen() {
        let buffer = Buffer::from(b"0123456789".to_vec()).slice(2..8).slice(1..=2);
        assert_eq!(&buffer[..], b"34");
        assert_eq!(buffer.into_vec(), b"34");
        let buffer = Buffer::from(b"0123".to_vec()).slice(4..);
        assert!(buffer.is_empty());
        assert_eq!(&buffer.unslice()[..], b"0123");
    }

    #[test]
    #[should_panic(expected = "outside a buffer of 2 bytes")]
    fn a_range_beyond_the_present_one_panics() {
        let _ = Buffer::from(b"0123".to_vec()).slice(1..3).slice(0..3);
    }

    #[test]
    fn shared_and_static_are_read_only_and_given_back() {
        let bytes: Arc<[u8]> = Arc::from(&b"abc"[..]);
        let mut buffer = Buffer::from(Arc::clone(&bytes));
        assert_eq!(Arc::strong_count(&bytes), 2);
        assert_eq!(buffer.as_mut_slice(), Err(Error::ReadOnlyBuffer));
        assert_eq!(buffer.into_vec(), b"abc");
        assert_eq!(Arc::strong_count(&bytes), 1);
        assert!(!Buffer::from(b"static").is_writable());
    }

    #[test]
    fn capacity_without_length_is_empty() {
        assert!(Buffer::from(Vec::with_capacity(64)).is_empty());
        let mut empty = Buffer::default();
        assert!(empty.is_empty() && empty.is_writable());
        assert_eq!(empty.as_mut_slice(), Ok(&mut [][..]));
        assert_eq!(empty.unslice().into_vec().capacity(), 0);
        assert_eq!(Buffer::from(Vec::new()).into_vec(), b"");
    }

    #[test]
    fn alignment_is_kept_and_checked() {
        for align in [1, 2, 512, 4096, 2 << 20] {
            let mut buffer = Buffer::aligned(100, align).unwrap();
            assert_eq!(buffer.as_mut_ptr() as usize % align, 0);
            assert!(buffer.iter().all(|&byte| byte == 0));
        }
        assert_eq!(Buffer::aligned(1, 3).map(drop), Err(Error::InvalidInput));
        assert_eq!(Buffer::aligned(1, 4 << 20).map(drop), Err(Error::InvalidInput));
        assert!(Buffer::aligned(0, 512).unwrap().is_empty());
    }

    #[test]
    fn is_four_words() {
        assert_eq!(size_of::<Buffer>(), 32);
        assert_eq!(size_of::<Option<Buffer>>(), 32);
    }
}
