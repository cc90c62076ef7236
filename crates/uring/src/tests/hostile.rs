//! Calls that no driver makes: duplicate tokens, slots never attached or taken, two operations in one direction.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;

use proactor_core::{
    Accept, AcceptMany, Address, Backend, Buffer, Close, Connect, Control, Envelope, Error, Family, Handle,
    Interest, Nop, Operation, Outcome, Peer, Poll, PollMany, ReadVectored, ReadVectoredExact,
    ReadVectoredExactAt, Recv, RecvFrom, RecvMsg, Send, SendAll, SendMsg, SendTo, Shutdown, ShutdownHow,
    Slot, SocketKind, Timer, Token, WriteVectoredAll,
};
use proptest::prelude::*;

use super::{Rig, tcp_pair};

#[test]
fn a_slot_that_was_never_attached_is_stale() {
    let mut rig = Rig::new();
    let (handle, _far) = rig.pair();
    // The last two would share places with the slot that is taken, if places were not checked.
    for slot in [Slot(1), Slot(1000), Slot(u32::MAX), Slot(1 << 31), Slot(1 << 26)] {
        assert_eq!(rig.backend.detach(slot).map(drop), Err(Error::StaleHandle));
        assert_eq!(rig.backend.close(slot), Err(Error::StaleHandle));
        assert_eq!(rig.backend.control(slot, Control::LocalAddress), Err(Error::StaleHandle));
        for number in 0..OPERATIONS - 1 {
            let token = rig.start_at(slot, operation(number, handle));
            let (ended, outcome) = rig.done.pop().unwrap();
            assert_eq!((ended, outcome.error()), (token, Some(Error::StaleHandle)), "{outcome:?}");
        }
        let token = rig.recv(handle);
        assert!(!rig.backend.cancel(token, slot, &mut rig.done));
        assert!(rig.cancel(token, handle));
        rig.next();
    }
    assert!(rig.done.is_empty());
}

#[test]
fn a_second_operation_in_one_direction_is_refused_and_the_first_goes_on() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    let first = rig.recv(handle);
    rig.recv(handle);
    assert_eq!(rig.received(), Err(Error::Busy));
    rig.start(handle, Accept { listener: handle });
    assert_eq!(rig.next().1.error(), Some(Error::Busy));
    rig.accept_many(handle);
    assert_eq!(rig.next().1.error(), Some(Error::Busy));
    let fill = rig.send_all(handle, vec![0; 64 << 20]);
    for operation in [
        Operation::from(Send { handle, buffer: Buffer::from(b"bytes") }),
        SendAll { handle, buffer: Buffer::from(b"bytes") }.into(),
        Shutdown { handle, how: ShutdownHow::Both }.into(),
        Connect { handle, address: "127.0.0.1:1".parse().unwrap() }.into(),
    ] {
        rig.start(handle, operation);
        assert_eq!(rig.next().1.error(), Some(Error::Busy));
    }
    // Nor does the descriptor go while they wait.
    assert_eq!(rig.backend.close(handle.slot()), Err(Error::Busy));
    assert_eq!(rig.backend.detach(handle.slot()).map(drop), Err(Error::Busy));
    far.write_all(b"bytes").unwrap();
    let (token, outcome) = rig.next();
    assert_eq!((token, outcome.error()), (first, None));
    // A cancel with the wrong slot, or the wrong arming, is not one.
    let other = rig.pair().0;
    assert!(!rig.cancel(fill, other));
    assert!(!rig.cancel(Token { arming: 1, ..fill }, handle));
    assert!(rig.cancel(fill, handle));
    assert_eq!(rig.sent_all().result, Err(Error::Canceled));
}

#[test]
fn a_slot_that_is_taken_takes_no_other_descriptor() {
    let mut rig = Rig::new();
    let (handle, _far) = rig.pair();
    let (near, _far) = tcp_pair();
    let (refused, near) = rig.backend.attach(handle.slot(), near.into()).unwrap_err();
    assert_eq!(refused, Error::Busy);
    assert_eq!(rig.backend.socket(handle.slot(), Family::Ipv4, SocketKind::Stream), Err(Error::Busy));
    let (refused, _near) = rig.backend.attach(Slot(u32::MAX), near).unwrap_err();
    assert_eq!(refused, Error::InvalidInput);
}

