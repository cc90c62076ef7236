//! What knotes watch, and when their conditions are true.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use proactor_core::{Error, Signal};
use proactor_system::SignalWatch;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};
use rustix::io::{Errno, ioctl_fionread};
use rustix::net::{SocketType, sockopt};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

use crate::kevent::{EOF, Filter, NOTE_EXIT, NOTE_FFCOPY, NOTE_FFOR, NOTE_OOB, NOTE_TRIGGER, ONESHOT};

/// The bits of a user's event that are the user's.
const USERS_BITS: u32 = 0x00ff_ffff;

/// What a knote watches.
#[derive(Debug)]
pub(crate) enum Source {
    /// A descriptor that the kernel tells edges of.
    Descriptor(Filter, Kind),
    /// A regular file or a directory, of which it tells nothing.
    File {
        identity: (u64, u64),
    },
    Process(OwnedFd),
    Signal {
        watch: Box<SignalWatch>,
        count: i64,
    },
    User {
        bits: u32,
        is_triggered: bool,
    },
}

/// What a descriptor is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Stream,
    Messages,
    Pipe,
    Other,
}

/// What is told when a condition is true.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Found {
    pub(crate) flags: u32,
    pub(crate) fflags: u32,
    pub(crate) data: i64,
}

/// A descriptor by its number, which may have been closed.
pub(crate) fn borrow(number: i32) -> BorrowedFd<'static> {
    // SAFETY: it is used for calls that answer EBADF where there is no such descriptor, and for nothing that lasts. That
    // another's may be there instead is what those calls are to find out.
    unsafe { BorrowedFd::borrow_raw(number.max(0)) }
}

/// Which file it is.
pub(crate) fn identity(descriptor: BorrowedFd<'_>) -> Option<(u64, u64)> {
    fstat(descriptor).ok().map(|status| (status.st_dev, status.st_ino))
}

impl Source {
    pub(crate) fn new(filter: Filter, ident: usize, fflags: u32) -> Result<Self, Errno> {
        match filter {
            Filter::Read | Filter::Write | Filter::Except => of_descriptor(filter, borrow(ident as i32)),
            Filter::Process => of_process(ident),
            Filter::Signal => {
                let signal = i32::try_from(ident).ok().and_then(Signal::from_raw).ok_or(Errno::INVAL)?;
                let watch = SignalWatch::begin(signal.into()).map_err(|error| match error {
                    Error::System(number) => Errno::from_raw_os_error(number),
                    _ => Errno::INVAL,
                })?;
                Ok(Self::Signal { watch: Box::new(watch), count: 0 })
            }
            Filter::User => {
                Ok(Self::User { bits: fflags & USERS_BITS, is_triggered: fflags & NOTE_TRIGGER != 0 })
            }
        }
    }

    /// A descriptor of its own that has an edge when there is something to look at.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Process(process) => Some(process.as_fd()),
            Self::Signal { watch, .. } => Some(watch.as_fd()),
            Self::Descriptor(..) | Self::File { .. } | Self::User { .. } => None,
        }
    }

    /// What a later change says to it.
    pub(crate) fn change(&mut self, fflags: u32) {
        let Self::User { bits, is_triggered } = self else { return };
        *is_triggered |= fflags & NOTE_TRIGGER != 0;
        match fflags & NOTE_FFCOPY {
            NOTE_FFCOPY => *bits = fflags & USERS_BITS,
            NOTE_FFOR => *bits |= fflags & USERS_BITS,
            0 => {}
            _ => *bits &= fflags & USERS_BITS,
        }
    }

    /// Starts anew, once it was told.
    pub(crate) fn clear(&mut self) {
        match self {
            Self::Signal { count, .. } => *count = 0,
            Self::User { bits, is_triggered } => (*bits, *is_triggered) = (0, false),
            Self::Descriptor(..) | Self::File { .. } | Self::Process(_) => {}
        }
    }

    /// What there is to tell, if its condition is true.
    pub(crate) fn look(&mut self, ident: usize) -> Option<Found> {
        match self {
            Self::Descriptor(filter, kind) => {
                let descriptor = borrow(ident as i32);
                let told = polled(descriptor);
                match filter {
                    Filter::Write => to_write(descriptor, *kind, told),
                    Filter::Except => told
                        .contains(PollFlags::PRI)
                        .then_some(Found { fflags: NOTE_OOB, ..Found::default() }),
                    _ => to_read(descriptor, *kind, told),
                }
            }
            Self::File { .. } => {
                let descriptor = borrow(ident as i32);
                let len = fstat(descriptor).ok()?.st_size;
                let position = rustix::fs::tell(descriptor).ok()? as i64;
                (len != position).then_some(Found { data: len - position, ..Found::default() })
            }
            Self::Process(process) => ended(process),
            Self::Signal { watch, count } => {
                *count += i64::from(!watch.take().is_empty());
                (*count > 0).then_some(Found { data: *count, ..Found::default() })
            }
            Self::User { bits, is_triggered } => {
                is_triggered.then_some(Found { fflags: *bits, ..Found::default() })
            }
        }
    }
}

