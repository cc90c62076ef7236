//! Connections on which nothing happens, on epoll: each is registered, and that is all.

use std::io::Read as _;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;

use crate::idle::Idle;
use crate::measurement::{Figures, Meter, Result};

/// Events taken from the kernel at once.
const BATCH: usize = 1024;

/// Watches `count` connections; then a byte comes on each.
///
/// # Errors
/// What the system answers, or a byte that does not come.
pub(crate) fn run(count: u64) -> Result<Figures> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let count = usize::try_from(count)?;
    let (mut idle, mut ends) = Idle::open(count)?;
    let mut events = Vec::with_capacity(BATCH);

    let meter = Meter::start();
    for (index, end) in ends.iter().enumerate() {
        if index == idle.few() {
            idle.look(true)?;
        }
        end.set_nonblocking(true)?;
        epoll::add(&epoll, end, EventData::new_u64(index as u64), EventFlags::IN | EventFlags::ET)?;
    }
    idle.look(false)?;
    let figures = meter.stop(count as u64);
    idle.speak()?;
    let mut arrived = 0;
    while arrived < count {
        events.clear();
        match epoll::wait(&epoll, spare_capacity(&mut events), None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let mut bytes = [0; 2];
            match ends[event.data.u64() as usize].read(&mut bytes)? {
                1 => arrived += 1,
                _ => return Err("not what was sent".into()),
            }
        }
    }
    Ok(idle.tell(figures))
}
