//! Operations on bytes in a row, whatever they come from: what is asked, and what comes back.

use crate::operation::{Direction, OneShot, Target, UNDECIDED, submission};
use crate::outcome::error_of_result;
use crate::{Buffer, Error, Handle};

/// Reads what there is, at least one byte, into the buffer's range: of a pipe, a terminal, another device, a socket, a
/// regular file. FIFO with the handle's other reads and receives (contract H3).
///
/// The descriptor's own position is used and moved, where it has one. On a socket it is a [`Recv`](crate::Recv). What the
/// system cannot wait for, a regular file above all, is read at once, and the loop's thread waits for the disk where the
/// backend has nothing better (contract H4); a directory is the system's error.
///
/// While the loop has a pipe, a terminal or another device that it has read or written, O_NONBLOCK is set on it, which
/// all who share it see; it is as it was once the handle is detached or closed, or the loop is dropped (contract H5), not
/// when the process exits before. Standard input, output and error of a terminal are mostly one: while the loop reads it,
/// `println!` may find no room there, and panic. A description of its own avoids that, from opening `/dev/tty`, and so does
/// writing with [`WriteAll`].
///
/// The end is `Ok(0)`: a file's, that of a pipe without writers, that of a socket's stream. A terminal whose other side
/// was closed answers EIO on Linux.
#[derive(Debug)]
pub struct Read {
    /// Something to read.
    pub handle: Handle,
    /// Filled from its range's start; an empty range completes with zero in its place in the queue (contract R1).
    pub buffer: Buffer,
}

/// Reads until the whole of the buffer's range is filled, as [`Read`] does it. FIFO with the handle's other reads and
/// receives, which get nothing in between.
///
/// Where the end comes first, it is [`Error::EndOfStream`]. Whatever ends it early, what was read until then is in the
/// buffer, and [`ExactRead::transferred`] tells how much that is.
#[derive(Debug)]
pub struct ReadExact {
    /// Something to read.
    pub handle: Handle,
    /// Its range is filled; an empty one completes at once in its place in the queue.
    pub buffer: Buffer,
}

/// Writes from the buffer's range as much as the system takes at once: to a pipe, a terminal, another device, a socket,
/// a regular file. FIFO with the handle's other writes and sends (contract H3).
///
/// The descriptor's own position is used and moved, where it has one. On a socket it is a [`Send`](crate::Send), and a
/// peer that is gone raises no signal. A pipe that nobody reads any more is EPIPE; the system raises SIGPIPE there too,
/// which ends a program that does not ignore it, as programs in Rust do from the start (contract R3).
///
/// Of O_NONBLOCK and of what cannot be waited for, the same holds as for [`Read`].
#[derive(Debug)]
pub struct Write {
    /// Something to write to.
    pub handle: Handle,
    /// Its range is written.
    pub buffer: Buffer,
}

/// Writes the whole of the buffer's range, as [`Write`] does it. FIFO with the handle's other writes and sends, whose
/// bytes it does not mix with.
#[derive(Debug)]
pub struct WriteAll {
    /// Something to write to.
    pub handle: Handle,
    /// Its range is written.
    pub buffer: Buffer,
}

/// How a [`Read`](crate::Read) went.
#[derive(Debug)]
pub struct BytesRead {
    /// What was read.
    pub handle: Handle,
    /// The buffer, its range as it was given.
    pub buffer: Buffer,
    /// How many bytes were written from its range's start on; zero at the end.
    pub result: Result<usize, Error>,
}

/// How a [`ReadExact`](crate::ReadExact) went.
#[derive(Debug)]
pub struct ExactRead {
    /// What was read.
    pub handle: Handle,
    /// The buffer, its range as it was given.
    pub buffer: Buffer,
    /// How many bytes were written from its range's start on, also when it failed or was cancelled.
    pub transferred: usize,
    /// `Ok` if the range is filled; [`Error::EndOfStream`] if the end came first.
    pub result: Result<(), Error>,
}

/// How a [`Write`](crate::Write) went.
#[derive(Debug)]
pub struct Written {
    /// What was written to.
    pub handle: Handle,
    /// The buffer, its range as it was given.
    pub buffer: Buffer,
    /// How many bytes were taken from its range's start on.
    pub result: Result<usize, Error>,
}

/// How a [`WriteAll`](crate::WriteAll) went.
#[derive(Debug)]
pub struct WrittenAll {
    /// What was written to.
    pub handle: Handle,
    /// The buffer, its range as it was given.
    pub buffer: Buffer,
    /// How many bytes the system took, also when it failed or was cancelled.
    pub transferred: usize,
    /// `Ok` if it took all.
    pub result: Result<(), Error>,
}

submission!(Read => BytesRead, Read, |this| Target::Stream(this.handle, Direction::Read), |this| {
    BytesRead { handle: this.handle, buffer: this.buffer, result: Err(UNDECIDED) }
});
submission!(ReadExact => ExactRead, ReadExact, |this| Target::Stream(this.handle, Direction::Read), |this| {
    ExactRead { handle: this.handle, buffer: this.buffer, transferred: 0, result: Err(UNDECIDED) }
});
submission!(Write => Written, Write, |this| Target::Stream(this.handle, Direction::Write), |this| {
    Written { handle: this.handle, buffer: this.buffer, result: Err(UNDECIDED) }
});
submission!(WriteAll => WrittenAll, WriteAll, |this| Target::Stream(this.handle, Direction::Write), |this| {
    WrittenAll { handle: this.handle, buffer: this.buffer, transferred: 0, result: Err(UNDECIDED) }
});

impl OneShot for Read {}
impl OneShot for ReadExact {}
impl OneShot for Write {}
impl OneShot for WriteAll {}

error_of_result!(BytesRead, ExactRead, Written, WrittenAll);
