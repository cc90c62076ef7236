//! A ring of buffers that the kernel receives into as it needs them, for the floor with multishot receives: what is
//! unsafe about it, in one place and without cost.
//!
//! All memory is leaked. A buffer is either the kernel's, or somebody's who holds its [`Provided`]: giving one to the
//! kernel, or sending from it, moves that away, and only the kernel's word that it is done makes a new one.
#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::{BufRingEntry, Fd};
use io_uring::{IoUring, cqueue, opcode};
use rustix::fd::{AsRawFd, BorrowedFd};

use super::ring::Ring;
use crate::measurement::Result;
use crate::sockets::{MESSAGE_BYTES, Message};

/// The only group of buffers.
const GROUP: u16 = 0;
/// Alignment that the kernel demands of a ring of buffers: a page.
const PAGE: usize = 4096;
/// Entries in a page of the ring.
const ENTRIES_IN_PAGE: usize = PAGE / size_of::<BufRingEntry>();

/// A page of the ring, zeroed: entries are plain numbers.
#[repr(C, align(4096))]
#[derive(Clone, Copy)]
struct Page([u8; PAGE]);

const _: () = assert!(size_of::<Page>() == PAGE && align_of::<Page>() == PAGE);

/// A buffer that holds a message, and is not the kernel's.
pub(crate) struct Provided {
    message: NonNull<Message>,
    number: u16,
}

impl Provided {
    #[inline]
    pub(crate) fn message(&self) -> &Message {
        // SAFETY: the memory is leaked, hence valid, and not the kernel's while this exists (module docs).
        unsafe { self.message.as_ref() }
    }

    #[inline]
    pub(crate) fn message_mut(&mut self) -> &mut Message {
        // SAFETY: the memory is leaked, hence valid, and not the kernel's while this exists (module docs); the
        // exclusive borrow of the only value that names it keeps other references out.
        unsafe { self.message.as_mut() }
    }
}

/// What has completed.
pub(crate) enum Event {
    /// A message arrived at an end. If not `armed`, nothing more will until it is told to receive again.
    Received { end: usize, buffer: Provided, bytes: usize, armed: bool },
    /// A message was sent, and its buffer is free.
    Sent { buffer: Provided, result: i32 },
    /// Receiving at an end failed.
    Failed { end: usize, result: i32 },
}

/// An io_uring with a ring of buffers of a message each.
pub(crate) struct BufferRing {
    ring: IoUring,
    entries: NonNull<BufRingEntry>,
    messages: NonNull<Message>,
    /// One less than the number of entries, which is a power of two.
    mask: u16,
    tail: u16,
}

impl BufferRing {
    /// Opens a ring, and as many buffers; none is the kernel's yet.
    ///
    /// # Errors
    /// What the kernel answers.
    ///
    /// # Panics
    /// If `entries` is not a power of two up to 32,768.
    pub(crate) fn open(entries: u16) -> Result<(Self, Vec<Provided>)> {
        assert!(
            entries.is_power_of_two() && entries <= 1 << 15,
            "the kernel takes no other numbers of buffers"
        );
        let ring = <Ring>::open(entries.into())?.into_inner();
        let count = usize::from(entries);
        let pages = Vec::leak(vec![Page([0; PAGE]); count.div_ceil(ENTRIES_IN_PAGE)]);
        let address = NonNull::from(pages).cast::<BufRingEntry>();
        let messages = NonNull::from(Vec::leak(vec![[0; MESSAGE_BYTES]; count])).cast::<Message>();
        let submitter = ring.submitter();
        // SAFETY: the memory is leaked, page-aligned, as long as `entries` say, and from here on only changed through
        // `give`, by the kernel's protocol.
        unsafe { submitter.register_buf_ring_with_flags(address.as_ptr() as u64, entries, GROUP, 0) }?;
        let buffers = Self { ring, entries: address, messages, mask: entries - 1, tail: 0 };
        let provided = (0..entries).map(|number| buffers.provided(number)).collect();
        Ok((buffers, provided))
    }

    /// The buffer with this number, which must be below the number of entries and nobody's.
    #[inline]
    fn provided(&self, number: u16) -> Provided {
        assert!(number <= self.mask, "the kernel names only buffers that it was given");
        // SAFETY: the number is below that of the messages, so it stays within their allocation.
        let message = unsafe { self.messages.add(number.into()) };
        Provided { message, number }
    }

    /// Gives a buffer to the kernel, to be received into.
    #[inline]
    pub(crate) fn give(&mut self, buffer: Provided) {
        let index = usize::from(self.tail & self.mask);
        // SAFETY: the index is below the number of entries, so it stays within their allocation.
        let mut entry = unsafe { self.entries.add(index) };
        // SAFETY: the entry is valid, and the kernel does not read it before the tail says so: there are as many
        // entries as buffers, so this one's last buffer was taken out, or this value could not exist.
        let entry = unsafe { entry.as_mut() };
        entry.set_addr(buffer.message.as_ptr() as u64);
        entry.set_len(MESSAGE_BYTES as u32);
        entry.set_bid(buffer.number);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the base is that of a ring of entries, in whose first one the kernel reads the tail.
        let tail = unsafe { BufRingEntry::tail(self.entries.as_ptr()) };
        // SAFETY: the tail is valid and aligned, and only changed here; the kernel reads it, hence the atomic.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    /// Queues receiving messages at an end, each into a buffer that was given, for as long as there are any.
    #[inline]
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>, end: u32) {
        let entry = opcode::RecvMulti::new(Fd(socket.as_raw_fd()), GROUP).build();
        self.push(&entry.user_data(u64::from(end) << 1));
    }

    /// Queues sending the message in a buffer.
    #[inline]
    pub(crate) fn send(&mut self, socket: BorrowedFd<'_>, buffer: Provided) {
        let fd = Fd(socket.as_raw_fd());
        let entry = opcode::Send::new(fd, buffer.message.as_ptr().cast(), MESSAGE_BYTES as u32).build();
        self.push(&entry.user_data(u64::from(buffer.number) << 1 | 1));
    }

    #[inline]
    fn push(&mut self, entry: &io_uring::squeue::Entry) {
        // SAFETY: an entry names the group of buffers, which is the kernel's, or the memory of a buffer that was moved
        // into it; both are leaked, so they stay valid, and unshared until the completion (module docs).
        let pushed = unsafe { self.ring.submission().push(entry) };
        assert!(pushed.is_ok(), "a floor opens its ring with room for all that it queues in a turn");
    }

    /// Submits what was queued and waits until something has completed; a signal only ends it early.
    ///
    /// # Errors
    /// What the kernel answers.
    #[inline]
    pub(crate) fn enter(&mut self) -> Result<()> {
        match self.ring.submit_and_wait(1) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The next completion.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Event> {
        let entry = self.ring.completion().next()?;
        let name = entry.user_data() >> 1;
        if entry.user_data() & 1 == 1 {
            return Some(Event::Sent { buffer: self.provided(name as u16), result: entry.result() });
        }
        let end = name as usize;
        let (Some(number), Ok(bytes)) =
            (cqueue::buffer_select(entry.flags()), usize::try_from(entry.result()))
        else {
            return Some(Event::Failed { end, result: entry.result() });
        };
        let armed = cqueue::more(entry.flags());
        Some(Event::Received { end, buffer: self.provided(number), bytes, armed })
    }
}
