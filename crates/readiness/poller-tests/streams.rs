//! Bytes: receive, send, shut down.

use std::io::{IoSlice, Read, Write};
use std::net::{Shutdown as Ends, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use proactor_core::{
    Backend, Buffer, Control, Error, Operation, Outcome, Recv, Send, SendAll, Shutdown, ShutdownHow,
    SocketOption, Until,
};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use super::Rig;

#[test]
fn bytes_come_at_once_or_later() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    far.write_all(b"early").unwrap();
    rig.recv(handle);
    assert_eq!(rig.done.len(), 1);
    assert_eq!(rig.received().unwrap(), b"early");
    rig.recv(handle);
    rig.look();
    assert!(rig.done.is_empty());
    far.write_all(b"late").unwrap();
    assert_eq!(rig.received().unwrap(), b"late");
}

#[test]
fn data_and_the_end_in_one_edge() {
    for look_before in [false, true] {
        let mut rig = Rig::new();
        let (handle, mut far) = rig.pair();
        rig.recv(handle);
        far.write_all(b"last").unwrap();
        drop(far);
        assert_eq!(rig.received().unwrap(), b"last");
        if look_before {
            rig.look();
        }
        assert_eq!(rig.receive(handle).unwrap(), b"");
        assert_eq!(rig.receive(handle).unwrap(), b"");
    }
}

#[test]
fn data_and_the_end_before_the_socket_came() {
    let (near, mut far) = super::tcp_pair();
    far.write_all(b"last").unwrap();
    drop(far);
    let mut rig = Rig::new();
    let handle = rig.attach(near);
    assert_eq!(rig.receive(handle).unwrap(), b"last");
    assert_eq!(rig.receive(handle).unwrap(), b"");
}

#[test]
fn data_and_a_reset_in_one_edge() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    rig.recv(handle);
    far.write_all(b"last").unwrap();
    let reset = Control::Set(SocketOption::Linger(Some(Duration::ZERO)));
    proactor_system::control(far.as_fd(), &reset).unwrap();
    drop(far);
    assert_eq!(rig.received().unwrap(), b"last");
    assert_eq!(rig.receive(handle), Err(Errno::CONNRESET.into()));
    assert_eq!(rig.receive(handle).unwrap(), b"");
    rig.start(handle, SendAll { handle, buffer: Buffer::from(b"bytes") });
    let (_, Outcome::SendAll(sent)) = rig.next() else { panic!("it was sent") };
    assert_eq!((sent.result, sent.transferred), (Err(Errno::PIPE.into()), 0));
}

#[test]
fn a_send_tells_the_error_that_its_one_call_met() {
    for how in [
        |handle| SendAll { handle, buffer: Buffer::from(b"bytes") }.into(),
        |handle| Operation::from(Send { handle, buffer: Buffer::from(b"bytes") }),
    ] {
        let mut rig = Rig::new();
        let (handle, far) = rig.pair();
        let reset = Control::Set(SocketOption::Linger(Some(Duration::ZERO)));
        proactor_system::control(far.as_fd(), &reset).unwrap();
        drop(far);
        rig.start(handle, how(handle));
        // A second call would find the error taken, and a closed pipe.
        assert_eq!(rig.next().1.error(), Some(Errno::CONNRESET.into()));
        rig.start(handle, how(handle));
        assert_eq!(rig.next().1.error(), Some(Errno::PIPE.into()));
    }
}

#[test]
fn data_around_an_urgent_byte_in_one_edge() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    rig.recv(handle);
    far.write_all(b"before").unwrap();
    rustix::net::send(&far, b"!", SendFlags::OOB).unwrap();
    far.write_all(b"after").unwrap();
    assert_eq!(rig.received().unwrap(), b"before");
    assert_eq!(rig.receive(handle).unwrap(), b"after");
    rig.recv(handle);
    rig.look();
    assert!(rig.done.is_empty());
    far.write_all(b"end").unwrap();
    assert_eq!(rig.received().unwrap(), b"end");
}

