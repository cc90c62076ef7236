//! The operations that the simulation holds.

use std::collections::BTreeMap;

use proactor_core::{
    Accept, AcceptMany, Connect, Direction, Error, ExactRead, Operation, Outcome, Read, ReadExact, Recv,
    RecvFrom, RecvMany, RecvMsg, Send, SendAll, SendMsg, SendTo, SentAll, Slot, Token, Write, WriteAll,
    WrittenAll,
};

use crate::socket::Id;

/// An operation on a socket that was begun, and how far it has come.
#[derive(Debug)]
pub(crate) enum Work {
    Accept(Accept),
    AcceptMany(AcceptMany),
    Connect(Connect),
    Recv(Recv),
    RecvMany(RecvMany),
    Send(Send),
    RecvFrom(RecvFrom),
    SendTo(SendTo),
    RecvMsg(RecvMsg),
    SendMsg(SendMsg),
    SendAll {
        operation: SendAll,
        /// Bytes that were sent.
        transferred: usize,
    },
    /// A transfer from a file, which says itself how far it has come.
    SendFile(Outcome),
    Read(Read),
    ReadExact {
        operation: ReadExact,
        /// Bytes that were read.
        transferred: usize,
    },
    Write(Write),
    WriteAll {
        operation: WriteAll,
        /// Bytes that were written.
        transferred: usize,
    },
    /// An operation on several buffers, undecided, with what it has transferred.
    Vectored {
        outcome: Outcome,
        direction: Direction,
    },
}

impl Work {
    pub(crate) fn direction(&self) -> Direction {
        match self {
            Self::Accept(_) | Self::AcceptMany(_) | Self::Recv(_) | Self::RecvMany(_) | Self::RecvFrom(_) => {
                Direction::Read
            }
            Self::Connect(_) | Self::Send(_) | Self::SendTo(_) | Self::SendAll { .. } => Direction::Write,
            Self::Read(_) | Self::ReadExact { .. } | Self::RecvMsg(_) => Direction::Read,
            Self::Write(_) | Self::WriteAll { .. } | Self::SendFile(_) | Self::SendMsg(_) => Direction::Write,
            Self::Vectored { direction, .. } => *direction,
        }
    }

    /// The outcome that hands everything back with `error`.
    pub(crate) fn fail(self, error: Error) -> Outcome {
        let operation = match self {
            Self::Accept(operation) => Operation::Accept(operation),
            Self::AcceptMany(operation) => Operation::AcceptMany(operation),
            Self::Connect(operation) => Operation::Connect(operation),
            Self::Recv(operation) => Operation::Recv(operation),
            Self::RecvMany(operation) => Operation::RecvMany(operation),
            Self::Send(operation) => Operation::Send(operation),
            Self::RecvFrom(operation) => Operation::RecvFrom(operation),
            Self::SendTo(operation) => Operation::SendTo(operation),
            Self::RecvMsg(operation) => Operation::RecvMsg(operation),
            Self::SendMsg(operation) => Operation::SendMsg(operation),
            Self::SendAll { operation: SendAll { handle, buffer }, transferred } => {
                return Outcome::SendAll(SentAll { handle, buffer, transferred, result: Err(error) });
            }
            Self::SendFile(mut outcome) => {
                outcome.set_error(error);
                return outcome;
            }
            Self::Read(operation) => Operation::Read(operation),
            Self::ReadExact { operation: ReadExact { handle, buffer }, transferred } => {
                return Outcome::ReadExact(ExactRead { handle, buffer, transferred, result: Err(error) });
            }
            Self::Write(operation) => Operation::Write(operation),
            Self::WriteAll { operation: WriteAll { handle, buffer }, transferred } => {
                return Outcome::WriteAll(WrittenAll { handle, buffer, transferred, result: Err(error) });
            }
            Self::Vectored { mut outcome, .. } => {
                outcome.set_error(error);
                return outcome;
            }
        };
        operation.fail(error)
    }
}

