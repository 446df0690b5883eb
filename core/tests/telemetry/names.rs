//! Which targets and endpoints have rows of their own, and that what was counted outlives who counted it (S2).

use ambassador_core::call::Outcome;
use ambassador_core::telemetry::{MOST_ENDPOINTS, MOST_TARGETS, OTHER, snapshot};
use ambassador_core::{AmbassadorProxy, Endpoint};

use crate::common::*;
use crate::parsed::Parsed;

fn named(name: &str) -> AmbassadorProxy {
    AmbassadorProxy::builder("payment-api.example.com").name(name).build().unwrap()
}

fn call(proxy: &AmbassadorProxy) {
    let mut call = begin(proxy, T0);
    let _ = proxy.settle(&mut call, T0, Outcome::Ok, None);
}

fn calls_of(name: &str) -> u64 {
    Parsed::now().sum("ambassador_calls_total", &[("target", name)])
}

#[test]
fn counters_outlive_the_last_proxy_and_go_on_when_the_name_returns() {
    let proxy = named("comes and goes");
    call(&proxy);
    drop(proxy);
    assert_eq!(calls_of("comes and goes"), 1);
    let again = named("comes and goes");
    assert_eq!((number(&again, "calls.ok"), calls_of("comes and goes")), (0, 1));
    call(&again);
    let seen = Parsed::now();
    assert_eq!(seen.sum("ambassador_calls_total", &[("target", "comes and goes")]), 2);
    assert_eq!(seen.sum("ambassador_call_duration_seconds_count", &[("target", "comes and goes")]), 2);
    let seen: serde_json::Value = serde_json::from_str(&snapshot()).unwrap();
    let target = seen["targets"].as_array().unwrap().iter().find(|target| target["name"] == "comes and goes").unwrap();
    assert_eq!(target["calls"]["ok"], 2);
    drop(again);
    let seen = snapshot();
    assert!(!seen.contains("comes and goes"), "who is gone is not shown as a target: {seen}");
}

#[test]
fn beyond_the_cap_targets_are_summed_under_other_and_counted() {
    alone("names::beyond_the_cap_targets_are_summed_under_other_and_counted", || {
        let proxies: Vec<_> = (0..MOST_TARGETS + 50).map(|n| named(&format!("target {n}"))).collect();
        proxies.iter().for_each(call);
        let seen = Parsed::now();
        let own = r#"ambassador_targets{row="own"}"#;
        let other = format!("ambassador_targets{{row=\"{OTHER}\"}}");
        assert_eq!((seen.0[own], seen.0[&other]), (MOST_TARGETS as f64, 50.0));
        assert_eq!((calls_of("target 0"), calls_of("target 249"), calls_of(OTHER)), (1, 0, 50));
        assert_eq!(seen.sum("ambassador_calls_total", &[]), 250);
        let told: serde_json::Value = serde_json::from_str(&snapshot()).unwrap();
        assert_eq!(told["targets"].as_array().unwrap().len(), MOST_TARGETS);
        assert_eq!((&told["other"]["targets"], &told["other"]["calls"]["ok"]), (&50.into(), &50.into()));

        // Those that are gone make room for others, and are still counted.
        drop(proxies);
        let more: Vec<_> = (0..30).map(|n| named(&format!("another {n}"))).collect();
        more.iter().for_each(call);
        assert_eq!((calls_of("another 7"), calls_of(OTHER)), (1, 80));
        assert_eq!(Parsed::now().sum("ambassador_calls_total", &[]), 280);
    });
}

#[test]
fn a_target_may_not_take_the_name_of_all_others() {
    alone("names::a_target_may_not_take_the_name_of_all_others", || {
        let proxy = named(OTHER);
        call(&proxy);
        let seen = Parsed::now();
        assert_eq!(seen.sum("ambassador_calls_total", &[("target", OTHER)]), 1);
        assert_eq!(seen.0[&format!("ambassador_targets{{row=\"{OTHER}\"}}")], 1.0);
    });
}

#[test]
fn beyond_the_cap_endpoints_are_together_and_all_are_counted() {
    let proxy =
        builder().endpoints((0..150).map(|n| Endpoint::new(&format!("10.0.0.{n}:80")).unwrap())).build().unwrap();
    let seen = Parsed::now();
    let target = ("target", proxy.name());
    let rows = seen.0.keys().filter(|sample| {
        sample.starts_with("ambassador_endpoint_healthy{") && sample.contains(&format!("\"{}\"", proxy.name()))
    });
    assert_eq!(rows.count(), MOST_ENDPOINTS + 1);
    assert_eq!(seen.sum("ambassador_endpoint_healthy", &[target, ("endpoint", OTHER)]), 1);
    assert_eq!(seen.sum("ambassador_endpoints", &[target, ("state", "healthy")]), 150);
}

#[test]
fn a_name_may_hold_anything() {
    let proxy = named("a \"name\" \\ of ours");
    call(&proxy);
    let sample = r#"ambassador_calls_total{target="a \"name\" \\ of ours",outcome="ok"}"#;
    assert_eq!(Parsed::now().0[sample], 1.0);
}
