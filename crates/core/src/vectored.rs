//! Operations on several buffers as if they were one: what is asked, and what comes back.

use std::ops::Range;

use rustix::io::Errno;

use crate::operation::{Direction, OneShot, Operation, Target, UNDECIDED, submission};
use crate::outcome::{Outcome, error_of_result};
use crate::{Buffer, Error, Handle, Kind};

/// How many buffers one call of the system takes, empty ones not counted.
///
/// A [`ReadVectored`], a [`WriteVectored`] and their like at a position are one such call, so of more buffers than this
/// they use the first. The forms that move all make as many calls as it takes.
pub const IOV_MAX: usize = 1024;

/// Reads what there is, at least one byte, into the ranges of several buffers, of which each is filled before the next: a
/// [`Read`](crate::Read) whose bytes need not lie together. FIFO with the handle's other reads and receives (contract H3).
///
/// It is one call: of more than [`IOV_MAX`] buffers it fills the first at most, and never more than 2 GiB (contract R4).
/// On a datagram socket it receives one datagram, and what does not fit is lost. All else is as for `Read`.
///
/// ```
/// use proactor_sim::{Buffer, Config, Create, Loop, OpenAt, OpenOptions, ReadVectored, ReadVectoredAt, RunMode, WriteVectoredAll};
///
/// # fn main() -> std::io::Result<()> {
/// let mut ev = Loop::<String>::open(Config::default())?;
/// let options = OpenOptions::read_write().create(Create::New);
/// ev.context().submit(OpenAt { directory: None, path: "/tmp/greeting".into(), options }, |_, cx, opened| {
///     let Ok(handle) = opened.result else { return };
///     let buffers = vec![Buffer::from(b"hello"), Buffer::from(b", "), Buffer::from(b"world")];
///     cx.submit(WriteVectoredAll { handle, buffers }, move |_, cx, written| {
///         assert_eq!((written.result, written.transferred), (Ok(()), 12));
///         let buffers = vec![Buffer::zeroed(7), Buffer::zeroed(64)];
///         cx.submit(ReadVectoredAt { handle, buffers, offset: 0 }, |text, _, read| {
///             assert_eq!(read.result, Ok(12));
///             *text = String::from_utf8_lossy(&read.buffers[1][..5]).into();
///         });
///     });
/// });
/// let mut text = String::new();
/// ev.run(&mut text, RunMode::UntilDone)?;
/// assert_eq!(text, "world");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ReadVectored {
    /// Something to read.
    pub handle: Handle,
    /// Filled from the start of each one's range. Where there is nothing in all of them together, it completes with zero
    /// in its place in the queue (contract R1); if any of them is read-only, with [`Error::ReadOnlyBuffer`], nothing read.
    pub buffers: Vec<Buffer>,
}

/// Reads until the ranges of all buffers are filled, however many there are, as [`ReadVectored`] does it. FIFO with the
/// handle's other reads and receives, which get nothing in between.
///
/// Where the end comes first, it is [`Error::EndOfStream`]. Whatever ends it early, what was read until then is in the
/// buffers, and [`VectoredExactRead::transferred`] tells how much that is.
#[derive(Debug)]
pub struct ReadVectoredExact {
    /// Something to read.
    pub handle: Handle,
    /// Their ranges are filled. With nothing in all of them together, it completes at once in its place in the queue; if
    /// any of them is read-only, with [`Error::ReadOnlyBuffer`], nothing read.
    pub buffers: Vec<Buffer>,
}

/// Writes from the ranges of several buffers, one after the other, as much as the system takes at once: a
/// [`Write`](crate::Write) whose bytes need not lie together. FIFO with the handle's other writes and sends (contract H3).
///
/// It is one call: of more than [`IOV_MAX`] buffers it writes the first at most, and never more than 2 GiB (contract R4).
/// On a datagram socket it sends one datagram, made of all of these. All else is as for `Write`.
#[derive(Debug)]
pub struct WriteVectored {
    /// Something to write to.
    pub handle: Handle,
    /// Their ranges are written. Where there is nothing in all of them together, it completes with zero in its place in
    /// the queue (contract R1).
    pub buffers: Vec<Buffer>,
}

