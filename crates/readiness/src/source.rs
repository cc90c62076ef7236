//! One descriptor: what is known of it, and the calls on it.

use std::mem;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::task::{Poll, ready};

use proactor_core::{Address, Buffer, Error};
use proactor_system::{self as system, DescriptorKind, MAX_TRANSFER, Mode, Transport};
use rustix::io::Errno;

use crate::files::AtOnce;
use crate::held::Held;
use crate::poller::Watch;

/// How often one `SendAll` sends before others get their turn. A socket buffer takes a few pieces at most, so this
/// ends only those whose peer reads as fast as they send.
const SENDS_PER_TURN: usize = 16;

/// A descriptor and what is known of it; or none, in a free slot.
#[derive(Debug)]
pub(crate) struct Source {
    descriptor: Held,
    /// Counts the descriptors that were here.
    generation: u32,
    traits: Traits,
    /// The last call that reads would have blocked, or is known to have left nothing; no edge since.
    pub(crate) read_drained: bool,
    /// The last call that writes would have blocked; no edge since.
    pub(crate) write_drained: bool,
    /// Whether a read that brings less than was asked for has left nothing.
    pub(crate) short_read_drains: bool,
    /// Whether it has had its turn though it could go on, for which no edge will come.
    pub(crate) is_unfinished: bool,
    /// Whether it carries messages and will bring none any more: what is queued is not followed by an edge.
    pub(crate) is_ended: bool,
    /// Whether what waits to read waits for a buffer, not for an edge.
    pub(crate) is_dry: bool,
    /// Whether it can be read at positions without waiting.
    pub(crate) reads_at_once: AtOnce,
    /// The same, of writing.
    pub(crate) writes_at_once: AtOnce,
}

/// What is known of a descriptor for as long as it stays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traits {
    pub(crate) kind: DescriptorKind,
    pub(crate) watch: Watch,
    /// What it is known to be. What is blocking is changed only where an operation needs that.
    pub(crate) mode: Mode,
    pub(crate) restore: Restore,
}

/// Where a descriptor comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// Its user, or a name that was opened: others may share what it refers to. What is blocking is changed only where an
    /// operation needs that.
    Given,
    /// The loop has opened it, a socket, in this mode.
    Opened(Mode),
}

/// Whose a descriptor is, and when it is made blocking again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Restore {
    /// Its user's; never: it was not changed.
    Never,
    /// Its user's, who may share it; in any case (contract H5).
    Always,
    /// The loop's own; never: it was opened blocking, and not changed.
    OwnNever,
    /// The loop's own; when it is detached, as what `std` opens blocks.
    OnDetach,
}

impl Restore {
    /// Of what comes from there.
    pub(crate) const fn of(origin: Origin) -> (Mode, Self) {
        match origin {
            Origin::Given => (Mode::Blocking, Self::Never),
            Origin::Opened(Mode::Blocking) => (Mode::Blocking, Self::OwnNever),
            Origin::Opened(Mode::Nonblocking) => (Mode::Nonblocking, Self::OnDetach),
        }
    }

    /// After it was changed.
    pub(crate) const fn changed(self) -> Self {
        match self {
            Self::Never | Self::Always => Self::Always,
            Self::OwnNever | Self::OnDetach => Self::OnDetach,
        }
    }

    /// Whether the loop has opened it, so that nobody else has it.
    pub(crate) const fn is_own(self) -> bool {
        matches!(self, Self::OwnNever | Self::OnDetach)
    }

    /// Whether what is detached has to be made blocking.
    pub(crate) const fn is_due_on_detach(self) -> bool {
        matches!(self, Self::Always | Self::OnDetach)
    }
}

impl Source {
    pub(crate) const FREE: Self = Self {
        descriptor: Held::Nothing,
        generation: 0,
        traits: Traits {
            kind: DescriptorKind::Other,
            watch: Watch::AlwaysReady,
            mode: Mode::Blocking,
            restore: Restore::Never,
        },
        read_drained: false,
        write_drained: false,
        short_read_drains: false,
        is_unfinished: false,
        is_ended: false,
        is_dry: false,
        reads_at_once: AtOnce::Unknown,
        writes_at_once: AtOnce::Unknown,
    };

