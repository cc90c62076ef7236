//! The parts of cases that play in a process of their own.

use proactor_core::Backend;

use crate::Fixture;
#[cfg(unix)]
use crate::cases::{bad_input, bytes, passed_in, passing, results, send_file, signals, splice, vectored};

/// A part of a case that plays in a process of its own: its name, and how it goes.
pub(crate) type Child<B> = (&'static str, fn(&Fixture<B>));

/// All of these.
#[cfg(unix)]
pub(crate) fn children<B: Backend>() -> Vec<Child<B>> {
    vec![
        ("send_to_the_gone", results::send_to_the_gone::<B>),
        ("write_to_the_gone", bytes::write_to_the_gone::<B>),
        ("send_file_to_the_gone", send_file::send_file_to_the_gone::<B>),
        ("splice_to_the_gone", splice::splice_to_the_gone::<B>),
        ("write_vectored_to_the_gone", vectored::write_vectored_to_the_gone::<B>),
        ("run_out_of_descriptors", bad_input::run_out_of_descriptors::<B>),
        ("rearm_a_failing_accept", bad_input::rearm_a_failing_accept::<B>),
        ("talk_over_standard_streams", passed_in::talk_over_standard_streams::<B>),
        ("wait_for_standard_input", passed_in::wait_for_standard_input::<B>),
        ("read_into_several_buffers", passed_in::read_into_several_buffers::<B>),
        ("tell_what_is_inherited", signals::tell_what_is_inherited::<B>),
        ("receive_without_descriptors", passing::receive_without_descriptors::<B>),
    ]
}

/// There are no other processes.
#[cfg(not(unix))]
pub(crate) const fn children<B: Backend>() -> Vec<Child<B>> {
    Vec::new()
}
