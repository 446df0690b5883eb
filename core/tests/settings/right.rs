//! Right values: every field of every language, the ends of each range, and what the builder makes of them.

use std::time::Duration;

use ambassador_core::clock::{MILLISECOND, SECOND};
use ambassador_core::policy::RunIn;
use ambassador_core::settings::{Settings, Spelling, Value};
use ambassador_core::{After, AmbassadorProxy, Backoff, Hedge, Jitter, Policy};

use crate::{ALL, YEAR, built, network, policy, refused, set, settings, text};

#[test]
fn the_defaults_are_the_seeds() {
    for spelling in ALL {
        let policy = policy(&settings(spelling));
        assert_eq!(policy, Policy::default());
        assert_eq!((policy.max_retries, policy.timeout, policy.deadline), (3, Some(2 * SECOND), None));
        let Backoff { base, factor, max, jitter, hint_max, .. } = policy.backoff;
        assert_eq!((base, factor, max), (2 * SECOND, 2.0, 30 * SECOND));
        assert_eq!((jitter, hint_max, policy.run_in), (Jitter::Full, 60 * SECOND, None));
    }
}

/// A setting's name without what languages differ in.
fn plain(name: &str) -> String {
    let plain = name.replace('_', "").to_lowercase();
    plain.strip_suffix("ms").map(str::to_owned).unwrap_or(plain)
}

fn spelled(spelling: Spelling, name: &str) -> String {
    let mut names = Settings::fields(spelling).into_iter().map(|field| field.name);
    names.find(|other| plain(other) == plain(name)).unwrap()
}

fn rust_name(name: &str) -> String {
    if ["run_in", "runIn", "fallback", "retry_on", "retryOn", "not_on", "notOn"].contains(&name) {
        return name.into();
    }
    spelled(Spelling::Rust, name)
}

#[test]
fn every_field_of_every_language_can_be_set() {
    for spelling in ALL {
        let unit = if matches!(spelling, Spelling::Python | Spelling::Rust) { SECOND } else { MILLISECOND };
        for field in Settings::fields(spelling) {
            let mut draft = settings(spelling);
            for (group, needed) in
                [("bulkhead.", Value::Int(9)), ("rate", Value::Float(9.5)), ("hedge.", Value::Length(SECOND))]
            {
                let needs = |name: &str| name.starts_with(group) && name.contains('.');
                if needs(&field.name) {
                    let fields = Settings::fields(spelling);
                    let first = fields.iter().find(|field| needs(&field.name)).unwrap();
                    draft.set(&first.name, needed).unwrap();
                }
            }
            if field.name.starts_with("hedge") {
                draft.set("idempotent", Value::Bool(true)).unwrap();
            }
            if let Some((needed, value)) = network::example(&rust_name(&field.name)) {
                needed.into_iter().for_each(|(name, value)| draft.set(&spelled(spelling, name), value).unwrap());
                let before = AmbassadorProxy::from_settings(draft.clone()).map(|proxy| proxy.policy().clone());
                draft.set(&field.name, value).unwrap_or_else(|error| panic!("{spelling:?}: {error}"));
                assert_ne!(Ok(policy(&draft)), before, "{spelling:?} {} has no effect", field.name);
                continue;
            }
            let before = built(draft.clone()).policy().clone();
            let value = match field.kind {
                "count" if field.allowed.ends_with(" to 3") => Value::Int(2),
                "count" | "count_or_word" => Value::Int(7),
                "truth" => Value::Bool(true),
                "duration" | "duration_or_word" => Value::Float(7.5),
                "number" if field.allowed.ends_with(" to 1") => Value::Float(0.25),
                "number" => Value::Float(1.5),
                "choice" => text(field.allowed.rsplit(", ").next().unwrap()),
                "text" => text("payments, the new ones"),
                "group" if field.default == "off" => {
                    assert_eq!(set(spelling, &[(&field.name, Value::Null)]), Policy::default());
                    assert!(draft.set(&field.name, Value::Bool(true)).is_err(), "on, but how much?");
                    continue;
                }
                "group" if ["tls", "http"].contains(&field.name.as_str()) => {
                    assert_eq!(set(spelling, &[(&field.name, Value::Null)]), Policy::default());
                    continue;
                }
                "group" => Value::Null,
                "host" if field.name == "fallback" => Value::Bool(true),
                // A binding's own: the core only lists them.
                "host" => {
                    assert!(draft.set(&field.name, Value::Other("f".into())).is_err());
                    continue;
                }
                kind => panic!("{kind}"),
            };
            draft.set(&field.name, value).unwrap_or_else(|error| panic!("{spelling:?}: {error}"));
            let proxy = built(draft);
            match field.kind {
                "text" => assert_eq!(proxy.name(), "payments, the new ones"),
                _ => assert_ne!(*proxy.policy(), before, "{spelling:?} {} has no effect", field.name),
            }
            if field.kind.starts_with("duration") {
                let shown = format!("{:?}", proxy.policy());
                assert_eq!(
                    shown.matches(&(unit * 15 / 2).to_string()).count(),
                    1,
                    "{spelling:?} {}: {shown}",
                    field.name
                );
            }
        }
    }
}

