//! That metrics add up (S2): from them alone, while calls go on and somebody scrapes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use ambassador_core::call::{Call, Decision, Outcome};
use ambassador_core::clock::SECOND;
use ambassador_core::proxy::Begin;
use ambassador_core::{AmbassadorProxy, Backoff, Breaker, Budget, Bulkhead, RateLimit};

use crate::common::*;
use crate::parsed::Parsed;

const CALLS: u64 = 100_000;
const THREADS: u64 = 4;

/// All policies at once, each tight enough to matter.
fn tight() -> AmbassadorProxy {
    with_defaults()
        .timeout(Duration::from_millis(50))
        .backoff(Backoff::exponential(Duration::from_millis(10)).max(Duration::from_millis(40)))
        .breaker(
            Breaker::default()
                .min_calls(5)
                .window(Duration::from_secs(1))
                .open_for(Duration::from_millis(100))
                .open_max(Duration::from_millis(100)),
        )
        .budget(Budget::default().min_per_second(20.0).window(Duration::from_secs(1)))
        .bulkhead(Bulkhead::new(4).max_queue(3).queue_timeout(Duration::from_millis(30)))
        .rate_limit(RateLimit::new(5000.0).burst(20).max_wait(Duration::from_millis(5)))
        .build()
        .unwrap()
}

/// Drives a call to its end, whatever that is.
fn drive(proxy: &AmbassadorProxy, clock: &AtomicU64, mut draw: impl FnMut(u64) -> u64) {
    let now = || clock.fetch_add(20_000, SeqCst);
    let (mut call, mut decision): (Call, Decision) = match proxy.begin(now()) {
        Begin::Run(call) => (call, Decision::Run),
        Begin::Wait(call, at) => (call, Decision::WaitUntil(at)),
        Begin::Refuse(..) => return,
        Begin::Direct => panic!("the core failed"),
    };
    loop {
        if draw(50) == 0 {
            return proxy.cancel(&mut call, now());
        }
        decision = match decision {
            Decision::Run => {
                let outcomes = [Outcome::Ok, Outcome::Ok, Outcome::Ok, Outcome::Retry, Outcome::Fail, Outcome::Timeout];
                proxy.settle(&mut call, now(), outcomes[draw(6) as usize], None)
            }
            Decision::WaitUntil(at) => {
                clock.fetch_max(at, SeqCst);
                proxy.resume(&mut call, now())
            }
            Decision::Finish(..) => return,
            Decision::Await => panic!("no call is hedged here"),
        };
    }
}

#[test]
fn a_hundred_thousand_random_calls_add_up_from_metrics_alone_while_being_scraped() {
    let proxy = tight();
    let target = [("target", proxy.name())];
    let (clock, are_done) = (AtomicU64::new(T0), AtomicBool::new(false));
    let scrapes = thread::scope(|scope| {
        let callers: Vec<_> = (0..THREADS)
            .map(|seed| {
                let (proxy, clock) = (&proxy, &clock);
                scope.spawn(move || {
                    let mut random = seed;
                    for _ in 0..CALLS / THREADS {
                        drive(proxy, clock, |of| {
                            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                            (random >> 33) % of
                        });
                    }
                })
            })
            .collect();
        let scraper = scope.spawn(|| {
            let (mut last, mut scrapes) = (Parsed::now(), 0_u32);
            loop {
                let was_last = are_done.load(SeqCst);
                let next = Parsed::now();
                for (sample, value) in last.counters() {
                    let now = next.0.get(sample).copied().unwrap_or(-1.0);
                    assert!(now >= value, "{sample} went from {value} to {now}");
                }
                assert!(next.sum("ambassador_calls_total", &target) <= CALLS);
                (last, scrapes) = (next, scrapes + 1);
                if was_last {
                    return scrapes;
                }
            }
        });
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        are_done.store(true, SeqCst);
        scraper.join().unwrap()
    });
    assert!(scrapes > 1, "nobody scraped while they went on");

    let seen = Parsed::now();
    let of = |name: &str| seen.sum(name, &target);
    let calls = |outcome| seen.sum("ambassador_calls_total", &[target[0], ("outcome", outcome)]);
    let attempts = |outcome| seen.sum("ambassador_attempts_total", &[target[0], ("outcome", outcome)]);
    // Whoever shares the target's process sees nobody else's.
    assert_eq!((of("ambassador_calls_total"), of("ambassador_inflight_calls")), (CALLS, 0));
    for outcome in ["ok", "failure", "timeout", "rejected", "cancelled"] {
        assert!(calls(outcome) > 0, "no call ended as {outcome}: {}", proxy.health());
    }
    assert_eq!(of("ambassador_rejections_total"), calls("rejected"));
    assert_eq!(attempts("ok"), calls("ok"));
    // attempts = calls that ran + retries: who went away in the queue never ran.
    let (ran, retries) = (of("ambassador_attempts_total"), of("ambassador_retries_total"));
    assert!(retries > 0 && ran >= retries && ran - retries <= CALLS - calls("rejected"), "{ran}, {retries}");
    assert_eq!(of("ambassador_call_duration_seconds_count"), CALLS - calls("rejected"));
    assert_eq!(of("ambassador_attempt_duration_seconds_count"), ran);
    assert_eq!((of("ambassador_bulkhead_occupied"), of("ambassador_bulkhead_queued")), (0, 0));
    assert_eq!(number(&proxy, "calls.ok"), calls("ok"));
}

/// How many buckets a histogram has, and whether each holds no less than the one before.
#[test]
fn a_histogram_counts_what_took_each_bound_at_most() {
    let proxy = builder().timeout(None).build().unwrap();
    for took in [SECOND / 1000, SECOND / 10, 3 * SECOND, 100 * SECOND] {
        let mut call = begin(&proxy, T0);
        let _ = proxy.settle(&mut call, T0 + took, Outcome::Ok, None);
    }
    let seen = Parsed::now();
    let target = ("target", proxy.name());
    let at_most = |bound| seen.sum("ambassador_call_duration_seconds_bucket", &[target, ("le", bound)]);
    // Lengths that are a bound are counted with those above it: by whole cells, of which a bound may lie within one.
    assert_eq!(
        ["0.0005", "0.0025", "0.05", "0.25", "2.5", "5.0", "60.0", "+Inf"].map(at_most),
        [0, 1, 1, 2, 2, 3, 3, 4]
    );
    assert_eq!(seen.sum("ambassador_call_duration_seconds_sum", &[target]), 103);
}
