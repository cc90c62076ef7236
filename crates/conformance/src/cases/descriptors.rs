//! Descriptors of the system: attached, detached, shared with others, and what peers outside the loop do to them
//! (contract H2, H4, H5, R1, E1).

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown as Half, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use proactor_core::{
    Accept, Action, Backend, Cancel, Connect, Error, Family, Handle, Recv, RunMode, Send, SendAll, Shutdown,
    ShutdownHow, SocketOption, Timer,
};
use rustix::fs::OFlags;

use crate::Fixture;
use crate::peers::{inet, read_exactly, receive_all, status_flags, std_pair, with_std};
#[cfg(unix)]
use crate::peers::{reset, send_out_of_band, send_with_descriptor};
use crate::steps::{Steps, assert_bytes, pattern, system};

fn recv(handle: Handle) -> Recv {
    Recv { handle, buffer: vec![0; 64].into() }
}

/// Sockets of the standard library go in, work, and come out again; blocking or not as they were.
pub(crate) fn detach_restores_the_status_flags<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    for nonblocking in [false, true] {
        let (stream, peer) = std_pair();
        stream.set_nonblocking(nonblocking).unwrap();
        let before = status_flags(&stream);
        assert_eq!(before.contains(OFlags::NONBLOCK), nonblocking);
        let number = stream.as_raw_fd();
        let handle = ev.context().attach(stream).unwrap();
        // It has waited, received and sent in between.
        let received = ev.start(recv(handle));
        ev.no_wait();
        assert!(!received.is_done());
        (&peer).write_all(b"in").unwrap();
        assert_eq!(ev.finish(&received).result, Ok(2));
        assert_eq!(ev.complete(SendAll { handle, buffer: b"out".into() }).result, Ok(()));
        let back = TcpStream::from(ev.context().detach(handle).unwrap());
        assert_eq!((back.as_raw_fd(), status_flags(&back)), (number, before));
        assert_eq!(ev.complete(recv(handle)).result, Err(Error::StaleHandle));
        (&back).write_all(b"!").unwrap();
        assert_eq!(read_exactly(&peer, 4), b"out!");
        back.set_nonblocking(false).unwrap();
        (&peer).write_all(b"still").unwrap();
        assert_eq!(read_exactly(&back, 5), b"still");
    }
}

/// The flags belong to the open file, which others share: a pipe's, a terminal's and a null device's are left or restored
/// too.
#[cfg(unix)]
pub(crate) fn detach_restores_what_is_shared_with_others<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let terminal = File::options().read(true).write(true).open("/dev/ptmx").map(Into::into);
    let null = File::open("/dev/null").map(Into::into);
    for descriptor in [Ok(reader), Ok(writer), null, terminal].into_iter().flatten() {
        let shared = descriptor.try_clone().unwrap();
        let before = status_flags(&shared);
        let handle = ev.context().attach(descriptor).unwrap();
        let failed = ev.complete(recv(handle));
        assert_eq!((failed.result, failed.buffer.len()), (Err(system(rustix::io::Errno::NOTSOCK)), 64));
        let back = ev.context().detach(handle).unwrap();
        assert_eq!((status_flags(&back), status_flags(&shared)), (before, before));
    }
}

/// A descriptor that is not what the operation needs is that operation's error, nobody else's.
pub(crate) fn what_is_no_socket_fails_clearly<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let waiting = ev.start(recv(server));
    let not_a_socket = Err(system(rustix::io::Errno::NOTSOCK));
    let program = std::env::current_exe().unwrap();
    for path in [Path::new("/dev/null"), &program, Path::new("/")] {
        let handle = ev.context().attach(File::open(path).unwrap()).unwrap();
        let path = path.display();
        assert_eq!(ev.complete(recv(handle)).result.map(drop), not_a_socket, "{path}");
        assert_eq!(ev.complete(SendAll { handle, buffer: b"x".into() }).result, not_a_socket, "{path}");
        assert_eq!(ev.complete(Accept { listener: handle }).result.map(drop), not_a_socket, "{path}");
        assert_eq!(ev.complete(Shutdown { handle, how: ShutdownHow::Both }).result, not_a_socket, "{path}");
        assert_eq!(ev.context().set(handle, SocketOption::NoDelay(true)), not_a_socket, "{path}");
        ev.context().close(handle);
    }
    assert!(!waiting.is_done());
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"fine".into() }).result, Ok(()));
    assert_eq!(ev.finish(&waiting).result, Ok(4));
}

