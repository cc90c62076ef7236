//! Whether to look for mail a little longer before sleeping.

use std::time::{Duration, Instant};

use crate::sync::spin_loop;

/// How long a look takes that found nothing: about what a sleep and a wake-up on one core cost.
const SHORT: Duration = Duration::from_micros(1);
/// More than the wake-up of a thread whose core is idle.
const LONG: Duration = Duration::from_micros(50);
/// Looks between two readings of the clock, and before the first.
const BURST: u32 = 16;
/// Short looks in a row that may fail.
const CREDIT: u32 = 4;
/// Long looks of one trial.
const TRIES: u32 = 16;
/// Sleeps between trials, which double while trials fail.
const FIRST_PAUSE: u32 = 16;
const LAST_PAUSE: u32 = 4096;

/// Decides by what earlier looks brought, and looks only where mail has come since the last one: a loop that lives on
/// input and output alone never spends time here.
///
/// Two loops that answer each other show why there are trials. Asleep, each takes tens of microseconds to wake up when
/// the other notifies it, if its core is idle; a short look ends long before, so both sleep again, for ever. Were both
/// awake, the answer would come in a fraction of a microsecond. Only when both look for as long as the other takes to
/// wake up do they find out. On one core no look ever pays, and a trial ends with its first: that is what the growing
/// pause is for.
#[derive(Debug)]
pub(super) struct Look {
    state: State,
    pause: u32,
    fed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Short looks pay, or that many more may fail.
    Keen(u32),
    /// That many sleeps without a look.
    Pausing(u32),
    /// Long looks, that many more at most: until the mail comes as fast as a short one would have found it.
    Trying(u32),
}

impl Default for Look {
    fn default() -> Self {
        Self { state: State::Keen(CREDIT), pause: FIRST_PAUSE, fed: false }
    }
}

impl Look {
    /// Mail has come.
    pub(super) fn feed(&mut self) {
        self.fed = true;
    }

    /// Looks until `arrived`, but not for long, and not at all while it does not pay; whether it has arrived.
    pub(super) fn until(&mut self, arrived: impl Fn() -> bool) -> bool {
        if arrived() {
            return true;
        }
        let Some(patience) = self.begin() else { return false };
        let waited = wait(patience, arrived);
        self.end(waited);
        waited.is_some()
    }

    /// How long to look.
    fn begin(&mut self) -> Option<Duration> {
        if !std::mem::take(&mut self.fed) {
            return None;
        }
        match &mut self.state {
            State::Keen(_) => Some(SHORT),
            State::Trying(_) => Some(LONG),
            State::Pausing(sleeps) => {
                *sleeps -= 1;
                if *sleeps == 0 {
                    self.state = State::Trying(TRIES);
                }
                None
            }
        }
    }

    /// What came of it: after how long it arrived, or that it did not.
    fn end(&mut self, waited: Option<Duration>) {
        self.state = match (self.state, waited) {
            (_, Some(waited)) if waited <= SHORT => {
                self.pause = FIRST_PAUSE;
                State::Keen(CREDIT)
            }
            (State::Keen(credit @ 2..), _) => State::Keen(credit - 1),
            (State::Trying(tries @ 2..), Some(_)) => State::Trying(tries - 1),
            _ => {
                let sleeps = self.pause;
                self.pause = (self.pause * 2).min(LAST_PAUSE);
                State::Pausing(sleeps)
            }
        };
    }
}

/// Watches for at most `patience`; after how long it arrived.
fn wait(patience: Duration, arrived: impl Fn() -> bool) -> Option<Duration> {
    let burst = || {
        (0..BURST).any(|_| {
            spin_loop();
            arrived()
        })
    };
    // Where looking pays, this is all of it: reading the clock would cost as much again.
    if burst() {
        return Some(Duration::ZERO);
    }
    let start = Instant::now();
    loop {
        let found = burst();
        let waited = start.elapsed();
        if found {
            return Some(waited);
        }
        if waited >= patience {
            return None;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// The patience of each of the next `sleeps` looks, which all end as `waited` says.
    fn looks(look: &mut Look, sleeps: u32, waited: Option<Duration>) -> Vec<Option<Duration>> {
        let one = |_| {
            look.feed();
            let patience = look.begin();
            if patience.is_some() {
                look.end(waited);
            }
            patience
        };
        (0..sleeps).map(one).collect()
    }

    fn count(looks: &[Option<Duration>], patience: Duration) -> usize {
        looks.iter().filter(|&&look| look == Some(patience)).count()
    }

    #[test]
    fn keeps_looking_while_it_pays() {
        let mut look = Look::default();
        for _ in 0..100 {
            assert_eq!(count(&looks(&mut look, CREDIT - 1, None), SHORT), CREDIT as usize - 1);
            assert_eq!(looks(&mut look, 1, Some(Duration::ZERO)), [Some(SHORT)]);
        }
    }

    #[test]
    fn hardly_ever_looks_where_it_does_not_pay() {
        let mut look = Look::default();
        let before = looks(&mut look, 100_000, None);
        assert_eq!(count(&before, SHORT), CREDIT as usize);
        let trials = count(&before, LONG);
        assert!((8..40).contains(&trials), "{trials} trials");
        let trials = count(&looks(&mut look, 10 * (LAST_PAUSE + 1), None), LONG);
        assert_eq!(trials, 10, "one per longest pause");
    }

    #[test]
    fn a_trial_that_finds_it_paying_ends_the_pause() {
        let mut look = Look::default();
        looks(&mut look, CREDIT + FIRST_PAUSE, None);
        assert_eq!(looks(&mut look, 3, Some(LONG / 2)), [Some(LONG); 3]);
        assert_eq!(looks(&mut look, 1, Some(SHORT)), [Some(LONG)]);
        assert_eq!(looks(&mut look, 2, Some(Duration::ZERO)), [Some(SHORT); 2]);
    }

    #[test]
    fn a_trial_has_an_end() {
        let mut look = Look::default();
        looks(&mut look, CREDIT + FIRST_PAUSE, None);
        let tried = looks(&mut look, TRIES + 10, Some(LONG / 2));
        assert_eq!(count(&tried, LONG), TRIES as usize);
        assert_eq!(count(&tried, SHORT), 0);
    }

    #[test]
    fn does_not_look_without_mail_since_the_last_one() {
        let mut look = Look::default();
        assert_eq!(look.begin(), None);
        look.feed();
        assert_eq!(look.begin(), Some(SHORT));
        assert_eq!(look.begin(), None);
    }

    #[test]
    fn tells_whether_it_arrived() {
        let mut look = Look::default();
        assert!(look.until(|| true));
        assert!(!look.until(|| false));
        look.feed();
        assert!(!look.until(|| false));
        let calls = std::cell::Cell::new(0);
        look.feed();
        assert!(look.until(|| {
            calls.set(calls.get() + 1);
            calls.get() == BURST + 3
        }));
    }
}
