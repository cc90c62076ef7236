//! Which operations are done by the pool's threads, as their users say it.

use std::time::Duration;

use crate::operation::sealed::Sealed;
use crate::{Error, Handle, Kind, OneShot, Outcome, Submission, Target, Time, WithDeadline};

/// What goes to the loop's pool of threads ([`Pool`](crate::Pool)) of the operations on files and names, of sending from files,
/// and of closing:
/// for a whole loop as [`Config::offload`](field@crate::Config::offload), for one operation with its `on_pool` and
/// `offload`.
///
/// A simulation, whose files are in memory, and a loop [without a pool](crate::PoolChoice::None) do everything on the
/// loop's thread, whatever is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Offload {
    /// What the backend could only do by blocking the loop. The rest it does as it does best: in the kernel, or at once
    /// where the system's cache has the answer.
    #[default]
    WhereNeeded,
    /// Everything: where a file system or a device is known to hold up those who are told that it does not (network
    /// drives, FUSE), where the kernel's own threads are not to be used, where closing may wait (a socket that lingers, a
    /// file that is flushed).
    Always,
}

/// An operation that says itself what goes to the pool, made by `on_pool` and `offload`, which those on files and names,
/// [`SendFile`](crate::SendFile), [`SendFileAll`](crate::SendFileAll) and [`Close`](crate::Close) have. It is submitted, armed again and completed like the operation itself, with the same
/// outcome.
///
/// While no thread has begun it, a cancel ends it at once; one that runs ends when it ends (contract X2). A
/// [`Close`](crate::Close) makes its handle stale when it is submitted, as always, and ends with its result.
///
/// ```
/// use std::time::Duration;
///
/// use proactor_sim::{Buffer, Config, Create, Loop, Offload, OpenAt, OpenOptions, RunMode, WriteAt};
///
/// # fn main() -> std::io::Result<()> {
/// // All of this loop's operations on files are its pool's, but for those that say otherwise.
/// let mut ev = Loop::<usize>::open(Config::default().offload(Offload::Always))?;
/// let options = OpenOptions::write().create(Create::IfMissing);
/// let open = OpenAt { directory: None, path: "/tmp/data".into(), options };
/// ev.context().submit(open.on_pool().with_timeout(Duration::from_secs(5)), |_written, cx, opened| {
///     let handle = opened.result.expect("a new file");
///     let write = WriteAt { handle, buffer: Buffer::from(b"bytes"), offset: 0 };
///     cx.submit(write.offload(Offload::WhereNeeded), |written, _cx, done| {
///         *written = done.result.expect("there is room");
///     });
/// });
/// let mut written = 0;
/// ev.run(&mut written, RunMode::UntilDone)?;
/// assert_eq!(written, 5);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct WithOffload<O> {
    operation: O,
    offload: Offload,
}

impl<O: OneShot> WithOffload<O> {
    /// What `on_pool` and `offload` make.
    pub(crate) const fn new(operation: O, offload: Offload) -> Self {
        Self { operation, offload }
    }

    /// With a deadline `timeout` after it is armed; see [`WithDeadline`] (contract X4).
    #[must_use]
    pub const fn with_timeout(self, timeout: Duration) -> WithDeadline<Self> {
        WithDeadline::new(self, Err(timeout))
    }

    /// With a deadline at `deadline` on the loop's clock; see [`WithDeadline`] (contract X4).
    #[must_use]
    pub const fn with_deadline(self, deadline: Time) -> WithDeadline<Self> {
        WithDeadline::new(self, Ok(deadline))
    }
}

impl<O: OneShot> Sealed for WithOffload<O> {}

impl<O: OneShot> Submission for WithOffload<O> {
    type Output = O::Output;
    const KIND: Kind = O::KIND;

    #[inline(always)]
    fn target(&self) -> Target {
        self.operation.target()
    }

    #[inline(always)]
    fn second(&self) -> Option<Handle> {
        self.operation.second()
    }

    #[inline(always)]
    fn offload(&self) -> Option<Offload> {
        Some(self.offload)
    }

    #[inline(always)]
    fn objection(&self) -> Option<Error> {
        self.operation.objection()
    }

    #[inline(always)]
    fn error(output: &O::Output) -> Option<Error> {
        O::error(output)
    }

    #[inline(always)]
    fn undecided(self) -> Outcome {
        self.operation.undecided()
    }

    #[inline(always)]
    fn output(outcome: Outcome) -> Option<O::Output> {
        O::output(outcome)
    }
}

impl<O: OneShot> OneShot for WithOffload<O> {}

impl Kind {
    /// Whether its operations may say what goes to the pool: [`on_pool`](WithOffload) is theirs.
    #[inline(always)]
    pub(crate) const fn can_offload(self) -> bool {
        self.is_of_files() || matches!(self, Self::Close | Self::SendFile | Self::SendFileAll)
    }

    /// The same, but for closing, which core does itself, and for sending, which takes turns with waiting for a peer.
    #[inline(always)]
    pub(crate) const fn is_of_files(self) -> bool {
        matches!(
            self,
            Self::OpenAt
                | Self::ReadAt
                | Self::WriteAt
                | Self::Fsync
                | Self::Fdatasync
                | Self::Truncate
                | Self::Allocate
                | Self::Statx
                | Self::Rename
                | Self::Link
                | Self::Symlink
                | Self::Unlink
                | Self::MakeDir
                | Self::RemoveDir
        )
    }
}

/// Gives operations their `on_pool` and `offload`.
macro_rules! offloadable {
    ($($name:ident),*) => {$(
        const _: () = assert!(<crate::$name as Submission>::KIND.can_offload());

        impl crate::$name {
            /// The same operation, to be done by a thread of the loop's pool; see [`WithOffload`].
            #[must_use]
            pub const fn on_pool(self) -> WithOffload<Self> {
                WithOffload::new(self, Offload::Always)
            }

            /// The same operation, which says itself what goes to the pool, whatever
            /// [`Config::offload`](field@crate::Config::offload) does; see [`WithOffload`].
            #[must_use]
            pub const fn offload(self, offload: Offload) -> WithOffload<Self> {
                WithOffload::new(self, offload)
            }
        }
    )*};
}

offloadable!(
    OpenAt,
    ReadAt,
    WriteAt,
    Fsync,
    Fdatasync,
    Truncate,
    Allocate,
    Statx,
    Rename,
    Link,
    Symlink,
    Unlink,
    MakeDir,
    RemoveDir,
    Close,
    SendFile,
    SendFileAll
);
