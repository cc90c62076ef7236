//! The one table of all cases.

use proactor_core::Backend;

use crate::Case;
use crate::cases::{
    self, bad_input, bytes, cancel_all, cancellation, completions, deadlines, deletion, descriptors,
    directories, edges, embedding, every_kind, file_descriptors, file_ends, files, handles, mailboxes,
    metrics, multishot, names, offloading, overflow, panics, passed_in, pollers, random, recv_many, resolve,
    results, running, send_file, sockets, steady, steady_rest, streams, time, vectored, vectored_files,
    waking, work,
};
#[cfg(unix)]
use crate::cases::{
    children, datagrams, detaching, ended_datagrams, messages, passing, pipes, polls, signals, splice,
    steady_unix, unix, unix_datagrams, unix_paths,
};

/// A row each: the case, the rules of the contract that it proves, the capabilities that it needs, and how many times the
/// usual limit it may take, if it is not one.
macro_rules! cases {
    ($($theme:ident :: $case:ident: $rules:tt needs $needs:tt $(patience $patience:literal)?;)*) => {
        vec![$(Case {
            name: concat!(stringify!($theme), "::", stringify!($case)),
            rules: &$rules,
            needs: &$needs,
            patience: [$($patience,)? 1][0],
            run: run!($theme, $case),
        }),*]
    };
}

/// What a row runs.
#[cfg(not(test))]
macro_rules! run {
    ($theme:ident, $case:ident) => {
        body!($theme, $case)
    };
}
/// The tests of this crate read the table and run no row of it. Here each case is named by a closure that nobody calls, so that none
/// of them is compiled for a backend once more.
#[cfg(test)]
macro_rules! run {
    ($theme:ident, $case:ident) => {{
        let _body = || -> fn(&crate::Fixture<B>) { body!($theme, $case) };
        |_| unreachable!("the tests of this crate run no case of the table")
    }};
}

