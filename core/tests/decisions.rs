//! A call as decisions in virtual time: outcomes (A1, A3), attempts (C1, R1), bounds and the deadline (T1, T3, R4), hints (R3),
//! and whatever a host may say too early, too late or twice. The numbers of the waits are in `schedule.rs`.

mod common;

use std::time::Duration;

use ambassador_core::call::{Decision, Give, Outcome, Stop};
use ambassador_core::clock::{MILLISECOND, NEVER, Nanos, SECOND};
use ambassador_core::proxy::Builder;
use ambassador_core::{AmbassadorProxy, Code};
use common::*;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The defaults, but with waits of exactly 2 s and 4 s.
fn seed() -> Builder {
    builder().backoff(exactly())
}

fn built(builder: Builder) -> AmbassadorProxy {
    builder.build().unwrap()
}

const LAST: Give = Give::LastError;
const TIMEOUT: Give = Give::Error(Code::Timeout);
const DEADLINE: Give = Give::Error(Code::Deadline);

// ---------------------------------------------------------------- outcomes and attempts

#[test]
fn a_success_ends_the_call_with_its_value() {
    let proxy = built(seed());
    let mut call = begin(&proxy, T0);
    assert_eq!((call.attempt(), call.entered(), call.started()), (1, T0, T0));
    assert_eq!(proxy.settle(&mut call, T0 + 5, Outcome::Ok, None), finish(Give::Value, Stop::Ok));
    assert_eq!((call.elapsed(T0 + 5), call.last()), (5, Outcome::Ok));
}

#[test]
fn max_retries_counts_attempts_in_all() {
    for attempts in [1, 2, 3, 100] {
        let proxy = built(builder().max_retries(attempts).backoff(briefly()));
        let mut call = begin(&proxy, T0);
        for attempt in 1..attempts {
            assert_eq!(call.attempt(), attempt);
            fail_and_wait(&proxy, &mut call);
        }
        assert_eq!(call.attempt(), attempts);
        assert_eq!(fail(&proxy, &mut call, 0), finish(LAST, Stop::Exhausted));
        assert_eq!(number(&proxy, "retries"), u64::from(attempts) - 1);
    }
}

#[test]
fn the_defaults_wait_two_and_four_seconds_and_then_give_up() {
    let proxy = built(seed());
    let mut call = begin(&proxy, T0);
    assert_eq!(fail(&proxy, &mut call, 7), Decision::WaitUntil(T0 + 7 + 2 * SECOND));
    assert_eq!(proxy.resume(&mut call, T0 + 7 + 2 * SECOND), Decision::Run);
    assert_eq!((call.attempt(), call.started(), call.entered()), (2, T0 + 7 + 2 * SECOND, T0));
    assert_eq!(fail(&proxy, &mut call, 0), Decision::WaitUntil(T0 + 7 + 6 * SECOND));
    assert_eq!(proxy.resume(&mut call, T0 + 7 + 6 * SECOND), Decision::Run);
    assert_eq!(fail(&proxy, &mut call, 0), finish(LAST, Stop::Exhausted));
}

#[test]
fn a_failure_that_may_not_be_tried_again_is_not() {
    let proxy = built(seed());
    let mut call = begin(&proxy, T0);
    assert_eq!(proxy.settle(&mut call, T0, Outcome::Fail, None), finish(LAST, Stop::NotRetryable));
}

#[test]
fn control_flow_ends_the_call_at_once_even_after_the_bound() {
    for at in [T0, T0 + 3600 * SECOND] {
        let proxy = built(seed().deadline(secs(3)));
        let mut call = begin(&proxy, T0);
        assert_eq!(proxy.settle(&mut call, at, Outcome::Cancelled, None), finish(LAST, Stop::Cancelled));
        assert_eq!((ends(&proxy), number(&proxy, "late_results")), ([0, 0, 0, 0, 1], 0));
    }
}

#[test]
fn outcomes_have_numbers_and_any_other_number_is_a_failure() {
    use Outcome::{Cancelled, Deferred, Fail, Ok, Overdue, Retry, Timeout};
    for (number, outcome) in [Ok, Retry, Fail, Timeout, Cancelled, Deferred, Overdue].into_iter().enumerate() {
        assert_eq!(outcome as u8 as usize, number);
        assert_eq!(Outcome::from_number(number as u8), outcome);
    }
    assert!((7..=255).all(|number| Outcome::from_number(number) == Outcome::Retry));
}

// ---------------------------------------------------------------- bounds

