//! What a descriptor is.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use proactor_core::Error;
use wasip1::{FILETYPE_DIRECTORY, FILETYPE_REGULAR_FILE, FILETYPE_SOCKET_DGRAM, FILETYPE_SOCKET_STREAM};

use super::calls;
use crate::call::call;
use crate::{DescriptorKind, Transport};

/// Finds out what `descriptor` is. Of a stream the host says no more than that.
///
/// # Errors
/// What the system said.
pub fn descriptor_kind(descriptor: BorrowedFd<'_>) -> Result<DescriptorKind, Error> {
    Ok(match call(|| calls::status(descriptor))?.fs_filetype {
        FILETYPE_SOCKET_STREAM => DescriptorKind::Socket(Transport::OtherStream),
        FILETYPE_SOCKET_DGRAM => DescriptorKind::Socket(Transport::Messages),
        FILETYPE_REGULAR_FILE => DescriptorKind::File,
        FILETYPE_DIRECTORY => {
            crate::directory::forget(descriptor);
            DescriptorKind::Directory
        }
        // A terminal, a device, or what the host does not say: a pipe as standard input, most often.
        _ => {
            super::ahead::forget(descriptor);
            DescriptorKind::Character
        }
    })
}

/// What a program was given, beside its standard streams.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Given {
    pub(super) sockets: bool,
    pub(super) directories: bool,
}

/// Looks for what was given: standard streams, then directories and sockets, without a gap while the program has opened
/// nothing itself. Directories behind a socket are [made known](calls::make_known), once.
pub(super) fn given() -> Given {
    static MADE_KNOWN: AtomicBool = AtomicBool::new(false);
    let is_first = !MADE_KNOWN.swap(true, Ordering::Relaxed);
    let mut given = Given::default();
    for (number, status) in (0..).map_while(|number| Some((number, calls::status_of_number(number).ok()?))) {
        match status.fs_filetype {
            FILETYPE_SOCKET_STREAM | FILETYPE_SOCKET_DGRAM => given.sockets = true,
            FILETYPE_DIRECTORY => {
                given.directories = true;
                if is_first && given.sockets {
                    // Where the C library has no room, paths are not found there, as it says then.
                    let _ = calls::make_known(number);
                }
            }
            _ => {}
        }
    }
    given
}
