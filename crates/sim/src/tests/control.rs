use std::time::Duration;

use super::*;

/// Binds two sockets, after `set` on both, with `listen` between; tells what the second bind says.
fn bind_two(first: &str, second: &str, set: &[SocketOption], listens: Listens) -> Result<Reply, Error> {
    let mut bed = Bed::new();
    let (first, second): (Address, Address) = (first.parse().unwrap(), second.parse().unwrap());
    let one = bed.socket(first.family());
    let other = bed.socket(second.family());
    for &option in set {
        bed.set(one, option);
        bed.set(other, option);
    }
    assert_eq!(bed.control(one, Control::Bind(first)), Ok(Reply::Done));
    if listens == Listens::First {
        assert_eq!(bed.control(one, Control::Listen(1)), Ok(Reply::Done));
    }
    bed.control(other, Control::Bind(second))
}

#[derive(PartialEq)]
enum Listens {
    None,
    First,
}

#[test]
fn a_port_is_taken_where_addresses_overlap() {
    let reuse = [SocketOption::ReuseAddress(true)];
    let share = [SocketOption::ReusePort(true)];
    let in_use = || fault(Errno::ADDRINUSE);
    let free = || Ok(Reply::Done);
    assert_eq!(bind_two("127.0.0.1:7", "127.0.0.1:7", &[], Listens::None), in_use());
    assert_eq!(bind_two("127.0.0.1:7", "127.0.0.1:8", &[], Listens::None), free());
    assert_eq!(bind_two("127.0.0.1:7", "127.0.0.2:7", &[], Listens::First), free());
    assert_eq!(bind_two("0.0.0.0:7", "127.0.0.1:7", &[], Listens::None), in_use());
    assert_eq!(bind_two("127.0.0.1:7", "127.0.0.1:7", &reuse, Listens::None), free());
    assert_eq!(bind_two("127.0.0.1:7", "127.0.0.1:7", &reuse, Listens::First), in_use());
    assert_eq!(bind_two("127.0.0.1:7", "127.0.0.1:7", &share, Listens::First), free());
    assert_eq!(bind_two("[::]:7", "127.0.0.1:7", &[], Listens::None), in_use());
    assert_eq!(bind_two("127.0.0.1:7", "[::]:7", &[], Listens::None), in_use());
    assert_eq!(bind_two("[::1]:7", "127.0.0.1:7", &[], Listens::None), free());
    assert_eq!(bind_two("[::ffff:127.0.0.1]:7", "127.0.0.1:7", &[], Listens::None), in_use());
}

#[test]
fn v6_only_leaves_the_port_of_v4_free() {
    let mut bed = Bed::new();
    let six = bed.socket(Family::Ipv6);
    bed.set(six, SocketOption::V6Only(true));
    assert_eq!(bed.bind(six, "[::]:7"), Ok(Reply::Done));
    let four = bed.socket(Family::Ipv4);
    assert_eq!(bed.bind(four, "0.0.0.0:7"), Ok(Reply::Done));
    assert_eq!(bed.control(six, Control::Set(SocketOption::V6Only(false))), fault(Errno::INVAL));
    assert_eq!(bed.control(four, Control::Set(SocketOption::V6Only(true))), fault(Errno::NOPROTOOPT));
    let mapped = bed.socket(Family::Ipv6);
    bed.set(mapped, SocketOption::V6Only(true));
    assert_eq!(bed.bind(mapped, "[::ffff:127.0.0.1]:0"), fault(Errno::INVAL));
}

#[test]
fn addresses_that_do_not_fit_are_refused() {
    let mut bed = Bed::new();
    let four = bed.socket(Family::Ipv4);
    let six = bed.socket(Family::Ipv6);
    assert_eq!(bed.bind(four, "[::1]:7"), fault(Errno::AFNOSUPPORT));
    assert_eq!(bed.bind(six, "127.0.0.1:7"), fault(Errno::INVAL));
    assert_eq!(bed.bind(four, "192.0.2.1:7"), fault(Errno::ADDRNOTAVAIL));
    assert_eq!(bed.bind(six, "[2001:db8::1]:7"), fault(Errno::ADDRNOTAVAIL));
    assert_eq!(bed.bind(four, "127.0.0.1:7"), Ok(Reply::Done));
    assert_eq!(bed.bind(four, "127.0.0.1:8"), fault(Errno::INVAL));
}

