//! The contract suite: one function for each sentence of the port, named after it. A second implementation passes it
//! by one line in `main.rs`, with a function that opens an empty store.
pub(crate) mod audit;
pub(crate) mod certificates;
pub(crate) mod changes;
pub(crate) mod clients;
pub(crate) mod journal;
pub(crate) mod leases;
pub(crate) mod ledger;
pub(crate) mod lists;
pub(crate) mod order;
pub(crate) mod outcomes;
pub(crate) mod overview;
pub(crate) mod people;
pub(crate) mod races;
pub(crate) mod singles;
pub(crate) mod tokens;
pub(crate) mod uploads;

use std::any::Any;
use std::sync::Arc;

use certkeep_core::ports::Store;

/// An empty store, and what has to live as long as it does.
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) _alive: Box<dyn Any + Send>,
}

/// Makes a test of every sentence, in a module of this name, each on a store from `$open`.
macro_rules! contract {
    ($implementation:ident, $open:path) => {
        mod $implementation {
            crate::contract::sentences! { $open;
                audit: entries_come_back_as_they_were_chained,
                    entries_are_read_from_both_ends,
                    those_who_add_at_once_make_one_chain;
                certificates: an_uploaded_entry_holds_its_version_and_is_issued,
                    an_applied_entry_is_issuing_and_holds_nothing,
                    a_trusted_entry_has_no_key,
                    an_entry_is_found_by_its_name,
                    those_that_exist_are_found_by_number,
                    parameters_come_back_in_order_spelling_and_kind,
                    numbers_are_never_given_twice,
                    a_name_is_taken_once,
                    a_limit_counts_one_kind,
                    adding_uses_its_upload_up,
                    adding_does_not_use_up_what_was_uploaded_since,
                    an_upload_that_is_gone_adds_nothing,
                    an_entry_without_application_is_never_due;
                changes: a_due_change_makes_it_issuing_and_forgets_its_failure,
                    a_later_issuance_leaves_the_state,
                    a_new_version_becomes_current_and_is_a_success,
                    no_issuance_with_nothing_held_stays_as_it_is,
                    no_issuance_with_a_version_held_is_a_success,
                    forgetting_the_application_ends_renewal,
                    a_change_of_the_application_changes_issue_to_of_an_applied_one_only,
                    a_new_name_may_not_be_anothers,
                    a_refused_change_changes_nothing,
                    changing_does_not_use_up_what_was_uploaded_since,
                    an_entry_that_is_issuing_is_busy,
                    an_entry_that_waits_for_a_retry_is_not_busy,
                    only_server_certificates_are_changed,
                    deleting_deletes_versions,
                    servable_are_the_server_certificates_that_hold_something;
                clients: a_client_is_found_by_its_client_id,
                    clients_are_listed_by_name,
                    role_and_networks_are_changed_apart,
                    name_and_client_id_are_unique,
                    removing_deletes_tokens,
                    rotating_changes_the_secret_and_revokes_all_tokens,
                    the_epoch_grows_with_every_change_of_a_client,
                    a_block_comes_with_the_last_failure_in_a_row,
                    a_failure_while_blocked_prolongs_the_block,
                    a_failure_right_after_another_does_not_prolong_the_block,
                    a_block_that_ended_starts_the_count_anew,
                    a_success_forgets_failures,
                    subjects_are_counted_apart,
                    counters_are_swept_but_blocks_stay;
                journal: journalled_records_have_numbers_and_all_their_removal_needs,
                    journalling_needs_the_lease,
                    a_handle_is_kept,
                    records_of_a_running_issuance_are_not_due,
                    records_of_a_finished_issuance_are_due,
                    records_outlive_their_entry,
                    a_failed_removal_is_due_again_later,
                    a_removal_that_failed_during_the_run_waits_for_its_instant,
                    a_removed_record_is_gone,
                    a_value_that_two_issuances_share_is_wanted_while_the_other_runs;
                leases: due_entries_begin_once,
                    no_more_begin_than_asked_for_earliest_first,
                    a_leased_issuance_is_not_leased_again_before_its_end,
                    a_lease_that_ended_is_taken_over_with_a_higher_fence,
                    what_was_saved_is_leased_again,
                    saving_prolongs_the_lease,
                    an_older_fence_writes_nothing,
                    a_released_issuance_is_leased_at_once,
                    a_paused_issuance_is_leased_when_its_time_comes,
                    the_application_is_the_one_it_began_with,
                    next_due_is_the_earliest_of_all_work,
                    nothing_is_due_in_an_empty_store;
                ledger: no_more_is_spent_than_there_is,
                    what_says_nothing_any_more_is_swept,
                    a_wait_is_kept_until_it_ends,
                    what_happened_together_is_counted_together,
                    the_ca_that_issued_is_asked_and_nobody_else,
                    the_instant_that_was_chosen_begins_the_next_issuance,
                    an_answer_about_what_is_no_longer_held_is_dropped,
                    an_answer_does_not_put_off_what_was_asked_for;
                lists: pages_cut_one_order,
                    a_page_past_the_end_is_empty_with_the_total,
                    one_kind_only,
                    nothing_held_comes_last_in_both_directions,
                    every_order_agrees_with_a_model;
                order: what_is_most_pressing_begins_first,
                    renewals_begin_at_the_pace,
                    what_is_put_off_becomes_urgent_and_is_held_back_no_more,
                    renewals_keep_out_of_the_first_minutes_of_an_hour,
                    a_clock_that_was_ahead_holds_nothing_back,
                    clients_take_turns,
                    a_retry_takes_a_new_turn,
                    what_a_person_asks_for_is_not_held_back,
                    what_waits_for_its_turn_can_be_changed_and_deleted,
                    a_crowd_is_marked_and_begun_in_the_end;
                outcomes: an_issued_version_is_current_and_renewed_at_its_time,
                    the_old_version_serves_until_the_new_one_is_there,
                    a_failure_keeps_what_is_held_and_is_tried_again,
                    a_final_failure_is_never_due,
                    failures_in_a_row_are_counted_until_a_success,
                    the_failure_is_shown_until_the_next_issuance_begins,
                    finishing_needs_the_lease,
                    a_finished_issuance_is_never_leased,
                    a_renewed_upload_stays_an_upload;
                overview: a_search_finds_parts_of_names_in_any_case,
                    a_search_finds_states_and_ends,
                    a_search_is_cut_into_pages,
                    concerns_are_those_of_the_rule,
                    a_calendar_counts_by_day,
                    an_outline_tells_what_is_planned;
                people: a_user_is_found_by_name,
                    only_the_setup_token_makes_the_first_user,
                    the_last_admin_stays,
                    the_epoch_grows_with_every_change_of_a_user_or_token,
                    one_time_passwords_are_asked_for_once_they_are_confirmed,
                    a_step_is_used_once,
                    a_session_is_opened_by_the_present_password_only,
                    another_password_ends_all_other_sessions,
                    sessions_are_seen_closed_and_swept,
                    a_token_is_read_back_with_its_owner,
                    a_token_goes_with_its_owner;
                races: an_aborted_call_leaves_nothing_half_done,
                    no_issuance_is_leased_twice,
                    a_name_is_given_to_exactly_one,
                    a_limit_holds,
                    an_upload_is_used_by_exactly_one,
                    live_sessions_never_exceed_the_limit,
                    rotating_at_once_leaves_one_current_pair;
                singles: a_setting_is_read_back_and_replaced,
                    an_account_is_kept_for_its_directory,
                    of_those_who_make_an_account_at_once_all_have_the_first;
                tokens: an_open_session_is_read_back,
                    no_more_than_the_limit_are_live,
                    a_session_counts_through_its_grace_and_no_longer,
                    revoking_frees_a_slot_and_kills_both_tokens_at_once,
                    revoking_tells_whose_it_was_twice_too,
                    rotating_uses_no_further_slot,
                    the_old_pair_dies_after_its_grace,
                    a_refresh_token_dies_at_its_end,
                    a_second_rotation_replaces_the_first_ones_pair,
                    revoking_the_new_pair_kills_the_old_one_in_its_grace,
                    revoking_the_old_pair_leaves_the_new_one,
                    a_removed_client_gets_no_session,
                    a_secret_that_changed_meanwhile_opens_nothing,
                    rotating_from_elsewhere_changes_nothing,
                    rotating_an_ended_session_needs_a_slot,
                    dead_tokens_are_told_until_they_are_swept;
                uploads: an_upload_is_read_back,
                    a_later_upload_of_the_name_replaces_the_earlier,
                    kinds_are_apart,
                    an_upload_is_there_only_after_since,
                    old_uploads_are_swept,
                    no_more_are_kept_than_asked_for;
            }
        }
    };
}

/// A test of each function of a room.
macro_rules! sentences {
    ($open:path; $($room:ident: $($sentence:ident),+;)+) => {
        $(mod $room { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $sentence() {
                let opened = $open().await;
                crate::contract::$room::$sentence(opened.store.clone()).await;
            }
        )+ })+
    };
}

pub(crate) use {contract, sentences};
