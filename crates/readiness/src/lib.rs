//! proactor-readiness
