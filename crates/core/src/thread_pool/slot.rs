//! How a job goes from a loop to a thread and back.
//!
//! A [`Slot`] is a place for one job of one loop, which is used again for the next one. What the pool's queue holds is a
//! [`Ticket`], the slot and a number: so a loop can take back a job that is still queued, at once, and the ticket means
//! nothing from then on. Who takes the job out of its slot, under the slot's lock, has it: the loop or one thread.
//!
//! What is done goes back into the slot, and the slot's index into the list of the loop's [`Port`], whose bell ends the
//! loop's wait. Once the loop is gone its port is closed, and a thread drops what it has done, where it is: until then
//! the thread owns all that its call touches, so nothing is freed under it (contract X5).

use std::time::Instant;

use super::job::{Returned, Task};
use crate::fifo::Fifo;
use crate::notifier::Bell;
use crate::sync::Arc;
use crate::sync::shared::{Condvar, Mutex};

/// Where a loop's jobs come back.
pub(super) struct Port {
    returns: Mutex<Returns>,
    /// Something came back; for the loop's drop, which waits here and not in its backend.
    changed: Condvar,
    pub(super) bell: Bell,
}

struct Returns {
    /// The slots of what came back.
    slots: Fifo<u32>,
    /// The loop is gone.
    is_closed: bool,
}

impl Port {
    pub(super) fn new(bell: Bell) -> Self {
        let returns = Returns { slots: Fifo::new(), is_closed: false };
        Self { returns: Mutex::new(returns), changed: Condvar::new(), bell }
    }

    /// Swaps the list of what came back for `list`, which is empty.
    pub(super) fn swap(&self, list: &mut Fifo<u32>) {
        debug_assert!(list.is_empty());
        std::mem::swap(&mut self.returns.lock().slots, list);
    }

    /// Closes it when none of its loop's jobs is `running` any more, or at `deadline`. How many are: they never come back.
    pub(super) fn close(&self, running: impl Fn() -> usize, deadline: Instant) -> usize {
        // What runs comes back under this lock, so none is overlooked.
        let mut returns = self.returns.lock();
        while running() > 0 {
            if self.changed.wait_until(&mut returns, deadline).timed_out() {
                break;
            }
        }
        returns.is_closed = true;
        running()
    }
}

/// A place for one job.
pub(super) struct Slot {
    /// Which of its loop's.
    index: u32,
    port: Arc<Port>,
    state: Mutex<State>,
}

struct State {
    /// Counts the jobs that were here; wraps.
    number: u32,
    stage: Stage,
}

/// What has become of the job in a slot.
pub(super) enum Stage {
    /// There is none.
    Vacant,
    /// No thread has taken it.
    Queued(Task),
    /// A thread has it.
    Running,
    /// It is done.
    Returned(Returned),
}

/// Whether a job that cannot be taken back is done, or runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct IsDone(pub(super) bool);

/// Names one job to the threads.
pub(super) struct Ticket {
    pub(super) slot: Arc<Slot>,
    pub(super) number: u32,
}

impl Slot {
    pub(super) fn new(index: u32, port: Arc<Port>) -> Self {
        Self { index, port, state: Mutex::new(State { number: 0, stage: Stage::Vacant }) }
    }

    /// The loop's: puts in a job, and returns its number.
    pub(super) fn put(&self, task: Task) -> u32 {
        let mut state = self.state.lock();
        debug_assert!(matches!(state.stage, Stage::Vacant));
        state.number = state.number.wrapping_add(1);
        state.stage = Stage::Queued(task);
        state.number
    }

    /// The loop's: takes out what is there, unless a thread has it. The slot is vacant then.
    pub(super) fn take_back(&self) -> Stage {
        let mut state = self.state.lock();
        match std::mem::replace(&mut state.stage, Stage::Vacant) {
            Stage::Running => {
                state.stage = Stage::Running;
                Stage::Running
            }
            stage => stage,
        }
    }

    /// The loop's: takes back a job that no thread has taken. Where one has, whether it is done.
    pub(super) fn withdraw(&self) -> Result<Task, IsDone> {
        let mut state = self.state.lock();
        match std::mem::replace(&mut state.stage, Stage::Vacant) {
            Stage::Queued(task) => Ok(task),
            other => {
                let is_done = IsDone(matches!(other, Stage::Returned(_)));
                state.stage = other;
                Err(is_done)
            }
        }
    }

    /// The loop's: whether a thread has the job.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.state.lock().stage, Stage::Running)
    }

    /// A thread's: puts in what is done. False if the loop is gone.
    fn give_back(&self, returned: Returned) -> bool {
        {
            let mut returns = self.port.returns.lock();
            if returns.is_closed {
                drop(returns);
                self.state.lock().stage = Stage::Vacant;
                drop(returned);
                return false;
            }
            self.state.lock().stage = Stage::Returned(returned);
            returns.slots.push(self.index);
            self.port.changed.notify_one();
        }
        self.port.bell.ring();
        true
    }
}

impl Ticket {
    /// A thread's: takes the job, if it is still there.
    fn take(&self) -> Option<Task> {
        let mut state = self.slot.state.lock();
        if state.number != self.number || !matches!(state.stage, Stage::Queued(_)) {
            return None;
        }
        match std::mem::replace(&mut state.stage, Stage::Running) {
            Stage::Queued(task) => Some(task),
            _ => None,
        }
    }

    /// A thread's: does the job, if it is still there. False if the loop has gone meanwhile.
    pub(super) fn work(self) -> bool {
        match self.take() {
            Some(task) => self.slot.give_back(task.run()),
            None => true,
        }
    }
}
