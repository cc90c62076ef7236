//! proactor-uring
