//! Receiving and sending.

use std::io::{Read, Write};
use std::net::{Shutdown as How, UdpSocket};
use std::sync::Arc;

use proactor_core::{Backend, Control, SocketOption};
use proactor_core::{Buffer, Config, Error, Outcome, Recv, Send, SendAll, Shutdown, ShutdownHow};
use rustix::io::Errno;

use super::{POLL, RECV, Rig, SEND, SETUPS, tcp_pair};
use crate::requests::Place;

#[test]
fn a_receive_gets_what_is_there_and_what_comes_later() {
    for setup in SETUPS {
        let mut rig = Rig::with(&Config::default(), setup);
        let (handle, mut far) = rig.pair();
        far.write_all(b"there").unwrap();
        rig.recv(handle);
        assert_eq!(rig.received().unwrap(), b"there");
        rig.recv(handle);
        rig.look();
        assert!(rig.done.is_empty());
        far.write_all(b"later").unwrap();
        assert_eq!(rig.received().unwrap(), b"later");
        assert_eq!(rig.pushed(RECV), 2);
    }
}

#[test]
fn a_receive_fills_the_range_of_its_buffer_and_nothing_else() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    far.write_all(b"0123456789").unwrap();
    let buffer = Buffer::zeroed(10).slice(2..6);
    let token = rig.start(handle, Recv { handle, buffer });
    let (answered, outcome) = rig.next();
    let Outcome::Recv(received) = outcome else { panic!("{outcome:?}") };
    assert_eq!((answered, received.handle, received.result), (token, handle, Ok(4)));
    assert_eq!(&received.buffer[..], b"0123");
    assert_eq!(&received.buffer.unslice()[..], b"\0\x000123\0\0\0\0");
    rig.recv(handle);
    assert_eq!(rig.received().unwrap(), b"456789");
}

#[test]
fn what_comes_between_two_receives_is_found_by_the_second() {
    for setup in SETUPS {
        let mut rig = Rig::with(&Config::default(), setup);
        let (handle, mut far) = rig.pair();
        // The first leaves nothing, so the second is not tried before something is there; and something is.
        for bytes in [&b"first"[..], b"second", b"third"] {
            far.write_all(bytes).unwrap();
            rig.recv(handle);
            assert_eq!(rig.received().unwrap(), bytes);
        }
        // The first of these leaves some, so the second is tried at once.
        far.write_all(b"0123456789abcdefghij").unwrap();
        for bytes in [&b"0123456789abcdef"[..], b"ghij"] {
            rig.recv(handle);
            assert_eq!(rig.received().unwrap(), bytes);
        }
    }
}

#[test]
fn the_end_of_the_stream_is_zero_again_and_again() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    far.write_all(b"last").unwrap();
    far.shutdown(How::Write).unwrap();
    for expected in [&b"last"[..], b"", b""] {
        rig.recv(handle);
        assert_eq!(rig.received().unwrap(), expected);
    }
}

#[test]
fn empty_buffers_of_streams_need_no_system() {
    let mut rig = Rig::new();
    let (handle, _far) = rig.pair();
    rig.start(handle, Recv { handle, buffer: Buffer::from(Vec::new()) });
    assert_eq!(rig.received().unwrap(), b"");
    rig.start(handle, Send { handle, buffer: Buffer::default() });
    assert_eq!(rig.next().1.error(), None);
    rig.start(handle, SendAll { handle, buffer: Buffer::default() });
    assert_eq!(rig.sent_all().result, Ok(()));
    assert_eq!((rig.pushed(RECV), rig.pushed(SEND)), (0, 0));
}

#[test]
fn empty_datagrams_are_data() {
    let mut rig = Rig::new();
    let (near, far) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    near.connect(far.local_addr().unwrap()).unwrap();
    far.connect(near.local_addr().unwrap()).unwrap();
    far.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    let handle = rig.attach(near);
    rig.start(handle, Send { handle, buffer: Buffer::default() });
    assert_eq!(rig.next().1.error(), None);
    assert_eq!(far.recv(&mut [0; 4]).unwrap(), 0);
    rig.recv(handle);
    far.send(b"").unwrap();
    assert_eq!(rig.received().unwrap(), b"");
    assert_eq!((rig.pushed(RECV), rig.pushed(SEND)), (1, 1));
}

