//! Addresses of Unix sockets.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::Path;

use crate::Error;
use crate::os_str::OsStrExt;

mod long;

use long::LongName;

/// The address of a Unix socket: a path, a name in Linux's abstract namespace, or none (contract R4).
///
/// A socket bound to a *path* makes a file of that name, which stays when the socket is closed, and is in the way of the
/// next one until it is unlinked. An *abstract* name goes with its last socket, and is Linux's alone. *Unnamed* is whoever
/// connects without having been bound; bound to [`unnamed`](Self::unnamed), a socket gets an abstract name that the system
/// chooses.
///
/// Up to 22 bytes are in it, as the names that the system chooses are. Longer ones are in a box, and a thread keeps some of
/// the boxes that it drops for its next ones, so that addresses which come and go allocate nothing (contract B1).
///
/// ```
/// use std::path::Path;
///
/// use proactor_core::{Address, Error, UnixAddress};
///
/// # fn main() -> Result<(), Error> {
/// let path = UnixAddress::path("/run/service")?;
/// assert_eq!(path.as_path(), Some(Path::new("/run/service")));
/// let name = Address::from(UnixAddress::abstract_name(b"service")?);
/// assert_eq!(name.as_unix().and_then(UnixAddress::as_abstract_name), Some(&b"service"[..]));
/// assert_eq!(name.to_string(), "@service");
/// assert_eq!(UnixAddress::path("no\0path"), Err(Error::InvalidInput));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct UnixAddress {
    /// As the system has it: an abstract name begins with a NUL, a path ends without one, no name is nothing.
    name: Name,
}

/// As many bytes as have room in an [`Address`](crate::Address), which is no larger for them.
const SHORT: usize = 22;

/// What is short comes with each message, and is not worth a box.
#[derive(Clone)]
enum Name {
    Short { len: u8, bytes: [u8; SHORT] },
    Long(LongName),
}

impl Name {
    /// Both parts, one behind the other.
    fn of(first: &[u8], rest: &[u8]) -> Self {
        let len = first.len() + rest.len();
        if len > SHORT {
            return Self::Long(LongName::of(first, rest));
        }
        let mut bytes = [0; SHORT];
        bytes[..first.len()].copy_from_slice(first);
        bytes[first.len()..len].copy_from_slice(rest);
        Self::Short { len: len as u8, bytes }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => &bytes[..usize::from(*len)],
            Self::Long(name) => name.bytes(),
        }
    }
}

impl PartialEq for UnixAddress {
    fn eq(&self, other: &Self) -> bool {
        self.name.bytes() == other.name.bytes()
    }
}

impl Eq for UnixAddress {}

/// By their bytes as the system has them: unnamed first, then abstract names, then paths.
impl Ord for UnixAddress {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name.bytes().cmp(other.name.bytes())
    }
}

impl PartialOrd for UnixAddress {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for UnixAddress {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.bytes().hash(state);
    }
}

impl UnixAddress {
    /// The most bytes of a path; of an abstract name, one less. What a system takes may be a few less again: then using
    /// the address is [`Error::InvalidInput`].
    pub const MAX_LEN: usize = 108;

    /// No name. It allocates nothing.
    #[must_use]
    pub const fn unnamed() -> Self {
        Self { name: Name::Short { len: 0, bytes: [0; SHORT] } }
    }

    /// The path `path`.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if it is empty, holds a NUL, or is longer than
    /// [`MAX_LEN`](Self::MAX_LEN).
    pub fn path(path: impl AsRef<Path>) -> Result<Self, Error> {
        let bytes = path.as_ref().as_os_str().as_bytes();
        if bytes.is_empty() || bytes.contains(&0) || bytes.len() > Self::MAX_LEN {
            return Err(Error::InvalidInput);
        }
        Ok(Self { name: Name::of(bytes, &[]) })
    }

    /// The abstract name `name`, any bytes. Where the system has none, using it is [`Error::Unsupported`].
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if it is [`MAX_LEN`](Self::MAX_LEN) long or longer.
    pub fn abstract_name(name: &[u8]) -> Result<Self, Error> {
        if name.len() >= Self::MAX_LEN {
            return Err(Error::InvalidInput);
        }
        Ok(Self { name: Name::of(&[0], name) })
    }

