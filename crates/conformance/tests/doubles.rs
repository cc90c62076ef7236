//! Core on a backend that breaks the rules of its trait: what it does is counted and told, and nothing panics, hangs or
//! is disturbed beyond the operation that it was done to.

use std::cell::Cell;
use std::rc::Rc;

use proactor_conformance::doubles::{Mischief, Script, Unruly};
use proactor_core::{
    Accept, AcceptMany, Action, Backend, Config, Connect, Driver, Error, Event, Family, Flow, Handle, Key,
    Loop, Nop, Outcome, Recv, RunMode, SendAll, State, Time, Timer, Until,
};
use proactor_sim::Sim;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

type Backed = Unruly<Sim>;

fn unruly() -> (Backed, Script) {
    let script = Script::default();
    let sim = Sim::open(&Config::default()).expect("it opens everywhere");
    (Unruly::new(sim, Rc::clone(&script)), script)
}

fn driver() -> (Driver<Backed>, Script) {
    let (backend, script) = unruly();
    (Driver::with_backend(backend), script)
}

/// Turns until the outcome of `key` comes.
fn outcome(driver: &mut Driver<Backed>, key: Key) -> Outcome {
    loop {
        match driver.pop() {
            Some((found, outcome)) if found == key => return outcome,
            Some(other) => panic!("not asked for: {other:?}"),
            None => driver.turn(Until::Forever).expect("a turn without mischief"),
        }
    }
}

fn pair(driver: &mut Driver<Backed>) -> (Handle, Handle) {
    let listener = driver.socket(Family::Ipv4).unwrap();
    driver.bind(listener, "127.0.0.1:0".parse().unwrap()).unwrap();
    driver.listen_on(listener, 8).unwrap();
    let address = driver.local_address(listener).unwrap();
    let client = driver.socket(Family::Ipv4).unwrap();
    let connect = driver.submit(Connect { handle: client, address });
    assert!(matches!(outcome(driver, connect), Outcome::Connect(connected) if connected.result == Ok(())));
    let accept = driver.submit(Accept { listener });
    let Outcome::Accept(accepted) = outcome(driver, accept) else { panic!("an accept ends as one") };
    driver.close(listener);
    (client, accepted.result.unwrap().0)
}

fn echo_works(driver: &mut Driver<Backed>, (client, server): (Handle, Handle)) {
    let send = driver.submit(SendAll { handle: client, buffer: b"echo".into() });
    assert!(matches!(outcome(driver, send), Outcome::SendAll(sent) if sent.result == Ok(())));
    let recv = driver.submit(Recv { handle: server, buffer: vec![0; 8].into() });
    assert!(matches!(outcome(driver, recv), Outcome::Recv(received) if received.result == Ok(4)));
}

/// What nothing was started for comes out of the turn as an error, once, and the driver goes on.
#[test]
fn unknown_tokens_are_counted_and_told() {
    let (mut driver, script) = driver();
    let ends = pair(&mut driver);
    let timer = driver.submit(Timer::at(Time::NEVER));
    script.set(Some(Mischief::UnknownTokens));
    let told = driver.turn(Until::Now).err().or_else(|| {
        assert!(driver.pop().is_none());
        driver.turn(Until::Now).err()
    });
    assert_eq!(told, Some(Error::Backend));
    assert_eq!(driver.backend_faults(), 13);
    assert_eq!((driver.turn(Until::Now), driver.state(timer)), (Ok(()), State::Active));
    assert!(driver.pop().is_none());
    echo_works(&mut driver, ends);
}

/// An operation whose outcome was pushed twice is delivered once.
#[test]
fn a_duplicate_is_delivered_once() {
    let (mut driver, script) = driver();
    let ends = pair(&mut driver);
    let recv = driver.submit(Recv { handle: ends.1, buffer: vec![0; 8].into() });
    driver.turn(Until::Now).unwrap();
    script.set(Some(Mischief::Duplicate));
    let _ = driver.turn(Until::Now);
    let (key, outcome) = driver.pop().expect("the first of two");
    assert_eq!(key, recv);
    assert!(matches!(outcome, Outcome::Recv(received) if received.result == Ok(8)));
    assert!(driver.pop().is_none());
    assert_eq!((driver.state(recv), driver.active()), (State::Dead, 0));
    let _ = driver.turn(Until::Now);
    assert_eq!(driver.backend_faults(), 1);
}

