//! Descriptors passed over Unix sockets: each arrives once, in its order, or is closed (contract C2, C5, H3, R1, X1, X2, X5, E1).

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};

use proactor_core::{
    Backend, Buffer, Cancel, Driver, Envelope, Error, Family, Handle, Loop, Message, Outcome, Peer,
    ReadExact, Recv, RecvFrom, RecvMsg, Send, SendMsg, UnixAddress,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::pipe::pipe;
use rustix::process::{Resource, setrlimit};

use super::bad_input::limit_descriptors;
use super::messages::{bytes, recv_msg, send_msg, whole};
use super::unix::free_name;
use crate::Fixture;
use crate::steps::{IPV4, Steps, address, join_at};
use crate::turns::Turns;

/// Control data was cut.
fn cut_short(len: usize) -> Result<Message, Error> {
    Ok(Message::new(len).truncated(false, true))
}

fn receive(handle: Handle, len: usize, room: usize) -> RecvMsg {
    RecvMsg { envelope: Envelope::with_room(room), ..recv_msg(handle, len) }
}

/// Both ends of a pair of streams, in the loop.
fn streams<B: Backend>(ev: &mut Loop<B, ()>) -> (Handle, Handle) {
    let (one, other) = UnixStream::pair().unwrap();
    (ev.context().attach(one).unwrap(), ev.context().attach(other).unwrap())
}

/// Both ends of a pair of datagram sockets, in the loop.
fn datagrams<B: Backend>(ev: &mut Loop<B, ()>) -> (Handle, Handle) {
    let (one, other) = UnixDatagram::pair().unwrap();
    (ev.context().attach(one).unwrap(), ev.context().attach(other).unwrap())
}

/// A pipe whose writing end is passed: its other end sees when the last copy of that is closed.
struct Passed {
    reader: File,
}

impl Passed {
    fn new() -> (Self, Envelope) {
        let (reader, writer) = pipe().unwrap();
        (Self { reader: File::from(reader) }, Envelope::from(vec![writer]))
    }

    /// Waits until no copy is left.
    #[track_caller]
    fn expect_closed(mut self) {
        let mut polled = [PollFd::new(&self.reader, PollFlags::IN)];
        let ready = poll(&mut polled, Some(&Timespec { tv_sec: 5, tv_nsec: 0 }));
        assert_eq!(ready, Ok(1), "a copy of the descriptor is left open");
        let mut text = String::new();
        self.reader.read_to_string(&mut text).expect("the end of the pipe");
        assert_eq!(text, "");
    }

    /// Sees that what came is the pipe's end, and closes that.
    #[track_caller]
    fn expect_in(mut self, mut envelope: Envelope) {
        let [writer]: [OwnedFd; 1] = std::mem::take(envelope.descriptors_mut()).try_into().expect("one came");
        assert!(fcntl_getfd(&writer).unwrap().contains(FdFlags::CLOEXEC), "no child is to have it");
        File::from(writer).write_all(b"through").unwrap();
        let mut text = String::new();
        self.reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
    }
}

fn there_and_back<B: Backend>(ev: &mut Loop<B, ()>, (one, other): (Handle, Handle)) {
    for waiting in [true, false] {
        let first = waiting.then(|| {
            let first = ev.start(receive(other, 16, 2));
            ev.idle();
            first
        });
        let (pipe, envelope) = Passed::new();
        let sent = ev.complete(send_msg(one, b"with it", envelope));
        assert_eq!((sent.result, &sent.buffer[..]), (Ok(7), &b"with it"[..]));
        // Ours comes back, and is closed; the receiver has its own.
        assert_eq!(sent.envelope.descriptors().len(), 1);
        drop(sent);
        let received = match first {
            Some(first) => ev.finish(&first),
            None => ev.complete(receive(other, 16, 2)),
        };
        assert_eq!((received.result, bytes(&received)), (whole(7), &b"with it"[..]));
        pipe.expect_in(received.envelope);
    }
    // Several, in their order, and none where none was sent.
    let pipes = [Passed::new(), Passed::new(), Passed::new()];
    let (pipes, mut envelopes): (Vec<_>, Vec<_>) = pipes.into_iter().unzip();
    let all: Vec<_> = envelopes.iter_mut().flat_map(|it| it.descriptors_mut().drain(..)).collect();
    assert_eq!(ev.complete(send_msg(other, b"three", Envelope::from(all))).result, Ok(5));
    assert_eq!(ev.complete(Send { handle: other, buffer: b"none".into() }).result, Ok(4));
    let mut received = ev.complete(receive(one, 5, 16));
    assert_eq!((received.result, received.envelope.descriptors().len()), (whole(5), 3));
    for (pipe, writer) in pipes.into_iter().zip(received.envelope.descriptors_mut().drain(..)) {
        pipe.expect_in(vec![writer].into());
    }
    // Its room is used again.
    let received = ev.complete(RecvMsg { handle: one, buffer: received.buffer, envelope: received.envelope });
    assert_eq!((received.result, received.envelope.descriptors().len()), (whole(4), 0));
    assert_eq!(received.envelope.room(), 16);
}

/// Over streams and over datagrams; each is a duplicate that no child inherits, and the sender's stay its own.
pub(crate) fn descriptors_are_passed<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let ends = streams(&mut ev);
    there_and_back(&mut ev, ends);
    let ends = datagrams(&mut ev);
    there_and_back(&mut ev, ends);
    // An empty datagram is data, and may bring some.
    let (pipe, envelope) = Passed::new();
    drop(ev.complete(send_msg(ends.0, Buffer::default(), envelope)));
    let received = ev.complete(receive(ends.1, 8, 1));
    assert_eq!(received.result, whole(0));
    pipe.expect_in(received.envelope);
}

