//! Operations on streams: what is asked, and what comes back.

use crate::operation::{Direction, Multishot, OneShot, Target, UNDECIDED, submission};
use crate::outcome::{Outcome, error_of_result};
use crate::{Address, Buffer, Error, Handle};

/// Accepts one connection. FIFO with the listener's other accepts.
#[derive(Debug)]
pub struct Accept {
    /// A listening stream socket.
    pub listener: Handle,
}

/// Accepts connections until it is stopped or fails: one event each, the last one handing the listener back.
#[derive(Debug)]
pub struct AcceptMany {
    /// A listening stream socket.
    pub listener: Handle,
}

/// Connects a socket. Sends may be queued behind it at once.
///
/// A datagram socket sends to that address from then on and hears nobody else; it can be connected again, elsewhere.
///
/// A Unix listener whose queue is full is waited for where the kernel completes operations. A system that only tells what
/// is ready cannot wait for it, and there it is ECONNREFUSED, at once.
#[derive(Debug)]
pub struct Connect {
    /// An unconnected stream socket, or a datagram socket, of the address's family.
    pub handle: Handle,
    /// Where to.
    pub address: Address,
}

/// Receives what has arrived, at least one byte, into the buffer's range. FIFO with the handle's other receives.
///
/// On a datagram socket it receives one datagram, empty ones too: zero is no end there (contract R1). What does not fit
/// is lost without a word; [`RecvFrom`](crate::RecvFrom) tells.
#[derive(Debug)]
pub struct Recv {
    /// A connected socket.
    pub handle: Handle,
    /// Filled from its range's start; on a stream an empty range completes with zero in its place in the queue (contract
    /// R1).
    pub buffer: Buffer,
}

/// Sends from the buffer's range as much as the system takes at once. FIFO with the handle's other sends (contract H3).
///
/// What is queued behind it goes on after a part too, a [`Shutdown`] above all: where everything has to go, use [`SendAll`]. But
/// it is not started before this one's callback has run, which may cancel it there and send the rest.
#[derive(Debug)]
pub struct Send {
    /// A connected socket, or one whose connect is queued before.
    pub handle: Handle,
    /// Its range is sent.
    pub buffer: Buffer,
}

/// Sends the whole of the buffer's range. FIFO with the handle's other sends, whose bytes it does not mix with.
#[derive(Debug)]
pub struct SendAll {
    /// A connected socket, or one whose connect is queued before.
    pub handle: Handle,
    /// Its range is sent.
    pub buffer: Buffer,
}

/// Which direction of a stream a [`Shutdown`] ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShutdownHow {
    /// Receiving.
    Read,
    /// Sending: the peer sees the end of the stream after all that was sent.
    Write,
    /// Both.
    Both,
}

/// Ends one or both directions of a stream, behind the sends queued before, also where a [`Send`] has sent a part only.
///
/// On a datagram socket whose receiving is shut down, what receives gets what is queued, and then an empty message from nobody, at
/// once and as often as it asks (contract R1). Whether messages still arrive there, systems differ in: over UDP they do on Linux.
#[derive(Debug)]
pub struct Shutdown {
    /// A connected socket.
    pub handle: Handle,
    /// Which directions.
    pub how: ShutdownHow,
}

/// A connection as a listener accepts it.
#[derive(Debug)]
pub struct Connection {
    /// The new socket, owned by the loop.
    pub handle: Handle,
    /// The peer's address.
    pub address: Address,
}

/// How an [`Accept`](crate::Accept) went.
#[derive(Debug)]
pub struct Accepted {
    /// The listener, to accept again.
    pub listener: Handle,
    /// The new socket, owned by the loop, and the peer's address.
    pub result: Result<(Handle, Address), Error>,
}

/// How an [`AcceptMany`](crate::AcceptMany) ended.
#[derive(Debug)]
pub struct AcceptManyEnded {
    /// The listener, to accept again.
    pub listener: Handle,
    /// Why it ended: [`Error::Canceled`] after it was stopped or cancelled.
    pub error: Error,
}

