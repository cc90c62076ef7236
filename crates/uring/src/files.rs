//! Operations on files and names: how they begin, and what is made of the kernel's answers.

use std::os::fd::{AsFd, OwnedFd};

use proactor_core::{
    Buffer, Done, Error, Fdatasynced, Fsynced, Handle, Kind, Offload, Outcome, Returned, Slot, Target, Token,
};
use proactor_system::{self as system, DescriptorKind};
use rustix::io::Errno;

use crate::Uring;
use crate::descriptors::Descriptor;
use crate::file_requests::{FilePlace, FileReply, FileRequests};
use crate::vectored;

/// What became of an operation on a file or a name that was to be started.
enum Begun {
    /// The kernel has it.
    Submitted,
    /// There is nothing to be done.
    Nothing,
    /// A thread of the pool is to do it.
    ForThePool,
}

impl Uring {
    /// Starts an operation on a file or a name, on the ring where that knows it, unless all of them are for the pool. What is
    /// something else ends with [`Error::Unsupported`].
    #[inline(never)]
    pub(crate) fn start_file(&mut self, token: Token, slot: Slot, offload: Offload, done: &mut Done) {
        let Some(outcome) = done.undecided(token) else { return };
        match self.begin_file(token, (slot, offload), outcome) {
            Ok(Begun::Submitted) => {}
            Ok(Begun::Nothing) => {
                set_done(outcome, 0);
                done.decided(token);
            }
            Ok(Begun::ForThePool) => self.offload_file(token, slot, done),
            Err(error) => {
                outcome.set_error(error);
                done.decided(token);
            }
        }
    }

    fn begin_file(
        &mut self,
        token: Token,
        (slot, offload): (Slot, Offload),
        outcome: &mut Outcome,
    ) -> Result<Begun, Error> {
        let on = match handle(outcome)? {
            Some(_) => Some((slot, self.descriptors.get(slot)?)),
            None => None,
        };
        match (&*outcome, on) {
            (Outcome::ReadAt(done), Some((_, descriptor))) => {
                if !done.buffer.is_writable() {
                    return Err(Error::ReadOnlyBuffer);
                }
                if is_nothing(descriptor, &done.buffer)? {
                    return Ok(Begun::Nothing);
                }
            }
            (Outcome::WriteAt(done), Some((_, descriptor))) if is_nothing(descriptor, &done.buffer)? => {
                return Ok(Begun::Nothing);
            }
            (_, Some((_, descriptor))) if vectored::is_vectored(outcome.kind()) => {
                check_positions(descriptor)?;
                if let Some(vectored) = outcome.vectored() {
                    vectored.check_writable()?;
                    if vectored.total() == 0 {
                        return Ok(Begun::Nothing);
                    }
                }
            }
            _ => {}
        }
        if offload == Offload::Always || !self.requests.files.knows(outcome.kind()) {
            return Ok(Begun::ForThePool);
        }
        let on = on.map(|(slot, descriptor)| (slot, descriptor.as_fd()));
        self.requests.begin_file(token, on, outcome)?;
        Ok(Begun::Submitted)
    }

    /// Has a thread of the pool do it.
    #[cold]
    pub(crate) fn offload_file(&mut self, token: Token, slot: Slot, done: &mut Done) {
        let Some(outcome) = done.undecided(token) else { return };
        let job = match handle(outcome) {
            Ok(Some(_)) => self.descriptors.share(slot).map(|descriptor| system::file_job().on(descriptor)),
            Ok(None) => Ok(system::file_job()),
            Err(error) => Err(error),
        };
        match job {
            Ok(job) => done.offload(token, job),
            Err(error) => {
                outcome.set_error(error);
                done.decided(token);
            }
        }
    }

    /// A thread of the pool has done it.
    #[cold]
    pub(crate) fn file_returned(&mut self, token: Token, job: Returned, done: &mut Done) {
        let Returned { mut outcome, opened, .. } = job;
        if let (Outcome::OpenAt(open), Some(file)) = (&mut outcome, opened) {
            open.result = self.adopt_opened(file, done);
        }
        done.push(token, outcome);
    }

