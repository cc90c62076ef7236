//! A descriptor on its way out of the loop.

use crate::backend::OwnedDescriptor;
use crate::operation::{OneShot, Target, UNDECIDED, submission};
use crate::outcome::error_of_result;
use crate::{Error, Handle};

/// Takes a descriptor out of the loop and hands it over, its status flags as they were when it was attached (contract H5).
/// What [`Context::detach`](crate::Context::detach) refuses while something is pending, this ends first, as closing would.
///
/// The handle is stale from `submit` on, and whatever is pending on it ends, each with its outcome. The descriptor comes when
/// its last use has ended, which a thread of the pool may still be at; of what was queued to be sent, what the system has not
/// taken by then is not sent. What has begun cannot be undone: a cancel is [`TooLate`](crate::Cancel::TooLate), and it has
/// no deadline (contract X4).
///
/// Deleted, or dropped with the loop, the descriptor is closed.
///
/// [`Error::StaleHandle`] of a handle that is; [`Error::Unsupported`] where no descriptors are behind handles
/// ([`Capabilities::descriptors`](crate::Capabilities)): the handle is as before, and nothing has ended.
///
/// ```no_run
/// use std::net::TcpStream;
///
/// # // Any backend that has descriptors; the simulator has none.
/// use proactor_sim::{Buffer, Config, Detach, Error, Loop, Recv, RunMode};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut ev = Loop::<Option<TcpStream>>::open(Config::default())?;
/// let mut cx = ev.context();
/// let handle = cx.attach(TcpStream::connect("127.0.0.1:7000")?)?;
/// cx.submit(Recv { handle, buffer: Buffer::zeroed(64) }, |_, _cx, received| {
///     assert_eq!(received.result, Err(Error::Canceled));
/// });
/// cx.submit(Detach { handle }, |stream, _cx, detached| {
///     *stream = detached.result.ok().map(TcpStream::from);
/// });
/// let mut stream = None;
/// ev.run(&mut stream, RunMode::UntilDone)?;
/// assert!(stream.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Detach {
    /// The handle whose descriptor is to come out.
    pub handle: Handle,
}

/// How a [`Detach`](crate::Detach) went.
#[derive(Debug)]
pub struct Detached {
    /// The handle, stale now, unless it failed with [`Error::Unsupported`].
    pub handle: Handle,
    /// The descriptor.
    pub result: Result<OwnedDescriptor, Error>,
}

submission!(Detach => Detached, Detach, |this| Target::Close(this.handle), |this| {
    Detached { handle: this.handle, result: Err(UNDECIDED) }
});

impl OneShot for Detach {}

error_of_result!(Detached);
