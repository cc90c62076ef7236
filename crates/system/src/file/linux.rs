//! Files on Linux: statx(2), and calls that do not wait for the disk.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;
use std::time::{Duration, SystemTime};

use proactor_core::{Error, Links, Metadata, StatxDone};
use rustix::fs::{self, AtFlags, FallocateFlags, Mode, OFlags, Statx, StatxFlags, StatxTimestamp};
use rustix::io::{Errno, ReadWriteFlags};

use super::{Now, file_type, with};
use crate::MAX_TRANSFER;
use crate::call::call;
use crate::vectored::Disk;

/// Past the system's cache.
pub(super) const DIRECT: OFlags = OFlags::DIRECT;

/// What a `statx` is asked for.
pub const STATX_MASK: StatxFlags = StatxFlags::BASIC_STATS.union(StatxFlags::BTIME);

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

/// A time of the system's, which may be before 1970. What std has no room for, the system has no files from.
fn time(time: &StatxTimestamp) -> SystemTime {
    let seconds = Duration::from_secs(time.tv_sec.unsigned_abs());
    let epoch = SystemTime::UNIX_EPOCH;
    let whole = if time.tv_sec < 0 { epoch.checked_sub(seconds) } else { epoch.checked_add(seconds) };
    whole.unwrap_or(epoch) + Duration::from_nanos(time.tv_nsec.into())
}

/// Whether transfers go past the system's cache.
///
/// # Errors
/// What the system said.
pub fn is_direct(descriptor: BorrowedFd<'_>) -> Result<bool, Error> {
    call(|| fs::fcntl_getfl(descriptor)).map(|flags| flags.contains(OFlags::DIRECT))
}

/// Reads at a position what is in the system's cache, all that was asked for or up to the end of the file.
pub fn read_now(descriptor: BorrowedFd<'_>, bytes: &mut [u8], offset: u64) -> Now {
    let len = bytes.len().min(MAX_TRANSFER);
    let mut read = 0;
    while read < len {
        let buffers = &mut [IoSliceMut::new(&mut bytes[read..len])];
        let at = offset + read as u64;
        match read_pieces(descriptor, buffers, at, Disk::MustNot) {
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
        match write_pieces(descriptor, buffers, offset, Disk::MustNot) {
            Err(Errno::INTR) => {}
            result => return Now::from(result),
        }
    }
}

/// Reads at a position into `pieces`; where it must not wait, what is in the cache.
pub(crate) fn read_pieces(
    descriptor: BorrowedFd<'_>,
    pieces: &mut [IoSliceMut<'_>],
    offset: u64,
    disk: Disk,
) -> Result<usize, Errno> {
    rustix::io::preadv2(descriptor, pieces, offset, call_flags(disk))
}

/// Writes `pieces` at a position; where it must not wait, to the cache.
pub(crate) fn write_pieces(
    descriptor: BorrowedFd<'_>,
    pieces: &[IoSlice<'_>],
    offset: u64,
    disk: Disk,
) -> Result<usize, Errno> {
    rustix::io::pwritev2(descriptor, pieces, offset, call_flags(disk))
}

const fn call_flags(disk: Disk) -> ReadWriteFlags {
    match disk {
        Disk::MayWait => ReadWriteFlags::empty(),
        Disk::MustNot => ReadWriteFlags::NOWAIT,
    }
}

pub(super) fn allocate(file: BorrowedFd<'_>, offset: u64, len: u64) -> Result<(), Errno> {
    fs::fallocate(file, FallocateFlags::empty(), offset, len)
}

pub(super) fn statx(done: &mut StatxDone, at: BorrowedFd<'_>) -> Result<(), Error> {
    let flags = statx_flags(done);
    let known = with(&done.path, |path| fs::statx(at, path, flags, STATX_MASK))?;
    fill_metadata(&known, &mut done.metadata);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proactor_core::FileType;
    use rustix::fs::CWD;

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
}
