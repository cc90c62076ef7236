//! What comes back: all that the operation took, and how it went (contract C2).

use std::net::{Ipv4Addr, SocketAddr};

use crate::bytes::{BytesRead, ExactRead, Read, ReadExact, Write, WriteAll, Written, WrittenAll};
use crate::child::{ChildExited, ChildProcess, WaitChild};
use crate::datagram::{Peer, ReceivedFrom, RecvFrom, SendTo, SentTo};
use crate::detach::{Detach, Detached};
use crate::directory::{DirEntries, DirRead};
use crate::file::{self, Allocated, Fdatasynced, Fsynced, Opened, ReadAtDone, Truncated, WriteAtDone};
use crate::message::{Envelope, ReceivedMsg, RecvMsg, SendMsg, SentMsg};
use crate::names::{DirMade, DirRemoved, Linked, Renamed, StatxDone, Symlinked, Unlinked};
use crate::operation::{Close, Due, Kind, Nop, NotifierWait, Operation, Timer};
use crate::poll::{Interest, Poll, PollMany, PollManyEnded, Polled, Readiness};
use crate::resolve::{Resolve, Resolved};
use crate::send_file::{SentFile, SentFileAll};
use crate::signals::{Signal, SignalSet, Signals, SignalsEnded};
use crate::splice::{self, Spliced};
use crate::stream::{
    Accept, AcceptMany, AcceptManyEnded, Accepted, Connect, Connected, Connection, Received, Recv, Send,
    SendAll, Sent, SentAll, ShutDown, Shutdown, ShutdownHow,
};
use crate::vectored::{
    self, ReadVectoredAtDone, ReadVectoredExactAtDone, VectoredExactRead, VectoredRead, VectoredWritten,
    VectoredWrittenAll, WriteVectoredAllAtDone, WriteVectoredAtDone,
};
use crate::work::AnyWork;
use crate::{Buffer, BufferPool, Error, Handle, Notifier, RecvMany, RecvManyEnded, Submission as _};

/// How a [`Nop`](crate::Nop) went.
#[derive(Debug)]
pub struct NopDone {
    /// Cancelled, or not.
    pub result: Result<(), Error>,
}

/// How a [`Timer`](crate::Timer) went.
#[derive(Debug)]
pub struct Expired {
    /// What it was armed with.
    pub(crate) due: Due,
    /// `Ok` once its deadline has passed.
    pub result: Result<(), Error>,
}

/// How a [`NotifierWait`](crate::NotifierWait) went.
#[derive(Debug)]
pub struct Notified {
    /// The notifier, to wait again.
    pub notifier: Notifier,
    /// `Ok` if it was notified.
    pub result: Result<(), Error>,
}

/// How a [`Close`](crate::Close) went.
#[derive(Debug)]
pub struct Closed {
    /// The handle, stale now, unless it failed with [`Error::Full`].
    pub handle: Handle,
    /// What the system said to closing. The descriptor is gone either way; not where it was refused, with [`Error::Full`].
    pub result: Result<(), Error>,
}

