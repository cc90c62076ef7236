//! Operations on names in directories, and what the system knows of what they name.

use std::time::SystemTime;

use crate::file::within;
use crate::operation::{OneShot, Operation, UNDECIDED, submission};
use crate::outcome::error_of_result;
use crate::path::FilePath;
use crate::{Error, Handle, Kind, Outcome};

/// Asks what the system knows of a file.
#[derive(Debug)]
pub struct Statx {
    /// What a relative path is relative to, the current directory if there is none; with an empty path, the file itself.
    pub handle: Option<Handle>,
    /// The file's path, or nothing. With a NUL in it: [`Error::InvalidInput`].
    pub path: FilePath,
    /// What is asked about where the path's last name is a symbolic link.
    pub links: Links,
    /// Filled in; as it was where the operation fails. In a box, so that it can be used again.
    pub metadata: Box<Metadata>,
}

impl Statx {
    /// Asks about an open file.
    #[must_use]
    pub fn of(handle: Handle) -> Self {
        Self { handle: Some(handle), ..Self::path(FilePath::default()) }
    }

    /// Asks about what a path names, following symbolic links.
    #[must_use]
    pub fn path(path: impl Into<FilePath>) -> Self {
        Self { handle: None, path: path.into(), links: Links::Follow, metadata: Box::default() }
    }
}

/// What is meant where a path's last name is a symbolic link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Links {
    /// What it points to.
    Follow,
    /// The link itself.
    Stay,
}

/// What the system knows of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Metadata {
    /// What it is.
    pub file_type: FileType,
    /// The permissions: the lower twelve bits of what `chmod` takes.
    pub mode: u32,
    /// How long it is, in bytes.
    pub len: u64,
    /// How much room it takes, in units of 512 bytes.
    pub blocks: u64,
    /// How many bytes are best transferred at once.
    pub block_size: u32,
    /// How many names it has.
    pub links: u32,
    /// Its owner.
    pub owner: u32,
    /// Its group.
    pub group: u32,
    /// Its number on its device.
    pub inode: u64,
    /// The device that it is on: major and minor number.
    pub device: (u32, u32),
    /// When it was last read, as far as the system keeps account.
    pub accessed: SystemTime,
    /// When it was last written.
    pub modified: SystemTime,
    /// When anything that is told here last changed.
    pub changed: SystemTime,
    /// When it was made, where the system knows.
    pub created: Option<SystemTime>,
}

/// What a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device that is read and written by bytes.
    CharacterDevice,
    /// A device that is read and written by blocks.
    BlockDevice,
    /// A pipe with a name.
    Fifo,
    /// A socket with a name.
    Socket,
    /// Something else.
    Other,
}

/// Nothing is known yet.
impl Default for Metadata {
    fn default() -> Self {
        Self {
            file_type: FileType::Other,
            mode: 0,
            len: 0,
            blocks: 0,
            block_size: 0,
            links: 0,
            owner: 0,
            group: 0,
            inode: 0,
            device: (0, 0),
            accessed: SystemTime::UNIX_EPOCH,
            modified: SystemTime::UNIX_EPOCH,
            changed: SystemTime::UNIX_EPOCH,
            created: None,
        }
    }
}

/// Gives a file another name, in one step. What had that name before is gone.
#[derive(Debug)]
pub struct Rename {
    /// What relative paths are relative to; the current directory if there is none.
    pub directory: Option<Handle>,
    /// Its name now.
    pub from: FilePath,
    /// Its name from then on.
    pub to: FilePath,
}

/// Gives a file one more name.
#[derive(Debug)]
pub struct Link {
    /// What relative paths are relative to; the current directory if there is none.
    pub directory: Option<Handle>,
    /// A name that it has. A symbolic link is not followed.
    pub from: FilePath,
    /// The name that it gets, which nothing has.
    pub to: FilePath,
}

