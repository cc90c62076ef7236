//! Directories on macOS and the BSDs, whose calls for a part of one are the C library's own: all that is left is one batch.

use std::os::fd::BorrowedFd;

use proactor_core::{DirEntries, Error};
use rustix::fs::{self, Dir, SeekFrom};

use crate::call::call;
use crate::file::file_type;

/// Back to the beginning.
pub(super) fn rewind(directory: BorrowedFd<'_>) -> Result<(), Error> {
    call(|| fs::seek(directory, SeekFrom::Start(0))).map(drop)
}

/// Reads up to the end. The position is the open directory's, so that the next batch is empty.
pub(super) fn fill(
    directory: BorrowedFd<'_>,
    _scratch: &mut Vec<u8>,
    entries: &mut DirEntries,
) -> Result<(), Error> {
    let shared = call(|| rustix::io::fcntl_dupfd_cloexec(directory, 0))?;
    for entry in Dir::new(shared).map_err(Error::from_errno)? {
        match entry {
            Ok(entry) => {
                let name = entry.file_name().to_bytes();
                if name != b"." && name != b".." {
                    let unknown = entry.file_type() == fs::FileType::Unknown;
                    entries.push(name, (!unknown).then(|| file_type(entry.file_type())), entry.ino());
                }
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}
