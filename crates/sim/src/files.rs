//! The files inside a simulation: directories, files, symbolic links, and a null device.
//!
//! Faults have the numbers that Linux gives for them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::{Duration, SystemTime};

use proactor_core::{Access, DirEntries, Direction, FileType, Links, Metadata, OpenOptions, Slot, Time};
use rustix::io::Errno;
use slab::Slab;

/// Names a file, whatever its names and wherever it is open.
pub(crate) type Id = usize;

/// What a file holds.
#[derive(Debug)]
pub(crate) enum Content {
    File(Vec<u8>),
    Directory(Directory),
    Symlink(Vec<u8>),
    /// Takes everything and has nothing, as /dev/null.
    Null,
    /// The name of a Unix socket.
    Socket,
}

#[derive(Debug)]
pub(crate) struct Directory {
    /// Itself, for the root.
    parent: Id,
    entries: BTreeMap<Vec<u8>, Id>,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) content: Content,
    mode: u32,
    /// How many names it has.
    links: u32,
    /// How many handles.
    open: u32,
    created: Time,
    accessed: Time,
    modified: Time,
    changed: Time,
}

/// A file in a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    pub(crate) node: Id,
    access: Access,
    append: bool,
    /// Where the next read or write without an offset begins.
    pub(crate) position: u64,
}

/// A place for a name, and what has it.
struct Place<'p> {
    directory: Id,
    /// Its own only where a link leads there.
    name: Cow<'p, [u8]>,
    node: Option<Id>,
}

/// All files of one simulation.
#[derive(Debug)]
pub(crate) struct Files {
    nodes: Slab<Node>,
    root: Id,
    open: BTreeMap<Slot, Open>,
    /// The last name that was listed of a directory which is open in a slot; empty where none was.
    listed: BTreeMap<Slot, Vec<u8>>,
}

impl Files {
    /// The longest file, in bytes. It is all in memory.
    const LONGEST: u64 = 256 << 20;
    /// How many symbolic links one path may go through.
    const MOST_LINKS: u32 = 40;
    /// What a file's room is counted in.
    const BLOCK: u64 = 512;

    pub(crate) fn new() -> Self {
        let mut nodes = Slab::new();
        let root = nodes.insert(Node::new(Content::directory(0), 0o755, Time::ZERO));
        // Its name is that it is the root.
        nodes[root].links = 1;
        let mut files = Self { nodes, root, open: BTreeMap::new(), listed: BTreeMap::new() };
        let temporary = files.nodes.insert(Node::new(Content::directory(root), 0o777, Time::ZERO));
        files.name(root, b"tmp", temporary);
        let devices = files.nodes.insert(Node::new(Content::directory(root), 0o755, Time::ZERO));
        files.name(root, b"dev", devices);
        let null = files.nodes.insert(Node::new(Content::Null, 0o666, Time::ZERO));
        files.name(devices, b"null", null);
        files
    }

    pub(crate) fn is_open(&self, slot: Slot) -> bool {
        self.open.contains_key(&slot)
    }

    /// What is open in a slot.
    pub(crate) fn opened(&self, slot: Slot) -> Option<Open> {
        self.open.get(&slot).copied()
    }

    /// Moves the position of what is open in a slot behind the `count` bytes that were read, or written.
    pub(crate) fn move_on(&mut self, slot: Slot, count: usize, direction: Direction) {
        let Some(open) = self.open.get_mut(&slot) else { return };
        let content = &self.nodes[open.node].content;
        open.position = match content {
            Content::File(bytes) if direction == Direction::Write && open.append => bytes.len() as u64,
            Content::File(_) => open.position + count as u64,
            // A device has none.
            _ => 0,
        };
    }

    /// Closes what is open in a slot, if anything is.
    pub(crate) fn close(&mut self, slot: Slot) -> bool {
        let Some(open) = self.open.remove(&slot) else { return false };
        self.listed.remove(&slot);
        self.nodes[open.node].open -= 1;
        self.forget_if_unused(open.node);
        true
    }

