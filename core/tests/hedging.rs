//! Attempts of one call that run at once (H1): what the core decides step by step, driven as a host drives it, any script of
//! them, and the front door with real futures.

mod common;

use std::cell::Cell;
use std::future::{Future, pending};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ambassador_core::call::{Call, Decision, Give, Hedge as Next, Outcome, Stop};
use ambassador_core::clock::{MILLISECOND, Nanos, SECOND};
use ambassador_core::proxy::Builder;
use ambassador_core::{After, AmbassadorProxy, Budget, CallError, Code, Hedge, fault, runtime};
use common::*;
use proptest::prelude::*;
use tokio::sync::oneshot;

const MS: Nanos = MILLISECOND;
const HOUR: Duration = Duration::from_secs(3600);

fn hedged() -> Builder {
    builder().idempotent(true).hedge(Hedge::after(Duration::from_millis(50)))
}

/// A call of two attempts: the first runs since `T0`, the other since 50 ms later.
fn racing(proxy: &AmbassadorProxy) -> Call {
    let mut call = begin(proxy, T0);
    assert_eq!(proxy.hedge(&mut call, T0), Next::At(T0 + 50 * MS));
    assert_eq!(proxy.hedge(&mut call, T0 + 50 * MS), Next::Run);
    assert_eq!((call.attempt(), call.bound()), (2, T0 + 50 * MS + 2 * SECOND));
    call
}

fn ended(proxy: &AmbassadorProxy, call: &mut Call, number: u32, at: Nanos, outcome: Outcome) -> Decision {
    proxy.settle_attempt(call, number, T0 + at, outcome, None)
}

#[test]
fn a_hedge_begins_neither_early_nor_twice() {
    let proxy = hedged().build().unwrap();
    let mut call = begin(&proxy, T0);
    assert_eq!(proxy.hedge(&mut call, T0 + 50 * MS - 1), Next::At(T0 + 50 * MS));
    assert_eq!(call.attempt(), 1);
    assert_eq!(proxy.hedge(&mut call, T0 + 60 * MS), Next::Run);
    assert_eq!(proxy.hedge(&mut call, T0 + 200 * MS), Next::Never);
    assert_eq!((call.attempt(), number(&proxy, "hedges")), (2, 1));
}

#[test]
fn a_call_that_is_not_hedged_never_asks_again() {
    let proxy = builder().build().unwrap();
    let mut call = begin(&proxy, T0);
    assert_eq!(proxy.hedge(&mut call, T0 + SECOND), Next::Never);
}

#[test]
fn the_first_success_is_the_calls_and_the_other_attempt_is_cancelled() {
    for (winner, loser) in [(1, 2), (2, 1)] {
        let proxy = hedged().build().unwrap();
        let mut call = racing(&proxy);
        assert_eq!(ended(&proxy, &mut call, winner, 60 * MS, Outcome::Ok), finish(Give::Value, Stop::Ok));
        assert_eq!(call.ended(), winner);
        // Whatever it brings, and whenever.
        assert_eq!(ended(&proxy, &mut call, loser, 70 * MS, Outcome::Retry), finish(Give::LastError, Stop::Cancelled));
        assert_eq!((attempts(&proxy), ends(&proxy)), ([1, 0, 0, 1], [1, 0, 0, 0, 0]));
    }
}

#[test]
fn an_attempt_that_was_recorded_changes_nothing_while_others_run() {
    let proxy = hedged().build().unwrap();
    let mut call = racing(&proxy);
    assert_eq!(ended(&proxy, &mut call, 1, 60 * MS, Outcome::Retry), Decision::Await);
    assert_eq!(ended(&proxy, &mut call, 1, 61 * MS, Outcome::Ok), Decision::Await);
    assert_eq!(ended(&proxy, &mut call, 7, 61 * MS, Outcome::Ok), Decision::Await);
    assert_eq!(ended(&proxy, &mut call, 2, 62 * MS, Outcome::Ok), finish(Give::Value, Stop::Ok));
    assert_eq!(attempts(&proxy), [1, 1, 0, 0]);
}

#[test]
fn each_attempt_has_its_own_bound() {
    let proxy = hedged().build().unwrap();
    let mut call = racing(&proxy);
    assert_eq!(ended(&proxy, &mut call, 1, 2 * SECOND + 1, Outcome::Ok), Decision::Await);
    assert_eq!(call.last(), Outcome::Timeout);
    assert_eq!(ended(&proxy, &mut call, 2, 2 * SECOND + 50 * MS, Outcome::Ok), finish(Give::Value, Stop::Ok));
    assert_eq!((attempts(&proxy), number(&proxy, "late_results")), ([1, 0, 1, 0], 1));
}

