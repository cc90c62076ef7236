//! Operations on files: what is asked, and what comes back.

use crate::operation::{Direction, OneShot, Operation, Target, UNDECIDED, submission};
use crate::outcome::error_of_result;
use crate::path::FilePath;
use crate::{Buffer, Error, Handle, Kind, Outcome};

/// Opens a file or a directory.
///
/// On a thread of the pool, or inside the kernel, where the backend has such: a name server or a pipe without a writer
/// holds up this operation, not the loop.
#[derive(Debug)]
pub struct OpenAt {
    /// What a relative path is relative to; the current directory if there is none.
    pub directory: Option<Handle>,
    /// The file's path. With a NUL in it: [`Error::InvalidInput`].
    pub path: FilePath,
    /// How it is opened.
    pub options: OpenOptions,
}

/// How a file is opened: for what, and what is done where it exists or does not.
///
/// ```
/// use proactor_core::{Create, OpenOptions};
/// let log = OpenOptions::write().create(Create::IfMissing).append();
/// assert!(log.append && !log.truncate);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct OpenOptions {
    /// For what.
    pub access: Access,
    /// Whether it may be made.
    pub create: Create,
    /// Whether what is in it goes.
    pub truncate: bool,
    /// Whether each write goes to its end, whatever its offset.
    pub append: bool,
    /// Whether anything but a directory is an error.
    pub directory: bool,
    /// Whether transfers go past the system's cache (`O_DIRECT`): buffers, offsets and lengths have to be aligned as the
    /// disk wants them, see [`Buffer::aligned`].
    pub direct: bool,
    /// The permissions of a file that is made, less those that the process's mask takes away; 0o644 unless set.
    pub mode: u32,
}

/// For what a file is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Both.
    ReadWrite,
}

/// What an [`OpenAt`] does where the file does not exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Create {
    /// It fails.
    Never,
    /// It makes the file.
    IfMissing,
    /// It makes the file, and fails where there is one.
    New,
}

impl OpenOptions {
    /// With this access, and nothing else.
    #[must_use]
    pub const fn new(access: Access) -> Self {
        Self {
            access,
            create: Create::Never,
            truncate: false,
            append: false,
            directory: false,
            direct: false,
            mode: 0o644,
        }
    }

    /// For reading.
    #[must_use]
    pub const fn read() -> Self {
        Self::new(Access::Read)
    }

    /// For writing.
    #[must_use]
    pub const fn write() -> Self {
        Self::new(Access::Write)
    }

    /// For both.
    #[must_use]
    pub const fn read_write() -> Self {
        Self::new(Access::ReadWrite)
    }

    /// Sets [`create`](Self::create).
    #[must_use]
    pub const fn create(mut self, create: Create) -> Self {
        self.create = create;
        self
    }

    /// Sets [`truncate`](Self::truncate).
    #[must_use]
    pub const fn truncate(mut self) -> Self {
        self.truncate = true;
        self
    }

    /// Sets [`append`](Self::append).
    #[must_use]
    pub const fn append(mut self) -> Self {
        self.append = true;
        self
    }

    /// Sets [`directory`](Self::directory).
    #[must_use]
    pub const fn directory(mut self) -> Self {
        self.directory = true;
        self
    }

    /// Sets [`direct`](Self::direct).
    #[must_use]
    pub const fn direct(mut self) -> Self {
        self.direct = true;
        self
    }

    /// Sets [`mode`](Self::mode).
    #[must_use]
    pub const fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }
}

/// Reads at a position, into the buffer's range. Unordered: any number may be under way on one handle, and they end as
/// they come (contract H3). The file's own position is neither used nor moved.
#[derive(Debug)]
pub struct ReadAt {
    /// A file, or a device that has positions; of one that has none, `ESPIPE`.
    pub handle: Handle,
    /// Filled from its range's start; an empty range completes with zero.
    pub buffer: Buffer,
    /// Where, in bytes from the file's start. With the length of the buffer's range, up to `i64::MAX`; beyond that
    /// [`Error::InvalidInput`].
    pub offset: u64,
}

