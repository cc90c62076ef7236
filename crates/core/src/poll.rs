//! Waiting for what a descriptor can do, for libraries that do their transfers themselves.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

use crate::operation::{Multishot, OneShot, Target, UNDECIDED, submission};
use crate::outcome::{Outcome, error_of_result};
use crate::{Error, Handle};

/// Completes when a descriptor is ready for something of its [`Interest`]: at once if it is now (contract H3, X2).
///
/// It transfers nothing. It is for another library whose descriptor is attached (a duplicate of it, since the loop owns
/// what it is given, or detached again before the library closes it). What the loop itself can transfer needs none of it.
/// Any number may be under way on one handle, beside other operations, in no order. What is ready may no longer be when
/// the callback runs, and somebody else may have taken it: use calls that do not wait.
///
/// Armed again by its callback it says so again, as long as the descriptor is ready (*level-triggered*);
/// [`PollMany`] tells each change once.
///
/// Where the system cannot wait for a descriptor (regular files, directories, /dev/null) it ends with
/// [`Error::Unsupported`] (contract E1); so does everything where
/// [`Capabilities::polling`](crate::Capabilities) is missing. No interest at all is [`Error::InvalidInput`].
///
/// ```no_run
/// use std::io::Read;
/// use std::os::unix::net::UnixStream;
///
/// # // Any backend that has descriptors; the simulator has none.
/// use proactor_sim::{Config, Interest, Loop, Poll, RunMode};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (mut library, _peer) = UnixStream::pair()?;
/// library.set_nonblocking(true)?;
/// let mut ev = Loop::<()>::open(Config::default())?;
/// let mut cx = ev.context();
/// let handle = cx.attach(library.try_clone()?)?;
/// cx.submit(Poll { handle, interest: Interest::READABLE }, move |_, cx, polled| {
///     if polled.result.is_ok_and(|ready| ready.is_readable()) {
///         let mut bytes = [0; 4096];
///         let received = library.read(&mut bytes);
///         println!("{received:?}");
///     }
///     cx.close(polled.handle);
/// });
/// ev.run(&mut (), RunMode::UntilDone)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Poll {
    /// What to ask.
    pub handle: Handle,
    /// What for.
    pub interest: Interest,
}

/// Tells whenever a descriptor becomes ready for something of its [`Interest`], until it is stopped: one event at once if
/// it is ready, and then at least one for each change (*edge-triggered*).
///
/// Each event has all of the interest that the descriptor is ready for. Who gets one transfers until the system says that
/// it would block: what is left is not told again until more comes. An event may come where nothing has changed. As for
/// [`Poll`], any number may be under way on one handle, and a descriptor that cannot be waited for is
/// [`Error::Unsupported`]. Submitted by [`Context::submit_multishot`](crate::Context::submit_multishot).
#[derive(Debug)]
pub struct PollMany {
    /// What to ask.
    pub handle: Handle,
    /// What for.
    pub interest: Interest,
}

/// How a [`Poll`](crate::Poll) went.
#[derive(Debug)]
pub struct Polled {
    /// What was asked.
    pub handle: Handle,
    /// What for.
    pub interest: Interest,
    /// What it is ready for: something of the interest, or an error or a hang-up, which are always told.
    pub result: Result<Readiness, Error>,
}

/// How a [`PollMany`](crate::PollMany) ended.
#[derive(Debug)]
pub struct PollManyEnded {
    /// What was asked, to ask again.
    pub handle: Handle,
    /// What for.
    pub interest: Interest,
    /// Why it ended: [`Error::Canceled`] after it was stopped or cancelled, or its handle closed.
    pub error: Error,
}

const READABLE: u8 = 1;
const WRITABLE: u8 = 2;
const PRIORITY: u8 = 4;
const HANG_UP: u8 = 8;
const ERROR: u8 = 16;

/// The names of the bits, in their order.
const NAMES: [&str; 5] = ["READABLE", "WRITABLE", "PRIORITY", "HANG_UP", "ERROR"];

fn show(bits: u8, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let set = NAMES.iter().enumerate().filter(|(index, _)| bits >> index & 1 != 0).map(|(_, name)| *name);
    write!(f, "{name}({})", set.collect::<Vec<_>>().join(" | "))
}

