//! The cases of the contract on this backend; on Linux, on the same poller over an emulation.
#![cfg_attr(sanitized, allow(dead_code, unused_imports, unused_macros, reason = "nothing of it is run then"))]

use std::process::ExitCode;

use proactor_conformance::CountingAllocator;

#[cfg(not(target_os = "linux"))]
use proactor_kqueue::Kqueue;

#[cfg(target_os = "linux")]
#[path = "../src/poller.rs"]
#[allow(unreachable_pub)]
mod poller;
#[cfg(target_os = "linux")]
#[path = "../src/signals.rs"]
#[allow(unreachable_pub)]
mod signals;
#[cfg(target_os = "linux")]
use proactor_kqueue_emulation as sys;
#[cfg(target_os = "linux")]
type Kqueue = proactor_readiness::Readiness<poller::KqueuePoller>;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[cfg(not(sanitized))]
fn main() -> ExitCode {
    proactor_conformance::main::<Kqueue>()
}

/// Under the sanitizer its suite is not run, so it is not built: that would take as long as any other's.
#[cfg(sanitized)]
fn main() {}
