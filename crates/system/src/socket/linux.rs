//! How a connect went, where the system answers to the same call.

use std::os::fd::BorrowedFd;
use std::task::Poll;

use proactor_core::{Address, Error};
use rustix::io::Errno;

use super::address_to_system;

/// How the [`connect`](super::connect) to `address` went that was pending: it is asked for again, and Linux answers about the one under
/// way. Pending if that is not decided yet.
///
/// This is one call where SO_ERROR and getpeername(2) are two, and the one that ends it for the kernel too: without,
/// the socket's next connect would get the answer, so that a connected socket connects "again" once, and a refused
/// one cannot try anew. Elsewhere than on Linux connecting again starts a new attempt, and the two calls it must be.
///
/// # Errors
/// Why it failed.
pub fn connect_result(socket: BorrowedFd<'_>, address: &Address) -> Poll<Result<(), Error>> {
    match rustix::net::connect(socket, &address_to_system(address)?) {
        Ok(()) | Err(Errno::ISCONN) => Poll::Ready(Ok(())),
        Err(Errno::ALREADY | Errno::INPROGRESS | Errno::INTR) => Poll::Pending,
        Err(errno) => Poll::Ready(Err(Error::from_errno(errno))),
    }
}