/// After it had its outcome, too.
#[test]
fn a_duplicate_after_the_delivery_reaches_nobody() {
    let (mut driver, script) = driver();
    let ends = pair(&mut driver);
    let send = driver.submit(SendAll { handle: ends.0, buffer: b"data".into() });
    assert!(matches!(outcome(&mut driver, send), Outcome::SendAll(sent) if sent.result == Ok(())));
    // The place in the table is the next one's by now.
    let timer = driver.submit(Timer::at(Time::NEVER));
    script.set(Some(Mischief::Duplicate));
    let told = driver.turn(Until::Now).err().or_else(|| driver.turn(Until::Now).err());
    assert_eq!(told, Some(Error::Backend));
    assert!(driver.pop().is_none());
    assert_eq!((driver.backend_faults(), driver.state(timer)), (2, State::Active));
}

/// An outcome of another kind ends the operation, saying what happened; its parts are lost, its siblings are not.
#[test]
fn an_outcome_of_another_kind_ends_the_operation() {
    for mischief in [Mischief::Mismatch, Mischief::UnaskedEnd, Mischief::EmptyCell] {
        let (mut driver, script) = driver();
        let (ends, others) = (pair(&mut driver), pair(&mut driver));
        let sibling = driver.submit(Recv { handle: others.1, buffer: vec![0; 8].into() });
        let recv = driver.submit(Recv { handle: ends.1, buffer: vec![0; 8].into() });
        driver.turn(Until::Now).unwrap();
        script.set(Some(mischief));
        let _ = driver.turn(Until::Now);
        let (key, outcome) = driver.pop().unwrap_or_else(|| panic!("{mischief:?} is told"));
        assert_eq!(key, recv);
        let Outcome::Recv(received) = outcome else { panic!("a receive ends as one: {outcome:?}") };
        assert_eq!((received.handle, received.result), (ends.1, Err(Error::Backend)));
        assert!(driver.backend_faults() > 0);
        let _ = driver.turn(Until::Now);
        assert_eq!((driver.state(recv), driver.state(sibling)), (State::Dead, State::Active));
        let send = driver.submit(SendAll { handle: others.0, buffer: b"fine".into() });
        while driver.state(send) != State::Dead || driver.state(sibling) != State::Dead {
            match driver.pop() {
                Some((_, Outcome::Recv(received))) => assert_eq!(received.result, Ok(4)),
                Some((_, outcome)) => assert!(matches!(outcome, Outcome::SendAll(_)), "{outcome:?}"),
                None => driver.turn(Until::Forever).unwrap(),
            }
        }
    }
}

/// An event of a multishot operation, pushed for one that is none, is thrown away with the handle that it names.
#[test]
fn an_event_for_a_one_shot_operation_is_thrown_away() {
    for mischief in [Mischief::UnaskedEvent, Mischief::StaleHandle] {
        let (mut driver, script) = driver();
        let ends = pair(&mut driver);
        let recv = driver.submit(Recv { handle: ends.1, buffer: vec![0; 8].into() });
        driver.turn(Until::Now).unwrap();
        script.set(Some(mischief));
        let _ = driver.turn(Until::Now);
        assert!(driver.pop().is_none());
        assert_eq!(driver.turn(Until::Now), Err(Error::Backend));
        assert_eq!((driver.backend_faults(), driver.state(recv)), (1, State::Active), "{mischief:?}");
        let send = driver.submit(SendAll { handle: ends.0, buffer: b"real".into() });
        assert!(matches!(outcome(&mut driver, send), Outcome::SendAll(sent) if sent.result == Ok(())));
        assert!(matches!(outcome(&mut driver, recv), Outcome::Recv(received) if received.result == Ok(4)));
    }
}