    /// The path, if it is one.
    #[must_use]
    pub fn as_path(&self) -> Option<&Path> {
        match self.name.bytes() {
            [] | [0, ..] => None,
            path => Some(Path::new(OsStr::from_bytes(path))),
        }
    }

    /// The abstract name, if it is one.
    #[must_use]
    pub fn as_abstract_name(&self) -> Option<&[u8]> {
        match self.name.bytes() {
            [0, name @ ..] => Some(name),
            _ => None,
        }
    }

    /// Whether there is no name.
    #[must_use]
    pub const fn is_unnamed(&self) -> bool {
        matches!(self.name, Name::Short { len: 0, .. })
    }
}

/// A path as it is, an abstract name behind an `@`, bytes that are not text escaped.
impl fmt::Display for UnixAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.as_path(), self.as_abstract_name()) {
            (Some(path), _) => path.display().fmt(f),
            (_, Some(name)) => write!(f, "@{}", name.escape_ascii()),
            _ => f.write_str("(unnamed)"),
        }
    }
}

impl fmt::Debug for UnixAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Address, Family};

    #[test]
    fn the_three_forms_are_told_apart() {
        let path = UnixAddress::path("/tmp/a").unwrap();
        assert_eq!((path.as_path(), path.as_abstract_name()), (Some(Path::new("/tmp/a")), None));
        let name = UnixAddress::abstract_name(b"a\0b").unwrap();
        assert_eq!((name.as_path(), name.as_abstract_name()), (None, Some(&b"a\0b"[..])));
        let none = UnixAddress::unnamed();
        assert_eq!((none.as_path(), none.as_abstract_name(), none.is_unnamed()), (None, None, true));
        assert!(!path.is_unnamed() && !name.is_unnamed());
        let texts = [path, name, none].map(|address| Address::from(address).to_string());
        assert_eq!(texts, ["/tmp/a", "@a\\x00b", "(unnamed)"]);
    }

    #[test]
    fn what_no_system_takes_is_refused() {
        assert_eq!(UnixAddress::path(""), Err(Error::InvalidInput));
        assert_eq!(UnixAddress::path("a\0"), Err(Error::InvalidInput));
        assert!(UnixAddress::path("a".repeat(108)).is_ok());
        assert_eq!(UnixAddress::path("a".repeat(109)), Err(Error::InvalidInput));
        assert!(UnixAddress::abstract_name(&[1; 107]).is_ok());
        assert_eq!(UnixAddress::abstract_name(&[1; 108]), Err(Error::InvalidInput));
    }

    /// Wherever its bytes are.
    #[test]
    fn an_address_is_its_bytes() {
        use std::hash::{BuildHasher, RandomState};
        let hasher = RandomState::new();
        for len in 1..=107 {
            let (path, name) = ("a".repeat(len), vec![7; len]);
            let [there, again] = [(); 2].map(|()| UnixAddress::path(&path).unwrap());
            assert_eq!(
                (there.as_path(), hasher.hash_one(&there)),
                (Some(Path::new(&path)), hasher.hash_one(&again))
            );
            assert_eq!((&there, &there.clone()), (&again, &again));
            let there = UnixAddress::abstract_name(&name).unwrap();
            assert_eq!(there.as_abstract_name(), Some(&name[..]));
            assert!(UnixAddress::unnamed() < there && there < again);
            assert!(!there.is_unnamed());
        }
    }

    /// Whatever the box held before that it is in.
    #[test]
    fn a_box_is_used_again() {
        let long = UnixAddress::path("a".repeat(108)).unwrap();
        let place = std::ptr::from_ref(long.as_path().unwrap()).cast::<u8>();
        drop(long);
        let shorter = UnixAddress::path("b".repeat(40)).unwrap();
        assert_eq!(shorter.as_path(), Some(Path::new(&"b".repeat(40))));
        assert_eq!(std::ptr::from_ref(shorter.as_path().unwrap()).cast::<u8>(), place);
        let copy = shorter.clone();
        assert_eq!((copy.as_path(), &copy), (shorter.as_path(), &shorter));
    }

    #[test]
    fn an_address_stays_small() {
        assert!(size_of::<Address>() <= 32);
        assert_eq!(Address::from(UnixAddress::unnamed()).family(), Family::Unix);
        assert_eq!(Address::from(UnixAddress::unnamed()).as_inet(), None);
    }
}
