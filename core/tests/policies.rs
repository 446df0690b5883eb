//! What the policies' cells mean for a call, in virtual time: the breaker refuses and ends (B5, R6), the budget ends (R5), the
//! bulkhead and the rate limit let wait and refuse (L1, L2), something else answers (H2). The cells themselves are tested
//! beside them.

mod common;

use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};
use std::time::Duration;

use ambassador_core::call::{Call, Decision, Give, Outcome, Stop};
use ambassador_core::clock::{MILLISECOND, Nanos, SECOND};
use ambassador_core::event::Event;
use ambassador_core::proxy::Begin;
use ambassador_core::settings::{Settings, Spelling, Value};
use ambassador_core::{AmbassadorProxy, Breaker, Budget, Bulkhead, Code, RateLimit};
use common::*;

const LAST: Give = Give::LastError;

/// A proxy whose breaker has just opened, at T0.
fn opened(builder: ambassador_core::proxy::Builder) -> AmbassadorProxy {
    let proxy = builder.breaker(Breaker::default().min_calls(1)).build().unwrap();
    let mut call = begin(&proxy, T0);
    let _ = proxy.settle(&mut call, T0, Outcome::Fail, None);
    assert_eq!(circuit(&proxy), "open");
    proxy
}

fn circuit(proxy: &AmbassadorProxy) -> String {
    let health: serde_json::Value = serde_json::from_str(&proxy.health_at(T0)).unwrap();
    health["circuit"]["state"].as_str().unwrap().into()
}

fn refused(proxy: &AmbassadorProxy, now: Nanos) -> (Code, Option<Nanos>) {
    match proxy.begin(now) {
        Begin::Refuse(call, code) => (code, call.retry_after()),
        other => panic!("{other:?}"),
    }
}

fn waiting(proxy: &AmbassadorProxy, now: Nanos) -> (Call, Nanos) {
    match proxy.begin(now) {
        Begin::Wait(call, until) => (call, until),
        other => panic!("{other:?}"),
    }
}

// ---------------------------------------------------------------- breaker

#[test]
fn an_open_breaker_refuses_the_first_attempt_and_says_when_to_come_again() {
    let proxy = opened(builder());
    assert_eq!(refused(&proxy, T0 + SECOND), (Code::CircuitOpen, Some(4 * SECOND)));
    assert_eq!((ends(&proxy)[3], number(&proxy, "rejections.circuit_open"), number(&proxy, "in_flight")), (1, 1, 0));
    // Refusals count for nothing.
    assert_eq!(number(&proxy, "attempts.failure"), 1);
}

#[test]
fn the_call_that_trips_the_breaker_gets_its_own_error() {
    let proxy = builder().breaker(Breaker::default().min_calls(1)).build().unwrap();
    let mut call = begin(&proxy, T0);
    assert_eq!(fail(&proxy, &mut call, 0), finish(LAST, Stop::CircuitOpen));
}

#[test]
fn a_retry_that_would_come_to_an_open_breaker_is_not_waited_for_and_one_that_would_not_is() {
    for (wait, ends) in [(5 * SECOND - 1, true), (5 * SECOND, false)] {
        let backoff = ambassador_core::Backoff::constant(Duration::from_nanos(wait));
        let proxy = builder().backoff(backoff).breaker(Breaker::default().min_calls(1)).build().unwrap();
        let mut call = begin(&proxy, T0);
        let decision = fail(&proxy, &mut call, 0);
        match ends {
            true => assert_eq!(decision, finish(LAST, Stop::CircuitOpen)),
            false => assert_eq!(decision, Decision::WaitUntil(T0 + wait)),
        }
    }
}

#[test]
fn a_retry_whose_breaker_opened_meanwhile_ends_with_the_last_real_error() {
    let proxy = with_defaults().backoff(exactly()).breaker(Breaker::default().min_calls(2)).build().unwrap();
    let mut call = begin(&proxy, T0);
    assert_eq!(fail(&proxy, &mut call, 0), Decision::WaitUntil(T0 + 2 * SECOND));
    let mut other = begin(&proxy, T0 + SECOND);
    let _ = proxy.settle(&mut other, T0 + SECOND, Outcome::Fail, None);
    let tokens = number(&proxy, "budget.tokens");
    assert_eq!(proxy.resume(&mut call, T0 + 2 * SECOND), finish(LAST, Stop::CircuitOpen));
    assert!(number(&proxy, "budget.tokens") >= tokens, "its token is given back");
}