/// While something is pending on it, started or not, a handle cannot be detached.
pub(crate) fn detach_is_busy_while_something_is_pending<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (stream, peer) = std_pair();
    let handle = ev.context().attach(stream).unwrap();
    let received = ev.start(recv(handle));
    assert_eq!(ev.context().detach(handle).map(drop), Err(Error::Busy));
    ev.no_wait();
    assert_eq!(ev.context().detach(handle).map(drop), Err(Error::Busy));
    assert_eq!(ev.cancel(received.key), Cancel::Requested);
    assert_eq!(ev.finish(&received).result, Err(Error::Canceled));
    let back = TcpStream::from(ev.context().detach(handle).unwrap());
    (&peer).write_all(b"data").unwrap();
    assert_eq!(read_exactly(&back, 4), b"data", "and the cancelled receive took nothing of it");
}

/// A blocking socket does not block the loop.
pub(crate) fn a_blocking_socket_does_not_block_the_loop<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (stream, peer) = std_pair();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(!status_flags(&stream).contains(OFlags::NONBLOCK));
    let handle = ev.context().attach(stream).unwrap();
    let listener = ev.context().attach(listener).unwrap();
    let received = ev.start(recv(handle));
    let accepted = ev.start(Accept { listener });
    let sent = ev.start(SendAll { handle, buffer: vec![1; super::cancellation::MORE_THAN_FITS].into() });
    for _ in 0..10 {
        ev.no_wait();
    }
    assert!(!received.is_done() && !accepted.is_done() && !sent.is_done());
    drop(peer);
    ev.until(|| received.is_done() && sent.is_done());
    assert!(sent.take().result.is_err());
    assert_eq!(ev.cancel(accepted.key), Cancel::Requested);
    ev.until_done();
}

/// A listener and a stream of a Unix socket are handles like others.
#[cfg(unix)]
pub(crate) fn unix_streams_work<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (stream, mut peer) = UnixStream::pair().unwrap();
    let handle = ev.context().attach(stream).unwrap();
    let received = ev.start(recv(handle));
    ev.no_wait();
    peer.write_all(b"over a unix socket").unwrap();
    let received = ev.finish(&received);
    assert_eq!(&received.buffer[..received.result.unwrap()], b"over a unix socket");
    assert_eq!(ev.complete(SendAll { handle, buffer: b"and back".into() }).result, Ok(()));
    assert_eq!(ev.complete(Shutdown { handle, how: ShutdownHow::Write }).result, Ok(()));
    let mut bytes = Vec::new();
    peer.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"and back");
    drop(peer);
    assert_eq!(ev.complete(recv(handle)).result, Ok(0));
}

/// A descriptor that travels between two segments splits the stream there: a short receive is not the end of what is
/// to be had.
#[cfg(unix)]
pub(crate) fn a_descriptor_between_two_segments_holds_up_nothing<B: Backend>(fixture: &Fixture<B>) {
    for waiting in [false, true] {
        let mut ev = fixture.open();
        let (stream, mut peer) = UnixStream::pair().unwrap();
        let handle = ev.context().attach(stream).unwrap();
        let first = waiting.then(|| {
            let first = ev.start(recv(handle));
            ev.no_wait();
            first
        });
        let null = File::open("/dev/null").unwrap();
        peer.write_all(b"ab").unwrap();
        send_with_descriptor(peer.as_fd(), b"cd", null.as_fd());
        peer.write_all(b"ef").unwrap();
        let mut bytes = Vec::new();
        if let Some(first) = first {
            let first = ev.finish(&first);
            bytes.extend_from_slice(&first.buffer[..first.result.unwrap()]);
        }
        while bytes.len() < 6 {
            let received = ev.complete(recv(handle));
            bytes.extend_from_slice(&received.buffer[..received.result.unwrap()]);
        }
        assert_eq!(bytes, b"abcdef");
    }
}

