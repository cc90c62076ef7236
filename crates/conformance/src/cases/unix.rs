//! Unix stream sockets: addresses of each form, connections, faults (contract R4, H3, R1, R2, E1).

use std::cell::RefCell;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use proactor_core::{
    Accept, AcceptMany, Address, Backend, Cancel, Capabilities, Connect, Error, Event, Family, Flow, Handle,
    ListenOptions, Loop, ReadExact, Recv, Send, SendAll, SendTo, Shutdown, ShutdownHow, SocketOption,
    UnixAddress, WriteAll,
};
use rustix::io::Errno;

use crate::Fixture;
use crate::peers::receive_all;
use crate::steps::{IPV4, Log, Steps, address, assert_bytes, join_at, pattern, system};

fn recv(handle: Handle) -> Recv {
    Recv { handle, buffer: vec![0; 64].into() }
}

pub(super) fn unnamed() -> Address {
    UnixAddress::unnamed().into()
}

/// A path that nothing has, which goes with this.
pub(super) struct Place(pub(super) PathBuf);

impl Place {
    pub(super) fn new<B: Backend>(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("proactor-{name}-{}-{}", B::NAME, std::process::id())))
    }

    pub(super) fn address(&self) -> Address {
        UnixAddress::path(&self.0).unwrap().into()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Whether Unix sockets are as Linux has them, which the simulator does too. Elsewhere other numbers tell the same faults, and some
/// of what one end hears of the other is not told.
pub(super) const fn does_as_linux(capabilities: &Capabilities) -> bool {
    cfg!(target_os = "linux") || !capabilities.descriptors
}

/// Whether sockets can be bound to abstract names, ours or the system's choice.
pub(super) const fn has_abstract_names(capabilities: &Capabilities) -> bool {
    does_as_linux(capabilities)
}

/// That a fault is told: on Linux as this number, elsewhere as one of the system's.
#[track_caller]
pub(super) fn assert_fault<T>(capabilities: &Capabilities, result: Result<T, Error>, on_linux: Errno) {
    match result.map(drop) {
        Err(Error::System(_)) if !does_as_linux(capabilities) => {}
        result => assert_eq!(result, Err(system(on_linux))),
    }
}

/// What a socket is bound to that is to have a name of its own: one that the system chooses, or, where it does not, a path, which
/// goes with the case's thread.
pub(super) fn free_name<B: Backend, S>(ev: &mut Loop<B, S>) -> Address {
    free_name_where::<B>(&ev.context().capabilities())
}

/// The same, where that is how a backend is.
pub(super) fn free_name_where<B: Backend>(capabilities: &Capabilities) -> Address {
    if has_abstract_names(capabilities) { unnamed() } else { free_path::<B>() }
}

#[cold]
fn free_path<B: Backend>() -> Address {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    thread_local! {
        static PLACES: RefCell<Vec<Place>> = const { RefCell::new(Vec::new()) };
    }
    let place = Place::new::<B>(&format!("free-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    let address = place.address();
    PLACES.with_borrow_mut(|places| places.push(place));
    address
}

/// Where there are no abstract names, using one is refused, and so is being bound to none, which asks for one (contract R4).
#[track_caller]
pub(super) fn abstract_names_are_refused<B: Backend>(ev: &mut Loop<B, ()>) {
    let name = Address::from(UnixAddress::abstract_name(b"proactor").unwrap());
    for address in [name.clone(), unnamed()] {
        let socket = ev.context().socket(Family::Unix).unwrap();
        let datagrams = ev.context().datagram_socket(Family::Unix).unwrap();
        for handle in [socket, datagrams] {
            assert_eq!(ev.context().bind(handle, address.clone()), Err(Error::Unsupported));
            let refused = ev.complete(Connect { handle, address: address.clone() });
            assert_eq!((refused.result, &refused.address), (Err(Error::Unsupported), &address));
        }
        let refused = ev.context().listen(address.clone(), ListenOptions::default());
        assert_eq!(refused.map(drop), Err(Error::Unsupported));
        let message = SendTo { handle: datagrams, buffer: b"text".into(), peer: address.clone().into() };
        let refused = ev.complete(message);
        assert_eq!((refused.result, &refused.buffer[..]), (Err(Error::Unsupported), &b"text"[..]));
    }
}

/// A listener on a name of its own, and its address.
#[track_caller]
fn listener<B: Backend>(ev: &mut Loop<B, ()>) -> (Handle, Address) {
    let name = free_name(ev);
    let listener = ev.context().listen(name, ListenOptions::default()).unwrap();
    let address = ev.context().local_address(listener).unwrap();
    (listener, address)
}

/// Why nobody is reached who has no name.
pub(super) fn no_name(capabilities: &Capabilities) -> Error {
    if has_abstract_names(capabilities) { system(Errno::INVAL) } else { Error::Unsupported }
}

/// Two ends of a connection, both in this loop.
#[track_caller]
fn pair<B: Backend>(ev: &mut Loop<B, ()>) -> (Handle, Handle) {
    let (listener, address) = listener(ev);
    let ends = join_at(ev, &mut (), listener, &address);
    ev.context().close(listener);
    ends
}

/// By abstract name, the system's choice or ours: each end tells its own and the other's, and a name goes with its socket.
/// Elsewhere than on Linux, such names are refused.
pub(crate) fn connections_by_abstract_name<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    if !has_abstract_names(fixture.capabilities()) {
        return abstract_names_are_refused(&mut ev);
    }
    let (listener, chosen) = listener(&mut ev);
    assert_eq!(chosen.family(), Family::Unix);
    assert!(chosen.as_unix().and_then(UnixAddress::as_abstract_name).is_some_and(|name| !name.is_empty()));
    let (client, server) = join_at(&mut ev, &mut (), listener, &chosen);
    assert_eq!(ev.context().peer_address(client), Ok(chosen.clone()));
    assert_eq!(ev.context().local_address(server), Ok(chosen.clone()));
    assert_eq!(
        (ev.context().local_address(client), ev.context().peer_address(server)),
        (Ok(unnamed()), Ok(unnamed()))
    );

    let name = format!("proactor\0{}\0{}", B::NAME, std::process::id());
    let ours = Address::from(UnixAddress::abstract_name(name.as_bytes()).unwrap());
    let named = ev.context().socket(Family::Unix).unwrap();
    ev.context().bind(named, ours.clone()).unwrap();
    let connected = ev.start(Connect { handle: named, address: chosen.clone() });
    let (accepted, from) = ev.complete(Accept { listener }).result.unwrap();
    assert_eq!((from, ev.finish(&connected).result), (ours.clone(), Ok(())));
    assert_eq!(ev.context().peer_address(accepted), Ok(ours.clone()));
    assert_eq!(ev.complete(SendAll { handle: named, buffer: b"hello".into() }).result, Ok(()));
    assert_eq!(ev.complete(recv(accepted)).result, Ok(5));

    let taken = ev.context().listen(ours.clone(), ListenOptions::default());
    assert_eq!(taken.map(drop), Err(system(Errno::ADDRINUSE)));
    ev.context().close(named);
    ev.until_done();
    let again = ev.context().listen(ours, ListenOptions::default()).unwrap();
    for handle in [again, listener] {
        ev.context().close(handle);
    }
    ev.until_done();
    let late = ev.context().socket(Family::Unix).unwrap();
    let refused = ev.complete(Connect { handle: late, address: chosen.clone() });
    assert_eq!((refused.result, refused.address), (Err(system(Errno::CONNREFUSED)), chosen));
}

/// By path: the name stays when its listener is closed, and is in the way until it is unlinked. Peers of the standard
/// library connect and are connected to.
pub(crate) fn connections_by_path<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let place = Place::new::<B>("path");
    let here = place.address();
    assert_eq!(here.as_unix().unwrap().as_path(), Some(&*place.0));
    let listener = ev.context().listen(here.clone(), ListenOptions::default()).unwrap();
    assert_eq!(ev.context().local_address(listener), Ok(here.clone()));
    let (client, server) = join_at(&mut ev, &mut (), listener, &here);
    assert_eq!(
        (ev.context().peer_address(client), ev.context().peer_address(server)),
        (Ok(here.clone()), Ok(unnamed()))
    );
    let mut peer = UnixStream::connect(&place.0).unwrap();
    let (handle, from) = ev.complete(Accept { listener }).result.unwrap();
    assert_eq!(from, unnamed());
    peer.write_all(b"from std").unwrap();
    assert_eq!(ev.complete(recv(handle)).result, Ok(8));
    assert_eq!(ev.complete(SendAll { handle, buffer: b"back".into() }).result, Ok(()));
    let mut bytes = [0; 4];
    peer.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"back");

    ev.context().close(listener);
    ev.until_done();
    let taken = ev.context().listen(here.clone(), ListenOptions::default());
    assert_eq!(taken.map(drop), Err(system(Errno::ADDRINUSE)));
    std::fs::remove_file(&place.0).unwrap();
    let other = UnixListener::bind(&place.0).unwrap();
    let client = ev.context().socket(Family::Unix).unwrap();
    assert_eq!(ev.complete(Connect { handle: client, address: here }).result, Ok(()));
    let (mut peer, _) = other.accept().unwrap();
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"to std".into() }).result, Ok(()));
    ev.context().close(client);
    let mut text = String::new();
    peer.read_to_string(&mut text).unwrap();
    assert_eq!(text, "to std");
}