#[test]
fn each_language_spells_the_settings_its_own_way() {
    let names = |spelling| Settings::fields(spelling).into_iter().map(|field| field.name).collect::<Vec<_>>();
    assert_eq!(
        names(Spelling::Python),
        [
            "max_retries",
            "name",
            "timeout",
            "deadline",
            "run_in",
            "backoff",
            "backoff.base",
            "backoff.factor",
            "backoff.max",
            "backoff.jitter",
            "backoff.hint_max",
            "retry_on",
            "not_on",
            "classify",
            "budget",
            "budget.ratio",
            "budget.min_per_second",
            "budget.window",
            "breaker",
            "breaker.failure_rate",
            "breaker.min_calls",
            "breaker.window",
            "breaker.consecutive_failures",
            "breaker.slow_call",
            "breaker.slow_rate",
            "breaker.open_for",
            "breaker.open_max",
            "breaker.probes",
            "bulkhead",
            "bulkhead.max_concurrent",
            "bulkhead.max_queue",
            "bulkhead.queue_timeout",
            "rate_limit",
            "rate_limit.rate",
            "rate_limit.per",
            "rate_limit.burst",
            "rate_limit.max_wait",
            "hedge",
            "hedge.after",
            "hedge.max",
            "idempotent",
            "fallback",
            "endpoints",
            "discovery",
            "discovery.dns",
            "discovery.srv",
            "discovery.file",
            "discovery.servers",
            "discovery.refresh",
            "balance",
            "hash_on",
            "zone",
            "slow_start",
            "outlier",
            "outlier.consecutive_failures",
            "outlier.base",
            "outlier.max",
            "outlier.max_ejected",
            "outlier.panic",
            "health_check",
            "health_check.path",
            "health_check.tcp",
            "health_check.interval",
            "health_check.timeout",
            "health_check.unhealthy",
            "health_check.healthy",
            "tls",
            "tls.ca",
            "tls.cert",
            "tls.key",
            "tls.server_name",
            "tls.min_version",
            "tls.pins",
            "tls.dangerous_accept_invalid_certificates",
            "auth",
            "auth.bearer",
            "auth.bearer_env",
            "auth.bearer_file",
            "auth.username",
            "auth.password",
            "auth.api_key",
            "auth.api_key_header",
            "auth.token_url",
            "auth.client_id",
            "auth.client_secret",
            "auth.scope",
            "headers",
            "idempotency_key",
            "http",
            "http.version",
            "http.max_header_bytes",
            "http.max_body_bytes",
            "http.replay_bytes",
            "http.follow_redirects",
            "http.decompress",
            "http.proxy_from_environment",
            "http.attempt_headers",
            "http.max_connections",
            "http.idle_timeout",
        ]
    );
    let without = |spelling, left_out: &[&str]| {
        let python = names(Spelling::Python);
        assert_eq!(names(spelling).len(), python.len() - left_out.len());
        assert!(names(spelling).iter().all(|name| !left_out.contains(&name.as_str())));
    };
    without(Spelling::Node, &["runIn"]);
    without(Spelling::Java, &[]);
    without(Spelling::C, &["run_in", "retry_on", "not_on"]);
    without(Spelling::Rust, &["run_in", "retry_on", "not_on", "fallback"]);
    for (spelling, some) in [
        (Spelling::Node, ["maxRetries", "timeoutMs", "backoff.hintMaxMs", "retryOn", "hedge.afterMs"]),
        (Spelling::Java, ["maxRetries", "runIn", "backoff.baseMs", "rateLimit.maxWaitMs", "breaker.minCalls"]),
        (Spelling::C, ["max_retries", "timeout_ms", "backoff.hint_max_ms", "breaker.slow_call_ms", "budget.window_ms"]),
        (Spelling::Rust, ["max_retries", "timeout", "backoff.hint_max", "bulkhead.queue_timeout", "classify"]),
    ] {
        for name in some {
            assert!(names(spelling).iter().any(|other| other == name), "{spelling:?} {name}");
        }
    }
}

