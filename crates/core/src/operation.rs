//! What can be asked of the loop.

use std::time::Duration;

use crate::bytes::{Read, ReadExact, Write, WriteAll};
use crate::child::WaitChild;
use crate::datagram::{RecvFrom, SendTo};
use crate::detach::Detach;
use crate::directory::ReadDir;
use crate::file::{Allocate, Fdatasync, Fsync, OpenAt, ReadAt, Truncate, WriteAt};
use crate::message::{RecvMsg, SendMsg};
use crate::names::{Link, MakeDir, RemoveDir, Rename, Statx, Symlink, Unlink};
use crate::outcome::{Closed, Expired, NopDone, Notified, Outcome};
use crate::poll::{Poll, PollMany};
use crate::resolve::Resolve;
use crate::send_file::{SendFile, SendFileAll};
use crate::signals::Signals;
use crate::splice::Splice;
use crate::stream::{Accept, AcceptMany, Connect, Recv, Send, SendAll, Shutdown};
use crate::vectored::{
    ReadVectored, ReadVectoredAt, ReadVectoredExact, ReadVectoredExactAt, WriteVectored, WriteVectoredAll,
    WriteVectoredAllAt, WriteVectoredAt,
};
use crate::work::AnyWork;
use crate::{Error, Handle, Notifier, RecvMany, Time};

mod submission;

pub use submission::{Direction, Multishot, OneShot, Submission, Target};
pub(crate) use submission::{sealed, submission};

/// Completes in the next turn, having done nothing.
#[derive(Debug)]
pub struct Nop;

/// Completes when its deadline has passed, never before (contract T2).
///
/// ```
/// use std::time::Duration;
///
/// use proactor_sim::{Config, Loop, RunMode, Time, Timer};
///
/// # fn main() -> std::io::Result<()> {
/// let mut ev = Loop::<Vec<u32>>::open(Config::default())?;
/// let mut cx = ev.context();
/// let soon = cx.now() + Duration::from_millis(10);
/// // Equal deadlines fire in the order in which they were submitted.
/// cx.submit(Timer::at(soon), |fired, _cx, _expired| fired.push(2));
/// cx.submit(Timer::at(soon), |fired, _cx, _expired| fired.push(3));
/// cx.submit(Timer::at(Time::ZERO), |fired, _cx, _expired| fired.push(1));
///
/// let mut fired = Vec::new();
/// ev.run(&mut fired, RunMode::UntilDone)?;
/// assert_eq!(fired, [1, 2, 3]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Timer {
    pub(crate) due: Due,
}

impl Timer {
    /// Due `duration` after it is armed, that is after `submit`, or after the callback that re-arms it.
    #[must_use]
    pub const fn after(duration: Duration) -> Self {
        Self { due: Due::After(duration) }
    }

    /// Due at `time` on the loop's clock; at once if that has passed, never for [`Time::NEVER`].
    #[must_use]
    pub const fn at(time: Time) -> Self {
        Self { due: Due::At(time) }
    }
}

impl From<Due> for Result<Time, Duration> {
    #[inline(always)]
    fn from(due: Due) -> Self {
        match due {
            Due::After(duration) => Err(duration),
            Due::At(time) => Ok(time),
        }
    }
}

impl From<Result<Time, Duration>> for Due {
    #[inline(always)]
    fn from(due: Result<Time, Duration>) -> Self {
        due.map_or_else(Self::After, Self::At)
    }
}

/// When a timer is due. The relative form becomes a point in time when it is armed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Due {
    After(Duration),
    At(Time),
}

/// Completes when `notifier` is notified, or at once if it was since it last completed a wait (contract W1).
///
/// One wait per notifier: a second one ends with [`Error::Busy`].
#[derive(Debug)]
pub struct NotifierWait {
    /// A notifier of the same loop; of another one it ends with [`Error::InvalidInput`].
    pub notifier: Notifier,
}

/// Closes a handle and reports how it went. The handle is stale from `submit` on, whatever is pending on it ends, and
/// then the descriptor is closed (contract H1). Only one that is refused, with [`Error::Full`], leaves the handle as it was;
/// [`Context::close`](crate::Context::close) cannot be.
#[derive(Debug)]
pub struct Close {
    /// The handle to close.
    pub handle: Handle,
}

