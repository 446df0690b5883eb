//! The core's own faults (F1): a panic at any decision costs no call, and runs no function twice. Each test switches the
//! faults on for the whole process, so each has one to itself.

mod common;

use std::cell::Cell;
use std::time::Duration;

use ambassador_core::call::{Call, Decision, Give, Outcome, Stop};
use ambassador_core::clock::SECOND;
use ambassador_core::proxy::Begin;
use ambassador_core::{AmbassadorProxy, CallError, Code, Endpoint, fault, runtime};
use common::*;

fn proxy() -> AmbassadorProxy {
    builder().backoff(briefly()).build().unwrap()
}

/// Calls a function that answers attempt after attempt as told, with a fault of the core at that decision. How often it ran,
/// and what came of it.
fn call(
    proxy: &AmbassadorProxy,
    at: &str,
    answers: &[Result<u32, &'static str>],
) -> (usize, Result<u32, CallError<&'static str>>) {
    fault::inject_panic(at);
    let ran = Cell::new(0);
    let ended = proxy.call_blocking(|| {
        ran.set(ran.get() + 1);
        std::future::ready(answers[ran.get() - 1])
    });
    fault::inject_panic("");
    (ran.get(), ended)
}

#[test]
fn a_fault_at_the_beginning_runs_the_function_once_and_hands_on_what_comes() {
    alone("a_fault_at_the_beginning_runs_the_function_once_and_hands_on_what_comes", || {
        let proxy = proxy();
        assert_eq!(call(&proxy, "begin", &[Ok(7)]), (1, Ok(7)));
        assert_eq!(call(&proxy, "begin", &[Err("no")]), (1, Err(CallError::Failed("no"))));
        assert_eq!(number(&proxy, "internal_errors"), 2);
        assert_eq!((ends(&proxy), number(&proxy, "in_flight")), ([0; 5], 0));
    });
}

#[test]
fn whatever_fails_an_endpoint_has_nothing_in_flight_afterwards() {
    alone("whatever_fails_an_endpoint_has_nothing_in_flight_afterwards", || {
        let endpoint = Endpoint::new("10.0.0.7:80").unwrap();
        let proxy = builder().backoff(briefly()).endpoints([endpoint]).build().unwrap();
        for at in ["begin", "settle", "resume"] {
            let _ = call(&proxy, at, &[Err("no"), Ok(7)]);
        }
        let health: serde_json::Value = serde_json::from_str(&proxy.health()).unwrap();
        assert_eq!((&health["endpoints"][0]["in_flight"], &health["internal_errors"]), (&0.into(), &3.into()));
    });
}

#[test]
fn a_function_run_directly_still_sees_an_attempt() {
    alone("a_function_run_directly_still_sees_an_attempt", || {
        let proxy = proxy();
        fault::inject_panic("begin");
        let seen = runtime::block_on(proxy.execute(|ctx| async move {
            ctx.set_retry_after(Duration::from_secs(1));
            Ok::<_, &str>((ctx.attempt(), ctx.remaining(), ctx.cancelled(), ctx.headers().len()))
        }));
        assert_eq!(seen, Ok((1, None, false, 3)));
    });
}

#[test]
fn a_fault_when_an_attempt_ended_hands_on_what_it_brought() {
    alone("a_fault_when_an_attempt_ended_hands_on_what_it_brought", || {
        let proxy = proxy();
        assert_eq!(call(&proxy, "settle", &[Ok(7)]), (1, Ok(7)));
        assert_eq!(call(&proxy, "settle", &[Err("no")]), (1, Err(CallError::Failed("no"))));
        assert_eq!(number(&proxy, "internal_errors"), 2);
        assert_eq!((ends(&proxy), number(&proxy, "in_flight")), ([1, 1, 0, 0, 0], 0));
    });
}

#[test]
fn a_value_is_not_lost_to_a_fault_after_an_attempt_that_timed_out() {
    alone("a_value_is_not_lost_to_a_fault_after_an_attempt_that_timed_out", || {
        let proxy = builder().backoff(briefly()).timeout(Duration::from_millis(20)).build().unwrap();
        let ran = Cell::new(0);
        let ended = proxy.call_blocking(|| {
            ran.set(ran.get() + 1);
            let hang = ran.get() == 1;
            async move {
                if hang {
                    std::future::pending::<()>().await;
                }
                fault::inject_panic("settle");
                Ok::<_, &str>(7)
            }
        });
        assert_eq!((ran.get(), ended), (2, Ok(7)));
        assert_eq!((ends(&proxy), number(&proxy, "in_flight")), ([1, 0, 0, 0, 0], 0));
    });
}

#[test]
fn a_fault_when_a_wait_is_over_ends_the_call_with_the_last_error() {
    alone("a_fault_when_a_wait_is_over_ends_the_call_with_the_last_error", || {
        let proxy = proxy();
        assert_eq!(call(&proxy, "resume", &[Err("first"), Ok(7)]), (1, Err(CallError::Failed("first"))));
        assert_eq!((ends(&proxy), attempts(&proxy)), ([0, 1, 0, 0, 0], [0, 1, 0, 0]));
        assert_eq!((number(&proxy, "in_flight"), number(&proxy, "retries")), (0, 0));
    });
}

#[test]
fn a_fault_is_a_decision_like_any_other() {
    alone("a_fault_is_a_decision_like_any_other", || {
        let proxy = proxy();
        for (outcome, give) in [
            (Outcome::Ok, Give::Value),
            (Outcome::Retry, Give::LastError),
            (Outcome::Fail, Give::LastError),
            (Outcome::Cancelled, Give::LastError),
            (Outcome::Timeout, Give::Error(Code::Timeout)),
        ] {
            let mut call = begin(&proxy, T0);
            fault::inject_panic("settle");
            assert_eq!(proxy.settle(&mut call, T0, outcome, None), finish(give, Stop::Internal), "{outcome:?}");
            fault::inject_panic("");
            ended_for_good(&proxy, &mut call);
        }
        let mut call = begin(&proxy, T0);
        let Decision::WaitUntil(until) = fail(&proxy, &mut call, 0) else { panic!("an attempt is left") };
        fault::inject_panic("resume");
        assert_eq!(proxy.resume(&mut call, until), finish(Give::LastError, Stop::Internal));
        fault::inject_panic("begin");
        assert!(matches!(proxy.begin(T0), Begin::Direct));
        fault::inject_panic("anything else");
        ended_for_good(&proxy, &mut call);
        assert_eq!((ends(&proxy), number(&proxy, "in_flight")), ([1, 3, 1, 0, 1], 0));
        assert_eq!(number(&proxy, "internal_errors"), 7);
    });
}

fn ended_for_good(proxy: &AmbassadorProxy, call: &mut Call) {
    let before = proxy.health();
    let over = finish(Give::LastError, Stop::Cancelled);
    assert_eq!(proxy.settle(call, T0 + SECOND, Outcome::Ok, None), over);
    assert_eq!(proxy.resume(call, T0 + SECOND), over);
    proxy.cancel(call, T0 + SECOND);
    assert_eq!(proxy.health(), before);
}
