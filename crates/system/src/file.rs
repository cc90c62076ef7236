//! Files and names: how the system is asked, and the calls that may wait for a disk.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use proactor_core::{
    Access, Call, Create, Error, FilePath, Job, OpenOptions, Opened, Outcome, ReadAtDone, WriteAtDone,
};
use rustix::fs::{self, AtFlags, CWD, Mode, OFlags, SeekFrom};
use rustix::io::Errno;

use crate::call::call;
use crate::vectored::do_vectored;
use crate::{MAX_TRANSFER, directory};

#[cfg(not(any(target_os = "linux", target_os = "wasi")))]
mod bsd;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "wasi")]
mod wasi;

#[cfg(not(any(target_os = "linux", target_os = "wasi")))]
use bsd::{DIRECT, allocate, fdatasync, fsync, statx};
#[cfg(not(any(target_os = "linux", target_os = "wasi")))]
pub use bsd::{is_direct, read_now, write_now};
#[cfg(not(any(target_os = "linux", target_os = "wasi")))]
pub(crate) use bsd::{read_pieces, write_pieces};
#[cfg(target_os = "linux")]
use rustix::fs::{fdatasync, fsync};

#[cfg(target_os = "linux")]
use linux::{DIRECT, allocate, statx};
#[cfg(target_os = "linux")]
pub use linux::{STATX_MASK, fill_metadata, is_direct, read_now, statx_flags, write_now};
#[cfg(target_os = "linux")]
pub(crate) use linux::{read_pieces, write_pieces};
#[cfg(target_os = "wasi")]
use wasi::{DIRECT, allocate, fdatasync, fsync, ftruncate, refusal, refusal_to_write, statx};
#[cfg(target_os = "wasi")]
pub use wasi::{is_direct, read_now, write_now};
#[cfg(target_os = "wasi")]
pub(crate) use wasi::{read_pieces, write_pieces};

#[cfg(unix)]
use rustix::fs::ftruncate;

/// What a transfer at a position was refused with, as it is.
#[cfg(unix)]
const fn refusal(_descriptor: BorrowedFd<'_>, errno: Errno) -> Errno {
    errno
}

/// What writing at a position was refused with, as it is.
#[cfg(unix)]
const fn refusal_to_write(_descriptor: BorrowedFd<'_>, errno: Errno) -> Errno {
    errno
}

/// How the system is told to open a file.
#[must_use]
pub fn open_flags(options: OpenOptions) -> (OFlags, Mode) {
    let mut flags = OFlags::CLOEXEC;
    flags |= match options.access {
        Access::Read => OFlags::RDONLY,
        Access::Write => OFlags::WRONLY,
        Access::ReadWrite => OFlags::RDWR,
    };
    flags |= match options.create {
        Create::Never => OFlags::empty(),
        Create::IfMissing => OFlags::CREATE,
        Create::New => OFlags::CREATE | OFlags::EXCL,
    };
    flags.set(OFlags::TRUNC, options.truncate);
    flags.set(OFlags::APPEND, options.append);
    flags.set(OFlags::DIRECTORY, options.directory);
    flags.set(DIRECT, options.direct);
    // The mode means nothing, and has to be nothing for some calls, where no file is made.
    let mode = if options.create == Create::Never { 0 } else { options.mode & 0o7777 };
    (flags, permissions(mode))
}

/// The permissions that a directory is made with.
#[must_use]
pub fn directory_mode(mode: u32) -> Mode {
    permissions(mode & 0o7777)
}

// As wide as the system has them; these bits are on all.
#[allow(clippy::unnecessary_cast)]
const fn permissions(mode: u32) -> Mode {
    Mode::from_raw_mode(mode as rustix::fs::RawMode)
}

#[cfg(unix)]
/// What the system says that a file is.
pub(crate) const fn file_type(told: fs::FileType) -> proactor_core::FileType {
    use proactor_core::FileType;
    match told {
        fs::FileType::RegularFile => FileType::File,
        fs::FileType::Directory => FileType::Directory,
        fs::FileType::Symlink => FileType::Symlink,
        fs::FileType::CharacterDevice => FileType::CharacterDevice,
        fs::FileType::BlockDevice => FileType::BlockDevice,
        fs::FileType::Fifo => FileType::Fifo,
        fs::FileType::Socket => FileType::Socket,
        _ => FileType::Other,
    }
}

/// Whether there are positions in what a descriptor refers to.
///
/// # Errors
/// `ESPIPE` if there are none: a pipe, a socket, a terminal.
pub fn check_positions(descriptor: BorrowedFd<'_>) -> Result<(), Error> {
    call(|| fs::seek(descriptor, SeekFrom::Current(0)).map_err(|errno| refusal(descriptor, errno))).map(drop)
}

/// What came of a transfer that was not to wait.
#[derive(Debug)]
pub enum Now {
    /// It is decided.
    Done(Result<usize, Error>),
    /// It would have to wait for the disk.
    WouldWait,
    /// The system cannot do it like this here.
    Unable,
}

impl Now {
    pub(crate) fn from(result: Result<usize, Errno>) -> Self {
        match result {
            Ok(count) => Self::Done(Ok(count)),
            Err(Errno::AGAIN) => Self::WouldWait,
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Self::Unable,
            Err(errno) => Self::Done(Err(errno.into())),
        }
    }
}