#[test]
fn half_open_closes_by_its_probes_and_says_so() {
    let proxy = opened(builder());
    let told = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&told);
    proxy.on_event(move |_, event| {
        if let Event::Circuit { from, to, .. } = event {
            kept.lock().unwrap().push((*from, *to));
        }
    });
    let now = T0 + 5 * SECOND;
    let mut probes = [(); 3].map(|()| begin(&proxy, now));
    assert_eq!(refused(&proxy, now), (Code::CircuitOpen, None));
    for probe in &mut probes {
        assert_eq!(proxy.settle(probe, now, Outcome::Ok, None), finish(Give::Value, Stop::Ok));
    }
    assert_eq!(circuit(&proxy), "closed");
    assert_eq!(*told.lock().unwrap(), [("open", "half_open"), ("half_open", "closed")]);
}

#[test]
fn a_cancelled_probe_gives_its_place_back() {
    let proxy = opened(builder().max_retries(1));
    let now = T0 + 5 * SECOND;
    let mut probes = [(); 3].map(|()| begin(&proxy, now));
    proxy.cancel(&mut probes[0], now);
    assert_eq!(circuit(&proxy), "half_open");
    let _ = begin(&proxy, now);
    assert_eq!(refused(&proxy, now).0, Code::CircuitOpen);
}

#[test]
fn isolated_refuses_whatever_the_time_until_it_is_reset() {
    let proxy = builder().breaker(Breaker::default()).build().unwrap();
    proxy.isolate();
    assert_eq!(refused(&proxy, T0 + 3600 * SECOND), (Code::CircuitOpen, None));
    proxy.reset();
    let _ = begin(&proxy, T0);
}

#[test]
fn without_a_breaker_nothing_is_ever_refused() {
    let proxy = builder().max_retries(1).build().unwrap();
    for _ in 0..1000 {
        let mut call = begin(&proxy, T0);
        let _ = fail(&proxy, &mut call, 0);
    }
    assert_eq!((ends(&proxy)[1], ends(&proxy)[3]), (1000, 0));
}

// ---------------------------------------------------------------- budget

#[test]
fn an_empty_budget_ends_a_call_with_its_own_error_and_never_refuses_a_first_attempt() {
    // One retry for the floor, and one for every five calls.
    let proxy = with_defaults().breaker(None).budget(Budget::default().min_per_second(0.1)).build().unwrap();
    let ends: Vec<bool> = (0..11)
        .map(|_| {
            let mut call = begin(&proxy, T0);
            match fail(&proxy, &mut call, 0) {
                Decision::WaitUntil(_) => false,
                decision => {
                    assert_eq!(decision, finish(LAST, Stop::BudgetEmpty));
                    true
                }
            }
        })
        .collect();
    let retried: Vec<usize> = (0..ends.len()).filter(|&n| !ends[n]).collect();
    assert_eq!(retried, [0, 4, 9]);
}

#[test]
fn a_wait_that_is_cut_short_gives_its_token_back() {
    let proxy = with_defaults().breaker(None).deadline(Duration::from_secs(60)).build().unwrap();
    let mut call = begin(&proxy, T0);
    let _ = fail(&proxy, &mut call, 0);
    let before: serde_json::Value = serde_json::from_str(&proxy.health_at(T0)).unwrap();
    proxy.cancel(&mut call, T0 + SECOND);
    let after: serde_json::Value = serde_json::from_str(&proxy.health_at(T0)).unwrap();
    assert_eq!(before["budget"]["tokens"].as_u64().unwrap() + 1, after["budget"]["tokens"].as_u64().unwrap());
}

// ---------------------------------------------------------------- bulkhead

