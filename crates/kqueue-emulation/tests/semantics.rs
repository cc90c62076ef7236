//! What the manual pages of kqueue(2) say, of the emulation.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use proactor_kqueue_emulation::{
    ADD, CLEAR, DELETE, DISABLE, DISPATCH, ENABLE, EOF, ERROR, Filter, Kevent, Kqueue, NOTE_EXIT,
    NOTE_FFCOPY, NOTE_FFOR, NOTE_OOB, NOTE_TRIGGER, ONESHOT, RECEIPT,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

const NOW: Option<Duration> = Some(Duration::ZERO);
const SOON: Option<Duration> = Some(Duration::from_secs(20));

/// A queue, and what it says.
struct Rig {
    kqueue: Kqueue,
    events: Vec<Kevent>,
}

impl Rig {
    fn new() -> Self {
        Self { kqueue: Kqueue::open().unwrap(), events: Vec::with_capacity(16) }
    }

    /// Makes changes that have to succeed.
    fn change(&self, changes: &[Kevent]) {
        assert_eq!(self.kqueue.kevent(changes, &mut Vec::new(), NOW), Ok(0));
    }

    fn add(&self, filter: Filter, descriptor: &impl AsRawFd, flags: u32) {
        self.change(&[change(filter, descriptor, ADD | flags)]);
    }

    /// Events, of which there has to be one at least.
    fn wait(&mut self) -> &[Kevent] {
        assert_ne!(self.kqueue.kevent(&[], &mut self.events, SOON), Ok(0), "nothing happens");
        &self.events
    }

    /// The one event that there is.
    fn one(&mut self) -> Kevent {
        let events = self.wait();
        assert_eq!(events.len(), 1, "{events:?}");
        events[0]
    }

    fn assert_quiet(&mut self) {
        assert_eq!(self.kqueue.kevent(&[], &mut self.events, NOW), Ok(0), "{:?}", self.events);
    }

    /// What a change is answered.
    fn answer(&mut self, change: Kevent) -> Option<Errno> {
        let mut answers = Vec::with_capacity(1);
        let answered = self.kqueue.kevent(&[change], &mut answers, NOW);
        match answered.unwrap() {
            0 => None,
            _ => Some(answers[0].error().unwrap_or_else(|| panic!("{answers:?}"))),
        }
    }
}