/// Writes the buffer's range at a position. Unordered, as [`ReadAt`]: of two that overlap, either may come last.
#[derive(Debug)]
pub struct WriteAt {
    /// A file that was opened for writing, or a device that has positions; of one that has none, `ESPIPE`.
    pub handle: Handle,
    /// Its range is written.
    pub buffer: Buffer,
    /// Where, in bytes from the file's start. With the length of the buffer's range, up to `i64::MAX`; beyond that
    /// [`Error::InvalidInput`]. A file that was opened to [`append`](OpenOptions::append) is written at its end instead.
    pub offset: u64,
}

/// Has what was written to a file stored: its bytes and all that is known of it. Covers the writes whose outcome was
/// delivered before this was submitted (contract H3).
#[derive(Debug)]
pub struct Fsync {
    /// A file or a directory.
    pub handle: Handle,
}

/// As [`Fsync`], but only what reading the bytes back needs: not, for example, when they were written.
#[derive(Debug)]
pub struct Fdatasync {
    /// A file or a directory.
    pub handle: Handle,
}

/// Makes a file this long: cuts it, or adds zeros.
#[derive(Debug)]
pub struct Truncate {
    /// A file that was opened for writing.
    pub handle: Handle,
    /// In bytes; up to `i64::MAX`, beyond that [`Error::InvalidInput`].
    pub len: u64,
}

/// Has the system find room for a range of a file, so that writing there cannot fail for want of it. Where the range
/// ends behind the file, the file grows; what is new reads as zeros.
#[derive(Debug)]
pub struct Allocate {
    /// A file that was opened for writing.
    pub handle: Handle,
    /// Where the range begins, in bytes.
    pub offset: u64,
    /// How long it is, in bytes, at least one. Offset and length together go up to `i64::MAX`; what is out of these
    /// ranges is [`Error::InvalidInput`].
    pub len: u64,
}

/// How an [`OpenAt`](crate::OpenAt) went.
#[derive(Debug)]
pub struct Opened {
    /// What a relative path was relative to.
    pub directory: Option<Handle>,
    /// The path.
    pub path: FilePath,
    /// How it was to be opened.
    pub options: OpenOptions,
    /// The file, owned by the loop.
    pub result: Result<Handle, Error>,
}

/// How a [`ReadAt`](crate::ReadAt) went.
#[derive(Debug)]
pub struct ReadAtDone {
    /// The file.
    pub handle: Handle,
    /// The buffer, its range as it was given.
    pub buffer: Buffer,
    /// Where.
    pub offset: u64,
    /// How many bytes were written from its range's start on; zero at the end of the file.
    pub result: Result<usize, Error>,
}

/// How a [`WriteAt`](crate::WriteAt) went.
#[derive(Debug)]
pub struct WriteAtDone {
    /// The file.
    pub handle: Handle,
    /// The buffer, its range as it was given.
    pub buffer: Buffer,
    /// Where.
    pub offset: u64,
    /// How many bytes were taken from its range's start on.
    pub result: Result<usize, Error>,
}

/// How an [`Fsync`](crate::Fsync) went.
#[derive(Debug)]
pub struct Fsynced {
    /// The file.
    pub handle: Handle,
    /// Stored, or not.
    pub result: Result<(), Error>,
}

/// How an [`Fdatasync`](crate::Fdatasync) went.
#[derive(Debug)]
pub struct Fdatasynced {
    /// The file.
    pub handle: Handle,
    /// Stored, or not.
    pub result: Result<(), Error>,
}

/// How a [`Truncate`](crate::Truncate) went.
#[derive(Debug)]
pub struct Truncated {
    /// The file.
    pub handle: Handle,
    /// How long it was to be.
    pub len: u64,
    /// Done, or not.
    pub result: Result<(), Error>,
}

/// How an [`Allocate`](crate::Allocate) went.
#[derive(Debug)]
pub struct Allocated {
    /// The file.
    pub handle: Handle,
    /// Where the range begins.
    pub offset: u64,
    /// How long it is.
    pub len: u64,
    /// Done, or not.
    pub result: Result<(), Error>,
}

