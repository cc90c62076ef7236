//! Asking what a descriptor is ready for, as other libraries want to know it (contract H3, X2).

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown as Half, TcpStream};
#[cfg(target_os = "linux")]
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use proactor_core::{
    Action, Backend, Cancel, Error, Event, Flow, Handle, Interest, Key, Loop, Poll, PollMany, Readiness,
    Recv, RunMode, Timer,
};
#[cfg(target_os = "linux")]
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
#[cfg(target_os = "linux")]
use rustix::event::{EventfdFlags, eventfd};

use crate::Fixture;
use crate::peers::{send_out_of_band, std_pair, with_std};
use crate::scratch::Scratch;
use crate::steps::{Log, Steps, pattern};

const READABLE: Interest = Interest::READABLE;
const WRITABLE: Interest = Interest::WRITABLE;

fn poll(handle: Handle, interest: Interest) -> Poll {
    Poll { handle, interest }
}

/// A library's socket, which does not block, in the loop by a duplicate; and its peer.
fn library<B: Backend>(ev: &mut Loop<B, ()>) -> (Handle, UnixStream, UnixStream) {
    let (ours, peer) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let handle = ev.context().attach(ours.try_clone().unwrap()).unwrap();
    (handle, ours, peer)
}

/// Writes until the system takes no more. Returns how much it took.
fn fill(mut socket: &UnixStream) -> usize {
    let mut written = 0;
    loop {
        match socket.write(&[7; 4096]) {
            Ok(count) => written += count,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                return written;
            }
        }
    }
}

/// Reads until the system has no more. Returns how much it had.
fn drain(mut socket: impl std::io::Read) -> usize {
    let mut read = 0;
    loop {
        match socket.read(&mut [0; 4096]) {
            Ok(0) => return read,
            Ok(count) => read += count,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                return read;
            }
        }
    }
}

/// Has the loop wait for a while, so that edges of all kinds are taken and nobody is there to hear of them.
fn let_edges_pass<B: Backend>(ev: &mut Loop<B, ()>) {
    assert_eq!(ev.complete(Timer::after(Duration::from_millis(5))).result, Ok(()));
}

/// What is ready now completes at once, as often as it is asked, though its edge came and went before.
pub(crate) fn what_is_ready_now_completes_at_once<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (handle, mut ours, mut peer) = library(&mut ev);
    peer.write_all(b"abc").unwrap();
    let_edges_pass(&mut ev);
    for _ in 0..3 {
        let polled = ev.start(poll(handle, READABLE));
        ev.idle();
        assert!(polled.is_done(), "it waits for an edge that has been");
        let polled = polled.take();
        assert_eq!((polled.handle, polled.interest), (handle, READABLE));
        assert_eq!(polled.result, Ok(READABLE.into()));
        assert_eq!(ev.complete(poll(handle, READABLE | WRITABLE)).result, Ok((READABLE | WRITABLE).into()));
    }
    assert_eq!(ours.read(&mut [0; 8]).unwrap(), 3);
    assert_eq!(ev.complete(poll(handle, READABLE | WRITABLE)).result, Ok(WRITABLE.into()));
    let waiting = ev.start(poll(handle, READABLE));
    ev.idle();
    assert!(!waiting.is_done());
    peer.write_all(b"d").unwrap();
    assert_eq!(ev.finish(&waiting).result, Ok(READABLE.into()));
}

/// Room to write is waited for, and so is the end of what the peer sends.
pub(crate) fn it_waits_until_it_is_ready<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (handle, ours, peer) = library(&mut ev);
    assert!(fill(&ours) > 0);
    let (room, end) = (ev.start(poll(handle, WRITABLE)), ev.start(poll(handle, Interest::HANG_UP)));
    ev.idle();
    assert!(!room.is_done() && !end.is_done());
    peer.set_nonblocking(true).unwrap();
    assert!(drain(&peer) > 0);
    assert_eq!(ev.finish(&room).result, Ok(WRITABLE.into()));
    ev.idle();
    assert!(!end.is_done());
    peer.shutdown(Half::Write).unwrap();
    assert_eq!(ev.finish(&end).result, Ok(Interest::HANG_UP.into()));
    // The end of a stream can be read.
    assert_eq!(ev.complete(poll(handle, READABLE)).result, Ok(READABLE.into()));
    drop(peer);
    // Told though nobody asked.
    let over = ev.complete(poll(handle, Interest::PRIORITY)).result.unwrap();
    assert!(over.is_hang_up() && !over.is_priority() && !over.is_readable());
}

