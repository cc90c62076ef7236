//! Operations that have their turn on two handles (contract H3).

use super::*;

/// A driver with so many handles.
fn with_handles<const COUNT: usize>() -> (Driver<Manual>, [Handle; COUNT]) {
    let mut driver = Driver::with_backend(Manual::default());
    let handles = [(); COUNT].map(|()| driver.socket(Family::Ipv4).unwrap());
    (driver, handles)
}

fn splice(from: Handle, to: Handle) -> Splice {
    Splice { from, to, len: 7 }
}

fn send(handle: Handle) -> Send {
    Send { handle, buffer: Buffer::zeroed(1) }
}

fn recv(handle: Handle) -> Recv {
    Recv { handle, buffer: Buffer::zeroed(1) }
}

/// Makes a turn, and completes all that the backend has. Returns whose it was.
fn complete_all(driver: &mut Driver<Manual>) -> Vec<Key> {
    driver.turn(Until::Now).unwrap();
    let held: Vec<_> = driver.backend.held.keys().copied().collect();
    for (index, arming) in held {
        let token = Token { index, arming };
        driver.backend.end(token, &mut driver.done, |operation| operation.fail(Error::NoBuffers));
    }
    std::iter::from_fn(|| driver.pop()).map(|(key, _)| key).collect()
}

/// It begins when its turn has come on both handles, whichever is the last, and what was submitted later for either waits for it.
#[test]
fn it_has_its_turn_on_both_handles() {
    let (mut driver, [from, to, other]) = with_handles();
    let reads = [driver.submit(recv(from)), driver.submit(recv(from))];
    let write = driver.submit(send(to));
    let spliced = driver.submit(splice(from, to));
    let later = [driver.submit(send(to)), driver.submit(recv(from)), driver.submit(splice(from, other))];
    let aside = [driver.submit(recv(to)), driver.submit(send(from))];
    let last = driver.submit(send(other));
    assert_eq!(driver.active(), 10, "what stands for it in a queue does not count");
    let first = complete_all(&mut driver);
    assert!([reads[0], write].iter().chain(&aside).all(|key| first.contains(key)) && first.len() == 4);
    assert_eq!(complete_all(&mut driver), [reads[1]]);
    assert_eq!(complete_all(&mut driver), [spliced]);
    let third = complete_all(&mut driver);
    assert!(third.len() == 2 && third.contains(&later[0]) && third.contains(&later[1]));
    assert_eq!(complete_all(&mut driver), [later[2]]);
    assert_eq!(complete_all(&mut driver), [last]);
    assert_eq!((driver.active(), driver.backend_faults()), (0, 0));
}

/// First on the one handle and not on the other, it is not started, and can be ended in every way; who is behind it goes on.
#[test]
fn while_it_waits_for_one_it_can_be_ended() {
    for end in 0..6 {
        for answers_late in [false, true] {
            let (mut driver, [from, to]) = with_handles();
            driver.backend.answers_late = answers_late;
            let write = driver.submit(send(to));
            let timeout = std::time::Duration::from_nanos(5);
            let timeout = if end == 5 { timeout } else { timeout * 1_000_000 };
            let spliced = driver.submit(splice(from, to).with_timeout(timeout));
            let behind = [driver.submit(recv(from)), driver.submit(send(to))];
            driver.turn(Until::Now).unwrap();
            driver.turn(Until::Now).unwrap();
            assert_eq!((driver.state(spliced), driver.backend.held.len()), (State::Adding, 1));
            match end {
                0 => assert_eq!(driver.cancel(spliced), Cancel::Requested),
                1 => driver.delete(spliced).unwrap(),
                2 => driver.close(from),
                3 => driver.close(to),
                4 => driver.cancel_all(),
                _ => driver.backend.clock += 10,
            }
            driver.turn(Until::Now).unwrap();
            let mut ended = Vec::new();
            while let Some((key, outcome)) = driver.pop() {
                ended.push((key, outcome.error()));
            }
            let expected = [Error::Canceled, Error::TimedOut][usize::from(end == 5)];
            assert_eq!(ended.contains(&(spliced, Some(expected))), end != 1, "{end}: {ended:?}");
            let goes_on = [end != 2 && end != 4, end != 3 && end != 4];
            for (key, goes_on) in behind.into_iter().zip(goes_on) {
                let state = driver.state(key);
                assert_eq!(state != State::Dead, goes_on, "{end}");
            }
            assert!(end == 3 || end == 4 || driver.state(write) == State::Active);
            driver.cancel_all();
            for _ in 0..3 {
                driver.turn(Until::Now).unwrap();
                while driver.pop().is_some() {}
            }
            assert_eq!((driver.active(), driver.backend_faults()), (0, 0));
            assert!(driver.done.records.is_empty() && driver.timers.len() == 0);
        }
    }
}

