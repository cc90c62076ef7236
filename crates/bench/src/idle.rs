//! Connections on which nothing happens: made before anything is measured, so that what an idle one takes is what the
//! loop keeps for it.

use std::io::Write as _;
use std::net::TcpStream;

use crate::allocations;
use crate::measurement::{Figures, HEAP_PER_CONNECTION, RSS_PER_CONNECTION, Result};
use crate::sockets;

/// Connections whose other ends are at rest.
#[derive(Debug)]
pub(crate) struct Idle {
    /// The ends that are silent until [`Idle::speak`].
    peers: Vec<TcpStream>,
    memory: [Memory; 2],
    /// How many had their receives when the memory was looked at first.
    few: usize,
}

/// What the process has.
#[derive(Debug, Clone, Copy, Default)]
struct Memory {
    heap: u64,
    resident: u64,
}

impl Idle {
    /// So many connections, and the ends that are to receive.
    ///
    /// # Errors
    /// What the system answers, or that it allows too few descriptors.
    pub(crate) fn open(count: usize) -> Result<(Self, Vec<TcpStream>)> {
        let (mut peers, mut ends) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for pair in sockets::connect(count)? {
            peers.push(pair.client);
            ends.push(pair.server);
        }
        Ok((Self { peers, memory: [Memory::default(); 2], few: count / 9 }, ends))
    }

    /// After how many receives the memory is looked at first: of 9,000 it is 1,000.
    pub(crate) fn few(&self) -> usize {
        self.few
    }

    /// Looks at the memory when `few` connections have their receives, and when all have.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(crate) fn look(&mut self, few: bool) -> Result<()> {
        self.memory[usize::from(!few)] =
            Memory { heap: allocations::live_bytes(), resident: resident_bytes()? };
        Ok(())
    }

    /// Sends a byte over each connection.
    ///
    /// # Errors
    /// What the system answers.
    pub(crate) fn speak(&mut self) -> Result<()> {
        for peer in &mut self.peers {
            peer.write_all(&[1])?;
        }
        Ok(())
    }

    /// Adds what each connection between the two looks took.
    pub(crate) fn tell(&self, figures: Figures) -> Figures {
        let [few, all] = self.memory;
        let connections = (self.peers.len() - self.few).max(1) as f64;
        let slope = |few: u64, all: u64| (all as f64 - few as f64) / connections;
        figures
            .with(HEAP_PER_CONNECTION, slope(few.heap, all.heap))
            .with(RSS_PER_CONNECTION, slope(few.resident, all.resident))
    }
}

/// The part of the process that is in memory.
fn resident_bytes() -> Result<u64> {
    let sizes = std::fs::read_to_string("/proc/self/statm")?;
    let pages = sizes.split_whitespace().nth(1).ok_or("the system does not tell how much is in memory")?;
    Ok(pages.parse::<u64>()? * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurement::Meter;

    #[test]
    fn what_lies_between_two_looks_is_told_by_connection() {
        let (mut idle, ends) = Idle::open(18).expect("connections over loopback");
        assert_eq!((ends.len(), idle.few()), (18, 2));
        idle.look(true).expect("the system tells");
        let kept = std::hint::black_box(vec![1_u8; 16 << 20]);
        idle.look(false).expect("the system tells");
        let figures = idle.tell(Meter::start().stop(18));
        for extra in [HEAP_PER_CONNECTION, RSS_PER_CONNECTION] {
            let bytes = figures.extra(extra).expect("it is told");
            // Other tests of this binary allocate and free at the same time.
            assert!((bytes / f64::from(1 << 20) - 1.0).abs() < 0.9, "{extra}: {bytes}");
        }
        drop(kept);
    }
}
