//! The kit that every back end must pass: what [`Backend`] and its handles promise, as named cases.
//!
//! A back end's test gives [`run`] a [`Subject`] and is told every case that failed. Not inside: what only one
//! back end can promise (links, modes, full disks), and anything that needs an executor of its own.

mod kit;
mod modes;
mod names;
mod quotas;
mod reading;
mod resuming;
mod unique;
mod uploading;
mod usage;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;

use crate::Backend;
use kit::Kit;

/// A future of the kit, to be run to its end.
pub type Errand<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// What is examined.
pub struct Subject<'a> {
    /// Makes a new, empty store.
    pub make: &'a dyn Fn() -> Box<dyn Backend>,
    /// Runs a future to its end, for stores that answer [`Operation::Pending`](crate::Operation::Pending). Without
    /// it, such an operation must need no executor ([`Operation::wait`](crate::Operation::wait)).
    pub block_on: Option<&'a dyn Fn(Errand<'_>)>,
    /// Names that the store keeps for itself: they must be refused everywhere.
    pub reserved_names: &'a [&'a [u8]],
    /// Cases that this store by its nature does not offer, by their names in [`CASES`].
    pub without: &'a [&'a str],
}

impl<'a> Subject<'a> {
    /// A store that offers everything, needs no executor and reserves no names.
    pub fn new(make: &'a dyn Fn() -> Box<dyn Backend>) -> Subject<'a> {
        Subject { make, block_on: None, reserved_names: &[], without: &[] }
    }
}

/// One promise.
#[derive(Clone, Copy)]
pub struct Case {
    /// The area and the promise: `resuming::a_part_belongs_to_its_owner`.
    pub name: &'static str,
    check: fn(&Kit<'_>),
}

impl Case {
    /// Examines a new store of the subject.
    ///
    /// # Panics
    /// When the promise is not kept.
    pub fn run(&self, subject: &Subject<'_>) {
        (self.check)(&Kit::new(subject));
    }
}

/// Examines all [`CASES`], each on a new store.
///
/// # Panics
/// When a promise is not kept, naming all such cases; when [`Subject::without`] names a case that does not exist.
pub fn run(subject: &Subject<'_>) {
    for name in subject.without {
        assert!(CASES.iter().any(|case| case.name == *name), "there is no case {name}");
    }
    let failed: Vec<&str> = CASES
        .iter()
        .filter(|case| !subject.without.contains(&case.name))
        .filter(|case| catch_unwind(AssertUnwindSafe(|| case.run(subject))).is_err())
        .map(|case| case.name)
        .collect();
    assert!(failed.is_empty(), "{} cases failed: {}", failed.len(), failed.join(", "));
}

macro_rules! cases {
    ($($area:ident: $($case:ident),+;)+) => {
        /// All promises, from the simple to the intricate.
        pub const CASES: &[Case] = &[$($(
            Case { name: concat!(stringify!($area), "::", stringify!($case)), check: $area::$case },
        )+)+];
    };
}

cases! {
    reading:
        an_empty_store_is_an_empty_root,
        what_is_missing_is_said_to_be,
        an_entry_describes_the_file,
        a_file_is_read_at_any_offset,
        an_open_file_never_mixes_with_its_replacement,
        a_listing_has_every_entry_once,
        batches_of_a_listing_come_in_any_order,
        a_listing_bears_a_directory_that_changes,
        odd_names_come_back_as_they_are,
        names_need_not_be_utf_8;
    names:
        a_directory_is_made_once,
        a_file_is_removed,
        only_an_empty_directory_is_removed,
        the_root_stays,
        a_file_is_renamed,
        a_file_is_replaced_only_when_allowed,
        a_directory_is_renamed_with_what_it_holds,
        a_directory_is_never_replaced,
        a_directory_does_not_move_into_itself,
        a_time_of_modification_is_set,
        free_space_is_told_for_what_is_and_is_not_there,
        reserved_names_are_refused;
    uploading:
        a_commit_makes_the_file_visible,
        the_old_file_stands_until_the_commit,
        abandoning_leaves_the_old_file,
        the_last_octets_come_with_the_commit,
        last_octets_that_are_too_many,
        dropping_leaves_the_old_file,
        every_durability_stores_the_same,
        an_empty_file_is_stored,
        odd_sizes_of_writes_make_one_file,
        a_write_that_never_ran_leaves_no_hole,
        an_upload_needs_a_directory_and_a_name,
        without_overwrite_the_opening_asks,
        without_overwrite_the_commit_asks_again,
        a_directory_that_appears_is_not_replaced,
        of_two_uploads_the_last_commit_wins,
        an_upload_whose_directory_moves_does_not_appear_elsewhere,
        an_upload_holds_its_directory_or_fails;
    unique:
        a_free_wish_comes_true,
        a_taken_wish_gets_another_name,
        two_uploads_never_get_one_name,
        a_long_wish_is_shortened,
        what_appears_under_a_chosen_name_is_not_lost,
        an_abandoned_name_is_free_again;
    resuming:
        a_cut_upload_leaves_a_hidden_part,
        a_dropped_upload_leaves_a_part,
        a_part_is_continued_at_any_offset_it_has,
        beyond_its_end_a_part_is_left_alone,
        append_continues_a_part,
        append_and_at_0_begin_anew_without_a_part,
        a_part_belongs_to_its_owner,
        a_finished_file_hides_and_ends_the_part,
        a_newer_part_takes_the_place_of_an_older,
        an_upload_of_nothing_leaves_the_older_part,
        a_part_is_continued_by_one_only,
        parts_do_not_keep_a_directory,
        append_writes_behind_the_finished_file,
        a_failed_append_is_taken_back,
        at_the_end_is_like_append,
        before_the_end_a_new_file_is_made,
        beyond_the_end_nothing_is_written,
        without_overwrite_a_finished_file_is_not_continued,
        one_file_has_one_writer_in_place,
        a_file_replaced_under_its_writer_stays_replaced,
        a_discarded_upload_leaves_nothing;
    modes:
        a_new_file_has_the_mode_that_was_asked_for,
        a_new_directory_has_the_mode_that_was_asked_for,
        a_mode_is_set;
    usage:
        files_and_parts_are_used,
        usage_follows_every_operation,
        uploads_that_run_at_the_first_count_are_in_it;
    quotas:
        without_a_quota_nothing_is_refused,
        a_quota_is_exact_to_the_octet,
        a_quota_of_files_is_exact,
        what_is_replaced_is_credited,
        what_is_replaced_makes_room_only_once,
        an_older_part_is_credited,
        going_on_counts_what_is_added,
        a_file_that_shrinks_takes_its_credit_along,
        many_uploads_at_once_never_exceed_a_quota,
        no_part_is_kept_that_the_quota_has_no_room_for,
        a_file_limit_is_exact_to_the_octet;
}
