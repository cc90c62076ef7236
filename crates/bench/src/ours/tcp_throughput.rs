//! Bytes in bulk over TCP, both ends on one loop: one buffer at each end, sent and received again and again.

use proactor_core::{Action, Backend, Buffer, Config, Context, Loop, Recv, RunMode, SendAll};

use crate::bulk::{self, BLOCK_BYTES, Marks};
use crate::measurement::{Figures, Meter, Result};

struct State {
    sent: Marks,
    received: Marks,
    /// Bytes of the whole run.
    total: u64,
    failure: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Moves `count` blocks.
///
/// # Errors
/// What the loop answers, or bytes that came changed or not at all.
pub(crate) fn run<B: Backend>(count: u64) -> Result<Figures> {
    let mut ev = Loop::<B, State>::open(Config::default())?;
    let mut cx = ev.context();
    let (sender, receiver) = bulk::connection()?;
    let sender = cx.attach(sender).map_err(|refused| refused.error)?;
    let receiver = cx.attach(receiver).map_err(|refused| refused.error)?;
    let total = count * BLOCK_BYTES as u64;
    let mut state = State { sent: Marks::default(), received: Marks::default(), total, failure: None };
    let mut buffer = Buffer::zeroed(BLOCK_BYTES);

    let meter = Meter::start();
    if count > 0 {
        state.sent.write(buffer.as_mut_slice()?);
        cx.submit_rearm(SendAll { handle: sender, buffer }, |state, cx, sent| {
            let mut buffer = sent.buffer;
            if let Err(error) = sent.result {
                return fail(state, cx, error);
            }
            if state.sent.position() == state.total {
                return Action::Disarm;
            }
            match buffer.as_mut_slice() {
                Ok(block) => state.sent.write(block),
                Err(error) => return fail(state, cx, error),
            }
            Action::Rearm(SendAll { handle: sent.handle, buffer })
        });
        let buffer = Buffer::zeroed(BLOCK_BYTES);
        cx.submit_rearm(Recv { handle: receiver, buffer }, |state, cx, received| {
            let arrived = match received.result {
                Ok(0) => return fail(state, cx, "the connection has ended"),
                Ok(arrived) => arrived,
                Err(error) => return fail(state, cx, error),
            };
            if let Err(error) = state.received.check(&received.buffer[..arrived]) {
                return fail(state, cx, error);
            }
            if state.received.position() == state.total {
                return Action::Disarm;
            }
            Action::Rearm(Recv { handle: received.handle, buffer: received.buffer })
        });
        ev.run(&mut state, RunMode::UntilDone)?;
    }
    if let Some(failure) = state.failure {
        return Err(failure);
    }
    if state.received.position() != total {
        return Err("the loop ended before the bytes did".into());
    }
    Ok(meter.stop(count))
}

/// Ends the run with an error of any kind.
#[cold]
fn fail<B: Backend, O>(
    state: &mut State,
    cx: &mut Context<'_, B, State>,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Action<O> {
    state.failure = Some(error.into());
    cx.stop();
    Action::Disarm
}