#[test]
fn an_attempts_bound_is_the_earlier_of_its_timeout_and_the_deadline() {
    let second = Duration::from_secs(1);
    for (timeout, deadline, first, next) in [
        (None, None, NEVER, NEVER),
        (Some(2 * second), None, T0 + 2 * SECOND, T0 + 4 * SECOND),
        (None, Some(3 * second), T0 + 3 * SECOND, T0 + 3 * SECOND),
        (Some(2 * second), Some(3 * second), T0 + 2 * SECOND, T0 + 3 * SECOND),
        (Some(2 * second), Some(4 * second), T0 + 2 * SECOND, T0 + 4 * SECOND),
        (Some(2 * second), Some(second * 5 / 2), T0 + 2 * SECOND, T0 + SECOND * 5 / 2),
    ] {
        let proxy = built(
            builder().timeout(timeout).deadline(deadline).backoff(ambassador_core::Backoff::constant(second * 2)),
        );
        let mut call = begin(&proxy, T0);
        assert_eq!(call.bound(), first, "{timeout:?} {deadline:?}");
        assert_eq!(fail(&proxy, &mut call, 0), Decision::WaitUntil(T0 + 2 * SECOND));
        assert_eq!(proxy.resume(&mut call, T0 + 2 * SECOND), Decision::Run);
        assert_eq!(call.bound(), next, "{timeout:?} {deadline:?}");
    }
}

#[test]
fn what_ends_exactly_at_its_bound_is_in_time_and_a_nanosecond_later_is_not() {
    let bound = T0 + 2 * SECOND;
    let proxy = built(seed());
    let mut call = begin(&proxy, T0);
    assert_eq!(proxy.settle(&mut call, bound, Outcome::Ok, None), finish(Give::Value, Stop::Ok));
    let mut call = begin(&proxy, T0);
    assert_eq!(proxy.settle(&mut call, bound + 1, Outcome::Ok, None), Decision::WaitUntil(bound + 1 + 2 * SECOND));
    assert_eq!((call.last(), number(&proxy, "late_results")), (Outcome::Timeout, 1));
    assert_eq!(attempts(&proxy), [1, 0, 1, 0]);
}

#[test]
fn what_comes_late_is_a_timeout_whatever_it_is() {
    for outcome in [Outcome::Ok, Outcome::Retry, Outcome::Fail] {
        let proxy = built(seed().max_retries(1));
        let mut call = begin(&proxy, T0);
        assert_eq!(proxy.settle(&mut call, T0 + 2 * SECOND + 1, outcome, None), finish(TIMEOUT, Stop::Exhausted));
        assert_eq!((ends(&proxy), number(&proxy, "late_results")), ([0, 0, 1, 0, 0], 1), "{outcome:?}");
    }
}

#[test]
fn an_attempt_that_times_out_is_tried_again_and_the_last_one_is_the_calls_error() {
    let proxy = built(seed().max_retries(2));
    let mut call = begin(&proxy, T0);
    assert_eq!(time_out(&proxy, &mut call), Decision::WaitUntil(T0 + 4 * SECOND));
    assert_eq!(proxy.resume(&mut call, T0 + 4 * SECOND), Decision::Run);
    assert_eq!(time_out(&proxy, &mut call), finish(TIMEOUT, Stop::Exhausted));
    assert_eq!((ends(&proxy), attempts(&proxy)), ([0, 0, 1, 0, 0], [0, 0, 2, 0]));
    assert_eq!(number(&proxy, "late_results"), 0);
}

#[test]
fn a_failure_after_a_timeout_is_the_last_real_error_and_the_other_way_around() {
    let proxy = built(seed().max_retries(2));
    let mut call = begin(&proxy, T0);
    let _ = time_out(&proxy, &mut call);
    assert_eq!(proxy.resume(&mut call, T0 + 4 * SECOND), Decision::Run);
    assert_eq!(fail(&proxy, &mut call, 0), finish(LAST, Stop::Exhausted));

    let mut call = begin(&proxy, T0);
    fail_and_wait(&proxy, &mut call);
    assert_eq!(time_out(&proxy, &mut call), finish(TIMEOUT, Stop::Exhausted));
}

// ---------------------------------------------------------------- the deadline