/// What an operation on paths uses: the directory that they are relative to, if it is a handle.
pub(crate) const fn within(directory: Option<Handle>) -> Target {
    match directory {
        Some(directory) => Target::Unordered(directory),
        None => Target::None,
    }
}

/// The largest position in a file, and the largest length.
const LAST: u64 = i64::MAX as u64;

/// What is wrong with a range.
pub(crate) const fn beyond(offset: u64, len: u64) -> Option<Error> {
    if offset > LAST || len > LAST - offset { Some(Error::InvalidInput) } else { None }
}

/// What is wrong with a range that has to be one.
const fn empty_or_beyond(offset: u64, len: u64) -> Option<Error> {
    if len == 0 { Some(Error::InvalidInput) } else { beyond(offset, len) }
}

submission!(OpenAt => Opened, OpenAt, |this| within(this.directory), |this| {
    Opened { directory: this.directory, path: this.path, options: this.options, result: Err(UNDECIDED) }
}, |this| this.path.as_c_str().err());
submission!(ReadAt => ReadAtDone, ReadAt, |this| Target::Unordered(this.handle), |this| {
    ReadAtDone { handle: this.handle, buffer: this.buffer, offset: this.offset, result: Err(UNDECIDED) }
}, |this| beyond(this.offset, this.buffer.len() as u64));
submission!(WriteAt => WriteAtDone, WriteAt, |this| Target::Unordered(this.handle), |this| {
    WriteAtDone { handle: this.handle, buffer: this.buffer, offset: this.offset, result: Err(UNDECIDED) }
}, |this| beyond(this.offset, this.buffer.len() as u64));
submission!(Fsync => Fsynced, Fsync, |this| Target::Unordered(this.handle), |this| {
    Fsynced { handle: this.handle, result: Err(UNDECIDED) }
});
submission!(Fdatasync => Fdatasynced, Fdatasync, |this| Target::Unordered(this.handle), |this| {
    Fdatasynced { handle: this.handle, result: Err(UNDECIDED) }
});
submission!(Truncate => Truncated, Truncate, |this| Target::Unordered(this.handle), |this| {
    Truncated { handle: this.handle, len: this.len, result: Err(UNDECIDED) }
}, |this| beyond(0, this.len));
submission!(Allocate => Allocated, Allocate, |this| Target::Unordered(this.handle), |this| {
    Allocated { handle: this.handle, offset: this.offset, len: this.len, result: Err(UNDECIDED) }
}, |this| empty_or_beyond(this.offset, this.len));

impl OneShot for OpenAt {}
impl OneShot for ReadAt {}
impl OneShot for WriteAt {}
impl OneShot for Fsync {}
impl OneShot for Fdatasync {}
impl OneShot for Truncate {}
impl OneShot for Allocate {}

error_of_result!(Opened, ReadAtDone, WriteAtDone, Fsynced, Fdatasynced, Truncated, Allocated);

/// An operation of a kind of this file, or of those on names, with nothing in it: what is left to be said of one whose parts the
/// backend has lost. None for other kinds.
pub(crate) fn hollow(kind: Kind, handle: Handle) -> Option<Operation> {
    let (directory, buffer) = (None, Buffer::default());
    let operation = match kind {
        Kind::OpenAt => {
            let options = OpenOptions::read();
            Operation::OpenAt(OpenAt { directory, path: FilePath::default(), options })
        }
        Kind::ReadAt => Operation::ReadAt(ReadAt { handle, buffer, offset: 0 }),
        Kind::WriteAt => Operation::WriteAt(WriteAt { handle, buffer, offset: 0 }),
        Kind::Fsync => Operation::Fsync(Fsync { handle }),
        Kind::Fdatasync => Operation::Fdatasync(Fdatasync { handle }),
        Kind::Truncate => Operation::Truncate(Truncate { handle, len: 0 }),
        Kind::Allocate => Operation::Allocate(Allocate { handle, offset: 0, len: 0 }),
        kind => return crate::names::hollow(kind),
    };
    Some(operation)
}