#[test]
fn a_call_that_is_cancelled_leaves_none_of_its_attempts_behind() {
    let proxy = with_defaults().idempotent(true).hedge(Hedge::after(Duration::from_millis(50))).build().unwrap();
    let mut call = racing(&proxy);
    proxy.cancel(&mut call, T0 + 60 * MS);
    assert_eq!((attempts(&proxy), ends(&proxy)), ([0, 0, 0, 2], [0, 0, 0, 0, 1]));
    assert_eq!(number(&proxy, "in_flight"), 0);
}

#[test]
fn two_hedged_calls_are_told_apart() {
    let proxy = hedged().build().unwrap();
    let (mut one, mut other) = (racing(&proxy), racing(&proxy));
    assert_eq!(ended(&proxy, &mut one, 1, 60 * MS, Outcome::Retry), Decision::Await);
    assert_eq!(ended(&proxy, &mut other, 2, 60 * MS, Outcome::Ok), finish(Give::Value, Stop::Ok));
    assert_eq!(ended(&proxy, &mut one, 2, 60 * MS, Outcome::Ok), finish(Give::Value, Stop::Ok));
    assert_eq!(attempts(&proxy), [2, 1, 0, 1]);
}

#[test]
fn a_call_kept_as_numbers_goes_on_with_its_attempts() {
    let proxy = hedged().build().unwrap();
    let mut call = Call::from_words(racing(&proxy).to_words());
    assert_eq!(ended(&proxy, &mut call, 1, 60 * MS, Outcome::Retry), Decision::Await);
    let mut call = Call::from_words(call.to_words());
    assert_eq!(ended(&proxy, &mut call, 2, 60 * MS, Outcome::Ok), finish(Give::Value, Stop::Ok));
    assert_eq!(Call::from_words(call.to_words()), call);
}

#[test]
fn a_fault_of_the_core_begins_no_hedge_and_costs_no_call() {
    alone("a_fault_of_the_core_begins_no_hedge_and_costs_no_call", || {
        let proxy = hedged().build().unwrap();
        let mut call = begin(&proxy, T0);
        fault::inject_panic("hedge");
        assert_eq!(proxy.hedge(&mut call, T0 + 50 * MS), Next::Never);
        fault::inject_panic("");
        assert_eq!(ended(&proxy, &mut call, 1, 60 * MS, Outcome::Ok), finish(Give::Value, Stop::Ok));
        assert_eq!((number(&proxy, "internal_errors"), number(&proxy, "hedges")), (1, 0));
        let mut racing = racing(&proxy);
        fault::inject_panic("settle");
        assert_eq!(ended(&proxy, &mut racing, 2, 60 * MS, Outcome::Ok), finish(Give::Value, Stop::Internal));
        fault::inject_panic("");
        assert_eq!(number(&proxy, "in_flight"), 0);
    });
}

#[test]
fn what_a_hedge_needs_is_asked_for_at_construction() {
    let hedge = Hedge::after(Duration::from_millis(50));
    for (builder, message) in [
        (
            builder().hedge(hedge),
            "idempotent: false is not allowed; expected true beside hedge, which runs the function twice at once",
        ),
        (
            builder().idempotent(true).max_retries(1).hedge(hedge),
            "max_retries: 1 is not allowed; expected 2 or more beside hedge, which is an attempt",
        ),
        (
            builder().idempotent(true).hedge(hedge.max(4)),
            "hedge.max: 4 is not allowed; expected a whole number from 1 to 3",
        ),
        (
            builder().idempotent(true).hedge(Hedge { after: After::Quantile(96), max: 1 }),
            "hedge.after: \"p96\" is not allowed; expected a duration above 0 and at most 31536000s, or one of p50, p90, p95, p99",
        ),
    ] {
        assert_eq!(builder.build().unwrap_err().to_string(), message);
    }
}

#[test]
fn a_fault_after_a_failure_hands_back_the_value_that_came_then() {
    alone("a_fault_after_a_failure_hands_back_the_value_that_came_then", || {
        let hedge = Hedge::after(Duration::from_millis(1));
        let proxy = builder().timeout(HOUR).idempotent(true).hedge(hedge).build().unwrap();
        let (failed, has_failed) = oneshot::channel::<()>();
        let (failed, has_failed) = (Cell::new(Some(failed)), Cell::new(Some(has_failed)));
        let (begun, has_begun) = oneshot::channel::<()>();
        let (begun, has_begun) = (Cell::new(Some(begun)), Cell::new(Some(has_begun)));
        let receipt = on_runtime(proxy.execute(|ctx| {
            let is_first = ctx.attempt() == 1;
            let (held, waits) = if is_first { (failed.take(), has_begun.take()) } else { (None, has_failed.take()) };
            if !is_first {
                drop(begun.take());
            }
            async move {
                if let Some(waits) = waits {
                    let _ = waits.await;
                }
                drop(held);
                if is_first {
                    return Err("failure 1".to_owned());
                }
                // The first one was settled before this one was polled again, or is when this one has ended.
                tokio::task::yield_now().await;
                fault::inject_panic("settle");
                Ok(ctx.attempt())
            }
        }));
        fault::inject_panic("");
        assert_eq!(receipt, Ok(2));
        assert_eq!((number(&proxy, "internal_errors"), number(&proxy, "in_flight")), (1, 0));
    });
}

