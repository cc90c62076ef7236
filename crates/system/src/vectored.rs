//! Transfers of several buffers in one call, of descriptors of any kind.
//!
//! What a call takes is cut out of the buffers behind their first `from` bytes, by [`Cut`]; the list that the system reads is
//! on the stack, so nothing is allocated.

use std::array;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;

use proactor_core::{Buffer, Cut, Error, IOV_MAX, Outcome, Vectored};
use rustix::io::Errno;

use crate::file::{Now, read_pieces, write_pieces};

#[cfg(unix)]
mod unix;

#[cfg(unix)]
pub use unix::{read_vectored, receive_vectored, send_vectored, write_vectored};

const _: () = assert!(Cut::MAX_LEN == crate::MAX_TRANSFER);

/// Whether a transfer may wait for a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Disk {
    MayWait,
    MustNot,
}

/// So many pieces have a list that is quickly made.
const FEW: usize = 16;

/// Makes a call with what the cut takes, to be written.
pub(crate) fn with_pieces<T>(buffers: &[Buffer], cut: Cut, call: impl FnOnce(&[IoSlice<'_>]) -> T) -> T {
    if buffers.len() <= FEW {
        call_with::<FEW, T>(buffers, cut, call)
    } else {
        call_with::<IOV_MAX, T>(buffers, cut, call)
    }
}

/// The same with room for `N` pieces, which the cut must not be more of.
#[inline(never)]
fn call_with<const N: usize, T>(
    buffers: &[Buffer],
    mut cut: Cut,
    call: impl FnOnce(&[IoSlice<'_>]) -> T,
) -> T {
    let mut pieces = [IoSlice::new(&[]); N];
    let mut count = 0;
    for buffer in buffers {
        let Some(range) = cut.next(buffer.len()) else { break };
        if !range.is_empty() {
            pieces[count] = IoSlice::new(&buffer[range]);
            count += 1;
        }
    }
    call(&pieces[..count])
}

/// Makes a call with what the cut takes, to be filled.
///
/// # Errors
/// [`Error::ReadOnlyBuffer`] if that is among it.
pub(crate) fn with_pieces_mut<T>(
    buffers: &mut [Buffer],
    cut: Cut,
    call: impl FnOnce(&mut [IoSliceMut<'_>]) -> T,
) -> Result<T, Error> {
    if buffers.len() <= FEW {
        call_with_mut::<FEW, T>(buffers, cut, call)
    } else {
        call_with_mut::<IOV_MAX, T>(buffers, cut, call)
    }
}

/// The same with room for `N` pieces, which the cut must not be more of.
#[inline(never)]
fn call_with_mut<const N: usize, T>(
    buffers: &mut [Buffer],
    mut cut: Cut,
    call: impl FnOnce(&mut [IoSliceMut<'_>]) -> T,
) -> Result<T, Error> {
    let mut pieces: [IoSliceMut<'_>; N] = array::from_fn(|_| IoSliceMut::new(&mut []));
    let mut count = 0;
    for buffer in buffers {
        let Some(range) = cut.next(buffer.len()) else { break };
        if !range.is_empty() {
            pieces[count] = IoSliceMut::new(&mut buffer.as_mut_slice()?[range]);
            count += 1;
        }
    }
    Ok(call(&mut pieces[..count]))
}

/// Makes one call at a position, which waits for the disk unless told not to.
fn transfer_at(
    descriptor: BorrowedFd<'_>,
    vectored: &mut Vectored<'_>,
    (offset, cut): (u64, Cut),
    disk: Disk,
) -> Result<Result<usize, Errno>, Error> {
    loop {
        let transferred = if vectored.reads {
            with_pieces_mut(vectored.buffers, cut, |pieces| read_pieces(descriptor, pieces, offset, disk))?
        } else {
            with_pieces(vectored.buffers, cut, |pieces| write_pieces(descriptor, pieces, offset, disk))
        };
        if transferred != Err(Errno::INTR) {
            return Ok(transferred);
        }
    }
}

/// Transfers at its position what one call takes of an operation that has one, as far as the system's cache can do it:
/// of a read, all that was asked for or up to the end of the file.
pub fn transfer_vectored_now(descriptor: BorrowedFd<'_>, vectored: &mut Vectored<'_>) -> Now {
    let from = vectored.transferred();
    let offset = vectored.offset.unwrap_or(0) + from as u64;
    let len = Cut::behind(from).len_of(vectored.buffers);
    let mut transferred = 0;
    loop {
        let cut = Cut::behind(from + transferred).within(len - transferred);
        let at = offset + transferred as u64;
        match transfer_at(descriptor, vectored, (at, cut), Disk::MustNot) {
            Ok(Ok(count)) => {
                transferred += count;
                // Less than was asked for may also be as much as the cache has.
                if count == 0 || transferred == len || !vectored.reads {
                    return Now::Done(Ok(transferred));
                }
            }
            Ok(Err(errno)) => return Now::from(Err(errno)),
            Err(error) => return Now::Done(Err(error)),
        }
    }
}

/// Does an operation on several buffers at a position, or what is left of it, waiting for the disk where that has to be,
/// and fills in its result. What is no such operation ends with [`Error::Unsupported`].
pub(crate) fn do_vectored(outcome: &mut Outcome, descriptor: BorrowedFd<'_>) {
    let Some((mut vectored, offset)) = outcome.vectored().and_then(|it| it.offset.map(|at| (it, at))) else {
        return outcome.set_error(Error::Unsupported);
    };
    loop {
        let from = vectored.transferred();
        let at = (offset + from as u64, Cut::behind(from));
        match transfer_at(descriptor, &mut vectored, at, Disk::MayWait) {
            Ok(Ok(count)) if vectored.moved(count) => return,
            Ok(Ok(_)) => {}
            Ok(Err(errno)) => return vectored.set_error(errno.into()),
            Err(error) => return vectored.set_error(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::task::Poll;

    use super::*;
    use crate::{Mode, set_mode};

    fn texts(texts: &[&'static [u8]]) -> Vec<Buffer> {
        texts.iter().map(|&text| text.into()).collect()
    }

    fn zeroed(lens: &[usize]) -> Vec<Buffer> {
        lens.iter().map(|&len| Buffer::zeroed(len)).collect()
    }

    fn joined(buffers: &[Buffer]) -> Vec<u8> {
        buffers.iter().flat_map(|buffer| buffer.iter().copied()).collect()
    }

    #[test]
    fn a_pipe_carries_pieces_from_the_middle_of_one_on() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        set_mode(reader.as_fd(), Mode::Nonblocking).unwrap();
        let mut into = zeroed(&[3, 0, 2, 8]);
        assert_eq!(read_vectored(reader.as_fd(), &mut into, 0), Poll::Pending);
        assert_eq!(write_vectored(writer.as_fd(), &texts(&[b"abc", b"", b"defg"]), 2), Poll::Ready(Ok(5)));
        assert_eq!(read_vectored(reader.as_fd(), &mut into, 1), Poll::Ready(Ok(5)));
        assert_eq!(joined(&into), b"\0cdefg\0\0\0\0\0\0\0");
        drop(writer);
        assert_eq!(read_vectored(reader.as_fd(), &mut into, 0), Poll::Ready(Ok(0)));
        let refused = read_vectored(reader.as_fd(), &mut texts(&[b"fixed"]), 0);
        assert_eq!(refused, Poll::Ready(Err(Error::ReadOnlyBuffer)));
    }

    #[test]
    fn a_socket_carries_them_and_raises_no_signal() {
        let (one, other) = UnixStream::pair().unwrap();
        let mut into = zeroed(&[2, 2]);
        assert_eq!(receive_vectored(other.as_fd(), &mut into, 0), Poll::Pending);
        assert_eq!(send_vectored(one.as_fd(), &texts(&[b"ab", b"cd"]), 1), Poll::Ready(Ok(3)));
        assert_eq!(receive_vectored(other.as_fd(), &mut into, 0), Poll::Ready(Ok(3)));
        assert_eq!(joined(&into), b"bcd\0");
        drop(other);
        assert_eq!(send_vectored(one.as_fd(), &texts(&[b"ab"]), 0), Poll::Ready(Err(Errno::PIPE.into())));
    }

    #[test]
    fn one_call_takes_so_many_pieces_and_so_many_bytes() {
        let null = File::options().write(true).open("/dev/null").unwrap();
        let many = texts(&[&b"x"[..]; IOV_MAX + 7]);
        assert_eq!(write_vectored(null.as_fd(), &many, 0), Poll::Ready(Ok(IOV_MAX)));
        assert_eq!(write_vectored(null.as_fd(), &many, IOV_MAX), Poll::Ready(Ok(7)));
        let shared: Arc<[u8]> = Arc::from(vec![0; 4 << 20]);
        let huge: Vec<Buffer> = (0..1000).map(|_| Arc::clone(&shared).into()).collect();
        assert_eq!(write_vectored(null.as_fd(), &huge, 0), Poll::Ready(Ok(Cut::MAX_LEN)));
    }
}
