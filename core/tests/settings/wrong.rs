//! Wrong values, unknown settings and targets that are none: the message for each kind of mistake to the letter.

use std::time::Duration;

use ambassador_core::clock::NEVER;
use ambassador_core::settings::{Settings, Spelling, Value};
use ambassador_core::{AmbassadorProxy, Backoff, ConfigError};

use crate::common::{builder, number};
use crate::{ALL, refused, settings, text};

#[test]
fn the_message_for_each_kind_of_setting_to_the_letter() {
    for (spelling, field, value, message) in [
        (
            Spelling::Python,
            "max_retries",
            Value::Int(0),
            "max_retries: 0 is not allowed; expected a whole number from 1 to 100",
        ),
        (
            Spelling::Python,
            "max_retries",
            Value::Float(3.0),
            "max_retries: 3.0 is not allowed; expected a whole number from 1 to 100",
        ),
        (
            Spelling::Python,
            "timeout",
            Value::Bool(true),
            "timeout: True is not allowed; expected a number of seconds above 0 and at most 31536000, or None",
        ),
        (
            Spelling::Python,
            "backoff.base",
            Value::Null,
            "backoff.base: None is not allowed; expected a number of seconds from 0 to 31536000",
        ),
        (
            Spelling::Python,
            "backoff.factor",
            Value::Float(f64::NAN),
            "backoff.factor: nan is not allowed; expected a number from 1 to 1000",
        ),
        (
            Spelling::Python,
            "backoff.jitter",
            text("ful"),
            "backoff.jitter: \"ful\" is not allowed; expected one of full, equal, decorrelated, none",
        ),
        (
            Spelling::Python,
            "run_in",
            text("thread"),
            "run_in: \"thread\" is not allowed; expected one of worker, caller",
        ),
        (Spelling::Python, "name", text(""), "name: \"\" is not allowed; expected 1 to 200 printable characters"),
        (
            Spelling::Python,
            "backoff",
            Value::Int(3),
            "backoff: 3 is not allowed; expected None for none, or a group of base, factor, max, jitter, hint_max",
        ),
        (
            Spelling::Python,
            "retry_on",
            Value::Other("<object>".into()),
            "retry_on: <object> is not allowed; expected error types or a predicate",
        ),
        (
            Spelling::Node,
            "timeoutMs",
            Value::Float(f64::INFINITY),
            "timeoutMs: Infinity is not allowed; expected a number of milliseconds above 0 and at most 31536000000, or null",
        ),
        (
            Spelling::Node,
            "maxRetries",
            Value::Float(2.5),
            "maxRetries: 2.5 is not allowed; expected a whole number from 1 to 100",
        ),
        (
            Spelling::Java,
            "timeoutMs",
            Value::Length(0),
            "timeoutMs: 0ms is not allowed; expected a number of milliseconds above 0 and at most 31536000000, or null",
        ),
        (
            Spelling::C,
            "deadline_ms",
            Value::Float(-5.0),
            "deadline_ms: -5 is not allowed; expected a number of milliseconds above 0 and at most 31536000000, or AMB_NONE",
        ),
        (
            Spelling::Rust,
            "timeout",
            Value::Length(0),
            "timeout: 0ms is not allowed; expected a duration above 0 and at most 31536000s, or None",
        ),
        (
            Spelling::Rust,
            "backoff.max",
            Value::Length(NEVER),
            "backoff.max: 18446744073.71s is not allowed; expected a duration from 0 to 31536000s",
        ),
    ] {
        assert_eq!(refused(spelling, field, value), message);
    }
}

#[test]
fn a_value_of_the_wrong_kind_is_refused_in_every_language() {
    for spelling in ALL {
        for field in Settings::fields(spelling) {
            let strange = [Value::Other("[1, 2]".into()), text("\u{0}"), Value::Float(f64::NAN), Value::Int(-1)];
            for value in strange {
                refused(spelling, &field.name, value);
            }
            let is_switched = field.kind == "group" || field.name == "fallback";
            if !is_switched && field.kind != "truth" {
                refused(spelling, &field.name, Value::Bool(true));
                refused(spelling, &field.name, Value::Bool(false));
            }
            let may_be_nothing = ["None", "null", "AMB_NONE"].iter().any(|nothing| field.allowed.ends_with(nothing));
            if !is_switched && !may_be_nothing {
                refused(spelling, &field.name, Value::Null);
            }
        }
    }
}

