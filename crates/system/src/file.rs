//! Files and names: how the system is asked, and the calls that may wait for a disk.

use std::ffi::CStr;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, SystemTime};

use proactor_core::{
    Access, Call, Create, Error, FilePath, FileType, Job, Links, Metadata, OpenOptions, Opened, Outcome,
    ReadAtDone, StatxDone, WriteAtDone,
};
use rustix::fs::{
    self, AtFlags, CWD, FallocateFlags, Mode, OFlags, SeekFrom, Statx, StatxFlags, StatxTimestamp,
};
use rustix::io::{Errno, ReadWriteFlags};

use crate::call::call;
use crate::directory;
use crate::socket::MAX_TRANSFER;
use crate::vectored::do_vectored;

/// What a `statx` is asked for.
pub const STATX_MASK: StatxFlags = StatxFlags::BASIC_STATS.union(StatxFlags::BTIME);

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
    flags.set(OFlags::DIRECT, options.direct);
    // The mode means nothing, and has to be nothing for some calls, where no file is made.
    let mode = if options.create == Create::Never { 0 } else { options.mode & 0o7777 };
    (flags, Mode::from_raw_mode(mode))
}

/// The permissions that a directory is made with.
#[must_use]
pub fn directory_mode(mode: u32) -> Mode {
    Mode::from_raw_mode(mode & 0o7777)
}

/// How a `statx` is asked.
#[must_use]
pub fn statx_flags(asked: &StatxDone) -> AtFlags {
    let mut flags = AtFlags::empty();
    flags.set(AtFlags::EMPTY_PATH, asked.handle.is_some() && asked.path.is_empty());
    flags.set(AtFlags::SYMLINK_NOFOLLOW, asked.links == Links::Stay);
    flags
}

/// Writes down what the system knows of a file.
pub fn fill_metadata(known: &Statx, metadata: &mut Metadata) {
    let mode = Mode::from_raw_mode(known.stx_mode.into());
    metadata.file_type = file_type(fs::FileType::from_raw_mode(known.stx_mode.into()));
    metadata.mode = mode.as_raw_mode() & 0o7777;
    metadata.len = known.stx_size;
    metadata.blocks = known.stx_blocks;
    metadata.block_size = known.stx_blksize;
    metadata.links = known.stx_nlink;
    (metadata.owner, metadata.group) = (known.stx_uid, known.stx_gid);
    metadata.inode = known.stx_ino;
    metadata.device = (known.stx_dev_major, known.stx_dev_minor);
    metadata.accessed = time(&known.stx_atime);
    metadata.modified = time(&known.stx_mtime);
    metadata.changed = time(&known.stx_ctime);
    let knows_birth = StatxFlags::from_bits_retain(known.stx_mask).contains(StatxFlags::BTIME);
    metadata.created = knows_birth.then(|| time(&known.stx_btime));
}

