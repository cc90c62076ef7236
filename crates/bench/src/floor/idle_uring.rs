//! Connections on which nothing happens, on io_uring: a receive waits on each, with its buffer.

use rustix::fd::AsFd;

use super::ring::{Block, Ring};
use crate::idle::Idle;
use crate::measurement::{Figures, Meter, Result};

/// Receives that are queued before the kernel is told of them.
const ENTRIES: usize = 1024;

/// Has receives wait on `count` connections; then a byte comes on each.
///
/// # Errors
/// What the system answers, or a byte that does not come.
pub(crate) fn run(count: u64) -> Result<Figures> {
    let mut ring = <Ring>::open(ENTRIES as u32)?;
    let count = usize::try_from(count)?;
    let (mut idle, ends) = Idle::open(count)?;

    let meter = Meter::start();
    for (index, end) in ends.iter().enumerate() {
        if index == idle.few() {
            ring.poll()?;
            idle.look(true)?;
        }
        ring.receive(end.as_fd(), Block::leak(index));
        if index % ENTRIES == ENTRIES - 1 {
            ring.poll()?;
        }
    }
    ring.poll()?;
    idle.look(false)?;
    let figures = meter.stop(count as u64);
    idle.speak()?;
    let mut arrived = 0;
    while arrived < count {
        ring.enter()?;
        while let Some((_, _, moved)) = ring.next_block() {
            match moved {
                1 => arrived += 1,
                _ => return Err("not what was sent".into()),
            }
        }
    }
    Ok(idle.tell(figures))
}