#[test]
fn an_urgent_byte_after_the_event_was_taken() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    far.write_all(b"before").unwrap();
    rig.look();
    rustix::net::send(&far, b"!", SendFlags::OOB).unwrap();
    far.write_all(b"after").unwrap();
    assert_eq!(rig.receive(handle).unwrap(), b"before");
    assert_eq!(rig.receive(handle).unwrap(), b"after");
}

#[test]
fn a_descriptor_between_two_segments_of_a_unix_stream() {
    let mut rig = Rig::new();
    let (near, mut far) = UnixStream::pair().unwrap();
    let handle = rig.attach(near);
    rig.recv(handle);
    far.write_all(b"ab").unwrap();
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let sent = [far.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&sent)));
    rustix::net::sendmsg(&far, &[IoSlice::new(b"cd")], &mut control, SendFlags::empty()).unwrap();
    far.write_all(b"ef").unwrap();
    let mut received = rig.received().unwrap();
    assert!(received.len() < 6, "the descriptor ends a receive");
    while received.len() < 6 {
        received.extend(rig.receive(handle).unwrap());
    }
    assert_eq!(received, b"abcdef");
}

#[test]
fn both_directions_wait_independently() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    let recv = rig.recv(handle);
    let send = rig.start(handle, SendAll { handle, buffer: Buffer::zeroed(32 << 20) });
    rig.look();
    assert!(rig.done.is_empty());
    far.write_all(b"bytes").unwrap();
    let (token, Outcome::Recv(received)) = rig.next() else { panic!("the send has no room") };
    assert_eq!((token, received.result), (recv, Ok(5)));
    let reader = std::thread::spawn(move || far.read_exact(&mut vec![0; 32 << 20]).unwrap());
    let (token, Outcome::SendAll(sent)) = rig.next() else { panic!("nothing was sent to us") };
    assert_eq!((token, sent.result, sent.transferred), (send, Ok(()), 32 << 20));
    reader.join().unwrap();
}

#[test]
fn all_is_sent_in_order_through_a_small_buffer() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    rig.backend.control(handle.slot(), Control::Set(SocketOption::SendBuffer(4096))).unwrap();
    let bytes: Vec<u8> = (0..2_000_003_u32).map(|index| (index % 251) as u8).collect();
    let expected = bytes.clone();
    let reader = std::thread::spawn(move || {
        let mut received = vec![0; expected.len() - 3];
        far.read_exact(&mut received).unwrap();
        assert!(received == expected[3..]);
        far
    });
    rig.start(handle, SendAll { handle, buffer: Buffer::from(bytes).slice(3..) });
    assert!(rig.done.is_empty());
    let (_, Outcome::SendAll(sent)) = rig.next() else { panic!("nothing else was started") };
    assert_eq!((sent.result, sent.transferred), (Ok(()), 2_000_000));
    assert_eq!(sent.buffer.len(), 2_000_000);
    drop(reader.join().unwrap());
}

#[test]
fn a_cancelled_send_all_tells_what_went() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    let len = 32 << 20;
    let token = rig.start(handle, SendAll { handle, buffer: Buffer::zeroed(len) });
    assert!(rig.cancel(token, handle));
    assert!(!rig.cancel(token, handle));
    let (_, Outcome::SendAll(sent)) = rig.next() else { panic!("nothing else was started") };
    assert_eq!((sent.result, sent.buffer.len()), (Err(Error::Canceled), len));
    assert!(0 < sent.transferred && sent.transferred < len);
    rig.close(handle);
    assert_eq!(far.read_to_end(&mut Vec::new()).unwrap(), sent.transferred);
}