/// By address too, and what is passed may be attached: a socket comes, and is answered through.
pub(crate) fn a_passed_socket_is_used<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let mut bound = || {
        let handle = ev.context().datagram_socket(Family::Unix).unwrap();
        let name = free_name(&mut ev);
        ev.context().bind(handle, name).unwrap();
        (handle, ev.context().local_address(handle).unwrap())
    };
    let [(server, to), (client, from)] = [bound(), bound()];
    let (mut mine, theirs) = UnixStream::pair().unwrap();
    let mut envelope = Envelope::from(to);
    envelope.descriptors_mut().push(theirs.into());
    drop(ev.complete(send_msg(client, b"take it", envelope)));
    let mut received = ev.complete(receive(server, 16, 4));
    assert_eq!((received.result, received.envelope.address()), (whole(7), Some(&from)));
    let socket = received.envelope.descriptors_mut().pop().unwrap();
    let handle = ev.context().attach(socket).unwrap();
    assert_eq!(ev.complete(Send { handle, buffer: b"hello".into() }).result, Ok(5));
    ev.context().close(handle);
    ev.until_done();
    let mut text = String::new();
    mine.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
    // The answer goes where that came from, in the same envelope.
    assert_eq!(ev.complete(send_msg(server, b"thanks", received.envelope)).result, Ok(6));
    assert_eq!(ev.complete(receive(client, 16, 4)).result, whole(6));
}

/// On a stream they stay with their bytes: between two segments, none comes early, and no receive goes beyond them.
pub(crate) fn they_stay_with_their_bytes<B: Backend>(fixture: &Fixture<B>) {
    for (waiting, len) in [(false, 64), (true, 64), (false, 1), (true, 3)] {
        let mut ev = fixture.open();
        let (one, other) = streams(&mut ev);
        let mut next = waiting.then(|| ev.start(receive(other, len, 1)));
        ev.idle();
        let mut pipes = Vec::new();
        for text in [&b"ab"[..], b"cd", b"ef", b"gh"] {
            let (pipe, envelope) = if text == b"cd" || text == b"gh" {
                let (pipe, envelope) = Passed::new();
                (Some(pipe), envelope)
            } else {
                (None, Envelope::default())
            };
            drop(ev.complete(send_msg(one, text, envelope)));
            pipes.extend(pipe);
        }
        let mut came = Vec::new();
        let mut pipes = pipes.into_iter();
        let mut seen = Vec::new();
        while came.len() < 8 {
            let received = match next.take() {
                Some(next) => ev.finish(&next),
                None => ev.complete(receive(other, len, 1)),
            };
            came.extend_from_slice(bytes(&received));
            assert_eq!(received.result.map(Message::is_control_truncated), Ok(false));
            if !received.envelope.descriptors().is_empty() {
                seen.push(came.len());
                pipes.next().unwrap().expect_in(received.envelope);
            }
        }
        assert_eq!(came, b"abcdefgh");
        // With the first of their bytes at the earliest, with the last at the latest.
        assert_eq!(seen.len(), 2);
        assert!((3..=4).contains(&seen[0]) && (7..=8).contains(&seen[1]), "{seen:?}");
    }
}

