//! What two proxies of one name want differently of the state that they share (C4), as people read it.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::clock::spell;
use crate::policy::Shared;
use crate::settings::{self, Value};

/// The settings in which the two differ, as either has them: `breaker.min_calls 100, breaker.window 30s`.
pub(crate) fn differences(one: &Shared, other: &Shared) -> (String, String) {
    let (ones, others) = (all(one), all(other));
    let own = |mine: &[(&str, String)], theirs: &[(&str, String)]| {
        let differing = mine.iter().filter(|setting| !theirs.contains(setting));
        differing.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
    };
    (own(&ones, &others), own(&others, &ones))
}

/// Every setting of the shared state; of a group that is off, that it is.
fn all(shared: &Shared) -> Vec<(&'static str, String)> {
    settings::of_state(shared).into_iter().map(|(name, value)| (name, said(&value))).collect()
}

fn said(value: &Value) -> String {
    match value {
        Value::Null => "none".into(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Length(length) => spell(*length),
        Value::Text(text) | Value::Other(text) => text.clone(),
        Value::List(values) if values.is_empty() => "none".into(),
        Value::List(values) => format!("[{}]", values.iter().map(said).collect::<Vec<_>>().join(", ")),
        Value::Map(fields) => endpoint(fields),
    }
}

/// The one value that has fields: an endpoint, of which a weight of 1 goes without saying.
fn endpoint(fields: &[(String, Value)]) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        let _ = match (name.as_str(), value) {
            ("url", url) => write!(text, "{}", said(url)),
            ("weight", Value::Int(1)) => Ok(()),
            (name, Value::Map(pairs)) => {
                let pairs: BTreeMap<_, _> = pairs.iter().map(|(name, value)| (name, said(value))).collect();
                write!(text, " {name} {pairs:?}")
            }
            (name, value) => write!(text, " {name} {}", said(value)),
        };
    }
    text
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use crate::balance::Probe;
    use crate::discovery::Source;
    use crate::endpoint::Endpoint;
    use crate::policy::breaker::Breaker;
    use crate::policy::bulkhead::Bulkhead;
    use crate::settings::{Settings, Spelling};

    #[test]
    fn only_what_differs_is_told() {
        let usual = Shared::default();
        let other = Shared {
            breaker: Some(Breaker::default().min_calls(5)),
            budget: None,
            bulkhead: Some(Bulkhead::new(9)),
            ..usual.clone()
        };
        assert_eq!(
            differences(&usual, &other),
            (
                "budget.ratio 0.2, budget.min_per_second 10, budget.window 10s, breaker.min_calls 20, bulkhead none".into(),
                "budget none, breaker.min_calls 5, bulkhead.max_concurrent 9, bulkhead.max_queue 0, bulkhead.queue_timeout none".into()
            )
        );
        assert_eq!(differences(&usual, &usual), (String::new(), String::new()));
    }

    #[test]
    fn an_endpoint_is_told_with_all_that_it_has_beyond_its_url() {
        let rack = [("rack".to_owned(), "12".to_owned())].into();
        let full = Endpoint::new("10.0.0.7:80").unwrap().weight(3).zone("eu-west-1a").metadata(rack);
        let plain = Endpoint::new("10.0.0.8:80").unwrap().zone("eu-west-1b");
        let (before, now) =
            differences(&Shared::default(), &Shared { endpoints: vec![full, plain], ..Shared::default() });
        let told =
            r#"endpoints [10.0.0.7:80 weight 3 zone eu-west-1a metadata {"rack": "12"}, 10.0.0.8:80 zone eu-west-1b]"#;
        assert_eq!((before.as_str(), now.as_str()), ("endpoints none", told));
    }

    #[test]
    fn every_setting_of_the_shared_state_is_among_them() {
        let everything = Shared {
            bulkhead: Some(Bulkhead::adaptive()),
            rate_limit: Some(crate::policy::rate_limit::RateLimit::new(5.0)),
            discovery: Some(crate::discovery::Discovery::new(Source::Dns("payment-api".into()))),
            health_check: Some(crate::balance::HealthCheck::new(Probe::Tcp)),
            ..Shared::default()
        };
        let told: Vec<&str> = all(&everything).into_iter().map(|(name, _)| name).collect();
        let mut listed: Vec<String> = Settings::fields(Spelling::Rust).into_iter().map(|field| field.name).collect();
        listed.retain(|name| {
            let groups = [
                "budget.",
                "breaker.",
                "bulkhead.",
                "rate_limit.",
                "discovery.",
                "outlier.",
                "health_check.",
                "tls.",
                "http.",
            ];
            let alone = ["endpoints", "balance", "hash_on", "zone", "slow_start"];
            groups.iter().any(|group| name.starts_with(group)) || alone.contains(&name.as_str())
        });
        assert_eq!(told, listed);
    }
}