struct Woken(Mutex<u32>);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        *self.0.lock().unwrap() += 1;
    }
}

#[test]
fn a_full_bulkhead_refuses_and_has_room_again_when_a_call_ends_in_whatever_way() {
    let proxy = builder().bulkhead(Bulkhead::new(1)).build().unwrap();
    for end in [Outcome::Ok, Outcome::Fail, Outcome::Cancelled] {
        let mut call = begin(&proxy, T0);
        assert_eq!(refused(&proxy, T0), (Code::BulkheadFull, None));
        let _ = proxy.settle(&mut call, T0, end, None);
    }
    let mut call = begin(&proxy, T0);
    proxy.cancel(&mut call, T0);
    assert_eq!((number(&proxy, "bulkhead.occupied"), number(&proxy, "rejections.bulkhead_full")), (0, 3));
}

#[test]
fn a_call_keeps_its_place_between_its_attempts() {
    let proxy = builder().bulkhead(Bulkhead::new(1)).build().unwrap();
    let mut call = begin(&proxy, T0);
    let _ = fail(&proxy, &mut call, 0);
    assert_eq!(refused(&proxy, T0).0, Code::BulkheadFull);
}

#[test]
fn who_queues_is_woken_and_runs_when_a_place_comes_free() {
    let proxy = builder().bulkhead(Bulkhead::new(1).max_queue(1)).build().unwrap();
    let mut first = begin(&proxy, T0);
    let (mut second, until) = waiting(&proxy, T0);
    assert_eq!(until, T0 + 2 * SECOND, "as long as an attempt's timeout");
    let woken = Arc::new(Woken(Mutex::new(0)));
    proxy.wake_at_turn(&second, Waker::from(Arc::clone(&woken)));
    assert_eq!(proxy.resume(&mut second, T0 + SECOND), Decision::WaitUntil(until));
    let _ = proxy.settle(&mut first, T0 + SECOND, Outcome::Ok, None);
    assert_eq!(*woken.0.lock().unwrap(), 1);
    assert_eq!(proxy.resume(&mut second, T0 + SECOND), Decision::Run);
    assert_eq!((second.attempt(), second.bound()), (1, T0 + 3 * SECOND));
}

#[test]
fn who_queues_in_vain_is_refused_at_the_end_of_its_patience_and_leaves_no_trace() {
    let bulkhead = Bulkhead::new(1).max_queue(1).queue_timeout(Duration::from_millis(10));
    let proxy = builder().bulkhead(bulkhead).build().unwrap();
    let _first = begin(&proxy, T0);
    let (mut second, until) = waiting(&proxy, T0);
    assert_eq!(proxy.resume(&mut second, until - 1), Decision::WaitUntil(until));
    assert_eq!(proxy.resume(&mut second, until), finish(Give::Error(Code::BulkheadFull), Stop::BulkheadFull));
    assert_eq!((number(&proxy, "bulkhead.occupied"), number(&proxy, "bulkhead.queued")), (1, 0));
}

#[test]
fn what_expired_in_the_queue_is_not_run() {
    let proxy = builder().deadline(Duration::from_millis(10)).bulkhead(Bulkhead::new(1).max_queue(2)).build().unwrap();
    let mut first = begin(&proxy, T0);
    let (mut second, until) = waiting(&proxy, T0);
    let (mut third, _) = waiting(&proxy, T0);
    assert_eq!(until, T0 + 10 * MILLISECOND, "the deadline, which is earlier than the queue's timeout");
    let _ = proxy.settle(&mut first, T0, Outcome::Ok, None);
    // Its turn has come, but so has its deadline.
    let expired = finish(Give::Error(Code::Deadline), Stop::Deadline);
    assert_eq!(proxy.resume(&mut second, until), expired);
    assert_eq!(proxy.resume(&mut third, until), expired);
    assert_eq!((number(&proxy, "bulkhead.occupied"), number(&proxy, "attempts.ok")), (0, 1));
}