#[test]
fn a_number_out_of_range_is_refused() {
    let huge = [Value::Int(i64::MAX), Value::Int(i64::MIN), Value::Float(1e300), Value::Float(-1e300)];
    let infinite = [Value::Float(f64::INFINITY), Value::Float(f64::NEG_INFINITY)];
    for spelling in ALL {
        for field in Settings::fields(spelling) {
            if matches!(field.kind, "count" | "duration" | "duration_or_word" | "number") {
                for value in huge.iter().chain(&infinite) {
                    refused(spelling, &field.name, value.clone());
                }
            }
        }
    }
    refused(Spelling::Python, "max_retries", Value::Int(101));
    refused(Spelling::Python, "timeout", Value::Int(0));
    refused(Spelling::Python, "timeout", Value::Float(0.0));
    refused(Spelling::Python, "timeout", Value::Float(31_536_000.1));
    refused(Spelling::Python, "backoff.factor", Value::Float(0.999));
    refused(Spelling::Python, "backoff.factor", Value::Float(1000.1));
    refused(Spelling::Node, "maxRetries", Value::Float(101.0));
    // Not the nearest whole number that a computer happens to have.
    refused(Spelling::Node, "maxRetries", Value::Float(1e19));
}

#[test]
fn a_number_as_text_is_no_number() {
    for field in ["max_retries", "timeout", "deadline", "backoff.base", "backoff.factor", "backoff.max"] {
        assert!(refused(Spelling::Python, field, text("5")).starts_with(&format!("{field}: \"5\" is not allowed")));
    }
}

#[test]
fn names_are_printable() {
    for wrong in ["", " ", "a ", " a", "a\nb", "a\tb", "a\u{7f}b", "a\u{85}b", &"x".repeat(201)] {
        refused(Spelling::Python, "name", text(wrong));
    }
    for right in ["a", "payments, \"new\" \\ ones", "zahlungen für morgen", &"é".repeat(200)] {
        let mut draft = settings(Spelling::Python);
        draft.set("name", text(right)).unwrap();
        let proxy = AmbassadorProxy::from_settings(draft).unwrap();
        assert_eq!((proxy.name(), proxy.target()), (right, "payment-api.example.com"));
        assert_eq!(number(&proxy, "in_flight"), 0, "its health is JSON");
    }
}

#[test]
fn a_value_is_shown_as_its_language_would() {
    for (spelling, value, shown) in [
        (Spelling::Python, Value::Null, "None"),
        (Spelling::Node, Value::Null, "null"),
        (Spelling::C, Value::Null, "AMB_NONE"),
        (Spelling::Python, Value::Bool(false), "False"),
        (Spelling::Java, Value::Bool(false), "false"),
        (Spelling::Python, Value::Float(f64::NEG_INFINITY), "-inf"),
        (Spelling::Java, Value::Float(f64::NEG_INFINITY), "-Infinity"),
        (Spelling::C, Value::Float(f64::NAN), "NaN"),
        (Spelling::Python, Value::Float(101.0), "101.0"),
        (Spelling::Node, Value::Float(101.0), "101"),
        (Spelling::Java, Value::Float(1e300), "1e300"),
        (Spelling::Node, Value::Float(1e300), "1e300"),
        (Spelling::Python, text("a \"b\"\n"), "\"a \\\"b\\\"\\n\""),
        (Spelling::Python, Value::Length(1_370_000_000), "1.37s"),
        (Spelling::Python, Value::Other("[1, 2]".into()), "[1, 2]"),
    ] {
        let field = if matches!(spelling, Spelling::Node | Spelling::Java) { "maxRetries" } else { "max_retries" };
        let error = settings(spelling).set(field, value.clone()).unwrap_err();
        assert_eq!(error.value, shown, "{spelling:?} {value:?}");
    }
}

#[test]
fn a_long_value_is_cut_in_its_message() {
    let long = settings(Spelling::Python).set("max_retries", text(&"é".repeat(100_000))).unwrap_err();
    assert_eq!(long.value, format!("\"{}\"…", "é".repeat(200)));
    let long = settings(Spelling::Python).set("max_retries", Value::Other("é".repeat(100_000))).unwrap_err();
    assert_eq!(long.value.chars().count(), 200);
}

// ---------------------------------------------------------------- unknown settings and wrong targets

#[test]
fn an_unknown_setting_is_refused_with_what_was_probably_meant() {
    for (spelling, field, meant) in [
        (Spelling::Python, "max_retrys", "max_retries"),
        (Spelling::Python, "maxRetries", "max_retries"),
        (Spelling::Python, "MAX_RETRIES", "max_retries"),
        (Spelling::Python, "timout", "timeout"),
        (Spelling::Python, "backoff.hintmax", "backoff.hint_max"),
        (Spelling::Python, "backof", "backoff"),
        (Spelling::Node, "timeout", "timeoutMs"),
        (Spelling::Node, "timeout_ms", "timeoutMs"),
        (Spelling::Java, "backoff.base", "backoff.baseMs"),
        (Spelling::C, "timeoutMs", "timeout_ms"),
    ] {
        let message = refused(spelling, field, Value::Int(1));
        assert!(message.ends_with(&format!("; did you mean {meant}?")), "{message}");
    }
}

