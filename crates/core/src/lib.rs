//! proactor-core