/// Work that waits for its turn.
#[derive(Debug)]
pub(crate) struct Parked {
    pub(crate) token: Token,
    pub(crate) work: Work,
    /// It is in the list of what to try.
    pub(crate) ready: bool,
}

/// A socket of the loop.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) socket: Id,
    parked: [Option<Parked>; 2],
}

/// The loop's sockets and what is parked on them.
///
/// A map, because a slot may be any number.
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: BTreeMap<Slot, Entry>,
    /// What to try in the next pass, where it is still there.
    ready: Vec<(Slot, Direction)>,
}

impl Table {
    pub(crate) fn is_taken(&self, slot: Slot) -> bool {
        self.entries.contains_key(&slot)
    }

    /// Puts a socket into a slot that is not taken.
    pub(crate) fn insert(&mut self, slot: Slot, socket: Id) {
        let before = self.entries.insert(slot, Entry { socket, parked: [None, None] });
        debug_assert!(before.is_none());
    }

    /// Empties a slot; what was parked comes with the socket.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<(Id, impl Iterator<Item = Parked> + use<>)> {
        let Entry { socket, parked } = self.entries.remove(&slot)?;
        Some((socket, parked.into_iter().flatten()))
    }

    pub(crate) fn socket(&self, slot: Slot) -> Option<Id> {
        self.entries.get(&slot).map(|entry| entry.socket)
    }

    fn place(&mut self, slot: Slot, direction: Direction) -> Option<&mut Option<Parked>> {
        Some(&mut self.entries.get_mut(&slot)?.parked[direction as usize])
    }

    /// The socket in `slot`, if work can be parked there.
    ///
    /// # Errors
    /// [`Error::StaleHandle`] if the slot is empty, [`Error::Busy`] if the direction is taken.
    pub(crate) fn vacant(&self, slot: Slot, direction: Direction) -> Result<Id, Error> {
        let entry = self.entries.get(&slot).ok_or(Error::StaleHandle)?;
        if entry.parked[direction as usize].is_none() { Ok(entry.socket) } else { Err(Error::Busy) }
    }

    /// Parks work where [`vacant`](Self::vacant) allows it, to be tried in the next pass.
    pub(crate) fn park(&mut self, slot: Slot, token: Token, work: Work) {
        let direction = work.direction();
        self.park_again(slot, token, work);
        self.make_ready(slot, direction);
    }

    /// Parks again what was taken to be tried.
    pub(crate) fn park_again(&mut self, slot: Slot, token: Token, work: Work) {
        let direction = work.direction();
        if let Some(place) = self.place(slot, direction) {
            debug_assert!(place.is_none());
            *place = Some(Parked { token, work, ready: false });
        }
    }

    /// Has the work that is parked there tried in the next pass.
    pub(crate) fn make_ready(&mut self, slot: Slot, direction: Direction) {
        if let Some(Some(parked)) = self.place(slot, direction)
            && !parked.ready
        {
            parked.ready = true;
            self.ready.push((slot, direction));
        }
    }

    /// Swaps the list of what to try for the empty `list`, whose memory serves the next one.
    pub(crate) fn swap_ready(&mut self, list: &mut Vec<(Slot, Direction)>) {
        debug_assert!(list.is_empty());
        std::mem::swap(&mut self.ready, list);
    }

    /// Takes the work that is parked there, to try it.
    pub(crate) fn take_to_try(&mut self, slot: Slot, direction: Direction) -> Option<(Id, Token, Work)> {
        let entry = self.entries.get_mut(&slot)?;
        let parked = entry.parked[direction as usize].take()?;
        Some((entry.socket, parked.token, parked.work))
    }

    /// Takes the work that was started as `token`.
    pub(crate) fn take(&mut self, slot: Slot, token: Token) -> Option<(Id, Work)> {
        let entry = self.entries.get_mut(&slot)?;
        let named = |place: &mut Option<Parked>| place.take_if(|parked| parked.token == token);
        let parked = entry.parked.iter_mut().find_map(named)?;
        Some((entry.socket, parked.work))
    }
}