    #[inline(always)]
    pub(crate) fn is_free(&self) -> bool {
        self.descriptor.is_nothing()
    }

    #[inline(always)]
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    pub(crate) const fn watch(&self) -> Watch {
        self.traits.watch
    }

    pub(crate) fn kind(&self) -> DescriptorKind {
        self.traits.kind
    }

    pub(crate) fn occupy(&mut self, descriptor: OwnedFd, traits: Traits) {
        let generation = self.generation;
        let short_read_drains = traits.kind == DescriptorKind::Socket(Transport::Tcp);
        *self =
            Self { descriptor: Held::Alone(descriptor), generation, traits, short_read_drains, ..Self::FREE };
    }

    /// Gives the descriptor out; events of its registration name nobody from now on.
    pub(crate) fn vacate(&mut self) -> Result<(OwnedFd, Traits), Error> {
        let descriptor = self.descriptor.take()?;
        let generation = self.generation.wrapping_add(1);
        let left = mem::replace(self, Self { generation, ..Self::FREE });
        Ok((descriptor, left.traits))
    }

    /// The descriptor, if it has to be made blocking again whatever becomes of it.
    pub(crate) fn to_restore(&self) -> Option<BorrowedFd<'_>> {
        let descriptor = self.descriptor.descriptor().ok()?;
        (self.traits.restore == Restore::Always).then_some(descriptor)
    }

    #[inline(always)]
    pub(crate) fn descriptor(&self) -> Result<BorrowedFd<'_>, Error> {
        self.descriptor.descriptor()
    }

    /// A share in the descriptor, for a thread of the pool.
    ///
    /// # Errors
    /// [`Error::StaleHandle`] if there is none.
    pub(crate) fn share(&mut self) -> Result<Arc<OwnedFd>, Error> {
        self.descriptor.share()
    }

    /// Whether an empty buffer needs no call: bytes in a row, where none are nothing (contract R1).
    #[inline(always)]
    pub(crate) fn takes_bytes(&self) -> bool {
        matches!(self.traits.kind, DescriptorKind::Socket(transport) if transport.is_stream())
    }

    pub(crate) fn is_socket(&self) -> bool {
        matches!(self.traits.kind, DescriptorKind::Socket(_))
    }

    /// Whether an empty buffer may be filled by the system: with an empty message.
    pub(crate) fn takes_messages(&self) -> bool {
        matches!(self.traits.kind, DescriptorKind::Socket(transport) if !transport.is_stream())
    }

    /// Before a call on what is no socket. Asked each time, because all who share the open file share the flag: another
    /// handle of it may have restored it meanwhile, and a call that waits would hold up the loop.
    pub(crate) fn keep_nonblocking(&mut self) -> Result<(), Error> {
        if self.traits.watch == Watch::Edges {
            let before = system::set_mode(self.descriptor()?, Mode::Nonblocking);
            self.traits.restore = restored(self.traits.restore, before, system::ASKS_FIRST)?;
        }
        Ok(())
    }

    /// The answer of a call on what is no socket: pending only where an edge will come.
    pub(crate) fn can_wait<T>(&self, answer: Poll<Result<T, Error>>) -> Poll<Result<T, Error>> {
        if answer.is_pending() && self.traits.watch == Watch::AlwaysReady {
            return Poll::Ready(Err(Error::Unsupported));
        }
        answer
    }

    /// Before a call that only O_NONBLOCK keeps from waiting.
    fn make_nonblocking(&mut self) -> Result<(), Error> {
        if self.traits.mode == Mode::Nonblocking {
            return Ok(());
        }
        if !self.is_socket() {
            return Err(Errno::NOTSOCK.into());
        }
        if system::set_mode(self.descriptor()?, Mode::Nonblocking)? == Mode::Blocking {
            self.traits.restore = self.traits.restore.changed();
        }
        self.traits.mode = Mode::Nonblocking;
        Ok(())
    }

    /// Receives into the buffer's range.
    #[inline(always)]
    pub(crate) fn receive(&mut self, buffer: &mut Buffer) -> Poll<Result<usize, Error>> {
        let asked = buffer.len().min(MAX_TRANSFER);
        let received = system::receive(self.descriptor()?, buffer.as_mut_slice()?);
        self.read_drained = match received {
            Poll::Pending => true,
            // The end of the stream stays to be read again.
            Poll::Ready(Ok(len)) => self.short_read_drains && len != 0 && len < asked,
            Poll::Ready(Err(_)) => false,
        };
        received
    }

    /// Receives, if an answer can be expected.
    #[inline(always)]
    pub(crate) fn receive_first(&mut self, buffer: &mut Buffer) -> Poll<Result<usize, Error>> {
        if !buffer.is_writable() {
            return Poll::Ready(Err(Error::ReadOnlyBuffer));
        }
        if buffer.is_empty() && self.takes_bytes() {
            return Poll::Ready(Ok(0));
        }
        if self.read_drained {
            return Poll::Pending;
        }
        self.receive(buffer)
    }

    /// Before a receive that goes on.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if it is no stream socket: of datagrams, an empty one is not the end.
    pub(crate) fn prepare_to_recv_many(&self) -> Result<(), Error> {
        if self.takes_bytes() { Ok(()) } else { Err(Error::Unsupported) }
    }

    /// Before the first [`accept`](Self::accept).
    pub(crate) fn prepare_to_accept(&mut self) -> Result<(), Error> {
        self.make_nonblocking()
    }

    /// Before a file is sent on it. Such calls know no flag that keeps them from waiting.
    ///
    /// # Errors
    /// `ENOTSOCK`; [`Error::Unsupported`] of a socket that carries messages, of which a file has none.
    pub(crate) fn prepare_to_send_file(&mut self) -> Result<(), Error> {
        system::check_to_send_file(self.descriptor()?, self.kind())?;
        self.keep_nonblocking_within()
    }

    /// Before each call that moves bytes within the system, on a socket or on something else.
    pub(crate) fn keep_nonblocking_within(&mut self) -> Result<(), Error> {
        if self.is_socket() { self.make_nonblocking() } else { self.keep_nonblocking() }
    }

    /// Accepts a connection.
    ///
    /// After an error it is not drained: the connections that EMFILE left behind bring no further edge.
    pub(crate) fn accept(&mut self) -> Poll<Result<(OwnedFd, Address), Error>> {
        if self.read_drained {
            return Poll::Pending;
        }
        let accepted = system::accept(self.descriptor()?);
        self.read_drained = accepted.is_pending();
        accepted
    }

    /// Sends from `bytes`.
    #[inline(always)]
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Poll<Result<usize, Error>> {
        let sent = system::send(self.descriptor()?, bytes);
        if sent.is_pending() {
            self.write_drained = true;
        }
        sent
    }

    /// Sends, if an answer can be expected.
    #[inline(always)]
    pub(crate) fn send_first(&mut self, bytes: &[u8]) -> Poll<Result<usize, Error>> {
        if bytes.is_empty() && self.takes_bytes() {
            return Poll::Ready(Ok(0));
        }
        if self.write_drained {
            return Poll::Pending;
        }
        self.send(bytes)
    }

    /// Sends what is left of `bytes` after `transferred`. Pending without being drained, it has had its turn.
    #[inline(always)]
    pub(crate) fn send_rest(&mut self, bytes: &[u8], transferred: &mut usize) -> Poll<Result<usize, Error>> {
        in_pieces(bytes.len(), transferred, |from| self.send_first(&bytes[from..]))
    }

    /// Starts to connect.
    pub(crate) fn connect(&mut self, address: &Address) -> Poll<Result<(), Error>> {
        self.make_nonblocking()?;
        let connected = system::connect(self.descriptor()?, address);
        match connected {
            Poll::Ready(Ok(())) => self.connection_begins(),
            // A receive would take the error that tells how the connect went, so it does not get to try before.
            Poll::Pending => self.read_drained = true,
            Poll::Ready(Err(_)) => {}
        }
        connected
    }

    /// How the connect to `address` went, if that is decided.
    pub(crate) fn connect_result(&mut self, address: &Address) -> Poll<Result<(), Error>> {
        let decided = ready!(system::connect_result(self.descriptor()?, address));
        self.connection_begins();
        Poll::Ready(decided)
    }

    /// Gives up to wait for a connect, so that a receive may have its error.
    pub(crate) fn connect_is_canceled(&mut self) {
        self.read_drained = false;
    }

    /// What was seen before belonged to no connection: an unconnected socket shows a hang-up, for one.
    fn connection_begins(&mut self) {
        self.read_drained = false;
        self.short_read_drains = self.traits.kind == DescriptorKind::Socket(Transport::Tcp);
    }
}

