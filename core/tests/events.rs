//! What is told of a call (S1): exactly one event for the call and one for each attempt, whatever way it goes; and that a
//! subscriber that panics changes nothing (F5).

mod common;

use std::fmt;
use std::sync::{Arc, Mutex};

use ambassador_core::AmbassadorProxy;
use ambassador_core::call::{Decision, Outcome};
use ambassador_core::clock::SECOND;
use common::*;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing::{Event, Metadata, Subscriber};

/// Keeps every event of the ambassador's as text: `attempt ended attempt=1 outcome=failure elapsed_ns=5`.
#[derive(Clone)]
struct Kept {
    level: LevelFilter,
    texts: Arc<Mutex<Vec<String>>>,
    panics: bool,
}

impl Kept {
    fn at(level: LevelFilter) -> Kept {
        Kept { level, texts: Arc::default(), panics: false }
    }

    fn during(&self, body: impl FnOnce()) -> Vec<String> {
        tracing::subscriber::with_default(self.clone(), body);
        std::mem::take(&mut self.texts.lock().unwrap())
    }
}

#[derive(Default)]
struct Text(String, String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.0 = format!("{value:?}"),
            // Each test has a name of its own.
            "name" => assert!(format!("{value:?}").starts_with("\"test ")),
            name => self.1 += &format!(" {name}={value:?}"),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "name" => assert!(value.starts_with("test ")),
            name => self.1 += &format!(" {name}={value}"),
        }
    }
}

