//! Addresses of Unix sockets in the system's form, and back.
#![allow(unsafe_code)]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::slice;

use proactor_core::{Address, Error, UnixAddress};
use rustix::net::{SocketAddrAny, SocketAddrUnix};

/// Where the name stands: behind the family, which takes two bytes, its length included where there is one.
const NAME_OFFSET: usize = 2;

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
/// [`Error::InvalidInput`] for one that is longer than any can be.
pub(crate) fn from_system(address: &SocketAddrAny) -> Result<Address, Error> {
    let made = match name(address) {
        // Elsewhere than on Linux, a name of NULs is none.
        [0, name @ ..] if cfg!(target_os = "linux") => UnixAddress::abstract_name(name)?,
        [] | [0, ..] => UnixAddress::unnamed(),
        // What is behind a NUL is not the path's, and one that fills all of its room has none.
        path => UnixAddress::path(path_of(path))?,
    };
    Ok(made.into())
}

/// What stands behind the family. rustix panics over the longest path that there is, whose NUL the system counts though there
/// is no room for it.
fn name(address: &SocketAddrAny) -> &[u8] {
    let len = address.addr_len() as usize;
    // SAFETY: the first `addr_len` bytes of an address are initialised, which rustix upholds for those that it makes, and demands
    // of those (io_uring's, in `address.rs` there) who make one of raw parts. They are borrowed as long as the address is.
    let bytes = unsafe { slice::from_raw_parts(address.as_ptr().cast::<u8>(), len) };
    bytes.get(NAME_OFFSET..).unwrap_or_default()
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

#[cfg(not(target_os = "linux"))]
fn from_abstract_name(_name: &[u8]) -> Result<SocketAddrUnix, Error> {
    Err(Error::Unsupported)
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
        if cfg!(target_os = "linux") {
            addresses.push(UnixAddress::path("d".repeat(108)).unwrap());
        }
        for address in addresses {
            let there = to_system(&address).unwrap();
            assert_eq!(from_system(&there), Ok(address.into()));
        }
    }

    /// Sockets of others have such names too, and what comes from them must not be the end of us.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_longest_path_is_told_as_it_is() {
        use std::os::fd::AsFd;
        for len in [106, 107, 108] {
            let beginning = format!("/tmp/proactor-system-{}-", std::process::id());
            let path = format!("{beginning}{}", "x".repeat(len - beginning.len()));
            let address = UnixAddress::path(&path).unwrap();
            let (socket, _) = crate::open_socket(
                proactor_core::Family::Unix,
                proactor_core::SocketKind::Datagram,
                crate::Mode::Blocking,
            )
            .unwrap();
            rustix::net::bind(&socket, &to_system(&address).unwrap()).unwrap();
            std::fs::remove_file(&path).unwrap();
            let told = rustix::net::getsockname(socket.as_fd()).unwrap();
            assert_eq!(from_system(&told), Ok(address.into()));
        }
    }
}