/// Data and the end of the stream arrive at once, before or after the loop looks.
pub(crate) fn data_and_end_in_one_edge<B: Backend>(fixture: &Fixture<B>) {
    for (waiting, len) in [(false, 7), (true, 7), (false, 64), (true, 64), (true, 3)] {
        let mut ev = fixture.open();
        let (handle, mut peer) = with_std(&mut ev);
        let first = ev.start(Recv { handle, buffer: vec![0; len].into() });
        if waiting {
            ev.no_wait();
        }
        peer.write_all(b"data...").unwrap();
        peer.shutdown(Half::Write).unwrap();
        let first = ev.finish(&first);
        let mut bytes = first.buffer[..first.result.unwrap()].to_vec();
        let (rest, end) = receive_all(&mut ev, handle, len);
        bytes.extend(rest);
        assert_eq!((&bytes[..], end), (&b"data..."[..], Ok(())), "waiting: {waiting}, buffers of {len}");
    }
}

/// Data and a reset arrive at once: the data first, then the reset.
#[cfg(unix)]
pub(crate) fn data_and_reset_in_one_edge<B: Backend>(fixture: &Fixture<B>) {
    for (waiting, len) in [(false, 7), (true, 7), (false, 64), (true, 64), (true, 3)] {
        let mut ev = fixture.open();
        let (handle, mut peer) = with_std(&mut ev);
        let first = ev.start(Recv { handle, buffer: vec![0; len].into() });
        if waiting {
            ev.no_wait();
        }
        peer.write_all(b"data...").unwrap();
        reset(peer);
        let first = ev.finish(&first);
        let mut bytes = first.buffer[..first.result.unwrap()].to_vec();
        let (rest, end) = receive_all(&mut ev, handle, len);
        bytes.extend(rest);
        assert_eq!(&bytes[..], b"data...", "waiting: {waiting}, buffers of {len}");
        assert_eq!(end.map_err(Error::kind), Err(std::io::ErrorKind::ConnectionReset));
    }
}

/// Out-of-band data between two segments: it is not part of the stream, and holds nothing up.
#[cfg(unix)]
pub(crate) fn data_and_out_of_band_data_in_one_edge<B: Backend>(fixture: &Fixture<B>) {
    for waiting in [false, true] {
        let mut ev = fixture.open();
        let (handle, mut peer) = with_std(&mut ev);
        let first = ev.start(recv(handle));
        if waiting {
            ev.no_wait();
        }
        peer.set_nodelay(true).unwrap();
        peer.write_all(b"before").unwrap();
        send_out_of_band(&peer, b'!');
        peer.write_all(b"after").unwrap();
        let first = ev.finish(&first);
        let mut bytes = first.buffer[..first.result.unwrap()].to_vec();
        while bytes.len() < 11 {
            let received = ev.complete(recv(handle));
            bytes.extend_from_slice(&received.buffer[..received.result.unwrap()]);
        }
        assert_eq!(bytes, b"beforeafter", "waiting: {waiting}");
        peer.write_all(b"later").unwrap();
        drop(peer);
        assert_eq!(receive_all(&mut ev, handle, 64), (b"later".to_vec(), Ok(())));
    }
}

/// Three idle turns, then a blocking send from outside: only a run may make it arrive, and the next one does.
pub(crate) fn only_a_run_delivers<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (handle, mut peer) = with_std(&mut ev);
    let received = ev.start(recv(handle));
    for _ in 0..3 {
        ev.no_wait();
    }
    peer.write_all(&[9; 64]).unwrap();
    assert!(!received.is_done());
    ev.run(&mut (), RunMode::Once).unwrap();
    assert_eq!(received.take().result, Ok(64));
}