#[test]
fn who_asks_at_the_deadline_gets_no_hedge() {
    let proxy = hedged().deadline(Duration::from_millis(90)).build().unwrap();
    let mut call = begin(&proxy, T0);
    assert_eq!(proxy.hedge(&mut call, T0 + 90 * MS), Next::Never);
    assert_eq!(number(&proxy, "hedges"), 0);
}

// ---------------------------------------------------------------- any script

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn however_attempts_run_at_once_the_counters_add_up(
        max_retries in 2..8u32,
        max in 1..4u32,
        tokens in 0..6u32,
        steps in prop::collection::vec((0..4u8, 0..8usize, 0..200 * MILLISECOND), 1..60),
    ) {
        let hedge = Hedge::after(Duration::from_millis(50)).max(max);
        // Longer than any script lasts.
        let window = Duration::from_secs(1000);
        let budget = Budget::default().ratio(0.0).min_per_second(f64::from(tokens) / 1000.0).window(window);
        let proxy = with_defaults().backoff(briefly()).max_retries(max_retries).idempotent(true).hedge(hedge).budget(budget).build().unwrap();
        let mut call = begin(&proxy, T0);
        let (mut now, mut running, mut begun, mut is_over) = (T0, vec![1], 1, false);
        for (what, whose, later) in steps {
            now += later;
            let decision = match (what, running.is_empty()) {
                (0, false) => {
                    if proxy.hedge(&mut call, now) == Next::Run {
                        begun += 1;
                        prop_assert_eq!(call.attempt(), begun);
                        running.push(begun);
                    }
                    continue;
                }
                (1, false) => Outcome::Retry,
                (2, false) => Outcome::Timeout,
                (_, false) if whose > 5 => Outcome::Ok,
                (_, false) => Outcome::Retry,
                (_, true) => unreachable!("a call that goes on has an attempt that runs"),
            };
            let number = running.remove(whose % running.len());
            match proxy.settle_attempt(&mut call, number, now, decision, None) {
                Decision::Await => prop_assert!(!running.is_empty()),
                Decision::WaitUntil(until) => {
                    prop_assert!(running.is_empty());
                    now = until;
                    match proxy.resume(&mut call, now) {
                        Decision::Run => {
                            begun += 1;
                            running.push(begun);
                        }
                        _ => is_over = true,
                    }
                }
                Decision::Finish(..) => is_over = true,
                Decision::Run => prop_assert!(false, "only in virtual time"),
            }
            if is_over {
                break;
            }
        }
        if !is_over {
            proxy.cancel(&mut call, now);
        }
        // C1, R5, S2
        prop_assert!(begun <= max_retries);
        let extra = number(&proxy, "retries") + number(&proxy, "hedges");
        prop_assert_eq!(u64::from(begun), 1 + extra);
        prop_assert!(extra <= u64::from(tokens));
        prop_assert_eq!(attempts(&proxy).iter().sum::<u64>(), u64::from(begun));
        prop_assert_eq!((ends(&proxy).iter().sum::<u64>(), number(&proxy, "in_flight")), (1, 0));
    }
}

// ---------------------------------------------------------------- the front door

fn on_runtime<F: Future>(future: F) -> F::Output {
    runtime::block_on(future)
}

/// Tells when it is dropped.
struct Told(Option<oneshot::Sender<()>>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.take().map(|told| told.send(()));
    }
}

#[test]
fn an_attempt_that_hangs_is_dropped_when_another_succeeds() {
    let proxy = builder().timeout(HOUR).idempotent(true).hedge(Hedge::after(Duration::from_millis(1))).build().unwrap();
    let (told, dropped) = oneshot::channel();
    let told = Cell::new(Some(told));
    let receipt = on_runtime(proxy.execute(|ctx| {
        let held = Told(if ctx.attempt() == 1 { told.take() } else { None });
        async move {
            match ctx.attempt() {
                1 => pending::<()>().await,
                _ => drop(held),
            }
            Ok::<_, String>(ctx.attempt())
        }
    }));
    assert_eq!(receipt, Ok(2));
    assert_eq!(on_runtime(dropped), Ok(()));
    assert_eq!((attempts(&proxy), number(&proxy, "hedges"), number(&proxy, "late_results")), ([1, 0, 0, 1], 1, 0));
}

