//! `struct kevent`, as libkqueue has it.

use std::fmt;

use rustix::io::Errno;

/// Adds a knote, or changes the one that is there.
pub const ADD: u32 = 0x0001;
/// Deletes it.
pub const DELETE: u32 = 0x0002;
/// Lets it be told again.
pub const ENABLE: u32 = 0x0004;
/// Keeps it from being told.
pub const DISABLE: u32 = 0x0008;
/// Deletes it when it has been told.
pub const ONESHOT: u32 = 0x0010;
/// Starts anew when it has been told: only what happens afterwards is told.
pub const CLEAR: u32 = 0x0020;
/// Has the change answered in the list of events, also where it succeeds.
pub const RECEIPT: u32 = 0x0040;
/// Disables it when it has been told.
pub const DISPATCH: u32 = 0x0080;
/// Told: an answer to a change, with the error's number, or zero, in `data`.
pub const ERROR: u32 = 0x4000;
/// Told: the other end is gone.
pub const EOF: u32 = 0x8000;

/// Of a process: it has ended.
pub const NOTE_EXIT: u32 = 0x8000_0000;
/// Of a descriptor's exceptions: urgent data.
pub const NOTE_OOB: u32 = 0x0000_0002;
/// Triggers a user's event.
pub const NOTE_TRIGGER: u32 = 0x0100_0000;
/// Adds bits to a user's event.
pub const NOTE_FFOR: u32 = 0x8000_0000;
/// Sets the bits of a user's event.
pub const NOTE_FFCOPY: u32 = 0xc000_0000;

/// Whether there is an [`Except`](Filter::Except).
pub const TELLS_URGENT_DATA: bool = !cfg!(libkqueue);

/// The source of events that a knote is of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Filter {
    /// A descriptor can be read.
    Read,
    /// It can be written.
    Write,
    /// There is urgent data.
    Except,
    /// A process has changed.
    Process,
    /// A signal was delivered to this process.
    Signal,
    /// Somebody has triggered it.
    User,
}

const FILTERS: [(Filter, i16); 6] = [
    (Filter::Read, -1),
    (Filter::Write, -2),
    (Filter::Process, -5),
    (Filter::Signal, -6),
    (Filter::User, -11),
    (Filter::Except, -15),
];

/// A change that is to be made, or an event.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Kevent {
    ident: usize,
    filter: i16,
    flags: u16,
    fflags: u32,
    data: i64,
    udata: u64,
}

const _: () = assert!(size_of::<Kevent>() == 32);

impl Kevent {
    /// A change of the knote with this filter and identifier.
    #[must_use]
    pub fn new(filter: Filter, ident: usize, flags: u32) -> Self {
        let number = FILTERS.iter().find(|(other, _)| *other == filter).map_or(0, |(_, number)| *number);
        Self { ident, filter: number, flags: flags as u16, fflags: 0, data: 0, udata: 0 }
    }

    /// The same with flags of its filter.
    #[must_use]
    pub const fn with_fflags(self, fflags: u32) -> Self {
        Self { fflags, ..self }
    }

    /// The same with something that comes back with each event.
    #[must_use]
    pub const fn with_udata(self, udata: u64) -> Self {
        Self { udata, ..self }
    }

    /// The same with the filter's data.
    #[must_use]
    pub const fn with_data(self, data: i64) -> Self {
        Self { data, ..self }
    }

    /// The same with other flags.
    #[must_use]
    pub const fn with_flags(self, flags: u32) -> Self {
        Self { flags: flags as u16, ..self }
    }

    /// Its filter; none if it is not known here.
    #[must_use]
    pub fn filter(&self) -> Option<Filter> {
        FILTERS.iter().find(|(_, number)| *number == self.filter).map(|(filter, _)| *filter)
    }

    /// What the filter watches: a descriptor, a process, a signal, a number of the user's.
    #[must_use]
    pub const fn ident(&self) -> usize {
        self.ident
    }

    /// What is asked for, or told.
    #[must_use]
    pub const fn flags(&self) -> u32 {
        self.flags as u32
    }

    /// The filter's own flags.
    #[must_use]
    pub const fn fflags(&self) -> u32 {
        self.fflags
    }

    /// The filter's own number: of bytes, as a rule.
    #[must_use]
    pub const fn data(&self) -> i64 {
        self.data
    }

    /// What came with the change that added the knote.
    #[must_use]
    pub const fn udata(&self) -> u64 {
        self.udata
    }

    /// Of an answer to a change: why it failed, if it did.
    #[must_use]
    pub fn error(&self) -> Option<Errno> {
        (self.flags() & ERROR != 0 && self.data != 0).then(|| Errno::from_raw_os_error(self.data as i32))
    }
}

impl fmt::Debug for Kevent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ident, flags, fflags, data, udata, .. } = self;
        write!(f, "{:?} {ident}, flags {flags:#x}, {fflags:#x}, data {data}, udata {udata:#x}", self.filter())
    }
}