/// Everything that can be asked.
///
/// Each takes what it needs by value. Its outcome hands all of that back, whatever came of it (contract C2), and adds what the
/// table says. Operations of one *order* on one handle are first in, first out (contract H3); any of them takes a
/// deadline ([`with_timeout`](crate::WithDeadline)).
///
/// | operation | takes | outcome | which adds | order |
/// | --- | --- | --- | --- | --- |
/// | [`Nop`](crate::Nop) | nothing | [`NopDone`](crate::NopDone) | `result`: `Result<(), Error>` | none |
/// | [`Timer`](crate::Timer) | a duration or a point in time | [`Expired`](crate::Expired) | `result`: `Result<(), Error>` | none |
/// | [`NotifierWait`](crate::NotifierWait) | `notifier` | [`Notified`](crate::Notified) | `result`: `Result<(), Error>` | none |
/// | [`Accept`](crate::Accept) | `listener` | [`Accepted`](crate::Accepted) | `result`: `Result<(Handle, Address), Error>` | reading |
/// | [`AcceptMany`](crate::AcceptMany) | `listener` | [`AcceptManyEnded`](crate::AcceptManyEnded) | `error`: `Error`; before it any number of [`Connection`](crate::Connection)s | reading |
/// | [`Connect`](crate::Connect) | `handle`, `address` | [`Connected`](crate::Connected) | `result`: `Result<(), Error>` | writing |
/// | [`Recv`](crate::Recv) | `handle`, `buffer` | [`Received`](crate::Received) | `result`: `Result<usize, Error>` | reading |
/// | [`RecvMany`](crate::RecvMany) | `handle`, `pool` | [`RecvManyEnded`](crate::RecvManyEnded) | `result`: `Result<(), Error>`; before it any number of [`Buffer`](crate::Buffer)s | reading |
/// | [`Send`](crate::Send) | `handle`, `buffer` | [`Sent`](crate::Sent) | `result`: `Result<usize, Error>` | writing |
/// | [`SendAll`](crate::SendAll) | `handle`, `buffer` | [`SentAll`](crate::SentAll) | `transferred`: `usize`, `result`: `Result<(), Error>` | writing |
/// | [`Shutdown`](crate::Shutdown) | `handle`, `how` | [`ShutDown`](crate::ShutDown) | `result`: `Result<(), Error>` | writing |
/// | [`SendFile`](crate::SendFile) | `handle`, `file`, `offset`, `len` | [`SentFile`](crate::SentFile) | `result`: `Result<u64, Error>` | writing; none on the file |
/// | [`SendFileAll`](crate::SendFileAll) | `handle`, `file`, `offset`, `len` | [`SentFileAll`](crate::SentFileAll) | `transferred`: `u64`, `result`: `Result<(), Error>` | writing; none on the file |
/// | [`Splice`](crate::Splice) | `from`, `to`, `len` | [`Spliced`](crate::Spliced) | `result`: `Result<u64, Error>` | reading on `from`, writing on `to` |
/// | [`RecvFrom`](crate::RecvFrom) | `handle`, `buffer`, `peer` | [`ReceivedFrom`](crate::ReceivedFrom) | `result`: `Result<Datagram, Error>` | reading |
/// | [`SendTo`](crate::SendTo) | `handle`, `buffer`, `peer` | [`SentTo`](crate::SentTo) | `result`: `Result<(), Error>` | writing |
/// | [`RecvMsg`](crate::RecvMsg) | `handle`, `buffer`, `envelope` | [`ReceivedMsg`](crate::ReceivedMsg) | `result`: `Result<Message, Error>` | reading |
/// | [`SendMsg`](crate::SendMsg) | `handle`, `buffer`, `envelope` | [`SentMsg`](crate::SentMsg) | `result`: `Result<usize, Error>` | writing |
/// | [`Close`](crate::Close) | `handle` | [`Closed`](crate::Closed) | `result`: `Result<(), Error>` | the whole handle |
/// | [`Detach`](crate::Detach) | `handle` | [`Detached`](crate::Detached) | `result`: `Result<OwnedDescriptor, Error>` | the whole handle |
/// | [`OpenAt`](crate::OpenAt) | `directory`, `path`, `options` | [`Opened`](crate::Opened) | `result`: `Result<Handle, Error>` | none |
/// | [`ReadAt`](crate::ReadAt) | `handle`, `buffer`, `offset` | [`ReadAtDone`](crate::ReadAtDone) | `result`: `Result<usize, Error>` | none, on a handle |
/// | [`WriteAt`](crate::WriteAt) | `handle`, `buffer`, `offset` | [`WriteAtDone`](crate::WriteAtDone) | `result`: `Result<usize, Error>` | none, on a handle |
/// | [`Fsync`](crate::Fsync) | `handle` | [`Fsynced`](crate::Fsynced) | `result`: `Result<(), Error>` | none, on a handle |
/// | [`Fdatasync`](crate::Fdatasync) | `handle` | [`Fdatasynced`](crate::Fdatasynced) | `result`: `Result<(), Error>` | none, on a handle |
/// | [`Truncate`](crate::Truncate) | `handle`, `len` | [`Truncated`](crate::Truncated) | `result`: `Result<(), Error>` | none, on a handle |
/// | [`Allocate`](crate::Allocate) | `handle`, `offset`, `len` | [`Allocated`](crate::Allocated) | `result`: `Result<(), Error>` | none, on a handle |
/// | [`Statx`](crate::Statx) | `handle`, `path`, `links`, `metadata` | [`StatxDone`](crate::StatxDone) | `result`: `Result<(), Error>` | none |
/// | [`Rename`](crate::Rename) | `directory`, `from`, `to` | [`Renamed`](crate::Renamed) | `result`: `Result<(), Error>` | none |
/// | [`Link`](crate::Link) | `directory`, `from`, `to` | [`Linked`](crate::Linked) | `result`: `Result<(), Error>` | none |
/// | [`Symlink`](crate::Symlink) | `directory`, `target`, `path` | [`Symlinked`](crate::Symlinked) | `result`: `Result<(), Error>` | none |
/// | [`Unlink`](crate::Unlink) | `directory`, `path` | [`Unlinked`](crate::Unlinked) | `result`: `Result<(), Error>` | none |
/// | [`MakeDir`](crate::MakeDir) | `directory`, `path`, `mode` | [`DirMade`](crate::DirMade) | `result`: `Result<(), Error>` | none |
/// | [`RemoveDir`](crate::RemoveDir) | `directory`, `path` | [`DirRemoved`](crate::DirRemoved) | `result`: `Result<(), Error>` | none |
/// | [`ReadDir`](crate::ReadDir) | `handle`, `entries`, `rewind` | [`DirRead`](crate::DirRead) | `result`: `Result<usize, Error>` | reading |
/// | [`Read`](crate::Read) | `handle`, `buffer` | [`BytesRead`](crate::BytesRead) | `result`: `Result<usize, Error>` | reading |
/// | [`ReadExact`](crate::ReadExact) | `handle`, `buffer` | [`ExactRead`](crate::ExactRead) | `transferred`: `usize`, `result`: `Result<(), Error>` | reading |
/// | [`Write`](crate::Write) | `handle`, `buffer` | [`Written`](crate::Written) | `result`: `Result<usize, Error>` | writing |
/// | [`WriteAll`](crate::WriteAll) | `handle`, `buffer` | [`WrittenAll`](crate::WrittenAll) | `transferred`: `usize`, `result`: `Result<(), Error>` | writing |
/// | [`ReadVectored`](crate::ReadVectored) | `handle`, `buffers` | [`VectoredRead`](crate::VectoredRead) | `result`: `Result<usize, Error>` | reading |
/// | [`ReadVectoredExact`](crate::ReadVectoredExact) | `handle`, `buffers` | [`VectoredExactRead`](crate::VectoredExactRead) | `transferred`: `usize`, `result`: `Result<(), Error>` | reading |
/// | [`WriteVectored`](crate::WriteVectored) | `handle`, `buffers` | [`VectoredWritten`](crate::VectoredWritten) | `result`: `Result<usize, Error>` | writing |
/// | [`WriteVectoredAll`](crate::WriteVectoredAll) | `handle`, `buffers` | [`VectoredWrittenAll`](crate::VectoredWrittenAll) | `transferred`: `usize`, `result`: `Result<(), Error>` | writing |
/// | [`ReadVectoredAt`](crate::ReadVectoredAt) | `handle`, `buffers`, `offset` | [`ReadVectoredAtDone`](crate::ReadVectoredAtDone) | `result`: `Result<usize, Error>` | none, on a handle |
/// | [`ReadVectoredExactAt`](crate::ReadVectoredExactAt) | `handle`, `buffers`, `offset` | [`ReadVectoredExactAtDone`](crate::ReadVectoredExactAtDone) | `transferred`: `usize`, `result`: `Result<(), Error>` | none, on a handle |
/// | [`WriteVectoredAt`](crate::WriteVectoredAt) | `handle`, `buffers`, `offset` | [`WriteVectoredAtDone`](crate::WriteVectoredAtDone) | `result`: `Result<usize, Error>` | none, on a handle |
/// | [`WriteVectoredAllAt`](crate::WriteVectoredAllAt) | `handle`, `buffers`, `offset` | [`WriteVectoredAllAtDone`](crate::WriteVectoredAllAtDone) | `transferred`: `usize`, `result`: `Result<(), Error>` | none, on a handle |
/// | [`Work`](crate::Work) | a closure | [`Worked`](crate::Worked) | `result`: what it returned, or an `Error`; what it has panicked with | none |
/// | [`Resolve`](crate::Resolve) | `host`, `port` | [`Resolved`](crate::Resolved) | `result`: `Result<Vec<Address>, Error>` | none |
/// | [`Poll`](crate::Poll) | `handle`, `interest` | [`Polled`](crate::Polled) | `result`: `Result<Readiness, Error>` | none, on a handle |
/// | [`PollMany`](crate::PollMany) | `handle`, `interest` | [`PollManyEnded`](crate::PollManyEnded) | `error`: `Error`; before it any number of [`Readiness`](crate::Readiness) | none, on a handle |
/// | [`WaitChild`](crate::WaitChild) | `child` | [`ChildExited`](crate::ChildExited) | `result`: `Result<ExitStatus, Error>` | none |
/// | [`Signals`](crate::Signals) | `set` | [`SignalsEnded`](crate::SignalsEnded) | `error`: `Error`; before it any number of [`Signal`](crate::Signal)s | none |
#[derive(Debug)]
#[non_exhaustive]
pub enum Operation {
    /// See [`Nop`].
    Nop(Nop),
    /// See [`Timer`].
    Timer(Timer),
    /// See [`NotifierWait`].
    NotifierWait(NotifierWait),
    /// See [`Accept`].
    Accept(Accept),
    /// See [`AcceptMany`].
    AcceptMany(AcceptMany),
    /// See [`Connect`].
    Connect(Connect),
    /// See [`Recv`].
    Recv(Recv),
    /// See [`RecvMany`].
    RecvMany(RecvMany),
    /// See [`Send`].
    Send(Send),
    /// See [`SendAll`].
    SendAll(SendAll),
    /// See [`Shutdown`].
    Shutdown(Shutdown),
    /// See [`SendFile`].
    SendFile(SendFile),
    /// See [`SendFileAll`].
    SendFileAll(SendFileAll),
    /// See [`Splice`].
    Splice(Splice),
    /// See [`RecvFrom`].
    RecvFrom(RecvFrom),
    /// See [`SendTo`].
    SendTo(SendTo),
    /// See [`RecvMsg`].
    RecvMsg(RecvMsg),
    /// See [`SendMsg`].
    SendMsg(SendMsg),
    /// See [`Close`].
    Close(Close),
    /// See [`Detach`].
    Detach(Detach),
    /// See [`OpenAt`].
    OpenAt(OpenAt),
    /// See [`ReadAt`].
    ReadAt(ReadAt),
    /// See [`WriteAt`].
    WriteAt(WriteAt),
    /// See [`Fsync`].
    Fsync(Fsync),
    /// See [`Fdatasync`].
    Fdatasync(Fdatasync),
    /// See [`Truncate`].
    Truncate(Truncate),
    /// See [`Allocate`].
    Allocate(Allocate),
    /// See [`Statx`].
    Statx(Statx),
    /// See [`Rename`].
    Rename(Rename),
    /// See [`Link`].
    Link(Link),
    /// See [`Symlink`].
    Symlink(Symlink),
    /// See [`Unlink`].
    Unlink(Unlink),
    /// See [`MakeDir`].
    MakeDir(MakeDir),
    /// See [`RemoveDir`].
    RemoveDir(RemoveDir),
    /// See [`ReadDir`].
    ReadDir(ReadDir),
    /// See [`Read`].
    Read(Read),
    /// See [`ReadExact`].
    ReadExact(ReadExact),
    /// See [`Write`].
    Write(Write),
    /// See [`WriteAll`].
    WriteAll(WriteAll),
    /// See [`ReadVectored`].
    ReadVectored(ReadVectored),
    /// See [`ReadVectoredExact`].
    ReadVectoredExact(ReadVectoredExact),
    /// See [`WriteVectored`].
    WriteVectored(WriteVectored),
    /// See [`WriteVectoredAll`].
    WriteVectoredAll(WriteVectoredAll),
    /// See [`ReadVectoredAt`].
    ReadVectoredAt(ReadVectoredAt),
    /// See [`ReadVectoredExactAt`].
    ReadVectoredExactAt(ReadVectoredExactAt),
    /// See [`WriteVectoredAt`].
    WriteVectoredAt(WriteVectoredAt),
    /// See [`WriteVectoredAllAt`].
    WriteVectoredAllAt(WriteVectoredAllAt),
    /// See [`Work`](crate::Work).
    Work(AnyWork),
    /// See [`Resolve`].
    Resolve(Resolve),
    /// See [`Poll`].
    Poll(Poll),
    /// See [`PollMany`].
    PollMany(PollMany),
    /// See [`WaitChild`].
    WaitChild(WaitChild),
    /// See [`Signals`].
    Signals(Signals),
}

