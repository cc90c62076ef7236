//! Ping-pong over UDP: one buffer and one address at each end, which go from a receive to a send and back.

use std::io;
use std::net::SocketAddr;

use proactor_core::{
    Backend, Buffer, Config, Context, Datagram, Error, Handle, Loop, Peer, RecvFrom, RunMode, SendTo,
};

use crate::datagrams;
use crate::measurement::{Figures, Meter, Result};
use crate::sockets::{self, MESSAGE_BYTES, Message};

struct State {
    /// What each client sent last.
    messages: Vec<Message>,
    to_start: u64,
    in_flight: u64,
}

/// What goes round at one end.
struct End {
    handle: Handle,
    buffer: Buffer,
    peer: Peer,
}

/// Runs `count` round trips, shared by `pairs` pairs of sockets.
///
/// # Errors
/// What the loop answers, or a message that came back changed or cut.
pub(crate) fn run<B: Backend>(pairs: usize, count: u64) -> Result<Figures> {
    let mut ev = Loop::<B, State>::open(Config::default())?;
    let mut cx = ev.context();
    let messages = (0..pairs).map(sockets::message).collect();
    let mut state = State { messages, to_start: count, in_flight: 0 };
    let mut clients = Vec::with_capacity(pairs);
    for (client, pair) in datagrams::pairs(pairs)?.into_iter().enumerate() {
        let handle = cx.attach(pair.server).map_err(|refused| refused.error)?;
        serve(&mut cx, End { handle, buffer: Buffer::zeroed(MESSAGE_BYTES), peer: Peer::default() });
        let handle = cx.attach(pair.client).map_err(|refused| refused.error)?;
        let mut buffer = Buffer::zeroed(MESSAGE_BYTES);
        buffer.as_mut_slice()?.copy_from_slice(&state.messages[client]);
        clients.push((client, End { handle, buffer, peer: SocketAddr::V4(pair.address).into() }));
    }

    let meter = Meter::start();
    for (client, end) in clients {
        if state.to_start > 0 {
            state.in_flight += 1;
            if let Err(error) = start(&mut state, &mut cx, client, end) {
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

/// Sends back what arrives to where it came from, for ever.
fn serve<B: Backend>(cx: &mut Context<'_, B, State>, End { handle, buffer, peer }: End) {
    cx.submit(RecvFrom { handle, buffer, peer }, |_, cx, received| {
        if let Err(error) = whole(received.result) {
            return cx.fail(error);
        }
        let answer = SendTo { handle: received.handle, buffer: received.buffer, peer: received.peer };
        cx.submit(answer, |_, cx, sent| match sent.result {
            Ok(()) => serve(cx, End { handle: sent.handle, buffer: sent.buffer, peer: sent.peer }),
            Err(error) => cx.fail(error),
        });
    });
}

/// Sends a client's next message and waits for its echo, whose sender is the next one's receiver.
fn start<B: Backend>(
    state: &mut State,
    cx: &mut Context<'_, B, State>,
    client: usize,
    End { handle, mut buffer, peer }: End,
) -> io::Result<()> {
    sockets::stamp(&mut state.messages[client], state.to_start);
    // What came back is what was sent, so that only the stamp is new.
    let bytes = buffer.as_mut_slice()?;
    sockets::stamp(bytes.first_chunk_mut().ok_or(Error::InvalidInput)?, state.to_start);
    state.to_start -= 1;
    cx.submit(SendTo { handle, buffer, peer }, move |_, cx, sent| match sent.result {
        Ok(()) => {
            await_echo(cx, client, End { handle: sent.handle, buffer: sent.buffer, peer: sent.peer });
        }
        Err(error) => cx.fail(error),
    });
    Ok(())
}

fn await_echo<B: Backend>(cx: &mut Context<'_, B, State>, client: usize, End { handle, buffer, peer }: End) {
    cx.submit(RecvFrom { handle, buffer, peer }, move |state, cx, received| {
        if let Err(error) = whole(received.result).and_then(|()| check(state, client, &received.buffer)) {
            return cx.fail(error);
        }
        if state.to_start > 0 {
            let end = End { handle: received.handle, buffer: received.buffer, peer: received.peer };
            if let Err(error) = start(state, cx, client, end) {
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

fn whole(received: std::result::Result<Datagram, Error>) -> io::Result<()> {
    let datagram = received?;
    if datagram.len() == MESSAGE_BYTES && !datagram.is_truncated() {
        return Ok(());
    }
    Err(io::Error::other(sockets::incomplete(datagram.len())))
}

fn check(state: &State, client: usize, buffer: &Buffer) -> io::Result<()> {
    match buffer.first_chunk() {
        Some(message) if sockets::same(message, &state.messages[client]) => Ok(()),
        _ => Err(io::Error::other("a message came back changed")),
    }
}
