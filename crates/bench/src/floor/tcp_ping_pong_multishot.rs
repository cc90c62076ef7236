//! Ping-pong over TCP on io_uring: one receive per end for all its messages, into buffers that the kernel takes from a
//! ring; what arrived is sent from where it lies.

use rustix::fd::AsFd;
use rustix::io::Errno;

use super::buffer_ring::{BufferRing, Event};
use crate::measurement::{Figures, Meter, Result};
use crate::sockets::{self, MESSAGE_BYTES, Message};

/// Runs `count` round trips, shared by `connections` connections.
///
/// # Errors
/// What the system answers, or a message that came back changed or in pieces.
pub(crate) fn run(connections: usize, count: u64) -> Result<Figures> {
    // A connection's message is in one buffer while it is sent, and arrives in another: half of them are the kernel's.
    // As many as a ring takes at most; a receive that finds none is begun again.
    let entries = (4 * connections).next_power_of_two().min(1 << 15);
    let (mut ring, mut buffers) = BufferRing::open(u16::try_from(entries)?)?;
    // Even indices are clients, the odd one after each is its server.
    let mut streams = Vec::with_capacity(2 * connections);
    for pair in sockets::connect(connections)? {
        streams.extend([pair.client, pair.server]);
    }
    let mut messages: Vec<Message> = (0..streams.len()).map(sockets::message).collect();
    buffers.drain(connections..).for_each(|buffer| ring.give(buffer));

    let meter = Meter::start();
    let mut to_start = count;
    let mut in_flight = 0;
    for (end, stream) in streams.iter().enumerate() {
        ring.receive(stream.as_fd(), end as u32);
        if end % 2 == 0
            && to_start > 0
            && let Some(mut buffer) = buffers.pop()
        {
            sockets::stamp(&mut messages[end], to_start);
            *buffer.message_mut() = messages[end];
            ring.send(stream.as_fd(), buffer);
            to_start -= 1;
            in_flight += 1;
        }
    }
    while in_flight > 0 {
        ring.enter()?;
        while let Some(event) = ring.next() {
            let (end, mut buffer) = match event {
                Event::Received { end, buffer, bytes: MESSAGE_BYTES, armed } => {
                    if !armed {
                        ring.receive(streams[end].as_fd(), end as u32);
                    }
                    (end, buffer)
                }
                Event::Sent { buffer, result } if result == MESSAGE_BYTES as i32 => {
                    ring.give(buffer);
                    continue;
                }
                Event::Received { bytes, .. } => return Err(sockets::incomplete(bytes)),
                Event::Sent { result, .. } => return Err(sockets::incomplete_code(result)),
                Event::Failed { end, result } if out_of_buffers(result) => {
                    ring.receive(streams[end].as_fd(), end as u32);
                    continue;
                }
                Event::Failed { result, .. } => return Err(sockets::incomplete_code(result)),
            };
            if end % 2 == 0 {
                let message = &mut messages[end];
                if !sockets::same(buffer.message(), message) {
                    return Err("a message came back changed".into());
                }
                if to_start == 0 {
                    in_flight -= 1;
                    ring.give(buffer);
                    continue;
                }
                sockets::stamp(message, to_start);
                // What came back is what was sent, so that only the stamp is new.
                sockets::stamp(buffer.message_mut(), to_start);
                to_start -= 1;
            }
            ring.send(streams[end].as_fd(), buffer);
        }
    }
    Ok(meter.stop(count))
}

/// Whether a receive ended for want of a buffer; the next completions return some.
fn out_of_buffers(result: i32) -> bool {
    -result == Errno::NOBUFS.raw_os_error()
}