const _: () = assert!(size_of::<Operation>() <= 64);

impl Operation {
    /// The outcome that hands everything back with `error`.
    #[must_use]
    pub fn fail(self, error: Error) -> Outcome {
        let mut outcome = self.undecided();
        outcome.set_error(error);
        outcome
    }

    /// The outcome that it becomes, its result not decided yet.
    pub(crate) fn undecided(self) -> Outcome {
        match self {
            Self::Nop(operation) => operation.undecided(),
            Self::Timer(operation) => operation.undecided(),
            Self::NotifierWait(operation) => operation.undecided(),
            Self::Accept(operation) => operation.undecided(),
            Self::AcceptMany(operation) => operation.undecided(),
            Self::Connect(operation) => operation.undecided(),
            Self::Recv(operation) => operation.undecided(),
            Self::RecvMany(operation) => operation.undecided(),
            Self::Send(operation) => operation.undecided(),
            Self::SendAll(operation) => operation.undecided(),
            Self::Shutdown(operation) => operation.undecided(),
            Self::SendFile(operation) => operation.undecided(),
            Self::SendFileAll(operation) => operation.undecided(),
            Self::Splice(operation) => operation.undecided(),
            Self::RecvFrom(operation) => operation.undecided(),
            Self::SendTo(operation) => operation.undecided(),
            Self::RecvMsg(operation) => operation.undecided(),
            Self::SendMsg(operation) => operation.undecided(),
            Self::Close(operation) => operation.undecided(),
            Self::Detach(operation) => operation.undecided(),
            Self::OpenAt(operation) => operation.undecided(),
            Self::ReadAt(operation) => operation.undecided(),
            Self::WriteAt(operation) => operation.undecided(),
            Self::Fsync(operation) => operation.undecided(),
            Self::Fdatasync(operation) => operation.undecided(),
            Self::Truncate(operation) => operation.undecided(),
            Self::Allocate(operation) => operation.undecided(),
            Self::Statx(operation) => operation.undecided(),
            Self::Rename(operation) => operation.undecided(),
            Self::Link(operation) => operation.undecided(),
            Self::Symlink(operation) => operation.undecided(),
            Self::Unlink(operation) => operation.undecided(),
            Self::MakeDir(operation) => operation.undecided(),
            Self::RemoveDir(operation) => operation.undecided(),
            Self::ReadDir(operation) => operation.undecided(),
            Self::Read(operation) => operation.undecided(),
            Self::ReadExact(operation) => operation.undecided(),
            Self::Write(operation) => operation.undecided(),
            Self::WriteAll(operation) => operation.undecided(),
            Self::ReadVectored(operation) => operation.undecided(),
            Self::ReadVectoredExact(operation) => operation.undecided(),
            Self::WriteVectored(operation) => operation.undecided(),
            Self::WriteVectoredAll(operation) => operation.undecided(),
            Self::ReadVectoredAt(operation) => operation.undecided(),
            Self::ReadVectoredExactAt(operation) => operation.undecided(),
            Self::WriteVectoredAt(operation) => operation.undecided(),
            Self::WriteVectoredAllAt(operation) => operation.undecided(),
            Self::Work(operation) => Outcome::Work(operation),
            Self::Resolve(operation) => operation.undecided(),
            Self::Poll(operation) => operation.undecided(),
            Self::PollMany(operation) => operation.undecided(),
            Self::WaitChild(operation) => operation.undecided(),
            Self::Signals(operation) => operation.undecided(),
        }
    }
}

