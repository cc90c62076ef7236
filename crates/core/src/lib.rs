//! proactor-core

#[cfg_attr(not(test), expect(dead_code, reason = "the driver, which is to use it, comes next"))]
mod timers;
