//! What a descriptor is, and whether it blocks.

use std::os::fd::BorrowedFd;

use proactor_core::Error;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::call::call;

#[cfg(unix)]
mod unix;

#[cfg(unix)]
pub use unix::descriptor_kind;
#[cfg(unix)]
pub(crate) use unix::socket_family;

/// What a descriptor is, as far as the way to use it depends on that.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum DescriptorKind {
    /// A socket, connected, listening or neither: that may still change.
    Socket(Transport),
    /// A pipe, a terminal or another character device: bytes in a row, without positions.
    Character,
    /// A regular file, or a block device: bytes at positions, always "ready".
    File,
    /// A directory.
    Directory,
    /// Something else, for example another poller.
    Other,
}

/// What a socket carries.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Transport {
    /// TCP over IPv4 or IPv6.
    Tcp,
    /// A stream of bytes within this machine: a Unix socket.
    LocalStream,
    /// Another stream of bytes, whose details are not known here.
    OtherStream,
    /// UDP over IPv4 or IPv6, where that is known.
    Udp,
    /// Other messages, where an empty one is data.
    Messages,
    /// Messages within this machine: a Unix socket.
    LocalMessages,
}

impl Transport {
    /// Whether it carries bytes in a row, where none means the end.
    #[must_use]
    #[inline]
    pub const fn is_stream(self) -> bool {
        !matches!(self, Self::Udp | Self::Messages | Self::LocalMessages)
    }

    /// Whether it is a Unix socket, over which descriptors can be passed.
    #[must_use]
    #[inline]
    pub const fn is_local(self) -> bool {
        matches!(self, Self::LocalStream | Self::LocalMessages)
    }
}

/// Whether calls on a descriptor wait (O_NONBLOCK). It is a property of the open file, so it is shared with every
/// duplicate of the descriptor, also in other processes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mode {
    /// They wait.
    Blocking,
    /// They answer "would block".
    Nonblocking,
}

/// Sets the mode of `descriptor` and returns what it was; other status flags stay as they are.
///
/// # Errors
/// What the system said.
pub fn set_mode(descriptor: BorrowedFd<'_>, mode: Mode) -> Result<Mode, Error> {
    let flags = call(|| fcntl_getfl(descriptor))?;
    let before = if flags.contains(OFlags::NONBLOCK) { Mode::Nonblocking } else { Mode::Blocking };
    if before != mode {
        call(|| fcntl_setfl(descriptor, flags ^ OFlags::NONBLOCK))?;
    }
    Ok(before)
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::File;
    use std::net::{TcpListener, UdpSocket};
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use super::*;

    fn kind(descriptor: &impl AsFd) -> DescriptorKind {
        descriptor_kind(descriptor.as_fd()).unwrap()
    }

    #[test]
    fn sockets_are_told_apart() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(kind(&tcp), DescriptorKind::Socket(Transport::Tcp));
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(kind(&udp), DescriptorKind::Socket(Transport::Udp));
        let (stream, _other) = UnixStream::pair().unwrap();
        assert_eq!(kind(&stream), DescriptorKind::Socket(Transport::LocalStream));
        let datagram = UnixDatagram::unbound().unwrap();
        assert_eq!(kind(&datagram), DescriptorKind::Socket(Transport::LocalMessages));
    }

    #[test]
    fn files_are_told_apart() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        assert_eq!(kind(&reader), DescriptorKind::Character);
        assert_eq!(kind(&writer), DescriptorKind::Character);
        assert_eq!(kind(&File::open("/dev/null").unwrap()), DescriptorKind::Character);
        assert_eq!(kind(&File::open("/").unwrap()), DescriptorKind::Directory);
        let program = std::env::current_exe().unwrap();
        assert_eq!(kind(&File::open(program).unwrap()), DescriptorKind::File);
        #[cfg(target_os = "linux")]
        {
            let poller = rustix::event::epoll::create(rustix::event::epoll::CreateFlags::empty()).unwrap();
            assert_eq!(kind(&poller), DescriptorKind::Other);
        }
    }

    #[test]
    fn the_mode_is_set_and_the_other_flags_stay() {
        let (reader, _writer) = rustix::pipe::pipe().unwrap();
        let reader = reader.as_fd();
        fcntl_setfl(reader, fcntl_getfl(reader).unwrap() | OFlags::APPEND).unwrap();
        let before = fcntl_getfl(reader).unwrap();
        assert_eq!(set_mode(reader, Mode::Nonblocking), Ok(Mode::Blocking));
        assert_eq!(fcntl_getfl(reader).unwrap(), before | OFlags::NONBLOCK);
        assert_eq!(set_mode(reader, Mode::Nonblocking), Ok(Mode::Nonblocking));
        assert_eq!(set_mode(reader, Mode::Blocking), Ok(Mode::Nonblocking));
        assert_eq!(fcntl_getfl(reader).unwrap(), before);
    }
}
