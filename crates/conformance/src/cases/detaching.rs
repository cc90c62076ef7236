//! `Detach`, which ends what is pending and hands the descriptor over (contract H5, H1, C1, C2, C5, X5).

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use proactor_core::{
    Action, Backend, Buffer, Cancel, Close, Detach, Error, Handle, Interest, Poll, Read, ReadAt, Recv,
    RunMode, Send, SendAll, SendFileAll, Shutdown, ShutdownHow, State, Work,
};

use super::files::file;
use super::send_file::leaves_the_cache;
use super::work::{Gate, on, pool};
use crate::Fixture;
use crate::peers::{read_exactly, status_flags, std_pair, with_std};
use crate::scratch::Scratch;
use crate::steps::{Captures, Log, Pending, Steps, assert_bytes, pattern};

/// More than sockets take while nobody receives.
const MORE_THAN_FITS: usize = 32 << 20;

fn recv(handle: Handle) -> Recv {
    Recv { handle, buffer: Buffer::zeroed(64) }
}

/// The end of a stream, and no error: its descriptor is closed everywhere.
#[track_caller]
fn assert_closed(mut peer: TcpStream) {
    peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
}

/// All that is pending ends with its outcome before the descriptor comes, which is the one that was attached, with its flags, and
/// works; before the first turn and after it.
pub(crate) fn what_is_pending_ends_first<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    for (nonblocking, turns) in [(false, 0), (false, 1), (true, 1), (true, 3)] {
        let (stream, peer) = std_pair();
        stream.set_nonblocking(nonblocking).unwrap();
        let (number, before) = (stream.as_raw_fd(), status_flags(&stream));
        let handle = ev.context().attach(stream).unwrap();
        let log = Log::new();
        for _ in 0..2 {
            let seen = log.clone();
            ev.context().submit(recv(handle), move |(), _, received| {
                assert_eq!((received.result, received.buffer.len()), (Err(Error::Canceled), 64));
                seen.push("received");
            });
        }
        for _ in 0..turns {
            ev.no_wait();
        }
        let seen = log.clone();
        let detached = ev.context().submit(Detach { handle }, move |(), cx, detached| {
            assert_eq!(detached.handle, handle);
            let back = TcpStream::from(detached.result.unwrap());
            assert_eq!((back.as_raw_fd(), status_flags(&back)), (number, before));
            assert!(cx.active() == 1, "all else is over");
            back.set_nonblocking(false).unwrap();
            (&peer).write_all(b"in").unwrap();
            (&back).write_all(b"out").unwrap();
            assert_eq!((read_exactly(&back, 2), read_exactly(&peer, 3)), (b"in".to_vec(), b"out".to_vec()));
            seen.push("detached");
        });
        assert_eq!(ev.context().detach(handle).map(drop), Err(Error::StaleHandle), "at once");
        let late = ev.start(recv(handle));
        assert_eq!(ev.state(detached), State::Adding);
        ev.until_done();
        assert_eq!(late.take().result, Err(Error::StaleHandle));
        assert_eq!(log.take(), ["received", "received", "detached"]);
    }
}

/// Of sends that are queued, what the system took is told and arrives, and nothing after it but what is written outside then.
pub(crate) fn queued_sends_end_where_they_are<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (stream, peer) = std_pair();
    let before = status_flags(&stream);
    let handle = ev.context().attach(stream).unwrap();
    let data = pattern(3, MORE_THAN_FITS);
    let first = ev.start(SendAll { handle, buffer: data.clone().into() });
    let second = ev.start(Send { handle, buffer: b"never".into() });
    let third = ev.start(Shutdown { handle, how: ShutdownHow::Write });
    ev.idle();
    let detached = ev.start(Detach { handle });
    ev.until_done();
    let first = first.take();
    assert_eq!(first.result, Err(Error::Canceled));
    assert!(first.transferred > 0 && first.transferred < data.len());
    assert_bytes(&first.buffer, &data);
    assert_eq!(second.take().result, Err(Error::Canceled));
    assert_eq!(third.take().result, Err(Error::Canceled));
    let back = TcpStream::from(detached.take().result.unwrap());
    assert_eq!(status_flags(&back), before);
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        (&peer).read_to_end(&mut bytes).map(|_| bytes)
    });
    back.set_nonblocking(false).unwrap();
    (&back).write_all(b"the end").unwrap();
    drop(back);
    let arrived = reader.join().unwrap().unwrap();
    assert_bytes(&arrived, &[&data[..first.transferred], b"the end"].concat());
}

