//! Addresses of Unix sockets in the system's form, and back.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use proactor_core::{Address, Error, UnixAddress};
use rustix::net::addr::SocketAddrLen;
use rustix::net::{SocketAddrAny, SocketAddrUnix};

/// The length of an address that is a family and nothing else.
const UNNAMED_LEN: SocketAddrLen = 2;

/// The address as system calls take it.
///
/// # Errors
/// [`Error::InvalidInput`] if the system takes none that long, [`Error::Unsupported`] if it has no abstract names and this is
/// one, or has none at all.
pub(crate) fn to_system(address: &UnixAddress) -> Result<SocketAddrAny, Error> {
    let made = match (address.as_path(), address.as_abstract_name()) {
        (Some(path), _) => SocketAddrUnix::new(path).map_err(|_| Error::InvalidInput)?,
        (_, Some(name)) => from_abstract_name(name)?,
        _ => unnamed()?,
    };
    Ok(SocketAddrAny::from(made))
}

/// The address that a system call gave, which is a Unix socket's.
///
/// # Errors
/// [`Error::Unsupported`] if it is another one after all.
pub(crate) fn from_system(address: &SocketAddrAny) -> Result<Address, Error> {
    if address.addr_len() <= UNNAMED_LEN {
        // rustix would make the empty abstract name of it.
        return Ok(UnixAddress::unnamed().into());
    }
    let address = SocketAddrUnix::try_from(address.clone()).map_err(|_| Error::Unsupported)?;
    let made = match (address.path(), abstract_name(&address)) {
        // Of a path that fills all of its room, rustix has one NUL too many.
        (Some(path), _) => UnixAddress::path(path_of(path.to_bytes()))?,
        (_, Some(name)) => UnixAddress::abstract_name(name)?,
        _ => UnixAddress::unnamed(),
    };
    Ok(made.into())
}

fn path_of(bytes: &[u8]) -> &Path {
    let path = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    Path::new(OsStr::from_bytes(path))
}

#[cfg(target_os = "linux")]
fn from_abstract_name(name: &[u8]) -> Result<SocketAddrUnix, Error> {
    SocketAddrUnix::new_abstract_name(name).map_err(|_| Error::InvalidInput)
}

#[cfg(target_os = "linux")]
fn unnamed() -> Result<SocketAddrUnix, Error> {
    Ok(SocketAddrUnix::new_unnamed())
}

#[cfg(not(target_os = "linux"))]
fn unnamed() -> Result<SocketAddrUnix, Error> {
    Err(Error::Unsupported)
}

#[cfg(target_os = "linux")]
fn abstract_name(address: &SocketAddrUnix) -> Option<&[u8]> {
    address.abstract_name()
}

#[cfg(not(target_os = "linux"))]
fn from_abstract_name(_name: &[u8]) -> Result<SocketAddrUnix, Error> {
    Err(Error::Unsupported)
}

#[cfg(not(target_os = "linux"))]
fn abstract_name(_address: &SocketAddrUnix) -> Option<&[u8]> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_way_to_the_system_and_back() {
        let mut addresses = vec![UnixAddress::path("/tmp/a").unwrap(), UnixAddress::path("b").unwrap()];
        if cfg!(target_os = "linux") {
            // Elsewhere none that long, and nothing to bind to where there is no name.
            addresses.push(UnixAddress::path("c".repeat(107)).unwrap());
            addresses.push(UnixAddress::unnamed());
            for name in [&b"a\0b"[..], b"", &[7; 107]] {
                addresses.push(UnixAddress::abstract_name(name).unwrap());
            }
        }
        for address in addresses {
            let there = to_system(&address).unwrap();
            assert_eq!(from_system(&there), Ok(address.into()));
        }
    }
}
