//! What a descriptor is ready for.

use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use proactor_core::{Error, Interest, Readiness};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::call::call;
use crate::descriptor::DescriptorKind;

const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// What the system calls each interest. Errors and hang-ups of both directions it tells in any case.
const INTERESTS: [(Interest, PollFlags); 4] = [
    (Interest::READABLE, PollFlags::IN),
    (Interest::WRITABLE, PollFlags::OUT),
    (Interest::PRIORITY, PollFlags::PRI),
    (Interest::HANG_UP, PollFlags::RDHUP),
];

/// An interest as poll(2) takes it.
#[must_use]
pub fn poll_flags(interest: Interest) -> PollFlags {
    let asked = INTERESTS.into_iter().filter(|(one, _)| interest.contains(*one));
    asked.fold(PollFlags::empty(), |flags, (_, flag)| flags | flag)
}

/// What poll(2) has answered to somebody with this interest.
#[must_use]
pub fn readiness(interest: Interest, answer: PollFlags) -> Readiness {
    let told = INTERESTS.into_iter().filter(|(one, flag)| interest.contains(*one) && answer.contains(*flag));
    let mut ready = told.fold(Readiness::NONE, |ready, (one, _)| ready | one.into());
    if answer.contains(PollFlags::HUP) {
        ready |= Interest::HANG_UP.into();
    }
    if answer.contains(PollFlags::ERR) {
        ready |= Readiness::ERROR;
    }
    ready
}

/// What `descriptor` is ready for now, as far as that is of interest.
///
/// # Errors
/// What the system said.
pub fn poll_now(descriptor: BorrowedFd<'_>, interest: Interest) -> Result<Readiness, Error> {
    let mut asked = [PollFd::from_borrowed_fd(descriptor, poll_flags(interest))];
    call(|| poll(&mut asked, Some(&NOW)))?;
    Ok(readiness(interest, asked[0].revents()))
}

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

    #[test]
    fn a_pipe_is_ready_for_what_it_is() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let all = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
        assert_eq!(poll_now(reader.as_fd(), all), Ok(Readiness::NONE));
        assert_eq!(poll_now(writer.as_fd(), all), Ok(Interest::WRITABLE.into()));
        assert_eq!(poll_now(writer.as_fd(), Interest::READABLE), Ok(Readiness::NONE));
        drop(writer);
        assert_eq!(poll_now(reader.as_fd(), Interest::READABLE), Ok(Interest::HANG_UP.into()));
    }

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