/// Many at once through one multishot accept: each has its own bytes, gone peers too.
pub(crate) fn many_are_accepted<B: Backend>(fixture: &Fixture<B>) {
    const MANY: usize = 32;
    let mut ev = fixture.open();
    let (listener, address) = listener(&mut ev);
    let log = Log::new();
    let seen = log.clone();
    let key = ev.context().submit_multishot(AcceptMany { listener }, move |(), _, event| {
        match event {
            Event::More(connection) => seen.push((connection.handle, connection.address)),
            Event::Last(last) => assert_eq!(last.output.error, Error::Canceled),
        }
        Flow::Continue
    });
    let clients: Vec<_> = (0..MANY).map(|_| ev.context().socket(Family::Unix).unwrap()).collect();
    for (number, &handle) in clients.iter().enumerate() {
        assert_eq!(ev.complete(Connect { handle, address: address.clone() }).result, Ok(()));
        let sent = ev.complete(SendAll { handle, buffer: vec![number as u8; 3].into() });
        assert_eq!(sent.result, Ok(()));
        if number % 2 == 0 {
            ev.context().close(handle);
        }
    }
    ev.until(|| log.len() == MANY);
    assert_eq!(ev.cancel(key), Cancel::Requested);
    ev.until_done();
    for (number, (handle, from)) in log.take().into_iter().enumerate() {
        assert_eq!(from, unnamed());
        let received = ev.complete(recv(handle));
        assert_eq!((received.result, received.buffer[0]), (Ok(3), number as u8));
    }
}

