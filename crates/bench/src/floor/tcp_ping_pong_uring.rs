//! Ping-pong over TCP on io_uring: one-shot operations, one per end in flight, one enter for all that a turn queued.

use rustix::fd::AsFd;

use super::ring::{Block, Ring, Tag};
use crate::measurement::{Figures, Meter, Result};
use crate::sockets::{self, MESSAGE_BYTES, Message};

/// Runs `count` round trips, shared by `connections` connections.
///
/// # Errors
/// What the system answers, or a message that came back changed or in pieces.
pub(crate) fn run(connections: usize, count: u64) -> Result<Figures> {
    // Each end has one operation at a time, and what a turn completes it queues anew.
    let mut ring: Ring = Ring::open(u32::try_from(2 * connections)?.next_power_of_two())?;
    // Even indices are clients, the odd one after each is its server.
    let mut streams = Vec::with_capacity(2 * connections);
    for pair in sockets::connect(connections)? {
        streams.extend([pair.client, pair.server]);
    }
    let mut messages: Vec<Message> = (0..streams.len()).map(sockets::message).collect();
    let mut blocks: Vec<Block> = (0..streams.len()).rev().map(Block::leak).collect();

    let meter = Meter::start();
    let mut to_start = count;
    let mut in_flight = 0;
    while let Some(mut block) = blocks.pop() {
        let index = block.index();
        let socket = streams[index].as_fd();
        if index % 2 == 1 {
            ring.receive(socket, block);
        } else if to_start > 0 {
            sockets::stamp(&mut messages[index], to_start);
            *block.message_mut() = messages[index];
            ring.send(socket, block);
            to_start -= 1;
            in_flight += 1;
        }
    }
    while in_flight > 0 {
        ring.enter()?;
        while let Some((mut block, tag, moved)) = ring.next_block() {
            if moved != MESSAGE_BYTES as i32 {
                return Err(sockets::incomplete_code(moved));
            }
            let index = block.index();
            let socket = streams[index].as_fd();
            if tag == Tag::Send {
                ring.receive(socket, block);
                continue;
            }
            if index % 2 == 1 {
                ring.send(socket, block);
                continue;
            }
            let message = &mut messages[index];
            if !sockets::same(block.message(), message) {
                return Err("a message came back changed".into());
            }
            if to_start > 0 {
                sockets::stamp(message, to_start);
                // What came back is what was sent, so that only the stamp is new.
                sockets::stamp(block.message_mut(), to_start);
                ring.send(socket, block);
                to_start -= 1;
            } else {
                in_flight -= 1;
            }
        }
    }
    Ok(meter.stop(count))
}
