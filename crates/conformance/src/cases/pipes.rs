//! Reads and writes on descriptors that are no sockets: pipes, terminals, devices, files; and on sockets whose peer is
//! outside the loop (contract H3, H4, H5, R1).

use std::fs::File;
use std::io::{Read as _, Seek, Write as _};
use std::net::Shutdown as Half;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;

use proactor_core::{
    Action, Backend, Cancel, Error, Handle, Loop, Read, ReadExact, Recv, RunMode, Write, WriteAll,
};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pipe::pipe;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use rustix_openpty::{Pty, openpty};

use super::cancellation::MORE_THAN_FITS;
use crate::Fixture;
use crate::peers::{reset, send_out_of_band, send_with_descriptor, status_flags, with_std};
use crate::steps::{Log, Steps, assert_bytes, pattern, system};

fn read(handle: Handle, len: usize) -> Read {
    Read { handle, buffer: vec![0; len].into() }
}

fn read_exact(handle: Handle, len: usize) -> ReadExact {
    ReadExact { handle, buffer: vec![0; len].into() }
}

fn write_all(handle: Handle, bytes: &[u8]) -> WriteAll {
    WriteAll { handle, buffer: bytes.to_vec().into() }
}

/// Both ends of a pipe in the loop: the one to read, the one to write.
fn pipe_of<B: Backend>(ev: &mut Loop<B, ()>) -> (Handle, Handle) {
    let (reader, writer) = pipe().unwrap();
    (ev.context().attach(reader).unwrap(), ev.context().attach(writer).unwrap())
}

/// The two sides of a terminal, raw: what programs call the parent's and the child's.
fn terminal() -> (OwnedFd, OwnedFd) {
    let Pty { controller: parent, user: child } = openpty(None, None).unwrap();
    let mut attributes = tcgetattr(&child).unwrap();
    attributes.make_raw();
    tcsetattr(&child, OptionalActions::Now, &attributes).unwrap();
    (parent, child)
}

/// Reads until the end, `len` bytes at a time.
#[track_caller]
fn read_to_end<B: Backend>(ev: &mut Loop<B, ()>, handle: Handle, len: usize) -> (Vec<u8>, Result<(), Error>) {
    let mut bytes = Vec::new();
    loop {
        let read = ev.complete(read(handle, len));
        match read.result {
            Ok(0) => return (bytes, Ok(())),
            Ok(count) => bytes.extend_from_slice(&read.buffer[..count]),
            Err(error) => return (bytes, Err(error)),
        }
    }
}

/// A pipe from end to end: what waits gets what comes, and the writer's leaving is the end.
pub(crate) fn a_pipe_carries_bytes_to_its_end<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (reader, writer) = pipe_of(&mut ev);
    let waiting = ev.start(read(reader, 64));
    ev.no_wait();
    assert!(!waiting.is_done());
    assert_eq!(ev.complete(Write { handle: writer, buffer: b"abc".into() }).result, Ok(3));
    let waiting = ev.finish(&waiting);
    assert_eq!((waiting.result, &waiting.buffer[..3]), (Ok(3), &b"abc"[..]));
    assert_eq!(ev.complete(write_all(writer, b"defgh")).transferred, 5);
    assert_eq!(&ev.complete(read_exact(reader, 4)).buffer[..], b"defg");
    let (last, cut) = (ev.start(read(reader, 1)), ev.start(read_exact(reader, 8)));
    assert_eq!(ev.finish(&last).result, Ok(1));
    assert_eq!(ev.complete(write_all(writer, b"ij")).result, Ok(()));
    ev.idle();
    ev.context().close(writer);
    let cut = ev.finish(&cut);
    assert_eq!((cut.result, &cut.buffer[..cut.transferred]), (Err(Error::EndOfStream), &b"ij"[..]));
    assert_eq!(ev.complete(read(reader, 64)).result, Ok(0));
}

/// More than a pipe holds goes through it, in the order of its writes, whatever pieces it is read in.
pub(crate) fn a_queue_of_writes_passes_a_pipe<B: Backend>(fixture: &Fixture<B>) {
    const LEN: usize = 1 << 20;
    for len in [777, 4096, 100_000] {
        let mut ev = fixture.open();
        let (reader, writer) = pipe_of(&mut ev);
        let sources: Vec<_> = (0..4).map(|seed| pattern(seed, LEN / 4)).collect();
        let writes: Vec<_> = sources.iter().map(|bytes| ev.start(write_all(writer, bytes))).collect();
        let first = ev.complete(read_exact(reader, LEN / 3));
        assert_eq!((first.result, first.transferred), (Ok(()), LEN / 3));
        let mut bytes = first.buffer.to_vec();
        while bytes.len() < LEN {
            let read = ev.complete(read(reader, len));
            bytes.extend_from_slice(&read.buffer[..read.result.unwrap()]);
        }
        assert_bytes(&bytes, &sources.concat());
        for written in &writes {
            let written = ev.finish(written);
            assert_eq!((written.result, written.transferred), (Ok(()), LEN / 4));
        }
    }
}

