//! Blocks of a file, read or written many at once: each operation, when it has ended, becomes the next one.

use std::io;

use proactor_core::{Action, Backend, Buffer, Config, Loop, ReadAt, RunMode, WriteAt};

use crate::blocks::{self, BLOCK_BYTES, Blocks, DEPTH, Transfer};
use crate::measurement::{Figures, Meter, Result};

#[derive(Default)]
struct State {
    /// Operations that are started, and those that have ended.
    started: u64,
    ended: u64,
    count: u64,
    failure: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl State {
    /// The number of the next operation, if there is one.
    #[inline]
    fn next(&mut self) -> Option<u64> {
        let next = (self.started < self.count).then_some(self.started)?;
        self.started += 1;
        Some(next)
    }

    /// Whether all have ended, and well.
    fn check(self) -> Result<()> {
        match self.failure {
            Some(failure) => Err(failure),
            None if self.ended == self.count => Ok(()),
            None => Err("the loop ended before the operations did".into()),
        }
    }
}

/// Reads `count` blocks.
///
/// # Errors
/// What the loop answers, or a block that is not what was at its place.
pub(crate) fn read<B: Backend>(count: u64, is_direct: bool) -> Result<Figures> {
    let mut ev = Loop::<B, State>::open(Config::default())?;
    let mut cx = ev.context();
    let Blocks { file, .. } = Blocks::make(Transfer { is_write: false, is_direct })?;
    let handle = cx.attach(file).map_err(|refused| refused.error)?;
    let mut state = State { count, ..State::default() };
    let mut buffers = aligned()?;

    let meter = Meter::start();
    while let Some(buffer) = buffers.pop()
        && let Some(number) = state.next()
    {
        let operation = ReadAt { handle, buffer, offset: blocks::offset(number) };
        cx.submit_rearm(operation, |state: &mut State, cx, done| {
            let checked = match done.result {
                Ok(BLOCK_BYTES) => blocks::check_read(&done.buffer, done.offset),
                Ok(moved) => Err(blocks::incomplete(moved)),
                Err(error) => Err(error.into()),
            };
            if let Err(error) = checked {
                state.failure = Some(error);
                cx.stop();
                return Action::Disarm;
            }
            state.ended += 1;
            match state.next() {
                Some(number) => {
                    let (handle, buffer, offset) = (done.handle, done.buffer, blocks::offset(number));
                    Action::Rearm(ReadAt { handle, buffer, offset })
                }
                None => Action::Disarm,
            }
        });
    }
    ev.run(&mut state, RunMode::UntilDone)?;
    let figures = meter.stop(count);
    state.check()?;
    Ok(figures)
}

/// Writes `count` blocks.
///
/// # Errors
/// What the loop answers, or a block that is not what was written.
pub(crate) fn write<B: Backend>(count: u64, is_direct: bool) -> Result<Figures> {
    let mut ev = Loop::<B, State>::open(Config::default())?;
    let mut cx = ev.context();
    let Blocks { file, cached } = Blocks::make(Transfer { is_write: true, is_direct })?;
    let handle = cx.attach(file).map_err(|refused| refused.error)?;
    let mut state = State { count, ..State::default() };
    let mut buffers = aligned()?;

    let meter = Meter::start();
    while let Some(buffer) = buffers.pop()
        && let Some(number) = state.next()
    {
        let operation = numbered(WriteAt { handle, buffer, offset: 0 }, number)?;
        cx.submit_rearm(operation, |state: &mut State, cx, done| {
            let again = match done.result {
                Ok(BLOCK_BYTES) => {
                    state.ended += 1;
                    let Some(number) = state.next() else { return Action::Disarm };
                    numbered(WriteAt { handle: done.handle, buffer: done.buffer, offset: 0 }, number)
                        .map_err(Into::into)
                }
                Ok(moved) => Err(blocks::incomplete(moved)),
                Err(error) => Err(error.into()),
            };
            match again {
                Ok(operation) => Action::Rearm(operation),
                Err(error) => {
                    state.failure = Some(error);
                    cx.stop();
                    Action::Disarm
                }
            }
        });
    }
    ev.run(&mut state, RunMode::UntilDone)?;
    let figures = meter.stop(count);
    state.check()?;
    cached.check_written(count)?;
    Ok(figures)
}

/// Makes a write the one with this number.
#[inline]
fn numbered(mut operation: WriteAt, number: u64) -> io::Result<WriteAt> {
    blocks::mark_written(operation.buffer.as_mut_slice()?, number);
    operation.offset = blocks::offset(number);
    Ok(operation)
}

/// A buffer for each operation that is under way at once.
fn aligned() -> io::Result<Vec<Buffer>> {
    (0..DEPTH).map(|_| Ok(Buffer::aligned(BLOCK_BYTES, align_of::<blocks::Block>())?)).collect()
}
