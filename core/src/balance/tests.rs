//! Endpoints as calls meet them: who is chosen, who is left out, and what becomes of calls where there is nowhere to go. Driven as
//! any host drives calls, in instants of the tests' own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use super::*;
use crate::call::{Call, Decision, Give, Hedge as Hedging, Outcome, Stop};
use crate::clock::{MILLISECOND, Nanos, SECOND};
use crate::discovery::{Discovery, Source};
use crate::policy::Policy;
use crate::policy::hedge::Hedge;
use crate::proxy::Begin;
use crate::settings::{Settings, Spelling};
use crate::{AmbassadorProxy, Backoff, Code, Endpoint};

const T0: Nanos = 1_000_000 * SECOND;

fn proxy_of(change: impl FnOnce(&mut Policy)) -> AmbassadorProxy {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut settings = Settings::new("payment-api.example.com", Spelling::Rust).unwrap();
    settings.name = Some(format!("balanced {}", NEXT.fetch_add(1, Relaxed)));
    settings.policy.shared.breaker = None;
    settings.policy.shared.budget = None;
    settings.policy.backoff = Backoff::constant(std::time::Duration::from_millis(1));
    change(&mut settings.policy);
    let proxy = AmbassadorProxy::from_settings(settings).unwrap();
    proxy.seed_jitter(7);
    proxy
}

fn named(names: &[&str]) -> Vec<Endpoint> {
    names.iter().map(|name| Endpoint::new(name).unwrap()).collect()
}

fn balanced(balance: Balance, endpoints: Vec<Endpoint>) -> AmbassadorProxy {
    proxy_of(|policy| {
        policy.shared.balance = balance;
        policy.shared.hash_on = hash_on(balance);
        policy.shared.endpoints = endpoints;
    })
}

fn hash_on(balance: Balance) -> Option<HashOn> {
    matches!(balance, Balance::RingHash | Balance::Maglev).then_some(HashOn::Path)
}

fn begin(proxy: &AmbassadorProxy, now: Nanos) -> Call {
    match proxy.begin(now) {
        Begin::Run(call) => call,
        other => panic!("{other:?}"),
    }
}

fn at(proxy: &AmbassadorProxy, call: &Call) -> String {
    proxy.endpoint_of(call).as_str().into()
}

fn end(proxy: &AmbassadorProxy, call: &mut Call, outcome: Outcome, took: Nanos) -> Decision {
    let at = call.started() + took;
    proxy.settle(call, at, outcome, None)
}

/// The endpoints of so many calls, each of which succeeds after a millisecond.
fn chosen(proxy: &AmbassadorProxy, calls: usize) -> Vec<String> {
    (0..calls as u64)
        .map(|n| {
            let mut call = begin(proxy, T0 + n * 2 * MILLISECOND);
            let endpoint = at(proxy, &call);
            let _ = end(proxy, &mut call, Outcome::Ok, MILLISECOND);
            endpoint
        })
        .collect()
}

fn shares(chosen: &[String]) -> HashMap<&str, usize> {
    let mut shares = HashMap::new();
    chosen.iter().for_each(|endpoint| *shares.entry(endpoint.as_str()).or_default() += 1);
    shares
}

fn health(proxy: &AmbassadorProxy, now: Nanos) -> serde_json::Value {
    serde_json::from_str(&proxy.health_at(now)).unwrap()
}

/// Makes an attempt at that endpoint fail, so often.
fn fail_at(proxy: &AmbassadorProxy, endpoint: &str, times: usize, now: Nanos) {
    let mut failed = 0;
    while failed < times {
        let mut call = begin(proxy, now);
        let fails = at(proxy, &call) == endpoint;
        failed += usize::from(fails);
        let _ = end(proxy, &mut call, if fails { Outcome::Fail } else { Outcome::Ok }, MILLISECOND);
    }
}