/// A peer outside writes bit by bit, faster and slower than the loop reads: a read that brings less than was asked for
/// proves nothing, and no byte waits for the next.
pub(crate) fn a_pipe_is_read_bit_by_bit<B: Backend>(fixture: &Fixture<B>) {
    const LEN: usize = 200_000;
    let mut ev = fixture.open();
    let (reader, writer) = pipe().unwrap();
    let handle = ev.context().attach(reader).unwrap();
    let sender = thread::spawn(move || {
        let (bytes, mut writer) = (pattern(5, LEN), File::from(writer));
        let mut sent = 0;
        while sent < LEN {
            let len = (1 + sent % 97).min(LEN - sent);
            writer.write_all(&bytes[sent..sent + len]).unwrap();
            sent += len;
        }
    });
    let log = Log::new();
    let seen = log.clone();
    ev.context().submit_rearm(read(handle, 64), move |(), _, read| {
        let count = read.result.unwrap();
        seen.extend_from_slice(&read.buffer[..count]);
        if count == 0 { Action::Disarm } else { Action::Rearm(Read { handle, buffer: read.buffer }) }
    });
    ev.run(&mut (), RunMode::UntilDone).unwrap();
    sender.join().unwrap();
    assert_bytes(&log.take(), &pattern(5, LEN));
}

/// Nobody reads any more: EPIPE, for what waits and for what comes after (SIGPIPE is ignored, as programs in Rust do).
pub(crate) fn a_pipe_without_readers_is_broken<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (reader, writer) = pipe_of(&mut ev);
    let waiting = ev.start(WriteAll { handle: writer, buffer: vec![1; MORE_THAN_FITS].into() });
    let behind = ev.start(Write { handle: writer, buffer: b"behind".into() });
    ev.idle();
    assert!(!waiting.is_done());
    ev.context().close(reader);
    let waiting = ev.finish(&waiting);
    assert_eq!(waiting.result, Err(system(Errno::PIPE)));
    assert!(waiting.transferred > 0 && waiting.transferred < MORE_THAN_FITS);
    assert_eq!(ev.finish(&behind).result, Err(system(Errno::PIPE)));
    assert_eq!(ev.complete(write_all(writer, b"x")).result, Err(system(Errno::PIPE)));
    // An empty range needs no reader.
    assert_eq!(ev.complete(write_all(writer, b"")).result, Ok(()));
}

/// What waits on a pipe can be cancelled, tells how far it came, and has taken no byte more than it says.
pub(crate) fn what_waits_on_a_pipe_can_be_cancelled<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (reader, writer) = pipe_of(&mut ev);
    let waiting = ev.start(read(reader, 64));
    let behind = ev.start(read_exact(reader, 64));
    ev.no_wait();
    for key in [waiting.key, behind.key] {
        assert_eq!(ev.cancel(key), Cancel::Requested);
    }
    assert_eq!(ev.finish(&waiting).result, Err(Error::Canceled));
    assert_eq!(ev.finish(&behind).result, Err(Error::Canceled));
    let exact = ev.start(read_exact(reader, 64));
    ev.complete(write_all(writer, b"some"));
    ev.idle();
    assert_eq!(ev.cancel(exact.key), Cancel::Requested);
    let exact = ev.finish(&exact);
    assert_eq!((exact.result, &exact.buffer[..exact.transferred]), (Err(Error::Canceled), &b"some"[..]));

    let bytes = pattern(9, 1 << 20);
    let written = ev.start(write_all(writer, &bytes));
    let behind = ev.start(Write { handle: writer, buffer: b"behind".into() });
    ev.idle();
    for key in [behind.key, written.key] {
        assert_eq!(ev.cancel(key), Cancel::Requested);
    }
    let written = ev.finish(&written);
    assert_eq!(written.result, Err(Error::Canceled));
    assert_eq!(ev.finish(&behind).result, Err(Error::Canceled));
    assert!(written.transferred > 0 && written.transferred < bytes.len());
    ev.context().close(writer);
    assert_bytes(&read_to_end(&mut ev, reader, 5000).0, &bytes[..written.transferred]);
}

