//! From a file to a socket, in pieces: in the kernel where it can do that.

use std::os::fd::BorrowedFd;

use proactor_core::{Call, Error, FilePart, Job, Outcome};
use rustix::io::Errno;

use crate::vectored::Disk;
use crate::{DescriptorKind, Mode, set_mode};

#[cfg(not(any(target_os = "linux", target_os = "wasi")))]
mod bsd;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "wasi")]
mod wasi;

#[cfg(not(any(target_os = "linux", target_os = "wasi")))]
use bsd::{is_cached, takes_files, transfer};
#[cfg(target_os = "linux")]
use linux::{is_cached, takes_files, transfer};
#[cfg(target_os = "wasi")]
use wasi::{is_cached, takes_files, transfer};

/// Whether a file can be sent on such a descriptor: on a stream socket, and where the system knows how, into a pipe.
///
/// # Errors
/// `ENOTSOCK`; [`Error::Unsupported`] of a socket that carries messages, of which a file has none.
pub fn check_to_send_file(descriptor: BorrowedFd<'_>, kind: DescriptorKind) -> Result<(), Error> {
    match kind {
        DescriptorKind::Socket(transport) if transport.is_stream() => Ok(()),
        DescriptorKind::Socket(_) => Err(Error::Unsupported),
        DescriptorKind::Character if takes_files(descriptor) => Ok(()),
        _ => Err(Errno::NOTSOCK.into()),
    }
}

/// The most that one call sends: what the kernel reads ahead of a file that is read from front to back.
const PIECE: u64 = 128 << 10;

/// How many pieces are sent before others get their turn: 2 MiB.
const PIECES_PER_TURN: usize = 16;

/// How far a transfer from a file to a socket has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileSent {
    /// To its end: the result is filled in.
    Decided,
    /// The socket takes no more at present.
    Full,
    /// It can go on, but others have their turn first.
    Unfinished,
    /// The rest is not in the cache: only a thread of the pool can wait for it ([`send_file_job`]).
    OnDisk,
}

/// Sends what is left of a [`SendFile`](proactor_core::SendFile) or a [`SendFileAll`](proactor_core::SendFileAll), without
/// waiting if `socket` is [nonblocking](crate::Mode::Nonblocking). Anything else is decided at once, with
/// [`Error::Unsupported`].
pub fn send_file(outcome: &mut Outcome, socket: BorrowedFd<'_>, file: BorrowedFd<'_>) -> FileSent {
    send(outcome, socket, file, Disk::MustNot)
}

/// The job of such a transfer, on the socket first, then on the file: it reads what has to be read, and sends what the
/// socket takes. What is not [decided](is_decided) when it comes back is gone on with by [`send_file`].
///
/// A socket that may be blocking is made nonblocking for the time of the call alone.
#[must_use]
pub const fn send_file_job(socket: Mode) -> Job {
    Job::new(match socket {
        Mode::Blocking => |call: &mut Call<'_>| {
            let [Some(socket), _] = call.descriptors else { return };
            match set_mode(socket.as_fd(), Mode::Nonblocking) {
                Ok(before) => {
                    send_on_a_thread(call);
                    // As it went one way, it goes the other.
                    let _ = set_mode(socket.as_fd(), before);
                }
                Err(error) => call.outcome.set_error(error),
            }
        },
        Mode::Nonblocking => send_on_a_thread,
    })
}

fn send_on_a_thread(call: &mut Call<'_>) {
    let [Some(socket), Some(file)] = call.descriptors else { return };
    if send(call.outcome, socket.as_fd(), file.as_fd(), Disk::MayWait) != FileSent::Decided {
        call.outcome.set_error(UNFINISHED);
    }
}

/// No call ever ends with it, so a job says with it that it has not come to the end.
const UNFINISHED: Error = Error::System(Errno::AGAIN.raw_os_error());

/// Whether a job has come to the end of its transfer.
#[must_use]
pub fn is_decided(outcome: &Outcome) -> bool {
    let error = match outcome {
        Outcome::SendFile(sent) => sent.error(),
        Outcome::SendFileAll(sent) => sent.error(),
        _ => None,
    };
    error != Some(UNFINISHED)
}

