//! Datagrams in one direction on io_uring: as many receives are under way at one end as datagrams may be on their way to
//! it, and one enter serves all that a turn queued.

use rustix::fd::AsFd;

use super::packet_ring::{Packet, PacketRing};
use super::ring::Tag;
use crate::datagrams;
use crate::measurement::{Figures, Meter, Result};
use crate::packets::{IN_FLIGHT, Packets};
use crate::sockets::{self, MESSAGE_BYTES};

/// Sends `count` datagrams, shared by `pairs` pairs of sockets.
///
/// # Errors
/// What the system answers, or a datagram that came changed, cut or not at all.
pub(crate) fn run(pairs: usize, count: u64) -> Result<Figures> {
    let mut ring = PacketRing::open(u32::try_from(2 * IN_FLIGHT * pairs)?.next_power_of_two())?;
    let mut packets = Packets::new(pairs, count);
    let sockets = datagrams::pairs(pairs)?;
    // What a pair may send, and is not sending; a receiver's are all the kernel's.
    let mut idle: Vec<Vec<Packet>> = Vec::with_capacity(pairs);
    for (pair, sockets) in sockets.iter().enumerate() {
        let leak = || Packet::leak(pair, sockets.address);
        idle.push((0..IN_FLIGHT).map(|_| leak()).collect());
        for packet in &mut idle[pair] {
            *packet.message_mut() = packets.message(pair);
        }
        (0..IN_FLIGHT).for_each(|_| ring.receive(sockets.server.as_fd(), leak()));
    }
    let mut credit = vec![IN_FLIGHT; pairs];

    let meter = Meter::start();
    for pair in 0..pairs {
        send(&mut ring, &mut packets, &sockets[pair], &mut idle[pair], &mut credit[pair]);
    }
    while !packets.are_over() {
        ring.enter()?;
        while let Some((packet, tag, moved)) = ring.next_packet() {
            if moved != MESSAGE_BYTES as i32 || (tag == Tag::Receive && packet.is_cut()) {
                return Err(sockets::incomplete_code(moved));
            }
            let pair = packet.index();
            if tag == Tag::Send {
                idle[pair].push(packet);
            } else {
                packets.arrived(pair, packet.message())?;
                ring.receive(sockets[pair].server.as_fd(), packet);
                credit[pair] += 1;
            }
            send(&mut ring, &mut packets, &sockets[pair], &mut idle[pair], &mut credit[pair]);
        }
    }
    packets.check()?;
    Ok(meter.stop(count))
}

/// Sends what may be sent.
#[inline(always)]
fn send(
    ring: &mut PacketRing,
    packets: &mut Packets,
    sockets: &datagrams::Pair,
    idle: &mut Vec<Packet>,
    credit: &mut usize,
) {
    while *credit > 0
        && let Some(mut packet) = idle.pop()
    {
        if packets.next(packet.message_mut()).is_none() {
            *credit = 0;
            return idle.push(packet);
        }
        *credit -= 1;
        ring.send(sockets.client.as_fd(), packet);
    }
}
