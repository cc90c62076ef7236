//! What std has in one place on Unix and in another on WASI: names as the bytes that the system reads.

#[cfg(unix)]
pub(crate) use std::os::unix::ffi::{OsStrExt, OsStringExt};
#[cfg(not(unix))]
pub(crate) use std::os::wasi::ffi::{OsStrExt, OsStringExt};
