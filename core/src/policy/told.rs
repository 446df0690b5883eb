//! What two proxies of one name want differently of the state that they share (C4), as people read it.

use std::fmt::Write;
use std::path::PathBuf;

use crate::balance::Probe;
use crate::clock::{Nanos, spell};
use crate::discovery::Source;
use crate::endpoint::Endpoint;
use crate::policy::Shared;
use crate::policy::bulkhead::Limit;

/// The settings in which the two differ, as either has them: `breaker.min_calls 100, breaker.window 30s`.
pub(crate) fn differences(one: &Shared, other: &Shared) -> (String, String) {
    let (ones, others) = (all(one), all(other));
    let own = |mine: &[(&str, String)], theirs: &[(&str, String)]| {
        let differing = mine.iter().filter(|setting| !theirs.contains(setting));
        differing.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
    };
    (own(&ones, &others), own(&others, &ones))
}

fn length(length: Option<Nanos>) -> String {
    length.map_or("none".into(), spell)
}

fn count(count: Option<u32>) -> String {
    count.map_or("none".into(), |count| count.to_string())
}

/// Every setting of the shared state; of a group that is off, that it is.
fn all(shared: &Shared) -> Vec<(&'static str, String)> {
    let mut all = Vec::with_capacity(20);
    match &shared.budget {
        None => all.push(("budget", "none".into())),
        Some(budget) => all.extend([
            ("budget.ratio", budget.ratio.to_string()),
            ("budget.min_per_second", budget.min_per_second.to_string()),
            ("budget.window", spell(budget.window)),
        ]),
    }
    match &shared.breaker {
        None => all.push(("breaker", "none".into())),
        Some(breaker) => all.extend([
            ("breaker.failure_rate", breaker.failure_rate.to_string()),
            ("breaker.min_calls", breaker.min_calls.to_string()),
            ("breaker.window", spell(breaker.window)),
            ("breaker.consecutive_failures", count(breaker.consecutive_failures)),
            ("breaker.slow_call", length(breaker.slow_call)),
            ("breaker.slow_rate", breaker.slow_rate.to_string()),
            ("breaker.open_for", spell(breaker.open_for)),
            ("breaker.open_max", spell(breaker.open_max)),
            ("breaker.probes", breaker.probes.to_string()),
        ]),
    }
    match &shared.bulkhead {
        None => all.push(("bulkhead", "none".into())),
        Some(bulkhead) => all.extend([
            (
                "bulkhead.max_concurrent",
                match bulkhead.limit {
                    Limit::Fixed(limit) => limit.to_string(),
                    Limit::Adaptive => "adaptive".into(),
                },
            ),
            ("bulkhead.max_queue", bulkhead.max_queue.to_string()),
            ("bulkhead.queue_timeout", length(bulkhead.queue_timeout)),
        ]),
    }
    match &shared.rate_limit {
        None => all.push(("rate_limit", "none".into())),
        Some(limit) => all.extend([
            ("rate_limit.rate", limit.rate.to_string()),
            ("rate_limit.per", spell(limit.per)),
            ("rate_limit.burst", count(limit.burst)),
            ("rate_limit.max_wait", spell(limit.max_wait)),
        ]),
    }
    all.extend(endpoints(shared));
    all.extend(connections(shared));
    all
}

fn text(text: Option<impl std::fmt::Display>) -> String {
    text.map_or("none".into(), |text| text.to_string())
}

fn list(texts: impl Iterator<Item = impl std::fmt::Display>) -> String {
    let texts: Vec<String> = texts.map(|text| text.to_string()).collect();
    if texts.is_empty() { "none".into() } else { format!("[{}]", texts.join(", ")) }
}

/// Which endpoints there are, and how one is chosen.
fn endpoints(shared: &Shared) -> Vec<(&'static str, String)> {
    let mut all = vec![("endpoints", list(shared.endpoints.iter().map(described)))];
    match &shared.discovery {
        None => all.push(("discovery", "none".into())),
        Some(discovery) => {
            let (dns, srv, file) = match &discovery.source {
                Source::Dns(name) => (Some(name.clone()), None, None),
                Source::Srv(name) => (None, Some(name.clone()), None),
                Source::File(path) => (None, None, Some(path.display().to_string())),
            };
            all.extend([
                ("discovery.dns", text(dns)),
                ("discovery.srv", text(srv)),
                ("discovery.file", text(file)),
                ("discovery.servers", list(discovery.servers.iter())),
                ("discovery.refresh", spell(discovery.refresh)),
            ]);
        }
    }
    all.extend([
        ("balance", shared.balance.as_str().into()),
        ("hash_on", text(shared.hash_on.as_ref())),
        ("zone", text(shared.zone.as_ref())),
        ("slow_start", length(shared.slow_start)),
    ]);
    match &shared.outlier {
        None => all.push(("outlier", "none".into())),
        Some(outlier) => all.extend([
            ("outlier.consecutive_failures", outlier.consecutive_failures.to_string()),
            ("outlier.base", spell(outlier.base)),
            ("outlier.max", spell(outlier.max)),
            ("outlier.max_ejected", outlier.max_ejected.to_string()),
            ("outlier.panic", outlier.panic.to_string()),
        ]),
    }
    match &shared.health_check {
        None => all.push(("health_check", "none".into())),
        Some(check) => {
            let path = match &check.probe {
                Probe::Http(path) => Some(path),
                Probe::Tcp => None,
            };
            all.extend([
                ("health_check.path", text(path)),
                ("health_check.tcp", path.is_none().to_string()),
                ("health_check.interval", spell(check.interval)),
                ("health_check.timeout", spell(check.timeout)),
                ("health_check.unhealthy", check.unhealthy.to_string()),
                ("health_check.healthy", check.healthy.to_string()),
            ]);
        }
    }
    all
}

fn described(endpoint: &Endpoint) -> String {
    let mut text = endpoint.as_str().to_owned();
    if endpoint.its_weight() != 1 {
        let _ = write!(text, " weight {}", endpoint.its_weight());
    }
    if let Some(zone) = endpoint.its_zone() {
        let _ = write!(text, " zone {zone}");
    }
    if !endpoint.its_metadata().is_empty() {
        let _ = write!(text, " metadata {:?}", endpoint.its_metadata());
    }
    text
}

/// How connections are made, and what goes over them.
fn connections(shared: &Shared) -> Vec<(&'static str, String)> {
    let (tls, http) = (&shared.tls, &shared.http);
    let path = |path: &Option<PathBuf>| text(path.as_ref().map(|path| path.display()));
    vec![
        ("tls.ca", path(&tls.ca)),
        ("tls.cert", path(&tls.cert)),
        ("tls.key", path(&tls.key)),
        ("tls.server_name", text(tls.server_name.as_ref())),
        ("tls.min_version", tls.min_version.as_str().into()),
        ("tls.pins", list(tls.pins.iter())),
        ("tls.dangerous_accept_invalid_certificates", tls.dangerous_accept_invalid_certificates.to_string()),
        ("http.version", http.version.as_str().into()),
        ("http.max_header_bytes", http.max_header_bytes.to_string()),
        ("http.max_body_bytes", http.max_body_bytes.to_string()),
        ("http.replay_bytes", http.replay_bytes.to_string()),
        ("http.follow_redirects", http.follow_redirects.to_string()),
        ("http.decompress", http.decompress.to_string()),
        ("http.proxy_from_environment", http.proxy_from_environment.to_string()),
        ("http.attempt_headers", http.attempt_headers.to_string()),
        ("http.max_connections", http.max_connections.to_string()),
        ("http.idle_timeout", spell(http.idle_timeout)),
    ]
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
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
