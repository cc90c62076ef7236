//! proactor-conformance
