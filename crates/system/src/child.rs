//! Child processes.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::task::Poll;

use proactor_core::{ChildProcess, Error};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, waitpid};

use crate::call::call;

#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "linux")]
pub use linux::{has_process_descriptors, process_descriptor};

/// Takes the exit status of a child that has ended; pending if it has not.
pub fn try_wait(child: &mut ChildProcess) -> Poll<Result<ExitStatus, Error>> {
    let ended = match child {
        // It notes that, so that it never sends a signal to whoever gets its number next.
        ChildProcess::Std(child) => child.try_wait().map_err(|error| system_error(&error)),
        other => process_id(other).and_then(|id| {
            let waited = call(|| waitpid(Some(id), WaitOptions::NOHANG))?;
            Ok(waited.map(|(_, status)| ExitStatus::from_raw(status.as_raw())))
        }),
    };
    match ended.transpose() {
        Some(result) => Poll::Ready(result),
        None => Poll::Pending,
    }
}

/// Zero and what is beyond the system's numbers would mean other things there than one process.
fn process_id(child: &ChildProcess) -> Result<Pid, Error> {
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    id.ok_or(Error::from_errno(Errno::CHILD))
}

fn system_error(error: &io::Error) -> Error {
    Error::from_errno(Errno::from_io_error(error).unwrap_or(Errno::CHILD))
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn the_status_is_taken_once_it_has_ended() {
        let (reader, writer) = std::io::pipe().unwrap();
        let child = Command::new("sh").args(["-c", "read line; exit 42"]).stdin(reader).spawn().unwrap();
        let mut child = ChildProcess::from(child);
        assert_eq!(try_wait(&mut child), Poll::Pending);
        drop(writer);
        let deadline = Instant::now() + Duration::from_secs(20);
        let status = loop {
            match try_wait(&mut child) {
                Poll::Ready(status) => break status.unwrap(),
                Poll::Pending => assert!(Instant::now() < deadline, "it has been asked to end"),
            }
        };
        assert_eq!(status.code(), Some(42));
        // The child remembers; by number it is nobody's.
        assert_eq!(try_wait(&mut child), Poll::Ready(Ok(status)));
        let mut number = ChildProcess::Id(child.id());
        assert_eq!(try_wait(&mut number), Poll::Ready(Err(Errno::CHILD.into())));
    }

    #[test]
    fn what_is_no_child_is_told() {
        for id in [0, std::process::id(), u32::MAX, 1 << 31] {
            let answer = try_wait(&mut ChildProcess::Id(id));
            assert_eq!(answer, Poll::Ready(Err(Errno::CHILD.into())), "{id}");
        }
    }
}
