//! The same random program on two backends gives the same outcomes.
#![cfg(target_os = "linux")]

use proactor_conformance::check_that_both_do_the_same;
use proactor_core::{Config, Driver};
use proactor_epoll::Epoll;
use proactor_sim::Sim;
use proactor_uring::Uring;

#[test]
fn simulation_and_readiness() {
    check_that_both_do_the_same::<Sim, Epoll>();
}

/// Where the kernel has no io_uring, opening it says why (contract E2), and there is nothing to compare.
#[test]
fn readiness_and_completion() {
    if let Err(error) = Driver::<Uring>::open(Config::default()) {
        return eprintln!("not compared: {error}");
    }
    check_that_both_do_the_same::<Epoll, Uring>();
}