/// Back into the operation; the outcome as it is if it is of no kind of this file.
pub(crate) fn back(outcome: Outcome) -> Result<Operation, Outcome> {
    Ok(match outcome {
        Outcome::OpenAt(Opened { directory, path, options, .. }) => {
            Operation::OpenAt(OpenAt { directory, path, options })
        }
        Outcome::ReadAt(ReadAtDone { handle, buffer, offset, .. }) => {
            Operation::ReadAt(ReadAt { handle, buffer, offset })
        }
        Outcome::WriteAt(WriteAtDone { handle, buffer, offset, .. }) => {
            Operation::WriteAt(WriteAt { handle, buffer, offset })
        }
        Outcome::Fsync(Fsynced { handle, .. }) => Operation::Fsync(Fsync { handle }),
        Outcome::Fdatasync(Fdatasynced { handle, .. }) => Operation::Fdatasync(Fdatasync { handle }),
        Outcome::Truncate(Truncated { handle, len, .. }) => Operation::Truncate(Truncate { handle, len }),
        Outcome::Allocate(Allocated { handle, offset, len, .. }) => {
            Operation::Allocate(Allocate { handle, offset, len })
        }
        other => return crate::names::back(other),
    })
}

impl Outcome {
    /// What an operation on a file or a name uses: a handle ([`Target::Unordered`], or [`Target::Stream`] where there is an
    /// order), or none ([`Target::None`]). None if it is something else.
    #[must_use]
    pub const fn file_target(&self) -> Option<Target> {
        use crate::directory::DirRead;
        use crate::names::{DirMade, DirRemoved, Linked, Renamed, StatxDone, Symlinked, Unlinked};
        use crate::vectored::{
            ReadVectoredAtDone, ReadVectoredExactAtDone, WriteVectoredAllAtDone, WriteVectoredAtDone,
        };
        Some(match self {
            Self::ReadAt(ReadAtDone { handle, .. })
            | Self::WriteAt(WriteAtDone { handle, .. })
            | Self::Fsync(Fsynced { handle, .. })
            | Self::Fdatasync(Fdatasynced { handle, .. })
            | Self::Truncate(Truncated { handle, .. })
            | Self::Allocate(Allocated { handle, .. })
            | Self::ReadVectoredAt(ReadVectoredAtDone { handle, .. })
            | Self::ReadVectoredExactAt(ReadVectoredExactAtDone { handle, .. })
            | Self::WriteVectoredAt(WriteVectoredAtDone { handle, .. })
            | Self::WriteVectoredAllAt(WriteVectoredAllAtDone { handle, .. }) => Target::Unordered(*handle),
            Self::ReadDir(DirRead { handle, .. }) => Target::Stream(*handle, Direction::Read),
            Self::OpenAt(Opened { directory, .. })
            | Self::Statx(StatxDone { handle: directory, .. })
            | Self::Rename(Renamed { directory, .. })
            | Self::Link(Linked { directory, .. })
            | Self::Symlink(Symlinked { directory, .. })
            | Self::Unlink(Unlinked { directory, .. })
            | Self::MakeDir(DirMade { directory, .. })
            | Self::RemoveDir(DirRemoved { directory, .. }) => within(*directory),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_end_where_a_file_can() {
        assert_eq!((beyond(LAST, 0), beyond(LAST, 1)), (None, Some(Error::InvalidInput)));
        assert_eq!((beyond(0, LAST), beyond(0, LAST + 1)), (None, Some(Error::InvalidInput)));
        assert_eq!(empty_or_beyond(LAST - 1, 1), None);
        assert_eq!(empty_or_beyond(0, LAST), None);
        for (offset, len) in [(0, 0), (LAST, 1), (LAST + 1, 1), (1, LAST), (u64::MAX, u64::MAX)] {
            assert_eq!(empty_or_beyond(offset, len), Some(Error::InvalidInput), "{offset} {len}");
        }
    }
}
