//! A directory of a case's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use proactor_core::{Backend, FilePath};

use crate::Fixture;

/// A directory that is empty when a case begins, and gone when it has ended: a real one, or, on a backend whose files
/// nobody else sees, the one that is there in each of its loops.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    is_real: bool,
}

impl Scratch {
    pub(crate) fn new<B: Backend>(fixture: &Fixture<B>) -> Self {
        if fixture.capabilities().descriptors {
            Self::on_disk()
        } else {
            Self { path: "/tmp".into(), is_real: false }
        }
    }

    fn on_disk() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = folder(number);
        fs::create_dir(&path).expect("a directory of its own");
        Self { path, is_real: true }
    }

    /// The directory itself.
    pub(crate) fn directory(&self) -> FilePath {
        FilePath::from(self.path.as_path())
    }

    /// A name in it, for an operation.
    pub(crate) fn path(&self, name: &str) -> FilePath {
        FilePath::from(self.path.join(name))
    }

    /// A name in it, for the standard library. Only where the files are real.
    pub(crate) fn real(&self, name: &str) -> PathBuf {
        assert!(self.is_real, "these files are in memory");
        Path::join(&self.path, name)
    }
}

/// Beside the program: where it was built is a disk, which the directory for temporary files need not be.
#[cfg(unix)]
fn folder(number: u32) -> PathBuf {
    let program = std::env::current_exe().expect("the program's own path is known");
    program.with_file_name(format!("proactor-case-{}-{number}", std::process::id()))
}

/// In the directory that whoever runs the program has opened for it: nothing else is there.
#[cfg(not(unix))]
fn folder(number: u32) -> PathBuf {
    let folder = std::env::var_os("PROACTOR_CONFORMANCE_FOLDER").expect("whoever runs it says where");
    Path::new(&folder).join(format!("proactor-case-{number}"))
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.is_real {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
