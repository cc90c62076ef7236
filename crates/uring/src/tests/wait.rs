//! Waiting and waking.

use std::io::Write;
use std::thread;
use std::time::Duration;

use proactor_core::{Backend, Config, Time, Until, Wake};

use super::{POLL, Rig, SETUPS};
use crate::Uring;
use crate::open::Setup;

#[test]
fn a_wait_ends_at_its_deadline_and_not_before() {
    for setup in SETUPS {
        for takes_deadlines in [true, false] {
            let mut rig = Rig::with(&Config::default(), setup);
            rig.backend.requests.ring.takes_deadlines &= takes_deadlines;
            for nanoseconds in [0, 1, 999, 1_000_001, 20_000_000] {
                let deadline = rig.backend.now() + Duration::from_nanos(nanoseconds);
                rig.backend.wait(Until::Deadline(deadline), &mut rig.done).unwrap();
                assert!(rig.backend.now() >= deadline, "{setup:?}, {nanoseconds} ns");
            }
            rig.backend.wait(Until::Deadline(Time::ZERO), &mut rig.done).unwrap();
            assert!(rig.done.is_empty());
        }
    }
}

/// Returns when another thread of this process sleeps.
fn await_sleep(thread: rustix::thread::Pid) {
    let path = format!("/proc/self/task/{}/stat", thread.as_raw_nonzero());
    // The state is the letter behind the name, which stands in brackets.
    while !std::fs::read_to_string(&path).unwrap().contains(") S ") {
        thread::yield_now();
    }
}

#[test]
fn a_deadline_that_never_comes_waits_for_a_completion() {
    for takes_deadlines in [true, false] {
        let mut rig = Rig::new();
        rig.backend.requests.ring.takes_deadlines &= takes_deadlines;
        let (handle, mut far) = rig.pair();
        rig.recv(handle);
        let sleeper = rustix::thread::gettid();
        let writer = thread::spawn(move || {
            await_sleep(sleeper);
            far.write_all(b"bytes").unwrap();
            far
        });
        let before = rig.system_calls();
        while rig.done.is_empty() {
            rig.backend.wait(Until::Deadline(Time::NEVER), &mut rig.done).unwrap();
        }
        // It slept, and was not sent back at once for a time that the kernel cannot count.
        assert!(rig.system_calls() - before <= 3);
        assert_eq!(rig.received().unwrap(), b"bytes");
        writer.join().unwrap();
    }
}

#[test]
fn a_wake_from_another_thread_ends_the_wait() {
    for setup in SETUPS {
        let mut rig = Rig::with(&Config::default(), setup);
        let waker = rig.backend.waker();
        for _ in 0..100 {
            let waker = waker.clone();
            let other = thread::spawn(move || waker.wake());
            rig.backend.wait(Until::Forever, &mut rig.done).unwrap();
            other.join().unwrap();
        }
        assert!(rig.done.is_empty());
    }
}

#[test]
fn a_wake_before_the_wait_ends_it_and_no_other() {
    let mut rig = Rig::new();
    let waker = rig.backend.waker();
    waker.wake();
    waker.wake();
    rig.backend.wait(Until::Forever, &mut rig.done).unwrap();
    let deadline = rig.backend.now() + Duration::from_millis(10);
    rig.backend.wait(Until::Deadline(deadline), &mut rig.done).unwrap();
    assert!(rig.backend.now() >= deadline);
}

#[test]
fn a_wake_that_came_with_something_else_still_ends_the_next_wait() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    far.write_all(b"there").unwrap();
    rig.backend.waker().wake();
    rig.recv(handle);
    rig.backend.flush(&mut rig.done).unwrap();
    assert_eq!(rig.done.len(), 1);
    rig.backend.wait(Until::Forever, &mut rig.done).unwrap();
}

#[test]
fn waking_outlives_the_loop() {
    let rig = Rig::new();
    let waker = rig.backend.waker();
    drop(rig);
    waker.wake();
}

#[test]
fn a_watch_that_the_kernel_has_ended_begins_again() {
    let mut rig = Rig::new();
    let waker = rig.backend.waker();
    for round in 1..4 {
        assert_eq!(rig.pushed(POLL), round);
        rig.backend.requests.end_watch();
        rig.look();
        rig.look();
        let waker = waker.clone();
        let other = thread::spawn(move || waker.wake());
        rig.backend.wait(Until::Forever, &mut rig.done).unwrap();
        other.join().unwrap();
    }
}

#[test]
fn capabilities_are_those_of_a_kernel_that_completes() {
    let capabilities = Rig::new().backend.capabilities();
    assert!(capabilities.ipv4 && capabilities.descriptors && capabilities.threads);
    assert!(capabilities.kernel_completions && !capabilities.virtual_time);
    assert_eq!(Uring::NAME, "uring");
}

#[test]
fn configurations_out_of_range_are_refused() {
    for entries in [0, Config::MAX_ENTRIES + 1] {
        let refused = Uring::open(&Config::default().entries(entries)).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
    }
    let largest = Config::default().entries(Config::MAX_ENTRIES);
    // Rings are taken down in the background, so that for a moment there may be no memory for one that large.
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while let Err(error) = Uring::open_with(&largest, Setup::NoIndexArray, u64::MAX) {
        let is_memory = error.kind() == std::io::ErrorKind::OutOfMemory;
        assert!(is_memory && std::time::Instant::now() < deadline, "{error}");
        std::thread::yield_now();
    }
}
