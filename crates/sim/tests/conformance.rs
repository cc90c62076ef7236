//! The cases of the contract on this backend.

use std::process::ExitCode;

use proactor_conformance::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn main() -> ExitCode {
    proactor_conformance::main::<proactor_sim::Sim>()
}
