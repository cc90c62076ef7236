//! From a file to a socket without copying: what is asked, and what comes back.

use crate::operation::{Direction, OneShot, Operation, Target, UNDECIDED, submission};
use crate::outcome::error_of_result;
use crate::{Error, Handle, Outcome};

/// Sends a part of a file on a connection, as much as goes at once: the system moves the bytes from its cache to the
/// socket, and the program never sees them.
///
/// It has its turn among all that is written to the socket, first in first out (contract H3), and uses the file beside
/// whatever else does, in no order. Closing either handle ends it, and a file is closed when what sends from it has ended
/// (contract H1).
///
/// What is in the system's cache is sent on the loop's thread; the pool's threads do what has to be read from a disk, and
/// wait for no peer. Half a million connections that take their time hold up no thread. With
/// [`on_pool`](Self::on_pool) they do all of it, piece by piece, where reading is known to hold up whoever does it.
///
/// Nothing is copied, so what is written to that part of the file afterwards may still arrive in the place of what was
/// there, until the peer has received it; the outcome says that the socket has taken the bytes, no more.
///
/// Where bytes are moved within the system ([`Capabilities::splicing`](crate::Capabilities::splicing)), it may be a pipe in place of
/// the socket, to go on from there with a [`Splice`](crate::Splice).
///
/// A closed peer is `EPIPE` or `ECONNRESET`, as with a [`Send`](crate::Send), without a signal (contract R3). What is no
/// socket is `ENOTSOCK`, one that carries messages [`Error::Unsupported`]; a file that the system cannot send from (a pipe, a directory) `EINVAL`, or `ESPIPE`.
///
/// ```
/// use proactor_sim::{
///     Accept, Buffer, Config, Connect, Create, ListenOptions, Loop, OpenAt, OpenOptions, Recv, RunMode, SendFileAll,
///     WriteAt,
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut ev = Loop::<Vec<u8>>::open(Config::default())?;
/// let mut cx = ev.context();
/// let listener = cx.listen("127.0.0.1:0".parse()?, ListenOptions::default())?;
/// let address = cx.local_address(listener)?;
/// let client = cx.socket(address.family())?;
/// cx.submit(Connect { handle: client, address }, move |_, cx, connected| {
///     assert_eq!(connected.result, Ok(()));
///     cx.submit(Recv { handle: client, buffer: Buffer::zeroed(64) }, |arrived, _cx, received| {
///         let count = received.result.expect("bytes come");
///         arrived.extend_from_slice(&received.buffer[..count]);
///     });
/// });
/// cx.submit(Accept { listener }, |_, cx, accepted| {
///     let (handle, _address) = accepted.result.expect("a connection");
///     let options = OpenOptions::read_write().create(Create::IfMissing);
///     cx.submit(OpenAt { directory: None, path: "/tmp/page".into(), options }, move |_, cx, opened| {
///         let file = opened.result.expect("a new file");
///         let write = WriteAt { handle: file, buffer: Buffer::from(b"what is in the file"), offset: 0 };
///         cx.submit(write, move |_, cx, written| {
///             assert_eq!(written.result, Ok(19));
///             cx.submit(SendFileAll { handle, file, offset: 8, len: 11 }, |_, _cx, sent| {
///                 assert_eq!((sent.result, sent.transferred), (Ok(()), 11));
///             });
///         });
///     });
/// });
/// let mut arrived = Vec::new();
/// ev.run(&mut arrived, RunMode::UntilDone)?;
/// assert_eq!(arrived, b"in the file");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SendFile {
    /// A connected stream socket, or a pipe.
    pub handle: Handle,
    /// A file that was opened for reading.
    pub file: Handle,
    /// Where in it to begin, in bytes. The file's own position is neither used nor moved. With `len`, up to `i64::MAX`; beyond
    /// that [`Error::InvalidInput`].
    pub offset: u64,
    /// How many bytes at most; of zero, nothing is sent.
    pub len: u64,
}

/// Sends all of a part of a file on a connection: as [`SendFile`], but it goes on until `len` bytes are sent, with those of
/// no other between them. A file that ends before is [`Error::EndOfStream`].
#[derive(Debug)]
pub struct SendFileAll {
    /// A connected stream socket, or a pipe.
    pub handle: Handle,
    /// A file that was opened for reading.
    pub file: Handle,
    /// Where in it to begin, in bytes; as of a [`SendFile`].
    pub offset: u64,
    /// How many bytes.
    pub len: u64,
}

