//! Operations on files and names: each is held until a pass, which does all of them, in the order that the seed says.

use proactor_core::{
    Allocate, Allocated, DirMade, DirRemoved, Done, Error, Fdatasync, Fdatasynced, FilePath, FileType, Fsync,
    Fsynced, Handle, Link, Linked, MakeDir, OpenAt, Opened, Operation, Outcome, ReadAt, ReadAtDone,
    RemoveDir, Rename, Renamed, Slot, Statx, StatxDone, Symlink, Symlinked, Token, Truncate, Truncated,
    Unlink, Unlinked, WriteAt, WriteAtDone,
};
use rustix::io::Errno;

use crate::Sim;
use crate::files::{Content, Open};

/// An operation that waits for a pass.
#[derive(Debug)]
pub(crate) struct Pending {
    token: Token,
    /// Of the handle that it uses, if any.
    slot: Option<Slot>,
    operation: Operation,
}

impl Sim {
    /// Takes an operation on a file or a name. What needs no system, or cannot be, ends at once.
    pub(crate) fn begin_file(
        &mut self,
        token: Token,
        slot: Option<Slot>,
        operation: Operation,
        done: &mut Done,
    ) {
        if slot.is_some_and(|slot| !self.is_taken(slot)) {
            return done.push(token, operation.fail(Error::StaleHandle));
        }
        match operation {
            Operation::ReadAt(read) if !read.buffer.is_writable() => {
                done.push(token, Operation::ReadAt(read).fail(Error::ReadOnlyBuffer));
            }
            Operation::OpenAt(_)
            | Operation::ReadAt(_)
            | Operation::WriteAt(_)
            | Operation::Fsync(_)
            | Operation::Fdatasync(_)
            | Operation::Truncate(_)
            | Operation::Allocate(_)
            | Operation::Statx(_)
            | Operation::Rename(_)
            | Operation::Link(_)
            | Operation::Symlink(_)
            | Operation::Unlink(_)
            | Operation::MakeDir(_)
            | Operation::RemoveDir(_)
            | Operation::ReadVectoredAt(_)
            | Operation::ReadVectoredExactAt(_)
            | Operation::WriteVectoredAt(_)
            | Operation::WriteVectoredAllAt(_) => self.pending.push(Pending { token, slot, operation }),
            other => done.push(token, other.fail(Error::Unsupported)),
        }
    }

    /// What a socket's operation says of a slot in which there is none.
    pub(crate) fn no_socket(&self, slot: Slot) -> Error {
        if self.files.is_open(slot) { Errno::NOTSOCK.into() } else { Error::StaleHandle }
    }

    /// Takes back what was started as `token`, if it still waits.
    pub(crate) fn take_pending(&mut self, token: Token) -> Option<Operation> {
        let position = self.pending.iter().position(|pending| pending.token == token)?;
        Some(self.pending.swap_remove(position).operation)
    }

    /// Ends what waits on a slot.
    pub(crate) fn end_pending(&mut self, slot: Slot) {
        for Pending { token, operation, .. } in self.pending.extract_if(.., |it| it.slot == Some(slot)) {
            self.ended.push((token, operation.fail(Error::Canceled)));
        }
    }

    /// Does what waits. Returns whether there was anything.
    pub(crate) fn do_pending(&mut self, done: &mut Done) -> bool {
        let any = !self.pending.is_empty();
        let mut pending = std::mem::take(&mut self.pending);
        self.choices.order(&mut pending);
        for Pending { token, slot, operation } in pending.drain(..) {
            let outcome = self.do_file(slot, operation, done);
            done.push(token, outcome);
        }
        self.pending = pending;
        any
    }

