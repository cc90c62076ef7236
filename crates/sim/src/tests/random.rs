//! Any sequence of calls, sensible or not: nothing panics, each started token ends exactly once.

use proptest::prelude::*;

use super::*;
use crate::{
    AcceptMany, Envelope, Membership, Peer, RecvFrom, RecvMsg, SendMsg, SendTo, Slot, UnixAddress, Unlink,
};

/// How many slots the calls are about; few, so that they meet.
const SLOTS: u32 = 6;

#[derive(Clone, Debug)]
enum Call {
    Open(Family, SocketKind),
    Close,
    Control(Control),
    Accept,
    AcceptMany,
    Connect(Address),
    Recv(usize),
    Send(usize),
    SendAll(usize),
    RecvFrom(usize),
    SendTo(usize, Peer),
    RecvMsg(usize),
    SendMsg(usize, Peer),
    Shutdown(ShutdownHow),
    Cancel(u32),
    /// Of a path that is a Unix socket's name.
    Unlink,
    Wait,
}

/// Few ports, so that they meet too; 0 among them.
fn address() -> impl Strategy<Value = Address> {
    let inet = (prop_oneof![Just("127.0.0.1"), Just("[::1]"), Just("[::]"), Just("239.1.2.3")], 0..3_u8)
        .prop_map(|(ip, port)| format!("{ip}:{port}").parse().unwrap());
    let local = prop_oneof![
        Just(UnixAddress::unnamed()),
        Just(UnixAddress::abstract_name(b"00001").unwrap()),
        Just(UnixAddress::path("/tmp/one").unwrap()),
        Just(UnixAddress::path("/dev/null").unwrap()),
    ];
    prop_oneof![inet, local.prop_map(Address::from)]
}

