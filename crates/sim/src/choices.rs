//! All that the seed decides, in one place.

/// A stream of decisions, the same for the same seed and the same questions.
#[derive(Debug)]
pub(crate) struct Choices {
    state: u64,
}

impl Choices {
    /// What moves in one piece: the payload of one Ethernet segment. More may be cut short.
    pub(crate) const SEGMENT: usize = 1448;

    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number (SplitMix64).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..count`; `count` must not be zero.
    pub(crate) fn pick(&mut self, count: usize) -> usize {
        debug_assert!(count > 0);
        // The high half of the product is below `count`, so it fits.
        ((u128::from(self.next()) * count as u128) >> 64) as usize
    }

    /// In which order the ready ones go on.
    pub(crate) fn order<T>(&mut self, ready: &mut [T]) {
        for last in (1..ready.len()).rev() {
            ready.swap(last, self.pick(last + 1));
        }
    }

    /// How many of `possible` bytes a transfer moves: all of them, or, above a segment, every other time less.
    pub(crate) fn transfer(&mut self, possible: usize) -> usize {
        if possible <= Self::SEGMENT || self.pick(2) == 0 {
            return possible;
        }
        Self::SEGMENT + self.pick(possible - Self::SEGMENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_stream_of_decisions() {
        let stream = |seed| {
            let mut choices = Choices::new(seed);
            std::iter::repeat_with(|| choices.pick(1000)).take(32).collect::<Vec<_>>()
        };
        assert_eq!(stream(1), stream(1));
        assert_ne!(stream(1), stream(2));
        assert!(stream(3).iter().all(|&pick| pick < 1000));
        assert!((0..100).all(|seed| Choices::new(seed).pick(1) == 0));
    }

    #[test]
    fn an_order_keeps_every_element() {
        let mut choices = Choices::new(7);
        let mut order: Vec<_> = (0..100).collect();
        choices.order(&mut order);
        assert!(!order.is_sorted());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
        choices.order::<u8>(&mut []);
    }

    #[test]
    fn transfers_are_cut_above_a_segment_only() {
        let mut choices = Choices::new(7);
        assert!((0..=Choices::SEGMENT).all(|possible| choices.transfer(possible) == possible));
        let moved: Vec<_> = std::iter::repeat_with(|| choices.transfer(10_000)).take(100).collect();
        assert!(moved.iter().all(|moved| (Choices::SEGMENT..=10_000).contains(moved)));
        assert!(moved.contains(&10_000));
        assert!(moved.iter().any(|&moved| moved < 10_000));
    }
}