/// A dup keeps the open file alive after the handle is closed. The loop hears no more of it, does not spin, and a
/// later handle of the same number is not disturbed.
#[cfg(unix)]
pub(crate) fn a_dup_that_outlives_its_handle_is_left_alone<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (stream, mut peer) = UnixStream::pair().unwrap();
    let mut dup = stream.try_clone().unwrap();
    let number = stream.as_raw_fd();
    let handle = ev.context().attach(stream).unwrap();
    let received = ev.start(recv(handle));
    ev.no_wait();
    ev.context().close(handle);
    assert_eq!(ev.finish(&received).result, Err(Error::Canceled));
    ev.until_done();
    let (other, mut other_peer) = UnixStream::pair().unwrap();
    assert_eq!(other.as_raw_fd(), number, "the system hands out the lowest free number");
    let fresh = ev.context().attach(other).unwrap();
    let received = ev.start(recv(fresh));
    ev.no_wait();
    peer.write_all(b"for the dup").unwrap();
    let before = ev.context().turns();
    ev.run_for(&mut (), Duration::from_millis(30)).unwrap();
    let turns = ev.context().turns() - before;
    assert!(turns < 10, "{turns} turns in which nothing happened");
    assert!(!received.is_done(), "that was not for it");
    let mut bytes = [0; 64];
    assert_eq!(dup.read(&mut bytes).unwrap(), 11);
    other_peer.write_all(b"own").unwrap();
    assert_eq!(ev.finish(&received).result, Ok(3));
}

/// The same, detached instead of closed.
pub(crate) fn a_detached_descriptor_is_left_alone<B: Backend>(fixture: &Fixture<B>) {
    const TICKS: u64 = 20;
    const TICK: Duration = Duration::from_millis(5);
    let mut ev = fixture.open();
    let (stream, peer) = std_pair();
    let peer = Rc::new(peer);
    let handle = ev.context().attach(stream).unwrap();
    let waited = ev.start(recv(handle));
    ev.no_wait();
    (&*peer).write_all(b"first").unwrap();
    assert_eq!(ev.finish(&waited).result, Ok(5));
    let back = TcpStream::from(ev.context().detach(handle).unwrap());
    // What comes for it bit by bit wakes nobody here: the timer alone makes turns, one that waits and one that delivers.
    let (writer, mut left) = (Rc::clone(&peer), TICKS);
    let before = ev.context().turns();
    ev.context().submit_rearm(Timer::after(TICK), move |(), _cx, _expired| {
        (&*writer).write_all(b"!").unwrap();
        left -= 1;
        if left > 0 { Action::Rearm(Timer::after(TICK)) } else { Action::Disarm }
    });
    ev.until_done();
    let turns = ev.context().turns() - before;
    assert!(turns < 2 * TICKS + TICKS / 2, "{turns} turns for {TICKS} ticks");
    assert_eq!(read_exactly(&back, TICKS as usize), [b'!'; TICKS as usize]);
    // In again: nothing of its first stay is in the way.
    let handle = ev.context().attach(back).unwrap();
    let received = ev.start(recv(handle));
    ev.no_wait();
    assert!(!received.is_done());
    (&*peer).write_all(b"third").unwrap();
    assert_eq!(ev.finish(&received).result, Ok(5));
    drop(peer);
    assert_eq!(ev.complete(recv(handle)).result, Ok(0));
}

/// Two handles of one open file, each with its own queues.
pub(crate) fn two_handles_of_one_open_file_work<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (stream, mut peer) = std_pair();
    let writer = ev.context().attach(stream.try_clone().unwrap()).unwrap();
    let reader = ev.context().attach(stream).unwrap();
    let received = ev.start(recv(reader));
    ev.no_wait();
    assert_eq!(ev.complete(SendAll { handle: writer, buffer: b"out".into() }).result, Ok(()));
    assert_eq!(read_exactly(&peer, 3), b"out");
    ev.context().close(writer);
    ev.no_wait();
    peer.write_all(b"in").unwrap();
    assert_eq!(ev.finish(&received).result, Ok(2));
}