#[test]
fn what_is_shared_is_sent_and_never_received_into() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    let shared: Arc<[u8]> = Arc::from(&b"shared"[..]);
    for buffer in [Buffer::from(Arc::clone(&shared)), Buffer::from(b"static"), Buffer::from(b"")] {
        rig.start(handle, Recv { handle, buffer });
        assert_eq!(rig.received(), Err(Error::ReadOnlyBuffer));
    }
    assert_eq!(rig.pushed(RECV), 0);
    rig.send_all(handle, Arc::clone(&shared));
    let sent = rig.sent_all();
    assert_eq!((sent.result, sent.transferred), (Ok(()), 6));
    let mut bytes = [0; 6];
    far.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"shared");
}

#[test]
fn lengths_beyond_what_one_call_takes_are_clamped() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    far.write_all(b"bytes").unwrap();
    // Zeroed memory that is never touched costs nothing.
    rig.start(handle, Recv { handle, buffer: Buffer::zeroed(Buffer::MAX_LEN) });
    assert_eq!(rig.received().unwrap(), b"bytes");
}

#[test]
fn a_send_takes_what_there_is_room_for() {
    let mut rig = Rig::new();
    let (handle, _far) = rig.pair();
    let len = 64 << 20;
    rig.start(handle, Send { handle, buffer: Buffer::zeroed(len) });
    let (_, Outcome::Send(sent)) = rig.next() else { panic!("a send") };
    let taken = sent.result.unwrap();
    assert!(0 < taken && taken < len && sent.buffer.len() == len, "{taken}");
}

/// Bytes that differ from their neighbours, and in which a lost or repeated piece shows.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|position| (position % 251) as u8 ^ (position >> 12) as u8).collect()
}

#[test]
fn a_send_of_everything_goes_on_until_all_is_sent() {
    for setup in SETUPS {
        let mut rig = Rig::with(&Config::default(), setup);
        let (handle, mut far) = rig.pair();
        rig.backend.control(handle.slot(), Control::Set(SocketOption::SendBuffer(8192))).unwrap();
        let bytes = pattern(4 << 20);
        rig.send_all(handle, bytes.clone());
        let mut received = vec![0; bytes.len()];
        let reader = std::thread::spawn(move || {
            far.read_exact(&mut received).unwrap();
            received
        });
        let sent = rig.sent_all();
        assert_eq!((sent.result, sent.transferred, sent.buffer.len()), (Ok(()), bytes.len(), bytes.len()));
        assert!(reader.join().unwrap() == bytes, "{setup:?}");
    }
}

#[test]
fn a_send_of_everything_that_is_cancelled_tells_how_far_it_came() {
    for setup in SETUPS {
        let mut rig = Rig::with(&Config::default(), setup);
        let (handle, mut far) = rig.pair();
        let bytes = pattern(16 << 20);
        let token = rig.send_all(handle, bytes.clone());
        // As much as fits is on its way; then some is read, so that the kernel sends more on its own.
        rig.look();
        let mut received = vec![0; 1 << 20];
        far.read_exact(&mut received).unwrap();
        rig.look();
        assert!(rig.done.is_empty() && rig.cancel(token, handle));
        let sent = rig.sent_all();
        assert_eq!((sent.result, sent.buffer.len()), (Err(Error::Canceled), bytes.len()));
        rig.close(handle);
        far.read_to_end(&mut received).unwrap();
        assert!((1 << 20..bytes.len()).contains(&sent.transferred));
        assert!(received == bytes[..sent.transferred], "{setup:?}: {} sent", sent.transferred);
    }
}

#[test]
fn a_send_of_everything_whose_peer_goes_away_tells_how_far_it_came() {
    for setup in SETUPS {
        let mut rig = Rig::with(&Config::default(), setup);
        let (handle, far) = rig.pair();
        let len = 64 << 20;
        rig.send_all(handle, vec![7; len]);
        rig.look();
        drop(far);
        let sent = rig.sent_all();
        assert!(matches!(sent.result, Err(Error::System(_))), "{sent:?}");
        assert!(0 < sent.transferred && sent.transferred < len, "{setup:?}: {sent:?}");
    }
}

#[test]
fn a_peer_that_has_reset_is_an_error() {
    let mut rig = Rig::new();
    let (near, far) = tcp_pair();
    let (near, far) = (rig.attach(near), rig.attach(far));
    let reset = Control::Set(SocketOption::Linger(Some(std::time::Duration::ZERO)));
    rig.backend.control(far.slot(), reset).unwrap();
    rig.recv(near);
    rig.look();
    rig.close(far);
    assert_eq!(rig.received(), Err(Errno::CONNRESET.into()));
    rig.start(near, Send { handle: near, buffer: Buffer::from(b"late") });
    assert_eq!(rig.next().1.error(), Some(Errno::PIPE.into()));
}