/// The loop is dropped, and handles are closed, with pipes waiting in both directions.
pub(crate) fn pipes_end_with_their_handles_and_with_the_loop<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (reader, writer) = pipe_of(&mut ev);
    let waiting = ev.start(read_exact(reader, 64));
    let (other, full) = pipe_of(&mut ev);
    let written = ev.start(WriteAll { handle: full, buffer: vec![1; 1 << 20].into() });
    ev.idle();
    ev.context().close(reader);
    ev.context().close(full);
    assert_eq!(ev.finish(&waiting).result, Err(Error::Canceled));
    assert_eq!(ev.finish(&written).result, Err(Error::Canceled));
    let left = read_to_end(&mut ev, other, 4096).0;
    assert!(!left.is_empty() && left.len() < 1 << 20);
    assert_eq!(ev.complete(write_all(writer, b"x")).result, Err(system(Errno::PIPE)));

    let (reader, writer) = pipe().unwrap();
    let shared = (reader.try_clone().unwrap(), writer.try_clone().unwrap());
    let before = status_flags(&shared.0);
    let (reader, writer) = (ev.context().attach(reader).unwrap(), ev.context().attach(writer).unwrap());
    ev.start(WriteAll { handle: writer, buffer: vec![1; 1 << 20].into() });
    let (idle, _kept) = pipe_of(&mut ev);
    ev.start(read_exact(idle, 64));
    ev.start(read(reader, 10));
    ev.no_wait();
    drop(ev);
    assert_eq!(status_flags(&shared.0), before, "restored when the loop is dropped, too");
    assert!(!status_flags(&shared.1).contains(OFlags::NONBLOCK));
}

/// Pipes and terminals that others share keep their status flags, whether they were waited for or not, detached or closed.
pub(crate) fn what_is_shared_keeps_its_flags<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    for nonblocking in [false, true] {
        let (reader, writer) = pipe().unwrap();
        let (parent, child) = terminal();
        let null = OwnedFd::from(File::options().read(true).write(true).open("/dev/null").unwrap());
        for (descriptor, is_null) in
            [(reader, false), (parent, false), (null.try_clone().unwrap(), true), (null, true)]
        {
            let flags = status_flags(&descriptor);
            let wanted = if nonblocking { flags | OFlags::NONBLOCK } else { flags - OFlags::NONBLOCK };
            rustix::fs::fcntl_setfl(&descriptor, wanted).unwrap();
            let shared = descriptor.try_clone().unwrap();
            let before = status_flags(&shared);
            let handle = ev.context().attach(descriptor).unwrap();
            let waiting = ev.start(read(handle, 8));
            ev.idle();
            assert_eq!(waiting.is_done(), is_null);
            if !is_null {
                assert_eq!(ev.cancel(waiting.key), Cancel::Requested);
            }
            assert_eq!(ev.finish(&waiting).result.is_ok(), is_null);
            let back = ev.context().detach(handle).unwrap();
            assert_eq!((status_flags(&back), status_flags(&shared)), (before, before));
            let handle = ev.context().attach(back).unwrap();
            let waiting = ev.start(read(handle, 8));
            ev.no_wait();
            ev.context().close(handle);
            ev.until(|| waiting.is_done());
            ev.until_done();
            assert_eq!(status_flags(&shared), before, "closed");
        }
        drop((writer, child));
    }
}

/// Two handles of one open file, whose flag they share: the one that restores it does not make the other hold up the loop.
pub(crate) fn a_restored_flag_holds_up_nobody<B: Backend>(fixture: &Fixture<B>) {
    for make in [|| pipe().unwrap(), terminal] {
        let mut ev = fixture.open();
        let (reader, writer) = make();
        let other = ev.context().attach(reader.try_clone().unwrap()).unwrap();
        let reader = ev.context().attach(reader).unwrap();
        let mut writer = File::from(writer);
        writer.write_all(b"first").unwrap();
        assert_eq!(ev.complete(read(other, 64)).result, Ok(5));
        let waiting = ev.start(read_exact(reader, 8));
        ev.idle();
        let back = ev.context().detach(other).unwrap();
        assert!(!status_flags(&back).contains(OFlags::NONBLOCK), "restored, though the other is in use");
        writer.write_all(b"four").unwrap();
        ev.idle();
        assert!(!waiting.is_done());
        writer.write_all(b"more").unwrap();
        assert_eq!(&ev.finish(&waiting).buffer[..], b"fourmore");
        ev.context().close(reader);
        ev.until_done();
        assert!(!status_flags(&back).contains(OFlags::NONBLOCK));
    }
}