    fn do_file(&mut self, slot: Option<Slot>, operation: Operation, done: &mut Done) -> Outcome {
        match operation {
            Operation::OpenAt(operation) => Outcome::OpenAt(self.open_file(slot, operation, done)),
            Operation::ReadAt(operation) => Outcome::ReadAt(self.read_at(slot, operation)),
            Operation::WriteAt(operation) => Outcome::WriteAt(self.write_at(slot, operation)),
            Operation::Fsync(Fsync { handle }) => Outcome::Fsync(Fsynced { handle, result: self.sync(slot) }),
            Operation::Fdatasync(Fdatasync { handle }) => {
                Outcome::Fdatasync(Fdatasynced { handle, result: self.sync(slot) })
            }
            Operation::Truncate(Truncate { handle, len }) => {
                let result = self.set_len(slot, len, false);
                Outcome::Truncate(Truncated { handle, len, result })
            }
            Operation::Allocate(Allocate { handle, offset, len }) => {
                let result = self.set_len(slot, offset.saturating_add(len), true);
                Outcome::Allocate(Allocated { handle, offset, len, result })
            }
            Operation::Statx(operation) => Outcome::Statx(self.statx(slot, operation)),
            operation @ (Operation::ReadVectoredAt(_)
            | Operation::ReadVectoredExactAt(_)
            | Operation::WriteVectoredAt(_)
            | Operation::WriteVectoredAllAt(_)) => self.vectored_of_file(slot, operation),
            other => self.do_name(slot, other),
        }
    }

    /// What is open in a slot; `otherwise` is what the system says of a socket.
    fn opened(&self, slot: Option<Slot>, otherwise: Errno) -> Result<Open, Errno> {
        slot.and_then(|slot| self.files.opened(slot)).ok_or(otherwise)
    }

    fn open_file(&mut self, slot: Option<Slot>, operation: OpenAt, done: &mut Done) -> Opened {
        let OpenAt { directory, path, options } = operation;
        let handle = done.new_handle();
        let result = if self.is_taken(handle.slot()) {
            // Only a caller that fills slots it has no handle for gets here.
            Err(Error::Busy)
        } else {
            self.open_into(slot, &path, options, handle)
        };
        if result.is_err() {
            done.discard_handle(handle);
        }
        Opened { directory, path, options, result: result.map(|()| handle) }
    }

    fn open_into(
        &mut self,
        slot: Option<Slot>,
        path: &FilePath,
        options: proactor_core::OpenOptions,
        handle: Handle,
    ) -> Result<(), Error> {
        let path = path.as_c_str()?.to_bytes();
        let start = self.start(slot, path)?;
        Ok(self.files.open(start, path, options, (handle.slot(), self.clock.now()))?)
    }

    /// Where a path begins. A socket is no directory.
    fn start(&self, slot: Option<Slot>, path: &[u8]) -> Result<usize, Errno> {
        let is_socket = slot.is_some_and(|slot| self.table.is_taken(slot));
        if is_socket && !path.starts_with(b"/") { Err(Errno::NOTDIR) } else { Ok(self.files.start(slot)) }
    }

    fn read_at(&mut self, slot: Option<Slot>, operation: ReadAt) -> ReadAtDone {
        let ReadAt { handle, mut buffer, offset } = operation;
        let now = self.clock.now();
        let result = match (self.opened(slot, Errno::SPIPE), buffer.as_mut_slice()) {
            (Err(errno), _) => Err(errno.into()),
            (_, Err(error)) => Err(error),
            (Ok(_), Ok([])) => Ok(0),
            (Ok(open), Ok(bytes)) => self.files.read(open, bytes, offset, now).map_err(Error::from),
        };
        ReadAtDone { handle, buffer, offset, result }
    }

    fn write_at(&mut self, slot: Option<Slot>, operation: WriteAt) -> WriteAtDone {
        let WriteAt { handle, buffer, offset } = operation;
        let now = self.clock.now();
        let result = match self.opened(slot, Errno::SPIPE) {
            Ok(_) if buffer.is_empty() => Ok(0),
            Ok(open) => self.files.write(open, &buffer, offset, now),
            Err(errno) => Err(errno),
        };
        WriteAtDone { handle, buffer, offset, result: result.map_err(Error::from) }
    }

