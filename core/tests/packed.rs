//! Decisions and calls as plain numbers, as they cross into other languages: whatever was packed comes back, and no number
//! makes the core fail.

mod common;

use ambassador_core::Code;
use ambassador_core::call::{Call, Decision, Give, Outcome, Stop};
use ambassador_core::clock::{NEVER, SECOND};
use common::*;
use proptest::prelude::*;

const STOPS: [Stop; 8] = [
    Stop::Ok,
    Stop::NotRetryable,
    Stop::Exhausted,
    Stop::Deadline,
    Stop::HintTooLong,
    Stop::Cancelled,
    Stop::Shutdown,
    Stop::Internal,
];

fn gives() -> impl Iterator<Item = Give> {
    [Give::Value, Give::LastError].into_iter().chain(Code::ALL.iter().map(|code| Give::Error(*code)))
}

#[test]
fn every_decision_comes_back_and_no_two_are_the_same_number() {
    let waits = [1, 2, T0, i64::MAX as u64].map(Decision::WaitUntil);
    let ends = gives().flat_map(|give| STOPS.map(|stop| Decision::Finish(give, stop)));
    let all: Vec<_> = [Decision::Run].into_iter().chain(waits).chain(ends).collect();
    let numbers: std::collections::HashSet<_> = all.iter().map(|decision| decision.pack()).collect();
    assert_eq!(numbers.len(), all.len());
    for decision in all {
        assert_eq!(Decision::unpack(decision.pack()), decision);
    }
}

#[test]
fn the_numbers_are_those_of_the_contract() {
    for (decision, packed) in [
        (Decision::Run, 0),
        (Decision::WaitUntil(7), 7),
        (Decision::Finish(Give::Value, Stop::Ok), -1),
        (Decision::Finish(Give::LastError, Stop::NotRetryable), -18),
        (Decision::Finish(Give::LastError, Stop::Exhausted), -19),
        (Decision::Finish(Give::Error(Code::Timeout), Stop::Exhausted), -35),
        (Decision::Finish(Give::Error(Code::Deadline), Stop::Deadline), -52),
        (Decision::Finish(Give::LastError, Stop::Cancelled), -22),
    ] {
        assert_eq!(decision.pack(), packed, "{decision:?}");
    }
}

#[test]
fn an_instant_that_no_number_can_say_is_the_nearest_that_one_can() {
    assert_eq!(Decision::WaitUntil(0).pack(), 1, "0 means run");
    assert_eq!(Decision::WaitUntil(NEVER).pack(), i64::MAX);
}

#[test]
fn a_call_goes_on_where_its_words_left_off() {
    let proxy = builder().max_retries(100).backoff(briefly()).build().unwrap();
    let mut call = begin(&proxy, T0);
    let through_words = |call: &mut Call| {
        let back = Call::from_words(call.to_words());
        assert_eq!(back, *call);
        *call = back;
    };
    for attempt in 1..100 {
        through_words(&mut call);
        assert_eq!(call.attempt(), attempt);
        let started = call.started();
        let outcome = if attempt % 2 == 0 { Outcome::Retry } else { Outcome::Timeout };
        let Decision::WaitUntil(until) = proxy.settle(&mut call, started, outcome, Some(attempt.into())) else {
            panic!("an attempt is left");
        };
        through_words(&mut call);
        assert_eq!(call.last(), outcome);
        assert_eq!(proxy.resume(&mut call, until), Decision::Run);
    }
    let started = call.started();
    let _ = proxy.settle(&mut call, started, Outcome::Fail, None);
    through_words(&mut call);
    assert_eq!(proxy.resume(&mut call, T0), finish(Give::LastError, Stop::Cancelled), "it has ended");
    assert_eq!((ends(&proxy), number(&proxy, "in_flight")), ([0, 1, 0, 0, 0], 0));
}

proptest! {
    #[test]
    fn no_number_is_too_strange_for_a_decision(packed: i64) {
        let decision = Decision::unpack(packed);
        match decision {
            Decision::Run => prop_assert_eq!(packed, 0),
            Decision::WaitUntil(at) => prop_assert_eq!(at as i64, packed),
            Decision::Finish(..) => prop_assert!(packed < 0),
            Decision::Await => prop_assert_eq!(packed, i64::MIN),
        }
    }

    #[test]
    fn no_words_are_too_strange_for_a_call(words: [u64; Call::WORDS], now: u64, hint: Option<u64>, number: u8) {
        let proxy = builder().deadline(std::time::Duration::from_nanos(5 * SECOND)).build().unwrap();
        let mut call = Call::from_words(words);
        prop_assert_eq!(Call::from_words(call.to_words()), call);
        let _ = proxy.settle(&mut call, now, Outcome::from_number(number), hint);
        let _ = proxy.resume(&mut call, now);
        let _ = (proxy.error_message(Code::Timeout, Some(&call), now), proxy.end_note(&call, now, Stop::Ok));
        proxy.cancel(&mut call, now);
    }
}

#[test]
fn the_extremes_are_not_too_strange_either() {
    for packed in [i64::MIN, i64::MIN + 1, i64::MAX, -9999] {
        let _ = Decision::unpack(packed);
    }
    assert_eq!(Decision::unpack(i64::MIN), Decision::Await);
}
