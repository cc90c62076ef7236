//! Connections on which nothing happens, each with a receive: a plain one with a buffer of its own, or one that takes its
//! buffer from a pool when something comes.

use std::net::TcpStream;

use proactor_core::{
    Backend, Buffer, BufferPool, Config, Context, Error, Event, Flow, Loop, Recv, RecvMany, RunMode,
};

use crate::idle::Idle;
use crate::measurement::{Figures, Meter, Result};
use crate::sockets::MESSAGE_BYTES;

/// Buffers of the pool, for however many connections.
const POOL_BUFFERS: u32 = 64;

struct State {
    arrived: usize,
    count: usize,
}

/// Has receives wait on `count` connections; then a byte comes on each.
///
/// # Errors
/// What the loop answers, or a byte that does not come.
pub(crate) fn run<B: Backend>(from_pool: bool, count: u64) -> Result<Figures> {
    let mut ev = Loop::<B, State>::open(Config::default())?;
    let count = usize::try_from(count)?;
    let (mut idle, ends) = Idle::open(count)?;
    let mut state = State { arrived: 0, count };
    let pool = ev.context().buffer_pool(POOL_BUFFERS, MESSAGE_BYTES)?;
    let pool = from_pool.then_some(pool);

    let meter = Meter::start();
    for (index, end) in ends.into_iter().enumerate() {
        if index == idle.few() {
            ev.run(&mut state, RunMode::NoWait)?;
            idle.look(true)?;
        }
        receive(&mut ev.context(), end, pool.as_ref())?;
    }
    ev.run(&mut state, RunMode::NoWait)?;
    idle.look(false)?;
    let figures = meter.stop(count as u64);
    if state.arrived > 0 {
        return Err("something came before it was sent".into());
    }
    idle.speak()?;
    ev.run(&mut state, RunMode::UntilDone)?;
    if state.arrived < count {
        return Err("the loop ended before all that was sent had come".into());
    }
    Ok(idle.tell(figures))
}

fn receive<B: Backend>(
    cx: &mut Context<'_, B, State>,
    end: TcpStream,
    pool: Option<&BufferPool>,
) -> Result<()> {
    let handle = cx.attach(end).map_err(|refused| refused.error)?;
    match pool {
        Some(pool) => {
            cx.submit_multishot(RecvMany { handle, pool: pool.clone() }, |state: &mut State, cx, event| {
                arrived(
                    state,
                    cx,
                    match event {
                        Event::More(buffer) => Ok(buffer.len()),
                        Event::Last(last) => Err(last.output.result.err().unwrap_or(Error::EndOfStream)),
                    },
                );
                Flow::Continue
            });
        }
        None => {
            let buffer = Buffer::zeroed(MESSAGE_BYTES);
            cx.submit(Recv { handle, buffer }, |state, cx, received| arrived(state, cx, received.result));
        }
    }
    Ok(())
}

fn arrived<B: Backend>(
    state: &mut State,
    cx: &mut Context<'_, B, State>,
    received: std::result::Result<usize, Error>,
) {
    match received {
        Ok(1) => {
            state.arrived += 1;
            if state.arrived == state.count {
                cx.stop();
            }
        }
        Ok(_) => cx.fail(std::io::Error::other("not what was sent")),
        Err(error) => cx.fail(error),
    }
}