#[test]
fn the_deadline_wins_over_the_timeout_in_mid_attempt() {
    // Also when both fall on the same instant, and when no attempt would be left anyway.
    for (timeout, attempts) in [(None, 3), (Some(secs(3)), 3), (Some(secs(2)), 3), (Some(secs(2)), 1)] {
        let proxy = built(seed().max_retries(attempts).timeout(timeout).deadline(secs(2)));
        let mut call = begin(&proxy, T0);
        assert_eq!(call.bound(), T0 + 2 * SECOND);
        let ended = proxy.settle(&mut call, T0 + 2 * SECOND, Outcome::Timeout, None);
        assert_eq!(ended, finish(DEADLINE, Stop::Deadline), "{timeout:?} {attempts}");
        assert_eq!(ends(&proxy), [0, 0, 1, 0, 0]);
    }
}

#[test]
fn a_late_value_after_the_deadline_is_the_deadlines_error() {
    let proxy = built(seed().deadline(secs(1)));
    let mut call = begin(&proxy, T0);
    assert_eq!(proxy.settle(&mut call, T0 + SECOND + 1, Outcome::Ok, None), finish(DEADLINE, Stop::Deadline));
    assert_eq!(number(&proxy, "late_results"), 1);
}

#[test]
fn a_failure_exactly_at_the_deadline_is_the_last_real_error() {
    let proxy = built(seed().deadline(secs(1)));
    let mut call = begin(&proxy, T0);
    assert_eq!(fail(&proxy, &mut call, SECOND), finish(LAST, Stop::Deadline));
}

#[test]
fn a_wait_that_would_end_at_the_deadline_is_not_waited_and_one_a_nanosecond_shorter_is() {
    // R4: the wait is 2 s.
    let deadline = 3 * SECOND;
    for (failed_after, decision) in [
        (SECOND - 1, Decision::WaitUntil(T0 + deadline - 1)),
        (SECOND, finish(LAST, Stop::Deadline)),
        (SECOND + 1, finish(LAST, Stop::Deadline)),
    ] {
        let proxy = built(seed().deadline(secs(3)));
        let mut call = begin(&proxy, T0);
        assert_eq!(fail(&proxy, &mut call, failed_after), decision, "{failed_after}");
    }
}

#[test]
fn the_last_real_error_before_the_deadline_may_be_a_timeout() {
    let proxy = built(seed().timeout(secs(1)).deadline(secs(3)));
    let mut call = begin(&proxy, T0);
    assert_eq!(proxy.settle(&mut call, T0 + SECOND, Outcome::Timeout, None), finish(TIMEOUT, Stop::Deadline));
}

#[test]
fn a_nanosecond_before_the_deadline_an_attempt_still_runs_and_at_the_deadline_none_does() {
    for (woken, decision) in [
        (3 * SECOND - 1, Decision::Run),
        (3 * SECOND, finish(LAST, Stop::Deadline)),
        (NEVER - T0, finish(LAST, Stop::Deadline)),
    ] {
        let proxy = built(seed().deadline(secs(3)));
        let mut call = begin(&proxy, T0);
        let _ = fail(&proxy, &mut call, 0);
        assert_eq!(proxy.resume(&mut call, T0 + woken), decision, "{woken}");
        if decision == Decision::Run {
            assert_eq!(call.bound(), T0 + 3 * SECOND, "one nanosecond is left");
        } else {
            assert_eq!((ends(&proxy), attempts(&proxy)), ([0, 1, 0, 0, 0], [0, 1, 0, 0]));
        }
    }
}

// ---------------------------------------------------------------- hints

#[test]
fn a_hint_raises_the_wait_and_never_shortens_it() {
    for (hint, wait) in [
        (None, 2 * SECOND),
        (Some(0), 2 * SECOND),
        (Some(1), 2 * SECOND),
        (Some(2 * SECOND), 2 * SECOND),
        (Some(2 * SECOND + 1), 2 * SECOND + 1),
        (Some(60 * SECOND), 60 * SECOND),
    ] {
        let proxy = built(seed());
        let mut call = begin(&proxy, T0);
        assert_eq!(proxy.settle(&mut call, T0, Outcome::Retry, hint), Decision::WaitUntil(T0 + wait), "{hint:?}");
    }
}

#[test]
fn a_hint_above_its_cap_ends_the_call_with_the_last_real_error() {
    for hint in [60 * SECOND + 1, NEVER - 1, NEVER] {
        let proxy = built(seed());
        let mut call = begin(&proxy, T0);
        assert_eq!(proxy.settle(&mut call, T0, Outcome::Retry, Some(hint)), finish(LAST, Stop::HintTooLong));
        let mut call = begin(&proxy, T0);
        assert_eq!(proxy.settle(&mut call, T0, Outcome::Timeout, Some(hint)), finish(TIMEOUT, Stop::HintTooLong));
    }
}

