//! Calls that no driver makes: duplicate tokens, slots never attached or taken, two operations in one direction.

use std::collections::HashMap;
use std::fs::File;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use proactor_core::{
    Accept, AcceptMany, Address, Backend, Buffer, Close, Connect, Control, Envelope, Error, Family, Handle,
    Interest, Nop, Operation, Peer, Poll, PollMany, ReadVectored, ReadVectoredAt, ReadVectoredExact, Recv,
    RecvFrom, RecvMsg, Reply, Send, SendAll, SendMsg, SendTo, Shutdown, ShutdownHow, Slot, SocketKind,
    SocketOption, Timer, Token, WriteVectoredAll,
};
use proptest::prelude::*;

use super::Rig;

#[test]
fn a_slot_that_was_never_attached_is_stale() {
    let mut rig = Rig::new();
    let (handle, _far) = rig.pair();
    for slot in [Slot(1), Slot(1000), Slot(u32::MAX)] {
        assert_eq!(rig.backend.detach(slot).map(drop), Err(Error::StaleHandle));
        assert_eq!(rig.backend.close(slot), Err(Error::StaleHandle));
        assert_eq!(rig.backend.control(slot, Control::LocalAddress), Err(Error::StaleHandle));
        let token = Token { index: 1, arming: 1 };
        assert!(!rig.backend.cancel(token, slot, &mut rig.done));
        for number in 0..OPERATIONS - 1 {
            let token = rig.done.submit(operation(number, handle));
            rig.backend.start(token, slot, &mut rig.done);
            let (_, outcome) = rig.done.pop().unwrap();
            assert_eq!(outcome.error(), Some(Error::StaleHandle), "{outcome:?}");
        }
    }
    assert!(rig.done.is_empty());
}

#[test]
fn a_second_operation_in_one_direction_is_refused_and_the_first_goes_on() {
    let mut rig = Rig::new();
    let (handle, far) = rig.pair();
    let first = rig.recv(handle);
    rig.recv(handle);
    assert_eq!(rig.received(), Err(Error::Busy));
    rig.start(handle, Accept { listener: handle });
    assert_eq!(rig.next().1.error(), Some(Error::Busy));
    let fill = rig.start(handle, SendAll { handle, buffer: Buffer::zeroed(32 << 20) });
    for operation in [
        Operation::from(Send { handle, buffer: Buffer::from(b"bytes") }),
        Shutdown { handle, how: ShutdownHow::Both }.into(),
        Connect { handle, address: "127.0.0.1:1".parse().unwrap() }.into(),
    ] {
        rig.start(handle, operation);
        assert_eq!(rig.next().1.error(), Some(Error::Busy));
    }
    // Nor does the descriptor go while they wait.
    assert_eq!(rig.backend.close(handle.slot()), Err(Error::Busy));
    assert_eq!(rig.backend.detach(handle.slot()).map(drop), Err(Error::Busy));
    std::io::Write::write_all(&mut &far, b"bytes").unwrap();
    let (token, outcome) = rig.next();
    assert_eq!((token, outcome.error()), (first, None));
    // A cancel with the wrong slot, or the wrong arming, is not one.
    let other = rig.pair().0;
    assert!(!rig.cancel(fill, other));
    assert!(!rig.cancel(Token { arming: 1, ..fill }, handle));
    assert!(rig.cancel(fill, handle));
}

#[test]
fn what_is_not_the_backends_is_unsupported() {
    let mut rig = Rig::new();
    let (handle, _far) = rig.pair();
    rig.start(handle, Close { handle });
    assert_eq!(rig.next().1.error(), Some(Error::Unsupported));
    rig.start(handle, Timer::after(Duration::ZERO));
    assert_eq!(rig.next().1.error(), Some(Error::Unsupported));
    rig.start(handle, Nop);
    assert_eq!(rig.next().1.error(), None);
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
        20 => ReadVectoredAt { handle, buffers: vec![Buffer::zeroed(0)], offset: 0 }.into(),
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
    Control(u32, u8),
    /// On a slot, a token of before by its number, or a fresh one if there are fewer.
    Start(u32, u32, u8),
    Cancel(u32, u32),
    Look,
    Visit,
}

/// How long a visitor waits for a listener.
const MOMENT: Duration = Duration::from_millis(50);

const SLOTS: u32 = 4;
const TOKENS: u32 = 6;

