//! Datagrams over Unix sockets: their addresses of each form, and none; full queues; faults (contract R1, R4, H3, E1), and
//! how they are cancelled and closed (X2, C2, C5, H1, X5).

use std::os::unix::net::UnixDatagram;

use proactor_core::{
    Address, Backend, Buffer, Cancel, Close, Connect, Envelope, Error, Family, Handle, Loop, Peer, Recv,
    RecvFrom, Send, SendAll, SendMsg, SendTo, UnixAddress, Write, WriteAll,
};
use rustix::io::Errno;

use super::datagrams::{cut, message, recv_from, send_to, whole};
use super::unix::{
    Place, abstract_names_are_refused, assert_fault, does_as_linux, free_name, has_abstract_names, no_name,
    unnamed,
};
use crate::Fixture;
use crate::steps::{Captures, IPV4, Pending, Steps, address, system};

#[track_caller]
fn unbound<B: Backend>(ev: &mut Loop<B, ()>) -> Handle {
    ev.context().datagram_socket(Family::Unix).expect("a datagram socket")
}

/// A socket on a name of its own, and its address.
#[track_caller]
fn bound<B: Backend>(ev: &mut Loop<B, ()>) -> (Handle, Address) {
    let handle = unbound(ev);
    let name = free_name(ev);
    ev.context().bind(handle, name).expect("a free name");
    let address = ev.context().local_address(handle).expect("it is bound");
    (handle, address)
}

/// A socket that is connected to a bound one, and that.
#[track_caller]
fn connected<B: Backend>(ev: &mut Loop<B, ()>) -> (Handle, Handle) {
    let (server, address) = bound(ev);
    let client = unbound(ev);
    assert_eq!(ev.complete(Connect { handle: client, address }).result, Ok(()));
    (client, server)
}

/// Sends one message after the other until one has to wait: how many went, and the one that waits.
#[track_caller]
fn fill<B: Backend>(ev: &mut Loop<B, ()>, handle: Handle) -> (usize, Pending<proactor_core::Sent>) {
    for count in 0.. {
        let sent = ev.start(Send { handle, buffer: b"message".into() });
        ev.idle();
        if !sent.is_done() {
            assert!(count > 0, "an empty queue has room");
            return (count, sent);
        }
        assert_eq!(sent.take().result, Ok(7));
    }
    unreachable!("a queue without end")
}

/// By abstract name, the system's choice or ours: senders with a name tell it, others have none; a name goes with its socket.
/// Elsewhere than on Linux, such names are refused.
pub(crate) fn messages_by_abstract_name<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    if !has_abstract_names(fixture.capabilities()) {
        return abstract_names_are_refused(&mut ev);
    }
    let (server, to) = bound(&mut ev);
    assert!(to.as_unix().and_then(UnixAddress::as_abstract_name).is_some_and(|name| !name.is_empty()));
    let nameless = unbound(&mut ev);
    assert_eq!(ev.context().local_address(nameless), Ok(unnamed()));
    let received = ev.start(recv_from(server, 64));
    ev.no_wait();
    assert!(!received.is_done());
    let sent = ev.complete(send_to(nameless, b"nobody", &to));
    assert_eq!((sent.result, sent.peer.address()), (Ok(()), Some(&to)));
    let received = ev.finish(&received);
    assert_eq!((received.result, message(&received)), (whole(6), (&b"nobody"[..], None)));

    let name = format!("proactor\0{}\0{}\0datagrams", B::NAME, std::process::id());
    let ours = Address::from(UnixAddress::abstract_name(name.as_bytes()).unwrap());
    let named = unbound(&mut ev);
    ev.context().bind(named, ours.clone()).unwrap();
    assert_eq!(ev.complete(send_to(named, b"somebody", &to)).result, Ok(()));
    // Memory of an address that was somebody's is used again.
    let again = RecvFrom { handle: server, buffer: received.buffer, peer: Peer::from(to.clone()) };
    let received = ev.complete(again);
    assert_eq!(message(&received), (&b"somebody"[..], Some(&ours)));
    let answer = SendTo { handle: server, buffer: received.buffer.slice(..4), peer: received.peer };
    assert_eq!(ev.complete(answer).result, Ok(()));
    assert_eq!(message(&ev.complete(recv_from(named, 64))), (&b"some"[..], Some(&to)));

    let other = unbound(&mut ev);
    assert_eq!(ev.context().bind(other, ours.clone()), Err(system(Errno::ADDRINUSE)));
    assert_eq!(ev.complete(Close { handle: named }).result, Ok(()));
    let lost = ev.complete(send_to(server, b"lost", &ours)).result;
    assert_eq!(lost, Err(system(Errno::CONNREFUSED)));
    assert_eq!(ev.context().bind(other, ours.clone()), Ok(()));
    assert_eq!(ev.complete(send_to(server, b"found", &ours)).result, Ok(()));
    assert_eq!(ev.complete(recv_from(other, 64)).result, whole(5));
}