/// Does an operation on a file or a name, waiting for the disk where that has to be, and fills in its result.
/// `descriptor` is that of the handle which the operation names, if it names one. Returns the file that it has opened,
/// whose handle is still to be made.
///
/// What is no operation on a file or a name ends with [`Error::Unsupported`].
pub fn do_file(outcome: &mut Outcome, descriptor: Option<BorrowedFd<'_>>) -> Option<OwnedFd> {
    let at = descriptor.unwrap_or(CWD);
    match outcome {
        Outcome::OpenAt(opened) => match open(opened, at) {
            Ok(file) => return Some(file),
            Err(error) => opened.result = Err(error),
        },
        Outcome::ReadAt(done) => done.result = read_at(done, at),
        Outcome::WriteAt(done) => done.result = write_at(done, at),
        Outcome::Statx(done) => done.result = statx(done, at),
        Outcome::Fsync(done) => done.result = call(|| fsync(at)),
        Outcome::Fdatasync(done) => done.result = call(|| fdatasync(at)),
        Outcome::Truncate(done) => done.result = call(|| ftruncate(at, done.len)),
        Outcome::Allocate(done) => {
            done.result = call(|| allocate(at, done.offset, done.len));
        }
        Outcome::Rename(done) => {
            done.result = with_two(&done.from, &done.to, |from, to| fs::renameat(at, from, at, to));
        }
        Outcome::Link(done) => {
            done.result =
                with_two(&done.from, &done.to, |from, to| fs::linkat(at, from, at, to, AtFlags::empty()));
        }
        Outcome::Symlink(done) => {
            done.result = with_two(&done.target, &done.path, |target, path| fs::symlinkat(target, at, path));
        }
        Outcome::Unlink(done) => {
            done.result = with(&done.path, |path| fs::unlinkat(at, path, AtFlags::empty()));
        }
        Outcome::MakeDir(done) => {
            done.result = with(&done.path, |path| fs::mkdirat(at, path, directory_mode(done.mode)));
        }
        Outcome::RemoveDir(done) => {
            done.result = with(&done.path, |path| fs::unlinkat(at, path, AtFlags::REMOVEDIR));
        }
        Outcome::ReadDir(done) => done.result = directory::read(done, at),
        other => do_vectored(other, at),
    }
    None
}

/// The job of an operation on a file or a name, which [`do_file`] does on a thread of the pool: on the descriptor of the
/// handle that the operation names, if it names one. Brings the file that it has opened.
#[must_use]
pub const fn file_job() -> Job {
    Job::new(|call: &mut Call<'_>| {
        let descriptor = call.descriptors[0].map(AsFd::as_fd);
        *call.opened = do_file(call.outcome, descriptor);
    })
}

fn with<T>(path: &FilePath, mut make: impl FnMut(&CStr) -> Result<T, Errno>) -> Result<T, Error> {
    let path = path.as_c_str()?;
    call(|| make(path))
}

fn with_two(
    first: &FilePath,
    second: &FilePath,
    mut make: impl FnMut(&CStr, &CStr) -> Result<(), Errno>,
) -> Result<(), Error> {
    let (first, second) = (first.as_c_str()?, second.as_c_str()?);
    call(|| make(first, second))
}

fn open(opened: &Opened, at: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    let (flags, mode) = open_flags(opened.options);
    let file = with(&opened.path, |path| fs::openat(at, path, flags, mode))?;
    #[cfg(target_vendor = "apple")]
    if opened.options.direct {
        bsd::make_direct(file.as_fd())?;
    }
    Ok(file)
}

fn read_at(done: &mut ReadAtDone, descriptor: BorrowedFd<'_>) -> Result<usize, Error> {
    let offset = done.offset;
    let bytes = done.buffer.as_mut_slice()?;
    let len = bytes.len().min(MAX_TRANSFER);
    call(|| {
        rustix::io::pread(descriptor, &mut bytes[..len], offset).map_err(|errno| refusal(descriptor, errno))
    })
}

fn write_at(done: &WriteAtDone, descriptor: BorrowedFd<'_>) -> Result<usize, Error> {
    let len = done.buffer.len().min(MAX_TRANSFER);
    let bytes = &done.buffer[..len];
    let refusal = |errno| refusal_to_write(descriptor, errno);
    call(|| rustix::io::pwrite(descriptor, bytes, done.offset).map_err(refusal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_goes_along_only_where_a_file_may_be_made() {
        let (flags, mode) = open_flags(OpenOptions::read().directory());
        assert_eq!((flags, mode), (OFlags::CLOEXEC | OFlags::DIRECTORY, Mode::empty()));
        let options =
            OpenOptions::read_write().create(Create::New).truncate().append().direct().mode(0o170_640);
        let (flags, mode) = open_flags(options);
        let expected = OFlags::CREATE | OFlags::EXCL | OFlags::TRUNC | OFlags::APPEND | DIRECT | OFlags::RDWR;
        assert_eq!((flags, mode.as_raw_mode()), (expected | OFlags::CLOEXEC, 0o640));
    }

    #[test]
    fn what_is_no_file_is_unsupported() {
        let mut outcome = Outcome::Nop(proactor_core::NopDone { result: Ok(()) });
        assert!(do_file(&mut outcome, None).is_none());
        let Outcome::Nop(done) = outcome else { unreachable!() };
        assert_eq!(done.result, Err(Error::Unsupported));
    }

    #[test]
    fn a_pipe_has_no_positions() {
        let (reader, _writer) = rustix::pipe::pipe().unwrap();
        assert_eq!(check_positions(reader.as_fd()), Err(Errno::SPIPE.into()));
        assert_eq!(check_positions(std::fs::File::open("/dev/null").unwrap().as_fd()), Ok(()));
    }
}