/// A pipe that others share: the flags that they see are as they were, after reads that had to wait.
pub(crate) fn what_is_shared_is_as_it_was<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let shared = reader.try_clone().unwrap();
    let before = status_flags(&shared);
    let handle = ev.context().attach(reader).unwrap();
    let [first, second] = [(); 2].map(|()| ev.start(Read { handle, buffer: Buffer::zeroed(8) }));
    let polled = ev.start(Poll { handle, interest: Interest::READABLE });
    ev.idle();
    let detached = ev.complete(Detach { handle });
    assert_eq!((first.take().result, second.take().result), (Err(Error::Canceled), Err(Error::Canceled)));
    assert_eq!(polled.take().result.err(), Some(Error::Canceled));
    let mut back = std::io::PipeReader::from(detached.result.unwrap());
    assert_eq!((status_flags(&back), status_flags(&shared)), (before, before));
    writer.write_all(b"after").unwrap();
    let mut bytes = [0; 5];
    back.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"after");
}

/// What had arrived is the receive's or the descriptor's.
pub(crate) fn no_byte_is_lost<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    for round in 0..20 {
        let (handle, mut peer) = with_std(&mut ev);
        let received = ev.start(recv(handle));
        if round % 2 == 0 {
            ev.no_wait();
        }
        peer.write_all(b"data").unwrap();
        let detached = ev.start(Detach { handle });
        ev.until_done();
        let (received, back) = (received.take(), TcpStream::from(detached.take().result.unwrap()));
        back.set_nonblocking(false).unwrap();
        match received.result {
            Ok(count) => assert_eq!(&received.buffer[..count], b"data"),
            Err(error) => assert_eq!((error, read_exactly(&back, 4)), (Error::Canceled, b"data".to_vec())),
        }
    }
}

/// While a thread of the pool reads from it, the descriptor is not handed over.
pub(crate) fn a_thread_reads_to_the_end_before<B: Backend>(fixture: &Fixture<B>) {
    const LEN: usize = 32 << 20;
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let path = scratch.real("large");
    File::create(&path).unwrap().set_len(LEN as u64).unwrap();
    let (mut buffer, mut was_kept_waiting) = (Buffer::zeroed(LEN), false);
    for _ in 0..200 {
        let handle = ev.context().attach(File::open(&path).unwrap()).unwrap();
        let read = ev.start(ReadAt { handle, buffer, offset: 0 }.on_pool());
        ev.no_wait();
        std::thread::sleep(Duration::from_micros(500));
        let detached = ev.start(Detach { handle });
        ev.no_wait();
        was_kept_waiting |= !read.is_done() && !detached.is_done();
        ev.until(|| detached.is_done());
        assert!(read.is_done(), "it has ended before");
        let read = read.take();
        assert!(matches!(read.result, Ok(LEN) | Err(Error::Canceled)), "{:?}", read.result);
        was_kept_waiting &= read.result.is_ok();
        let back = File::from(detached.take().result.unwrap());
        assert_eq!(back.metadata().unwrap().len(), LEN as u64);
        buffer = read.buffer;
        if was_kept_waiting {
            return;
        }
    }
    panic!("no thread was at it when it was to come out");
}

/// What uses it as its second handle ends too.
pub(crate) fn what_sends_from_it_ends<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let data = pattern(5, MORE_THAN_FITS);
    let source = file(&mut ev, &scratch, "file", &data);
    let (client, _server) = ev.pair();
    let sent = ev.start(SendFileAll { handle: client, file: source, offset: 0, len: MORE_THAN_FITS as u64 });
    ev.idle();
    let detached = ev.start(Detach { handle: source });
    ev.until_done();
    assert_eq!(sent.take().result, Err(Error::Canceled));
    let mut back = File::from(detached.take().result.unwrap());
    let mut bytes = Vec::new();
    back.read_to_end(&mut bytes).unwrap();
    assert_bytes(&bytes, &data);
}

