//! What users read, to the letter, the same in every language: the retry line (R7), error messages, the note on the app's
//! own error (A4); and what servers read: the headers (P6).

mod common;

use std::time::Duration;

use ambassador_core::call::{Call, Outcome, Stop};
use ambassador_core::clock::{MILLISECOND, NEVER, SECOND};
use ambassador_core::proxy::CallId;
use ambassador_core::{AmbassadorProxy, Code};
use common::*;

fn proxy() -> AmbassadorProxy {
    builder().backoff(exactly()).deadline(Duration::from_secs(90)).build().unwrap()
}

/// A call whose second attempt failed 10 ms after it began, at 2.01 s.
fn second_attempt_failed(proxy: &AmbassadorProxy) -> Call {
    let mut call = begin(proxy, T0);
    fail_and_wait(proxy, &mut call);
    let _ = fail(proxy, &mut call, 10 * MILLISECOND);
    call
}

#[test]
fn the_retry_line_is_the_seeds() {
    let proxy = proxy();
    let mut call = begin(&proxy, T0);
    let _ = fail(&proxy, &mut call, 0);
    for (wait, line) in [
        (2 * SECOND, "[Ambassador] Retry 1 after 2s: Payment API unreachable"),
        (1_374_999_999, "[Ambassador] Retry 1 after 1.37s: Payment API unreachable"),
        (250 * MILLISECOND, "[Ambassador] Retry 1 after 250ms: Payment API unreachable"),
        (0, "[Ambassador] Retry 1 after 0ms: Payment API unreachable"),
    ] {
        assert_eq!(proxy.retry_line(&call, wait, "Payment API unreachable"), line);
    }
    let call = second_attempt_failed(&proxy);
    assert_eq!(proxy.retry_line(&call, 4 * SECOND, "x\ny"), "[Ambassador] Retry 2 after 4s: x\ny");
}

#[test]
fn every_error_says_what_happened_where_and_what_to_do() {
    let proxy = proxy();
    let call = second_attempt_failed(&proxy);
    let at = T0 + 2_010 * MILLISECOND;
    for (code, message) in [
        (
            Code::Timeout,
            "payment-api.example.com: attempt 2 of 3 did not end within 2s (2 attempts in 2.01s); find out why the target \
             is slow, or raise `timeout`",
        ),
        (
            Code::Deadline,
            "payment-api.example.com: the call did not end within its deadline of 90s (2 attempts in 2.01s); find out why \
             the target is slow, or raise `deadline`",
        ),
        (
            Code::Shutdown,
            "payment-api.example.com: the ambassador was shut down before the call ended (2 attempts in 2.01s); make no \
             calls after `shutdown`",
        ),
        (
            Code::Forked,
            "payment-api.example.com: a call in flight was used in a forked child; it belongs to the parent (2 attempts in \
             2.01s); start the call in the process that needs its result",
        ),
        (
            Code::Internal,
            "payment-api.example.com: a fault of the ambassador itself (2 attempts in 2.01s); report it with this message",
        ),
    ] {
        assert_eq!(proxy.error_message(code, Some(&call), at), message);
    }
}

#[test]
fn an_error_without_a_call_says_so_by_its_summary() {
    let proxy = proxy();
    for code in Code::ALL {
        assert_eq!(
            proxy.error_message(*code, None, T0),
            format!("payment-api.example.com: {}; {}", code.summary(), code.advice())
        );
    }
}

#[test]
fn a_timeout_without_a_bound_of_its_own_is_described_by_its_summary() {
    let proxy = builder().timeout(None).build().unwrap();
    let call = begin(&proxy, T0);
    for code in [Code::Timeout, Code::Deadline] {
        let message = proxy.error_message(code, Some(&call), T0);
        assert_eq!(
            message,
            format!("payment-api.example.com: {} (1 attempt in 0ms); {}", code.summary(), code.advice())
        );
    }
}