    /// Nothing is anywhere but where it is stored.
    fn sync(&self, slot: Option<Slot>) -> Result<(), Error> {
        self.opened(slot, Errno::INVAL).map(drop).map_err(Error::from)
    }

    fn set_len(&mut self, slot: Option<Slot>, len: u64, at_least: bool) -> Result<(), Error> {
        let now = self.clock.now();
        let open = self.opened(slot, if at_least { Errno::NODEV } else { Errno::INVAL })?;
        Ok(self.files.set_len(open, len, (at_least, now))?)
    }

    fn statx(&mut self, slot: Option<Slot>, operation: Statx) -> StatxDone {
        let Statx { handle, path, links, mut metadata } = operation;
        let is_socket = slot.is_some_and(|slot| self.table.is_taken(slot));
        let result = match path.as_c_str() {
            Err(error) => Err(error),
            Ok(path) if is_socket && path.is_empty() => {
                *metadata = Default::default();
                metadata.file_type = FileType::Socket;
                Ok(())
            }
            Ok(path) => {
                let path = path.to_bytes();
                let found = match slot {
                    Some(_) if path.is_empty() => self.opened(slot, Errno::BADF).map(|open| open.node),
                    _ => self.start(slot, path).and_then(|start| self.files.lookup(start, path, links)),
                };
                found.map(|node| self.files.tell(node, &mut metadata)).map_err(Error::from)
            }
        };
        StatxDone { handle, path, links, metadata, result }
    }

    fn do_name(&mut self, slot: Option<Slot>, operation: Operation) -> Outcome {
        match operation {
            Operation::Rename(Rename { directory, from, to }) => {
                let result = self.with_names(slot, [&from, &to], |sim, start, [from, to], now| {
                    sim.files.rename(start, from, to, now)
                });
                Outcome::Rename(Renamed { directory, from, to, result })
            }
            Operation::Link(Link { directory, from, to }) => {
                let result = self.with_names(slot, [&from, &to], |sim, start, [from, to], now| {
                    sim.files.link(start, from, to, now)
                });
                Outcome::Link(Linked { directory, from, to, result })
            }
            Operation::Symlink(Symlink { directory, target, path }) => {
                let result = self.with_names(slot, [&path, &target], |sim, start, [path, target], now| {
                    if target.is_empty() {
                        return Err(Errno::NOENT);
                    }
                    sim.files.create(start, path, Content::Symlink(target.to_vec()), (0o777, now))
                });
                Outcome::Symlink(Symlinked { directory, target, path, result })
            }
            Operation::Unlink(Unlink { directory, path }) => {
                let result =
                    self.with_names(slot, [&path], |sim, start, [path], _| sim.files.unlink(start, path));
                Outcome::Unlink(Unlinked { directory, path, result })
            }
            Operation::MakeDir(MakeDir { directory, path, mode }) => {
                let result = self.with_names(slot, [&path], |sim, start, [path], now| {
                    sim.files.create(start, path, Content::directory(start), (mode, now))
                });
                Outcome::MakeDir(DirMade { directory, path, mode, result })
            }
            Operation::RemoveDir(RemoveDir { directory, path }) => {
                let result = self.with_names(slot, [&path], |sim, start, [path], _| {
                    sim.files.remove_directory(start, path)
                });
                Outcome::RemoveDir(DirRemoved { directory, path, result })
            }
            // Nothing else was taken.
            other => other.fail(Error::Unsupported),
        }
    }

    /// Does something with names, the first of which says where they begin.
    fn with_names<const N: usize>(
        &mut self,
        slot: Option<Slot>,
        names: [&FilePath; N],
        act: impl FnOnce(&mut Self, usize, [&[u8]; N], proactor_core::Time) -> Result<(), Errno>,
    ) -> Result<(), Error> {
        let mut paths = [&[][..]; N];
        for (path, name) in paths.iter_mut().zip(names) {
            *path = name.as_c_str()?.to_bytes();
        }
        let start = self.start(slot, paths[0])?;
        let now = self.clock.now();
        Ok(act(self, start, paths, now)?)
    }
}