/// Makes a symbolic link.
#[derive(Debug)]
pub struct Symlink {
    /// What a relative path of the link is relative to; the current directory if there is none.
    pub directory: Option<Handle>,
    /// What the link says: a path, relative to the link's own directory, whether or not there is anything.
    pub target: FilePath,
    /// The link's name, which nothing has.
    pub path: FilePath,
}

/// Takes a name away from a file, which is gone once nothing names it and nobody has it open. Not from a directory.
#[derive(Debug)]
pub struct Unlink {
    /// What a relative path is relative to; the current directory if there is none.
    pub directory: Option<Handle>,
    /// The name.
    pub path: FilePath,
}

/// Makes a directory.
#[derive(Debug)]
pub struct MakeDir {
    /// What a relative path is relative to; the current directory if there is none.
    pub directory: Option<Handle>,
    /// Its name, which nothing has.
    pub path: FilePath,
    /// Its permissions, less those that the process's mask takes away.
    pub mode: u32,
}

/// Removes a directory, which has to be empty.
#[derive(Debug)]
pub struct RemoveDir {
    /// What a relative path is relative to; the current directory if there is none.
    pub directory: Option<Handle>,
    /// Its name.
    pub path: FilePath,
}

/// How a [`Statx`](crate::Statx) went.
#[derive(Debug)]
pub struct StatxDone {
    /// The file, or what a relative path was relative to.
    pub handle: Option<Handle>,
    /// The path.
    pub path: FilePath,
    /// What was asked about where it names a symbolic link.
    pub links: Links,
    /// What the system knows, if it went well.
    pub metadata: Box<Metadata>,
    /// Filled in, or not.
    pub result: Result<(), Error>,
}

/// How a [`Rename`](crate::Rename) went.
#[derive(Debug)]
pub struct Renamed {
    /// What relative paths were relative to.
    pub directory: Option<Handle>,
    /// The name before.
    pub from: FilePath,
    /// The name after.
    pub to: FilePath,
    /// Done, or not.
    pub result: Result<(), Error>,
}

/// How a [`Link`](crate::Link) went.
#[derive(Debug)]
pub struct Linked {
    /// What relative paths were relative to.
    pub directory: Option<Handle>,
    /// A name that it had.
    pub from: FilePath,
    /// The name that it was to get.
    pub to: FilePath,
    /// Done, or not.
    pub result: Result<(), Error>,
}

/// How a [`Symlink`](crate::Symlink) went.
#[derive(Debug)]
pub struct Symlinked {
    /// What a relative path was relative to.
    pub directory: Option<Handle>,
    /// What the link says.
    pub target: FilePath,
    /// The link's name.
    pub path: FilePath,
    /// Done, or not.
    pub result: Result<(), Error>,
}

/// How an [`Unlink`](crate::Unlink) went.
#[derive(Debug)]
pub struct Unlinked {
    /// What a relative path was relative to.
    pub directory: Option<Handle>,
    /// The name.
    pub path: FilePath,
    /// Done, or not.
    pub result: Result<(), Error>,
}

/// How a [`MakeDir`](crate::MakeDir) went.
#[derive(Debug)]
pub struct DirMade {
    /// What a relative path was relative to.
    pub directory: Option<Handle>,
    /// Its name.
    pub path: FilePath,
    /// Its permissions.
    pub mode: u32,
    /// Done, or not.
    pub result: Result<(), Error>,
}

/// How a [`RemoveDir`](crate::RemoveDir) went.
#[derive(Debug)]
pub struct DirRemoved {
    /// What a relative path was relative to.
    pub directory: Option<Handle>,
    /// Its name.
    pub path: FilePath,
    /// Done, or not.
    pub result: Result<(), Error>,
}

/// What is wrong with one of two paths.
fn wrong(first: &FilePath, second: &FilePath) -> Option<Error> {
    first.as_c_str().err().or_else(|| second.as_c_str().err())
}

