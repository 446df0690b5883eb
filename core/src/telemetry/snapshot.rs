//! All targets of this process and the process itself, as one JSON text.

use super::health::health;
use super::process;
use super::totals::Totals;
use crate::clock;
use crate::event::quoted;
use crate::target::State;

/// Everything that is known at present, as JSON; the same in all languages.
///
/// ```
/// let seen = ambassador_core::telemetry::snapshot();
/// assert!(seen.starts_with(r#"{"version":"#));
/// ```
pub fn snapshot() -> String {
    let now = clock::now();
    let mut states = State::all();
    states.sort_unstable_by(|one, other| one.name().cmp(other.name()));
    let targets: Vec<String> =
        states.iter().map(|state| health(state, state.target(), &Totals::of(state), now)).collect();
    format!(
        concat!(
            r#"{{"version":{},"language":"{}","pid":{},"started_ms":{},"now_ms":{},"ready":true,"not_ready":[],"#,
            r#""process":{{"memory_bytes":{},"runtime":{{"threads":null,"lag_ns":null,"queue":null}},"#,
            r#""workers":{{"limit":null,"busy":null,"waiting":null}},"events":{{"dropped":0,"subscribers":0}}}},"#,
            r#""targets":[{}],"other":null}}"#
        ),
        quoted(crate::version()),
        super::language(),
        std::process::id(),
        process::started_ms(),
        process::unix_ms(),
        process::memory().map_or("null".into(), |bytes| bytes.to_string()),
        targets.join(","),
    )
}
