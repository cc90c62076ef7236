//! The loop's side of its pool, where there are threads.

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use super::job::{Returned, Task};
use super::jobs::Withdrawal;
use super::slot::{IsDone, Port, Slot, Stage, Ticket};
use super::threads::{Refused, Shared};
use super::{GRACE, Pool};
use crate::Error;
use crate::backend::Token;
use crate::fifo::Fifo;
use crate::handles::NONE;
use crate::notifier::Bell;
use crate::sync::Arc;

/// A loop's jobs on a pool.
pub(crate) struct Client {
    pool: Pool,
    port: Arc<Port>,
    places: Vec<Place>,
    /// Those of them that are free.
    free: Vec<u32>,
    /// The place of a job by its token's index.
    by_index: Vec<u32>,
    /// Jobs that the pool's queue has no room for, in order.
    waiting: VecDeque<(u32, u32)>,
    /// Jobs that no thread could be had for.
    refused: VecDeque<(Token, Returned)>,
    /// The places of what has come back.
    collected: Fifo<u32>,
    /// How many jobs are out.
    out: usize,
}

/// A slot, and what is in it.
struct Place {
    slot: Arc<Slot>,
    token: Token,
    /// The job's number in the slot; None if it is free.
    number: Option<u32>,
}

impl Client {
    pub(super) fn new(pool: Pool, bell: Bell) -> Self {
        Self {
            pool,
            port: Arc::new(Port::new(bell)),
            places: Vec::new(),
            free: Vec::new(),
            by_index: Vec::new(),
            waiting: VecDeque::new(),
            refused: VecDeque::new(),
            collected: Fifo::new(),
            out: 0,
        }
    }

    pub(super) fn submit(&mut self, token: Token, task: Task) {
        let index = self.free.pop().unwrap_or_else(|| self.add_place());
        let place = &mut self.places[index as usize];
        let number = place.slot.put(task);
        (place.token, place.number) = (token, Some(number));
        let place = token.index as usize;
        if place >= self.by_index.len() {
            self.by_index.resize(place + 1, NONE);
        }
        self.by_index[place] = index;
        self.out += 1;
        if self.out == 1 {
            self.port.bell.enter();
        }
        self.waiting.push_back((index, number));
        self.feed();
    }

    #[cold]
    fn add_place(&mut self) -> u32 {
        let index = self.places.len() as u32;
        let slot = Arc::new(Slot::new(index, Arc::clone(&self.port)));
        self.places.push(Place { slot, token: Token { index: NONE, arming: 0 }, number: None });
        index
    }

    /// Hands what waits to the pool, as far as there is room.
    fn feed(&mut self) {
        let mut will_be_told = false;
        while let Some(&(index, number)) = self.waiting.front() {
            let place = &self.places[index as usize];
            // What was taken back meanwhile has no number, or that of the next job.
            if place.number == Some(number) {
                let ticket = Ticket { slot: Arc::clone(&place.slot), number };
                match Shared::queue(self.pool.shared(), ticket) {
                    Ok(()) => {}
                    Err(Refused::Full) if will_be_told => return,
                    Err(Refused::Full) => {
                        self.pool.shared().wait_for_room(&self.port);
                        will_be_told = true;
                        continue;
                    }
                    Err(Refused::NoThread(error)) => self.refuse(index, &error),
                }
            }
            self.waiting.pop_front();
        }
    }

    /// The system has no thread for the job in a place.
    #[cold]
    fn refuse(&mut self, index: u32, error: &std::io::Error) {
        let error = error.raw_os_error().map_or(Error::Unsupported, Error::System);
        let token = self.places[index as usize].token;
        if let Some(Withdrawal::TakenBack(mut outcome)) = self.withdraw(token) {
            outcome.set_error(error);
            self.refused.push_back((token, Returned { outcome, opened: None, is_canceled: false }));
            self.port.bell.ring();
        }
    }

    fn find(&self, token: Token) -> Option<u32> {
        let index = *self.by_index.get(token.index as usize)?;
        let place = self.places.get(index as usize)?;
        (place.token == token && place.number.is_some()).then_some(index)
    }

    pub(super) fn withdraw(&mut self, token: Token) -> Option<Withdrawal> {
        let Some(index) = self.find(token) else {
            let is_refused = self.refused.iter().any(|(refused, _)| *refused == token);
            return is_refused.then_some(Withdrawal::TooLate);
        };
        Some(match self.places[index as usize].slot.withdraw() {
            Ok(task) => {
                self.vacate(index);
                Withdrawal::TakenBack(task.outcome)
            }
            Err(IsDone(false)) => Withdrawal::Running,
            Err(IsDone(true)) => Withdrawal::TooLate,
        })
    }

    pub(super) fn next_returned(&mut self) -> Option<(Token, Returned)> {
        if let Some(refused) = self.refused.pop_front() {
            return Some(refused);
        }
        if self.collected.is_empty() {
            self.port.swap(&mut self.collected);
            // There may be room as well.
            self.feed();
        }
        while let Some(index) = self.collected.pop() {
            let place = &self.places[index as usize];
            let token = place.token;
            if let Stage::Returned(returned) = place.slot.take_back() {
                self.vacate(index);
                return Some((token, returned));
            }
        }
        None
    }

    fn vacate(&mut self, index: u32) {
        self.places[index as usize].number = None;
        self.free.push(index);
        self.out -= 1;
        if self.out == 0 {
            self.port.bell.leave();
        }
    }
}

impl Drop for Client {
    /// Takes back what no thread has begun, and waits for the rest; what does not return in time is its thread's.
    fn drop(&mut self) {
        if self.out > 0 {
            let withdrawn: Vec<_> = self.places.iter().map(|place| place.slot.withdraw()).collect();
            let running = || self.places.iter().filter(|place| place.slot.is_running()).count();
            let stuck = self.port.close(running, Instant::now() + GRACE);
            // Tickets that are still queued keep their slots, but nothing that is in them.
            let returned: Vec<_> = self.places.iter().map(|place| place.slot.take_back()).collect();
            self.pool.shared().abandon(stuck);
            self.port.bell.leave();
            drop((withdrawn, returned));
        }
        self.pool.shared().forget(&self.port);
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("pool", &self.pool)
            .field("out", &self.out)
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}