/// Everything that can come back.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// See [`NopDone`].
    Nop(NopDone),
    /// See [`Expired`].
    Timer(Expired),
    /// See [`Notified`].
    NotifierWait(Notified),
    /// See [`Accepted`].
    Accept(Accepted),
    /// See [`AcceptManyEnded`].
    AcceptManyEnded(AcceptManyEnded),
    /// See [`Connected`].
    Connect(Connected),
    /// See [`Received`].
    Recv(Received),
    /// See [`Sent`].
    Send(Sent),
    /// See [`SentAll`].
    SendAll(SentAll),
    /// See [`ShutDown`].
    Shutdown(ShutDown),
    /// See [`SentFile`].
    SendFile(SentFile),
    /// See [`SentFileAll`].
    SendFileAll(SentFileAll),
    /// See [`Spliced`].
    Splice(Spliced),
    /// See [`ReceivedFrom`].
    RecvFrom(ReceivedFrom),
    /// See [`SentTo`].
    SendTo(SentTo),
    /// See [`ReceivedMsg`].
    RecvMsg(ReceivedMsg),
    /// See [`SentMsg`].
    SendMsg(SentMsg),
    /// See [`Closed`].
    Close(Closed),
    /// See [`Detached`].
    Detach(Detached),
    /// See [`Opened`].
    OpenAt(Opened),
    /// See [`ReadAtDone`].
    ReadAt(ReadAtDone),
    /// See [`WriteAtDone`].
    WriteAt(WriteAtDone),
    /// See [`Fsynced`].
    Fsync(Fsynced),
    /// See [`Fdatasynced`].
    Fdatasync(Fdatasynced),
    /// See [`Truncated`].
    Truncate(Truncated),
    /// See [`Allocated`].
    Allocate(Allocated),
    /// See [`StatxDone`].
    Statx(StatxDone),
    /// See [`Renamed`].
    Rename(Renamed),
    /// See [`Linked`].
    Link(Linked),
    /// See [`Symlinked`].
    Symlink(Symlinked),
    /// See [`Unlinked`].
    Unlink(Unlinked),
    /// See [`DirMade`].
    MakeDir(DirMade),
    /// See [`DirRemoved`].
    RemoveDir(DirRemoved),
    /// See [`DirRead`].
    ReadDir(DirRead),
    /// See [`BytesRead`].
    Read(BytesRead),
    /// See [`ExactRead`].
    ReadExact(ExactRead),
    /// See [`Written`].
    Write(Written),
    /// See [`WrittenAll`].
    WriteAll(WrittenAll),
    /// See [`VectoredRead`].
    ReadVectored(VectoredRead),
    /// See [`VectoredExactRead`].
    ReadVectoredExact(VectoredExactRead),
    /// See [`VectoredWritten`].
    WriteVectored(VectoredWritten),
    /// See [`VectoredWrittenAll`].
    WriteVectoredAll(VectoredWrittenAll),
    /// See [`ReadVectoredAtDone`].
    ReadVectoredAt(ReadVectoredAtDone),
    /// See [`ReadVectoredExactAtDone`].
    ReadVectoredExactAt(ReadVectoredExactAtDone),
    /// See [`WriteVectoredAtDone`].
    WriteVectoredAt(WriteVectoredAtDone),
    /// See [`WriteVectoredAllAtDone`].
    WriteVectoredAllAt(WriteVectoredAllAtDone),
    /// See [`Worked`](crate::Worked).
    Work(AnyWork),
    /// See [`Resolved`].
    Resolve(Resolved),
    /// See [`Polled`].
    Poll(Polled),
    /// See [`PollManyEnded`].
    PollManyEnded(PollManyEnded),
    /// What a [`PollMany`](crate::PollMany) has to tell; more events follow.
    PollManyItem(Readiness),
    /// See [`ChildExited`].
    WaitChild(ChildExited),
    /// See [`SignalsEnded`].
    SignalsEnded(SignalsEnded),
    /// One signal of a [`Signals`](crate::Signals); more events follow.
    SignalsItem(Signal),
    /// One connection of an [`AcceptMany`](crate::AcceptMany); more events follow.
    AcceptManyItem(Connection),
    /// See [`RecvManyEnded`].
    RecvManyEnded(RecvManyEnded),
    /// One piece of what a [`RecvMany`](crate::RecvMany) receives; more events follow.
    RecvManyItem(Buffer),
}

const _: () = assert!(size_of::<Outcome>() <= 80);

impl Outcome {
    /// Whether more events of the same operation follow.
    #[must_use]
    #[inline]
    pub const fn is_more(&self) -> bool {
        matches!(
            self,
            Self::AcceptManyItem(_) | Self::RecvManyItem(_) | Self::PollManyItem(_) | Self::SignalsItem(_)
        )
    }