/// By path, with sockets of the standard library: the name stays when its socket is closed, and is in the way.
pub(crate) fn messages_by_path<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (here, there) = (Place::new::<B>("datagrams"), Place::new::<B>("std-datagrams"));
    let server = unbound(&mut ev);
    ev.context().bind(server, here.address()).unwrap();
    assert_eq!(ev.context().local_address(server), Ok(here.address()));
    let peer = UnixDatagram::bind(&there.0).unwrap();
    let received = ev.start(recv_from(server, 64));
    ev.no_wait();
    peer.send_to(b"from std", &here.0).unwrap();
    let received = ev.finish(&received);
    assert_eq!(message(&received), (&b"from std"[..], Some(&there.address())));
    let answer = SendTo { handle: server, buffer: b"to std".into(), peer: received.peer };
    assert_eq!(ev.complete(answer).result, Ok(()));
    let mut bytes = [0; 16];
    let (len, from) = peer.recv_from(&mut bytes).unwrap();
    assert_eq!((&bytes[..len], from.as_pathname()), (&b"to std"[..], Some(&*here.0)));

    assert_eq!(ev.complete(Close { handle: server }).result, Ok(()));
    let client = unbound(&mut ev);
    let refused = ev.complete(send_to(client, b"x", &here.address())).result;
    assert_eq!(refused, Err(system(Errno::CONNREFUSED)));
    assert_eq!(ev.context().bind(client, here.address()), Err(system(Errno::ADDRINUSE)));
    std::fs::remove_file(&here.0).unwrap();
    assert_eq!(ev.context().bind(client, here.address()), Ok(()));
    drop(peer);
    let gone = ev.complete(Connect { handle: client, address: there.address() }).result;
    assert_eq!(gone, Err(system(Errno::CONNREFUSED)));
}

