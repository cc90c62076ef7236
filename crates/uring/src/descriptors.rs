//! The descriptors, by slot.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use proactor_core::{Error, Slot};
use proactor_system::{self as system, DescriptorKind, Mode};

use crate::requests::Place;

/// A descriptor and what it is.
#[derive(Debug)]
pub(crate) struct Descriptor {
    descriptor: OwnedFd,
    pub(crate) kind: DescriptorKind,
    /// Whether it came blocking, and was changed (contract H5).
    restore: AtomicBool,
    /// Whether it can be waited for, once that was asked.
    can_poll: AtomicU8,
    /// Whether what it sends stays within this machine. Asked of each send, so it is not looked for each time.
    is_local: bool,
}

const UNKNOWN: u8 = 0;
const NO: u8 = 1;
const YES: u8 = 2;

impl Descriptor {
    pub(crate) const fn new(descriptor: OwnedFd, kind: DescriptorKind) -> Self {
        let is_local = matches!(kind, DescriptorKind::Socket(transport) if transport.is_local());
        let (restore, can_poll) = (AtomicBool::new(false), AtomicU8::new(UNKNOWN));
        Self { descriptor, kind, restore, can_poll, is_local }
    }

    /// Gives the descriptor out, its status flags as they were.
    pub(crate) fn into_inner(self) -> OwnedFd {
        self.restore_mode();
        self.descriptor
    }

    fn restore_mode(&self) {
        if self.restore.load(Ordering::Relaxed) {
            // The system has no reason to refuse, and a descriptor that does not block is better than none.
            let _ = system::set_mode(self.descriptor.as_fd(), Mode::Blocking);
        }
    }

    /// Whether what it sends stays within this machine.
    #[inline(always)]
    pub(crate) const fn is_local(&self) -> bool {
        self.is_local
    }

    /// Whether an empty buffer may be filled by the system: with an empty message.
    pub(crate) const fn takes_messages(&self) -> bool {
        matches!(self.kind, DescriptorKind::Socket(transport) if !transport.is_stream())
    }

    /// Before a read or a write. What is neither socket nor file would hold up the thread that submits: of a terminal,
    /// for one, the kernel knows no other way not to wait. Asked each time, because all who share the open file share the
    /// flag, and may have restored it meanwhile.
    pub(crate) fn keep_nonblocking(&self) -> Result<(), Error> {
        let can_wait = matches!(self.kind, DescriptorKind::Character | DescriptorKind::Other);
        if can_wait && system::set_mode(self.descriptor.as_fd(), Mode::Nonblocking)? == Mode::Blocking {
            self.restore.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Before a call on a socket that only O_NONBLOCK keeps from waiting.
    pub(crate) fn make_nonblocking(&self) -> Result<(), Error> {
        if system::set_mode(self.descriptor.as_fd(), Mode::Nonblocking)? == Mode::Blocking {
            self.restore.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// After it.
    pub(crate) fn make_blocking_again(&self) {
        self.restore_mode();
        self.restore.store(false, Ordering::Relaxed);
    }

    /// Whether the system can wait for it.
    ///
    /// # Errors
    /// What the system said.
    pub(crate) fn can_poll(&self) -> Result<bool, Error> {
        if self.can_poll.load(Ordering::Relaxed) == UNKNOWN {
            let answer = if system::can_poll(self.descriptor.as_fd(), self.kind)? { YES } else { NO };
            self.can_poll.store(answer, Ordering::Relaxed);
        }
        Ok(self.can_poll.load(Ordering::Relaxed) == YES)
    }

    /// Whether an empty buffer needs no system: bytes in a row, where none are nothing (contract R1).
    #[inline(always)]
    pub(crate) const fn takes_bytes(&self) -> bool {
        matches!(self.kind, DescriptorKind::Socket(transport) if transport.is_stream())
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
    /// Those that threads of the pool have used: whoever uses one owns it, so that its number is nobody else's as long as
    /// one of them does (contract H2). They are few, and what the ring alone uses pays nothing for them.
    shared: BTreeMap<Slot, Arc<Descriptor>>,
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
        if self.get(slot).is_ok() { Err(Error::Busy) } else { Ok(()) }
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
        self.find(slot).ok_or(Error::StaleHandle)
    }

    /// None if the slot is empty. A pointer that may be none stays in a register, where a result would go through memory.
    #[inline(always)]
    pub(crate) fn find(&self, slot: Slot) -> Option<&Descriptor> {
        match self.slots.get(slot.index()) {
            Some(Some(descriptor)) => Some(descriptor),
            _ => self.find_shared(slot),
        }
    }

    #[cold]
    #[inline(never)]
    fn find_shared(&self, slot: Slot) -> Option<&Descriptor> {
        self.shared.get(&slot).map(Arc::as_ref)
    }

    /// A share in it, for a thread of the pool. Allocates the first time.
    ///
    /// # Errors
    /// [`Error::StaleHandle`] if the slot is empty.
    pub(crate) fn share(&mut self, slot: Slot) -> Result<Arc<Descriptor>, Error> {
        if let Some(descriptor) = self.slots.get_mut(slot.index()).and_then(Option::take) {
            self.shared.insert(slot, Arc::new(descriptor));
        }
        self.shared.get(&slot).map(Arc::clone).ok_or(Error::StaleHandle)
    }

    /// Takes the descriptor out of its slot.
    ///
    /// # Errors
    /// [`Error::StaleHandle`] if the slot is empty, [`Error::Busy`] while a thread of the pool uses it.
    pub(crate) fn remove(&mut self, slot: Slot) -> Result<OwnedFd, Error> {
        if let Some(descriptor) = self.slots.get_mut(slot.index()).and_then(Option::take) {
            return Ok(descriptor.into_inner());
        }
        let shared = self.shared.remove(&slot).ok_or(Error::StaleHandle)?;
        match Arc::try_unwrap(shared) {
            Ok(descriptor) => Ok(descriptor.into_inner()),
            Err(shared) => {
                self.shared.insert(slot, shared);
                Err(Error::Busy)
            }
        }
    }
}

impl Drop for Descriptors {
    /// They close by themselves; what others may share is left as it was found.
    fn drop(&mut self) {
        self.slots.iter().flatten().for_each(Descriptor::restore_mode);
        self.shared.values().for_each(|shared| shared.restore_mode());
    }
}

const _: () = assert!(size_of::<Option<Descriptor>>() == 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_is_not_taken_from_those_who_share() {
        let mut descriptors = Descriptors::default();
        let slot = Slot(3);
        assert_eq!(descriptors.share(slot).map(drop), Err(Error::StaleHandle));
        let (reader, _writer) = rustix::pipe::pipe().unwrap();
        descriptors.insert(slot, Descriptor::new(reader, DescriptorKind::Character));
        let shares = [descriptors.share(slot).unwrap(), descriptors.share(slot).unwrap()];
        assert_eq!(descriptors.remove(slot).map(drop), Err(Error::Busy));
        assert!(descriptors.get(slot).is_ok() && descriptors.check_free(slot) == Err(Error::Busy));
        drop(shares);
        assert!(descriptors.remove(slot).is_ok());
        assert_eq!(
            (descriptors.remove(slot).map(drop), descriptors.check_free(slot)),
            (Err(Error::StaleHandle), Ok(()))
        );
    }
}