/// Order, wholeness and the end, as of every stream; sends wait for their connect.
pub(crate) fn streams_keep_their_order<B: Backend>(fixture: &Fixture<B>) {
    const LEN: usize = 2 << 20;
    let mut ev = fixture.open();
    let (listener, address) = listener(&mut ev);
    let client = ev.context().socket(Family::Unix).unwrap();
    let bytes = pattern(3, LEN);
    let connected = ev.start(Connect { handle: client, address });
    let first = ev.start(SendAll { handle: client, buffer: bytes.clone().into() });
    let second = ev.start(WriteAll { handle: client, buffer: b"second".into() });
    let end = ev.start(Shutdown { handle: client, how: ShutdownHow::Write });
    let (server, _) = ev.complete(Accept { listener }).result.unwrap();
    let exact = ev.complete(ReadExact { handle: server, buffer: vec![0; LEN].into() });
    assert_eq!((exact.result, exact.transferred), (Ok(()), LEN));
    assert_bytes(&exact.buffer, &bytes);
    assert_eq!(receive_all(&mut ev, server, 4), (b"second".to_vec(), Ok(())));
    assert_eq!((ev.finish(&connected).result, ev.finish(&first).result), (Ok(()), Ok(())));
    assert_eq!((ev.finish(&second).result, ev.finish(&end).result), (Ok(()), Ok(())));
    assert_eq!(ev.complete(Send { handle: server, buffer: b"back".into() }).result, Ok(4));
    assert_eq!(ev.complete(recv(client)).result, Ok(4));
    ev.context().close(server);
    assert_eq!(ev.complete(recv(client)).result, Ok(0));
    let gone = ev.complete(SendAll { handle: client, buffer: b"x".into() });
    assert_eq!(gone.result.map_err(Error::kind), Err(ErrorKind::BrokenPipe));
}

