//! Cancelling, in each state.

use std::io::Write;
use std::net::TcpListener;

use proactor_core::{Accept, Buffer, Config, Error, Outcome, Token};

use super::{CANCEL, POLL, RECV, Rig, SETUPS};

#[test]
fn a_receive_that_waits_ends_with_its_buffer() {
    for setup in SETUPS {
        let mut rig = Rig::with(&Config::default(), setup);
        let (handle, mut far) = rig.pair();
        let token = rig.recv(handle);
        rig.look();
        assert!(rig.cancel(token, handle));
        let (ended, outcome) = rig.next();
        let Outcome::Recv(received) = outcome else { panic!("{outcome:?}") };
        assert_eq!((ended, received.result, received.buffer.len()), (token, Err(Error::Canceled), 16));
        assert!(!rig.cancel(token, handle));
        // What comes later belongs to the next one.
        far.write_all(b"bytes").unwrap();
        rig.recv(handle);
        assert_eq!(rig.received().unwrap(), b"bytes");
    }
}

#[test]
fn a_cancel_does_not_overtake_what_is_still_queued() {
    for setup in SETUPS {
        for entries in [1, 2, 64] {
            let mut rig = Rig::with(&Config::default().entries(entries), setup);
            let pairs: Vec<_> = (0..8).map(|_| rig.pair()).collect();
            let tokens: Vec<Token> = pairs.iter().map(|(handle, _)| rig.recv(*handle)).collect();
            for (token, (handle, _)) in tokens.iter().zip(&pairs) {
                assert!(rig.cancel(*token, *handle));
            }
            rig.wait_for(tokens.len());
            while let Some((_, outcome)) = rig.done.pop() {
                assert_eq!(outcome.error(), Some(Error::Canceled));
            }
            assert_eq!((rig.pushed(RECV), rig.pushed(CANCEL)), (8, 8));
        }
    }
}

#[test]
fn the_answer_to_a_cancel_is_no_outcome_and_asking_twice_asks_once() {
    let mut rig = Rig::new();
    let (handle, _far) = rig.pair();
    let token = rig.recv(handle);
    assert!(rig.cancel(token, handle));
    assert!(rig.cancel(token, handle));
    rig.next();
    rig.look();
    rig.look();
    assert!(rig.done.is_empty());
    assert_eq!(rig.pushed(CANCEL), 1);
    assert_eq!(rig.backend.requests.strays(), 0);
}

#[test]
fn bytes_that_had_arrived_are_not_lost() {
    for setup in SETUPS {
        let mut rig = Rig::with(&Config::default(), setup);
        let (handle, mut far) = rig.pair();
        // Waiting, with the bytes there and the completion not taken yet.
        let token = rig.recv(handle);
        rig.look();
        far.write_all(b"first").unwrap();
        assert!(rig.cancel(token, handle));
        let first = rig.received();
        // Not submitted when it is cancelled, with the bytes there.
        far.write_all(b"second").unwrap();
        let token = rig.recv(handle);
        assert!(rig.cancel(token, handle));
        let second = rig.received();
        // Whatever was not received then is received now.
        let mut all: Vec<u8> = [first, second].into_iter().flat_map(Result::unwrap_or_default).collect();
        while all.len() < b"firstsecond".len() {
            rig.recv(handle);
            all.extend(rig.received().unwrap());
        }
        assert_eq!(all, b"firstsecond", "{setup:?}");
    }
}

#[test]
fn an_accept_that_waits_ends_and_the_next_connection_is_the_next_accepts() {
    let mut rig = Rig::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listener = rig.attach(listener);
    let token = rig.start(listener, Accept { listener });
    rig.look();
    assert!(rig.cancel(token, listener));
    let (ended, outcome) = rig.next();
    assert_eq!((ended, outcome.error()), (token, Some(Error::Canceled)));
    let _client = std::net::TcpStream::connect(address).unwrap();
    rig.start(listener, Accept { listener });
    assert_eq!(rig.next().1.error(), None);
}

#[test]
fn what_is_polled_for_ends_as_well() {
    let mut rig = Rig::new();
    let polls = rig.pushed(POLL);
    rig.never_wait();
    let (handle, mut far) = rig.pair();
    let token = rig.recv(handle);
    rig.look();
    assert_eq!(rig.pushed(POLL), polls + 1);
    assert!(rig.cancel(token, handle));
    assert_eq!(rig.received(), Err(Error::Canceled));
    // Cancelled when the descriptor was ready, but the operation was not tried again: it is not either.
    let token = rig.recv(handle);
    rig.look();
    far.write_all(b"bytes").unwrap();
    assert!(rig.cancel(token, handle));
    assert_eq!(rig.received(), Err(Error::Canceled));
    assert_eq!(rig.pushed(RECV), 2);
    rig.recv(handle);
    assert_eq!(rig.received().unwrap(), b"bytes");
}

#[test]
fn a_send_that_waits_ends_with_its_buffer() {
    let mut rig = Rig::new();
    let (handle, _far) = rig.pair();
    let token = rig.send_all(handle, vec![0; 64 << 20]);
    rig.look();
    assert!(rig.cancel(token, handle));
    let sent = rig.sent_all();
    assert_eq!((sent.result, sent.buffer.len()), (Err(Error::Canceled), 64 << 20));
    let token = rig.start(handle, proactor_core::Send { handle, buffer: Buffer::zeroed(16) });
    rig.look();
    assert!(rig.done.is_empty() && rig.cancel(token, handle));
    assert_eq!(rig.next().1.error(), Some(Error::Canceled));
}