/// Writes the whole of the ranges of all buffers, however many there are, as [`WriteVectored`] does it. FIFO with the
/// handle's other writes and sends, whose bytes it does not mix with.
#[derive(Debug)]
pub struct WriteVectoredAll {
    /// Something to write to.
    pub handle: Handle,
    /// Their ranges are written.
    pub buffers: Vec<Buffer>,
}

/// Reads at a position, into the ranges of several buffers, of which each is filled before the next: a
/// [`ReadAt`](crate::ReadAt) whose bytes need not lie together. Unordered (contract H3).
///
/// Of more than [`IOV_MAX`] buffers it fills the first at most, and never more than 2 GiB (contract R4).
#[derive(Debug)]
pub struct ReadVectoredAt {
    /// A file, or a device that has positions; of one that has none, `ESPIPE`.
    pub handle: Handle,
    /// Filled from the start of each one's range. Where there is nothing in all of them together, it completes with
    /// zero; if any of them is read-only, with [`Error::ReadOnlyBuffer`].
    pub buffers: Vec<Buffer>,
    /// Where, in bytes from the file's start. With the length of all ranges, up to `i64::MAX`; beyond that
    /// [`Error::InvalidInput`].
    pub offset: u64,
}

/// Reads at a position until the ranges of all buffers are filled, however many there are, as [`ReadVectoredAt`] does it.
/// Unordered (contract H3).
///
/// Where the file ends first, it is [`Error::EndOfStream`], and [`ReadVectoredExactAtDone::transferred`] tells how much
/// there was, as it does whatever ends it early.
#[derive(Debug)]
pub struct ReadVectoredExactAt {
    /// A file, or a device that has positions; of one that has none, `ESPIPE`.
    pub handle: Handle,
    /// Their ranges are filled; if any of them is read-only, it is [`Error::ReadOnlyBuffer`].
    pub buffers: Vec<Buffer>,
    /// Where, in bytes from the file's start. With the length of all ranges, up to `i64::MAX`; beyond that
    /// [`Error::InvalidInput`].
    pub offset: u64,
}

/// Writes the ranges of several buffers at a position, one after the other: a [`WriteAt`](crate::WriteAt) whose bytes need
/// not lie together. Unordered (contract H3).
///
/// Of more than [`IOV_MAX`] buffers it writes the first at most, and never more than 2 GiB (contract R4).
#[derive(Debug)]
pub struct WriteVectoredAt {
    /// A file that was opened for writing, or a device that has positions; of one that has none, `ESPIPE`.
    pub handle: Handle,
    /// Their ranges are written.
    pub buffers: Vec<Buffer>,
    /// Where, in bytes from the file's start. With the length of all ranges, up to `i64::MAX`; beyond that
    /// [`Error::InvalidInput`]. A file that was opened to [`append`](crate::OpenOptions::append) is written at its end
    /// instead.
    pub offset: u64,
}

/// Writes the whole of the ranges of all buffers at a position, however many there are, as [`WriteVectoredAt`] does it.
/// Unordered (contract H3): of two that overlap, either may come last, piece by piece.
#[derive(Debug)]
pub struct WriteVectoredAllAt {
    /// A file that was opened for writing, or a device that has positions; of one that has none, `ESPIPE`.
    pub handle: Handle,
    /// Their ranges are written.
    pub buffers: Vec<Buffer>,
    /// Where, in bytes from the file's start. With the length of all ranges, up to `i64::MAX`; beyond that
    /// [`Error::InvalidInput`]. A file that was opened to [`append`](crate::OpenOptions::append) is written at its end
    /// instead.
    pub offset: u64,
}

/// How a [`ReadVectored`](crate::ReadVectored) went.
#[derive(Debug)]
pub struct VectoredRead {
    /// What was read.
    pub handle: Handle,
    /// The buffers, their ranges as they were given.
    pub buffers: Vec<Buffer>,
    /// How many bytes were written, from the start of the first one's range on; zero at the end.
    pub result: Result<usize, Error>,
}

