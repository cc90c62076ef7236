//! Receiving for as long as bytes come, into buffers of a pool.

use crate::operation::{Direction, Multishot, Target, UNDECIDED, submission};
use crate::outcome::{Outcome, error_of_result};
use crate::{Buffer, BufferPool, Error, Handle};

/// Receives until the end of the stream, until it is stopped, or until it fails: one event for each piece that arrives,
/// with a [`Buffer`] of the pool whose range is that piece, at least one byte. FIFO with the handle's other receives.
///
/// While nothing arrives it holds no buffer. While no buffer is free it waits, and receives nothing (contract B2); the
/// user gives one back by dropping it. Submitted by [`Context::submit_multishot`](crate::Context::submit_multishot).
///
/// ```
/// use proactor_sim::{Config, Connect, Event, Flow, ListenOptions, Loop, Accept, RecvMany, RunMode, SendAll};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut ev = Loop::<Vec<u8>>::open(Config::default())?;
/// let mut cx = ev.context();
/// let pool = cx.buffer_pool(64, 4096)?;
/// let listener = cx.listen("127.0.0.1:0".parse()?, ListenOptions::default())?;
/// let address = cx.local_address(listener)?;
/// cx.submit(Accept { listener }, move |_text, cx, accepted| {
///     let Ok((handle, _peer)) = accepted.result else { return };
///     cx.submit_multishot(RecvMany { handle, pool: pool.clone() }, |text, cx, event| match event {
///         Event::More(buffer) => {
///             text.extend_from_slice(&buffer);
///             Flow::Continue
///         }
///         Event::Last(last) => {
///             assert_eq!(last.output.result, Ok(()), "the end of the stream");
///             cx.close(last.output.handle);
///             Flow::Continue
///         }
///     });
/// });
///
/// let handle = cx.socket(address.family())?;
/// cx.submit(Connect { handle, address }, |_text, _cx, connected| assert_eq!(connected.result, Ok(())));
/// cx.submit(SendAll { handle, buffer: "hello".as_bytes().into() }, |_text, cx, sent| cx.close(sent.handle));
/// let mut text = Vec::new();
/// ev.run(&mut text, RunMode::UntilDone)?;
/// assert_eq!(text, b"hello");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RecvMany {
    /// A connected stream socket; anything else ends with [`Error::Unsupported`].
    pub handle: Handle,
    /// Where the buffers come from: a pool of the same loop, another one's ends with [`Error::InvalidInput`].
    pub pool: BufferPool,
}

/// How a [`RecvMany`](crate::RecvMany) ended.
#[derive(Debug)]
pub struct RecvManyEnded {
    /// The socket.
    pub handle: Handle,
    /// The pool, to receive again.
    pub pool: BufferPool,
    /// `Ok` at the end of the stream, after all that had arrived; [`Error::Canceled`] after it was stopped or cancelled,
    /// or its handle closed; otherwise why it failed.
    pub result: Result<(), Error>,
}

submission!(
    RecvMany => RecvManyEnded, RecvManyEnded,
    |this| Target::Stream(this.handle, Direction::Read),
    |this| RecvManyEnded { handle: this.handle, pool: this.pool, result: Err(UNDECIDED) }
);

impl Multishot for RecvMany {
    type Item = Buffer;

    #[inline(always)]
    fn item(outcome: Outcome) -> Option<Buffer> {
        match outcome {
            Outcome::RecvManyItem(buffer) => Some(buffer),
            // As for outputs.
            other => {
                std::mem::forget(other);
                None
            }
        }
    }
}

error_of_result!(RecvManyEnded);
