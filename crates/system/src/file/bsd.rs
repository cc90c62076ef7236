//! Files on macOS and the BSDs: fstat(2), and no way to be told that a call would wait for the disk. So what is done at a
//! position is done by a thread of the pool.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;
use std::time::{Duration, SystemTime};

use proactor_core::{Error, Links, Metadata, StatxDone};
use rustix::fs::{self, AtFlags, OFlags, Stat};
use rustix::io::Errno;

use super::{Now, file_type, with};
use crate::call::call;
use crate::vectored::Disk;

/// Past the system's cache.
#[cfg(any(target_os = "freebsd", target_os = "netbsd"))]
pub(super) const DIRECT: OFlags = OFlags::DIRECT;

/// There is no such flag.
#[cfg(not(any(target_os = "freebsd", target_os = "netbsd")))]
pub(super) const DIRECT: OFlags = OFlags::empty();

/// Whether transfers go past the system's cache.
///
/// # Errors
/// What the system said.
pub fn is_direct(descriptor: BorrowedFd<'_>) -> Result<bool, Error> {
    call(|| fs::fcntl_getfl(descriptor)).map(|flags| flags.intersects(DIRECT))
}

/// Nothing reads without waiting for the disk.
pub fn read_now(_descriptor: BorrowedFd<'_>, _bytes: &mut [u8], _offset: u64) -> Now {
    Now::Unable
}

/// Nothing writes without waiting for the disk.
pub fn write_now(_descriptor: BorrowedFd<'_>, _bytes: &[u8], _offset: u64) -> Now {
    Now::Unable
}

/// Reads at a position into `pieces`.
pub(crate) fn read_pieces(
    descriptor: BorrowedFd<'_>,
    pieces: &mut [IoSliceMut<'_>],
    offset: u64,
    disk: Disk,
) -> Result<usize, Errno> {
    match disk {
        Disk::MayWait => rustix::io::preadv(descriptor, pieces, offset),
        Disk::MustNot => Err(Errno::OPNOTSUPP),
    }
}

/// Writes `pieces` at a position.
pub(crate) fn write_pieces(
    descriptor: BorrowedFd<'_>,
    pieces: &[IoSlice<'_>],
    offset: u64,
    disk: Disk,
) -> Result<usize, Errno> {
    match disk {
        Disk::MayWait => rustix::io::pwritev(descriptor, pieces, offset),
        Disk::MustNot => Err(Errno::OPNOTSUPP),
    }
}

#[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
pub(super) fn allocate(file: BorrowedFd<'_>, offset: u64, len: u64) -> Result<(), Errno> {
    fs::fallocate(file, fs::FallocateFlags::empty(), offset, len)
}

/// The others have no such call, or none that promises the space.
#[cfg(not(any(target_vendor = "apple", target_os = "freebsd")))]
pub(super) fn allocate(_file: BorrowedFd<'_>, _offset: u64, _len: u64) -> Result<(), Errno> {
    Err(Errno::OPNOTSUPP)
}

/// On macOS fsync(2) hands over to the disk, which may keep it in a cache of its own; some file systems know no more than that.
#[cfg(target_vendor = "apple")]
pub(super) fn fsync(file: BorrowedFd<'_>) -> Result<(), Errno> {
    match fs::fcntl_fullfsync(file) {
        Err(Errno::NOTSUP | Errno::OPNOTSUPP | Errno::NOTTY | Errno::INVAL) => fs::fsync(file),
        synced => synced,
    }
}

#[cfg(not(target_vendor = "apple"))]
pub(super) use rustix::fs::fsync;

/// There is nothing that does less.
#[cfg(any(target_vendor = "apple", target_os = "dragonfly"))]
pub(super) use fsync as fdatasync;

#[cfg(not(any(target_vendor = "apple", target_os = "dragonfly")))]
pub(super) use rustix::fs::fdatasync;

/// Has what is done with a file, which was opened so, go past the cache, where that is not a flag.
#[cfg(target_vendor = "apple")]
pub(super) fn make_direct(file: BorrowedFd<'_>) -> Result<(), Error> {
    call(|| fs::fcntl_nocache(file, true))
}

pub(super) fn statx(done: &mut StatxDone, at: BorrowedFd<'_>) -> Result<(), Error> {
    let known = if done.handle.is_some() && done.path.is_empty() {
        call(|| fs::fstat(at))?
    } else {
        let mut flags = AtFlags::empty();
        flags.set(AtFlags::SYMLINK_NOFOLLOW, done.links == Links::Stay);
        with(&done.path, |path| fs::statat(at, path, flags))?
    };
    fill_metadata(&known, &mut done.metadata);
    Ok(())
}

/// Writes down what the system knows of a file.
// Of the widths of these fields no two systems agree: some of the conversions are none on some of them.
#[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
fn fill_metadata(known: &Stat, metadata: &mut Metadata) {
    metadata.file_type = file_type(fs::FileType::from_raw_mode(known.st_mode));
    metadata.mode = u32::from(known.st_mode) & 0o7777;
    metadata.len = known.st_size as u64;
    metadata.blocks = known.st_blocks as u64;
    metadata.block_size = known.st_blksize as u32;
    metadata.links = known.st_nlink as u32;
    (metadata.owner, metadata.group) = (known.st_uid, known.st_gid);
    metadata.inode = known.st_ino as u64;
    let device = known.st_dev as fs::Dev;
    metadata.device = (fs::major(device), fs::minor(device));
    metadata.accessed = time(known.st_atime as i64, known.st_atime_nsec as u32);
    metadata.modified = time(known.st_mtime as i64, known.st_mtime_nsec as u32);
    metadata.changed = time(known.st_ctime as i64, known.st_ctime_nsec as u32);
    #[cfg(not(target_os = "dragonfly"))]
    let birth = Some(time(known.st_birthtime as i64, known.st_birthtime_nsec as u32));
    #[cfg(target_os = "dragonfly")]
    let birth = None;
    metadata.created = birth;
}

/// A time of the system's, which may be before 1970.
fn time(seconds: i64, nanoseconds: u32) -> SystemTime {
    let epoch = SystemTime::UNIX_EPOCH;
    let since = Duration::from_secs(seconds.unsigned_abs());
    let whole = if seconds < 0 { epoch.checked_sub(since) } else { epoch.checked_add(since) };
    whole.unwrap_or(epoch) + Duration::from_nanos(nanoseconds.into())
}