    /// Where relative paths begin: at what is open in a slot, or at the current directory, which is the root.
    pub(crate) fn start(&self, slot: Option<Slot>) -> Id {
        slot.and_then(|slot| self.opened(slot)).map_or(self.root, |open| open.node)
    }

    /// Opens a file into a slot that is free.
    pub(crate) fn open(
        &mut self,
        start: Id,
        path: &[u8],
        options: OpenOptions,
        (slot, now): (Slot, Time),
    ) -> Result<(), Errno> {
        let links = if options.create == proactor_core::Create::New { Links::Stay } else { Links::Follow };
        let place = self.find(start, path, links)?;
        let is_made = place.node.is_none();
        let node = match (place.node, options.create) {
            (None, proactor_core::Create::Never) => return Err(Errno::NOENT),
            (Some(_), proactor_core::Create::New) => return Err(Errno::EXIST),
            (Some(node), _) => node,
            (None, _) if options.directory => return Err(Errno::INVAL),
            (None, _) => self.make(&place, Content::File(Vec::new()), (options.mode, now))?,
        };
        let found = &mut self.nodes[node];
        let is_directory = matches!(found.content, Content::Directory(_));
        if matches!(found.content, Content::Socket) {
            return Err(Errno::NXIO);
        }
        if options.directory && !is_directory {
            return Err(Errno::NOTDIR);
        }
        let writes = options.access != Access::Read;
        if is_directory && (writes || options.create != proactor_core::Create::Never) {
            return Err(Errno::ISDIR);
        }
        if let Content::File(bytes) = &mut found.content
            && options.truncate
            && !is_made
        {
            bytes.clear();
            (found.modified, found.changed) = (now, now);
        }
        found.open += 1;
        self.open.insert(slot, Open { node, access: options.access, append: options.append, position: 0 });
        Ok(())
    }

    /// Reads as much as there is, and fits.
    pub(crate) fn read(
        &mut self,
        open: Open,
        into: &mut [u8],
        offset: u64,
        now: Time,
    ) -> Result<usize, Errno> {
        if open.access == Access::Write {
            return Err(Errno::BADF);
        }
        let node = &mut self.nodes[open.node];
        match &node.content {
            Content::File(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                let len = into.len().min(bytes.len() - start);
                into[..len].copy_from_slice(&bytes[start..start + len]);
                node.accessed = now;
                Ok(len)
            }
            Content::Directory(_) => Err(Errno::ISDIR),
            Content::Null | Content::Symlink(_) | Content::Socket => Ok(0),
        }
    }

    /// What can be read of what is open, without the time of it being told.
    pub(crate) fn readable(&self, open: Open) -> Result<&[u8], Errno> {
        if open.access == Access::Write {
            return Err(Errno::BADF);
        }
        match &self.nodes[open.node].content {
            Content::File(bytes) => Ok(bytes),
            Content::Directory(_) => Err(Errno::INVAL),
            Content::Null | Content::Symlink(_) | Content::Socket => Ok(&[]),
        }
    }

    /// Writes all of it.
    pub(crate) fn write(&mut self, open: Open, from: &[u8], offset: u64, now: Time) -> Result<usize, Errno> {
        if open.access == Access::Read {
            return Err(Errno::BADF);
        }
        let node = &mut self.nodes[open.node];
        if let Content::File(bytes) = &mut node.content {
            let offset = if open.append { bytes.len() as u64 } else { offset };
            let end = offset.saturating_add(from.len() as u64);
            if end > Self::LONGEST {
                return Err(Errno::FBIG);
            }
            // Not over LONGEST, so the conversions are exact.
            let (offset, end) = (offset as usize, end as usize);
            bytes.resize(bytes.len().max(end), 0);
            bytes[offset..end].copy_from_slice(from);
            (node.modified, node.changed) = (now, now);
        }
        Ok(from.len())
    }

