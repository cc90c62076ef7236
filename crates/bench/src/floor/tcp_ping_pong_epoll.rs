//! Ping-pong over TCP on epoll: registered once, edge-triggered, and no read just to see "would block".
//!
//! Leaving that read out is right here: an end only ever has one message on its way to it, so after a whole message
//! nothing more can have arrived.

use std::error::Error;
use std::net::TcpStream;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, read, write};

use crate::measurement::{Figures, Meter, Result};
use crate::sockets::{self, MESSAGE_BYTES, Message};

/// Events taken from the kernel at once.
const BATCH: usize = 1024;

/// Runs `count` round trips, shared by `connections` connections.
///
/// # Errors
/// What the system answers, or a message that came back changed or in pieces.
pub(crate) fn run(connections: usize, count: u64) -> Result<Figures> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    // Even indices are clients, the odd one after each is its server.
    let streams = register(&epoll, connections)?;
    // What each client sent last; those of servers are not used, which saves halving the index.
    let mut messages: Vec<Message> = (0..streams.len()).map(sockets::message).collect();
    let mut events = Vec::with_capacity(BATCH);
    let mut received = [0; MESSAGE_BYTES];

    let meter = Meter::start();
    let mut to_start = count;
    let mut in_flight = 0;
    for (stream, message) in streams.iter().zip(&mut messages).step_by(2) {
        if to_start > 0 {
            start(stream.as_fd(), message, to_start)?;
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
            let stream = streams[index].as_fd();
            receive(stream, &mut received)?;
            if index % 2 == 1 {
                match write(stream, &received) {
                    Ok(MESSAGE_BYTES) => continue,
                    Ok(moved) => return Err(sockets::incomplete(moved)),
                    Err(error) => return Err(failed(error)),
                }
            }
            let message = &mut messages[index];
            if !sockets::same(&received, message) {
                return Err("a message came back changed".into());
            }
            if to_start > 0 {
                start(stream, message, to_start)?;
                to_start -= 1;
            } else {
                in_flight -= 1;
            }
        }
    }
    Ok(meter.stop(count))
}

fn register(epoll: &OwnedFd, connections: usize) -> Result<Vec<TcpStream>> {
    let mut streams = Vec::with_capacity(2 * connections);
    for pair in sockets::connect(connections)? {
        for stream in [pair.client, pair.server] {
            stream.set_nonblocking(true)?;
            let data = EventData::new_u64(streams.len() as u64);
            epoll::add(epoll, &stream, data, EventFlags::IN | EventFlags::ET)?;
            streams.push(stream);
        }
    }
    Ok(streams)
}

/// Sends the message of the round trip with this number.
#[inline(always)]
fn start(stream: BorrowedFd<'_>, message: &mut Message, trip: u64) -> Result<()> {
    sockets::stamp(message, trip);
    transmit(stream, message)
}

#[inline(always)]
fn transmit(stream: BorrowedFd<'_>, message: &Message) -> Result<()> {
    match write(stream, message) {
        Ok(MESSAGE_BYTES) => Ok(()),
        Ok(moved) => Err(sockets::incomplete(moved)),
        Err(error) => Err(failed(error)),
    }
}

#[inline(always)]
fn receive(stream: BorrowedFd<'_>, message: &mut Message) -> Result<()> {
    match read(stream, message) {
        Ok(MESSAGE_BYTES) => Ok(()),
        Ok(moved) => Err(sockets::incomplete(moved)),
        Err(error) => Err(failed(error)),
    }
}

#[cold]
#[inline(never)]
fn failed(error: Errno) -> Box<dyn Error + Send + Sync> {
    error.into()
}