#[test]
fn a_send_takes_what_there_is_room_for() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    let len = 32 << 20;
    rig.start(handle, Send { handle, buffer: Buffer::zeroed(len) });
    let (_, Outcome::Send(sent)) = rig.next() else { panic!("nothing else was started") };
    let first = sent.result.unwrap();
    assert!(0 < first && first < len);
    // No room: the next one waits, and a reader makes some.
    let token = rig.start(handle, Send { handle, buffer: sent.buffer });
    rig.look();
    assert!(rig.done.is_empty());
    far.read_exact(&mut vec![0; first]).unwrap();
    let (next, Outcome::Send(sent)) = rig.next() else { panic!("nothing else was started") };
    assert_eq!(next, token);
    assert!(sent.result.unwrap() > 0);
    // The third is cancelled, with its buffer back.
    let filled = rig.start(handle, SendAll { handle, buffer: sent.buffer });
    assert!(rig.cancel(filled, handle));
    assert_eq!(rig.done.len(), 1);
}

#[test]
fn a_cancelled_receive_loses_no_data() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    let token = rig.recv(handle);
    far.write_all(b"bytes").unwrap();
    assert!(rig.cancel(token, handle));
    let (_, Outcome::Recv(received)) = rig.next() else { panic!("nothing else was started") };
    assert_eq!((received.result, received.buffer.len()), (Err(Error::Canceled), 16));
    assert_eq!(rig.receive(handle).unwrap(), b"bytes");
}

#[test]
fn shutting_down_ends_each_direction() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    let recv = rig.recv(handle);
    rig.start(handle, Shutdown { handle, how: ShutdownHow::Write });
    let (_, Outcome::Shutdown(shut)) = rig.next() else { panic!("a shutdown does not wait") };
    assert_eq!((shut.result, shut.how), (Ok(()), ShutdownHow::Write));
    assert_eq!(far.read(&mut [0; 1]).unwrap(), 0);
    rig.look();
    assert!(rig.done.is_empty());
    rig.start(handle, Shutdown { handle, how: ShutdownHow::Read });
    let (_, Outcome::Shutdown(shut)) = rig.next() else { panic!("a shutdown does not wait") };
    assert_eq!(shut.result, Ok(()));
    let (token, Outcome::Recv(received)) = rig.next() else { panic!("only a receive is left") };
    assert_eq!((token, received.result), (recv, Ok(0)));
    far.shutdown(Ends::Both).unwrap();
}

#[test]
fn empty_buffers_on_a_stream_are_done_at_once() {
    let mut rig = Rig::new();
    let (handle, _far) = rig.pair();
    rig.start(handle, Recv { handle, buffer: Vec::with_capacity(8).into() });
    let (_, Outcome::Recv(received)) = rig.next() else { panic!("nothing else was started") };
    assert_eq!(received.result, Ok(0));
    rig.start(handle, Send { handle, buffer: Buffer::default() });
    let (_, Outcome::Send(sent)) = rig.next() else { panic!("nothing else was started") };
    assert_eq!(sent.result, Ok(0));
    rig.start(handle, SendAll { handle, buffer: Buffer::default() });
    let (_, Outcome::SendAll(sent)) = rig.next() else { panic!("nothing else was started") };
    assert_eq!((sent.result, sent.transferred), (Ok(()), 0));
    // Not even where the direction is drained.
    rig.start(handle, Recv { handle, buffer: Buffer::zeroed(1) });
    assert!(rig.done.is_empty());
    rig.start(handle, Recv { handle, buffer: Vec::with_capacity(8).into() });
    let (_, Outcome::Recv(received)) = rig.next() else { panic!("only one may wait") };
    assert_eq!(received.result, Err(Error::Busy));
}

#[test]
fn empty_datagrams_are_data() {
    let mut rig = Rig::new();
    let far = UdpSocket::bind("127.0.0.1:0").unwrap();
    let near = UdpSocket::bind("127.0.0.1:0").unwrap();
    near.connect(far.local_addr().unwrap()).unwrap();
    far.connect(near.local_addr().unwrap()).unwrap();
    let handle = rig.attach(near);
    rig.start(handle, Recv { handle, buffer: Vec::with_capacity(8).into() });
    rig.look();
    assert!(rig.done.is_empty());
    far.send(b"").unwrap();
    let (_, Outcome::Recv(received)) = rig.next() else { panic!("nothing else was started") };
    assert_eq!(received.result, Ok(0));
    rig.recv(handle);
    rig.look();
    assert!(rig.done.is_empty(), "the empty datagram was taken");
    far.send(b"some").unwrap();
    assert_eq!(rig.received().unwrap(), b"some");
    rig.start(handle, SendAll { handle, buffer: Buffer::default() });
    let (_, Outcome::SendAll(sent)) = rig.next() else { panic!("nothing else was started") };
    assert_eq!(sent.result, Ok(()));
    assert_eq!(far.recv(&mut [0; 4]).unwrap(), 0);
}