impl Subscriber for Kept {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "ambassador" && *metadata.level() <= self.level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        self.texts.lock().unwrap().push(text.0 + &text.1);
        assert!(!self.panics, "a subscriber that panics");
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

fn proxy() -> AmbassadorProxy {
    builder().backoff(exactly()).build().unwrap()
}

fn told(body: impl FnOnce(&AmbassadorProxy)) -> Vec<String> {
    Kept::at(LevelFilter::DEBUG).during(|| body(&proxy()))
}

#[test]
fn a_call_that_succeeds_at_once_tells_of_its_attempt_and_of_itself() {
    let told = told(|proxy| {
        let mut call = begin(proxy, T0);
        let _ = proxy.settle(&mut call, T0 + 5, Outcome::Ok, None);
    });
    assert_eq!(
        told,
        [
            "attempt ended attempt=1 outcome=ok elapsed_ns=5",
            "call ended attempts=1 outcome=ok stop=succeeded elapsed_ns=5"
        ]
    );
}

#[test]
fn each_attempt_is_told_of_once_and_each_retry_by_its_line() {
    let told = told(|proxy| {
        let mut call = begin(proxy, T0);
        let _ = proxy.settle(&mut call, T0 + 5, Outcome::Retry, None);
        proxy.retry_line(&call, 2 * SECOND, "Payment API unreachable");
        let _ = proxy.resume(&mut call, T0 + SECOND);
        let _ = proxy.resume(&mut call, T0 + 3 * SECOND);
        let _ = proxy.settle(&mut call, T0 + 3 * SECOND + 7, Outcome::Fail, None);
    });
    assert_eq!(
        told,
        [
            "attempt ended attempt=1 outcome=failure elapsed_ns=5",
            "[Ambassador] Retry 1 after 2s: Payment API unreachable attempt=1 wait_ns=2000000000",
            "attempt ended attempt=2 outcome=failure elapsed_ns=7",
            "call ended attempts=2 outcome=failure stop=not retryable elapsed_ns=3000000007",
        ]
    );
}

#[test]
fn a_call_cancelled_in_mid_attempt_tells_of_the_attempt_too() {
    let told = told(|proxy| {
        let mut call = begin(proxy, T0);
        proxy.cancel(&mut call, T0 + 5);
        proxy.cancel(&mut call, T0 + 6);
    });
    assert_eq!(
        told,
        [
            "attempt ended attempt=1 outcome=cancelled elapsed_ns=5",
            "call ended attempts=1 outcome=cancelled stop=cancelled elapsed_ns=5"
        ]
    );
}

#[test]
fn a_call_cancelled_while_it_waits_is_told_of_as_cancelled() {
    let told = told(|proxy| {
        let mut call = begin(proxy, T0);
        let _ = proxy.settle(&mut call, T0 + 5, Outcome::Retry, None);
        proxy.cancel(&mut call, T0 + SECOND);
    });
    assert_eq!(
        told,
        [
            "attempt ended attempt=1 outcome=failure elapsed_ns=5",
            "call ended attempts=1 outcome=cancelled stop=cancelled elapsed_ns=1000000000"
        ]
    );
}

#[test]
fn what_comes_after_the_end_is_not_told_again() {
    let told = told(|proxy| {
        let mut call = begin(proxy, T0);
        proxy.cancel(&mut call, T0);
        let _ = proxy.settle(&mut call, T0 + 1, Outcome::Ok, None);
        let _ = proxy.resume(&mut call, T0 + 2);
    });
    assert_eq!(told.len(), 2, "{told:?}");
}

#[test]
fn a_deadline_that_passes_in_a_wait_ends_the_call_and_no_attempt() {
    let told = Kept::at(LevelFilter::DEBUG).during(|| {
        let proxy = builder().backoff(exactly()).deadline(std::time::Duration::from_secs(3)).build().unwrap();
        let mut call = begin(&proxy, T0);
        let _ = proxy.settle(&mut call, T0, Outcome::Retry, None);
        let _ = proxy.resume(&mut call, T0 + 3 * SECOND);
    });
    assert_eq!(
        told,
        [
            "attempt ended attempt=1 outcome=failure elapsed_ns=0",
            "call ended attempts=1 outcome=failure stop=no time left before the deadline elapsed_ns=3000000000"
        ]
    );
}

#[test]
fn a_call_that_is_refused_is_told_of_too() {
    alone("a_call_that_is_refused_is_told_of_too", || {
        assert!(ambassador_core::runtime::shutdown(PATIENCE));
        let told = told(|proxy| assert!(matches!(proxy.begin(T0), ambassador_core::proxy::Begin::Refuse(..))));
        assert_eq!(told, ["call ended attempts=0 outcome=rejected stop=shutting down elapsed_ns=0"]);
    });
}

#[test]
fn who_only_wants_warnings_gets_the_retry_lines_alone() {
    let told = Kept::at(LevelFilter::WARN).during(|| {
        let proxy = proxy();
        let mut call = begin(&proxy, T0);
        let _ = proxy.settle(&mut call, T0, Outcome::Retry, None);
        proxy.retry_line(&call, SECOND, "x");
        proxy.cancel(&mut call, T0);
    });
    assert_eq!(told, ["[Ambassador] Retry 1 after 1s: x attempt=1 wait_ns=1000000000"]);
}

#[test]
fn a_subscriber_that_panics_changes_nothing_for_the_call() {
    let kept = Kept { panics: true, ..Kept::at(LevelFilter::DEBUG) };
    let proxy = proxy();
    let told = kept.during(|| {
        let mut call = begin(&proxy, T0);
        let Decision::WaitUntil(until) = proxy.settle(&mut call, T0, Outcome::Retry, None) else { panic!() };
        assert_eq!(proxy.retry_line(&call, SECOND, "x"), "[Ambassador] Retry 1 after 1s: x");
        assert_eq!(proxy.resume(&mut call, until), Decision::Run);
        let _ = proxy.settle(&mut call, until, Outcome::Ok, None);
    });
    assert_eq!(told.len(), 4, "it was asked each time all the same: {told:?}");
    assert_eq!((ends(&proxy), attempts(&proxy), number(&proxy, "in_flight")), ([1, 0, 0, 0, 0], [1, 1, 0, 0], 0));
}
