//! Waiting for a child process to end.

use std::process::{Child, ExitStatus};

use crate::Error;
use crate::operation::{OneShot, Target, UNDECIDED, submission};
use crate::outcome::error_of_result;

/// A child of this process: one of `std`'s, or one that is known by its number only.
#[derive(Debug)]
#[non_exhaustive]
pub enum ChildProcess {
    /// Started by `std`, whose pipes stay in it. It knows afterwards how it has ended.
    Std(Child),
    /// Its process identifier. Nobody else may wait for it, since the number is free for another process from then on.
    Id(u32),
}

impl ChildProcess {
    /// Its process identifier. Somebody else's, maybe, once it was waited for.
    #[must_use]
    pub fn id(&self) -> u32 {
        match self {
            Self::Std(child) => child.id(),
            Self::Id(id) => *id,
        }
    }

    /// That of `std`, if it is one.
    #[must_use]
    pub fn into_std(self) -> Option<Child> {
        match self {
            Self::Std(child) => Some(child),
            Self::Id(_) => None,
        }
    }
}

impl From<Child> for ChildProcess {
    fn from(child: Child) -> Self {
        Self::Std(child)
    }
}

/// Waits until a child process has ended, and takes its exit status: whether it exited and with what, or which signal has
/// killed it.
///
/// One that has ended already completes at once. A [`Child`] that knows how it has ended, because it was waited for before, brings
/// that again; a number is the system's error then (`ECHILD`), as it is of what is no child of this process. A stopped child has not
/// ended. To send a signal
/// to a child, cancel the wait first, which hands it back: as long as the wait goes on, the number may be free for another
/// process already, the outcome being on its way.
///
/// `std`'s own pipes to the child go with it and stay open: take them out where the child waits for their end. No handler
/// of SIGCHLD is needed or installed; where it is set to be ignored, children leave no status, and it is `ECHILD`.
///
/// Dropped with the loop, or deleted, it is as if the [`Child`] was dropped: the process goes on. Where
/// [`Capabilities::child_processes`](crate::Capabilities) is missing it ends with [`Error::Unsupported`].
///
/// ```no_run
/// use std::process::Command;
///
/// # // Any backend that has child processes; the simulator has none.
/// use proactor_sim::{Config, Loop, RunMode, WaitChild};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut ev = Loop::<()>::open(Config::default())?;
/// let child = Command::new("true").spawn()?;
/// ev.context().submit(WaitChild { child: child.into() }, |_, _cx, exited| {
///     assert!(exited.result.is_ok_and(|status| status.success()));
/// });
/// ev.run(&mut (), RunMode::UntilDone)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct WaitChild {
    /// Whom to wait for.
    pub child: ChildProcess,
}

/// How a [`WaitChild`](crate::WaitChild) went.
#[derive(Debug)]
pub struct ChildExited {
    /// The child.
    pub child: ChildProcess,
    /// How it has ended.
    pub result: Result<ExitStatus, Error>,
}

submission!(WaitChild => ChildExited, WaitChild, |_this| Target::None, |this| {
    ChildExited { child: this.child, result: Err(UNDECIDED) }
});

impl OneShot for WaitChild {}

error_of_result!(ChildExited);
