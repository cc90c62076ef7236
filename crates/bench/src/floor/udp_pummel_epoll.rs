//! Datagrams in one direction on epoll: a receiver is read until it is empty, and for each that has arrived the next one
//! is sent.

use std::net::UdpSocket;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketAddrAny, recvfrom, sendto};

use crate::datagrams;
use crate::measurement::{Figures, Meter, Result};
use crate::packets::{IN_FLIGHT, Packets};
use crate::sockets::{self, MESSAGE_BYTES, Message};

/// Events taken from the kernel at once.
const BATCH: usize = 1024;

/// A pair of sockets.
struct Ends {
    sender: UdpSocket,
    receiver: UdpSocket,
    address: SocketAddrAny,
    message: Message,
}

/// Sends `count` datagrams, shared by `pairs` pairs of sockets.
///
/// # Errors
/// What the system answers, or a datagram that came changed, cut or not at all.
pub(crate) fn run(pairs: usize, count: u64) -> Result<Figures> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut packets = Packets::new(pairs, count);
    let mut ends = Vec::with_capacity(pairs);
    for (pair, sockets) in datagrams::pairs(pairs)?.into_iter().enumerate() {
        let (sender, receiver) = (sockets.client, sockets.server);
        sender.set_nonblocking(true)?;
        receiver.set_nonblocking(true)?;
        epoll::add(&epoll, &receiver, EventData::new_u64(pair as u64), EventFlags::IN | EventFlags::ET)?;
        ends.push(Ends { sender, receiver, address: sockets.address.into(), message: packets.message(pair) });
    }
    let mut events = Vec::with_capacity(BATCH);
    let mut received = [0; MESSAGE_BYTES];

    let meter = Meter::start();
    for ends in &mut ends {
        for _ in 0..IN_FLIGHT {
            ends.send(&mut packets)?;
        }
    }
    while !packets.are_over() {
        events.clear();
        match epoll::wait(&epoll, spare_capacity(&mut events), None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let pair = event.data.u64() as usize;
            let ends = &mut ends[pair];
            while ends.receive(&mut received)? {
                packets.arrived(pair, &received)?;
                ends.send(&mut packets)?;
            }
        }
    }
    packets.check()?;
    Ok(meter.stop(count))
}

impl Ends {
    #[inline(always)]
    fn send(&mut self, packets: &mut Packets) -> Result<()> {
        if packets.next(&mut self.message).is_none() {
            return Ok(());
        }
        match sendto(&self.sender, &self.message, SendFlags::empty(), &self.address)? {
            MESSAGE_BYTES => Ok(()),
            moved => Err(sockets::incomplete(moved)),
        }
    }

    /// Whether there was one.
    #[inline(always)]
    fn receive(&self, message: &mut Message) -> Result<bool> {
        loop {
            return match recvfrom(&self.receiver, &mut message[..], RecvFlags::TRUNC) {
                Ok((_, MESSAGE_BYTES, Some(_))) => Ok(true),
                Ok((_, moved, _)) => Err(sockets::incomplete(moved)),
                Err(Errno::AGAIN) => Ok(false),
                Err(Errno::INTR) => continue,
                Err(error) => Err(error.into()),
            };
        }
    }
}