#[test]
fn a_shutdown_is_the_end_of_the_stream() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    rig.start(handle, Shutdown { handle, how: ShutdownHow::Write });
    assert_eq!(rig.done.pop().unwrap().1.error(), None);
    assert_eq!(far.read(&mut [0; 1]).unwrap(), 0);
    far.write_all(b"still").unwrap();
    rig.recv(handle);
    assert_eq!(rig.received().unwrap(), b"still");
    rig.start(handle, Send { handle, buffer: Buffer::from(b"late") });
    assert_eq!(rig.next().1.error(), Some(Errno::PIPE.into()));
}

#[test]
fn what_is_no_socket_is_the_systems_error() {
    let mut rig = Rig::new();
    let (reader, _writer) = rustix::pipe::pipe().unwrap();
    let handle = rig.attach(reader);
    rig.recv(handle);
    assert_eq!(rig.received(), Err(Errno::NOTSOCK.into()));
    rig.start(handle, Shutdown { handle, how: ShutdownHow::Both });
    assert_eq!(rig.next().1.error(), Some(Errno::NOTSOCK.into()));
}

#[test]
fn nonblocking_descriptors_wait_all_the_same_and_stay_what_they_are() {
    let mut rig = Rig::new();
    let (near, mut far) = tcp_pair();
    near.set_nonblocking(true).unwrap();
    let handle = rig.attach(near);
    rig.recv(handle);
    rig.look();
    assert!(rig.done.is_empty());
    far.write_all(b"bytes").unwrap();
    assert_eq!(rig.received().unwrap(), b"bytes");
    let back = rig.backend.detach(handle.slot()).unwrap();
    assert!(rustix::fs::fcntl_getfl(&back).unwrap().contains(rustix::fs::OFlags::NONBLOCK));
}

#[test]
fn what_would_block_after_all_waits_until_it_is_ready() {
    let mut rig = Rig::new();
    let polls = rig.pushed(POLL);
    rig.never_wait();
    let (handle, mut far) = rig.pair();
    rig.recv(handle);
    rig.look();
    rig.look();
    assert!(rig.done.is_empty());
    assert_eq!((rig.pushed(RECV), rig.pushed(POLL)), (1, polls + 1));
    far.write_all(b"bytes").unwrap();
    assert_eq!(rig.received().unwrap(), b"bytes");
    assert_eq!(rig.pushed(RECV), 2);

    // What fits is sent; then there is no room for the rest.
    let bytes = pattern(16 << 20);
    rig.send_all(handle, bytes.clone());
    rig.look();
    rig.look();
    assert!(rig.done.is_empty());
    assert_eq!((rig.pushed(SEND), rig.pushed(POLL)), (2, polls + 2));
    let mut received = vec![0; bytes.len()];
    let reader = std::thread::spawn(move || {
        far.read_exact(&mut received).unwrap();
        received
    });
    assert_eq!(rig.sent_all().transferred, bytes.len());
    assert!(reader.join().unwrap() == bytes);
}

#[test]
fn what_was_interrupted_is_done_again() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    rig.recv(handle);
    rig.look();
    let place = Place::reading(handle.slot());
    rig.take_back(place);
    rig.backend.refused(place, Errno::INTR, &mut rig.done);
    assert_eq!((rig.pushed(RECV), rig.pushed(POLL)), (2, 1));
    far.write_all(b"bytes").unwrap();
    assert_eq!(rig.received().unwrap(), b"bytes");
}

#[test]
fn a_send_that_sends_nothing_is_not_tried_for_ever() {
    let mut rig = Rig::new();
    let (handle, _far) = rig.pair();
    rig.send_all(handle, vec![0; 64 << 20]);
    rig.look();
    let place = Place::writing(handle.slot());
    rig.take_back(place);
    rig.backend.sent_some(place, Ok(0), &mut rig.done);
    assert_eq!(rig.sent_all().result, Err(Errno::IO.into()));
}

#[test]
fn only_what_was_left_empty_is_waited_for_before_it_is_tried() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    far.write_all(b"0123456789abcdefghij").unwrap();
    let can_wait = usize::from(rig.backend.requests.manner.wait_first != 0);
    for waited in [0, 0, can_wait] {
        rig.recv(handle);
        assert_eq!(rig.backend.requests.waited_first, waited);
        rig.look();
    }
}

#[test]
fn both_directions_go_on_at_once() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    let receive = rig.recv(handle);
    rig.send_all(handle, vec![1; 64 << 20]);
    rig.look();
    assert!(rig.done.is_empty());
    far.write_all(b"bytes").unwrap();
    let (token, outcome) = rig.next();
    assert_eq!((token, outcome.error()), (receive, None));
}
