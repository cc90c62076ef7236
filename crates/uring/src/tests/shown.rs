//! Another loop waits for this one: what it is not told of never goes on.

use std::io::Write;
use std::net::TcpStream;

use proactor_core::{Backend, Buffer, Config, Handle, Outcome, ReadExact, RecvMany};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Rig, SETUPS, tcp_pair};

/// Whether the descriptor for others tells of something, in a time that only a lost wake-up exceeds.
fn is_shown(rig: &mut Rig) -> bool {
    let shown = rig.backend.as_fd().unwrap().unwrap();
    let time = Timespec { tv_sec: 2, tv_nsec: 0 };
    poll(&mut [PollFd::new(&shown, PollFlags::IN)], Some(&time)) == Ok(1)
}

/// A connection: its near end in the loop and as a second descriptor, and its far end.
fn watched_pair(rig: &mut Rig) -> (Handle, TcpStream, TcpStream) {
    let (near, far) = tcp_pair();
    let watched = near.try_clone().unwrap();
    (rig.attach(near), watched, far)
}

/// Sends, and waits until that has arrived.
fn deliver(mut far: &TcpStream, watched: &TcpStream, bytes: &[u8]) {
    far.write_all(bytes).unwrap();
    let mut arrived = PollFd::new(watched, PollFlags::IN);
    // It may be gone again: the kernel has received it.
    let _ = poll(std::slice::from_mut(&mut arrived), Some(&Timespec { tv_sec: 0, tv_nsec: 50_000_000 }));
}

#[test]
fn a_rest_is_submitted_before_another_loop_waits() {
    for setup in SETUPS {
        let mut rig = Rig::with(&Config::default(), setup);
        let (handle, watched, far) = watched_pair(&mut rig);
        rig.backend.as_fd().unwrap();
        rig.start(handle, ReadExact { handle, buffer: Buffer::zeroed(8) });
        rig.look();
        deliver(&far, &watched, b"half");
        let is_asleep = rig.backend.prepare_wait(&mut rig.done).unwrap();
        assert!(rig.done.is_empty());
        deliver(&far, &watched, b"half");
        assert!(!is_asleep || is_shown(&mut rig), "{setup:?}");
    }
}

#[test]
fn a_buffer_that_returns_is_shown() {
    for setup in SETUPS {
        let mut rig = Rig::with(&Config::default(), setup);
        let (handle, watched, far) = watched_pair(&mut rig);
        rig.backend.as_fd().unwrap();
        let pool = rig.done.buffer_pool(1, 4, rig.backend.waker()).unwrap();
        rig.start(handle, RecvMany { handle, pool });
        rig.look();
        deliver(&far, &watched, b"1234");
        rig.wait_for(1);
        let Some((_, Outcome::RecvManyItem(kept))) = rig.done.pop() else { panic!("a buffer was free") };
        deliver(&far, &watched, b"5678");
        let is_asleep = rig.backend.prepare_wait(&mut rig.done).unwrap();
        assert!(rig.done.is_empty());
        std::thread::spawn(move || drop(kept)).join().unwrap();
        assert!(!is_asleep || is_shown(&mut rig), "{setup:?}");
    }
}
