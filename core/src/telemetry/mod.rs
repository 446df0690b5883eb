//! What is seen of all that the ambassador does (S2, S3): every target of this process in one JSON text, and the same as metrics.
//!
//! But for the histograms, nothing here is on the way of a call. Calls count in their target's [`State`]; who asks reads what was counted.
//!
//! | file | holds |
//! | --- | --- |
//! | `totals.rs` | what was counted of one target, as plain numbers that add up |
//! | `histogram.rs` | how long calls and attempts take: counted by each of them |
//! | `lengths.rs` | the same as others want it: by fixed bounds, and as quantiles of the last seconds |
//! | `ledger.rs` | which targets are seen by name, and what those counted that are gone |
//! | `health.rs` | one target's health as JSON: its totals, and how its policies stand at present |
//! | `snapshot.rs` | all targets and the process itself, as JSON |
//! | `metrics.rs`, `exposition.rs` | the table of metrics; the formats in which they are written |
//! | `bus.rs` | events of all targets, to who listens to the whole process |
//! | `log.rs` | which events go to a host's own logging, and how they get there |
//! | `admin/`, `dashboard.rs` | the admin server, and the files of its page |
//! | `trace.rs`, `spans.rs` | where a call stands in a trace; what is kept of it until it has ended, while spans are exported |
//! | `otlp/` | spans and metrics, to an OpenTelemetry collector |
//! | `process.rs` | how the ambassador itself is: memory, its runtime, its threads |

#[cfg(feature = "admin")]
mod admin;
pub(crate) mod bus;
#[cfg(feature = "admin")]
mod dashboard;
mod exposition;
mod health;
pub(crate) mod histogram;
pub(crate) mod ledger;
pub(crate) mod lengths;
pub mod log;
mod metrics;
#[cfg(feature = "otlp")]
pub mod otlp;
mod process;
mod snapshot;
pub(crate) mod spans;
mod totals;
pub mod trace;

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};

use crate::runtime;
use crate::target::State;

#[cfg(feature = "admin")]
pub(crate) use admin::stop_all;
#[cfg(feature = "admin")]
pub use admin::{Admin, AdminOptions, admins, serve_admin};
pub use exposition::{Format, Kind};
pub(crate) use health::health;
pub use ledger::{MOST_TARGETS, OTHER};
pub use metrics::{METRICS, MOST_ENDPOINTS, Metric, metrics};
pub use process::{Workers, set_workers};
pub use snapshot::{config, snapshot};
pub(crate) use totals::Totals;

/// The first proxy of this process is made, or another.
pub(crate) fn begin() {
    process::started_ms();
    static HAS_BEGUN: AtomicBool = AtomicBool::new(false);
    if !HAS_BEGUN.swap(true, Relaxed) {
        #[cfg(feature = "admin")]
        admin::begin_as_the_environment_says();
        #[cfg(feature = "http")]
        if let Ok(Some(config)) = crate::config::in_force() {
            obey(&config);
        }
    }
    #[cfg(feature = "otlp")]
    otlp::begin();
}

/// What a configuration says of the ambassador itself, once it is in force and there is a proxy, or another one is.
#[cfg(feature = "http")]
pub(crate) fn obey(config: &crate::config::Config) {
    if let Some(level) = config.log_level().and_then(log::Level::parse) {
        log::configured(level);
    }
    #[cfg(feature = "admin")]
    admin::begin_as_configured(config.admin());
}

/// F3: this is a forked child.
pub(crate) fn begin_anew() {
    ledger::begin_anew();
    #[cfg(feature = "http")]
    crate::config::watch::begin_anew();
    bus::begin_anew();
    spans::begin_anew();
    #[cfg(feature = "otlp")]
    otlp::begin_anew();
}

/// In which language the program is written that the ambassador is part of, for `build_info` and the snapshot. Said by a binding when
/// it is loaded; any other than those below is `rust`.
pub fn set_language(language: &str) {
    let at = LANGUAGES.iter().position(|known| *known == language).unwrap_or(0);
    LANGUAGE.store(at as u8, Relaxed);
}

static LANGUAGE: AtomicU8 = AtomicU8::new(0);

const LANGUAGES: [&str; 6] = ["rust", "c", "python", "node", "java", "sidecar"];

pub(crate) fn language() -> &'static str {
    LANGUAGES[usize::from(LANGUAGE.load(Relaxed))]
}

/// Why calls are not to be sent through this process yet, or no longer; nothing when they are.
pub(crate) fn not_ready() -> Vec<String> {
    let mut reasons = Vec::new();
    if runtime::is_shut_down() {
        reasons.push("the ambassador was shut down".into());
    }
    for state in State::all().iter().filter(|state| state.endpoints.is_awaited()) {
        reasons.push(format!("{}: no endpoints have been found yet", state.name()));
    }
    reasons.sort_unstable();
    reasons
}

/// Endpoints that have to be found are looked for from now on, whether or not there is a call that needs them.
#[cfg(feature = "admin")]
pub(crate) fn warm() {
    State::all().iter().filter(|state| state.endpoints.is_awaited()).for_each(State::look_for_endpoints);
}
