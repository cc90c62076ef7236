//! Messages: bytes together with an address, and with descriptors over Unix sockets.

use std::fmt;
use std::net::SocketAddr;

use crate::backend::OwnedDescriptor;
use crate::operation::{Direction, OneShot, Target, UNDECIDED, submission};
use crate::outcome::error_of_result;
use crate::{Address, Buffer, Error, Handle};

/// What goes with the bytes of a message: an address, and descriptors. It travels through [`RecvMsg`] and [`SendMsg`] like
/// a buffer, in memory that is used again.
///
/// To *send*, it names who gets the message (nobody: the peer that the socket is connected to) and has the descriptors that
/// are to be passed. Passing one duplicates it for the receiver: those in the envelope stay the sender's, and come back with
/// the outcome.
///
/// To *receive*, it says for how many descriptors there is [room](Self::with_room), none unless that is said, and holds none:
/// those that come are put into it, closed on exec. Whoever drops the envelope closes them.
///
/// An empty one, [`Envelope::default`], allocates nothing; the first address or descriptor does, later ones do not as long as
/// its room is enough (contract B1).
///
/// ```
/// use std::os::unix::net::UnixStream;
///
/// use proactor_core::{Envelope, UnixAddress};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (one, other) = UnixStream::pair()?;
/// let mut envelope = Envelope::from(vec![one.into()]);
/// envelope.set_address(Some(UnixAddress::path("/run/service")?.into()));
/// envelope.descriptors_mut().push(other.into());
/// assert_eq!((envelope.descriptors().len(), envelope.address().is_some()), (2, true));
///
/// let mut envelope = Envelope::with_room(4);
/// assert_eq!((envelope.room(), envelope.descriptors().len()), (4, 0));
/// for descriptor in envelope.descriptors_mut().drain(..) {
///     let _stream = UnixStream::from(descriptor);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Envelope(Option<Box<Contents>>);

#[derive(Default)]
struct Contents {
    address: Option<Address>,
    descriptors: Vec<OwnedDescriptor>,
    room: usize,
}

impl Envelope {
    /// The most descriptors that one message passes: as many as Linux allows. More to send is [`Error::InvalidInput`].
    pub const MAX_DESCRIPTORS: usize = 253;

    /// An empty one, to receive up to so many descriptors, at most [`MAX_DESCRIPTORS`](Self::MAX_DESCRIPTORS). Further ones
    /// that come with the message are closed, and [`Message::is_control_truncated`] tells.
    #[must_use]
    pub fn with_room(descriptors: usize) -> Self {
        let room = descriptors.min(Self::MAX_DESCRIPTORS);
        Self(Some(Box::new(Contents { address: None, descriptors: Vec::with_capacity(room), room })))
    }

    /// The address, if there is one.
    #[must_use]
    #[inline]
    pub fn address(&self) -> Option<&Address> {
        self.0.as_deref().and_then(|contents| contents.address.as_ref())
    }

    /// Puts another address into it, or none. Allocates if it never had anything.
    #[inline]
    pub fn set_address(&mut self, address: Option<Address>) {
        match &mut self.0 {
            Some(contents) => contents.address = address,
            None if address.is_some() => self.contents().address = address,
            None => {}
        }
    }

    /// The descriptors in it, in the order of the sender.
    #[must_use]
    #[inline]
    pub fn descriptors(&self) -> &[OwnedDescriptor] {
        self.0.as_deref().map_or(&[], |contents| &contents.descriptors)
    }

    /// The same, to be put in and taken out. Allocates if it never had anything.
    #[inline]
    pub fn descriptors_mut(&mut self) -> &mut Vec<OwnedDescriptor> {
        &mut self.contents().descriptors
    }

    /// How many descriptors a receive may put into it.
    #[must_use]
    #[inline]
    pub fn room(&self) -> usize {
        self.0.as_deref().map_or(0, |contents| contents.room)
    }

    fn contents(&mut self) -> &mut Contents {
        self.0.get_or_insert_default()
    }
}

impl From<Address> for Envelope {
    fn from(address: Address) -> Self {
        Self(Some(Box::new(Contents { address: Some(address), ..Contents::default() })))
    }
}

impl From<SocketAddr> for Envelope {
    fn from(address: SocketAddr) -> Self {
        Address::from(address).into()
    }
}

/// With the descriptors, to nobody by name.
impl From<Vec<OwnedDescriptor>> for Envelope {
    fn from(descriptors: Vec<OwnedDescriptor>) -> Self {
        Self(Some(Box::new(Contents { descriptors, ..Contents::default() })))
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("address", &self.address())
            .field("descriptors", &self.descriptors())
            .field("room", &self.room())
            .finish()
    }
}

