//! One target's health as JSON, the same in all languages: what was counted, and how its policies and endpoints stand at present.

use std::fmt::Write;

use super::lengths::latency;
use super::totals::Totals;
use crate::clock::Nanos;
use crate::event::quoted;
use crate::target::State;

/// The health of that state, which stands for that target, of which so much was counted.
pub(crate) fn health(state: &State, target: &str, totals: &Totals, now: Nanos) -> String {
    let shared = state.settings();
    let mut json = format!(
        r#"{{"target":{},"name":{},"in_flight":{},{}"#,
        quoted(target),
        quoted(state.name()),
        state.in_flight(),
        totals.to_json(state.bulkhead.abandoned()),
    );
    let _ = match &shared.breaker {
        None => write!(json, r#","circuit":null"#),
        Some(breaker) => {
            let (outcomes, failures) = state.breaker.counts(breaker, now);
            let open_for = state.breaker.open_for(now).map_or("null".into(), |length| length.to_string());
            write!(
                json,
                r#","circuit":{{"state":"{}","open_for_ns":{},"outcomes":{},"failures":{},"transitions":{}}}"#,
                state.breaker.circuit().as_str(),
                open_for,
                outcomes,
                failures,
                totals.transitions_to_json(),
            )
        }
    };
    let _ = match &shared.budget {
        None => write!(json, r#","budget":null"#),
        Some(budget) => write!(json, r#","budget":{{"tokens":{}}}"#, state.budget.tokens(budget, now).max(0.0)),
    };
    let _ = match &shared.bulkhead {
        None => write!(json, r#","bulkhead":null"#),
        Some(bulkhead) => {
            let (occupied, queued) = state.bulkhead.occupied();
            let limit = state.bulkhead.limit(bulkhead);
            write!(json, r#","bulkhead":{{"limit":{limit},"occupied":{occupied},"queued":{queued}}}"#)
        }
    };
    let _ = write!(json, r#","endpoints":{},"latency":{}}}"#, state.endpoints.to_json(now), latency(state, now));
    json
}