#[test]
fn the_cap_of_hints_is_a_setting() {
    let proxy = built(builder().backoff(exactly().hint_max(Duration::ZERO)));
    let mut call = begin(&proxy, T0);
    assert_eq!(proxy.settle(&mut call, T0, Outcome::Retry, Some(1)), finish(LAST, Stop::HintTooLong));
    let mut call = begin(&proxy, T0);
    assert_eq!(proxy.settle(&mut call, T0, Outcome::Retry, Some(0)), Decision::WaitUntil(T0 + 2 * SECOND));
}

#[test]
fn a_hint_up_to_the_deadline_is_not_waited_for() {
    for (hint, decision) in
        [(30 * SECOND - 1, Decision::WaitUntil(T0 + 30 * SECOND - 1)), (30 * SECOND, finish(LAST, Stop::Deadline))]
    {
        let proxy = built(seed().deadline(secs(30)));
        let mut call = begin(&proxy, T0);
        assert_eq!(proxy.settle(&mut call, T0, Outcome::Retry, Some(hint)), decision);
    }
}

#[test]
fn a_hint_changes_nothing_where_no_attempt_would_follow() {
    for (outcome, ended) in [
        (Outcome::Ok, finish(Give::Value, Stop::Ok)),
        (Outcome::Fail, finish(LAST, Stop::NotRetryable)),
        (Outcome::Retry, finish(LAST, Stop::Exhausted)),
    ] {
        let proxy = built(seed().max_retries(1));
        let mut call = begin(&proxy, T0);
        assert_eq!(proxy.settle(&mut call, T0, outcome, Some(NEVER)), ended);
    }
}

// ---------------------------------------------------------------- waking

#[test]
fn who_wakes_early_is_told_to_go_on_waiting() {
    let proxy = built(seed());
    let mut call = begin(&proxy, T0);
    let until = T0 + 2 * SECOND;
    assert_eq!(fail(&proxy, &mut call, 0), Decision::WaitUntil(until));
    for early in [0, T0, T0, until - MILLISECOND, until - 1] {
        assert_eq!(proxy.resume(&mut call, early), Decision::WaitUntil(until));
    }
    assert_eq!(number(&proxy, "retries"), 0);
    assert_eq!(proxy.resume(&mut call, until), Decision::Run);
    assert_eq!(number(&proxy, "retries"), 1);
}

#[test]
fn who_wakes_late_starts_the_attempt_then() {
    let proxy = built(seed());
    let mut call = begin(&proxy, T0);
    let _ = fail(&proxy, &mut call, 0);
    assert_eq!(proxy.resume(&mut call, T0 + 100 * SECOND), Decision::Run);
    assert_eq!((call.started(), call.bound()), (T0 + 100 * SECOND, T0 + 102 * SECOND));
}

#[test]
fn without_backoff_the_wait_is_over_at_once() {
    let proxy = built(builder().backoff(ambassador_core::Backoff::none()));
    let mut call = begin(&proxy, T0);
    assert_eq!(fail(&proxy, &mut call, 7), Decision::WaitUntil(T0 + 7));
    assert_eq!(proxy.resume(&mut call, T0 + 7), Decision::Run);
}

// ---------------------------------------------------------------- after the end, and out of turn

/// Every way for a call to have ended.
fn ended_calls() -> Vec<(AmbassadorProxy, ambassador_core::call::Call)> {
    let mut all = Vec::new();
    for outcome in [Outcome::Ok, Outcome::Fail, Outcome::Cancelled, Outcome::Retry, Outcome::Timeout] {
        let proxy = built(seed().max_retries(1));
        let mut call = begin(&proxy, T0);
        let _ = proxy.settle(&mut call, T0, outcome, None);
        all.push((proxy, call));
    }
    let proxy = built(seed());
    let mut call = begin(&proxy, T0);
    proxy.cancel(&mut call, T0);
    all.push((proxy, call));
    let proxy = built(seed().deadline(secs(3)));
    let mut call = begin(&proxy, T0);
    let _ = fail(&proxy, &mut call, 0);
    let _ = proxy.resume(&mut call, T0 + 3 * SECOND);
    all.push((proxy, call));
    all
}