/// What waits ends when it is cancelled, closed or dropped with the loop.
pub(crate) fn what_waits_can_be_cancelled<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, address) = listener(&mut ev);
    let accepted = ev.start(Accept { listener });
    let (client, server) = pair(&mut ev);
    let received = ev.start(recv(server));
    let sent =
        ev.start(SendAll { handle: client, buffer: vec![1; super::cancellation::MORE_THAN_FITS].into() });
    ev.idle();
    // The receive has its answer.
    assert!(received.is_done() && !accepted.is_done() && !sent.is_done());
    for key in [accepted.key, sent.key] {
        assert_eq!(ev.cancel(key), Cancel::Requested);
    }
    assert_eq!(ev.finish(&accepted).result.map(drop), Err(Error::Canceled));
    let sent = ev.finish(&sent);
    assert_eq!(sent.result, Err(Error::Canceled));
    assert!(sent.transferred > 0);
    let waiting = ev.start(Accept { listener });
    ev.no_wait();
    let late = ev.context().socket(Family::Unix).unwrap();
    assert_eq!(ev.complete(Connect { handle: late, address }).result, Ok(()));
    assert!(ev.finish(&waiting).result.is_ok(), "a cancelled accept leaves the listener alone");
    let closed = ev.start(Accept { listener });
    ev.no_wait();
    ev.context().close(listener);
    assert_eq!(ev.finish(&closed).result.map(drop), Err(Error::Canceled));
    ev.start(recv(client));
    ev.no_wait();
    drop(ev);
}

/// A listener whose queue is full: a connect waits for it, and can be cancelled, or is refused at once where the system
/// cannot be told to wait; it does neither hold up the loop nor keep it busy.
pub(crate) fn a_full_queue_holds_up_nobody<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let options = {
        let mut options = ListenOptions::default();
        options.backlog = 1;
        options
    };
    let name = free_name(&mut ev);
    let listener = ev.context().listen(name, options).unwrap();
    let address = ev.context().local_address(listener).unwrap();
    let connects: Vec<_> = (0..6)
        .map(|_| {
            let handle = ev.context().socket(Family::Unix).unwrap();
            ev.start(Connect { handle, address: address.clone() })
        })
        .collect();
    ev.idle();
    let before = ev.context().turns();
    ev.idle();
    assert!(ev.context().turns() - before < 20, "the loop is kept busy");
    let (done, mut waiting): (Vec<_>, Vec<_>) = connects.into_iter().partition(|connect| connect.is_done());
    let results: Vec<_> = done.iter().map(|connect| connect.take().result).collect();
    let made = results.iter().filter(|result| result.is_ok()).count();
    assert!((1..6).contains(&made), "a queue of one does not take six: {results:?}");
    let refused = Err(system(Errno::CONNREFUSED));
    assert!(results.iter().all(|result| result.is_ok() || *result == refused), "{results:?}");
    if fixture.capabilities().kernel_completions {
        assert!(waiting.len() >= 2 && made == results.len(), "the kernel waits");
        let canceled = waiting.pop().unwrap();
        assert_eq!(ev.cancel(canceled.key), Cancel::Requested);
        assert_eq!(ev.finish(&canceled).result, Err(Error::Canceled));
    }
    for _ in 0..made + waiting.len() {
        assert!(ev.complete(Accept { listener }).result.is_ok());
    }
    for connect in waiting {
        assert_eq!(ev.finish(&connect).result, Ok(()));
    }
    ev.until_done();
}