/// Receives one message into the buffer's range, and what goes with it into the envelope. FIFO with the handle's other
/// receives.
///
/// On a datagram socket it is a whole datagram, as with [`RecvFrom`](crate::RecvFrom). On a stream it is what has arrived, at
/// least one byte, as with [`Recv`](crate::Recv), and zero at the end; but no receive goes beyond the bytes that descriptors
/// were sent with: they come with the last of the bytes of a receive, at the latest. Who receives such bytes with any other
/// operation loses the descriptors, which the system closes.
///
/// It works on every socket; descriptors only come over Unix sockets.
///
/// Descriptors that nobody gets to see are closed, whatever becomes of the operation (contract C5, X5).
///
/// ```no_run
/// use std::os::unix::net::UnixStream;
///
/// use proactor_sim::{Buffer, Context, Envelope, Handle, RecvMsg, SendMsg};
///
/// /// Passes one end of a pair to whoever is behind `peer`.
/// fn pass(cx: &mut Context<()>, peer: Handle, end: UnixStream) {
///     let envelope = Envelope::from(vec![end.into()]);
///     cx.submit(SendMsg { handle: peer, buffer: Buffer::from(b"one"), envelope }, |(), cx, sent| match sent.result {
///         // The receiver has its own now; this one closes ours.
///         Ok(_bytes) => drop(sent.envelope),
///         Err(error) => cx.fail(error),
///     });
/// }
///
/// /// Takes it.
/// fn take(cx: &mut Context<()>, peer: Handle) {
///     let receive = RecvMsg { handle: peer, buffer: Buffer::zeroed(16), envelope: Envelope::with_room(1) };
///     cx.submit(receive, |(), cx, mut received| {
///         for descriptor in received.envelope.descriptors_mut().drain(..) {
///             cx.attach(descriptor).expect("a descriptor that can be attached");
///         }
///     });
/// }
/// ```
#[derive(Debug)]
pub struct RecvMsg {
    /// A socket, connected or bound.
    pub handle: Handle,
    /// Filled from its range's start; on a stream an empty range completes with zero in its place in the queue (contract
    /// R1).
    pub buffer: Buffer,
    /// Where the sender's address and the descriptors go. What address is in it does not matter; with a descriptor in it, the
    /// outcome is [`Error::InvalidInput`].
    pub envelope: Envelope,
}

/// Sends the buffer's range as one message, with what is in the envelope. FIFO with the handle's other sends.
///
/// On a datagram socket it is a whole datagram, as with [`SendTo`](crate::SendTo). On a stream it is as much as the system
/// takes at once, as with [`Send`](crate::Send); the descriptors go with the first byte, so once any are taken, all
/// descriptors are, and the rest is left to a [`SendAll`](crate::SendAll).
///
/// It ends with
/// - [`Error::InvalidInput`] for more than [`Envelope::MAX_DESCRIPTORS`] descriptors, and for descriptors without a byte on a
///   stream;
/// - [`Error::Unsupported`] for descriptors over anything but a Unix socket, and where the backend has none
///   ([`Capabilities::descriptors`](crate::Capabilities));
/// - the system's EOPNOTSUPP for an address on a stream, and its other errors. Then nothing was passed.
#[derive(Debug)]
pub struct SendMsg {
    /// A socket, connected, or of datagrams.
    pub handle: Handle,
    /// Its range is sent.
    pub buffer: Buffer,
    /// Where to, and what is passed. Without an address, to the peer that the socket is connected to.
    pub envelope: Envelope,
}

/// What one receive of a message has brought into a buffer and an envelope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message {
    len: u32,
    is_truncated: bool,
    is_control_truncated: bool,
}

impl Message {
    /// One of which `len` bytes are in the buffer, all of them and all descriptors. A buffer is never longer than
    /// [`Buffer::MAX_LEN`].
    #[must_use]
    pub const fn new(len: usize) -> Self {
        let len = if Buffer::is_too_long(len) { u32::MAX } else { len as u32 };
        Self { len, is_truncated: false, is_control_truncated: false }
    }

    /// The same, but for bytes that did not fit, if there were any, and for descriptors.
    #[must_use]
    pub const fn truncated(self, is_truncated: bool, is_control_truncated: bool) -> Self {
        Self { len: self.len, is_truncated, is_control_truncated }
    }

