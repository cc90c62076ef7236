//! The table of descriptors, and of the operations that wait on them.

use std::os::fd::{BorrowedFd, OwnedFd};

use proactor_core::{
    AcceptManyEnded, Accepted, Address, Buffer, Connected, Error, Handle, Outcome, Received, Sent, SentAll,
    Slot, Token,
};
use slab::Slab;

use crate::poller::Registration;
use crate::source::{Source, Traits};

/// Slots are dense. One further beyond the table than this is a caller's mistake, and is not answered with memory.
const MAX_GAP: usize = 1 << 16;

/// All slots, and what waits to write. Connections wait to read most of the time and to write hardly ever, so only
/// readers have a place in the slot itself.
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: Vec<Entry>,
    writings: Slab<Writing>,
}

/// One slot.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) source: Source,
    /// The operation that waits to write, in [`Table::writings`].
    writing: Option<u32>,
    /// The operation that waits to read.
    pub(crate) reading: Reading,
}

// What an idle connection costs here.
const _: () = assert!(size_of::<Entry>() <= 80);

impl Entry {
    #[inline(always)]
    pub(crate) fn waits_to_write(&self) -> bool {
        self.writing.is_some()
    }
}

/// An operation that waits to read.
#[derive(Debug)]
pub(crate) enum Reading {
    Nothing,
    Accept { token: Token, listener: Handle },
    AcceptMany { token: Token, listener: Handle },
    Recv { token: Token, handle: Handle, buffer: Buffer },
}

impl Reading {
    pub(crate) fn token(&self) -> Option<Token> {
        match self {
            Self::Nothing => None,
            Self::Accept { token, .. } | Self::AcceptMany { token, .. } | Self::Recv { token, .. } => {
                Some(*token)
            }
        }
    }

    /// The outcome that hands everything back with `error`; none of nothing.
    pub(crate) fn fail(self, error: Error) -> Option<Outcome> {
        Some(match self {
            Self::Nothing => return None,
            Self::Accept { listener, .. } => Outcome::Accept(Accepted { listener, result: Err(error) }),
            Self::AcceptMany { listener, .. } => {
                Outcome::AcceptManyEnded(AcceptManyEnded { listener, error })
            }
            Self::Recv { handle, buffer, .. } => {
                Outcome::Recv(Received { handle, buffer, result: Err(error) })
            }
        })
    }
}

/// An operation that waits to write.
#[derive(Debug)]
pub(crate) enum Writing {
    Connect { token: Token, handle: Handle, address: Address },
    Send { token: Token, handle: Handle, buffer: Buffer },
    SendAll { token: Token, handle: Handle, buffer: Buffer, transferred: u32 },
}

impl Writing {
    pub(crate) fn token(&self) -> Token {
        match self {
            Self::Connect { token, .. } | Self::Send { token, .. } | Self::SendAll { token, .. } => *token,
        }
    }

    /// The outcome that hands everything back with `result`, whose number only `Send` tells.
    pub(crate) fn finish(self, result: Result<usize, Error>) -> Outcome {
        match self {
            Self::Connect { handle, address, .. } => {
                Outcome::Connect(Connected { handle, address, result: result.map(drop) })
            }
            Self::Send { handle, buffer, .. } => Outcome::Send(Sent { handle, buffer, result }),
            Self::SendAll { handle, buffer, transferred, .. } => {
                let transferred = transferred as usize;
                Outcome::SendAll(SentAll { handle, buffer, transferred, result: result.map(drop) })
            }
        }
    }
}

impl Table {
    /// How many slots there are, free ones too.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
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

    /// A slot with a descriptor, on which nothing waits to read.
    #[inline(always)]
    pub(crate) fn reader(&mut self, slot: Slot) -> Result<&mut Entry, Error> {
        let entry = self.get(slot)?;
        if !matches!(entry.reading, Reading::Nothing) {
            return Err(Error::Busy);
        }
        Ok(entry)
    }

    /// A slot with a descriptor, on which nothing waits to write.
    #[inline(always)]
    pub(crate) fn writer(&mut self, slot: Slot) -> Result<&mut Entry, Error> {
        let entry = self.get(slot)?;
        if entry.writing.is_some() {
            return Err(Error::Busy);
        }
        Ok(entry)
    }

    /// The slot and the operation that waits to write on it.
    pub(crate) fn waiting_writer(&mut self, slot: Slot) -> Option<(&mut Source, &mut Writing)> {
        let entry = self.entries.get_mut(slot.index())?;
        let writing = self.writings.get_mut(entry.writing? as usize)?;
        Some((&mut entry.source, writing))
    }

    /// Parks an operation that waits to write, on a slot of [`writer`](Self::writer).
    pub(crate) fn park_writing(&mut self, slot: Slot, writing: Writing) {
        if let Some(entry) = self.entries.get_mut(slot.index()) {
            // At most one per slot, and slots are numbered by u32.
            entry.writing = Some(self.writings.insert(writing) as u32);
        }
    }

    /// Takes the operation that waits to write out again.
    pub(crate) fn unpark_writing(&mut self, slot: Slot) -> Option<Writing> {
        let index = self.entries.get_mut(slot.index())?.writing.take()?;
        self.writings.try_remove(index as usize)
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
            self.entries.resize_with(index + 1, || Entry {
                source: Source::free(),
                writing: None,
                reading: Reading::Nothing,
            });
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
