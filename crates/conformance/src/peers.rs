//! Peers that are not loops: sockets of the standard library, and what else the system sends.

#[cfg(unix)]
use std::io::IoSlice;
use std::io::Read;
#[cfg(unix)]
use std::mem::MaybeUninit;
#[cfg(unix)]
use std::net::TcpListener;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
#[cfg(unix)]
use std::os::fd::BorrowedFd;
use std::time::Duration;

#[cfg(unix)]
use proactor_core::{Accept, Close, Send, SocketOption};
use proactor_core::{Address, Backend, Buffer, Error, Handle, Loop, Recv};
#[cfg(unix)]
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

#[cfg(unix)]
use crate::signals;
use crate::steps::Steps;

/// A connection between this loop and a blocking socket of the standard library.
#[cfg(unix)]
#[track_caller]
pub(crate) fn with_std<B: Backend>(ev: &mut Loop<B, ()>) -> (Handle, TcpStream) {
    let (listener, address) = ev.listener();
    let peer = TcpStream::connect(inet(&address)).expect("a listener that listens");
    let (handle, _) = ev.complete(Accept { listener }).result.expect("a connection waits");
    ev.context().close(listener);
    (handle, peer)
}

/// The same, where nothing can connect.
#[cfg(not(unix))]
pub(crate) fn with_std<B: Backend>(ev: &mut Loop<B, ()>) -> (Handle, TcpStream) {
    let (stream, peer) = crate::given::connection();
    (ev.context().attach(stream).expect("a socket"), peer)
}

/// The same, where nothing can connect.
#[cfg(not(unix))]
pub(crate) use crate::given::connection as std_pair;

/// Two ends of a connection, both of the standard library.
#[cfg(unix)]
pub(crate) fn std_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let client = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
    let (server, _) = listener.accept().expect("a connection waits");
    (client, server)
}

pub(crate) fn inet(address: &Address) -> SocketAddr {
    address.as_inet().expect("an IP address")
}

/// Receives into buffers of `len` bytes until the stream ends; what came, and how it ended.
#[track_caller]
pub(crate) fn receive_all<B: Backend>(
    ev: &mut Loop<B, ()>,
    handle: Handle,
    len: usize,
) -> (Vec<u8>, Result<(), Error>) {
    let mut bytes = Vec::new();
    let mut buffer = Buffer::zeroed(len);
    loop {
        let received = ev.complete(Recv { handle, buffer });
        match received.result {
            Ok(0) => return (bytes, Ok(())),
            Ok(count) => bytes.extend_from_slice(&received.buffer[..count]),
            Err(error) => return (bytes, Err(error)),
        }
        buffer = received.buffer;
    }
}

/// Has `attempt` write twice to connections whose other ends are gone, every other one by a reset, with SIGPIPE's default
/// action restored, which would end the process. Returns how many of the writes failed.
#[track_caller]
#[cfg(unix)]
pub(crate) fn failures_on_the_gone<B: Backend>(
    ev: &mut Loop<B, ()>,
    connections: u32,
    mut attempt: impl FnMut(&mut Loop<B, ()>, Handle) -> [Result<(), Error>; 2],
) -> usize {
    signals::restore_default_of_sigpipe();
    let mut failed = 0;
    for number in 0..connections {
        let (client, server) = ev.pair();
        if number % 2 == 0 {
            ev.context()
                .set(server, SocketOption::Linger(Some(Duration::ZERO)))
                .expect("an option of streams");
        }
        assert_eq!(ev.complete(Close { handle: server }).result, Ok(()));
        // The first one or two may find the system unaware.
        let mut sends = 0;
        while sends < 1000 && ev.complete(Send { handle: client, buffer: b"?".into() }).result.is_ok() {
            sends += 1;
        }
        failed += attempt(ev, client).iter().filter(|result| result.is_err()).count();
        ev.context().close(client);
    }
    failed
}

/// Reads exactly `len` bytes.
pub(crate) fn read_exactly(mut stream: &TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    // WASI has no such limit, and whoever runs the program has one.
    if cfg!(unix) {
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a duration above zero");
    }
    stream.read_exact(&mut bytes).expect("that much was sent");
    bytes
}

/// Closes `stream` so that its peer sees a reset, whatever was sent before.
#[cfg(unix)]
pub(crate) fn reset(stream: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))
        .expect("an option of every socket");
    drop(stream);
}

/// Sends a byte out of band.
#[cfg(unix)]
pub(crate) fn send_out_of_band(stream: &TcpStream, byte: u8) {
    assert_eq!(rustix::net::send(stream, &[byte], SendFlags::OOB), Ok(1));
}

/// Sends bytes with a descriptor beside them, which splits the stream: no receive goes beyond.
#[cfg(unix)]
pub(crate) fn send_with_descriptor(socket: BorrowedFd<'_>, bytes: &[u8], descriptor: BorrowedFd<'_>) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor];
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
    let sent = sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::empty());
    assert_eq!(sent, Ok(bytes.len()));
}

/// The status flags of a descriptor.
pub(crate) fn status_flags(descriptor: impl AsFd) -> rustix::fs::OFlags {
    rustix::fs::fcntl_getfl(descriptor).expect("a descriptor has flags")
}
