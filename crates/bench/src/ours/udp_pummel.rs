//! Datagrams in one direction: several receives queued at one end, and a send from the other for each that has arrived.

use std::io;
use std::net::SocketAddr;

use proactor_core::{
    Action, Backend, Buffer, Config, Context, Error, Handle, Loop, Peer, ReceivedFrom, RecvFrom, RunMode,
    SendTo,
};

use crate::datagrams;
use crate::measurement::{Figures, Meter, Result};
use crate::packets::{IN_FLIGHT, Packets};
use crate::sockets::{self, MESSAGE_BYTES};

struct State {
    packets: Packets,
    senders: Vec<Sender>,
    failure: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The sending end of a pair.
struct Sender {
    handle: Handle,
    /// What goes round there, and is not being sent.
    idle: Vec<(Buffer, Peer)>,
    /// How many may be sent before another has arrived.
    credit: usize,
}

/// Sends `count` datagrams, shared by `pairs` pairs of sockets.
///
/// # Errors
/// What the loop answers, or a datagram that came changed, cut or not at all.
pub(crate) fn run<B: Backend>(pairs: usize, count: u64) -> Result<Figures> {
    let mut ev = Loop::<B, State>::open(Config::default())?;
    let mut cx = ev.context();
    let packets = Packets::new(pairs, count);
    let mut state = State { packets, senders: Vec::with_capacity(pairs), failure: None };
    for (pair, sockets) in datagrams::pairs(pairs)?.into_iter().enumerate() {
        let receiver = cx.attach(sockets.server).map_err(|refused| refused.error)?;
        for _ in 0..IN_FLIGHT {
            receive(&mut cx, pair, receiver);
        }
        let handle = cx.attach(sockets.client).map_err(|refused| refused.error)?;
        let peer = || SocketAddr::V4(sockets.address).into();
        let message = state.packets.message(pair).to_vec();
        let idle = (0..IN_FLIGHT).map(|_| (Buffer::from(message.clone()), peer())).collect();
        state.senders.push(Sender { handle, idle, credit: IN_FLIGHT });
    }

    let meter = Meter::start();
    for pair in 0..pairs {
        state.send(&mut cx, pair)?;
    }
    if !state.packets.are_over() {
        ev.run(&mut state, RunMode::UntilDone)?;
    }
    if let Some(failure) = state.failure {
        return Err(failure);
    }
    state.packets.check()?;
    Ok(meter.stop(count))
}

/// Receives, again and again.
fn receive<B: Backend>(cx: &mut Context<'_, B, State>, pair: usize, handle: Handle) {
    let operation = RecvFrom { handle, buffer: Buffer::zeroed(MESSAGE_BYTES), peer: Peer::default() };
    cx.submit_rearm(operation, move |state: &mut State, cx, received| {
        if let Err(error) = state.received(cx, pair, &received) {
            state.failure = Some(error);
            cx.stop();
            return Action::Disarm;
        }
        if state.packets.are_over() {
            cx.stop();
        }
        let ReceivedFrom { handle, buffer, peer, .. } = received;
        Action::Rearm(RecvFrom { handle, buffer, peer })
    });
}

impl State {
    fn received<B: Backend>(
        &mut self,
        cx: &mut Context<'_, B, Self>,
        pair: usize,
        received: &ReceivedFrom,
    ) -> Result<()> {
        let datagram = received.result?;
        match received.buffer.first_chunk() {
            Some(message) if datagram.len() == MESSAGE_BYTES && !datagram.is_truncated() => {
                self.packets.arrived(pair, message)?;
            }
            _ => return Err(sockets::incomplete(datagram.len())),
        }
        self.senders[pair].credit += 1;
        Ok(self.send(cx, pair)?)
    }

    /// Sends what may be sent.
    fn send<B: Backend>(&mut self, cx: &mut Context<'_, B, Self>, pair: usize) -> io::Result<()> {
        let sender = &mut self.senders[pair];
        while sender.credit > 0
            && let Some((mut buffer, peer)) = sender.idle.pop()
        {
            let message = buffer.as_mut_slice()?.first_chunk_mut().ok_or(Error::InvalidInput)?;
            if self.packets.next(message).is_none() {
                sender.credit = 0;
                break;
            }
            sender.credit -= 1;
            let operation = SendTo { handle: sender.handle, buffer, peer };
            cx.submit(operation, move |state: &mut Self, cx, sent| {
                state.senders[pair].idle.push((sent.buffer, sent.peer));
                if let Err(error) = sent.result.map_err(Into::into).and_then(|()| state.send(cx, pair)) {
                    cx.fail(error);
                }
            });
        }
        Ok(())
    }
}