/// What the system says that a file is.
pub(crate) const fn file_type(told: fs::FileType) -> FileType {
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

/// A time of the system's, which may be before 1970. What std has no room for, the system has no files from.
fn time(time: &StatxTimestamp) -> SystemTime {
    let seconds = Duration::from_secs(time.tv_sec.unsigned_abs());
    let epoch = SystemTime::UNIX_EPOCH;
    let whole = if time.tv_sec < 0 { epoch.checked_sub(seconds) } else { epoch.checked_add(seconds) };
    whole.unwrap_or(epoch) + Duration::from_nanos(time.tv_nsec.into())
}

/// Whether there are positions in what a descriptor refers to.
///
/// # Errors
/// `ESPIPE` if there are none: a pipe, a socket, a terminal.
pub fn check_positions(descriptor: BorrowedFd<'_>) -> Result<(), Error> {
    call(|| fs::seek(descriptor, SeekFrom::Current(0))).map(drop)
}

/// Whether transfers go past the system's cache.
///
/// # Errors
/// What the system said.
pub fn is_direct(descriptor: BorrowedFd<'_>) -> Result<bool, Error> {
    call(|| fs::fcntl_getfl(descriptor)).map(|flags| flags.contains(OFlags::DIRECT))
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

/// Reads at a position what is in the system's cache, all that was asked for or up to the end of the file.
pub fn read_now(descriptor: BorrowedFd<'_>, bytes: &mut [u8], offset: u64) -> Now {
    let len = bytes.len().min(MAX_TRANSFER);
    let mut read = 0;
    while read < len {
        let buffers = &mut [IoSliceMut::new(&mut bytes[read..len])];
        let at = offset + read as u64;
        match rustix::io::preadv2(descriptor, buffers, at, ReadWriteFlags::NOWAIT) {
            // The end. Less than was asked for may also be as much as the cache has.
            Ok(0) => break,
            Ok(count) => read += count,
            Err(Errno::INTR) => {}
            Err(errno) => return Now::from(Err(errno)),
        }
    }
    Now::Done(Ok(read))
}

/// Writes at a position to the system's cache.
pub fn write_now(descriptor: BorrowedFd<'_>, bytes: &[u8], offset: u64) -> Now {
    let buffers = &[IoSlice::new(&bytes[..bytes.len().min(MAX_TRANSFER)])];
    loop {
        match rustix::io::pwritev2(descriptor, buffers, offset, ReadWriteFlags::NOWAIT) {
            Err(Errno::INTR) => {}
            result => return Now::from(result),
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
        Outcome::Fsync(done) => done.result = call(|| fs::fsync(at)),
        Outcome::Fdatasync(done) => done.result = call(|| fs::fdatasync(at)),
        Outcome::Truncate(done) => done.result = call(|| fs::ftruncate(at, done.len)),
        Outcome::Allocate(done) => {
            done.result = call(|| fs::fallocate(at, FallocateFlags::empty(), done.offset, done.len));
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
    with(&opened.path, |path| fs::openat(at, path, flags, mode))
}

fn read_at(done: &mut ReadAtDone, descriptor: BorrowedFd<'_>) -> Result<usize, Error> {
    let offset = done.offset;
    let bytes = done.buffer.as_mut_slice()?;
    let len = bytes.len().min(MAX_TRANSFER);
    call(|| rustix::io::pread(descriptor, &mut bytes[..len], offset))
}

fn write_at(done: &WriteAtDone, descriptor: BorrowedFd<'_>) -> Result<usize, Error> {
    let len = done.buffer.len().min(MAX_TRANSFER);
    call(|| rustix::io::pwrite(descriptor, &done.buffer[..len], done.offset))
}

fn statx(done: &mut StatxDone, at: BorrowedFd<'_>) -> Result<(), Error> {
    let flags = statx_flags(done);
    let known = with(&done.path, |path| fs::statx(at, path, flags, STATX_MASK))?;
    fill_metadata(&known, &mut done.metadata);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timestamp(tv_sec: i64, tv_nsec: u32) -> SystemTime {
        // The type has no other constructor, so one is taken from the system and changed.
        let mut known = fs::statx(CWD, c"/", AtFlags::empty(), STATX_MASK).unwrap();
        (known.stx_mtime.tv_sec, known.stx_mtime.tv_nsec) = (tv_sec, tv_nsec);
        let mut metadata = Metadata::default();
        fill_metadata(&known, &mut metadata);
        assert_eq!(metadata.file_type, FileType::Directory);
        metadata.modified
    }

    #[test]
    fn times_before_1970_are_times() {
        let epoch = SystemTime::UNIX_EPOCH;
        assert_eq!(timestamp(1, 5), epoch + Duration::new(1, 5));
        assert_eq!(timestamp(-1, 999_999_999), epoch - Duration::from_nanos(1));
        assert_eq!(timestamp(i64::MIN, 0), epoch.checked_sub(Duration::from_secs(1 << 63)).unwrap_or(epoch));
    }

    #[test]
    fn a_mode_goes_along_only_where_a_file_may_be_made() {
        let (flags, mode) = open_flags(OpenOptions::read().directory());
        assert_eq!((flags, mode), (OFlags::CLOEXEC | OFlags::DIRECTORY, Mode::empty()));
        let options =
            OpenOptions::read_write().create(Create::New).truncate().append().direct().mode(0o170_640);
        let (flags, mode) = open_flags(options);
        let expected =
            OFlags::CREATE | OFlags::EXCL | OFlags::TRUNC | OFlags::APPEND | OFlags::DIRECT | OFlags::RDWR;
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
