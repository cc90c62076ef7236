//! Between a pipe and another stream without copying: what is asked, and what comes back.

use crate::operation::{Direction, OneShot, Operation, Target, UNDECIDED, submission};
use crate::outcome::error_of_result;
use crate::{Error, Handle, Kind, Outcome};

/// Moves bytes from a pipe to a stream, from a stream to a pipe or from one pipe to another, as many as go at once: the system
/// moves them, and the program never sees them. Streams are connected stream sockets and pipes, and what else of devices the
/// system can do it with.
///
/// It waits until `from` has something and `to` has room. Where `from` is at its end, none are moved: `Ok(0)`.
///
/// It has its turn among all that reads from `from` and among all that writes to `to`, first in first out in both (contract
/// H3): submitted behind a [`Send`](crate::Send) its bytes come behind those, and a [`Recv`](crate::Recv) submitted later gets what
/// it has left. While it waits for one of the two, whatever was submitted later for the other waits behind it. Closing either
/// ends it (contract H1); ended before its turn, by that, by a cancel or by a deadline, it waits for none.
///
/// Two sockets are joined by a pipe of the program's, with two of these: one into the pipe, one out of it. What is in the pipe
/// stays there whatever ends them, so that cancelling loses no byte (contract X1).
///
/// Only where [`Capabilities::splicing`](crate::Capabilities::splicing) says so; elsewhere, [`Error::Unsupported`]. Where neither
/// is a pipe it is `EINVAL`, and so it is with a file, whose bytes have positions: [`SendFile`](crate::SendFile) sends those. A
/// socket that carries messages is [`Error::Unsupported`]. What `to` has lost its reader or its peer for is `EPIPE` or
/// `ECONNRESET`, told when there is something to move, without a signal (contract R3).
///
/// ```
/// use proactor_sim::{Config, Error, Loop, RunMode, Splice};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut ev = Loop::<Vec<Error>>::open(Config::default())?;
/// let mut cx = ev.context();
/// let (from, to) = (cx.socket(proactor_sim::Family::Ipv4)?, cx.socket(proactor_sim::Family::Ipv4)?);
/// assert!(!cx.capabilities().splicing, "a simulation has no pipes");
/// cx.submit(Splice { from, to, len: 1 << 16 }, move |errors: &mut Vec<Error>, _cx, spliced| {
///     assert_eq!((spliced.from, spliced.to), (from, to));
///     errors.extend(spliced.error());
/// });
/// let mut errors = Vec::new();
/// ev.run(&mut errors, RunMode::UntilDone)?;
/// assert_eq!(errors, [Error::Unsupported]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Splice {
    /// Where the bytes come from.
    pub from: Handle,
    /// Where they go to.
    pub to: Handle,
    /// How many at most, beyond what one call takes as well (contract R4); of zero, none are moved.
    pub len: u64,
}

/// How a [`Splice`](crate::Splice) went.
#[derive(Debug)]
pub struct Spliced {
    /// Where the bytes came from.
    pub from: Handle,
    /// Where they went to.
    pub to: Handle,
    /// How many were asked for at most.
    pub len: u64,
    /// How many were moved; zero at the end of `from`.
    pub result: Result<u64, Error>,
}

submission!(Splice => Spliced, Splice, |this| Target::Stream(this.from, Direction::Read), |this| {
    let Splice { from, to, len } = this;
    Spliced { from, to, len, result: Err(UNDECIDED) }
}; |this| this.to);

impl OneShot for Splice {}

error_of_result!(Spliced);

/// As [`crate::vectored::hollow`], of that one too.
pub(crate) fn hollow(kind: Kind, handle: Handle) -> Option<Operation> {
    match kind {
        Kind::Splice => Some(Splice { from: handle, to: handle, len: 0 }.into()),
        kind => crate::vectored::hollow(kind, handle),
    }
}

/// As [`crate::file::back`].
pub(crate) fn back(outcome: Outcome) -> Result<Operation, Outcome> {
    match outcome {
        Outcome::Splice(Spliced { from, to, len, .. }) => Ok(Operation::Splice(Splice { from, to, len })),
        other => Err(other),
    }
}
