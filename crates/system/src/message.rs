//! Messages with descriptors: the calls that would block.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::Poll;

use proactor_core::{Buffer, Envelope, Error, Message};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
};

use crate::MAX_TRANSFER;
use crate::call::attempt;
use crate::descriptor::DescriptorKind;
use crate::socket::{
    RECEIVE_MESSAGE_FLAGS, SEND_FLAGS, address_from_system, address_to_system, keep_to_ourselves,
};

/// Room for as many descriptors as one message passes.
const CONTROL_LEN: usize = rustix::cmsg_space!(ScmRights(Envelope::MAX_DESCRIPTORS));

/// What there is to say to a message before the system is asked.
///
/// # Errors
/// [`Error::InvalidInput`] for descriptors without a byte on a stream, [`Error::Unsupported`] for descriptors over what is no
/// Unix socket, of which systems say nothing; EOPNOTSUPP for an address on a stream, where systems do not agree.
pub fn check_to_send(kind: DescriptorKind, buffer: &Buffer, envelope: &Envelope) -> Result<(), Error> {
    let DescriptorKind::Socket(transport) = kind else { return Ok(()) };
    if transport.is_stream() && envelope.address().is_some() {
        return Err(Errno::OPNOTSUPP.into());
    }
    match envelope.descriptors() {
        [] => Ok(()),
        _ if !transport.is_local() => Err(Error::Unsupported),
        _ if transport.is_stream() && buffer.is_empty() => Err(Error::InvalidInput),
        _ => Ok(()),
    }
}

/// Receives one message into `bytes`, of which at most [`MAX_TRANSFER`] are used, and into the envelope, without waiting
/// whatever the socket's mode. The descriptors are closed on exec.
///
/// # Errors
/// What the system said; then the envelope is as it was.
pub fn receive_message(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
    envelope: &mut Envelope,
) -> Poll<Result<Message, Error>> {
    let len = bytes.len().min(MAX_TRANSFER);
    let bytes = &mut bytes[..len];
    let mut space = [MaybeUninit::uninit(); CONTROL_LEN];
    let mut control = match envelope.room() {
        0 => RecvAncillaryBuffer::default(),
        _ => RecvAncillaryBuffer::new(&mut space),
    };
    let received = attempt(|| {
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut control, RECEIVE_MESSAGE_FLAGS)
    });
    received.map_ok(|message| {
        envelope.set_address(message.address.and_then(|address| address_from_system(address).ok()));
        let mut is_control_truncated = message.flags.contains(ReturnFlags::CTRUNC);
        for told in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = told {
                is_control_truncated |= !put_into(envelope, descriptors);
            }
        }
        Message::new(message.bytes)
            .truncated(message.flags.contains(ReturnFlags::TRUNC), is_control_truncated)
    })
}

/// Puts descriptors that have come into an envelope, as far as it has room, and closes the others. Returns whether there are
/// none of those.
pub fn put_into(envelope: &mut Envelope, descriptors: impl Iterator<Item = OwnedFd>) -> bool {
    let room = envelope.room();
    let mut is_enough = true;
    for descriptor in descriptors {
        keep_to_ourselves(&descriptor);
        if envelope.descriptors().len() < room {
            envelope.descriptors_mut().push(descriptor);
        } else {
            is_enough = false;
        }
    }
    is_enough
}

/// Sends what is taken of the first [`MAX_TRANSFER`] of `bytes` as one message with what is in the envelope, without waiting
/// whatever the socket's mode, and without a signal where the peer is gone.
///
/// # Errors
/// [`Error::Unsupported`] for an address that this crate does not know, [`Error::InvalidInput`] for more descriptors than one
/// message passes; otherwise what the system said.
pub fn send_message(socket: BorrowedFd<'_>, bytes: &[u8], envelope: &Envelope) -> Poll<Result<usize, Error>> {
    let bytes = &bytes[..bytes.len().min(MAX_TRANSFER)];
    let [first, ..] = envelope.descriptors() else {
        return send_with(socket, bytes, envelope, &mut SendAncillaryBuffer::default());
    };
    let mut all = [first.as_fd(); Envelope::MAX_DESCRIPTORS];
    let count = envelope.descriptors().len();
    let Some(passed) = all.get_mut(..count) else { return Poll::Ready(Err(Error::InvalidInput)) };
    for (place, descriptor) in passed.iter_mut().zip(envelope.descriptors()) {
        *place = descriptor.as_fd();
    }
    let mut space = [MaybeUninit::uninit(); CONTROL_LEN];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(passed)) {
        return Poll::Ready(Err(Error::InvalidInput));
    }
    send_with(socket, bytes, envelope, &mut control)
}