#[test]
fn two_datagrams_in_one_edge() {
    let mut rig = Rig::new();
    let far = UdpSocket::bind("127.0.0.1:0").unwrap();
    let near = UdpSocket::bind("127.0.0.1:0").unwrap();
    far.connect(near.local_addr().unwrap()).unwrap();
    let handle = rig.attach(near);
    rig.recv(handle);
    far.send(b"one").unwrap();
    far.send(b"two").unwrap();
    assert_eq!(rig.received().unwrap(), b"one");
    assert_eq!(rig.receive(handle).unwrap(), b"two");
}

#[test]
fn shared_bytes_are_not_received_into() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    far.write_all(b"bytes").unwrap();
    rig.start(handle, Recv { handle, buffer: Buffer::from(b"static") });
    let (_, Outcome::Recv(received)) = rig.next() else { panic!("nothing else was started") };
    assert_eq!((received.result, &received.buffer[..]), (Err(Error::ReadOnlyBuffer), &b"static"[..]));
    assert_eq!(rig.receive(handle).unwrap(), b"bytes");
}

#[test]
fn descriptors_that_are_not_watched_are_taken_all_the_same() {
    let mut rig = Rig::new();
    let paths = ["/dev/null".into(), "/".into(), std::env::current_exe().unwrap()];
    for path in paths {
        let handle = rig.attach(std::fs::File::open(&path).unwrap());
        assert_eq!(rig.receive(handle), Err(Errno::NOTSOCK.into()));
        let back = rig.backend.detach(handle.slot()).unwrap();
        assert!(rustix::fs::fstat(&back).is_ok());
        rig.done.discard_handle(handle);
    }
}

#[test]
fn pipes_come_and_go_as_they_were() {
    let mut rig = Rig::new();
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let flags = rustix::fs::fcntl_getfl(&reader).unwrap();
    let handle = rig.attach(reader);
    drop(writer);
    // An idle registration with a hang-up does not spin: one edge, then silence.
    rig.backend.wait(Until::Forever, &mut rig.done).unwrap();
    let start = rig.backend.now();
    rig.backend.wait(Until::Deadline(start + Duration::from_millis(5)), &mut rig.done).unwrap();
    assert!(rig.backend.now().since(start) >= Duration::from_millis(5));
    assert_eq!(rig.receive(handle), Err(Errno::NOTSOCK.into()));
    let reader = rig.backend.detach(handle.slot()).unwrap();
    assert_eq!(rustix::fs::fcntl_getfl(&reader).unwrap(), flags);
}

#[test]
fn connected_sockets_are_never_made_nonblocking() {
    let mut rig = Rig::new();
    let (near, mut far) = super::tcp_pair();
    let flags = rustix::fs::fcntl_getfl(&near).unwrap();
    let copy = near.try_clone().unwrap();
    let handle = rig.attach(near);
    rig.recv(handle);
    far.write_all(b"bytes").unwrap();
    assert_eq!(rig.received().unwrap(), b"bytes");
    rig.start(handle, SendAll { handle, buffer: Buffer::from(b"bytes") });
    rig.next();
    assert_eq!(rustix::fs::fcntl_getfl(&copy).unwrap(), flags);
    let near = TcpStream::from(rig.backend.detach(handle.slot()).unwrap());
    assert_eq!(near.peer_addr().unwrap(), far.local_addr().unwrap());
}