fn change(filter: Filter, descriptor: &impl AsRawFd, flags: u32) -> Kevent {
    Kevent::new(filter, descriptor.as_raw_fd() as usize, flags)
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

fn is_readable(descriptor: &impl AsFd) -> bool {
    poll(&mut [PollFd::new(descriptor, PollFlags::IN)], Some(&Timespec::default())).unwrap() == 1
}

#[test]
fn a_level_is_told_as_long_as_it_lasts() {
    let mut rig = Rig::new();
    let (mut near, mut far) = pair();
    rig.add(Filter::Read, &near, 0);
    rig.assert_quiet();
    far.write_all(b"bytes").unwrap();
    for _ in 0..3 {
        let event = rig.one();
        assert_eq!((event.filter(), event.ident()), (Some(Filter::Read), near.as_raw_fd() as usize));
        assert_eq!((event.data(), event.flags() & (EOF | ERROR)), (5, 0));
    }
    near.read_exact(&mut [0; 3]).unwrap();
    assert_eq!(rig.one().data(), 2);
    near.read_exact(&mut [0; 2]).unwrap();
    rig.assert_quiet();
}

#[test]
fn what_is_cleared_is_told_for_each_change_and_not_in_between() {
    let mut rig = Rig::new();
    let (mut near, mut far) = pair();
    far.write_all(b"early").unwrap();
    assert_eq!(near.peek(&mut [0; 8]).unwrap(), 5);
    rig.add(Filter::Read, &near, CLEAR);
    assert_eq!(rig.one().data(), 5, "what is true already is told");
    rig.assert_quiet();
    // Not all is read, and nobody says so again.
    near.read_exact(&mut [0; 2]).unwrap();
    rig.assert_quiet();
    far.write_all(b"late").unwrap();
    assert_eq!(rig.one().data(), 7);
    // What has passed when it could be told is not told.
    far.write_all(b"again").unwrap();
    near.read_exact(&mut [0; 12]).unwrap();
    rig.assert_quiet();
}

#[test]
fn writing_is_told_apart_from_reading() {
    let mut rig = Rig::new();
    let (near, mut far) = pair();
    rig.add(Filter::Write, &near, CLEAR);
    let event = rig.one();
    assert_eq!(event.filter(), Some(Filter::Write));
    assert!(event.data() > 1000, "room for so many bytes: {event:?}");
    far.write_all(b"bytes").unwrap();
    near.peek(&mut [0; 8]).unwrap();
    rig.assert_quiet();
    // Full, and then not: over a socket of which nothing but reading makes room.
    let mut rig = Rig::new();
    let (near, mut far) = std::os::unix::net::UnixStream::pair().unwrap();
    rig.add(Filter::Write, &near, CLEAR);
    assert_eq!(rig.one().filter(), Some(Filter::Write));
    near.set_nonblocking(true).unwrap();
    while (&near).write(&[0; 65_536]).is_ok() {}
    rig.assert_quiet();
    far.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    while far.read(&mut [0; 65_536]).is_ok() {}
    assert_eq!(rig.one().filter(), Some(Filter::Write));
}

#[test]
fn the_end_is_told_with_what_is_left() {
    let mut rig = Rig::new();
    let (mut near, mut far) = pair();
    rig.add(Filter::Read, &near, CLEAR);
    far.write_all(b"last").unwrap();
    far.shutdown(std::net::Shutdown::Write).unwrap();
    let mut event = rig.one();
    while event.flags() & EOF == 0 {
        event = rig.one();
    }
    assert_eq!((event.data(), event.fflags()), (4, 0));
    near.read_exact(&mut [0; 4]).unwrap();
    rig.assert_quiet();
    // Whoever comes new hears of it, and of how it came about.
    let mut other = Rig::new();
    near.write_all(b"not read").unwrap();
    drop(far);
    other.add(Filter::Read, &near, 0);
    let mut event = other.one();
    let deadline = Instant::now() + Duration::from_secs(20);
    while event.fflags() == 0 && Instant::now() < deadline {
        event = other.one();
    }
    assert!(event.flags() & EOF != 0 && event.fflags() != 0, "it was reset: {event:?}");
}

#[test]
fn a_refused_connect_is_an_end_with_an_error_and_before_it_is_nothing() {
    let mut rig = Rig::new();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let kind = (rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM);
    let flags = rustix::net::SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(kind.0, kind.1, flags, None).unwrap();
    rig.add(Filter::Read, &socket, CLEAR);
    rig.add(Filter::Write, &socket, CLEAR);
    rig.assert_quiet();
    assert_eq!(rustix::net::connect(&socket, &address), Err(Errno::INPROGRESS));
    let mut seen = Vec::new();
    while seen.len() < 2 {
        for event in rig.wait() {
            assert!(event.flags() & EOF != 0 && event.fflags() != 0, "{event:?}");
            seen.push(event.filter());
        }
    }
    assert!(seen.contains(&Some(Filter::Read)) && seen.contains(&Some(Filter::Write)));
    // Looking has not taken the error.
    assert_eq!(rustix::net::sockopt::socket_error(&socket), Ok(Err(Errno::CONNREFUSED)));
}

#[test]
fn listeners_datagrams_pipes_and_files() {
    let mut rig = Rig::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rig.add(Filter::Read, &listener, ONESHOT);
    rig.assert_quiet();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    assert_eq!(rig.one().data(), 1);

    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    rig.add(Filter::Read, &socket, ONESHOT);
    // An empty datagram is something to receive.
    socket.send_to(b"", socket.local_addr().unwrap()).unwrap();
    let event = rig.one();
    assert_eq!((event.data(), event.flags() & EOF), (0, 0));
    // That it is shut down for reading is its end.
    socket.connect(socket.local_addr().unwrap()).unwrap();
    rustix::net::shutdown(&socket, rustix::net::Shutdown::Read).unwrap();
    rig.add(Filter::Read, &socket, ONESHOT);
    assert_eq!(rig.one().flags() & EOF, EOF);

    let (reader, mut writer) = std::io::pipe().unwrap();
    rig.add(Filter::Read, &reader, 0);
    rig.add(Filter::Write, &writer, ONESHOT);
    assert_eq!(rig.one().data(), 65_536);
    writer.write_all(b"abc").unwrap();
    assert_eq!((rig.one().data(), rig.one().flags() & EOF), (3, 0));
    drop(writer);
    let event = rig.one();
    assert_eq!((event.data(), event.flags() & EOF), (3, EOF));
    drop(reader);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(rig.answer(change(Filter::Write, &writer, ADD)), Some(Errno::PIPE));

    let mut file = std::fs::File::open("/proc/self/exe").unwrap();
    let len = file.metadata().unwrap().len() as i64;
    file.read_exact(&mut [0; 10]).unwrap();
    rig.add(Filter::Read, &file, 0);
    let event = rig.one();
    // There is more to read, and at the end nothing is told at all.
    assert_eq!((event.data(), event.flags() & EOF), (len - 10, 0));
    std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).unwrap();
    rig.assert_quiet();
    let null = std::fs::File::open("/dev/null").unwrap();
    assert_eq!(rig.answer(change(Filter::Read, &null, ADD)), Some(Errno::NODEV));
}