/// How a [`SendFile`](crate::SendFile) went.
#[derive(Debug)]
pub struct SentFile {
    /// The socket.
    pub handle: Handle,
    /// The file.
    pub file: Handle,
    /// Where it began.
    pub offset: u64,
    /// How many bytes it was to send at most.
    pub len: u64,
    /// How many it has sent; zero at the end of the file.
    pub result: Result<u64, Error>,
}

/// How a [`SendFileAll`](crate::SendFileAll) went.
#[derive(Debug)]
pub struct SentFileAll {
    /// The socket.
    pub handle: Handle,
    /// The file.
    pub file: Handle,
    /// Where it began.
    pub offset: u64,
    /// How many bytes it was to send.
    pub len: u64,
    /// How many it has sent, also where it failed.
    pub transferred: u64,
    /// All of them, or why not.
    pub result: Result<(), Error>,
}

submission!(SendFile => SentFile, SendFile, |this| Target::Stream(this.handle, Direction::Write), |this| {
    let SendFile { handle, file, offset, len } = this;
    SentFile { handle, file, offset, len, result: Err(UNDECIDED) }
}, |this| crate::file::beyond(this.offset, this.len); |this| this.file);
submission!(SendFileAll => SentFileAll, SendFileAll, |this| Target::Stream(this.handle, Direction::Write), |this| {
    let SendFileAll { handle, file, offset, len } = this;
    SentFileAll { handle, file, offset, len, transferred: 0, result: Err(UNDECIDED) }
}, |this| crate::file::beyond(this.offset, this.len); |this| this.file);

impl OneShot for SendFile {}
impl OneShot for SendFileAll {}

error_of_result!(SentFile, SentFileAll);

/// What is left of a transfer from a file to a socket, as a backend works on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FilePart {
    /// The file.
    pub file: Handle,
    /// Where in it the rest begins.
    pub offset: u64,
    /// How many bytes are left.
    pub left: u64,
    /// Whether all of them are to be sent.
    pub all: bool,
}

impl Outcome {
    /// What is left of a [`SendFile`] or a [`SendFileAll`]; none of anything else.
    #[must_use]
    pub const fn file_part(&self) -> Option<FilePart> {
        match *self {
            Self::SendFile(SentFile { file, offset, len, .. }) => {
                Some(FilePart { file, offset, left: len, all: false })
            }
            Self::SendFileAll(SentFileAll { file, offset, len, transferred, .. }) => {
                let left = len.saturating_sub(transferred);
                Some(FilePart { file, offset: offset.saturating_add(transferred), left, all: true })
            }
            _ => None,
        }
    }

    /// Counts `count` bytes of a [`SendFile`] or a [`SendFileAll`], of which the system has taken more than none. Returns
    /// whether it is complete, and its result filled in.
    pub const fn file_part_sent(&mut self, count: u64) -> bool {
        match self {
            Self::SendFile(sent) => {
                sent.result = Ok(count);
                true
            }
            Self::SendFileAll(sent) => {
                sent.transferred = sent.transferred.saturating_add(count);
                if sent.transferred >= sent.len {
                    sent.result = Ok(());
                }
                sent.transferred >= sent.len
            }
            _ => false,
        }
    }

    /// Fills in that the file has no more for a [`SendFile`] or a [`SendFileAll`], or that nothing was asked for.
    pub fn file_part_ended(&mut self) {
        match self {
            Self::SendFile(sent) => sent.result = Ok(0),
            Self::SendFileAll(sent) if sent.transferred >= sent.len => sent.result = Ok(()),
            other => other.set_error(Error::EndOfStream),
        }
    }
}

/// As [`crate::file::back`].
pub(crate) fn back(outcome: Outcome) -> Result<Operation, Outcome> {
    match outcome {
        Outcome::SendFile(SentFile { handle, file, offset, len, .. }) => {
            Ok(Operation::SendFile(SendFile { handle, file, offset, len }))
        }
        Outcome::SendFileAll(SentFileAll { handle, file, offset, len, .. }) => {
            Ok(Operation::SendFileAll(SendFileAll { handle, file, offset, len }))
        }
        other => Err(other),
    }
}
