//! Connections that come and go: what each of them carries, and how it is checked.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::time::Duration;

use rustix::net::sockopt;

use crate::measurement::Result;

/// What the run has to do, and what it has done.
#[derive(Debug)]
pub(crate) struct Churn {
    to_start: u64,
    in_flight: u64,
    /// Over the bytes that were to be sent, and those that arrived: connections may overtake each other.
    sent: u64,
    arrived: u64,
}

impl Churn {
    pub(crate) fn new(count: u64) -> Self {
        Churn { to_start: count, in_flight: 0, sent: 0, arrived: 0 }
    }

    /// The byte of the next connection; none if all have been started.
    pub(crate) fn start(&mut self) -> Option<u8> {
        self.to_start = self.to_start.checked_sub(1)?;
        self.in_flight += 1;
        // No two in flight have the same.
        let byte = (self.to_start % 251) as u8 + 1;
        self.sent += u64::from(byte);
        Some(byte)
    }

    /// A connection has brought its byte.
    pub(crate) fn arrived(&mut self, byte: u8) {
        self.in_flight -= 1;
        self.arrived += u64::from(byte);
    }

    /// Whether no connection is left.
    pub(crate) fn is_over(&self) -> bool {
        self.in_flight == 0
    }

    /// # Errors
    /// Connections that are missing, or bytes that changed.
    pub(crate) fn check(&self) -> Result<()> {
        if self.to_start > 0 || self.in_flight > 0 {
            return Err("the loop ended before the connections did".into());
        }
        if self.sent == self.arrived { Ok(()) } else { Err("bytes came changed".into()) }
    }
}

/// A listener on loopback, and where it is. What it accepts is reset when it is closed: otherwise the ports of closed
/// connections would be kept for a minute, and be used up within a second.
///
/// # Errors
/// Whatever the system answers.
pub(crate) fn listener() -> Result<(TcpListener, SocketAddrV4)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    sockopt::set_socket_linger(&listener, Some(Duration::ZERO))?;
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, listener.local_addr()?.port());
    Ok((listener, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_is_lost_or_changed_is_noticed() {
        let mut churn = Churn::new(2);
        let (first, second) = (churn.start().expect("one"), churn.start().expect("two"));
        assert_eq!(churn.start(), None);
        assert_ne!(first, second);
        churn.arrived(second);
        assert!(churn.check().is_err() && !churn.is_over());
        churn.arrived(first);
        assert!(churn.check().is_ok() && churn.is_over());
        let mut churn = Churn::new(1);
        let byte = churn.start().expect("one");
        churn.arrived(byte + 1);
        assert!(churn.check().is_err());
    }
}
