//! How the table finds the body of a case.

/// The body of a case. What is about things that only Unix has is not there elsewhere: its cases are by theme, and those
/// among others are named as such in their files. So is what only a program can do that is run by another.
#[cfg(unix)]
macro_rules! body {
    (pollers, a_bad_descriptor_fails_alone) => {
        cases::not_here::<B>
    };
    ($theme:ident, $case:ident) => {
        $theme::$case::<B>
    };
}
#[cfg(not(unix))]
macro_rules! body {
    (children, $case:ident) => {
        cases::not_here::<B>
    };
    (datagrams, $case:ident) => {
        cases::not_here::<B>
    };
    (ended_datagrams, $case:ident) => {
        cases::not_here::<B>
    };
    (passing, $case:ident) => {
        cases::not_here::<B>
    };
    (pipes, $case:ident) => {
        cases::not_here::<B>
    };
    (polls, $case:ident) => {
        cases::not_here::<B>
    };
    (signals, $case:ident) => {
        cases::not_here::<B>
    };
    (splice, $case:ident) => {
        cases::not_here::<B>
    };
    (unix, $case:ident) => {
        cases::not_here::<B>
    };
    (unix_datagrams, $case:ident) => {
        cases::not_here::<B>
    };
    (unix_paths, $case:ident) => {
        cases::not_here::<B>
    };
    (messages, $case:ident) => {
        cases::not_here::<B>
    };
    (pollers, disarmed_under_a_turn_that_does_not_wait) => {
        cases::not_here::<B>
    };
    (pollers, two_wait_for_one_child) => {
        cases::not_here::<B>
    };
    (random, raced_programs_over_unix_sockets_keep_the_contract) => {
        cases::not_here::<B>
    };
    (random, programs_of_unix_datagrams_lose_none) => {
        cases::not_here::<B>
    };
    (steady_unix, $case:ident) => {
        cases::not_here::<B>
    };
    (detaching, $case:ident) => {
        cases::not_here::<B>
    };
    ($theme:ident, $case:ident) => {
        $theme::$case::<B>
    };
}
