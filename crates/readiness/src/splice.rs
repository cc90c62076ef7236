//! Between a pipe and another stream: it waits for both at once, as the reader of the one and the writer of the other.

use proactor_core::{Done, Error, Outcome, Slot, Token};
use proactor_system::{self as system, SpliceStep};

use crate::Readiness;
use crate::poller::{Poller, Watch};
use crate::read::fail;
use crate::source::Source;
use crate::table::{Table, Waiter};

impl<P: Poller> Readiness<P> {
    /// Starts to move what there is.
    #[cold]
    pub(crate) fn splice(&mut self, token: Token, done: &mut Done) {
        let Some(Outcome::Splice(spliced)) = done.undecided(token) else { return };
        let (from, to) = (spliced.from.slot(), spliced.to.slot());
        let prepared =
            if self.can_splice() { self.table.prepare_to_splice(from, to) } else { Err(Error::Unsupported) };
        match prepared {
            // Of nothing, nothing is asked of either.
            Ok(_) if spliced.len == 0 => {
                spliced.result = Ok(0);
                done.decided(token);
            }
            Ok(can_go_on) => {
                self.table.wait_for_both(from, to, Waiter::new(token));
                if can_go_on {
                    self.resume_splice(token, done);
                }
            }
            Err(error) => fail(token, error, done),
        }
    }

    /// Tries again, after an edge of either.
    #[cold]
    pub(crate) fn resume_splice(&mut self, token: Token, done: &mut Done) {
        let Some(outcome @ Outcome::Splice(_)) = done.undecided(token) else { return };
        let Outcome::Splice(spliced) = &*outcome else { return };
        let (from, to) = (spliced.from.slot(), spliced.to.slot());
        match self.table.splice(from, to, outcome) {
            Ok(SpliceStep::Waits { .. }) => {}
            Ok(SpliceStep::Unsettled) => self.leave_unfinished(from),
            Ok(SpliceStep::Decided) => {
                self.table.wait_for_both(from, to, Waiter::NOBODY);
                done.decided(token);
            }
            Err(error) => {
                self.table.wait_for_both(from, to, Waiter::NOBODY);
                fail(token, error, done);
            }
        }
    }

    /// It waits no longer, if it is one: it has a second handle on which it waits.
    #[cold]
    pub(crate) fn forget_splice(&mut self, token: Token, done: &mut Done) {
        if let Some(Outcome::Splice(spliced)) = done.undecided(token) {
            self.table.wait_for_both(spliced.from.slot(), spliced.to.slot(), Waiter::NOBODY);
        }
    }
}

impl Table {
    /// Before bytes are moved between two slots, on which nothing waits. Returns whether that can be tried at once.
    fn prepare_to_splice(&mut self, from: Slot, to: Slot) -> Result<bool, Error> {
        let reader = &mut self.reader(from)?.source;
        reader.prepare_to_splice()?;
        let is_drained = reader.read_drained;
        let writer = &mut self.writer(to)?.source;
        writer.prepare_to_splice()?;
        Ok(!is_drained && !writer.write_drained)
    }

    /// Has the same operation, or nobody, wait for both.
    fn wait_for_both(&mut self, from: Slot, to: Slot, waiter: Waiter) {
        if let Ok(entry) = self.get(from) {
            entry.reader = waiter;
        }
        if let Ok(entry) = self.get(to) {
            entry.writer = waiter;
        }
    }

    fn splice(&mut self, from: Slot, to: Slot, outcome: &mut Outcome) -> Result<SpliceStep, Error> {
        // All who share an open file share its flags, and may have changed them since.
        for slot in [from, to] {
            self.get(slot)?.source.keep_nonblocking_within()?;
        }
        let [reader, writer] = self.pair(from, to)?;
        let step = system::splice(outcome, reader, writer);
        let (reads, writes) = match step {
            SpliceStep::Waits { reads, writes } => (reads, writes),
            SpliceStep::Decided | SpliceStep::Unsettled => (false, false),
        };
        self.get(from)?.source.note_drained(reads, |source| &mut source.read_drained)?;
        self.get(to)?.source.note_drained(writes, |source| &mut source.write_drained)?;
        Ok(step)
    }
}

impl Source {
    /// Before bytes are moved from it or to it within the system.
    fn prepare_to_splice(&mut self) -> Result<(), Error> {
        system::check_to_splice(self.kind())?;
        self.keep_nonblocking_within()
    }

    /// Notes whether it has to be waited for, which no edge would end of what has none.
    fn note_drained(
        &mut self,
        waits: bool,
        drained: impl FnOnce(&mut Self) -> &mut bool,
    ) -> Result<(), Error> {
        if waits && self.watch() == Watch::AlwaysReady {
            return Err(Error::Unsupported);
        }
        *drained(self) = waits;
        Ok(())
    }
}