/// Handles that are stale, of another loop, or detached already: nothing else is disturbed. Where no descriptors are behind
/// handles, one stays as it is.
pub(crate) fn what_cannot_come_out_says_why<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let mut other = fixture.open();
    let (client, server) = ev.pair();
    let foreign = other.context().socket(proactor_core::Family::Ipv4).unwrap();
    let stale = |detached: proactor_core::Detached| detached.result.map(drop) == Err(Error::StaleHandle);
    assert!(stale(ev.complete(Detach { handle: foreign })));
    let closed = ev.context().socket(proactor_core::Family::Ipv4).unwrap();
    ev.context().close(closed);
    assert!(stale(ev.complete(Detach { handle: closed })));
    let received = ev.start(recv(server));
    ev.no_wait();
    let [first, second] = [(); 2].map(|()| ev.start(Detach { handle: server }));
    if fixture.capabilities().descriptors {
        ev.until_done();
        assert!(first.take().result.is_ok() && stale(second.take()));
        assert_eq!(received.take().result, Err(Error::Canceled));
        return;
    }
    ev.until(|| first.is_done() && second.is_done());
    for refused in [first.take(), second.take()] {
        assert_eq!((refused.result.err(), refused.handle), (Some(Error::Unsupported), server));
    }
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"still".into() }).result, Ok(()));
    assert_eq!(ev.finish(&received).result, Ok(5), "it has not ended");
}

/// What has begun goes through: no cancel, no deadline and no `cancel_all` leaves the handle stale and the descriptor behind.
pub(crate) fn it_cannot_be_undone<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    for turns in 0..2 {
        let (handle, peer) = with_std(&mut ev);
        let received = ev.start(recv(handle));
        ev.no_wait();
        let detached = ev.start(Detach { handle }.with_timeout(Duration::ZERO));
        for _ in 0..turns {
            ev.no_wait();
        }
        assert!(matches!(ev.cancel(detached.key), Cancel::TooLate | Cancel::NotFound));
        ev.context().cancel_all();
        ev.until_done();
        assert_eq!(received.take().result, Err(Error::Canceled));
        let back = TcpStream::from(detached.take().result.unwrap());
        drop(back);
        assert_closed(peer);
    }
}

/// Deleted in whatever state, it is silent, and the descriptor closed.
pub(crate) fn deleted_it_is_closed<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    for turns in 0..2 {
        let (handle, peer) = with_std(&mut ev);
        let received = ev.start(recv(handle));
        ev.no_wait();
        let detached = ev.start(Detach { handle });
        if turns > 0 {
            // It stays where it is after one turn: its outcome is queued, or what it waits for is ending.
            ev.context().submit(proactor_core::Nop, |(), cx, _| cx.stop());
            ev.no_wait();
        }
        assert!(!detached.is_done());
        assert_eq!(ev.context().delete(detached.key), Ok(()));
        ev.context().resume();
        ev.until_done();
        assert_eq!((received.take().result, detached.delivered()), (Err(Error::Canceled), 0));
        assert_closed(peer);
    }
}

/// Dropped with the loop at any time, the descriptor is closed, and captures are gone.
pub(crate) fn dropped_with_the_loop_it_is_closed<B: Backend>(fixture: &Fixture<B>) {
    let captures = Captures::default();
    for turns in 0..3 {
        let mut ev = fixture.open();
        let (handle, peer) = with_std(&mut ev);
        let received = ev.start(recv(handle));
        ev.no_wait();
        let capture = captures.capture();
        ev.context().submit(proactor_core::Nop, |(), cx, _| cx.stop());
        ev.context().submit(Detach { handle }, move |(), _, _| drop(capture));
        for _ in 0..turns {
            ev.run(&mut (), RunMode::NoWait).unwrap();
        }
        drop(ev);
        assert!(received.delivered() <= 1);
        assert_eq!(captures.held(), 0, "after {turns} turns");
        assert_closed(peer);
    }
}

