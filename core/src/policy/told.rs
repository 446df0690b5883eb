//! What two proxies of one name want differently of the state that they share (C4), as people read it.

use crate::clock::{Nanos, spell};
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
    all
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
            ..Shared::default()
        };
        let told: Vec<&str> = all(&everything).into_iter().map(|(name, _)| name).collect();
        let mut listed: Vec<String> = Settings::fields(Spelling::Rust).into_iter().map(|field| field.name).collect();
        listed.retain(|name| {
            ["budget.", "breaker.", "bulkhead.", "rate_limit."].iter().any(|group| name.starts_with(group))
        });
        assert_eq!(told, listed);
    }
}
