//! Connections that come and go, on epoll: a client is watched until it is connected, a server only if its byte has not
//! come yet when it is accepted.

use std::net::SocketAddrV4;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::{Errno, read, write};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType};

use crate::churn::{self, Churn};
use crate::measurement::{Figures, Meter, Result};

/// Events taken from the kernel at once.
const BATCH: usize = 1024;

/// What an event is of: this, or a descriptor's number with [`CLIENT`] or without.
const LISTENER: u64 = u64::MAX;
const CLIENT: u64 = 1 << 32;

/// The loop's state: what is open, by number.
struct Floor {
    epoll: OwnedFd,
    address: SocketAddrV4,
    open: Vec<Option<(OwnedFd, u8)>>,
    churn: Churn,
}

/// Makes `count` connections, at most `parallel` at a time.
///
/// # Errors
/// What the system answers, or a byte that came changed.
pub(crate) fn run(parallel: usize, count: u64) -> Result<Figures> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let (listener, address) = churn::listener()?;
    listener.set_nonblocking(true)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN | EventFlags::ET)?;
    let mut floor = Floor { epoll, address, open: Vec::new(), churn: Churn::new(count) };
    let mut events = Vec::with_capacity(BATCH);

    let meter = Meter::start();
    for _ in 0..parallel {
        floor.connect()?;
    }
    while !floor.churn.is_over() {
        events.clear();
        match epoll::wait(&floor.epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            match event.data.u64() {
                LISTENER => floor.accept(&listener)?,
                data if data & CLIENT != 0 => floor.send(data as u32)?,
                data => {
                    if let Some((server, _)) = floor.take(data as u32) {
                        floor.receive(server)?;
                    }
                }
            }
        }
    }
    floor.churn.check()?;
    Ok(meter.stop(count))
}

impl Floor {
    fn connect(&mut self) -> Result<()> {
        let Some(byte) = self.churn.start() else { return Ok(()) };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let client = net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        match net::connect(&client, &self.address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        self.watch(client, byte, CLIENT, EventFlags::OUT)
    }

    /// Keeps a descriptor until its event comes.
    fn watch(&mut self, descriptor: OwnedFd, byte: u8, kind: u64, edges: EventFlags) -> Result<()> {
        let number = descriptor.as_raw_fd() as usize;
        epoll::add(
            &self.epoll,
            &descriptor,
            EventData::new_u64(number as u64 | kind),
            edges | EventFlags::ET,
        )?;
        if self.open.len() <= number {
            self.open.resize_with(number + 1, || None);
        }
        self.open[number] = Some((descriptor, byte));
        Ok(())
    }

    fn take(&mut self, number: u32) -> Option<(OwnedFd, u8)> {
        self.open.get_mut(number as usize).and_then(Option::take)
    }

    /// A client is connected: its byte goes, and so does it.
    fn send(&mut self, number: u32) -> Result<()> {
        let Some((client, byte)) = self.take(number) else { return Ok(()) };
        match write(&client, &[byte])? {
            1 => Ok(()),
            moved => Err(format!("{moved} bytes of one were sent").into()),
        }
    }

    fn accept(&mut self, listener: &std::net::TcpListener) -> Result<()> {
        loop {
            match net::accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(server) => self.receive(server)?,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes a connection's byte, or waits for it.
    fn receive(&mut self, server: OwnedFd) -> Result<()> {
        let mut byte = [0];
        match read(&server, &mut byte) {
            Ok(1) => {
                drop(server);
                self.churn.arrived(byte[0]);
                self.connect()
            }
            Ok(_) => Err("a connection brought nothing".into()),
            Err(Errno::AGAIN) => self.watch(server, 0, 0, EventFlags::IN),
            Err(error) => Err(error.into()),
        }
    }
}
