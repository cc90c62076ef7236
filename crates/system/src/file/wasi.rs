//! Files on WASI. Nothing tells what would have to wait for a disk, and there is no thread to wait: what is asked for is done
//! at once.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;
use std::time::{Duration, SystemTime};

use proactor_core::{Error, FileType, Links, Metadata, StatxDone};
use rustix::fs::{self, AtFlags, FallocateFlags, OFlags, Stat};
use rustix::io::Errno;

use super::{Now, with};
use crate::call::call;
use crate::vectored::Disk;
use crate::wasi::one_by_one;
use crate::{DescriptorKind, MAX_TRANSFER};

/// There is no way past the cache of whoever runs the program.
pub(super) const DIRECT: OFlags = OFlags::empty();

/// Whether transfers go past the system's cache: never.
///
/// # Errors
/// None here.
pub const fn is_direct(_descriptor: BorrowedFd<'_>) -> Result<bool, Error> {
    Ok(false)
}

/// Reads at a position.
pub fn read_now(descriptor: BorrowedFd<'_>, bytes: &mut [u8], offset: u64) -> Now {
    let len = bytes.len().min(MAX_TRANSFER);
    Now::Done(call(|| rustix::io::pread(descriptor, &mut bytes[..len], offset)))
}

/// Writes at a position.
pub fn write_now(descriptor: BorrowedFd<'_>, bytes: &[u8], offset: u64) -> Now {
    let len = bytes.len().min(MAX_TRANSFER);
    Now::Done(call(|| rustix::io::pwrite(descriptor, &bytes[..len], offset)))
}

