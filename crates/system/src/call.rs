//! How a system call's answer becomes one of ours.

use std::task::Poll;

use proactor_core::Error;
use rustix::io::Errno;

/// Makes a call that does not wait; interrupted ones are repeated (contract R3).
#[inline(always)]
pub(crate) fn call<T>(mut make: impl FnMut() -> Result<T, Errno>) -> Result<T, Error> {
    loop {
        match make() {
            Ok(value) => return Ok(value),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::from_errno(errno)),
        }
    }
}

/// Makes a call that would wait were it not told otherwise: then it is pending. Interrupted ones are repeated.
#[inline(always)]
pub(crate) fn attempt<T>(mut make: impl FnMut() -> Result<T, Errno>) -> Poll<Result<T, Error>> {
    loop {
        match make() {
            Ok(value) => return Poll::Ready(Ok(value)),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Poll::Pending,
            // The same number on most systems, in which case this arm is never reached.
            #[allow(unreachable_patterns)]
            Err(Errno::WOULDBLOCK) => return Poll::Pending,
            Err(errno) => return Poll::Ready(Err(Error::from_errno(errno))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interrupted_calls_are_repeated() {
        let mut answers = [Ok(7), Err(Errno::INTR), Err(Errno::INTR)].to_vec();
        assert_eq!(call(|| answers.pop().unwrap()), Ok(7));
        let mut answers = [Err(Errno::PIPE), Err(Errno::INTR)].to_vec();
        assert_eq!(attempt(|| answers.pop().unwrap()), Poll::Ready(Err::<(), _>(Errno::PIPE.into())));
    }

    #[test]
    fn what_would_block_is_pending() {
        assert_eq!(attempt(|| Err::<(), _>(Errno::AGAIN)), Poll::Pending);
        assert_eq!(call(|| Err::<(), _>(Errno::AGAIN)), Err(Errno::AGAIN.into()));
    }
}
