//! A companion for a program that can accept connections and open none: whenever it asks for a pair of connected sockets,
//! the companion connects to its listener twice, and carries what comes on either connection to the other.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// The line with which a program asks for a pair.
pub(crate) const ASK: &str = "companion: connect a pair";

/// How long the host may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A companion of one program.
#[derive(Debug)]
pub(super) struct Companion {
    address: SocketAddr,
}

impl Companion {
    /// One for a program that will listen on a port that is free now.
    pub(super) fn new() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        Ok(Self { address: listener.local_addr()? })
    }

    /// Where the program is to listen.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connects twice, the first one first, and carries bytes in both directions until both are over.
    pub(super) fn connect(&self) -> Result<()> {
        let (one, other) = (self.dial()?, self.dial()?);
        for (from, to) in [(one.try_clone()?, other.try_clone()?), (other, one)] {
            thread::spawn(move || carry(&from, &to));
        }
        Ok(())
    }

    fn dial(&self) -> Result<TcpStream> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match TcpStream::connect(self.address) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) if error.kind() == ErrorKind::ConnectionRefused && Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(2));
                }
                Err(error) => return Err(error).context("the program does not listen"),
            }
        }
    }
}

/// Carries bytes in one direction. The end of one side is passed on; what breaks one breaks the other.
fn carry(mut from: &TcpStream, mut to: &TcpStream) {
    let mut bytes = vec![0; 1 << 16];
    loop {
        let carried = match from.read(&mut bytes) {
            Ok(0) => {
                // Nobody hears of it where the other side is gone.
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
            Ok(len) => to.write_all(&bytes[..len]),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        if carried.is_err() {
            for stream in [from, to] {
                let _ = stream.shutdown(Shutdown::Both);
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_at_one_end_comes_out_at_the_other() {
        let companion = Companion::new().unwrap();
        let listener = TcpListener::bind(companion.address()).unwrap();
        companion.connect().unwrap();
        let (mut one, mut other) = (listener.accept().unwrap().0, listener.accept().unwrap().0);
        one.write_all(b"there").unwrap();
        one.shutdown(Shutdown::Write).unwrap();
        other.write_all(b"and back").unwrap();
        drop(other.try_clone().unwrap());
        let mut text = String::new();
        other.read_to_string(&mut text).unwrap();
        assert_eq!(text, "there");
        drop(other);
        text.clear();
        one.read_to_string(&mut text).unwrap();
        assert_eq!(text, "and back");
    }
}
