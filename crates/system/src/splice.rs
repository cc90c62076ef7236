//! Between a pipe and another stream, within the kernel.
//!
//! splice(2) does not wait for a pipe where it is told so; for a socket it does unless that is [nonblocking](crate::Mode). That it
//! would wait does not say for which of the two, which poll(2) does then.
//!
//! io_uring has an operation for the same. It is done by a thread of the kernel's own whether or not it has to wait, and holds
//! that thread for as long as it does; on descriptors that do not block it answers as the system call does, and somebody has
//! to wait for the right one all the same. So its backend has the ring wait, and makes the call itself.

use std::os::fd::BorrowedFd;

use proactor_core::{Error, Outcome};
use rustix::io::Errno;

use crate::{DescriptorKind, Transport};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod none;

#[cfg(target_os = "linux")]
pub(crate) use linux::can_splice;
#[cfg(target_os = "linux")]
use linux::transfer;
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) use none::can_splice;
#[cfg(not(target_os = "linux"))]
use none::transfer;

/// How far a [`Splice`](proactor_core::Splice) has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpliceStep {
    /// To its end: the result is filled in.
    Decided,
    /// It waits until there is something to read, until there is room to write, or for both.
    Waits {
        /// Whether there is nothing to read.
        reads: bool,
        /// Whether there is no room to write.
        writes: bool,
    },
    /// While it was looked at, things have changed, more than once: others have their turn first.
    Unsettled,
}

/// How often it is tried again where it would have to wait, and then would not.
const ATTEMPTS: usize = 4;

/// Whether such a descriptor may be one of the two.
///
/// # Errors
/// `EINVAL` of a file, whose bytes have positions and a disk to wait for; [`Error::Unsupported`] of a socket that carries
/// messages.
pub fn check_to_splice(kind: DescriptorKind) -> Result<(), Error> {
    match kind {
        DescriptorKind::File | DescriptorKind::Directory => Err(Errno::INVAL.into()),
        DescriptorKind::Socket(Transport::Udp | Transport::Messages | Transport::LocalMessages) => {
            Err(Error::Unsupported)
        }
        DescriptorKind::Socket(_) | DescriptorKind::Character | DescriptorKind::Other => Ok(()),
    }
}

/// Moves what there is, without waiting if those of the two that are sockets are [nonblocking](crate::Mode::Nonblocking).
/// Anything but a [`Splice`](proactor_core::Splice) is decided at once, with [`Error::Unsupported`].
pub fn splice(outcome: &mut Outcome, from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> SpliceStep {
    let Outcome::Splice(spliced) = outcome else {
        outcome.set_error(Error::Unsupported);
        return SpliceStep::Decided;
    };
    for _ in 0..ATTEMPTS {
        match transfer(from, to, spliced.len) {
            Err(Errno::AGAIN) => match waits(from, to) {
                Ok(SpliceStep::Unsettled) => {}
                Ok(step) => return step,
                Err(error) => {
                    spliced.result = Err(error);
                    return SpliceStep::Decided;
                }
            },
            Err(Errno::INTR) => {}
            result => {
                spliced.result = result.map_err(Error::from);
                return SpliceStep::Decided;
            }
        }
    }
    SpliceStep::Unsettled
}

/// What it has to wait for. An end, or an error, is none of that: the next attempt tells it.
#[cfg(unix)]
fn waits(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<SpliceStep, Error> {
    use proactor_core::Interest;

    let reads = crate::poll_now(from, Interest::READABLE)?.is_none();
    let writes = crate::poll_now(to, Interest::WRITABLE)?.is_none();
    Ok(if reads || writes { SpliceStep::Waits { reads, writes } } else { SpliceStep::Unsettled })
}

/// Nothing is ever waited for where nothing is moved.
#[cfg(not(unix))]
fn waits(_from: BorrowedFd<'_>, _to: BorrowedFd<'_>) -> Result<SpliceStep, Error> {
    Ok(SpliceStep::Unsettled)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use proactor_core::{Done, Operation, Splice};
    use rustix::pipe::pipe;

    use super::*;
    use crate::{Mode, set_mode};

    /// The parts of one. No handle is looked at here.
    fn outcome(len: u64) -> Outcome {
        let handle = Done::new().new_handle();
        Operation::Splice(Splice { from: handle, to: handle, len }).fail(Error::Backend)
    }

    #[track_caller]
    fn assert_moves(from: &impl AsFd, to: &impl AsFd, len: u64, expected: Result<u64, Error>) {
        let mut outcome = outcome(len);
        assert_eq!(splice(&mut outcome, from.as_fd(), to.as_fd()), SpliceStep::Decided);
        let Outcome::Splice(spliced) = outcome else { unreachable!() };
        assert_eq!(spliced.result, expected);
    }

    #[track_caller]
    fn assert_waits(from: &impl AsFd, to: &impl AsFd, reads: bool, writes: bool) {
        let step = splice(&mut outcome(u64::MAX), from.as_fd(), to.as_fd());
        assert_eq!(step, SpliceStep::Waits { reads, writes });
    }

    #[test]
    fn it_tells_for_which_of_the_two_it_would_wait() {
        let (from, mut source) = pipe().map(|(from, to)| (from, File::from(to))).unwrap();
        let (mut sink, to) = pipe().map(|(from, to)| (File::from(from), to)).unwrap();
        assert_waits(&from, &to, true, false);
        source.write_all(b"bytes").unwrap();
        assert_moves(&from, &to, u64::MAX, Ok(5));
        assert_waits(&from, &to, true, false);
        // A pipe is full when it has sixteen pieces, however small.
        for _ in 0..15 {
            source.write_all(b".").unwrap();
            assert_moves(&from, &to, 1, Ok(1));
        }
        source.write_all(b"more").unwrap();
        assert_waits(&from, &to, false, true);
        let mut arrived = [0; 20];
        sink.read_exact(&mut arrived).unwrap();
        assert_eq!(&arrived, b"bytes...............");
        assert_moves(&from, &to, 3, Ok(3));
        drop(source);
        assert_moves(&from, &to, 3, Ok(1));
        assert_moves(&from, &to, 3, Ok(0));
    }

    #[test]
    fn a_socket_is_either_end() {
        let (near, mut far) = UnixStream::pair().unwrap();
        set_mode(near.as_fd(), Mode::Nonblocking).unwrap();
        let (from, to) = pipe().unwrap();
        assert_waits(&near, &to, true, false);
        assert_waits(&from, &near, true, false);
        far.write_all(b"there").unwrap();
        assert_moves(&near, &to, u64::MAX, Ok(5));
        assert_moves(&from, &near, u64::MAX, Ok(5));
        let mut arrived = [0; 5];
        far.read_exact(&mut arrived).unwrap();
        assert_eq!(&arrived, b"there");
        assert_moves(&near, &near, 1, Err(Errno::INVAL.into()));
        drop(far);
        assert_moves(&near, &to, 1, Ok(0));
        rustix::io::write(&to, b"x").unwrap();
        assert_moves(&from, &near, 1, Err(Errno::PIPE.into()));
    }

    #[test]
    fn other_operations_are_refused() {
        let (from, to) = pipe().unwrap();
        let mut nop = Outcome::Nop(proactor_core::NopDone { result: Ok(()) });
        assert_eq!(splice(&mut nop, from.as_fd(), to.as_fd()), SpliceStep::Decided);
        assert_eq!(nop.error(), Some(Error::Unsupported));
        assert!(can_splice());
    }
}
