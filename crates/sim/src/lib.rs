//! proactor-sim
