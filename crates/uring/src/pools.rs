//! Pools of buffers, and the rings through which the kernel takes buffers from them as bytes arrive.
//!
//! The kernel writes to a buffer that was put into a ring from then on until a completion names it, as long as a request is
//! under way that may take from the ring. That memory is safe from everyone else because of what this file does:
//!
//! - A slot in a ring was taken out of its pool and is owned here. [`received`](Pools::received) is the only way out, and
//!   takes a completion's word for it, once.
//! - A ring is taken from the kernel, and its buffers go back to their pool, only when no request uses it.
//! - What the kernel still has when [`Requests`](crate::requests::Requests) is dropped is forgotten with all this.
#![allow(unsafe_code)]

use std::alloc::{self, Layout};
use std::collections::VecDeque;
use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::cqueue;
use io_uring::types::BufRingEntry;
use proactor_core::{Buffer, BufferPool};

use crate::requests::Place;
use crate::ring::Ring;

/// Alignment that the kernel demands of a ring of buffers: a page, of the largest size that Linux has on this hardware.
const PAGE: usize = 1 << 16;

/// All pools that receives use, by the number of their group.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    stocks: Vec<Option<Stock>>,
}

/// A pool that receives use.
#[derive(Debug)]
struct Stock {
    pool: BufferPool,
    /// None where the kernel knows no such rings: buffers are taken one by one then.
    provided: Option<Provided>,
    /// Receives that need a buffer, first come first served. None of them is in the kernel.
    waiting: VecDeque<Place>,
    /// How many of these may go on with what there is.
    budget: usize,
    /// How many receives use it.
    users: usize,
}

impl Pools {
    /// Whether there is none.
    #[inline(always)]
    pub(crate) const fn is_empty(&self) -> bool {
        self.stocks.is_empty()
    }

    /// The group of a pool, for one more receive. The kernel takes from it by itself if it `provides`.
    #[cold]
    pub(crate) fn join(&mut self, pool: &BufferPool, ring: &Ring, provides: bool) -> u32 {
        self.dismiss(ring);
        let is_it = |stock: &Option<Stock>| stock.as_ref().is_some_and(|stock| stock.pool == *pool);
        if let Some(group) = self.stocks.iter().position(is_it) {
            self.stock(group as u32).into_iter().for_each(|stock| stock.users += 1);
            return group as u32;
        }
        let free = self.stocks.iter().position(Option::is_none);
        let group = free.unwrap_or(self.stocks.len());
        // Beyond what the kernel can number, or allows this process, buffers are taken one by one.
        let number = u16::try_from(group).ok().filter(|_| provides);
        let provided = number.and_then(|group| Provided::new(group, pool, ring));
        let waiting = VecDeque::new();
        let mut stock = Stock { pool: pool.clone(), provided, waiting, budget: 0, users: 1 };
        stock.refill();
        if group == self.stocks.len() {
            self.stocks.push(None);
        }
        self.stocks[group] = Some(stock);
        group as u32
    }

    /// One receive less uses the group.
    pub(crate) fn leave(&mut self, group: u32) {
        self.stock(group).into_iter().for_each(|stock| stock.users -= 1);
    }

    /// Lets go of pools that nothing but buffers is left of.
    fn dismiss(&mut self, ring: &Ring) {
        for (group, place) in self.stocks.iter_mut().enumerate() {
            if let Some(mut stock) = place.take_if(|stock| stock.users == 0 && stock.pool.is_alone())
                && let Some(provided) = &stock.provided
                && !provided.take_back(group as u16, ring)
            {
                // The kernel still knows of it, so it stays.
                std::mem::forget(stock.provided.take());
            }
        }
        while self.stocks.pop_if(|last| last.is_none()).is_some() {}
    }

    #[inline(always)]
    fn stock(&mut self, group: u32) -> Option<&mut Stock> {
        self.stocks.get_mut(group as usize)?.as_mut()
    }