/// How a [`Connect`](crate::Connect) went.
#[derive(Debug)]
pub struct Connected {
    /// The socket.
    pub handle: Handle,
    /// Where to.
    pub address: Address,
    /// Connected, or not.
    pub result: Result<(), Error>,
}

/// How a [`Recv`](crate::Recv) went.
#[derive(Debug)]
pub struct Received {
    /// The socket.
    pub handle: Handle,
    /// The buffer, its range as it was given.
    pub buffer: Buffer,
    /// How many bytes were written from its range's start on; zero at the end of a stream, or for an empty datagram.
    pub result: Result<usize, Error>,
}

/// How a [`Send`](crate::Send) went.
#[derive(Debug)]
pub struct Sent {
    /// The socket.
    pub handle: Handle,
    /// The buffer, its range as it was given.
    pub buffer: Buffer,
    /// How many bytes were taken from its range's start on.
    pub result: Result<usize, Error>,
}

/// How a [`SendAll`](crate::SendAll) went.
#[derive(Debug)]
pub struct SentAll {
    /// The socket.
    pub handle: Handle,
    /// The buffer, its range as it was given.
    pub buffer: Buffer,
    /// How many bytes the system took, also when it failed or was cancelled.
    pub transferred: usize,
    /// `Ok` if it took all.
    pub result: Result<(), Error>,
}

/// How a [`Shutdown`](crate::Shutdown) went.
#[derive(Debug)]
pub struct ShutDown {
    /// The socket.
    pub handle: Handle,
    /// Which directions.
    pub how: ShutdownHow,
    /// Done, or not.
    pub result: Result<(), Error>,
}

submission!(Accept => Accepted, Accept, |this| Target::Stream(this.listener, Direction::Read), |this| {
    Accepted { listener: this.listener, result: Err(UNDECIDED) }
});
submission!(
    AcceptMany => AcceptManyEnded, AcceptManyEnded,
    |this| Target::Stream(this.listener, Direction::Read),
    |this| AcceptManyEnded { listener: this.listener, error: UNDECIDED }
);
submission!(Connect => Connected, Connect, |this| Target::Stream(this.handle, Direction::Write), |this| {
    Connected { handle: this.handle, address: this.address, result: Err(UNDECIDED) }
});
submission!(Recv => Received, Recv, |this| Target::Stream(this.handle, Direction::Read), |this| {
    Received { handle: this.handle, buffer: this.buffer, result: Err(UNDECIDED) }
});
submission!(Send => Sent, Send, |this| Target::Stream(this.handle, Direction::Write), |this| {
    Sent { handle: this.handle, buffer: this.buffer, result: Err(UNDECIDED) }
});
submission!(SendAll => SentAll, SendAll, |this| Target::Stream(this.handle, Direction::Write), |this| {
    SentAll { handle: this.handle, buffer: this.buffer, transferred: 0, result: Err(UNDECIDED) }
});
submission!(Shutdown => ShutDown, Shutdown, |this| Target::Stream(this.handle, Direction::Write), |this| {
    ShutDown { handle: this.handle, how: this.how, result: Err(UNDECIDED) }
});

impl OneShot for Accept {}
impl OneShot for Connect {}
impl OneShot for Recv {}
impl OneShot for Send {}
impl OneShot for SendAll {}
impl OneShot for Shutdown {}

impl Multishot for AcceptMany {
    type Item = Connection;

    #[inline(always)]
    fn item(outcome: Outcome) -> Option<Connection> {
        match outcome {
            Outcome::AcceptManyItem(connection) => Some(connection),
            // As for outputs.
            other => {
                std::mem::forget(other);
                None
            }
        }
    }
}

error_of_result!(Accepted, Connected, Received, Sent, SentAll, ShutDown);

impl AcceptManyEnded {
    /// Why it ended.
    #[must_use]
    pub const fn error(&self) -> Option<Error> {
        Some(self.error)
    }
}
