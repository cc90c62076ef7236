//! Connected sockets and messages for the ping-pong; setting up is not what it measures.

use std::error::Error;
use std::io;
use std::net::TcpStream;
#[cfg(unix)]
use std::net::{Ipv4Addr, TcpListener};

#[cfg(unix)]
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[cfg(unix)]
use crate::measurement::Result;

#[cfg(not(unix))]
pub(crate) use crate::given::connect;

/// Descriptors of the process besides those of its connections, amply.
const OTHERS: u64 = 64;

/// Bytes in a message of the ping-pong.
pub(crate) const MESSAGE_BYTES: usize = 64;

/// What goes there and comes back.
pub(crate) type Message = [u8; MESSAGE_BYTES];

/// A connection's message before its first trip: every byte differs from its neighbours and from the same byte of
/// another connection's.
pub(crate) fn message(connection: usize) -> Message {
    std::array::from_fn(|position| (position * 3 + connection * 7 + connection / 256) as u8)
}

/// Marks a message as that of round trip number `trip`.
#[inline]
pub(crate) fn stamp(message: &mut Message, trip: u64) {
    message[..8].copy_from_slice(&trip.to_le_bytes());
}

/// Whether two messages are the same, without the call that comparing arrays of this size compiles to.
#[inline]
pub(crate) fn same(left: &Message, right: &Message) -> bool {
    let (left, _) = left.as_chunks::<8>();
    let (right, _) = right.as_chunks::<8>();
    let mut difference = 0;
    for (left, right) in left.iter().zip(right) {
        difference |= u64::from_ne_bytes(*left) ^ u64::from_ne_bytes(*right);
    }
    difference == 0
}

/// What is said of a call that moved less than a message.
#[cold]
#[inline(never)]
pub(crate) fn incomplete(moved: usize) -> Box<dyn Error + Send + Sync> {
    format!("{moved} bytes of a message of {MESSAGE_BYTES} were moved").into()
}

/// As [`incomplete`], of a result in which a negative number is an error's.
#[cold]
pub(crate) fn incomplete_code(result: i32) -> Box<dyn Error + Send + Sync> {
    usize::try_from(result).map_or_else(|_| io::Error::from_raw_os_error(-result).into(), incomplete)
}

/// The two ends of one connection.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) client: TcpStream,
    pub(crate) server: TcpStream,
}

/// Connections over loopback, without delay, blocking.
///
/// # Errors
/// Whatever the system answers, or that it allows too few descriptors.
#[cfg(unix)]
pub(crate) fn connect(connections: usize) -> Result<Vec<Ends>> {
    allow_descriptors(2 * connections as u64 + OTHERS)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    (0..connections)
        .map(|_| {
            let client = TcpStream::connect(address)?;
            let (server, _) = listener.accept()?;
            client.set_nodelay(true)?;
            server.set_nodelay(true)?;
            Ok(Ends { client, server })
        })
        .collect()
}

/// Lets the process have so many descriptors.
#[cfg(unix)]
fn allow_descriptors(most: u64) -> Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= most) {
        return Ok(());
    }
    if maximum.is_some_and(|maximum| maximum < most) {
        let (most, least) = (maximum.unwrap_or_default(), most);
        return Err(format!("{least} descriptors are needed, the system allows {most}").into());
    }
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_neighbouring_trips_and_connections_differ() {
        let mut first = message(0);
        assert_ne!(first, message(1));
        stamp(&mut first, 1);
        let mut second = message(0);
        stamp(&mut second, 2);
        assert_ne!(first, second);
    }

    #[test]
    fn a_difference_in_any_byte_is_seen() {
        let original = message(5);
        assert!(same(&original, &message(5)));
        for position in 0..MESSAGE_BYTES {
            let mut changed = original;
            changed[position] ^= 1;
            assert!(!same(&original, &changed), "in byte {position}");
        }
    }

    #[test]
    fn more_descriptors_than_the_system_allows_is_an_error_that_says_so() {
        if getrlimit(Resource::Nofile).maximum.is_some() {
            let message = allow_descriptors(u64::MAX).expect_err("nobody has that many").to_string();
            assert!(message.starts_with("18446744073709551615 descriptors are needed"), "{message}");
        }
    }
}
