//! A backend that holds what it is given.

use super::*;

/// Holds what it is given until it is told to complete it.
#[derive(Default)]
pub(super) struct Manual {
    pub(super) held: BTreeMap<(u32, u32), (Slot, Operation)>,
    /// Cancels that were asked for, and are answered by the next wait, as io_uring does; empty where they are answered
    /// at once, as epoll does.
    pub(super) asked: Vec<Token>,
    pub(super) answers_late: bool,
    pub(super) open: Vec<u32>,
    pub(super) clock: u64,
    /// How each wait was to be.
    pub(super) waits: Vec<Until>,
    /// Where a byte has arrived, for the next wait to find.
    pub(super) arrived: Vec<Slot>,
    /// Whether the next wait panics, or fails.
    pub(super) trouble: Option<bool>,
    /// Whether the next close panics.
    pub(super) close_panics: bool,
    /// Whether the next cancel panics.
    pub(super) cancel_panics: bool,
    /// Chooses what is decided as it is started, or begun with its parts alone; zero where nothing is.
    pub(super) chance: u64,
    /// Whether all is decided as it is started, and as something else.
    pub(super) decides: bool,
    pub(super) swaps: bool,
    /// How many of those to come until it panics over one.
    pub(super) attempts_to_panic: Option<u32>,
}

impl Manual {
    pub(super) fn end(
        &mut self,
        token: Token,
        done: &mut Done,
        outcome: impl FnOnce(Operation) -> Outcome,
    ) -> bool {
        let Some((_, operation)) = self.held.remove(&(token.index, token.arming)) else { return false };
        done.push(token, outcome(operation));
        true
    }

    /// The invariant that architecture.md promises to every backend.
    pub(super) fn at_most_one_per_direction(&self) -> bool {
        let mut seen: Vec<(Slot, Direction)> = Vec::new();
        let mut is_fresh = |place| {
            let fresh = !seen.contains(&place);
            seen.push(place);
            fresh
        };
        self.held.values().all(|(slot, operation)| {
            let Target::Stream(_, direction) = operation.target() else {
                return matches!(operation.target(), Target::Unordered(_));
            };
            let is_queued = |_: &Slot| matches!(operation, Operation::Splice(_));
            let second = second_slot(operation).filter(is_queued);
            let second = second.is_none_or(|second| is_fresh((second, Direction::Write)));
            second && is_fresh((*slot, direction))
        })
    }
}

impl Backend for Manual {
    const NAME: &'static str = "manual";
    type Waker = NoWake;

