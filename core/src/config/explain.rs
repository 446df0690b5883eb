//! The effective policy of a target in words, and warnings for what goes wrong in production: no timeout, retries without a budget, a
//! deadline shorter than one attempt, retries of what may not be done twice.

use std::fmt::{self, Write};

use super::Config;
use crate::clock::{Nanos, spell};
use crate::error::ConfigError;
use crate::policy::Policy;
use crate::policy::backoff::{Backoff, Jitter};
use crate::policy::bulkhead::Limit;
use crate::policy::http::IdempotencyKey;
use crate::settings::{Effective, Origin, Spelling, Value};

/// What a configuration comes to for a target.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The target.
    pub target: String,
    /// What calls do, a sentence each.
    pub sentences: Vec<String>,
    /// What is likely to be a mistake.
    pub warnings: Vec<String>,
    /// The settings that the configuration gives.
    pub given: Vec<Effective>,
    /// Every setting with its origin, as JSON: the same as `policy_json` of a proxy.
    pub policy_json: String,
}

/// Explains what that configuration comes to for a target of which the app says nothing.
///
/// ```
/// use ambassador_core::config::{Config, explain};
///
/// let config = Config::read("version: 1\ndefaults: {timeout: null, budget: false}\n", "a.yaml").unwrap();
/// let told = explain(&config, "payment-api.example.com")?;
/// assert!(told.sentences[0].starts_with("up to 3 attempts"));
/// assert_eq!(told.warnings.len(), 2);
/// # Ok::<_, ambassador_core::ConfigError>(())
/// ```
///
/// # Errors
/// [`ConfigError`] when the target is none, or what is said of it does not go together.
pub fn explain(config: &Config, target: &str) -> Result<Explanation, ConfigError> {
    let proxy = config.proxy(target)?;
    let given = proxy.effective_policy(Spelling::File);
    let policy = proxy.policy();
    Ok(Explanation {
        target: target.into(),
        sentences: sentences(&policy),
        warnings: warnings(&policy),
        given: given.into_iter().filter(is_said).collect(),
        policy_json: proxy.policy_json(),
    })
}

/// Whether the file says it: not of the fields of a group that it switches off.
fn is_said(setting: &Effective) -> bool {
    let is_within = setting.field.contains('.') && setting.value == Value::Null;
    matches!(setting.origin, Origin::Config(_)) && !is_within
}