#[test]
fn an_accept_into_a_slot_that_is_taken_closes_the_connection() {
    for (many, singly) in [(false, false), (true, false), (true, true)] {
        let mut rig = Rig::new();
        if singly {
            rig.accept_singly();
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // Behind the back of the queue that gives handles out.
        rig.backend.attach(Slot(0), listener.into()).map_err(|(error, _)| error).unwrap();
        let listener = proactor_core::Done::new().new_handle();
        assert_eq!(listener.slot(), Slot(0));
        let operation: Operation =
            if many { AcceptMany { listener }.into() } else { Accept { listener }.into() };
        rig.start(listener, operation);
        rig.look();
        let mut client = TcpStream::connect(address).unwrap();
        let expected = if many { Error::Unsupported } else { Error::Busy };
        assert_eq!(rig.next().1.error(), Some(expected));
        assert_eq!(std::io::Read::read(&mut client, &mut [0; 1]).unwrap(), 0);
        // The name that was to be the connection's is free again.
        assert_eq!(rig.done.new_handle().slot(), Slot(0));
    }
}

#[test]
fn what_is_not_the_backends_is_unsupported() {
    let mut rig = Rig::new();
    let (handle, _far) = rig.pair();
    rig.start(handle, Close { handle });
    assert_eq!(rig.next().1.error(), Some(Error::Unsupported));
    rig.start(handle, Timer::after(std::time::Duration::ZERO));
    assert_eq!(rig.next().1.error(), Some(Error::Unsupported));
    rig.start(handle, Nop);
    assert_eq!(rig.next().1.error(), None);
}

#[test]
fn a_start_of_nothing_does_nothing() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    rig.backend.start(Token { index: 7, arming: 7 }, handle.slot(), &mut rig.done);
    let token = rig.recv(handle);
    // Started twice: the second time there is nothing to take away, and something is on its way there.
    rig.backend.start(token, handle.slot(), &mut rig.done);
    assert_eq!(rig.received(), Err(Error::Busy));
    far.write_all(b"bytes").unwrap();
    rig.look();
    rig.look();
    assert!(rig.done.is_empty());
    // The bytes went to the first, which had been ended over its head; its buffer is dropped.
    far.write_all(b"more").unwrap();
    rig.recv(handle);
    assert_eq!(rig.received().unwrap(), b"more");
}

#[test]
fn outcomes_that_their_queue_has_forgotten_are_dropped() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    let shared: std::sync::Arc<[u8]> = std::sync::Arc::from(vec![0; 64 << 20]);
    let receive = rig.recv(handle);
    let send = rig.send_all(handle, std::sync::Arc::clone(&shared));
    rig.look();
    rig.done = proactor_core::Done::new();
    far.write_all(b"bytes").unwrap();
    rig.look();
    assert!(!rig.cancel(receive, handle), "it has ended");
    assert!(rig.cancel(send, handle));
    while std::sync::Arc::strong_count(&shared) > 1 {
        rig.look();
    }
    assert!(rig.done.is_empty());
    rig.close(handle);
}

/// How many operations [`operation`] knows; the last needs no slot.
const OPERATIONS: u8 = 22;

fn descriptor() -> OwnedFd {
    File::open("/dev/null").unwrap().into()
}

fn operation(number: u8, handle: Handle) -> Operation {
    match number {
        0 => Accept { listener: handle }.into(),
        1 => AcceptMany { listener: handle }.into(),
        2 => Connect { handle, address: "127.0.0.1:1".parse().unwrap() }.into(),
        3 => Recv { handle, buffer: Buffer::zeroed(16) }.into(),
        4 => Recv { handle, buffer: Vec::new().into() }.into(),
        5 => Send { handle, buffer: Buffer::zeroed(1 << 20) }.into(),
        6 => Send { handle, buffer: Buffer::from(b"") }.into(),
        7 => SendAll { handle, buffer: Buffer::zeroed(1 << 20) }.into(),
        8 => Shutdown { handle, how: ShutdownHow::Write }.into(),
        9 => RecvFrom { handle, buffer: Buffer::zeroed(16), peer: Peer::default() }.into(),
        10 => SendTo {
            handle,
            buffer: Buffer::zeroed(16),
            peer: "127.0.0.1:1".parse::<Address>().unwrap().into(),
        }
        .into(),
        11 => SendTo { handle, buffer: Buffer::from(b""), peer: Peer::default() }.into(),
        12 => Poll { handle, interest: Interest::READABLE | Interest::PRIORITY }.into(),
        13 => PollMany { handle, interest: Interest::READABLE | Interest::WRITABLE }.into(),
        14 => RecvMsg { handle, buffer: Buffer::zeroed(16), envelope: Envelope::with_room(3) }.into(),
        15 => {
            SendMsg { handle, buffer: Buffer::from(b"with it"), envelope: vec![descriptor()].into() }.into()
        }
        16 => SendMsg { handle, buffer: Buffer::from(b""), envelope: Envelope::default() }.into(),
        17 => ReadVectored { handle, buffers: vec![Buffer::zeroed(1), Buffer::zeroed(16)] }.into(),
        18 => ReadVectoredExact { handle, buffers: vec![Buffer::zeroed(1), Buffer::zeroed(16)] }.into(),
        19 => WriteVectoredAll { handle, buffers: vec![Buffer::zeroed(1 << 19), Buffer::zeroed(1 << 19)] }
            .into(),
        20 => ReadVectoredExactAt { handle, buffers: vec![Buffer::zeroed(16)], offset: 0 }.into(),
        _ => Nop.into(),
    }
}