/// How a [`ReadVectoredExact`](crate::ReadVectoredExact) went.
#[derive(Debug)]
pub struct VectoredExactRead {
    /// What was read.
    pub handle: Handle,
    /// The buffers, their ranges as they were given.
    pub buffers: Vec<Buffer>,
    /// How many bytes were written, from the start of the first one's range on, also when it failed or was cancelled.
    pub transferred: usize,
    /// `Ok` if all are filled; [`Error::EndOfStream`] if the end came first.
    pub result: Result<(), Error>,
}

/// How a [`WriteVectored`](crate::WriteVectored) went.
#[derive(Debug)]
pub struct VectoredWritten {
    /// What was written to.
    pub handle: Handle,
    /// The buffers, their ranges as they were given.
    pub buffers: Vec<Buffer>,
    /// How many bytes were taken, from the start of the first one's range on.
    pub result: Result<usize, Error>,
}

/// How a [`WriteVectoredAll`](crate::WriteVectoredAll) went.
#[derive(Debug)]
pub struct VectoredWrittenAll {
    /// What was written to.
    pub handle: Handle,
    /// The buffers, their ranges as they were given.
    pub buffers: Vec<Buffer>,
    /// How many bytes the system took, also when it failed or was cancelled.
    pub transferred: usize,
    /// `Ok` if it took all.
    pub result: Result<(), Error>,
}

/// How a [`ReadVectoredAt`](crate::ReadVectoredAt) went.
#[derive(Debug)]
pub struct ReadVectoredAtDone {
    /// The file.
    pub handle: Handle,
    /// The buffers, their ranges as they were given.
    pub buffers: Vec<Buffer>,
    /// Where.
    pub offset: u64,
    /// How many bytes were written, from the start of the first one's range on; zero at the end of the file.
    pub result: Result<usize, Error>,
}

/// How a [`ReadVectoredExactAt`](crate::ReadVectoredExactAt) went.
#[derive(Debug)]
pub struct ReadVectoredExactAtDone {
    /// The file.
    pub handle: Handle,
    /// The buffers, their ranges as they were given.
    pub buffers: Vec<Buffer>,
    /// Where.
    pub offset: u64,
    /// How many bytes were written, from the start of the first one's range on, also when it failed or was cancelled.
    pub transferred: usize,
    /// `Ok` if all are filled; [`Error::EndOfStream`] if the file ends before.
    pub result: Result<(), Error>,
}

/// How a [`WriteVectoredAt`](crate::WriteVectoredAt) went.
#[derive(Debug)]
pub struct WriteVectoredAtDone {
    /// The file.
    pub handle: Handle,
    /// The buffers, their ranges as they were given.
    pub buffers: Vec<Buffer>,
    /// Where.
    pub offset: u64,
    /// How many bytes were taken, from the start of the first one's range on.
    pub result: Result<usize, Error>,
}

/// How a [`WriteVectoredAllAt`](crate::WriteVectoredAllAt) went.
#[derive(Debug)]
pub struct WriteVectoredAllAtDone {
    /// The file.
    pub handle: Handle,
    /// The buffers, their ranges as they were given.
    pub buffers: Vec<Buffer>,
    /// Where.
    pub offset: u64,
    /// How many bytes the system took, also when it failed or was cancelled.
    pub transferred: usize,
    /// `Ok` if it took all.
    pub result: Result<(), Error>,
}

/// How many bytes the ranges of these have together.
fn total(buffers: &[Buffer]) -> u64 {
    buffers.iter().map(|buffer| buffer.len() as u64).sum()
}