fn send_with(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    envelope: &Envelope,
    control: &mut SendAncillaryBuffer<'_, '_, '_>,
) -> Poll<Result<usize, Error>> {
    let bytes = &[IoSlice::new(bytes)];
    match envelope.address() {
        Some(address) => {
            let address = address_to_system(address)?;
            attempt(|| rustix::net::sendmsg_addr(socket, &address, bytes, control, SEND_FLAGS))
        }
        None => attempt(|| rustix::net::sendmsg(socket, bytes, control, SEND_FLAGS)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use rustix::io::{FdFlags, fcntl_getfd};

    use super::*;
    use crate::Transport;

    fn ends(count: usize) -> Vec<OwnedFd> {
        (0..count).map(|_| UnixStream::pair().unwrap().0.into()).collect()
    }

    #[test]
    fn as_many_descriptors_as_there_may_be_are_passed_and_not_inherited() {
        let (one, other) = UnixStream::pair().unwrap();
        let socket = ends(1).pop().unwrap();
        let all = (0..Envelope::MAX_DESCRIPTORS).map(|_| socket.try_clone().unwrap()).collect::<Vec<_>>();
        let mut envelope = Envelope::from(all);
        assert_eq!(send_message(one.as_fd(), b"text", &envelope), Poll::Ready(Ok(4)));
        let mut received = Envelope::with_room(usize::MAX);
        let message = receive_message(other.as_fd(), &mut [0; 8], &mut received);
        assert_eq!(message, Poll::Ready(Ok(Message::new(4))));
        assert_eq!(received.descriptors().len(), Envelope::MAX_DESCRIPTORS);
        let is_kept_here = |fd: &OwnedFd| fcntl_getfd(fd).unwrap().contains(FdFlags::CLOEXEC);
        assert!(received.descriptors().iter().all(is_kept_here));
        envelope.descriptors_mut().push(socket);
        assert_eq!(send_message(one.as_fd(), b"text", &envelope), Poll::Ready(Err(Error::InvalidInput)));
        assert_eq!(receive_message(other.as_fd(), &mut [0; 8], &mut received), Poll::Pending);
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let (one, other) = UnixDatagram::pair().unwrap();
        for (count, room, len, expected) in [
            (1, 1, 4, (1, false, false)),
            (2, 1, 4, (1, false, true)),
            (3, 0, 2, (0, true, true)),
            (0, 3, 4, (0, false, false)),
        ] {
            assert_eq!(send_message(one.as_fd(), b"text", &ends(count).into()), Poll::Ready(Ok(4)));
            let mut envelope = Envelope::with_room(room);
            let Poll::Ready(Ok(message)) = receive_message(other.as_fd(), &mut vec![0; len], &mut envelope)
            else {
                panic!("a message waits")
            };
            let came = envelope.descriptors().len();
            assert_eq!((came, message.is_truncated(), message.is_control_truncated()), expected);
            assert_eq!(message.len(), len);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let (none, text) = (Buffer::default(), Buffer::from(b"text"));
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to_somebody = || Envelope::from(udp.local_addr().unwrap());
        let kind = DescriptorKind::Socket;
        for (on, buffer, envelope, expected) in [
            (kind(Transport::Messages), &text, ends(1).into(), Err(Error::Unsupported)),
            (kind(Transport::Tcp), &text, ends(1).into(), Err(Error::Unsupported)),
            (kind(Transport::Tcp), &text, to_somebody(), Err(Errno::OPNOTSUPP.into())),
            (kind(Transport::LocalStream), &none, ends(1).into(), Err(Error::InvalidInput)),
            (kind(Transport::LocalStream), &none, Envelope::default(), Ok(())),
            (kind(Transport::LocalStream), &text, ends(1).into(), Ok(())),
            (kind(Transport::LocalMessages), &none, ends(1).into(), Ok(())),
            (kind(Transport::Messages), &none, to_somebody(), Ok(())),
        ] {
            assert_eq!(check_to_send(on, buffer, &envelope), expected);
        }
    }
}
