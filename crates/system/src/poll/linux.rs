//! Polling by a poller of its own.

use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use proactor_core::{Error, Interest};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;

use super::{NOW, poll_flags};
use crate::call::call;
use crate::descriptor::DescriptorKind;

/// A poller that watches `descriptor` alone, for changes of what is of interest: readable once there was one, until that is
/// [taken](take_change). It must not outlive the descriptor.
///
/// # Errors
/// What the system said.
pub fn watch_alone(descriptor: BorrowedFd<'_>, interest: Interest) -> Result<OwnedFd, Error> {
    let poller = call(|| epoll::create(CreateFlags::CLOEXEC))?;
    // The bits of both calls are the same.
    let events = EventFlags::from_bits_retain(poll_flags(interest).bits().into()) | EventFlags::ET;
    call(|| epoll::add(&poller, descriptor, EventData::new_u64(0), events))?;
    Ok(poller)
}

/// Takes the change that such a poller tells of, if there is one, so that only the next one shows.
pub fn take_change(poller: &OwnedFd) {
    let mut event = [MaybeUninit::uninit()];
    // A poller has no reason to fail; what it would have told is asked of the descriptor itself.
    let _ = call(|| epoll::wait(poller, &mut event, Some(&NOW)).map(drop));
}

/// Whether the system can wait for what `descriptor`, which is of this kind, refers to. It says of some character devices
/// that they are always ready.
///
/// # Errors
/// What the system said.
pub fn can_poll(descriptor: BorrowedFd<'_>, kind: DescriptorKind) -> Result<bool, Error> {
    match kind {
        DescriptorKind::Socket(_) => return Ok(true),
        DescriptorKind::File | DescriptorKind::Directory => return Ok(false),
        DescriptorKind::Character | DescriptorKind::Other => {}
    }
    // Nobody but this poller answers that.
    let poller = call(|| epoll::create(CreateFlags::CLOEXEC))?;
    match epoll::add(&poller, descriptor, EventData::new_u64(0), EventFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::PERM) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;
    use crate::descriptor::descriptor_kind;
    use crate::poll_now;

    #[test]
    fn changes_are_told_once() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let poller = watch_alone(reader.as_fd(), Interest::READABLE).unwrap();
        let has_change = || poll_now(poller.as_fd(), Interest::READABLE).unwrap().is_readable();
        assert!(!has_change());
        for _ in 0..2 {
            rustix::io::write(&writer, b"a").unwrap();
            assert!(has_change() && has_change());
            take_change(&poller);
            assert!(!has_change());
        }
    }

    #[test]
    fn what_cannot_be_waited_for_is_told() {
        let can = |descriptor: &dyn AsFd| {
            let descriptor = descriptor.as_fd();
            can_poll(descriptor, descriptor_kind(descriptor).unwrap()).unwrap()
        };
        let (reader, _writer) = rustix::pipe::pipe().unwrap();
        let poller = epoll::create(CreateFlags::CLOEXEC).unwrap();
        assert!(can(&reader) && can(&poller));
        assert!(!can(&File::open("/dev/null").unwrap()) && !can(&File::open("/").unwrap()));
    }
}
