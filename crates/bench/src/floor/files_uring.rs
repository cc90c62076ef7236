//! Blocks of a file on io_uring: one enter for all that a turn queued.

use rustix::fd::AsFd;

use super::file_ring::{FileBlock, FileRing};
use crate::blocks::{self, BLOCK_BYTES, Blocks, DEPTH, Transfer};
use crate::measurement::{Figures, Meter, Result};

/// Moves `count` blocks.
///
/// # Errors
/// What the system answers, or a block that is not what was written.
pub(crate) fn run(transfer: Transfer, count: u64) -> Result<Figures> {
    let mut ring = FileRing::open(DEPTH as u32)?;
    let blocks = Blocks::make(transfer)?;
    let file = blocks.file.as_fd();
    let begin = |ring: &mut FileRing, mut block: FileBlock, number: u64| {
        if transfer.is_write {
            blocks::mark_written(block.bytes_mut(), number);
            ring.write(file, block, blocks::offset(number));
        } else {
            ring.read(file, block, blocks::offset(number));
        }
    };

    let free: Vec<FileBlock> = (0..DEPTH).map(|_| FileBlock::leak()).collect();
    let meter = Meter::start();
    let (mut started, mut ended) = (0, 0);
    for block in free {
        if started < count {
            begin(&mut ring, block, started);
            started += 1;
        }
    }
    while ended < count {
        ring.enter()?;
        while let Some((block, moved)) = ring.next_block() {
            if moved != BLOCK_BYTES as i32 {
                return Err(blocks::incomplete_code(moved));
            }
            if !transfer.is_write {
                blocks::check_read(block.bytes(), block.offset())?;
            }
            ended += 1;
            if started < count {
                begin(&mut ring, block, started);
                started += 1;
            }
        }
    }
    let figures = meter.stop(count);
    if transfer.is_write {
        blocks.check_written(count)?;
    }
    Ok(figures)
}