fn of_descriptor(filter: Filter, descriptor: BorrowedFd<'_>) -> Result<Source, Errno> {
    let kind = match FileType::from_raw_mode(fstat(descriptor)?.st_mode) {
        FileType::RegularFile | FileType::Directory if filter != Filter::Except => {
            return Ok(Source::File { identity: identity(descriptor).ok_or(Errno::BADF)? });
        }
        FileType::Socket if sockopt::socket_type(descriptor)? == SocketType::STREAM => Kind::Stream,
        FileType::Socket => Kind::Messages,
        FileType::Fifo => Kind::Pipe,
        _ => Kind::Other,
    };
    if filter == Filter::Except && kind != Kind::Stream {
        return Err(Errno::INVAL);
    }
    // A pipe whose other end is gone is refused, as it is on some systems.
    if filter == Filter::Write && kind == Kind::Pipe && polled(descriptor).contains(PollFlags::ERR) {
        return Err(Errno::PIPE);
    }
    Ok(Source::Descriptor(filter, kind))
}

fn of_process(ident: usize) -> Result<Source, Errno> {
    let id = i32::try_from(ident).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
    let process = pidfd_open(id, PidfdFlags::empty())?;
    if polled(process.as_fd()).contains(PollFlags::IN) {
        return Err(Errno::SRCH);
    }
    Ok(Source::Process(process))
}

/// What poll(2) says to everything that can be asked.
fn polled(descriptor: BorrowedFd<'_>) -> PollFlags {
    let all = PollFlags::IN | PollFlags::OUT | PollFlags::PRI | PollFlags::RDHUP;
    let mut asked = [PollFd::from_borrowed_fd(descriptor, all)];
    match poll(&mut asked, Some(&Default::default())) {
        Ok(_) => asked[0].revents() - PollFlags::NVAL,
        Err(_) => PollFlags::empty(),
    }
}

/// A socket's error. Its number cannot be had without taking it from the socket.
fn error(told: PollFlags) -> u32 {
    if told.contains(PollFlags::ERR) { Errno::IO.raw_os_error() as u32 } else { 0 }
}

/// A stream socket that was never connected: it hangs up, but for a reason that only its connection could have.
fn is_unconnected(told: PollFlags) -> bool {
    told.contains(PollFlags::HUP) && !told.intersects(PollFlags::RDHUP | PollFlags::ERR)
}