    /// Makes a file this long, or at least this long.
    pub(crate) fn set_len(
        &mut self,
        open: Open,
        len: u64,
        (at_least, now): (bool, Time),
    ) -> Result<(), Errno> {
        if open.access == Access::Read {
            return Err(if at_least { Errno::BADF } else { Errno::INVAL });
        }
        let node = &mut self.nodes[open.node];
        match &mut node.content {
            Content::File(bytes) => {
                if len > Self::LONGEST {
                    return Err(Errno::FBIG);
                }
                let len = len as usize;
                bytes.resize(if at_least { bytes.len().max(len) } else { len }, 0);
                (node.modified, node.changed) = (now, now);
                Ok(())
            }
            Content::Null if at_least => Err(Errno::NODEV),
            _ => Err(Errno::INVAL),
        }
    }

    /// Lists what is in a directory: from the first name on, or from that behind the last which was listed, as much as
    /// there is room for.
    pub(crate) fn list(&mut self, slot: Slot, entries: &mut DirEntries, rewind: bool) -> Result<(), Errno> {
        /// What the system's form of an entry takes beside its name.
        const ENTRY: usize = 24;
        let node = self.opened(slot).ok_or(Errno::NOTDIR)?.node;
        let Content::Directory(directory) = &self.nodes[node].content else { return Err(Errno::NOTDIR) };
        self.check_alive(node)?;
        let last = self.listed.entry(slot).or_default();
        if rewind {
            last.clear();
        }
        // No name is empty.
        let from = if last.is_empty() { Bound::Unbounded } else { Bound::Excluded(last.as_slice()) };
        let mut room = entries.room();
        for (name, &id) in directory.entries.range::<[u8], _>((from, Bound::Unbounded)) {
            let Some(left) = room.checked_sub(ENTRY + name.len()) else { break };
            room = left;
            entries.push(name, Some(self.nodes[id].content.file_type()), id as u64 + 1);
        }
        if let Some(listed) = entries.len().checked_sub(1).and_then(|number| entries.get(number)) {
            last.clear();
            last.extend_from_slice(listed.as_bytes());
        }
        Ok(())
    }

    /// What is known of a file.
    pub(crate) fn tell(&self, id: Id, metadata: &mut Metadata) {
        let node = &self.nodes[id];
        let len = match &node.content {
            Content::File(bytes) | Content::Symlink(bytes) => bytes.len() as u64,
            Content::Directory(_) | Content::Null | Content::Socket => 0,
        };
        metadata.file_type = node.content.file_type();
        metadata.mode = node.mode;
        metadata.len = len;
        metadata.blocks = len.div_ceil(Self::BLOCK);
        metadata.block_size = 4096;
        metadata.links = node.links;
        (metadata.owner, metadata.group) = (0, 0);
        metadata.inode = id as u64 + 1;
        metadata.device = (0, 1);
        metadata.accessed = time(node.accessed);
        metadata.modified = time(node.modified);
        metadata.changed = time(node.changed);
        metadata.created = Some(time(node.created));
    }

    /// The file that a path names.
    pub(crate) fn lookup(&self, start: Id, path: &[u8], links: Links) -> Result<Id, Errno> {
        self.find(start, path, links)?.node.ok_or(Errno::NOENT)
    }

    /// Makes what has no name of its own yet: a directory, or a symbolic link.
    pub(crate) fn create(
        &mut self,
        start: Id,
        path: &[u8],
        content: Content,
        (mode, now): (u32, Time),
    ) -> Result<(), Errno> {
        let place = self.find(start, path, Links::Stay)?;
        if place.node.is_some() {
            return Err(Errno::EXIST);
        }
        self.make(&place, content, (mode, now)).map(drop)
    }

    /// Makes the name of a Unix socket, which holds it until it [releases](Self::release) it.
    pub(crate) fn make_socket(&mut self, path: &[u8], now: Time) -> Result<Id, Errno> {
        let place = self.find(self.root, path, Links::Stay)?;
        if place.node.is_some() {
            return Err(Errno::ADDRINUSE);
        }
        let node = self.make(&place, Content::Socket, (0o777, now))?;
        self.nodes[node].open += 1;
        Ok(node)
    }