/// When a descriptor is made blocking again that was `before` when it was made non-blocking. Where that is refused, it stays as
/// it is: its calls have to ask before they wait.
fn restored(known: Restore, before: Result<Mode, Error>, asks_first: bool) -> Result<Restore, Error> {
    match before {
        Ok(Mode::Blocking) => Ok(known.changed()),
        Ok(Mode::Nonblocking) => Ok(known),
        Err(_) if asks_first => Ok(known),
        Err(error) => Err(error),
    }
}

/// Sends `len` bytes from `transferred` on in pieces, of which one turn takes a limited number.
#[inline(always)]
fn in_pieces(
    len: usize,
    transferred: &mut usize,
    mut send_from: impl FnMut(usize) -> Poll<Result<usize, Error>>,
) -> Poll<Result<usize, Error>> {
    for _ in 0..SENDS_PER_TURN {
        let sent = ready!(send_from(*transferred))?;
        *transferred += sent;
        if *transferred == len {
            return Poll::Ready(Ok(sent));
        }
    }
    Poll::Pending
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_reads_as_fast_as_we_send_does_not_hold_up_the_loop() {
        let mut transferred = 0;
        let mut calls = 0;
        let mut send = |from: usize| {
            assert_eq!(from, 10 * calls);
            calls += 1;
            Poll::Ready(Ok(10))
        };
        assert_eq!(in_pieces(200, &mut transferred, &mut send), Poll::Pending);
        assert_eq!(transferred, 160);
        assert_eq!(in_pieces(200, &mut transferred, &mut send), Poll::Ready(Ok(10)));
        assert_eq!((transferred, calls), (200, 20));
    }

    #[test]
    fn what_cannot_be_made_non_blocking_stays_as_it_is_where_its_calls_ask_first() {
        let refused = Err(Errno::NOTSUP.into());
        for known in [Restore::Never, Restore::OwnNever, Restore::OnDetach, Restore::Always] {
            assert_eq!(restored(known, refused, true), Ok(known), "there is nothing to restore");
            assert_eq!(restored(known, refused, false), Err(Errno::NOTSUP.into()));
            assert_eq!(restored(known, Ok(Mode::Blocking), true), Ok(known.changed()));
            assert!(known.changed().is_due_on_detach() && known.changed().is_own() == known.is_own());
            assert_eq!(restored(known, Ok(Mode::Nonblocking), true), Ok(known));
        }
    }

    #[test]
    fn what_was_sent_before_an_error_is_told() {
        let mut transferred = 0;
        let mut answers = [Err(Error::Backend), Ok(7)].to_vec();
        let result = in_pieces(20, &mut transferred, |_| Poll::Ready(answers.pop().unwrap()));
        assert_eq!((result, transferred), (Poll::Ready(Err(Error::Backend)), 7));
    }
}