#[test]
fn the_note_on_the_apps_error_says_how_the_call_went_and_why_it_ended() {
    let proxy = proxy();
    let call = second_attempt_failed(&proxy);
    let at = T0 + 2_010 * MILLISECOND;
    for (stop, why) in [
        (Stop::Ok, "succeeded"),
        (Stop::NotRetryable, "not retryable"),
        (Stop::Exhausted, "retries exhausted"),
        (Stop::Deadline, "no time left before the deadline"),
        (Stop::HintTooLong, "the server asked for a longer wait than hint_max"),
        (Stop::Cancelled, "cancelled"),
        (Stop::Shutdown, "shutting down"),
        (Stop::Internal, "internal fault of the ambassador"),
    ] {
        let note = format!("[Ambassador] payment-api.example.com: 2 attempts in 2.01s, {why}");
        assert_eq!(proxy.end_note(&call, at, stop), note);
    }
    let first = begin(&proxy, T0);
    let note = "[Ambassador] payment-api.example.com: 1 attempt in 0.25ms, not retryable";
    assert_eq!(proxy.end_note(&first, T0 + 250_000, Stop::NotRetryable), note);
}

// ---------------------------------------------------------------- headers

fn header(headers: &[(&str, String)], name: &str) -> String {
    headers.iter().find(|(known, _)| *known == name).expect(name).1.clone()
}

#[test]
fn an_attempts_headers_name_the_call_the_attempt_and_the_time_left() {
    let proxy = proxy();
    let mut call = begin(&proxy, T0);
    let id = CallId::from_bits(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
    let expected = |attempt: &str, span: &str, left: &str| {
        vec![
            ("idempotency-key", "01234567-89ab-4def-8123-456789abcdef".to_owned()),
            ("traceparent", format!("00-0123456789ab4def8123456789abcdef-{span}-01")),
            ("x-ambassador-attempt", attempt.to_owned()),
            ("x-ambassador-remaining-ms", left.to_owned()),
        ]
    };
    assert_eq!(proxy.headers(&call, id, T0), expected("1", "8000000000008001", "2000"));
    assert_eq!(proxy.headers(&call, id, T0 + 1), expected("1", "8000000000008001", "1999"), "rounded down");
    assert_eq!(proxy.headers(&call, id, T0 + 9 * SECOND), expected("1", "8000000000008001", "0"));
    fail_and_wait(&proxy, &mut call);
    assert_eq!(proxy.headers(&call, id, T0 + 2 * SECOND), expected("2", "8000000000008002", "2000"));
}

#[test]
fn an_attempt_without_a_bound_says_nothing_of_the_time_left() {
    let proxy = builder().timeout(None).build().unwrap();
    let call = begin(&proxy, T0);
    assert_eq!(call.bound(), NEVER);
    let names: Vec<_> = proxy.headers(&call, CallId::random(), T0).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["idempotency-key", "traceparent", "x-ambassador-attempt"]);
}

#[test]
fn every_id_is_a_uuid_and_a_valid_trace() {
    let proxy = builder().max_retries(100).backoff(briefly()).build().unwrap();
    let mut seen = std::collections::HashSet::new();
    for bits in [0, 1, u128::MAX, 1 << 127, u128::from(u64::MAX)] {
        check(&proxy, CallId::from_bits(bits));
    }
    for _ in 0..1000 {
        let id = CallId::random();
        assert!(seen.insert(id.to_string()), "twice the same");
        assert_eq!(CallId::from_bits(id.to_bits()), id);
        check(&proxy, id);
    }
}

/// RFC 9562 and W3C Trace Context: lower-case hex of fixed lengths, version and variant, nothing all zero.
fn check(proxy: &AmbassadorProxy, id: CallId) {
    let mut call = begin(proxy, T0);
    let mut spans = std::collections::HashSet::new();
    for _ in 0..3 {
        let headers = proxy.headers(&call, id, T0);
        let key = header(&headers, "idempotency-key");
        let groups: Vec<_> = key.split('-').collect();
        assert_eq!(groups.iter().map(|group| group.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{key}");
        assert!(groups[2].starts_with('4') && groups[3].starts_with(['8', '9', 'a', 'b']), "{key}");
        let trace = header(&headers, "traceparent");
        let parts: Vec<_> = trace.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [2, 32, 16, 2], "{trace}");
        assert_eq!((parts[0], parts[1], parts[3]), ("00", groups.concat().as_str(), "01"));
        assert!([&trace, &key].iter().all(|text| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'))));
        assert!(parts[2].bytes().any(|b| b != b'0'), "a span of zeros is none");
        assert!(spans.insert(parts[2].to_owned()), "two attempts, one span");
        for (name, value) in &headers {
            assert!(
                http::HeaderName::from_bytes(name.as_bytes()).is_ok() && http::HeaderValue::from_str(value).is_ok()
            );
        }
        fail_and_wait(proxy, &mut call);
    }
    let _ = proxy.settle(&mut call, T0, Outcome::Cancelled, None);
}