    /// The kernel has answered.
    pub(crate) fn file_replied(&mut self, reply: FileReply, done: &mut Done) {
        let place = reply.place;
        match reply.result {
            Err(Errno::CANCELED) => self.fail_file(place, Error::Canceled, done),
            Err(Errno::INTR | Errno::AGAIN) if self.requests.files.is_canceled(place) => {
                self.fail_file(place, Error::Canceled, done);
            }
            Ok(_) if reply.is_poll && self.requests.files.is_canceled(place) => {
                self.fail_file(place, Error::Canceled, done);
            }
            Err(Errno::INTR) => self.resubmit_file(&reply, done),
            Err(Errno::AGAIN) => self.poll_file(&reply, done),
            // A poll that has failed makes the operation fail as well, and that says better why.
            _ if reply.is_poll => self.resubmit_file(&reply, done),
            Err(errno) => self.fail_file(place, errno.into(), done),
            Ok(_) if reply.kind == Kind::OpenAt => self.opened(reply, done),
            Ok(count) if vectored::is_vectored(reply.kind) => self.moved_vectored_at(&reply, count, done),
            Ok(count) => self.requests.files.end(place, done, |outcome, known| {
                if let (Outcome::Statx(done), Some(known)) = (&mut *outcome, known) {
                    system::fill_metadata(&known, &mut done.metadata);
                }
                set_done(outcome, count as usize);
            }),
        }
    }

    pub(crate) fn resubmit_file(&mut self, reply: &FileReply, done: &mut Done) {
        let place = reply.place;
        let submitted = match reply.slot.map(|slot| self.descriptors.get(slot)).transpose() {
            Ok(descriptor) => {
                let outcome = self.requests.files.token(place).and_then(|token| done.undecided(token));
                self.requests.submit_file(place, descriptor.map(AsFd::as_fd), outcome)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = submitted {
            self.fail_file(place, error, done);
        }
    }

    fn poll_file(&mut self, reply: &FileReply, done: &mut Done) {
        match reply.slot.map(|slot| self.descriptors.get(slot)) {
            Some(Ok(descriptor)) => self.requests.poll_file(reply.place, descriptor.as_fd()),
            // What has no descriptor has nothing to wait for.
            _ => self.fail_file(reply.place, Errno::AGAIN.into(), done),
        }
    }

    fn opened(&mut self, reply: FileReply, done: &mut Done) {
        let place = reply.place;
        let result = match FileRequests::opened(reply) {
            Ok(file) => self.adopt_opened(file, done),
            Err(errno) => Err(errno.into()),
        };
        self.requests.files.end(place, done, |outcome, _| {
            if let Outcome::OpenAt(opened) = outcome {
                opened.result = result;
            }
        });
    }

    /// Takes a file into the loop that was opened for it.
    fn adopt_opened(&mut self, file: OwnedFd, done: &mut Done) -> Result<Handle, Error> {
        let kind = system::descriptor_kind(file.as_fd())?;
        let handle = done.new_handle();
        self.adopt(handle.slot(), Descriptor::new(file, kind)).map_err(|(error, _)| {
            done.discard_handle(handle);
            error
        })?;
        Ok(handle)
    }

    pub(crate) fn fail_file(&mut self, place: FilePlace, error: Error, done: &mut Done) {
        self.requests.files.end(place, done, |outcome, _| outcome.set_error(error));
    }
}

/// The handle that an operation on a file or a name uses, if it uses one.
///
/// # Errors
/// [`Error::Unsupported`] if it is something else.
fn handle(outcome: &Outcome) -> Result<Option<Handle>, Error> {
    match outcome.file_target() {
        Some(Target::Unordered(handle) | Target::Stream(handle, _)) => Ok(Some(handle)),
        Some(Target::None) => Ok(None),
        _ => Err(Error::Unsupported),
    }
}

/// Whether a transfer at a position is of nothing, for which no system is needed.
///
/// # Errors
/// `ESPIPE` if there are no positions in what the descriptor refers to, which the kernel would pass over.
fn is_nothing(descriptor: &Descriptor, buffer: &Buffer) -> Result<bool, Error> {
    check_positions(descriptor)?;
    Ok(buffer.is_empty())
}

fn check_positions(descriptor: &Descriptor) -> Result<(), Error> {
    match descriptor.kind {
        DescriptorKind::File | DescriptorKind::Directory => Ok(()),
        _ => system::check_positions(descriptor.as_fd()),
    }
}

/// Fills in that it went well, with how many bytes for a transfer.
fn set_done(outcome: &mut Outcome, count: usize) {
    match outcome {
        Outcome::ReadAt(done) => done.result = Ok(count),
        Outcome::WriteAt(done) => done.result = Ok(count),
        Outcome::Fsync(Fsynced { result, .. }) | Outcome::Fdatasync(Fdatasynced { result, .. }) => {
            *result = Ok(());
        }
        Outcome::Truncate(done) => done.result = Ok(()),
        Outcome::Allocate(done) => done.result = Ok(()),
        Outcome::Statx(done) => done.result = Ok(()),
        Outcome::Rename(done) => done.result = Ok(()),
        Outcome::Link(done) => done.result = Ok(()),
        Outcome::Symlink(done) => done.result = Ok(()),
        Outcome::Unlink(done) => done.result = Ok(()),
        Outcome::MakeDir(done) => done.result = Ok(()),
        Outcome::RemoveDir(done) => done.result = Ok(()),
        other => vectored::set_done(other, count),
    }
}
