//! Messages with descriptors: what goes to the ring for them, and the memory that it works on.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};

use proactor_core::{
    Buffer, Envelope, Error, Handle, Message, Outcome, ReceivedMsg, RecvMsg, SendMsg, Token,
};
use rustix::pipe::pipe;

use super::{CANCEL, POLL, RECV, Rig, SEND, SETUPS};
use crate::requests::Place;

const RECV_MSG: u8 = io_uring::opcode::RecvMsg::CODE;
const SEND_MSG: u8 = io_uring::opcode::SendMsg::CODE;

impl Rig {
    fn streams(&mut self) -> [Handle; 2] {
        let (near, far) = UnixStream::pair().unwrap();
        [self.attach(near), self.attach(far)]
    }

    fn recv_msg(&mut self, handle: Handle, envelope: Envelope) -> Token {
        self.start(handle, RecvMsg { handle, buffer: Buffer::zeroed(16), envelope })
    }

    fn send_msg(&mut self, handle: Handle, envelope: Envelope) -> Token {
        self.start(handle, SendMsg { handle, buffer: Buffer::from(b"with it"), envelope })
    }

    fn received_msg(&mut self) -> ReceivedMsg {
        match self.next() {
            (_, Outcome::RecvMsg(received)) => received,
            other => panic!("expected a message, got {other:?}"),
        }
    }
}

/// The end of a pipe that tells when its other end, which is to be passed, is closed.
fn passed() -> (File, OwnedFd) {
    let (reader, writer) = pipe().unwrap();
    (reader.into(), writer)
}

/// Waits until the other end is closed everywhere.
fn expect_closed(mut reader: File) {
    assert_eq!(reader.read(&mut [0; 4]).unwrap(), 0);
}

#[test]
fn they_go_to_the_ring_and_nowhere_else() {
    for setup in SETUPS {
        let mut rig = Rig::with(&proactor_core::Config::default(), setup);
        let [one, other] = rig.streams();
        let (reader, writer) = passed();
        rig.recv_msg(other, Envelope::with_room(1));
        rig.send_msg(one, vec![writer].into());
        assert_eq!((rig.pushed(SEND_MSG), rig.pushed(RECV_MSG)), (1, 1));
        rig.wait_for(2);
        let (mut kept, mut received) = (Vec::new(), 0);
        while let Some((_, outcome)) = rig.done.pop() {
            match outcome {
                Outcome::SendMsg(sent) if sent.result == Ok(7) => kept.push(sent.envelope),
                Outcome::RecvMsg(came) if came.result == Ok(Message::new(7)) => {
                    received += came.envelope.descriptors().len();
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((kept.len(), received), (1, 1));
        drop(kept);
        expect_closed(reader);
        for other in [SEND, RECV, POLL] {
            // The descriptor that wakes is polled.
            assert_eq!(rig.pushed(other), usize::from(other == POLL));
        }
    }
}

#[test]
fn the_memory_of_messages_is_used_again() {
    let mut rig = Rig::new();
    let [one, other] = rig.streams();
    let (reader, writer) = passed();
    let mut sent = Envelope::from(vec![writer]);
    let mut received = Envelope::with_room(2);
    for round in 0..1000 {
        let token = rig.recv_msg(other, received);
        if round % 10 == 0 {
            rig.look();
            assert!(rig.cancel(token, other));
            let canceled = rig.received_msg();
            assert_eq!((canceled.result, canceled.envelope.room()), (Err(Error::Canceled), 2));
            received = canceled.envelope;
            continue;
        }
        rig.send_msg(one, sent);
        let (mut from_send, mut from_receive) = (None, None);
        for _ in 0..2 {
            match rig.next().1 {
                Outcome::SendMsg(done) => from_send = Some(done.envelope),
                Outcome::RecvMsg(done) => from_receive = Some(done.envelope),
                outcome => panic!("{outcome:?}"),
            }
        }
        (sent, received) = (from_send.unwrap(), from_receive.unwrap());
        assert_eq!((sent.descriptors().len(), received.descriptors_mut().drain(..).count()), (1, 1));
    }
    assert_eq!(rig.backend.requests.message_blocks(), 2);
    assert_eq!(rig.pushed(CANCEL), 100);
    drop((sent, received));
    expect_closed(reader);
}

#[test]
fn what_the_kernel_has_opened_is_closed_if_nobody_gets_it() {
    for (cancel, reap) in [(false, false), (true, false), (true, true)] {
        let mut rig = Rig::new();
        let [one, other] = rig.streams();
        let token = rig.recv_msg(other, Envelope::with_room(1));
        rig.look();
        let (reader, writer) = passed();
        rig.send_msg(one, vec![writer].into());
        if cancel {
            assert!(rig.cancel(token, other));
        }
        if reap {
            rig.wait_for(2);
        }
        drop(rig);
        expect_closed(reader);
    }
}

#[test]
fn what_would_block_after_all_is_polled_for_and_asked_again() {
    let mut rig = Rig::new();
    let [one, other] = rig.streams();
    rig.never_wait();
    for round in 0..3 {
        rig.recv_msg(other, Envelope::with_room(1));
        rig.look();
        rig.look();
        assert_eq!((rig.pushed(RECV_MSG), rig.pushed(POLL)), (2 * round + 1, round + 2));
        let (reader, writer) = passed();
        rig.send_msg(one, vec![writer].into());
        let came = [rig.next().1, rig.next().1].into_iter().any(|outcome| match outcome {
            Outcome::RecvMsg(received) => received.envelope.descriptors().len() == 1,
            _ => false,
        });
        assert!(came);
        expect_closed(reader);
    }
    assert_eq!(rig.backend.requests.message_blocks(), 2);
}

#[test]
fn a_poll_that_answers_opens_nothing() {
    let mut rig = Rig::new();
    let [one, other] = rig.streams();
    rig.never_wait();
    let token = rig.recv_msg(other, Envelope::with_room(1));
    rig.look();
    rig.look();
    let place = Place::reading(other.slot());
    assert!(rig.backend.requests.message(place).is_none(), "it is polled for");
    let (reader, writer) = passed();
    rig.send_msg(one, vec![writer].into());
    rig.wait_for(2);
    assert!(!rig.cancel(token, other));
    drop(rig);
    expect_closed(reader);
}

#[test]
fn a_datagram_that_waits_is_not_the_kernels_to_repeat() {
    let mut rig = Rig::new();
    let (near, far) = UnixDatagram::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    while near.send(b"to fill it").is_ok() {}
    near.set_nonblocking(false).unwrap();
    let handle = rig.attach(near);
    let (reader, writer) = passed();
    rig.send_msg(handle, vec![writer].into());
    rig.look();
    rig.look();
    assert_eq!((rig.pushed(SEND_MSG), rig.pushed(POLL)), (1, 2));
    far.set_nonblocking(true).unwrap();
    while far.recv(&mut [0; 16]).is_ok() {}
    assert!(matches!(rig.next().1, Outcome::SendMsg(sent) if sent.result == Ok(7)));
    assert_eq!(rig.pushed(SEND_MSG), 2);
    let mut bytes = [0; 16];
    let len = far.recv(&mut bytes).unwrap();
    assert_eq!(&bytes[..len], b"with it");
    expect_closed(reader);
}
