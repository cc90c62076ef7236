//! Where a record is until it is started, and records that are only there to hold a place in a queue.

use super::{Head, Link, Place, Record, Records, Spot};
use crate::operation::{Direction, Kind};

impl Head {
    /// Its place while the next turn is to start it.
    #[inline(always)]
    pub(crate) const fn place_to_start(&self) -> Place {
        match self.kind {
            Kind::Nop | Kind::NotifierWait | Kind::RecvMany | Kind::Work => Place::StartingHere,
            Kind::SendFile | Kind::SendFileAll | Kind::Splice => Place::StartingHere,
            kind if kind.is_of_files() && self.is_on_pool() => Place::StartingHere,
            _ => Place::Starting,
        }
    }
}

impl Records {
    /// Takes a place in which nothing of its own is under way, and which is nobody's: no token names it, and it does not count.
    #[cold]
    pub(crate) fn allocate_ticket(&mut self, kind: Kind) -> (u32, &mut Record) {
        let Spot { index, .. } = self.allocate();
        self.active -= 1;
        let record = &mut self.operations[index as usize];
        record.arm(kind, Direction::Read, Link::None);
        record.decide();
        record.head.place = Place::Ticket;
        (index, record)
    }

    /// Frees it.
    #[cold]
    pub(crate) fn free_ticket(&mut self, index: u32) {
        self.active += 1;
        self.free_operation(index);
    }
}
