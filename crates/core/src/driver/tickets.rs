//! Operations that have their turn on two handles, in one direction of each (contract H3).
//!
//! A completion has links for one queue, that of its first handle. In the queue of the second one a *ticket* stands for it: a
//! record of its own, which is nobody's completion, is never started, and goes when the operation has ended. The operation is
//! started when both are first.
//!
//! Both places are taken at once, when it is armed. So all queues agree on who was first, and what was armed first of all that
//! is under way is first wherever it stands: no two operations ever wait for each other.
//!
//! While it is first on its own handle and its ticket is not, it waits as it does behind others. The ticket is asked nothing:
//! whoever cancels all that uses the second handle finds the operation in the [list](super::second) of that.

use super::Driver;
use crate::backend::{Backend, Token};
use crate::handle::Slot;
use crate::handles::{NONE, Queue};
use crate::operation::{Direction, Kind};
use crate::records::{Link, Place};
use crate::state::Phase;

impl Kind {
    /// The direction in which an operation has its turn on its second handle, if it has one there.
    pub(super) const fn direction_on_second(self) -> Option<Direction> {
        match self {
            Self::Splice => Some(Direction::Write),
            _ => None,
        }
    }
}

/// Which ticket is whose.
#[derive(Default, Debug)]
pub(super) struct Tickets {
    /// By completion: its ticket; by ticket: whose it is.
    others: Vec<u32>,
}

impl Tickets {
    fn other(&self, index: u32) -> u32 {
        self.others.get(index as usize).copied().unwrap_or(NONE)
    }

    fn pair(&mut self, index: u32, ticket: u32) {
        let len = index.max(ticket) as usize + 1;
        if self.others.len() < len {
            self.others.resize(len, NONE);
        }
        (self.others[index as usize], self.others[ticket as usize]) = (ticket, index);
    }

    fn part(&mut self, index: u32) -> u32 {
        let Some(other) = self.others.get_mut(index as usize) else { return NONE };
        let ticket = std::mem::replace(other, NONE);
        if ticket != NONE {
            self.others[ticket as usize] = NONE;
        }
        ticket
    }
}

impl<B: Backend> Driver<B> {
    /// Has the completion at `index`, which was just queued on its first handle, queue on the one in `slot` as well.
    #[cold]
    pub(super) fn take_ticket(&mut self, index: u32, slot: Slot, direction: Direction) {
        let kind = self.done.records.get(index).kind;
        let Some(entry) = self.done.handles.slot(slot) else { return };
        let (ticket, record) = self.done.records.allocate_ticket(kind);
        (record.phase, record.slot, record.direction, record.link) =
            (Phase::Adding, slot, direction, Link::Queue);
        let queue = entry.queue(direction);
        if queue.tail == NONE {
            *queue = Queue { head: ticket, tail: ticket };
        } else {
            let last = std::mem::replace(&mut queue.tail, ticket);
            record.previous = last;
            self.link_behind(last, ticket);
        }
        self.tickets.pair(index, ticket);
    }

    /// The completion at `index` has ended, or will never be started: what is behind its ticket, if it has one, goes on.
    pub(super) fn give_up_ticket(&mut self, index: u32) {
        let ticket = self.tickets.part(index);
        if ticket != NONE {
            self.unlink(ticket);
            self.done.records.free_ticket(ticket);
        }
    }

    /// The ticket has come to be first: what it is for starts by the next turn, if that is all that it waited for.
    #[cold]
    pub(super) fn ticket_is_first(&mut self, ticket: u32) {
        let index = self.tickets.other(ticket);
        if index == NONE {
            return;
        }
        let completion = self.done.records.get(index);
        if completion.phase == Phase::Adding && completion.place == Place::Waiting && !completion.is_behind()
        {
            self.start_next_turn(index);
        }
    }

    /// An operation is first on its own handle: starts it, or has it wait for its ticket.
    #[cold]
    pub(super) fn start_on_two_queues(&mut self, token: Token) {
        let index = token.index;
        let ticket = self.tickets.other(index);
        let Some(record) = self.done.records.operation(ticket) else { return };
        let is_first = record.previous == NONE;
        let completion = self.done.records.get(index);
        if is_first {
            completion.place = Place::BackendOnTwo;
            let slot = completion.slot;
            self.backend.start(token, slot, &mut self.done);
        } else {
            // The system has not seen it, and those in front of its ticket have to end.
            (completion.phase, completion.place) = (Phase::Adding, Place::Waiting);
        }
    }
}