fn to_read(descriptor: BorrowedFd<'_>, kind: Kind, told: PollFlags) -> Option<Found> {
    let data = ioctl_fionread(descriptor).map_or(0, |bytes| bytes as i64);
    let is_readable = told.contains(PollFlags::IN);
    let (eof, fflags) = match kind {
        Kind::Stream if is_unconnected(told) => return None,
        Kind::Stream if sockopt::socket_acceptconn(descriptor).unwrap_or(false) => {
            return is_readable.then_some(Found { data: 1, ..Found::default() });
        }
        Kind::Stream => (told.intersects(PollFlags::RDHUP | PollFlags::ERR), error(told)),
        Kind::Messages => {
            // Shut down for reading.
            let flags = if told.contains(PollFlags::RDHUP) { EOF } else { 0 };
            let is_active = is_readable || told.contains(PollFlags::ERR);
            return is_active.then_some(Found { flags, fflags: 0, data });
        }
        Kind::Pipe if is_write_only(descriptor) => (told.contains(PollFlags::ERR), 0),
        Kind::Pipe => (told.contains(PollFlags::HUP), 0),
        Kind::Other => {
            let eof = told.contains(PollFlags::HUP);
            let is_active = is_readable || eof;
            let flags = if eof { EOF } else { 0 };
            return is_active.then_some(Found { flags, fflags: 0, data: data.max(i64::from(is_readable)) });
        }
    };
    (data > 0 || eof).then_some(Found { flags: if eof { EOF } else { 0 }, fflags, data })
}

fn is_write_only(descriptor: BorrowedFd<'_>) -> bool {
    fcntl_getfl(descriptor).is_ok_and(|flags| flags & OFlags::ACCMODE == OFlags::WRONLY)
}

fn to_write(descriptor: BorrowedFd<'_>, kind: Kind, told: PollFlags) -> Option<Found> {
    let is_writable = told.contains(PollFlags::OUT);
    let (eof, fflags) = match kind {
        Kind::Stream if is_unconnected(told) => return None,
        Kind::Stream => (told.intersects(PollFlags::HUP | PollFlags::ERR), error(told)),
        Kind::Pipe => (told.contains(PollFlags::ERR), 0),
        Kind::Messages | Kind::Other => (false, 0),
    };
    let is_active = is_writable || eof || told.contains(PollFlags::ERR);
    let data = if is_writable { room(descriptor, kind) } else { 0 };
    is_active.then_some(Found { flags: if eof { EOF } else { 0 }, fflags, data })
}

/// For how much there is room.
fn room(descriptor: BorrowedFd<'_>, kind: Kind) -> i64 {
    let room = match kind {
        Kind::Stream | Kind::Messages => {
            let size = sockopt::socket_send_buffer_size(descriptor).unwrap_or(1) as i64;
            size - unsent(descriptor)
        }
        Kind::Pipe => {
            let size = rustix::pipe::fcntl_getpipe_size(descriptor).unwrap_or(1) as i64;
            size - ioctl_fionread(descriptor).map_or(0, |bytes| bytes as i64)
        }
        Kind::Other => 1,
    };
    room.max(1)
}

/// How much was written to a socket that the other end does not have yet.
fn unsent(socket: BorrowedFd<'_>) -> i64 {
    /// SIOCOUTQ, which a terminal's TIOCOUTQ is the number of.
    const SIOCOUTQ: rustix::ioctl::Opcode = 0x5411;
    // SAFETY: the request writes one `c_int`, which is what `i32` is, and reads nothing.
    let asked = unsafe { rustix::ioctl::Getter::<SIOCOUTQ, i32>::new() };
    // SAFETY: as above; the descriptor is borrowed for the call.
    let told = unsafe { rustix::ioctl::ioctl(socket, asked) };
    told.map_or(0, i64::from)
}

/// How a process has ended, which stays to be taken.
fn ended(process: &OwnedFd) -> Option<Found> {
    if !polled(process.as_fd()).contains(PollFlags::IN) {
        return None;
    }
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    // Of what is no child of this process, or was taken by another, nothing but its end is known.
    let status = waitid(WaitId::PidFd(process.as_fd()), options).ok().flatten();
    let data = status.map_or(0, |status| match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => i64::from(code & 0xff) << 8,
        (None, signal) => i64::from(signal.unwrap_or(0)),
    });
    Some(Found { flags: EOF | ONESHOT, fflags: NOTE_EXIT, data })
}
