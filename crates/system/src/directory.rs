//! What is in a directory. May wait for the disk: for the pool of threads.

use std::os::fd::BorrowedFd;

use proactor_core::{DirRead, Error};

#[cfg(not(any(target_os = "linux", target_os = "wasi")))]
mod bsd;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "wasi")]
mod wasi;

#[cfg(not(any(target_os = "linux", target_os = "wasi")))]
use bsd::{fill, rewind};
#[cfg(target_os = "linux")]
use linux::{fill, rewind};
#[cfg(target_os = "wasi")]
pub(crate) use wasi::forget;
#[cfg(target_os = "wasi")]
use wasi::{fill, rewind};

/// Reads a batch.
pub(crate) fn read(done: &mut DirRead, directory: BorrowedFd<'_>) -> Result<usize, Error> {
    done.entries.clear();
    if done.rewind {
        rewind(directory)?;
    }
    let mut scratch = done.entries.take_scratch();
    let read = fill(directory, &mut scratch, &mut done.entries);
    done.entries.put_scratch(scratch);
    if read.is_err() {
        done.entries.clear();
    }
    read.map(|()| done.entries.len())
}