/// A message is a message: empty ones are data, what does not fit is lost and told, and order holds.
pub(crate) fn messages_keep_their_bounds<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = connected(&mut ev);
    let texts = [&b"too long"[..], b"", b"fits", b"gone"];
    for text in texts {
        assert_eq!(ev.complete(Send { handle: client, buffer: text.into() }).result, Ok(text.len()));
    }
    let received = ev.complete(recv_from(server, 4));
    assert_eq!((received.result, message(&received).0), (cut(4), &b"too "[..]));
    assert_eq!(ev.complete(recv_from(server, 4)).result, whole(0));
    let received = ev.complete(recv_from(server, 4));
    assert_eq!((received.result, message(&received).0), (whole(4), &b"fits"[..]));
    assert_eq!(ev.complete(recv_from(server, 0)).result, cut(0));
    let received = ev.start(Recv { handle: server, buffer: Buffer::zeroed(4) });
    let empty = ev.start(Recv { handle: server, buffer: Buffer::zeroed(0) });
    let last = ev.start(Recv { handle: server, buffer: Buffer::zeroed(4) });
    ev.idle();
    assert!(!received.is_done() && !empty.is_done());
    let all = ev.complete(SendAll { handle: client, buffer: b"cut too".into() });
    assert_eq!((all.result, all.transferred), (Ok(()), 7));
    let received = ev.finish(&received);
    assert_eq!((received.result, &received.buffer[..]), (Ok(4), &b"cut "[..]));
    assert_eq!(ev.complete(Send { handle: client, buffer: Buffer::default() }).result, Ok(0));
    assert_eq!(ev.finish(&empty).result, Ok(0));
    assert!(!last.is_done());
    assert_eq!(ev.complete(Send { handle: client, buffer: b"last".into() }).result, Ok(4));
    assert_eq!(ev.finish(&last).result, Ok(4));
    // As long as the buffer for sending allows, or the system, and not longer.
    let len = if does_as_linux(fixture.capabilities()) { 30_000 } else { 2_000 };
    let long = ev.complete(Send { handle: client, buffer: vec![7; len].into() });
    assert_eq!(long.result, Ok(len));
    assert_eq!(ev.complete(recv_from(server, 40_000)).result, whole(len));
    let too_long = ev.complete(Send { handle: client, buffer: vec![7; 64 << 20].into() });
    assert_eq!((too_long.result, too_long.buffer.len()), (Err(system(Errno::MSGSIZE)), 64 << 20));
}

/// A connected one speaks with its peer alone: strangers are refused, elsewhere than on Linux by nobody. It can be connected to
/// another, and hears when its peer is gone.
pub(crate) fn a_connected_one_speaks_with_its_peer<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let refuses_strangers = does_as_linux(fixture.capabilities());
    let (client, from) = bound(&mut ev);
    let [(first, first_address), (second, second_address)] = [bound(&mut ev), bound(&mut ev)];
    assert_eq!(ev.context().peer_address(client), Err(system(Errno::NOTCONN)));
    let unsent = ev.complete(Send { handle: client, buffer: b"x".into() });
    assert_fault(fixture.capabilities(), unsent.result, Errno::NOTCONN);
    let unsent = ev.complete(SendTo { handle: client, buffer: b"x".into(), peer: Peer::default() });
    assert_fault(fixture.capabilities(), unsent.result, Errno::NOTCONN);

    // A send waits for its connect.
    let connecting = ev.start(Connect { handle: client, address: first_address.clone() });
    let sent = ev.start(Send { handle: client, buffer: b"hello".into() });
    ev.until(|| sent.is_done());
    assert_eq!((connecting.take().result, sent.take().result), (Ok(()), Ok(5)));
    assert_eq!(ev.context().peer_address(client), Ok(first_address));
    assert_eq!(message(&ev.complete(recv_from(first, 16))), (&b"hello"[..], Some(&from)));
    if refuses_strangers {
        let stranger = ev.complete(send_to(second, b"stranger", &from));
        assert_eq!((stranger.result, &stranger.buffer[..]), (Err(system(Errno::PERM)), &b"stranger"[..]));
    }
    assert_eq!(ev.complete(send_to(first, b"friend", &from)).result, Ok(()));
    assert_eq!(ev.complete(Recv { handle: client, buffer: Buffer::zeroed(16) }).result, Ok(6));

    assert_eq!(ev.complete(Connect { handle: client, address: second_address }).result, Ok(()));
    assert_eq!(
        ev.complete(SendTo { handle: client, buffer: b"second".into(), peer: Peer::default() }).result,
        Ok(())
    );
    assert_eq!(message(&ev.complete(recv_from(second, 16))), (&b"second"[..], Some(&from)));
    if refuses_strangers {
        assert_eq!(ev.complete(send_to(first, b"stranger", &from)).result, Err(system(Errno::PERM)));
    }
    assert_eq!(ev.complete(Close { handle: second }).result, Ok(()));
    let gone = ev.complete(Send { handle: client, buffer: b"gone".into() });
    assert_fault(fixture.capabilities(), gone.result, Errno::CONNREFUSED);
    assert_eq!(&gone.buffer[..], b"gone");
}

