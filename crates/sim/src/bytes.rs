//! Operations on bytes in a row: of sockets, and of files at their own position.

use std::task::Poll;

use proactor_core::{
    Buffer, BytesRead, DirRead, Direction, Error, ExactRead, Operation, Outcome, Read, ReadDir, ReadExact,
    Slot, Write, WriteAll, Written, WrittenAll,
};

use crate::Sim;
use crate::attempt::Attempt;
use crate::parked::Work;
use crate::socket::Id;

impl Sim {
    pub(crate) fn read(&mut self, socket: Id, operation: Read) -> Attempt {
        let Read { handle, mut buffer } = operation;
        let read = match buffer.as_mut_slice() {
            Ok(bytes) => self.network.recv(socket, bytes, &mut self.choices).map_err(Error::from),
            Err(error) => Poll::Ready(Err(error)),
        };
        match read {
            Poll::Pending => Attempt::Blocked(Work::Read(Read { handle, buffer })),
            Poll::Ready(result) => Attempt::Complete(Outcome::Read(BytesRead { handle, buffer, result })),
        }
    }

    pub(crate) fn read_exact(&mut self, socket: Id, operation: ReadExact, before: usize) -> Attempt {
        let ReadExact { handle, mut buffer } = operation;
        let read = match buffer.as_mut_slice() {
            Ok(bytes) => {
                self.network.recv(socket, &mut bytes[before..], &mut self.choices).map_err(Error::from)
            }
            Err(error) => Poll::Ready(Err(error)),
        };
        let (transferred, result) = match read {
            Poll::Pending => {
                let operation = ReadExact { handle, buffer };
                return Attempt::Blocked(Work::ReadExact { operation, transferred: before });
            }
            Poll::Ready(Ok(0)) => (before, Err(Error::EndOfStream)),
            Poll::Ready(Ok(count)) => (before + count, Ok(())),
            Poll::Ready(Err(error)) => (before, Err(error)),
        };
        if result.is_ok() && transferred < buffer.len() {
            let operation = ReadExact { handle, buffer };
            return Attempt::Unfinished(Work::ReadExact { operation, transferred });
        }
        Attempt::Complete(Outcome::ReadExact(ExactRead { handle, buffer, transferred, result }))
    }

    pub(crate) fn write(&mut self, socket: Id, operation: Write) -> Attempt {
        match self.network.send(socket, &operation.buffer, &mut self.choices) {
            Poll::Pending => Attempt::Blocked(Work::Write(operation)),
            Poll::Ready(result) => {
                let Write { handle, buffer } = operation;
                let result = result.map_err(Error::from);
                Attempt::Complete(Outcome::Write(Written { handle, buffer, result }))
            }
        }
    }

    pub(crate) fn write_all(&mut self, socket: Id, operation: WriteAll, before: usize) -> Attempt {
        let written = self.network.send(socket, &operation.buffer[before..], &mut self.choices);
        let (transferred, result) = match written {
            Poll::Pending => return Attempt::Blocked(Work::WriteAll { operation, transferred: before }),
            Poll::Ready(Err(error)) => (before, Err(Error::from(error))),
            Poll::Ready(Ok(count)) => (before + count, Ok(())),
        };
        if result.is_ok() && transferred < operation.buffer.len() {
            return Attempt::Unfinished(Work::WriteAll { operation, transferred });
        }
        let WriteAll { handle, buffer } = operation;
        Attempt::Complete(Outcome::WriteAll(WrittenAll { handle, buffer, transferred, result }))
    }
}

