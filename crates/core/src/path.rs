//! Paths that an operation takes and its outcome hands back.

use std::ffi::{CStr, OsStr};
use std::fmt;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::os_str::{OsStrExt, OsStringExt};

/// An owned path, in the form in which the system reads it, so that using it again and again allocates nothing.
///
/// Made from `&str`, `&Path`, `String` or `PathBuf`. A path that holds a NUL, which no system could be told, is made all
/// the same: the operation that takes it ends with [`Error::InvalidInput`] (contract E1). The empty path allocates
/// nothing.
///
/// ```
/// use proactor_core::FilePath;
/// let path = FilePath::from("/tmp/data");
/// assert_eq!(path.as_path(), std::path::Path::new("/tmp/data"));
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct FilePath {
    /// Ends with a NUL; nothing at all if the path is empty.
    bytes: Box<[u8]>,
}

impl FilePath {
    /// The path as the standard library has it.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        let [bytes @ .., _] = &*self.bytes else { return Path::new("") };
        Path::new(OsStr::from_bytes(bytes))
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The path as the system reads it. Its bytes stay where they are when this is moved.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if it holds a NUL.
    pub fn as_c_str(&self) -> Result<&CStr, Error> {
        if self.is_empty() {
            return Ok(c"");
        }
        CStr::from_bytes_with_nul(&self.bytes).map_err(|_| Error::InvalidInput)
    }

    fn new(mut bytes: Vec<u8>) -> Self {
        if !bytes.is_empty() {
            bytes.reserve_exact(1);
            bytes.push(0);
        }
        Self { bytes: bytes.into_boxed_slice() }
    }
}

impl From<&str> for FilePath {
    fn from(path: &str) -> Self {
        Self::new(path.as_bytes().to_vec())
    }
}

impl From<String> for FilePath {
    fn from(path: String) -> Self {
        Self::new(path.into_bytes())
    }
}

impl From<&Path> for FilePath {
    fn from(path: &Path) -> Self {
        Self::new(path.as_os_str().as_bytes().to_vec())
    }
}

impl From<PathBuf> for FilePath {
    fn from(path: PathBuf) -> Self {
        Self::new(path.into_os_string().into_vec())
    }
}

impl fmt::Debug for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_path().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_what_it_was_made_from() {
        for text in ["", "a", "/usr/lib", "sp ace"] {
            let path = FilePath::from(text);
            assert_eq!((path.as_path(), path.is_empty()), (Path::new(text), text.is_empty()));
            assert_eq!(path.as_c_str().unwrap().to_bytes(), text.as_bytes());
            assert_eq!(FilePath::from(PathBuf::from(text)), path);
            assert_eq!(FilePath::from(text.to_owned()), FilePath::from(Path::new(text)));
        }
        assert_eq!(format!("{:?}", FilePath::from("/x")), "\"/x\"");
    }

    #[test]
    fn a_nul_is_told_to_whoever_asks_for_the_system_s_form() {
        for text in ["\0", "a\0b", "a\0"] {
            assert_eq!(FilePath::from(text).as_c_str(), Err(Error::InvalidInput));
        }
    }
}