/// What `start` starts on `client` waits for its receiver's full queue, without keeping the loop busy, and then arrives
/// whole. Whatever waited before it was cancelled.
#[track_caller]
fn waits_for_room<B: Backend, T>(
    ev: &mut Loop<B, ()>,
    (client, server): (Handle, Handle),
    text: &str,
    start: impl FnOnce(&mut Loop<B, ()>, Buffer) -> Pending<T>,
) -> T {
    let (count, canceled) = fill(ev, client);
    assert_eq!(ev.cancel(canceled.key), Cancel::Requested);
    let canceled = ev.finish(&canceled);
    assert_eq!((canceled.result, &canceled.buffer[..]), (Err(Error::Canceled), &b"message"[..]));
    let waiting = start(ev, text.as_bytes().to_vec().into());
    ev.idle();
    let before = ev.context().turns();
    ev.idle();
    assert!(ev.context().turns() - before < 20, "the loop is kept busy");
    assert!(!waiting.is_done(), "there is no room");
    for _ in 0..count {
        let received = ev.complete(recv_from(server, 16));
        assert_eq!((received.result, message(&received).0), (whole(7), &b"message"[..]));
    }
    let outcome = ev.finish(&waiting);
    let received = ev.complete(recv_from(server, 16));
    assert_eq!((received.result, message(&received).0), (whole(text.len()), text.as_bytes()));
    outcome
}

/// Where the system lets nobody wait for a full queue: who finds no room is told so, with everything handed back, and may try
/// again.
#[track_caller]
fn a_full_receiver_is_told<B: Backend>(ev: &mut Loop<B, ()>) {
    let (client, server) = connected(ev);
    let send = || Send { handle: client, buffer: b"message".into() };
    let mut count = 0;
    let unsent = loop {
        let sent = ev.complete(send());
        if sent.result != Ok(7) {
            break sent;
        }
        count += 1;
    };
    assert!(count > 0, "an empty queue has room");
    assert_eq!((unsent.result, &unsent.buffer[..]), (Err(system(Errno::NOBUFS)), &b"message"[..]));
    assert!(unsent.result.is_err_and(Error::is_transient));
    for _ in 0..count {
        assert_eq!(message(&ev.complete(recv_from(server, 16))).0, b"message");
    }
    assert_eq!(ev.complete(send()).result, Ok(7));
    assert_eq!(message(&ev.complete(recv_from(server, 16))).0, b"message");
}

/// A connected sender waits while its receiver's queue is full, and is cancelled there; what waited arrives whole, whichever
/// operation sends it. Elsewhere than on Linux it is told that there is no room.
pub(crate) fn a_full_receiver_is_waited_for<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    if !does_as_linux(fixture.capabilities()) {
        return a_full_receiver_is_told(&mut ev);
    }
    let ends = connected(&mut ev);
    let handle = ends.0;
    let to = ev.context().local_address(ends.1).unwrap();
    let sent = waits_for_room(&mut ev, ends, "by send", |ev, buffer| ev.start(Send { handle, buffer }));
    assert_eq!(sent.result, Ok(7));
    let sent =
        waits_for_room(&mut ev, ends, "by send all", |ev, buffer| ev.start(SendAll { handle, buffer }));
    assert_eq!((sent.result, sent.transferred), (Ok(()), 11));
    let sent = waits_for_room(&mut ev, ends, "by write", |ev, buffer| ev.start(Write { handle, buffer }));
    assert_eq!(sent.result, Ok(8));
    let sent =
        waits_for_room(&mut ev, ends, "by write all", |ev, buffer| ev.start(WriteAll { handle, buffer }));
    assert_eq!((sent.result, sent.transferred), (Ok(()), 12));
    let sent = waits_for_room(&mut ev, ends, "to nobody", |ev, buffer| {
        ev.start(SendTo { handle, buffer, peer: Peer::default() })
    });
    assert_eq!(sent.result, Ok(()));
    let sent = waits_for_room(&mut ev, ends, "as a message", |ev, buffer| {
        ev.start(SendMsg { handle, buffer, envelope: Envelope::default() })
    });
    assert_eq!(sent.result, Ok(12));
    let sent = waits_for_room(&mut ev, ends, "named, as one", |ev, buffer| {
        ev.start(SendMsg { handle, buffer, envelope: to.clone().into() })
    });
    assert_eq!((sent.result, sent.envelope.address()), (Ok(13), Some(&to)));
    let sent =
        waits_for_room(&mut ev, ends, "by its name", |ev, buffer| ev.start(send_to(handle, buffer, &to)));
    assert_eq!((sent.result, sent.peer.address()), (Ok(()), Some(&to)));
}

