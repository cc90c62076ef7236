//! What ours and the floors of strict turns share: whose turn it is, and the check that none is skipped.

/// Which end of a pair a thread plays, and on which of the run's cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Opens, and so plays the odd turns.
    First = 0,
    /// Answers with the even ones.
    Second = 1,
}

impl Side {
    pub(crate) const fn other(self) -> Self {
        match self {
            Side::First => Side::Second,
            Side::Second => Side::First,
        }
    }
}

/// One end's view of a number of round trips of two turns each.
#[derive(Debug)]
pub(crate) struct Turns {
    side: Side,
    /// The turn that the other end plays next.
    awaited: u64,
    last: u64,
}

impl Turns {
    /// For `trips` round trips.
    pub(crate) const fn new(side: Side, trips: u64) -> Self {
        let awaited = match side {
            Side::First => 2,
            Side::Second => 1,
        };
        Turns { side, awaited, last: 2 * trips }
    }

    #[inline]
    pub(crate) const fn side(&self) -> Side {
        self.side
    }

    /// The turn that this end opens with, if it is the one to open.
    pub(crate) const fn opening(&self) -> Option<u64> {
        match self.side {
            Side::First if self.last > 0 => Some(1),
            _ => None,
        }
    }

    /// Whether there is no turn left to wait for.
    #[inline]
    pub(crate) const fn are_over(&self) -> bool {
        self.awaited > self.last
    }

    /// Takes the other end's word that turn number `played` was played; the turn to answer with, if one is left.
    ///
    /// # Errors
    /// When that is not the turn that was waited for.
    #[inline]
    pub(crate) fn take(&mut self, played: u64) -> Result<Option<u64>, &'static str> {
        if played != self.awaited {
            return Err("a turn was played out of order");
        }
        self.awaited += 2;
        Ok((played < self.last).then_some(played + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sides_play_every_turn_once_and_in_order() {
        let mut sides = [Turns::new(Side::First, 3), Turns::new(Side::Second, 3)];
        let mut turn = sides[0].opening();
        let mut played = Vec::new();
        let mut to = Side::Second;
        while let Some(current) = turn {
            played.push(current);
            turn = sides[to as usize].take(current).expect("it is in order");
            to = to.other();
        }
        assert_eq!(played, [1, 2, 3, 4, 5, 6]);
        assert!(sides.iter().all(Turns::are_over));
        assert_eq!(sides[1].opening(), None);
    }

    #[test]
    fn a_turn_out_of_order_is_an_error() {
        let mut second = Turns::new(Side::Second, 3);
        assert!(second.take(3).is_err());
        assert_eq!(second.take(1), Ok(Some(2)));
        assert!(second.take(1).is_err());
    }

    #[test]
    fn no_trips_are_over_at_once() {
        assert!(Turns::new(Side::First, 0).are_over());
        assert!(Turns::new(Side::Second, 0).are_over());
        assert_eq!(Turns::new(Side::First, 0).opening(), None);
    }
}
