//! The timers of the timer workloads: which deadlines they have, and the check of what came of them.

use crate::measurement::Result;

/// Deadlines lie between zero and this many nanoseconds.
const SPAN: u64 = 1_000_000_000;

/// The deadline of a timer in nanoseconds from the beginning, spread evenly and without order.
#[inline]
pub(crate) fn deadline(timer: u64) -> u64 {
    // Multiplying by an odd constant and folding the halves mixes well enough to look random to a queue of timers.
    let mixed = timer.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    ((u128::from(mixed) * u128::from(SPAN)) >> 64) as u64
}

/// What became of the timers, in the order in which it did.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    count: u64,
    sum: u64,
    early: u64,
}

impl Tally {
    /// Notes that a timer fired at `now` nanoseconds from the beginning.
    #[inline]
    pub(crate) fn fired(&mut self, timer: u64, now: u64) {
        self.early += u64::from(now < deadline(timer));
        self.ended(timer);
    }

    /// Notes that a timer ended otherwise.
    #[inline]
    pub(crate) fn ended(&mut self, timer: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(timer);
    }

    /// The number of timers noted.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Checks that each of the timers 0 to `count` ended once, and none before its deadline.
    ///
    /// # Errors
    /// Says what is wrong.
    pub(crate) fn check(&self, count: u64) -> Result<()> {
        let sum = (0..count).fold(0, u64::wrapping_add);
        if (self.count, self.sum) != (count, sum) {
            return Err(format!("{} timers ended, or not each once, of {count}", self.count).into());
        }
        if self.early > 0 {
            return Err(format!("{} timers fired before their deadline", self.early).into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_spread_evenly() {
        let mut tenths = [0_u32; 10];
        for timer in 0..100_000 {
            tenths[(deadline(timer) * 10 / SPAN) as usize] += 1;
        }
        assert!(tenths.iter().all(|&count| (9_700..10_300).contains(&count)), "{tenths:?}");
    }

    #[test]
    fn a_timer_that_is_early_or_missing_or_twice_there_fails_the_check() {
        let mut good = Tally::default();
        (0..10).for_each(|timer| good.fired(timer, deadline(timer)));
        assert!(good.check(10).is_ok());
        assert!(good.check(11).is_err());

        let mut early = Tally::default();
        (0..10).for_each(|timer| early.fired(timer, deadline(timer) - u64::from(timer == 7)));
        assert!(early.check(10).is_err());

        let mut twice = Tally::default();
        [0, 1, 1].into_iter().for_each(|timer| twice.ended(timer));
        assert!(twice.check(3).is_err());
    }
}
