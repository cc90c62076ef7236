//! Closing a descriptor and hearing what the system says to it.
#![allow(unsafe_code)]

use std::os::fd::{IntoRawFd, OwnedFd};

use proactor_core::{Call, Error, Job, Outcome};
use rustix::io::Errno;

/// Closes `descriptor`, which is gone whatever the result.
///
/// # Errors
/// What the system said: for a file, that what was written before could not be stored.
pub fn close(descriptor: OwnedFd) -> Result<(), Error> {
    let number = descriptor.into_raw_fd();
    // SAFETY: the number came out of an `OwnedFd`, which was its only owner and is gone: it is open, and nothing uses
    // it after this call.
    match unsafe { rustix::io::try_close(number) } {
        // Interrupted or not, the descriptor is closed; to try again could close somebody else's.
        Ok(()) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(Error::from_errno(errno)),
    }
}

/// The job of a [`Close`](proactor_core::Close) on the pool, with the descriptor that it closes.
#[must_use]
pub fn close_job(descriptor: OwnedFd) -> Job {
    let job = Job::new(|call: &mut Call<'_>| {
        if let (Outcome::Close(closed), Some(descriptor)) = (&mut *call.outcome, call.opened.take()) {
            closed.result = close(descriptor);
        }
    });
    job.with(descriptor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_seen_by_its_other_end() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        assert_eq!(close(writer), Ok(()));
        assert_eq!(rustix::io::read(&reader, &mut [0; 1]), Ok(0));
    }
}
