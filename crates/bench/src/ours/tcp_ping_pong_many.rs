//! Ping-pong over TCP with one receive at each end for all its messages: each comes in a buffer of a pool, and is sent
//! from where it lies.

use std::io;

use proactor_core::{
    Backend, Buffer, BufferPool, Config, Context, Error, Event, Flow, Handle, Loop, RecvMany, RunMode,
    SendAll,
};

use crate::measurement::{Figures, Meter, Result};
use crate::sockets::{self, MESSAGE_BYTES, Message};

/// Bytes of a buffer: more than a message, so that a message alone shows that nothing is left.
const BUFFER_BYTES: usize = 4 * MESSAGE_BYTES;

struct State {
    /// What each client sent last.
    messages: Vec<Message>,
    to_start: u64,
    in_flight: u64,
}

/// Runs `count` round trips, shared by `connections` connections.
///
/// # Errors
/// What the loop answers, or a message that came back changed or in pieces.
pub(crate) fn run<B: Backend>(connections: usize, count: u64) -> Result<Figures> {
    let mut ev = Loop::<B, State>::open(Config::default())?;
    let mut cx = ev.context();
    let messages = (0..connections).map(sockets::message).collect();
    let mut state = State { messages, to_start: count, in_flight: 0 };
    // A connection's message is in one buffer while it is sent, and arrives in another. There are as many as a pool has at
    // most, and what finds none waits.
    let buffers = u32::try_from(4 * connections)?.min(BufferPool::MAX_COUNT);
    let pool = cx.buffer_pool(buffers, BUFFER_BYTES)?;
    let mut clients = Vec::with_capacity(connections);
    for (client, pair) in sockets::connect(connections)?.into_iter().enumerate() {
        let handle = cx.attach(pair.server).map_err(|refused| refused.error)?;
        cx.submit_multishot(RecvMany { handle, pool: pool.clone() }, move |_, cx, event| {
            if let Err(error) = whole(event).map(|buffer| send(cx, handle, buffer)) {
                cx.fail(error);
            }
            Flow::Continue
        });
        let handle = cx.attach(pair.client).map_err(|refused| refused.error)?;
        cx.submit_multishot(RecvMany { handle, pool: pool.clone() }, move |state: &mut State, cx, event| {
            if let Err(error) = whole(event).and_then(|buffer| state.returned(cx, client, handle, buffer)) {
                cx.fail(error);
            }
            Flow::Continue
        });
        let buffer = Buffer::from(state.messages[client].to_vec());
        clients.push((client, handle, buffer));
    }

    let meter = Meter::start();
    for (client, handle, buffer) in clients {
        if state.to_start > 0 {
            state.in_flight += 1;
            if let Err(error) = state.start(&mut cx, client, handle, buffer) {
                cx.fail(error);
            }
        }
    }
    if state.in_flight > 0 {
        ev.run(&mut state, RunMode::UntilDone)?;
    }
    if state.in_flight > 0 {
        return Err("the loop ended before the round trips did".into());
    }
    Ok(meter.stop(count))
}

impl State {
    /// Checks a client's echo, and sends the next message if there is one.
    fn returned<B: Backend>(
        &mut self,
        cx: &mut Context<'_, B, Self>,
        client: usize,
        handle: Handle,
        buffer: Buffer,
    ) -> io::Result<()> {
        match buffer.first_chunk() {
            Some(message) if sockets::same(message, &self.messages[client]) => {}
            _ => return Err(io::Error::other("a message came back changed")),
        }
        if self.to_start > 0 {
            return self.start(cx, client, handle, buffer);
        }
        self.in_flight -= 1;
        if self.in_flight == 0 {
            cx.stop();
        }
        Ok(())
    }

    /// Sends a client's next message, in a buffer that holds the last one.
    fn start<B: Backend>(
        &mut self,
        cx: &mut Context<'_, B, Self>,
        client: usize,
        handle: Handle,
        mut buffer: Buffer,
    ) -> io::Result<()> {
        sockets::stamp(&mut self.messages[client], self.to_start);
        // What came back is what was sent, so that only the stamp is new.
        let bytes = buffer.as_mut_slice()?;
        sockets::stamp(bytes.first_chunk_mut().ok_or(Error::InvalidInput)?, self.to_start);
        self.to_start -= 1;
        send(cx, handle, buffer);
        Ok(())
    }
}

/// Sends a message; its buffer goes back to the pool then.
fn send<B: Backend>(cx: &mut Context<'_, B, State>, handle: Handle, buffer: Buffer) {
    cx.submit(SendAll { handle, buffer }, |_, cx, sent| {
        if let Err(error) = sent.result {
            cx.fail(error);
        }
    });
}

/// The message of an event.
fn whole(event: Event<RecvMany>) -> io::Result<Buffer> {
    match event {
        Event::More(buffer) if buffer.len() == MESSAGE_BYTES => Ok(buffer),
        Event::More(buffer) => Err(io::Error::other(sockets::incomplete(buffer.len()))),
        Event::Last(last) => Err(last.output.result.err().unwrap_or(Error::Canceled).into()),
    }
}
