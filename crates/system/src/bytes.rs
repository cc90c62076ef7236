//! Bytes in a row, of descriptors that are no sockets.

use std::os::fd::BorrowedFd;
use std::task::Poll;

use proactor_core::Error;

use crate::MAX_TRANSFER;
use crate::call::attempt;

/// Whether [`read`] and [`write`](write()) ask before they would wait, where a descriptor is blocking: they need not, it can always be
/// made non-blocking.
pub const ASKS_FIRST: bool = false;

/// Reads what there is into `bytes`, of which at most [`MAX_TRANSFER`] are used, at the descriptor's own position. It does
/// not wait if the descriptor is [nonblocking](crate::Mode::Nonblocking), or has nothing to wait for.
///
/// # Errors
/// What the system said.
pub fn read(descriptor: BorrowedFd<'_>, bytes: &mut [u8]) -> Poll<Result<usize, Error>> {
    let len = bytes.len().min(MAX_TRANSFER);
    let bytes = &mut bytes[..len];
    attempt(|| rustix::io::read(descriptor, &mut *bytes))
}

/// Writes what is taken of the first [`MAX_TRANSFER`] of `bytes`, at the descriptor's own position. As with [`read`], the
/// mode decides whether it waits. Where nobody reads a pipe any more, the system raises SIGPIPE as well.
///
/// # Errors
/// What the system said.
pub fn write(descriptor: BorrowedFd<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
    let bytes = &bytes[..bytes.len().min(MAX_TRANSFER)];
    attempt(|| rustix::io::write(descriptor, bytes))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::io::Errno;

    use super::*;
    use crate::{Mode, set_mode};

    #[test]
    fn a_pipe_carries_bytes_to_its_end() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        set_mode(reader.as_fd(), Mode::Nonblocking).unwrap();
        let mut bytes = [0; 8];
        assert_eq!(read(reader.as_fd(), &mut bytes), Poll::Pending);
        assert_eq!(write(writer.as_fd(), b"hello"), Poll::Ready(Ok(5)));
        assert_eq!(read(reader.as_fd(), &mut bytes), Poll::Ready(Ok(5)));
        assert_eq!(&bytes[..5], b"hello");
        drop(writer);
        assert_eq!(read(reader.as_fd(), &mut bytes), Poll::Ready(Ok(0)));
    }

    #[test]
    fn a_full_pipe_is_pending_and_one_without_readers_fails() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        set_mode(writer.as_fd(), Mode::Nonblocking).unwrap();
        while write(writer.as_fd(), &[0; 4096]).is_ready() {}
        drop(reader);
        assert_eq!(write(writer.as_fd(), b"x"), Poll::Ready(Err(Errno::PIPE.into())));
    }
}