fn option() -> impl Strategy<Value = SocketOption> {
    let membership = Membership { group: "239.1.2.3".parse().unwrap(), interface: 0 };
    prop_oneof![
        Just(SocketOption::JoinMulticast(membership)),
        Just(SocketOption::LeaveMulticast(membership)),
        any::<bool>().prop_map(SocketOption::ReuseAddress),
        any::<bool>().prop_map(SocketOption::ReusePort),
        any::<bool>().prop_map(SocketOption::V6Only),
        (0..10_000_u32).prop_map(SocketOption::ReceiveBuffer),
        (0..10_000_u32).prop_map(SocketOption::SendBuffer),
        Just(SocketOption::Linger(Some(std::time::Duration::ZERO))),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    let family = prop_oneof![Just(Family::Ipv4), Just(Family::Ipv6), Just(Family::Unix), Just(Family::Unix)];
    let kind = prop_oneof![Just(SocketKind::Stream), Just(SocketKind::Datagram)];
    let peer = prop_oneof![Just(Peer::default()), address().prop_map(Peer::from)];
    let how = prop_oneof![Just(ShutdownHow::Read), Just(ShutdownHow::Write), Just(ShutdownHow::Both)];
    let len = 0..20_000_usize;
    prop_oneof![
        3 => (family, kind).prop_map(|(family, kind)| Call::Open(family, kind)),
        1 => Just(Call::Close),
        2 => address().prop_map(|address| Call::Control(Control::Bind(address))),
        2 => (0..3_u32).prop_map(|backlog| Call::Control(Control::Listen(backlog))),
        1 => option().prop_map(|option| Call::Control(Control::Set(option))),
        2 => Just(Call::Accept),
        1 => Just(Call::AcceptMany),
        4 => address().prop_map(Call::Connect),
        3 => len.clone().prop_map(Call::Recv),
        2 => len.clone().prop_map(Call::Send),
        2 => len.clone().prop_map(Call::SendAll),
        2 => len.clone().prop_map(Call::RecvFrom),
        3 => (len.clone(), peer.clone()).prop_map(|(len, peer)| Call::SendTo(len, peer)),
        2 => len.clone().prop_map(Call::RecvMsg),
        3 => (len, peer).prop_map(|(len, peer)| Call::SendMsg(len, peer)),
        1 => how.prop_map(Call::Shutdown),
        1 => (0..200_u32).prop_map(Call::Cancel),
        1 => Just(Call::Unlink),
        4 => Just(Call::Wait),
    ]
}

impl Bed {
    /// Makes the call on `slot`; `handle` is only what its operation names.
    fn call(&mut self, slot: Slot, call: Call, handle: Handle) {
        // What those say that answer at once is another test's business.
        let operation: Operation = match call {
            Call::Open(family, kind) => {
                _ = self.sim.socket(slot, family, kind);
                return;
            }
            Call::Close => {
                _ = self.sim.close(slot);
                return;
            }
            Call::Control(control) => {
                _ = self.sim.control(slot, control);
                return;
            }
            Call::Accept => Accept { listener: handle }.into(),
            Call::AcceptMany => AcceptMany { listener: handle }.into(),
            Call::Connect(address) => Connect { handle, address }.into(),
            Call::Recv(len) => Recv { handle, buffer: Buffer::zeroed(len) }.into(),
            Call::Send(len) => Send { handle, buffer: Buffer::zeroed(len) }.into(),
            Call::SendAll(len) => SendAll { handle, buffer: Buffer::zeroed(len) }.into(),
            Call::RecvFrom(len) => {
                RecvFrom { handle, buffer: Buffer::zeroed(len), peer: Peer::default() }.into()
            }
            Call::SendTo(len, peer) => SendTo { handle, buffer: Buffer::zeroed(len), peer }.into(),
            Call::RecvMsg(len) => {
                RecvMsg { handle, buffer: Buffer::zeroed(len), envelope: Envelope::with_room(1) }.into()
            }
            Call::SendMsg(len, peer) => {
                let mut envelope = Envelope::default();
                envelope.set_address(peer.address().cloned());
                SendMsg { handle, buffer: Buffer::zeroed(len), envelope }.into()
            }
            Call::Shutdown(how) => Shutdown { handle, how }.into(),
            Call::Unlink => Unlink { directory: None, path: "/tmp/one".into() }.into(),
            Call::Cancel(index) => {
                let unknown = Token { index, arming: 7 };
                let token = self.started.get(index as usize).copied().unwrap_or(unknown);
                self.sim.cancel(token, slot, &mut self.done);
                return self.collect();
            }
            Call::Wait => {
                self.sim.wait(Until::Now, &mut self.done).unwrap();
                return self.collect();
            }
        };
        let token = self.done.submit(operation);
        self.started.push(token);
        self.sim.start(token, slot, &mut self.done);
        self.collect();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_token_ends_exactly_once(seed: u64, calls in prop::collection::vec((0..SLOTS, call()), 1..200)) {
        let mut bed = Bed::with_seed(seed);
        // Something to be hostile to: a full listener and a connection.
        let (handle, address) = bed.listener("127.0.0.1:1", 0);
        bed.connect(&address);
        bed.connect(&address);
        bed.pair();
        let first = bed.started.len();
        for (slot, call) in calls {
            bed.call(Slot(slot), call, handle);
        }
        bed.settle();
        // Accepted sockets are beyond the slots that were named.
        for slot in 0..300 {
            _ = bed.sim.close(Slot(slot));
        }
        bed.settle();
        prop_assert_eq!(bed.sim.network.sockets.len(), 0, "a socket was left behind");
        for token in &bed.started[first..] {
            let outcomes = bed.outcomes.get(token).map_or(&[][..], Vec::as_slice);
            let last = outcomes.len().checked_sub(1);
            let finals: Vec<_> = (0..outcomes.len()).filter(|&at| !outcomes[at].is_more()).collect();
            prop_assert_eq!(&finals, &Vec::from_iter(last), "{:?}: {:?}", token, outcomes);
            prop_assert!(last.is_some(), "{:?} never ended", token);
        }
    }
}