/// Who receives without room loses them: they are closed, not left open, and that is told by what can tell it.
pub(crate) fn without_room_they_are_closed<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (one, other) = streams(&mut ev);
    let pass = |ev: &mut Loop<B, ()>, handle: Handle| {
        let (pipe, envelope) = Passed::new();
        drop(ev.complete(send_msg(handle, b"with it", envelope)));
        pipe
    };
    let pipe = pass(&mut ev, one);
    assert_eq!(ev.complete(recv_msg(other, 16)).result, cut_short(7));
    pipe.expect_closed();
    let pipe = pass(&mut ev, one);
    assert_eq!(ev.complete(Recv { handle: other, buffer: Buffer::zeroed(16) }).result, Ok(7));
    pipe.expect_closed();
    let pipe = pass(&mut ev, one);
    assert_eq!(ev.complete(ReadExact { handle: other, buffer: Buffer::zeroed(7) }).result, Ok(()));
    pipe.expect_closed();
    let (one, other) = datagrams(&mut ev);
    let pipe = pass(&mut ev, one);
    let from = RecvFrom { handle: other, buffer: Buffer::zeroed(16), peer: Peer::default() };
    assert_eq!(ev.complete(from).result.map(proactor_core::Datagram::len), Ok(7));
    pipe.expect_closed();
    // More than there is room for: the first ones come, the others are closed. Bytes may be cut as well.
    let (kept, mut envelope) = Passed::new();
    let mut lost = Vec::new();
    for _ in 0..3 {
        let (pipe, mut more) = Passed::new();
        envelope.descriptors_mut().append(more.descriptors_mut());
        lost.push(pipe);
    }
    drop(ev.complete(send_msg(one, b"four", envelope)));
    let received = ev.complete(receive(other, 2, 1));
    assert_eq!(received.result, Ok(Message::new(2).truncated(true, true)));
    lost.into_iter().for_each(Passed::expect_closed);
    kept.expect_in(received.envelope);
}

/// As many as may go with one message do; one more is refused, with all handed back.
pub(crate) fn there_is_a_bound<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (one, other) = streams(&mut ev);
    let null = File::open("/dev/null").unwrap();
    let many = |count: usize| -> Vec<OwnedFd> {
        (0..count).map(|_| null.as_fd().try_clone_to_owned().unwrap()).collect()
    };
    let most = Envelope::MAX_DESCRIPTORS;
    let mut refused = ev.complete(send_msg(one, b"x", many(most + 1)));
    assert_eq!((refused.result, refused.envelope.descriptors().len()), (Err(Error::InvalidInput), most + 1));
    refused.envelope.descriptors_mut().pop();
    let SendMsg { buffer, envelope, .. } =
        SendMsg { handle: one, buffer: refused.buffer, envelope: refused.envelope };
    assert_eq!(ev.complete(send_msg(one, buffer, envelope)).result, Ok(1));
    let received = ev.complete(receive(other, 8, usize::MAX));
    assert_eq!((received.result, received.envelope.descriptors().len()), (whole(1), most));
}