    /// Whether the kernel takes buffers of the group by itself.
    pub(crate) fn is_provided(&self, group: u32) -> bool {
        matches!(self.stocks.get(group as usize), Some(Some(Stock { provided: Some(_), .. })))
    }

    /// A buffer of a group from which the kernel does not take by itself.
    pub(crate) fn take(&mut self, group: u32) -> Option<Buffer> {
        self.stock(group)?.pool.take()
    }

    /// The buffer that the kernel has put bytes into, as `completion` of a receive with the group says; with none in it
    /// where it has failed.
    #[inline(always)]
    pub(crate) fn received(&mut self, group: u32, completion: &cqueue::Entry) -> Option<Buffer> {
        let number = cqueue::buffer_select(completion.flags())?;
        let stock = self.stock(group)?;
        let provided = stock.provided.as_mut()?;
        if !std::mem::take(provided.is_in.get_mut(usize::from(number))?) {
            return None;
        }
        provided.len -= 1;
        // SAFETY: the slot was in the ring, and is so no more; the kernel has just said that it is done with it.
        unsafe { stock.pool.buffer(number, completion.result().max(0) as usize) }
    }

    /// Has the receive at `place`, which is not in the kernel, wait for a buffer of the group.
    #[cold]
    pub(crate) fn wait(&mut self, group: u32, place: Place) {
        self.stock(group).into_iter().for_each(|stock| stock.waiting.push_back(place));
    }

    /// Has the receive at `place` wait no longer.
    #[cold]
    pub(crate) fn wait_no_longer(&mut self, group: u32, place: Place) {
        self.stock(group).into_iter().for_each(|stock| stock.waiting.retain(|other| *other != place));
    }

    /// Gives the kernel what has returned. Returns whether somebody waits.
    #[inline(always)]
    pub(crate) fn refill(&mut self, ring: &Ring) -> bool {
        let (mut anyone_waits, mut is_left) = (false, false);
        for stock in self.stocks.iter_mut().flatten() {
            stock.refill();
            anyone_waits |= !stock.waiting.is_empty();
            is_left |= stock.users == 0;
        }
        if is_left {
            self.dismiss(ring);
        }
        anyone_waits
    }

    /// The next receive that waits for a buffer and can have one.
    #[cold]
    pub(crate) fn next(&mut self) -> Option<Place> {
        self.stocks.iter_mut().flatten().find_map(|stock| {
            let can_go_on = match &stock.provided {
                Some(_) => stock.budget > 0,
                None => stock.pool.has_free(),
            };
            let place = if can_go_on { stock.waiting.pop_front()? } else { return None };
            stock.budget = stock.budget.saturating_sub(1);
            Some(place)
        })
    }

    /// Before a wait: whether there are buffers for somebody who waits. If not, one that returns wakes the loop.
    #[cold]
    pub(crate) fn can_go_on(&self) -> bool {
        let dry = self.stocks.iter().flatten().filter(|stock| !stock.waiting.is_empty());
        // Every pool has to be asked.
        dry.filter(|stock| {
            let is_stocked = stock.provided.as_ref().is_some_and(|provided| provided.len > 0);
            is_stocked || !stock.pool.want()
        })
        .count()
            > 0
    }
}

impl Stock {
    /// Gives the kernel what has returned.
    #[inline(always)]
    fn refill(&mut self) {
        if let Some(provided) = &mut self.provided {
            if self.pool.has_free() {
                self.pool.take_all(|number, first| provided.add(number, first));
                provided.publish();
            }
            self.budget = provided.len;
        }
    }
}

/// A ring of buffers for the kernel.
struct Provided {
    entries: NonNull<BufRingEntry>,
    layout: Layout,
    /// One less than the number of entries, which is a power of two.
    mask: u16,
    /// The end of what was added; the kernel sees it once it is published.
    tail: u16,
    /// How many buffers are in the ring, as far as completions have told.
    len: usize,
    /// Whether it is the kernel's, of each slot of the pool.
    is_in: Box<[bool]>,
    /// Bytes in a slot.
    slot_size: u32,
}