submission!(ReadVectored => VectoredRead, ReadVectored, |this| Target::Stream(this.handle, Direction::Read), |this| {
    VectoredRead { handle: this.handle, buffers: this.buffers, result: Err(UNDECIDED) }
});
submission!(
    ReadVectoredExact => VectoredExactRead, ReadVectoredExact,
    |this| Target::Stream(this.handle, Direction::Read),
    |this| VectoredExactRead { handle: this.handle, buffers: this.buffers, transferred: 0, result: Err(UNDECIDED) }
);
submission!(
    WriteVectored => VectoredWritten, WriteVectored,
    |this| Target::Stream(this.handle, Direction::Write),
    |this| VectoredWritten { handle: this.handle, buffers: this.buffers, result: Err(UNDECIDED) }
);
submission!(
    WriteVectoredAll => VectoredWrittenAll, WriteVectoredAll,
    |this| Target::Stream(this.handle, Direction::Write),
    |this| VectoredWrittenAll { handle: this.handle, buffers: this.buffers, transferred: 0, result: Err(UNDECIDED) }
);
submission!(ReadVectoredAt => ReadVectoredAtDone, ReadVectoredAt, |this| Target::Unordered(this.handle), |this| {
    ReadVectoredAtDone {
        handle: this.handle, buffers: this.buffers, offset: this.offset, result: Err(UNDECIDED),
    }
}, |this| crate::file::beyond(this.offset, total(&this.buffers)));
submission!(
    ReadVectoredExactAt => ReadVectoredExactAtDone, ReadVectoredExactAt,
    |this| Target::Unordered(this.handle),
    |this| ReadVectoredExactAtDone {
        handle: this.handle, buffers: this.buffers, offset: this.offset, transferred: 0, result: Err(UNDECIDED),
    },
    |this| crate::file::beyond(this.offset, total(&this.buffers))
);
submission!(WriteVectoredAt => WriteVectoredAtDone, WriteVectoredAt, |this| Target::Unordered(this.handle), |this| {
    WriteVectoredAtDone {
        handle: this.handle, buffers: this.buffers, offset: this.offset, result: Err(UNDECIDED),
    }
}, |this| crate::file::beyond(this.offset, total(&this.buffers)));
submission!(
    WriteVectoredAllAt => WriteVectoredAllAtDone, WriteVectoredAllAt,
    |this| Target::Unordered(this.handle),
    |this| WriteVectoredAllAtDone {
        handle: this.handle, buffers: this.buffers, offset: this.offset, transferred: 0, result: Err(UNDECIDED),
    },
    |this| crate::file::beyond(this.offset, total(&this.buffers))
);

impl OneShot for ReadVectored {}
impl OneShot for ReadVectoredExact {}
impl OneShot for WriteVectored {}
impl OneShot for WriteVectoredAll {}
impl OneShot for ReadVectoredAt {}
impl OneShot for ReadVectoredExactAt {}
impl OneShot for WriteVectoredAt {}
impl OneShot for WriteVectoredAllAt {}

error_of_result!(VectoredRead, VectoredExactRead, VectoredWritten, VectoredWrittenAll);
error_of_result!(ReadVectoredAtDone, ReadVectoredExactAtDone, WriteVectoredAtDone, WriteVectoredAllAtDone);

/// An operation of a kind of this file with nothing in it: what is left to be said of one whose parts the backend has
/// lost. None for other kinds.
pub(crate) fn hollow(kind: Kind, handle: Handle) -> Option<Operation> {
    let (buffers, offset) = (Vec::new(), 0);
    Some(match kind {
        Kind::ReadVectored => ReadVectored { handle, buffers }.into(),
        Kind::ReadVectoredExact => ReadVectoredExact { handle, buffers }.into(),
        Kind::WriteVectored => WriteVectored { handle, buffers }.into(),
        Kind::WriteVectoredAll => WriteVectoredAll { handle, buffers }.into(),
        Kind::ReadVectoredAt => ReadVectoredAt { handle, buffers, offset }.into(),
        Kind::ReadVectoredExactAt => ReadVectoredExactAt { handle, buffers, offset }.into(),
        Kind::WriteVectoredAt => WriteVectoredAt { handle, buffers, offset }.into(),
        Kind::WriteVectoredAllAt => WriteVectoredAllAt { handle, buffers, offset }.into(),
        _ => return None,
    })
}