#[test]
fn the_list_of_settings_is_json_in_every_language() {
    for spelling in ALL {
        let listed: Vec<serde_json::Value> = serde_json::from_str(&Settings::fields_json(spelling)).unwrap();
        let fields = Settings::fields(spelling);
        assert_eq!(listed.len(), fields.len());
        for (listed, field) in listed.iter().zip(fields) {
            assert_eq!(listed["name"], field.name);
            assert_eq!(listed["kind"], field.kind);
            assert_eq!(listed["default"], field.default);
            assert_eq!(listed["allowed"], field.allowed);
            assert_eq!(listed.as_object().unwrap().len(), 4);
        }
    }
}

#[test]
fn the_ends_of_each_range_are_allowed() {
    for (attempts, value) in [(1, Value::Int(1)), (100, Value::Int(100))] {
        assert_eq!(set(Spelling::Python, &[("max_retries", value)]).max_retries, attempts);
    }
    for (factor, value) in [(1.0, Value::Int(1)), (1000.0, Value::Float(1000.0))] {
        assert_eq!(set(Spelling::Python, &[("backoff.factor", value)]).backoff.factor, factor);
    }
    for (length, value) in [
        (0, Value::Int(0)),
        (0, Value::Float(-0.0)),
        (YEAR, Value::Int(31_536_000)),
        (YEAR, Value::Float(31_536_000.0)),
        (YEAR, Value::Length(YEAR)),
    ] {
        assert_eq!(set(Spelling::Python, &[("backoff.base", value)]).backoff.base, length);
    }
    assert_eq!(set(Spelling::Java, &[("timeoutMs", Value::Int(31_536_000_000))]).timeout, Some(YEAR));
}

#[test]
fn lengths_are_exact_where_a_number_can_be() {
    for (value, length) in [
        (Value::Float(0.1), 100 * MILLISECOND),
        (Value::Float(0.3), 300 * MILLISECOND),
        (Value::Float(1.37), 1370 * MILLISECOND),
        (Value::Float(86400.001), 86_400_001 * MILLISECOND),
        (Value::Float(1e-9), 1),
        // What is above zero never becomes zero.
        (Value::Float(1e-12), 1),
        (Value::Float(f64::MIN_POSITIVE), 1),
        (Value::Length(1), 1),
        (Value::Length(YEAR - 1), YEAR - 1),
        (Value::Int(2), 2 * SECOND),
    ] {
        assert_eq!(set(Spelling::Python, &[("timeout", value.clone())]).timeout, Some(length), "{value:?}");
    }
    assert_eq!(set(Spelling::Node, &[("timeoutMs", Value::Float(0.5))]).timeout, Some(MILLISECOND / 2));
}

