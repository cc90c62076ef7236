//! Names of hosts to addresses. Blocks: for the pool of threads.

use std::net::ToSocketAddrs;

use proactor_core::{Address, Call, Error, Job, Outcome, Resolved};

/// The job of a [`Resolve`](proactor_core::Resolve).
#[must_use]
pub const fn resolve() -> Job {
    Job::new(|call: &mut Call<'_>| {
        if let Outcome::Resolve(Resolved { host, port, result }) = call.outcome {
            *result = look_up(host, *port);
        }
    })
}

fn look_up(host: &str, port: u16) -> Result<Vec<Address>, Error> {
    if host.is_empty() || host.contains('\0') {
        return Err(Error::InvalidInput);
    }
    let found = (host, port).to_socket_addrs().map_err(|error| match error.raw_os_error() {
        Some(number) => Error::System(number),
        // Names have numbers of their own for their errors, which std does not pass on.
        None => Error::NotResolved,
    })?;
    let addresses: Vec<Address> = found.map(Address::from).collect();
    if addresses.is_empty() { Err(Error::NotResolved) } else { Ok(addresses) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_out_is_not_looked_up() {
        assert_eq!(look_up("127.0.0.1", 80), Ok(vec!["127.0.0.1:80".parse().unwrap()]));
        assert_eq!(look_up("::1", 0), Ok(vec!["[::1]:0".parse().unwrap()]));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for host in ["", "a\0b"] {
            assert_eq!(look_up(host, 1), Err(Error::InvalidInput));
        }
    }
}
