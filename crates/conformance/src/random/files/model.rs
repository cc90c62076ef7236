//! What a directory of files and empty directories does, with the errors that the system gives for it.

use std::collections::BTreeMap;

use proactor_core::{Access, Address, Create, Error, OpenOptions};
use rustix::io::Errno;

use crate::steps::system;

/// What an outcome tells beside its error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    Done,
    Bytes(Vec<u8>),
    Number(u64),
    File { len: u64, links: u64 },
    Directory,
    Address(Address),
}

/// A file or a directory, whatever its names.
#[derive(Debug)]
struct Node {
    /// None of a directory, which is always empty.
    bytes: Option<Vec<u8>>,
}

/// What was opened.
#[derive(Clone, Copy, Debug)]
struct Open {
    node: usize,
    access: Access,
    append: bool,
    is_open: bool,
}

/// The directory, and what is open.
#[derive(Default, Debug)]
pub(crate) struct Model {
    nodes: Vec<Node>,
    names: BTreeMap<usize, usize>,
    open: Vec<Open>,
}

type Answer = Result<Told, Error>;

fn fails<T>(errno: Errno) -> Result<T, Error> {
    Err(system(errno))
}

impl Model {
    /// The names, each with what is in its file; none of a directory.
    pub(crate) fn names(&self) -> impl Iterator<Item = (usize, Option<Vec<u8>>)> + '_ {
        self.names.iter().map(|(&name, &node)| (name, self.nodes[node].bytes.clone()))
    }

    fn is_directory(&self, node: usize) -> bool {
        self.nodes[node].bytes.is_none()
    }

    fn node(&self, name: usize) -> Result<usize, Error> {
        self.names.get(&name).copied().ok_or(system(Errno::NOENT))
    }

    fn make(&mut self, name: usize, bytes: Option<Vec<u8>>) -> usize {
        self.nodes.push(Node { bytes });
        self.names.insert(name, self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    pub(crate) fn open(&mut self, name: usize, options: OpenOptions, runs: bool) -> Answer {
        let found = self.names.get(&name).copied();
        let writes = options.access != Access::Read;
        match (found, options.create) {
            (None, Create::Never) => return fails(Errno::NOENT),
            (Some(_), Create::New) => return fails(Errno::EXIST),
            (Some(node), create) if self.is_directory(node) && (writes || create != Create::Never) => {
                return fails(Errno::ISDIR);
            }
            (Some(node), _) if options.directory && !self.is_directory(node) => return fails(Errno::NOTDIR),
            _ => {}
        }
        if runs {
            let node = found.unwrap_or_else(|| self.make(name, Some(Vec::new())));
            if let Some(bytes) = &mut self.nodes[node].bytes
                && options.truncate
            {
                bytes.clear();
            }
            self.open.push(Open { node, access: options.access, append: options.append, is_open: true });
        }
        Ok(Told::Done)
    }

    pub(crate) fn is_open(&self, file: usize) -> Result<(), Error> {
        if self.open[file].is_open { Ok(()) } else { Err(Error::StaleHandle) }
    }

    /// A directory cannot be stored by all hosts of programs.
    pub(crate) fn sync(&self, file: usize) -> Answer {
        self.is_open(file)?;
        if cfg!(not(unix)) && self.is_directory(self.open[file].node) {
            return fails(Errno::NOTSUP);
        }
        Ok(Told::Done)
    }

    pub(crate) fn close(&mut self, file: usize) -> Result<(), Error> {
        self.is_open(file)?;
        self.open[file].is_open = false;
        Ok(())
    }

    pub(crate) fn read(&self, file: usize, len: usize, offset: u64) -> Answer {
        self.is_open(file)?;
        let open = self.open[file];
        if len == 0 {
            return Ok(Told::Bytes(Vec::new()));
        }
        if open.access == Access::Write {
            return fails(Errno::BADF);
        }
        let Some(bytes) = &self.nodes[open.node].bytes else { return fails(Errno::ISDIR) };
        let start = (offset as usize).min(bytes.len());
        let end = (start + len).min(bytes.len());
        Ok(Told::Bytes(bytes[start..end].to_vec()))
    }

    pub(crate) fn write(&mut self, file: usize, from: &[u8], offset: u64, runs: bool) -> Answer {
        self.is_open(file)?;
        let open = self.open[file];
        if from.is_empty() {
            return Ok(Told::Number(0));
        }
        if open.access == Access::Read {
            return fails(Errno::BADF);
        }
        if runs && let Some(bytes) = &mut self.nodes[open.node].bytes {
            let start = if open.append { bytes.len() } else { offset as usize };
            let end = start + from.len();
            bytes.resize(bytes.len().max(end), 0);
            bytes[start..end].copy_from_slice(from);
        }
        Ok(Told::Number(from.len() as u64))
    }

    /// Cuts or lengthens a file; `unwritable` is the error where it was not opened for that.
    pub(crate) fn set_len(
        &mut self,
        file: usize,
        len: impl FnOnce(u64) -> u64,
        unwritable: Errno,
        runs: bool,
    ) -> Answer {
        self.is_open(file)?;
        let open = self.open[file];
        if open.access == Access::Read {
            return fails(unwritable);
        }
        if runs && let Some(bytes) = &mut self.nodes[open.node].bytes {
            let len = len(bytes.len() as u64);
            bytes.resize(len as usize, 0);
        }
        Ok(Told::Done)
    }

    pub(crate) fn about(&self, file: usize) -> Answer {
        self.is_open(file)?;
        Ok(self.tell(self.open[file].node))
    }

    pub(crate) fn about_name(&self, name: usize) -> Answer {
        self.node(name).map(|node| self.tell(node))
    }

    fn tell(&self, node: usize) -> Told {
        match &self.nodes[node].bytes {
            Some(bytes) => {
                let links = self.names.values().filter(|&&other| other == node).count();
                Told::File { len: bytes.len() as u64, links: links as u64 }
            }
            None => Told::Directory,
        }
    }

    pub(crate) fn rename(&mut self, from: usize, to: usize, runs: bool) -> Answer {
        let node = self.node(from)?;
        if let Some(&replaced) = self.names.get(&to) {
            if replaced == node {
                return Ok(Told::Done);
            }
            match (self.is_directory(node), self.is_directory(replaced)) {
                (true, false) => return fails(Errno::NOTDIR),
                (false, true) => return fails(Errno::ISDIR),
                _ => {}
            }
        }
        if runs {
            self.names.remove(&from);
            self.names.insert(to, node);
        }
        Ok(Told::Done)
    }

    pub(crate) fn link(&mut self, from: usize, to: usize, runs: bool) -> Answer {
        let node = self.node(from)?;
        if self.names.contains_key(&to) {
            return fails(Errno::EXIST);
        }
        if self.is_directory(node) {
            return fails(Errno::PERM);
        }
        if runs {
            self.names.insert(to, node);
        }
        Ok(Told::Done)
    }

    pub(crate) fn unlink(&mut self, name: usize, runs: bool) -> Answer {
        let node = self.node(name)?;
        if self.is_directory(node) {
            return fails(Errno::ISDIR);
        }
        if runs {
            self.names.remove(&name);
        }
        Ok(Told::Done)
    }

    pub(crate) fn make_directory(&mut self, name: usize, runs: bool) -> Answer {
        if self.names.contains_key(&name) {
            return fails(Errno::EXIST);
        }
        if runs {
            self.make(name, None);
        }
        Ok(Told::Done)
    }

    pub(crate) fn remove_directory(&mut self, name: usize, runs: bool) -> Answer {
        let node = self.node(name)?;
        if !self.is_directory(node) {
            return fails(Errno::NOTDIR);
        }
        if runs {
            self.names.remove(&name);
        }
        Ok(Told::Done)
    }
}