/// What makes no sense is refused, with the descriptors handed back: over IP, without a byte on a stream, into an envelope
/// that has some.
pub(crate) fn what_cannot_be_is_refused<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let null = || -> Vec<OwnedFd> { vec![File::open("/dev/null").unwrap().into()] };
    let (one, other) = streams(&mut ev);
    let bare = ev.complete(send_msg(one, Buffer::default(), null()));
    assert_eq!((bare.result, bare.envelope.descriptors().len()), (Err(Error::InvalidInput), 1));
    let full = ev.complete(RecvMsg { envelope: null().into(), ..recv_msg(other, 8) });
    assert_eq!((full.result, full.envelope.descriptors().len()), (Err(Error::InvalidInput), 1));
    assert_eq!(full.buffer.len(), 8);
    let stale = ev.complete(send_msg(one, b"x", null()));
    assert_eq!(stale.result, Ok(1));
    ev.context().close(one);
    let stale = ev.complete(send_msg(one, b"x", null()));
    assert_eq!((stale.result, stale.envelope.descriptors().len()), (Err(Error::StaleHandle), 1));
    if fixture.capabilities().ipv4 {
        let (client, _server) = ev.pair();
        let udp = ev.context().datagram_socket(Family::Ipv4).unwrap();
        ev.context().bind(udp, address(IPV4)).unwrap();
        let mut to = Envelope::from(ev.context().local_address(udp).unwrap());
        to.descriptors_mut().append(&mut null());
        for (handle, envelope) in [(client, Envelope::from(null())), (udp, to)] {
            let refused = ev.complete(send_msg(handle, b"x", envelope));
            assert_eq!((refused.result, refused.envelope.descriptors().len()), (Err(Error::Unsupported), 1));
        }
    }
    let received = ev.complete(receive(other, 8, 1));
    assert_eq!((received.result, received.envelope.descriptors().len()), (whole(1), 1));
}

/// A receive that is cancelled takes none along; a send that waits and is cancelled has passed none, and has them all.
pub(crate) fn cancelled_they_lose_nothing<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    for stream in [true, false] {
        let (one, other) = if stream { streams(&mut ev) } else { datagrams(&mut ev) };
        let waiting = ev.start(receive(other, 16, 3));
        ev.idle();
        assert_eq!(ev.cancel(waiting.key), Cancel::Requested);
        let canceled = ev.finish(&waiting);
        assert_eq!((canceled.result, canceled.envelope.room()), (Err(Error::Canceled), 3));
        // Cancelled in the moment when it comes, it is delivered or stays.
        let (pipe, envelope) = Passed::new();
        let waiting = ev.start(receive(other, 16, 1));
        ev.no_wait();
        let sent = ev.start(send_msg(one, b"late", envelope));
        ev.until(|| sent.is_done());
        drop(sent.take());
        let received = match ev.cancel(waiting.key) {
            Cancel::NotFound => waiting.take(),
            _ => ev.finish(&waiting),
        };
        let lost = received.result == Err(Error::Canceled);
        let received = if lost { ev.complete(receive(other, 16, 1)) } else { received };
        assert_eq!(received.result, whole(4));
        pipe.expect_in(received.envelope);

        // Until nothing more is taken.
        let waiting = loop {
            let sent = ev.start(Send { handle: one, buffer: vec![0; 4096].into() });
            ev.idle();
            if !sent.is_done() {
                break sent;
            }
        };
        assert_eq!(ev.cancel(waiting.key), Cancel::Requested);
        ev.finish(&waiting);
        let (pipe, envelope) = Passed::new();
        let waiting = ev.start(send_msg(one, vec![0; 4096], envelope));
        ev.idle();
        assert!(!waiting.is_done(), "there is no room");
        assert_eq!(ev.cancel(waiting.key), Cancel::Requested);
        let canceled = ev.finish(&waiting);
        assert_eq!((canceled.result, canceled.envelope.descriptors().len()), (Err(Error::Canceled), 1));
        drop(canceled);
        pipe.expect_closed();
        // When there is room, it goes, with its descriptor.
        let (pipe, envelope) = Passed::new();
        let waiting = ev.start(send_msg(one, b"at last", envelope));
        ev.idle();
        assert!(!waiting.is_done());
        let received = loop {
            let received = ev.complete(receive(other, 1 << 16, 1));
            if !received.envelope.descriptors().is_empty() {
                break received;
            }
        };
        assert!(bytes(&received).ends_with(b"at last"));
        assert_eq!(ev.finish(&waiting).result, Ok(7));
        drop(waiting);
        pipe.expect_in(received.envelope);
    }
}

