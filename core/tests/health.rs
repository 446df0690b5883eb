//! A target's health (S2): valid and complete JSON, counters that add up, shared by all proxies of one name (C4), forgotten
//! by a forked child as far as it is the parent's (F3).

mod common;

use std::thread;

use ambassador_core::call::{Decision, Outcome};
use ambassador_core::clock::SECOND;
use ambassador_core::{AmbassadorProxy, runtime};
use common::*;

#[test]
fn health_has_every_number_and_nothing_else() {
    let none = serde_json::json!({ "count": 0, "p50_ns": null, "p90_ns": null, "p99_ns": null, "p999_ns": null });
    let windows = serde_json::json!({ "10s": none, "60s": none });
    let proxy = AmbassadorProxy::builder("http://10.0.0.7:8443/v1").name("payments \"new\" \\ é").build().unwrap();
    let health: serde_json::Value = serde_json::from_str(&proxy.health()).unwrap();
    assert_eq!(
        health,
        serde_json::json!({
            "target": "http://10.0.0.7:8443/v1",
            "name": "payments \"new\" \\ é",
            "in_flight": 0,
            "calls": { "ok": 0, "failure": 0, "timeout": 0, "rejected": 0, "cancelled": 0, "fallback": 0 },
            "attempts": { "ok": 0, "failure": 0, "timeout": 0, "cancelled": 0 },
            "retries": 0, "hedges": 0,
            "late_results": 0,
            "abandoned": 0,
            "internal_errors": 0,
            "events_dropped": 0,
            "rejections": { "shutdown": 0, "rate_limited": 0, "bulkhead_full": 0, "circuit_open": 0, "no_endpoint": 0 },
            "circuit": {
                "state": "closed",
                "open_for_ns": null,
                "outcomes": 0,
                "failures": 0,
                "transitions": { "closed": 0, "open": 0, "half_open": 0, "isolated": 0 },
            },
            "budget": { "tokens": 100 },
            "bulkhead": null,
            "endpoints": null,
            "latency": { "calls": windows, "attempts": windows },
        })
    );
}

#[test]
fn a_call_is_in_flight_until_it_ends() {
    let proxy = builder().max_retries(2).backoff(exactly()).build().unwrap();
    let mut call = begin(&proxy, T0);
    assert_eq!(number(&proxy, "in_flight"), 1);
    fail_and_wait(&proxy, &mut call);
    assert_eq!((number(&proxy, "in_flight"), number(&proxy, "retries")), (1, 1));
    let mut other = begin(&proxy, T0);
    assert_eq!(number(&proxy, "in_flight"), 2);
    let _ = proxy.settle(&mut call, T0, Outcome::Ok, None);
    proxy.cancel(&mut other, T0);
    assert_eq!(number(&proxy, "in_flight"), 0);
}

#[test]
fn work_that_outlives_its_bound_is_counted_while_it_lasts_and_never_below_zero() {
    let proxy = builder().build().unwrap();
    proxy.note_abandoned();
    proxy.note_abandoned();
    assert_eq!(number(&proxy, "abandoned"), 2);
    for left in [1, 0, 0] {
        proxy.note_abandoned_ended();
        assert_eq!(number(&proxy, "abandoned"), left);
    }
    proxy.note_late();
    assert_eq!(number(&proxy, "late_results"), 1);
}

#[test]
fn proxies_of_one_target_share_its_counters_and_a_name_sets_them_apart() {
    let one = AmbassadorProxy::new("shared.example.com").unwrap();
    let other = AmbassadorProxy::builder("shared.example.com").max_retries(9).build().unwrap();
    let apart = AmbassadorProxy::builder("shared.example.com").name("apart").build().unwrap();
    let mut call = begin(&one, T0);
    let _ = one.clone().settle(&mut call, T0, Outcome::Ok, None);
    assert_eq!((ends(&one), ends(&other), ends(&apart)), ([1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0; 5]));
    assert_eq!((one.policy().max_retries, other.policy().max_retries), (3, 9), "settings are each proxy's own");
    assert_eq!(apart.target(), "shared.example.com");
}

#[test]
fn a_targets_counters_live_as_long_as_somebody_uses_it() {
    let target = "short-lived.example.com";
    let first = AmbassadorProxy::new(target).unwrap();
    let mut call = begin(&first, T0);
    let second = first.clone();
    drop(first);
    let _ = second.settle(&mut call, T0, Outcome::Ok, None);
    assert_eq!(ends(&AmbassadorProxy::new(target).unwrap()), [1, 0, 0, 0, 0]);
    drop(second);
    assert_eq!(ends(&AmbassadorProxy::new(target).unwrap()), [0; 5]);
}

#[test]
fn what_eight_threads_count_adds_up() {
    let proxy = builder().max_retries(2).backoff(exactly()).build().unwrap();
    const EACH: u64 = 2000;
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for n in 0..EACH {
                    let mut call = begin(&proxy, T0);
                    match n % 5 {
                        0 => _ = proxy.settle(&mut call, T0, Outcome::Ok, None),
                        1 => _ = proxy.settle(&mut call, T0, Outcome::Fail, None),
                        2 => {
                            fail_and_wait(&proxy, &mut call);
                            _ = time_out(&proxy, &mut call);
                        }
                        3 => proxy.cancel(&mut call, T0),
                        _ => {
                            let Decision::WaitUntil(_) = fail(&proxy, &mut call, 0) else { panic!() };
                            proxy.cancel(&mut call, T0);
                        }
                    }
                    assert!(number(&proxy, "in_flight") <= 8);
                }
            });
        }
    });
    let fifth = 8 * EACH / 5;
    assert_eq!(ends(&proxy), [fifth, fifth, fifth, 0, 2 * fifth]);
    assert_eq!(attempts(&proxy), [fifth, 3 * fifth, fifth, fifth]);
    assert_eq!((number(&proxy, "retries"), number(&proxy, "in_flight")), (fifth, 0));
}

#[test]
fn a_child_forgets_what_its_parent_has_in_flight() {
    // What a child calls first; forking itself is tested where processes are, in the C binding.
    alone("a_child_forgets_what_its_parent_has_in_flight", || {
        let proxy = builder().build().unwrap();
        let mut ended = begin(&proxy, T0);
        let _ = proxy.settle(&mut ended, T0, Outcome::Ok, None);
        let _in_flight = begin(&proxy, T0);
        proxy.note_abandoned();
        runtime::forked();
        runtime::forked();
        assert_eq!((number(&proxy, "in_flight"), number(&proxy, "abandoned")), (0, 0));
        assert_eq!(ends(&proxy), [1, 0, 0, 0, 0], "what was counted stays counted");
        let mut own = begin(&proxy, T0 + SECOND);
        assert_eq!(number(&proxy, "in_flight"), 1);
        let _ = proxy.settle(&mut own, T0 + SECOND, Outcome::Ok, None);
        assert!(runtime::shutdown(PATIENCE));
    });
}
