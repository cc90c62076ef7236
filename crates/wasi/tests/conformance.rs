//! The contract, on WASI.

#[cfg(target_os = "wasi")]
#[global_allocator]
static ALLOCATOR: proactor_conformance::CountingAllocator = proactor_conformance::CountingAllocator;

#[cfg(target_os = "wasi")]
fn main() -> std::process::ExitCode {
    proactor_conformance::main::<proactor_wasi::Wasi>()
}

/// Elsewhere there is nothing to run: `cargo xtask test-all --backend wasi` builds this for WASI.
#[cfg(not(target_os = "wasi"))]
fn main() {}
