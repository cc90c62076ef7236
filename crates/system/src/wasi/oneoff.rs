//! `poll_oneoff`: a list of what is waited for, once.

use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use proactor_core::Error;
use wasip1::{
    CLOCKID_MONOTONIC, EVENTRWFLAGS_FD_READWRITE_HANGUP, EVENTTYPE_CLOCK, EVENTTYPE_FD_READ,
    EVENTTYPE_FD_WRITE, Event, EventFdReadwrite, SubscriptionClock, SubscriptionFdReadwrite, SubscriptionU,
    SubscriptionUU,
};

use crate::call::call;

/// Something to wait for, with a number of the caller's.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Subscription(wasip1::Subscription);

impl Subscription {
    /// That a call on `descriptor` that reads may have an answer. The descriptor must be open when it is waited for.
    #[must_use]
    pub fn read(number: u64, descriptor: BorrowedFd<'_>) -> Self {
        let fd_read = SubscriptionFdReadwrite { file_descriptor: descriptor.as_raw_fd().cast_unsigned() };
        Self::new(number, EVENTTYPE_FD_READ.raw(), SubscriptionUU { fd_read })
    }

    /// That a call on it that writes may have an answer.
    #[must_use]
    pub fn write(number: u64, descriptor: BorrowedFd<'_>) -> Self {
        let fd_write = SubscriptionFdReadwrite { file_descriptor: descriptor.as_raw_fd().cast_unsigned() };
        Self::new(number, EVENTTYPE_FD_WRITE.raw(), SubscriptionUU { fd_write })
    }

    /// That so much time has passed on the monotonic clock: 584 years at most.
    #[must_use]
    pub fn after(number: u64, time: Duration) -> Self {
        let timeout = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self::clock(number, timeout)
    }

    /// That no time has passed, which has happened already.
    #[must_use]
    pub const fn now(number: u64) -> Self {
        Self::clock(number, 0)
    }

    /// Its number.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.0.userdata
    }

    const fn clock(number: u64, timeout: u64) -> Self {
        let clock = SubscriptionClock { id: CLOCKID_MONOTONIC, timeout, precision: 0, flags: 0 };
        Self::new(number, EVENTTYPE_CLOCK.raw(), SubscriptionUU { clock })
    }

    const fn new(userdata: u64, tag: u8, u: SubscriptionUU) -> Self {
        Self(wasip1::Subscription { userdata, u: SubscriptionU { tag, u } })
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("number", &self.0.userdata).finish_non_exhaustive()
    }
}

/// What has happened of that.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Happened(Event);

impl Happened {
    /// What [`poll_oneoff`] writes over.
    pub const NOTHING: Self = Self(Event {
        userdata: 0,
        error: wasip1::ERRNO_SUCCESS,
        type_: EVENTTYPE_CLOCK,
        fd_readwrite: EventFdReadwrite { nbytes: 0, flags: 0 },
    });

    /// The number of its subscription.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.0.userdata
    }

    /// Whether it is about the clock.
    #[must_use]
    pub fn is_clock(&self) -> bool {
        self.0.type_ == EVENTTYPE_CLOCK
    }

    /// Whether the descriptor cannot be waited for.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.0.error != wasip1::ERRNO_SUCCESS
    }

    /// Whether the peer is gone.
    #[must_use]
    pub const fn is_hang_up(&self) -> bool {
        self.0.fd_readwrite.flags & EVENTRWFLAGS_FD_READWRITE_HANGUP != 0
    }
}

/// Waits for one of `subscriptions`, and writes what has happened of them to `happened`, which has room for as many. How
/// many have. Where there is no subscription, the system refuses.
///
/// # Errors
/// What the system said: of one descriptor that cannot be waited for, some hosts say it of the whole list.
///
/// # Panics
/// If there is less room.
pub fn poll_oneoff(subscriptions: &[Subscription], happened: &mut [Happened]) -> Result<usize, Error> {
    call(|| super::calls::poll(subscriptions, happened))
}