#[test]
fn who_leaves_the_queue_makes_room_for_the_next() {
    let proxy = builder().bulkhead(Bulkhead::new(1).max_queue(2)).build().unwrap();
    let mut first = begin(&proxy, T0);
    let (mut second, _) = waiting(&proxy, T0);
    let (mut third, _) = waiting(&proxy, T0);
    let _ = proxy.settle(&mut first, T0, Outcome::Ok, None);
    // Its turn has come, and it goes away before it takes it.
    proxy.cancel(&mut second, T0);
    assert_eq!(proxy.resume(&mut third, T0), Decision::Run);
}

#[test]
fn abandoned_work_keeps_its_place() {
    let proxy = builder().max_retries(1).bulkhead(Bulkhead::new(1)).build().unwrap();
    let mut call = begin(&proxy, T0);
    proxy.note_abandoned();
    let _ = time_out(&proxy, &mut call);
    assert_eq!(refused(&proxy, T0).0, Code::BulkheadFull);
    proxy.note_abandoned_ended();
    let _ = begin(&proxy, T0);
}

// ---------------------------------------------------------------- rate limit

#[test]
fn a_call_beyond_the_rate_is_refused_or_waits_its_turn() {
    let refusing = builder().rate_limit(RateLimit::new(10.0).burst(1)).build().unwrap();
    let _ = begin(&refusing, T0);
    assert_eq!(refused(&refusing, T0), (Code::RateLimited, Some(SECOND / 10)));
    let limit = RateLimit::new(10.0).burst(1).max_wait(Duration::from_millis(150));
    let proxy = builder().rate_limit(limit).build().unwrap();
    let _ = begin(&proxy, T0);
    let (mut second, until) = waiting(&proxy, T0);
    assert_eq!(until, T0 + SECOND / 10);
    assert_eq!(refused(&proxy, T0), (Code::RateLimited, Some(SECOND / 5)));
    assert_eq!(proxy.resume(&mut second, until - 1), Decision::WaitUntil(until));
    assert_eq!(proxy.resume(&mut second, until), Decision::Run);
}

#[test]
fn a_turn_beyond_the_deadline_is_not_waited_for_and_one_that_is_given_up_is_the_next_ones() {
    let limit = RateLimit::new(10.0).burst(1).max_wait(Duration::from_secs(1));
    let proxy = builder().rate_limit(limit).deadline(Duration::from_millis(100)).build().unwrap();
    let _ = begin(&proxy, T0);
    assert_eq!(refused(&proxy, T0), (Code::RateLimited, Some(SECOND / 10)));
    let (mut second, until) = waiting(&proxy, T0 + 1);
    proxy.cancel(&mut second, T0 + 1);
    assert_eq!(waiting(&proxy, T0 + 2).1, until);
}

// ---------------------------------------------------------------- fallback

fn answering(more: &[(&str, Value)]) -> AmbassadorProxy {
    let mut settings = Settings::new("payment-api.example.com", Spelling::Python).unwrap();
    let name = builder().build().unwrap().name().to_owned();
    for (field, value) in [("name", Value::Text(name)), ("fallback", Value::Bool(true))].iter().chain(more) {
        settings.set(field, value.clone()).unwrap();
    }
    AmbassadorProxy::from_settings(settings).unwrap()
}

#[test]
fn a_call_whose_error_is_answered_counts_as_fallback_and_its_attempts_as_they_were() {
    let proxy = answering(&[("max_retries", Value::Int(1))]);
    let mut call = begin(&proxy, T0);
    assert_eq!(fail(&proxy, &mut call, 0), finish(LAST, Stop::Exhausted));
    assert!(call.is_answering());
    assert_eq!(number(&proxy, "in_flight"), 1);
    proxy.answered(&mut call, T0, true);
    proxy.answered(&mut call, T0, true);
    assert_eq!((number(&proxy, "calls.fallback"), ends(&proxy), attempts(&proxy)), (1, [0; 5], [0, 1, 0, 0]));
    assert_eq!(number(&proxy, "in_flight"), 0);
}