#[test]
fn round_robin_goes_round() {
    let proxy = balanced(Balance::RoundRobin, named(&["a:1", "b:1", "c:1"]));
    assert_eq!(chosen(&proxy, 7), ["a:1", "b:1", "c:1", "a:1", "b:1", "c:1", "a:1"]);
}

#[test]
fn round_robin_spreads_who_is_heavy_over_the_round() {
    let weighted = vec![
        Endpoint::new("a:1").unwrap().weight(50),
        Endpoint::new("b:1").unwrap().weight(10),
        Endpoint::new("c:1").unwrap().weight(10),
    ];
    let chosen = chosen(&balanced(Balance::RoundRobin, weighted), 700);
    assert_eq!(shares(&chosen), HashMap::from([("a:1", 500), ("b:1", 100), ("c:1", 100)]));
    assert!(chosen.windows(4).all(|four| four.iter().any(|endpoint| endpoint != "a:1")), "never four times in a row");
}

#[test]
fn who_comes_back_to_a_round_does_not_catch_up() {
    let proxy = balanced(Balance::RoundRobin, named(&["a:1", "b:1"]));
    assert_eq!(shares(&chosen(&proxy, 100))["b:1"], 50);
    proxy.set_endpoints(named(&["a:1"]));
    assert_eq!(shares(&chosen(&proxy, 100))["a:1"], 100);
    proxy.set_endpoints(named(&["a:1", "b:1"]));
    let chosen = chosen(&proxy, 100);
    assert!(shares(&chosen)["b:1"].abs_diff(50) <= 1, "{chosen:?}");
}

#[test]
fn every_balancer_keeps_to_the_weights_while_all_are_equally_quick() {
    for balance in Balance::ALL {
        let weighted = vec![Endpoint::new("a:1").unwrap().weight(100), Endpoint::new("b:1").unwrap().weight(300)];
        let proxy = balanced(balance, weighted);
        let mut calls = Vec::new();
        let mut chosen = Vec::new();
        for n in 0..4000u64 {
            let Begin::Run(call) = proxy.begin_keyed(T0 + n * MILLISECOND, &n.to_le_bytes()) else { panic!() };
            chosen.push(at(&proxy, &call));
            calls.push(call);
            // Forty are under way at any time.
            if calls.len() > 40 {
                let _ = end(&proxy, &mut calls.remove(0), Outcome::Ok, 40 * MILLISECOND);
            }
        }
        let heavy = shares(&chosen)["b:1"];
        assert!(heavy.abs_diff(3000) < 200, "{balance:?}: {heavy}");
    }
}

#[test]
fn the_least_busy_is_the_one_with_the_fewest_attempts_in_flight() {
    let proxy = balanced(Balance::LeastRequest, named(&["a:1", "b:1", "c:1"]));
    let calls: Vec<Call> = (0..9).map(|_| begin(&proxy, T0)).collect();
    let chosen: Vec<String> = calls.iter().map(|call| at(&proxy, call)).collect();
    assert_eq!(shares(&chosen), HashMap::from([("a:1", 3), ("b:1", 3), ("c:1", 3)]));
}

#[test]
fn two_choices_leave_the_slow_one_alone() {
    let proxy = balanced(Balance::P2c, named(&["a:1", "b:1", "c:1"]));
    let slow = |endpoint: &str| if endpoint == "b:1" { 500 * MILLISECOND } else { 10 * MILLISECOND };
    let mut counts = HashMap::new();
    for n in 0..300 {
        let mut call = begin(&proxy, T0 + n * 20 * MILLISECOND);
        let endpoint = at(&proxy, &call);
        let _ = end(&proxy, &mut call, Outcome::Ok, slow(&endpoint));
        *counts.entry(endpoint).or_insert(0) += 1;
    }
    assert!(counts["b:1"] <= 3, "{counts:?}");
}

