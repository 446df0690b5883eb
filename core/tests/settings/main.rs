//! Settings as each language writes them (C1, C2): every field, right and wrong values, the message for each kind of
//! mistake to the letter, and nothing half applied.

#[path = "../common/mod.rs"]
mod common;
mod network;
mod right;
mod wrong;

use ambassador_core::call::Outcome;
use ambassador_core::clock::{Nanos, SECOND};
use ambassador_core::settings::{Settings, Spelling, Value};
use ambassador_core::{AmbassadorProxy, Policy};
use common::*;
use proptest::prelude::*;

const ALL: [Spelling; 5] = [Spelling::Python, Spelling::Node, Spelling::Java, Spelling::C, Spelling::Rust];
const YEAR: Nanos = 365 * 24 * 3600 * SECOND;

fn settings(spelling: Spelling) -> Settings {
    Settings::new("payment-api.example.com", spelling).unwrap()
}

/// The policy of a draft, with what its groups cannot do without.
fn policy(settings: &Settings) -> Policy {
    built(settings.clone()).policy().clone()
}

fn built(settings: Settings) -> AmbassadorProxy {
    AmbassadorProxy::from_settings(settings).unwrap()
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// The policy of these settings.
fn set(spelling: Spelling, fields: &[(&str, Value)]) -> Policy {
    let mut settings = settings(spelling);
    for (field, value) in fields {
        settings.set(field, value.clone()).unwrap_or_else(|error| panic!("{spelling:?}: {error}"));
    }
    policy(&settings)
}

/// The message about this value; the draft stays as it was.
fn refused(spelling: Spelling, field: &str, value: Value) -> String {
    let mut draft = settings(spelling);
    let before = policy(&draft);
    let error = draft.set(field, value.clone()).expect_err(&format!("{spelling:?}: {field} = {value:?}"));
    assert_eq!(policy(&draft), before, "{field} = {value:?} was half applied");
    assert_eq!(error.field, field);
    assert_eq!(
        error.to_string(),
        format!("{field}: {} is not allowed; expected {}", error.value, error.allowed),
        "one form for all"
    );
    error.to_string()
}

proptest! {
    #[test]
    fn whatever_is_allowed_makes_a_policy_that_decides(
        field in 0..120usize, float: f64, int: i64, length: u64, kind in 0..3u8, spelling in 0..ALL.len()
    ) {
        let spelling = ALL[spelling];
        let fields = Settings::fields(spelling);
        let value = match kind { 0 => Value::Float(float), 1 => Value::Int(int), _ => Value::Length(length) };
        let mut draft = settings(spelling);
        let set = draft.set(&fields[field % fields.len()].name, value);
        // A group may lack the one setting that it cannot do without, which is then named.
        let proxy = match AmbassadorProxy::from_settings(draft) {
            // Its own state: one case's failures are not to open the next one's circuit.
            Ok(proxy) => proxy.alone(),
            Err(error) => {
                let needed = [
                    "oncurrent", "rate", "hedge.after", "hedge.afterMs", "hedge.after_ms", "idempotent", "discovery", "health_check",
                    "healthCheck",
                ];
                prop_assert!(needed.iter().any(|needed| error.field.ends_with(needed)), "{}", error.field);
                return Ok(());
            }
        };
        let policy = proxy.policy().clone();
        prop_assert!((1..=100).contains(&policy.max_retries));
        let backoff = &policy.backoff;
        prop_assert!((1.0..=1000.0).contains(&backoff.factor));
        for bound in [policy.timeout, policy.deadline].into_iter().flatten() {
            prop_assert!((1..=YEAR).contains(&bound));
        }
        prop_assert!([backoff.base, backoff.max, backoff.hint_max].iter().all(|length| *length <= YEAR));
        if set.is_err() {
            prop_assert_eq!(policy, Policy::default());
        }
        let mut call = begin(&proxy, T0);
        let _ = proxy.settle(&mut call, T0, Outcome::Retry, None);
        proxy.cancel(&mut call, T0);
    }
}
