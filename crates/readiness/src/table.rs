//! The table of descriptors, and of the operations that wait on them.

use std::os::fd::{BorrowedFd, OwnedFd};

use proactor_core::{Error, Slot, Token};

use crate::poller::{Registration, Wanted, Watch};
use crate::source::{Source, Traits};

/// Slots are dense. One further beyond the table than this is a caller's mistake, and is not answered with memory.
const MAX_GAP: usize = 1 << 16;

/// All slots. The operations that wait on them stay with core: only who waits is known here.
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: Vec<Entry>,
}

/// One slot.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) source: Source,
    /// The operation that waits to read.
    pub(crate) reader: Waiter,
    /// The operation that waits to write.
    pub(crate) writer: Waiter,
}

// What an idle connection costs here.
const _: () = assert!(size_of::<Entry>() <= 48);

/// An operation that waits for an edge, or nobody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Waiter(Token);

impl Waiter {
    /// No operation has this token: core's tables are smaller.
    pub(crate) const NOBODY: Self = Self(Token { index: u32::MAX, arming: 0 });

    #[inline(always)]
    pub(crate) const fn new(token: Token) -> Self {
        Self(token)
    }

    #[inline(always)]
    pub(crate) fn token(self) -> Option<Token> {
        (!self.is_nobody()).then_some(self.0)
    }

    #[inline(always)]
    const fn is_nobody(self) -> bool {
        self.0.index == u32::MAX
    }
}

impl Entry {
    const FREE: Self = Self { source: Source::FREE, reader: Waiter::NOBODY, writer: Waiter::NOBODY };
}

impl Entry {
    /// What somebody waits for, and only an event can bring.
    pub(crate) const fn wanted(&self) -> Wanted {
        let goes_on = self.source.is_unfinished;
        Wanted {
            read: !self.reader.is_nobody() && !self.source.is_dry && !goes_on,
            write: !self.writer.is_nobody() && !goes_on,
        }
    }
}

impl Table {
    /// How many slots there are, free ones too.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What the poller watches.
    pub(crate) fn watched(&self) -> impl Iterator<Item = (Registration, &Entry)> {
        let watched =
            self.entries.iter().enumerate().filter(|(_, entry)| entry.source.watch() == Watch::Edges);
        watched.map(|(slot, entry)| {
            (Registration { slot: slot as u32, generation: entry.source.generation() }, entry)
        })
    }

    /// The slot of an event, unless its registration is not the present one.
    #[inline(always)]
    pub(crate) fn registered(&mut self, registration: Registration) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(registration.slot as usize)?;
        (entry.source.generation() == registration.generation).then_some(entry)
    }

    /// A slot with a descriptor.
    #[inline(always)]
    pub(crate) fn get(&mut self, slot: Slot) -> Result<&mut Entry, Error> {
        match self.entries.get_mut(slot.index()) {
            Some(entry) if !entry.source.is_free() => Ok(entry),
            _ => Err(Error::StaleHandle),
        }
    }

    /// The descriptors in two slots.
    pub(crate) fn pair(&self, first: Slot, second: Slot) -> Result<[BorrowedFd<'_>; 2], Error> {
        let descriptor = |slot: Slot| match self.entries.get(slot.index()) {
            Some(entry) => entry.source.descriptor(),
            None => Err(Error::StaleHandle),
        };
        Ok([descriptor(first)?, descriptor(second)?])
    }

    /// A slot with a descriptor, on which nothing waits to read.
    #[inline(always)]
    pub(crate) fn reader(&mut self, slot: Slot) -> Result<&mut Entry, Error> {
        let entry = self.get(slot)?;
        if !entry.reader.is_nobody() {
            return Err(Error::Busy);
        }
        Ok(entry)
    }

    /// A slot with a descriptor, on which nothing waits to write.
    #[inline(always)]
    pub(crate) fn writer(&mut self, slot: Slot) -> Result<&mut Entry, Error> {
        let entry = self.get(slot)?;
        if !entry.writer.is_nobody() {
            return Err(Error::Busy);
        }
        Ok(entry)
    }

    /// Makes room for a descriptor in a free slot, and names its registration.
    ///
    /// # Errors
    /// [`Error::Busy`] if it is taken, [`Error::InvalidInput`] if it is far beyond the table.
    pub(crate) fn prepare(&mut self, slot: Slot) -> Result<Registration, Error> {
        let index = slot.index();
        if index >= self.entries.len() {
            if index - self.entries.len() > MAX_GAP {
                return Err(Error::InvalidInput);
            }
            self.entries.resize_with(index + 1, || Entry::FREE);
        }
        let source = &self.entries[index].source;
        if !source.is_free() {
            return Err(Error::Busy);
        }
        Ok(Registration { slot: slot.0, generation: source.generation() })
    }

    /// Puts a descriptor into the slot that was prepared for it.
    pub(crate) fn insert(&mut self, registration: Registration, descriptor: OwnedFd, traits: Traits) {
        self.entries[registration.slot as usize].source.occupy(descriptor, traits);
    }

    /// Takes the descriptor out of its slot, whose events name nobody from now on.
    ///
    /// # Errors
    /// [`Error::StaleHandle`] if there is none, [`Error::Busy`] if an operation waits on it: it would never end.
    pub(crate) fn remove(&mut self, slot: Slot) -> Result<(OwnedFd, Traits), Error> {
        self.reader(slot)?;
        self.writer(slot)?.source.vacate()
    }

    /// All descriptors that have to be made blocking again, whatever becomes of them.
    pub(crate) fn to_restore(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.entries.iter().filter_map(|entry| entry.source.to_restore())
    }
}
