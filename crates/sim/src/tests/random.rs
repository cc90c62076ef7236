//! Any sequence of calls, sensible or not: nothing panics, each started token ends exactly once.

use proptest::prelude::*;

use super::*;
use crate::{AcceptMany, Slot};

/// How many slots the calls are about; few, so that they meet.
const SLOTS: u8 = 6;

#[derive(Clone, Debug)]
enum Call {
    Open(u8, Family),
    Close(u8),
    Bind(u8, u8, bool),
    Listen(u8, u8),
    Set(u8, SocketOption),
    Accept(u8),
    AcceptMany(u8),
    Connect(u8, u8, bool),
    Recv(u8, usize),
    Send(u8, usize),
    SendAll(u8, usize),
    Shutdown(u8, ShutdownHow),
    Cancel(u8, u32),
    Wait,
}

fn call() -> impl Strategy<Value = Call> {
    use Call::{
        Accept, AcceptMany, Bind, Cancel, Close, Connect, Listen, Open, Recv, Send, SendAll, Set, Shutdown,
    };
    let slot = 0..SLOTS;
    let how = prop_oneof![Just(ShutdownHow::Read), Just(ShutdownHow::Write), Just(ShutdownHow::Both)];
    let family = prop_oneof![Just(Family::Ipv4), Just(Family::Ipv6)];
    let option = prop_oneof![
        any::<bool>().prop_map(SocketOption::ReuseAddress),
        any::<bool>().prop_map(SocketOption::ReusePort),
        any::<bool>().prop_map(SocketOption::V6Only),
        (0..10_000_u32).prop_map(SocketOption::ReceiveBuffer),
        (0..10_000_u32).prop_map(SocketOption::SendBuffer),
        Just(SocketOption::Linger(Some(std::time::Duration::ZERO))),
    ];
    // Few ports too, 0 among them.
    prop_oneof![
        3 => (slot.clone(), family).prop_map(|(slot, family)| Open(slot, family)),
        1 => slot.clone().prop_map(Close),
        2 => (slot.clone(), 0..3_u8, any::<bool>()).prop_map(|(slot, port, six)| Bind(slot, port, six)),
        2 => (slot.clone(), 0..3_u8).prop_map(|(slot, backlog)| Listen(slot, backlog)),
        1 => (slot.clone(), option).prop_map(|(slot, option)| Set(slot, option)),
        2 => slot.clone().prop_map(Accept),
        1 => slot.clone().prop_map(AcceptMany),
        4 => (slot.clone(), 0..3_u8, any::<bool>()).prop_map(|(slot, port, six)| Connect(slot, port, six)),
        3 => (slot.clone(), 0..20_000_usize).prop_map(|(slot, len)| Recv(slot, len)),
        2 => (slot.clone(), 0..20_000_usize).prop_map(|(slot, len)| Send(slot, len)),
        2 => (slot.clone(), 0..20_000_usize).prop_map(|(slot, len)| SendAll(slot, len)),
        1 => (slot.clone(), how).prop_map(|(slot, how)| Shutdown(slot, how)),
        1 => (slot, 0..200_u32).prop_map(|(slot, index)| Cancel(slot, index)),
        4 => Just(Call::Wait),
    ]
}

fn address(port: u8, six: bool) -> Address {
    let ip = if six { "[::1]" } else { "127.0.0.1" };
    format!("{ip}:{port}").parse().unwrap()
}

impl Bed {
    /// Starts `operation` on `slot`, whatever handle it names.
    fn start_on(&mut self, slot: Slot, operation: impl Into<Operation>) {
        let token = Token { index: self.started, arming: 7 };
        self.started += 1;
        self.sim.start(token, slot, operation.into(), &mut self.done);
    }

    fn call(&mut self, call: &Call, handle: Handle) {
        // What these say is another test's business.
        let ignore = drop::<Result<Reply, Error>>;
        match *call {
            Call::Open(slot, family) => drop(self.sim.socket(Slot(slot.into()), family)),
            Call::Close(slot) => drop(self.sim.close(Slot(slot.into()))),
            Call::Bind(slot, port, six) => {
                ignore(self.sim.control(Slot(slot.into()), Control::Bind(address(port, six))));
            }
            Call::Listen(slot, backlog) => {
                ignore(self.sim.control(Slot(slot.into()), Control::Listen(backlog.into())));
            }
            Call::Set(slot, option) => ignore(self.sim.control(Slot(slot.into()), Control::Set(option))),
            Call::Accept(slot) => self.start_on(Slot(slot.into()), Accept { listener: handle }),
            Call::AcceptMany(slot) => self.start_on(Slot(slot.into()), AcceptMany { listener: handle }),
            Call::Connect(slot, port, six) => {
                self.start_on(Slot(slot.into()), Connect { handle, address: address(port, six) });
            }
            Call::Recv(slot, len) => {
                self.start_on(Slot(slot.into()), Recv { handle, buffer: Buffer::zeroed(len) });
            }
            Call::Send(slot, len) => {
                self.start_on(Slot(slot.into()), Send { handle, buffer: Buffer::zeroed(len) });
            }
            Call::SendAll(slot, len) => {
                self.start_on(Slot(slot.into()), SendAll { handle, buffer: Buffer::zeroed(len) });
            }
            Call::Shutdown(slot, how) => self.start_on(Slot(slot.into()), Shutdown { handle, how }),
            Call::Cancel(slot, index) => {
                self.sim.cancel(Token { index, arming: 7 }, Slot(slot.into()), &mut self.done);
            }
            Call::Wait => self.sim.wait(Until::Now, &mut self.done).unwrap(),
        }
        self.collect();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_token_ends_exactly_once(seed: u64, calls in prop::collection::vec(call(), 1..200)) {
        let mut bed = Bed::with_seed(seed);
        let handle = bed.done.new_handle();
        for call in &calls {
            bed.call(call, handle);
        }
        bed.settle();
        // Accepted sockets are beyond the slots that were named.
        for slot in 0..300 {
            drop(bed.sim.close(Slot(slot)));
        }
        bed.settle();
        prop_assert_eq!(bed.sim.network.sockets.len(), 0, "a socket was left behind");
        for index in 0..bed.started {
            let outcomes = bed.outcomes.get(&index).map_or(&[][..], Vec::as_slice);
            let last = outcomes.len().checked_sub(1);
            let finals: Vec<_> = (0..outcomes.len()).filter(|&at| !outcomes[at].is_more()).collect();
            prop_assert_eq!(&finals, &Vec::from_iter(last), "token {}: {:?}", index, outcomes);
            prop_assert!(last.is_some(), "token {} never ended", index);
        }
    }
}
