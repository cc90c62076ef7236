//! How a connect went, where connecting again would start anew.

use std::os::fd::BorrowedFd;
use std::task::Poll;

use proactor_core::{Address, Error};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{getpeername, sockopt};

use crate::call::call;

/// How the [`connect`](super::connect) to an address went that was pending: the socket's error tells, and whether it has a peer.
/// Pending if that is not decided yet.
///
/// # Errors
/// Why it failed.
pub fn connect_result(socket: BorrowedFd<'_>, _address: &Address) -> Poll<Result<(), Error>> {
    if let Err(errno) = call(|| sockopt::socket_error(socket))? {
        return Poll::Ready(Err(errno.into()));
    }
    match call(|| getpeername(socket)) {
        Ok(_) => Poll::Ready(Ok(())),
        Err(error) if error == Errno::NOTCONN.into() || error == Errno::INVAL.into() => {
            let mut polled = [PollFd::from_borrowed_fd(socket, PollFlags::OUT)];
            call(|| rustix::event::poll(&mut polled, Some(&Timespec::default())))?;
            if polled[0].revents().contains(PollFlags::HUP) {
                // It is over, and somebody else has taken the reason.
                return Poll::Ready(Err(Errno::CONNABORTED.into()));
            }
            Poll::Pending
        }
        Err(error) => Poll::Ready(Err(error)),
    }
}
