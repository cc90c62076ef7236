//! The floors: by hand on `poll_oneoff` and the calls beside it, compiled as ours are.

#[path = "../floor/timers.rs"]
mod timers;
#[path = "../floor/wake.rs"]
mod wake;
#[path = "../floor/wheel.rs"]
mod wheel;

use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::Poll;
use std::time::{Duration, Instant};

use proactor_system::{Happened, Mode, Subscription, poll_oneoff, set_mode};

use self::wake::Sleep;
use crate::blocks::{self, BLOCK_BYTES, Block, Blocks, Transfer};
use crate::measurement::{self, Figures, Meter, Result};
use crate::sockets::{self, MESSAGE_BYTES, Message};
use crate::workload::{Family, Workload};

/// Runs a floor for `count` operations.
///
/// # Errors
/// What the system answers, or what the floor's check of itself found.
pub(crate) fn run(workload: Workload, count: u64) -> Result<Figures> {
    match workload.family {
        Family::TcpPingPong => ping_pong(workload.parameter as usize, count),
        Family::TimersInsertFire => timers::insert_and_fire::<Clock>(count),
        Family::TimersInsertCancel => timers::insert_and_cancel(count),
        family => match family.transfer() {
            Some(transfer) if !transfer.is_direct => files(transfer, count),
            _ => Err(format!("{workload} is nothing for WASI").into()),
        },
    }
}

/// Sleeps by the clock: there is nobody who could wake it.
struct Clock;

impl Sleep for Clock {
    type Address = ();

    fn open() -> Result<Self> {
        Ok(Self)
    }

    fn address(&self) {}

    fn wake(&mut self, (): &()) -> Result<()> {
        Ok(())
    }

    fn wait(&mut self) -> Result<()> {
        Err("nobody could end that".into())
    }

    fn wait_for(&mut self, limit: Duration) -> Result<()> {
        let begin = Instant::now();
        poll_oneoff(&[Subscription::after(0, limit)], &mut [Happened::NOTHING])?;
        measurement::slept(begin.elapsed());
        Ok(())
    }

    fn look(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Files do not wait: one block after the other.
fn files(transfer: Transfer, count: u64) -> Result<Figures> {
    let blocks = Blocks::make(transfer)?;
    let mut block = Box::new(Block([0; BLOCK_BYTES]));
    let meter = Meter::start();
    for number in 0..count {
        let offset = blocks::offset(number);
        let moved = if transfer.is_write {
            blocks::mark_written(&mut block.0, number);
            rustix::io::pwrite(&blocks.file, &block.0, offset)?
        } else {
            rustix::io::pread(&blocks.file, &mut block.0, offset)?
        };
        if moved != BLOCK_BYTES {
            return Err(blocks::incomplete(moved));
        }
        if !transfer.is_write {
            blocks::check_read(&block.0, offset)?;
        }
    }
    let figures = meter.stop(count);
    if transfer.is_write {
        blocks.check_written(count)?;
    }
    Ok(figures)
}

/// Every end is in the list all the time: each always waits for its next message.
fn ping_pong(connections: usize, count: u64) -> Result<Figures> {
    // Even indices are clients, the odd one after each is its server.
    let mut streams: Vec<TcpStream> = Vec::with_capacity(2 * connections);
    for pair in sockets::connect(connections)? {
        for stream in [pair.client, pair.server] {
            set_mode(stream.as_fd(), Mode::Nonblocking)?;
            streams.push(stream);
        }
    }
    let mut messages: Vec<Message> = (0..streams.len()).map(sockets::message).collect();
    let list: Vec<Subscription> =
        (0..).zip(&streams).map(|(index, stream)| Subscription::read(index, stream.as_fd())).collect();
    let mut happened = vec![Happened::NOTHING; list.len()];
    let mut received = [0; MESSAGE_BYTES];

    let meter = Meter::start();
    let (mut to_start, mut in_flight) = (count, 0);
    for (stream, message) in streams.iter().zip(&mut messages).step_by(2) {
        if to_start > 0 {
            sockets::stamp(message, to_start);
            transmit(stream.as_fd(), message)?;
            to_start -= 1;
            in_flight += 1;
        }
    }
    while in_flight > 0 {
        let events = poll_oneoff(&list, &mut happened)?;
        for event in &happened[..events] {
            let index = event.number() as usize;
            let stream = streams[index].as_fd();
            // Some hosts say that all are ready once one is.
            if !receive(stream, &mut received)? {
                continue;
            }
            if index % 2 == 1 {
                transmit(stream, &received)?;
                continue;
            }
            let message = &mut messages[index];
            if !sockets::same(&received, message) {
                return Err("a message came back changed".into());
            }
            if to_start > 0 {
                sockets::stamp(message, to_start);
                transmit(stream, message)?;
                to_start -= 1;
            } else {
                in_flight -= 1;
            }
        }
    }
    Ok(meter.stop(count))
}

#[inline]
fn transmit(stream: BorrowedFd<'_>, message: &Message) -> Result<()> {
    match proactor_system::send(stream, message) {
        Poll::Ready(Ok(MESSAGE_BYTES)) => Ok(()),
        Poll::Ready(Ok(moved)) => Err(sockets::incomplete(moved)),
        Poll::Ready(Err(error)) => Err(error.into()),
        Poll::Pending => Err("there is no room for a message".into()),
    }
}

/// Whether a message was there.
#[inline]
fn receive(stream: BorrowedFd<'_>, message: &mut Message) -> Result<bool> {
    match proactor_system::receive(stream, message) {
        Poll::Ready(Ok(MESSAGE_BYTES)) => Ok(true),
        Poll::Ready(Ok(moved)) => Err(sockets::incomplete(moved)),
        Poll::Ready(Err(error)) => Err(error.into()),
        Poll::Pending => Ok(false),
    }
}
