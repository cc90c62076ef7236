//! A descriptor in its slot.

use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use proactor_core::Error;

/// A descriptor, or none. It is the loop's alone until a thread of the pool is to use it; from then on whoever uses it
/// owns it, so that its number is nobody else's as long as one of them does (contract H2).
#[derive(Debug)]
pub(crate) enum Held {
    Nothing,
    Alone(OwnedFd),
    Shared(Arc<OwnedFd>),
}

impl Held {
    #[inline(always)]
    pub(crate) const fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// # Errors
    /// [`Error::StaleHandle`] if there is none.
    #[inline(always)]
    pub(crate) fn descriptor(&self) -> Result<BorrowedFd<'_>, Error> {
        match self {
            Self::Alone(descriptor) => Ok(descriptor.as_fd()),
            Self::Shared(descriptor) => Ok(descriptor.as_fd()),
            Self::Nothing => Err(Error::StaleHandle),
        }
    }

    /// A share in it. Allocates the first time.
    ///
    /// # Errors
    /// [`Error::StaleHandle`] if there is none.
    pub(crate) fn share(&mut self) -> Result<Arc<OwnedFd>, Error> {
        let shared = match mem::replace(self, Self::Nothing) {
            Self::Nothing => return Err(Error::StaleHandle),
            Self::Alone(descriptor) => Arc::new(descriptor),
            Self::Shared(shared) => shared,
        };
        *self = Self::Shared(Arc::clone(&shared));
        Ok(shared)
    }

    /// Takes it out.
    ///
    /// # Errors
    /// [`Error::StaleHandle`] if there is none, [`Error::Busy`] while others have a share in it.
    pub(crate) fn take(&mut self) -> Result<OwnedFd, Error> {
        match mem::replace(self, Self::Nothing) {
            Self::Nothing => Err(Error::StaleHandle),
            Self::Alone(descriptor) => Ok(descriptor),
            Self::Shared(shared) => Arc::try_unwrap(shared).map_err(|shared| {
                *self = Self::Shared(shared);
                Error::Busy
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_is_not_taken_from_those_who_share() {
        let (reader, _writer) = rustix::pipe::pipe().unwrap();
        let mut held = Held::Alone(reader);
        let shares = [held.share().unwrap(), held.share().unwrap()];
        assert_eq!(held.take().map(drop), Err(Error::Busy));
        assert!(held.descriptor().is_ok());
        drop(shares);
        assert!(held.take().is_ok() && held.is_nothing());
        assert_eq!(held.take().map(drop), Err(Error::StaleHandle));
        assert_eq!(held.share().map(drop), Err(Error::StaleHandle));
    }
}