/// Numbers that the system recycles, over and over, through attach, detach, close and accept.
pub(crate) fn recycled_numbers_are_not_confused<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let mut numbers = Vec::new();
    for round in 0..100_u8 {
        let (stream, mut peer) = std_pair();
        numbers.push(stream.as_raw_fd());
        let handle = ev.context().attach(stream).unwrap();
        let received = ev.start(recv(handle));
        ev.no_wait();
        assert!(!received.is_done(), "round {round}");
        peer.write_all(&[round; 5]).unwrap();
        if round % 3 == 0 {
            // Its event is in the system's queue when it is closed.
            ev.context().close(handle);
            let ended = ev.finish(&received);
            assert!(matches!(ended.result, Ok(5) | Err(Error::Canceled)));
            ev.until_done();
            continue;
        }
        let received = ev.finish(&received);
        assert_eq!((received.result, &received.buffer[..5]), (Ok(5), &[round; 5][..]));
        if round % 3 == 1 {
            drop(ev.context().detach(handle).unwrap());
        } else {
            ev.context().close(handle);
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    // Hosts of WASI need not, and some do not.
    assert!(numbers.len() < 50 || cfg!(not(unix)), "the system did recycle them");
}

/// A server on this loop, clients of the standard library on threads: bytes both ways, equal.
pub(crate) fn std_clients_are_served<B: Backend>(fixture: &Fixture<B>) {
    const CLIENTS: u32 = 8;
    const LEN: usize = 200_000;
    let mut ev = fixture.open();
    let (listener, address) = ev.listener();
    let target = inet(&address);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|seed| {
            thread::spawn(move || {
                let mut stream = TcpStream::connect(target).unwrap();
                let data = pattern(seed, LEN);
                stream.write_all(&data).unwrap();
                stream.shutdown(Half::Write).unwrap();
                let mut back = Vec::new();
                stream.read_to_end(&mut back).unwrap();
                assert_bytes(&back, &data);
            })
        })
        .collect();
    for _ in 0..CLIENTS {
        let (handle, _) = ev.complete(Accept { listener }).result.unwrap();
        let (bytes, end) = receive_all(&mut ev, handle, 10_000);
        assert_eq!((bytes.len(), end), (LEN, Ok(())));
        assert_eq!(ev.complete(SendAll { handle, buffer: bytes.into() }).result, Ok(()));
        ev.context().close(handle);
    }
    ev.no_wait();
    for client in clients {
        client.join().expect("it got back what it sent");
    }
}

/// A loop connects to a listener of the standard library.
pub(crate) fn a_std_listener_is_connected_to<B: Backend>(fixture: &Fixture<B>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut ev = fixture.open();
    let handle = ev.context().socket(Family::Ipv4).unwrap();
    assert_eq!(ev.complete(Connect { handle, address: address.into() }).result, Ok(()));
    let (mut peer, from) = listener.accept().unwrap();
    assert_eq!(ev.context().local_address(handle), Ok(from.into()));
    assert_eq!(ev.context().peer_address(handle), Ok(address.into()));
    peer.write_all(b"welcome").unwrap();
    assert_eq!(ev.complete(recv(handle)).result, Ok(7));
}

/// An attached listener accepts; one that is listened to through the loop can be detached and accepts outside.
pub(crate) fn listeners_move_in_and_out<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listener = ev.context().attach(listener).unwrap();
    let client = TcpStream::connect(address).unwrap();
    let (_, from) = ev.complete(Accept { listener }).result.unwrap();
    assert_eq!(inet(&from), client.local_addr().unwrap());
    let outside = TcpListener::from(ev.context().detach(listener).unwrap());
    outside.set_nonblocking(false).unwrap();
    let second = TcpStream::connect(address).unwrap();
    assert_eq!(outside.accept().unwrap().1, second.local_addr().unwrap());
}