#[test]
fn a_key_finds_its_endpoint_again_and_the_next_one_while_that_is_away() {
    for balance in [Balance::RingHash, Balance::Maglev] {
        let proxy = balanced(balance, named(&["a:1", "b:1", "c:1"]));
        let keyed = |key: u64| {
            let Begin::Run(mut call) = proxy.begin_keyed(T0, &key.to_le_bytes()) else { panic!() };
            let endpoint = at(&proxy, &call);
            let _ = end(&proxy, &mut call, Outcome::Ok, MILLISECOND);
            endpoint
        };
        let owners: Vec<String> = (0..500).map(keyed).collect();
        assert_eq!(owners, (0..500).map(keyed).collect::<Vec<_>>(), "{balance:?}");
        assert_eq!(shares(&owners).len(), 3);
        proxy.set_endpoints(named(&["a:1", "c:1"]));
        let moved =
            owners.iter().zip((0..500).map(keyed)).filter(|(before, after)| *before != "b:1" && *before != after);
        assert!(moved.count() < 25, "{balance:?}");
    }
}

#[test]
fn a_retry_goes_where_the_call_has_not_been() {
    for balance in Balance::ALL {
        let proxy = proxy_of(|policy| {
            policy.max_retries = 4;
            policy.shared.balance = balance;
            policy.shared.hash_on = hash_on(balance);
            policy.shared.endpoints = named(&["a:1", "b:1", "c:1"]);
        });
        let Begin::Run(mut call) = proxy.begin_keyed(T0, b"a key") else { panic!() };
        let mut tried = vec![at(&proxy, &call)];
        for _ in 0..3 {
            let Decision::WaitUntil(until) = end(&proxy, &mut call, Outcome::Retry, 0) else { panic!() };
            call = Call::from_words(call.to_words());
            assert_eq!(proxy.resume(&mut call, until), Decision::Run);
            tried.push(at(&proxy, &call));
        }
        assert_eq!(shares(&tried[..3]).len(), 3, "{balance:?}: {tried:?}");
        assert_eq!(end(&proxy, &mut call, Outcome::Ok, 0), Decision::Finish(Give::Value, Stop::Ok));
        assert!(health(&proxy, T0)["endpoints"].as_array().unwrap().iter().all(|endpoint| endpoint["in_flight"] == 0));
    }
}

#[test]
fn when_all_have_been_tried_another_round_begins() {
    for balance in Balance::ALL {
        let proxy = proxy_of(|policy| {
            policy.max_retries = 6;
            policy.shared.balance = balance;
            policy.shared.hash_on = hash_on(balance);
            policy.shared.endpoints = named(&["a:1", "b:1"]);
        });
        let Begin::Run(mut call) = proxy.begin_keyed(T0, b"a key") else { panic!() };
        let mut tried = vec![at(&proxy, &call)];
        for _ in 0..5 {
            let Decision::WaitUntil(until) = end(&proxy, &mut call, Outcome::Retry, 0) else { panic!() };
            assert_eq!(proxy.resume(&mut call, until), Decision::Run);
            tried.push(at(&proxy, &call));
        }
        // Whoever fails so quickly that it seems the better one gets no more than every second attempt.
        assert!(tried.chunks(2).all(|round| round[0] != round[1]), "{balance:?}: {tried:?}");
        assert_eq!(end(&proxy, &mut call, Outcome::Ok, 0), Decision::Finish(Give::Value, Stop::Ok));
    }
}