    /// Lets go of what [`make_socket`](Self::make_socket) has made. Its names stay.
    pub(crate) fn release(&mut self, node: Id) {
        self.nodes[node].open -= 1;
        self.forget_if_unused(node);
    }

    pub(crate) fn rename(&mut self, start: Id, from: &[u8], to: &[u8], now: Time) -> Result<(), Errno> {
        let from = self.find(start, from, Links::Stay)?;
        let node = from.node.ok_or(Errno::NOENT)?;
        let to = self.find(start, to, Links::Stay)?;
        if from.is_special() || to.is_special() {
            return Err(Errno::BUSY);
        }
        if self.is_within(to.directory, node) {
            return Err(Errno::INVAL);
        }
        let is_directory = self.is_directory(node);
        if to.node == Some(node) {
            return Ok(());
        }
        if let Some(replaced) = to.node {
            match (is_directory, self.is_directory(replaced)) {
                (true, false) => return Err(Errno::NOTDIR),
                (false, true) => return Err(Errno::ISDIR),
                (true, true) => self.check_empty(replaced)?,
                (false, false) => {}
            }
            self.unname(&to);
        }
        // A name more for a moment, so that it is not forgotten.
        self.name(to.directory, &to.name, node);
        self.unname(&from);
        let moved = &mut self.nodes[node];
        moved.changed = now;
        if let Content::Directory(directory) = &mut moved.content {
            directory.parent = to.directory;
        }
        Ok(())
    }

    pub(crate) fn link(&mut self, start: Id, from: &[u8], to: &[u8], now: Time) -> Result<(), Errno> {
        let node = self.lookup(start, from, Links::Stay)?;
        let to = self.find(start, to, Links::Stay)?;
        if to.node.is_some() {
            return Err(Errno::EXIST);
        }
        if self.is_directory(node) {
            return Err(Errno::PERM);
        }
        self.check_alive(to.directory)?;
        self.name(to.directory, &to.name, node);
        self.nodes[node].changed = now;
        Ok(())
    }

    pub(crate) fn unlink(&mut self, start: Id, path: &[u8]) -> Result<(), Errno> {
        let place = self.find(start, path, Links::Stay)?;
        if self.is_directory(place.node.ok_or(Errno::NOENT)?) {
            return Err(Errno::ISDIR);
        }
        self.unname(&place);
        Ok(())
    }

    pub(crate) fn remove_directory(&mut self, start: Id, path: &[u8]) -> Result<(), Errno> {
        let place = self.find(start, path, Links::Stay)?;
        let node = place.node.ok_or(Errno::NOENT)?;
        if !self.is_directory(node) {
            return Err(Errno::NOTDIR);
        }
        if node == self.root {
            return Err(Errno::BUSY);
        }
        if place.is_special() {
            return Err(Errno::INVAL);
        }
        self.check_empty(node)?;
        self.unname(&place);
        Ok(())
    }

    fn is_directory(&self, id: Id) -> bool {
        matches!(self.nodes[id].content, Content::Directory(_))
    }

    fn check_empty(&self, id: Id) -> Result<(), Errno> {
        match &self.nodes[id].content {
            Content::Directory(directory) if !directory.entries.is_empty() => Err(Errno::NOTEMPTY),
            _ => Ok(()),
        }
    }

    /// In a directory that was removed, nothing can be made.
    fn check_alive(&self, directory: Id) -> Result<(), Errno> {
        if self.nodes[directory].links == 0 { Err(Errno::NOENT) } else { Ok(()) }
    }

    /// Whether `directory` is `node`, or somewhere in it.
    fn is_within(&self, mut directory: Id, node: Id) -> bool {
        loop {
            if directory == node {
                return true;
            }
            let Content::Directory(Directory { parent, .. }) = self.nodes[directory].content else {
                return false;
            };
            if parent == directory {
                return false;
            }
            directory = parent;
        }
    }