    fn open(_config: &Config) -> io::Result<Self> {
        Ok(Self::default())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn waker(&self) -> NoWake {
        NoWake
    }

    fn now(&self) -> Time {
        Time::from_nanos(self.clock)
    }

    fn attach(&mut self, _: Slot, descriptor: OwnedDescriptor) -> Result<(), (Error, OwnedDescriptor)> {
        Err((Error::Unsupported, descriptor))
    }

    fn detach(&mut self, _: Slot) -> Result<OwnedDescriptor, Error> {
        Err(Error::Unsupported)
    }

    fn socket(&mut self, slot: Slot, _: Family, _: SocketKind) -> Result<(), Error> {
        assert!(!self.open.contains(&slot.0), "a slot is free when it is given out");
        self.open.push(slot.0);
        Ok(())
    }

    fn control(&mut self, _: Slot, _: Control) -> Result<Reply, Error> {
        Err(Error::Unsupported)
    }

    fn start(&mut self, token: Token, slot: Slot, done: &mut Done) {
        let operation = done.take(token).expect("what is to be started is in its record");
        assert!(self.open.contains(&slot.0), "started on an open slot");
        let fresh = self.held.insert((token.index, token.arming), (slot, operation)).is_none();
        assert!(fresh, "a token is fresh for each arming");
        assert!(self.at_most_one_per_direction());
    }

    fn attempt(&mut self, token: Token, slot: Slot, operation: &mut Outcome) -> Attempted {
        match self.attempts_to_panic.as_mut() {
            Some(0) => {
                self.attempts_to_panic = None;
                panic!("it was told to");
            }
            Some(left) => *left -= 1,
            None => {}
        }
        if self.decides {
            if let Outcome::Recv(received) = operation {
                received.result = Ok(1);
            }
            if self.swaps {
                *operation = Outcome::Nop(crate::outcome::NopDone { result: Ok(()) });
            }
            return Attempted::Decided;
        }
        if self.chance == 0 {
            return Attempted::Declined;
        }
        assert!(self.open.contains(&slot.0), "started on an open slot");
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1) | 1;
        let choice = self.chance >> 33;
        let (is_decided, is_begun) = (choice % 8 < 4, choice % 8 < 6);
        let held = match operation {
            Outcome::Recv(Received { result, .. }) if is_decided => {
                *result = Ok(1);
                None
            }
            Outcome::Send(Sent { buffer, result, .. }) if is_decided => {
                *result = Ok(if choice.is_multiple_of(2) { buffer.len() } else { 1 });
                None
            }
            Outcome::ReadAt(done) if is_decided => {
                done.result = Ok(1);
                None
            }
            Outcome::Recv(Received { handle, buffer, .. }) if is_begun => {
                Some(Operation::Recv(Recv { handle: *handle, buffer: std::mem::take(buffer) }))
            }
            Outcome::Send(Sent { handle, buffer, .. }) if is_begun => {
                Some(Operation::Send(Send { handle: *handle, buffer: std::mem::take(buffer) }))
            }
            _ => return Attempted::Declined,
        };
        let at_once = held.is_none();
        if let Some(operation) = held {
            assert!(self.held.insert((token.index, token.arming), (slot, operation)).is_none());
        } else {
            // Nothing else of its queue is under way.
            let Outcome::Recv(_) = operation else { return Attempted::Decided };
            assert!(
                !self.held.values().any(|(used, held)| *used == slot && matches!(held, Operation::Recv(_)))
            );
        }
        assert!(self.at_most_one_per_direction());
        if at_once { Attempted::Decided } else { Attempted::Begun }
    }

    fn cancel(&mut self, token: Token, _: Slot, done: &mut Done) -> bool {
        assert!(!std::mem::take(&mut self.cancel_panics), "it was told to");
        if !self.answers_late {
            return self.end(token, done, |operation| operation.fail(Error::Canceled));
        }
        let held = self.held.contains_key(&(token.index, token.arming));
        if held {
            self.asked.push(token);
        }
        held
    }

    fn wait(&mut self, until: Until, done: &mut Done) -> Result<(), Error> {
        self.waits.push(until);
        if let Until::Deadline(time) = until {
            self.clock = self.clock.max(time.as_nanos());
        }
        self.clock += 1;
        match self.trouble.take() {
            Some(true) => panic!("it was told to"),
            Some(false) => return Err(Error::Unsupported),
            None => {}
        }
        for slot in std::mem::take(&mut self.arrived) {
            let receives = |(_, (used, _)): &(&(u32, u32), &(Slot, Operation))| *used == slot;
            let (&(index, arming), _) = self.held.iter().find(receives).expect("somebody receives");
            self.end(Token { index, arming }, done, received_a_byte);
        }
        for token in std::mem::take(&mut self.asked) {
            self.end(token, done, |operation| operation.fail(Error::Canceled));
        }
        Ok(())
    }

    fn close(&mut self, slot: Slot) -> Result<(), Error> {
        assert!(!std::mem::take(&mut self.close_panics), "it was told to");
        let uses =
            |(used, operation): &(Slot, Operation)| *used == slot || second_slot(operation) == Some(slot);
        assert!(!self.held.values().any(uses), "closed after the last use has ended");
        let position = self.open.iter().position(|open| *open == slot.0).expect("closed once");
        self.open.swap_remove(position);
        Ok(())
    }
}

/// The second of the handles that an operation uses.
pub(super) fn second_slot(operation: &Operation) -> Option<Slot> {
    match operation {
        Operation::Splice(splice) => Some(splice.to.slot()),
        Operation::SendFile(send) => Some(send.file.slot()),
        _ => None,
    }
}
