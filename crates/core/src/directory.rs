//! What is in a directory: asked for, and what comes back.

use std::ffi::OsStr;
use std::fmt;

use crate::names::FileType;
use crate::operation::{Direction, OneShot, Operation, Target, UNDECIDED, submission};
use crate::os_str::OsStrExt;
use crate::outcome::error_of_result;
use crate::{Error, Handle, Outcome};

/// Reads what is in a directory, a batch at a time: as many entries as there is [room](DirEntries::with_room) for, then, when
/// it is submitted again, those behind them, until a batch without any says that this was all. `.` and `..` are left out,
/// and nothing is in any order.
///
/// Where the last batch ended is known to the open directory: what is queued on one handle goes first in, first out, and
/// each entry comes in one of the batches. Of what is named or unnamed meanwhile, the system may tell or not.
///
/// Done on the loop's pool of threads ([`Pool`](crate::Pool)), since no system has anything better: while no thread has
/// begun it, a cancel ends it at once, and one that runs ends when it ends (contract X2). What is no directory is
/// `ENOTDIR`, one that was removed `ENOENT`. Submitted again with the same [`DirEntries`], it allocates nothing.
///
/// ```
/// use proactor_sim::{Action, Config, DirEntries, Loop, MakeDir, OpenAt, OpenOptions, ReadDir, RunMode};
///
/// # fn main() -> std::io::Result<()> {
/// let mut ev = Loop::<Vec<String>>::open(Config::default())?;
/// let mut cx = ev.context();
/// for name in ["/tmp/one", "/tmp/two"] {
///     cx.submit(MakeDir { directory: None, path: name.into(), mode: 0o755 }, |_, _, made| {
///         assert_eq!(made.result, Ok(()));
///     });
/// }
/// let mut names = Vec::new();
/// ev.run(&mut names, RunMode::UntilDone)?;
///
/// let open = OpenAt { directory: None, path: "/tmp".into(), options: OpenOptions::read().directory() };
/// ev.context().submit(open, |_, cx, opened| {
///     let handle = opened.result.expect("a directory");
///     let read = ReadDir { handle, entries: DirEntries::new(), rewind: false };
///     cx.submit_rearm(read, |names: &mut Vec<String>, _cx, read| {
///         if read.result != Ok(0) {
///             let found = read.entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
///             names.extend(found);
///             // The next batch, into the same memory.
///             return Action::Rearm(ReadDir { handle: read.handle, entries: read.entries, rewind: false });
///         }
///         Action::Disarm
///     });
/// });
/// ev.run(&mut names, RunMode::UntilDone)?;
/// names.sort();
/// assert_eq!(names, ["one", "two"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ReadDir {
    /// A directory that was opened for reading.
    pub handle: Handle,
    /// Emptied, then filled.
    pub entries: DirEntries,
    /// Whether it begins at the directory's first entry again, and not where the last batch has ended.
    pub rewind: bool,
}

/// How a [`ReadDir`](crate::ReadDir) went.
#[derive(Debug)]
pub struct DirRead {
    /// The directory.
    pub handle: Handle,
    /// What was found; nothing where the operation fails.
    pub entries: DirEntries,
    /// Whether it was to begin at the first entry.
    pub rewind: bool,
    /// How many entries were found; zero behind the last one.
    pub result: Result<usize, Error>,
}

submission!(ReadDir => DirRead, ReadDir, |this| Target::Stream(this.handle, Direction::Read), |this| {
    let ReadDir { handle, mut entries, rewind } = this;
    entries.clear();
    DirRead { handle, entries, rewind, result: Err(UNDECIDED) }
});

impl OneShot for ReadDir {}

error_of_result!(DirRead);

/// A batch of what is in a directory, and the memory for the next one.
#[derive(Default)]
pub struct DirEntries(Box<Batch>);

struct Batch {
    room: usize,
    list: Vec<Listed>,
    /// All names, one behind the other.
    names: Vec<u8>,
    /// Memory for the system's own form of it.
    scratch: Vec<u8>,
}

/// An entry, whose name ends here, where the next one's begins.
struct Listed {
    end: usize,
    inode: u64,
    file_type: Option<FileType>,
}

/// What a directory says of one of the names in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DirEntry<'a> {
    name: &'a [u8],
    /// What has the name; a symbolic link is not followed. None where the file system does not say: a
    /// [`Statx`](crate::Statx) does.
    pub file_type: Option<FileType>,
    /// Its number on its device.
    pub inode: u64,
}

impl DirEntries {
    /// The least room that there is: a name of any length has some.
    pub const MIN_ROOM: usize = 1024;

