//! Backends that go wrong over what they are asked to decide at once.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

/// A panic over one that follows another.
#[test]
fn a_panic_over_a_follower() {
    let mut driver = Driver::with_backend(Manual { decides: true, ..Manual::default() });
    let [first, second] = [(); 2].map(|()| driver.socket(Family::Ipv4).unwrap());
    let recv = |handle| Recv { handle, buffer: Buffer::zeroed(1) };
    let a = driver.submit(recv(first));
    let x = driver.submit(recv(second));
    let b = driver.submit(recv(first));
    let c = driver.submit(recv(first));
    let y = driver.submit(recv(second));
    driver.backend.attempts_to_panic = Some(1);
    assert!(catch_unwind(AssertUnwindSafe(|| driver.turn(Until::Now))).is_err());
    assert_eq!(driver.metrics().starting, 1);
    assert_eq!(driver.prepare_wait(), Ok(Until::Now));
    let z = driver.submit(recv(second));
    driver.turn(Until::Forever).unwrap();
    let ended: Vec<Key> = std::iter::from_fn(|| driver.pop()).map(|(key, _)| key).collect();
    assert_eq!(ended, [a, x, y, z]);
    assert_eq!((driver.state(b), driver.state(c)), (State::Active, State::Adding));
    assert_eq!(driver.cancel(c), Cancel::Requested);
    let ended: Vec<Key> = std::iter::from_fn(|| driver.pop()).map(|(key, _)| key).collect();
    assert_eq!(ended, [c]);
}