/// Armed again for one handle after another, at once and after a delay, in which the handle is open.
pub(crate) fn it_can_be_rearmed<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let mut ends: Vec<(Handle, TcpStream)> = (0..3).map(|_| with_std(&mut ev)).collect();
    let handles: Vec<Handle> = ends.iter().map(|(handle, _)| *handle).collect();
    let log: Log<OwnedFd> = Log::new();
    let seen = log.clone();
    let rest = handles.clone();
    ev.context().submit_rearm(Detach { handle: handles[0] }, move |(), cx, detached| {
        seen.push(detached.result.unwrap());
        match seen.len() {
            1 => Action::Rearm(Detach { handle: rest[1] }),
            2 => cx.rearm_after(Duration::from_millis(20), Detach { handle: rest[2] }),
            _ => Action::Disarm,
        }
    });
    ev.until(|| log.len() == 2);
    let waiting: Pending<_> = ev.start(recv(handles[2]));
    ev.no_wait();
    assert!(!waiting.is_done(), "it is open");
    ev.until_done();
    assert_eq!(waiting.take().result, Err(Error::Canceled));
    for (back, (_, peer)) in log.take().into_iter().zip(ends.drain(..)) {
        let back = TcpStream::from(back);
        back.set_nonblocking(false).unwrap();
        (&peer).write_all(b"here").unwrap();
        assert_eq!(read_exactly(&back, 4), b"here");
        assert!(status_flags(back.as_fd()) == status_flags(&peer));
    }
}

/// A thread has let go of a descriptor before what it did with it is back: nothing is busy then, however soon it is asked.
pub(crate) fn nothing_is_busy_once_its_job_is_back<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = on(fixture, &pool(1));
    for round in 0..300 {
        let handle = file(&mut ev, &scratch, &format!("file {round}"), b"bytes");
        let (client, _server) = ev.pair();
        let send = SendFileAll { handle: client, file: handle, offset: 0, len: 5 };
        assert_eq!(ev.complete(send.on_pool()).result, Ok(()));
        let read = ReadAt { handle, buffer: Buffer::zeroed(8), offset: 0 };
        assert_eq!(ev.complete(read.on_pool()).result, Ok(5));
        for used in [handle, client] {
            match round % 3 {
                0 => assert!(ev.context().detach(used).is_ok()),
                1 => assert!(ev.complete(Detach { handle: used }).result.is_ok()),
                _ => assert_eq!(ev.complete(Close { handle: used }).result, Ok(())),
            }
        }
    }
}

/// What was to send from a file and is taken back while it waits for a thread leaves the socket as it came; at once, where a
/// loop's sockets may block.
pub(crate) fn taken_back_from_the_pool_a_socket_is_as_it_was<B: Backend>(fixture: &Fixture<B>) {
    const LEN: u64 = 4 << 20;
    let scratch = Scratch::new(fixture);
    let mut ev = on(fixture, &pool(1));
    // Each has a file of its own: to look for it in the cache has the system read it ahead. They are opened while there is a thread.
    let rounds = [(false, true), (true, true), (false, false), (true, false)].map(|(deleted, wanted)| {
        let name = format!("file {deleted} {wanted}");
        let handle = file(&mut ev, &scratch, &name, &pattern(8, LEN as usize));
        (deleted, wanted, name, handle)
    });
    let (gate, pass) = Gate::new();
    let running = ev.start(Work::new(pass));
    ev.no_wait();
    gate.wait_until_begun();
    for (deleted, wanted, name, handle) in rounds {
        if !wanted && !leaves_the_cache(&scratch.real(&name)) {
            // It would not go to the pool.
            continue;
        }
        let (near, _far) = UnixStream::pair().unwrap();
        let shared = near.try_clone().unwrap();
        let before = status_flags(&shared);
        let socket = ev.context().attach(near).unwrap();
        let send = SendFileAll { handle: socket, file: handle, offset: 0, len: LEN };
        let sent = if wanted { ev.start(send.on_pool()) } else { ev.start(send) };
        ev.idle();
        assert!(!sent.is_done(), "there is no thread for it");
        if deleted {
            assert_eq!(ev.context().delete(sent.key), Ok(()));
        } else {
            assert_eq!(ev.cancel(sent.key), Cancel::Requested);
            assert_eq!(ev.finish(&sent).result, Err(Error::Canceled));
        }
        if fixture.capabilities().kernel_completions {
            // Elsewhere what is in a loop does not block.
            assert_eq!(status_flags(&shared), before, "deleted: {deleted}, by choice: {wanted}");
        }
        ev.no_wait();
        drop(ev.context().detach(socket).unwrap());
        assert_eq!(status_flags(&shared), before);
    }
    gate.open();
    ev.finish(&running).result.unwrap();
}
