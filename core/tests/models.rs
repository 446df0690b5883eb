//! The cells under every interleaving of a few threads, by loom: `cargo test -p ambassador-core --features loom --release --test
//! models`. Models are small on purpose; what many threads do to the real atomics is in the cells' own tests.
#![cfg(feature = "loom")]

use ambassador_core::models;

/// Every interleaving with at most two preemptions, which is where mistakes of this kind show, or as many as a minute allows.
fn check(model: fn()) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.max_duration = Some(std::time::Duration::from_secs(60));
    builder.check(model);
}

#[test]
fn a_breaker_opens_once_whoever_trips_it() {
    check(models::breaker_opens_once);
}

#[test]
fn a_breaker_misses_no_outcome_of_two_at_once() {
    check(models::breaker_misses_no_outcome);
}

#[test]
fn a_breaker_misses_no_success_of_two_at_once() {
    check(models::breaker_misses_no_success);
}

#[test]
fn half_open_admits_its_probes_and_no_more() {
    check(models::half_open_admits_its_probes);
}

#[test]
fn a_stale_outcome_moves_nothing_while_probes_report() {
    check(models::stale_outcomes_move_nothing);
}

#[test]
fn a_cancelled_probe_never_wedges_half_open() {
    check(models::a_cancelled_probe_leaves_no_trace);
}

#[test]
fn a_budget_is_never_overdrawn() {
    check(models::budget_is_not_overdrawn);
}

#[test]
fn a_window_counts_each_outcome_once() {
    check(models::window_counts_once);
}

#[test]
fn a_place_that_is_spared_is_missed_by_nobody() {
    check(models::a_spared_place_is_not_missed);
}

#[test]
fn a_place_that_is_spared_is_given_once() {
    check(models::a_spared_place_is_one_callers);
}

#[test]
fn abandoned_work_keeps_its_place_from_whoever_comes() {
    check(models::abandoned_work_keeps_the_place);
}

#[test]
fn nobody_is_forgotten_in_the_bulkheads_queue() {
    check(models::queue_forgets_nobody);
}

#[test]
fn who_leaves_the_queue_while_it_is_called_in_leaves_no_trace() {
    check(models::leaver_leaves_no_trace);
}

#[test]
fn ended_abandoned_work_calls_in_whoever_queues() {
    check(models::abandoned_work_calls_in);
}
