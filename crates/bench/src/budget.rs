//! The time that measuring may take as a whole, shared out among its parts.

use std::time::{Duration, Instant};

/// What is left of it.
#[derive(Debug)]
pub(crate) struct Budget {
    end: Instant,
    /// The sum of the weights of the parts that are still to come.
    weights: usize,
}

impl Budget {
    /// `whole` from `now` on, for parts whose weights add up to `weights`.
    pub(crate) fn new(whole: Duration, now: Instant, weights: usize) -> Self {
        Self { end: now + whole, weights }
    }

    /// When the next part is to be done: of what is left it gets its weight's share. What the parts before it have left over,
    /// or taken too much, is thereby shared by all that follow.
    pub(crate) fn share(&mut self, weight: usize, now: Instant) -> Instant {
        let left = self.end.saturating_duration_since(now);
        let share = left.mul_f64(weight as f64 / self.weights.max(weight).max(1) as f64);
        self.weights = self.weights.saturating_sub(weight);
        now + share
    }
}

/// Whether another round as long as `last` would be done by `end`.
pub(crate) fn fits(last: Duration, now: Instant, end: Option<Instant>) -> bool {
    end.is_none_or(|end| now + last <= end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn parts_that_take_their_shares_fill_the_whole() {
        let start = Instant::now();
        let mut budget = Budget::new(40 * SECOND, start, 4);
        let mut now = start;
        for (weight, seconds) in [(1, 10), (2, 30), (1, 40)] {
            now = budget.share(weight, now);
            assert!((now - (start + seconds * SECOND)) < SECOND / 1000);
        }
    }

    #[test]
    fn what_one_part_takes_too_much_all_others_get_less() {
        let start = Instant::now();
        let mut budget = Budget::new(40 * SECOND, start, 4);
        assert_eq!(budget.share(1, start), start + 10 * SECOND);
        let late = start + 22 * SECOND;
        assert_eq!(budget.share(2, late), late + 12 * SECOND);
        // Over the end nothing is left.
        let over = start + 50 * SECOND;
        assert_eq!(budget.share(1, over), over);
    }

    #[test]
    fn a_round_is_begun_if_it_will_be_done_in_time() {
        let now = Instant::now();
        assert!(fits(SECOND, now, None));
        assert!(fits(SECOND, now, Some(now + SECOND)));
        assert!(!fits(2 * SECOND, now, Some(now + SECOND)));
    }
}
