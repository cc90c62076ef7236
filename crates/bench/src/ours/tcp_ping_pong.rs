//! Ping-pong over TCP: one buffer at each end, which goes from a receive to a send and back.

use std::io;

use proactor_core::{Backend, Buffer, Config, Context, Error, Handle, Loop, Recv, RunMode, SendAll};

use crate::measurement::{Figures, Meter, Result};
use crate::sockets::{self, MESSAGE_BYTES, Message};

/// Bytes asked for by a receive: more than a message, so that a message alone shows that nothing is left.
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
    let mut clients = Vec::with_capacity(connections);
    for (client, pair) in sockets::connect(connections)?.into_iter().enumerate() {
        let server = cx.attach(pair.server).map_err(|refused| refused.error)?;
        serve(&mut cx, server, Buffer::zeroed(BUFFER_BYTES));
        let handle = cx.attach(pair.client).map_err(|refused| refused.error)?;
        let mut buffer = Buffer::zeroed(BUFFER_BYTES);
        buffer.as_mut_slice()?[..MESSAGE_BYTES].copy_from_slice(&state.messages[client]);
        clients.push((client, handle, buffer));
    }

    let meter = Meter::start();
    for (client, handle, buffer) in clients {
        if state.to_start > 0 {
            state.in_flight += 1;
            if let Err(error) = start(&mut state, &mut cx, client, handle, buffer) {
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

/// Sends back what arrives, for ever.
fn serve<B: Backend>(cx: &mut Context<'_, B, State>, handle: Handle, buffer: Buffer) {
    cx.submit(Recv { handle, buffer }, |_, cx, received| {
        if let Err(error) = whole(received.result) {
            return cx.fail(error);
        }
        let buffer = received.buffer.slice(..MESSAGE_BYTES);
        cx.submit(SendAll { handle: received.handle, buffer }, |_, cx, sent| match sent.result {
            Ok(()) => serve(cx, sent.handle, sent.buffer.unslice()),
            Err(error) => cx.fail(error),
        });
    });
}

/// Sends a client's next message and waits for its echo.
fn start<B: Backend>(
    state: &mut State,
    cx: &mut Context<'_, B, State>,
    client: usize,
    handle: Handle,
    buffer: Buffer,
) -> io::Result<()> {
    let mut buffer = buffer.slice(..MESSAGE_BYTES);
    sockets::stamp(&mut state.messages[client], state.to_start);
    // What came back is what was sent, so that only the stamp is new.
    let bytes = buffer.as_mut_slice()?;
    sockets::stamp(bytes.first_chunk_mut().ok_or(Error::InvalidInput)?, state.to_start);
    state.to_start -= 1;
    cx.submit(SendAll { handle, buffer }, move |_, cx, sent| match sent.result {
        Ok(()) => await_echo(cx, client, sent.handle, sent.buffer.unslice()),
        Err(error) => cx.fail(error),
    });
    Ok(())
}

fn await_echo<B: Backend>(cx: &mut Context<'_, B, State>, client: usize, handle: Handle, buffer: Buffer) {
    cx.submit(Recv { handle, buffer }, move |state, cx, received| {
        if let Err(error) = whole(received.result).and_then(|()| check(state, client, &received.buffer)) {
            return cx.fail(error);
        }
        if state.to_start > 0 {
            if let Err(error) = start(state, cx, client, received.handle, received.buffer) {
                cx.fail(error);
            }
            return;
        }
        state.in_flight -= 1;
        if state.in_flight == 0 {
            cx.stop();
        }
    });
}

fn whole(received: std::result::Result<usize, Error>) -> io::Result<()> {
    match received? {
        MESSAGE_BYTES => Ok(()),
        bytes => Err(io::Error::other(sockets::incomplete(bytes))),
    }
}

fn check(state: &State, client: usize, buffer: &Buffer) -> io::Result<()> {
    match buffer.first_chunk() {
        Some(message) if sockets::same(message, &state.messages[client]) => Ok(()),
        _ => Err(io::Error::other("a message came back changed")),
    }
}
