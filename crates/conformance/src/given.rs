//! Connections where a program cannot connect: it was given a listener, and a companion outside connects to that.
//!
//! The companion reads this program's standard output. For a line that [`asks`](ASK) for it, it connects to the listener
//! twice, and from then on carries bytes from either connection to the other, and tells each of the other's end.
#![allow(unsafe_code)]

use std::io::{ErrorKind, Write};
use std::mem::ManuallyDrop;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::thread;
use std::time::Duration;

use proactor_core::{Backend, Context, Driver, Handle};
use proactor_system::{DescriptorKind, descriptor_kind};

/// What the program prints.
const ASK: &str = "companion: connect a pair";

/// Two ends of a connection, of which neither is in a loop.
pub(crate) fn connection() -> (TcpStream, TcpStream) {
    ask_for_a_pair();
    let listener = listener();
    // Whoever passes it in may have made it non-blocking.
    let accept = || loop {
        match listener.accept() {
            Ok((stream, _)) => return stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(1)),
            Err(error) => panic!("the companion connects: {error}"),
        }
    };
    (accept(), accept())
}

/// Has the companion connect twice.
pub(crate) fn ask_for_a_pair() {
    println!("{ASK}");
    std::io::stdout().flush().expect("the companion listens");
}

/// Standard input and output, to be owned. Whoever drops them takes them away from the rest of the program.
pub(crate) fn standard_streams() -> [OwnedFd; 2] {
    // SAFETY: std's own streams name these two by their numbers and own nothing.
    [0, 1].map(|number| unsafe { OwnedFd::from_raw_fd(number) })
}

/// Closes a descriptor of somebody else's, who goes on with its number.
pub(crate) fn close_behind(number: RawFd) {
    // SAFETY: this breaks the promise that a descriptor is its owner's alone, and that is what is tried: its owner is told of
    // every call that it is none, until it gives it up. Nothing is opened meanwhile that could get its number.
    drop(unsafe { OwnedFd::from_raw_fd(number) });
}

/// Two ends of a connection, both in a loop.
pub(crate) fn pair<B: Backend, S>(cx: &mut Context<'_, B, S>) -> (Handle, Handle) {
    let (one, other) = connection();
    (cx.attach(one).expect("a socket"), cx.attach(other).expect("a socket"))
}

/// The same in a driver.
pub(crate) fn pair_in<B: Backend>(driver: &mut Driver<B>) -> (Handle, Handle) {
    let (one, other) = connection();
    (driver.attach(one).expect("a socket"), driver.attach(other).expect("a socket"))
}

/// The listener, which nobody closes but who owns nothing else of it.
pub(crate) fn listener() -> ManuallyDrop<TcpListener> {
    let is_socket = |number: &RawFd| {
        // SAFETY: every number is answered, that of no descriptor with an error; nothing is done to it.
        let descriptor = unsafe { BorrowedFd::borrow_raw(*number) };
        matches!(descriptor_kind(descriptor).expect("a listener was given"), DescriptorKind::Socket(_))
    };
    // Standard streams, then directories, then sockets.
    let number = (3..).find(is_socket).expect("an endless range");
    // SAFETY: the first socket of the program is the one that it was given. Nobody owns it, and it is never closed.
    ManuallyDrop::new(unsafe { TcpListener::from_raw_fd(number) })
}
