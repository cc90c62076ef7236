//! What a descriptor is ready for.

use std::os::fd::BorrowedFd;

use proactor_core::{Error, Interest, Readiness};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::call::call;

#[cfg(not(target_os = "linux"))]
mod bsd;
#[cfg(target_os = "linux")]
mod linux;

#[cfg(not(target_os = "linux"))]
use bsd::{HANG_UP, has_ended};
#[cfg(target_os = "linux")]
pub use linux::{can_poll, take_change, watch_alone};

/// That the other end writes no more has a name of its own here.
#[cfg(target_os = "linux")]
const HANG_UP: PollFlags = PollFlags::RDHUP;

const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// What the system calls each interest. Errors and hang-ups of both directions it tells in any case.
const INTERESTS: [(Interest, PollFlags); 4] = [
    (Interest::READABLE, PollFlags::IN),
    (Interest::WRITABLE, PollFlags::OUT),
    (Interest::PRIORITY, PollFlags::PRI),
    (Interest::HANG_UP, HANG_UP),
];

/// An interest as poll(2) takes it.
#[must_use]
#[cfg_attr(not(target_os = "linux"), expect(unreachable_pub, reason = "io_uring has it polled"))]
pub fn poll_flags(interest: Interest) -> PollFlags {
    let asked = INTERESTS.into_iter().filter(|(one, _)| interest.contains(*one));
    asked.fold(PollFlags::empty(), |flags, (_, flag)| flags | flag)
}

/// What poll(2) has answered to somebody with this interest.
#[must_use]
#[cfg_attr(not(target_os = "linux"), expect(unreachable_pub, reason = "as above"))]
pub fn readiness(interest: Interest, answer: PollFlags) -> Readiness {
    let told =
        INTERESTS.into_iter().filter(|(one, flag)| interest.contains(*one) && answer.intersects(*flag));
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
    #[cfg_attr(target_os = "linux", expect(unused_mut, reason = "elsewhere poll(2) does not tell all"))]
    let mut ready = readiness(interest, asked[0].revents());
    #[cfg(not(target_os = "linux"))]
    if interest.contains(Interest::HANG_UP) && has_ended(descriptor) {
        ready |= Interest::HANG_UP.into();
    }
    Ok(ready)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

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
}