    /// Room for so many bytes in one batch: 32 KiB, which is about a thousand entries.
    pub const DEFAULT_ROOM: usize = 32 * 1024;

    /// With the [usual room](Self::DEFAULT_ROOM).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With room for so many bytes in one batch, at least [`MIN_ROOM`](Self::MIN_ROOM) and at most 1 GiB: an entry takes
    /// its name, and up to 32 bytes more.
    #[must_use]
    pub fn with_room(bytes: usize) -> Self {
        let room = bytes.clamp(Self::MIN_ROOM, 1 << 30);
        Self(Box::new(Batch { room, ..Batch::default() }))
    }

    /// For how many bytes there is room in one batch.
    #[must_use]
    pub fn room(&self) -> usize {
        self.0.room
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.list.is_empty()
    }

    /// The entry of this number, from zero on.
    #[must_use]
    pub fn get(&self, number: usize) -> Option<DirEntry<'_>> {
        let batch = &*self.0;
        let Listed { end, inode, file_type } = *batch.list.get(number)?;
        let start = number.checked_sub(1).map_or(0, |before| batch.list[before].end);
        Some(DirEntry { name: &batch.names[start..end], file_type, inode })
    }

    /// All of them, as the system had them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = DirEntry<'_>> {
        (0..self.len()).map(|number| self.get(number).expect("there are so many"))
    }

    /// Forgets all entries, and keeps the memory.
    pub fn clear(&mut self) {
        self.0.list.clear();
        self.0.names.clear();
    }

    /// Adds an entry: what a backend does.
    pub fn push(&mut self, name: &[u8], file_type: Option<FileType>, inode: u64) {
        let batch = &mut *self.0;
        batch.names.extend_from_slice(name);
        batch.list.push(Listed { end: batch.names.len(), inode, file_type });
    }

    /// Takes out memory of [`room`](Self::room) bytes at least, in which nothing is, for a backend to read into; with
    /// [`put_scratch`](Self::put_scratch) it is kept for the next time.
    #[must_use]
    pub fn take_scratch(&mut self) -> Vec<u8> {
        let mut scratch = std::mem::take(&mut self.0.scratch);
        scratch.clear();
        scratch.reserve(self.0.room);
        scratch
    }

    /// Puts that memory back.
    pub fn put_scratch(&mut self, scratch: Vec<u8>) {
        self.0.scratch = scratch;
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self { room: DirEntries::DEFAULT_ROOM, list: Vec::new(), names: Vec::new(), scratch: Vec::new() }
    }
}

impl<'a> DirEntry<'a> {
    /// Its name in the directory.
    #[must_use]
    pub fn file_name(&self) -> &'a OsStr {
        OsStr::from_bytes(self.name)
    }

    /// The same, as bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.name
    }
}

impl fmt::Debug for DirEntries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|entry| entry.name.escape_ascii().to_string())).finish()
    }
}

/// As [`crate::file::back`].
pub(crate) fn back(outcome: Outcome) -> Result<Operation, Outcome> {
    match outcome {
        Outcome::ReadDir(DirRead { handle, entries, rewind, .. }) => {
            Ok(Operation::ReadDir(ReadDir { handle, entries, rewind }))
        }
        other => crate::send_file::back(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_what_was_put_in_and_leave_their_memory() {
        let mut entries = DirEntries::with_room(0);
        assert_eq!(entries.room(), DirEntries::MIN_ROOM);
        for round in 0..3 {
            let names: [&[u8]; 3] = [b"first", b"", b"\xff third"];
            for (number, name) in names.iter().enumerate() {
                entries.push(name, (number > 0).then_some(FileType::Fifo), number as u64 + round);
            }
            let found: Vec<_> = entries.iter().map(|entry| (entry.as_bytes(), entry.inode)).collect();
            let expected: Vec<_> = names.iter().copied().zip(round..).collect();
            assert_eq!(found, expected);
            assert_eq!(
                (entries.get(0).unwrap().file_type, entries.get(2).unwrap().file_type),
                (None, Some(FileType::Fifo))
            );
            assert_eq!((entries.len(), entries.get(3)), (3, None));
            assert_eq!(format!("{entries:?}"), r#"["first", "", "\\xff third"]"#);
            entries.clear();
            assert!(entries.is_empty() && entries.iter().next().is_none());
            let scratch = entries.take_scratch();
            assert!(scratch.capacity() >= DirEntries::MIN_ROOM && scratch.is_empty());
            entries.put_scratch(scratch);
        }
    }
}