/// Each of a ring of them waits for the one in front of it, and none for ever.
#[test]
fn a_ring_of_them_goes_round() {
    let (mut driver, handles) = with_handles::<5>();
    let next = |index: usize| handles[(index + 1) % handles.len()];
    let keys: Vec<_> = (0..50).map(|index| splice(handles[index % 5], next(index))).collect();
    let keys: Vec<_> = keys.into_iter().map(|splice| driver.submit(splice)).collect();
    let mut ended = Vec::new();
    for _ in 0..100 {
        ended.extend(complete_all(&mut driver));
    }
    ended.sort_by_key(|key| key.name.index);
    assert_eq!(ended.len(), keys.len());
    assert_eq!((driver.active(), driver.backend.held.len()), (0, 0));
}

/// Delayed, it keeps its places, and what has come to be first meanwhile is not forgotten.
#[test]
fn a_delay_keeps_both_places() {
    let (mut driver, [from, to]) = with_handles();
    let write = driver.submit(send(to));
    let first = driver.submit(splice(from, to));
    assert_eq!(complete_all(&mut driver), [write]);
    driver.turn(Until::Now).unwrap();
    let (&(index, arming), _) = driver.backend.held.first_key_value().expect("it has begun");
    driver
        .backend
        .end(Token { index, arming }, &mut driver.done, |operation| operation.fail(Error::NoBuffers));
    let Next::Last { index, .. } = driver.next() else { panic!("an outcome is queued") };
    drop(driver.done.records.take_back(index));
    let write = driver.submit(send(to));
    assert!(driver.rearm_at(index, splice(from, to), Time::from_nanos(1000)));
    let behind = driver.submit(send(to));
    assert_eq!(complete_all(&mut driver), [write]);
    assert_eq!(complete_all(&mut driver), []);
    assert_eq!(driver.state(behind), State::Adding);
    driver.backend.clock = 1000;
    driver.turn(Until::Now).unwrap();
    assert_eq!(complete_all(&mut driver), [first]);
    assert_eq!(complete_all(&mut driver), [behind]);
    assert_eq!(driver.active(), 0);
}

/// A backend that has put something else in its place, before it begins or when it ends, holds nobody up.
#[test]
fn a_wrong_outcome_leaves_both_handles() {
    for before in [false, true] {
        let (mut driver, [from, to]) = with_handles();
        let write = before.then(|| driver.submit(send(to)));
        let spliced = driver.submit(splice(from, to));
        let behind = driver.submit(send(to));
        driver.turn(Until::Now).unwrap();
        let token = driver.done.records.token(spliced.name.index);
        let wrong = Outcome::Nop(crate::NopDone { result: Ok(()) });
        driver.backend.held.remove(&(token.index, token.arming));
        driver.done.push(token, wrong);
        let ended: Vec<_> = std::iter::from_fn(|| driver.pop()).map(|(key, _)| key).collect();
        assert_eq!(ended, [spliced]);
        assert!(driver.backend_faults() > 0);
        let _ = driver.turn(Until::Now);
        assert_eq!(complete_all(&mut driver), [write.unwrap_or(behind)]);
        assert_eq!(complete_all(&mut driver).len(), usize::from(before));
        for handle in [from, to] {
            driver.close(handle);
        }
        assert_eq!((driver.active(), driver.backend.open.len()), (0, 0));
    }
}
