//! Directories on Linux, whose descriptors have positions.

use std::os::fd::BorrowedFd;

use proactor_core::{DirEntries, Error};
use rustix::fs::{self, RawDir, SeekFrom};

use crate::call::call;
use crate::file::file_type;

/// Back to the beginning.
pub(super) fn rewind(directory: BorrowedFd<'_>) -> Result<(), Error> {
    call(|| fs::seek(directory, SeekFrom::Start(0))).map(drop)
}

/// Asks until there is an entry that is not left out, or there are none any more.
pub(super) fn fill(
    directory: BorrowedFd<'_>,
    scratch: &mut Vec<u8>,
    entries: &mut DirEntries,
) -> Result<(), Error> {
    let mut raw = RawDir::new(directory, scratch.spare_capacity_mut());
    while entries.is_empty() || !raw.is_buffer_empty() {
        let Some(entry) = raw.next() else { break };
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