fn plural(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The longest waits between attempts: before jitter, which as a rule only shortens them.
fn waits(policy: &Policy) -> Vec<Nanos> {
    let Backoff { base, factor, max, jitter, .. } = policy.backoff;
    let grown = |n: u32| (base as f64 * factor.powi(n as i32)).min(max as f64) as Nanos;
    (0..policy.max_retries - 1).map(|n| if jitter == Jitter::Decorrelated { max } else { grown(n) }).collect()
}

fn sentences(policy: &Policy) -> Vec<String> {
    let shared = &policy.shared;
    let mut all = Vec::new();
    let each = policy.timeout.map_or("without a bound".into(), |bound| format!("at most {}", spell(bound)));
    let attempts = plural(policy.max_retries.into(), "attempt");
    let waits = waits(policy);
    let mut told = format!("up to {attempts}, each {each}");
    if !waits.is_empty() {
        let mut spelled: Vec<String> = waits.iter().take(4).map(|wait| spell(*wait)).collect();
        if waits.len() > 4 {
            spelled.push("…".into());
        }
        let _ = write!(told, "; waits up to {}", spelled.join(", then "));
    }
    match (policy.timeout, policy.deadline) {
        (_, Some(deadline)) => _ = write!(told, "; the call ends after {} at the latest", spell(deadline)),
        (Some(bound), None) => {
            let worst = waits
                .iter()
                .fold(bound.saturating_mul(policy.max_retries.into()), |sum, wait| sum.saturating_add(*wait));
            let _ = write!(told, "; worst case {}", spell(worst));
        }
        (None, None) => told.push_str("; there is no worst case"),
    }
    all.push(told);
    if policy.max_retries > 1 {
        all.push(format!(
            "a server may ask for a wait of up to {}; of a longer one the call ends",
            spell(policy.backoff.hint_max)
        ));
        all.push(match &shared.budget {
            Some(budget) => format!(
                "retries are limited to {} for each call and {} a second besides, over {}",
                budget.ratio,
                budget.min_per_second,
                spell(budget.window)
            ),
            None => "retries have no budget".into(),
        });
    }
    all.push(match &shared.breaker {
        None => "there is no circuit breaker".into(),
        Some(breaker) => {
            let mut told = format!(
                "the breaker opens when {:.0} % of at least {} within {} failed",
                breaker.failure_rate * 100.0,
                plural(breaker.min_calls.into(), "attempt"),
                spell(breaker.window)
            );
            if let Some(count) = breaker.consecutive_failures {
                let _ = write!(told, ", or {} in a row", plural(count.into(), "failure"));
            }
            if let Some(slow) = breaker.slow_call {
                let _ = write!(told, ", or {:.0} % took {} or longer", breaker.slow_rate * 100.0, spell(slow));
            }
            let _ = write!(
                told,
                "; it stays open for {}, up to {} when it opens again, and closes after {}",
                spell(breaker.open_for),
                spell(breaker.open_max),
                plural(breaker.probes.into(), "success").replace("successs", "successes")
            );
            told
        }
    });
    if let Some(bulkhead) = &shared.bulkhead {
        let limit = match bulkhead.limit {
            Limit::Fixed(limit) => format!("at most {}", plural(limit.into(), "call")),
            Limit::Adaptive => "as many calls as latency allows".into(),
        };
        let queue = match bulkhead.max_queue {
            0 => "others are refused".into(),
            most => format!("{most} more wait in a queue"),
        };
        all.push(format!("{limit} at once; {queue}"));
    }
    if let Some(limit) = &shared.rate_limit {
        let wait = match limit.max_wait {
            0 => "more are refused".into(),
            wait => format!("more wait for their turn up to {}", spell(wait)),
        };
        all.push(format!("{} calls in {}; {wait}", limit.rate, spell(limit.per)));
    }
    if let Some(hedge) = &policy.hedge {
        all.push(format!("another attempt begins beside one that takes longer than {}", hedge.after));
    }
    let count = shared.endpoints.len();
    if let Some(discovery) = &shared.discovery {
        let source = match &discovery.source {
            crate::discovery::Source::Dns(name) => format!("by DNS, as {name}"),
            crate::discovery::Source::Srv(name) => format!("by SRV records, as {name}"),
            crate::discovery::Source::File(file) => format!("in the file {}", file.display()),
        };
        all.push(format!("endpoints are looked for {source}; one is chosen by {}", shared.balance.as_str()));
    } else if count > 0 {
        all.push(format!(
            "{}, of which one is chosen by {}",
            plural(count as u64, "endpoint"),
            shared.balance.as_str()
        ));
    }
    all
}

fn warnings(policy: &Policy) -> Vec<String> {
    let mut all = Vec::new();
    let mut warn = |text: &str| all.push(text.to_owned());
    let retries = policy.max_retries > 1;
    match (policy.timeout, policy.deadline) {
        (None, None) => warn("no timeout and no deadline: a call to a target that hangs never ends; set timeout"),
        (None, Some(_)) => warn("no timeout: one attempt that hangs takes the whole deadline; set timeout"),
        (Some(timeout), Some(deadline)) if deadline < timeout => {
            warn("the deadline is shorter than one attempt: the timeout never counts, and nothing is tried again");
        }
        (Some(timeout), Some(deadline)) if retries && deadline < timeout.saturating_mul(2) => {
            warn("the deadline leaves no time for a second attempt after one that timed out");
        }
        _ => {}
    }
    if retries && policy.shared.budget.is_none() {
        warn("retries without a budget: a target in trouble gets several times its load; leave budget on");
    }
    if retries && (policy.backoff.base == 0 || policy.backoff.max == 0) {
        warn("retries without a wait: all clients come back at once; set backoff.base");
    }
    if retries && policy.backoff.jitter == Jitter::None && policy.backoff.base > 0 {
        warn("waits without jitter: clients that failed together come back together; set backoff.jitter to full");
    }
    if retries && policy.max_retries > 5 && policy.shared.breaker.is_none() {
        warn("many attempts and no circuit breaker: leave breaker on");
    }
    if policy.idempotent && policy.idempotency_key == IdempotencyKey::Off && retries {
        warn(
            "idempotent is true: also a POST is tried again after it was sent; unless the server tells doubles apart, set \
             idempotency_key to auto",
        );
    }
    if policy.shared.tls.dangerous_accept_invalid_certificates {
        warn("certificates are not checked: anybody on the way may read and change everything");
    }
    all
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.target)?;
        for sentence in &self.sentences {
            writeln!(f, "  {sentence}")?;
        }
        for Effective { field, value, origin } in &self.given {
            writeln!(f, "  {field}: {} ({origin})", value.to_json())?;
        }
        for warning in &self.warnings {
            writeln!(f, "  warning: {warning}")?;
        }
        Ok(())
    }
}