/// Back into the operation; the outcome as it is if it is of no kind of this file.
pub(crate) fn back(outcome: Outcome) -> Result<Operation, Outcome> {
    Ok(match outcome {
        Outcome::ReadVectored(VectoredRead { handle, buffers, .. }) => {
            ReadVectored { handle, buffers }.into()
        }
        Outcome::ReadVectoredExact(VectoredExactRead { handle, buffers, .. }) => {
            ReadVectoredExact { handle, buffers }.into()
        }
        Outcome::WriteVectored(VectoredWritten { handle, buffers, .. }) => {
            WriteVectored { handle, buffers }.into()
        }
        Outcome::WriteVectoredAll(VectoredWrittenAll { handle, buffers, .. }) => {
            WriteVectoredAll { handle, buffers }.into()
        }
        Outcome::ReadVectoredAt(ReadVectoredAtDone { handle, buffers, offset, .. }) => {
            ReadVectoredAt { handle, buffers, offset }.into()
        }
        Outcome::ReadVectoredExactAt(ReadVectoredExactAtDone { handle, buffers, offset, .. }) => {
            ReadVectoredExactAt { handle, buffers, offset }.into()
        }
        Outcome::WriteVectoredAt(WriteVectoredAtDone { handle, buffers, offset, .. }) => {
            WriteVectoredAt { handle, buffers, offset }.into()
        }
        Outcome::WriteVectoredAllAt(WriteVectoredAllAtDone { handle, buffers, offset, .. }) => {
            WriteVectoredAllAt { handle, buffers, offset }.into()
        }
        other => return Err(other),
    })
}

/// Any of these operations, its result not decided yet: what backends do is the same for all.
#[doc(hidden)]
#[derive(Debug)]
pub struct Vectored<'a> {
    /// All that was given.
    pub buffers: &'a mut Vec<Buffer>,
    /// Whether it reads.
    pub reads: bool,
    /// Where, of those at a position.
    pub offset: Option<u64>,
    answer: Answer<'a>,
}

#[derive(Debug)]
enum Answer<'a> {
    Once(&'a mut Result<usize, Error>),
    All(&'a mut usize, &'a mut Result<(), Error>),
}

impl Outcome {
    /// What it is of an operation on several buffers; none if it is something else.
    #[doc(hidden)]
    #[cold]
    pub fn vectored(&mut self) -> Option<Vectored<'_>> {
        let reads = matches!(
            self.kind(),
            Kind::ReadVectored | Kind::ReadVectoredExact | Kind::ReadVectoredAt | Kind::ReadVectoredExactAt
        );
        let (buffers, offset, answer) = match self {
            Self::ReadVectored(VectoredRead { buffers, result, .. })
            | Self::WriteVectored(VectoredWritten { buffers, result, .. }) => {
                (buffers, None, Answer::Once(result))
            }
            Self::ReadVectoredExact(VectoredExactRead { buffers, transferred, result, .. })
            | Self::WriteVectoredAll(VectoredWrittenAll { buffers, transferred, result, .. }) => {
                (buffers, None, Answer::All(transferred, result))
            }
            Self::ReadVectoredAt(ReadVectoredAtDone { buffers, offset, result, .. })
            | Self::WriteVectoredAt(WriteVectoredAtDone { buffers, offset, result, .. }) => {
                (buffers, Some(*offset), Answer::Once(result))
            }
            Self::ReadVectoredExactAt(ReadVectoredExactAtDone {
                buffers,
                offset,
                transferred,
                result,
                ..
            })
            | Self::WriteVectoredAllAt(WriteVectoredAllAtDone {
                buffers, offset, transferred, result, ..
            }) => (buffers, Some(*offset), Answer::All(transferred, result)),
            _ => return None,
        };
        Some(Vectored { buffers, reads, offset, answer })
    }
}

