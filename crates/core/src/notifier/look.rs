//! Whether to look for mail a little longer before sleeping.

use crate::sync::spin_loop;

/// Rounds of one look: one to two microseconds.
const ROUNDS: u32 = 50;
/// Looks in a row that may fail before they are given up.
const CREDIT: u32 = 4;
/// Sleeps without a look after looks were given up: at first, and at most.
const SKIP: std::ops::RangeInclusive<u32> = 16..=1024;

/// Decides by what earlier looks brought.
#[derive(Debug)]
pub(super) struct Look {
    credit: u32,
    skip: u32,
    next_skip: u32,
}

impl Default for Look {
    fn default() -> Self {
        Self { credit: CREDIT, skip: 0, next_skip: *SKIP.start() }
    }
}

impl Look {
    /// Looks until `arrived`, but not for long, and not at all while it does not pay; whether it has arrived.
    pub(super) fn until(&mut self, arrived: impl Fn() -> bool) -> bool {
        if arrived() {
            return true;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        for _ in 0..ROUNDS {
            spin_loop();
            if arrived() {
                self.paid();
                return true;
            }
        }
        self.failed();
        false
    }

    fn paid(&mut self) {
        self.credit = CREDIT;
        self.next_skip = *SKIP.start();
    }

    fn failed(&mut self) {
        self.credit = self.credit.saturating_sub(1);
        if self.credit == 0 {
            self.skip = self.next_skip;
            self.next_skip = (self.next_skip * 2).min(*SKIP.end());
        }
    }
}
