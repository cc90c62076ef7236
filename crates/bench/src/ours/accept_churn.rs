//! Connections that come and go, both ends on one loop: connect, one byte, close.

use proactor_core::{
    AcceptMany, Address, Backend, Buffer, Config, Connect, Context, Error, Event, Family, Flow, Handle, Loop,
    Recv, RunMode, SendAll,
};

use crate::churn::{self, Churn};
use crate::measurement::{Figures, Meter, Result};

struct State {
    churn: Churn,
    listener: Address,
    /// Buffers that no operation has; one byte each.
    buffers: Vec<Buffer>,
}

/// Makes `count` connections, at most `parallel` at a time.
///
/// # Errors
/// What the loop answers, or a byte that came changed or not at all.
pub(crate) fn run<B: Backend>(parallel: usize, count: u64) -> Result<Figures> {
    let mut ev = Loop::<B, State>::open(Config::default())?;
    let mut cx = ev.context();
    let (listener, address) = churn::listener()?;
    let listener = cx.attach(listener).map_err(|refused| refused.error)?;
    let buffers = (0..2 * parallel).map(|_| Buffer::zeroed(1)).collect();
    let address = std::net::SocketAddr::V4(address).into();
    let mut state = State { churn: Churn::new(count), listener: address, buffers };

    let meter = Meter::start();
    cx.submit_multishot(AcceptMany { listener }, |state, cx, event| {
        match event {
            Event::More(connection) => receive(state, cx, connection.handle),
            Event::Last(last) => cx.fail(last.output.error),
        }
        Flow::Continue
    });
    for _ in 0..parallel {
        connect(&mut state, &mut cx);
    }
    if !state.churn.is_over() {
        ev.run(&mut state, RunMode::UntilDone)?;
    }
    state.churn.check()?;
    Ok(meter.stop(count))
}

/// Makes the next connection, if there is to be one: its byte waits behind the connect.
fn connect<B: Backend>(state: &mut State, cx: &mut Context<'_, B, State>) {
    let Some(byte) = state.churn.start() else { return };
    let handle = match cx.socket(Family::Ipv4) {
        Ok(handle) => handle,
        Err(error) => return cx.fail(error),
    };
    cx.submit(Connect { handle, address: state.listener.clone() }, |_, cx, connected| {
        if let Err(error) = connected.result {
            cx.fail(error);
        }
    });
    let mut buffer = state.buffers.pop().unwrap_or_else(|| Buffer::zeroed(1));
    match buffer.as_mut_slice() {
        Ok(bytes) => bytes[0] = byte,
        Err(error) => return cx.fail(error),
    }
    cx.submit(SendAll { handle, buffer }, |state: &mut State, cx, sent| {
        if let Err(error) = sent.result {
            return cx.fail(error);
        }
        cx.close(sent.handle);
        state.buffers.push(sent.buffer);
    });
}

/// Takes the byte of a connection, which is over then.
fn receive<B: Backend>(state: &mut State, cx: &mut Context<'_, B, State>, handle: Handle) {
    let buffer = state.buffers.pop().unwrap_or_else(|| Buffer::zeroed(1));
    cx.submit(Recv { handle, buffer }, |state: &mut State, cx, received| {
        if received.result != Ok(1) {
            return cx.fail(received.error().unwrap_or(Error::Backend));
        }
        cx.close(received.handle);
        state.churn.arrived(received.buffer[0]);
        state.buffers.push(received.buffer);
        connect(state, cx);
        if state.churn.is_over() {
            cx.stop();
        }
    });
}