/// The result of what is not decided. Whoever forgets to decide it breaks a rule of the backends.
pub(crate) const UNDECIDED: Error = Error::Backend;

/// The enum, and its variants once more as a list.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident,)*) => {
        /// Which operation it is: the variants of [`Operation`] without what they carry.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[non_exhaustive]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
        }

        impl Kind {
            /// All there are, in the order of [`Operation`]'s variants.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// How many there are.
            pub(crate) const COUNT: usize = Self::ALL.len();
        }
    };
}

kinds! {
    /// [`Nop`]
    Nop,
    /// [`Timer`]
    Timer,
    /// [`NotifierWait`]
    NotifierWait,
    /// [`Accept`]
    Accept,
    /// [`AcceptMany`]
    AcceptMany,
    /// [`Connect`]
    Connect,
    /// [`Recv`]
    Recv,
    /// [`RecvMany`]
    RecvMany,
    /// [`Send`]
    Send,
    /// [`SendAll`]
    SendAll,
    /// [`Shutdown`]
    Shutdown,
    /// [`SendFile`]
    SendFile,
    /// [`SendFileAll`]
    SendFileAll,
    /// [`Splice`]
    Splice,
    /// [`RecvFrom`]
    RecvFrom,
    /// [`SendTo`]
    SendTo,
    /// [`RecvMsg`]
    RecvMsg,
    /// [`SendMsg`]
    SendMsg,
    /// [`Close`]
    Close,
    /// [`Detach`]
    Detach,
    /// [`OpenAt`]
    OpenAt,
    /// [`ReadAt`]
    ReadAt,
    /// [`WriteAt`]
    WriteAt,
    /// [`Fsync`]
    Fsync,
    /// [`Fdatasync`]
    Fdatasync,
    /// [`Truncate`]
    Truncate,
    /// [`Allocate`]
    Allocate,
    /// [`Statx`]
    Statx,
    /// [`Rename`]
    Rename,
    /// [`Link`]
    Link,
    /// [`Symlink`]
    Symlink,
    /// [`Unlink`]
    Unlink,
    /// [`MakeDir`]
    MakeDir,
    /// [`RemoveDir`]
    RemoveDir,
    /// [`ReadDir`]
    ReadDir,
    /// [`Read`]
    Read,
    /// [`ReadExact`]
    ReadExact,
    /// [`Write`]
    Write,
    /// [`WriteAll`]
    WriteAll,
    /// [`ReadVectored`]
    ReadVectored,
    /// [`ReadVectoredExact`]
    ReadVectoredExact,
    /// [`WriteVectored`]
    WriteVectored,
    /// [`WriteVectoredAll`]
    WriteVectoredAll,
    /// [`ReadVectoredAt`]
    ReadVectoredAt,
    /// [`ReadVectoredExactAt`]
    ReadVectoredExactAt,
    /// [`WriteVectoredAt`]
    WriteVectoredAt,
    /// [`WriteVectoredAllAt`]
    WriteVectoredAllAt,
    /// [`Work`](crate::Work)
    Work,
    /// [`Resolve`]
    Resolve,
    /// [`Poll`]
    Poll,
    /// [`PollMany`]
    PollMany,
    /// [`WaitChild`]
    WaitChild,
    /// [`Signals`]
    Signals,
}

