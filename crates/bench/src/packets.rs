//! Datagrams in one direction, for the pummel: which is next, and which have arrived. So few are on their way at once
//! that none is lost, and they may arrive in any order.

use crate::measurement::Result;
use crate::sockets::{self, Message};

/// Datagrams that are on their way at once, for each pair of sockets.
pub(crate) const IN_FLIGHT: usize = 16;

/// The datagrams of a run.
#[derive(Debug)]
pub(crate) struct Packets {
    /// Each pair's own, but for the stamp.
    messages: Vec<Message>,
    to_send: u64,
    arrived: u64,
    count: u64,
    /// The stamps of those that have arrived, added up.
    stamps: u64,
}

impl Packets {
    /// `count` datagrams, none of them sent, for so many pairs.
    pub(crate) fn new(pairs: usize, count: u64) -> Self {
        let messages = (0..pairs).map(sockets::message).collect();
        Self { messages, to_send: count, arrived: 0, count, stamps: 0 }
    }

    /// What a pair's datagrams begin as.
    pub(crate) fn message(&self, pair: usize) -> Message {
        self.messages[pair]
    }

    /// Makes the next datagram of one that was; none if all are sent.
    #[inline]
    pub(crate) fn next(&mut self, message: &mut Message) -> Option<()> {
        if self.to_send == 0 {
            return None;
        }
        sockets::stamp(message, self.to_send);
        self.to_send -= 1;
        Some(())
    }

    /// Takes a datagram that has arrived at a pair's receiver.
    ///
    /// # Errors
    /// When it is not the pair's.
    #[inline]
    pub(crate) fn arrived(&mut self, pair: usize, message: &Message) -> Result<()> {
        let [stamp, ..] = message.as_chunks::<8>().0 else { return Err(sockets::incomplete(0)) };
        let stamp = u64::from_le_bytes(*stamp);
        let expected = &mut self.messages[pair];
        sockets::stamp(expected, stamp);
        if !sockets::same(message, expected) {
            return Err("a datagram came changed, or to another".into());
        }
        self.arrived += 1;
        self.stamps = self.stamps.wrapping_add(stamp);
        Ok(())
    }

    /// Whether all have arrived.
    #[inline]
    pub(crate) fn are_over(&self) -> bool {
        self.arrived == self.count
    }

    /// Checks that each has arrived once.
    ///
    /// # Errors
    /// When one is missing, or has come twice in the place of another.
    pub(crate) fn check(&self) -> Result<()> {
        let all = u128::from(self.count) * (u128::from(self.count) + 1) / 2;
        if self.are_over() && self.stamps == all as u64 {
            Ok(())
        } else {
            Err("a datagram is missing".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_to_arrive_once_in_whatever_order() {
        let mut packets = Packets::new(2, 3);
        let mut sent = Vec::new();
        for pair in [0, 1, 0] {
            let mut message = packets.message(pair);
            packets.next(&mut message).expect("one is left");
            sent.push((pair, message));
        }
        assert_eq!(packets.next(&mut packets.message(0).clone()), None);
        packets.arrived(1, &sent[0].1).expect_err("it was for the other");
        for (pair, message) in sent.iter().rev() {
            packets.check().expect_err("not all are there");
            packets.arrived(*pair, message).expect("its own");
        }
        packets.check().expect("all are there");
    }

    #[test]
    fn one_that_came_twice_stands_for_no_other() {
        let mut packets = Packets::new(1, 2);
        let mut message = packets.message(0);
        packets.next(&mut message).expect("one is left");
        packets.arrived(0, &message).expect("once");
        packets.arrived(0, &message).expect("and again");
        assert!(packets.are_over());
        packets.check().expect_err("the other has not come");
    }
}