/// What cannot be: each fault is told, and disturbs nothing.
pub(crate) fn faults_are_told<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let place = Place::new::<B>("faults");
    let here = place.address();
    let handle = ev.context().socket(Family::Unix).unwrap();
    let missing = ev.complete(Connect { handle, address: here.clone() });
    assert_eq!((missing.result, missing.address), (Err(system(Errno::NOENT)), here.clone()));
    File::create(&place.0).unwrap();
    let no_socket = ev.complete(Connect { handle, address: here.clone() }).result;
    let is_no_socket =
        if does_as_linux(fixture.capabilities()) { Errno::CONNREFUSED } else { Errno::NOTSOCK };
    assert_eq!(no_socket, Err(system(is_no_socket)));
    let nameless = ev.complete(Connect { handle, address: unnamed() }).result;
    assert_eq!(nameless, Err(no_name(fixture.capabilities())));
    let inet = ev.complete(Connect { handle, address: address("127.0.0.1:1") }).result;
    assert_fault(fixture.capabilities(), inet, Errno::INVAL);
    assert_fault(fixture.capabilities(), ev.context().bind(handle, address(IPV4)), Errno::INVAL);
    assert!(ev.context().set(handle, SocketOption::NoDelay(true)).is_err());
    assert_eq!(ev.context().peer_address(handle), Err(system(Errno::NOTCONN)));
    assert_eq!(ev.context().bind(handle, here.clone()), Err(system(Errno::ADDRINUSE)));
    if fixture.capabilities().ipv4 {
        let tcp = ev.context().socket(Family::Ipv4).unwrap();
        let connected = ev.complete(Connect { handle: tcp, address: here.clone() }).result;
        assert_eq!(connected, Err(system(Errno::AFNOSUPPORT)));
    }
    // It is as good as new.
    let (listener, address) = listener(&mut ev);
    assert_eq!(ev.complete(Connect { handle, address }).result, Ok(()));
    assert!(ev.complete(Accept { listener }).result.is_ok());
}

fn send(handle: Handle) -> SendAll {
    SendAll { handle, buffer: b"text".into() }
}