/// One end of a connection that is moved on by polls alone.
struct End {
    socket: TcpStream,
    handle: Handle,
    to_send: usize,
    received: usize,
}

/// Two ends, both in the loop by duplicates, of which each is to send so much.
fn ends<B: Backend>(ev: &mut Loop<B, Vec<End>>, to_send: [usize; 2]) -> Vec<End> {
    let (first, second) = std_pair();
    let sockets = [first, second].into_iter().zip(to_send);
    let end = |(socket, to_send): (TcpStream, usize)| {
        socket.set_nonblocking(true).unwrap();
        let handle = ev.context().attach(socket.try_clone().unwrap()).unwrap();
        End { socket, handle, to_send, received: 0 }
    };
    sockets.map(end).collect()
}

/// Transfers by readiness: polls `index` for all that it still has to do, until its peer's end has come and it has sent
/// everything.
fn transfer<B: Backend>(ev: &mut Loop<B, Vec<End>>, index: usize, handle: Handle) {
    let both = READABLE | WRITABLE;
    ev.context().submit_rearm(poll(handle, both), move |ends: &mut Vec<End>, _, polled| {
        let (ready, end) = (polled.result.unwrap(), &mut ends[index]);
        let mut interest = polled.interest;
        if ready.is_writable() && interest.contains(WRITABLE) {
            if end.to_send > 0 {
                // Less than there may be room for, so that it takes many turns.
                match end.socket.write(&pattern(1, end.to_send.min(10_000))) {
                    Ok(count) => end.to_send -= count,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
            }
            if end.to_send == 0 {
                end.socket.shutdown(Half::Write).unwrap();
                interest = READABLE;
            }
        }
        if ready.is_readable() {
            let mut bytes = [0; 7000];
            match end.socket.read(&mut bytes) {
                Ok(0) if interest.contains(WRITABLE) => interest = WRITABLE,
                Ok(0) => return Action::Disarm,
                Ok(count) => end.received += count,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        // Nothing left to read, and everything sent.
        if interest == WRITABLE && end.to_send == 0 {
            return Action::Disarm;
        }
        Action::Rearm(poll(handle, interest))
    });
}

/// Both directions at once move on by one poll each, and by one direction of each alone.
pub(crate) fn polls_move_both_directions<B: Backend>(fixture: &Fixture<B>) {
    const LEN: usize = 1 << 20;
    for to_send in [[LEN, LEN], [LEN, 0], [0, LEN]] {
        let mut ev = fixture.open_state::<Vec<End>>();
        let mut both = ends(&mut ev, to_send);
        let handles: Vec<_> = both.iter().map(|end| end.handle).collect();
        for (index, &handle) in handles.iter().enumerate() {
            transfer(&mut ev, index, handle);
        }
        ev.run(&mut both, RunMode::UntilDone).unwrap();
        let received = [both[0].received, both[1].received];
        assert_eq!(received, [to_send[1], to_send[0]]);
    }
}

/// Polls until it is stopped, writing down each event, and having nothing to do with the bytes.
fn poll_many<B: Backend>(
    ev: &mut Loop<B, ()>,
    handle: Handle,
    interest: Interest,
) -> (Key, Log<Result<Readiness, Error>>) {
    let log = Log::new();
    let seen = log.clone();
    let key = ev.context().submit_multishot(PollMany { handle, interest }, move |(), _, event| {
        match event {
            Event::More(ready) => seen.push(Ok(ready)),
            Event::Last(last) => {
                assert_eq!((last.output.handle, last.output.interest), (handle, interest));
                seen.push(Err(last.output.error));
            }
        }
        Flow::Continue
    });
    (key, log)
}

/// Each change is an event, what was there at the start too; no change is none, or few.
pub(crate) fn each_change_is_told<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (handle, ours, mut peer) = library(&mut ev);
    peer.write_all(b"first").unwrap();
    let_edges_pass(&mut ev);
    let (key, log) = poll_many(&mut ev, handle, READABLE);
    ev.until(|| log.len() > 0);
    for _ in 0..5 {
        assert!(log.take().iter().all(|seen| *seen == Ok(READABLE.into())));
        // What is left unread is not told again and again.
        ev.idle();
        assert!(log.take().len() < 5);
        assert!(drain(&ours) > 0);
        ev.idle();
        log.take();
        peer.write_all(b"more").unwrap();
        ev.until(|| log.len() > 0);
        // More of the same is a change as well.
        log.take();
        peer.write_all(b"and more").unwrap();
        ev.until(|| log.len() > 0);
    }
    assert_eq!(ev.cancel(key), Cancel::Requested);
    ev.until_done();
    assert_eq!(log.take().last(), Some(&Err(Error::Canceled)));
}

/// The callback ends it by `Stop`, and begins it again after the last event.
pub(crate) fn stop_ends_it_and_it_begins_again<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (handle, _ours, mut peer) = library(&mut ev);
    peer.write_all(b"first").unwrap();
    let log = Log::new();
    let seen = log.clone();
    let mut rounds = 0;
    ev.context().submit_multishot(PollMany { handle, interest: READABLE }, move |(), _, event| match event {
        Event::More(ready) => {
            seen.push(Ok(ready));
            Flow::Stop
        }
        Event::Last(last) => {
            seen.push(Err(last.output.error));
            rounds += 1;
            let again = PollMany { handle, interest: READABLE };
            if rounds < 3 { last.rearm(again) } else { Flow::Continue }
        }
    });
    ev.until_done();
    let seen = log.take();
    assert_eq!(seen.iter().filter(|seen| **seen == Err(Error::Canceled)).count(), 3);
    assert!(seen.iter().filter(|seen| **seen == Ok(READABLE.into())).count() >= 3, "each begins with one");
}

/// Files, directories and what is always ready cannot be waited for; no interest and a stale handle are errors as well.
pub(crate) fn what_cannot_be_polled_fails_clearly<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    std::fs::write(scratch.real("file"), "bytes").unwrap();
    let mut ev = fixture.open();
    let directory = scratch.real("file").parent().unwrap().to_owned();
    for path in [scratch.real("file"), directory, "/dev/null".into()] {
        let file = std::fs::File::open(&path).unwrap();
        let handle = ev.context().attach(file).unwrap();
        let polled = ev.complete(poll(handle, READABLE | WRITABLE));
        assert_eq!(polled.result, Err(Error::Unsupported), "{}", path.display());
        assert_eq!((polled.handle, polled.interest), (handle, READABLE | WRITABLE));
        let (_, log) = poll_many(&mut ev, handle, READABLE);
        ev.until_done();
        assert_eq!(log.take(), [Err(Error::Unsupported)]);
        ev.context().close(handle);
        assert_eq!(ev.complete(poll(handle, READABLE)).result, Err(Error::StaleHandle));
    }
    let (handle, _ours, _peer) = library(&mut ev);
    assert_eq!(ev.complete(poll(handle, Interest::default())).result, Err(Error::InvalidInput));
    let (_, log) = poll_many(&mut ev, handle, Interest::default());
    ev.until_done();
    assert_eq!(log.take(), [Err(Error::InvalidInput)]);
}

