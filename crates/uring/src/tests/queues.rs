//! Queues that are too small.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use proactor_core::{Backend, Config, Error, Outcome, Until};
use rustix::io::Errno;

use super::{RECV, Rig, SETUPS};

/// Starts one receive on each of `count` connections, has all of them complete at once, and expects every one.
fn receive_on(rig: &mut Rig, count: usize) {
    let mut pairs: Vec<_> = (0..count).map(|_| rig.pair()).collect();
    let mut expected: Vec<_> = pairs.iter().map(|(handle, _)| rig.recv(*handle)).collect();
    rig.look();
    for (position, (_, far)) in pairs.iter_mut().enumerate() {
        far.write_all(&[position as u8]).unwrap();
    }
    rig.wait_for(count);
    for _ in 0..count {
        let (token, outcome) = rig.done.pop().unwrap();
        let Outcome::Recv(received) = outcome else { panic!("{outcome:?}") };
        let position = pairs.iter().position(|(handle, _)| *handle == received.handle).unwrap();
        assert_eq!((token, received.result, received.buffer[0]), (expected[position], Ok(1), position as u8));
        expected[position].arming = u32::MAX;
    }
    assert_eq!(rig.pushed(RECV), count);
    rig.look();
    assert!(rig.done.is_empty());
}

#[test]
fn one_entry_is_enough() {
    for setup in SETUPS {
        receive_on(&mut Rig::with(&Config::default().entries(1), setup), 13);
    }
}

#[test]
fn exactly_full_and_one_more_than_twice_full() {
    for count in [8, 9, 17] {
        receive_on(&mut Rig::with_entries(8), count);
    }
}

#[test]
fn a_completion_queue_smaller_than_what_is_in_flight_loses_nothing() {
    for setup in SETUPS {
        // Four entries, and a hundred completions that are there before anyone looks.
        receive_on(&mut Rig::with(&Config::default().entries(1), setup), 100);
    }
}

#[test]
fn what_the_kernel_holds_back_is_seen_without_waiting() {
    let mut rig = Rig::with_entries(1);
    let mut pairs: Vec<_> = (0..100).map(|_| rig.pair()).collect();
    for (handle, _) in &pairs {
        rig.recv(*handle);
    }
    rig.look();
    for (_, far) in &mut pairs {
        far.write_all(b"bytes").unwrap();
    }
    // Four at a time is what the queue has room for.
    for _ in 0..100 {
        rig.look();
    }
    assert_eq!(rig.done.len(), 100);
}

/// One request that goes on may bring more by itself than there are requests: what others have is seen all the same.
#[test]
fn a_flood_of_one_request_hides_nobody_elses_results_from_a_look() {
    let mut rig = Rig::with_entries(256);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listener = rig.attach(listener);
    rig.accept_many(listener);
    let mut pairs: Vec<_> = (0..70).map(|_| rig.pair()).collect();
    for (handle, _) in &pairs {
        rig.recv(*handle);
    }
    rig.look();
    let connections: Vec<_> = (0..120).map(|_| TcpStream::connect(address).unwrap()).collect();
    for (_, far) in &mut pairs {
        far.write_all(b"bytes").unwrap();
    }
    rig.look();
    let outcomes: Vec<_> = std::iter::from_fn(|| rig.done.pop()).map(|(_, outcome)| outcome).collect();
    let received = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Recv(_))).count();
    assert_eq!((received, outcomes.len() - received), (pairs.len(), connections.len()));
}

