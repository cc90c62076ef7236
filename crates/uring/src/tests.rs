//! The backend by itself, without a driver.
