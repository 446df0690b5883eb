//! Many calls at once, by any host, in any order: whatever is told of whichever call, what is taken is given back (O3), limits
//! hold, and the counters add up (S2). Once by chance on one thread, once by eight threads at the same time.

mod common;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use ambassador_core::call::{Call, Decision, Outcome};
use ambassador_core::clock::{MILLISECOND, Nanos, SECOND};
use ambassador_core::proxy::Begin;
use ambassador_core::{AmbassadorProxy, Backoff, Breaker, Budget, Bulkhead, RateLimit};
use common::*;
use proptest::prelude::*;

/// All policies at once, each tight enough to matter.
fn tight() -> AmbassadorProxy {
    with_defaults()
        .max_retries(3)
        .timeout(Duration::from_millis(50))
        .backoff(Backoff::exponential(Duration::from_millis(10)).max(Duration::from_millis(40)))
        .breaker(Breaker::default().min_calls(5).window(Duration::from_secs(1)).open_for(Duration::from_millis(100)))
        .budget(Budget::default().min_per_second(20.0).window(Duration::from_secs(1)))
        .bulkhead(Bulkhead::new(4).max_queue(3).queue_timeout(Duration::from_millis(30)))
        .rate_limit(RateLimit::new(500.0).burst(20).max_wait(Duration::from_millis(5)))
        .build()
        .unwrap()
}

/// One call, and where it stands as its host knows it.
#[derive(Clone, Copy, Debug)]
enum Hosted {
    Running(Call),
    Waiting(Call),
}

fn hosted(call: Call, decision: Decision) -> Option<Hosted> {
    match decision {
        Decision::Run => Some(Hosted::Running(call)),
        Decision::WaitUntil(_) => Some(Hosted::Waiting(call)),
        Decision::Finish(..) => None,
        Decision::Await => panic!("no call is hedged here"),
    }
}

fn begun(proxy: &AmbassadorProxy, now: Nanos) -> Option<Hosted> {
    match proxy.begin(now) {
        Begin::Run(call) => Some(Hosted::Running(call)),
        Begin::Wait(call, _) => Some(Hosted::Waiting(call)),
        Begin::Refuse(..) => None,
        Begin::Direct => panic!("the core failed"),
    }
}

/// Tells the core something of a call: how its attempt ended, or that it woke, or went away.
fn told(proxy: &AmbassadorProxy, hosted_call: Hosted, now: Nanos, outcome: Outcome, goes_away: bool) -> Option<Hosted> {
    let (Hosted::Running(mut call) | Hosted::Waiting(mut call)) = hosted_call;
    if goes_away {
        proxy.cancel(&mut call, now);
        return None;
    }
    let decision = match hosted_call {
        Hosted::Running(_) => proxy.settle(&mut call, now, outcome, None),
        Hosted::Waiting(_) => proxy.resume(&mut call, now),
    };
    hosted(call, decision)
}

/// S2, and all that must be so once nothing is under way.
fn adds_up(proxy: &AmbassadorProxy, begun: u64) {
    let [ok, failure, timeout, rejected, cancelled] = ends(proxy);
    assert_eq!(ok + failure + timeout + rejected + cancelled, begun);
    let reasons = ["shutdown", "rate_limited", "bulkhead_full", "circuit_open", "no_endpoint"];
    let refusals: u64 = reasons.iter().map(|reason| number(proxy, &format!("rejections.{reason}"))).sum();
    assert_eq!(refusals, rejected);
    let ran: u64 = attempts(proxy).iter().sum();
    let retries = number(proxy, "retries");
    // attempts = calls that ran + retries: who went away in the queue never ran.
    assert!(ran >= retries && ran - retries <= begun - rejected, "{ran} attempts, {retries} retries");
    assert_eq!(
        (number(proxy, "in_flight"), number(proxy, "bulkhead.occupied"), number(proxy, "bulkhead.queued")),
        (0, 0, 0)
    );
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Ok),
        4 => Just(Outcome::Retry),
        1 => Just(Outcome::Fail),
        1 => Just(Outcome::Timeout),
        1 => Just(Outcome::Cancelled),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_is_told_of_whichever_call_what_is_taken_is_given_back(
        script in prop::collection::vec((0..12usize, 0..40u64, outcomes(), prop::bool::weighted(0.1)), 1..300),
    ) {
        let proxy = tight();
        let mut calls: [Option<Hosted>; 12] = [None; 12];
        let (mut now, mut count) = (T0, 0);
        for (at, later, outcome, goes_away) in script {
            now += later * MILLISECOND / 2;
            calls[at] = match calls[at].take() {
                None => {
                    count += 1;
                    begun(&proxy, now)
                }
                Some(call) => told(&proxy, call, now, outcome, goes_away),
            };
            let running = calls.iter().flatten().filter(|call| matches!(call, Hosted::Running(_))).count();
            prop_assert!(running <= 4, "{running} run, in a bulkhead of four");
            prop_assert!(number(&proxy, "bulkhead.occupied") <= 4 && number(&proxy, "bulkhead.queued") <= 3);
            let under_way = calls.iter().flatten().count() as u64;
            prop_assert_eq!(number(&proxy, "in_flight"), under_way);
        }
        for call in calls.into_iter().flatten() {
            told(&proxy, call, now, Outcome::Ok, true);
        }
        adds_up(&proxy, count);
        // Nobody is wedged: after the longest opening, the queue's patience and a quiet second, a call runs.
        now += 70 * SECOND;
        prop_assert!(matches!(begun(&proxy, now), Some(Hosted::Running(_))));
    }
}

#[test]
fn eight_threads_for_a_minute_of_virtual_time_add_up_exactly() {
    let proxy = tight();
    let clock = AtomicU64::new(T0);
    let begun_in_all: u64 = thread::scope(|scope| {
        let threads: Vec<_> = (0..8u64)
            .map(|seed| {
                let (proxy, clock) = (&proxy, &clock);
                scope.spawn(move || {
                    let mut random = seed;
                    let mut draw = move |of: u64| {
                        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                        (random >> 33) % of
                    };
                    let mut calls: Vec<Option<Hosted>> = vec![None; 4];
                    let mut count = 0;
                    while clock.load(Relaxed) < T0 + 60 * SECOND {
                        let now = clock.fetch_add(draw(100_000), Relaxed);
                        let at = draw(4) as usize;
                        let outcome = [Outcome::Ok, Outcome::Ok, Outcome::Retry, Outcome::Fail][draw(4) as usize];
                        calls[at] = match calls[at].take() {
                            None => {
                                count += 1;
                                begun(proxy, now)
                            }
                            Some(call) => told(proxy, call, now, outcome, draw(20) == 0),
                        };
                    }
                    let now = clock.load(Relaxed);
                    for call in calls.into_iter().flatten() {
                        told(proxy, call, now, Outcome::Ok, true);
                    }
                    count
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(begun_in_all > 10_000, "{begun_in_all}");
    adds_up(&proxy, begun_in_all);
}
