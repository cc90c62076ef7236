//! Processes as descriptors.

use std::os::fd::OwnedFd;

use proactor_core::{ChildProcess, Error};
use rustix::process::{PidfdFlags, getpid, pidfd_open};

use super::process_id;
use crate::call::call;

/// Whether a process can be had as a descriptor, which becomes readable when it ends (Linux 5.3, and not forbidden).
#[must_use]
pub fn has_process_descriptors() -> bool {
    pidfd_open(getpid(), PidfdFlags::empty()).is_ok()
}

/// A descriptor of a child that [was not waited for](super::try_wait) yet, so that its number is still its own.
///
/// # Errors
/// What the system said.
pub fn process_descriptor(child: &ChildProcess) -> Result<OwnedFd, Error> {
    let id = process_id(child)?;
    call(|| pidfd_open(id, PidfdFlags::empty()))
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::task::Poll;

    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;
    use crate::try_wait;

    #[test]
    fn the_descriptor_is_readable_when_it_has_ended() {
        assert!(has_process_descriptors());
        let (reader, writer) = std::io::pipe().unwrap();
        let child = Command::new("sh").args(["-c", "read line; exit 42"]).stdin(reader).spawn().unwrap();
        let mut child = ChildProcess::from(child);
        let descriptor = process_descriptor(&child).unwrap();
        assert_eq!(try_wait(&mut child), Poll::Pending);
        drop(writer);
        assert_eq!(poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], None), Ok(1));
        let Poll::Ready(Ok(status)) = try_wait(&mut child) else { panic!("it has ended") };
        assert_eq!(status.code(), Some(42));
    }
}