#[test]
fn the_writer_of_a_named_pipe_hears_that_its_last_reader_has_gone() {
    let folder = std::env::temp_dir().join(format!("proactor-named-pipe-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let name = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&name).status().unwrap().success());
    // Opened in this order, and so, nobody waits for the other end.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let reader = File::options().read(true).custom_flags(nonblocking).open(&name).unwrap();
    let mut writer = File::options().write(true).custom_flags(nonblocking).open(&name).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    while writer.write(&[0; 4096]).is_ok() {}
    let mut rig = Rig::new();
    rig.add(Filter::Write, &writer, CLEAR);
    rig.assert_quiet();
    drop(reader);
    let event = rig.one();
    assert_eq!((event.filter(), event.flags() & EOF), (Some(Filter::Write), EOF));
    assert_eq!(writer.write(b"more").unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
}

#[test]
fn urgent_data_is_an_exception() {
    let mut rig = Rig::new();
    let (near, far) = pair();
    rig.add(Filter::Except, &near, CLEAR);
    rig.add(Filter::Read, &near, CLEAR);
    (&far).write_all(b"plain").unwrap();
    assert_eq!(rig.one().filter(), Some(Filter::Read));
    rustix::net::send(&far, b"!", rustix::net::SendFlags::OOB).unwrap();
    // It counts as something to read as well.
    let exception = loop {
        if let Some(event) = rig.wait().iter().find(|event| event.filter() == Some(Filter::Except)) {
            break *event;
        }
    };
    assert_eq!(exception.fflags(), NOTE_OOB);
    let (reader, _writer) = std::io::pipe().unwrap();
    assert_eq!(rig.answer(change(Filter::Except, &reader, ADD)), Some(Errno::INVAL));
}

#[test]
fn a_knote_can_be_told_once_kept_back_and_let_go() {
    let mut rig = Rig::new();
    let (near, mut far) = pair();
    far.write_all(b"bytes").unwrap();
    near.peek(&mut [0; 8]).unwrap();
    rig.add(Filter::Read, &near, ONESHOT);
    rig.one();
    assert_eq!(rig.answer(change(Filter::Read, &near, DELETE)), Some(Errno::NOENT), "it has gone by itself");
    rig.add(Filter::Read, &near, DISPATCH);
    rig.one();
    rig.assert_quiet();
    rig.change(&[change(Filter::Read, &near, ENABLE)]);
    rig.one();
    rig.add(Filter::Write, &near, DISABLE);
    rig.assert_quiet();
    rig.change(&[change(Filter::Write, &near, ENABLE)]);
    assert_eq!(rig.one().filter(), Some(Filter::Write));
    rig.change(&[change(Filter::Write, &near, DISABLE)]);
    rig.assert_quiet();
    rig.change(&[change(Filter::Write, &near, DELETE)]);
}

#[test]
fn there_is_one_knote_of_each_name_and_the_last_says_what_comes_back() {
    let mut rig = Rig::new();
    let (near, _far) = pair();
    for udata in 1..=3 {
        rig.change(&[change(Filter::Write, &near, ADD | CLEAR).with_udata(udata)]);
    }
    assert_eq!(rig.one().udata(), 3);
    // To add it again is to look again.
    rig.change(&[change(Filter::Write, &near, ADD | CLEAR).with_udata(4)]);
    assert_eq!(rig.one().udata(), 4);
    assert_eq!(rig.answer(change(Filter::Write, &near, DELETE)), None);
    assert_eq!(rig.answer(change(Filter::Write, &near, DELETE)), Some(Errno::NOENT));
}

#[test]
fn changes_are_answered_where_there_is_room_and_fail_the_call_where_not() {
    let rig = Rig::new();
    let (near, mut far) = pair();
    far.write_all(b"bytes").unwrap();
    near.peek(&mut [0; 8]).unwrap();
    let changes = [
        change(Filter::Read, &near, ADD | CLEAR | RECEIPT).with_udata(1),
        change(Filter::Write, &near, DELETE).with_udata(2),
        Kevent::new(Filter::Read, 1 << 20, ADD).with_udata(3),
        change(Filter::Write, &near, ADD | CLEAR),
    ];
    let mut answers = Vec::with_capacity(4);
    assert_eq!(rig.kqueue.kevent(&changes, &mut answers, None), Ok(3), "it does not wait either");
    let told: Vec<_> = answers.iter().map(|answer| (answer.udata(), answer.flags(), answer.data())).collect();
    let number = |errno: Errno| i64::from(errno.raw_os_error());
    assert_eq!(told, [(1, ERROR, 0), (2, ERROR, number(Errno::NOENT)), (3, ERROR, number(Errno::BADF))]);
    // The last one was made all the same, and now there are events.
    let mut events = Vec::with_capacity(4);
    assert_eq!(rig.kqueue.kevent(&[], &mut events, NOW), Ok(2));

    // Without room the first error ends it, and what comes behind is not done.
    let changes = [
        change(Filter::Write, &near, DELETE),
        change(Filter::Write, &near, DELETE),
        change(Filter::Read, &near, DELETE),
    ];
    assert_eq!(rig.kqueue.kevent(&changes, &mut Vec::new(), NOW), Err(Errno::NOENT));
    assert_eq!(rig.kqueue.kevent(&changes[2..], &mut Vec::new(), NOW), Ok(0), "it is still there");
}

#[test]
fn a_knote_goes_with_its_number_even_if_the_file_stays_open() {
    let mut rig = Rig::new();
    let (elsewhere, mut far) = pair();
    // A number so high that no other test of this process is given it.
    let near = rustix::io::fcntl_dupfd_cloexec(&elsewhere, 900).unwrap();
    let number = near.as_raw_fd();
    rig.change(&[change(Filter::Read, &near, ADD).with_udata(1)]);
    rig.change(&[change(Filter::Write, &near, ADD | CLEAR).with_udata(1)]);
    far.write_all(b"bytes").unwrap();
    elsewhere.peek(&mut [0; 8]).unwrap();
    drop(near);
    rig.assert_quiet();
    assert_eq!(rig.answer(Kevent::new(Filter::Read, number as usize, DELETE)), Some(Errno::BADF));

    // The number is another file's, of which nothing is known.
    let (other, mut other_far) = pair();
    let other = rustix::io::fcntl_dupfd_cloexec(&other, number).unwrap();
    assert_eq!(other.as_raw_fd(), number);
    assert_eq!(rig.answer(Kevent::new(Filter::Read, number as usize, DELETE)), Some(Errno::NOENT));
    rig.change(&[change(Filter::Read, &other, ADD | CLEAR).with_udata(2)]);
    far.write_all(b"more").unwrap();
    rig.assert_quiet();
    other_far.write_all(b"its own").unwrap();
    let event = rig.one();
    assert_eq!((event.udata(), event.data()), (2, 7));
}

#[test]
fn a_user_event_is_told_when_it_is_triggered_from_any_thread() {
    let mut rig = Rig::new();
    let user = |flags| Kevent::new(Filter::User, 7, flags);
    assert_eq!(rig.answer(user(0).with_fflags(NOTE_TRIGGER)), Some(Errno::NOENT));
    rig.change(&[user(ADD | CLEAR).with_udata(4)]);
    rig.assert_quiet();
    let triggered = |fflags| user(0).with_fflags(NOTE_TRIGGER | fflags).with_udata(5);
    for _ in 0..2 {
        rig.change(&[triggered(NOTE_FFOR | 1)]);
        rig.change(&[triggered(NOTE_FFOR | 2)]);
        let event = rig.one();
        // Each trigger brings its own, as each change does.
        assert_eq!((event.udata(), event.fflags()), (5, 3));
        rig.assert_quiet();
    }
    rig.change(&[triggered(NOTE_FFCOPY | 8)]);
    assert_eq!(rig.one().fflags(), 8);

    let kqueue = Arc::new(rig.kqueue);
    let other = Arc::clone(&kqueue);
    let begun = Instant::now();
    let thread = thread::spawn(move || {
        let mut events = Vec::with_capacity(1);
        (other.kevent(&[], &mut events, SOON), events[0].udata())
    });
    let changed = kqueue.kevent(&[triggered(0)], &mut Vec::new(), None);
    assert_eq!(changed, Ok(0), "without room nothing is waited for");
    assert_eq!(thread.join().unwrap(), (Ok(1), 5));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn the_end_of_a_process_is_told_once_with_its_status() {
    let mut rig = Rig::new();
    let spawn = |script| Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn().unwrap();
    let mut child = spawn("read line; exit 3");
    let watch = |child: &std::process::Child, flags| {
        Kevent::new(Filter::Process, child.id() as usize, flags).with_fflags(NOTE_EXIT)
    };
    rig.change(&[watch(&child, ADD).with_udata(9)]);
    rig.assert_quiet();
    drop(child.stdin.take());
    let event = rig.one();
    assert_eq!((event.udata(), event.fflags(), event.data()), (9, NOTE_EXIT, 3 << 8));
    rig.assert_quiet();
    assert_eq!(rig.answer(watch(&child, DELETE)), Some(Errno::NOENT), "it has gone by itself");
    assert_eq!(rig.answer(watch(&child, ADD)), Some(Errno::SRCH), "it has ended");
    assert_eq!(child.wait().unwrap().code(), Some(3));

    let mut child = spawn("read line");
    rig.change(&[watch(&child, ADD)]);
    child.kill().unwrap();
    assert_eq!(rig.one().data(), 9);
    child.wait().unwrap();
    for id in [0, 1 << 31, usize::MAX] {
        assert_eq!(rig.answer(Kevent::new(Filter::Process, id, ADD)), Some(Errno::SRCH));
    }
}

#[test]
fn signals_are_counted_and_told() {
    let mut rig = Rig::new();
    let raise =
        || rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::USR1).unwrap();
    let number = rustix::process::Signal::USR1.as_raw() as usize;
    rig.change(&[Kevent::new(Filter::Signal, number, ADD).with_udata(3)]);
    rig.assert_quiet();
    raise();
    let event = rig.one();
    assert_eq!((event.ident(), event.udata(), event.data()), (number, 3, 1));
    rig.assert_quiet();
    raise();
    // A queue is a descriptor, which another one may watch.
    let mut outer = Rig::new();
    outer.add(Filter::Read, &rig.kqueue.as_fd(), CLEAR);
    assert_eq!(outer.one().filter(), Some(Filter::Read));
    assert_eq!(rig.one().data(), 1);
    rig.change(&[Kevent::new(Filter::Signal, number, DELETE)]);
    for refused in [0, 9, 65] {
        assert_eq!(rig.answer(Kevent::new(Filter::Signal, refused, ADD)), Some(Errno::INVAL));
    }
}

#[test]
fn timeouts_and_interruptions() {
    let mut rig = Rig::new();
    let begun = Instant::now();
    let time = Duration::from_micros(2300);
    assert_eq!(rig.kqueue.kevent(&[], &mut rig.events, Some(time)), Ok(0));
    assert!(begun.elapsed() >= time);
    let trigger = Kevent::new(Filter::User, 1, ADD | CLEAR).with_fflags(NOTE_TRIGGER);
    rig.change(&[trigger]);
    assert_eq!(rig.kqueue.kevent(&[], &mut rig.events, Some(Duration::MAX)), Ok(1));
}

#[test]
fn the_queues_descriptor_is_readable_while_there_are_events() {
    let mut rig = Rig::new();
    let (mut near, mut far) = pair();
    assert!(!is_readable(&rig.kqueue));
    rig.add(Filter::Read, &near, 0);
    far.write_all(b"bytes").unwrap();
    near.peek(&mut [0; 8]).unwrap();
    assert!(is_readable(&rig.kqueue));
    rig.one();
    assert!(is_readable(&rig.kqueue), "a level lasts");
    near.read_exact(&mut [0; 5]).unwrap();
    rig.assert_quiet();
    assert!(!is_readable(&rig.kqueue));
    // What did not fit is still there.
    for ident in 0..3 {
        rig.change(&[Kevent::new(Filter::User, ident, ADD | CLEAR).with_fflags(NOTE_TRIGGER)]);
    }
    let mut few = Vec::with_capacity(2);
    assert_eq!(rig.kqueue.kevent(&[], &mut few, NOW), Ok(2));
    assert!(is_readable(&rig.kqueue));
    assert_eq!(rig.kqueue.kevent(&[], &mut few, NOW), Ok(1));
    assert!(!is_readable(&rig.kqueue));
}

#[test]
fn a_queue_without_user_events_refuses_them() {
    assert!(proactor_kqueue_emulation::lack_user_events());
    let mut rig = Rig::new();
    assert_eq!(rig.answer(Kevent::new(Filter::User, 0, ADD)), Some(Errno::INVAL));
}

#[test]
fn one_change_is_refused_and_the_next_one_is_not() {
    let mut rig = Rig::new();
    let add = Kevent::new(Filter::User, 0, ADD | CLEAR);
    assert!(proactor_kqueue_emulation::refuse_next(Filter::User, ADD, Errno::NOMEM));
    assert_eq!(rig.answer(Kevent::new(Filter::User, 0, DELETE)), Some(Errno::NOENT), "it is another change");
    assert_eq!(rig.answer(add), Some(Errno::NOMEM));
    assert_eq!(rig.answer(Kevent::new(Filter::User, 0, DELETE)), Some(Errno::NOENT), "it was not made");
    assert_eq!(rig.answer(add), None);
}

#[test]
fn an_interrupted_change_is_made_without_an_answer() {
    let rig = Rig::new();
    assert!(proactor_kqueue_emulation::interrupt_next(1));
    let add = Kevent::new(Filter::User, 0, ADD | CLEAR | RECEIPT).with_fflags(NOTE_TRIGGER);
    let mut answers = Vec::with_capacity(1);
    assert_eq!(rig.kqueue.kevent(&[add], &mut answers, NOW), Err(Errno::INTR));
    assert_eq!((answers.len(), proactor_kqueue_emulation::interruptions_left()), (0, 0));
    assert_eq!(rig.kqueue.kevent(&[], &mut answers, NOW), Ok(1), "it was made");
}
