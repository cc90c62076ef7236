//! At steady state nothing allocates over Unix sockets either, of streams and of datagrams (contract B1).

use proactor_core::{Backend, Buffer, Family, ListenOptions, Peer, SendAll, SendTo, UnixAddress};

use super::steady::{allocates_the_same, echo, echo_datagrams};
use crate::Fixture;
use crate::steps::join_at;

/// An echo over a stream, both ends on this loop.
pub(crate) fn an_echo_does_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    allocates_the_same(fixture, |ev, count| {
        let listener = ev.context().listen(UnixAddress::unnamed().into(), ListenOptions::default()).unwrap();
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
pub(crate) fn an_echo_of_datagrams_does_not_allocate<B: Backend>(fixture: &Fixture<B>) {
    allocates_the_same(fixture, |ev, _| {
        let mut cx = ev.context();
        let ends = [(); 2].map(|()| {
            let handle = cx.datagram_socket(Family::Unix).unwrap();
            cx.bind(handle, UnixAddress::unnamed().into()).unwrap();
            echo_datagrams(&mut cx, handle, Buffer::zeroed(64), Peer::default());
            handle
        });
        let peer = cx.local_address(ends[1]).unwrap().into();
        let first = SendTo { handle: ends[0], buffer: vec![0; 64].into(), peer };
        cx.submit(first, |_, _, sent| assert_eq!(sent.result, Ok(())));
    });
}