impl Vectored<'_> {
    /// How many bytes the ranges have together.
    #[must_use]
    pub fn total(&self) -> usize {
        usize::try_from(total(self.buffers)).unwrap_or(usize::MAX)
    }

    /// How many of them earlier calls have moved.
    #[must_use]
    pub const fn transferred(&self) -> usize {
        match &self.answer {
            Answer::Once(_) => 0,
            Answer::All(transferred, _) => **transferred,
        }
    }

    /// The same, to be set by who has counted.
    pub const fn set_transferred(&mut self, count: usize) {
        if let Answer::All(transferred, _) = &mut self.answer {
            **transferred = count;
        }
    }

    /// Before a call that reads.
    ///
    /// # Errors
    /// [`Error::ReadOnlyBuffer`] if any buffer is.
    pub fn check_writable(&self) -> Result<(), Error> {
        if self.reads && !self.buffers.iter().all(Buffer::is_writable) {
            return Err(Error::ReadOnlyBuffer);
        }
        Ok(())
    }

    /// One more call has moved `count` bytes. Returns whether that decides it, its result being filled in then.
    pub fn moved(&mut self, count: usize) -> bool {
        let total = self.total();
        match &mut self.answer {
            Answer::Once(result) => **result = Ok(count),
            Answer::All(transferred, result) => {
                **transferred = transferred.saturating_add(count);
                **result = match count {
                    _ if **transferred >= total => Ok(()),
                    0 if self.reads => Err(Error::EndOfStream),
                    // A system that takes none of some bytes, without a reason, will not take them the next time.
                    0 => Err(Errno::IO.into()),
                    _ => return false,
                };
            }
        }
        true
    }

    /// It has failed.
    pub fn set_error(&mut self, error: Error) {
        match &mut self.answer {
            Answer::Once(result) => **result = Err(error),
            Answer::All(_, result) => **result = Err(error),
        }
    }
}

/// Cuts out of buffers, which it is shown one after the other, what one call takes: at most [`IOV_MAX`] pieces, none of
/// them empty, and no more bytes than a call takes on every system.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Bytes to pass over.
    skip: usize,
    /// Bytes that still fit.
    room: usize,
    /// Pieces that still fit.
    pieces: usize,
}

impl Cut {
    /// The most bytes: 2 GiB less a page (contract R4).
    pub const MAX_LEN: usize = 0x7fff_f000;

    /// Behind the first `transferred` bytes of all.
    #[must_use]
    pub const fn behind(transferred: usize) -> Self {
        Self { skip: transferred, room: Self::MAX_LEN, pieces: IOV_MAX }
    }

    /// The same, with at most `room` bytes.
    #[must_use]
    pub const fn within(mut self, room: usize) -> Self {
        if room < self.room {
            self.room = room;
        }
        self
    }

    /// How many bytes the call has of these.
    #[must_use]
    pub fn len_of(mut self, buffers: &[Buffer]) -> usize {
        buffers.iter().map_while(|buffer| self.next(buffer.len())).map(|range| range.len()).sum()
    }