/// One call; slots and tokens are few, so that they meet.
#[derive(Clone, Debug)]
enum Call {
    Attach(u32, u8),
    Detach(u32),
    Close(u32),
    Socket(u32),
    Start(u32, u32, u8),
    Cancel(u32, u32),
    Look,
    /// A peer comes to every listener, and writes and reads on every connection.
    Visit,
}

const SLOTS: u32 = 4;
const TOKENS: u32 = 6;

fn call() -> impl Strategy<Value = Call> {
    let (slot, token) = (0..SLOTS, 0..TOKENS);
    prop_oneof![
        3 => (slot.clone(), 0..5_u8).prop_map(|(slot, kind)| Call::Attach(slot, kind)),
        1 => slot.clone().prop_map(Call::Detach),
        1 => slot.clone().prop_map(Call::Close),
        1 => slot.clone().prop_map(Call::Socket),
        6 => (slot.clone(), token.clone(), 0..OPERATIONS)
            .prop_map(|(slot, token, number)| Call::Start(slot, token, number)),
        2 => (slot, token).prop_map(|(slot, token)| Call::Cancel(slot, token)),
        2 => Just(Call::Look),
        1 => Just(Call::Visit),
    ]
}

/// The peers of what was attached.
#[derive(Default)]
struct Peers {
    streams: Vec<TcpStream>,
    listeners: Vec<std::net::SocketAddr>,
    datagrams: Vec<UnixDatagram>,
}

impl Peers {
    fn descriptor(&mut self, kind: u8) -> OwnedFd {
        match kind {
            0 => {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                self.listeners.push(listener.local_addr().unwrap());
                listener.into()
            }
            1 => UdpSocket::bind("127.0.0.1:0").unwrap().into(),
            2 => descriptor(),
            3 => {
                let (near, far) = UnixDatagram::pair().unwrap();
                far.send(b"from far").unwrap();
                self.datagrams.push(far);
                near.into()
            }
            _ => {
                let (near, far) = tcp_pair();
                far.set_nonblocking(true).unwrap();
                self.streams.push(far);
                near.into()
            }
        }
    }

    fn visit(&mut self) {
        for address in &self.listeners {
            // Refused where the listener was closed.
            let _ = TcpStream::connect(address);
        }
        for stream in &mut self.streams {
            let _ = stream.write(b"bytes");
            let _ = std::io::Read::read(stream, &mut [0; 4096]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is called, every start ends once, and nothing else does.
    #[test]
    fn every_start_ends_once(entries in 1..4_u32, calls in prop::collection::vec(call(), 0..60)) {
        let mut rig = Rig::with_entries(entries);
        let mut peers = Peers::default();
        let mut tokens = vec![Token { index: 99, arming: 0 }; TOKENS as usize];
        let mut open: HashSet<Token> = HashSet::new();
        let handle = rig.done.new_handle();
        for call in calls {
            match call {
                Call::Attach(slot, kind) => {
                    let _ = rig.backend.attach(Slot(slot), peers.descriptor(kind));
                }
                Call::Detach(slot) => drop(rig.backend.detach(Slot(slot))),
                Call::Close(slot) => drop(rig.backend.close(Slot(slot))),
                Call::Socket(slot) => drop(rig.backend.socket(Slot(slot), Family::Ipv4, SocketKind::Stream)),
                Call::Start(slot, index, number) => {
                    let token = rig.done.submit(operation(number, handle));
                    prop_assert!(open.insert(token));
                    tokens[index as usize] = token;
                    rig.backend.start(token, Slot(slot), &mut rig.done);
                }
                Call::Cancel(slot, index) => {
                    let token = tokens[index as usize];
                    let held = rig.backend.cancel(token, Slot(slot), &mut rig.done);
                    prop_assert!(!held || open.contains(&token));
                }
                Call::Look => rig.look(),
                Call::Visit => peers.visit(),
            }
            collect(&mut rig, &mut open)?;
        }
        let deadline = rig.backend.now() + std::time::Duration::from_secs(20);
        while !open.is_empty() {
            prop_assert!(rig.backend.now() < deadline, "{open:?} has not ended");
            for token in &open {
                for slot in 0..SLOTS {
                    rig.backend.cancel(*token, Slot(slot), &mut rig.done);
                }
            }
            rig.look();
            collect(&mut rig, &mut open)?;
        }
        prop_assert_eq!(rig.backend.requests.strays(), 0);
    }
}

/// Takes the outcomes that are there, each of which has to be of something open.
fn collect(rig: &mut Rig, open: &mut HashSet<Token>) -> Result<(), TestCaseError> {
    while let Some((token, outcome)) = rig.done.pop() {
        if let Outcome::AcceptManyItem(connection) = &outcome {
            prop_assert!(open.contains(&token) && rig.backend.close(connection.handle.slot()).is_ok());
        } else if outcome.is_more() {
            prop_assert!(open.contains(&token));
        } else {
            prop_assert!(open.remove(&token), "{outcome:?} was not asked for");
        }
    }
    Ok(())
}
