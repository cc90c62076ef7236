//! What a descriptor is.

use std::os::fd::BorrowedFd;

use proactor_core::Error;
use wasip1::{
    FILETYPE_DIRECTORY, FILETYPE_REGULAR_FILE, FILETYPE_SOCKET_DGRAM, FILETYPE_SOCKET_STREAM, Filetype,
};

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
        _ => DescriptorKind::Character,
    })
}

/// Whether a socket was passed in: there are no others.
pub(super) fn has_sockets() -> bool {
    has_any([FILETYPE_SOCKET_STREAM, FILETYPE_SOCKET_DGRAM])
}

/// Whether a directory was opened for the program: there are no others to begin with.
pub(super) fn has_directories() -> bool {
    has_any([FILETYPE_DIRECTORY, FILETYPE_DIRECTORY])
}

/// Whether there is a descriptor of these types among those that a program has when it starts: standard streams, then
/// directories, then sockets, without a gap.
fn has_any(types: [Filetype; 2]) -> bool {
    (0..)
        .map_while(|number| calls::status_of_number(number).ok())
        .any(|status| types.contains(&status.fs_filetype))
}
