//! At steady state nothing allocates over Unix sockets either, of streams and of datagrams (contract B1).

use std::path::PathBuf;

use proactor_core::{
    Address, Backend, Buffer, Config, Context, Driver, Envelope, Family, Handle, ListenOptions, Loop, Peer,
    RecvMsg, SendAll, SendMsg, SendTo, UnixAddress,
};

use super::steady::{Count, allocates_the_same, echo, echo_datagrams};
use super::steady_rest::{self, connection};
use super::unix::{abstract_names_are_refused, free_name, has_abstract_names};
use crate::Fixture;
use crate::steps::join_at;

/// An echo over a stream, both ends on this loop.
pub(crate) fn an_echo_does_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    allocates_the_same(fixture, |ev, count| {
        let name = free_name(ev);
        let listener = ev.context().listen(name, ListenOptions::default()).unwrap();
        let address = ev.context().local_address(listener).unwrap();
        let (client, server) = join_at(ev, count, listener, &address);
        let mut cx = ev.context();
        cx.close(listener);
        for handle in [client, server] {
            echo(&mut cx, handle, Buffer::zeroed(64));
        }
        let first = SendAll { handle: client, buffer: vec![0; 64].into() };
        cx.submit(first, |_, _, sent| assert_eq!(sent.result, Ok(())));
    });
}

/// An echo of datagrams between two names; the addresses go round like the buffers.
fn echo_between<B: Backend>(ev: &mut Loop<B, Count>, names: [Address; 2]) {
    let mut cx = ev.context();
    let ends = names.map(|name| {
        let handle = cx.datagram_socket(Family::Unix).unwrap();
        cx.bind(handle, name).unwrap();
        echo_datagrams(&mut cx, handle, Buffer::zeroed(64), Peer::default());
        handle
    });
    let peer = cx.local_address(ends[1]).unwrap().into();
    let first = SendTo { handle: ends[0], buffer: vec![0; 64].into(), peer };
    cx.submit(first, |_, _, sent| assert_eq!(sent.result, Ok(())));
}

pub(crate) fn an_echo_of_datagrams_does_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    allocates_the_same(fixture, |ev, _| {
        let names = [(); 2].map(|()| free_name(ev));
        echo_between(ev, names);
    });
}

/// A path of `len` bytes in the directory for temporary files, real or not.
fn path_of<B: Backend>(fixture: &Fixture<B>, len: usize) -> PathBuf {
    let is_real = fixture.capabilities().descriptors;
    let directory = if is_real { std::env::temp_dir() } else { "/tmp".into() };
    let beginning = directory.join(format!("proactor-{}-{}-", B::NAME, std::process::id()));
    let fill = len.checked_sub(beginning.as_os_str().len()).expect("that directory's name is short");
    let mut path = beginning.into_os_string();
    path.push("x".repeat(fill));
    PathBuf::from(path)
}

/// The same between paths: a long one, and the longest that the system takes and tells as it is.
pub(crate) fn an_echo_between_long_paths_does_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    let longest = if cfg!(target_os = "linux") { UnixAddress::MAX_LEN } else { 103 };
    let paths = [100, longest].map(|len| path_of(fixture, len));
    let unlink = || paths.each_ref().map(|path| drop(std::fs::remove_file(path)));
    allocates_the_same(fixture, |ev, _| {
        unlink();
        echo_between(ev, paths.each_ref().map(|path| UnixAddress::path(path).unwrap().into()));
    });
    unlink();
}

/// Receives a message and sends it back, as often as there is left. The envelope goes round like the buffer.
fn echo_messages<B: Backend>(cx: &mut Context<'_, B, Count>, handle: Handle, (buffer, envelope): Message) {
    cx.submit(RecvMsg { handle, buffer, envelope }, move |count: &mut Count, cx, received| {
        let len = received.result.unwrap().len();
        if count.left == 0 || len == 0 {
            return cx.close(handle);
        }
        count.left -= 1;
        assert!(received.envelope.address().is_some_and(|name| name.as_unix().is_some()));
        // The last one tells the other end.
        let buffer = received.buffer.slice(..if count.left == 0 { 0 } else { len });
        let answer = SendMsg { handle, buffer, envelope: received.envelope };
        cx.submit(answer, move |count: &mut Count, cx, sent| {
            assert!(sent.result.is_ok());
            if count.left == 0 {
                return cx.close(handle);
            }
            echo_messages(cx, handle, (sent.buffer.unslice(), sent.envelope));
        });
    });
}

type Message = (Buffer, Envelope);

/// The same of messages, between the longest abstract names. Elsewhere than on Linux, those are refused.
pub(crate) fn an_echo_of_messages_between_long_names_does_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    if !has_abstract_names(fixture.capabilities()) {
        return abstract_names_are_refused(&mut fixture.open());
    }
    allocates_the_same(fixture, |ev, _| {
        let mut cx = ev.context();
        let ends = (*b"12").map(|which| {
            let handle = cx.datagram_socket(Family::Unix).unwrap();
            cx.bind(handle, long_name(B::NAME, which).into()).unwrap();
            echo_messages(&mut cx, handle, (Buffer::zeroed(64), Envelope::default()));
            handle
        });
        let envelope = Address::from(long_name(B::NAME, b'2')).into();
        let first = SendMsg { handle: ends[0], buffer: vec![0; 64].into(), envelope };
        cx.submit(first, |_, _, sent| assert!(sent.result.is_ok()));
    });
}

/// A name of its own, as long as one can be.
pub(super) fn long_name(backend: &str, which: u8) -> UnixAddress {
    let mut name = format!("proactor-{backend}-{}-", std::process::id()).into_bytes();
    name.resize(UnixAddress::MAX_LEN - 1, which);
    UnixAddress::abstract_name(&name).unwrap()
}

/// Nobody hands a name in where a connection is accepted, so it has to come from elsewhere. Where there are none such
/// (elsewhere than on Linux), they are refused.
pub(crate) fn accepting_from_long_names_does_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    if !has_abstract_names(fixture.capabilities()) {
        return abstract_names_are_refused(&mut fixture.open());
    }
    let mut driver = Driver::<B>::open(Config::default()).unwrap();
    let listener = driver.listen(UnixAddress::unnamed().into(), ListenOptions::default()).unwrap();
    let mut goes_round = Some((driver.local_address(listener).unwrap(), Buffer::zeroed(64)));
    let own = Address::from(long_name(B::NAME, b'3'));
    steady_rest::allocates_the_same(|connections| {
        for _ in 0..connections {
            let (address, buffer) = goes_round.take().expect("it comes back");
            let client = driver.socket(Family::Unix).unwrap();
            driver.bind(client, own.clone()).unwrap();
            let (address, buffer, from) = connection(&mut driver, (listener, client), address, buffer);
            assert_eq!(from, own);
            goes_round = Some((address, buffer));
        }
    });
}
