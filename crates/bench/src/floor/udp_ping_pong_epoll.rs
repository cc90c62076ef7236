//! Ping-pong over UDP on epoll: registered once, edge-triggered, and no receive just to see "would block".
//!
//! Leaving that out is right here: an end only ever has one message on its way to it.

use std::net::{SocketAddrV4, UdpSocket};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketAddrAny, recvfrom, sendto};

use crate::datagrams;
use crate::measurement::{Figures, Meter, Result};
use crate::sockets::{self, MESSAGE_BYTES, Message};

/// Events taken from the kernel at once.
const BATCH: usize = 1024;

/// Runs `count` round trips, shared by `pairs` pairs of sockets.
///
/// # Errors
/// What the system answers, or a message that came back changed or cut.
pub(crate) fn run(pairs: usize, count: u64) -> Result<Figures> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    // Even indices are clients, the odd one after each is its server.
    let (sockets, addresses) = register(&epoll, pairs)?;
    let mut messages: Vec<Message> = (0..sockets.len()).map(sockets::message).collect();
    let mut events = Vec::with_capacity(BATCH);
    let mut received = [0; MESSAGE_BYTES];

    let meter = Meter::start();
    let mut to_start = count;
    let mut in_flight = 0;
    for (pair, address) in addresses.iter().enumerate() {
        if to_start > 0 {
            sockets::stamp(&mut messages[2 * pair], to_start);
            send(&sockets[2 * pair], &messages[2 * pair], &SocketAddrAny::from(*address))?;
            to_start -= 1;
            in_flight += 1;
        }
    }
    while in_flight > 0 {
        events.clear();
        match epoll::wait(&epoll, spare_capacity(&mut events), None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let index = event.data.u64() as usize;
            let socket = &sockets[index];
            let from = receive(socket, &mut received)?;
            if index % 2 == 1 {
                send(socket, &received, &from)?;
                continue;
            }
            let message = &mut messages[index];
            if !sockets::same(&received, message) {
                return Err("a message came back changed".into());
            }
            if to_start > 0 {
                sockets::stamp(message, to_start);
                send(socket, message, &from)?;
                to_start -= 1;
            } else {
                in_flight -= 1;
            }
        }
    }
    Ok(meter.stop(count))
}

fn register(epoll: &OwnedFd, pairs: usize) -> Result<(Vec<UdpSocket>, Vec<SocketAddrV4>)> {
    let (mut sockets, mut addresses) = (Vec::with_capacity(2 * pairs), Vec::with_capacity(pairs));
    for pair in datagrams::pairs(pairs)? {
        addresses.push(pair.address);
        for socket in [pair.client, pair.server] {
            socket.set_nonblocking(true)?;
            let data = EventData::new_u64(sockets.len() as u64);
            epoll::add(epoll, &socket, data, EventFlags::IN | EventFlags::ET)?;
            sockets.push(socket);
        }
    }
    Ok((sockets, addresses))
}

#[inline(always)]
fn send(socket: &UdpSocket, message: &Message, to: &SocketAddrAny) -> Result<()> {
    match sendto(socket, message, SendFlags::empty(), to)? {
        MESSAGE_BYTES => Ok(()),
        moved => Err(sockets::incomplete(moved)),
    }
}

/// Receives a message, which is told if it is longer than the room for it, and where it came from.
#[inline(always)]
fn receive(socket: &UdpSocket, message: &mut Message) -> Result<SocketAddrAny> {
    match recvfrom(socket, &mut message[..], RecvFlags::TRUNC)? {
        (_, MESSAGE_BYTES, Some(from)) => Ok(from),
        (_, moved, _) => Err(sockets::incomplete(moved)),
    }
}