#[test]
fn what_is_said_of_a_call_after_its_end_changes_nothing() {
    let over = finish(LAST, Stop::Cancelled);
    for (proxy, mut call) in ended_calls() {
        let (before, health) = (call, proxy.health());
        for outcome in [Outcome::Ok, Outcome::Retry, Outcome::Fail, Outcome::Timeout, Outcome::Cancelled] {
            assert_eq!(proxy.settle(&mut call, T0 + 9 * SECOND, outcome, Some(1)), over);
        }
        assert_eq!(proxy.resume(&mut call, T0 + 9 * SECOND), over);
        proxy.cancel(&mut call, T0 + 9 * SECOND);
        assert_eq!((call, proxy.health()), (before, health));
        assert_eq!(number(&proxy, "in_flight"), 0);
    }
}

#[test]
fn a_host_that_settles_a_wait_or_resumes_an_attempt_ends_its_call() {
    let over = finish(LAST, Stop::Cancelled);
    let proxy = built(seed());
    let mut waits = begin(&proxy, T0);
    let _ = fail(&proxy, &mut waits, 0);
    assert_eq!(proxy.settle(&mut waits, T0 + 1, Outcome::Ok, None), over);
    assert_eq!((ends(&proxy), attempts(&proxy)), ([0, 0, 0, 0, 1], [0, 1, 0, 0]));
    let mut runs = begin(&proxy, T0);
    assert_eq!(proxy.resume(&mut runs, T0 + 1), over);
    assert_eq!((ends(&proxy), attempts(&proxy)), ([0, 0, 0, 0, 2], [0, 1, 0, 1]));
    assert_eq!(number(&proxy, "in_flight"), 0);
}

#[test]
fn a_call_can_be_cancelled_at_every_point() {
    let proxy = built(seed().max_retries(2));
    let stages: [fn(&AmbassadorProxy) -> ambassador_core::call::Call; 3] = [
        |proxy| begin(proxy, T0),
        |proxy| {
            let mut call = begin(proxy, T0);
            let _ = fail(proxy, &mut call, 0);
            call
        },
        |proxy| {
            let mut call = begin(proxy, T0);
            fail_and_wait(proxy, &mut call);
            call
        },
    ];
    for (at, (stage, counted)) in stages.iter().zip([[0, 0, 0, 1], [0, 1, 0, 1], [0, 2, 0, 2]]).enumerate() {
        let mut call = stage(&proxy);
        assert_eq!(number(&proxy, "in_flight"), 1);
        proxy.cancel(&mut call, T0 + 9 * SECOND);
        assert_eq!((call.last(), number(&proxy, "in_flight")), (Outcome::Cancelled, 0));
        assert_eq!((ends(&proxy), attempts(&proxy)), ([0, 0, 0, 0, at as u64 + 1], counted));
    }
}

#[test]
fn a_call_run_directly_is_over_from_the_start() {
    let proxy = built(seed());
    let mut call = ambassador_core::call::Call::direct(T0);
    assert_eq!((call.attempt(), call.bound(), call.elapsed(T0 + 5)), (1, NEVER, 5));
    assert_eq!(proxy.settle(&mut call, T0, Outcome::Ok, None), finish(LAST, Stop::Cancelled));
    proxy.cancel(&mut call, T0);
    assert_eq!((ends(&proxy), attempts(&proxy)), ([0; 5], [0; 4]));
}

// ---------------------------------------------------------------- the ends of time

#[test]
fn at_the_end_of_time_nothing_overflows() {
    for now in [NEVER - 1, NEVER] {
        let proxy = built(seed().deadline(secs(5)));
        let mut call = begin(&proxy, now);
        assert_eq!(call.bound(), NEVER);
        assert_eq!(proxy.settle(&mut call, now, Outcome::Retry, Some(SECOND)), finish(LAST, Stop::Deadline));
    }
}

#[test]
fn a_clock_that_goes_back_costs_nothing() {
    let proxy = built(seed());
    let mut call = begin(&proxy, T0);
    let earlier: Nanos = T0 - 500 * SECOND;
    assert_eq!(call.elapsed(earlier), 0);
    assert_eq!(proxy.settle(&mut call, earlier, Outcome::Retry, None), Decision::WaitUntil(earlier + 2 * SECOND));
    assert_eq!(
        proxy.end_note(&call, earlier, Stop::Cancelled),
        "[Ambassador] payment-api.example.com: 1 attempt in 0ms, cancelled"
    );
    proxy.cancel(&mut call, 0);
    assert_eq!(number(&proxy, "in_flight"), 0);
}