/// All cases.
pub(crate) fn cases<B: Backend>() -> Vec<Case<B>> {
    cases! {
        completions::nop_completes_once: ["C1", "C3", "C4"] needs [];
        completions::a_chain_takes_a_turn_a_link: ["C3", "L3"] needs [];
        completions::a_deep_chain_runs_at_constant_depth: ["C3"] needs [];
        completions::a_long_rearming_runs_at_constant_depth: ["C1", "C3"] needs [];
        completions::no_callback_runs_inside_submit: ["C3"] needs ["ipv4"];
        completions::no_callback_runs_inside_other_calls: ["C3"] needs ["streams"];
        completions::states_follow_the_table: ["C4"] needs ["streams"];
        completions::what_is_submitted_is_started_in_order: ["C4"] needs [];
        completions::each_ends_exactly_once_whatever_becomes_of_it: ["C1", "C5"] needs [];
        completions::buffers_come_back_however_it_ends: ["C2"] needs ["ipv4"];
        completions::a_stale_key_is_not_found: ["C7", "E1"] needs [];
        completions::a_key_of_another_loop_is_not_found: ["C7", "E1"] needs [];
        completions::rearming_keeps_key_and_callback: ["C1", "C2"] needs ["streams"];
        completions::large_captures_are_carried: ["C1"] needs [];
        completions::captures_are_dropped_at_the_end: ["C5"] needs ["streams"];
        completions::a_callback_can_start_everything: ["C6"] needs ["ipv4"];

        deletion::deleting_what_is_queued_leaves_no_trace: ["C4", "C5"] needs ["streams"];
        deletion::deleting_what_waits_suppresses_its_delivery: ["C4", "C5"] needs ["ipv4"];
        deletion::deleting_a_queued_outcome_suppresses_it: ["C5", "X1"] needs ["streams"];
        deletion::deleting_a_queued_accept_closes_its_connection: ["C5", "X1"] needs ["ipv4"];
        deletion::a_callback_changes_its_siblings_in_one_batch: ["C5", "C6", "X1"] needs [];
        deletion::a_callback_that_deletes_itself_is_not_rearmed: ["C5", "C6"] needs [];
        deletion::deleting_within_a_queue_keeps_the_others_in_order: ["C5", "H3"] needs ["streams"];
        deletion::deleting_a_send_half_way_keeps_the_stream_whole: ["C5", "H3"] needs ["streams"];

        panics::a_panic_in_the_first_of_ten_loses_no_other: ["C6"] needs ["unwinding"];
        panics::the_loop_outlives_a_panic_in_every_form_of_callback: ["C6"] needs ["unwinding", "ipv4"];
        panics::a_panic_in_the_drop_of_captures_loses_nothing_else: ["C6"] needs ["unwinding"];
        panics::a_loop_can_be_dropped_after_a_panic: ["C6", "X5"] needs ["unwinding", "ipv4"];

        multishot::accepts_many_and_ends_once: ["C1", "X2"] needs ["ipv4"];
        multishot::its_connections_are_real: ["C1", "R4"] needs ["ipv4"];
        multishot::stop_asks_for_the_end: ["C1", "X1"] needs ["ipv4"];
        multishot::the_last_event_can_rearm: ["C1"] needs ["ipv4"];
        multishot::the_last_event_can_rearm_later: ["E3", "T2"] needs ["ipv4"];
        multishot::deleted_it_is_silent: ["C5"] needs ["ipv4"];
        multishot::closing_the_listener_ends_it: ["C1", "H1"] needs ["ipv4"];
        multishot::cancelled_while_queued_it_accepts_nothing: ["C4", "X1"] needs ["ipv4"];
        multishot::an_accept_behind_it_waits_its_turn: ["H3"] needs ["ipv4"];
        multishot::stop_between_events_keeps_them: ["C1", "L2"] needs ["ipv4"];

        recv_many::it_receives_until_the_end: ["C1", "C2", "R1"] needs ["streams"];
        recv_many::bytes_and_the_end_at_once: ["C1", "R1"] needs ["streams"];
        recv_many::an_echo_over_many_connections: ["B2", "H3"] needs ["streams"];
        recv_many::one_buffer_serves_many_idle_connections: ["B2", "X2"] needs ["streams"];
        recv_many::a_dry_pool_ends_nothing: ["B2"] needs ["streams"];
        recv_many::many_wait_for_a_dry_pool: ["B2"] needs ["streams"];
        recv_many::what_begins_while_the_pool_is_dry_goes_on: ["B2"] needs ["streams"];
        recv_many::another_thread_gives_buffers_back: ["B2"] needs ["ipv4", "threads"];
        recv_many::it_can_be_cancelled_while_it_waits: ["X1", "X2"] needs ["streams"];
        recv_many::stop_loses_nothing: ["C1", "X1"] needs ["streams"];
        recv_many::the_last_event_can_rearm: ["C1", "C2"] needs ["streams"];
        recv_many::deleting_it_returns_its_buffers: ["C5"] needs ["streams"];
        recv_many::closing_the_handle_ends_it: ["C1", "H1"] needs ["streams"];
        recv_many::buffers_outlive_the_loop: ["X5"] needs ["ipv4"];
        recv_many::receives_are_in_order_with_it: ["H3"] needs ["streams"];
        recv_many::failures_are_its_last_event: ["C2", "R2"] needs ["ipv4"];
        recv_many::pools_are_checked: ["E1"] needs ["streams"];
        recv_many::a_flood_holds_up_nobody: ["T4", "L3"] needs ["streams"];

        cancellation::every_kind_can_be_cancelled: ["X1", "X2"] needs ["ipv4"];
        cancellation::a_waiting_connect_can_be_cancelled: ["X2"] needs ["ipv4", "descriptors"];
        cancellation::cancelled_while_queued_the_system_never_saw_it: ["C4", "X1"] needs ["streams"];
        cancellation::cancelling_within_a_queue_keeps_the_others_in_order: ["X2", "H3"] needs ["streams"];
        cancellation::cancelling_the_head_lets_the_next_on: ["X2", "H3"] needs ["streams"];
        cancellation::a_cancelled_send_tells_what_was_transferred: ["X1", "R1"] needs ["streams"];
        cancellation::cancelling_twice_ends_it_once: ["C1", "X1"] needs ["streams"];
        cancellation::cancelling_a_queued_outcome_is_too_late: ["X1"] needs ["streams"];
        cancellation::a_cancel_in_its_own_callback_is_too_late: ["X6"] needs [];
        cancellation::a_late_cancel_never_reaches_a_later_arming: ["X1", "X6"] needs ["streams"];
        cancellation::data_that_arrived_is_not_lost: ["X1"] needs ["streams"];
        cancellation::a_connection_that_arrived_is_not_lost: ["X1"] needs ["ipv4"];
        cancellation::a_cancelled_accept_leaves_the_listener_alone: ["X2"] needs ["ipv4"];
        cancellation::a_cancelled_wait_keeps_the_notification: ["X1", "W1"] needs [];
        cancellation::cancelling_what_has_ended_is_not_found: ["X1", "C7"] needs [];
        cancellation::callbacks_can_cancel_each_other: ["X1", "C6"] needs ["streams"];

        cancel_all::it_covers_everything: ["X3", "L4", "C1"] needs ["ipv4"];
        cancel_all::dropping_the_loop_lets_go_of_everything: ["X5"] needs ["ipv4"];
        cancel_all::dropping_the_loop_with_outcomes_queued_lets_go_too: ["X5"] needs ["ipv4"];
        cancel_all::dropping_the_loop_before_its_first_turn: ["X5"] needs ["ipv4"];
        cancel_all::buffers_rest_once_nothing_is_under_way: ["X3"] needs ["streams"];
        cancel_all::a_rearm_of_the_caller_ends_cancelled_once: ["X6"] needs [];
        cancel_all::a_rearm_of_a_queued_outcome_ends_cancelled_once: ["X6"] needs [];
        cancel_all::what_is_submitted_later_is_new: ["X6"] needs ["streams"];
        cancel_all::handles_outlive_it: ["X3"] needs ["streams"];
        cancel_all::callbacks_of_cancelled_operations_may_submit: ["X3", "C6"] needs [];

        every_kind::each_can_be_taken_back: ["C2", "C4", "X1", "X2"] needs ["ipv4", "files"];
        every_kind::each_can_be_cancelled_while_it_waits: ["C1", "X1", "X2"] needs ["ipv4", "files"];
        every_kind::each_is_covered_by_cancel_all: ["C1", "X3"] needs ["ipv4", "files"];
        every_kind::each_ends_once_with_what_is_queued: ["C1", "C2", "C7", "X1", "X4"] needs ["ipv4", "files"];
        every_kind::each_is_silent_once_deleted: ["C4", "C5"] needs ["ipv4", "files"];
        every_kind::each_ends_with_its_handles: ["C1", "H1"] needs ["ipv4", "files"];
        every_kind::each_is_refused_by_a_stale_handle: ["C2", "H2"] needs ["ipv4", "files"];
        every_kind::each_is_handed_back_where_there_is_no_room: ["C2", "L5"] needs ["ipv4", "files"];
        every_kind::each_is_let_go_of_by_a_drop: ["X5"] needs ["ipv4", "files"];
        every_kind::each_meets_every_descriptor: ["C1", "E1"] needs ["ipv4", "files"];

        handles::closing_ends_everything_pending: ["H1", "C1"] needs ["streams"];
        handles::closing_makes_stale_at_once: ["H1", "H2"] needs ["ipv4"];
        handles::close_reports_its_result_last: ["H1"] needs ["streams"];
        handles::an_idle_handle_closes: ["H1"] needs ["ipv4"];
        handles::closing_ends_what_is_not_started: ["H1", "C4"] needs ["streams"];
        handles::a_handle_of_another_loop_is_stale: ["H2", "C2", "E1"] needs ["ipv4"];
        handles::a_recycled_place_receives_nothing_of_its_predecessor: ["H2"] needs ["ipv4"];
        handles::recycled_within_one_batch: ["H2", "C6"] needs ["ipv4"];
        handles::thousands_are_closed_in_mid_dispatch: ["H1", "L5"] needs ["ipv4"];
        handles::closing_while_connecting: ["H1", "C4"] needs ["ipv4"];
        handles::handles_are_names_only: ["H1"] needs ["streams"];
        handles::a_rearm_after_a_close_is_stale: ["X6", "H1"] needs ["streams"];
        handles::closing_ends_a_rearming_operation: ["X6", "H1"] needs ["streams"];
        handles::a_listener_closes_while_it_accepts: ["H1", "R2"] needs ["ipv4"];
        handles::closes_end_in_their_order: ["H1", "C3", "C4"] needs ["ipv4"];
        handles::closing_needs_no_place: ["H1", "L5"] needs ["ipv4"];

        descriptors::detach_restores_the_status_flags: ["H5"] needs ["descriptors", "streams"];
        descriptors::detach_restores_what_is_shared_with_others: ["H5"] needs ["descriptors", "devices"];
        descriptors::what_is_no_socket_fails_clearly: ["E1", "H4"] needs ["descriptors", "ipv4"];
        descriptors::detach_is_busy_while_something_is_pending: ["H5"] needs ["descriptors", "streams"];
        descriptors::a_blocking_socket_does_not_block_the_loop: ["L1", "R3"] needs ["descriptors", "ipv4"];
        descriptors::unix_streams_work: ["H3", "R1"] needs ["descriptors", "unix_sockets"];
        descriptors::a_descriptor_between_two_segments_holds_up_nothing: ["R1"] needs ["descriptors", "unix_sockets"];
        descriptors::data_and_end_in_one_edge: ["R1", "X1"] needs ["descriptors", "streams"];
        descriptors::data_and_reset_in_one_edge: ["R1", "R2"] needs ["descriptors", "ipv4"];
        descriptors::data_and_out_of_band_data_in_one_edge: ["R1"] needs ["descriptors", "ipv4"];
        descriptors::only_a_run_delivers: ["C3", "L1"] needs ["descriptors", "streams"];
        descriptors::a_dup_that_outlives_its_handle_is_left_alone: ["H2"] needs ["descriptors", "unix_sockets"];
        descriptors::a_detached_descriptor_is_left_alone: ["H5", "H2"] needs ["descriptors", "streams"];
        descriptors::two_handles_of_one_open_file_work: ["H3"] needs ["descriptors", "streams", "devices"];
        descriptors::recycled_numbers_are_not_confused: ["H2"] needs ["descriptors", "streams"];
        descriptors::std_clients_are_served: ["H3", "R1"] needs ["descriptors", "ipv4", "threads"];
        descriptors::a_std_listener_is_connected_to: ["H3", "R4"] needs ["descriptors", "ipv4"];
        descriptors::listeners_move_in_and_out: ["H5"] needs ["descriptors", "ipv4"];
        descriptors::dropping_the_loop_closes_what_is_attached: ["X5"] needs ["descriptors", "streams", "devices"];
        descriptors::options_reach_the_system: ["E1", "H5"] needs ["descriptors", "ipv4"];
        descriptors::a_reset_fails_what_is_being_sent: ["R1", "R2"] needs ["descriptors", "ipv4"];
        descriptors::after_a_reset_everything_ends: ["R2"] needs ["descriptors", "ipv4"];
        detaching::what_is_pending_ends_first: ["H5", "H1", "C1", "C2"] needs ["ipv4", "descriptors"];
        detaching::queued_sends_end_where_they_are: ["H5", "R1", "H3"] needs ["ipv4", "descriptors"];
        detaching::what_is_shared_is_as_it_was: ["H5", "H1"] needs ["descriptors", "polling"];
        detaching::no_byte_is_lost: ["H5", "X1"] needs ["ipv4", "descriptors"];
        detaching::a_thread_reads_to_the_end_before: ["H5", "H2"] needs ["descriptors", "files", "threads"];
        detaching::what_sends_from_it_ends: ["H5", "H1"] needs ["descriptors", "files", "ipv4"];
        detaching::what_cannot_come_out_says_why: ["H2", "E1"] needs ["ipv4"];
        detaching::it_cannot_be_undone: ["H5", "X1", "X4"] needs ["ipv4", "descriptors"];
        detaching::deleted_it_is_closed: ["C5", "H5"] needs ["ipv4", "descriptors"];
        detaching::dropped_with_the_loop_it_is_closed: ["X5", "H5"] needs ["ipv4", "descriptors"];
        detaching::it_can_be_rearmed: ["C1", "H5"] needs ["ipv4", "descriptors"];
        detaching::nothing_is_busy_once_its_job_is_back: ["H5", "H1"] needs ["descriptors", "files", "threads", "ipv4"];
        detaching::taken_back_from_the_pool_a_socket_is_as_it_was: ["H5", "X1", "C5"] needs ["descriptors", "files", "threads"];

        files::open_write_read_close_statx: ["C1", "C3", "H3"] needs ["files"];
        files::reads_end_where_the_file_does: ["R1", "H3"] needs ["files"];
        files::an_empty_buffer_completes_with_zero: ["R1", "H2"] needs ["files"];
        files::many_are_under_way_on_one_handle: ["H3", "H5", "L5"] needs ["files"];
        files::none_waits_for_another: ["H3", "C5"] needs ["files"];
        files::failures_hand_everything_back: ["C2", "R2", "E1"] needs ["files"];
        files::positions_beyond_all_files_are_refused: ["E1", "C2"] needs ["files"];
        files::options_decide_what_opening_does: ["R2"] needs ["files"];
        files::a_directory_is_where_paths_begin: ["C2", "H2"] needs ["files"];
        files::files_are_cut_lengthened_and_stored: ["C2", "H3"] needs ["files"];
        files::what_is_no_regular_file_works_or_says_so: ["H4", "E1"] needs ["files", "devices"];
        files::a_socket_is_no_file: ["E1", "C2"] needs ["files", "streams"];
        files::a_file_is_no_socket: ["E1", "C2"] needs ["files"];

        file_ends::cancelled_while_queued_no_file_is_touched: ["C4", "X1", "X2"] needs ["files"];
        file_ends::cancelled_under_way_each_ends_once: ["X1", "X2", "C1"] needs ["files"];
        file_ends::deleted_each_ends_unheard: ["C5", "X1"] needs ["files"];
        file_ends::closing_ends_what_is_under_way: ["H1", "H2", "C1"] needs ["files"];
        file_ends::dropping_the_loop_lets_go_of_files: ["X5"] needs ["files"];
        file_ends::buffers_rest_after_cancel_all: ["X3"] needs ["files"];
        file_ends::a_path_with_a_nul_is_refused: ["E1", "C2"] needs ["files"];

        offloading::each_kind_waits_for_a_thread: ["C1", "H4"] needs ["files", "threads", "descriptors"];
        offloading::waiting_for_a_thread_each_can_be_cancelled: ["X1", "X2", "C4", "C5"] needs ["files", "threads", "descriptors"];
        offloading::waiting_for_a_thread_it_ends_early: ["C2", "X4", "X5", "H1"] needs ["files", "threads", "descriptors"];
        offloading::an_operation_overrules_its_loop: ["C1"] needs ["files", "threads", "kernel_completions"];
        offloading::closing_waits_for_a_thread: ["H1", "X1", "X3"] needs ["threads", "descriptors"];
        offloading::what_a_thread_was_to_close_is_closed: ["C5", "X5"] needs ["threads", "descriptors"];
        offloading::without_a_pool_the_loop_does_it: ["C1", "C2", "H4"] needs ["files"];

        send_file::a_part_arrives_whole: ["C1", "C2", "H3"] needs ["files", "streams"];
        send_file::the_file_may_end_before: ["R1", "C2"] needs ["files", "streams"];
        send_file::it_keeps_its_turn_among_the_writes: ["H3"] needs ["files", "streams"];
        send_file::failures_say_why: ["C2", "E1", "H2", "R2"] needs ["files", "ipv4"];
        send_file::a_peer_that_is_gone_raises_no_signal: ["R3"] needs ["files", "ipv4", "descriptors"];
        send_file::it_waits_for_the_peer_and_can_be_cancelled: ["X1", "X2", "C2", "H5"] needs ["files", "streams"];
        send_file::a_deadline_ends_it: ["X4", "R1"] needs ["files", "streams"];
        send_file::closing_the_file_ends_it: ["H1", "H2", "C1"] needs ["files", "streams"];
        send_file::closing_the_socket_ends_it: ["H1", "C1"] needs ["files", "streams"];
        send_file::deleted_or_dropped_it_is_gone: ["C5", "X5"] needs ["files", "streams"];
        send_file::it_can_be_rearmed: ["C1", "H2", "E3"] needs ["files", "streams"];
        send_file::what_is_on_disk_waits_for_a_thread: ["H4", "X1", "X2"] needs ["files", "ipv4", "threads", "descriptors"];
        send_file::on_the_pool_it_waits_for_a_thread: ["H4", "X2", "X4", "H1"] needs ["files", "ipv4", "threads", "descriptors"];
        send_file::the_socket_comes_out_as_it_was: ["H5", "H3"] needs ["files", "ipv4", "descriptors"];
        send_file::a_pipe_takes_a_file: ["C1", "H3", "H5", "X1", "R2"] needs ["files", "splicing", "threads"];
        send_file::without_a_pool_the_loop_reads: ["H4"] needs ["files", "streams"];

        splice::one_connection_goes_on_as_another: ["C1", "C2", "H3"] needs ["splicing", "ipv4"];
        splice::any_two_streams_of_which_one_is_a_pipe: ["C1", "R1", "R4", "X2"] needs ["splicing", "ipv4"];
        splice::it_keeps_its_turn_on_both_sides: ["H3"] needs ["splicing", "ipv4"];
        splice::failures_say_why: ["C2", "E1", "H2", "R2"] needs ["splicing", "ipv4", "files"];
        splice::who_is_gone_raises_no_signal: ["R3"] needs ["splicing", "ipv4"];
        splice::it_waits_and_can_be_cancelled: ["X1", "X2", "C2", "H5"] needs ["splicing", "ipv4"];
        splice::it_goes_on_when_there_is_room: ["C1", "H3"] needs ["splicing", "ipv4"];
        splice::a_deadline_ends_it: ["X4", "X1"] needs ["splicing", "ipv4"];
        splice::closing_either_ends_it: ["H1", "H2", "C1"] needs ["splicing", "ipv4"];
        splice::deleted_or_dropped_it_is_gone: ["C5", "X5"] needs ["splicing", "ipv4"];
        splice::it_can_be_rearmed_later: ["C1", "H2", "H3", "E3"] needs ["splicing", "ipv4"];
        splice::descriptors_come_out_as_they_were: ["H5", "H3"] needs ["splicing", "ipv4", "files"];
        splice::cancel_all_covers_it: ["X3"] needs ["splicing", "ipv4"];
        splice::splicing_does_not_allocate: ["B1"] needs ["splicing", "unix_sockets"];
        splice::without_it_everything_comes_back: ["C2", "E2", "H3"] needs ["!splicing", "ipv4"];

        directories::all_comes_in_batches: ["C2", "H3"] needs ["files"];
        directories::queued_batches_follow_each_other: ["H3"] needs ["files"];
        directories::a_directory_that_changes_is_read: ["R1"] needs ["files"];
        directories::what_is_no_directory_says_so: ["C2", "E1", "H2", "R2"] needs ["files"];
        directories::taken_back_while_queued_it_has_read_nothing: ["C4", "C5", "X1"] needs ["files"];
        directories::waiting_for_a_thread_it_ends_early: ["X1", "X2", "X5", "H1"] needs ["files", "threads", "descriptors"];

        names::a_file_is_renamed: ["C2", "R2"] needs ["files"];
        names::a_file_has_several_names: ["C2", "R2"] needs ["files"];
        names::a_symbolic_link_is_followed_or_not: ["C2", "R2"] needs ["files"];
        names::a_directory_is_made_and_removed: ["C2", "R2"] needs ["files"];
        names::names_are_relative_to_a_handle: ["C2"] needs ["files"];

        file_descriptors::positions_leave_the_file_s_own_alone: ["H3", "H5"] needs ["files", "descriptors"];
        file_descriptors::others_see_what_is_written: ["H3"] needs ["files", "descriptors", "devices"];
        file_descriptors::attached_descriptors_are_what_they_are: ["H4", "E1"] needs ["files", "descriptors", "devices"];
        file_descriptors::a_recycled_number_is_not_read: ["H1", "H2"] needs ["files", "descriptors"];
        file_descriptors::opening_a_pipe_that_nobody_writes_to_can_be_given_up: ["X2", "X5"] needs ["files", "descriptors", "devices"];
        file_descriptors::transfers_past_the_cache: ["H4"] needs ["files", "descriptors"];

        streams::accept_connect_send_receive: ["H3", "R1"] needs ["ipv4"];
        streams::ipv6_works_the_same: ["H3", "R4"] needs ["ipv6"];
        streams::ping_pong: ["C1", "H3"] needs ["streams"];
        streams::many_connections_keep_their_bytes_apart: ["H3"] needs ["ipv4"];
        streams::half_close_ends_one_direction: ["R1", "H3", "R2"] needs ["streams"];
        streams::the_end_right_behind_the_data_is_seen: ["R1"] needs ["streams"];
        streams::closing_behind_the_data_loses_none: ["H1", "R1"] needs ["streams"];
        streams::four_receives_queued_at_once_keep_order: ["H3"] needs ["streams"];
        streams::four_large_sends_queued_at_once_do_not_mix: ["H3", "R1"] needs ["streams"];
        streams::a_queue_of_writes_keeps_order: ["H3"] needs ["streams"];
        streams::a_mebibyte_through_a_small_send_buffer: ["H3", "L1"] needs ["ipv4"];
        streams::sends_queue_behind_their_connect: ["H3"] needs ["ipv4"];
        streams::sends_behind_a_refused_connect_fail: ["H3", "C2", "R2"] needs ["ipv4"];
        streams::a_late_accept_finds_the_data: ["H3"] needs ["ipv4"];
        streams::accepts_are_served_in_order: ["H3", "R4"] needs ["ipv4"];
        streams::directions_are_independent: ["H3"] needs ["streams"];
        streams::shutdowns_from_both_sides: ["H3", "R1"] needs ["streams"];
        streams::a_shutdown_waits_for_the_send_before_it: ["H3", "R1"] needs ["streams"];
        streams::what_is_behind_a_part_can_be_taken_back: ["C4", "H3", "R1"] needs ["streams"];
        streams::closing_with_unread_data_ends_the_peer: ["R2", "H1"] needs ["streams"];
        streams::a_linger_of_zero_resets: ["R2"] needs ["ipv4"];

        bytes::sockets_are_read_and_written: ["H3", "R1"] needs ["streams"];
        bytes::reads_and_receives_share_a_queue: ["H3", "R1"] needs ["streams"];
        bytes::writes_and_sends_share_a_queue: ["H3", "R1"] needs ["streams"];
        bytes::the_end_inside_an_exact_read_is_told: ["R1", "R2"] needs ["streams"];
        bytes::cancelled_they_tell_what_was_transferred: ["R1", "X1"] needs ["streams"];
        bytes::each_can_be_cancelled_while_it_waits: ["X2", "C2"] needs ["streams"];
        bytes::a_single_write_waits_for_room: ["R1", "X2"] needs ["streams"];
        bytes::they_end_with_their_handle_and_with_the_loop: ["C5", "H1", "H2", "X5"] needs ["streams"];
        bytes::empty_and_read_only_buffers: ["R1", "E1"] needs ["streams"];
        bytes::pipe_data_over_a_socket: ["H3", "L1"] needs ["ipv4"];
        bytes::a_closed_peer_raises_no_signal: ["R3"] needs ["ipv4"];
        bytes::opened_files_have_a_position: ["H4", "R1"] needs ["files"];

        pipes::a_pipe_carries_bytes_to_its_end: ["H3", "R1"] needs ["descriptors", "devices"];
        pipes::a_queue_of_writes_passes_a_pipe: ["H3", "R1"] needs ["descriptors", "devices"];
        pipes::a_pipe_is_read_bit_by_bit: ["R1", "C1"] needs ["descriptors", "threads", "devices"];
        pipes::a_pipe_without_readers_is_broken: ["R1", "R2"] needs ["descriptors", "devices"];
        pipes::what_waits_on_a_pipe_can_be_cancelled: ["X2", "R1"] needs ["descriptors", "devices"];
        pipes::pipes_end_with_their_handles_and_with_the_loop: ["H1", "H5", "X5"] needs ["descriptors", "devices"];
        pipes::what_is_shared_keeps_its_flags: ["H5"] needs ["descriptors", "devices"];
        pipes::a_restored_flag_holds_up_nobody: ["H5", "L1"] needs ["descriptors", "devices"];
        pipes::a_terminal_from_child_to_parent: ["H3", "R1"] needs ["descriptors", "devices"];
        pipes::a_terminal_from_parent_to_child: ["H3", "R1"] needs ["descriptors", "devices"];
        pipes::queued_writes_to_a_terminal: ["H3", "L1"] needs ["descriptors", "devices"];
        pipes::files_have_their_own_position: ["H4", "R1"] needs ["descriptors", "devices"];
        pipes::what_needs_no_waiting_works_at_once: ["H4", "E1"] needs ["descriptors", "devices"];
        pipes::data_and_its_end_in_one_edge: ["R1", "X1"] needs ["descriptors", "ipv4", "devices"];
        pipes::what_splits_a_stream_holds_up_nothing: ["R1"] needs ["descriptors", "ipv4", "devices"];

        vectored::sockets_are_read_and_written: ["H3", "R1"] needs ["ipv4"];
        vectored::they_share_the_queues: ["H3"] needs ["streams"];
        vectored::more_buffers_than_one_call_takes: ["R4", "R1"] needs ["streams"];
        vectored::transfers_go_on_from_within_a_buffer: ["H3", "R1"] needs ["streams"];
        vectored::cancelled_they_tell_what_was_transferred: ["R1", "X1"] needs ["streams"];
        vectored::each_can_be_cancelled_while_it_waits: ["X2", "C2"] needs ["streams"];
        vectored::a_single_write_waits_for_room: ["R1", "H3"] needs ["streams"];
        vectored::a_deadline_tells_what_was_transferred: ["X4", "R1"] needs ["streams"];
        vectored::they_end_with_their_handle_and_with_the_loop: ["C5", "H1", "H2", "X5"] needs ["streams"];
        vectored::no_buffers_empty_ones_and_read_only_ones: ["R1", "E1"] needs ["streams"];
        vectored::datagrams_are_gathered_and_scattered: ["R1"] needs ["ipv4"];
        vectored::totals_beyond_one_call_are_clamped: ["R4", "C2"] needs ["files", "devices"];
        vectored::a_closed_peer_raises_no_signal: ["R3"] needs ["ipv4"];
        vectored::pipes_carry_them: ["H3", "R1", "R2"] needs ["descriptors", "devices"];
        vectored::an_echo_does_not_allocate: ["B1"] needs ["streams"] patience 4;

        vectored_files::files_are_read_and_written: ["H3", "R1"] needs ["files"];
        vectored_files::they_have_a_position_of_their_own: ["H4", "R1"] needs ["files"];
        vectored_files::more_buffers_than_one_call_takes: ["R4", "R1"] needs ["files"];
        vectored_files::no_buffers_empty_ones_and_read_only_ones: ["R1", "E1", "H2"] needs ["files"];
        vectored_files::failures_hand_everything_back: ["C2", "R2", "E1"] needs ["files"];
        vectored_files::a_socket_has_no_positions: ["E1", "C2"] needs ["files", "streams"];
        vectored_files::many_are_under_way_on_one_handle: ["H3", "H5", "L5"] needs ["files"];
        vectored_files::cancelled_each_ends_once: ["C4", "X1", "C2"] needs ["files"];
        vectored_files::they_end_with_their_handle_and_with_the_loop: ["C5", "H1", "X5"] needs ["files"];
        vectored_files::devices_are_read_and_written: ["H4", "R1"] needs ["files", "descriptors", "devices"];
        vectored_files::buffers_rest_after_cancel_all: ["X3"] needs ["files"];
        vectored_files::reads_and_writes_do_not_allocate: ["B1"] needs ["files"] patience 4;

        datagrams::messages_and_addresses_go_there_and_back: ["R1", "H3", "C2"] needs ["ipv4"];
        datagrams::ipv6_works_the_same: ["R1", "R4"] needs ["ipv6"];
        datagrams::empty_datagrams_are_data: ["R1"] needs ["ipv4"];
        datagrams::truncation_is_told: ["R1", "C2"] needs ["ipv4"];
        datagrams::too_big_fails_alone: ["R1", "C2"] needs ["ipv4"];
        datagrams::a_connected_socket_speaks_with_its_peer: ["R1", "H3"] needs ["ipv4"];
        datagrams::a_refusal_is_told_to_a_connected_socket: ["R1", "R2"] needs ["ipv4"];
        datagrams::many_in_a_row_keep_order: ["H3"] needs ["ipv4"];
        datagrams::a_waiting_receive_can_be_cancelled: ["X1", "X2", "C2"] needs ["ipv4"];
        datagrams::a_queued_send_can_be_cancelled: ["X1", "C4", "C2"] needs ["ipv4"];
        datagrams::deleted_they_are_silent: ["C5", "C4"] needs ["ipv4"];
        datagrams::closing_the_socket_ends_them: ["H1", "H2", "C2"] needs ["ipv4"];
        datagrams::dropping_the_loop_lets_go_of_them: ["X5"] needs ["ipv4"];
        datagrams::what_is_wrong_fails_alone: ["E1", "C2"] needs ["ipv4"];
        datagrams::their_ports_are_their_own: ["R2", "E1"] needs ["ipv4"];
        datagrams::options_are_taken: ["E1"] needs ["ipv4"];
        datagrams::a_multicast_group_hears_its_messages: ["R1", "E1"] needs ["ipv4"];
        datagrams::std_sockets_are_spoken_to: ["R1", "H5"] needs ["descriptors", "ipv4"];
        datagrams::a_send_waits_for_room: ["X2", "R1", "R3"] needs ["descriptors", "unix_sockets"];
        datagrams::no_wait_takes_all_that_was_ready: ["L1"] needs ["descriptors", "ipv4"];
        datagrams::results_in_time_win_however_many: ["X4"] needs ["descriptors", "ipv4"];
        ended_datagrams::shut_down_for_reading_it_brings_nothing: ["R1", "H3"] needs ["ipv4"];
        ended_datagrams::what_others_shut_down_brings_nothing: ["R1"] needs ["ipv4", "unix_sockets", "descriptors"];

        unix::connections_by_abstract_name: ["R4", "H1"] needs ["unix_sockets"];
        unix::connections_by_path: ["R4", "H3"] needs ["unix_sockets", "descriptors"];
        unix::many_are_accepted: ["C1", "H3"] needs ["unix_sockets"];
        unix::streams_keep_their_order: ["H3", "R1"] needs ["unix_sockets"];
        unix::what_waits_can_be_cancelled: ["X2", "H1"] needs ["unix_sockets"];
        unix::a_full_queue_holds_up_nobody: ["X2", "R3"] needs ["unix_sockets"];
        unix::faults_are_told: ["E1", "R2"] needs ["unix_sockets", "descriptors"];
        unix::ends_are_told: ["R1", "R2", "H1"] needs ["unix_sockets"];

        unix_datagrams::messages_by_abstract_name: ["R4", "H1"] needs ["unix_sockets"];
        unix_datagrams::messages_by_path: ["R4", "H3"] needs ["unix_sockets", "descriptors"];
        unix_datagrams::messages_keep_their_bounds: ["R1", "H3"] needs ["unix_sockets"];
        unix_datagrams::a_connected_one_speaks_with_its_peer: ["R4", "R2", "H3"] needs ["unix_sockets"];
        unix_datagrams::a_full_receiver_is_waited_for: ["R1", "X2", "R3", "C2"] needs ["unix_sockets"];
        unix_datagrams::a_full_receiver_holds_up_nobody: ["R2", "R3", "L5"] needs ["unix_sockets"];
        unix_datagrams::what_waits_can_be_ended: ["X2", "C5", "H1", "X5"] needs ["unix_sockets"];
        unix_datagrams::faults_are_told: ["E1", "R2", "C2"] needs ["unix_sockets"];

        unix_paths::a_path_is_a_file: ["R4", "H1"] needs ["unix_sockets", "files"];
        unix_paths::faults_by_path_are_told: ["E1", "R2"] needs ["unix_sockets", "files"];

        messages::datagrams_there_and_back: ["R1", "R4", "C2"] needs ["ipv4"];
        messages::datagrams_over_ipv6: ["R1", "R4"] needs ["ipv6"];
        messages::pieces_of_a_stream: ["R1", "H3"] needs ["ipv4"];
        messages::they_keep_order_with_others: ["H3"] needs ["ipv4"];
        messages::what_waits_can_be_cancelled: ["X1", "X2", "X4", "C2"] needs ["ipv4"];
        messages::what_waits_can_be_ended: ["C5", "H1", "H2", "X5"] needs ["ipv4"];
        messages::what_is_wrong_fails_alone: ["E1", "C2"] needs ["ipv4"];

        passing::descriptors_are_passed: ["R1", "C2"] needs ["unix_sockets", "descriptors"];
        passing::a_passed_socket_is_used: ["R4", "C2"] needs ["unix_sockets", "descriptors"];
        passing::they_stay_with_their_bytes: ["R1", "H3"] needs ["unix_sockets", "descriptors"];
        passing::without_room_they_are_closed: ["R1", "C5"] needs ["unix_sockets", "descriptors"];
        passing::there_is_a_bound: ["E1", "C2"] needs ["unix_sockets", "descriptors"];
        passing::what_cannot_be_is_refused: ["E1", "C2"] needs ["unix_sockets", "descriptors"];
        passing::cancelled_they_lose_nothing: ["X1", "X2", "C2"] needs ["unix_sockets", "descriptors"];
        passing::what_nobody_gets_is_closed: ["C5"] needs ["unix_sockets", "descriptors"];
        passing::a_dropped_loop_closes_them: ["X5"] needs ["unix_sockets", "descriptors"];
        passing::descriptors_that_run_out_are_told: ["R1", "R2"] needs ["unix_sockets", "descriptors"];
        passing::where_there_are_none_they_come_back: ["E1", "C2"] needs ["unix_sockets", "!descriptors"];

        sockets::the_column_has_its_capabilities: ["E2"] needs [];
        sockets::detach_is_unsupported_where_there_are_no_descriptors: ["H5", "E2"] needs ["ipv4"];
        sockets::a_listener_in_single_steps: ["E1"] needs ["ipv4"];
        sockets::listen_takes_its_options: ["E1"] needs ["ipv4"];
        sockets::a_port_is_shared_only_by_those_who_ask: ["R2"] needs ["ipv4"];
        sockets::an_address_is_reused_at_once: ["H1"] needs ["ipv4"];
        sockets::v6_only_is_honoured: ["R4"] needs ["ipv4", "ipv6"];
        sockets::both_families_side_by_side: ["R4"] needs ["ipv4", "ipv6"];

        results::an_empty_receive_completes_in_its_place: ["R1"] needs ["streams"];
        results::an_empty_send_completes_in_its_place: ["R1"] needs ["streams"];
        results::only_the_range_is_used: ["C2", "R1"] needs ["streams"];
        results::buffers_of_every_origin: ["C2", "E1"] needs ["streams"];
        results::a_read_only_buffer_fails_alone: ["E1", "H3"] needs ["streams"];
        results::the_same_fault_has_the_same_kind: ["R2"] needs ["ipv4"];
        results::a_closed_peer_raises_no_signal: ["R3"] needs ["ipv4"];
        results::a_signal_storm_loses_nothing: ["R3"] needs ["ipv4", "threads"];
        results::lengths_beyond_one_call_are_clamped: ["R4"] needs ["ipv4"];
        results::addresses_are_kept_whole: ["R4"] needs ["ipv4"];
        results::scope_and_flow_are_kept: ["R4"] needs ["ipv6"];

        deadlines::a_receive_times_out_with_its_buffer: ["X4", "C2", "T2"] needs ["streams"];
        deadlines::a_result_in_time_wins: ["X4", "C1"] needs ["streams"];
        deadlines::a_queued_result_outlives_its_deadline: ["X4"] needs [];
        deadlines::a_result_that_is_there_wins: ["X4", "L3"] needs ["ipv4", "descriptors"];
        deadlines::a_readiness_that_is_there_wins: ["X4"] needs ["ipv4", "descriptors", "polling"];
        deadlines::an_exit_that_is_there_wins: ["X4"] needs ["child_processes"];
        deadlines::what_threads_have_done_in_time_wins: ["X4"] needs ["descriptors", "threads"];
        deadlines::a_deadline_comes_after_what_is_there: ["X4", "L3"] needs ["ipv4", "descriptors"];
        deadlines::a_cancel_before_the_deadline_is_canceled: ["X4", "X1"] needs ["streams"];
        deadlines::every_kind_times_out: ["X4", "C1"] needs ["ipv4"];
        deadlines::a_connect_times_out: ["X4"] needs ["ipv4", "descriptors"];
        deadlines::a_send_that_times_out_tells_what_was_transferred: ["X4", "R1"] needs ["streams"];
        deadlines::one_behind_others_times_out_alone: ["X4", "H3"] needs ["streams"];
        deadlines::each_arming_has_a_fresh_deadline: ["X4", "T2"] needs ["streams"];
        deadlines::a_deadline_never_reaches_a_later_arming: ["X4", "X6"] needs ["streams"];
        deadlines::a_deadline_that_has_passed_starts_nothing: ["X4", "C4"] needs ["streams"];
        deadlines::the_extremes_of_timeouts_are_fine: ["X4", "T1"] needs ["streams"];
        deadlines::a_timeout_counts_after_the_delay: ["X4", "T2"] needs ["streams"];
        deadlines::a_reset_timer_keeps_its_deadline: ["X4", "T3"] needs [];
        deadlines::a_timed_out_wait_keeps_the_notification: ["X4", "W1"] needs [];
        deadlines::closing_after_a_timeout_and_before_one: ["X4", "H1"] needs ["streams"];
        deadlines::deleting_takes_the_deadline_along: ["X4", "C5"] needs ["streams"];
        deadlines::dropping_the_loop_with_deadlines_armed: ["X4", "X5"] needs ["streams"];
        deadlines::a_multishot_operation_times_out_as_a_whole: ["X4", "C1"] needs ["ipv4"];

        mailboxes::every_message_arrives_once_in_order: ["W2", "C1"] needs ["threads"];
        mailboxes::a_capacity_without_memory_is_refused: ["E1", "W2"] needs [];
        mailboxes::a_bounded_mailbox_pushes_back: ["W2", "E1"] needs [];
        mailboxes::a_thread_waits_for_room: ["W2"] needs ["threads"];
        mailboxes::a_wait_for_room_ends_in_time: ["W2"] needs ["threads"];
        mailboxes::a_loop_does_not_wait_for_itself: ["W2", "E1"] needs [];
        mailboxes::a_wait_for_room_ends_with_the_mailbox: ["W2", "X5"] needs ["threads"];
        mailboxes::a_loop_is_told_of_room: ["W2", "W1"] needs [];
        mailboxes::room_is_told_once: ["W2", "W1"] needs [];
        mailboxes::loops_wait_for_each_others_room: ["W2", "W1"] needs ["threads"];
        mailboxes::a_message_wakes_the_loop: ["W2", "W1"] needs ["threads"];
        mailboxes::dropping_the_loop_closes_it: ["W2", "X5"] needs [];
        mailboxes::dropping_the_mailbox_closes_it: ["W2"] needs [];
        mailboxes::a_panic_loses_no_message: ["W2", "C6"] needs ["unwinding"];
        mailboxes::what_is_not_delivered_stays: ["W2", "C5", "L2"] needs [];
        mailboxes::a_second_receiver_is_refused: ["W2", "E1"] needs [];
        mailboxes::a_busy_sender_holds_up_nobody: ["W2"] needs [];
        mailboxes::an_empty_look_is_no_progress: ["W2", "L1"] needs [];

        embedding::a_loop_is_driven_by_poll: ["L1", "W1", "W2", "T2"] needs ["descriptors", "ipv4", "threads"];
        embedding::it_waits_by_itself_again: ["L1", "W1"] needs ["descriptors", "ipv4", "threads"];
        embedding::a_host_submits_between_turns: ["L1", "C4"] needs ["descriptors", "ipv4"];
        embedding::the_next_deadline_is_told: ["T2", "X4"] needs [];

        metrics::idle_time_is_measured: ["L1", "T2"] needs [];
        metrics::what_is_done_is_counted: ["L3"] needs [];

        time::ten_timers_fire_once_each: ["C1", "T2"] needs [];
        time::a_short_timer_fires_before_a_long_one: ["T2", "C4"] needs [];
        time::timers_fire_by_deadline: ["T2"] needs [];
        time::equal_deadlines_fire_in_submission_order: ["T2"] needs [];
        time::equal_delays_fire_in_submission_order: ["T2"] needs [];
        time::the_extremes_of_time_are_fine: ["T1"] needs [];
        time::timers_fire_though_other_work_is_ready: ["T1", "L3"] needs [];
        time::a_late_callback_arms_no_early_timer: ["T2"] needs [];
        time::an_idle_loop_arms_no_early_timer: ["T2"] needs ["!virtual_time"];
        time::now_is_the_turns_and_grows: ["T1", "T2"] needs [];
        time::a_huge_repeat_waits_for_ever: ["T1", "T3"] needs [];
        time::a_zero_timer_rearmed_runs_once_per_turn: ["T4"] needs ["streams"];
        time::reset_works_in_each_state: ["T3"] needs [];
        time::reset_in_its_own_callback_arms_again: ["T3"] needs [];
        time::only_timers_can_be_reset: ["T3", "E1"] needs ["streams"];
        time::many_resets_make_one_expiry: ["T3"] needs [];
        time::cancelled_timers_leave_the_others_in_order: ["T2", "X2"] needs [];
        time::a_million_armed_and_cancelled_leave_no_growth: ["T5"] needs [];
        time::no_double_call_in_small_steps: ["C1", "L1"] needs [];

        running::an_empty_loop_is_done_at_once: ["L1"] needs [];
        running::no_wait_takes_what_was_ready_at_entry: ["L1", "L3"] needs [];
        running::no_wait_never_blocks: ["L1"] needs ["ipv4"];
        running::once_returns_after_a_callback: ["L1"] needs [];
        running::until_done_waits_for_everything: ["L1"] needs ["streams"];
        running::bounded_runs_end_in_time: ["L1"] needs [];
        running::a_bounded_run_takes_all_that_comes: ["L1"] needs [];
        running::bounds_may_be_extreme: ["L1", "T1"] needs [];
        running::stop_keeps_what_is_ready: ["L2"] needs [];
        running::stop_before_run_lasts: ["L2"] needs [];
        running::stop_during_run_leaves_the_rest_under_way: ["L2"] needs [];
        running::fail_leaves_through_run: ["L1"] needs [];
        running::a_turn_has_its_order: ["L3"] needs ["streams"];
        running::background_ones_keep_nothing_running: ["L4"] needs [];
        running::background_ones_are_served_by_bounded_runs: ["L4", "L1"] needs [];
        running::a_wait_that_nothing_can_end_is_a_deadlock: ["L1"] needs [];
        running::endless_local_work_starves_nobody: ["L1", "L3"] needs ["streams"];
        running::active_counts_what_is_under_way: ["L1"] needs [];

        overflow::one_entry_is_enough: ["L5"] needs ["ipv4"];
        overflow::around_the_size_of_the_rings: ["L5"] needs ["ipv4"];
        overflow::a_thousand_submissions_in_one_callback: ["L5", "C6"] needs ["streams"];
        overflow::a_flood_of_completions_loses_none: ["L5"] needs ["ipv4"];
        overflow::cancelling_more_than_the_rings_hold: ["L5", "X3"] needs ["ipv4"];
        overflow::a_long_queue_on_one_handle: ["L5", "H3"] needs ["streams"];
        overflow::a_crowd_connects_at_once: ["L5"] needs ["ipv4"];

        waking::one_notification_wakes_once: ["W1"] needs [];
        waking::a_notification_before_the_wait_is_kept: ["W1"] needs [];
        waking::a_burst_gives_some_and_then_silence: ["W1"] needs [];
        waking::notified_in_its_own_callback_it_comes_again: ["W1", "C3"] needs [];
        waking::another_thread_wakes_a_blocking_loop: ["W1", "C3"] needs ["threads"];
        waking::spaced_notifications_come_one_by_one: ["W1"] needs ["threads"];
        waking::many_threads_notify_without_loss: ["W1"] needs ["threads"];
        waking::each_notifier_wakes_its_own_wait: ["W1"] needs ["threads"];
        waking::notifying_against_a_dropped_loop: ["W1", "X5"] needs ["threads"];
        waking::the_last_notifier_may_go_while_pending: ["W1"] needs [];
        waking::a_notifier_outlives_its_loop: ["W1", "E1"] needs [];
        waking::a_deleted_wait_leaves_the_notifier_usable: ["W1", "C5"] needs [];
        waking::a_wake_ends_a_run_and_runs_no_callback: ["L1"] needs ["threads", "!virtual_time"];
        waking::what_nobody_waits_for_wakes_nobody: ["L1"] needs ["streams"];
        waking::a_wake_does_not_end_until_done: ["L1"] needs [];
        waking::internal_wake_ups_are_no_progress: ["L1"] needs ["threads"];
        waking::another_thread_stops_the_loop: ["L2"] needs ["threads"];
        waking::two_loops_take_turns: ["W1"] needs ["threads"];

        work::a_closure_returns_its_value: ["C1", "C2"] needs ["threads"];
        work::the_loop_goes_on_meanwhile: ["C3", "L1"] needs ["threads"];
        work::without_a_pool_the_loop_does_it: ["C1", "C2"] needs ["unwinding"];
        work::without_threads_it_comes_back: ["C2", "E1"] needs ["!threads"];
        work::a_simulation_does_it_itself: ["C1", "L3"] needs ["virtual_time"];
        work::it_can_be_rearmed: ["C1"] needs ["threads"];
        work::a_queued_one_is_cancelled_at_once: ["X1", "X2", "C2"] needs ["threads"];
        work::a_running_one_ends_when_it_ends: ["X1", "X2"] needs ["threads"];
        work::cancel_all_waits_for_what_runs: ["X3", "C4"] needs ["threads"];
        work::a_deleted_one_is_silent: ["C5"] needs ["threads"];
        work::a_panicking_job_ends_alone: ["C1", "R2"] needs ["threads"];
        work::a_full_queue_keeps_order: ["L5", "C1"] needs ["threads"];
        work::several_loops_share_a_pool: ["C1", "L5"] needs ["threads"];
        work::a_wait_for_a_job_is_no_deadlock: ["L1"] needs ["threads"];
        work::threads_come_and_go: ["X5"] needs ["threads"];
        work::dropping_the_loop_takes_back_what_is_queued: ["X5"] needs ["threads"];
        work::a_stuck_thread_holds_up_no_drop: ["X5", "X3"] needs ["threads"];
        work::a_job_may_drop_its_own_pool: ["X5"] needs ["threads"];

        resolve::what_is_written_out_is_itself: ["C1", "C2"] needs ["threads"];
        resolve::localhost_is_the_loopback: ["C1"] needs ["threads"];
        resolve::what_is_no_name_fails: ["E1", "C2", "R2"] needs ["threads"];
        resolve::a_queued_one_ends_at_once: ["X2", "C5", "X5"] needs ["threads"];

        polls::what_is_ready_now_completes_at_once: ["C1", "H3"] needs ["polling", "descriptors"];
        polls::it_waits_until_it_is_ready: ["C1", "X2"] needs ["polling", "descriptors"];
        polls::polls_move_both_directions: ["C1", "H3"] needs ["polling", "descriptors", "ipv4"];
        polls::each_change_is_told: ["C1", "X1"] needs ["polling", "descriptors"];
        polls::stop_ends_it_and_it_begins_again: ["C1", "C2"] needs ["polling", "descriptors"];
        polls::what_cannot_be_polled_fails_clearly: ["E1", "C2"] needs ["polling", "descriptors"];
        polls::a_poller_can_be_polled: ["C1"] needs ["polling", "descriptors"];
        polls::urgent_data_is_a_priority: ["C1"] needs ["polling", "descriptors", "ipv4"];
        polls::they_wait_beside_other_operations: ["H3", "H5"] needs ["polling", "descriptors"];
        polls::what_waits_can_be_ended: ["C2", "C5", "H1", "X1", "X2", "X4"] needs ["polling", "descriptors"];
        polls::dropping_the_loop_lets_go: ["X5"] needs ["polling", "descriptors"];
        polls::without_it_everything_comes_back: ["C2", "E2"] needs ["!polling", "ipv4"];

        passed_in::connections_are_accepted: ["H3", "R1", "C1"] needs ["descriptors", "streams"];
        passed_in::many_are_accepted_until_it_stops: ["C1", "X1"] needs ["descriptors", "streams"];
        passed_in::a_waiting_accept_can_be_ended: ["X1", "X2", "X4", "C5", "H1"] needs ["descriptors", "streams"];
        passed_in::standard_streams_are_read_and_written: ["H3", "R1", "H5"] needs ["descriptors"];
        passed_in::what_waits_for_standard_input_can_be_ended: ["X1", "X2", "X4", "C5"] needs ["descriptors"];
        passed_in::several_buffers_are_read_as_far_as_there_is_input: ["R1", "L1"] needs ["descriptors"];

        children::exit_statuses_arrive: ["C1", "C2"] needs ["child_processes"];
        children::it_waits_until_the_child_ends: ["C1", "L1"] needs ["child_processes"];
        children::a_killing_signal_is_told: ["C1"] needs ["child_processes"];
        children::what_has_ended_completes_at_once: ["C1", "C2"] needs ["child_processes"];
        children::a_number_is_enough: ["C1", "C2"] needs ["child_processes"];
        children::what_is_no_child_is_an_error: ["C2", "E1", "R2"] needs ["child_processes"];
        children::a_cancelled_wait_hands_the_child_back: ["C2", "X1", "X2", "X4"] needs ["child_processes"];
        children::a_dropped_wait_leaves_the_child_alone: ["C5", "X5"] needs ["child_processes"];
        children::many_end_each_with_its_own: ["C1", "C2"] needs ["child_processes"];
        children::without_it_the_child_comes_back: ["C2", "E2"] needs ["!child_processes", "threads"];

        pollers::a_wake_within_the_loop_is_kept: ["L1", "W1"] needs [];
        pollers::a_wake_ends_a_wait_of_the_backend: ["W1", "L1"] needs [];
        pollers::alone_nobody_ends_a_wait: ["L1", "W1"] needs ["!threads"];
        pollers::disarmed_under_a_turn_that_does_not_wait: ["X1", "H2"] needs ["descriptors", "polling"];
        pollers::a_deletion_is_done_without_a_wait: ["C5", "H1"] needs ["streams"];
        pollers::two_wait_for_one_child: ["C1", "X1"] needs ["child_processes"];
        pollers::the_clock_is_no_progress: ["L1"] needs ["streams"];
        pollers::a_bad_descriptor_fails_alone: ["E1"] needs ["streams", "descriptors", "!threads"];

        signals::signals_are_events: ["C1", "X2"] needs ["signals", "threads"];
        signals::a_storm_loses_nothing: ["R3"] needs ["signals", "threads"];
        signals::each_watcher_gets_its_own: ["C1"] needs ["signals", "threads"];
        signals::what_was_set_comes_back: ["C5", "X5"] needs ["signals"];
        signals::forbidden_signals_are_refused: ["C2", "E1"] needs ["signals"];
        signals::what_came_before_the_end_is_told: ["C1", "X1"] needs ["signals"];
        signals::child_processes_inherit_nothing: ["X5"] needs ["signals"];
        signals::deleted_it_is_silent: ["C5"] needs ["signals"];
        signals::without_them_the_set_comes_back: ["C2", "E2"] needs ["!signals", "threads"];

        steady::immediate_operations_do_not_allocate: ["B1"] needs [];
        steady::rearmed_operations_do_not_allocate: ["B1"] needs [];
        steady::polls_do_not_allocate: ["B1"] needs ["polling", "descriptors"];
        steady::timers_do_not_allocate: ["B1"] needs [];
        steady::deadlines_do_not_allocate: ["B1", "X4"] needs ["streams"] patience 4;
        steady::cancelled_timers_do_not_allocate: ["B1", "T5"] needs [];
        steady::an_echo_does_not_allocate: ["B1"] needs ["streams"] patience 4;
        steady::exact_reads_and_writes_do_not_allocate: ["B1"] needs ["streams"] patience 4;
        steady::an_echo_from_a_pool_does_not_allocate: ["B1"] needs ["streams"] patience 4;
        steady::a_dry_pool_does_not_allocate: ["B1", "B2"] needs ["streams"] patience 4;
        steady::an_echo_of_datagrams_does_not_allocate: ["B1"] needs ["ipv4"] patience 4;
        steady::passing_descriptors_does_not_allocate: ["B1"] needs ["unix_sockets", "descriptors"] patience 4;
        steady::messages_do_not_allocate: ["B1", "W2"] needs ["threads"];
        steady::notifications_do_not_allocate: ["B1", "W1"] needs ["threads"];
        steady::reads_and_writes_of_a_file_do_not_allocate: ["B1"] needs ["files"] patience 4;
        steady::sending_files_does_not_allocate: ["B1"] needs ["files", "streams"] patience 4;
        steady::reading_a_directory_does_not_allocate: ["B1"] needs ["files"] patience 4;
        steady::jobs_do_not_allocate: ["B1"] needs ["threads"] patience 4;
        steady_rest::operations_on_files_do_not_allocate: ["B1", "C2"] needs ["files", "descriptors"];
        steady_rest::connections_that_come_and_go_do_not_allocate: ["B1"] needs ["descriptors", "ipv4"];
        steady_unix::an_echo_does_not_allocate: ["B1"] needs ["unix_sockets"] patience 4;
        steady_unix::an_echo_of_datagrams_does_not_allocate: ["B1"] needs ["unix_sockets"] patience 4;
        steady_unix::an_echo_between_long_paths_does_not_allocate: ["B1", "R4"] needs ["unix_sockets", "files"] patience 4;
        steady_unix::an_echo_of_messages_between_long_names_does_not_allocate: ["B1", "R4"] needs ["unix_sockets"] patience 4;
        steady_unix::accepting_from_long_names_does_not_allocate: ["B1", "R4"] needs ["unix_sockets", "descriptors"];

        random::settled_programs_match_the_model: ["C1", "C2", "H1", "H3", "X1"] needs ["ipv4"];
        random::settled_programs_match_the_model_with_small_rings: ["C1", "H3", "L5"] needs ["ipv4"];
        random::raced_programs_keep_the_contract: ["C1", "C2", "H3", "X1", "X3"] needs ["ipv4"];
        random::raced_programs_over_unix_sockets_keep_the_contract: ["C1", "C2", "H3", "X1", "X3"] needs ["unix_sockets"];
        random::raced_programs_keep_the_contract_with_small_rings: ["C1", "H3", "X3", "L5"] needs ["ipv4"];
        random::programs_of_datagrams_lose_none: ["C1", "H3", "R1", "X1"] needs ["ipv4"];
        random::programs_of_datagrams_lose_none_with_small_rings: ["C1", "H3", "L5"] needs ["ipv4"];
        random::programs_of_unix_datagrams_lose_none: ["C1", "H3", "R1", "X1"] needs ["unix_sockets"];
        random::programs_of_files_match_the_model: ["C1", "C2", "C4", "H2", "H3", "R1", "R2"] needs ["files"] patience 4;
        random::programs_of_files_match_the_model_with_small_rings: ["C1", "C2", "H3", "L5"] needs ["files"] patience 4;
        random::programs_of_what_waits_match_the_model: ["C1", "H1", "X1", "X2"] needs ["polling", "descriptors", "child_processes", "signals"];
        random::programs_of_what_waits_match_the_model_with_small_rings: ["C1", "X1", "L5"] needs ["polling", "descriptors", "child_processes", "signals"];
        random::programs_of_splices_lose_no_byte: ["C1", "C5", "H3", "X1", "X4"] needs ["splicing", "ipv4"];
        random::programs_of_splices_lose_no_byte_with_small_rings: ["C1", "H3", "X1", "L5"] needs ["splicing", "ipv4"];
        random::programs_of_a_mailbox_match_the_model: ["W2", "C5", "C6", "L2"] needs ["threads"];
        random::programs_of_jobs_keep_the_contract: ["C1", "C2", "C5", "X1", "X3", "X4", "H1"] needs ["files", "threads"] patience 4;
        random::programs_of_jobs_keep_the_contract_with_small_rings: ["C1", "C5", "X1", "L5"] needs ["files", "threads"] patience 4;

        bad_input::a_configuration_out_of_range_does_not_open: ["E1", "L5"] needs [];
        bad_input::the_largest_configuration_opens: ["E1", "L5"] needs ["streams"];
        bad_input::beyond_max_operations_is_full: ["L5", "C2"] needs ["streams"];
        bad_input::a_second_wait_for_a_notifier_is_busy: ["E1", "W1"] needs [];
        bad_input::a_notifier_of_another_loop_is_refused: ["E1", "W1"] needs [];
        bad_input::an_address_of_another_family_fails: ["E1"] needs ["ipv4"];
        bad_input::an_operation_on_a_socket_in_the_wrong_state_fails: ["E1"] needs ["ipv4"];
        bad_input::options_out_of_range_do_no_harm: ["E1"] needs ["ipv4"];
        bad_input::descriptors_run_out: ["R2", "E1"] needs ["descriptors", "ipv4"];
        bad_input::a_failing_accept_does_not_burn_a_core: ["E3"] needs ["descriptors", "ipv4"];
        bad_input::rearm_after_puts_off: ["E3", "X2"] needs ["ipv4"];

        edges::an_unreachable_address_is_told: ["R2", "C2", "H3"] needs ["descriptors", "ipv4"];
        edges::a_broadcast_without_leave_is_refused: ["E1", "R2", "C2"] needs ["descriptors", "ipv4"];
        edges::a_plain_receive_cuts_without_a_word: ["R1", "C2"] needs ["ipv4"];
        edges::datagrams_are_not_received_from_a_pool: ["E1", "C2"] needs ["ipv4"];
        edges::what_is_not_aligned_fails_alone: ["E1", "C2", "H4", "R1"] needs ["files", "descriptors"];
        edges::direct_reads_rest_once_nothing_is_under_way: ["X3", "X1"] needs ["files", "descriptors"];
        edges::several_loops_have_files_on_one_pool: ["H4", "L5"] needs ["files", "threads"];
    }
}

#[cfg(test)]
mod tests;
