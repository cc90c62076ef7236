//! Datagrams: what goes to the ring for them, and the memory that it works on.

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use proactor_core::{
    Address, Buffer, Datagram, Error, Handle, Outcome, Peer, ReceivedFrom, RecvFrom, SendTo, Token,
};

use super::{CANCEL, POLL, RECV, Rig, SEND, SETUPS};
use crate::requests::Place;

const RECV_MSG: u8 = io_uring::opcode::RecvMsg::CODE;
const SEND_MSG: u8 = io_uring::opcode::SendMsg::CODE;

impl Rig {
    /// A datagram socket in the loop, and one outside that it can speak with.
    fn datagrams(&mut self) -> (Handle, UdpSocket, [Address; 2]) {
        let sockets = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let addresses = sockets.each_ref().map(|socket| socket.local_addr().unwrap().into());
        let [near, far] = sockets;
        (self.attach(near), far, addresses)
    }

    fn recv_from(&mut self, handle: Handle, len: usize) -> Token {
        self.start(handle, RecvFrom { handle, buffer: Buffer::zeroed(len), peer: Peer::default() })
    }

    fn received_from(&mut self) -> ReceivedFrom {
        match self.next() {
            (_, Outcome::RecvFrom(received)) => received,
            other => panic!("expected a datagram, got {other:?}"),
        }
    }
}

#[test]
fn they_go_to_the_ring_and_nowhere_else() {
    for setup in SETUPS {
        let mut rig = Rig::with(&proactor_core::Config::default(), setup);
        let (handle, far, [near_address, far_address]) = rig.datagrams();
        let buffer = Buffer::from(b"to the ring");
        rig.start(handle, SendTo { handle, buffer, peer: far_address.clone().into() });
        rig.recv_from(handle, 4);
        assert_eq!((rig.pushed(SEND_MSG), rig.pushed(RECV_MSG)), (1, 1));
        let mut bytes = [0; 16];
        rig.wait_for(1);
        assert!(matches!(rig.done.pop(), Some((_, Outcome::SendTo(sent))) if sent.result == Ok(())));
        assert_eq!(far.recv_from(&mut bytes).unwrap(), (11, near_address.as_inet().unwrap()));
        far.send_to(b"and back", near_address.as_inet().unwrap()).unwrap();
        let received = rig.received_from();
        assert_eq!(received.result, Ok(Datagram::new(4, true)));
        assert_eq!((&received.buffer[..], received.peer.address()), (&b"and "[..], Some(&far_address)));
        for other in [SEND, RECV, POLL] {
            // The descriptor that wakes is polled.
            assert_eq!(rig.pushed(other), usize::from(other == POLL));
        }
    }
}

/// Kernels that do not know how to send messages without copying look at no address of a plain send, though they answer the
/// probe as others do: they get the header of a message. Once the place has its memory, newer ones get none.
#[test]
fn only_kernels_that_look_at_addresses_are_told_them_without_a_header() {
    for (mut rig, is_trusted) in
        [(Rig::new(), true), (Rig::without(io_uring::opcode::SendMsgZc::CODE), false)]
    {
        let (handle, far, [_, far_address]) = rig.datagrams();
        let understood = rig.backend.requests.sends_to;
        assert!(is_trusted || !understood);
        for text in [b"first", b"other"] {
            rig.start(handle, SendTo { handle, buffer: text.into(), peer: far_address.clone().into() });
            let (_, outcome) = rig.next();
            assert!(matches!(outcome, Outcome::SendTo(sent) if sent.result == Ok(())));
            let mut bytes = [0; 16];
            assert_eq!((far.recv(&mut bytes).unwrap(), &bytes[..5]), (5, &text[..]));
        }
        let without_header = usize::from(understood);
        assert_eq!((rig.pushed(SEND), rig.pushed(SEND_MSG)), (without_header, 2 - without_header));
    }
}