/// One that goes on stops where the queue is full, and is submitted again by the look that has emptied it.
#[test]
fn a_look_accepts_all_that_are_pending_through_a_small_queue() {
    for (setup, singly) in SETUPS.into_iter().flat_map(|setup| [(setup, false), (setup, true)]) {
        let mut rig = Rig::with(&Config::default().entries(8), setup);
        if singly {
            rig.accept_singly();
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let listener = rig.attach(listener);
        rig.accept_many(listener);
        let connections: Vec<_> = (0..120).map(|_| TcpStream::connect(address).unwrap()).collect();
        rig.look();
        assert_eq!(rig.done.len(), connections.len(), "singly: {singly}");
    }
}

/// What is cancelled has a completion of its own, and its cancel has one.
#[test]
fn a_look_takes_the_end_of_all_that_was_cancelled() {
    let mut rig = Rig::with_entries(1);
    let pairs: Vec<_> = (0..100).map(|_| rig.pair()).collect();
    let tokens: Vec<_> = pairs.iter().map(|(handle, _)| rig.recv(*handle)).collect();
    rig.look();
    for ((handle, _), token) in pairs.iter().zip(&tokens) {
        assert!(rig.cancel(*token, *handle));
    }
    rig.look();
    assert_eq!(rig.done.len(), pairs.len());
}

#[test]
fn what_completes_on_the_way_into_a_full_queue_is_taken() {
    let mut rig = Rig::with_entries(1);
    let mut pairs: Vec<_> = (0..40).map(|_| rig.pair()).collect();
    for (_, far) in &mut pairs {
        far.write_all(b"there").unwrap();
    }
    for (handle, _) in &pairs {
        rig.recv(*handle);
    }
    // All but the last were submitted to make room, and have completed at once.
    assert!(rig.done.len() >= 38, "{}", rig.done.len());
    rig.wait_for(40);
}

#[test]
fn what_is_queued_is_submitted_in_order() {
    for entries in [1, 4] {
        let mut rig = Rig::with_entries(entries);
        let (near, far) = super::tcp_pair();
        let (near, far) = (rig.attach(near), rig.attach(far));
        // Each receive comes after the send that it is to find; in any other order it would have to wait.
        for round in 0..10_u8 {
            rig.send_all(near, vec![round; 3]);
            rig.wait_for(1);
            rig.recv(far);
            rig.wait_for(2);
            assert_eq!(rig.sent_all().transferred, 3);
            assert_eq!(rig.received().unwrap(), [round; 3]);
        }
    }
}

#[test]
fn what_the_kernel_refuses_for_a_while_waits_in_order() {
    // Most of it waits behind a full queue, or all of it in a queue with room.
    for (refusal, entries) in [(Errno::BUSY, 2), (Errno::AGAIN, 2), (Errno::BUSY, 64), (Errno::AGAIN, 64)] {
        let mut rig = Rig::with_entries(entries);
        let mut pairs: Vec<_> = (0..10).map(|_| rig.pair()).collect();
        rig.backend.requests.ring.refusal = Some(refusal);
        let tokens: Vec<_> = pairs.iter().map(|(handle, _)| rig.recv(*handle)).collect();
        // A cancel that came before what it cancels would not find it, and that would never end.
        for (token, (handle, _)) in tokens.iter().zip(&pairs).take(5) {
            assert!(rig.cancel(*token, *handle));
        }
        pairs.iter_mut().skip(5).for_each(|(_, far)| far.write_all(b"bytes").unwrap());
        // Neither an error, nor for ever, nor without a pause.
        rig.look();
        rig.backend.flush(&mut rig.done).unwrap();
        let before = rig.backend.now();
        rig.backend.wait(Until::Forever, &mut rig.done).unwrap();
        assert!(rig.backend.now().since(before) >= Duration::from_millis(1));
        let deadline = rig.backend.now() + Duration::from_micros(100);
        rig.backend.wait(Until::Deadline(deadline), &mut rig.done).unwrap();
        assert!(rig.done.is_empty());
        rig.backend.requests.ring.refusal = None;
        rig.wait_for(10);
        for _ in 0..10 {
            let (token, outcome) = rig.done.pop().unwrap();
            let is_canceled = tokens[..5].contains(&token);
            assert_eq!(outcome.error(), is_canceled.then_some(Error::Canceled));
        }
    }
}

#[test]
fn flush_submits_and_takes_what_is_complete_without_waiting() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    far.write_all(b"there").unwrap();
    rig.recv(handle);
    rig.backend.flush(&mut rig.done).unwrap();
    assert_eq!(rig.received().unwrap(), b"there");
    // Nothing queued: no system call.
    let calls = rig.system_calls();
    rig.backend.flush(&mut rig.done).unwrap();
    assert_eq!(rig.system_calls(), calls);
}

#[test]
fn looking_costs_a_system_call_only_where_it_can_bring_something() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    let calls = rig.system_calls();
    rig.look();
    assert_eq!(rig.system_calls(), calls);
    rig.recv(handle);
    rig.look();
    assert_eq!(rig.system_calls(), calls + 1);
    rig.look();
    assert_eq!(rig.system_calls(), calls + 1);
    // Now the kernel says, in memory, that it has something to do; or has done it.
    far.write_all(b"bytes").unwrap();
    rig.look();
    assert!((calls + 1..=calls + 2).contains(&rig.system_calls()));
    assert_eq!(rig.done.len(), 1);
    assert_eq!(rig.received().unwrap(), b"bytes");
}

#[test]
fn a_turn_is_one_system_call_however_much_it_submits_and_takes() {
    let mut rig = Rig::new();
    let mut pairs: Vec<_> = (0..16).map(|_| rig.pair()).collect();
    for (_, far) in &mut pairs {
        far.write_all(b"there").unwrap();
    }
    for (handle, _) in &pairs {
        rig.recv(*handle);
        rig.send_all(*handle, &b"bytes"[..]);
    }
    let calls = rig.system_calls();
    let deadline = rig.backend.now() + Duration::from_secs(20);
    rig.backend.wait(Until::Deadline(deadline), &mut rig.done).unwrap();
    assert_eq!((rig.done.len(), rig.system_calls()), (32, calls + 1));
}