    /// What the call takes of the next buffer, whose range has `len` bytes; often nothing. None once it is full.
    pub fn next(&mut self, len: usize) -> Option<Range<usize>> {
        if self.room == 0 || self.pieces == 0 {
            return None;
        }
        let start = self.skip.min(len);
        self.skip -= start;
        let end = start + (len - start).min(self.room);
        self.room -= end - start;
        self.pieces -= usize::from(end > start);
        Some(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts(mut cut: Cut, lens: &[usize]) -> Vec<Range<usize>> {
        lens.iter().map_while(|&len| cut.next(len)).filter(|range| !range.is_empty()).collect()
    }

    #[test]
    fn a_call_begins_where_the_last_one_ended() {
        let lens = [3, 0, 4, 5];
        assert_eq!(cuts(Cut::behind(0), &lens), [0..3, 0..4, 0..5]);
        assert_eq!(cuts(Cut::behind(2), &lens), [2..3, 0..4, 0..5]);
        assert_eq!(cuts(Cut::behind(3), &lens), [0..4, 0..5]);
        assert_eq!(cuts(Cut::behind(9), &[&lens[..], &[1]].concat()), [2..5, 0..1]);
        assert!(cuts(Cut::behind(12), &lens).is_empty());
        assert!(cuts(Cut::behind(100), &lens).is_empty());
        assert_eq!(cuts(Cut::behind(2).within(6), &lens), [2..3, 0..4, 0..1]);
    }

    #[test]
    fn a_call_takes_no_more_than_it_can() {
        assert_eq!(cuts(Cut::behind(0), &[1; 3 * IOV_MAX]).len(), IOV_MAX);
        // Empty ones do not count.
        let every_other: Vec<usize> = (0..3 * IOV_MAX).map(|number| number % 2).collect();
        assert_eq!(cuts(Cut::behind(0), &every_other).len(), IOV_MAX);
        let (half, rest) = (Cut::MAX_LEN / 2, Cut::MAX_LEN - Cut::MAX_LEN / 2);
        assert_eq!(cuts(Cut::behind(0), &[half, half + 100, 1]), [0..half, 0..rest]);
        assert_eq!(cuts(Cut::behind(half + rest), &[half, half + 100, 1]), [rest..half + 100, 0..1]);
    }

    #[test]
    fn what_moves_all_is_decided_by_all_or_nothing() {
        let handle = crate::handles::Handles::new(1).open();
        let buffers = || vec![Buffer::zeroed(3), Buffer::default(), Buffer::zeroed(4)];
        let decided = |operation: Operation, counts: &[usize]| {
            let mut outcome = operation.undecided();
            let mut vectored = outcome.vectored().unwrap();
            let decided = counts.iter().map(|&count| vectored.moved(count)).collect::<Vec<_>>();
            (decided, vectored.transferred(), outcome.error())
        };
        let exact = || ReadVectoredExact { handle, buffers: buffers() }.into();
        assert_eq!(decided(exact(), &[4, 3]), (vec![false, true], 7, None));
        assert_eq!(decided(exact(), &[4, 0]), (vec![false, true], 4, Some(Error::EndOfStream)));
        let all = || WriteVectoredAllAt { handle, buffers: buffers(), offset: 0 }.into();
        assert_eq!(decided(all(), &[0]), (vec![true], 0, Some(Errno::IO.into())));
        let empty = WriteVectoredAll { handle, buffers: Vec::new() }.into();
        assert_eq!(decided(empty, &[0]), (vec![true], 0, None));
        let once = ReadVectored { handle, buffers: buffers() }.into();
        assert_eq!(decided(once, &[0]), (vec![true], 0, None));
    }

    #[test]
    fn every_kind_goes_there_and_back() {
        use Kind::*;
        let handle = crate::handles::Handles::new(1).open();
        let kinds = [
            (ReadVectored, true, false),
            (ReadVectoredExact, true, false),
            (WriteVectored, false, false),
            (WriteVectoredAll, false, false),
            (ReadVectoredAt, true, true),
            (ReadVectoredExactAt, true, true),
            (WriteVectoredAt, false, true),
            (WriteVectoredAllAt, false, true),
        ];
        for (kind, reads, is_at) in kinds {
            let mut outcome = Outcome::lost(kind, handle).unwrap();
            assert_eq!((outcome.kind(), outcome.error()), (kind, Some(Error::Backend)));
            let vectored = outcome.vectored().unwrap();
            assert_eq!((vectored.reads, vectored.offset.is_some()), (reads, is_at), "{kind:?}");
            *vectored.buffers = vec![Buffer::zeroed(5)];
            assert_eq!(vectored.check_writable(), Ok(()));
            vectored.buffers.push(Buffer::from(b"fixed"));
            assert_eq!(vectored.check_writable().is_err(), reads);
            assert_eq!(vectored.total(), 10);
            let operation = outcome.into_operation().unwrap();
            assert_eq!(
                operation.target(),
                if is_at {
                    Target::Unordered(handle)
                } else {
                    Target::Stream(handle, if reads { Direction::Read } else { Direction::Write })
                }
            );
            let mut outcome = operation.fail(Error::Canceled);
            assert_eq!((outcome.kind(), outcome.vectored().unwrap().buffers.len()), (kind, 2));
            assert_eq!(outcome.file_target().is_some(), is_at);
        }
        assert!(Outcome::Nop(crate::NopDone { result: Ok(()) }).vectored().is_none());
    }

    #[test]
    fn ranges_of_all_buffers_end_where_a_file_can() {
        use crate::Submission;
        let handle = crate::handles::Handles::new(1).open();
        let objection = |offset| {
            let buffers = vec![Buffer::zeroed(3), Buffer::zeroed(4)];
            ReadVectoredAt { handle, buffers, offset }.objection()
        };
        let last = i64::MAX as u64;
        assert_eq!((objection(last - 7), objection(last - 6)), (None, Some(Error::InvalidInput)));
        assert_eq!(objection(u64::MAX), Some(Error::InvalidInput));
    }
}