impl Provided {
    /// Makes the ring of `group`, with room for `count` buffers; None if the kernel takes no such ring.
    fn new(group: u16, pool: &BufferPool, ring: &Ring) -> Option<Self> {
        let count = pool.count();
        let entries = count.checked_next_power_of_two().and_then(|entries| u16::try_from(entries).ok())?;
        let layout = Layout::from_size_align(usize::from(entries) * size_of::<BufRingEntry>(), PAGE).ok()?;
        // SAFETY: the layout's size is not zero: a power of two never is.
        let memory = NonNull::new(unsafe { alloc::alloc_zeroed(layout) })?.cast();
        let is_in = vec![false; count as usize].into();
        // No longer than a buffer, which counts in 32 bits.
        let slot_size = pool.buffer_size() as u32;
        let provided = Self { entries: memory, layout, mask: entries - 1, tail: 0, len: 0, is_in, slot_size };
        // SAFETY: page-aligned memory of that many entries, all zero, which `provided` keeps until the kernel has given it
        // up or the ring is closed, and only changes by the kernel's protocol.
        unsafe { ring.register_buffers(memory.as_ptr() as u64, entries, group) }.ok()?;
        Some(provided)
    }

    /// Takes the ring from the kernel; whether that went. No receive may be under way with its group, as `dismiss` has made
    /// sure.
    #[cold]
    fn take_back(&self, group: u16, ring: &Ring) -> bool {
        ring.unregister_buffers(group).is_ok()
    }

    /// Adds a slot that was taken out of the pool, from its first byte on.
    #[inline(always)]
    fn add(&mut self, number: u16, first: NonNull<u8>) {
        let Some(is_in) = self.is_in.get_mut(usize::from(number)) else { return };
        // SAFETY: the index is below the number of entries, so it stays within their allocation.
        let mut entry = unsafe { self.entries.add(usize::from(self.tail & self.mask)) };
        // SAFETY: valid, and the kernel does not read it before the tail says so: there are no fewer entries than buffers
        // in the pool, so the one that was here last was taken out, or this slot would not be free.
        let entry = unsafe { entry.as_mut() };
        entry.set_addr(first.as_ptr() as u64);
        entry.set_len(self.slot_size);
        entry.set_bid(number);
        self.tail = self.tail.wrapping_add(1);
        self.len += 1;
        *is_in = true;
    }

    /// Shows the kernel what was added.
    #[inline(always)]
    fn publish(&self) {
        // SAFETY: the first entry, in which the kernel reads the tail.
        let tail = unsafe { BufRingEntry::tail(self.entries.as_ptr()) };
        // SAFETY: valid and aligned, and only changed here; the kernel reads it, hence the atomic.
        unsafe { AtomicU16::from_ptr(tail.cast_mut()) }.store(self.tail, Ordering::Release);
    }
}

/// Gives back to the pool what was the kernel's.
impl Drop for Stock {
    fn drop(&mut self) {
        let Some(provided) = &mut self.provided else { return };
        for (number, is_in) in provided.is_in.iter_mut().enumerate() {
            if std::mem::take(is_in) {
                // SAFETY: the slot was in the ring, and is so no more. The kernel has no use of the ring: no receive is under
                // way with it, or the ring that it belongs to is closed.
                drop(unsafe { self.pool.buffer(number as u16, 0) });
            }
        }
    }
}

impl Drop for Provided {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout. The kernel has given it up, or the ring is closed, which comes first (the
        // order of the fields of `Requests`), or has refused it.
        unsafe { alloc::dealloc(self.entries.as_ptr().cast(), self.layout) };
    }
}

impl fmt::Debug for Provided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provided").field("len", &self.len).field("mask", &self.mask).finish_non_exhaustive()
    }
}
