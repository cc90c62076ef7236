//! Time as the simulation counts it.

use proactor_core::Time;

/// A clock that moves only when a turn of the loop does.
#[derive(Debug)]
pub(crate) struct Clock {
    now: Time,
}

impl Clock {
    /// What a turn takes. Not zero, so that a program which always has something to do still sees time pass, and its
    /// timers expire.
    pub(crate) const TURN: std::time::Duration = std::time::Duration::from_micros(1);

    /// Near zero, not at it: a deadline of zero has passed on every backend.
    pub(crate) fn new() -> Self {
        Self { now: Time::ZERO + Self::TURN }
    }

    pub(crate) fn now(&self) -> Time {
        self.now
    }

    /// A turn that did not sleep.
    pub(crate) fn turn(&mut self) {
        self.now = self.now + Self::TURN;
    }

    /// A turn that slept until `deadline`.
    pub(crate) fn sleep(&mut self, deadline: Time) {
        if deadline > self.now {
            self.now = deadline;
        } else {
            self.turn();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_turn_moves_it_and_a_sleep_ends_on_its_deadline() {
        let mut clock = Clock::new();
        let begin = clock.now();
        assert!(begin > Time::ZERO);
        clock.turn();
        assert_eq!(clock.now().since(begin), Clock::TURN);
        let deadline = clock.now() + std::time::Duration::from_nanos(7);
        clock.sleep(deadline);
        assert_eq!(clock.now(), deadline);
        clock.sleep(begin);
        assert_eq!(clock.now(), deadline + Clock::TURN);
        clock.sleep(Time::NEVER);
        clock.turn();
        assert_eq!(clock.now(), Time::NEVER);
    }
}