#[test]
fn the_memory_of_messages_is_used_again() {
    let mut rig = Rig::new();
    let (handle, far, [near_address, far_address]) = rig.datagrams();
    let (mut peer, mut buffer) = (Peer::default(), Buffer::zeroed(8));
    for round in 0..1000_u32 {
        let token = rig.start(handle, RecvFrom { handle, buffer, peer });
        if round % 10 == 0 {
            assert!(rig.cancel(token, handle));
        } else {
            far.send_to(&round.to_ne_bytes(), near_address.as_inet().unwrap()).unwrap();
        }
        let received = rig.received_from();
        (buffer, peer) = (received.buffer, received.peer);
        if round % 10 == 0 {
            assert_eq!(received.result, Err(Error::Canceled));
            continue;
        }
        assert_eq!(received.result, Ok(Datagram::new(4, false)));
        assert_eq!((&buffer[..4], peer.address()), (&round.to_ne_bytes()[..], Some(&far_address)));
        rig.start(handle, SendTo { handle, buffer: buffer.slice(..4), peer });
        let (_, Outcome::SendTo(sent)) = rig.next() else { panic!("a send does not wait") };
        assert_eq!((sent.result, far.recv(&mut [0; 8]).unwrap()), (Ok(()), 4));
        (buffer, peer) = (sent.buffer.unslice(), sent.peer);
    }
    assert_eq!(rig.backend.requests.message_blocks(), 1);
    assert_eq!(rig.pushed(CANCEL), 100);
}

#[test]
fn what_has_come_when_it_is_cancelled_is_delivered() {
    let mut rig = Rig::new();
    let (handle, far, [near_address, _]) = rig.datagrams();
    far.send_to(b"here", near_address.as_inet().unwrap()).unwrap();
    let token = rig.recv_from(handle, 8);
    assert!(rig.cancel(token, handle));
    let received = rig.received_from();
    assert_eq!((received.result, &received.buffer[..4]), (Ok(Datagram::new(4, false)), &b"here"[..]));
}

#[test]
fn what_would_block_after_all_is_polled_for_and_asked_again() {
    let mut rig = Rig::new();
    let (handle, far, [near_address, far_address]) = rig.datagrams();
    rig.never_wait();
    for round in 0..3 {
        rig.recv_from(handle, 4);
        rig.look();
        rig.look();
        assert_eq!((rig.pushed(RECV_MSG), rig.pushed(POLL)), (2 * round + 1, round + 2));
        far.send_to(b"longer", near_address.as_inet().unwrap()).unwrap();
        let received = rig.received_from();
        assert_eq!(received.result, Ok(Datagram::new(4, true)));
        assert_eq!(received.peer.address(), Some(&far_address));
    }
    assert_eq!(rig.backend.requests.message_blocks(), 1);
}

#[test]
fn what_the_kernel_has_tells_nothing_of_itself() {
    let mut rig = Rig::new();
    let (handle, _far, _) = rig.datagrams();
    let token = rig.recv_from(handle, 4);
    let place = Place::reading(handle.slot());
    assert!(rig.backend.requests.message(place).is_none());
    rig.take_back(place);
    assert_eq!(rig.backend.requests.message(place).map(|message| message.is_truncated), Some(false));
    assert!(rig.backend.requests.message(Place::writing(handle.slot())).is_none());
    rig.backend.fail(place, Error::Canceled, &mut rig.done);
    assert_eq!(rig.next().0, token);
}

#[test]
fn in_flight_they_are_ended_and_freed() {
    let mut rig = Rig::new();
    let (handle, _far, _) = rig.datagrams();
    rig.recv_from(handle, 1 << 16);
    let (near, _far) = UnixDatagram::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    while near.send(b"to fill it").is_ok() {}
    near.set_nonblocking(false).unwrap();
    let handle = rig.attach(near);
    let shared: Arc<[u8]> = Arc::from(vec![0; 1 << 10]);
    let token =
        rig.start(handle, SendTo { handle, buffer: Arc::clone(&shared).into(), peer: Peer::default() });
    rig.look();
    assert!(rig.done.is_empty() && Arc::strong_count(&shared) == 2);
    assert!(rig.cancel(token, handle));
    assert!(matches!(rig.next().1, Outcome::SendTo(sent) if sent.result == Err(Error::Canceled)));
    rig.start(handle, SendTo { handle, buffer: Arc::clone(&shared).into(), peer: Peer::default() });
    rig.look();
    drop(rig);
    assert_eq!(Arc::strong_count(&shared), 1);
}
