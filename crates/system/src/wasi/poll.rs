//! What a descriptor is ready for.

use std::os::fd::BorrowedFd;

use proactor_core::{Error, Interest, Readiness};

use super::{Happened, Subscription, poll_oneoff};

const CLOCK: u64 = 0;
const READ: u64 = 1;
const WRITE: u64 = 2;

/// What `descriptor` is ready for now, as far as that is of interest and the system tells it: reading, writing, and that
/// its peer is gone.
///
/// # Errors
/// What the system said.
pub fn poll_now(descriptor: BorrowedFd<'_>, interest: Interest) -> Result<Readiness, Error> {
    let mut subscriptions = [Subscription::now(CLOCK); 3];
    let mut len = 1;
    // That the peer is gone is told of who reads.
    if interest.contains(Interest::READABLE) || interest.contains(Interest::HANG_UP) {
        subscriptions[len] = Subscription::read(READ, descriptor);
        len += 1;
    }
    if interest.contains(Interest::WRITABLE) {
        subscriptions[len] = Subscription::write(WRITE, descriptor);
        len += 1;
    }
    let mut happened = [Happened::NOTHING; 3];
    let count = poll_oneoff(&subscriptions[..len], &mut happened)?;
    let mut ready = Readiness::NONE;
    for event in happened[..count].iter().filter(|event| event.number() != CLOCK) {
        let told = if event.number() == READ { Interest::READABLE } else { Interest::WRITABLE };
        if interest.contains(told) {
            ready |= told.into();
        }
        if event.is_hang_up() {
            ready |= Interest::HANG_UP.into();
        }
        if event.is_refusal() {
            ready |= Readiness::ERROR;
        }
    }
    Ok(ready)
}