/// A sender that is not connected cannot wait for a full queue, of which no system tells when it is not: it is told that there
/// is no room, with everything handed back, and may try again.
pub(crate) fn a_full_receiver_holds_up_nobody<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    if !does_as_linux(fixture.capabilities()) {
        return a_full_receiver_is_told(&mut ev);
    }
    let (client, server) = connected(&mut ev);
    let to = ev.context().local_address(server).unwrap();
    let (count, waiting) = fill(&mut ev, client);
    let stranger = unbound(&mut ev);
    let by_name = ev.complete(send_to(stranger, b"by name", &to));
    assert_eq!((by_name.result, &by_name.buffer[..]), (Err(system(Errno::NOBUFS)), &b"by name"[..]));
    assert!(by_name.result.is_err_and(Error::is_transient) && by_name.peer.address() == Some(&to));
    assert!(!waiting.is_done());
    let unsent = SendMsg { handle: stranger, buffer: b"by name".into(), envelope: to.clone().into() };
    let unsent = ev.complete(unsent);
    assert_eq!((unsent.result, &unsent.buffer[..]), (Err(system(Errno::NOBUFS)), &b"by name"[..]));
    assert_eq!(unsent.envelope.address(), Some(&to));
    for _ in 0..count {
        assert_eq!(message(&ev.complete(recv_from(server, 16))).0, b"message");
    }
    let again = SendTo { handle: stranger, buffer: by_name.buffer, peer: by_name.peer };
    assert_eq!(ev.complete(again).result, Ok(()));
    assert_eq!(ev.finish(&waiting).result, Ok(7));
    let mut texts = [(); 2].map(|()| message(&ev.complete(recv_from(server, 16))).0.to_vec());
    texts.sort();
    assert_eq!(texts, [b"by name".to_vec(), b"message".to_vec()]);
}

/// What waits ends when it is cancelled, deleted, closed or dropped with the loop; messages stay for others.
pub(crate) fn what_waits_can_be_ended<B: Backend>(fixture: &Fixture<B>) {
    let captures = Captures::default();
    let mut ev = fixture.open();
    let (client, server) = connected(&mut ev);
    let receives: Vec<_> = (0..3).map(|_| ev.start(recv_from(server, 16))).collect();
    ev.idle();
    assert_eq!(ev.cancel(receives[0].key), Cancel::Requested);
    let canceled = ev.finish(&receives[0]);
    assert_eq!((canceled.result, canceled.buffer.len()), (Err(Error::Canceled), 16));
    assert_eq!(ev.context().delete(receives[1].key), Ok(()));
    assert_eq!(ev.complete(Send { handle: client, buffer: b"third".into() }).result, Ok(5));
    assert_eq!(message(&ev.finish(&receives[2])).0, b"third");
    assert!(!receives[1].is_done());

    // Elsewhere than on Linux no sender waits.
    let waits_for_room = does_as_linux(fixture.capabilities());
    let send = waits_for_room.then(|| fill(&mut ev, client).1);
    let receive = ev.start(recv_from(client, 16));
    ev.idle();
    ev.context().close(client);
    if let Some(send) = send {
        assert_eq!(ev.finish(&send).result, Err(Error::Canceled));
    }
    assert_eq!(ev.finish(&receive).result, Err(Error::Canceled));
    assert_eq!(ev.complete(recv_from(client, 16)).result, Err(Error::StaleHandle));
    if waits_for_room {
        // Also where what its sender waits for is closed.
        let (client, server) = connected(&mut ev);
        let (_, waiting) = fill(&mut ev, client);
        ev.context().close(server);
        assert_eq!(ev.finish(&waiting).result, Err(system(Errno::CONNREFUSED)));
    }

    let (client, server) = connected(&mut ev);
    if waits_for_room {
        fill(&mut ev, client);
    }
    for handle in [client, server] {
        let held = captures.capture();
        ev.context().submit(recv_from(handle, 16).with_timeout(std::time::Duration::MAX), move |(), _, _| {
            drop(held);
        });
    }
    ev.no_wait();
    drop(ev);
    assert_eq!(captures.held(), 0);
}