/// A poller that is polled, and what else becomes readable without bytes in a row.
#[cfg(target_os = "linux")]
pub(crate) fn a_poller_can_be_polled<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (reader, mut writer) = UnixStream::pair().unwrap();
    let inner = epoll::create(CreateFlags::CLOEXEC).unwrap();
    epoll::add(&inner, &reader, EventData::new_u64(0), EventFlags::IN).unwrap();
    let counter = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap();
    let handles: [Handle; 2] = [&inner, &counter].map(|descriptor: &OwnedFd| {
        ev.context().attach(descriptor.as_fd().try_clone_to_owned().unwrap()).unwrap()
    });
    let (many, log) = poll_many(&mut ev, handles[0], READABLE);
    let (nested, counted) = (ev.start(poll(handles[0], READABLE)), ev.start(poll(handles[1], READABLE)));
    ev.idle();
    assert!(!nested.is_done() && !counted.is_done() && log.len() == 0);
    writer.write_all(b"a").unwrap();
    assert_eq!(ev.finish(&nested).result, Ok(READABLE.into()));
    ev.until(|| log.len() > 0);
    assert!(!counted.is_done());
    rustix::io::write(&counter, &1_u64.to_ne_bytes()).unwrap();
    assert_eq!(ev.finish(&counted).result, Ok(READABLE.into()));
    assert_eq!(ev.cancel(many), Cancel::Requested);
    ev.until_done();
}

/// Urgent data is a priority, and nothing else is.
pub(crate) fn urgent_data_is_a_priority<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (handle, peer) = with_std(&mut ev);
    let urgent = ev.start(poll(handle, Interest::PRIORITY));
    (&peer).write_all(b"plain").unwrap();
    assert_eq!(ev.complete(poll(handle, READABLE)).result, Ok(READABLE.into()));
    ev.idle();
    assert!(!urgent.is_done());
    send_out_of_band(&peer, b'!');
    assert_eq!(ev.finish(&urgent).result, Ok(Interest::PRIORITY.into()));
    let all = ev.complete(poll(handle, READABLE | WRITABLE | Interest::PRIORITY)).result.unwrap();
    assert!(all.is_readable() && all.is_writable() && all.is_priority() && !all.is_error());
}

