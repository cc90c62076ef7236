//! Sockets that carry messages, and are shut down for reading.
//!
//! A call that may wait brings nothing then, at once and as often as it is made, and so does any call on the BSDs; one that must
//! not wait says on Linux that it would have to, for ever. That it is so shows as a hang-up.

use std::os::fd::BorrowedFd;

use proactor_core::{
    BytesRead, Datagram, Error, ExactRead, Message, Outcome, Received, ReceivedFrom, ReceivedMsg,
    VectoredExactRead, VectoredRead,
};

/// Whether a socket that carries messages, and has none, will bring nothing but that.
#[must_use]
#[cold]
#[cfg(unix)]
pub fn has_ended(socket: BorrowedFd<'_>) -> bool {
    use proactor_core::{Interest, Readiness};

    crate::poll_now(socket, Interest::HANG_UP).is_ok_and(Readiness::is_hang_up)
}

/// Whether it has: no socket carries messages here.
#[must_use]
#[cfg(not(unix))]
pub const fn has_ended(_socket: BorrowedFd<'_>) -> bool {
    false
}

/// Fills in what such a socket brings: an empty message, from nobody. False, and nothing is done, if the operation does not
/// receive.
#[cold]
pub fn receive_nothing(outcome: &mut Outcome) -> bool {
    match outcome {
        Outcome::Recv(Received { result, .. })
        | Outcome::Read(BytesRead { result, .. })
        | Outcome::ReadVectored(VectoredRead { result, .. }) => *result = Ok(0),
        Outcome::RecvFrom(ReceivedFrom { peer, result, .. }) => {
            peer.set(None);
            *result = Ok(Datagram::new(0, false));
        }
        Outcome::RecvMsg(ReceivedMsg { envelope, result, .. }) => {
            envelope.set_address(None);
            *result = Ok(Message::new(0));
        }
        Outcome::ReadExact(ExactRead { result, .. })
        | Outcome::ReadVectoredExact(VectoredExactRead { result, .. }) => *result = Err(Error::EndOfStream),
        _ => return false,
    }
    true
}
