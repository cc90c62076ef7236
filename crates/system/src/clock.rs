//! The monotonic clock.

use proactor_core::Time;
use rustix::time::{ClockId, clock_gettime};

/// Reads the system's monotonic clock, without entering the kernel where that is possible.
#[must_use]
#[inline]
pub fn now() -> Time {
    let time = clock_gettime(ClockId::Monotonic);
    // Neither part is ever negative, and the seconds would overflow after 584 years of uptime.
    Time::from_nanos((time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_goes_back_and_agrees_with_the_standard_library() {
        let (outer, first) = (std::time::Instant::now(), now());
        let (second, inner) = (now(), outer.elapsed());
        assert!(first <= second);
        assert!(second.since(first) <= inner + std::time::Duration::from_nanos(1));
    }
}