#[test]
fn nothing_switches_a_bound_off() {
    let policy = set(Spelling::Python, &[("timeout", Value::Null), ("deadline", Value::Null)]);
    assert_eq!((policy.timeout, policy.deadline), (None, None));
}

#[test]
fn a_group_is_switched_off_and_on_as_a_whole() {
    for off in [Value::Null, Value::Bool(false)] {
        assert_eq!(set(Spelling::Python, &[("backoff", off.clone())]).backoff, Backoff::none());
        let on_again = set(Spelling::Python, &[("backoff", off), ("backoff", Value::Bool(true))]);
        assert_eq!(on_again, Policy::default());
    }
}

#[test]
fn the_later_of_two_settings_holds() {
    let policy = set(Spelling::Python, &[("max_retries", Value::Int(5)), ("max_retries", Value::Int(7))]);
    assert_eq!(policy.max_retries, 7);
}

#[test]
fn choices_are_by_name() {
    for jitter in Jitter::ALL {
        assert_eq!(set(Spelling::C, &[("backoff.jitter", text(jitter.as_str()))]).backoff.jitter, jitter);
    }
    assert_eq!(set(Spelling::Python, &[("run_in", text("worker"))]).run_in, Some(RunIn::Worker));
    assert_eq!(set(Spelling::Java, &[("runIn", text("caller"))]).run_in, Some(RunIn::Caller));
}

#[test]
fn only_javascript_has_whole_numbers_among_its_floats() {
    assert_eq!(set(Spelling::Node, &[("maxRetries", Value::Float(5.0))]).max_retries, 5);
    for spelling in [Spelling::Python, Spelling::C, Spelling::Rust] {
        refused(spelling, "max_retries", Value::Float(5.0));
    }
}

#[test]
fn the_builder_sets_what_it_was_given() {
    let backoff = Backoff::exponential(Duration::from_millis(50))
        .factor(3.0)
        .max(Duration::from_secs(1))
        .jitter(Jitter::Equal)
        .hint_max(Duration::from_secs(5));
    let proxy = AmbassadorProxy::builder("https://payment-api.example.com/v1")
        .name("a proxy built by hand")
        .max_retries(7)
        .timeout(None)
        .deadline(Duration::from_nanos(1))
        .backoff(backoff.clone())
        .build()
        .unwrap();
    let policy = proxy.policy();
    assert_eq!((policy.max_retries, policy.timeout, policy.deadline), (7, None, Some(1)));
    assert_eq!(policy.backoff, backoff);
    assert_eq!((proxy.target(), proxy.name()), ("https://payment-api.example.com/v1", "a proxy built by hand"));
    assert_eq!(AmbassadorProxy::new("the.target").unwrap().name(), "the.target");
}

#[test]
fn a_hedge_runs_on_workers_and_begins_after_a_time_or_a_quantile() {
    for (spelling, field, value, after) in [
        (Spelling::Python, "hedge.after", Value::Float(0.05), After::Fixed(50 * MILLISECOND)),
        (Spelling::Python, "hedge.after", text("p99"), After::Quantile(99)),
        (Spelling::Node, "hedge.afterMs", Value::Int(50), After::Fixed(50 * MILLISECOND)),
        (Spelling::Java, "hedge.afterMs", text("p50"), After::Quantile(50)),
        (Spelling::C, "hedge.after_ms", Value::Float(0.5), After::Fixed(MILLISECOND / 2)),
    ] {
        let policy = set(spelling, &[("idempotent", Value::Bool(true)), (field, value)]);
        assert_eq!(policy.hedge, Some(Hedge { after, max: 1 }));
        assert_eq!((policy.run_in, policy.idempotent), (Some(RunIn::Worker), true));
    }
}
