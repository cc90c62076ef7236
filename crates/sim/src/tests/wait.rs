use std::thread;
use std::time::Duration;

use super::*;
use crate::{Nop, Time, Wake};

#[test]
fn a_wait_for_nothing_jumps_to_its_deadline() {
    let mut bed = Bed::new();
    let begin = bed.sim.now();
    let deadline = begin + Duration::from_secs(3600);
    assert_eq!(bed.sim.wait(Until::Deadline(deadline), &mut bed.done), Ok(()));
    assert_eq!(bed.sim.now(), deadline);
}

#[test]
fn every_turn_takes_time() {
    let mut bed = Bed::new();
    let mut last = bed.sim.now();
    for round in 0..4 {
        match round {
            0 => bed.sim.wait(Until::Now, &mut bed.done),
            1 => bed.sim.wait(Until::Deadline(Time::ZERO), &mut bed.done),
            2 => bed.sim.flush(&mut bed.done),
            _ => {
                bed.sim.waker().wake();
                bed.sim.wait(Until::Forever, &mut bed.done)
            }
        }
        .unwrap();
        assert!(bed.sim.now() > last, "round {round}");
        last = bed.sim.now();
    }
}

#[test]
fn what_is_ready_ends_a_wait_before_its_deadline() {
    let mut bed = Bed::new();
    let (client, server) = bed.pair();
    bed.start_recv(server, 1);
    bed.start(Send { handle: client, buffer: b"x".into() });
    let deadline = bed.sim.now() + Duration::from_secs(1);
    assert_eq!(bed.sim.wait(Until::Deadline(deadline), &mut bed.done), Ok(()));
    assert!(bed.sim.now() < deadline);
    assert!(!bed.done.is_empty());
}

#[test]
fn a_wake_up_ends_one_wait_before_its_deadline() {
    let mut bed = Bed::new();
    let waker = bed.sim.waker();
    waker.wake();
    let deadline = bed.sim.now() + Duration::from_secs(1);
    assert_eq!(bed.sim.wait(Until::Deadline(deadline), &mut bed.done), Ok(()));
    assert!(bed.sim.now() < deadline);
    assert_eq!(bed.sim.wait(Until::Deadline(deadline), &mut bed.done), Ok(()));
    assert_eq!(bed.sim.now(), deadline);
}

#[test]
fn a_wait_for_ever_is_ended_by_another_thread_only() {
    let mut bed = Bed::new();
    let (_, server) = bed.pair();
    let token = bed.start_recv(server, 1);
    assert_eq!(bed.sim.wait(Until::Forever, &mut bed.done), Err(Error::Deadlock));
    assert_eq!(bed.sim.wait(Until::Deadline(Time::NEVER), &mut bed.done), Err(Error::Deadlock));
    let waker = bed.sim.waker();
    let thread = thread::spawn(move || waker.wake());
    assert_eq!(bed.sim.wait(Until::Forever, &mut bed.done), Ok(()));
    thread.join().unwrap();
    assert!(bed.done.is_empty());
    assert!(bed.cancel(token, server));
}

#[test]
fn a_wait_for_ever_takes_what_is_ready() {
    let mut bed = Bed::new();
    let (client, server) = bed.pair();
    bed.start(Send { handle: client, buffer: b"x".into() });
    assert_eq!(bed.sim.wait(Until::Forever, &mut bed.done), Ok(()));
    bed.collect();
    bed.start_recv(server, 1);
    assert_eq!(bed.sim.wait(Until::Forever, &mut bed.done), Ok(()));
    bed.start(Nop);
    assert_eq!(bed.sim.wait(Until::Forever, &mut bed.done), Ok(()));
    assert_eq!(bed.done.len(), 2);
}

#[test]
fn tells_what_it_can_do_and_refuses_bad_configurations() {
    let capabilities = Bed::new().sim.capabilities();
    let can: Vec<_> = capabilities.list().into_iter().filter_map(|(name, can)| can.then_some(name)).collect();
    let of_ours = [
        "ipv4",
        "ipv6",
        "unix_sockets",
        "streams",
        "threads",
        "files",
        "devices",
        "virtual_time",
        "unwinding",
    ];
    assert_eq!(can, of_ours);
    let refused = Sim::open(&Config::default().entries(0)).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
}