/// Dropping the loop closes what is attached to it, as the peer sees.
pub(crate) fn dropping_the_loop_closes_what_is_attached<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (stream, mut peer) = std_pair();
    let handle = ev.context().attach(stream).unwrap();
    let received = ev.start(recv(handle));
    ev.no_wait();
    drop(ev);
    assert!(!received.is_done());
    peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
}

/// Options that are set through the loop are set, as the system says.
#[cfg(unix)]
pub(crate) fn options_reach_the_system<B: Backend>(fixture: &Fixture<B>) {
    use rustix::net::sockopt;
    let mut ev = fixture.open();
    let handle = ev.context().socket(Family::Ipv4).unwrap();
    let options = [
        SocketOption::NoDelay(true),
        SocketOption::ReuseAddress(true),
        SocketOption::ReusePort(true),
        SocketOption::ReceiveBuffer(16 << 10),
        SocketOption::SendBuffer(16 << 10),
        SocketOption::Linger(Some(Duration::from_millis(1500))),
    ];
    for option in options {
        assert_eq!(ev.context().set(handle, option), Ok(()), "{option:?}");
    }
    let socket = ev.context().detach(handle).unwrap();
    assert_eq!(sockopt::tcp_nodelay(&socket), Ok(true));
    assert_eq!(sockopt::socket_reuseaddr(&socket), Ok(true));
    assert_eq!(sockopt::socket_reuseport(&socket), Ok(true));
    assert!((16 << 10..=64 << 10).contains(&sockopt::socket_recv_buffer_size(&socket).unwrap()));
    assert!((16 << 10..=64 << 10).contains(&sockopt::socket_send_buffer_size(&socket).unwrap()));
    assert_eq!(sockopt::socket_linger(&socket), Ok(Some(Duration::from_secs(2))), "rounded up");
}

/// A send that the peer resets in the middle fails, saying how far it came; so does what is queued behind it.
#[cfg(unix)]
pub(crate) fn a_reset_fails_what_is_being_sent<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (handle, peer) = with_std(&mut ev);
    let sent = ev.start(SendAll { handle, buffer: vec![1; super::cancellation::MORE_THAN_FITS].into() });
    let behind = ev.start(Send { handle, buffer: b"behind".into() });
    ev.idle();
    assert!(!sent.is_done());
    reset(peer);
    let sent = ev.finish(&sent);
    assert!(matches!(sent.result, Err(error) if is_broken(error)), "{:?}", sent.result);
    assert!(sent.transferred > 0 && sent.transferred < sent.buffer.len());
    let behind = ev.finish(&behind).result;
    assert!(matches!(behind, Err(error) if is_broken(error)), "{behind:?}");
}

fn is_broken(error: Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
    matches!(error.kind(), ConnectionReset | BrokenPipe)
}

/// A reset is told; what is asked of the socket afterwards ends too, and nothing hangs.
#[cfg(unix)]
pub(crate) fn after_a_reset_everything_ends<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (handle, peer) = with_std(&mut ev);
    let received = ev.start(recv(handle));
    ev.no_wait();
    reset(peer);
    assert_eq!(ev.finish(&received).result.map_err(Error::kind), Err(std::io::ErrorKind::ConnectionReset));
    let again = ev.complete(recv(handle)).result;
    assert!(matches!(again, Ok(0)) || again.is_err_and(is_broken), "{again:?}");
    let sent = ev.complete(Send { handle, buffer: b"x".into() }).result;
    assert!(sent.is_err_and(is_broken), "{sent:?}");
}

/// About what only Unix has.
#[cfg(not(unix))]
pub(crate) use super::{
    not_here as data_and_reset_in_one_edge, not_here as a_reset_fails_what_is_being_sent,
    not_here as after_a_reset_everything_ends, not_here as a_dup_that_outlives_its_handle_is_left_alone,
    not_here as detach_restores_what_is_shared_with_others, not_here as unix_streams_work,
    not_here as a_descriptor_between_two_segments_holds_up_nothing, not_here as options_reach_the_system,
    not_here as data_and_out_of_band_data_in_one_edge,
};
