//! Datagram sockets that are shut down for reading: one answer everywhere (contract R1, H1, X1).

use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use proactor_core::{
    Backend, Buffer, Cancel, Connect, Envelope, Error, Family, Handle, Loop, Read, ReadExact, ReadVectored,
    ReadVectoredExact, Recv, RecvMsg, Shutdown, ShutdownHow,
};

use super::datagrams::{message, recv_from, whole};
use crate::Fixture;
use crate::steps::{IPV4, Steps, address};

/// Two sockets of IPv4, each connected to the other.
fn two<B: Backend>(ev: &mut Loop<B, ()>) -> [Handle; 2] {
    let ends = [(); 2].map(|()| {
        let mut cx = ev.context();
        let handle = cx.datagram_socket(Family::Ipv4).unwrap();
        cx.bind(handle, address(IPV4)).unwrap();
        (handle, cx.local_address(handle).unwrap())
    });
    let [(first, of_first), (second, of_second)] = ends;
    for (handle, address) in [(first, of_second), (second, of_first)] {
        assert_eq!(ev.complete(Connect { handle, address }).result, Ok(()));
    }
    [first, second]
}

/// Whatever receives there gets an empty message from nobody, at once and as often as it asks.
#[track_caller]
fn brings_nothing<B: Backend>(ev: &mut Loop<B, ()>, handle: Handle) {
    for _ in 0..3 {
        let received = ev.complete(recv_from(handle, 8));
        assert_eq!((received.result, message(&received).1), (whole(0), None));
        assert_eq!(ev.complete(Recv { handle, buffer: Buffer::zeroed(8) }).result, Ok(0));
        let (buffer, envelope) = (Buffer::zeroed(8), Envelope::default());
        let received = ev.complete(RecvMsg { handle, buffer, envelope });
        assert_eq!(
            (received.result.map(|message| message.len()), received.envelope.address()),
            (Ok(0), None)
        );
        assert_eq!(ev.complete(Read { handle, buffer: Buffer::zeroed(8) }).result, Ok(0));
        let exact = ev.complete(ReadExact { handle, buffer: Buffer::zeroed(8) });
        assert_eq!((exact.result, exact.transferred), (Err(Error::EndOfStream), 0));
        let buffers = || vec![Buffer::zeroed(4), Buffer::zeroed(4)];
        assert_eq!(ev.complete(ReadVectored { handle, buffers: buffers() }).result, Ok(0));
        let exact = ev.complete(ReadVectoredExact { handle, buffers: buffers() });
        assert_eq!((exact.result, exact.transferred), (Err(Error::EndOfStream), 0));
    }
    // In their order, several at once.
    let several = [1, 2, 3].map(|len| ev.start(recv_from(handle, len)));
    for received in &several {
        assert_eq!(ev.finish(received).result, whole(0));
    }
}

/// Shutting down for reading ends what waits, and whatever comes later; what sends goes on, and while nobody receives the loop
/// sleeps.
pub(crate) fn shut_down_for_reading_it_brings_nothing<B: Backend>(fixture: &Fixture<B>) {
    for how in [ShutdownHow::Read, ShutdownHow::Both] {
        let mut ev = fixture.open();
        let [first, second] = two(&mut ev);
        let waiting = ev.start(recv_from(first, 8));
        let behind = ev.start(recv_from(first, 8));
        ev.idle();
        assert_eq!(ev.complete(Shutdown { handle: first, how }).result, Ok(()));
        for ended in [&waiting, &behind] {
            let ended = ev.finish(ended);
            assert_eq!((ended.result, message(&ended).1), (whole(0), None));
        }
        brings_nothing(&mut ev, first);
        let waiting = ev.start(recv_from(second, 8));
        let sent = ev.complete(proactor_core::Send { handle: first, buffer: b"out".into() });
        if how == ShutdownHow::Read {
            assert_eq!(sent.result, Ok(3));
            assert_eq!(message(&ev.finish(&waiting)).0, b"out");
        } else {
            assert!(sent.result.is_err());
            assert_eq!(ev.cancel(waiting.key), Cancel::Requested);
            assert_eq!(ev.finish(&waiting).result, Err(Error::Canceled));
        }
        let before = ev.context().metrics().turns;
        let waiting = ev.start(recv_from(second, 8));
        ev.run_for(&mut (), Duration::from_millis(30)).unwrap();
        assert!(!waiting.is_done());
        let turns = ev.context().metrics().turns - before;
        assert!(turns < 20, "{turns} turns with nothing to do");
        brings_nothing(&mut ev, first);
        let closed_under = ev.start(recv_from(first, 8));
        ev.context().close(first);
        let closed_under = ev.finish(&closed_under).result;
        assert!([Err(Error::Canceled), whole(0)].contains(&closed_under), "{closed_under:?}");
    }
}

/// So it is where somebody else has done it, before the loop had the socket or afterwards, and on one that does not block.
pub(crate) fn what_others_shut_down_brings_nothing<B: Backend>(fixture: &Fixture<B>) {
    for nonblocking in [false, true] {
        for is_local in [false, true] {
            for before in [false, true] {
                let mut ev = fixture.open();
                let (socket, peer): (OwnedFd, OwnedFd) = if is_local {
                    let (socket, peer) = UnixDatagram::pair().unwrap();
                    socket.set_nonblocking(nonblocking).unwrap();
                    (socket.into(), peer.into())
                } else {
                    let [socket, peer] = [(); 2].map(|()| UdpSocket::bind(IPV4).unwrap());
                    socket.connect(peer.local_addr().unwrap()).unwrap();
                    socket.set_nonblocking(nonblocking).unwrap();
                    (socket.into(), peer.into())
                };
                let same = socket.try_clone().unwrap();
                let shut = || rustix::net::shutdown(&same, rustix::net::Shutdown::Read).unwrap();
                if before {
                    shut();
                }
                let handle = ev.context().attach(socket).unwrap();
                let waiting = ev.start(recv_from(handle, 8));
                if !before {
                    ev.idle();
                    assert!(!waiting.is_done());
                    shut();
                }
                let ended = ev.finish(&waiting);
                assert_eq!((ended.result, message(&ended).1), (whole(0), None));
                brings_nothing(&mut ev, handle);
                drop(peer);
            }
        }
    }
}