    /// How many bytes were written from the range's start on; zero at the end of a stream, for an empty datagram, and for an
    /// empty range.
    #[must_use]
    #[inline]
    pub const fn len(self) -> usize {
        self.len as usize
    }

    /// Whether no byte was written.
    #[must_use]
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Whether it was a datagram longer than the range; the rest is lost.
    #[must_use]
    #[inline]
    pub const fn is_truncated(self) -> bool {
        self.is_truncated
    }

    /// Whether descriptors came for which there was no room, in the envelope or in this process (EMFILE): they are lost. Also
    /// if it was something else that the socket was set up to tell beside its bytes, for which there is never room here.
    #[must_use]
    #[inline]
    pub const fn is_control_truncated(self) -> bool {
        self.is_control_truncated
    }
}

/// How a [`RecvMsg`] went.
#[derive(Debug)]
pub struct ReceivedMsg {
    /// The socket.
    pub handle: Handle,
    /// The buffer, its range as it was given.
    pub buffer: Buffer,
    /// The descriptors that came, and the sender's address; none where it has none, as an unbound Unix socket, or at the
    /// other end of TCP. As it was given, if nothing was received.
    pub envelope: Envelope,
    /// What was received.
    pub result: Result<Message, Error>,
}

/// How a [`SendMsg`] went.
#[derive(Debug)]
pub struct SentMsg {
    /// The socket.
    pub handle: Handle,
    /// The buffer, its range as it was given.
    pub buffer: Buffer,
    /// The envelope as it was given, with all descriptors: the receiver has duplicates, or none if it failed.
    pub envelope: Envelope,
    /// How many bytes were taken from its range's start on: all of them, of a datagram.
    pub result: Result<usize, Error>,
}

submission!(
    RecvMsg => ReceivedMsg, RecvMsg,
    |this| Target::Stream(this.handle, Direction::Read),
    |this| {
        let RecvMsg { handle, buffer, envelope } = this;
        ReceivedMsg { handle, buffer, envelope, result: Err(UNDECIDED) }
    },
    |this| (!this.envelope.descriptors().is_empty()).then_some(Error::InvalidInput)
);
submission!(
    SendMsg => SentMsg, SendMsg,
    |this| Target::Stream(this.handle, Direction::Write),
    |this| {
        let SendMsg { handle, buffer, envelope } = this;
        SentMsg { handle, buffer, envelope, result: Err(UNDECIDED) }
    },
    |this| {
        let too_many = this.envelope.descriptors().len() > Envelope::MAX_DESCRIPTORS;
        too_many.then_some(Error::InvalidInput)
    }
);

impl OneShot for RecvMsg {}
impl OneShot for SendMsg {}

error_of_result!(ReceivedMsg, SentMsg);

// No outcome grows for messages.
const _: () = assert!(size_of::<ReceivedMsg>() <= 64 && size_of::<SentMsg>() <= 72);

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, AsRawFd};

    use super::*;

    #[test]
    fn an_envelope_keeps_its_memory() {
        let first: Address = "127.0.0.1:7".parse().unwrap();
        let mut envelope = Envelope::default();
        envelope.set_address(None);
        assert!(envelope.0.is_none() && envelope.address().is_none() && envelope.descriptors().is_empty());
        envelope.set_address(Some(first.clone()));
        let place = std::ptr::from_ref(envelope.address().unwrap());
        envelope.set_address(None);
        envelope.set_address(Some(first));
        assert_eq!(std::ptr::from_ref(envelope.address().unwrap()), place);
    }

    #[test]
    fn descriptors_go_in_and_come_out_in_order() {
        let [one, other] = [(); 2].map(|()| std::io::stderr().as_fd().try_clone_to_owned().unwrap());
        let numbers = [one.as_raw_fd(), other.as_raw_fd()];
        let mut envelope = Envelope::from(vec![one]);
        envelope.descriptors_mut().push(other);
        assert!(envelope.descriptors().iter().map(AsRawFd::as_raw_fd).eq(numbers));
        assert_eq!(envelope.room(), 0);
        assert!(envelope.descriptors_mut().drain(..).map(|it| it.as_raw_fd()).eq(numbers));
        assert_eq!(Envelope::with_room(usize::MAX).room(), Envelope::MAX_DESCRIPTORS);
    }

    #[test]
    fn a_message_tells_what_it_was_made_of() {
        let message = Message::new(7).truncated(true, false);
        assert_eq!((message.len(), message.is_empty(), message.is_truncated()), (7, false, true));
        assert!(!message.is_control_truncated());
        assert!(Message::new(0).truncated(false, true).is_control_truncated() && Message::new(0).is_empty());
    }
}