/// Reads at a position into `pieces`.
pub(crate) fn read_pieces(
    descriptor: BorrowedFd<'_>,
    pieces: &mut [IoSliceMut<'_>],
    offset: u64,
    _disk: Disk,
) -> Result<usize, Errno> {
    let mut at = offset;
    one_by_one(pieces.iter_mut().map(|piece| {
        let read =
            rustix::io::pread(descriptor, &mut **piece, at).map_err(|errno| refusal(descriptor, errno));
        at += piece.len() as u64;
        (piece.len(), read)
    }))
}

/// Writes `pieces` at a position.
pub(crate) fn write_pieces(
    descriptor: BorrowedFd<'_>,
    pieces: &[IoSlice<'_>],
    offset: u64,
    _disk: Disk,
) -> Result<usize, Errno> {
    let mut at = offset;
    one_by_one(pieces.iter().map(|piece| {
        let written =
            rustix::io::pwrite(descriptor, piece, at).map_err(|errno| refusal_to_write(descriptor, errno));
        at += piece.len() as u64;
        (piece.len(), written)
    }))
}

/// Some hosts of WASI can reserve nothing: then the file is only as long as it is to be.
pub(super) fn allocate(file: BorrowedFd<'_>, offset: u64, len: u64) -> Result<(), Errno> {
    match fs::fallocate(file, FallocateFlags::empty(), offset, len) {
        Err(Errno::NOTSUP | Errno::NOSYS) if len > 0 => {
            let end = offset.checked_add(len).ok_or(Errno::FBIG)?;
            if fs::fcntl_getfl(file)? & OFlags::RWMODE == OFlags::RDONLY {
                return Err(Errno::BADF);
            }
            if fs::fstat(file)?.st_size.cast_unsigned() < end { fs::ftruncate(file, end) } else { Ok(()) }
        }
        allocated => allocated,
    }
}

/// A descriptor that is borrowed is open, so "bad" says of one that is no file why it has no positions.
pub(super) fn refusal(descriptor: BorrowedFd<'_>, errno: Errno) -> Errno {
    match crate::descriptor_kind(descriptor) {
        Ok(DescriptorKind::Socket(_) | DescriptorKind::Character) if errno == Errno::BADF => Errno::SPIPE,
        Ok(DescriptorKind::Directory) if errno == Errno::BADF => Errno::ISDIR,
        _ => errno,
    }
}

/// The same of writing, for which a directory is never open.
pub(super) fn refusal_to_write(descriptor: BorrowedFd<'_>, errno: Errno) -> Errno {
    match refusal(descriptor, errno) {
        Errno::ISDIR => Errno::BADF,
        errno => errno,
    }
}

/// Stores what was written.
pub(super) fn fsync(file: BorrowedFd<'_>) -> Result<(), Errno> {
    let kind = can_be_stored(file)?;
    fs::fsync(file).map_err(|errno| refusal_to_store(kind, errno))
}

/// The same without what is only known of it.
pub(super) fn fdatasync(file: BorrowedFd<'_>) -> Result<(), Errno> {
    let kind = can_be_stored(file)?;
    fs::fdatasync(file).map_err(|errno| refusal_to_store(kind, errno))
}

/// Some hosts say of everything that it is stored.
fn can_be_stored(file: BorrowedFd<'_>) -> Result<DescriptorKind, Errno> {
    match crate::descriptor_kind(file) {
        Ok(kind @ (DescriptorKind::File | DescriptorKind::Directory)) => Ok(kind),
        _ => Err(Errno::INVAL),
    }
}

/// Some hosts cannot store a directory, and say that it is none of their descriptors.
fn refusal_to_store(kind: DescriptorKind, errno: Errno) -> Errno {
    match (kind, errno) {
        (DescriptorKind::Directory, Errno::BADF) => Errno::NOTSUP,
        (_, errno) => errno,
    }
}

/// Cuts it off, or lengthens it. Some hosts let this be done to what was opened to be read.
pub(super) fn ftruncate(file: BorrowedFd<'_>, len: u64) -> Result<(), Errno> {
    if fs::fcntl_getfl(file)? & OFlags::RWMODE == OFlags::RDONLY {
        return Err(Errno::INVAL);
    }
    fs::ftruncate(file, len)
}

pub(super) fn statx(done: &mut StatxDone, at: BorrowedFd<'_>) -> Result<(), Error> {
    if done.handle.is_some() && done.path.is_empty() {
        let known = call(|| fs::fstat(at))?;
        fill_metadata(&known, &mut done.metadata);
        if let DescriptorKind::Socket(_) = crate::descriptor_kind(at)? {
            done.metadata.file_type = FileType::Socket;
        }
        return Ok(());
    }
    let mut flags = AtFlags::empty();
    flags.set(AtFlags::SYMLINK_NOFOLLOW, done.links == Links::Stay);
    let known = with(&done.path, |path| fs::statat(at, path, flags))?;
    fill_metadata(&known, &mut done.metadata);
    Ok(())
}

/// Writes down what the system knows of a file. Of owners and permissions it knows nothing, and of blocks only how many
/// bytes there are.
fn fill_metadata(known: &Stat, metadata: &mut Metadata) {
    metadata.file_type = file_type(fs::FileType::from_raw_mode(known.st_mode));
    metadata.mode = known.st_mode & 0o7777;
    metadata.len = known.st_size.cast_unsigned();
    metadata.blocks = known.st_blocks.cast_unsigned();
    metadata.block_size = known.st_blksize as u32;
    metadata.links = known.st_nlink as u32;
    (metadata.owner, metadata.group) = (known.st_uid, known.st_gid);
    metadata.inode = known.st_ino;
    metadata.device = ((known.st_dev >> 32) as u32, known.st_dev as u32);
    metadata.accessed = time(known.st_atim.tv_sec, known.st_atim.tv_nsec);
    metadata.modified = time(known.st_mtim.tv_sec, known.st_mtim.tv_nsec);
    metadata.changed = time(known.st_ctim.tv_sec, known.st_ctim.tv_nsec);
    metadata.created = None;
}

/// What the system says that a file is. Sockets and pipes have no names here.
const fn file_type(told: fs::FileType) -> FileType {
    match told {
        fs::FileType::RegularFile => FileType::File,
        fs::FileType::Directory => FileType::Directory,
        fs::FileType::Symlink => FileType::Symlink,
        fs::FileType::CharacterDevice => FileType::CharacterDevice,
        fs::FileType::BlockDevice => FileType::BlockDevice,
        _ => FileType::Other,
    }
}

/// A time of the system's, which counts from 1970 and has no others.
fn time(seconds: i64, nanoseconds: i32) -> SystemTime {
    let since = Duration::new(seconds.cast_unsigned(), nanoseconds.cast_unsigned());
    SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
}