/// Any number wait on one handle, beside a receive that takes what they were told of.
pub(crate) fn they_wait_beside_other_operations<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (handle, _ours, mut peer) = library(&mut ev);
    let receive = ev.start(Recv { handle, buffer: vec![0; 8].into() });
    let polls: Vec<_> = (0..5).map(|_| ev.start(poll(handle, READABLE))).collect();
    let (many, log) = poll_many(&mut ev, handle, READABLE);
    ev.idle();
    assert!(!receive.is_done() && polls.iter().all(|poll| !poll.is_done()));
    // While the receive's turn comes last: on some systems it takes the bytes before all the others are told.
    peer.write_all(b"abc").unwrap();
    assert_eq!(ev.finish(&receive).result, Ok(3));
    peer.write_all(b"def").unwrap();
    for poll in &polls {
        assert_eq!(ev.finish(poll).result, Ok(READABLE.into()));
    }
    ev.until(|| log.len() > 0);
    assert_eq!(ev.context().detach(handle).map(drop), Err(Error::Busy), "one still waits");
    assert_eq!(ev.cancel(many), Cancel::Requested);
    ev.until_done();
    drop(ev.context().detach(handle).unwrap());
}

/// It waits until it is cancelled, its time has passed, or its handle is closed, with everything handed back; deleted it is
/// silent.
pub(crate) fn what_waits_can_be_ended<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (handle, _ours, mut peer) = library(&mut ev);
    let (canceled, deleted) = (ev.start(poll(handle, READABLE)), ev.start(poll(handle, READABLE)));
    let late = ev.start(poll(handle, READABLE).with_timeout(Duration::from_millis(5)));
    let (many, log) = poll_many(&mut ev, handle, READABLE);
    ev.no_wait();
    assert_eq!(ev.cancel(canceled.key), Cancel::Requested);
    ev.context().delete(deleted.key).unwrap();
    ev.idle();
    assert!(canceled.is_done());
    let ended = canceled.take();
    assert_eq!((ended.handle, ended.interest, ended.result), (handle, READABLE, Err(Error::Canceled)));
    assert_eq!(ev.finish(&late).result, Err(Error::TimedOut));
    let closed = ev.start(poll(handle, READABLE));
    ev.no_wait();
    assert_eq!(log.len(), 0);
    ev.context().close(handle);
    peer.write_all(b"too late").unwrap();
    assert_eq!(ev.finish(&closed).result, Err(Error::Canceled));
    ev.until_done();
    assert_eq!(log.take(), [Err(Error::Canceled)]);
    assert!(!deleted.is_done());
    assert_eq!(ev.cancel(many), Cancel::NotFound);
}

/// A loop that is dropped with polls in flight lets go of what it polled, and drops their captures.
pub(crate) fn dropping_the_loop_lets_go<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (handle, ours, mut peer) = library(&mut ev);
    drop(ours);
    let captured = Rc::new(());
    for capture in [Rc::clone(&captured), Rc::clone(&captured)] {
        ev.context().submit(poll(handle, READABLE), move |(), _, _| drop(capture));
    }
    poll_many(&mut ev, handle, READABLE);
    ev.no_wait();
    drop(ev);
    assert_eq!(Rc::strong_count(&captured), 1);
    // Nobody has the other end any more.
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
}

/// Where there is no polling, everything comes back.
pub(crate) fn without_it_everything_comes_back<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (_, handle) = ev.pair();
    let polled = ev.complete(poll(handle, READABLE));
    assert_eq!((polled.handle, polled.interest), (handle, READABLE));
    assert_eq!(polled.result, Err(Error::Unsupported));
    let (_, log) = poll_many(&mut ev, handle, WRITABLE);
    ev.until_done();
    assert_eq!(log.take(), [Err(Error::Unsupported)]);
}

/// Elsewhere than on Linux no other poller can be made without a name of its own for each system: what is polled is a pipe.
#[cfg(not(target_os = "linux"))]
pub(crate) fn a_poller_can_be_polled<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let handle = ev.context().attach(reader).unwrap();
    let readable = ev.start(poll(handle, READABLE));
    ev.idle();
    assert!(!readable.is_done());
    writer.write_all(b"a").unwrap();
    assert_eq!(ev.finish(&readable).result, Ok(READABLE.into()));
}