submission!(Nop => NopDone, Nop, |_this| Target::None, |_this| NopDone { result: Err(UNDECIDED) });
submission!(Timer => Expired, Timer, |this| Target::Timer(this.due.into()), |this| {
    Expired { due: this.due, result: Err(UNDECIDED) }
});
submission!(NotifierWait => Notified, NotifierWait, |_this| Target::Notifier, |this| {
    Notified { notifier: this.notifier, result: Err(UNDECIDED) }
});
submission!(Close => Closed, Close, |this| Target::Close(this.handle), |this| {
    Closed { handle: this.handle, result: Err(UNDECIDED) }
});

impl OneShot for Nop {}
impl OneShot for Timer {}
impl OneShot for NotifierWait {}
impl OneShot for Close {}

impl Operation {
    /// What it uses.
    #[must_use]
    pub fn target(&self) -> Target {
        match self {
            Self::Nop(operation) => operation.target(),
            Self::Timer(operation) => operation.target(),
            Self::NotifierWait(operation) => operation.target(),
            Self::Accept(operation) => operation.target(),
            Self::AcceptMany(operation) => operation.target(),
            Self::Connect(operation) => operation.target(),
            Self::Recv(operation) => operation.target(),
            Self::RecvMany(operation) => operation.target(),
            Self::Send(operation) => operation.target(),
            Self::SendAll(operation) => operation.target(),
            Self::Shutdown(operation) => operation.target(),
            Self::SendFile(operation) => operation.target(),
            Self::SendFileAll(operation) => operation.target(),
            Self::Splice(operation) => operation.target(),
            Self::RecvFrom(operation) => operation.target(),
            Self::SendTo(operation) => operation.target(),
            Self::RecvMsg(operation) => operation.target(),
            Self::SendMsg(operation) => operation.target(),
            Self::Close(operation) => operation.target(),
            Self::Detach(operation) => operation.target(),
            Self::OpenAt(operation) => operation.target(),
            Self::ReadAt(operation) => operation.target(),
            Self::WriteAt(operation) => operation.target(),
            Self::Fsync(operation) => operation.target(),
            Self::Fdatasync(operation) => operation.target(),
            Self::Truncate(operation) => operation.target(),
            Self::Allocate(operation) => operation.target(),
            Self::Statx(operation) => operation.target(),
            Self::Rename(operation) => operation.target(),
            Self::Link(operation) => operation.target(),
            Self::Symlink(operation) => operation.target(),
            Self::Unlink(operation) => operation.target(),
            Self::MakeDir(operation) => operation.target(),
            Self::RemoveDir(operation) => operation.target(),
            Self::ReadDir(operation) => operation.target(),
            Self::Read(operation) => operation.target(),
            Self::ReadExact(operation) => operation.target(),
            Self::Write(operation) => operation.target(),
            Self::WriteAll(operation) => operation.target(),
            Self::ReadVectored(operation) => operation.target(),
            Self::ReadVectoredExact(operation) => operation.target(),
            Self::WriteVectored(operation) => operation.target(),
            Self::WriteVectoredAll(operation) => operation.target(),
            Self::ReadVectoredAt(operation) => operation.target(),
            Self::ReadVectoredExactAt(operation) => operation.target(),
            Self::WriteVectoredAt(operation) => operation.target(),
            Self::WriteVectoredAllAt(operation) => operation.target(),
            Self::Work(_) => Target::None,
            Self::Resolve(operation) => operation.target(),
            Self::Poll(operation) => operation.target(),
            Self::PollMany(operation) => operation.target(),
            Self::WaitChild(operation) => operation.target(),
            Self::Signals(operation) => operation.target(),
        }
    }
}

#[cfg(test)]
mod tests {
    /// Each variant of `Operation` has its row in the table, in the same order.
    #[test]
    fn the_table_has_every_operation() {
        let source = include_str!("operation.rs");
        let named = |beginning: &'static str, end: char| {
            let names =
                source.lines().filter_map(move |line| line.strip_prefix(beginning)?.split(end).next());
            names.map(str::to_owned).collect::<Vec<_>>()
        };
        let (rows, variants) = (named("/// | [`", '`'), named("    /// See [`", '`'));
        assert!(rows.len() > 30);
        assert_eq!(rows, variants);
        let kinds: Vec<_> = crate::Kind::ALL.iter().map(|kind| format!("{kind:?}")).collect();
        assert_eq!(rows, kinds);
    }
}