/// Those of an outcome that nobody gets are closed: deleted while it is queued, or while it waits, or closed under it.
pub(crate) fn what_nobody_gets_is_closed<B: Backend>(_fixture: &Fixture<B>) {
    let mut driver = Driver::<B>::open(Default::default()).unwrap();
    let (one, other) = UnixStream::pair().unwrap();
    let peer = one.try_clone().unwrap();
    let handle = driver.attach(other).unwrap();
    let deleted = driver.submit(receive(handle, 16, 1));
    driver.turn_now();
    let (pipe, envelope) = Passed::new();
    let sender = driver.attach(one).unwrap();
    let sent = driver.submit(send_msg(sender, b"with it", envelope));
    driver.settle();
    assert_eq!(driver.cancel(deleted), Cancel::TooLate, "its outcome is queued");
    assert_eq!(driver.delete(deleted), Ok(()));
    assert!(matches!(driver.outcome_of(sent), Outcome::SendMsg(sent) if sent.result == Ok(7)));
    assert!(driver.pop().is_none());
    pipe.expect_closed();
    // One that waits is deleted, and what comes stays for the next.
    let deleted = driver.submit(receive(handle, 16, 1));
    driver.settle();
    assert_eq!(driver.delete(deleted), Ok(()));
    driver.settle();
    let (pipe, envelope) = Passed::new();
    let sent = driver.submit(send_msg(sender, b"next", envelope));
    driver.settle();
    assert!(matches!(driver.outcome_of(sent), Outcome::SendMsg(sent) if sent.result == Ok(4)));
    let next = driver.submit(receive(handle, 16, 1));
    let Outcome::RecvMsg(received) = driver.outcome_of(next) else { panic!("it ends as one") };
    pipe.expect_in(received.envelope);
    drop(peer);
}

/// With the loop dropped they are closed, whether the system has them, the queue of outcomes, or nobody yet.
pub(crate) fn a_dropped_loop_closes_them<B: Backend>(_fixture: &Fixture<B>) {
    for turns in 0..3 {
        let mut driver = Driver::<B>::open(Default::default()).unwrap();
        let (one, other) = UnixStream::pair().unwrap();
        let handle = driver.attach(other).unwrap();
        let sender = driver.attach(one.try_clone().unwrap()).unwrap();
        driver.submit(receive(handle, 16, 1));
        if turns > 0 {
            driver.turn_now();
        }
        let (pipe, mut envelope) = Passed::new();
        let writer = envelope.descriptors_mut().pop().unwrap();
        crate::peers::send_with_descriptor(one.as_fd(), b"with it", writer.as_fd());
        if turns > 1 {
            driver.settle();
        }
        driver.submit(send_msg(sender, b"never seen", vec![writer]));
        drop((driver, one));
        pipe.expect_closed();
    }
}

/// Where the process can have no more descriptors, bytes come without them, and that is told.
pub(crate) fn descriptors_that_run_out_are_told<B: Backend>(fixture: &Fixture<B>) {
    assert_eq!(fixture.child("receive_without_descriptors"), "done\n");
}

/// The child of [`descriptors_that_run_out_are_told`].
pub(crate) fn receive_without_descriptors<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (one, other) = streams(&mut ev);
    let (pipe, envelope) = Passed::new();
    drop(ev.complete(send_msg(one, b"with it", envelope)));
    let before = limit_descriptors(0);
    let received = ev.complete(receive(other, 16, 1));
    setrlimit(Resource::Nofile, before).unwrap();
    assert_eq!((received.result, received.envelope.descriptors().len()), (cut_short(7), 0));
    pipe.expect_closed();
    println!("done");
}

/// Where the system's descriptors are not the backend's business, passing some is refused, with all handed back; messages
/// without are like others.
pub(crate) fn where_there_are_none_they_come_back<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let listener = ev.context().listen(UnixAddress::unnamed().into(), Default::default()).unwrap();
    let address = ev.context().local_address(listener).unwrap();
    let (one, other) = join_at(&mut ev, &mut (), listener, &address);
    let (pipe, envelope) = Passed::new();
    let refused = ev.complete(send_msg(one, b"with it", envelope));
    assert_eq!((refused.result, &refused.buffer[..]), (Err(Error::Unsupported), &b"with it"[..]));
    assert_eq!(refused.envelope.descriptors().len(), 1);
    drop(refused);
    pipe.expect_closed();
    assert_eq!(ev.complete(send_msg(one, b"without", Envelope::default())).result, Ok(7));
    let received = ev.complete(receive(other, 16, 2));
    assert_eq!((received.result, bytes(&received)), (whole(7), &b"without"[..]));
    assert_eq!((received.envelope.room(), received.envelope.descriptors().len()), (2, 0));
}