fn send(outcome: &mut Outcome, socket: BorrowedFd<'_>, file: BorrowedFd<'_>, disk: Disk) -> FileSent {
    for _ in 0..PIECES_PER_TURN {
        let Some(FilePart { offset, left, .. }) = outcome.file_part() else {
            outcome.set_error(Error::Unsupported);
            return FileSent::Decided;
        };
        if left == 0 {
            outcome.file_part_ended();
            return FileSent::Decided;
        }
        let piece = left.min(PIECE);
        if disk == Disk::MustNot && !is_cached(file, offset, (piece, left)) {
            return FileSent::OnDisk;
        }
        let mut at = offset;
        match transfer(socket, file, &mut at, piece as usize) {
            // So far behind the end that no file there can be reaches it.
            Ok(0) | Err(Errno::OVERFLOW) => {
                outcome.file_part_ended();
                return FileSent::Decided;
            }
            Ok(count) if outcome.file_part_sent(count as u64) => return FileSent::Decided,
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return FileSent::Full,
            Err(errno) => {
                outcome.set_error(errno.into());
                return FileSent::Decided;
            }
        }
    }
    FileSent::Unfinished
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::net::UnixStream;

    use proactor_core::{Done, Operation, SendFileAll};

    use super::*;

    /// What there is to send from, with its bytes.
    fn program() -> (OwnedFd, Vec<u8>) {
        let path = std::env::current_exe().unwrap();
        let mut bytes = vec![0; 3 << 20];
        File::open(&path).unwrap().read_exact(&mut bytes).unwrap();
        (File::open(path).unwrap().into(), bytes)
    }

    /// The parts of a transfer. No handle is looked at here.
    fn outcome(offset: u64, len: u64) -> Outcome {
        let handle = Done::new().new_handle();
        Operation::SendFileAll(SendFileAll { handle, file: handle, offset, len }).fail(UNFINISHED)
    }

    #[test]
    fn it_stops_where_the_socket_is_full_and_goes_on_from_there() {
        let (file, bytes) = program();
        let (near, mut far) = UnixStream::pair().unwrap();
        set_mode(near.as_fd(), Mode::Nonblocking).unwrap();
        let mut outcome = outcome(5, 3_000_000);
        let mut arrived = Vec::new();
        let mut full = 0;
        loop {
            match send_file(&mut outcome, near.as_fd(), file.as_fd()) {
                FileSent::Decided => break,
                FileSent::Unfinished => {}
                // What is not in the cache is, when a thread has read it.
                FileSent::OnDisk => {
                    drop(File::open(std::env::current_exe().unwrap()).unwrap().read_to_end(&mut Vec::new()))
                }
                FileSent::Full => {
                    full += 1;
                    let mut piece = vec![0; 1 << 16];
                    let count = far.read(&mut piece).unwrap();
                    arrived.extend_from_slice(&piece[..count]);
                }
            }
        }
        assert!(full > 1);
        drop(near);
        far.read_to_end(&mut arrived).unwrap();
        assert!(arrived == bytes[5..][..3_000_000]);
        assert!(is_decided(&outcome));
        let Outcome::SendFileAll(sent) = outcome else { unreachable!() };
        assert_eq!((sent.result, sent.transferred), (Ok(()), 3_000_000));
    }

    #[test]
    fn a_job_that_has_not_come_to_the_end_says_so() {
        assert!(!is_decided(&outcome(0, 1)));
        let mut outcome = outcome(0, 0);
        let (near, _far) = UnixStream::pair().unwrap();
        assert_eq!(send_file(&mut outcome, near.as_fd(), near.as_fd()), FileSent::Decided);
        assert!(is_decided(&outcome));
        let mut nop = Outcome::Nop(proactor_core::NopDone { result: Ok(()) });
        assert_eq!(send_file(&mut nop, near.as_fd(), near.as_fd()), FileSent::Decided);
        assert!(matches!(nop, Outcome::Nop(done) if done.result == Err(Error::Unsupported)));
    }

    #[test]
    fn what_is_no_file_is_for_the_pool_to_find_out() {
        let (near, _far) = UnixStream::pair().unwrap();
        let (reader, _writer) = rustix::pipe::pipe().unwrap();
        for file in [File::open("/").unwrap().into(), reader] {
            let file: OwnedFd = file;
            let mut outcome = outcome(0, 10);
            assert_eq!(send_file(&mut outcome, near.as_fd(), file.as_fd()), FileSent::OnDisk);
            assert_eq!(send(&mut outcome, near.as_fd(), file.as_fd(), Disk::MayWait), FileSent::Decided);
            let Outcome::SendFileAll(sent) = outcome else { unreachable!() };
            let error = sent.result.unwrap_err();
            assert!(
                [Errno::INVAL, Errno::SPIPE, Errno::ISDIR].map(Error::from).contains(&error),
                "{error:?}"
            );
        }
    }
}