/// What a [`Poll`] or a [`PollMany`] is to tell; combined by `|`. Errors, and the hang-up of both directions, are told in
/// any case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Interest(u8);

impl Interest {
    /// A call that reads would not wait: there are bytes, a connection to accept, the end of a stream.
    pub const READABLE: Self = Self(READABLE);
    /// A call that writes would not wait.
    pub const WRITABLE: Self = Self(WRITABLE);
    /// There is something out of the ordinary: urgent data of TCP, a changed state of a pseudo-terminal.
    pub const PRIORITY: Self = Self(PRIORITY);
    /// The peer sends no more: it has closed, or shut down its writing half.
    pub const HANG_UP: Self = Self(HANG_UP);

    /// Whether all of `other` is in it.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Interest {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(self.0, "Interest", f)
    }
}

/// What a descriptor is ready for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Readiness(u8);

impl Readiness {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// An error is there to be fetched, or nobody reads what is written.
    pub const ERROR: Self = Self(ERROR);

    /// Whether a call that reads would not wait.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.0 & READABLE != 0
    }

    /// Whether a call that writes would not wait.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.0 & WRITABLE != 0
    }

    /// Whether there is something out of the ordinary: urgent data.
    #[must_use]
    pub const fn is_priority(self) -> bool {
        self.0 & PRIORITY != 0
    }

    /// Whether the peer sends no more, or both directions are over.
    #[must_use]
    pub const fn is_hang_up(self) -> bool {
        self.0 & HANG_UP != 0
    }

    /// Whether there is an error to be fetched, or nobody who reads.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 & ERROR != 0
    }

    /// Whether it is ready for nothing.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl From<Interest> for Readiness {
    fn from(interest: Interest) -> Self {
        Self(interest.0)
    }
}

impl BitOr for Readiness {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Readiness {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(self.0, "Readiness", f)
    }
}

fn objection(interest: Interest) -> Option<Error> {
    interest.is_empty().then_some(Error::InvalidInput)
}

submission!(Poll => Polled, Poll, |this| Target::Unordered(this.handle), |this| {
    Polled { handle: this.handle, interest: this.interest, result: Err(UNDECIDED) }
}, |this| objection(this.interest));
submission!(PollMany => PollManyEnded, PollManyEnded, |this| Target::Unordered(this.handle), |this| {
    PollManyEnded { handle: this.handle, interest: this.interest, error: UNDECIDED }
}, |this| objection(this.interest));

impl OneShot for Poll {}

impl Multishot for PollMany {
    type Item = Readiness;

    #[inline(always)]
    fn item(outcome: Outcome) -> Option<Readiness> {
        match outcome {
            Outcome::PollManyItem(readiness) => Some(readiness),
            // As for outputs.
            other => {
                std::mem::forget(other);
                None
            }
        }
    }
}

error_of_result!(Polled);

impl PollManyEnded {
    /// Why it ended.
    #[must_use]
    pub const fn error(&self) -> Option<Error> {
        Some(self.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interests_combine_and_are_shown() {
        let mut interest = Interest::READABLE | Interest::HANG_UP;
        assert!(interest.contains(Interest::READABLE) && !interest.contains(Interest::WRITABLE));
        interest |= Interest::WRITABLE;
        assert_eq!(format!("{interest:?}"), "Interest(READABLE | WRITABLE | HANG_UP)");
        assert!(Interest::default().is_empty() && !interest.is_empty());
    }

    #[test]
    fn readiness_tells_its_parts() {
        let mut ready = Readiness::from(Interest::READABLE | Interest::PRIORITY);
        assert!(ready.is_readable() && ready.is_priority() && !ready.is_writable() && !ready.is_none());
        ready |= Readiness::ERROR | Interest::HANG_UP.into();
        assert!(ready.is_error() && ready.is_hang_up());
        assert_eq!(format!("{ready:?}"), "Readiness(READABLE | PRIORITY | HANG_UP | ERROR)");
        assert!(Readiness::NONE.is_none());
    }
}
