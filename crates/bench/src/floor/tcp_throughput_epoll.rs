//! Bytes in bulk over TCP on epoll: a send and a receive in turn, so that what is sent is still in the cache when it is
//! received; a wait only when neither can go on.

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::{Errno, read, write};

use crate::bulk::{self, BLOCK_BYTES, Marks};
use crate::measurement::{Figures, Meter, Result};

const SENDER: u64 = 0;
const RECEIVER: u64 = 1;

/// Moves `count` blocks.
///
/// # Errors
/// What the system answers, or bytes that came changed.
pub(crate) fn run(count: u64) -> Result<Figures> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let (sender, receiver) = bulk::connection()?;
    for (stream, name, edges) in [(&sender, SENDER, EventFlags::OUT), (&receiver, RECEIVER, EventFlags::IN)] {
        stream.set_nonblocking(true)?;
        epoll::add(&epoll, stream, EventData::new_u64(name), edges | EventFlags::ET)?;
    }
    let total = count * BLOCK_BYTES as u64;
    let (mut outgoing, mut incoming) = (vec![0; BLOCK_BYTES], vec![0; BLOCK_BYTES]);
    let (mut sent, mut received) = (Marks::default(), Marks::default());
    let mut events = Vec::with_capacity(2);

    let meter = Meter::start();
    let (mut has_room, mut has_bytes) = (true, true);
    let mut at = BLOCK_BYTES;
    while received.position() < total {
        if at == BLOCK_BYTES && sent.position() < total {
            sent.write(&mut outgoing);
            at = 0;
        }
        if has_room && at < BLOCK_BYTES {
            match write(&sender, &outgoing[at..]) {
                Ok(moved) => at += moved,
                Err(Errno::AGAIN) => has_room = false,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if has_bytes {
            match read(&receiver, &mut incoming[..]) {
                Ok(0) => return Err("the connection has ended".into()),
                Ok(moved) => {
                    received.check(&incoming[..moved])?;
                    // Less than was asked for: nothing is left, and what comes brings an edge.
                    has_bytes = moved == BLOCK_BYTES;
                }
                Err(Errno::AGAIN) => has_bytes = false,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let can_send = has_room && (at < BLOCK_BYTES || sent.position() < total);
        if can_send || has_bytes || received.position() == total {
            continue;
        }
        events.clear();
        match epoll::wait(&epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            match event.data.u64() {
                SENDER => has_room = true,
                _ => has_bytes = true,
            }
        }
    }
    Ok(meter.stop(count))
}
