//! Sockets as the loop opens them: addresses, options, listeners (contract R4, E1), and what the probe found (E2).

use std::net::TcpListener;

use proactor_core::{
    Accept, Backend, Close, Connect, Error, Family, ListenOptions, Recv, SendAll, SocketOption,
};

use crate::Fixture;
use crate::expected::{CHECKED_IN, Matrix};
use crate::steps::{IPV4, IPV6, Steps, address, join_at, listener};

/// The probe found what this column has, and nothing that it lacks.
pub(crate) fn the_column_has_its_capabilities<B: Backend>(fixture: &Fixture<B>) {
    let capabilities = fixture.capabilities();
    assert_eq!(Matrix::parse(CHECKED_IN).column_deviations(B::NAME, capabilities), [""; 0]);
    if capabilities.descriptors {
        assert_eq!(capabilities.ipv4, TcpListener::bind(IPV4).is_ok());
        assert_eq!(capabilities.ipv6, TcpListener::bind(IPV6).is_ok());
    }
    let mut ev = fixture.open();
    assert_eq!(ev.context().capabilities(), *capabilities);
    for (family, present) in [(Family::Ipv4, capabilities.ipv4), (Family::Ipv6, capabilities.ipv6)] {
        match ev.context().socket(family) {
            Ok(_) => assert!(present, "{family:?}"),
            Err(error) => assert_eq!((error, present), (Error::Unsupported, false), "{family:?}"),
        }
    }
    assert_eq!(ev.context().backend_faults(), 0);
}

/// Descriptors are attached and detached where there are any, and otherwise refused in so many words.
pub(crate) fn detach_is_unsupported_where_there_are_no_descriptors<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let detached = ev.context().detach(client).map(drop);
    if fixture.capabilities().descriptors {
        assert_eq!(detached, Ok(()));
        assert_eq!(ev.complete(Recv { handle: server, buffer: vec![0; 8].into() }).result, Ok(0));
        return;
    }
    assert_eq!(detached, Err(Error::Unsupported));
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"still".into() }).result, Ok(()));
    assert_eq!(ev.complete(Recv { handle: server, buffer: vec![0; 8].into() }).result, Ok(5));
    let descriptor = TcpListener::bind(IPV4).unwrap();
    let rejected = ev.context().attach(descriptor).unwrap_err();
    assert_eq!(rejected.error, Error::Unsupported);
    assert!(TcpListener::from(rejected.descriptor).local_addr().is_ok(), "and it comes back unharmed");
}

/// Opened, bound and listened to in single steps, with every option set before.
pub(crate) fn a_listener_in_single_steps<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let mut cx = ev.context();
    let listener = cx.socket(Family::Ipv4).unwrap();
    for option in [
        SocketOption::ReuseAddress(true),
        SocketOption::ReusePort(true),
        SocketOption::ReceiveBuffer(64 << 10),
        SocketOption::SendBuffer(64 << 10),
    ] {
        assert_eq!(cx.set(listener, option), Ok(()), "{option:?}");
    }
    assert_eq!(cx.listen_on(listener, 0), Err(Error::InvalidInput));
    assert_eq!(cx.bind(listener, address(IPV4)), Ok(()));
    assert_eq!(cx.listen_on(listener, 5), Ok(()));
    let bound = cx.local_address(listener).unwrap();
    assert_ne!(bound.as_inet().unwrap().port(), 0);
    let (client, server) = join_at(&mut ev, &mut (), listener, &bound);
    for handle in [client, server] {
        for option in [SocketOption::NoDelay(true), SocketOption::NoDelay(false), SocketOption::Linger(None)]
        {
            assert_eq!(ev.context().set(handle, option), Ok(()), "{option:?}");
        }
    }
}