    fn make(&mut self, place: &Place<'_>, content: Content, (mode, now): (u32, Time)) -> Result<Id, Errno> {
        self.check_alive(place.directory)?;
        let mut content = content;
        if let Content::Directory(directory) = &mut content {
            directory.parent = place.directory;
        }
        let node = self.nodes.insert(Node::new(content, mode & 0o7777, now));
        self.name(place.directory, &place.name, node);
        Ok(node)
    }

    fn name(&mut self, directory: Id, name: &[u8], node: Id) {
        if let Content::Directory(directory) = &mut self.nodes[directory].content {
            directory.entries.insert(name.to_vec(), node);
            self.nodes[node].links += 1;
        }
    }

    fn unname(&mut self, place: &Place<'_>) {
        if let Content::Directory(directory) = &mut self.nodes[place.directory].content
            && let Some(node) = directory.entries.remove(&*place.name)
        {
            self.nodes[node].links -= 1;
            self.forget_if_unused(node);
        }
    }

    fn forget_if_unused(&mut self, id: Id) {
        let node = &self.nodes[id];
        if node.links == 0 && node.open == 0 && id != self.root {
            self.nodes.remove(id);
        }
    }

    /// Where a path leads.
    fn find<'p>(&self, start: Id, path: &'p [u8], links: Links) -> Result<Place<'p>, Errno> {
        if path.is_empty() {
            return Err(Errno::NOENT);
        }
        let place = self.walk(start, path, links, &mut 0)?;
        if path.ends_with(b"/") && place.node.is_some_and(|node| !self.is_directory(node)) {
            return Err(Errno::NOTDIR);
        }
        Ok(place)
    }

    /// The same, of what a link leads to as well, as the last of those that were `followed` so far.
    fn walk<'p>(
        &self,
        start: Id,
        path: &'p [u8],
        links: Links,
        followed: &mut u32,
    ) -> Result<Place<'p>, Errno> {
        let mut at = if path.first() == Some(&b'/') { self.root } else { start };
        let mut place = Place { directory: at, name: Cow::Borrowed(b"."), node: Some(at) };
        let mut names = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).peekable();
        while let Some(name) = names.next() {
            let is_last = names.peek().is_none();
            let Content::Directory(directory) = &self.nodes[at].content else { return Err(Errno::NOTDIR) };
            let node = match name {
                b"." => Some(at),
                b".." => Some(directory.parent),
                name => directory.entries.get(name).copied(),
            };
            place = match node.map(|node| &self.nodes[node].content) {
                Some(Content::Symlink(target)) if links == Links::Follow || !is_last => {
                    *followed += 1;
                    if *followed > Self::MOST_LINKS {
                        return Err(Errno::LOOP);
                    }
                    self.walk(at, target, Links::Follow, followed)?.into_owned()
                }
                _ => Place { directory: at, name: Cow::Borrowed(name), node },
            };
            match place.node {
                Some(node) => at = node,
                None if is_last => {}
                None => return Err(Errno::NOENT),
            }
        }
        Ok(place)
    }
}

impl Place<'_> {
    fn into_owned(self) -> Place<'static> {
        Place { name: Cow::Owned(self.name.into_owned()), ..self }
    }

    /// Whether its name is one that cannot be given or taken.
    fn is_special(&self) -> bool {
        matches!(&*self.name, b"." | b"..")
    }
}

impl Content {
    pub(crate) fn directory(parent: Id) -> Self {
        Self::Directory(Directory { parent, entries: BTreeMap::new() })
    }

    fn file_type(&self) -> FileType {
        match self {
            Self::File(_) => FileType::File,
            Self::Directory(_) => FileType::Directory,
            Self::Symlink(_) => FileType::Symlink,
            Self::Null => FileType::CharacterDevice,
            Self::Socket => FileType::Socket,
        }
    }
}

impl Node {
    fn new(content: Content, mode: u32, now: Time) -> Self {
        Self { links: 0, open: 0, content, mode, created: now, accessed: now, modified: now, changed: now }
    }
}

/// The simulation begins with Unix time.
fn time(time: Time) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(time.as_nanos())
}