fn call() -> impl Strategy<Value = Call> {
    let (slot, token) = (0..SLOTS, 0..TOKENS);
    prop_oneof![
        3 => (slot.clone(), 0..6_u8).prop_map(|(slot, kind)| Call::Attach(slot, kind)),
        1 => slot.clone().prop_map(Call::Detach),
        1 => slot.clone().prop_map(Call::Close),
        1 => slot.clone().prop_map(Call::Socket),
        1 => (slot.clone(), 0..3_u8).prop_map(|(slot, number)| Call::Control(slot, number)),
        6 => (slot.clone(), prop_oneof![token.clone(), Just(u32::MAX)], 0..OPERATIONS)
            .prop_map(|(slot, token, number)| Call::Start(slot, token, number)),
        2 => (slot, token).prop_map(|(slot, token)| Call::Cancel(slot, token)),
        3 => Just(Call::Look),
        1 => Just(Call::Visit),
    ]
}

/// What the calls act on, and what they have to lead to.
struct World {
    rig: Rig,
    handle: Handle,
    /// Where the listener of the last attach waits for visitors.
    address: Option<Address>,
    kept: Vec<OwnedFd>,
    /// Starts less final outcomes, by token.
    open: HashMap<Token, i32>,
    /// The tokens, those started last first.
    tokens: Vec<Token>,
}

impl World {
    fn new() -> Self {
        let mut rig = Rig::new();
        let handle = rig.done.new_handle();
        Self { rig, handle, address: None, kept: Vec::new(), open: HashMap::new(), tokens: Vec::new() }
    }

    fn descriptor(&mut self, kind: u8) -> OwnedFd {
        match kind {
            0 | 1 => {
                let (near, far) = super::tcp_pair();
                self.kept.push(far.into());
                near.into()
            }
            2 => {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                self.address = listener.local_addr().ok().map(Address::from);
                listener.into()
            }
            3 => UdpSocket::bind("127.0.0.1:0").unwrap().into(),
            4 => {
                let (near, far) = UnixDatagram::pair().unwrap();
                far.send(b"from far").unwrap();
                self.kept.push(far.into());
                near.into()
            }
            _ => descriptor(),
        }
    }

    fn make(&mut self, call: &Call) {
        match *call {
            Call::Attach(slot, kind) => {
                let descriptor = self.descriptor(kind);
                if let Err((error, _)) = self.rig.backend.attach(Slot(slot), descriptor) {
                    assert_eq!(error, Error::Busy);
                }
            }
            Call::Detach(slot) => drop(self.rig.backend.detach(Slot(slot))),
            Call::Close(slot) => drop(self.rig.backend.close(Slot(slot))),
            Call::Socket(slot) => drop(self.rig.backend.socket(Slot(slot), Family::Ipv4, SocketKind::Stream)),
            Call::Control(slot, number) => {
                let control = [
                    Control::Bind("127.0.0.1:0".parse().unwrap()),
                    Control::Listen(4),
                    Control::Set(SocketOption::SendBuffer(1)),
                ];
                let reply = self.rig.backend.control(Slot(slot), control[usize::from(number)].clone());
                assert!(!matches!(reply, Ok(Reply::Address(_))));
            }
            Call::Start(slot, index, number) => {
                // A token of before, whatever became of it, or a fresh one.
                let before = self.tokens.get(index as usize).copied();
                let token = before.unwrap_or_else(|| {
                    let token = self.rig.done.submit(operation(number, self.handle));
                    self.open.insert(token, 1);
                    token
                });
                if before.is_none() {
                    self.tokens.push(token);
                    self.tokens.rotate_right(1);
                }
                self.rig.backend.start(token, Slot(slot), &mut self.rig.done);
            }
            Call::Cancel(slot, index) => {
                let before = self.rig.done.len();
                let unknown = Token { index, arming: 7 };
                let token = self.tokens.get(index as usize).copied().unwrap_or(unknown);
                let held = self.rig.backend.cancel(token, Slot(slot), &mut self.rig.done);
                assert_eq!(self.rig.done.len() - before, usize::from(held));
            }
            Call::Look => self.rig.look(),
            Call::Visit => {
                if let Some(address) = self.address.as_ref().and_then(Address::as_inet) {
                    // One whose queue is full answers nobody, and who may wait would try again for two minutes.
                    let stream = TcpStream::connect_timeout(&address, MOMENT);
                    self.kept.extend(stream.map(OwnedFd::from));
                }
            }
        }
        while let Some((token, outcome)) = self.rig.done.pop() {
            if !outcome.is_more() {
                *self.open.entry(token).or_default() -= 1;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is called, each start has exactly one final outcome.
    #[test]
    fn every_start_ends_once(calls in prop::collection::vec(call(), 1..80)) {
        let mut world = World::new();
        for call in &calls {
            world.make(call);
            prop_assert!(world.open.values().all(|open| *open >= 0), "{:?}", world.open);
        }
        // Accepted connections have slots of their own, on which nothing was started.
        for slot in 0..SLOTS {
            for token in 0..world.tokens.len() {
                world.make(&Call::Cancel(slot, token as u32));
            }
        }
        prop_assert!(world.open.values().all(|open| *open == 0), "{:?}", world.open);
    }
}
