//! The conformance suite: what every side of the port has to do, written against the port alone.
//!
//! A side implements [`Backend`] in its tests and names the suite once:
//!
//! ```ignore
//! store::conformance_tests!(SqliteSide::make().await);
//! ```
//!
//! Each case becomes a test of its own.

// Cases stop at the first surprise, as tests do.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

pub mod accepting;
pub mod answering;
pub mod awaiting;
pub mod catalog_conditions;
pub mod cataloguing;
pub mod clock;
pub mod counting;
pub mod crash_recovery;
pub mod delivering;
pub mod events;
pub mod expiring;
pub mod fixtures;
pub mod inbound;
pub mod lifetime;
pub mod listing;
pub mod matching;
pub mod model;
pub mod reading;
pub mod receiving;
pub mod recording;
pub mod segments;
pub mod sending;
pub mod suppressions;
pub mod tasking;

use crate::Store;
use async_trait::async_trait;

/// One side of the port with data of its own.
#[async_trait]
pub trait Backend: Send {
    /// The store, opened.
    fn store(&self) -> &dyn Store;

    /// Ends the store without closing it in order, as a kill would, and opens it again.
    async fn crash(&mut self);
}

/// Makes a test of each case. The expression makes a fresh [`Backend`] and may `.await`.
#[macro_export]
macro_rules! conformance_tests {
    ($make:expr) => {
        $crate::conformance_tests! { @cases $make;
            accepting: [
                ids_are_contiguous_over_a_request_and_grow,
                sessions_begin_where_a_batch_opens_one,
                messages_that_can_only_fail_end_at_once,
                a_request_is_stored_once_among_concurrent_repeats,
                a_request_id_expires_after_its_time,
                request_ids_of_accounts_and_scopes_are_apart,
                a_balance_is_charged_and_never_overdrawn,
                caps_hold_within_rolling_windows,
                caps_count_within_one_request,
                suppressed_numbers_are_refused_or_fail,
                a_request_of_which_nothing_is_left_is_not_recorded,
                after_commit_callbacks_run_in_commit_order,
                long_messages_to_a_number_have_references_of_their_own,
            ],
            clock: [
                ids_grow_and_acceptance_times_are_the_clocks,
                caps_are_right_once_the_clock_is,
                days_are_listed_and_counted_by_the_clock,
                retention_is_right_once_the_clock_is,
                a_clock_back_by_mistake_deletes_nothing,
                receipts_are_awaited_and_matched_once_the_clock_is_right,
                a_request_id_expires_once_the_clock_is_right,
                a_request_id_is_done_once_whatever_the_clock_does,
                inbound_messages_are_found_and_expire_by_the_clock,
                pauses_end_once_the_clock_is_right,
                a_pause_is_found_behind_many_schedules,
                lifetimes_are_as_long_as_they_were_to_be_once_the_clock_is_right,
                events_expire_once_the_clock_is_right,
                statistics_count_again_after_a_sweep_of_a_wrong_clock,
            ],
            sending: [
                lanes_are_read_in_order_from_any_place,
                runs_of_a_carrier_are_places_of_their_own,
                taking_from_a_place_leaves_the_rest,
                what_was_taken_is_not_taken_twice,
                retries_wait_for_their_time_and_carrier,
                schedules_wait_for_their_time,
                an_attempt_is_open_until_its_results_are_recorded,
                a_late_result_does_not_undo_a_later_attempt,
                a_message_that_was_not_sent_waits_again,
            ],
            lifetime: [
                what_waits_beyond_its_end_ends,
                an_attempt_under_way_wins,
                an_attempt_has_only_what_still_waits,
                a_retry_beyond_the_end_ends_at_once,
                what_is_in_doubt_ends_as_unknown,
                what_waits_for_its_time_is_never_put_off_beyond_its_end,
                a_sweep_goes_in_steps,
                ends_survive_a_crash,
            ],
            segments: [
                segments_taken_are_kept_while_others_are_under_way,
                how_segments_were_made_is_kept_with_those_taken,
                late_answers_repeat_nothing_in_the_timeline,
                a_segment_refused_for_now_is_sent_again_alone,
                receipts_of_segments_count_once_all_are_taken,
                segments_belong_to_the_carrier_that_took_them,
                a_message_held_for_one_segment_stays_held,
            ],
            receiving: [
                a_receipt_ends_its_message,
                receipts_before_the_answer_are_applied_with_it,
                unmatched_receipts_expire,
                a_repeated_receipt_changes_nothing,
                an_unknown_state_is_replaced_by_a_definite_one,
                intermediate_receipts_are_in_the_timeline,
                segments_are_put_together,
                segments_that_were_refused_are_not_waited_for,
                segments_of_one_id_are_counted,
                a_carriers_id_used_again_names_the_newer_message,
                carriers_do_not_share_their_ids,
                error_codes_are_kept_to_their_bound,
                what_an_error_code_means_is_kept_beside_it,
                messages_without_a_receipt_are_given_up,
            ],
            matching: [
                receipts_of_one_id_go_to_each_message_once,
                receipts_of_one_id_end_all_messages_over_a_restart,
                early_receipts_of_one_id_go_to_one_message_each,
                a_receipt_from_before_the_attempt_is_another_messages,
                one_receipt_may_end_a_message_of_several_segments,
                one_receipt_waits_for_all_segments_of_its_message,
                a_receipt_is_found_by_any_of_its_ids,
                what_only_looks_like_a_receipt_leaves_nothing,
            ],
            awaiting: [
                a_receipt_is_awaited_from_the_submission_on,
                the_wait_for_receipts_goes_on_over_a_restart,
                what_a_receipt_confirms_is_awaited_too,
                receipts_find_what_was_accepted_long_ago,
            ],
            reading: [
                messages_come_back_as_they_were_accepted,
                a_session_belongs_to_its_account,
                messages_are_found_by_what_the_filter_names,
                a_search_is_counted_and_paged,
                the_timeline_has_every_step,
                a_move_to_another_carrier_is_in_the_timeline,
                counts_follow_the_messages,
            ],
            catalog_conditions: [
                a_change_at_a_version_is_made_there_only,
                changes_of_different_things_do_not_conflict,
                names_and_texts_stay_single,
            ],
            suppressions: [
                suppressions_and_balances_leave_the_version,
                suppressions_are_listed_in_portions,
                a_suppression_keeps_its_first_proof,
            ],
            cataloguing: [
                the_catalog_comes_back_as_it_was_put,
                a_change_that_fails_changes_nothing,
                an_account_goes_with_what_it_owns,
                earlier_versions_of_a_template_are_kept,
                a_review_that_ends_is_reported,
                the_id_key_stays,
            ],
            listing: [
                a_list_is_the_only_one_of_its_name,
                lists_are_found_by_name_and_paged,
                members_are_put_changed_and_taken_out,
                a_full_list_takes_changes_only,
                an_account_has_so_many_members_in_all,
                members_are_found_and_paged,
                a_removed_list_is_gone_at_once,
            ],
            tasking: [
                ended_tasks_are_listed_and_expire,
                a_task_to_nobody_is_done,
                a_tasks_request_is_done_once,
                tasks_wait_for_their_time,
                a_list_in_use_stays,
                a_task_moves_on_with_what_it_accepts,
                of_two_that_move_a_task_one_wins,
                a_task_reaches_each_member_once,
                an_account_has_so_many_open_tasks,
            ],
            recording: [
                a_record_comes_back_as_it_was_made,
                a_records_name_is_its_own,
                records_are_bounded_by_kind,
                records_are_found_by_name_and_paged,
                the_data_of_an_account_has_so_much_room,
            ],
            inbound: [
                inbound_messages_are_found,
                a_message_of_one_part_is_reported_at_once,
                parts_in_any_order_make_a_message,
                parts_make_a_message_in_every_order,
                a_part_that_comes_again_is_known,
                a_reference_is_used_again,
                a_part_with_an_impossible_number_is_reported_as_it_is,
                parts_that_never_come_are_given_up,
                a_reply_belongs_to_the_newest_message,
            ],
            answering: [
                parts_are_decoded_once_all_are_there,
                references_of_other_kinds_tie_other_messages,
                octets_for_a_program_are_kept,
                a_word_unsubscribes_its_sender,
                a_word_takes_back_what_a_word_did,
            ],
            events: [
                each_step_of_a_life_is_reported,
                only_what_counts_is_reported,
                messages_that_fail_at_once_are_reported,
                an_unmatched_receipt_is_reported_after_its_answer,
                segments_are_reported_as_their_message,
                only_what_an_endpoint_wants_is_logged,
                events_go_with_the_command_that_failed,
                events_survive_a_crash,
                events_are_read_in_portions,
                a_replay_begins_at_a_time,
                an_endpoint_begins_at_the_end,
                old_events_expire_when_they_were_acked,
                places_are_never_given_twice,
                a_listener_is_woken_with_the_accounts,
                a_listener_receives_which_messages_failed,
            ],
            delivering: [
                what_a_worker_did_is_kept,
                scheduled_retries_come_when_they_are_due,
                dead_calls_expire,
            ],
            counting: [
                a_message_is_counted_where_it_is,
                the_same_series_has_the_same_number,
                a_message_that_fails_at_once_is_counted,
                counts_go_with_the_command_that_failed,
                errors_are_distinguished_up_to_a_bound,
                counters_are_found_by_what_the_filter_names,
                old_counters_expire,
                counters_outlive_their_messages,
                counters_equal_a_recount,
                a_message_without_a_stats_key_is_counted_by_its_own_rows,
            ],
            crash_recovery: [
                everything_answered_survives_a_crash,
                what_was_in_flight_is_listed_after_a_crash,
                unmatched_receipts_survive_a_crash,
                requests_caps_and_numbers_survive_a_crash,
                references_go_on_after_a_crash,
                what_is_found_by_key_stays_found_as_it_ages,
                ids_go_on_after_everything_was_deleted,
            ],
            expiring: [
                old_messages_go_and_unfinished_ones_stay,
                a_probe_writes,
                a_closed_store_says_so,
            ],
            model: [
                random_operations_agree_with_the_model,
            ]
        }
    };
    (@cases $make:expr; $($module:ident: [$($case:ident),* $(,)?]),* $(,)?) => {
        $(mod $module {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let mut backend = $make;
                    $crate::conformance::$module::$case(&mut backend).await;
                }
            )*
        })*
    };
}
