//! Time as the simulation counts it.

use std::cell::Cell;
use std::time::Duration;

use proactor_core::Time;

/// A clock that moves by what the loop does, not by itself.
///
/// Neither a look nor a turn is free, as nowhere: a program that always has something to do still sees time pass, and
/// its timers expire.
#[derive(Debug)]
pub(crate) struct Clock {
    now: Cell<Time>,
}

impl Clock {
    /// What a look at the clock takes.
    pub(crate) const LOOK: Duration = Duration::from_nanos(1);
    /// What a turn of the loop takes.
    pub(crate) const TURN: Duration = Duration::from_micros(1);

    /// Near zero, not at it: a deadline of zero has passed on every backend.
    pub(crate) const fn new() -> Self {
        Self { now: Cell::new(Time::from_nanos(1)) }
    }

    /// A look at the clock.
    pub(crate) fn now(&self) -> Time {
        let now = self.now.get();
        self.now.set(now + Self::LOOK);
        now
    }

    /// A turn that did not sleep.
    pub(crate) fn turn(&self) {
        self.now.set(self.now.get() + Self::TURN);
    }

    /// A turn that slept until `deadline`.
    pub(crate) fn sleep(&self, deadline: Time) {
        if deadline > self.now.get() {
            self.now.set(deadline);
        } else {
            self.turn();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_and_turns_move_it_and_a_sleep_ends_on_its_deadline() {
        let clock = Clock::new();
        let begin = clock.now();
        assert!(begin > Time::ZERO);
        assert_eq!(clock.now(), begin + Clock::LOOK);
        clock.turn();
        let deadline = clock.now() + Duration::from_nanos(7);
        assert!(deadline.since(begin) > Clock::TURN);
        clock.sleep(deadline);
        assert_eq!(clock.now(), deadline);
        clock.sleep(begin);
        assert!(clock.now().since(deadline) > Clock::TURN);
        clock.sleep(Time::NEVER);
        clock.turn();
        assert_eq!(clock.now(), Time::NEVER);
    }
}