#[test]
fn a_hedge_goes_to_another_endpoint_and_each_racer_gives_its_own_back() {
    let proxy = proxy_of(|policy| {
        policy.idempotent = true;
        policy.hedge = Some(Hedge::after(std::time::Duration::from_millis(10)));
        policy.shared.endpoints = named(&["a:1", "b:1"]);
    });
    let mut call = begin(&proxy, T0);
    let first = at(&proxy, &call);
    assert_eq!(proxy.hedge(&mut call, T0 + 10 * MILLISECOND), Hedging::Run);
    let second = at(&proxy, &call);
    assert_ne!(first, second);
    let in_flight = |now| {
        let health = health(&proxy, now);
        health["endpoints"]
            .as_array()
            .unwrap()
            .iter()
            .map(|endpoint| endpoint["in_flight"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(in_flight(T0), [1, 1]);
    let _ = proxy.settle_attempt(&mut call, 2, T0 + 15 * MILLISECOND, Outcome::Ok, None);
    assert_eq!(in_flight(T0), [0, 0]);
    let health = health(&proxy, T0 + 15 * MILLISECOND);
    let ewma = |name: &str| {
        let all = health["endpoints"].as_array().unwrap();
        all.iter().find(|endpoint| endpoint["address"] == name).unwrap()["ewma_ns"].as_f64().unwrap()
    };
    assert!(ewma(&first) > 2.0 * ewma(&second), "who lost had run for longer already");
}

#[test]
fn the_own_zone_goes_first_for_as_long_as_somebody_there_is_well_and_untried() {
    let proxy = proxy_of(|policy| {
        policy.max_retries = 3;
        policy.shared.zone = Some("here".into());
        policy.shared.outlier = Some(Outlier { max_ejected: 1.0, panic: 0.0, ..Outlier::default() });
        policy.shared.endpoints = vec![
            Endpoint::new("a:1").unwrap().zone("there"),
            Endpoint::new("b:1").unwrap().zone("here"),
            Endpoint::new("c:1").unwrap().zone("there"),
        ];
    });
    assert_eq!(shares(&chosen(&proxy, 50)), HashMap::from([("b:1", 50)]));
    let mut call = begin(&proxy, T0);
    let Decision::WaitUntil(until) = end(&proxy, &mut call, Outcome::Retry, 0) else { panic!() };
    assert_eq!(proxy.resume(&mut call, until), Decision::Run);
    assert_ne!(at(&proxy, &call), "b:1", "tried");
    let _ = end(&proxy, &mut call, Outcome::Ok, 0);
    fail_at(&proxy, "b:1", 4, T0);
    assert_eq!(shares(&chosen(&proxy, 50)).get("b:1"), None, "left out");
}

#[test]
fn five_failures_in_a_row_leave_an_endpoint_out_and_time_brings_it_back() {
    let proxy = balanced(Balance::RoundRobin, named(&["a:1", "b:1", "c:1"]));
    let heard = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heard);
    proxy.on_event(move |name, event| {
        if event.kind() == "endpoint" {
            let json: serde_json::Value = serde_json::from_str(&event.to_json(name)).unwrap();
            kept.lock().unwrap().push((json["address"].clone(), json["to"].clone(), json["ejected_for_ns"].as_u64()));
        }
    });
    fail_at(&proxy, "b:1", 5, T0);
    let now = T0 + MILLISECOND;
    assert_eq!(health(&proxy, now)["endpoints"][1]["state"], "ejected");
    assert_eq!(health(&proxy, now)["endpoints"][1]["ejected_for_ns"], 30 * SECOND);
    assert_eq!(shares(&chosen(&proxy, 60)), HashMap::from([("a:1", 30), ("c:1", 30)]));
    // Exactly then.
    let mut early = begin(&proxy, now + 30 * SECOND - 1);
    assert_ne!(at(&proxy, &early), "b:1");
    let _ = end(&proxy, &mut early, Outcome::Ok, 0);
    let mut back = begin(&proxy, now + 30 * SECOND);
    assert_eq!(at(&proxy, &back), "b:1");
    let _ = end(&proxy, &mut back, Outcome::Ok, 0);
    assert_eq!(health(&proxy, now + 30 * SECOND)["endpoints"][1]["times_ejected"], 1);
    let (b, told) = ("b:1".into(), |to: &str| to.into());
    let b: serde_json::Value = b;
    assert_eq!(*heard.lock().unwrap(), [(b.clone(), told("ejected"), Some(30 * SECOND)), (b, told("back"), None)]);
}

#[test]
fn no_more_are_left_out_than_their_share() {
    let names: Vec<String> = (0..10).map(|n| format!("e{n}:1")).collect();
    let proxy = balanced(Balance::RoundRobin, named(&names.iter().map(String::as_str).collect::<Vec<_>>()));
    for n in 0..200 {
        let mut call = begin(&proxy, T0 + n);
        let _ = end(&proxy, &mut call, Outcome::Fail, 0);
    }
    let health = health(&proxy, T0 + SECOND);
    let ejected = health["endpoints"].as_array().unwrap().iter().filter(|endpoint| endpoint["state"] == "ejected");
    assert_eq!(ejected.count(), 1);
}

#[test]
fn below_the_panic_threshold_health_is_ignored() {
    let proxy = proxy_of(|policy| {
        policy.max_retries = 1;
        policy.shared.balance = Balance::RoundRobin;
        policy.shared.outlier = Some(Outlier { max_ejected: 1.0, panic: 0.5, ..Outlier::default() });
        policy.shared.endpoints = named(&["a:1", "b:1", "c:1"]);
    });
    fail_at(&proxy, "a:1", 5, T0);
    assert_eq!(shares(&chosen(&proxy, 60)).len(), 2, "two of three are well");
    fail_at(&proxy, "b:1", 5, T0);
    let chosen = chosen(&proxy, 60);
    assert!(shares(&chosen).values().all(|share| share.abs_diff(20) <= 1) && shares(&chosen).len() == 3);
}

#[test]
fn without_panic_a_call_is_refused_when_none_is_well_and_its_probe_goes_back() {
    let proxy = proxy_of(|policy| {
        policy.max_retries = 2;
        policy.shared.breaker = Some(crate::Breaker::default());
        policy.shared.outlier = Some(Outlier { max_ejected: 1.0, panic: 0.0, ..Outlier::default() });
        policy.shared.endpoints = named(&["a:1", "b:1"]);
    });
    fail_at(&proxy, "a:1", 5, T0);
    // The last one that is well fails, and there is nobody to try again.
    let mut ends = Vec::new();
    for n in 0.. {
        let Begin::Run(mut call) = proxy.begin(T0 + n) else { break };
        let mut decision = end(&proxy, &mut call, Outcome::Retry, 0);
        if let Decision::WaitUntil(until) = decision {
            decision = proxy.resume(&mut call, until);
            if decision == Decision::Run {
                decision = end(&proxy, &mut call, Outcome::Retry, 0);
            }
        }
        ends.push(decision);
    }
    assert!(ends.contains(&Decision::Finish(Give::LastError, Stop::NoEndpoint)), "{ends:?}");
    let Begin::Refuse(call, Code::NoEndpoint) = proxy.begin(T0 + SECOND) else { panic!() };
    assert!(!call.is_answering());
    let health = health(&proxy, T0 + SECOND);
    assert_eq!(health["rejections"]["no_endpoint"].as_u64().unwrap(), health["calls"]["rejected"].as_u64().unwrap());
    assert_eq!(health["in_flight"], 0);
}

#[test]
fn an_empty_set_that_was_given_is_obeyed() {
    let proxy = proxy_of(|policy| policy.shared.endpoints = named(&["a:1"]));
    proxy.set_endpoints(Vec::new());
    assert!(matches!(proxy.begin(T0), Begin::Refuse(_, Code::NoEndpoint)));
    proxy.set_endpoints(named(&["b:1"]));
    assert_eq!(at(&proxy, &begin(&proxy, T0)), "b:1");
}

#[test]
fn an_attempt_keeps_its_endpoint_when_that_is_gone() {
    let proxy = proxy_of(|policy| policy.shared.endpoints = named(&["a:1"]));
    let mut call = begin(&proxy, T0);
    for names in [["b:1", "c:1"], ["c:1", "d:1"], ["e:1", "f:1"]] {
        proxy.set_endpoints(named(&names));
        assert_eq!(at(&proxy, &call), "a:1");
    }
    let _ = end(&proxy, &mut call, Outcome::Ok, 0);
}

#[test]
fn the_newest_settings_endpoints_hold_and_without_any_the_target_is_the_one() {
    let settings = |endpoints: &[&str]| {
        let mut settings = Settings::new("payment-api.example.com", Spelling::Rust).unwrap();
        settings.name = Some("of two minds".into());
        settings.policy.shared.endpoints = named(endpoints);
        AmbassadorProxy::from_settings(settings).unwrap()
    };
    let one = settings(&["a:1"]);
    let mut under_way = begin(&one, T0);
    let other = settings(&["b:1"]);
    assert_eq!((at(&one, &begin(&one, T0)), at(&other, &begin(&other, T0))), ("b:1".into(), "b:1".into()));
    let _ = settings(&[]);
    assert_eq!(at(&one, &begin(&one, T0)), "payment-api.example.com");
    assert_eq!(health(&one, T0)["endpoints"], serde_json::Value::Null);
    let _ = end(&one, &mut under_way, Outcome::Ok, 0);
}

struct Told(AtomicU64);

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

fn discovered() -> AmbassadorProxy {
    proxy_of(|policy| {
        policy.deadline = Some(5 * SECOND);
        // Nobody is there to tell of it.
        policy.shared.discovery = Some(Discovery::new(Source::File("/nowhere/endpoints.yaml".into())));
    })
}

#[test]
fn until_the_first_endpoints_are_found_calls_wait_and_are_woken() {
    let proxy = discovered();
    let Begin::Wait(mut call, until) = proxy.begin(T0) else { panic!() };
    assert_eq!(until, T0 + 2 * SECOND, "as long as an attempt may take");
    assert!(proxy.is_queued(&call));
    call = Call::from_words(call.to_words());
    assert_eq!(proxy.resume(&mut call, T0 + SECOND), Decision::WaitUntil(until));
    let told = Arc::new(Told(AtomicU64::new(0)));
    proxy.wake_at_turn(&call, Waker::from(Arc::clone(&told)));
    assert_eq!(told.0.load(Relaxed), 0);
    proxy.set_endpoints(named(&["a:1"]));
    assert_eq!(told.0.load(Relaxed), 1);
    assert_eq!(proxy.resume(&mut call, T0 + SECOND), Decision::Run);
    assert_eq!((at(&proxy, &call), call.bound()), ("a:1".into(), T0 + 3 * SECOND));
    assert_eq!(end(&proxy, &mut call, Outcome::Ok, 0), Decision::Finish(Give::Value, Stop::Ok));
}

#[test]
fn who_has_waited_for_them_in_vain_is_refused() {
    let proxy = discovered();
    let Begin::Wait(mut call, until) = proxy.begin(T0) else { panic!() };
    let refused = Decision::Finish(Give::Error(Code::NoEndpoint), Stop::NoEndpoint);
    assert_eq!(proxy.resume(&mut call, until), refused);
    let Begin::Wait(mut call, _) = proxy.begin(T0) else { panic!() };
    proxy.cancel(&mut call, T0);
    let health = health(&proxy, T0);
    assert_eq!(
        (&health["rejections"]["no_endpoint"], &health["calls"]["cancelled"], &health["in_flight"]),
        (&1.into(), &1.into(), &0.into())
    );
}

#[test]
fn what_outlives_a_change_of_many_endpoints_adds_up() {
    let proxy = balanced(Balance::P2c, named(&["e0:1", "e1:1"]));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for n in 0..3000u64 {
                    let mut call = begin(&proxy, T0 + n);
                    assert_ne!(at(&proxy, &call), "payment-api.example.com");
                    let _ = end(&proxy, &mut call, if n % 3 == 0 { Outcome::Retry } else { Outcome::Ok }, 1);
                    proxy.cancel(&mut call, T0 + n);
                }
            });
        }
        scope.spawn(|| {
            for n in 0..500 {
                let names: Vec<String> = (n % 7..n % 7 + 3).map(|n| format!("e{n}:1")).collect();
                proxy.set_endpoints(named(&names.iter().map(String::as_str).collect::<Vec<_>>()));
            }
        });
    });
    let health = health(&proxy, T0);
    assert!(health["endpoints"].as_array().unwrap().iter().all(|endpoint| endpoint["in_flight"] == 0), "{health}");
    assert_eq!(health["in_flight"], 0);
}

