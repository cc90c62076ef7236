//! Waiting, waking, and what a registration costs.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use proactor_core::{AcceptMany, Backend, Buffer, Config, Outcome, SendAll, Time, Until, Wake};
use proactor_readiness::Poller as _;

use super::{COUNTS, Counting, Counts, Rig, is_child};

#[test]
fn a_wake_before_the_wait_ends_it() {
    let mut rig = Rig::new();
    let waker = rig.backend.waker();
    for _ in 0..3 {
        waker.wake();
        waker.clone().wake();
        rig.backend.wait(Until::Forever, &mut rig.done).unwrap();
    }
    assert!(rig.done.is_empty());
    // Taken, it does not end another.
    let start = rig.backend.now();
    rig.backend.wait(Until::Deadline(start + Duration::from_millis(3)), &mut rig.done).unwrap();
    assert!(rig.backend.now().since(start) >= Duration::from_millis(3));
}

#[test]
fn a_wake_from_another_thread_ends_the_wait() {
    let mut rig = Rig::new();
    let waker = rig.backend.waker();
    let thread = std::thread::spawn(move || waker.wake());
    rig.backend.wait(Until::Forever, &mut rig.done).unwrap();
    thread.join().unwrap();
}

#[test]
fn a_waker_outlives_its_backend() {
    let rig = Rig::new();
    let waker = rig.backend.waker();
    drop(rig);
    waker.wake();
}

#[test]
fn deadlines_are_kept_to_the_nanosecond_and_not_missed() {
    let mut rig = Rig::new();
    for nanoseconds in [0, 1, 100_000, 1_000_000, 1_300_000, 2_999_999] {
        let wait = Duration::from_nanos(nanoseconds);
        let start = rig.backend.now();
        rig.backend.wait(Until::Deadline(start + wait), &mut rig.done).unwrap();
        assert!(rig.backend.now().since(start) >= wait, "{wait:?}");
    }
    // What has passed, and what never will: a look, and a wait that something else ends.
    rig.backend.wait(Until::Deadline(Time::ZERO), &mut rig.done).unwrap();
    rig.backend.waker().wake();
    rig.backend.wait(Until::Deadline(Time::NEVER), &mut rig.done).unwrap();
    rig.backend.waker().wake();
    let far_off = rig.backend.now() + Duration::from_secs(1 << 32);
    rig.backend.wait(Until::Deadline(far_off), &mut rig.done).unwrap();
}

#[test]
fn a_deadline_that_has_passed_still_takes_what_is_ready() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    for deadline in [Duration::ZERO, Duration::from_micros(500), Duration::from_secs(9)] {
        rig.recv(handle);
        far.write_all(b"bytes").unwrap();
        let deadline = if deadline.is_zero() { Time::ZERO } else { rig.backend.now() + deadline };
        rig.backend.wait(Until::Deadline(deadline), &mut rig.done).unwrap();
        assert_eq!(rig.done.len(), 1);
        assert_eq!(rig.received().unwrap(), b"bytes");
    }
}

#[test]
fn one_look_takes_all_that_is_ready_however_small_the_batch() {
    let mut rig = Rig::with(&Config::default().entries(1));
    let mut fars = Vec::new();
    for _ in 0..20 {
        let (handle, far) = rig.pair();
        rig.recv(handle);
        fars.push(far);
    }
    for far in &mut fars {
        far.write_all(b"bytes").unwrap();
    }
    rig.look();
    assert_eq!(rig.done.len(), fars.len());
}

#[test]
fn a_descriptor_is_added_once_and_removed_once_at_most() {
    let mut rig = Rig::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listener = rig.attach(listener);
    let many = rig.start(listener, AcceptMany { listener });
    let mut client = TcpStream::connect(address).unwrap();
    let (_, Outcome::AcceptManyItem(connection)) = rig.next() else { panic!("one has connected") };
    let handle = connection.handle;
    for _ in 0..50 {
        client.write_all(b"ping").unwrap();
        assert_eq!(rig.receive(handle).unwrap(), b"ping");
        rig.start(handle, SendAll { handle, buffer: Buffer::from(b"pong") });
        rig.next();
        std::io::Read::read_exact(&mut client, &mut [0; 4]).unwrap();
    }
    assert_eq!(COUNTS.get(), Counts { added: 2, removed: 0, waits: COUNTS.get().waits });
    // What the loop has opened itself is forgotten as it is closed, if the system does that; what others may share is not, nor
    // what goes on without the loop.
    rig.close(handle);
    let forgotten = usize::from(Counting::FORGETS_WHAT_IS_CLOSED);
    assert_eq!(COUNTS.get(), Counts { added: 2, removed: 1 - forgotten, waits: COUNTS.get().waits });
    let given = rig.attach(client);
    rig.close(given);
    assert_eq!(COUNTS.get(), Counts { added: 3, removed: 2 - forgotten, waits: COUNTS.get().waits });
    let second = TcpStream::connect(address).unwrap();
    let (_, Outcome::AcceptManyItem(connection)) = rig.next() else { panic!("one has connected") };
    drop(rig.backend.detach(connection.handle.slot()).unwrap());
    assert_eq!(COUNTS.get(), Counts { added: 4, removed: 3 - forgotten, waits: COUNTS.get().waits });
    drop(second);
    rig.cancel(many, listener);
    drop(rig.backend.detach(listener.slot()).unwrap());
    assert_eq!(COUNTS.get(), Counts { added: 4, removed: 4 - forgotten, waits: COUNTS.get().waits });
}

#[test]
fn a_number_used_again_hears_nothing_of_its_predecessor() {
    if !is_child("tests::wait::a_number_used_again_hears_nothing_of_its_predecessor") {
        return;
    }
    let mut rig = Rig::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let near = TcpStream::connect(address).unwrap();
    let number = near.as_raw_fd();
    let (mut far, _) = listener.accept().unwrap();
    // Somebody else keeps the first connection open, so that closing alone would not end its registration.
    let _elsewhere = near.try_clone().unwrap();
    let handle = rig.attach(near);
    let recv = rig.recv(handle);
    far.write_all(b"for the first").unwrap();
    rig.cancel(recv, handle);
    rig.done.pop();
    rig.close(handle);

    let near = TcpStream::connect(address).unwrap();
    assert_eq!(near.as_raw_fd(), number, "the lowest free number is given out");
    let (mut other_far, _) = listener.accept().unwrap();
    let second = rig.attach(near);
    assert_eq!(second.slot(), handle.slot());
    rig.recv(second);
    far.write_all(b"for the first").unwrap();
    drop(far);
    rig.look();
    assert!(rig.done.is_empty());
    other_far.write_all(b"second").unwrap();
    assert_eq!(rig.received().unwrap(), b"second");
}
