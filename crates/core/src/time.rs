//! Points in time as the loop counts them.

use core::fmt;
use core::ops::Add;
use core::time::Duration;

/// A point in time: nanoseconds on the backend's monotonic clock.
///
/// The clock's zero is the backend's own, so values of two loops cannot be compared. All arithmetic
/// saturates; [`Time::NEVER`] is the largest value and stays what it is (contract T1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// The clock's zero, which has always passed.
    pub const ZERO: Self = Self(0);
    /// The point that is never reached.
    pub const NEVER: Self = Self(u64::MAX);

    /// The point `nanoseconds` after the clock's zero.
    #[must_use]
    pub const fn from_nanos(nanoseconds: u64) -> Self {
        Self(nanoseconds)
    }

    /// Nanoseconds since the clock's zero.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this point, zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    /// `duration` later; [`Time::NEVER`] where that is beyond the clock.
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(saturating_nanos(duration)))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NEVER {
            return f.write_str("never");
        }
        write!(f, "{}ns", self.0)
    }
}

/// The nanoseconds of `duration`, at most `u64::MAX`.
fn saturating_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addition_saturates_and_never_stays_never() {
        assert_eq!(Time::NEVER + Duration::from_nanos(1), Time::NEVER);
        assert_eq!(Time::ZERO + Duration::MAX, Time::NEVER);
        assert_eq!(Time::from_nanos(1) + Duration::from_nanos(2), Time::from_nanos(3));
        assert_eq!(Time::from_nanos(1).since(Time::from_nanos(5)), Duration::ZERO);
        assert_eq!(Time::from_nanos(5).since(Time::from_nanos(1)), Duration::from_nanos(4));
    }
}
