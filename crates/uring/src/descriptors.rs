//! The descriptors, by slot.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use proactor_core::{Error, Slot};
use proactor_system::{DescriptorKind, Transport};

use crate::requests::Place;

/// A descriptor and what it is.
#[derive(Debug)]
pub(crate) struct Descriptor {
    descriptor: OwnedFd,
    pub(crate) kind: DescriptorKind,
}

impl Descriptor {
    pub(crate) const fn new(descriptor: OwnedFd, kind: DescriptorKind) -> Self {
        Self { descriptor, kind }
    }

    pub(crate) fn into_inner(self) -> OwnedFd {
        self.descriptor
    }

    /// Whether an empty buffer needs no system: bytes in a row, where none are nothing (contract R1).
    #[inline(always)]
    pub(crate) const fn takes_bytes(&self) -> bool {
        matches!(self.kind, DescriptorKind::Socket(transport) if transport.is_stream())
    }

    /// Whether what it accepts comes from an address without a name in core.
    pub(crate) const fn is_local(&self) -> bool {
        matches!(self.kind, DescriptorKind::Socket(Transport::LocalStream))
    }
}

impl AsFd for Descriptor {
    #[inline(always)]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// All descriptors of one loop.
#[derive(Debug, Default)]
pub(crate) struct Descriptors {
    slots: Vec<Option<Descriptor>>,
}

impl Descriptors {
    /// Whether a descriptor can come into a slot.
    ///
    /// # Errors
    /// [`Error::Busy`] if one is there, [`Error::InvalidInput`] for a slot beyond all that core would ask for.
    pub(crate) fn check_free(&self, slot: Slot) -> Result<(), Error> {
        if slot.index() >= Place::MAX_SLOTS {
            return Err(Error::InvalidInput);
        }
        if matches!(self.slots.get(slot.index()), Some(Some(_))) { Err(Error::Busy) } else { Ok(()) }
    }

    /// Puts a descriptor into a slot that was [checked](Self::check_free). Returns how many slots there are now.
    pub(crate) fn insert(&mut self, slot: Slot, descriptor: Descriptor) -> usize {
        let index = slot.index();
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, || None);
        }
        self.slots[index] = Some(descriptor);
        self.slots.len()
    }

    /// # Errors
    /// [`Error::StaleHandle`] if the slot is empty.
    #[inline(always)]
    pub(crate) fn get(&self, slot: Slot) -> Result<&Descriptor, Error> {
        match self.slots.get(slot.index()) {
            Some(Some(descriptor)) => Ok(descriptor),
            _ => Err(Error::StaleHandle),
        }
    }

    /// Takes the descriptor out of its slot.
    ///
    /// # Errors
    /// [`Error::StaleHandle`] if the slot is empty.
    pub(crate) fn remove(&mut self, slot: Slot) -> Result<OwnedFd, Error> {
        let taken = self.slots.get_mut(slot.index()).and_then(Option::take);
        taken.map(Descriptor::into_inner).ok_or(Error::StaleHandle)
    }
}

const _: () = assert!(size_of::<Option<Descriptor>>() == 8);