impl Sim {
    /// The outcome of what was to be done on a socket, in a slot in which there is none: a file is read or written at once.
    pub(crate) fn on_a_file(&mut self, slot: Slot, operation: Operation) -> Outcome {
        if !self.files.is_open(slot) {
            return operation.fail(self.no_socket(slot));
        }
        match operation {
            Operation::Read(Read { handle, mut buffer }) => {
                let result = self.read_file(slot, &mut buffer);
                Outcome::Read(BytesRead { handle, buffer, result })
            }
            Operation::ReadExact(ReadExact { handle, mut buffer }) => {
                let (transferred, result) = match self.read_file(slot, &mut buffer) {
                    Ok(count) if count < buffer.len() => (count, Err(Error::EndOfStream)),
                    Ok(count) => (count, Ok(())),
                    Err(error) => (0, Err(error)),
                };
                Outcome::ReadExact(ExactRead { handle, buffer, transferred, result })
            }
            Operation::Write(Write { handle, buffer }) => {
                let result = self.write_file(slot, &buffer);
                Outcome::Write(Written { handle, buffer, result })
            }
            Operation::WriteAll(WriteAll { handle, buffer }) => {
                let result = self.write_file(slot, &buffer);
                let (transferred, result) = (result.unwrap_or(0), result.map(drop));
                Outcome::WriteAll(WrittenAll { handle, buffer, transferred, result })
            }
            Operation::ReadDir(ReadDir { handle, mut entries, rewind }) => {
                entries.clear();
                let listed = self.files.list(slot, &mut entries, rewind);
                let result = listed.map(|()| entries.len()).map_err(Error::from);
                Outcome::ReadDir(DirRead { handle, entries, rewind, result })
            }
            operation @ (Operation::ReadVectored(_)
            | Operation::ReadVectoredExact(_)
            | Operation::WriteVectored(_)
            | Operation::WriteVectoredAll(_)) => self.vectored_of_file(Some(slot), operation),
            other => other.fail(self.no_socket(slot)),
        }
    }

    fn read_file(&mut self, slot: Slot, buffer: &mut Buffer) -> Result<usize, Error> {
        let open = self.files.opened(slot).ok_or(Error::StaleHandle)?;
        let bytes = buffer.as_mut_slice()?;
        if bytes.is_empty() {
            return Ok(0);
        }
        let count = self.files.read(open, bytes, open.position, self.clock.now())?;
        self.files.move_on(slot, count, Direction::Read);
        Ok(count)
    }

    fn write_file(&mut self, slot: Slot, bytes: &[u8]) -> Result<usize, Error> {
        let open = self.files.opened(slot).ok_or(Error::StaleHandle)?;
        if bytes.is_empty() {
            return Ok(0);
        }
        let count = self.files.write(open, bytes, open.position, self.clock.now())?;
        self.files.move_on(slot, count, Direction::Write);
        Ok(count)
    }
}

pub(crate) fn begin_read(operation: Read) -> Result<Work, Outcome> {
    let Read { handle, buffer } = operation;
    let result = match buffer.len() {
        _ if !buffer.is_writable() => Err(Error::ReadOnlyBuffer),
        0 => Ok(0),
        _ => return Ok(Work::Read(Read { handle, buffer })),
    };
    Err(Outcome::Read(BytesRead { handle, buffer, result }))
}

pub(crate) fn begin_read_exact(operation: ReadExact) -> Result<Work, Outcome> {
    let ReadExact { handle, buffer } = operation;
    let result = match buffer.len() {
        _ if !buffer.is_writable() => Err(Error::ReadOnlyBuffer),
        0 => Ok(()),
        _ => return Ok(Work::ReadExact { operation: ReadExact { handle, buffer }, transferred: 0 }),
    };
    Err(Outcome::ReadExact(ExactRead { handle, buffer, transferred: 0, result }))
}

pub(crate) fn begin_write(operation: Write) -> Result<Work, Outcome> {
    let Write { handle, buffer } = operation;
    if buffer.is_empty() {
        return Err(Outcome::Write(Written { handle, buffer, result: Ok(0) }));
    }
    Ok(Work::Write(Write { handle, buffer }))
}

pub(crate) fn begin_write_all(operation: WriteAll) -> Result<Work, Outcome> {
    let WriteAll { handle, buffer } = operation;
    if buffer.is_empty() {
        return Err(Outcome::WriteAll(WrittenAll { handle, buffer, transferred: 0, result: Ok(()) }));
    }
    Ok(Work::WriteAll { operation: WriteAll { handle, buffer }, transferred: 0 })
}