#[test]
fn addresses_are_told_in_the_family_of_the_socket() {
    let mut bed = Bed::new();
    let four = bed.socket(Family::Ipv4);
    let six = bed.socket(Family::Ipv6);
    assert_eq!(bed.local(four).to_string(), "0.0.0.0:0");
    assert_eq!(bed.local(six).to_string(), "[::]:0");
    assert_eq!(bed.control(four, Control::PeerAddress), fault(Errno::NOTCONN));
    bed.bind(six, "[::ffff:127.0.0.3]:7").unwrap();
    assert_eq!(bed.local(six).to_string(), "[::ffff:127.0.0.3]:7");
    let (client, server) = bed.pair();
    let (near, far) = (bed.local(client), bed.local(server));
    assert_eq!(bed.control(client, Control::PeerAddress), Ok(Reply::Address(far)));
    assert_eq!(bed.control(server, Control::PeerAddress), Ok(Reply::Address(near)));
}

#[test]
fn ports_are_chosen_apart_until_none_is_left() {
    let mut bed = Bed::new();
    let (_, address) = bed.listener("127.0.0.1:7", 1);
    let mut ports = std::collections::BTreeSet::new();
    loop {
        let handle = bed.socket(Family::Ipv4);
        match bed.bind(handle, "127.0.0.1:0") {
            Ok(_) => assert!(ports.insert(bed.port(handle)), "the port was taken"),
            Err(error) => {
                assert_eq!(error, Errno::ADDRINUSE.into());
                break;
            }
        }
    }
    assert_eq!(ports.len(), 28_232);
    let (_, token) = bed.connect(&address);
    assert_eq!(bed.connected(token), fault(Errno::ADDRNOTAVAIL));
    let listener = bed.socket(Family::Ipv4);
    assert_eq!(bed.control(listener, Control::Listen(1)), fault(Errno::ADDRINUSE));
}

#[test]
fn a_closed_socket_gives_its_port_back_with_its_last_connection() {
    let mut bed = Bed::new();
    let (listener, address) = bed.listener("127.0.0.1:7", 1);
    let (client, _) = bed.connect(&address);
    let token = bed.start(Accept { listener });
    let (server, _) = bed.accepted(token).unwrap();
    bed.close(listener);
    let again = bed.socket(Family::Ipv4);
    assert_eq!(bed.bind(again, "127.0.0.1:7"), fault(Errno::ADDRINUSE));
    bed.close(client);
    bed.close(server);
    assert_eq!(bed.bind(again, "127.0.0.1:7"), Ok(Reply::Done));
}

#[test]
fn only_an_idle_socket_can_listen() {
    let mut bed = Bed::new();
    let listener = bed.socket(Family::Ipv6);
    assert_eq!(bed.control(listener, Control::Listen(1)), Ok(Reply::Done));
    assert_ne!(bed.port(listener), 0);
    assert_eq!(bed.control(listener, Control::Listen(5)), Ok(Reply::Done));
    let (client, _) = bed.pair();
    assert_eq!(bed.control(client, Control::Listen(1)), fault(Errno::INVAL));
    assert_eq!(bed.bind(client, "127.0.0.1:0"), fault(Errno::INVAL));
    let twins = [bed.socket(Family::Ipv4), bed.socket(Family::Ipv4)];
    for twin in twins {
        bed.set(twin, SocketOption::ReuseAddress(true));
        assert_eq!(bed.bind(twin, "127.0.0.1:7"), Ok(Reply::Done));
    }
    assert_eq!(bed.control(twins[0], Control::Listen(1)), Ok(Reply::Done));
    assert_eq!(bed.control(twins[1], Control::Listen(1)), fault(Errno::ADDRINUSE));
    assert_eq!(bed.start_and_fail_accept(twins[1]), Errno::INVAL.into());
}

impl Bed {
    fn start_and_fail_accept(&mut self, listener: Handle) -> Error {
        let token = self.start(Accept { listener });
        self.accepted(token).unwrap_err()
    }
}

#[test]
fn every_option_can_be_set() {
    let mut bed = Bed::new();
    let handle = bed.socket(Family::Ipv6);
    for option in [
        SocketOption::ReuseAddress(true),
        SocketOption::ReusePort(true),
        SocketOption::NoDelay(true),
        SocketOption::V6Only(true),
        SocketOption::ReceiveBuffer(0),
        SocketOption::SendBuffer(u32::MAX),
        SocketOption::Linger(Some(Duration::ZERO)),
        SocketOption::Linger(Some(Duration::MAX)),
        SocketOption::Linger(None),
    ] {
        bed.set(handle, option);
    }
}