    /// Which operation it is of.
    #[must_use]
    #[inline]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Nop(_) => Kind::Nop,
            Self::Timer(_) => Kind::Timer,
            Self::NotifierWait(_) => Kind::NotifierWait,
            Self::Accept(_) => Kind::Accept,
            Self::AcceptManyItem(_) | Self::AcceptManyEnded(_) => Kind::AcceptMany,
            Self::RecvManyItem(_) | Self::RecvManyEnded(_) => Kind::RecvMany,
            Self::Connect(_) => Kind::Connect,
            Self::Recv(_) => Kind::Recv,
            Self::Send(_) => Kind::Send,
            Self::SendAll(_) => Kind::SendAll,
            Self::Shutdown(_) => Kind::Shutdown,
            Self::SendFile(_) => Kind::SendFile,
            Self::SendFileAll(_) => Kind::SendFileAll,
            Self::Splice(_) => Kind::Splice,
            Self::RecvFrom(_) => Kind::RecvFrom,
            Self::SendTo(_) => Kind::SendTo,
            Self::RecvMsg(_) => Kind::RecvMsg,
            Self::SendMsg(_) => Kind::SendMsg,
            Self::Close(_) => Kind::Close,
            Self::Detach(_) => Kind::Detach,
            Self::OpenAt(_) => Kind::OpenAt,
            Self::ReadAt(_) => Kind::ReadAt,
            Self::WriteAt(_) => Kind::WriteAt,
            Self::Fsync(_) => Kind::Fsync,
            Self::Fdatasync(_) => Kind::Fdatasync,
            Self::Truncate(_) => Kind::Truncate,
            Self::Allocate(_) => Kind::Allocate,
            Self::Statx(_) => Kind::Statx,
            Self::Rename(_) => Kind::Rename,
            Self::Link(_) => Kind::Link,
            Self::Symlink(_) => Kind::Symlink,
            Self::Unlink(_) => Kind::Unlink,
            Self::MakeDir(_) => Kind::MakeDir,
            Self::RemoveDir(_) => Kind::RemoveDir,
            Self::ReadDir(_) => Kind::ReadDir,
            Self::Read(_) => Kind::Read,
            Self::ReadExact(_) => Kind::ReadExact,
            Self::Write(_) => Kind::Write,
            Self::WriteAll(_) => Kind::WriteAll,
            Self::ReadVectored(_) => Kind::ReadVectored,
            Self::ReadVectoredExact(_) => Kind::ReadVectoredExact,
            Self::WriteVectored(_) => Kind::WriteVectored,
            Self::WriteVectoredAll(_) => Kind::WriteVectoredAll,
            Self::ReadVectoredAt(_) => Kind::ReadVectoredAt,
            Self::ReadVectoredExactAt(_) => Kind::ReadVectoredExactAt,
            Self::WriteVectoredAt(_) => Kind::WriteVectoredAt,
            Self::WriteVectoredAllAt(_) => Kind::WriteVectoredAllAt,
            Self::Work(_) => Kind::Work,
            Self::Resolve(_) => Kind::Resolve,
            Self::Poll(_) => Kind::Poll,
            Self::PollManyItem(_) | Self::PollManyEnded(_) => Kind::PollMany,
            Self::WaitChild(_) => Kind::WaitChild,
            Self::SignalsItem(_) | Self::SignalsEnded(_) => Kind::Signals,
        }
    }

    /// The outcome of an operation whose parts the backend has lost; `None` for what no backend ever holds.
    pub(crate) fn lost(kind: Kind, handle: Handle) -> Option<Self> {
        let (error, buffer) = (Error::Backend, Buffer::default());
        let result = Err(error);
        let outcome = match kind {
            Kind::Timer | Kind::NotifierWait | Kind::Work => return None,
            Kind::Nop => Self::Nop(NopDone { result }),
            Kind::Close => Self::Close(Closed { handle, result }),
            Kind::Detach => Self::Detach(Detached { handle, result: Err(error) }),
            Kind::Resolve => Self::Resolve(Resolved { host: String::new(), port: 0, result: Err(error) }),
            Kind::Accept => Self::Accept(Accepted { listener: handle, result: Err(error) }),
            Kind::AcceptMany => Self::AcceptManyEnded(AcceptManyEnded { listener: handle, error }),
            Kind::Connect => {
                let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into();
                Self::Connect(Connected { handle, address, result })
            }
            Kind::Recv => Self::Recv(Received { handle, buffer, result: Err(error) }),
            Kind::RecvMany => {
                Self::RecvManyEnded(RecvManyEnded { handle, pool: BufferPool::default(), result })
            }
            Kind::Send => Self::Send(Sent { handle, buffer, result: Err(error) }),
            Kind::SendAll => Self::SendAll(SentAll { handle, buffer, transferred: 0, result }),
            Kind::Shutdown => Self::Shutdown(ShutDown { handle, how: ShutdownHow::Both, result }),
            Kind::RecvFrom => {
                let (peer, result) = (Peer::default(), Err(error));
                Self::RecvFrom(ReceivedFrom { handle, buffer, peer, result })
            }
            Kind::SendTo => Self::SendTo(SentTo { handle, buffer, peer: Peer::default(), result }),
            Kind::RecvMsg => RecvMsg { handle, buffer, envelope: Envelope::default() }.undecided(),
            Kind::SendMsg => SendMsg { handle, buffer, envelope: Envelope::default() }.undecided(),
            Kind::OpenAt
            | Kind::ReadAt
            | Kind::WriteAt
            | Kind::Fsync
            | Kind::Fdatasync
            | Kind::Truncate
            | Kind::Allocate
            | Kind::Statx
            | Kind::Rename
            | Kind::Link
            | Kind::Symlink
            | Kind::Unlink
            | Kind::MakeDir
            | Kind::RemoveDir => return file::hollow(kind, handle).map(|operation| operation.fail(error)),
            Kind::SendFile => {
                Self::SendFile(SentFile { handle, file: handle, offset: 0, len: 0, result: Err(error) })
            }
            Kind::SendFileAll => {
                let (file, offset, len, transferred) = (handle, 0, 0, 0);
                Self::SendFileAll(SentFileAll { handle, file, offset, len, transferred, result })
            }
            Kind::ReadDir => {
                let entries = DirEntries::default();
                Self::ReadDir(DirRead { handle, entries, rewind: false, result: Err(error) })
            }
            Kind::Read => Self::Read(BytesRead { handle, buffer, result: Err(error) }),
            Kind::ReadExact => Self::ReadExact(ExactRead { handle, buffer, transferred: 0, result }),
            Kind::Write => Self::Write(Written { handle, buffer, result: Err(error) }),
            Kind::WriteAll => Self::WriteAll(WrittenAll { handle, buffer, transferred: 0, result }),
            Kind::Poll => Self::Poll(Polled { handle, interest: Interest::default(), result: Err(error) }),
            Kind::PollMany => {
                Self::PollManyEnded(PollManyEnded { handle, interest: Interest::default(), error })
            }
            Kind::WaitChild => {
                Self::WaitChild(ChildExited { child: ChildProcess::Id(0), result: Err(error) })
            }
            Kind::Signals => Self::SignalsEnded(SignalsEnded { set: SignalSet::NONE, error }),
            // Those on several buffers, and that between pipes.
            kind => return splice::hollow(kind, handle).map(|operation| operation.fail(error)),
        };
        Some(outcome)
    }

    /// Back into the operation; None for an item, which no operation is.
    pub(crate) fn into_operation(self) -> Option<Operation> {
        let operation = match self {
            Self::Nop(_) => Operation::Nop(Nop),
            Self::Timer(Expired { due, .. }) => Operation::Timer(Timer { due }),
            Self::NotifierWait(Notified { notifier, .. }) => {
                Operation::NotifierWait(NotifierWait { notifier })
            }
            Self::Accept(Accepted { listener, .. }) => Operation::Accept(Accept { listener }),
            Self::AcceptManyItem(_)
            | Self::RecvManyItem(_)
            | Self::PollManyItem(_)
            | Self::SignalsItem(_) => return None,
            Self::RecvManyEnded(RecvManyEnded { handle, pool, .. }) => {
                Operation::RecvMany(RecvMany { handle, pool })
            }
            Self::AcceptManyEnded(AcceptManyEnded { listener, .. }) => {
                Operation::AcceptMany(AcceptMany { listener })
            }
            Self::Connect(Connected { handle, address, .. }) => {
                Operation::Connect(Connect { handle, address })
            }
            Self::Recv(Received { handle, buffer, .. }) => Operation::Recv(Recv { handle, buffer }),
            Self::Send(Sent { handle, buffer, .. }) => Operation::Send(Send { handle, buffer }),
            Self::SendAll(SentAll { handle, buffer, .. }) => Operation::SendAll(SendAll { handle, buffer }),
            Self::Shutdown(ShutDown { handle, how, .. }) => Operation::Shutdown(Shutdown { handle, how }),
            Self::RecvFrom(ReceivedFrom { handle, buffer, peer, .. }) => {
                Operation::RecvFrom(RecvFrom { handle, buffer, peer })
            }
            Self::SendTo(SentTo { handle, buffer, peer, .. }) => {
                Operation::SendTo(SendTo { handle, buffer, peer })
            }
            Self::RecvMsg(ReceivedMsg { handle, buffer, envelope, .. }) => {
                Operation::RecvMsg(RecvMsg { handle, buffer, envelope })
            }
            Self::SendMsg(SentMsg { handle, buffer, envelope, .. }) => {
                Operation::SendMsg(SendMsg { handle, buffer, envelope })
            }
            Self::Close(Closed { handle, .. }) => Operation::Close(Close { handle }),
            Self::Detach(Detached { handle, .. }) => Operation::Detach(Detach { handle }),
            Self::Read(BytesRead { handle, buffer, .. }) => Operation::Read(Read { handle, buffer }),
            Self::ReadExact(ExactRead { handle, buffer, .. }) => {
                Operation::ReadExact(ReadExact { handle, buffer })
            }
            Self::Write(Written { handle, buffer, .. }) => Operation::Write(Write { handle, buffer }),
            Self::WriteAll(WrittenAll { handle, buffer, .. }) => {
                Operation::WriteAll(WriteAll { handle, buffer })
            }
            Self::Work(work) => Operation::Work(work),
            Self::Resolve(Resolved { host, port, .. }) => Operation::Resolve(Resolve { host, port }),
            Self::Poll(Polled { handle, interest, .. }) => Operation::Poll(Poll { handle, interest }),
            Self::PollManyEnded(PollManyEnded { handle, interest, .. }) => {
                Operation::PollMany(PollMany { handle, interest })
            }
            Self::WaitChild(ChildExited { child, .. }) => Operation::WaitChild(WaitChild { child }),
            Self::SignalsEnded(SignalsEnded { set, .. }) => Operation::Signals(Signals { set }),
            other => return file::back(other).or_else(splice::back).or_else(vectored::back).ok(),
        };
        Some(operation)
    }

    /// Makes it an outcome that failed with `error`.
    pub fn set_error(&mut self, error: Error) {
        let failed = Err(error);
        match self {
            Self::Nop(NopDone { result })
            | Self::Timer(Expired { result, .. })
            | Self::NotifierWait(Notified { result, .. })
            | Self::Connect(Connected { result, .. })
            | Self::SendAll(SentAll { result, .. })
            | Self::RecvManyEnded(RecvManyEnded { result, .. })
            | Self::Shutdown(ShutDown { result, .. })
            | Self::SendTo(SentTo { result, .. })
            | Self::Close(Closed { result, .. })
            | Self::Fsync(Fsynced { result, .. })
            | Self::Fdatasync(Fdatasynced { result, .. })
            | Self::Truncate(Truncated { result, .. })
            | Self::Allocate(Allocated { result, .. })
            | Self::Statx(StatxDone { result, .. })
            | Self::Rename(Renamed { result, .. })
            | Self::Link(Linked { result, .. })
            | Self::Symlink(Symlinked { result, .. })
            | Self::Unlink(Unlinked { result, .. })
            | Self::MakeDir(DirMade { result, .. })
            | Self::RemoveDir(DirRemoved { result, .. }) => *result = failed,
            Self::Recv(Received { result, .. }) | Self::Send(Sent { result, .. }) => *result = Err(error),
            Self::ReadAt(ReadAtDone { result, .. }) | Self::WriteAt(WriteAtDone { result, .. }) => {
                *result = Err(error)
            }
            Self::OpenAt(Opened { result, .. }) => *result = Err(error),
            Self::Detach(Detached { result, .. }) => *result = Err(error),
            Self::SendFile(SentFile { result, .. }) => *result = Err(error),
            Self::SendFileAll(SentFileAll { result, .. }) => *result = failed,
            Self::Splice(Spliced { result, .. }) => *result = Err(error),
            Self::ReadDir(DirRead { entries, result, .. }) => {
                entries.clear();
                *result = Err(error);
            }
            Self::ReadExact(ExactRead { result, .. }) | Self::WriteAll(WrittenAll { result, .. }) => {
                *result = failed
            }
            Self::Read(BytesRead { result, .. }) | Self::Write(Written { result, .. }) => {
                *result = Err(error);
            }
            Self::ReadVectored(VectoredRead { result, .. })
            | Self::WriteVectored(VectoredWritten { result, .. })
            | Self::ReadVectoredAt(ReadVectoredAtDone { result, .. })
            | Self::WriteVectoredAt(WriteVectoredAtDone { result, .. }) => *result = Err(error),
            Self::ReadVectoredExact(VectoredExactRead { result, .. })
            | Self::WriteVectoredAll(VectoredWrittenAll { result, .. })
            | Self::ReadVectoredExactAt(ReadVectoredExactAtDone { result, .. })
            | Self::WriteVectoredAllAt(WriteVectoredAllAtDone { result, .. }) => *result = failed,
            Self::Accept(Accepted { result, .. }) => *result = Err(error),
            Self::RecvFrom(ReceivedFrom { result, .. }) => *result = Err(error),
            Self::RecvMsg(ReceivedMsg { result, .. }) => *result = Err(error),
            Self::SendMsg(SentMsg { result, .. }) => *result = Err(error),
            Self::AcceptManyEnded(ended) => ended.error = error,
            Self::Work(work) => work.set_error(error),
            Self::Resolve(Resolved { result, .. }) => *result = Err(error),
            Self::Poll(Polled { result, .. }) => *result = Err(error),
            Self::PollManyEnded(ended) => ended.error = error,
            Self::WaitChild(ChildExited { result, .. }) => *result = Err(error),
            Self::SignalsEnded(ended) => ended.error = error,
            Self::AcceptManyItem(_)
            | Self::RecvManyItem(_)
            | Self::PollManyItem(_)
            | Self::SignalsItem(_) => {}
        }
    }

    /// Why it failed, if it did; of the last outcome of a multishot operation, why it ended.
    /// [`Error::Backend`] where no result was filled in.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        match self {
            Self::Nop(outcome) => outcome.error(),
            Self::Timer(outcome) => outcome.error(),
            Self::NotifierWait(outcome) => outcome.error(),
            Self::Accept(outcome) => outcome.error(),
            Self::AcceptManyEnded(outcome) => outcome.error(),
            Self::Connect(outcome) => outcome.error(),
            Self::Recv(outcome) => outcome.error(),
            Self::Send(outcome) => outcome.error(),
            Self::SendAll(outcome) => outcome.error(),
            Self::Shutdown(outcome) => outcome.error(),
            Self::SendFile(outcome) => outcome.error(),
            Self::SendFileAll(outcome) => outcome.error(),
            Self::Splice(outcome) => outcome.error(),
            Self::RecvFrom(outcome) => outcome.error(),
            Self::SendTo(outcome) => outcome.error(),
            Self::RecvMsg(outcome) => outcome.error(),
            Self::SendMsg(outcome) => outcome.error(),
            Self::Close(outcome) => outcome.error(),
            Self::Detach(outcome) => outcome.error(),
            Self::OpenAt(outcome) => outcome.error(),
            Self::ReadAt(outcome) => outcome.error(),
            Self::WriteAt(outcome) => outcome.error(),
            Self::Fsync(outcome) => outcome.error(),
            Self::Fdatasync(outcome) => outcome.error(),
            Self::Truncate(outcome) => outcome.error(),
            Self::Allocate(outcome) => outcome.error(),
            Self::Statx(outcome) => outcome.error(),
            Self::Rename(outcome) => outcome.error(),
            Self::Link(outcome) => outcome.error(),
            Self::Symlink(outcome) => outcome.error(),
            Self::Unlink(outcome) => outcome.error(),
            Self::MakeDir(outcome) => outcome.error(),
            Self::RemoveDir(outcome) => outcome.error(),
            Self::ReadDir(outcome) => outcome.error(),
            Self::Work(work) => work.error(),
            Self::Resolve(outcome) => outcome.error(),
            Self::RecvManyEnded(outcome) => outcome.error(),
            Self::Read(outcome) => outcome.error(),
            Self::ReadExact(outcome) => outcome.error(),
            Self::Write(outcome) => outcome.error(),
            Self::WriteAll(outcome) => outcome.error(),
            Self::ReadVectored(outcome) => outcome.error(),
            Self::ReadVectoredExact(outcome) => outcome.error(),
            Self::WriteVectored(outcome) => outcome.error(),
            Self::WriteVectoredAll(outcome) => outcome.error(),
            Self::ReadVectoredAt(outcome) => outcome.error(),
            Self::ReadVectoredExactAt(outcome) => outcome.error(),
            Self::WriteVectoredAt(outcome) => outcome.error(),
            Self::WriteVectoredAllAt(outcome) => outcome.error(),
            Self::Poll(outcome) => outcome.error(),
            Self::PollManyEnded(outcome) => outcome.error(),
            Self::WaitChild(outcome) => outcome.error(),
            Self::SignalsEnded(outcome) => outcome.error(),
            Self::AcceptManyItem(_)
            | Self::RecvManyItem(_)
            | Self::PollManyItem(_)
            | Self::SignalsItem(_) => None,
        }
    }

    /// The handle that this outcome brings into the loop, if any. It is closed where nobody will get to see it.
    #[must_use]
    pub const fn new_handle(&self) -> Option<Handle> {
        match self {
            Self::Accept(Accepted { result: Ok((handle, _)), .. })
            | Self::OpenAt(Opened { result: Ok(handle), .. })
            | Self::AcceptManyItem(Connection { handle, .. }) => Some(*handle),
            _ => None,
        }
    }
}

/// Why it failed, for outcomes that have a result.
macro_rules! error_of_result {
    ($($name:ident),*) => {$(
        impl $name {
            /// Why it failed, if it did.
            #[must_use]
            #[inline]
            pub fn error(&self) -> Option<Error> {
                self.result.as_ref().err().copied()
            }
        }
    )*};
}

pub(crate) use error_of_result;

error_of_result!(NopDone, Expired, Notified, Closed);
