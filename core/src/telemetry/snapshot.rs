//! All targets of this process and the process itself, as one JSON text.

use super::health::health;
use super::ledger::{self, Others, Row};
use super::process::{self, Health};
use super::{bus, not_ready};
use crate::clock;
use crate::event::{list, quoted};

/// Everything that is known at present, as JSON; the same in all languages. Counts are those of a target's name, whose proxies may
/// have come and gone: they only grow.
///
/// ```
/// let seen = ambassador_core::telemetry::snapshot();
/// assert!(seen.starts_with(r#"{"version":"#));
/// ```
pub fn snapshot() -> String {
    let now = clock::now();
    let (rows, others) = ledger::read();
    let target = |Row { state, totals, .. }: &Row| {
        let state = state.as_ref()?;
        Some(health(state, state.target(), totals, now))
    };
    let targets: Vec<String> = rows.iter().filter_map(target).collect();
    let reasons = not_ready();
    format!(
        concat!(
            r#"{{"version":{},"language":"{}","pid":{},"started_ms":{},"now_ms":{},"ready":{},"not_ready":{},"#,
            r#""process":{{{},"events":{{"dropped":{},"subscribers":{}}}}},"targets":[{}],"other":{}}}"#
        ),
        quoted(crate::version()),
        super::language(),
        std::process::id(),
        process::started_ms(),
        process::unix_ms(),
        reasons.is_empty(),
        list(&reasons),
        Health::now().to_json(),
        bus::dropped(),
        bus::readers(),
        targets.join(","),
        other(&others),
    )
}

/// The settings in force of every target (C3), as JSON, spelled as in the configuration file, each with where it comes from; what is
/// secret is `***` (S3).
///
/// ```
/// assert!(ambassador_core::telemetry::config().starts_with(r#"{"targets":["#));
/// ```
pub fn config() -> String {
    let (rows, _) = ledger::read();
    let target = |Row { state, .. }: &Row| {
        let proxy = state.as_ref()?.proxy()?;
        let (name, target) = (quoted(proxy.name()), quoted(proxy.target()));
        Some(format!(r#"{{"name":{name},"target":{target},"policy":{}}}"#, proxy.policy_json()))
    };
    let targets: Vec<String> = rows.iter().filter_map(target).collect();
    format!(r#"{{"targets":[{}]}}"#, targets.join(","))
}

/// All that have no row of their own, together; `null` when every target has one.
fn other(others: &Others) -> String {
    if others.are_none() {
        return "null".into();
    }
    let Others { states, totals, .. } = others;
    let in_flight: u64 = states.iter().map(|state| state.in_flight()).sum();
    let abandoned = states.iter().map(|state| state.bulkhead.abandoned()).sum();
    format!(r#"{{"targets":{},"in_flight":{in_flight},{}}}"#, states.len(), totals.to_json(abandoned))
}