/// All options at once, and each of them alone.
pub(crate) fn listen_takes_its_options<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let mut small = ListenOptions::default();
    (small.backlog, small.reuse_address, small.reuse_port) = (1, false, true);
    (small.receive_buffer, small.send_buffer, small.v6_only) = (Some(16 << 10), Some(16 << 10), Some(true));
    for options in [ListenOptions::default(), small] {
        let listener = ev.context().listen(address(IPV4), options).unwrap();
        let bound = ev.context().local_address(listener).unwrap();
        join_at(&mut ev, &mut (), listener, &bound);
    }
    let mut none = ListenOptions::default();
    none.backlog = 0;
    assert_eq!(ev.context().listen(address(IPV4), none).map(drop), Err(Error::InvalidInput));
}

/// Two listeners share a port where both ask for it, and not otherwise.
pub(crate) fn a_port_is_shared_only_by_those_who_ask<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let mut shared = ListenOptions::default();
    shared.reuse_port = true;
    let mut cx = ev.context();
    let first = cx.listen(address(IPV4), shared.clone()).unwrap();
    let bound = cx.local_address(first).unwrap();
    assert!(cx.listen(bound.clone(), ListenOptions::default()).is_err());
    let second = cx.listen(bound.clone(), shared).unwrap();
    assert_eq!(cx.local_address(second), Ok(bound.clone()));
    let accepts = [first, second].map(|listener| ev.start(Accept { listener }));
    let mut clients = Vec::new();
    for _ in 0..4 {
        let handle = ev.context().socket(Family::Ipv4).unwrap();
        assert_eq!(ev.complete(Connect { handle, address: bound.clone() }).result, Ok(()));
        clients.push(handle);
    }
    ev.until(|| accepts.iter().any(|accept| accept.is_done()));
}

/// A port that was listened to, with connections that lived on it, can be listened to again at once.
pub(crate) fn an_address_is_reused_at_once<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (first, bound) = ev.listener();
    for _ in 0..3 {
        let (client, server) = join_at(&mut ev, &mut (), first, &bound);
        // The side that closes first is the one whose port lingers.
        assert_eq!(ev.complete(Close { handle: server }).result, Ok(()));
        assert_eq!(ev.complete(Recv { handle: client, buffer: vec![0; 8].into() }).result, Ok(0));
        ev.context().close(client);
    }
    assert_eq!(ev.complete(Close { handle: first }).result, Ok(()));
    let again = ev.context().listen(bound.clone(), ListenOptions::default()).unwrap();
    join_at(&mut ev, &mut (), again, &bound);
}

/// An IPv6 listener takes IPv4 connections too unless it is told not to.
pub(crate) fn v6_only_is_honoured<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    for v6_only in [true, false] {
        let mut options = ListenOptions::default();
        options.v6_only = Some(v6_only);
        let listener = ev.context().listen(address("[::]:0"), options).unwrap();
        let port = ev.context().local_address(listener).unwrap().as_inet().unwrap().port();
        let client = ev.context().socket(Family::Ipv4).unwrap();
        let connected =
            ev.complete(Connect { handle: client, address: address(&format!("127.0.0.1:{port}")) });
        if v6_only {
            assert_eq!(connected.result.map_err(Error::kind), Err(std::io::ErrorKind::ConnectionRefused));
        } else {
            assert_eq!(connected.result, Ok(()));
            let (_, peer) = ev.complete(Accept { listener }).result.unwrap();
            assert_eq!(peer.family(), Family::Ipv6, "mapped");
        }
        let client = ev.context().socket(Family::Ipv6).unwrap();
        let connected = ev.complete(Connect { handle: client, address: address(&format!("[::1]:{port}")) });
        assert_eq!(connected.result, Ok(()));
    }
}

/// The two families side by side in one loop.
pub(crate) fn both_families_side_by_side<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let four = listener(&mut ev.context(), IPV4);
    let six = listener(&mut ev.context(), IPV6);
    let four = join_at(&mut ev, &mut (), four.0, &four.1);
    let six = join_at(&mut ev, &mut (), six.0, &six.1);
    for ((client, server), text) in [(four, b"over four"), (six, b"over six!")] {
        assert_eq!(ev.complete(SendAll { handle: client, buffer: text.into() }).result, Ok(()));
        let received = ev.complete(Recv { handle: server, buffer: vec![0; 9].into() });
        assert_eq!((received.result, &received.buffer[..]), (Ok(9), &text[..]));
    }
}