#[test]
fn an_answer_that_fails_leaves_the_call_as_it_ended() {
    let proxy = answering(&[("max_retries", Value::Int(1))]);
    let mut call = begin(&proxy, T0);
    let _ = time_out(&proxy, &mut call);
    proxy.answered(&mut call, T0, false);
    assert_eq!((number(&proxy, "calls.fallback"), ends(&proxy)), (0, [0, 0, 1, 0, 0]));
}

#[test]
fn a_refused_call_may_be_answered_and_a_success_or_a_cancelled_call_needs_no_answer() {
    let proxy = answering(&[("bulkhead.max_concurrent", Value::Int(1))]);
    let mut first = begin(&proxy, T0);
    let Begin::Refuse(mut refused, Code::BulkheadFull) = proxy.begin(T0) else { panic!("not refused") };
    assert!(refused.is_answering());
    proxy.answered(&mut refused, T0, true);
    assert_eq!((number(&proxy, "calls.fallback"), ends(&proxy)[3]), (1, 0));
    let _ = proxy.settle(&mut first, T0, Outcome::Ok, None);
    assert!(!first.is_answering());
    let mut cancelled = begin(&proxy, T0);
    let _ = proxy.settle(&mut cancelled, T0, Outcome::Cancelled, None);
    assert!(!cancelled.is_answering());
    assert_eq!(number(&proxy, "in_flight"), 0);
}

// ---------------------------------------------------------------- shared state, events

#[test]
fn the_newest_settings_hold_for_the_shared_state_and_who_listens_is_told() {
    let first = builder().breaker(Breaker::default().min_calls(100)).build().unwrap();
    first.keep_events();
    let second = AmbassadorProxy::builder("other.example.com")
        .name(first.name())
        .breaker(Breaker::default().min_calls(1))
        .budget(None)
        .build();
    let events = first.fetch_events();
    assert!(
        matches!(&events[..], [Event::Settings { before, now }] if before == "breaker.min_calls 100" && now == "breaker.min_calls 1"),
        "{events:?}"
    );
    let mut call = begin(&first, T0);
    let _ = proxy_fails(&first, &mut call);
    let second = second.unwrap();
    assert_eq!((circuit(&first), circuit(&second)), ("open".into(), "open".into()));
    assert_eq!(first.policy_in_force().shared, second.policy().shared);
}

#[test]
fn what_was_counted_over_another_window_does_not_count_and_what_the_change_does_not_concern_stays() {
    let first = builder().breaker(Breaker::default().min_calls(2)).build().unwrap();
    let mut call = begin(&first, T0);
    let _ = proxy_fails(&first, &mut call);
    let again = |breaker| {
        let builder = AmbassadorProxy::builder("other.example.com").name(first.name()).budget(None);
        builder.breaker(breaker).build().unwrap()
    };
    let _same_window = again(Breaker::default().min_calls(3));
    let failures = |proxy: &AmbassadorProxy| {
        let health: serde_json::Value = serde_json::from_str(&proxy.health_at(T0)).unwrap();
        health["circuit"]["failures"].as_u64().unwrap()
    };
    assert_eq!(failures(&first), 1);
    let _another = again(Breaker::default().min_calls(2).window(Duration::from_secs(7)));
    assert_eq!(failures(&first), 0);
    let mut call = begin(&first, T0);
    let _ = proxy_fails(&first, &mut call);
    assert_eq!((failures(&first), circuit(&first)), (1, "closed".into()));
}

fn proxy_fails(proxy: &AmbassadorProxy, call: &mut Call) -> Decision {
    proxy.settle(call, T0, Outcome::Fail, None)
}

#[test]
fn events_tell_what_happened_in_its_order() {
    let proxy = builder().max_retries(2).backoff(exactly()).breaker(Breaker::default().min_calls(2)).build().unwrap();
    proxy.keep_events();
    let mut call = begin(&proxy, T0);
    fail_and_wait(&proxy, &mut call);
    let _ = fail(&proxy, &mut call, 5);
    let kinds: Vec<_> = proxy.fetch_events().iter().map(Event::kind).collect();
    assert_eq!(kinds, ["attempt", "retry", "attempt", "circuit", "call"]);
    assert!(proxy.fetch_events().is_empty());
}