/// Callbacks of the loop hear of it as the driver's outcomes do: once each, never with the wrong type.
#[test]
fn the_loop_passes_no_mischief_on() {
    for mischief in Mischief::ALL {
        let (backend, script) = unruly();
        let mut ev = Loop::<Backed, Vec<&'static str>>::with_backend(backend);
        let mut cx = ev.context();
        let listener = cx.listen("127.0.0.1:0".parse().unwrap(), Default::default()).unwrap();
        cx.submit_multishot(AcceptMany { listener }, |log: &mut Vec<&'static str>, _, event| {
            log.push(match event {
                Event::More(_) => "more",
                Event::Last(_) => "last",
            });
            Flow::Continue
        });
        cx.submit_rearm(Nop, |log: &mut Vec<&'static str>, _, _| {
            log.push("nop");
            if log.len() < 20 { Action::Rearm(Nop) } else { Action::Disarm }
        });
        let mut log = Vec::new();
        let mut told = 0;
        for run in 0..40 {
            script.set((run % 2 == 0).then_some(mischief));
            told += u32::from(ev.run(&mut log, RunMode::NoWait).is_err());
        }
        assert!(log.iter().filter(|entry| **entry == "last").count() <= 1, "{mischief:?}: {log:?}");
        assert!(log.iter().filter(|entry| **entry == "nop").count() >= 10, "{mischief:?}: others go on");
        // An event with a handle of nothing is not to be told from one of a connection that is gone already.
        let can_be_told = !matches!(mischief, Mischief::UnaskedEvent | Mischief::StaleHandle);
        assert_eq!(ev.context().backend_faults() > 0, can_be_told, "{mischief:?}");
        assert!(told <= 20, "{mischief:?} is told when it happens");
        script.set(None);
        ev.context().cancel_all();
        while ev.context().active() > 0 {
            let _ = ev.run(&mut log, RunMode::NoWait);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Recv(usize),
    Send(usize),
    Nop,
    Cancel(Index),
    Delete(Index),
    Turn(Option<Mischief>),
    Pop,
}

fn program() -> impl Strategy<Value = Vec<Step>> {
    let mischief = prop::option::of(select(&Mischief::ALL[..]));
    let step = prop_oneof![
        3 => (0_usize..4).prop_map(Step::Recv),
        3 => (0_usize..4).prop_map(Step::Send),
        1 => Just(Step::Nop),
        1 => any::<Index>().prop_map(Step::Cancel),
        1 => any::<Index>().prop_map(Step::Delete),
        4 => mischief.prop_map(Step::Turn),
        4 => Just(Step::Pop),
    ];
    vec(step, 1..80)
}

proptest! {
    /// Whatever it does, and when: no panic, no outcome twice, none for what was deleted, and everything ends.
    #[test]
    fn no_sequence_of_mischief_breaks_core(program in program()) {
        let (mut driver, script) = driver();
        let (first, second) = (pair(&mut driver), pair(&mut driver));
        let handles = [first.0, first.1, second.0, second.1];
        let mut keys: Vec<Key> = Vec::new();
        let live: Cell<Vec<Key>> = Cell::default();
        let submitted = |key, keys: &mut Vec<Key>| {
            keys.push(key);
            let mut known = live.take();
            known.push(key);
            live.set(known);
        };
        let ended = |key| {
            let mut known = live.take();
            let place = known.iter().position(|&other| other == key);
            place.map(|place| known.swap_remove(place));
            live.set(known);
            place.is_some()
        };
        for step in program {
            match step {
                Step::Recv(which) => {
                    let recv = Recv { handle: handles[which], buffer: vec![0; 8].into() };
                    submitted(driver.submit(recv), &mut keys);
                }
                Step::Send(which) => {
                    let send = SendAll { handle: handles[which], buffer: b"12345678".into() };
                    submitted(driver.submit(send), &mut keys);
                }
                Step::Nop => submitted(driver.submit(Nop), &mut keys),
                Step::Cancel(which) if !keys.is_empty() => drop(driver.cancel(*which.get(&keys))),
                Step::Delete(which) if !keys.is_empty() => {
                    let key = *which.get(&keys);
                    if driver.delete(key).is_ok() {
                        ended(key);
                    }
                }
                Step::Cancel(_) | Step::Delete(_) => {}
                Step::Turn(mischief) => {
                    script.set(mischief);
                    let _ = driver.turn(Until::Now);
                }
                Step::Pop => {
                    if let Some((key, outcome)) = driver.pop() {
                        prop_assert!(ended(key), "delivered twice, or after it was deleted: {:?}", outcome);
                    }
                }
            }
        }
        script.set(None);
        driver.cancel_all();
        for _ in 0..100 {
            let _ = driver.turn(Until::Now);
            while let Some((key, outcome)) = driver.pop() {
                prop_assert!(ended(key), "{:?}", outcome);
            }
        }
        prop_assert_eq!(driver.active(), 0);
        prop_assert!(live.take().is_empty());
    }
}
