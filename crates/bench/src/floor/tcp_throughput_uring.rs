//! Bytes in bulk over TCP on io_uring: one send of everything and one receive in flight.

use rustix::fd::AsFd;

use super::ring::{Block, Ring, Tag};
use crate::bulk::{self, BLOCK_BYTES, BulkBlock, Marks};
use crate::measurement::{Figures, Meter, Result};
use crate::sockets;

/// Moves `count` blocks.
///
/// # Errors
/// What the system answers, or bytes that came changed.
pub(crate) fn run(count: u64) -> Result<Figures> {
    let mut ring: Ring<BLOCK_BYTES> = Ring::open(4)?;
    let (sender, receiver) = bulk::connection()?;
    let total = count * BLOCK_BYTES as u64;
    let (mut sent, mut received) = (Marks::default(), Marks::default());
    let mut outgoing = Block::<BulkBlock>::leak(0);
    let incoming = Block::<BulkBlock>::leak(1);

    let meter = Meter::start();
    if count > 0 {
        sent.write(outgoing.message_mut());
        ring.send(sender.as_fd(), outgoing);
        ring.receive(receiver.as_fd(), incoming);
    }
    while received.position() < total {
        ring.enter()?;
        while let Some((mut block, tag, moved)) = ring.next_block() {
            if tag == Tag::Send {
                if moved != BLOCK_BYTES as i32 {
                    return Err(sockets::incomplete_code(moved));
                }
                if sent.position() < total {
                    sent.write(block.message_mut());
                    ring.send(sender.as_fd(), block);
                }
                continue;
            }
            let arrived = usize::try_from(moved).unwrap_or(0);
            if arrived == 0 {
                return Err(sockets::incomplete_code(moved));
            }
            received.check(&block.message()[..arrived])?;
            if received.position() < total {
                ring.receive(receiver.as_fd(), block);
            }
        }
    }
    Ok(meter.stop(count))
}