#[test]
fn the_message_about_an_unknown_setting_to_the_letter() {
    assert_eq!(
        refused(Spelling::Rust, "circuit", Value::Int(5)),
        "circuit: 5 is not allowed; expected one of the settings max_retries, name, timeout, deadline, backoff, classify, \
         budget, breaker, bulkhead, rate_limit, hedge, idempotent, endpoints, discovery, balance, hash_on, zone, slow_start, outlier, health_check, tls, auth, headers, idempotency_key, http"
    );
    assert_eq!(
        refused(Spelling::Python, "breaker.threshold", Value::Int(5)),
        "breaker.threshold: 5 is not allowed; expected one of the settings breaker.failure_rate, breaker.min_calls, \
         breaker.window, breaker.consecutive_failures, breaker.slow_call, breaker.slow_rate, breaker.open_for, \
         breaker.open_max, breaker.probes"
    );
}

#[test]
fn nothing_is_suggested_for_what_resembles_nothing() {
    for field in ["", "x", "circuit_breaker_threshold", "💥", &"y".repeat(10_000)] {
        let message = refused(Spelling::Python, field, Value::Int(1));
        assert!(!message.contains("did you mean"), "{message}");
    }
}

#[test]
fn a_setting_of_another_language_is_unknown() {
    for (spelling, field) in [
        (Spelling::Node, "runIn"),
        (Spelling::C, "run_in"),
        (Spelling::Rust, "run_in"),
        (Spelling::C, "retry_on"),
        (Spelling::Rust, "not_on"),
    ] {
        assert!(refused(spelling, field, text("caller")).contains("expected one of the settings"));
    }
}

#[test]
fn a_target_that_is_none_is_named_in_each_languages_words() {
    for (spelling, field) in [
        (Spelling::Python, "target_host"),
        (Spelling::Node, "targetHost"),
        (Spelling::Java, "target"),
        (Spelling::C, "target"),
        (Spelling::Rust, "target"),
    ] {
        let error = Settings::new("two words", spelling).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "{field}: \"two words\" is not allowed; expected a host such as payment-api.example.com, with a port if \
                 needed, or an http:// or https:// URL of one, without spaces or credentials"
            )
        );
    }
}

#[test]
fn a_secret_in_a_wrong_target_is_not_repeated() {
    for target in ["https://user:hunter2@host", "user:hunter2@host", "https://host/pay?key=hunter2", "host#hunter2"] {
        let error = Settings::new(target, Spelling::Python).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        assert!(!AmbassadorProxy::new(target).unwrap_err().to_string().contains("hunter2"));
    }
}

#[test]
fn the_builder_checks_what_it_was_given() {
    let refused = |builder: ambassador_core::proxy::Builder| builder.build().unwrap_err();
    let error: ConfigError = refused(builder().max_retries(0));
    assert_eq!((error.field.as_str(), error.value.as_str()), ("max_retries", "0"));
    assert_eq!(refused(builder().max_retries(u32::MAX)).value, "4294967295");
    assert_eq!(refused(builder().timeout(Duration::ZERO)).field, "timeout");
    assert_eq!(refused(builder().deadline(Duration::MAX)).field, "deadline");
    assert_eq!(refused(builder().name("a\nb")).field, "name");
    assert_eq!(refused(builder().backoff(Backoff::default().factor(0.5))).field, "backoff.factor");
    assert_eq!(refused(builder().backoff(Backoff::default().factor(f64::NAN))).value, "NaN");
    assert_eq!(refused(builder().backoff(Backoff::constant(Duration::MAX))).field, "backoff.base");
    assert_eq!(refused(builder().backoff(Backoff::default().hint_max(Duration::MAX))).field, "backoff.hint_max");
    assert_eq!(refused(AmbassadorProxy::builder("")).field, "target");
}

#[test]
fn a_group_without_the_setting_that_it_cannot_do_without_is_refused_as_a_whole() {
    for (spelling, field, value, message) in [
        (
            Spelling::Python,
            "bulkhead.max_queue",
            Value::Int(5),
            "bulkhead.max_concurrent: None is not allowed; expected a whole number from 1 to 1000000, adaptive, or None",
        ),
        (
            Spelling::Node,
            "rateLimit.burst",
            Value::Int(5),
            "rateLimit.rate: null is not allowed; expected a number from 0.000001 to 1000000000",
        ),
    ] {
        let mut draft = settings(spelling);
        draft.set(field, value).unwrap();
        assert_eq!(AmbassadorProxy::from_settings(draft).unwrap_err().to_string(), message);
    }
}
