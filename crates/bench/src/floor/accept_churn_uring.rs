//! Connections that come and go, on io_uring: one accept for all, and per connection two chains of linked operations.

use rustix::fd::AsFd;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::churn_ring::{ByteBlock, ChurnRing, Event};
use crate::churn::{self, Churn};
use crate::measurement::{Figures, Meter, Result};
use crate::sockets;

/// Entries of one connection: connect, send, close; receive, close.
const ENTRIES_PER_CONNECTION: usize = 5;

/// Makes `count` connections, at most `parallel` at a time.
///
/// # Errors
/// What the system answers, or a byte that came changed.
pub(crate) fn run(parallel: usize, count: u64) -> Result<Figures> {
    let (listener, address) = churn::listener()?;
    let entries = (parallel * ENTRIES_PER_CONNECTION + 1).next_power_of_two();
    let mut ring = ChurnRing::open(u32::try_from(entries)?, address)?;
    let mut blocks: Vec<ByteBlock> = (0..2 * parallel).map(ByteBlock::leak).collect();
    let mut churn = Churn::new(count);

    let meter = Meter::start();
    ring.accept(listener.as_fd())?;
    for _ in 0..parallel {
        connect(&mut ring, &mut churn, &mut blocks)?;
    }
    while !churn.is_over() {
        ring.enter()?;
        while let Some(event) = ring.next()? {
            match event {
                Event::Accepted(server) => ring.receive_close(server, block(&mut blocks))?,
                Event::Sent(block, 1) => blocks.push(block),
                Event::Received(block, 1) => {
                    churn.arrived(block.message()[0]);
                    blocks.push(block);
                    connect(&mut ring, &mut churn, &mut blocks)?;
                }
                Event::Sent(_, result) | Event::Received(_, result) => {
                    return Err(sockets::incomplete_code(result));
                }
                Event::AcceptEnded => ring.accept(listener.as_fd())?,
            }
        }
    }
    churn.check()?;
    Ok(meter.stop(count))
}

fn connect(ring: &mut ChurnRing, churn: &mut Churn, blocks: &mut Vec<ByteBlock>) -> Result<()> {
    let Some(byte) = churn.start() else { return Ok(()) };
    let client = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let mut block = block(blocks);
    block.message_mut()[0] = byte;
    ring.connect_send_close(client, block)
}

/// A block that the kernel does not have. A send's may come back after its byte has arrived, so one more may be needed.
fn block(blocks: &mut Vec<ByteBlock>) -> ByteBlock {
    blocks.pop().unwrap_or_else(|| ByteBlock::leak(0))
}