submission!(Statx => StatxDone, Statx, |this| within(this.handle), |this| {
    let Statx { handle, path, links, metadata } = this;
    StatxDone { handle, path, links, metadata, result: Err(UNDECIDED) }
}, |this| this.path.as_c_str().err());
submission!(Rename => Renamed, Rename, |this| within(this.directory), |this| {
    Renamed { directory: this.directory, from: this.from, to: this.to, result: Err(UNDECIDED) }
}, |this| wrong(&this.from, &this.to));
submission!(Link => Linked, Link, |this| within(this.directory), |this| {
    Linked { directory: this.directory, from: this.from, to: this.to, result: Err(UNDECIDED) }
}, |this| wrong(&this.from, &this.to));
submission!(Symlink => Symlinked, Symlink, |this| within(this.directory), |this| {
    Symlinked { directory: this.directory, target: this.target, path: this.path, result: Err(UNDECIDED) }
}, |this| wrong(&this.target, &this.path));
submission!(Unlink => Unlinked, Unlink, |this| within(this.directory), |this| {
    Unlinked { directory: this.directory, path: this.path, result: Err(UNDECIDED) }
}, |this| this.path.as_c_str().err());
submission!(MakeDir => DirMade, MakeDir, |this| within(this.directory), |this| {
    DirMade { directory: this.directory, path: this.path, mode: this.mode, result: Err(UNDECIDED) }
}, |this| this.path.as_c_str().err());
submission!(RemoveDir => DirRemoved, RemoveDir, |this| within(this.directory), |this| {
    DirRemoved { directory: this.directory, path: this.path, result: Err(UNDECIDED) }
}, |this| this.path.as_c_str().err());

impl OneShot for Statx {}
impl OneShot for Rename {}
impl OneShot for Link {}
impl OneShot for Symlink {}
impl OneShot for Unlink {}
impl OneShot for MakeDir {}
impl OneShot for RemoveDir {}

error_of_result!(StatxDone, Renamed, Linked, Symlinked, Unlinked, DirMade, DirRemoved);

/// As [`crate::file::hollow`].
pub(crate) fn hollow(kind: Kind) -> Option<Operation> {
    let directory = None;
    let [first, second] = [FilePath::default(), FilePath::default()];
    let operation = match kind {
        Kind::Statx => Operation::Statx(Statx::path(first)),
        Kind::Rename => Operation::Rename(Rename { directory, from: first, to: second }),
        Kind::Link => Operation::Link(Link { directory, from: first, to: second }),
        Kind::Symlink => Operation::Symlink(Symlink { directory, target: first, path: second }),
        Kind::Unlink => Operation::Unlink(Unlink { directory, path: first }),
        Kind::MakeDir => Operation::MakeDir(MakeDir { directory, path: first, mode: 0 }),
        Kind::RemoveDir => Operation::RemoveDir(RemoveDir { directory, path: first }),
        _ => return None,
    };
    Some(operation)
}

/// As [`crate::file::back`].
pub(crate) fn back(outcome: Outcome) -> Result<Operation, Outcome> {
    Ok(match outcome {
        Outcome::Statx(StatxDone { handle, path, links, metadata, .. }) => {
            Operation::Statx(Statx { handle, path, links, metadata })
        }
        Outcome::Rename(Renamed { directory, from, to, .. }) => {
            Operation::Rename(Rename { directory, from, to })
        }
        Outcome::Link(Linked { directory, from, to, .. }) => Operation::Link(Link { directory, from, to }),
        Outcome::Symlink(Symlinked { directory, target, path, .. }) => {
            Operation::Symlink(Symlink { directory, target, path })
        }
        Outcome::Unlink(Unlinked { directory, path, .. }) => Operation::Unlink(Unlink { directory, path }),
        Outcome::MakeDir(DirMade { directory, path, mode, .. }) => {
            Operation::MakeDir(MakeDir { directory, path, mode })
        }
        Outcome::RemoveDir(DirRemoved { directory, path, .. }) => {
            Operation::RemoveDir(RemoveDir { directory, path })
        }
        other => return crate::directory::back(other),
    })
}