/// A terminal, from the child's side to the parent's (as libxev's test).
pub(crate) fn a_terminal_from_child_to_parent<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (parent, child) = terminal();
    let (parent, child) = (ev.context().attach(parent).unwrap(), ev.context().attach(child).unwrap());
    let waiting = ev.start(read(parent, 128));
    ev.no_wait();
    assert!(!waiting.is_done());
    let written = ev.complete(Write { handle: child, buffer: b"hello, world!".into() });
    assert_eq!(written.result, Ok(13));
    let waiting = ev.finish(&waiting);
    assert_eq!((waiting.result, &waiting.buffer[..13]), (Ok(13), &b"hello, world!"[..]));
}

/// The other way; and once the child's side is closed, Linux answers EIO, and others that it is the end.
pub(crate) fn a_terminal_from_parent_to_child<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (parent, child) = terminal();
    let (parent, child) = (ev.context().attach(parent).unwrap(), ev.context().attach(child).unwrap());
    let waiting = ev.start(read_exact(child, 13));
    ev.no_wait();
    for piece in ["hello", ", world!"] {
        assert!(!waiting.is_done());
        assert_eq!(ev.complete(write_all(parent, piece.as_bytes())).result, Ok(()));
        ev.idle();
    }
    assert_eq!(&ev.finish(&waiting).buffer[..], b"hello, world!");
    let waiting = ev.start(read(parent, 8));
    ev.no_wait();
    ev.context().close(child);
    let end = if cfg!(target_os = "linux") { Err(system(Errno::IO)) } else { Ok(0) };
    assert_eq!(ev.finish(&waiting).result, end);
}

/// Writes queued on a terminal, more than it takes at once: they arrive in order, and the loop goes on meanwhile.
pub(crate) fn queued_writes_to_a_terminal<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (parent, child) = terminal();
    let (parent, child) = (ev.context().attach(parent).unwrap(), ev.context().attach(child).unwrap());
    let first = ev.start(write_all(parent, b"hello, "));
    let second = ev.start(write_all(parent, b"world!"));
    let waiting = ev.complete(read_exact(child, 13));
    assert_eq!((waiting.result, &waiting.buffer[..]), (Ok(()), &b"hello, world!"[..]));
    assert_eq!((ev.finish(&first).result, ev.finish(&second).result), (Ok(()), Ok(())));
    let large = [pattern(1, 100_000), pattern(2, 50_000)];
    let writes: Vec<_> = large.iter().map(|bytes| ev.start(write_all(child, bytes))).collect();
    ev.idle();
    assert!(!writes[0].is_done(), "a terminal holds less");
    let arrived = ev.complete(read_exact(parent, 150_000));
    assert_eq!(arrived.result, Ok(()));
    assert_bytes(&arrived.buffer, &large.concat());
    assert!(writes.iter().all(|written| ev.finish(written).result.is_ok()));
}

/// A regular file has its own position, which both directions move; its end is the end.
pub(crate) fn files_have_their_own_position<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let path = std::env::temp_dir().join(format!("proactor-bytes-{}-{}", B::NAME, std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let mut shared = file.try_clone().unwrap();
    let handle = ev.context().attach(file).unwrap();
    assert_eq!(ev.complete(read(handle, 8)).result, Ok(0), "an empty file");
    let first = ev.start(write_all(handle, b"first "));
    let second = ev.start(Write { handle, buffer: b"second ".into() });
    let third = ev.start(write_all(handle, b"third"));
    assert_eq!((ev.finish(&first).result, ev.finish(&second).result), (Ok(()), Ok(7)));
    assert_eq!(ev.finish(&third).transferred, 5);
    assert_eq!(shared.stream_position().unwrap(), 18);
    assert_eq!(ev.complete(read_exact(handle, 1)).result, Err(Error::EndOfStream));
    shared.seek(std::io::SeekFrom::Start(6)).unwrap();
    assert_eq!(&ev.complete(read_exact(handle, 6)).buffer[..], b"second");
    let rest = ev.complete(read_exact(handle, 64));
    assert_eq!((rest.result, &rest.buffer[..rest.transferred]), (Err(Error::EndOfStream), &b" third"[..]));
    shared.seek(std::io::SeekFrom::Start(0)).unwrap();
    assert_eq!(read_to_end(&mut ev, handle, 5), (b"first second third".to_vec(), Ok(())));
    let mut back = File::from(ev.context().detach(handle).unwrap());
    back.rewind().unwrap();
    let mut text = String::new();
    back.read_to_string(&mut text).unwrap();
    assert_eq!(text, "first second third");
}

/// Devices that never wait, a directory, and a descriptor that was opened for one direction only.
pub(crate) fn what_needs_no_waiting_works_at_once<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let null = File::options().read(true).write(true).open("/dev/null").unwrap();
    let null = ev.context().attach(null).unwrap();
    assert_eq!(ev.complete(read(null, 64)).result, Ok(0));
    assert_eq!(ev.complete(Write { handle: null, buffer: b"gone".into() }).result, Ok(4));
    let written = ev.complete(WriteAll { handle: null, buffer: vec![1; 1 << 20].into() });
    assert_eq!((written.result, written.transferred), (Ok(()), 1 << 20));
    let zero = ev.context().attach(File::open("/dev/zero").unwrap()).unwrap();
    let zeroes = ev.complete(ReadExact { handle: zero, buffer: vec![1; 1 << 20].into() });
    assert_eq!((zeroes.result, zeroes.transferred), (Ok(()), 1 << 20));
    assert!(zeroes.buffer.iter().all(|&byte| byte == 0));
    let directory = ev.context().attach(File::open("/").unwrap()).unwrap();
    assert_eq!(ev.complete(read(directory, 64)).result, Err(system(Errno::ISDIR)));
    assert_eq!(ev.complete(write_all(directory, b"x")).result, Err(system(Errno::BADF)));
    let (reader, writer) = pipe_of(&mut ev);
    assert_eq!(ev.complete(write_all(reader, b"x")).result, Err(system(Errno::BADF)));
    assert_eq!(ev.complete(read(writer, 64)).result, Err(system(Errno::BADF)));
}