#[test]
fn a_hedge_that_is_due_before_the_first_attempt_was_polled_runs() {
    let proxy = builder().timeout(HOUR).idempotent(true).hedge(Hedge::after(Duration::from_nanos(1))).build().unwrap();
    let receipt = on_runtime(proxy.execute(|ctx| {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(1) {}
        async move {
            if ctx.attempt() == 1 {
                pending::<()>().await;
            }
            Ok::<_, String>(ctx.attempt())
        }
    }));
    assert_eq!((receipt, attempts(&proxy)), (Ok(2), [1, 0, 0, 1]));
}

#[test]
fn the_first_attempt_may_win_although_another_began() {
    let proxy = builder().timeout(HOUR).idempotent(true).hedge(Hedge::after(Duration::from_millis(1))).build().unwrap();
    let (begun, has_begun) = oneshot::channel();
    let (begun, has_begun) = (Cell::new(Some(begun)), Cell::new(Some(has_begun)));
    let receipt = on_runtime(proxy.execute(|ctx| {
        let (mine, others) = if ctx.attempt() == 1 { (None, has_begun.take()) } else { (begun.take(), None) };
        async move {
            mine.map(|begun| begun.send(()));
            match others {
                Some(others) => others.await.map_err(|_| "no other attempt began".to_owned())?,
                None => pending().await,
            }
            Ok::<_, String>(ctx.attempt())
        }
    }));
    assert_eq!(receipt, Ok(1));
    assert_eq!(attempts(&proxy), [1, 0, 0, 1]);
}

#[test]
fn the_last_of_the_errors_is_the_calls() {
    let hedge = Hedge::after(Duration::from_millis(1));
    let proxy = builder().max_retries(2).timeout(HOUR).idempotent(true).hedge(hedge).build().unwrap();
    let (failed, has_failed) = oneshot::channel::<()>();
    let (failed, has_failed) = (Cell::new(Some(failed)), Cell::new(Some(has_failed)));
    let ended = on_runtime(proxy.execute(|ctx| {
        let (mine, others) = if ctx.attempt() == 1 { (None, has_failed.take()) } else { (failed.take(), None) };
        async move {
            // Until the other one has ended, and with it its sender.
            if let Some(others) = others {
                let _ = others.await;
            }
            drop(mine);
            Err::<(), _>(format!("failure {}", ctx.attempt()))
        }
    }));
    assert_eq!(ended, Err(CallError::Failed("failure 1".into())));
    assert_eq!((attempts(&proxy), ends(&proxy)), ([0, 2, 0, 0], [0, 1, 0, 0, 0]));
}

#[test]
fn attempts_that_all_hang_time_out() {
    let hedge = Hedge::after(Duration::from_millis(1));
    let proxy =
        builder().max_retries(2).timeout(Duration::from_millis(20)).idempotent(true).hedge(hedge).build().unwrap();
    let ended = on_runtime(proxy.call(pending::<Result<(), String>>));
    assert_eq!(ended.unwrap_err().code(), Some(Code::Timeout));
    assert_eq!((attempts(&proxy), ends(&proxy)), ([0, 0, 2, 0], [0, 0, 1, 0, 0]));
}

#[test]
fn a_quick_call_begins_no_other_attempt() {
    let proxy = builder().idempotent(true).hedge(Hedge::after(HOUR)).build().unwrap();
    let ran = Rc::new(Cell::new(0));
    let counted = Rc::clone(&ran);
    let ended = on_runtime(proxy.call(|| {
        counted.set(counted.get() + 1);
        async { Ok::<_, String>("charged") }
    }));
    assert_eq!((ended, ran.get(), number(&proxy, "hedges")), (Ok("charged"), 1, 0));
}

#[test]
fn dropping_the_call_drops_all_its_attempts() {
    let proxy = builder().timeout(HOUR).idempotent(true).hedge(Hedge::after(Duration::from_millis(1))).build().unwrap();
    let (begun, has_begun) = oneshot::channel();
    let begun = Cell::new(Some(begun));
    on_runtime(async {
        let call = proxy.execute(|ctx| {
            if ctx.attempt() == 2 {
                begun.take().map(|begun| begun.send(()));
            }
            pending::<Result<(), String>>()
        });
        tokio::select! {
            _ = call => panic!("nothing ends"),
            told = has_begun => told.expect("another attempt began"),
        }
    });
    assert_eq!((attempts(&proxy), ends(&proxy)), ([0, 0, 0, 2], [0, 0, 0, 0, 1]));
}