/// What cannot be: each fault is told, with everything handed back, and disturbs nothing.
pub(crate) fn faults_are_told<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (server, to) = bound(&mut ev);
    let client = unbound(&mut ev);
    let missing = Address::from(UnixAddress::path("/tmp/proactor-there-is-no-such-name").unwrap());
    let unsent = ev.complete(send_to(client, b"text", &missing));
    assert_eq!((unsent.result, &unsent.buffer[..]), (Err(system(Errno::NOENT)), &b"text"[..]));
    assert_eq!(unsent.peer.address(), Some(&missing));
    assert_eq!(ev.complete(Connect { handle: client, address: missing }).result, Err(system(Errno::NOENT)));
    let nowhere = Address::from(UnixAddress::abstract_name(b"proactor: there is no such name").unwrap());
    let refused = Err(system(Errno::CONNREFUSED));
    let unreachable =
        if has_abstract_names(fixture.capabilities()) { refused } else { Err(Error::Unsupported) };
    assert_eq!(ev.complete(send_to(client, b"text", &nowhere)).result, unreachable);
    assert_eq!(ev.complete(Connect { handle: client, address: nowhere }).result, unreachable);
    let nameless = Err(no_name(fixture.capabilities()));
    assert_eq!(ev.complete(send_to(client, b"text", &unnamed())).result, nameless);
    let inet = ev.complete(send_to(client, b"text", &address("127.0.0.1:7")));
    assert_fault(fixture.capabilities(), inet.result, Errno::INVAL);
    assert_fault(fixture.capabilities(), ev.context().bind(client, address(IPV4)), Errno::INVAL);
    let read_only = RecvFrom { handle: server, buffer: b"static".into(), peer: Peer::default() };
    assert_eq!(ev.complete(read_only).result, Err(Error::ReadOnlyBuffer));
    assert_eq!(ev.context().listen_on(client, 1), Err(system(Errno::OPNOTSUPP)));
    // A stream is not a socket of messages, whose abstract names are others; of a path it is told what is there.
    let wrong_kind =
        if has_abstract_names(fixture.capabilities()) { Errno::CONNREFUSED } else { Errno::PROTOTYPE };
    let name = free_name(&mut ev);
    let listener = ev.context().listen(name, Default::default()).unwrap();
    let stream = ev.context().local_address(listener).unwrap();
    let wrong_kind = Err(system(wrong_kind));
    assert_eq!(ev.complete(Connect { handle: client, address: stream.clone() }).result, wrong_kind);
    assert_eq!(ev.complete(send_to(client, b"text", &stream)).result, wrong_kind);
    let other = ev.context().socket(Family::Unix).unwrap();
    assert_eq!(ev.complete(Connect { handle: other, address: to.clone() }).result, wrong_kind);
    assert_eq!(ev.complete(send_to(other, b"text", &to)).result, Err(system(Errno::OPNOTSUPP)));
    // It is as good as new.
    assert_eq!(ev.complete(send_to(client, b"fine", &to)).result, Ok(()));
    assert_eq!(ev.complete(recv_from(server, 16)).result, whole(4));
}