/// Data and the end, and data and a reset, arrive at once: the data first, for both kinds of reads.
pub(crate) fn data_and_its_end_in_one_edge<B: Backend>(fixture: &Fixture<B>) {
    for (waiting, len, is_reset) in
        [(false, 7, false), (true, 7, false), (true, 64, false), (true, 3, true), (false, 64, true)]
    {
        let mut ev = fixture.open();
        let (handle, mut peer) = with_std(&mut ev);
        let exact = ev.start(read_exact(handle, len));
        if waiting {
            ev.no_wait();
        }
        peer.write_all(b"data...").unwrap();
        let end = if is_reset {
            reset(peer);
            Err(std::io::ErrorKind::ConnectionReset)
        } else {
            peer.shutdown(Half::Write).unwrap();
            Ok(())
        };
        let exact = ev.finish(&exact);
        let mut bytes = exact.buffer[..exact.transferred].to_vec();
        if exact.result.is_ok() {
            let (rest, ended) = read_to_end(&mut ev, handle, len);
            bytes.extend(rest);
            assert_eq!(ended.map_err(Error::kind), end, "waiting: {waiting}, buffers of {len}");
        } else if is_reset {
            assert_eq!(exact.result.map_err(Error::kind), end);
        } else {
            assert_eq!(exact.result, Err(Error::EndOfStream));
        }
        assert_eq!(bytes, b"data...", "waiting: {waiting}, buffers of {len}");
    }
}

/// Out-of-band data, and a descriptor sent between two segments, hold up no exact read.
pub(crate) fn what_splits_a_stream_holds_up_nothing<B: Backend>(fixture: &Fixture<B>) {
    for waiting in [false, true] {
        let mut ev = fixture.open();
        let (handle, mut peer) = with_std(&mut ev);
        let exact = ev.start(read_exact(handle, 11));
        if waiting {
            ev.no_wait();
        }
        peer.set_nodelay(true).unwrap();
        peer.write_all(b"before").unwrap();
        send_out_of_band(&peer, b'!');
        peer.write_all(b"after").unwrap();
        assert_eq!(&ev.finish(&exact).buffer[..], b"beforeafter", "waiting: {waiting}");

        let (stream, peer) = UnixStream::pair().unwrap();
        let handle = ev.context().attach(stream).unwrap();
        let exact = ev.start(read_exact(handle, 6));
        if waiting {
            ev.no_wait();
        }
        let null = File::open("/dev/null").unwrap();
        (&peer).write_all(b"ab").unwrap();
        send_with_descriptor(peer.as_fd(), b"cd", null.as_fd());
        (&peer).write_all(b"ef").unwrap();
        assert_eq!(&ev.finish(&exact).buffer[..], b"abcdef", "waiting: {waiting}");
        // The receive next to it is of the same queue.
        (&peer).write_all(b"end").unwrap();
        assert_eq!(ev.complete(Recv { handle, buffer: vec![0; 8].into() }).result, Ok(3));
    }
}
