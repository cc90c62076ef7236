//! The one error type of every operation.

use std::fmt;
use std::io;

use rustix::io::Errno;

/// Why an operation, or a call on the loop, did not do what was asked (contract R2).
///
/// Small and `Copy`; converts into [`io::Error`], keeping the system's error number where there is one.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The operation was cancelled: by `cancel`, `cancel_all`, or because its handle was closed.
    Canceled,
    /// The operation's deadline passed first.
    TimedOut,
    /// The handle was closed or detached before, or belongs to another loop.
    StaleHandle,
    /// No such completion: the key is stale, or belongs to another loop.
    NotFound,
    /// Something is pending that excludes what was asked.
    Busy,
    /// [`Config::max_operations`](crate::Config::max_operations) are under way already.
    Full,
    /// No buffer of the pool is free.
    NoBuffers,
    /// The buffer can be sent, not received into: its bytes are shared or static.
    ReadOnlyBuffer,
    /// This backend, or this kernel, cannot do it; [`Capabilities`](crate::Capabilities) told so.
    Unsupported,
    /// An argument is out of its range.
    InvalidInput,
    /// The end came before all that was to be read.
    EndOfStream,
    /// Nothing could ever end the wait, as far as a loop can tell: whatever notifier, waker, mailbox or sender exists besides
    /// those of the waits themselves may be used by somebody, even where only a callback that never runs has captured it.
    Deadlock,
    /// The name of the host has no address, or nobody could be asked for it.
    NotResolved,
    /// What was done for the operation on a thread of the pool has panicked.
    Panicked,
    /// The backend broke a rule of its trait.
    Backend,
    /// The system's own error, by number (`errno`).
    System(i32),
}

impl Error {
    /// The system's error `errno`.
    #[must_use]
    pub fn from_errno(errno: Errno) -> Self {
        Self::System(errno.raw_os_error())
    }

    /// The portable kind; the same fault has the same kind on every backend.
    #[must_use]
    pub fn kind(self) -> io::ErrorKind {
        match self {
            // Not `Interrupted`: std's read and write helpers repeat a call that says so.
            Self::Canceled | Self::Panicked | Self::Backend => io::ErrorKind::Other,
            Self::TimedOut => io::ErrorKind::TimedOut,
            Self::StaleHandle | Self::NotFound | Self::NotResolved => io::ErrorKind::NotFound,
            Self::Busy => io::ErrorKind::ResourceBusy,
            Self::Full | Self::NoBuffers => io::ErrorKind::OutOfMemory,
            Self::ReadOnlyBuffer => io::ErrorKind::PermissionDenied,
            Self::Unsupported => io::ErrorKind::Unsupported,
            Self::InvalidInput => io::ErrorKind::InvalidInput,
            Self::EndOfStream => io::ErrorKind::UnexpectedEof,
            Self::Deadlock => io::ErrorKind::Deadlock,
            Self::System(number) => io::Error::from_raw_os_error(number).kind(),
        }
    }

    /// The system's error number, for [`Error::System`].
    #[must_use]
    pub fn raw_os_error(self) -> Option<i32> {
        match self {
            Self::System(number) => Some(number),
            _ => None,
        }
    }

    /// Whether the same call may well succeed a little later, once a resource is free again: EMFILE, ENFILE,
    /// ENOBUFS, ENOMEM, a connection that was aborted before it could be accepted, and this loop's own limits.
    #[must_use]
    pub fn is_transient(self) -> bool {
        const TRANSIENT: [Errno; 5] =
            [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::CONNABORTED];
        match self {
            Self::System(number) => TRANSIENT.iter().any(|errno| errno.raw_os_error() == number),
            Self::Full | Self::NoBuffers => true,
            _ => false,
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::Canceled => "operation canceled",
            Self::TimedOut => "deadline passed before the operation was complete",
            Self::StaleHandle => "handle was closed or detached before, or belongs to another loop",
            Self::NotFound => "no such completion: the key is stale, or belongs to another loop",
            Self::Busy => "something is still pending that excludes what was asked",
            Self::Full => "Config::max_operations are under way already",
            Self::NoBuffers => "no buffer of the pool is free",
            Self::ReadOnlyBuffer => "buffer is shared or static: it can be sent, not received into",
            Self::Unsupported => "not supported by this backend or kernel",
            Self::InvalidInput => "argument out of range",
            Self::EndOfStream => "the end came before all that was to be read",
            Self::Deadlock => "nothing could ever end the wait",
            Self::NotResolved => "the name of the host has no address, or nobody could be asked for it",
            Self::Panicked => "what was done for the operation on a thread of the pool has panicked",
            Self::Backend => "the backend broke a rule of its trait",
            Self::System(_) => "system error",
        }
    }
}

/// The variant's name; of the system's errors, also what the number means, since this is what a program that ends with
/// an error prints.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Canceled => "Canceled",
            Self::TimedOut => "TimedOut",
            Self::StaleHandle => "StaleHandle",
            Self::NotFound => "NotFound",
            Self::Busy => "Busy",
            Self::Full => "Full",
            Self::NoBuffers => "NoBuffers",
            Self::ReadOnlyBuffer => "ReadOnlyBuffer",
            Self::Unsupported => "Unsupported",
            Self::InvalidInput => "InvalidInput",
            Self::EndOfStream => "EndOfStream",
            Self::Deadlock => "Deadlock",
            Self::NotResolved => "NotResolved",
            Self::Panicked => "Panicked",
            Self::Backend => "Backend",
            Self::System(number) => {
                let meaning = io::Error::from_raw_os_error(*number).to_string();
                return f.debug_tuple("System").field(number).field(&meaning).finish();
            }
        };
        f.write_str(name)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(number) => io::Error::from_raw_os_error(*number).fmt(f),
            other => f.write_str(other.message()),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::System(number) => Self::from_raw_os_error(number),
            other => Self::new(other.kind(), other),
        }
    }
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Self::from_errno(errno)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_number_and_the_kind() {
        let error = Error::from_errno(Errno::CONNREFUSED);
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let converted = io::Error::from(error);
        assert_eq!(converted.raw_os_error(), Some(Errno::CONNREFUSED.raw_os_error()));
        assert_eq!(io::Error::from(Error::TimedOut).kind(), io::ErrorKind::TimedOut);
        assert_eq!(io::Error::from(Error::EndOfStream).kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn says_what_a_number_means() {
        let shown = format!("{:?}", Error::from_errno(Errno::CONNREFUSED));
        assert!(shown.starts_with("System(") && shown.contains("refused"), "{shown}");
        assert_eq!(format!("{:?}", Error::Canceled), "Canceled");
    }

    #[test]
    fn only_what_passes_by_itself_is_transient() {
        assert!(Error::from_errno(Errno::MFILE).is_transient());
        assert!(Error::Full.is_transient());
        assert!(!Error::Canceled.is_transient());
        assert!(!Error::from_errno(Errno::CONNREFUSED).is_transient());
    }

    #[test]
    fn is_small() {
        assert!(size_of::<Error>() <= 8);
        assert!(size_of::<Result<usize, Error>>() <= 16);
    }
}
