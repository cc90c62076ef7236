//! proactor-system