#[test]
fn what_runs_beside_calls_ends_with_the_last_proxy_and_begins_anew_in_a_child() {
    let proxy = proxy_of(|policy| {
        policy.shared.endpoints = named(&["127.0.0.1:1"]);
        policy.shared.health_check = Some(HealthCheck { interval: 3600 * SECOND, ..HealthCheck::new(Probe::Tcp) });
    });
    let running = || proxy.endpoints().tasks.running();
    assert!(running().is_empty(), "nobody has called");
    begin(&proxy, T0);
    let mut before = running();
    assert_eq!(before.len(), 1);
    proxy.endpoints().begin_anew();
    assert!(running().is_empty());
    begin(&proxy, T0);
    before.extend(running());
    assert_eq!(before.len(), 2);
    // In a real child the parent's do not run; here there is no parent to end them.
    before.remove(0).abort();
    drop(proxy);
    while !before[0].is_finished() {
        std::thread::yield_now();
    }
}

proptest::proptest! {
    /// E1 to E3 as the rules say them, for any mixture of conditions: who is chosen has the best rank that anybody has.
    #[test]
    fn who_is_chosen_is_of_the_best_that_there_are(
        conditions in proptest::collection::vec((0u8..3, proptest::bool::ANY, proptest::bool::ANY, 1u32..5), 1..12),
        panic in 0.0..=1.0f64,
        has_zone: bool,
        seed: u64,
    ) {
        use std::sync::atomic::{AtomicBool, AtomicU64};
        for balance in Balance::ALL {
            let endpoints = conditions.iter().enumerate().map(|(n, (_, is_near, _, weight))| {
                let endpoint = Endpoint::new(&format!("10.0.0.{n}:80")).unwrap().weight(*weight);
                endpoint.zone(if *is_near { "here" } else { "there" })
            });
            let shared = crate::policy::Shared {
                balance,
                zone: has_zone.then(|| "here".into()),
                ..crate::policy::Shared::default()
            };
            let (set, _) = set::Set::default().next(endpoints.collect(), &shared, &mut 0, 0, 0);
            let mut tried = 0;
            for (member, (condition, _, is_tried, _)) in set.members.iter().zip(&conditions) {
                match condition {
                    1 => member.block.health.ejected_until.store(u64::MAX, Relaxed),
                    2 => AtomicBool::store(&member.block.health.is_unhealthy, true, Relaxed),
                    _ => {}
                }
                tried |= if *is_tried { member.place.bit() } else { 0 };
            }
            let wish = pick::Wish { balance, slow_start: None, panic, is_calm: false, tried, key: seed | 1, now: T0 };
            let numbers = AtomicU64::new(seed);
            let random = || hash::mix(numbers.fetch_add(0x9E37_79B9_7F4A_7C15, Relaxed));
            let chosen = pick::pick(&set, &wish, &AtomicU64::new(0), random);

            let well = conditions.iter().filter(|(condition, ..)| *condition == 0).count();
            let is_panic = (well as f64) < conditions.len() as f64 * panic;
            let rank = |&(condition, is_near, is_tried, _): &(u8, bool, bool, u32)| {
                (is_panic || condition == 0).then_some((is_tried, !(has_zone && is_near)))
            };
            let best = conditions.iter().filter_map(rank).min();
            proptest::prop_assert_eq!(chosen.map(|at| rank(&conditions[at])), best.map(Some), "{:?}", balance);
        }
    }
}
