//! What std has in one place on Unix and in another on WASI: names as the bytes that the system reads.

#[cfg(unix)]
pub(crate) use std::os::unix::ffi::{OsStrExt, OsStringExt};
#[cfg(not(unix))]
pub(crate) use std::os::wasi::ffi::{OsStrExt, OsStringExt};

#[cfg(not(any(unix, target_env = "p1")))]
compile_error!(
    "of WASI there is a backend for preview 1 alone: build with `--target wasm32-wasip1`. The section \"WASI\" of proactor's README \
     says what that takes and how such a program is run."
);
