//! Files and names, which no poller says anything of: at once where the system can do it without waiting, on a thread of
//! the pool otherwise (contract H4).

use std::os::fd::{AsFd, OwnedFd};
use std::task::Poll;

use proactor_core::{Done, Error, Handle, Outcome, ReadAtDone, Returned, Slot, Target, Token, WriteAtDone};
use proactor_system::{self as system, DescriptorKind};

use crate::Readiness;
use crate::poller::Poller;
use crate::source::{Origin, Source};

impl<P: Poller> Readiness<P> {
    /// Starts an operation on a file or a name.
    #[cold]
    #[inline(never)]
    pub(crate) fn start_file(&mut self, token: Token, slot: Slot, done: &mut Done) {
        let Some(outcome) = done.undecided(token) else { return };
        match self.try_file(slot, outcome) {
            Ok(Poll::Ready(())) => done.decided(token),
            Ok(Poll::Pending) => self.offload(token, slot, done),
            Err(error) => {
                outcome.set_error(error);
                done.decided(token);
            }
        }
    }

    /// Has a thread of the pool do it, as its user wants it. Of nothing there is nothing to do there.
    #[cold]
    #[inline(never)]
    pub(crate) fn start_file_on_pool(&mut self, token: Token, slot: Slot, done: &mut Done) {
        let Some(outcome) = done.undecided(token) else { return };
        let is_nothing = match outcome {
            Outcome::SendFile(_) | Outcome::SendFileAll(_) => return self.send_file(token, slot, done),
            Outcome::ReadAt(read) => read.buffer.is_empty(),
            Outcome::WriteAt(write) => write.buffer.is_empty(),
            _ => false,
        };
        if is_nothing || outcome.file_target().is_none() {
            return self.start_file(token, slot, done);
        }
        self.offload(token, slot, done);
    }

    /// Does it, where that does not wait.
    fn try_file(&mut self, slot: Slot, outcome: &mut Outcome) -> Result<Poll<()>, Error> {
        let source = match outcome.file_target() {
            // Core's own, and what this backend does not know yet.
            None => return Err(Error::Unsupported),
            Some(Target::Unordered(_) | Target::Stream(..)) => &mut self.table.get(slot)?.source,
            Some(_) => return Ok(Poll::Pending),
        };
        match outcome {
            Outcome::ReadAt(done) => source.read_now(done),
            Outcome::WriteAt(done) => source.write_now(done),
            Outcome::ReadVectoredAt(_)
            | Outcome::ReadVectoredExactAt(_)
            | Outcome::WriteVectoredAt(_)
            | Outcome::WriteVectoredAllAt(_) => source.transfer_vectored_now(outcome),
            _ => Ok(Poll::Pending),
        }
    }

    /// Has a thread of the pool do it.
    fn offload(&mut self, token: Token, slot: Slot, done: &mut Done) {
        let Some(outcome) = done.undecided(token) else { return };
        let job = system::file_job();
        let job = match outcome.file_target() {
            Some(Target::Unordered(_) | Target::Stream(..)) => {
                match self.table.get(slot).and_then(|entry| entry.source.share()) {
                    Ok(descriptor) => job.on(descriptor),
                    Err(error) => {
                        outcome.set_error(error);
                        return done.decided(token);
                    }
                }
            }
            _ => job,
        };
        done.offload(token, job);
    }

    /// A thread of the pool has done it.
    pub(crate) fn file_returned(&mut self, token: Token, job: Returned, done: &mut Done) {
        let Returned { mut outcome, opened, .. } = job;
        if let (Outcome::OpenAt(open), Some(file)) = (&mut outcome, opened) {
            open.result = self.adopt_opened(file, done);
        }
        done.push(token, outcome);
    }

    /// Takes a file into the loop that was opened for it.
    fn adopt_opened(&mut self, file: OwnedFd, done: &mut Done) -> Result<Handle, Error> {
        let kind = system::descriptor_kind(file.as_fd())?;
        let handle = done.new_handle();
        // As what comes from its user: on some systems a name in /dev/fd opens what others have open already (contract H5).
        let adopted = self.adopt(handle.slot(), file, kind, Origin::Given);
        adopted.map_err(|(error, _)| {
            done.discard_handle(handle);
            error
        })?;
        Ok(handle)
    }
}

/// Whether the system can transfer at positions of a descriptor without waiting, as far as that is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AtOnce {
    Unknown,
    Possible,
    /// It cannot, or it waits all the same.
    Never,
}

impl Source {
    /// Reads what is in the system's cache.
    fn read_now(&mut self, done: &mut ReadAtDone) -> Result<Poll<()>, Error> {
        let bytes = done.buffer.as_mut_slice()?;
        if bytes.is_empty() {
            return self.transfer_nothing(&mut done.result);
        }
        if self.can_transfer_at_once(self.reads_at_once)? != AtOnce::Possible {
            self.reads_at_once = AtOnce::Never;
            return Ok(Poll::Pending);
        }
        self.reads_at_once = AtOnce::Possible;
        match system::read_now(self.descriptor()?, bytes, done.offset) {
            system::Now::Done(result) => {
                done.result = result;
                Ok(Poll::Ready(()))
            }
            system::Now::WouldWait => Ok(Poll::Pending),
            system::Now::Unable => {
                self.reads_at_once = AtOnce::Never;
                Ok(Poll::Pending)
            }
        }
    }

    /// Writes to the system's cache.
    fn write_now(&mut self, done: &mut WriteAtDone) -> Result<Poll<()>, Error> {
        if done.buffer.is_empty() {
            return self.transfer_nothing(&mut done.result);
        }
        if self.can_transfer_at_once(self.writes_at_once)? != AtOnce::Possible {
            self.writes_at_once = AtOnce::Never;
            return Ok(Poll::Pending);
        }
        self.writes_at_once = AtOnce::Possible;
        match system::write_now(self.descriptor()?, &done.buffer, done.offset) {
            system::Now::Done(result) => {
                done.result = result;
                Ok(Poll::Ready(()))
            }
            system::Now::WouldWait => Ok(Poll::Pending),
            system::Now::Unable => {
                self.writes_at_once = AtOnce::Never;
                Ok(Poll::Pending)
            }
        }
    }

    fn transfer_nothing(&self, result: &mut Result<usize, Error>) -> Result<Poll<()>, Error> {
        self.check_positions()?;
        *result = Ok(0);
        Ok(Poll::Ready(()))
    }

    /// Before a transfer at a position that needs no call.
    pub(crate) fn check_positions(&self) -> Result<(), Error> {
        match self.kind() {
            DescriptorKind::File | DescriptorKind::Directory => Ok(()),
            _ => system::check_positions(self.descriptor()?),
        }
    }

    /// What is known, and asks where nothing is. What goes past the cache waits for the disk even when told not to wait.
    pub(crate) fn can_transfer_at_once(&self, known: AtOnce) -> Result<AtOnce, Error> {
        if known != AtOnce::Unknown {
            return Ok(known);
        }
        let is_cached = self.kind() == DescriptorKind::File && !system::is_direct(self.descriptor()?)?;
        Ok(if is_cached { AtOnce::Possible } else { AtOnce::Never })
    }
}
