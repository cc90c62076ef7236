//! Connections where a program cannot connect: it was given a listener, and whoever runs it connects for it.
#![allow(unsafe_code)]

use std::io::Write as _;
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::task::Poll;

use proactor_system::{DescriptorKind, Happened, Subscription, accept, descriptor_kind, poll_oneoff};

use crate::measurement::Result;
use crate::sockets::Ends;

/// The line that asks for a pair of connections.
pub(crate) const ASK: &str = "companion: connect a pair";

/// Connections, whose ends the companion leads to each other, blocking.
///
/// # Errors
/// Whatever the system answers.
pub(crate) fn connect(connections: usize) -> Result<Vec<Ends>> {
    let listener = listener()?;
    let next = || -> Result<TcpStream> {
        loop {
            // Some runtimes have it answer at once, whoever has connected.
            if let Poll::Ready(accepted) = accept(listener.as_fd()) {
                return Ok(accepted?.0.into());
            }
            poll_oneoff(&[Subscription::read(0, listener.as_fd())], &mut [Happened::NOTHING])?;
        }
    };
    let mut pairs = Vec::with_capacity(connections);
    for _ in 0..connections {
        println!("{ASK}");
        std::io::stdout().flush()?;
        pairs.push(Ends { client: next()?, server: next()? });
    }
    Ok(pairs)
}

/// The listener: the first socket that there is.
fn listener() -> Result<OwnedFd> {
    for number in 3..RawFd::MAX {
        // SAFETY: whoever runs the program passes its descriptors in without a gap, the listener among them, and this stops there, so
        // the number is open. The program has one thread and closes none meanwhile.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        if matches!(descriptor_kind(descriptor)?, DescriptorKind::Socket(_)) {
            // SAFETY: it was given to the program and is nobody's yet: only `connect` takes it, which a program calls once, as it
            // runs one workload.
            return Ok(unsafe { OwnedFd::from_raw_fd(number) });
        }
    }
    Err("no listener was given".into())
}
