//! Ping-pong over UDP on io_uring: one-shot operations, one per end in flight, one enter for all that a turn queued.

use rustix::fd::AsFd;

use super::packet_ring::{Packet, PacketRing};
use super::ring::Tag;
use crate::datagrams;
use crate::measurement::{Figures, Meter, Result};
use crate::sockets::{self, MESSAGE_BYTES, Message};

/// Runs `count` round trips, shared by `pairs` pairs of sockets.
///
/// # Errors
/// What the system answers, or a message that came back changed or cut.
pub(crate) fn run(pairs: usize, count: u64) -> Result<Figures> {
    // Each end has one operation at a time, and what a turn completes it queues anew.
    let mut ring = PacketRing::open(u32::try_from(2 * pairs)?.next_power_of_two())?;
    // Even indices are clients, the odd one after each is its server.
    let (mut sockets, mut packets) = (Vec::with_capacity(2 * pairs), Vec::with_capacity(2 * pairs));
    for pair in datagrams::pairs(pairs)? {
        for socket in [pair.client, pair.server] {
            packets.push(Packet::leak(sockets.len(), pair.address));
            sockets.push(socket);
        }
    }
    let mut messages: Vec<Message> = (0..sockets.len()).map(sockets::message).collect();

    let meter = Meter::start();
    let mut to_start = count;
    let mut in_flight = 0;
    for mut packet in packets {
        let index = packet.index();
        let socket = sockets[index].as_fd();
        if index % 2 == 1 {
            ring.receive(socket, packet);
        } else if to_start > 0 {
            sockets::stamp(&mut messages[index], to_start);
            *packet.message_mut() = messages[index];
            ring.send(socket, packet);
            to_start -= 1;
            in_flight += 1;
        }
    }
    while in_flight > 0 {
        ring.enter()?;
        while let Some((mut packet, tag, moved)) = ring.next_packet() {
            if moved != MESSAGE_BYTES as i32 || (tag == Tag::Receive && packet.is_cut()) {
                return Err(sockets::incomplete_code(moved));
            }
            let index = packet.index();
            let socket = sockets[index].as_fd();
            if tag == Tag::Send {
                ring.receive(socket, packet);
                continue;
            }
            if index % 2 == 1 {
                ring.send(socket, packet);
                continue;
            }
            let message = &mut messages[index];
            if !sockets::same(packet.message(), message) {
                return Err("a message came back changed".into());
            }
            if to_start > 0 {
                sockets::stamp(message, to_start);
                // What came back is what was sent, so that only the stamp is new.
                sockets::stamp(packet.message_mut(), to_start);
                ring.send(socket, packet);
                to_start -= 1;
            } else {
                in_flight -= 1;
            }
        }
    }
    Ok(meter.stop(count))
}
