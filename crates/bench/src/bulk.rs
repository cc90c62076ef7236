//! Bytes in bulk over one connection, for the throughput workload: blocks that are marked so that what arrives can be
//! checked without reading all of it, which would take as long as moving it.

use std::net::TcpStream;

use crate::measurement::Result;
use crate::sockets;

pub(crate) use crate::workload::BLOCK_BYTES;

/// A mark each so many bytes: a page's worth.
const STRIDE: usize = 4096;

/// One block.
pub(crate) type BulkBlock = [u8; BLOCK_BYTES];

/// The marks of the stream, as they are written and as they arrive.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// Bytes of the stream so far.
    position: u64,
}

impl Marks {
    /// Marks the next block of the stream.
    pub(crate) fn write(&mut self, block: &mut [u8]) {
        for page in block.chunks_exact_mut(STRIDE) {
            page[..8].copy_from_slice(&self.position.to_le_bytes());
            self.position += STRIDE as u64;
        }
    }

    /// Checks what arrived next, in pieces of any size: each mark that is whole within one.
    ///
    /// # Errors
    /// A mark that is not where and what it should be.
    pub(crate) fn check(&mut self, arrived: &[u8]) -> Result<()> {
        let into = (self.position % STRIDE as u64) as usize;
        let mut at = (STRIDE - into) % STRIDE;
        while let Some(mark) = arrived.get(at..).and_then(|rest| rest.first_chunk()) {
            if u64::from_le_bytes(*mark) != self.position + at as u64 {
                return Err(changed());
            }
            at += STRIDE;
        }
        self.position += arrived.len() as u64;
        Ok(())
    }

    /// Bytes of the stream so far.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }
}

#[cold]
fn changed() -> Box<dyn std::error::Error + Send + Sync> {
    "bytes came changed or out of order".into()
}

/// The sending and the receiving end of a connection over loopback.
///
/// # Errors
/// Whatever the system answers.
pub(crate) fn connection() -> Result<(TcpStream, TcpStream)> {
    let ends = sockets::connect(1)?.pop().ok_or("one connection was asked for")?;
    Ok((ends.client, ends.server))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_marked_is_checked_whatever_the_pieces() {
        let mut block = vec![0; BLOCK_BYTES];
        for piece in [BLOCK_BYTES, 4096, 4095, 10_000, 8, 3] {
            let (mut written, mut read) = (Marks::default(), Marks::default());
            for _ in 0..2 {
                written.write(&mut block);
                block.chunks(piece).for_each(|arrived| read.check(arrived).expect("nothing has changed"));
            }
            assert_eq!(read.position(), written.position());
        }
    }

    #[test]
    fn a_block_that_is_missing_twice_or_changed_is_noticed() {
        let (mut block, mut written) = (vec![0; BLOCK_BYTES], Marks::default());
        written.write(&mut block);
        let mut read = Marks::default();
        read.check(&block).expect("the first one");
        assert!(read.check(&block).is_err(), "it came twice");
        let first = block.clone();
        written.write(&mut block);
        written.write(&mut block);
        let mut read = Marks::default();
        read.check(&first).expect("the first one");
        assert!(read.check(&block).is_err(), "the second is missing");
        let mut changed = first;
        changed[BLOCK_BYTES - STRIDE] ^= 1;
        assert!(Marks::default().check(&changed).is_err());
    }
}