/// What becomes of a connection when one end is shut down or closed, and what an unconnected socket says. Unlike over TCP, the
/// other end knows at once.
pub(crate) fn ends_are_told<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let broken = Err(system(Errno::PIPE));
    let lone = ev.context().socket(Family::Unix).unwrap();
    assert_eq!(ev.complete(send(lone)).result, Err(system(Errno::NOTCONN)));
    assert_fault(fixture.capabilities(), ev.complete(recv(lone)).result, Errno::INVAL);
    // It has no name.
    assert_fault(fixture.capabilities(), ev.context().listen_on(lone, 1), Errno::INVAL);
    assert_fault(fixture.capabilities(), ev.complete(Accept { listener: lone }).result, Errno::INVAL);
    if !does_as_linux(fixture.capabilities()) {
        return what_all_systems_tell_of_ends(&mut ev);
    }

    // Closed with nothing left: the end, and nobody to send to.
    let (client, server) = pair(&mut ev);
    let peer = ev.context().peer_address(client).unwrap();
    let again = ev.complete(Connect { handle: client, address: peer.clone() }).result;
    assert!(again.is_err(), "it is connected");
    assert_eq!(ev.complete(send(server)).result, Ok(()));
    ev.context().close(server);
    ev.until_done();
    assert_eq!(ev.complete(send(client)).result, broken);
    assert_eq!(ev.context().peer_address(client), Ok(peer));
    assert_eq!(receive_all(&mut ev, client, 64), (b"text".to_vec(), Ok(())));
    // Closed with something left: a reset, once.
    let (client, server) = pair(&mut ev);
    assert_eq!(ev.complete(send(server)).result, Ok(()));
    assert_eq!(ev.complete(send(client)).result, Ok(()));
    ev.context().close(server);
    ev.until_done();
    assert_eq!(receive_all(&mut ev, client, 64), (b"text".to_vec(), Err(system(Errno::CONNRESET))));
    assert_eq!(receive_all(&mut ev, client, 64), (Vec::new(), Ok(())));
    assert_eq!(ev.complete(send(client)).result, broken);
    // Shut down in one direction, the other goes on.
    let (client, server) = pair(&mut ev);
    assert_eq!(ev.complete(Shutdown { handle: server, how: ShutdownHow::Read }).result, Ok(()));
    assert_eq!(ev.complete(send(client)).result, broken);
    assert_eq!(ev.complete(recv(server)).result, Ok(0));
    assert_eq!(ev.complete(send(server)).result, Ok(()));
    assert_eq!(ev.complete(recv(client)).result, Ok(4));
    assert_eq!(ev.complete(Shutdown { handle: server, how: ShutdownHow::Write }).result, Ok(()));
    assert_eq!(ev.complete(recv(client)).result, Ok(0));
    assert_eq!(ev.complete(send(server)).result, broken);
    // What waits to send hears it too.
    for close in [false, true] {
        let (client, server) = pair(&mut ev);
        let waiting =
            ev.start(SendAll { handle: client, buffer: vec![1; super::cancellation::MORE_THAN_FITS].into() });
        ev.idle();
        assert!(!waiting.is_done());
        if close {
            ev.context().close(server);
        } else {
            assert_eq!(ev.complete(Shutdown { handle: server, how: ShutdownHow::Both }).result, Ok(()));
        }
        assert_eq!(ev.finish(&waiting).result, broken);
    }
    // A listener that is closed resets who was not accepted.
    let (listener, address) = listener(&mut ev);
    let client = ev.context().socket(Family::Unix).unwrap();
    assert_eq!(ev.complete(Connect { handle: client, address }).result, Ok(()));
    ev.context().close(listener);
    ev.until_done();
    assert_eq!(ev.complete(recv(client)).result, Err(system(Errno::CONNRESET)));
    // Options of TCP are refused, those of all sockets are not.
    assert!(ev.context().set(client, SocketOption::NoDelay(true)).is_err());
    assert_eq!(ev.context().set(client, SocketOption::SendBuffer(1 << 16)), Ok(()));
}

/// Of the above, what is told elsewhere too: whoever closes with something unread is not said to have reset the connection, and
/// who only receives no more lets the other end send on.
#[track_caller]
fn what_all_systems_tell_of_ends<B: Backend>(ev: &mut Loop<B, ()>) {
    let broken = Err(system(Errno::PIPE));
    let (client, server) = pair(ev);
    assert_eq!(ev.complete(send(server)).result, Ok(()));
    ev.context().close(server);
    ev.until_done();
    assert_eq!(ev.complete(send(client)).result, broken);
    assert_eq!(receive_all(ev, client, 64), (b"text".to_vec(), Ok(())));
    let (client, server) = pair(ev);
    assert_eq!(ev.complete(Shutdown { handle: server, how: ShutdownHow::Write }).result, Ok(()));
    assert_eq!(ev.complete(recv(client)).result, Ok(0));
    assert_eq!(ev.complete(send(server)).result, broken);
    assert_eq!(ev.complete(send(client)).result, Ok(()));
    assert_eq!(ev.complete(recv(server)).result, Ok(4));
    // What waits to send hears it too.
    let waiting =
        ev.start(SendAll { handle: client, buffer: vec![1; super::cancellation::MORE_THAN_FITS].into() });
    ev.idle();
    assert!(!waiting.is_done());
    ev.context().close(server);
    assert_eq!(ev.finish(&waiting).result, broken);
}
