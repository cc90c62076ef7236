//! Directories on WASI, whose descriptors have no positions: where the next batch begins is written down here.

use std::cell::RefCell;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use proactor_core::{DirEntries, Error, FileType};
use rustix::io::Errno;
use wasip1::{
    FILETYPE_BLOCK_DEVICE, FILETYPE_CHARACTER_DEVICE, FILETYPE_DIRECTORY, FILETYPE_REGULAR_FILE,
    FILETYPE_SOCKET_DGRAM, FILETYPE_SOCKET_STREAM, FILETYPE_SYMBOLIC_LINK, FILETYPE_UNKNOWN, Filetype,
};

use crate::call::call;
use crate::wasi::read_directory;

thread_local! {
    /// The cookies of those that were read from, but not to their ends.
    static COOKIES: RefCell<Vec<(RawFd, u64)>> = const { RefCell::new(Vec::new()) };
}

/// The first entry's cookie.
const START: u64 = 0;

/// What the system writes before each name: the cookie of the next entry, a number, the name's length, its type.
const HEAD: usize = 24;

/// The descriptor refers to something new.
pub(crate) fn forget(directory: BorrowedFd<'_>) {
    set_cookie(directory, START);
}

/// Back to the beginning.
pub(super) fn rewind(directory: BorrowedFd<'_>) -> Result<(), Error> {
    set_cookie(directory, START);
    Ok(())
}

fn cookie(directory: BorrowedFd<'_>) -> u64 {
    let number = directory.as_raw_fd();
    COOKIES.with_borrow(|cookies| {
        cookies.iter().find(|(known, _)| *known == number).map_or(START, |(_, cookie)| *cookie)
    })
}

fn set_cookie(directory: BorrowedFd<'_>, cookie: u64) {
    let number = directory.as_raw_fd();
    COOKIES.with_borrow_mut(|cookies| {
        cookies.retain(|(known, _)| *known != number);
        if cookie != START {
            cookies.push((number, cookie));
        }
    });
}

/// A descriptor that is borrowed is open, so "bad" says that it is another one.
const fn not_a_directory(errno: Errno) -> Errno {
    match errno {
        Errno::BADF => Errno::NOTDIR,
        errno => errno,
    }
}

/// Asks until there is an entry that is not left out, or there are none any more.
pub(super) fn fill(
    directory: BorrowedFd<'_>,
    scratch: &mut Vec<u8>,
    entries: &mut DirEntries,
) -> Result<(), Error> {
    scratch.clear();
    scratch.resize(scratch.capacity(), 0);
    let mut next = cookie(directory);
    loop {
        let len = call(|| read_directory(directory, scratch, next).map_err(not_a_directory))?;
        let begun = next;
        let mut rest = &scratch[..len];
        while let Some((entry, others)) = split(rest) {
            next = entry.next;
            rest = others;
            if entry.name != b"." && entry.name != b".." {
                entries.push(entry.name, file_type(entry.filetype), entry.inode);
            }
        }
        if len > 0 && next == begun {
            // There is no room for a single one.
            return Err(Errno::INVAL.into());
        }
        if !entries.is_empty() || len < scratch.len() {
            break;
        }
    }
    set_cookie(directory, next);
    Ok(())
}

struct Entry<'a> {
    next: u64,
    inode: u64,
    filetype: Filetype,
    name: &'a [u8],
}

/// The first of the entries, if all of it is there, and the others.
fn split(bytes: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
    let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| head[at + index]));
    let len = u32::from_le_bytes(std::array::from_fn(|index| head[16 + index])) as usize;
    let (name, others) = rest.split_at_checked(len)?;
    let types = [
        FILETYPE_BLOCK_DEVICE,
        FILETYPE_CHARACTER_DEVICE,
        FILETYPE_DIRECTORY,
        FILETYPE_REGULAR_FILE,
        FILETYPE_SOCKET_DGRAM,
        FILETYPE_SOCKET_STREAM,
        FILETYPE_SYMBOLIC_LINK,
    ];
    let filetype = types.into_iter().find(|each| each.raw() == head[20]).unwrap_or(FILETYPE_UNKNOWN);
    Some((Entry { next: number(0), inode: number(8), filetype, name }, others))
}

fn file_type(told: Filetype) -> Option<FileType> {
    Some(match told {
        FILETYPE_REGULAR_FILE => FileType::File,
        FILETYPE_DIRECTORY => FileType::Directory,
        FILETYPE_SYMBOLIC_LINK => FileType::Symlink,
        FILETYPE_CHARACTER_DEVICE => FileType::CharacterDevice,
        FILETYPE_BLOCK_DEVICE => FileType::BlockDevice,
        FILETYPE_SOCKET_STREAM | FILETYPE_SOCKET_DGRAM => FileType::Socket,
        _ => return None,
    })
}
