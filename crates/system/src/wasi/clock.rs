//! The monotonic clock.

use proactor_core::Time;

use super::calls;

/// Reads the system's monotonic clock, which begins near zero.
#[must_use]
#[inline]
pub fn now() -> Time {
    // It is there wherever a program can wait; a host that has none stands still.
    calls::monotonic().map_or(Time::ZERO, Time::from_nanos)
}
